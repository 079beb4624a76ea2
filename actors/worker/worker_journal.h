/* worker_journal.h - the worker's side of the call journal (actors/store/context_store.h): its messages, and
 * what of a row they are about. What follows from an answer is decided in worker_rows.c. Nothing of it runs
 * in a job without a journal. */
#ifndef SDG_ACTORS_WORKER_WORKER_JOURNAL_H
#define SDG_ACTORS_WORKER_WORKER_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/worker/worker_internal.h"

void worker_journal_open(worker_job_t *job); /* when its options say so; the job is connected to its store */
void worker_journal_close(worker_job_t *job);

/* Of a row, from start to release. `again`: a worker held it before, so calls of it may have been recorded.
 * Gives PASSAGE_HAS_JOURNAL when answers are written down as they come, and PASSAGE_ASKS when the store is to
 * be asked before it calls. */
uint32_t worker_journal_row(slot_t *slot, bool again);
void worker_journal_row_gone(slot_t *slot);
/* Between passes of batch mode: what it has asked so far (proto/parts/parked.h; also without a journal).
 * *used: where the rest begins. */
void worker_journal_save(const slot_t *slot, buf_t *out);
int worker_journal_load(slot_t *slot, const char *bytes, size_t len, size_t *used, err_t *err);

/* The row, or its Python, wants this call: remembers which one of the row it is, in call->key. Calls that ask
 * the same at the same time are told apart in the order in which they are asked. */
void worker_journal_ask(slot_t *slot, slot_call_t *call, const llm_request_t *request);
void worker_journal_count(slot_t *slot, const slot_call_t *call); /* its question has had one more answer */
/* Of a call of Python: it will have no answer, and another one that asks the same may take its place. */
void worker_journal_unanswered(slot_t *slot, const slot_call_t *call);
/* The row is about to get this answer to its call. Where answers are written down late, it is kept and
 * counted here. */
void worker_journal_fed(slot_t *slot, const llm_answer_t *answer);
/* A Python call begins; it begins once more, and asks what it has asked before; it is over. */
void worker_journal_python_begins(slot_t *slot);
void worker_journal_python_again(slot_t *slot);
void worker_journal_python_over(slot_t *slot);
/* The row is finished. True: it has failed and has answers that are not written down. */
bool worker_journal_is_owed(const slot_t *slot);
size_t worker_journal_bytes(const slot_t *slot); /* of the answers that are kept */
/* Gathered for the next message: is there an answer to it (CALL_FOUND or CALL_MISSING is reported later)?
 * Write down call->answer (CALL_RECORDED is reported later). */
void worker_journal_look_up(slot_t *slot, slot_call_t *call);
void worker_journal_record(slot_t *slot, slot_call_t *call);
/* Gathers all answers that are kept (CALL_RECORDED, or UNHEARD, is reported later). */
void worker_journal_hand_in(worker_t *w, slot_t *slot, uint64_t now);

void worker_journal_message(worker_t *w, const message_t *m, uint64_t now);
void worker_journal_flush(worker_t *w, uint64_t now);  /* sends what was gathered in this wake-up */
void worker_journal_resend(worker_t *w, uint64_t now); /* gathers again what was not answered */

#endif
