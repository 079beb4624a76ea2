/* sim_dispatch.c - the dispatcher in a world that loses, repeats, delays and reorders every message, with
 * virtual time and a seed.
 *
 *   sim_dispatch [--seeds N] [--seed S] [--jobs J] [-v]
 *
 * Around the real dispatcher stand simulated clients and workers that keep the rules of proto/messages.def:
 * what is not acknowledged is said again, absolute numbers are repeated, what was seen is dropped. In the
 * first phase everything goes wrong that can: links, crashes, silence, new connections, drains, refusals,
 * slow disks, changed limits, stops. Then the world becomes good, and every job has to end in bounded time.
 * The judge (`judge_*`) keeps its own books of what the dispatcher said and never looks inside it. What it
 * wants:
 *
 *   each row delivered as one result, with its bytes; batches, leases and acknowledgements in order;
 *   credits never fall
 *   rows pending <= window; bytes pending <= the bound of dispatch.h; rows and bytes at a worker <= its
 * credit rows running <= the job's limit, or the one before until workers have answered; in a good world its
 * workers share all of it a job that wants rows of a worker waits for one turn of each other job there a lost
 * worker is announced before a row of it is in other hands; every job ends
 *
 * Rows carry no bytes here: what row 17 of client 2 contains, and what its result is, follows from the
 * numbers, on both ends. PERMITS and their answers keep their order on a connection, as the dispatcher asks;
 * everything else comes in any order.
 *
 * Seeds are shared out to J processes (one per CPU); the one that fails is printed, and --seed runs it
 * alone. */
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/base/heap.h"
#include "core/base/rangeset.h"
#include "core/base/rng.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"

enum {
    CLIENTS_MAX = 3,
    WORKERS_ALIVE_MAX = 6,
    WORKER_SLOTS = 48, /* workers over a whole run */
    ROWS_MAX = 120,    /* of a client's dataset */
    PEERS_MAX = 4096,  /* connections over a whole run */
    BATCHES_MAX = 4096,
    ROW_BYTES_MAX = 256,
    RESULT_BYTES_MAX = 512, /* with meta */
    PATTERN_BYTES = 1024,
};
#define GOOD_PHASE_MAX (1500 * SECOND) /* after the faults end, everything is over by then */
#define RULE_WAIT SECOND               /* how often absolute things are repeated */

/* ---- messages */

typedef enum mail_kind {
    M_JOB_OPEN,
    M_JOB_ACCEPTED,
    M_INGEST_CREDIT,
    M_ROWS,
    M_ROWS_END,
    M_RESULT_CREDIT,
    M_RESULTS,
    M_RESULTS_ACK,
    M_JOB_DONE,
    M_JOB_STOP,
    M_JOB_LIMIT,
    M_CLIENT_BYE,
    M_REFUSED,
    M_HELLO,
    M_WELCOME,
    M_ROW_CREDIT,
    M_LEASE,
    M_ROW_RESULTS,
    M_ACK,
    M_PERMITS,
    M_RETURN,
    M_JOB_DROP,
    M_JOB_REFUSED,
    M_BEAT,
    M_BYE,
    M_PERMITS_HELD,
} mail_kind_t;
static const char *const mail_names[] = {
    "JOB_OPEN",     "JOB_ACCEPTED",  "INGEST_CREDIT",   "ROWS",
    "ROWS_END",     "RESULT_CREDIT", "RESULTS",         "RESULTS_ACK",
    "JOB_DONE",     "JOB_STOP",      "JOB_LIMIT",       "CLIENT_BYE",
    "REFUSED",      "HELLO",         "WELCOME",         "ROW_CREDIT",
    "LEASE",        "ROW_RESULTS",   "ROW_RESULTS_ACK", "PERMITS",
    "LEASE_RETURN", "JOB_DROP",      "JOB_REFUSED",     "BEAT",
    "BYE",          "PERMITS_HELD",
};

typedef struct mail {
    mail_kind_t kind;
    bool to_scheduler;
    uint64_t peer;         /* the other end */
    uint64_t job, a, b, c; /* fields in the order of messages.def */
    uint32_t users;        /* deliveries still to come (a repeated message is one mail) */
    size_t count;
    uint64_t rows[];
} mail_t;

typedef enum wake_kind { WAKE_MAIL, WAKE_CLIENT, WAKE_WORKER, WAKE_SCHEDULER, WAKE_CHAOS } wake_kind_t;
typedef struct event {
    uint64_t time;
    wake_kind_t kind;
    size_t who;
    mail_t *mail;
} event_t;

/* ---- actors */

typedef struct client {
    size_t number;
    uint64_t job, peer, registered; /* where it speaks, where the scheduler thinks it does */
    bool alive, accepted, opened, done, stopped,
        finished; /* finished: heard JOB_DONE of a whole run, or stopped */
    uint64_t rows_total, killers[2];
    uint64_t window_rows, window_bytes, concurrency, chunk_rows, priority;
    uint64_t limit;                      /* what it wants the concurrency to be now; 0: as at first */
    uint64_t result_rows, result_bytes;  /* result window */
    uint64_t todo[ROWS_MAX], todo_count; /* rows of this incarnation's job */
    uint64_t chunk_start[ROWS_MAX + 1], chunk_sent_ns[ROWS_MAX],
        chunks; /* sent chunks; chunk k has todo[start k .. start k+1) */
    uint64_t rows_sent, bytes_sent, rows_limit, bytes_limit;
    bool end_sent;
    uint64_t end_sent_ns, stall_until, gone_ns, rise_ns;
    bool gone_unseen; /* it died, and nobody noticed yet */
    uint32_t stop_mode;
    uint64_t next_batch, rows_received, bytes_received;
    uint8_t written[ROWS_MAX]; /* how often; the file outlives the client */
    uint64_t incarnation;
    uint64_t ok, failed; /* written by this incarnation */
} client_t;

typedef struct held {
    uint64_t job, index, done_ns;
    uint64_t life; /* in which life of the worker (as the dispatcher sees it) the row was leased */
    bool running;
} held_t;

typedef struct parcel {
    struct parcel *next;
    mail_t *mail; /* as it was sent; peer is set anew */
    uint64_t resend_ns, wait_ns;
} parcel_t;

typedef struct permit {
    uint64_t job, rows, told_running, life;
    bool refused;
} permit_t;

typedef struct worker {
    uint64_t instance, peer;
    bool alive, welcome, draining;
    uint64_t credit_rows, credit_bytes, silent_until, beat_ns, hello_ns, batch;
    uint64_t row_ns;  /* longest a row takes */
    uint32_t refuses; /* bit per client number */
    held_t *held;
    size_t held_count, held_cap;
    permit_t permits[64];
    size_t permit_count;
    rangeset_t *leases;
    uint64_t era;
    parcel_t *parcels;
    uint64_t life; /* the judge's: how often the dispatcher has lost it */
} worker_t;

/* What the judge knows of a row of a running job, from the dispatcher's own words. */
typedef struct book {
    uint64_t holder;          /* worker instance, 0 none */
    uint64_t lease, lease_ns; /* and when it was sent first */
    uint8_t received, answered, deaths;
    bool out;     /* it was with a worker at some time */
    size_t bytes; /* of its result as it is kept */
} book_t;

/* What the judge knows of a worker for one job. */
typedef struct chair {
    uint64_t permit, ceiling; /* told last; it may run so many */
    bool rests;               /* it gave rows back and has not said its credit since */
    uint64_t passed;          /* rows given to others here while this job wanted some */
} chair_t;

typedef struct job_book {
    uint64_t job;
    client_t *client;
    bool over, stopped, refused;
    uint64_t rows_total, rows_limit, bytes_limit, raw_open, acked_rows, last_batch, acked_batch;
    uint64_t results_open,
        results_max; /* bytes of results not acknowledged, and what they may be until the next lease */
    uint64_t concurrency,
        running_max;      /* running_max: a larger one from before, until the workers have answered */
    uint64_t unshared_ns; /* since when its workers together may run another number than the limit; 0: they do
                             not */
    chair_t chairs[WORKER_SLOTS];
    uint64_t batch_sum[BATCHES_MAX];
    book_t rows[ROWS_MAX];
    uint64_t batch_of[ROWS_MAX];
} job_book_t;

enum { JOB_BOOKS = 32 };

typedef struct sim {
    uint64_t seed, now, faults_end, steps;
    rng_t rng;
    bool verbose, failed, good;
    double drop, repeat;
    uint64_t delay_max;
    dispatch_t *d;
    heap_t events; /* event_t, owned, by time; those of one time in the order they were made */
    client_t clients[CLIENTS_MAX];
    size_t client_count;
    worker_t workers[WORKER_SLOTS];
    size_t worker_count;
    uint64_t peers, instances, jobs;
    uint64_t permits_ns[PEERS_MAX], held_ns[PEERS_MAX]; /* the last message of PERMITS, and of HELLO and
                                                           PERMITS_HELD there, arrives then */
    uint64_t instance_at[PEERS_MAX];                    /* scheduler: which worker speaks there; 0 unknown */
    uint64_t client_at[PEERS_MAX];                      /* client number + 1 */
    job_book_t *books[JOB_BOOKS];
    size_t book_count;
    uint64_t duplicates, failures, finished_jobs;
} sim_t;

static sim_t *current; /* for the handler of failed asserts only */
static char pattern[PATTERN_BYTES];

/* ---- small things */

static void trace(const sim_t *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void trace(const sim_t *s, const char *fmt, ...) {
    if (!s->verbose) return;
    va_list args;
    printf("%10.3f  ", (double)s->now / (double)SECOND);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static void fail(sim_t *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail(sim_t *s, const char *fmt, ...) {
    if (s->failed) return;
    va_list args;
    s->failed = true;
    printf("seed %" PRIu64 " failed at %.3f s: ", s->seed, (double)s->now / (double)SECOND);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

static uint64_t between(sim_t *s, uint64_t lo, uint64_t hi) {
    return (uint64_t)rng_between(&s->rng, (int64_t)lo, (int64_t)hi);
}
static bool chance(sim_t *s, double p) { return rng_real(&s->rng) < p; }
static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (x ^ x >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 17;
}

/* Most are small, one in eight is anything. */
static size_t size_of(uint64_t random, size_t max) { return 1 + random / 8 % (random % 8 ? max / 8 : max); }

/* What a row contains and what it gives. */
static dispatch_row_t row_of(uint64_t client, uint64_t index) {
    return (dispatch_row_t){.index = index,
                            .line = index + 1,
                            .raw = pattern + index % 100,
                            .len = size_of(mix(client, index), ROW_BYTES_MAX)};
}
static dispatch_done_t done_of(uint64_t client, uint64_t index) {
    static const uint32_t statuses[] = {0, 0, 0, 1, 0, 2, 0}; /* fine, failed, parked */
    return (dispatch_done_t){.index = index,
                             .status = statuses[mix(index, client) % 7],
                             .json = pattern + index % 97,
                             .json_len = size_of(mix(client + 1, index), RESULT_BYTES_MAX - 5),
                             .meta = pattern + index % 89,
                             .meta_len = index % 5};
}
static size_t result_bytes_of(uint64_t client, uint64_t index) {
    dispatch_done_t done = done_of(client, index);
    return done.json_len + done.meta_len;
}

static job_book_t *book_of(sim_t *s, uint64_t job) {
    for (size_t i = 0; i < s->book_count; i++) {
        if (s->books[i]->job == job) return s->books[i];
    }
    return NULL;
}

static worker_t *worker_by_instance(sim_t *s, uint64_t instance) {
    for (size_t i = 0; i < s->worker_count; i++) {
        if (s->workers[i].instance == instance) return &s->workers[i];
    }
    return NULL;
}

/* ---- time and links */

static void push(sim_t *s, event_t e) {
    event_t *kept = xmalloc(sizeof *kept);
    *kept = e;
    heap_add(&s->events, e.time, kept, NULL);
}

static event_t pop(sim_t *s) {
    event_t *first = heap_pop(&s->events).pointer, e = *first;
    free(first);
    return e;
}

static void wake(sim_t *s, wake_kind_t kind, size_t who, uint64_t time) {
    push(s, (event_t){.time = time, .kind = kind, .who = who});
}

static mail_t *mail_new(mail_kind_t kind, uint64_t peer, uint64_t job, size_t count) {
    mail_t *m = xcalloc(1, sizeof *m + count * sizeof *m->rows);
    m->kind = kind;
    m->peer = peer;
    m->job = job;
    m->count = count;
    return m;
}

static mail_t *mail_copy(const mail_t *m) {
    mail_t *copy = mail_new(m->kind, m->peer, m->job, m->count);
    memcpy(copy, m, sizeof *m + m->count * sizeof *m->rows);
    copy->users = 0;
    return copy;
}

static void mail_done(mail_t *m) {
    if (m->users > 0) m->users--;
    if (m->users == 0) free(m);
}

/* Not before those of its kind that were sent before it on this connection. */
static uint64_t in_order(sim_t *s, const mail_t *m, uint64_t time) {
    uint64_t *last = m->kind == M_PERMITS                              ? &s->permits_ns[m->peer]
                     : m->kind == M_HELLO || m->kind == M_PERMITS_HELD ? &s->held_ns[m->peer]
                                                                       : NULL;
    if (!last) return time;
    if (time < *last) time = *last;
    return *last = time;
}

/* Takes the mail: it arrives never, once or twice, sooner or later. */
static void post(sim_t *s, bool to_scheduler, mail_t *m) {
    m->to_scheduler = to_scheduler;
    m->users = s->good || !chance(s, s->drop) ? 1 : 0;
    if (m->users && !s->good && chance(s, s->repeat)) m->users = 2;
    if (m->users == 0)
        trace(s, "      lost %s %s %" PRIu64, mail_names[m->kind], to_scheduler ? "from" : "to", m->peer);
    for (uint32_t i = m->users; i > 0; i--) {
        uint64_t delay = s->good ? MILLISECOND : between(s, 50000, s->delay_max);
        push(s, (event_t){.time = in_order(s, m, s->now + delay), .kind = WAKE_MAIL, .mail = m});
    }
    if (m->users == 0) free(m);
}

static void post_plain(sim_t *s, bool to_scheduler, mail_kind_t kind, uint64_t peer, uint64_t job, uint64_t a,
                       uint64_t b, uint64_t c) {
    mail_t *m = mail_new(kind, peer, job, 0);
    m->a = a, m->b = b, m->c = c;
    post(s, to_scheduler, m);
}

/* ---- the judge: how many rows run */

static chair_t *chair_of(job_book_t *book, const sim_t *s, const worker_t *w) {
    return &book->chairs[w - s->workers];
}

static uint64_t ceilings_of(const job_book_t *book) {
    uint64_t sum = 0;
    for (size_t i = 0; i < WORKER_SLOTS; i++) {
        sum += book->chairs[i].ceiling;
    }
    return sum;
}

/* When all have answered, a limit from before counts no more. */
static void judge_settled(job_book_t *book) {
    if (ceilings_of(book) <= book->concurrency || book->running_max < book->concurrency)
        book->running_max = book->concurrency;
}

static void judge_permits(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = book_of(s, a->job);
    if (!book || book->over) return;
    chair_t *chair = chair_of(book, s, worker_by_instance(s, a->worker));
    chair->permit = a->permit_rows;
    if (a->permit_rows <= chair->ceiling) return;
    chair->ceiling = a->permit_rows;
    if (ceilings_of(book) > book->concurrency)
        fail(s, "job %" PRIu64 ": %" PRIu64 " rows may run, its limit is %" PRIu64, book->job,
             ceilings_of(book), book->concurrency);
}

static void judge_answer_of_permits(sim_t *s, const worker_t *w, const mail_t *m) {
    job_book_t *book = book_of(s, m->job);
    if (!book) return;
    chair_t *chair = chair_of(book, s, w);
    if (m->a == chair->permit) chair->ceiling = m->a > m->b ? m->a : m->b;
    judge_settled(book);
}

static void judge_limit(job_book_t *book, uint64_t concurrency) {
    book->concurrency = concurrency;
    judge_settled(book);
}

static bool is_able(const sim_t *s, const job_book_t *book, const worker_t *w) {
    return w->alive && !w->draining && s->instance_at[w->peer] == w->instance &&
           !(w->refuses >> book->client->number & 1);
}

/* In a good world all of the limit is with workers, but for the moment it takes to tell them. */
static void judge_shares(sim_t *s, job_book_t *book) {
    const client_t *c = book->client;
    uint64_t permits = 0, able = 0, wanted = c->limit ? c->limit : c->concurrency;
    for (size_t i = 0; i < s->worker_count; i++) {
        bool counts = is_able(s, book, &s->workers[i]);
        able += counts;
        permits += counts ? book->chairs[i].permit : 0;
    }
    dispatch_job_stats_t stats;
    bool runs =
        book->job == c->job && !book->over && dispatch_job_stats(s->d, book->job, &stats) && !stats.stopping;
    if (!runs || able == 0 || permits == wanted)
        book->unshared_ns = 0;
    else if (book->unshared_ns == 0)
        book->unshared_ns = s->now;
    else if (s->now > book->unshared_ns + 30 * SECOND)
        fail(s, "job %" PRIu64 ": its workers may run %" PRIu64 " rows, the limit is %" PRIu64, book->job,
             permits, wanted);
}

/* A row starts. Rows of a worker that was taken for dead do not count until it has heard that it lives. */
static void judge_running(sim_t *s, const held_t *started) {
    job_book_t *book = book_of(s, started->job);
    uint64_t running = 0;
    if (!book || book->over) return;
    for (size_t i = 0; i < s->worker_count; i++) {
        const worker_t *w = &s->workers[i];
        for (size_t k = 0; w->alive && k < w->held_count; k++) {
            running += w->held[k].job == started->job && w->held[k].running && w->held[k].life == w->life;
        }
    }
    if (running > book->running_max)
        fail(s, "job %" PRIu64 ": %" PRIu64 " rows run, its limit is %" PRIu64 " (%" PRIu64 ")", book->job,
             running, book->concurrency, book->running_max);
}

/* ---- the judge: turns */

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
    const worker_t *w = worker_by_instance(s, a->worker);
    chair_of(served, s, w)->passed = 0;
    for (size_t i = 0; i < s->book_count; i++) {
        job_book_t *book = s->books[i];
        chair_t *chair = chair_of(book, s, w);
        if (book == served) continue;
        chair->passed = is_hungry(book, chair, w) ? chair->passed + a->row_count : 0;
        if (chair->passed > 2 * turns_of_others(s, book))
            fail(s, "job %" PRIu64 " waits at worker %" PRIu64 " while others get %" PRIu64 " rows",
                 book->job, a->worker, chair->passed);
    }
}

/* ---- the judge: bytes */

static size_t died_bytes(uint64_t index) {
    return (size_t)snprintf(
        NULL, 0, "{\"_row_index\": %" PRIu64 ", \"_error\": \"this row was running on 3 workers that died\"}",
        index);
}

static void judge_result_kept(job_book_t *book, uint64_t index, size_t bytes) {
    book->rows[index].answered = true;
    book->rows[index].bytes = bytes;
    book->results_open += bytes;
    book->raw_open -= row_of(book->client->number, index).len;
}

/* A lease is given: what results may grow to before the next one. */
static void judge_results_max(sim_t *s, job_book_t *book) {
    if (book->results_open > book->client->window_bytes / 2)
        fail(s, "a lease although %" PRIu64 " bytes of results wait", book->results_open);
    book->results_max = book->client->window_bytes / 2;
    for (uint64_t i = 0; i < book->client->rows_total; i++) {
        size_t bytes = result_bytes_of(book->client->number, i);
        if (book->rows[i].out && !book->rows[i].answered)
            book->results_max += bytes > died_bytes(i) ? bytes : died_bytes(i);
    }
}

static void judge_bytes(sim_t *s, const job_book_t *book, const dispatch_job_stats_t *stats) {
    uint64_t half = book->client->window_bytes / 2;
    if (book->stopped || stats->stopping) return; /* queued rows were dropped */
    if (book->raw_open > book->client->window_bytes - half + ROW_BYTES_MAX)
        fail(s, "job %" PRIu64 ": %" PRIu64 " raw bytes pending", book->job, book->raw_open);
    if (book->results_open > book->results_max)
        fail(s, "job %" PRIu64 ": %" PRIu64 " bytes of results", book->job, book->results_open);
    if (stats->bytes_pending != book->raw_open + book->results_open)
        fail(s, "job %" PRIu64 ": %" PRIu64 " bytes pending, they are %" PRIu64, book->job,
             stats->bytes_pending, book->raw_open + book->results_open);
}

/* ---- the judge: rows */

static void judge_leased_row(sim_t *s, job_book_t *book, const dispatch_action_t *a,
                             const dispatch_row_t *leased) {
    book_t *row = &book->rows[leased->index];
    dispatch_row_t wanted = row_of(book->client->number, leased->index);
    bool again = row->holder == a->worker && row->lease == a->lease;
    if (leased->len != wanted.len || memcmp(leased->raw, wanted.raw, wanted.len) ||
        leased->line != wanted.line)
        fail(s, "row %" PRIu64 " is leased with other bytes", wanted.index);
    if (!row->received || row->answered) fail(s, "row %" PRIu64 " is leased but not open", wanted.index);
    if (row->holder && !again) fail(s, "row %" PRIu64 " is leased twice", wanted.index);
    bool needless =
        s->good && row->lease_ns > s->faults_end + 30 * SECOND && worker_by_instance(s, a->worker)->alive;
    if (again && needless) fail(s, "lease %" PRIu64 " is sent again, it arrived", a->lease);
    if (row->deaths != a->attempt)
        fail(s, "row %" PRIu64 ": attempt %" PRIu64 " after %d deaths", wanted.index, a->attempt,
             row->deaths);
    if (!again) row->lease_ns = s->now;
    row->out = true;
    row->holder = a->worker;
    row->lease = a->lease;
}

/* What a worker holds now, of all jobs. */
static void judge_held(sim_t *s, const dispatch_action_t *a) {
    const worker_t *w = worker_by_instance(s, a->worker);
    uint64_t rows = 0, bytes = 0, culprits = 0;
    for (size_t b = 0; b < s->book_count; b++) {
        for (uint64_t i = 0; i < s->books[b]->client->rows_total; i++) {
            if (s->books[b]->rows[i].holder != a->worker) continue;
            rows++;
            culprits += s->books[b]->rows[i].deaths > 1;
            bytes += row_of(s->books[b]->client->number, i).len;
        }
    }
    if (culprits > 1)
        fail(s, "worker %" PRIu64 " holds %" PRIu64 " rows that may be its death", a->worker, culprits);
    if (rows > w->credit_rows)
        fail(s, "worker %" PRIu64 " holds %" PRIu64 " rows, its credit is %" PRIu64, a->worker, rows,
             w->credit_rows);
    if (rows > 1 && bytes > w->credit_bytes)
        fail(s, "worker %" PRIu64 " holds %" PRIu64 " bytes", a->worker, bytes);
}

static void judge_lease(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = book_of(s, a->job);
    if (a->row_count == 0) return;
    if (!book || book->over) {
        fail(s, "rows of a job that is over are leased");
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
        sum = mix(sum, a->done[i].index * 4 + a->done[i].status) + a->done[i].json_len;
    }
    return sum;
}

static void judge_result(sim_t *s, job_book_t *book, const dispatch_done_t *done, uint64_t batch) {
    book_t *row = &book->rows[done->index];
    dispatch_done_t wanted = done_of(book->client->number, done->index);
    bool died = done->json_len > 14 && memcmp(done->json, "{\"_row_index\":", 14) == 0;
    if (book->batch_of[done->index] && book->batch_of[done->index] != batch)
        fail(s, "row %" PRIu64 " is in two batches", done->index);
    book->batch_of[done->index] = batch;
    if (died) {
        s->failures++;
        if (done->status != 1 || row->deaths < LEASE_ATTEMPTS_MAX)
            fail(s, "row %" PRIu64 " failed after %d deaths", done->index, row->deaths);
        return;
    }
    if (!row->answered) fail(s, "row %" PRIu64 " is delivered but nobody answered it", done->index);
    if (done->status != wanted.status || done->json_len != wanted.json_len ||
        memcmp(done->json, wanted.json, wanted.json_len) || done->meta_len != wanted.meta_len ||
        memcmp(done->meta, wanted.meta, wanted.meta_len))
        fail(s, "row %" PRIu64 " is delivered with another result", done->index);
}

static void judge_results(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = book_of(s, a->job);
    bool again = a->batch <= book->last_batch;
    if (book->over) fail(s, "results after the end");
    if (!again && a->batch != book->last_batch + 1)
        fail(s, "batch %" PRIu64 " after batch %" PRIu64, a->batch, book->last_batch);
    if (again && book->batch_sum[a->batch] != sum_of(a))
        fail(s, "batch %" PRIu64 " is sent again with other rows", a->batch);
    if (a->batch <= book->acked_batch) fail(s, "batch %" PRIu64 " was acknowledged", a->batch);
    book->batch_sum[a->batch] = sum_of(a);
    if (!again) book->last_batch = a->batch;
    for (size_t i = 0; i < a->done_count; i++) {
        judge_result(s, book, &a->done[i], a->batch);
    }
}

static void judge_credit(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = book_of(s, a->job);
    if (a->rows_limit < book->rows_limit || a->bytes_limit < book->bytes_limit)
        fail(s, "ingest credit falls");
    book->rows_limit = a->rows_limit;
    book->bytes_limit = a->bytes_limit;
    if (a->rows_limit > book->acked_rows + book->client->window_rows)
        fail(s, "%" PRIu64 " rows may come, %" PRIu64 " are on disk", a->rows_limit, book->acked_rows);
}

static void judge_lost(sim_t *s, const dispatch_action_t *a, bool crashed) {
    uint64_t rows = 0;
    worker_t *w = worker_by_instance(s, a->worker);
    w->life++;
    for (size_t b = 0; b < s->book_count; b++) {
        *chair_of(s->books[b], s, w) = (chair_t){0};
        judge_settled(s->books[b]);
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
        fail(s, "worker %" PRIu64 " lost %zu rows, it held %" PRIu64, a->worker, a->row_count, rows);
}

static void judge_answers(job_book_t *book, const uint64_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        book_t *row = &book->rows[rows[i]];
        if (!row->received || row->answered) continue;
        if (book->stopped && row->holder == 0) continue; /* dropped when the job was stopped */
        row->holder = 0;
        judge_result_kept(book, rows[i], result_bytes_of(book->client->number, rows[i]));
    }
}

static void judge_release_holder(sim_t *s, uint64_t job, uint64_t worker, const uint64_t *rows,
                                 size_t count) {
    job_book_t *book = book_of(s, job);
    for (uint64_t i = 0; book && i < (rows ? count : book->client->rows_total); i++) {
        book_t *row = &book->rows[rows ? rows[i] : i];
        if (row->holder == worker) row->holder = 0;
    }
}

static void judge_close(job_book_t *book) {
    book->over = true;
    for (uint64_t i = 0; i < ROWS_MAX; i++) {
        book->rows[i].holder = 0;
    }
}

static void judge_done(sim_t *s, const dispatch_action_t *a) {
    job_book_t *book = book_of(s, a->job);
    judge_close(book);
    if (a->reason[0] && !book->stopped && !book->refused)
        fail(s, "job %" PRIu64 " ends: %s", a->job, a->reason);
    if (!a->reason[0] && a->rows_ok + a->rows_failed != book->rows_total)
        fail(s, "job %" PRIu64 " ends with %" PRIu64 " of %" PRIu64 " rows", a->job,
             a->rows_ok + a->rows_failed, book->rows_total);
}

static void judge_step(sim_t *s) {
    for (size_t i = 0; i < s->book_count; i++) {
        const job_book_t *book = s->books[i];
        dispatch_job_stats_t stats;
        if (book->over || !dispatch_job_stats(s->d, book->job, &stats)) continue;
        uint64_t pending = stats.rows_queued + stats.rows_leased + stats.rows_answered;
        if (pending > book->client->window_rows)
            fail(s, "job %" PRIu64 ": %" PRIu64 " rows pending", book->job, pending);
        judge_bytes(s, book, &stats);
    }
    if (++s->steps % 16 == 0) dispatch_check(s->d);
}

/* ---- the scheduler's shell */

static void send_rows(sim_t *s, mail_kind_t kind, const dispatch_action_t *a, size_t count) {
    mail_t *m = mail_new(kind, a->peer, a->job, count);
    m->a = kind == M_LEASE ? a->lease : a->batch;
    m->b = kind == M_LEASE ? a->attempt : 0;
    m->c = kind == M_LEASE ? worker_by_instance(s, a->worker)->life : 0;
    for (size_t i = 0; i < count; i++) {
        m->rows[i] = kind == M_LEASE ? a->rows[i].index : a->done[i].index * 4 + a->done[i].status;
        if (kind == M_RESULTS) m->b += a->done[i].json_len;
    }
    post(s, false, m);
}

static void perform(sim_t *s, const dispatch_action_t *a) {
    switch (a->kind) {
    case DISPATCH_LEASE:
        judge_lease(s, a);
        send_rows(s, M_LEASE, a, a->row_count);
        break;
    case DISPATCH_RESULTS:
        judge_results(s, a);
        send_rows(s, M_RESULTS, a, a->done_count);
        break;
    case DISPATCH_INGEST_CREDIT:
        judge_credit(s, a);
        post_plain(s, false, M_INGEST_CREDIT, a->peer, a->job, a->next_chunk, a->rows_limit, a->bytes_limit);
        break;
    case DISPATCH_JOB_DONE:
        judge_done(s, a);
        post_plain(s, false, M_JOB_DONE, a->peer, a->job, a->rows_ok, a->rows_failed, a->reason[0] != '\0');
        break;
    case DISPATCH_PERMITS:
        judge_permits(s, a);
        post_plain(s, false, M_PERMITS, a->peer, a->job, a->permit_rows, a->permit_calls,
                   worker_by_instance(s, a->worker)->life);
        break;
    case DISPATCH_JOB_DROP: post_plain(s, false, M_JOB_DROP, a->peer, a->job, a->mode, 0, 0); break;
    case DISPATCH_WORKER_LOST:
        trace(s, "scheduler: worker %" PRIu64 " lost, %s", a->worker, a->reason);
        s->instance_at[a->peer] = 0;
        break;
    case DISPATCH_ROW_FAILED:
        trace(s, "scheduler: row %" PRIu64 " of job %" PRIu64 " failed", a->index, a->job);
        break;
    }
}

/* The books follow a loss before anything that comes after it: the rows may already be in other hands. */
static void act(sim_t *s) {
    dispatch_action_t a;
    while (!s->failed && dispatch_next(s->d, s->now, &a)) {
        if (a.kind == DISPATCH_WORKER_LOST) judge_lost(s, &a, strcmp(a.reason, "it said goodbye") != 0);
        perform(s, &a);
    }
    judge_step(s);
}

static void open_job(sim_t *s, const mail_t *m) {
    client_t *c = &s->clients[s->client_at[m->peer] - 1];
    if (c->registered && c->registered != m->peer)
        dispatch_client_moved(s->d, c->registered, m->peer, s->now);
    c->registered = m->peer;
    dispatch_job_t job = {.job = m->job,
                          .window_rows = c->window_rows,
                          .window_bytes = c->window_bytes,
                          .concurrency = c->concurrency,
                          .priority = c->priority};
    job_book_t *book = book_of(s, m->job);
    dispatch_job_stats_t stats;
    bool known = dispatch_job_stats(s->d, m->job, &stats);
    if (c->job != m->job || !c->alive || c->done)
        return;           /* of a client that is gone: really its connection would be too */
    if (!known && m->a) { /* it was open once and is forgotten: its numbers mean nothing any more */
        post_plain(s, false, M_REFUSED, m->peer, m->job, 0, 0, 0);
        return;
    }
    if (dispatch_job_open(s->d, m->peer, &job, s->now, NULL) != SDG_OK) return;
    post_plain(s, false, M_JOB_ACCEPTED, m->peer, m->job, 0, 0, 0);
    if (known) return;
    if (book) book->job = 0;
    assert(s->book_count < JOB_BOOKS);
    book = s->books[s->book_count++] = xcalloc(1, sizeof *book);
    book->job = m->job;
    book->client = c;
    book->rows_total = c->todo_count;
    book->concurrency = book->running_max = c->concurrency;
    book->results_max = c->window_bytes / 2;
}

static void take_rows(sim_t *s, const mail_t *m) {
    job_book_t *book = book_of(s, m->job);
    dispatch_row_t rows[ROWS_MAX];
    dispatch_job_stats_t before, after;
    if (!book) return;
    for (size_t i = 0; i < m->count; i++) {
        rows[i] = row_of(book->client->number, m->rows[i]);
    }
    dispatch_job_stats(s->d, m->job, &before);
    dispatch_rows(s->d, m->job, m->a, rows, m->count, s->now);
    dispatch_job_stats(s->d, m->job, &after);
    if (after.rows_received == before.rows_received) return;
    for (size_t i = 0; i < m->count; i++) {
        if (book->rows[m->rows[i]].received) fail(s, "row %" PRIu64 " is taken twice", m->rows[i]);
        book->rows[m->rows[i]].received = true;
        book->raw_open += rows[i].len;
    }
}

static void take_ack(sim_t *s, const mail_t *m) {
    job_book_t *book = book_of(s, m->job);
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
    job_book_t *book = book_of(s, m->job);
    dispatch_done_t done[ROWS_MAX];
    for (size_t i = 0; book && i < m->count; i++) {
        done[i] = done_of(book->client->number, m->rows[i]);
    }
    if (book) {
        dispatch_row_results(s->d, worker, m->job, done, m->count, s->now);
        if (!book->over) judge_answers(book, m->rows, m->count);
    }
    post_plain(s, false, M_ACK, m->peer, 0, m->a, 0, 0);
}

static void stop_job(sim_t *s, const mail_t *m) {
    job_book_t *book = book_of(s, m->job);
    if (dispatch_job_stop(s->d, m->job, (uint32_t)m->a, s->now) != SDG_OK) return;
    book->stopped = true;
    if (m->a == 2) judge_close(book);
}

static int limit_job(sim_t *s, const mail_t *m) {
    int rc = dispatch_job_limit(s->d, m->job, m->a, s->now);
    if (rc == SDG_OK) judge_limit(book_of(s, m->job), m->a);
    return rc;
}

/* It said goodbye, or its silence was noticed. */
static void client_gone(sim_t *s, uint64_t peer) {
    dispatch_client_gone(s->d, peer, s->now);
    for (size_t i = 0; i < s->book_count; i++) {
        dispatch_job_stats_t stats;
        if (!dispatch_job_stats(s->d, s->books[i]->job, &stats)) judge_close(s->books[i]);
    }
}

static void from_client(sim_t *s, const mail_t *m) {
    int rc = SDG_OK;
    job_book_t *book = book_of(s, m->job);
    if (m->kind != M_JOB_OPEN && m->kind != M_CLIENT_BYE &&
        s->clients[s->client_at[m->peer] - 1].registered != m->peer) {
        post_plain(s, false, M_WELCOME, m->peer, m->job, 0, 0,
                   0); /* one connection for each client: say who you are */
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
    case M_CLIENT_BYE: client_gone(s, m->peer); break;
    default: break;
    }
    if (rc == SDG_ENOTFOUND && !book->over) fail(s, "job %" PRIu64 " is forgotten", m->job);
    if (rc == SDG_ENOTFOUND) post_plain(s, false, M_REFUSED, m->peer, m->job, 0, 0, 0);
}

static void hello(sim_t *s, const mail_t *m) {
    for (uint64_t peer = 0; peer < s->peers; peer++) {
        if (s->instance_at[peer] == m->a) s->instance_at[peer] = 0; /* its old connection */
    }
    s->instance_at[m->peer] = m->a;
    dispatch_worker_hello(s->d, m->a, m->peer, s->now, NULL);
    dispatch_worker_answers(s->d, m->a);
    post_plain(s, false, M_WELCOME, m->peer, 0, 1, 0, 0);
}

static void refused(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = book_of(s, m->job);
    if (!book) return;
    book->refused = true;
    *chair_of(book, s, worker_by_instance(s, worker)) = (chair_t){0};
    judge_settled(book);
    dispatch_worker_refuses(s->d, worker, m->job, "refused", s->now);
    judge_release_holder(s, m->job, worker, NULL, 0);
}

/* What was said on a connection that is gone does not arrive any more. */
static void permits_held(sim_t *s, const mail_t *m, uint64_t worker) {
    const worker_t *w = worker_by_instance(s, worker);
    if (w->peer != m->peer) return;
    judge_answer_of_permits(s, w, m);
    dispatch_worker_running(s->d, worker, m->job, m->a, m->b, s->now);
}

/* It rests no more; or it drains: it gets nothing more, and its answers are not asked for. */
static void row_credit(sim_t *s, const mail_t *m, uint64_t worker) {
    for (size_t i = 0; i < s->book_count; i++) {
        chair_t *chair = chair_of(s->books[i], s, worker_by_instance(s, worker));
        chair->rests = false;
        if (m->a == 0) chair->permit = 0;
    }
    if (m->a == 0) dispatch_worker_drain(s->d, worker, s->now);
    dispatch_worker_credit(s->d, worker, m->a, m->b, s->now);
}

static void rows_returned(sim_t *s, const mail_t *m, uint64_t worker) {
    job_book_t *book = book_of(s, m->job);
    if (book) chair_of(book, s, worker_by_instance(s, worker))->rests = true;
    judge_release_holder(s, m->job, worker, m->rows, m->count);
    dispatch_lease_return(s->d, worker, m->job, m->rows, m->count, s->now);
    post_plain(s, false, M_ACK, m->peer, 0, m->a, 0, 0);
}

static void from_worker(sim_t *s, const mail_t *m) {
    uint64_t worker = s->instance_at[m->peer];
    if (m->kind == M_HELLO) {
        hello(s, m);
        return;
    }
    if (m->kind == M_ROW_RESULTS)
        take_answers(s, m, worker); /* of strangers too: a row still open is taken */
    if (worker == 0) {
        post_plain(s, false, M_WELCOME, m->peer, 0, 0, 0, 0);
        return;
    }
    dispatch_worker_beat(s->d, worker, s->now);
    switch (m->kind) {
    case M_ROW_CREDIT: row_credit(s, m, worker); break;
    case M_PERMITS_HELD: permits_held(s, m, worker); break;
    case M_BEAT: dispatch_worker_leases(s->d, worker, m->a, s->now); break;
    case M_RETURN: rows_returned(s, m, worker); break;
    case M_JOB_REFUSED: refused(s, m, worker); break;
    case M_BYE: dispatch_worker_gone(s->d, worker, false, s->now); break;
    default: break;
    }
}

/* ---- workers */

static void say(sim_t *s, const worker_t *w, mail_kind_t kind, uint64_t job, uint64_t a, uint64_t b) {
    post_plain(s, true, kind, w->peer, job, a, b, 0);
}

static permit_t *permit_of(worker_t *w, uint64_t job) {
    for (size_t i = 0; i < w->permit_count; i++) {
        if (w->permits[i].job == job) return &w->permits[i];
    }
    assert(w->permit_count < 64);
    w->permits[w->permit_count] = (permit_t){.job = job};
    return &w->permits[w->permit_count++];
}

static void worker_connect(sim_t *s, worker_t *w) {
    w->peer = s->peers++;
    assert(w->peer < PEERS_MAX);
    w->welcome = false;
    w->hello_ns = s->now;
    say(s, w, M_HELLO, 0, w->instance, 0);
}

static worker_t *worker_start(sim_t *s) {
    if (s->worker_count == WORKER_SLOTS) return NULL;
    worker_t *w = &s->workers[s->worker_count++];
    *w = (worker_t){.instance = ++s->instances,
                    .alive = true,
                    .credit_rows = between(s, 1, 40),
                    .credit_bytes = chance(s, 0.3) ? between(s, 1, 200) : 100000,
                    .row_ns = chance(s, 0.2) ? 3 * SECOND : 200 * MILLISECOND};
    w->leases = rangeset_new();
    if (!s->good && chance(s, 0.1)) w->refuses = (uint32_t)between(s, 1, 7);
    trace(s, "worker %" PRIu64 " starts: credit %" PRIu64 " rows, %" PRIu64 " bytes, refuses %x", w->instance,
          w->credit_rows, w->credit_bytes, w->refuses);
    worker_connect(s, w);
    wake(s, WAKE_WORKER, s->worker_count - 1, s->now + 100 * MILLISECOND);
    return w;
}

static void worker_clear(worker_t *w) {
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

static void worker_crash(sim_t *s, worker_t *w) {
    bool seen = chance(s, 0.5);
    trace(s, "worker %" PRIu64 " crashes%s", w->instance, seen ? ", which is seen" : "");
    worker_clear(w);
    if (!seen) return;
    dispatch_worker_gone(s->d, w->instance, true, s->now);
    act(s);
}

static void worker_bye(sim_t *s, worker_t *w) {
    trace(s, "worker %" PRIu64 " leaves", w->instance);
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
    post(s, true, mail_copy(m));
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
    job_book_t *book = book_of(s, job);
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
        h->done_ns = s->now + between(s, 1, w->row_ns);
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

static bool lease_is_new(worker_t *w, const mail_t *m) {
    uint64_t era = m->a >> LEASE_ERA_SHIFT, number = m->a & UINT32_MAX;
    if (era < w->era) return false;
    if (era > w->era) {
        w->era = era;
        rangeset_destroy(&w->leases);
        w->leases = rangeset_new();
        for (size_t i = w->held_count; i > 0; i--) {
            if (!w->held[i - 1].running) unhold(w, i - 1);
        }
    }
    if (m->count > 0) return rangeset_add(w->leases, number);
    for (uint64_t i = 0; i < m->b; i++) {
        rangeset_add(w->leases, number + i);
    }
    return false;
}

static void take_lease(sim_t *s, worker_t *w, const mail_t *m) {
    if (!lease_is_new(w, m)) return;
    const client_t *c = client_of(s, m->job);
    if (w->refuses >> c->number & 1) {
        refuse_job(s, w, m->job);
        return;
    }
    GROW(w->held, w->held_cap, w->held_count + m->count);
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

static void to_worker(sim_t *s, worker_t *w, const mail_t *m) {
    switch (m->kind) {
    case M_WELCOME:
        w->welcome = m->a;
        if (m->a == 0) say(s, w, M_HELLO, 0, w->instance, 0);
        say_what_holds(s, w);
        break;
    case M_LEASE: take_lease(s, w, m); break;
    case M_PERMITS: take_permits(s, w, m); break;
    case M_JOB_DROP:
        if (m->a == 1)
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
        post(s, true, mail_copy(p->mail));
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

static void wake_worker(sim_t *s, size_t who) {
    worker_t *w = &s->workers[who];
    if (!w->alive) return;
    if (w->silent_until > s->now) {
        wake(s, WAKE_WORKER, who, w->silent_until);
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
    wake(s, WAKE_WORKER, who, worker_next(s, w));
}

/* ---- clients */

static void say_open(sim_t *s, client_t *c) {
    post_plain(s, true, M_JOB_OPEN, c->peer, c->job, c->opened, 0, 0);
}

static void client_connect(sim_t *s, client_t *c) {
    c->peer = s->peers++;
    assert(c->peer < PEERS_MAX);
    s->client_at[c->peer] = c->number + 1;
    c->accepted = false;
    say_open(s, c);
}

/* Starts, or starts again after dying: a new job of the rows that are not in the file. */
static void client_begin(sim_t *s, client_t *c) {
    c->job = ++s->jobs;
    c->incarnation++;
    c->alive = true;
    c->todo_count = c->chunks = c->rows_sent = c->bytes_sent = c->rows_limit = c->bytes_limit =
        c->rows_received = c->bytes_received = 0;
    c->ok = c->failed = c->stall_until = 0;
    c->end_sent = c->done = c->opened = false;
    c->next_batch = 1;
    for (uint64_t i = 0; i < c->rows_total; i++) {
        if (!c->written[i]) c->todo[c->todo_count++] = i;
    }
    trace(s,
          "client %zu begins job %" PRIu64 ": %" PRIu64 " rows, window %" PRIu64 "/%" PRIu64
          ", concurrency %" PRIu64,
          c->number, c->job, c->todo_count, c->window_rows, c->window_bytes, c->concurrency);
    client_connect(s, c);
}

static void say_result_credit(sim_t *s, client_t *c) {
    post_plain(s, true, M_RESULT_CREDIT, c->peer, c->job, c->rows_received + c->result_rows,
               c->bytes_received + c->result_bytes, 0);
}

static void send_chunk(sim_t *s, client_t *c, uint64_t k) {
    uint64_t start = c->chunk_start[k], count = c->chunk_start[k + 1] - start;
    mail_t *m = mail_new(M_ROWS, c->peer, c->job, count);
    m->a = k;
    memcpy(m->rows, &c->todo[start], count * sizeof *m->rows);
    c->chunk_sent_ns[k] = s->now;
    post(s, true, m);
}

static void send_end(sim_t *s, client_t *c) {
    c->end_sent = true;
    c->end_sent_ns = s->now;
    post_plain(s, true, M_ROWS_END, c->peer, c->job, c->chunks, c->rows_sent, 0);
}

/* New chunks as far as credit goes: the last row may pass the byte limit. */
static void send_more(sim_t *s, client_t *c) {
    while (c->accepted && c->rows_sent < c->todo_count && c->rows_sent < c->rows_limit &&
           c->bytes_sent < c->bytes_limit) {
        uint64_t start = c->rows_sent;
        while (c->rows_sent < c->todo_count && c->rows_sent < c->rows_limit &&
               c->rows_sent - start < c->chunk_rows &&
               (c->rows_sent == start || c->bytes_sent < c->bytes_limit)) {
            c->bytes_sent += row_of(c->number, c->todo[c->rows_sent++]).len;
        }
        c->chunk_start[c->chunks] = start;
        c->chunk_start[c->chunks + 1] = c->rows_sent;
        send_chunk(s, c, c->chunks++);
    }
    if (c->accepted && c->rows_sent == c->todo_count && !c->end_sent) send_end(s, c);
}

static void take_ingest_credit(sim_t *s, client_t *c, const mail_t *m) {
    if (m->b > c->rows_limit) c->rows_limit = m->b;
    if (m->c > c->bytes_limit) c->bytes_limit = m->c;
    for (uint64_t k = m->a; k < c->chunks; k++) {
        if (s->now - c->chunk_sent_ns[k] > SECOND) send_chunk(s, c, k);
    }
    if (c->end_sent && s->now - c->end_sent_ns > SECOND) send_end(s, c);
    send_more(s, c);
}

static void write_row(sim_t *s, client_t *c, uint64_t index, bool failed) {
    if (c->written[index]) {
        fail(s, "row %" PRIu64 " comes a second time", index);
        return;
    }
    c->written[index] = 1;
    if (failed)
        c->failed++;
    else
        c->ok++;
}

static void take_results(sim_t *s, client_t *c, const mail_t *m) {
    if (m->a > c->next_batch) return; /* comes again */
    for (size_t i = 0; m->a == c->next_batch && i < m->count; i++) {
        write_row(s, c, m->rows[i] / 4, m->rows[i] % 4 == DISPATCH_FAILED);
    }
    if (m->a == c->next_batch) {
        if (c->rows_received + m->count > c->rows_received + c->result_rows)
            fail(s, "more result rows than the window");
        if (m->count > 1 && m->b > c->result_bytes) fail(s, "more result bytes than the window");
        c->rows_received += m->count;
        c->bytes_received += m->b;
        c->next_batch++;
    } else {
        s->duplicates++;
    }
    post_plain(s, true, M_RESULTS_ACK, c->peer, c->job, c->next_batch - 1, 0, 0);
    say_result_credit(s, c);
}

static void take_done(sim_t *s, client_t *c, const mail_t *m) {
    if (c->done) return;
    trace(s, "client %zu: job %" PRIu64 " is done", c->number, c->job);
    c->done = c->finished = true;
    s->finished_jobs++;
    if (m->c == 0) {
        for (uint64_t i = 0; i < c->rows_total; i++) {
            if (c->written[i] != 1)
                fail(s, "the job of client %zu is done without row %" PRIu64, c->number, i);
        }
        if (m->a != c->ok || m->b != c->failed) fail(s, "counts of the job differ from what was written");
    }
    post_plain(s, true, M_CLIENT_BYE, c->peer, c->job, 0, 0, 0);
}

static void to_client(sim_t *s, client_t *c, const mail_t *m) {
    if (m->job != c->job || c->done) return;
    switch (m->kind) {
    case M_JOB_ACCEPTED:
        c->accepted = c->opened = true;
        say_result_credit(s, c);
        send_more(s, c);
        break;
    case M_WELCOME:
        c->accepted = false;
        say_open(s, c);
        break;
    case M_REFUSED: client_begin(s, c); break;
    case M_INGEST_CREDIT: take_ingest_credit(s, c, m); break;
    case M_RESULTS: take_results(s, c, m); break;
    case M_JOB_DONE: take_done(s, c, m); break;
    default: break;
    }
}

static void wake_client(sim_t *s, size_t who) {
    client_t *c = &s->clients[who];
    if (c->finished) return;
    wake(s, WAKE_CLIENT, who, s->now + RULE_WAIT);
    if (c->gone_unseen && s->now >= c->gone_ns) {
        client_gone(s, c->registered);
        c->gone_unseen = false;
        act(s);
    }
    if (!c->alive) {
        if (s->now >= c->rise_ns && !c->gone_unseen) client_begin(s, c);
        return;
    }
    if (c->stall_until > s->now) return;
    if (!c->accepted) say_open(s, c);
    say_result_credit(s, c);
    if (c->limit) post_plain(s, true, M_JOB_LIMIT, c->peer, c->job, c->limit, 0, 0);
    if (c->stop_mode) post_plain(s, true, M_JOB_STOP, c->peer, c->job, c->stop_mode, 0, 0);
}

static void client_die(sim_t *s, client_t *c) {
    trace(s, "client %zu dies", c->number);
    c->alive = false;
    c->gone_unseen = true;
    c->gone_ns = s->now + between(s, 0, 5 * SECOND);
    c->rise_ns = s->now + between(s, 0, 8 * SECOND);
}

/* ---- chaos */

static worker_t *any_worker(sim_t *s) {
    size_t start = s->worker_count ? between(s, 0, s->worker_count - 1) : 0;
    for (size_t i = 0; i < s->worker_count; i++) {
        worker_t *w = &s->workers[(start + i) % s->worker_count];
        if (w->alive) return w;
    }
    return NULL;
}

static size_t workers_alive(const sim_t *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->worker_count; i++) {
        n += s->workers[i].alive;
    }
    return n;
}

static void disturb_worker(sim_t *s, worker_t *w) {
    switch (between(s, 0, 5)) {
    case 0: worker_crash(s, w); break;
    case 1: worker_bye(s, w); break;
    case 2: worker_connect(s, w); break;
    case 3:
        w->silent_until = s->now + between(s, SECOND, 12 * SECOND);
        trace(s, "worker %" PRIu64 " is silent", w->instance);
        break;
    case 4:
        w->draining = true;
        trace(s, "worker %" PRIu64 " drains", w->instance);
        break;
    default:
        w->credit_rows =
            between(s, w->credit_rows,
                    60); /* a smaller credit takes effect as rows finish: the judge could not tell */
        break;
    }
}

static void disturb_client(sim_t *s, client_t *c) {
    if (!c->alive || c->finished) return;
    switch (between(s, 0, 10)) {
    case 0: client_die(s, c); break;
    case 1:
    case 2:
        trace(s, "client %zu has a new connection", c->number);
        client_connect(s, c);
        break;
    case 3:
        c->stop_mode = c->stop_mode || chance(s, 0.6) ? c->stop_mode : (uint32_t)between(s, 1, 2);
        if (c->stop_mode) trace(s, "client %zu stops its job, mode %u", c->number, c->stop_mode);
        break;
    case 4:
    case 5:
    case 6:
        c->limit = between(s, 1, 24);
        trace(s, "client %zu wants %" PRIu64 " rows at once", c->number, c->limit);
        break;
    default:
        c->stall_until = s->now + between(s, 0, 10 * SECOND);
        trace(s, "the disk of client %zu stalls", c->number);
        break;
    }
}

/* From here on the world is good: links work, nobody new refuses, at least one worker can run everything. */
static void become_good(sim_t *s) {
    trace(s, "the world becomes good");
    s->good = true;
    for (size_t i = 0; i < s->client_count; i++) {
        s->clients[i].stall_until = 0;
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        s->workers[i].silent_until = 0;
    }
}

static bool has_able_worker(const sim_t *s) {
    for (size_t i = 0; i < s->worker_count; i++) {
        if (s->workers[i].alive && !s->workers[i].refuses && !s->workers[i].draining) return true;
    }
    return false;
}

static void wake_chaos(sim_t *s) {
    if (!s->good && s->now >= s->faults_end) become_good(s);
    wake(s, WAKE_CHAOS, 0, s->now + (s->good ? SECOND : between(s, 50 * MILLISECOND, 3 * SECOND)));
    if (s->good) {
        for (size_t i = 0; i < s->book_count; i++) {
            judge_shares(s, s->books[i]);
        }
        if (!has_able_worker(s) && !worker_start(s)) fail(s, "too many workers were needed");
        return;
    }
    if (chance(s, 0.4) && workers_alive(s) < WORKERS_ALIVE_MAX && s->worker_count < WORKER_SLOTS / 2)
        worker_start(s);
    worker_t *w = any_worker(s);
    if (w && chance(s, 0.5)) disturb_worker(s, w);
    if (chance(s, 0.2)) disturb_client(s, &s->clients[between(s, 0, s->client_count - 1)]);
}

/* ---- running */

static void deliver_to_peer(sim_t *s, mail_t *m) {
    for (size_t i = 0; i < s->client_count; i++) {
        client_t *c = &s->clients[i];
        if (c->peer != m->peer || !c->alive) continue;
        if (c->stall_until > s->now) { /* a slow disk: it is read later */
            push(s, (event_t){.time = c->stall_until, .kind = WAKE_MAIL, .mail = m});
            m->users++;
            return;
        }
        to_client(s, c, m);
        return;
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        worker_t *w = &s->workers[i];
        if (w->alive && w->peer == m->peer && w->silent_until <= s->now) to_worker(s, w, m);
    }
}

static void deliver(sim_t *s, mail_t *m) {
    trace(s, "%s %" PRIu64 " %s job %" PRIu64 " (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ") %zu rows",
          m->to_scheduler ? "from" : "  to", m->peer, mail_names[m->kind], m->job, m->a, m->b, m->c,
          m->count);
    if (!m->to_scheduler)
        deliver_to_peer(s, m);
    else if (m->kind < M_HELLO)
        from_client(s, m);
    else
        from_worker(s, m);
    if (m->to_scheduler) act(s);
    mail_done(m);
}

static void setup_client(sim_t *s, client_t *c, size_t number) {
    *c = (client_t){.number = number,
                    .rows_total = between(s, 0, ROWS_MAX),
                    .window_rows = between(s, 1, 60),
                    .window_bytes = 100000,
                    .concurrency = between(s, 1, 24),
                    .chunk_rows = between(s, 1, 20),
                    .result_rows = between(s, 1, 40),
                    .result_bytes = 100000};
    c->priority = between(s, 1, 5);
    if (chance(s, 0.4)) c->window_bytes = between(s, 1, 2000);
    if (chance(s, 0.3)) c->result_bytes = between(s, 1, 1000);
    for (int i = 0; i < 2; i++) {
        if (chance(s, 0.1)) c->killers[i] = between(s, 0, ROWS_MAX); /* index + 1 */
    }
    client_begin(s, c);
    wake(s, WAKE_CLIENT, number, s->now + between(s, 0, RULE_WAIT));
}

static void setup(sim_t *s) {
    rng_seed(&s->rng, s->seed, 1);
    s->now = SECOND;
    s->peers = 1;
    s->d = dispatch_new();
    s->faults_end = s->now + between(s, 0, 40 * SECOND);
    s->drop = chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->repeat = chance(s, 0.7) ? rng_real(&s->rng) * 0.2 : 0;
    s->delay_max = chance(s, 0.5) ? between(s, MILLISECOND, 2 * SECOND) : 3 * MILLISECOND;
    s->client_count = between(s, 1, CLIENTS_MAX);
    for (size_t i = 0; i < s->client_count; i++) {
        setup_client(s, &s->clients[i], i);
    }
    for (uint64_t n = between(s, 0, 3); n > 0; n--) {
        worker_start(s);
    }
    wake(s, WAKE_SCHEDULER, 0, s->now);
    wake(s, WAKE_CHAOS, 0, s->now);
}

static bool all_finished(const sim_t *s) {
    for (size_t i = 0; i < s->client_count; i++) {
        if (!s->clients[i].finished) return false;
    }
    return true;
}

static void step(sim_t *s) {
    event_t e = pop(s);
    s->now = e.time;
    switch (e.kind) {
    case WAKE_MAIL: deliver(s, e.mail); break;
    case WAKE_CLIENT: wake_client(s, e.who); break;
    case WAKE_WORKER: wake_worker(s, e.who); break;
    case WAKE_CHAOS: wake_chaos(s); break;
    case WAKE_SCHEDULER:
        dispatch_tick(s->d, s->now);
        act(s);
        wake(s, WAKE_SCHEDULER, 0, s->now + 100 * MILLISECOND);
        break;
    }
}

static void teardown(sim_t *s) {
    while (heap_first(&s->events)) {
        event_t e = pop(s);
        if (e.kind == WAKE_MAIL) mail_done(e.mail);
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        worker_clear(&s->workers[i]);
    }
    for (size_t i = 0; i < s->book_count; i++) {
        free(s->books[i]);
    }
    heap_free(&s->events);
    dispatch_destroy(&s->d);
}

static void explain_hang(sim_t *s) {
    for (size_t i = 0; i < s->client_count; i++) {
        const client_t *c = &s->clients[i];
        dispatch_job_stats_t st;
        dispatch_job_stats(s->d, c->job, &st);
        if (!c->finished)
            fail(s,
                 "job %" PRIu64 " of client %zu does not end: received %" PRIu64 " of %" PRIu64
                 ", queued %" PRIu64 ", leased %" PRIu64 ", answered %" PRIu64 ", written %" PRIu64,
                 c->job, i, st.rows_received, c->todo_count, st.rows_queued, st.rows_leased, st.rows_answered,
                 c->ok + c->failed);
    }
}

/* After the last job: nothing is left in the dispatcher. */
static void check_empty(sim_t *s) {
    dispatch_stats_t stats;
    dispatch_check(s->d);
    dispatch_stats(s->d, &stats);
    if (stats.rows_queued + stats.rows_leased + stats.rows_answered + stats.bytes_pending > 0)
        fail(s, "rows are left behind");
}

typedef struct totals {
    uint64_t passed, failed, jobs, duplicates, row_failures, requeued, resent, lost, virtual_s;
} totals_t;

static bool run_seed(uint64_t seed, bool verbose, totals_t *t) {
    sim_t *s = xcalloc(1, sizeof *s);
    current = s;
    s->seed = seed;
    s->verbose = verbose;
    setup(s);
    while (!s->failed && !all_finished(s)) {
        step(s);
        if (s->now > s->faults_end + GOOD_PHASE_MAX) explain_hang(s);
    }
    if (!s->failed) check_empty(s);
    bool ok = !s->failed;
    dispatch_stats_t stats;
    dispatch_stats(s->d, &stats);
    *(ok ? &t->passed : &t->failed) += 1;
    t->jobs += s->finished_jobs;
    t->duplicates += stats.duplicates_dropped;
    t->requeued += stats.rows_requeued;
    t->resent += stats.leases_resent;
    t->lost += stats.workers_lost;
    t->row_failures += s->failures;
    t->virtual_s += s->now / SECOND;
    teardown(s);
    free(s);
    return ok;
}

/* A failed assert inside the dispatcher: which seed was it? */
static void on_abort(int sig) {
    char text[64];
    int n = snprintf(text, sizeof text, "seed %" PRIu64 " failed: assert\n", current ? current->seed : 0);
    if (write(STDOUT_FILENO, text, (size_t)n) < 0) _exit(2);
    signal(sig, SIG_DFL);
    raise(sig);
}

typedef struct plan {
    uint64_t first, seeds, jobs;
    bool verbose;
} plan_t;

/* Every `jobs`th seed from `first` on. */
static totals_t run_seeds(const plan_t *plan, uint64_t first) {
    totals_t t = {0};
    for (uint64_t seed = first; seed < plan->first + plan->seeds; seed += plan->jobs) {
        run_seed(seed, plan->verbose, &t);
    }
    return t;
}

static void add_totals(totals_t *sum, const totals_t *t) {
    for (size_t i = 0; i < sizeof *t / sizeof(uint64_t); i++) {
        ((uint64_t *)sum)[i] += ((const uint64_t *)t)[i];
    }
}

/* A process for each share of the seeds; what it found comes through a pipe. One that ends without a word has
 * failed. */
static totals_t run_parallel(const plan_t *plan) {
    enum { JOBS_LIMIT = 64 };
    int pipes[JOBS_LIMIT][2];
    totals_t sum = {0};
    for (uint64_t i = 0; i < plan->jobs; i++) {
        if (pipe(pipes[i]) != 0) abort();
        if (fork() != 0) continue;
        totals_t t = run_seeds(plan, plan->first + i);
        _exit(write(pipes[i][1], &t, sizeof t) == (ssize_t)sizeof t ? 0 : 2);
    }
    for (uint64_t i = 0; i < plan->jobs; i++) {
        totals_t t = {.failed = 1};
        close(pipes[i][1]);
        if (read(pipes[i][0], &t, sizeof t) < 0) t.failed = 1;
        add_totals(&sum, &t);
        close(pipes[i][0]);
    }
    while (wait(NULL) > 0) {
    }
    return sum;
}

static int read_plan(int argc, char **argv, plan_t *plan) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *plan = (plan_t){.first = 1, .seeds = 10000, .jobs = cpus > 0 && cpus < 64 ? (uint64_t)cpus : 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            plan->verbose = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
            plan->seeds = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            plan->first = strtoull(argv[++i], NULL, 10), plan->seeds = plan->jobs = 1;
        else if (i + 1 < argc && strcmp(argv[i], "--jobs") == 0)
            plan->jobs = strtoull(argv[++i], NULL, 10);
        else
            return -1;
    }
    return plan->jobs >= 1 && plan->jobs <= 64 ? 0 : -1;
}

int main(int argc, char **argv) {
    plan_t plan;
    if (read_plan(argc, argv, &plan) != 0)
        return fprintf(stderr, "usage: sim_dispatch [--seeds N] [--seed S] [--jobs J] [-v]\n"), 2;
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        pattern[i] = (char)('a' + mix(i, 7) % 26);
    }
    signal(SIGABRT, on_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
    totals_t t = plan.jobs == 1 ? run_seeds(&plan, plan.first) : run_parallel(&plan);
    printf("%" PRIu64 " jobs ended in %" PRIu64 " virtual seconds; %" PRIu64 " workers lost, %" PRIu64
           " rows requeued, %" PRIu64 " leases resent, %" PRIu64 " second answers dropped, %" PRIu64
           " rows failed\n",
           t.jobs, t.virtual_s, t.lost, t.requeued, t.resent, t.duplicates, t.row_failures);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", t.passed, t.failed);
    return t.failed ? 1 : 0;
}
