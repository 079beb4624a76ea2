/* sim_dispatch.c - the dispatcher in a world that loses, repeats, delays and reorders every message, with
 * virtual time and a seed.
 *
 *   sim_dispatch [--seeds N] [--seed S] [--jobs J] [--break RULE] [-v]
 *
 * Around the real dispatcher stand simulated clients and workers that keep the rules of proto/messages.def:
 * what is not acknowledged is said again, absolute numbers are repeated, what was seen is dropped. Their pure
 * halves are the real ones: the feed of a client, the outbox and the lease book of a worker (core/sched). In
 * the first phase everything goes wrong that can: links, crashes, silence, new connections, drains, refusals,
 * slow disks, changed limits, stops. Then the world becomes good, and every job has to end in bounded time.
 * At the end rules of the halves are broken on purpose, one after the other (broken_t), and a seed must fail
 * for each: the judge sees what it should.
 *
 * tests/sim/dispatch holds its parts: world.h (time, links, what rows contain), scheduler.c, workers.c and
 * clients.c (the actors around the dispatcher), judge.h (what must hold). Here are the chaos and the seeds.
 * The judge keeps its own books of what the dispatcher said and never looks inside it. It wants:
 *
 * - each row is delivered as one result, with its bytes
 * - batches, leases and acknowledgements are in order; credits never fall
 * - rows pending <= window; bytes pending <= the bound of dispatch.h
 * - rows and bytes at a worker <= its credit
 * - units in use (rows that run code, calls in flight) <= the job's limit, or the one before until workers
 *   have answered; calls in flight to an endpoint <= its limit in the same way, over all jobs and workers
 * - in a good world the workers of an endpoint together may make as many calls as they could and it allows
 * - in a good world rows that wait without a unit (for a retry, a permit) keep no others from starting
 * - in a good world the workers of a job share all of its limit
 * - a job that wants rows of a worker waits for one turn of each other job there
 * - a lost worker is announced before a row of it is in other hands
 * - a worker that is silent, or whose connection is gone, is given up within its patience, whatever it
 * claims; one that is back in time is not
 * - every job ends
 * - a job ends early only at endpoints that refuse its key, whenever that begins; then no row is lost and
 * none has failed, unless it was the only one that waited: the same client, begun again, has all the others
 *
 * PERMITS, what begins and ends a job, and their answers keep their order on a connection, as the dispatcher
 * asks, and nothing overtakes JOB_DROP; everything else comes in any order. Seeds are shared out to J
 * processes (one per CPU); the one that fails is printed, and --seed runs it alone. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/sched/limits.h"
#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"
#include "tests/sim/sim.h"

enum { WORKERS_ALIVE_MAX = 6 };
#define GOOD_PHASE_MAX (1500 * SECOND) /* after the faults end, everything is over by then */

/* ---- chaos */

static worker_t *any_worker(sim_t *s) {
    size_t start = s->worker_count ? world_between(s, 0, s->worker_count - 1) : 0;
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

/* One of the things that may happen to a worker. */
static void disturb_worker(sim_t *s, worker_t *w) {
    switch (world_between(s, 0, 5)) {
    case 0: worker_crash(s, w); break;
    case 1: worker_bye(s, w); break;
    case 2:
        if (world_chance(s, 0.5)) world_wake(s, WAKE_CUT, w->peer, s->now + world_between(s, 0, 3 * SECOND));
        worker_connect(s, w);
        break;
    case 3:
        if (world_chance(s, 0.3)) worker_cut(s, w);
        w->silent_until = s->now + world_between(s, 0, 20 * SECOND);
        world_trace(s, "worker %" PRIu64 " is silent", w->instance);
        break;
    case 4:
        w->draining = true;
        world_trace(s, "worker %" PRIu64 " drains", w->instance);
        break;
    default:
        /* Never smaller: a smaller credit takes effect as rows finish, and the judge could not tell when. */
        w->credit_rows = world_between(s, w->credit_rows, 60);
        break;
    }
}

/* One of the things that may happen to a client. */
static void disturb_client(sim_t *s, client_t *c) {
    if (!c->alive || c->finished) return;
    switch (world_between(s, 0, 10)) {
    case 0: client_die(s, c); break;
    case 1:
    case 2:
        world_trace(s, "client %zu has a new connection", c->number);
        client_connect(s, c);
        break;
    case 3:
        c->stop_mode = c->stop_mode || world_chance(s, 0.6)
                           ? c->stop_mode
                           : (uint32_t)world_between(s, DISPATCH_STOP_DRAIN, DISPATCH_STOP_NOW);
        if (c->stop_mode) world_trace(s, "client %zu stops its job, mode %u", c->number, c->stop_mode);
        break;
    case 4:
    case 5:
    case 6:
        c->limit = world_between(s, 1, 24);
        world_trace(s, "client %zu wants %" PRIu64 " rows at once", c->number, c->limit);
        break;
    default:
        c->stall_until = s->now + world_between(s, 0, 10 * SECOND);
        world_trace(s, "the disk of client %zu stalls", c->number);
        if (c->gone_unseen || !world_chance(s, 0.2)) break;
        c->gone_unseen = true; /* the scheduler takes its silence for death */
        c->gone_ns = world_between(s, s->now, c->stall_until);
        break;
    }
}

/* A new limit of an endpoint; 0 closes it. */
static void limit_endpoint(sim_t *s, size_t endpoint, uint64_t calls) {
    if (dispatch_endpoint_limit(s->d, endpoint + 1, calls, s->now) != SDG_OK) return;
    world_trace(s, "endpoint %zu may have %" PRIu64 " calls in flight", endpoint + 1, calls);
    judge_endpoint_limit(s, endpoint, calls);
    scheduler_act(s);
}

/* From now on links work, no new worker refuses, and at least one worker can run every job. */
static void become_good(sim_t *s) {
    world_trace(s, "the world becomes good");
    s->good = true;
    for (size_t i = 0; i < s->client_count; i++) {
        s->clients[i].stall_until = 0;
        if (s->clients[i].alive) s->clients[i].gone_unseen = false;
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        s->workers[i].silent_until = 0;
    }
    for (size_t e = 0; e < ENDPOINTS; e++) {
        uint64_t open = world_between(s, 1, 20); /* no endpoint stays closed */
        limit_endpoint(s, e, world_chance(s, 0.3) ? DISPATCH_NO_LIMIT : open);
    }
}

static bool has_able_worker(const sim_t *s) {
    for (size_t i = 0; i < s->worker_count; i++) {
        if (s->workers[i].alive && !s->workers[i].refuses && !s->workers[i].draining) return true;
    }
    return false;
}

/* In a bad world something happens to somebody; in a good world the judge looks whether everything is
 * shared out. */
static void wake_chaos(sim_t *s) {
    if (!s->good && s->now >= s->faults_end) become_good(s);
    world_wake(s, WAKE_CHAOS, 0,
               s->now + (s->good ? SECOND : world_between(s, 50 * MILLISECOND, 3 * SECOND)));
    if (s->good) {
        for (size_t i = 0; i < s->book_count; i++) {
            judge_shares(s, s->books[i]);
            judge_starving(s, s->books[i]);
        }
        for (size_t e = 0; e < ENDPOINTS; e++) {
            judge_calls_shared(s, e);
        }
        if (!has_able_worker(s) && !worker_start(s)) world_fail(s, "too many workers were needed");
        return;
    }
    if (world_chance(s, 0.4) && workers_alive(s) < WORKERS_ALIVE_MAX && s->worker_count < WORKER_SLOTS / 2)
        worker_start(s);
    if (world_chance(s, 0.3))
        limit_endpoint(s, world_between(s, 0, ENDPOINTS - 1),
                       world_chance(s, 0.2) ? DISPATCH_NO_LIMIT : world_between(s, 0, 20));
    worker_t *w = any_worker(s);
    if (w && world_chance(s, 0.5)) disturb_worker(s, w);
    if (world_chance(s, 0.2)) disturb_client(s, &s->clients[world_between(s, 0, s->client_count - 1)]);
}
/* ---- running */

/* A mail for a connection that nobody listens on any more is lost. */
static void deliver_to_peer(sim_t *s, mail_t *m) {
    for (size_t i = 0; i < s->client_count; i++) {
        client_t *c = &s->clients[i];
        if (c->peer != m->peer || !c->alive) continue;
        if (c->stall_until > s->now) { /* its disk is slow: it reads this mail later */
            world_push(s, (event_t){.time = c->stall_until, .kind = WAKE_MAIL, .mail = m});
            m->users++;
            return;
        }
        client_message(s, c, m);
        return;
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        worker_t *w = &s->workers[i];
        if (w->alive && w->peer == m->peer && w->silent_until <= s->now) worker_message(s, w, m);
    }
}

static void deliver(sim_t *s, mail_t *m) {
    world_trace(s, "%s %" PRIu64 " %s job %" PRIu64 " (%" PRIu64 ", %" PRIu64 ", %" PRIu64 ") %zu rows",
                m->to_scheduler ? "from" : "  to", m->peer, mail_name(m->kind), m->job, m->a, m->b, m->c,
                m->count);
    if (!m->to_scheduler)
        deliver_to_peer(s, m);
    else if (m->kind < M_HELLO)
        scheduler_from_client(s, m);
    else
        scheduler_from_worker(s, m);
    if (m->to_scheduler) scheduler_act(s);
    mail_done(m);
}

/* A client with random limits; one in ten of its rows kills its worker. */
static void setup_client(sim_t *s, client_t *c, size_t number) {
    *c = (client_t){.number = number,
                    .rows_total = world_between(s, 0, ROWS_MAX),
                    .window_rows = world_between(s, 1, 60),
                    .window_bytes = 100000,
                    .concurrency = world_between(s, 1, 24),
                    .chunk_rows = world_between(s, 1, 20),
                    .result_rows = world_between(s, 1, 40),
                    .result_bytes = 100000};
    c->priority = world_between(s, 1, 5);
    c->endpoints = (uint32_t)world_between(s, 0, (1 << ENDPOINTS) - 1);
    c->revoked_ns = world_chance(s, 0.3) ? s->now + world_between(s, 0, 30 * SECOND) : UINT64_MAX;
    if (world_chance(s, 0.4)) c->window_bytes = world_between(s, 1, 2000);
    if (world_chance(s, 0.3)) c->result_bytes = world_between(s, 1, 1000);
    for (int i = 0; i < 2; i++) {
        if (world_chance(s, 0.1)) c->killers[i] = world_between(s, 0, ROWS_MAX); /* 0: none; else index + 1 */
    }
    client_begin(s, c);
    world_wake(s, WAKE_CLIENT, number, s->now + world_between(s, 0, RULE_WAIT));
}

/* A world from the seed: what is lost, repeated and late, and who is there. */
static void setup(sim_t *s) {
    rng_seed(&s->rng, s->seed, 1);
    s->now = SECOND;
    s->peers = 1;
    s->d = dispatch_new();
    s->endpoints = xcalloc(ENDPOINTS, sizeof *s->endpoints);
    for (size_t e = 0; e < ENDPOINTS; e++) {
        s->endpoints[e].limit = s->endpoints[e].limit_max = DISPATCH_NO_LIMIT;
    }
    s->retry = world_chance(s, 0.7) ? rng_real(&s->rng) * 0.6 : 0;
    s->faults_end = s->now + world_between(s, 0, 40 * SECOND);
    s->drop = world_chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->repeat = world_chance(s, 0.7) ? rng_real(&s->rng) * 0.2 : 0;
    s->stall = world_chance(s, 0.3) ? (double)world_between(s, 1, 5) * 0.01 : 0;
    s->delay_max = world_chance(s, 0.5) ? world_between(s, MILLISECOND, 2 * SECOND) : 3 * MILLISECOND;
    s->client_count = world_between(s, 1, CLIENTS_MAX);
    for (size_t i = 0; i < s->client_count; i++) {
        setup_client(s, &s->clients[i], i);
    }
    for (uint64_t n = world_between(s, 0, 3); n > 0; n--) {
        worker_start(s);
    }
    world_wake(s, WAKE_SCHEDULER, 0, s->now);
    world_wake(s, WAKE_CHAOS, 0, s->now);
}

static bool all_finished(const sim_t *s) {
    for (size_t i = 0; i < s->client_count; i++) {
        if (!s->clients[i].finished) return false;
    }
    return true;
}

/* Takes the next event and lets it happen. */
static void step(sim_t *s) {
    event_t e = world_pop(s);
    s->now = e.time;
    switch (e.kind) {
    case WAKE_MAIL: deliver(s, e.mail); break;
    case WAKE_CLIENT: client_wake(s, e.who); break;
    case WAKE_WORKER: worker_wake(s, e.who); break;
    case WAKE_CHAOS: wake_chaos(s); break;
    case WAKE_CUT: scheduler_connection_gone(s, e.who); break;
    case WAKE_SCHEDULER:
        dispatch_tick(s->d, s->now);
        scheduler_judge(s);
        scheduler_act(s);
        judge_patience(s);
        world_wake(s, WAKE_SCHEDULER, 0, s->now + 100 * MILLISECOND);
        break;
    }
}

/* Frees the world, in whatever state it is. */
static void teardown(sim_t *s) {
    while (heap_first(&s->events)) {
        event_t e = world_pop(s);
        if (e.kind == WAKE_MAIL) mail_done(e.mail);
    }
    for (size_t i = 0; i < s->worker_count; i++) {
        worker_clear(&s->workers[i]);
    }
    for (size_t i = 0; i < s->client_count; i++) {
        client_clear(&s->clients[i]);
    }
    for (size_t i = 0; i < s->book_count; i++) {
        endpoint_book_destroy(&s->books[i]->endpoints);
        free(s->books[i]);
    }
    free(s->endpoints);
    heap_free(&s->events);
    dispatch_destroy(&s->d);
}

static void explain_hang(sim_t *s) {
    for (size_t i = 0; i < s->client_count; i++) {
        const client_t *c = &s->clients[i];
        dispatch_job_stats_t st;
        dispatch_job_stats(s->d, c->job, &st);
        if (!c->finished)
            world_fail(s,
                       "job %" PRIu64 " of client %zu does not end: received %" PRIu64 " of %" PRIu64
                       ", queued %" PRIu64 ", leased %" PRIu64 ", answered %" PRIu64 ", written %" PRIu64,
                       c->job, i, st.rows_received, c->job_rows, st.rows_queued, st.rows_leased,
                       st.rows_answered, c->ok + c->failed);
    }
}

/* After the last job: nothing is left in the dispatcher. */
static void check_empty(sim_t *s) {
    dispatch_stats_t stats;
    dispatch_check(s->d);
    dispatch_stats(s->d, &stats);
    if (stats.rows_queued + stats.rows_leased + stats.rows_answered + stats.bytes_pending > 0)
        world_fail(s, "rows are left behind");
}

typedef struct totals {
    uint64_t passed, failed, jobs, duplicates, row_failures, requeued, resent, lost, virtual_s;
} totals_t;

/* One world from its beginning to the end of its last job. True: no promise was broken. */
static bool run_seed(uint64_t seed, broken_t broken, bool verbose, bool quiet, totals_t *t) {
    sim_t *s = xcalloc(1, sizeof *s);
    sim_set_seed(seed);
    s->seed = seed;
    s->broken = broken;
    s->verbose = verbose;
    s->quiet = quiet;
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

typedef struct plan {
    sim_seeds_t seeds;
    uint64_t jobs;
    broken_t broken;
} plan_t;

/* Every `jobs`th seed from `first` on. */
static totals_t run_seeds(const plan_t *plan, uint64_t first) {
    totals_t t = {0};
    for (uint64_t seed = first; seed < plan->seeds.first + plan->seeds.count; seed += plan->jobs) {
        run_seed(seed, plan->broken, plan->seeds.verbose, false, &t);
    }
    return t;
}

static void add_totals(totals_t *sum, const totals_t *t) {
    for (size_t i = 0; i < sizeof *t / sizeof(uint64_t); i++) {
        ((uint64_t *)sum)[i] += ((const uint64_t *)t)[i];
    }
}

/* Runs the seeds in several processes; each writes what it found into a pipe. A process that ends without
 * that has failed. */
static totals_t run_parallel(const plan_t *plan) {
    enum { JOBS_LIMIT = 64 };
    int pipes[JOBS_LIMIT][2];
    totals_t sum = {0};
    for (uint64_t i = 0; i < plan->jobs; i++) {
        if (pipe(pipes[i]) != 0) abort();
        if (fork() != 0) continue;
        totals_t t = run_seeds(plan, plan->seeds.first + i);
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

/* ---- can it fail? */

static const char *const broken_names[BROKEN_KINDS] = {
    [BROKEN_NOTHING] = "nothing",   [BROKEN_RESEND] = "resend", [BROKEN_ACK] = "ack",
    [BROKEN_LEASE] = "lease",       [BROKEN_ERA] = "era",       [BROKEN_MISSING] = "missing",
    [BROKEN_CHUNK] = "chunk",       [BROKEN_END] = "end",       [BROKEN_NUMBERS] = "numbers",
    [BROKEN_WAITING] = "waiting",   [BROKEN_CALLS] = "calls",   [BROKEN_REPORTS] = "reports",
    [BROKEN_PATIENCE] = "patience", [BROKEN_CUT] = "cut",
};

/* Breaks each rule of worker and client that can be broken, until a seed fails. When no seed does, the judge
 * has failed. */
static totals_t run_broken(void) {
    enum { SEEDS_MAX = 1000 };
    totals_t sum = {0};
    for (broken_t broken = BROKEN_NOTHING + 1; broken < BROKEN_KINDS; broken++) {
        totals_t t = {0};
        uint64_t seed = 1;
        while (seed <= SEEDS_MAX && run_seed(seed, broken, false, true, &t)) {
            seed++;
        }
        if (t.failed)
            printf("broken rule %s: noticed by seed %" PRIu64 "\n", broken_names[broken], seed);
        else
            printf("broken rule %s: no seed fails, so the judge is blind\n", broken_names[broken]);
        *(t.failed ? &sum.passed : &sum.failed) += 1;
    }
    return sum;
}

static int read_broken(const char *name, broken_t *broken) {
    for (*broken = BROKEN_NOTHING; *broken < BROKEN_KINDS; (*broken)++) {
        if (strcmp(name, broken_names[*broken]) == 0) return 0;
    }
    return -1;
}

/* Reads the command line. Negative: it is wrong. */
static int read_plan(int argc, char **argv, plan_t *plan) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *plan = (plan_t){.seeds = SIM_SEEDS, .jobs = cpus > 0 && cpus < 64 ? (uint64_t)cpus : 1};
    for (int at = 1; at < argc;) {
        if (sim_seeds_read(&plan->seeds, argc, argv, &at)) continue;
        if (at + 1 < argc && strcmp(argv[at], "--jobs") == 0)
            plan->jobs = strtoull(argv[at + 1], NULL, 10);
        else if (at + 1 == argc || strcmp(argv[at], "--break") != 0 ||
                 read_broken(argv[at + 1], &plan->broken) != 0)
            return -1;
        at += 2;
    }
    if (plan->seeds.count == 1) plan->jobs = 1;
    return plan->jobs >= 1 && plan->jobs <= 64 ? 0 : -1;
}

int main(int argc, char **argv) {
    plan_t plan;
    if (read_plan(argc, argv, &plan) != 0)
        return fprintf(stderr, "usage: sim_dispatch [--seeds N] [--seed S] [--jobs J] [--break RULE] [-v]\n"),
               2;
    world_init();
    sim_begin(NULL);
    totals_t t = plan.jobs == 1 ? run_seeds(&plan, plan.seeds.first) : run_parallel(&plan);
    printf("%" PRIu64 " jobs ended in %" PRIu64 " virtual seconds; %" PRIu64 " workers lost, %" PRIu64
           " rows requeued, %" PRIu64 " leases resent, %" PRIu64 " second answers dropped, %" PRIu64
           " rows failed\n",
           t.jobs, t.virtual_s, t.lost, t.requeued, t.resent, t.duplicates, t.row_failures);
    if (plan.seeds.count > 1 && plan.broken == BROKEN_NOTHING) {
        totals_t broken = run_broken();
        add_totals(&t, &broken);
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", t.passed, t.failed);
    return t.failed ? 1 : 0;
}
