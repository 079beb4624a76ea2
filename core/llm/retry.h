/* retry.h - when to ask an LLM server again: pure decisions, no clock and no socket (facts: docs/design.md,
 * "LLM endpoints").
 *
 * Retryable: 408, 409, 429, 5xx, connection errors and timeouts; `x-should-retry` overrides;
 * `insufficient_quota` never. `Retry-After-Ms`, then `Retry-After` (seconds, fractions allowed, or an HTTP
 * date) is honoured for 0 < t <= 120 s; longer means: do not retry now (the call fails). Otherwise
 * exponential backoff with jitter, capped.
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
    bool on_empty;         /* ask again on a blank answer (at most LLM_EMPTY_RETRIES times); default true */
} retry_policy_t;
retry_policy_t retry_policy_default(void);

/* What the server said about retrying. */
typedef struct retry_hint {
    int64_t after_ms; /* from Retry-After-Ms / Retry-After; -1 = absent */
    int8_t should;    /* x-should-retry: 1, 0, or -1 = absent */
} retry_hint_t;

retry_hint_t retry_hint_none(void);
/* Folds one response header (no CR LF) into the hint; other headers are ignored. Retry-After-Ms wins over
 * Retry-After in either order. The date form of Retry-After is read against now_unix_ms. */
void retry_hint_header(retry_hint_t *hint, const char *name, size_t name_len, const char *value,
                       size_t value_len, int64_t now_unix_ms);

/* Decides after failed request number `attempt` (1-based). Returns true and *wait_ms, or false: the call has
 * failed. */
bool retry_decide(const retry_policy_t *policy, uint32_t attempt, llm_cause_t cause, retry_hint_t hint,
                  rng_t *rng, uint32_t *wait_ms);
/* Value of a Retry-After header (seconds with fraction, or an HTTP date against now_unix_ms) in ms; -1 if
 * unusable. */
int64_t retry_after_ms(const char *value, size_t len, int64_t now_unix_ms);

#endif
