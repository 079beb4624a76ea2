/* workers.c - workers that run rows in virtual time, crash, drain, refuse and fall silent. Their outbox and
 * their lease book are the real ones; a frame is a mail_t. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/limits.h"
#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"

static void say(sim_t *s, const worker_t *w, mail_kind_t kind, uint64_t job, uint64_t a, uint64_t b) {
    world_post_plain(s, true, kind, w->peer, job, a, b, 0);
}

static job_units_t *units_of(worker_t *w, uint64_t job) {
    for (size_t i = 0; i < w->units_count; i++) {
        if (w->units[i].job == job) return &w->units[i];
    }
    assert(w->units_count < JOB_BOOKS);
    w->units[w->units_count] = (job_units_t){.job = job};
    return &w->units[w->units_count++];
}

static client_t *client_of(sim_t *s, uint64_t job) {
    job_book_t *book = judge_book(s, job);
    return book ? book->client : NULL;
}

/* ---- the outbox */

/* What a row gave must still be what it gave when it leaves. */
static void check_done(sim_t *s, const client_t *c, const row_done_t *done) {
    row_done_t wanted = world_done(c->number, done->index);
    if (done->status != wanted.status || done->json.len != wanted.json.len ||
        done->meta.len != wanted.meta.len ||
        memcmp(done->json.data, wanted.json.data, wanted.json.len) != 0 ||
        memcmp(done->meta.data, wanted.meta.data, wanted.meta.len) != 0)
        world_fail(s, "row %" PRIu64 " leaves its worker with another result", done->index);
}

static void encode_batch(void *self, const outbox_batch_t *batch, buf_t *frame) {
    const worker_t *w = self;
    mail_t *m = mail_new(batch->done ? M_ROW_RESULTS : M_RETURN, 0, batch->job, batch->count);
    m->a = batch->number;
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->done) check_done(w->sim, client_of(w->sim, batch->job), &batch->done[i]);
        m->rows[i] = batch->done ? batch->done[i].index : batch->returned[i];
    }
    buf_add(frame, m, sizeof *m + m->count * sizeof *m->rows);
    free(m);
}

static void send_frame(sim_t *s, worker_t *w, const outbox_frame_t *frame) {
    if (frame->again && s->broken == BROKEN_RESEND) return;
    mail_t *m = xmalloc(frame->len);
    memcpy(m, frame->bytes, frame->len);
    m->peer = w->peer;
    world_post(s, true, m);
    if (s->broken == BROKEN_ACK) outbox_acknowledged(w->outbox, frame->batch);
}

static bool is_idle(const worker_t *w) { return w->held_count == 0 || w->draining; }

static void send_due(sim_t *s, worker_t *w) {
    outbox_frame_t frame;
    outbox_flush(w->outbox, s->now, is_idle(w));
    while (w->welcome && outbox_next(w->outbox, s->now, &frame)) {
        send_frame(s, w, &frame);
    }
}

/* ---- life */

/* Sets when the worker wakes next; an earlier plan is void. */
static void wake_at(sim_t *s, worker_t *w, uint64_t time) {
    w->wake_ns = time;
    world_wake(s, WAKE_WORKER, (size_t)(w - s->workers), time);
}

void worker_connect(sim_t *s, worker_t *w) {
    w->peer = s->peers++;
    assert(w->peer < PEERS_MAX);
    w->welcome = false;
    w->hello_ns = s->now;
    say(s, w, M_HELLO, 0, w->instance, w->claimed_ms);
}

/* The socket connects again by itself, and the worker speaks on as if nothing had happened. */
void worker_cut(sim_t *s, worker_t *w) {
    world_trace(s, "the connection of worker %" PRIu64 " breaks", w->instance);
    world_wake(s, WAKE_CUT, w->peer, s->now + world_between(s, 0, SECOND));
    w->peer = s->peers++;
    assert(w->peer < PEERS_MAX);
}

/* A new worker with a random credit and speed; NULL when the world has had too many. */
worker_t *worker_start(sim_t *s) {
    static const uint64_t claims[] = {0, 5000, 5000, 12000, UINT64_MAX}; /* ms of patience; 0: for ever */
    if (s->worker_count == WORKER_SLOTS) return NULL;
    worker_t *w = &s->workers[s->worker_count++];
    *w = (worker_t){.sim = s,
                    .instance = ++s->instances,
                    .alive = true,
                    .credit_rows = world_between(s, 1, 40),
                    .credit_bytes = world_chance(s, 0.3) ? world_between(s, 1, 200) : 100000,
                    .row_ns = world_chance(s, 0.2) ? 3 * SECOND : 200 * MILLISECOND};
    w->claimed_ms = claims[world_between(s, 0, sizeof claims / sizeof *claims - 1)];
    for (size_t e = 0; e < ENDPOINTS; e++) {
        w->lines[e].calls = ENDPOINT_CALLS_MAX;
    }
    w->leases = lease_book_new();
    w->outbox = outbox_new(encode_batch, w);
    if (!s->good && world_chance(s, 0.1)) w->refuses = (uint32_t)world_between(s, 1, 7);
    world_trace(s, "worker %" PRIu64 " starts: credit %" PRIu64 " rows, %" PRIu64 " bytes, refuses %x",
                w->instance, w->credit_rows, w->credit_bytes, w->refuses);
    worker_connect(s, w);
    wake_at(s, w, s->now + 100 * MILLISECOND);
    return w;
}

void worker_clear(worker_t *w) {
    outbox_destroy(&w->outbox);
    lease_book_destroy(&w->leases);
    free(w->held);
    w->held = NULL;
    w->held_count = w->held_cap = 0;
    w->alive = false;
}

void worker_crash(sim_t *s, worker_t *w) {
    bool seen = world_chance(s, 0.4), cut = world_chance(s, 0.5);
    world_trace(s, "worker %" PRIu64 " crashes%s", w->instance, seen ? ", which is seen" : "");
    worker_clear(w);
    if (!seen && cut) world_wake(s, WAKE_CUT, w->peer, s->now + world_between(s, 0, SECOND));
    if (!seen) return;
    dispatch_worker_gone(s->d, w->instance, true, s->now);
    scheduler_act(s);
}

void worker_bye(sim_t *s, worker_t *w) {
    world_trace(s, "worker %" PRIu64 " leaves", w->instance);
    say(s, w, M_BYE, 0, 0, 0);
    worker_clear(w);
}

/* ---- rows */

static void unhold(worker_t *w, size_t i) { w->held[i] = w->held[--w->held_count]; }

static uint64_t units_used(const worker_t *w, uint64_t job) {
    uint64_t units = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        units += w->held[i].unit && w->held[i].job == job;
    }
    return units;
}

static uint64_t rows_begun(const worker_t *w, uint64_t job) {
    uint64_t rows = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        rows += w->held[i].running && w->held[i].job == job;
    }
    return rows;
}

static uint64_t in_flight_to(const worker_t *w, size_t endpoint) {
    uint64_t calls = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        calls += w->held[i].calling && w->held[i].endpoint == endpoint;
    }
    return calls;
}

/* Its code is done, or its retry is due, and it has a unit: without a permit of the endpoint it gives that
 * back. */
static void call(sim_t *s, worker_t *w, held_t *h) {
    const worker_permit_t *line = &w->lines[h->endpoint];
    if (in_flight_to(w, h->endpoint) >= line->calls && s->broken != BROKEN_CALLS) {
        h->unit = false;
        h->done_ns = s->now;
        return;
    }
    h->calling = true;
    h->revoked = s->now >= client_of(s, h->job)->revoked_ns;
    units_of(w, h->job)->seen[h->endpoint].requests++;
    h->call_key = line->key;
    h->done_ns = s->now + world_between(s, 1, w->row_ns);
    judge_called(s, h->endpoint);
}

/* Its call is answered, or refused like every other one: then it waits without a unit. */
static void call_ends(sim_t *s, worker_t *w, held_t *h) {
    seen_t *seen = &units_of(w, h->job)->seen[h->endpoint];
    if (h->revoked) {
        h->refused = true;
        h->calling = h->unit = false;
        h->done_ns = UINT64_MAX;
        seen->refused_in_a_row++;
        return;
    }
    seen->answered++;
    seen->answered_ns = s->now;
    seen->refused_in_a_row = 0;
    h->ended = true;
}

/* What it did with its unit until now is over. */
static void unit_used(sim_t *s, worker_t *w, held_t *h) {
    if (!h->calling && h->endpoint < ENDPOINTS) {
        call(s, w, h);
    } else if (h->calling && h->retries > 0) {
        h->retries--;
        h->calling = h->unit = false;
        h->done_ns = s->now + world_between(s, 1, 3 * SECOND);
    } else if (h->calling) {
        call_ends(s, w, h);
    } else {
        h->ended = true;
    }
}

static void end_rows(sim_t *s, worker_t *w) {
    for (size_t i = w->held_count; i > 0; i--) {
        held_t *at = &w->held[i - 1];
        if (!at->unit || at->done_ns > s->now) continue;
        unit_used(s, w, at);
        if (!at->ended) continue;
        held_t h = *at;
        row_done_t done = world_done(client_of(s, h.job)->number, h.index);
        unhold(w, i - 1);
        outbox_add_result(w->outbox, h.job, &done);
    }
}

/* A row that begins, or goes on after it waited. */
static void take_unit(sim_t *s, worker_t *w, held_t *h) {
    h->unit = true;
    if (units_of(w, h->job)->life != w->life)
        h->life = UINT64_MAX; /* by an allowance from before it was taken for dead */
    judge_running(s, h);
}

/* Retries go before rows that have not begun. */
static void go_on(sim_t *s, worker_t *w) {
    for (size_t i = 0; i < w->held_count; i++) {
        held_t *h = &w->held[i];
        if (!h->running || h->unit || h->done_ns > s->now) continue;
        if (in_flight_to(w, h->endpoint) >= w->lines[h->endpoint].calls && s->broken != BROKEN_CALLS)
            continue;
        if (units_used(w, h->job) >= units_of(w, h->job)->allowed) continue;
        take_unit(s, w, h);
        call(s, w, h);
    }
}

static void drop_waiting(worker_t *w) {
    for (size_t i = w->held_count; i > 0; i--) {
        if (!w->held[i - 1].running) unhold(w, i - 1);
    }
}

/* It has begun and can never go on here: nobody gives it a unit, or a call to a worker that drains. Or it has
 * been refused, and does not hold up the end of its job or worker. */
static bool is_stuck(worker_t *w, const held_t *h) {
    if (h->refused) return true;
    bool closed = h->endpoint < ENDPOINTS && w->lines[h->endpoint].calls == 0;
    return !h->unit && units_never_come(units_of(w, h->job)->allowed, w->draining, closed);
}

static void return_waiting(worker_t *w, uint64_t job) {
    for (size_t i = w->held_count; i > 0; i--) {
        const held_t *h = &w->held[i - 1];
        if (h->job != job || (h->running && !is_stuck(w, h))) continue;
        outbox_add_returned(w->outbox, job, h->index);
        unhold(w, i - 1);
    }
}

static bool kills(sim_t *s, const held_t *h) {
    const client_t *c = client_of(s, h->job);
    return c->killers[0] == h->index + 1 || c->killers[1] == h->index + 1;
}

/* What the row will do: run code, then perhaps call an endpoint of its job, perhaps more than once. */
static void plan_row(sim_t *s, const worker_t *w, held_t *h) {
    uint32_t named = client_of(s, h->job)->endpoints;
    h->running = true;
    h->done_ns = s->now + world_between(s, 1, w->row_ns);
    h->endpoint = named ? world_between(s, 0, ENDPOINTS - 1) : ENDPOINTS;
    if (named && !(named >> h->endpoint & 1)) h->endpoint = named == 1 ? 0 : 1;
    while (named && h->retries < 5 && world_chance(s, s->retry)) {
        h->retries++;
    }
}

/* False: one of the rows killed it. */
static bool start_rows(sim_t *s, worker_t *w) {
    go_on(s, w);
    for (size_t i = 0; i < w->held_count; i++) {
        held_t *h = &w->held[i];
        if (h->running || units_used(w, h->job) >= units_of(w, h->job)->allowed) continue;
        judge_started(s, w, h);
        plan_row(s, w, h);
        take_unit(s, w, h);
        if (!kills(s, h)) continue;
        worker_crash(s, w);
        return false;
    }
    return true;
}

static void refuse_job(sim_t *s, worker_t *w, uint64_t job) {
    for (size_t i = w->held_count; i > 0; i--) {
        if (w->held[i - 1].job == job) unhold(w, i - 1);
    }
    units_of(w, job)->refused = true;
    say(s, w, M_JOB_REFUSED, job, 0, 0);
}

static bool is_taken(sim_t *s, worker_t *w, const mail_t *m) {
    lease_verdict_t verdict = lease_book_add(w->leases, m->a);
    if (verdict == LEASE_BEGINS_ERA && s->broken != BROKEN_ERA) drop_waiting(w);
    return verdict != LEASE_OLD || s->broken == BROKEN_LEASE;
}

/* LEASES_VOID: these leases have no open rows. */
static void take_void(worker_t *w, const mail_t *m) {
    if (lease_book_void(w->leases, m->a, m->b)) drop_waiting(w);
}

/* Rows of a lease that is new are held; a worker that cannot run the job refuses it. */
static void take_lease(sim_t *s, worker_t *w, const mail_t *m) {
    judge_lease_heard(w, m);
    if (!is_taken(s, w, m)) return;
    judge_lease_taken(s, w, m);
    const client_t *c = client_of(s, m->job);
    if (w->refuses >> c->number & 1) {
        refuse_job(s, w, m->job);
        return;
    }
    if (w->held_count + m->count > w->held_cap) {
        w->held_cap = 2 * (w->held_count + m->count);
        w->held = xrealloc(w->held, w->held_cap * sizeof *w->held);
    }
    for (size_t i = 0; i < m->count; i++) {
        w->held[w->held_count++] = (held_t){.job = m->job, .index = m->rows[i], .life = m->c};
    }
    if (w->draining) return_waiting(w, m->job);
}

static void forget_job(worker_t *w, uint64_t job) {
    outbox_forget(w->outbox, job);
    for (size_t i = w->held_count; i > 0; i--) {
        if (w->held[i - 1].job == job) unhold(w, i - 1);
    }
}

static units_held_t held_of(const sim_t *s, const worker_t *w, const job_units_t *units) {
    units_held_t held =
        units_held(units->allowed, units_used(w, units->job), rows_begun(w, units->job), w->draining);
    if (s->broken == BROKEN_WAITING) held.waiting = 0;
    return held;
}

static void say_held(sim_t *s, worker_t *w, job_units_t *units) {
    units->told = held_of(s, w, units);
    world_post_plain(s, true, M_PERMITS_HELD, w->peer, units->job, units->told.permit, units->told.used,
                     units->told.waiting);
}

static void say_calls(sim_t *s, worker_t *w, size_t endpoint) {
    worker_permit_t *line = &w->lines[endpoint];
    line->told = in_flight_to(w, endpoint);
    world_post_plain(s, true, M_ENDPOINT_HELD, w->peer, 0, endpoint + 1, line->calls, line->told);
}

static uint64_t refused_by(const worker_t *w, uint64_t job, size_t endpoint) {
    uint64_t rows = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        rows += w->held[i].refused && w->held[i].job == job && w->held[i].endpoint == endpoint;
    }
    return rows;
}

static uint64_t calls_of(const worker_t *w, uint64_t job, size_t endpoint) {
    uint64_t calls = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        calls += w->held[i].calling && w->held[i].job == job && w->held[i].endpoint == endpoint;
    }
    return calls;
}

/* How the endpoints of a job fare here: when calls have been refused or are not any more, and with each beat.
 */
static void say_reports(sim_t *s, worker_t *w, job_units_t *units, bool beats) {
    mail_t *m = mail_new(M_ENDPOINT_REPORT, w->peer, units->job, ENDPOINTS * REPORT_WORDS);
    bool news = beats;
    for (size_t e = 0; e < ENDPOINTS; e++) {
        seen_t *seen = &units->seen[e];
        uint64_t refused = refused_by(w, units->job, e);
        news = news || refused != seen->refused;
        seen->refused = refused;
        uint64_t values[] = {seen->requests, seen->answered,         calls_of(w, units->job, e),
                             refused,        seen->refused_in_a_row, s->now - seen->answered_ns};
        memcpy(&m->rows[e * REPORT_WORDS], values, sizeof values);
    }
    if (news && w->welcome && s->broken != BROKEN_REPORTS)
        world_post(s, true, m);
    else
        free(m);
}

/* The last row of a job fails with what it met. */
static void let_fail(sim_t *s, worker_t *w, const mail_t *m) {
    for (size_t i = w->held_count; i > 0; i--) {
        held_t h = w->held[i - 1];
        if (h.job != m->job || !h.refused || h.endpoint + 1 != m->a) continue;
        row_done_t done = world_done(client_of(s, h.job)->number, h.index);
        unhold(w, i - 1);
        outbox_add_result(w->outbox, h.job, &done);
    }
}

/* Says which units and calls are free for others now, and how many rows wait. */
static void say_news(sim_t *s, worker_t *w) {
    for (size_t i = 0; i < w->units_count; i++) {
        say_reports(s, w, &w->units[i], false);
        units_held_t held = held_of(s, w, &w->units[i]);
        if (units_are_news(&w->units[i].told, &held, w->units[i].allowed)) say_held(s, w, &w->units[i]);
    }
    for (size_t e = 0; e < ENDPOINTS; e++) {
        if (w->lines[e].told > w->lines[e].calls && in_flight_to(w, e) < w->lines[e].told) say_calls(s, w, e);
    }
}

static void take_endpoint_permits(sim_t *s, worker_t *w, const mail_t *m) {
    worker_permit_t *line = &w->lines[m->a - 1];
    line->calls = m->b;
    line->key = m->c;
    go_on(s, w);
    say_calls(s, w, m->a - 1);
}

static void take_permits(sim_t *s, worker_t *w, const mail_t *m) {
    const client_t *c = client_of(s, m->job);
    job_units_t *units = units_of(w, m->job);
    units->allowed = m->a;
    units->life = m->c;
    if (c && w->refuses >> c->number & 1) refuse_job(s, w, m->job);
    if (start_rows(s, w)) say_held(s, w, units);
}

static void say_what_holds(sim_t *s, worker_t *w) {
    say(s, w, M_ROW_CREDIT, 0, w->draining ? 0 : w->credit_rows, w->credit_bytes);
}

static uint64_t worker_next(const sim_t *s, const worker_t *w) {
    uint64_t next = w->beat_ns + BEAT_NS;
    for (size_t i = 0; i < w->held_count; i++) {
        const held_t *h = &w->held[i];
        if (!h->running || (!h->unit && h->done_ns <= s->now))
            continue; /* the row waits for a unit or a call */
        if (h->done_ns < next) next = h->done_ns;
    }
    uint64_t due = outbox_due(w->outbox, is_idle(w));
    if (due < next) next = due;
    return next > s->now ? next : s->now + 1;
}

/* One mail to this worker, then what it can start and say after it. */
void worker_message(sim_t *s, worker_t *w, const mail_t *m) {
    switch (m->kind) {
    case M_WELCOME:
        w->welcome = m->a;
        if (m->a == 0) say(s, w, M_HELLO, 0, w->instance, w->claimed_ms);
        say_what_holds(s, w);
        for (size_t i = 0; w->welcome && i < w->units_count; i++) {
            say_held(s, w, &w->units[i]);
        }
        break;
    case M_LEASE: take_lease(s, w, m); break;
    case M_LEASES_VOID: take_void(w, m); break;
    case M_PERMITS: take_permits(s, w, m); break;
    case M_ENDPOINT_PERMITS: take_endpoint_permits(s, w, m); break;
    case M_JOB_DROP:
        if (m->a == DISPATCH_STOP_DRAIN)
            return_waiting(w, m->job);
        else
            forget_job(w, m->job);
        break;
    case M_ENDPOINT_LET_FAIL: let_fail(s, w, m); break;
    case M_ACK: outbox_acknowledged(w->outbox, m->a); break;
    default: break;
    }
    if (!w->alive || !start_rows(s, w)) return;
    say_news(s, w);
    send_due(s, w);
    uint64_t next = worker_next(s, w);
    if (next < w->wake_ns) wake_at(s, w, next);
}

static void beat(sim_t *s, worker_t *w) {
    if (s->now - w->beat_ns < BEAT_NS) return;
    w->beat_ns = s->now;
    if (!w->welcome) say(s, w, M_HELLO, 0, w->instance, w->claimed_ms);
    uint64_t missing = lease_book_first_missing(w->leases);
    say(s, w, M_BEAT, 0, s->broken == BROKEN_MISSING ? missing | UINT32_MAX : missing, 0);
    say_what_holds(s, w);
    for (size_t i = 0; i < w->units_count; i++) {
        say_reports(s, w, &w->units[i], true);
    }
}

/* Time passes for a worker: rows end, it beats, and what is due is sent. */
void worker_wake(sim_t *s, size_t who) {
    worker_t *w = &s->workers[who];
    if (!w->alive || w->wake_ns != s->now) return;
    if (w->silent_until > s->now) {
        wake_at(s, w, w->silent_until);
        return;
    }
    end_rows(s, w);
    for (size_t i = 0; i < w->units_count; i++) {
        if (w->draining) return_waiting(w, w->units[i].job);
    }
    beat(s, w);
    if (!w->alive || !start_rows(s, w)) return;
    say_news(s, w);
    send_due(s, w);
    if (w->draining && w->held_count == 0 && outbox_rows(w->outbox) == 0) {
        worker_bye(s, w);
        return;
    }
    wake_at(s, w, worker_next(s, w));
}
