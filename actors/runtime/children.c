/* children.c - see children.h. posix_spawn and not fork: a fork would share live sockets of libzmq with the
 * child. */
#include "actors/runtime/children.h"

#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "actors/exit_codes.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/rng.h"

extern char **environ;

/* Starts worker process number i as `sdg worker` with the same executable. Returns 0, or -1 with the
 * reason in the log. */
static int spawn_one(children_t *c, unsigned i) {
    char name[32], python[16], parent[16], instance[24];
    posix_spawnattr_t attr;
    sigset_t none;
    snprintf(name, sizeof name, "worker-%u", i);
    snprintf(python, sizeof python, "%u", c->python_workers);
    snprintf(parent, sizeof parent, "%d", (int)getpid());
    c->instance[i] = rng_entropy();
    snprintf(instance, sizeof instance, "%" PRIu64, c->instance[i]);
    char *fixed[] = {"sdg",
                     "worker",
                     "--connect",
                     (char *)c->endpoint,
                     "--name",
                     name,
                     "--python-workers",
                     python,
                     "--parent",
                     parent,
                     "--instance",
                     instance,
                     "--allow-python",
                     c->verbose ? "--verbose" : "--quiet"};
    enum { FIXED = sizeof fixed / sizeof *fixed };
    char **argv = xcalloc(FIXED + 2 * c->files.folder_count + 1, sizeof *argv);
    memcpy(argv, fixed, sizeof fixed);
    for (size_t k = 0; k < c->files.folder_count; k++) {
        argv[FIXED + 2 * k] = "--allow-files";
        argv[FIXED + 2 * k + 1] = (char *)c->files.folders[k];
    }
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    /* A process group of its own: Ctrl-C reaches only this process, which drains and then ends its children.
     */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    int rc = posix_spawn(&c->pid[i], "/proc/self/exe", NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    free(argv);
    c->started_ns[i] = clock_now_ns();
    c->joined[i] = c->killed[i] = false;
    if (rc == 0) return 0;
    c->pid[i] = 0;
    log_error("run", "cannot start worker process %u: %s", i, strerror(rc));
    return -1;
}

int children_start(children_t *c) {
    for (unsigned i = 0; i < c->count; i++) {
        if (spawn_one(c, i) != 0) return -1;
    }
    return 0;
}

static void describe_death(unsigned i, pid_t pid, int status) {
    if (WIFSIGNALED(status))
        log_warn("run", "worker-%u (pid %d) was killed by signal %d; its rows are done again by others", i,
                 (int)pid, WTERMSIG(status));
    else
        log_warn("run", "worker-%u (pid %d) ended with code %d%s", i, (int)pid, WEXITSTATUS(status),
                 WEXITSTATUS(status) == EXIT_RUNTIME ? ", see above; it is not started again" : "");
}

/* Waits for each worker process by its pid and never for any child: Python hosts of worker threads are
 * children too, and their pool reaps them. */
int children_reap(children_t *c, bool ending, child_death_t *death) {
    for (unsigned i = 0; i < c->count; i++) {
        int status;
        pid_t pid = c->pid[i];
        if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid) continue;
        c->pid[i] = 0;
        bool lacked = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_RUNTIME;
        *death = (child_death_t){.instance = c->instance[i], .crashed = !lacked};
        if (ending) return 1;
        if (!c->killed[i]) describe_death(i, pid, status);
        if (lacked) return 1;
        if (++c->restarts > CHILD_RESTARTS_MAX) return -1;
        spawn_one(c, i);
        return 1;
    }
    return 0;
}

unsigned children_alive(const children_t *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->count; i++) {
        n += c->pid[i] != 0;
    }
    return n;
}

/* ---- children that stand still */

/* What the kernel says of it, as the end of a sentence. */
static const char *state_of(pid_t pid) {
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[len] = '\0';
    const char *name_end = strrchr(text, ')'); /* pid (name) S ...: a name may hold anything */
    switch (name_end && name_end[1] ? name_end[2] : '\0') {
    case 'T': return ": it is stopped";
    case 't': return ": a debugger holds it";
    case 'D': return ": it waits for a device";
    case 'R': return ": it computes";
    default: return "";
    }
}

static void kill_child(children_t *c, unsigned i, const char *why) {
    log_warn("run", "worker-%u (pid %d): %s%s; it is killed, its rows are done again by others", i,
             (int)c->pid[i], why, state_of(c->pid[i]));
    c->killed[i] = true;
    kill(c->pid[i], SIGKILL);
}

/* Its place among the children, c->count when it is none of those that run. */
static unsigned place_of(const children_t *c, uint64_t instance) {
    unsigned i = 0;
    while (i < c->count && (c->pid[i] == 0 || c->instance[i] != instance)) {
        i++;
    }
    return i;
}

void children_joined(children_t *c, uint64_t instance) {
    unsigned i = place_of(c, instance);
    if (i < c->count) c->joined[i] = true;
}

void children_lost(children_t *c, uint64_t instance, const char *why) {
    unsigned i = place_of(c, instance);
    if (i < c->count && !c->killed[i]) kill_child(c, i, why);
}

uint64_t children_watch(children_t *c, uint64_t now) {
    uint64_t wait = UINT64_MAX;
    for (unsigned i = 0; i < c->count; i++) {
        if (c->pid[i] == 0 || c->joined[i] || c->killed[i]) continue;
        uint64_t due = c->started_ns[i] + CHILD_START_NS;
        if (now >= due)
            kill_child(c, i, "it has not begun to work");
        else if (due - now < wait)
            wait = due - now;
    }
    return wait;
}

/* ---- the end */

/* Sends the signal to all and reaps those that end within `ns`. */
static void end_all(children_t *c, int signal_number, uint64_t ns) {
    child_death_t death;
    uint64_t deadline = clock_now_ns() + ns;
    sigset_t deaths, before; /* blocked, or it cannot be waited for */
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &deaths, &before);
    for (unsigned i = 0; i < c->count; i++) {
        if (c->pid[i]) kill(c->pid[i], signal_number);
    }
    for (;;) {
        while (children_reap(c, true, &death) == 1) {
        }
        uint64_t now = clock_now_ns();
        if (!children_alive(c) || now >= deadline) break;
        struct timespec left = {.tv_sec = (time_t)((deadline - now) / SECOND),
                                .tv_nsec = (long)((deadline - now) % SECOND)};
        sigtimedwait(&deaths, NULL, &left);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void children_stop(children_t *c) {
    end_all(c, SIGTERM, CHILD_TERM_NS);
    end_all(c, SIGKILL, CHILD_KILL_NS);
    for (unsigned i = 0; i < c->count; i++) {
        if (c->pid[i])
            log_warn("run", "worker-%u (pid %d) cannot be ended%s: it is left behind", i, (int)c->pid[i],
                     state_of(c->pid[i]));
    }
}
