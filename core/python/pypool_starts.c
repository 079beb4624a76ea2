/* pypool_starts.c - when a host starts, and what a failed start means.
 *
 * A failed start is one of three things. Failed: the next one may succeed, so a few more are tried. Short:
 * the system lacks something, for which no call is to blame, so the calls wait until it is there. Hopeless:
 * no start of this environment can succeed, so the environment has failed for good. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/log.h"
#include "core/python/pyinterp.h"
#include "core/python/pypool_internal.h"

/* ---- starts that fail ---- */

/* After a few in a row the calls that wait for it fail; the next call tries once more. */
void pool_start_failed(pypool_t *p, pool_env_t *env, const char *reason) {
    p->dirty = true;
    if (++env->failures < PY_START_FAILURES_MAX) return;
    log_error("python", "%s", reason);
    env->failures = PY_START_FAILURES_MAX - 1;
    pool_calls_fail_waiting(p, env, SDG_EIO, reason);
}

/* The system is short of descriptors, memory or processes. With other hosts the calls are left to them;
 * without, the start is tried again, later each time. Rows are not to blame, so when that does not help the
 * process ends. */
void pool_start_is_short(pypool_t *p, pool_env_t *env, const char *reason) {
    static uint64_t warned_ns;
    uint32_t turn = env->hosts ? PY_START_FAILURES_MAX : env->failures++;
    if (turn == PY_START_FAILURES_MAX && env->hosts == 0) ending_short(reason);
    if (log_due(&warned_ns, p->now_ns, PY_DROP_WARNING_NS))
        log_warn("python", "%s; %u others go on", reason, env->hosts);
    env->short_until_ns = p->now_ns + (PY_SHORT_MS << turn) * MILLISECOND;
    p->dirty = false;
}

void pool_start_is_hopeless(pypool_t *p, pool_env_t *env, const char *reason) {
    if (env->state == ENV_FAILED) return;
    env->state = ENV_FAILED;
    p->dirty = true;
    snprintf(env->failure, sizeof env->failure, "%s", reason);
    log_error("python", "%s", env->failure);
}

/* `ulimit -v` holds for the interpreter, too, which has no other word for it. */
static bool lacked_memory(const py_host_t *h, const char *how) {
    struct rlimit memory;
    if (getrlimit(RLIMIT_AS, &memory) != 0 || memory.rlim_cur == RLIM_INFINITY) return false;
    return strstr(h->last_line, "emory") || strstr(h->last_line, "failed to map") || strstr(how, "killed");
}

void pool_start_has_ended(pypool_t *p, py_host_t *h, const char *how) {
    pool_env_t *env = &p->envs[h->env];
    char reason[ERR_TEXT_MAX];
    snprintf(reason, sizeof reason, "%s %s %s%s%s", env->program, how,
             h->installer ? "while preparing a virtual environment" : "at its start",
             h->last_line[0] != '\0' ? ": " : "", h->last_line);
    if (h->installer)
        pool_start_is_hopeless(p, env, reason);
    else if (lacked_memory(h, how))
        pool_start_is_short(p, env, reason);
    else
        pool_start_failed(p, env, reason);
}

/* ---- places ---- */

static bool free_slot(pypool_t *p, uint32_t *slot) {
    for (*slot = 0; *slot < p->slots; (*slot)++)
        if (!p->hosts[*slot]) return true;
    if (p->slots == p->slots_max) return false;
    p->slots++;
    return true;
}

/* Ends one idle host of another environment that has more, to make room. False: there is none. */
static bool retire_one(pypool_t *p, uint32_t except_env) {
    for (uint32_t i = 0; i < p->slots; i++) {
        py_host_t *h = p->hosts[i];
        if (h && h->state == HOST_READY && h->env != except_env && h->tasks.count == 0 &&
            p->envs[h->env].hosts > 1 && p->envs[h->env].waiting.count == 0) {
            pool_host_end(p, h, "retired: another environment needs its place");
            return true;
        }
    }
    return false;
}

/* hosts_max bounds the hosts that compute; PY_AI_HOSTS_MAX further ones may wait for AI answers. An
 * environment without a host always has a place for one. */
bool pool_start_has_place(pypool_t *p, uint32_t env_number) {
    const pool_env_t *env = &p->envs[env_number];
    if (env->starting >= env->waiting.count || env->short_until_ns > p->now_ns) return false;
    if (env->hosts == 0) return true;
    uint32_t computing, asking;
    pool_host_count(p, &computing, &asking);
    if (computing + asking >= p->options.hosts_max + PY_AI_HOSTS_MAX) return false;
    return computing < p->options.hosts_max || retire_one(p, env_number);
}

/* ---- starting ---- */

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
        pool_start_is_short(p, env, err.text);
    else
        pool_start_failed(p, env, err.text);
    return NULL;
}

bool pool_start_host(pypool_t *p, uint32_t env_number) {
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
    h->state = HOST_GONE; /* so that pool_host_set_state does not take it out of the counts */
    pool_host_set_state(p, h, HOST_STARTING, "ordered");
    h->deadline_ns = p->now_ns + (installer ? PY_INSTALL_MS_MAX : PY_START_MS_MAX) * MILLISECOND;
    write_init(h, env);
    pool_host_watch(p, h);
    return true;
}

/* True: a host with this jail may run user code of that environment. */
static bool sandbox_is_enough(pypool_t *p, pool_env_t *env, const py_jail_t *jail) {
    if (py_jail_closes_network(jail) || env->network || p->options.sandbox == PY_SANDBOX_OFF) return true;
    if (p->options.sandbox == PY_SANDBOX_REQUIRED) {
        pool_start_is_hopeless(
            p, env,
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

/* What holds a host is said once for each process of ours. */
void pool_start_confirmed(pypool_t *p, py_host_t *h) {
    static _Atomic bool said;
    pool_env_t *env = &p->envs[h->env];
    char words[512];
    py_jail_words(&h->child.jail, env->network, env->files, &env->limits, words, sizeof words);
    log_debug("python", "host %u: process %d, sandbox: %s", h->slot, (int)h->child.pid, words);
    if (h->installer) return;
    if (!said) log_info("python", "sandbox of Python blocks: %s", words);
    said = true;
    if (pool_host_alive(h) && !sandbox_is_enough(p, env, &h->child.jail)) pool_host_end(p, h, env->failure);
}
