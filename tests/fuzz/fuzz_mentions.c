/* fuzz_mentions - any text as a pipeline, and any rows, an object a line behind it (after a line "---"): rows
 * are counted, each finding says what and where, and without rows nothing is wrong. */
#include "tests/fuzz/input.h"

#include "actors/verbs/columns.h"
#include "core/base/json.h"
#include "core/mabel/pipeline/pipeline.h"

static void each(void *arg, const columns_finding_t *finding) {
    (void)arg;
    CHECK(finding->text && finding->text[0], "a finding without a word");
    CHECK(finding->mention->name && finding->mention->block && finding->mention->path,
          "a mention without a place");
}

static void check(const pipeline_t *p, const char *text, size_t len, fuzz_input_t *rows) {
    static const row_options_t options = {0};
    mentions_t mentions;
    value_t supplied;
    mentions_find(p, text, len, &mentions, &supplied);
    CHECK(supplied.kind == VALUE_OBJECT, "%d", (int)supplied.kind);
    mentions_free(&mentions);
    value_free(supplied);
    columns_t *columns = columns_new(p, text, len, &options);
    uint64_t objects = 0;
    while (fuzz_more(rows)) {
        size_t n;
        value_t row;
        char *line = fuzz_line(rows, &n);
        if (json_parse_text(line, n, &row, NULL) == SDG_OK) {
            objects += row.kind == VALUE_OBJECT;
            columns_add(columns, row);
        }
        free(line);
    }
    CHECK(columns_rows(columns) == objects, "%llu rows", (unsigned long long)columns_rows(columns));
    size_t found = columns_judge(columns, each, NULL);
    CHECK(objects > 0 || found == 0, "%zu findings without rows", found);
    columns_destroy(&columns);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char end[] = "\n---\n";
    const uint8_t *cut = memmem(bytes, size, end, sizeof end - 1);
    size_t len = cut ? (size_t)(cut - bytes) + 1 : size;
    fuzz_input_t in = {bytes, len}, rows = {bytes + size, 0};
    if (cut) rows = (fuzz_input_t){cut + sizeof end - 1, size - len - (sizeof end - 2)};
    size_t n;
    char *text = fuzz_rest(&in, &n);
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", text, n);
    pipeline_source_t source = {.path = "fuzz/fuzz.yaml", .bytes = text, .len = n, .accept_python = true};
    pipeline_t *p = pipeline_load(&source, &diags);
    if (p) check(p, text, n, &rows);
    pipeline_destroy(&p);
    diags_free(&diags);
    free(text);
    return 0;
}
