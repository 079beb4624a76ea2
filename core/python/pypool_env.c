/* pypool_env.c - see pypool_env.h. */
#include "core/python/pypool_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/python/limits.h"

value_t pool_env_list(value_t v) {
    if (v.kind == VALUE_LIST) return value_ref(v);
    value_t list = value_list(1);
    if (v.kind != VALUE_NULL) list_push(&list, value_ref(v));
    return list;
}

int pool_env_init(pool_env_t *env, const py_env_t *given, err_t *err) {
    py_interp_t interp;
    if (py_interp_parse(given->interpreter, &interp, err) != 0) return SDG_EINVAL;
    *env = (pool_env_t){
        .interp = interp,
        .asked = xstrdup(given->interpreter ? given->interpreter : "python3"),
        .venv = given->venv && given->venv[0] != '\0' ? py_absolute(given->venv) : NULL,
        .requirements = pool_env_list(given->requirements),
        .pre_install = pool_env_list(given->pre_install),
        .post_install = pool_env_list(given->post_install),
        .variables = value_ref(given->env),
        .network = given->allow_network,
        .work_dir = given->work_dir ? xstrdup(given->work_dir) : NULL,
        .in_scratch = given->in_scratch,
        .files = given->files,
        .limits = given->limits,
    };
    py_tasks_init(&env->waiting);
    return 0;
}

void pool_env_free(pool_env_t *env) {
    free(env->asked);
    free(env->program);
    free(env->venv);
    free(env->work_dir);
    py_environ_free(env->folders);
    value_free(env->requirements);
    value_free(env->pre_install);
    value_free(env->post_install);
    value_free(env->variables);
}

void pool_env_set_program(pool_env_t *env, char *take, bool in_venv) {
    free(env->program);
    env->program = take;
    env->in_venv = in_venv;
}

/* The venv is there, but not with what the pipeline asks for now. The installer is the plain interpreter, as
 * for a new one; without it the venv's own. */
static void begin_update(pool_env_t *env, char *take_python) {
    char *program = py_find_program(env->interp.program);
    log_info("python", "installing what is missing of the requirements into the virtual environment %s",
             env->venv);
    pool_env_set_program(env, program ? program : take_python, !program);
    if (program) free(take_python);
    env->state = ENV_INSTALLING;
}

bool pool_env_resolve(pool_env_t *env, char *reason, size_t size) {
    char *python = env->venv ? py_venv_python(env->venv) : NULL;
    bool wants_packages =
        list_count(env->requirements) + list_count(env->pre_install) + list_count(env->post_install) > 0;
    py_stamp(env->requirements, env->pre_install, env->post_install, env->stamp);
    if (python && wants_packages && !py_stamp_matches(env->venv, env->stamp)) {
        begin_update(env, python);
        return true;
    }
    if (python) {
        pool_env_set_program(env, python, true);
        env->state = ENV_READY;
        return true;
    }
    pool_env_set_program(env, py_find_program(env->interp.program), false);
    if (!env->program) {
        snprintf(reason, size, "runtime.python.interpreter: there is no program '%s'", env->interp.program);
        return false;
    }
    env->state = env->venv && wants_packages ? ENV_INSTALLING : ENV_READY;
    if (env->state == ENV_INSTALLING)
        log_info("python", "creating the virtual environment %s and installing its requirements", env->venv);
    else if (env->venv)
        log_warn("python",
                 "there is no virtual environment %s and no requirements to create it from: using %s",
                 env->venv, env->program);
    else if (wants_packages)
        log_warn("python",
                 "runtime.python.requirements and setup need runtime.python.venv to be installed into: using "
                 "%s as it "
                 "is",
                 env->program);
    return true;
}

value_t pool_env_order(const pool_env_t *env) {
    value_t prepare = value_object(7);
    object_set_text(&prepare, "venv", value_text(env->venv));
    object_set_text(&prepare, "mark", value_text(PY_VENV_MARK));
    object_set_text(&prepare, "requirements", value_ref(env->requirements));
    object_set_text(&prepare, "before", value_ref(env->pre_install));
    object_set_text(&prepare, "after", value_ref(env->post_install));
    object_set_text(&prepare, "stamp", value_text(env->stamp));
    object_set_text(&prepare, "stamp_file", value_text(PY_STAMP_FILE));
    return prepare;
}

void pool_env_add_folder(pool_env_t *env, const char *path) {
    const char *slash = strrchr(path, '/');
    env->folders = xrealloc(env->folders, (env->folder_count + 2) * sizeof *env->folders);
    env->folders[env->folder_count++] = slash > path ? xstrndup(path, (size_t)(slash - path)) : xstrdup(path);
    env->folders[env->folder_count] = NULL;
}
