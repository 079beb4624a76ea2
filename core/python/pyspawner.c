/* pyspawner.c - see pyspawner.h.
 *
 * One thread, so a fork may go on in any way it likes. A weaker set of namespaces is tried only when the
 * kernel does not allow a better one, never because it is short of something: a host that starts while memory
 * is short must not be held less than others.
 */
#include "core/python/pyspawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/python/limits.h"
#include "core/python/pykeeper.h"
#include "core/python/pyorder.h"
#include "core/python/pyscratch.h"

typedef struct kept {
    pid_t pid;     /* of the keeper */
    char *scratch; /* NULL: none */
    int hold;      /* of the scratch folder; -1: none */
} kept_t;

typedef struct spawner {
    pid_t pool, grandparent; /* the process that gives orders, and its parent */
    int signals;
    kept_t kept[PY_KEEPERS_MAX];
    unsigned count;
} spawner_t;

/* ---- orders ---- */

/* The descriptors of one message, -1 where there is none. False: the socket has ended, or is broken. */
static bool take_message(int fds[PY_ORDER_FDS]) {
    char byte, space[CMSG_SPACE(PY_ORDER_FDS * sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    for (int i = 0; i < PY_ORDER_FDS; i++)
        fds[i] = -1;
    ssize_t n = recvmsg(PY_SPAWNER_FD, &m, MSG_CMSG_CLOEXEC);
    if (n < 0) return errno == EINTR || errno == EAGAIN;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return n > 0;
}

static bool read_order(int fd, py_order_t *order) {
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || (size_t)st.st_size > PY_ORDER_BYTES_MAX) return false;
    size_t len = (size_t)st.st_size;
    char *bytes = xmalloc(len);
    bool whole = pread(fd, bytes, len, 0) == (ssize_t)len && py_order_read(bytes, len, order) == 0;
    free(bytes);
    return whole;
}

static void refuse(int status_fd, int error, const char *where) {
    py_report_t r;
    memset(&r, 0, sizeof r);
    r.kind = PY_REPORT_FAILED;
    r.error = error;
    snprintf(r.where, sizeof r.where, "%s", where);
    send(status_fd, &r, sizeof r, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- keepers ---- */

/* As fork, in new namespaces. The pid, 0 in the child, or -1. */
static pid_t fork_into(int namespaces) {
    return namespaces ? (pid_t)syscall(SYS_clone, (long)(namespaces | SIGCHLD), 0L, 0L, 0L, 0L) : fork();
}

/* Tries the sets of namespaces, the best first. */
static pid_t make_keeper(py_keeper_t *k) {
    for (unsigned i = 0;; i++) {
        k->namespaces = k->spawn->sandbox ? py_jail_namespaces(i, geteuid() == 0, k->spawn->network) : 0;
        pid_t pid = fork_into(k->namespaces);
        if (pid == 0) py_keeper_main(k);
        if (pid > 0 || k->namespaces == 0 || py_is_shortage(errno)) return pid;
    }
}

static const char *variable(char *const *environment, const char *name) {
    size_t n = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') return *environment + n + 1;
    return NULL;
}

/* The environment with the scratch folder in it, as TMPDIR and for host.py. The caller frees the list;
 * texts[] too. */
static char **with_scratch(char *const *environment, const char *scratch, char *texts[2]) {
    size_t n = 0, used = 0;
    while (environment[n])
        n++;
    char **list = xcalloc(n + 3, sizeof *list);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environment[i], "TMPDIR=", 7) != 0) list[used++] = environment[i];
    list[used++] = texts[0] = xasprintf("TMPDIR=%s", scratch);
    list[used++] = texts[1] = xasprintf("SDG_SCRATCH=%s", scratch);
    return list;
}

static void begin(spawner_t *s, py_spawn_t *spawn, const int fds[PY_ORDER_FDS]) {
    const char *parent = variable(spawn->envp, "TMPDIR");
    char *scratch = NULL, **environment = NULL, *texts[2] = {NULL, NULL};
    int hold = -1;
    if (spawn->files != PY_FILES_ALL) {
        scratch = py_scratch_make(parent && parent[0] == '/' ? parent : "/tmp", &hold);
        if (!scratch) {
            refuse(fds[3], errno, "scratch folder");
            return;
        }
        spawn->envp = environment = with_scratch(spawn->envp, scratch, texts);
    }
    py_keeper_t k = {.spawn = spawn,
                     .scratch = scratch,
                     .uid = geteuid(),
                     .gid = getegid(),
                     .spawner = getpid(),
                     .pool = s->pool,
                     .grandparent = s->grandparent,
                     .frame_fd = fds[1],
                     .log_fd = fds[2],
                     .status_fd = fds[3]};
    pid_t pid = make_keeper(&k);
    if (pid < 0) {
        refuse(fds[3], errno, "fork");
        if (scratch) py_scratch_remove(scratch);
        if (hold >= 0) close(hold);
        free(scratch);
    } else {
        s->kept[s->count++] = (kept_t){pid, scratch, hold};
    }
    free(environment);
    free(texts[0]);
    free(texts[1]);
}

static int high_fd(int fd) { return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10); }

/* False: no more orders will come. */
static bool on_message(spawner_t *s) {
    int fds[PY_ORDER_FDS], high[PY_ORDER_FDS];
    py_order_t order;
    bool open = take_message(fds), complete = true;
    for (int i = 0; i < PY_ORDER_FDS; i++) {
        high[i] = high_fd(fds[i]);
        complete = complete && high[i] >= 0;
    }
    int error = complete ? 0 : errno;
    if (!complete || s->count == PY_KEEPERS_MAX) {
        if (fds[3] >= 0) refuse(fds[3], error ? error : EAGAIN, "descriptors");
    } else if (!read_order(high[0], &order)) {
        refuse(high[3], EINVAL, "order");
    } else {
        begin(s, &order.spawn, high);
        py_order_free(&order);
    }
    for (int i = 0; i < PY_ORDER_FDS; i++) {
        if (fds[i] >= 0) close(fds[i]);
        if (high[i] >= 0) close(high[i]);
    }
    return open;
}

/* ---- ends ---- */

static bool is_keeper(const spawner_t *s, pid_t pid) {
    for (unsigned i = 0; i < s->count; i++)
        if (s->kept[i].pid == pid) return true;
    return false;
}

static void forget(spawner_t *s, pid_t pid) {
    for (unsigned i = 0; i < s->count; i++) {
        if (s->kept[i].pid != pid) continue;
        if (s->kept[i].scratch) py_scratch_remove(s->kept[i].scratch);
        if (s->kept[i].hold >= 0) close(s->kept[i].hold);
        free(s->kept[i].scratch);
        s->kept[i] = s->kept[--s->count];
        return;
    }
}

/* Children that are no keepers are what a killed keeper has left. */
static void kill_orphans(const spawner_t *s) {
    char text[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    if (n <= 0) return;
    text[n] = '\0';
    char *at = text, *end;
    for (long pid; (pid = strtol(at, &end, 10)) > 0; at = end) {
        if (end < text + n && !is_keeper(s, (pid_t)pid)) kill((pid_t)pid, SIGKILL);
    }
}

/* True: there are no children. */
static bool reap(spawner_t *s) {
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) > 0) {
    }
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        forget(s, pid);
        kill_orphans(s);
    }
    return pid < 0 && errno == ECHILD;
}

static void wait_for_keepers(spawner_t *s) {
    uint64_t deadline = clock_now_ns() + PY_SPAWNER_END_MS * MILLISECOND, now;
    while (!reap(s) && (now = clock_now_ns()) < deadline) {
        struct pollfd p = {.fd = s->signals, .events = POLLIN};
        poll(&p, 1, (int)((deadline - now) / MILLISECOND) + 1);
    }
}

static int open_signals(void) {
    sigset_t all, deaths;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    return signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
}

static pid_t parent_of(pid_t pid) {
    char path[64], line[256];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "PPid: %d", &parent) != 1) {
    }
    if (f) fclose(f);
    return parent;
}

static bool is_control(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

/* Signals are for the program that it works for, so all are blocked. */
int py_spawner_main(void) {
    static spawner_t s;
    if (!is_control(PY_SPAWNER_FD)) {
        fputs("sdg " PY_SPAWNER_WORD ": only sdg itself starts this\n", stderr);
        return 2;
    }
    s.pool = getppid();
    s.grandparent = parent_of(s.pool);
    close_range(PY_SPAWNER_FD + 1, ~0U, 0);
    fcntl(PY_SPAWNER_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    s.signals = open_signals();
    struct pollfd ready[] = {{.fd = PY_SPAWNER_FD, .events = POLLIN}, {.fd = s.signals, .events = POLLIN}};
    while (s.signals >= 0) {
        if (poll(ready, 2, -1) < 0 && errno != EINTR) break;
        if (ready[1].revents) reap(&s);
        if (ready[0].revents && !on_message(&s)) break;
    }
    wait_for_keepers(&s);
    return 0;
}
