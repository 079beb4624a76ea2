/* server_load.c - see server_load.h. To read another server: its series in the table below, its name in the
 * enumeration. */
#include "core/llm/server_load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/llm/limits.h"

enum { VLLM, SGLANG, SERVERS };
static const char *const names[SERVERS] = {"vLLM", "SGLang"};

static void add(double *sum, double n) {
    if (n >= 0 && n <= SERVER_NUMBER_MAX) *sum = isnan(*sum) ? n : *sum + n;
}

static void take_largest(double *most, double n) {
    if (n >= 0 && n <= SERVER_NUMBER_MAX && !(*most >= n)) *most = n;
}

static void forget(server_load_t *load, int server) {
    *load = (server_load_t){.server = names[server], .running = NAN, .waiting = NAN, .cache = NAN};
}

static bool says_requests(const server_load_t *load) {
    return !isnan(load->running) || !isnan(load->waiting);
}

/* ---- Prometheus text */

typedef enum load_field { LOAD_RUNNING, LOAD_WAITING, LOAD_CACHE } load_field_t;

typedef struct load_series {
    const char *name;
    int server;
    load_field_t field;
} load_series_t;
static const load_series_t series[] = {
    {"vllm:num_requests_running", VLLM, LOAD_RUNNING},
    {"vllm:num_requests_waiting", VLLM, LOAD_WAITING},
    {"vllm:kv_cache_usage_perc", VLLM, LOAD_CACHE},
    {"vllm:gpu_cache_usage_perc", VLLM, LOAD_CACHE}, /* its earlier name */
    {"sglang:num_running_reqs", SGLANG, LOAD_RUNNING},
    {"sglang:num_queue_reqs", SGLANG, LOAD_WAITING},
    {"sglang:token_usage", SGLANG, LOAD_CACHE},
};

/* SGLang has a series with priority="" that is the total of those with a priority: the latter are left
 * out. */
static bool counts(const char *labels, size_t len) {
    const char *priority = memmem(labels, len, "priority=\"", 10);
    return !priority || priority + 10 >= labels + len || priority[10] == '"';
}

/* The number behind the name of a series and its labels; NAN: there is none. */
static double value_behind(const char *line, size_t len, size_t at) {
    char number[40] = "";
    if (line[at] == '{') {
        const char *end = memrchr(line, '}', len);
        if (!end || !counts(line + at, (size_t)(end - line) - at)) return NAN;
        at = (size_t)(end - line) + 1;
    }
    while (at < len && line[at] == ' ')
        at++;
    memcpy(number, line + at, len - at < sizeof number - 1 ? len - at : sizeof number - 1);
    char *end;
    double value = strtod(number, &end);
    return end == number ? NAN : value;
}

/* Takes one line "name{labels} value"; the name must be exactly that of a series. */
static void take_line(const char *line, size_t len, server_load_t loads[SERVERS]) {
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        size_t n = strlen(series[i].name);
        if (len <= n || memcmp(line, series[i].name, n) != 0 || (line[n] != '{' && line[n] != ' ')) continue;
        server_load_t *load = &loads[series[i].server];
        double value = value_behind(line, len, n);
        switch (series[i].field) {
        case LOAD_RUNNING: add(&load->running, value); break;
        case LOAD_WAITING: add(&load->waiting, value); break;
        case LOAD_CACHE: take_largest(&load->cache, value); break;
        }
    }
}

bool server_metrics_read(const char *text, size_t len, server_load_t *load) {
    server_load_t loads[SERVERS];
    for (int i = 0; i < SERVERS; i++)
        forget(&loads[i], i);
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line = end ? (size_t)(end - text) - at : len - at;
        take_line(text + at, line, loads);
        at += line + 1;
    }
    *load = loads[says_requests(&loads[VLLM]) ? VLLM : SGLANG];
    return says_requests(load);
}

/* ---- /v1/loads */

static void add_field(value_t rank, const char *key, double *sum) {
    value_t v = rank.kind == VALUE_OBJECT ? object_get_peek(rank, key, strlen(key), NULL) : value_null();
    add(sum, v.kind == VALUE_INT ? (double)v.integer : v.kind == VALUE_REAL ? v.real : NAN);
}

bool server_loads_read(const char *body, size_t len, server_load_t *load) {
    value_t answer = value_null();
    forget(load, SGLANG);
    if (json_parse_text(body, len, &answer, NULL) != SDG_OK) return false;
    value_t ranks = answer.kind == VALUE_OBJECT ? object_get_peek(answer, "loads", 5, NULL) : answer;
    for (size_t i = 0; ranks.kind == VALUE_LIST && i < list_count(ranks); i++) {
        add_field(list_peek(ranks, i), "num_running_reqs", &load->running);
        add_field(list_peek(ranks, i), "num_waiting_reqs", &load->waiting);
    }
    value_free(answer);
    return says_requests(load);
}

/* ---- words */

static void add_number(buf_t *out, double n, const char *word, const char **comma) {
    if (isnan(n)) return;
    buf_addf(out, "%s%.0f %s", *comma, n, word);
    *comma = ", ";
}

void server_load_write(const server_load_t *load, buf_t *out) {
    const char *comma = "";
    buf_addf(out, "%s: ", load->server);
    add_number(out, load->running, "running", &comma);
    add_number(out, load->waiting, "waiting", &comma);
    add_number(out, 100 * load->cache, "% of the KV cache in use", &comma);
}
