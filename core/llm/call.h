/* call.h - one call of an LLM as the language sees it: what is asked, and what came of it. */
#ifndef SDG_LLM_CALL_H
#define SDG_LLM_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/llm_answer.h"
#include "core/llm/retry.h"

typedef struct llm_request {
    uint32_t endpoint; /* from llm_engine_add_endpoint */
    const char *body;  /* JSON, copied */
    size_t body_len;
    const char *const *headers; /* extra headers of this request, may be NULL */
    size_t header_count;
    uint32_t timeout_ms;         /* 0: the endpoint's */
    const retry_policy_t *retry; /* NULL: the endpoint's */
} llm_request_t;

#endif
