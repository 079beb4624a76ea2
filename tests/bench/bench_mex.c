/* bench_mex.c - nanoseconds per MEX operation, lookups included. Usage: bench_mex [rounds]
 *
 * Operations are those the evaluator counts: calls, lookups and templates; for sort, unique and the like also
 * elements. */
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/mabel/mex/mex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ROW[] = "{\"n\":7,\"s\":\"me@x.org\",\"num\":\"5\",\"xs\":[5,3,5,8,1,9,2,7,4,6],\"o\":{"
                          "\"a\":{\"b\":[1,{\"c\":9}]}},"
                          "\"c1\":1,\"c2\":2,\"c3\":3,\"c4\":4,\"c5\":5,\"text\":\"the quick brown fox\"}";

static const struct {
    const char *name, *expr;
} EXPRESSIONS[] = {
    {"arithmetic", "{add: ['{n}', {mul: [{var: n}, 3]}, {sub: ['{n}', 1]}]}"},
    {"comparison", "{and: [{gt: ['{n}', 3]}, {eq: ['{s}', 'me@x.org']}, {le: ['{num}', 5]}]}"},
    {"vars and consts", "{add: [{var: v1}, {var: k1}, {var: v2}, {var: k2}]}"},
    {"paths", "{get: [{var: o}, 'a.b[1].c']}"},
    {"text", "{upper: {concat: ['{s}', '-', '{n}']}}"},
    {"template", "{concat: ['{n} of {s}', '!']}"},
    {"split and join", "{join: [{split: ['{text}', ' ']}, '-']}"},
    {"regex", "{regex_match: {text: '{s}', pattern: '\\w+@\\w+'}}"},
    {"map over 10", "{map: {list: '{xs}', fn: {add: [{var: item}, {var: index}]}}}"},
    {"filter, reduce 10", "{reduce: {list: {filter: {list: '{xs}', fn: {gt: ['{item}', 3]}}}, init: 0, fn: "
                          "{add: ['{accumulator}', '{item}']}}}"},
    {"case", "{case: {when: [{cond: {lt: ['{n}', 3]}, then: low}, {cond: {lt: ['{n}', 10]}, then: mid}], "
             "else: high}}"},
    {"sort, unique 10", "{sort: {unique: '{xs}'}}"},
};

static value_t parse(const char *text) {
    value_t v;
    if (json_parse_text(text, strlen(text), &v, NULL) != SDG_OK) abort();
    return v;
}

static mex_t *compile(ydoc_t **doc, const char *expr) {
    char text[1024];
    int len = snprintf(text, sizeof text, "{e: %s}", expr);
    diags_t diags;
    diags_init(&diags, "bench", NULL, 0);
    *doc = yaml_parse(text, (size_t)len, &(yaml_options_t){0}, &diags);
    mex_t *m = *doc ? mex_compile(*doc, yaml_get(yaml_root(*doc), "e"), NULL, MEX_VALUE, &diags) : NULL;
    if (!m) fprintf(stderr, "%s: %s\n", expr, diags.count ? diags.items[0].message : "?");
    diags_free(&diags);
    return m;
}

/* Nanoseconds per operation; *total collects time of one evaluation. */
static void measure(const char *name, const char *expr, scope_t *s, int rounds, double *ns_all,
                    double *ops_all) {
    ydoc_t *doc;
    mex_t *m = compile(&doc, expr);
    if (!m) exit(1);
    uint64_t start = clock_now_ns();
    for (int i = 0; i < rounds; i++) {
        value_t v;
        err_t err;
        if (mex_eval(m, s, &v, &err) != SDG_OK) {
            fprintf(stderr, "%s: %s\n", name, err.text);
            exit(1);
        }
        value_free(v);
    }
    double ns = (double)(clock_now_ns() - start) / rounds;
    double ops = (double)s->ops;
    printf("%-20s %8.0f ns  %5.0f operations  %6.1f ns each\n", name, ns, ops, ns / ops);
    *ns_all += ns;
    *ops_all += ops;
    mex_destroy(&m);
    yaml_doc_free(&doc);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 200000;
    value_t context = parse(ROW), vars = parse("{\"v1\":1,\"v2\":2}"), consts = parse("{\"k1\":1,\"k2\":2}");
    rng_t rng;
    rng_seed(&rng, 1, 1);
    scope_t s = {.context = &context, .vars = &vars, .consts = consts, .rng = &rng};
    double ns = 0, ops = 0;
    for (size_t i = 0; i < sizeof EXPRESSIONS / sizeof EXPRESSIONS[0]; i++)
        measure(EXPRESSIONS[i].name, EXPRESSIONS[i].expr, &s, rounds, &ns, &ops);
    printf("%-20s %8.0f ns  %5.0f operations  %6.1f ns each\n", "all", ns, ops, ns / ops);
    value_free(context);
    value_free(vars);
    value_free(consts);
    return 0;
}
