/* stream.h - the bytes of a file, a pipe or stdin, decompressed on the way: plain, gzip (many members), zstd
 * (many frames).
 *
 * stream_read gives what is there, like read(2): a slow pipe is passed on piece by piece, never held back to
 * fill a block. A stream that ends inside a member, or is damaged, first delivers what could be decoded and
 * then fails for good, with the file and the place in the sentence. Memory: one read block and the decoder
 * (zstd: the window of the file, at most 128 MiB).
 */
#ifndef SDG_DATA_STREAM_H
#define SDG_DATA_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/error.h"

/* What stream_read answers instead of blocking, after stream_set_waiting. Negative, so that it is passed up
 * like a failure; none of the codes of error.h. */
enum { STREAM_WAIT = -1000 };

typedef enum stream_coding { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD } stream_coding_t;

typedef struct stream stream_t;

/* The coding that a file name promises: .gz .zst (any case), else plain. */
stream_coding_t stream_coding_of(const char *path);

/* Opens for reading; "-" is stdin. Without a promise in the name the magic bytes decide. NULL: err says
 * why. */
stream_t *stream_open(const char *path, err_t *err);
/* Reads an open descriptor, which stays the caller's, from where it stands, in exactly this coding. */
stream_t *stream_from_fd(int fd, const char *name, stream_coding_t coding);
/* Reads no further than this many bytes of the file, as if it ended there. Before the first read. */
void stream_limit(stream_t *stream, uint64_t bytes);
void stream_close(stream_t **stream);

/* From now on a pipe, terminal or socket that has nothing to give is answered with STREAM_WAIT. The
 * descriptor's flags stay as they are (a shell may share it). Regular files never wait. */
void stream_set_waiting(stream_t *stream);
/* The descriptor to poll while waiting; -1 for a regular file. */
int stream_fd(const stream_t *stream);

/* Bytes put into `to` (1..room), 0 at the end, STREAM_WAIT (err is untouched), or a negative code; a failure
 * repeats itself. */
ssize_t stream_read(stream_t *stream, char *to, size_t room, err_t *err);

/* For progress: bytes of the file read so far and its size (0 when unknown). */
void stream_progress(const stream_t *stream, uint64_t *bytes_done, uint64_t *bytes_total);

/* Where the last whole member ends: in the file, and in the text it decodes to. Plain: what was read so
 * far. */
uint64_t stream_member_end(const stream_t *stream);
uint64_t stream_member_text_end(const stream_t *stream);
/* After a failure: the file just stops inside a member (torn), it is not damaged. */
bool stream_torn(const stream_t *stream);
const char *stream_name(const stream_t *stream);

#endif
