/* pypool_calls.c - which call goes to which host: sending, what comes back, and the units of calls.
 *
 * A host answers in order. So when it dies, the first unanswered call is the one that ran; it fails, or
 * begins once more if somebody else killed the host. The others had not started, and wait again.
 *
 * How many calls to send ahead: several hide the wake-ups of both sides, but a call behind a slow one waits
 * although it could run elsewhere. So a host gets as many as are expected to take PY_WINDOW_US together, by
 * the slowest recent time of each function; an unknown function counts as slow. When a call begins to wait
 * for ctx.call_ai, the calls that were sent behind it are given back. */
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/python/pypool_internal.h"

/* ---- the end of a call ---- */

void pool_call_free(pypool_t *p, py_task_t *take) {
    py_task_free(take);
    p->tasks--;
}

void pool_call_fail(pypool_t *p, py_task_t *take, int code, const char *reason) {
    if (!take->cancelled) {
        py_event_t *e = pool_event_add(p, PY_FAILED, take->tag);
        err_set(&e->error, code, "%s", reason);
        if (strlen(reason) >= sizeof e->error.text) e->words = value_text(reason);
    }
    pool_call_free(p, take);
}

void pool_calls_fail_waiting(pypool_t *p, pool_env_t *env, int code, const char *reason) {
    for (py_task_t *t; (t = py_tasks_pop(&env->waiting));)
        pool_call_fail(p, t, code, reason);
}

/* ---- calls that come back from a host ---- */

static void forget_sent(py_host_t *h, py_task_t *t) {
    h->queued_us -= t->expected_us;
    t->expected_us = 0;
}

static void wait_again(pypool_t *p, uint32_t env, py_task_t *t) {
    py_tasks_insert(&p->envs[env].waiting, t);
    p->envs[env].units_wait = true;
    p->dirty = true;
}

void pool_call_give_back(pypool_t *p, py_host_t *h, py_task_t *take) {
    forget_sent(h, take);
    if (take->cancelled)
        pool_call_free(p, take);
    else
        wait_again(p, h->env, take);
}

void pool_call_requeue_rest(pypool_t *p, py_host_t *h) {
    while (h->tasks.count > 1)
        pool_call_give_back(p, h, py_tasks_pop_last(&h->tasks));
    p->dirty = true;
}

void pool_call_fail_running(pypool_t *p, py_host_t *h, const char *reason) {
    py_task_t *t = py_tasks_pop(&h->tasks);
    if (!t) return;
    forget_sent(h, t);
    pool_call_fail(p, t, SDG_EIO, reason);
}

/* A call whose process was killed begins once more, a few times; it fails when that cannot be bad luck any
 * more, or when its own code has ended the process. */
void pool_call_lose_running(pypool_t *p, py_host_t *h, const char *how) {
    py_task_t *t = py_tasks_pop(&h->tasks);
    char reason[ERR_TEXT_MAX];
    if (!t) return;
    forget_sent(h, t);
    if (h->killed && !t->cancelled && ++t->deaths < PY_DEATHS_MAX) {
        log_warn("python", "the Python process %s; its call begins once more", how);
        pool_event_add(p, PY_AGAIN, t->tag);
        wait_again(p, h->env, t);
        return;
    }
    _Static_assert(PY_DEATHS_MAX == 3, "the words below say three");
    snprintf(reason, sizeof reason, "the Python process %s %s", how,
             h->killed ? "three times" : "during this call");
    pool_call_fail(p, t, SDG_EIO, reason);
}

/* Sets the host's deadline: its first call starts now, or it becomes idle. */
static void note_start(pypool_t *p, py_host_t *h) {
    const py_task_t *t = py_tasks_first(&h->tasks);
    if (!t)
        h->deadline_ns = p->now_ns + PY_IDLE_MS * MILLISECOND;
    else if (t->cancelled)
        h->deadline_ns = p->now_ns + PY_CANCEL_MS * MILLISECOND;
    else
        h->deadline_ns = t->timeout_ms == 0 ? UINT64_MAX : p->now_ns + t->timeout_ms * MILLISECOND;
}

/* Its function's usual time is the slowest of late: a slower call sets it, with each faster one it fades. */
py_task_t *pool_call_take_answered(pypool_t *p, py_host_t *h, uint32_t took_us) {
    py_task_t *t = py_tasks_pop(&h->tasks);
    forget_sent(h, t);
    py_asks_clear(&h->asks);
    h->stray_lines = 0;
    note_start(p, h);
    pool_function_t *f = &p->functions[t->function];
    uint32_t faded = f->usual_us - f->usual_us / 8;
    f->usual_us = took_us > faded ? took_us : faded;
    return t;
}

/* ---- what a host is sent ---- */

static void write_member(buf_t *out, const char *name, value_t v) {
    buf_adds(out, name);
    json_write(out, v, JSON_COMPACT);
}

static bool same_object(value_t a, value_t b) {
    return a.kind == VALUE_OBJECT && b.kind == VALUE_OBJECT && a.object == b.object;
}

static int write_definition(pypool_t *p, py_host_t *h, uint32_t number) {
    if (number >= h->knows_count) {
        h->knows = xrealloc(h->knows, p->function_count * sizeof *h->knows);
        memset(h->knows + h->knows_count, 0, (p->function_count - h->knows_count) * sizeof *h->knows);
        h->knows_count = p->function_count;
    }
    if (h->knows[number]) return 0;
    size_t begin = pyhost_frame_begin(h);
    buf_add(&h->out, p->functions[number].definition, p->functions[number].definition_len);
    h->knows[number] = true;
    return pyhost_frame_end(h, begin);
}

/* Writes the frame of a call, after the definition of its function if the host does not know that. Constants
 * are sent only when they are others than those sent last. */
static int write_call(pypool_t *p, py_host_t *h, const py_task_t *t) {
    int failed = write_definition(p, h, t->function);
    if (failed != 0) return failed;
    bool new_consts = !p->functions[t->function].v1 && !same_object(h->consts, t->consts);
    size_t begin = pyhost_frame_begin(h);
    buf_addf(&h->out, "{\"call\":%llu,\"f\":%u", (unsigned long long)t->secret, t->function);
    write_member(&h->out, ",\"a\":", t->args);
    write_member(&h->out, ",\"k\":", t->kwargs);
    if (!p->functions[t->function].v1) {
        write_member(&h->out, ",\"x\":", t->context);
        write_member(&h->out, ",\"v\":", t->vars);
    }
    if (new_consts) write_member(&h->out, ",\"c\":", t->consts);
    buf_addc(&h->out, '}');
    failed = pyhost_frame_end(h, begin);
    if (failed == 0 && new_consts) value_replace(&h->consts, value_ref(t->consts));
    return failed;
}

int pool_call_write_answer(py_host_t *h, int64_t id, value_t text, const char *error) {
    size_t begin = pyhost_frame_begin(h);
    buf_addf(&h->out, "{\"ai\":%lld,", (long long)id);
    if (error) {
        buf_adds(&h->out, "\"error\":");
        json_write_string(&h->out, error, strlen(error));
    } else {
        write_member(&h->out, "\"text\":", text);
    }
    buf_addc(&h->out, '}');
    return pyhost_frame_end(h, begin);
}

static void send_call(pypool_t *p, py_host_t *h, py_task_t *t) {
    t->expected_us = p->functions[t->function].usual_us;
    if (write_call(p, h, t) != 0) {
        t->expected_us = 0;
        pool_call_fail(p, t, SDG_ELIMIT, "the inputs of this Python call are larger than 64 MiB of JSON");
        return;
    }
    h->queued_us += t->expected_us;
    py_tasks_push(&h->tasks, t);
    if (h->tasks.count == 1) note_start(p, h);
}

/* ---- which host gets a call ---- */

/* The host that would start the call soonest, NULL if none may take it now. */
static py_host_t *pick_host(const pypool_t *p, uint32_t env, uint32_t expected_us) {
    py_host_t *best = NULL;
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (!h || h->state != HOST_READY || h->env != env || h->asks.count > 0 || h->out.len > PY_OUT_BYTES)
            continue;
        if (!py_window_has_room(h->tasks.count, h->queued_us, expected_us)) continue;
        if (!best || h->tasks.count < best->tasks.count) best = h;
    }
    return best;
}

/* Calls that wait for a process lend their units to rows that have begun: the processes may wait for those.
 */
static void lend_units(pool_env_t *env) {
    if (!env->units_wait) return;
    env->units_wait = false;
    for (py_task_t *t = py_tasks_first(&env->waiting); t; t = py_tasks_next(&env->waiting, t))
        py_task_lend_unit(t);
}

/* Sends waiting calls to hosts, and starts hosts for them. */
static void send_waiting(pypool_t *p, uint32_t number) {
    pool_env_t *env = &p->envs[number];
    while (env->waiting.count > 0 && env->state == ENV_READY) {
        py_task_t *t = py_tasks_first(&env->waiting);
        py_host_t *h = pick_host(p, number, p->functions[t->function].usual_us);
        if (!h || h->tasks.count > 0)
            while (pool_start_has_place(p, number) && pool_start_host(p, number)) {
            }
        if (!h || env->waiting.count == 0) return;
        if (!py_task_take_unit(t)) {
            p->wanted = t->permit;
            return;
        }
        send_call(p, h, py_tasks_pop(&env->waiting));
    }
}

static void resolve(pypool_t *p, pool_env_t *env) {
    char reason[ERR_TEXT_MAX];
    if (!pool_env_resolve(env, reason, sizeof reason)) pool_start_is_hopeless(p, env, reason);
}

static bool has_installer(const pypool_t *p, uint32_t env) {
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && p->hosts[i]->installer && p->hosts[i]->env == env) return true;
    return false;
}

void pool_calls_dispatch(pypool_t *p) {
    p->dirty = false;
    p->wanted = NULL;
    for (uint32_t i = 0; i < p->env_count; i++) {
        pool_env_t *env = &p->envs[i];
        if (env->waiting.count == 0) continue;
        if (env->state == ENV_NEW) resolve(p, env);
        if (env->state == ENV_INSTALLING && !has_installer(p, i) && env->short_until_ns <= p->now_ns)
            pool_start_host(p, i);
        if (env->state == ENV_READY) send_waiting(p, i);
        if (env->state == ENV_FAILED) pool_calls_fail_waiting(p, env, SDG_EINVAL, env->failure);
        lend_units(env);
    }
}
