/* JSON: reading strictly, writing in two styles, and that both agree. */
#include "core/base/json.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static value_t parse_n(const char *text, size_t len) {
    value_t v;
    err_t err = {0};
    int rc = json_parse_text(text, len, &v, &err);
    cr_assert_eq(rc, SDG_OK, "%s: %s", text, err.text);
    return v;
}

static value_t parse(const char *text) { return parse_n(text, strlen(text)); }

/* The error sentence of a text that must be refused. */
static const char *refusal_n(const char *text, size_t len) {
    static _Thread_local err_t err;
    value_t v;
    cr_assert_eq(json_parse_text(text, len, &v, &err), SDG_EPARSE, "accepted: %s", text);
    cr_assert_eq(v.kind, VALUE_NULL);
    return err.text;
}

static const char *refusal(const char *text) { return refusal_n(text, strlen(text)); }

static void check_write(value_t take, json_style_t style, const char *expected) {
    buf_t out;
    buf_init(&out, 1 << 20);
    json_write(&out, take, style);
    cr_assert_str_eq(out.data, expected);
    buf_free(&out);
    value_free(take);
}

static void check_round(const char *text, const char *expected) {
    check_write(parse(text), JSON_COMPACT, expected);
}

Test(json, reads_and_writes_an_object) {
    check_round(" {\"a\" : 1, \"b\": [true, false, null, 2.50, \"x\"]} ",
                "{\"a\":1,\"b\":[true,false,null,2.5,\"x\"]}");
    check_write(parse("{\"a\":1,\"b\":[1,2],\"c\":{},\"d\":[]}"), JSON_PYTHON,
                "{\"a\": 1, \"b\": [1, 2], \"c\": {}, \"d\": []}");
}

Test(json, any_value_may_stand_alone) {
    check_round("5", "5");
    check_round("\"x\"", "\"x\"");
    check_round(" null\n", "null");
    check_round("true", "true");
    check_round("[]", "[]");
    check_round("-0.0", "-0.0");
}

Test(json, integers_keep_their_digits) {
    check_round("9223372036854775807", "9223372036854775807");
    check_round("-9223372036854775808", "-9223372036854775808");
    check_round("9223372036854775808", "9223372036854775808");
    check_round("-9223372036854775809", "-9223372036854775809");
    check_round("18446744073709551615", "18446744073709551615");
    check_round("123456789012345678901234567890", "123456789012345678901234567890");
    check_round("1000000000000000000", "1000000000000000000");
    check_round("-999999999999999999", "-999999999999999999");
    check_round("-0", "0");
    check_round("1.0", "1.0");
    check_round("1E2", "100.0");
    check_round("1e16", "1e+16");
    check_round("1e-7", "1e-07");
    check_round("1e-400", "0.0");
}

Test(json, a_duplicate_key_takes_the_last_value_and_the_first_place) {
    check_round("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
}

Test(json, escapes_are_resolved) {
    value_t v = parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u3042\\ud83d\\ude00\"");
    cr_assert_str_eq(v.string->data, "\"\\/\b\f\n\r\tA\xc3\xa9\xe3\x81\x82\xf0\x9f\x98\x80");
    value_free(v);
    v = parse("\"a\\u0000b\"");
    cr_assert_eq(v.string->len, 3);
    cr_assert_eq(memcmp(v.string->data, "a\0b", 3), 0);
    check_write(v, JSON_COMPACT, "\"a\\u0000b\"");
}

Test(json, lone_surrogates_become_replacement_characters) {
    check_round("\"\\ud800\"", "\"\xef\xbf\xbd\"");
    check_round("\"a\\udc00b\\n\"", "\"a\xef\xbf\xbd"
                                    "b\\n\"");
    check_round("\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                                      "A\"");
    check_round("\"\\ud800\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
    check_round("{\"\\ud800\\\"\":\"\\ud800\\t\\u00e9\\/\"}",
                "{\"\xef\xbf\xbd\\\"\":\"\xef\xbf\xbd\\t\xc3\xa9/\"}");
    refusal("\"\\ud800\\x\"");
    refusal("\"\\ud800\\u12\"");
}

/* What parsing `text` replaces, and that it gives `expected`. */
static void check_repairs(const char *text, const char *expected, uint64_t nulls, uint64_t characters) {
    json_repairs_t before = json_repairs_so_far();
    check_round(text, expected);
    json_repairs_t after = json_repairs_so_far();
    cr_expect_eq(after.nulls - before.nulls, nulls, "%s", text);
    cr_expect_eq(after.characters - before.characters, characters, "%s", text);
}

Test(json, what_python_writes_beyond_json_is_null_and_counted) {
    check_repairs("NaN", "null", 1, 0);
    check_repairs("{\"a\": NaN, \"b\": [Infinity, -Infinity, 1]}", "{\"a\":null,\"b\":[null,null,1]}", 3, 0);
    check_repairs("[1e400, -1e400, 1e-400]", "[null,null,0.0]", 2, 0);
    check_repairs("\"\\ud800 \\ude00\"", "\"\xEF\xBF\xBD \xEF\xBF\xBD\"", 0, 2);
    check_repairs("[\"NaN\", \"\\ud83d\\ude00\"]", "[\"NaN\",\"\xF0\x9F\x98\x80\"]", 0, 0);
    json_repairs_t before = json_repairs_so_far();
    refusal("[NaN, 1");
    cr_expect_eq(json_repairs_so_far().nulls, before.nulls, "a text that is refused is not counted");
}

Test(json, an_integer_of_too_many_digits_is_no_integer) {
    char digits[INTEGER_DIGITS_MAX + 2];
    memset(digits, '7', sizeof digits);
    value_t v = parse_n(digits, INTEGER_DIGITS_MAX);
    cr_expect_eq(v.kind, VALUE_BIGINT);
    cr_expect_eq(v.string->len, INTEGER_DIGITS_MAX);
    value_free(v);
    cr_expect_eq(parse_n(digits, INTEGER_DIGITS_MAX + 1).kind, VALUE_NULL, "it is beyond all reals, too");
}

Test(json, malformed_text_is_refused) {
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "[1]]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "1,2",
        "nul",
        "nulll",
        "True",
        "tru",
        "truefalse",
        "NaNa",
        "Inf",
        "-Inf",
        "-NaN",
        "+Infinity",
        "nan",
        "[Infinity1]",
        "true\"a\"",
        "\"a\"b",
        "\"a\"\"b\"",
        "[\"a\"1]",
        "01",
        "-",
        "-a",
        "+1",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "--1",
        "\"",
        "\"abc",
        "\"\\",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "'a'",
        "\"\n\"",
        "\"a\tb\"",
        "\x80",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
        "[1,2]x",
        "{}{}",
        "/**/1",
        "1//",
        ",",
        ":",
        "[:]",
        "{:}",
        "{,}",
        "[\"a\":1]",
        "\xef\xbb\xbf"
        "1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refusal(bad[i]);
    refusal_n("1\0", 2);
    refusal_n("[1\0]", 4);
    refusal_n("\"a\0b\"", 5);
    refusal_n("\0", 1);
}

Test(json, errors_name_the_byte) {
    cr_assert_str_eq(refusal("{\"a\": tru}"), "JSON: not a JSON value at byte 6");
    cr_assert_str_eq(refusal("[1 2]"), "JSON: expected ',' or ']' at byte 3");
    cr_assert_str_eq(refusal("[1,2] x"), "JSON: text behind the value at byte 6");
    cr_assert_str_eq(refusal("{\"a\""), "JSON: the text ends too early at byte 4");
    cr_assert_str_eq(refusal("[\"\xff\"]"), "JSON: invalid UTF-8 at byte 2");
    cr_assert_str_eq(refusal("[\"a\", \"b\n\"]"), "JSON: unescaped control character in a string at byte 8");
}

/* n brackets around nothing; the caller frees. */
static char *brackets(size_t n) {
    char *text = malloc(2 * n + 1);
    memset(text, '[', n);
    memset(text + n, ']', n);
    text[2 * n] = '\0';
    return text;
}

Test(json, nesting_is_bounded) {
    char *deepest = brackets(JSON_DEPTH_MAX), *deeper = brackets(JSON_DEPTH_MAX + 1),
         *absurd = brackets(1000000);
    value_free(parse(deepest));
    cr_assert(strstr(refusal(deeper), "nested too deeply"));
    cr_assert(strstr(refusal(absurd), "nested too deeply"));
    free(deepest), free(deeper), free(absurd);
}

Test(json, a_cut_anywhere_is_refused) {
    const char *text = "{\"a\":[1,-2.5e3,\"x\\n\\u00e9\\ud83d\\ude00\",{\"b\":null}],\"c\":true}";
    for (size_t n = 0; n < strlen(text); n++) {
        char *exact = malloc(n ? n : 1); /* no byte behind it: ASan would see a read past the end */
        memcpy(exact, text, n);
        refusal_n(exact, n);
        free(exact);
    }
    value_free(parse(text));
}

Test(json, one_parser_serves_small_and_large_texts_in_turn) {
    json_parser_t *parser = json_parser_new();
    size_t large = (size_t)3 << 20;
    char *text = malloc(large);
    memset(text, 'x', large);
    text[0] = text[large - 1] = '"';
    for (int i = 0; i < 3; i++) {
        value_t v;
        cr_assert_eq(json_parse(parser, text, large, &v, NULL), SDG_OK);
        cr_assert_eq(v.string->len, large - 2);
        value_free(v);
        cr_assert_eq(json_parse(parser, "{\"k\":1}", 7, &v, NULL), SDG_OK);
        value_free(v);
        cr_assert_eq(json_parse(parser, "{\"k\":", 5, &v, NULL), SDG_EPARSE);
    }
    json_parser_destroy(&parser);
    cr_assert_null(parser);
    free(text);
}

Test(json, repeated_keys_share_their_string_beyond_the_parser) {
    json_parser_t *parser = json_parser_new();
    value_t a, b;
    json_parse(parser, "{\"name\":1}", 10, &a, NULL);
    json_parse(parser, "{\"name\":2}", 10, &b, NULL);
    cr_assert_eq(object_key_peek(a, 0), object_key_peek(b, 0));
    json_parser_destroy(&parser);
    cr_assert_str_eq(object_key_peek(a, 0)->data, "name");
    value_free(a), value_free(b);
}

Test(json, writing_escapes_only_what_json_demands) {
    check_write(value_text("\"\\/\b\f\n\r\t\x01\x1f\x7f \xc3\xa9\xe3\x81\x82\xf0\x9f\x98\x80"), JSON_COMPACT,
                "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xc3\xa9\xe3\x81\x82\xf0\x9f\x98\x80\"");
    check_write(value_text("a\xff"
                           "b\xe3\x81"
                           "c\xed\xa0\x80"),
                JSON_COMPACT,
                "\"a\xef\xbf\xbd"
                "b\xef\xbf\xbd\xef\xbf\xbd"
                "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_write(value_real(NAN), JSON_COMPACT, "null");
    check_write(value_real(-INFINITY), JSON_COMPACT, "null");
    check_write(value_text(""), JSON_COMPACT, "\"\"");
}

Test(json, an_escape_is_seen_at_every_place_of_a_string) {
    static const struct {
        char byte;
        const char *written;
    } cases[] = {
        {'"', "\\\""},    {'\\', "\\\\"},           {'\x1f', "\\u001f"},
        {'\x7f', "\x7f"}, {'\xff', "\xef\xbf\xbd"}, {'\0', "\\u0000"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int place = 0; place < 20; place++) {
            char text[20], expected[64];
            memset(text, '~', sizeof text);
            text[place] = cases[c].byte;
            snprintf(expected, sizeof expected, "\"%.*s%s%.*s\"", place, "~~~~~~~~~~~~~~~~~~~~",
                     cases[c].written, 19 - place, "~~~~~~~~~~~~~~~~~~~~");
            check_write(value_string(text, sizeof text), JSON_COMPACT, expected);
        }
}

Test(json, deep_values_are_written_without_recursion) {
    value_t v = value_list(0);
    for (int i = 0; i < 200000; i++) {
        value_t outer = value_list(1);
        list_push(&outer, v);
        v = outer;
    }
    buf_t out;
    buf_init(&out, 1 << 20);
    json_write(&out, v, JSON_COMPACT);
    cr_assert_eq(out.len, 400002);
    buf_free(&out);
    value_free(v);
}

/* ---- checking without values */

static void expect_agreement(const char *text, size_t len) {
    value_t v;
    err_t parsed = {0}, checked = {0};
    int rc = json_parse_text(text, len, &v, &parsed);
    bool object = rc == SDG_OK && v.kind == VALUE_OBJECT;
    cr_assert_eq(json_check_object(text, len, NULL, NULL, &checked) == SDG_OK, object, "%.*s: %s, %s",
                 (int)len, text, parsed.text, checked.text);
    if (rc != SDG_OK && !strstr(checked.text, "not an object")) cr_assert_str_eq(checked.text, parsed.text);
    value_free(v);
}

Test(json, a_check_agrees_with_the_parser_after_each_flip_of_a_bit) {
    static const char TEXT[] =
        "{\"a\": [1, -2.5e3, 0.1, true, false, null, NaN, -Infinity, Infinity], \"b\": "
        "{}, \"c\": [], \"\\u00e9\\\"\": \"\\ud83d\\ude00 \xE6\x9D\xB1 \\n\", \"d\": "
        "{\"e\": {\"f\": \"\"}}, \"g\":12345678901234567890}";
    char text[sizeof TEXT];
    expect_agreement(TEXT, sizeof TEXT - 1);
    for (size_t bit = 0; bit < 8 * (sizeof TEXT - 1); bit++) {
        memcpy(text, TEXT, sizeof TEXT);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        expect_agreement(text, sizeof TEXT - 1);
    }
    for (size_t len = 0; len < sizeof TEXT; len++)
        expect_agreement(TEXT, len);
}

static void take_member(void *context, const char *key, size_t len, const char *value) {
    buf_t *seen = context;
    buf_add(seen, key, len);
    buf_addf(seen, "=%c ", *value);
}

Test(json, a_check_tells_the_members_of_the_outermost_object) {
    static const char TEXT[] = " {\"a\": {\"x\": 1}, \"\\u0062\" : \"\\\"\", \"\": [2], \"c\":3} ";
    buf_t seen;
    buf_init(&seen, 100);
    cr_assert_eq(json_check_object(TEXT, sizeof TEXT - 1, take_member, &seen, NULL), SDG_OK);
    cr_assert_str_eq(seen.data, "a={ b=\" =[ c=3 ");
    buf_free(&seen);
}

Test(json, a_check_goes_deeper_than_a_parser_so_that_a_line_may_hold_what_was_parsed) {
    char text[8 * JSON_CHECK_DEPTH_MAX] = "";
    for (int depth = 0; depth < JSON_CHECK_DEPTH_MAX - 1; depth++)
        strcat(text, "{\"a\":");
    strcat(text, "{");
    for (int depth = 0; depth < JSON_CHECK_DEPTH_MAX; depth++)
        strcat(text, "}");
    cr_assert_eq(json_check_object(text, strlen(text), NULL, NULL, NULL), SDG_OK);
    char deeper[sizeof text + 16];
    snprintf(deeper, sizeof deeper, "{\"a\":%s}", text);
    cr_assert_eq(json_check_object(deeper, strlen(deeper), NULL, NULL, NULL), SDG_EPARSE);
}
