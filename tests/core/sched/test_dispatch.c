/* The dispatcher, event by event. A world `w` collects the actions of the last `go`; time moves only when a test says so. */
#include "core/sched/dispatch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>

enum { ACTIONS_MAX = 4096, INDEXES_MAX = 4096, CLIENT = 900, JOB = 7 };

typedef struct seen {          /* a copied action */
    dispatch_action_t a;       /* its pointers are not valid */
    uint64_t indexes[INDEXES_MAX];
    size_t count;
    char text[256];            /* reason, or the first row's bytes */
} seen_t;

typedef struct world {
    dispatch_t *d;
    uint64_t now;
    seen_t *seen;
    size_t count;
    uint64_t chunk;            /* next to send */
    uint64_t index;            /* next row */
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
    if (a->kind == DISPATCH_RESULTS) copy_text(s, a->done[0].json, a->done[0].json_len);
    if (a->reason) copy_text(s, a->reason, strlen(a->reason));
}

/* Takes all actions. */
static void go(world_t *w) {
    dispatch_action_t a;
    w->count = 0;
    while (dispatch_next(w->d, w->now, &a)) {
        cr_assert_lt(w->count, ACTIONS_MAX);
        keep(&w->seen[w->count++], &a);
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
    dispatch_job_t job = {.job = JOB, .window_rows = window_rows, .window_bytes = window_bytes, .concurrency = concurrency};
    cr_assert_eq(dispatch_job_open(w->d, CLIENT, &job, w->now, NULL), SDG_OK);
    dispatch_result_credit(w->d, JOB, 1000000, 1000000000, w->now);
    go(w);
}

static void worker(world_t *w, uint64_t id) {
    cr_assert_eq(dispatch_worker_hello(w->d, id, id * 10, w->now, NULL), SDG_OK);
    dispatch_worker_credit(w->d, id, WORKER_ROWS_MAX, WORKER_BYTES_MAX, w->now);
}

/* The next chunk: `count` rows {"n":<index>}. */
static int rows(world_t *w, size_t count) {
    dispatch_row_t row[200];
    char text[200][32];
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(text[i], sizeof text[i], "{\"n\":%" PRIu64 "}", w->index);
        row[i] = (dispatch_row_t){.index = w->index, .line = w->index + 1, .raw = text[i], .len = (size_t)len};
        w->index++;
    }
    int rc = dispatch_rows(w->d, JOB, w->chunk, row, count, w->now);
    w->chunk++;
    return rc;
}

static void answer(world_t *w, uint64_t id, uint64_t index, const char *json) {
    dispatch_done_t done = {.index = index, .json = json, .json_len = strlen(json), .meta = "m", .meta_len = 1};
    dispatch_row_results(w->d, id, JOB, &done, 1, w->now);
}

static seen_t *find(world_t *w, dispatch_kind_t kind, uint64_t worker_id) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->seen[i].a.kind == kind && (worker_id == 0 || w->seen[i].a.worker == worker_id)) return &w->seen[i];
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
    cr_assert_eq(w.seen[0].a.permit_rows, 4);
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
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, 2);
    finish(&w);
}

/* ---- credit ----------------------------------------------------------------------------------------------------- */

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
    open_job(&w, 10, 10, 4);
    cr_assert_eq(rows(&w, 3), SDG_ELIMIT); /* 7 bytes each: two before the last */
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
    dispatch_row_t twice[2] = {{.index = 3, .raw = "1", .len = 1}, {.index = 3, .raw = "2", .len = 1}};
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

Test(dispatch, large_results_hold_back_ingest_and_leases) {
    static char big[600];
    memset(big, 'x', sizeof big - 1);
    world_t w = start();
    open_job(&w, 100, 1000, 2); /* share 2 + 2 ahead */
    worker(&w, 1);
    rows(&w, 10);
    go(&w);
    uint64_t limit = 1000;
    cr_assert_eq(leased_to(&w, 1), 4);
    answer(&w, 1, 0, big), answer(&w, 1, 1, big);
    go(&w);
    cr_assert_eq(leased_to(&w, 1), 0, "1198 bytes of results wait for the client");
    w.now += SECOND;
    dispatch_tick(w.d, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_INGEST_CREDIT, 0)->a.bytes_limit, limit, "it never falls");
    dispatch_results_ack(w.d, JOB, 99, w.now);
    go(&w);
    cr_assert_gt(leased_to(&w, 1), 0);
    finish(&w);
}

/* ---- shares and leases -------------------------------------------------------------------------------------------- */

Test(dispatch, concurrency_is_shared_evenly_and_anew_when_workers_come_and_go) {
    world_t w = start();
    open_job(&w, 100, 10000, 5);
    worker(&w, 1), worker(&w, 2);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_rows, 3);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_calls, 2);
    dispatch_worker_drain(w.d, 1, w.now);
    go(&w);
    cr_assert_null(find(&w, DISPATCH_PERMITS, 1), "a draining worker keeps its permits for the rows it runs");
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_rows, 5);
    worker(&w, 3);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 3)->a.permit_rows, 2);
    dispatch_worker_gone(w.d, 2, false, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 3)->a.permit_rows, 5);
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

Test(dispatch, jobs_take_turns) {
    world_t w = start();
    open_job(&w, 1000, 100000, 10);
    dispatch_job_t other = {.job = 8, .window_rows = 100, .window_bytes = 10000, .concurrency = 10};
    cr_assert_eq(dispatch_job_open(w.d, CLIENT + 1, &other, w.now, NULL), SDG_OK);
    go(&w);
    rows(&w, 100);
    dispatch_row_t row = {.index = 0, .raw = "{}", .len = 2};
    dispatch_rows(w.d, 8, 0, &row, 1, w.now);
    worker(&w, 1);
    dispatch_worker_credit(w.d, 1, 13, 10000, w.now);
    go(&w);
    cr_assert_eq(how_many(&w, DISPATCH_LEASE), 2);
    cr_assert_neq(w.seen[w.count - 1].a.job, w.seen[w.count - 2].a.job);
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
    dispatch_worker_drain(w.d, 1, w.now);
    dispatch_lease_return(w.d, 1, JOB, lease->indexes, lease->count, w.now);
    worker(&w, 2);
    go(&w);
    lease = find(&w, DISPATCH_LEASE, 2);
    cr_assert_eq(lease->count, 4);
    cr_assert_eq(lease->indexes[0], 0);
    cr_assert_eq(lease->indexes[3], 3);
    cr_assert_eq(lease->a.attempt, 0);
    finish(&w);
}

/* ---- loss ------------------------------------------------------------------------------------------------------- */

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
    dispatch_worker_hello(w.d, 1, 77, w.now, NULL);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.peer, 77);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.peer, 77);
    cr_assert_eq(leased_to(&w, 1), 1);
    finish(&w);
}

Test(dispatch, a_lost_lease_without_open_rows_is_sent_empty) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1);
    rows(&w, 1);
    go(&w);
    uint64_t lease = find(&w, DISPATCH_LEASE, 1)->a.lease;
    answer(&w, 99, 0, "{}"); /* somebody else had it from earlier */
    dispatch_worker_leases(w.d, 1, lease, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.lease, lease);
    cr_assert_eq(find(&w, DISPATCH_LEASE, 1)->a.attempt, 1);
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

/* ---- death ------------------------------------------------------------------------------------------------------ */

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
    cr_assert_eq(find(&w, DISPATCH_LEASE, 2)->a.attempt, 1);
    cr_assert_eq(leased_to(&w, 2), 1, "suspects: a quarter of its share at a time");
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
    cr_assert_str_eq(results->text, "{\"_row_index\": 0, \"_error\": \"this row was running on 3 workers that died\"}");
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
        dispatch_worker_gone(w.d, id, false, w.now);
    }
    finish(&w);
}

/* ---- refusing, stopping, ending ----------------------------------------------------------------------------------- */

Test(dispatch, a_refused_job_goes_to_others_and_ends_when_nobody_can_run_it) {
    world_t w = start();
    open_job(&w, 100, 10000, 2);
    worker(&w, 1), worker(&w, 2);
    rows(&w, 4);
    go(&w);
    dispatch_worker_refuses(w.d, 1, JOB, "no python here", w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_rows, 2);
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
    dispatch_job_stop(w.d, JOB, 1, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, 1);
    answer(&w, 1, 0, "{}"), answer(&w, 1, 1, "{}");
    dispatch_lease_return(w.d, 1, JOB, (uint64_t[]){2}, 1, w.now);
    pass(&w, 2 * SECOND, 1, 0);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, 1, "repeated while a row is leased");
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
    dispatch_job_stop(w.d, JOB, 2, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DONE, 0)->a.rows_ok, 0);
    cr_assert_eq(w.seen[how_many(&w, DISPATCH_JOB_DROP) - 1].a.mode, 2);
    answer(&w, 1, 0, "{}"); /* it had not heard */
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, 2);
    cr_assert_null(find(&w, DISPATCH_RESULTS, 0));
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
    cr_assert_eq(find(&w, DISPATCH_JOB_DROP, 1)->a.mode, 2);
    dispatch_stats_t stats;
    dispatch_stats(w.d, &stats);
    cr_assert_eq(stats.jobs + stats.bytes_pending + stats.rows_queued + stats.rows_leased + stats.rows_answered, 0);
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
    for (uint64_t i = 0; i < WORKERS_MAX; i++)
        cr_assert_eq(dispatch_worker_hello(w.d, i, i, w.now, &err), SDG_OK);
    cr_assert_eq(dispatch_worker_hello(w.d, WORKERS_MAX, 1, w.now, &err), SDG_ELIMIT);
    finish(&w);
}

Test(dispatch, unknown_names_are_harmless) {
    world_t w = start();
    cr_assert_eq(dispatch_rows(w.d, 5, 0, NULL, 0, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_rows_end(w.d, 5, 0, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_result_credit(w.d, 5, 1, 1, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_results_ack(w.d, 5, 1, w.now), SDG_ENOTFOUND);
    cr_assert_eq(dispatch_job_stop(w.d, 5, 1, w.now), SDG_ENOTFOUND);
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
    worker(&w, 1);
    dispatch_worker_answers(w.d, 1);
    rows(&w, 50);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_rows, 8);
    dispatch_worker_running(w.d, 1, JOB, 8, 8, w.now);
    worker(&w, 2);
    dispatch_worker_answers(w.d, 2);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 1)->a.permit_rows, 4);
    cr_assert_null(find(&w, DISPATCH_LEASE, 2), "the first worker may still be running 8 rows");
    dispatch_worker_running(w.d, 1, JOB, 8, 6, w.now); /* said before it heard of 4 */
    go(&w);
    cr_assert_null(find(&w, DISPATCH_LEASE, 2));
    dispatch_worker_running(w.d, 1, JOB, 4, 7, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_rows, 1);
    dispatch_worker_running(w.d, 1, JOB, 4, 3, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_rows, 4);
    finish(&w);
}

Test(dispatch, the_share_of_a_dead_worker_is_free_at_once) {
    world_t w = start();
    open_job(&w, 100, 10000, 8);
    worker(&w, 1);
    worker(&w, 2);
    dispatch_worker_answers(w.d, 1);
    dispatch_worker_answers(w.d, 2);
    rows(&w, 50);
    go(&w);
    dispatch_worker_gone(w.d, 1, true, w.now);
    go(&w);
    cr_assert_eq(find(&w, DISPATCH_PERMITS, 2)->a.permit_rows, 8);
    finish(&w);
}
