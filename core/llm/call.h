/* call.h - one call of an LLM as the language sees it: what is asked. core/base/llm_answer.h has what came of
 * it. */
#ifndef SDG_LLM_CALL_H
#define SDG_LLM_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/llm_answer.h"
#include "core/base/permit.h"
#include "core/llm/retry.h"

typedef struct llm_request {
    uint32_t route; /* from llm_engine_open_route; in a row's request it is the number of the model */
    /* The job's units, of which this call needs one while it is in flight. The permit outlives the call, and
     * is the same for all calls of a route. NULL: no unit is needed. */
    permit_t *permit;
    bool has_unit;    /* the caller holds a unit of `permit` and hands it over with the call */
    const char *body; /* JSON, copied */
    size_t body_len;
    const char *const *headers; /* extra headers of this request, may be NULL */
    size_t header_count;
    uint32_t timeout_ms;         /* 0: the route's */
    const retry_policy_t *retry; /* NULL: the route's */
    bool wants_reasoning;        /* an answer of reasoning alone is not empty: it is not asked again */
} llm_request_t;

#endif
