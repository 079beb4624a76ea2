/* How the endpoints of a run fare, over the jobs of its passes. */
#include "actors/monitor/endpoints.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t MS = 1000000;

static endpoint_report_t report_of(uint64_t id, const char *address, uint64_t requests) {
    endpoint_report_t r = {.endpoint = id, .requests = requests, .in_flight = 2, .answered_ms = 100};
    strcpy(r.address, address);
    r.retries[LLM_CAUSE_SERVER] = requests / 10;
    return r;
}

Test(endpoints, ages_go_on_and_counters_of_earlier_jobs_stay) {
    endpoints_t *e = calloc(1, sizeof *e);
    endpoint_report_t first = report_of(1, "http://a", 50), second = report_of(1, "http://a", 20);
    endpoints_take(e, 7, &first, 1, 1000 * MS);
    endpoints_refresh(e, 1500 * MS);
    cr_expect_eq(e->now[0].answered_ms, 600);
    cr_expect_eq(endpoints_requests(e), 50);
    endpoints_take(e, 8, &second, 1, 2000 * MS); /* the next pass is another job */
    cr_expect_eq(e->now_count, 1);
    cr_expect_eq(endpoints_requests(e), 70);
    cr_expect_eq(endpoints_retries(e, LLM_CAUSE_SERVER), 7);
    cr_expect_eq(e->now[0].in_flight, 2, "of the job that runs");
    second.requests = 25;
    endpoints_take(e, 8, &second, 1, 3000 * MS);
    cr_expect_eq(endpoints_requests(e), 75, "absolute, not added twice");
    endpoints_end(e, 4000 * MS);
    cr_expect_eq(endpoints_requests(e), 75);
    cr_expect_eq(e->now[0].in_flight, 0);
    free(e);
}

/* `sdg serve` says the endpoints of all its jobs together: what a job that is over has counted leaves them.
 */
Test(endpoints, what_is_counted_from_the_beginning_is_added) {
    endpoints_t *e = calloc(1, sizeof *e);
    endpoint_report_t first = report_of(1, "http://a", 50), other = report_of(2, "http://b", 5),
                      second = report_of(1, "http://a", 20);
    endpoints_take(e, 0, &first, 1, 1000 * MS);
    endpoints_take(e, 0, &other, 1, 2000 * MS);
    cr_expect_eq(endpoints_requests(e), 55);
    endpoints_take(e, 0, NULL, 0, 3000 * MS);
    cr_expect_eq(endpoints_requests(e), 55);
    cr_expect_eq(e->now[0].in_flight, 0, "nothing runs");
    endpoints_take(e, 0, &second, 1, 4000 * MS);
    second.requests = 10;
    endpoints_take(e, 0, &second, 1, 5000 * MS);
    cr_expect_eq(endpoints_requests(e), 85);
    free(e);
}

Test(endpoints, a_name_is_the_first_address_and_is_unique) {
    endpoints_t *e = calloc(1, sizeof *e);
    endpoint_report_t two[2] = {report_of(1, "http://a", 1), report_of(2, "http://a", 1)};
    endpoints_take(e, 7, two, 2, MS);
    cr_expect_str_eq(endpoints_name(e, 1), "http://a");
    cr_expect_str_eq(endpoints_name(e, 2), "http://a #2");
    strcpy(two[0].address, "http://replica");
    endpoints_take(e, 7, two, 2, 2 * MS);
    cr_expect_str_eq(endpoints_name(e, 1), "http://a", "a counter keeps its label");
    cr_expect_null(endpoints_name(e, 3));
    free(e);
}

Test(endpoints, more_than_a_report_may_have_is_left_out) {
    endpoints_t *e = calloc(1, sizeof *e);
    endpoint_report_t *many = calloc(ENDPOINT_REPORTS_MAX + 5, sizeof *many);
    for (uint64_t i = 0; i < ENDPOINT_REPORTS_MAX + 5; i++)
        many[i] = report_of(i, "http://x", 1);
    for (uint64_t job = 1; job < 4; job++)
        endpoints_take(e, job, many + job, ENDPOINT_REPORTS_MAX + 1, job * MS);
    cr_expect_eq(e->now_count, ENDPOINT_REPORTS_MAX);
    free(many);
    free(e);
}
