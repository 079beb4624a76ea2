/* chat.c - see chat.h.
 *
 * The one idea: servers agree on the answer and on nothing else. An error body is read as the first of these
 * forms that fits:
 *
 *     {"error": {"message": ..}}    {"error": "text"}    {"message": ..}    {"detail": ..}    text or HTML
 *
 * `code` may be a string, an integer, or an integer as a string. What the words mean is said by verdict.h.
 */
#include "core/llm/chat.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/limits.h"
#include "core/llm/verdict.h"

/* --- requests --- */

static void message_write(buf_t *out, const char *role, value_t content) {
    buf_adds(out, "{\"role\":\"");
    buf_adds(out, role);
    buf_adds(out, "\",\"content\":");
    json_write(out, content, JSON_COMPACT);
    buf_addc(out, '}');
}

static bool key_is(str_t *key, const char *name) {
    return key->len == strlen(name) && memcmp(key->data, name, key->len) == 0;
}

/* `params` cannot replace model and messages: a key twice in one object is read differently by every
 * server. */
void chat_request_write(buf_t *out, value_t model, value_t system, value_t content, value_t params) {
    buf_adds(out, "{\"model\":");
    json_write(out, model, JSON_COMPACT);
    buf_adds(out, ",\"messages\":[");
    if (system.kind != VALUE_NULL) {
        message_write(out, "system", system);
        buf_addc(out, ',');
    }
    message_write(out, "user", content);
    buf_addc(out, ']');
    size_t count = params.kind == VALUE_OBJECT ? object_count(params) : 0;
    for (size_t i = 0; i < count; i++) {
        str_t *key = object_key_peek(params, i);
        if (key_is(key, "model") || key_is(key, "messages")) continue;
        buf_addc(out, ',');
        json_write_string(out, key->data, key->len);
        buf_addc(out, ':');
        json_write(out, object_value_peek(params, i), JSON_COMPACT);
    }
    buf_addc(out, '}');
}

/* --- reading: small helpers --- */

static value_t field(value_t v, const char *key) {
    return v.kind == VALUE_OBJECT ? object_get_peek(v, key, strlen(key), NULL) : value_null();
}

static value_t first(value_t list) {
    return list.kind == VALUE_LIST && list_count(list) > 0 ? list_peek(list, 0) : value_null();
}

static bool is_text(value_t v, const char *text) { return v.kind == VALUE_STRING && key_is(v.string, text); }

/* --- error bodies --- */

/* The server's own words and codes, borrowed from the parsed body. */
typedef struct fault {
    value_t message, type, code;
} fault_t;

static bool fault_find(value_t body, fault_t *fault) {
    if (body.kind == VALUE_LIST) body = first(body); /* one vendor wraps the object in a list */
    value_t error = field(body, "error");
    if (error.kind == VALUE_STRING) {
        *fault = (fault_t){error, field(body, "type"), field(body, "code")};
        return true;
    }
    value_t home = error.kind == VALUE_OBJECT ? error : body;
    *fault = (fault_t){field(home, "message"), field(home, "type"), field(home, "code")};
    if (fault->message.kind == VALUE_NULL) fault->message = field(body, "detail");
    if (fault->message.kind == VALUE_NULL && error.kind != VALUE_NULL)
        fault->message = error; /* an error object without a message: show it whole */
    return fault->message.kind != VALUE_NULL;
}

static bool fault_says(const fault_t *fault, const char *word) {
    return is_text(fault->code, word) || is_text(fault->type, word);
}

/* The code as an HTTP status, or 0. */
static long fault_status(const fault_t *fault) {
    value_t number = fault->code;
    if (number.kind == VALUE_STRING && !text_to_number(number.string->data, number.string->len, &number))
        return 0;
    return number.kind == VALUE_INT && number.integer >= 100 && number.integer <= 599 ? (long)number.integer
                                                                                      : 0;
}

static const char *words_peek(value_t v) { return v.kind == VALUE_STRING ? v.string->data : NULL; }

/* The cause of a status with these words of the server. */
static llm_cause_t cause_of_fault(long status, const fault_t *fault, const buf_t *words) {
    return verdict_cause(status, &(verdict_words_t){.code = words_peek(fault->code),
                                                    .type = words_peek(fault->type),
                                                    .message = words->len > 0 ? words->data : NULL});
}

/* Removes the last character if it was cut in the middle. */
static void half_character_drop(buf_t *out, size_t start) {
    size_t lead = out->len;
    while (lead > start && ((unsigned char)out->data[lead - 1] & 0xc0) == 0x80)
        lead--;
    uint32_t code_point;
    if (lead > start && utf8_decode(out->data + lead - 1, out->len - lead + 1, &code_point) == 0)
        out->len = lead - 1;
    if (out->len > 0) out->data[out->len] = '\0';
}

/* Adds at most LLM_ERROR_TEXT_MAX bytes on one line: white space and control characters become one blank. */
static void words_add(buf_t *out, const char *bytes, size_t len) {
    size_t start = out->len;
    bool html = len > 0 && bytes[0] == '<', inside = false, gap = false;
    for (size_t i = 0; i < len && out->len - start < LLM_ERROR_TEXT_MAX; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (html && c == '<') inside = true;
        if (inside || c <= ' ' || c == 0x7f) {
            inside = inside && c != '>';
            gap = true;
            continue;
        }
        if (gap && out->len > start) buf_addc(out, ' ');
        gap = false;
        buf_addc(out, (char)c);
    }
    half_character_drop(out, start);
}

static void value_words_add(buf_t *out, value_t v) {
    if (v.kind == VALUE_STRING) {
        words_add(out, v.string->data, v.string->len);
        return;
    }
    buf_t text;
    buf_init(&text, LLM_ANSWER_BYTES_MAX);
    json_write(&text, v, JSON_COMPACT);
    words_add(out, text.len > 0 ? text.data : "", text.len);
    buf_free(&text);
}

/* A body that is no JSON, or has no message in it, is taken as text. */
llm_cause_t chat_error_read(long status, const char *body, size_t len, err_t *reason) {
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    value_t parsed = value_null();
    fault_t fault = {0};
    if (json_parse_text(body, len, &parsed, NULL) == SDG_OK && fault_find(parsed, &fault)) {
        value_words_add(&words, fault.message);
    } else {
        text_trim(&body, &len);
        words_add(&words, body, len);
    }
    llm_cause_t cause = cause_of_fault(status, &fault, &words);
    err_set(reason, SDG_EIO, "HTTP %ld%s%s", status, words.len > 0 ? ": " : "",
            words.len > 0 ? words.data : "");
    value_free(parsed);
    buf_free(&words);
    return cause;
}

/* --- answers --- */

/* The cause of an `error` object inside a 200: by its code; without a clear one it is MALFORMED. */
static llm_cause_t fault_in_answer(value_t body, err_t *err) {
    fault_t fault;
    llm_cause_t cause = LLM_CAUSE_MALFORMED;
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    if (fault_find(body, &fault)) value_words_add(&words, fault.message);
    if (fault_says(&fault, "insufficient_quota"))
        cause = LLM_CAUSE_QUOTA;
    else if (fault_says(&fault, "rate_limit_exceeded") || fault_says(&fault, "slow_down"))
        cause = LLM_CAUSE_RATE_LIMIT;
    else if (fault_status(&fault) >= 400)
        cause = cause_of_fault(fault_status(&fault), &fault, &words);
    err_set(err, SDG_EIO, "error in a 200 answer: %s", words.len > 0 ? words.data : "(no reason)");
    buf_free(&words);
    return cause;
}

/* The texts of a list of parts, one after the other. */
static value_t parts_text(value_t parts) {
    buf_t text;
    buf_init(&text, LLM_ANSWER_BYTES_MAX);
    for (size_t i = 0; i < list_count(parts); i++) {
        value_t part = field(list_peek(parts, i), "text");
        if (part.kind == VALUE_STRING) buf_add(&text, part.string->data, part.string->len);
    }
    value_t v = value_string(text.len > 0 ? text.data : "", text.len);
    buf_free(&text);
    return v;
}

static uint32_t token_count(value_t usage, const char *key) {
    value_t n = field(usage, key);
    return n.kind == VALUE_INT && n.integer > 0 && n.integer <= UINT32_MAX ? (uint32_t)n.integer : 0;
}

static void finish_reason_copy(char out[24], value_t reason) {
    size_t n = reason.kind == VALUE_STRING ? reason.string->len : 0;
    n = n < 23 ? n : 23;
    if (n > 0) memcpy(out, reason.string->data, n);
    out[n] = '\0';
}

/* Reads a parsed body; content that is null or absent is an empty answer. */
static llm_cause_t completion_read(value_t body, chat_answer_t *answer, err_t *err) {
    if (field(body, "error").kind != VALUE_NULL || is_text(field(body, "object"), "error"))
        return fault_in_answer(body, err);
    value_t choice = first(field(body, "choices"));
    value_t message = field(choice, "message");
    if (message.kind != VALUE_OBJECT) {
        err_set(err, SDG_EPARSE, "the answer is no chat completion: it has no choices[0].message");
        return LLM_CAUSE_MALFORMED;
    }
    value_t content = field(message, "content");
    if (content.kind == VALUE_STRING)
        answer->text = value_ref(content);
    else if (content.kind == VALUE_LIST)
        answer->text = parts_text(content);
    else
        answer->text = value_text("");
    finish_reason_copy(answer->finish_reason, field(choice, "finish_reason"));
    value_t usage = field(body, "usage");
    answer->prompt_tokens = token_count(usage, "prompt_tokens");
    answer->completion_tokens = token_count(usage, "completion_tokens");
    return LLM_CAUSE_NONE;
}

llm_cause_t chat_answer_read(const char *body, size_t len, chat_answer_t *answer, err_t *err) {
    *answer = (chat_answer_t){.text = value_null()};
    value_t parsed = value_null();
    err_t why;
    if (json_parse_text(body, len, &parsed, &why) != SDG_OK) {
        err_set(err, SDG_EPARSE, "the answer is not JSON: %s", why.text);
        return LLM_CAUSE_MALFORMED;
    }
    llm_cause_t cause = completion_read(parsed, answer, err);
    value_free(parsed);
    return cause;
}
