/* chat_answer.c - reads answers (chat_answer_read in chat.h).
 *
 * The one idea: an answer is gathered first and judged afterwards. One body and the chunks of a stream are
 * gathered into the same chat_said_t, from all the places where servers put content, reasoning, refusals and
 * errors; answer_judge then decides, once for all forms, whether this is an answer to use.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/chat_parts.h"
#include "core/llm/limits.h"

/* --- what is gathered --- */

static void text_init(chat_text_t *text) {
    text->only = value_null();
    buf_init(&text->joined, LLM_ANSWER_BYTES_MAX);
}

static void text_free(chat_text_t *text) {
    value_free(text->only);
    buf_free(&text->joined);
}

void chat_said_init(chat_said_t *said) {
    *said = (chat_said_t){0};
    text_init(&said->content);
    text_init(&said->reasoning);
    text_init(&said->refusal);
}

void chat_said_free(chat_said_t *said) {
    text_free(&said->content);
    text_free(&said->reasoning);
    text_free(&said->refusal);
}

static const char *text_peek(const chat_text_t *text, size_t *len) {
    bool one = text->only.kind == VALUE_STRING;
    *len = one ? text->only.string->len : text->joined.len;
    if (one) return text->only.string->data;
    return text->joined.data ? text->joined.data : "";
}

static size_t text_length(const chat_text_t *text) {
    size_t len;
    text_peek(text, &len);
    return len;
}

/* The buffer, for a piece that is to be added to it. */
static buf_t *text_join(chat_text_t *text) {
    if (text->only.kind == VALUE_STRING)
        buf_add(&text->joined, text->only.string->data, text->only.string->len);
    value_clear(&text->only);
    return &text->joined;
}

static bool text_add(chat_text_t *text, value_t v) {
    if (v.kind != VALUE_STRING) return false;
    if (text_length(text) == 0)
        value_replace(&text->only, value_ref(v));
    else
        buf_add(text_join(text), v.string->data, v.string->len);
    return true;
}

/* The texts of reasoning: a string, a part {"text" | "thinking" | "reasoning" | "content" | "summary": ..},
 * or a list of these. Parts hold parts at most a few levels deep; what lies deeper than `levels` is left out.
 */
static void reasoning_add(chat_text_t *out, value_t v, int levels) {
    static const char *const keys[] = {"text", "thinking", "reasoning", "content", "summary"};
    if (text_add(out, v) || levels == 0) return;
    for (size_t i = 0; v.kind == VALUE_LIST && i < list_count(v); i++)
        reasoning_add(out, list_peek(v, i), levels - 1);
    for (size_t i = 0; v.kind == VALUE_OBJECT && i < sizeof keys / sizeof *keys; i++) {
        value_t inner = chat_field(v, keys[i]);
        if (inner.kind == VALUE_NULL) continue;
        reasoning_add(out, inner, levels - 1);
        return;
    }
}

enum { REASONING_LEVELS = 4 }; /* a list of parts that hold lists of parts */

/* One part of content that is a list: text, thoughts or a refusal. */
static void part_add(chat_said_t *said, value_t part) {
    value_t type = chat_field(part, "type");
    if (chat_is_text(type, "refusal") || chat_field(part, "refusal").kind == VALUE_STRING)
        text_add(&said->refusal, chat_field(part, "refusal"));
    else if (chat_is_text(type, "thinking") || chat_is_text(type, "reasoning"))
        reasoning_add(&said->reasoning, part, REASONING_LEVELS);
    else if (!text_add(&said->content, part))
        text_add(&said->content, chat_field(part, "text"));
}

/* Is it a part of content that is a list, sent alone? */
static bool is_part(value_t content) {
    return chat_field(content, "type").kind == VALUE_STRING ||
           chat_field(content, "text").kind == VALUE_STRING;
}

/* Content is a text, a part or a list of parts. JSON in place of a text (a number, an object that is no part)
 * counts as the text of that JSON. */
static void content_add(chat_said_t *said, value_t content) {
    bool is_json = content.kind == VALUE_INT || content.kind == VALUE_BIGINT || content.kind == VALUE_REAL ||
                   (content.kind == VALUE_OBJECT && object_count(content) > 0 && !is_part(content));
    if (is_json) json_write(text_join(&said->content), content, JSON_COMPACT);
    if (content.kind == VALUE_OBJECT && !is_json) part_add(said, content);
    for (size_t i = 0; content.kind == VALUE_LIST && i < list_count(content); i++)
        part_add(said, list_peek(content, i));
    text_add(&said->content, content);
}

static void refusal_add(chat_said_t *said, value_t refusal) {
    if (!text_add(&said->refusal, refusal) && value_truthy(refusal))
        json_write(text_join(&said->refusal), refusal, JSON_COMPACT);
}

/* The members of a message that count. Servers send the same thoughts under several names: the first of these
 * four that has any counts. */
enum {
    IN_CONTENT,
    IN_REFUSAL,
    IN_TOOLS,
    IN_FUNCTION,
    IN_ERROR,
    IN_REASONING,
    MESSAGE_FIELDS = IN_REASONING + 4
};
static const chat_name_t MESSAGE[MESSAGE_FIELDS] = {
    [IN_CONTENT] = CHAT_NAME("content"),
    [IN_REFUSAL] = CHAT_NAME("refusal"),
    [IN_TOOLS] = CHAT_NAME("tool_calls"),
    [IN_FUNCTION] = CHAT_NAME("function_call"),
    [IN_ERROR] = CHAT_NAME("error"),
    [IN_REASONING] = CHAT_NAME("reasoning_content"),
    CHAT_NAME("reasoning"),
    CHAT_NAME("thinking"),
    CHAT_NAME("reasoning_details"),
};

static void reasonings_add(chat_said_t *said, const value_t *message) {
    size_t before = text_length(&said->reasoning);
    for (size_t i = IN_REASONING; i < MESSAGE_FIELDS; i++) {
        if (message[i].kind == VALUE_NULL) continue;
        reasoning_add(&said->reasoning, message[i], REASONING_LEVELS);
        if (text_length(&said->reasoning) > before) return;
    }
}

static void short_copy(char *out, size_t size, value_t text) {
    size_t n = text.kind == VALUE_STRING ? text.string->len : 0;
    n = n < size - 1 ? n : size - 1;
    if (n > 0) memcpy(out, text.string->data, n);
    out[n] = '\0';
}

static void tools_note(chat_said_t *said, const value_t *message) {
    value_t call = chat_first(message[IN_TOOLS]);
    value_t function = chat_field(call, "function");
    if (call.kind == VALUE_NULL) function = message[IN_FUNCTION];
    if (call.kind == VALUE_NULL && !value_truthy(function)) return;
    said->tools = true;
    if (said->tool_name[0] == '\0')
        short_copy(said->tool_name, sizeof said->tool_name, chat_field(function, "name"));
}

static uint32_t token_count(value_t n) {
    return n.kind == VALUE_INT && n.integer > 0 && n.integer <= UINT32_MAX ? (uint32_t)n.integer : 0;
}

static void usage_note(chat_said_t *said, value_t usage) {
    static const chat_name_t names[] = {CHAT_NAME("prompt_tokens"), CHAT_NAME("completion_tokens")};
    value_t tokens[2];
    if (usage.kind != VALUE_OBJECT) return;
    chat_fields(usage, names, 2, tokens);
    said->prompt_tokens = token_count(tokens[0]);
    said->completion_tokens = token_count(tokens[1]);
}

/* --- errors inside --- */

/* Null, "", 0, false, and lists and objects that hold nothing else: some servers always send an `error`. */
static bool is_nothing(value_t v) {
    for (size_t i = 0; v.kind == VALUE_LIST && i < list_count(v); i++)
        if (!is_nothing(list_peek(v, i))) return false;
    for (size_t i = 0; v.kind == VALUE_OBJECT && i < object_count(v); i++)
        if (!is_nothing(object_value_peek(v, i))) return false;
    return v.kind >= VALUE_LIST || !value_truthy(v);
}

llm_cause_t chat_fault_tell(value_t body, err_t *err) {
    chat_fault_t fault;
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    if (chat_fault_find(body, &fault)) chat_value_words_add(&words, fault.message);
    err_set(err, SDG_EIO, "error in a 200 answer: %s", words.len > 0 ? words.data : "(no reason)");
    buf_free(&words);
    return chat_fault_cause(&fault);
}

/* The choice that counts when a server sends several: number 0. The chunks of a stream name it; of a whole
 * body it is the first where none is called so. */
static value_t choice_of(value_t choices) {
    value_t first = chat_first(choices);
    for (size_t i = 0; choices.kind == VALUE_LIST && i < list_count(choices); i++) {
        value_t index = chat_field(list_peek(choices, i), "index");
        if (index.kind != VALUE_INT || index.integer == 0) return list_peek(choices, i);
    }
    return chat_field(first, "message").kind == VALUE_OBJECT ? first : value_null();
}

/* The members of a body and of a choice that count. */
enum { IN_BODY_ERROR, IN_BODY_OBJECT, IN_BODY_CHOICES, IN_BODY_USAGE, BODY_FIELDS };
static const chat_name_t BODY[BODY_FIELDS] = {
    CHAT_NAME("error"),
    CHAT_NAME("object"),
    CHAT_NAME("choices"),
    CHAT_NAME("usage"),
};
enum { IN_CHOICE_ERROR, IN_CHOICE_MESSAGE, IN_CHOICE_DELTA, IN_CHOICE_FINISH, CHOICE_FIELDS };
static const chat_name_t CHOICE[CHOICE_FIELDS] = {
    CHAT_NAME("error"),
    CHAT_NAME("message"),
    CHAT_NAME("delta"),
    CHAT_NAME("finish_reason"),
};

llm_cause_t chat_said_add(chat_said_t *said, value_t body, bool *found, err_t *err) {
    value_t of_body[BODY_FIELDS], of_choice[CHOICE_FIELDS], of_message[MESSAGE_FIELDS];
    chat_fields(body, BODY, BODY_FIELDS, of_body);
    value_t choice = choice_of(of_body[IN_BODY_CHOICES]);
    chat_fields(choice, CHOICE, CHOICE_FIELDS, of_choice);
    value_t message = of_choice[IN_CHOICE_MESSAGE], finish = of_choice[IN_CHOICE_FINISH];
    if (message.kind != VALUE_OBJECT) message = of_choice[IN_CHOICE_DELTA];
    chat_fields(message, MESSAGE, MESSAGE_FIELDS, of_message);
    *found = message.kind == VALUE_OBJECT;
    if (!is_nothing(of_body[IN_BODY_ERROR]) || chat_is_text(of_body[IN_BODY_OBJECT], "error"))
        return chat_fault_tell(body, err);
    if (!is_nothing(of_choice[IN_CHOICE_ERROR])) return chat_fault_tell(choice, err);
    if (!is_nothing(of_message[IN_ERROR])) return chat_fault_tell(message, err);
    content_add(said, of_message[IN_CONTENT]);
    reasonings_add(said, of_message);
    refusal_add(said, of_message[IN_REFUSAL]);
    tools_note(said, of_message);
    if (finish.kind == VALUE_STRING) short_copy(said->finish_reason, sizeof said->finish_reason, finish);
    usage_note(said, of_body[IN_BODY_USAGE]);
    return LLM_CAUSE_NONE;
}

/* --- the judgement --- */

static bool is_blank(const chat_text_t *text) {
    size_t len;
    const char *bytes = text_peek(text, &len);
    if (len > 0) text_trim(&bytes, &len);
    return len == 0;
}

static bool finished_by(const chat_said_t *said, const char *const *reasons) {
    for (; *reasons; reasons++)
        if (strcasecmp(said->finish_reason, *reasons) == 0) return true;
    return false;
}

static llm_cause_t refusal_tell(const chat_said_t *said, err_t *err) {
    buf_t words;
    size_t len;
    const char *bytes = text_peek(&said->refusal, &len);
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    chat_body_words_add(&words, bytes, len);
    err_set(err, SDG_EIO, "refused: %s", words.len > 0 ? words.data : "(no reason)");
    buf_free(&words);
    return LLM_CAUSE_DECLINED;
}

/* An answer without content is one to use only when nothing explains why it has none: then it is an empty
 * answer, and may be asked for again. */
static llm_cause_t blank_judge(const chat_said_t *said, err_t *err) {
    static const char *const filters[] = {"content_filter",     "safety",    "recitation",
                                          "prohibited_content", "blocklist", NULL};
    static const char *const cuts[] = {"length", "max_tokens", "model_length", NULL};
    static const char *const refusals[] = {"refusal", NULL};
    static const char *const tools[] = {"tool_calls", "function_call", "tool_use", NULL};
    if (finished_by(said, refusals)) return refusal_tell(said, err);
    if (finished_by(said, filters)) {
        err_set(err, SDG_EIO, "content filter: the answer was held back (finish_reason %s)",
                said->finish_reason);
    } else if (said->tools || finished_by(said, tools)) {
        err_set(err, SDG_EIO, "the answer is a tool call%s%s%s", said->tool_name[0] ? " (" : "",
                said->tool_name, said->tool_name[0] ? ")" : "");
    } else if (finished_by(said, cuts)) {
        err_set(err, SDG_EIO, "the answer was cut before it began: raise max_tokens");
    } else {
        return LLM_CAUSE_NONE;
    }
    return LLM_CAUSE_DECLINED;
}

static llm_cause_t said_judge(const chat_said_t *said, err_t *err) {
    static const char *const errors[] = {"error", NULL};
    if (finished_by(said, errors)) {
        err_set(err, SDG_EIO, "the server ended the answer with an error (finish_reason error)");
        return LLM_CAUSE_MALFORMED;
    }
    if (!is_blank(&said->refusal)) return refusal_tell(said, err);
    return is_blank(&said->content) ? blank_judge(said, err) : LLM_CAUSE_NONE;
}

static value_t text_value(const chat_text_t *text) {
    size_t len;
    const char *bytes = text_peek(text, &len);
    return text->only.kind == VALUE_STRING ? value_ref(text->only) : value_string(bytes, len);
}

/* Copies what was gathered; the texts only of an answer to use. */
static llm_cause_t said_tell(const chat_said_t *said, chat_answer_t *answer, err_t *err) {
    memcpy(answer->finish_reason, said->finish_reason, sizeof answer->finish_reason);
    answer->prompt_tokens = said->prompt_tokens;
    answer->completion_tokens = said->completion_tokens;
    llm_cause_t cause = said_judge(said, err);
    if (cause != LLM_CAUSE_NONE) return cause;
    answer->text = text_value(&said->content);
    if (!is_blank(&said->reasoning)) answer->reasoning = text_value(&said->reasoning);
    return LLM_CAUSE_NONE;
}

/* --- bodies --- */

/* "<what>: <the first words of the body>" */
static llm_cause_t no_completion(const char *what, const char *body, size_t len, err_t *err) {
    buf_t words;
    buf_init(&words, LLM_ERROR_TEXT_MAX + 8);
    text_trim(&body, &len);
    chat_body_words_add(&words, body, len);
    err_set(err, SDG_EPARSE, "%s%s%s", what, words.len > 0 ? ": " : "", words.len > 0 ? words.data : "");
    buf_free(&words);
    return LLM_CAUSE_MALFORMED;
}

/* Of a body that was meant to be JSON, the parser says what is wrong; of any other its first words do. */
static llm_cause_t not_json(const char *body, size_t len, const err_t *why, err_t *err) {
    const char *begin = body;
    size_t left = len;
    text_trim(&begin, &left);
    if (left == 0) {
        err_set(err, SDG_EPARSE, "the answer is not JSON: it has no body");
        return LLM_CAUSE_MALFORMED;
    }
    if (*begin != '{' && *begin != '[') return no_completion("the answer is not JSON but", body, len, err);
    err_set(err, SDG_EPARSE, "the answer is not JSON: %s", why->text);
    return LLM_CAUSE_MALFORMED;
}

static llm_cause_t body_read(chat_said_t *said, const char *body, size_t len, err_t *err) {
    value_t parsed = value_null();
    err_t why;
    bool found;
    if (json_parse_text(body, len, &parsed, &why) != SDG_OK) return not_json(body, len, &why, err);
    llm_cause_t cause = chat_said_add(said, parsed, &found, err);
    value_free(parsed);
    if (cause != LLM_CAUSE_NONE || found) return cause;
    return no_completion("the answer is no chat completion, it has no choices[0].message", body, len, err);
}

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";

llm_cause_t chat_answer_read(const char *body, size_t len, chat_answer_t *answer, err_t *err) {
    size_t mark = sizeof BYTE_ORDER_MARK - 1;
    chat_said_t said;
    chat_said_init(&said);
    *answer = (chat_answer_t){.text = value_null(), .reasoning = value_null()};
    if (len >= mark && memcmp(body, BYTE_ORDER_MARK, mark) == 0) {
        body += mark;
        len -= mark;
    }
    json_repairs_t before = json_repairs_so_far();
    answer->streamed = chat_is_stream(body, len);
    llm_cause_t cause =
        answer->streamed ? chat_stream_read(&said, body, len, err) : body_read(&said, body, len, err);
    if (cause == LLM_CAUSE_NONE) cause = said_tell(&said, answer, err);
    chat_said_free(&said);
    answer->replaced = (uint32_t)json_repairs_since(before).characters;
    return cause;
}
