/* pypool.c - see pypool.h.
 *
 * The life of a call:
 *
 *     waiting (in its environment) -> sent (in a host's queue, of which the first one is running) -> finished
 *
 * A host answers in order. So when it dies, the first unanswered call is the one that ran; it fails, or
 * begins once more if somebody else killed the host. The others had not started, and wait again. end_host and
 * kill_closed are the places where a host is killed. on_exit_of_host is the one place where it is finished,
 * once the kernel says that it is gone: only then do we know its exit status.
 *
 * How many calls to send ahead: several hide the wake-ups of both sides, but a call behind a slow one waits
 * although it could run elsewhere. So a host gets as many as are expected to take PY_WINDOW_US together, by
 * the slowest recent time of each function; an unknown function counts as slow. When a call begins to wait
 * for ctx.call_ai, the calls that were sent behind it are given back.
 *
 * To add a kind of frame: one row in FRAMES, one `on_` function, the other side in host.py. */
#include "core/python/pypool.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/grow.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/python/limits.h"
#include "core/python/pyhost.h"
#include "core/python/pyinterp.h"
#include "core/python/pypool_env.h"
#include "core/python/pytask.h"

enum { EPOLL_BATCH = 64, SOURCE_FRAME = 0, SOURCE_LOG = 1, SOURCE_PROCESS = 2, SOURCES = 4 };

typedef struct pool_function {
    uint32_t env;
    char *definition; /* the "def" frame */
    size_t definition_len;
    bool v1;
    bool may_ask;      /* ctx_access lets it use ctx.call_ai */
    uint32_t usual_us; /* slowest recent time of a call */
} pool_function_t;

struct pypool {
    pypool_options_t options;
    int epoll_fd;
    uint64_t now_ns;        /* of the last drive */
    const permit_t *wanted; /* a process is there for a call that waits for a unit of this; NULL: none */
    bool dirty;             /* the next drive has something to do, whatever the descriptors say */
    py_spawner_t *spawner;
    json_parser_t *parser;
    json_repairs_t repairs; /* of the frame being handled */
    pool_env_t *envs;       /* PY_ENVS_MAX places: their queues do not move */
    uint32_t env_count;
    pool_function_t *functions;
    uint32_t function_count;
    py_host_t **hosts; /* by slot, NULL: free */
    uint32_t slots, slots_max;
    uint64_t last_id;
    rng_t rng;          /* of secrets */
    size_t frame_len;   /* bytes of the frame being handled */
    uint32_t tasks;     /* open calls */
    py_event_t *events; /* ring of events that nobody has taken yet */
    size_t event_first, event_count, event_cap;
    uint32_t log_events; /* log events among them */
    uint64_t logs_dropped, warned_drop_ns;
    bool warned_sandbox;
};

/* ---- events ---- */

/* Appends an event without contents, which the caller fills. */
static py_event_t *new_event(pypool_t *p, py_event_kind_t kind, uint64_t tag) {
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

static void free_task(pypool_t *p, py_task_t *take) {
    py_task_free(take);
    p->tasks--;
}

/* Ends a call with its failure event, unless it was cancelled and has had one. */
static void fail_task(pypool_t *p, py_task_t *take, int code, const char *reason) {
    if (!take->cancelled) {
        py_event_t *e = new_event(p, PY_FAILED, take->tag);
        err_set(&e->error, code, "%s", reason);
        if (strlen(reason) >= sizeof e->error.text) e->words = value_text(reason);
    }
    free_task(p, take);
}

static void add_log(pypool_t *p, uint64_t tag, value_t level, value_t message) {
    if (p->log_events >= PY_LOG_EVENTS_MAX) {
        p->logs_dropped++;
        if (log_due(&p->warned_drop_ns, p->now_ns, PY_DROP_WARNING_NS))
            log_warn("python", "user code logs faster than the log is read: %llu lines dropped so far",
                     (unsigned long long)p->logs_dropped);
        return;
    }
    p->log_events++;
    py_event_t *e = new_event(p, PY_LOG, tag);
    e->log = value_object(2);
    object_set_text(&e->log, "level", value_ref(level));
    object_set_text(&e->log, "message", value_ref(message));
}

/* ---- hosts: state, start, end ---- */

static const char *host_state_name(py_host_state_t s) {
    static const char *const names[] = {"starting", "ready", "ending", "gone"};
    return names[s];
}

static bool is_alive(const py_host_t *h) { return h->state == HOST_STARTING || h->state == HOST_READY; }

/* The one place where a host's state changes. It keeps the environment's counts. */
static void set_state(pypool_t *p, py_host_t *h, py_host_state_t state, const char *why) {
    pool_env_t *env = &p->envs[h->env];
    log_debug("python", "host %u: %s -> %s (%s)", h->slot, host_state_name(h->state), host_state_name(state),
              why);
    if (!h->installer) {
        env->hosts -= is_alive(h);
        env->starting -= h->state == HOST_STARTING;
        h->state = state;
        env->hosts += is_alive(h);
        env->starting += h->state == HOST_STARTING;
    }
    h->state = state;
}

static void watch(pypool_t *p, int operation, int fd, uint32_t slot, int source, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)slot * SOURCES + (uint64_t)source};
    if (epoll_ctl(p->epoll_fd, operation, fd, &e) != 0) log_error("python", "epoll_ctl: %s", strerror(errno));
}

static bool free_slot(pypool_t *p, uint32_t *slot) {
    for (*slot = 0; *slot < p->slots; (*slot)++)
        if (!p->hosts[*slot]) return true;
    if (p->slots == p->slots_max) return false;
    p->slots++;
    return true;
}

/* A start has failed. After a few in a row the calls that wait for it fail; the next call tries once more. */
static void start_failed(pypool_t *p, pool_env_t *env, const char *reason) {
    p->dirty = true;
    if (++env->failures < PY_START_FAILURES_MAX) return;
    log_error("python", "%s", reason);
    env->failures = PY_START_FAILURES_MAX - 1;
    for (py_task_t *t; (t = py_tasks_pop(&env->waiting));)
        fail_task(p, t, SDG_EIO, reason);
}

/* The system is short of descriptors, memory or processes. With other hosts the calls are left to them;
 * without, the start is tried again, later each time. Rows are not to blame, so when that does not help the
 * process ends. */
static void start_is_short(pypool_t *p, pool_env_t *env, const char *reason) {
    static uint64_t warned_ns;
    uint32_t turn = env->hosts ? PY_START_FAILURES_MAX : env->failures++;
    if (turn == PY_START_FAILURES_MAX && env->hosts == 0) ending_short(reason);
    if (log_due(&warned_ns, p->now_ns, PY_DROP_WARNING_NS))
        log_warn("python", "%s; %u others go on", reason, env->hosts);
    env->short_until_ns = p->now_ns + (PY_SHORT_MS << turn) * MILLISECOND;
    p->dirty = false;
}

static void env_fails(pypool_t *p, pool_env_t *env, const char *reason) {
    if (env->state == ENV_FAILED) return;
    env->state = ENV_FAILED;
    p->dirty = true;
    snprintf(env->failure, sizeof env->failure, "%s", reason);
    log_error("python", "%s", env->failure);
}

/* True: a host with this jail may run user code of that environment. */
static bool sandbox_is_enough(pypool_t *p, pool_env_t *env, const py_jail_t *jail) {
    if (py_jail_closes_network(jail) || env->network || p->options.sandbox == PY_SANDBOX_OFF) return true;
    if (p->options.sandbox == PY_SANDBOX_REQUIRED) {
        env_fails(p, env,
                  "Python blocks need a sandbox (it is required), but this system allows neither namespaces "
                  "nor seccomp filters");
        return false;
    }
    if (!p->warned_sandbox)
        log_warn("python", "NO SANDBOX: this system allows neither namespaces nor seccomp filters; Python "
                           "blocks can reach the network");
    p->warned_sandbox = true;
    return true;
}

/* Tells the host what to install if it is an installer. */
static void write_init(py_host_t *h, const pool_env_t *env) {
    value_t init = value_object(1), frame = value_object(1);
    value_t prepare = h->installer ? pool_env_order(env) : value_null();
    object_set_text(&init, "prepare", prepare);
    object_set_text(&frame, "init", init);
    size_t begin = pyhost_frame_begin(h);
    json_write(&h->out, frame, JSON_COMPACT);
    if (pyhost_frame_end(h, begin) != 0) log_error("python", "the list of requirements is too large");
    value_free(frame);
}

/* Orders a host. NULL: that failed, which was noted. */
static py_host_t *order_host(pypool_t *p, pool_env_t *env, bool installer) {
    err_t err;
    bool shortage;
    char **environment = py_environ(env->in_venv ? env->venv : NULL, env->variables, installer);
    char **folders = py_interp_folders(env->program, env->venv, (const char *const *)env->folders,
                                       env->in_scratch ? NULL
                                       : env->work_dir ? env->work_dir
                                                       : ".");
    const bool sandbox = p->options.sandbox != PY_SANDBOX_OFF && !installer;
    const py_spawn_t how = {.program = env->program,
                            .envp = environment,
                            .work_dir = env->work_dir,
                            .in_scratch = env->in_scratch,
                            .folders = (const char *const *)folders,
                            .sandbox = sandbox,
                            .network = env->network || installer,
                            .files = sandbox ? env->files : PY_FILES_ALL,
                            .limits = installer ? (py_limits_t){0} : env->limits};
    py_host_t *h = pyhost_start(p->spawner, how, &shortage, &err);
    py_environ_free(environment);
    py_environ_free(folders);
    if (h) return h;
    if (shortage)
        start_is_short(p, env, err.text);
    else
        start_failed(p, env, err.text);
    return NULL;
}

/* Starts a host for user code, or the installer of an environment that is being created. False: there is no
 * place, or it failed; then the reason was noted. */
static bool start_host(pypool_t *p, uint32_t env_number) {
    pool_env_t *env = &p->envs[env_number];
    uint32_t slot;
    bool installer = env->state == ENV_INSTALLING;
    if (!free_slot(p, &slot)) return false;
    py_host_t *h = order_host(p, env, installer);
    if (!h) return false;
    h->env = env_number;
    h->slot = slot;
    h->installer = installer;
    p->hosts[slot] = h;
    h->state = HOST_GONE; /* so that set_state does not take it out of the counts */
    set_state(p, h, HOST_STARTING, "ordered");
    h->deadline_ns = p->now_ns + (installer ? PY_INSTALL_MS_MAX : PY_START_MS_MAX) * MILLISECOND;
    write_init(h, env);
    watch(p, EPOLL_CTL_ADD, h->child.frame_fd, slot, SOURCE_FRAME, EPOLLIN);
    watch(p, EPOLL_CTL_ADD, h->child.log_fd, slot, SOURCE_LOG, EPOLLIN);
    watch(p, EPOLL_CTL_ADD, h->child.status_fd, slot, SOURCE_PROCESS, EPOLLIN);
    return true;
}

static void forget_sent(py_host_t *h, py_task_t *t) {
    h->queued_us -= t->expected_us;
    t->expected_us = 0;
}

static void wait_again(pypool_t *p, uint32_t env, py_task_t *t) {
    py_tasks_insert(&p->envs[env].waiting, t);
    p->envs[env].units_wait = true;
    p->dirty = true;
}

/* Calls that were sent to the host but have not started wait again. */
static void requeue_rest(pypool_t *p, py_host_t *h) {
    while (h->tasks.count > 1) {
        py_task_t *t = py_tasks_pop_last(&h->tasks);
        forget_sent(h, t);
        if (t->cancelled)
            free_task(p, t);
        else
            wait_again(p, h->env, t);
    }
    p->dirty = true;
}

static void fail_running(pypool_t *p, py_host_t *h, const char *reason) {
    py_task_t *t = py_tasks_pop(&h->tasks);
    if (!t) return;
    forget_sent(h, t);
    fail_task(p, t, SDG_EIO, reason);
}

/* The host gets no further call; those behind the running one wait again. */
static void begin_end(pypool_t *p, py_host_t *h, const char *why) {
    requeue_rest(p, h);
    set_state(p, h, HOST_ENDING, why);
    h->deadline_ns = p->now_ns + PY_KILL_MS * MILLISECOND;
    py_asks_clear(&h->asks);
}

/* Kills a host, which fails its running call. One that is ending already is left alone. */
static void end_host(pypool_t *p, py_host_t *h, const char *reason) {
    if (!is_alive(h)) return;
    h->explained = true;
    pyhost_kill(h);
    begin_end(p, h, reason);
    h->deadline_ns = p->now_ns + PY_KILL_MS * MILLISECOND;
    fail_running(p, h, reason);
    if (!h->greeted && !h->installer) start_failed(p, &p->envs[h->env], reason);
}

/* The socket has ended, most likely because the process has. Its exit status says in a moment what becomes of
 * the running call. A process that goes on without its socket is killed after PY_CLOSED_MS. */
static void on_closed(pypool_t *p, py_host_t *h) {
    if (!is_alive(h)) return;
    pyhost_hang_up(h);
    begin_end(p, h, "socket closed");
    h->deadline_ns = p->now_ns + PY_CLOSED_MS * MILLISECOND;
}

static void kill_closed(pypool_t *p, py_host_t *h) {
    static const char reason[] = "the Python process closed the descriptor that connects it to us";
    h->explained = true;
    h->deadline_ns = p->now_ns + PY_KILL_MS * MILLISECOND;
    pyhost_kill(h);
    fail_running(p, h, reason);
    if (h->installer && !h->greeted)
        env_fails(p, &p->envs[h->env], reason);
    else if (!h->greeted)
        start_failed(p, &p->envs[h->env], reason);
}

/* ---- environments ---- */

static void resolve(pypool_t *p, pool_env_t *env) {
    char reason[ERR_TEXT_MAX];
    if (!pool_env_resolve(env, reason, sizeof reason)) env_fails(p, env, reason);
}

/* The environment cannot be used: its calls fail. */
static void fail_waiting(pypool_t *p, pool_env_t *env) {
    for (py_task_t *t; (t = py_tasks_pop(&env->waiting));)
        fail_task(p, t, SDG_EINVAL, env->failure);
}

/* ---- sending calls ---- */

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

static void send_call(pypool_t *p, py_host_t *h, py_task_t *t) {
    t->expected_us = p->functions[t->function].usual_us;
    if (write_call(p, h, t) != 0) {
        t->expected_us = 0;
        fail_task(p, t, SDG_ELIMIT, "the inputs of this Python call are larger than 64 MiB of JSON");
        return;
    }
    h->queued_us += t->expected_us;
    py_tasks_push(&h->tasks, t);
    if (h->tasks.count == 1) note_start(p, h);
}

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

/* Counts the live hosts for user code: those that wait for AI answers, and the others. */
static void count_hosts(const pypool_t *p, uint32_t *computing, uint32_t *asking) {
    *computing = *asking = 0;
    for (uint32_t i = 0; i < p->slots; i++) {
        const py_host_t *h = p->hosts[i];
        if (h != NULL && is_alive(h) && !h->installer) *(h->asks.count > 0 ? asking : computing) += 1;
    }
}

/* Ends one idle host of another environment that has more, to make room. False: there is none. */
static bool retire_one(pypool_t *p, uint32_t except_env) {
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (h && h->state == HOST_READY && h->env != except_env && h->tasks.count == 0 &&
            p->envs[h->env].hosts > 1 && p->envs[h->env].waiting.count == 0) {
            end_host(p, h, "retired: another environment needs its place");
            return true;
        }
    }
    return false;
}

/* May one more host start? hosts_max bounds the hosts that compute; PY_AI_HOSTS_MAX further ones may wait for
 * AI answers. When hosts_max is reached, an idle host of another environment may be ended for it. */
static bool place_for_host(pypool_t *p, uint32_t env_number) {
    const pool_env_t *env = &p->envs[env_number];
    if (env->starting >= env->waiting.count || env->short_until_ns > p->now_ns) return false;
    if (env->hosts == 0) return true;
    uint32_t computing, asking;
    count_hosts(p, &computing, &asking);
    if (computing + asking >= p->options.hosts_max + PY_AI_HOSTS_MAX) return false;
    return computing < p->options.hosts_max || retire_one(p, env_number);
}

/* Calls that wait for a process give their units to others: they may wait for rows that need those. */
static void give_units(pool_env_t *env) {
    if (!env->units_wait) return;
    env->units_wait = false;
    for (py_task_t *t = py_tasks_first(&env->waiting); t; t = py_tasks_next(&env->waiting, t))
        py_task_give_unit(t);
}

/* Sends waiting calls to hosts, and starts hosts for them. */
static void send_waiting(pypool_t *p, uint32_t number) {
    pool_env_t *env = &p->envs[number];
    while (env->waiting.count > 0 && env->state == ENV_READY) {
        py_task_t *t = py_tasks_first(&env->waiting);
        py_host_t *h = pick_host(p, number, p->functions[t->function].usual_us);
        if (!h || h->tasks.count > 0)
            while (place_for_host(p, number) && start_host(p, number)) {
            }
        if (!h || env->waiting.count == 0) return;
        if (!py_task_take_unit(t)) {
            p->wanted = t->permit;
            return;
        }
        send_call(p, h, py_tasks_pop(&env->waiting));
    }
}

static bool has_installer(const pypool_t *p, uint32_t env) {
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && p->hosts[i]->installer && p->hosts[i]->env == env) return true;
    return false;
}

static void dispatch(pypool_t *p) {
    p->dirty = false;
    p->wanted = NULL;
    for (uint32_t i = 0; i < p->env_count; i++) {
        pool_env_t *env = &p->envs[i];
        if (env->waiting.count == 0) continue;
        if (env->state == ENV_NEW) resolve(p, env);
        if (env->state == ENV_INSTALLING && !has_installer(p, i) && env->short_until_ns <= p->now_ns)
            start_host(p, i);
        if (env->state == ENV_READY) send_waiting(p, i);
        if (env->state == ENV_FAILED) fail_waiting(p, env);
        give_units(env);
    }
}

/* ---- frames from a host ---- */

static value_t member(value_t frame, const char *name) {
    return object_get_peek(frame, name, strlen(name), NULL);
}

static const char *text_or(value_t v, const char *otherwise) {
    return v.kind == VALUE_STRING ? v.string->data : otherwise;
}

/* Takes the running call out of the queue; NULL (and the host ends) if the host answers something else. */
static py_task_t *answered(pypool_t *p, py_host_t *h, value_t id, value_t microseconds) {
    py_task_t *t = py_tasks_first(&h->tasks);
    if (!t || id.kind != VALUE_INT || (uint64_t)id.integer != t->secret) {
        end_host(p, h, "the Python process answered a call it was not given");
        return NULL;
    }
    py_tasks_pop(&h->tasks);
    forget_sent(h, t);
    py_asks_clear(&h->asks);
    h->stray_lines = 0;
    note_start(p, h);
    uint32_t took = microseconds.kind == VALUE_INT && microseconds.integer < UINT32_MAX / 2
                        ? (uint32_t)microseconds.integer
                        : UINT32_MAX / 2;
    pool_function_t *f = &p->functions[t->function];
    uint32_t faded = f->usual_us - f->usual_us / 8;
    f->usual_us = took > faded ? took : faded;
    return t;
}

static void on_ok(pypool_t *p, py_host_t *h, value_t frame) {
    py_task_t *t = answered(p, h, member(frame, "ok"), member(frame, "us"));
    if (!t) return;
    if (!t->cancelled) {
        py_event_t *e = new_event(p, PY_DONE, t->tag);
        e->outputs = value_ref(member(frame, "o"));
        e->vars = value_ref(member(frame, "v"));
        e->repairs = p->repairs;
    }
    free_task(p, t);
}

static void on_bad(pypool_t *p, py_host_t *h, value_t frame) {
    py_task_t *t = answered(p, h, member(frame, "bad"), member(frame, "us"));
    if (t) fail_task(p, t, SDG_EINVAL, text_or(member(frame, "e"), "failed without a message"));
}

/* A call that waits in the host's queue is given back, because the running one waits for an LLM. */
static void on_back(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "back");
    py_task_t *t = id.kind == VALUE_INT ? py_tasks_find_secret(&h->tasks, (uint64_t)id.integer) : NULL;
    if (!t || t == py_tasks_first(&h->tasks)) {
        end_host(p, h, "the Python process gave back a call that is not in its queue");
        return;
    }
    py_tasks_take_id(&h->tasks, t->id);
    forget_sent(h, t);
    if (t->cancelled)
        free_task(p, t);
    else
        wait_again(p, h->env, t);
}

/* The running call, if this frame is of it; NULL: a thread that another call has left behind has sent it. */
static py_task_t *asking_task(const py_host_t *h, value_t frame) {
    py_task_t *t = py_tasks_first(&h->tasks);
    value_t call = member(frame, "call");
    return t && !t->cancelled && call.kind == VALUE_INT && (uint64_t)call.integer == t->secret ? t : NULL;
}

static value_t ask_event(py_event_t *e, value_t id) {
    value_t ai = value_object(5);
    object_set_text(&ai, "id", value_ref(id));
    return e->ai = ai;
}

static void on_ai(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "ai");
    py_task_t *t = asking_task(h, frame);
    if (!t) return;
    const char *why = !p->functions[t->function].may_ask
                          ? "the call asks an LLM, and ctx_access does not list call_ai"
                      : id.kind != VALUE_INT ? "the Python process asked a question without a number"
                                             : py_asks_add(&h->asks, id.integer, p->frame_len);
    if (why) {
        end_host(p, h, why);
        return;
    }
    py_event_t *e = new_event(p, PY_CALL_AI, t->tag);
    ask_event(e, id);
    static const char *const names[] = {"model", "system", "prompts", "params"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        object_set_text(&e->ai, names[i], value_ref(member(frame, names[i])));
}

static void on_drop(pypool_t *p, py_host_t *h, value_t frame) {
    value_t id = member(frame, "drop");
    py_task_t *t = asking_task(h, frame);
    if (!t || id.kind != VALUE_INT || !py_asks_take(&h->asks, id.integer)) return;
    ask_event(new_event(p, PY_GIVES_UP, t->tag), id);
    p->dirty = true;
}

static void on_log(pypool_t *p, py_host_t *h, value_t frame) {
    const py_task_t *t = py_tasks_first(&h->tasks);
    add_log(p, t ? t->tag : 0, member(frame, "log"), member(frame, "m"));
}

/* User code can write frames, too: each kind is taken only when host.py may send it. */
static bool is_expected(pypool_t *p, py_host_t *h, bool expected) {
    if (!expected) end_host(p, h, "the Python process sent a frame that it may not send now");
    return expected;
}

/* The host is ready, if its version is one that the environment accepts. */
static void on_hello(pypool_t *p, py_host_t *h, value_t frame) {
    pool_env_t *env = &p->envs[h->env];
    value_t v = member(frame, "hello");
    int version[3] = {0};
    if (!is_expected(p, h, h->state == HOST_STARTING && !h->installer)) return;
    for (size_t i = 0; v.kind == VALUE_LIST && i < 3 && i < list_count(v); i++)
        version[i] = list_peek(v, i).kind == VALUE_INT ? (int)list_peek(v, i).integer : 0;
    env->failures = 0;
    h->greeted = true;
    h->deadline_ns = UINT64_MAX;
    if (py_interp_accepts(&env->interp, version)) {
        set_state(p, h, HOST_READY, "said hello");
        return;
    }
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "runtime.python.interpreter asks for '%s', but %s is Python %d.%d.%d",
             env->asked, env->program, version[0], version[1], version[2]);
    env_fails(p, env, reason);
    end_host(p, h, reason);
}

/* The installer is done: the environment is ready, or has failed for good. */
static void on_prepared(pypool_t *p, py_host_t *h, value_t frame) {
    pool_env_t *env = &p->envs[h->env];
    const char *said = text_or(member(frame, "prepared"), "no reason given");
    if (!is_expected(p, h, h->installer && !h->greeted)) return;
    char *python = py_venv_python(env->venv);
    h->greeted = true;
    if (said[0] == '\0' && python) {
        log_info("python", "the virtual environment %s is ready", env->venv);
        pool_env_set_program(env, python, true);
        env->state = ENV_READY;
    } else {
        char reason[ERR_TEXT_MAX];
        snprintf(reason, sizeof reason, "cannot prepare the virtual environment %s: %s", env->venv,
                 said[0] != '\0' ? said : "it has no bin/python");
        free(python);
        env_fails(p, env, reason);
    }
    end_host(p, h, "its work is done");
}

typedef struct frame_kind {
    const char *name; /* first member of the frame */
    void (*handle)(pypool_t *p, py_host_t *h, value_t frame);
} frame_kind_t;
static const frame_kind_t FRAMES[] = {{"ok", on_ok},       {"bad", on_bad},          {"back", on_back},
                                      {"ai", on_ai},       {"drop", on_drop},        {"log", on_log},
                                      {"hello", on_hello}, {"prepared", on_prepared}};

static void on_frame(pypool_t *p, py_host_t *h, value_t frame) {
    const char *name =
        frame.kind == VALUE_OBJECT && object_count(frame) > 0 ? object_key_peek(frame, 0)->data : "";
    for (size_t i = 0; i < sizeof FRAMES / sizeof FRAMES[0]; i++) {
        if (strcmp(name, FRAMES[i].name) == 0) {
            FRAMES[i].handle(p, h, frame);
            return;
        }
    }
    end_host(p, h, "the Python process sent a frame that is not known");
}

/* A frame is no JSON that we take. If it is a result (too deep, or with odd numbers), only its call fails. */
static void on_unreadable(pypool_t *p, py_host_t *h, const char *bytes, size_t len, const err_t *why) {
    static const char result[] = "{\"ok\":";
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "the result cannot be read: %.400s", why->text);
    py_task_t *t = py_tasks_first(&h->tasks);
    if (len > sizeof result && memcmp(bytes, result, sizeof result - 1) == 0 && t) {
        fail_task(p, answered(p, h, value_int((int64_t)t->secret), value_int(0)), SDG_EPARSE, reason);
    } else {
        end_host(p, h, reason);
    }
}

/* Handles frames until there is none, or the host has been ended by one. */
static void take_frames(pypool_t *p, py_host_t *h) {
    const char *bytes;
    size_t len;
    int got;
    while ((got = pyhost_frame(h, &bytes, &len)) > 0) {
        value_t frame;
        err_t err;
        json_repairs_t before = json_repairs_so_far();
        p->frame_len = len;
        int rc = json_parse(p->parser, bytes, len, &frame, &err);
        p->repairs = json_repairs_since(before);
        if (rc != 0)
            on_unreadable(p, h, bytes, len, &err);
        else
            on_frame(p, h, frame);
        value_free(frame);
        if (!is_alive(h)) return;
    }
    if (got < 0) end_host(p, h, "the Python process sent more than 64 MiB at once");
}

/* Lines belong to the running call. Without one they go to our log, a bounded number of them. */
static void take_log_lines(pypool_t *p, py_host_t *h, bool all) {
    char line[PY_LOG_LINE_MAX];
    pyhost_read_log(h);
    while (pyhost_log_line(h, all, line, sizeof line)) {
        if (line[0] == '\0') continue;
        snprintf(h->last_line, sizeof h->last_line, "%.190s", line);
        const py_task_t *t = py_tasks_first(&h->tasks);
        if (!t) {
            if (h->stray_lines++ < PY_STRAY_LINES_MAX) log_info("python", "%s", line);
            continue;
        }
        value_t level = value_text("info"), message = value_text(line);
        add_log(p, t->tag, level, message);
        value_free(level);
        value_free(message);
    }
}

/* False: the socket is closed or the host was ended. */
static bool on_readable(pypool_t *p, py_host_t *h) {
    if (!is_alive(h)) return false;
    bool open = pyhost_read(h);
    take_log_lines(p, h, true); /* first: a call's prints come before its answer */
    take_frames(p, h);
    pyhost_read_done(h);
    return open && is_alive(h);
}

/* `ulimit -v` holds for the interpreter, too, which has no other word for it. */
static bool lacked_memory(const py_host_t *h, const char *how) {
    struct rlimit memory;
    if (getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur == RLIM_INFINITY) return false;
    return strstr(h->last_line, "emory") || strstr(h->last_line, "failed to map") || strstr(how, "killed");
}

static void finish_start(pypool_t *p, py_host_t *h, const char *how) {
    pool_env_t *env = &p->envs[h->env];
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "%s %s %s%s%s", env->program, how,
             h->installer ? "while preparing a virtual environment" : "at its start",
             h->last_line[0] != '\0' ? ": " : "", h->last_line);
    if (h->installer)
        env_fails(p, env, reason);
    else if (lacked_memory(h, how))
        start_is_short(p, env, reason);
    else
        start_failed(p, env, reason);
}

/* Reads until the socket ends, or until nothing comes: a process that the host has started may hold the other
 * end. */
static void read_rest(py_host_t *h) {
    size_t before;
    do
        before = h->in.len;
    while (pyhost_read(h) && h->in.len != before);
}

/* The process of the running call is gone. A call whose process was killed begins once more, a few times; it
 * fails when that cannot be bad luck any more, or when its own code has ended the process. */
static void lose_running(pypool_t *p, py_host_t *h, const char *how) {
    py_task_t *t = py_tasks_pop(&h->tasks);
    char reason[ERR_TEXT_MAX];
    if (!t) return;
    forget_sent(h, t);
    if (h->killed && !t->cancelled && ++t->deaths < PY_DEATHS_MAX) {
        log_warn("python", "the Python process %s; its call begins once more", how);
        new_event(p, PY_AGAIN, t->tag);
        wait_again(p, h->env, t);
        return;
    }
    _Static_assert(PY_DEATHS_MAX == 3, "the words below say three");
    snprintf(reason, sizeof reason, "the Python process %s %s", how,
             h->killed ? "three times" : "during this call");
    fail_task(p, t, SDG_EIO, reason);
}

/* The host executes. What holds it is said once for each process of ours. */
static void on_started(pypool_t *p, py_host_t *h) {
    static _Atomic bool said;
    pool_env_t *env = &p->envs[h->env];
    char words[512];
    py_jail_words(&h->child.jail, env->network, env->files, &env->limits, words, sizeof words);
    log_debug("python", "host %u: process %d, sandbox: %s", h->slot, (int)h->child.pid, words);
    if (h->installer) return;
    if (!said) log_info("python", "sandbox of Python blocks: %s", words);
    said = true;
    if (is_alive(h) && !sandbox_is_enough(p, env, &h->child.jail)) end_host(p, h, env->failure);
}

/* The process is gone. Answers that it sent before count. */
static void on_exit_of_host(pypool_t *p, py_host_t *h, const char *how) {
    take_log_lines(p, h, true);
    if (is_alive(h)) {
        read_rest(h);
        take_frames(p, h);
    }
    requeue_rest(p, h);
    lose_running(p, h, how);
    py_asks_clear(&h->asks);
    set_state(p, h, HOST_GONE, how);
    if (!h->greeted && !h->explained) finish_start(p, h, how);
}

static void on_report(pypool_t *p, py_host_t *h) {
    char how[160];
    py_report_t r = pyhost_report(h, how, sizeof how);
    if (r.kind == PY_REPORT_STARTED) on_started(p, h);
    if (!h->gone) return;
    pool_env_t *env = &p->envs[h->env];
    bool shortage = r.kind == PY_REPORT_FAILED && py_is_shortage(r.error);
    if (shortage) h->explained = true;
    on_exit_of_host(p, h, how);
    if (!shortage) return;
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "a Python process %s", how);
    start_is_short(p, env, reason);
}

/* ---- the round ---- */

static void on_source(pypool_t *p, py_host_t *h, int source, uint32_t events) {
    if (source == SOURCE_LOG) {
        take_log_lines(p, h, false);
    } else if (source == SOURCE_PROCESS) {
        on_report(p, h);
    } else if (is_alive(h)) {
        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !on_readable(p, h)) on_closed(p, h);
    }
}

static void take_sources(pypool_t *p) {
    struct epoll_event events[EPOLL_BATCH];
    int n = epoll_wait(p->epoll_fd, events, EPOLL_BATCH, 0);
    for (int i = 0; i < n; i++) {
        py_host_t *h = p->hosts[events[i].data.u64 / SOURCES];
        if (h && h->state != HOST_GONE)
            on_source(p, h, (int)(events[i].data.u64 % SOURCES), events[i].events);
    }
}

/* A host has been idle for PY_IDLE_MS. It goes if there are more than hosts_max, because others waited for AI
 * answers when it started. */
static void on_idle(pypool_t *p, py_host_t *h) {
    uint32_t computing, asking;
    count_hosts(p, &computing, &asking);
    h->deadline_ns = UINT64_MAX;
    if (computing > p->options.hosts_max && p->envs[h->env].hosts > 1)
        end_host(p, h, "idle and more than are needed");
}

static void expire_ending(pypool_t *p, py_host_t *h) {
    if (!h->explained) {
        kill_closed(p, h);
        return;
    }
    py_child_kill_keeper(&h->child); /* it is stopped, or a process does not die */
    h->deadline_ns = UINT64_MAX;
}

/* A deadline has passed: of an idle host, of a start, of a call or of a cancelled one. */
static void expire(pypool_t *p, py_host_t *h) {
    char reason[ERR_TEXT_MAX];
    const py_task_t *t = py_tasks_first(&h->tasks);
    if (h->state == HOST_ENDING) {
        expire_ending(p, h);
        return;
    }
    if (h->state == HOST_READY && !t) {
        on_idle(p, h);
        return;
    }
    if (h->state == HOST_STARTING)
        snprintf(reason, sizeof reason, "%s did not start in time", p->envs[h->env].program);
    else if (t && !t->cancelled)
        snprintf(reason, sizeof reason, "TimeoutError: the call took longer than %u ms (timeout_ms)",
                 t->timeout_ms);
    else
        snprintf(reason, sizeof reason, "cancelled");
    if (h->installer) env_fails(p, &p->envs[h->env], "preparing the virtual environment took too long");
    end_host(p, h, reason);
}

static void flush_host(pypool_t *p, py_host_t *h) {
    if (h->out.len > 0 && !pyhost_write(h)) {
        h->out.len = 0; /* the socket is closed, which is reported next, or the end of the process */
        h->out_at = 0;
    }
    bool wants = h->out.len > 0;
    if (wants != h->polls_out)
        watch(p, EPOLL_CTL_MOD, h->child.frame_fd, h->slot, SOURCE_FRAME,
              wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    h->polls_out = wants;
}

void pypool_drive(pypool_t *p, uint64_t now_ns) {
    p->now_ns = now_ns;
    take_sources(p);
    for (uint32_t i = 0; i < p->slots; i++)
        if (p->hosts[i] && p->hosts[i]->deadline_ns <= now_ns) expire(p, p->hosts[i]);
    dispatch(p);
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (h && is_alive(h)) flush_host(p, h);
        if (h && h->state == HOST_GONE) pyhost_destroy(&p->hosts[i]);
    }
}

void pypool_load(const pypool_t *p, pypool_load_t *load) {
    *load = (pypool_load_t){.calls = p->tasks};
    for (uint32_t i = 0; i < p->slots; i++) {
        const py_host_t *h = p->hosts[i];
        if (!h || !is_alive(h) || h->installer) continue;
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
        free_task(p, t);
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
    for (size_t i = 0; i < list_count(list); i++)
        found |= strcmp(text_or(list_peek(list, i), ""), "call_ai") == 0;
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

static int write_answer(py_host_t *h, int64_t id, value_t text, const char *error) {
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

void pypool_ai_answer(pypool_t *p, uint64_t tag, int64_t id, value_t text, const char *error) {
    py_host_t *h = find_asking(p, tag);
    if (!h || !py_asks_take(&h->asks, id)) return; /* the call is over, or has given the question up */
    if (write_answer(h, id, text, error) != 0)
        write_answer(h, id, value_null(), "the answer is larger than 64 MiB of JSON");
    p->dirty = true;
}

/* Cancels a call that was sent. Its event comes now. If it runs it may go on for PY_CANCEL_MS, unheard; then
 * its host is killed. */
static bool cancel_sent(pypool_t *p, py_host_t *h, uint64_t tag) {
    py_task_t *t = py_tasks_find_tag(&h->tasks, tag);
    if (!t) return false;
    err_set(&new_event(p, PY_FAILED, tag)->error, SDG_ECANCELLED, "cancelled");
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
            fail_task(p, py_tasks_take_id(&p->envs[i].waiting, t->id), SDG_ECANCELLED, "cancelled");
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
