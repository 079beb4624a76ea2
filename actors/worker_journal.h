/* worker_journal.h - the worker's side of the call journal (actors/context_store.h). Nothing of it runs in a job without one. */
#ifndef SDG_ACTORS_WORKER_JOURNAL_H
#define SDG_ACTORS_WORKER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/worker_internal.h"

/* Of a job: connects to the store its options name; NULL in job->journal when they name none. */
int worker_journal_open(worker_t *w, worker_job_t *job, err_t *err);
void worker_journal_close(worker_t *w, worker_job_t *job);

/* Of a row, from start to release. `again`: it was leased before, so calls of it may have been recorded. */
void worker_journal_row(slot_t *slot, bool again);
void worker_journal_row_gone(slot_t *slot);

/* The row wants an LLM call. True: the store is asked first; worker_call_llm or worker_feed_llm follows. */
bool worker_journal_ask(worker_t *w, slot_t *slot);
/* A call has finished. True: the answer is held until it is recorded; worker_feed_llm follows. Takes it then. */
bool worker_journal_hold(worker_t *w, slot_t *slot, llm_answer_t *answer);

void worker_journal_message(worker_t *w, const message_t *m, uint64_t now);
void worker_journal_flush(worker_t *w, uint64_t now);  /* sends what was gathered in this wake-up */
void worker_journal_resend(worker_t *w, uint64_t now); /* gathers again what was not answered */

#endif
