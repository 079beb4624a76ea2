/* resume.c - see resume.h.
 *
 * In a gzip or zstd output a torn member of ours was never acknowledged, so it is cut off. Its text is not
 * used, because the checksum that would vouch for it is missing. A large file that stops in its first member
 * was compressed by somebody as a whole: it is refused, with the command that saves what can be read.
 */
#include "core/data/resume.h"

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/result_line.h"
#include "core/base/safe_open.h"
#include "core/data/files.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/members.h"
#include "core/data/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Could this be the beginning of one of our lines, or what a power loss left of it? */
static bool looks_torn(const char *bytes, size_t len) {
    static const char BEGIN[] = "{\"" RESULT_LINE_ROW "\"";
    size_t n = len < sizeof BEGIN - 1 ? len : sizeof BEGIN - 1;
    return memcmp(bytes, BEGIN, n) == 0 || bytes[0] == '\0';
}

/* ---- the scan */

typedef struct output_scan {
    const char *path;
    bool retry_failed;
    resume_t *found;
    bool any_row;       /* the file is ours */
    bool lacks_newline; /* the last row is whole, its newline is missing */
} output_scan_t;

static int not_ours(const output_scan_t *scan, uint64_t number, const char *why, err_t *err) {
    return err_set(err, SDG_EINVAL,
                   "%s, line %llu: %s: this is not an output of sdg, nothing was changed; choose another "
                   "output%s",
                   scan->path, (unsigned long long)number, why, scan->any_row ? " or give --overwrite" : "");
}

static void count_row(output_scan_t *scan, const result_line_t *row) {
    resume_t *found = scan->found;
    scan->any_row = true;
    if (row->failed && scan->retry_failed) {
        found->rows_retried++;
        return;
    }
    if (!rangeset_add(found->finished, row->row)) return;
    if (row->failed) {
        found->rows_failed++;
        rangeset_add(found->failed, row->row);
    } else {
        found->rows_ok++;
    }
}

/* A last line without a newline is torn unless it is a row. Other lines that are neither rows nor blank mean
 * that the file is not ours. */
static int scan_line(output_scan_t *scan, const text_line_t *line, err_t *err) {
    if (line->too_long) return not_ours(scan, line->number, "far too long", err);
    bool blank = line_blank(line->bytes, line->len);
    result_line_t row;
    err_t why = {0};
    bool is_row = !blank && result_line_read(line->bytes, line->len, &row, &why) == 0;
    if (!line->whole && !is_row) {
        bool ours = scan->any_row || blank || looks_torn(line->bytes, line->len);
        return ours ? 0 : not_ours(scan, line->number, why.text, err);
    }
    if (!is_row && !blank) return not_ours(scan, line->number, why.text, err);
    if (is_row) count_row(scan, &row);
    scan->lacks_newline = !line->whole;
    scan->found->keep_text = line->end;
    return 0;
}

/* Called at the end of a torn member: if no row was found, could its unfinished line be one of ours? */
static int check_rest(const output_scan_t *scan, const lines_t *lines, err_t *err) {
    size_t len;
    const char *rest = lines_rest_peek(lines, &len);
    if (scan->any_row || len == 0 || looks_torn(rest, len)) return 0;
    return not_ours(scan, 1, "not a JSON object", err);
}

static int scan_lines(output_scan_t *scan, stream_t *stream, err_t *err) {
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    text_line_t line;
    int rc;
    while ((rc = lines_next(lines, &line, err)) > 0 && (rc = scan_line(scan, &line, err)) == 0) {
    }
    if (rc < 0 && stream_torn(stream)) rc = check_rest(scan, lines, err);
    lines_destroy(&lines);
    return rc;
}

/* What has to be done to a file of `size` bytes whose lines are ours. */
static void choose_repair(const output_scan_t *scan, const stream_t *stream, bool plain, uint64_t size) {
    resume_t *found = scan->found;
    bool between_members = plain || found->keep_text == stream_member_text_end(stream);
    found->keep_bytes = plain ? found->keep_text : stream_member_end(stream);
    found->torn_bytes = size - found->keep_bytes;
    if (found->rows_retried > 0 || !between_members || (!plain && scan->lacks_newline))
        found->repair = REPAIR_REWRITE;
    else if (scan->lacks_newline)
        found->repair = REPAIR_ADD_NEWLINE;
    else
        found->repair = found->keep_bytes < size ? REPAIR_CUT : REPAIR_NONE;
}

static int damaged(uint64_t whole_bytes, const char *path, err_t *err) {
    char why[ERR_TEXT_MAX];
    snprintf(why, sizeof why, "%s", err->text);
    return err_set(err, err->code,
                   "%.300s; nothing was changed: `truncate -s %llu %s` keeps what is whole before it, "
                   "--overwrite starts "
                   "anew",
                   why, (unsigned long long)whole_bytes, path);
}

static void free_rows(resume_t *found) {
    rangeset_destroy(&found->finished);
    rangeset_destroy(&found->failed);
}

/* Scans up to `limit` bytes. */
static int scan_up_to(uint64_t limit, int fd, const char *path, stream_coding_t coding, bool retry_failed,
                      resume_t *found, err_t *err) {
    struct stat st;
    if (lseek(fd, 0, SEEK_SET) < 0 || fstat(fd, &st) != 0)
        return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
    *found = (resume_t){.finished = rangeset_new(), .failed = rangeset_new()};
    output_scan_t scan = {.path = path, .retry_failed = retry_failed, .found = found};
    stream_t *stream = stream_from_fd(fd, path, coding);
    stream_limit(stream, limit);
    int rc = scan_lines(&scan, stream, err);
    if (rc == SDG_EPARSE) rc = damaged(stream_member_end(stream), path, err);
    if (rc == 0) choose_repair(&scan, stream, coding == STREAM_PLAIN, (uint64_t)st.st_size);
    stream_close(&stream);
    if (rc < 0) free_rows(found);
    return rc;
}

/* A file without a whole member, of which nothing can be believed: it goes if it is ours and no larger than
 * what one write of a run may have left. */
static int check_torn_first(int fd, const char *path, stream_coding_t coding, bool retry_failed, err_t *err) {
    struct stat st;
    resume_t found;
    int rc = scan_up_to(UINT64_MAX, fd, path, coding, retry_failed, &found, err);
    if (rc < 0) return rc;
    free_rows(&found);
    if (fstat(fd, &st) == 0 && st.st_size <= TORN_FIRST_BYTES_MAX) return 0;
    return err_set(
        err, SDG_EPARSE,
        "%s: stops inside its first %s, so that nothing in it can be checked; nothing was changed: "
        "`%s %s > NEW.jsonl` gives what can be read, --overwrite starts anew",
        path, coding == STREAM_GZIP ? "gzip member" : "zstd frame",
        coding == STREAM_GZIP ? "gzip -dc" : "zstd -dc", path);
}

/* Of a packed file only text is scanned whose member was found whole by a first pass. */
int resume_scan(int fd, const char *path, stream_coding_t coding, bool retry_failed, resume_t *found,
                err_t *err) {
    members_t members = {.whole_bytes = UINT64_MAX};
    err_t why = {0};
    int rc = coding == STREAM_PLAIN ? 0 : members_check(fd, path, coding, &members, &why);
    if (rc == SDG_EPARSE) rc = damaged(members.whole_bytes, path, &why);
    if (rc == 0 && members.torn && members.whole_bytes == 0)
        rc = check_torn_first(fd, path, coding, retry_failed, &why);
    if (rc == 0)
        rc = scan_up_to(members.torn ? members.whole_bytes : UINT64_MAX, fd, path, coding, retry_failed,
                        found, &why);
    if (rc < 0 && err) *err = why;
    return rc;
}

/* ---- what may be overwritten */

/* Is a file that begins with this line, of which `whole` says that a newline ended it, an output of ours? */
static bool begins_ours(const text_line_t *line) {
    static const char BEGIN[] = "{\"" RESULT_LINE_ROW "\"";
    result_line_t row;
    if (line->too_long) return false;
    if (result_line_read(line->bytes, line->len, &row, NULL) == 0) return true;
    return !line->whole && line->len < RESULT_LINE_BYTES_MAX && line->len >= sizeof BEGIN - 1 &&
           memcmp(line->bytes, BEGIN, sizeof BEGIN - 1) == 0;
}

/* The first line that is not blank decides; no more than the longest line is read. A compressed file that is
 * torn in its first member gives that line all the same, if it is whole. */
int output_check_ours(int fd, const char *path, stream_coding_t coding, err_t *err) {
    struct stat st;
    if (lseek(fd, 0, SEEK_SET) < 0 || fstat(fd, &st) != 0)
        return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
    if (st.st_size == 0) return 0;
    stream_t *stream = stream_from_fd(fd, path, coding);
    stream_limit(stream, RESULT_LINE_BYTES_MAX);
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    text_line_t line;
    int got;
    while ((got = lines_next(lines, &line, NULL)) > 0 && !line.too_long && line_blank(line.bytes, line.len)) {
    }
    bool ours = got > 0 && begins_ours(&line);
    lines_destroy(&lines);
    stream_close(&stream);
    if (ours) return 0;
    return err_set(
        err, SDG_EINVAL,
        "%s is not an output of sdg (its first line has no " RESULT_LINE_ROW
        "), and --overwrite would destroy it: nothing was changed; name another file with --output",
        path);
}

/* ---- repair */

int output_lock(int fd, const char *path, err_t *err) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, SDG_EINVAL,
                       "%s is being written by another run: wait for it, or choose another output", path);
    if (errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL)
        return err_set(err, SDG_EIO, "%s: cannot be locked: %s", path, strerror(errno));
    log_warn("writer", "%s: this file system has no locks: do not start a second run with this output", path);
    return 0;
}

static int no_repair(const char *path, err_t *err) {
    return err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO,
                   "%s: cannot be brought in order for resuming: %s", path, strerror(errno));
}

/* Copies the lines that stay, up to `keep_text`. */
static int copy_lines(stream_t *from, sink_t *to, bool retry_failed, uint64_t keep_text, err_t *err) {
    lines_t *lines = lines_new(from, RESULT_LINE_BYTES_MAX);
    buf_t batch;
    buf_init(&batch, RESULT_LINE_BYTES_MAX + WRITE_FLUSH_BYTES + 1);
    text_line_t line = {0};
    result_line_t row;
    int rc = 0;
    while (rc == 0 && line.end < keep_text && (rc = lines_next(lines, &line, err)) > 0) {
        rc = 0;
        bool is_row = result_line_read(line.bytes, line.len, &row, NULL) == 0;
        if (!is_row || (row.failed && retry_failed)) continue;
        buf_add(&batch, line.bytes, line.len);
        buf_addc(&batch, '\n');
        if (batch.len < WRITE_FLUSH_BYTES) continue;
        rc = sink_write(to, batch.data, batch.len, err);
        buf_reset(&batch);
    }
    if (rc == 0) rc = sink_write(to, batch.data, batch.len, err);
    buf_free(&batch);
    lines_destroy(&lines);
    return rc;
}

/* Fills the new file and puts it in the old one's place, locked before anybody can find it there. */
static int fill_and_rename(int old, int fresh, const char *path, const char *fresh_path,
                           stream_coding_t coding, bool retry_failed, uint64_t keep_text, err_t *err) {
    struct stat st;
    if (lseek(old, 0, SEEK_SET) < 0 || fstat(old, &st) != 0 || fchmod(fresh, st.st_mode & 0777) != 0)
        return no_repair(path, err);
    int rc = output_lock(fresh, path, err);
    if (rc < 0) return rc;
    int copy = fcntl(fresh, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return no_repair(path, err);
    sink_t *sink = sink_new(copy, fresh_path, coding);
    stream_t *stream = stream_from_fd(old, path, coding);
    rc = copy_lines(stream, sink, retry_failed, keep_text, err);
    if (rc == 0) rc = sink_sync(sink, err);
    stream_close(&stream);
    sink_close(&sink);
    if (rc == 0 && rename(fresh_path, path) != 0) rc = no_repair(path, err);
    if (rc == 0) file_sync_parent(path);
    return rc;
}

/* Writes the lines that stay into a new file and puts it in the place of the old one. *fd changes on success
 * only. */
static int rewrite(int *fd, const char *given_path, stream_coding_t coding, bool retry_failed,
                   uint64_t keep_text, err_t *err) {
    char *path = realpath(given_path, NULL); /* a symbolic link stays one */
    if (!path) return no_repair(given_path, err);
    char *fresh_path = xasprintf("%s.rewrite", path);
    int fresh = safe_open_fresh(fresh_path, O_RDWR | O_APPEND, 0600);
    int rc = fresh < 0 ? no_repair(path, err)
                       : fill_and_rename(*fd, fresh, path, fresh_path, coding, retry_failed, keep_text, err);
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
    case REPAIR_REWRITE: return rewrite(fd, path, coding, retry_failed, found->keep_text, err);
    }
    assert(false && "repair");
    return SDG_EINVAL;
}
