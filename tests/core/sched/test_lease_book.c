/* The leases a worker has seen: each is new once, whatever is repeated, late or reordered. */
#include "core/sched/lease_book.h"

#include "core/sched/limits.h"

#include <criterion/criterion.h>

static uint64_t lease(uint64_t era, uint64_t number) { return era << LEASE_ERA_SHIFT | number; }

Test(lease_book, a_lease_is_new_once) {
    lease_book_t *book = lease_book_new();
    cr_assert_eq(lease_book_add(book, 0), LEASE_NEW);
    cr_assert_eq(lease_book_add(book, 0), LEASE_OLD);
    cr_assert_eq(lease_book_add(book, 1), LEASE_NEW);
    cr_assert_eq(lease_book_add(book, 0), LEASE_OLD);
    cr_assert_eq(lease_book_first_missing(book), 2);
    lease_book_destroy(&book);
    cr_assert_null(book);
    lease_book_destroy(&book);
}

Test(lease_book, a_gap_is_told_until_it_is_filled) {
    lease_book_t *book = lease_book_new();
    cr_assert_eq(lease_book_first_missing(book), 0);
    cr_assert_eq(lease_book_add(book, 2), LEASE_NEW);
    cr_assert_eq(lease_book_first_missing(book), 0);
    cr_assert_eq(lease_book_add(book, 0), LEASE_NEW);
    cr_assert_eq(lease_book_first_missing(book), 1);
    cr_assert_eq(lease_book_add(book, 1), LEASE_NEW);
    cr_assert_eq(lease_book_first_missing(book), 3);
    lease_book_destroy(&book);
}

Test(lease_book, a_new_era_begins_the_count_again) {
    lease_book_t *book = lease_book_new();
    lease_book_add(book, 0);
    lease_book_add(book, 1);
    cr_assert_eq(lease_book_add(book, lease(1, 1)), LEASE_BEGINS_ERA);
    cr_assert_eq(lease_book_first_missing(book), lease(1, 0));
    cr_assert_eq(lease_book_add(book, lease(1, 0)), LEASE_NEW, "the era has begun");
    cr_assert_eq(lease_book_add(book, lease(1, 1)), LEASE_OLD);
    cr_assert_eq(lease_book_add(book, 7), LEASE_OLD, "late, of the era before");
    cr_assert_eq(lease_book_first_missing(book), lease(1, 2));
    lease_book_destroy(&book);
}

Test(lease_book, void_leases_are_seen_and_not_taken) {
    lease_book_t *book = lease_book_new();
    lease_book_add(book, 0);
    cr_assert_not(lease_book_void(book, 1, 3));
    cr_assert_eq(lease_book_first_missing(book), 4);
    cr_assert_eq(lease_book_add(book, 2), LEASE_OLD, "its rows are no longer open");
    cr_assert_eq(lease_book_add(book, 4), LEASE_NEW);
    cr_assert_not(lease_book_void(book, 5, 0));
    cr_assert_eq(lease_book_first_missing(book), 5);
    lease_book_destroy(&book);
}

Test(lease_book, a_void_may_begin_an_era) {
    lease_book_t *book = lease_book_new();
    lease_book_add(book, 0);
    cr_assert(lease_book_void(book, lease(2, 0), 2));
    cr_assert_eq(lease_book_first_missing(book), lease(2, 2));
    cr_assert_not(lease_book_void(book, lease(2, 2), 1));
    cr_assert_not(lease_book_void(book, lease(1, 0), 9), "of an era that is over");
    cr_assert_eq(lease_book_first_missing(book), lease(2, 3));
    lease_book_destroy(&book);
}

Test(lease_book, a_void_is_bounded) {
    lease_book_t *book = lease_book_new();
    uint64_t last = ((uint64_t)1 << LEASE_ERA_SHIFT) - 1;
    lease_book_void(book, 0, UINT64_MAX);
    cr_assert_eq(lease_book_first_missing(book), LEASES_VOID_MAX);
    lease_book_void(book, lease(1, last), UINT64_MAX); /* does not run over into the next era */
    cr_assert_eq(lease_book_add(book, lease(1, last)), LEASE_OLD);
    cr_assert_eq(lease_book_first_missing(book), lease(1, 0));
    lease_book_destroy(&book);
}

Test(lease_book, forgotten_with_the_scheduler) {
    lease_book_t *book = lease_book_new();
    lease_book_add(book, lease(3, 0));
    lease_book_forget(book);
    cr_assert_eq(lease_book_first_missing(book), 0);
    cr_assert_eq(lease_book_add(book, 0), LEASE_NEW);
    lease_book_destroy(&book);
}
