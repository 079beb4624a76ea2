/* agenda.h - which of the rows in a worker runs next by itself: rows that yielded take turns, and each row
 * may have one alarm.
 *
 * An entry lives in what it stands for (a slot) and does not move while it is on the agenda; nothing is
 * allocated for a turn, and what is removed leaves nothing behind. */
#ifndef SDG_SCHED_AGENDA_H
#define SDG_SCHED_AGENDA_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/ring.h"

typedef struct agenda agenda_t;

typedef struct agenda_entry {
    ring_node_t turn;
    uint64_t alarm_ns; /* meant only while it is set */
    size_t alarm;      /* its place in the heap of alarms; 0: not set */
} agenda_entry_t;      /* all zero: on no agenda */

agenda_t *agenda_new(void);
void agenda_destroy(agenda_t **agenda); /* its entries have left */

/* Its turn comes when those that wait now have had theirs. */
void agenda_add_turn(agenda_t *agenda, agenda_entry_t *entry);
size_t agenda_turns(const agenda_t *agenda);
agenda_entry_t *agenda_take_turn(agenda_t *agenda); /* NULL: none waits */

/* Sets, moves or (UINT64_MAX) clears the alarm of an entry. */
void agenda_set_alarm(agenda_t *agenda, agenda_entry_t *entry, uint64_t due_ns);
/* The next alarm that is due, which is cleared by this; NULL: none. */
agenda_entry_t *agenda_take_alarm(agenda_t *agenda, uint64_t now_ns);

void agenda_remove(agenda_t *agenda, agenda_entry_t *entry); /* its turn and its alarm */

/* ns until something is due; UINT64_MAX: nothing. */
uint64_t agenda_wait_ns(const agenda_t *agenda, uint64_t now_ns);

#endif
