/* pypool.h - Python blocks: a pool of CPython host processes owned by one worker. It knows no YAML and no
 * actors.
 *
 * Hosts start when they are needed, up to `hosts_max`. The pool and a host exchange JSON frames with a length
 * before them over a socketpair, so what user code prints cannot break the protocol: a host's stdout and
 * stderr become PY_LOG events. Several calls may be queued on one host, which runs one at a time. As with the
 * LLM engine, one descriptor stands for everything: poll pypool_fd with pypool_timeout_ms, call pypool_drive,
 * take events with pypool_next. Nothing blocks, no callbacks.
 *
 * A call ends in exactly one PY_DONE or PY_FAILED event, whatever happens to its host. Before that it may
 * raise PY_CALL_AI events (user code called ctx.call_ai; several at once if it has threads or coroutines):
 * answer each with pypool_ai_answer. A call whose host was killed from outside (the kernel is out of memory)
 * begins once more in another host, PY_DEATHS_MAX times in all. A timeout kills the host, and the pool
 * replaces it; calls queued behind the one that took too long start elsewhere. A cancelled call fails with
 * SDG_ECANCELLED, in an event that is there at once.
 *
 * Hosts are per environment: each environment in use keeps at least one, even above hosts_max. A host that
 * waits for AI answers does not count; meanwhile up to PY_AI_HOSTS_MAX further ones start, which go when they
 * are idle. The state of Python modules persists within one host.
 *
 * A pool is used from one thread. Hosts end with the process that has the pool, also when that is killed.
 */
#ifndef SDG_PYTHON_PYPOOL_H
#define SDG_PYTHON_PYPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/permit.h"
#include "core/base/value.h"
#include "core/python/pyjail.h"

typedef struct pypool pypool_t;

/* An environment a function runs in; hosts are per environment. Everything is copied. */
typedef struct py_env {
    /* Program to run; NULL: python3 from PATH. A constraint such as "python>=3.8" is checked at start. */
    const char *interpreter;
    const char *venv; /* folder; used if it exists, or can be created because requirements are given */
    /* List of texts or null: what pip takes. A text that ends in .txt and names a file is a list of
     * requirements. */
    value_t requirements;
    /* Lists of commands for a shell or null: run when the venv is made or its requirements change, before
     * they are installed and after. */
    value_t pre_install, post_install;
    value_t env; /* object of texts or null: added to the clean environment */
    bool allow_network;
    const char *work_dir; /* NULL: ours */
    bool in_scratch;      /* hosts whose files are confined work in their scratch folder */
    py_files_t files;     /* what its hosts may use; with PY_FILES_OWN the code of its functions, too */
    py_limits_t limits;   /* of each host */
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
    /* Units of the caller's job, of which the call needs one to begin; NULL: none is needed. *has_unit says
     * whether it has one. The pool takes it when a process is there for the call, and gives it back while the
     * call waits for one. Both outlive the call. */
    permit_t *permit;
    bool *has_unit;
} py_call_t;

typedef enum py_event_kind {
    PY_DONE,
    PY_FAILED,
    PY_CALL_AI,  /* user code asks an LLM */
    PY_GIVES_UP, /* it does not wait for that any more */
    PY_AGAIN,    /* its process was killed and the call begins once more: what it has asked is void */
    PY_LOG
} py_event_kind_t;
typedef struct py_event {
    py_event_kind_t kind;
    uint64_t tag;
    /* DONE: an object of the declared outputs, by name, with the lists of ctx.emit. Owned. */
    value_t outputs;
    /* DONE: an object of the vars that ctx.vars or ctx.set changed, or that were changed in place; null when
     * there are none. Owned. */
    value_t vars;
    json_repairs_t repairs; /* DONE: what JSON has not in these */
    /* CALL_AI: {"id": n, "model": .., "system": .., "prompts": [..], "params": {..}}. GIVES_UP: {"id": n}.
     * Owned. */
    value_t ai;
    /* LOG: {"level": .., "message": ..}; prints have the level "info". It comes before the last event of its
     * call. Owned. */
    value_t log;
    err_t error;   /* FAILED: Python's message, its last traceback line and the user's line number */
    value_t words; /* FAILED: the same in full, if error.text had to cut it, else null. Owned */
} py_event_t;
void py_event_free(py_event_t *event); /* what it owns */

typedef struct pypool_options {
    uint32_t hosts_max; /* processes; 0: PY_HOSTS_DEFAULT */
    enum { PY_SANDBOX_AUTO, PY_SANDBOX_REQUIRED, PY_SANDBOX_OFF } sandbox;
    const char *program; /* what starts hosts: "/proc/self/exe" of sdg. NULL: a fork of this process */
} pypool_options_t;

pypool_t *pypool_new(const pypool_options_t *options, err_t *err);
void pypool_destroy(pypool_t **pool); /* kills the hosts */
/* Both return the number, or a negative code. */
int pypool_add_env(pypool_t *pool, const py_env_t *env, err_t *err);
int pypool_add_function(pypool_t *pool, const py_function_t *function, err_t *err);
int pypool_submit(pypool_t *pool, const py_call_t *call, uint64_t tag, err_t *err);
/* Answers question `id` of the call; error NULL: `text` is the answer. Too late is harmless. */
void pypool_ai_answer(pypool_t *pool, uint64_t tag, int64_t id, value_t text, const char *error);
void pypool_cancel(pypool_t *pool, uint64_t tag);
bool pypool_waits(const pypool_t *pool,
                  uint64_t tag); /* the call has not begun: it waits for a process or a unit */
int pypool_fd(const pypool_t *pool);
int pypool_timeout_ms(const pypool_t *pool, uint64_t now_ns);
void pypool_drive(pypool_t *pool, uint64_t now_ns);
bool pypool_next(pypool_t *pool, py_event_t *event);

typedef struct pypool_load { /* gauges, for tests */
    uint32_t calls;          /* submitted and not finished */
    uint32_t hosts;          /* processes for user code */
    uint32_t starting;       /* hosts that are not ready yet */
    uint32_t busy;           /* hosts that run a call */
    uint32_t asking;         /* hosts that wait for AI answers */
} pypool_load_t;
void pypool_load(const pypool_t *pool, pypool_load_t *load);

#endif
