/* llm_cause.h - why a request to an LLM server gave no answer. It travels: from the engine that asked,
 * through rows and the usage record of a result, to the totals of a run. */
#ifndef SDG_BASE_LLM_CAUSE_H
#define SDG_BASE_LLM_CAUSE_H

/* Also the index of retry counters ("retries by cause"), in memory and on the wire: new causes go before
 * LLM_CAUSES. */
typedef enum llm_cause {
    LLM_CAUSE_NONE,
    LLM_CAUSE_RATE_LIMIT, /* 429 */
    LLM_CAUSE_OVERLOAD,   /* 503 that says when to come back, or that its queue is full */
    LLM_CAUSE_SERVER,     /* other 5xx, 409 */
    LLM_CAUSE_TIMEOUT,    /* our timeout, or 408 */
    LLM_CAUSE_CONNECTION, /* refused, reset, DNS, TLS, truncated body */
    LLM_CAUSE_MALFORMED,  /* 200 with a body that is no completion: broken JSON, an error object, too large */
    LLM_CAUSE_EMPTY,      /* blank answer */
    LLM_CAUSE_REFUSED,    /* 4xx that is final: the request itself is wrong */
    LLM_CAUSE_QUOTA,      /* insufficient_quota */
    LLM_CAUSE_CANCELLED,
    LLM_CAUSE_ENDPOINT, /* the endpoint refuses whatever it is asked: 401, 402, 403, a model or path it has
                         * not, a certificate or host name that is wrong */
    LLM_CAUSE_DECLINED, /* an answer without a text to use: a refusal, a content filter, only tool calls, or
                         * cut before it began */
    LLM_CAUSES
} llm_cause_t;

/* "rate limit", "overload" and so on: short, for people and metrics. cause < LLM_CAUSES, asserted. */
const char *llm_cause_name(llm_cause_t cause);

#endif
