/* pypool.h - Python blocks: a pool of CPython host processes owned by one worker. Knows no YAML and no
 * actors.
 *
 * Hosts start lazily, up to `hosts_max`, and are reached over a socketpair with length-prefixed JSON frames,
 * so user prints cannot break the protocol (a host's stdout and stderr come out as PY_LOG events). Several
 * calls may be queued on one host (it runs one at a time). As with the LLM engine, one descriptor stands for
 * everything: poll pypool_fd with pypool_timeout_ms, call pypool_drive, take events with pypool_next. Nothing
 * blocks, no callbacks.
 *
 * A call ends in exactly one PY_DONE or PY_FAILED event, whatever happens to its host. In between it may
 * raise PY_CALL_AI events (the user called ctx.call_ai; several at once if the user's code has threads):
 * answer each with pypool_ai_answer. A timeout kills the host and the pool replaces it; calls queued behind
 * it start elsewhere. A cancelled call fails with SDG_ECANCELLED in the next events.
 *
 * Hosts are per environment: each environment in use keeps at least one, even above hosts_max. A host that
 * waits for AI answers does not count; up to PY_AI_HOSTS_MAX further ones start meanwhile and go when they
 * are idle. Module state persists within one host.
 *
 * Use a pool from one thread, and let that thread live as long as the pool: hosts are killed by the kernel
 * when it ends.
 */
#ifndef SDG_PYTHON_PYPOOL_H
#define SDG_PYTHON_PYPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/value.h"

typedef struct pypool pypool_t;

/* An environment a function runs in; hosts are per environment. Everything is copied. */
typedef struct py_env {
    const char *interpreter; /* program to run, NULL: python3 from PATH; a constraint such as "python>=3.8" is
                                checked at start */
    const char *venv;     /* folder; used if it exists (or can be created because requirements are given) */
    value_t requirements; /* list of texts or null: what pip takes; a name that ends in .txt and exists is a
                             file of them */
    value_t env;          /* object of texts or null: added to the clean environment */
    bool allow_network;
    const char *work_dir; /* NULL: ours */
} py_env_t;

/* A function to call; registered once, called many times. */
typedef struct py_function {
    uint32_t env;           /* from pypool_add_env */
    const char *entrypoint; /* function name */
    const char *code;       /* source text, or NULL */
    const char *code_path;  /* file (already resolved), or NULL */
    bool v1;                /* fn(*args) without ctx */
    value_t ctx_access;     /* null: everything; else list of texts */
    value_t outputs;        /* list of declared output names: binds dict by name, else positionally */
} py_function_t;

typedef struct py_call {
    uint32_t function;   /* from pypool_add_function */
    uint32_t timeout_ms; /* 0: none */
    value_t args;        /* list: positional */
    value_t kwargs;      /* object */
    value_t context;     /* object: row context, for ctx.get and parameters bound by name */
    value_t vars;        /* object: globals.vars of this row */
    value_t consts;      /* object */
} py_call_t;

typedef enum py_event_kind { PY_DONE, PY_FAILED, PY_CALL_AI, PY_LOG } py_event_kind_t;
typedef struct py_event {
    py_event_kind_t kind;
    uint64_t tag;
    value_t
        outputs;  /* DONE: object output name -> value (declared outputs; ctx.emit lists included). Owned */
    value_t vars; /* DONE: object of changed vars (ctx.vars / ctx.set, changed in place too), null when none.
                     Owned */
    value_t ai;   /* CALL_AI: {"id": n, "model": .., "system": .., "prompts": [..], "params": {..}}. Owned */
    value_t log;  /* LOG: {"level": .., "message": ..}; prints have the level "info". Comes before the call's
                     last event. Owned */
    err_t error;  /* FAILED: Python's message, its last traceback line and the user's line number */
} py_event_t;

typedef struct pypool_options {
    uint32_t hosts_max; /* per pool, default 2 */
    enum { PY_SANDBOX_AUTO, PY_SANDBOX_REQUIRED, PY_SANDBOX_OFF } sandbox;
    uint64_t memory_bytes_max; /* RLIMIT_AS of a host, 0: none */
} pypool_options_t;

pypool_t *pypool_new(const pypool_options_t *options, err_t *err);
void pypool_destroy(pypool_t **pool);                                               /* kills the hosts */
int pypool_add_env(pypool_t *pool, const py_env_t *env, err_t *err);                /* number or negative */
int pypool_add_function(pypool_t *pool, const py_function_t *function, err_t *err); /* number or negative */
int pypool_submit(pypool_t *pool, const py_call_t *call, uint64_t tag, err_t *err);
void pypool_ai_answer(pypool_t *pool, uint64_t tag, int64_t id, value_t text,
                      const char *error); /* error NULL: text is the answer */
void pypool_cancel(pypool_t *pool, uint64_t tag);
int pypool_fd(const pypool_t *pool);
int pypool_timeout_ms(const pypool_t *pool, uint64_t now_ns);
void pypool_drive(pypool_t *pool, uint64_t now_ns);
bool pypool_next(pypool_t *pool, py_event_t *event);

typedef struct pypool_load {         /* gauges */
    uint32_t calls;                  /* submitted and not finished */
    uint32_t hosts;                  /* processes for user code; of them: */
    uint32_t starting, busy, asking; /* not yet ready; running a call; waiting for AI answers */
} pypool_load_t;
void pypool_load(const pypool_t *pool, pypool_load_t *load);

#endif
