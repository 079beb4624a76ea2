/* The dispatcher, event by event. A world `w` collects the actions of the last `go`; time moves only when a
 * test says so. */
#include "core/sched/dispatch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/limits.h"
#include "core/base/clock.h"
#include "core/sched/limits.h"

#include <criterion/criterion.h>

enum { ACTIONS_MAX = 4096, INDEXES_MAX = 4096, CLIENT = 900, JOB = 7 };

typedef struct seen {    /* a copied action */
    dispatch_action_t a; /* its pointers are not valid */
    uint64_t indexes[INDEXES_MAX];
    size_t count;
    char text[256]; /* reason, or the first row's bytes */
} seen_t;

typedef struct world {
    dispatch_t *d;
    uint64_t now;
    seen_t *seen;
    size_t count;
    uint64_t chunk; /* next to send */
    uint64_t index; /* next row */
    uint64_t slow;  /* bit per worker: the test itself answers its PERMITS */
} world_t;

static void copy_text(seen_t *s, const char *text, size_t len) {
    if (len >= sizeof s->text) len = sizeof s->text - 1;
    memcpy(s->text, text, len);
    s->text[len] = '\0';
}

static void keep(seen_t *s, const dispatch_action_t *a) {
    memset(s, 0, sizeof *s);
    s->a = *a;
    for (size_t i = 0; a->kind == DISPATCH_LEASE && i < a->row_count; i++)
        s->indexes[s->count++] = a->rows[i].index;
    for (size_t i = 0; a->kind == DISPATCH_RESULTS && i < a->done_count; i++)
        s->indexes[s->count++] = a->done[i].index;
    if (a->kind == DISPATCH_RESULTS) copy_text(s, a->done[0].json.data, a->done[0].json.len);
    if (a->reason) copy_text(s, a->reason, strlen(a->reason));
}

/* What a worker says of its units of a job's permit. */
static void held(world_t *w, uint64_t id, uint64_t job, uint64_t permit, uint64_t used, uint64_t waiting) {
    units_held_t said = {.permit = permit, .used = used, .waiting = waiting};
    dispatch_worker_running(w->d, id, job, &said, w->now);
}

/* A worker that is not slow uses nothing beyond its new permit. */
static void answer_permits(world_t *w, const dispatch_action_t *a) {
    if (a->worker < 64 && w->slow >> a->worker & 1) return;
    if (a->kind == DISPATCH_PERMITS) held(w, a->worker, a->job, a->permit_units, 0, 0);
    if (a->kind == DISPATCH_ENDPOINT_PERMITS)
        dispatch_worker_calls(w->d, a->worker, a->endpoint, a->permit_calls, 0, w->now);
}

/* Takes all actions. */
static void go(world_t *w) {
    dispatch_action_t a;
    w->count = 0;
    while (dispatch_next(w->d, w->now, &a)) {
        cr_assert_lt(w->count, ACTIONS_MAX);
        keep(&w->seen[w->count++], &a);
        answer_permits(w, &a);
    }
    dispatch_check(w->d);
}

static world_t start(void) {
    world_t w = {.d = dispatch_new(), .now = SECOND, .seen = xcalloc(ACTIONS_MAX, sizeof(seen_t))};
    return w;
}

static void finish(world_t *w) {
    dispatch_destroy(&w->d);
    cr_assert_null(w->d);
    free(w->seen);
}

static void open_job(world_t *w, uint64_t window_rows, uint64_t window_bytes, uint64_t concurrency) {
    dispatch_job_t job = {
        .job = JOB, .window_rows = window_rows, .window_bytes = window_bytes, .concurrency = concurrency};
    cr_assert_eq(dispatch_job_open(w->d, CLIENT, &job, w->now, NULL), SDG_OK);
    dispatch_result_credit(w->d, JOB, 1000000, 1000000000, w->now);
    go(w);
}

static int hello(world_t *w, uint64_t id, uint64_t peer, err_t *err) {
    dispatch_worker_t said = {.worker = id, .patience_ns = BEATS_MISSED_MAX * BEAT_NS};
    return dispatch_worker_hello(w->d, peer, &said, w->now, err);
}

static void worker(world_t *w, uint64_t id) {
    cr_assert_eq(hello(w, id, id * 10, NULL), SDG_OK);
    dispatch_worker_credit(w->d, id, WORKER_ROWS_MAX, WORKER_BYTES_MAX, w->now);
}

/* The test answers its PERMITS itself. */
static void slow_worker(world_t *w, uint64_t id) {
    w->slow |= UINT64_C(1) << id;
    worker(w, id);
}

/* It drains and runs nothing. */
static void drain(world_t *w, uint64_t id) {
    dispatch_worker_drain(w->d, id, w->now);
    held(w, id, JOB, 0, 0, 0);
}

/* The next chunk: `count` rows {"n":<index>}. */
static int rows(world_t *w, size_t count) {
    row_in_t row[200];
    char text[200][32];
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(text[i], sizeof text[i], "{\"n\":%" PRIu64 "}", w->index);
        row[i] = (row_in_t){.index = w->index, .line = w->index + 1, .raw = {text[i], (size_t)len}};
        w->index++;
    }
    int rc = dispatch_rows(w->d, JOB, w->chunk, row, count, w->now);
    w->chunk++;
    return rc;
}

static void answer(world_t *w, uint64_t id, uint64_t index, const char *json) {
    row_done_t done = {.index = index, .json = {json, strlen(json)}, .meta = {"m", 1}};
    dispatch_row_results(w->d, id, JOB, &done, 1, w->now);
}

static seen_t *find(world_t *w, dispatch_kind_t kind, uint64_t worker_id) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->seen[i].a.kind == kind && (worker_id == 0 || w->seen[i].a.worker == worker_id))
            return &w->seen[i];
    }
    return NULL;
}

static size_t how_many(world_t *w, dispatch_kind_t kind) {
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->seen[i].a.kind == kind;
    return n;
}

/* Rows leased to this worker by the last `go`. */
static uint64_t leased_to(world_t *w, uint64_t id) {
    uint64_t n = 0;
    for (size_t i = 0; i < w->count; i++)
        n += w->seen[i].a.kind == DISPATCH_LEASE && w->seen[i].a.worker == id ? w->seen[i].count : 0;
    return n;
}

/* Ticks for a while; the named workers (0 ends the list) beat and report all leases. */
static void pass(world_t *w, uint64_t ns, uint64_t a, uint64_t b) {
    for (uint64_t end = w->now + ns; w->now < end;) {
        w->now += 500 * MILLISECOND;
        if (a) dispatch_worker_beat(w->d, a, w->now);
        if (b) dispatch_worker_beat(w->d, b, w->now);
        dispatch_tick(w->d, w->now);
    }
}

Test(dispatch, a_row_goes_to_a_worker_and_its_result_to_the_client) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.rows_limit, 100);
    worker(&w, 1);
    rows(&w, 1);
    dispatch_rows_end(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(w.seen[0].a.kind, DISPATCH_PERMITS, "permits come before the first lease");
    cr_assert_eq(w.seen[0].a.permit_units, 4);
    cr_assert_eq(w.seen[1].a.kind, DISPATCH_LEASE);
    cr_assert_eq(w.seen[1].a.peer, 10);
    cr_assert_eq(leased_to(&w, 1), 1);
    answer(&w, 1, 0, "{\"x\":1}");
    go(&w);
    seen_t *results = find(&w, DISPATCH_RESULTS, 0);
    cr_assert_eq(results->a.peer, CLIENT);
    cr_assert_str_eq(results->text, "{\"x\":1}");
    cr_assert_null(find(&w, DISPATCH_JOB_DONE, 0), "not before it is on disk");
    dispatch_results_ack(w.d, JOB, results->a.batch, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, 1);
    cr_assert_str_eq(find(&w, DISPATCH_JOB_DONE, 0)->text, "");
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_NOW);
    finish(&w);
}

/* ---- credit */

Test(dispatch, the_credits_are_told_for_the_monitor) {
    world_t w = start();
    dispatch_job_stats_t job;
    dispatch_stats_t all;
    open_job(&w, 10, 10000, 4);
    worker(&w, 1), worker(&w, 2);
    dispatch_worker_credit(w.d, 2, 7, 1000, w.now);
    dispatch_job_stats(w.d, JOB, &job);
    dispatch_stats(w.d, &all);
    cr_assert(job.window_rows == 10 && job.window_bytes == 10000 && job.ingest_rows_limit == 10);
    cr_assert_eq(job.result_rows_limit, 1000000);
    cr_assert_eq(all.row_credit, WORKER_ROWS_MAX + 7);
    finish(&w);
}

Test(dispatch, a_chunk_beyond_the_credit_is_dropped) {
    world_t w = start();
    open_job(&w, 10, 10000, 4);
    cr_assert_eq(rows(&w, 11), SDG_ELIMIT);
    w.chunk = w.index = 0;
    cr_assert_eq(rows(&w, 10), SDG_OK);
    cr_assert_eq(rows(&w, 1), SDG_ELIMIT);
    dispatch_job_stats_t stats;
    cr_assert(dispatch_job_stats(w.d, JOB, &stats));
    cr_assert_eq(stats.rows_queued, 10);
    finish(&w);
}

Test(dispatch, the_last_row_of_a_chunk_may_pass_the_byte_limit) {
    world_t w = start();
    open_job(&w, 10, 20, 4);
    cr_assert_eq(rows(&w, 3),
                 SDG_ELIMIT); /* 7 bytes each, half of the window is for rows: two before the last */
    w.chunk = w.index = 0;
    cr_assert_eq(rows(&w, 2), SDG_OK);
    cr_assert_eq(rows(&w, 1), SDG_ELIMIT);
    finish(&w);
}

Test(dispatch, a_repeated_or_early_chunk_changes_nothing_and_the_credit_says_what_is_expected) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    rows(&w, 2);
    w.chunk = 0;
    cr_assert_eq(rows(&w, 2), SDG_OK);
    w.chunk = 5;
    cr_assert_eq(rows(&w, 2), SDG_OK);
    dispatch_job_stats_t stats;
    dispatch_job_stats(w.d, JOB, &stats);
    cr_assert_eq(stats.rows_received, 2);
    w.now += SECOND;
    dispatch_tick(w.d, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.next_chunk, 1);
    finish(&w);
}

Test(dispatch, two_rows_of_one_index_are_one_row) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    row_in_t twice[2] = {{.index = 3, .raw = {"1", 1}}, {.index = 3, .raw = {"2", 1}}};
    cr_assert_eq(dispatch_rows(w.d, JOB, 0, twice, 2, w.now), SDG_OK);
    dispatch_stats_t stats;
    dispatch_stats(w.d, &stats);
    cr_assert_eq(stats.rows_queued, 1);
    cr_assert_eq(stats.bytes_pending, 1);
    go(&w);
    finish(&w);
}

Test(dispatch, ingest_credit_grows_with_acknowledged_rows_only) {
    world_t w = start();
    open_job(&w, 10, 100000, 100);
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 10);
    for (uint64_t i = 0; i < 10; i++)
        answer(&w, 1, i, "{}");
    go(&w);
    cr_assert_null(find(&w, DISPATCH_INGEST_CREDIT, 0));
    dispatch_results_ack(w.d, JOB, find(&w, DISPATCH_RESULTS, 0)->a.batch, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.rows_limit, 20);
    finish(&w);
}

Test(dispatch, large_results_hold_back_leases_until_they_are_on_disk) {
    static char big[400];
    memset(big, 'x', sizeof big - 1);
    world_t w = start();
    open_job(&w, 100, 1000, 2); /* share 2 + 2 ahead; 500 bytes for results */
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 4);
    answer(&w, 1, 0, big);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 1, "400 bytes of results wait for the client");
    answer(&w, 1, 1, big), answer(&w, 1, 2, big);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 0, "1200 bytes of results wait");
    dispatch_results_ack(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 0, "800 bytes");
    dispatch_results_ack(w.d, JOB, 2, w.now);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 2);
    finish(&w);
}

/* Window of 1000 bytes, rows as large as they may be, results larger; the client takes its time. */
Test(dispatch, pending_bytes_have_a_bound) {
    enum { WINDOW = 1000, RESULT = 300, OUT = 3 }; /* OUT: share 1 + 2 ahead */
    static char big[RESULT];
    memset(big, 'x', sizeof big - 1);
    world_t w = start();
    open_job(&w, 1000, WINDOW, 1);
    worker(&w, 1);
    uint64_t most = 0, answered = 0, acknowledged = 0;
    for (int turn = 0; turn < 300; turn++, w.now += SECOND) {
        while (rows(&w, 1) == SDG_OK) {
        }
        w.chunk--, w.index--; /* beyond the credit */
        go(&w);
        dispatch_job_stats_t stats;
        dispatch_job_stats(w.d, JOB, &stats);
        most = stats.bytes_pending > most ? stats.bytes_pending : most;
        if (stats.rows_leased > 0) answer(&w, 1, answered++, big);
        if (turn % 3 == 2) dispatch_results_ack(w.d, JOB, ++acknowledged, w.now);
        dispatch_tick(w.d, w.now);
        dispatch_worker_beat(w.d, 1, w.now);
    }
    cr_assert_gt(answered, 90, "it goes on");
    cr_assert_gt(most, WINDOW, "%" PRIu64, most);
    cr_assert_leq(most, WINDOW + 10 + OUT * RESULT, "%" PRIu64, most);
    finish(&w);
}

Test(dispatch, rows_and_results_larger_than_the_window_go_one_by_one) {
    world_t w = start();
    open_job(&w, 100, 1, 4);
    worker(&w, 1);
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(rows(&w, 1), SDG_OK);
        cr_assert_eq(rows(&w, 1), SDG_ELIMIT);
        w.chunk--, w.index--;
        go(&w);
        cr_assert_eq(leased_to(&w, 1), 1);
        answer(&w, 1, i, "{\"large\":1}");
        go(&w);
        dispatch_results_ack(w.d, JOB, find(&w, DISPATCH_RESULTS, 0)->a.batch, w.now);
        go(&w);
    }
    finish(&w);
}

Test(dispatch, a_parked_row_counts_as_not_failed) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    rows(&w, 3);
    dispatch_rows_end(w.d, JOB, 1, w.now);
    go(&w);
    for (uint32_t status = 0; status < 3; status++) {
        row_done_t done = {.index = status, .status = status, .json = {"{}", 2}};
        dispatch_row_results(w.d, 1, JOB, &done, 1, w.now);
    }
    go(&w);
    dispatch_results_ack(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, 2);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_failed, 1);
    finish(&w);
}

/* ---- shares and leases */

Test(dispatch, concurrency_is_shared_evenly_and_anew_when_workers_come_and_go) {
    world_t w = start();
    open_job(&w, 100, 10000, 5);
    worker(&w, 1), worker(&w, 2);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 3);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 2);
    drain(&w, 1);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1), "a draining worker keeps its permits for the rows it runs");
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 5);
    worker(&w, 3);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 3)->a.permit_units, 2);
    dispatch_worker_gone(w.d, 2, false, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 3)->a.permit_units, 5);
    finish(&w);
}

Test(dispatch, a_worker_without_a_share_gets_nothing) {
    world_t w = start();
    open_job(&w, 100, 10000, 1);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 50);
    go(&w);
    cr_assert_gt(leased_to(&w, 1), 0);
    cr_assert_eq(leased_to(&w, 2), 0);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 2), "it need not even load the job");
    finish(&w);
}

Test(dispatch, a_worker_gets_its_share_and_a_little_ahead) {
    world_t w = start();
    open_job(&w, 1000, 100000, 64);
    worker(&w, 1);
    rows(&w, 200);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 72); /* 64 + 64/8 */
    finish(&w);
}

Test(dispatch, a_fast_worker_gets_more_ahead) {
    world_t w = start();
    open_job(&w, 10000, 1000000, 4);
    worker(&w, 1);
    rows(&w, 200), rows(&w, 200);
    go(&w);
    uint64_t answered = 0, most = 0;
    for (int i = 0; i < 30; i++) { /* all it holds in 10 ms, every time */
        dispatch_job_stats_t stats;
        dispatch_job_stats(w.d, JOB, &stats);
        if (stats.rows_leased > most) most = stats.rows_leased;
        w.now += 10 * MILLISECOND;
        for (uint64_t n = stats.rows_leased; n > 0; n--)
            answer(&w, 1, answered++, "{}");
        go(&w);
    }
    cr_assert_gt(most, 4 + 2 + 5);
    finish(&w);
}

Test(dispatch, a_short_queue_is_for_everybody) {
    world_t w = start();
    open_job(&w, 1000, 100000, 400);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 100);
    go(&w);
    cr_assert_eq(leased_to(&w, 1) + leased_to(&w, 2), 100);
    cr_assert_gt(leased_to(&w, 2), 40);
    cr_assert_gt(leased_to(&w, 1), 40);
    finish(&w);
}

Test(dispatch, credit_of_a_worker_bounds_its_leases) {
    world_t w = start();
    open_job(&w, 1000, 100000, 400);
    worker(&w, 1);
    dispatch_worker_credit(w.d, 1, 5, 1000, w.now);
    rows(&w, 100);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 5);
    dispatch_worker_credit(w.d, 1, 100, 7 * 6, w.now); /* bytes for six rows of 7 */
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 1);
    finish(&w);
}

Test(dispatch, a_row_larger_than_the_credit_goes_to_an_idle_worker) {
    world_t w = start();
    open_job(&w, 1000, 100000, 400);
    worker(&w, 1);
    dispatch_worker_credit(w.d, 1, 100, 3, w.now);
    rows(&w, 2);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 1);
    answer(&w, 1, 0, "{}");
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 1);
    finish(&w);
}

/* ---- several jobs */

enum { JOB_2 = 8, CREDIT = 100 };

/* Jobs of tests on sharing: 2000 rows each if not said otherwise, more than the worker's credit at once. */
static void open_as(world_t *w, uint64_t job, uint64_t priority) {
    dispatch_job_t asked = {
        .job = job, .window_rows = 2000, .window_bytes = 1000000, .concurrency = 1000, .priority = priority};
    cr_assert_eq(dispatch_job_open(w->d, CLIENT + job, &asked, w->now, NULL), SDG_OK);
    dispatch_result_credit(w->d, job, 1000000000, 1000000000000, w->now);
    go(w);
}

static void fill(world_t *w, uint64_t job, uint64_t chunk, uint64_t first, size_t count) {
    row_in_t *row = xcalloc(count, sizeof *row);
    for (size_t i = 0; i < count; i++) {
        row[i] = (row_in_t){.index = first + i, .raw = {"{}", 2}};
    }
    cr_assert_eq(dispatch_rows(w->d, job, chunk, row, count, w->now), SDG_OK);
    free(row);
}

typedef struct shared_worker {
    world_t *w;
    uint64_t job[CREDIT], index[CREDIT], head, held; /* rows it holds, oldest first */
    uint64_t got[16], leases;                        /* rows leased, by job */
} shared_worker_t;

static void take_leases(shared_worker_t *s) {
    for (size_t i = 0; i < s->w->count; i++) {
        const seen_t *seen = &s->w->seen[i];
        if (seen->a.kind == DISPATCH_RESULTS)
            dispatch_results_ack(s->w->d, seen->a.job, seen->a.batch, s->w->now);
        if (seen->a.kind != DISPATCH_LEASE) continue;
        s->leases++;
        s->got[seen->a.job] += seen->count;
        for (size_t k = 0; k < seen->count; k++, s->held++) {
            cr_assert_lt(s->held, CREDIT);
            s->job[(s->head + s->held) % CREDIT] = seen->a.job;
            s->index[(s->head + s->held) % CREDIT] = seen->indexes[k];
        }
    }
}

/* The worker answers its oldest rows, `at_once` of them, and takes what it gets for them. */
static void work(shared_worker_t *s, uint64_t at_once) {
    for (uint64_t i = 0; i < at_once && s->held > 0; i++, s->held--) {
        row_done_t done = {.index = s->index[s->head], .json = {"{}", 2}};
        dispatch_row_results(s->w->d, 1, s->job[s->head], &done, 1, s->w->now);
        s->head = (s->head + 1) % CREDIT;
    }
    s->w->now += MILLISECOND;
    go(s->w);
    take_leases(s);
    go(s->w); /* what the acknowledgements changed */
    take_leases(s);
}

static void shared_worker(world_t *w) {
    worker(w, 1);
    dispatch_worker_credit(w->d, 1, CREDIT, 1000000, w->now);
}

Test(dispatch, jobs_take_turns) {
    world_t w = start();
    open_as(&w, JOB, 0), open_as(&w, JOB_2, 0);
    fill(&w, JOB, 0, 0, 100), fill(&w, JOB_2, 0, 0, 1);
    shared_worker(&w);
    dispatch_worker_credit(w.d, 1, LEASE_TURN_ROWS * JOB_PRIORITY_DEFAULT + 5, 10000, w.now);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_LEASE), 3, "a turn, the row of the other job, and what is left");
    cr_assert_eq(w.seen[w.count - 3].count, LEASE_TURN_ROWS * JOB_PRIORITY_DEFAULT);
    cr_assert_eq(w.seen[w.count - 2].a.job, JOB_2);
    cr_assert_eq(w.seen[w.count - 1].count, 4);
    finish(&w);
}

/* Rows as the weights say, to within a turn of each, however many rows are free at a time. */
static void expect_ratio(uint64_t weight, uint64_t other, uint64_t at_once) {
    world_t w = start();
    shared_worker_t s = {.w = &w};
    open_as(&w, JOB, weight), open_as(&w, JOB_2, other);
    fill(&w, JOB, 0, 0, 2000), fill(&w, JOB_2, 0, 0, 2000);
    shared_worker(&w);
    for (go(&w), take_leases(&s); s.got[JOB] < 1800 && s.got[JOB_2] < 1800;) {
        work(&s, at_once);
        double ahead = (double)s.got[JOB_2] * (double)weight - (double)s.got[JOB] * (double)other;
        double turn = (double)(LEASE_TURN_ROWS * weight * other);
        cr_assert(ahead <= turn && -ahead <= turn, "%" PRIu64 " and %" PRIu64 " rows, %" PRIu64 " at once",
                  s.got[JOB], s.got[JOB_2], at_once);
    }
    finish(&w);
}

Test(dispatch, rows_follow_the_priorities_of_jobs_that_compete) {
    for (uint64_t at_once = 1; at_once <= CREDIT; at_once += 11)
        expect_ratio(10, 30, at_once);
    expect_ratio(1, 1, 7);
    expect_ratio(100, 1, 7);
}

Test(dispatch, a_small_job_is_not_stuck_behind_a_huge_one) {
    enum { HUGE_ROWS = 100000, SMALL_ROWS = 10 };
    world_t w = start();
    shared_worker_t s = {.w = &w};
    open_as(&w, JOB, 0);
    shared_worker(&w);
    uint64_t sent = 0, chunk = 0, small = 0, since = 0; /* small: leases meanwhile */
    while (s.got[JOB] < HUGE_ROWS) {
        dispatch_job_stats_t stats;
        dispatch_job_stats(w.d, JOB, &stats);
        if (sent < HUGE_ROWS && stats.rows_queued <= 1000 && s.got[JOB] + 1000 >= sent)
            fill(&w, JOB, chunk++, sent, 500), sent += 500;
        if (s.got[JOB] > HUGE_ROWS / 2 && since == 0) {
            open_as(&w, JOB_2, 0);
            fill(&w, JOB_2, 0, 0, SMALL_ROWS);
            since = s.leases;
        }
        work(&s, 3);
        if (s.got[JOB_2] == SMALL_ROWS && small == 0) small = s.leases - since;
        if (since)
            cr_assert(small || s.leases - since < 50, "still waiting after %" PRIu64 " leases",
                      s.leases - since);
    }
    cr_assert_gt(small, 0);
    finish(&w);
}

Test(dispatch, a_job_alone_is_not_cut_into_turns) {
    world_t w = start();
    open_as(&w, JOB, 1), open_as(&w, JOB_2, 100);
    fill(&w, JOB, 0, 0, 2000);
    worker(&w, 1);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_LEASE), 2, "its share and what is ahead: 1125 rows");
    cr_assert_eq(leased_to(&w, 1), 1125);
    finish(&w);
}

Test(dispatch, a_change_of_priority_starves_nobody) {
    world_t w = start();
    shared_worker_t s = {.w = &w};
    open_as(&w, JOB, 1), open_as(&w, JOB_2, 100);
    fill(&w, JOB, 0, 0, 2000), fill(&w, JOB_2, 0, 0, 2000);
    shared_worker(&w);
    go(&w), take_leases(&s);
    uint64_t before[2] = {s.got[JOB], s.got[JOB_2]}, quiet[2] = {0, 0};
    for (int turn = 0; s.got[JOB] < 1900 && s.got[JOB_2] < 1900; turn++) {
        if (turn % 7 == 0) open_as(&w, JOB, turn % 2 ? 1 : 100), open_as(&w, JOB_2, turn % 2 ? 100 : 1);
        work(&s, 20);
        quiet[0] = s.got[JOB] > before[0] ? 0 : quiet[0] + 1;
        quiet[1] = s.got[JOB_2] > before[1] ? 0 : quiet[1] + 1;
        before[0] = s.got[JOB], before[1] = s.got[JOB_2];
        cr_assert(quiet[0] <= 21 && quiet[1] <= 21, "one turn of the other is 400 rows at most");
    }
    finish(&w);
}

Test(dispatch, small_rows_do_not_keep_a_large_one_out) {
    static char large[900];
    memset(large, ' ', sizeof large);
    world_t w = start();
    shared_worker_t s = {.w = &w};
    open_as(&w, JOB, 0), open_as(&w, JOB_2, 0);
    worker(&w, 1);
    dispatch_worker_credit(w.d, 1, 50, 1000, w.now); /* 50 small rows leave no room for the large one */
    fill(&w, JOB, 0, 0, 2000);
    go(&w), take_leases(&s);
    row_in_t row = {.index = 0, .raw = {large, sizeof large}};
    cr_assert_eq(dispatch_rows(w.d, JOB_2, 0, &row, 1, w.now), SDG_OK);
    dispatch_worker_credit(w.d, 1, 100, 990, w.now);
    for (go(&w), take_leases(&s); s.got[JOB] < 1900 && s.got[JOB_2] == 0;)
        work(&s, 1);
    cr_assert_eq(s.got[JOB_2], 1);
    cr_assert_lt(s.got[JOB], 300);
    finish(&w);
}

/* ---- the limit of a job */

Test(dispatch, a_raised_limit_is_granted_at_once_and_a_lowered_one_when_workers_have_answered) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    for (uint64_t id = 1; id <= 2; id++)
        slow_worker(&w, id);
    rows(&w, 50);
    go(&w);
    held(&w, 1, JOB, 4, 4, 0), held(&w, 2, JOB, 4, 4, 0);
    go(&w);
    cr_assert_eq(dispatch_job_limit(w.d, JOB, 20, w.now), SDG_OK);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 10);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 10);
    cr_assert_eq(leased_to(&w, 1) + leased_to(&w, 2), 12, "they hold 6 each, and are to hold 12");
    held(&w, 1, JOB, 10, 10, 0), held(&w, 2, JOB, 10, 10, 0);
    dispatch_job_limit(w.d, JOB, 6, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 3);
    held(&w, 1, JOB, 3, 3, 0); /* the other still runs 10 */
    dispatch_job_limit(w.d, JOB, 12, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1), "3 + 10 may be running, that is more than 12");
    held(&w, 2, JOB, 3, 5, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 6);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 6);
    finish(&w);
}

Test(dispatch, rows_at_a_worker_that_may_run_none_are_asked_back) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 6);
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 3);
    dispatch_job_limit(w.d, JOB, 1, w.now);
    go(&w);
    pass(&w, RESEND_NS, 1, 2);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_JOB_DROP, 1));
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 2)->a.mode, DISPATCH_STOP_DRAIN);
    dispatch_lease_return(w.d, 2, JOB, (uint64_t[]){0, 1, 2, 3, 4, 5}, 6, w.now); /* those that it holds */
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 0);
    dispatch_worker_gone(w.d, 1, false, w.now);
    dispatch_worker_credit(w.d, 2, 100, 10000, w.now);
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 3, "now it is the only one");
    finish(&w);
}

Test(dispatch, a_repeated_limit_changes_nothing_and_none_is_refused) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    worker(&w, 1);
    go(&w);
    cr_assert_eq(dispatch_job_limit(w.d, JOB, 8, w.now), SDG_OK);
    cr_assert_eq(dispatch_job_limit(w.d, JOB, 0, w.now), SDG_EINVAL);
    go(&w);
    cr_assert_eq(w.count, 0);
    finish(&w);
}

/* It was told 4, 8 and 4 again: what it says of the first 4 must not count for the second. */
Test(dispatch, an_old_answer_is_not_taken_for_a_new_one) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    slow_worker(&w, 1);
    go(&w);
    dispatch_job_limit(w.d, JOB, 8, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1), "4 is not answered");
    held(&w, 1, JOB, 4, 2, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 8);
    dispatch_job_limit(w.d, JOB, 4, w.now);
    held(&w, 1, JOB, 4, 4, 0); /* said before it heard of 8 */
    slow_worker(&w, 2);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1));
    cr_assert_null(find(&w, DISPATCH_PERMITS, 2), "8 may be running");
    held(&w, 1, JOB, 8, 8, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 2);
    held(&w, 1, JOB, 2, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 2);
    finish(&w);
}

Test(dispatch, lost_permits_are_repeated_although_others_are_sent) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    open_as(&w, JOB_2, 0);
    slow_worker(&w, 1);
    go(&w);
    size_t repeated = 0;
    for (int i = 0; i < 8; i++) {
        held(&w, 1, JOB_2, 1000 + (uint64_t)i, 1, 0);
        dispatch_job_limit(w.d, JOB_2, 1001 + (uint64_t)i, w.now);
        pass(&w, SECOND, 1, 0);
        go(&w);
        for (size_t k = 0; k < w.count; k++)
            repeated += w.seen[k].a.kind == DISPATCH_PERMITS && w.seen[k].a.job == JOB;
    }
    cr_assert_geq(repeated, 1);
    finish(&w);
}

Test(dispatch, returned_rows_go_back_in_order_and_count_no_death) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    seen_t *lease = find(&w, DISPATCH_LEASE, 1);
    cr_assert_eq(lease->count, 4);
    drain(&w, 1);
    dispatch_lease_return(w.d, 1, JOB, lease->indexes, lease->count, w.now);
    worker(&w, 2);
    go(&w);
    lease = find(&w, DISPATCH_LEASE, 2);
    cr_assert_eq(lease->count, 4);
    cr_assert_eq(lease->indexes[0], 0);
    cr_assert_eq(lease->indexes[3], 3);
    cr_assert_eq(lease->a.attempt, 0);
    cr_assert(lease->a.again, "they may have made calls");
    finish(&w);
}

/* ---- loss */

Test(dispatch, a_lease_that_did_not_arrive_is_sent_again) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    uint64_t lease = find(&w, DISPATCH_LEASE, 1)->a.lease;
    dispatch_worker_leases(w.d, 1, lease, w.now);
    pass(&w, 3 * SECOND, 1, 0);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_LEASE), 1);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.lease, lease);
    dispatch_worker_leases(w.d, 1, lease + 1, w.now); /* now it has */
    pass(&w, 20 * SECOND, 1, 0);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_LEASE), 0);
    finish(&w);
}

Test(dispatch, on_a_new_connection_leases_and_permits_are_sent_at_once) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    dispatch_worker_leases(w.d, 1, 0, w.now);
    hello(&w, 1, 77, NULL);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.peer, 77);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.peer, 77);
    cr_assert_eq(leased_to(&w, 1), 1);
    finish(&w);
}

Test(dispatch, of_a_lost_lease_without_open_rows_the_number_is_sent) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    uint64_t lease = find(&w, DISPATCH_LEASE, 1)->a.lease;
    answer(&w, 99, 0, "{}"); /* somebody else had it from earlier */
    dispatch_worker_leases(w.d, 1, lease, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_LEASES_VOID, 1)->a.lease, lease);
    cr_assert_eq(find(&w, DISPATCH_LEASES_VOID, 1)->a.lease_count, 1);
    cr_assert_eq(leased_to(&w, 1), 0);
    finish(&w);
}

Test(dispatch, results_are_sent_again_until_acknowledged) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    answer(&w, 1, 0, "{}");
    go(&w);
    uint64_t batch = find(&w, DISPATCH_RESULTS, 0)->a.batch;
    pass(&w, 2 * SECOND, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->a.batch, batch);
    pass(&w, 2 * SECOND, 1, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0), "the second wait is 4 s");
    dispatch_results_ack(w.d, JOB, batch, w.now);
    pass(&w, 10 * SECOND, 1, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0));
    finish(&w);
}

/* A client takes batches in order: what came behind a lost one was dropped there. */
Test(dispatch, batches_behind_one_that_is_sent_again_follow_it) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    rows(&w, 3);
    go(&w);
    answer(&w, 1, 0, "{}");
    go(&w);
    uint64_t lost = find(&w, DISPATCH_RESULTS, 0)->a.batch;
    pass(&w, RESEND_NS - 500 * MILLISECOND, 1, 0);
    answer(&w, 1, 1, "{}");
    go(&w);
    answer(&w, 1, 2, "{}");
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->a.batch, lost + 2);
    pass(&w, 500 * MILLISECOND, 1, 0);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_RESULTS), 3, "all of them, although the others are not due");
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->a.batch, lost, "in order");
    dispatch_results_ack(w.d, JOB, lost + 2, w.now);
    finish(&w);
}

Test(dispatch, a_second_answer_is_dropped) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    answer(&w, 1, 0, "{\"a\":1}");
    answer(&w, 1, 0, "{\"a\":2}");
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 1);
    cr_assert_str_eq(find(&w, DISPATCH_RESULTS, 0)->text, "{\"a\":1}");
    dispatch_stats_t stats;
    dispatch_stats(w.d, &stats);
    cr_assert_eq(stats.duplicates_dropped, 1);
    finish(&w);
}

Test(dispatch, an_answer_of_a_lost_worker_is_taken_while_the_row_is_open) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 2);
    go(&w);
    dispatch_worker_gone(w.d, 1, true, w.now);
    go(&w);
    answer(&w, 1, 0, "{\"late\":1}"); /* queued */
    worker(&w, 2);
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 1);
    answer(&w, 1, 1, "{\"late\":1}"); /* leased to another */
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->indexes[0], 1);
    answer(&w, 2, 1, "{\"second\":1}");
    go(&w);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0));
    finish(&w);
}

Test(dispatch, result_credit_bounds_what_is_sent) {
    world_t w = start();
    dispatch_job_t job = {.job = JOB, .window_rows = 100, .window_bytes = 10000, .concurrency = 20};
    dispatch_job_open(w.d, CLIENT, &job, w.now, NULL);
    go(&w);
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    for (uint64_t i = 0; i < 10; i++)
        answer(&w, 1, i, "{\"r\":1}");
    go(&w);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0), "no credit yet");
    dispatch_result_credit(w.d, JOB, 6, 10, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 1, "10 bytes hold one result of 7");
    dispatch_result_credit(w.d, JOB, 6, 1000, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 5);
    dispatch_result_credit(w.d, JOB, 5, 100, w.now); /* an old message */
    dispatch_results_ack(w.d, JOB, 2, w.now);
    dispatch_result_credit(w.d, JOB, 10, 43, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 4);
    finish(&w);
}

Test(dispatch, a_result_larger_than_the_window_goes_alone) {
    world_t w = start();
    dispatch_job_t job = {.job = JOB, .window_rows = 100, .window_bytes = 10000, .concurrency = 20};
    dispatch_job_open(w.d, CLIENT, &job, w.now, NULL);
    dispatch_result_credit(w.d, JOB, 10, 3, w.now);
    go(&w);
    worker(&w, 1);
    rows(&w, 2);
    go(&w);
    answer(&w, 1, 0, "{\"r\":1}"), answer(&w, 1, 1, "{\"r\":1}");
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 1);
    dispatch_results_ack(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->count, 1);
    finish(&w);
}

/* ---- death */

Test(dispatch, a_silent_worker_loses_its_rows_to_others) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    rows(&w, 3);
    go(&w);
    worker(&w, 2);
    dispatch_tick(w.d, w.now);
    pass(&w, 6 * SECOND, 2, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_WORKER_LOST, 1)->a.row_count, 3);
    cr_assert(find(&w, DISPATCH_WORKER_LOST, 1)->a.crashed);
    cr_assert_str_eq(find(&w, DISPATCH_WORKER_LOST, 1)->text, "it was silent for 5 s");
    cr_assert_eq(find(&w, DISPATCH_LEASE, 2)->a.attempt, 1);
    cr_assert_eq(leased_to(&w, 2), 1, "suspects: a quarter of its share at a time");
    finish(&w);
}

Test(dispatch, a_worker_whose_connection_is_gone_is_dead_in_a_moment_and_gets_nothing_until_then) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    rows(&w, 3);
    go(&w);
    dispatch_tick(w.d, w.now);
    dispatch_worker_cut(w.d, 1, w.now);
    rows(&w, 3);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 0, "nothing arrives there");
    worker(&w, 2);
    pass(&w, RECONNECT_NS, 1, 2); /* what is said of it does not help: only HELLO does */
    go(&w);
    cr_assert_null(find(&w, DISPATCH_WORKER_LOST, 0), "it may still come back");
    pass(&w, SECOND, 2, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_WORKER_LOST, 1)->a.row_count, 3);
    cr_assert(find(&w, DISPATCH_WORKER_LOST, 1)->a.crashed);
    cr_assert_str_eq(find(&w, DISPATCH_WORKER_LOST, 1)->text, "its connection is gone");
    cr_assert_eq(find(&w, DISPATCH_LEASE, 2)->a.attempt, 1);
    finish(&w);
}

Test(dispatch, a_worker_that_is_back_on_another_connection_keeps_its_leases) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    rows(&w, 3);
    go(&w);
    uint64_t lease = find(&w, DISPATCH_LEASE, 1)->a.lease;
    dispatch_tick(w.d, w.now);
    dispatch_worker_cut(w.d, 1, w.now);
    pass(&w, SECOND, 0, 0);
    rows(&w, 3);
    go(&w);
    cr_assert_eq(hello(&w, 1, 77, NULL), SDG_OK);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.peer, 77);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.lease, lease, "of the same era, and said again");
    cr_assert_eq(leased_to(&w, 1), 3 + 3, "what came meanwhile is for it, too");
    pass(&w, 10 * SECOND, 1, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_WORKER_LOST, 0));
    finish(&w);
}

Test(dispatch, a_pause_of_the_scheduler_does_not_shorten_the_time_to_come_back) {
    world_t w = start();
    worker(&w, 1);
    dispatch_tick(w.d, w.now);
    dispatch_worker_cut(w.d, 1, w.now);
    dispatch_worker_cut(w.d, 9, w.now);
    w.now += 3600 * SECOND;
    dispatch_tick(w.d, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_WORKER_LOST, 0));
    finish(&w);
}

Test(dispatch, a_pause_of_the_scheduler_is_not_the_workers_silence) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    worker(&w, 1);
    dispatch_tick(w.d, w.now);
    w.now += 3600 * SECOND;
    dispatch_tick(w.d, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_WORKER_LOST, 0));
    finish(&w);
}

Test(dispatch, the_row_that_kills_workers_fails_and_its_neighbours_do_not) {
    enum { KILLER = 13, ROWS = 40 };
    world_t w = start();
    open_job(&w, 100, 10000, 16);
    rows(&w, ROWS);
    uint64_t worker_id = 1, finished = 0, failed = UINT64_MAX;
    for (worker(&w, worker_id); finished < ROWS; w.now += MILLISECOND) {
        go(&w);
        bool dies = false;
        uint64_t todo[INDEXES_MAX], count = 0;
        for (size_t i = 0; i < w.count; i++) {
            if (w.seen[i].a.kind == DISPATCH_RESULTS) finished += w.seen[i].count;
            if (w.seen[i].a.kind == DISPATCH_ROW_FAILED) failed = w.seen[i].a.index;
            for (size_t k = 0; w.seen[i].a.kind == DISPATCH_LEASE && k < w.seen[i].count; k++) {
                todo[count++] = w.seen[i].indexes[k];
                dies = dies || w.seen[i].indexes[k] == KILLER;
            }
        }
        for (uint64_t i = 0; i < count && !dies; i++)
            answer(&w, worker_id, todo[i], "{}");
        if (dies) dispatch_worker_gone(w.d, worker_id, true, w.now), worker(&w, ++worker_id);
    }
    cr_assert_eq(failed, KILLER);
    cr_assert_eq(worker_id, 1 + LEASE_ATTEMPTS_MAX);
    dispatch_results_ack(w.d, JOB, UINT64_MAX, w.now);
    dispatch_rows_end(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, ROWS - 1);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_failed, 1);
    finish(&w);
}

Test(dispatch, the_result_of_a_row_that_kills_says_so) {
    world_t w = start();
    open_job(&w, 100, 10000, 16);
    rows(&w, 1);
    for (uint64_t id = 1; id <= LEASE_ATTEMPTS_MAX; id++) {
        worker(&w, id);
        go(&w);
        cr_assert_eq(find(&w, DISPATCH_LEASE, id)->a.attempt, id - 1);
        dispatch_worker_gone(w.d, id, true, w.now);
    }
    go(&w);
    seen_t *results = find(&w, DISPATCH_RESULTS, 0);
    cr_assert_str_eq(results->text,
                     "{\"_row_index\": 0, \"_error\": \"this row was running on 3 workers that died\"}");
    finish(&w);
}

Test(dispatch, fresh_rows_flow_beside_a_suspect) {
    world_t w = start();
    open_job(&w, 100, 10000, 4);
    rows(&w, 8);
    worker(&w, 1);
    go(&w);
    dispatch_worker_gone(w.d, 1, true, w.now);
    worker(&w, 2);
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 1 + 2, "one suspect of six, and two rows that were not leased before");
    rows(&w, 1);
    go(&w);
    cr_assert_eq(leased_to(&w, 2), 1, "it waits for rows it may have");
    finish(&w);
}

Test(dispatch, goodbye_counts_no_death) {
    world_t w = start();
    open_job(&w, 100, 10000, 16);
    rows(&w, 1);
    for (uint64_t id = 1; id <= 10; id++) {
        worker(&w, id);
        go(&w);
        cr_assert_eq(find(&w, DISPATCH_LEASE, id)->a.attempt, 0);
        cr_assert_eq(find(&w, DISPATCH_LEASE, id)->a.again, id > 1);
        dispatch_worker_gone(w.d, id, false, w.now);
    }
    finish(&w);
}

/* ---- refusing, stopping, ending */

static void python_job(world_t *w) {
    dispatch_job_t job = {
        .job = JOB, .window_rows = 100, .window_bytes = 10000, .concurrency = 4, .python = true};
    cr_assert_eq(dispatch_job_open(w->d, CLIENT, &job, w->now, NULL), SDG_OK);
    go(w);
    rows(w, 4);
}

Test(dispatch, a_job_with_python_goes_only_to_workers_that_run_it) {
    world_t w = start();
    python_job(&w);
    worker(&w, 1);
    dispatch_worker_t able = {.worker = 2, .python = true};
    dispatch_worker_hello(w.d, 20, &able, w.now, NULL);
    dispatch_worker_credit(w.d, 2, WORKER_ROWS_MAX, WORKER_BYTES_MAX, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1), "it would have to refuse");
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 4);
    cr_assert_eq(leased_to(&w, 2), 4);
    finish(&w);
}

Test(dispatch, a_job_with_python_that_no_worker_runs_ends_with_the_reason_after_a_while) {
    world_t w = start();
    python_job(&w);
    worker(&w, 1);
    pass(&w, 5 * SECOND, 1, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_JOB_DONE, 0), "one that does may come");
    pass(&w, REFUSED_GRACE_NS + SECOND, 1, 0);
    go(&w);
    seen_t *done = find(&w, DISPATCH_JOB_DONE, 0);
    cr_assert(strstr(done->text, "python blocks are not supported here"), "%s", done->text);
    cr_assert(strstr(done->text, "--allow-python"), "%s", done->text);
    finish(&w);
}

Test(dispatch, a_refused_job_goes_to_others_and_ends_when_nobody_can_run_it) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 4);
    go(&w);
    dispatch_worker_refuses(w.d, 1, JOB, "no python here", w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 2);
    cr_assert_eq(leased_to(&w, 1), 0);
    cr_assert_null(find(&w, DISPATCH_JOB_DONE, 0));
    dispatch_worker_refuses(w.d, 2, JOB, "other words", w.now);
    go(&w);
    cr_assert_str_eq(find(&w, DISPATCH_JOB_DONE, 0)->text, "no python here");
    finish(&w);
}

Test(dispatch, when_the_only_able_worker_dies_a_better_one_may_come_for_a_while) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 4);
    go(&w);
    dispatch_worker_refuses(w.d, 1, JOB, "no key", w.now);
    dispatch_worker_gone(w.d, 2, true, w.now);
    pass(&w, 5 * SECOND, 1, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_JOB_DONE, 0));
    pass(&w, 6 * SECOND, 1, 0);
    go(&w);
    cr_assert_str_eq(find(&w, DISPATCH_JOB_DONE, 0)->text, "no key");
    finish(&w);
}

Test(dispatch, drain_lets_running_rows_finish) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 4);
    dispatch_job_stop(w.d, JOB, DISPATCH_STOP_DRAIN, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_DRAIN);
    answer(&w, 1, 0, "{}"), answer(&w, 1, 1, "{}");
    dispatch_lease_return(w.d, 1, JOB, (uint64_t[]){2}, 1, w.now);
    pass(&w, 2 * SECOND, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_DRAIN,
                 "repeated while a row is leased");
    dispatch_lease_return(w.d, 1, JOB, (uint64_t[]){3}, 1, w.now);
    dispatch_results_ack(w.d, JOB, 9, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, 2);
    finish(&w);
}

Test(dispatch, stop_now_drops_everything) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    dispatch_job_stop(w.d, JOB, DISPATCH_STOP_NOW, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, 0);
    cr_assert_eq(w.seen[how_many(&w, DISPATCH_JOB_DROP) - 1].a.mode, DISPATCH_STOP_NOW);
    answer(&w, 1, 0, "{}"); /* it had not heard */
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_NOW);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0));
    finish(&w);
}

Test(dispatch, a_worker_that_was_silent_at_the_end_is_told_to_forget_the_job) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    dispatch_worker_gone(w.d, 1, true, w.now);
    dispatch_job_stop(w.d, JOB, DISPATCH_STOP_NOW, w.now);
    worker(&w, 1);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_JOB_DROP, 1));
    held(&w, 1, JOB, 2, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_NOW, "the job is over");
    held(&w, 1, JOB + 1, 2, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.job, JOB + 1, "the job is not known any more");
    finish(&w);
}

Test(dispatch, the_end_is_repeated_and_then_forgotten) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    dispatch_rows_end(w.d, JOB, 0, w.now);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_JOB_DONE), 1);
    pass(&w, 2 * SECOND, 0, 0);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_JOB_DONE), 1);
    cr_assert_eq(dispatch_rows_end(w.d, JOB, 0, w.now), SDG_OK);
    pass(&w, 60 * SECOND, 0, 0);
    cr_assert_eq(dispatch_rows_end(w.d, JOB, 0, w.now), SDG_ENOTFOUND);
    finish(&w);
}

Test(dispatch, a_client_that_comes_back_hears_everything_again) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    answer(&w, 1, 0, "{}");
    go(&w);
    dispatch_job_t again = {.job = JOB, .window_rows = 100, .window_bytes = 10000, .concurrency = 2};
    dispatch_job_open(w.d, CLIENT + 5, &again, w.now, NULL);
    dispatch_client_gone(w.d, CLIENT, w.now); /* the old connection */
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_RESULTS, 0)->a.peer, CLIENT + 5);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.next_chunk, 1);
    dispatch_client_gone(w.d, CLIENT + 5, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, DISPATCH_STOP_NOW);
    dispatch_stats_t stats;
    dispatch_stats(w.d, &stats);
    cr_assert_eq(
        stats.jobs + stats.bytes_pending + stats.rows_queued + stats.rows_leased + stats.rows_answered, 0);
    finish(&w);
}

Test(dispatch, jobs_follow_their_client_to_a_new_connection) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    dispatch_client_moved(w.d, CLIENT, CLIENT + 1, w.now);
    dispatch_client_gone(w.d, CLIENT, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.peer, CLIENT + 1);
    finish(&w);
}

Test(dispatch, too_many_jobs_and_workers_are_refused_in_words) {
    world_t w = start();
    err_t err;
    for (uint64_t i = 0; i < JOBS_MAX; i++) {
        dispatch_job_t job = {.job = i, .window_rows = 1, .window_bytes = 1, .concurrency = 1};
        cr_assert_eq(dispatch_job_open(w.d, i, &job, w.now, &err), SDG_OK);
    }
    dispatch_job_t more = {.job = 99999, .window_rows = 1, .window_bytes = 1, .concurrency = 1};
    cr_assert_eq(dispatch_job_open(w.d, 1, &more, w.now, &err), SDG_ELIMIT);
    cr_assert(strstr(err.text, "jobs are open"));
    more.window_rows = 0;
    cr_assert_eq(dispatch_job_open(w.d, 1, &more, w.now, &err), SDG_EINVAL);
    more.window_rows = 1, more.priority = JOB_PRIORITY_MAX + 1;
    cr_assert_eq(dispatch_job_open(w.d, 1, &more, w.now, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "priority 101"), "%s", err.text);
    for (uint64_t i = 0; i < WORKERS_MAX; i++)
        cr_assert_eq(hello(&w, i, i, &err), SDG_OK);
    cr_assert_eq(hello(&w, WORKERS_MAX, 1, &err), SDG_ELIMIT);
    finish(&w);
}

Test(dispatch, unknown_names_are_harmless) {
    world_t w = start();
    cr_assert_eq(dispatch_rows(w.d, 5, 0, NULL, 0, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_rows_end(w.d, 5, 0, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_result_credit(w.d, 5, 1, 1, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_results_ack(w.d, 5, 1, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_job_stop(w.d, 5, DISPATCH_STOP_DRAIN, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_job_limit(w.d, 5, 1, w.now), SDG_ENOTFOUND);
    dispatch_worker_credit(w.d, 5, 1, 1, w.now);
    dispatch_worker_beat(w.d, 5, w.now);
    dispatch_worker_leases(w.d, 5, 1, w.now);
    answer(&w, 5, 5, "{}");
    dispatch_lease_return(w.d, 5, 5, (uint64_t[]){1}, 1, w.now);
    dispatch_worker_refuses(w.d, 5, 5, "", w.now);
    dispatch_worker_drain(w.d, 5, w.now);
    dispatch_worker_gone(w.d, 5, true, w.now);
    dispatch_client_gone(w.d, 5, w.now);
    dispatch_tick(w.d, w.now);
    go(&w);
    cr_assert_eq(w.count, 0);
    finish(&w);
}

Test(dispatch, what_a_worker_gives_up_is_given_to_others_when_it_says_so) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    slow_worker(&w, 1);
    rows(&w, 50);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 8);
    held(&w, 1, JOB, 8, 8, 0);
    slow_worker(&w, 2);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_units, 4);
    cr_assert_null(find(&w, DISPATCH_LEASE, 2), "the first worker may still be running 8 rows");
    held(&w, 1, JOB, 8, 6, 0); /* said before it heard of 4 */
    go(&w);
    cr_assert_null(find(&w, DISPATCH_LEASE, 2));
    held(&w, 1, JOB, 4, 7, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 1);
    held(&w, 1, JOB, 4, 3, 0);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 2), "it has not answered yet");
    held(&w, 2, JOB, 1, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 4);
    finish(&w);
}

Test(dispatch, what_a_draining_worker_still_runs_is_given_to_others_as_it_ends) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    slow_worker(&w, 1), worker(&w, 2);
    rows(&w, 50);
    go(&w);
    held(&w, 1, JOB, 4, 4, 0);
    dispatch_worker_drain(w.d, 1, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 2), "the draining one may still be running 4");
    held(&w, 1, JOB, 4, 1, 0); /* said before it knew */
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 2));
    held(&w, 1, JOB, 0, 3, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 5);
    held(&w, 1, JOB, 0, 0, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 8);
    finish(&w);
}

Test(dispatch, the_share_of_a_dead_worker_is_free_at_once) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    slow_worker(&w, 1);
    slow_worker(&w, 2);
    rows(&w, 50);
    go(&w);
    held(&w, 2, JOB, 4, 4, 0);
    dispatch_worker_gone(w.d, 1, true, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_units, 8);
    finish(&w);
}

/* ---- rows that wait */

Test(dispatch, rows_that_wait_without_a_unit_do_not_keep_others_from_starting) {
    world_t w = start();
    open_job(&w, 200, 100000, 16);
    worker(&w, 1);
    rows(&w, 100);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 18, "16 and 2 ahead");
    held(&w, 1, JOB, 16, 10, 6);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 6, "six wait, so six more");
    held(&w, 1, JOB, 16, 16, 0);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 0, "it has more than enough");
    held(&w, 1, JOB, 16, 0, 1000000);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 18, "no more rows wait than it holds");
    finish(&w);
}

Test(dispatch, rows_that_wait_are_bounded_by_the_credit_of_the_worker) {
    world_t w = start();
    open_job(&w, 200, 100000, 4);
    worker(&w, 1);
    dispatch_worker_credit(w.d, 1, 30, 100000, w.now);
    rows(&w, 100);
    for (uint64_t held_rows = 0, turn = 0; turn < 20; turn++) {
        go(&w);
        held_rows += leased_to(&w, 1);
        cr_assert_leq(held_rows, 30);
        held(&w, 1, JOB, 4, 0, held_rows);
    }
    dispatch_stats_t stats;
    dispatch_stats(w.d, &stats);
    cr_assert_eq(stats.rows_leased, 30);
    finish(&w);
}

/* ---- endpoints */

enum { ENDPOINT = 77, ENDPOINT_2 = 78 };

static void open_calling(world_t *w, uint64_t job, uint64_t units, const uint64_t *endpoints, size_t count) {
    dispatch_job_t asked = {.job = job,
                            .window_rows = 100,
                            .window_bytes = 10000,
                            .concurrency = units,
                            .endpoints = endpoints,
                            .endpoint_count = count};
    cr_assert_eq(dispatch_job_open(w->d, CLIENT + job, &asked, w->now, NULL), SDG_OK);
}

/* What this worker was told of the endpoint by the last `go`; UINT64_MAX: nothing. */
static uint64_t calls_of(world_t *w, uint64_t id, uint64_t endpoint) {
    for (size_t i = w->count; i > 0; i--) {
        const dispatch_action_t *a = &w->seen[i - 1].a;
        if (a->kind == DISPATCH_ENDPOINT_PERMITS && a->worker == id && a->endpoint == endpoint)
            return a->permit_calls;
    }
    return UINT64_MAX;
}

Test(dispatch, without_a_limit_an_endpoint_is_open_to_all_its_workers) {
    world_t w = start();
    const uint64_t twice[] = {ENDPOINT, ENDPOINT_2, ENDPOINT};
    open_calling(&w, JOB, 8, twice, 3);
    worker(&w, 1), worker(&w, 2);
    go(&w);
    cr_assert_eq(w.seen[0].a.kind, DISPATCH_ENDPOINT_PERMITS, "before rows may start");
    cr_assert_eq(how_many(&w, DISPATCH_ENDPOINT_PERMITS), 4);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), ENDPOINT_CALLS_MAX);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT_2), ENDPOINT_CALLS_MAX);
    finish(&w);
}

Test(dispatch, a_limit_is_split_by_what_the_shares_of_its_jobs_could_use) {
    world_t w = start();
    open_calling(&w, JOB, 8, (uint64_t[]){ENDPOINT}, 1);
    open_calling(&w, JOB_2, 6, (uint64_t[]){ENDPOINT, ENDPOINT_2}, 2);
    worker(&w, 1), worker(&w, 2);
    go(&w);
    dispatch_worker_refuses(w.d, 2, JOB_2, "no key", w.now); /* 4 + 6 units at 1, 4 at 2 */
    go(&w);
    cr_assert_eq(dispatch_endpoint_limit(w.d, ENDPOINT, 14, w.now), SDG_OK);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 10);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), 4);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT_2), UINT64_MAX, "nothing has changed there");
    dispatch_endpoint_limit(w.d, ENDPOINT, 7, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 5);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), 2);
    dispatch_endpoint_limit(w.d, ENDPOINT, DISPATCH_NO_LIMIT, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), ENDPOINT_CALLS_MAX);
    finish(&w);
}

Test(dispatch, calls_in_flight_are_given_to_others_when_they_have_ended) {
    world_t w = start();
    open_calling(&w, JOB, 8, (uint64_t[]){ENDPOINT}, 1);
    slow_worker(&w, 1);
    go(&w);
    held(&w, 1, JOB, 8, 8, 0);
    dispatch_worker_calls(w.d, 1, ENDPOINT, ENDPOINT_CALLS_MAX, 8, w.now);
    dispatch_endpoint_limit(w.d, ENDPOINT, 6, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 6);
    dispatch_worker_calls(w.d, 1, ENDPOINT, 6, 6, w.now);
    worker(&w, 2);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 4, "it has half of the units now");
    dispatch_worker_calls(w.d, 1, ENDPOINT, 4, 6, w.now);
    held(&w, 1, JOB, 4, 4, 0);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 3);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), UINT64_MAX, "the first may have 6 in flight");
    dispatch_worker_calls(w.d, 1, ENDPOINT, 4, 2, w.now); /* said before it heard of 3 */
    go(&w);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), UINT64_MAX);
    dispatch_worker_calls(w.d, 1, ENDPOINT, 3, 5, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), 1);
    dispatch_worker_calls(w.d, 1, ENDPOINT, 3, 3, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), 3);
    finish(&w);
}

Test(dispatch, workers_take_turns_at_an_endpoint_with_fewer_calls_than_workers) {
    world_t w = start();
    uint64_t turns[3] = {0};
    open_calling(&w, JOB, 30, (uint64_t[]){ENDPOINT}, 1);
    for (uint64_t id = 1; id <= 3; id++)
        worker(&w, id);
    dispatch_endpoint_limit(w.d, ENDPOINT, 1, w.now);
    go(&w);
    for (int second = 0; second < 12; second++) {
        for (uint64_t id = 1; id <= 3; id++)
            dispatch_worker_beat(w.d, id, w.now);
        w.now += SECOND;
        dispatch_tick(w.d, w.now);
        for (int i = 0; i < 3; i++) { /* what is given up and answered is granted in the next round */
            go(&w);
            for (uint64_t id = 1; id <= 3; id++)
                turns[id - 1] += calls_of(&w, id, ENDPOINT) == 1;
        }
    }
    cr_assert(turns[0] >= 3 && turns[1] >= 3 && turns[2] >= 3, "%d %d %d", (int)turns[0], (int)turns[1],
              (int)turns[2]);
    finish(&w);
}

Test(dispatch, a_worker_hears_of_the_endpoints_again_with_each_job_that_is_new_to_it) {
    world_t w = start();
    open_calling(&w, JOB, 8, (uint64_t[]){ENDPOINT, ENDPOINT_2}, 2);
    worker(&w, 1);
    go(&w);
    open_calling(&w, JOB_2, 8, (uint64_t[]){ENDPOINT}, 1);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), ENDPOINT_CALLS_MAX, "it may have forgotten it");
    cr_assert_eq(calls_of(&w, 1, ENDPOINT_2), UINT64_MAX);
    cr_assert_eq(how_many(&w, DISPATCH_ENDPOINT_PERMITS), 1);
    finish(&w);
}

Test(dispatch, permits_of_endpoints_are_repeated_and_a_draining_worker_keeps_them) {
    world_t w = start();
    open_calling(&w, JOB, 8, (uint64_t[]){ENDPOINT}, 1);
    worker(&w, 1), worker(&w, 2);
    dispatch_endpoint_limit(w.d, ENDPOINT, 4, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 2);
    pass(&w, PERMITS_REPEAT_NS, 1, 2);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 2);
    drain(&w, 1);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), UINT64_MAX, "for the rows that it runs");
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), UINT64_MAX);
    dispatch_worker_gone(w.d, 1, false, w.now);
    go(&w);
    cr_assert_eq(calls_of(&w, 2, ENDPOINT), 4);
    finish(&w);
}

Test(dispatch, an_endpoint_is_known_as_long_as_a_job_names_it) {
    world_t w = start();
    cr_assert_eq(dispatch_endpoint_limit(w.d, ENDPOINT, 4, w.now), SDG_ENOTFOUND);
    dispatch_worker_calls(w.d, 1, ENDPOINT, 1, 1, w.now);
    open_calling(&w, JOB, 8, (uint64_t[]){ENDPOINT}, 1);
    open_calling(&w, JOB_2, 8, (uint64_t[]){ENDPOINT}, 1);
    worker(&w, 1);
    cr_assert_eq(dispatch_endpoint_limit(w.d, ENDPOINT, 0, w.now), SDG_OK);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), UINT64_MAX, "none may call");
    dispatch_job_stop(w.d, JOB, DISPATCH_STOP_NOW, w.now);
    go(&w);
    cr_assert_eq(dispatch_endpoint_limit(w.d, ENDPOINT, 2, w.now), SDG_OK);
    go(&w);
    cr_assert_eq(calls_of(&w, 1, ENDPOINT), 2);
    dispatch_job_stop(w.d, JOB_2, DISPATCH_STOP_NOW, w.now);
    go(&w);
    cr_assert_eq(dispatch_endpoint_limit(w.d, ENDPOINT, 2, w.now), SDG_ENOTFOUND);
    finish(&w);
}

Test(dispatch, too_many_endpoints_are_refused_in_words) {
    world_t w = start();
    uint64_t ids[JOB_ENDPOINTS_MAX + 1];
    err_t err;
    for (uint64_t i = 0; i <= JOB_ENDPOINTS_MAX; i++)
        ids[i] = i;
    dispatch_job_t job = {.job = JOB,
                          .window_rows = 1,
                          .concurrency = 1,
                          .endpoints = ids,
                          .endpoint_count = JOB_ENDPOINTS_MAX + 1};
    cr_assert_eq(dispatch_job_open(w.d, CLIENT, &job, w.now, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "256 endpoints"), "%s", err.text);
    job.endpoint_count--;
    cr_assert_eq(dispatch_job_open(w.d, CLIENT, &job, w.now, &err), SDG_OK);
    finish(&w);
}
