/* sink.c - see sink.h. */
#include "core/data/sink.h"

#include "core/base/buf.h"
#include "core/data/files.h"
#include "core/data/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    GZIP_WINDOW = 15 + 16, /* zlib: 32 KiB, and 16 asks for gzip's head and tail */
    GZIP_LEVEL = 3,        /* about half the CPU of 6 for a few percent of size */
    ZSTD_LEVEL = 3,
};

struct sink {
    int fd;
    char *name; /* owned */
    stream_coding_t coding;
    bool regular;
    off_t end;       /* size of the file: whole lines or members only */
    z_stream *z;     /* gzip; owned */
    ZSTD_CCtx *zstd; /* owned */
    buf_t packed;    /* the member being written */
    err_t failure;
};

static void start_coding(sink_t *s) {
    if (s->coding == STREAM_GZIP) {
        s->z = xcalloc(1, sizeof *s->z);
        int rc = deflateInit2(s->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
        assert(rc == Z_OK);
    } else if (s->coding == STREAM_ZSTD) {
        s->zstd = ZSTD_createCCtx();
        assert(s->zstd);
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
    }
}

sink_t *sink_new(int take_fd, const char *name, stream_coding_t coding) {
    sink_t *s = xcalloc(1, sizeof *s);
    s->fd = take_fd;
    s->name = xstrdup(name);
    s->coding = coding;
    struct stat st;
    s->regular = fstat(take_fd, &st) == 0 && S_ISREG(st.st_mode);
    if (s->regular) s->end = st.st_size;
    buf_init(&s->packed, 2 * RESULT_LINE_BYTES_MAX);
    start_coding(s);
    return s;
}

void sink_close(sink_t **sink) {
    sink_t *s = *sink;
    if (!s) return;
    if (s->z) deflateEnd(s->z);
    free(s->z);
    ZSTD_freeCCtx(s->zstd);
    buf_free(&s->packed);
    close(s->fd);
    free(s->name);
    free(s);
    *sink = NULL;
}

bool sink_regular(const sink_t *s) { return s->regular; }
bool sink_compresses(const sink_t *s) { return s->coding != STREAM_PLAIN; }

int sink_reopen(const sink_t *s, err_t *err) {
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    return fd >= 0 ? fd : err_set(err, SDG_EIO, "%s: %s", s->name, strerror(errno));
}

int sink_broken(const sink_t *s, err_t *err) {
    if (s->failure.code && err) *err = s->failure;
    return s->failure.code;
}

static int fail(sink_t *s, const char *what, int error, err_t *err) {
    if (file_no_space(error))
        err_set(&s->failure, SDG_ENOSPACE, "%s: %s: %s; make room and run again: it continues from here",
                s->name, what, strerror(error));
    else
        err_set(&s->failure, SDG_EIO, "%s: %s: %s", s->name, what, strerror(error));
    return sink_broken(s, err);
}

/* How many of the first `written` bytes are whole: lines of plain text, but nothing of a member. */
static size_t whole_bytes(const sink_t *s, const char *bytes, size_t written) {
    if (s->coding != STREAM_PLAIN) return 0;
    const char *newline = memrchr(bytes, '\n', written);
    return newline ? (size_t)(newline - bytes) + 1 : 0;
}

/* Writes all of it, or cuts the file back to what is whole and breaks the sink. */
static int write_or_cut_back(sink_t *s, const char *bytes, size_t n, err_t *err) {
    size_t written;
    if (file_write_all(s->fd, bytes, n, &written) == 0) {
        s->end += (off_t)n;
        return 0;
    }
    int error = errno;
    if (s->regular) {
        s->end += (off_t)whole_bytes(s, bytes, written);
        if (ftruncate(s->fd, s->end) != 0)
            return fail(s, "cannot be cut back after a failed write", errno, err);
    }
    return fail(s, "cannot be written", error, err);
}

/* Packs n bytes into one whole gzip member. One call is enough, because deflateBound says how much room it
 * needs. */
static void pack_gzip(sink_t *s, const char *bytes, size_t n) {
    deflateReset(s->z);
    size_t bound = deflateBound(s->z, n);
    char *room = buf_reserve(&s->packed, bound);
    assert(room);
    s->z->next_in = (unsigned char *)bytes;
    s->z->avail_in = (uInt)n;
    s->z->next_out = (unsigned char *)room;
    s->z->avail_out = (uInt)bound;
    int rc = deflate(s->z, Z_FINISH);
    assert(rc == Z_STREAM_END);
    s->packed.len += bound - s->z->avail_out;
}

static void pack_zstd(sink_t *s, const char *bytes, size_t n) {
    size_t bound = ZSTD_compressBound(n);
    char *room = buf_reserve(&s->packed, bound);
    assert(room);
    size_t made = ZSTD_compress2(s->zstd, room, bound, bytes, n);
    assert(!ZSTD_isError(made));
    s->packed.len += made;
}

int sink_write(sink_t *s, const char *lines, size_t n, err_t *err) {
    if (sink_broken(s, err)) return s->failure.code;
    if (n == 0) return 0;
    assert(lines[n - 1] == '\n' && n <= RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES_MAX + 1);
    if (s->coding == STREAM_PLAIN) return write_or_cut_back(s, lines, n, err);
    buf_reset(&s->packed);
    if (s->coding == STREAM_GZIP)
        pack_gzip(s, lines, n);
    else
        pack_zstd(s, lines, n);
    int rc = write_or_cut_back(s, s->packed.data, s->packed.len, err);
    if (s->packed.cap > 4 * WRITE_FLUSH_BYTES) buf_free(&s->packed); /* after a giant line */
    return rc;
}

/* The file was taken away under the run: the rest of the sentence is `how`. */
static int fail_lost(sink_t *s, const char *how, err_t *err) {
    err_set(&s->failure, SDG_EIO,
            "%s was %s while the run wrote it: the run ends here; the same command does what is missing",
            s->name, how);
    return sink_broken(s, err);
}

int sink_check_place(sink_t *s, const char *path, err_t *err) {
    struct stat named, open;
    if (sink_broken(s, err)) return s->failure.code;
    if (fstat(s->fd, &open) != 0) return 0;
    if (stat(path, &named) != 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ESTALE
                   ? fail_lost(s, "removed or renamed", err)
                   : 0;
    if (named.st_dev != open.st_dev || named.st_ino != open.st_ino)
        return fail_lost(s, "replaced by another file", err);
    if (open.st_size < s->end) return fail_lost(s, "cut by another program", err);
    return open.st_size > s->end ? fail_lost(s, "written to by another program", err) : 0;
}

int sink_sync(sink_t *s, err_t *err) {
    if (sink_broken(s, err)) return s->failure.code;
    if (s->regular && fdatasync(s->fd) != 0) return fail(s, "cannot be synced to disk", errno, err);
    return 0;
}
