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

typedef struct chat_answer {
    value_t text;           /* string; "" when the content was null or absent. Owned */
    char finish_reason[24]; /* "stop", "length", "content_filter", ... or "" */
    uint32_t prompt_tokens; /* 0 when not reported */
    uint32_t completion_tokens;
} chat_answer_t;
/* Reads a 2xx body. Returns LLM_CAUSE_NONE and *answer, or the cause (MALFORMED, or that of an `error` object
 * in a 200) and the reason in err. */
llm_cause_t chat_answer_read(const char *body, size_t len, chat_answer_t *answer, err_t *err);

/* Reads another body, of any of the forms that servers use. Returns the cause by status and code, and fills
 * `reason`: "HTTP 429: " and at most LLM_ERROR_TEXT_MAX bytes of the server's words. */
llm_cause_t chat_error_read(long status, const char *body, size_t len, err_t *reason);

#endif
