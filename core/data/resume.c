/* resume.c - see resume.h: the scan of an output, and what is to be done to it.
 *
 * In a gzip or zstd output a torn member of ours was never acknowledged, so it is cut off. Its text is not
 * used, because the checksum that would vouch for it is missing. A large file that stops in its first member
 * was compressed by somebody as a whole: it is refused, with the command that saves what can be read.
 */
#include "core/data/resume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/result_line.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/members.h"
#include "core/data/resume_internal.h"

/* ---- lines ---- */

/* Could this be the beginning of one of our lines, or what a power loss left of it? */
static bool looks_torn(const char *bytes, size_t len) {
    static const char BEGIN[] = "{\"" RESULT_LINE_ROW "\"";
    size_t n = len < sizeof BEGIN - 1 ? len : sizeof BEGIN - 1;
    return memcmp(bytes, BEGIN, n) == 0 || bytes[0] == '\0';
}

static int not_ours(const output_scan_t *scan, uint64_t number, const char *why, err_t *err) {
    return err_set(err, SDG_EINVAL,
                   "%s, line %llu: %s: this is not an output of sdg, nothing was changed; choose another "
                   "output%s",
                   scan->path, (unsigned long long)number, why, scan->rows ? " or give --overwrite" : "");
}

static void reject(output_scan_t *scan, const text_line_t *line, const char *why) {
    resume_t *found = scan->found;
    rangeset_add(found->rejected, line->number);
    if (++found->lines_rejected <= REJECTS_NAMED_MAX)
        buf_addf(&found->words, "%s, line %llu: %s\n", scan->path, (unsigned long long)line->number, why);
}

static void reject_foreign(output_scan_t *scan, const text_line_t *line, const char *why) {
    if (scan->foreign++ == 0) {
        scan->first_foreign = line->number;
        snprintf(scan->first_why, sizeof scan->first_why, "%s", why);
    }
    reject(scan, line, why);
}

/* Rejects the line if an earlier scan has said so. */
static bool is_judged(output_scan_t *scan, const text_line_t *line, uint64_t row) {
    static const char *const words[] = {
        [REJECT_REPEATED] = "row %llu again, which line %llu has",
        [REJECT_CONTRADICTS] =
            "row %llu with another text than in line %llu, and nothing tells which is right",
        [REJECT_RENUMBERED] = "row %llu: a row number near here is not the one that was written",
    };
    const verdicts_t *v = scan->verdicts;
    char why[ERR_TEXT_MAX];
    while (scan->next_verdict < v->count && v->items[scan->next_verdict].line < line->number)
        scan->next_verdict++;
    if (scan->next_verdict == v->count || v->items[scan->next_verdict].line != line->number) return false;
    const verdict_t *verdict = &v->items[scan->next_verdict];
    snprintf(why, sizeof why, words[verdict->why], (unsigned long long)row,
             (unsigned long long)verdict->other);
    reject(scan, line, why);
    return true;
}

/* Is the row beyond the end of the input? Then its line is rejected. */
static bool is_beyond(output_scan_t *scan, const text_line_t *line, uint64_t row) {
    char why[ERR_TEXT_MAX];
    if (row < scan->how->rows_end) return false;
    snprintf(why, sizeof why, "row %llu is none of the input, which has %llu rows", (unsigned long long)row,
             (unsigned long long)scan->how->rows_end);
    reject(scan, line, why);
    return true;
}

static void take_row(output_scan_t *scan, const text_line_t *line, const result_line_t *row) {
    resume_t *found = scan->found;
    scan->rows++;
    if (is_judged(scan, line, row->row) || is_beyond(scan, line, row->row)) return;
    if (resume_is_retried(scan->how, row)) {
        found->rows_retried++;
        rangeset_add(scan->retried, row->row);
        return;
    }
    line_sums_add(&found->sums, row->row, line->bytes, line->len);
    if (!rangeset_add(found->finished, row->row)) {
        rangeset_add(scan->repeated, row->row);
    } else if (row->failed) {
        found->rows_failed++;
        rangeset_add(found->failed, row->row);
    } else {
        found->rows_ok++;
    }
}

/* A last line without a newline is torn unless it is a row. Other lines that are neither rows nor blank are
 * rejected, if the file is ours. */
static int scan_line(output_scan_t *scan, const text_line_t *line, err_t *err) {
    if (line->too_long) return not_ours(scan, line->number, "far too long", err);
    bool blank = line_blank(line->bytes, line->len);
    result_line_t row;
    err_t why = {0};
    bool is_row = !blank && result_line_read(line->bytes, line->len, &row, &why) == 0;
    if (!line->whole && !is_row) {
        bool ours = scan->how->ours || scan->rows || blank || looks_torn(line->bytes, line->len);
        return ours ? 0 : not_ours(scan, line->number, why.text, err);
    }
    scan->lacks_newline = !line->whole;
    scan->found->keep_text = line->end;
    if (blank) return 0;
    line_check_add(scan->check, line->number, is_row ? row.row : UINT64_MAX, line->bytes, line->len);
    if (is_row)
        take_row(scan, line, &row);
    else
        reject_foreign(scan, line, why.text);
    return 0;
}

/* Called at the end of a torn member: if no row was found, could its unfinished line be one of ours? */
static int check_rest(const output_scan_t *scan, const lines_t *lines, err_t *err) {
    size_t len;
    const char *rest = lines_rest_peek(lines, &len);
    if (scan->how->ours || scan->rows || len == 0 || looks_torn(rest, len)) return 0;
    return not_ours(scan, 1, "not a JSON object", err);
}

/* Without a run file a few damaged lines among results are no reason to refuse an output, but as many as
 * results are. */
static int check_lines_ours(const output_scan_t *scan, err_t *err) {
    if (scan->how->ours || scan->foreign == 0 || scan->foreign < scan->rows) return 0;
    return not_ours(scan, scan->first_foreign, scan->first_why, err);
}

static int scan_lines(output_scan_t *scan, stream_t *stream, err_t *err) {
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    text_line_t line;
    int rc;
    while ((rc = lines_next(lines, &line, err)) > 0 && (rc = scan_line(scan, &line, err)) == 0) {
    }
    if (rc < 0 && stream_torn(stream)) rc = check_rest(scan, lines, err);
    lines_destroy(&lines);
    line_check_end(scan->check);
    return rc < 0 ? rc : check_lines_ours(scan, err);
}

/* ---- one scan ---- */

/* What has to be done to a file of `size` bytes whose lines are ours. */
static void choose_repair(const output_scan_t *scan, const stream_t *stream, bool plain, uint64_t size) {
    resume_t *found = scan->found;
    bool between_members = plain || found->keep_text == stream_member_text_end(stream);
    found->keep_bytes = plain ? found->keep_text : stream_member_end(stream);
    found->torn_bytes = size - found->keep_bytes;
    if (found->rows_retried > 0 || found->lines_rejected > 0 || !between_members ||
        (!plain && scan->lacks_newline))
        found->repair = REPAIR_REWRITE;
    else if (scan->lacks_newline)
        found->repair = REPAIR_ADD_NEWLINE;
    else
        found->repair = found->keep_bytes < size ? REPAIR_CUT : REPAIR_NONE;
}

static int damaged(uint64_t whole_bytes, const char *path, err_t *err) {
    char why[ERR_TEXT_MAX];
    snprintf(why, sizeof why, "%s", err->text);
    return err_set(
        err, err->code,
        "%.250s; nothing was changed: `truncate -s %llu %.100s` keeps what is whole before it, and "
        "rows behind it are asked again; --overwrite starts anew",
        why, (unsigned long long)whole_bytes, path);
}

void resume_free(resume_t *found) {
    rangeset_destroy(&found->finished);
    rangeset_destroy(&found->failed);
    rangeset_destroy(&found->rejected);
    line_sums_free(&found->sums);
    buf_free(&found->words);
}

static void scan_free(output_scan_t *scan) {
    rangeset_destroy(&scan->repeated);
    rangeset_destroy(&scan->retried);
    line_check_destroy(&scan->check);
}

stream_t *resume_open_again(const scanned_file_t *file, err_t *err) {
    if (lseek(file->fd, 0, SEEK_SET) < 0) {
        err_set(err, SDG_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
        return NULL;
    }
    stream_t *stream = stream_from_fd(file->fd, file->path, file->coding);
    stream_limit(stream, file->limit);
    return stream;
}

/* One scan. On failure nothing is to be freed. */
static int scan_once(const scanned_file_t *file, const resume_how_t *how, const verdicts_t *verdicts,
                     output_scan_t *scan, resume_t *found, err_t *err) {
    static const line_blocks_t nothing;
    struct stat st;
    stream_t *stream = resume_open_again(file, err);
    if (!stream) return err->code;
    *found = (resume_t){.finished = rangeset_new(), .failed = rangeset_new(), .rejected = rangeset_new()};
    buf_init(&found->words, REJECTS_NAMED_MAX * 2 * ERR_TEXT_MAX);
    *scan = (output_scan_t){.path = file->path,
                            .how = how,
                            .verdicts = verdicts,
                            .found = found,
                            .repeated = rangeset_new(),
                            .retried = rangeset_new(),
                            .check = line_check_new(how->known ? how->known : &nothing)};
    int rc = scan_lines(scan, stream, err);
    if (rc == SDG_EPARSE) rc = damaged(stream_member_end(stream), file->path, err);
    if (rc == 0 && fstat(file->fd, &st) != 0)
        rc = err_set(err, SDG_EIO, "%s: cannot be read: %s", file->path, strerror(errno));
    if (rc == 0) choose_repair(scan, stream, file->coding == STREAM_PLAIN, (uint64_t)st.st_size);
    stream_close(&stream);
    if (rc < 0) {
        resume_free(found);
        scan_free(scan);
    }
    return rc;
}

/* ---- what a person should know ---- */

static void say_changed(output_scan_t *scan) {
    resume_t *found = scan->found;
    size_t count, named = 0;
    const changed_lines_t *changed = line_check_changed(scan->check, &count);
    for (size_t i = 0; i < count; i++) {
        found->lines_changed += changed[i].to - changed[i].from + 1;
        if (named++ < CHANGES_NAMED_MAX)
            buf_addf(
                &found->words,
                "%s: among lines %llu to %llu something is not as it was written (edited, or damaged): what "
                "still is a result stays as it is\n",
                scan->path, (unsigned long long)changed[i].from, (unsigned long long)changed[i].to);
    }
    if (named > CHANGES_NAMED_MAX)
        buf_addf(&found->words, "%s: the same holds for %zu more ranges of lines\n", scan->path,
                 named - CHANGES_NAMED_MAX);
    found->lines_missing = line_check_missing(scan->check);
    if (found->lines_missing)
        buf_addf(&found->words, "%s: lines that were written are gone (%llu): their rows are done again\n",
                 scan->path, (unsigned long long)found->lines_missing);
}

static void say_rejected(output_scan_t *scan) {
    resume_t *found = scan->found;
    uint64_t count = found->lines_rejected;
    if (count > REJECTS_NAMED_MAX)
        buf_addf(&found->words, "%s: and %llu more lines of that kind\n", scan->path,
                 (unsigned long long)(count - REJECTS_NAMED_MAX));
    if (count)
        buf_addf(&found->words, "%s: %llu %s to %s.rejected; rows that no other line has are done again\n",
                 scan->path, (unsigned long long)count, count == 1 ? "line moves" : "lines move", scan->path);
}

/* ---- all of it ---- */

/* Scans until each line is judged. */
static int scan_file(const scanned_file_t *file, const resume_how_t *how, resume_t *found, err_t *err) {
    output_scan_t scan;
    verdicts_t verdicts = {0};
    int rc = scan_once(file, how, &verdicts, &scan, found, err);
    if (rc == 0 && resume_needs_judgement(&scan)) {
        rc = resume_judge(file, &scan, &verdicts, err);
        resume_free(found);
        scan_free(&scan);
        if (rc == 0) rc = scan_once(file, how, &verdicts, &scan, found, err);
    }
    if (rc == 0) {
        say_rejected(&scan);
        say_changed(&scan);
        scan_free(&scan);
    }
    free(verdicts.items);
    return rc;
}

/* A file without a whole member, of which nothing can be believed: it goes if it is ours and no larger than
 * what one write of a run may have left. */
static int check_torn_first(const scanned_file_t *file, const resume_how_t *how, err_t *err) {
    struct stat st;
    resume_t found;
    int rc = scan_file(file, how, &found, err);
    if (rc < 0) return rc;
    resume_free(&found);
    if (fstat(file->fd, &st) == 0 && st.st_size <= TORN_FIRST_BYTES_MAX) return 0;
    return err_set(
        err, SDG_EPARSE,
        "%s: stops inside its first %s, so that nothing in it can be checked; nothing was changed: "
        "`%s %s > NEW.jsonl` gives what can be read, --overwrite starts anew",
        file->path, file->coding == STREAM_GZIP ? "gzip member" : "zstd frame",
        file->coding == STREAM_GZIP ? "gzip -dc" : "zstd -dc", file->path);
}

/* Of a packed file only text is scanned whose member was found whole by a first pass. */
int resume_scan(int fd, const char *path, stream_coding_t coding, const resume_how_t *how, resume_t *found,
                err_t *err) {
    scanned_file_t file = {.fd = fd, .path = path, .coding = coding, .limit = UINT64_MAX};
    members_t members = {.whole_bytes = UINT64_MAX};
    err_t why = {0};
    int rc = coding == STREAM_PLAIN ? 0 : members_check(fd, path, coding, &members, &why);
    if (rc == SDG_EPARSE) rc = damaged(members.whole_bytes, path, &why);
    if (rc == 0 && members.torn && members.whole_bytes == 0) rc = check_torn_first(&file, how, &why);
    if (members.torn) file.limit = members.whole_bytes;
    if (rc == 0) rc = scan_file(&file, how, found, &why);
    if (rc < 0 && err) *err = why;
    return rc;
}
