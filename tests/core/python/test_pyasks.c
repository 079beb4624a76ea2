/* The questions of one call: found once, and bounded in number and bytes. */
#include "core/python/pyasks.h"

#include <criterion/criterion.h>

#include "core/python/limits.h"

Test(pyasks, a_question_is_open_until_it_is_taken) {
    py_asks_t asks = {0};
    cr_assert_null(py_asks_add(&asks, 7, 10));
    cr_assert_null(py_asks_add(&asks, -7, 20));
    cr_assert_not_null(py_asks_add(&asks, 7, 10));
    cr_assert_eq(asks.bytes, 30);
    cr_assert(py_asks_take(&asks, 7));
    cr_assert_not(py_asks_take(&asks, 7));
    cr_assert_eq(asks.count, 1);
    cr_assert_eq(asks.bytes, 20);
    cr_assert_null(py_asks_add(&asks, 7, 10));
    py_asks_clear(&asks);
    cr_assert_eq(asks.count, 0);
    cr_assert_not(py_asks_take(&asks, -7));
}

Test(pyasks, there_are_only_so_many) {
    py_asks_t asks = {0};
    for (int i = 0; i < PY_ASKS_OPEN_MAX; i++)
        cr_assert_null(py_asks_add(&asks, i, 1));
    cr_assert_not_null(py_asks_add(&asks, PY_ASKS_OPEN_MAX, 1));
    cr_assert(py_asks_take(&asks, 17));
    cr_assert_not_null(py_asks_add(&asks, 17, PY_ASKS_BYTES_MAX));
    cr_assert_null(py_asks_add(&asks, 17, PY_ASKS_BYTES_MAX - asks.bytes));
    cr_assert_not_null(py_asks_add(&asks, 18, 0) ? "full" : NULL);
    py_asks_clear(&asks);
}
