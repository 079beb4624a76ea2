/* writer.c - the output of a run (writer.h).
 *
 * Rows gather in `pending` and are written in batches (sink.c). In ordered mode a row that comes early waits
 * in a heap. `finished` has a row as soon as it was added, so the first number that is absent there tells how
 * far the heap may be emptied.
 */
#include "core/data/writer.h"

#include "core/base/buf.h"
#include "core/base/heap.h"
#include "core/data/files.h"
#include "core/data/limits.h"
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
    bool names_synced;    /* the folder entry and X.sdg are durable */
};

/* ---- opening */

typedef struct output_rows { /* what stands in the file at open */
    rangeset_t *finished, *failed;
} output_rows_t;

static void free_rows(output_rows_t *rows) {
    rangeset_destroy(&rows->finished);
    rangeset_destroy(&rows->failed);
}

static writer_t *writer_new(const char *path, const writer_options_t *options, int take_fd,
                            const output_rows_t *take_rows) {
    writer_t *w = xcalloc(1, sizeof *w);
    w->path = xstrdup(path);
    w->sink = sink_new(take_fd, strcmp(path, "-") == 0 ? "standard output" : path, stream_coding_of(path));
    w->finished = take_rows->finished;
    w->failed = take_rows->failed;
    w->ordered = options->ordered;
    w->flush_bytes = options->flush_bytes ? options->flush_bytes : WRITE_FLUSH_BYTES;
    if (w->flush_bytes > WRITE_FLUSH_BYTES_MAX) w->flush_bytes = WRITE_FLUSH_BYTES_MAX;
    buf_init(&w->pending, RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES_MAX + 1);
    w->names_synced = !sink_regular(w->sink);
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

/* Does the run that wrote the rows match this one? SDG_EMISMATCH if not; *write_it: X.sdg is to be
 * written. */
static int check_identity(const char *path, const writer_options_t *options, const run_identity_t *now,
                          writer_resumed_t *resumed, bool *write_it, err_t *err) {
    run_match_t match;
    int rc = run_file_check(path, now, &match, err);
    if (rc < 0) return rc;
    if (match == RUN_DIFFERS && !options->force_resume) return SDG_EMISMATCH;
    resumed->adopted = match == RUN_ABSENT;
    resumed->identity_forced = match == RUN_DIFFERS;
    *write_it = match != RUN_SAME;
    return 0;
}

/* Scans and repairs an output with something in it. */
static int continue_file(int *fd, const char *path, const writer_options_t *options,
                         writer_resumed_t *resumed, output_rows_t *rows, err_t *err) {
    resume_t found;
    stream_coding_t coding = stream_coding_of(path);
    int rc = resume_scan(*fd, path, coding, options->retry_failed, &found, err);
    if (rc < 0) return rc;
    *rows = (output_rows_t){found.finished, found.failed};
    rc = resume_repair(fd, path, coding, options->retry_failed, &found, err);
    if (rc < 0) {
        free_rows(rows);
        return rc;
    }
    resumed->rows_ok = found.rows_ok;
    resumed->rows_failed = found.rows_failed;
    resumed->rows_retried = found.rows_retried;
    resumed->torn_bytes = found.torn_bytes;
    return 0;
}

/* --overwrite: what is there goes, if it is an output of ours. */
static int empty(int fd, const char *path, err_t *err) {
    int rc = output_check_ours(fd, path, stream_coding_of(path), err);
    if (rc == 0) rc = run_file_check_ours(path, err);
    if (rc < 0) return rc;
    return ftruncate(fd, 0) == 0 ? 0 : cannot_open(path, err);
}

/* Makes an open, locked file ready to be appended to. */
static int prepare(int *fd, const char *path, const writer_options_t *options, writer_resumed_t *resumed,
                   output_rows_t *rows, err_t *err) {
    run_identity_t now = {options->pipeline_identity, options->input_identity, options->options_identity};
    struct stat st;
    if (options->overwrite && empty(*fd, path, err) != 0) return err->code;
    if (fstat(*fd, &st) != 0) return cannot_open(path, err);
    bool write_identity = true;
    if (st.st_size > 0) {
        int rc = check_identity(path, options, &now, resumed, &write_identity, err);
        if (rc == 0) rc = continue_file(fd, path, options, resumed, rows, err);
        if (rc < 0) return rc;
    } else if (run_file_check_ours(path, err) < 0) {
        return err->code;
    } else {
        *rows = (output_rows_t){rangeset_new(), rangeset_new()};
    }
    if (resumed->rows_ok + resumed->rows_failed + resumed->rows_retried == 0) resumed->adopted = false;
    int rc = write_identity ? run_file_write(path, &now, err) : 0;
    if (rc < 0) free_rows(rows);
    return rc;
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
    output_rows_t rows = {NULL, NULL};
    bool regular = false;
    if (look_at(path, &regular, err) < 0) return NULL;
    int fd = regular ? open_locked(path, err) : open_pipe(path, err);
    if (fd < 0) return NULL;
    if (regular && prepare(&fd, path, options, &found, &rows, err) < 0) {
        close(fd);
        return NULL;
    }
    if (resumed) *resumed = found;
    if (!regular) rows = (output_rows_t){rangeset_new(), rangeset_new()};
    return writer_new(path, options, fd, &rows);
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

static int put_line(writer_t *w, const char *json, size_t len, err_t *err) {
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
        early_row_t *row = heap_pop(&w->early).pointer;
        w->early_bytes -= row->len;
        rc = put_line(w, row->json, row->len, err);
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
    if (!w->ordered) return put_line(w, json, len, err);
    uint64_t limit = rangeset_first_absent(w->finished, 0);
    if (index >= limit) {
        keep_early(w, index, json, len);
        return 0;
    }
    rc = release_early(w, index, err);
    if (rc == 0) rc = put_line(w, json, len, err);
    return rc < 0 ? rc : release_early(w, limit, err);
}

int writer_flush(writer_t *w, err_t *err) {
    int rc = sink_broken(w->sink, err);
    if (rc < 0) return rc;
    if (sink_compresses(w->sink) && w->pending.len < WRITE_MEMBER_BYTES_MIN) return 0;
    return write_pending(w, err);
}

int writer_check(writer_t *w, err_t *err) {
    if (strcmp(w->path, "-") == 0 || !sink_regular(w->sink)) return 0;
    return sink_check_place(w->sink, w->path, err);
}

int writer_sync(writer_t *w, err_t *err) {
    int rc = write_pending(w, err);
    if (rc == 0) rc = sink_sync(w->sink, err);
    if (rc == 0) rc = writer_check(w, err);
    if (rc == 0 && !w->names_synced) {
        run_file_sync(w->path);
        w->names_synced = true;
    }
    return rc;
}

int writer_finish(writer_t *w, err_t *err) {
    int rc = release_early(w, UINT64_MAX, err);
    return rc < 0 ? rc : write_pending(w, err);
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
    sink_close(&w->sink);
    free(w->path);
    free(w);
    *writer = NULL;
}
