/* resume_judge.c - lines of an output that are judged by each other.
 *
 * Of lines with one row at most one stays: one that is as it was written, by its checksum. A line whose row
 * number alone has changed looks like any other; it is known by its block, whose row numbers have another
 * sum, and by the row that it was, which no line has any more. */
#include <stdlib.h>
#include <xxhash.h>

#include "core/base/grow.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/resume_internal.h"

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
} judgement_t;

static void verdicts_add(verdicts_t *v, uint64_t line, reject_why_t why, uint64_t other) {
    GROW(v->items, v->cap, v->count + 1);
    v->items[v->count++] = (verdict_t){line, why, other};
}

/* ---- lines that are read ---- */

/* The row numbers of the range have grown by `shift` in all. If one of them has changed, the row that it was
 * is missing. */
static bool may_be_renumbered(const judgement_t *j, uint64_t row, uint64_t number) {
    if (j->at == j->changed_count || number < j->changed[j->at].from || j->changed[j->at].shift == 0)
        return false;
    uint64_t was = row - j->changed[j->at].shift;
    return was <= INT64_MAX && was < j->scan->how->rows_end && !rangeset_has(j->scan->found->finished, was) &&
           !rangeset_has(j->scan->retried, was);
}

static void judge_line(judgement_t *j, const text_line_t *line) {
    result_line_t row;
    if (line->too_long || result_line_read(line->bytes, line->len, &row, NULL) != 0) return;
    if (resume_is_retried(j->scan->how, &row) || row.row >= j->scan->how->rows_end) return;
    while (j->at < j->changed_count && j->changed[j->at].to < line->number)
        j->at++;
    if (rangeset_has(j->scan->repeated, row.row)) {
        GROW(j->same, j->same_cap, j->same_count + 1);
        j->same[j->same_count++] = (occurrence_t){row.row, line->number, XXH3_64bits(line->bytes, line->len),
                                                  line_check_trust(j->scan->check, line->number)};
    } else if (may_be_renumbered(j, row.row, line->number)) {
        GROW(j->candidates, j->candidate_cap, j->candidate_count + 1);
        j->candidates[j->candidate_count++] = (candidate_t){j->at, line->number};
    }
}

/* ---- verdicts ---- */

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

/* Does the range hold a line that goes anyway? That explains its change. */
static bool is_explained(const judgement_t *j, const changed_lines_t *range, size_t verdict_count) {
    uint64_t number;
    if (rangeset_next(j->scan->found->rejected, range->from, &number) && number <= range->to) return true;
    for (size_t i = 0; i < verdict_count; i++)
        if (j->verdicts.items[i].line >= range->from && j->verdicts.items[i].line <= range->to) return true;
    return false;
}

/* Candidates of a range go if they are few; else their range is only said to have changed. */
static void judge_candidates(judgement_t *j) {
    size_t verdict_count = j->verdicts.count;
    for (size_t from = 0, to; from < j->candidate_count; from = to) {
        size_t range = j->candidates[from].range;
        for (to = from; to < j->candidate_count && j->candidates[to].range == range; to++) {
        }
        if (to - from > RENUMBERED_MAX || is_explained(j, &j->changed[range], verdict_count)) continue;
        for (size_t i = from; i < to; i++)
            verdicts_add(&j->verdicts, j->candidates[i].line, REJECT_RENUMBERED, 0);
    }
}

bool resume_needs_judgement(const output_scan_t *scan) {
    size_t count;
    const changed_lines_t *changed = line_check_changed(scan->check, &count);
    bool shifted = false;
    for (size_t i = 0; i < count; i++)
        shifted = shifted || changed[i].shift != 0;
    return shifted || rangeset_count(scan->repeated) > 0;
}

int resume_judge(const scanned_file_t *file, const output_scan_t *scan, verdicts_t *out, err_t *err) {
    judgement_t j = {.scan = scan};
    text_line_t line = {0};
    stream_t *stream = resume_open_again(file, err);
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
    if (j.verdicts.count) qsort(j.verdicts.items, j.verdicts.count, sizeof *j.verdicts.items, by_line);
    free(j.same);
    free(j.candidates);
    *out = j.verdicts;
    return 0;
}
