/* fuzz_text - any bytes as a text for people: what is shown is valid UTF-8 without controls and fits, what is
 * cut is cut between characters, and large and small letters end somewhere. */
#include "tests/fuzz/input.h"

#include "core/base/text.h"
#include "core/base/words.h"

enum { LINE_MAX_BYTES = 48 };

static bool has_control(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7F) return true;
    return false;
}

static void check_fit(const char *text, size_t len, uint64_t columns) {
    buf_t out;
    buf_init(&out, (size_t)1 << 24);
    words_fit(&out, text, len, columns);
    if (out.len) {
        CHECK(utf8_valid(out.data, out.len), "not UTF-8");
        CHECK(!has_control(out.data, out.len), "a control is left");
        CHECK(words_columns(out.data, out.len) <= columns, "more than %llu columns",
              (unsigned long long)columns);
    }
    buf_free(&out);
}

static void check_characters(const char *text, size_t len) {
    size_t count = utf8_length(text, len);
    CHECK(count <= len && utf8_offset(text, len, count) == len, "%zu characters", count);
    for (size_t i = 0, before = 0; i <= count && i < 64; i++) {
        size_t at = utf8_offset(text, len, i);
        CHECK(at >= before && at <= len, "character %zu at %zu", i, at);
        before = at;
    }
}

static void check_cases(const char *text, size_t len) {
    buf_t upper, lower;
    buf_init(&upper, (size_t)1 << 24);
    buf_init(&lower, (size_t)1 << 24);
    text_upper(&upper, text, len);
    text_lower(&lower, text, len);
    bool valid = utf8_valid(text, len);
    CHECK(!valid || utf8_valid(upper.len ? upper.data : "", upper.len), "large letters");
    CHECK(!valid || utf8_valid(lower.len ? lower.data : "", lower.len), "small letters");
    buf_free(&upper);
    buf_free(&lower);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    uint64_t columns = fuzz_byte(&in);
    size_t len;
    char *text = fuzz_rest(&in, &len), line[LINE_MAX_BYTES];
    check_fit(text, len, columns == 255 ? UINT64_MAX : columns);
    check_characters(text, len);
    check_cases(text, len);
    utf8_copy_line(line, columns < 1 ? 1 : columns < sizeof line ? columns : sizeof line, text, len);
    CHECK(utf8_valid(line, strlen(line)) && !has_control(line, strlen(line)), "%s", line);
    const char *trimmed = text;
    size_t left = len;
    text_trim(&trimmed, &left);
    CHECK(trimmed >= text && trimmed + left <= text + len, "%zu bytes", left);
    free(text);
    return 0;
}
