/* fuzz_environment - any values of the variables of the environment that are read: proxies, languages, keys
 * and addresses of a pipeline (${ENV.X}), what Python gets. A pipeline loads or says why not; the reason of a
 * failed request stays one text that fits, and shows no password of a proxy. */
#include "tests/fuzz/input.h"

#include "actors/verbs/flags.h"
#include "core/http/http.h"
#include "core/http/proxy.h"
#include "core/llm/endpoint.h"
#include "core/mabel/pipeline/pipeline.h"
#include "core/python/pyinterp.h"

static const char *const NAMES[] = {"http_proxy",     "https_proxy", "ALL_PROXY", "LC_ALL",   "LANG",
                                    "OPENAI_API_KEY", "SDG_URL",     "SDG_KEY",   "SDG_TEXT", "no_proxy"};
enum { NAME_COUNT = sizeof NAMES / sizeof *NAMES };

static const char PIPELINE[] =
    "mabel: {version: \"2.1\"}\n"
    "models:\n"
    "  - {name: m, api_model: \"${ENV.SDG_TEXT}\", api_key: \"${ENV.SDG_KEY}\", base_url: "
    "\"${ENV.SDG_URL}\",\n"
    "     headers: {X-Team: \"${ENV.SDG_TEXT}\"}, request_defaults: {temperature: "
    "\"${ENV.SDG_TEXT:-0.5}\"}}\n"
    "  - {name: d, api_model: x}\n"
    "blocks: [{type: ai, exec: 1, model: m, prompts: [\"${ENV.SDG_TEXT} {x}\"], outputs: [{name: A}]}]\n";

static void set_all(fuzz_input_t *in) {
    for (size_t i = 0; i < NAME_COUNT; i++) {
        size_t len;
        char *value = fuzz_line(in, &len);
        if (len)
            setenv(NAMES[i], value, 1);
        else
            unsetenv(NAMES[i]);
        free(value);
    }
}

/* Addresses and headers of the models, as a run uses them. */
static void use_models(const pipeline_t *p) {
    static http_t *http;
    err_t err;
    if (!http) http = http_new(&(http_options_t){0}, &err);
    for (size_t i = 0; i < p->model_count; i++) {
        const model_t *m = &p->models[i];
        endpoint_headers_t lines;
        http_headers_t *headers = NULL;
        char *url = endpoint_url(m->url_count ? m->base_urls[0] : NULL, ENDPOINT_CHAT);
        http_target_t *target = http_target_new(http, url, false, &err);
        if (target) http_target_free(http, target);
        int rc = endpoint_headers_make(m->api_key, (const char *const *)m->headers, m->header_count, true,
                                       &lines, &err);
        if (rc == SDG_OK)
            http_headers_new(NULL, (const char *const *)lines.lines, lines.count, &headers, &err);
        http_headers_free(headers);
        endpoint_headers_free(&lines);
        free(url);
    }
}

static void load(void) {
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", PIPELINE, sizeof PIPELINE - 1);
    pipeline_source_t source = {
        .path = "fuzz.yaml", .bytes = PIPELINE, .len = sizeof PIPELINE - 1, .use_env = true};
    pipeline_t *p = pipeline_load(&source, &diags);
    CHECK((p == NULL) == (diags.errors > 0), "%zu errors", diags.errors);
    if (p) use_models(p);
    pipeline_destroy(&p);
    diags_free(&diags);
}

/* The words that curl has for a proxy, with the address that `line` says. */
static void check_reason(const char *line) {
    char reason[256], before[256];
    for (int tls = 0; tls < 2; tls++) {
        snprintf(reason, sizeof reason, "%s", line);
        memcpy(before, reason, sizeof before);
        bool said = proxy_reason(reason, sizeof reason, tls);
        CHECK(memchr(reason, '\0', sizeof reason), "no end");
        CHECK(said ? proxy_is_set() : strcmp(reason, before) == 0, "%s", reason);
        const char *proxy = getenv(tls ? "https_proxy" : "http_proxy");
        bool secret = said && proxy && strncmp(proxy, "http://u:hunter2@", 17) == 0;
        if (secret && !strstr(proxy + 17, "hunter2")) CHECK(!strstr(reason, "hunter2"), "%s", reason);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    set_all(&in);
    char *line = fuzz_line(&in, NULL);
    check_reason(line);
    check_reason("Could not resolve proxy: x");
    flags_japanese_environment();
    load();
    py_environ_free(py_environ(NULL, value_null(), true));
    free(line);
    return 0;
}
