/* lease_book.c - see lease_book.h. */
#include "core/sched/lease_book.h"

#include <stdlib.h>

#include "core/base/error.h"
#include "core/base/rangeset.h"
#include "core/sched/limits.h"

#define NUMBER_MASK (((uint64_t)1 << LEASE_ERA_SHIFT) - 1)

struct lease_book {
    uint64_t era;
    rangeset_t *seen; /* numbers of this era */
};

lease_book_t *lease_book_new(void) {
    lease_book_t *book = xcalloc(1, sizeof *book);
    book->seen = rangeset_new();
    return book;
}

void lease_book_destroy(lease_book_t **book) {
    if (!*book) return;
    rangeset_destroy(&(*book)->seen);
    free(*book);
    *book = NULL;
}

static void begin_era(lease_book_t *book, uint64_t era) {
    rangeset_destroy(&book->seen);
    book->seen = rangeset_new();
    book->era = era;
}

lease_verdict_t lease_book_add(lease_book_t *book, uint64_t lease) {
    uint64_t era = lease >> LEASE_ERA_SHIFT, before = book->era;
    if (era < before) return LEASE_OLD;
    if (era > before) begin_era(book, era);
    if (!rangeset_add(book->seen, lease & NUMBER_MASK)) return LEASE_OLD;
    return era > before ? LEASE_BEGINS_ERA : LEASE_NEW;
}

bool lease_book_void(lease_book_t *book, uint64_t from, uint64_t count) {
    uint64_t era = from >> LEASE_ERA_SHIFT, number = from & NUMBER_MASK, before = book->era;
    if (era < before) return false;
    if (era > before) begin_era(book, era);
    if (count > LEASES_VOID_MAX) count = LEASES_VOID_MAX;
    for (uint64_t i = 0; i < count && number + i <= NUMBER_MASK; i++) {
        rangeset_add(book->seen, number + i);
    }
    return era > before;
}

uint64_t lease_book_first_missing(const lease_book_t *book) {
    return book->era << LEASE_ERA_SHIFT | rangeset_first_absent(book->seen, 0);
}

void lease_book_forget(lease_book_t *book) { begin_era(book, 0); }
