/* pykeeper.c - see pykeeper.h.
 *
 * The order matters. What needs rights (maps, mounts) comes before they are given up, what could be watched
 * from inside comes before the host exists, and the host says that it starts right before it executes: then
 * its number, seen from outside, comes with the message.
 */
#include "core/python/pykeeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/python/limits.h"
#include "core/python/pyfilter.h"
#include "core/python/pylandlock.h"

/* Where descriptors stand in the host and in its keeper. */
enum { FRAME_FD = 3, LOG_FD = 4, STATUS_FD = 5, FIRST_OTHER_FD = 6 };

typedef struct keeping {
    const py_keeper_t *order;
    py_jail_t jail;
    pid_t self, host;
    bool host_ended;
    uint64_t stopped_ns; /* when it was stopped; 0: it runs */
    int status;
    uint64_t peak_kib;
} keeping_t;

/* Nobody may be listening any more, which is no failure. */
static void report(const py_report_t *r) {
    while (send(STATUS_FD, r, sizeof *r, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

static void report_failure(const char *where) {
    py_report_t r;
    memset(&r, 0, sizeof r);
    r.kind = PY_REPORT_FAILED;
    r.error = errno;
    snprintf(r.where, sizeof r.where, "%s", where);
    report(&r);
}

/* ---- the host, up to exec ---- */

static void normal_signals(void) {
    struct sigaction normal;
    memset(&normal, 0, sizeof normal);
    normal.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &normal, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_jail(keeping_t *k) {
    const py_spawn_t *s = k->order->spawn;
    py_jail_drop_capabilities();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const py_landlock_t files = {.files = s->files,
                                 .read = s->folders,
                                 .scratch = k->order->scratch,
                                 .list = s->in_scratch ? NULL : ".",
                                 .whole_proc = k->jail.own_proc,
                                 .shm = k->jail.own_shm};
    k->jail.landlock = py_landlock_close(&files);
    k->jail.files = s->files == PY_FILES_ALL || k->jail.landlock > 0;
    const py_filter_t filter = {
        .network = s->network,
        .isolated = k->jail.net_ns,
        .own_signals = !k->jail.pid_ns,
        .protect = {k->self, k->order->spawner, k->order->pool, k->order->grandparent}};
    k->jail.filter = py_filter_close(&filter);
}

static void host_fails(const char *where) {
    report_failure(where);
    _exit(127);
}

static void host_main(keeping_t *k) {
    const py_spawn_t *s = k->order->spawn;
    const char *folder = s->work_dir ? s->work_dir : s->in_scratch ? k->order->scratch : NULL;
    normal_signals();
    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) host_fails("PR_SET_PDEATHSIG");
    if (getppid() != k->self) _exit(127); /* the keeper died before the prctl above */
    if (dup2(LOG_FD, 1) < 0 || dup2(LOG_FD, 2) < 0) host_fails("dup2");
    if (folder && chdir(folder) != 0) host_fails("working folder");
    py_jail_limit(&s->limits, &k->jail);
    if (s->sandbox) close_jail(k);
    py_report_t r;
    memset(&r, 0, sizeof r);
    r.kind = PY_REPORT_STARTED;
    r.jail = k->jail;
    report(&r);
    close(LOG_FD);
    fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC);
    execve(s->program, s->argv, s->envp);
    host_fails("exec");
}

/* ---- the keeper ---- */

static void note_change(keeping_t *k, pid_t pid, int status, const struct rusage *usage) {
    if (pid != k->host) return;
    if (WIFSTOPPED(status)) {
        k->stopped_ns = clock_now_ns();
    } else if (WIFCONTINUED(status)) {
        k->stopped_ns = 0;
    } else {
        k->host_ended = true;
        k->status = k->stopped_ns ? SIGSTOP : status; /* stopped for too long: that is why it was killed */
        k->peak_kib = (uint64_t)usage->ru_maxrss;
    }
}

static void reap(keeping_t *k) {
    struct rusage usage;
    int status;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &usage)) > 0;)
        note_change(k, pid, status, &usage);
}

/* Kills the children that there are now. What they had started becomes ours when they end. */
static void kill_children(const keeping_t *k) {
    char text[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    if (!k->host_ended) {
        kill(-k->host, SIGKILL);
        kill(k->host, SIGKILL); /* user code may have left the group */
    }
    if (n <= 0) return;
    text[n] = '\0';
    char *at = text, *end;
    for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end) {
        if (*end == ' ' || end < text + n)
            kill((pid_t)pid, SIGKILL); /* a number that was cut off is not one */
    }
}

/* Ends everything that the host has started, and waits until it is gone. */
static void end_all(keeping_t *k) {
    struct rusage usage;
    int status;
    while (true) {
        if (k->jail.pid_ns)
            kill(-1, SIGKILL);
        else
            kill_children(k);
        pid_t pid = wait4(-1, &status, 0, &usage);
        if (pid < 0 && errno != EINTR) return;
        if (pid > 0) note_change(k, pid, status, &usage);
    }
}

/* Milliseconds that a stopped host still has; -1: it is not stopped. */
static int patience(const keeping_t *k) {
    uint64_t now = clock_now_ns(), end = k->stopped_ns + PY_STOPPED_MS * MILLISECOND;
    if (!k->stopped_ns) return -1;
    return now >= end ? 0 : (int)((end - now) / MILLISECOND) + 1;
}

static void keep(keeping_t *k, int signals) {
    struct pollfd ready[] = {{.fd = STATUS_FD, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;
    while (!k->host_ended) {
        poll(ready, 2, patience(k));
        if (ready[0].revents) break; /* told to end it, or nobody is left who could */
        while (read(signals, &info, sizeof info) > 0) {
        }
        reap(k);
        if (patience(k) == 0) break;
    }
    end_all(k);
}

static int take_descriptors(const py_keeper_t *order) {
    if (dup2(order->frame_fd, FRAME_FD) < 0 || dup2(order->log_fd, LOG_FD) < 0 ||
        dup2(order->status_fd, STATUS_FD) < 0)
        return -1;
    return close_range(FIRST_OTHER_FD, ~0U, 0);
}

static int open_signals(void) {
    sigset_t all, deaths;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    return signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The keeper keeps no descriptor of the host, so that their ends are seen when the host closes them. */
static void drop_channels(void) {
    close(FRAME_FD);
    close(LOG_FD);
}

void py_keeper_main(const py_keeper_t *order) {
    keeping_t k = {.order = order, .jail.wanted = order->spawn->sandbox};
    py_report_t r;
    memset(&r, 0, sizeof r);
    if (take_descriptors(order) != 0) _exit(1);
    setsid();
    int signals = open_signals();
    r.kind = PY_REPORT_KEPT;
    report(&r);
    if (order->namespaces & CLONE_NEWUSER) py_jail_map_user(order->uid, order->gid);
    py_jail_enter(&k.jail, order->namespaces, order->spawn->limits.processes, order->scratch != NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the host may not look into its keeper */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    k.self = getpid();
    k.host = fork();
    if (k.host == 0) host_main(&k);
    if (k.host < 0) {
        report_failure("fork");
        _exit(1);
    }
    drop_channels();
    keep(&k, signals);
    r.kind = PY_REPORT_ENDED;
    r.status = k.status;
    r.peak_kib = k.peak_kib;
    report(&r);
    _exit(0);
}
