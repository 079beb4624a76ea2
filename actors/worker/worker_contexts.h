/* worker_contexts.h - rows that wait in the context store (actors/store/context_store.h) instead of here: the
 * messages about them. What follows from an answer is decided in worker_rows.c. Nothing of it runs in a job
 * whose rows stay in memory.
 *
 * Two uses. A row that waits for an LLM is put away there and fetched when the answer has come
 * (--enable-memory-optimization, or when a --memory-limit gets near). And in batch mode a row that has
 * stopped before a block is put there for the pass that runs the block; a row leased without bytes is fetched
 * from there. */
#ifndef SDG_ACTORS_WORKER_WORKER_CONTEXTS_H
#define SDG_ACTORS_WORKER_WORKER_CONTEXTS_H

#include "actors/worker/worker_internal.h"

void worker_contexts_open(worker_job_t *job); /* when its options say so; the job is connected to its store */
void worker_contexts_close(worker_t *w, worker_job_t *job);

/* Of a row, from start to release. `stored`: it begins in the store. Gives PASSAGE_SAVES when the end of this
 * pass is not the end of the row. */
uint32_t worker_context_row(slot_t *slot, bool stored);
void worker_context_row_gone(slot_t *slot);
bool worker_context_is_shared(const slot_t *slot); /* what the store has of it is all there is of it */
size_t worker_context_bytes(const slot_t *slot);   /* of what waits here for the store, or for its context */

/* Its LLM call is out: gathers it for the store if that is wanted and possible. True: it is gathered, the
 * row in memory is of no use now. */
bool worker_context_put_away(worker_t *w, slot_t *slot);
void worker_context_pin(slot_t *slot);                /* it will be fetched in a moment */
void worker_context_queue(worker_t *w, slot_t *slot); /* fetch it: ROOM is reported when there is some */
void worker_context_fetch(worker_t *w, slot_t *slot, uint64_t now); /* CONTEXT_CAME or _LOST is reported */
/* Between passes: gathers it for the store, with what it has cost. CONTEXT_SAVED is reported later. */
void worker_context_save(worker_t *w, slot_t *slot);
const row_usage_t *worker_context_usage(const slot_t *slot);      /* that cost */
row_t *worker_context_lost_row(const slot_t *slot, uint64_t now); /* a row that fails in its place */
bool worker_contexts_are_queued(const worker_job_t *job);         /* rows wait for room */

void worker_contexts_message(worker_t *w, const message_t *m, uint64_t now);
/* Sends what was gathered in this wake-up, and fetches as far as there is room. */
void worker_contexts_flush(worker_t *w, uint64_t now);
void worker_contexts_resend(worker_t *w, uint64_t now); /* says again what was not answered */

#endif
