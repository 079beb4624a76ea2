/* pyspawn.c - see pyspawn.h.
 *
 * The idea: the sandbox is closed between clone and exec, before the first byte of Python runs. Python itself
 * could not do it: a virtual environment may run code of its own at start-up (.pth files, sitecustomize), and
 * ctypes may be missing from it.
 *
 * The child shares our memory until it executes (CLONE_VM | CLONE_VFORK, as posix_spawn does): nothing is
 * copied however large this process is, and it can tell us why it failed by writing into `launch_t`. In
 * exchange it may only make system calls: no allocation, no locks, no stdio. Other threads may hold any lock
 * at that moment, so `child_main` and everything it calls work on what the parent prepared. Namespaces are
 * asked for in the clone flags: unshare(2) refuses a user namespace to a process that shares its memory.
 *
 * PR_SET_PDEATHSIG fires when the *thread* that cloned ends, so a pool lives in one thread for its whole
 * life.
 */
#include "core/python/pyspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

enum { CHILD_STACK_BYTES = 64 << 10, FIRST_FREE_FD = 10, CHILD_FRAME_FD = 3 };

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

/* The child runs on a stack of its own in our address space: AddressSanitizer must not mark that memory. */
#define CHILD_CODE __attribute__((no_sanitize("address"), no_sanitize("undefined"), noinline))

/* What the child needs, prepared by the parent, and what it answers. */
typedef struct launch {
    const py_spawn_t *spawn;
    py_jail_t jail; /* what to set up */
    pid_t parent;
    int null_fd, log_fd, frame_fd; /* all >= FIRST_FREE_FD, so that no dup2 overwrites one of them */
    char uid_map[48], gid_map[48];
    const char *volatile failed_at; /* NULL: the child is executing */
    volatile int failed_errno;
} launch_t;

const char *py_jail_name(py_jail_t jail) {
    switch (jail) {
    case PY_JAIL_USER_NAMESPACE: return "user and network namespaces";
    case PY_JAIL_ROOT: return "network namespace without administrative capabilities";
    case PY_JAIL_SECCOMP: return "seccomp filter";
    case PY_JAIL_NONE: return "none";
    }
    return "?";
}

/* ---- in the child ---- */

CHILD_CODE static void child_fails(launch_t *l, const char *where) {
    l->failed_errno = errno;
    l->failed_at = where;
    _exit(127);
}

CHILD_CODE static void write_file(const char *path, const char *text, size_t len) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    /* Without a map the child sees itself as "nobody", which is harmless: file access goes by the real
     * user. */
    ssize_t done = write(fd, text, len);
    (void)done;
    close(fd);
}

CHILD_CODE static void map_own_user(const launch_t *l) {
    write_file("/proc/self/setgroups", "deny", 4);
    write_file("/proc/self/uid_map", l->uid_map, strlen(l->uid_map));
    write_file("/proc/self/gid_map", l->gid_map, strlen(l->gid_map));
}

/* Drops capabilities of root for good, also over exec, but for those that file access needs. Then the child
 * can neither enter another namespace nor read our environment, which takes at least our capabilities. */
CHILD_CODE static void drop_capabilities(void) {
    for (unsigned cap = 0; cap < 64; cap++) {
        if (cap == CAP_CHOWN || cap == CAP_DAC_OVERRIDE || cap == CAP_FOWNER || cap == CAP_FSETID ||
            cap == CAP_SETUID || cap == CAP_SETGID)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return; /* past the last one this kernel knows */
    }
}

#ifdef NATIVE_ARCH
#define SAY(result) BPF_STMT(BPF_RET | BPF_K, (result))
#define REFUSE(error) SAY(SECCOMP_RET_ERRNO | (error))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS_EQUAL_SKIP(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))

/* Sockets other than AF_UNIX are refused; so is io_uring (it opens sockets too) and any foreign system call
 * table. */
static const struct sock_filter NO_NETWORK[] = {
    LOAD(arch),
    UNLESS_EQUAL_SKIP(NATIVE_ARCH, 7), /* -> EACCES */
    LOAD(nr),
    UNLESS_EQUAL_SKIP(__NR_io_uring_setup, 1),
    REFUSE(ENOSYS),
    UNLESS_EQUAL_SKIP(__NR_socket, 4), /* -> x32 check */
    LOAD(args[0]),
    UNLESS_EQUAL_SKIP(AF_UNIX, 1),
    SAY(SECCOMP_RET_ALLOW),
    REFUSE(EACCES),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1), /* x32 numbers */
    REFUSE(ENOSYS),
    SAY(SECCOMP_RET_ALLOW),
};
#endif

CHILD_CODE static int refuse_sockets(void) {
#ifdef NATIVE_ARCH
    const struct sock_fprog program = {.len = sizeof NO_NETWORK / sizeof NO_NETWORK[0],
                                       .filter = (struct sock_filter *)NO_NETWORK};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#else
    errno = ENOSYS;
    return -1;
#endif
}

CHILD_CODE static void child_limits(const py_spawn_t *s) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (s->memory_bytes_max > 0) {
        const struct rlimit memory = {s->memory_bytes_max, s->memory_bytes_max};
        setrlimit(RLIMIT_AS, &memory);
    }
}

CHILD_CODE static void child_signals(void) {
    struct sigaction normal;
    memset(&normal, 0, sizeof normal);
    normal.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &normal, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

CHILD_CODE static void child_descriptors(launch_t *l) {
    if (dup2(l->null_fd, 0) < 0 || dup2(l->log_fd, 1) < 0 || dup2(l->log_fd, 2) < 0 ||
        dup2(l->frame_fd, CHILD_FRAME_FD) < 0)
        child_fails(l, "dup2");
    if (close_range(CHILD_FRAME_FD + 1, ~0U, 0) != 0) child_fails(l, "close_range");
}

/* The child from its first instruction to exec. The order matters: what needs rights comes before they are
 * given up, and the parent may have died at any moment before PDEATHSIG was set. */
CHILD_CODE static int child_main(void *argument) {
    launch_t *l = argument;
    const py_spawn_t *s = l->spawn;
    child_signals();
    setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) child_fails(l, "PR_SET_PDEATHSIG");
    if (l->jail == PY_JAIL_USER_NAMESPACE) map_own_user(l);
    if (getppid() != l->parent) _exit(127); /* the parent died before the prctl above */
    child_descriptors(l);
    if (s->work_dir && chdir(s->work_dir) != 0) child_fails(l, "working folder");
    child_limits(s);
    if (l->jail == PY_JAIL_ROOT) drop_capabilities();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fails(l, "PR_SET_NO_NEW_PRIVS");
    if (l->jail == PY_JAIL_SECCOMP && refuse_sockets() != 0) child_fails(l, "seccomp");
    execve(s->program, s->argv, s->envp);
    child_fails(l, "exec");
    return 127;
}

/* ---- in the parent ---- */

/* Clones with all signals blocked, because no handler of ours may run in the child. The pid, or a negative
 * errno. */
static pid_t clone_child(launch_t *l, int namespaces) {
    char *stack =
        mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -errno;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pid_t pid =
        clone(child_main, stack + CHILD_STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD | namespaces, l);
    if (pid < 0) pid = -errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    munmap(stack, CHILD_STACK_BYTES);
    return pid;
}

static int jail_namespaces(py_jail_t jail, bool network) {
    int net = network ? 0 : CLONE_NEWNET;
    if (jail == PY_JAIL_USER_NAMESPACE) return CLONE_NEWUSER | net;
    return jail == PY_JAIL_ROOT ? net : 0;
}

/* Tries one kind of jail. True: the child executes, or it failed for a reason that another jail would not
 * cure. */
static bool attempt(launch_t *l, py_jail_t jail, pid_t *pid) {
    l->jail = jail;
    l->failed_at = NULL;
    *pid = clone_child(l, jail_namespaces(jail, l->spawn->network));
    if (*pid < 0) {
        l->failed_at = "clone";
        l->failed_errno = -*pid;
        return jail_namespaces(jail, l->spawn->network) == 0;
    }
    if (!l->failed_at) return true;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *pid = -1;
    return strcmp(l->failed_at, "seccomp") != 0;
}

/* Tries the jails, best first. With the network allowed a filter has nothing to enforce, and is not tried. */
static pid_t launch(launch_t *l) {
    const bool root = geteuid() == 0;
    const py_jail_t order[] = {root ? PY_JAIL_ROOT : PY_JAIL_USER_NAMESPACE,
                               root ? PY_JAIL_USER_NAMESPACE : PY_JAIL_SECCOMP, PY_JAIL_SECCOMP,
                               PY_JAIL_NONE};
    pid_t pid = -1;
    for (size_t i = l->spawn->jail ? 0 : 3; i < 4; i++) {
        if (order[i] == PY_JAIL_SECCOMP && l->spawn->network) continue;
        if (attempt(l, order[i], &pid)) return pid;
    }
    return pid;
}

static int high_fd(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    close(fd);
    return high;
}

/* Opens the socket pair and the pipe. Our ends go into `child`, those of the child into `l`. */
static int open_channels(launch_t *l, py_child_t *child) {
    int socket_fd[2], pipe_fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket_fd) != 0) return -1;
    child->frame_fd = socket_fd[0];
    l->frame_fd = high_fd(socket_fd[1]);
    if (pipe2(pipe_fd, O_CLOEXEC) != 0) return -1;
    child->log_fd = pipe_fd[0];
    l->log_fd = high_fd(pipe_fd[1]);
    l->null_fd = high_fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (l->frame_fd < 0 || l->log_fd < 0 || l->null_fd < 0) return -1;
    if (fcntl(child->frame_fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(child->log_fd, F_SETFL, O_NONBLOCK) != 0)
        return -1;
    return 0;
}

static void close_if_open(int fd) {
    if (fd >= 0) close(fd);
}

static void kill_started(pid_t pid) {
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* The child's ends are closed here, whether it was started or not. */
int py_spawn(const py_spawn_t *spawn, py_child_t *child, err_t *err) {
    launch_t l = {.spawn = spawn, .parent = getpid(), .null_fd = -1, .log_fd = -1, .frame_fd = -1};
    snprintf(l.uid_map, sizeof l.uid_map, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    snprintf(l.gid_map, sizeof l.gid_map, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
    *child = (py_child_t){.pid = -1, .pid_fd = -1, .frame_fd = -1, .log_fd = -1};
    int result = 0;
    if (open_channels(&l, child) != 0) {
        result = err_set(err, SDG_EIO, "cannot open a channel to a Python process: %s", strerror(errno));
    } else if ((child->pid = launch(&l)) < 0) {
        result = err_set(err, SDG_EIO, "cannot run '%s' (%s): %s", spawn->program, l.failed_at,
                         strerror(l.failed_errno));
    } else if ((child->pid_fd = pidfd_open(child->pid, 0)) < 0) {
        result = err_set(err, SDG_EIO, "cannot watch a Python process: %s", strerror(errno));
        kill_started(child->pid);
    }
    child->jail = l.jail;
    close_if_open(l.null_fd);
    close_if_open(l.log_fd);
    close_if_open(l.frame_fd);
    if (result != 0) {
        close_if_open(child->frame_fd);
        close_if_open(child->log_fd);
    }
    return result;
}
