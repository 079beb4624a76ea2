/* test_row.c - the row machine with an LLM and Python that are functions of the test. */
#include <criterion/criterion.h>

#include "core/base/text.h"
#include "tests/core/mabel/row/row_harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL "models:\n  - {name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\"}\n"

static void expect_row(harness_t *h, const pipeline_t *p, uint64_t index, const char *input,
                       const char *line) {
    char *got = harness_run_at(h, p, index, input);
    cr_expect_str_eq(got, line, "wanted %s\ngot    %s", line, got);
    free(got);
}

static void expect(const char *yaml, const char *input, const char *line) {
    harness_t h = {.options.retry_on_empty = true};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, input, line);
    pipeline_destroy(&p);
}

static void expect_error(harness_t *h, const char *yaml, const char *input, const char *part) {
    pipeline_t *p = harness_load(yaml);
    char *got = harness_run(h, p, input);
    cr_expect(h->failed, "did not fail: %s", got);
    cr_expect(strstr(got, part), "no '%s' in %s", part, got);
    free(got);
    pipeline_destroy(&p);
}

Test(row, one_ai_block) {
    expect("mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
           "  - {type: ai, exec: 1, model: m, prompts: [\"hello {q}\"], outputs: [{name: A, select: full}]}\n"
           "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n",
           "{\"q\": \"you\"}", "{\"_row_index\": 0, \"a\": \"echo[m]: hello you\"}");
}

/* ---- input */

static const char X[] =
    "mabel: {version: \"2.0\"}\nblocks:\n  - {type: end, exec: 1, final: [{name: t, value: \"{x}\"}]}\n";

Test(row, bad_input_fails_the_row_with_its_line) {
    harness_t h = {0};
    pipeline_t *p = harness_load(X);
    const char *bad[] = {"{\"x\": ", "[1]", "3", "", "\"x\"", "{\"x\": 1} x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *line = harness_run_at(&h, p, 11, bad[i]);
        cr_expect(h.failed);
        cr_expect(strstr(line, "{\"_row_index\": 11, \"_error\": \"input line 12: ") == line, "%s", line);
        cr_expect_str_eq(h.reason, "input");
        free(line);
    }
    expect_row(&h, p, 3, "{\"x\": \"four é\"}", "{\"_row_index\": 3, \"t\": \"four é\"}");
    pipeline_destroy(&p);
}

Test(row, mapping_renames_columns) {
    struct {
        char *from, *to;
    } pairs[] = {{"q", "question"}, {"l", "label"}};
    harness_t h = {.options = {.mapping = (void *)pairs, .mapping_count = 2}};
    pipeline_t *p = harness_load("mabel: {version: \"2.0\"}\nblocks:\n  - {type: end, exec: 1, final: "
                                 "[{name: t, value: \"{question}/{label}/{q}\"}]}\n");
    expect_row(&h, p, 0, "{\"q\": \"one\", \"l\": \"x\"}", "{\"_row_index\": 0, \"t\": \"one/x/\"}");
    expect_row(&h, p, 1, "{\"q\": \"two\", \"l\": \"y\", \"question\": \"old\"}",
               "{\"_row_index\": 1, \"t\": \"two/y/\"}");
    pipeline_destroy(&p);
}

/* ---- flow */

Test(row, run_if_in_all_its_forms) {
    const char *yaml =
        "mabel: {version: \"2.0\"}\nglobals: {const: {MODE: fast}, vars: {level: 2}}\nblocks:\n"
        "  - {type: logic, exec: 1, op: set, var: x, value: mex, run_if: {gt: [{var: score}, 10]}, outputs: "
        "[{name: a, from: value}]}\n"
        "  - {type: logic, exec: 2, op: set, var: x, value: v1, run_if: {equals: [\"{flag}\", \"on\"]}, "
        "outputs: [{name: b, from: value}]}\n"
        "  - {type: logic, exec: 3, op: set, var: x, value: v1text, run_if: \"{\\\"equals\\\": "
        "[\\\"{flag}\\\", \\\"on\\\"]}\", outputs: [{name: c, from: value}]}\n"
        "  - {type: logic, exec: 4, op: set, var: x, value: never, run_if: {eq: [{var: MODE}, \"slow\"]}, "
        "outputs: [{name: e, from: value}]}\n"
        "  - {type: logic, exec: 5, op: set, var: level, value: 9, run_if: {not: {equals: [\"{flag}\", "
        "\"on\"]}}}\n"
        "  - {type: logic, exec: 7, op: set, var: x, value: later, run_if: {eq: [\"{level}\", 9]}, outputs: "
        "[{name: f, from: value}]}\n"
        "  - {type: end, exec: 8, final: [{name: t, value: \"{a},{b},{c},{e},{f}\"}]}\n";
    harness_t h = {0};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{\"score\": 11, \"flag\": \"on\"}",
               "{\"_row_index\": 0, \"t\": \"mex,v1,v1text,,\"}");
    expect_row(&h, p, 1, "{\"score\": 10, \"flag\": \"off\"}", "{\"_row_index\": 1, \"t\": \",,,,later\"}");
    expect_row(&h, p, 2, "{\"score\": \"12\", \"flag\": \"on\"}",
               "{\"_row_index\": 2, \"t\": \"mex,v1,v1text,,\"}");
    pipeline_destroy(&p);
}

Test(row, blocks_run_in_exec_order_and_vars_are_fresh) {
    const char *yaml = "mabel: {version: \"2.0\"}\nglobals: {vars: {log: \"\"}}\nblocks:\n"
                       "  - {type: end, exec: 99, final: [{name: t, value: \"{log}\"}]}\n"
                       "  - {type: logic, exec: 5, op: set, var: log, value: \"{log}b\"}\n  - {type: logic, "
                       "exec: -1, op: set, var: log, value: \"{log}a\"}\n"
                       "  - {type: logic, exec: 5, op: set, var: log, value: \"{log}c\"}\n";
    harness_t h = {0};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{}", "{\"_row_index\": 0, \"t\": \"abc\"}");
    expect_row(&h, p, 1, "{}", "{\"_row_index\": 1, \"t\": \"abc\"}");
    pipeline_destroy(&p);
}

Test(row, without_an_end_block_the_outputs_come_out) {
    expect("mabel: {version: \"2.0\"}\nblocks:\n"
           "  - {type: logic, exec: 2, op: set, var: v, value: {add: [{var: One}, 1]}, outputs: [{name: Two, "
           "from: value}]}\n"
           "  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: One, from: value}]}\n"
           "  - {type: end, exec: 3, run_if: {eq: [1, 2]}}\n",
           "{\"column\": \"stays out\"}", "{\"_row_index\": 0, \"One\": 1, \"Two\": 2}");
}

Test(row, connections_rename_for_one_block) {
    expect(
        "mabel: {version: \"2.0\"}\nblocks:\n"
        "  - {type: logic, exec: 1, id: maker, op: set, var: v, value: {upper: \"{word}\"}, outputs: [{name: "
        "Loud, from: value}]}\n"
        "  - {type: logic, exec: 2, op: set, var: v, value: overwritten, outputs: [{name: Loud, from: "
        "value}]}\n"
        "  - {type: logic, exec: 3, id: user, op: set, var: w, value: \"<{Plan}>\", outputs: [{name: W}]}\n"
        "  - {type: end, exec: 4, final: [{name: w, value: \"{W} {Loud} {Plan}\"}]}\n"
        "connections: [{from: maker, output: Loud, to: user, input: Plan}]\n",
        "{\"word\": \"abc\", \"Plan\": \"row plan\"}",
        "{\"_row_index\": 0, \"w\": \"<ABC> overwritten row plan\"}");
}

Test(row, run_if_sees_wired_names_and_a_skipped_source_wires_nothing) {
    static const char yaml[] =
        "mabel: {version: \"2.0\"}\nblocks:\n"
        "  - {type: logic, exec: 1, id: maker, op: set, var: v, value: go, outputs: [{name: Flag}], run_if: "
        "{eq: [\"{make}\", true]}}\n"
        "  - {type: logic, exec: 2, id: user, op: set, var: w, value: \"<{Plan}>\", outputs: [{name: W}], "
        "run_if: "
        "{eq: [\"{Plan}\", go]}}\n"
        "  - {type: end, exec: 3, final: [{name: w, value: \"{W}\"}]}\n"
        "connections: [{from: maker, output: Flag, to: user, input: Plan}]\n";
    expect(yaml, "{\"make\": true, \"Plan\": \"stop\"}", "{\"_row_index\": 0, \"w\": \"<go>\"}");
    expect(yaml, "{\"make\": false, \"Plan\": \"go\"}", "{\"_row_index\": 0, \"w\": \"<go>\"}");
    expect(yaml, "{\"make\": false, \"Plan\": \"stop\"}", "{\"_row_index\": 0, \"w\": \"\"}");
}

Test(row, included_variables_stay_beside_a_final_list) {
    expect(
        "mabel: {version: \"2.0\"}\nglobals: {vars: {seen: 12345678901234567890, list: [1]}}\nblocks:\n"
        "  - {type: end, exec: 1, final_mode: list, include_vars: [seen, list], final: [{name: a, value: "
        "\"{x}\"}]}\n",
        "{\"x\": 18446744073709551616}",
        "{\"_row_index\": 0, \"final\": [{\"name\": \"a\", \"value\": \"18446744073709551616\"}], \"seen\": "
        "12345678901234567890, \"list\": [1]}");
}

Test(row, large_integers_pass_through_finals) {
    expect(
        "mabel: {version: \"2.0\"}\nglobals: {const: {big: -9223372036854775809}}\nblocks:\n"
        "  - {type: end, exec: 1, final: [{name: a, value: 12345678901234567890}, {name: b, value: "
        "[12345678901234567890, \"{id}\"]}, {name: c, value: \"{id}\", type_hint: number}, {name: d, value: "
        "\"{big} {o}\"}, {name: e, value: \"{text}\", type_hint: number}]}\n",
        "{\"id\": 18446744073709551616, \"o\": {\"n\": [12345678901234567890]}, \"text\": "
        "\"12345678901234567891\"}",
        "{\"_row_index\": 0, \"a\": 12345678901234567890, \"b\": [12345678901234567890, "
        "\"18446744073709551616\"], \"c\": 18446744073709551616, \"d\": \"-9223372036854775809 {'n': "
        "[12345678901234567890]}\", \"e\": 12345678901234567891}");
}

/* A note of the row that ran last. */
static uint32_t noted(const harness_t *h, row_note_kind_t kind, const char *name) {
    const row_notes_t *notes = &h->usage.notes;
    for (uint32_t i = 0; i < notes->count; i++)
        if (notes->item[i].kind == kind && strcmp(notes->item[i].name, name) == 0)
            return notes->item[i].count;
    return 0;
}

Test(row, what_counted_as_0_and_what_json_has_not_is_noted_by_block) {
    harness_t h = {0};
    pipeline_t *p = harness_load("mabel: {version: \"2.0\"}\nblocks:\n"
                                 "  - {type: logic, exec: 1, id: sum, op: set, var: v, value: {add: "
                                 "[\"{a}\", \"{b}\", \"{c}\"]}, outputs: "
                                 "[{name: A}]}\n"
                                 "  - {type: logic, exec: 2, name: gate, op: set, var: v, value: 1, outputs: "
                                 "[{name: B}], run_if: {lt: [{mul: "
                                 "[\"{c}\", 2]}, 1]}}\n"
                                 "  - {type: logic, exec: 3, id: parse, op: set, var: v, value: {parse_json: "
                                 "\"[NaN, 1e999]\"}, outputs: "
                                 "[{name: C}]}\n"
                                 "  - {type: end, exec: 4, final: [{name: r, value: \"{A} {B} {C}\"}]}\n");
    expect_row(&h, p, 0, "{\"a\": NaN, \"b\": 2, \"c\": \"x\\ud800\"}",
               "{\"_row_index\": 0, \"r\": \"2 1 [None, None]\"}");
    cr_expect_eq(noted(&h, ROW_NOTE_ZERO, "sum"), 2);
    cr_expect_eq(noted(&h, ROW_NOTE_ZERO, "gate"), 1);
    cr_expect_eq(noted(&h, ROW_NOTE_NULLED, "input"), 1);
    cr_expect_eq(noted(&h, ROW_NOTE_REPLACED, "input"), 1);
    cr_expect_eq(noted(&h, ROW_NOTE_NULLED, "parse"), 2);
    expect_row(&h, p, 1, "{\"a\": 1, \"b\": 2, \"c\": 3}", "{\"_row_index\": 1, \"r\": \"6  [None, None]\"}");
    cr_expect_eq(noted(&h, ROW_NOTE_ZERO, "sum"), 0);
    pipeline_destroy(&p);
}

Test(row, intermediates_are_saved_also_when_the_row_fails) {
    const char *yaml = "mabel: {version: \"2.0\"}\nblocks:\n"
                       "  - {type: logic, exec: 10, op: set, var: a, value: {concat: [\"{x}\", \"!\"]}, "
                       "outputs: [{name: Bang, from: value}]}\n"
                       "  - {type: logic, exec: 20, op: for, list: [1, 2], map: \"{item}{Bang}\", outputs: "
                       "[{name: L, from: list}, {name: N, from: count}]}\n"
                       "  - {type: logic, exec: 30, id: stop, op: set, var: z, value: {div: [1, 0]}, run_if: "
                       "{eq: [\"{x}\", \"b\"]}}\n"
                       "  - {type: end, exec: 40, final: [{name: t, value: \"{Bang}\"}]}\n";
    harness_t h = {.options.save_intermediate = true};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{\"x\": \"a\"}",
               "{\"_row_index\": 0, \"t\": \"a!\", \"_10_Bang\": \"a!\", \"_20_L\": [\"1a!\", \"2a!\"], "
               "\"_20_N\": 2}");
    char *line = harness_run_at(&h, p, 1, "{\"x\": \"b\"}");
    const char *start = "{\"_row_index\": 1, \"_10_Bang\": \"b!\", \"_20_L\": [\"1b!\", \"2b!\"], \"_20_N\": "
                        "2, \"_error\": \"stop: ";
    cr_expect(strncmp(line, start, strlen(start)) == 0, "%s", line);
    free(line);
    pipeline_destroy(&p);
}

/* ---- errors */

Test(row, on_error_continue_goes_on) {
    harness_t h = {0};
    pipeline_t *p = harness_load(
        "mabel: {version: \"2.0\"}\nblocks:\n"
        "  - {type: logic, exec: 3, op: set, var: a, value: {div: [6, \"{x}\"]}, outputs: [{name: R}], "
        "on_error: continue}\n"
        "  - {type: logic, exec: 4, op: if, cond: {is_empty: \"{error_block_3}\"}, then: fine, else: broken, "
        "outputs: [{name: S, from: value}]}\n"
        "  - {type: end, exec: 5, final: [{name: s, value: \"{S}\"}, {name: r, value: \"{R}\"}]}\n");
    expect_row(&h, p, 0, "{\"x\": 2}", "{\"_row_index\": 0, \"s\": \"fine\", \"r\": \"3.0\"}");
    expect_row(&h, p, 1, "{\"x\": 0}", "{\"_row_index\": 1, \"s\": \"broken\", \"r\": \"\"}");
    cr_expect_not(h.failed);
    pipeline_destroy(&p);
}

static void llm_unlucky(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    int *left = arg;
    (void)request;
    if ((*left)-- <= 0) {
        harness_echo(body, answer);
        return;
    }
    answer->cause = LLM_CAUSE_REFUSED;
    answer->http_status = 400;
    err_set(&answer->error, SDG_EIO, "HTTP 400: not yet");
}

/* A refusal with a reason that the sentence of the error cuts. */
static void llm_wordy(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    (void)body, (void)request;
    answer->cause = LLM_CAUSE_REFUSED;
    err_set(&answer->error, SDG_EIO, "%s", (const char *)arg);
    answer->text = value_text(arg);
}

/* Fails a row with this reason; its _error, which the caller frees. */
static char *error_of(const char *reason, const char *on_error) {
    harness_t h = {.llm = llm_wordy, .arg = (void *)reason};
    char *yaml =
        xasprintf("mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
                  "  - {type: ai, exec: 1, id: asker, model: m, prompts: [x]%s, outputs: [{name: A}]}\n"
                  "  - {type: end, exec: 2, final: [{name: e, value: \"{error_block_1}\"}]}\n",
                  on_error);
    pipeline_t *p = harness_load(yaml);
    char *line = harness_run(&h, p, "{}");
    value_t row;
    cr_assert_eq(json_parse_text(line, strlen(line), &row, NULL), 0);
    value_t error = object_get_peek(row, h.failed ? "_error" : "e", h.failed ? 6 : 1, NULL);
    char *text = xstrdup(error.string->data);
    cr_assert(utf8_valid(text, strlen(text)));
    value_free(row);
    free(line);
    free(yaml);
    pipeline_destroy(&p);
    return text;
}

Test(row, a_failed_row_keeps_its_reason_in_full) {
    char reason[6000], *got, *want;
    for (size_t i = 0; i < 1000; i++)
        memcpy(reason + 3 * i, "\xe6\x97\xa5", 3);
    reason[3000] = '\0';
    got = error_of(reason, "");
    want = xasprintf("asker: %s", reason);
    cr_expect_str_eq(got, want);
    free(want);
    free(got);
    got = error_of(reason, ", on_error: continue");
    cr_expect_str_eq(got, reason);
    free(got);
    for (size_t i = 1000; i < 1999; i++)
        memcpy(reason + 3 * i, "\xe6\x97\xa5", 3);
    reason[3 * 1999] = '\0';
    got = error_of(reason, "");
    cr_expect(strlen(got) <= 4096 && strlen(got) > 4096 - 3, "%zu bytes", strlen(got));
    cr_expect_str_eq(got + strlen(got) - 3, "...");
    free(got);
}

/* The first answers come from the call journal and are no numbers; then 7. */
static void llm_replays(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    int *left = arg;
    (void)body, (void)request;
    answer->replayed = (*left)-- > 0;
    answer->text = value_text(answer->replayed ? "seven" : "7");
}

static void expect_replayed(int replays, const char *more, const char *want, uint64_t calls) {
    int left = replays;
    harness_t h = {.llm = llm_replays, .arg = &left};
    char *yaml =
        xasprintf("mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
                  "  - {type: ai, exec: 1, id: asker, model: m, prompts: [x], budget: {ai: {max_calls: 1}}, "
                  "outputs: [{name: A, type_hint: number}]%s}\n"
                  "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n",
                  more);
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{}", want);
    cr_expect_eq(h.llm_calls, calls);
    pipeline_destroy(&p);
    free(yaml);
}

Test(row, a_row_does_not_fail_for_an_answer_that_was_replayed) {
    static const char seven[] = "{\"_row_index\": 0, \"a\": \"7\"}";
    expect_replayed(0, "", seven, 1);
    expect_replayed(1, "", seven, 2);
    expect_replayed(3, "", seven, 4);
    expect_replayed(1, ", on_error: continue", "{\"_row_index\": 0, \"a\": \"\"}", 1);
}

static const char RETRY[] =
    "mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
    "  - {type: ai, exec: 1, id: asker, model: m, prompts: [\"{q}\"], on_error: retry, retry: {max_attempts: "
    "3, backoff: {type: fixed, base_ms: 5}}, outputs: [{name: A, select: full}]}\n"
    "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n";

Test(row, on_error_retry_tries_again_after_a_wait) {
    int left = 2;
    harness_t h = {.llm = llm_unlucky, .arg = &left, .options.retry_on_empty = true};
    pipeline_t *p = harness_load(RETRY);
    expect_row(&h, p, 0, "{\"q\": \"x\"}", "{\"_row_index\": 0, \"a\": \"echo[m]: x\"}");
    cr_expect_eq(h.llm_calls, 3);
    cr_expect_eq(h.waits, 2);
    cr_expect_eq(h.now_ns, 10 * MILLISECOND);
    left = 9;
    expect_row(&h, p, 1, "{\"q\": \"x\"}", "{\"_row_index\": 1, \"_error\": \"asker: HTTP 400: not yet\"}");
    cr_expect_eq(h.llm_calls, 6);
    cr_expect_str_eq(h.reason, "asker: HTTP 400");
    pipeline_destroy(&p);
}

Test(row, wall_time_ends_a_spinning_row) {
    harness_t h = {0};
    expect_error(&h,
                 "mabel: {version: \"2.0\"}\nbudgets: {wall_time_ms: 40}\nblocks:\n"
                 "  - {type: logic, exec: 1, id: spin, op: while, cond: true, step: [{op: set, var: s, "
                 "value: 1}], budget: {loops: {max_iters: 2000000000}}}\n",
                 "{}", "spin: the row took longer than 40 ms");
    cr_expect_eq(h.yields, 40);
}

Test(row, wall_time_bounds_the_wait_for_an_answer) {
    pipeline_t *p = harness_load("mabel: {version: \"2.0\"}\nbudgets: {wall_time_ms: 40}\n" MODEL
                                 "blocks:\n  - {type: ai, exec: 1, id: slow, model: m, prompts: [\"x\"]}\n");
    row_options_t options = {.retry_on_empty = true};
    row_input_t input = {.json = "{}", .len = 2};
    row_t *row = row_new(p, &options, &input, 0);
    cr_assert_eq(row_run(row, 10 * MILLISECOND), ROW_WANT_LLM);
    cr_expect_eq(row_llm_request(row)->timeout_ms, 31);
    cr_expect_eq(row_wake_ns(row), 40 * MILLISECOND);
    cr_expect_eq(row_run(row, 20 * MILLISECOND), ROW_WANT_TIME, "a call without news is harmless");
    cr_expect_eq(row_run(row, 40 * MILLISECOND), ROW_FINISHED);
    row_result_t result;
    row_result(row, &result);
    cr_expect(result.failed);
    cr_expect_str_eq(result.reason, "slow: wall time");
    row_destroy(&row);
    pipeline_destroy(&p);
}

Test(row, cancelled_rows_end) {
    pipeline_t *p = harness_load("mabel: {version: \"2.0\"}\n" MODEL
                                 "blocks:\n  - {type: ai, exec: 1, id: b, model: m, prompts: [\"x\"]}\n");
    row_options_t options = {0};
    row_input_t input = {.json = "{}", .len = 2};
    row_t *row = row_new(p, &options, &input, 0);
    cr_assert_eq(row_run(row, 0), ROW_WANT_LLM);
    row_cancel(row, "the job was cancelled");
    cr_expect_eq(row_run(row, 1), ROW_FINISHED);
    row_result_t result;
    row_result(row, &result);
    cr_expect_str_eq(result.json, "{\"_row_index\": 0, \"_error\": \"b: the job was cancelled\"}");
    row_destroy(&row);
    pipeline_destroy(&p);
}

/* ---- ai */

typedef struct seen {
    char *body;
    llm_request_t request;
    retry_policy_t retry;
    char headers[256];
    const char *reply;
} seen_t;

static void llm_record(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    seen_t *seen = arg;
    free(seen->body);
    seen->body = xstrndup(request->body, request->body_len);
    seen->request = *request;
    if (request->retry) seen->retry = *request->retry;
    seen->headers[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++)
        snprintf(seen->headers + strlen(seen->headers), sizeof seen->headers - strlen(seen->headers), "%s\n",
                 request->headers[i]);
    if (seen->reply)
        answer->text = value_text(seen->reply);
    else
        harness_echo(body, answer);
}

Test(row, request_shape) {
    seen_t seen = {0};
    harness_t h = {.llm = llm_record, .arg = &seen, .options.retry_on_empty = true};
    pipeline_t *p = harness_load(
        "mabel: {version: \"2.1\"}\nmodels:\n"
        "  - {name: main, api_model: vendor/model-7b, api_key: k, base_url: \"http://127.0.0.1:1\", "
        "request_defaults: {temperature: 0.7, top_p: 0.9, timeout_sec: 20, top_k: 5}}\n"
        "blocks:\n"
        "  - type: ai\n    exec: 1\n    model: main\n    system_prompt: \"Be {tone}.\"\n    prompts: "
        "[\"First {q}\", \"Second {q}\"]\n"
        "    params: {temperature: 0.1, stop: [\"END\"], extra_headers: {X-Job: \"77\"}}\n    outputs: "
        "[{name: A, select: full}]\n"
        "  - {type: end, exec: 2, final: [{name: a, value: \"{A}\"}]}\n");
    expect_row(&h, p, 0, "{\"q\": \"héllo\", \"tone\": \"brief\"}",
               "{\"_row_index\": 0, \"a\": \"echo[vendor/model-7b]: First héllo\\n\\nSecond héllo\"}");
    cr_expect_str_eq(
        seen.body,
        "{\"model\":\"vendor/model-7b\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
        "{\"role\":\"user\",\"content\":\"First héllo\\n\\nSecond héllo\"}],"
        "\"temperature\":0.1,\"top_p\":0.9,\"top_k\":5,\"stop\":[\"END\"]}");
    cr_expect_str_eq(seen.headers, "X-Job: 77\n");
    cr_expect_null(seen.request.retry);
    h.options.retry_on_empty = false;
    expect_row(&h, p, 1, "{\"q\": \"a\", \"tone\": \"b\"}",
               "{\"_row_index\": 1, \"a\": \"echo[vendor/model-7b]: First a\\n\\nSecond a\"}");
    cr_assert_not_null(seen.request.retry);
    cr_expect_not(seen.retry.on_empty);
    cr_expect_eq(h.usage.calls, 1);
    cr_expect_eq(h.usage.prompt_tokens, 10);
    cr_expect_eq(h.usage.latency_count, 1);
    free(seen.body);
    pipeline_destroy(&p);
}

Test(row, outputs_and_type_hints) {
    seen_t seen = {.reply = "i=41 r=2.5 b=true j={\"k\":[1,null]};"};
    harness_t h = {.llm = llm_record, .arg = &seen, .options.retry_on_empty = true};
    pipeline_t *p = harness_load(
        "mabel: {version: \"2.0\"}\nglobals: {vars: {vi: none, vj: none}}\n" MODEL "blocks:\n"
        "  - type: ai\n    exec: 1\n    id: ask\n    model: m\n    prompts: [\"{q}\"]\n    outputs:\n"
        "      - {name: I, select: regex, regex: 'i=(\\S+)', type_hint: number}\n      - {name: R, select: "
        "regex, regex: 'r=(\\S+)', type_hint: number}\n"
        "      - {name: J, select: regex, regex: 'j=(\\{.*?\\});', type_hint: json}\n      - {name: T, "
        "select: regex, regex: 'i=(\\S+)'}\n"
        "    save_to: {vars: {vi: I, vj: J}}\n"
        "  - {type: end, exec: 3, final: [{name: t, value: \"{vi} {I} {R} {J.k[0]}\"}], include_vars: [vi, "
        "vj, T]}\n");
    expect_row(
        &h, p, 0, "{\"q\": 1}",
        "{\"_row_index\": 0, \"t\": \"41 41 2.5 1\", \"vi\": 41, \"vj\": {\"k\": [1, null]}, \"T\": \"41\"}");
    seen.reply = "i=many r=2 j={};";
    char *line = harness_run(&h, p, "{\"q\": 1}");
    cr_expect(h.failed);
    cr_expect(strstr(line, "\"ask: output I: "), "%s", line);
    cr_expect_str_eq(h.reason, "ask: output");
    free(line);
    free(seen.body);
    pipeline_destroy(&p);
}

Test(row, ai_budgets_count_per_row) {
    const char *yaml =
        "mabel: {version: \"2.0\"}\nbudgets: {ai: {max_calls: 2}}\n" MODEL "blocks:\n"
        "  - {type: ai, exec: 1, model: m, prompts: [\"one {q}\"], outputs: [{name: A, select: full}]}\n"
        "  - {type: ai, exec: 2, model: m, prompts: [\"two {q}\"], outputs: [{name: B, select: full}]}\n"
        "  - {type: ai, exec: 3, id: third, model: m, prompts: [\"three {q}\"], run_if: {equals: "
        "[\"{more}\", \"yes\"]}}\n"
        "  - {type: end, exec: 4, final: [{name: t, value: \"{A}; {B}\"}]}\n";
    harness_t h = {.options.retry_on_empty = true};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{\"q\": \"x\", \"more\": \"no\"}",
               "{\"_row_index\": 0, \"t\": \"echo[m]: one x; echo[m]: two x\"}");
    char *line = harness_run(&h, p, "{\"q\": \"y\", \"more\": \"yes\"}");
    cr_expect(h.failed);
    cr_expect_str_eq(h.reason, "third: budget");
    free(line);
    cr_expect_eq(h.llm_calls, 4);
    pipeline_destroy(&p);
}

Test(row, token_budget) {
    harness_t h = {.options.retry_on_empty = true};
    expect_error(&h,
                 "mabel: {version: \"2.0\"}\nbudgets: {ai: {max_tokens: 20}}\n" MODEL "blocks:\n"
                 "  - {type: ai, exec: 1, model: m, prompts: [\"a\"]}\n  - {type: ai, exec: 2, id: second, "
                 "model: m, prompts: [\"b\"]}\n",
                 "{}", "second: the row has used more than 20 tokens");
}

Test(row, attachments_become_parts) {
    seen_t seen = {0};
    harness_t h = {.llm = llm_record, .arg = &seen, .options.retry_on_empty = true};
    pipeline_t *p =
        harness_load("mabel: {version: \"2.0\"}\n" MODEL
                     "blocks:\n  - type: ai\n    exec: 1\n    model: m\n    prompts: [\"About {q}\"]\n"
                     "    attachments: [{name: guide.txt, mime: text/plain, content: \"alpha {q}\"}, {name: "
                     "dot, mime: image/png, content: iVBORw0KGgo=}]\n");
    char *line = harness_run(&h, p, "{\"q\": \"cats\"}");
    cr_expect(strstr(seen.body, "\"content\":[{\"type\":\"text\",\"text\":\"About "
                                "cats\"},{\"type\":\"text\",\"text\":\"guide.txt\\nalpha cats\"},"
                                "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                                "png;base64,iVBORw0KGgo=\",\"detail\":\"auto\"}}]"),
              "%s", seen.body);
    free(line);
    free(seen.body);
    pipeline_destroy(&p);
}

static const char IMAGES[] =
    "mabel: {version: \"2.1\"}\nimages:\n  - {name: web, url: \"https://img.example/x.jpg\"}\n  - {name: "
    "raw, base64: \"QUJD\", media_type: image/webp}\n"
    "  - {name: product, url: \"https://img.example/section.png\"}\n" MODEL
    "blocks:\n  - type: ai\n    exec: 1\n    id: look\n    model: m\n"
    "    prompts: [\"Look: {product.img:detail=high}\", \"and {web.img}{raw.img} about {q}\"]\n";

Test(row, images_in_the_order_written_and_the_row_wins) {
    seen_t seen = {0};
    harness_t h = {.llm = llm_record, .arg = &seen, .options.retry_on_empty = true};
    pipeline_t *p = harness_load(IMAGES);
    free(harness_run(&h, p,
                     "{\"q\": \"it\", \"product\": {\"_type\": \"image\", \"base64\": \"REVG\", "
                     "\"media_type\": \"image/gif\"}}"));
    cr_expect(strstr(seen.body, "\"content\":[{\"type\":\"text\",\"text\":\"Look: \"},"
                                "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                                "gif;base64,REVG\",\"detail\":\"high\"}},"
                                "{\"type\":\"text\",\"text\":\"\\n\\nand \"},"
                                "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://img.example/"
                                "x.jpg\",\"detail\":\"auto\"}},"
                                "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/"
                                "webp;base64,QUJD\",\"detail\":\"auto\"}},"
                                "{\"type\":\"text\",\"text\":\" about it\"}]"),
              "%s", seen.body);
    free(harness_run(&h, p, "{\"q\": \"it\"}"));
    cr_expect(strstr(seen.body, "https://img.example/section.png"), "%s", seen.body);
    free(seen.body);
    pipeline_destroy(&p);
}

static const char JPEG[] = "\xff\xd8\xff\xe0JFIF";

/* A folder with pictures below it and one beside it; `files` allows the first. */
typedef struct pictures {
    char folder[40], inside[64], outside[64];
    const char *allowed[1];
} pictures_t;

static void put(const char *folder, const char *name, const void *bytes, size_t len) {
    char *path = xasprintf("%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
    free(path);
}

static void pictures_make(pictures_t *p) {
    strcpy(p->folder, "/tmp/sdg_row_XXXXXX");
    cr_assert(mkdtemp(p->folder));
    snprintf(p->inside, sizeof p->inside, "%s/in", p->folder);
    snprintf(p->outside, sizeof p->outside, "%s/out", p->folder);
    cr_assert(mkdir(p->inside, 0700) == 0 && mkdir(p->outside, 0700) == 0);
    put(p->inside, "a.JPG", JPEG, 8);
    put(p->inside, "a.txt", "root:x:0:0", 10);
    put(p->outside, "b.jpg", JPEG, 8);
    char *link = xasprintf("%s/link.jpg", p->inside), *pipe = xasprintf("%s/pipe.jpg", p->inside);
    cr_assert(symlink("../out/b.jpg", link) == 0 && mkfifo(pipe, 0600) == 0);
    free(link);
    free(pipe);
    p->allowed[0] = p->inside;
}

static void pictures_remove(pictures_t *p) {
    char *command = xasprintf("rm -rf '%s'", p->folder);
    cr_assert_eq(system(command), 0);
    free(command);
}

/* The row's picture is this file. `want` is in the body of the request, or, when the row fails, in its line.
 */
static void expect_picture(row_files_t files, const char *folder, const char *name, const char *more,
                           bool fails, const char *want) {
    seen_t seen = {0};
    harness_t h = {.llm = llm_record, .arg = &seen, .options = {.retry_on_empty = true, .files = files}};
    pipeline_t *p = harness_load(IMAGES);
    char *input = xasprintf("{\"product\": {\"_type\": \"image\", \"path\": \"%s%s%s\"%s}}", folder,
                            folder[0] ? "/" : "", name, more);
    char *line = harness_run(&h, p, input);
    cr_expect_eq(h.failed, fails, "%s: %s", name, line);
    const char *text = fails ? line : seen.body;
    cr_expect(text && strstr(text, want), "%s: %s", name, text);
    if (fails) cr_expect_str_eq(h.reason, "look: image");
    free(line);
    free(input);
    free(seen.body);
    pipeline_destroy(&p);
}

Test(row, image_files_become_data_and_missing_ones_fail) {
    pictures_t t;
    pictures_make(&t);
    row_files_t files = {t.allowed, 1, true};
    expect_picture(files, t.inside, "a.JPG", "", false, "data:image/jpeg;base64,/9j/4EpGSUY=");
    expect_picture(files, "", "a.JPG", "", false, "data:image/jpeg;base64,/9j/4EpGSUY=");
    expect_picture(files, "", "../in/a.JPG", "", false, "data:image/jpeg;base64,/9j/4EpGSUY=");
    expect_picture(files, "", "a.JPG", ", \"media_type\": \"image/jpg\"", false, "data:image/jpeg;base64,");
    expect_picture(files, t.inside, "none.jpg", "", true, "none.jpg does not exist");
    pictures_remove(&t);
}

Test(row, a_row_may_name_pictures_below_the_allowed_folders_only) {
    pictures_t t;
    pictures_make(&t);
    row_files_t files = {t.allowed, 1, true}, fleet = {t.allowed, 1, false}, none = {0};
    expect_picture(files, t.outside, "b.jpg", "", true, "outside of the folders");
    expect_picture(files, "", "../out/b.jpg", "", true, "outside of the folders");
    expect_picture(files, "", "link.jpg", "", true, "--allow-files DIR");
    expect_picture(files, "/etc", "passwd", "", true, "outside of the folders");
    expect_picture(files, "", "pipe.jpg", "", true, "is not a file");
    expect_picture(files, "", "a.txt", "", true, "holds no picture");
    expect_picture(files, "", "a.txt", ", \"media_type\": \"image/png\"", true, "holds no picture");
    expect_picture(files, "", "a.JPG", ", \"media_type\": \"image/png\"", true, "is image/jpeg, but");
    expect_picture(fleet, "", "a.JPG", "", false, "data:image/jpeg;base64,");
    expect_picture(none, t.inside, "a.JPG", "", true, "started without --allow-files DIR");
    expect_picture(none, "/etc", "no-such-file", "", true, "started without --allow-files DIR");
    pictures_remove(&t);
}

/* In a fleet the pipeline comes from elsewhere, so that its own images are asked about like those of rows. */
Test(row, images_of_a_pipeline_are_trusted_where_it_is_the_users_own) {
    pictures_t t;
    pictures_make(&t);
    char *yaml = xasprintf("mabel: {version: \"2.1\"}\nimages: [{name: pic, path: \"%s/b.jpg\"}]\n" MODEL
                           "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{pic.img}\"]}\n",
                           t.outside);
    pipeline_t *p = harness_load(yaml);
    seen_t seen = {0};
    harness_t own = {.llm = llm_record, .arg = &seen, .options = {.files = {t.allowed, 1, true}}};
    harness_t fleet = {.options = {.files = {t.allowed, 1, false}}};
    free(harness_run(&own, p, "{}"));
    cr_expect(!own.failed && strstr(seen.body, "data:image/jpeg;base64,"));
    char *line = harness_run(&fleet, p, "{}");
    cr_expect(fleet.failed && strstr(line, "--allow-files of this worker"), "%s", line);
    free(line);
    free(seen.body);
    free(yaml);
    pipeline_destroy(&p);
    pictures_remove(&t);
}

/* ---- end */

Test(row, finals_and_their_types) {
    expect("mabel: {version: \"2.0\"}\nglobals: {const: {C: [1, {k: null}]}, vars: {v: 2.0}}\nblocks:\n  - "
           "type: end\n    exec: 1\n    final:\n"
           "      - {name: text, value: \"{n}\"}\n      - {name: num, value: \"{n}\", type_hint: number}\n   "
           "   - {name: numtext, value: \"{s}\", type_hint: number}\n"
           "      - {name: flag, value: \"{b}\", type_hint: boolean}\n      - {name: obj, value: \"{o}\", "
           "type_hint: json}\n      - {name: objtext, value: \"{o}\"}\n"
           "      - {name: word, value: \"{w}\", type_hint: json}\n"
           "      - {name: lit, value: 12}\n      - {name: nul, value: null}\n      - {name: tree, value: "
           "{a: \"{n}\", b: [1, \"x{s}\"], c: 2.5}}\n"
           "      - {name: none, value: \"{missing}\"}\n    include_vars: [v, C]\n",
           "{\"n\": 5, \"s\": \"17\", \"b\": false, \"o\": {\"k\": [1, \"two\"]}, \"w\": \"no json\"}",
           "{\"_row_index\": 0, \"text\": \"5\", \"num\": 5, \"numtext\": 17, \"flag\": false, \"obj\": "
           "{\"k\": [1, \"two\"]},"
           " \"objtext\": \"{'k': [1, 'two']}\", \"word\": \"no json\", \"lit\": 12, \"nul\": null, "
           "\"tree\": {\"a\": \"5\", \"b\": [1, \"x17\"], \"c\": 2.5}, \"none\": \"\","
           " \"v\": 2.0, \"C\": [1, {\"k\": null}]}");
}

Test(row, the_first_end_that_runs_ends_the_row) {
    const char *yaml =
        "mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
        "  - {type: end, exec: 1, run_if: {equals: [\"{q}\", \"stop\"]}, reason: early, exit_code: stopped, "
        "final_mode: list, final: [{name: a, value: \"stopped {q}\"}, {name: n, value: 3}]}\n"
        "  - {type: ai, exec: 2, model: m, prompts: [\"{q}\"], outputs: [{name: A, select: full}]}\n"
        "  - {type: end, exec: 3, final: [{name: a, value: \"{A}\"}]}\n";
    harness_t h = {.options.retry_on_empty = true};
    pipeline_t *p = harness_load(yaml);
    expect_row(&h, p, 0, "{\"q\": \"stop\"}",
               "{\"_row_index\": 0, \"final\": [{\"name\": \"a\", \"value\": \"stopped stop\"}, {\"name\": "
               "\"n\", \"value\": 3}]}");
    expect_row(&h, p, 1, "{\"q\": \"go\"}", "{\"_row_index\": 1, \"a\": \"echo[m]: go\"}");
    cr_expect_eq(h.llm_calls, 1);
    pipeline_destroy(&p);
}

Test(row, a_final_that_cannot_be_converted_fails_the_row) {
    harness_t h = {0};
    expect_error(&h,
                 "mabel: {version: \"2.0\"}\nblocks:\n  - {type: end, exec: 1, id: fin, final: [{name: n, "
                 "value: \"{x}\", type_hint: number}]}\n",
                 "{\"x\": \"many\"}", "fin: final n: ");
}

/* ---- python, its events made by hand */

static const char PYTHON[] =
    "mabel: {version: \"2.0\"}\nglobals: {const: {LIMIT: 9}, vars: {count: 1}}\n"
    "models:\n  - {name: helper, api_model: help-1, api_key: k, base_url: \"http://127.0.0.1:1\", "
    "request_defaults: {temperature: 0.5}}\n"
    "blocks:\n  - type: python\n    exec: 1\n    id: py\n    entrypoint: main\n    inputs: {n: \"{n}\", xs: "
    "\"{obj.xs}\", label: \"n={n}\", gone: \"{no_such}\", lit: 3}\n"
    "    function_code: |\n      def main(ctx, n, xs, label, gone, lit):\n          return {}\n    outputs: "
    "[R]\n    timeout_ms: 100\n"
    "  - {type: end, exec: 2, final: [{name: r, value: \"{R}\"}], include_vars: [count]}\n";

static void python_done(void *arg, const py_call_t *call, const value_t *reply, const char *reply_error,
                        py_event_t *event) {
    (void)reply;
    (void)reply_error;
    buf_t text;
    buf_init(&text, 1 << 16);
    json_write(&text, call->kwargs, JSON_COMPACT);
    event->outputs = value_object(1);
    object_set_text(&event->outputs, "R", value_string(text.data, text.len));
    buf_free(&text);
    event->vars = value_object(1);
    object_set_text(&event->vars, arg ? "LIMIT" : "count", value_int(2));
    cr_expect_eq(call->timeout_ms, 100);
    cr_expect_eq(object_get_peek(call->context, "n", 1, NULL).integer, 2);
    cr_expect_eq(object_get_peek(call->consts, "LIMIT", 5, NULL).integer, 9);
}

Test(row, python_gets_inputs_and_gives_outputs_and_vars) {
    harness_t h = {.python = python_done};
    pipeline_t *p = harness_load(PYTHON);
    expect_row(&h, p, 0, "{\"n\": 2, \"obj\": {\"xs\": [1, 1.5]}}",
               "{\"_row_index\": 0, \"r\": "
               "\"{\\\"n\\\":2,\\\"xs\\\":[1,1.5],\\\"label\\\":\\\"n=2\\\",\\\"gone\\\":\\\"\\\","
               "\\\"lit\\\":3}\", \"count\": 2}");
    h.arg = &h;
    char *line = harness_run(&h, p, "{\"n\": 2, \"obj\": {\"xs\": []}}");
    cr_expect(h.failed && strstr(line, "LIMIT"), "%s", line);
    free(line);
    pipeline_destroy(&p);
}

static void python_raises(void *arg, const py_call_t *call, const value_t *reply, const char *reply_error,
                          py_event_t *event) {
    (void)arg, (void)call, (void)reply, (void)reply_error;
    event->kind = PY_FAILED;
    err_set(&event->error, SDG_EINVAL, "ValueError: cannot take bad (line 3)");
}

Test(row, python_failures_fail_the_block) {
    harness_t h = {.python = python_raises};
    expect_error(&h, PYTHON, "{}", "py: ValueError: cannot take bad (line 3)");
    cr_expect_str_eq(h.reason, "py: python");
}

static void python_asks(void *arg, const py_call_t *call, const value_t *reply, const char *reply_error,
                        py_event_t *event) {
    (void)call;
    if (!reply) {
        const char *ask = "{\"id\": 7, \"model\": \"%s\", \"system\": \"be kind\", \"prompts\": [\"about "
                          "tea\", \"twice\"], \"params\": {\"max_tokens\": 9, \"retry\": 1}}";
        char *json = xasprintf(ask, (const char *)arg);
        err_t err;
        event->kind = PY_CALL_AI;
        cr_assert_eq(json_parse_text(json, strlen(json), &event->ai, &err), 0);
        free(json);
        return;
    }
    event->outputs = value_object(1);
    object_set_text(&event->outputs, "R", reply_error ? value_text(reply_error) : value_ref(*reply));
}

Test(row, python_calls_an_llm) {
    harness_t h = {.python = python_asks, .arg = "helper", .options.retry_on_empty = true};
    pipeline_t *p = harness_load(PYTHON);
    expect_row(&h, p, 0, "{}",
               "{\"_row_index\": 0, \"r\": \"echo[help-1]: about tea\\n\\ntwice\", \"count\": 1}");
    cr_expect_eq(h.usage.calls, 1);
    h.arg = "nobody";
    expect_row(&h, p, 0, "{}",
               "{\"_row_index\": 0, \"r\": \"call_ai: no model is called nobody\", \"count\": 1}");
    pipeline_destroy(&p);
}

/* What Python asks goes by beside the row: the call may end before the answers come, which then count for
 * nobody. */
Test(row, python_may_ask_several_llms_at_a_time_and_end_before_they_answer) {
    pipeline_t *p = harness_load(PYTHON);
    row_options_t options = {0};
    row_input_t input = {.json = "{}", .len = 2};
    row_t *row = row_new(p, &options, &input, 0);
    harness_t h = {0};
    py_event_t asked = {0}, event = {0};
    llm_request_t request;
    llm_answer_t answers[2];
    row_result_t result;
    value_t text;
    err_t err;
    cr_assert_eq(row_run(row, 0), ROW_WANT_PYTHON);
    python_asks("helper", row_python_call(row), NULL, NULL, &asked);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(row_ask_begin(row, 0, &err), 0);
        cr_assert_eq(row_ask_request(row, asked.ai, &request, &err), 0);
        harness_ask(&h, &request, &answers[i]);
    }
    cr_assert_eq(row_ask_answer(row, &answers[1], &text, &err), 0);
    cr_expect_str_eq(text.string->data, "echo[help-1]: about tea\n\ntwice");
    value_free(text);
    llm_answer_clear(&answers[0]);
    py_event_free(&asked);
    event = (py_event_t){.kind = PY_FAILED};
    err_set(&event.error, SDG_EINVAL, "the host is gone");
    row_python_event(row, &event);
    cr_assert_eq(row_run(row, 0), ROW_FINISHED);
    row_result(row, &result);
    cr_expect(result.failed && strstr(result.json, "py: the host is gone"), "%s", result.json);
    cr_expect_str_eq(result.reason, "py: python");
    cr_expect_eq(result.usage->calls, 1);
    row_destroy(&row);
    pipeline_destroy(&p);
}

Test(row, python_that_begins_again_has_its_budget_again) {
    pipeline_t *p = harness_load(
        "mabel: {version: \"2.0\"}\n" MODEL
        "blocks:\n  - {type: python, exec: 1, entrypoint: main, function_code: \"def main(ctx): pass\", "
        "outputs: [R], budget: {ai: {max_calls: 2}}}\n"
        "  - {type: end, exec: 2, final: [{name: r, value: \"{R}\"}]}\n");
    row_options_t options = {0};
    row_input_t input = {.json = "{}", .len = 2};
    row_t *row = row_new(p, &options, &input, 0);
    err_t err;
    cr_assert_eq(row_run(row, 0), ROW_WANT_PYTHON);
    for (int turn = 0; turn < 2; turn++) {
        cr_expect_eq(row_ask_begin(row, 0, &err), 0);
        cr_expect_eq(row_ask_begin(row, 0, &err), 0);
        cr_expect_eq(row_ask_begin(row, 0, &err), SDG_ELIMIT);
        cr_expect_str_eq(err.text, "the row has made its 2 LLM calls (budget ai.max_calls)");
        row_python_again(row);
    }
    row_destroy(&row);
    pipeline_destroy(&p);
}

/* ---- trace */

Test(row, a_trace_tells_what_each_block_did) {
    harness_t h = {.options = {.trace = true, .retry_on_empty = true}};
    pipeline_t *p = harness_load(
        "mabel: {version: \"2.0\"}\n" MODEL "blocks:\n"
        "  - {type: ai, exec: 1, id: ask, model: m, prompts: [\"{q}\"], outputs: [{name: A, select: full}], "
        "save_to: {vars: {v: A}}}\n"
        "  - {type: end, exec: 2, id: never, run_if: {eq: [1, 2]}}\n  - {type: end, exec: 3, final: []}\n");
    expect_row(&h, p, 0, "{\"q\": \"x\"}",
               "{\"_row_index\": 0, \"_trace\": [{\"block\": \"ask\", \"type\": \"ai\", \"exec\": 1, "
               "\"prompt\": \"x\", \"answer\": \"echo[m]: x\","
               " \"outputs\": {\"A\": \"echo[m]: x\"}, \"vars\": {\"v\": \"echo[m]: x\"}, \"ms\": 0.0},"
               " {\"block\": \"never\", \"type\": \"end\", \"exec\": 2, \"skipped\": true},"
               " {\"block\": \"blocks[2]\", \"type\": \"end\", \"exec\": 3, \"outputs\": {}, \"ms\": 0.0}]}");
    pipeline_destroy(&p);
}

Test(row, the_same_seed_gives_the_same_row) {
    harness_t h = {.options = {.seeded = true, .seed = 7}};
    pipeline_t *p =
        harness_load("mabel: {version: \"2.0\"}\nblocks:\n  - {type: logic, exec: 1, op: set, var: r, value: "
                     "{randint: {min: 0, max: 1000000000}}, outputs: [{name: R}]}\n");
    char *a = harness_run_at(&h, p, 5, "{}"), *b = harness_run_at(&h, p, 5, "{}"),
         *c = harness_run_at(&h, p, 6, "{}");
    cr_expect_str_eq(a, b);
    cr_expect(strcmp(strchr(a, ','), strchr(c, ',')) != 0);
    free(a), free(b), free(c);
    pipeline_destroy(&p);
}
