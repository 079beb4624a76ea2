/* call.h - one call of an LLM as the language sees it: what is asked, and what came of it. */
#ifndef SDG_LLM_CALL_H
#define SDG_LLM_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/llm_answer.h"
#include "core/llm/permit.h"
#include "core/llm/retry.h"

typedef struct llm_request {
    uint32_t route;   /* from llm_engine_open_route; a row says the number of the model here */
    permit_t *permit; /* the job's units, which this call needs one of while it is in flight; outlives the
                         call, and is the same for all calls of a route. NULL: none is needed */
    bool has_unit;    /* the caller holds a unit of `permit` and hands it over with the call */
    const char *body; /* JSON, copied */
    size_t body_len;
    const char *const *headers; /* extra headers of this request, may be NULL */
    size_t header_count;
    uint32_t timeout_ms;         /* 0: the route's */
    const retry_policy_t *retry; /* NULL: the route's */
} llm_request_t;

#endif
