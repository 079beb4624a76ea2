/* test_wait_clock.c - what of a row's time is waiting. */
#include "core/sched/wait_clock.h"

#include <criterion/criterion.h>

#include "core/base/clock.h"

Test(wait_clock, a_request_in_flight_is_work) {
    wait_clock_t clock = {0};
    wait_clock_start(&clock, 10 * SECOND);
    cr_expect_eq(wait_clock_moves(&clock, 12 * SECOND, 2 * SECOND), 0);
    cr_expect_eq(wait_clock_stop(&clock, 15 * SECOND, 5 * SECOND), 0);
    cr_expect_eq(wait_clock_pay(&clock), 0);
}

Test(wait_clock, the_alarm_moves_by_what_was_waited_and_the_row_learns_of_all_of_it) {
    wait_clock_t clock = {0};
    wait_clock_start(&clock, 10 * SECOND);
    cr_expect_eq(wait_clock_moves(&clock, 13 * SECOND, SECOND), 2 * SECOND);
    cr_expect_eq(wait_clock_moves(&clock, 15 * SECOND, 2 * SECOND), SECOND, "what is new");
    cr_expect_eq(wait_clock_stop(&clock, 20 * SECOND, 3 * SECOND), 4 * SECOND);
    cr_expect_eq(wait_clock_pay(&clock), 7 * SECOND);
    cr_expect_eq(wait_clock_pay(&clock), 0, "once");
}

Test(wait_clock, waiting_adds_up_until_the_row_runs) {
    wait_clock_t clock = {0};
    wait_clock_start(&clock, SECOND);
    wait_clock_stop(&clock, 3 * SECOND, SECOND);
    wait_clock_start(&clock, 5 * SECOND);
    wait_clock_stop(&clock, 7 * SECOND, 0);
    cr_expect_eq(wait_clock_pay(&clock), 3 * SECOND);
}

Test(wait_clock, one_that_stands_knows_of_no_waiting) {
    wait_clock_t clock = {0};
    cr_expect_eq(wait_clock_moves(&clock, SECOND, 0), 0);
    cr_expect_eq(wait_clock_stop(&clock, SECOND, 0), 0);
    wait_clock_start(&clock, SECOND);
    wait_clock_stop(&clock, 2 * SECOND, 0);
    cr_expect_eq(wait_clock_stop(&clock, 9 * SECOND, 0), 0);
    cr_expect_eq(wait_clock_pay(&clock), SECOND);
}

Test(wait_clock, clocks_that_differ_a_little_do_no_harm) {
    wait_clock_t clock = {0};
    wait_clock_start(&clock, 10 * SECOND);
    cr_expect_eq(wait_clock_moves(&clock, 9 * SECOND, 0), 0);
    cr_expect_eq(wait_clock_moves(&clock, 11 * SECOND, 5 * SECOND), 0, "more work than time");
    cr_expect_eq(wait_clock_moves(&clock, 12 * SECOND, 0), 2 * SECOND);
    cr_expect_eq(wait_clock_moves(&clock, 12 * SECOND, SECOND), 0, "what was allowed is not taken back");
    cr_expect_eq(wait_clock_stop(&clock, 12 * SECOND, SECOND), 0);
    cr_expect_eq(wait_clock_pay(&clock), 2 * SECOND);
}

/* Three requests: from 0 to 100, from 50 to 120, and one that was in flight from 200 to 230. */
Test(wait_clock, of_several_requests_the_time_in_which_one_is_in_flight_is_work) {
    wait_clock_t c = {0};
    wait_clock_start(&c, 0);
    cr_assert_eq(wait_clock_work(&c, 60, 60), 60);
    wait_clock_worked(&c, 100, 100);
    cr_assert_eq(wait_clock_work(&c, 110, 60), 110);
    wait_clock_worked(&c, 120, 70);
    cr_assert_eq(wait_clock_work(&c, 180, 0), 120);
    cr_assert_eq(wait_clock_moves(&c, 180, wait_clock_work(&c, 180, 0)), 60);
    wait_clock_worked(&c, 230, 30);
    cr_assert_eq(wait_clock_work(&c, 230, 0), 150);
    cr_assert_eq(wait_clock_stop(&c, 230, wait_clock_work(&c, 230, 0)), 20);
    cr_assert_eq(wait_clock_pay(&c), 80);
    wait_clock_start(&c, 300);
    cr_assert_eq(wait_clock_work(&c, 310, 50), 10);
}
