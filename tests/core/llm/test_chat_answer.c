/* test_chat_answer.c - answers as servers really send them: what is one to use, and why another is not. */
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

/* A body with one choice: `message` is what stands inside of the message, `finish` a JSON value. */
static llm_cause_t read_message(const char *message, const char *finish) {
    char body[2000];
    snprintf(body, sizeof body,
             "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"%s%s},\"finish_reason\":%s}],"
             "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}",
             message[0] ? "," : "", message, finish);
    return read_body(body);
}

static void expect_declined(const char *message, const char *finish, const char *words) {
    cr_expect_eq(read_message(message, finish), LLM_CAUSE_DECLINED, "%s", message);
    cr_expect_str_eq(reason.text, words);
    cr_expect_eq(answer.text.kind, VALUE_NULL);
    cr_expect_eq(answer.prompt_tokens, 3, "a declined answer is paid for");
    cr_expect_eq(answer.completion_tokens, 9);
}

static void expect_answer(const char *message, const char *finish, const char *text, const char *reasoning) {
    cr_assert_eq(read_message(message, finish), LLM_CAUSE_NONE, "%s: %s", message, reason.text);
    cr_expect_str_eq(answer.text.string->data, text);
    if (reasoning) {
        cr_assert_eq(answer.reasoning.kind, VALUE_STRING, "%s", message);
        cr_expect_str_eq(answer.reasoning.string->data, reasoning);
    } else {
        cr_expect_eq(answer.reasoning.kind, VALUE_NULL, "%s", message);
    }
    answer_drop();
}

Test(chat_answer, a_refusal_is_a_reason) {
    expect_declined("\"content\":null,\"refusal\":\"I can not help with that.\"", "\"stop\"",
                    "refused: I can not help with that.");
    expect_declined("\"content\":\"\",\"refusal\":\"No.\"", "null", "refused: No.");
    expect_declined("\"content\":[{\"type\":\"refusal\",\"refusal\":\"No way.\"}]", "\"stop\"",
                    "refused: No way.");
    expect_declined("\"content\":\"I would\",\"refusal\":\"but no\"", "\"stop\"", "refused: but no");
    expect_declined("\"content\":null", "\"refusal\"", "refused: (no reason)");
    expect_answer("\"content\":\"fine\",\"refusal\":null", "\"stop\"", "fine", NULL);
    expect_answer("\"content\":\"fine\",\"refusal\":\"\"", "\"stop\"", "fine", NULL);
}

Test(chat_answer, a_content_filter_with_nothing_left_is_a_reason) {
    expect_declined("\"content\":null", "\"content_filter\"",
                    "content filter: the answer was held back (finish_reason content_filter)");
    expect_declined("\"content\":\" \\n\"", "\"SAFETY\"",
                    "content filter: the answer was held back (finish_reason SAFETY)");
    expect_answer("\"content\":\"half of\"", "\"content_filter\"", "half of", NULL);
    cr_expect_str_eq(answer.finish_reason, "content_filter");
}

Test(chat_answer, a_tool_call_is_a_reason) {
    expect_declined("\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{"
                    "\"name\":\"save\",\"arguments\":\"{}\"}}]",
                    "\"tool_calls\"", "the answer is a tool call (save)");
    expect_declined("\"content\":\"\",\"function_call\":{\"name\":\"look\",\"arguments\":\"{}\"}",
                    "\"function_call\"", "the answer is a tool call (look)");
    expect_declined("\"content\":null", "\"tool_calls\"", "the answer is a tool call");
    expect_declined("\"content\":null,\"tool_calls\":[{}]", "\"stop\"", "the answer is a tool call");
    expect_answer("\"content\":\"text\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]", "\"tool_calls\"",
                  "text", NULL);
    expect_answer("\"content\":\"text\",\"tool_calls\":[],\"function_call\":null", "\"stop\"", "text", NULL);
    expect_answer("\"content\":\"\",\"tool_calls\":[],\"function_call\":{}", "\"stop\"", "", NULL);
}

Test(chat_answer, cut_before_it_began) {
    static const char words[] = "the answer was cut before it began: raise max_tokens";
    expect_declined("\"content\":\"\",\"reasoning\":\"long thoughts\"", "\"length\"", words);
    expect_declined("\"content\":null", "\"length\"", words);
    expect_declined("", "\"MAX_TOKENS\"", words);
    expect_answer("\"content\":\"half\"", "\"length\"", "half", NULL);
}

Test(chat_answer, an_empty_answer_without_a_reason_is_empty) {
    expect_answer("\"content\":\"\"", "\"stop\"", "", NULL);
    expect_answer("\"content\":null", "null", "", NULL);
}

Test(chat_answer, reasoning_by_all_its_names) {
    expect_answer("\"content\":null,\"reasoning_content\":\"The answer is 42.\"", "\"stop\"", "",
                  "The answer is 42.");
    expect_answer(
        "\"content\":\"42\",\"reasoning\":\"so\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
        "\"text\":\"so\"}]",
        "\"stop\"", "42", "so");
    expect_answer("\"content\":\"42\",\"reasoning_content\":null,\"reasoning\":\"so\"", "\"stop\"", "42",
                  "so");
    expect_answer("\"content\":\"42\",\"reasoning_content\":[{\"type\":\"text\",\"text\":\"a\"},\"b\"]",
                  "\"stop\"", "42", "ab");
    expect_answer("\"content\":\"42\",\"reasoning\":{\"content\":\"c\"}", "\"stop\"", "42", "c");
    expect_answer("\"content\":\"42\",\"thinking\":\"hm\"", "\"stop\"", "42", "hm");
    expect_answer("\"content\":\"42\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"d\"}]",
                  "\"stop\"", "42", "d");
    expect_answer("\"content\":\"42\",\"reasoning\":\"  \"", "\"stop\"", "42", NULL);
}

Test(chat_answer, content_in_parts) {
    expect_answer("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},"
                  "{\"type\":\"text\",\"text\":\"4\"},{\"type\":\"output_text\",\"text\":\"2\"},\"!\"]",
                  "\"stop\"", "42!", "hm");
    expect_answer("\"content\":{\"type\":\"text\",\"text\":\"one\"}", "\"stop\"", "one", NULL);
}

static void expect_fault(const char *body, llm_cause_t cause, const char *words) {
    cr_expect_eq(read_body(body), cause, "%s: %s", body, reason.text);
    cr_expect(strstr(reason.text, words), "%s", reason.text);
    cr_expect_eq(answer.text.kind, VALUE_NULL);
}

Test(chat_answer, an_error_inside_a_choice) {
    expect_fault("{\"choices\":[{\"message\":{\"content\":\"half\"},\"finish_reason\":\"error\",\"error\":{"
                 "\"code\":502,\"message\":\"upstream died\"}}]}",
                 LLM_CAUSE_SERVER, "upstream died");
    expect_fault("{\"choices\":[{\"message\":{\"content\":\"half\"},\"error\":{\"code\":400,\"message\":"
                 "\"too long\"}}]}",
                 LLM_CAUSE_REFUSED, "too long");
    expect_fault("{\"choices\":[{\"error\":{\"code\":503,\"message\":\"The request queue is full.\"}}]}",
                 LLM_CAUSE_SERVER, "queue is full");
    expect_fault(
        "{\"choices\":[{\"message\":{\"content\":\"\"},\"error\":{\"code\":429,\"message\":\"slow\"}}]}",
        LLM_CAUSE_RATE_LIMIT, "slow");
    expect_fault("{\"choices\":[{\"error\":\"words\"}]}", LLM_CAUSE_MALFORMED, "words");
    expect_fault("{\"choices\":[{\"message\":{\"content\":\"half\"},\"finish_reason\":\"error\"}]}",
                 LLM_CAUSE_MALFORMED, "finish_reason error");
    expect_fault("{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"error\":{\"message\":\"late\"}}",
                 LLM_CAUSE_MALFORMED, "late");
}

Test(chat_answer, an_empty_error_is_none) {
    static const char *const empty[] = {
        "null", "{}", "\"\"", "[]", "0", "false", "{\"code\":null,\"message\":\"\"}", "[{}]"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"error\":%s,\"choices\":[{\"error\":%s,\"message\":{\"content\":\"ok\"}}]}", empty[i],
                 empty[i]);
        cr_assert_eq(read_body(body), LLM_CAUSE_NONE, "%s: %s", empty[i], reason.text);
        cr_expect_str_eq(answer.text.string->data, "ok");
        answer_drop();
    }
    expect_fault("{\"error\":{}}", LLM_CAUSE_MALFORMED, "no choices[0].message");
}

Test(chat_answer, bodies_that_are_no_json_show_their_words) {
    expect_fault("<html><head><title>Sign in</title></head><body>Please log in to the portal</body></html>",
                 LLM_CAUSE_MALFORMED, "the answer is not JSON but: Sign in Please log in to the portal");
    expect_fault("\n  Service is starting\n", LLM_CAUSE_MALFORMED,
                 "the answer is not JSON but: Service is starting");
    expect_fault("", LLM_CAUSE_MALFORMED, "the answer is not JSON: it has no body");
    expect_fault("{\"choices\":", LLM_CAUSE_MALFORMED, "the answer is not JSON: ");
    expect_fault("{\"detail\":\"Not Found\"}", LLM_CAUSE_MALFORMED, "{\"detail\":\"Not Found\"}");
}

Test(chat_answer, a_byte_order_mark_is_passed_over) {
    cr_assert_eq(read_body("\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"ok\"}}]}"), LLM_CAUSE_NONE);
    cr_expect_str_eq(answer.text.string->data, "ok");
    answer_drop();
}

Test(chat_answer, of_several_choices_number_0_counts) {
    cr_assert_eq(
        read_body("{\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"}},{\"index\":0,\"message\":{"
                  "\"content\":\"a\"}}]}"),
        LLM_CAUSE_NONE);
    cr_expect_str_eq(answer.text.string->data, "a");
    answer_drop();
    cr_assert_eq(read_body("{\"choices\":[{\"index\":1,\"message\":{\"content\":\"b\"}}]}"), LLM_CAUSE_NONE);
    cr_expect_str_eq(answer.text.string->data, "b");
    answer_drop();
}

Test(chat_answer, half_a_surrogate_pair_is_replaced_and_counted) {
    expect_answer("\"content\":\"a\\ud83d b\\ude00\"", "\"stop\"", "a\xEF\xBF\xBD b\xEF\xBF\xBD", NULL);
    cr_expect_eq(read_message("\"content\":\"a\\ud83d b\\ude00\"", "\"stop\""), LLM_CAUSE_NONE);
    cr_expect_eq(answer.replaced, 2);
    answer_drop();
    cr_expect_eq(read_message("\"content\":\"\\ud83d\\ude00\"", "\"stop\""), LLM_CAUSE_NONE);
    cr_expect_eq(answer.replaced, 0);
    answer_drop();
}
