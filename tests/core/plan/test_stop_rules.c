/* test_stop_rules.c - when a run ends by itself. */
#include "core/plan/stop_rules.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/plan/limits.h"

static const stop_limits_t NO_LIMITS = {.failure_rate = -1};

Test(stop_rules, so_many_rows_may_fail) {
    stop_limits_t limits = NO_LIMITS;
    err_t why;
    cr_expect_not(stop_for_failures(&limits, 0, 1000000, &why));
    limits.failures = 3;
    cr_expect_not(stop_for_failures(&limits, 100, 2, &why));
    cr_expect(stop_for_failures(&limits, 100, 3, &why));
    cr_expect(strstr(why.text, "3 rows have failed (--max-failures 3)"), "%s", why.text);
}

Test(stop_rules, such_a_part_of_the_rows_may_fail) {
    stop_limits_t limits = {.failure_rate = 0.1};
    err_t why;
    cr_expect_not(stop_for_failures(&limits, 0, 99, &why), "too few rows for a rate");
    cr_expect_not(stop_for_failures(&limits, 90, 10, &why));
    cr_expect(stop_for_failures(&limits, 89, 11, &why));
    cr_expect(strstr(why.text, "11 of 100 rows have failed (--max-failure-rate 0.1)"), "%s", why.text);
    limits.failure_rate = 0;
    cr_expect_not(stop_for_failures(&limits, 100, 0, &why));
    cr_expect(stop_for_failures(&limits, 99, 1, &why));
}

static closed_times_t *times;
static void begin(void) {
    setenv("TZ", "UTC", 1);
    times = closed_times_new();
}
static void end(void) { closed_times_destroy(&times); }
TestSuite(closed_times, .init = begin, .fini = end);

static const stop_limits_t A_MINUTE = {.failure_rate = -1, .give_up_ms = 60000};

static endpoint_report_t report(endpoint_state_t state, uint64_t reopens_s, uint64_t answered) {
    return (endpoint_report_t){.endpoint = 1,
                               .address = "http://gpu1:8000/v1",
                               .state = state,
                               .reopens_ms = reopens_s * 1000,
                               .answered = answered,
                               .trouble = LLM_CAUSE_RATE_LIMIT,
                               .trouble_text = "HTTP 429: come back later"};
}

static bool gives_up(endpoint_report_t r, uint64_t second, err_t *why) {
    return closed_times_give_up(times, &A_MINUTE, &r, 1, (1 + second) * SECOND, (int64_t)second * 1000, why);
}

Test(closed_times, at_once_when_it_says_so) {
    err_t why;
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 60, 0), 0, &why));
    cr_expect(gives_up(report(ENDPOINT_CLOSED, 61, 0), 0, &why));
    cr_expect_str_eq(why.text,
                     "http://gpu1:8000/v1 takes no requests, the next try is at 00:01:01 (in 1m01s), and "
                     "--give-up-after is 1m00s: HTTP 429: come back later");
}

Test(closed_times, an_endpoint_that_stays_closed) {
    err_t why;
    cr_expect_not(gives_up(report(ENDPOINT_OPEN, 0, 5), 0, &why));
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 10, 5), 10, &why));
    cr_expect_not(gives_up(report(ENDPOINT_OPEN, 0, 5), 20, &why), "it is tried again");
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 20, 5), 30, &why));
    cr_expect(gives_up(report(ENDPOINT_CLOSED, 20, 5), 51, &why), "61 s after it was closed");
    cr_expect(strstr(why.text, "for 41.0 s"), "%s", why.text);
}

Test(closed_times, a_good_answer_begins_anew) {
    err_t why;
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 10, 0), 0, &why));
    cr_expect_not(gives_up(report(ENDPOINT_OPEN, 0, 1), 40, &why));
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 10, 1), 59, &why));
    cr_expect_not(gives_up(report(ENDPOINT_CLOSED, 10, 1), 109, &why));
    cr_expect(gives_up(report(ENDPOINT_CLOSED, 11, 1), 109, &why));
}

Test(closed_times, another_day_is_named) {
    stop_limits_t limits = {.give_up_ms = 1000};
    endpoint_report_t r = report(ENDPOINT_CLOSED, 2 * 86400, 0);
    err_t why;
    cr_expect(closed_times_give_up(times, &limits, &r, 1, SECOND, 0, &why));
    cr_expect(strstr(why.text, "the next try is at 1970-01-03 00:00:00 (in 48h00m)"), "%s", why.text);
}
