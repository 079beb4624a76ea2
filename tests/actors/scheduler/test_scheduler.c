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

/* Waits for a message of that type; others are passed over. The caller frees it. */
static link_frame_t await(zsock_t *s, message_type_t type) {
    zmq_pollitem_t item = {.socket = zsock_resolve(s), .events = ZMQ_POLLIN};
    link_frame_t in;
    err_t err;
    while (zmq_poll(&item, 1, ANSWER_MS) > 0) {
        link_status_t got =
            zsock_type(s) == ZMQ_ROUTER ? link_recv_routed(s, &in, &err) : link_recv(s, &in, &err);
        if (got == LINK_MESSAGE && in.message.type == type) return in;
        if (got == LINK_MESSAGE) link_frame_free(&in);
    }
    cr_assert(false, "no %s", message_name(type));
    return in;
}

/* Everything said before is handled now. */
static void sync_with(zsock_t *s) {
    say(s, (message_t){.type = MESSAGE_SYNC, .SYNC = {.token = 1}});
    link_frame_t in = await(s, MESSAGE_SYNCED);
    link_frame_free(&in);
}

static zsock_t *join(uint64_t role, uint64_t instance) {
    zsock_t *s = link_socket(ZMQ_DEALER, 0);
    cr_assert(zsock_connect(s, "inproc://scheduler") == 0);
    say(s, (message_t){.type = MESSAGE_HELLO,
                       .HELLO = {.role = role, .instance = instance, .name = slice_of("test")}});
    link_frame_t in = await(s, MESSAGE_WELCOME);
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
    link_frame_t in = await(s, MESSAGE_INGEST_CREDIT);
    link_frame_free(&in);
    for (uint64_t i = 0; i < count; i++) {
        rows[i] = (row_in_t){.index = i, .line = i + 1, .raw = slice_of("{}")};
    }
    say(s, (message_t){.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .rows = {rows, count}}});
    sync_with(s);
    return s;
}

static uint64_t permitted(zsock_t *worker) {
    link_frame_t in = await(worker, MESSAGE_PERMITS);
    uint64_t rows = in.message.PERMITS.rows;
    link_frame_free(&in);
    return rows;
}

static void answer_permits(zsock_t *worker, uint64_t permit, uint64_t running) {
    say(worker, (message_t){.type = MESSAGE_PERMITS_HELD,
                            .PERMITS_HELD = {.job = JOB, .permit = permit, .running = running}});
}

static void expect_gone(uint64_t owner) {
    link_frame_t in = await(store, MESSAGE_OWNER_GONE);
    cr_expect_eq(in.message.OWNER_GONE.owner, owner, "%" PRIu64, in.message.OWNER_GONE.owner);
    link_frame_free(&in);
}

Test(scheduler, the_store_hears_of_a_lost_worker_before_its_rows_are_leased_again) {
    zsock_t *client = client_with_rows(3), *a = join(ROLE_WORKER, WORKER_A);
    link_frame_t in = await(a, MESSAGE_LEASE);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    zsock_t *b = join(ROLE_WORKER, WORKER_B);
    zstr_sendf(scheduler->pipe, "GONE %d", WORKER_A);
    in = await(b, MESSAGE_LEASE);
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
    link_frame_t in = await(client, MESSAGE_REFUSED);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_LIMIT);
    link_frame_free(&in);
    zsock_destroy(&a), zsock_destroy(&client);
}

Test(scheduler, a_priority_that_cannot_be_is_refused_in_words) {
    zsock_t *client = join(ROLE_CLIENT, CLIENT);
    say(client, job_open(JOB_PRIORITY_MAX + 1));
    link_frame_t in = await(client, MESSAGE_REFUSED);
    cr_expect_eq(in.message.REFUSED.id, JOB);
    cr_expect(memmem(in.message.REFUSED.reason.data, in.message.REFUSED.reason.len, "priority", 8));
    link_frame_free(&in);
    zsock_destroy(&client);
}
