/* stop_rules.h - when a run ends by itself although rows are left: too many of them fail, or an endpoint has
 * been closed for too long. Pure. */
#ifndef SDG_PLAN_STOP_RULES_H
#define SDG_PLAN_STOP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/endpoint_report.h"
#include "core/base/error.h"

typedef struct stop_limits {
    uint64_t failures;   /* --max-failures: rows that may fail; 0: any number */
    double failure_rate; /* --max-failure-rate: their part of all finished rows, 0 to 1; negative: any */
    uint64_t give_up_ms; /* --give-up-after */
} stop_limits_t;

/* Have too many of the rows finished in this run failed? Then *why says so in words. */
bool stop_for_failures(const stop_limits_t *limits, uint64_t ok, uint64_t failed, err_t *why);

/* How long endpoints have been closed without a good answer. */
typedef struct closed_times closed_times_t;

closed_times_t *closed_times_new(void);
void closed_times_destroy(closed_times_t **times); /* NULL is fine */

/* Looks at the endpoints of a run, at `now`. True when one of them is closed and has given no good answer for
 * longer than give_up_ms since it was first seen to be closed, or will have done so when it opens again. *why
 * says which, why, and when to come back (by `unix_ms`, the time of day at `now`, in the local time zone). */
bool closed_times_give_up(closed_times_t *times, const stop_limits_t *limits,
                          const endpoint_report_t *reports, size_t count, uint64_t now, int64_t unix_ms,
                          err_t *why);

#endif
