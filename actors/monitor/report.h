/* report.h - numbers as text for people: the progress line and the final summary. Pure. */
#ifndef SDG_ACTORS_MONITOR_REPORT_H
#define SDG_ACTORS_MONITOR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/monitor/trouble.h"
#include "core/base/buf.h"
#include "core/base/endpoint_report.h"
#include "core/base/hist.h"
#include "proto/message.h"
#include "proto/stats.h"

typedef struct report {
    uint64_t client[CLIENT_STATS];
    uint64_t scheduler[SCHEDULER_STATS];
    uint64_t elapsed_ns;
    int64_t unix_ms;                 /* now, for times of day */
    double rows_per_s, tokens_per_s; /* over the last seconds */
    uint64_t rss_bytes;              /* this process and its workers */
    bool japanese;
    bool elsewhere;                     /* the scheduler is in another process: its workers are not known */
    const endpoint_report_t *endpoints; /* how they fare now; borrowed */
    size_t endpoint_count;
} report_t;

/* The progress line, one line of at most so many columns (UINT64_MAX: all of it). What does not fit is left
 * out, the least important first; what goes wrong at an endpoint comes before rates:
 *
 * "1,234 rows (24.7 %)  56.1 rows/s  64 calls in flight  1.2k tok/s  2 failed  3 retries  ETA 1m07s  34 MiB"
 * "0 rows (0.0 %)  0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000 ("slow down")  12 retries  34 MiB"
 */
void report_progress(const report_t *r, uint64_t columns, buf_t *out);

/* How the run ended and what it left behind, beside its numbers. */
typedef struct report_end {
    const hist_t *latency;
    const char *outcomes; /* JSON: `reasons` of SUMMARY */
    size_t outcomes_len;
    const char *ending; /* why it ended early; "" normally */
    const char *output; /* file name; NULL or "-": no file */
    const char *again;  /* command line that asks the failed rows again; NULL: none */
} report_end_t;
/* Several lines: how it ended, rows, rate, calls, tokens, latency percentiles, retries by cause, what was odd
 * about rows, failures by reason with one message each, and what to do next. */
void report_summary(const report_t *r, const report_end_t *end, buf_t *out);
/* One line for a quiet run, which shows no summary; nothing when no row has failed. */
void report_failed_line(const report_t *r, const report_end_t *end, buf_t *out);

/* Rows that are finished, by this run or an earlier one. */
uint64_t report_rows_done(const report_t *r);
/* Rows of the whole input: known, or estimated from the bytes of finished rows; 0: not known. */
uint64_t report_rows_expected(const report_t *r);
bool report_rows_are_exact(const report_t *r); /* all of the input has been read */
double report_done_share(const report_t *r);   /* 0 to 1; NAN: not known */
double report_eta_s(const report_t *r);        /* NAN: not known */
uint64_t report_retries(const report_t *r);
/* How words of trouble are to be said. */
trouble_view_t report_trouble_view(const report_t *r);

#endif
