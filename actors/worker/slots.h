/* slots.h - the rows that have begun in a worker, each in a slot.
 *
 * What a row asks of others (the engine, the pool, the store) carries a tag of its own: the slot, and a turn
 * counted over all questions of the worker. An answer that comes after the row is gone, or twice, finds
 * another turn and is dropped: slots_of gives the slot, and whoever asked compares the tag. A slot does not
 * move while the worker lives. */
#ifndef SDG_ACTORS_WORKER_SLOTS_H
#define SDG_ACTORS_WORKER_SLOTS_H

#include "core/llm/call.h"
#include "core/mabel/row/row.h"
#include "core/sched/agenda.h"
#include "core/sched/passage.h"
#include "core/sched/wait_clock.h"
#include "core/store/journal.h"

typedef struct slots slots_t;

/* A call of an LLM that a row waits for, or the Python of a row. */
typedef struct slot_call {
    uint64_t tag;         /* 0: none */
    llm_answer_t *answer; /* owned: kept until it is used; NULL: none */
    uint64_t since_ns;    /* when the engine was given it */
    journal_key_t key;    /* with a call journal: which call of the row it is */
    uint64_t sent_ns;     /* when the store was told of it; 0: not since it was gathered */
} slot_call_t;

typedef struct slot {
    struct worker_job *job; /* NULL: the slot is free */
    passage_t passage;      /* of the row: its number, and where it is on its way */
    uint32_t facts;         /* what of PASSAGE_HAS_JOURNAL, _ASKS and _SAVES is so of this row, for good */
    row_t *row;             /* owned; NULL while it is in the store */
    slot_call_t call;       /* the LLM call it makes */
    uint64_t python_tag;    /* of the Python call it makes; 0: none */
    struct row_asks *asks;  /* worker_asks.c: what that asks LLMs; NULL: nothing so far */
    struct row_journal *journal; /* worker_journal.c; NULL: the job has no call journal */
    struct row_context *context; /* worker_contexts.c; NULL: the row is never put away */
    bool has_unit;               /* of the job's units; the engine has it while a call of the row is there */
    ring_node_t unit_turn;       /* in the job's unit_queue, while it awaits a unit */
    agenda_entry_t agenda;
    wait_clock_t wait; /* of the calls it makes, or the unit it awaits */
    struct {
        size_t held, held_most; /* now, and the most so far */
        size_t request;         /* of these, the request the engine has a copy of */
    } bytes;                    /* worker_memory.c: what it accounts for */
    uint32_t number;            /* slots.c */
    struct slot *next_free;     /* slots.c */
} slot_t;

slots_t *slots_new(void);
void slots_destroy(slots_t **slots); /* all of them are free */

slot_t *slots_take(slots_t *slots, struct worker_job *job); /* everything else is zero */
void slots_release(slots_t *slots, slot_t *slot);           /* what it owned has gone */

/* The next slot in use after this one (NULL: the first), NULL at the end. Any slot may be released on the
 * way. */
slot_t *slots_next(const slots_t *slots, const slot_t *after);

uint64_t slots_new_tag(slots_t *slots, const slot_t *slot); /* never 0 */
slot_t *slots_of(const slots_t *slots, uint64_t tag);       /* NULL: it is free, or such a tag never was */

#endif
