/* What sdg doctor reads out of pipelines and of servers' answers. The verb itself: test_doctor.py. */
#include "actors/doctor/doctor_names.h"
#include "actors/doctor/doctor_net.h"

#include <criterion/criterion.h>
#include <string.h>

#include "actors/verbs/prepare.h"

/* ---- names */

static const char HEAD[] =
    "mabel: {version: \"2.1\"}\nmodels: [{name: m, api_model: m, base_url: \"http://127.0.0.1:1\"}]\n";

typedef struct loaded {
    pipeline_t *p;
    buf_t yaml;
    value_t prompts, supplied;
} loaded_t;

static loaded_t load(const char *rest) {
    loaded_t l;
    buf_t problems;
    buf_init(&l.yaml, 1 << 20);
    buf_adds(&l.yaml, HEAD);
    buf_adds(&l.yaml, rest);
    buf_init(&problems, 1 << 20);
    l.p = prepare_pipeline_quietly("p.yaml", &l.yaml, false, false, &problems, NULL);
    cr_assert_not_null(l.p, "%s", problems.data);
    buf_free(&problems);
    l.prompts = doctor_names_of_prompts(l.p);
    l.supplied = doctor_names_supplied(l.p, l.yaml.data, l.yaml.len);
    return l;
}

static void unload(loaded_t *l) {
    value_free(l->prompts);
    value_free(l->supplied);
    pipeline_destroy(&l->p);
    buf_free(&l->yaml);
}

static bool mentions(const loaded_t *l, const char *name) {
    bool found;
    object_get_peek(l->prompts, name, strlen(name), &found);
    return found;
}

Test(doctor_names, of_prompts_system_texts_and_the_templates_they_use) {
    loaded_t l = load("templates: [{name: t, text: \"{inner} {u}\"}, {name: u, text: \"{innermost}\"}, "
                      "{name: unused, text: \"{nowhere}\"}]\n"
                      "blocks: [{type: ai, exec: 1, id: ask, model: m, system_prompt: \"{role}\", prompts: "
                      "[\"{a} {b.c[0]} {t} {x.img}\", \"{a}\"]}]\n");
    cr_assert_eq(object_count(l.prompts), 5, "role, a, b.c[0], inner, innermost");
    cr_assert(mentions(&l, "role") && mentions(&l, "a") && mentions(&l, "b.c[0]") && mentions(&l, "inner") &&
              mentions(&l, "innermost"));
    cr_assert_str_eq(object_get_peek(l.prompts, "role", 4, NULL).string->data, "ask");
    unload(&l);
}

Test(doctor_names, supplied_by_outputs_globals_and_everything_that_gives_a_name) {
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
        cr_assert(doctor_names_have(l.supplied, names[i]), "%s", names[i]);
    cr_assert(doctor_names_have(l.supplied, "Out.items[0]") && doctor_names_have(l.supplied, "Out[1]"));
    cr_assert_not(doctor_names_have(l.supplied, "topic"));
    cr_assert_not(doctor_names_have(l.supplied, "Outer"));
    unload(&l);
}

/* ---- servers */

static void expect_load(bool (*read)(const char *, size_t, buf_t *), const char *text, const char *wanted) {
    buf_t out;
    buf_init(&out, 512);
    cr_assert_eq(read(text, strlen(text), &out), wanted != NULL, "%s", text);
    if (wanted) cr_assert_str_eq(out.data, wanted);
    buf_free(&out);
}

Test(doctor_net, models) {
    static const char *const none[] = {"", "<html>", "[]", "{\"data\": 3}", "{\"error\": {}}"};
    static const char some[] =
        "{\"object\": \"list\", \"data\": [{\"id\": \"a\"}, 3, {\"id\": 4}, {\"id\": \"b\"}]}";
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_eq(doctor_models_read(none[i], strlen(none[i])).kind, VALUE_NULL);
    value_t ids = doctor_models_read(some, strlen(some));
    cr_assert_eq(list_count(ids), 2);
    cr_assert_str_eq(list_peek(ids, 1).string->data, "b");
    value_free(ids);
}

Test(doctor_net, metrics_are_matched_by_their_whole_name_and_summed_over_engines) {
    expect_load(
        doctor_metrics_read,
        "# HELP vllm:num_requests_running Number\n# TYPE vllm:num_requests_running gauge\n"
        "vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} "
        "3.0\nvllm:num_requests_running{engine=\"1\"} 4\n"
        "vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting_by_reason{reason=\"capacity\"} "
        "9\nvllm:kv_cache_usage_perc 0.25\n",
        "vLLM: 7 running, 2 waiting, 25 % of the KV cache in use");
    expect_load(doctor_metrics_read,
                "sglang:num_running_reqs{priority=\"\"} 5\nsglang:num_running_reqs{priority=\"1\"} "
                "5\nsglang:num_queue_reqs{tp_rank=\"0\"} 1\n",
                "SGLang: 5 running, 1 waiting");
    expect_load(doctor_metrics_read, "process_cpu_seconds_total 3\n", NULL);
    expect_load(doctor_metrics_read, "vllm:num_requests_running{engine=\"0\"\nvllm:num_requests_running",
                NULL);
    expect_load(doctor_metrics_read, "", NULL);
}

Test(doctor_net, loads_of_all_ranks) {
    expect_load(
        doctor_loads_read,
        "{\"loads\": [{\"num_running_reqs\": 3, \"num_waiting_reqs\": 1}, {\"num_running_reqs\": 2}]}",
        "SGLang: 5 running, 1 waiting");
    expect_load(doctor_loads_read, "[{\"num_running_reqs\": 3}]", "SGLang: 3 running");
    expect_load(doctor_loads_read, "{\"detail\": \"Not Found\"}", NULL);
    expect_load(doctor_loads_read, "null", NULL);
}
