/* retry.h - when to ask an LLM server again: pure decisions, no clock and no socket.
 *
 * 408, 409, 5xx, malformed answers, connection errors and timeouts are retried; `x-should-retry` overrides
 * that; `insufficient_quota` is never retried. The wait is what `Retry-After-Ms` says, or `Retry-After`
 * (seconds, fractions allowed, or an HTTP date), at most LLM_RETRY_AFTER_MAX_S. Without such a header the
 * wait is an exponential backoff with jitter, capped. What is no failure (429) is not decided here:
 * verdict.h.
 */
#ifndef SDG_LLM_RETRY_H
#define SDG_LLM_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/llm_cause.h"
#include "core/base/rng.h"

typedef struct retry_policy {
    uint32_t attempts_max; /* requests in all, >= 1; default 10 */
    uint32_t base_ms;      /* first wait; default 1000 */
    double factor;         /* default 2; 1 = fixed */
    uint32_t cap_ms;       /* default 30000 */
    bool on_empty;         /* ask again after a blank answer; default true */
    uint32_t empty_max; /* requests in all whose answers may be blank, whatever attempts_max is; default 3 */
} retry_policy_t;
retry_policy_t retry_policy_default(void);

/* What the server said about retrying. */
typedef struct retry_hint {
    int64_t after_ms; /* from Retry-After-Ms or Retry-After; -1: absent */
    int8_t should;    /* x-should-retry: 1 or 0; -1: absent */
} retry_hint_t;

retry_hint_t retry_hint_none(void);
/* Folds one response header (no CR LF) into the hint; other headers are ignored. Retry-After-Ms wins over
 * Retry-After in either order. The date form of Retry-After is read against now_unix_ms. */
void retry_hint_header(retry_hint_t *hint, const char *name, size_t name_len, const char *value,
                       size_t value_len, int64_t now_unix_ms);

/* Decides after the failure of request number `attempt` (from 1). The caller counts blank answers
 * (empty_max). True and *wait_ms, or false: the call has failed. */
bool retry_decide(const retry_policy_t *policy, uint32_t attempt, llm_cause_t cause, retry_hint_t hint,
                  rng_t *rng, uint32_t *wait_ms);
/* The wait for a server that wants to be asked again after `after_ms`: a little longer, so that not all calls
 * come back at once. */
uint32_t retry_after_wait_ms(int64_t after_ms, rng_t *rng);
/* The value of a Retry-After header in ms: seconds with a fraction, or an HTTP date, which is read against
 * now_unix_ms; -1 if it is neither. */
int64_t retry_after_ms(const char *value, size_t len, int64_t now_unix_ms);

#endif
