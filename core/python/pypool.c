/* pypool.c - see pypool.h; the other files of the pool stand in pypool_internal.h.
 *
 * The life of a call:
 *
 *     waiting (in its environment) -> sent (in a host's queue, of which the first one is running) -> finished
 *
 * The caller only adds calls and takes events. All else happens in the round, pypool_drive: what hosts have
 * sent or how they have ended, deadlines that have passed, calls for hosts that have room, bytes out. A host
 * that is gone is freed at the end of its round, so pointers to it are valid in all of it. */
#include "core/python/pypool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/python/pyinterp.h"
#include "core/python/pypool_internal.h"

enum { EPOLL_BATCH = 64 };

/* ---- events ---- */

py_event_t *pool_event_add(pypool_t *p, py_event_kind_t kind, uint64_t tag) {
    if (p->event_count == p->event_cap) {
        size_t cap = grow_cap(p->event_cap, p->event_count + 1);
        py_event_t *events = xcalloc(cap, sizeof *events);
        for (size_t i = 0; i < p->event_count; i++)
            events[i] = p->events[(p->event_first + i) % p->event_cap];
        free(p->events);
        p->events = events;
        p->event_first = 0;
        p->event_cap = cap;
    }
    py_event_t *e = &p->events[(p->event_first + p->event_count++) % p->event_cap];
    e->kind = kind;
    e->tag = tag;
    e->outputs = e->vars = e->ai = e->log = e->words = value_null();
    e->repairs = (json_repairs_t){0};
    e->error.code = 0;
    e->error.text[0] = '\0';
    return e;
}

void py_event_free(py_event_t *e) {
    value_free(e->outputs);
    value_free(e->vars);
    value_free(e->ai);
    value_free(e->log);
    value_free(e->words);
}

bool pypool_next(pypool_t *p, py_event_t *event) {
    if (p->event_count == 0) return false;
    *event = p->events[p->event_first];
    p->event_first = (p->event_first + 1) % p->event_cap;
    p->event_count--;
    if (event->kind == PY_LOG) p->log_events--;
    return true;
}

/* ---- the round ---- */

static void take_sources(pypool_t *p) {
    struct epoll_event events[EPOLL_BATCH];
    int n = epoll_wait(p->epoll_fd, events, EPOLL_BATCH, 0);
    for (int i = 0; i < n; i++)
        pool_host_hear(p, events[i].data.u64, events[i].events);
}

void pypool_drive(pypool_t *p, uint64_t now_ns) {
    p->now_ns = now_ns;
    take_sources(p);
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && p->hosts[i]->deadline_ns <= now_ns) pool_host_expire(p, p->hosts[i]);
    pool_calls_dispatch(p);
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (h && pool_host_alive(h)) pool_host_flush(p, h);
        if (h && h->state == HOST_GONE) pyhost_destroy(&p->hosts[i]);
    }
}

void pypool_load(const pypool_t *p, pypool_load_t *load) {
    *load = (pypool_load_t){.calls = p->tasks};
    for (uint32_t i = 0; i < p->slots; i++) {
        const py_host_t *h = p->hosts[i];
        if (!h || !pool_host_alive(h) || h->installer) continue;
        load->hosts++;
        load->starting += h->state == HOST_STARTING;
        load->asking += h->asks.count > 0;
        load->busy += h->asks.count == 0 && h->tasks.count > 0;
    }
}

int pypool_fd(const pypool_t *p) { return p->epoll_fd; }

int pypool_timeout_ms(const pypool_t *p, uint64_t now_ns) {
    if (p->dirty || p->event_count > 0 || (p->wanted && permit_free(p->wanted) > 0)) return 0;
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && p->hosts[i]->deadline_ns < first) first = p->hosts[i]->deadline_ns;
    for (uint32_t i = 0; i < p->env_count; i++)
        if (p->envs[i].waiting.count && p->envs[i].short_until_ns > now_ns &&
            p->envs[i].short_until_ns < first)
            first = p->envs[i].short_until_ns;
    if (first == UINT64_MAX) return -1;
    if (first <= now_ns) return 0;
    uint64_t ms = (first - now_ns + MILLISECOND - 1) / MILLISECOND;
    return ms > PY_SLEEP_MS_MAX ? PY_SLEEP_MS_MAX : (int)ms;
}

/* ---- the caller's side ---- */

/* options NULL: the defaults. */
pypool_t *pypool_new(const pypool_options_t *options, err_t *err) {
    if (options && options->hosts_max > PY_HOSTS_MAX) {
        err_set(err, SDG_ELIMIT, "at most %d Python processes per worker", PY_HOSTS_MAX);
        return NULL;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        err_set(err, SDG_EIO, "epoll_create1: %s", strerror(errno));
        return NULL;
    }
    pypool_t *p = xcalloc(1, sizeof *p);
    if (options) p->options = *options;
    if (p->options.hosts_max == 0) p->options.hosts_max = PY_HOSTS_DEFAULT;
    p->epoll_fd = epoll_fd;
    p->spawner = py_spawner_new(p->options.program);
    p->parser = json_parser_new();
    rng_seed(&p->rng, rng_entropy(), 0);
    /* Twice as many places as hosts: one that is ending still has its place while its successor starts. */
    p->slots_max = 2 * (p->options.hosts_max + PY_AI_HOSTS_MAX + PY_ENVS_MAX);
    p->hosts = xcalloc(p->slots_max, sizeof *p->hosts);
    p->envs = xcalloc(PY_ENVS_MAX, sizeof *p->envs);
    return p;
}

static void free_tasks(pypool_t *p, py_tasks_t *q) {
    for (py_task_t *t; (t = py_tasks_pop(q));)
        pool_call_free(p, t);
}

/* Calls that are open and events that were not taken are dropped. */
void pypool_destroy(pypool_t **pool) {
    pypool_t *p = *pool;
    if (!p) return;
    *pool = NULL;
    for (uint32_t i = 0; i < p->slots; i++) {
        if (p->hosts[i]) free_tasks(p, &p->hosts[i]->tasks);
        pyhost_destroy(&p->hosts[i]);
    }
    py_spawner_destroy(&p->spawner);
    for (uint32_t i = 0; i < p->env_count; i++) {
        free_tasks(p, &p->envs[i].waiting);
        pool_env_free(&p->envs[i]);
    }
    for (uint32_t i = 0; i < p->function_count; i++)
        free(p->functions[i].definition);
    for (py_event_t e; pypool_next(p, &e);)
        py_event_free(&e);
    json_parser_destroy(&p->parser);
    close(p->epoll_fd);
    free(p->hosts);
    free(p->envs);
    free(p->functions);
    free(p->events);
    free(p);
}

/* Nothing is looked for or started before the first call. */
int pypool_add_env(pypool_t *p, const py_env_t *given, err_t *err) {
    if (p->env_count == PY_ENVS_MAX)
        return err_set(err, SDG_ELIMIT, "at most %d Python environments per run", PY_ENVS_MAX);
    pool_env_t *env = &p->envs[p->env_count];
    int rc = pool_env_init(env, given, err);
    return rc < 0 ? rc : (int)p->env_count++;
}

static value_t text_or_null(const char *text) { return text ? value_text(text) : value_null(); }

/* access: null (everything), or what ctx_access lists. */
static bool lists_call_ai(value_t access) {
    if (access.kind == VALUE_NULL) return true;
    value_t list = pool_env_list(access);
    bool found = false;
    for (size_t i = 0; i < list_count(list); i++) {
        value_t item = list_peek(list, i);
        found |= item.kind == VALUE_STRING && strcmp(item.string->data, "call_ai") == 0;
    }
    value_free(list);
    return found;
}

/* The definition is kept as the frame in which each host gets it. */
int pypool_add_function(pypool_t *p, const py_function_t *given, err_t *err) {
    if (p->function_count == PY_FUNCTIONS_MAX)
        return err_set(err, SDG_ELIMIT, "at most %d Python functions per run", PY_FUNCTIONS_MAX);
    if (given->env >= p->env_count || (!given->code && !given->code_path))
        return err_set(err, SDG_EINVAL, "a Python function needs function_code or code_path");
    value_t def = value_object(7);
    object_set_text(&def, "def", value_int(p->function_count));
    object_set_text(&def, "entry", value_text(given->entrypoint ? given->entrypoint : "main"));
    object_set_text(&def, "code", text_or_null(given->code));
    char *path = !given->code ? py_absolute(given->code_path) : NULL;
    object_set_text(&def, "path", text_or_null(path));
    if (path) pool_env_add_folder(&p->envs[given->env], path);
    free(path);
    object_set_text(&def, "v1", value_bool(given->v1));
    object_set_text(&def, "outputs", pool_env_list(given->outputs));
    object_set_text(&def, "access",
                    given->ctx_access.kind == VALUE_NULL ? value_null() : pool_env_list(given->ctx_access));
    buf_t text;
    buf_init(&text, PY_FRAME_BYTES_MAX);
    json_write(&text, def, JSON_COMPACT);
    value_free(def);
    GROW_BY_ONE(p->functions, p->function_count);
    pool_function_t *f = &p->functions[p->function_count];
    *f = (pool_function_t){.env = given->env,
                           .v1 = given->v1,
                           .may_ask = !given->v1 && lists_call_ai(given->ctx_access),
                           .usual_us = PY_WINDOW_US};
    f->definition = buf_take(&text, &f->definition_len);
    return (int)p->function_count++;
}

int pypool_submit(pypool_t *p, const py_call_t *call, uint64_t tag, err_t *err) {
    if (call->function >= p->function_count)
        return err_set(err, SDG_EINVAL, "no such Python function: %u", call->function);
    if (p->tasks >= PY_TASKS_MAX)
        return err_set(err, SDG_ELIMIT, "more than %d Python calls are waiting", PY_TASKS_MAX);
    py_task_t *t = py_task_new(call, ++p->last_id, tag);
    t->secret = rng_next(&p->rng) >> 2; /* fits a JSON number everywhere */
    pool_env_t *env = &p->envs[p->functions[call->function].env];
    py_tasks_push(&env->waiting, t);
    env->units_wait |= t->permit != NULL;
    p->tasks++;
    p->dirty = true;
    return 0;
}

/* The host whose running call has this tag and waits for AI answers. */
static py_host_t *find_asking(const pypool_t *p, uint64_t tag) {
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (!h || h->state != HOST_READY || h->asks.count == 0) continue;
        const py_task_t *t = py_tasks_first(&h->tasks);
        if (t && t->tag == tag) return h;
    }
    return NULL;
}

void pypool_ai_answer(pypool_t *p, uint64_t tag, int64_t id, value_t text, const char *error) {
    py_host_t *h = find_asking(p, tag);
    if (!h || !py_asks_take(&h->asks, id)) return; /* the call is over, or has given the question up */
    if (pool_call_write_answer(h, id, text, error) != 0)
        pool_call_write_answer(h, id, value_null(), "the answer is larger than 64 MiB of JSON");
    p->dirty = true;
}

/* Cancels a call that was sent. Its event comes now. If it runs it may go on for PY_CANCEL_MS, unheard; then
 * its host is killed. */
static bool cancel_sent(pypool_t *p, py_host_t *h, uint64_t tag) {
    py_task_t *t = py_tasks_find_tag(&h->tasks, tag);
    if (!t) return false;
    err_set(&pool_event_add(p, PY_FAILED, tag)->error, SDG_ECANCELLED, "cancelled");
    t->cancelled = true;
    t->permit = NULL;
    uint64_t latest = p->now_ns + PY_CANCEL_MS * MILLISECOND;
    if (t == py_tasks_first(&h->tasks) && latest < h->deadline_ns) h->deadline_ns = latest;
    return true;
}

void pypool_cancel(pypool_t *p, uint64_t tag) {
    for (uint32_t i = 0; i < p->env_count; i++) {
        py_task_t *t = py_tasks_find_tag(&p->envs[i].waiting, tag);
        if (t) {
            pool_call_fail(p, py_tasks_take_id(&p->envs[i].waiting, t->id), SDG_ECANCELLED, "cancelled");
            return;
        }
    }
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && cancel_sent(p, p->hosts[i], tag)) return;
}

bool pypool_waits(const pypool_t *p, uint64_t tag) {
    for (uint32_t i = 0; i < p->env_count; i++)
        if (py_tasks_find_tag(&p->envs[i].waiting, tag)) return true;
    return false;
}
