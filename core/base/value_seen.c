/* value_seen.c - see value_seen.h. Places are multiples of 16: the hash multiplies, and takes high bits. */
#include "core/base/value_seen.h"

#include "core/base/error.h"
#include "core/base/grow.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

void value_seen_init(value_seen_t *seen) {
    *seen = (value_seen_t){.mask = VALUE_SEEN_FIRST - 1};
    seen->slots = seen->first;
}

void value_seen_free(value_seen_t *seen) {
    if (seen->slots != seen->first) free(seen->slots);
    seen->slots = seen->first;
}

static value_place_t *slot_of(const value_seen_t *seen, const void *place) {
    uint32_t i = (uint32_t)(((uintptr_t)place * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & seen->mask;
    while (seen->slots[i].place && seen->slots[i].place != place)
        i = (i + 1) & seen->mask;
    return &seen->slots[i];
}

static void grow(value_seen_t *seen) {
    value_place_t *old = seen->slots;
    uint32_t old_mask = seen->mask;
    assert(old_mask < UINT32_MAX / 2);
    seen->mask = 2 * old_mask + 1;
    seen->slots = xcalloc(seen->mask + (size_t)1, sizeof *seen->slots);
    for (size_t i = 0; i <= old_mask; i++)
        if (old[i].place) *slot_of(seen, old[i].place) = old[i];
    if (old != seen->first) free(old);
}

uint32_t value_seen_find(const value_seen_t *seen, value_t v) {
    const value_place_t *slot = slot_of(seen, v.refs);
    return slot->place ? slot->number : VALUE_UNSEEN;
}

void value_seen_add(value_seen_t *seen, value_t v, uint32_t number) {
    if (2 * ++seen->count > seen->mask) grow(seen);
    *slot_of(seen, v.refs) = (value_place_t){v.refs, number};
}

void value_seen_know(value_seen_t *seen, value_t v, uint32_t number) {
    if (v.kind >= VALUE_STRING && value_seen_find(seen, v) == VALUE_UNSEEN) value_seen_add(seen, v, number);
}

/* ---- the heap of a value */

/* Sizes of list_t, object_t and entry_t (value.c). */
enum { LIST_BYTES = 40, OBJECT_BYTES = 56, ENTRY_BYTES = 32 };

/* What malloc takes for n bytes: a multiple of 16 that has room for a word of its own. */
static size_t block_bytes(size_t n) { return (n + 8 + 15) / 16 * 16; }

static bool is_new(value_seen_t *seen, value_t v) {
    if (*v.refs == 1) return true;
    if (value_seen_find(seen, v) != VALUE_UNSEEN) return false;
    value_seen_add(seen, v, 0);
    return true;
}

static size_t string_bytes(value_seen_t *seen, str_t *s) {
    return is_new(seen, (value_t){.kind = VALUE_STRING, .string = s}) ? block_bytes(sizeof *s + s->len + 1)
                                                                      : 0;
}

typedef struct pending {
    value_t *containers;
    size_t count, cap;
} pending_t;

/* The heap of a string; a container is put on the list, to be counted later. */
static size_t inner_bytes(value_seen_t *seen, value_t v, pending_t *later) {
    if (v.kind == VALUE_STRING || v.kind == VALUE_BIGINT) return string_bytes(seen, v.string);
    if (v.kind < VALUE_STRING || !is_new(seen, v)) return 0;
    GROW(later->containers, later->cap, later->count + 1);
    later->containers[later->count++] = v;
    return 0;
}

static size_t list_bytes(value_seen_t *seen, value_t list, pending_t *later) {
    size_t n = list_count(list), bytes = block_bytes(LIST_BYTES) + (n ? block_bytes(n * sizeof list) : 0);
    for (size_t i = 0; i < n; i++)
        bytes += inner_bytes(seen, list_peek(list, i), later);
    return bytes;
}

static size_t object_bytes(value_seen_t *seen, value_t object, pending_t *later) {
    size_t n = object_count(object),
           bytes = block_bytes(OBJECT_BYTES) + (n ? block_bytes(n * ENTRY_BYTES) : 0);
    for (size_t i = 0; i < n; i++)
        bytes += string_bytes(seen, object_key_peek(object, i)) +
                 inner_bytes(seen, object_value_peek(object, i), later);
    return bytes;
}

size_t value_seen_bytes(value_seen_t *seen, value_t v) {
    pending_t later = {0};
    size_t bytes = inner_bytes(seen, v, &later);
    while (later.count) {
        value_t c = later.containers[--later.count];
        bytes += c.kind == VALUE_LIST ? list_bytes(seen, c, &later) : object_bytes(seen, c, &later);
    }
    free(later.containers);
    return bytes;
}
