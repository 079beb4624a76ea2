/* test_endpoint_reports.c - reports of endpoints: there and back, cut, too many, from another version. */
#include "proto/parts/endpoint_reports.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/base/limits.h"

static endpoint_report_t some(uint64_t id) {
    endpoint_report_t r = {.endpoint = id,
                           .address = "http://gpu1:8000/v1/chat/completions",
                           .state = ENDPOINT_CLOSED,
                           .reopens_ms = 5000,
                           .in_flight = 1,
                           .waiting = 64,
                           .refused = 3,
                           .refused_in_a_row = 4,
                           .requests = 100,
                           .answered = 30,
                           .oldest_ms = 1234,
                           .answered_ms = ENDPOINT_NEVER,
                           .trouble = LLM_CAUSE_RATE_LIMIT,
                           .trouble_text = "HTTP 429: slow down, \xe9\x81\x85\xe3\x81\x8f",
                           .trouble_ms = 70};
    r.retries[LLM_CAUSE_RATE_LIMIT] = 66;
    r.faulted = 67;
    return r;
}

static void encode(const endpoint_report_t *reports, size_t count, buf_t *out) {
    buf_init(out, MESSAGE_BYTES_MAX);
    endpoint_reports_encode(reports, count, out);
    cr_assert_not(out->full);
}

Test(endpoint_reports, there_and_back) {
    endpoint_report_t two[] = {some(7), some(UINT64_MAX)}, *back;
    two[1].trouble = LLM_CAUSE_NONE;
    two[1].state = ENDPOINT_FINAL;
    size_t count;
    buf_t bytes;
    encode(two, 2, &bytes);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_OK);
    cr_assert_eq(count, 2);
    for (int i = 0; i < 2; i++) {
        cr_expect(endpoint_report_same(&back[i], &two[i]));
        cr_expect_eq(back[i].reopens_ms, 5000);
        cr_expect_eq(back[i].oldest_ms, 1234);
        cr_expect_eq(back[i].answered_ms, ENDPOINT_NEVER);
        cr_expect_eq(back[i].trouble_ms, 70);
    }
    free(back);
    buf_free(&bytes);
}

Test(endpoint_reports, none) {
    endpoint_report_t *back;
    size_t count;
    buf_t bytes;
    encode(NULL, 0, &bytes);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_OK);
    cr_assert(!back && count == 0);
    buf_free(&bytes);
}

Test(endpoint_reports, cut_at_every_byte_is_refused_in_words) {
    endpoint_report_t one = some(1), *back;
    size_t count;
    buf_t bytes;
    encode(&one, 1, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        err_t err = {0};
        char *cut = xmalloc(len + 1);
        memcpy(cut, bytes.data, len);
        cut = xrealloc(cut, len ? len : 1);
        cr_assert_eq(endpoint_reports_decode(cut, len, &back, &count, &err), SDG_EPARSE);
        cr_assert(err.text[0] && !back && count == 0);
        free(cut);
    }
    buf_free(&bytes);
}

Test(endpoint_reports, more_than_the_limit_are_not_said_and_not_taken) {
    size_t count, many = ENDPOINT_REPORTS_MAX + 1;
    endpoint_report_t *reports = xcalloc(many, sizeof *reports), *back;
    buf_t bytes;
    encode(reports, many, &bytes);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_OK);
    cr_assert_eq(count, ENDPOINT_REPORTS_MAX);
    free(back);
    /* The head of a list of more than 255 is 0xdc and two bytes; one element more is put in. */
    cr_assert_eq((unsigned char)bytes.data[0], 0xdc);
    bytes.data[1] = (char)((ENDPOINT_REPORTS_MAX + 1) >> 8);
    bytes.data[2] = (char)(ENDPOINT_REPORTS_MAX + 1);
    buf_add(&bytes, "\x90", 1);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_EPARSE);
    cr_assert(!back && count == 0);
    free(reports);
    buf_free(&bytes);
}

/* Puts `text` in place of the first `was` of the same length. */
static void replace(buf_t *bytes, const char *was, const char *text, size_t len) {
    for (size_t i = 0; i + len <= bytes->len; i++) {
        if (memcmp(bytes->data + i, was, len) != 0) continue;
        memcpy(bytes->data + i, text, len);
        return;
    }
    cr_assert_fail("the bytes are not there");
}

Test(endpoint_reports, texts_become_lines_of_text) {
    endpoint_report_t one = some(1), *back;
    size_t count;
    buf_t bytes;
    encode(&one, 1, &bytes);
    replace(&bytes, "slow down", "sl\xffw\ndown", 9);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_OK);
    cr_assert(strstr(back->trouble_text, "sl?w down"));
    free(back);
    buf_free(&bytes);
}

Test(endpoint_reports, fields_of_a_newer_version_are_ignored) {
    endpoint_report_t one = some(1), *back;
    size_t count;
    buf_t bytes;
    encode(&one, 1, &bytes);
    replace(&bytes, "\x91\xdc\x00\x11", "\x91\xdc\x00\x12", 4);
    buf_add(&bytes, "\x2a", 1);
    cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &back, &count, NULL), SDG_OK);
    cr_assert(endpoint_report_same(back, &one));
    free(back);
    buf_free(&bytes);
}
