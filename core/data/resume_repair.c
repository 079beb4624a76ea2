/* resume_repair.c - brings an output into the state that a scan has decided on.
 *
 * A file is cut or gets its newline in place. If lines go, or packed text needs a newline, the lines that
 * stay are written to X.rewrite, which takes the place of X once it is synced: a crash leaves the old file or
 * the new one. X.rejected is synced before X lacks its lines. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/result_line.h"
#include "core/base/safe_open.h"
#include "core/data/files.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/output.h"
#include "core/data/resume.h"
#include "core/data/sink.h"

static int no_repair(const char *path, err_t *err) {
    return err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO,
                   "%s: cannot be brought in order for resuming: %s", path, strerror(errno));
}

/* Opens X.rejected to append to it. A new file has the mode of the output. What is no ordinary file, or a
 * symbolic link, is refused. */
static int open_rejected(const char *path, mode_t mode, err_t *err) {
    char *name = xasprintf("%s.rejected", path);
    struct stat st;
    int fd = safe_open_ordinary(name, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0)
        err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO,
                "%s: cannot be opened for lines of %s that are no results: %s; nothing was changed", name,
                path, safe_open_why(errno));
    else if (fstat(fd, &st) == 0 && st.st_size == 0)
        (void)fchmod(fd, mode & 0777);
    free(name);
    return fd >= 0 ? fd : err->code;
}

/* The files of a rewrite. */
typedef struct rewrite {
    const char *path; /* as given */
    int from;
    sink_t *to;
    int rejected; /* -1: nothing is rejected */
    const resume_t *found;
    bool retry_failed;
} rewrite_t;

static int write_rejected(const rewrite_t *r, const buf_t *batch, err_t *err) {
    size_t written;
    if (batch->len == 0 || file_write_all(r->rejected, batch->data, batch->len, &written) == 0) return 0;
    return err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO,
                   "%s.rejected: cannot be written: %s; nothing was changed", r->path, strerror(errno));
}

static void add_line(buf_t *batch, const text_line_t *line) {
    buf_add(batch, line->bytes, line->len);
    buf_addc(batch, '\n');
}

/* Copies the lines that stay, up to `keep_text`, and those that are rejected to their file. */
static int copy_lines(stream_t *from, const rewrite_t *r, err_t *err) {
    lines_t *lines = lines_new(from, RESULT_LINE_BYTES_MAX);
    buf_t batch, rejected;
    buf_init(&batch, RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES + 1);
    buf_init(&rejected, RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES + 1);
    text_line_t line = {0};
    result_line_t row;
    int rc = 0;
    while (rc == 0 && line.end < r->found->keep_text && (rc = lines_next(lines, &line, err)) > 0) {
        rc = 0;
        if (rangeset_has(r->found->rejected, line.number)) {
            add_line(&rejected, &line);
        } else {
            bool is_row = result_line_read(line.bytes, line.len, &row, NULL) == 0;
            if (is_row && !(row.failed && r->retry_failed)) add_line(&batch, &line);
        }
        if (batch.len >= WRITE_FLUSH_BYTES) {
            rc = sink_write(r->to, batch.data, batch.len, err);
            buf_reset(&batch);
        }
        if (rc == 0 && rejected.len >= WRITE_FLUSH_BYTES) {
            rc = write_rejected(r, &rejected, err);
            buf_reset(&rejected);
        }
    }
    if (rc == 0) rc = sink_write(r->to, batch.data, batch.len, err);
    if (rc == 0) rc = write_rejected(r, &rejected, err);
    buf_free(&batch);
    buf_free(&rejected);
    lines_destroy(&lines);
    return rc;
}

/* Copies into both files and makes them durable. */
static int fill(rewrite_t *r, stream_coding_t coding, mode_t mode, err_t *err) {
    int rc = 0;
    r->rejected = -1;
    if (r->found->lines_rejected) {
        r->rejected = open_rejected(r->path, mode, err);
        if (r->rejected < 0) return r->rejected;
    }
    stream_t *stream = stream_from_fd(r->from, r->path, coding);
    rc = copy_lines(stream, r, err);
    stream_close(&stream);
    if (rc == 0 && r->rejected >= 0 && fsync(r->rejected) != 0) rc = no_repair(r->path, err);
    if (rc == 0) rc = sink_sync(r->to, err);
    if (r->rejected >= 0) close(r->rejected);
    return rc;
}

/* Fills the new file and puts it in the old one's place, locked before anybody can find it there. */
static int fill_and_rename(rewrite_t *r, int fresh, const char *path, const char *fresh_path,
                           stream_coding_t coding, err_t *err) {
    struct stat st;
    if (lseek(r->from, 0, SEEK_SET) < 0 || fstat(r->from, &st) != 0 || fchmod(fresh, st.st_mode & 0777) != 0)
        return no_repair(path, err);
    int rc = output_lock(fresh, path, err);
    if (rc < 0) return rc;
    int copy = fcntl(fresh, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return no_repair(path, err);
    r->to = sink_new(copy, fresh_path, coding);
    rc = fill(r, coding, st.st_mode, err);
    sink_close(&r->to);
    if (rc == 0 && rename(fresh_path, path) != 0) rc = no_repair(path, err);
    if (rc == 0) file_sync_parent(path);
    return rc;
}

/* Writes the lines that stay into a new file and puts it in the place of the old one. *fd changes on success
 * only. */
static int rewrite(int *fd, const char *given_path, stream_coding_t coding, bool retry_failed,
                   const resume_t *found, err_t *err) {
    rewrite_t r = {.path = given_path, .from = *fd, .found = found, .retry_failed = retry_failed};
    char *path = realpath(given_path, NULL); /* a symbolic link stays one */
    if (!path) return no_repair(given_path, err);
    char *fresh_path = xasprintf("%s.rewrite", path);
    int fresh = safe_open_fresh(fresh_path, O_RDWR | O_APPEND, 0600);
    int rc = fresh < 0 ? no_repair(path, err) : fill_and_rename(&r, fresh, path, fresh_path, coding, err);
    if (rc == 0) {
        close(*fd);
        *fd = fresh;
    } else if (fresh >= 0) {
        unlink(fresh_path);
        close(fresh);
    }
    free(fresh_path);
    free(path);
    return rc;
}

int resume_repair(int *fd, const char *path, stream_coding_t coding, bool retry_failed, const resume_t *found,
                  err_t *err) {
    size_t written;
    switch (found->repair) {
    case REPAIR_NONE: return 0;
    case REPAIR_CUT: return ftruncate(*fd, (off_t)found->keep_bytes) == 0 ? 0 : no_repair(path, err);
    case REPAIR_ADD_NEWLINE: return file_write_all(*fd, "\n", 1, &written) == 0 ? 0 : no_repair(path, err);
    case REPAIR_REWRITE: return rewrite(fd, path, coding, retry_failed, found, err);
    }
    assert(false && "repair");
    return SDG_EINVAL;
}
