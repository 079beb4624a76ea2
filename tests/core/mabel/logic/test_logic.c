/* test_logic.c - logic blocks, through whole pipelines: what a file says against the row that comes out. */
#include <criterion/criterion.h>

#include "tests/core/mabel/row/row_harness.h"

#include "core/mabel/logic/logic.h"

/* Wraps block lines into a file; `final` is the text of the only output t. */
static char *run_blocks(harness_t *h, const char *head, const char *blocks, const char *input) {
    char *yaml = xasprintf("mabel: {version: \"2.0\"}\n%s\nblocks:\n%s", head, blocks);
    pipeline_t *p = harness_load(yaml);
    char *line = harness_run(h, p, input);
    pipeline_destroy(&p);
    free(yaml);
    return line;
}

static void expect_with(const char *head, const char *blocks, const char *input, const char *line) {
    harness_t h = {0};
    char *got = run_blocks(&h, head, blocks, input);
    cr_expect_str_eq(got, line, "wanted %s\ngot    %s", line, got);
    free(got);
}

static void expect(const char *blocks, const char *input, const char *line) {
    expect_with("", blocks, input, line);
}

static void expect_error(const char *head, const char *blocks, const char *input, const char *part) {
    harness_t h = {0};
    char *got = run_blocks(&h, head, blocks, input);
    cr_expect(h.failed, "did not fail: %s", got);
    cr_expect(strstr(got, part), "no '%s' in %s", part, got);
    free(got);
}

/* The problems of a file that must not load. */
static void expect_refused(const char *blocks, const char *part) {
    char *problems = NULL, *yaml = xasprintf("mabel: {version: \"2.0\"}\nblocks:\n%s", blocks);
    pipeline_t *p = harness_load_all(yaml, &problems);
    cr_expect_null(p);
    cr_expect(strstr(problems, part), "no '%s' in %s", part, problems);
    free(problems);
    free(yaml);
}

Test(logic, set_gives_its_value) {
    expect("  - {type: logic, exec: 1, op: set, var: v, value: {add: [{var: n}, 1]}, outputs: [{name: A}, "
           "{name: B, from: value}, {name: C, from: var, var: v}]}\n",
           "{\"n\": 4}", "{\"_row_index\": 0, \"A\": 5, \"B\": 5, \"C\": 5}");
}

Test(logic, whole_placeholders_keep_their_types) {
    expect("  - {type: logic, exec: 1, op: set, var: v, value: [\"{n}\", \"{flag}\", {k: \"{xs}\"}, "
           "\"{gone}\", \"n={n}\"], outputs: [{name: A}]}\n",
           "{\"n\": 4, \"flag\": false, \"xs\": [1, 2.5]}",
           "{\"_row_index\": 0, \"A\": [4, false, {\"k\": [1, 2.5]}, null, \"n=4\"]}");
}

Test(logic, constants_cannot_be_set) {
    expect_error("globals: {const: {FIXED: 1}}",
                 "  - {type: logic, exec: 1, id: guard, op: set, var: FIXED, value: 2}\n", "{}", "guard: ");
}

Test(logic, if_and_its_outputs) {
    const char *blocks = "  - type: logic\n    exec: 1\n    op: if\n    cond: {ge: [\"{n}\", 5]}\n    then: "
                         "\"big {n}\"\n    else: \"small {n}\"\n"
                         "    outputs: [{name: D}, {name: B, from: boolean}, {name: V, from: value}, {name: "
                         "T, from: text}, {name: S, from: source, source: tag}]\n"
                         "  - type: logic\n    exec: 2\n    op: if\n    cond: '{\"lt\": [{\"var\": \"n\"}, "
                         "5]}'\n    then: {mul: [\"{n}\", 10]}\n    else: [1, \"{n}\"]\n"
                         "    outputs: [{name: M, from: value}]\n";
    expect(blocks, "{\"n\": 7, \"tag\": \"red\"}",
           "{\"_row_index\": 0, \"D\": true, \"B\": true, \"V\": \"big 7\", \"T\": \"big 7\", \"S\": "
           "\"red\", \"M\": [1, 7]}");
    expect(blocks, "{\"n\": 2, \"tag\": \"blue\"}",
           "{\"_row_index\": 0, \"D\": false, \"B\": false, \"V\": \"small 2\", \"T\": \"small 2\", \"S\": "
           "\"blue\", \"M\": 20}");
}

Test(logic, and_or_not_give_booleans) {
    expect("  - {type: logic, exec: 1, op: and, operands: [{equals: [\"{s}\", \"abc\"]}, {not_equals: "
           "[\"{s}\", \"x\"]}], outputs: [{name: a}]}\n"
           "  - {type: logic, exec: 2, op: or, operands: [{contains: [\"{s}\", \"zz\"]}, {contains: "
           "[\"{s}\", \"bc\"]}], outputs: [{name: b}]}\n"
           "  - {type: logic, exec: 3, op: not, operands: [{is_empty: \"{e}\"}], outputs: [{name: c}, {name: "
           "d, from: value}]}\n"
           "  - {type: logic, exec: 4, op: not, operands: [{lt: [\"{n}\", \"9\"]}], outputs: [{name: f}]}\n",
           "{\"s\": \"abc\", \"e\": \"\", \"n\": \"10\"}",
           "{\"_row_index\": 0, \"a\": true, \"b\": true, \"c\": false, \"d\": false, \"f\": true}");
}

Test(logic, for_takes_lists_from_many_places) {
    expect("  - {type: logic, exec: 1, op: for, list: words, map: \"<{item}>\", outputs: [{name: a, from: "
           "list}]}\n"
           "  - {type: logic, exec: 2, op: for, list: \"{words}\", var: w, map: {upper: \"{w}\"}, outputs: "
           "[{name: b, from: list}]}\n"
           "  - {type: logic, exec: 3, op: for, list: [1, 2, 3, 4], var: k, where: {gt: [{var: k}, 2]}, map: "
           "{mul: [{var: k}, {var: factor}]}, outputs: [{name: c, from: list}]}\n"
           "  - {type: logic, exec: 4, op: for, list: \"{lines}\", parse: lines, map: \"{item}!\", outputs: "
           "[{name: d, from: join, join_with: \"-\"}]}\n"
           "  - {type: logic, exec: 5, op: for, list: \"{csv}\", parse: csv, drop_empty: true, outputs: "
           "[{name: e, from: list}]}\n"
           "  - {type: logic, exec: 6, op: for, list: \"{json}\", parse: json, var: o, map: "
           "\"{o.id}:{o.v[0]}\", outputs: [{name: f, from: list}]}\n"
           "  - {type: logic, exec: 7, op: for, list: \"{free}\", parse: regex, regex_pattern: "
           "'(\\w)=(\\d+)', map: \"{item[1]}{item[0]}\", outputs: [{name: g, from: list}]}\n"
           "  - {type: logic, exec: 8, op: for, list: \"{free}\", parse: regex, regex_pattern: '\\d+', map: "
           "{add: [\"{item}\", 1]}, outputs: [{name: h, from: list}]}\n"
           "  - {type: logic, exec: 9, op: for, list: \"red, green,blue\", where: '{\"ne\": [\"{item}\", "
           "\"green\"]}', outputs: [{name: j, from: list}]}\n"
           "  - {type: logic, exec: 10, op: for, list: \"{nothing}\", outputs: [{name: k}]}\n",
           "{\"words\": [\"ab\", \"cd\"], \"factor\": 10, \"lines\": \"one\\ntwo\\r\\nthree\\n\", \"csv\": "
           "\"x,,\\\"y, \\\"\\\"z\\\"\\\"\\\", w\","
           " \"json\": \"[{\\\"id\\\": 1, \\\"v\\\": [\\\"p\\\"]}]\", \"free\": \"a=1 b=22\"}",
           "{\"_row_index\": 0, \"a\": [\"<ab>\", \"<cd>\"], \"b\": [\"AB\", \"CD\"], \"c\": [30, 40], "
           "\"d\": \"one!-two!-three!\","
           " \"e\": [\"x\", \"y, \\\"z\\\"\", \"w\"], \"f\": [\"1:p\"], \"g\": [\"1a\", \"22b\"], \"h\": [2, "
           "23], \"j\": [\"red\", \"blue\"], \"k\": []}");
}

Test(logic, a_bare_name_without_a_value_is_the_empty_list) {
    expect(
        "  - {type: logic, exec: 1, op: for, list: gone, outputs: [{name: a}, {name: n, from: count}]}\n"
        "  - {type: logic, exec: 2, op: for, list: \"gone.too[0]\", outputs: [{name: b}]}\n"
        "  - {type: logic, exec: 3, op: for, list: nil, outputs: [{name: c}]}\n"
        "  - {type: logic, exec: 4, op: for, list: \"\u540d\u524d\", outputs: [{name: d}]}\n"
        "  - {type: logic, exec: 5, op: reduce, list: gone, value: seed, step: {add: [1, 2]}, outputs: "
        "[{name: e}]}\n"
        "  - {type: logic, exec: 6, op: for, list: \"no name, this\", outputs: [{name: f}]}\n"
        "  - {type: logic, exec: 7, op: for, list: \"12\", outputs: [{name: g}]}\n",
        "{\"nil\": null}",
        "{\"_row_index\": 0, \"a\": [], \"n\": 0, \"b\": [], \"c\": [], \"d\": [], \"e\": \"seed\", \"f\": "
        "[\"no name\", \"this\"], \"g\": [\"12\"]}");
}

Test(logic, lines_are_stripped_and_empty_ones_dropped) {
    expect(
        "  - {type: logic, exec: 1, op: for, list: \"{t}\", parse: lines, outputs: [{name: a}]}\n"
        "  - {type: logic, exec: 2, op: reduce, list: \"{t}\", value: \"\", step: {concat: [{var: "
        "accumulator}, \"<\", {var: item}, \">\"]}, outputs: [{name: b}]}\n"
        "  - {type: logic, exec: 3, op: reduce, list: t, parse: regex, regex_pattern: '\\w', value: 0, step: "
        "{add: [{var: accumulator}, 1]}, outputs: [{name: c}]}\n",
        "{\"t\": \"  one, 1 \\r\\n\\n \\t \\n\\u3000two\\rx\\n\\r\\nthree\"}",
        "{\"_row_index\": 0, \"a\": [\"one, 1\", \"two\\rx\", \"three\"], \"b\": \"<one, "
        "1><two\\rx><three>\", \"c\": 13}");
}

Test(logic, the_ends_of_an_empty_list_are_the_empty_text) {
    expect("  - {type: logic, exec: 1, op: for, list: [], outputs: [{name: a, from: first}, {name: b, from: "
           "last}, {name: c, from: first, limit: 1, offset: 5}]}\n"
           "  - {type: logic, exec: 2, op: for, list: [1, null], outputs: [{name: d, from: last}]}\n",
           "{}", "{\"_row_index\": 0, \"a\": \"\", \"b\": \"\", \"c\": \"\", \"d\": null}");
}

Test(logic, an_empty_condition_is_none) {
    expect(
        "  - {type: logic, exec: 1, op: if, cond: {}, then: yes!, else: no!, outputs: [{name: a, from: "
        "value}], run_if: {}}\n"
        "  - {type: logic, exec: 2, op: if, cond: null, then: yes!, else: no!, outputs: [{name: b, from: "
        "value}], run_if: null}\n"
        "  - {type: logic, exec: 3, op: for, list: [0, 1], where: {}, outputs: [{name: c}], run_if: \"{}\"}\n"
        "  - {type: logic, exec: 4, op: for, list: [0, 1], where: \"\", outputs: [{name: d}], run_if: \"\"}\n"
        "  - {type: logic, exec: 5, op: and, operands: [true, {}], outputs: [{name: e}]}\n"
        "  - {type: logic, exec: 6, op: or, operands: [{}, null], outputs: [{name: f}]}\n"
        "  - {type: logic, exec: 7, op: if, cond: \"{nothing}\", then: yes!, else: no!, outputs: [{name: g, "
        "from: value}]}\n"
        "  - type: logic\n    exec: 8\n    op: recurse\n    name: r\n    function: {args: [x], returns: [y], "
        "base_case: {cond: {}, value: [\"{x}\"]}, body: []}\n    with: {x: 5}\n    outputs: [{name: h, from: "
        "value}]\n",
        "{}",
        "{\"_row_index\": 0, \"a\": \"yes!\", \"b\": \"yes!\", \"c\": [0, 1], \"d\": [0, 1], \"e\": false, "
        "\"f\": false, \"g\": \"no!\", \"h\": 5}");
}

Test(logic, for_refuses_text_that_is_not_json) {
    expect_error(
        "", "  - {type: logic, exec: 1, id: L, op: for, list: \"{x}\", parse: json, outputs: [{name: a}]}\n",
        "{\"x\": \"nope\"}", "L: list is not JSON");
}

Test(logic, for_outputs) {
    expect("  - type: logic\n    exec: 1\n    op: for\n    list: \"{xs}\"\n    var: x\n    where: {gt: "
           "[{var: x}, 1]}\n    map: {mul: [{var: x}, 10]}\n"
           "    outputs: [{name: dflt}, {name: join, join_with: \"+\"}, {name: count, from: count}, {name: "
           "rawcount, from: count, source: raw},"
           " {name: filtered, from: list, source: filtered}, {name: raw, from: list, source: raw}, {name: "
           "first, from: first}, {name: last, from: last},"
           " {name: lastraw, from: last, source: raw}, {name: anyraw, from: any, source: raw}, {name: "
           "allraw, from: all, source: raw}, {name: all, from: all},"
           " {name: limited, from: list, limit: 2}, {name: skipped, from: list, offset: 1}, {name: window, "
           "join_with: \",\", offset: 1, limit: 1},"
           " {name: sorted, from: value, source: raw, value: {sort: {unique: \"{x}\"}}}, {name: total, from: "
           "value, source: mapped, value: {len: {var: x}}}]\n",
           "{\"xs\": [3, 1, 2, 3, 0]}",
           "{\"_row_index\": 0, \"dflt\": [30, 20, 30], \"join\": \"30+20+30\", \"count\": 3, \"rawcount\": "
           "5, \"filtered\": [3, 2, 3],"
           " \"raw\": [3, 1, 2, 3, 0], \"first\": 30, \"last\": 30, \"lastraw\": 0, \"anyraw\": true, "
           "\"allraw\": false, \"all\": true,"
           " \"limited\": [30, 20], \"skipped\": [20, 30], \"window\": \"20\", \"sorted\": [0, 1, 2, 3], "
           "\"total\": 3}");
}

Test(logic, a_while_that_never_emits_has_an_empty_list) {
    expect("  - type: logic\n    exec: 1\n    op: while\n    init: {i: 0}\n    cond: {lt: [{var: i}, 3]}\n   "
           " step: [{op: set, var: i, value: {add: [{var: i}, 1]}}]\n"
           "    outputs: [{name: L}, {name: T, from: text}, {name: J, from: join, join_with: x}, {name: C, "
           "from: count}, {name: F, from: first}, {name: A, from: all}]\n",
           "{}",
           "{\"_row_index\": 0, \"L\": [], \"T\": \"[]\", \"J\": \"\", \"C\": 3, \"F\": \"\", \"A\": true}");
}

Test(logic, two_outputs_of_one_name_are_one) {
    expect("  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: A}, {name: B}, {name: A, "
           "value: {add: [{var: v}, 1]}}]}\n",
           "{}", "{\"_row_index\": 0, \"A\": 2, \"B\": 1}");
}

Test(logic, while_counts_emits_and_ends) {
    expect_with("globals: {vars: {hi: 1989, lo: 867}}",
                "  - type: logic\n    exec: 1\n    op: while\n    cond: {gt: [{var: lo}, 0]}\n    step:\n"
                "      - {op: set, var: rest, value: {mod: [{var: hi}, {var: lo}]}}\n      - {op: set, var: "
                "hi, value: {var: lo}}\n      - {op: set, var: lo, value: {var: rest}}\n"
                "    outputs: [{name: GCD, from: var, var: hi}, {name: Turns, from: count}]\n"
                "  - type: logic\n    exec: 2\n    op: while\n    init: [{op: set, var: i, value: 0}]\n    "
                "cond: {lt: [{var: i}, 6]}\n    step:\n"
                "      - {op: set, var: i, value: {add: [{var: i}, 1]}}\n"
                "      - op: if\n        cond: {eq: [{mod: [{var: i}, 2]}, 0]}\n        then: [{op: emit, "
                "value: {concat: [\"even \", {var: i}]}}]\n"
                "        else:\n          - {op: set, var: j, value: 0}\n"
                "          - {op: while, cond: {lt: [{var: j}, {var: i}]}, step: [{op: set, var: j, value: "
                "{add: [{var: j}, 2]}}]}\n"
                "    outputs: [{name: L, from: list}, {name: N, from: count}, {name: F, from: first}, {name: "
                "Z, from: last}, {name: J, from: join, join_with: \";\"}, {name: I, from: var, var: i}]\n",
                "{}",
                "{\"_row_index\": 0, \"GCD\": 51, \"Turns\": 4, \"L\": [\"even 2\", \"even 4\", \"even 6\"], "
                "\"N\": 3, \"F\": \"even 2\","
                " \"Z\": \"even 6\", \"J\": \"even 2;even 4;even 6\", \"I\": 6}");
}

Test(logic, names_of_let_and_loops_end_with_them) {
    expect_with("globals: {vars: {x: outer, total: 5}}",
                "  - type: logic\n    exec: 2\n    op: let\n    bindings: {x: 20, y: {add: [{var: x}, 2]}, "
                "z: \"{y}\"}\n"
                "    outputs: [{name: Sum, from: value, value: {add: [{var: x}, {var: y}, {var: z}]}}]\n"
                "  - type: logic\n    exec: 3\n    op: let\n    bindings: {p: 6, q: 7}\n    body:\n"
                "      - {op: set, var: product, value: {mul: [{var: p}, {var: q}]}}\n      - {op: set, var: "
                "shown, value: \"p={p} product={product}\"}\n"
                "    outputs: [{name: P, from: var, var: product}, {name: Last, from: value}]\n"
                "  - type: logic\n    exec: 4\n    op: let\n    bindings: {a: 1}\n    body:\n"
                "      - {op: let, bindings: {a: 2}, body: [{op: set, var: inner, value: \"{a}\"}]}\n"
                "      - {op: for, list: [7], var: a, body: [{op: set, var: looped, value: \"{a}\"}]}\n"
                "      - {op: reduce, list: [1, 2], value: 0, var: a, accumulator: acc, body: [{op: set, "
                "var: acc, value: {add: [{var: acc}, {var: a}]}}]}\n"
                "      - {op: set, var: seen, value: [\"{a}\", \"{inner}\", \"{looped}\", \"{acc}\"]}\n"
                "    outputs: [{name: Seen}]\n"
                "  - {type: end, exec: 5, final: [{name: t, value: \"{Sum}; {P} {Last}; x is {x}, p is "
                "[{p}], a is [{a}]\"}], include_vars: [Seen]}\n",
                "{}",
                "{\"_row_index\": 0, \"t\": \"64; 42 p=6 product=42; x is outer, p is [], a is []\", "
                "\"Seen\": [1, 2, 7, 3]}");
}

Test(logic, reduce_by_steps_and_by_expression) {
    expect("  - {type: logic, exec: 1, op: reduce, list: xs, value: 0, var: item, body: [{op: set, var: "
           "accumulator, value: {add: [{var: accumulator}, {var: item}]}}], outputs: [{name: A, from: "
           "accumulator}, {name: A2, from: value}]}\n"
           "  - type: logic\n    exec: 2\n    op: reduce\n    list: \"{xs}\"\n    value: 1\n    var: e\n    "
           "accumulator: prod\n"
           "    body: [{op: set, var: prod, value: {mul: [\"{prod}\", \"{e}\"]}}, {op: set, var: seen, "
           "value: {concat: [{var: e}, \".\"]}}]\n"
           "    outputs: [{name: B, from: accumulator}, {name: B2, from: var, var: seen}]\n"
           "  - {type: logic, exec: 3, op: reduce, list: \"{xs}\", var: acc, init: 100, step: {sub: [{var: "
           "acc}, {var: item}]}, outputs: [{name: C, from: accumulator}]}\n"
           "  - {type: logic, exec: 4, op: reduce, list: \"{xs}\", step: {max: [{var: accumulator}, {var: "
           "item}]}, outputs: [{name: D, from: value}]}\n"
           "  - {type: logic, exec: 5, op: reduce, list: \"{names}\", value: \"\", var: w, body: [{op: set, "
           "var: accumulator, value: \"{accumulator}{w};\"}], outputs: [{name: E, from: accumulator}]}\n"
           "  - {type: logic, exec: 6, op: reduce, list: [], value: none, step: {add: [1, 2]}, outputs: "
           "[{name: F, from: accumulator}]}\n"
           "  - {type: logic, exec: 7, op: reduce, list: \"{xs}\", value: 0, budget: {loops: {max_iters: 2, "
           "on_exceed: truncate}}, step: {add: [{var: accumulator}, {var: item}]}, outputs: [{name: G}]}\n"
           "  - {type: logic, exec: 8, op: reduce, list: [], step: {add: [1, 2]}, outputs: [{name: H}]}\n",
           "{\"xs\": [3, 9, 4], \"names\": [\"ann\", \"bob\"]}",
           "{\"_row_index\": 0, \"A\": 16, \"A2\": 16, \"B\": 108, \"B2\": \"4.\", \"C\": 84, \"D\": 9, "
           "\"E\": \"ann;bob;\", \"F\": \"none\", \"G\": 12, \"H\": null}");
}

static const char CALLS[] =
    "globals: {vars: {x: 100}}\nfunctions:\n  logic:\n"
    "    - {name: area, args: [x], returns: [size], body: [{op: set, var: size, value: {mul: [\"{x}\", {var: "
    "x}]}}]}\n"
    "    - name: divmod\n      params: [n, d]\n      returns: [q, r]\n      body:\n"
    "        - {op: set, var: r, value: {mod: [{var: n}, {var: d}]}}\n"
    "        - {op: set, var: q, value: {floor: {div: [{sub: [{var: n}, {var: r}]}, {var: d}]}}}\n"
    "    - {name: after, params: [x], body: {add: [{var: x}, 1]}}\n"
    "    - name: fourth\n      args: [v]\n      returns: [w]\n      body:\n"
    "        - {op: call, name: area, with: {x: {var: v}}, returns: [s]}\n        - {op: call, function: "
    "area, with: {x: {var: s}}, returns: [w]}\n"
    "    - {name: spy, returns: [r], body: [{op: set, var: r, value: \"[{secret}]\"}]}\n";

Test(logic, calls_bind_arguments_and_results) {
    expect_with(
        CALLS,
        "  - {type: logic, exec: 1, op: call, function: area, with: {x: 11}, outputs: [{name: A, from: var, "
        "var: size}]}\n"
        "  - {type: logic, exec: 2, op: call, name: area, with: {x: \"{n}\"}, returns: [Sq], outputs: "
        "[{name: B, from: value}]}\n"
        "  - {type: logic, exec: 3, op: call, function: divmod, with: {n: 17, d: \"{n}\"}, returns: [Quo, "
        "Rem]}\n"
        "  - {type: logic, exec: 4, op: call, function: after, with: {x: 6}, returns: [C]}\n"
        "  - {type: logic, exec: 6, op: call, function: fourth, with: [3], returns: [E]}\n"
        "  - {type: end, exec: 9, final: [{name: t, value: \"{A} {B} {Sq} {Quo} {Rem} {C} {E} {x}\"}]}\n",
        "{\"n\": 5}", "{\"_row_index\": 0, \"t\": \"121 25 25 3 2 7 81 100\"}");
}

Test(logic, a_callee_does_not_see_its_callers_names) {
    expect_with(CALLS,
                "  - {type: logic, exec: 1, op: let, bindings: {secret: 1}, body: [{op: call, name: spy, "
                "returns: [out]}], outputs: [{name: A, from: var, var: out}]}\n",
                "{}", "{\"_row_index\": 0, \"A\": \"[{secret}]\"}");
}

static const char COUNT[] =
    "  - type: logic\n    exec: 1\n    id: deep\n    op: recurse\n    name: count\n    function:\n      "
    "args: [n]\n      returns: [sum, steps]\n"
    "      base_case: {cond: {eq: [{var: n}, 0]}, value: [0, 0]}\n      body:\n"
    "        - {op: call, name: count, with: {n: {sub: [{var: n}, 1]}}, returns: [s, t]}\n"
    "        - {op: set, var: sum, value: {add: [{var: s}, {var: n}]}}\n        - {op: set, var: steps, "
    "value: {add: [{var: t}, 1]}}\n"
    "    with: {n: \"{n}\"}\n    outputs: [{name: Sum, from: value}, {name: Steps, from: var, var: steps}]\n";

Test(logic, recursion_binds_by_position) {
    expect("  - type: logic\n    exec: 1\n    op: recurse\n    name: fib\n    function:\n      args: [n]\n   "
           "   returns: [out]\n"
           "      base_case: {cond: {lt: [{var: n}, 2]}, value: [\"{n}\"]}\n      body:\n"
           "        - {op: call, name: fib, with: {n: {sub: [{var: n}, 2]}}, returns: [left]}\n"
           "        - {op: call, name: fib, with: {n: {sub: [{var: n}, 1]}}, returns: [right]}\n"
           "        - {op: set, var: out, value: {add: [{var: left}, {var: right}]}}\n"
           "    with: {n: 15}\n    outputs: [{name: Fib, from: value}, {name: Fib2, from: var, var: out}]\n",
           "{}", "{\"_row_index\": 0, \"Fib\": 610, \"Fib2\": 610}");
}

Test(logic, depth_of_recursion_costs_heap_only) {
    harness_t h = {0};
    char *got = run_blocks(&h, "budgets: {recursion: {max_depth: 100000}}", COUNT, "{\"n\": 100000}");
    cr_expect_str_eq(got, "{\"_row_index\": 0, \"Sum\": 5000050000, \"Steps\": 100000}");
    cr_expect_gt(h.yields, 50, "other rows never got a turn");
    free(got);
}

Test(logic, recursion_budget) {
    expect_error("budgets: {recursion: {max_depth: 20}}", COUNT, "{\"n\": 60}", "max_depth");
    expect_with("budgets: {recursion: {max_depth: 20}}", COUNT, "{\"n\": 20}",
                "{\"_row_index\": 0, \"Sum\": 210, \"Steps\": 20}");
    /* Cut at depth 3: the base case's values, which do not look at n, are used there. */
    expect_with("budgets: {recursion: {max_depth: 2, on_exceed: truncate}}", COUNT, "{\"n\": 9}",
                "{\"_row_index\": 0, \"Sum\": 24, \"Steps\": 3}");
    expect_with("budgets: {recursion: {max_depth: 5, on_exceed: continue}}\nfunctions: {logic: [{name: f, "
                "args: [n], returns: [r], body: [{op: call, name: f, with: {n: \"{n}\"}, returns: [r]}]}]}",
                "  - {type: logic, exec: 1, op: call, name: f, with: {n: 1}, outputs: [{name: R}]}\n", "{}",
                "{\"_row_index\": 0, \"R\": null}");
}

Test(logic, memory_of_calls_is_bounded) {
    /* Every call keeps its own 1 MB text. */
    static char row[1100000];
    memset(row, 'x', sizeof row);
    memcpy(row, "{\"text\": \"", 10);
    memcpy(row + sizeof row - 3, "\"}", 3);
    expect_error("budgets: {recursion: {max_depth: 10000000}}",
                 "  - type: logic\n    exec: 1\n    id: fat\n    op: recurse\n    name: f\n    function:\n   "
                 "   args: [n]\n      returns: [r]\n      body:\n"
                 "        - {op: set, var: big, value: {concat: [\"{text}\", \"{n}\"]}}\n"
                 "        - {op: call, name: f, with: {n: {add: [{var: n}, 1]}}, returns: [r]}\n"
                 "    with: {n: 0}\n    outputs: [{name: R}]\n  - {type: end, exec: 2}\n",
                 row, "fat: line 14 (call): its calls and lists hold more than 512 MiB");
    expect_error("",
                 "  - {type: logic, exec: 1, id: fat, op: for, list: {range: [0, 9000]}, map: "
                 "\"{item}{text}\", outputs: [{name: R}]}\n",
                 row, "fat: its calls and lists hold more than 512 MiB");
    expect_error("",
                 "  - {type: logic, exec: 1, id: fat, op: while, init: {i: 0}, cond: true, step: [{op: set, "
                 "var: i, value: {add: [{var: i}, 1]}}, {op: emit, value: \"{i}{text}\"}]}\n",
                 row, "hold more than 512 MiB");
    /* The same long text many times is held once. */
    expect("  - {type: logic, exec: 1, op: for, list: {range: [0, 9000]}, map: {var: text}, outputs: [{name: "
           "N, from: count}]}\n  - {type: end, exec: 2, final: [{name: n, value: \"{N}\"}]}\n",
           row, "{\"_row_index\": 0, \"n\": \"9000\"}");
}

Test(logic, memo_in_variables) {
    expect_with(
        "globals: {vars: {seen: {\"0\": 0, \"1\": 1}, calls: 0}}",
        "  - type: logic\n    exec: 1\n    op: recurse\n    name: f\n    function:\n      args: [k]\n      "
        "returns: [v]\n      base_case:\n"
        "        cond: {or: [{le: [{var: k}, 1]}, {get: [{var: seen}, {path: \"{k}\"}]}]}\n"
        "        value: [{get: [{var: seen}, {path: \"{k}\"}], default: {var: k}}]\n      body:\n"
        "        - {op: set, var: calls, value: {add: [{var: calls}, 1]}}\n"
        "        - {op: call, name: f, with: {k: {sub: [{var: k}, 1]}}, returns: [p]}\n        - {op: call, "
        "name: f, with: {k: {sub: [{var: k}, 2]}}, returns: [q]}\n"
        "        - {op: set, var: v, value: {add: [{var: p}, {var: q}]}}\n"
        "        - {op: set, var: seen, value: {set: {in: {var: seen}, path: \"{k}\", value: {var: v}}}}\n"
        "    with: {k: \"{n}\"}\n    outputs: [{name: V, from: value}]\n"
        "  - {type: end, exec: 2, final: [{name: v, value: \"{V}\"}, {name: five, value: \"{seen.5}\"}], "
        "include_vars: [calls]}\n",
        "{\"n\": 30}", "{\"_row_index\": 0, \"v\": \"832040\", \"five\": \"5\", \"calls\": 29}");
}

Test(logic, mutual_recursion) {
    expect_with(
        "functions:\n  logic:\n    - name: is_odd\n      args: [n]\n      returns: [odd]\n      body:\n"
        "        - op: if\n          cond: {eq: [{var: n}, 0]}\n          then: [{op: set, var: odd, value: "
        "false}]\n"
        "          else: [{op: call, name: is_even, with: {n: {sub: [{var: n}, 1]}}, returns: [odd]}]\n",
        "  - type: logic\n    exec: 1\n    op: recurse\n    name: is_even\n    function:\n      args: [n]\n  "
        "    returns: [even]\n"
        "      base_case: {cond: {eq: [{var: n}, 0]}, value: [true]}\n"
        "      body: [{op: call, name: is_odd, with: {n: {sub: [{var: n}, 1]}}, returns: [even]}]\n"
        "    with: {n: \"{n}\"}\n    outputs: [{name: E, from: value}]\n",
        "{\"n\": 7}", "{\"_row_index\": 0, \"E\": false}");
}

Test(logic, loop_budgets) {
    const char *blocks =
        "  - {type: logic, exec: 1, op: while, cond: {lt: [{var: i}, 6]}, step: [{op: set, var: i, value: "
        "{add: [{var: i}, 1]}}], outputs: [{name: a, from: count}]}\n"
        "  - {type: logic, exec: 2, op: while, cond: true, step: [{op: set, var: k, value: {add: [{var: k}, "
        "1]}}, {op: emit, value: {var: k}}], budget: {loops: {max_iters: 4, on_exceed: truncate}}, outputs: "
        "[{name: b, from: list}]}\n"
        "  - {type: logic, exec: 3, op: while, cond: true, step: [{op: emit, value: x}], budget: {loops: "
        "{max_iters: 3, on_exceed: continue}}, outputs: [{name: c, from: count}]}\n"
        "  - {type: logic, exec: 4, op: for, list: [1, 2, 3, 4], budget: {loops: {max_iters: 3, on_exceed: "
        "truncate}}, outputs: [{name: d}, {name: e, from: list, source: raw}]}\n"
        "  - {type: logic, exec: 5, id: last, op: while, run_if: {eq: [\"{stop}\", \"no\"]}, cond: true, "
        "step: [{op: set, var: k, value: 0}]}\n";
    const char *head = "budgets: {loops: {max_iters: 8, on_exceed: error}}\nglobals: {vars: {i: 0, k: 0}}";
    expect_with(head, blocks, "{\"stop\": \"yes\"}",
                "{\"_row_index\": 0, \"a\": 6, \"b\": [1, 2, 3, 4], \"c\": 3, \"d\": [1, 2, 3], \"e\": [1, "
                "2, 3, 4]}");
    expect_error(head, blocks, "{\"stop\": \"no\"}", "last: more than 8 iterations");
}

Test(logic, errors_name_the_step) {
    expect_error("",
                 "  - type: logic\n    exec: 1\n    id: L\n    op: let\n    bindings: {a: 1}\n    body:\n    "
                 "  - {op: set, var: b, value: {div: [1, 0]}}\n",
                 "{}", "L: line 10 (set): ");
}

Test(logic, steps_with_outputs) {
    expect("  - type: logic\n    exec: 1\n    op: let\n    bindings: {}\n    body:\n"
           "      - {op: for, list: [1, 2, 3], map: {mul: [{var: item}, 2]}, outputs: [{name: doubled}]}\n"
           "      - {op: while, cond: {lt: [{var: i}, 2]}, init: {i: 0}, step: [{op: emit, value: {var: i}}, "
           "{op: set, var: i, value: {add: [{var: i}, 1]}}], outputs: [{name: own, from: list}]}\n"
           "      - {op: emit, value: {var: doubled}}\n"
           "    outputs: [{name: A, from: var, var: doubled}, {name: B, from: var, var: own}, {name: C, "
           "from: list}]\n",
           "{}", "{\"_row_index\": 0, \"A\": [2, 4, 6], \"B\": [0, 1], \"C\": [2, 4, 6]}");
}

Test(logic, files_are_checked_at_load) {
    expect_refused("  - {type: logic, exec: 1, op: wihle, cond: true}\n", "while");
    expect_refused("  - {type: logic, exec: 1, op: for, list: a, parse: regex, regex_pattern: '(', outputs: "
                   "[{name: x}]}\n",
                   "regex_pattern");
    expect_refused("  - {type: logic, exec: 1, op: for, outputs: [{name: x, from: lsit}]}\n", "list");
    expect_refused("  - {type: logic, exec: 1, op: call, name: nobody}\n", "nobody");
    expect_refused("  - {type: logic, exec: 1, op: while, cond: true, step: [{opp: set, var: a, value: 1}, "
                   "{op: emit, value: 1}]}\n",
                   "a step is an object");
    expect_refused("  - {type: logic, exec: 1, op: if, cond: {eqq: [1, 2]}, then: a}\n", "cond");
}
