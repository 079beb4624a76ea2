/* worker_journal.c - see worker_journal.h.
 *
 * A row makes one call at a time, so its place in the journal is one small state: ASKED (the store is
 * looking) -> CALLED (the server is working) -> HELD (the answer is here, the store is writing it) ->
 * NOTHING, and the row goes on. Each turn of it has a tag of its own (slot and count), so whatever comes late
 * or twice finds another tag and is dropped.
 *
 * Only rows that may have been worked on before ask: rows within the journal's range at the start of the run,
 * and rows leased again. What is asked and held in one wake-up leaves as one message each.
 *
 * The occurrence of a question counts answers, not attempts: a call that failed and was made again must be
 * found under the same number.
 */
#include "actors/worker/worker_contexts.h"
#include "actors/loop/limits.h"
#include "actors/worker/worker_journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/sched/limits.h"
#include "core/store/journal.h"
#include "proto/parts/call.h"
#include "proto/parts/parked.h"

typedef enum call_state { CALL_NOTHING, CALL_ASKED, CALL_CALLED, CALL_HELD } call_state_t;

struct row_journal {
    call_state_t state;
    bool asks; /* this row asks before it calls */
    uint64_t tag;
    journal_key_t key;            /* of the call */
    uint64_t sent_ns;             /* ASKED, HELD: when the store was told; 0: not yet */
    llm_answer_t answer;          /* HELD */
    parked_question_t *questions; /* asked by this row and answered */
    uint32_t question_count, question_cap;
};

struct journal_out {
    numbers_t asked, held; /* gathered for the next CALL_LOOKUP and CALL_RECORD */
    buf_t answers;         /* scratch: encoded answers of one message */
};

/* ---- a job's */

void worker_journal_open(worker_job_t *job) {
    if (!job->store || !job->options.store.calls) return;
    job->journal = xcalloc(1, sizeof *job->journal);
    buf_init(&job->journal->answers, MESSAGE_BYTES_MAX);
}

void worker_journal_close(worker_job_t *job) {
    struct journal_out *out = job->journal;
    if (!out) return;
    numbers_free(&out->asked);
    numbers_free(&out->held);
    buf_free(&out->answers);
    free(out);
    job->journal = NULL;
}

/* ---- a row's state */

void worker_journal_row(slot_t *slot, bool again) {
    const job_store_t *range = &slot->job->options.store;
    slot->journal = xcalloc(1, sizeof *slot->journal);
    slot->journal->key.row = slot->index;
    slot->journal->asks = again || (slot->index >= range->first_row && slot->index < range->end_row);
}

void worker_journal_save(const slot_t *slot, buf_t *out) {
    const struct row_journal *j = slot->journal;
    parked_write(out, j ? j->questions : NULL, j ? j->question_count : 0);
}

int worker_journal_load(slot_t *slot, const char *bytes, size_t len, size_t *used, err_t *err) {
    struct row_journal *j = slot->journal;
    parked_question_t *questions;
    uint32_t count;
    if (parked_read(bytes, len, &questions, &count, used, err) != SDG_OK) return err->code;
    if (j) {
        free(j->questions);
        j->questions = questions;
        j->question_count = j->question_cap = count;
    } else {
        free(questions);
    }
    return SDG_OK;
}

void worker_journal_row_gone(slot_t *slot) {
    struct row_journal *j = slot->journal;
    if (!j) return;
    if (j->state == CALL_HELD) value_free(j->answer.text);
    free(j->questions);
    free(j);
    slot->journal = NULL;
}

static parked_question_t *find_question(const struct row_journal *j) {
    for (uint32_t i = j->question_count; i > 0; i--) {
        parked_question_t *q = &j->questions[i - 1];
        if (q->hash_low == j->key.hash_low && q->hash_high == j->key.hash_high) return q;
    }
    return NULL;
}

static void count_answer(struct row_journal *j) {
    parked_question_t *q = find_question(j);
    if (!q && j->question_count == j->question_cap) {
        j->question_cap = j->question_cap ? j->question_cap * 2 : 4;
        j->questions = xrealloc(j->questions, j->question_cap * sizeof *j->questions);
    }
    if (!q) {
        q = &j->questions[j->question_count++];
        *q = (parked_question_t){.hash_high = j->key.hash_high, .hash_low = j->key.hash_low};
    }
    q->answers++;
}

static void take_key(struct row_journal *j, const slot_t *slot) {
    const llm_request_t *request = row_llm_request(slot->row);
    journal_hash(slot->job->pipeline->models[request->route].name->data, request->body, request->body_len,
                 &j->key);
    const parked_question_t *q = find_question(j);
    j->key.occurrence = q ? q->answers : 0;
}

/* The slot of a tag; NULL when that call is over. */
static slot_t *slot_of_call(worker_t *w, uint64_t tag, call_state_t state) {
    slot_t *slot = worker_slot_of_turn(w, tag);
    return slot && slot->journal && slot->journal->tag == tag && slot->journal->state == state ? slot : NULL;
}

bool worker_journal_ask(worker_t *w, slot_t *slot) {
    struct row_journal *j = slot->journal;
    take_key(j, slot);
    j->tag = worker_new_turn(w, slot);
    j->state = j->asks ? CALL_ASKED : CALL_CALLED;
    j->sent_ns = 0;
    if (j->asks) numbers_add(&slot->job->journal->asked, j->tag);
    return j->asks;
}

bool worker_journal_hold(worker_t *w, slot_t *slot, llm_answer_t *answer) {
    struct row_journal *j = slot->journal;
    (void)w;
    if (j->state != CALL_CALLED) return false;
    j->state = CALL_NOTHING;
    if (answer->cause != LLM_CAUSE_NONE) return false;
    j->state = CALL_HELD;
    j->answer = *answer;
    j->sent_ns = 0;
    numbers_add(&slot->job->journal->held, j->tag);
    worker_context_soon(slot);
    return true;
}

/* ---- to the store */

static void send_calls(worker_job_t *job, worker_t *w, message_type_t type, call_list_t calls) {
    message_t m = {.type = type};
    if (calls.count == 0) return;
    if (type == MESSAGE_CALL_LOOKUP)
        m.CALL_LOOKUP = (MSG_CALL_LOOKUP){.job = job->id, .calls = calls};
    else
        m.CALL_RECORD = (MSG_CALL_RECORD){.job = job->id, .calls = calls};
    link_send(job->store, 0, &m, &w->scratch);
}

/* Encodes the answer behind the others; the slice holds its offset until all are encoded, because the buffer
 * moves while it grows. */
static slice_t add_answer(buf_t *answers, const struct row_journal *j) {
    size_t start = answers->len;
    call_encode(&j->answer, answers);
    return (slice_t){(const char *)(uintptr_t)start, answers->len - start};
}

static void point_answers(call_list_t calls, const buf_t *answers) {
    for (size_t i = 0; i < calls.count; i++) {
        calls.items[i].answer.data = answers->data + (uintptr_t)calls.items[i].answer.data;
    }
}

/* One message of the calls from `from` on; returns how many it has looked at. */
static size_t flush_some(worker_t *w, worker_job_t *job, const numbers_t *tags, size_t from,
                         call_state_t state, uint64_t now) {
    call_item_t items[JOURNAL_BATCH_CALLS_MAX];
    call_list_t calls = {items, 0};
    buf_t *answers = &job->journal->answers;
    size_t i = from;
    buf_reset(answers);
    for (; i < tags->count && calls.count < JOURNAL_BATCH_CALLS_MAX && answers->len < RESULT_BATCH_BYTES_MAX;
         i++) {
        slot_t *slot = slot_of_call(w, tags->items[i], state);
        if (!slot) continue;
        struct row_journal *j = slot->journal;
        items[calls.count++] =
            (call_item_t){.tag = j->tag,
                          .row = j->key.row,
                          .hash_high = j->key.hash_high,
                          .hash_low = j->key.hash_low,
                          .occurrence = j->key.occurrence,
                          .answer = state == CALL_HELD ? add_answer(answers, j) : (slice_t){"", 0}};
        j->sent_ns = now;
    }
    if (state == CALL_HELD) point_answers(calls, answers);
    send_calls(job, w, state == CALL_HELD ? MESSAGE_CALL_RECORD : MESSAGE_CALL_LOOKUP, calls);
    return i;
}

static void flush_list(worker_t *w, worker_job_t *job, numbers_t *tags, call_state_t state, uint64_t now) {
    for (size_t at = 0; at < tags->count;) {
        at = flush_some(w, job, tags, at, state, now);
    }
    tags->count = 0;
}

void worker_journal_flush(worker_t *w, uint64_t now) {
    for (worker_job_t *job = w->jobs; job; job = job->next) {
        if (!job->journal) continue;
        flush_list(w, job, &job->journal->asked, CALL_ASKED, now);
        flush_list(w, job, &job->journal->held, CALL_HELD, now);
    }
}

void worker_journal_resend(worker_t *w, uint64_t now) {
    for (uint32_t i = 0; i < w->slot_count; i++) {
        slot_t *slot = &w->slots[i];
        struct row_journal *j = slot->job ? slot->journal : NULL;
        if (!j || j->sent_ns == 0 || now - j->sent_ns < RESEND_NS) continue;
        if (j->state == CALL_ASKED) numbers_add(&slot->job->journal->asked, j->tag);
        if (j->state == CALL_HELD) numbers_add(&slot->job->journal->held, j->tag);
    }
}

/* ---- from the store */

static void on_call_found(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CALL_FOUND.calls.count; i++) {
        const call_item_t *call = &m->CALL_FOUND.calls.items[i];
        slot_t *slot = slot_of_call(w, call->tag, CALL_ASKED);
        llm_answer_t answer;
        err_t err;
        if (!slot) continue;
        if (call_decode(call->answer.data, call->answer.len, &answer, &err) != SDG_OK) {
            log_warn("worker",
                     "row %" PRIu64 ": the journal's answer cannot be read, the call is made again: %s",
                     call->row, err.text);
            slot->journal->state = CALL_CALLED;
            worker_call_llm(w, slot);
            continue;
        }
        slot->journal->state = CALL_NOTHING;
        count_answer(slot->journal);
        worker_feed_llm(w, slot, &answer, now);
    }
}

static void on_call_missing(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    for (size_t i = 0; i < m->CALL_MISSING.tags.count; i++) {
        slot_t *slot = slot_of_call(w, m->CALL_MISSING.tags.items[i], CALL_ASKED);
        if (!slot) continue;
        slot->journal->state = CALL_CALLED;
        worker_call_llm(w, slot);
    }
}

static void on_call_recorded(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CALL_RECORDED.tags.count; i++) {
        slot_t *slot = slot_of_call(w, m->CALL_RECORDED.tags.items[i], CALL_HELD);
        if (!slot) continue;
        llm_answer_t answer = slot->journal->answer;
        slot->journal->state = CALL_NOTHING;
        count_answer(slot->journal);
        worker_feed_llm(w, slot, &answer, now);
    }
}

void worker_journal_message(worker_t *w, const message_t *m, uint64_t now) {
    switch (m->type) {
    case MESSAGE_CALL_FOUND: on_call_found(w, m, now); break;
    case MESSAGE_CALL_MISSING: on_call_missing(w, m, now); break;
    case MESSAGE_CALL_RECORDED: on_call_recorded(w, m, now); break;
    default: break; /* REFUSED: the job is over */
    }
}
