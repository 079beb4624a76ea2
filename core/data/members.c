/* members.c - see members.h. */
#include "core/data/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/data/files.h"
#include "core/data/limits.h"

enum { BLOCK_BYTES = 64 << 10 };

/* Reads on from the present place of the descriptor, to the end or, with `one`, of the first member. */
static int read_on(int fd, const char *path, stream_coding_t coding, bool one, members_t *found, err_t *err) {
    char *text = xmalloc(BLOCK_BYTES);
    stream_t *stream = stream_from_fd(fd, path, coding);
    ssize_t n;
    while ((n = stream_read(stream, text, BLOCK_BYTES, err)) > 0 && !(one && stream_member_end(stream) > 0)) {
    }
    found->whole_bytes = stream_member_end(stream);
    found->torn = stream_torn(stream);
    stream_close(&stream);
    free(text);
    return n < 0 ? (int)n : 0;
}

/* Does a whole member begin at this place of the file? */
static bool whole_at(int fd, const char *path, stream_coding_t coding, off_t at) {
    members_t found;
    err_t why;
    if (lseek(fd, at, SEEK_SET) < 0) return false;
    (void)read_on(fd, path, coding, true, &found, &why);
    return found.whole_bytes > 0;
}

/* Does a whole member begin anywhere behind `from`? It is looked for by the bytes that all members begin
 * with, in windows of the file that overlap by these. */
static bool whole_behind(int fd, const char *path, stream_coding_t coding, uint64_t from) {
    static const char GZIP[] = {0x1f, (char)0x8b, 8}, ZSTD[] = {0x28, (char)0xb5, 0x2f, (char)0xfd};
    const char *magic = coding == STREAM_GZIP ? GZIP : ZSTD;
    size_t magic_len = coding == STREAM_GZIP ? sizeof GZIP : sizeof ZSTD;
    char *window = xmalloc(BLOCK_BYTES);
    bool whole = false;
    ssize_t n;
    for (off_t at = (off_t)from + 1; !whole && (n = pread(fd, window, BLOCK_BYTES, at)) >= (ssize_t)magic_len;
         at += n - (ssize_t)magic_len + 1) {
        const char *end = window + n;
        for (const char *m = window; !whole && (m = memmem(m, (size_t)(end - m), magic, magic_len)); m++)
            whole = whole_at(fd, path, coding, at + (m - window));
    }
    free(window);
    return whole;
}

/* Has the file nothing but zero bytes from here on, as a power loss leaves them? */
static bool zeros_behind(int fd, uint64_t from) {
    char *block = xmalloc(BLOCK_BYTES);
    bool zeros = true;
    ssize_t n;
    for (off_t at = (off_t)from; zeros && (n = pread(fd, block, BLOCK_BYTES, at)) > 0; at += n)
        for (ssize_t i = 0; zeros && i < n; i++)
            zeros = block[i] == '\0';
    free(block);
    return zeros;
}

int members_check(int fd, const char *path, stream_coding_t coding, members_t *found, err_t *err) {
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
    int rc = read_on(fd, path, coding, false, found, err);
    if (rc == SDG_EPARSE && !found->torn && zeros_behind(fd, found->whole_bytes)) {
        found->torn = true;
        return 0;
    }
    if (!found->torn) return rc;
    if (!whole_behind(fd, path, coding, found->whole_bytes)) return 0;
    return err_set(err, SDG_EPARSE, "%s: damaged %s data behind byte %llu", path,
                   coding == STREAM_GZIP ? "gzip" : "zstd", (unsigned long long)found->whole_bytes);
}
