/* heap.h - a binary heap: the item with the smallest key comes first. Keys are times or row numbers.
 *
 * Items of equal keys leave in the order they came. An item is a pointer; the heap owns nothing it points to.
 * An item that may have to be taken out of the middle brings a `size_t` of its owner, its place, which the
 * heap keeps up to date; other items need none:
 *
 *     heap_add(&heap, due_ns, call, &call->place);     a retry, which may be cancelled
 *     heap_add(&heap, index, row, NULL);               a row that waits for the ones below it
 *     for (const heap_item_t *first; (first = heap_first(&heap)) && first->key <= now_ns;)
 *         call_start(heap_pop(&heap).pointer);
 *     heap_remove(&heap, &call->place);                cancelled: leaves the heap if it is in it
 *
 * Adding and removing cost O(log n), looking at the first O(1). */
#ifndef SDG_BASE_HEAP_H
#define SDG_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct heap_item {
    uint64_t key;
    uint64_t order; /* how many items were added before it */
    void *pointer;  /* borrowed */
    size_t *place;  /* of its owner; NULL: none. *place is 0 while the item is in no heap */
} heap_item_t;

typedef struct heap {
    heap_item_t *items; /* owned; items[i] is not after items[2i+1] and items[2i+2] */
    size_t count, cap;
    uint64_t added;
} heap_t; /* all zero: empty */

void heap_free(heap_t *heap); /* the places of items still in it become 0 */

/* Adds an item. `place` may be NULL; else it belongs to this item alone, is 0, and does not move while the
 * item is in the heap. */
void heap_add(heap_t *heap, uint64_t key, void *pointer, size_t *place);

/* The item with the smallest key, NULL when the heap is empty; void after the next change of the heap. */
const heap_item_t *heap_first(const heap_t *heap);
/* Takes out the first item; the heap is not empty. */
heap_item_t heap_pop(heap_t *heap);
/* Takes out the item of this place; false if it is in no heap. */
bool heap_remove(heap_t *heap, size_t *place);

#endif
