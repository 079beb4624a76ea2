/* fuzz_retry - what a server says about asking again: three headers, one a line ("name: value"), in any order
 * and number. The first bytes choose cause, attempt, policy and clock. What comes of it is bounded: no wait
 * longer than is believed, none shorter than was said, and no attempt more than the policy has. */
#include "tests/fuzz/input.h"

#include "core/llm/limits.h"
#include "core/llm/retry.h"
#include "core/llm/verdict.h"

static const int64_t BELIEVED_MS = LLM_RETRY_AFTER_MAX_S * INT64_C(1000);

static retry_hint_t hint_of(fuzz_input_t *in, int64_t now_ms) {
    retry_hint_t hint = retry_hint_none();
    while (fuzz_more(in)) {
        size_t len;
        char *line = fuzz_line(in, &len), *colon = memchr(line, ':', len);
        size_t name = colon ? (size_t)(colon - line) : len, value = colon ? name + 1 : len;
        retry_hint_header(&hint, line, name, line + value, len - value, now_ms);
        int64_t ms = retry_after_ms(line + value, len - value, now_ms);
        CHECK(ms >= -1, "%lld ms", (long long)ms);
        free(line);
    }
    CHECK(hint.after_ms >= -1 && hint.after_ms <= BELIEVED_MS, "%lld ms", (long long)hint.after_ms);
    CHECK(hint.should >= -1 && hint.should <= 1, "%d", hint.should);
    return hint;
}

static retry_policy_t policy_of(fuzz_input_t *in) {
    static const double factors[] = {1, 2, 1.5, 1e300};
    retry_policy_t p = retry_policy_default();
    p.attempts_max = 1 + fuzz_byte(in);
    p.base_ms = (uint32_t)fuzz_number(in, 3);
    p.cap_ms = (uint32_t)fuzz_number(in, 3);
    p.factor = factors[fuzz_byte(in) % 4];
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    llm_cause_t cause = fuzz_byte(&in) % LLM_CAUSES;
    uint32_t attempt = 1 + (uint32_t)fuzz_number(&in, 2), wait_ms = UINT32_MAX;
    retry_policy_t policy = policy_of(&in);
    rng_t rng;
    rng_seed(&rng, len, 0);
    retry_hint_t hint = hint_of(&in, (int64_t)fuzz_byte(&in) << 34);
    bool again = retry_decide(&policy, attempt, cause, hint, &rng, &wait_ms);
    if (again) {
        CHECK(cause == LLM_CAUSE_EMPTY || attempt < policy.attempts_max, "attempt %u", attempt);
        int64_t least = hint.after_ms > 0 ? hint.after_ms : 0;
        int64_t most = least ? least + HEALTH_HOLD_MS_MAX : policy.cap_ms;
        CHECK(wait_ms >= least && wait_ms <= most, "%u ms of %lld", wait_ms, (long long)most);
    }
    verdict_t verdict = verdict_of(verdict_with_hint(cause, 503, hint), hint);
    CHECK((verdict == VERDICT_ANSWERED) == (cause == LLM_CAUSE_NONE), "%d", verdict);
    return 0;
}
