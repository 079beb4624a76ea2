/* test_chat.c - request bodies, answers and error bodies (core/llm/chat). */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/llm/chat.h"
#include "core/llm/limits.h"

static value_t json(const char *text) {
    value_t v;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, NULL), SDG_OK, "%s", text);
    return v;
}

static void expect_request(const char *model, const char *system, const char *content, const char *params,
                           const char *wanted) {
    value_t m = json(model), s = json(system), c = json(content), p = json(params);
    buf_t out;
    buf_init(&out, 1 << 20);
    chat_request_write(&out, m, s, c, p);
    cr_expect_str_eq(out.data, wanted);
    buf_free(&out);
    value_free(m), value_free(s), value_free(c), value_free(p);
}

Test(chat, a_request_is_model_messages_and_params) {
    expect_request(
        "\"m\"", "\"be brief\"", "\"hi\\n\\\"you\\\"\"", "{\"temperature\":0.5,\"stop\":[\"END\"]}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
        "{\"role\":\"user\",\"content\":\"hi\\n\\\"you\\\"\"}],\"temperature\":0.5,\"stop\":[\"END\"]}");
}

Test(chat, no_system_parts_and_no_params) {
    expect_request("\"m\"", "null", "[{\"type\":\"text\",\"text\":\"a\"}]", "null",
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                   "\"text\":\"a\"}]}]}");
}

Test(chat, a_key_never_stands_twice) {
    expect_request("\"m\"", "null", "\"q\"", "{\"model\":\"other\",\"seed\":7,\"messages\":[]}",
                   "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"seed\":7}");
    expect_request(
        "\"m\"", "null", "\"q\"", "{\"stream\":true,\"seed\":7}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"stream\":true,\"seed\":7}");
}

static void expect_unstreamed(const char *body, const char *wanted) {
    char room[200];
    snprintf(room, sizeof room, "%s", body);
    size_t len = chat_request_unstream(room, strlen(body));
    cr_expect_str_eq(room, wanted);
    cr_expect_eq(len, strlen(wanted));
}

Test(chat, a_request_may_say_that_it_wants_no_stream) {
    expect_unstreamed("{\"model\":\"m\"}", "{\"model\":\"m\",\"stream\":false}");
    expect_unstreamed("{\"model\":\"say \\\"stream\\\": 1\"}",
                      "{\"model\":\"say \\\"stream\\\": 1\",\"stream\":false}");
    expect_unstreamed("{\"model\":\"m\",\"stream\":true}", "{\"model\":\"m\",\"stream\":true}");
    expect_unstreamed("hm", "hm");
    expect_unstreamed("", "");
}

static chat_answer_t answer;
static err_t reason;

static llm_cause_t read_answer(const char *body) {
    return chat_answer_read(body, strlen(body), &answer, &reason);
}

static void expect_text(const char *body, const char *wanted) {
    cr_assert_eq(read_answer(body), LLM_CAUSE_NONE, "%s: %s", body, reason.text);
    cr_assert_eq(answer.text.kind, VALUE_STRING);
    cr_expect_str_eq(answer.text.string->data, wanted);
    value_free(answer.text);
}

Test(chat, an_answer_has_text_reason_and_tokens) {
    expect_text("{\"choices\":[{\"message\":{\"content\":\"h\\u00e9\"},\"finish_reason\":\"length\"}],"
                "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}",
                "hé");
    cr_expect_str_eq(answer.finish_reason, "length");
    cr_expect_eq(answer.prompt_tokens, 7);
    cr_expect_eq(answer.completion_tokens, 5);
}

Test(chat, null_absent_and_listed_content) {
    expect_text("{\"choices\":[{\"message\":{\"content\":null}}],\"error\":null}", "");
    cr_expect_str_eq(answer.finish_reason, "");
    expect_text(
        "{\"choices\":[{\"message\":{\"role\":\"assistant\"},\"finish_reason\":null}],\"usage\":null}", "");
    expect_text("{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"x\"}"
                ",{\"text\":\"b\"}]}}]}",
                "ab");
}

Test(chat, json_in_place_of_a_text_is_the_text_of_that_json) {
    expect_text("{\"choices\":[{\"message\":{\"content\":42}}]}", "42");
    expect_text("{\"choices\":[{\"message\":{\"content\":12345678901234567890123}}]}",
                "12345678901234567890123");
    expect_text("{\"choices\":[{\"message\":{\"content\":{\"a\":[1]}}}]}", "{\"a\":[1]}");
    expect_text("{\"choices\":[{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"t\"}}}]}", "t");
}

Test(chat, odd_numbers_and_long_reasons_are_cut) {
    expect_text("{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"a_reason_longer_than_"
                "anybody_ever_sent\"}],"
                "\"usage\":{\"prompt_tokens\":-3,\"completion_tokens\":99999999999}}",
                "x");
    cr_expect_str_eq(answer.finish_reason, "a_reason_longer_than_an");
    cr_expect_eq(answer.prompt_tokens, 0);
    cr_expect_eq(answer.completion_tokens, 0);
}

Test(chat, bodies_that_are_no_completion) {
    static const char *const bodies[] = {"",
                                         "{",
                                         "nonsense",
                                         "[]",
                                         "null",
                                         "{}",
                                         "{\"choices\":[]}",
                                         "{\"choices\":[1]}",
                                         "{\"choices\":{\"message\":{}}}",
                                         "{\"choices\":[{\"message\":\"x\"}]}",
                                         "{\"choices\":[{}]} x"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        cr_expect_eq(read_answer(bodies[i]), LLM_CAUSE_MALFORMED, "%s", bodies[i]);
        cr_expect_eq(answer.text.kind, VALUE_NULL);
        cr_expect_neq(reason.text[0], '\0');
    }
}

Test(chat, every_prefix_of_a_completion_is_malformed) {
    const char *whole = "{\"choices\":[{\"message\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}";
    for (size_t n = 0; n < strlen(whole); n++)
        cr_assert_eq(chat_answer_read(whole, n, &answer, &reason), LLM_CAUSE_MALFORMED, "%zu", n);
}

Test(chat, an_error_object_in_a_200_is_classed_by_its_code) {
    cr_expect_eq(read_answer("{\"error\":{\"message\":\"m1\"}}"), LLM_CAUSE_MALFORMED);
    cr_expect(strstr(reason.text, "m1"));
    cr_expect_eq(read_answer("{\"error\":{\"code\":\"rate_limit_exceeded\"}}"), LLM_CAUSE_RATE_LIMIT);
    cr_expect_eq(read_answer("{\"error\":{\"type\":\"slow_down\"}}"), LLM_CAUSE_RATE_LIMIT);
    cr_expect_eq(read_answer("{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}"),
                 LLM_CAUSE_QUOTA);
    cr_expect_eq(read_answer("{\"error\":{\"message\":\"m\",\"code\":503}}"), LLM_CAUSE_SERVER);
    cr_expect_eq(read_answer("{\"error\":{\"message\":\"m\",\"code\":\"429\"}}"), LLM_CAUSE_RATE_LIMIT);
    cr_expect_eq(read_answer("{\"object\":\"error\",\"message\":\"flat\",\"code\":400}"), LLM_CAUSE_REFUSED);
    cr_expect(strstr(reason.text, "flat"));
    cr_expect_eq(read_answer("{\"error\":\"words\"}"), LLM_CAUSE_MALFORMED);
    cr_expect(strstr(reason.text, "words"));
}

static void expect_error(long status, const char *body, llm_cause_t cause, const char *wanted) {
    cr_expect_eq(chat_error_read(status, body, strlen(body), &reason), cause, "%s", body);
    cr_expect_str_eq(reason.text, wanted);
}

Test(chat, error_bodies_of_every_shape) {
    expect_error(400, "{\"error\":{\"message\":\"nested\",\"type\":\"t\",\"code\":null}}", LLM_CAUSE_REFUSED,
                 "HTTP 400: nested");
    expect_error(400, "{\"object\":\"error\",\"message\":\"flat\",\"code\":40001}", LLM_CAUSE_REFUSED,
                 "HTTP 400: flat");
    expect_error(422, "{\"detail\":\"why\"}", LLM_CAUSE_REFUSED, "HTTP 422: why");
    expect_error(422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\"}]}", LLM_CAUSE_REFUSED,
                 "HTTP 422: [{\"loc\":[\"body\"],\"msg\":\"m\"}]");
    expect_error(401, "{\"error\":\"string\"}", LLM_CAUSE_ENDPOINT, "HTTP 401: string");
    expect_error(404, "plain a < b\r\n", LLM_CAUSE_ENDPOINT, "HTTP 404: plain a < b");
    expect_error(502, "<html>\n<h1>Bad  Gateway</h1><hr>nginx</html>", LLM_CAUSE_SERVER,
                 "HTTP 502: Bad Gateway nginx");
    expect_error(500, "", LLM_CAUSE_SERVER, "HTTP 500");
    expect_error(500, "{\"error\":{\"code\":7}}", LLM_CAUSE_SERVER, "HTTP 500: {\"code\":7}");
    expect_error(400, "[{\"error\":{\"message\":\"in a list\"}}]", LLM_CAUSE_REFUSED, "HTTP 400: in a list");
    expect_error(500, "data: {\"error\":{\"message\":\"in a stream\"}}\n\ndata: [DONE]\n\n", LLM_CAUSE_SERVER,
                 "HTTP 500: in a stream");
    expect_error(502,
                 "<!DOCTYPE html><html><head><SCRIPT>if (a < b) go('>');</SCRIPT><style>h1 {}</style><title>"
                 "Bad</title></head><body>Gateway</body></html>",
                 LLM_CAUSE_SERVER, "HTTP 502: Bad Gateway");
    expect_error(500, "{\"error\":{\"message\":\"two\\nlines\\u0007\"}}", LLM_CAUSE_SERVER,
                 "HTTP 500: two lines");
}

Test(chat, causes_by_status) {
    static const struct {
        long status;
        llm_cause_t cause;
    } table[] = {
        {429, LLM_CAUSE_RATE_LIMIT}, {503, LLM_CAUSE_SERVER},   {500, LLM_CAUSE_SERVER},
        {504, LLM_CAUSE_SERVER},     {409, LLM_CAUSE_SERVER},   {408, LLM_CAUSE_TIMEOUT},
        {400, LLM_CAUSE_REFUSED},    {403, LLM_CAUSE_ENDPOINT}, {301, LLM_CAUSE_ENDPOINT},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_expect_eq(chat_error_read(table[i].status, "x", 1, &reason), table[i].cause, "%ld",
                     table[i].status);
    expect_error(429, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\"}}", LLM_CAUSE_QUOTA,
                 "HTTP 429: m");
}

Test(chat, a_redirect_names_its_address) {
    cr_expect_eq(chat_redirect_read(307, "https://user:pw@gw.example/v1/?key=abc", &reason),
                 LLM_CAUSE_ENDPOINT);
    cr_expect(strncmp(reason.text, "HTTP 307 to https://gw.example/v1/", 34) == 0, "%s", reason.text);
    cr_expect(strstr(reason.text, ": correct base_url"));
    cr_expect_not(strstr(reason.text, "abc") || strstr(reason.text, "pw"));
    cr_expect_eq(chat_redirect_read(302, NULL, &reason), LLM_CAUSE_ENDPOINT);
    cr_expect(strstr(reason.text, "HTTP 302") && strstr(reason.text, "correct base_url"));
}

static void expect_in_full(long status, const char *before, const char *after) {
    char words[3001], *body, *want;
    buf_t full;
    for (int i = 0; i < 1000; i++)
        memcpy(words + 3 * i, "\xe6\x97\xa5", 3);
    words[3000] = '\0';
    body = xasprintf("%s%s%s", before, words, after);
    if (status == 200)
        read_answer(body);
    else
        chat_error_read(status, body, strlen(body), &reason);
    buf_init(&full, 1 << 20);
    chat_reason_in_full(reason.text, body, strlen(body), &full);
    want = strstr(reason.text, "\xe6");
    cr_assert(want && full.len > 3000, "%s", reason.text);
    cr_expect_eq(strncmp(full.data, reason.text, (size_t)(want - reason.text)), 0);
    cr_expect_str_eq(full.data + (want - reason.text), words);
    buf_free(&full);
    free(body);
}

Test(chat, what_a_reason_cuts_is_there_in_full) {
    expect_in_full(400, "{\"error\":{\"message\":\"", "\"}}");
    expect_in_full(400, "{\"detail\":\"", "\"}");
    expect_in_full(502, "<html><body>", "</body></html>");
    expect_in_full(200, "{\"error\":{\"message\":\"", "\",\"code\":400}}");
    expect_in_full(200, "{\"choices\":[{\"message\":{\"refusal\":\"", "\"}}]}");
    buf_t full;
    buf_init(&full, 100);
    chat_reason_in_full("HTTP 400: short", "short", 5, &full);
    cr_expect_eq(full.len, 0);
}

Test(chat, long_reasons_are_cut_between_characters) {
    for (size_t shift = 0; shift < 4; shift++) {
        char body[2000];
        size_t n = shift;
        memset(body, 'a', shift);
        while (n + 4 < sizeof body)
            n += (size_t)snprintf(body + n, 5, "\xf0\x9f\x98\x80");
        chat_error_read(500, body, n, &reason);
        size_t words = strlen(reason.text) - strlen("HTTP 500: ");
        cr_expect_leq(words, LLM_ERROR_TEXT_MAX);
        cr_expect_gt(words, LLM_ERROR_TEXT_MAX - 4);
        cr_expect_eq((words - shift) % 4, 0);
    }
}
