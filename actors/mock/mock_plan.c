/* mock_plan.c - see mock_plan.h.
 *
 * Request n has its own random sequence (seed, n), drawn in a fixed order: failure, latency, length. So
 * changing a rate does not move the latencies of the requests that still succeed.
 */
#include "actors/mock/mock_plan.h"

#include "actors/mock/limits.h"
#include "actors/mock/mock_tags.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHARS_PER_TOKEN = 4 }; /* the usual estimate for English text */

static double spread_draw(const mock_spread_t *s, rng_t *r) {
    double u = rng_real(r), v = rng_real(r);
    if (s->sigma == 0) return s->median;
    double gauss = sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v);
    return s->median * exp(s->sigma * gauss);
}

static int fault_draw(const mock_options_t *o, rng_t *r) {
    double u = rng_real(r);
    for (size_t i = 0; i < o->fault_count; i++) {
        if (u < o->faults[i].rate) return (int)i;
        u -= o->faults[i].rate;
    }
    return -1;
}

static uint64_t tokens_of(const char *text, size_t len) {
    return (utf8_length(text, len) + CHARS_PER_TOKEN - 1) / CHARS_PER_TOKEN;
}

static uint64_t prompt_tokens_of(const mock_view_t *view) {
    return tokens_of(view->user->data, view->user->len) + tokens_of(view->system->data, view->system->len);
}

/* " tok" is one token by our own count. */
static void lengthen(buf_t *content, uint64_t tokens) {
    for (uint64_t have = tokens_of(content->data, content->len); have < tokens; have++)
        buf_add(content, " tok", CHARS_PER_TOKEN);
}

static const char *error_type(unsigned status, const char **code) {
    *code = NULL;
    if (status == 429) return *code = "rate_limit_exceeded", "requests";
    if (status < 500) return "invalid_request_error";
    return status == 503 ? "overloaded_error" : "server_error";
}

void mock_plan_refuse(mock_plan_t *plan, unsigned status, const char *message) {
    *plan = (mock_plan_t){.ending = MOCK_ANSWER, .status = status, .at_once = true, .fault = -1};
    buf_init(&plan->body, MOCK_BODY_BYTES_MAX * 2);
    const char *code, *type = error_type(status, &code);
    buf_adds(&plan->body, "{\"error\": {\"message\": ");
    json_write_string(&plan->body, message, strlen(message));
    buf_addf(&plan->body, ", \"type\": \"%s\", \"param\": null, \"code\": %s%s%s}}", type, code ? "\"" : "",
             code ? code : "null", code ? "\"" : "");
}

void mock_plan_retry_after(mock_plan_t *plan, const mock_options_t *o, double seconds) {
    const char *wanted = o->retry_after;
    if (!wanted || strcmp(wanted, "none") == 0) return;
    if (strcmp(wanted, "auto") == 0)
        snprintf(plan->retry_after, sizeof plan->retry_after, "%.0f", seconds > 1 ? ceil(seconds) : 1);
    else
        snprintf(plan->retry_after, sizeof plan->retry_after, "%s", wanted);
}

static void plan_status_fault(mock_plan_t *plan, const mock_options_t *o, int fault) {
    unsigned status = o->faults[fault].status;
    const char *message = status == 429   ? "Rate limit reached (simulated)."
                          : status == 503 ? "The request queue is full (simulated)."
                                          : "Simulated failure.";
    mock_plan_refuse(plan, status, message);
    plan->fault = fault;
    plan->at_once = status == 429 || status == 503;
    if (plan->at_once) mock_plan_retry_after(plan, o, 1);
}

static bool value_at(value_t object, const char *key, value_t *out) {
    bool found;
    *out = object_get_peek(object, key, strlen(key), &found);
    return found;
}

/* The JSON of a completion with this content, finish reason and usage. */
static void completion_write(mock_plan_t *plan, value_t model, const buf_t *content,
                             const mock_rule_t *rule) {
    buf_t *out = &plan->body;
    buf_adds(
        out,
        "{\"id\": \"chatcmpl-mock\", \"object\": \"chat.completion\", \"created\": 1700000000, \"model\": ");
    json_write(out, model, JSON_PYTHON);
    buf_adds(out, ", \"choices\": [{\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": ");
    if (content)
        json_write_string(out, content->data ? content->data : "", content->len);
    else
        buf_adds(out, "null");
    const char *finish = rule ? rule->finish_reason : "stop";
    buf_adds(out, "}, \"finish_reason\": ");
    json_write_string(out, finish, strlen(finish));
    buf_adds(out, "}], \"usage\": ");
    if (rule && rule->usage.kind != VALUE_NULL) {
        json_write(out, rule->usage, JSON_PYTHON);
    } else {
        buf_addf(out, "{\"prompt_tokens\": %llu, \"completion_tokens\": %llu, \"total_tokens\": %llu}",
                 (unsigned long long)plan->prompt_tokens, (unsigned long long)plan->completion_tokens,
                 (unsigned long long)(plan->prompt_tokens + plan->completion_tokens));
    }
    buf_addc(out, '}');
}

/* The rule's text, or the default answer; without --answer, that is in the tags the prompt asks for. */
static void content_write(buf_t *out, const mock_options_t *o, const mock_rule_t *rule,
                          const mock_view_t *view) {
    if (rule && rule->text)
        mock_expand(out, rule->text, rule->text_len, view, rule->hits);
    else if (o->answer_given || !mock_tags_write(out, view))
        mock_expand(out, o->answer, o->answer_len, view, rule ? rule->hits : 1);
}

/* A completion with the rule's or the default text. */
static void plan_completion(mock_plan_t *plan, const mock_options_t *o, const mock_rule_t *rule,
                            const mock_view_t *view, uint64_t tokens_min, bool empty) {
    bool null_content = rule && rule->kind == MOCK_REPLY_NULL && !empty;
    buf_t content;
    buf_init(&content, MOCK_BODY_BYTES_MAX * 2);
    if (!null_content && !empty) {
        content_write(&content, o, rule, view);
        if (!rule) lengthen(&content, tokens_min);
    }
    plan->prompt_tokens = prompt_tokens_of(view);
    plan->completion_tokens = tokens_of(content.data, content.len);
    value_t model;
    value_at(view->body, "model", &model);
    completion_write(plan, model, null_content ? NULL : &content, rule);
    buf_free(&content);
}

static void plan_rule(mock_plan_t *plan, const mock_options_t *o, const mock_rule_t *rule,
                      const mock_view_t *view) {
    plan->status = rule->status;
    plan->headers = value_ref(rule->headers);
    switch (rule->kind) {
    case MOCK_REPLY_RESET: plan->ending = MOCK_RESET; break;
    case MOCK_REPLY_BODY: buf_add(&plan->body, rule->text, rule->text_len); break;
    case MOCK_REPLY_RAW_BODY: mock_expand(&plan->body, rule->text, rule->text_len, view, rule->hits); break;
    case MOCK_REPLY_TEXT:
    case MOCK_REPLY_NULL: plan_completion(plan, o, rule, view, 0, false); break;
    }
}

static void plan_fault(mock_plan_t *plan, const mock_options_t *o, int fault) {
    plan->fault = fault;
    switch (o->faults[fault].kind) {
    case MOCK_FAULT_RESET: plan->ending = MOCK_RESET; break;
    case MOCK_FAULT_HANG: plan->ending = MOCK_HANG; break;
    case MOCK_FAULT_SLOW: plan->ending = MOCK_DRIP; break;
    case MOCK_FAULT_MALFORMED: plan->body.len /= 2; break;
    case MOCK_FAULT_STATUS:
    case MOCK_FAULT_EMPTY: break; /* done where the body was made */
    }
}

static bool fault_is(const mock_options_t *o, int fault, mock_fault_kind_t kind) {
    return fault >= 0 && o->faults[fault].kind == kind;
}

/* A completion or what a rule says. A rule's hit is only counted when its answer reaches the client whole. */
static const mock_rule_t *plan_chat(mock_plan_t *plan, const mock_options_t *o, mock_rules_t *rules,
                                    value_t body, int fault, uint64_t tokens_min) {
    mock_view_t view;
    mock_view_init(&view, body);
    bool whole = fault < 0 || fault_is(o, fault, MOCK_FAULT_SLOW);
    const mock_rule_t *rule = whole ? mock_rules_choose(rules, &view) : NULL;
    if (rule)
        plan_rule(plan, o, rule, &view);
    else
        plan_completion(plan, o, NULL, &view, tokens_min, fault_is(o, fault, MOCK_FAULT_EMPTY));
    mock_view_free(&view);
    return rule;
}

/* The answer without its timing; the rule that gave it, or NULL. */
static const mock_rule_t *plan_answer(mock_plan_t *plan, const mock_options_t *o, mock_rules_t *rules,
                                      value_t body, int fault, uint64_t tokens_min) {
    if (fault_is(o, fault, MOCK_FAULT_STATUS)) {
        plan_status_fault(plan, o, fault);
        return NULL;
    }
    *plan = (mock_plan_t){.ending = MOCK_ANSWER, .status = 200, .fault = -1};
    buf_init(&plan->body, MOCK_BODY_BYTES_MAX * 2);
    bool silent = fault_is(o, fault, MOCK_FAULT_RESET) || fault_is(o, fault, MOCK_FAULT_HANG);
    const mock_rule_t *rule = silent ? NULL : plan_chat(plan, o, rules, body, fault, tokens_min);
    if (fault >= 0) plan_fault(plan, o, fault);
    return rule;
}

void mock_plan_make(mock_plan_t *plan, const mock_options_t *o, mock_rules_t *rules, value_t body,
                    uint64_t n) {
    rng_t r;
    rng_seed(&r, o->seed, n);
    int fault = fault_draw(o, &r);
    double latency_ms = spread_draw(&o->latency_ms, &r);
    double tokens = spread_draw(&o->tokens, &r);
    uint64_t tokens_min = (uint64_t)(tokens < MOCK_TOKENS_MAX ? tokens : MOCK_TOKENS_MAX);
    const mock_rule_t *rule = plan_answer(plan, o, rules, body, fault, tokens_min);
    if (plan->at_once) return;
    double delay_ns = (latency_ms + o->ms_per_token * (double)plan->completion_tokens) * 1e6;
    if (rule) delay_ns += (double)rule->delay_ns;
    plan->delay_ns = delay_ns < (double)MOCK_DELAY_NS_MAX ? (uint64_t)delay_ns : MOCK_DELAY_NS_MAX;
}

void mock_plan_free(mock_plan_t *plan) {
    value_free(plan->headers);
    buf_free(&plan->body);
    *plan = (mock_plan_t){.fault = -1};
}
