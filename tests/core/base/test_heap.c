/* Heaps: the smallest first, equals in their order, removal by place; checked against a plain search. */
#include "core/base/heap.h"

#include "core/base/rng.h"

#include <criterion/criterion.h>

/* Items are told apart by their address in here. */
static char items[1000];

Test(heap, the_smallest_key_comes_first) {
    heap_t heap = {0};
    cr_assert_null(heap_first(&heap));
    heap_add(&heap, 30, &items[3], NULL);
    heap_add(&heap, 10, &items[1], NULL);
    heap_add(&heap, 20, &items[2], NULL);
    cr_assert_eq(heap_first(&heap)->key, 10);
    for (uint64_t n = 1; n <= 3; n++)
        cr_assert_eq(heap_pop(&heap).pointer, &items[n]);
    cr_assert_null(heap_first(&heap));
    heap_free(&heap);
}

Test(heap, equal_keys_leave_in_the_order_they_came) {
    heap_t heap = {0};
    for (uint64_t n = 0; n < 1000; n++)
        heap_add(&heap, n % 3, &items[n], NULL);
    for (uint64_t key = 0; key < 3; key++) {
        for (uint64_t n = key; n < 1000; n += 3)
            cr_assert_eq(heap_pop(&heap).pointer, &items[n]);
    }
    heap_free(&heap);
}

Test(heap, the_ends_of_the_range_work) {
    heap_t heap = {0};
    heap_add(&heap, UINT64_MAX, &items[2], NULL);
    heap_add(&heap, 0, &items[1], NULL);
    cr_assert_eq(heap_pop(&heap).pointer, &items[1]);
    cr_assert_eq(heap_pop(&heap).pointer, &items[2]);
    heap_free(&heap);
}

typedef struct call {
    uint64_t due;
    size_t place;
} call_t;

Test(heap, an_item_leaves_by_its_place) {
    heap_t heap = {0};
    call_t calls[3] = {{.due = 1}, {.due = 2}, {.due = 3}};
    cr_assert_not(heap_remove(&heap, &calls[0].place), "it is in no heap");
    for (size_t i = 0; i < 3; i++)
        heap_add(&heap, calls[i].due, &calls[i], &calls[i].place);
    cr_assert(heap_remove(&heap, &calls[1].place));
    cr_assert_not(heap_remove(&heap, &calls[1].place));
    cr_assert_eq(heap_pop(&heap).pointer, &calls[0]);
    cr_assert_eq(calls[0].place, 0, "what has left has no place");
    cr_assert_neq(calls[2].place, 0);
    heap_free(&heap);
    cr_assert_eq(calls[2].place, 0, "nothing is in a heap that is gone");
}

enum { CALLS = 300 };

/* The call in the heap with the smallest due time, by a search; NULL when none is in it. Due times differ. */
static call_t *least_of(call_t *calls) {
    call_t *least = NULL;
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].place && (!least || calls[i].due < least->due)) least = &calls[i];
    }
    return least;
}

Test(heap, any_order_of_adding_and_removing_keeps_the_smallest_first) {
    heap_t heap = {0};
    static call_t calls[CALLS];
    rng_t rng;
    rng_seed(&rng, 5, 0);
    size_t inside = 0;
    for (uint64_t step = 0; step < 50000; step++) {
        call_t *call = &calls[rng_between(&rng, 0, CALLS - 1)];
        if (!call->place) {
            call->due = (uint64_t)rng_between(&rng, 0, 1000000) << 16 | step;
            heap_add(&heap, call->due, call, &call->place);
            inside++;
        } else if (step % 2) {
            cr_assert(heap_remove(&heap, &call->place));
            inside--;
        } else {
            call_t *least = least_of(calls);
            cr_assert_eq(heap_pop(&heap).pointer, least);
            inside--;
        }
        cr_assert_eq(heap.count, inside);
        const heap_item_t *first = heap_first(&heap);
        cr_assert_eq(first ? first->pointer : NULL, least_of(calls));
    }
    heap_free(&heap);
}
