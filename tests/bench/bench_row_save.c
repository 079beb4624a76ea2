/* bench_row_save.c - what it costs to put a row away and to bring it back: one thread, no I/O.
 *
 *   build/bench_row_save [--ms N]
 *
 * For rows of several sizes that stopped after one ai block: the bytes of the row as heap and as saved, and
 * the time of row_save, row_load and row_bytes. `text` rows are one string (half column, half answer),
 * `cells` are many small values.
 */
#include "core/base/clock.h"
#include "core/mabel/row/row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char YAML[] =
    "mabel: {version: \"2.0\"}\nmodels:\n  - {name: m, api_model: m, api_key: k, base_url: "
    "\"http://127.0.0.1:1\"}\n"
    "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"hello {id}\"], outputs: [{name: A}]}\n"
    "  - {type: ai, exec: 2, model: m, prompts: [\"again {id}\"], outputs: [{name: B}]}\n";

static pipeline_t *load(void) {
    diags_t diags;
    diags_init(&diags, "bench", YAML, sizeof YAML - 1);
    pipeline_source_t source = {.path = "bench", .bytes = YAML, .len = sizeof YAML - 1};
    pipeline_t *p = pipeline_load(&source, &diags);
    if (!p) exit(1);
    diags_free(&diags);
    return p;
}

static void write_row(buf_t *json, size_t size, bool cells) {
    buf_addf(json, "{\"id\": 17, \"q\": ");
    if (cells) buf_addc(json, '[');
    for (size_t i = 0; cells && json->len < size; i++)
        buf_addf(json, "%s{\"name\": \"n%zu\", \"score\": %zu.5, \"tags\": [\"a\", %zu]}", i ? ", " : "", i,
                 i, i);
    if (!cells) buf_addc(json, '"');
    while (!cells && json->len < size / 2)
        buf_addc(json, 'q');
    buf_adds(json, cells ? "]}" : "\"}");
}

static row_t *stopped_row(const pipeline_t *p, const row_options_t *options, const buf_t *json,
                          size_t answer_len) {
    row_input_t input = {.json = json->data, .len = json->len};
    row_t *row = row_new(p, options, &input, 0);
    char *text = calloc(1, answer_len + 1);
    if (!text || row_run(row, 0) != ROW_WANT_LLM) exit(1);
    memset(text, 'a', answer_len);
    llm_answer_t a = {.text = value_text(text), .requests = 1};
    row_llm_answer(row, &a);
    free(text);
    if (row_run(row, 0) != ROW_STOPPED) exit(1);
    return row;
}

static void bench(const pipeline_t *p, const char *name, size_t size, bool cells, uint64_t ns_max) {
    row_options_t options = {.seeded = true, .stop_before = 1};
    uint64_t rounds = 0, save_ns = 0, load_ns = 0, count_ns = 0;
    buf_t json, bytes;
    buf_init(&json, size + 1000);
    buf_init(&bytes, 4 * size + 10000);
    write_row(&json, size, cells);
    row_t *row = stopped_row(p, &options, &json, cells ? 100 : size / 2);
    size_t heap = row_bytes(row);
    do {
        uint64_t start = clock_now_ns();
        buf_reset(&bytes);
        row_save(row, &bytes);
        uint64_t saved = clock_now_ns();
        row_destroy(&row);
        row = row_load(p, &options, bytes.data, bytes.len, 0, NULL);
        uint64_t loaded = clock_now_ns();
        if (!row) exit(1);
        heap = row_bytes(row);
        count_ns += clock_now_ns() - loaded;
        save_ns += saved - start;
        load_ns += loaded - saved;
        rounds++;
    } while (save_ns + load_ns < ns_max);
    printf(
        "%-14s %9zu json  %9zu heap  %9zu saved  %9.2f us save  %9.2f us destroy+load  %9.2f us row_bytes\n",
        name, json.len, heap, bytes.len, (double)save_ns / 1e3 / (double)rounds,
        (double)load_ns / 1e3 / (double)rounds, (double)count_ns / 1e3 / (double)rounds);
    row_destroy(&row);
    buf_free(&json);
    buf_free(&bytes);
}

int main(int argc, char **argv) {
    uint64_t ms = argc == 3 && strcmp(argv[1], "--ms") == 0 ? strtoull(argv[2], NULL, 10) : 500;
    pipeline_t *p = load();
    bench(p, "text 100 B", 100, false, ms * MILLISECOND);
    bench(p, "text 1 KB", 1 << 10, false, ms * MILLISECOND);
    bench(p, "text 1 MB", 1 << 20, false, ms * MILLISECOND);
    bench(p, "cells 1 KB", 1 << 10, true, ms * MILLISECOND);
    bench(p, "cells 1 MB", 1 << 20, true, ms * MILLISECOND);
    pipeline_destroy(&p);
    return 0;
}
