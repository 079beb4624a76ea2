/* worker_asks.h - what the Python of rows asks LLMs (ctx.call_ai), beside the way of the row: for each row a
 * set of asks (core/sched/ask.h), ROW_ASKS_MAX of them under way at a time; further ones wait in order.
 *
 * Units: a row whose Python only waits for its answers does not compute. So the first of its asks that goes
 * to the engine takes the row's unit along, others need one of their own, and the row has none as long as the
 * engine has a call of it. An ask whose answer is being recorded keeps its unit until that is done: a store
 * that is gone stops the calls, or they would be paid and forgotten. The unit of an ask that is over goes to
 * the row when it has none and no call, else to the job. A row with one unit makes progress, whatever it
 * asks. */
#ifndef SDG_ACTORS_WORKER_WORKER_ASKS_H
#define SDG_ACTORS_WORKER_WORKER_ASKS_H

#include "actors/worker/worker_internal.h"

/* Python asks this (py_event_t.ai, borrowed). Its answer goes to the pool, sooner or later. */
void worker_asks_add(worker_t *w, slot_t *slot, value_t question, uint64_t now);
/* Python does not wait for this question any more. Unknown ones are ignored. */
void worker_asks_give_up(worker_t *w, slot_t *slot, value_t question, uint64_t now);
/* Its Python call is over, or begins once more: all asks are given up. */
void worker_asks_cancel(worker_t *w, slot_t *slot, uint64_t now);

/* The call of an ask that is under way, number `i` of them; NULL: there are not so many. */
slot_call_t *worker_asks_call(const slot_t *slot, uint32_t i);
/* The same by its tag; NULL: it is over. */
slot_call_t *worker_asks_find(const slot_t *slot, uint64_t tag);
/* Does this mean something to the ask of this call? */
bool worker_asks_expect(const slot_call_t *call, passage_event_t event);
/* The engine or the store has said something of the call with this tag, of an ask. Takes what is in the
 * answer, and the unit that it may have; the answer may be NULL. */
void worker_asks_report(worker_t *w, slot_t *slot, uint64_t tag, passage_event_t event, llm_answer_t *answer,
                        uint64_t now);

uint32_t worker_asks_calling(const slot_t *slot); /* with the engine */
bool worker_asks_all_call(const slot_t *slot); /* some are under way, and all of them are with the engine */
/* Of the time since the first of them went to the engine: in which at least one was in flight. */
uint64_t worker_asks_work_ns(const worker_t *w, const slot_t *slot, uint64_t now);
size_t worker_asks_bytes(const slot_t *slot);

#endif
