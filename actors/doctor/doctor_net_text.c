/* doctor_net_text.c - see doctor_net.h. A metric that is absent is unknown, not 0. */
#include "actors/doctor/doctor_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"

/* Takes the ids out of an answer that has the form of the OpenAI API. */
value_t doctor_models_read(const char *body, size_t len) {
    value_t answer = value_null(), ids = value_null();
    if (json_parse_text(body, len, &answer, NULL) != SDG_OK || answer.kind != VALUE_OBJECT) {
        value_free(answer);
        return ids;
    }
    value_t data = object_get_peek(answer, "data", 4, NULL);
    if (data.kind == VALUE_LIST) ids = value_list(list_count(data));
    for (size_t i = 0; data.kind == VALUE_LIST && i < list_count(data); i++) {
        value_t model = list_peek(data, i),
                id = model.kind == VALUE_OBJECT ? object_get_peek(model, "id", 2, NULL) : value_null();
        if (id.kind == VALUE_STRING) list_push(&ids, value_ref(id));
    }
    value_free(answer);
    return ids;
}

/* ---- Prometheus text */

/* SGLang has a series with priority="" that is the total of those with a priority: the latter are left
 * out. */
static bool counts(const char *labels, size_t len) {
    const char *priority = memmem(labels, len, "priority=\"", 10);
    return !priority || priority + 10 >= labels + len || priority[10] == '"';
}

/* Adds the value of one line "name{labels} value" when the name is exactly this one. */
static void add_line(const char *line, size_t len, const char *name, double *sum) {
    size_t n = strlen(name), at = n;
    char number[40] = "";
    if (len <= n || memcmp(line, name, n) != 0 || (line[n] != '{' && line[n] != ' ')) return;
    if (line[n] == '{') {
        const char *end = memrchr(line, '}', len);
        if (!end || !counts(line + n, (size_t)(end - line) - n)) return;
        at = (size_t)(end - line) + 1;
    }
    while (at < len && line[at] == ' ')
        at++;
    memcpy(number, line + at, len - at < sizeof number - 1 ? len - at : sizeof number - 1);
    double value = strtod(number, NULL);
    if (isfinite(value)) *sum = isnan(*sum) ? value : *sum + value;
}

/* Summed over engines; NAN when there is no such series. */
static double sum_of(const char *text, size_t len, const char *name) {
    double sum = NAN;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line = end ? (size_t)(end - text) - at : len - at;
        add_line(text + at, line, name, &sum);
        at += line + 1;
    }
    return sum;
}

static void add_number(buf_t *out, double n, const char *word) {
    if (!isnan(n))
        buf_addf(out, "%s%.0f %s", out->len && out->data[out->len - 1] == ' ' ? "" : ", ", n, word);
}

static bool describe(const char *who, double running, double waiting, double cache, buf_t *out) {
    if (isnan(running) && isnan(waiting)) return false;
    buf_addf(out, "%s: ", who);
    add_number(out, running, "running");
    add_number(out, waiting, "waiting");
    if (!isnan(cache)) add_number(out, 100 * cache, "% of the KV cache in use");
    return true;
}

bool doctor_metrics_read(const char *text, size_t len, buf_t *out) {
    double cache = sum_of(text, len, "vllm:kv_cache_usage_perc");
    if (isnan(cache)) cache = sum_of(text, len, "vllm:gpu_cache_usage_perc");
    if (describe("vLLM", sum_of(text, len, "vllm:num_requests_running"),
                 sum_of(text, len, "vllm:num_requests_waiting"), cache, out))
        return true;
    return describe("SGLang", sum_of(text, len, "sglang:num_running_reqs"),
                    sum_of(text, len, "sglang:num_queue_reqs"), sum_of(text, len, "sglang:token_usage"), out);
}

/* ---- /v1/loads */

static void add_field(value_t rank, const char *key, double *sum) {
    value_t v = rank.kind == VALUE_OBJECT ? object_get_peek(rank, key, strlen(key), NULL) : value_null();
    double n = v.kind == VALUE_INT ? (double)v.integer : v.kind == VALUE_REAL ? v.real : NAN;
    if (!isnan(n)) *sum = isnan(*sum) ? n : *sum + n;
}

/* A list of ranks, or an object that holds one under "loads". */
bool doctor_loads_read(const char *body, size_t len, buf_t *out) {
    value_t answer = value_null();
    double running = NAN, waiting = NAN;
    if (json_parse_text(body, len, &answer, NULL) != SDG_OK) return false;
    value_t ranks = answer.kind == VALUE_OBJECT ? object_get_peek(answer, "loads", 5, NULL) : answer;
    for (size_t i = 0; ranks.kind == VALUE_LIST && i < list_count(ranks); i++) {
        add_field(list_peek(ranks, i), "num_running_reqs", &running);
        add_field(list_peek(ranks, i), "num_waiting_reqs", &waiting);
    }
    value_free(answer);
    return describe("SGLang", running, waiting, NAN, out);
}
