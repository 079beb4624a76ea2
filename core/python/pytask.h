/* pytask.h - one call on its way through the pool, and queues of calls: first in, first out. Pure. */
#ifndef SDG_PYTHON_PYTASK_H
#define SDG_PYTHON_PYTASK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/ring.h"
#include "core/base/value.h"
#include "core/python/pypool.h"

/* A call from submit to its event. */
typedef struct py_task {
    ring_node_t node; /* in its queue */
    uint64_t id;      /* ours, ascending: the order of submission */
    uint64_t tag;     /* the caller's */
    uint64_t secret;  /* its number in frames, random: a host answers only what it was given */
    uint32_t function;
    uint32_t timeout_ms;
    uint32_t expected_us; /* counted in its host's queued_us */
    uint32_t deaths;      /* hosts that were killed while they ran it */
    bool cancelled;       /* its last event was given already */
    permit_t *permit;     /* as in py_call_t; NULL once it was cancelled */
    bool *has_unit;
    bool has_lent; /* its unit, while it waits for a process */
    value_t args, kwargs, context, vars, consts;
} py_task_t;

typedef struct py_tasks {
    ring_t calls;
    uint32_t count;
} py_tasks_t; /* py_tasks_init before use; does not move afterwards */

/* A copy of the call, without a secret. Values that are absent become empty containers. */
py_task_t *py_task_new(const py_call_t *call, uint64_t id, uint64_t tag);
void py_task_free(py_task_t *take);

void py_tasks_init(py_tasks_t *q);
void py_tasks_push(py_tasks_t *q, py_task_t *take);
/* Puts a call that comes back among the waiting ones, in the order of submission. */
void py_tasks_insert(py_tasks_t *q, py_task_t *take);
py_task_t *py_tasks_first(const py_tasks_t *q); /* borrowed; NULL when empty */
/* The call after this one, borrowed; NULL at the end. */
py_task_t *py_tasks_next(const py_tasks_t *q, const py_task_t *after);
py_task_t *py_tasks_pop(py_tasks_t *q);                  /* the first; NULL when empty */
py_task_t *py_tasks_pop_last(py_tasks_t *q);             /* NULL when empty */
py_task_t *py_tasks_take_id(py_tasks_t *q, uint64_t id); /* NULL: not there */
/* The call with this secret, borrowed; NULL: not there. */
py_task_t *py_tasks_find_secret(const py_tasks_t *q, uint64_t secret);
/* The call with this tag, unless it was cancelled; borrowed. NULL: not there. */
py_task_t *py_tasks_find_tag(const py_tasks_t *q, uint64_t tag);

/* Takes the unit that the call needs, unless it has it; false: none is free. */
bool py_task_take_unit(py_task_t *task);
void py_task_lend_unit(py_task_t *task); /* if it has one */

/* May a host with this queue get one more call of this expected time? */
bool py_window_has_room(uint32_t count, uint64_t queued_us, uint32_t expected_us);

#endif
