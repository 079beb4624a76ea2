/* test_units.c - what a worker tells of its units, when it is news, and which rows go back. */
#include <criterion/criterion.h>

#include "core/sched/units.h"

Test(units, rows_that_have_begun_and_hold_none_wait) {
    units_held_t held = units_held(8, 5, 12, false);
    cr_assert_eq(held.permit, 8);
    cr_assert_eq(held.used, 5);
    cr_assert_eq(held.waiting, 7);
}

Test(units, one_row_may_hold_a_unit_while_it_is_being_started) {
    cr_assert_eq(units_held(8, 5, 4, false).waiting, 0);
}

Test(units, a_worker_that_drains_keeps_a_unit_for_each_row) {
    units_held_t held = units_held(8, 5, 12, true);
    cr_assert_eq(held.permit, 0);
    cr_assert_eq(held.used, 12);
    cr_assert_eq(held.waiting, 7);
}

static bool is_news(uint64_t allowed, units_held_t told, units_held_t now) {
    return units_are_news(&told, &now, allowed);
}

Test(units, fewer_in_use_is_news_while_more_are_in_use_than_permitted) {
    cr_assert(is_news(4, (units_held_t){4, 6, 0}, (units_held_t){4, 5, 0}));
    cr_assert(is_news(4, (units_held_t){4, 6, 0}, (units_held_t){4, 4, 0}));
    cr_assert_not(is_news(4, (units_held_t){4, 4, 0}, (units_held_t){4, 3, 0}), "nobody waits for it");
    cr_assert_not(is_news(4, (units_held_t){4, 6, 0}, (units_held_t){4, 6, 0}));
}

Test(units, rows_that_wait_are_news_in_steps_of_an_eighth) {
    cr_assert_not(is_news(64, (units_held_t){64, 0, 10}, (units_held_t){64, 0, 18}));
    cr_assert(is_news(64, (units_held_t){64, 0, 10}, (units_held_t){64, 0, 19}));
    cr_assert_not(is_news(64, (units_held_t){64, 0, 10}, (units_held_t){64, 0, 2}));
    cr_assert(is_news(64, (units_held_t){64, 0, 10}, (units_held_t){64, 0, 1}));
    cr_assert(is_news(1, (units_held_t){1, 0, 0}, (units_held_t){1, 0, 2}), "the least step is one row");
    cr_assert_not(is_news(1, (units_held_t){1, 0, 0}, (units_held_t){1, 0, 1}));
}

Test(units, rows_go_back_that_can_never_go_on) {
    cr_assert(units_never_come(0, false, false), "no unit for this worker");
    cr_assert(units_never_come(4, true, true), "it drains and may not call");
    cr_assert_not(units_never_come(4, true, false));
    cr_assert_not(units_never_come(4, false, true), "the endpoint may open again");
}
