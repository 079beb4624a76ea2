/* worker_rows.h - the rows of a worker, from lease to result. What happens to a row is reported here, and
 * only here is it decided upon (core/sched/passage.h) and done. */
#ifndef SDG_ACTORS_WORKER_WORKER_ROWS_H
#define SDG_ACTORS_WORKER_WORKER_ROWS_H

#include "actors/worker/worker_internal.h"

void worker_accept_rows(worker_t *w, worker_job_t *job, const row_in_list_t *rows, bool again);
void worker_start_rows(worker_t *w, worker_job_t *job, uint64_t now); /* as many as permits allow */
void worker_return_waiting(worker_t *w, worker_job_t *job);
/* Rows that have begun and can never go on here: see is_stuck. */
void worker_return_stuck(worker_t *w, const worker_job_t *job, uint64_t now); /* NULL: of all jobs */
void worker_drop_rows(worker_t *w, worker_job_t *job); /* those that wait, and those that have begun */

void worker_drive(worker_t *w, uint64_t now); /* finished calls, Python events, alarms, turns, starts */
uint64_t worker_next_wake(const worker_t *w, uint64_t now); /* ns until something is due, UINT64_MAX none */
uint64_t worker_rows_open(const worker_t *w);

/* This has happened to the row; does what follows from it. The slot may be free afterwards. */
void worker_report(worker_t *w, slot_t *slot, passage_event_t event, uint64_t now);
/* As worker_report, of an event that brings the answer to its call; takes the answer's text. */
void worker_report_answer(worker_t *w, slot_t *slot, passage_event_t event, llm_answer_t *answer,
                          uint64_t now);

#endif
