/* mock_plan.h - what the simulated server will do with the n-th chat request. Pure: same options, n and body,
 * same plan. */
#ifndef SDG_ACTORS_MOCK_MOCK_PLAN_H
#define SDG_ACTORS_MOCK_MOCK_PLAN_H

#include "actors/mock/mock_options.h"
#include "actors/mock/mock_rules.h"
#include "core/base/buf.h"
#include "core/base/value.h"

typedef enum mock_ending {
    MOCK_ANSWER, /* status, headers and body are sent */
    MOCK_DRIP,   /* status and headers are sent, the body in pieces over options.slow_ms */
    MOCK_RESET,  /* the connection is reset */
    MOCK_HANG,   /* nothing, until the client leaves */
} mock_ending_t;

typedef struct mock_plan {
    mock_ending_t ending;
    unsigned status;
    value_t headers;      /* object name -> text, or null; owned */
    char retry_after[24]; /* header value, or "" */
    buf_t body;           /* owned */
    uint64_t delay_ns;    /* before the ending */
    bool at_once;         /* a refusal: does not wait for a running slot */
    int fault;            /* index in options.faults, or -1 */
    uint64_t prompt_tokens;
    uint64_t completion_tokens;
} mock_plan_t;

/* n counts chat requests from 1; `body` is the parsed request (an object). Rules may count a hit. */
void mock_plan_make(mock_plan_t *plan, const mock_options_t *o, mock_rules_t *rules, value_t body,
                    uint64_t n);
/* A refusal with an OpenAI-style error body. */
void mock_plan_refuse(mock_plan_t *plan, unsigned status, const char *message);
/* Adds the Retry-After that the options want; "auto" is `seconds` in whole ones. */
void mock_plan_retry_after(mock_plan_t *plan, const mock_options_t *o, double seconds);
void mock_plan_free(mock_plan_t *plan);

#endif
