/* test_extract.c - select, join_with and type_hint on answers as models write them. */
#include "core/mabel/text/extract.h"

#include "core/base/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct expected {
    select_kind_t select;
    const char *what; /* tag, pattern or path */
    const char *join; /* NULL: the first hit */
    type_hint_t hint;
    const char *answer;
    const char *want; /* JSON of the value; NULL: an error */
} expected_t;

static extract_t make(const expected_t *c) {
    extract_t e = {.select = c->select, .hint = c->hint};
    err_t err;
    size_t len = c->what ? strlen(c->what) : 0;
    if (c->join) e.join_with = str_new(c->join, strlen(c->join));
    if (c->select == SELECT_TAG) e.tag = str_new(c->what, len);
    if (c->select == SELECT_REGEX) {
        e.regex = regex_compile(c->what, len, REGEX_DOTALL, &err);
        cr_assert(e.regex, "%s", err.text);
    }
    if (c->select == SELECT_JSONPATH) {
        e.path = jsonpath_compile(c->what, len, &err);
        cr_assert(e.path, "%s", err.text);
    }
    return e;
}

static void expect_one(const expected_t *c) {
    extract_t e = make(c);
    extract_cache_t cache = {0};
    value_t answer = value_text(c->answer), v;
    err_t err = {0};
    int rc = extract_run(&e, answer, &cache, &v, &err);
    if (c->want) {
        cr_assert_eq(rc, 0, "%s: %s", c->answer, err.text);
        buf_t b;
        buf_init(&b, 1 << 20);
        json_write(&b, v, JSON_COMPACT);
        cr_expect_str_eq(b.data, c->want, "%s of %s gives %s, not %s", c->what, c->answer, b.data, c->want);
        buf_free(&b);
    } else {
        cr_expect(rc == SDG_EINVAL && err.text[0] && v.kind == VALUE_NULL, "%s should fail", c->answer);
    }
    value_free(v);
    value_free(answer);
    extract_cache_free(&cache);
    extract_free(&e);
}

#define EXPECT(...)                                                 \
    do {                                                            \
        static const expected_t cases[] = {__VA_ARGS__};            \
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) \
            expect_one(&cases[i]);                                  \
    } while (0)

#define TAG SELECT_TAG
#define RE SELECT_REGEX
#define PATH SELECT_JSONPATH

Test(extract, the_whole_answer) {
    EXPECT({SELECT_FULL, NULL, NULL, HINT_NONE, " as it is\n", "\" as it is\\n\""});
}

static const char ANSWER[] =
    "<item> one </item><ITEM>two</ITEM> <body>\n line 1\n  line <b>2</b>!\n</body><Item>three</item> "
    "<answer></think>\n 42 </reason></answer>";

Test(extract, tags) {
    EXPECT({TAG, "item", NULL, HINT_NONE, ANSWER, "\"one\""},
           {TAG, "Item", " + ", HINT_NONE, ANSWER, "\"one + two + three\""},
           {TAG, "ghost", NULL, HINT_NONE, ANSWER, "\"\""}, {TAG, "ghost", ",", HINT_NONE, ANSWER, "\"\""},
           {TAG, "body", NULL, HINT_NONE, ANSWER, "\"line 1\\n  line <b>2</b>!\""},
           {TAG, "answer", NULL, HINT_NONE, ANSWER, "\"42\""},
           {TAG, "b", "+", HINT_NONE, "< b >one< / b ><b\n>two</ B\n>< c >x", "\"one+two\""},
           {TAG, "answer", NULL, HINT_NUMBER, ANSWER, "42"});
}

Test(extract, tags_as_models_write_them) {
    EXPECT({TAG, "a", NULL, HINT_NONE, "<a href='x'>y</a>", "\"y\""},
           {TAG, "a", NULL, HINT_NONE, "<ab>no</ab><a>yes</a >", "\"yes\""},
           {TAG, "a", NULL, HINT_NONE, "<a/><a>x</a>", "\"x\""},
           {TAG, "a", NULL, HINT_NONE, "<a>never closed", "\"\""},
           {TAG, "a", NULL, HINT_NONE, "<a>x<b>y</b></a>", "\"x<b>y</b>\""},
           {TAG, "a", NULL, HINT_NONE, "<a>x</b></a>", "\"x\""},
           {TAG, "a", NULL, HINT_NONE, "<a><b>x</b></b></a>", "\"<b>x</b>\""},
           {TAG, "a", NULL, HINT_NONE, "<a></b></c>x</d></e></a>", "\"x\""},
           {TAG, "a", NULL, HINT_NONE, "<a></b></a>", "\"\""},
           {TAG, "a", NULL, HINT_NONE, "<a>1 < 2 > 0</a>", "\"1 < 2 > 0\""},
           {TAG, "a", NULL, HINT_NONE, "<a><a>x</a></a>", "\"<a>x\""},
           {TAG, "a.b-c", NULL, HINT_NONE, "<A.B-C>x</a.b-c>", "\"x\""},
           {TAG, "a", "|", HINT_NONE, "<a>1</a><a>2", "\"1\""},
           {TAG, "a", "", HINT_NONE, "<a></a><a>2</a>", "\"2\""}, {TAG, "a", NULL, HINT_NONE, "<a", "\"\""},
           {TAG, "\xe7\xad\x94", NULL, HINT_NONE, "<\xe7\xad\x94>x</\xe7\xad\x94>", "\"x\""});
}

static const char LINES[] =
    "Head line\nAB-12 CD-34 id=x9;kind=zz\nBEGIN a\nb END\n3 kg and 44 kg\ncost: 7,50 EUR\nstatus: fine";

Test(extract, regular_expressions) {
    EXPECT({RE, "[A-Z]{2}-\\d+", NULL, HINT_NONE, LINES, "\"AB-12\""},
           {RE, "id=(\\w+);kind=(\\w+)", NULL, HINT_NONE, LINES, "\"x9\""},
           {RE, "BEGIN(.+)END", NULL, HINT_NONE, LINES, "\" a\\nb \""},
           {RE, "(\\d+) kg", "/", HINT_NONE, LINES, "\"3/44\""},
           {RE, "\\A([^\\n]*)\n", NULL, HINT_NONE, LINES, "\"Head line\""},
           {RE, "(?<=cost: )\\S+(?= EUR)", NULL, HINT_NONE, LINES, "\"7,50\""},
           {RE, "nothing(.)", NULL, HINT_NONE, LINES, "\"\""},
           {RE, "(?i)STATUS:\\s*(\\w+)", NULL, HINT_NONE, LINES, "\"fine\""},
           {RE, "(x)?kg", NULL, HINT_NONE, LINES, "\"\""}, {RE, "b*", "|", HINT_NONE, "abc", "\"|b||\""});
}

#define BARE                                                                                             \
    "{\"a\":{\"b\":\"B\"},\"list\":[{\"n\":1,\"t\":\"x\"},{\"n\":2,\"t\":\"y\"},{\"n\":3,\"t\":\"z\"}]," \
    "\"flag\":true,\"no\":null}"

Test(extract, jsonpath) {
    EXPECT({PATH, "$.a.b", NULL, HINT_NONE, BARE, "\"B\""},
           {PATH, "$.list[*].n", ",", HINT_NONE, BARE, "\"1,2,3\""},
           {PATH, "$.list[?@.n > 1].t", "+", HINT_NONE, BARE, "\"y+z\""},
           {PATH, "$.a", NULL, HINT_NONE, BARE, "\"{'b': 'B'}\""},
           {PATH, "$.flag", NULL, HINT_NONE, BARE, "\"True\""},
           {PATH, "$.zip.zap", NULL, HINT_NONE, BARE, "\"\""},
           {PATH, "$.a", NULL, HINT_NONE, "no JSON", "\"\""},
           {PATH, "$.list[0].n", NULL, HINT_NUMBER, BARE, "1"},
           {PATH, "$.a", NULL, HINT_JSON, BARE, "{\"b\":\"B\"}"},
           {PATH, "$.a.b", NULL, HINT_JSON, BARE, "\"B\""}, {PATH, "$.no", NULL, HINT_NONE, BARE, "\"None\""},
           {PATH, "$.no", NULL, HINT_JSON, BARE, "null"}, {PATH, "$.flag", NULL, HINT_BOOLEAN, BARE, "true"},
           {PATH, "$.x", NULL, HINT_JSON, "{\"x\":\"[1]\"}", "[1]"},
           {PATH, "$.x", NULL, HINT_JSON, "{\"x\":\"12\"}", "\"12\""});
}

Test(extract, json_in_a_fence) {
    EXPECT({PATH, "$.a.b", NULL, HINT_NONE, "```json\n" BARE "\n```\n", "\"B\""},
           {PATH, "$.a.b", NULL, HINT_NONE, "Here:\n```\n" BARE "\n```\nDone.", "\"B\""},
           {PATH, "$.a.b", NULL, HINT_NONE, "```JSON\n" BARE, "\"B\""},
           {PATH, "$.a", NULL, HINT_NONE, "```json {\"a\":1}```", "\"1\""},
           {PATH, "$.a", NULL, HINT_NONE, "```python\nx = {}\n```\nand\n```json\n{\"a\":2}\n```", "\"2\""},
           {PATH, "$.a", NULL, HINT_NONE, "```", "\"\""},
           {SELECT_FULL, NULL, NULL, HINT_JSON, "```json\n[1, 2]\n```", "[1,2]"},
           {TAG, "j", NULL, HINT_JSON, "<j>\n```json\n{\"k\": 1}\n```\n</j>", "{\"k\":1}"});
}

Test(extract, type_hints) {
    EXPECT({SELECT_FULL, NULL, NULL, HINT_NUMBER, " 41\n", "41"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "2.5", "2.5"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "2.0", "2.0"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "-1e3", "-1000.0"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "18446744073709551616", "18446744073709551616"},
           {SELECT_FULL, NULL, NULL, HINT_JSON, "[-9223372036854775809]", "[-9223372036854775809]"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "9.0", "9.0"},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "many", NULL},
           {SELECT_FULL, NULL, NULL, HINT_NUMBER, "", NULL},
           {SELECT_FULL, NULL, NULL, HINT_BOOLEAN, "TRUE", "true"},
           {SELECT_FULL, NULL, NULL, HINT_BOOLEAN, " no ", "false"},
           {SELECT_FULL, NULL, NULL, HINT_BOOLEAN, "Yes", "true"},
           {SELECT_FULL, NULL, NULL, HINT_BOOLEAN, "0", "false"},
           {SELECT_FULL, NULL, NULL, HINT_BOOLEAN, "perhaps", NULL},
           {SELECT_FULL, NULL, NULL, HINT_STRING, "41", "\"41\""},
           {SELECT_FULL, NULL, NULL, HINT_JSON, "{\"k\":[1,null]}", "{\"k\":[1,null]}"},
           {SELECT_FULL, NULL, NULL, HINT_JSON, "{k}", NULL}, {TAG, "ghost", NULL, HINT_NUMBER, "x", NULL},
           {TAG, "ghost", NULL, HINT_STRING, "x", "\"\""});
}

static void expect_hint(const char *json_value, type_hint_t hint, const char *want) {
    value_t v, out;
    err_t err = {0};
    cr_assert_eq(json_parse_text(json_value, strlen(json_value), &v, &err), 0);
    int rc = hint_convert(v, hint, &out, &err);
    cr_expect_eq(rc == 0, want != NULL, "%s: %s", json_value, err.text);
    if (rc == 0 && want) {
        buf_t b;
        buf_init(&b, 1 << 16);
        json_write(&b, out, JSON_COMPACT);
        cr_expect_str_eq(b.data, want);
        buf_free(&b);
    }
    value_free(out);
    value_free(v);
}

Test(extract, hints_on_values_that_are_no_text) {
    expect_hint("3", HINT_NUMBER, "3");
    expect_hint("true", HINT_NUMBER, "1");
    expect_hint("null", HINT_NUMBER, NULL);
    expect_hint("[1]", HINT_NUMBER, NULL);
    expect_hint("0.0", HINT_BOOLEAN, "false");
    expect_hint("null", HINT_BOOLEAN, NULL);
    expect_hint("[1, \"a\"]", HINT_STRING, "\"[1, 'a']\"");
    expect_hint("[1, \"a\"]", HINT_JSON, "[1,\"a\"]");
    expect_hint("[1]", HINT_NONE, "[1]");
}

Test(extract, errors_quote_the_value) {
    value_t v = value_text("many"), out;
    err_t err;
    cr_expect_eq(hint_convert(v, HINT_NUMBER, &out, &err), SDG_EINVAL);
    cr_expect_str_eq(err.text, "type_hint number: 'many' is not a number");
    value_free(v);
}

Test(extract, the_answer_is_parsed_once_for_all_outputs) {
    expected_t c = {PATH, "$.a", NULL, HINT_NONE, NULL, NULL};
    extract_t e = make(&c);
    extract_cache_t cache = {0};
    value_t first = value_text("{\"a\":1}"), other = value_text("{\"a\":2}"), v;
    cr_assert_eq(extract_run(&e, first, &cache, &v, NULL), 0);
    value_free(v);
    cr_assert_eq(extract_run(&e, other, &cache, &v, NULL), 0);
    cr_expect_str_eq(v.string->data, "1");
    value_free(v);
    value_free(first);
    value_free(other);
    extract_cache_free(&cache);
    extract_free(&e);
}

Test(extract, a_long_answer_of_half_tags_takes_no_time) {
    size_t n = 500000;
    char *text = malloc(5 * n + 16);
    for (size_t i = 0; i < n; i++)
        memcpy(text + 5 * i, "<a> <", 5);
    text[5 * n] = '\0';
    expect_one(&(expected_t){TAG, "a", NULL, HINT_NONE, text, "\"\""});
    free(text);
}
