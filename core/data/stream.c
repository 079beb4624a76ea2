/* stream.c - reading and decompressing.
 *
 * One loop (read_decoded) drives both decoders: feed input, take output, remember where members end. A step
 * of a decoder may both produce bytes and find an error behind them; the bytes are delivered first, the error
 * by the next call. `in_member` changes only when a step made progress, because a zstd decoder that is called
 * in vain at the end of a frame claims to want more. read_file alone decides whether to wait for a pipe; what
 * is above it keeps its state and is called again.
 */
#include "core/data/stream.h"

#include "core/data/files.h"
#include "core/data/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { MAGIC_BYTES = 4, GZIP_WINDOW = 15 + 16 };

struct stream {
    int fd;
    bool owns_fd;
    bool regular; /* a file: a read never has to wait for another program */
    bool waiting; /* answer STREAM_WAIT instead of blocking */
    char *name;   /* for sentences; owned */
    bool sniff;   /* the magic bytes have not decided the coding yet */
    stream_coding_t coding;
    unsigned char *in; /* DATA_READ_BYTES read from fd; plain: only the sniffed bytes */
    size_t in_at, in_len;
    bool may_hold; /* the decoder filled all its room last time, so it may hold more output */
    bool in_member;
    z_stream *z;         /* gzip; owned */
    ZSTD_DStream *zstd;  /* owned */
    uint64_t bytes_read; /* from fd */
    uint64_t bytes_made; /* of text */
    uint64_t member_end, member_text_end;
    uint64_t size;  /* of the file; 0 unknown */
    uint64_t limit; /* of bytes_read */
    char *ahead;    /* STREAM_PEEK_MAX bytes of text read by stream_peek and not given yet; owned */
    size_t ahead_at, ahead_len;
    err_t failure; /* code != 0: what every further read answers */
    bool torn;
};

static bool has_suffix(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}

stream_coding_t stream_coding_of(const char *path) {
    if (has_suffix(path, ".gz")) return STREAM_GZIP;
    if (has_suffix(path, ".zst") || has_suffix(path, ".zstd")) return STREAM_ZSTD;
    return STREAM_PLAIN;
}

stream_coding_t stream_coding(const stream_t *s) { return s->coding; }
const char *stream_name(const stream_t *s) { return s->name; }
uint64_t stream_member_end(const stream_t *s) {
    return s->coding == STREAM_PLAIN ? s->bytes_read : s->member_end;
}
uint64_t stream_member_text_end(const stream_t *s) {
    return s->coding == STREAM_PLAIN ? s->bytes_made : s->member_text_end;
}
bool stream_torn(const stream_t *s) { return s->torn; }

void stream_progress(const stream_t *s, uint64_t *bytes_done, uint64_t *bytes_total) {
    *bytes_done = s->bytes_read;
    *bytes_total = s->size;
}

uint64_t stream_file_place(const stream_t *s, uint64_t text_place) {
    uint64_t decoded = s->bytes_read - (s->in_len - s->in_at);
    if (s->coding == STREAM_PLAIN || s->bytes_made == 0) return text_place;
    if (text_place >= s->bytes_made) return decoded;
    return (uint64_t)((double)decoded * ((double)text_place / (double)s->bytes_made));
}

void stream_set_waiting(stream_t *s) { s->waiting = !s->regular; }

int stream_fd(const stream_t *s) { return s->regular ? -1 : s->fd; }

void stream_limit(stream_t *s, uint64_t bytes) { s->limit = bytes; }

static stream_t *stream_new(int fd, bool owns_fd, const char *name, stream_coding_t coding) {
    stream_t *s = xcalloc(1, sizeof *s);
    s->fd = fd;
    s->owns_fd = owns_fd;
    s->name = xstrdup(name);
    s->coding = coding;
    s->limit = UINT64_MAX;
    struct stat st;
    s->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (s->regular) s->size = (uint64_t)st.st_size;
    return s;
}

stream_t *stream_from_fd(int fd, const char *name, stream_coding_t coding) {
    return stream_new(fd, false, name, coding);
}

/* stdin is duplicated, so that the descriptor is never 0, which czmq's loop does not take. */
stream_t *stream_open(const char *path, err_t *err) {
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "stdin" : path;
    int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        err_set(err, SDG_ENOTFOUND, "%s: no such file", path);
        return NULL;
    }
    if (fd < 0) {
        err_set(err, SDG_EIO, "%s: cannot be opened for reading: %s", name, strerror(errno));
        return NULL;
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        err_set(err, SDG_EINVAL, "%s is a folder: name the file in it", name);
        return NULL;
    }
    stream_t *s = stream_new(fd, true, name, stream_coding_of(path));
    s->sniff = s->coding == STREAM_PLAIN;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return s;
}

void stream_close(stream_t **stream) {
    stream_t *s = *stream;
    if (!s) return;
    if (s->z) inflateEnd(s->z);
    free(s->z);
    ZSTD_freeDStream(s->zstd);
    if (s->owns_fd) close(s->fd);
    free(s->in);
    free(s->ahead);
    free(s->name);
    free(s);
    *stream = NULL;
}

static int fail(stream_t *s, const char *what) {
    return err_set(&s->failure, SDG_EIO, "%s: %s", s->name, what);
}

/* The coding that the first bytes say; false: a few more are needed to know. */
static bool magic_decides(const unsigned char *b, size_t n, stream_coding_t *coding) {
    static const unsigned char GZIP[] = {0x1f, 0x8b}, ZSTD[] = {0x28, 0xb5, 0x2f, 0xfd};
    bool gzip = memcmp(b, GZIP, n < sizeof GZIP ? n : sizeof GZIP) == 0;
    bool zstd = memcmp(b, ZSTD, n < sizeof ZSTD ? n : sizeof ZSTD) == 0;
    *coding = STREAM_PLAIN;
    if (gzip && n >= sizeof GZIP) *coding = STREAM_GZIP;
    if (zstd && n >= sizeof ZSTD) *coding = STREAM_ZSTD;
    return *coding != STREAM_PLAIN || (!gzip && !zstd);
}

/* Do the first bytes of the file stand in `in`, and are they none of a packed file? */
static bool is_plain_text(const stream_t *s) {
    stream_coding_t coding;
    bool begin = s->bytes_read == s->in_len && s->bytes_made == 0;
    return begin && magic_decides(s->in, s->in_len, &coding) && coding == STREAM_PLAIN;
}

static int fail_damaged(stream_t *s, const char *coding, const char *why) {
    if (is_plain_text(s))
        return err_set(
            &s->failure, SDG_EPARSE,
            "%s is not %s data, although its name says so: was it unpacked already? Give it a name "
            "without the last ending",
            s->name, coding);
    return err_set(
        &s->failure, SDG_EPARSE,
        "%s: damaged %s data near byte %llu (%s); the text before it was read, unchecked from byte %llu of "
        "the file on",
        s->name, coding, (unsigned long long)(s->bytes_read - (s->in_len - s->in_at)), why,
        (unsigned long long)s->member_end);
}

static int fail_torn(stream_t *s, const char *coding) {
    s->torn = true;
    return err_set(&s->failure, SDG_EPARSE,
                   "%s: the %s data stops in the middle, at byte %llu: was the file copied completely?",
                   s->name, coding, (unsigned long long)s->bytes_read);
}

/* Would read(2) block? At the end of a pipe it would not: poll reports POLLHUP there. */
static bool nothing_yet(const stream_t *s) {
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

/* Bytes read from the file, 0 at its end, STREAM_WAIT, negative on failure. */
static ssize_t read_file(stream_t *s, void *to, size_t room) {
    if (s->waiting && nothing_yet(s)) return STREAM_WAIT;
    if (room > s->limit - s->bytes_read) room = s->limit - s->bytes_read;
    ssize_t n = file_read(s->fd, to, room);
    if (n < 0) return fail(s, strerror(errno));
    s->bytes_read += (uint64_t)n;
    return n;
}

static ssize_t fill(stream_t *s) {
    if (!s->in) s->in = xmalloc(DATA_READ_BYTES);
    if (s->in_at == s->in_len) s->in_at = s->in_len = 0;
    ssize_t n = read_file(s, s->in + s->in_len, DATA_READ_BYTES - s->in_len);
    if (n > 0) s->in_len += (size_t)n;
    return n;
}

static int sniff(stream_t *s) {
    ssize_t n = 1;
    while (n > 0 && s->in_len < MAGIC_BYTES) {
        n = fill(s);
        if (n > 0 && magic_decides(s->in, s->in_len, &s->coding)) break;
    }
    s->sniff = n == STREAM_WAIT;
    return n < 0 ? (int)n : 0;
}

static ssize_t read_plain(stream_t *s, char *to, size_t room) {
    size_t sniffed = s->in_len - s->in_at;
    if (sniffed == 0) return read_file(s, to, room);
    size_t n = sniffed < room ? sniffed : room;
    memcpy(to, s->in + s->in_at, n);
    s->in_at += n;
    return (ssize_t)n;
}

static void end_member(stream_t *s, size_t made) {
    s->in_member = false;
    s->member_end = s->bytes_read - (s->in_len - s->in_at);
    s->member_text_end = s->bytes_made + made;
}

/* Zero bytes behind a member are padding and are skipped, as by gzip itself. False: there is nothing else. */
static bool begin_gzip_member(stream_t *s) {
    while (s->member_end > 0 && s->in_at < s->in_len && s->in[s->in_at] == 0)
        s->in_at++;
    if (s->in_at == s->in_len) return false;
    s->in_member = true;
    inflateReset(s->z);
    return true;
}

/* One call of the decoder: takes input, puts *made bytes into `to`. 0, or a negative code. */
static int step_gzip(stream_t *s, char *to, size_t room, size_t *made) {
    if (!s->z) {
        s->z = xcalloc(1, sizeof *s->z);
        if (inflateInit2(s->z, GZIP_WINDOW) != Z_OK) return fail(s, "zlib cannot be started");
    }
    if (!s->in_member && !begin_gzip_member(s)) return 0;
    s->z->next_in = s->in + s->in_at;
    s->z->avail_in = (uInt)(s->in_len - s->in_at);
    s->z->next_out = (unsigned char *)to;
    s->z->avail_out = (uInt)room;
    int rc = inflate(s->z, Z_NO_FLUSH);
    s->in_at = s->in_len - s->z->avail_in;
    *made = room - s->z->avail_out;
    if (rc == Z_STREAM_END) end_member(s, *made);
    if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR) return 0;
    return fail_damaged(s, "gzip", s->z->msg ? s->z->msg : "unknown compression");
}

/* The largest window that is taken, as a power of 2: that of zstd's own format, or what the machine's memory
 * holds, but never less than what zstd takes unasked. */
static int window_log_max(void) {
    enum { UNASKED = 27 };
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    int most = (int)ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound;
    if (pages < 0 || page_bytes < 0) return UNASKED;
    while (most > UNASKED && ((uint64_t)1 << most) > (uint64_t)pages * (uint64_t)page_bytes)
        most--;
    return most;
}

static bool start_zstd(stream_t *s) {
    s->zstd = ZSTD_createDStream();
    return s->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, window_log_max()));
}

/* Not damaged: its window does not fit. */
static int fail_window(stream_t *s, const char *why) {
    return err_set(&s->failure, SDG_ELIMIT,
                   "%s: compressed with a longer window than this machine has memory for (%s): pack it anew "
                   "with a shorter one: zstd -dc --long=31 %s | zstd -o NEW.zst",
                   s->name, why, s->name);
}

static int fail_zstd(stream_t *s, size_t rc) {
    ZSTD_ErrorCode code = ZSTD_getErrorCode(rc);
    const char *why = ZSTD_getErrorName(rc);
    bool memory = code == ZSTD_error_frameParameter_windowTooLarge || code == ZSTD_error_memory_allocation;
    return memory ? fail_window(s, why) : fail_damaged(s, "zstd", why);
}

static int step_zstd(stream_t *s, char *to, size_t room, size_t *made) {
    if (!s->zstd && !start_zstd(s)) return fail(s, "zstd cannot be started");
    ZSTD_inBuffer in = {s->in, s->in_len, s->in_at};
    ZSTD_outBuffer out = {to, room, 0};
    size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);
    bool progress = in.pos > s->in_at || out.pos > 0;
    s->in_at = in.pos;
    *made = out.pos;
    if (ZSTD_isError(rc)) return fail_zstd(s, rc);
    if (progress && rc == 0) end_member(s, *made);
    if (progress && rc != 0) s->in_member = true;
    return 0;
}

/* As stream_read. A file that ends inside a member is torn. */
static ssize_t read_decoded(stream_t *s, char *to, size_t room) {
    bool gzip = s->coding == STREAM_GZIP;
    for (;;) {
        if (s->in_at == s->in_len && !s->may_hold) {
            ssize_t n = fill(s);
            if (n < 0) return n;
            if (n == 0) return s->in_member ? fail_torn(s, gzip ? "gzip" : "zstd") : 0;
        }
        size_t made = 0;
        int rc = gzip ? step_gzip(s, to, room, &made) : step_zstd(s, to, room, &made);
        s->may_hold = made == room;
        s->bytes_made += made;
        if (made > 0) return (ssize_t)made;
        if (rc < 0) return rc;
    }
}

/* As stream_read, past what was peeked at. */
static ssize_t read_text(stream_t *s, char *to, size_t room) {
    ssize_t n = s->failure.code;
    if (room > INT32_MAX) room = INT32_MAX;
    if (n == 0 && s->sniff) n = sniff(s);
    if (n == 0 && s->coding == STREAM_PLAIN) {
        n = read_plain(s, to, room);
        if (n > 0) s->bytes_made += (uint64_t)n;
    } else if (n == 0) {
        n = read_decoded(s, to, room);
    }
    return n;
}

int stream_peek(stream_t *s, size_t want, const char **bytes, size_t *n) {
    ssize_t got = 1;
    assert(want <= STREAM_PEEK_MAX);
    if (!s->ahead) s->ahead = xmalloc(STREAM_PEEK_MAX);
    memmove(s->ahead, s->ahead + s->ahead_at, s->ahead_len - s->ahead_at);
    s->ahead_len -= s->ahead_at;
    s->ahead_at = 0;
    while (s->ahead_len < want &&
           (got = read_text(s, s->ahead + s->ahead_len, STREAM_PEEK_MAX - s->ahead_len)) > 0)
        s->ahead_len += (size_t)got;
    *bytes = s->ahead;
    *n = s->ahead_len;
    return got < 0 ? (int)got : 0;
}

static size_t give_peeked(stream_t *s, char *to, size_t room) {
    size_t left = s->ahead_len - s->ahead_at, n = left < room ? left : room;
    if (n == 0) return 0;
    memcpy(to, s->ahead + s->ahead_at, n);
    s->ahead_at += n;
    if (n < left) return n;
    free(s->ahead);
    s->ahead = NULL;
    s->ahead_at = s->ahead_len = 0;
    return n;
}

ssize_t stream_read(stream_t *s, char *to, size_t room, err_t *err) {
    assert(room > 0);
    size_t peeked = give_peeked(s, to, room);
    if (peeked) return (ssize_t)peeked;
    ssize_t n = read_text(s, to, room);
    if (n < 0 && n != STREAM_WAIT && err) *err = s->failure;
    return n;
}
