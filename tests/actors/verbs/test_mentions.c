/* test_mentions.c - which names a pipeline mentions and which it supplies. */
#include "actors/verbs/mentions.h"

#include <criterion/criterion.h>
#include <string.h>

#include "actors/verbs/prepare.h"

static const char HEAD[] =
    "mabel: {version: \"2.1\"}\nmodels: [{name: m, api_model: m, base_url: \"http://127.0.0.1:1\"}]\n";

typedef struct loaded {
    pipeline_t *p;
    buf_t yaml;
    mentions_t mentions;
    value_t supplied;
} loaded_t;

static loaded_t load(const char *rest) {
    loaded_t l;
    buf_t problems;
    buf_init(&l.yaml, 1 << 20);
    buf_adds(&l.yaml, HEAD);
    buf_adds(&l.yaml, rest);
    buf_init(&problems, 1 << 20);
    l.p = prepare_pipeline_quietly("p.yaml", &l.yaml, (prepare_how_t){0}, &problems, NULL);
    cr_assert_not_null(l.p, "%s", problems.data);
    buf_free(&problems);
    mentions_find(l.p, l.yaml.data, l.yaml.len, &l.mentions, &l.supplied);
    return l;
}

static void unload(loaded_t *l) {
    mentions_free(&l->mentions);
    value_free(l->supplied);
    pipeline_destroy(&l->p);
    buf_free(&l->yaml);
}

static const mention_t *mention_of(const loaded_t *l, mention_kind_t kind, const char *name) {
    for (size_t i = 0; i < l->mentions.count; i++)
        if (l->mentions.items[i].kind == kind && strcmp(l->mentions.items[i].name, name) == 0)
            return &l->mentions.items[i];
    return NULL;
}

static bool mentions(const loaded_t *l, const char *name) { return mention_of(l, MENTION_NAME, name); }

Test(mentions, of_prompts_system_texts_and_the_templates_they_use) {
    loaded_t l = load("templates: [{name: t, text: \"{inner} {u}\"}, {name: u, text: \"{innermost}\"}, "
                      "{name: unused, text: \"{nowhere}\"}]\n"
                      "blocks: [{type: ai, exec: 1, id: ask, model: m, system_prompt: \"{role}\", prompts: "
                      "[\"{a} {b.c[0]} {t} {x.img}\", \"{a}\"]}]\n");
    cr_assert_eq(l.mentions.count, 6, "role, a, b.c[0], inner, innermost, the image x");
    cr_assert(mentions(&l, "role") && mentions(&l, "a") && mentions(&l, "b.c[0]") && mentions(&l, "inner") &&
              mentions(&l, "innermost"));
    cr_assert(mention_of(&l, MENTION_IMAGE, "x"));
    const mention_t *role = mention_of(&l, MENTION_NAME, "role");
    cr_assert_str_eq(role->block, "ask");
    cr_assert_str_eq(role->path, "blocks[0].system_prompt");
    cr_assert_eq(role->line, 4);
    cr_assert(role->prompt);
    unload(&l);
}

Test(mentions, supplied_by_outputs_globals_and_everything_that_gives_a_name) {
    static const char *const names[] = {"Out", "Logic",  "Py",    "const1",    "var1",      "doc",
                                        "tpl", "linked", "loop",  "acc",       "bound",     "seed",
                                        "arg", "ret",    "saved", "from_code", "attribute", "error_block_3"};
    loaded_t l = load("globals: {const: {const1: 1}, vars: {var1: 2}}\ntemplates: [{name: tpl, text: "
                      "x}]\nfiles: [{name: doc, content: x}]\n"
                      "functions: {logic: [{name: f, args: [arg], returns: [ret], body: [{op: set, var: ret, "
                      "value: 1}]}]}\n"
                      "blocks:\n"
                      "  - {type: ai, exec: 1, id: a, model: m, prompts: [x], outputs: [{name: Out}], "
                      "save_to: {vars: {saved: Out}}}\n"
                      "  - {type: logic, exec: 2, op: for, list: \"{Out}\", var: loop, map: \"{loop}\", "
                      "outputs: [{name: Logic}]}\n"
                      "  - {type: logic, exec: 3, id: r, op: reduce, list: [1], value: 0, var: loop, "
                      "accumulator: acc, body: [{op: set, var: acc, value: 1}], outputs: [{name: R}]}\n"
                      "  - {type: logic, exec: 4, op: let, bindings: {bound: 1}, body: [], outputs: [{name: "
                      "L, from: value, value: 1}]}\n"
                      "  - {type: logic, exec: 5, op: while, init: [{op: set, var: seed, value: 0}], cond: "
                      "{lt: [1, 0]}, step: [], outputs: [{name: W, from: count}]}\n"
                      "  - {type: python, exec: 6, id: py, outputs: [Py], function_code: \"def main(ctx):\\n "
                      " ctx.set('from_code', 1)\\n  ctx.vars.attribute = 2\\n\"}\n"
                      "  - {type: end, exec: 9, id: e, final: [{name: o, value: \"{linked}\"}]}\n"
                      "connections: [{from: a, output: Out, to: e, input: linked}]\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert(mentions_have(l.supplied, names[i]), "%s", names[i]);
    cr_assert(mentions_have(l.supplied, "Out.items[0]") && mentions_have(l.supplied, "Out[1]"));
    cr_assert_not(mentions_have(l.supplied, "topic"));
    cr_assert_not(mentions_have(l.supplied, "Outer"));
    unload(&l);
}

Test(mentions, of_inputs_results_and_expressions) {
    static const char *const names[] = {"input", "mapped", "Lines", "given", "flag",
                                        "final", "deep",   "ref1",  "inside"};
    static const char *const others[] = {"L", "2", "nl", "loop_text"};
    loaded_t l = load(
        "blocks:\n"
        "  - {type: python, exec: 1, function_code: x, inputs: [input, \"{mapped}\"], run_if: "
        "'{\"equals\":[\"{flag}\",\"on\"]}'}\n"
        "  - {type: python, exec: 1, function_code: x, inputs: {nl: \"{given}\"}}\n"
        "  - {type: logic, exec: 2, op: for, list: Lines, map: \"{inside}\", where: {regex_match: {text: "
        "a, pattern: \"{nl}{2}\"}}, outputs: [{name: o, value: {concat: ['\\p{L}', {ref: ref1}, 'a{2}']}}]}\n"
        "  - {type: end, exec: 3, final: [{name: loop_text, value: {k: [\"{deep}\"]}}, {name: b, value: "
        "\"{final}\"}]}\n");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_assert(mentions(&l, names[i]), "%s", names[i]);
        cr_assert_not(mention_of(&l, MENTION_NAME, names[i])->prompt);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_not(mentions(&l, others[i]), "%s", others[i]);
    unload(&l);
}

Test(mentions, text_in_braces_is_kept_apart) {
    loaded_t l = load("blocks: [{type: ai, exec: 1, model: m, prompts: [\"{a b} {x} { y } {{z}} {\\\"j\\\": "
                      "1} ${ENV.V}\"]}]\n");
    cr_assert(mention_of(&l, MENTION_TEXT, "a b"));
    cr_assert(mention_of(&l, MENTION_TEXT, " y "));
    cr_assert(mentions(&l, "x") && mentions(&l, "z"));
    cr_assert_not(mentions(&l, "ENV.V"));
    unload(&l);
}

Test(mentions, reading_is_not_giving) {
    loaded_t l = load(
        "blocks:\n"
        "  - {type: ai, exec: 1, model: m, params: {temperature: 0}, prompts: [x]}\n"
        "  - {type: logic, exec: 2, op: set, var: given, value: {var: read}, outputs: [O]}\n"
        "  - {type: logic, exec: 3, op: let, bindings: {b: 1}, body: [{op: for, list: [1], outputs: [{name: "
        "step}]}], outputs: [P]}\n");
    cr_assert(mentions_have(l.supplied, "given") && mentions_have(l.supplied, "step"));
    cr_assert_not(mentions_have(l.supplied, "read"));
    cr_assert_not(mentions_have(l.supplied, "temperature"));
    unload(&l);
}
