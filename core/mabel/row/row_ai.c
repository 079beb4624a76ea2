/* row_ai.c - ai blocks: from prompts to a request body, from an answer to outputs.
 *
 * A message without images and attachments is one text; otherwise it is a list of parts in the order written.
 * All outputs are worked out before the first one is given, so that a conversion that fails leaves nothing
 * behind. */
#include "core/mabel/row/row_state.h"

#include "core/base/clock.h"
#include "core/llm/chat.h"
#include "core/mabel/row/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BODY_FIRST = 1024 }; /* bytes reserved for a request body at once: most bodies fit */

/* ---- budget and usage, shared with call_ai */

int row_llm_begin(row_t *row) {
    const budget_t *b = &row_block(row)->budget;
    if (b->ai_calls_max && row->calls_begun >= b->ai_calls_max)
        return err_set(&row->err, SDG_ELIMIT, "the row has made its %u LLM calls (budget ai.max_calls)",
                       b->ai_calls_max);
    if (b->ai_tokens_max && row->tokens_used >= b->ai_tokens_max)
        return err_set(&row->err, SDG_ELIMIT, "the row has used its %llu tokens (budget ai.max_tokens)",
                       (unsigned long long)b->ai_tokens_max);
    row->calls_begun++;
    row->answered = false;
    return SDG_OK;
}

/* Did the answer end because it had as many tokens as it may have? Some servers say `max_tokens`. */
static bool is_cut_by_length(const llm_answer_t *answer) {
    static const char *const reasons[] = {"length", "max_tokens", "model_length"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcasecmp(answer->finish_reason, reasons[i]) == 0) return true;
    return false;
}

/* Is it an answer that ends before its end? */
static bool is_cut(const llm_answer_t *answer) {
    return is_cut_by_length(answer) || strcmp(answer->finish_reason, "content_filter") == 0;
}

/* Retries that never became an answer cost requests and tokens, too; the engine has added them up. */
int row_llm_end(row_t *row) {
    const budget_t *b = &row_block(row)->budget;
    const llm_answer_t *a = &row->answer;
    row_usage_t *u = &row->usage;
    row->answered = false;
    u->calls++;
    u->requests += a->requests;
    u->prompt_tokens += a->prompt_tokens;
    u->completion_tokens += a->completion_tokens;
    row->tokens_used += (uint64_t)a->prompt_tokens + a->completion_tokens;
    for (int i = 0; i < LLM_CAUSES; i++)
        u->retries[i] += a->retries[i];
    if (a->cause == LLM_CAUSE_NONE && is_cut(a)) u->cut_short++;
    if (a->replaced) row_note(row, ROW_NOTE_REPLACED, NULL, a->replaced);
    for (uint32_t i = 0;
         i < a->latency_count && i < LLM_LATENCIES_MAX && u->latency_count < ROW_LATENCIES_MAX; i++)
        u->latency_us[u->latency_count++] = a->latency_us[i];
    if (a->cause != LLM_CAUSE_NONE) value_replace(&row->words, value_ref(a->text));
    if (a->cause != LLM_CAUSE_NONE)
        return err_set(&row->err, SDG_EIO, "%s", a->error.text[0] ? a->error.text : llm_cause_name(a->cause));
    if (b->ai_tokens_max && row->tokens_used > b->ai_tokens_max)
        return err_set(&row->err, SDG_ELIMIT, "the row has used more than %llu tokens (budget ai.max_tokens)",
                       (unsigned long long)b->ai_tokens_max);
    return SDG_OK;
}

/* Fails the block by "budget", "HTTP 400" or the cause's name: few different words, so that failures can be
 * counted by them. */
static bool call_failed(row_t *row) {
    const char *text = row->err.text;
    size_t len = strcspn(text, ":");
    char kind[ROW_REASON_MAX];
    if (row->err.code == SDG_ELIMIT)
        snprintf(kind, sizeof kind, "budget");
    else if (strncmp(text, "HTTP ", 5) == 0 && len < 16)
        snprintf(kind, sizeof kind, "%.*s", (int)len, text);
    else
        snprintf(kind, sizeof kind, "%s", llm_cause_name(row->answer.cause));
    return row_block_failed(row, kind);
}

/* ---- the message */

static int prompt_text(row_t *row, const ai_block_t *ai, value_t *out) {
    if (ai->prompt_count == 1) return row_render(row, ai->prompts[0], out);
    buf_t text;
    buf_init(&text, ROW_BODY_BYTES_MAX);
    int rc = SDG_OK;
    for (size_t i = 0; i < ai->prompt_count && rc == SDG_OK; i++) {
        if (i) buf_adds(&text, "\n\n");
        rc = template_render(ai->prompts[i], &row->scope, TEMPLATE_EMPTY, &text, &row->err);
    }
    *out = rc == SDG_OK ? value_string(text.data ? text.data : "", text.len) : value_null();
    buf_free(&text);
    return rc;
}

/* Adds a prompt's text and images to the message. */
static int add_prompt(row_t *row, message_parts_t *parts, const template_t *prompt) {
    template_part_t *list = NULL;
    size_t count = 0;
    int rc = template_parts(prompt, &row->scope, &list, &count, &row->err);
    for (size_t i = 0; rc == SDG_OK && i < count; i++) {
        if (list[i].is_image)
            rc = row_add_image(row, parts, list[i].image, list[i].detail);
        else
            buf_add(&parts->text, list[i].text.string->data, list[i].text.string->len);
    }
    for (size_t i = 0; i < count; i++)
        value_free(list[i].text);
    free(list);
    return rc;
}

static bool is_url(const char *text) {
    return strncmp(text, "data:", 5) == 0 || strncmp(text, "http://", 7) == 0 ||
           strncmp(text, "https://", 8) == 0;
}

static void add_image_attachment(message_parts_t *parts, const str_t *mime, const str_t *content) {
    buf_t url;
    buf_init(&url, ROW_BODY_BYTES_MAX);
    if (!is_url(content->data)) buf_addf(&url, "data:%s;base64,", mime->data);
    buf_add(&url, content->data, content->len);
    message_parts_add_url(parts, url.data ? url.data : "", url.len, "auto");
    buf_free(&url);
}

/* An image becomes an image part. Anything else becomes a text part: its name, a newline, and its content. */
static int add_attachment(row_t *row, message_parts_t *parts, const attachment_t *a) {
    value_t name = value_null(), content = value_null();
    int rc = a->name ? row_render(row, a->name, &name) : SDG_OK;
    if (rc == SDG_OK && a->content) rc = row_render(row, a->content, &content);
    if (rc == SDG_OK && content.kind == VALUE_STRING && a->mime && strncmp(a->mime->data, "image/", 6) == 0) {
        add_image_attachment(parts, a->mime, content.string);
    } else if (rc == SDG_OK) {
        if (name.kind == VALUE_STRING) buf_add(&parts->text, name.string->data, name.string->len);
        buf_addc(&parts->text, '\n');
        if (content.kind == VALUE_STRING) buf_add(&parts->text, content.string->data, content.string->len);
        message_parts_flush(parts);
    }
    value_free(name);
    value_free(content);
    return rc;
}

/* A message of parts: all prompts, then the attachments. *out is owned by the caller, after an error, too. */
static int prompt_parts(row_t *row, const ai_block_t *ai, value_t *out) {
    message_parts_t parts = {.list = value_list(4)};
    buf_init(&parts.text, ROW_BODY_BYTES_MAX);
    int rc = SDG_OK;
    for (size_t i = 0; i < ai->prompt_count && rc == SDG_OK; i++) {
        if (i) buf_adds(&parts.text, "\n\n");
        rc = add_prompt(row, &parts, ai->prompts[i]);
    }
    message_parts_flush(&parts);
    for (size_t i = 0; i < ai->attachment_count && rc == SDG_OK; i++)
        rc = add_attachment(row, &parts, &ai->attachments[i]);
    if (rc == SDG_OK && parts.text.full)
        rc = err_set(&row->err, SDG_ELIMIT, "the message is longer than %zu MiB", ROW_BODY_BYTES_MAX >> 20);
    buf_free(&parts.text);
    *out = parts.list;
    return rc;
}

static bool has_parts(const ai_block_t *ai) {
    for (size_t i = 0; i < ai->prompt_count; i++)
        if (template_has_images(ai->prompts[i])) return true;
    return ai->attachment_count > 0;
}

/* ---- the request */

/* The timeout of a request, cut to what is left of the row's wall time; 0: the model's. */
static uint32_t bounded_timeout(const row_t *row, uint32_t model, uint32_t timeout_ms) {
    uint64_t deadline = row_deadline(row);
    if (deadline == UINT64_MAX) return timeout_ms;
    uint64_t left = deadline > row->now_ns ? (deadline - row->now_ns) / MILLISECOND + 1 : 1;
    uint32_t usual = timeout_ms ? timeout_ms : row->pipeline->models[model].timeout_ms;
    return usual && usual < left ? timeout_ms : (uint32_t)(left < UINT32_MAX ? left : UINT32_MAX);
}

void row_request_set(row_t *row, uint32_t model, char **headers, size_t header_count, uint32_t timeout_ms,
                     const retry_policy_t *retry) {
    bool keep_empty = !row->options->retry_on_empty;
    row->retry = retry ? *retry : row->pipeline->models[model].retry;
    if (keep_empty) row->retry.on_empty = false;
    row->request = (llm_request_t){.route = model,
                                   .body = row->body.data,
                                   .body_len = row->body.len,
                                   .headers = (const char *const *)headers,
                                   .header_count = header_count,
                                   .timeout_ms = bounded_timeout(row, model, timeout_ms),
                                   .retry = retry || keep_empty ? &row->retry : NULL};
}

/* Writes the request body into row->body. */
static int write_body(row_t *row, const ai_block_t *ai) {
    value_t system = value_null(), content = value_null();
    int rc = ai->system ? row_render(row, ai->system, &system) : SDG_OK;
    if (system.kind == VALUE_STRING && system.string->len == 0)
        value_clear(&system); /* some servers refuse an empty one */
    if (rc == SDG_OK) rc = has_parts(ai) ? prompt_parts(row, ai, &content) : prompt_text(row, ai, &content);
    if (rc == SDG_OK) {
        value_t model = {.kind = VALUE_STRING, .string = row->pipeline->models[ai->model].api_model};
        buf_reset(&row->body);
        buf_reserve(&row->body, BODY_FIRST);
        chat_request_write(&row->body, model, system, content, ai->params);
        if (row->body.full)
            rc = err_set(&row->err, SDG_ELIMIT, "the request is longer than %zu MiB",
                         ROW_BODY_BYTES_MAX >> 20);
        if (system.kind != VALUE_NULL) row_trace_add(row, "system", value_ref(system));
        row_trace_add(row, "prompt", value_ref(content));
    }
    value_free(system);
    value_free(content);
    return rc;
}

/* How the requests of the running block are retried; NULL: as its model says. What the block has spent of its
 * own attempts is taken off; a request that is sent at all is one attempt. */
static const retry_policy_t *block_retry(const row_t *row, retry_policy_t *policy) {
    const block_t *b = row_block(row);
    if (!b->has_retry) return b->ai.has_retry ? &b->ai.retry : NULL;
    *policy = b->retry;
    policy->attempts_max = row->spent < b->retry.attempts_max ? b->retry.attempts_max - row->spent : 1;
    if (policy->empty_max > policy->attempts_max) policy->empty_max = policy->attempts_max;
    return policy;
}

bool row_ai_start(row_t *row) {
    const ai_block_t *ai = &row_block(row)->ai;
    retry_policy_t policy;
    if (row_llm_begin(row) < 0) return row_block_failed(row, "budget");
    if (write_body(row, ai) < 0)
        return row_block_failed(row, row->err.code == SDG_EIO || row->err.code == SDG_ENOTFOUND ? "image"
                                                                                                : "prompt");
    row_request_set(row, ai->model, ai->headers, ai->header_count, ai->timeout_ms, block_retry(row, &policy));
    row->request.wants_reasoning = ai->wants_reasoning;
    row->phase = PHASE_LLM;
    return row_wait(row, ROW_WANT_LLM);
}

/* ---- the answer */

enum { HARVEST_FEW = 16 }; /* outputs of nearly every block */

/* The outputs of one answer, before any is given. It stays where it is made. */
typedef struct harvest {
    value_t values;        /* list, in the order of the outputs */
    bool *found;           /* of each output; `few`, or owned */
    bool few[HARVEST_FEW]; /* serves where there are so few */
    extract_cache_t cache; /* what the outputs share */
} harvest_t;

/* "nothing found by tag 'q' in: <the first words of the answer>" */
static int nothing_found(row_t *row, const ai_output_t *output, const harvest_t *h) {
    static const char *const ways[SELECT_KINDS] = {[SELECT_TAG] = " by its tag in",
                                                   [SELECT_REGEX] = " by its regex in",
                                                   [SELECT_JSONPATH] = " by its path in"};
    select_kind_t select = output->extract.select;
    const str_t *answer = row->answer.text.string;
    buf_t words;
    buf_init(&words, REQUIRED_SHOWN_MAX);
    chat_words_add(&words, answer->data, answer->len);
    const char *shown = words.len > 0 ? words.data : "(an empty answer)";
    int rc = select == SELECT_JSONPATH && h->cache.not_json
                 ? err_set(&row->err, SDG_EINVAL, "nothing found: the answer is not JSON but: %s", shown)
             : ways[select] ? err_set(&row->err, SDG_EINVAL, "nothing found%s: %s", ways[select], shown)
                            : err_set(&row->err, SDG_EINVAL, "nothing found, it is empty");
    buf_free(&words);
    return rc;
}

static int harvest(row_t *row, const ai_block_t *ai, harvest_t *h) {
    extract_source_t source = {row->answer.text, row->answer.reasoning, row->answer.finish_reason};
    int rc = SDG_OK;
    *h = (harvest_t){.values = value_list(ai->output_count)};
    h->found = ai->output_count <= HARVEST_FEW ? h->few : xcalloc(ai->output_count, sizeof *h->found);
    for (size_t i = 0; i < ai->output_count && rc == SDG_OK; i++) {
        const ai_output_t *output = &ai->outputs[i];
        value_t v = value_null();
        rc = extract_run(&output->extract, &source, &h->cache, &v, &h->found[i], &row->err);
        if (rc == SDG_OK && output->required && !h->found[i]) rc = nothing_found(row, output, h);
        list_push(&h->values, v);
        if (rc < 0) err_prefix(&row->err, "output %s", output->name->data);
    }
    return rc;
}

static void harvest_free(harvest_t *h) {
    extract_cache_free(&h->cache);
    value_free(h->values);
    if (h->found != h->few) free(h->found);
}

/* Gives the outputs, and counts those that found nothing. */
static void harvest_give(row_t *row, const ai_block_t *ai, const harvest_t *h) {
    if (h->cache.not_json) row_note(row, ROW_NOTE_NOT_JSON, NULL, 1);
    for (size_t i = 0; i < ai->output_count; i++) {
        if (!h->found[i]) row_note(row, ROW_NOTE_NOTHING, ai->outputs[i].name, 1);
        row_give(row, ai->outputs[i].name, value_ref(list_peek(h->values, i)));
    }
}

static int save_vars(row_t *row, const ai_block_t *ai, value_t values) {
    for (size_t s = 0; s < ai->save_count; s++) {
        for (size_t i = 0; i < ai->output_count; i++) {
            if (!str_equal(ai->outputs[i].name, ai->save[s].output)) continue;
            int rc = scope_set(&row->scope, ai->save[s].var, value_ref(list_peek(values, i)), &row->err);
            if (rc < 0) return rc;
        }
    }
    return SDG_OK;
}

/* Requests of the call that count as attempts: a server that has no room for one spends none. */
static uint32_t attempts_spent(const llm_answer_t *a) {
    uint32_t free = a->retries[LLM_CAUSE_RATE_LIMIT] + a->retries[LLM_CAUSE_OVERLOAD];
    return a->requests > free ? a->requests - free : 0;
}

/* Would the row fail now, for an answer that was only replayed from the call journal? */
static bool fails_by_replay(const row_t *row) {
    const block_t *b = row_block(row);
    if (!row->answer.replayed || b->on_error == ON_ERROR_CONTINUE) return false;
    return b->on_error != ON_ERROR_RETRY || !row_attempts_left(row);
}

/* The block begins again as if the replayed answers had not been: this answer has failed its outputs before,
 * and would do so in every run. */
static bool ask_anew(row_t *row) {
    row->calls_begun--;
    row->tokens_used -= (uint64_t)row->answer.prompt_tokens + row->answer.completion_tokens;
    row_trace_add(row, "replayed", value_text(row->err.text));
    row->attempt = 1;
    row->spent = 0;
    row->was_cut = false;
    llm_answer_clear(&row->answer);
    return row_ai_start(row);
}

/* The answer is of no use: the block fails, or begins again. */
static bool answer_failed(row_t *row, const char *kind) {
    if (fails_by_replay(row)) return ask_anew(row);
    llm_answer_clear(&row->answer);
    return row_block_failed(row, kind);
}

/* An answer that was cut is asked for again, or fails the block. */
static bool answer_cut(row_t *row, const ai_block_t *ai) {
    bool may = !row_block(row)->has_retry || row_attempts_left(row);
    if (ai->on_truncated == ON_TRUNCATED_RETRY && !row->was_cut && may) {
        row->was_cut = true;
        llm_answer_clear(&row->answer);
        row_trace_add(row, "cut", value_bool(true));
        return row_ai_start(row);
    }
    bool by_length = is_cut_by_length(&row->answer);
    err_set(&row->err, SDG_ELIMIT, "the answer was cut%s (finish_reason %s)%s", row->was_cut ? " twice" : "",
            row->answer.finish_reason, by_length ? ": raise max_tokens" : "");
    return answer_failed(row, "truncated");
}

bool row_ai_answer(row_t *row) {
    const ai_block_t *ai = &row_block(row)->ai;
    harvest_t h;
    row->spent += attempts_spent(&row->answer);
    if (row_llm_end(row) < 0) return call_failed(row);
    if (row->answer.text.kind != VALUE_STRING) value_replace(&row->answer.text, value_text(""));
    row_trace_add(row, "answer", value_ref(row->answer.text));
    if (row->answer.reasoning.kind == VALUE_STRING)
        row_trace_add(row, "reasoning", value_ref(row->answer.reasoning));
    if (is_cut(&row->answer) && ai->on_truncated != ON_TRUNCATED_KEEP) return answer_cut(row, ai);
    int rc = harvest(row, ai, &h);
    if (rc != SDG_OK && fails_by_replay(row)) {
        harvest_free(&h);
        return ask_anew(row);
    }
    if (rc == SDG_OK) rc = save_vars(row, ai, h.values);
    if (rc == SDG_OK) harvest_give(row, ai, &h);
    harvest_free(&h);
    llm_answer_clear(&row->answer);
    return rc == SDG_OK ? row_block_done(row) : row_block_failed(row, "output");
}
