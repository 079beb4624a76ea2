/* pyspawn.c - see pyspawn.h: the pool's side of the spawner. */
#include "core/python/pyspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/python/limits.h"
#include "core/python/pyorder.h"
#include "core/python/pyspawner.h"

struct py_spawner {
    char *program; /* NULL: a fork */
    pid_t pid;     /* 0: not running */
    int control;   /* our end of its socket */
};

bool py_is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM || error == ENOBUFS;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* ---- the spawner process ---- */

/* It closes what it inherits, so that nobody waits for the end of a pipe that it holds. */
static int execute(const char *program, int socket_fd, pid_t *pid) {
    char *argv[] = {"sdg", PY_SPAWNER_WORD, NULL}, *environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < PY_SPAWNER_FD; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, socket_fd, PY_SPAWNER_FD);
    posix_spawn_file_actions_addclosefrom_np(&files, PY_SPAWNER_FD + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    int error = posix_spawn(pid, program, &files, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int fork_spawner(int socket_fd, pid_t *pid) {
    *pid = fork();
    if (*pid < 0) return errno;
    if (*pid > 0) return 0;
    int null_fd = open("/dev/null", O_RDWR);
    setsid();
    for (int fd = 0; fd < PY_SPAWNER_FD; fd++)
        dup2(null_fd, fd);
    dup2(socket_fd, PY_SPAWNER_FD);
    _exit(py_spawner_main());
}

/* 0 or an errno. The socket's number in this process is above those that the spawner gives to others. */
static int start_spawner(py_spawner_t *s) {
    int pair[2], error;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errno;
    int high = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
    error = high < 0 ? errno : 0;
    close(pair[1]);
    if (error == 0) error = s->program ? execute(s->program, high, &s->pid) : fork_spawner(high, &s->pid);
    if (high >= 0) close(high);
    if (error != 0) {
        s->pid = 0;
        close(pair[0]);
        return error;
    }
    s->control = pair[0];
    return 0;
}

/* Executing takes some milliseconds, so it begins before the first host is wanted. A failure is met again by
 * py_spawn. */
py_spawner_t *py_spawner_new(const char *program) {
    py_spawner_t *s = xcalloc(1, sizeof *s);
    s->program = program ? xstrdup(program) : NULL;
    s->control = -1;
    if (program) start_spawner(s);
    return s;
}

/* It is not waited for without end: it may be stopped. */
static void end_spawner(py_spawner_t *s) {
    close_fd(&s->control);
    for (int ms = 0; s->pid > 0; ms++) {
        pid_t gone = waitpid(s->pid, NULL, WNOHANG);
        if (gone == s->pid || (gone < 0 && errno != EINTR)) break;
        if (ms == PY_KILL_MS) kill(s->pid, SIGKILL);
        poll(NULL, 0, 1);
    }
    s->pid = 0;
}

void py_spawner_destroy(py_spawner_t **spawner) {
    py_spawner_t *s = *spawner;
    if (!s) return;
    *spawner = NULL;
    end_spawner(s);
    free(s->program);
    free(s);
}

/* ---- orders ---- */

/* The order as a file in memory, -1 on failure. */
static int order_file(const py_spawn_t *spawn) {
    buf_t bytes;
    buf_init(&bytes, PY_ORDER_BYTES_MAX);
    py_order_write(spawn, &bytes);
    int fd = bytes.full ? -1 : memfd_create("order", MFD_CLOEXEC);
    if (bytes.full) errno = E2BIG;
    if (fd >= 0 && pwrite(fd, bytes.data, bytes.len, 0) != (ssize_t)bytes.len) close_fd(&fd);
    buf_free(&bytes);
    return fd;
}

static int send_order(py_spawner_t *s, const int fds[PY_ORDER_FDS]) {
    char byte = 'S', space[CMSG_SPACE(PY_ORDER_FDS * sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(PY_ORDER_FDS * sizeof(int));
    memcpy(CMSG_DATA(c), fds, PY_ORDER_FDS * sizeof(int));
    return sendmsg(s->control, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : errno;
}

/* Opens the channels of a host: our ends in `child`, those of the host in `theirs`. */
static int open_channels(py_child_t *child, int theirs[PY_ORDER_FDS]) {
    int pair[2], yes = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    child->frame_fd = pair[0];
    theirs[1] = pair[1];
    if (pipe2(pair, O_CLOEXEC) != 0) return -1;
    child->log_fd = pair[0];
    theirs[2] = pair[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    child->status_fd = pair[0];
    theirs[3] = pair[1];
    if (setsockopt(child->status_fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0) return -1;
    int ours[] = {child->frame_fd, child->log_fd, child->status_fd};
    for (int i = 0; i < 3; i++)
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK) != 0) return -1;
    return 0;
}

/* A spawner that has ended is replaced, once. 0 or an errno. */
static int give_order(py_spawner_t *s, const int fds[PY_ORDER_FDS]) {
    int error = 0;
    for (int i = 0; i < 2; i++) {
        if (s->control < 0 && (error = start_spawner(s)) != 0) return error;
        error = send_order(s, fds);
        if (error != EPIPE && error != ECONNRESET && error != ENOTCONN) return error;
        end_spawner(s);
    }
    return error;
}

/* The host's ends are closed here, whether it was ordered or not. */
int py_spawn(py_spawner_t *s, const py_spawn_t *spawn, py_child_t *child, bool *shortage, err_t *err) {
    int theirs[PY_ORDER_FDS] = {-1, -1, -1, -1}, error = 0;
    *child = (py_child_t){.frame_fd = -1, .log_fd = -1, .status_fd = -1};
    const char *what = "open a channel to";
    if (open_channels(child, theirs) != 0 || (theirs[0] = order_file(spawn)) < 0) {
        error = errno;
    } else {
        what = "order";
        error = give_order(s, theirs);
    }
    for (int i = 0; i < PY_ORDER_FDS; i++)
        close_fd(&theirs[i]);
    if (shortage) *shortage = py_is_shortage(error);
    if (error == 0) return 0;
    close_fd(&child->frame_fd);
    close_fd(&child->log_fd);
    close_fd(&child->status_fd);
    return err_set(err, SDG_EIO, "cannot %s a Python process: %s", what, strerror(error));
}

/* ---- reports ---- */

static pid_t sender_of(struct msghdr *m) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct ucred who;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
        memcpy(&who, CMSG_DATA(c), sizeof who);
        return who.pid;
    }
    return 0;
}

/* The kernel tells the sender's number as this process sees it. */
py_report_t py_child_report(py_child_t *child) {
    py_report_t r;
    memset(&r, 0, sizeof r);
    char space[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {&r, sizeof r};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(child->status_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    /* A keeper that ends before it has read our "K" resets the socket; what it said before is still there. */
    if (n < 0 && errno == ECONNRESET) n = recvmsg(child->status_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return (py_report_t){.kind = PY_REPORT_NONE};
    if (n != (ssize_t)sizeof r) r = (py_report_t){.kind = PY_REPORT_LOST};
    r.where[sizeof r.where - 1] = '\0';
    if (r.kind == PY_REPORT_KEPT) child->keeper = sender_of(&m);
    if (r.kind == PY_REPORT_STARTED) {
        child->pid = sender_of(&m);
        child->jail = r.jail;
    }
    if (r.kind == PY_REPORT_ENDED || r.kind == PY_REPORT_LOST) child->pid = 0;
    return r;
}

/* A keeper that is stopped does not read it; then py_child_kill_keeper helps. */
void py_child_kill(py_child_t *child) {
    if (child->status_fd >= 0) send(child->status_fd, "K", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Nobody else can have its number: the keeper holds the other end of the status socket, which is open. */
void py_child_kill_keeper(py_child_t *child) {
    if (child->keeper > 0) kill(child->keeper, SIGKILL);
}

/* ---- a trial ---- */

static bool wait_started(py_child_t *child, py_report_t *last) {
    uint64_t deadline = clock_now_ns() + PY_PROBE_MS * MILLISECOND, now;
    while ((*last = py_child_report(child)).kind != PY_REPORT_STARTED) {
        struct pollfd p = {.fd = child->status_fd, .events = POLLIN};
        if (last->kind == PY_REPORT_FAILED || last->kind == PY_REPORT_LOST) return false;
        if ((now = clock_now_ns()) >= deadline) return false;
        poll(&p, 1, (int)((deadline - now) / MILLISECOND) + 1);
    }
    return true;
}

/* The program does not exist, so nothing runs behind the report. */
int py_probe(const char *program, const py_limits_t *limits, py_jail_t *jail, err_t *err) {
    char *argv[] = {"probe", NULL}, *environment[] = {NULL};
    const py_spawn_t how = {
        .program = "/nonexistent", .argv = argv, .envp = environment, .sandbox = true, .limits = *limits};
    py_spawner_t *s = py_spawner_new(program);
    py_child_t child;
    py_report_t last;
    int rc = py_spawn(s, &how, &child, NULL, err);
    if (rc == 0) {
        if (!wait_started(&child, &last))
            rc = err_set(err, SDG_EIO, "a Python process does not start%s%s", last.error ? ": " : "",
                         last.error ? strerror(last.error) : "");
        *jail = child.jail;
        close_fd(&child.frame_fd);
        close_fd(&child.log_fd);
        close_fd(&child.status_fd);
    }
    py_spawner_destroy(&s);
    return rc;
}
