/* judge.c - what the dispatcher must keep: judge.h. */
#include <stdio.h>
#include <string.h>

#include "core/sched/limits.h"
#include "tests/sim/dispatch/judge.h"

/* In a good world all is shared out after so long: meanwhile rows that kill take workers along, one after the
 * other, and each of these keeps its share until it has been silent for long enough. */
#define SHARED_NS (4 * WORKER_PATIENCE_MAX_MS * MILLISECOND)

job_book_t *judge_book(sim_t *s, uint64_t job) {
    for (size_t i = 0; i < s->book_count; i++) {
        if (s->books[i]->job == job) return s->books[i];
    }
    return NULL;
}

/* ---- how many rows run */

chair_t *judge_chair(job_book_t *book, const sim_t *s, const worker_t *w) {
    return &book->chairs[w - s->workers];
}

static uint64_t ceilings_of(const job_book_t *book) {
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKER_SLOTS; i++) {
        sum += book->chairs[i].ceiling;
    }
    return sum;
}

/* When all workers have answered, a larger limit from before no longer counts. */
void judge_lower_running_max(job_book_t *book) {
    if (ceilings_of(book) <= book->concurrency || book->running_max < book->concurrency)
        book->running_max = book->concurrency;
}

void judge_permits(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = judge_book(s, a->job);
    if (!book || book->over) return;
    chair_t *chair = judge_chair(book, s, world_worker(s, a->worker));
    chair->permit = a->permit_units;
    if (a->permit_units <= chair->ceiling) return;
    chair->ceiling = a->permit_units;
    if (ceilings_of(book) > book->concurrency)
        world_fail(s, "job %" PRIu64 ": %" PRIu64 " rows may run, its limit is %" PRIu64, book->job,
                   ceilings_of(book), book->concurrency);
}

void judge_answer_of_permits(sim_t *s, const worker_t *w, const mail_t *m) {
    job_book_t *book = judge_book(s, m->job);
    if (!book) return;
    chair_t *chair = judge_chair(book, s, w);
    if (m->a == chair->permit) chair->ceiling = m->a > m->b ? m->a : m->b;
    judge_lower_running_max(book);
}

void judge_limit(job_book_t *book, uint64_t concurrency) {
    book->concurrency = concurrency;
    judge_lower_running_max(book);
}

static bool is_able(const sim_t *s, const job_book_t *book, const worker_t *w) {
    return w->alive && !w->draining && s->instance_at[w->peer] == w->instance &&
           !(w->refuses >> book->client->number & 1);
}

/* In a good world all of the limit is with workers, but for the moment it takes to tell them. */
void judge_shares(sim_t *s, job_book_t *book) {
    const client_t *c = book->client;
    uint64_t permits = 0, held = 0, able = 0, wanted = c->limit ? c->limit : c->concurrency;
    for (size_t i = 0; i < s->worker_count; i++) {
        bool counts = is_able(s, book, &s->workers[i]);
        able += counts;
        permits += counts ? book->chairs[i].permit : 0;
        if (s->workers[i].draining)
            held += book->chairs[i].ceiling; /* these units cannot be given to others yet */
    }
    dispatch_job_stats_t stats;
    bool runs =
        book->job == c->job && !book->over && dispatch_job_stats(s->d, book->job, &stats) && !stats.stopping;
    if (!runs || able == 0 || permits == wanted || (permits < wanted && permits + held >= wanted))
        book->unshared_ns = 0;
    else if (book->unshared_ns == 0)
        book->unshared_ns = s->now;
    else if (s->now > book->unshared_ns + SHARED_NS)
        world_fail(s, "job %" PRIu64 ": its workers may run %" PRIu64 " rows, the limit is %" PRIu64,
                   book->job, permits, wanted);
}

/* A row starts. Rows of a worker that was taken for dead do not count until it has heard that it lives. */
void judge_running(sim_t *s, const held_t *started) {
    job_book_t *book = judge_book(s, started->job);
    uint64_t running = 0;
    if (!book || book->over) return;
    for (size_t i = 0; i < s->worker_count; i++) {
        const worker_t *w = &s->workers[i];
        for (size_t k = 0; w->alive && k < w->held_count; k++) {
            running += w->held[k].job == started->job && w->held[k].unit && w->held[k].life == w->life;
        }
    }
    if (running > book->running_max)
        world_fail(s, "job %" PRIu64 ": %" PRIu64 " rows run, its limit is %" PRIu64 " (%" PRIu64 ")",
                   book->job, running, book->concurrency, book->running_max);
}

/* ---- what a worker makes of its leases */

void judge_lease_heard(worker_t *w, const mail_t *m) {
    if (m->c > w->life_heard) w->life_heard = m->c;
}

void judge_lease_taken(sim_t *s, worker_t *w, const mail_t *m) {
    job_book_t *book = judge_book(s, m->job);
    if (m->c < w->life_heard)
        world_fail(s, "worker %" PRIu64 " takes lease %" PRIu64 " of a life that is over", w->instance, m->a);
    for (size_t i = 0; book && i < m->count; i++) {
        book_t *row = &book->rows[m->rows[i]];
        if (row->taken_by == w->instance && row->taken == m->a)
            world_fail(s, "worker %" PRIu64 " takes lease %" PRIu64 " a second time", w->instance, m->a);
        row->taken_by = w->instance;
        row->taken = m->a;
    }
}

/* Rows of an earlier life that had not started when the worker heard of the new one are void. */
void judge_started(sim_t *s, const worker_t *w, const held_t *h) {
    if (h->life < w->life_heard)
        world_fail(s, "worker %" PRIu64 " starts row %" PRIu64 " of a life that is over", w->instance,
                   h->index);
}

/* ---- calls in flight */

static uint64_t calls_allowed(const call_book_t *book) {
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKER_SLOTS; i++) {
        sum += book->chairs[i].ceiling;
    }
    return sum;
}

static void lower_limit_max(call_book_t *book) {
    if (calls_allowed(book) <= book->limit || book->limit_max < book->limit) book->limit_max = book->limit;
}

static bool is_named(const sim_t *s, size_t endpoint) {
    for (size_t i = 0; i < s->book_count; i++) {
        const job_book_t *book = s->books[i];
        if (book->job && !book->over && (book->client->endpoints >> endpoint & 1)) return true;
    }
    return false;
}

void judge_endpoints(sim_t *s) {
    for (size_t e = 0; e < ENDPOINTS; e++) {
        call_book_t *book = &s->endpoints[e];
        bool named = is_named(s, e);
        if (book->named && !named)
            *book = (call_book_t){.generation = book->generation + 1,
                                  .limit = DISPATCH_NO_LIMIT,
                                  .limit_max = DISPATCH_NO_LIMIT};
        book->named = named;
    }
}

void judge_endpoint_limit(sim_t *s, size_t endpoint, uint64_t calls) {
    s->endpoints[endpoint].limit = calls;
    lower_limit_max(&s->endpoints[endpoint]);
}

void judge_endpoint_permits(sim_t *s, const dispatch_action_t *a) {
    call_book_t *book = &s->endpoints[a->endpoint - 1];
    chair_t *chair = &book->chairs[world_worker(s, a->worker) - s->workers];
    chair->permit = a->permit_calls;
    if (a->permit_calls <= chair->ceiling) return;
    chair->ceiling = a->permit_calls;
    if (calls_allowed(book) > book->limit)
        world_fail(s, "endpoint %" PRIu64 ": %" PRIu64 " calls may be in flight, its limit is %" PRIu64,
                   a->endpoint, calls_allowed(book), book->limit);
}

void judge_answer_of_endpoint(sim_t *s, const worker_t *w, const mail_t *m) {
    call_book_t *book = &s->endpoints[m->a - 1];
    chair_t *chair = &book->chairs[w - s->workers];
    if (m->b == chair->permit) chair->ceiling = m->b > m->c ? m->b : m->c;
    lower_limit_max(book);
}

uint64_t judge_call_key(const sim_t *s, const worker_t *w, size_t endpoint) {
    return 1 + (w->life << 32 | s->endpoints[endpoint].generation);
}

/* Calls by a permit from before count no more; nor do those of a job that is over. */
void judge_called(sim_t *s, size_t endpoint) {
    const call_book_t *book = &s->endpoints[endpoint];
    uint64_t in_flight = 0;
    for (size_t i = 0; i < s->worker_count; i++) {
        const worker_t *w = &s->workers[i];
        for (size_t k = 0; w->alive && k < w->held_count; k++) {
            const held_t *h = &w->held[k];
            const job_book_t *job = h->calling && h->endpoint == endpoint ? judge_book(s, h->job) : NULL;
            in_flight += job && !job->over && h->call_key == judge_call_key(s, w, endpoint);
        }
    }
    if (in_flight > book->limit_max)
        world_fail(s, "endpoint %zu: %" PRIu64 " calls are in flight, its limit is %" PRIu64 " (%" PRIu64 ")",
                   endpoint + 1, in_flight, book->limit, book->limit_max);
}

/* What a worker's units of the jobs that name the endpoint could use. */
static uint64_t demand_of(const sim_t *s, size_t worker, size_t endpoint) {
    uint64_t units = 0;
    for (size_t i = 0; i < s->book_count; i++) {
        const job_book_t *book = s->books[i];
        if (book->job && !book->over && (book->client->endpoints >> endpoint & 1))
            units += book->chairs[worker].permit;
    }
    return units;
}

/* In a good world the workers may make as many calls as they could and the limit allows, but for calls that a
 * worker may still be making although it has fewer permits, or because it drains: they cannot be given to
 * others yet. */
void judge_calls_shared(sim_t *s, size_t endpoint) {
    call_book_t *book = &s->endpoints[endpoint];
    uint64_t permits = 0, held = 0, demand = 0;
    for (size_t i = 0; i < s->worker_count; i++) {
        const chair_t *chair = &book->chairs[i];
        uint64_t permit = s->workers[i].draining ? 0 : chair->permit; /* one that drains keeps what it had */
        permits += permit;
        held += chair->ceiling > permit ? chair->ceiling - permit : 0;
        demand += demand_of(s, i, endpoint);
    }
    uint64_t wanted = demand < book->limit ? demand : book->limit;
    bool shared = permits == wanted || (permits < wanted && permits + held >= wanted);
    if (!book->named || book->limit == DISPATCH_NO_LIMIT || shared)
        book->unshared_ns = 0;
    else if (book->unshared_ns == 0)
        book->unshared_ns = s->now;
    else if (s->now > book->unshared_ns + SHARED_NS)
        world_fail(s, "endpoint %zu: %" PRIu64 " calls are permitted, %" PRIu64 " could be", endpoint + 1,
                   permits, wanted);
}

/* ---- turns */

static uint64_t held_of(const job_book_t *book, uint64_t instance) {
    uint64_t rows = 0;
    for (uint64_t i = 0; i < book->client->rows_total; i++) {
        rows += book->rows[i].holder == instance;
    }
    return rows;
}

static bool has_fresh_row(const job_book_t *book) {
    for (uint64_t i = 0; i < book->client->rows_total; i++) {
        const book_t *row = &book->rows[i];
        if (row->received && !row->answered && !row->holder && !row->deaths) return true;
    }
    return false;
}

static bool is_hungry(const job_book_t *book, const chair_t *chair, const worker_t *w) {
    if (!book->job || book->over || book->stopped || chair->rests || chair->permit == 0) return false;
    return book->results_open <= book->client->window_bytes / 2 && has_fresh_row(book) &&
           held_of(book, w->instance) < chair->permit;
}

static uint64_t all_held_of(const sim_t *s, uint64_t instance) {
    uint64_t rows = 0;
    for (size_t i = 0; i < s->book_count; i++) {
        rows += held_of(s->books[i], instance);
    }
    return rows;
}

/* Units that are free, and nothing to start with them, although rows are queued and the worker has room. */
static bool is_starving(const sim_t *s, const job_book_t *book, const chair_t *chair, const worker_t *w) {
    uint64_t units = 0;
    bool ready = false;
    for (size_t i = 0; i < w->held_count; i++) {
        if (w->held[i].job != book->job) continue;
        units += w->held[i].unit;
        ready = ready || !w->held[i].running;
    }
    if (!book->job || book->over || book->stopped || chair->rests || ready || units >= chair->permit)
        return false;
    return book->results_open <= book->client->window_bytes / 2 && has_fresh_row(book) &&
           w->credit_bytes == 100000 && all_held_of(s, w->instance) < w->credit_rows;
}

/* Rows that wait without a unit keep no others from starting. */
void judge_starving(sim_t *s, job_book_t *book) {
    for (size_t i = 0; i < s->worker_count; i++) {
        const worker_t *w = &s->workers[i];
        chair_t *chair = judge_chair(book, s, w);
        chair->starved = is_able(s, book, w) && is_starving(s, book, chair, w) ? chair->starved + 1 : 0;
        if (chair->starved > 10)
            world_fail(s, "job %" PRIu64 ": worker %" PRIu64 " has units and room, and no rows to start",
                       book->job, w->instance);
    }
}

/* Rows of one turn of each other job, those that have ended included: they may have had one meanwhile. */
static uint64_t turns_of_others(const sim_t *s, const job_book_t *but) {
    uint64_t rows = 0;
    for (size_t i = 0; i < s->book_count; i++) {
        if (s->books[i] != but) rows += LEASE_TURN_ROWS * s->books[i]->client->priority;
    }
    return rows;
}

/* Others wait while this job gets a lease, but not longer than their turn takes (two: a turn may pass while
 * it wants nothing for a moment). */
static void judge_turns(sim_t *s, job_book_t *served, const dispatch_action_t *a) {
    const worker_t *w = world_worker(s, a->worker);
    judge_chair(served, s, w)->passed = 0;
    for (size_t i = 0; i < s->book_count; i++) {
        job_book_t *book = s->books[i];
        chair_t *chair = judge_chair(book, s, w);
        if (book == served) continue;
        chair->passed = is_hungry(book, chair, w) ? chair->passed + a->row_count : 0;
        if (chair->passed > 2 * turns_of_others(s, book))
            world_fail(s, "job %" PRIu64 " waits at worker %" PRIu64 " while others get %" PRIu64 " rows",
                       book->job, a->worker, chair->passed);
    }
}

/* ---- bytes */

static size_t died_bytes(uint64_t index) {
    return (size_t)snprintf(
        NULL, 0, "{\"_row_index\": %" PRIu64 ", \"_error\": \"this row was running on 3 workers that died\"}",
        index);
}

static void judge_result_kept(job_book_t *book, uint64_t index, size_t bytes) {
    book->rows[index].answered = true;
    book->rows[index].bytes = bytes;
    book->results_open += bytes;
    book->raw_open -= world_row(book->client->number, index).raw.len;
}

/* A lease is given: what results may grow to before the next one. */
static void judge_results_max(sim_t *s, job_book_t *book) {
    if (book->results_open > book->client->window_bytes / 2)
        world_fail(s, "a lease although %" PRIu64 " bytes of results wait", book->results_open);
    book->results_max = book->client->window_bytes / 2;
    for (uint64_t i = 0; i < book->client->rows_total; i++) {
        size_t bytes = world_result_bytes(book->client->number, i);
        if (book->rows[i].out && !book->rows[i].answered)
            book->results_max += bytes > died_bytes(i) ? bytes : died_bytes(i);
    }
}

static void judge_bytes(sim_t *s, const job_book_t *book, const dispatch_job_stats_t *stats) {
    uint64_t half = book->client->window_bytes / 2;
    if (book->stopped || stats->stopping) return; /* queued rows were dropped */
    if (book->raw_open > book->client->window_bytes - half + ROW_BYTES_MAX)
        world_fail(s, "job %" PRIu64 ": %" PRIu64 " raw bytes pending", book->job, book->raw_open);
    if (book->results_open > book->results_max)
        world_fail(s, "job %" PRIu64 ": %" PRIu64 " bytes of results", book->job, book->results_open);
    if (stats->bytes_pending != book->raw_open + book->results_open)
        world_fail(s, "job %" PRIu64 ": %" PRIu64 " bytes pending, they are %" PRIu64, book->job,
                   stats->bytes_pending, book->raw_open + book->results_open);
}

/* ---- rows */

/* One row of a lease: its bytes, that it is open and nobody else has it, and that it is not sent again
 * without need. */
static void judge_leased_row(sim_t *s, job_book_t *book, const dispatch_action_t *a, const row_in_t *leased) {
    book_t *row = &book->rows[leased->index];
    row_in_t wanted = world_row(book->client->number, leased->index);
    bool again = row->holder == a->worker && row->lease == a->lease;
    if (leased->raw.len != wanted.raw.len || memcmp(leased->raw.data, wanted.raw.data, wanted.raw.len) ||
        leased->line != wanted.line)
        world_fail(s, "row %" PRIu64 " is leased with other bytes", wanted.index);
    if (!row->received || row->answered)
        world_fail(s, "row %" PRIu64 " is leased but not open", wanted.index);
    if (row->holder && !again) world_fail(s, "row %" PRIu64 " is leased twice", wanted.index);
    bool needless =
        s->good && row->lease_ns > s->faults_end + 30 * SECOND && world_worker(s, a->worker)->alive;
    if (again && needless) world_fail(s, "lease %" PRIu64 " is sent again, it arrived", a->lease);
    if (row->deaths != a->attempt)
        world_fail(s, "row %" PRIu64 ": attempt %" PRIu64 " after %d deaths", wanted.index, a->attempt,
                   row->deaths);
    if (!again) row->lease_ns = s->now;
    row->out = true;
    row->holder = a->worker;
    row->lease = a->lease;
}

/* What a worker holds now, of all jobs. */
static void judge_held(sim_t *s, const dispatch_action_t *a) {
    const worker_t *w = world_worker(s, a->worker);
    uint64_t rows = 0, bytes = 0, culprits = 0;
    for (size_t b = 0; b < s->book_count; b++) {
        for (uint64_t i = 0; i < s->books[b]->client->rows_total; i++) {
            if (s->books[b]->rows[i].holder != a->worker) continue;
            rows++;
            culprits += s->books[b]->rows[i].deaths > 1;
            bytes += world_row(s->books[b]->client->number, i).raw.len;
        }
    }
    if (culprits > 1)
        world_fail(s, "worker %" PRIu64 " holds %" PRIu64 " rows that may be its death", a->worker, culprits);
    if (rows > w->credit_rows)
        world_fail(s, "worker %" PRIu64 " holds %" PRIu64 " rows, its credit is %" PRIu64, a->worker, rows,
                   w->credit_rows);
    if (rows > 1 && bytes > w->credit_bytes)
        world_fail(s, "worker %" PRIu64 " holds %" PRIu64 " bytes", a->worker, bytes);
}

/* A lease is sent, for the first time or again. */
void judge_lease(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = judge_book(s, a->job);
    if (!book || book->over) {
        world_fail(s, "rows of a job that is over are leased");
        return;
    }
    const book_t *first = &book->rows[a->rows[0].index];
    bool again = first->holder == a->worker && first->lease == a->lease;
    if (!again) judge_turns(s, book, a);
    for (size_t i = 0; i < a->row_count; i++) {
        judge_leased_row(s, book, a, &a->rows[i]);
    }
    if (!again) judge_results_max(s, book);
    judge_held(s, a);
}

static uint64_t sum_of(const dispatch_action_t *a) {
    uint64_t sum = 0;
    for (size_t i = 0; i < a->done_count; i++) {
        sum = world_mix(sum, a->done[i].index * 4 + a->done[i].status) + a->done[i].json.len;
    }
    return sum;
}

/* One row of a batch: delivered in this batch only, with the bytes of its answer, or failed after too many
 * deaths. */
static void judge_result(sim_t *s, job_book_t *book, const row_done_t *done, uint64_t batch) {
    book_t *row = &book->rows[done->index];
    row_done_t wanted = world_done(book->client->number, done->index);
    bool died = done->json.len > 14 && memcmp(done->json.data, "{\"_row_index\":", 14) == 0;
    if (book->batch_of[done->index] && book->batch_of[done->index] != batch)
        world_fail(s, "row %" PRIu64 " is in two batches", done->index);
    book->batch_of[done->index] = batch;
    if (died) {
        s->failures++;
        if (done->status != 1 || row->deaths < LEASE_ATTEMPTS_MAX)
            world_fail(s, "row %" PRIu64 " failed after %d deaths", done->index, row->deaths);
        return;
    }
    if (!row->answered) world_fail(s, "row %" PRIu64 " is delivered but nobody answered it", done->index);
    if (done->status != wanted.status || done->json.len != wanted.json.len ||
        memcmp(done->json.data, wanted.json.data, wanted.json.len) || done->meta.len != wanted.meta.len ||
        memcmp(done->meta.data, wanted.meta.data, wanted.meta.len))
        world_fail(s, "row %" PRIu64 " is delivered with another result", done->index);
}

/* A batch is sent: in order, or again with the same rows. */
void judge_results(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = judge_book(s, a->job);
    bool again = a->batch <= book->last_batch;
    if (book->over) world_fail(s, "results after the end");
    if (!again && a->batch != book->last_batch + 1)
        world_fail(s, "batch %" PRIu64 " after batch %" PRIu64, a->batch, book->last_batch);
    if (again && book->batch_sum[a->batch] != sum_of(a))
        world_fail(s, "batch %" PRIu64 " is sent again with other rows", a->batch);
    if (a->batch <= book->acked_batch) world_fail(s, "batch %" PRIu64 " was acknowledged", a->batch);
    book->batch_sum[a->batch] = sum_of(a);
    if (!again) book->last_batch = a->batch;
    for (size_t i = 0; i < a->done_count; i++) {
        judge_result(s, book, &a->done[i], a->batch);
    }
}

void judge_credit(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = judge_book(s, a->job);
    if (a->rows_limit < book->rows_limit || a->bytes_limit < book->bytes_limit)
        world_fail(s, "ingest credit falls");
    book->rows_limit = a->rows_limit;
    book->bytes_limit = a->bytes_limit;
    if (a->rows_limit > book->acked_rows + book->client->window_rows)
        world_fail(s, "%" PRIu64 " rows may come, %" PRIu64 " are on disk", a->rows_limit, book->acked_rows);
}

/* The dispatcher takes a worker for lost: its rows, permits and calls are free again. */
void judge_lost(sim_t *s, const dispatch_action_t *a, bool crashed) {
    uint64_t rows = 0;
    worker_t *w = world_worker(s, a->worker);
    w->life++;
    for (size_t e = 0; e < ENDPOINTS; e++) {
        s->endpoints[e].chairs[w - s->workers] = (chair_t){0};
        lower_limit_max(&s->endpoints[e]);
    }
    for (size_t b = 0; b < s->book_count; b++) {
        *judge_chair(s->books[b], s, w) = (chair_t){0};
        judge_lower_running_max(s->books[b]);
        for (uint64_t i = 0; i < s->books[b]->client->rows_total; i++) {
            book_t *row = &s->books[b]->rows[i];
            if (row->holder != a->worker) continue;
            row->holder = 0;
            row->deaths = (uint8_t)(row->deaths + crashed);
            rows++;
            if (row->deaths >= LEASE_ATTEMPTS_MAX && !s->books[b]->stopped)
                judge_result_kept(s->books[b], i, died_bytes(i));
        }
    }
    if (rows != a->row_count)
        world_fail(s, "worker %" PRIu64 " lost %zu rows, it held %" PRIu64, a->worker, a->row_count, rows);
}

void judge_answers(job_book_t *book, const uint64_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        book_t *row = &book->rows[rows[i]];
        if (!row->received || row->answered) continue;
        if (book->stopped && row->holder == 0) continue; /* dropped when the job was stopped */
        row->holder = 0;
        judge_result_kept(book, rows[i], world_result_bytes(book->client->number, rows[i]));
    }
}

void judge_release_holder(sim_t *s, uint64_t job, uint64_t worker, const uint64_t *rows, size_t count) {
    job_book_t *book = judge_book(s, job);
    for (uint64_t i = 0; book && i < (rows ? count : book->client->rows_total); i++) {
        book_t *row = &book->rows[rows ? rows[i] : i];
        if (row->holder == worker) row->holder = 0;
    }
}

void judge_close(job_book_t *book) {
    book->over = true;
    for (uint64_t i = 0; i < ROWS_MAX; i++) {
        book->rows[i].holder = 0;
    }
}

void judge_done(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = judge_book(s, a->job);
    judge_close(book);
    if ((a->end == DISPATCH_ENDED_FINAL) != book->final)
        world_fail(s, "job %" PRIu64 " ends with kind %d", a->job, (int)a->end);
    if (a->reason[0] && !book->stopped && !book->refused)
        world_fail(s, "job %" PRIu64 " ends: %s", a->job, a->reason);
    if (!a->reason[0] && a->rows_ok + a->rows_failed != book->rows_total)
        world_fail(s, "job %" PRIu64 " ends with %" PRIu64 " of %" PRIu64 " rows", a->job,
                   a->rows_ok + a->rows_failed, book->rows_total);
}

void judge_step(sim_t *s) {
    for (size_t i = 0; i < s->book_count; i++) {
        const job_book_t *book = s->books[i];
        dispatch_job_stats_t stats;
        if (book->over || !dispatch_job_stats(s->d, book->job, &stats)) continue;
        uint64_t pending = stats.rows_queued + stats.rows_leased + stats.rows_answered;
        if (pending > book->client->window_rows)
            world_fail(s, "job %" PRIu64 ": %" PRIu64 " rows pending", book->job, pending);
        judge_bytes(s, book, &stats);
    }
    if (++s->steps % 16 == 0) dispatch_check(s->d);
}
