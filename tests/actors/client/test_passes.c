/* The passes of a run: which one it is, where its rows stop, and which rows the next one has. */
#include "actors/client/passes.h"

#include <criterion/criterion.h>

Test(passes, a_run_without_batch_mode_is_one_pass_that_stops_nowhere) {
    passes_t *p = passes_new(NULL, 0);
    cr_expect_eq(passes_count(p), 1);
    cr_expect_eq(passes_number(p), 1);
    cr_expect(passes_is_last(p));
    cr_expect_eq(passes_stop(p), 0);
    cr_expect_not(passes_take(p, 4), "nothing waits for a next one");
    cr_expect_eq(passes_parked(p), 0);
    passes_destroy(&p);
    cr_expect_null(p);
}

Test(passes, each_but_the_last_stops_before_a_block) {
    const uint32_t stops[] = {2, 5};
    passes_t *p = passes_new(stops, 2);
    const uint32_t expected[] = {2, 5, 0};
    cr_expect_eq(passes_count(p), 3);
    for (uint64_t i = 0; i < 3; i++) {
        cr_expect_eq(passes_number(p), i + 1);
        cr_expect_eq(passes_stop(p), expected[i]);
        cr_expect_eq(passes_is_last(p), i == 2);
        if (passes_is_last(p)) break;
        rangeset_t *rows = passes_next(p);
        rangeset_destroy(&rows);
    }
    passes_destroy(&p);
}

Test(passes, the_rows_of_the_next_are_those_parked_in_this_one) {
    const uint32_t stops[] = {1};
    passes_t *p = passes_new(stops, 1);
    cr_expect(passes_take(p, 9));
    cr_expect(passes_take(p, 3));
    cr_expect_not(passes_take(p, 9), "it came twice");
    cr_expect_eq(passes_parked(p), 2);
    rangeset_t *rows = passes_next(p);
    cr_expect(rangeset_count(rows) == 2 && rangeset_has(rows, 3) && rangeset_has(rows, 9));
    cr_expect_eq(passes_parked(p), 0);
    rangeset_destroy(&rows);
    passes_destroy(&p);
}
