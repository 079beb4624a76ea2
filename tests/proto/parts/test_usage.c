/* test_usage.c - what a row cost, from worker to client. */
#include "proto/parts/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/limits.h"

#include <criterion/criterion.h>

static buf_t encoded(const char *reason, const row_usage_t *usage) {
    buf_t out;
    buf_init(&out, USAGE_BYTES_MAX);
    usage_encode(reason, usage, &out);
    cr_assert_not(out.full);
    return out;
}

Test(usage, comes_back_as_it_was) {
    row_usage_t usage = {.calls = 2,
                         .requests = 3,
                         .prompt_tokens = 100,
                         .completion_tokens = 50,
                         .cut_short = 1,
                         .latency_count = 2,
                         .latency_us = {1500, 2500}};
    usage.retries[LLM_CAUSES - 1] = 7;
    row_notes_add(&usage.notes, ROW_NOTE_NOTHING, "ask.Question", 1);
    row_notes_add(&usage.notes, ROW_NOTE_ZERO, "sum", 12);
    buf_t bytes = encoded("ask: HTTP 400", &usage);
    usage_t back;
    cr_assert_eq(usage_decode(bytes.data, bytes.len, &back, NULL), SDG_OK);
    cr_assert_str_eq(back.reason, "ask: HTTP 400");
    cr_assert_eq(memcmp(&back.row, &usage, sizeof usage), 0);
    buf_free(&bytes);
}

/* The largest record there can be fits what a message may carry for it. */
Test(usage, extremes_fit) {
    row_usage_t usage;
    char reason[ROW_REASON_MAX];
    memset(&usage, 0xff, sizeof usage);
    usage.latency_count = ROW_LATENCIES_MAX;
    usage.notes.count = ROW_NOTES_MAX + ROW_NOTE_KINDS;
    for (uint32_t i = 0; i < usage.notes.count; i++) {
        row_note_t *note = &usage.notes.item[i];
        note->kind = ROW_NOTE_KINDS - 1 - i % ROW_NOTE_KINDS;
        memset(note->name, 'a' + (int)i, sizeof note->name);
        note->name[sizeof note->name - 1] = '\0';
        if (i >= ROW_NOTES_MAX) snprintf(note->name, sizeof note->name, "other");
    }
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    buf_t bytes = encoded(reason, &usage);
    usage_t back;
    cr_assert_eq(usage_decode(bytes.data, bytes.len, &back, NULL), SDG_OK);
    cr_assert_str_eq(back.reason, reason);
    cr_assert_eq(back.row.prompt_tokens, UINT64_MAX);
    cr_assert_eq(back.row.calls, UINT32_MAX);
    cr_assert_eq(back.row.notes.count, usage.notes.count);
    cr_assert_str_eq(back.row.notes.item[0].name, usage.notes.item[0].name);
    cr_assert_eq(back.row.notes.item[0].count, UINT32_MAX);
    cr_assert_eq(back.row.latency_us[ROW_LATENCIES_MAX - 1], UINT32_MAX);
    buf_free(&bytes);
}

Test(usage, cut_at_every_byte_is_refused_and_leaves_nothing) {
    row_usage_t usage = {.calls = 300, .latency_count = 1, .latency_us = {70000}};
    row_notes_add(&usage.notes, ROW_NOTE_NOTHING, "ask.Question", 300);
    buf_t bytes = encoded("timeout", &usage);
    for (size_t len = 0; len < bytes.len; len++) {
        usage_t back, zero = {0};
        err_t err = {0};
        char *cut = xmalloc(len ? len : 1);
        memcpy(cut, bytes.data, len);
        cr_assert_eq(usage_decode(cut, len, &back, &err), SDG_EPARSE);
        cr_assert(err.text[0]);
        cr_assert_eq(memcmp(&back, &zero, sizeof back), 0);
        free(cut);
    }
    buf_free(&bytes);
}

static int decode(const char *bytes, size_t len, usage_t *back) {
    return usage_decode(bytes, len, back, NULL);
}

Test(usage, wrong_shapes_are_refused) {
    usage_t back;
    cr_assert_eq(decode("\x90", 1, &back), SDG_EPARSE);
    cr_assert_eq(decode("\x98\xa0\x01\x01\x01\x01\x01\x90\x01", 9, &back), SDG_EPARSE,
                 "latencies are a list");
    cr_assert_eq(decode("\x98\xa0\x01\x01\x01\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x90\x90", 17, &back),
                 SDG_EPARSE, "33 bits");
    cr_assert_eq(decode("\x98\x01\x01\x01\x01\x01\x01\x90\x90", 9, &back), SDG_EPARSE, "the reason is text");
    cr_assert_eq(decode("\x98\xa0\x01\x01\x01\x01\x01\x90\x90", 9, &back), SDG_OK, "of an older release");
    cr_assert_eq(decode("\x99\xa0\x01\x01\x01\x01\x01\x90\x90\x01", 10, &back), SDG_EPARSE,
                 "notes are a list");
    cr_assert_eq(decode("\x99\xa0\x01\x01\x01\x01\x01\x90\x90\x91\x00", 11, &back), SDG_EPARSE,
                 "a note has three fields");
    cr_assert_eq(decode("\x99\xa0\x01\x01\x01\x01\x01\x90\x90\x93\x00\x01\x01", 13, &back), SDG_EPARSE,
                 "the name is text");
    cr_assert_eq(decode("\x99\xa0\x01\x01\x01\x01\x01\x90\x90\x93\x7f\xa1n\x01", 14, &back), SDG_OK,
                 "a kind of a newer release");
    cr_assert_eq(back.row.notes.count, 0);
}

Test(usage, a_reason_that_is_too_long_is_refused) {
    char bytes[128] = "\x98\xd9", *at = bytes + 2;
    usage_t back;
    *at++ = ROW_REASON_MAX;
    memset(at, 'x', ROW_REASON_MAX);
    memcpy(at + ROW_REASON_MAX, "\x01\x01\x01\x01\x01\x90\x90", 7);
    cr_assert_eq(decode(bytes, 3 + ROW_REASON_MAX + 7, &back), SDG_EPARSE);
}

/* A newer worker may know more causes and more latencies than this client: what fits is kept. */
Test(usage, longer_lists_are_cut) {
    buf_t bytes;
    usage_t back;
    buf_init(&bytes, 4096);
    buf_add(&bytes, "\x9a\xa0\x01\x01\x01\x01\x01\xdc\x00\x64", 10);
    for (int i = 0; i < 100; i++)
        buf_addc(&bytes, 1);
    buf_add(&bytes, "\xdc\x00\x64", 3);
    for (int i = 0; i < 100; i++)
        buf_addc(&bytes, 2);
    buf_add(&bytes, "\x90\x00", 2); /* no notes, and one field more */
    cr_assert_eq(decode(bytes.data, bytes.len, &back), SDG_OK);
    cr_assert_eq(back.row.latency_count, ROW_LATENCIES_MAX);
    cr_assert_eq(back.row.latency_us[ROW_LATENCIES_MAX - 1], 2);
    cr_assert_eq(back.row.retries[LLM_CAUSES - 1], 1);
    buf_free(&bytes);
}
