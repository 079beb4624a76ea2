/* What the scheduler says to whom, beyond what core/sched decides: the store hears of lost workers, a running
 * job's limit, priorities. It runs as an actor in this process; clients, workers and the store are sockets of
 * the test. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <string.h>

#include "actors/loop/actor.h"
#include "actors/loop/link.h"
#include "actors/scheduler/scheduler.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"

enum { ANSWER_MS = 10000, CLIENT = 11, WORKER_A = 21, WORKER_B = 22, JOB = 5 };

static actor_thread_t *scheduler;
static zsock_t *store;
static buf_t scratch;
static uint64_t epoch;

static void start(void) {
    static const char *const endpoints[] = {"inproc://scheduler"};
    static const scheduler_args_t args = {
        .endpoints = endpoints, .endpoint_count = 1, .store = "inproc://store"};
    log_set_level(LEVEL_ERROR);
    zsys_init();
    buf_init(&scratch, MESSAGE_BYTES_MAX);
    store = link_socket(ZMQ_ROUTER, 0);
    cr_assert(zsock_bind(store, "inproc://store") == 0);
    scheduler = actor_spawn(scheduler_actor, (void *)&args);
    char *text = zstr_recv(scheduler->pipe);
    cr_assert_str_eq(text, "BOUND 0");
    zstr_free(&text);
}

static void stop(void) {
    actor_join(&scheduler);
    zsock_destroy(&store);
    buf_free(&scratch);
    zsys_shutdown();
}

TestSuite(scheduler, .init = start, .fini = stop, .timeout = 60);

static void say(zsock_t *s, message_t m) {
    m.epoch = epoch;
    cr_assert(link_send(s, 0, &m, &scratch));
}

/* Waits for a message of that type; others are passed over. Into the caller's frame, who frees it: a short
 * message lives inside it, so it must not move. */
static void await(zsock_t *s, message_type_t type, link_frame_t *in) {
    zmq_pollitem_t item = {.socket = zsock_resolve(s), .events = ZMQ_POLLIN};
    err_t err;
    while (zmq_poll(&item, 1, ANSWER_MS) > 0) {
        link_status_t got =
            zsock_type(s) == ZMQ_ROUTER ? link_recv_routed(s, in, &err) : link_recv(s, in, &err);
        if (got == LINK_MESSAGE && in->message.type == type) return;
        if (got == LINK_MESSAGE) link_frame_free(in);
    }
    cr_assert(false, "no %s", message_name(type));
}

/* The same, for a message of which nothing is looked at. */
static void await_any(zsock_t *s, message_type_t type) {
    link_frame_t in;
    await(s, type, &in);
    link_frame_free(&in);
}

/* Everything said before is handled now. */
static void sync_with(zsock_t *s) {
    say(s, (message_t){.type = MESSAGE_SYNC, .SYNC = {.token = 1}});
    await_any(s, MESSAGE_SYNCED);
}

static zsock_t *join(uint64_t role, uint64_t instance) {
    zsock_t *s = link_socket(ZMQ_DEALER, 0);
    cr_assert(zsock_connect(s, "inproc://scheduler") == 0);
    say(s, (message_t){.type = MESSAGE_HELLO,
                       .HELLO = {.role = role, .instance = instance, .name = slice_of("test")}});
    link_frame_t in;
    await(s, MESSAGE_WELCOME, &in);
    epoch = in.message.epoch;
    link_frame_free(&in);
    if (role == ROLE_WORKER)
        say(s, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 100, .bytes = 1000000}});
    return s;
}

static message_t job_open(uint64_t priority) {
    return (message_t){
        .type = MESSAGE_JOB_OPEN,
        .JOB_OPEN = {
            .job = JOB, .window_rows = 100, .window_bytes = 100000, .concurrency = 4, .priority = priority}};
}

static zsock_t *client_with_rows(uint64_t count) {
    row_in_t rows[100] = {0};
    zsock_t *s = join(ROLE_CLIENT, CLIENT);
    say(s, job_open(0));
    await_any(s, MESSAGE_INGEST_CREDIT);
    for (uint64_t i = 0; i < count; i++) {
        rows[i] = (row_in_t){.index = i, .line = i + 1, .raw = slice_of("{}")};
    }
    say(s, (message_t){.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .rows = {rows, count}}});
    sync_with(s);
    return s;
}

static uint64_t permitted(zsock_t *worker) {
    link_frame_t in;
    await(worker, MESSAGE_PERMITS, &in);
    uint64_t rows = in.message.PERMITS.units;
    link_frame_free(&in);
    return rows;
}

static void answer_permits(zsock_t *worker, uint64_t permit, uint64_t running) {
    say(worker, (message_t){.type = MESSAGE_PERMITS_HELD,
                            .PERMITS_HELD = {.job = JOB, .permit = permit, .running = running}});
}

static void expect_gone(uint64_t owner) {
    link_frame_t in;
    await(store, MESSAGE_OWNER_GONE, &in);
    cr_expect_eq(in.message.OWNER_GONE.owner, owner, "%" PRIu64, in.message.OWNER_GONE.owner);
    link_frame_free(&in);
}

Test(scheduler, the_store_hears_of_a_lost_worker_before_its_rows_are_leased_again) {
    zsock_t *client = client_with_rows(3), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    zsock_t *b = join(ROLE_WORKER, WORKER_B);
    zstr_sendf(scheduler->pipe, "GONE %d", WORKER_A);
    await(b, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.attempt, 1);
    link_frame_free(&in);
    zmq_pollitem_t item = {.socket = zsock_resolve(store), .events = ZMQ_POLLIN};
    cr_expect_eq(zmq_poll(&item, 1, 0), 1, "it is there already");
    expect_gone(WORKER_A);
    zsock_destroy(&a), zsock_destroy(&b), zsock_destroy(&client);
}

Test(scheduler, the_store_hears_of_a_worker_that_leaves) {
    zsock_t *a = join(ROLE_WORKER, WORKER_A);
    say(a, (message_t){.type = MESSAGE_BYE, .BYE = {.reason = slice_of("test")}});
    expect_gone(WORKER_A);
    zsock_destroy(&a);
}

Test(scheduler, the_limit_of_a_running_job_changes_what_workers_may_do) {
    zsock_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A);
    cr_expect_eq(permitted(a), 4);
    answer_permits(a, 4, 4);
    say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = 9}});
    cr_expect_eq(permitted(a), 9);
    answer_permits(a, 9, 9);
    say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = 2}});
    cr_expect_eq(permitted(a), 2);
    say(client, (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB}});
    link_frame_t in;
    await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_LIMIT);
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, a_priority_that_cannot_be_is_refused_in_words) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT);
    say(client, job_open(JOB_PRIORITY_MAX + 1));
    link_frame_t in;
    await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.id, JOB);
    cr_expect(memmem(in.message.REFUSED.reason.data, in.message.REFUSED.reason.len, "priority", 8));
    link_frame_free(&in);
    zsock_destroy(&client);
}

/* ---- a job from its beginning to its end */

static void done(zsock_t *worker, uint64_t batch, uint64_t index) {
    row_done_t row = {.index = index, .json = slice_of("{}"), .meta = slice_of("m")};
    say(worker, (message_t){.type = MESSAGE_ROW_RESULTS,
                            .ROW_RESULTS = {.batch = batch, .job = JOB, .rows = {&row, 1}}});
}

static void expect_text(slice_t got, const char *want) {
    cr_expect(got.len == strlen(want) && memcmp(got.data, want, got.len) == 0, "'%.*s' instead of '%s'",
              (int)got.len, got.data, want);
}

Test(scheduler, a_row_goes_to_a_worker_and_its_result_to_the_client) {
    zsock_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    say(client, (message_t){.type = MESSAGE_RESULT_CREDIT,
                            .RESULT_CREDIT = {.job = JOB, .rows_limit = 9, .bytes_limit = 9999}});
    say(client, (message_t){.type = MESSAGE_ROWS_END, .ROWS_END = {.job = JOB, .chunks = 1}});
    await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.job, JOB);
    expect_text(in.message.LEASE.rows.items[0].raw, "{}");
    link_frame_free(&in);
    done(a, 7, 0);
    await(a, MESSAGE_ROW_RESULTS_ACK, &in);
    cr_expect_eq(in.message.ROW_RESULTS_ACK.batch, 7);
    link_frame_free(&in);
    await(client, MESSAGE_RESULTS, &in);
    cr_expect_eq(in.message.RESULTS.batch, 1);
    cr_assert_eq(in.message.RESULTS.rows.count, 1);
    expect_text(in.message.RESULTS.rows.items[0].json, "{}");
    expect_text(in.message.RESULTS.rows.items[0].meta, "m");
    link_frame_free(&in);
    say(client, (message_t){.type = MESSAGE_RESULTS_ACK, .RESULTS_ACK = {.job = JOB, .batch = 1}});
    await(client, MESSAGE_JOB_DONE, &in);
    cr_expect_eq(in.message.JOB_DONE.job, JOB);
    expect_text(in.message.JOB_DONE.reason, "");
    link_frame_free(&in);
    await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_NOW);
    link_frame_free(&in);
    say(a, (message_t){.type = MESSAGE_JOB_GET, .JOB_GET = {.job = JOB}});
    await(a, MESSAGE_REFUSED, &in);
    cr_expect(in.message.REFUSED.about == MESSAGE_JOB_GET && in.message.REFUSED.id == JOB);
    expect_text(in.message.REFUSED.reason, "the job is over");
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, what_a_worker_asks_of_a_job_is_what_its_client_said) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    open.JOB_OPEN.path = slice_of("p.yaml");
    open.JOB_OPEN.folder = slice_of("/data");
    open.JOB_OPEN.bundle = slice_of("mabel: 2");
    open.JOB_OPEN.options = slice_of("{\"trace\": true}");
    say(client, open);
    await(client, MESSAGE_JOB_ACCEPTED, &in);
    cr_expect_eq(in.message.JOB_ACCEPTED.job, JOB);
    link_frame_free(&in);
    say(a, (message_t){.type = MESSAGE_JOB_GET, .JOB_GET = {.job = JOB}});
    await(a, MESSAGE_JOB_SPEC, &in);
    const MSG_JOB_SPEC *spec = &in.message.JOB_SPEC;
    cr_expect_eq(spec->job, JOB);
    expect_text(spec->path, "p.yaml");
    expect_text(spec->folder, "/data");
    expect_text(spec->bundle, "mabel: 2");
    expect_text(spec->options, "{\"trace\": true}");
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, a_job_that_is_stopped_asks_for_rows_back) {
    zsock_t *client = client_with_rows(20), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    uint64_t returned[20], count = 0;
    await(a, MESSAGE_LEASE, &in);
    for (; count < in.message.LEASE.rows.count; count++) {
        returned[count] = in.message.LEASE.rows.items[count].index;
    }
    link_frame_free(&in);
    say(client, (message_t){.type = MESSAGE_JOB_STOP, .JOB_STOP = {.job = JOB, .mode = DISPATCH_STOP_DRAIN}});
    await(a, MESSAGE_JOB_DROP, &in);
    cr_expect_eq(in.message.JOB_DROP.mode, DISPATCH_STOP_DRAIN);
    link_frame_free(&in);
    say(a, (message_t){.type = MESSAGE_LEASE_RETURN,
                       .LEASE_RETURN = {.batch = 1, .job = JOB, .rows = {returned, count}}});
    await_any(a, MESSAGE_ROW_RESULTS_ACK);
    await(client, MESSAGE_JOB_DONE, &in);
    expect_text(in.message.JOB_DONE.reason, "stopped by its client");
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

/* ---- what else workers say and hear */

Test(scheduler, a_lease_that_a_worker_misses_and_others_have_answered_is_void) {
    zsock_t *client = client_with_rows(1), *a = join(ROLE_WORKER, WORKER_A), *b = join(ROLE_WORKER, WORKER_B);
    link_frame_t in;
    await(a, MESSAGE_LEASE, &in);
    uint64_t lease = in.message.LEASE.lease;
    link_frame_free(&in);
    done(b, 1, 0); /* it had the row from earlier */
    await_any(b, MESSAGE_ROW_RESULTS_ACK);
    say(a, (message_t){.type = MESSAGE_BEAT, .BEAT = {.leases = lease}});
    await(a, MESSAGE_LEASES_VOID, &in);
    cr_expect_eq(in.message.LEASES_VOID.from, lease);
    cr_expect_eq(in.message.LEASES_VOID.count, 1);
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&b), zsock_destroy(&client);
}

Test(scheduler, the_store_hears_of_a_worker_that_joins) {
    link_frame_t in;
    zsock_t *a = join(ROLE_WORKER, WORKER_A);
    await(store, MESSAGE_OWNER_BACK, &in);
    cr_expect_eq(in.message.OWNER_BACK.owner, WORKER_A);
    link_frame_free(&in);
    zsock_destroy(&a);
}

Test(scheduler, endpoints_of_a_job_are_permitted_before_its_rows) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    uint64_t endpoints[] = {77};
    open.JOB_OPEN.endpoints = (u64_list_t){endpoints, 1};
    say(client, open);
    await(a, MESSAGE_ENDPOINT_PERMITS, &in);
    cr_expect_eq(in.message.ENDPOINT_PERMITS.endpoint, 77);
    cr_expect_eq(in.message.ENDPOINT_PERMITS.calls, ENDPOINT_CALLS_MAX, "nobody limits it");
    link_frame_free(&in);
    say(a, (message_t){.type = MESSAGE_ENDPOINT_HELD,
                       .ENDPOINT_HELD = {.endpoint = 77, .permit = ENDPOINT_CALLS_MAX, .in_flight = 3}});
    cr_expect_eq(permitted(a), 4);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, rows_that_wait_at_a_worker_let_others_come) {
    zsock_t *client = client_with_rows(50), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    await(a, MESSAGE_LEASE, &in);
    uint64_t count = in.message.LEASE.rows.count;
    link_frame_free(&in);
    cr_expect_eq(count, 6, "4 and 2 ahead");
    say(a, (message_t){.type = MESSAGE_PERMITS_HELD,
                       .PERMITS_HELD = {.job = JOB, .permit = 4, .running = 1, .waiting = 3}});
    await(a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, a_job_with_python_waits_for_a_worker_that_runs_it) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    message_t open = job_open(0);
    open.JOB_OPEN.needs = JOB_NEEDS_PYTHON;
    say(client, open);
    sync_with(client);
    zsock_t *b = link_socket(ZMQ_DEALER, 0);
    cr_assert(zsock_connect(b, "inproc://scheduler") == 0);
    say(b, (message_t){
               .type = MESSAGE_HELLO,
               .HELLO = {.role = ROLE_WORKER, .instance = WORKER_B, .name = slice_of("b"), .python = 1}});
    await(b, MESSAGE_PERMITS, &in);
    cr_expect_eq(in.message.PERMITS.units, 4, "all of it: the other cannot run it");
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&b), zsock_destroy(&client);
}

Test(scheduler, a_worker_that_drains_gets_nothing_more_and_says_when_it_is_done) {
    zsock_t *client = client_with_rows(0), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    cr_expect_eq(permitted(a), 4);
    say(a, (message_t){.type = MESSAGE_ROW_CREDIT});
    answer_permits(a, 0, 0);
    say(a, (message_t){.type = MESSAGE_DRAINED, .DRAINED = {.rows_open = 0}});
    sync_with(a);
    zsock_t *b = join(ROLE_WORKER, WORKER_B);
    await(b, MESSAGE_PERMITS, &in);
    cr_expect_eq(in.message.PERMITS.units, 4, "nothing is left with the one that drains");
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&b), zsock_destroy(&client);
}

Test(scheduler, what_only_others_may_say_is_refused) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in;
    say(client, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 5}});
    await(client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_ROW_CREDIT);
    link_frame_free(&in);
    say(a, job_open(0));
    await(a, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_OPEN);
    link_frame_free(&in);
    say(a, (message_t){.type = MESSAGE_LEASE});
    await(a, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_LEASE);
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}
