/* test_mex.c - every operator with its spellings, what is refused at load, and the bounds. Python is the
 * judge of details. */
#include "core/mabel/mex/mex_node.h"

#include "core/base/json.h"
#include "core/mabel/mex/limits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ROW[] = "{\"n\":7,\"s\":\"me@x.org\",\"e\":\"\",\"t\":true,\"f\":false,\"none\":null,"
                          "\"num\":\"5\",\"both\":\"row\",\"xs\":[5,3,5],"
                          "\"os\":[{\"k\":\"x\",\"n\":1},{\"k\":\"y\",\"n\":2}],\"o\":{\"a\":{\"b\":[1,{"
                          "\"c\":9}]},\"key\":\"found\",\"d.e\":3},"
                          "\"key\":\"key\",\"js\":\"{\\\"k\\\": "
                          "[\\\"\xc3\xa9\\\"]}\",\"pair\":[2,2],\"p\":{\"q\":[1,2]},\"empty\":[]}";

/* A row and an expression over it, written as YAML. */
typedef struct world {
    value_t context, vars, consts;
    rng_t rng;
    scope_t scope;
    diags_t diags;
    ydoc_t *doc;
    mex_t *m;
} world_t;

static value_t json(const char *text) {
    value_t v;
    err_t err;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, &err), 0, "%s: %s", text, err.text);
    return v;
}

static void world_init(world_t *w, const char *expr, mex_mode_t mode) {
    *w = (world_t){.context = json(ROW),
                   .vars = json("{\"g\":\"glob\",\"both\":\"var\"}"),
                   .consts = json("{\"K\":\"konst\"}")};
    rng_seed(&w->rng, 1, 2);
    w->scope = (scope_t){.context = &w->context, .vars = &w->vars, .consts = w->consts, .rng = &w->rng};
    size_t size = strlen(expr) + 16;
    char *text = malloc(size);
    int len = snprintf(text, size, "{e: %s}", expr);
    diags_init(&w->diags, "test", NULL, 0);
    w->doc = yaml_parse(text, (size_t)len, &(yaml_options_t){0}, &w->diags);
    cr_assert(w->doc && w->diags.errors == 0, "%s: %s", expr,
              w->diags.count ? w->diags.items[0].message : "");
    w->m = mex_compile(w->doc, yaml_get(yaml_root(w->doc), "e"), YPATH_KEY(NULL, "e"), mode, &w->diags);
    free(text);
}

static void world_free(world_t *w) {
    mex_destroy(&w->m);
    yaml_doc_free(&w->doc);
    diags_free(&w->diags);
    value_free(w->context);
    value_free(w->vars);
    value_free(w->consts);
}

static char *json_text(value_t v) {
    buf_t b;
    buf_init(&b, 1 << 24);
    json_write(&b, v, JSON_COMPACT);
    return buf_take(&b, NULL);
}

typedef struct expected {
    const char *expr, *want;
} expected_t; /* want NULL: the row fails */

static void expect_one(const expected_t *c) {
    world_t w;
    world_init(&w, c->expr, MEX_VALUE);
    cr_assert(w.m, "%s: %s", c->expr, w.diags.count ? w.diags.items[0].message : "?");
    err_t err = {0};
    value_t v;
    int rc = mex_eval(w.m, &w.scope, &v, &err);
    if (c->want) {
        cr_assert_eq(rc, 0, "%s: %s", c->expr, err.text);
        char *got = json_text(v);
        cr_expect_str_eq(got, c->want, "%s gives %s, not %s", c->expr, got, c->want);
        free(got);
    } else {
        cr_expect(rc < 0 && v.kind == VALUE_NULL && err.text[0], "%s should fail", c->expr);
    }
    cr_expect_null(w.scope.locals);
    value_free(v);
    world_free(&w);
}

#define EXPECT(...)                                                 \
    do {                                                            \
        static const expected_t cases[] = {__VA_ARGS__};            \
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) \
            expect_one(&cases[i]);                                  \
    } while (0)

Test(mex, adds_two_numbers) { EXPECT({"{add: [1, '{n}']}", "8"}); }

Test(mex, arithmetic) {
    EXPECT({"{add: [1, 2, 3]}", "6"}, {"{add: [1, 2.5]}", "3.5"}, {"{add: ['2', 3]}", "5"},
           {"{add: ['2.5', '1']}", "3.5"}, {"{add: []}", "0"}, {"{mul: []}", "1"}, {"{add: '{xs}'}", "13"},
           {"{add: ['{xs}']}", "13"}, {"{add: ['{t}', 1]}", "2"}, {"{sub: [10, 1, 2]}", "7"},
           {"{sub: [5]}", "-5"}, {"{sub: 5}", "-5"}, {"{sub: {add: [2, 3]}}", "-5"},
           {"{mul: [3, 4, 2]}", "24"}, {"{mul: [2, 0.5]}", "1.0"}, {"{div: [6, 3]}", "2.0"},
           {"{div: [7, 2]}", "3.5"}, {"{mod: [7, 3]}", "1"}, {"{mod: [-7, 3]}", "2"},
           {"{mod: [7, -3]}", "-2"}, {"{mod: [-7.5, 2]}", "0.5"}, {"{mod: [6, -3.0]}", "-0.0"},
           {"{pow: [2, 10]}", "1024"}, {"{pow: [2, -1]}", "0.5"}, {"{pow: [9, 0.5]}", "3.0"},
           {"{pow: [-3, 3]}", "-27"}, {"{pow: [2, 63]}", "9.223372036854776e+18"}, {"{pow: [0, 0]}", "1"},
           {"{neg: 5}", "-5"}, {"{neg: [-2.5]}", "2.5"}, {"{abs: -3}", "3"}, {"{abs: [-3.25]}", "3.25"},
           {"{sub: [{mul: ['{n}', '{n}']}, {div: [8, '{n}']}]}", "47.857142857142854"},
           {"{mul: [0, -5]}", "0"});
}

Test(mex, integers_become_reals_only_when_they_overflow) {
    EXPECT({"{add: [9223372036854775807, 1]}", "9.223372036854776e+18"},
           {"{mul: [9223372036854775807, 2]}", "1.8446744073709552e+19"},
           {"{add: [9007199254740993, 0]}", "9007199254740993"},
           {"{neg: -9223372036854775808}", "9.223372036854776e+18"},
           {"{abs: -9223372036854775808}", "9.223372036854776e+18"},
           {"{mod: [-9223372036854775808, -1]}", "0"},
           {"{sub: [-9223372036854775807, 2]}", "-9.223372036854776e+18"},
           {"{mul: [9223372036854775807, 9223372036854775807]}", "8.507059173023462e+37"},
           {"{neg: -9223372036854775808}", "9.223372036854776e+18"});
}

Test(mex, rounding) {
    EXPECT({"{round: 2.4}", "2"}, {"{round: 2.5}", "2"}, {"{round: 3.5}", "4"}, {"{round: -2.5}", "-2"},
           {"{round: 7}", "7"}, {"{round: [2.675, 2]}", "2.67"}, {"{round: [1234, -2]}", "1200"},
           {"{round: {value: 0.125, digits: 2}}", "0.12"}, {"{floor: -2.5}", "-3"}, {"{ceil: 2.1}", "3"},
           {"{floor: 1.0e+300}", "1e+300"}, {"{round: '2.6'}", "3"});
}

Test(mex, min_and_max) {
    EXPECT({"{min: [3, 1, 2]}", "1"}, {"{max: [3, 1.5, 2]}", "3"}, {"{max: '{xs}'}", "5"},
           {"{min: ['{xs}']}", "3"}, {"{max: ['9', '10']}", "10"}, {"{min: [b, a]}", "\"a\""},
           {"{max: [[1, 4]]}", "4"}, {"{min: '{empty}'}", NULL}, {"{max: [1, x]}", "1"},
           {"{max: [x, -1]}", "0"}, {"{min: ['5', 18, '']}", "0"}, {"{min: [null]}", "0"},
           {"{min: ['5', '']}", "0"}, {"{max: ['', a]}", "\"a\""}, {"{max: [[], 1]}", NULL});
}

Test(mex, arithmetic_errors_name_the_operator) {
    EXPECT({"{div: [1, 0]}", NULL}, {"{mod: [1, 0.0]}", NULL}, {"{add: [1, '{pair}', {a: 1}]}", NULL},
           {"{add: [1, [2]]}", NULL}, {"{pow: [0, -1]}", NULL}, {"{pow: [-8, 0.5]}", NULL},
           {"{pow: [10.0, 400]}", NULL}, {"{neg: {a: 1}}", NULL}, {"{sub: '{empty}'}", NULL},
           {"{mul: [1.0e+300, 1.0e+300]}", NULL}, {"{div: [1, x]}", NULL}, {"{mod: [1, null]}", NULL});
    world_t w;
    err_t err;
    value_t v;
    world_init(&w, "{add: [1, {div: [1, '{f}']}]}", MEX_VALUE);
    cr_assert_eq(mex_eval(w.m, &w.scope, &v, &err), SDG_EINVAL);
    cr_expect_str_eq(err.text, "div: division by zero");
    world_free(&w);
    world_init(&w, "{mul: [2, '{xs}']}", MEX_VALUE);
    cr_assert_eq(mex_eval(w.m, &w.scope, &v, &err), SDG_EINVAL);
    cr_expect_str_eq(err.text, "mul: a number was expected, not [5, 3, 5]");
    world_free(&w);
}

/* What is no number counts as 0 in arithmetic, and how often is counted. */
static void expect_zeros(const char *expr, const char *want, uint64_t zeros) {
    world_t w;
    err_t err = {0};
    value_t v;
    world_init(&w, expr, MEX_VALUE);
    cr_assert_eq(mex_eval(w.m, &w.scope, &v, &err), SDG_OK, "%s: %s", expr, err.text);
    char *got = json_text(v);
    cr_expect_str_eq(got, want, "%s gives %s, not %s", expr, got, want);
    cr_expect_eq(w.scope.zeros, zeros, "%s", expr);
    free(got);
    value_free(v);
    world_free(&w);
}

Test(mex, what_is_no_number_counts_as_0_in_arithmetic) {
    expect_zeros("{add: [1, abc]}", "1", 1);
    expect_zeros("{add: [1, '{nope}', null, '', ' 2 ']}", "3", 3);
    expect_zeros("{add: ['1e999', 1]}", "1", 1);
    expect_zeros("{mul: [2, '{s}']}", "0", 1);
    expect_zeros("{sub: [x]}", "0", 1);
    expect_zeros("{neg: x}", "0", 1);
    expect_zeros("{abs: null}", "0", 1);
    expect_zeros("{round: ''}", "0", 1);
    expect_zeros("{floor: x}", "0", 1);
    expect_zeros("{pow: [2, x]}", "1", 1);
    expect_zeros("{to_number: abc}", "0", 1);
    expect_zeros("{to_number: ''}", "0", 1);
    expect_zeros("{to_number: '{nope}'}", "0", 1);
    expect_zeros("{to_number: true}", "1", 0);
    expect_zeros("{max: [x, -1]}", "0", 1);
    expect_zeros("{lt: [x, 1]}", "true", 0);
    expect_zeros("{eq: [x, 0]}", "false", 0);
}

Test(mex, integers_beyond_64_bits_keep_their_digits) {
    EXPECT({"12345678901234567890", "12345678901234567890"},
           {"{to_number: '18446744073709551616'}", "18446744073709551616"},
           {"{to_number: ' -0009223372036854775809 '}", "-9223372036854775809"},
           {"{parse_json: '[12345678901234567890, -9223372036854775808]'}",
            "[12345678901234567890,-9223372036854775808]"},
           {"{round: 12345678901234567890}", "12345678901234567890"},
           {"{floor: '12345678901234567890'}", "12345678901234567890"},
           {"{round: [12345678901234567890, 2]}", "12345678901234567890"},
           {"{max: [12345678901234567890, '12345678901234567891', 1]}", "12345678901234567891"},
           {"{min: [-9223372036854775809, -9.3e+18, 0]}", "-9.3e+18"},
           {"{concat: [n, 12345678901234567890]}", "\"n12345678901234567890\""},
           {"{to_string: [[12345678901234567890]]}", "\"[[12345678901234567890]]\""},
           {"{stringify: {a: -9223372036854775809}}", "\"{\\\"a\\\": -9223372036854775809}\""},
           {"{to_boolean: 9223372036854775808}", "true"});
}

Test(mex, arithmetic_beyond_64_bits_gives_reals) {
    EXPECT({"{add: [9223372036854775807, 1]}", "9.223372036854776e+18"},
           {"{add: [9223372036854775808, 1]}", "9.223372036854776e+18"},
           {"{sub: [12345678901234567890, 12345678901234567890]}", "0.0"},
           {"{neg: -9223372036854775808}", "9.223372036854776e+18"},
           {"{abs: -9223372036854775808}", "9.223372036854776e+18"},
           {"{neg: 9223372036854775808}", "-9.223372036854776e+18"},
           {"{round: [12345678901234567890, -2]}", "1.2345678901234567e+19"},
           {"{mod: [18446744073709551616, 10]}", "6.0"});
}

Test(mex, large_integers_are_compared_exactly) {
    EXPECT({"{eq: [12345678901234567890, 12345678901234567890]}", "true"},
           {"{eq: [12345678901234567890, 12345678901234567891]}", "false"},
           {"{eq: [12345678901234567890, '12345678901234567890']}", "true"},
           {"{eq: [12345678901234567890, '12345678901234567891']}", "false"},
           {"{eq: [12345678901234567891, 12345678901234567168.0]}", "false"},
           {"{eq: [18446744073709551616, 18446744073709551616.0]}", "true"},
           {"{eq: [9223372036854775808, 9223372036854775807]}", "false"},
           {"{lt: [12345678901234567890, 12345678901234567891]}", "true"},
           {"{lt: ['12345678901234567890', '12345678901234567891']}", "true"},
           {"{gt: [18446744073709551617, 18446744073709551616.0]}", "true"},
           {"{lt: [-12345678901234567890, -9223372036854775808]}", "true"},
           {"{gt: [12345678901234567890, abc]}", "true"}, {"{lt: [12345678901234567890, .inf]}", "true"},
           {"{ge: [12345678901234567890, .nan]}", "false"},
           {"{contains: [[12345678901234567890], 12345678901234567891]}", "false"},
           {"{contains: [[12345678901234567890], '12345678901234567890']}", "true"},
           {"{unique: [12345678901234567890, 12345678901234567891, 12345678901234567890]}",
            "[12345678901234567890,12345678901234567891]"},
           {"{unique: [18446744073709551616, 18446744073709551616.0, '18446744073709551616']}",
            "[18446744073709551616]"},
           {"{sort: [12345678901234567891, a, 1.0e+30, 12345678901234567890, -9223372036854775809, 5]}",
            "[-9223372036854775809,5,12345678901234567890,12345678901234567891,1e+30,\"a\"]"});
}

Test(mex, equality) {
    EXPECT({"{eq: [1, 1.0]}", "true"}, {"{eq: ['1', 1]}", "true"}, {"{eq: [a, a]}", "true"},
           {"{eq: [a, A]}", "false"}, {"{eq: ['10', '10.0']}", "false"}, {"{eq: [10, '10.0']}", "true"},
           {"{eq: ['01234', '1234']}", "false"}, {"{ne: ['1', '1.0']}", "true"}, {"{ne: [x, y]}", "true"},
           {"{equals: ['{s}', 'me@x.org']}", "true"}, {"{not_equals: ['{s}', 'me@x.org']}", "false"},
           {"{eq: [[1, [2]], [1, [2]]]}", "true"}, {"{eq: [{j: 2, k: 1}, {k: 1, j: 2}]}", "true"},
           {"{eq: ['{t}', true]}", "true"}, {"{eq: ['{nope}', '']}", "true"},
           {"{eq: ['{none}', null]}", "true"}, {"{eq: [null, 0]}", "false"}, {"{eq: [0, abc]}", "false"},
           {"{eq: ['{t}', 'True']}", "true"}, {"{eq: ['{f}', 'false']}", "true"},
           {"{eq: ['{t}', 'yes']}", "false"}, {"{eq: '{pair}'}", "true"},
           {"{eq: ['{xs}', '[5, 3, 5]']}", "true"},
           {"{eq: [9223372036854775807, 9223372036854775808.0]}", "false"}, {"{eq: '{xs}'}", NULL});
}

Test(mex, order) {
    EXPECT({"{lt: ['9', '10']}", "true"}, {"{lt: [abc, abd]}", "true"}, {"{gt: [b, a]}", "true"},
           {"{gt: [abc, -1]}", "true"}, {"{lt: [abc, 0]}", "false"}, {"{le: [2, 2]}", "true"},
           {"{ge: ['2.5', 2]}", "true"}, {"{gte: [3, 3]}", "true"}, {"{lte: [4, 3]}", "false"},
           {"{lt: ['{nope}', 1]}", "true"}, {"{lt: [[1, 2], [1, 3]]}", "true"},
           {"{lt: [[1], [1, 0]]}", "true"}, {"{lt: [9223372036854775807, 9223372036854775808.0]}", "true"},
           {"{gt: ['', 5]}", "false"}, {"{gt: ['1e999', 5]}", "false"}, {"{lt: [.nan, 1]}", "false"},
           {"{ge: [.nan, 1]}", "false"}, {"{lt: ['{nope}', a]}", "true"});
}

Test(mex, contains_and_is_empty) {
    EXPECT({"{contains: ['{s}', x]}", "true"}, {"{contains: ['{s}', q]}", "false"},
           {"{contains: ['{xs}', 3]}", "true"}, {"{contains: ['{xs}', '3']}", "true"},
           {"{contains: ['{xs}', 4]}", "false"}, {"{contains: ['{o}', key]}", "true"},
           {"{contains: ['{o}', zz]}", "false"}, {"{contains: [1520, 52]}", "true"},
           {"{contains: ['{nope}', o]}", "false"}, {"{is_empty: '{e}'}", "true"},
           {"{is_empty: ['{s}']}", "false"}, {"{is_empty: '{nope}'}", "true"}, {"{is_empty: []}", "true"},
           {"{is_empty: \" \\n\"}", "true"}, {"{is_empty: {}}", "true"}, {"{is_empty: 0}", "false"},
           {"{is_empty: '{f}'}", "false"});
}

Test(mex, logic) {
    EXPECT({"{and: [1, x, [0]]}", "true"}, {"{and: [1, '']}", "false"}, {"{and: []}", "true"},
           {"{or: [0, '', [], {}, null, false]}", "false"}, {"{or: [0, 'no']}", "true"}, {"{not: 0}", "true"},
           {"{not: '0'}", "false"}, {"{not: []}", "true"}, {"{not: [0]}", "true"},
           {"{not: {gt: ['{num}', 3]}}", "false"}, {"{or: [1, {div: [1, 0]}]}", "true"},
           {"{and: [0, {div: [1, 0]}]}", "false"}, {"{and: '{xs}'}", "true"},
           {"{and: [{or: [{eq: ['{s}', 'no']}, {ge: ['{num}', 5]}]}, {not: {lt: ['{num}', '3']}}]}", "true"});
}

Test(mex, text) {
    EXPECT({"{concat: [a, 1, 2.0, true, null, [x], {k: 1}]}", "\"a12.0TrueNone['x']{'k': 1}\""},
           {"{concat: []}", "\"\""},
           {"{concat: ['{n} and {s}', '|', '{s}', {upper: {concat: ['x', '{n}']}}]}",
            "\"7 and me@x.org|me@x.orgX7\""},
           {"{split: ['a,b,,c', ',']}", "[\"a\",\"b\",\"\",\"c\"]"},
           {"{split: ['one--two', '--']}", "[\"one\",\"two\"]"}, {"{split: ['', ',']}", "[\"\"]"},
           {"{split: \"  a\\tb c \"}", "[\"a\",\"b\",\"c\"]"},
           {"{split: {text: a-b, sep: '-'}}", "[\"a\",\"b\"]"}, {"{split: [abc, '']}", NULL},
           {"{join: [[a, 1, 2.5], '-']}", "\"a-1-2.5\""}, {"{join: '{xs}'}", "\"535\""},
           {"{join: {list: '{xs}', sep: ', '}}", "\"5, 3, 5\""}, {"{join: [[], x]}", "\"\""},
           {"{join: ['abc', x]}", NULL}, {"{replace: [aXbXc, X, '--']}", "\"a--b--c\""},
           {"{replace: [ab, '', '-']}", "\"-a-b-\""}, {"{replace: [aaa, aa, b]}", "\"ba\""},
           {"{replace: [a1, 1, 22]}", "\"a22\""}, {"{trim: ' x '}", "\"x\""}, {"{trim: [' x y']}", "\"x y\""},
           {"{upper: 12}", "\"12\""}, {"{lower: ['AB']}", "\"ab\""}, {"{lower: '{nope}'}", "\"none\""},
           {"{upper: {trim: {concat: ['  n=', '{n}', '  ']}}}", "\"N=7\""},
           {"{starts_with: [hello, he]}", "true"}, {"{starts_with: [hello, lo]}", "false"},
           {"{ends_with: [hello, lo]}", "true"}, {"{ends_with: [lo, hello]}", "false"});
    expect_one(&(expected_t){"{lower: \"\\u00C0BC \\u03A9\"}", "\"\xc3\xa0"
                                                               "bc \xcf\x89\""});
    expect_one(&(expected_t){"{upper: \"stra\\u00DFe \\u00E9\"}", "\"STRASSE \xc3\x89\""});
}

Test(mex, len_counts_characters_elements_and_keys) {
    EXPECT({"{len: \"h\\u00e9\\u00e9\\U0001F600\"}", "4"}, {"{len: [1, 2, 3]}", "3"},
           {"{len: {var: o}}", "3"}, {"{len: {a: 1}}", "1"}, {"{len: '{xs}'}", "3"}, {"{len: ['{xs}']}", "3"},
           {"{len: [abc]}", "1"}, {"{len: ['{s}']}", "1"}, {"{len: [[1, 2]]}", "1"}, {"{len: 1234}", "4"},
           {"{len: '{nope}'}", "0"}, {"{len: []}", "0"}, {"{len: ['{xs}', '{xs}']}", "2"});
}

Test(mex, regular_expressions) {
    EXPECT({"{regex_match: {text: order 66, pattern: '\\d+'}}", "true"},
           {"{regex_match: {text: order, pattern: '^\\d'}}", "false"},
           {"{regex_match: {string: '{s}', pattern: '.+@.+'}}", "true"},
           {"{match: {text: abc, pattern: b}}", "true"}, {"{match: [abc, '^b']}", "false"},
           {"{regex_extract: {text: a1 b22, pattern: '\\d+'}}", "[\"1\",\"22\"]"},
           {"{regex_extract: {text: 'k=v, x=y', pattern: '(\\w)='}}", "[\"k\",\"x\"]"},
           {"{regex_extract: {text: a1 b22, pattern: '\\d+', index: 1}}", "\"22\""},
           {"{regex_extract: {text: a1 b22, pattern: '\\w+', index: 0}}", "\"a1\""},
           {"{regex_extract: {text: a1 b22, pattern: '\\w+', index: -1}}", "\"b22\""},
           {"{regex_extract: {text: a, pattern: x, index: 0}}", "null"},
           {"{regex_extract: {text: abc, pattern: '\\d'}}", "[]"},
           {"{regex_extract: {text: 'k=1,x=2', pattern: '(\\w)=(\\d)'}}", "[[\"k\",\"1\"],[\"x\",\"2\"]]"},
           {"{regex_replace: {text: a1b2, pattern: '\\d', replacement: '#'}}", "\"a#b#\""},
           {"{regex_replace: {text: John Smith, pattern: '(\\w+) (\\w+)', replacement: '\\2, \\1'}}",
            "\"Smith, John\""},
           {"{regex_match: {text: call 555-1234, pattern: '\\d{3}-\\d{4}'}}", "true"},
           {"{regex_match: {text: a7b, pattern: 'a{n}b'}}", "true"},
           {"{regex_match: {text: x, pattern: '({e}'}}", NULL},
           {"{regex_match: {text: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab, pattern: '(a+)+$'}}", NULL},
           {"{regex_replace: {text: a, pattern: a, replacement: '\\4'}}", NULL},
           {"{regex_match: {text: '{nope}', pattern: '^None$'}}", "true"},
           {"{regex_match: {text: 5, pattern: 5}}", "true"},
           {"{regex_extract: {text: a1, pattern: '\\d', index: x}}", NULL});
}

Test(mex, lambdas) {
    EXPECT({"{map: {list: [1, 2, 3], fn: {mul: [{var: item}, 2]}}}", "[2,4,6]"},
           {"{map: {list: '{xs}', var: x, fn: {concat: ['#', '{x}']}}}", "[\"#5\",\"#3\",\"#5\"]"},
           {"{map: {list: [a, b], fn: {concat: ['{item}', {var: index}]}}}", "[\"a0\",\"b1\"]"},
           {"{map: ['{xs}', 'v{item}']}", "[\"v5\",\"v3\",\"v5\"]"},
           {"{filter: {list: '{xs}', fn: {gt: [{var: item}, 4]}}}", "[5,5]"},
           {"{filter: {list: [a, b, c], fn: {ne: [{var: index}, 1]}}}", "[\"a\",\"c\"]"},
           {"{filter: {list: '{os}', var: o, fn: {eq: ['{o.k}', y]}}}", "[{\"k\":\"y\",\"n\":2}]"},
           {"{map: {list: [[1, 2], [3]], var: row, fn: {map: {list: {var: row}, var: c, fn: {add: [{var: c}, "
            "{len: {var: row}}]}}}}}",
            "[[3,4],[4]]"},
           {"{reduce: {list: [1, 2, 3, 4], init: 10, fn: {add: [{var: accumulator}, {var: item}]}}}", "20"},
           {"{reduce: {list: [1, 2, 3], fn: {concat: ['{accumulator}', '{item}{index}']}}}", "\"12132\""},
           {"{reduce: {list: [], fn: 1}}", "null"},
           {"{reduce: {list: [1, 2], accumulator: a, var: b, fn: {sub: ['{a}', '{b}']}}}", "-1"},
           {"{reduce: {list: [], init: x, fn: 1}}", "\"x\""}, {"{any: [0, {gt: [2, 1]}]}", "true"},
           {"{all: [1, '']}", "false"}, {"{any: []}", "false"}, {"{all: []}", "true"},
           {"{any: '{xs}'}", "true"}, {"{any: {list: '{xs}', fn: {eq: [{var: item}, 3]}}}", "true"},
           {"{all: {list: '{xs}', fn: {gt: [{var: item}, 3]}}}", "false"}, {"{any: {list: [0, 0]}}", "false"},
           {"{map: {list: [], fn: 1}}", "[]"}, {"{map: {list: '{nope}', fn: 1}}", "[]"},
           {"{map: {list: 5, fn: 1}}", NULL}, {"{map: {list: [1, 0], fn: {div: [1, {var: item}]}}}", NULL},
           {"{filter: {list: '{s}', fn: 1}}", NULL});
}

Test(mex, unique_and_sort) {
    EXPECT({"{unique: [3, 1, 3, 2, 1]}", "[3,1,2]"},
           {"{unique: [{a: 1, b: 2}, {b: 2, a: 1}, {a: 2}]}", "[{\"a\":1,\"b\":2},{\"a\":2}]"},
           {"{unique: [1, 1.0, '1', true]}", "[1,true]"},
           {"{unique: ['1', '01', 1, '1.0', '1']}", "[\"1\",\"01\",\"1.0\"]"},
           {"{unique: {list: '{os}', fn: 1}}", "[{\"k\":\"x\",\"n\":1}]"}, {"{unique: []}", "[]"},
           {"{sort: {var: xs}}", "[3,5,5]"}, {"{sort: [b, C, a]}", "[\"C\",\"a\",\"b\"]"},
           {"{sort: [3, 1.5, 2]}", "[1.5,2,3]"}, {"{sort: ['{xs}']}", "[3,5,5]"},
           {"{sort: [b, 2, a, 1]}", "[1,2,\"a\",\"b\"]"},
           {"{sort: [[2, 1], [1, 5], [1]]}", "[[1],[1,5],[2,1]]"}, {"{sort: [1, null]}", NULL},
           {"{sort: [1, [2]]}", NULL}, {"{sort: [{a: 1}]}", NULL}, {"{sort: []}", "[]"},
           {"{sort: {list: '{os}', fn: {neg: '{item.n}'}}}", "[{\"k\":\"y\",\"n\":2},{\"k\":\"x\",\"n\":1}]"},
           {"{sort: {list: [1, 3, 2], reverse: true}}", "[3,2,1]"}, {"{sort: {unique: '{xs}'}}", "[3,5]"});
}

Test(mex, parts_of_lists_and_text) {
    EXPECT({"{slice: {list: [1, 2, 3, 4, 5], start: 1, end: 3}}", "[2,3]"},
           {"{slice: {list: [1, 2, 3, 4, 5], start: -2}}", "[4,5]"},
           {"{slice: {list: [1, 2, 3, 4, 5], end: -1}}", "[1,2,3,4]"},
           {"{slice: {list: [1, 2], start: 5}}", "[]"}, {"{slice: {list: '{xs}', start: 2, end: 1}}", "[]"},
           {"{slice: [[1, 2, 3], 1]}", "[2,3]"}, {"{slice: {text: abc, start: -2}}", "\"bc\""},
           {"{slice: {list: 12345, start: 1, end: 3}}", "\"23\""},
           {"{slice: {list: \"h\\u00e9llo\", start: 1, end: 3}}", "\"\xc3\xa9l\""},
           {"{slice: {list: [1], start: x}}", NULL}, {"{slice: {list: [1, 2], start: null, end: 1}}", "[1]"},
           {"{first: {var: xs}}", "5"}, {"{last: [a, b]}", "\"b\""}, {"{first: []}", "null"},
           {"{last: '{e}'}", "null"}, {"{first: abc}", "\"a\""}, {"{last: \"b\\u00e9\"}", "\"\xc3\xa9\""},
           {"{first: ['{xs}']}", "5"}, {"{first: ['{n}']}", "7"},
           {"{first: {list: '{xs}', fn: {lt: ['{item}', 4]}}}", "3"},
           {"{last: {list: '{xs}', fn: {gt: ['{item}', 9]}}}", "null"}, {"{range: [1, 4]}", "[1,2,3]"},
           {"{range: 3}", "[0,1,2]"}, {"{range: [3, 1]}", "[]"}, {"{range: [5, 0, -2]}", "[5,3,1]"},
           {"{range: {start: 1, end: 3}}", "[1,2]"}, {"{range: [0, 1.5]}", NULL},
           {"{range: [0, '{nope}']}", NULL}, {"{range: [0, 4000000000000]}", NULL},
           {"{range: [1, 2, 0]}", NULL});
}

Test(mex, control) {
    EXPECT({"{if: {cond: {gt: [2, 1]}, then: pos, else: neg}}", "\"pos\""},
           {"{if: {cond: 0, then: 1}}", "null"}, {"{if: ['{t}', 1, {div: [1, 0]}]}", "1"},
           {"{case: {when: [{cond: {lt: ['{n}', 3]}, then: low}, {cond: {lt: ['{n}', 10]}, then: mid}], "
            "else: high}}",
            "\"mid\""},
           {"{case: {when: [{cond: {lt: ['{n}', 3]}, value: low}, {cond: true, value: rest}]}}", "\"rest\""},
           {"{case: {when: [{cond: false, then: 1}], default: {add: [1, 1]}}}", "2"},
           {"{case: {when: []}}", "null"},
           {"{let: {var: t, value: {add: ['{n}', 1]}, in: {mul: [{var: t}, {var: t}]}}}", "64"},
           {"{let: {var: t, value: 5}}", "5"});
}

Test(mex, references) {
    EXPECT({"{var: n}", "7"}, {"{var: g}", "\"glob\""}, {"{var: K}", "\"konst\""}, {"{var: absent}", "null"},
           {"{var: [n]}", "7"}, {"{var: 'p.q[1]'}", "2"}, {"{var: '{key}'}", "\"key\""}, {"{ref: n}", "7"},
           {"{ref: g}", "null"}, {"{var: both}", "\"row\""}, {"'{both}'", "\"row\""}, {"'{nope}'", "null"},
           {"'{nope}!'", "\"{nope}!\""}, {"{get: [{var: o}, 'a.b[1].c']}", "9"},
           {"{get: [{var: o}, {path: 'a.b[0]'}]}", "1"},
           {"{get: {obj: {var: o}, path: a.zz, default: dflt}}", "\"dflt\""},
           {"{get: {obj: {var: o}, path: a.zz}}", "null"},
           {"{get: [{var: o}, {path: nope}], default: {add: [1, 2]}}", "3"},
           {"{get: [{var: o}, {path: nope, default: 4}]}", "4"}, {"{get: [{var: o}, nope, 6]}", "6"},
           {"{get: [{var: o}, 'a.b[7]']}", "null"}, {"{get: {obj: '{o}', path: '{key}'}}", "\"found\""},
           {"{get: ['{xs}', 1]}", "3"}, {"{get: ['{xs}', -1]}", "5"}, {"{get: ['{xs}', '[0]']}", "5"},
           {"{get: ['{o}', d.e]}", "3"}, {"{get: [null, a]}", "null"},
           {"{set: {in: {var: o}, path: a.b, value: 5}}", "{\"a\":{\"b\":5},\"key\":\"found\",\"d.e\":3}"},
           {"{set: {in: {x: 1}, path: y.z, value: 2}}", "{\"x\":1,\"y\":{\"z\":2}}"},
           {"{set: {in: 5, path: y, value: 2}}", NULL}, {"[{set: {var: g, value: 3}}, {var: g}]", "[3,3]"},
           {"{set: {var: K, value: 1}}", NULL});
}

Test(mex, literals) {
    EXPECT({"{plain: 1, calc: {add: [1, 1]}}", "{\"plain\":1,\"calc\":2}"},
           {"[{add: [1, 2]}, x, [{neg: 1}]]", "[3,\"x\",[-1]]"}, {"{unknown: '{n}'}", "{\"unknown\":7}"},
           {"{add: 1, sub: '{n}'}", "{\"add\":1,\"sub\":7}"}, {"null", "null"}, {"{}", "{}"}, {"[]", "[]"},
           {"{k: {eql: [1, 2]}}", "{\"k\":{\"eql\":[1,2]}}"});
}

Test(mex, conversions) {
    EXPECT({"{to_number: '42'}", "42"}, {"{to_number: '3.5'}", "3.5"}, {"{to_number: 7}", "7"},
           {"{to_number: ' 8 '}", "8"}, {"{to_number: '2.0'}", "2.0"}, {"{to_number: abc}", "0"},
           {"{to_number: ''}", "0"}, {"{to_number: '{nope}'}", "0"}, {"{to_number: [1, 2]}", NULL},
           {"{to_string: [1, a, null]}", "\"[1, 'a', None]\""}, {"{to_string: 2.0}", "\"2.0\""},
           {"{to_string: x}", "\"x\""}, {"{to_boolean: x}", "true"}, {"{to_boolean: 'no'}", "true"},
           {"{to_boolean: []}", "false"}, {"{to_boolean: 0}", "false"},
           {"{parse_json: '{\"a\": [1, 2.5, null, true]}'}", "{\"a\":[1,2.5,null,true]}"},
           {"{parse_json: '{xs}'}", "[5,3,5]"}, {"{parse_json: '{nope}'}", NULL},
           {"{parse_json: '{x'}", NULL}, {"{get: {obj: {parse_json: '{js}'}, path: 'k[0]'}}", "\"\xc3\xa9\""},
           {"{stringify: [1, \"\\u00e9\"]}", "\"[1, \\\"\xc3\xa9\\\"]\""},
           {"{stringify: {a: 1, b: [true, null]}}", "\"{\\\"a\\\": 1, \\\"b\\\": [true, null]}\""});
}

Test(mex, chance) {
    EXPECT({"{randint: {min: 7, max: 7}}", "7"}, {"{randint: [3, 3]}", "3"}, {"{choose: [only]}", "\"only\""},
           {"{choose: '{empty}'}", NULL}, {"{choose: []}", NULL}, {"{randint: {min: 2, max: 1}}", NULL},
           {"{randint: {min: a, max: 1}}", NULL},
           {"{let: {var: z, value: {rand: {min: 3, max: 4}}, in: {and: [{ge: [{var: z}, 3]}, {lt: [{var: z}, "
            "4]}]}}}",
            "true"},
           {"{lt: [{rand: {max: 0.5}}, 0.5]}", "true"}, {"{lt: [{rand: null}, 1]}", "true"},
           {"{lt: [{rand: {}}, 1]}", "true"}, {"{contains: [[1, 2], {choose: {list: [1, 2]}}]}", "true"},
           {"{regex_match: {text: {now: null}, pattern: "
            "'^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}$'}}",
            "true"});
}

Test(mex, the_same_seed_gives_the_same_values) {
    char *first = NULL;
    for (int i = 0; i < 2; i++) {
        world_t w;
        value_t v;
        world_init(&w,
                   "[{rand: {min: 0, max: 1}}, {randint: {min: 1, max: 1000000}}, {choose: [a, b, c, d]}]",
                   MEX_VALUE);
        cr_assert_eq(mex_eval(w.m, &w.scope, &v, NULL), 0);
        char *text = json_text(v);
        if (first) cr_expect_str_eq(text, first);
        free(first);
        first = text;
        value_free(v);
        world_free(&w);
    }
    free(first);
}

Test(mex, a_changed_copy_leaves_the_original) {
    world_t w;
    value_t v, before = json(ROW);
    world_init(&w,
               "[{set: {in: {var: o}, path: a.b, value: 5}}, {sort: '{xs}'}, {set: {in: '{xs}', path: '[0]', "
               "value: 9}}]",
               MEX_VALUE);
    cr_assert_eq(mex_eval(w.m, &w.scope, &v, NULL), 0);
    cr_expect(value_equal(w.context, before));
    value_free(v);
    value_free(before);
    world_free(&w);
}

Test(mex, constants_are_evaluated_at_load) {
    static const struct {
        const char *expr;
        bool constant;
    } cases[] = {{"{add: [1, {mul: [2, 3]}]}", true},
                 {"[1, {a: x}]", true},
                 {"{upper: a}", true},
                 {"{now: null}", false},
                 {"{rand: {}}", false},
                 {"{choose: [1]}", false},
                 {"{div: [1, 0]}", false},
                 {"{var: n}", false},
                 {"'{n}'", false},
                 {"{add: [1, '{n}']}", false},
                 {"{range: [0, 1000000]}", false},
                 {"{set: {var: x, value: 1}}", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_t w;
        world_init(&w, cases[i].expr, MEX_VALUE);
        cr_assert(w.m);
        cr_expect_eq(w.m->constant, cases[i].constant, "%s", cases[i].expr);
        world_free(&w);
    }
}

/* ---- conditions */

Test(conditions, forms) {
    static const struct {
        const char *expr;
        bool want;
    } cases[] = {
        {"{gt: [{var: n}, 5]}", true},
        {"'{\"equals\": [\"{s}\", \"me@x.org\"]}'", true},
        {"'{\"and\": [{\"eq\": [{\"var\": \"K\"}, \"konst\"]}, {\"ge\": [{\"var\": \"n\"}, 8]}]}'", false},
        {"true", true},
        {"'false'", false},
        {"'{t}'", true},
        {"'{f}'", false},
        {"'{e}'", false},
        {"text", true},
        {"0", false},
        {"{filter: {list: [], fn: 1}}", false},
        {"{eq: ['{o}', {k: 1}]}", false},
        {"{not: {equals: ['{s}', 'on']}}", true},
        {"{get: [{var: o}, zz], default: 1}", true},
        {"' [] '", false},
        {"{any: {list: [{a: 1, b: 2}, {a: 3}], fn: {gt: ['{item.b}', 1]}}}", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_t w;
        bool yes;
        err_t err;
        world_init(&w, cases[i].expr, MEX_CONDITION);
        cr_assert(w.m, "%s: %s", cases[i].expr, w.diags.count ? w.diags.items[0].message : "?");
        cr_assert_eq(mex_eval_bool(w.m, &w.scope, &yes, &err), 0);
        cr_expect_eq(yes, cases[i].want, "%s", cases[i].expr);
        world_free(&w);
    }
}

Test(conditions, an_empty_one_is_no_condition) {
    static const char *const empty[] = {"null", "{}", "''", "'{}'", "' { } '", "'null'"};
    static const mex_mode_t modes[] = {MEX_CONDITION, MEX_OPERAND};
    for (size_t i = 0; i < 2 * sizeof empty / sizeof empty[0]; i++) {
        world_t w;
        bool yes;
        err_t err;
        const char *expr = empty[i / 2];
        world_init(&w, expr, modes[i % 2]);
        cr_assert(w.m, "%s: %s", expr, w.diags.count ? w.diags.items[0].message : "?");
        cr_assert_eq(mex_eval_bool(w.m, &w.scope, &yes, &err), 0);
        cr_expect_eq(yes, modes[i % 2] == MEX_CONDITION, "%s", expr);
        world_free(&w);
    }
    EXPECT({"{if: {cond: {}, then: 1, else: 2}}", "2"}, {"{and: [true, {}]}", "false"},
           {"{case: {when: [{cond: {}, then: 1}], else: 2}}", "2"}, {"{not: {}}", "true"});
}

static void expect_refused(const char *expr, mex_mode_t mode, const char *path, const char *word) {
    world_t w;
    world_init(&w, expr, mode);
    cr_expect_null(w.m, "%s was accepted", expr);
    cr_assert(w.diags.errors > 0, "%s", expr);
    const diag_t *d = NULL;
    for (size_t i = 0; i < w.diags.count && !d; i++)
        if (w.diags.items[i].level == DIAG_ERROR) d = &w.diags.items[i];
    cr_expect_str_eq(d->path, path, "%s: at %s", expr, d->path);
    cr_expect(strstr(d->message, word), "%s: %s", expr, d->message);
    world_free(&w);
}

Test(conditions, unknown_operators_are_load_errors) {
    expect_refused("{equalz: [1, 1]}", MEX_CONDITION, "e.equalz", "did you mean \"equals\"");
    expect_refused("{foo: 1}", MEX_CONDITION, "e.foo", "unknown operator");
    expect_refused("{and: [{equls: [1, 1]}]}", MEX_CONDITION, "e.and[0].equls", "equals");
    expect_refused("{all: {list: [{a: 1}], fn: {bogus: 1}}}", MEX_CONDITION, "e.all.fn.bogus",
                   "unknown operator");
    expect_refused("{any: {list: [{bogus: 1}]}}", MEX_CONDITION, "e.any.list[0].bogus", "unknown operator");
    expect_refused("{not: {frobnicate: 1}}", MEX_CONDITION, "e.not.frobnicate", "unknown operator");
    expect_refused("{eq: [{conct: [a]}, b]}", MEX_CONDITION, "e.eq[0].conct", "concat");
    expect_refused("{gt: [1, 2], lt: [1, 2]}", MEX_CONDITION, "e", "2 keys");
    expect_refused("'{\"eq\": [1, {x}]}'", MEX_CONDITION, "e", "JSON");
    expect_refused("{if: {cond: {equalz: [1, 1]}, then: 1}}", MEX_VALUE, "e.if.cond.equalz", "equals");
    expect_refused("{case: {when: [{cond: {bogus: 1}, then: 1}]}}", MEX_VALUE, "e.case.when[0].cond.bogus",
                   "bogus");
}

Test(load, broken_calls_are_reported_with_their_place) {
    expect_refused("{regex_match: {text: a, pattern: '(b'}}", MEX_VALUE, "e.regex_match.pattern",
                   "regular expression");
    expect_refused("{regex_extract: {text: a, pattern: '\\d{3}['}}", MEX_VALUE, "e.regex_extract.pattern",
                   "regular expression");
    expect_refused("{eq: [1]}", MEX_VALUE, "e.eq", "2 operands");
    expect_refused("{min: []}", MEX_VALUE, "e.min", "at least 1");
    expect_refused("{div: [1]}", MEX_VALUE, "e.div", "at least 2");
    expect_refused("{map: {lst: [1], fn: 1}}", MEX_VALUE, "e.map", "`list`");
    expect_refused("{map: {list: [1]}}", MEX_VALUE, "e.map", "`fn`");
    expect_refused("{replace: [a, b]}", MEX_VALUE, "e.replace", "`new`");
    expect_refused("{slice: [1, 2, 3, 4]}", MEX_VALUE, "e.slice", "at most");
    expect_refused("{let: {value: 1, in: 2}}", MEX_VALUE, "e.let", "`var`");
    expect_refused("{set: {value: 1}}", MEX_VALUE, "e.set", "`var`");
    expect_refused("{set: {in: {}, value: 1}}", MEX_VALUE, "e.set", "both");
    expect_refused("{case: 5}", MEX_VALUE, "e.case", "`when`");
    expect_refused("{case: {when: [{then: 1}]}}", MEX_VALUE, "e.case.when[0]", "`cond`");
    expect_refused("{map: {list: [], fn: 1, var: 5}}", MEX_VALUE, "e.map.var", "a name");
    expect_refused("{var: [a, b]}", MEX_VALUE, "e.var", "a name");
    expect_refused("{get: {obj: 1}}", MEX_VALUE, "e.get", "`path`");
}

Test(load, all_problems_of_an_expression_are_reported) {
    world_t w;
    world_init(&w, "{and: [{eq: [1]}, {regex_match: {text: a, pattern: '('}}, {ne: [1, 2, 3]}]}", MEX_VALUE);
    cr_expect_null(w.m);
    cr_expect_eq(w.diags.errors, 3);
    world_free(&w);
}

Test(load, an_unknown_parameter_is_a_warning) {
    world_t w;
    world_init(&w, "{map: {list: [1], fn: 1, vra: x}}", MEX_VALUE);
    cr_assert(w.m && w.diags.warnings == 1);
    cr_expect_str_eq(w.diags.items[0].message, "map does not know \"vra\"; it knows: list, fn, var");
    world_free(&w);
}

/* ---- bounds */

static char *repeat(const char *open, const char *middle, const char *close, size_t times) {
    buf_t b;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < times; i++)
        buf_adds(&b, open);
    buf_adds(&b, middle);
    for (size_t i = 0; i < times; i++)
        buf_adds(&b, close);
    return buf_take(&b, NULL);
}

Test(bounds, depth_is_checked_at_load) {
    char *fine = repeat("{neg: ", "'{n}'", "}", 100);
    expect_one(&(expected_t){fine, "7"});
    free(fine);
    mex_t *m;
    diags_t diags;
    diags_init(&diags, "test", NULL, 0);
    ynode_t leaf = {.kind = YNODE_SCALAR, .scalar = value_int(1)};
    ynode_t nodes[MEX_DEPTH_MAX + 1];
    const ynode_t *inner[MEX_DEPTH_MAX + 1];
    for (size_t i = 0; i <= MEX_DEPTH_MAX; i++) {
        inner[i] = i ? &nodes[i - 1] : &leaf;
        nodes[i] = (ynode_t){.kind = YNODE_LIST, .count = 1, .items = &inner[i]};
    }
    m = mex_compile(NULL, &nodes[MEX_DEPTH_MAX - 1], NULL, MEX_VALUE, &diags);
    cr_expect(m && diags.errors == 0);
    mex_destroy(&m);
    m = mex_compile(NULL, &nodes[MEX_DEPTH_MAX], NULL, MEX_VALUE, &diags);
    cr_expect(!m && diags.errors == 1);
    diags_free(&diags);
}

static void expect_limit(const char *expr, const char *word) {
    world_t w;
    value_t v;
    err_t err;
    world_init(&w, expr, MEX_VALUE);
    cr_assert(w.m);
    cr_expect_eq(mex_eval(w.m, &w.scope, &v, &err), SDG_ELIMIT, "%s: %s", expr, err.text);
    cr_expect(strstr(err.text, word), "%s: %s", expr, err.text);
    value_free(v);
    world_free(&w);
}

Test(bounds, lists_texts_and_work) {
    expect_limit("{range: [0, 1000001]}", "1000000 elements");
    expect_limit("{reduce: {list: {range: 30}, init: xx, fn: {concat: ['{accumulator}', '{accumulator}']}}}",
                 "16777216 bytes");
    expect_limit("{reduce: {list: {range: 30}, init: xx, fn: '{accumulator}{accumulator}'}}", "bytes");
    expect_limit("{map: {list: {range: 10000}, fn: {map: {list: {range: 100000}, fn: {var: index}}}}}",
                 "operations");
    expect_limit("{map: {list: {range: 100000}, fn: {replace: [{join: [{range: 50000}, '']}, '0', '']}}}",
                 "operations");
}

/* Written out it would have 2^50 leaves. */
#define DOUBLED "{reduce: {list: {range: 50}, init: 0, fn: ['{accumulator}', '{accumulator}']}}"

Test(bounds, comparing_what_holds_itself_many_times_over) {
    expect_limit("{lt: [" DOUBLED ", " DOUBLED "]}", "operations");
    expect_limit("{sort: [" DOUBLED ", " DOUBLED "]}", "operations");
    EXPECT({"{eq: [" DOUBLED ", " DOUBLED "]}", "true"});
}

Test(bounds, work_is_counted_anew_for_each_evaluation) {
    world_t w;
    world_init(&w, "{add: ['{n}', 1]}", MEX_VALUE);
    w.scope.ops = MEX_OPS_MAX;
    value_t v;
    cr_expect_eq(mex_eval(w.m, &w.scope, &v, NULL), 0);
    cr_expect_eq(v.integer, 8);
    world_free(&w);
}
