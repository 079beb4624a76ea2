/* llm.c - <sdg/llm.h> over the engine of core/http: an sdg_llm_t is an llm_engine_t by another name. */
#include <sdg/llm.h>

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/http/engine.h"
#include "core/llm/chat.h"
#include "proto/sdg/limits.h"
#include "proto/sdg/public.h"

/* The causes of the outside are those of the inside, by number. */
_Static_assert(SDG_CAUSE_NONE == (int)LLM_CAUSE_NONE && SDG_CAUSE_RATE_LIMIT == (int)LLM_CAUSE_RATE_LIMIT &&
                   SDG_CAUSE_OVERLOAD == (int)LLM_CAUSE_OVERLOAD &&
                   SDG_CAUSE_SERVER == (int)LLM_CAUSE_SERVER && SDG_CAUSE_TIMEOUT == (int)LLM_CAUSE_TIMEOUT &&
                   SDG_CAUSE_CONNECTION == (int)LLM_CAUSE_CONNECTION &&
                   SDG_CAUSE_MALFORMED == (int)LLM_CAUSE_MALFORMED &&
                   SDG_CAUSE_EMPTY == (int)LLM_CAUSE_EMPTY && SDG_CAUSE_REFUSED == (int)LLM_CAUSE_REFUSED &&
                   SDG_CAUSE_QUOTA == (int)LLM_CAUSE_QUOTA &&
                   SDG_CAUSE_CANCELLED == (int)LLM_CAUSE_CANCELLED &&
                   SDG_CAUSE_ENDPOINT == (int)LLM_CAUSE_ENDPOINT &&
                   SDG_CAUSE_DECLINED == (int)LLM_CAUSE_DECLINED && LLM_CAUSES == 13,
               "a new cause is added to <sdg/llm.h>, too");

static llm_engine_t *inner(sdg_llm_t *llm) { return (llm_engine_t *)llm; }
static const llm_engine_t *inner_const(const sdg_llm_t *llm) { return (const llm_engine_t *)llm; }

sdg_llm_t *sdg_llm_new(const sdg_llm_options_t *options, sdg_error_t *error) {
    sdg_llm_options_t o = {0};
    err_t err = {0};
    if (options && public_read(&o, sizeof o, options, "options of the LLM engine", error) != SDG_OK)
        return NULL;
    llm_engine_t *engine =
        llm_engine_new(&(llm_engine_options_t){.connections_max = o.connections_max, .seed = o.seed}, &err);
    if (!engine) public_error(error, err.code, &err);
    return (sdg_llm_t *)engine;
}

void sdg_llm_destroy(sdg_llm_t **llm) {
    llm_engine_t *engine = inner(*llm);
    llm_engine_destroy(&engine);
    *llm = NULL;
}

static retry_policy_t retry_of(const sdg_endpoint_t *e) {
    retry_policy_t retry = retry_policy_default();
    if (e->attempts_max) retry.attempts_max = e->attempts_max;
    if (e->retry_base_ms) retry.base_ms = e->retry_base_ms;
    if (e->retry_cap_ms) retry.cap_ms = e->retry_cap_ms;
    if (e->retry_factor > 0) retry.factor = e->retry_factor;
    retry.on_empty = !e->accept_empty;
    return retry;
}

int sdg_llm_add_endpoint(sdg_llm_t *llm, const sdg_endpoint_t *endpoint, sdg_error_t *error) {
    sdg_endpoint_t e;
    err_t err = {0};
    int rc = public_read(&e, sizeof e, endpoint, "endpoint", error);
    if (rc != SDG_OK) return rc;
    llm_route_options_t described = {.name = e.name ? e.name : "endpoint",
                                     .base_urls = e.urls,
                                     .url_count = e.url_count,
                                     .api_key = e.api_key,
                                     .headers = e.headers,
                                     .header_count = e.header_count,
                                     .http2 = e.http2,
                                     .timeout_ms = e.timeout_ms,
                                     .retry = retry_of(&e)};
    return public_error(error, llm_engine_open_route(inner(llm), &described, &err), &err);
}

void sdg_llm_set_permits(sdg_llm_t *llm, uint32_t endpoint, uint32_t permits) {
    llm_engine_set_permits(inner(llm), llm_engine_endpoint_id(inner(llm), endpoint), permits);
}

/* The object of further keys, owned by the caller; null for no text. */
static int read_params(const char *json, value_t *params, err_t *err) {
    *params = value_null();
    if (!json) return SDG_OK;
    int rc = json_parse_text(json, strlen(json), params, err);
    if (rc != SDG_OK) return err_prefix(err, "params");
    if (params->kind == VALUE_OBJECT) return SDG_OK;
    value_clear(params);
    return err_set(err, SDG_EINVAL, "params: not an object");
}

/* Writes a chat request into `body`, whose maximum is CHAT_BODY_BYTES_MAX. The texts are measured first, so
 * that no copy of a text that is too long is made. */
static int write_request(buf_t *body, const char *model, const char *system, const char *prompt,
                         const char *params_json, err_t *err) {
    value_t params;
    if (strlen(model) + strlen(prompt) + (system ? strlen(system) : 0) > CHAT_BODY_BYTES_MAX)
        return err_set(err, SDG_ELIMIT, "a chat request above %zu bytes", CHAT_BODY_BYTES_MAX);
    int rc = read_params(params_json, &params, err);
    if (rc != SDG_OK) return rc;
    value_t model_text = value_text(model), content = value_text(prompt);
    value_t system_text = system ? value_text(system) : value_null();
    chat_request_write(body, model_text, system_text, content, params);
    value_free(model_text);
    value_free(system_text);
    value_free(content);
    value_free(params);
    return body->full ? err_set(err, SDG_ELIMIT, "a chat request above %zu bytes", CHAT_BODY_BYTES_MAX)
                      : SDG_OK;
}

char *sdg_chat_request(const char *model, const char *system, const char *prompt, const char *params_json,
                       sdg_error_t *error) {
    buf_t body;
    err_t err = {0};
    buf_init(&body, CHAT_BODY_BYTES_MAX);
    int rc = write_request(&body, model, system, prompt, params_json, &err);
    if (rc == SDG_OK) return buf_take(&body, NULL);
    public_error(error, rc, &err);
    buf_free(&body);
    return NULL;
}

int sdg_llm_submit(sdg_llm_t *llm, uint32_t endpoint, const char *body, size_t body_len, uint64_t tag,
                   sdg_error_t *error) {
    err_t err = {0};
    llm_request_t request = {.route = endpoint, .body = body, .body_len = body_len};
    return public_error(error, llm_engine_submit(inner(llm), &request, tag, &err), &err);
}

void sdg_llm_cancel(sdg_llm_t *llm, uint64_t tag) { llm_engine_cancel(inner(llm), tag); }

int sdg_llm_fd(const sdg_llm_t *llm) { return llm_engine_fd(inner_const(llm)); }

int sdg_llm_timeout_ms(const sdg_llm_t *llm) {
    return llm_engine_timeout_ms(inner_const(llm), clock_now_ns());
}

void sdg_llm_drive(sdg_llm_t *llm) { llm_engine_drive(inner(llm), clock_now_ns()); }

/* A public answer, and the inner answer that its texts are borrowed from. */
typedef struct answer {
    sdg_answer_t told; /* first, because it is the pointer that is handed out */
    llm_answer_t from;
} answer_t;

sdg_answer_t *sdg_llm_next(sdg_llm_t *llm) {
    llm_answer_t from;
    if (!llm_engine_next(inner(llm), &from)) return NULL;
    answer_t *answer = xmalloc(sizeof *answer);
    answer->from = from;
    bool ok = from.cause == LLM_CAUSE_NONE, has_text = from.text.kind == VALUE_STRING;
    answer->told = (sdg_answer_t){
        .tag = from.tag,
        .cause = (sdg_cause_t)from.cause,
        .text = ok && has_text ? from.text.string->data : "",
        .text_len = ok && has_text ? from.text.string->len : 0,
        .error = ok         ? ""
                 : has_text ? from.text.string->data /* the reason in full */
                            : answer->from.error.text,
        .finish_reason = answer->from.finish_reason,
        .prompt_tokens = from.prompt_tokens,
        .completion_tokens = from.completion_tokens,
        .requests = from.requests,
        .latency_us = ok && from.latency_count ? from.latency_us[0] : 0,
        .http_status = (int)from.http_status,
    };
    return &answer->told;
}

void sdg_answer_destroy(sdg_answer_t **answer) {
    if (!*answer) return;
    answer_t *a = (answer_t *)*answer;
    llm_answer_clear(&a->from);
    free(a);
    *answer = NULL;
}

const char *sdg_cause_name(sdg_cause_t cause) {
    unsigned number = (unsigned)cause;
    return number < LLM_CAUSES ? llm_cause_name((llm_cause_t)number) : "unknown cause";
}

void sdg_llm_get_load(const sdg_llm_t *llm, uint32_t endpoint, sdg_llm_load_t *load) {
    llm_load_t now;
    llm_engine_route_load(inner_const(llm), endpoint, &now);
    sdg_llm_load_t told = {
        .permits = now.permits,
        .in_flight = now.in_flight,
        .queued = now.queued,
        .backing_off = now.backing_off,
        .requests = now.requests,
        .succeeded = now.succeeded,
        .failed = now.failed,
        .prompt_tokens = now.prompt_tokens,
        .completion_tokens = now.completion_tokens,
    };
    public_write(load, &told, sizeof told);
}
