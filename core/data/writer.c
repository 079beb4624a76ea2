/* writer.c - the output of a run (writer.h).
 *
 * Rows gather in `pending` and are written in batches (sink.c). In ordered mode a row that comes early waits
 * in a heap. `finished` has a row as soon as it was added, so the first number that is absent there tells how
 * far the heap may be emptied.
 */
#include "core/data/writer.h"

#include "core/base/buf.h"
#include "core/base/heap.h"
#include "core/base/log.h"
#include "core/data/files.h"
#include "core/data/limits.h"
#include "core/data/output.h"
#include "core/data/resume.h"
#include "core/data/run_file.h"
#include "core/data/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct early_row { /* ordered mode: a row that waits for one below it */
    size_t len;
    char json[];
} early_row_t;

struct writer {
    char *path; /* as given; owned */
    sink_t *sink;
    rangeset_t *finished; /* in the file at open, or added since */
    rangeset_t *failed;   /* in the file at open, with _error */
    buf_t pending;        /* whole lines not yet handed to the sink */
    size_t flush_bytes;
    bool ordered;
    heap_t early;         /* early_row_t, owned, by index */
    uint64_t early_bytes; /* of their lines */
    run_file_t *run_file; /* owned; NULL for what is no regular file */
    line_sums_t sums;     /* of the lines put into `pending` so far */
    bool names_synced;    /* the folder entry and X.sdg are durable */
};

/* ---- opening */

typedef struct opened { /* an output that is ready to be appended to */
    int fd;
    rangeset_t *finished, *failed; /* what stands in it */
    line_sums_t sums;
    run_file_t *run_file;
} opened_t;

static void close_opened(opened_t *o) {
    if (o->fd >= 0) close(o->fd);
    rangeset_destroy(&o->finished);
    rangeset_destroy(&o->failed);
    line_sums_free(&o->sums);
    run_file_close(&o->run_file);
}

static writer_t *writer_new(const char *path, const writer_options_t *options, const opened_t *take) {
    writer_t *w = xcalloc(1, sizeof *w);
    w->path = xstrdup(path);
    w->sink = sink_new(take->fd, strcmp(path, "-") == 0 ? "standard output" : path, stream_coding_of(path));
    w->finished = take->finished;
    w->failed = take->failed;
    w->sums = take->sums;
    w->run_file = take->run_file;
    w->ordered = options->ordered;
    w->flush_bytes = options->flush_bytes ? options->flush_bytes : WRITE_FLUSH_BYTES;
    if (w->flush_bytes > WRITE_FLUSH_BYTES_MAX) w->flush_bytes = WRITE_FLUSH_BYTES_MAX;
    buf_init(&w->pending, RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES_MAX + 1);
    return w;
}

static int cannot_open(const char *path, err_t *err) {
    int code = file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO;
    return err_set(err, code, "%s: cannot be opened for writing: %s", path, strerror(errno));
}

/* Opens stdout, a pipe or a device, where there is nothing to resume. The descriptor, or a negative code. */
static int open_pipe(const char *path, err_t *err) {
    int fd =
        strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 ? fd : cannot_open(path, err);
}

/* Does the path still name the open file? A rewrite by another run may have replaced it before we had the
 * lock. */
static bool same_file(int fd, const char *path) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Opens (creates) the file and locks it. The descriptor, or a negative code. */
static int open_locked(const char *path, err_t *err) {
    if (file_make_parents(path) != 0) return cannot_open(path, err);
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (fd < 0) return cannot_open(path, err);
        int rc = output_lock(fd, path, err);
        if (rc == 0 && same_file(fd, path)) return fd;
        close(fd);
        if (rc < 0) return rc;
    }
}

/* Does the run that wrote the rows match this one? SDG_EMISMATCH if not. *ours: a run file says that some run
 * has written them. */
static int check_identity(const char *path, const writer_options_t *options, const run_identity_t *now,
                          writer_resumed_t *resumed, bool *ours, err_t *err) {
    run_match_t match;
    int rc = run_file_check(path, now, &match, err);
    if (rc < 0) return rc;
    bool other = match == RUN_DIFFERS || match == RUN_DAMAGED;
    if (other && !options->force_resume) return match == RUN_DIFFERS ? SDG_EMISMATCH : SDG_EINVAL;
    resumed->adopted = match == RUN_ABSENT;
    resumed->identity_forced = other;
    *ours = match == RUN_SAME || match == RUN_DIFFERS;
    return 0;
}

/* Logs sentences, one a line. */
static void say(const buf_t *words) {
    for (const char *line = words->data, *end; line && (end = strchr(line, '\n')); line = end + 1)
        log_warn("writer", "%.*s", (int)(end - line), line);
}

/* Repairs a file that was scanned. While it is replaced by another, its run file says so. */
static int repair(opened_t *o, const char *path, bool retry_failed, const resume_t *found, err_t *err) {
    bool rewrites = found->repair == REPAIR_REWRITE;
    int rc = rewrites ? run_file_begin_rewrite(path, err) : 0;
    if (rc == 0) rc = resume_repair(&o->fd, path, stream_coding_of(path), retry_failed, found, err);
    if (rc < 0 && rewrites) run_file_cancel_rewrite(path);
    return rc;
}

/* Scans and repairs an output with something in it. rows_end: as in resume_how_t. */
static int continue_file(opened_t *o, const char *path, bool retry_failed, bool ours, uint64_t rows_end,
                         resume_t *found, err_t *err) {
    run_file_sums_t known;
    int rc = run_file_read_sums(path, &known, err);
    if (rc < 0) return rc;
    resume_how_t how = {.retry_failed = retry_failed,
                        .ours = ours,
                        .known = known.rewriting ? NULL : &known.blocks,
                        .rows_end = rows_end};
    rc = resume_scan(o->fd, path, stream_coding_of(path), &how, found, err);
    line_blocks_free(&known.blocks);
    if (rc < 0) return rc;
    if (known.damaged_lines)
        log_warn("writer",
                 "%s.sdg is damaged: %llu of its checksums cannot be used; their lines are only looked at "
                 "for being "
                 "results, and the file is written anew",
                 path, (unsigned long long)known.damaged_lines);
    say(&found->words);
    rc = repair(o, path, retry_failed, found, err);
    if (rc == 0) {
        o->finished = found->finished;
        o->failed = found->failed;
        o->sums = found->sums;
        found->finished = found->failed = NULL;
        found->sums = (line_sums_t){0};
    } else {
        resume_free(found);
    }
    return rc;
}

static int resume_file(opened_t *o, const char *path, const writer_options_t *options, bool ours,
                       writer_resumed_t *resumed, err_t *err) {
    resume_t found;
    int rc = continue_file(o, path, options->retry_failed, ours, UINT64_MAX, &found, err);
    if (rc < 0) return rc;
    resumed->rows_ok = found.rows_ok;
    resumed->rows_failed = found.rows_failed;
    resumed->rows_retried = found.rows_retried;
    resumed->torn_bytes = found.torn_bytes;
    resumed->lines_rejected = found.lines_rejected;
    resumed->lines_changed = found.lines_changed;
    resumed->lines_missing = found.lines_missing;
    resume_free(&found);
    return 0;
}

/* Writes the run file with the checksums of all lines that are in the output. */
static int write_run_file(run_file_t *file, line_sums_t *sums, err_t *err) {
    line_blocks_t blocks = {0};
    line_sums_take(sums, &blocks);
    int rc = run_file_write(file, &blocks, err);
    line_blocks_free(&blocks);
    return rc;
}

/* --overwrite: what is there goes, if it is an output of ours. */
static int empty(int fd, const char *path, err_t *err) {
    int rc = output_check_ours(fd, path, stream_coding_of(path), err);
    if (rc == 0) rc = run_file_check_ours(path, err);
    if (rc < 0) return rc;
    return ftruncate(fd, 0) == 0 ? 0 : cannot_open(path, err);
}

/* Makes an open, locked file ready to be appended to. On failure close_opened frees what there is. */
static int prepare(opened_t *o, const char *path, const writer_options_t *options, writer_resumed_t *resumed,
                   err_t *err) {
    run_identity_t now = {options->pipeline_identity, options->input_identity, options->options_identity};
    struct stat st;
    bool ours = false;
    if (options->overwrite && empty(o->fd, path, err) != 0) return err->code;
    if (fstat(o->fd, &st) != 0) return cannot_open(path, err);
    if (st.st_size > 0) {
        int rc = check_identity(path, options, &now, resumed, &ours, err);
        if (rc == 0) rc = resume_file(o, path, options, ours, resumed, err);
        if (rc < 0) return rc;
    } else if (run_file_check_ours(path, err) < 0) {
        return err->code;
    } else {
        o->finished = rangeset_new();
        o->failed = rangeset_new();
    }
    if (resumed->rows_ok + resumed->rows_failed + resumed->rows_retried == 0) resumed->adopted = false;
    o->run_file = run_file_new(path, &now);
    return write_run_file(o->run_file, &o->sums, err);
}

/* Looks at what lies at the path. A folder is refused; *regular is false for stdout, a pipe or a device. */
static int look_at(const char *path, bool *regular, err_t *err) {
    struct stat st;
    bool is_stdout = strcmp(path, "-") == 0;
    bool exists = !is_stdout && stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return err_set(err, SDG_EINVAL, "%s is a folder: name a file in it for the output", path);
    *regular = !is_stdout && (!exists || S_ISREG(st.st_mode));
    return 0;
}

/* The file is locked before it is read, and stays locked until writer_close. */
writer_t *writer_open(const char *path, const writer_options_t *options, writer_resumed_t *resumed,
                      err_t *err) {
    writer_resumed_t found = {0};
    opened_t o = {0};
    err_t why = {0};
    bool regular = false;
    int rc = look_at(path, &regular, &why);
    if (rc == 0) rc = o.fd = regular ? open_locked(path, &why) : open_pipe(path, &why);
    if (rc >= 0 && regular && (rc = prepare(&o, path, options, &found, &why)) < 0) close_opened(&o);
    if (rc < 0) {
        if (err) *err = why;
        return NULL;
    }
    if (resumed) *resumed = found;
    if (!regular) {
        o.finished = rangeset_new();
        o.failed = rangeset_new();
    }
    return writer_new(path, options, &o);
}

/* ---- writing */

const rangeset_t *writer_finished(const writer_t *w) { return w->finished; }
const rangeset_t *writer_failed(const writer_t *w) { return w->failed; }
uint64_t writer_waiting_rows(const writer_t *w) { return w->early.count; }
uint64_t writer_waiting_bytes(const writer_t *w) { return w->early_bytes; }
bool writer_holds_back(const writer_t *w) { return sink_compresses(w->sink); }

static int write_pending(writer_t *w, err_t *err) {
    int rc = sink_write(w->sink, w->pending.data, w->pending.len, err);
    buf_reset(&w->pending);
    if (w->pending.cap > 4 * w->flush_bytes) buf_free(&w->pending); /* after a giant line */
    return rc;
}

static int put_line(writer_t *w, uint64_t index, const char *json, size_t len, err_t *err) {
    if (w->run_file) line_sums_add(&w->sums, index, json, len);
    buf_add(&w->pending, json, len);
    buf_addc(&w->pending, '\n');
    return w->pending.len >= w->flush_bytes ? write_pending(w, err) : 0;
}

static void keep_early(writer_t *w, uint64_t index, const char *json, size_t len) {
    early_row_t *row = xmalloc(sizeof *row + len);
    row->len = len;
    memcpy(row->json, json, len);
    w->early_bytes += len;
    heap_add(&w->early, index, row, NULL);
}

/* Writes the early rows below `limit`. */
static int release_early(writer_t *w, uint64_t limit, err_t *err) {
    int rc = 0;
    for (const heap_item_t *first; rc == 0 && (first = heap_first(&w->early)) && first->key < limit;) {
        uint64_t index = first->key;
        early_row_t *row = heap_pop(&w->early).pointer;
        w->early_bytes -= row->len;
        rc = put_line(w, index, row->json, row->len, err);
        free(row);
    }
    return rc;
}

/* In ordered mode a row that is not early may be one that fills a gap: then the rows behind it follow at
 * once. */
int writer_add(writer_t *w, uint64_t index, const char *json, size_t len, err_t *err) {
    assert(len > 0 && !memchr(json, '\n', len));
    int rc = sink_broken(w->sink, err);
    if (rc < 0) return rc;
    if (len > RESULT_LINE_BYTES_MAX)
        return err_set(err, SDG_ELIMIT, "row %llu: a result of %zu bytes, over the %zu MiB a line may have",
                       (unsigned long long)index, len, RESULT_LINE_BYTES_MAX >> 20);
    if (!rangeset_add(w->finished, index)) return 1;
    if (!w->ordered) return put_line(w, index, json, len, err);
    uint64_t limit = rangeset_first_absent(w->finished, 0);
    if (index >= limit) {
        keep_early(w, index, json, len);
        return 0;
    }
    rc = release_early(w, index, err);
    if (rc == 0) rc = put_line(w, index, json, len, err);
    return rc < 0 ? rc : release_early(w, limit, err);
}

int writer_check(writer_t *w, err_t *err) {
    if (strcmp(w->path, "-") == 0 || !sink_regular(w->sink)) return 0;
    return sink_check_place(w->sink, w->path, err);
}

/* Says the checksums of what was written: a kill of this process leaves both. */
static void put_sums(writer_t *w) {
    line_blocks_t blocks = {0};
    if (!w->run_file) return;
    line_sums_take(&w->sums, &blocks);
    run_file_append(w->run_file, &blocks);
    line_blocks_free(&blocks);
}

int writer_flush(writer_t *w, err_t *err) {
    int rc = sink_broken(w->sink, err);
    if (rc < 0) return rc;
    if (sink_compresses(w->sink) && w->pending.len < WRITE_MEMBER_BYTES_MIN) return 0;
    rc = write_pending(w, err);
    if (rc == 0) rc = writer_check(w, err);
    if (rc == 0) put_sums(w);
    return rc;
}

int writer_sync(writer_t *w, err_t *err) {
    int rc = write_pending(w, err);
    if (rc == 0) rc = sink_sync(w->sink, err);
    if (rc == 0) rc = writer_check(w, err);
    if (rc < 0 || !w->run_file) return rc;
    put_sums(w);
    run_file_watch(w->run_file, w->path);
    if (!w->names_synced) {
        run_file_sync(w->run_file);
        w->names_synced = true;
    }
    return 0;
}

int writer_finish(writer_t *w, err_t *err) {
    int rc = release_early(w, UINT64_MAX, err);
    return rc < 0 ? rc : write_pending(w, err);
}

int writer_end_input(writer_t *w, uint64_t rows, err_t *err) {
    uint64_t beyond;
    if (!w->run_file || !rangeset_next(w->finished, rows, &beyond)) return 0;
    int rc = writer_finish(w, err);
    if (rc == 0) rc = writer_sync(w, err);
    opened_t o = {.fd = rc == 0 ? sink_reopen(w->sink, err) : -1};
    if (rc == 0 && o.fd < 0) rc = o.fd;
    if (rc < 0) return rc;
    resume_t found;
    rc = continue_file(&o, w->path, false, true, rows, &found, err);
    if (rc < 0) {
        close_opened(&o);
        return rc;
    }
    resume_free(&found);
    sink_close(&w->sink);
    rangeset_destroy(&w->finished);
    rangeset_destroy(&w->failed);
    line_sums_free(&w->sums);
    w->sink = sink_new(o.fd, w->path, stream_coding_of(w->path));
    w->finished = o.finished;
    w->failed = o.failed;
    w->sums = o.sums;
    return write_run_file(w->run_file, &w->sums, err);
}

void writer_close(writer_t **writer) {
    writer_t *w = *writer;
    if (!w) return;
    (void)write_pending(w, NULL); /* a broken sink writes nothing */
    while (heap_first(&w->early))
        free(heap_pop(&w->early).pointer);
    heap_free(&w->early);
    buf_free(&w->pending);
    rangeset_destroy(&w->finished);
    rangeset_destroy(&w->failed);
    line_sums_free(&w->sums);
    run_file_close(&w->run_file);
    sink_close(&w->sink);
    free(w->path);
    free(w);
    *writer = NULL;
}
