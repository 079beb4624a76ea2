/* resume.c - see resume.h.
 *
 * In a gzip or zstd output a torn member of ours was never acknowledged, so it is cut off. Its text is not
 * used, because the checksum that would vouch for it is missing. A large file that stops in its first member
 * was compressed by somebody as a whole: it is refused, with the command that saves what can be read.
 */
#include "core/data/resume.h"

#include "core/base/buf.h"
#include "core/base/grow.h"
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
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

/* Could this be the beginning of one of our lines, or what a power loss left of it, which may end in zeros?
 */
static bool looks_torn(const char *bytes, size_t len) {
    static const char BEGIN[] = "{\"" RESULT_LINE_ROW "\"";
    while (len > 0 && bytes[len - 1] == '\0')
        len--;
    return memcmp(bytes, BEGIN, len < sizeof BEGIN - 1 ? len : sizeof BEGIN - 1) == 0;
}

/* Sentences beside those that name a line or a range, which tell how many there are. */
enum { COUNT_SENTENCES_MAX = 4 };
#define WORDS_BYTES_MAX \
    ((REJECTS_NAMED_MAX + CHANGES_NAMED_MAX + COUNT_SENTENCES_MAX) * (2 * PATH_MAX + ERR_TEXT_MAX))

/* ---- lines that go */

typedef enum reject_why {
    REJECT_REPEATED,    /* another line has the same row, and is as good or better */
    REJECT_CONTRADICTS, /* another line has the same row and another text, and nothing tells which is right */
    REJECT_RENUMBERED,  /* its row number is not the one that was written, or that of a neighbour */
} reject_why_t;

/* A result line that goes because of what other lines are. */
typedef struct verdict {
    uint64_t line; /* its number */
    reject_why_t why;
    uint64_t other; /* the line that it repeats or contradicts */
} verdict_t;

typedef struct verdicts {
    verdict_t *items; /* owned; by line */
    size_t count, cap;
} verdicts_t;

static void verdicts_add(verdicts_t *v, uint64_t line, reject_why_t why, uint64_t other) {
    GROW(v->items, v->cap, v->count + 1);
    v->items[v->count++] = (verdict_t){line, why, other};
}

/* ---- the scan */

typedef struct output_scan {
    const char *path;
    const resume_how_t *how;
    const verdicts_t *verdicts; /* of earlier scans */
    size_t next_verdict;
    resume_t *found;
    rangeset_t *repeated; /* rows that more than one line has; owned */
    rangeset_t *retried;  /* rows that have failed and are taken out; owned */
    line_check_t *check;  /* owned */
    uint64_t rows;        /* lines that are results, whatever becomes of them */
    uint64_t foreign;     /* lines that are none */
    uint64_t first_foreign;
    char first_why[ERR_TEXT_MAX];
    bool lacks_newline; /* the last row is whole, its newline is missing */
} output_scan_t;

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

/* Is it one of the lines that --retry-failed takes out? */
static bool is_retried(const resume_how_t *how, const result_line_t *row) {
    return row->failed && how->retry_failed;
}

static void take_row(output_scan_t *scan, const text_line_t *line, const result_line_t *row) {
    resume_t *found = scan->found;
    scan->rows++;
    if (is_judged(scan, line, row->row) || is_beyond(scan, line, row->row)) return;
    if (is_retried(scan->how, row)) {
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

/* A last line without a newline is torn if it looks so. Other lines that are neither rows nor blank are
 * rejected, if the file is ours: what somebody has put there is not cut off with a torn line. */
static int scan_line(output_scan_t *scan, const text_line_t *line, err_t *err) {
    if (line->too_long) return not_ours(scan, line->number, "far too long", err);
    bool blank = line_blank(line->bytes, line->len);
    result_line_t row;
    err_t why = {0};
    bool is_row = !blank && result_line_read(line->bytes, line->len, &row, &why) == 0;
    if (!line->whole && !is_row) {
        if (blank || looks_torn(line->bytes, line->len)) return 0;
        if (!scan->how->ours && !scan->rows) return not_ours(scan, line->number, why.text, err);
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

/* The open file, to be scanned from its start. */
typedef struct scanned_file {
    int fd;
    const char *path;
    stream_coding_t coding;
    uint64_t limit; /* it is read up to here */
} scanned_file_t;

/* Opens the stream of a file that has been read before. NULL: it cannot be read again. */
static stream_t *open_again(const scanned_file_t *file, err_t *err) {
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
    stream_t *stream = open_again(file, err);
    if (!stream) return err->code;
    *found = (resume_t){.finished = rangeset_new(), .failed = rangeset_new(), .rejected = rangeset_new()};
    buf_init(&found->words, WORDS_BYTES_MAX);
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

/* ---- judging lines by each other */

/* A line whose row another line has, too. */
typedef struct occurrence {
    uint64_t row, line, hash;
    line_trust_t trust;
} occurrence_t;

/* A line that may be the one whose row number has changed. */
typedef struct candidate {
    size_t range; /* of changed lines */
    uint64_t line;
} candidate_t;

typedef struct judgement {
    const output_scan_t *scan;
    const changed_lines_t *changed;
    size_t changed_count, at; /* the range that the line just read is in, or that is next */
    occurrence_t *same;       /* owned */
    size_t same_count, same_cap;
    candidate_t *candidates; /* owned */
    size_t candidate_count, candidate_cap;
    verdicts_t verdicts;
    bool too_many; /* lines of the same rows */
} judgement_t;

/* The row numbers of the range have grown by `shift` in all. If one of them has changed, the row that it was
 * is missing. */
static bool may_be_renumbered(const judgement_t *j, uint64_t row, uint64_t number) {
    if (j->at == j->changed_count || number < j->changed[j->at].from || j->changed[j->at].shift == 0)
        return false;
    uint64_t was = row - j->changed[j->at].shift;
    return was <= INT64_MAX && was < j->scan->how->rows_end && !rangeset_has(j->scan->found->finished, was) &&
           !rangeset_has(j->scan->retried, was);
}

/* Has the range more candidates than are looked at? */
static bool has_too_many(const judgement_t *j) {
    return j->candidate_count > RENUMBERED_MAX &&
           j->candidates[j->candidate_count - 1 - RENUMBERED_MAX].range == j->at;
}

static void judge_line(judgement_t *j, const text_line_t *line) {
    result_line_t row;
    if (line->too_long || result_line_read(line->bytes, line->len, &row, NULL) != 0) return;
    if (is_retried(j->scan->how, &row) || row.row >= j->scan->how->rows_end) return;
    while (j->at < j->changed_count && j->changed[j->at].to < line->number)
        j->at++;
    if (rangeset_has(j->scan->repeated, row.row)) {
        if (j->same_count == REPEATED_LINES_MAX) {
            j->too_many = true;
            return;
        }
        GROW(j->same, j->same_cap, j->same_count + 1);
        j->same[j->same_count++] = (occurrence_t){row.row, line->number, XXH3_64bits(line->bytes, line->len),
                                                  line_check_trust(j->scan->check, line->number)};
    } else if (may_be_renumbered(j, row.row, line->number) && !has_too_many(j)) {
        GROW(j->candidates, j->candidate_cap, j->candidate_count + 1);
        j->candidates[j->candidate_count++] = (candidate_t){j->at, line->number};
    }
}

static int by_row(const void *a, const void *b) {
    const occurrence_t *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static int by_line(const void *a, const void *b) {
    const verdict_t *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* Of lines of one row one that is as it was written stays; else the first, if all are alike; else none. */
static void judge_same(judgement_t *j, const occurrence_t *same, size_t count) {
    const occurrence_t *stays = NULL;
    bool alike = true;
    for (size_t i = 0; i < count; i++) {
        alike = alike && same[i].hash == same[0].hash;
        if (!stays && same[i].trust == LINE_INTACT) stays = &same[i];
    }
    if (!stays && alike) stays = &same[0];
    for (size_t i = 0; i < count; i++) {
        if (stays && &same[i] != stays)
            verdicts_add(&j->verdicts, same[i].line, REJECT_REPEATED, stays->line);
        if (!stays) verdicts_add(&j->verdicts, same[i].line, REJECT_CONTRADICTS, same[i ? 0 : 1].line);
    }
}

/* Does the range hold a line that goes anyway? That explains its change. The first `count` verdicts are in
 * order. */
static bool is_explained(const judgement_t *j, const changed_lines_t *range, size_t count) {
    uint64_t number;
    if (rangeset_next(j->scan->found->rejected, range->from, &number) && number <= range->to) return true;
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (j->verdicts.items[mid].line < range->from)
            low = mid + 1;
        else
            high = mid;
    }
    return low < count && j->verdicts.items[low].line <= range->to;
}

static void sort_verdicts(verdicts_t *v) {
    if (v->count) qsort(v->items, v->count, sizeof *v->items, by_line);
}

/* Candidates of a range go if they are few; else their range is only said to have changed. */
static void judge_candidates(judgement_t *j) {
    size_t verdict_count = j->verdicts.count;
    sort_verdicts(&j->verdicts);
    for (size_t from = 0, to; from < j->candidate_count; from = to) {
        size_t range = j->candidates[from].range;
        for (to = from; to < j->candidate_count && j->candidates[to].range == range; to++) {
        }
        if (to - from > RENUMBERED_MAX || is_explained(j, &j->changed[range], verdict_count)) continue;
        for (size_t i = from; i < to; i++)
            verdicts_add(&j->verdicts, j->candidates[i].line, REJECT_RENUMBERED, 0);
    }
}

static bool needs_judgement(const output_scan_t *scan) {
    size_t count;
    const changed_lines_t *changed = line_check_changed(scan->check, &count);
    bool shifted = false;
    for (size_t i = 0; i < count; i++)
        shifted = shifted || changed[i].shift != 0;
    return shifted || rangeset_count(scan->repeated) > 0;
}

/* Reads the file once more, for lines that a scan could not judge alone. */
static int judge(const scanned_file_t *file, const output_scan_t *scan, verdicts_t *out, err_t *err) {
    judgement_t j = {.scan = scan};
    text_line_t line = {0};
    stream_t *stream = open_again(file, err);
    if (!stream) return err->code;
    j.changed = line_check_changed(scan->check, &j.changed_count);
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    while (line.end < scan->found->keep_text && lines_next(lines, &line, NULL) > 0)
        judge_line(&j, &line);
    lines_destroy(&lines);
    stream_close(&stream);
    if (j.same_count) qsort(j.same, j.same_count, sizeof *j.same, by_row);
    for (size_t from = 0, to; from < j.same_count; from = to) {
        for (to = from; to < j.same_count && j.same[to].row == j.same[from].row; to++) {
        }
        judge_same(&j, j.same + from, to - from);
    }
    judge_candidates(&j);
    sort_verdicts(&j.verdicts);
    free(j.same);
    free(j.candidates);
    *out = j.verdicts;
    if (!j.too_many) return 0;
    return err_set(err, SDG_ELIMIT,
                   "%s: more than %zu lines have rows that other lines have, too: this is no output of one "
                   "run, nothing was changed; choose another output or give --overwrite",
                   scan->path, REPEATED_LINES_MAX);
}

/* ---- what a person should know */

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

/* Scans until each line is judged. */
static int scan_file(const scanned_file_t *file, const resume_how_t *how, resume_t *found, err_t *err) {
    output_scan_t scan;
    verdicts_t verdicts = {0};
    int rc = scan_once(file, how, &verdicts, &scan, found, err);
    if (rc == 0 && needs_judgement(&scan)) {
        rc = judge(file, &scan, &verdicts, err);
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

/* The files of a rewrite. */
typedef struct rewrite {
    const char *path; /* as given */
    int from;
    sink_t *to;
    int rejected;        /* X.rejected; -1: nothing is rejected */
    off_t rejected_size; /* of it before */
    const resume_t *found;
    bool retry_failed;
} rewrite_t;

/* Opens X.rejected to append to it. A new file has the mode of the output. What is no ordinary file, or a
 * symbolic link, is refused. */
static int open_rejected(rewrite_t *r, mode_t mode, err_t *err) {
    char *name = xasprintf("%s.rejected", r->path);
    r->rejected = safe_open_ordinary(name, O_RDWR | O_APPEND | O_CREAT, 0600);
    if (r->rejected < 0)
        err_set(err, file_no_space(errno) ? SDG_ENOSPACE : SDG_EIO,
                "%s: cannot be opened for lines of %s that are no results: %s; nothing was changed", name,
                r->path, safe_open_why(errno));
    free(name);
    if (r->rejected < 0) return err->code;
    r->rejected_size = lseek(r->rejected, 0, SEEK_END);
    if (r->rejected_size == 0) (void)fchmod(r->rejected, mode & 0777);
    return 0;
}

/* When the rewrite has failed nothing has been moved. */
static void close_rejected(rewrite_t *r, bool failed) {
    if (r->rejected < 0) return;
    if (failed && r->rejected_size >= 0 && ftruncate(r->rejected, r->rejected_size) != 0)
        log_warn("writer", "%s.rejected: cannot be cut back: %s", r->path, strerror(errno));
    close(r->rejected);
}

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
    int rc = r->found->lines_rejected ? open_rejected(r, mode, err) : 0;
    if (rc < 0) return rc;
    stream_t *stream = stream_from_fd(r->from, r->path, coding);
    rc = copy_lines(stream, r, err);
    stream_close(&stream);
    if (rc == 0 && r->rejected >= 0 && fsync(r->rejected) != 0) rc = no_repair(r->path, err);
    return rc == 0 ? sink_sync(r->to, err) : rc;
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
    rewrite_t r = {
        .path = given_path, .from = *fd, .rejected = -1, .found = found, .retry_failed = retry_failed};
    char *path = realpath(given_path, NULL); /* a symbolic link stays one */
    if (!path) return no_repair(given_path, err);
    char *fresh_path = xasprintf("%s.rewrite", path);
    int fresh = safe_open_fresh(fresh_path, O_RDWR | O_APPEND, 0600);
    int rc = fresh < 0 ? no_repair(path, err) : fill_and_rename(&r, fresh, path, fresh_path, coding, err);
    close_rejected(&r, rc < 0);
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
