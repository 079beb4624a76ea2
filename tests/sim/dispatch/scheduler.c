/* scheduler.c - the scheduler's shell around the real dispatcher: messages become events, actions become
 * messages, and the judge hears of both. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/limits.h"
#include "core/sched/patience.h"
#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"

static void send_rows(sim_t *s, mail_kind_t kind, const dispatch_action_t *a, size_t count) {
    mail_t *m = mail_new(kind, a->peer, a->job, count);
    m->a = kind == M_LEASE ? a->lease : a->batch;
    m->b = kind == M_LEASE ? a->attempt : 0;
    m->c = kind == M_LEASE ? world_worker(s, a->worker)->life : 0;
    for (size_t i = 0; i < count; i++) {
        m->rows[i] = kind == M_LEASE ? a->rows[i].index : a->done[i].index * 4 + a->done[i].status;
        if (kind == M_RESULTS) m->b += a->done[i].json.len;
    }
    world_post(s, false, m);
}

/* Sends one action as a mail, and lets the judge look at it. */
static void perform(sim_t *s, const dispatch_action_t *a) {
    switch (a->kind) {
    case DISPATCH_LEASE:
        judge_lease(s, a);
        send_rows(s, M_LEASE, a, a->row_count);
        break;
    case DISPATCH_LEASES_VOID:
        world_post_plain(s, false, M_LEASES_VOID, a->peer, 0, a->lease, a->lease_count, 0);
        break;
    case DISPATCH_RESULTS:
        judge_results(s, a);
        send_rows(s, M_RESULTS, a, a->done_count);
        break;
    case DISPATCH_INGEST_CREDIT:
        judge_credit(s, a);
        world_post_plain(s, false, M_INGEST_CREDIT, a->peer, a->job, a->next_chunk, a->rows_limit,
                         a->bytes_limit);
        break;
    case DISPATCH_JOB_DONE:
        judge_done(s, a);
        world_post_plain(s, false, M_JOB_DONE, a->peer, a->job, a->rows_ok, a->rows_failed, a->end);
        break;
    case DISPATCH_PERMITS:
        judge_permits(s, a);
        world_post_plain(s, false, M_PERMITS, a->peer, a->job, a->permit_units, 0,
                         world_worker(s, a->worker)->life);
        break;
    case DISPATCH_ENDPOINT_PERMITS:
        judge_endpoint_permits(s, a);
        world_post_plain(s, false, M_ENDPOINT_PERMITS, a->peer, 0, a->endpoint, a->permit_calls,
                         judge_call_key(s, world_worker(s, a->worker), a->endpoint - 1));
        break;
    case DISPATCH_JOB_DROP: world_post_plain(s, false, M_JOB_DROP, a->peer, a->job, a->mode, 0, 0); break;
    case DISPATCH_WORKER_LOST:
        world_trace(s, "scheduler: worker %" PRIu64 " lost, %s", a->worker, a->reason);
        s->instance_at[a->peer] = 0;
        for (size_t i = 0; i < s->book_count; i++) {
            endpoint_book_gone(s->books[i]->endpoints, a->worker);
        }
        break;
    case DISPATCH_ROW_FAILED:
        world_trace(s, "scheduler: row %" PRIu64 " of job %" PRIu64 " failed", a->index, a->job);
        break;
    }
}

/* Sends what the dispatcher wants now. The judge hears of a lost worker before anything that follows, because
 * its rows may be leased to others at once. */
void scheduler_act(sim_t *s) {
    dispatch_action_t a;
    while (!s->failed && dispatch_next(s->d, s->now, &a)) {
        if (a.kind == DISPATCH_WORKER_LOST) {
            judge_given_up(s, world_worker(s, a.worker), a.reason);
            judge_lost(s, &a, a.crashed);
        }
        perform(s, &a);
    }
    judge_endpoints(s);
    judge_step(s);
}

/* JOB_OPEN, with what the client asks for. A new job gets a book of the judge. */
static void open_job(sim_t *s, const mail_t *m) {
    client_t *c = &s->clients[s->client_at[m->peer] - 1];
    if (c->registered && c->registered != m->peer)
        dispatch_client_moved(s->d, c->registered, m->peer, s->now);
    c->registered = m->peer;
    uint64_t endpoints[ENDPOINTS];
    dispatch_job_t job = {.job = m->job,
                          .window_rows = c->window_rows,
                          .window_bytes = c->window_bytes,
                          .concurrency = c->concurrency,
                          .priority = c->priority,
                          .endpoints = endpoints};
    for (size_t e = 0; e < ENDPOINTS; e++) {
        if (c->endpoints >> e & 1) endpoints[job.endpoint_count++] = e + 1;
    }
    job_book_t *book = judge_book(s, m->job);
    dispatch_job_stats_t stats;
    bool known = dispatch_job_stats(s->d, m->job, &stats);
    /* The client is gone: in reality its connection would be gone too, and this message with it. */
    if (c->job != m->job || !c->alive || c->done) return;
    /* Said before the client heard of its acceptance, or on an earlier connection: in reality this message
     * would have come before the job was dropped. */
    if (!known && !m->a && (c->opened || m->peer != c->peer)) return;
    if (!known && m->a) { /* the job was open once and is forgotten: its numbers mean nothing any more */
        world_post_plain(s, false, M_REFUSED, m->peer, m->job, 0, 0, 0);
        return;
    }
    if (dispatch_job_open(s->d, m->peer, &job, s->now, NULL) != SDG_OK) return;
    world_post_plain(s, false, M_JOB_ACCEPTED, m->peer, m->job, 0, 0, 0);
    if (known) return;
    if (book) book->job = 0;
    assert(s->book_count < JOB_BOOKS);
    book = s->books[s->book_count++] = xcalloc(1, sizeof *book);
    book->job = m->job;
    book->endpoints = endpoint_book_new();
    book->client = c;
    book->rows_total = c->job_rows;
    book->concurrency = book->running_max = c->concurrency;
    book->results_max = c->window_bytes / 2;
}

/* ROWS: the judge learns from the counters whether the dispatcher took the chunk. */
static void take_rows(sim_t *s, const mail_t *m) {
    job_book_t *book = judge_book(s, m->job);
    row_in_t rows[ROWS_MAX];
    dispatch_job_stats_t before, after;
    if (!book) return;
    for (size_t i = 0; i < m->count; i++) {
        rows[i] = world_row(book->client->number, m->rows[i]);
    }
    dispatch_job_stats(s->d, m->job, &before);
    dispatch_rows(s->d, m->job, m->a, rows, m->count, s->now);
    dispatch_job_stats(s->d, m->job, &after);
    if (after.rows_received == before.rows_received) return;
    for (size_t i = 0; i < m->count; i++) {
        if (book->rows[m->rows[i]].received) world_fail(s, "row %" PRIu64 " is taken twice", m->rows[i]);
        book->rows[m->rows[i]].received = true;
        book->raw_open += rows[i].raw.len;
    }
}

static void take_ack(sim_t *s, const mail_t *m) {
    job_book_t *book = judge_book(s, m->job);
    dispatch_results_ack(s->d, m->job, m->a, s->now);
    if (!book || m->a <= book->acked_batch) return;
    book->acked_batch = m->a;
    book->acked_rows = 0;
    for (uint64_t i = 0; i < ROWS_MAX; i++) {
        if (!book->batch_of[i] || book->batch_of[i] > m->a) continue;
        book->acked_rows++;
        book->results_open -= book->rows[i].bytes;
        book->rows[i].bytes = 0;
    }
}

static void take_answers(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = judge_book(s, m->job);
    row_done_t *done = xcalloc(m->count + 1, sizeof *done);
    for (size_t i = 0; book && i < m->count; i++) {
        done[i] = world_done(book->client->number, m->rows[i]);
    }
    if (book) {
        dispatch_row_results(s->d, worker, m->job, done, m->count, s->now);
        if (!book->over) judge_answers(book, m->rows, m->count);
    }
    free(done);
    world_post_plain(s, false, M_ACK, m->peer, 0, m->a, 0, 0);
}

static void stop_job(sim_t *s, const mail_t *m) {
    job_book_t *book = judge_book(s, m->job);
    if (dispatch_job_stop(s->d, m->job, (uint32_t)m->a, s->now) != SDG_OK) return;
    book->stopped = true;
    if (m->a == DISPATCH_STOP_NOW) judge_close(book);
}

static int limit_job(sim_t *s, const mail_t *m) {
    int rc = dispatch_job_limit(s->d, m->job, m->a, s->now);
    if (rc == SDG_OK) judge_limit(judge_book(s, m->job), m->a);
    return rc;
}

/* The client said goodbye, or its silence was noticed. */
void scheduler_client_gone(sim_t *s, uint64_t peer) {
    dispatch_client_gone(s->d, peer, s->now);
    for (size_t i = 0; i < s->book_count; i++) {
        dispatch_job_stats_t stats;
        if (!dispatch_job_stats(s->d, s->books[i]->job, &stats)) judge_close(s->books[i]);
    }
}

/* One mail of a client. */
void scheduler_from_client(sim_t *s, const mail_t *m) {
    int rc = SDG_OK;
    job_book_t *book = judge_book(s, m->job);
    if (m->kind != M_JOB_OPEN && m->kind != M_CLIENT_BYE &&
        s->clients[s->client_at[m->peer] - 1].registered != m->peer) {
        /* A client has one connection: on another it has to say who it is. */
        world_post_plain(s, false, M_WELCOME, m->peer, m->job, 0, 0, 0);
        return;
    }
    if (m->kind != M_JOB_OPEN && !book) return;
    switch (m->kind) {
    case M_JOB_OPEN: open_job(s, m); break;
    case M_ROWS: take_rows(s, m); break;
    case M_ROWS_END: rc = dispatch_rows_end(s->d, m->job, m->a, s->now); break;
    case M_RESULT_CREDIT: rc = dispatch_result_credit(s->d, m->job, m->a, m->b, s->now); break;
    case M_RESULTS_ACK: take_ack(s, m); break;
    case M_JOB_STOP: stop_job(s, m); break;
    case M_JOB_LIMIT: rc = limit_job(s, m); break;
    case M_CLIENT_BYE: scheduler_client_gone(s, m->peer); break;
    default: break;
    }
    if (rc == SDG_ENOTFOUND && !book->over) world_fail(s, "job %" PRIu64 " is forgotten", m->job);
    if (rc == SDG_ENOTFOUND) world_post_plain(s, false, M_REFUSED, m->peer, m->job, 0, 0, 0);
}

static void hello(sim_t *s, const mail_t *m) {
    for (uint64_t peer = 0; peer < s->peers; peer++) {
        if (s->instance_at[peer] == m->a) s->instance_at[peer] = 0; /* its old connection */
    }
    s->instance_at[m->peer] = m->a;
    uint64_t patience_ns = s->broken == BROKEN_PATIENCE ? m->b * MILLISECOND : patience_of_worker(true, m->b);
    dispatch_worker_t said = {.worker = m->a, .patience_ns = patience_ns};
    dispatch_worker_hello(s->d, m->peer, &said, s->now, NULL);
    judge_registered(s, world_worker(s, m->a), patience_ns);
    world_post_plain(s, false, M_WELCOME, m->peer, 0, 1, 0, 0);
}

static void refused(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = judge_book(s, m->job);
    if (!book) return;
    book->refused = true;
    *judge_chair(book, s, world_worker(s, worker)) = (chair_t){0};
    judge_lower_running_max(book);
    dispatch_worker_refuses(s->d, worker, m->job, "refused", s->now);
    judge_release_holder(s, m->job, worker, NULL, 0);
}

/* The answer of a worker; one that was said on an earlier connection does not count. */
static void permits_held(sim_t *s, const mail_t *m, uint64_t worker) {
    const worker_t *w = world_worker(s, worker);
    if (w->peer != m->peer) return;
    judge_answer_of_permits(s, w, m);
    units_held_t held = {.permit = m->a, .used = m->b, .waiting = m->c};
    dispatch_worker_running(s->d, worker, m->job, &held, s->now);
}

static void endpoint_held(sim_t *s, const mail_t *m, uint64_t worker) {
    const worker_t *w = world_worker(s, worker);
    if (w->peer != m->peer) return;
    judge_answer_of_endpoint(s, w, m);
    dispatch_worker_calls(s->d, worker, m->a, m->b, m->c, s->now);
}

/* How the endpoints of a job fare at a worker. */
static void endpoint_report(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = judge_book(s, m->job);
    endpoint_report_t reports[ENDPOINTS];
    if (!book || book->over || world_worker(s, worker)->peer != m->peer) return;
    for (size_t e = 0; e < ENDPOINTS; e++) {
        const uint64_t *said = &m->rows[e * REPORT_WORDS];
        reports[e] = (endpoint_report_t){
            .endpoint = e + 1,
            .state = said[4] >= ENDPOINT_REFUSALS_MAX ? ENDPOINT_FINAL : ENDPOINT_OPEN,
            .requests = said[0],
            .answered = said[1],
            .in_flight = said[2],
            .refused = said[3],
            .refused_in_a_row = said[4],
            .answered_ms = said[1] ? said[5] / MILLISECOND : ENDPOINT_NEVER,
        };
    }
    endpoint_book_take(book->endpoints, worker, reports, ENDPOINTS, s->now);
}

/* A job ends at an endpoint only when its key is refused there; rows fail at it only when one is alone, or
 * few are left of a job that got few answers. */
static void judge_job(sim_t *s, job_book_t *book) {
    dispatch_job_stats_t stats;
    endpoint_ruling_t r;
    if (!dispatch_job_stats(s->d, book->job, &stats) || stats.stopping || stats.over) return;
    endpoint_facts_t facts = {.rows_unfinished = stats.rows_queued + stats.rows_leased,
                              .none_come = stats.none_come};
    endpoint_verdict_t verdict = endpoint_book_judge(book->endpoints, &facts, s->now, &r);
    if (verdict == ENDPOINT_GOES_ON || verdict == ENDPOINT_UNFIT_WORKER) return;
    world_trace(s, "scheduler: job %" PRIu64 ", endpoint %" PRIu64 ": %s", book->job, r.of.endpoint,
                verdict == ENDPOINT_IS_FINAL ? "final" : "its row fails");
    if (book->client->revoked_ns > s->now)
        world_fail(s, "job %" PRIu64 " ends at an endpoint that answers it", book->job);
    if (verdict == ENDPOINT_IS_FINAL) {
        book->stopped = book->final = true;
        dispatch_job_final(s->d, book->job, "it refuses everything", s->now);
        return;
    }
    bool few =
        r.of.refused < ENDPOINT_REFUSALS_MAX && r.of.answered < ENDPOINT_REFUSALS_MAX && r.of.answered > 0;
    bool alone = r.of.refused == 1 || facts.rows_unfinished == 1;
    if (!alone && !few)
        world_fail(s, "%" PRIu64 " rows fail together, %" PRIu64 " were answered", r.of.refused,
                   r.of.answered);
    for (uint64_t peer = 0; peer < s->peers; peer++) {
        if (s->instance_at[peer])
            world_post_plain(s, false, M_ENDPOINT_LET_FAIL, peer, book->job, r.of.endpoint, 0, 0);
    }
}

void scheduler_judge(sim_t *s) {
    for (size_t i = 0; i < s->book_count; i++) {
        if (s->books[i]->job && !s->books[i]->over) judge_job(s, s->books[i]);
    }
}

/* The worker says its credit: it gets rows again after giving some back. Credit 0 means that it drains: it
 * gets nothing more. */
static void row_credit(sim_t *s, const mail_t *m, uint64_t worker) {
    for (size_t i = 0; i < s->book_count; i++) {
        chair_t *chair = judge_chair(s->books[i], s, world_worker(s, worker));
        chair->rests = false;
        if (m->a == 0) chair->permit = 0;
    }
    if (m->a == 0) dispatch_worker_drain(s->d, worker, s->now);
    dispatch_worker_credit(s->d, worker, m->a, m->b, s->now);
}

static void rows_returned(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = judge_book(s, m->job);
    if (book) judge_chair(book, s, world_worker(s, worker))->rests = true;
    judge_release_holder(s, m->job, worker, m->rows, m->count);
    dispatch_lease_return(s->d, worker, m->job, m->rows, m->count, s->now);
    world_post_plain(s, false, M_ACK, m->peer, 0, m->a, 0, 0);
}

/* What was on its way there is lost; what came from there has been read before. */
void scheduler_connection_gone(sim_t *s, uint64_t peer) {
    uint64_t worker = s->instance_at[peer];
    world_trace(s, "scheduler: connection %" PRIu64 " is gone", peer);
    s->gone[peer] = true;
    s->instance_at[peer] = 0;
    if (!worker) return;
    judge_cut(s, world_worker(s, worker));
    if (s->broken != BROKEN_CUT) dispatch_worker_cut(s->d, worker, s->now);
}

/* One mail of a worker. */
void scheduler_from_worker(sim_t *s, const mail_t *m) {
    uint64_t worker = s->instance_at[m->peer];
    if (s->gone[m->peer]) return;
    if (m->kind == M_HELLO) {
        hello(s, m);
        return;
    }
    if (m->kind == M_ROW_RESULTS)
        take_answers(s, m, worker); /* also from a worker that is not known: rows still open are taken */
    if (worker == 0) {
        world_post_plain(s, false, M_WELCOME, m->peer, 0, 0, 0, 0);
        return;
    }
    dispatch_worker_beat(s->d, worker, s->now);
    judge_heard(s, world_worker(s, worker));
    switch (m->kind) {
    case M_ROW_CREDIT: row_credit(s, m, worker); break;
    case M_PERMITS_HELD: permits_held(s, m, worker); break;
    case M_ENDPOINT_HELD: endpoint_held(s, m, worker); break;
    case M_ENDPOINT_REPORT: endpoint_report(s, m, worker); break;
    case M_BEAT: dispatch_worker_leases(s->d, worker, m->a, s->now); break;
    case M_RETURN: rows_returned(s, m, worker); break;
    case M_JOB_REFUSED: refused(s, m, worker); break;
    case M_BYE: dispatch_worker_gone(s->d, worker, false, s->now); break;
    default: break;
    }
}
