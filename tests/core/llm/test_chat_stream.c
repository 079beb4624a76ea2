/* test_chat_stream.c - answers that come as event streams although none was asked for. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "core/llm/chat.h"

static chat_answer_t answer;
static err_t reason;

static llm_cause_t read_body(const char *body) {
    reason = (err_t){0};
    return chat_answer_read(body, strlen(body), &answer, &reason);
}

static void answer_drop(void) {
    value_free(answer.text);
    value_free(answer.reasoning);
}

static void expect_text(const char *body, const char *text) {
    cr_assert_eq(read_body(body), LLM_CAUSE_NONE, "%s: %s", body, reason.text);
    cr_expect_str_eq(answer.text.string->data, text);
    answer_drop();
}

static void expect_fault(const char *body, llm_cause_t cause, const char *words) {
    cr_expect_eq(read_body(body), cause, "%s: %s", body, reason.text);
    cr_expect(strstr(reason.text, words), "%s", reason.text);
    cr_expect_eq(answer.text.kind, VALUE_NULL);
}

#define CHUNK(delta, finish) \
    "data: {\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}\n\n"

Test(chat_stream, chunks_become_one_answer) {
    cr_assert_eq(
        read_body(": ok\n\n" CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") CHUNK(
            "{\"reasoning_content\":\"so \"}", "null") CHUNK("{\"reasoning_content\":\"hm\"}", "null")
                      CHUNK("{\"content\":\"hel\"}", "null") ": keep-alive\n\n" CHUNK("{\"content\":\"lo\"}",
                                                                                      "null")
                          CHUNK("{}", "\"length\"") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,"
                                                    "\"completion_tokens\":5}}\n\ndata: [DONE]\n\n"),
        LLM_CAUSE_NONE, "%s", reason.text);
    cr_expect_str_eq(answer.text.string->data, "hello");
    cr_expect_str_eq(answer.reasoning.string->data, "so hm");
    cr_expect_str_eq(answer.finish_reason, "length");
    cr_expect_eq(answer.prompt_tokens, 7);
    cr_expect_eq(answer.completion_tokens, 5);
    answer_drop();
}

Test(chat_stream, line_ends_and_forms_of_fields) {
    static const char *const lines[] = {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
                                        "",
                                        ":comment",
                                        "id: 7",
                                        "event: message",
                                        "data:{\"choices\":[{\"delta\":",
                                        "data: {\"content\":\"b\"}}]}",
                                        "",
                                        "retry: 10",
                                        "nonsense",
                                        "data:[DONE]",
                                        ""};
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    for (size_t e = 0; e < 3; e++) {
        char body[600] = "";
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
            strcat(body, lines[i]);
            strcat(body, ends[e]);
        }
        expect_text(body, "ab");
    }
}

Test(chat_stream, lines_between_events_may_be_missing) {
    expect_text("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n"
                "data: [DONE]",
                "ab");
}

Test(chat_stream, a_whole_completion_in_one_event) {
    expect_text("data: {\"choices\":[{\"message\":{\"content\":\"all\"},\"finish_reason\":\"stop\"}]}\n\n",
                "all");
}

Test(chat_stream, other_choices_and_other_events_are_passed_over) {
    expect_text(
        "event: ping\ndata: beat\n\n"
        "data: "
        "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"stop\"}]}\n\n" CHUNK(
            "{\"content\":\"yes\"}", "\"stop\"") "data: {\"usage\": cut",
        "yes");
}

Test(chat_stream, errors_inside) {
    expect_fault(CHUNK("{\"content\":\"hel\"}",
                       "null") "data: {\"error\":{\"message\":\"engine died\",\"code\":500}}\n\n"
                               "data: [DONE]\n\n",
                 LLM_CAUSE_SERVER, "engine died");
    expect_fault("event: error\ndata: {\"message\":\"overloaded\"}\n\n", LLM_CAUSE_MALFORMED, "overloaded");
    expect_fault("event: error\ndata: plain words\n\n", LLM_CAUSE_MALFORMED, "plain words");
    expect_fault(
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"message\":\"up\"}}]}\n\n",
        LLM_CAUSE_MALFORMED, "up");
    expect_fault("data: <html>\n\ndata: [DONE]\n\n", LLM_CAUSE_MALFORMED, "no JSON");
}

Test(chat_stream, declined_answers) {
    expect_fault(CHUNK("{\"refusal\":\"I can\"}", "null") CHUNK("{\"refusal\":\" not\"}", "\"stop\""),
                 LLM_CAUSE_DECLINED, "refused: I can not");
    expect_fault(
        CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"save\",\"arguments\":\"\"}}]}", "null")
            CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}", "\"tool_calls\""),
        LLM_CAUSE_DECLINED, "the answer is a tool call (save)");
    expect_fault(CHUNK("{\"reasoning\":\"hm\"}", "\"length\""), LLM_CAUSE_DECLINED, "cut before it began");
}

Test(chat_stream, a_stream_that_breaks_off_is_no_answer) {
    static const char whole[] =
        CHUNK("{\"content\":\"hel\"}", "null") CHUNK("{\"content\":\"lo\"}", "\"stop\"");
    size_t end = strlen(whole) - strlen("\n\n");
    for (size_t n = 0; n < end; n++) {
        cr_expect_eq(chat_answer_read(whole, n, &answer, &reason), LLM_CAUSE_MALFORMED, "%zu", n);
        cr_expect_eq(answer.text.kind, VALUE_NULL);
    }
    for (size_t n = end; n <= strlen(whole); n++) {
        cr_expect_eq(chat_answer_read(whole, n, &answer, &reason), LLM_CAUSE_NONE, "%zu", n);
        answer_drop();
    }
    expect_fault(CHUNK("{\"content\":\"hel\"}", "null"), LLM_CAUSE_MALFORMED, "the stream ended before");
    expect_fault(": nothing\n\n", LLM_CAUSE_MALFORMED, "the stream ended before");
    expect_fault("data: [DONE]\n\n", LLM_CAUSE_MALFORMED, "no chat completion");
}
