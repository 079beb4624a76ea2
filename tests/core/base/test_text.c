/* Text form: every expectation here is what CPython 3.11 prints. */
#include "core/base/integer.h"
#include "core/base/text.h"

#include "core/base/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void check_text(value_t take, const char *expected) {
    str_t *s = text_of(take);
    cr_assert_str_eq(s->data, expected);
    str_free(s);
    value_free(take);
}

static void check_repr(const char *text, const char *expected) {
    value_t v = value_text(text);
    buf_t out;
    buf_init(&out, 1000);
    text_write_repr(&out, v);
    cr_assert_str_eq(out.data, expected);
    buf_free(&out);
    value_free(v);
}

static value_t from_json(const char *text) {
    value_t v;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, NULL), SDG_OK);
    return v;
}

Test(text, scalars_print_as_in_python) {
    check_text(value_bool(true), "True");
    check_text(value_bool(false), "False");
    check_text(value_null(), "None");
    check_text(value_int(INT64_MIN), "-9223372036854775808");
    check_text(value_int(0), "0");
    check_text(integer_from_digits("12345678901234567890", 20, true), "-12345678901234567890");
    check_text(value_text("it's"), "it's");
}

Test(text, reals_are_shortest_and_switch_form_like_python) {
    static const struct {
        double r;
        const char *text;
    } cases[] = {
        {1.0, "1.0"},
        {0.1, "0.1"},
        {-0.0, "-0.0"},
        {0.0, "0.0"},
        {1.5, "1.5"},
        {100.0, "100.0"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e22, "1e+22"},
        {1e-4, "0.0001"},
        {1e-5, "1e-05"},
        {1.5e-7, "1.5e-07"},
        {0.00012, "0.00012"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {1e100, "1e+100"},
        {1.0 / 3, "0.3333333333333333"},
        {2.5e-10, "2.5e-10"},
        {123.456, "123.456"},
        {1234567890123456.7, "1234567890123456.8"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
        {-3.25, "-3.25"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_text(value_real(cases[i].r), cases[i].text);
}

Test(text, containers_print_as_repr) {
    check_text(from_json("[]"), "[]");
    check_text(from_json("{}"), "{}");
    check_text(from_json("[true, 2.0, [{\"k\": \"v\"}], null]"), "[True, 2.0, [{'k': 'v'}], None]");
    check_text(from_json("{\"n\": {\"m\": [1.5, {\"z\": false}]}, \"e\": \"\"}"),
               "{'n': {'m': [1.5, {'z': False}]}, 'e': ''}");
    check_text(from_json("{\"it's\": 1}"), "{\"it's\": 1}");
}

Test(text, repr_chooses_quotes_and_escapes) {
    check_repr("plain", "'plain'");
    check_repr("it's", "\"it's\"");
    check_repr("say \"hi\"", "'say \"hi\"'");
    check_repr("it's \"x\"", "'it\\'s \"x\"'");
    check_repr("a\nb\tc\rd\\e", "'a\\nb\\tc\\rd\\\\e'");
    check_repr("\x01\x7f\xc2\xa0\xe2\x80\x8b\xc2\xad", "'\\x01\\x7f\\xa0\\u200b\\xad'");
    check_repr("\xe3\x81\x82\xc3\xa9\xf0\x9f\x98\x80", "'\xe3\x81\x82\xc3\xa9\xf0\x9f\x98\x80'");
    check_repr("\xef\xbb\xbf\xee\x80\x80\xf3\xa0\x80\x81\xe3\x80\x80", "'\\ufeff\\ue000\\U000e0001\\u3000'");
    check_repr("\xff", "'\\xff'");
}

static void check_number(const char *text, value_t expected) {
    value_t v;
    cr_assert(text_to_number(text, strlen(text), &v), "%s", text);
    cr_assert_eq(v.kind, expected.kind, "%s", text);
    cr_assert(value_equal(v, expected), "%s", text);
}

Test(text, numbers_are_read_by_pythons_rules) {
    check_number("42", value_int(42));
    check_number(" +007\n", value_int(7));
    check_number("-9223372036854775808", value_int(INT64_MIN));
    check_number("9223372036854775808", value_real(0x1p63));
    check_number("3.5", value_real(3.5));
    check_number("-.5e-3", value_real(-0.0005));
    check_number("5.", value_real(5.0));
    check_number("1E+2", value_real(100));
    check_number("\xe3\x80\x80\xef\xbc\x91\xef\xbc\x92",
                 value_int(12));                 /* full-width 12 behind a full-width space */
    check_number("\xd9\xa3.5", value_real(3.5)); /* Arabic-Indic 3 */
    static const char *const bad[] = {"",    " ",   "+",     "-",   ".",    "e5",    ".e5",     "1e",
                                      "1e+", "1 2", "1_000", "inf", "nan",  "1e999", "-1e999",  "0x10",
                                      "--1", "+-1", "1.2.3", "12a", "\xff", "1\xff", "\xc2\xb2"};
    value_t v;
    cr_assert(text_to_exact_number(" -009223372036854775809\n", 24, &v));
    cr_expect_eq(v.kind, VALUE_BIGINT);
    cr_expect_str_eq(v.string->data, "-9223372036854775809");
    value_free(v);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(text_to_number(bad[i], strlen(bad[i]), &v), "%s", bad[i]);
}

Test(text, utf8_is_decoded_strictly) {
    uint32_t cp;
    cr_assert_eq(utf8_decode("\xf0\x9f\x98\x80", 4, &cp), 4);
    cr_assert_eq(cp, 0x1F600);
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe3\x81",
                                      "\xe3"
                                      "a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(utf8_decode(bad[i], strlen(bad[i]), &cp), 0, "case %zu", i);
        cr_assert_not(utf8_valid(bad[i], strlen(bad[i])));
    }
    cr_assert_eq(utf8_decode("", 0, &cp), 0);
    cr_assert(utf8_valid("h\xc3\xa9\xf0\x9f\x98\x80", 7));
    cr_assert_eq(utf8_length("h\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80", 9), 4);
    cr_assert_eq(utf8_length("\xff\xff", 2), 2);
    cr_assert_eq(utf8_offset("h\xc3\xa9x", 4, 2), 3);
    cr_assert_eq(utf8_offset("h\xc3\xa9x", 4, 99), 4);
}

Test(text, every_code_point_survives_writing_and_reading) {
    buf_t out;
    buf_init(&out, 16);
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp >= 0xD800 && cp <= 0xDFFF) continue;
        uint32_t back;
        buf_reset(&out);
        utf8_write(&out, cp);
        cr_assert_eq(utf8_decode(out.data, out.len, &back), (int)out.len);
        cr_assert_eq(back, cp);
    }
    buf_free(&out);
}

static void check_case(const char *text, const char *upper, const char *lower) {
    buf_t out;
    buf_init(&out, 1000);
    text_upper(&out, text, strlen(text));
    cr_assert_str_eq(out.data, upper);
    buf_reset(&out);
    text_lower(&out, text, strlen(text));
    cr_assert_str_eq(out.data, lower);
    buf_free(&out);
}

Test(text, case_follows_python) {
    check_case("strasse \xc3\xa9", "STRASSE \xc3\x89", "strasse \xc3\xa9");
    check_case("Stra\xc3\x9f"
               "e",
               "STRASSE",
               "stra\xc3\x9f"
               "e");
    check_case("\xc3\x80"
               "BC \xce\xa9",
               "\xc3\x80"
               "BC \xce\xa9",
               "\xc3\xa0"
               "bc \xcf\x89");
    check_case("\xce\x9f\xce\x94\xce\x9f\xce\xa3 \xce\xa3", "\xce\x9f\xce\x94\xce\x9f\xce\xa3 \xce\xa3",
               "\xce\xbf\xce\xb4\xce\xbf\xcf\x82 \xcf\x83"); /* final sigma only at the end of a word */
    check_case("\xc4\xb0", "\xc4\xb0", "i\xcc\x87");
    check_case("\xef\xac\x83\xff", "FFI\xff", "\xef\xac\x83\xff");
}

Test(text, case_fills_a_buffer_to_its_end) {
    buf_t out;
    buf_init(&out, 5);
    text_upper(&out, "ab", 2);
    text_upper(&out, "cdefg", 5);
    cr_assert(out.full);
    cr_assert_str_eq(out.data, "ABCDE");
    buf_free(&out);
}

Test(text, trim_takes_pythons_white_space) {
    const char *text = "\xe3\x80\x80\t\x1c x y\xc2\xa0\n\xe2\x80\x83";
    size_t len = strlen(text);
    text_trim(&text, &len);
    cr_assert_eq(len, 3);
    cr_assert_eq(memcmp(text, "x y", 3), 0);
    const char *kept = "\xe2\x80\x8b"; /* zero width space is no white space */
    len = 3;
    text_trim(&kept, &len);
    cr_assert_eq(len, 3);
    const char *blank = " \n ";
    len = 3;
    text_trim(&blank, &len);
    cr_assert_eq(len, 0);
}

Test(text, a_copy_on_one_line_is_valid_and_ends) {
    char out[8];
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},          {"abcdefg", "abcdefg"},         {"abcdefgh", "abcdefg"}, {"a\nb\x01", "a b "},
        {"a\xff!", "a?!"}, {"abcde\xe9\x81\x85", "abcde"}, {"\xc2\x85x", " x"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        utf8_copy_line(out, sizeof out, cases[i].in, strlen(cases[i].in));
        cr_expect_str_eq(out, cases[i].out);
    }
}
