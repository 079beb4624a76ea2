/* pypool_env.h - an environment of the pool: which Python runs the functions of it, where, and what is to be
 * installed first. It starts nothing; the pool does, and keeps its own account in the second half of the
 * struct. */
#ifndef SDG_PYTHON_PYPOOL_ENV_H
#define SDG_PYTHON_PYPOOL_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/python/pyinterp.h"
#include "core/python/pypool.h"
#include "core/python/pytask.h"

typedef enum env_state { ENV_NEW, ENV_INSTALLING, ENV_READY, ENV_FAILED } env_state_t;

typedef struct pool_env {
    env_state_t state;
    py_interp_t interp;
    char *asked;                                     /* interpreter as written, for messages */
    char *program;                                   /* absolute path, once resolved */
    char *venv;                                      /* absolute, NULL: none */
    bool in_venv;                                    /* program is the venv's */
    value_t requirements, pre_install, post_install; /* lists */
    char stamp[PY_STAMP_BYTES];                      /* of these */
    value_t variables;
    bool network;
    char *work_dir;
    bool in_scratch;
    py_files_t files;
    py_limits_t limits;
    char **folders; /* of the code of its functions, NULL at the end */
    uint32_t folder_count;

    /* Written by the pool alone. */
    uint64_t short_until_ns; /* the system was short of something: no host is started before */
    py_tasks_t waiting;
    bool units_wait;            /* some of these may hold units */
    uint32_t hosts;             /* starting or ready */
    uint32_t starting;          /* hosts that are starting */
    uint32_t failures;          /* starts failed in a row */
    char failure[ERR_TEXT_MAX]; /* why it failed for good */
} pool_env_t;

/* As the caller describes it, not resolved; everything is copied. A bad version constraint is refused. */
int pool_env_init(pool_env_t *env, const py_env_t *given, err_t *err);
void pool_env_free(pool_env_t *env); /* what it owns; no calls wait in it */

/* Decides which Python runs: the venv's if it exists, a new venv if there is something to install, else the
 * plain interpreter. The state is ENV_INSTALLING or ENV_READY then; false: there is none, with the reason. */
bool pool_env_resolve(pool_env_t *env, char *reason, size_t size);
void pool_env_set_program(pool_env_t *env, char *take, bool in_venv);
value_t pool_env_order(const pool_env_t *env); /* what host.py is to install, owned by the caller */
/* Code may import what lies beside it. Hosts that have started already cannot be told, so functions come
 * first. */
void pool_env_add_folder(pool_env_t *env, const char *path);

/* A list of texts: a single text becomes a list of one, null an empty list. */
value_t pool_env_list(value_t v);

#endif
