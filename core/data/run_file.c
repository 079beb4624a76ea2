/* run_file.c - see run_file.h. */
#include "core/data/run_file.h"

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/safe_open.h"
#include "core/data/files.h"
#include "core/data/limits.h"
#include "core/data/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    RUN_FILE_FORMAT = 2,
    RUN_LINE_BYTES_MAX = 1 << 20, /* a line has some hundred bytes; a longer one is none of ours */
    CHECK_DIGITS = 16,
};

static const char CHECK_KEY[] = ", \"check\": \"";
static const char REWRITING[] = "{\"rewriting\": true";

static char *run_file_path(const char *output) { return xasprintf("%s.sdg", output); }

/* ---- a line and its check */

/* Ends a line that lies in `out` from `start` on. */
static void add_check(buf_t *out, size_t start) {
    uint64_t check = XXH3_64bits(out->data + start, out->len - start);
    buf_addf(out, "%s%016" PRIx64 "\"}\n", CHECK_KEY, check);
}

typedef enum line_check_result { CHECK_ABSENT, CHECK_FITS, CHECK_FAILS } line_check_result_t;

/* Is the line, given without its newline, as it was written? *len: the bytes before its check. */
static line_check_result_t verify_line(const char *line, size_t len, size_t *before) {
    size_t tail = sizeof CHECK_KEY - 1 + CHECK_DIGITS + 2;
    char digits[CHECK_DIGITS + 1];
    if (!memmem(line, len, CHECK_KEY, sizeof CHECK_KEY - 1)) return CHECK_ABSENT;
    if (len < tail || memcmp(line + len - tail, CHECK_KEY, sizeof CHECK_KEY - 1) != 0) return CHECK_FAILS;
    *before = len - tail;
    snprintf(digits, sizeof digits, "%016" PRIx64, (uint64_t)XXH3_64bits(line, *before));
    bool fits = memcmp(line + *before + sizeof CHECK_KEY - 1, digits, CHECK_DIGITS) == 0 &&
                memcmp(line + len - 2, "\"}", 2) == 0;
    return fits ? CHECK_FITS : CHECK_FAILS;
}

/* ---- reading */

/* Calls visit for each line until it returns false. 1: there was a line; 0: there is no file, or it is empty;
 * negative: failed. */
typedef bool visit_line_fn(void *context, const text_line_t *line);
static int read_lines(const char *path, visit_line_fn *visit, void *context, err_t *err) {
    int fd = safe_open_ordinary(path, O_RDONLY, 0);
    if (fd < 0 && errno == ENOENT) return 0;
    if (fd < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, safe_open_why(errno));
    stream_t *stream = stream_from_fd(fd, path, STREAM_PLAIN);
    lines_t *lines = lines_new(stream, RUN_LINE_BYTES_MAX);
    text_line_t line = {0};
    int rc;
    while ((rc = lines_next(lines, &line, err)) > 0 && visit(context, &line)) {
    }
    lines_destroy(&lines);
    stream_close(&stream);
    close(fd);
    return rc < 0 ? rc : line.number > 0;
}

static bool keep_line(void *text, const text_line_t *line) {
    buf_init(text, RUN_LINE_BYTES_MAX + 1);
    buf_add(text, line->bytes, line->len);
    return false;
}

/* The first line, without its newline; one that is too long is "". 1, 0: there is none, negative: failed. */
static int read_head(const char *path, buf_t *out, err_t *err) {
    return read_lines(path, keep_line, out, err);
}

/* Is this the text under the key? Compared as JSON writes it, which replaces bytes that are no UTF-8. */
static bool text_is(value_t object, const char *key, const char *text) {
    value_t v = object_get_peek(object, key, strlen(key), NULL);
    buf_t there, ours;
    if (v.kind != VALUE_STRING) return false;
    buf_init(&there, 8 * RUN_FILE_BYTES_MAX);
    buf_init(&ours, 8 * RUN_FILE_BYTES_MAX);
    json_write_string(&there, v.string->data, v.string->len);
    json_write_string(&ours, text ? text : "", text ? strlen(text) : 0);
    bool same = there.len == ours.len && memcmp(there.data, ours.data, ours.len) == 0;
    buf_free(&there);
    buf_free(&ours);
    return same;
}

static int say_damaged(const char *output, const char *path, const char *how, err_t *err) {
    err_set(err, SDG_EINVAL,
            "%s %s, it does not say which run wrote the output: give --force-resume to continue %s and "
            "write %s anew, or --overwrite to start anew",
            path, how, output, path);
    return 0;
}

/* Is this the head of a run file that we understand? 0 and *match: RUN_SAME, or RUN_DAMAGED and a
 * sentence. SDG_EINVAL: a newer sdg has written it. */
static int check_format(const char *output, const char *path, const buf_t *head, value_t object,
                        run_match_t *match, err_t *err) {
    size_t before;
    line_check_result_t check = verify_line(head->data, head->len, &before);
    value_t format = object.kind == VALUE_OBJECT ? object_get_peek(object, "format", 6, NULL) : value_null();
    *match = RUN_DAMAGED;
    if (check == CHECK_FAILS) return say_damaged(output, path, "is damaged", err);
    if (format.kind != VALUE_INT || format.integer < 1)
        return say_damaged(output, path, "is damaged, or none of sdg", err);
    if (check == CHECK_ABSENT && format.integer == RUN_FILE_FORMAT)
        return say_damaged(output, path, "is damaged", err);
    if (format.integer > RUN_FILE_FORMAT)
        return err_set(err, SDG_EINVAL,
                       "%s was written by a newer sdg (format %lld, this one knows %d): use that version, or "
                       "--overwrite to "
                       "start anew",
                       path, (long long)format.integer, RUN_FILE_FORMAT);
    *match = RUN_SAME;
    return 0;
}

/* Names what differs in the sentence: one, two or all three of pipeline, input and options. */
static void compare(const char *output, value_t object, const run_identity_t *now, run_match_t *match,
                    err_t *err) {
    const char *name[3];
    size_t n = 0;
    if (!text_is(object, "pipeline", now->pipeline)) name[n++] = "another pipeline";
    if (!text_is(object, "input", now->input)) name[n] = n == 0 ? "another input" : "input", n++;
    if (!text_is(object, "options", now->options)) name[n++] = "other options";
    *match = n == 0 ? RUN_SAME : RUN_DIFFERS;
    if (n == 0) return;
    err_set(err, SDG_EMISMATCH,
            "%s was written with %s%s%s%s%s (%s.sdg): give --overwrite to start anew, or "
            "--force-resume to continue it anyway",
            output, name[0],
            n == 3   ? ", "
            : n == 2 ? " and "
                     : "",
            n > 1 ? name[1] : "", n == 3 ? " and " : "", n == 3 ? name[2] : "", output);
}

/* A file that is no JSON is refused by check_format, as one without a format. */
int run_file_check(const char *output, const run_identity_t *now, run_match_t *match, err_t *err) {
    char *path = run_file_path(output);
    buf_t head = {0};
    value_t object = value_null();
    *match = RUN_ABSENT;
    int rc = read_head(path, &head, err);
    if (rc > 0) {
        json_parse_text(head.data, head.len, &object, NULL);
        rc = check_format(output, path, &head, object, match, err);
        if (rc == 0 && *match == RUN_SAME) compare(output, object, now, match, err);
    }
    value_free(object);
    buf_free(&head);
    free(path);
    return rc;
}

/* Could these bytes begin a run file, or what a power loss has left of one? */
static bool looks_ours(const buf_t *text) {
    static const char BEGIN[] = "{\"format\": ";
    size_t zeros = 0;
    while (zeros < text->len && text->data[zeros] == '\0')
        zeros++;
    return zeros == text->len ||
           (text->len >= sizeof BEGIN - 1 && memcmp(text->data, BEGIN, sizeof BEGIN - 1) == 0);
}

int run_file_check_ours(const char *output, err_t *err) {
    char *path = run_file_path(output);
    buf_t head = {0};
    int rc = read_head(path, &head, err);
    if (rc > 0)
        rc = looks_ours(&head)
                 ? 0
                 : err_set(err, SDG_EINVAL,
                           "%s lies where the record of this run would be written, and no run has "
                           "written it: move it away, or choose another output",
                           path);
    buf_free(&head);
    free(path);
    return rc;
}

static void write_block(buf_t *out, const line_block_t *b) {
    size_t start = out->len;
    buf_addf(out,
             "{\"first\": %" PRIu64 ", \"lines\": %" PRIu64 ", \"rows\": %" PRIu64 ", \"sum\": \"%016" PRIx64
             "\"",
             b->first, b->lines, b->rows, b->sum);
    add_check(out, start);
}

/* The line is as it was written, so its form is ours. */
static bool read_block(const char *line, line_block_t *b) {
    return sscanf(line,
                  "{\"first\": %" SCNu64 ", \"lines\": %" SCNu64 ", \"rows\": %" SCNu64
                  ", \"sum\": \"%" SCNx64 "\"",
                  &b->first, &b->lines, &b->rows, &b->sum) == 4;
}

/* A last line without a newline is one that was not written to its end; what a power loss left empty is full
 * of zeros. */
static bool see_sums(void *context, const text_line_t *line) {
    run_file_sums_t *sums = context;
    char text[256];
    size_t before;
    line_block_t block;
    if (line->number == 1 || (!line->whole && !line->too_long)) return true;
    bool fits = !line->too_long && verify_line(line->bytes, line->len, &before) == CHECK_FITS;
    if (fits && before == sizeof REWRITING - 1 && memcmp(line->bytes, REWRITING, before) == 0) {
        sums->rewriting = true;
    } else if (fits && before < sizeof text) {
        snprintf(text, sizeof text, "%.*s", (int)before, line->bytes);
        if (read_block(text, &block))
            line_blocks_add(&sums->blocks, &block);
        else
            sums->damaged_lines++;
    } else {
        sums->damaged_lines++;
    }
    return true;
}

int run_file_read_sums(const char *output, run_file_sums_t *sums, err_t *err) {
    char *path = run_file_path(output);
    *sums = (run_file_sums_t){0};
    int rc = read_lines(path, see_sums, sums, err);
    free(path);
    if (rc < 0) line_blocks_free(&sums->blocks);
    return rc < 0 ? rc : 0;
}

/* ---- writing */

struct run_file {
    char *path;          /* owned */
    buf_t head;          /* the first line */
    int fd;              /* -1: not written yet, or given up */
    off_t size;          /* of the file, as it was written */
    off_t last_at;       /* where its last block stands; 0: it has none */
    uint64_t last_first; /* the row that this block begins with */
    bool failed;
};

static void add_field(buf_t *out, const char *key, const char *text) {
    buf_addf(out, ", \"%s\": ", key);
    json_write_string(out, text ? text : "", text ? strlen(text) : 0);
}

/* 0, or -1 with errno; the temporary file is gone in either case. */
static int replace_file(const char *path, const buf_t *text) {
    char *fresh = xasprintf("%s.new", path);
    size_t written;
    int fd = safe_open_fresh(fresh, O_WRONLY, 0666);
    int rc = fd < 0 ? -1 : file_write_all(fd, text->data, text->len, &written);
    int error = errno;
    if (fd >= 0) close(fd);
    if (rc == 0 && (rc = rename(fresh, path)) != 0) error = errno;
    if (rc != 0 && fd >= 0) unlink(fresh);
    free(fresh);
    errno = error;
    return rc;
}

run_file_t *run_file_new(const char *output, const run_identity_t *now) {
    run_file_t *f = xcalloc(1, sizeof *f);
    f->path = run_file_path(output);
    f->fd = -1;
    buf_init(&f->head, RUN_LINE_BYTES_MAX);
    buf_addf(&f->head, "{\"format\": %d", RUN_FILE_FORMAT);
    add_field(&f->head, "pipeline", now->pipeline);
    add_field(&f->head, "input", now->input);
    add_field(&f->head, "options", now->options);
    add_field(&f->head, "version", SDG_VERSION);
    add_check(&f->head, 0);
    return f;
}

void run_file_close(run_file_t **file) {
    run_file_t *f = *file;
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    buf_free(&f->head);
    free(f->path);
    free(f);
    *file = NULL;
}

/* Does the file hold just this text? */
static bool holds(const char *path, const buf_t *text) {
    int fd = safe_open_ordinary(path, O_RDONLY, 0);
    char block[4096];
    size_t at = 0;
    ssize_t n = -1;
    while (fd >= 0 && (n = file_read(fd, block, sizeof block)) > 0 && (size_t)n <= text->len - at &&
           memcmp(block, text->data + at, (size_t)n) == 0)
        at += (size_t)n;
    if (fd >= 0) close(fd);
    return n == 0 && at == text->len;
}

/* Makes the file hold this text, and opens it for more. 0, or -1 with errno. */
static int put_file(run_file_t *f, const buf_t *text) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    if (!holds(f->path, text) && replace_file(f->path, text) != 0) return -1;
    f->fd = safe_open_ordinary(f->path, O_RDWR, 0);
    f->size = (off_t)text->len;
    return f->fd >= 0 ? 0 : -1;
}

/* Adds the lines of blocks to a text that is to stand in the file from `at` on. */
static void write_blocks(run_file_t *f, const line_blocks_t *blocks, off_t at, buf_t *out) {
    for (size_t i = 0; i < blocks->count; i++) {
        f->last_at = at + (off_t)out->len;
        f->last_first = blocks->items[i].first;
        write_block(out, &blocks->items[i]);
    }
}

int run_file_write(run_file_t *f, const line_blocks_t *blocks, err_t *err) {
    buf_t text;
    buf_init(&text, RUN_FILE_BYTES_MAX);
    buf_add(&text, f->head.data, f->head.len);
    write_blocks(f, blocks, 0, &text);
    int rc = put_file(f, &text);
    if (rc != 0)
        rc = err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO, "%s: cannot be written: %s", f->path,
                     strerror(errno));
    buf_free(&text);
    return rc;
}

/* Opens the file that is there. -1: there is none, or it cannot be written. */
static int open_there(const char *output, char **path) {
    *path = run_file_path(output);
    return safe_open_ordinary(*path, O_RDWR | O_APPEND, 0);
}

/* Does the file end inside a line? */
static bool is_torn(int fd) {
    char last;
    off_t size = lseek(fd, 0, SEEK_END);
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

int run_file_begin_rewrite(const char *output, err_t *err) {
    char *path;
    buf_t mark;
    size_t written = 0;
    int fd = open_there(output, &path), rc = 0;
    buf_init(&mark, RUN_LINE_BYTES_MAX);
    if (fd >= 0 && is_torn(fd)) buf_addc(&mark, '\n');
    size_t start = mark.len;
    buf_add(&mark, REWRITING, sizeof REWRITING - 1);
    add_check(&mark, start);
    if (fd < 0 ? errno != ENOENT
               : (file_write_all(fd, mark.data, mark.len, &written) != 0 || fdatasync(fd) != 0))
        rc = err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO, "%s: cannot be written: %s", path,
                     safe_open_why(errno));
    if (fd >= 0) close(fd);
    buf_free(&mark);
    free(path);
    return rc;
}

/* Cuts the mark off again, be it whole or not. */
void run_file_cancel_rewrite(const char *output) {
    char *path, tail[sizeof REWRITING + sizeof CHECK_KEY + CHECK_DIGITS + 3];
    int fd = open_there(output, &path);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        off_t from = st.st_size > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : 0;
        ssize_t n = pread(fd, tail, sizeof tail, from);
        char *mark = n > 0 ? memmem(tail, (size_t)n, "\n{\"rewr", 7) : NULL;
        if (mark && ftruncate(fd, from + (mark - tail) + 1) != 0)
            log_warn("writer", "%s: cannot be cut back: %s", path, strerror(errno));
    }
    if (fd >= 0) close(fd);
    free(path);
}

/* ---- appending */

static void give_up(run_file_t *f, const char *why) {
    log_warn("writer", "%s: %s: it gets no more checksums in this run", f->path, why);
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    f->failed = true;
}

/* Makes the file anew, with what was written to it before if that can still be read. */
static void restore(run_file_t *f, bool whole, const char *how) {
    buf_t text;
    char block[4096];
    buf_init(&text, RUN_FILE_BYTES_MAX);
    off_t at = 0;
    for (ssize_t n; whole && (n = pread(f->fd, block, sizeof block, at)) > 0; at += n)
        buf_add(&text, block, (size_t)n);
    whole = whole && at == f->size && memcmp(text.data, f->head.data, f->head.len) == 0;
    if (!whole) {
        buf_reset(&text);
        buf_add(&text, f->head.data, f->head.len);
        f->last_at = 0;
    }
    log_warn("writer", "%s was %s while the run wrote it: it is written again%s", f->path, how,
             whole ? "" : ", without the checksums of earlier lines");
    if (put_file(f, &text) != 0) give_up(f, strerror(errno));
    buf_free(&text);
}

void run_file_watch(run_file_t *f, const char *output) {
    struct stat named, open;
    if (f->fd < 0 || fstat(f->fd, &open) != 0) return;
    bool there = stat(f->path, &named) == 0;
    if (!there && errno != ENOENT) return;
    if (there && named.st_dev == open.st_dev && named.st_ino == open.st_ino) {
        if (open.st_size != f->size) restore(f, false, "changed by another program");
        return;
    }
    if (there && run_file_check_ours(output, NULL) != 0)
        give_up(f, "another file was put in its place, which is left alone");
    else
        restore(f, open.st_size == f->size, there ? "replaced" : "removed or renamed");
}

/* 0, or -1 with errno. */
static int write_at(int fd, const buf_t *text, off_t at) {
    for (size_t done = 0; done < text->len;) {
        ssize_t n = pwrite(fd, text->data + done, text->len - done, at + (off_t)done);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) done += (size_t)n;
    }
    return 0;
}

/* A block that has grown is written over what was said of it before: it is the last one. */
void run_file_append(run_file_t *f, const line_blocks_t *blocks) {
    buf_t text;
    if (f->fd < 0 || blocks->count == 0) return;
    bool grown = f->last_at > 0 && blocks->items[0].first == f->last_first;
    off_t at = grown ? f->last_at : f->size;
    buf_init(&text, RUN_FILE_BYTES_MAX);
    write_blocks(f, blocks, at, &text);
    off_t end = at + (off_t)text.len;
    if (write_at(f->fd, &text, at) != 0 || (end < f->size && ftruncate(f->fd, end) != 0)) {
        int error = errno;
        if (ftruncate(f->fd, at) != 0) log_warn("writer", "%s: cannot be cut back", f->path);
        give_up(f, strerror(error));
    }
    f->size = end;
    buf_free(&text);
}

void run_file_sync(run_file_t *f) {
    if (f->fd >= 0) (void)fsync(f->fd);
    file_sync_parent(f->path);
}
