/* worker_journal.h - the worker's side of the call journal (actors/store/context_store.h). Nothing of it runs
 * in a job without one. */
#ifndef SDG_ACTORS_WORKER_WORKER_JOURNAL_H
#define SDG_ACTORS_WORKER_WORKER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/worker/worker_internal.h"

void worker_journal_open(worker_job_t *job); /* when its options say so; the job is connected to its store */
void worker_journal_close(worker_job_t *job);

/* Of a row, from start to release. `again`: it was leased before, so calls of it may have been recorded. */
void worker_journal_row(slot_t *slot, bool again);
void worker_journal_row_gone(slot_t *slot);
/* Between passes of batch mode: what it has asked so far (proto/parts/parked.h; also without a journal).
 * *used: where the rest begins. */
void worker_journal_save(const slot_t *slot, buf_t *out);
int worker_journal_load(slot_t *slot, const char *bytes, size_t len, size_t *used, err_t *err);

/* The row wants an LLM call. True: the store is asked first; worker_call_llm or worker_feed_llm follows. */
bool worker_journal_ask(worker_t *w, slot_t *slot);
/* A call has finished. True: the answer is held until it is recorded; worker_feed_llm follows. Takes it
 * then. */
bool worker_journal_hold(worker_t *w, slot_t *slot, llm_answer_t *answer);

void worker_journal_message(worker_t *w, const message_t *m, uint64_t now);
void worker_journal_flush(worker_t *w, uint64_t now);  /* sends what was gathered in this wake-up */
void worker_journal_resend(worker_t *w, uint64_t now); /* gathers again what was not answered */

#endif
