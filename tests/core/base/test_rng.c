/* Repeatable random numbers. */
#include "core/base/rng.h"

#include <criterion/criterion.h>

Test(rng, the_same_seed_gives_the_same_sequence) {
    rng_t a, b;
    rng_seed(&a, 42, 7);
    rng_seed(&b, 42, 7);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(rng_next(&a), rng_next(&b));
}

Test(rng, the_generator_is_xoshiro256starstar) {
    rng_t r = {{1, 2, 3, 4}}; /* first outputs computed by hand from the published algorithm */
    cr_assert_eq(rng_next(&r), 11520u);
    cr_assert_eq(rng_next(&r), 0u);
    cr_assert_eq(rng_next(&r), 1509978240u);
}

Test(rng, rows_and_seeds_have_their_own_sequences) {
    rng_t a, b, c;
    rng_seed(&a, 1, 0);
    rng_seed(&b, 1, 1);
    rng_seed(&c, 2, 0);
    uint64_t x = rng_next(&a), y = rng_next(&b), z = rng_next(&c);
    cr_assert(x != y && x != z && y != z);
}

Test(rng, numbers_stay_between_their_bounds_and_reach_them) {
    rng_t r;
    rng_seed(&r, 3, 3);
    int seen[7] = {0};
    for (int i = 0; i < 10000; i++) {
        int64_t n = rng_between(&r, -3, 3);
        cr_assert(n >= -3 && n <= 3);
        seen[n + 3]++;
    }
    for (int i = 0; i < 7; i++)
        cr_assert(seen[i] > 1200 && seen[i] < 1660, "%d: %d", i, seen[i]); /* 1428 expected; fixed seed */
    cr_assert_eq(rng_between(&r, 5, 5), 5);
    rng_between(&r, INT64_MIN, INT64_MAX);
    cr_assert_leq(rng_between(&r, INT64_MIN, INT64_MIN + 1), INT64_MIN + 1);
}

Test(rng, reals_lie_in_the_unit_interval) {
    rng_t r;
    rng_seed(&r, 9, 9);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double x = rng_real(&r);
        cr_assert(x >= 0 && x < 1);
        sum += x;
    }
    cr_assert(sum > 4900 && sum < 5100);
}

Test(rng, entropy_differs) { cr_assert_neq(rng_entropy(), rng_entropy()); }
