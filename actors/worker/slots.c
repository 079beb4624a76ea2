/* slots.c - see slots.h. */
#include "actors/worker/slots.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/grow.h"

struct slots {
    slot_t **items; /* each owned; by number */
    uint32_t count, cap;
    slot_t *free;
    uint32_t turns; /* tags given out; wraps around */
};

slots_t *slots_new(void) { return xcalloc(1, sizeof(slots_t)); }

void slots_destroy(slots_t **slots) {
    slots_t *s = *slots;
    if (!s) return;
    for (uint32_t i = 0; i < s->count; i++) {
        assert(!s->items[i]->job);
        free(s->items[i]);
    }
    free(s->items);
    free(s);
    *slots = NULL;
}

slot_t *slots_take(slots_t *slots, struct worker_job *job) {
    slot_t *slot = slots->free;
    if (slot) {
        slots->free = slot->next_free;
    } else {
        GROW(slots->items, slots->cap, slots->count + 1);
        slot = slots->items[slots->count] = xmalloc(sizeof *slot);
        slot->number = slots->count++;
    }
    *slot = (slot_t){.job = job, .number = slot->number};
    return slot;
}

void slots_release(slots_t *slots, slot_t *slot) {
    slot->job = NULL;
    slot->next_free = slots->free;
    slots->free = slot;
}

slot_t *slots_next(const slots_t *slots, const slot_t *after) {
    for (uint32_t i = after ? after->number + 1 : 0; i < slots->count; i++) {
        if (slots->items[i]->job) return slots->items[i];
    }
    return NULL;
}

uint64_t slots_new_tag(slots_t *slots, const slot_t *slot) {
    if (++slots->turns == 0) slots->turns = 1;
    return (uint64_t)slots->turns << 32 | slot->number;
}

slot_t *slots_of(const slots_t *slots, uint64_t tag) {
    uint32_t n = (uint32_t)tag;
    return n < slots->count && slots->items[n]->job ? slots->items[n] : NULL;
}
