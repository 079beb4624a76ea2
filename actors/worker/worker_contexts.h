/* worker_contexts.h - rows that wait in the context store (actors/store/context_store.h) instead of here.
 * Nothing of it runs in a job without it.
 *
 * Two uses. A row that waits for an LLM is put away there and fetched when the answer has come
 * (--enable-memory-optimization, or when a
 * --memory-limit gets near). And in batch mode a row that has stopped before a block is put there for the
 * pass that runs the block; a row leased without bytes is fetched from there.
 */
#ifndef SDG_ACTORS_WORKER_WORKER_CONTEXTS_H
#define SDG_ACTORS_WORKER_WORKER_CONTEXTS_H

#include "actors/worker/worker_internal.h"

void worker_contexts_open(worker_job_t *job); /* when its options say so; the job is connected to its store */
void worker_contexts_close(worker_t *w, worker_job_t *job);

/* Of a row, from start to release. `stored`: it begins in the store; it is fetched, then runs. */
void worker_context_row(worker_t *w, slot_t *slot, bool stored);
void worker_context_row_gone(slot_t *slot);
bool worker_context_is_coming(const slot_t *slot); /* asked for: it counts as in memory */
size_t worker_context_bytes(const slot_t *slot);   /* of what waits here for the store, or for its context */

void worker_context_park(worker_t *w,
                         slot_t *slot); /* its LLM call is out: puts it away if that is wanted and possible */
void worker_context_soon(slot_t *slot); /* it will be fetched in a moment */
void worker_context_want(worker_t *w, slot_t *slot); /* fetch it; worker_run_row follows */
void worker_context_answer(worker_t *w, slot_t *slot,
                           llm_answer_t *answer); /* fetch it and feed it this; takes its text */
bool worker_context_stop(
    worker_t *w, slot_t *slot); /* between passes: true if it is put away now, worker_park_row follows */
bool worker_contexts_queue(const worker_job_t *job); /* rows wait to be fetched: there is no room yet */

void worker_contexts_message(worker_t *w, const message_t *m, uint64_t now);
void worker_contexts_flush(
    worker_t *w, uint64_t now); /* sends what was gathered in this wake-up, as far as there is room */
void worker_contexts_resend(worker_t *w, uint64_t now); /* says again what was not answered */

#endif
