/* endpoint_book.h - what the workers of one job have said of its endpoints: kept, added up, judged. Pure.
 *
 * Each worker says all counters since the job began there, so a lost report is healed by the next, and a
 * worker that is gone keeps what it has counted: each request is in the sum once. A worker that has forgotten
 * the job and begins again counts from 0 again; what it had counted before stays in the sum.
 *
 * Up to WORKERS_MAX workers that are gone are remembered apart; the counters of the one that was silent for
 * the longest time are then put into one lump, and should it come back, all it has counted is counted again.
 */
#ifndef SDG_SCHED_ENDPOINT_BOOK_H
#define SDG_SCHED_ENDPOINT_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/endpoint_report.h"

typedef struct endpoint_book endpoint_book_t;

endpoint_book_t *endpoint_book_new(void);
void endpoint_book_destroy(endpoint_book_t **book); /* NULL is fine */

/* What this worker says at `now`. Reports of more than JOB_ENDPOINTS_MAX endpoints are left out. */
void endpoint_book_take(endpoint_book_t *b, uint64_t worker, const endpoint_report_t *reports, size_t count,
                        uint64_t now);
void endpoint_book_gone(endpoint_book_t *b, uint64_t worker);

/* Writes one report for each endpoint, as of `now`, up to `max`; returns how many. An endpoint of which no
 * living worker says anything is open. */
size_t endpoint_book_sum(const endpoint_book_t *b, uint64_t now, endpoint_report_t *out, size_t max);

/* What the dispatcher knows of the job. */
typedef struct endpoint_facts {
    uint64_t rows_unfinished; /* queued or with workers */
    bool none_come; /* no more rows come before one of these ends: the input has, or the window is full */
} endpoint_facts_t;

typedef enum endpoint_verdict {
    ENDPOINT_GOES_ON, /* nothing is to be done */
    /* No more can be done: a worker has found the endpoint to be final; or all unfinished rows, 2 or more,
     * wait with a refusal of it and none come that could show that it answers others; or 2 or more wait so
     * while workers have no room for others, and nothing has been asked for ENDPOINT_QUIET_NS. */
    ENDPOINT_IS_FINAL,
    /* All rows that are left wait with a refusal, and it is one row alone; or the endpoint has answered
     * others in this run, and refused single rows between them, or answered too few to tell. The rows that
     * wait fail with what they met: a few refusals do not tell rows that are wrong from an endpoint that is.
     */
    ENDPOINT_FAILS_ITS_ROW,
    /* One worker has found it final, but it answers another: that is the worker's own trouble (its
     * certificates, its name server), and others run the job. */
    ENDPOINT_UNFIT_WORKER,
} endpoint_verdict_t;

typedef struct endpoint_ruling {
    endpoint_verdict_t verdict;
    endpoint_report_t of; /* the sum of the endpoint it is about */
    uint64_t worker;      /* ENDPOINT_UNFIT_WORKER: which */
} endpoint_ruling_t;

/* The verdict on the job's endpoints. To be asked again as time passes: that all rows wait counts when it was
 * so for ENDPOINT_STUCK_NS, because a report may be older than the results of its rows. A worker that is
 * unfit is named until it is said to be gone. */
endpoint_verdict_t endpoint_book_judge(endpoint_book_t *b, const endpoint_facts_t *facts, uint64_t now,
                                       endpoint_ruling_t *ruling);

#endif
