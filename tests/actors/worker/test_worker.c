/* The worker as an actor: each message it takes and sends, against a scheduler and a store that the test
 * plays and a small HTTP server. Only what is said is looked at. */
#include "actors/worker/worker.h"

#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sched/dispatch.h"
#include "core/sched/limits.h"
#include "core/store/contexts.h"
#include "proto/parts/call.h"
#include "proto/parts/job.h"
#include "tests/core/http/http_server.h"
#include "tests/harness/actor_harness.h"

enum { EPOCH = 7, JOB = 3, MANY = 100 };

static puppet_t scheduler, store;
static server_t *server;
static actor_thread_t *worker;
static worker_args_t args;
static job_options_t options;
static char yaml[2000];
static uint64_t leases; /* given so far */

/* Two calls in a row: the second asks about the answer to the first. */
static const char TWO_CALLS[] =
    "mabel: {version: \"2.0\"}\nmodels: [{name: m, api_model: m, api_key: k, base_url: \"%s\"}]\nblocks:\n"
    "  - {type: ai, exec: 1, model: m, prompts: [\"one {n}\"], outputs: [{name: A, select: full}]}\n"
    "  - {type: ai, exec: 2, model: m, prompts: [\"two {A}\"], outputs: [{name: B, select: full}]}\n"
    "  - {type: end, exec: 3, final: [{name: b, value: \"{B}\"}]}\n";
static const char NO_CALLS[] = "mabel: {version: \"2.0\"}\nblocks:\n"
                               "  - {type: end, exec: 1, final: [{name: n, value: \"{n}\"}]}\n";

static act_t answer_in_words(server_t *s, int nth, const char *request) {
    (void)nth;
    if (s->user) return (act_t){.kind = ACT_HANG};
    return (act_t){.body = strstr(request, "two first") ? COMPLETION("\"second\"") : COMPLETION("\"first\"")};
}

/* ---- the stage */

static void begin(void) {
    args = (worker_args_t){.endpoint = "inproc://scheduler", .name = "a worker", .instance = 55};
    leases = 0;
    job_options_init(&options);
    puppet_bind(&scheduler, ZMQ_ROUTER, args.endpoint);
    scheduler.epoch = EPOCH;
    server = server_start(answer_in_words);
    snprintf(yaml, sizeof yaml, TWO_CALLS, server->url);
}

static void end(void) {
    actor_join(&worker);
    puppet_close(&scheduler), puppet_close(&store);
    server_stop(&server);
    job_options_free(&options);
    zsys_shutdown();
}

TestSuite(worker, .init = begin, .fini = end, .timeout = 180);

static void say(message_t m) { puppet_say(&scheduler, m); }

static void start(void) {
    worker = harness_start(worker_actor, &args);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say((message_t){.type = MESSAGE_WELCOME, .WELCOME = {.known = 1}});
    puppet_pass(&scheduler, MESSAGE_ROW_CREDIT);
}

static void with_store(bool calls, bool contexts) {
    puppet_bind(&store, ZMQ_ROUTER, "inproc://store");
    store.epoch = EPOCH;
    options.store.endpoint = xstrdup("inproc://store");
    options.store.calls = calls;
    options.store.contexts = contexts;
}

static void lease(uint64_t first, uint64_t count, uint64_t attempt) {
    row_in_t rows[8];
    static const char raw[] = "{\"n\": 4}";
    for (uint64_t i = 0; i < count; i++) {
        rows[i] = (row_in_t){.index = first + i, .line = first + i + 1, .raw = {raw, sizeof raw - 1}};
    }
    uint64_t number = (uint64_t)1 << LEASE_ERA_SHIFT | leases++;
    say((message_t){.type = MESSAGE_LEASE,
                    .LEASE = {.lease = number, .job = JOB, .attempt = attempt, .rows = {rows, count}}});
}

static void permit(uint64_t units) {
    say((message_t){.type = MESSAGE_PERMITS, .PERMITS = {.job = JOB, .rows = units, .calls = units}});
    puppet_pass(&scheduler, MESSAGE_PERMITS_HELD);
}

/* Waits until the worker asks what the job is, and says it. */
static void say_job(void) {
    buf_t encoded;
    buf_init(&encoded, 1 << 16);
    job_options_encode(&options, &encoded);
    puppet_pass(&scheduler, MESSAGE_JOB_GET);
    say((message_t){.type = MESSAGE_JOB_SPEC,
                    .JOB_SPEC = {.job = JOB,
                                 .path = slice_of("p.yaml"),
                                 .bundle = slice_of(yaml),
                                 .options = {encoded.data, encoded.len}}});
    buf_free(&encoded);
}

/* One row is leased and may run. */
static void begin_row(uint64_t attempt) {
    start();
    lease(4, 1, attempt);
    say_job();
    permit(MANY);
}

static void expect_result(const char *words) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_ROW_RESULTS, &in);
    const MSG_ROW_RESULTS *m = &in.message.ROW_RESULTS;
    cr_assert(m->job == JOB && m->rows.count == 1 && m->rows.items[0].index == 4);
    cr_expect(slice_has(m->rows.items[0].json, words), "%.*s", (int)m->rows.items[0].json.len,
              m->rows.items[0].json.data);
    say((message_t){.type = MESSAGE_ROW_RESULTS_ACK, .ROW_RESULTS_ACK = {.batch = m->batch}});
    link_frame_free(&in);
}

static void expect_returned(uint64_t row) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_LEASE_RETURN, &in);
    cr_assert(in.message.LEASE_RETURN.rows.count == 1 && in.message.LEASE_RETURN.rows.items[0] == row);
    say((message_t){.type = MESSAGE_ROW_RESULTS_ACK,
                    .ROW_RESULTS_ACK = {.batch = in.message.LEASE_RETURN.batch}});
    link_frame_free(&in);
}

static void expect_no_result(void) { cr_assert_eq(puppet_sync(&scheduler, MESSAGE_ROW_RESULTS), 0); }

/* ---- rows */

Test(worker, a_leased_row_becomes_a_result) {
    begin_row(0);
    expect_result("\"b\": \"second\"");
    cr_expect_eq(atomic_load(&server->requests), 2);
}

Test(worker, a_row_waits_for_a_permit) {
    strcpy(yaml, NO_CALLS);
    start();
    lease(4, 1, 0);
    say_job();
    permit(0);
    expect_no_result();
    permit(1);
    expect_result("\"n\": \"4\"");
}

Test(worker, a_lease_that_comes_twice_is_run_once) {
    strcpy(yaml, NO_CALLS);
    begin_row(0);
    expect_result("\"n\": \"4\"");
    leases = 0;
    lease(4, 1, 0);
    expect_no_result();
}

Test(worker, a_lease_that_is_void_is_not_run) {
    strcpy(yaml, NO_CALLS);
    begin_row(0);
    expect_result("\"n\": \"4\"");
    say((message_t){.type = MESSAGE_LEASES_VOID,
                    .LEASES_VOID = {.from = (uint64_t)1 << LEASE_ERA_SHIFT | 1, .count = 2}});
    lease(5, 1, 0);
    lease(6, 1, 0);
    expect_no_result();
    lease(4, 1, 0);
    expect_result("\"n\": \"4\"");
}

Test(worker, rows_that_have_not_begun_go_back_when_the_job_drains) {
    start();
    lease(9, 1, 0);
    say_job();
    permit(0);
    say((message_t){.type = MESSAGE_JOB_DROP, .JOB_DROP = {.job = JOB, .mode = DISPATCH_STOP_DRAIN}});
    expect_returned(9);
}

Test(worker, a_dropped_job_is_forgotten_with_its_calls) {
    server->user = server; /* the call is not answered */
    begin_row(0);
    say((message_t){.type = MESSAGE_JOB_DROP, .JOB_DROP = {.job = JOB, .mode = DISPATCH_STOP_NOW}});
    expect_no_result();
    leases = 10;
    lease(4, 1, 0);
    puppet_pass(&scheduler, MESSAGE_JOB_GET); /* it does not know the job any more */
}

Test(worker, a_drained_worker_returns_what_has_not_begun_and_leaves) {
    start();
    lease(9, 1, 0);
    say_job();
    permit(0);
    say((message_t){.type = MESSAGE_DRAIN, .DRAIN = {.deadline_ms = 60000}});
    expect_returned(9);
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_DRAINED, &in);
    cr_expect_eq(in.message.DRAINED.rows_open, 0);
    link_frame_free(&in);
    puppet_pass(&scheduler, MESSAGE_BYE);
    cr_expect_eq(harness_hear_word(worker, "END"), 0);
}

/* ---- the call journal */

static uint64_t hear_call(message_type_t type) {
    link_frame_t in;
    puppet_await(&store, type, &in);
    const call_list_t *calls =
        type == MESSAGE_CALL_LOOKUP ? &in.message.CALL_LOOKUP.calls : &in.message.CALL_RECORD.calls;
    cr_assert(calls->count == 1 && calls->items[0].row == 4);
    uint64_t tag = calls->items[0].tag;
    link_frame_free(&in);
    return tag;
}

static void say_recorded(uint64_t tag) {
    puppet_say(&store, (message_t){.type = MESSAGE_CALL_RECORDED, .CALL_RECORDED = {.tags = {&tag, 1}}});
}

Test(worker, an_answer_is_used_when_it_is_recorded_and_once) {
    with_store(true, false);
    begin_row(0);
    uint64_t first = hear_call(MESSAGE_CALL_RECORD);
    expect_no_result();
    cr_expect_eq(atomic_load(&server->requests), 1);
    say_recorded(first);
    say_recorded(first); /* the store's answer comes twice */
    uint64_t second = hear_call(MESSAGE_CALL_RECORD);
    cr_expect_neq(first, second);
    say_recorded(first);
    expect_no_result();
    say_recorded(second);
    expect_result("\"b\": \"second\"");
    cr_expect_eq(atomic_load(&server->requests), 2);
}

Test(worker, a_call_that_was_made_before_is_found_and_not_made_again) {
    with_store(true, false);
    begin_row(1); /* leased again: the store is asked first */
    uint64_t tag = hear_call(MESSAGE_CALL_LOOKUP);
    llm_answer_t answer = {.text = value_text("first")};
    buf_t bytes;
    buf_init(&bytes, 1 << 16);
    call_encode(&answer, &bytes);
    call_item_t found = {.tag = tag, .row = 4, .answer = {bytes.data, bytes.len}};
    cr_expect_eq(atomic_load(&server->requests), 0);
    puppet_say(&store, (message_t){.type = MESSAGE_CALL_FOUND, .CALL_FOUND = {.calls = {&found, 1}}});
    tag = hear_call(MESSAGE_CALL_LOOKUP);
    cr_expect_eq(atomic_load(&server->requests), 0);
    puppet_say(&store, (message_t){.type = MESSAGE_CALL_MISSING, .CALL_MISSING = {.tags = {&tag, 1}}});
    say_recorded(hear_call(MESSAGE_CALL_RECORD));
    expect_result("\"b\": \"second\"");
    cr_expect_eq(atomic_load(&server->requests), 1);
    value_free(answer.text);
    buf_free(&bytes);
}

/* ---- contexts */

/* What the worker puts away: its bytes are the caller's. */
static char *hear_put(size_t *len) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CTX_PUT, &in);
    const context_item_t *item = in.message.CTX_PUT.contexts.items;
    cr_assert(in.message.CTX_PUT.contexts.count == 1 && item->row == 4 && item->part == CONTEXT_PRIVATE);
    char *bytes = xmalloc(item->bytes.len);
    *len = item->bytes.len;
    memcpy(bytes, item->bytes.data, *len);
    link_frame_free(&in);
    return bytes;
}

static uint64_t hear_get(void) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CTX_GET_OR_CREATE, &in);
    cr_assert_eq(in.message.CTX_GET_OR_CREATE.contexts.count, 1);
    uint64_t tag = in.message.CTX_GET_OR_CREATE.contexts.items[0].tag;
    link_frame_free(&in);
    return tag;
}

static void say_context(uint64_t tag, const char *bytes, size_t len) {
    context_item_t item = {.tag = tag, .row = 4, .part = CONTEXT_PRIVATE, .bytes = {bytes, len}};
    puppet_say(&store, (message_t){.type = MESSAGE_CTX, .CTX = {.contexts = {&item, 1}}});
}

Test(worker, a_row_that_waits_is_put_away_and_comes_back) {
    with_store(false, true);
    begin_row(0);
    for (int call = 0; call < 2; call++) {
        size_t len;
        char *bytes = hear_put(&len);
        uint64_t tag = hear_get();
        say_context(tag, bytes, len);
        say_context(tag, bytes, len); /* twice */
        free(bytes);
    }
    expect_result("\"b\": \"second\"");
    puppet_pass(&store, MESSAGE_CTX_COMPLETE);
    cr_expect_eq(atomic_load(&server->requests), 2);
}

/* The second CTX_PUT is lost: what the store still has waits for the first answer, not for the second. */
Test(worker, a_row_is_not_woken_as_it_was_before_its_last_call) {
    size_t len, second_len;
    with_store(false, true);
    begin_row(0);
    char *first = hear_put(&len);
    say_context(hear_get(), first, len);
    free(hear_put(&second_len));
    say_context(hear_get(), first, len);
    expect_returned(4);
    free(first);
}

Test(worker, a_row_whose_context_is_gone_goes_back) {
    size_t len;
    with_store(false, true);
    begin_row(0);
    free(hear_put(&len));
    uint64_t tag = hear_get();
    puppet_say(&store, (message_t){.type = MESSAGE_CTX_MISSING, .CTX_MISSING = {.tags = {&tag, 1}}});
    expect_returned(4);
}

Test(worker, a_context_is_pinned_while_its_answer_is_recorded) {
    link_frame_t in;
    size_t len;
    with_store(true, true);
    begin_row(0);
    char *bytes = hear_put(&len);
    puppet_await(&store, MESSAGE_CALL_RECORD, &in);
    uint64_t tag = in.message.CALL_RECORD.calls.items[0].tag;
    link_frame_free(&in);
    puppet_await(&store, MESSAGE_CTX_PIN, &in);
    cr_expect(in.message.CTX_PIN.rows.count == 1 && in.message.CTX_PIN.rows.items[0] == 4);
    link_frame_free(&in);
    say_recorded(tag);
    say_context(hear_get(), bytes, len);
    free(bytes);
    free(hear_put(&len));
}
