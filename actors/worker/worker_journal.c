/* worker_journal.c - see worker_journal.h.
 *
 * Only rows that may have been worked on before ask: those in the range of the job's options (of an earlier
 * run, or submitted before), and those that a worker held before. What is asked and recorded in one wake-up
 * leaves as one message each; until the store answers, a beat later it is said again.
 *
 * A row that makes one call at most does not wait for the store: its answers are kept here, and written down
 * when the row has failed, before that is reported. Otherwise they are of no use to anybody.
 *
 * The occurrence of a question counts answers, not attempts: a call that failed and was made again must be
 * found under the same number.
 */
#include "actors/worker/worker_journal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_rows.h"
#include "core/base/batch.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/sched/limits.h"
#include "core/store/journal.h"
#include "proto/parts/call.h"
#include "proto/parts/parked.h"

/* An answer that is written down only if its row fails. */
typedef struct kept_call {
    journal_key_t key;
    size_t len; /* of its bytes, behind those of the call before */
} kept_call_t;

struct row_journal {
    journal_key_t key;            /* of the call it makes, or made last */
    uint64_t sent_ns;             /* when the store was told of it; 0: not since it was gathered */
    parked_question_t *questions; /* asked by this row and answered */
    uint32_t question_count, question_cap;
    kept_call_t *kept; /* calls that are written down late */
    uint32_t kept_count, kept_cap;
    buf_t kept_bytes;
    uint64_t owed_since_ns; /* when the store was told of them first; 0: not yet */
    struct row_journal *next_spare;
};

struct journal_out {
    numbers_t to_look_up, to_record; /* tags of calls, gathered for the next CALL_LOOKUP and CALL_RECORD */
    BATCH(call_item_t) calls;        /* of one message */
    struct row_journal *spares;      /* of rows that are gone, for rows to come: they keep their memory */
    uint32_t spare_count;
};

/* ---- of rows that are gone */

static void row_journal_free(struct row_journal *j) {
    free(j->questions);
    free(j->kept);
    buf_free(&j->kept_bytes);
    free(j);
}

static struct row_journal *spare_take(struct journal_out *out) {
    struct row_journal *j = out ? out->spares : NULL;
    if (!j) {
        j = xcalloc(1, sizeof *j);
        buf_init(&j->kept_bytes, MESSAGE_BYTES_MAX / 2);
        return j;
    }
    out->spares = j->next_spare;
    out->spare_count--;
    return j;
}

/* Empties the journal of a row and keeps it, unless there are enough or it has grown large. */
static void spare_give(struct journal_out *out, struct row_journal *j) {
    if (!out || out->spare_count == JOURNALS_SPARE_MAX || j->kept_bytes.cap > JOURNAL_SPARE_BYTES_MAX) {
        row_journal_free(j);
        return;
    }
    buf_reset(&j->kept_bytes);
    *j = (struct row_journal){.questions = j->questions,
                              .question_cap = j->question_cap,
                              .kept = j->kept,
                              .kept_cap = j->kept_cap,
                              .kept_bytes = j->kept_bytes,
                              .next_spare = out->spares};
    out->spares = j;
    out->spare_count++;
}

/* ---- a job's */

void worker_journal_open(worker_job_t *job) {
    if (!job->store || !job->options.store.calls) return;
    job->journal = xcalloc(1, sizeof *job->journal);
    buf_init(&job->journal->calls.text, MESSAGE_BYTES_MAX);
}

void worker_journal_close(worker_job_t *job) {
    struct journal_out *out = job->journal;
    if (!out) return;
    numbers_free(&out->to_look_up);
    numbers_free(&out->to_record);
    BATCH_FREE(&out->calls);
    while (out->spares)
        row_journal_free(spare_take(out));
    free(out);
    job->journal = NULL;
}

/* ---- a row's state */

uint32_t worker_journal_row(slot_t *slot, bool again) {
    const job_store_t *range = &slot->job->options.store;
    uint64_t row = slot->passage.row;
    slot->journal = spare_take(slot->job->journal);
    slot->journal->key.row = row;
    bool asks = again || (row >= range->first_row && row < range->end_row);
    return (range->late ? 0 : PASSAGE_HAS_JOURNAL) | (asks ? PASSAGE_ASKS : 0);
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
    if (slot->journal) spare_give(slot->job->journal, slot->journal);
    slot->journal = NULL;
}

static parked_question_t *find_question(const struct row_journal *j) {
    for (uint32_t i = j->question_count; i > 0; i--) {
        parked_question_t *q = &j->questions[i - 1];
        if (q->hash_low == j->key.hash_low && q->hash_high == j->key.hash_high) return q;
    }
    return NULL;
}

void worker_journal_count(slot_t *slot) {
    struct row_journal *j = slot->journal;
    parked_question_t *q = find_question(j);
    if (!q) {
        GROW(j->questions, j->question_cap, j->question_count + 1);
        q = &j->questions[j->question_count++];
        *q = (parked_question_t){.hash_high = j->key.hash_high, .hash_low = j->key.hash_low};
    }
    q->answers++;
}

/* An answer that does not fit is not kept: the call is made again then. */
void worker_journal_fed(slot_t *slot, const llm_answer_t *answer) {
    struct row_journal *j = slot->journal;
    if (!j || !slot->job->options.store.late || answer->cause != LLM_CAUSE_NONE || answer->replayed) return;
    size_t before = j->kept_bytes.len;
    if (j->kept_count < JOURNAL_BATCH_CALLS_MAX) call_encode(answer, &j->kept_bytes);
    if (j->kept_bytes.full) {
        j->kept_bytes.len = before;
        j->kept_bytes.full = false;
    } else if (j->kept_bytes.len > before) {
        GROW(j->kept, j->kept_cap, j->kept_count + 1);
        j->kept[j->kept_count++] = (kept_call_t){j->key, j->kept_bytes.len - before};
    }
    worker_journal_count(slot);
}

bool worker_journal_is_owed(const slot_t *slot) {
    row_result_t result;
    if (!slot->journal || slot->journal->kept_count == 0) return false;
    row_result(slot->row, &result);
    return result.failed;
}

size_t worker_journal_bytes(const slot_t *slot) { return slot->journal ? slot->journal->kept_bytes.len : 0; }

void worker_journal_ask(slot_t *slot) {
    struct row_journal *j = slot->journal;
    const llm_request_t *request = row_llm_request(slot->row);
    journal_hash(slot->job->pipeline->models[request->route].name->data, request->body, request->body_len,
                 &j->key);
    const parked_question_t *q = find_question(j);
    j->key.occurrence = q ? q->answers : 0;
}

void worker_journal_look_up(slot_t *slot) {
    slot->journal->sent_ns = 0;
    numbers_add(&slot->job->journal->to_look_up, slot->call_tag);
}

void worker_journal_record(slot_t *slot) {
    slot->journal->sent_ns = 0;
    numbers_add(&slot->job->journal->to_record, slot->call_tag);
}

void worker_journal_hand_in(worker_t *w, slot_t *slot, uint64_t now) {
    slot->call_tag = slots_new_tag(w->slots, slot);
    if (slot->journal->owed_since_ns == 0) slot->journal->owed_since_ns = now;
    worker_journal_record(slot);
}

/* The slot of a call that waits for this answer of the store; NULL: it does not any more. */
static slot_t *slot_of_call(worker_t *w, uint64_t tag, passage_event_t answer) {
    slot_t *slot = slots_of(w->slots, tag);
    bool waits =
        slot && slot->journal && slot->call_tag == tag && passage_expects(slot->passage.state, answer);
    return waits ? slot : NULL;
}

/* ---- to the store */

static void send_calls(worker_t *w, worker_job_t *job, message_type_t type) {
    struct journal_out *out = job->journal;
    call_list_t calls = {out->calls.items, out->calls.count};
    message_t m = {.type = type};
    if (calls.count == 0) return;
    BATCH_POINT(&out->calls, answer);
    if (type == MESSAGE_CALL_LOOKUP)
        m.CALL_LOOKUP = (MSG_CALL_LOOKUP){.job = job->id, .calls = calls};
    else
        m.CALL_RECORD = (MSG_CALL_RECORD){.job = job->id, .calls = calls};
    link_send(job->store, 0, &m, &w->scratch);
    BATCH_RESET(&out->calls, RESULT_BYTES_KEPT);
}

/* All answers that the row has kept. The last one carries the tag: when that is written, all are. */
static void add_kept_calls(worker_job_t *job, slot_t *slot, uint64_t now) {
    struct journal_out *out = job->journal;
    struct row_journal *j = slot->journal;
    size_t at = 0;
    for (uint32_t i = 0; i < j->kept_count; i++) {
        const kept_call_t *kept = &j->kept[i];
        buf_add(&out->calls.text, j->kept_bytes.data + at, kept->len);
        at += kept->len;
        BATCH_ADD(&out->calls, (call_item_t){.tag = i + 1 == j->kept_count ? slot->call_tag : 0,
                                             .row = kept->key.row,
                                             .hash_high = kept->key.hash_high,
                                             .hash_low = kept->key.hash_low,
                                             .occurrence = kept->key.occurrence,
                                             .answer.len = kept->len});
    }
    j->sent_ns = now;
}

static void add_call(worker_job_t *job, slot_t *slot, message_type_t type, uint64_t now) {
    struct journal_out *out = job->journal;
    struct row_journal *j = slot->journal;
    size_t before = out->calls.text.len;
    if (type == MESSAGE_CALL_RECORD) call_encode(slot->answer, &out->calls.text);
    BATCH_ADD(&out->calls, (call_item_t){.tag = slot->call_tag,
                                         .row = j->key.row,
                                         .hash_high = j->key.hash_high,
                                         .hash_low = j->key.hash_low,
                                         .occurrence = j->key.occurrence,
                                         .answer.len = out->calls.text.len - before});
    j->sent_ns = now;
}

static void flush_list(worker_t *w, worker_job_t *job, numbers_t *tags, message_type_t type, uint64_t now) {
    struct journal_out *out = job->journal;
    passage_event_t answer = type == MESSAGE_CALL_LOOKUP ? PASSAGE_CALL_MISSING : PASSAGE_CALL_RECORDED;
    for (size_t i = 0; i < tags->count; i++) {
        slot_t *slot = slot_of_call(w, tags->items[i], answer);
        if (slot && passage_expects(slot->passage.state, PASSAGE_UNHEARD))
            add_kept_calls(job, slot, now);
        else if (slot)
            add_call(job, slot, type, now);
        if (out->calls.count >= JOURNAL_BATCH_CALLS_MAX || out->calls.text.len >= RESULT_BATCH_BYTES_MAX)
            send_calls(w, job, type);
    }
    send_calls(w, job, type);
    tags->count = 0;
}

void worker_journal_flush(worker_t *w, uint64_t now) {
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (!job->journal) continue;
        flush_list(w, job, &job->journal->to_look_up, MESSAGE_CALL_LOOKUP, now);
        flush_list(w, job, &job->journal->to_record, MESSAGE_CALL_RECORD, now);
    }
}

/* A store that does not answer at all (a worker on another machine cannot reach it) is not waited for: the
 * answers are lost, the row is not. */
static bool give_up_handing_in(worker_t *w, slot_t *slot, uint64_t now) {
    if (!passage_expects(slot->passage.state, PASSAGE_UNHEARD)) return false;
    if (now - slot->journal->owed_since_ns < JOURNAL_HAND_IN_NS) return false;
    log_warn("worker",
             "row %" PRIu64
             ": the call journal does not answer: what this failed row was answered is not kept",
             slot->passage.row);
    worker_report(w, slot, PASSAGE_UNHEARD, now);
    return true;
}

void worker_journal_resend(worker_t *w, uint64_t now) {
    for (slot_t *slot = slots_next(w->slots, NULL); slot; slot = slots_next(w->slots, slot)) {
        const struct row_journal *j = slot->journal;
        if (!j || j->sent_ns == 0 || now - j->sent_ns < RESEND_NS) continue;
        if (give_up_handing_in(w, slot, now)) continue;
        if (passage_expects(slot->passage.state, PASSAGE_CALL_MISSING)) worker_journal_look_up(slot);
        if (passage_expects(slot->passage.state, PASSAGE_CALL_RECORDED)) worker_journal_record(slot);
    }
}

/* ---- from the store */

/* The store has these calls: their rows go on with the stored answers. An answer that cannot be read counts
 * as missing. */
static void on_call_found(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CALL_FOUND.calls.count; i++) {
        const call_item_t *call = &m->CALL_FOUND.calls.items[i];
        slot_t *slot = slot_of_call(w, call->tag, PASSAGE_CALL_FOUND);
        llm_answer_t answer;
        err_t err;
        if (!slot) continue;
        if (call_decode(call->answer.data, call->answer.len, &answer, &err) == SDG_OK) {
            answer.replayed = true;
            worker_report_answer(w, slot, PASSAGE_CALL_FOUND, &answer, now);
            continue;
        }
        log_warn("worker", "row %" PRIu64 ": the journal's answer cannot be read, the call is made again: %s",
                 call->row, err.text);
        worker_report(w, slot, PASSAGE_CALL_MISSING, now);
    }
}

static void report_each(worker_t *w, const u64_list_t *tags, passage_event_t event, uint64_t now) {
    for (size_t i = 0; i < tags->count; i++) {
        slot_t *slot = slot_of_call(w, tags->items[i], event);
        if (slot) worker_report(w, slot, event, now);
    }
}

void worker_journal_message(worker_t *w, const message_t *m, uint64_t now) {
    switch (m->type) {
    case MESSAGE_CALL_FOUND: on_call_found(w, m, now); break;
    case MESSAGE_CALL_MISSING: report_each(w, &m->CALL_MISSING.tags, PASSAGE_CALL_MISSING, now); break;
    case MESSAGE_CALL_RECORDED: report_each(w, &m->CALL_RECORDED.tags, PASSAGE_CALL_RECORDED, now); break;
    default: break; /* REFUSED: the job is over */
    }
}
