/* worker.c - the worker's messages.
 *
 * Everything the worker knows of the scheduler may vanish: the connection, the epoch, single messages. So it
 * keeps three clocks: HELLO is repeated with back-off until WELCOME (actors/loop/greeting.h); results are
 * repeated until acknowledged (core/sched/outbox.h); a BEAT a second says what is open. A new epoch (the
 * scheduler restarted) voids waiting rows and running ones alike: their clients will submit them again.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function here, a line in the table at the
 * bottom, a test.
 */
#include "actors/worker/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_contexts.h"
#include "actors/worker/worker_journal.h"
#include "actors/worker/worker_memory.h"
#include "actors/worker/worker_rows.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/words.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"

static bool say(worker_t *w, message_t *m) {
    m->epoch = w->greeting.epoch;
    return link_send(w->scheduler, 0, m, &w->scratch);
}

/* ---- what the worker says of itself */

static void say_hello(worker_t *w, uint64_t now) {
    message_t m = {.type = MESSAGE_HELLO,
                   .HELLO = {.role = ROLE_WORKER,
                             .instance = w->instance,
                             .name = slice_of(w->name),
                             .python = w->args.accept_python,
                             .patience_ms = w->args.patience_ms}};
    if (!say(w, &m)) return; /* not connected: nothing was said, the next `after` tries again */
    greeting_said(&w->greeting, now);
}

static void say_credit(worker_t *w) {
    message_t m = {.type = MESSAGE_ROW_CREDIT,
                   .ROW_CREDIT = {.rows = w->draining ? 0 : WORKER_ROWS_MAX, .bytes = WORKER_BYTES_MAX}};
    say(w, &m);
}

/* For the monitor of the scheduler. Threads do not say it: there the client of the same process counts. */
static void say_totals(worker_t *w) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(&w->tally, &reasons);
    message_t m = {.type = MESSAGE_STATS,
                   .STATS = {.role = ROLE_WORKER,
                             .values = {w->tally.totals, CLIENT_STATS},
                             .latency = {latency, hist_to_numbers(&w->tally.latency, latency)},
                             .reasons = {reasons.data, reasons.len}}};
    say(w, &m);
    buf_free(&reasons);
}

/* BEAT with the gauges of all jobs, and what is said as often: credit and, from a process, the totals. */
static void say_beat(worker_t *w, uint64_t now) {
    message_t m = {.type = MESSAGE_BEAT};
    for (const worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        for (size_t i = 0; i < job->route_count; i++) {
            llm_load_t load;
            llm_engine_route_load(w->llm, job->routes[i], &load);
            m.BEAT.calls_in_flight += load.in_flight;
            m.BEAT.calls_waiting += load.queued + load.backing_off;
        }
    }
    m.BEAT.leases = lease_book_first_missing(w->leases);
    m.BEAT.bytes_held = worker_bytes_held(w);
    if (w->args.report_rss) m.BEAT.rss_bytes = memory_rss_bytes();
    say(w, &m);
    if (w->args.report_rss) say_totals(w);
    say_credit(w); /* absolute, so a lost one is healed by the next */
    w->beat_ns = now;
}

static void ask_for_job(worker_t *w, worker_job_t *job, uint64_t now) {
    message_t m = {.type = MESSAGE_JOB_GET, .JOB_GET = {.job = job->id}};
    say(w, &m);
    job->asked_ns = now;
}

/* A row that waits for a Python process needs no others beside it: they would wait for the same. */
static units_held_t held_of(const worker_t *w, const worker_job_t *job) {
    uint64_t begun = w->draining ? job->running : job->running - job->units.lent;
    return units_held(job->units.allowed, job->units.used, begun, w->draining);
}

static void say_held(worker_t *w, worker_job_t *job) {
    job->told = held_of(w, job);
    message_t m = {.type = MESSAGE_PERMITS_HELD,
                   .PERMITS_HELD = {.job = job->id,
                                    .permit = job->told.permit,
                                    .used = job->told.used,
                                    .waiting = job->told.waiting}};
    say(w, &m);
}

static void refuse_job(worker_t *w, worker_job_t *job) {
    message_t m = {.type = MESSAGE_JOB_REFUSED,
                   .JOB_REFUSED = {.job = job->id, .reason = slice_of(job->refusal)}};
    say(w, &m);
    worker_drop_rows(w, job);
}

/* ---- messages */

/* The worker names each of its jobs: one that ended while this worker was not heard is answered by JOB_DROP.
 */
static void on_welcome(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    if (greeting_take(&w->greeting, m) == GREETING_RESTARTED) {
        log_info(
            "worker",
            "the scheduler has restarted: rows in progress are dropped, their clients submit them again");
        worker_forget_all_jobs(w);
        outbox_clear(w->outbox);
        lease_book_forget(w->leases);
    }
    if (!w->greeting.welcome) return;
    say_credit(w);
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        say_held(w, job);
        worker_reports_repeat(job);
    }
}

static void on_job_spec(worker_t *w, const message_t *m, uint64_t now) {
    worker_job_t *job = worker_find_job(w, m->JOB_SPEC.job);
    err_t err;
    if (!job || job->state != JOB_ASKED) return;
    if (worker_load_job(w, job, &m->JOB_SPEC, &err) != SDG_OK) {
        job->refusal = xstrdup(err.text);
        refuse_job(w, job);
        return;
    }
    worker_endpoints_apply(w, job);
    worker_start_rows(w, job, now);
}

static worker_job_t *job_or_ask(worker_t *w, uint64_t id, uint64_t now) {
    worker_job_t *job = worker_find_job(w, id);
    if (job) return job;
    job = worker_add_job(w, id);
    ask_for_job(w, job, now);
    return job;
}

/* Rows that have not started have gone to other workers. */
static void drop_all_waiting(worker_t *w) {
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        waiting_drop(&job->waiting);
    }
}

static void on_leases_void(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    if (lease_book_void(w->leases, m->LEASES_VOID.from, m->LEASES_VOID.count)) drop_all_waiting(w);
}

static void on_lease(worker_t *w, const message_t *m, uint64_t now) {
    lease_verdict_t verdict = lease_book_add(w->leases, m->LEASE.lease);
    if (verdict == LEASE_OLD) return; /* it was sent twice */
    if (verdict == LEASE_BEGINS_ERA) drop_all_waiting(w);
    worker_job_t *job = job_or_ask(w, m->LEASE.job, now);
    if (job->state == JOB_BROKEN) {
        refuse_job(w, job);
        return;
    }
    worker_accept_rows(w, job, &m->LEASE.rows, m->LEASE.again != 0);
    if (w->draining) worker_return_waiting(w, job);
    worker_start_rows(w, job, now);
}

static void tell_news_of_units(worker_t *w) {
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        units_held_t held = held_of(w, job);
        if (units_are_news(&job->told, &held, job->units.allowed)) say_held(w, job);
    }
}

static void on_permits(worker_t *w, const message_t *m, uint64_t now) {
    worker_job_t *job = job_or_ask(w, m->PERMITS.job, now);
    if (job->state == JOB_BROKEN) refuse_job(w, job);
    job->gives_back = false;
    if (job->units.allowed == 0) job->stops_ns = 0; /* its rows were recalled because they had no share */
    job->units.allowed = m->PERMITS.units < UINT32_MAX ? (uint32_t)m->PERMITS.units : UINT32_MAX;
    worker_start_rows(w, job, now);
    say_held(w, job);
}

static void on_endpoint_permits(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    worker_endpoint_permit(w, m->ENDPOINT_PERMITS.endpoint, m->ENDPOINT_PERMITS.calls);
}

/* Routes of the job to other endpoints hold nothing, or it would not be its last row. */
static void on_endpoint_let_fail(worker_t *w, const message_t *m, uint64_t now) {
    worker_job_t *job = worker_find_job(w, m->ENDPOINT_LET_FAIL.job);
    (void)now;
    for (size_t i = 0; job && i < job->route_count; i++) {
        if (llm_engine_endpoint_id(w->llm, job->routes[i]) == m->ENDPOINT_LET_FAIL.endpoint)
            llm_engine_release_held(w->llm, job->routes[i]);
    }
}

static void on_job_drop(worker_t *w, const message_t *m, uint64_t now) {
    worker_job_t *job = worker_find_job(w, m->JOB_DROP.job);
    if (!job) return;
    if (m->JOB_DROP.mode == DISPATCH_STOP_DRAIN) {
        worker_return_waiting(w, job);
        worker_return_stuck(w, job, now);
        job->gives_back = true;
        if (job->stops_ns == 0) job->stops_ns = now;
    } else {
        worker_forget_job(w, job);
    }
}

static void on_row_results_ack(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    outbox_acknowledged(w->outbox, m->ROW_RESULTS_ACK.batch);
}

static void start_drain(worker_t *w, uint64_t deadline_ms, uint64_t now) {
    uint64_t ms = deadline_ms < DRAIN_MS_MAX ? deadline_ms : DRAIN_MS_MAX;
    if (w->draining) return;
    w->draining = true;
    w->drain_deadline_ns = now + ms * MILLISECOND;
    log_info("worker", "%s: draining: %" PRIu64 " %s open, for at most %" PRIu64 " s (--drain-timeout)",
             w->name, worker_rows_open(w), words_choose(worker_rows_open(w), "row", "rows"), ms / 1000);
    say_credit(w);
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        worker_return_waiting(w, job);
        say_held(w, job);
    }
}

static void on_drain(worker_t *w, const message_t *m, uint64_t now) {
    start_drain(w, m->DRAIN.deadline_ms, now);
}

/* A refused JOB_GET ends the job here, a refused HELLO ends the worker; any other refusal is only logged. */
static void on_refused(worker_t *w, const message_t *m, uint64_t now) {
    worker_job_t *job = worker_find_job(w, m->REFUSED.id);
    (void)now;
    if (m->REFUSED.about == MESSAGE_JOB_GET) {
        if (job) worker_forget_job(w, job);
        return; /* a job that ended meanwhile is not news */
    }
    if (m->REFUSED.about == MESSAGE_HELLO) {
        log_error("worker", "the scheduler refused this worker: %.*s", (int)m->REFUSED.reason.len,
                  m->REFUSED.reason.data);
        actor_finish(&w->actor, EXIT_RUNTIME);
        return;
    }
    log_warn("worker", "the scheduler refused %s: %.*s", message_name((message_type_t)m->REFUSED.about),
             (int)m->REFUSED.reason.len, m->REFUSED.reason.data);
}

static void on_beat(worker_t *w, const message_t *m, uint64_t now) { (void)w, (void)m, (void)now; }

static void on_sync(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    message_t answer = {.type = MESSAGE_SYNCED, .SYNCED = {.token = m->SYNC.token}};
    say(w, &answer);
}

/* ---- time */

static void check_drained(worker_t *w, uint64_t now) {
    if (!w->draining || w->actor.ended) return;
    worker_return_stuck(w, NULL, now);
    uint64_t open = worker_rows_open(w);
    if (open && now < w->drain_deadline_ns) return;
    if (open)
        log_warn("worker", "%s: the time of --drain-timeout is over: %" PRIu64 " %s %s back", w->name, open,
                 words_choose(open, "row", "rows"), words_choose(open, "goes", "go"));
    else
        log_info("worker", "%s: drained", w->name);
    if (w->args.report_rss) say_totals(w);
    message_t drained = {.type = MESSAGE_DRAINED, .DRAINED = {.rows_open = open}};
    message_t bye = {.type = MESSAGE_BYE, .BYE = {.reason = slice_of("drained")}};
    say(w, &drained);
    say(w, &bye);
    actor_finish(&w->actor, open ? EXIT_STOPPED : EXIT_ALL_FINE);
}

/* Rows of a job that stops may get stuck after JOB_DROP has come. */
static void give_back_stuck(worker_t *w, uint64_t now) {
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (job->gives_back || job->stops_ns) worker_return_stuck(w, job, now);
    }
}

static void greet(worker_t *w, uint64_t now) {
    if (greeting_falls_silent(&w->greeting, now))
        log_warn("worker", "%s: the scheduler is silent; saying hello again", w->name);
    if (greeting_is_due(&w->greeting, now)) say_hello(w, now);
}

/* A worker that nobody watches ends when its scheduler is gone for good. */
static void give_up_on_silence(worker_t *w, uint64_t now) {
    uint64_t silent = now - w->greeting.heard_ns;
    if (!w->args.give_up_ms || silent <= w->args.give_up_ms * MILLISECOND) return;
    log_error("worker", "%s: no word from the scheduler for %" PRIu64 " s: giving up", w->name,
              (uint64_t)(silent / SECOND));
    actor_finish(&w->actor, EXIT_RUNTIME);
}

static void every_beat(worker_t *w, uint64_t now) {
    if (now - w->beat_ns < BEAT_NS) return;
    give_up_on_silence(w, now);
    if (!w->greeting.welcome) return;
    say_beat(w, now);
    worker_journal_resend(w, now);
    worker_contexts_resend(w, now);
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        if (job->state == JOB_ASKED && now - job->asked_ns > SECOND) ask_for_job(w, job, now);
    }
}

/* --gc-interval: memory that rows have freed goes back to the system, of the whole process. */
static void housekeep(worker_t *w, uint64_t now) {
    const worker_job_t *newest = worker_next_job(w, NULL);
    uint64_t interval = newest ? newest->options.gc_rows : 0;
    if (interval == 0 || w->rows_since < interval || now - w->housekept_ns < HOUSEKEEPING_NS) return;
    w->rows_since = 0;
    w->housekept_ns = now;
    memory_release();
}

/* After each wake-up: rows run first, then all that they have to say is sent, then come the timers. Returns
 * how long the worker may sleep, in ns. */
static uint64_t after(void *self, uint64_t now) {
    worker_t *w = self;
    worker_drive(w, now);
    give_back_stuck(w, now);
    worker_journal_flush(w, now);
    worker_contexts_flush(w, now);
    uint64_t reports = worker_reports_tell(w, now); /* before the results: the scheduler judges by both */
    worker_flush(w, now);
    tell_news_of_units(w);
    worker_endpoints_tell(w);
    every_beat(w, now);
    housekeep(w, now);
    greet(w, now);
    check_drained(w, now);
    uint64_t wait = worker_next_wake(w, now), beat = w->greeting.welcome ? BEAT_NS : HELLO_LOOK_NS;
    if (reports < wait) wait = reports;
    return wait < beat ? wait : beat;
}

/* ---- life */

static void on_command(void *self, const char *command, uint64_t now) {
    worker_t *w = self;
    unsigned long long ms;
    if (sscanf(command, "DRAIN %llu", &ms) == 1) start_drain(w, ms, now);
}

static void on_fd(void *self, int fd, uint64_t now) {
    (void)self, (void)fd, (void)now; /* `after` drives everything */
}

/* A worker without jobs. Its socket is not connected yet; the HTTP engine comes with the first job. */
static worker_t *worker_new(const worker_args_t *args) {
    worker_t *w = xcalloc(1, sizeof *w);
    w->args = *args;
    w->name = xstrdup(args->name);
    w->instance = args->instance ? args->instance : rng_entropy();
    ring_init(&w->jobs);
    w->slots = slots_new();
    w->agenda = agenda_new();
    w->footprint = footprint_new();
    w->outbox = outbox_new(worker_encode_batch, w);
    w->leases = lease_book_new();
    buf_init(&w->scratch, MESSAGE_BYTES_MAX);
    greeting_init(&w->greeting, clock_now_ns());
    w->scheduler = link_socket(ZMQ_DEALER, LINGER_MS, SOCKET_HWM);
    zsock_set_immediate(w->scheduler, 1);
    return w;
}

/* Jobs go first: their slots, routes and stores belong to what is freed after them. */
static void worker_destroy(worker_t **worker) {
    worker_t *w = *worker;
    worker_forget_all_jobs(w);
    if (w->llm) actor_remove_fd(&w->actor, llm_engine_fd(w->llm));
    llm_engine_destroy(&w->llm);
    outbox_destroy(&w->outbox);
    lease_book_destroy(&w->leases);
    zsock_destroy(&w->scheduler);
    actor_free(&w->actor);
    buf_free(&w->scratch);
    slots_destroy(&w->slots);
    agenda_destroy(&w->agenda);
    footprint_destroy(&w->footprint);
    free(w->endpoints);
    free(w->name);
    free(w);
    *worker = NULL;
}

/* The messages a worker takes. */
static const struct {
    message_type_t type;
    void (*handle)(worker_t *w, const message_t *m, uint64_t now);
} handlers[] = {
    {MESSAGE_WELCOME, on_welcome},
    {MESSAGE_LEASE, on_lease},
    {MESSAGE_LEASES_VOID, on_leases_void},
    {MESSAGE_JOB_SPEC, on_job_spec},
    {MESSAGE_PERMITS, on_permits},
    {MESSAGE_ENDPOINT_PERMITS, on_endpoint_permits},
    {MESSAGE_ENDPOINT_LET_FAIL, on_endpoint_let_fail},
    {MESSAGE_JOB_DROP, on_job_drop},
    {MESSAGE_ROW_RESULTS_ACK, on_row_results_ack},
    {MESSAGE_DRAIN, on_drain},
    {MESSAGE_BEAT, on_beat},
    {MESSAGE_REFUSED, on_refused},
    {MESSAGE_SYNC, on_sync},
};

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    worker_t *w = self;
    if (socket != w->scheduler) {
        worker_journal_message(w, &in->message, now);
        worker_contexts_message(w, &in->message, now);
        return;
    }
    if (!greeting_hear(&w->greeting, &in->message, now)) return;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type == in->message.type) handlers[i].handle(w, &in->message, now);
    }
}

static const actor_ops_t ops = {on_message, on_fd, on_command, after};

void worker_actor(zsock_t *pipe, void *args) {
    worker_t *w = worker_new(args);
    err_t err;
    actor_init(&w->actor, "worker", &ops, w, pipe);
    if (link_attach(w->scheduler, LINK_CONNECT, ((worker_args_t *)args)->endpoint, &err) < 0) {
        log_error("worker", "%s", err.text);
        actor_finish(&w->actor, EXIT_RUNTIME);
    }
    actor_add_socket(&w->actor, w->scheduler);
    actor_await_peer(&w->actor, w->scheduler);
    actor_run(&w->actor);
    worker_destroy(&w);
}
