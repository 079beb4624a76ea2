/* test_retry.c - when to ask again (core/llm/retry). */
#include <criterion/criterion.h>

#include <string.h>

#include "core/llm/limits.h"
#include "core/llm/retry.h"

static rng_t rng;

static void seed(void) { rng_seed(&rng, 7, 0); }
TestSuite(retry, .init = seed);

static bool decide(uint32_t attempt, llm_cause_t cause, retry_hint_t hint, uint32_t *wait_ms) {
    retry_policy_t policy = retry_policy_default();
    return retry_decide(&policy, attempt, cause, hint, &rng, wait_ms);
}

Test(retry, a_server_error_is_asked_again_after_the_backoff) {
    uint32_t wait_ms = 0;
    cr_assert(decide(1, LLM_CAUSE_SERVER, retry_hint_none(), &wait_ms));
    cr_assert_geq(wait_ms, 500);
    cr_assert_leq(wait_ms, 1000);
}

Test(retry, which_causes_are_retried) {
    static const bool retried[LLM_CAUSES] = {
        [LLM_CAUSE_RATE_LIMIT] = true, [LLM_CAUSE_OVERLOAD] = true,   [LLM_CAUSE_SERVER] = true,
        [LLM_CAUSE_TIMEOUT] = true,    [LLM_CAUSE_CONNECTION] = true, [LLM_CAUSE_MALFORMED] = true,
        [LLM_CAUSE_EMPTY] = true,
    };
    uint32_t wait_ms;
    for (int cause = 0; cause < LLM_CAUSES; cause++) {
        cr_expect_eq(decide(1, (llm_cause_t)cause, retry_hint_none(), &wait_ms), retried[cause], "%s",
                     llm_cause_name((llm_cause_t)cause));
        cr_expect_neq(llm_cause_name((llm_cause_t)cause)[0], '\0');
    }
}

Test(retry, the_last_attempt_is_the_last) {
    uint32_t wait_ms;
    cr_assert(decide(9, LLM_CAUSE_SERVER, retry_hint_none(), &wait_ms));
    cr_assert_not(decide(10, LLM_CAUSE_SERVER, retry_hint_none(), &wait_ms));
    cr_assert_not(decide(10, LLM_CAUSE_SERVER, (retry_hint_t){.after_ms = 5, .should = 1}, &wait_ms));
}

Test(retry, the_wait_doubles_up_to_the_cap) {
    for (uint32_t attempt = 1; attempt < 10; attempt++) {
        uint32_t wait_ms = 0, step = attempt < 6 ? 1000u << (attempt - 1) : 30000;
        cr_assert(decide(attempt, LLM_CAUSE_TIMEOUT, retry_hint_none(), &wait_ms));
        cr_expect_geq(wait_ms, step / 2);
        cr_expect_leq(wait_ms, step);
    }
}

Test(retry, odd_policies_stay_within_the_cap) {
    uint32_t wait_ms;
    retry_policy_t huge = {.attempts_max = UINT32_MAX, .base_ms = UINT32_MAX, .factor = 1e300, .cap_ms = 50};
    cr_assert(retry_decide(&huge, UINT32_MAX - 1, LLM_CAUSE_SERVER, retry_hint_none(), &rng, &wait_ms));
    cr_assert_leq(wait_ms, 50);
    retry_policy_t zero = {.attempts_max = 3, .base_ms = 0, .factor = 2, .cap_ms = 50};
    cr_assert(retry_decide(&zero, 1, LLM_CAUSE_SERVER, retry_hint_none(), &rng, &wait_ms));
    cr_assert_eq(wait_ms, 0);
}

Test(retry, retry_after_is_honoured_within_its_limit) {
    uint32_t wait_ms = 0;
    cr_assert(decide(1, LLM_CAUSE_RATE_LIMIT, (retry_hint_t){.after_ms = 2500, .should = -1}, &wait_ms));
    cr_expect_geq(wait_ms, 2500, "never earlier than asked");
    cr_expect_leq(wait_ms, 2750);
    cr_assert(decide(1, LLM_CAUSE_SERVER, (retry_hint_t){.after_ms = 3600000, .should = -1}, &wait_ms));
    cr_expect_geq(wait_ms, 3600000, "a long one, too: rows wait");
    cr_expect_leq(wait_ms, 3600500);
    retry_hint_t ages = retry_hint_none();
    retry_hint_header(&ages, "Retry-After", 11, "99999999999", 11, 0);
    cr_assert(decide(1, LLM_CAUSE_SERVER, ages, &wait_ms));
    cr_expect_leq(wait_ms, LLM_RETRY_AFTER_MAX_S * 1000u + 500, "but not for ages");
    cr_assert(decide(1, LLM_CAUSE_RATE_LIMIT, (retry_hint_t){.after_ms = 0, .should = -1}, &wait_ms));
    cr_expect_geq(wait_ms, 500, "zero means nothing: backoff");
}

Test(retry, the_server_may_overrule_but_not_about_quota) {
    uint32_t wait_ms;
    retry_hint_t yes = {.after_ms = -1, .should = 1}, no = {.after_ms = -1, .should = 0};
    cr_assert(decide(1, LLM_CAUSE_REFUSED, yes, &wait_ms));
    cr_assert_not(decide(1, LLM_CAUSE_SERVER, no, &wait_ms));
    cr_assert_not(decide(1, LLM_CAUSE_QUOTA, yes, &wait_ms));
    cr_assert_not(decide(1, LLM_CAUSE_CANCELLED, yes, &wait_ms));
}

Test(retry, empty_answers_follow_the_policy) {
    uint32_t wait_ms;
    retry_policy_t policy = retry_policy_default();
    policy.on_empty = false;
    cr_assert_not(retry_decide(&policy, 1, LLM_CAUSE_EMPTY, retry_hint_none(), &rng, &wait_ms));
    cr_assert(retry_decide(&policy, 1, LLM_CAUSE_MALFORMED, retry_hint_none(), &rng, &wait_ms));
}

static int64_t after(const char *value) {
    return retry_after_ms(value, strlen(value), INT64_C(784111777000)); /* Sun, 06 Nov 1994 08:49:37 GMT */
}

Test(retry, retry_after_values) {
    cr_expect_eq(after("0"), 0);
    cr_expect_eq(after("2"), 2000);
    cr_expect_eq(after(" 0.25 "), 250);
    cr_expect_eq(after(".5"), 500);
    cr_expect_eq(after("1e3"), -1);
    cr_expect_eq(after("-1"), -1);
    cr_expect_eq(after(""), -1);
    cr_expect_eq(after("."), -1);
    cr_expect_eq(after("soon"), -1);
    cr_expect_gt(after("99999999999999999999999999"), 120000);
    cr_expect_eq(after("Sun, 06 Nov 1994 08:49:47 GMT"), 10000);
    cr_expect_eq(after("Sunday, 06-Nov-94 08:50:37 GMT"), 60000);
    cr_expect_eq(after("Sun, 06 Nov 1994 08:00:00 GMT"), 0, "the past");
    cr_expect_eq(after("Sun, 06 Nov 1994 08:49:37 GMT and then a great many words more than any date has"),
                 -1);
}

static void header(retry_hint_t *hint, const char *name, const char *value) {
    retry_hint_header(hint, name, strlen(name), value, strlen(value), 0);
}

Test(retry, headers_fold_into_the_hint) {
    retry_hint_t hint = retry_hint_none();
    header(&hint, "Retry-After", " 3");
    cr_expect_eq(hint.after_ms, 3000);
    header(&hint, "RETRY-AFTER-MS", " 20");
    cr_expect_eq(hint.after_ms, 20, "milliseconds win");
    header(&hint, "retry-after", "9");
    cr_expect_eq(hint.after_ms, 20, "in either order");
    header(&hint, "X-Should-Retry", " True");
    cr_expect_eq(hint.should, 1);
    header(&hint, "x-should-retry", "false");
    cr_expect_eq(hint.should, 0);
    header(&hint, "x-should-retry", "maybe");
    cr_expect_eq(hint.should, 0);
    header(&hint, "retry-after-ms", "nonsense");
    cr_expect_eq(hint.after_ms, 20);
    header(&hint, "x-other", "5");
    cr_expect_eq(hint.after_ms, 20);
}

Test(retry, same_seed_same_waits) {
    rng_t a, b;
    rng_seed(&a, 1, 0);
    rng_seed(&b, 1, 0);
    retry_policy_t policy = retry_policy_default();
    uint32_t x = 0, y = 0;
    for (uint32_t attempt = 1; attempt < 9; attempt++) {
        retry_decide(&policy, attempt, LLM_CAUSE_SERVER, retry_hint_none(), &a, &x);
        retry_decide(&policy, attempt, LLM_CAUSE_SERVER, retry_hint_none(), &b, &y);
        cr_assert_eq(x, y);
    }
}
