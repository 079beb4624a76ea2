/* The worker as an actor: each message it takes and sends, against a scheduler and a store that the test
 * plays and a small LLM server. Only what is said and what the server sees is looked at. */
#include "actors/worker/worker.h"

#include <criterion/criterion.h>

#include <inttypes.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "core/base/clock.h"
#include "core/llm/endpoint.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"
#include "core/store/contexts.h"
#include "proto/parts/endpoint_reports.h"
#include "proto/parts/job.h"
#include "proto/parts/usage.h"
#include "proto/stats.h"
#include "tests/core/http/http_server.h"
#include "tests/harness/actor_harness.h"

enum { EPOCH = 101, NEW_EPOCH = 102, JOB = 5, NEXT_JOB = 6, INSTANCE = 77, LONG_MS = 600000 };

#define HEAD "mabel: {version: \"2.0\"}\n"
/* A row computes without anybody's help. */
static const char LOGIC[] =
    HEAD "blocks:\n"
         "  - {type: logic, exec: 1, op: set, var: x, value: {add: [\"{n}\", 1]}, outputs: [{name: M}]}\n"
         "  - {type: end, exec: 2, final: [{name: m, value: \"{M}\", type_hint: json}]}\n";
/* A row makes one call, or two; %s: the server. */
#define MODEL "models:\n  - {name: m, api_model: m, api_key: k, base_url: \"%s/v1\"}\n"
static const char ONE_CALL[] =
    HEAD MODEL "blocks:\n"
               "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
               "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";
/* The answer of the server is "ok", which is no number. */
static const char FAILING_CALL[] = HEAD MODEL
    "blocks:\n"
    "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A, type_hint: number}]}\n"
    "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";
static const char TWO_CALLS[] =
    HEAD MODEL "blocks:\n"
               "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
               "  - {type: ai, exec: 2, model: m, prompts: [\"more of {A}\"], outputs: [{name: B}]}\n"
               "  - {type: end, exec: 3, final: [{name: b, value: \"{B}\"}]}\n";

/* A row makes one call to a model; another model of the job is not called. %s: the server, twice. */
static const char TWO_MODELS[] =
    HEAD MODEL "  - {name: other, api_model: other, api_key: k, base_url: \"%s/v1\"}\n"
               "blocks:\n"
               "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
               "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";

/* A row makes one call and has 300 ms for it. %s: the server. */
static const char SHORT_TIME[] =
    HEAD "budgets: {wall_time_ms: 300}\n" MODEL "blocks:\n"
         "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
         "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";

/* The answer has to be a number; while it is none, the row sleeps. %s: the server. */
static const char NUMBER_OR_SLEEP[] = HEAD MODEL
    "blocks:\n"
    "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A, type_hint: number}],\n"
    "     on_error: retry, retry: {max_attempts: 2, backoff: {type: fixed, base_ms: 60000}}}\n"
    "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";
/* Row 0 calls Python, sleeps for a millisecond and calls it again. Other rows call it, then the server. */
static const char PYTHON_TWICE[] =
    HEAD MODEL "blocks:\n"
               "  - type: python\n"
               "    exec: 1\n"
               "    entrypoint: f\n"
               "    function_code: |\n"
               "      calls = []\n"
               "      def f(ctx, n):\n"
               "          calls.append(str(n))\n"
               "          if calls[-1] == '0' and calls.count('0') == 1:\n"
               "              raise ValueError('not yet')\n"
               "          return {'X': 'done'}\n"
               "    inputs: {n: \"{n}\"}\n"
               "    outputs: [X]\n"
               "    on_error: retry\n"
               "    retry: {max_attempts: 2, backoff: {type: fixed, base_ms: 1}}\n"
               "  - {type: ai, exec: 2, model: m, prompts: [\"{n}\"], outputs: [{name: A}], run_if: {ne: "
               "[\"{n}\", \"0\"]}}\n"
               "  - {type: end, exec: 3, final: [{name: x, value: \"{X}\"}]}\n";

/* The code of a Python block, %%s, asks the server; then an ai block asks the same question once more. */
static const char ASKING[] =
    HEAD MODEL "blocks:\n"
               "  - type: python\n"
               "    exec: 1\n"
               "    function_code: |\n"
               "      import asyncio, threading, time\n"
               "      async def ask(ctx, q='same'):\n"
               "          try: return await ctx.acall_ai('m', None, q)\n"
               "          except Exception: return 'failed'\n"
               "%%s"
               "    inputs: {n: \"{n}\"}\n"
               "    outputs: [X]\n"
               "  - {type: ai, exec: 2, model: m, prompts: [\"same\"], outputs: [{name: A}]}\n"
               "  - {type: end, exec: 3, final: [{name: x, value: \"{X}\"}]}\n";
/* A row is answered and calls Python. Row 0 then sleeps for a second and calls it again. */
static const char ASKS_THEN_PYTHON_TWICE[] =
    HEAD "budgets: {wall_time_ms: 4000}\n" MODEL "blocks:\n"
         "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
         "  - type: python\n"
         "    exec: 2\n"
         "    function_code: |\n"
         "      calls = []\n"
         "      def f(ctx, n):\n"
         "          calls.append(n)\n"
         "          if str(n) == '0' and calls.count(n) == 1: raise ValueError('not yet')\n"
         "          return {'X': 'done'}\n"
         "    entrypoint: f\n"
         "    inputs: {n: \"{n}\"}\n"
         "    outputs: [X]\n"
         "    on_error: retry\n"
         "    retry: {max_attempts: 2, backoff: {type: fixed, base_ms: 1000}}\n"
         "  - {type: end, exec: 3, final: [{name: x, value: \"{X} {A}\"}]}\n";

static puppet_t scheduler, store;
static actor_thread_t *worker;
static worker_args_t args;
static server_t *server;
static job_options_t options;
static char yaml[2048];
static atomic_bool hold;  /* the server answers when server->release_at requests are there */
static int refused_first; /* so many requests get refusal instead */
static act_t refusal;
static int hang_first;    /* so many requests get no answer */
static const char *reply; /* what the others get; NULL: "ok" */
static uint64_t next_lease;

/* ---- the stage */

static act_t answer(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    if (nth <= refused_first) return refusal;
    if (nth <= hang_first) return (act_t){.kind = ACT_HANG};
    return (act_t){.kind = hold ? ACT_HOLD : ACT_ANSWER, .body = reply};
}

static void begin(void) {
    job_options_init(&options);
    args = (worker_args_t){
        .endpoint = "inproc://scheduler", .name = "a worker", .instance = INSTANCE, .python_hosts = 1};
    puppet_bind(&scheduler, ZMQ_ROUTER, args.endpoint);
    scheduler.epoch = EPOCH;
    server = server_start(answer);
    snprintf(yaml, sizeof yaml, "%s", LOGIC);
}

static void end(void) {
    actor_join(&worker);
    puppet_close(&scheduler), puppet_close(&store);
    server_stop(&server);
    job_options_free(&options);
    zsys_shutdown();
}

TestSuite(worker, .init = begin, .fini = end, .timeout = 180);

static void with_calls(const char *pipeline) {
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
    snprintf(yaml, sizeof yaml, pipeline, server->url, server->url);
    _Pragma("GCC diagnostic pop");
}

static void with_store(void) {
    options.store.endpoint = xstrdup("inproc://store");
    puppet_bind(&store, ZMQ_ROUTER, options.store.endpoint);
}

/* A server that answers only when `requests` are there at once. */
static void with_held_calls(int requests) {
    with_calls(ONE_CALL);
    hold = true;
    server->release_at = requests;
}

/* A server that is too busy for the first `requests`. Each row makes one call. */
static void with_busy_server(int requests, const char *retry_after) {
    with_calls(ONE_CALL);
    refused_first = requests;
    refusal = (act_t){.status = 429, .headers = retry_after};
}

/* One more request at the server, so that it answers those that it holds; this one is not waited for. */
static void release_calls(void) {
    static const char request[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    cr_assert_eq(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), (ssize_t)sizeof request - 1);
    char byte;
    cr_assert_eq(recv(fd, &byte, 1, 0), 1);
    close(fd);
}

/* ---- what the scheduler says */

static void say(message_t m) { puppet_say(&scheduler, m); }

static void say_welcome(bool known) {
    say((message_t){.type = MESSAGE_WELCOME, .WELCOME = {.known = known}});
}

/* Starts the worker: HELLO, WELCOME, and its credit. */
static void join(void) {
    worker = harness_start(worker_actor, &args);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    puppet_pass(&scheduler, MESSAGE_ROW_CREDIT);
}

/* Rows first, first + 1, ... with {"n": <index>}; without bytes when the store has them. */
static void say_lease(uint64_t lease, uint64_t job, uint64_t again, uint64_t first, size_t count,
                      bool stored) {
    row_in_t rows[16];
    char raw[16][32];
    cr_assert_leq(count, 16);
    for (size_t i = 0; i < count; i++) {
        int len = stored ? 0 : snprintf(raw[i], sizeof raw[i], "{\"n\": %" PRIu64 "}", first + i);
        rows[i] = (row_in_t){.index = first + i, .line = first + i + 1, .raw = {raw[i], (size_t)len}};
    }
    say((message_t){.type = MESSAGE_LEASE,
                    .LEASE = {.lease = lease, .job = job, .again = again, .rows = {rows, count}}});
}

static void lease(uint64_t first, size_t count) { say_lease(next_lease++, JOB, 0, first, count, false); }

static void permit(uint64_t job, uint64_t units) {
    say((message_t){.type = MESSAGE_PERMITS, .PERMITS = {.job = job, .units = units}});
}

/* Hears JOB_GET of this job and says what it is. */
static void specify(uint64_t job) {
    link_frame_t in;
    buf_t json;
    puppet_await(&scheduler, MESSAGE_JOB_GET, &in);
    cr_assert_eq(in.message.JOB_GET.job, job);
    link_frame_free(&in);
    buf_init(&json, 1 << 16);
    job_options_encode(&options, &json);
    say((message_t){.type = MESSAGE_JOB_SPEC,
                    .JOB_SPEC = {.job = job,
                                 .path = slice_of("p.yaml"),
                                 .bundle = slice_of(yaml),
                                 .options = {json.data, json.len}}});
    buf_free(&json);
}

/* A worker that has the job, may run `units` of its rows at once, and holds these rows. */
static void run_rows(uint64_t units, uint64_t first, size_t count) {
    join();
    permit(JOB, units);
    lease(first, count);
    specify(JOB);
}

static void acknowledge(uint64_t batch) {
    say((message_t){.type = MESSAGE_ROW_RESULTS_ACK, .ROW_RESULTS_ACK = {.batch = batch}});
}

static void drop_job(uint64_t mode) {
    say((message_t){.type = MESSAGE_JOB_DROP, .JOB_DROP = {.job = JOB, .mode = mode}});
}

static void drain(uint64_t deadline_ms) {
    say((message_t){.type = MESSAGE_DRAIN, .DRAIN = {.deadline_ms = deadline_ms}});
}

/* ---- what the worker says */

/* Hears results until rows first ... first + count - 1 of the job each have come once, and acknowledges them.
 * `text` is in each. */
static void expect_results(uint64_t job, uint64_t first, size_t count, uint32_t status, const char *text) {
    bool came[16] = {false};
    for (size_t heard = 0; heard < count;) {
        link_frame_t in;
        puppet_await(&scheduler, MESSAGE_ROW_RESULTS, &in);
        const MSG_ROW_RESULTS *r = &in.message.ROW_RESULTS;
        cr_assert_eq(r->job, job);
        for (size_t i = 0; i < r->rows.count; i++, heard++) {
            const row_done_t *row = &r->rows.items[i];
            cr_assert(row->index >= first && row->index < first + count && !came[row->index - first],
                      "row %" PRIu64, row->index);
            came[row->index - first] = true;
            cr_expect_eq(row->status, status);
            cr_expect(text[0] ? slice_has(row->json, text) : row->json.len == 0, "%.*s", (int)row->json.len,
                      row->json.data);
        }
        acknowledge(r->batch);
        link_frame_free(&in);
    }
}

static void expect_ok(uint64_t first, size_t count, const char *text) {
    expect_results(JOB, first, count, ROW_STATUS_OK, text);
}

/* Hears LEASE_RETURN until these rows have come, and acknowledges them. */
static void expect_returned(uint64_t first, size_t count) {
    for (size_t heard = 0; heard < count;) {
        link_frame_t in;
        puppet_await(&scheduler, MESSAGE_LEASE_RETURN, &in);
        const MSG_LEASE_RETURN *r = &in.message.LEASE_RETURN;
        for (size_t i = 0; i < r->rows.count; i++, heard++) {
            cr_expect(r->rows.items[i] >= first && r->rows.items[i] < first + count);
        }
        acknowledge(r->batch);
        link_frame_free(&in);
    }
}

static void expect_nothing_of(message_type_t type) {
    cr_expect_eq(puppet_sync(&scheduler, type), 0, "%s was said", message_name(type));
}

/* Waits for PERMITS_HELD with these numbers; others before it are passed over. */
static void expect_held(uint64_t permitted, uint64_t running) {
    for (bool found = false; !found;) {
        link_frame_t in;
        puppet_await(&scheduler, MESSAGE_PERMITS_HELD, &in);
        const MSG_PERMITS_HELD *h = &in.message.PERMITS_HELD;
        found = h->job == JOB && h->permit == permitted && h->used == running;
        link_frame_free(&in);
    }
}

/* Waits for PERMITS_HELD with so many rows that wait. Nothing else that is said meanwhile is looked at. */
static void expect_waiting(uint64_t waiting) {
    for (bool found = false; !found;) {
        link_frame_t in;
        puppet_await(&scheduler, MESSAGE_PERMITS_HELD, &in);
        const MSG_PERMITS_HELD *h = &in.message.PERMITS_HELD;
        found = h->job == JOB && h->waiting == waiting;
        link_frame_free(&in);
    }
}

/* The worker goes on for as long as it takes to say two beats, and says nothing of this type until then. */
static void expect_none_for_two_beats(message_type_t type) {
    for (int beats = 0; beats < 2;) {
        link_frame_t in;
        puppet_hear(&scheduler, &in);
        cr_assert_neq(in.message.type, type, "%s was said", message_name(type));
        beats += in.message.type == MESSAGE_BEAT;
        link_frame_free(&in);
    }
}

/* Waits until so many requests are held by the server. */
static void await_held_calls(int count) {
    uint64_t deadline = clock_now_ns() + HARNESS_WAIT_MS * MILLISECOND;
    while (atomic_load(&server->held) < count) {
        puppet_sync(&scheduler, MESSAGE_NONE);
        cr_assert_lt(clock_now_ns(), deadline, "%d of %d calls", atomic_load(&server->held), count);
    }
}

static void expect_end(uint64_t rows_open) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_DRAINED, &in);
    cr_expect_eq(in.message.DRAINED.rows_open, rows_open, "%" PRIu64 " rows", in.message.DRAINED.rows_open);
    link_frame_free(&in);
    puppet_await(&scheduler, MESSAGE_BYE, &in);
    cr_expect(slice_is(in.message.BYE.reason, "drained"));
    link_frame_free(&in);
    cr_expect_eq(harness_hear_word(worker, "END"), rows_open ? EXIT_STOPPED : EXIT_ALL_FINE);
}

/* ---- joining */

Test(worker, hello_welcome_and_what_it_can_hold) {
    link_frame_t in;
    args.accept_python = true;
    args.patience_ms = 4000;
    worker = harness_start(worker_actor, &args);
    puppet_await(&scheduler, MESSAGE_HELLO, &in);
    cr_expect_eq(in.message.HELLO.role, ROLE_WORKER);
    cr_expect_eq(in.message.HELLO.instance, INSTANCE);
    cr_expect(slice_is(in.message.HELLO.name, "a worker"));
    cr_expect_eq(in.message.HELLO.python, 1);
    cr_expect_eq(in.message.HELLO.patience_ms, 4000);
    link_frame_free(&in);
    say_welcome(true);
    puppet_await(&scheduler, MESSAGE_ROW_CREDIT, &in);
    cr_expect_eq(in.message.epoch, EPOCH);
    cr_expect(in.message.ROW_CREDIT.rows > 0 && in.message.ROW_CREDIT.bytes > 0);
    link_frame_free(&in);
    puppet_pass(&scheduler, MESSAGE_BEAT);
}

Test(worker, hello_is_repeated_until_it_is_answered) {
    worker = harness_start(worker_actor, &args);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(false);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    puppet_pass(&scheduler, MESSAGE_ROW_CREDIT);
}

Test(worker, a_refused_worker_ends) {
    worker = harness_start(worker_actor, &args);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say((message_t){.type = MESSAGE_REFUSED,
                    .REFUSED = {.about = MESSAGE_HELLO, .reason = slice_of("too many")}});
    cr_expect_eq(harness_hear_word(worker, "END"), EXIT_RUNTIME);
}

Test(worker, one_in_a_process_of_its_own_tells_its_numbers) {
    link_frame_t in;
    args.report_rss = true;
    run_rows(10, 0, 3);
    expect_ok(0, 3, "\"m\": ");
    for (uint64_t rows_ok = 0; rows_ok != 3;) {
        puppet_await(&scheduler, MESSAGE_STATS, &in);
        cr_assert_eq(in.message.STATS.role, ROLE_WORKER);
        cr_assert_eq(in.message.STATS.values.count, CLIENT_STATS);
        rows_ok = in.message.STATS.values.items[CLIENT_rows_ok];
        link_frame_free(&in);
    }
    puppet_await(&scheduler, MESSAGE_BEAT, &in);
    cr_expect_gt(in.message.BEAT.rss_bytes, 0);
    link_frame_free(&in);
}

/* ---- rows */

Test(worker, an_unknown_job_is_asked_for_and_its_rows_run) {
    run_rows(10, 0, 3);
    expect_ok(0, 3, "\"m\": ");
}

Test(worker, a_job_is_asked_for_again_when_nobody_answers) {
    join();
    lease(0, 1);
    puppet_pass(&scheduler, MESSAGE_JOB_GET);
    specify(JOB);
    permit(JOB, 1);
    expect_ok(0, 1, "\"m\": 1");
}

Test(worker, what_is_of_another_epoch_is_ignored) {
    join();
    scheduler.epoch = NEW_EPOCH;
    lease(0, 1);
    scheduler.epoch = EPOCH;
    expect_nothing_of(MESSAGE_JOB_GET);
}

Test(worker, rows_call_the_server) {
    with_calls(ONE_CALL);
    run_rows(10, 0, 3);
    expect_ok(0, 3, "\"a\": \"ok\"");
    cr_expect_eq(atomic_load(&server->requests), 3);
}

Test(worker, results_are_sent_until_they_are_acknowledged) {
    link_frame_t in;
    run_rows(10, 0, 1);
    puppet_await(&scheduler, MESSAGE_ROW_RESULTS, &in);
    uint64_t batch = in.message.ROW_RESULTS.batch;
    link_frame_free(&in);
    puppet_await(&scheduler, MESSAGE_ROW_RESULTS, &in);
    cr_expect_eq(in.message.ROW_RESULTS.batch, batch);
    cr_expect_eq(in.message.ROW_RESULTS.rows.count, 1);
    cr_expect_eq(in.message.ROW_RESULTS.rows.items[0].index, 0);
    link_frame_free(&in);
    acknowledge(batch);
    drain(LONG_MS);
    expect_end(0); /* with a result on its way it would wait */
}

Test(worker, a_lease_seen_twice_runs_once) {
    with_calls(ONE_CALL);
    run_rows(10, 0, 2);
    expect_ok(0, 2, "ok");
    say_lease(0, JOB, 0, 0, 2, false);
    lease(2, 1);
    expect_ok(2, 1, "ok");
    cr_expect_eq(atomic_load(&server->requests), 3);
}

Test(worker, the_beat_says_which_leases_have_arrived) {
    link_frame_t in;
    run_rows(10, 0, 1);
    expect_ok(0, 1, "\"m\": ");
    say_lease(2, JOB, 0, 2, 1, false);
    expect_ok(2, 1, "\"m\": ");
    for (uint64_t leases = 0; leases != 1;) {
        puppet_await(&scheduler, MESSAGE_BEAT, &in);
        leases = in.message.BEAT.leases;
        cr_assert_leq(leases, 1, "lease 1 is missing");
        link_frame_free(&in);
    }
    say((message_t){.type = MESSAGE_LEASES_VOID, .LEASES_VOID = {.from = 1, .count = 1}});
    say_lease(1, JOB, 0, 1, 1, false); /* it comes late: it is void */
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    for (uint64_t leases = 0; leases != 3;) {
        puppet_await(&scheduler, MESSAGE_BEAT, &in);
        leases = in.message.BEAT.leases;
        cr_assert_leq(leases, 3);
        link_frame_free(&in);
    }
}

Test(worker, a_new_registration_voids_the_rows_that_wait) {
    run_rows(0, 0, 3);
    say_lease((uint64_t)1 << LEASE_ERA_SHIFT, JOB, 1, 7, 2, false);
    permit(JOB, 10);
    expect_ok(7, 2, "\"m\": ");
    say_lease(next_lease++, JOB, 0, 3, 1, false); /* late, of the registration before */
    expect_nothing_of(MESSAGE_ROW_RESULTS);
}

Test(worker, a_new_epoch_voids_everything) {
    run_rows(0, 0, 3);
    puppet_sync(&scheduler, MESSAGE_NONE);
    scheduler.epoch = NEW_EPOCH;
    say_welcome(true);
    next_lease = 0;
    permit(JOB, 10);
    lease(5, 1);
    specify(JOB);
    expect_ok(5, 1, "\"m\": ");
}

/* ---- permits */

Test(worker, as_many_rows_run_as_are_permitted) {
    with_held_calls(3);
    run_rows(2, 0, 3);
    expect_held(2, 0);
    await_held_calls(2);
    puppet_sync(&scheduler, MESSAGE_NONE);
    cr_expect_eq(atomic_load(&server->held_max), 2);
    permit(JOB, 3);
    expect_ok(0, 3, "ok");
    cr_expect_eq(atomic_load(&server->held_max), 3);
}

Test(worker, what_it_gives_up_it_tells) {
    with_held_calls(4);
    run_rows(3, 0, 5);
    await_held_calls(3);
    permit(JOB, 1);
    expect_held(1, 3);
    cr_expect_eq(atomic_load(&server->held), 3);
    release_calls(); /* they end, and one of the two others runs: it is one at most */
    expect_held(1, 1);
}

static uint64_t endpoint_of_model(const char *api_model) {
    char *url = xasprintf("%s/v1", server->url);
    uint64_t id = endpoint_id((const char *const *)&url, 1, "k", api_model);
    free(url);
    return id;
}

/* Of all jobs together: says how many calls the server may have from here, and hears that it is known. */
static uint64_t endpoint_of_server(void) { return endpoint_of_model("m"); }

static void permit_calls(uint64_t endpoint, uint64_t calls) {
    link_frame_t in;
    say((message_t){.type = MESSAGE_ENDPOINT_PERMITS,
                    .ENDPOINT_PERMITS = {.endpoint = endpoint, .calls = calls}});
    puppet_await(&scheduler, MESSAGE_ENDPOINT_HELD, &in);
    cr_expect_eq(in.message.ENDPOINT_HELD.endpoint, endpoint);
    cr_expect_eq(in.message.ENDPOINT_HELD.permit, calls);
    link_frame_free(&in);
}

Test(worker, as_many_calls_are_made_as_the_endpoint_permits) {
    with_held_calls(3);
    uint64_t endpoint = endpoint_of_server();
    join();
    permit_calls(endpoint, 1);
    permit(JOB, 3);
    lease(0, 3);
    specify(JOB);
    await_held_calls(1);
    puppet_sync(&scheduler, MESSAGE_NONE);
    cr_expect_eq(atomic_load(&server->held_max), 1);
    permit_calls(endpoint, 3);
    expect_ok(0, 3, "ok");
    cr_expect_eq(atomic_load(&server->held_max), 3);
}

Test(worker, a_call_that_backs_off_lets_another_row_start) {
    with_busy_server(1, "Retry-After: 4\r\n");
    run_rows(1, 0, 2);
    expect_ok(1, 1, "ok");
    expect_nothing_of(MESSAGE_ROW_RESULTS); /* row 0 still waits */
    cr_expect_eq(atomic_load(&server->requests), 2);
}

/* ---- time that does not count for wall_time_ms */

Test(worker, waiting_for_a_busy_server_is_no_wall_time) {
    with_busy_server(1, "Retry-After: 1\r\n");
    with_calls(SHORT_TIME);
    run_rows(1, 0, 1);
    expect_ok(0, 1, "ok");
}

Test(worker, waiting_for_a_permit_is_no_wall_time) {
    with_calls(SHORT_TIME);
    run_rows(1, 0, 0);
    permit_calls(endpoint_of_server(), 0);
    lease(0, 1);
    expect_none_for_two_beats(MESSAGE_ROW_RESULTS);
    permit_calls(endpoint_of_server(), 1);
    expect_ok(0, 1, "ok");
}

Test(worker, waiting_for_an_answer_is_wall_time) {
    with_held_calls(100);
    with_calls(SHORT_TIME);
    run_rows(1, 0, 1);
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "wall_time_ms");
}

/* Hears reports of the job until one says that its endpoint has met this trouble. It is the only one. */
static endpoint_report_t hear_trouble(llm_cause_t trouble) {
    endpoint_report_t report = {0};
    while (report.trouble != trouble) {
        link_frame_t in;
        endpoint_report_t *reports;
        size_t count;
        puppet_await(&scheduler, MESSAGE_ENDPOINT_REPORT, &in);
        const MSG_ENDPOINT_REPORT *m = &in.message.ENDPOINT_REPORT;
        cr_assert_eq(m->job, JOB);
        cr_assert_eq(endpoint_reports_decode(m->reports.data, m->reports.len, &reports, &count, NULL),
                     SDG_OK);
        cr_assert_eq(count, 1);
        report = reports[0];
        free(reports);
        link_frame_free(&in);
    }
    return report;
}

Test(worker, trouble_of_an_endpoint_is_told_before_a_row_ends) {
    with_busy_server(1, "Retry-After: 100\r\n");
    refusal.body = "{\"error\": {\"message\": \"slow down\"}}";
    run_rows(1, 0, 1);
    endpoint_report_t report = hear_trouble(LLM_CAUSE_RATE_LIMIT);
    cr_expect_eq(report.requests, 1);
    cr_expect_eq(report.answered, 0);
    cr_expect_eq(report.in_flight, 0);
    cr_expect_eq(report.waiting, 1);
    cr_expect_eq(report.answered_ms, ENDPOINT_NEVER);
    cr_expect(strstr(report.trouble_text, "slow down"), "%s", report.trouble_text);
    cr_expect(strstr(report.address, "http://127.0.0.1:"), "%s", report.address);
    expect_nothing_of(MESSAGE_ROW_RESULTS);
}

Test(worker, what_was_said_of_endpoints_is_said_again_to_a_scheduler_that_may_have_lost_it) {
    with_busy_server(1, "Retry-After: 100\r\n");
    run_rows(1, 0, 1);
    hear_trouble(LLM_CAUSE_RATE_LIMIT);
    say_welcome(true);
    hear_trouble(LLM_CAUSE_RATE_LIMIT);
}

Test(worker, a_row_that_sleeps_lets_another_start) {
    with_calls(NUMBER_OR_SLEEP);
    refused_first = 1;
    refusal = (act_t){.body = COMPLETION("\"seven\"")};
    reply = COMPLETION("\"7\"");
    run_rows(1, 0, 2);
    expect_ok(1, 1, "7");
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    cr_expect_eq(atomic_load(&server->requests), 2);
}

/* A row that has woken and finds no unit free: it begins its Python call when the other row has ended. */
Test(worker, a_python_call_waits_for_a_unit) {
    args.accept_python = true;
    with_held_calls(2);
    with_calls(PYTHON_TWICE);
    run_rows(1, 0, 2);
    await_held_calls(1);
    expect_none_for_two_beats(MESSAGE_ROW_RESULTS);
    cr_expect_eq(atomic_load(&server->held), 1);
    release_calls();
    expect_ok(0, 2, "done");
}

/* Says the permit until all units of the job are free. */
static void await_free_units(uint64_t units) {
    for (bool free = false; !free;) {
        link_frame_t in;
        permit(JOB, units);
        puppet_await(&scheduler, MESSAGE_PERMITS_HELD, &in);
        free = in.message.PERMITS_HELD.used == 0;
        link_frame_free(&in);
    }
}

/* The time in which a row waits for a unit is not its own, whatever it has asked before. The process of the
 * first row is there for the second. */
Test(worker, a_row_that_was_answered_waits_for_a_unit_as_long_as_it_takes) {
    args.accept_python = true;
    with_calls(ASKS_THEN_PYTHON_TWICE);
    run_rows(1, 9, 1);
    expect_ok(9, 1, "done ok");
    lease(0, 1);
    puppet_sync(&scheduler, MESSAGE_NONE);
    await_free_units(1);
    permit(JOB, 0); /* the row sleeps */
    for (int i = 0; i < 3; i++) {
        expect_none_for_two_beats(MESSAGE_ROW_RESULTS);
        say((message_t){.type = MESSAGE_BEAT}); /* the scheduler is there */
    }
    permit(JOB, 1);
    expect_ok(0, 1, "done ok");
}

Test(worker, what_waits_is_told_when_it_is_more_or_less_than_before) {
    with_busy_server(2, "Retry-After: 1\r\n");
    run_rows(1, 0, 3);
    expect_waiting(2);
    expect_waiting(0); /* they were called again */
    cr_expect_geq(atomic_load(&server->requests), 4);
}

/* ---- the end of a job */

Test(worker, a_job_that_drains_gets_back_rows_that_nobody_here_will_give_a_unit) {
    with_busy_server(2, "Retry-After: 4\r\n");
    run_rows(1, 0, 2);
    expect_waiting(2);
    drop_job(DISPATCH_STOP_DRAIN);
    expect_none_for_two_beats(MESSAGE_LEASE_RETURN); /* they have a unit to come back to */
    permit(JOB, 0);
    expect_held(0, 0);
    drop_job(DISPATCH_STOP_DRAIN);
    expect_returned(0, 2);
    permit(JOB, 1);
    lease(2, 1);
    expect_ok(2, 1, "ok");
}

Test(worker, a_job_that_drains_gets_back_what_has_not_started) {
    with_held_calls(2);
    run_rows(1, 0, 4);
    await_held_calls(1);
    drop_job(DISPATCH_STOP_DRAIN);
    expect_returned(1, 3);
    release_calls();
    expect_ok(0, 1, "ok");
}

Test(worker, a_job_that_is_dropped_is_forgotten) {
    with_held_calls(2);
    run_rows(1, 0, 4);
    await_held_calls(1);
    drop_job(DISPATCH_STOP_NOW);
    expect_none_for_two_beats(MESSAGE_LEASE_RETURN);
    hold = false;
    permit(JOB, 1);
    lease(9, 1);
    specify(JOB);
    expect_ok(9, 1, "ok");
}

Test(worker, a_pipeline_that_cannot_be_loaded_is_refused_in_words) {
    link_frame_t in;
    snprintf(yaml, sizeof yaml, "%s", HEAD "blocks:\n  - {type: nonsense, exec: 1}\n");
    run_rows(1, 0, 1);
    for (int i = 0; i < 2; i++) {
        puppet_await(&scheduler, MESSAGE_JOB_REFUSED, &in);
        cr_expect_eq(in.message.JOB_REFUSED.job, JOB);
        cr_expect(slice_has(in.message.JOB_REFUSED.reason, "nonsense"), "%.*s",
                  (int)in.message.JOB_REFUSED.reason.len, in.message.JOB_REFUSED.reason.data);
        link_frame_free(&in);
        permit(JOB, 1); /* whoever goes on with it is told again */
    }
}

Test(worker, options_that_want_passes_without_a_store_are_refused_in_words) {
    link_frame_t in;
    options.row.stop_before = 1;
    run_rows(1, 0, 1);
    puppet_await(&scheduler, MESSAGE_JOB_REFUSED, &in);
    cr_expect(slice_has(in.message.JOB_REFUSED.reason, "no store"), "%.*s",
              (int)in.message.JOB_REFUSED.reason.len, in.message.JOB_REFUSED.reason.data);
    link_frame_free(&in);
}

Test(worker, python_that_is_not_allowed_here_is_refused) {
    link_frame_t in;
    snprintf(yaml, sizeof yaml, "%s",
             HEAD "blocks:\n  - {type: python, exec: 1, entrypoint: f, "
                  "code: \"def f(ctx, *a): return {}\", outputs: [X]}\n");
    run_rows(1, 0, 1);
    puppet_await(&scheduler, MESSAGE_JOB_REFUSED, &in);
    cr_expect(slice_has(in.message.JOB_REFUSED.reason, "ython"), "%.*s",
              (int)in.message.JOB_REFUSED.reason.len, in.message.JOB_REFUSED.reason.data);
    link_frame_free(&in);
}

Test(worker, a_job_that_has_ended_meanwhile_is_forgotten) {
    join();
    lease(0, 1);
    puppet_pass(&scheduler, MESSAGE_JOB_GET);
    say((message_t){.type = MESSAGE_REFUSED,
                    .REFUSED = {.about = MESSAGE_JOB_GET, .id = JOB, .reason = slice_of("over")}});
    expect_nothing_of(MESSAGE_JOB_REFUSED);
    lease(1, 1);
    permit(JOB, 1);
    specify(JOB);
    expect_ok(1, 1, "\"m\": ");
}

/* ---- the end of the worker */

Test(worker, a_worker_that_drains_finishes_what_runs) {
    link_frame_t in;
    with_held_calls(2);
    run_rows(1, 0, 4);
    await_held_calls(1);
    drain(LONG_MS);
    for (uint64_t credit = 1; credit != 0;) { /* what it said before may have been on its way */
        puppet_await(&scheduler, MESSAGE_ROW_CREDIT, &in);
        credit = in.message.ROW_CREDIT.rows;
        link_frame_free(&in);
    }
    expect_returned(1, 3);
    lease(7, 1); /* it was on its way */
    expect_returned(7, 1);
    release_calls();
    expect_ok(0, 1, "ok");
    expect_end(0);
}

Test(worker, a_worker_that_drains_leaves_at_its_deadline) {
    with_held_calls(2);
    run_rows(1, 0, 1);
    await_held_calls(1);
    harness_command(worker, "DRAIN 1");
    expect_end(1);
}

Test(worker, a_worker_that_drains_counts_rows_that_wait_as_running) {
    with_busy_server(2, "Retry-After: 100\r\n");
    run_rows(1, 0, 2);
    expect_waiting(2);
    drain(LONG_MS);
    expect_held(0, 2);
}

Test(worker, a_worker_that_drains_gives_back_rows_of_a_closed_endpoint) {
    with_calls(ONE_CALL);
    join();
    permit_calls(endpoint_of_server(), 0);
    permit(JOB, 1);
    lease(0, 2);
    specify(JOB);
    expect_waiting(2);
    drain(LONG_MS);
    expect_returned(0, 2);
    expect_end(0);
    cr_expect_eq(atomic_load(&server->requests), 0);
}

Test(worker, a_worker_that_drains_keeps_rows_when_another_endpoint_of_their_job_is_closed) {
    with_busy_server(2, "Retry-After: 4\r\n");
    with_calls(TWO_MODELS);
    join();
    permit_calls(endpoint_of_model("other"), 0);
    permit(JOB, 1);
    lease(0, 2);
    specify(JOB);
    expect_waiting(2);
    drain(LONG_MS);
    expect_none_for_two_beats(MESSAGE_LEASE_RETURN); /* their own server will take them again */
}

/* ---- endpoints that are closed, or refuse everything */

/* With a unit that is free: the server takes nothing for now. */
Test(worker, a_job_that_drains_gets_back_rows_of_a_server_that_is_closed) {
    with_busy_server(2, "Retry-After: 100\r\n");
    run_rows(2, 0, 2);
    expect_waiting(2);
    hear_trouble(LLM_CAUSE_RATE_LIMIT);
    drop_job(DISPATCH_STOP_DRAIN);
    expect_returned(0, 2);
}

static void with_wrong_key(void) {
    with_calls(ONE_CALL);
    refused_first = 1000;
    refusal = (act_t){.status = 401, .body = "{\"error\": {\"message\": \"no such key\"}}"};
}

Test(worker, a_refused_row_waits_until_it_is_let_fail) {
    with_wrong_key();
    run_rows(1, 0, 1);
    endpoint_report_t report = hear_trouble(LLM_CAUSE_ENDPOINT);
    cr_expect_eq(report.refused, 1);
    cr_expect_eq(report.refused_in_a_row, 1);
    cr_expect_eq(report.state, ENDPOINT_OPEN);
    expect_none_for_two_beats(MESSAGE_ROW_RESULTS);
    say((message_t){.type = MESSAGE_ENDPOINT_LET_FAIL,
                    .ENDPOINT_LET_FAIL = {.job = JOB, .endpoint = report.endpoint}});
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "no such key");
}

Test(worker, a_job_that_drains_gets_back_rows_that_are_refused) {
    with_wrong_key();
    run_rows(4, 0, 4);
    for (endpoint_report_t report = {0}; report.refused < 4;)
        report = hear_trouble(LLM_CAUSE_ENDPOINT);
    drop_job(DISPATCH_STOP_DRAIN);
    expect_returned(0, 4);
}

/* ---- the call journal */

static void say_tags(message_type_t type, const uint64_t *tags, size_t count) {
    u64_list_t list = {(uint64_t *)tags, count};
    message_t m = {.type = type};
    switch ((int)type) {
    case MESSAGE_CALL_MISSING: m.CALL_MISSING.tags = list; break;
    case MESSAGE_CALL_RECORDED: m.CALL_RECORDED.tags = list; break;
    case MESSAGE_CTX_MISSING: m.CTX_MISSING.tags = list; break;
    case MESSAGE_CTX_SAVED: m.CTX_SAVED.tags = list; break;
    default: cr_assert(false);
    }
    puppet_say(&store, m);
}

/* Hears the one call of a CALL_RECORD: its tag, and its answer if `keep` is not NULL. */
static uint64_t hear_record(uint64_t row, buf_t *keep) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CALL_RECORD, &in);
    cr_assert(in.message.CALL_RECORD.job == JOB && in.message.CALL_RECORD.calls.count == 1);
    const call_item_t *call = &in.message.CALL_RECORD.calls.items[0];
    uint64_t tag = call->tag;
    cr_expect_eq(call->row, row);
    cr_expect_gt(call->answer.len, 0);
    if (keep) buf_add(keep, call->answer.data, call->answer.len);
    link_frame_free(&in);
    return tag;
}

static uint64_t hear_lookup(uint64_t row) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CALL_LOOKUP, &in);
    cr_assert(in.message.CALL_LOOKUP.job == JOB && in.message.CALL_LOOKUP.calls.count == 1);
    uint64_t tag = in.message.CALL_LOOKUP.calls.items[0].tag;
    cr_expect_eq(in.message.CALL_LOOKUP.calls.items[0].row, row);
    link_frame_free(&in);
    return tag;
}

Test(worker, an_answer_is_used_when_it_is_recorded) {
    with_calls(ONE_CALL);
    with_store();
    options.store.calls = true;
    run_rows(1, 0, 1);
    hear_record(0, NULL);
    uint64_t tag = hear_record(0, NULL); /* not answered: said again */
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_ok(0, 1, "ok");
    cr_expect_eq(atomic_load(&server->requests), 1);
}

/* The store's words come twice and late: each belongs to one call. */
Test(worker, an_answer_that_is_recorded_twice_is_used_once) {
    with_calls(TWO_CALLS);
    with_store();
    options.store.calls = true;
    run_rows(1, 0, 1);
    uint64_t first = hear_record(0, NULL);
    say_tags(MESSAGE_CALL_RECORDED, &first, 1);
    say_tags(MESSAGE_CALL_RECORDED, &first, 1);
    uint64_t second = hear_record(0, NULL);
    cr_expect_neq(first, second);
    say_tags(MESSAGE_CALL_RECORDED, &first, 1);
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    say_tags(MESSAGE_CALL_RECORDED, &second, 1);
    expect_ok(0, 1, "\"b\": \"ok\"");
    cr_expect_eq(atomic_load(&server->requests), 2);
}

Test(worker, a_row_leased_again_asks_before_it_calls) {
    buf_t kept;
    with_calls(ONE_CALL);
    with_store();
    options.store.calls = true;
    run_rows(1, 0, 1);
    buf_init(&kept, 1 << 16);
    uint64_t tag = hear_record(0, &kept);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_ok(0, 1, "ok");
    say_lease(next_lease++, JOB, 1, 0, 1, false);
    call_item_t found = {.tag = hear_lookup(0), .answer = {kept.data, kept.len}};
    puppet_say(&store, (message_t){.type = MESSAGE_CALL_FOUND, .CALL_FOUND = {.calls = {&found, 1}}});
    expect_ok(0, 1, "ok");
    cr_expect_eq(atomic_load(&server->requests), 1, "the journal had it");
    buf_free(&kept);
}

Test(worker, a_call_that_the_journal_has_not_is_made) {
    with_calls(ONE_CALL);
    with_store();
    options.store.calls = true;
    options.store.end_row = 10; /* an earlier run may have worked on these */
    run_rows(1, 3, 1);
    uint64_t tag = hear_lookup(3);
    cr_expect_eq(atomic_load(&server->requests), 0);
    say_tags(MESSAGE_CALL_MISSING, &tag, 1);
    tag = hear_record(3, NULL);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_ok(3, 1, "ok");
}

static void with_late_journal(const char *pipeline) {
    with_calls(pipeline);
    with_store();
    options.store.calls = options.store.late = true;
}

Test(worker, a_fine_row_does_not_wait_for_a_journal_that_is_written_late) {
    with_late_journal(ONE_CALL);
    run_rows(1, 0, 1);
    expect_ok(0, 1, "ok");
}

Test(worker, a_failed_row_is_reported_when_its_answer_is_written_down) {
    with_late_journal(FAILING_CALL);
    run_rows(1, 0, 1);
    hear_record(0, NULL);
    uint64_t tag = hear_record(0, NULL); /* not answered: said again */
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "output A");
    cr_expect_eq(atomic_load(&server->requests), 1);
}

Test(worker, a_failed_row_does_not_wait_for_ever_for_the_journal, .timeout = 60) {
    with_late_journal(FAILING_CALL);
    run_rows(1, 0, 1);
    for (int second = 0; second < 7; second++) {
        puppet_say(&scheduler, (message_t){.type = MESSAGE_BEAT}); /* the scheduler is there */
        zclock_sleep(1000);
    }
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "output A");
}

Test(worker, a_replayed_answer_that_fails_is_asked_for_anew) {
    buf_t kept;
    with_late_journal(FAILING_CALL);
    options.store.end_row = 10;
    run_rows(1, 0, 1);
    uint64_t tag = hear_lookup(0);
    say_tags(MESSAGE_CALL_MISSING, &tag, 1);
    buf_init(&kept, 1 << 16);
    tag = hear_record(0, &kept);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "output A");
    say_lease(next_lease++, JOB, 1, 0, 1, false);
    call_item_t found = {.tag = hear_lookup(0), .answer = {kept.data, kept.len}};
    puppet_say(&store, (message_t){.type = MESSAGE_CALL_FOUND, .CALL_FOUND = {.calls = {&found, 1}}});
    tag = hear_lookup(0); /* the second answer to the same question */
    say_tags(MESSAGE_CALL_MISSING, &tag, 1);
    tag = hear_record(0, NULL);
    say_tags(MESSAGE_CALL_RECORDED, &tag, 1);
    expect_results(JOB, 0, 1, ROW_STATUS_FAILED, "output A");
    cr_expect_eq(atomic_load(&server->requests), 2);
    buf_free(&kept);
}

/* ---- what the Python of a row asks */

static void with_asking(const char *main) {
    static char pipeline[sizeof yaml];
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
    with_calls(ASKING);
    snprintf(pipeline, sizeof pipeline, yaml, main);
    _Pragma("GCC diagnostic pop");
    snprintf(yaml, sizeof yaml, "%s", pipeline);
    args.accept_python = true;
}

static void with_journal(void) {
    with_store();
    options.store.calls = true;
}

enum { RECORDS_MAX = 16 };

/* The calls that the store was told to write down, and what else is known of them. */
static struct {
    uint64_t tag[RECORDS_MAX], hash[RECORDS_MAX], occurrence[RECORDS_MAX];
    size_t count;
} records;

static bool is_new_record(uint64_t tag) {
    for (size_t i = 0; i < records.count; i++) {
        if (records.tag[i] == tag) return false;
    }
    return true;
}

/* Hears `count` further calls that are to be written down, and says that they are if `recorded`. */
static void take_records(size_t count, bool recorded) {
    size_t first = records.count;
    while (records.count < first + count) {
        link_frame_t in;
        puppet_await(&store, MESSAGE_CALL_RECORD, &in);
        const call_list_t *calls = &in.message.CALL_RECORD.calls;
        for (size_t i = 0; i < calls->count; i++) {
            if (!is_new_record(calls->items[i].tag)) continue; /* said again */
            cr_assert_lt(records.count, RECORDS_MAX);
            records.tag[records.count] = calls->items[i].tag;
            records.hash[records.count] = calls->items[i].hash_low;
            records.occurrence[records.count++] = calls->items[i].occurrence;
        }
        link_frame_free(&in);
    }
    cr_assert_eq(records.count, first + count);
    if (recorded) say_tags(MESSAGE_CALL_RECORDED, &records.tag[first], count);
}

/* The call that was recorded as number `i` asks what all others ask, and is this one of the row. */
static void expect_occurrence(size_t i, uint64_t occurrence) {
    cr_expect_eq(records.hash[i], records.hash[0]);
    cr_expect_eq(records.occurrence[i], occurrence, "record %zu is of call %" PRIu64, i,
                 records.occurrence[i]);
}

static const char GATHER_OF_6[] =
    "      async def main(ctx, n):\n"
    "          said = await asyncio.gather(*[ask(ctx, 'q%d' % i) for i in range(6)])\n"
    "          return {'X': ' '.join(said)}\n";

Test(worker, questions_of_a_row_that_are_not_recorded_keep_their_units) {
    with_asking(GATHER_OF_6);
    with_journal();
    run_rows(2, 0, 1);
    take_records(2, false);
    expect_none_for_two_beats(MESSAGE_ROW_RESULTS);
    cr_expect_eq(atomic_load(&server->requests), 2, "two units, and both are held");
    say_tags(MESSAGE_CALL_RECORDED, records.tag, 2);
    take_records(2, true);
    take_records(2, true);
    take_records(1, true); /* of the ai block */
    expect_ok(0, 1, "ok ok ok ok ok ok");
    cr_expect_eq(atomic_load(&server->requests), 7);
    await_free_units(2);
}

Test(worker, one_unit_is_enough_for_questions_that_are_recorded) {
    with_asking(GATHER_OF_6);
    with_journal();
    run_rows(1, 0, 2);
    for (int i = 0; i < 14; i++)
        take_records(1, true);
    expect_ok(0, 2, "ok ok ok ok ok ok");
    await_free_units(1);
}

Test(worker, questions_without_a_journal_give_their_units_back) {
    with_asking(GATHER_OF_6);
    refused_first = 3;
    refusal = (act_t){.status = 400};
    run_rows(2, 0, 3);
    expect_ok(0, 3, "ok");
    cr_expect_eq(atomic_load(&server->requests), 21);
    await_free_units(2);
}

/* One unit: the server hears the questions in the order in which they are asked. The first two fail while the
 * third is open. The same is asked until there are four answers, and once more by the next block. */
Test(worker, equal_questions_of_which_some_fail_are_told_apart) {
    with_asking("      async def main(ctx, n):\n"
                "          said = await asyncio.gather(ask(ctx), ask(ctx), ask(ctx))\n"
                "          for i in range(3): said.append(await ask(ctx))\n"
                "          return {'X': ' '.join(said)}\n");
    with_journal();
    refused_first = 4; /* two that are held, and two that let these go */
    refusal = (act_t){.kind = ACT_HOLD, .status = 400};
    server->release_at = 2;
    run_rows(1, 0, 1);
    await_held_calls(1);
    expect_none_for_two_beats(MESSAGE_ROW_RESULTS); /* meanwhile all three are asked */
    release_calls();
    await_held_calls(1);
    release_calls();
    for (int i = 0; i < 5; i++)
        take_records(1, true);
    expect_ok(0, 1, "failed failed ok ok ok ok");
    static const uint64_t order[] = {2, 0, 1, 3, 4};
    for (size_t i = 0; i < 5; i++)
        expect_occurrence(i, order[i]);
    await_free_units(1);
}

/* The second of two equal questions is answered, then Python returns. The number of the first is not given
 * away, or the question of the next block would be taken for one that has its answer. */
Test(worker, a_question_that_is_open_at_the_end_of_python_keeps_its_number) {
    with_asking("      def main(ctx, n):\n"
                "          first = lambda: ctx.call_ai('m', None, 'same')\n"
                "          threading.Thread(target=first, daemon=True).start()\n"
                "          time.sleep(.5)\n"
                "          return {'X': ctx.call_ai('m', None, 'same')}\n");
    with_journal();
    hang_first = 1;
    run_rows(2, 0, 1);
    take_records(1, true);
    take_records(1, true); /* of the ai block */
    expect_ok(0, 1, "ok");
    expect_occurrence(0, 1);
    expect_occurrence(1, 2);
    cr_expect_eq(atomic_load(&server->requests), 3);
    await_free_units(2);
}

/* Python returns while its questions are in all their states: one is being recorded, one called, others wait
 * for a unit or for their turn. */
static const char LEAVES_20[] =
    "      def main(ctx, n):\n"
    "          for i in range(20):\n"
    "              threading.Thread(target=lambda: ctx.call_ai('m', None, 'x'), daemon=True).start()\n"
    "          time.sleep(%s)\n"
    "          return {'X': 'left'}\n";

static void with_20_questions(const char *seconds) {
    char main[sizeof LEAVES_20 + 16];
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
    snprintf(main, sizeof main, LEAVES_20, seconds);
    _Pragma("GCC diagnostic pop");
    with_asking(main);
    with_journal();
    hang_first = 1;
    run_rows(2, 0, 1);
    take_records(1, false);
}

Test(worker, the_end_of_python_ends_its_questions) {
    with_20_questions("1");
    uint64_t late = records.tag[0];
    take_records(1, true); /* of the ai block */
    say_tags(MESSAGE_CALL_RECORDED, &late, 1);
    expect_ok(0, 1, "left");
    cr_expect_eq(atomic_load(&server->requests), 3);
    await_free_units(2);
}

Test(worker, a_job_that_is_dropped_takes_the_questions_of_its_rows_along) {
    with_20_questions("99");
    drop_job(DISPATCH_STOP_NOW);
    expect_none_for_two_beats(MESSAGE_LEASE_RETURN);
    cr_expect_eq(atomic_load(&server->requests), 2);
    with_asking(GATHER_OF_6);
    permit(JOB, 1);
    lease(9, 1);
    specify(JOB);
    for (int i = 0; i < 7; i++) {
        take_records(1, true);
        say_tags(MESSAGE_CALL_RECORDED, records.tag, 1); /* late */
    }
    expect_ok(9, 1, "ok ok");
    await_free_units(1);
}

Test(worker, a_drain_gives_back_rows_with_open_questions_when_its_time_is_over) {
    with_20_questions("99");
    drain(500);
    expect_end(1);
}

/* ---- contexts */

/* Hears the one context of a CTX_PUT, keeps its bytes and returns its tag. */
static uint64_t hear_put(uint64_t row, uint32_t part, buf_t *keep) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CTX_PUT, &in);
    cr_assert(in.message.CTX_PUT.owner == INSTANCE && in.message.CTX_PUT.contexts.count == 1);
    const context_item_t *put = &in.message.CTX_PUT.contexts.items[0];
    uint64_t tag = put->tag;
    cr_expect_eq(put->row, row);
    cr_expect_eq(put->part, part);
    buf_reset(keep);
    buf_add(keep, put->bytes.data, put->bytes.len);
    link_frame_free(&in);
    return tag;
}

static uint64_t hear_get(uint64_t row, uint32_t part) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_CTX_GET_OR_CREATE, &in);
    cr_assert(in.message.CTX_GET_OR_CREATE.owner == INSTANCE &&
              in.message.CTX_GET_OR_CREATE.contexts.count == 1);
    const context_item_t *get = &in.message.CTX_GET_OR_CREATE.contexts.items[0];
    uint64_t tag = get->tag;
    cr_expect_eq(get->row, row);
    cr_expect_eq(get->part, part);
    link_frame_free(&in);
    return tag;
}

static void give_context(uint64_t tag, uint64_t row, uint32_t part, const buf_t *bytes) {
    context_item_t item = {.tag = tag, .row = row, .part = part, .bytes = {bytes->data, bytes->len}};
    puppet_say(&store, (message_t){.type = MESSAGE_CTX, .CTX = {.contexts = {&item, 1}}});
}

/* Hears one of the messages that name rows: this one. */
static void expect_row_named(message_type_t type, uint64_t row) {
    link_frame_t in;
    puppet_await(&store, type, &in);
    const u64_list_t *rows = type == MESSAGE_CTX_PIN     ? &in.message.CTX_PIN.rows
                             : type == MESSAGE_CTX_UNPIN ? &in.message.CTX_UNPIN.rows
                                                         : &in.message.CTX_COMPLETE.rows;
    cr_expect(rows->count == 1 && rows->items[0] == row);
    link_frame_free(&in);
}

/* A row that waits in the store for its answer, which has come. */
static void run_row_in_store(buf_t *context) {
    with_calls(ONE_CALL);
    with_store();
    options.store.contexts = true;
    buf_init(context, 1 << 16);
    run_rows(1, 4, 1);
    hear_put(4, CONTEXT_PRIVATE, context);
}

Test(worker, a_row_that_waits_for_its_answer_waits_in_the_store) {
    buf_t context;
    run_row_in_store(&context);
    hear_get(4, CONTEXT_PRIVATE);
    uint64_t tag = hear_get(4, CONTEXT_PRIVATE); /* not answered: said again */
    give_context(tag, 4, CONTEXT_PRIVATE, &context);
    give_context(tag, 4, CONTEXT_PRIVATE, &context); /* and twice */
    expect_ok(4, 1, "ok");
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    expect_row_named(MESSAGE_CTX_COMPLETE, 4);
    buf_free(&context);
}

Test(worker, a_row_whose_context_is_lost_goes_back) {
    buf_t context;
    run_row_in_store(&context);
    uint64_t tag = hear_get(4, CONTEXT_PRIVATE);
    say_tags(MESSAGE_CTX_MISSING, &tag, 1);
    expect_returned(4, 1);
    expect_row_named(MESSAGE_CTX_COMPLETE, 4);
    buf_free(&context);
}

/* The second CTX_PUT is lost: what the store still has waits for the first answer, not for the second. */
Test(worker, a_row_is_not_woken_as_it_was_before_its_last_call) {
    buf_t first, second;
    with_calls(TWO_CALLS);
    with_store();
    options.store.contexts = true;
    buf_init(&first, 1 << 16);
    buf_init(&second, 1 << 16);
    run_rows(1, 4, 1);
    hear_put(4, CONTEXT_PRIVATE, &first);
    give_context(hear_get(4, CONTEXT_PRIVATE), 4, CONTEXT_PRIVATE, &first);
    hear_put(4, CONTEXT_PRIVATE, &second);
    give_context(hear_get(4, CONTEXT_PRIVATE), 4, CONTEXT_PRIVATE, &first);
    expect_returned(4, 1);
    buf_free(&first);
    buf_free(&second);
}

Test(worker, while_the_answer_is_recorded_the_context_is_pinned) {
    buf_t context;
    options.store.calls = true;
    run_row_in_store(&context);
    uint64_t recorded = hear_record(4, NULL);
    expect_row_named(MESSAGE_CTX_PIN, 4);
    say_tags(MESSAGE_CALL_RECORDED, &recorded, 1);
    uint64_t tag = hear_get(4, CONTEXT_PRIVATE);
    give_context(tag, 4, CONTEXT_PRIVATE, &context);
    expect_ok(4, 1, "ok");
    buf_free(&context);
}

Test(worker, under_a_memory_limit_a_fetched_context_is_unpinned) {
    buf_t context;
    with_calls(ONE_CALL);
    with_store();
    options.store.contexts = true;
    options.memory_bytes = 1 << 30;
    buf_init(&context, 1 << 16);
    run_rows(1, 4, 1);
    uint64_t put = hear_put(4, CONTEXT_PRIVATE, &context);
    cr_expect_neq(put, 0, "it counts as the worker's until the store has it");
    say_tags(MESSAGE_CTX_SAVED, &put, 1);
    uint64_t tag = hear_get(4, CONTEXT_PRIVATE);
    give_context(tag, 4, CONTEXT_PRIVATE, &context);
    expect_row_named(MESSAGE_CTX_UNPIN, 4);
    expect_ok(4, 1, "ok");
    buf_free(&context);
}

/* ---- batch mode */

Test(worker, a_row_goes_from_one_pass_to_the_next_through_the_store) {
    buf_t context;
    with_calls(TWO_CALLS);
    with_store();
    options.store.batch = true;
    options.row.stop_before = 1;
    buf_init(&context, 1 << 16);
    run_rows(1, 4, 1);
    hear_put(4, CONTEXT_SHARED, &context);
    uint64_t tag = hear_put(4, CONTEXT_SHARED, &context); /* not answered: said again */
    cr_expect_neq(tag, 0);
    expect_nothing_of(MESSAGE_ROW_RESULTS);
    say_tags(MESSAGE_CTX_SAVED, &tag, 1);
    expect_results(JOB, 4, 1, ROW_STATUS_PARKED, "");
    cr_expect_eq(atomic_load(&server->requests), 1);
    options.row.stop_before = 0;
    permit(NEXT_JOB, 1);
    say_lease(next_lease++, NEXT_JOB, 0, 4, 1, true);
    specify(NEXT_JOB);
    tag = hear_get(4, CONTEXT_SHARED);
    give_context(tag, 4, CONTEXT_SHARED, &context);
    expect_results(NEXT_JOB, 4, 1, ROW_STATUS_OK, "\"b\": \"ok\"");
    cr_expect_eq(atomic_load(&server->requests), 2);
    buf_free(&context);
}

Test(worker, a_row_between_passes_that_the_store_has_lost_fails) {
    with_calls(TWO_CALLS);
    with_store();
    options.store.batch = true;
    join();
    permit(JOB, 1);
    say_lease(next_lease++, JOB, 0, 4, 1, true);
    specify(JOB);
    uint64_t tag = hear_get(4, CONTEXT_SHARED);
    say_tags(MESSAGE_CTX_MISSING, &tag, 1);
    expect_results(JOB, 4, 1, ROW_STATUS_FAILED, "the context store has lost this row");
}
