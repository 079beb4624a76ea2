/* worker_rows.c - rows from lease to result.
 *
 * A leased row waits as raw bytes until the job's permits let it start; then it lives in a slot. Whatever
 * happens to it from then on is an event for its passage (core/sched/passage.h), which says what is to be
 * done; `doers` at the bottom is the index of that. One thing may lead to the next (its code runs, and wants
 * a call), so `advance` goes on until the row waits for something.
 *
 * A row that yields goes behind the others that did: a long loop in one row never holds them up. */
#include "actors/worker/worker_rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/limits.h"
#include "actors/worker/worker_asks.h"
#include "actors/worker/worker_calls.h"
#include "actors/worker/worker_contexts.h"
#include "actors/worker/worker_journal.h"
#include "actors/worker/worker_memory.h"
#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/base/log.h"
#include "core/sched/limits.h"

/* An event on its way through `advance`, with what it brings. */
typedef struct step {
    uint64_t now;
    llm_answer_t *answer; /* of a call; its text is owned by the step until somebody takes it; NULL: none */
    py_event_t *python;   /* of Python, likewise */
    passage_event_t next; /* what has happened by what was done; PASSAGE_EVENTS: nothing */
    llm_answer_t refusal; /* room for the answer of a call that was not taken */
    py_event_t own_event; /* room for an event of Python that is not the pool's */
} step_t;

/* ---- the call of an LLM */

static void ask(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    slot->call.tag = slots_new_tag(w->slots, slot);
    if (slot->journal) worker_journal_ask(slot, &slot->call, row_llm_request(slot->row));
}

static void look_up(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    worker_journal_look_up(slot, &slot->call);
}

/* Hands the row's LLM call to the engine, and the row to the store when it may wait there. A call that the
 * engine refuses is answered at once, with that refusal. */
static void call(worker_t *w, slot_t *slot, step_t *step) {
    const llm_request_t *request = row_llm_request(slot->row);
    err_t err;
    if (worker_call_submit(w, slot, &slot->call, request, step->now, &err) == SDG_OK) {
        wait_clock_start(&slot->wait, step->now);
        slot->bytes.request = request->body_len; /* the engine has a copy */
        worker_account(w, slot);
        bool may = passage_expects(slot->passage.state, PASSAGE_PUT_AWAY);
        if (may && worker_context_put_away(w, slot)) step->next = PASSAGE_PUT_AWAY;
        return;
    }
    step->refusal = (llm_answer_t){.cause = LLM_CAUSE_REFUSED, .error = err, .text = value_null()};
    step->answer = &step->refusal;
    step->next = PASSAGE_CALL_REFUSED;
}

static void cancel_call(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    worker_call_cancel(w, &slot->call);
    slot->bytes.request = 0;
}

static void record(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    worker_journal_record(slot, &slot->call);
}

static void hand_in(worker_t *w, slot_t *slot, step_t *step) { worker_journal_hand_in(w, slot, step->now); }

static void count(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    worker_journal_count(slot, &slot->call);
}

static void keep(worker_t *w, slot_t *slot, step_t *step) {
    assert(step->answer);
    slot_call_keep(&slot->call, step->answer);
    step->answer = NULL;
    slot->bytes.request = 0;
    worker_account(w, slot);
}

static void drop_answer(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    slot_call_drop(&slot->call);
}

/* The one place where a row gets an answer. */
static void feed(worker_t *w, slot_t *slot, step_t *step) {
    llm_answer_t *kept = slot->call.answer;
    assert(!step->answer != !kept);
    row_waited(slot->row, wait_clock_pay(&slot->wait));
    worker_journal_fed(slot, kept ? kept : step->answer);
    row_llm_answer(slot->row, kept ? kept : step->answer);
    step->answer = NULL;
    slot->bytes.request = 0;
    drop_answer(w, slot, step);
}

/* ---- the call of Python */

static void call_python(worker_t *w, slot_t *slot, step_t *step) {
    py_call_t py = *row_python_call(slot->row);
    err_t err;
    py.function = slot->job->functions[py.function];
    py.permit = &slot->job->units;
    py.has_unit = &slot->has_unit;
    slot->python_tag = slots_new_tag(w->slots, slot);
    if (slot->journal) worker_journal_python_begins(slot);
    if (pypool_submit(slot->job->python, &py, slot->python_tag, &err) == SDG_OK) return;
    step->own_event = (py_event_t){.kind = PY_FAILED, .error = err};
    step->python = &step->own_event;
    step->next = PASSAGE_PYTHON_REFUSED;
}

static void cancel_asks(worker_t *w, slot_t *slot, step_t *step) {
    worker_asks_cancel(w, slot, step->now);
    if (slot->journal) worker_journal_python_over(slot);
}

static void cancel_python(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    pypool_cancel(slot->job->python, slot->python_tag);
    slot->python_tag = 0;
}

static void tell(worker_t *w, slot_t *slot, step_t *step) {
    (void)w;
    slot->python_tag = 0;
    row_python_event(slot->row, step->python);
    step->python = NULL;
}

/* ---- in the store, and back */

static void forget(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    row_destroy(&slot->row);
    worker_account(w, slot);
}

static void pin(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    worker_context_pin(slot);
}

static void queue(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    worker_context_queue(w, slot);
}

static void fetch(worker_t *w, slot_t *slot, step_t *step) {
    worker_context_fetch(w, slot, step->now);
    worker_account(w, slot);
}

static void fail(worker_t *w, slot_t *slot, step_t *step) {
    slot->row = worker_context_lost_row(slot, step->now);
    worker_account(w, slot);
}

static void save(worker_t *w, slot_t *slot, step_t *step) {
    assert(slot->facts & PASSAGE_SAVES); /* only batch mode stops rows */
    worker_context_save(w, slot);
    agenda_set_alarm(w->agenda, &slot->agenda, UINT64_MAX); /* a row between passes does not age */
    forget(w, slot, step);
}

/* ---- its code, and its time */

static void set_alarm(worker_t *w, slot_t *slot, step_t *step) {
    uint64_t due = row_wake_ns(slot->row);
    (void)step;
    assert(due != UINT64_MAX || slot->passage.state != PASSAGE_ASLEEP);
    agenda_set_alarm(w->agenda, &slot->agenda, due);
}

static void await_unit(worker_t *w, slot_t *slot, step_t *step) {
    (void)w;
    wait_clock_start(&slot->wait, step->now);
    ring_add_last(&slot->job->unit_queue, &slot->unit_turn);
}

static void take_turn(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    agenda_add_turn(w->agenda, &slot->agenda);
}

/* A row that alone takes more than the worker may hold can only fail; the others are not to suffer for it. */
static bool is_too_large(worker_t *w, slot_t *slot) {
    uint64_t limit = slot->job->options.memory_bytes;
    char reason[160];
    worker_account(w, slot);
    if (!limit || slot->bytes.held <= limit) return false;
    snprintf(reason, sizeof reason,
             "the row alone takes %" PRIu64 " MiB, --memory-limit leaves %" PRIu64
             " MiB for the rows of a worker: raise it",
             (uint64_t)(slot->bytes.held >> 20), (uint64_t)(limit >> 20));
    row_cancel(slot->row, reason);
    return true;
}

/* Runs the row's code until the row wants something, and makes an event of that want. A row that has grown
 * too large is cancelled, and runs once more to its end. */
static void run(worker_t *w, slot_t *slot, step_t *step) {
    static const passage_event_t ends[] = {
        [ROW_YIELD] = PASSAGE_YIELDS,
        [ROW_WANT_LLM] = PASSAGE_WANTS_LLM,
        [ROW_WANT_PYTHON] = PASSAGE_WANTS_PYTHON,
        [ROW_WANT_TIME] = PASSAGE_WANTS_TIME,
        [ROW_STOPPED] = PASSAGE_STOPS,
        [ROW_FINISHED] = PASSAGE_FINISHES,
    };
    row_waited(slot->row, wait_clock_pay(&slot->wait));
    row_want_t want = row_run(slot->row, step->now);
    if (want != ROW_FINISHED && is_too_large(w, slot)) want = row_run(slot->row, step->now);
    if (want == ROW_WANT_PYTHON && !slot->has_unit) slot->has_unit = permit_take(&slot->job->units);
    step->next = ends[want];
    if (want == ROW_FINISHED && worker_journal_is_owed(slot)) step->next = PASSAGE_FAILS;
}

/* ---- its end here */

static void give_back(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    log_debug("worker", "row %" PRIu64 " goes back to the scheduler and starts again", slot->passage.row);
    outbox_add_returned(w->outbox, slot->job->id, slot->passage.row);
}

static void report_result(worker_t *w, slot_t *slot, step_t *step) {
    row_result_t result;
    (void)step;
    row_result(slot->row, &result);
    if (result.end_reason || (!result.failed && result.reason[0]))
        log_debug("worker", "row %" PRIu64 " ended: %s (%s)", slot->passage.row,
                  result.end_reason ? result.end_reason : "no reason given",
                  result.reason[0] ? result.reason : "no exit_code");
    worker_add_result(w, slot->job, &result, slot->passage.row);
}

static void report_parked(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    worker_add_parked(w, slot->job, worker_context_usage(slot), slot->passage.row);
}

static void release(worker_t *w, slot_t *slot, step_t *step) {
    (void)step;
    assert(!slot->call.answer && !slot->asks && !slot->has_unit);
    agenda_remove(w->agenda, &slot->agenda);
    worker_account_gone(w, slot);
    worker_context_row_gone(slot);
    worker_journal_row_gone(slot);
    row_destroy(&slot->row);
    slot->job->running--;
    slots_release(w->slots, slot);
}

static void ignore(worker_t *w, slot_t *slot, step_t *step) {
    (void)w, (void)step;
    log_debug("worker", "row %" PRIu64 ": an answer of the store came too late", slot->passage.row);
}

/* ---- one event after the other */

/* What a passage says is to be done, in its order. */
static void (*const doers[PASSAGE_ACTIONS])(worker_t *w, slot_t *slot, step_t *step) = {
    cancel_call, cancel_asks, cancel_python, drop_answer,   keep,          count,     set_alarm, ask,
    look_up,     call,        call_python,   record,        forget,        pin,       queue,     fetch,
    fail,        save,        give_back,     report_result, report_parked, take_turn, feed,      tell,
    run,         release,     await_unit,    hand_in,       ignore,
};

static uint32_t facts_of(const slot_t *slot) {
    return slot->facts | (slot->call.answer ? PASSAGE_HAS_ANSWER : 0) |
           (slot->has_unit ? PASSAGE_HAS_UNIT : 0) | (worker_context_is_shared(slot) ? PASSAGE_SHARED : 0);
}

/* What a row holds or waits for of the job's units, once its state has changed. */
static void follow_units(slot_t *slot) {
    if (slot->passage.state != PASSAGE_AWAITING_UNIT) ring_remove(&slot->unit_turn);
    if (!slot->has_unit || passage_unit(slot->passage.state) != PASSAGE_UNIT_NONE) return;
    permit_give(&slot->job->units);
    slot->has_unit = false;
}

/* What comes with the event is used up, or freed. */
static void advance(worker_t *w, slot_t *slot, passage_event_t event, llm_answer_t *answer,
                    py_event_t *python, uint64_t now) {
    step_t step;
    step.now = now;
    step.answer = answer;
    step.python = python;
    for (; event != PASSAGE_EVENTS; event = step.next) {
        passage_state_t before = slot->passage.state;
        uint32_t todo = passage_next(&slot->passage, event, facts_of(slot));
        worker_account_here(w, passage_is_here(slot->passage.state) - passage_is_here(before));
        follow_units(slot);
        step.next = PASSAGE_EVENTS;
        for (; todo; todo &= todo - 1) {
            doers[__builtin_ctz(todo)](w, slot, &step);
        }
    }
    if (step.answer) llm_answer_clear(step.answer);
    if (step.python) py_event_free(step.python);
}

void worker_report(worker_t *w, slot_t *slot, passage_event_t event, uint64_t now) {
    advance(w, slot, event, NULL, NULL, now);
}

void worker_report_answer(worker_t *w, slot_t *slot, passage_event_t event, llm_answer_t *answer,
                          uint64_t now) {
    advance(w, slot, event, answer, NULL, now);
}

/* ---- starting */

void worker_accept_rows(worker_t *w, worker_job_t *job, const row_in_list_t *rows, bool again) {
    (void)w;
    waiting_add(&job->waiting, rows, again);
}

/* The row takes the unit that may_start has seen. In a later pass of batch mode one without bytes is in the
 * store. */
static void start_row(worker_t *w, worker_job_t *job, const waiting_row_t *in, uint64_t now) {
    slot_t *slot = slots_take(w->slots, job);
    row_input_t input = {.index = in->index, .line = in->line, .json = in->raw, .len = in->len};
    bool stored = job->options.store.batch && in->len == 0;
    slot->passage.row = in->index;
    job->running++;
    slot->has_unit = permit_take(&job->units);
    assert(slot->has_unit);
    if (job->journal) slot->facts |= worker_journal_row(slot, in->again);
    if (job->contexts) slot->facts |= worker_context_row(slot, stored);
    if (!stored) slot->row = row_new(job->pipeline, &job->options.row, &input, now);
    worker_report(w, slot, stored ? PASSAGE_STARTED_STORED : PASSAGE_STARTED, now);
}

/* Rows whose answers are there go first: they free what they hold. */
static bool may_start(const worker_t *w, const worker_job_t *job) {
    if (job->state != JOB_READY || !job->waiting.first || permit_free_for_new(&job->units) == 0) return false;
    return !worker_contexts_are_queued(job) &&
           worker_has_room(w, job, worker_room_for_new(job, job->waiting.first->len));
}

void worker_start_rows(worker_t *w, worker_job_t *job, uint64_t now) {
    /* Rows that finish at once (no call in them) give their unit back inside the loop: bounded so that
     * messages are heard in between. */
    for (int i = 0; i < LEASE_ROWS_MAX && may_start(w, job); i++) {
        waiting_row_t *in = waiting_take(&job->waiting);
        start_row(w, job, in, now);
        waiting_row_free(in);
    }
}

void worker_return_waiting(worker_t *w, worker_job_t *job) {
    for (waiting_row_t *row; (row = waiting_take(&job->waiting));) {
        outbox_add_returned(w->outbox, job->id, row->index);
        waiting_row_free(row);
    }
}

/* Does the call of a job that stops wait in a line that is too long for whoever has stopped it? */
static bool is_too_late(const worker_t *w, const slot_t *slot, const slot_call_t *call, uint64_t now) {
    const worker_job_t *job = slot->job;
    return job->stops_ns && now > job->stops_ns + STOP_PATIENCE_MS * MILLISECOND &&
           llm_engine_is_limited(w->llm, call->tag);
}

/* Does the call wait for what it will never get here (units.h), or for an endpoint that takes nothing for
 * now? The latter does not hold up the end of a job or worker. */
static bool is_call_stuck(const worker_t *w, const slot_t *slot, const slot_call_t *call, uint64_t now) {
    if (!call->tag) return false;
    if (llm_engine_waits_long(w->llm, call->tag, now) || is_too_late(w, slot, call, now)) return true;
    uint64_t endpoint = llm_engine_waits_for(w->llm, call->tag);
    return endpoint != 0 &&
           units_never_come(slot->job->units.allowed, w->draining, worker_endpoint_closed(w, endpoint));
}

/* Python may go on as soon as one of its asks is answered. */
static bool are_asks_stuck(const worker_t *w, const slot_t *slot, uint64_t now) {
    if (!worker_asks_all_call(slot)) return false;
    for (uint32_t i = 0;; i++) {
        const slot_call_t *call = worker_asks_call(slot, i);
        if (!call) return true;
        if (!is_call_stuck(w, slot, call, now)) return false;
    }
}

static bool is_stuck(const worker_t *w, const slot_t *slot, uint64_t now) {
    if (slot->has_unit || !passage_expects(slot->passage.state, PASSAGE_STUCK)) return false;
    if (slot->passage.state == PASSAGE_IN_PYTHON)
        return are_asks_stuck(w, slot, now) ||
               (slot->job->units.allowed == 0 && pypool_waits(slot->job->python, slot->python_tag));
    if (passage_unit(slot->passage.state) == PASSAGE_UNIT_OF_CALL)
        return is_call_stuck(w, slot, &slot->call, now);
    return slot->job->units.allowed == 0;
}

void worker_return_stuck(worker_t *w, const worker_job_t *job, uint64_t now) {
    for (slot_t *slot = slots_next(w->slots, NULL); slot; slot = slots_next(w->slots, slot)) {
        if ((!job || slot->job == job) && is_stuck(w, slot, now)) worker_report(w, slot, PASSAGE_STUCK, now);
    }
}

void worker_drop_rows(worker_t *w, worker_job_t *job) {
    waiting_drop(&job->waiting);
    for (slot_t *slot = slots_next(w->slots, NULL); slot; slot = slots_next(w->slots, slot)) {
        if (slot->job == job) worker_report(w, slot, PASSAGE_DROPPED, 0);
    }
}

/* ---- time that does not count */

/* Since the row began to wait: the time in which a request of it was in flight. */
static uint64_t work_so_far(const worker_t *w, const slot_t *slot, uint64_t now) {
    if (worker_asks_calling(slot) > 0) return worker_asks_work_ns(w, slot, now);
    bool calls = passage_unit(slot->passage.state) == PASSAGE_UNIT_OF_CALL;
    return calls ? worker_call_flight_ns(w, &slot->call, now) : 0;
}

/* The alarm that rings is that of the wall time. A row that has only waited for its turn has time left: then
 * the alarm is set anew. */
static bool has_time_left(worker_t *w, slot_t *slot, uint64_t now) {
    uint64_t due = slot->agenda.alarm_ns + wait_clock_moves(&slot->wait, now, work_so_far(w, slot, now));
    if (!slot->wait.runs || due <= now) return false;
    agenda_set_alarm(w->agenda, &slot->agenda, due);
    return true;
}

/* ---- driving */

/* The call of the row, or of an ask of it, with this tag; NULL: nobody waits for it any more. */
static slot_call_t *find_call(slot_t *slot, uint64_t tag) {
    return slot->call.tag == tag ? &slot->call : worker_asks_find(slot, tag);
}

static void on_answer(worker_t *w, slot_t *slot, slot_call_t *call, llm_answer_t *answer, uint64_t now) {
    passage_event_t event = answer->cause == LLM_CAUSE_NONE ? PASSAGE_CALL_ANSWERED : PASSAGE_CALL_FAILED;
    if (call == &slot->call) {
        assert(!slot->has_unit); /* the call has taken it along */
        slot->has_unit = answer->has_unit;
        worker_wait_over(w, slot, worker_call_flown_ns(call, answer, now), now);
        worker_report_answer(w, slot, event, answer, now);
    } else {
        worker_asks_report(w, slot, call->tag, event, answer, now);
    }
}

/* Takes the finished calls from the engine. The answer of a call that nobody waits for any more is dropped,
 * and its unit goes back to the job. */
static void drive_llm(worker_t *w, uint64_t now) {
    llm_answer_t answer;
    llm_engine_drive(w->llm, now);
    while (llm_engine_next(w->llm, &answer)) {
        slot_t *slot = slots_of(w->slots, answer.tag);
        slot_call_t *call = slot ? find_call(slot, answer.tag) : NULL;
        if (call) {
            on_answer(w, slot, call, &answer, now);
            continue;
        }
        if (answer.has_unit) permit_give(answer.permit);
        llm_answer_clear(&answer);
    }
}

/* What the user's code says with ctx.log or prints, at the level it asked for. */
static void show_log(const slot_t *slot, value_t log) {
    value_t level = object_get_peek(log, "level", 5, NULL), text = object_get_peek(log, "message", 7, NULL);
    const char *word = level.kind == VALUE_STRING ? level.string->data : "info";
    log_level_t at = strncmp(word, "warn", 4) == 0  ? LEVEL_WARN
                     : strncmp(word, "err", 3) == 0 ? LEVEL_ERROR
                     : strcmp(word, "debug") == 0   ? LEVEL_DEBUG
                                                    : LEVEL_INFO;
    if (log_enabled(at))
        log_write(at, "python", "row %" PRIu64 ": %s", slot->passage.row,
                  text.kind == VALUE_STRING ? text.string->data : "");
}

/* A row that has grown too large with what it asks ends at once. */
static void on_question(worker_t *w, slot_t *slot, value_t question, uint64_t now) {
    worker_asks_add(w, slot, question, now);
    if (is_too_large(w, slot)) worker_report(w, slot, PASSAGE_WAKE, now);
}

/* Its process was killed, and the call begins once more in another one: what it has asked before is found in
 * the call journal. */
static void on_again(worker_t *w, slot_t *slot, uint64_t now) {
    worker_asks_cancel(w, slot, now);
    row_python_again(slot->row);
    if (!slot->journal) return;
    worker_journal_python_again(slot);
    if (slot->facts & PASSAGE_HAS_JOURNAL) slot->facts |= PASSAGE_ASKS;
}

static void on_python(worker_t *w, slot_t *slot, py_event_t *event, uint64_t now) {
    assert(slot->passage.state == PASSAGE_IN_PYTHON);
    switch (event->kind) {
    case PY_LOG:
        show_log(slot, event->log);
        row_python_event(slot->row, event);
        return;
    case PY_CALL_AI: on_question(w, slot, event->ai, now); break;
    case PY_GIVES_UP: worker_asks_give_up(w, slot, event->ai, now); break;
    case PY_AGAIN: on_again(w, slot, now); break;
    case PY_DONE:
    case PY_FAILED: advance(w, slot, PASSAGE_PYTHON_ENDED, NULL, event, now); return;
    }
    py_event_free(event);
}

static void drive_python(worker_t *w, worker_job_t *job, uint64_t now) {
    py_event_t event;
    pypool_drive(job->python, now);
    while (pypool_next(job->python, &event)) {
        slot_t *slot = slots_of(w->slots, event.tag);
        if (slot && slot->python_tag == event.tag)
            on_python(w, slot, &event, now);
        else
            py_event_free(&event); /* of a call that was cancelled */
    }
}

static slot_t *slot_of_entry(agenda_entry_t *entry) {
    return entry ? RING_OWNER(entry, slot_t, agenda) : NULL;
}

static void drive_agenda(worker_t *w, uint64_t now) {
    for (slot_t *slot; (slot = slot_of_entry(agenda_take_alarm(w->agenda, now)));) {
        if (has_time_left(w, slot, now)) continue;
        worker_wait_over(w, slot, work_so_far(w, slot, now), now);
        worker_report(w, slot, PASSAGE_WAKE, now);
    }
    for (size_t turns = agenda_turns(w->agenda); turns > 0; turns--) {
        slot_t *slot = slot_of_entry(agenda_take_turn(w->agenda));
        if (slot) worker_report(w, slot, PASSAGE_TURN, now);
    }
}

/* Rows that have begun come before those that have not. */
static void hand_out_units(worker_t *w, worker_job_t *job, uint64_t now) {
    while (!ring_empty(&job->unit_queue) && permit_take(&job->units)) {
        slot_t *slot = RING_OWNER(ring_first(&job->unit_queue), slot_t, unit_turn);
        slot->has_unit = true;
        worker_wait_over(w, slot, 0, now);
        worker_report(w, slot, PASSAGE_UNIT, now);
    }
}

void worker_drive(worker_t *w, uint64_t now) {
    drive_agenda(w, now);
    if (w->llm) drive_llm(w, now);
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (job->python) drive_python(w, job, now);
        hand_out_units(w, job, now);
        worker_start_rows(w, job, now);
    }
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t from_ms(int ms) { return ms < 0 ? UINT64_MAX : (uint64_t)ms * MILLISECOND; }

uint64_t worker_next_wake(const worker_t *w, uint64_t now) {
    uint64_t wait = agenda_wait_ns(w->agenda, now);
    uint64_t flush = worker_flush_due(w);
    if (flush != UINT64_MAX) wait = sooner(wait, flush > now ? flush - now : 0);
    if (w->llm) wait = sooner(wait, from_ms(llm_engine_timeout_ms(w->llm, now)));
    for (const worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (job->python) wait = sooner(wait, from_ms(pypool_timeout_ms(job->python, now)));
        if (may_start(w, job) || (!ring_empty(&job->unit_queue) && permit_free(&job->units) > 0)) wait = 0;
    }
    return wait;
}

uint64_t worker_rows_open(const worker_t *w) {
    uint64_t n = outbox_rows(w->outbox);
    for (const worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        n += job->running + job->waiting.count;
    }
    return n;
}
