/* endpoint_report.h - how one endpoint fares, as far as one job of one worker can see it. It travels: the
 * engine fills it, workers say it with their beats, the scheduler adds up what its workers say, and the
 * client and the monitor show it.
 *
 * Times are ages at the moment it was made ("so many ms ago", "in so many ms"): clocks of two machines need
 * not agree. Who keeps a report for a while brings it up to date with endpoint_report_age. */
#ifndef SDG_BASE_ENDPOINT_REPORT_H
#define SDG_BASE_ENDPOINT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/limits.h"
#include "core/base/llm_cause.h"

typedef enum endpoint_state {
    ENDPOINT_OPEN,   /* requests go there */
    ENDPOINT_CLOSED, /* it said that it can take nothing for now: requests wait until it opens again */
    ENDPOINT_FINAL,  /* it refuses whatever it is asked, and waiting does not mend that */
    ENDPOINT_STATES
} endpoint_state_t;

typedef struct endpoint_report {
    uint64_t endpoint;                /* its id (core/llm/endpoint.h) */
    char address[ENDPOINT_SHOWN_MAX]; /* as people may see it: of the replica of the last trouble, else of the
                                       * first */
    endpoint_state_t state;           /* the best one of its replicas */
    uint64_t reopens_ms;              /* CLOSED: in so many ms; else 0 */
    uint64_t in_flight;               /* requests */
    uint64_t waiting;                 /* calls that wait for a permit, a unit or a retry, or until it opens */
    uint64_t refused;            /* of these: calls that have met a refusal of the endpoint and wait for what
                                  * becomes of it */
    uint64_t refused_in_a_row;   /* refusals of the endpoint since its last good answer */
    uint64_t requests, answered; /* since the start of the job: sent; answered well */
    uint64_t faulted; /* since the start of the job: calls that failed with a refusal because others
                       * were answered after it, so it was the fault of their rows */
    uint64_t retries[LLM_CAUSES]; /* since the start of the job, by cause */
    uint64_t oldest_ms;           /* how long the oldest request in flight has been waiting; 0: none */
    uint64_t answered_ms;         /* how long ago the last good answer came; ENDPOINT_NEVER: none yet */
    llm_cause_t trouble;          /* what went wrong last; LLM_CAUSE_NONE: nothing has */
    char trouble_text[LLM_TROUBLE_TEXT_MAX]; /* in words, the key hidden */
    uint64_t trouble_ms;                     /* how long ago */
} endpoint_report_t;

#define ENDPOINT_NEVER UINT64_MAX

/* So many ms have passed since it was made. */
void endpoint_report_age(endpoint_report_t *report, uint64_t ms);
/* Do both say the same, apart from ages? */
bool endpoint_report_same(const endpoint_report_t *a, const endpoint_report_t *b);
/* Adds the counters of another one, what only grows, and nothing else. */
void endpoint_report_count(endpoint_report_t *sum, const endpoint_report_t *other);
/* Adds what another one says of the same endpoint at the same moment: counters and gauges are sums, the state
 * is the better one (OPEN, else CLOSED), and the words are those of the later trouble. */
void endpoint_report_add(endpoint_report_t *sum, const endpoint_report_t *other);

#endif
