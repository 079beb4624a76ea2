/* test_tally.c - tallies: counting rows, through a message and back, differences. */
#include "proto/parts/tally.h"

#include "core/base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static row_usage_t usage(uint32_t latency_us) {
    row_usage_t u = {.calls = 1,
                     .requests = 3,
                     .prompt_tokens = 7,
                     .completion_tokens = 2,
                     .cut_short = 1,
                     .latency_count = 2,
                     .latency_us = {latency_us, 5}};
    u.retries[LLM_CAUSE_TIMEOUT] = 2;
    u.retries[LLM_CAUSE_QUOTA] = 9; /* final: never retried, has no number */
    return u;
}

static void through_message(const tally_t *t, tally_t *back) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t json;
    buf_init(&json, REASONS_JSON_BYTES);
    tally_write_reasons(t, &json);
    cr_assert_not(json.full);
    u64_list_t values = {(uint64_t *)t->totals, CLIENT_STATS},
               numbers = {latency, hist_to_numbers(&t->latency, latency)};
    tally_read(back, &values, &numbers, (slice_t){json.data, json.len});
    buf_free(&json);
}

Test(tally, counts_rows) {
    tally_t t = {0};
    row_usage_t u = usage(100);
    tally_row(&t, false, "", &u);
    tally_row(&t, true, "ask: timeout", &u);
    tally_row(&t, true, "", &u);
    cr_assert_eq(t.totals[CLIENT_rows_ok], 1);
    cr_assert_eq(t.totals[CLIENT_rows_failed], 2);
    cr_assert_eq(t.totals[CLIENT_requests], 9);
    cr_assert_eq(t.totals[CLIENT_retry_timeout], 6);
    cr_assert_eq(t.totals[CLIENT_rows_total], 0, "causes without a number are not counted elsewhere");
    cr_assert_eq(t.latency.count, 6);
    cr_assert_eq(t.reasons.count, 2);
    cr_assert_str_eq(t.reasons.item[1].text, "other");
}

Test(tally, goes_through_a_message_and_back) {
    static tally_t t, back;
    row_usage_t u = usage(123456);
    tally_row(&t, true, "a \"quoted\" reason\n", &u);
    for (int i = 0; i < 50; i++) {
        char reason[ROW_REASON_MAX];
        snprintf(reason, sizeof reason, "%c%c%c%c%c%c reason %d", 1, 2, 3, 4, 5, 6, i);
        tally_row(&t, true, reason, &u);
    }
    cr_assert_eq(t.reasons.count, REASONS_MAX);
    cr_assert_str_eq(t.reasons.item[REASONS_MAX - 1].text, "other");
    through_message(&t, &back);
    cr_assert_arr_eq(back.totals, t.totals, sizeof t.totals);
    cr_assert_arr_eq(&back.latency, &t.latency, sizeof t.latency);
    cr_assert_eq(back.reasons.count, t.reasons.count);
    for (size_t i = 0; i < t.reasons.count; i++) {
        cr_assert_str_eq(back.reasons.item[i].text, t.reasons.item[i].text);
        cr_assert_eq(back.reasons.item[i].count, t.reasons.item[i].count);
    }
}

Test(tally, takes_any_message_without_harm) {
    static tally_t t;
    uint64_t many[CLIENT_STATS + 5];
    memset(many, 1, sizeof many);
    u64_list_t values = {many, CLIENT_STATS + 5}, none = {0};
    static const char *const texts[] = {
        "", "[1]", "{\"x\": -3, \"y\": \"z\", \"w\": 2}", "{",
        "{\"a long name, longer than any reason may be, so it is cut somewhere\": 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tally_read(&t, i % 2 ? &values : &none, &values, slice_of(texts[i]));
        cr_assert_leq(t.reasons.count, 1);
    }
    cr_assert_eq(t.reasons.item[0].text[ROW_REASON_MAX - 1], '\0');
}

Test(tally, the_difference_is_added) {
    static tally_t before, after, sum;
    row_usage_t u = usage(1000);
    tally_row(&before, true, "x", &u);
    after = before;
    tally_row(&after, true, "x", &u);
    tally_row(&after, true, "y", &u);
    tally_add_difference(&sum, &before, &after);
    cr_assert_eq(sum.totals[CLIENT_rows_failed], 2);
    cr_assert_eq(sum.latency.count, 4);
    cr_assert_eq(sum.reasons.count, 2);
    cr_assert_eq(sum.reasons.item[0].count, 1);
    cr_assert_eq(sum.reasons.item[1].count, 1);
}

static value_t outcomes_of(const tally_t *t) {
    value_t v;
    buf_t json;
    buf_init(&json, OUTCOMES_JSON_BYTES);
    tally_write_outcomes(t, NULL, &json);
    cr_assert_not(json.full);
    cr_assert_eq(json_parse_text(json.data, json.len, &v, NULL), SDG_OK);
    buf_free(&json);
    return v;
}

static int64_t noted(value_t outcomes, const char *kind, const char *name) {
    value_t of_kind = object_get_peek(outcomes, kind, strlen(kind), NULL);
    value_t n =
        of_kind.kind == VALUE_OBJECT ? object_get_peek(of_kind, name, strlen(name), NULL) : value_null();
    return n.kind == VALUE_INT ? n.integer : -1;
}

Test(tally, notes_of_rows_are_in_the_outcomes) {
    static tally_t t;
    row_usage_t u = usage(100);
    row_notes_add(&u.notes, ROW_NOTE_NOTHING, "ask.Question", 1);
    row_notes_add(&u.notes, ROW_NOTE_ZERO, "sum", 4);
    for (int i = 0; i < 3; i++)
        tally_row(&t, i == 2, i == 2 ? "x" : "", &u);
    value_t outcomes = outcomes_of(&t);
    cr_assert_eq(noted(outcomes, "nothing", "ask.Question"), 3);
    cr_assert_eq(noted(outcomes, "zero", "sum"), 12);
    cr_assert_eq(noted(outcomes, "failed", "x"), 1);
    bool found;
    object_get_peek(outcomes, "not_json", strlen("not_json"), &found);
    cr_assert_not(found, "kinds that never came have no key");
    value_free(outcomes);
}

Test(tally, notes_that_do_not_fit_are_counted_as_other) {
    static tally_t t;
    for (int i = 0; i < 2 * NOTES_MAX; i++) {
        row_usage_t u = {0};
        char name[ROW_NOTE_NAME_MAX];
        snprintf(name, sizeof name, "\x01\x02\x03\x04 block.output %d", i);
        for (int kind = 0; kind < ROW_NOTE_KINDS; kind++)
            row_notes_add(&u.notes, (row_note_kind_t)kind, name, 1);
        tally_usage(&t, &u);
    }
    cr_assert_eq(t.notes.count, NOTES_MAX + ROW_NOTE_KINDS);
    value_t outcomes = outcomes_of(&t);
    for (int kind = 0; kind < ROW_NOTE_KINDS; kind++)
        cr_assert_eq(noted(outcomes, row_notes_kind_name((row_note_kind_t)kind), "other"),
                     2 * NOTES_MAX - NOTES_MAX / ROW_NOTE_KINDS - (kind < NOTES_MAX % ROW_NOTE_KINDS));
    value_free(outcomes);
}
