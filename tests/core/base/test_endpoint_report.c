/* test_endpoint_report.c - reports of one endpoint: their age, what is news, sums. */
#include "core/base/endpoint_report.h"

#include <criterion/criterion.h>
#include <string.h>

static endpoint_report_t report(endpoint_state_t state, uint64_t requests) {
    return (endpoint_report_t){.endpoint = 1,
                               .address = "http://a",
                               .state = state,
                               .requests = requests,
                               .answered_ms = ENDPOINT_NEVER};
}

Test(endpoint_report, ages) {
    endpoint_report_t r = report(ENDPOINT_CLOSED, 1);
    r.reopens_ms = 5000;
    endpoint_report_age(&r, 2000);
    cr_expect_eq(r.reopens_ms, 3000);
    cr_expect_eq(r.oldest_ms, 0, "there is none");
    cr_expect_eq(r.trouble_ms, 0, "there was none");
    cr_expect_eq(r.answered_ms, ENDPOINT_NEVER);
    r.oldest_ms = 10;
    r.answered_ms = 20;
    r.trouble = LLM_CAUSE_SERVER;
    endpoint_report_age(&r, 4000);
    cr_expect_eq(r.reopens_ms, 0);
    cr_expect_eq(r.oldest_ms, 4010);
    cr_expect_eq(r.answered_ms, 4020);
    cr_expect_eq(r.trouble_ms, 4000);
    endpoint_report_age(&r, UINT64_MAX);
    cr_expect_neq(r.answered_ms, ENDPOINT_NEVER, "long ago is not never");
}

Test(endpoint_report, an_age_is_no_news) {
    endpoint_report_t a = report(ENDPOINT_OPEN, 3), b = a;
    a.trouble = b.trouble = LLM_CAUSE_TIMEOUT;
    endpoint_report_age(&b, 700);
    cr_expect(endpoint_report_same(&a, &b));
    b.requests++;
    cr_expect_not(endpoint_report_same(&a, &b));
    b = a;
    strcpy(b.trouble_text, "other");
    cr_expect_not(endpoint_report_same(&a, &b));
}

Test(endpoint_report, sums) {
    endpoint_report_t sum = report(ENDPOINT_FINAL, 3), other = report(ENDPOINT_CLOSED, 4);
    sum.refused_in_a_row = 16;
    other.reopens_ms = 900;
    other.answered_ms = 50;
    other.oldest_ms = 70;
    other.retries[LLM_CAUSE_RATE_LIMIT] = 2;
    other.trouble = LLM_CAUSE_RATE_LIMIT;
    other.trouble_ms = 10;
    strcpy(other.trouble_text, "slow down");
    strcpy(other.address, "http://b");
    endpoint_report_add(&sum, &other);
    cr_expect_eq(sum.state, ENDPOINT_CLOSED, "one of them may be asked later");
    cr_expect_eq(sum.reopens_ms, 900);
    cr_expect_eq(sum.requests, 7);
    cr_expect_eq(sum.refused_in_a_row, 16);
    cr_expect_eq(sum.retries[LLM_CAUSE_RATE_LIMIT], 2);
    cr_expect_eq(sum.answered_ms, 50);
    cr_expect_eq(sum.oldest_ms, 70);
    cr_expect_str_eq(sum.trouble_text, "slow down");
    cr_expect_str_eq(sum.address, "http://b");
    other.reopens_ms = 300;
    other.trouble_ms = 20; /* earlier than what is known */
    strcpy(other.trouble_text, "before");
    endpoint_report_add(&sum, &other);
    cr_expect_eq(sum.reopens_ms, 300);
    cr_expect_str_eq(sum.trouble_text, "slow down");
    other = report(ENDPOINT_OPEN, 0);
    endpoint_report_add(&sum, &other);
    cr_expect_eq(sum.state, ENDPOINT_OPEN);
    cr_expect_eq(sum.reopens_ms, 0);
}
