/* pypool_internal.h - the pool's own state, shared by pypool.c (the caller's side, events, the round),
 * pypool_calls.c (which call goes to which host, and comes back from it), pypool_starts.c (when a host
 * starts, and what a failed start means), pypool_hosts.c (a host from its start to its end) and
 * pypool_frames.c (what a host sends).
 *
 * Read the structs first: an environment (pypool_env.h) has the calls that wait, a host (pyhost.h) those that
 * it was sent. A function that makes a call wait, or lets a host take one, sets p->dirty; pool_calls_dispatch
 * moves the calls, once a round.
 */
#ifndef SDG_PYTHON_PYPOOL_INTERNAL_H
#define SDG_PYTHON_PYPOOL_INTERNAL_H

#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/python/limits.h"
#include "core/python/pyhost.h"
#include "core/python/pypool.h"
#include "core/python/pypool_env.h"
#include "core/python/pytask.h"

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

/* pypool.c */
/* Appends an event without contents, which the caller fills. It is valid until the next one is added. */
py_event_t *pool_event_add(pypool_t *p, py_event_kind_t kind, uint64_t tag);

/* pypool_calls.c */
void pool_call_free(pypool_t *p, py_task_t *take);
/* Ends a call with its failure event, unless it was cancelled and has had one. */
void pool_call_fail(pypool_t *p, py_task_t *take, int code, const char *reason);
void pool_calls_fail_waiting(pypool_t *p, pool_env_t *env, int code, const char *reason); /* all of them */
/* The host has answered its running call: takes it out of the host's queue, where the next one begins. */
py_task_t *pool_call_take_answered(pypool_t *p, py_host_t *h, uint32_t took_us);
/* A call that was taken out of the host's queue before it began waits again; if it was cancelled, it is
 * freed. */
void pool_call_give_back(pypool_t *p, py_host_t *h, py_task_t *take);
void pool_call_requeue_rest(pypool_t *p, py_host_t *h); /* gives back all calls behind the running one */
void pool_call_fail_running(pypool_t *p, py_host_t *h, const char *reason); /* if there is one */
/* The process of the running call is gone, as `how` says. The call begins once more or fails. */
void pool_call_lose_running(pypool_t *p, py_host_t *h, const char *how);
/* Writes the answer to question `id`; error NULL: it is `text`. SDG_ELIMIT: it is too large for a frame. */
int pool_call_write_answer(py_host_t *h, int64_t id, value_t text, const char *error);
/* Sends waiting calls to hosts, starts hosts for them, and fails those of environments that have failed. */
void pool_calls_dispatch(pypool_t *p);

/* pypool_starts.c */
/* May one more host of this environment start? An idle host of another one may be ended for it. */
bool pool_start_has_place(pypool_t *p, uint32_t env_number);
/* Starts a host for user code, or the installer of an environment that is being created. False: there is no
 * place, or it failed; then the reason was noted. */
bool pool_start_host(pypool_t *p, uint32_t env_number);
void pool_start_confirmed(pypool_t *p, py_host_t *h); /* the process says that it executes */
/* The host has ended before it was ready, and nobody has said why: `how` is its exit status in words. */
void pool_start_has_ended(pypool_t *p, py_host_t *h, const char *how);
void pool_start_failed(pypool_t *p, pool_env_t *env, const char *reason); /* the next one may succeed */
/* The start failed for want of descriptors, memory or processes. */
void pool_start_is_short(pypool_t *p, pool_env_t *env, const char *reason);
/* No start of the environment can succeed any more: its state is ENV_FAILED. Only the first reason counts. */
void pool_start_is_hopeless(pypool_t *p, pool_env_t *env, const char *reason);

/* pypool_hosts.c */
static inline bool pool_host_alive(const py_host_t *h) {
    return h->state == HOST_STARTING || h->state == HOST_READY;
}
/* The only setter of h->state. It keeps the environment's counts of hosts. */
void pool_host_set_state(pypool_t *p, py_host_t *h, py_host_state_t state, const char *why);
/* Counts the live hosts for user code: those that wait for AI answers, and the others. */
void pool_host_count(const pypool_t *p, uint32_t *computing, uint32_t *asking);
void pool_host_watch(pypool_t *p, py_host_t *h); /* registers its descriptors with p->epoll_fd */
/* epoll has `events` for `source`, as it was registered. */
void pool_host_hear(pypool_t *p, uint64_t source, uint32_t events);
/* Kills a host, which fails its running call. One that is ending already is left alone. */
void pool_host_end(pypool_t *p, py_host_t *h, const char *reason);
void pool_host_expire(pypool_t *p, py_host_t *h); /* its deadline has passed */
void pool_host_flush(pypool_t *p, py_host_t *h);  /* sends what its socket takes */

/* pypool_frames.c */
/* Takes what the host has sent: lines first, then frames. False: the socket is closed or the host was
 * ended. */
bool pool_frames_read(pypool_t *p, py_host_t *h);
/* Handles frames that were read until there is none, or the host has been ended by one. */
void pool_frames_take(pypool_t *p, py_host_t *h);
/* Takes the lines that it printed; with `all` also one without a newline. */
void pool_frames_take_lines(pypool_t *p, py_host_t *h, bool all);

#endif
