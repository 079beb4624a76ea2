/* workers.c - workers that run rows in virtual time, crash, drain, refuse and fall silent. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/limits.h"
#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"

static void say(sim_t *s, const worker_t *w, mail_kind_t kind, uint64_t job, uint64_t a, uint64_t b) {
    world_post_plain(s, true, kind, w->peer, job, a, b, 0);
}

static permit_t *permit_of(worker_t *w, uint64_t job) {
    for (size_t i = 0; i < w->permit_count; i++) {
        if (w->permits[i].job == job) return &w->permits[i];
    }
    assert(w->permit_count < 64);
    w->permits[w->permit_count] = (permit_t){.job = job};
    return &w->permits[w->permit_count++];
}

void worker_connect(sim_t *s, worker_t *w) {
    w->peer = s->peers++;
    assert(w->peer < PEERS_MAX);
    w->welcome = false;
    w->hello_ns = s->now;
    say(s, w, M_HELLO, 0, w->instance, 0);
}

worker_t *worker_start(sim_t *s) {
    if (s->worker_count == WORKER_SLOTS) return NULL;
    worker_t *w = &s->workers[s->worker_count++];
    *w = (worker_t){.instance = ++s->instances,
                    .alive = true,
                    .credit_rows = world_between(s, 1, 40),
                    .credit_bytes = world_chance(s, 0.3) ? world_between(s, 1, 200) : 100000,
                    .row_ns = world_chance(s, 0.2) ? 3 * SECOND : 200 * MILLISECOND};
    w->leases = rangeset_new();
    if (!s->good && world_chance(s, 0.1)) w->refuses = (uint32_t)world_between(s, 1, 7);
    world_trace(s, "worker %" PRIu64 " starts: credit %" PRIu64 " rows, %" PRIu64 " bytes, refuses %x",
                w->instance, w->credit_rows, w->credit_bytes, w->refuses);
    worker_connect(s, w);
    world_wake(s, WAKE_WORKER, s->worker_count - 1, s->now + 100 * MILLISECOND);
    return w;
}

void worker_clear(worker_t *w) {
    while (w->parcels) {
        parcel_t *p = w->parcels;
        w->parcels = p->next;
        free(p->mail);
        free(p);
    }
    rangeset_destroy(&w->leases);
    free(w->held);
    w->held = NULL;
    w->held_count = w->held_cap = 0;
    w->alive = false;
}

void worker_crash(sim_t *s, worker_t *w) {
    bool seen = world_chance(s, 0.5);
    world_trace(s, "worker %" PRIu64 " crashes%s", w->instance, seen ? ", which is seen" : "");
    worker_clear(w);
    if (!seen) return;
    dispatch_worker_gone(s->d, w->instance, true, s->now);
    scheduler_act(s);
}

void worker_bye(sim_t *s, worker_t *w) {
    world_trace(s, "worker %" PRIu64 " leaves", w->instance);
    say(s, w, M_BYE, 0, 0, 0);
    worker_clear(w);
}

static void keep_parcel(sim_t *s, worker_t *w, mail_t *m) {
    parcel_t *p = xcalloc(1, sizeof *p), **at = &w->parcels;
    while (*at) {
        at = &(*at)->next;
    }
    *at = p;
    m->a = ++w->batch;
    *p = (parcel_t){.mail = m, .resend_ns = s->now + RESEND_NS, .wait_ns = RESEND_NS};
    world_post(s, true, mail_copy(m));
}

static void unhold(worker_t *w, size_t i) { w->held[i] = w->held[--w->held_count]; }

/* Sends one message with the rows of this job that have ended (or, waiting: that have not begun), and lets go
 * of them. */
static void give_up_rows(sim_t *s, worker_t *w, uint64_t job, bool waiting) {
    mail_t *m = mail_new(waiting ? M_RETURN : M_ROW_RESULTS, w->peer, job, w->held_count + 1);
    m->count = 0;
    for (size_t i = w->held_count; i > 0; i--) {
        const held_t *h = &w->held[i - 1];
        bool ended = h->running && h->done_ns <= s->now;
        if (h->job != job || (waiting ? h->running : !ended) || m->count == ROWS_MAX) continue;
        m->rows[m->count++] = h->index;
        unhold(w, i - 1);
    }
    if (m->count > 0)
        keep_parcel(s, w, m);
    else
        free(m);
}

static client_t *client_of(sim_t *s, uint64_t job) {
    job_book_t *book = judge_book(s, job);
    return book ? book->client : NULL;
}

static bool kills(sim_t *s, const held_t *h) {
    const client_t *c = client_of(s, h->job);
    return c->killers[0] == h->index + 1 || c->killers[1] == h->index + 1;
}

static uint64_t running_of(const worker_t *w, uint64_t job) {
    uint64_t running = 0;
    for (size_t i = 0; i < w->held_count; i++) {
        running += w->held[i].running && w->held[i].job == job;
    }
    return running;
}

/* False: one of the rows killed it. */
static bool start_rows(sim_t *s, worker_t *w) {
    for (size_t i = 0; i < w->held_count; i++) {
        held_t *h = &w->held[i];
        const permit_t *permit = permit_of(w, h->job);
        if (h->running || running_of(w, h->job) >= permit->rows) continue;
        h->running = true;
        h->done_ns = s->now + world_between(s, 1, w->row_ns);
        if (permit->life != w->life)
            h->life = UINT64_MAX; /* by an allowance from before it was taken for dead */
        judge_running(s, h);
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
    permit_of(w, job)->refused = true;
    say(s, w, M_JOB_REFUSED, job, 0, 0);
}

/* Is it of the registration that counts now? */
static bool lease_counts(worker_t *w, const mail_t *m) {
    uint64_t era = m->a >> LEASE_ERA_SHIFT;
    if (era < w->era) return false;
    if (era > w->era) {
        w->era = era;
        rangeset_destroy(&w->leases);
        w->leases = rangeset_new();
        for (size_t i = w->held_count; i > 0; i--) {
            if (!w->held[i - 1].running) unhold(w, i - 1);
        }
    }
    return true;
}

static void take_void(worker_t *w, const mail_t *m) {
    if (!lease_counts(w, m)) return;
    for (uint64_t i = 0; i < m->b; i++) {
        rangeset_add(w->leases, (m->a & UINT32_MAX) + i);
    }
}

static void take_lease(sim_t *s, worker_t *w, const mail_t *m) {
    if (!lease_counts(w, m) || !rangeset_add(w->leases, m->a & UINT32_MAX)) return;
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
    if (w->draining) give_up_rows(s, w, m->job, true);
}

static void forget_job(worker_t *w, uint64_t job) {
    for (size_t i = w->held_count; i > 0; i--) {
        if (w->held[i - 1].job == job) unhold(w, i - 1);
    }
}

static void take_ack_of_parcel(worker_t *w, uint64_t batch) {
    for (parcel_t **at = &w->parcels; *at; at = &(*at)->next) {
        if ((*at)->mail->a != batch) continue;
        parcel_t *p = *at;
        *at = p->next;
        free(p->mail);
        free(p);
        return;
    }
}

static void say_held(sim_t *s, worker_t *w, permit_t *permit) {
    permit->told_running = running_of(w, permit->job);
    say(s, w, M_PERMITS_HELD, permit->job, permit->rows, permit->told_running);
}

static void take_permits(sim_t *s, worker_t *w, const mail_t *m) {
    const client_t *c = client_of(s, m->job);
    permit_t *permit = permit_of(w, m->job);
    permit->rows = m->a;
    permit->life = m->c;
    if (c && w->refuses >> c->number & 1) refuse_job(s, w, m->job);
    if (start_rows(s, w)) say_held(s, w, permit);
}

static void say_what_holds(sim_t *s, worker_t *w) {
    say(s, w, M_ROW_CREDIT, 0, w->draining ? 0 : w->credit_rows, w->credit_bytes);
}

void worker_message(sim_t *s, worker_t *w, const mail_t *m) {
    switch (m->kind) {
    case M_WELCOME:
        w->welcome = m->a;
        if (m->a == 0) say(s, w, M_HELLO, 0, w->instance, 0);
        say_what_holds(s, w);
        break;
    case M_LEASE: take_lease(s, w, m); break;
    case M_LEASES_VOID: take_void(w, m); break;
    case M_PERMITS: take_permits(s, w, m); break;
    case M_JOB_DROP:
        if (m->a == DISPATCH_STOP_DRAIN)
            give_up_rows(s, w, m->job, true);
        else
            forget_job(w, m->job);
        break;
    case M_ACK: take_ack_of_parcel(w, m->a); break;
    default: break;
    }
    start_rows(s, w);
}

static void resend_parcels(sim_t *s, worker_t *w) {
    for (parcel_t *p = w->parcels; p; p = p->next) {
        if (p->resend_ns > s->now) continue;
        p->mail->peer = w->peer;
        world_post(s, true, mail_copy(p->mail));
        p->wait_ns = p->wait_ns * 2 < RESEND_NS_MAX ? p->wait_ns * 2 : RESEND_NS_MAX;
        p->resend_ns = s->now + p->wait_ns;
    }
}

static void beat(sim_t *s, worker_t *w) {
    if (s->now - w->beat_ns < BEAT_NS) return;
    w->beat_ns = s->now;
    if (!w->welcome) say(s, w, M_HELLO, 0, w->instance, 0);
    say(s, w, M_BEAT, 0, w->era << LEASE_ERA_SHIFT | rangeset_first_absent(w->leases, 0), 0);
    say_what_holds(s, w);
    resend_parcels(s, w);
}

static uint64_t worker_next(const sim_t *s, const worker_t *w) {
    uint64_t next = w->beat_ns + BEAT_NS;
    for (size_t i = 0; i < w->held_count; i++) {
        if (w->held[i].running && w->held[i].done_ns < next) next = w->held[i].done_ns;
    }
    return next > s->now + 10 * MILLISECOND ? next : s->now + 10 * MILLISECOND; /* results leave in batches */
}

void worker_wake(sim_t *s, size_t who) {
    worker_t *w = &s->workers[who];
    if (!w->alive) return;
    if (w->silent_until > s->now) {
        world_wake(s, WAKE_WORKER, who, w->silent_until);
        return;
    }
    for (size_t i = 0; i < w->permit_count; i++) {
        give_up_rows(s, w, w->permits[i].job, false);
        if (w->draining) give_up_rows(s, w, w->permits[i].job, true);
        bool fewer = running_of(w, w->permits[i].job) < w->permits[i].told_running;
        if (fewer && w->permits[i].told_running > w->permits[i].rows) say_held(s, w, &w->permits[i]);
    }
    beat(s, w);
    if (!start_rows(s, w)) return;
    if (w->draining && w->held_count == 0 && !w->parcels) {
        worker_bye(s, w);
        return;
    }
    world_wake(s, WAKE_WORKER, who, worker_next(s, w));
}
