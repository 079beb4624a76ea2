/* agenda.c - see agenda.h. */
#include "core/sched/agenda.h"

#include <assert.h>
#include <stdlib.h>

#include "core/base/error.h"
#include "core/base/heap.h"

struct agenda {
    ring_t turns;
    size_t turn_count;
    heap_t alarms;
};

agenda_t *agenda_new(void) {
    agenda_t *agenda = xcalloc(1, sizeof *agenda);
    ring_init(&agenda->turns);
    return agenda;
}

void agenda_destroy(agenda_t **agenda) {
    if (!*agenda) return;
    assert(ring_empty(&(*agenda)->turns));
    heap_free(&(*agenda)->alarms);
    free(*agenda);
    *agenda = NULL;
}

void agenda_add_turn(agenda_t *agenda, agenda_entry_t *entry) {
    if (entry->turn.next) return;
    ring_add_last(&agenda->turns, &entry->turn);
    agenda->turn_count++;
}

size_t agenda_turns(const agenda_t *agenda) { return agenda->turn_count; }

static void remove_turn(agenda_t *agenda, agenda_entry_t *entry) {
    if (!entry->turn.next) return;
    ring_remove(&entry->turn);
    agenda->turn_count--;
}

agenda_entry_t *agenda_take_turn(agenda_t *agenda) {
    ring_node_t *first = ring_first(&agenda->turns);
    if (!first) return NULL;
    agenda_entry_t *entry = RING_OWNER(first, agenda_entry_t, turn);
    remove_turn(agenda, entry);
    return entry;
}

void agenda_set_alarm(agenda_t *agenda, agenda_entry_t *entry, uint64_t due_ns) {
    if (entry->alarm && entry->alarm_ns == due_ns) return; /* most rows have one wall time for all blocks */
    heap_remove(&agenda->alarms, &entry->alarm);
    entry->alarm_ns = due_ns;
    if (due_ns != UINT64_MAX) heap_add(&agenda->alarms, due_ns, entry, &entry->alarm);
}

agenda_entry_t *agenda_take_alarm(agenda_t *agenda, uint64_t now_ns) {
    const heap_item_t *first = heap_first(&agenda->alarms);
    return first && first->key <= now_ns ? heap_pop(&agenda->alarms).pointer : NULL;
}

void agenda_remove(agenda_t *agenda, agenda_entry_t *entry) {
    remove_turn(agenda, entry);
    heap_remove(&agenda->alarms, &entry->alarm);
}

uint64_t agenda_wait_ns(const agenda_t *agenda, uint64_t now_ns) {
    const heap_item_t *first = heap_first(&agenda->alarms);
    if (agenda->turn_count) return 0;
    if (!first) return UINT64_MAX;
    return first->key > now_ns ? first->key - now_ns : 0;
}
