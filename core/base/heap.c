/* heap.c - see heap.h. A hole moves through the tree until the item fits in, so each level costs one copy. */
#include "core/base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/grow.h"

static bool before(const heap_item_t *a, const heap_item_t *b) {
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void put(heap_t *heap, size_t at, const heap_item_t *item) {
    heap->items[at] = *item;
    if (item->place) *item->place = at + 1;
}

/* Puts the item where the hole is, or above it. */
static void rise(heap_t *heap, size_t hole, const heap_item_t *item) {
    for (size_t parent; hole > 0 && before(item, &heap->items[parent = (hole - 1) / 2]); hole = parent)
        put(heap, hole, &heap->items[parent]);
    put(heap, hole, item);
}

/* Puts the item where the hole is, or below it. */
static void sink(heap_t *heap, size_t hole, const heap_item_t *item) {
    for (size_t child; (child = 2 * hole + 1) < heap->count; hole = child) {
        if (child + 1 < heap->count && before(&heap->items[child + 1], &heap->items[child])) child++;
        if (!before(&heap->items[child], item)) break;
        put(heap, hole, &heap->items[child]);
    }
    put(heap, hole, item);
}

void heap_add(heap_t *heap, uint64_t key, void *pointer, size_t *place) {
    assert(!place || *place == 0);
    GROW(heap->items, heap->cap, heap->count + 1);
    heap_item_t item = {.key = key, .order = heap->added++, .pointer = pointer, .place = place};
    rise(heap, heap->count++, &item);
}

const heap_item_t *heap_first(const heap_t *heap) { return heap->count > 0 ? &heap->items[0] : NULL; }

/* Takes out items[at]; the last item fills the hole, from where it may belong above or below. */
static heap_item_t take(heap_t *heap, size_t at) {
    heap_item_t taken = heap->items[at], last = heap->items[--heap->count];
    if (at < heap->count) {
        bool above = at > 0 && before(&last, &heap->items[(at - 1) / 2]);
        (above ? rise : sink)(heap, at, &last);
    }
    if (taken.place) *taken.place = 0;
    return taken;
}

heap_item_t heap_pop(heap_t *heap) {
    assert(heap->count > 0);
    return take(heap, 0);
}

bool heap_remove(heap_t *heap, size_t *place) {
    if (*place == 0) return false;
    assert(*place <= heap->count && heap->items[*place - 1].place == place);
    take(heap, *place - 1);
    return true;
}

void heap_free(heap_t *heap) {
    for (size_t i = 0; i < heap->count; i++) {
        if (heap->items[i].place) *heap->items[i].place = 0;
    }
    free(heap->items);
    *heap = (heap_t){0};
}
