/* chat.h - OpenAI-compatible chat completions as bytes: writes request bodies, reads answers and error
 * bodies. Pure. */
#ifndef SDG_LLM_CHAT_H
#define SDG_LLM_CHAT_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"
#include "core/llm/retry.h"

/* Writes {"model": .., "messages": [system, user], <params>}. `system` may be null: then the user's message
 * is the only one. `content` is a string, or a list of parts ({"type":"text",..} or {"type":"image_url",..}).
 * `params` is an object that has already been merged and cleaned. */
void chat_request_write(buf_t *out, value_t model, value_t system, value_t content, value_t params);

/* Adds "stream": false to a request of chat_request_write, in place, for a server that streams unasked;
 * unless the user's parameters say something about it. `body` has room for CHAT_UNSTREAM_BYTES more, and is
 * ended by NUL. Returns its new length. */
size_t chat_request_unstream(char *body, size_t len);
enum { CHAT_UNSTREAM_BYTES = 15 };

typedef struct chat_answer {
    value_t text;           /* string; "" when there was no content; null after a failure. Owned */
    value_t reasoning;      /* string: what came beside the content as reasoning; null: nothing. Owned */
    char finish_reason[24]; /* "stop", "length", "content_filter", ... or "" */
    uint32_t prompt_tokens; /* 0 when not reported */
    uint32_t completion_tokens;
    uint32_t replaced; /* lone surrogates of the body that are U+FFFD now */
    bool streamed;     /* it came as an event stream */
} chat_answer_t;
/* Reads a 2xx body: a JSON object or, although none is asked for, an event stream. Returns LLM_CAUSE_NONE and
 * *answer, or a cause and the reason in err:
 *   DECLINED   the model gave no text to use: a refusal, a content filter, only tool calls, or an answer that
 *              was cut before it began
 *   MALFORMED  no completion, an error without a clear code, a stream that was cut
 *   others     by the code of an error inside the body
 * finish_reason and tokens are told of DECLINED answers, too: they have been paid for. */
llm_cause_t chat_answer_read(const char *body, size_t len, chat_answer_t *answer, err_t *err);

/* Reads another body, of any of the forms that servers use. Returns the cause by status and code, and fills
 * `reason`: "HTTP 429: " and at most LLM_ERROR_TEXT_MAX bytes of the server's words. */
llm_cause_t chat_error_read(long status, const char *body, size_t len, err_t *reason);

/* Reads a redirect (3xx) to `location` (NULL: it names none): "HTTP 307 to https://gw/v1/: correct base_url".
 * Returns LLM_CAUSE_ENDPOINT. */
llm_cause_t chat_redirect_read(long status, const char *location, err_t *reason);

/* Adds a text on one line: at most LLM_ERROR_TEXT_MAX bytes and no more than fit, cut between characters;
 * white space and control characters become one blank. */
void chat_words_add(buf_t *out, const char *bytes, size_t len);

#endif
