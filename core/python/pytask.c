/* pytask.c - see pytask.h.
 *
 * The idea: the window counts time, not calls. A host may have many calls of some microseconds ahead of it,
 * which hides the wake-ups of both sides. But no call is put behind one that is known to be slow.
 */
#include "core/python/pytask.h"

#include <stdlib.h>

#include "core/base/error.h"
#include "core/python/limits.h"

/* The value, or an empty container if it is not of this kind. */
static value_t or_empty(value_t v, value_kind_t kind) {
    if (v.kind == kind) return value_ref(v);
    return kind == VALUE_LIST ? value_list(0) : value_object(0);
}

py_task_t *py_task_new(const py_call_t *call, uint64_t id, uint64_t tag) {
    py_task_t *t = xcalloc(1, sizeof *t);
    t->id = id;
    t->tag = tag;
    t->function = call->function;
    t->timeout_ms = call->timeout_ms;
    t->permit = call->permit;
    t->has_unit = call->has_unit;
    t->args = or_empty(call->args, VALUE_LIST);
    t->kwargs = or_empty(call->kwargs, VALUE_OBJECT);
    t->context = or_empty(call->context, VALUE_OBJECT);
    t->vars = or_empty(call->vars, VALUE_OBJECT);
    t->consts = or_empty(call->consts, VALUE_OBJECT);
    return t;
}

void py_task_free(py_task_t *take) {
    if (take->has_lent) permit_forgo(take->permit);
    value_free(take->args);
    value_free(take->kwargs);
    value_free(take->context);
    value_free(take->vars);
    value_free(take->consts);
    free(take);
}

/* NULL for no node. */
static py_task_t *task_of(ring_node_t *node) { return node ? RING_OWNER(node, py_task_t, node) : NULL; }

void py_tasks_init(py_tasks_t *q) {
    ring_init(&q->calls);
    q->count = 0;
}

void py_tasks_push(py_tasks_t *q, py_task_t *t) {
    ring_add_last(&q->calls, &t->node);
    q->count++;
}

void py_tasks_insert(py_tasks_t *q, py_task_t *t) {
    RING_EACH(&q->calls, node) {
        if (task_of(node)->id < t->id) continue;
        ring_put_before(node, &t->node);
        q->count++;
        return;
    }
    py_tasks_push(q, t);
}

/* t may be NULL. */
static py_task_t *take(py_tasks_t *q, py_task_t *t) {
    if (!t) return NULL;
    ring_remove(&t->node);
    q->count--;
    return t;
}

py_task_t *py_tasks_first(const py_tasks_t *q) { return task_of(ring_first(&q->calls)); }

py_task_t *py_tasks_next(const py_tasks_t *q, const py_task_t *after) {
    return task_of(ring_next(&q->calls, &after->node));
}

py_task_t *py_tasks_pop(py_tasks_t *q) { return take(q, py_tasks_first(q)); }

py_task_t *py_tasks_pop_last(py_tasks_t *q) { return take(q, task_of(ring_last(&q->calls))); }

py_task_t *py_tasks_take_id(py_tasks_t *q, uint64_t id) {
    RING_EACH(&q->calls, node)
    if (task_of(node)->id == id) return take(q, task_of(node));
    return NULL;
}

py_task_t *py_tasks_find_secret(const py_tasks_t *q, uint64_t secret) {
    RING_EACH(&q->calls, node)
    if (task_of(node)->secret == secret) return task_of(node);
    return NULL;
}

py_task_t *py_tasks_find_tag(const py_tasks_t *q, uint64_t tag) {
    RING_EACH(&q->calls, node) {
        py_task_t *t = task_of(node);
        if (t->tag == tag && !t->cancelled) return t;
    }
    return NULL;
}

bool py_task_take_unit(py_task_t *t) {
    if (!t->permit || *t->has_unit) return true;
    *t->has_unit = t->has_lent ? permit_take_back(t->permit) : permit_take(t->permit);
    if (*t->has_unit) t->has_lent = false;
    return *t->has_unit;
}

void py_task_lend_unit(py_task_t *t) {
    if (!t->permit || !*t->has_unit) return;
    permit_lend(t->permit);
    *t->has_unit = false;
    t->has_lent = true;
}

bool py_window_has_room(uint32_t count, uint64_t queued_us, uint32_t expected_us) {
    return count == 0 || (count < PY_WINDOW_TASKS && queued_us + expected_us <= PY_WINDOW_US);
}
