/* Who runs next: turns in their order, alarms in that of their times. */
#include "core/sched/agenda.h"

#include <criterion/criterion.h>

typedef struct runner {
    int number;
    agenda_entry_t entry;
} runner_t;

static int number_of(agenda_entry_t *entry) {
    return entry ? RING_OWNER(entry, runner_t, entry)->number : -1;
}

Test(agenda, turns_come_in_the_order_they_were_taken) {
    agenda_t *agenda = agenda_new();
    runner_t r[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    cr_assert_eq(agenda_wait_ns(agenda, 5), UINT64_MAX);
    for (int i = 0; i < 3; i++)
        agenda_add_turn(agenda, &r[i].entry);
    agenda_add_turn(agenda, &r[0].entry); /* has one already */
    cr_assert_eq(agenda_turns(agenda), 3);
    cr_assert_eq(agenda_wait_ns(agenda, 5), 0);
    cr_assert_eq(number_of(agenda_take_turn(agenda)), 0);
    agenda_add_turn(agenda, &r[0].entry); /* behind the others */
    cr_assert_eq(number_of(agenda_take_turn(agenda)), 1);
    cr_assert_eq(number_of(agenda_take_turn(agenda)), 2);
    cr_assert_eq(number_of(agenda_take_turn(agenda)), 0);
    cr_assert_null(agenda_take_turn(agenda));
    agenda_destroy(&agenda);
    cr_assert_null(agenda);
}

Test(agenda, an_alarm_comes_when_it_is_due_and_once) {
    agenda_t *agenda = agenda_new();
    runner_t r[2] = {{.number = 0}, {.number = 1}};
    agenda_set_alarm(agenda, &r[0].entry, 200);
    agenda_set_alarm(agenda, &r[1].entry, 100);
    cr_assert_null(agenda_take_alarm(agenda, 99));
    cr_assert_eq(agenda_wait_ns(agenda, 40), 60);
    cr_assert_eq(number_of(agenda_take_alarm(agenda, 300)), 1);
    cr_assert_eq(number_of(agenda_take_alarm(agenda, 300)), 0);
    cr_assert_null(agenda_take_alarm(agenda, 300));
    agenda_destroy(&agenda);
}

Test(agenda, an_entry_has_one_alarm_the_last_that_was_set) {
    agenda_t *agenda = agenda_new();
    runner_t r = {.number = 7};
    agenda_set_alarm(agenda, &r.entry, 100);
    agenda_set_alarm(agenda, &r.entry, 100);
    agenda_set_alarm(agenda, &r.entry, 300);
    cr_assert_null(agenda_take_alarm(agenda, 299));
    agenda_set_alarm(agenda, &r.entry, 50);
    cr_assert_eq(number_of(agenda_take_alarm(agenda, 60)), 7);
    agenda_set_alarm(agenda, &r.entry, 50); /* the same time again is a new alarm */
    cr_assert_eq(number_of(agenda_take_alarm(agenda, 60)), 7);
    agenda_set_alarm(agenda, &r.entry, 50);
    agenda_set_alarm(agenda, &r.entry, UINT64_MAX);
    cr_assert_null(agenda_take_alarm(agenda, UINT64_MAX));
    agenda_destroy(&agenda);
}

Test(agenda, what_is_removed_leaves_nothing_behind) {
    agenda_t *agenda = agenda_new();
    runner_t r[2] = {{.number = 0}, {.number = 1}};
    for (int i = 0; i < 2; i++) {
        agenda_add_turn(agenda, &r[i].entry);
        agenda_set_alarm(agenda, &r[i].entry, 10);
    }
    agenda_remove(agenda, &r[0].entry);
    agenda_remove(agenda, &r[0].entry);
    cr_assert_eq(agenda_turns(agenda), 1);
    cr_assert_eq(number_of(agenda_take_turn(agenda)), 1);
    cr_assert_eq(number_of(agenda_take_alarm(agenda, 10)), 1);
    cr_assert_null(agenda_take_alarm(agenda, 10));
    agenda_destroy(&agenda);
}
