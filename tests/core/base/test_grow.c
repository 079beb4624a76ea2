/* Growing arrays: room for what is asked, elements kept, few copies. */
#include "core/base/grow.h"

#include <criterion/criterion.h>

Test(grow, an_array_grows_from_nothing_and_keeps_its_elements) {
    uint64_t *numbers = NULL;
    uint32_t cap = 0, count = 0, moves = 0;
    for (uint64_t n = 0; n < 10000; n++) {
        uint32_t before = cap;
        GROW(numbers, cap, count + 1);
        cr_assert_geq(cap, count + 1);
        if (cap != before) moves++;
        numbers[count++] = n;
    }
    for (uint64_t n = 0; n < 10000; n++)
        cr_assert_eq(numbers[n], n);
    cr_assert_leq(moves, 13, "each growth doubles");
    free(numbers);
}

Test(grow, many_elements_at_once_fit) {
    char *bytes = NULL;
    size_t cap = 0;
    GROW(bytes, cap, 1000);
    cr_assert_geq(cap, 1000);
    char *before = bytes;
    GROW(bytes, cap, 1000);
    cr_assert_eq(bytes, before, "what fits already stays where it is");
    free(bytes);
}
