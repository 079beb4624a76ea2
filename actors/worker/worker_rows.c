/* worker_rows.c - rows from lease to result.
 *
 * A leased row waits as raw bytes until the job's permits let it start; then it lives in a slot. Its tag
 * (slot and generation) is what the HTTP engine, the Python pool and the timers know of it, so an answer that
 * comes after the row is gone finds a newer generation and is dropped. A row that yields goes to the back of
 * the `ready` ring: a long loop in one row never holds up the others.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/worker_contexts.h"
#include "actors/worker/worker_journal.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/sched/limits.h"

/* ---- slots */

static uint64_t tag_of(const worker_t *w, uint32_t slot) {
    return (uint64_t)w->slots[slot].generation << 32 | slot;
}

static slot_t *slot_of(worker_t *w, uint64_t tag) {
    uint32_t n = (uint32_t)tag;
    if (n >= w->slot_count || !w->slots[n].job || w->slots[n].generation != (uint32_t)(tag >> 32))
        return NULL;
    return &w->slots[n];
}

uint64_t worker_new_turn(worker_t *w, const slot_t *slot) {
    return (uint64_t)++w->turns << 32 | (uint64_t)(slot - w->slots);
}

slot_t *worker_slot_of_turn(worker_t *w, uint64_t tag) {
    uint32_t n = (uint32_t)tag;
    return n < w->slot_count && w->slots[n].job ? &w->slots[n] : NULL;
}

static uint32_t take_slot(worker_t *w) {
    uint32_t n = w->free_slot;
    if (n != NO_SLOT) {
        w->free_slot = w->slots[n].next_free;
        return n;
    }
    if (w->slot_count == w->slot_cap) {
        w->slot_cap = w->slot_cap ? w->slot_cap * 2 : 64;
        w->slots = xrealloc(w->slots, w->slot_cap * sizeof *w->slots);
    }
    n = w->slot_count++;
    w->slots[n] = (slot_t){0};
    return n;
}

static void release_slot(worker_t *w, slot_t *slot) {
    uint64_t tag = tag_of(w, (uint32_t)(slot - w->slots));
    /* A row may end while its call is still out there (wall time, a dropped job): nobody waits for the answer
     * any more. */
    if (slot->calls == CALLS_LLM) llm_engine_cancel(w->llm, tag);
    if (slot->calls == CALLS_PYTHON) pypool_cancel(slot->job->python, tag);
    slot->calls = CALLS_NOTHING;
    if (slot->row || worker_context_is_coming(slot)) w->rows_here--;
    worker_account_gone(w, slot);
    worker_context_row_gone(slot);
    worker_journal_row_gone(slot);
    row_destroy(&slot->row);
    slot->job->running--;
    slot->job = NULL;
    slot->generation++;
    slot->next_free = w->free_slot;
    w->free_slot = (uint32_t)(slot - w->slots);
}

void worker_return_row(worker_t *w, slot_t *slot) {
    outbox_add_returned(w->outbox, slot->job->id, slot->index);
    release_slot(w, slot);
}

void worker_park_row(worker_t *w, slot_t *slot) { release_slot(w, slot); }

/* ---- rows that come back by themselves: yielded, or asleep */

static void push_ready(worker_t *w, uint64_t tag) {
    if (w->ready_count == w->ready_cap) {
        uint32_t cap = w->ready_cap ? w->ready_cap * 2 : 64;
        uint64_t *ring = xcalloc(cap, sizeof *ring);
        for (uint32_t i = 0; i < w->ready_count; i++) {
            ring[i] = w->ready[(w->ready_head + i) % w->ready_cap];
        }
        free(w->ready);
        w->ready = ring;
        w->ready_cap = cap;
        w->ready_head = 0;
    }
    w->ready[(w->ready_head + w->ready_count++) % w->ready_cap] = tag;
}

static uint64_t pop_ready(worker_t *w) {
    uint64_t tag = w->ready[w->ready_head];
    w->ready_head = (w->ready_head + 1) % w->ready_cap;
    w->ready_count--;
    return tag;
}

static void swap_wakes(worker_t *w, uint32_t a, uint32_t b) {
    wake_t t = w->wakes[a];
    w->wakes[a] = w->wakes[b];
    w->wakes[b] = t;
}

static void push_wake(worker_t *w, uint64_t due, uint64_t tag) {
    if (w->wake_count == w->wake_cap) {
        w->wake_cap = w->wake_cap ? w->wake_cap * 2 : 64;
        w->wakes = xrealloc(w->wakes, w->wake_cap * sizeof *w->wakes);
    }
    uint32_t i = w->wake_count++;
    w->wakes[i] = (wake_t){due, tag};
    for (; i > 0 && w->wakes[(i - 1) / 2].due > w->wakes[i].due; i = (i - 1) / 2) {
        swap_wakes(w, i, (i - 1) / 2);
    }
}

static uint64_t pop_wake(worker_t *w) {
    uint64_t tag = w->wakes[0].tag;
    w->wakes[0] = w->wakes[--w->wake_count];
    for (uint32_t i = 0, child; (child = 2 * i + 1) < w->wake_count; i = child) {
        if (child + 1 < w->wake_count && w->wakes[child + 1].due < w->wakes[child].due) child++;
        if (w->wakes[i].due <= w->wakes[child].due) break;
        swap_wakes(w, i, child);
    }
    return tag;
}

/* ---- one row */

void worker_call_llm(worker_t *w, slot_t *slot) {
    uint64_t tag = tag_of(w, (uint32_t)(slot - w->slots));
    llm_request_t request = *row_llm_request(slot->row);
    err_t err;
    request.route = slot->job->routes[request.route];
    request.permit = &slot->job->units;
    slot->calls = slot->calls == CALLS_PYTHON
                      ? CALLS_PYTHON
                      : CALLS_LLM; /* ctx.call_ai: the Python call stays open around it */
    if (llm_engine_submit(w->llm, &request, tag, &err) == SDG_OK) {
        slot->body_bytes = request.body_len; /* the engine has a copy */
        worker_account(w, slot);
        worker_context_park(w, slot);
        return;
    }
    llm_answer_t answer = {.cause = LLM_CAUSE_REFUSED, .error = err, .text = value_null()};
    row_llm_answer(slot->row, &answer);
    push_ready(w, tag);
}

static void call_python(worker_t *w, slot_t *slot, uint64_t tag) {
    err_t err;
    py_call_t call = *row_python_call(slot->row);
    call.function = slot->job->functions[call.function];
    slot->calls = CALLS_PYTHON;
    if (pypool_submit(slot->job->python, &call, tag, &err) == SDG_OK) return;
    py_event_t event = {.kind = PY_FAILED, .tag = tag, .error = err};
    row_python_event(slot->row, &event);
    push_ready(w, tag);
}

static void reply_to_python(slot_t *slot, uint64_t tag) {
    int64_t id;
    value_t text;
    const char *error;
    row_python_reply(slot->row, &id, &text, &error);
    pypool_ai_answer(slot->job->python, tag, id, text, error);
}

static void finish_row(worker_t *w, slot_t *slot) {
    row_result_t result;
    if (worker_context_stop(w, slot)) return; /* batch mode: the last pass tells of it, in its turn */
    row_result(slot->row, &result);
    if (result.end_reason || (!result.failed && result.reason[0]))
        log_debug("worker", "row %" PRIu64 " ended: %s (%s)", slot->index,
                  result.end_reason ? result.end_reason : "no reason given",
                  result.reason[0] ? result.reason : "no exit_code");
    worker_add_result(w, slot->job, &result, slot->index);
    release_slot(w, slot);
}

/* A waiting row is woken when its wall time is over. Asked before the row may be put away. */
static void mind_wall_time(worker_t *w, uint64_t wake_ns, uint64_t tag) {
    if (wake_ns != UINT64_MAX) push_wake(w, wake_ns, tag);
}

/* One that alone takes more than the worker may hold can only fail; the others are not to suffer for it. */
static bool is_too_large(worker_t *w, slot_t *slot) {
    const worker_job_t *job = slot->job;
    uint64_t limit = job->options.memory_bytes;
    char reason[160];
    worker_account(w, slot);
    if (!limit || slot->bytes <= limit) return false;
    snprintf(reason, sizeof reason,
             "the row alone takes %" PRIu64 " MiB, --memory-limit leaves %" PRIu64
             " MiB for the rows of a worker: raise it",
             (uint64_t)(slot->bytes >> 20), (uint64_t)(limit >> 20));
    row_cancel(slot->row, reason);
    return true;
}

void worker_run_row(worker_t *w, slot_t *slot, uint64_t now) {
    uint64_t tag = tag_of(w, (uint32_t)(slot - w->slots)), wake_ns;
    if (!slot->row) {
        worker_context_want(w, slot);
        return;
    }
    row_want_t want = row_run(slot->row, now);
    if (want != ROW_FINISHED && is_too_large(w, slot)) want = row_run(slot->row, now);
    wake_ns = want == ROW_FINISHED ? UINT64_MAX : row_wake_ns(slot->row);
    switch (want) {
    case ROW_YIELD: push_ready(w, tag); break;
    case ROW_WANT_LLM:
        if (!slot->journal || !worker_journal_ask(w, slot)) worker_call_llm(w, slot);
        mind_wall_time(w, wake_ns, tag);
        break;
    case ROW_WANT_PYTHON:
        call_python(w, slot, tag);
        mind_wall_time(w, wake_ns, tag);
        break;
    case ROW_WANT_REPLY: reply_to_python(slot, tag); break;
    case ROW_WANT_TIME: mind_wall_time(w, wake_ns, tag); break;
    case ROW_STOPPED:
        if (!worker_context_stop(w, slot)) assert(!"only batch mode stops rows");
        break;
    case ROW_FINISHED: finish_row(w, slot); break;
    }
}

void worker_feed_llm(worker_t *w, slot_t *slot, llm_answer_t *answer, uint64_t now) {
    slot->body_bytes = 0;
    if (!slot->row) {
        worker_context_answer(w, slot, answer);
        return;
    }
    row_llm_answer(slot->row, answer);
    worker_run_row(w, slot, now);
}

/* ---- starting */

/* Bytes a waiting row takes in its lease's memory; a multiple of its alignment. */
static size_t waiting_size(size_t len) {
    size_t align = _Alignof(waiting_row_t);
    return (sizeof(waiting_row_t) + len + align - 1) / align * align;
}

void worker_accept_rows(worker_t *w, worker_job_t *job, const row_in_list_t *rows, bool again) {
    size_t size = sizeof(waiting_lease_t);
    (void)w;
    for (size_t i = 0; i < rows->count; i++) {
        size += waiting_size(rows->items[i].raw.len);
    }
    if (rows->count == 0) return;
    waiting_lease_t *lease = xmalloc(size);
    char *at = (char *)(lease + 1);
    lease->rows_left = rows->count;
    for (size_t i = 0; i < rows->count; i++) {
        const row_in_t *in = &rows->items[i];
        waiting_row_t *row = (waiting_row_t *)at;
        *row = (waiting_row_t){
            .lease = lease, .index = in->index, .line = in->line, .len = in->raw.len, .again = again};
        if (in->raw.len) memcpy(row->raw, in->raw.data, in->raw.len);
        *job->waiting_tail = row;
        job->waiting_tail = &row->next;
        job->waiting_count++;
        job->waiting_bytes += in->raw.len;
        at += waiting_size(in->raw.len);
    }
}

static void free_waiting(waiting_row_t *row) {
    if (--row->lease->rows_left == 0) free(row->lease);
}

static waiting_row_t *take_waiting(worker_job_t *job) {
    waiting_row_t *row = job->waiting;
    job->waiting = row->next;
    if (!job->waiting) job->waiting_tail = &job->waiting;
    job->waiting_count--;
    job->waiting_bytes -= row->len;
    return row;
}

static void start_row(worker_t *w, worker_job_t *job, const waiting_row_t *in, uint64_t now) {
    uint32_t n = take_slot(w);
    slot_t *slot = &w->slots[n];
    row_input_t input = {.index = in->index, .line = in->line, .json = in->raw, .len = in->len};
    bool stored = job->options.store.batch && in->len == 0;
    *slot = (slot_t){.job = job, .index = in->index, .generation = slot->generation};
    job->running++;
    if (job->journal) worker_journal_row(slot, in->again);
    if (!stored) slot->row = row_new(job->pipeline, &job->options.row, &input, now);
    if (!stored) w->rows_here++;
    if (job->contexts) worker_context_row(w, slot, stored);
    if (!stored) worker_run_row(w, slot, now);
}

/* Rows whose answers are there go first: they free what they hold. */
static bool may_start(const worker_t *w, const worker_job_t *job) {
    if (job->state != JOB_READY || !job->waiting || job->running >= job->permit_rows) return false;
    return !worker_contexts_queue(job) &&
           worker_has_room(w, job, worker_room_for_new(job, job->waiting->len));
}

void worker_start_rows(worker_t *w, worker_job_t *job, uint64_t now) {
    /* Rows that finish at once (no call in them) free their permit inside the loop: bounded so that messages
     * are heard in between. */
    for (int i = 0; i < LEASE_ROWS_MAX && may_start(w, job); i++) {
        waiting_row_t *in = take_waiting(job);
        start_row(w, job, in, now);
        free_waiting(in);
    }
}

void worker_return_waiting(worker_t *w, worker_job_t *job) {
    while (job->waiting) {
        waiting_row_t *row = take_waiting(job);
        outbox_add_returned(w->outbox, job->id, row->index);
        free_waiting(row);
    }
}

void worker_drop_waiting(worker_job_t *job) {
    while (job->waiting) {
        free_waiting(take_waiting(job));
    }
}

void worker_drop_rows(worker_t *w, worker_job_t *job) {
    worker_drop_waiting(job);
    for (uint32_t i = 0; i < w->slot_count; i++) {
        if (w->slots[i].job == job) release_slot(w, &w->slots[i]);
    }
}

/* ---- driving */

static void drive_llm(worker_t *w, uint64_t now) {
    llm_answer_t answer;
    llm_engine_drive(w->llm, now);
    while (llm_engine_next(w->llm, &answer)) {
        slot_t *slot = slot_of(w, answer.tag);
        if (answer.has_unit) permit_give(answer.permit);
        answer.has_unit = false;
        if (!slot) {
            value_free(answer.text);
            continue;
        }
        if (slot->calls == CALLS_LLM) slot->calls = CALLS_NOTHING;
        if (!slot->journal || !worker_journal_hold(w, slot, &answer)) worker_feed_llm(w, slot, &answer, now);
    }
}

static void free_event(py_event_t *e) {
    value_free(e->outputs);
    value_free(e->vars);
    value_free(e->ai);
    value_free(e->log);
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
        log_write(at, "python", "row %" PRIu64 ": %s", slot->index,
                  text.kind == VALUE_STRING ? text.string->data : "");
}

static void drive_python(worker_t *w, worker_job_t *job, uint64_t now) {
    py_event_t event;
    pypool_drive(job->python, now);
    while (pypool_next(job->python, &event)) {
        slot_t *slot = slot_of(w, event.tag);
        if (!slot) {
            free_event(&event);
            continue;
        }
        if (event.kind == PY_LOG) show_log(slot, event.log);
        if (event.kind == PY_DONE || event.kind == PY_FAILED) slot->calls = CALLS_NOTHING;
        row_python_event(slot->row, &event);
        if (event.kind != PY_LOG) worker_run_row(w, slot, now);
    }
}

static void drive_wakes(worker_t *w, uint64_t now) {
    while (w->wake_count && w->wakes[0].due <= now) {
        slot_t *slot = slot_of(w, pop_wake(w));
        if (slot) worker_run_row(w, slot, now);
    }
}

static void drive_ready(worker_t *w, uint64_t now) {
    for (uint32_t turn = w->ready_count; turn > 0; turn--) {
        slot_t *slot = slot_of(w, pop_ready(w));
        if (slot) worker_run_row(w, slot, now);
    }
}

void worker_drive(worker_t *w, uint64_t now) {
    drive_wakes(w, now);
    drive_ready(w, now);
    if (w->llm) drive_llm(w, now);
    for (worker_job_t *job = w->jobs; job; job = job->next) {
        if (job->python) drive_python(w, job, now);
        worker_start_rows(w, job, now);
    }
}

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t from_ms(int ms) { return ms < 0 ? UINT64_MAX : (uint64_t)ms * MILLISECOND; }

uint64_t worker_next_wake(const worker_t *w, uint64_t now) {
    uint64_t wait = w->ready_count ? 0 : UINT64_MAX;
    uint64_t flush = worker_flush_due(w);
    if (flush != UINT64_MAX) wait = sooner(wait, flush > now ? flush - now : 0);
    if (w->wake_count) wait = sooner(wait, w->wakes[0].due > now ? w->wakes[0].due - now : 0);
    if (w->llm) wait = sooner(wait, from_ms(llm_engine_timeout_ms(w->llm, now)));
    for (const worker_job_t *job = w->jobs; job; job = job->next) {
        if (job->python) wait = sooner(wait, from_ms(pypool_timeout_ms(job->python, now)));
        if (may_start(w, job)) wait = 0;
    }
    return wait;
}

uint64_t worker_rows_open(const worker_t *w) {
    uint64_t n = outbox_rows(w->outbox);
    for (const worker_job_t *job = w->jobs; job; job = job->next) {
        n += job->running + job->waiting_count;
    }
    return n;
}
