/* bench_row.c - what the row machine costs: rows per second of one thread, without I/O.
 *
 *   build/bench_row [--rows N [logic|ai]]
 *
 * `logic`: set, if, for and end. `ai`: one ai block whose answer is there at once; the time includes writing
 * the request body.
 */
#include "core/base/clock.h"
#include "core/mabel/row/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char LOGIC[] =
    "mabel: {version: \"2.0\"}\nglobals: {vars: {total: 0}}\nblocks:\n"
    "  - {type: logic, exec: 1, op: set, var: total, value: {add: [{var: n}, 1]}, outputs: [{name: Total, "
    "from: value}]}\n"
    "  - {type: logic, exec: 2, op: for, list: [1, 2, 3, 4, 5], var: k, where: {gt: [{var: k}, 2]}, map: "
    "\"{k}-{q}\", outputs: [{name: L, from: join, join_with: \",\"}]}\n"
    "  - {type: logic, exec: 3, op: if, cond: {gt: [\"{Total}\", 100]}, then: \"big {Total}\", else: \"small "
    "{Total}\", outputs: [{name: S, from: value}]}\n"
    "  - {type: end, exec: 4, final: [{name: s, value: \"{S}\"}, {name: l, value: \"{L}\"}]}\n";

static const char AI[] =
    "mabel: {version: \"2.0\"}\nmodels:\n"
    "  - {name: m, api_model: some/model, api_key: k, base_url: \"http://127.0.0.1:1\", request_defaults: "
    "{temperature: 0.7, max_tokens: 256}}\n"
    "blocks:\n  - {type: ai, exec: 1, model: m, system_prompt: \"You are brief.\", prompts: [\"Answer this "
    "question in one sentence: {q}\"], outputs: [{name: A, select: full}]}\n"
    "  - {type: end, exec: 2, final: [{name: answer, value: \"{A}\"}]}\n";

static const char ROW[] = "{\"id\": 17, \"n\": 120, \"q\": \"Why is the sky blue, and why is it red in the "
                          "evening when the sun goes down?\"}";

static void answer(row_t *row, str_t *text) {
    llm_answer_t a = {.text = value_from_str(str_ref(text)),
                      .finish_reason = "stop",
                      .requests = 1,
                      .prompt_tokens = 40,
                      .completion_tokens = 60,
                      .latency_us = {1000},
                      .latency_count = 1};
    row_llm_answer(row, &a);
}

static uint64_t run(const pipeline_t *p, uint64_t rows, str_t *text) {
    row_options_t options = {.retry_on_empty = true, .seeded = true};
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < rows; i++) {
        row_input_t input = {.index = i, .line = i + 1, .json = ROW, .len = sizeof ROW - 1};
        row_t *row = row_new(p, &options, &input, 0);
        while (row_run(row, 0) == ROW_WANT_LLM)
            answer(row, text);
        row_result_t result;
        row_result(row, &result);
        if (result.failed) {
            fprintf(stderr, "%.*s\n", (int)result.len, result.json);
            exit(1);
        }
        bytes += result.len;
        row_destroy(&row);
    }
    return bytes;
}

static void bench(const char *name, const char *yaml, uint64_t rows) {
    diags_t diags;
    diags_init(&diags, name, yaml, strlen(yaml));
    pipeline_source_t source = {.path = name, .bytes = yaml, .len = strlen(yaml)};
    pipeline_t *p = pipeline_load(&source, &diags);
    if (!p) {
        fprintf(stderr, "bench: %s does not load\n", name);
        exit(1);
    }
    char sentence[400];
    memset(sentence, 'a', sizeof sentence);
    str_t *text = str_new(sentence, sizeof sentence);
    run(p, rows / 10 + 1, text);
    uint64_t start = clock_now_ns(), bytes = run(p, rows, text), ns = clock_now_ns() - start;
    printf("%-6s %9" PRIu64 " rows  %8.0f rows/s  %6.2f us/row  %" PRIu64 " bytes/row\n", name, rows,
           (double)rows * 1e9 / (double)ns, (double)ns / 1e3 / (double)rows, bytes / rows);
    str_free(text);
    pipeline_destroy(&p);
    diags_free(&diags);
}

int main(int argc, char **argv) {
    uint64_t rows = argc >= 3 && strcmp(argv[1], "--rows") == 0 ? strtoull(argv[2], NULL, 10) : 200000;
    const char *only = argc == 4 ? argv[3] : "";
    if (rows == 0) return 1;
    if (strcmp(only, "ai") != 0) bench("logic", LOGIC, rows);
    if (strcmp(only, "logic") != 0) bench("ai", AI, rows);
    return 0;
}
