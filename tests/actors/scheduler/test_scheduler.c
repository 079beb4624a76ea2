/* What the scheduler says to whom, beyond what core/sched decides: the store hears of lost workers, a running
 * job's limit, priorities. It runs as an actor in this process; clients, workers and the store are sockets of
 * the test. */
#include <criterion/criterion.h>

#include <inttypes.h>

#include "actors/scheduler/scheduler.h"
#include "core/sched/limits.h"
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

static puppet_t worker(uint64_t instance) {
    puppet_t w;
    puppet_join(&w, ENDPOINT, ROLE_WORKER, instance);
    puppet_say(&w, (message_t){.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = 100, .bytes = 1000000}});
    return w;
}

static message_t job_open(uint64_t priority) {
    return (message_t){
        .type = MESSAGE_JOB_OPEN,
        .JOB_OPEN = {
            .job = JOB, .window_rows = 100, .window_bytes = 100000, .concurrency = 4, .priority = priority}};
}

static puppet_t client_with_rows(uint64_t count) {
    row_in_t rows[100] = {0};
    puppet_t c;
    puppet_join(&c, ENDPOINT, ROLE_CLIENT, CLIENT);
    puppet_say(&c, job_open(0));
    puppet_pass(&c, MESSAGE_INGEST_CREDIT);
    for (uint64_t i = 0; i < count; i++) {
        rows[i] = (row_in_t){.index = i, .line = i + 1, .raw = slice_of("{}")};
    }
    puppet_say(&c, (message_t){.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .rows = {rows, count}}});
    puppet_sync(&c, MESSAGE_NONE); /* the rows are there */
    return c;
}

static uint64_t permitted(puppet_t *w) {
    link_frame_t in;
    puppet_await(w, MESSAGE_PERMITS, &in);
    uint64_t rows = in.message.PERMITS.rows;
    link_frame_free(&in);
    return rows;
}

static void answer_permits(puppet_t *w, uint64_t permit, uint64_t running) {
    puppet_say(w, (message_t){.type = MESSAGE_PERMITS_HELD,
                              .PERMITS_HELD = {.job = JOB, .permit = permit, .running = running}});
}

static void limit_job(puppet_t *c, uint64_t concurrency) {
    puppet_say(c,
               (message_t){.type = MESSAGE_JOB_LIMIT, .JOB_LIMIT = {.job = JOB, .concurrency = concurrency}});
}

static void expect_gone(uint64_t owner) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_OWNER_GONE, &in);
    cr_expect_eq(in.message.OWNER_GONE.owner, owner, "%" PRIu64, in.message.OWNER_GONE.owner);
    link_frame_free(&in);
}

Test(scheduler, the_store_hears_of_a_lost_worker_before_its_rows_are_leased_again) {
    puppet_t client = client_with_rows(3), a = worker(WORKER_A);
    link_frame_t in;
    puppet_await(&a, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.rows.count, 3);
    link_frame_free(&in);
    puppet_t b = worker(WORKER_B);
    zstr_sendf(scheduler->pipe, "GONE %d", WORKER_A);
    puppet_await(&b, MESSAGE_LEASE, &in);
    cr_expect_eq(in.message.LEASE.attempt, 1);
    link_frame_free(&in);
    zmq_pollitem_t item = {.socket = zsock_resolve(store.socket), .events = ZMQ_POLLIN};
    cr_expect_eq(zmq_poll(&item, 1, 0), 1, "it is there already");
    expect_gone(WORKER_A);
    puppet_close(&a), puppet_close(&b), puppet_close(&client);
}

Test(scheduler, the_store_hears_of_a_worker_that_leaves) {
    puppet_t a = worker(WORKER_A);
    puppet_say(&a, (message_t){.type = MESSAGE_BYE, .BYE = {.reason = slice_of("test")}});
    expect_gone(WORKER_A);
    puppet_close(&a);
}

Test(scheduler, the_limit_of_a_running_job_changes_what_workers_may_do) {
    puppet_t client = client_with_rows(50), a = worker(WORKER_A);
    link_frame_t in;
    cr_expect_eq(permitted(&a), 4);
    answer_permits(&a, 4, 4);
    limit_job(&client, 9);
    cr_expect_eq(permitted(&a), 9);
    answer_permits(&a, 9, 9);
    limit_job(&client, 2);
    cr_expect_eq(permitted(&a), 2);
    limit_job(&client, 0);
    puppet_await(&client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.about, MESSAGE_JOB_LIMIT);
    link_frame_free(&in);
    puppet_close(&a), puppet_close(&client);
}

Test(scheduler, a_priority_that_cannot_be_is_refused_in_words) {
    puppet_t client;
    link_frame_t in;
    puppet_join(&client, ENDPOINT, ROLE_CLIENT, CLIENT);
    puppet_say(&client, job_open(JOB_PRIORITY_MAX + 1));
    puppet_await(&client, MESSAGE_REFUSED, &in);
    cr_expect_eq(in.message.REFUSED.id, JOB);
    cr_expect(slice_has(in.message.REFUSED.reason, "priority"));
    link_frame_free(&in);
    puppet_close(&client);
}
