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
    extract_source_t source = {.text = answer, .finish_reason = "stop"};
    bool found;
    int rc = extract_run(&e, &source, &cache, &v, &found, &err);
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
           {PATH, "$.a.b", NULL, HINT_JSON, BARE, "\"B\""}, {PATH, "$.no", NULL, HINT_NONE, BARE, "\"\""},
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
           {SELECT_FULL, NULL, NULL, HINT_JSON, "{k}", NULL}, {TAG, "ghost", NULL, HINT_NUMBER, "x", "\"\""},
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
    bool found;
    cr_assert_eq(extract_run(&e, &(extract_source_t){.text = first}, &cache, &v, &found, NULL), 0);
    value_free(v);
    cr_assert_eq(extract_run(&e, &(extract_source_t){.text = other}, &cache, &v, &found, NULL), 0);
    cr_expect_str_eq(v.string->data, "1");
    value_free(v);
    value_free(first);
    value_free(other);
    extract_cache_free(&cache);
    extract_free(&e);
}

/* Docs: no hit is the empty text, with a hint, too; hits are converted one by one, then joined as text. */
Test(extract, hints_concern_hits) {
    EXPECT({TAG, "ghost", NULL, HINT_JSON, "x", "\"\""}, {RE, "(z)", NULL, HINT_BOOLEAN, "x", "\"\""},
           {PATH, "$.zz", NULL, HINT_NUMBER, BARE, "\"\""}, {PATH, "$.zz", ",", HINT_NUMBER, BARE, "\"\""},
           {TAG, "n", "+", HINT_NUMBER, "<n> 1 </n><n>2.50</n>", "\"1+2.5\""},
           {TAG, "n", "+", HINT_NUMBER, "<n>1</n><n>two</n>", NULL},
           {TAG, "b", " ", HINT_BOOLEAN, "<b>yes</b><b>0</b>", "\"True False\""},
           {TAG, "j", ";", HINT_JSON, "<j>[1,null]</j><j>{\"k\":\"v\"}</j>", "\"[1, None];{'k': 'v'}\""},
           {PATH, "$.list[*].n", "+", HINT_NUMBER, BARE, "\"1+2+3\""},
           {PATH, "$['no','flag']", "+", HINT_NONE, BARE, "\"+True\""},
           {PATH, "$.no", NULL, HINT_NUMBER, BARE, NULL});
}

static const char DRAFT[] =
    "<think>\nThe answer goes into <q></q>. Draft: <q>draft</q>\n</think>\n\n<q>real</q>";

Test(extract, thoughts_are_not_the_answer) {
    EXPECT({TAG, "q", NULL, HINT_NONE, DRAFT, "\"real\""}, {TAG, "q", "+", HINT_NONE, DRAFT, "\"real\""},
           {RE, "<q>(.*?)</q>", NULL, HINT_NONE, DRAFT, "\"real\""},
           {PATH, "$.t", NULL, HINT_NONE, " \n<THINK>maybe {\"t\": \"draft\"}</Think>\n{\"t\": \"real\"}",
            "\"real\""},
           {SELECT_FULL, NULL, NULL, HINT_NONE, "<think>a</think>b", "\"<think>a</think>b\""},
           {TAG, "q", NULL, HINT_NONE, "<think><q>1</q></think><q>2</q></think><q>3</q>", "\"3\""},
           {TAG, "q", NULL, HINT_NONE, "<think><q>1</q></think> none", "\"\""},
           {TAG, "q", NULL, HINT_NONE, "<think><q>1</q> and so on", "\"\""},
           {RE, "\\d", NULL, HINT_NONE, "<think>1", "\"\""},
           {PATH, "$.t", NULL, HINT_NONE, "<think>{\"t\":1}", "\"\""},
           {TAG, "q", NULL, HINT_NONE, "Well: <think><q>1</q></think><q>2</q>", "\"1\""},
           {TAG, "q", NULL, HINT_NONE, "<thinking><q>1</q></thinking>", "\"1\""},
           {TAG, "q", NULL, HINT_NONE, "<q>1</q><think>2</think>", "\"1\""});
}

Test(extract, tag_think_reads_the_thoughts) {
    EXPECT({TAG, "think", NULL, HINT_NONE, DRAFT, "\"The answer goes into <q></q>. Draft: <q>draft</q>\""},
           {TAG, "Think", "|", HINT_NONE, "<think>a</think>b<think>c</think>", "\"a|c\""},
           {TAG, "think", NULL, HINT_NONE, "<think>never ends", "\"\""});
}

Test(extract, a_lone_closing_tag_counts_if_something_is_found_behind_it) {
    EXPECT({TAG, "q", NULL, HINT_NONE, "Draft: <q>draft</q>\n</think>\n\n<q>real</q>", "\"real\""},
           {TAG, "q", NULL, HINT_NONE, "<q>the tag </think> ends it</q>", "\"the tag </think> ends it\""},
           {RE, "no (\\d)", NULL, HINT_NONE, "no 1 </think> no 2", "\"2\""},
           {RE, "no (\\d)", NULL, HINT_NONE, "no 1 </think> nothing", "\"1\""},
           {PATH, "$.t", NULL, HINT_NONE, "{\"t\":1}</think>{\"t\":2}", "\"2\""},
           {PATH, "$.t", NULL, HINT_NONE, "{\"t\":\"a </think> b\"}", "\"a </think> b\""});
}

Test(extract, json_in_prose) {
    EXPECT({PATH, "$.t", NULL, HINT_NONE, "Here you go: {\"t\": \"x\"}", "\"x\""},
           {PATH, "$.t", NULL, HINT_NONE, "As in [1]: {\"t\": \"}x{\"} hope that helps (see [2])", "\"}x{\""},
           {PATH, "$[1].t", NULL, HINT_NONE, "List: [{\"t\":1},{\"t\":2}].", "\"2\""},
           {PATH, "$.t", NULL, HINT_NONE, "{\"t\": \"x\",", "\"\""},
           {PATH, "$.t", NULL, HINT_NONE, "{\"a\": {\"t\": 1}, \"b\": ", "\"\""},
           {PATH, "$.t", NULL, HINT_NONE, "{'a': {\"t\": 1}}", "\"\""},
           {PATH, "$[0]", NULL, HINT_NONE, "The answer is 5 [1].", "\"\""},
           {PATH, "$.t", NULL, HINT_NONE, "{a} or {\"t\": 3}", "\"3\""});
}

static void expect_source(select_kind_t select, const char *text, const char *reasoning, const char *finish,
                          const char *want, bool found_wanted) {
    extract_t e = {.select = select};
    extract_cache_t cache = {0};
    extract_source_t source = {.text = value_text(text),
                               .reasoning = reasoning ? value_text(reasoning) : value_null(),
                               .finish_reason = finish};
    value_t v;
    bool found;
    cr_assert_eq(extract_run(&e, &source, &cache, &v, &found, NULL), SDG_OK);
    cr_expect_str_eq(v.string->data, want, "%s", text);
    cr_expect_eq(found, found_wanted, "%s", text);
    value_free(v);
    value_free(source.text);
    value_free(source.reasoning);
    extract_cache_free(&cache);
}

Test(extract, reasoning_and_finish_reason) {
    expect_source(SELECT_REASONING, "42", " so \n", "stop", "so", true);
    expect_source(SELECT_REASONING, "<think>in text</think>42", "beside", "stop", "beside", true);
    expect_source(SELECT_REASONING, " <think>\nin text\n</think>42", NULL, "stop", "in text", true);
    expect_source(SELECT_REASONING, "<think>never ends", NULL, "length", "never ends", true);
    expect_source(SELECT_REASONING, "so</think>42", NULL, "stop", "so", true);
    expect_source(SELECT_REASONING, "42</think> ", NULL, "stop", "", false);
    expect_source(SELECT_REASONING, "42", NULL, "stop", "", false);
    expect_source(SELECT_FINISH_REASON, "42", NULL, "length", "length", true);
    expect_source(SELECT_FINISH_REASON, "42", NULL, "", "", false);
    expect_source(SELECT_FULL, " \n", NULL, "stop", " \n", false);
}

Test(extract, an_answer_without_json_is_noted) {
    expected_t c = {PATH, "$.a", NULL, HINT_NONE, NULL, NULL};
    static const struct {
        const char *answer;
        bool found, not_json;
    } cases[] = {{"{\"a\":1}", true, false},
                 {"{\"b\":1}", false, false},
                 {"Sorry, no.", false, true},
                 {"{\"a\":\"\"}", false, false},
                 {"no</think>{\"b\":1}", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        extract_t e = make(&c);
        extract_cache_t cache = {0};
        extract_source_t source = {.text = value_text(cases[i].answer)};
        value_t v;
        bool found;
        cr_assert_eq(extract_run(&e, &source, &cache, &v, &found, NULL), SDG_OK);
        cr_expect_eq(found, cases[i].found, "%s", cases[i].answer);
        cr_expect_eq(cache.not_json, cases[i].not_json, "%s", cases[i].answer);
        value_free(v);
        value_free(source.text);
        extract_cache_free(&cache);
        extract_free(&e);
    }
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
