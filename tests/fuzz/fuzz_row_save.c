/* fuzz_row_save.c - arbitrary bytes as a row that was put away: refused in words, or a row that is saved as
 * itself again and runs to an end.
 *
 * Input: one byte chooses the pipeline, the options, and whether the right first bytes (form and digest) are
 * put before the rest.
 */
#include "core/mabel/row/row.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                        \
    "mabel: {version: \"2.1\"}\nbudgets: {loops: {max_iters: 50}, recursion: {max_depth: 30}, ai: " \
    "{max_calls: 6}, wall_time_ms: 500}\n"                                                          \
    "globals: {const: {C: 1, D: [a text that is somewhat longer]}, vars: {v: 0, list: [1, 2]}}\n"   \
    "images: [{name: web, url: \"https://img.example/x.jpg\"}]\n"                                   \
    "models:\n  - {name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\"}\nblocks:\n"

static const char *const PIPELINES[] = {
    HEAD "  - {type: ai, exec: 1, id: maker, model: m, prompts: [\"{x}\", \"{y.a}\"], outputs: [{name: A, "
         "select: tag, tag: t, join_with: \",\"}, {name: J, select: jsonpath, path: \"$..a[?@.b>1]\"}], "
         "save_to: {vars: {v: A}}, on_error: retry, retry: {max_attempts: 2, backoff: {base_ms: 1}}}\n"
         "  - {type: logic, exec: 2, op: for, list: x, map: \"{item}{A}\", outputs: [{name: L}, {name: N, "
         "from: count}], on_error: continue}\n"
         "  - {type: ai, exec: 3, id: user, model: m, prompts: [\"{pic.img:detail=low}{web.img}{In}\"], "
         "outputs: [{name: K, select: full, type_hint: json}], on_error: retry, retry: {max_attempts: 2, "
         "backoff: {base_ms: 1}}}\n"
         "  - {type: end, exec: 4, reason: \"{v}\", final: [{name: t, value: {a: [\"{A}\", {b: \"{K}\"}]}}], "
         "include_vars: [v, C, x]}\n"
         "connections: [{from: maker, output: A, to: user, input: In}]\n",
    HEAD "  - {type: ai, exec: 1, model: m, prompts: [\"{x}\"], outputs: [{name: A}], on_error: continue}\n"
         "  - {type: logic, exec: 2, op: set, var: list, value: [\"{list}\", \"{A}\", {randint: {min: 1, "
         "max: 3}}], outputs: [{name: R}]}\n"
         "  - {type: python, exec: 3, entrypoint: main, function_code: \"def main(ctx): pass\", inputs: {a: "
         "\"{x}\"}, outputs: [P], on_error: continue}\n"
         "  - {type: ai, exec: 4, model: m, prompts: [\"{R}{P}\"], outputs: [{name: B, type_hint: number}], "
         "on_error: continue, run_if: {ne: [{var: R}, \"\"]}}\n",
};
enum { PIPELINE_COUNT = sizeof PIPELINES / sizeof *PIPELINES, HEAD_BYTES = 10, BYTES_MAX = 1 << 24 };

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

static void answer(row_t *row, int n) {
    static const char *const TEXTS[] = {"<t>one</t> {\"a\": [{\"b\": 2}]}", "17", "",
                                        "{\"a\": [1, {\"b\": null}]}"};
    llm_answer_t a = {.text = value_text(TEXTS[n % 4]),
                      .requests = 1,
                      .prompt_tokens = 3,
                      .latency_us = {5},
                      .latency_count = 1};
    if (n % 3 == 2) {
        a.cause = LLM_CAUSE_SERVER;
        err_set(&a.error, SDG_EIO, "HTTP 500: %d", n);
    }
    row_llm_answer(row, &a);
}

static void event(row_t *row) {
    py_event_t e = {.kind = PY_DONE, .outputs = value_object(1)};
    object_set_text(&e.outputs, "P", value_ref(row_python_call(row)->context));
    row_python_event(row, &e);
}

static buf_t saved(const row_t *row) {
    buf_t bytes;
    buf_init(&bytes, BYTES_MAX);
    row_save(row, &bytes);
    return bytes;
}

/* Saves the row and loads it into another one, which must be saved as the same bytes. */
static row_t *away_and_back(row_t *row, const pipeline_t *p, const row_options_t *options, uint64_t now) {
    buf_t bytes = saved(row);
    if (bytes.full) {
        buf_free(&bytes);
        return row;
    }
    row_t *back = row_load(p, options, bytes.data, bytes.len, now, NULL);
    assert(back && row_can_save(back));
    buf_t first = saved(back);
    row_destroy(&back);
    back = row_load(p, options, first.data, first.len, now, NULL);
    assert(back);
    buf_t second = saved(back);
    assert(first.len <= bytes.len && first.len == second.len &&
           memcmp(first.data, second.data, first.len) == 0);
    row_destroy(&row);
    buf_free(&bytes);
    buf_free(&first);
    buf_free(&second);
    return back;
}

static void run(row_t *row, const pipeline_t *p, const row_options_t *options) {
    uint64_t now = 1;
    int answers = 0;
    for (row_want_t want; (want = row_run(row, now)) != ROW_FINISHED; now += 1000000) {
        if (row_can_save(row)) row = away_and_back(row, p, options, now);
        if (want == ROW_WANT_LLM) answer(row, answers++);
        if (want == ROW_WANT_PYTHON) event(row);
        if (want == ROW_STOPPED) break;
        if (want != ROW_WANT_TIME) continue;
        if (row_wake_ns(row) > now + 500 * UINT64_C(1000000))
            answer(row, answers++); /* its call was made before the row was put away */
        else
            now = row_wake_ns(row);
    }
    row_destroy(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    const pipeline_t *p = pipeline_at(data[0] % PIPELINE_COUNT);
    row_options_t options = {
        .retry_on_empty = true, .save_intermediate = data[0] & 16, .stop_before = data[0] & 32 ? 2 : 0};
    err_t err = {0};
    buf_t bytes;
    buf_init(&bytes, BYTES_MAX);
    if (data[0] & 64) {
        row_save_failed(&bytes, p->digest, 0, "", "");
        bytes.len = HEAD_BYTES;
    }
    buf_add(&bytes, data + 1, size - 1);
    row_t *row = row_load(p, &options, bytes.data, bytes.len, 1, &err);
    if (row) {
        assert(row_bytes(row) > 0);
        run(away_and_back(row, p, &options, 1), p, &options);
    } else {
        assert(strlen(err.text) > 10);
    }
    buf_free(&bytes);
    return 0;
}
