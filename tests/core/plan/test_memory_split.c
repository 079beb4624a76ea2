/* The shares of --memory-limit. */
#include "core/plan/memory_split.h"

#include <criterion/criterion.h>

Test(memory_split, all_of_it_and_no_more) {
    memory_split_t s = memory_split(UINT64_C(256) << 20, 4);
    cr_assert_eq(2 * s.window_bytes + 4 * s.worker_bytes + s.store_bytes, UINT64_C(256) << 20);
    cr_assert_eq(s.row_bytes_max, UINT64_C(32) << 20);
}

Test(memory_split, no_limit_is_no_share) {
    memory_split_t s = memory_split(0, 2);
    cr_assert(!s.window_bytes && !s.worker_bytes && !s.store_bytes && !s.row_bytes_max);
}

Test(memory_split, no_workers_yet_is_one) { cr_assert_eq(memory_split(800, 0).worker_bytes, 400); }
