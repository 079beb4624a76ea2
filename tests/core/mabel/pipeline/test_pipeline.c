/* test_pipeline.c - loading pipelines: what is compiled, and every problem that is found at load. */
#include "core/mabel/pipeline/limits.h"
#include "core/mabel/pipeline/pipeline.h"

#include "core/base/json.h"
#include "core/mabel/logic/logic.h"
#include "core/mabel/text/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct loaded {
    diags_t diags;
    pipeline_t *p;
    char *said; /* all problems, hints too */
} loaded_t;

static loaded_t load_from(const char *path, const char *text, bool use_env, bool accept_python) {
    loaded_t l = {0};
    diags_init(&l.diags, "p.yaml", text, strlen(text));
    pipeline_source_t source = {
        .path = path, .bytes = text, .len = strlen(text), .use_env = use_env, .accept_python = accept_python};
    l.p = pipeline_load(&source, &l.diags);
    buf_t out;
    buf_init(&out, 1 << 22);
    diags_write(&l.diags, DIAG_HINT, &out);
    l.said = buf_take(&out, NULL);
    return l;
}

static loaded_t load(const char *text) { return load_from("dir/p.yaml", text, true, true); }

static void done(loaded_t *l) {
    pipeline_destroy(&l->p);
    diags_free(&l->diags);
    free(l->said);
}

/* Loads and expects no problem at all. */
static loaded_t load_clean(const char *text) {
    loaded_t l = load(text);
    cr_assert_not_null(l.p, "%s", l.said);
    cr_assert_str_eq(l.said, "");
    return l;
}

static void expect_said(const char *text, const char *part, size_t errors, size_t warnings) {
    loaded_t l = load(text);
    cr_assert(strstr(l.said, part), "of:\n%s\ngot:\n%s\nwant: %s", text, l.said, part);
    cr_assert_eq(l.diags.errors, errors, "of:\n%s\n%s", text, l.said);
    cr_assert_eq(l.diags.warnings, warnings, "of:\n%s\n%s", text, l.said);
    cr_assert_eq(!l.p, errors > 0);
    done(&l);
}

static void expect_json(value_t v, const char *want) {
    buf_t out;
    buf_init(&out, 1 << 20);
    json_write(&out, v, JSON_COMPACT);
    cr_assert_str_eq(out.data, want);
    buf_free(&out);
}

#define END "  - {type: end, exec: 99, final: [{name: a, value: x}]}\n"
#define MODEL "models: [{name: m, api_model: am, api_key: k, base_url: \"http://127.0.0.1:9/v1\"}]\n"

Test(pipeline, smallest) {
    loaded_t l = load_clean("mabel: {version: \"2.1\", name: Hello}\n"
                            "blocks:\n"
                            "  - {type: end, exec: 2, final: [{name: message, value: \"{greeting}\"}]}\n"
                            "  - {type: logic, exec: 1, id: greet, op: set, var: greeting, value: hi}\n");
    cr_assert_eq(l.p->major, 2);
    cr_assert_str_eq(l.p->name->data, "Hello");
    cr_assert_str_eq(l.p->base_dir, "dir");
    cr_assert_eq(l.p->block_count, 2);
    cr_assert_str_eq(l.p->blocks[0].label->data, "greet", "running order");
    cr_assert_str_eq(l.p->blocks[1].label->data, "blocks[0]");
    cr_assert(l.p->has_end);
    cr_assert_str_eq(l.p->blocks[1].end.finals[0].name->data, "message");
    done(&l);
}

Test(pipeline, versions) {
    static const struct {
        const char *head;
        int major;
    } heads[] = {{"", 1},
                 {"mabel: {version: \"1.0\"}\n", 1},
                 {"mabel: {version: 2.0}\n", 2},
                 {"mabel: {version: '2.1'}\n", 2},
                 {"mabel: {id: x}\n", 1}};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char *text = xasprintf("%sblocks:\n" END, heads[i].head);
        loaded_t l = load_clean(text);
        cr_assert_eq(l.p->major, heads[i].major);
        done(&l);
        free(text);
    }
    expect_said("mabel: {version: '3.0'}\nblocks:\n" END, "mabel.version: unknown version '3.0'", 1, 0);
}

Test(pipeline, exec_order_is_stable) {
    loaded_t l = load("blocks:\n"
                      "  - {type: end, exec: 99, id: e}\n"
                      "  - {type: logic, exec: 5, id: b, op: set, var: v, value: 1}\n"
                      "  - {type: logic, exec: -1, id: a, op: set, var: v, value: 1}\n"
                      "  - {type: logic, exec: 5, id: c, op: set, var: v, value: 1}\n"
                      "  - {type: logic, exec: \"40\", name: d, op: set, var: v, value: 1}\n");
    cr_assert_not_null(l.p, "%s", l.said);
    const char *want[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++)
        cr_assert_str_eq(l.p->blocks[i].label->data, want[i]);
    cr_assert_eq(l.p->blocks[0].exec, -1);
    cr_assert_eq(l.p->blocks[0].source_index, 2);
    done(&l);
}

Test(pipeline, all_errors_at_once_with_paths) {
    const char *text =
        "mabel: {version: \"2.0\"}\n"
        "models:\n"
        "  - {name: small, api_model: m, api_key: k, base_url: \"http://127.0.0.1:9\"}\n"
        "blocks:\n"
        "  - {type: ai, exec: 1, model: nosuchmodel, prompts: [\"hi\"]}\n"
        "  - {type: ai, exec: 2, model: small, prompts: [\"hi\"], outputs: [{name: B, select: regex, regex: "
        "\"(unclosed\"}]}\n"
        "  - {type: logic, exec: 3, op: if, cond: {\"frobnicate\": [1, 2]}, then: x, outputs: [{name: C}]}\n"
        "  - {type: logic, exec: 4, op: call, function: nosuchfunction, with: {n: 1}}\n" END;
    loaded_t l = load(text);
    cr_assert_null(l.p);
    cr_assert_eq(l.diags.errors, 4, "%s", l.said);
    cr_assert(strstr(l.said, "p.yaml:5:32: error: blocks[0].model: no model is called 'nosuchmodel'"), "%s",
              l.said);
    cr_assert(strstr(l.said, "blocks[1].outputs[0].regex"), "%s", l.said);
    cr_assert(strstr(l.said, "frobnicate"), "%s", l.said);
    cr_assert(strstr(l.said, "nosuchfunction"), "%s", l.said);
    done(&l);
}

Test(pipeline, unknown_keys_are_warnings_with_a_hint) {
    expect_said("blocks:\n  - {type: end, exec: 1, on_eror: continue}\n",
                "blocks[0]: unknown key 'on_eror' in an end block, did you mean 'on_error'?", 0, 1);
    expect_said("blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 5, on_eror: continue}\n",
                "on_error", 0, 1);
    expect_said("block: 1\nblocks:\n" END, "unknown key 'block' in a pipeline, did you mean 'blocks'?", 0, 1);
    expect_said(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, promts: [a], prompts: [b]}\n",
                "did you mean 'prompts'?", 0, 1);
    expect_said("budgets: {loop: {}}\nblocks:\n" END,
                "budgets: unknown key 'loop' in a budget, did you mean 'loops'?", 0, 1);
}

Test(pipeline, wrong_kinds) {
    expect_said("models: {name: m}\nblocks:\n" END, "p.yaml:1:9: error: models: expected a list, found a map",
                1, 0);
    expect_said("blocks: 5\n", "blocks: expected a list, found an integer", 1, 0);
    expect_said("- a\n- b\n", "a pipeline is a map of keys, found a list", 1, 0);
    expect_said("blocks: [5]\n", "blocks[0]: a block is a map of keys, found an integer", 1, 0);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: {x}, value: 1}]}\n",
                "put a {placeholder} in quotes", 1, 0);
    expect_said(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [{q}]}\n",
                "blocks[0].prompts[0]: expected text, found a map; put a {placeholder} in quotes", 1, 0);
}

Test(pipeline, blocks_need_type_and_exec) {
    expect_said("blocks: []\n", "no blocks: nothing to run", 1, 0);
    expect_said("mabel: {}\n", "a pipeline needs 'blocks'", 1, 0);
    expect_said("", "a pipeline needs 'blocks'", 1, 0);
    expect_said("blocks:\n  - {exec: 1}\n", "a block needs 'type'", 1, 0);
    expect_said("blocks:\n  - {type: lgic, exec: 1}\n",
                "unknown type 'lgic', expected ai, logic, python or end, did you mean 'logic'?", 1, 0);
    expect_said("blocks:\n  - {type: end}\n", "a block needs 'exec': an integer", 1, 0);
    expect_said("blocks:\n  - {type: end, exec: first}\n", "blocks[0].exec: expected an integer, found text",
                1, 0);
    expect_said("blocks:\n  - {type: end, exec: 1.5}\n", "blocks[0].exec: expected an integer", 1, 0);
    expect_said("blocks:\n  - {type: logic, exec: 1, op: fro}\n", "did you mean", 1, 0);
    expect_said("blocks:\n  - {type: end, exec: 1, on_error: contine}\n", "did you mean 'continue'?", 1, 0);
}

Test(pipeline, ids_are_unique) {
    expect_said("blocks:\n  - {type: end, exec: 1, id: x, run_if: false}\n  - {type: end, exec: 2, id: x}\n",
                "blocks[1].id: the id 'x' is taken by blocks[0]", 1, 0);
}

Test(pipeline, models_are_compiled) {
    loaded_t l = load_clean("models:\n"
                            "  - name: main\n"
                            "    api_model: vendor/m\n"
                            "    api_key: secret\n"
                            "    base_url: [\"http://127.0.0.1:1\", \"http://[::1]:2/v1\"]\n"
                            "    organization: org-42\n"
                            "    headers: {X-Trace: abc, X-Two: 2}\n"
                            "    capabilities: [vision]\n"
                            "    safety: {}\n"
                            "    request_defaults:\n"
                            "      temperature: 0.7\n"
                            "      timeout_sec: 20\n"
                            "      http2: true\n"
                            "      extra_body: {top_k: 5}\n"
                            "      extra_headers: {x-two: three}\n"
                            "      retry: {max_attempts: 2, backoff: {type: fixed, base_ms: 5}}\n"
                            "  - {name: plain, api_model: p, api_key: k}\n"
                            "blocks:\n  - {type: ai, exec: 1, model: main, prompts: [hi]}\n");
    const model_t *m = &l.p->models[0];
    cr_assert_str_eq(m->api_model->data, "vendor/m");
    cr_assert_str_eq(m->api_key, "secret");
    cr_assert_eq(m->url_count, 2);
    cr_assert(m->all_loopback);
    cr_assert_eq(m->header_count, 3);
    cr_assert_str_eq(m->headers[0], "OpenAI-Organization: org-42");
    cr_assert_str_eq(m->headers[1], "X-Trace: abc");
    cr_assert_str_eq(m->headers[2], "x-two: three", "extra_headers replace headers of the same name");
    expect_json(m->params, "{\"temperature\":0.7,\"top_k\":5}");
    cr_assert_eq(m->timeout_ms, 20000);
    cr_assert_eq(m->retry.attempts_max, 2);
    cr_assert_eq(m->retry.base_ms, 5);
    cr_assert_eq(m->retry.factor, 1);
    m = &l.p->models[1];
    cr_assert_eq(m->url_count, 0);
    cr_assert_not(m->all_loopback);
    cr_assert_eq(m->timeout_ms, 3600000);
    cr_assert_eq(m->retry.attempts_max, 10);
    done(&l);
}

Test(pipeline, model_problems) {
    expect_said("models: [{name: m}, {api_model: x}]\nblocks:\n" END, "models[0]: a model needs 'api_model'",
                2, 1);
    expect_said(
        "models: [{name: m, api_model: a, api_key: k}, {name: m, api_model: b, api_key: k}]\nblocks:\n" END,
        "models[1].name: a second model called 'm'", 1, 0);
    expect_said("models: [{name: m, api_model: a, api_key: k, base_url: \"localhost:8000\"}]\nblocks:\n" END,
                "expected an address such as http", 1, 0);
    expect_said(
        "models: [{name: m, api_model: a, api_key: k, headers: {\"X\": \"a\\r\\nB: c\"}}]\nblocks:\n" END,
        "one line of text", 1, 0);
    expect_said("models: [{name: m, api_model: a, api_key: k, headers: {\"a b\": c}}]\nblocks:\n" END,
                "cannot be the name of an HTTP header", 1, 0);
    expect_said(
        "models: [{name: m, api_model: a, api_key: k, request_defaults: {messages: []}}]\nblocks:\n" END,
        "'messages' is decided by the runtime", 0, 1);
    expect_said(
        "models: [{name: m, api_model: a, api_key: k, request_defaults: {timeout_sec: -1}}]\nblocks:\n" END,
        "models[0].request_defaults.timeout_sec: expected seconds", 1, 0);
    expect_said("models: [{name: m, api_model: a, api_key: k, request_defaults: {retry: {max_attempts: "
                "many}}}]\nblocks:\n" END,
                "request_defaults.retry.max_attempts: expected a number, found text", 1, 0);
    expect_said(MODEL "blocks:\n  - {type: ai, exec: 1, model: n, prompts: [hi]}\n", "no model is called 'n'",
                1, 0);
    expect_said("models: [{name: writer, api_model: a, api_key: k}]\nblocks:\n  - {type: ai, exec: 1, model: "
                "writr, prompts: [hi]}\n",
                "did you mean 'writer'?", 1, 0);
}

Test(pipeline, loopback_is_an_address_not_a_prefix) {
    static const struct {
        const char *url;
        bool loopback;
    } urls[] = {{"http://127.0.0.1:80/v1", true},
                {"http://127.9.9.9", true},
                {"https://LOCALHOST/v1", true},
                {"http://user:p@localhost:1", true},
                {"http://[::1]:8000/v1", true},
                {"http://127.example.com", false},
                {"http://localhost.example", false},
                {"http://10.0.0.1", false},
                {"http://localhost@evil.example/", false},
                {"http://evil.example/127.0.0.1", false}};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char *text = xasprintf(
            "models: [{name: m, api_model: a, api_key: k, base_url: \"%s\"}]\nblocks:\n" END, urls[i].url);
        loaded_t l = load_clean(text);
        cr_assert_eq(l.p->models[0].all_loopback, urls[i].loopback, "%s", urls[i].url);
        done(&l);
        free(text);
    }
}

Test(pipeline, variables_in_keys_and_addresses) {
    setenv("SUITE_KEY", "kk", 1);
    setenv("SUITE_BASE", "http://127.0.0.1:7", 1);
    loaded_t l = load_clean("globals: {const: {PLACE: \"<${ENV.SUITE_KEY}>\"}}\n"
                            "models: [{name: m, api_model: \"${ENV.SUITE_KEY}\", api_key: \"${SUITE_KEY}\", "
                            "base_url: \"${SUITE_BASE}/v1\"}]\nblocks:\n" END);
    cr_assert_str_eq(l.p->models[0].api_key, "kk");
    cr_assert_str_eq(l.p->models[0].api_model->data, "kk");
    cr_assert_str_eq(l.p->models[0].base_urls[0], "http://127.0.0.1:7/v1");
    expect_json(l.p->consts, "{\"PLACE\":\"<kk>\"}");
    done(&l);
}

Test(pipeline, keys_and_addresses_are_trimmed_and_a_key_is_one_line) {
    setenv("SUITE_KEY", " sk-1234\r\n", 1);
    setenv("SUITE_BASE", " http://127.0.0.1:7/v1\n", 1);
    loaded_t l = load_clean("models: [{name: m, api_model: a, api_key: \"${ENV.SUITE_KEY}\", base_url: "
                            "\"${ENV.SUITE_BASE}\"}]\nblocks:\n" END);
    cr_assert_str_eq(l.p->models[0].api_key, "sk-1234");
    cr_assert_str_eq(l.p->models[0].base_urls[0], "http://127.0.0.1:7/v1");
    done(&l);
    setenv("SUITE_KEY", "sk-12\n34", 1);
    expect_said(
        "models: [{name: m, api_model: a, api_key: \"${ENV.SUITE_KEY}\", base_url: \"http://127.0.0.1:7\"}]\n"
        "blocks:\n" END,
        "models[0].api_key: the key has a line break", 1, 0);
}

Test(pipeline, a_missing_key_is_fatal_only_for_remote_servers) {
    unsetenv("ABSENT_KEY");
    static const char *const forms[] = {"${ENV.ABSENT_KEY}", "${ABSENT_KEY}"};
    for (size_t i = 0; i < 2; i++) {
        char *remote = xasprintf("models: [{name: m, api_model: a, api_key: \"%s\", base_url: "
                                 "\"https://api.invalid/v1\"}]\nblocks:\n" END,
                                 forms[i]);
        expect_said(remote, "models[0].api_key: the environment variable 'ABSENT_KEY' is not set", 1, 0);
        char *local = xasprintf("models: [{name: m, api_model: a, api_key: \"%s\", base_url: "
                                "\"http://127.0.0.1:1/v1\"}]\nblocks:\n" END,
                                forms[i]);
        loaded_t l = load(local);
        cr_assert_not_null(l.p, "%s", l.said);
        cr_assert_eq(l.diags.warnings, 1);
        cr_assert(strstr(l.said, "'ABSENT_KEY' is not set: requests are sent without a key"));
        cr_assert_str_eq(l.p->models[0].api_key, "");
        cr_assert_str_eq(l.p->models[0].missing_key_var, "ABSENT_KEY");
        done(&l);
        free(remote);
        free(local);
    }
    expect_said(
        "models: [{name: m, api_model: a, api_key: k, base_url: \"${ENV.ABSENT_KEY}/v1\"}]\nblocks:\n" END,
        "models[0].base_url: the environment variable", 1, 0);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: a, value: \"x${ENV.ABSENT_KEY}\"}]}\n",
                "p.yaml:2:51: warning: the environment variable 'ABSENT_KEY'", 0, 1);
}

Test(pipeline, the_usual_key_goes_to_its_own_server_only) {
    setenv("OPENAI_API_KEY", "usual", 1);
    loaded_t l =
        load_clean("models:\n  - {name: a, api_model: a}\n  - {name: b, api_model: a, base_url: "
                   "\"https://api.openai.com/v1\"}\n"
                   "  - {name: c, api_model: a, base_url: \"https://other.invalid/v1\"}\nblocks:\n" END);
    cr_assert_str_eq(l.p->models[0].api_key, "usual");
    cr_assert_str_eq(l.p->models[1].api_key, "usual");
    cr_assert_str_eq(l.p->models[2].api_key, "");
    done(&l);
}

Test(pipeline, relative_files_are_looked_up_in_the_folder_that_is_given) {
    const char *text = "blocks:\n" END;
    pipeline_source_t source = {.path = "p.yaml", .folder = "/elsewhere", .bytes = text, .len = strlen(text)};
    diags_t diags;
    diags_init(&diags, "p.yaml", text, source.len);
    pipeline_t *p = pipeline_load(&source, &diags);
    cr_assert_str_eq(p->base_dir, "/elsewhere");
    pipeline_destroy(&p);
    diags_free(&diags);
}

/* The id depends on the text of the file alone: neither on whether its variables are set nor on their values.
 */
Test(pipeline, an_endpoint_is_known_by_what_is_written) {
    const char *text =
        "models:\n"
        "  - {name: a, api_model: m, api_key: \"${ENV.SUITE_KEY}\", base_url: \"${ENV.SUITE_BASE}\"}\n"
        "  - {name: b, api_model: m, api_key: \"${ENV.SUITE_KEY}\", base_url: [\"${ENV.SUITE_BASE}/v1/\"]}\n"
        "  - {name: c, api_model: m, api_key: \"${SUITE_KEY}\", base_url: \"${ENV.SUITE_BASE}\"}\n"
        "  - {name: d, api_model: n, api_key: \"${ENV.SUITE_KEY}\", base_url: \"${ENV.SUITE_BASE}\"}\n"
        "  - {name: e, api_model: m, api_key: k}\n"
        "  - {name: f, api_model: m, api_key: k, base_url: \"https://api.openai.com\"}\n"
        "blocks:\n" END;
    setenv("SUITE_KEY", "kk", 1);
    setenv("SUITE_BASE", "http://127.0.0.1:7", 1);
    loaded_t first = load_clean(text);
    setenv("SUITE_KEY", "another", 1);
    setenv("SUITE_BASE", "http://127.0.0.1:8", 1);
    loaded_t second = load_clean(text), bare = load_from("p.yaml", text, false, true);
    cr_assert_not_null(bare.p, "%s", bare.said);
    for (size_t i = 0; i < 6; i++) {
        cr_expect_neq(first.p->models[i].endpoint_id, 0);
        cr_expect_eq(first.p->models[i].endpoint_id, second.p->models[i].endpoint_id, "model %zu", i);
        cr_expect_eq(first.p->models[i].endpoint_id, bare.p->models[i].endpoint_id, "model %zu", i);
    }
    const model_t *m = first.p->models;
    cr_expect_eq(m[0].endpoint_id, m[1].endpoint_id, "the same server in two spellings");
    cr_expect_neq(m[0].endpoint_id, m[2].endpoint_id, "another key, as far as the file tells");
    cr_expect_neq(m[0].endpoint_id, m[3].endpoint_id, "another model");
    cr_expect_eq(m[4].endpoint_id, m[5].endpoint_id, "the default, written or not");
    done(&first);
    done(&second);
    done(&bare);
}

Test(pipeline, without_env_variables_stay_as_written) {
    loaded_t l = load_from("p.yaml",
                           "models: [{name: m, api_model: a, api_key: \"${ENV.NOPE}\", base_url: "
                           "\"${NOPE}/v1\"}]\nblocks:\n" END,
                           false, true);
    cr_assert_not_null(l.p, "%s", l.said);
    cr_assert_eq(l.diags.count, 0, "%s", l.said);
    cr_assert_str_eq(l.p->models[0].api_key, "${ENV.NOPE}");
    cr_assert_str_eq(l.p->models[0].base_urls[0], "${NOPE}/v1");
    cr_assert_str_eq(l.p->base_dir, ".");
    done(&l);
}

Test(pipeline, ai_blocks_are_compiled) {
    loaded_t l = load_clean(
        "models: [{name: m, api_model: a, api_key: k, request_defaults: {temperature: 0.7, top_p: 0.9}}]\n"
        "blocks:\n"
        "  - type: ai\n"
        "    exec: 1\n"
        "    model: m\n"
        "    system_prompt: \"Be {tone}\"\n"
        "    prompts: just one {q}\n"
        "    mode: json\n"
        "    params: {temperature: 0.1, seed: 7, timeout_sec: 1.5, extra_body: {min_p: 0.02}, extra_headers: "
        "{X-Job: 77}, retry: {max_attempts: 4}}\n"
        "    attachments: [{content: body}]\n"
        "    outputs:\n"
        "      - {name: A, select: tag, tag: code, join_with: \"\\n\"}\n"
        "      - {name: B, select: regex, regex: 'x(.)'}\n"
        "      - {name: C, select: jsonpath, path: $.a.b, type_hint: number}\n"
        "      - D\n"
        "    save_to: {vars: {last: A}}\n"
        "  - {type: end, exec: 2, final: [{name: a, value: \"{A}{B}{C}{D}\"}]}\n");
    const ai_block_t *ai = &l.p->blocks[0].ai;
    cr_assert_eq(ai->model, 0);
    cr_assert_eq(ai->prompt_count, 1);
    cr_assert_not_null(ai->system);
    expect_json(ai->params, "{\"temperature\":0.1,\"top_p\":0.9,\"seed\":7,\"min_p\":0.02,\"response_"
                            "format\":{\"type\":\"json_object\"}}");
    expect_json(l.p->models[0].params, "{\"temperature\":0.7,\"top_p\":0.9}");
    cr_assert_str_eq(ai->headers[0], "X-Job: 77");
    cr_assert_eq(ai->timeout_ms, 1500);
    cr_assert(ai->has_retry && ai->retry.attempts_max == 4);
    cr_assert_str_eq(ai->attachments[0].mime->data, "text/plain");
    cr_assert_eq(ai->output_count, 4);
    cr_assert_eq(ai->outputs[0].extract.select, SELECT_TAG);
    cr_assert_str_eq(ai->outputs[0].extract.join_with->data, "\n");
    cr_assert_not_null(ai->outputs[1].extract.regex);
    cr_assert_not_null(ai->outputs[2].extract.path);
    cr_assert_eq(ai->outputs[2].extract.hint, HINT_NUMBER);
    cr_assert_eq(ai->outputs[3].extract.select, SELECT_FULL);
    cr_assert_str_eq(ai->save[0].var->data, "last");
    cr_assert_eq(l.p->ai_block_count, 1);
    done(&l);
}

Test(pipeline, an_ai_block_without_outputs_has_full) {
    loaded_t l = load_clean(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [hi]}\n");
    cr_assert_eq(l.p->blocks[0].ai.output_count, 1);
    cr_assert_str_eq(l.p->blocks[0].ai.outputs[0].name->data, "full");
    cr_assert_null(l.p->blocks[0].ai.headers);
    cr_assert_not(l.p->blocks[0].ai.has_retry);
    done(&l);
}

Test(pipeline, an_ai_block_says_what_it_needs_of_answers) {
    loaded_t l =
        load(MODEL "blocks:\n"
                   "  - type: ai\n    exec: 1\n    model: m\n    prompts: [hi]\n    on_truncated: retry\n"
                   "    retry: {max_attempts: 2, retry_on_empty: false, max_empty_retries: 1}\n"
                   "    outputs:\n"
                   "      - {name: A, select: reasoning}\n"
                   "      - {name: B, select: finish_reason, required: true}\n"
                   "  - {type: ai, exec: 2, model: m, prompts: [\"{A}{B}\"], params: {stream: true}}\n");
    cr_assert_eq(l.diags.count, 1, "%s", l.said);
    cr_assert(strstr(l.said, "blocks[1].params.stream: an answer is read whole"), "%s", l.said);
    const block_t *b = l.p->blocks;
    cr_assert_eq(b[0].ai.on_truncated, ON_TRUNCATED_RETRY);
    cr_assert(b[0].ai.wants_reasoning && b[0].has_retry);
    cr_assert_eq(b[0].retry.attempts_max, 2);
    cr_assert_eq(b[0].retry.empty_max, 1);
    cr_assert_not(b[0].retry.on_empty);
    cr_assert_eq(b[0].ai.outputs[0].extract.select, SELECT_REASONING);
    cr_assert_eq(b[0].ai.outputs[1].extract.select, SELECT_FINISH_REASON);
    cr_assert(!b[0].ai.outputs[0].required && b[0].ai.outputs[1].required);
    cr_assert_eq(b[1].ai.on_truncated, ON_TRUNCATED_KEEP);
    cr_assert(!b[1].ai.wants_reasoning && !b[1].has_retry);
    cr_assert_eq(b[1].retry.empty_max, 3);
    expect_json(b[1].ai.params, "{\"stream\":true}");
    done(&l);
}

Test(pipeline, ai_block_problems) {
    static const struct {
        const char *fields, *part;
        size_t errors, warnings;
    } cases[] = {
        {"model: m", "an ai block needs 'prompts'", 1, 0},
        {"prompts: [x]", "an ai block needs 'model'", 1, 0},
        {"model: m, prompts: [x], mode: jsn", "unknown mode 'jsn', expected text or json", 1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, select: rgex}]",
         "unknown select 'rgex', expected full, tag, regex, jsonpath, reasoning or finish_reason, did you "
         "mean 'regex'?",
         1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, select: tag}]",
         "blocks[0].outputs[0]: 'select: tag' needs 'tag'", 1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, select: regex}]", "'select: regex' needs 'regex'", 1,
         0},
        {"model: m, prompts: [x], outputs: [{name: A, select: jsonpath}]", "'select: jsonpath' needs 'path'",
         1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, select: jsonpath, path: '$.['}]",
         "blocks[0].outputs[0].path", 1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, regex: x}]",
         "'regex' has no effect with 'select: full'", 0, 1},
        {"model: m, prompts: [x], outputs: [{name: A, select: reasoning, tag: t}]",
         "'tag' has no effect with 'select: reasoning'", 0, 1},
        {"model: m, prompts: [x], outputs: [{name: A, required: perhaps}]",
         "blocks[0].outputs[0].required: expected true or false", 1, 0},
        {"model: m, prompts: [x], on_truncated: drop",
         "unknown on_truncated 'drop', expected keep, retry or fail", 1, 0},
        {"model: m, prompts: [x], outputs: [{name: A, type_hint: int}]",
         "unknown type_hint 'int', expected string, number, boolean or json", 1, 0},
        {"model: m, prompts: [x], outputs: [{select: full}]", "an output needs 'name'", 1, 0},
        {"model: m, prompts: [x], outputs: [{name: A}, {name: A}]", "a second output called 'A'", 0, 1},
        {"model: m, prompts: [x], outputs: [{name: Answer}], save_to: {vars: {v: Anser}}",
         "no output 'Anser', did you mean 'Answer'?", 1, 0},
        {"model: m, prompts: [x], attachments: [{name: a}]", "an attachment needs 'content'", 1, 0},
        {"model: m, prompts: [x], run_if: {frobnicate: 1}", "frobnicate", 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = xasprintf(MODEL "blocks:\n  - {type: ai, exec: 1, %s}\n", cases[i].fields);
        expect_said(text, cases[i].part, cases[i].errors, cases[i].warnings);
        free(text);
    }
}

Test(pipeline, budgets_and_on_error) {
    loaded_t l = load_clean(
        "budgets: {loops: {max_iters: 7, on_exceed: truncate}, wall_time_ms: 60000, ai: {max_calls: 3}}\n"
        "blocks:\n"
        "  - {type: end, exec: 1, run_if: false, on_error: retry, retry: {max_attempts: 5, backoff: {type: "
        "fixed, base_ms: 10}},"
        " budget: {recursion: {max_depth: 9}, loops: {max_iters: 8}}}\n"
        "  - {type: end, exec: 2, on_error: retry}\n");
    const block_t *b = &l.p->blocks[0];
    cr_assert_eq(l.p->budget.loop_iters_max, 7);
    cr_assert_eq(l.p->budget.recursion_depth_max, 256);
    cr_assert_eq(b->budget.loop_iters_max, 8);
    cr_assert_eq(b->budget.loop_exceed, EXCEED_TRUNCATE);
    cr_assert_eq(b->budget.recursion_depth_max, 9);
    cr_assert_eq(b->budget.wall_time_ms, 60000);
    cr_assert_eq(b->budget.ai_calls_max, 3);
    cr_assert_eq(b->on_error, ON_ERROR_RETRY);
    cr_assert_eq(b->retry.attempts_max, 5);
    cr_assert_eq(b->retry.factor, 1);
    cr_assert_not_null(b->run_if);
    cr_assert_eq(l.p->blocks[1].retry.attempts_max, 3);
    cr_assert_eq(l.p->blocks[1].retry.base_ms, 1000);
    done(&l);
    expect_said("budgets: {loops: {max_iters: -1}}\nblocks:\n" END,
                "budgets.loops.max_iters: expected a whole number from 0", 1, 0);
}

Test(pipeline, end_blocks) {
    loaded_t l = load_clean("blocks:\n"
                            "  - type: end\n"
                            "    exec: 1\n"
                            "    reason: \"because {x}\"\n"
                            "    exit_code: 0\n"
                            "    final_mode: list\n"
                            "    include_vars: counter\n"
                            "    final:\n"
                            "      - {name: t, value: \"{n}\"}\n"
                            "      - {name: n, value: \"{n}\", type_hint: number}\n"
                            "      - {name: tree, value: {a: \"{n}\", b: [1]}}\n"
                            "      - {name: nul, value: null}\n");
    const end_block_t *e = &l.p->blocks[0].end;
    cr_assert_eq(e->final_count, 4);
    cr_assert_not_null(e->finals[0].tpl);
    cr_assert_eq(e->finals[1].hint, HINT_NUMBER);
    cr_assert_null(e->finals[2].tpl);
    expect_json(e->finals[2].literal, "{\"a\":\"{n}\",\"b\":[1]}");
    cr_assert_null(e->finals[3].tpl);
    cr_assert(e->as_list);
    cr_assert_str_eq(e->include_vars[0]->data, "counter");
    cr_assert_str_eq(e->exit_code->data, "0");
    done(&l);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: a}]}\n", "a final value needs 'value'", 1,
                0);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{value: 1}]}\n", "a final value needs 'name'", 1,
                0);
    expect_said("blocks:\n  - {type: end, exec: 1, final_mode: maap}\n", "did you mean 'map'?", 1, 0);
}

Test(pipeline, templates_files_images) {
    loaded_t l = load_clean(
        "templates: [{name: t, text: \"<{u}>\"}, {name: u, text: \"{x}\"}]\n"
        "files: [{name: notes.txt, mime: text/plain, content: hello}]\n"
        "images: [{name: i, url: \"http://x/y.png\"}, {name: j, base64: QUJD, media_type: image/webp}]\n"
        "blocks:\n" END);
    value_t name = value_text("u");
    cr_assert_str_eq(assets_template(&l.p->assets, name.string)->text->data, "{x}");
    cr_assert_null(assets_file(&l.p->assets, name.string));
    value_free(name);
    cr_assert_str_eq(l.p->assets.files[0].text->data, "hello");
    cr_assert_eq(l.p->image_count, 2);
    cr_assert_str_eq(l.p->images[1].media_type->data, "image/webp");
    done(&l);
    expect_said("images: [{name: i}]\nblocks:\n" END,
                "images[0]: an image needs one of 'path', 'url' and 'base64'", 1, 0);
    expect_said("images: [{name: i, path: nowhere.png}]\nblocks:\n" END,
                "images[0].path: no file 'nowhere.png'", 0, 1);
    expect_said("templates: [{name: t, text: a}, {name: t, text: b}]\nblocks:\n" END, "'t' is defined twice",
                1, 0);
    expect_said("files: [{name: f}]\nblocks:\n" END, "a file needs 'content'", 1, 0);
}

Test(pipeline, templates_in_circles) {
    expect_said("templates: [{name: a, text: \"{b}\"}, {name: b, text: \"{c} {a}\"}, {name: c, text: "
                "c}]\nblocks:\n" END,
                "mentions itself, directly or through others", 1, 0);
    expect_said("templates: [{name: a, text: \"{a}\"}]\nblocks:\n" END,
                "templates[0]: the template 'a' mentions itself", 1, 0);
    loaded_t l = load_clean("globals: {vars: {a: 1}}\ntemplates: [{name: a, text: \"{a}\"}]\nblocks:\n" END);
    done(&l);
    buf_t text;
    buf_init(&text, 1 << 16);
    buf_adds(&text, "templates:\n");
    for (int i = 0; i < TEMPLATE_DEPTH_MAX + 1; i++)
        buf_addf(&text, "  - {name: t%d, text: \"{t%d}\"}\n", i, i + 1);
    buf_adds(&text, "blocks:\n" END);
    expect_said(text.data, "templates nest more than", 1, 0);
    buf_free(&text);
}

Test(pipeline, connections_are_resolved) {
    loaded_t l = load_clean("blocks:\n"
                            "  - {type: end, exec: 2, id: fin, final: [{name: o, value: \"{x}\"}]}\n"
                            "  - {type: logic, exec: 1, id: maker, op: set, var: v, value: 1, outputs: "
                            "[{name: One, from: value}]}\n"
                            "connections:\n"
                            "  - {from: maker, output: One, to: fin, input: x}\n");
    cr_assert(l.p->blocks[0].feeds_connection);
    cr_assert_eq(l.p->blocks[1].connection_count, 1);
    cr_assert_eq(l.p->blocks[1].connections[0].from_block, 0);
    cr_assert_str_eq(l.p->blocks[1].connections[0].input->data, "x");
    done(&l);
}

Test(pipeline, connection_problems) {
    const char *head = "blocks:\n"
                       "  - {type: logic, exec: 1, id: maker, op: set, var: v, value: 1, outputs: [{name: "
                       "One, from: value}]}\n"
                       "  - {type: end, exec: 2, id: fin, final: [{name: o, value: \"{One}\"}]}\n"
                       "connections:\n";
    static const struct {
        const char *row, *part;
        size_t errors, warnings;
    } cases[] = {
        {"{from: makr, output: One, to: fin, input: x}",
         "connections[0].from: no block has the id 'makr', did you mean 'maker'?", 1, 0},
        {"{from: maker, output: Onne, to: fin, input: x}",
         "connections[0].output: the block 'maker' has no output 'Onne', did you mean 'One'?", 1, 0},
        {"{from: fin, output: One, to: maker, input: x}", "the block 'fin' has no output 'One'", 1, 1},
        {"{from: maker, output: One, to: maker, input: x}", "does not run before", 0, 1},
        {"{from: maker, output: One, to: fin}", "a connection needs 'input'", 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = xasprintf("%s  - %s\n", head, cases[i].row);
        expect_said(text, cases[i].part, cases[i].errors, cases[i].warnings);
        free(text);
    }
}

Test(pipeline, names_that_yaml_made_something_else) {
    static const struct {
        const char *text, *part;
    } errors[] = {
        {"models: [{name: no, api_model: a, api_key: k}]\nblocks:\n" END,
         "p.yaml:1:17: error: models[0].name: expected text, found a boolean: YAML 1.1 reads no as false; "
         "put it "
         "in quotes, \"no\""},
        {"models: [{name: m, api_model: 4.10, api_key: k}]\nblocks:\n" END,
         "models[0].api_model: expected text, found a number: YAML 1.1 reads 4.10 as 4.1"},
        {"models: [{name: m, api_model: 5, api_key: k}]\nblocks:\n" END,
         "models[0].api_model: expected text, found an integer; put it in quotes, \"5\""},
        {"models: [{name: Null, api_model: a, api_key: k}]\nblocks:\n" END,
         "models[0].name: expected text, found null: YAML 1.1 reads Null as null"},
        {"templates: [{name: 12:30, text: a}]\nblocks:\n" END,
         "templates[0].name: expected text, found an integer: YAML 1.1 reads 12:30 as 750"},
        {"functions: {logic: [{name: on, body: [{op: emit, value: 1}]}]}\nblocks:\n" END,
         "functions.logic[0].name: expected text, found a boolean: YAML 1.1 reads on as true"},
        {"functions: {logic: [{name: f, returns: [yes], body: [{op: emit, value: 1}]}]}\nblocks:\n" END,
         "functions.logic[0].returns: expected text, found a boolean: YAML 1.1 reads yes as true"},
        {"functions: {python: [{name: off, code: x}]}\nblocks:\n" END,
         "functions.python[0].name: expected text, found a boolean"},
        {MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], outputs: [yes]}\n",
         "blocks[0].outputs[0]: expected text, found a boolean"},
        {MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], outputs: [{name: 1_0}]}\n",
         "blocks[0].outputs[0].name: expected text, found an integer: YAML 1.1 reads 1_0 as 10"},
        {"blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [0x1F]}\n",
         "blocks[0].outputs[0]: expected text, found an integer: YAML 1.1 reads 0x1F as 31"},
        {"blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: off}]}\n",
         "blocks[0].outputs[0].name: expected text, found a boolean"},
        {"blocks:\n  - {type: python, exec: 1, function_code: x, outputs: [no]}\n",
         "blocks[0].outputs[0]: expected text, found a boolean"},
        {"blocks:\n  - {type: python, exec: 1, function_code: x, outputs: [{name: 1.50}]}\n",
         "blocks[0].outputs[0]: expected text, found a number: YAML 1.1 reads 1.50 as 1.5"},
        {"blocks:\n  - {type: end, exec: 1, final: [{name: on, value: a}]}\n",
         "blocks[0].final[0].name: expected text, found a boolean"},
        {MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], params: {model: 4.10}}\n",
         "blocks[0].params.model: expected text, found a number"},
    };
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        expect_said(errors[i].text, errors[i].part, 1, 0);
    static const struct {
        const char *text, *part;
    } warnings[] = {
        {"blocks:\n  - {type: end, exec: 1, id: 0123}\n",
         "blocks[0].id: expected text, found an integer: YAML 1.1 reads 0123 as 83"},
        {"runtime: {python: {interpreter: 3.10}}\nblocks:\n" END,
         "runtime.python.interpreter: expected text, found a number: YAML 1.1 reads 3.10 as 3.1"},
        {MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [yes]}\n",
         "blocks[0].prompts[0]: expected text, found a boolean"},
        {"globals: {vars: {on: 1}}\nblocks:\n" END,
         "globals.vars: expected text, found a boolean: YAML 1.1 reads on as true"},
    };
    for (size_t i = 0; i < sizeof warnings / sizeof warnings[0]; i++)
        expect_said(warnings[i].text, warnings[i].part, 0, 1);
    loaded_t l = load_clean("mabel: {version: 2.0}\nblocks:\n  - {type: end, exec: 1, id: 7, name: null, "
                            "reason: ~, exit_code: 0}\n");
    done(&l);
}

Test(pipeline, names_of_sdg_itself) {
    static const char *const texts[] = {
        "blocks:\n  - {type: end, exec: 1, final: [{name: _row_index, value: a}]}\n",
        "blocks:\n  - {type: end, exec: 1, final_mode: list, final: [{name: _error, value: a}]}\n",
        "blocks:\n  - {type: end, exec: 1, include_vars: [_error]}\n",
        "blocks:\n  - {type: end, exec: 1, include_vars: _row_index}\n",
        MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], outputs: [_error]}\n",
        MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], outputs: [{name: _row_index}]}\n",
        "blocks:\n  - {type: python, exec: 1, function_code: x, outputs: [_error]}\n",
        "blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [_error]}\n",
        "blocks:\n  - {type: logic, exec: 1, op: let, bindings: {x: 1}, outputs: [{name: _row_index, from: "
        "var, "
        "var: x}]}\n",
        "functions: {logic: [{name: f, returns: [_error], body: [{op: emit, value: 1}]}]}\nblocks:\n" END,
        "functions: {logic: [{name: f, returns: [a], body: [{op: set, var: a, value: 1}]}]}\nblocks:\n"
        "  - {type: logic, exec: 1, op: call, function: f, returns: [_error]}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect_said(texts[i], "is a name of sdg itself in each result row", 1, 0);
}

Test(pipeline, expressions_in_final_values_are_data) {
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {add: [1, 2]}}]}\n",
                "blocks[0].final[0].value: 'add' is no expression here but data", 0, 1);
    expect_said(
        "blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {n: [{get: [x, y], default: 1}]}}]}\n",
        "blocks[0].final[0].value.n[0]: 'get' is no expression here", 0, 1);
    loaded_t l =
        load_clean("blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {sum: [1], of: 2}}]}\n");
    done(&l);
}

Test(pipeline, placeholders_without_quotes) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {x}}]}\n",
         "p.yaml:2:51: warning: blocks[0].final[0].value: found a map with a null; put a {placeholder} in "
         "quotes: "
         "\"{x}\""},
        {"blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {k: [{x.y}]}}]}\n",
         "blocks[0].final[0].value.k[0]: found a map with a null"},
        {"blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: {名}}\n",
         "blocks[0].value: found a map with a null"},
        {"blocks:\n  - {type: python, exec: 1, function_code: x, inputs: {q: {x}}}\n",
         "blocks[0].inputs.q: found a map with a null"},
        {"blocks:\n  - {type: end, exec: 1, final: [{name: a, value: {len}}]}\n",
         "put a {placeholder} in quotes: \"{len}\""},
        {MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], params: {user: {x}}}\n",
         "blocks[0].params.user: found a map with a null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_said(cases[i].text, cases[i].part, 0, 1);
    expect_said(MODEL "blocks:\n  - type: ai\n    exec: 1\n    model: m\n    prompts:\n      - {question}\n",
                "blocks[0].prompts[0]: expected text, found a map; put a {placeholder} in quotes", 1, 0);
    loaded_t l =
        load_clean("globals: {vars: {x}}\nblocks:\n  - {type: end, exec: 1, final: [{name: a, value: {x: "
                   "null}}, {name: c, value: {}}, {name: d, value: {x, y}}]}\n");
    done(&l);
}

Test(pipeline, comparisons_with_words_that_are_booleans) {
    expect_said("blocks:\n  - {type: end, exec: 1, run_if: {equals: [\"{Flag}\", on]}}\n",
                "blocks[0].run_if.equals[1]: expected text, found a boolean: YAML 1.1 reads on as true", 0,
                1);
    expect_said("blocks:\n  - {type: end, exec: 1, run_if: {and: [{ne: [12:30, \"{t}\"]}, {eq: [{var: x}, "
                "true]}]}}\n",
                "blocks[0].run_if.and[0].ne[0]: expected text, found an integer: YAML 1.1 reads 12:30 as 750",
                0, 1);
}

Test(pipeline, numbers_that_nobody_means) {
    expect_said("globals: {vars: {zip: 01234, at: 9:30, ok: 0, real: 0.5, hex: 0x1F, thousand: "
                "1_000}}\nblocks:\n" END,
                "globals.vars.zip: YAML 1.1 reads 01234 as 668; for the text put it in quotes, \"01234\"", 0,
                2);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: a, value: 12:30:15}]}\n",
                "blocks[0].final[0].value: YAML 1.1 reads 12:30:15 as 45015", 0, 1);
    expect_said("blocks:\n  - {type: python, exec: 1, function_code: x, inputs: [no, 5]}\n",
                "blocks[0].inputs[0]: expected text, found a boolean", 0, 1);
}

Test(pipeline, jinja) {
    static const struct {
        const char *prompt, *part; /* part NULL: nothing is said */
    } cases[] = {
        {"Hello {{ name }}",
         "blocks[0].prompts[0]: a placeholder has single braces: write {name}, not {{ name }}"},
        {"Hello {{name|upper}}", "write {name}"},
        {"{% if x %}a{% endif %}", "of Jinja stays as written"},
        {"JSON: {{\"a\": 1}}", NULL},
        {"\\frac{{x}}{{y}}", NULL},
        {"5 {% 3", NULL},
        {"{{ 1 }}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text =
            xasprintf(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: ['%s']}\n", cases[i].prompt);
        loaded_t l = load(text);
        cr_assert_not_null(l.p, "%s", l.said);
        if (cases[i].part) cr_assert(strstr(l.said, cases[i].part), "%s", l.said);
        cr_assert_eq(l.diags.warnings, cases[i].part ? 1 : 0, "%s", l.said);
        done(&l);
        free(text);
    }
    loaded_t l = load("templates: [{name: t, text: '{{ x }}'}]\nblocks:\n"
                      "  - {type: python, exec: 1, function_code: 'f\"{{x}}\"'}\n"
                      "  - {type: end, exec: 2, final: [{name: a, value: '{{ t }}'}]}\n");
    cr_assert_eq(l.diags.warnings, 2, "%s", l.said);
    done(&l);
}

Test(pipeline, numbers_that_are_texts_outside_of_requests) {
    expect_said("globals: {const: {rate: 1e-3}, vars: {n: [1e5]}}\nblocks:\n" END,
                "globals.const.rate: YAML 1.1 reads 1e-3 as the text \"1e-3\": for a number write 1.0e-3", 0,
                2);
    expect_said("blocks:\n  - {type: end, exec: 1, final: [{name: a, value: 2e3}]}\n",
                "blocks[0].final[0].value: YAML 1.1 reads 2e3 as the text", 0, 1);
    expect_said("globals: {const: {id: 08, name: \"1e5\", hex: 1e5f}}\nblocks:\n" END, "", 0, 0);
}

Test(pipeline, include_vars_names_variables) {
    expect_said("blocks:\n  - {type: end, exec: 1, include_vars: true}\n",
                "blocks[0].include_vars: expected a list of names of variables, found a boolean", 1, 0);
    expect_said("blocks:\n  - {type: end, exec: 1, include_vars: [yes]}\n",
                "blocks[0].include_vars[0]: expected text, found a boolean: YAML 1.1 reads yes as true", 1,
                0);
}

Test(pipeline, a_file_among_the_requirements) {
    expect_said("runtime: {python: {requirements: [numpy, requirements.txt]}}\nblocks:\n" END,
                "runtime.python.requirements: 'requirements.txt' is taken for a package; for a file write "
                "requirements_file: requirements.txt",
                0, 1);
}

Test(pipeline, parameters_that_will_not_do_what_they_seem_to) {
    static const struct {
        const char *params, *part;
        size_t warnings;
    } cases[] = {
        {"temperature: 1e-3",
         "request_defaults.temperature: YAML 1.1 reads 1e-3 as the text \"1e-3\": for a "
         "number write 1.0e-3",
         1},
        {"max_tokens: 1e3", "for a number write 1000", 1},
        {"top_p: 9.5e-1", NULL, 0},
        {"temperature: off", "request_defaults.temperature: expected a number, found a boolean (off)", 1},
        {"temperature: null, ignore_eos: true, logprobs: on", NULL, 0},
        {"extra_headers: {X-Debug: on}",
         "extra_headers.X-Debug: expected text, found a boolean: YAML 1.1 reads on", 1},
        {"extra_headers: {X-Debug: true, X-N: 12}", "extra_headers.X-Debug: expected text", 1},
        {"top_p: 9.5E01, seed: 08", "for a number write 8", 2},
        {"temperature: 2.5e-3, top_p: 2.5e3", "for a number write 2500", 1},
        {"presence_penalty: -.5", "reads -.5 as the text \"-.5\": for a number write -0.5", 1},
        {"temperature: '1e-3', user: '7'", NULL, 0},
        {"extra_body: {min_p: 1e-2}", "request_defaults.extra_body.min_p: YAML 1.1 reads 1e-2", 1},
        {"chat_template_kwargs: {t: [1e5]}", "chat_template_kwargs.t[0]: YAML 1.1 reads 1e5 as the text", 1},
        {"stop: [no, END]",
         "request_defaults.stop[0]: expected text, found a boolean: YAML 1.1 reads no as false; "
         "put it in quotes, \"no\"",
         1},
        {"stop: [no, yes, 12:30, null, 5]",
         "stop[4]: expected text, found an integer; put it in quotes, \"5\"", 5},
        {"stop: off", "request_defaults.stop: expected text, found a boolean", 1},
        {"response_format: {json_schema: {schema: {enum: [yes, no, maybe, true]}}}",
         "schema.enum[1]: expected text, found a boolean: YAML 1.1 reads no as false", 2},
        {"guided_choice: [12:30, off], chat_template_kwargs: {enable_thinking: off}",
         "guided_choice[0]: expected text, found an integer", 2},
        {"stop: null", NULL, 0},
        {"stop: [\"no\"]", NULL, 0},
        {"timeout: 30",
         "'timeout' only goes to the server as a parameter; for the time of a request write "
         "timeout_sec: seconds",
         1},
        {"max_retries: 3", "write retry: {max_attempts: N}", 1},
        {"n: 3", "'n' asks for several answers", 1},
        {"n: 1, stream: false", NULL, 0},
        {"temprature: 1", "'temprature' goes to the server as it is; did you mean 'temperature'?", 1},
        {"max_token: 1", "did you mean 'max_tokens'?", 1},
        {"min_p: 0.1, top_k: 3, top_a: 1, seed: 1, my_own_thing: 2, guided_json: {}, max_completion_tokens: "
         "5",
         NULL, 0},
        {"model: other", "request_defaults.model: 'model' is decided by api_model", 1},
        {"extra_body: {model: other}", "extra_body.model: 'model' is decided by the runtime", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text =
            xasprintf("models: [{name: m, api_model: a, api_key: k, request_defaults: {%s}}]\nblocks:\n" END,
                      cases[i].params);
        expect_said(text, cases[i].part ? cases[i].part : "", 0, cases[i].warnings);
        free(text);
    }
    expect_said(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], params: {timeout: 3}}\n",
                "blocks[0].params.timeout: 'timeout' only goes to the server", 0, 1);
    expect_said(
        MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], temperature: 1}\n",
        "blocks[0]: unknown key 'temperature' in an ai block: a parameter of requests stands in 'params'", 0,
        1);
    expect_said(MODEL "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [a], max_retries: 1}\n",
                "unknown key 'max_retries' in an ai block: for the requests of a call in all write retry: "
                "{max_attempts: N} (in 'params')",
                0, 1);
    expect_said("models: [{name: m, api_model: a, api_key: k, timeout: 5}]\nblocks:\n" END,
                "models[0]: unknown key 'timeout' in a model: for the time of a request write timeout_sec: "
                "seconds (in 'request_defaults')",
                0, 1);
    expect_said("models: [{name: m, api_model: a, api_key: k, max_tokens: 5}]\nblocks:\n" END,
                "models[0]: unknown key 'max_tokens' in a model: a parameter of requests stands in "
                "'request_defaults'",
                0, 1);
    loaded_t l =
        load("models: [{name: m, api_model: a, api_key: k, request_defaults: {timeout: 3, stop: [no]}}]\n"
             "blocks:\n" END);
    expect_json(l.p->models[0].params, "{\"timeout\":3,\"stop\":[false]}");
    done(&l);
}

Test(pipeline, a_block_names_another_model_of_the_server) {
    loaded_t l = load_clean("models:\n"
                            "  - {name: x, api_model: x1, api_key: k, base_url: \"http://127.0.0.1:9\"}\n"
                            "  - {name: m, api_model: am, api_key: k, base_url: \"http://127.0.0.1:9\", "
                            "request_defaults: {top_p: 1, timeout_sec: 5}}\n"
                            "  - {name: o, api_model: big, api_key: k, base_url: \"http://127.0.0.1:9\"}\n"
                            "blocks:\n"
                            "  - {type: ai, exec: 1, model: m, prompts: [a], params: {model: big, seed: 1}}\n"
                            "  - {type: ai, exec: 2, model: m, prompts: [a], params: {model: big}}\n"
                            "  - {type: ai, exec: 3, model: m, prompts: [a], params: {model: am}}\n"
                            "  - {type: ai, exec: 4, model: m, prompts: [a]}\n");
    cr_assert_eq(l.p->named_count, 3);
    cr_assert_eq(l.p->model_count, 4);
    cr_assert_eq(l.p->blocks[0].ai.model, 3);
    cr_assert_eq(l.p->blocks[1].ai.model, 3);
    cr_assert_eq(l.p->blocks[2].ai.model, 1, "its own name is no other");
    cr_assert_eq(l.p->blocks[3].ai.model, 1);
    const model_t *big = &l.p->models[3];
    cr_assert_str_eq(big->name->data, "m");
    cr_assert_str_eq(big->api_model->data, "big");
    cr_assert_str_eq(big->api_key, "k");
    cr_assert_eq(big->timeout_ms, 5000);
    cr_assert_eq(big->endpoint_id, l.p->models[2].endpoint_id, "the same server, key and model");
    cr_assert_neq(big->endpoint_id, l.p->models[1].endpoint_id);
    expect_json(l.p->blocks[0].ai.params, "{\"top_p\":1,\"seed\":1}");
    done(&l);
}

Test(pipeline, keys_are_cleaned) {
    setenv("SDG_TEST_KEY", " sk-1234567890\r\n", 1);
    setenv("SDG_TEST_TWO", "sk-1\nsk-2", 1);
    setenv("SDG_TEST_BLANK", " \n", 1);
    const char *form =
        "models: [{name: m, api_model: a, base_url: \"http://h\", api_key: \"%s\"}]\nblocks:\n" END;
    static const char *const written[] = {"${ENV.SDG_TEST_KEY}", "${SDG_TEST_KEY}", "\\tsk-1234567890 "};
    for (size_t i = 0; i < 3; i++) {
        char *text = xasprintf(form, written[i]);
        loaded_t l = load_clean(text);
        cr_assert_str_eq(l.p->models[0].api_key, "sk-1234567890");
        done(&l);
        free(text);
    }
    char *text = xasprintf(form, "${ENV.SDG_TEST_TWO}");
    expect_said(text, "models[0].api_key: the key has a line break or another control character in it", 1, 0);
    free(text);
    text = xasprintf(form, "${ENV.SDG_TEST_BLANK}");
    expect_said(text, "models[0].api_key: the key is empty: requests are sent without one", 0, 1);
    free(text);
    text = xasprintf(form, "");
    loaded_t l = load_clean(text);
    done(&l);
    free(text);
    expect_said("models: [{name: m, api_model: a, api_key: \"${ENV.SDG_NO_SUCH_KEY}\", base_url: "
                "\"http://127.0.0.1\"},"
                " {name: n, api_model: a, api_key: \"${ENV.SDG_NO_SUCH_KEY}\", base_url: "
                "\"http://127.0.0.1\"}]\nblocks:\n" END,
                "'SDG_NO_SUCH_KEY' is not set: requests are sent without a key", 0, 1);
}

Test(pipeline, python_blocks_are_compiled) {
    loaded_t l = load_clean(
        "mabel: {version: '2.0'}\n"
        "runtime: {python: {interpreter: 'python>=3.8', venv: no_such_venv, requirements: [a, b], env: {A: "
        "base, B: base}, allow_network: yes}}\n"
        "functions:\n"
        "  python:\n"
        "    - {name: helper, args: [x], returns: [Y], code: \"def helper(ctx, x):\\n  return x\\n\"}\n"
        "    - {name: other, code: \"def main(ctx):\\n  return 1\\n\"}\n"
        "blocks:\n"
        "  - {type: python, exec: 1, function_code: 'def main(ctx): pass', inputs: {n: \"{n}\", lit: 3, raw: "
        "{k: [1]}}, outputs: [A, {name: B}],"
        " timeout_ms: 1500, ctx_access: [get, vars.write]}\n"
        "  - {type: python, exec: 2, function: helper, inputs: [One, \"{two}\"]}\n"
        "  - {type: python, exec: 3, entrypoint: other, use_env: override, override_env: {env: {B: special}, "
        "allow_network: false}}\n"
        "  - {type: end, exec: 4, final: [{name: a, value: \"{A}{B}{Y}\"}]}\n");
    const python_block_t *py = &l.p->blocks[0].python;
    cr_assert_str_eq(py->entrypoint->data, "main");
    cr_assert_not(py->positional);
    cr_assert_not(py->v1);
    cr_assert_eq(py->input_count, 3);
    cr_assert_str_eq(py->inputs[0].param->data, "n");
    cr_assert_not_null(py->inputs[0].tpl);
    cr_assert_eq(py->inputs[1].literal.integer, 3);
    cr_assert_not_null(py->inputs[2].mex);
    cr_assert_eq(py->output_count, 2);
    cr_assert_str_eq(py->outputs[1]->data, "B");
    cr_assert_eq(py->timeout_ms, 1500);
    expect_json(py->ctx_access, "[\"get\",\"vars.write\"]");
    cr_assert_eq(py->env, 0);
    py = &l.p->blocks[1].python;
    cr_assert_str_eq(py->entrypoint->data, "helper");
    cr_assert(py->positional);
    cr_assert_str_eq(py->inputs[0].context_name->data, "One");
    cr_assert_not_null(py->inputs[1].tpl);
    cr_assert_str_eq(py->outputs[0]->data, "Y", "returns of the entry");
    py = &l.p->blocks[2].python;
    cr_assert_str_eq(py->entrypoint->data, "main", "the entry's code has no function of its name");
    cr_assert_eq(py->env, 1);
    cr_assert_eq(l.p->py_env_count, 2);
    cr_assert(l.p->py_envs[0].allow_network);
    cr_assert_not(l.p->py_envs[1].allow_network);
    cr_assert_str_eq(l.p->py_envs[1].venv, "no_such_venv");
    expect_json(l.p->py_envs[0].env, "{\"A\":\"base\",\"B\":\"base\"}");
    expect_json(l.p->py_envs[1].env, "{\"A\":\"base\",\"B\":\"special\"}");
    expect_json(l.p->py_envs[0].requirements, "[\"a\",\"b\"]");
    done(&l);
}

Test(pipeline, limits_of_a_python_environment) {
    loaded_t l = load_clean(
        "runtime: {python: {limits: {memory_mb: 512, processes: 0}}}\n"
        "blocks:\n"
        "  - {type: python, exec: 1, function_code: x}\n"
        "  - {type: python, exec: 2, function_code: x, use_env: override, override_env: {limits: {memory_mb: "
        "64, file_size_mb: 7, open_files: 16}}}\n"
        "  - {type: end, exec: 3, final: [{name: a, value: 1}]}\n");
    const py_limits_spec_t *shared = &l.p->py_envs[0].limits, *own = &l.p->py_envs[1].limits;
    cr_assert_eq(shared->memory_mb, 512);
    cr_assert_eq(shared->processes, 0);
    cr_assert_eq(shared->file_size_mb, PYTHON_LIMIT_UNSAID);
    cr_assert_eq(own->memory_mb, 64);
    cr_assert_eq(own->processes, 0, "what an override does not say is that of all");
    cr_assert_eq(own->file_size_mb, 7);
    cr_assert_eq(own->open_files, 16);
    done(&l);
}

static void expect_of_limits(const char *limits, const char *part, size_t errors) {
    char *text = xasprintf("runtime: {python: {limits: %s}}\nblocks:\n  - {type: python, exec: 1, "
                           "function_code: x}\n" END,
                           limits);
    expect_said(text, part, errors, 1 - errors);
    free(text);
}

Test(pipeline, limits_of_python_that_make_no_sense_are_refused) {
    expect_of_limits("{memory_mb: 8}", "limits.memory_mb: expected 0 (no limit) or a whole number from 64",
                     1);
    expect_of_limits("{memory_mb: lots}", "runtime.python.limits.memory_mb", 1);
    expect_of_limits("{processes: -1}", "limits.processes: expected a whole number from 0", 1);
    expect_of_limits("{open_files: 3}", "a whole number from 16 to 1048576", 1);
    expect_of_limits("[1]", "runtime.python.limits", 1);
    expect_of_limits("{memory: 5}", "unknown key 'memory' in limits", 0);
}

Test(pipeline, setup_commands_of_a_python_environment) {
    loaded_t l = load_clean(
        "runtime: {python: {setup: {pre_install: [\"apt list\", b], post_install: c}}}\n"
        "blocks:\n"
        "  - {type: python, exec: 1, function_code: x}\n"
        "  - {type: python, exec: 2, function_code: x, use_env: override, override_env: {setup: "
        "{pre_install: "
        "[]}}}\n"
        "  - {type: python, exec: 3, function_code: x, use_env: override, override_env: {venv: other}}\n");
    expect_json(l.p->py_envs[0].pre_install, "[\"apt list\",\"b\"]");
    expect_json(l.p->py_envs[0].post_install, "[\"c\"]");
    cr_assert_eq(l.p->py_envs[1].pre_install.kind, VALUE_NULL, "an empty list replaces, too");
    expect_json(l.p->py_envs[1].post_install, "[\"c\"]");
    cr_assert_eq(l.p->py_envs[2].post_install.kind, VALUE_NULL, "a venv of its own has a setup of its own");
    done(&l);
    expect_said("runtime: {python: {setup: {preinstall: [a]}}}\nblocks:\n" END,
                "runtime.python.setup: unknown key 'preinstall' in setup, did you mean 'pre_install'?", 0, 1);
    expect_said("runtime: {python: {setup: {pre_install: [[a]]}}}\nblocks:\n" END,
                "runtime.python.setup.pre_install[0]: expected text, found a list", 1, 0);
}

Test(pipeline, python_problems) {
    static const struct {
        const char *fields, *part;
        size_t errors, warnings;
    } cases[] = {
        {"function: nope",
         "a python block needs 'function_code', 'code_path', or a 'function' of functions.python; there is "
         "no 'nope'",
         1, 0},
        {"code_path: nowhere.py", "blocks[0].code_path: no file 'nowhere.py'", 1, 0},
        {"code_path: nowhere.py, on_error: continue", "no file 'nowhere.py'", 0, 1},
        {"function_code: x, use_env: overide", "did you mean 'override'?", 1, 0},
        {"function_code: x, override_env: {}", "has no effect without 'use_env: override'", 0, 1},
        {"function_code: x, ctx_access: [vars.reed]", "unknown access 'vars.reed', did you mean 'vars.read'?",
         0, 1},
        {"function_code: x, timeout_ms: soon", "timeout_ms: expected a number, found text", 1, 0},
        {"function_code: x, outputs: [[a]]", "blocks[0].outputs[0]: expected the name of an output", 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = xasprintf("blocks:\n  - {type: python, exec: 1, %s}\n", cases[i].fields);
        expect_said(text, cases[i].part, cases[i].errors, cases[i].warnings);
        free(text);
    }
    loaded_t l = load_from("p.yaml", "blocks:\n  - {type: python, exec: 1, function_code: x}\n", true, false);
    cr_assert_null(l.p);
    cr_assert(strstr(l.said, "blocks[0]: python blocks are not supported here"), "%s", l.said);
    done(&l);
}

Test(pipeline, files_are_found_beside_the_pipeline) {
    char dir[] = "/tmp/sdg-pipeline-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    char *code = xasprintf("%s/helper.py", dir), *yaml = xasprintf("%s/p.yaml", dir),
         *requirements = xasprintf("%s/req.txt", dir);
    fclose(fopen(code, "w"));
    fclose(fopen(requirements, "w"));
    loaded_t l = load_from(yaml,
                           "mabel: {version: '1.0'}\n"
                           "runtime: {python: {requirements_file: req.txt}}\n"
                           "blocks:\n  - {type: python, exec: 1, function: f, code_path: ./helper.py, "
                           "venv_path: old, inputs: [a], outputs: [B]}\n",
                           true, true);
    cr_assert_not_null(l.p, "%s", l.said);
    char *want = xasprintf("%s/./helper.py", dir);
    cr_assert_str_eq(l.p->blocks[0].python.code_path, want);
    cr_assert(l.p->blocks[0].python.v1);
    cr_assert_str_eq(l.p->py_envs[1].venv, "old");
    free(want);
    want = xasprintf("[\"--requirement=%s/req.txt\"]", dir);
    expect_json(l.p->py_envs[0].requirements, want);
    done(&l);
    unlink(code);
    unlink(requirements);
    rmdir(dir);
    free(want);
    free(code);
    free(yaml);
    free(requirements);
}

Test(pipeline, hints) {
    expect_said(
        "blocks:\n  - {type: end, exec: 1, id: fin}\n  - {type: logic, exec: 2, op: set, var: v, value: 1}\n",
        "hint: blocks[1]: never runs: the end block 'fin' comes before it", 0, 0);
    expect_said("blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: Lonely, "
                "from: value}]}\n" END,
                "hint: blocks[0]: the output 'Lonely' is not used anywhere", 0, 0);
    expect_said("blocks:\n  - {type: end, exec: 1, retry: {max_attempts: 2}}\n",
                "hint: blocks[0].retry: 'retry' has no effect", 0, 0);
    loaded_t l = load_clean("blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: "
                            "A.b, from: value}]}\n"
                            "  - {type: end, exec: 2, final: [{name: a, value: \"{A.b}\"}]}\n");
    done(&l);
    l = load_clean("blocks:\n  - {type: logic, exec: 1, op: set, var: v, value: 1, outputs: [{name: Kept, "
                   "from: value}]}\n");
    cr_assert_not(l.p->has_end, "without an end block all outputs are the result");
    done(&l);
}

Test(pipeline, every_cut_of_a_file_loads_or_says_why) {
    const char *text =
        "mabel: {version: '2.0'}\n" MODEL "globals: {vars: {a: &x [1, 2]}, const: {b: *x}}\n"
        "templates:\n  - {name: t, text: \"{a}\"}\n"
        "blocks:\n  - {type: ai, exec: 1, model: m, prompts: [\"{t}\"], outputs: [{name: O, select: regex, "
        "regex: \"(x)\"}]}\n"
        "  - {type: logic, exec: 2, op: for, list: \"{O}\", map: \"{item}\", outputs: [{name: L}]}\n" END;
    for (size_t n = 0; n <= strlen(text); n++) {
        diags_t d;
        diags_init(&d, "p.yaml", text, n);
        pipeline_source_t source = {
            .path = "p.yaml", .bytes = text, .len = n, .use_env = true, .accept_python = true};
        pipeline_t *p = pipeline_load(&source, &d);
        cr_assert_eq(!p, d.errors > 0, "cut at %zu", n);
        pipeline_destroy(&p);
        diags_free(&d);
    }
}

/* ---- batch mode */

Test(pipeline, batch_mode_stops_before_every_slow_block_but_the_first) {
    loaded_t l = load("mabel: {version: \"2.0\"}\nmodels:\n  - {name: m, api_model: m, api_key: k, base_url: "
                      "\"http://127.0.0.1:1\"}\nblocks:\n"
                      "  - {type: ai, exec: 50, model: m, prompts: [\"last\"]}\n  - {type: logic, exec: 1, "
                      "op: set, var: a, value: 1}\n"
                      "  - {type: ai, exec: 2, model: m, prompts: [\"first\"]}\n  - {type: logic, exec: 3, "
                      "op: set, var: a, value: 1}\n"
                      "  - {type: python, exec: 4, entrypoint: main, function_code: \"def main(ctx): "
                      "pass\"}\n  - {type: end, exec: 60, final: []}\n");
    uint32_t stops[4] = {9, 9, 9, 9};
    cr_assert_not_null(l.p, "%s", l.said);
    cr_expect_eq(pipeline_stops(l.p, stops, 4), 2);
    cr_expect(stops[0] == 3 && stops[1] == 4 && stops[2] == 9);
    cr_expect_eq(pipeline_stops(l.p, stops + 2, 1), 2, "how many there are, whatever fits");
    cr_expect(stops[2] == 3 && stops[3] == 9);
    done(&l);
    l = load("mabel: {version: \"2.0\"}\nblocks:\n  - {type: end, exec: 1, final: []}\n");
    cr_expect_eq(pipeline_stops(l.p, stops, 4), 0);
    done(&l);
}
