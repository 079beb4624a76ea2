/* llm_answer.h - what came of one call of an LLM. It travels: the engine fills it, a row takes it, the call
 * journal keeps it. */
#ifndef SDG_BASE_LLM_ANSWER_H
#define SDG_BASE_LLM_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/llm_cause.h"
#include "core/base/value.h"

/* request latencies kept per call, of requests that got a response */
enum { LLM_LATENCIES_MAX = 16 };

typedef struct llm_answer {
    uint64_t tag; /* the caller's, from llm_engine_submit */
    /* NONE: text is the answer; "" after empty retries, or beside reasoning that was asked for. Any other:
     * the call failed, see error. */
    llm_cause_t cause;
    /* The receiver holds a unit of `permit` now: it goes on with it, or gives it back. */
    bool has_unit;
    struct permit *permit; /* the request's (core/base/permit.h); NULL: none was needed */
    /* Owned by the receiver. When failed: the reason in full, if error.text had to cut it, else null. */
    value_t text;
    /* What came beside the text as reasoning, owned likewise; null: nothing did, or the call failed. */
    value_t reasoning;
    bool replayed; /* from the call journal: no request was made for it */
    char finish_reason[24];
    uint32_t replaced; /* lone surrogates of the answer that are U+FFFD in the texts */
    uint32_t prompt_tokens, completion_tokens; /* summed over the requests of this call */
    uint32_t requests;                         /* HTTP requests made */
    uint32_t
        attempts; /* of these: those that count for the retry policy; one that is rejected (429) does not */
    uint32_t retries[LLM_CAUSES]; /* by cause of the failure that was retried */
    /* Sent to full body, the successful request first; latency_count of them. */
    uint32_t latency_us[LLM_LATENCIES_MAX];
    uint32_t latency_count;
    long http_status;   /* of the last response; 0 if none */
    uint64_t waited_ns; /* since the call was submitted it was not in flight for so long in all */
    err_t error;        /* the reason when failed */
} llm_answer_t;

/* Frees the texts of an answer that nobody takes. */
static inline void llm_answer_clear(llm_answer_t *answer) {
    value_clear(&answer->text);
    value_clear(&answer->reasoning);
}

#endif
