/* pytask.h - one call on its way through the pool, and queues of calls (first in first out). Pure. */
#ifndef SDG_PYTHON_PYTASK_H
#define SDG_PYTHON_PYTASK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/value.h"
#include "core/python/pypool.h"

/* A call from submit to its event. */
typedef struct py_task {
    struct py_task *next;
    uint64_t id;  /* ours, ascending: the order of submission */
    uint64_t tag; /* the caller's */
    uint32_t function;
    uint32_t timeout_ms;
    uint32_t expected_us; /* counted in its host's queued_us */
    bool cancelled;       /* its event was already given */
    value_t args, kwargs, context, vars, consts;
} py_task_t;

typedef struct py_tasks {
    py_task_t *first, *last;
    uint32_t count;
} py_tasks_t;

py_task_t *py_task_new(const py_call_t *call, uint64_t id,
                       uint64_t tag); /* absent values become empty containers */
void py_task_free(py_task_t *take);

void py_tasks_push(py_tasks_t *q, py_task_t *take);
void py_tasks_insert(py_tasks_t *q,
                     py_task_t *take);  /* back among the waiting ones, in the order of submission */
py_task_t *py_tasks_pop(py_tasks_t *q); /* NULL when empty */
py_task_t *py_tasks_take_id(py_tasks_t *q, uint64_t id); /* NULL: not there */
py_task_t *py_tasks_find_tag(const py_tasks_t *q,
                             uint64_t tag); /* not cancelled; borrowed; NULL: not there */

/* May a host with this queue get one more call of this expected time? */
bool py_window_has_room(uint32_t count, uint64_t queued_us, uint32_t expected_us);

#endif
