/* verdict.h - what one reply of a server means: which cause it is, and what becomes of the call. Pure.
 *
 * Servers agree on statuses and on little else. What decides is, in this order: the code or type of the error
 * where it is clear, words of its message that are known from real servers, and the status.
 */
#ifndef SDG_LLM_VERDICT_H
#define SDG_LLM_VERDICT_H

#include <stdbool.h>

#include "core/base/llm_cause.h"
#include "core/llm/retry.h"

/* What a server says beside the status: texts that end with NUL, NULL: it does not say. */
typedef struct verdict_words {
    const char *code, *type;
    const char *message; /* the first LLM_ERROR_TEXT_MAX bytes of it; a page or a text that is no JSON, too */
} verdict_words_t;

/* The cause of a reply with this status, which is no success (not 2xx). An `error` object in a 200 that names
 * a status has that one's. Never LLM_CAUSE_NONE. */
llm_cause_t verdict_cause(long status, const verdict_words_t *words);

/* The cause with what the headers of the reply add: a 503 that says when to come back is an overload. */
llm_cause_t verdict_with_hint(llm_cause_t cause, long status, retry_hint_t hint);

/* What becomes of a call by its reply. */
typedef enum verdict {
    VERDICT_ANSWERED,
    VERDICT_FAILED,   /* an attempt is spent; the retry policy says whether there is another (retry_decide) */
    VERDICT_REJECTED, /* not now: the call waits and is asked again, and no attempt is spent */
    VERDICT_REFUSED,  /* the endpoint refuses whatever it is asked: what becomes of it decides about the call
                       */
} verdict_t;
verdict_t verdict_of(llm_cause_t cause, retry_hint_t hint);

#endif
