/* chat_stream.c - answers that come as an event stream (server-sent events, WHATWG HTML 9.2).
 *
 *   : keep-alive
 *   data: {"choices": [{"index": 0, "delta": {"content": "hel"}, "finish_reason": null}]}
 *
 *   data: [DONE]
 *
 * Lines end in LF, CR LF or CR; an empty line ends an event, whose lines of data are joined by newlines. Some
 * servers forget the empty lines: a line of data behind data that is whole begins an event, too. The stream
 * is whole when it has said [DONE] or a finish_reason.
 */
#include <string.h>

#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/chat_parts.h"
#include "core/llm/limits.h"

bool chat_is_stream(const char *body, size_t len) {
    static const char *const fields[] = {":", "data:", "event:", "id:", "retry:"};
    if (len > 0 && *body == '{') return false; /* as nearly all bodies begin */
    text_trim(&body, &len);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        size_t n = strlen(fields[i]);
        if (len >= n && memcmp(body, fields[i], n) == 0) return true;
    }
    return false;
}

/* --- events --- */

/* A walk over the events of a body. */
typedef struct events {
    const char *at, *end;
    buf_t data;    /* of the event that is being read */
    bool is_error; /* its name is "error" */
    bool is_other; /* its name is another one than those of chunks: "ping", "heartbeat" */
} events_t;

static void events_begin(events_t *e, const char *body, size_t len) {
    *e = (events_t){.at = body, .end = body + len};
    buf_init(&e->data, LLM_ANSWER_BYTES_MAX);
}

/* Is the data of the event a JSON value as it stands? */
static bool data_is_whole(const events_t *e) {
    value_t v;
    if (e->data.len == 0 || json_parse_text(e->data.data, e->data.len, &v, NULL) != SDG_OK) return false;
    value_free(v);
    return true;
}

/* The next line without its end; false at the end of the body. *next is where the line behind it begins. */
static bool line_peek(const events_t *e, const char **line, size_t *len, const char **next) {
    if (e->at == e->end) return false;
    const char *at = e->at;
    while (at < e->end && *at != '\n' && *at != '\r')
        at++;
    *line = e->at;
    *len = (size_t)(at - e->at);
    if (at < e->end) at += *at == '\r' && at + 1 < e->end && at[1] == '\n' ? 2 : 1;
    *next = at;
    return true;
}

/* Is the line "name: value" with this name? Then *line is the value. One blank behind the colon is not part
 * of it. */
static bool field_is(const char *name, const char **line, size_t *len) {
    size_t n = strlen(name);
    if (*len < n || memcmp(*line, name, n) != 0 || (*len > n && (*line)[n] != ':')) return false;
    n += *len > n;
    n += *len > n && (*line)[n] == ' ';
    *line += n;
    *len -= n;
    return true;
}

static void event_clear(events_t *e) {
    buf_reset(&e->data);
    e->is_error = e->is_other = false;
}

static void event_name(events_t *e, const char *name, size_t len) {
    e->is_error = len == 5 && memcmp(name, "error", len) == 0;
    e->is_other = !e->is_error && len > 0 && !(len == 7 && memcmp(name, "message", len) == 0);
}

/* Reads up to the end of the next event that has data; false when there is none any more. */
static bool event_next(events_t *e) {
    const char *line, *next;
    size_t len;
    event_clear(e);
    while (line_peek(e, &line, &len, &next)) {
        if (len == 0) {
            e->at = next;
            if (e->data.len > 0) return true;
            event_clear(e);
        } else if (field_is("data", &line, &len)) {
            if (data_is_whole(e)) return true; /* this line belongs to the next event */
            e->at = next;
            if (e->data.len > 0) buf_addc(&e->data, '\n');
            buf_add(&e->data, line, len);
        } else {
            e->at = next;
            if (field_is("event", &line, &len)) event_name(e, line, len);
        }
    }
    return e->data.len > 0;
}

bool chat_stream_first(const char *body, size_t len, value_t *out) {
    events_t e;
    bool found = false;
    events_begin(&e, body, len);
    *out = value_null();
    while (!found && event_next(&e))
        found = json_parse_text(e.data.data, e.data.len, out, NULL) == SDG_OK;
    buf_free(&e.data);
    return found;
}

/* --- chunks --- */

static bool is_done(const events_t *e) {
    const char *bytes = e->data.data;
    size_t len = e->data.len;
    text_trim(&bytes, &len);
    return len == 6 && memcmp(bytes, "[DONE]", 6) == 0;
}

static llm_cause_t cut_tell(err_t *err) {
    err_set(err, SDG_EPARSE, "the stream ended before the answer was complete");
    return LLM_CAUSE_MALFORMED;
}

/* An event that is no JSON. It does no harm when its name says that it is no chunk, or when the answer is
 * complete. Else the last one was cut, and any other holds words, perhaps those of an error. */
static llm_cause_t odd_event_tell(const chat_said_t *said, const events_t *e, err_t *err) {
    if (e->is_other || (!e->is_error && said->finish_reason[0] != '\0')) return LLM_CAUSE_NONE;
    if (e->at == e->end && !e->is_error) return cut_tell(err);
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    chat_body_words_add(&words, e->data.data, e->data.len);
    err_set(err, SDG_EPARSE, "%s: %s", e->is_error ? "error in a 200 answer" : "the stream holds no JSON but",
            words.len > 0 ? words.data : "(nothing)");
    buf_free(&words);
    return LLM_CAUSE_MALFORMED;
}

static llm_cause_t event_add(chat_said_t *said, const events_t *e, bool *found, err_t *err) {
    value_t chunk = value_null();
    bool has_message;
    if (json_parse_text(e->data.data, e->data.len, &chunk, NULL) != SDG_OK)
        return odd_event_tell(said, e, err);
    llm_cause_t cause =
        e->is_error ? chat_fault_tell(chunk, err) : chat_said_add(said, chunk, &has_message, err);
    *found = *found || (!e->is_error && has_message);
    value_free(chunk);
    return cause;
}

llm_cause_t chat_stream_read(chat_said_t *said, const char *body, size_t len, err_t *err) {
    events_t e;
    llm_cause_t cause = LLM_CAUSE_NONE;
    bool found = false, done = false;
    events_begin(&e, body, len);
    while (cause == LLM_CAUSE_NONE && !done && event_next(&e)) {
        done = is_done(&e);
        if (!done) cause = event_add(said, &e, &found, err);
    }
    buf_free(&e.data);
    if (cause != LLM_CAUSE_NONE) return cause;
    if (!done && said->finish_reason[0] == '\0') return cut_tell(err);
    if (found) return LLM_CAUSE_NONE;
    err_set(err, SDG_EPARSE, "the stream holds no chat completion");
    return LLM_CAUSE_MALFORMED;
}
