/* stream.h - the bytes of a file, a pipe or stdin, decompressed on the way: plain, gzip (many members), zstd
 * (many frames, called members here, too).
 *
 * stream_read gives what is there, like read(2): it passes a slow pipe on piece by piece and never waits to
 * fill a block. A stream that ends inside a member, or is damaged, first delivers what could be decoded and
 * then fails for good, with the file and the place in the sentence. Memory: one read block and the decoder
 * (zstd: the window of the file, as zstd --long makes it up to 2 GiB if the machine has that).
 */
#ifndef SDG_DATA_STREAM_H
#define SDG_DATA_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"

/* What stream_read answers instead of blocking, after stream_set_waiting. It is negative, so that callers
 * pass it on like a failure, and none of the codes of codes.h. */
enum { STREAM_WAIT = -1000 };

typedef enum stream_coding { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD } stream_coding_t;

typedef struct stream stream_t;

/* The coding that a file name promises: .gz .zst (any case), else plain. */
stream_coding_t stream_coding_of(const char *path);

/* Opens for reading; "-" is stdin. The magic bytes decide on the coding when the name promises none. NULL:
 * err says why. */
stream_t *stream_open(const char *path, err_t *err);
/* Reads an open descriptor from its present place, in exactly this coding. The descriptor stays the
 * caller's. */
stream_t *stream_from_fd(int fd, const char *name, stream_coding_t coding);
/* Treats the file as if it ended after this many bytes. To be called before the first read. */
void stream_limit(stream_t *stream, uint64_t bytes);
void stream_close(stream_t **stream);

/* How it is packed; of a stream whose name promises nothing, known after the first stream_read or
 * stream_peek. */
stream_coding_t stream_coding(const stream_t *stream);
/* From now on a pipe, terminal or socket that has nothing to give is answered with STREAM_WAIT. The
 * descriptor's flags stay as they are (a shell may share it). Regular files never wait. */
void stream_set_waiting(stream_t *stream);
/* The descriptor to poll while waiting; -1 for a regular file. */
int stream_fd(const stream_t *stream);

/* Shows what stream_read will give next, at least `want` bytes if there are so many; 1 .. STREAM_PEEK_MAX.
 * *n is less than that only at the end, and with a code other than 0: STREAM_WAIT, or a failure. */
enum { STREAM_PEEK_MAX = 256 << 10 };
int stream_peek(stream_t *stream, size_t want, const char **bytes, size_t *n);

/* How many bytes were put into `to` (1..room), 0 at the end, STREAM_WAIT (err is untouched), or the negative
 * code of a failure, which every later call repeats. */
ssize_t stream_read(stream_t *stream, char *to, size_t room, err_t *err);

/* For progress: bytes of the file read so far and its size (0 when unknown). */
void stream_progress(const stream_t *stream, uint64_t *bytes_done, uint64_t *bytes_total);

/* The place in the file of a place in its text, which must have been read: exact for plain text, else by
 * proportion. */
uint64_t stream_file_place(const stream_t *stream, uint64_t text_place);

/* Where the last whole member ends: in the file, and in the text it decodes to. Of a plain stream: what was
 * read so far. */
uint64_t stream_member_end(const stream_t *stream);
uint64_t stream_member_text_end(const stream_t *stream);
/* After a failure: true when the file stops inside a member (torn), false when it is damaged. */
bool stream_torn(const stream_t *stream);
const char *stream_name(const stream_t *stream);

#endif
