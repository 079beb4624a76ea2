/* chat_parts.h - what chat.c, chat_answer.c and chat_stream.c share; nobody else includes it. */
#ifndef SDG_LLM_CHAT_PARTS_H
#define SDG_LLM_CHAT_PARTS_H

#include <string.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"
#include "core/llm/chat.h"

/* --- fields of parsed bodies; what is absent is null --- */

static inline value_t chat_field(value_t v, const char *key) {
    return v.kind == VALUE_OBJECT ? object_get_peek(v, key, strlen(key), NULL) : value_null();
}

/* A member to look for, with the length of its name. */
typedef struct chat_name {
    const char *text;
    size_t len;
} chat_name_t;
#define CHAT_NAME(text) \
    { text, sizeof(text) - 1 }

/* Finds `count` members in one walk over an object: found[i] is the one that names[i] names. */
static inline void chat_fields(value_t v, const chat_name_t *names, size_t count, value_t *found) {
    size_t members = v.kind == VALUE_OBJECT ? object_count(v) : 0;
    for (size_t i = 0; i < count; i++)
        found[i] = value_null();
    for (size_t at = 0; at < members; at++) {
        const str_t *key = object_key_peek(v, at);
        size_t len = key->len, i = 0;
        while (i < count && (names[i].len != len || memcmp(key->data, names[i].text, len) != 0))
            i++;
        if (i < count) found[i] = object_value_peek(v, at);
    }
}

static inline value_t chat_first(value_t list) {
    return list.kind == VALUE_LIST && list_count(list) > 0 ? list_peek(list, 0) : value_null();
}

static inline bool chat_is_text(value_t v, const char *text) {
    return v.kind == VALUE_STRING && v.string->len == strlen(text) &&
           memcmp(v.string->data, text, v.string->len) == 0;
}

/* --- errors (chat.c) --- */

/* The server's own words and codes, borrowed from the parsed body. */
typedef struct chat_fault {
    value_t message, type, code;
} chat_fault_t;

/* Finds the error in a body of any of the forms that servers use; false when there is none. */
bool chat_fault_find(value_t body, chat_fault_t *fault);
/* The cause of an error inside a 200: by its code; without a clear one it is MALFORMED. */
llm_cause_t chat_fault_cause(const chat_fault_t *fault);
/* As chat_words_add, of HTML the words outside its tags; of a value its text, or its JSON. */
void chat_body_words_add(buf_t *out, const char *bytes, size_t len);
void chat_value_words_add(buf_t *out, value_t v);

/* --- completions --- */

/* A text that comes in pieces. A piece that stays the only one is not copied. */
typedef struct chat_text {
    value_t only; /* string; null when there is no piece, or several. Owned */
    buf_t joined; /* several pieces */
} chat_text_t;

/* What a completion says, gathered from one body or from the chunks of a stream. */
typedef struct chat_said {
    chat_text_t content, reasoning, refusal;
    bool tools;         /* it calls tools */
    char tool_name[64]; /* of the first call, "" when it has none */
    char finish_reason[24];
    uint32_t prompt_tokens, completion_tokens;
} chat_said_t;

void chat_said_init(chat_said_t *said);
void chat_said_free(chat_said_t *said);
/* Adds a parsed body, or a chunk of a stream. LLM_CAUSE_NONE, or the cause and the reason of an error inside
 * it. *found: it has a message (or a delta). */
llm_cause_t chat_said_add(chat_said_t *said, value_t body, bool *found, err_t *err);
/* An error that came inside a 200, in words. */
llm_cause_t chat_fault_tell(value_t body, err_t *err);

/* --- event streams (chat_stream.c) --- */

/* Does the body begin as an event stream does (a field or a comment)? JSON does not. */
bool chat_is_stream(const char *body, size_t len);
/* The first event with data that is JSON, parsed; *out is owned by the caller. False when there is none. */
bool chat_stream_first(const char *body, size_t len, value_t *out);
/* Adds all chunks of the stream, as chat_said_add. A stream that breaks off is MALFORMED. */
llm_cause_t chat_stream_read(chat_said_t *said, const char *body, size_t len, err_t *err);

#endif
