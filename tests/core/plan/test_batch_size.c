/* How many rows batch mode runs at once. */
#include "core/plan/batch_size.h"

#include <criterion/criterion.h>

static batch_size_t size_of(uint64_t min, uint64_t max) {
    batch_size_t b;
    batch_size_init(&b, min, max, 1000);
    return b;
}

Test(batch_size, starts_at_the_most) {
    cr_assert_eq(size_of(1, 64).current, 64);
    cr_assert_eq(size_of(0, 0).current, 1);
    cr_assert_eq(size_of(9, 4).min, 4);
}

Test(batch_size, decides_after_a_batch) {
    batch_size_t b = size_of(1, 8);
    for (int i = 0; i < 7; i++) {
        batch_size_add(&b, 1, 0, 2000000);
        cr_assert_eq(b.current, 8);
    }
    batch_size_add(&b, 1, 0, 2000000);
    cr_assert_eq(b.current, 7, "slower than wanted: one less");
}

Test(batch_size, failures_take_two) {
    batch_size_t b = size_of(1, 10);
    batch_size_add(&b, 10, 1, 9 * 1000);
    cr_assert_eq(b.current, 8);
    batch_size_add(&b, 100, 5, 95 * 900000);
    cr_assert_eq(b.current, 8, "five per cent are borne, and 900 ms are neither slow nor fast");
}

Test(batch_size, grows_when_there_is_room) {
    batch_size_t b = size_of(1, 4);
    b.current = 2;
    batch_size_add(&b, 2, 0, 2 * 699999);
    cr_assert_eq(b.current, 3);
    batch_size_add(&b, 3, 0, 3 * 700000);
    cr_assert_eq(b.current, 3);
    for (int i = 0; i < 100; i++)
        batch_size_add(&b, 4, 0, 4);
    cr_assert_eq(b.current, 4, "never above the most");
}

Test(batch_size, never_below_the_least) {
    batch_size_t b = size_of(3, 4);
    for (int i = 0; i < 100; i++)
        batch_size_add(&b, 4, 4, 0);
    cr_assert_eq(b.current, 3);
}

Test(batch_size, more_failures_than_requests_are_all_of_them) {
    batch_size_t b = size_of(1, 4);
    batch_size_add(&b, 4, 40, 0);
    cr_assert_eq(b.current, 2);
}

Test(batch_size, no_minimum_is_too_large) {
    batch_size_t b;
    batch_size_init(&b, UINT64_MAX - 1, UINT64_MAX, 0);
    b.requests = UINT64_MAX - 1;
    batch_size_add(&b, 1, 0, UINT64_MAX);
    cr_expect_eq(b.current, UINT64_MAX - 1, "one fewer, and not below the least");
}
