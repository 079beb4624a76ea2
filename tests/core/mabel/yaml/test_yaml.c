/* test_yaml.c - YAML 1.1 as PyYAML's safe loader resolves it; bounds; positions in messages. */
#include "core/mabel/yaml/yaml.h"

#include "core/base/json.h"
#include "core/mabel/yaml/limits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct parsed {
    diags_t diags;
    ydoc_t *doc;
    char *json; /* the root as JSON, NULL without a document */
    char *said; /* all problems */
} parsed_t;

static const char *test_env(void *arg, const char *name) {
    (void)arg;
    if (strcmp(name, "CITY") == 0) return "Kyoto";
    if (strcmp(name, "TRICK") == 0) return "${ENV.CITY}";
    if (strcmp(name, "NUM") == 0) return "17";
    return NULL;
}

static parsed_t parse(const char *text) {
    static const yaml_options_t options = {.env = test_env};
    parsed_t p = {0};
    diags_init(&p.diags, "p.yaml", text, strlen(text));
    p.doc = yaml_parse(text, strlen(text), &options, &p.diags);
    buf_t out;
    buf_init(&out, 1 << 24);
    if (p.doc) {
        value_t v = yaml_value(yaml_root(p.doc));
        json_write(&out, v, JSON_COMPACT);
        value_free(v);
        p.json = buf_take(&out, NULL);
    }
    diags_write(&p.diags, DIAG_HINT, &out);
    p.said = buf_take(&out, NULL);
    return p;
}

static void done(parsed_t *p) {
    yaml_doc_free(&p->doc);
    diags_free(&p->diags);
    free(p->json);
    free(p->said);
}

static void expect(const char *text, const char *json) {
    parsed_t p = parse(text);
    cr_assert_not_null(p.json, "no document: %s", p.said);
    cr_assert_str_eq(p.json, json, "of %s\ngot  %s\nwant %s", text, p.json, json);
    cr_assert_eq(p.diags.count, 0, "%s", p.said);
    done(&p);
}

static void expect_said(const char *text, const char *part, size_t errors, size_t warnings) {
    parsed_t p = parse(text);
    cr_assert(strstr(p.said, part), "of %s\ngot  %s\nwant %s", text, p.said, part);
    cr_assert_eq(p.diags.errors, errors, "%s", p.said);
    cr_assert_eq(p.diags.warnings, warnings, "%s", p.said);
    done(&p);
}

Test(yaml, a_file_becomes_a_tree) {
    const char *text = "name: x\nblocks:\n  - {exec: 1}\n  - exec: 2\n";
    parsed_t p = parse(text);
    cr_assert_str_eq(p.json, "{\"name\":\"x\",\"blocks\":[{\"exec\":1},{\"exec\":2}]}");
    const ynode_t *blocks = yaml_get(yaml_root(p.doc), "blocks");
    cr_assert_eq(blocks->kind, YNODE_LIST);
    cr_assert_eq(blocks->items[1]->line, 4);
    cr_assert_eq(blocks->items[1]->col, 5);
    cr_assert_null(yaml_get(yaml_root(p.doc), "absent"));
    cr_assert_str_eq(yaml_text(yaml_get(yaml_root(p.doc), "name"), NULL), "x");
    cr_assert_str_eq(yaml_kind_name(blocks), "a list");
    done(&p);
}

Test(yaml, booleans_and_nulls) {
    expect("[yes, Yes, YES, no, on, Off, true, FALSE]", "[true,true,true,false,true,false,true,false]");
    expect("[y, n, yEs, tRue, nUll]", "[\"y\",\"n\",\"yEs\",\"tRue\",\"nUll\"]");
    expect("[~, null, Null, NULL, ]", "[null,null,null,null]");
    expect("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}");
}

Test(yaml, integers) {
    expect("[0, 12, +12, -3, 1_000, 0x1F, -0xff, 017, 0b101, 0_7]", "[0,12,12,-3,1000,31,-255,15,5,7]");
    expect("[1:30, 1:30:00, 190:20:30, 0:30]", "[90,5400,685230,\"0:30\"]");
    expect("[08, 0o17, 1 000, 0x, 0b2, 1:60, --1, _1]",
           "[\"08\",\"0o17\",\"1 000\",\"0x\",\"0b2\",\"1:60\",\"--1\",\"_1\"]");
    expect("[9223372036854775807, -9223372036854775808, 9223372036854775808, 0xFFFFFFFFFFFFFFFF]",
           "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615]");
}

Test(yaml, integers_beyond_64_bits_keep_their_digits) {
    expect(
        "[18446744073709551616, -9_223_372_036_854_775_809, 0xFFFFFFFFFFFFFFFFFF, -0x1_0000_0000_0000_0000]",
        "[18446744073709551616,-9223372036854775809,4722366482869645213695,-18446744073709551616]");
    expect("[0b1" /* 64 zeros */
           "0000000000000000000000000000000000000000000000000000000000000000, 02000000000000000000000]",
           "[18446744073709551616,18446744073709551616]");
    expect("[9223372036854775807:59, 1:00:00, !!int 12345678901234567890]",
           "[553402322211286548479,3600,12345678901234567890]");
    expect("{12345678901234567890: 1}", "{\"12345678901234567890\":1}");
}

Test(yaml, reals) {
    expect("[1.5, 1.5e+3, .5, 3., 1_0.25, -0.5, +1.25, 1:30.5, 08.5]",
           "[1.5,1500.0,0.5,3.0,10.25,-0.5,1.25,90.5,8.5]");
    expect("[1e3, 1.5e3, 1.2.3, ., -.5, ._5, 1.e, -., +]",
           "[\"1e3\",\"1.5e3\",\"1.2.3\",\".\",\"-.5\",\"._5\",\"1.e\",\"-.\",\"+\"]");
    parsed_t p = parse("[.inf, -.Inf, .nan, +.INF]");
    const ynode_t *root = yaml_root(p.doc);
    cr_assert_eq(root->items[0]->scalar.real, INFINITY);
    cr_assert_eq(root->items[1]->scalar.real, -INFINITY);
    cr_assert(isnan(root->items[2]->scalar.real));
    cr_assert_eq(root->items[3]->scalar.real, INFINITY);
    done(&p);
}

Test(yaml, timestamps_and_quoted_scalars_are_text) {
    expect("[2024-05-01, 2024-05-01T10:20:30Z, \"yes\", '12', =]",
           "[\"2024-05-01\",\"2024-05-01T10:20:30Z\",\"yes\",\"12\",\"=\"]");
    expect("a: |\n  1\nb: >-\n  two\n  words\n", "{\"a\":\"1\\n\",\"b\":\"two words\"}");
}

Test(yaml, explicit_tags) {
    expect("[!!str 12, !!int \"0x10\", !!float 3, !!float 1e3, !!bool \"yes\", !!null x, ! 5]",
           "[\"12\",16,3.0,1000.0,true,null,\"5\"]");
    expect("a: !!map {b: !!seq [1]}", "{\"a\":{\"b\":[1]}}");
    expect_said("a: !!int twelve", "p.yaml:1:4: error: a: !!int: 'twelve' is not an integer", 1, 0);
    expect_said("a: !foo 1\nb: !!binary aGk=\nc: !!set {x}\n", "unknown tag !foo", 3, 0);
    expect_said("a: !!python/object/apply:os.system [ls]", "python/object", 1, 0);
}

Test(yaml, keys_are_text) {
    expect("{1: a, 1.5: d}", "{\"1\":\"a\",\"1.5\":\"d\"}");
    parsed_t p = parse("{1: a, yes: b, ~: c, 1.5: d}");
    cr_assert_str_eq(p.json, "{\"1\":\"a\",\"True\":\"b\",\"None\":\"c\",\"1.5\":\"d\"}");
    cr_assert_eq(p.diags.warnings, 2, "%s", p.said);
    done(&p);
    expect_said("on: a",
                "p.yaml:1:1: warning: expected text, found a boolean: YAML 1.1 reads on as true; put it in "
                "quotes, \"on\"",
                0, 1);
    expect_said("a: {012: b}", "YAML 1.1 reads 012 as 10", 0, 1);
    expect_said("a: {{x}}", "a map cannot be a key; if this is a {placeholder}", 1, 0);
}

Test(yaml, anchors_aliases_and_merge_keys) {
    expect("a: &x [1, 2]\nb: *x\nc: [*x, *x]\n", "{\"a\":[1,2],\"b\":[1,2],\"c\":[[1,2],[1,2]]}");
    expect("b: &b {k: 1, l: 2}\nm: {<<: *b, l: 3, n: 4}\n",
           "{\"b\":{\"k\":1,\"l\":2},\"m\":{\"k\":1,\"l\":3,\"n\":4}}");
    expect("- &a {x: 1, y: 1}\n- &b {y: 2, z: 2}\n- {<<: [*a, *b], z: 9}\n",
           "[{\"x\":1,\"y\":1},{\"y\":2,\"z\":2},{\"y\":1,\"z\":9,\"x\":1}]");
    expect("{\"<<\": 5}", "{\"<<\":5}");
    expect_said("a: {<<: 5}", "'<<' merges a map or a list of maps, this is an integer", 1, 0);
    expect_said("a: *nobody", "p.yaml:1:4: error: a: alias *nobody has no anchor before it", 1, 0);
    expect_said("a: &a [*a]", "alias *a stands inside its own anchor", 1, 0);
}

Test(yaml, duplicate_key_last_wins_in_the_place_of_the_first) {
    const char *text = "color: blue\nsize: 3\ncolor: green\n";
    parsed_t p = parse(text);
    cr_assert_str_eq(p.json, "{\"color\":\"green\",\"size\":3}");
    done(&p);
    expect_said(text,
                "p.yaml:3:1: warning: color: duplicate key 'color' (first at line 1): the last one counts", 0,
                1);
    expect("b: &b {k: 1}\nm: {k: 0, <<: *b}\n", "{\"b\":{\"k\":1},\"m\":{\"k\":0}}");
}

Test(yaml, env_is_replaced_inside_text) {
    expect("a: ${ENV.CITY}\nb: \"in ${ENV.CITY}, ${ENV.CITY}!\"\nc: ${ENV.NUM}\n",
           "{\"a\":\"Kyoto\",\"b\":\"in Kyoto, Kyoto!\",\"c\":\"17\"}");
    expect("a: &t \"${ENV.TRICK}\"\nb: *t\n", "{\"a\":\"${ENV.CITY}\",\"b\":\"${ENV.CITY}\"}");
    expect("a: \"${CITY} ${ENV.} ${ENV.1X} ${ENV.CITY\"\n",
           "{\"a\":\"${CITY} ${ENV.} ${ENV.1X} ${ENV.CITY\"}");
    expect("${ENV.CITY}: 1\n", "{\"${ENV.CITY}\":1}");
}

Test(yaml, a_missing_variable_is_noted) {
    parsed_t p = parse("a: x\nb: <${ENV.ABSENT}>\n");
    cr_assert_str_eq(p.json, "{\"a\":\"x\",\"b\":\"<>\"}");
    const ynode_t *const *missing;
    cr_assert_eq(yaml_missing_env(p.doc, &missing), 1);
    cr_assert_str_eq(missing[0]->missing_env, "ABSENT");
    cr_assert_eq(missing[0]->line, 2);
    cr_assert_null(yaml_get(yaml_root(p.doc), "a")->missing_env);
    cr_assert_str_eq(missing[0]->as_written, "<${ENV.ABSENT}>");
    cr_assert_null(yaml_get(yaml_root(p.doc), "a")->as_written);
    done(&p);
}

Test(yaml, without_env_text_stays_as_written) {
    const char *text = "a: ${ENV.CITY}";
    diags_t d;
    diags_init(&d, "p", text, strlen(text));
    ydoc_t *doc = yaml_parse(text, strlen(text), NULL, &d);
    cr_assert_str_eq(yaml_text(yaml_get(yaml_root(doc), "a"), NULL), "${ENV.CITY}");
    yaml_doc_free(&doc);
    diags_free(&d);
}

Test(yaml, nothing_is_an_empty_map) {
    expect("", "{}");
    expect("# only a comment\n", "{}");
    expect("---\n", "{}");
}

Test(yaml, a_file_without_a_byte_is_an_empty_map) {
    diags_t diags;
    diags_init(&diags, "p.yaml", NULL, 0);
    ydoc_t *doc = yaml_parse(NULL, 0, NULL, &diags);
    cr_assert(doc && diags.errors == 0);
    yaml_doc_free(&doc);
    diags_free(&diags);
}

Test(yaml, syntax_errors_say_where_and_what_to_do) {
    expect_said("a: 1\nb: c: d\n", "p.yaml:2:5: error: mapping values are not allowed", 1, 0);
    expect_said("a:\n\t- 1\n", "p.yaml:2:1: error: found character that cannot start any token", 1, 0);
    expect_said("value: {x} and more\n", "put text that begins with {", 1, 0);
    parsed_t p = parse("text:>-\n{version: 2}\n");
    cr_assert_null(p.doc, "what stands before a syntax error is not a file");
    done(&p);
    expect_said("a: 'open\n", "a quote is not closed", 1, 0);
    expect_said("a: 1\n---\nb: 2\n", "p.yaml:2:1: error: a second document begins here", 1, 0);
    expect_said("a: 1\nb: \x01\n", "p.yaml:2:4: error: control characters are not allowed", 1, 0);
    expect_said("a: \xff\n", "byte 3 of the file", 1, 0);
}

Test(yaml, billion_laughs_are_refused) {
    buf_t text;
    buf_init(&text, 1 << 16);
    buf_adds(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        buf_addf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_addf(&text, "%s*a%d", j ? ", " : "", i - 1);
        buf_adds(&text, "]\n");
    }
    expect_said(text.data, "once aliases are expanded: refused", 1, 0);
    buf_reset(&text);
    buf_adds(&text, "a0: &a0 {k: v}\n");
    for (int i = 1; i < 40; i++)
        buf_addf(&text, "a%d: &a%d {l: *a%d, m: *a%d}\nb%d: {<<: *a%d}\n", i, i, i - 1, i - 1, i, i);
    expect_said(text.data, "once aliases are expanded: refused", 1, 0);
    buf_free(&text);
}

Test(yaml, depth_is_bounded_also_through_aliases) {
    buf_t text;
    buf_init(&text, 1 << 16);
    for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
        buf_adds(&text, "[");
    expect_said(text.data, "nested too deeply", 1, 0);
    buf_reset(&text);
    buf_adds(&text, "a0: &a0 [x]\n");
    for (int i = 1; i <= YAML_DEPTH_MAX; i++)
        buf_addf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    expect_said(text.data, "nested too deeply", 1, 0);
    buf_free(&text);
}

Test(yaml, json_text_becomes_nodes_at_its_place) {
    parsed_t p = parse("a: 1\ncond: '{\"eq\": [\"{x}\", 1.5]}'\n");
    const ynode_t *at = yaml_get(yaml_root(p.doc), "cond");
    size_t len;
    const char *json = yaml_text(at, &len);
    err_t err;
    const ynode_t *n = yaml_from_json(p.doc, json, len, at, &err);
    cr_assert_not_null(n);
    const ynode_t *eq = yaml_get(n, "eq");
    cr_assert_eq(eq->line, 2);
    cr_assert_eq(eq->count, 2);
    cr_assert_eq(eq->items[1]->scalar.real, 1.5);
    cr_assert_null(yaml_from_json(p.doc, "{no", 3, at, &err));
    cr_assert(err.text[0]);
    done(&p);
}
