/* fuzz_result_line - any bytes as a line of an output: refused in words, or a row; and the line of a row that
 * failed for any reason is read as just that. What is read quickly and what is parsed agree. */
#include "tests/fuzz/input.h"

#include "core/base/json.h"
#include "core/base/result_line.h"

/* A line that is read is a JSON object with that row, unless it was written by us and only looked at. */
static void check_line(const char *line, size_t len) {
    result_line_t found, again;
    err_t err = {0};
    if (result_line_read(line, len, &found, &err) != 0) {
        CHECK(err.text[0], "refused without a word");
        return;
    }
    value_t v;
    if (json_parse_text(line, len, &v, NULL) != 0) return; /* it is ours by its ends */
    bool failed = false;
    value_t row = object_get_peek(v, RESULT_LINE_ROW, strlen(RESULT_LINE_ROW), NULL);
    object_get_peek(v, RESULT_LINE_ERROR, strlen(RESULT_LINE_ERROR), &failed);
    buf_t text;
    buf_init(&text, (size_t)64 << 20);
    json_write(&text, v, JSON_PYTHON);
    CHECK(result_line_read(text.data, text.len, &again, NULL) == 0, "not read once it is written anew");
    CHECK(row.kind == VALUE_INT && (uint64_t)row.integer == again.row && again.failed == failed, "%llu",
          (unsigned long long)again.row);
    buf_free(&text);
    value_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    uint64_t row = fuzz_number(&in, 8) >> 5;
    size_t n;
    char *text = fuzz_rest(&in, &n);
    result_line_t found;
    err_t err = {0};
    buf_t line;
    check_line(text, n);
    buf_init(&line, (size_t)64 << 20);
    result_line_fail(&line, row, text);
    CHECK(!memchr(line.data, '\n', line.len), "a line in two");
    CHECK(result_line_read(line.data, line.len, &found, &err) == 0, "%s", err.text);
    CHECK(found.failed && found.row == row, "row %llu", (unsigned long long)found.row);
    buf_free(&line);
    free(text);
    return 0;
}
