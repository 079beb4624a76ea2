/* test_permit.c - so many things at a time (core/base/permit). */
#include <criterion/criterion.h>

#include "core/base/permit.h"

Test(permit, as_many_as_are_allowed) {
    permit_t permit = {.allowed = 2};
    cr_expect_eq(permit_free(&permit), 2);
    cr_expect(permit_take(&permit));
    cr_expect(permit_take(&permit));
    cr_expect_not(permit_take(&permit));
    cr_expect_eq(permit.used, 2);
    permit_give(&permit);
    cr_expect_eq(permit_free(&permit), 1);
    cr_expect(permit_take(&permit));
}

Test(permit, nothing_is_allowed_at_first) {
    permit_t permit = {0};
    cr_expect_eq(permit_free(&permit), 0);
    cr_expect_not(permit_take(&permit));
    cr_expect_eq(permit.used, 0);
}

Test(permit, lowered_below_what_is_used) {
    permit_t permit = {.allowed = 3, .used = 3};
    permit.allowed = 1;
    for (int given = 1; given <= 2; given++) {
        permit_give(&permit);
        cr_expect_eq(permit_free(&permit), 0, "%d given back", given);
        cr_expect_not(permit_take(&permit));
    }
    permit_give(&permit);
    cr_expect_eq(permit_free(&permit), 1);
    permit.allowed = UINT32_MAX;
    cr_expect_eq(permit_free(&permit), UINT32_MAX);
}

Test(permit, what_is_lent_is_for_what_has_begun) {
    permit_t p = {.allowed = 2};
    cr_assert(permit_take(&p) && permit_take(&p));
    permit_lend(&p);
    cr_assert_eq(permit_free(&p), 1);
    cr_assert_eq(permit_free_for_new(&p), 0);
    cr_assert(permit_take(&p), "by one that has begun");
    cr_assert_not(permit_take_back(&p));
    permit_give(&p);
    cr_assert(permit_take_back(&p));
    cr_assert_eq(p.lent, 0);
    permit_lend(&p);
    permit_forgo(&p);
    cr_assert_eq(permit_free_for_new(&p), 1);
}
