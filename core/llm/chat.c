/* chat.c - see chat.h; chat_answer.c reads answers.
 *
 * The one idea: servers agree on the answer and on nothing else. An error body is read as the first of these
 * forms that fits:
 *
 *     {"error": {"message": ..}}    {"error": "text"}    {"message": ..}    {"detail": ..}    text or HTML
 *
 * `code` may be a string, an integer, or an integer as a string. What the words mean is said by verdict.h.
 */
#include "core/llm/chat.h"

#include "core/llm/chat_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/endpoint.h"
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

static bool key_is(const str_t *key, const char *name) {
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

/* Bytes of "stream" inside of strings are no key: their quotes are escaped. A key of that name anywhere in
 * the body is taken for the user's word. */
size_t chat_request_unstream(char *body, size_t len) {
    static const char key[] = "\"stream\":", tail[] = ",\"stream\":false}";
    if (len < 2 || body[len - 1] != '}' || memmem(body, len, key, sizeof key - 1)) return len;
    memcpy(body + len - 1, tail, sizeof tail);
    return len + CHAT_UNSTREAM_BYTES;
}

/* --- error bodies --- */

bool chat_fault_find(value_t body, chat_fault_t *fault) {
    if (body.kind == VALUE_LIST) body = chat_first(body); /* one vendor wraps the object in a list */
    value_t error = chat_field(body, "error");
    if (error.kind == VALUE_STRING) {
        *fault = (chat_fault_t){error, chat_field(body, "type"), chat_field(body, "code")};
        return true;
    }
    value_t home = error.kind == VALUE_OBJECT ? error : body;
    *fault = (chat_fault_t){chat_field(home, "message"), chat_field(home, "type"), chat_field(home, "code")};
    if (fault->message.kind == VALUE_NULL) fault->message = chat_field(body, "detail");
    if (fault->message.kind == VALUE_NULL && error.kind != VALUE_NULL)
        fault->message = error; /* an error object without a message: show it whole */
    return fault->message.kind != VALUE_NULL;
}

static bool fault_says(const chat_fault_t *fault, const char *word) {
    return chat_is_text(fault->code, word) || chat_is_text(fault->type, word);
}

/* The code as an HTTP status, or 0. */
static long fault_status(const chat_fault_t *fault) {
    value_t number = fault->code;
    if (number.kind == VALUE_STRING && !text_to_number(number.string->data, number.string->len, &number))
        return 0;
    return number.kind == VALUE_INT && number.integer >= 100 && number.integer <= 599 ? (long)number.integer
                                                                                      : 0;
}

static const char *words_peek(value_t v) { return v.kind == VALUE_STRING ? v.string->data : NULL; }

/* The cause of a status with these words of the server. */
static llm_cause_t cause_of_fault(long status, const chat_fault_t *fault, const buf_t *words) {
    return verdict_cause(status, &(verdict_words_t){.code = words_peek(fault->code),
                                                    .type = words_peek(fault->type),
                                                    .message = words->len > 0 ? words->data : NULL});
}

/* The cause of an error inside a 200: by its code; without a clear one it is MALFORMED. */
llm_cause_t chat_fault_cause(const chat_fault_t *fault) {
    if (fault_says(fault, "insufficient_quota")) return LLM_CAUSE_QUOTA;
    if (fault_says(fault, "rate_limit_exceeded") || fault_says(fault, "slow_down"))
        return LLM_CAUSE_RATE_LIMIT;
    if (fault_status(fault) < 400) return LLM_CAUSE_MALFORMED;
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    chat_value_words_add(&words, fault->message);
    llm_cause_t cause = cause_of_fault(fault_status(fault), fault, &words);
    buf_free(&words);
    /* A server that is full says so instead of a 200: this is a provider behind it, and it may say so of one
     * row for ever. */
    return cause == LLM_CAUSE_OVERLOAD ? LLM_CAUSE_SERVER : cause;
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

/* Is there `<name` at the front, in any case? */
static bool tag_begins(const char *bytes, size_t len, const char *name) {
    size_t n = strlen(name);
    return len > n && bytes[0] == '<' && strncasecmp(bytes + 1, name, n) == 0;
}

/* How many bytes of HTML at the front (a `<`) are no words: a tag, and what stands in a script or a style. */
static size_t tag_length(const char *bytes, size_t len) {
    static const char *const silent[][2] = {{"script", "/script"}, {"style", "/style"}};
    size_t at = 1;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        if (!tag_begins(bytes, len, silent[i][0])) continue;
        while (at < len && !tag_begins(bytes + at, len - at, silent[i][1]))
            at++;
    }
    while (at < len && bytes[at] != '>')
        at++;
    return at < len ? at + 1 : len;
}

/* Adds at most `max` bytes. White space and control characters become one blank. */
static void words_add(buf_t *out, const char *bytes, size_t len, bool html, size_t max) {
    size_t start = out->len;
    bool gap = false;
    for (size_t i = 0; i < len && out->len - start < max; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool tag = html && c == '<';
        if (tag) i += tag_length(bytes + i, len - i) - 1;
        if (tag || c <= ' ' || c == 0x7f) {
            gap = true;
            continue;
        }
        if (gap && out->len > start) buf_addc(out, ' ');
        gap = false;
        buf_addc(out, (char)c);
    }
    half_character_drop(out, start);
}

void chat_words_add(buf_t *out, const char *bytes, size_t len) {
    words_add(out, bytes, len, false, LLM_ERROR_TEXT_MAX);
}

/* The same, of a page without its tags. */
static void body_words_add(buf_t *out, const char *bytes, size_t len, size_t max) {
    words_add(out, bytes, len, len > 0 && bytes[0] == '<', max);
}

void chat_body_words_add(buf_t *out, const char *bytes, size_t len) {
    body_words_add(out, bytes, len, LLM_ERROR_TEXT_MAX);
}

static void value_words_add(buf_t *out, value_t v, size_t max) {
    if (v.kind == VALUE_STRING) {
        body_words_add(out, v.string->data, v.string->len, max);
        return;
    }
    buf_t text;
    buf_init(&text, LLM_ANSWER_BYTES_MAX);
    json_write(&text, v, JSON_COMPACT);
    body_words_add(out, text.len > 0 ? text.data : "", text.len, max);
    buf_free(&text);
}

void chat_value_words_add(buf_t *out, value_t v) { value_words_add(out, v, LLM_ERROR_TEXT_MAX); }

/* The body as JSON; of an event stream its first event with data. Null when it is neither. */
static value_t error_body_parse(const char *body, size_t len) {
    value_t parsed = value_null();
    if (chat_is_stream(body, len))
        chat_stream_first(body, len, &parsed);
    else
        json_parse_text(body, len, &parsed, NULL);
    return parsed;
}

/* A body that is no JSON, or has no message in it, is taken as text. */
llm_cause_t chat_error_read(long status, const char *body, size_t len, err_t *reason) {
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    value_t parsed = error_body_parse(body, len);
    chat_fault_t fault = {0};
    if (chat_fault_find(parsed, &fault)) {
        chat_value_words_add(&words, fault.message);
    } else {
        text_trim(&body, &len);
        chat_body_words_add(&words, body, len);
    }
    llm_cause_t cause = cause_of_fault(status, &fault, &words);
    err_set(reason, SDG_EIO, "HTTP %ld%s%s", status, words.len > 0 ? ": " : "",
            words.len > 0 ? words.data : "");
    value_free(parsed);
    buf_free(&words);
    return cause;
}

/* A redirect is not followed: the key must not go where the server says, and a POST would become a GET. */
llm_cause_t chat_redirect_read(long status, const char *location, err_t *reason) {
    buf_t shown;
    buf_init(&shown, LLM_ERROR_TEXT_MAX);
    if (location) endpoint_url_shown(location, &shown);
    if (shown.len > 0)
        err_set(reason, SDG_EIO, "HTTP %ld to %s: correct base_url", status, shown.data);
    else
        err_set(reason, SDG_EIO, "HTTP %ld, a redirect to nowhere: correct base_url", status);
    buf_free(&shown);
    return LLM_CAUSE_ENDPOINT;
}

/* --- reasons in full --- */

/* What a reason was made of: the message of an error, a refusal, or else the body as it is. */
static void whole_words(const char *body, size_t len, buf_t *words) {
    value_t parsed = error_body_parse(body, len);
    value_t refusal = chat_field(chat_field(chat_first(chat_field(parsed, "choices")), "message"), "refusal");
    chat_fault_t fault = {0};
    if (chat_fault_find(parsed, &fault)) {
        value_words_add(words, fault.message, LLM_REASON_BYTES_MAX);
    } else if (refusal.kind == VALUE_STRING) {
        value_words_add(words, refusal, LLM_REASON_BYTES_MAX);
    } else {
        text_trim(&body, &len);
        body_words_add(words, body, len, LLM_REASON_BYTES_MAX);
    }
    value_free(parsed);
}

/* The words of the reason begin where the beginning of the whole words stands in it, and go on to its end. */
void chat_reason_in_full(const char *reason, const char *body, size_t len, buf_t *out) {
    enum { SAME = 100 }; /* so many bytes are no coincidence */
    char beginning[SAME + 1];
    buf_t words;
    if (strlen(reason) < LLM_ERROR_TEXT_MAX) return;
    buf_init(&words, LLM_REASON_BYTES_MAX + 8);
    whole_words(body, len, &words);
    if (words.len >= LLM_ERROR_TEXT_MAX) {
        memcpy(beginning, words.data, SAME);
        beginning[SAME] = '\0';
        const char *at = strstr(reason, beginning);
        if (at) buf_add(out, reason, (size_t)(at - reason));
        if (at) buf_add(out, words.data, words.len);
    }
    buf_free(&words);
}
