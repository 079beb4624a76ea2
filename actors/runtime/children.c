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
        log_warn("run", "worker-%u (pid %d) ended with code %d", i, (int)pid, WEXITSTATUS(status));
}

/* Waits for each worker process by its pid and never for any child: Python hosts of worker threads are
 * children too, and their pool reaps them. */
int children_reap(children_t *c, bool ending, uint64_t *instance) {
    for (unsigned i = 0; i < c->count; i++) {
        int status;
        pid_t pid = c->pid[i];
        if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid) continue;
        c->pid[i] = 0;
        *instance = c->instance[i];
        if (ending) return 1;
        describe_death(i, pid, status);
        if (++c->restarts > CHILD_RESTARTS_MAX) return -1;
        spawn_one(c, i);
        return 1;
    }
    return 0;
}

static unsigned alive(const children_t *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->count; i++) {
        n += c->pid[i] != 0;
    }
    return n;
}

static void signal_all(const children_t *c, int signal_number) {
    for (unsigned i = 0; i < c->count; i++) {
        if (c->pid[i]) kill(c->pid[i], signal_number);
    }
}

/* SIGTERM, at most one second for all to end, then SIGKILL. */
void children_stop(children_t *c) {
    uint64_t instance, deadline = clock_now_ns() + SECOND;
    sigset_t deaths; /* SIGCHLD is blocked, so it can be waited for */
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    signal_all(c, SIGTERM);
    for (;;) {
        while (children_reap(c, true, &instance) == 1) {
        }
        uint64_t now = clock_now_ns();
        if (!alive(c) || now >= deadline) break;
        sigtimedwait(&deaths, NULL, &(struct timespec){.tv_nsec = (long)(deadline - now - 1)});
    }
    signal_all(c, SIGKILL);
    for (unsigned i = 0; i < c->count; i++) {
        if (c->pid[i]) waitpid(c->pid[i], NULL, 0);
        c->pid[i] = 0;
    }
}
