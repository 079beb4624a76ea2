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
#include "proto/stats.h"

/* Failure classes, counted; a bounded table: what does not fit is counted as "other". */
enum { REASONS_MAX = 24 };
typedef struct reasons {
    struct {
        char text[ROW_REASON_MAX];
        uint64_t count;
    } item[REASONS_MAX];
    size_t count;
} reasons_t;

typedef struct tally {
    uint64_t totals[CLIENT_STATS];
    hist_t latency;
    reasons_t reasons; /* of failed rows */
    reasons_t endings; /* exit_code of the end blocks of fine rows; not in STATS */
} tally_t;

void tally_usage(tally_t *t, const row_usage_t *usage);
void tally_failure(tally_t *t, const char *reason,
                   uint64_t rows); /* the reason only: rows_failed is counted by tally_row */
void tally_row(tally_t *t, bool failed, const char *reason, const row_usage_t *usage);

/* {"reason": count, ...} in the order they first appeared; at most REASONS_JSON_BYTES. */
enum { REASONS_JSON_BYTES = REASONS_MAX * (6 * ROW_REASON_MAX + 32) };
void tally_write_reasons(const tally_t *t, buf_t *out);
void tally_write_outcomes(const tally_t *t,
                          buf_t *out); /* {"failed": the same, "ended": the endings}; at most twice as long */

/* A STATS or SUMMARY as a tally. Bounded, whatever the message holds. */
void tally_read(tally_t *t, const u64_list_t *values, const u64_list_t *latency, slice_t reasons);
void tally_add_difference(tally_t *sum, const tally_t *before, const tally_t *after);

#endif
