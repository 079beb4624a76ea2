/* What the scheduler says to whom, beyond what core/sched decides: the store hears of lost workers, a running
 * job's limit, priorities. It runs as an actor in this process; clients, workers and the store are sockets of
 * the test. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdlib.h>

#include "actors/scheduler/scheduler.h"
#include "core/base/clock.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"
#include "proto/parts/endpoint_reports.h"
#include "tests/harness/actor_harness.h"

enum { CLIENT = 11, WORKER_A = 21, WORKER_B = 22, JOB = 5 };
#define ENDPOINT "inproc://scheduler"

static actor_thread_t *scheduler;
static puppet_t store;

static void start(void) {
    static const char *const endpoints[] = {ENDPOINT};
    static const scheduler_args_t args = {
        .endpoints = endpoints, .endpoint_count = 1, .store = "inproc://store"};
    puppet_bind(&store, ZMQ_ROUTER, "inproc://store");
    scheduler = harness_start(scheduler_actor, (void *)&args);
    cr_assert_eq(harness_hear_word(scheduler, "BOUND"), 0);
}

static void stop(void) {
    actor_join(&scheduler);
    puppet_close(&store);
    zsys_shutdown();
}

TestSuite(scheduler, .init = start, .fini = stop, .timeout = 120);

static puppet_t *join(uint64_t role, uint64_t instance) {
    puppet_t *p = xcalloc(1, sizeof *p);
    puppet_join(p, ENDPOINT, role, instance);
    if (role == ROLE_WORKER)
        puppet_say(p, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 100, .bytes = 1000000}});
    return p;
}

static void leave(puppet_t **p) {
    puppet_close(*p);
    free(*p);
    *p = NULL;
}

static message_t job_open(uint64_t priority) {
    return (message_t){
        .type = MESSAGE_JOB_OPEN,
        .JOB_OPEN = {
            .job = JOB, .window_rows = 100, .window_bytes = 100000, .concurrency = 4, .priority = priority}};
}

static puppet_t *client_with_rows(uint64_t count) {
    row_in_t rows[100] = {0};
    puppet_t *s = join(ROLE_CLIENT, CLIENT);
    puppet_say(s, job_open(0));
    puppet_pass(s, MESSAGE_INGEST_CREDIT);
    for (uint64_t i = 0; i < count; i++) {
        rows[i] = (row_in_t){.index = i, .line = i + 1, .raw = slice_of("{}")};
    }
    puppet_say(s, (message_t){.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .rows = {rows, count}}});
    puppet_sync(s, MESSAGE_NONE);
    return s;
}

static uint64_t permitted(puppet_t *worker) {
    link_frame_t in;
    puppet_await(worker, MESSAGE_PERMITS, &in);
    uint64_t rows = in.message.PERMITS.units;
    link_frame_free(&in);
    return rows;
}

static void answer_permits(puppet_t *worker, uint64_t permit, uint64_t running) {
    puppet_say(worker, (message_t){.type = MESSAGE_PERMITS_HELD,
                                   .PERMITS_HELD = {.job = JOB, .permit = permit, .used = running}});
}

static void expect_gone(uint64_t owner) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_OWNER_GONE, &in);
    cr_expect_eq(in.message.OWNER_GONE.owner, owner, "%" PRIu64, in.message.OWNER_GONE.owner);
    link_frame_free(&in);
}

Test(scheduler, the_store_hears_of_a_lost_worker_before_its_rows_are_leased_again) {
    puppet_t *client = client_with_rows(3), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    puppet_t *b = join(ROLE_WORKER, WORKER_B);
    zstr_sendf(scheduler->pipe, "GONE %d", WORKER_A);
    puppet_await(b, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.again, 1);
    link_frame_free(&in);
    zmq_pollitem_t item = {.socket = zsock_resolve(store.socket), .events = ZMQ_POLLIN};
    cr_expect_eq(zmq_poll(&item, 1, 0), 1, "it is there already");
    expect_gone(WORKER_A);
    leave(&a), leave(&b), leave(&client);
}

Test(scheduler, the_store_hears_of_a_worker_that_leaves) {
    puppet_t *a = join(ROLE_WORKER, WORKER_A);
    puppet_say(a, (message_t){.type = MESSAGE_BYE, .BYE = {.reason = slice_of("test")}});
    expect_gone(WORKER_A);
    leave(&a);
}

Test(scheduler, the_limit_of_a_running_job_changes_what_workers_may_do) {
    puppet_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A);
    cr_expect_eq(permitted(a), 4);
    answer_permits(a, 4, 4);
    puppet_say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = 9}});
    cr_expect_eq(permitted(a), 9);
    answer_permits(a, 9, 9);
    puppet_say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = 2}});
    cr_expect_eq(permitted(a), 2);
    puppet_say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB}});
    link_frame_t in;
    puppet_await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_LIMIT);
    link_frame_free(&in);
    leave(&a), leave(&client);
}

Test(scheduler, a_priority_that_cannot_be_is_refused_in_words) {
    puppet_t *client = join(ROLE_CLIENT, CLIENT);
    puppet_say(client, job_open(JOB_PRIORITY_MAX + 1));
    link_frame_t in;
    puppet_await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.id, JOB);
    cr_expect(slice_has(in.message.REFUSED.reason, "priority"));
    link_frame_free(&in);
    leave(&client);
}

/* ---- a job from its beginning to its end */

static void done(puppet_t *worker, uint64_t batch, uint64_t index) {
    row_done_t row = {.index = index, .json = slice_of("{}"), .meta = slice_of("m")};
    puppet_say(worker, (message_t){.type = MESSAGE_ROW_RESULTS,
                                   .ROW_RESULTS = {.batch = batch, .job = JOB, .rows = {&row, 1}}});
}

static void expect_text(slice_t got, const char *want) {
    cr_expect(slice_is(got, want), "'%.*s' instead of '%s'", (int)got.len, got.data, want);
}

Test(scheduler, a_row_goes_to_a_worker_and_its_result_to_the_client) {
    puppet_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_say(client, (message_t){.type = MESSAGE_RESULT_CREDIT,
                                   .RESULT_CREDIT = {.job = JOB, .rows_limit = 9, .bytes_limit = 9999}});
    puppet_say(client, (message_t){.type = MESSAGE_ROWS_END, .ROWS_END = {.job = JOB, .chunks = 1}});
    puppet_await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.job, JOB);
    expect_text(in.message.LEASE.rows.items[0].raw, "{}");
    link_frame_free(&in);
    done(a, 7, 0);
    puppet_await(a, MESSAGE_ROW_RESULTS_ACK, &in);
    cr_expect_eq(in.message.ROW_RESULTS_ACK.batch, 7);
    link_frame_free(&in);
    puppet_await(client, MESSAGE_RESULTS, &in);
    cr_expect_eq(in.message.RESULTS.batch, 1);
    cr_assert_eq(in.message.RESULTS.rows.count, 1);
    expect_text(in.message.RESULTS.rows.items[0].json, "{}");
    expect_text(in.message.RESULTS.rows.items[0].meta, "m");
    link_frame_free(&in);
    puppet_say(client, (message_t){.type = MESSAGE_RESULTS_ACK, .RESULTS_ACK = {.job = JOB, .batch = 1}});
    puppet_await(client, MESSAGE_JOB_DONE, &in);
    cr_expect_eq(in.message.JOB_DONE.job, JOB);
    expect_text(in.message.JOB_DONE.reason, "");
    link_frame_free(&in);
    puppet_await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_NOW);
    link_frame_free(&in);
    puppet_say(a, (message_t){.type = MESSAGE_JOB_GET, .JOB_GET = {.job = JOB}});
    puppet_await(a, MESSAGE_REFUSED, &in);
    cr_expect(in.message.REFUSED.about == MESSAGE_JOB_GET && in.message.REFUSED.id == JOB);
    expect_text(in.message.REFUSED.reason, "the job is over");
    link_frame_free(&in);
    leave(&a), leave(&client);
}

Test(scheduler, what_a_worker_asks_of_a_job_is_what_its_client_said) {
    puppet_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    open.JOB_OPEN.path = slice_of("p.yaml");
    open.JOB_OPEN.folder = slice_of("/data");
    open.JOB_OPEN.bundle = slice_of("mabel: 2");
    open.JOB_OPEN.options = slice_of("{\"trace\": true}");
    puppet_say(client, open);
    puppet_await(client, MESSAGE_JOB_ACCEPTED, &in);
    cr_expect_eq(in.message.JOB_ACCEPTED.job, JOB);
    link_frame_free(&in);
    puppet_say(a, (message_t){.type = MESSAGE_JOB_GET, .JOB_GET = {.job = JOB}});
    puppet_await(a, MESSAGE_JOB_SPEC, &in);
    const MSG_JOB_SPEC *spec = &in.message.JOB_SPEC;
    cr_expect_eq(spec->job, JOB);
    expect_text(spec->path, "p.yaml");
    expect_text(spec->folder, "/data");
    expect_text(spec->bundle, "mabel: 2");
    expect_text(spec->options, "{\"trace\": true}");
    link_frame_free(&in);
    leave(&a), leave(&client);
}

Test(scheduler, a_job_that_is_stopped_asks_for_rows_back) {
    puppet_t *client = client_with_rows(20), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    uint64_t returned[20], count = 0;
    puppet_await(a, MESSAGE_LEASE, &in);
    for (; count < in.message.LEASE.rows.count; count++) {
        returned[count] = in.message.LEASE.rows.items[count].index;
    }
    link_frame_free(&in);
    puppet_say(client,
               (message_t){.type = MESSAGE_JOB_STOP, .JOB_STOP = {.job = JOB, .mode = DISPATCH_STOP_DRAIN}});
    puppet_await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_DRAIN);
    link_frame_free(&in);
    puppet_say(a, (message_t){.type = MESSAGE_LEASE_RETURN,
                              .LEASE_RETURN = {.batch = 1, .job = JOB, .rows = {returned, count}}});
    puppet_pass(a, MESSAGE_ROW_RESULTS_ACK);
    puppet_await(client, MESSAGE_JOB_DONE, &in);
    expect_text(in.message.JOB_DONE.reason, "stopped by its client");
    link_frame_free(&in);
    leave(&a), leave(&client);
}

/* ---- what else workers say and hear */

Test(scheduler, a_lease_that_a_worker_misses_and_others_have_answered_is_void) {
    puppet_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A),
             *b = join(ROLE_WORKER, WORKER_B);
    link_frame_t in;
    puppet_await(a, MESSAGE_LEASE, &in);
    uint64_t lease = in.message.LEASE.lease;
    link_frame_free(&in);
    done(b, 1, 0); /* it had the row from earlier */
    puppet_pass(b, MESSAGE_ROW_RESULTS_ACK);
    puppet_say(a, (message_t){.type = MESSAGE_BEAT, .BEAT = {.leases = lease}});
    puppet_await(a, MESSAGE_LEASES_VOID, &in);
    cr_expect_eq(in.message.LEASES_VOID.from, lease);
    cr_expect_eq(in.message.LEASES_VOID.count, 1);
    link_frame_free(&in);
    leave(&a), leave(&b), leave(&client);
}

Test(scheduler, the_store_hears_of_a_worker_that_joins) {
    link_frame_t in;
    puppet_t *a = join(ROLE_WORKER, WORKER_A);
    puppet_await(&store, MESSAGE_OWNER_BACK, &in);
    cr_expect_eq(in.message.OWNER_BACK.owner, WORKER_A);
    link_frame_free(&in);
    leave(&a);
}

Test(scheduler, endpoints_of_a_job_are_permitted_before_its_rows) {
    puppet_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    uint64_t endpoints[] = {77};
    open.JOB_OPEN.endpoints = (u64_list_t){endpoints, 1};
    puppet_say(client, open);
    puppet_await(a, MESSAGE_ENDPOINT_PERMITS, &in);
    cr_expect_eq(in.message.ENDPOINT_PERMITS.endpoint, 77);
    cr_expect_eq(in.message.ENDPOINT_PERMITS.calls, ENDPOINT_CALLS_MAX, "nobody limits it");
    link_frame_free(&in);
    puppet_say(a,
               (message_t){.type = MESSAGE_ENDPOINT_HELD,
                           .ENDPOINT_HELD = {.endpoint = 77, .permit = ENDPOINT_CALLS_MAX, .in_flight = 3}});
    cr_expect_eq(permitted(a), 4);
    leave(&a), leave(&client);
}

Test(scheduler, rows_that_wait_at_a_worker_let_others_come) {
    puppet_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_await(a, MESSAGE_LEASE, &in);
    uint64_t count = in.message.LEASE.rows.count;
    link_frame_free(&in);
    cr_expect_eq(count, 6, "4 and 2 ahead");
    puppet_say(a, (message_t){.type = MESSAGE_PERMITS_HELD,
                              .PERMITS_HELD = {.job = JOB, .permit = 4, .used = 1, .waiting = 3}});
    puppet_await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    leave(&a), leave(&client);
}

Test(scheduler, a_job_with_python_waits_for_a_worker_that_runs_it) {
    puppet_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    open.JOB_OPEN.needs = JOB_NEEDS_PYTHON;
    puppet_say(client, open);
    puppet_sync(client, MESSAGE_NONE);
    puppet_t *b = xcalloc(1, sizeof *b);
    puppet_connect(b, ENDPOINT);
    puppet_say(b,
               (message_t){
                   .type = MESSAGE_HELLO,
                   .HELLO = {.role = ROLE_WORKER, .instance = WORKER_B, .name = slice_of("b"), .python = 1}});
    puppet_await(b, MESSAGE_PERMITS, &in);
    cr_expect_eq(in.message.PERMITS.units, 4, "all of it: the other cannot run it");
    link_frame_free(&in);
    leave(&a), leave(&b), leave(&client);
}

Test(scheduler, a_worker_that_drains_gets_nothing_more_and_says_when_it_is_done) {
    puppet_t *client = client_with_rows(0), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    cr_expect_eq(permitted(a), 4);
    puppet_say(a, (message_t){.type = MESSAGE_ROW_CREDIT});
    answer_permits(a, 0, 0);
    puppet_say(a, (message_t){.type = MESSAGE_DRAINED, .DRAINED = {.rows_open = 0}});
    puppet_sync(a, MESSAGE_NONE);
    puppet_t *b = join(ROLE_WORKER, WORKER_B);
    puppet_await(b, MESSAGE_PERMITS, &in);
    cr_expect_eq(in.message.PERMITS.units, 4, "nothing is left with the one that drains");
    link_frame_free(&in);
    leave(&a), leave(&b), leave(&client);
}

Test(scheduler, what_only_others_may_say_is_refused) {
    puppet_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_say(client, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 5}});
    puppet_await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_ROW_CREDIT);
    link_frame_free(&in);
    puppet_say(a, job_open(0));
    puppet_await(a, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_OPEN);
    link_frame_free(&in);
    puppet_say(a, (message_t){.type = MESSAGE_LEASE});
    puppet_await(a, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_LEASE);
    link_frame_free(&in);
    leave(&a), leave(&client);
}

/* ---- endpoints */

enum { SERVER = 70 };

/* A worker has made so many requests of the job to one endpoint. */
static void report(puppet_t *worker, endpoint_report_t r) {
    buf_t bytes;
    buf_init(&bytes, 4096);
    endpoint_reports_encode(&r, 1, &bytes);
    puppet_say(worker, (message_t){.type = MESSAGE_ENDPOINT_REPORT,
                                   .ENDPOINT_REPORT = {.job = JOB, .reports = {bytes.data, bytes.len}}});
    buf_free(&bytes);
}

/* Waits until the client hears of so many requests. */
static endpoint_report_t heard(puppet_t *client, uint64_t requests) {
    endpoint_report_t r = {0};
    while (r.requests != requests) {
        link_frame_t in;
        endpoint_report_t *reports;
        size_t count;
        puppet_await(client, MESSAGE_ENDPOINT_REPORT, &in);
        slice_t bytes = in.message.ENDPOINT_REPORT.reports;
        cr_assert_eq(in.message.ENDPOINT_REPORT.job, JOB);
        cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &reports, &count, NULL), SDG_OK);
        cr_assert_eq(count, 1);
        r = reports[0];
        free(reports);
        link_frame_free(&in);
    }
    return r;
}

Test(scheduler, a_client_hears_how_its_endpoints_fare_at_all_workers) {
    puppet_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A),
             *b = join(ROLE_WORKER, WORKER_B);
    report(a, (endpoint_report_t){.endpoint = SERVER, .requests = 3, .waiting = 1});
    report(b,
           (endpoint_report_t){
               .endpoint = SERVER, .requests = 4, .trouble = LLM_CAUSE_SERVER, .trouble_text = "HTTP 500"});
    endpoint_report_t r = heard(client, 7);
    cr_expect_eq(r.endpoint, SERVER);
    cr_expect_eq(r.waiting, 1);
    cr_expect_str_eq(r.trouble_text, "HTTP 500");
    zstr_sendf(scheduler->pipe, "GONE %d", WORKER_A);
    report(b, (endpoint_report_t){.endpoint = SERVER, .requests = 5});
    cr_expect_eq(heard(client, 8).waiting, 0, "its requests were made, nothing of it waits");
    leave(&a), leave(&b), leave(&client);
}

Test(scheduler, a_report_that_is_none_is_refused_in_words) {
    puppet_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_say(a, (message_t){.type = MESSAGE_ENDPOINT_REPORT,
                              .ENDPOINT_REPORT = {.job = JOB, .reports = slice_of("no list")}});
    puppet_await(a, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_ENDPOINT_REPORT);
    cr_expect(slice_has(in.message.REFUSED.reason, "msgpack") || in.message.REFUSED.reason.len > 0);
    link_frame_free(&in);
    leave(&a), leave(&client);
}

static endpoint_report_t refused(uint64_t calls, endpoint_state_t state) {
    return (endpoint_report_t){.endpoint = SERVER,
                               .address = "http://gpu1",
                               .state = state,
                               .requests = calls,
                               .refused = calls,
                               .refused_in_a_row = calls,
                               .answered_ms = ENDPOINT_NEVER,
                               .trouble = LLM_CAUSE_ENDPOINT,
                               .trouble_text = "HTTP 401: no such key"};
}

static void expect_final(puppet_t *client) {
    link_frame_t in;
    puppet_await(client, MESSAGE_JOB_DONE, &in);
    cr_expect_eq(in.message.JOB_DONE.kind, DISPATCH_ENDED_FINAL);
    cr_expect(
        slice_is(in.message.JOB_DONE.reason, "http://gpu1 refuses every request: HTTP 401: no such key"));
    link_frame_free(&in);
}

/* The worker gives back the rows that have met only that; they are not done. */
Test(scheduler, a_job_ends_when_an_endpoint_of_it_is_final) {
    puppet_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_await(a, MESSAGE_LEASE, &in);
    size_t count = in.message.LEASE.rows.count;
    uint64_t rows[100];
    for (size_t i = 0; i < count; i++) {
        rows[i] = in.message.LEASE.rows.items[i].index;
    }
    link_frame_free(&in);
    report(a, refused(16, ENDPOINT_FINAL));
    puppet_await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_DRAIN);
    link_frame_free(&in);
    puppet_say(a, (message_t){.type = MESSAGE_LEASE_RETURN,
                              .LEASE_RETURN = {.batch = 1, .job = JOB, .rows = {rows, count}}});
    expect_final(client);
    leave(&a), leave(&client);
}

Test(scheduler, the_last_row_fails_with_what_its_endpoint_says) {
    puppet_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_pass(a, MESSAGE_LEASE);
    report(a, refused(1, ENDPOINT_OPEN));
    puppet_say(client, (message_t){.type = MESSAGE_ROWS_END, .ROWS_END = {.job = JOB, .chunks = 1}});
    puppet_await(a, MESSAGE_ENDPOINT_LET_FAIL, &in);
    cr_expect_eq(in.message.ENDPOINT_LET_FAIL.job, JOB);
    cr_expect_eq(in.message.ENDPOINT_LET_FAIL.endpoint, SERVER);
    link_frame_free(&in);
    leave(&a), leave(&client);
}

Test(scheduler, a_worker_that_alone_is_refused_gets_no_more_of_the_job) {
    puppet_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A),
             *b = join(ROLE_WORKER, WORKER_B);
    link_frame_t in;
    puppet_pass(a, MESSAGE_LEASE);
    report(b, (endpoint_report_t){.endpoint = SERVER, .requests = 9, .answered = 9});
    puppet_sync(b, MESSAGE_NONE);
    report(a, refused(16, ENDPOINT_FINAL));
    puppet_await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_NOW);
    link_frame_free(&in);
    puppet_say(client, (message_t){.type = MESSAGE_STATUS_GET, .STATUS_GET = {.token = 7}});
    puppet_await(client, MESSAGE_STATUS, &in);
    cr_expect(slice_has(in.message.STATUS.json, "\"jobs\": 1"));
    link_frame_free(&in);
    cr_expect_eq(puppet_sync(client, MESSAGE_JOB_DONE), 0);
    leave(&a), leave(&b), leave(&client);
}

/* ---- who is there */

Test(scheduler, a_client_whose_connection_is_gone_is_dropped_in_a_moment_with_its_jobs) {
    puppet_t *client = client_with_rows(3), *worker = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_pass(worker, MESSAGE_LEASE);
    uint64_t began = clock_now_ns();
    leave(&client);
    puppet_await(worker, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_NOW);
    link_frame_free(&in);
    cr_expect_geq(clock_now_ns() - began, RECONNECT_NS);
    leave(&worker);
}

Test(scheduler, a_client_that_is_back_on_another_connection_keeps_its_jobs) {
    puppet_t *client = client_with_rows(3), *worker = join(ROLE_WORKER, WORKER_A);
    puppet_pass(worker, MESSAGE_LEASE);
    leave(&client);
    puppet_pass(worker, MESSAGE_BEAT);
    puppet_pass(worker, MESSAGE_BEAT); /* the scheduler has found the connection gone */
    client = join(ROLE_CLIENT, CLIENT);
    puppet_pass(client, MESSAGE_INGEST_CREDIT);
    for (int beats = 0; beats < 4; beats++) {
        puppet_pass(client, MESSAGE_BEAT);
    }
    cr_expect_eq(puppet_sync(worker, MESSAGE_JOB_DROP), 0);
    leave(&client), leave(&worker);
}

Test(scheduler, a_worker_whose_connection_is_gone_is_dead_in_a_moment) {
    puppet_t *client = client_with_rows(3), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    puppet_pass(a, MESSAGE_LEASE);
    puppet_t *b = join(ROLE_WORKER, WORKER_B);
    leave(&a);
    expect_gone(WORKER_A);
    do {
        puppet_await(b, MESSAGE_LEASE, &in);
        uint64_t again = in.message.LEASE.again;
        link_frame_free(&in);
        if (again) break;
    } while (true);
    leave(&b), leave(&client);
}

Test(scheduler, who_says_hello_as_somebody_else_has_left) {
    puppet_t *a = join(ROLE_WORKER, WORKER_A);
    puppet_say(a, (message_t){.type = MESSAGE_HELLO, .HELLO = {.role = ROLE_WORKER, .instance = WORKER_B}});
    expect_gone(WORKER_A);
    puppet_say(a, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 10, .bytes = 1000000}});
    puppet_t *client = client_with_rows(1);
    puppet_pass(a, MESSAGE_LEASE);
    leave(&a), leave(&client);
}

Test(scheduler, a_job_is_its_clients_alone) {
    puppet_t *client = client_with_rows(3), *other = join(ROLE_CLIENT, CLIENT + 1);
    message_t said[] = {job_open(0),
                        {.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .chunk = 1}},
                        {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = JOB}},
                        {.type = MESSAGE_RESULT_CREDIT, .RESULT_CREDIT = {.job = JOB}},
                        {.type = MESSAGE_RESULTS_ACK, .RESULTS_ACK = {.job = JOB, .batch = UINT64_MAX}},
                        {.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = 1}},
                        {.type = MESSAGE_JOB_STOP, .JOB_STOP = {.job = JOB, .mode = DISPATCH_STOP_NOW}}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        link_frame_t in;
        puppet_say(other, said[i]);
        puppet_await(other, MESSAGE_REFUSED, &in);
        cr_expect_eq(in.message.REFUSED.about, said[i].type);
        cr_expect(slice_is(in.message.REFUSED.reason, "the job is another client's"));
        link_frame_free(&in);
    }
    cr_expect_eq(puppet_sync(client, MESSAGE_JOB_DONE), 0);
    leave(&client), leave(&other);
}
