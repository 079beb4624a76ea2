/* call.h - one call of an LLM as the language sees it: what is asked, and what came of it. */
#ifndef SDG_LLM_CALL_H
#define SDG_LLM_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/value.h"
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

enum { LLM_LATENCIES_MAX = 16 }; /* request latencies kept per call: of requests that got a response */

typedef struct llm_answer {
    uint64_t tag; /* the caller's, from submit */
    llm_cause_t
        cause;     /* NONE: text is the answer (it may be "" after empty retries). Else failed: see error */
    bool has_unit; /* the receiver holds a unit of `permit` now: it goes on with it, or gives it back */
    permit_t *permit; /* the request's */
    value_t text;     /* owned by the receiver; null when failed */
    char finish_reason[24];
    uint32_t prompt_tokens, completion_tokens; /* summed over the requests of this call */
    uint32_t requests;                         /* HTTP requests made */
    uint32_t retries[LLM_CAUSES];              /* by cause of the failure that was retried */
    uint32_t latency_us[LLM_LATENCIES_MAX]; /* sent to full body, the successful request first; latency_count
                                               of them */
    uint32_t latency_count;
    long http_status; /* of the last response; 0 if none */
    err_t error;      /* the reason when failed */
} llm_answer_t;

#endif
