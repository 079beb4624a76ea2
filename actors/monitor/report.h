/* report.h - numbers as text for people: the progress line and the final summary. Pure. */
#ifndef SDG_ACTORS_MONITOR_REPORT_H
#define SDG_ACTORS_MONITOR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/endpoint_report.h"
#include "core/base/hist.h"
#include "proto/message.h"
#include "proto/stats.h"

typedef struct report {
    uint64_t client[CLIENT_STATS];
    uint64_t scheduler[SCHEDULER_STATS];
    uint64_t elapsed_ns;
    double rows_per_s, tokens_per_s; /* over the last seconds */
    uint64_t rss_bytes;              /* this process and its workers */
    endpoint_report_t *endpoints;    /* how the endpoints fare, as of endpoints_ns; NULL while count is 0 */
    size_t endpoint_count;
    uint64_t endpoints_ns; /* when that was heard */
    bool japanese;
    bool elsewhere; /* the scheduler is in another process: workers and calls in flight are not known */
} report_t;

/* The progress line:
 * "1,234 rows (24.7 %)  56.1 rows/s  64 calls in flight  1.2k tok/s  2 failed  3 retries  ETA 1m07s  34 MiB"
 */
void report_progress(const report_t *r, buf_t *out);
/* Several lines: rows, rate, calls, tokens, latency percentiles, retries by cause, failures by reason, how it
 * ended. */
void report_summary(const report_t *r, const hist_t *latency, const char *reasons_json, size_t reasons_len,
                    const char *ending, buf_t *out);

/* Rows of the whole input: known, or estimated from the bytes read so far; 0: not known. */
uint64_t report_rows_expected(const report_t *r);

#endif
