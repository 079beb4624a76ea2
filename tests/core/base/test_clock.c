/* Clocks: units and direction. */
#include "core/base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, monotonic_time_does_not_go_back) {
    uint64_t a = clock_now_ns(), b = clock_now_ns();
    cr_assert_leq(a, b);
}

Test(clock, unix_time_is_in_milliseconds) {
    int64_t before = (int64_t)time(NULL), ms = clock_unix_ms(), after = (int64_t)time(NULL);
    cr_assert(ms / 1000 >= before - 1 && ms / 1000 <= after + 1);
}
