/* The guideline of --auto-tune: documented numbers by size, fitted to what runs at once, to the rows and to
 * memory. */
#include "core/plan/tune.h"

#include <criterion/criterion.h>

#include "core/plan/limits.h"

static tune_t choose(uint64_t rows, uint64_t row_bytes, uint64_t concurrency) {
    tune_facts_t facts = {.rows = rows, .row_bytes = row_bytes, .concurrency = concurrency};
    tune_t t;
    tune_choose(&facts, &t);
    return t;
}

Test(tune, the_documented_numbers_with_the_default_concurrency) {
    tune_t small = choose(999, 200, 8), medium = choose(1000, 200, 8), large = choose(10001, 200, 8);
    cr_assert_eq(small.size, TUNE_SMALL);
    cr_assert_not(small.scheduling || small.memory_optimization || small.memory_monitoring);
    cr_assert_eq(small.max_pending + small.chunk + small.cache + small.gc_interval, 0);
    cr_assert_eq(medium.size, TUNE_MEDIUM);
    cr_assert(medium.scheduling && medium.memory_optimization && !medium.memory_monitoring);
    cr_assert_eq(medium.max_pending, 100);
    cr_assert_eq(medium.chunk, 50);
    cr_assert_eq(medium.cache, 500);
    cr_assert_eq(medium.max_pending_by, TUNE_BY_TABLE);
    cr_assert_eq(large.size, TUNE_LARGE);
    cr_assert(large.scheduling && large.memory_optimization && large.memory_monitoring);
    cr_assert_eq(large.max_pending, 500);
    cr_assert_eq(large.chunk, 200);
    cr_assert_eq(large.cache, 1000);
    cr_assert_eq(large.gc_interval, 100);
}

Test(tune, borders) {
    cr_assert_eq(choose(1, 0, 1).size, TUNE_SMALL);
    cr_assert_eq(choose(10000, 0, 1).size, TUNE_MEDIUM);
    cr_assert_eq(choose(UINT64_MAX, 0, 1).size, TUNE_LARGE);
}

Test(tune, unknown_rows_get_the_bounds_of_large_inputs) {
    tune_t t = choose(0, 0, 8);
    cr_assert_eq(t.size, TUNE_UNKNOWN);
    cr_assert_eq(t.max_pending, 500);
    cr_assert_eq(t.cache, 1000);
    cr_assert(t.memory_monitoring);
}

Test(tune, the_window_keeps_the_concurrency_busy) {
    tune_t t = choose(1224, 160, 64);
    cr_assert_eq(t.max_pending, 640);
    cr_assert_eq(t.max_pending_by, TUNE_BY_CONCURRENCY);
    cr_assert_eq(t.chunk, 128, "20 %% of the window");
    cr_assert_eq(t.chunk_by, TUNE_BY_PENDING);
    cr_assert_eq(choose(1000000, 160, 4096).max_pending, 40960);
}

Test(tune, the_window_is_not_larger_than_the_input) {
    tune_t t = choose(1500, 160, 1000);
    cr_assert_eq(t.max_pending, 1500);
    cr_assert_eq(t.max_pending_by, TUNE_BY_ROWS);
}

Test(tune, large_rows_make_the_window_smaller_but_not_too_small) {
    tune_t t = choose(100000, 1 << 20, 8);
    cr_assert_eq(t.max_pending, PENDING_BYTES_DEFAULT >> 20);
    cr_assert_eq(t.max_pending_by, TUNE_BY_BYTES);
    t = choose(100000, 16 << 20, 8);
    cr_assert_eq(t.max_pending, 5 * 8,
                 "five for each that runs, whatever they hold: bytes have a bound of their own");
    cr_assert_eq(t.cache, 8, "and a context for each that runs");
}

Test(tune, the_cache_grows_with_the_input_within_bounds) {
    cr_assert_eq(choose(100000, 100, 8).cache, 5000);
    cr_assert_eq(choose(100000, 100, 8).cache_by, TUNE_BY_ROWS);
    cr_assert_eq(choose(10000000, 100, 8).cache, TUNE_CACHE_ROWS_MAX);
    cr_assert_eq(choose(10000000, 1 << 20, 8).cache, TUNE_CACHE_BYTES_MAX >> 20);
}

Test(tune, the_chunk_follows_a_window_that_was_given) {
    tune_facts_t facts = {.rows = 50000, .row_bytes = 100, .concurrency = 8, .max_pending = 40};
    tune_t t;
    tune_choose(&facts, &t);
    cr_assert_eq(t.max_pending, 40);
    cr_assert_eq(t.max_pending_by, TUNE_BY_USER);
    cr_assert_eq(t.chunk, 20);
}

Test(tune, holds_its_promises_for_all_facts) {
    static const uint64_t rows[] = {0, 1, 999, 1000, 5000, 10000, 10001, 123456, 1u << 30},
                          bytes[] = {0, 1, 500, 65536, 8u << 20};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++)
            for (uint64_t running = 1; running <= 65536; running *= 4) {
                tune_t t = choose(rows[i], bytes[k], running);
                if (!t.scheduling) continue;
                cr_assert(t.max_pending >= (rows[i] && rows[i] < 5 * running ? rows[i] : 5 * running));
                cr_assert(t.chunk >= 1 && t.chunk * 5 >= t.max_pending && t.chunk * 2 <= t.max_pending + 1);
                cr_assert(t.cache >= running && (t.cache <= TUNE_CACHE_ROWS_MAX || t.cache == running));
            }
}

Test(tune, the_largest_numbers_that_a_flag_takes) {
    tune_facts_t facts = {.rows = 1 << 20, .concurrency = UINT64_MAX, .max_pending = UINT64_MAX};
    tune_t t;
    tune_choose(&facts, &t);
    cr_assert_eq(t.max_pending, UINT64_MAX);
    cr_assert_eq(t.chunk, UINT64_MAX / 5);
    facts.max_pending = 0;
    facts.rows = 0;
    tune_choose(&facts, &t);
    cr_assert(t.max_pending > UINT64_MAX / 2 && t.chunk > UINT64_MAX / 20);
}
