/* test_engine.c - the LLM engine (core/http/engine) against a server in a thread: retries, permits, units,
 * routes, replicas, cancellation. */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/http/engine.h"
#include "core/llm/limits.h"
#include "tests/core/http/http_server.h"

static server_t *server;
static llm_engine_t *engine;
static const retry_policy_t quick = {.attempts_max = 4,
                                     .base_ms = 2,
                                     .factor = 1,
                                     .cap_ms = 2,
                                     .on_empty = true,
                                     .empty_max = LLM_EMPTY_REQUESTS};

/* A route to these URLs, which make up its endpoint. */
static uint32_t open_route(const char *const *urls, size_t count, uint32_t timeout_ms) {
    err_t err;
    static const char *const headers[] = {"X-Two: 2"};
    llm_route_options_t options = {.name = "m",
                                   .base_urls = urls,
                                   .url_count = count,
                                   .api_key = "k3y",
                                   .headers = headers,
                                   .header_count = 1,
                                   .timeout_ms = timeout_ms,
                                   .retry = quick};
    int number = llm_engine_open_route(engine, &options, &err);
    cr_assert_geq(number, 0, "%s", err.text);
    return (uint32_t)number;
}

static void begin(server_script_t script) {
    llm_engine_options_t options = {.seed = 1};
    server = server_start(script);
    engine = llm_engine_new(&options, NULL);
    cr_assert_not_null(engine);
    const char *urls[] = {server->url};
    cr_assert_eq(open_route(urls, 1, 60000), 0);
}

static void end(void) {
    llm_engine_destroy(&engine);
    cr_assert_null(engine);
    server_stop(&server);
}

static void submit(uint64_t tag, const char *body) {
    err_t err;
    llm_request_t request = {.body = body, .body_len = strlen(body)};
    cr_assert_eq(llm_engine_submit(engine, &request, tag, &err), SDG_OK, "%s", err.text);
}

/* One turn of an event loop. */
static void turn(void) {
    struct pollfd fd = {.fd = llm_engine_fd(engine), .events = POLLIN};
    poll(&fd, 1, llm_engine_timeout_ms(engine, clock_now_ns()));
    llm_engine_drive(engine, clock_now_ns());
}

static llm_answer_t wait_answer(void) {
    llm_answer_t answer;
    while (!llm_engine_next(engine, &answer))
        turn();
    return answer;
}

static void set_permits(uint32_t route, uint32_t permits) {
    llm_engine_set_permits(engine, llm_engine_endpoint_id(engine, route), permits);
}

static llm_load_t load(void) {
    llm_load_t l;
    llm_engine_route_load(engine, 0, &l);
    return l;
}

static void expect_idle(void) {
    llm_answer_t answer;
    cr_expect_not(llm_engine_next(engine, &answer));
    cr_expect_eq(load().in_flight, 0);
    cr_expect_eq(load().queued, 0);
    cr_expect_eq(load().backing_off, 0);
}

static void expect_answer(const char *text) {
    llm_answer_t answer = wait_answer();
    cr_assert_eq(answer.cause, LLM_CAUSE_NONE, "%s", answer.error.text);
    cr_assert_eq(answer.text.kind, VALUE_STRING);
    cr_expect_str_eq(answer.text.string->data, text);
    value_free(answer.text);
}

static void expect_failure(llm_cause_t cause, const char *words) {
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, cause, "%s: %s", llm_cause_name(answer.cause), answer.error.text);
    cr_expect_eq(answer.text.kind, VALUE_NULL);
    cr_expect(strstr(answer.error.text, words), "%s", answer.error.text);
}

/* --- answers --- */

static act_t say_ok(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    cr_expect(strstr(request, "POST /v1/chat/completions HTTP/1.1\r\n"));
    cr_expect(strstr(request, "Authorization: Bearer k3y\r\n"));
    cr_expect(strstr(request, "X-Two: 2\r\n"));
    cr_expect(strstr(request, "Content-Type: application/json\r\n"));
    return (act_t){0};
}

Test(engine, a_call_is_answered) {
    begin(say_ok);
    submit(42, "{\"q\":1}");
    llm_answer_t answer = wait_answer();
    cr_assert_eq(answer.cause, LLM_CAUSE_NONE, "%s", answer.error.text);
    cr_expect_eq(answer.tag, 42);
    cr_expect_str_eq(answer.text.string->data, "ok");
    cr_expect_str_eq(answer.finish_reason, "stop");
    cr_expect_eq(answer.prompt_tokens, 7);
    cr_expect_eq(answer.completion_tokens, 5);
    cr_expect_eq(answer.requests, 1);
    cr_expect_eq(answer.latency_count, 1);
    cr_expect_gt(answer.latency_us[0], 0);
    cr_expect_eq(answer.http_status, 200);
    value_free(answer.text);
    expect_idle();
    cr_expect_eq(load().succeeded, 1);
    cr_expect_eq(load().requests, 1);
    cr_expect_eq(load().completion_tokens, 5);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), -1, "nothing left to do");
    end();
}

Test(engine, connections_are_reused) {
    begin(say_ok);
    for (uint64_t i = 0; i < 30; i++) {
        submit(i, "{}");
        expect_answer("ok");
    }
    cr_expect_eq(server->connections, 1);
    end();
}

/* Does what the prompt in the request says. */
static act_t by_prompt(server_t *s, int nth, const char *request) {
    (void)s;
    const char *body = strstr(request, "\r\n\r\n") + 4;
    if (strstr(body, "slow down") && nth < 3)
        return (act_t){.status = 429,
                       .headers = "Retry-After: 0\r\n",
                       .body = "{\"error\":{\"code\":\"rate_limit_exceeded\"}}"};
    if (strstr(body, "wait a little") && nth == 1)
        return (act_t){.status = 503, .headers = "Retry-After-Ms: 20\r\n", .body = "<html>busy</html>"};
    if (strstr(body, "wait for ever"))
        return (act_t){.status = 429, .headers = "Retry-After: 3000\r\n", .body = "full"};
    if (strstr(body, "reset") && nth < 3) return (act_t){.kind = ACT_RESET};
    if (strstr(body, "cut") && nth == 1) return (act_t){.kind = ACT_HALF};
    if (strstr(body, "slowly")) return (act_t){.kind = ACT_DRIP};
    if (strstr(body, "hang") && nth == 1) return (act_t){.kind = ACT_HANG};
    if (strstr(body, "hopeless"))
        return (act_t){.status = 500, .body = "{\"error\":{\"message\":\"down for good\"}}"};
    if (strstr(body, "broke"))
        return (act_t){.status = 429,
                       .headers = "Retry-After-Ms: 5\r\n",
                       .body = "{\"error\":{\"message\":\"you ran out\",\"code\":\"insufficient_quota\"}}"};
    if (strstr(body, "told not"))
        return (act_t){
            .status = 500, .headers = "x-should-retry: false\r\n", .body = "{\"error\":\"stay away\"}"};
    if (strstr(body, "told to") && nth == 1)
        return (act_t){.status = 400, .headers = "x-should-retry: true\r\n", .body = "{\"error\":\"hm\"}"};
    if (strstr(body, "bad"))
        return (act_t){.status = 400, .body = "{\"error\":{\"message\":\"malformed prompt\"}}"};
    if (strstr(body, "garbage") && nth < 3)
        return (act_t){.body = nth == 1 ? "{\"choices\":[" : "{\"error\":{\"message\":\"in a 200\"}}"};
    return (act_t){0};
}

static void expect_retried(const char *prompt, llm_cause_t cause, uint32_t times) {
    begin(by_prompt);
    submit(1, prompt);
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, LLM_CAUSE_NONE, "%s: %s", prompt, answer.error.text);
    cr_expect_eq(answer.retries[cause], times, "%s", prompt);
    cr_expect_eq(answer.requests, times + 1, "%s", prompt);
    cr_expect_eq(server->requests, (int)times + 1);
    cr_expect_eq(load().retries[cause], times);
    value_free(answer.text);
    expect_idle();
    end();
}

Test(engine, failures_that_pass_are_retried) {
    expect_retried("slow down", LLM_CAUSE_RATE_LIMIT, 2);
    expect_retried("reset", LLM_CAUSE_CONNECTION, 2);
    expect_retried("cut", LLM_CAUSE_CONNECTION, 1);
    expect_retried("garbage", LLM_CAUSE_MALFORMED, 2);
    expect_retried("told to", LLM_CAUSE_REFUSED, 1);
    expect_retried("slowly", LLM_CAUSE_NONE, 0);
}

Test(engine, retry_after_is_waited_for) {
    begin(by_prompt);
    uint64_t began_ns = clock_now_ns();
    submit(1, "wait a little");
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.retries[LLM_CAUSE_OVERLOAD], 1);
    cr_expect_geq(clock_now_ns() - began_ns, 20 * MILLISECOND);
    cr_expect_eq(answer.latency_count, 2);
    value_free(answer.text);
    end();
}

static void expect_final(const char *prompt, llm_cause_t cause, const char *words, int requests) {
    begin(by_prompt);
    submit(1, prompt);
    expect_failure(cause, words);
    cr_expect_eq(server->requests, requests, "%s", prompt);
    cr_expect_eq(load().failed, 1);
    expect_idle();
    end();
}

Test(engine, failures_that_do_not_pass_are_answers) {
    expect_final("hopeless", LLM_CAUSE_SERVER, "HTTP 500: down for good (after 4 attempts)", 4);
    expect_final("bad", LLM_CAUSE_REFUSED, "HTTP 400: malformed prompt", 1);
    expect_final("broke", LLM_CAUSE_QUOTA, "you ran out", 1);
    expect_final("told not", LLM_CAUSE_SERVER, "stay away", 1);
}

Test(engine, a_hanging_request_times_out_and_is_retried) {
    begin(by_prompt);
    llm_request_t request = {.body = "hang", .body_len = 4, .timeout_ms = 30};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, LLM_CAUSE_NONE);
    cr_expect_eq(answer.retries[LLM_CAUSE_TIMEOUT], 1);
    cr_expect_eq(answer.latency_count, 1, "a timeout has no latency");
    value_free(answer.text);
    end();
}

static char *huge;

static act_t say_huge(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.body = huge, .body_len = LLM_ANSWER_BYTES_MAX + 1};
}

Test(engine, an_oversized_answer_fails_the_call) {
    huge = xcalloc(1, LLM_ANSWER_BYTES_MAX + 1);
    begin(say_huge);
    submit(1, "{}");
    expect_failure(LLM_CAUSE_MALFORMED, "larger than 16 MiB");
    end();
    free(huge);
}

/* --- empty answers --- */

static const char *empties[4]; /* by request number, set by the test */

static act_t say_empties(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    return (act_t){.body = empties[nth - 1]};
}

Test(engine, blank_answers_are_asked_again) {
    empties[0] = COMPLETION("\"\"");
    empties[1] = COMPLETION("\" \\n\\t\"");
    empties[2] = COMPLETION("\"here\"");
    begin(say_empties);
    submit(1, "{}");
    llm_answer_t answer = wait_answer();
    cr_expect_str_eq(answer.text.string->data, "here");
    cr_expect_eq(answer.retries[LLM_CAUSE_EMPTY], 2);
    cr_expect_eq(answer.completion_tokens, 15, "all of them were paid for");
    cr_expect_eq(answer.latency_count, 3);
    value_free(answer.text);
    end();
}

Test(engine, an_answer_that_stays_empty_is_empty) {
    empties[0] = empties[1] = empties[2] = COMPLETION("null");
    begin(say_empties);
    submit(1, "{}");
    expect_answer("");
    cr_expect_eq(server->requests, LLM_EMPTY_REQUESTS);
    end();
}

Test(engine, empty_answers_may_be_taken) {
    empties[0] = COMPLETION("\"\"");
    begin(say_empties);
    retry_policy_t policy = quick;
    policy.on_empty = false;
    llm_request_t request = {.body = "{}", .body_len = 2, .retry = &policy};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    expect_answer("");
    cr_expect_eq(server->requests, 1);
    end();
}

/* --- answers of no use, and answers that come otherwise than asked for --- */

static void expect_one_failure(const char *body, llm_cause_t cause, const char *words) {
    empties[0] = body;
    begin(say_empties);
    submit(1, "{}");
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, cause, "%s: %s", llm_cause_name(answer.cause), answer.error.text);
    cr_expect_str_eq(answer.error.text, words);
    cr_expect_eq(answer.completion_tokens, 9, "it was paid for");
    cr_expect_eq(server->requests, 1, "and is not asked for again");
    expect_idle();
    end();
}

#define SAID(message, finish)                                            \
    "{\"choices\":[{\"message\":{" message "},\"finish_reason\":" finish \
    "}],\"usage\":{\"completion_tokens\":9}}"

Test(engine, declined_answers_take_one_request) {
    expect_one_failure(SAID("\"content\":null,\"refusal\":\"No.\"", "\"stop\""), LLM_CAUSE_DECLINED,
                       "refused: No.");
    expect_one_failure(SAID("\"content\":\"\"", "\"length\""), LLM_CAUSE_DECLINED,
                       "the answer was cut before it began: raise max_tokens");
    expect_one_failure(SAID("\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]", "\"stop\""),
                       LLM_CAUSE_DECLINED, "the answer is a tool call (f)");
}

Test(engine, reasoning_alone_is_an_answer_where_it_is_wanted) {
    empties[0] = SAID("\"content\":null,\"reasoning_content\":\"so\"", "\"stop\"");
    empties[1] = SAID("\"content\":\"42\",\"reasoning_content\":\"hm\"", "\"stop\"");
    for (int wants = 0; wants < 2; wants++) {
        begin(say_empties);
        llm_request_t request = {.body = "{}", .body_len = 2, .wants_reasoning = wants};
        cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
        llm_answer_t answer = wait_answer();
        cr_expect_str_eq(answer.text.string->data, wants ? "" : "42");
        cr_expect_str_eq(answer.reasoning.string->data, wants ? "so" : "hm");
        cr_expect_eq(server->requests, wants ? 1 : 2);
        llm_answer_clear(&answer);
        end();
    }
}

/* Streams unless it is told not to; counts those that it has told so. */
static act_t stream_unless_false(server_t *s, int nth, const char *request) {
    (void)s;
    cr_expect_eq(!strstr(request, "{\"q\":1,\"stream\":false}"), nth == 1, "%s", request);
    if (strstr(request, "\"stream\":false")) return (act_t){0};
    return (act_t){
        .headers = "Content-Type: text/event-stream\r\n",
        .body = "data: {\"choices\":[{\"delta\":{\"content\":\"o\"}}]}\r\n\r\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"k\"},\"finish_reason\":\"stop\"}]}\r\n\r\n"
                "data: [DONE]\r\n\r\n"};
}

Test(engine, a_server_that_streams_unasked_is_told_not_to) {
    begin(stream_unless_false);
    for (uint64_t i = 0; i < 3; i++) {
        submit(i, "{\"q\":1}");
        expect_answer("ok");
    }
    cr_expect_eq(server->requests, 3);
    end();
}

static act_t redirect(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.status = 307, .headers = "Location: https://gw.example/v1/\r\n", .body = "-"};
}

Test(engine, a_redirect_says_where_to) {
    begin(redirect);
    submit(1, "{}");
    llm_answer_t answer = wait_answer();
    cr_expect_str_eq(answer.error.text, "HTTP 307 to https://gw.example/v1/: correct base_url");
    cr_expect_eq(server->requests, 1);
    end();
}

/* --- the key --- */

static char refusal[600];

static act_t refuse_key(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.status = 401, .body = refusal};
}

static void expect_key_hidden(const char *key, const char *words, const char *shown) {
    begin(refuse_key);
    snprintf(refusal, sizeof refusal, "{\"error\":{\"message\":\"%s\"}}", words);
    const char *urls[] = {server->url};
    llm_route_options_t options = {
        .name = "keyed", .base_urls = urls, .url_count = 1, .api_key = key, .retry = quick};
    int number = llm_engine_open_route(engine, &options, NULL);
    llm_request_t request = {.route = (uint32_t)number, .body = "{}", .body_len = 2};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.cause, LLM_CAUSE_ENDPOINT);
    cr_expect_str_eq(answer.error.text, shown);
    llm_answer_clear(&answer);
    end();
}

Test(engine, a_key_that_the_server_repeats_is_hidden) {
    expect_key_hidden("nokey", "bad nokey", "HTTP 401: bad nokey");
    expect_key_hidden("sixsix", "bad sixsix, sixsix", "HTTP 401: bad ***, ***");
    expect_key_hidden("sevense", "bad sevense", "HTTP 401: bad ***");
    expect_key_hidden("sk-long-key", "bad sk-long-key", "HTTP 401: bad ***");
}

static char long_refusal[8192];

static act_t refuse_at_length(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.status = 400, .body = long_refusal};
}

/* A row tells what the server said, also when an error sentence is too short for it; without the key. */
Test(engine, a_long_reason_comes_in_full) {
    char words[3000], shown[3100];
    begin(refuse_at_length);
    snprintf(words, sizeof words, "%0*dsk-long-key%0*dend", 900, 0, 1000, 0);
    snprintf(shown, sizeof shown, "HTTP 400: %0*d***%0*dend", 900, 0, 1000, 0);
    snprintf(long_refusal, sizeof long_refusal, "{\"error\":{\"message\":\"%s\"}}", words);
    const char *urls[] = {server->url};
    llm_route_options_t options = {
        .name = "keyed", .base_urls = urls, .url_count = 1, .api_key = "sk-long-key", .retry = quick};
    int number = llm_engine_open_route(engine, &options, NULL);
    llm_request_t request = {.route = (uint32_t)number, .body = "{}", .body_len = 2};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    llm_answer_t answer = wait_answer();
    cr_expect_neq(answer.cause, LLM_CAUSE_NONE);
    cr_assert_eq(answer.text.kind, VALUE_STRING);
    cr_expect_str_eq(answer.text.string->data, shown);
    llm_answer_clear(&answer);
    end();
}

/* Of a long reason LLM_ERROR_TEXT_MAX bytes are kept, and the cut may go through the key. */
Test(engine, a_key_in_the_cut_of_a_reason_is_hidden) {
    char words[500], shown[500];
    int before = LLM_ERROR_TEXT_MAX - 8;
    snprintf(words, sizeof words, "%0*dsk-long-key-1234", before, 0);
    snprintf(shown, sizeof shown, "HTTP 401: %0*d***", before, 0);
    expect_key_hidden("sk-long-key-1234", words, shown);
}

/* --- permits --- */

static act_t hold(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_HOLD};
}

static void submit_many(uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        submit(i, "{}");
}

/* Every tag comes back exactly once. */
static void expect_each_once(uint64_t count) {
    bool *seen = xcalloc(count, sizeof *seen);
    for (uint64_t i = 0; i < count; i++) {
        llm_answer_t answer = wait_answer();
        cr_assert_lt(answer.tag, count);
        cr_assert_not(seen[answer.tag], "%zu twice", (size_t)answer.tag);
        cr_assert_eq(answer.cause, LLM_CAUSE_NONE, "%s", answer.error.text);
        seen[answer.tag] = true;
        value_free(answer.text);
    }
    free(seen);
    expect_idle();
}

Test(engine, never_more_in_flight_than_permitted) {
    begin(hold);
    server->release_at = 5;
    set_permits(0, 5);
    submit_many(50);
    expect_each_once(50);
    cr_expect_eq(server->held_max, 5);
    cr_expect_eq(server->connections, 5);
    end();
}

Test(engine, permits_start_at_eight_and_may_grow) {
    begin(hold);
    server->release_at = 20;
    submit_many(20);
    cr_expect_eq(load().queued, 20);
    while (server->held < 8)
        turn();
    llm_engine_drive(engine, clock_now_ns());
    cr_expect_eq(load().in_flight, 8);
    cr_expect_eq(load().queued, 12);
    set_permits(0, 20);
    expect_each_once(20);
    cr_expect_eq(server->held_max, 20);
    end();
}

Test(engine, without_permits_nothing_is_sent) {
    begin(hold);
    server->release_at = 1;
    set_permits(0, 0);
    submit(0, "{}");
    llm_engine_drive(engine, clock_now_ns());
    cr_expect_eq(load().queued, 1);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), -1);
    set_permits(0, 1);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), 0);
    expect_each_once(1);
    end();
}

Test(engine, two_thousand_in_flight) {
    begin(hold);
    server->release_at = 2000;
    set_permits(0, 2000);
    submit_many(2000);
    expect_each_once(2000);
    cr_expect_eq(server->held_max, 2000);
    cr_expect_eq(server->connections, 2000);
    submit_many(2000);
    expect_each_once(2000);
    cr_expect_eq(server->connections, 2000, "the second wave finds its connections");
    end();
}

static act_t first_fails(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    return (act_t){.status = nth == 1 ? 500 : 200};
}

/* With one permit: the first call fails and waits, others pass it meanwhile, so a wait holds no permit. */
Test(engine, a_retry_wait_holds_no_permit) {
    begin(first_fails);
    set_permits(0, 1);
    retry_policy_t patient = {.attempts_max = 2, .base_ms = 60000, .factor = 1, .cap_ms = 60000};
    llm_request_t request = {.body = "{}", .body_len = 2, .retry = &patient};
    cr_assert_eq(llm_engine_submit(engine, &request, 99, NULL), SDG_OK);
    submit_many(5);
    for (uint64_t i = 0; i < 5; i++) {
        llm_answer_t answer = wait_answer();
        cr_expect_eq(answer.tag, i, "in the order submitted");
        value_free(answer.text);
    }
    cr_expect_eq(load().backing_off, 1);
    llm_engine_cancel(engine, 99);
    expect_failure(LLM_CAUSE_CANCELLED, "cancelled");
    expect_idle();
    end();
}

/* --- cancel --- */

static act_t hang(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_HANG};
}

Test(engine, cancelled_calls_are_answered_once) {
    begin(hang);
    set_permits(0, 2);
    submit_many(5);
    while (server->requests < 2)
        turn();
    cr_expect_eq(load().in_flight, 2);
    llm_engine_cancel(engine, 4);    /* queued */
    llm_engine_cancel(engine, 0);    /* in flight: its permit goes to the next */
    llm_engine_cancel(engine, 0);    /* twice: nothing */
    llm_engine_cancel(engine, 1234); /* unknown: nothing */
    for (int i = 0; i < 2; i++) {
        llm_answer_t answer = wait_answer();
        cr_expect_eq(answer.cause, LLM_CAUSE_CANCELLED);
        cr_expect_eq(answer.tag, i == 0 ? 4 : 0);
    }
    while (server->requests < 3)
        turn();
    cr_expect_eq(load().in_flight, 2);
    cr_expect_eq(load().queued, 1);
    cr_expect_eq(load().failed, 0);
    end(); /* three calls still open */
}

Test(engine, a_tag_may_be_used_again_only_after_its_end) {
    begin(say_ok);
    err_t err;
    llm_request_t request = {.body = "{}", .body_len = 2};
    submit(7, "{}");
    cr_expect_eq(llm_engine_submit(engine, &request, 7, &err), SDG_EINVAL);
    expect_answer("ok");
    submit(7, "{}");
    expect_answer("ok");
    end();
}

Test(engine, requests_are_checked) {
    begin(say_ok);
    err_t err;
    const char *bad[] = {"no colon"};
    llm_request_t request = {.body = "{}", .body_len = 2, .headers = bad, .header_count = 1};
    cr_expect_eq(llm_engine_submit(engine, &request, 1, &err), SDG_EINVAL);
    request = (llm_request_t){.route = 1, .body = "{}", .body_len = 2};
    cr_expect_eq(llm_engine_submit(engine, &request, 1, &err), SDG_EINVAL);
    llm_route_options_t options = {
        .name = "far", .base_urls = (const char *const[]){"nowhere:8000"}, .url_count = 1};
    cr_expect_lt(llm_engine_open_route(engine, &options, &err), 0);
    cr_expect(strstr(err.text, "far") && strstr(err.text, "nowhere"), "%s", err.text);
    options = (llm_route_options_t){.name = "secret", .api_key = "a\nb"};
    cr_expect_lt(llm_engine_open_route(engine, &options, &err), 0);
    cr_expect_null(strstr(err.text, "a\nb"));
    expect_idle();
    end();
}

static act_t want_header(server_t *s, int nth, const char *request) {
    (void)s;
    bool has = strstr(request, "X-Job: 77\r\n"), replaced = strstr(request, "X-Two: two\r\n");
    cr_expect_eq(has, nth == 1);
    cr_expect_eq(replaced, nth == 1);
    return (act_t){0};
}

Test(engine, headers_of_one_request) {
    begin(want_header);
    const char *lines[] = {"X-Job: 77", "X-Two: two"};
    llm_request_t request = {.body = "{}", .body_len = 2, .headers = lines, .header_count = 2};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    expect_answer("ok");
    submit(2, "{}");
    expect_answer("ok");
    end();
}

/* --- routes and endpoints --- */

/* A route to the server of the test, with an id of its own choice. */
static uint32_t route_to(const char *url, uint64_t endpoint_id) {
    err_t err;
    static const char *const headers[] = {"X-Two: 2"};
    llm_route_options_t options = {.name = "other",
                                   .endpoint_id = endpoint_id,
                                   .base_urls = &url,
                                   .url_count = 1,
                                   .api_key = "k3y",
                                   .headers = headers,
                                   .header_count = 1,
                                   .retry = quick};
    int number = llm_engine_open_route(engine, &options, &err);
    cr_assert_geq(number, 0, "%s", err.text);
    return (uint32_t)number;
}

static void submit_with(uint32_t route, permit_t *permit, bool has_unit, uint64_t tag, const char *body) {
    err_t err;
    llm_request_t request = {
        .route = route, .permit = permit, .has_unit = has_unit, .body = body, .body_len = strlen(body)};
    cr_assert_eq(llm_engine_submit(engine, &request, tag, &err), SDG_OK, "%s", err.text);
}

static void submit_many_to(uint32_t route, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        submit_with(route, NULL, false, i, "{}");
}

static void drive(void) { llm_engine_drive(engine, clock_now_ns()); }

static llm_load_t route_load(uint32_t route) {
    llm_load_t l;
    llm_engine_route_load(engine, route, &l);
    return l;
}

static llm_load_t endpoint_load(uint64_t id) {
    llm_load_t l;
    cr_assert(llm_engine_endpoint_load(engine, id, &l));
    return l;
}

Test(engine, two_routes_share_the_permits_of_their_endpoint) {
    begin(hold);
    server->release_at = 6;
    uint32_t a = route_to(server->url, 77), b = route_to(server->url, 77);
    llm_engine_set_permits(engine, 77, 6);
    for (uint64_t i = 0; i < 12; i++)
        submit_with(i < 10 ? a : b, NULL, false, i, "{}");
    drive();
    cr_expect_eq(endpoint_load(77).in_flight, 6);
    cr_expect_eq(endpoint_load(77).queued, 6);
    cr_expect_eq(route_load(a).in_flight, 4, "they take turns, call by call");
    cr_expect_eq(route_load(b).in_flight, 2);
    expect_each_once(12);
    cr_expect_eq(server->held_max, 6);
    cr_expect_eq(endpoint_load(77).succeeded, 12);
    cr_expect_eq(route_load(a).succeeded, 10);
    cr_expect_eq(route_load(b).requests, 2);
    end();
}

Test(engine, an_endpoint_is_its_id_and_its_addresses) {
    begin(say_ok);
    char slash[80];
    llm_load_t l;
    snprintf(slash, sizeof slash, "%s/v1/", server->url);
    uint32_t a = route_to(server->url, 77), same = route_to(slash, 77), far = route_to("http://h:1", 77),
             other = route_to(server->url, 78);
    cr_expect_eq(llm_engine_endpoint_id(engine, other), 78);
    cr_expect_neq(llm_engine_endpoint_id(engine, 0), 0, "made of address, key and model");
    submit_with(same, NULL, false, 1, "{}");
    expect_answer("ok");
    cr_expect_eq(endpoint_load(77).succeeded, 1);
    cr_expect_eq(route_load(a).succeeded, 0);
    llm_engine_close_route(engine, far);
    llm_engine_close_route(engine, same);
    cr_expect_eq(endpoint_load(77).succeeded, 1, "it has another route");
    llm_engine_close_route(engine, a);
    cr_expect_not(llm_engine_endpoint_load(engine, 77, &l), "gone with the last one");
    cr_expect_eq(l.succeeded, 0);
    llm_engine_set_permits(engine, 77, 5); /* nobody's: ignored */
    cr_expect_eq(route_load(route_to(server->url, 77)).permits, 8);
    end();
}

Test(engine, numbers_of_closed_routes_come_again) {
    begin(say_ok);
    err_t err;
    uint32_t a = route_to(server->url, 1), b = route_to(server->url, 2);
    llm_engine_close_route(engine, a);
    llm_request_t request = {.route = a, .body = "{}", .body_len = 2};
    cr_expect_eq(llm_engine_submit(engine, &request, 1, &err), SDG_EINVAL);
    cr_expect(strstr(err.text, "no route"), "%s", err.text);
    cr_expect_eq(route_to(server->url, 3), a);
    cr_expect_neq(b, a);
    submit_with(a, NULL, false, 1, "{}");
    expect_answer("ok");
    end();
}

static act_t by_word(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    return (act_t){.kind = strstr(request, "hang")    ? ACT_HANG
                           : strstr(request, "reset") ? ACT_RESET
                                                      : ACT_ANSWER};
}

Test(engine, a_route_is_closed_with_its_calls) {
    begin(by_word);
    permit_t units = {.allowed = 3};
    uint32_t doomed = route_to(server->url, 5), other = route_to(server->url, 5);
    retry_policy_t patient = {.attempts_max = 2, .base_ms = 60000, .factor = 1, .cap_ms = 60000};
    llm_request_t failing = {
        .route = doomed, .permit = &units, .body = "reset", .body_len = 5, .retry = &patient};
    submit_with(doomed, &units, false, 1, "{}"); /* finished, not handed out */
    cr_assert_eq(llm_engine_submit(engine, &failing, 2, NULL), SDG_OK);
    while (route_load(doomed).succeeded < 1 || route_load(doomed).backing_off < 1)
        turn();
    /* Two are in flight, where they hang; two are queued, because they find no unit. */
    for (uint64_t tag = 3; tag <= 6; tag++)
        submit_with(doomed, &units, false, tag, "hang");
    drive();
    cr_expect_eq(units.used, 3);
    cr_expect_eq(route_load(doomed).in_flight, 2);
    cr_expect_eq(route_load(doomed).queued, 2);
    permit_t more = {.allowed = 1, .used = 1};
    submit_with(doomed, &more, true, 7, "{}"); /* fresh, with a unit */
    submit_with(other, NULL, false, 8, "{}");
    llm_engine_close_route(engine, doomed);
    cr_expect_eq(units.used, 0);
    cr_expect_eq(more.used, 0);
    expect_answer("ok");
    llm_answer_t answer;
    cr_expect_not(llm_engine_next(engine, &answer), "no answer of a closed route");
    llm_load_t left = endpoint_load(5);
    cr_expect_eq(left.in_flight + left.queued + left.backing_off, 0);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), -1);
    submit_with(other, NULL, false, 3, "{}"); /* its tags are free again */
    expect_answer("ok");
    end();
}

Test(engine, the_last_route_closes_all_connections) {
    begin(say_ok);
    submit(1, "{}");
    expect_answer("ok");
    cr_expect_eq(server->open_now, 1);
    llm_engine_close_route(engine, 0);
    while (server->open_now > 0)
        poll(NULL, 0, 1);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), -1);
    drive();
    cr_expect_eq(route_to(server->url, 1), 0);
    submit_with(0, NULL, false, 1, "{}");
    expect_answer("ok");
    cr_expect_eq(server->connections, 2);
    end();
}

/* The server answers four at a time, so in the end four are in flight at once. */
Test(engine, permits_lowered_below_what_is_in_flight) {
    begin(hold);
    server->release_at = 4;
    set_permits(0, 10);
    submit_many(20);
    drive();
    set_permits(0, 4);
    drive();
    cr_expect_eq(load().in_flight, 10, "they run to their end");
    for (uint64_t done = 1; done <= 20; done++) {
        llm_answer_t answer = wait_answer();
        cr_expect_eq(answer.cause, LLM_CAUSE_NONE);
        if (done >= 6) cr_expect_leq(load().in_flight, 4);
        value_free(answer.text);
    }
    expect_idle();
    end();
}

/* --- units --- */

Test(engine, a_job_without_units_does_not_hold_up_another) {
    begin(say_ok);
    permit_t none = {0}, some = {.allowed = 2};
    uint32_t poor = route_to(server->url, 9), rich = route_to(server->url, 9);
    for (uint64_t i = 100; i < 110; i++)
        submit_with(poor, &none, false, i, "{}");
    for (uint64_t i = 0; i < 20; i++)
        submit_with(rich, &some, false, i, "{}");
    for (uint64_t i = 0; i < 20; i++) {
        llm_answer_t answer = wait_answer();
        cr_expect_lt(answer.tag, 20);
        cr_expect(answer.has_unit && answer.permit == &some);
        permit_give(answer.permit);
        value_free(answer.text);
    }
    cr_expect_eq(route_load(poor).queued, 10);
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), -1, "only a unit can help them");
    none.allowed = 1;
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), 0, "here it is");
    drive();
    cr_expect_eq(route_load(poor).in_flight, 1);
    end();
    cr_expect_eq(none.used, 0, "the end of the engine gives units back");
}

Test(engine, a_unit_goes_with_the_call_and_comes_with_the_answer) {
    begin(say_ok);
    permit_t units = {.allowed = 1};
    for (int i = 0; i < 3; i++) {
        cr_assert(i > 0 || permit_take(&units));
        submit_with(0, &units, true, 1, "{}");
        cr_expect_eq(units.used, 1, "until the next drive it stays with the call");
        while (load().succeeded == (uint64_t)i)
            turn();
        cr_expect_eq(units.used, 1, "the finished call has it until it is handed out");
        llm_answer_t answer = wait_answer();
        cr_expect(answer.has_unit);
        value_free(answer.text);
    }
    permit_give(&units);
    cr_expect_eq(units.used, 0);
    end();
}

Test(engine, a_call_that_has_to_queue_gives_its_unit_back) {
    begin(hang);
    permit_t units = {.allowed = 2, .used = 2};
    set_permits(0, 1);
    submit_with(0, &units, true, 1, "{}");
    submit_with(0, &units, true, 2, "{}");
    cr_expect_eq(llm_engine_timeout_ms(engine, clock_now_ns()), 0);
    drive();
    cr_expect_eq(units.used, 1);
    cr_expect_eq(load().queued, 1);
    llm_engine_cancel(engine, 2); /* it has no unit */
    llm_answer_t answer = wait_answer();
    cr_expect_eq(answer.tag, 2);
    cr_expect_not(answer.has_unit);
    llm_engine_cancel(engine, 1); /* in flight */
    answer = wait_answer();
    cr_expect(answer.has_unit);
    cr_expect_eq(answer.cause, LLM_CAUSE_CANCELLED);
    submit_with(0, &units, true, 3, "{}");
    llm_engine_cancel(engine, 3); /* before any drive */
    answer = wait_answer();
    cr_expect(answer.has_unit);
    cr_expect_eq(units.used, 1);
    end();
}

Test(engine, a_call_that_waits_for_its_retry_has_no_unit) {
    begin(first_fails);
    permit_t units = {.allowed = 1, .used = 1};
    retry_policy_t patient = {.attempts_max = 2, .base_ms = 60000, .factor = 1, .cap_ms = 60000};
    llm_request_t request = {
        .permit = &units, .has_unit = true, .body = "{}", .body_len = 2, .retry = &patient};
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    while (load().backing_off == 0)
        turn();
    cr_expect_eq(units.used, 0);
    llm_engine_cancel(engine, 1);
    llm_answer_t answer = wait_answer();
    cr_expect_not(answer.has_unit);
    end();
}

Test(engine, an_endpoint_is_reported_as_far_as_a_job_sees_it) {
    begin(first_fails);
    retry_policy_t patient = {.attempts_max = 2, .base_ms = 60000, .factor = 1, .cap_ms = 60000};
    llm_request_t request = {.body = "{}", .body_len = 2, .retry = &patient};
    uint32_t mine[] = {route_to(server->url, 77), route_to(server->url, 77), route_to(server->url, 78)};
    uint32_t of_another = route_to(server->url, 77);
    endpoint_report_t r;
    cr_expect(llm_engine_report(engine, mine, 3, 77, clock_now_ns(), &r));
    cr_expect_eq(r.trouble, LLM_CAUSE_NONE);
    cr_expect_eq(r.answered_ms, ENDPOINT_NEVER);
    request.route = mine[0];
    cr_assert_eq(llm_engine_submit(engine, &request, 1, NULL), SDG_OK);
    while (endpoint_load(77).backing_off == 0)
        turn();
    request.route = of_another;
    cr_assert_eq(llm_engine_submit(engine, &request, 2, NULL), SDG_OK);
    cr_expect_eq(wait_answer().tag, 2);
    uint64_t now = clock_now_ns();
    cr_expect(llm_engine_report(engine, mine, 3, 77, now + 5 * MILLISECOND, &r));
    cr_expect_eq(r.endpoint, 77);
    cr_expect_eq(r.requests, 1, "that of another job is not counted");
    cr_expect_eq(r.answered, 0);
    cr_expect_eq(r.waiting, 1);
    cr_expect_eq(r.in_flight, 0);
    cr_expect_eq(r.oldest_ms, 0);
    cr_expect_neq(r.answered_ms, ENDPOINT_NEVER, "another job was answered there");
    cr_expect_neq(r.trouble, LLM_CAUSE_NONE);
    cr_expect_geq(r.trouble_ms, 5);
    cr_expect(strstr(r.address, server->url), "%s", r.address);
    cr_expect_eq(r.retries[r.trouble], 1);
    cr_expect(llm_engine_report(engine, mine, 3, 78, now, &r));
    cr_expect_eq(r.waiting, 0);
    cr_expect_not(llm_engine_report(engine, mine, 2, 78, now, &r));
    cr_expect_geq(llm_engine_waited_ns(engine, 1, now + SECOND), SECOND);
    cr_expect_eq(llm_engine_waited_ns(engine, 2, now), 0, "it has ended");
    end();
}

Test(engine, a_request_in_flight_is_as_old_as_it_is) {
    begin(hang);
    uint32_t route = route_to(server->url, 77);
    endpoint_report_t r;
    submit_with(route, NULL, false, 1, "{}");
    drive();
    uint64_t now = clock_now_ns();
    cr_expect(llm_engine_report(engine, &route, 1, 77, now + SECOND, &r));
    cr_expect_eq(r.in_flight, 1);
    cr_expect_geq(r.oldest_ms, 1000);
    cr_expect_lt(llm_engine_waited_ns(engine, 1, now + SECOND), SECOND, "it does not wait for its turn");
    end();
}

/* A call in a queue with a unit, in flight, or ended waits for nothing. */
Test(engine, a_call_that_waits_names_its_endpoint) {
    begin(hang);
    permit_t units = {.allowed = 3, .used = 2};
    uint32_t open = route_to(server->url, 77), closed = route_to(server->url, 78);
    llm_engine_set_permits(engine, 78, 0);
    submit_with(open, &units, true, 1, "{}");
    submit_with(closed, &units, true, 2, "{}");
    submit_with(closed, &units, false, 3, "{}");
    cr_expect_eq(llm_engine_waits_for(engine, 2), 0, "its unit is with it until the next drive");
    cr_expect_eq(llm_engine_waits_for(engine, 3), 78);
    drive();
    cr_expect_eq(llm_engine_waits_for(engine, 1), 0);
    cr_expect_eq(llm_engine_waits_for(engine, 2), 78);
    cr_expect_eq(llm_engine_waits_for(engine, 4), 0, "unknown");
    llm_engine_cancel(engine, 2);
    cr_expect_eq(llm_engine_waits_for(engine, 2), 0);
    cr_expect_eq(wait_answer().tag, 2);
    end();
}

static act_t refuse_the_third(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    if (strstr(request, "full") != NULL)
        return (act_t){.status = 429, .headers = "Retry-After: 5\r\n", .body = "full"};
    return (act_t){.kind = ACT_HOLD};
}

/* 64 calls, of which 20 are told to come back in 5 s. The server answers the others only when 16 of them
 * are in flight at once, which is all that is allowed: none of those that wait may take up a place. */
Test(engine, calls_that_wait_for_a_retry_keep_no_others_from_starting) {
    begin(refuse_the_third);
    permit_t units = {.allowed = 16};
    server->release_at = 16;
    set_permits(0, 64);
    for (uint64_t i = 0; i < 64; i++)
        submit_with(0, &units, false, i, i % 10 < 3 ? "full" : "{}");
    for (int i = 0; i < 32; i++) {
        llm_answer_t answer = wait_answer();
        cr_expect_eq(answer.cause, LLM_CAUSE_NONE, "%s", answer.error.text);
        cr_expect_leq(units.used, 16);
        permit_give(answer.permit);
        value_free(answer.text);
    }
    while (load().backing_off < 21 || load().in_flight > 11)
        turn();
    cr_expect_eq(load().in_flight, 11, "all the others");
    cr_expect_eq(load().queued, 0);
    cr_expect_eq(units.used, 11);
    cr_expect_eq(server->held_max, 16);
    end();
    cr_expect_eq(units.used, 0);
}

/* One at a time: the failed call comes back before those that have not begun. */
Test(engine, retried_calls_come_first) {
    begin(first_fails);
    permit_t units = {.allowed = 1};
    retry_policy_t soon = {.attempts_max = 2, .base_ms = 30, .factor = 1, .cap_ms = 30};
    llm_request_t request = {.permit = &units, .body = "{}", .body_len = 2, .retry = &soon};
    cr_assert_eq(llm_engine_submit(engine, &request, 0, NULL), SDG_OK);
    while (load().backing_off == 0)
        turn();
    cr_assert(permit_take(&units)); /* somebody else has it while calls gather */
    for (uint64_t i = 1; i < 4; i++)
        submit_with(0, &units, false, i, "{}");
    while (load().queued < 4)
        turn();
    permit_give(&units);
    for (uint64_t i = 0; i < 4; i++) {
        llm_answer_t answer = wait_answer();
        cr_expect_eq(answer.tag, i);
        permit_give(answer.permit);
        value_free(answer.text);
    }
    end();
}

Test(engine, units_lowered_below_what_is_in_flight) {
    begin(hold);
    server->release_at = 4;
    permit_t units = {.allowed = 10};
    set_permits(0, 64);
    for (uint64_t i = 0; i < 20; i++)
        submit_with(0, &units, false, i, "{}");
    drive();
    units.allowed = 4;
    drive();
    cr_expect_eq(units.used, 10);
    for (uint64_t done = 1; done <= 20; done++) {
        llm_answer_t answer = wait_answer();
        permit_give(answer.permit);
        if (done >= 6) cr_expect_leq(units.used, 4);
        value_free(answer.text);
    }
    cr_expect_eq(units.used, 0);
    end();
}

/* --- replicas --- */

Test(engine, replicas_share_the_load) {
    begin(hold);
    server_t *second = server_start(hold);
    server->release_at = second->release_at = 10;
    const char *urls[] = {server->url, second->url};
    uint32_t route = open_route(urls, 2, 60000);
    set_permits(route, 20);
    submit_many_to(route, 20);
    expect_each_once(20);
    cr_expect_eq(server->requests, 10);
    cr_expect_eq(second->requests, 10);
    end();
    server_stop(&second);
}

static act_t dead(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_RESET};
}

Test(engine, a_dead_replica_does_not_draw_the_calls) {
    begin(say_ok);
    server_t *second = server_start(dead);
    const char *urls[] = {second->url, server->url};
    uint32_t route = open_route(urls, 2, 60000);
    submit_many_to(route, 200);
    expect_each_once(200);
    cr_expect_lt(second->requests, 20, "%d", second->requests);
    end();
    server_stop(&second);
}

static act_t unsteady(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    return nth % 10 == 9 ? (act_t){.status = 500} : (act_t){.kind = ACT_DRIP};
}

/* The living replica fails now and then and is avoided, too, for a while: it is still the better one. */
Test(engine, a_dead_replica_does_not_draw_the_calls_while_all_are_avoided) {
    begin(unsteady);
    server_t *second = server_start(dead);
    const char *urls[] = {second->url, server->url};
    uint32_t route = open_route(urls, 2, 60000);
    set_permits(route, 4);
    submit_many_to(route, 200);
    expect_each_once(200);
    cr_expect_lt(second->requests, 60, "%d", second->requests);
    end();
    server_stop(&second);
}

/* --- chaos --- */

/* Answers in all ways that a server can, good and bad, in a fixed order by the number of the request. */
static act_t chaos(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    static const act_t acts[] = {
        {0},
        {.kind = ACT_RESET},
        {0},
        {.status = 500},
        {.kind = ACT_DRIP},
        {.kind = ACT_CLOSE},
        {.status = 429},
        {0},
        {.kind = ACT_HALF},
        {.body = "{"},
        {0},
    };
    return acts[(size_t)nth * 7 % (sizeof acts / sizeof acts[0])];
}

Test(engine, every_call_is_answered_once_whatever_happens) {
    enum { CALLS = 1000 };
    begin(chaos);
    set_permits(0, 64);
    submit_many(CALLS);
    for (uint64_t i = 0; i < CALLS; i += 10)
        llm_engine_cancel(engine, i);
    static uint8_t seen[CALLS];
    uint32_t cancelled = 0;
    for (int i = 0; i < CALLS; i++) {
        llm_answer_t answer = wait_answer();
        seen[answer.tag]++;
        cancelled += answer.cause == LLM_CAUSE_CANCELLED;
        cr_expect_eq(answer.cause == LLM_CAUSE_NONE, answer.text.kind == VALUE_STRING);
        value_free(answer.text);
        if (i % 50 == 49)
            llm_engine_cancel(engine, (uint64_t)i * 13 % CALLS); /* in flight, waiting, or finished by now */
    }
    for (int i = 0; i < CALLS; i++)
        cr_assert_eq(seen[i], 1, "call %d: %d answers", i, seen[i]);
    cr_expect_geq(cancelled, CALLS / 10);
    expect_idle();
    cr_expect_eq(load().succeeded + load().failed + cancelled, CALLS);
    end();
}
