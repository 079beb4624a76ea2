/* fuzz_row.c - any row and any answers through a fixed set of pipelines: no crash, no leak, always an end,
 * always one JSON object.
 *
 * Input: one byte chooses the pipeline, the rest is cut at NUL bytes: the row, then what the LLM (or Python)
 * answers, in turn.
 */
#include "core/base/json.h"
#include "core/mabel/row/row.h"

#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                                 \
    "mabel: {version: \"2.1\"}\nbudgets: {loops: {max_iters: 50}, recursion: {max_depth: 30}, ai: "          \
    "{max_calls: 6}, wall_time_ms: 500}\n"                                                                   \
    "globals: {const: {C: 1}, vars: {v: 0, list: [1, 2]}}\ntemplates: [{name: tpl, text: \"<{x}{tpl2}>\"}, " \
    "{name: tpl2, text: \"{y.a[0]}\"}]\n"                                                                    \
    "images: [{name: web, url: \"https://img.example/x.jpg\"}]\n"                                            \
    "models:\n  - {name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\"}\n"                   \
    "functions: {logic: [{name: f, args: [a], returns: [r], body: [{op: if, cond: {gt: [{var: a}, 0]}, "     \
    "then: [{op: call, name: f, with: {a: {sub: [{var: a}, 1]}}, returns: [r]}], else: [{op: set, var: r, "  \
    "value: \"{a}\"}]}]}]}\nblocks:\n"

static const char *const PIPELINES[] = {
    HEAD "  - {type: logic, exec: 1, op: for, list: x, parse: json, where: {ne: [\"{item}\", \"\"]}, map: "
         "\"{item}{tpl}\", outputs: [{name: A}, {name: B, join_with: \"+\"}, {name: N, from: value, value: "
         "{len: \"{item}\"}}], on_error: continue}\n"
         "  - {type: logic, exec: 2, op: for, list: \"{y}\", parse: csv, drop_empty: true, map: {add: "
         "[\"{item}\", 1]}, outputs: [{name: D}], on_error: continue}\n"
         "  - {type: logic, exec: 3, op: for, list: \"{x}\", parse: regex, regex_pattern: '(\\w+)(\\d)?', "
         "outputs: [{name: E}, {name: F, from: first}], on_error: continue}\n"
         "  - {type: logic, exec: 4, op: for, list: \"{x}\", parse: lines, outputs: [{name: G, from: "
         "count}], on_error: continue}\n"
         "  - {type: end, exec: 9, final: [{name: a, value: \"{A}{B}{N}{D}{E}{F}{G}\"}, {name: h, value: "
         "\"{x}\", type_hint: json}, {name: n, value: \"{y}\", type_hint: number}]}\n",
    HEAD
    "  - {type: logic, exec: 1, op: while, cond: {lt: [{var: v}, \"{x}\"]}, step: [{op: set, var: v, value: "
    "{add: [{var: v}, 1]}}, {op: emit, value: \"{v}\"}], outputs: [{name: A}, {name: Z, from: last}], "
    "on_error: continue}\n"
    "  - {type: logic, exec: 2, op: reduce, list: x, value: \"\", var: e, body: [{op: set, var: accumulator, "
    "value: [\"{accumulator}\", \"{e}\"]}], outputs: [{name: B}], on_error: continue}\n"
    "  - {type: logic, exec: 3, op: call, name: f, with: {a: \"{x}\"}, returns: [R], on_error: continue}\n"
    "  - {type: logic, exec: 4, op: let, bindings: {p: \"{x}\", q: {get: [{var: p}, \"a[0].b\"]}}, body: "
    "[{op: for, list: \"{p}\", var: p, body: [{op: set, var: q, value: [\"{p}\", \"{q}\"]}]}], outputs: "
    "[{name: Q, from: var, var: q}]}\n",
    HEAD "  - {type: ai, exec: 1, model: m, system_prompt: \"{tpl}\", prompts: [\"{x}\", \"{y.a}{é}\"], "
         "outputs: [{name: A, select: tag, tag: t, join_with: \",\"}, {name: J, select: jsonpath, path: "
         "\"$..a[?@.b>1]\"}, {name: R, select: regex, regex: '(a+)+$'}], save_to: {vars: {v: A}}, on_error: "
         "retry, retry: {max_attempts: 2, backoff: {base_ms: 1}}}\n"
         "  - {type: ai, exec: 2, model: m, prompts: [\"{x.img:detail=low}{web.img}{y}\"], outputs: [{name: "
         "K, select: full, type_hint: json}], on_error: continue}\n"
         "  - {type: end, exec: 3, final: [{name: t, value: {a: [\"{A}\", {b: \"{K}\"}]}}], final_mode: "
         "list, include_vars: [v, C, x]}\n",
    HEAD "  - {type: python, exec: 1, id: py, entrypoint: main, function_code: \"def main(ctx): pass\", "
         "inputs: {a: \"{x}\", b: \"{y.a}\", c: [\"{x}\"]}, outputs: [P], on_error: continue}\n"
         "  - {type: python, exec: 2, entrypoint: main, function_code: \"def main(ctx): pass\", inputs: [P, "
         "y.a], outputs: [Q]}\n"
         "  - {type: logic, exec: 3, id: last, op: set, var: w, value: \"{in}\", outputs: [{name: "
         "W}]}\nconnections: [{from: py, output: P, to: last, input: in}]\n",
};
enum { PIPELINE_COUNT = sizeof PIPELINES / sizeof *PIPELINES };

static pipeline_t *pipeline_at(size_t i) {
    static pipeline_t *loaded[PIPELINE_COUNT];
    if (loaded[i]) return loaded[i];
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", PIPELINES[i], strlen(PIPELINES[i]));
    pipeline_source_t source = {
        .path = "fuzz.yaml", .bytes = PIPELINES[i], .len = strlen(PIPELINES[i]), .accept_python = true};
    loaded[i] = pipeline_load(&source, &diags);
    if (!loaded[i]) abort();
    diags_free(&diags);
    return loaded[i];
}

typedef struct input {
    const char *at, *end;
} input_t;

static const char *next_piece(input_t *in, size_t *len) {
    const char *piece = in->at;
    const char *stop = memchr(in->at, 0, (size_t)(in->end - in->at));
    if (!stop) stop = in->end;
    *len = (size_t)(stop - piece);
    in->at = stop < in->end ? stop + 1 : stop;
    return piece;
}

static llm_answer_t next_answer(const llm_request_t *request, input_t *in) {
    size_t len;
    const char *text = next_piece(in, &len);
    llm_answer_t a = {.text = value_string(text, len), .requests = 1, .prompt_tokens = 3};
    if (len && text[0] == '!') {
        value_clear(&a.text);
        a.cause = LLM_CAUSE_SERVER;
        err_set(&a.error, SDG_EIO, "%.*s", (int)len, text);
    }
    value_t body;
    if (json_parse_text(request->body, request->body_len, &body, NULL) != SDG_OK) abort();
    value_free(body);
    return a;
}

static void answer(row_t *row, input_t *in) {
    llm_answer_t a = next_answer(row_llm_request(row), in);
    row_llm_answer(row, &a);
}

static void ask(row_t *row, value_t question, input_t *in, uint64_t now) {
    llm_request_t request;
    err_t err;
    value_t text;
    if (row_ask_begin(row, now, &err) < 0 || row_ask_request(row, question, &request, &err) < 0) return;
    llm_answer_t a = next_answer(&request, in);
    if (row_ask_answer(row, &a, &text, &err) == SDG_OK && text.kind != VALUE_STRING) abort();
    value_free(text);
}

/* '?' asks an LLM and is followed by the next event, '!' fails, anything else is the outputs. */
static void python(row_t *row, input_t *in, uint64_t now) {
    for (;;) {
        size_t len;
        const char *text = next_piece(in, &len);
        char kind = len ? text[0] : 0;
        py_event_t e = {.kind = kind == '!' ? PY_FAILED : PY_DONE};
        value_t v = value_null();
        if (kind == '?' || kind == '=')
            json_parse_text(text + 1, len - 1, &v, NULL);
        else
            json_parse_text(text, len, &v, NULL);
        if (kind == '?') {
            ask(row, v, in, now);
            value_free(v);
            continue;
        }
        if (kind == '=')
            e.vars = v;
        else
            e.outputs = v;
        row_python_event(row, &e);
        return;
    }
}

static void check(row_t *row) {
    row_result_t result;
    value_t line;
    row_result(row, &result);
    if (json_parse_text(result.json, result.len, &line, NULL) != SDG_OK || line.kind != VALUE_OBJECT) abort();
    bool found;
    object_get_peek(line, "_error", 6, &found);
    if (result.failed && !found) abort();
    value_free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size < 2) return 0;
    input_t in = {(const char *)bytes + 1, (const char *)bytes + size};
    row_options_t options = {
        .retry_on_empty = true, .seeded = true, .save_intermediate = bytes[0] & 64, .trace = bytes[0] & 128};
    size_t len;
    const char *json = next_piece(&in, &len);
    row_input_t input = {.index = 1, .line = 1, .json = json, .len = len};
    row_t *row = row_new(pipeline_at(bytes[0] % PIPELINE_COUNT), &options, &input, 0);
    uint64_t now = 0;
    for (row_want_t want; (want = row_run(row, now)) != ROW_FINISHED; now += 1000000) {
        if (want == ROW_WANT_LLM) answer(row, &in);
        if (want == ROW_WANT_PYTHON) python(row, &in, now);
        if (want == ROW_WANT_TIME) now = row_wake_ns(row);
    }
    check(row);
    row_destroy(&row);
    return 0;
}
