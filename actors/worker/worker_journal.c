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
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_asks.h"
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

/* How many answers each question of a row has had. */
typedef struct questions {
    parked_question_t *items; /* owned */
    uint32_t count, cap;
} questions_t;

struct row_journal {
    questions_t questions; /* asked by this row and answered */
    questions_t before;    /* the same when its Python call began */
    journal_key_t *holes; /* owned: calls of its Python without an answer, though later ones that ask the same
                             had one, or may have */
    uint32_t hole_count, hole_cap;
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
    free(j->questions.items);
    free(j->before.items);
    free(j->holes);
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
    *j = (struct row_journal){.questions = {j->questions.items, 0, j->questions.cap},
                              .before = {j->before.items, 0, j->before.cap},
                              .holes = j->holes,
                              .hole_cap = j->hole_cap,
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
    slot->call.key.row = row;
    bool asks = again || (row >= range->first_row && row < range->end_row);
    return (range->late ? 0 : PASSAGE_HAS_JOURNAL) | (asks ? PASSAGE_ASKS : 0);
}

void worker_journal_save(const slot_t *slot, buf_t *out) {
    const struct row_journal *j = slot->journal;
    parked_write(out, j ? j->questions.items : NULL, j ? j->questions.count : 0);
}

int worker_journal_load(slot_t *slot, const char *bytes, size_t len, size_t *used, err_t *err) {
    struct row_journal *j = slot->journal;
    parked_question_t *questions;
    uint32_t count;
    if (parked_read(bytes, len, &questions, &count, used, err) != SDG_OK) return err->code;
    if (j) {
        free(j->questions.items);
        j->questions = (questions_t){questions, count, count};
    } else {
        free(questions);
    }
    return SDG_OK;
}

void worker_journal_row_gone(slot_t *slot) {
    if (slot->journal) spare_give(slot->job->journal, slot->journal);
    slot->journal = NULL;
}

/* ---- which call of the row it is */

static bool asks_the_same(const journal_key_t *a, const journal_key_t *b) {
    return a->hash_low == b->hash_low && a->hash_high == b->hash_high;
}

static parked_question_t *find_question(const struct row_journal *j, const journal_key_t *key) {
    for (uint32_t i = j->questions.count; i > 0; i--) {
        parked_question_t *q = &j->questions.items[i - 1];
        if (q->hash_low == key->hash_low && q->hash_high == key->hash_high) return q;
    }
    return NULL;
}

static void count_answer(struct row_journal *j, const journal_key_t *key) {
    parked_question_t *q = find_question(j, key);
    if (!q) {
        GROW(j->questions.items, j->questions.cap, j->questions.count + 1);
        q = &j->questions.items[j->questions.count++];
        *q = (parked_question_t){.hash_high = key->hash_high, .hash_low = key->hash_low};
    }
    q->answers++;
}

void worker_journal_count(slot_t *slot, const slot_call_t *call) { count_answer(slot->journal, &call->key); }

/* How many numbers the question has used up: by its answers, by calls of Python that ask it now and may have
 * one, and by holes. `except` is not counted. */
static uint32_t taken(const slot_t *slot, const slot_call_t *except) {
    const struct row_journal *j = slot->journal;
    const parked_question_t *q = find_question(j, &except->key);
    uint32_t n = q ? q->answers : 0;
    const slot_call_t *call;
    for (uint32_t i = 0; i < j->hole_count; i++)
        n += asks_the_same(&j->holes[i], &except->key);
    for (uint32_t i = 0; (call = worker_asks_call(slot, i)); i++) {
        if (call != except && call->tag && asks_the_same(&call->key, &except->key)) n++;
    }
    return n;
}

static bool take_hole(struct row_journal *j, journal_key_t *key) {
    for (uint32_t i = 0; i < j->hole_count; i++) {
        if (!asks_the_same(&j->holes[i], key)) continue;
        *key = j->holes[i];
        j->holes[i] = j->holes[--j->hole_count];
        return true;
    }
    return false;
}

void worker_journal_ask(slot_t *slot, slot_call_t *call, const llm_request_t *request) {
    journal_hash(slot->job->pipeline->models[request->route].name->data, request->body, request->body_len,
                 &call->key);
    if (!take_hole(slot->journal, &call->key)) call->key.occurrence = taken(slot, call);
}

void worker_journal_unanswered(slot_t *slot, const slot_call_t *call) {
    struct row_journal *j = slot->journal;
    if (!j || call->key.occurrence >= taken(slot, call)) return;
    GROW(j->holes, j->hole_cap, j->hole_count + 1);
    j->holes[j->hole_count++] = call->key;
}

/* ---- a call of Python */

static void copy_questions(questions_t *to, const questions_t *from) {
    GROW(to->items, to->cap, from->count);
    if (from->count) memcpy(to->items, from->items, from->count * sizeof *from->items);
    to->count = from->count;
}

void worker_journal_python_begins(slot_t *slot) {
    copy_questions(&slot->journal->before, &slot->journal->questions);
}

void worker_journal_python_again(slot_t *slot) {
    slot->journal->hole_count = 0;
    copy_questions(&slot->journal->questions, &slot->journal->before);
}

/* Its holes stay: when it is done again, each of its questions finds the answer that it had. */
void worker_journal_python_over(slot_t *slot) {
    struct row_journal *j = slot->journal;
    while (j->hole_count > 0)
        count_answer(j, &j->holes[--j->hole_count]);
}

/* ---- answers that are kept */

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
        j->kept[j->kept_count++] = (kept_call_t){slot->call.key, j->kept_bytes.len - before};
    }
    worker_journal_count(slot, &slot->call);
}

bool worker_journal_is_owed(const slot_t *slot) {
    row_result_t result;
    if (!slot->journal || slot->journal->kept_count == 0) return false;
    row_result(slot->row, &result);
    return result.failed;
}

size_t worker_journal_bytes(const slot_t *slot) { return slot->journal ? slot->journal->kept_bytes.len : 0; }

void worker_journal_look_up(slot_t *slot, slot_call_t *call) {
    call->sent_ns = 0;
    numbers_add(&slot->job->journal->to_look_up, call->tag);
}

void worker_journal_record(slot_t *slot, slot_call_t *call) {
    call->sent_ns = 0;
    numbers_add(&slot->job->journal->to_record, call->tag);
}

void worker_journal_hand_in(worker_t *w, slot_t *slot, uint64_t now) {
    slot->call.tag = slots_new_tag(w->slots, slot);
    if (slot->journal->owed_since_ns == 0) slot->journal->owed_since_ns = now;
    worker_journal_record(slot, &slot->call);
}

static bool expects(const slot_t *slot, const slot_call_t *call, passage_event_t answer) {
    return call == &slot->call ? passage_expects(slot->passage.state, answer)
                               : worker_asks_expect(call, answer);
}

/* The call that waits for this answer of the store; NULL: none does any more. */
static slot_call_t *find_call(worker_t *w, uint64_t tag, passage_event_t answer, slot_t **slot) {
    *slot = slots_of(w->slots, tag);
    if (!*slot || !(*slot)->journal) return NULL;
    slot_call_t *call = (*slot)->call.tag == tag ? &(*slot)->call : worker_asks_find(*slot, tag);
    return call && expects(*slot, call, answer) ? call : NULL;
}

static void report(worker_t *w, slot_t *slot, slot_call_t *call, passage_event_t event, llm_answer_t *answer,
                   uint64_t now) {
    if (call == &slot->call)
        worker_report_answer(w, slot, event, answer, now);
    else
        worker_asks_report(w, slot, call->tag, event, answer, now);
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
        BATCH_ADD(&out->calls, (call_item_t){.tag = i + 1 == j->kept_count ? slot->call.tag : 0,
                                             .row = kept->key.row,
                                             .hash_high = kept->key.hash_high,
                                             .hash_low = kept->key.hash_low,
                                             .occurrence = kept->key.occurrence,
                                             .answer.len = kept->len});
    }
    slot->call.sent_ns = now;
}

static void add_call(worker_job_t *job, slot_call_t *call, message_type_t type, uint64_t now) {
    struct journal_out *out = job->journal;
    size_t before = out->calls.text.len;
    if (type == MESSAGE_CALL_RECORD) call_encode(call->answer, &out->calls.text);
    BATCH_ADD(&out->calls, (call_item_t){.tag = call->tag,
                                         .row = call->key.row,
                                         .hash_high = call->key.hash_high,
                                         .hash_low = call->key.hash_low,
                                         .occurrence = call->key.occurrence,
                                         .answer.len = out->calls.text.len - before});
    call->sent_ns = now;
}

static void flush_list(worker_t *w, worker_job_t *job, numbers_t *tags, message_type_t type, uint64_t now) {
    struct journal_out *out = job->journal;
    passage_event_t answer = type == MESSAGE_CALL_LOOKUP ? PASSAGE_CALL_MISSING : PASSAGE_CALL_RECORDED;
    for (size_t i = 0; i < tags->count; i++) {
        slot_t *slot;
        slot_call_t *call = find_call(w, tags->items[i], answer, &slot);
        if (call && passage_expects(slot->passage.state, PASSAGE_UNHEARD))
            add_kept_calls(job, slot, now);
        else if (call)
            add_call(job, call, type, now);
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

static void gather_again(slot_t *slot, slot_call_t *call, uint64_t now) {
    if (call->sent_ns == 0 || now - call->sent_ns < RESEND_NS) return;
    if (expects(slot, call, PASSAGE_CALL_MISSING)) worker_journal_look_up(slot, call);
    if (expects(slot, call, PASSAGE_CALL_RECORDED)) worker_journal_record(slot, call);
}

void worker_journal_resend(worker_t *w, uint64_t now) {
    for (slot_t *slot = slots_next(w->slots, NULL); slot; slot = slots_next(w->slots, slot)) {
        slot_call_t *ask;
        if (!slot->journal) continue;
        for (uint32_t i = 0; (ask = worker_asks_call(slot, i)); i++)
            gather_again(slot, ask, now);
        if (slot->call.sent_ns && now - slot->call.sent_ns >= RESEND_NS && give_up_handing_in(w, slot, now))
            continue;
        gather_again(slot, &slot->call, now);
    }
}

/* ---- from the store */

/* The store has these calls: their rows go on with the stored answers. An answer that cannot be read counts
 * as missing. */
static void on_call_found(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CALL_FOUND.calls.count; i++) {
        const call_item_t *call = &m->CALL_FOUND.calls.items[i];
        slot_t *slot;
        slot_call_t *waits = find_call(w, call->tag, PASSAGE_CALL_FOUND, &slot);
        llm_answer_t answer;
        err_t err;
        if (!waits) continue;
        if (call_decode(call->answer.data, call->answer.len, &answer, &err) == SDG_OK) {
            answer.replayed = true;
            report(w, slot, waits, PASSAGE_CALL_FOUND, &answer, now);
            continue;
        }
        log_warn("worker", "row %" PRIu64 ": the journal's answer cannot be read, the call is made again: %s",
                 call->row, err.text);
        report(w, slot, waits, PASSAGE_CALL_MISSING, NULL, now);
    }
}

static void report_each(worker_t *w, const u64_list_t *tags, passage_event_t event, uint64_t now) {
    for (size_t i = 0; i < tags->count; i++) {
        slot_t *slot;
        slot_call_t *call = find_call(w, tags->items[i], event, &slot);
        if (call) report(w, slot, call, event, NULL, now);
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
