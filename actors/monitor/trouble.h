/* trouble.h - what goes wrong at LLM servers, in words: the same for the progress line, the log, `sdg top`,
 * the dashboard, /metrics and the summary. Pure.
 *
 *   0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000 ("slow down")
 *   0/64 in flight, 64 wait, closed until 14:03:20: 503 from http://gpu1:8000 ("queue full")
 *   no answer yet, oldest 6 s, from http://gpu1:8000
 *   given up: 401 from https://api.example.com ("Incorrect API key")
 */
#ifndef SDG_ACTORS_MONITOR_TROUBLE_H
#define SDG_ACTORS_MONITOR_TROUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/monitor/limits.h"
#include "core/base/buf.h"
#include "core/base/endpoint_report.h"

/* In the order of weight. */
typedef enum trouble_kind {
    TROUBLE_NONE,
    TROUBLE_PASSING, /* something went wrong within TROUBLE_RECENT_MS, and good answers have come since */
    TROUBLE_HANG,    /* requests are in flight and no answer comes for TROUBLE_HANG_MS */
    TROUBLE_STUCK,   /* something went wrong, and no good answer has come since */
    TROUBLE_CLOSED,  /* the endpoint takes nothing for now */
    TROUBLE_REFUSED, /* it refuses what it is asked, and calls wait for what becomes of it */
    TROUBLE_FINAL,   /* it was given up */
} trouble_kind_t;

trouble_kind_t trouble_kind(const endpoint_report_t *report);
const char *trouble_kind_name(trouble_kind_t kind); /* "none", "passing", "hang" and so on: for machines */
/* The endpoint whose trouble weighs most; NULL when none of them has any. */
const endpoint_report_t *trouble_worst(const endpoint_report_t *reports, size_t count);

typedef struct trouble_view {
    uint64_t calls_limit; /* calls allowed in flight; 0: not known */
    uint64_t running_ms;  /* since the run began: a first answer has been waited for at most so long */
    int64_t unix_ms;      /* now, for times of day */
    bool japanese;
} trouble_view_t;
/* Appends the words of one endpoint's trouble, with as many details as fit into so many columns
 * (UINT64_MAX: all). Nothing for TROUBLE_NONE. */
void trouble_words(const endpoint_report_t *report, const trouble_view_t *view, uint64_t columns, buf_t *out);
/* What went wrong last and where, without what follows from it: `429 from http://gpu1:8000 ("slow down")`. */
void trouble_cause(const endpoint_report_t *report, bool japanese, buf_t *out);

/* Which troubles have been said as lines of the log. */
typedef struct trouble_log {
    struct {
        uint64_t hash; /* of endpoint, kind, cause and text */
        uint64_t said_ns;
    } said[TROUBLES_SAID_MAX];
} trouble_log_t;
/* True when this trouble was not said within TROUBLE_AGAIN_NS; it counts as said then. */
bool trouble_is_new(trouble_log_t *log, const endpoint_report_t *report, uint64_t now);

#endif
