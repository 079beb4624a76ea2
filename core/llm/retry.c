/* retry.c - see retry.h.
 *
 * The one idea: no two calls wait for exactly the same time, so that a thousand calls that failed together do
 * not come back together. The backoff is drawn from the upper half of its exponential step, and a server's
 * Retry-After is made longer by up to a tenth (of 5 s at most), never shorter.
 */
#include "core/llm/retry.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/llm/limits.h"

enum { HTTP_DATE_BYTES_MAX = 64 }; /* "Sunday, 06-Nov-94 08:49:37 GMT" is the longest form in use */

retry_policy_t retry_policy_default(void) {
    return (retry_policy_t){.attempts_max = 10,
                            .base_ms = 1000,
                            .factor = 2,
                            .cap_ms = 30000,
                            .on_empty = true,
                            .empty_max = LLM_EMPTY_REQUESTS};
}

retry_hint_t retry_hint_none(void) { return (retry_hint_t){.after_ms = -1, .should = -1}; }

static bool cause_is_retryable(const retry_policy_t *policy, llm_cause_t cause) {
    switch (cause) {
    case LLM_CAUSE_RATE_LIMIT:
    case LLM_CAUSE_OVERLOAD:
    case LLM_CAUSE_SERVER:
    case LLM_CAUSE_TIMEOUT:
    case LLM_CAUSE_CONNECTION:
    case LLM_CAUSE_MALFORMED: return true;
    case LLM_CAUSE_EMPTY: return policy->on_empty;
    default: return false;
    }
}

static bool may_retry(const retry_policy_t *policy, llm_cause_t cause, retry_hint_t hint) {
    if (cause == LLM_CAUSE_QUOTA || cause == LLM_CAUSE_CANCELLED || cause == LLM_CAUSE_NONE ||
        cause == LLM_CAUSE_DECLINED)
        return false; /* also when the server says x-should-retry */
    if (hint.should >= 0 && cause != LLM_CAUSE_EMPTY) return hint.should == 1;
    return cause_is_retryable(policy, cause);
}

static uint32_t backoff_ms(const retry_policy_t *policy, uint32_t attempt, rng_t *rng) {
    double step = (double)policy->base_ms * pow(policy->factor, (double)(attempt - 1));
    if (!(step < (double)policy->cap_ms)) /* this way round also for infinity and NaN */
        step = (double)policy->cap_ms;
    return (uint32_t)(step * (0.5 + 0.5 * rng_real(rng)));
}

/* No server is believed to mean more than that. */
static int64_t cut(int64_t ms) {
    int64_t most = LLM_RETRY_AFTER_MAX_S * INT64_C(1000);
    return ms < most ? ms : most;
}

uint32_t retry_after_wait_ms(int64_t after_ms, rng_t *rng) {
    return (uint32_t)(cut(after_ms) +
                      rng_between(rng, 0,
                                  after_ms < HEALTH_HOLD_MS_MAX ? after_ms / 10 : HEALTH_HOLD_MS_MAX / 10));
}

bool retry_decide(const retry_policy_t *policy, uint32_t attempt, llm_cause_t cause, retry_hint_t hint,
                  rng_t *rng, uint32_t *wait_ms) {
    assert(attempt >= 1);
    uint32_t most = cause == LLM_CAUSE_EMPTY ? UINT32_MAX : policy->attempts_max;
    if (attempt >= most || !may_retry(policy, cause, hint)) return false;
    if (hint.after_ms > 0)
        *wait_ms = retry_after_wait_ms(hint.after_ms, rng);
    else
        *wait_ms = backoff_ms(policy, attempt, rng);
    return true;
}

/* A plain decimal number ("2", "0.5") times `unit`; -1 for anything else: these headers have no signs or
 * exponents. */
static int64_t number_times(const char *value, size_t len, double unit) {
    double number = 0, scale = 1;
    size_t digits = 0, dots = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '.' && dots == 0) {
            dots = 1;
        } else if (value[i] >= '0' && value[i] <= '9') {
            digits++;
            if (dots)
                number += (value[i] - '0') * (scale /= 10);
            else
                number = number * 10 + (value[i] - '0');
        } else {
            return -1;
        }
    }
    if (digits == 0) return -1;
    double ms = ceil(number * unit - 1e-6);
    return ms < 1e15 ? (int64_t)ms : INT64_C(1000000000000000);
}

static void trim_blanks(const char **value, size_t *len) {
    while (*len > 0 && ((*value)[0] == ' ' || (*value)[0] == '\t'))
        (*value)++, (*len)--;
    while (*len > 0 && ((*value)[*len - 1] == ' ' || (*value)[*len - 1] == '\t'))
        (*len)--;
}

/* Seconds since 1970 of an HTTP date in any of its three forms (RFC 9110, 5.6.7); -1: it is none. Names of
 * days and months are read as English ones, whatever the user's locale is. */
static time_t http_date(const char *text) {
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    locale_t english = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!english) return -1;
    time_t date = -1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms && date < 0; i++) {
        struct tm tm = {0};
        const char *end = strptime_l(text, forms[i], &tm, english);
        if (end && *end == '\0') date = timegm(&tm);
    }
    freelocale(english);
    return date;
}

int64_t retry_after_ms(const char *value, size_t len, int64_t now_unix_ms) {
    trim_blanks(&value, &len);
    int64_t ms = number_times(value, len, 1000);
    if (ms >= 0 || len >= HTTP_DATE_BYTES_MAX) return ms;
    char text[HTTP_DATE_BYTES_MAX];
    memcpy(text, value, len);
    text[len] = '\0';
    time_t date = http_date(text);
    if (date < 0) return -1;
    int64_t ahead = (int64_t)date * 1000 - now_unix_ms;
    return ahead > 0 ? ahead : 0;
}

static bool name_is(const char *name, size_t len, const char *wanted) {
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

/* A value that cannot be read leaves the hint as it is. */
void retry_hint_header(retry_hint_t *hint, const char *name, size_t name_len, const char *value,
                       size_t value_len, int64_t now_unix_ms) {
    trim_blanks(&value, &value_len);
    if (name_is(name, name_len, "retry-after-ms")) {
        int64_t ms = number_times(value, value_len, 1);
        hint->after_ms = ms >= 0 ? cut(ms) : hint->after_ms;
    } else if (name_is(name, name_len, "retry-after")) {
        if (hint->after_ms < 0) hint->after_ms = cut(retry_after_ms(value, value_len, now_unix_ms));
    } else if (name_is(name, name_len, "x-should-retry")) {
        if (name_is(value, value_len, "true"))
            hint->should = 1;
        else if (name_is(value, value_len, "false"))
            hint->should = 0;
    }
}
