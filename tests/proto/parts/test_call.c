/* test_call.c - a finished LLM call as bytes, for the call journal. */
#include "proto/parts/call.h"

#include <stdlib.h>
#include <string.h>

#include "core/store/limits.h"

#include <criterion/criterion.h>

static buf_t encoded(const char *text, const char *reason) {
    llm_answer_t answer = {
        .text = value_text(text), .prompt_tokens = 12, .completion_tokens = UINT32_MAX, .requests = 3};
    buf_t out;
    buf_init(&out, JOURNAL_ANSWER_BYTES_MAX);
    strncpy(answer.finish_reason, reason, sizeof answer.finish_reason - 1);
    call_encode(&answer, &out);
    value_free(answer.text);
    return out;
}

Test(call, comes_back_as_if_just_made_but_without_requests) {
    buf_t bytes = encoded("an \xc3\xa4nswer\nof two lines", "stop");
    llm_answer_t back;
    cr_assert_eq(call_decode(bytes.data, bytes.len, &back, NULL), SDG_OK);
    cr_assert_eq(back.cause, LLM_CAUSE_NONE);
    cr_assert_str_eq(back.text.string->data, "an \xc3\xa4nswer\nof two lines");
    cr_assert_str_eq(back.finish_reason, "stop");
    cr_assert_eq(back.prompt_tokens, 12);
    cr_assert_eq(back.completion_tokens, UINT32_MAX);
    cr_assert_eq(back.requests, 0);
    value_free(back.text);
    buf_free(&bytes);
}

Test(call, reasoning_comes_back_and_may_be_missing) {
    llm_answer_t answer = {.text = value_text("42"), .reasoning = value_text("so")}, back;
    buf_t out;
    buf_init(&out, JOURNAL_ANSWER_BYTES_MAX);
    call_encode(&answer, &out);
    cr_assert_eq(call_decode(out.data, out.len, &back, NULL), SDG_OK);
    cr_assert_str_eq(back.text.string->data, "42");
    cr_assert_str_eq(back.reasoning.string->data, "so");
    llm_answer_clear(&back);
    for (size_t cut = 0; cut < out.len; cut++)
        cr_assert_eq(call_decode(out.data, cut, &back, NULL), SDG_EPARSE, "cut at %zu", cut);
    cr_assert_eq(call_decode("\x94\xa0\x01\x02\xa1x", 6, &back, NULL), SDG_OK, "of an older release");
    cr_assert_eq(back.reasoning.kind, VALUE_NULL);
    llm_answer_clear(&back);
    cr_assert_eq(call_decode("\x95\xa0\x01\x02\xa1x\x01", 7, &back, NULL), SDG_EPARSE, "reasoning is text");
    llm_answer_clear(&answer);
    buf_free(&out);
}

Test(call, an_empty_answer_is_an_answer) {
    buf_t bytes = encoded("", "");
    llm_answer_t back;
    cr_assert_eq(call_decode(bytes.data, bytes.len, &back, NULL), SDG_OK);
    cr_assert(back.text.kind == VALUE_STRING && back.text.string->len == 0);
    value_free(back.text);
    buf_free(&bytes);
}

Test(call, cut_at_every_byte_is_refused) {
    buf_t bytes = encoded("answer", "length");
    for (size_t cut = 0; cut < bytes.len; cut++) {
        char *part = malloc(cut + 1); /* so that reading behind it is seen by ASan */
        llm_answer_t back;
        err_t err = {0};
        memcpy(part, bytes.data, cut);
        cr_assert_eq(call_decode(part, cut, &back, &err), SDG_EPARSE, "cut at %zu", cut);
        cr_assert(err.text[0]);
        free(part);
    }
    buf_free(&bytes);
}

Test(call, other_bytes_are_refused) {
    static const char *const others[] = {"\x93\xa0\x01\x02", "\x94\x01\x01\x01\xa0", "\x94\xa0\xa0\x01\xa0",
                                         "\x94\xa0\x01\x01\x01", "\x01"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        llm_answer_t back;
        cr_assert_eq(call_decode(others[i], strlen(others[i]), &back, NULL), SDG_EPARSE, "%zu", i);
    }
}
