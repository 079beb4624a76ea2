/* Sets of row numbers as runs: checked against a plain array of flags. */
#include "core/base/rangeset.h"

#include "core/base/error.h"
#include "core/base/rng.h"

#include <criterion/criterion.h>
#include <stdlib.h>

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

enum { WIDE = 30000 };

/* The numbers below WIDE in an order by chance. */
static uint64_t *shuffled(uint64_t seed) {
    rng_t rng;
    uint64_t *all = xcalloc(WIDE, sizeof *all);
    rng_seed(&rng, seed, 1);
    for (size_t i = 0; i < WIDE; i++) {
        size_t k = (size_t)rng_between(&rng, 0, (int64_t)i);
        all[i] = all[k];
        all[k] = i;
    }
    return all;
}

/* Goes from run to run and compares them with the model. */
static void check_runs(const rangeset_t *set, const bool *model) {
    uint64_t count = 0, n;
    size_t runs = 0;
    for (uint64_t from = 0; rangeset_next(set, from, &n); runs++) {
        for (uint64_t gap = from; gap < n; gap++)
            cr_assert_not(model[gap]);
        from = rangeset_first_absent(set, n);
        for (uint64_t k = n; k < from; k++)
            cr_assert(model[k]);
        count += from - n;
    }
    cr_assert(rangeset_runs(set) == runs && rangeset_count(set) == count);
}

Test(rangeset, thousands_of_runs_come_and_go) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        rangeset_t *set = rangeset_new();
        bool *model = xcalloc(WIDE, sizeof *model);
        uint64_t *order = shuffled(seed), most = 0;
        for (size_t i = 0; i < WIDE; i++) {
            cr_assert(rangeset_add(set, order[i]));
            cr_assert_not(rangeset_add(set, order[i]));
            model[order[i]] = true;
            if (rangeset_runs(set) > most) most = rangeset_runs(set);
            if (i % 1000 == 999) check_runs(set, model);
        }
        cr_assert(most > WIDE / 5 && rangeset_runs(set) == 1 && rangeset_count(set) == WIDE);
        rangeset_destroy(&set);
        free(model);
        free(order);
    }
}

Test(rangeset, gaps_from_behind) {
    rangeset_t *set = rangeset_new();
    for (uint64_t n = WIDE; n > 0; n -= 2)
        cr_assert(rangeset_add(set, n));
    cr_assert_eq(rangeset_runs(set), WIDE / 2);
    for (uint64_t n = 1; n < WIDE; n += 2)
        cr_assert(rangeset_add(set, n));
    cr_assert(rangeset_runs(set) == 1 && rangeset_first_absent(set, 1) == WIDE + 1);
    rangeset_destroy(&set);
}

/* With one list of runs it took half a minute, because half of them moved for each number. */
Test(rangeset, a_million_rows_in_any_order, .timeout = 20) {
    enum { ROWS = 1 << 20 };
    rangeset_t *set = rangeset_new();
    for (uint64_t i = 0; i < ROWS; i++)
        cr_assert(rangeset_add(set, i * 386183 % ROWS)); /* odd, so each number comes once */
    cr_assert_eq(rangeset_runs(set), 1);
    rangeset_destroy(&set);
}
