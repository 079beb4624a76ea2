/* tally.h - what finished rows have cost, added up: the numbers of STATS and SUMMARY. Used by clients (exact:
 * each row is counted when it is written), by workers (what they have done, rows done twice included) and by
 * a scheduler that adds its workers up. */
#ifndef SDG_PROTO_PARTS_TALLY_H
#define SDG_PROTO_PARTS_TALLY_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/hist.h"
#include "core/base/row_types.h"
#include "proto/message.h"
#include "proto/parts/limits.h"
#include "proto/parts/samples.h"
#include "proto/stats.h"

/* Kinds of failures ("HTTP 400", "input", ...), each with its count. When the table is full, a further kind
 * is counted as "other". */
typedef struct reasons {
    struct {
        char text[ROW_REASON_MAX];
        uint64_t count;
    } item[REASONS_MAX];
    size_t count;
} reasons_t;

/* Notes of rows ("ask.Question: nothing"), each with its count: names that do not fit are counted as "other"
 * of their kind. */
typedef struct notes {
    struct {
        row_note_kind_t kind;
        char name[ROW_NOTE_NAME_MAX];
        uint64_t count;
    } item[NOTES_MAX + ROW_NOTE_KINDS];
    size_t count;
} notes_t;

typedef struct tally {
    uint64_t totals[CLIENT_STATS];
    hist_t latency;
    reasons_t reasons; /* of failed rows */
    reasons_t endings; /* exit_code of the end blocks of rows that succeeded; not in STATS */
    notes_t notes;     /* of all rows; not in STATS */
} tally_t;

/* Adds calls, requests, tokens, retries, latencies and notes. */
void tally_usage(tally_t *t, const row_usage_t *usage);
/* The total that counts retries of this cause; 0: none does. */
int tally_retry_stat(llm_cause_t cause);
/* Counts the reason of failed rows; rows_failed itself is counted by tally_row. */
void tally_failure(tally_t *t, const char *reason, uint64_t rows);
/* Counts a finished row with its usage. `reason` is why it failed, or the exit_code it ended with ("": none).
 */
void tally_row(tally_t *t, bool failed, const char *reason, const row_usage_t *usage);

/* {"reason": count, ...} in the order they first appeared; at most REASONS_JSON_BYTES. */
enum { REASONS_JSON_BYTES = REASONS_MAX * (6 * ROW_REASON_MAX + 32) };
void tally_write_reasons(const tally_t *t, buf_t *out);
/* {"failed": {reason: count, ...}, "ended": {exit_code: count, ...}} and, of kinds of notes that came,
 * {"nothing": {"<block>.<output>": count, ...}, "zero": {"<block>": count, ...}, "not_json": {..}, "nulled":
 * {..}}, and "samples": {reason: message} unless `samples` is NULL; at most OUTCOMES_JSON_BYTES. */
enum {
    OUTCOMES_JSON_BYTES = 3 * REASONS_JSON_BYTES + REASONS_MAX * 6 * SAMPLE_BYTES_MAX +
                          (NOTES_MAX + ROW_NOTE_KINDS) * (6 * ROW_NOTE_NAME_MAX + 32)
};
void tally_write_outcomes(const tally_t *t, const samples_t *samples, buf_t *out);

/* Makes a tally of a STATS or SUMMARY; what does not fit is left out, whatever the message holds. */
void tally_read(tally_t *t, const u64_list_t *values, const u64_list_t *latency, slice_t reasons);
/* Adds to `sum` what a worker has done between two of its tallies. */
void tally_add_difference(tally_t *sum, const tally_t *before, const tally_t *after);

#endif
