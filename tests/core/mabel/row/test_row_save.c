/* test_row_save.c - rows put away and brought back: at every point where that is possible, and the result is
 * the same to the byte. */
#include <criterion/criterion.h>

#include "core/mabel/row/row_state.h"
#include "tests/core/mabel/row/row_harness.h"

#define MODEL "models:\n  - {name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\"}\n"
#define V2 "mabel: {version: \"2.0\"}\n"

/* ---- away and back */

static buf_t saved(const row_t *row) {
    buf_t bytes;
    buf_init(&bytes, (size_t)256 << 20);
    cr_assert(row_can_save(row));
    row_save(row, &bytes);
    cr_assert_not(bytes.full);
    return bytes;
}

static row_t *loaded(const pipeline_t *p, const row_options_t *options, const buf_t *bytes, uint64_t now_ns) {
    err_t err = {0};
    char *exact = xmalloc(bytes->len); /* so that ASan sees a read behind it, and a use after it is gone */
    memcpy(exact, bytes->data, bytes->len);
    row_t *row = row_load(p, options, exact, bytes->len, now_ns, &err);
    free(exact);
    cr_assert_not_null(row, "%s", err.text);
    return row;
}

/* Replaces the row by one that is loaded from its bytes. The first bytes may be one mark longer than those of
 * the loaded row, for a value that something else held, too; after that every row is saved as the same bytes.
 */
static void away_and_back(const pipeline_t *p, const row_options_t *options, row_t **row, uint64_t now_ns) {
    buf_t bytes = saved(*row);
    row_destroy(row);
    *row = loaded(p, options, &bytes, now_ns);
    buf_t reloaded = saved(*row);
    row_destroy(row);
    *row = loaded(p, options, &reloaded, now_ns);
    buf_t again = saved(*row);
    cr_expect_leq(reloaded.len, bytes.len);
    cr_expect_eq(again.len, reloaded.len);
    cr_expect_eq(memcmp(again.data, reloaded.data, reloaded.len), 0,
                 "a row is saved otherwise after it was loaded");
    buf_free(&bytes);
    buf_free(&reloaded);
    buf_free(&again);
}

/* ---- the same row in several ways */

enum { STOPS_MAX = 8 };

typedef struct way {
    const pipeline_t *p;
    bool saves, stops;
    uint32_t stop[STOPS_MAX];
    size_t stop_count, phase;
    row_options_t options[STOPS_MAX + 1]; /* of each phase */
    size_t times;                         /* put away */
} way_t;

static void pause_of_a_way(harness_t *h, row_t **row, row_want_t want) {
    way_t *way = h->pause_arg;
    if (want == ROW_STOPPED) {
        cr_assert(way->stops);
        way->phase++;
        if (!way->saves) h->options.stop_before = way->options[way->phase].stop_before;
    }
    cr_expect(row_can_save(*row) || want == ROW_WANT_LLM);
    if (!way->saves || !row_can_save(*row)) return; /* not while Python asks an LLM */
    away_and_back(way->p, &way->options[way->phase], row, h->now_ns);
    way->times++;
}

typedef struct outcome {
    char *line;
    char reason[ROW_REASON_MAX];
    row_usage_t usage;
    bool failed;
    uint64_t llm_calls, now_ns;
} outcome_t;

typedef struct sample {
    row_options_t options;
    harness_llm_fn *llm;
    harness_python_fn *python;
    const char *inputs[4];
    size_t times_min; /* at least so often must one of its rows have been put away */
} sample_t;

static void prepare_way(way_t *way, const pipeline_t *p, const sample_t *s) {
    way->p = p;
    way->stop_count = way->stops ? pipeline_stops(p, way->stop, STOPS_MAX) : 0;
    cr_assert_leq(way->stop_count, STOPS_MAX);
    for (size_t i = 0; i <= way->stop_count; i++) {
        way->options[i] = s->options;
        way->options[i].stop_before = i < way->stop_count ? way->stop[i] : 0;
    }
}

static outcome_t run_one_way(way_t *way, const pipeline_t *p, const sample_t *s, uint64_t index,
                             const char *input) {
    int calls = 0;
    prepare_way(way, p, s);
    harness_t h = {.options = way->options[0],
                   .llm = s->llm,
                   .python = s->python,
                   .arg = &calls,
                   .pause = pause_of_a_way,
                   .pause_arg = way};
    outcome_t o = {.line = harness_run_at(&h, p, index, input)};
    memcpy(o.reason, h.reason, sizeof o.reason);
    o.usage = h.usage;
    o.failed = h.failed;
    o.llm_calls = h.llm_calls;
    o.now_ns = h.now_ns;
    return o;
}

static void expect_the_same(const char *input, const outcome_t *a, const outcome_t *b) {
    cr_expect_str_eq(a->line, b->line, "%s:\n%s\n%s", input, a->line, b->line);
    cr_expect_str_eq(a->reason, b->reason);
    cr_expect_eq(memcmp(&a->usage, &b->usage, sizeof a->usage), 0, "%s: another usage", input);
    cr_expect_eq(a->failed, b->failed);
    cr_expect_eq(a->llm_calls, b->llm_calls);
    cr_expect_eq(a->now_ns, b->now_ns, "%s: another time", input);
}

/* Runs each input plainly, saved at every point, with stops, and saved with stops. Gives the last line. */
static char *same_in_all_ways(const char *yaml, sample_t s) {
    pipeline_t *p = harness_load(yaml);
    size_t times = 0;
    char *line = NULL;
    s.options.retry_on_empty = true;
    for (size_t i = 0; i < sizeof s.inputs / sizeof *s.inputs && s.inputs[i]; i++) {
        way_t plain = {0}, ways[] = {{.saves = true}, {.stops = true}, {.saves = true, .stops = true}};
        outcome_t wanted = run_one_way(&plain, p, &s, i, s.inputs[i]);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            outcome_t got = run_one_way(&ways[w], p, &s, i, s.inputs[i]);
            expect_the_same(s.inputs[i], &wanted, &got);
            if (ways[w].times > times) times = ways[w].times;
            free(got.line);
        }
        free(line);
        line = wanted.line;
    }
    cr_expect_geq(times, s.times_min, "put away %zu times", times);
    pipeline_destroy(&p);
    return line;
}

static void same(const char *yaml, sample_t s) { free(same_in_all_ways(yaml, s)); }

/* ---- what answers */

static void refuse(llm_answer_t *answer) {
    answer->cause = LLM_CAUSE_REFUSED;
    answer->http_status = 400;
    answer->retries[LLM_CAUSE_RATE_LIMIT] = 2;
    err_set(&answer->error, SDG_EIO, "HTTP 400: not yet");
}

/* Every second call is refused, the first one too. */
static void llm_unsteady(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    int *calls = arg;
    (void)request;
    answer->latency_us[0] = (uint32_t)(100000 * *calls + 3);
    if ((*calls)++ % 2 == 0)
        refuse(answer);
    else
        harness_echo(body, answer);
}

static void llm_json(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer) {
    (void)arg, (void)body, (void)request;
    memcpy(answer->finish_reason, "length", 7);
    answer->text = value_text("<t>one</t> {\"k\": [1, 2.50, null, {\"deep\": -0.0}]} <t>two</t>");
}

/* ---- one pipeline for each thing a row has */

Test(row_save, two_ai_blocks) {
    char *line = same_in_all_ways(
        V2 MODEL
        "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"hello {q}\"], outputs: [{name: A}]}\n"
        "  - {type: ai, exec: 2, model: m, prompts: [\"and {A}\"], outputs: [{name: B}]}\n"
        "  - {type: end, exec: 3, final: [{name: a, value: \"{A} {B}\"}]}\n",
        (sample_t){.inputs = {"{\"q\": \"you\"}"}, .times_min = 4});
    cr_expect_str_eq(line,
                     "{\"_row_index\": 0, \"a\": \"echo[m]: hello you echo[m]: and echo[m]: hello you\"}");
    free(line);
}

Test(row_save, rows_that_fail_at_birth) {
    same(V2 MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{q}\"]}\n",
         (sample_t){.inputs = {"{\"q\": ", "[1]"}, .times_min = 1});
}

Test(row_save, without_an_end_block) {
    same(V2 MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{q}\"], outputs: [{name: A}]}\n"
                  "  - {type: logic, exec: 2, op: set, var: v, value: [1, \"{A}\"], outputs: [{name: L, "
                  "from: value}]}\n"
                  "  - {type: ai, exec: 3, model: m, prompts: [\"{L}\"], outputs: [{name: A}]}\n",
         (sample_t){.inputs = {"{\"q\": [1, 2.0, \"é\\u0000\"]}"}, .times_min = 4});
}

/* The prompt of the third block is written again after the first answer was refused. It must see the output
 * of its connection then, too. */
Test(row_save, connections) {
    char *line = same_in_all_ways(
        V2 MODEL "blocks:\n  - {type: ai, exec: 1, id: maker, model: m, prompts: [\"make {q}\"], outputs: "
                 "[{name: Plan}], on_error: retry, retry: {max_attempts: 2}}\n"
                 "  - {type: logic, exec: 2, op: set, var: v, value: overwritten, outputs: [{name: Plan, "
                 "from: value}]}\n"
                 "  - {type: ai, exec: 3, id: user, model: m, prompts: [\"use {In}\"], outputs: [{name: U}], "
                 "on_error: retry, retry: {max_attempts: 2}}\n"
                 "  - {type: end, exec: 4, final: [{name: u, value: \"{U} {Plan} {In}\"}]}\nconnections: "
                 "[{from: maker, output: Plan, to: user, input: In}]\n",
        (sample_t){.inputs = {"{\"q\": 1, \"In\": \"column\"}"}, .llm = llm_unsteady, .times_min = 6});
    cr_expect_str_eq(line, "{\"_row_index\": 0, \"u\": \"echo[m]: use echo[m]: make 1 overwritten column\"}");
    free(line);
}

Test(row_save, variables_and_constants) {
    same(V2 "globals: {const: {LONG: \"a constant that is rather long\", LIST: [1, {k: v}]}, vars: {none: 0, "
            "list: [1, 2], text: \"as in the file\"}}\n" MODEL
            "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{q} {LONG}\"], outputs: [{name: A}], "
            "save_to: {vars: {text: A}}}\n"
            "  - {type: logic, exec: 2, op: set, var: list, value: [\"{list}\", \"{LIST}\"], outputs: "
            "[{name: L}]}\n"
            "  - {type: ai, exec: 3, model: m, prompts: [\"{text} {list}\"], outputs: [{name: B}]}\n"
            "  - {type: logic, exec: 4, op: set, var: none, value: {len: \"{B}\"}}\n"
            "  - {type: end, exec: 5, final: [{name: b, value: \"{B}\"}], include_vars: [none, list, text, "
            "LONG]}\n",
         (sample_t){.inputs = {"{\"q\": 1}", "{\"q\": null}"}, .times_min = 4});
}

Test(row_save, intermediates) {
    const char *yaml =
        V2 MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{q}\"], outputs: [{name: A}]}\n"
                 "  - {type: ai, exec: 2, model: m, prompts: [\"{A}\"], outputs: [{name: A}, {name: N, "
                 "select: regex, regex: '(\\S+)$', type_hint: number}]}\n"
                 "  - {type: end, exec: 3, final: [{name: n, value: \"{N}\"}]}\n";
    sample_t s = {
        .options.save_intermediate = true, .inputs = {"{\"q\": 7}", "{\"q\": \"no digit\"}"}, .times_min = 4};
    char *line = same_in_all_ways(yaml, s);
    cr_expect(strstr(line, "\"_1_A\": \"echo[m]: no digit\", \"_error\": \"blocks[1]: output N"), "%s", line);
    free(line);
}

Test(row_save, seeded_draws_go_on_where_they_were) {
    same(
        V2 MODEL
        "blocks:\n  - {type: logic, exec: 1, op: set, var: a, value: {randint: {min: 0, max: 1000000000}}, "
        "outputs: [{name: A}]}\n"
        "  - {type: ai, exec: 2, model: m, prompts: [\"{A}\"], outputs: [{name: X}]}\n"
        "  - {type: logic, exec: 3, op: set, var: b, value: {rand: {min: 0, max: 1}}, outputs: [{name: B}]}\n"
        "  - {type: ai, exec: 4, model: m, run_if: {gt: [{rand: {min: 0, max: 1}}, 0.5]}, prompts: "
        "[\"{B}\"], outputs: [{name: Y}]}\n"
        "  - {type: logic, exec: 5, op: set, var: c, value: {choose: [1, 2, 3, 4, 5, 6, 7, 8, 9]}, outputs: "
        "[{name: C}]}\n"
        "  - {type: end, exec: 6, final: [{name: t, value: \"{A} {X} {B} {Y} {C}\"}]}\n",
        (sample_t){
            .options = {.seeded = true, .seed = 11}, .inputs = {"{}", "{}", "{}", "{}"}, .times_min = 4});
}

Test(row_save, run_if_is_asked_after_the_stop) {
    same(V2 "globals: {vars: {n: 0}}\n" MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"a\"], "
            "run_if: {equals: [\"{q}\", \"on\"]}, outputs: [{name: A}]}\n"
            "  - {type: logic, exec: 2, op: set, var: n, value: {len: \"{A}\"}}\n"
            "  - {type: ai, exec: 3, model: m, prompts: [\"b\"], run_if: {gt: [{var: n}, 0]}, outputs: "
            "[{name: B}]}\n"
            "  - {type: ai, exec: 4, model: m, prompts: [\"c\"], run_if: {and: [{eq: [{var: n}, 0]}, {div: "
            "[1, \"{z}\"]}]}, outputs: [{name: C}]}\n"
            "  - {type: end, exec: 5, final: [{name: t, value: \"{A},{B},{C}\"}]}\n",
         (sample_t){.inputs = {"{\"q\": \"on\"}", "{\"q\": \"off\", \"z\": 1}", "{\"q\": \"off\", \"z\": 0}"},
                    .times_min = 4});
}

Test(row_save, errors_that_are_passed_over_and_tried_again) {
    same(V2 MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"a\"], on_error: continue, outputs: "
                  "[{name: A}]}\n"
                  "  - {type: ai, exec: 2, model: m, prompts: [\"{error_block_1}\"], on_error: retry, retry: "
                  "{max_attempts: 3, backoff: {base_ms: 70}}, outputs: [{name: B}]}\n"
                  "  - {type: ai, exec: 3, model: m, prompts: [\"c {B}\"], on_error: retry, retry: "
                  "{max_attempts: 2, backoff: {type: fixed, base_ms: 5}}, outputs: [{name: C}]}\n"
                  "  - {type: ai, exec: 4, id: last, model: m, prompts: [\"d\"]}\n",
         (sample_t){.llm = llm_unsteady, .inputs = {"{}"}, .times_min = 8});
}

Test(row_save, budgets_of_calls) {
    char *line = same_in_all_ways(V2 "budgets: {ai: {max_calls: 2}}\n" MODEL
                                     "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"a\"]}\n"
                                     "  - {type: ai, exec: 2, model: m, prompts: [\"b\"]}\n  - {type: ai, "
                                     "exec: 3, id: third, model: m, prompts: [\"c\"]}\n",
                                  (sample_t){.inputs = {"{}"}, .times_min = 5});
    cr_expect(strstr(line, "third: the row has made its 2 LLM calls"), "%s", line);
    free(line);
}

Test(row_save, budgets_of_tokens) {
    char *line = same_in_all_ways(V2 "budgets: {ai: {max_tokens: 20}}\n" MODEL
                                     "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"a\"]}\n"
                                     "  - {type: ai, exec: 2, id: second, model: m, prompts: [\"b\"]}\n",
                                  (sample_t){.inputs = {"{}"}, .times_min = 4});
    cr_expect(strstr(line, "second: the row has used more than 20 tokens"), "%s", line);
    free(line);
}

Test(row_save, images_and_attachments) {
    same("mabel: {version: \"2.1\"}\nimages:\n  - {name: web, url: \"https://img.example/x.jpg\"}\n" MODEL
         "blocks:\n"
         "  - {type: ai, exec: 1, model: m, prompts: [\"{pic.img:detail=high} {web.img}\"], attachments: "
         "[{name: n, mime: text/plain, content: \"{q}\"}], outputs: [{name: A}], on_error: retry, retry: "
         "{max_attempts: 2}}\n"
         "  - {type: ai, exec: 2, model: m, prompts: [\"again {pic.img}\"], outputs: [{name: B}], on_error: "
         "retry, retry: {max_attempts: 2}}\n",
         (sample_t){.llm = llm_unsteady,
                    .inputs = {"{\"q\": \"x\", \"pic\": {\"_type\": \"image\", \"base64\": \"REVG\", "
                               "\"media_type\": \"image/gif\"}}"},
                    .times_min = 6});
}

Test(row_save, typed_outputs_and_end_blocks) {
    same(V2 MODEL
         "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"a\"], outputs: [{name: J, select: regex, "
         "regex: '\\{.*\\}', type_hint: json}, {name: T, select: tag, tag: t, join_with: \"+\"}]}\n"
         "  - {type: ai, exec: 2, model: m, prompts: [\"{J.k[3].deep} {T}\"], outputs: [{name: A}]}\n"
         "  - {type: end, exec: 3, run_if: {equals: [\"{q}\", \"early\"]}, reason: \"early {T}\", exit_code: "
         "stopped, final_mode: list, final: [{name: j, value: \"{J}\", type_hint: json}]}\n"
         "  - {type: ai, exec: 4, model: m, prompts: [\"c\"]}\n  - {type: end, exec: 5, final: [{name: tree, "
         "value: {a: \"{J}\", b: [2.5, \"{T}\"]}}]}\n",
         (sample_t){.llm = llm_json, .inputs = {"{\"q\": \"early\"}", "{\"q\": \"late\"}"}, .times_min = 6});
}

Test(row_save, the_reason_of_an_end_block_comes_back) {
    pipeline_t *p = harness_load(
        V2 "blocks:\n  - {type: end, exec: 1, reason: \"because {q}\", exit_code: why, final: []}\n");
    row_options_t options = {0};
    row_input_t input = {.index = 5, .json = "{\"q\": \"so\"}", .len = 11};
    row_result_t result;
    row_t *row = row_new(p, &options, &input, 0);
    cr_assert_eq(row_run(row, 0), ROW_FINISHED);
    away_and_back(p, &options, &row, 9);
    cr_expect_eq(row_run(row, 10), ROW_FINISHED);
    row_result(row, &result);
    cr_expect_str_eq(result.end_reason, "because so");
    cr_expect_str_eq(result.reason, "why");
    cr_expect_eq(row->index, 5);
    row_destroy(&row);
    pipeline_destroy(&p);
}

/* Answers P and Q; asks an LLM first when the call says so. */
static void python_helper(void *arg, const py_call_t *call, const value_t *reply, const char *reply_error,
                          py_event_t *event) {
    (void)arg;
    value_t asks = object_get_peek(call->kwargs, "ask", 3, NULL);
    if (!reply && !reply_error && asks.kind == VALUE_STRING && asks.string->len) {
        const char json[] = "{\"id\": 1, \"prompts\": [\"tea\"]}";
        event->kind = PY_CALL_AI;
        cr_assert_eq(json_parse_text(json, sizeof json - 1, &event->ai, NULL), 0);
        return;
    }
    event->outputs = value_object(2);
    object_set_text(&event->outputs, "P",
                    reply_error ? value_text(reply_error)
                    : reply     ? value_ref(*reply)
                                : value_int(3));
    object_set_text(&event->outputs, "Q", value_ref(call->context));
    event->vars = value_object(1);
    object_set_text(&event->vars, "n", value_real(0.5));
}

Test(row_save, python_between_ai_blocks) {
    same(V2 "globals: {vars: {n: 1}}\n" MODEL
            "blocks:\n  - {type: ai, exec: 1, id: a, model: m, prompts: [\"{q}\"], outputs: [{name: A}]}\n"
            "  - {type: python, exec: 2, entrypoint: main, function_code: \"def main(ctx, ask): pass\", "
            "inputs: {ask: \"{ask}\"}, outputs: [P, Q]}\n"
            "  - {type: ai, exec: 3, model: m, prompts: [\"{P} {n}\"], outputs: [{name: B}]}\n"
            "  - {type: python, exec: 4, entrypoint: main, function_code: \"def main(ctx): pass\", inputs: "
            "{}, outputs: [P]}\n"
            "  - {type: end, exec: 5, final: [{name: t, value: \"{P} {Q} {B}\"}], include_vars: [n]}\n",
         (sample_t){.python = python_helper,
                    .inputs = {"{\"q\": 1, \"ask\": \"\"}", "{\"q\": 2, \"ask\": \"yes\"}"},
                    .times_min = 6});
}

/* v is a list that holds the former v twice, forty times over: 2^40 places in forty lists. */
Test(row_save, values_that_hold_themselves_many_times) {
    same(V2 "globals: {vars: {v: [1], i: 0}}\n" MODEL
            "blocks:\n  - {type: logic, exec: 1, op: while, cond: {lt: [{var: i}, 40]}, step: [{op: set, "
            "var: v, value: [\"{v}\", \"{v}\"]}, {op: set, var: i, value: {add: [{var: i}, 1]}}], outputs: "
            "[{name: L, from: var, var: v}]}\n"
            "  - {type: ai, exec: 2, model: m, prompts: [\"x\"], outputs: [{name: A}]}\n"
            "  - {type: ai, exec: 3, model: m, prompts: [\"y\"], outputs: [{name: B}]}\n"
            "  - {type: logic, exec: 4, op: set, var: n, value: {len: {get: [{var: L}, \"[0][1][0][1]\"]}}, "
            "outputs: [{name: N}]}\n"
            "  - {type: end, exec: 5, final: [{name: n, value: \"{N} {A} {B}\"}]}\n",
         (sample_t){.inputs = {"{}"}, .times_min = 4});
}

/* ---- time */

static const char SLOW[] =
    V2 "budgets: {wall_time_ms: 100}\n" MODEL
       "blocks:\n  - {type: ai, exec: 1, id: a, model: m, prompts: [\"x\"], outputs: [{name: A}]}\n"
       "  - {type: ai, exec: 2, id: b, model: m, prompts: [\"y\"], outputs: [{name: B}]}\n";

static row_t *first_want(const pipeline_t *p, const row_options_t *options, uint64_t now_ns) {
    row_input_t input = {.json = "{}", .len = 2};
    row_t *row = row_new(p, options, &input, now_ns);
    cr_assert_eq(row_run(row, now_ns), ROW_WANT_LLM);
    return row;
}

static void answer_with(row_t *row, const char *text) {
    llm_answer_t answer = {.text = value_text(text), .requests = 1};
    row_llm_answer(row, &answer);
}

static void expect_out_of_time(row_t *row, uint64_t at_ns, const char *reason) {
    row_result_t result;
    cr_expect_eq(row_run(row, at_ns - 1), ROW_WANT_TIME);
    cr_expect_eq(row_run(row, at_ns), ROW_FINISHED);
    row_result(row, &result);
    cr_expect_str_eq(result.reason, reason);
}

Test(row_save, the_clock_goes_on_for_a_row_that_waits) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t options = {0};
    row_t *row = first_want(p, &options, 1000 * MILLISECOND);
    away_and_back(p, &options, &row, 1060 * MILLISECOND);
    cr_expect_eq(row_wake_ns(row), 1100 * MILLISECOND);
    expect_out_of_time(row, 1100 * MILLISECOND, "a: wall time");
    row_destroy(&row);
    pipeline_destroy(&p);
}

/* 30 ms until the stop, then put away for a second on a machine that began to count at 5 ms; 20 more ms until
 * it is put away while it waits. */
Test(row_save, the_clock_stands_for_a_row_that_stopped) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t first = {.stop_before = 1}, second = {0};
    row_t *row = first_want(p, &first, 1000 * MILLISECOND);
    answer_with(row, "fine");
    cr_expect_eq(row_run(row, 1030 * MILLISECOND), ROW_STOPPED);
    away_and_back(p, &second, &row, 5 * MILLISECOND);
    cr_expect_eq(row_run(row, 25 * MILLISECOND), ROW_WANT_LLM);
    cr_expect_eq(row_llm_request(row)->timeout_ms, 51);
    away_and_back(p, &second, &row, 30 * MILLISECOND);
    cr_expect_eq(row_wake_ns(row), 75 * MILLISECOND);
    expect_out_of_time(row, 75 * MILLISECOND, "b: wall time");
    row_destroy(&row);
    pipeline_destroy(&p);
}

Test(row_save, a_row_that_used_up_its_time_before_the_stop_is_out_of_time) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t first = {.stop_before = 1}, second = {0};
    row_t *row = first_want(p, &first, 0);
    answer_with(row, "fine");
    cr_expect_eq(row_run(row, 99 * MILLISECOND), ROW_STOPPED);
    away_and_back(p, &second, &row, 7);
    away_and_back(p, &second, &row, 3);
    cr_expect_eq(row_run(row, 2 * MILLISECOND), ROW_FINISHED);
    row_destroy(&row);
    pipeline_destroy(&p);
}

/* ---- stops */

Test(row_save, a_row_stops_before_its_block_and_every_later_one) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t first = {.stop_before = 1}, never = {0};
    row_t *row = first_want(p, &first, 0);
    answer_with(row, "fine");
    cr_expect_eq(row_run(row, 1), ROW_STOPPED);
    cr_expect_eq(row_run(row, 1), ROW_STOPPED, "asked again it stays where it is");
    away_and_back(p, &first, &row, 1);
    cr_expect_eq(row_run(row, 1), ROW_STOPPED);
    away_and_back(p, &never, &row, 1);
    cr_expect_eq(row_run(row, 1), ROW_WANT_LLM);
    row_destroy(&row);
    pipeline_destroy(&p);
}

Test(row_save, cancelled_rows_stay_cancelled) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t options = {0};
    row_result_t result;
    row_t *row = first_want(p, &options, 0);
    row_cancel(row, "the job was cancelled");
    away_and_back(p, &options, &row, 0);
    cr_expect_eq(row_run(row, 1), ROW_FINISHED);
    row_result(row, &result);
    cr_expect_str_eq(result.json, "{\"_row_index\": 0, \"_error\": \"a: the job was cancelled\"}");
    row_destroy(&row);
    pipeline_destroy(&p);
}

Test(row_save, not_everything_can_be_put_away) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t options = {0}, trace = {.trace = true};
    row_input_t input = {.json = "{}", .len = 2};
    row_t *fresh = row_new(p, &options, &input, 0), *row = first_want(p, &options, 0),
          *traced = first_want(p, &trace, 0);
    cr_expect_not(row_can_save(fresh));
    cr_expect(row_can_save(row));
    answer_with(row, "there is an answer now");
    cr_expect_not(row_can_save(row));
    cr_expect_not(row_can_save(traced));
    row_destroy(&fresh), row_destroy(&row), row_destroy(&traced);
    pipeline_destroy(&p);
}

/* ---- records that are no rows */

Test(row_save, a_failed_row_that_never_was) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t options = {.save_intermediate = true};
    row_result_t result;
    buf_t bytes;
    buf_init(&bytes, 1 << 16);
    row_save_failed(&bytes, p->digest, 41, "input line 42: it is \"torn\"", "input");
    row_t *row = loaded(p, &options, &bytes, 0);
    cr_expect_eq(row_run(row, 0), ROW_FINISHED);
    row_result(row, &result);
    cr_expect(result.failed);
    cr_expect_str_eq(result.json, "{\"_row_index\": 41, \"_error\": \"input line 42: it is \\\"torn\\\"\"}");
    cr_expect_str_eq(result.reason, "input");
    cr_expect_eq(row->index, 41);
    row_destroy(&row);
    buf_free(&bytes);
    pipeline_destroy(&p);
}

/* ---- size */

Test(row_save, a_large_text_in_several_places_is_there_once) {
    enum { LARGE = 1 << 20 };
    pipeline_t *p = harness_load(
        V2 MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"x\"], outputs: [{name: A}], "
                 "save_to: {vars: {v: A}}}\n"
                 "  - {type: ai, exec: 2, id: b, model: m, prompts: [\"y\"], outputs: [{name: B}]}\n");
    row_options_t options = {.save_intermediate = true};
    row_t *row = first_want(p, &options, 0);
    size_t small = row_bytes(row);
    char *text = xcalloc(1, LARGE + 1);
    memset(text, 'x', LARGE);
    answer_with(row, text);
    free(text);
    cr_assert_eq(row_run(row, 0), ROW_WANT_LLM);
    size_t held = row_bytes(row);
    cr_expect(held > small + LARGE && held < small + LARGE + 4096, "%zu bytes", held);
    buf_t bytes = saved(row);
    cr_expect(bytes.len > LARGE && bytes.len < LARGE + 1024, "%zu bytes", bytes.len);
    row_destroy(&row);
    row = loaded(p, &options, &bytes, 0);
    cr_expect_lt(row_bytes(row), held + 1024);
    row_destroy(&row);
    buf_free(&bytes);
    pipeline_destroy(&p);
}

Test(row_save, a_row_that_does_not_fit_says_so_and_lives_on) {
    pipeline_t *p = harness_load(SLOW);
    row_options_t options = {0};
    buf_t bytes;
    row_t *row = first_want(p, &options, 0);
    buf_init(&bytes, 40);
    row_save(row, &bytes);
    cr_expect(bytes.full);
    answer_with(row, "x");
    cr_expect_eq(row_run(row, 0), ROW_WANT_LLM);
    row_destroy(&row);
    buf_free(&bytes);
    pipeline_destroy(&p);
}

/* ---- bytes that are no row */

static const char MANY[] =
    V2 "globals: {const: {C: [1]}, vars: {v: {k: 1}, w: text}}\n" MODEL "blocks:\n"
       "  - {type: ai, exec: 1, id: a, model: m, prompts: [\"{q}\"], outputs: [{name: A}], on_error: retry, "
       "retry: {max_attempts: 2}}\n"
       "  - {type: logic, exec: 2, op: set, var: w, value: [\"{A}\", \"{C}\", {randint: {min: 0, max: 9}}], "
       "outputs: [{name: W}]}\n"
       "  - {type: ai, exec: 3, id: b, model: m, prompts: [\"{W} {In}\"], outputs: [{name: B}], on_error: "
       "continue}\n"
       "  - {type: end, exec: 4, final: [{name: t, value: \"{B} {W}\"}], include_vars: [v, w]}\nconnections: "
       "[{from: a, output: A, to: b, input: In}]\n";

/* The bytes of a row of MANY when it waits for its second answer, stopped before that, or finished. */
static buf_t bytes_of_many(const pipeline_t *p, row_want_t want) {
    row_options_t options = {
        .save_intermediate = true, .seeded = true, .stop_before = want == ROW_STOPPED ? 2 : 0};
    row_input_t input = {.json = "{\"q\": [1, null, \"x\"], \"_id\": 2.5}", .len = 33};
    row_t *row = row_new(p, &options, &input, 0);
    cr_assert_eq(row_run(row, 0), ROW_WANT_LLM);
    answer_with(row, "one");
    row_want_t now = row_run(row, MILLISECOND);
    if (want == ROW_FINISHED) {
        answer_with(row, "two");
        now = row_run(row, MILLISECOND);
    }
    cr_assert_eq(now, want);
    buf_t bytes = saved(row);
    row_destroy(&row);
    return bytes;
}

static const row_want_t WANTS[] = {ROW_WANT_LLM, ROW_STOPPED, ROW_FINISHED};

Test(row_save, cut_at_every_byte) {
    pipeline_t *p = harness_load(MANY);
    row_options_t options = {.save_intermediate = true};
    for (size_t w = 0; w < sizeof WANTS / sizeof *WANTS; w++) {
        buf_t bytes = bytes_of_many(p, WANTS[w]);
        for (size_t len = 0; len < bytes.len; len++) {
            err_t err = {0};
            char *exact = xmalloc(len);
            memcpy(exact, bytes.data, len);
            cr_expect_null(row_load(p, &options, exact, len, 0, &err), "cut at %zu of %zu", len, bytes.len);
            cr_expect_gt(strlen(err.text), 10);
            free(exact);
        }
        buf_free(&bytes);
    }
    pipeline_destroy(&p);
}

/* What still loads must run to an end. */
static void run_to_its_end(row_t *row) {
    uint64_t now = 0;
    for (row_want_t want; (want = row_run(row, now)) != ROW_FINISHED;) {
        cr_assert_neq(want, ROW_STOPPED);
        if (want == ROW_WANT_LLM) answer_with(row, "x");
        if (want == ROW_WANT_TIME && row_wake_ns(row) == UINT64_MAX)
            answer_with(row, "a loaded row has asked already");
        else if (want == ROW_WANT_TIME)
            now = row_wake_ns(row);
    }
}

Test(row_save, every_bit_turned_over) {
    pipeline_t *p = harness_load(MANY);
    row_options_t options = {.save_intermediate = true};
    size_t refused = 0;
    for (size_t w = 0; w < sizeof WANTS / sizeof *WANTS; w++) {
        buf_t bytes = bytes_of_many(p, WANTS[w]);
        for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
            bytes.data[bit / 8] ^= (char)(1 << bit % 8);
            err_t err = {0};
            row_t *row = row_load(p, &options, bytes.data, bytes.len, 0, &err);
            if (row)
                run_to_its_end(row);
            else
                refused++;
            cr_expect(row || strlen(err.text) > 10);
            row_destroy(&row);
            bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        buf_free(&bytes);
    }
    cr_expect_gt(refused, 100);
    pipeline_destroy(&p);
}

static void expect_refused(const pipeline_t *p, const row_options_t *options, const char *bytes, size_t len,
                           const char *part) {
    err_t err = {0};
    cr_expect_null(row_load(p, options, bytes, len, 0, &err));
    cr_expect(strstr(err.text, part), "no '%s' in: %s", part, err.text);
}

Test(row_save, rows_of_others_are_refused) {
    pipeline_t *p = harness_load(MANY), *other = harness_load(SLOW);
    row_options_t options = {.save_intermediate = true}, fewer = {0};
    buf_t bytes = bytes_of_many(p, ROW_STOPPED);
    expect_refused(other, &options, bytes.data, bytes.len, "another pipeline");
    expect_refused(p, &fewer, bytes.data, bytes.len, "other options");
    expect_refused(p, &options, "{\"q\": 1, \"json\": true}", 22, "are no row");
    expect_refused(p, &options, NULL, 0, "are no row");
    buf_addc(&bytes, 0);
    expect_refused(p, &options, bytes.data, bytes.len, "the saved row: byte ");
    bytes.data[1]++;
    expect_refused(p, &options, bytes.data, bytes.len, "this program writes form");
    buf_free(&bytes);
    pipeline_destroy(&p);
    pipeline_destroy(&other);
}
