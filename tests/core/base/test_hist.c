/* Histogram: percentiles with bounded error, merging. */
#include "core/base/hist.h"

#include <criterion/criterion.h>

Test(hist, percentiles_of_known_values) {
    hist_t h = {0};
    for (uint64_t us = 1; us <= 1000; us++)
        hist_add(&h, us);
    cr_assert_eq(h.count, 1000);
    cr_assert_eq(h.sum_us, 500500);
    cr_assert_eq(hist_percentile(&h, 100), 1000);
    uint64_t median = hist_percentile(&h, 50), tail = hist_percentile(&h, 99);
    cr_assert(median >= 500 && median < 535, "%lu", (unsigned long)median);
    cr_assert(tail >= 990 && tail <= 1000, "%lu", (unsigned long)tail);
    cr_assert_eq(hist_percentile(&h, 0), 1);
}

Test(hist, empty_is_zero) {
    hist_t h = {0};
    cr_assert_eq(hist_percentile(&h, 50), 0);
}

Test(hist, one_value_is_reported_within_seven_percent_at_any_size) {
    for (uint64_t us = 1; us < (uint64_t)1 << 32; us += us / 5 + 1) {
        hist_t h = {0};
        hist_add(&h, us);
        hist_add(&h, us * 2); /* so that max_us does not hide the edge */
        uint64_t p = hist_percentile(&h, 50);
        cr_assert(p >= us && (double)p <= (double)us * 1.07, "%lu gives %lu", (unsigned long)us,
                  (unsigned long)p);
    }
}

Test(hist, huge_values_clamp_to_the_last_bucket_but_keep_the_maximum) {
    hist_t h = {0};
    hist_add(&h, UINT64_MAX / 4);
    hist_add(&h, UINT32_MAX);
    cr_assert_eq(h.bucket[HIST_BUCKETS - 1], 2);
    cr_assert_eq(hist_percentile(&h, 100), UINT64_MAX / 4);
}

Test(hist, merging_is_adding) {
    hist_t a = {0}, b = {0}, both = {0};
    for (uint64_t us = 0; us < 5000; us += 7) {
        hist_add(us % 2 ? &a : &b, us);
        hist_add(&both, us);
    }
    hist_merge(&a, &b);
    cr_assert_arr_eq(&a, &both, sizeof a);
}

Test(hist, between_two_states_are_the_values_added) {
    hist_t before = {0}, after, got;
    hist_add(&before, 5);
    hist_add(&before, 90000);
    after = before;
    hist_add(&after, 700);
    hist_add(&after, 800);
    hist_between(&before, &after, &got);
    cr_assert_eq(got.count, 2);
    cr_assert_eq(got.sum_us, 1500);
    cr_assert(got.max_us >= 800 && got.max_us < 860, "%lu", (unsigned long)got.max_us);
    uint64_t median = hist_percentile(&got, 50);
    cr_assert(median >= 700 && median < 750, "%lu", (unsigned long)median);
}

Test(hist, counts_below_a_power_of_two_are_exact) {
    hist_t h = {0};
    for (uint64_t us = 1000; us < 3000; us++)
        hist_add(&h, us);
    cr_assert_eq(hist_count_below(&h, 10), 24);
    cr_assert_eq(hist_count_below(&h, 11), 1048);
    cr_assert_eq(hist_count_below(&h, 32), 2000);
    cr_assert_eq(hist_count_below(&h, 4), 0);
}

Test(hist, goes_through_numbers_and_back) {
    uint64_t numbers[HIST_NUMBERS_MAX];
    hist_t h = {0}, back;
    for (uint64_t us = 1; us < (uint64_t)1 << 33; us *= 3)
        hist_add(&h, us);
    size_t n = hist_to_numbers(&h, numbers);
    hist_from_numbers(&back, numbers, n);
    cr_assert_arr_eq(&back, &h, sizeof h);
    hist_from_numbers(&back, (uint64_t[]){1, 2, 1u << 20, 7, 3, 4}, 6);
    cr_assert_eq(back.count, 4, "a bucket that does not exist is dropped");
    hist_from_numbers(&back, numbers, 1);
    cr_assert_eq(back.count, 0);
}

Test(hist, a_bucket_that_comes_twice_in_a_message_is_counted_once) {
    static const uint64_t numbers[] = {100, 60, 5, 3, 5, 2, HIST_BUCKETS, 9, 7, 1, 8};
    hist_t h;
    hist_from_numbers(&h, numbers, sizeof numbers / sizeof *numbers);
    cr_expect_eq(h.count, 3);
    cr_expect_eq(h.bucket[5], 2);
    cr_expect_eq(hist_percentile(&h, 100), 60);
    cr_expect_eq(hist_percentile(&h, 50), 5);
}
