/* fuzz_mex.c - any JSON as a MEX expression, compiled in both modes and evaluated on a small row: no crash,
 * no leak, bounded, and the frames of lambdas are always taken down. */
#include "core/base/json.h"
#include "core/mabel/mex/mex.h"

#include <stdlib.h>
#include <string.h>

static const char ROW[] = "{\"n\":7,\"s\":\"a-b-c\",\"e\":\"\",\"xs\":[5,3,\"x\"],\"o\":{\"a\":{\"b\":[1,{"
                          "\"c\":9}]}},\"nil\":null,\"r\":2.5}";

static value_t parse(const char *text) {
    value_t v;
    if (json_parse_text(text, strlen(text), &v, NULL) != SDG_OK) abort();
    return v;
}

static void evaluate(const mex_t *m, scope_t *s) {
    value_t v;
    err_t err = {0};
    if (mex_eval(m, s, &v, &err) != SDG_OK && (v.kind != VALUE_NULL || !err.text[0])) abort();
    value_free(v);
    bool yes;
    mex_eval_bool(m, s, &yes, NULL);
    if (s->locals) abort();
}

static void run(ydoc_t *doc, const ynode_t *node, mex_mode_t mode, scope_t *s) {
    diags_t diags;
    diags_init(&diags, "fuzz", NULL, 0);
    mex_t *m = mex_compile(doc, node, NULL, mode, &diags);
    if (!m != (diags.errors > 0)) abort();
    if (m) evaluate(m, s);
    mex_destroy(&m);
    diags_free(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    diags_t diags;
    diags_init(&diags, "fuzz", NULL, 0);
    ydoc_t *doc = yaml_parse("{}", 2, &(yaml_options_t){0}, &diags);
    const ynode_t *node = yaml_from_json(doc, (const char *)bytes, size, yaml_root(doc), NULL);
    if (node) {
        value_t context = parse(ROW), vars = parse("{\"v\":1}"), consts = parse("{\"k\":2}");
        rng_t rng;
        rng_seed(&rng, 1, 1);
        scope_t s = {.context = &context, .vars = &vars, .consts = consts, .rng = &rng};
        run(doc, node, MEX_VALUE, &s);
        run(doc, node, MEX_CONDITION, &s);
        value_free(context);
        value_free(vars);
        value_free(consts);
    }
    yaml_doc_free(&doc);
    diags_free(&diags);
    return 0;
}
