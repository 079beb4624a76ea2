/* worker_calls.h - a call of an LLM on its way through the engine, be it a row's own or one that its Python
 * asks: its unit, its answer, and the time it waits. */
#ifndef SDG_ACTORS_WORKER_WORKER_CALLS_H
#define SDG_ACTORS_WORKER_WORKER_CALLS_H

#include "actors/worker/worker_internal.h"

/* Hands the call to the engine, with the row's unit if it has one. request->route is the number of the model.
 * Negative: the engine did not take it, err says why. */
int worker_call_submit(worker_t *w, slot_t *slot, slot_call_t *call, const llm_request_t *request,
                       uint64_t now, err_t *err);
void worker_call_cancel(worker_t *w, slot_call_t *call); /* its unit goes back to the job */

void slot_call_keep(slot_call_t *call, llm_answer_t *take); /* takes what is in the answer */
void slot_call_drop(slot_call_t *call);                     /* the answer that is kept, if there is one */

/* For how long a call with the engine has been in flight so far, and one that it has just answered. */
uint64_t worker_call_flight_ns(const worker_t *w, const slot_call_t *call, uint64_t now);
uint64_t worker_call_flown_ns(const slot_call_t *call, const llm_answer_t *answer, uint64_t now);
/* What the row waited for is there, or given up: its wall time ends so much later. `work_ns`: for so long of
 * that time a request was in flight. */
void worker_wait_over(worker_t *w, slot_t *slot, uint64_t work_ns, uint64_t now);

#endif
