/* endpoints.h - how the endpoints of a run fare, from the reports that the monitor is told. Pure.
 *
 * A report belongs to a job, and a run of batch mode has one job for each pass: what the endpoints did for
 * earlier jobs stays counted. */
#ifndef SDG_ACTORS_MONITOR_ENDPOINTS_H
#define SDG_ACTORS_MONITOR_ENDPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/endpoint_report.h"
#include "proto/parts/limits.h"

typedef struct endpoints { /* all zero: nothing is known */
    uint64_t job;          /* of the reports */
    uint64_t heard_ns;
    size_t told_count, past_count, now_count;
    endpoint_report_t told[ENDPOINT_REPORTS_MAX]; /* as they came */
    endpoint_report_t past[ENDPOINT_REPORTS_MAX]; /* counters of earlier jobs */
    /* Made by endpoints_refresh: both together, ages brought up to date. */
    endpoint_report_t now[ENDPOINT_REPORTS_MAX];
    /* What each is called for machines: the address it had at first. The address of a report is that of the
     * replica of its last trouble. */
    struct {
        uint64_t endpoint;
        char text[ENDPOINT_SHOWN_MAX + 8];
    } name[ENDPOINT_REPORTS_MAX];
    size_t name_count;
} endpoints_t;

/* Takes the reports of a job; what they leave out (too many) is not known. */
void endpoints_take(endpoints_t *e, uint64_t job, const endpoint_report_t *reports, size_t count,
                    uint64_t now);
void endpoints_refresh(endpoints_t *e, uint64_t now);
/* The run is over: nothing is in flight any more, nothing waits, and no trouble lasts. */
void endpoints_end(endpoints_t *e, uint64_t now);

/* The name of an endpoint in `now`; no two have the same: of equal addresses (with different keys, say) the
 * later ones are numbered. */
const char *endpoints_name(const endpoints_t *e, uint64_t endpoint);
uint64_t endpoints_requests(const endpoints_t *e);
uint64_t endpoints_retries(const endpoints_t *e, llm_cause_t cause);

#endif
