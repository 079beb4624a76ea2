/* fuzz_result_line - any bytes as a line of an output: refused in words, or a row; and the line of a row that
 * failed for any reason is read as just that. What is read without
 * making values agrees with what is parsed, and a worker's line is that of one row only. */
#include "tests/fuzz/input.h"

#include "core/base/json.h"
#include "core/base/result_line.h"

static value_t member(value_t v, const char *key, bool *found) {
    return object_get_peek(v, key, strlen(key), found);
}

/* A text that is one object without making values is one that is parsed, and the other way round. */
static bool check_object(const char *line, size_t len, value_t *v) {
    err_t checked = {0}, parsed = {0};
    bool is = json_check_object(line, len, NULL, NULL, &checked) == 0;
    bool parses = json_parse_text(line, len, v, &parsed) == 0;
    bool too_deep = strstr(checked.text, "deep") || strstr(parsed.text, "deep");
    if (!too_deep)
        CHECK(is == (parses && v->kind == VALUE_OBJECT), "%d, %d: %s %s", is, parses, checked.text,
              parsed.text);
    return is && parses;
}

/* What is read of a line is what its JSON says, and so is what is checked of a worker's. */
static void check_line(const char *line, size_t len) {
    result_line_t found;
    value_t v = value_null();
    err_t err = {0};
    bool failed = false, is_object = check_object(line, len, &v);
    bool read = result_line_read(line, len, &found, &err) == 0;
    CHECK(read || err.text[0], "refused without a word");
    if (is_object) {
        value_t row = member(v, RESULT_LINE_ROW, NULL);
        member(v, RESULT_LINE_ERROR, &failed);
        CHECK(read == (row.kind == VALUE_INT && row.integer >= 0), "%s", err.text);
        CHECK(!read || (found.row == (uint64_t)row.integer && found.failed == failed), "row %llu",
              (unsigned long long)found.row);
    }
    if (read && result_line_check(line, len, found.row, found.failed, &err) == SDG_OK)
        CHECK(result_line_check(line, len, found.row + 1, found.failed, &err) != SDG_OK && err.text[0],
              "the line of two rows");
    value_free(v);
}

/* A line that is taken from a worker is one line that is read as that row, and failed if it has to be. */
static void check_taken(const char *line, size_t len, uint64_t row, bool failed) {
    result_line_t found;
    err_t err = {0};
    if (result_line_check(line, len, row, failed, &err) != 0) {
        CHECK(err.text[0], "refused without a word");
        return;
    }
    CHECK(!memchr(line, '\n', len) && !memchr(line, '\r', len), "more than one line is taken");
    CHECK(result_line_read(line, len, &found, &err) == 0, "taken and not read: %s", err.text);
    CHECK(found.row == row && (found.failed || !failed), "row %llu", (unsigned long long)found.row);
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
    check_taken(text, n, row, false);
    check_taken(text, n, row % 10, row & 1);
    buf_init(&line, (size_t)64 << 20);
    result_line_fail(&line, row, text);
    CHECK(!memchr(line.data, '\n', line.len), "a line in two");
    CHECK(result_line_read(line.data, line.len, &found, &err) == 0, "%s", err.text);
    CHECK(found.failed && found.row == row, "row %llu", (unsigned long long)found.row);
    CHECK(result_line_check(line.data, line.len, row, true, &err) == 0, "%s", err.text);
    CHECK(result_line_check(line.data, line.len, row, true, &err) == SDG_OK, "%s", err.text);
    buf_free(&line);
    free(text);
    return 0;
}
