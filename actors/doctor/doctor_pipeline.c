/* doctor_pipeline.c - checks of the pipeline: does it load, are its files there, its keys set, its Python to
 * be had?
 *
 * The file is loaded twice: with its variables replaced, as a worker would, and as written. The second tells
 * keys that come from the environment from those that stand in the file, and lets the other checks go on when
 * only a variable is missing. */
#include "actors/doctor/doctor_internal.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/doctor/limits.h"
#include "actors/verbs/prepare.h"
#include "core/base/clock.h"
#include "core/base/words.h"
#include "core/llm/endpoint.h"
#include "core/python/pyinterp.h"
#include "core/python/pyspawn.h"

/* ---- does it load */

static void say_loaded(doctor_t *d, const buf_t *problems) {
    const pipeline_t *p = d->pipeline;
    doctor_say(d, problems->len ? DOCTOR_WARN : DOCTOR_OK, "pipeline", "%s: %zu %s, %zu %s%s",
               d->options->yaml, p->block_count, words_choose(p->block_count, "block", "blocks"),
               p->named_count, words_choose(p->named_count, "model", "models"),
               problems->len ? ", with remarks" : "");
    if (problems->len) {
        doctor_advise(d, "read them below");
        doctor_details(d, problems->data);
    }
}

static void say_not_loaded(doctor_t *d, const buf_t *problems, size_t errors) {
    bool variables = d->as_written && !d->pipeline;
    doctor_say(d, DOCTOR_FAIL, "pipeline", "%s: %zu error%s%s", d->options->yaml, errors,
               errors == 1 ? "" : "s", variables ? ": environment variables are not set, or wrong" : "");
    doctor_advise(d, variables ? "set them where the workers run, as shown below"
                               : "correct what is shown below; `sdg validate` shows it, too");
    doctor_details(d, problems->len ? problems->data : "");
}

/* Loads the pipeline as a worker would, and once more with variables left as written. */
void doctor_check_pipeline(doctor_t *d) {
    buf_t problems, ignored;
    err_t err;
    size_t errors = 0;
    if (prepare_read_file(d->options->yaml, &d->yaml, &err) != SDG_OK) {
        doctor_say(d, DOCTOR_FAIL, "pipeline", "%s", err.text);
        doctor_advise(d, "give the path of a MABEL file with --yaml");
        return;
    }
    buf_init(&problems, 4 << 20);
    buf_init(&ignored, 4 << 20);
    prepare_how_t strict = {.use_env = true, .strict = d->options->strict}, lenient = {.use_env = true};
    d->pipeline = prepare_pipeline_quietly(d->options->yaml, &d->yaml, strict, &problems, &errors);
    d->as_written = prepare_pipeline_quietly(d->options->yaml, &d->yaml, (prepare_how_t){0}, &ignored, NULL);
    bool fine = d->pipeline;
    if (!fine && d->options->strict) /* the other checks go on with what only --strict refuses */
        d->pipeline = prepare_pipeline_quietly(d->options->yaml, &d->yaml, lenient, &ignored, NULL);
    if (fine)
        say_loaded(d, &problems);
    else
        say_not_loaded(d, &problems, errors);
    buf_free(&problems);
    buf_free(&ignored);
}

/* ---- files */

static void say_missing(doctor_t *d, const char *what, const char *path) {
    doctor_say(d, DOCTOR_FAIL, "files", "%s '%s' is not there", what, path);
    doctor_advise(d, "files are looked for from the working directory, then from the folder of the pipeline");
}

/* Images and code that the pipeline names by path. */
void doctor_check_files(doctor_t *d) {
    const pipeline_t *p = doctor_structure(d);
    size_t named = 0, missing = 0;
    for (size_t i = 0; p && i < p->image_count; i++) {
        char *place = p->images[i].path ? pipeline_resolve(p, p->images[i].path->data) : NULL;
        named += p->images[i].path != NULL;
        if (p->images[i].path && !place) missing++, say_missing(d, "the image", p->images[i].path->data);
        free(place);
    }
    for (size_t i = 0; p && i < p->block_count; i++) {
        const char *path = p->blocks[i].type == BLOCK_PYTHON ? p->blocks[i].python.code_path : NULL;
        named += path != NULL;
        if (path && access(path, R_OK) != 0) missing++, say_missing(d, "the code", path);
    }
    if (p && missing == 0 && named)
        doctor_say(d, DOCTOR_OK, "files", "%zu named in the pipeline, all there", named);
    if (p && named == 0) doctor_say(d, DOCTOR_OK, "files", "the pipeline names none");
}

/* ---- keys */

/* The first variable of a text, "${ENV.NAME}" or "${NAME}"; false when it has none. */
static bool variable_of(const char *text, char *name, size_t size) {
    const char *at = text ? strstr(text, "${") : NULL;
    if (!at) return false;
    at += strncmp(at + 2, "ENV.", 4) == 0 ? 6 : 2;
    snprintf(name, size, "%.*s", (int)strcspn(at, "}"), at);
    return true;
}

static void say_variable(doctor_t *d, const model_t *written, const char *what, const char *name) {
    const char *value = getenv(name);
    char *key = endpoint_key(value);
    bool broken = !endpoint_key_is_line(key);
    free(key);
    if (broken)
        doctor_say(d, DOCTOR_FAIL, what,
                   "the environment variable %s has a line break in it: a key is one line", name);
    else if (value && value[0])
        doctor_say(d, DOCTOR_OK, what, "from the environment variable %s, which is set", name);
    else
        doctor_say(d, written->all_loopback ? DOCTOR_WARN : DOCTOR_FAIL, what,
                   "the environment variable %s is not set%s", name,
                   written->all_loopback ? "; a server on this machine may do without" : "");
    if (!value || !value[0]) doctor_advise(d, "export %s=...", name);
}

/* Where the key of one model comes from, and whether it is there. The key itself is never said. */
static void check_key(doctor_t *d, const model_t *written, const model_t *resolved) {
    char what[128], variable[128];
    snprintf(what, sizeof what, "key of %s", written->name->data);
    if (variable_of(written->api_key, variable, sizeof variable)) {
        say_variable(d, written, what, variable);
    } else if (written->api_key[0]) {
        bool exposed = !written->all_loopback;
        doctor_say(d, exposed ? DOCTOR_WARN : DOCTOR_OK, what, "it stands in the pipeline file");
        if (exposed)
            doctor_advise(
                d,
                "write \"${ENV.NAME}\" and set the variable: the file is copied to workers and repositories");
    } else if (resolved && resolved->api_key[0]) {
        doctor_say(d, DOCTOR_OK, what, "from the environment variable OPENAI_API_KEY, which is set");
    } else {
        bool official = written->url_count == 0;
        doctor_say(d, official ? DOCTOR_FAIL : DOCTOR_OK, what,
                   official ? "none, and OPENAI_API_KEY is not set" : "none: requests are sent without one");
        if (official) doctor_advise(d, "export OPENAI_API_KEY=..., or name your server with base_url");
    }
}

void doctor_check_keys(doctor_t *d) {
    for (size_t i = 0; d->as_written && i < d->as_written->named_count; i++) {
        const model_t *resolved =
            d->pipeline && i < d->pipeline->named_count ? &d->pipeline->models[i] : NULL;
        check_key(d, &d->as_written->models[i], resolved);
    }
}

/* ---- Python */

/* Reads up to the end of the pipe, at most `size` - 1 bytes, until the deadline. */
static void read_version(int fd, char *out, size_t size) {
    uint64_t deadline = clock_now_ns() + DOCTOR_PROGRAM_NS;
    struct pollfd item = {.fd = fd, .events = POLLIN};
    size_t len = 0;
    for (uint64_t now; len + 1 < size && (now = clock_now_ns()) < deadline;) {
        if (poll(&item, 1, (int)((deadline - now) / MILLISECOND) + 1) <= 0) continue;
        ssize_t n = read(fd, out + len, size - 1 - len);
        if (n <= 0) break;
        len += (size_t)n;
    }
    out[len] = '\0';
}

/* Asks a Python for its version; false when it does not say one. */
static bool python_version(const char *program, int version[3]) {
    char *argv[] = {(char *)program, "-I", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])",
                    NULL};
    char text[64];
    int ends[2], status;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int rc = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (rc == 0) read_version(ends[0], text, sizeof text);
    close(ends[0]);
    if (rc != 0) return false;
    kill(pid, SIGKILL); /* it had its time */
    waitpid(pid, &status, 0);
    return sscanf(text, "%d.%d.%d", &version[0], &version[1], &version[2]) == 3;
}

static void say_program(doctor_t *d, const py_interp_t *interp, const char *asked, const char *program) {
    int version[3];
    if (!python_version(program, version)) {
        doctor_say(d, DOCTOR_FAIL, "python", "%s does not run as Python", program);
        doctor_advise(d, "correct runtime.python.interpreter");
    } else if (!py_interp_accepts(interp, version)) {
        doctor_say(d, DOCTOR_FAIL, "python", "'%s' is asked for, %s is Python %d.%d.%d", asked, program,
                   version[0], version[1], version[2]);
        doctor_advise(d, "install that version, or change runtime.python.interpreter");
    } else {
        doctor_say(d, DOCTOR_OK, "python", "%s, Python %d.%d.%d", program, version[0], version[1],
                   version[2]);
    }
}

/* As the pool chooses: the venv's Python, a venv to be made, else the interpreter itself. */
static void check_env(doctor_t *d, const py_env_spec_t *env) {
    py_interp_t interp;
    err_t err;
    bool wants_packages = env->requirements.kind == VALUE_LIST && list_count(env->requirements) > 0;
    if (py_interp_parse(env->interpreter, &interp, &err) != SDG_OK) {
        doctor_say(d, DOCTOR_FAIL, "python", "%s", err.text);
        return;
    }
    char *venv = env->venv && env->venv[0] ? py_absolute(env->venv) : NULL,
         *program = venv ? py_venv_python(venv) : NULL;
    if (!program && venv && wants_packages) {
        doctor_say(d, DOCTOR_WARN, "python",
                   "the virtual environment %s is not there yet: the run makes it with %zu requirements",
                   venv, list_count(env->requirements));
        doctor_advise(d, "that takes its time and needs a package index; make it beforehand");
    } else if (!program && venv) {
        doctor_say(d, DOCTOR_WARN, "python",
                   "there is no virtual environment %s: the plain interpreter is used", venv);
        doctor_advise(d, "make it, or correct runtime.python.venv");
    }
    if (!program) program = py_find_program(interp.program);
    if (program) {
        say_program(d, &interp, env->interpreter ? env->interpreter : "python3", program);
    } else {
        doctor_say(d, DOCTOR_FAIL, "python", "there is no program '%s'", interp.program);
        doctor_advise(d, "install Python 3, or correct runtime.python.interpreter");
    }
    free(program);
    free(venv);
}

/* What the kernel lets hold Python blocks, and what each missing part leaves open. */
static void say_jail(doctor_t *d, const py_jail_t *jail, const py_env_spec_t *env,
                     const py_limits_t *limits) {
    char words[512];
    py_jail_words(jail, env->allow_network, PY_FILES_ALL, limits, words, sizeof words);
    bool whole = jail->pid_ns && jail->filter && jail->landlock >= 6;
    doctor_say(d, whole ? DOCTOR_OK : DOCTOR_WARN, "sandbox", "%s", words);
    if (!py_jail_closes_network(jail) && !env->allow_network)
        doctor_advise(d, "Python blocks can reach the network here; run them where the kernel has namespaces "
                         "or seccomp filters");
    else if (!jail->filter)
        doctor_advise(d, "this kernel has no seccomp filters: Python blocks can look into each other and use "
                         "sockets of this machine");
    else if (!jail->pid_ns && jail->landlock < 6)
        doctor_advise(d, "Python blocks see the processes of their user, and can signal threads of other "
                         "programs; allow user "
                         "namespaces (sysctl user.max_user_namespaces, or the container's profile)");
    else if (!jail->pid_ns)
        doctor_advise(d, "Python blocks see the processes of their user, but not into them; to hide them "
                         "allow user namespaces "
                         "(sysctl user.max_user_namespaces, or the container's profile)");
    else if (!jail->landlock)
        doctor_advise(
            d, "this kernel has no Landlock: ctx_access cannot keep Python blocks from files of their user");
}

static void check_sandbox(doctor_t *d, const py_env_spec_t *env) {
    const py_limits_spec_t *said = &env->limits;
    const py_limits_t limits =
        py_limits_of(said->memory_mb, said->processes, said->file_size_mb, said->open_files);
    py_jail_t jail;
    err_t err;
    if (py_probe("/proc/self/exe", &limits, &jail, &err) == SDG_OK) {
        say_jail(d, &jail, env, &limits);
        return;
    }
    doctor_say(d, DOCTOR_FAIL, "sandbox", "%s", err.text);
    doctor_advise(d, "see whether this machine has processes and descriptors left (ulimit -u, ulimit -n)");
}

void doctor_check_python(doctor_t *d) {
    const pipeline_t *p = doctor_structure(d);
    for (size_t i = 0; p && p->python_block_count && i < p->py_env_count; i++) {
        check_env(d, &p->py_envs[i]);
    }
    if (p && p->python_block_count) check_sandbox(d, &p->py_envs[0]);
}
