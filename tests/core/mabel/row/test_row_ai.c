/* test_row_ai.c - what an ai block makes of its answers: required outputs, cut answers, reasoning, its own
 * retry, and the notes that are counted. */
#include <criterion/criterion.h>

#include "tests/core/mabel/row/row_harness.h"

#define MODEL                                                                    \
    "mabel: {version: \"2.0\"}\nmodels:\n"                                       \
    "  - {name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\", " \
    "request_defaults: {retry: {max_attempts: 7}}}\nblocks:\n"

/* One answer of the script; the last one is given again and again. */
typedef struct said {
    const char *text, *reasoning, *finish; /* finish NULL: "stop" */
    llm_cause_t cause;                     /* text is its reason */
    uint32_t requests;                     /* 0: 1 */
    uint32_t rate_limited;                 /* of them */
} said_t;

typedef struct script {
    const said_t *said;
    size_t count, asked;
    uint32_t attempts[8]; /* attempts_max of each request; 0: the model's */
    bool wants_reasoning;
} script_t;

static void llm_play(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    script_t *script = arg;
    const said_t *said = &script->said[script->asked < script->count ? script->asked : script->count - 1];
    (void)body;
    if (script->asked < 8)
        script->attempts[script->asked] = request->retry ? request->retry->attempts_max : 0;
    script->asked++;
    script->wants_reasoning = request->wants_reasoning;
    answer->cause = said->cause;
    answer->requests = said->requests ? said->requests : 1;
    answer->retries[LLM_CAUSE_RATE_LIMIT] = said->rate_limited;
    snprintf(answer->finish_reason, sizeof answer->finish_reason, "%s", said->finish ? said->finish : "stop");
    if (said->cause != LLM_CAUSE_NONE) {
        err_set(&answer->error, SDG_EIO, "%s", said->text);
        return;
    }
    answer->text = value_text(said->text);
    if (said->reasoning) answer->reasoning = value_text(said->reasoning);
}

/* Puts the row away and takes it back while it waits for its answer. */
static void away_and_back(harness_t *h, row_t **row, row_want_t want) {
    const pipeline_t *p = h->pause_arg;
    buf_t bytes;
    if (want != ROW_WANT_LLM) return;
    buf_init(&bytes, 1 << 20);
    row_save(*row, &bytes);
    row_destroy(row);
    *row = row_load(p, &h->options, bytes.data, bytes.len, h->now_ns, NULL);
    cr_assert_not_null(*row);
    buf_free(&bytes);
}

static harness_t h;
static script_t script;

/* Runs a row of MODEL and these blocks, once as it is and once put away at each wait, with the same outcome.
 */
static void expect_rows(const char *blocks, const said_t *said, size_t count, size_t asked,
                        const char *line) {
    char *yaml = xasprintf(MODEL "%s", blocks);
    pipeline_t *p = harness_load(yaml);
    for (int saved = 0; saved < 2; saved++) {
        script = (script_t){.said = said, .count = count};
        h = (harness_t){.llm = llm_play,
                        .arg = &script,
                        .options.retry_on_empty = true,
                        .pause = saved ? away_and_back : NULL,
                        .pause_arg = p};
        char *got = harness_run(&h, p, "{}");
        cr_expect_str_eq(got, line, "wanted %s\ngot    %s", line, got);
        cr_expect_eq(script.asked, asked, "asked %zu times, not %zu: %s", script.asked, asked, blocks);
        free(got);
    }
    pipeline_destroy(&p);
    free(yaml);
}

#define EXPECT(blocks, asked, line, ...)                                    \
    do {                                                                    \
        static const said_t said[] = {__VA_ARGS__};                         \
        expect_rows(blocks, said, sizeof said / sizeof *said, asked, line); \
    } while (0)

#define ASK(fields) "  - {type: ai, id: ask, exec: 1, model: m, prompts: [hi], " fields "}\n"

static void expect_note(size_t i, row_note_kind_t kind, const char *name, uint32_t count) {
    const row_note_t *note = &h.usage.notes.item[i];
    cr_assert_lt(i, h.usage.notes.count);
    cr_expect_eq(note->kind, kind);
    cr_expect_str_eq(note->name, name);
    cr_expect_eq(note->count, count);
}

/* ---- outputs that find nothing */

Test(row_ai, outputs_that_find_nothing_are_counted) {
    EXPECT(ASK("outputs: [{name: Q, select: tag, tag: q}, {name: A}, {name: R, select: regex, regex: z}]"), 1,
           "{\"_row_index\": 0, \"Q\": \"\", \"A\": \"plain\", \"R\": \"\"}", {.text = "plain"});
    cr_expect_eq(h.usage.notes.count, 2);
    expect_note(0, ROW_NOTE_NOTHING, "ask.Q", 1);
    expect_note(1, ROW_NOTE_NOTHING, "ask.R", 1);
}

Test(row_ai, answers_that_are_not_json_are_counted) {
    EXPECT(ASK("outputs: [{name: T, select: jsonpath, path: $.t}, {name: U, select: jsonpath, path: $.u}]"),
           1, "{\"_row_index\": 0, \"T\": \"\", \"U\": \"\"}", {.text = "{\"t\": \"x\","});
    cr_expect_eq(h.usage.notes.count, 3);
    expect_note(0, ROW_NOTE_NOT_JSON, "ask", 1);
    expect_note(1, ROW_NOTE_NOTHING, "ask.T", 1);
    EXPECT(ASK("outputs: [{name: T, select: jsonpath, path: $.t}]"), 1, "{\"_row_index\": 0, \"T\": \"x\"}",
           {.text = "Here you go: {\"t\": \"x\"}"});
    cr_expect_eq(h.usage.notes.count, 0);
}

Test(row_ai, a_required_output_fails_the_block) {
    EXPECT(
        ASK("outputs: [{name: A}, {name: Q, select: tag, tag: q, required: true}]"), 1,
        "{\"_row_index\": 0, \"_error\": \"ask: output Q: nothing found by its tag in: no question here\"}",
        {.text = "no question\n here"});
    cr_expect_str_eq(h.reason, "ask: output");
    cr_expect_eq(h.usage.notes.count, 0);
    EXPECT(ASK("outputs: [{name: Q, select: tag, tag: q, required: true}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: output Q: nothing found by its tag in: <q> </q>\"}",
           {.text = "<q> </q>"});
    EXPECT(ASK("outputs: [{name: T, select: jsonpath, path: $.t, required: true}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: output T: nothing found: the answer is not JSON but: "
           "Sorry, no.\"}",
           {.text = "Sorry, no."});
    EXPECT(ASK("outputs: [{name: T, select: jsonpath, path: $.t, required: true}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: output T: nothing found by its path in: {\\\"u\\\": 1}\"}",
           {.text = "{\"u\": 1}"});
    EXPECT(
        ASK("outputs: [{name: T, select: jsonpath, path: $.t, type_hint: json, required: true}]"), 1,
        "{\"_row_index\": 0, \"_error\": \"ask: output T: nothing found by its path in: {\\\"t\\\": null}\"}",
        {.text = "{\"t\": null}"});
    EXPECT(ASK("outputs: [{name: A, required: true}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: output A: nothing found, it is empty\"}", {.text = " "});
    EXPECT(ASK("outputs: [{name: N, select: tag, tag: n, type_hint: number, required: true}]"), 1,
           "{\"_row_index\": 0, \"N\": 0}", {.text = "<n>0</n>"});
}

Test(row_ai, a_required_output_may_be_asked_for_again) {
    EXPECT(ASK("on_error: retry, outputs: [{name: Q, select: tag, tag: q, required: true}]"), 2,
           "{\"_row_index\": 0, \"Q\": \"yes\"}", {.text = "no"}, {.text = "<q>yes</q>"});
}

/* ---- what stands beside the text */

Test(row_ai, reasoning_and_finish_reason_are_outputs) {
    EXPECT(ASK("outputs: [{name: A}, {name: R, select: reasoning}, {name: F, select: finish_reason}]"), 1,
           "{\"_row_index\": 0, \"A\": \"42\", \"R\": \"so\", \"F\": \"length\"}",
           {.text = "42", .reasoning = " so ", .finish = "length"});
    cr_expect(script.wants_reasoning);
    cr_expect_eq(h.usage.cut_short, 1);
    EXPECT(ASK("outputs: [{name: R, select: reasoning}]"), 1, "{\"_row_index\": 0, \"R\": \"in text\"}",
           {.text = "<think>in text</think>42"});
    EXPECT(ASK("outputs: [{name: A}]"), 1, "{\"_row_index\": 0, \"A\": \"42\"}",
           {.text = "42", .reasoning = "so"});
    cr_expect_not(script.wants_reasoning);
}

/* ---- answers of no use */

Test(row_ai, a_declined_answer_is_a_reason) {
    EXPECT(ASK("outputs: [{name: A}]"), 1, "{\"_row_index\": 0, \"_error\": \"ask: refused: No.\"}",
           {.text = "refused: No.", .cause = LLM_CAUSE_DECLINED});
    cr_expect_str_eq(h.reason, "ask: declined");
}

/* ---- answers that were cut */

Test(row_ai, a_cut_answer_is_kept_by_default) {
    EXPECT(ASK("outputs: [{name: A}]"), 1, "{\"_row_index\": 0, \"A\": \"half\"}",
           {.text = "half", .finish = "length"});
    cr_expect_eq(h.usage.cut_short, 1);
}

Test(row_ai, a_cut_answer_fails_the_block) {
    EXPECT(ASK("on_truncated: fail, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: the answer was cut (finish_reason length): raise "
           "max_tokens\"}",
           {.text = "half", .finish = "length"});
    cr_expect_str_eq(h.reason, "ask: truncated");
    EXPECT(ASK("on_truncated: fail, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: the answer was cut (finish_reason MAX_TOKENS): raise "
           "max_tokens\"}",
           {.text = "half", .finish = "MAX_TOKENS"});
    EXPECT(ASK("on_truncated: fail, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: the answer was cut (finish_reason content_filter)\"}",
           {.text = "half", .finish = "content_filter"});
    EXPECT(
        ASK("on_truncated: fail, on_error: continue, outputs: [{name: A}]") "  - {type: end, exec: 2, final: "
                                                                            "[{name: e, value: "
                                                                            "\"{error_block_1}\"}]}\n",
        1, "{\"_row_index\": 0, \"e\": \"the answer was cut (finish_reason length): raise max_tokens\"}",
        {.text = "half", .finish = "length"});
}

Test(row_ai, a_cut_answer_is_asked_for_once_more) {
    EXPECT(ASK("on_truncated: retry, outputs: [{name: A}]"), 2, "{\"_row_index\": 0, \"A\": \"whole\"}",
           {.text = "half", .finish = "length"}, {.text = "whole"});
    EXPECT(ASK("on_truncated: retry, outputs: [{name: A}]"), 2,
           "{\"_row_index\": 0, \"_error\": \"ask: the answer was cut twice (finish_reason length): raise "
           "max_tokens\"}",
           {.text = "half", .finish = "length"});
    cr_expect_eq(h.usage.cut_short, 2);
    cr_expect_eq(h.usage.requests, 2);
    /* Each block may ask once more. */
    EXPECT(ASK("on_truncated: retry, outputs: [{name: A}]") "  - {type: ai, exec: 2, model: m, prompts: [x], "
                                                            "on_truncated: retry, outputs: [{name: B}]}\n",
           4, "{\"_row_index\": 0, \"A\": \"a\", \"B\": \"b\"}", {.text = "h", .finish = "length"},
           {.text = "a"}, {.text = "h", .finish = "length"}, {.text = "b"});
    /* No more than the block's own attempts. */
    EXPECT(ASK("on_truncated: retry, retry: {max_attempts: 1}, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"_error\": \"ask: the answer was cut (finish_reason length): raise "
           "max_tokens\"}",
           {.text = "half", .finish = "length"});
}

/* ---- the block's own retry */

Test(row_ai, a_blocks_retry_is_that_of_its_requests) {
    EXPECT(ASK("retry: {max_attempts: 3}, outputs: [{name: A}]"), 1, "{\"_row_index\": 0, \"A\": \"x\"}",
           {.text = "x"});
    cr_expect_eq(script.attempts[0], 3);
    EXPECT(ASK("retry: {max_attempts: 3}, params: {retry: {max_attempts: 5}}, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"A\": \"x\"}", {.text = "x"});
    cr_expect_eq(script.attempts[0], 3);
    EXPECT(ASK("params: {retry: {max_attempts: 5}}, outputs: [{name: A}]"), 1,
           "{\"_row_index\": 0, \"A\": \"x\"}", {.text = "x"});
    cr_expect_eq(script.attempts[0], 5);
    EXPECT(ASK("outputs: [{name: A}]"), 1, "{\"_row_index\": 0, \"A\": \"x\"}", {.text = "x"});
    cr_expect_eq(script.attempts[0], 0, "the model's");
}

#define NUMBER(retry) \
    ASK("on_error: retry, retry: {max_attempts: " retry "}, outputs: [{name: N, type_hint: number}]")
#define NO_NUMBER \
    "{\"_row_index\": 0, \"_error\": \"ask: output N: type_hint number: 'seven' is not a number\"}"

Test(row_ai, attempts_count_requests_and_failed_conversions_alike) {
    EXPECT(NUMBER("3"), 3, NO_NUMBER, {.text = "seven"});
    cr_expect_eq(script.attempts[0], 3);
    cr_expect_eq(script.attempts[1], 2);
    cr_expect_eq(script.attempts[2], 1);
    /* Two requests for the first answer, so there is one left. */
    EXPECT(NUMBER("3"), 2, NO_NUMBER, {.text = "seven", .requests = 2});
    cr_expect_eq(script.attempts[1], 1);
    EXPECT(NUMBER("3"), 1, NO_NUMBER, {.text = "seven", .requests = 3});
    /* Requests that the server had no room for are no attempts. */
    EXPECT(NUMBER("2"), 2, NO_NUMBER, {.text = "seven", .requests = 9, .rate_limited = 8});
    EXPECT(NUMBER("3"), 1, "{\"_row_index\": 0, \"_error\": \"ask: HTTP 500: down (after 3 attempts)\"}",
           {.text = "HTTP 500: down (after 3 attempts)", .cause = LLM_CAUSE_SERVER, .requests = 3});
}
