/* worker_asks.c - see worker_asks.h.
 *
 * What is to be done with an ask is decided in core/sched/ask.h; `advance` does it. An ask that is over is
 * forgotten at once, and the next one that waits takes its place. The request of an ask is made from what was
 * asked whenever it is needed, so an ask that waits holds the question alone.
 *
 * The clock of the row's waiting runs while the engine has a call of it; the time in which none of them is in
 * flight is waiting, which does not count for the row's wall time. */
#include "actors/worker/worker_asks.h"

#include <assert.h>
#include <stdlib.h>

#include "actors/worker/limits.h"
#include "actors/worker/worker_calls.h"
#include "actors/worker/worker_journal.h"
#include "actors/worker/worker_memory.h"
#include "core/sched/ask.h"

typedef struct question {
    ring_node_t node; /* in one of the rings of its row */
    ask_t ask;
    int64_t id;     /* by which Python knows it */
    value_t words;  /* owned: what is asked, py_event_t.ai */
    size_t bytes;   /* of these */
    size_t request; /* bytes of the request that the engine has a copy of */
    bool has_unit;  /* of the job's units: from its answer until that is recorded */
    slot_call_t call;
} question_t;

struct row_asks {
    ring_t under_way, waiting; /* question_t, owned, in the order in which they were asked */
    uint32_t count;            /* under way */
    uint32_t calling;          /* of these, with the engine */
    size_t waiting_bytes;
};

static question_t *question_of(ring_node_t *node) { return node ? RING_OWNER(node, question_t, node) : NULL; }

static question_t *question_of_call(const slot_call_t *call) {
    return (question_t *)((char *)call - offsetof(question_t, call));
}

static int64_t id_of(value_t words) {
    value_t id = object_get_peek(words, "id", 2, NULL);
    return id.kind == VALUE_INT ? id.integer : 0;
}

/* ---- what a row has */

slot_call_t *worker_asks_call(const slot_t *slot, uint32_t i) {
    if (!slot->asks) return NULL;
    RING_EACH(&slot->asks->under_way, node) {
        if (i-- == 0) return &question_of(node)->call;
    }
    return NULL;
}

slot_call_t *worker_asks_find(const slot_t *slot, uint64_t tag) {
    if (!slot->asks) return NULL;
    RING_EACH(&slot->asks->under_way, node) {
        if (question_of(node)->call.tag == tag) return &question_of(node)->call;
    }
    return NULL;
}

bool worker_asks_expect(const slot_call_t *call, passage_event_t event) {
    return ask_expects(question_of_call(call)->ask.state, event);
}

uint32_t worker_asks_calling(const slot_t *slot) { return slot->asks ? slot->asks->calling : 0; }

bool worker_asks_all_call(const slot_t *slot) {
    return slot->asks && slot->asks->calling > 0 && slot->asks->calling == slot->asks->count;
}

size_t worker_asks_bytes(const slot_t *slot) {
    if (!slot->asks) return 0;
    size_t bytes = slot->asks->waiting_bytes;
    RING_EACH(&slot->asks->under_way, node) {
        const question_t *q = question_of(node);
        bytes += q->bytes + q->request;
        if (q->call.answer)
            bytes += value_bytes(q->call.answer->text) + value_bytes(q->call.answer->reasoning);
    }
    return bytes;
}

uint64_t worker_asks_work_ns(const worker_t *w, const slot_t *slot, uint64_t now) {
    uint64_t longest = 0;
    RING_EACH(&slot->asks->under_way, node) {
        const question_t *q = question_of(node);
        uint64_t flight = q->ask.state == ASK_CALLING ? worker_call_flight_ns(w, &q->call, now) : 0;
        if (flight > longest) longest = flight;
    }
    return wait_clock_work(&slot->wait, now, longest);
}

/* ---- the way of one ask */

static void answer_python(slot_t *slot, int64_t id, value_t take_text, const char *error) {
    pypool_ai_answer(slot->job->python, slot->python_tag, id, take_text, error);
    value_free(take_text);
}

static void feed(slot_t *slot, question_t *q, llm_answer_t *answer) {
    value_t text;
    err_t err;
    int rc = row_ask_answer(slot->row, q->call.answer ? q->call.answer : answer, &text, &err);
    answer_python(slot, q->id, text, rc < 0 ? err.text : NULL);
    slot_call_drop(&q->call);
    if (!q->has_unit || slot->has_unit || slot->asks->calling > 0) return;
    slot->has_unit = true; /* Python computes with it */
    q->has_unit = false;
}

/* Hands the call to the engine. One that is not taken is answered at once, with the reason. */
static passage_event_t call(worker_t *w, slot_t *slot, question_t *q, llm_answer_t *refusal, uint64_t now) {
    llm_request_t request;
    err_t err;
    int rc = row_ask_request(slot->row, q->words, &request, &err);
    if (slot->asks->calling == 1) wait_clock_start(&slot->wait, now);
    if (rc == SDG_OK) rc = worker_call_submit(w, slot, &q->call, &request, now, &err);
    if (rc == SDG_OK) {
        q->request = request.body_len;
        return PASSAGE_EVENTS;
    }
    *refusal = (llm_answer_t){.cause = LLM_CAUSE_REFUSED, .error = err};
    refusal->text = refusal->reasoning = value_null();
    return PASSAGE_CALL_REFUSED;
}

static void begin_call(worker_t *w, slot_t *slot, question_t *q) {
    llm_request_t request;
    err_t err;
    q->call.tag = slots_new_tag(w->slots, slot);
    if (slot->journal && row_ask_request(slot->row, q->words, &request, &err) == SDG_OK)
        worker_journal_ask(slot, &q->call, &request);
}

static void cancel_call(worker_t *w, slot_t *slot, question_t *q, uint64_t now) {
    wait_clock_worked(&slot->wait, now, worker_call_flight_ns(w, &q->call, now));
    worker_call_cancel(w, &q->call);
}

static void forget(slot_t *slot, question_t *q) {
    ring_remove(&q->node);
    slot->asks->count--;
    if (q->has_unit) permit_give(&slot->job->units);
    value_free(q->words);
    free(q);
}

/* Is the ask over with this event, without an answer? */
static bool ends_unanswered(passage_event_t event) {
    return event == PASSAGE_CALL_FAILED || event == PASSAGE_CALL_REFUSED || event == PASSAGE_DROPPED;
}

/* Gives an event to the ask and does what follows. Takes what is in the answer. Afterwards q may be gone. */
static void advance(worker_t *w, slot_t *slot, question_t *q, passage_event_t event, llm_answer_t *answer,
                    uint64_t now) {
    llm_answer_t refusal;
    for (passage_event_t next; event != PASSAGE_EVENTS; event = next) {
        slot->asks->calling -= q->ask.state == ASK_CALLING;
        uint32_t todo = ask_next(&q->ask, event, slot->facts);
        slot->asks->calling += q->ask.state == ASK_CALLING;
        next = PASSAGE_EVENTS;
        if (q->ask.state != ASK_CALLING) q->request = 0;
        if (todo & PASSAGE_CANCEL_CALL) cancel_call(w, slot, q, now);
        if (todo & PASSAGE_DROP_ANSWER) slot_call_drop(&q->call);
        if (todo & PASSAGE_KEEP) slot_call_keep(&q->call, answer);
        if (todo & PASSAGE_COUNT) worker_journal_count(slot, &q->call);
        if (ends_unanswered(event)) worker_journal_unanswered(slot, &q->call);
        if (todo & PASSAGE_ASK) begin_call(w, slot, q);
        if (todo & PASSAGE_LOOK_UP) worker_journal_look_up(slot, &q->call);
        if (todo & PASSAGE_CALL) next = call(w, slot, q, &refusal, now);
        if (todo & PASSAGE_RECORD) worker_journal_record(slot, &q->call);
        if (todo & PASSAGE_FEED) feed(slot, q, answer);
        if (next == PASSAGE_CALL_REFUSED) answer = &refusal;
    }
    if (answer) llm_answer_clear(answer);
    if (q->ask.state == ASK_OVER) forget(slot, q);
    if (slot->asks->calling == 0 && slot->wait.runs)
        worker_wait_over(w, slot, wait_clock_work(&slot->wait, now, 0), now);
}

/* A question whose turn has come. One that cannot be asked is answered with the reason. */
static void begin(worker_t *w, slot_t *slot, question_t *q, uint64_t now) {
    llm_request_t request;
    err_t err;
    slot->asks->waiting_bytes -= q->bytes;
    ring_remove(&q->node);
    ring_add_last(&slot->asks->under_way, &q->node);
    slot->asks->count++;
    row_waited(slot->row, wait_clock_pay(&slot->wait));
    int rc = row_ask_request(slot->row, q->words, &request, &err);
    if (rc == SDG_OK) rc = row_ask_begin(slot->row, now, &err);
    if (rc == SDG_OK) {
        advance(w, slot, q, PASSAGE_STARTED, NULL, now);
    } else {
        answer_python(slot, q->id, value_null(), err.text);
        forget(slot, q);
    }
}

static void begin_waiting(worker_t *w, slot_t *slot, uint64_t now) {
    while (slot->asks->count < ROW_ASKS_MAX && !ring_empty(&slot->asks->waiting))
        begin(w, slot, question_of(ring_first(&slot->asks->waiting)), now);
    worker_account(w, slot);
}

/* ---- what is heard */

void worker_asks_add(worker_t *w, slot_t *slot, value_t question, uint64_t now) {
    question_t *q = xcalloc(1, sizeof *q);
    if (!slot->asks) {
        slot->asks = xcalloc(1, sizeof *slot->asks);
        ring_init(&slot->asks->under_way);
        ring_init(&slot->asks->waiting);
    }
    q->ask.row = slot->passage.row;
    q->id = id_of(question);
    q->words = value_ref(question);
    q->bytes = slot->job->options.memory_bytes ? value_bytes(question) : 0;
    q->call.key.row = slot->passage.row;
    slot->asks->waiting_bytes += q->bytes;
    ring_add_last(&slot->asks->waiting, &q->node);
    begin_waiting(w, slot, now);
}

void worker_asks_report(worker_t *w, slot_t *slot, uint64_t tag, passage_event_t event, llm_answer_t *answer,
                        uint64_t now) {
    slot_call_t *call = worker_asks_find(slot, tag);
    assert(call);
    question_t *q = question_of_call(call);
    if (event == PASSAGE_CALL_ANSWERED || event == PASSAGE_CALL_FAILED) {
        wait_clock_worked(&slot->wait, now, worker_call_flown_ns(call, answer, now));
        q->has_unit = answer->has_unit;
    }
    advance(w, slot, q, event, answer, now);
    begin_waiting(w, slot, now);
}

static void drop_waiting(slot_t *slot, question_t *q) {
    slot->asks->waiting_bytes -= q->bytes;
    ring_remove(&q->node);
    value_free(q->words);
    free(q);
}

static question_t *find_id(ring_t *ring, int64_t id) {
    RING_EACH(ring, node) {
        if (question_of(node)->id == id) return question_of(node);
    }
    return NULL;
}

void worker_asks_give_up(worker_t *w, slot_t *slot, value_t question, uint64_t now) {
    if (!slot->asks) return;
    question_t *waiting = find_id(&slot->asks->waiting, id_of(question));
    question_t *q = waiting ? NULL : find_id(&slot->asks->under_way, id_of(question));
    if (waiting) drop_waiting(slot, waiting);
    if (q) advance(w, slot, q, PASSAGE_DROPPED, NULL, now);
    begin_waiting(w, slot, now);
}

void worker_asks_cancel(worker_t *w, slot_t *slot, uint64_t now) {
    if (!slot->asks) return;
    while (!ring_empty(&slot->asks->waiting))
        drop_waiting(slot, question_of(ring_first(&slot->asks->waiting)));
    while (!ring_empty(&slot->asks->under_way))
        advance(w, slot, question_of(ring_first(&slot->asks->under_way)), PASSAGE_DROPPED, NULL, now);
    free(slot->asks);
    slot->asks = NULL;
    worker_account(w, slot);
}
