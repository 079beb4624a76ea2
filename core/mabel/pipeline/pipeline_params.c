/* pipeline_params.c - what looks wrong among the parameters of a request.
 *
 * Whatever is no key of ours goes to the server as it is, because servers know more parameters than anybody
 * lists. So nothing here is an error, and nothing is left out: a warning says what the parameter will not do,
 * or that its value is not of the kind it seems to be. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Keys that people bring from other programs, and what does here what they mean. */
static const struct {
    const char *key, *instead;
} FOREIGN[] = {
    {"timeout", "for the time of a request write timeout_sec: seconds"},
    {"timeout_s", "for the time of a request write timeout_sec: seconds"},
    {"timeout_ms", "for the time of a request write timeout_sec: seconds"},
    {"timeout_seconds", "for the time of a request write timeout_sec: seconds"},
    {"request_timeout", "for the time of a request write timeout_sec: seconds"},
    {"max_retries", "for the requests of a call in all write retry: {max_attempts: N}"},
    {"num_retries", "for the requests of a call in all write retry: {max_attempts: N}"},
    {"retries", "for the requests of a call in all write retry: {max_attempts: N}"},
    {"max_attempts", "for the requests of a call in all write retry: {max_attempts: N}"},
    {"backoff", "for the waits between requests write retry: {backoff: {base_ms: N}}"},
    {"retry_delay", "for the waits between requests write retry: {backoff: {base_ms: N}}"},
    {"api_key", "a key stands beside the model's name"},
    {"api_base", "an address is base_url beside the model's name"},
    {"base_url", "an address stands beside the model's name"},
    {"api_model", "a model is named beside the model's name, or with params.model in a block"},
    {"max_concurrent", "how many requests are in flight says --max-concurrent"},
    {"max_concurrency", "how many requests are in flight says --max-concurrent"},
    {"max_parallel", "how many requests are in flight says --max-concurrent"},
    {"system_prompt", "it is a field of an ai block"},
    {"prompts", "it is a field of an ai block"},
};

/* Parameters of our own, of OpenAI, vLLM, SGLang, llama.cpp and others, for "did you mean". */
static const char *const KNOWN[] = {
    "retry",
    "timeout_sec",
    "extra_body",
    "extra_headers",
    "headers",
    "organization",
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "length_penalty",
    "repeat_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "include_reasoning",
    "verbosity",
    "service_tier",
    "store",
    "metadata",
    "modalities",
    "prediction",
    "parallel_tool_calls",
    "tool_choice",
    "tools",
    "functions",
    "function_call",
    "web_search_options",
    "safety_identifier",
    "prompt_cache_key",
    "chat_template",
    "chat_template_kwargs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "guided_decoding_backend",
    "structured_outputs",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "ignore_eos",
    "min_tokens",
    "stop_token_ids",
    "bad_words",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_stop_str_in_output",
    "truncate_prompt_tokens",
    "use_beam_search",
    "separate_reasoning",
    "stream_reasoning",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "provider",
    "transforms",
    "models",
    "route",
    "plugins",
    "do_sample",
    "num_predict",
    "num_ctx",
    "options",
    "keep_alive",
    "priority",
    "cache_salt",
    "kv_transfer_params",
    "session_id",
    "regex",
    "ebnf",
    "json_schema",
    "grammar",
    "typical_p",
    "min_p",
    "top_k",
    "top_p",
    "top_a",
};
enum { KNOWN_COUNT = sizeof KNOWN / sizeof KNOWN[0], NEAR_BYTES_MIN = 6 };

/* ---- keys */

static bool is_known(const char *key) {
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (strcmp(KNOWN[i], key) == 0) return true;
    return false;
}

bool params_have(const char *key) {
    static const char *const short_ones[] = {"n", "seed", "stop", "user", "stream"};
    for (size_t i = 0; i < sizeof short_ones / sizeof short_ones[0]; i++)
        if (strcmp(short_ones[i], key) == 0) return true;
    return is_known(key);
}

const char *params_instead(const char *key) {
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        if (strcmp(FOREIGN[i].key, key) == 0) return FOREIGN[i].instead;
    return NULL;
}

static void key_check(load_t *l, const ynode_t *at, const ypath_t *path) {
    const char *key = at->scalar.string->data, *instead = params_instead(key);
    if (instead) {
        complain(l, DIAG_WARNING, at, path, "'%s' only goes to the server as a parameter; %s", key, instead);
        return;
    }
    if (is_known(key) || strlen(key) < NEAR_BYTES_MIN) return;
    const char *near = diag_nearest(key, KNOWN, KNOWN_COUNT);
    if (near)
        complain(l, DIAG_WARNING, at, path, "'%s' goes to the server as it is; did you mean '%s'?", key,
                 near);
}

/* More than one answer is paid for, and one is read. */
static void count_check(load_t *l, const ynode_t *n, const ypath_t *path, const char *key) {
    bool one = n->kind == YNODE_SCALAR && n->scalar.kind == VALUE_INT && n->scalar.integer <= 1;
    if (!one)
        complain(
            l, DIAG_WARNING, n, path,
            "'%s' asks for several answers, of which the first is read and all are paid for: leave it out, "
            "and give the input more rows",
            key);
}

/* A stream is read to its end like any answer. */
static void stream_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    bool off = n->kind == YNODE_SCALAR &&
               (n->scalar.kind == VALUE_NULL || (n->scalar.kind == VALUE_BOOL && !n->scalar.boolean));
    if (!off)
        complain(l, DIAG_WARNING, n, path,
                 "an answer is read whole, so a stream only costs: leave 'stream' out");
}

/* ---- values */

/* How the number of a text is written so that YAML 1.1 reads it as one. */
static void write_number(const char *text, value_t number, char *out, size_t size) {
    double r = number.kind == VALUE_INT ? (double)number.integer : number.real;
    const char *e = strpbrk(text, "eE");
    if (r == floor(r) && fabs(r) < 1e15) {
        snprintf(out, size, "%.0f", r);
    } else if (e && strlen(text) < 40) {
        bool point = memchr(text, '.', (size_t)(e - text));
        bool sign = e[1] == '-' || e[1] == '+';
        snprintf(out, size, "%.*s%se%s%s", (int)(e - text), text, point ? "" : ".0", sign ? "" : "+", e + 1);
    } else {
        str_t *written = text_of(value_real(r));
        snprintf(out, size, "%.40s", written->data);
        str_free(written);
    }
}

void params_number_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    size_t len;
    value_t number;
    char better[64];
    const char *text = yaml_text(n, &len);
    if (!text || n->quoted || n->as_written || !text_to_number(text, len, &number)) return;
    double r = number.kind == VALUE_INT ? (double)number.integer : number.real;
    if (!isfinite(r)) return;
    write_number(text, number, better, sizeof better);
    complain(l, DIAG_WARNING, n, path, "YAML 1.1 reads %.60s as the text \"%.60s\": for a number write %s",
             text, text, better);
}

/* `temperature: off` is the boolean false, which servers refuse or take for 0. */
static void boolean_check(load_t *l, const ynode_t *n, const ypath_t *path, const char *key) {
    static const char *const numbers[] = {"temperature",
                                          "top_p",
                                          "top_k",
                                          "min_p",
                                          "max_tokens",
                                          "seed",
                                          "min_tokens",
                                          "max_completion_tokens",
                                          "presence_penalty",
                                          "frequency_penalty",
                                          "repetition_penalty"};
    bool boolean = n->kind == YNODE_SCALAR && n->scalar.kind == VALUE_BOOL;
    for (size_t i = 0; boolean && i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(numbers[i], key) == 0)
            complain(l, DIAG_WARNING, n, path, "expected a number, found a boolean (%.20s)",
                     n->plain ? n->plain : "");
}

/* The tree is at most YAML_DEPTH_MAX deep. */
static void values_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    bool list = n->kind == YNODE_LIST;
    if (n->kind == YNODE_SCALAR) params_number_check(l, n, path);
    for (size_t i = 0; n->kind != YNODE_SCALAR && i < n->count; i++) {
        const ypath_t *at = list ? YPATH_AT(path, i) : YPATH_KEY(path, yaml_key(n, i));
        if (list) name_check_word(l->diags, n->items[i], at); /* choices for a server are texts */
        values_check(l, n->items[i], at);
    }
}

/* Servers stop at texts. */
static void stop_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    bool list = n->kind == YNODE_LIST;
    for (size_t i = 0; i < (list ? n->count : 1); i++) {
        const ynode_t *item = list ? n->items[i] : n;
        const ypath_t *at = list ? YPATH_AT(path, i) : path;
        bool null = item->kind == YNODE_SCALAR && item->scalar.kind == VALUE_NULL;
        if (item->kind == YNODE_SCALAR && !yaml_is_string(item) && (list || !null))
            name_check_warn(l->diags, item, at);
    }
}

void params_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    for (size_t i = 0; n && n->kind == YNODE_MAP && i < n->count; i++) {
        const char *key = yaml_key(n, i);
        const ypath_t *at = YPATH_KEY(path, key);
        bool stop = strcmp(key, "stop") == 0;
        bool ours = strcmp(key, "headers") == 0 || strcmp(key, "extra_headers") == 0 ||
                    strcmp(key, "extra_body") == 0 || strcmp(key, "retry") == 0 ||
                    strcmp(key, "timeout_sec") == 0 || strcmp(key, "model") == 0;
        key_check(l, n->keys[i], at);
        if (strcmp(key, "n") == 0 || strcmp(key, "best_of") == 0) count_check(l, n->items[i], at, key);
        if (strcmp(key, "stream") == 0) stream_check(l, n->items[i], at);
        if (stop) stop_check(l, n->items[i], at);
        boolean_check(l, n->items[i], at, key);
        if (!ours && !stop) values_check(l, n->items[i], at);
    }
}
