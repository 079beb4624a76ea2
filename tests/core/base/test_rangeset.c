/* Sets of row numbers as runs: checked against a plain array of flags. */
#include "core/base/rangeset.h"

#include "core/base/rng.h"

#include <criterion/criterion.h>

Test(rangeset, rows_in_order_are_one_run) {
    rangeset_t *set = rangeset_new();
    for (uint64_t n = 0; n < 100000; n++)
        cr_assert(rangeset_add(set, n));
    cr_assert_eq(rangeset_runs(set), 1);
    cr_assert_eq(rangeset_count(set), 100000);
    cr_assert_not(rangeset_add(set, 5));
    cr_assert_eq(rangeset_first_absent(set, 0), 100000);
    rangeset_destroy(&set);
    cr_assert_null(set);
}

Test(rangeset, runs_join) {
    rangeset_t *set = rangeset_new();
    rangeset_add(set, 1), rangeset_add(set, 3);
    cr_assert_eq(rangeset_runs(set), 2);
    cr_assert_eq(rangeset_first_absent(set, 1), 2);
    rangeset_add(set, 2);
    cr_assert_eq(rangeset_runs(set), 1);
    rangeset_destroy(&set);
}

Test(rangeset, the_ends_of_the_range_work) {
    rangeset_t *set = rangeset_new();
    cr_assert(rangeset_add(set, UINT64_MAX));
    cr_assert(rangeset_add(set, 0));
    cr_assert(rangeset_has(set, UINT64_MAX) && rangeset_has(set, 0));
    cr_assert_eq(rangeset_runs(set), 2);
    cr_assert_eq(rangeset_count(set), 2);
    rangeset_destroy(&set);
    rangeset_destroy(&set); /* twice is fine */
}

enum { SPACE = 64 };

/* Everything that the set says of the numbers below SPACE must be what the model says. */
static void check_all(const rangeset_t *set, const bool *model) {
    uint64_t count = 0;
    size_t runs = 0;
    for (uint64_t n = 0; n < SPACE; n++) {
        cr_assert_eq(rangeset_has(set, n), model[n]);
        uint64_t absent = n;
        while (absent < SPACE && model[absent])
            absent++;
        cr_assert_eq(rangeset_first_absent(set, n), absent);
        count += model[n];
        runs += model[n] && (n == 0 || !model[n - 1]);
    }
    cr_assert_eq(rangeset_count(set), count);
    cr_assert_eq(rangeset_runs(set), runs);
}

Test(rangeset, random_changes_agree_with_a_plain_model) {
    rng_t rng;
    rng_seed(&rng, 1, 1);
    for (int round = 0; round < 30; round++) {
        rangeset_t *set = rangeset_new();
        bool model[SPACE] = {false};
        for (int i = 0; i < 100; i++) {
            uint64_t n = (uint64_t)rng_between(&rng, 0, SPACE - 1);
            cr_assert_eq(rangeset_add(set, n), !model[n]);
            model[n] = true;
            check_all(set, model);
        }
        rangeset_destroy(&set);
    }
}

Test(rangeset, next_walks_over_gaps) {
    rangeset_t *set = rangeset_new();
    uint64_t n = 99;
    cr_assert_not(rangeset_next(set, 0, &n));
    rangeset_add(set, 3);
    rangeset_add(set, 4);
    cr_assert_not(rangeset_next(set, 5, &n));
    rangeset_add(set, UINT64_MAX);
    cr_assert(rangeset_next(set, 0, &n) && n == 3);
    cr_assert(rangeset_next(set, 4, &n) && n == 4);
    cr_assert(rangeset_next(set, 5, &n) && n == UINT64_MAX);
    rangeset_destroy(&set);
}
