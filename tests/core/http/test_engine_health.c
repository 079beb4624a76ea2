/* test_engine_health.c - what the engine does when servers refuse, reject or close (core/http/engine with
 * core/llm/health), against servers in threads. Time is the real one plus `later_ns`, so a test that waits
 * for an endpoint to open does not sleep. */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/http/engine.h"
#include "core/llm/limits.h"
#include "tests/core/http/http_server.h"

enum { ENDPOINT = 77, TURNS_MAX = 20000 };

static server_t *server;
static llm_engine_t *engine;
static uint32_t route;
static uint64_t later_ns; /* added to the clock */
static const retry_policy_t quick = {.attempts_max = 2, .base_ms = 2, .factor = 1, .cap_ms = 2};

static uint64_t now(void) { return clock_now_ns() + later_ns; }

static uint32_t open_route(const char *const *urls, size_t count) {
    err_t err;
    llm_route_options_t options = {.name = "m",
                                   .endpoint_id = ENDPOINT,
                                   .base_urls = urls,
                                   .url_count = count,
                                   .timeout_ms = 60000,
                                   .retry = quick};
    int number = llm_engine_open_route(engine, &options, &err);
    cr_assert_geq(number, 0, "%s", err.text);
    return (uint32_t)number;
}

static void begin_at(const char *const *urls, size_t count) {
    engine = llm_engine_new(&(llm_engine_options_t){.hold = true, .seed = 1}, NULL);
    cr_assert_not_null(engine);
    route = open_route(urls, count);
    llm_engine_set_permits(engine, ENDPOINT, 64);
}

static void begin(server_script_t script) {
    server = server_start(script);
    begin_at((const char *[]){server->url}, 1);
}

static void end(void) {
    llm_engine_destroy(&engine);
    server_stop(&server);
}

static void submit(uint64_t tag, const char *body) {
    err_t err;
    llm_request_t request = {.route = route, .body = body, .body_len = strlen(body)};
    cr_assert_eq(llm_engine_submit(engine, &request, tag, &err), SDG_OK, "%s", err.text);
}

static void submit_many(uint64_t first, uint64_t count, const char *body) {
    for (uint64_t tag = first; tag < first + count; tag++)
        submit(tag, body);
}

/* One turn of an event loop, of 50 ms at most. */
static void turn(void) {
    struct pollfd fd = {.fd = llm_engine_fd(engine), .events = POLLIN};
    int ms = llm_engine_timeout_ms(engine, now());
    poll(&fd, 1, ms < 0 || ms > 50 ? 50 : ms);
    llm_engine_drive(engine, now());
}

static llm_answer_t wait_answer(void) {
    llm_answer_t answer = {0};
    for (int i = 0; !llm_engine_next(engine, &answer); i++) {
        cr_assert_lt(i, TURNS_MAX, "no answer comes");
        turn();
    }
    return answer;
}

/* The next answer is a good one, and of the first attempt. */
static uint64_t expect_good(void) {
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, LLM_CAUSE_NONE, "%s: %s", llm_cause_name(answer.cause), answer.error.text);
    cr_expect_eq(answer.attempts, 1, "what was rejected spent no attempt");
    value_free(answer.text);
    return answer.tag;
}

static void expect_refused(const char *words) {
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, LLM_CAUSE_ENDPOINT, "%s", llm_cause_name(answer.cause));
    cr_expect(strstr(answer.error.text, words), "%s", answer.error.text);
    cr_expect_eq(answer.attempts, 1);
    value_free(answer.text);
}

static void expect_nothing(void) {
    llm_answer_t answer;
    cr_expect_not(llm_engine_next(engine, &answer));
}

static endpoint_report_t report(void) {
    endpoint_report_t r;
    cr_assert(llm_engine_report(engine, &route, 1, ENDPOINT, now(), &r));
    return r;
}

static void turn_until_held(uint32_t count) {
    for (int i = 0; report().refused < count; i++) {
        cr_assert_lt(i, TURNS_MAX, "%u calls are held", report().refused);
        turn();
    }
}

/* --- refused --- */

/* 401 for "bad", an answer for everything else. */
static act_t by_body(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    if (!strstr(request, "bad")) return (act_t){0};
    return (act_t){.status = 401, .body = "{\"error\":{\"message\":\"no such key\"}}"};
}

Test(engine_health, held_calls_fail_when_a_later_request_is_answered) {
    begin(by_body);
    submit_many(1, 2, "bad");
    turn_until_held(2);
    expect_nothing();
    cr_expect(llm_engine_waits_long(engine, 1, now()));
    cr_expect_eq(llm_engine_waits_for(engine, 1), ENDPOINT);
    endpoint_report_t r = report();
    cr_expect_eq(r.state, ENDPOINT_OPEN);
    cr_expect_eq(r.waiting, 2);
    cr_expect_eq(r.refused_in_a_row, 2);
    cr_expect_eq(r.answered_ms, ENDPOINT_NEVER);
    cr_expect_eq(r.trouble, LLM_CAUSE_ENDPOINT);
    cr_expect(strstr(r.trouble_text, "no such key"), "%s", r.trouble_text);
    submit(3, "good");
    expect_refused("no such key");
    expect_refused("no such key");
    cr_expect_eq(expect_good(), 3);
    r = report();
    cr_expect_eq(r.refused, 0);
    cr_expect_eq(r.refused_in_a_row, 0);
    cr_expect_eq(r.answered, 1);
    end();
}

Test(engine_health, held_calls_fail_when_the_caller_says_so) {
    begin(by_body);
    submit(1, "bad");
    turn_until_held(1);
    llm_engine_release_held(engine, route);
    expect_refused("no such key");
    end();
}

Test(engine_health, sixteen_refusals_make_an_endpoint_final) {
    begin(by_body);
    submit_many(1, LLM_REFUSALS_MAX, "bad");
    turn_until_held(LLM_REFUSALS_MAX);
    cr_expect_eq(report().state, ENDPOINT_FINAL);
    cr_expect_eq(report().refused_in_a_row, LLM_REFUSALS_MAX);
    uint64_t sent = report().requests;
    submit(100, "good");
    for (int i = 0; i < 5; i++)
        turn();
    expect_nothing();
    cr_expect_eq(report().requests, sent, "nothing is sent to a final endpoint");
    cr_expect(llm_engine_waits_long(engine, 100, now()));
    open_route((const char *[]){server->url}, 1);
    cr_expect_eq(report().state, ENDPOINT_OPEN, "who comes later finds out anew");
    end();
}

Test(engine_health, fifteen_refusals_do_not) {
    begin(by_body);
    submit_many(1, LLM_REFUSALS_MAX - 1, "bad");
    turn_until_held(LLM_REFUSALS_MAX - 1);
    cr_expect_eq(report().state, ENDPOINT_OPEN);
    end();
}

static act_t refuse(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.status = 403, .body = "{\"error\":{\"message\":\"not yours\"}}"};
}

static act_t say_ok(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){0};
}

Test(engine_health, another_replica_goes_on) {
    server_t *other = server_start(refuse);
    server = server_start(say_ok);
    begin_at((const char *[]){other->url, server->url}, 2);
    submit_many(1, 200, "{}");
    for (int i = 0; i < 200; i++)
        expect_good();
    endpoint_report_t r = report();
    cr_expect_eq(r.state, ENDPOINT_OPEN, "one replica is left");
    cr_expect_eq(r.answered, 200);
    cr_expect_lt(r.requests, 300, "the final replica gets no more");
    end();
    server_stop(&other);
}

/* --- rejected --- */

static act_t come_back_in_30(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    if (nth > 1) return (act_t){0};
    return (act_t){.status = 429, .headers = "Retry-After: 30\r\n", .body = "slow down"};
}

Test(engine_health, a_long_retry_after_closes_the_endpoint_until_then) {
    begin(come_back_in_30);
    submit(1, "{}");
    while (report().state != ENDPOINT_CLOSED)
        turn();
    endpoint_report_t r = report();
    cr_expect_gt(r.reopens_ms, 25000);
    cr_expect_leq(r.reopens_ms, 31000);
    cr_expect(llm_engine_waits_long(engine, 1, now()));
    submit(2, "{}");
    later_ns += 25 * SECOND;
    turn();
    cr_expect_eq(report().requests, 1, "nothing is sent before");
    later_ns += 6 * SECOND;
    cr_expect_eq(expect_good() + expect_good(), 3);
    cr_expect_eq(report().state, ENDPOINT_OPEN);
    cr_expect_eq(report().retries[LLM_CAUSE_RATE_LIMIT], 1);
    end();
}

static act_t first_in_3(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    static atomic_int times;
    if (!strstr(request, "first") || atomic_fetch_add(&times, 1) > 0) return (act_t){0};
    return (act_t){.status = 429, .headers = "Retry-After: 3\r\n", .body = "slow down"};
}

Test(engine_health, a_short_retry_after_holds_its_own_call_only) {
    begin(first_in_3);
    submit(1, "first");
    while (report().retries[LLM_CAUSE_RATE_LIMIT] == 0)
        turn();
    cr_expect_eq(report().state, ENDPOINT_OPEN);
    submit(2, "second");
    cr_expect_eq(expect_good(), 2, "another call does not wait");
    cr_expect_eq(llm_engine_waits_for(engine, 1), ENDPOINT);
    cr_expect_not(llm_engine_waits_long(engine, 1, now()), "others are answered");
    later_ns += 4 * SECOND;
    cr_expect_eq(expect_good(), 1);
    end();
}

static act_t busy_three_times(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    if (nth > 3) return (act_t){0};
    return (act_t){.status = 429, .body = "slow down"};
}

Test(engine_health, rejections_without_a_time_spend_no_attempt) {
    begin(busy_three_times);
    submit(1, "{}");
    llm_answer_t answer;
    while (!llm_engine_next(engine, &answer)) {
        turn();
        later_ns += SECOND; /* it is closed for 5, 10 and 20 s */
    }
    cr_expect_eq(answer.cause, LLM_CAUSE_NONE, "%s", answer.error.text);
    cr_expect_eq(answer.attempts, 1);
    cr_expect_eq(answer.requests, 4);
    cr_expect_gt(answer.waited_ns, SECOND, "it was closed in between");
    value_free(answer.text);
    end();
}

/* A bucket of 200 tokens a second that holds 40. */
static act_t bucket(server_t *s, int nth, const char *request) {
    static double tokens = 40;
    static uint64_t filled_ns;
    (void)s, (void)nth, (void)request;
    uint64_t at_ns = clock_now_ns();
    if (filled_ns) tokens += (double)(at_ns - filled_ns) / 1e9 * 200;
    if (tokens > 40) tokens = 40;
    filled_ns = at_ns;
    if (tokens < 1) return (act_t){.status = 429, .body = "slow down"};
    tokens -= 1;
    return (act_t){0};
}

Test(engine_health, requests_to_a_bucket_are_spread) {
    begin(bucket);
    submit_many(1, 400, "{}");
    for (int i = 0; i < 400; i++)
        expect_good();
    endpoint_report_t r = report();
    cr_expect_eq(r.answered, 400);
    cr_expect_lt(r.retries[LLM_CAUSE_RATE_LIMIT], 1000, "without pacing they are thousands");
    end();
}

/* --- silent --- */

static act_t first_is_fine(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    return (act_t){.status = nth == 1 ? 0 : 500};
}

Test(engine_health, a_retry_at_a_silent_endpoint_waits_long) {
    begin(first_is_fine);
    submit(1, "{}");
    cr_expect_eq(expect_good(), 1);
    retry_policy_t patient = {.attempts_max = 3, .base_ms = 600000, .factor = 1, .cap_ms = 600000};
    llm_request_t request = {.route = route, .body = "{}", .body_len = 2, .retry = &patient};
    cr_assert_eq(llm_engine_submit(engine, &request, 2, NULL), SDG_OK);
    while (report().retries[LLM_CAUSE_SERVER] == 0)
        turn();
    cr_expect_not(llm_engine_waits_long(engine, 2, now()), "somebody was answered a moment ago");
    later_ns += (LLM_SILENT_MS + 1000) * MILLISECOND;
    cr_expect(llm_engine_waits_long(engine, 2, now()));
    llm_engine_cancel(engine, 2);
    cr_expect_eq(wait_answer().cause, LLM_CAUSE_CANCELLED);
    end();
}

/* --- few descriptors --- */

/* The server in a process of its own: its descriptors are not ours. */
static pid_t start_elsewhere(char *url, size_t size) {
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        server_t *s = server_start(say_ok);
        if (write(ends[1], s->url, strlen(s->url)) < 0) _exit(1);
        close(ends[1]);
        for (;;)
            pause();
    }
    close(ends[1]);
    ssize_t len = read(ends[0], url, size - 1);
    cr_assert_gt(len, 0);
    url[len] = '\0';
    close(ends[0]);
    return pid;
}

Test(engine_health, without_descriptors_calls_wait_and_spend_no_attempt) {
    char url[64];
    pid_t pid = start_elsewhere(url, sizeof url);
    struct rlimit files;
    begin_at((const char *[]){url}, 1);
    submit(1, "{}");
    cr_expect_eq(expect_good(), 1);
    getrlimit(RLIMIT_NOFILE, &files);
    int next = dup(0);
    close(next);
    files.rlim_cur = (rlim_t)next + 3;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    submit_many(2, 30, "{}");
    for (int i = 0; i < 30; i++)
        expect_good();
    endpoint_report_t r = report();
    cr_expect_eq(r.answered, 31);
    cr_expect_eq(r.retries[LLM_CAUSE_CONNECTION], 0);
    cr_expect_eq(r.trouble, LLM_CAUSE_NONE, "the server is fine: %s", r.trouble_text);
    llm_engine_destroy(&engine);
    kill(pid, SIGKILL);
}

Test(engine_health, no_more_in_flight_than_there_are_descriptors_for) {
    server = server_start(say_ok);
    engine = llm_engine_new(&(llm_engine_options_t){.in_flight_max = 3, .seed = 1}, NULL);
    route = open_route((const char *[]){server->url}, 1);
    llm_engine_set_permits(engine, ENDPOINT, 64);
    submit_many(1, 50, "{}");
    for (int i = 0; i < 50; i++)
        expect_good();
    cr_expect_leq(server->connections, 3);
    end();
}
