/* test_pyspawn.c - spawner, keeper and filter with ordinary programs in the place of Python. The jail is the
 * best that this machine allows, and where it matters also the weakest: in a user namespace that allows no
 * further ones. */
#include <criterion/criterion.h>

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/python/pyfilter.h"
#include "core/python/pylandlock.h"
#include "core/python/pyorder.h"
#include "core/python/pyscratch.h"
#include "core/python/pyspawn.h"

enum { WAIT_MS = 30000 };

/* ---- what the tests share ---- */

typedef struct outcome {
    char said[4096];  /* what the program printed */
    py_report_t last; /* the report of its end */
    py_jail_t jail;
    bool started;
} outcome_t;

static char *const PATH_ONLY[] = {"PATH=/usr/bin:/bin", NULL};

static void wait_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "nothing came");
}

/* Reads reports up to the end of all that the program had started. */
static void follow(py_child_t *child, outcome_t *o) {
    for (py_report_t r; (r = py_child_report(child)).kind != PY_REPORT_LOST;) {
        if (r.kind == PY_REPORT_STARTED) {
            o->started = true;
            o->jail = r.jail;
        }
        if (r.kind == PY_REPORT_ENDED || r.kind == PY_REPORT_FAILED) o->last = r;
        if (r.kind == PY_REPORT_NONE) wait_readable(child->status_fd);
    }
}

static void read_log(const py_child_t *child, outcome_t *o) {
    size_t used = strlen(o->said);
    ssize_t n;
    while ((n = read(child->log_fd, o->said + used, sizeof o->said - 1 - used)) > 0)
        used += (size_t)n;
    o->said[used] = '\0';
}

static void close_child(const py_child_t *child) {
    close(child->frame_fd);
    close(child->log_fd);
    close(child->status_fd);
}

static py_child_t order(py_spawner_t *s, py_spawn_t how) {
    py_child_t child;
    err_t err;
    if (!how.envp) how.envp = PATH_ONLY;
    cr_assert_eq(py_spawn(s, &how, &child, NULL, &err), 0, "%s", err.text);
    return child;
}

/* A shell in the jail that `how` says, from start to end. */
static outcome_t run_shell(py_spawn_t how, const char *script) {
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    outcome_t o = {0};
    how.program = "/bin/sh";
    how.argv = argv;
    py_spawner_t *s = py_spawner_new(NULL);
    py_child_t child = order(s, how);
    follow(&child, &o);
    read_log(&child, &o);
    close_child(&child);
    py_spawner_destroy(&s);
    return o;
}

static bool process_is_gone(pid_t pid) {
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    bool zombie = fgets(text, sizeof text, f) && strstr(text, ") Z ");
    fclose(f);
    return zombie;
}

static void wait_gone(pid_t pid) {
    uint64_t end = clock_now_ns() + WAIT_MS * MILLISECOND;
    for (; !process_is_gone(pid); poll(NULL, 0, 1))
        cr_assert_lt(clock_now_ns(), end, "process %d is still there", (int)pid);
}

/* ---- orders ---- */

Test(pyorder, comes_back_as_it_was_and_is_refused_when_it_is_cut) {
    char *argv[] = {"python", "-c", "", NULL}, *envp[] = {"A=1", "B=", NULL};
    const char *folders[] = {"/opt/py", NULL};
    const py_spawn_t spawn = {.program = "/usr/bin/python3",
                              .argv = argv,
                              .envp = envp,
                              .folders = folders,
                              .work_dir = "/tmp",
                              .sandbox = true,
                              .files = PY_FILES_OWN,
                              .limits = {.memory_bytes = 5, .open_files = 7}};
    buf_t bytes;
    py_order_t order;
    buf_init(&bytes, 1 << 16);
    py_order_write(&spawn, &bytes);
    cr_assert_eq(py_order_read(bytes.data, bytes.len, &order), 0);
    cr_assert_str_eq(order.spawn.program, "/usr/bin/python3");
    cr_assert_str_eq(order.spawn.work_dir, "/tmp");
    cr_assert_str_eq(order.spawn.argv[2], "");
    cr_assert_null(order.spawn.argv[3]);
    cr_assert_str_eq(order.spawn.envp[1], "B=");
    cr_assert_str_eq(order.spawn.folders[0], "/opt/py");
    cr_assert_null(order.spawn.folders[1]);
    cr_assert(order.spawn.sandbox && !order.spawn.network);
    cr_assert_eq(order.spawn.files, PY_FILES_OWN);
    cr_assert_eq(order.spawn.limits.open_files, 7);
    py_order_free(&order);
    for (size_t len = 0; len < bytes.len; len++) {
        char *exact = malloc(len ? len : 1); /* so that a sanitizer sees a step too far */
        memcpy(exact, bytes.data, len);
        cr_assert_eq(py_order_read(exact, len, &order), SDG_EPARSE, "cut at %zu", len);
        free(exact);
    }
    buf_free(&bytes);
}

/* ---- starts and ends ---- */

Test(pyspawn, tells_how_a_program_ended) {
    outcome_t o = run_shell((py_spawn_t){.sandbox = true}, "echo here; exit 7");
    cr_assert(o.started);
    cr_assert_str_eq(o.said, "here\n");
    cr_assert_eq(WEXITSTATUS(o.last.status), 7);
    o = run_shell((py_spawn_t){.sandbox = true}, "kill -ABRT $$");
    cr_assert_eq(WTERMSIG(o.last.status), SIGABRT, "a host is not the first process of its namespace");
    cr_assert_gt(o.last.peak_kib, 100);
}

Test(pyspawn, a_program_that_cannot_run_is_told_in_words) {
    py_spawner_t *s = py_spawner_new(NULL);
    char *argv[] = {"x", NULL};
    outcome_t o = {0};
    py_child_t child =
        order(s, (py_spawn_t){.program = "/nonexistent/program", .argv = argv, .sandbox = true});
    py_report_t r;
    while ((r = py_child_report(&child)).kind != PY_REPORT_FAILED)
        if (r.kind == PY_REPORT_NONE) wait_readable(child.status_fd);
    cr_assert_eq(r.error, ENOENT);
    cr_assert_str_eq(r.where, "exec");
    follow(&child, &o);
    close_child(&child);
    py_spawner_destroy(&s);
}

/* Number, seen from here, of a process that sleeps so long: its command line holds the time. 0: none. */
static pid_t find_sleeper(const char *seconds) {
    char command[128], line[64] = "";
    snprintf(command, sizeof command, "pgrep -f '^sleep %s$'", seconds);
    FILE *f = popen(command, "r");
    pid_t found = f && fgets(line, sizeof line, f) ? atoi(line) : 0;
    if (f) pclose(f);
    return found;
}

static pid_t wait_for_sleeper(const char *seconds) {
    uint64_t end = clock_now_ns() + WAIT_MS * MILLISECOND;
    pid_t pid;
    while ((pid = find_sleeper(seconds)) == 0)
        cr_assert_lt(clock_now_ns(), end, "sleep %s did not begin", seconds);
    return pid;
}

Test(pyspawn, a_host_that_is_stopped_is_killed_after_a_while, .timeout = 60) {
    outcome_t o = run_shell((py_spawn_t){.sandbox = true}, "kill -STOP $$; echo went on");
    cr_assert_eq(WTERMSIG(o.last.status), SIGSTOP);
    cr_assert_str_eq(o.said, "");
    o = run_shell((py_spawn_t){.sandbox = true}, "(sleep 0.3; kill -CONT $$) & kill -STOP $$; echo went on");
    cr_assert_str_eq(o.said, "went on\n");
}

static void expect_all_ends_with(bool sandbox, bool killed, const char *seconds) {
    char script[256];
    snprintf(script, sizeof script,
             "setsid sh -c 'setsid sleep %s & sleep 0.1' & sleep 0.3; read x <&3; exit 0", seconds);
    char *argv[] = {"sh", "-c", script, NULL};
    outcome_t o = {0};
    py_spawner_t *s = py_spawner_new(NULL);
    py_child_t child = order(s, (py_spawn_t){.program = "/bin/sh", .argv = argv, .sandbox = sandbox});
    pid_t pid = wait_for_sleeper(seconds);
    if (killed)
        py_child_kill(&child);
    else
        cr_assert_eq(send(child.frame_fd, "\n", 1, 0), 1);
    follow(&child, &o);
    cr_assert(process_is_gone(pid), "the end of the status socket is the end of all");
    close_child(&child);
    py_spawner_destroy(&s);
}

Test(pyspawn, what_a_host_started_ends_with_it) {
    expect_all_ends_with(true, false, "1701.25");
    expect_all_ends_with(true, true, "1702.25");
    expect_all_ends_with(false, false, "1703.25"); /* no namespace: the keeper is their subreaper */
    expect_all_ends_with(false, true, "1704.25");
}

Test(pyspawn, everything_ends_when_the_pool_is_killed) {
    int pipe_fd[2];
    cr_assert_eq(pipe(pipe_fd), 0);
    for (int sandbox = 0; sandbox < 2; sandbox++) {
        const char *seconds = sandbox ? "1711.25" : "1712.25";
        pid_t pool = fork();
        if (pool == 0) {
            char script[128];
            snprintf(script, sizeof script, "setsid sleep %s & sleep %s", seconds, seconds);
            char *argv[] = {"sh", "-c", script, NULL};
            py_child_t child;
            const py_spawn_t how = {
                .program = "/bin/sh", .argv = argv, .envp = PATH_ONLY, .sandbox = sandbox};
            if (py_spawn(py_spawner_new(NULL), &how, &child, NULL, NULL) != 0) _exit(1);
            while (true)
                pause();
        }
        pid_t pid = wait_for_sleeper(seconds);
        kill(pool, SIGKILL);
        waitpid(pool, NULL, 0);
        wait_gone(pid);
        cr_assert_eq(find_sleeper(seconds), 0);
    }
}

Test(pyspawn, a_killed_spawner_is_replaced) {
    char *argv[] = {"sh", "-c", "echo $PPID", NULL};
    py_spawner_t *s = py_spawner_new(NULL);
    for (int i = 0; i < 3; i++) {
        outcome_t o = {0};
        char command[64], line[32] = "";
        py_child_t child = order(s, (py_spawn_t){.program = "/bin/sh", .argv = argv, .sandbox = false});
        follow(&child, &o);
        cr_assert_eq(o.last.kind, PY_REPORT_ENDED);
        close_child(&child);
        snprintf(command, sizeof command, "pgrep -P %d", (int)getpid());
        FILE *f = popen(command, "r");
        while (f && fgets(line, sizeof line, f)) { /* the shell of popen is a child, too */
            kill(atoi(line), SIGKILL);
            wait_gone(atoi(line));
        }
        if (f) pclose(f);
    }
    py_spawner_destroy(&s);
}

Test(pyspawn, shortage_is_told_from_other_failures) {
    struct rlimit before, none;
    char *argv[] = {"true", NULL};
    const py_spawn_t how = {.program = "/bin/true", .argv = argv, .envp = PATH_ONLY};
    py_spawner_t *s = py_spawner_new(NULL);
    py_child_t child;
    err_t err;
    bool shortage = false;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int rc = py_spawn(s, &how, &child, &shortage, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_assert_eq(rc, SDG_EIO);
    cr_assert(shortage);
    cr_assert_not_null(strstr(err.text, "Too many open files"), "%s", err.text);
    py_spawner_destroy(&s);
}

/* ---- limits ---- */

Test(pyspawn, limits_hold) {
    const py_limits_t limits = {
        .memory_bytes = 256 << 20, .processes = 20, .file_bytes = 1 << 20, .open_files = 64};
    outcome_t o = run_shell((py_spawn_t){.sandbox = true, .limits = limits},
                            "ulimit -d; ulimit -f; ulimit -n; ulimit -c");
    cr_assert_str_eq(o.said, "262144\n2048\n64\n0\n");
    if (!o.jail.counted) cr_skip_test("this kernel does not count the processes of one host");
    o = run_shell((py_spawn_t){.sandbox = true, .limits = limits},
                  "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 5 & "
                  "done; echo all");
    cr_assert_not_null(strstr(o.said, "fork"), "%s", o.said);
    o = run_shell((py_spawn_t){.sandbox = true, .limits = limits},
                  "for i in 1 2 3 4 5; do sleep 0 & done; wait; echo all");
    cr_assert_str_eq(o.said, "all\n");
}

Test(pyspawn, short_lived_processes_do_not_use_up_the_limit) {
    const py_limits_t limits = {.processes = 20};
    outcome_t o = run_shell((py_spawn_t){.sandbox = true, .limits = limits},
                            "i=0; while [ $i -lt 500 ]; do /bin/true || exit 3; i=$((i+1)); done; echo all");
    cr_assert_str_eq(o.said, "all\n");
}

/* ---- files ---- */

static bool has_landlock(void) { return py_landlock_version() > 0; }

Test(pyspawn, a_confined_host_has_its_own_files_alone) {
    if (!has_landlock()) cr_skip_test("no Landlock here");
    char place[] = "/tmp/sdg-test-XXXXXX";
    cr_assert_not_null(mkdtemp(place));
    char *script =
        xasprintf("cat %s/secret; echo x > %s/new; echo ok > $TMPDIR/mine && cat $TMPDIR/mine; pwd; cat "
                  "%s/code/a.txt; cat /etc/hostname; echo $TMPDIR",
                  place, place, place);
    char *make = xasprintf("echo s > %s/secret; mkdir %s/code; echo code > %s/code/a.txt; chmod -R a+rX %s",
                           place, place, place, place);
    cr_assert_eq(system(make), 0);
    char *folder = xasprintf("%s/code", place);
    const char *folders[] = {folder, NULL};
    outcome_t o = run_shell(
        (py_spawn_t){.sandbox = true, .files = PY_FILES_OWN, .folders = folders, .in_scratch = true}, script);
    cr_assert(o.jail.files);
    cr_assert_not_null(strstr(o.said, "ok\n"), "%s", o.said);
    cr_assert_not_null(strstr(o.said, "\ncode\n"), "%s", o.said);
    cr_assert_not_null(strstr(o.said, "/secret: Permission denied"), "%s", o.said);
    cr_assert_not_null(strstr(o.said, "/etc/hostname: Permission denied"), "%s", o.said);
    char *written = xasprintf("%s/new", place), *scratch = strstr(o.said, "/tmp/sdg-python-");
    cr_assert_neq(access(written, F_OK), 0);
    cr_assert_not_null(scratch);
    scratch[strcspn(scratch, "\n")] = '\0';
    cr_assert_neq(access(scratch, F_OK), 0, "%s is still there", scratch);
    /* Readers may read everything, and write their scratch folder alone. */
    o = run_shell((py_spawn_t){.sandbox = true, .files = PY_FILES_READ}, script);
    cr_assert_not_null(strstr(o.said, "s\n"), "%s", o.said);
    cr_assert_null(strstr(o.said, "/secret: Permission denied"), "%s", o.said);
    cr_assert_not_null(strstr(o.said, "ok\n"), "%s", o.said);
    cr_assert_neq(access(written, F_OK), 0);
    char *remove = xasprintf("rm -rf %s", place);
    cr_assert_eq(system(remove), 0);
    free(remove);
    free(written);
    free(folder);
    free(make);
    free(script);
}

Test(pyscratch, is_removed_whatever_lies_in_it) {
    int hold = -1;
    char *path = py_scratch_make("/tmp", &hold);
    cr_assert_not_null(path);
    char *fill = xasprintf(
        "cd %s && mkdir -p a/b/c d && touch a/1 a/b/2 d/3 && ln -s /etc l && ln -s / a/b/root && mkdir "
        "shut && touch shut/x && chmod 0 shut && chmod 500 a",
        path);
    cr_assert_eq(system(fill), 0);
    cr_assert_eq(chdir(path), 0);
    for (int depth = 0; depth < 900; depth++) { /* far deeper than a path can say */
        cr_assert_eq(mkdir("deep", 0700), 0);
        cr_assert_eq(chdir("deep"), 0);
    }
    cr_assert_eq(chdir("/"), 0);
    py_scratch_remove(path);
    cr_assert_neq(access(path, F_OK), 0, "%s is still there", path);
    cr_assert_eq(access("/etc/passwd", F_OK), 0);
    close(hold);
    free(fill);
    free(path);
}

/* ---- the filter ---- */

/* The errno of one system call in a process with this filter; 0: it was allowed; negative: killed by that
 * signal. */
typedef long (*attempt_t)(void);
static int refused(py_filter_t filter, attempt_t attempt) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!py_filter_close(&filter)) _exit(254);
        errno = 0;
        _exit(attempt() < 0 ? errno : 0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) return -WTERMSIG(status);
    cr_assert_neq(WEXITSTATUS(status), 254, "there is no filter");
    return WEXITSTATUS(status);
}

static long unix_socket(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static long ip_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long netlink_socket(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long vsock_socket(void) { return socket(AF_VSOCK, SOCK_STREAM, 0); }
static long stream_pair(void) {
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}
static long packet_pair(void) {
    int fds[2];
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds);
}
static long datagram_pair(void) {
    int fds[2];
    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds);
}
static long raw_pair(void) {
    int fds[2];
    return socketpair(AF_UNIX, SOCK_RAW, 0, fds);
}
/* High halves of arguments are not looked at by the kernel either. */
static long unix_socket_with_high_bits(void) {
    return syscall(SYS_socket, (1L << 32) | AF_UNIX, SOCK_STREAM, 0);
}

Test(pyfilter, sockets) {
    const py_filter_t fallback = {0}, isolated = {.isolated = true}, network = {.network = true};
    cr_assert_eq(refused(fallback, unix_socket), EACCES);
    cr_assert_eq(refused(fallback, unix_socket_with_high_bits), EACCES);
    cr_assert_eq(refused(fallback, ip_socket), EACCES);
    cr_assert_eq(refused(fallback, netlink_socket), EACCES);
    cr_assert_eq(refused(fallback, datagram_pair), EACCES, "it could be connected to others");
    cr_assert_eq(refused(fallback, raw_pair), EACCES);
    cr_assert_eq(refused(fallback, stream_pair), 0);
    cr_assert_eq(refused(fallback, packet_pair), 0);
    cr_assert_eq(refused(isolated, unix_socket), EACCES);
    cr_assert_eq(refused(isolated, unix_socket_with_high_bits), EACCES);
    cr_assert_eq(refused(isolated, vsock_socket), EACCES, "no namespace holds it");
    cr_assert_eq(refused(isolated, datagram_pair), EACCES);
    cr_assert_eq(refused(isolated, ip_socket), 0);
    cr_assert_eq(refused(isolated, stream_pair), 0);
    cr_assert_eq(refused(network, unix_socket), 0);
    cr_assert_eq(refused(network, ip_socket), 0);
    cr_assert_eq(refused(network, datagram_pair), 0);
}

static long trace(void) { return syscall(SYS_ptrace, 0x4206, getppid(), 0, 0); }
static long read_memory(void) { return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0); }
static long write_memory(void) { return syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0); }
static long get_descriptor(void) { return syscall(438, 0, 0, 0); }
static long compare(void) { return syscall(SYS_kcmp, getpid(), getppid(), 0, 0, 0); }
static long new_user(void) { return unshare(CLONE_NEWUSER); }
static long new_time(void) { return unshare(0x80); }
static long own_files(void) { return unshare(CLONE_FILES); }
static long clone_with_namespace(void) { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }
static long clone_three(void) { return syscall(435, NULL, 0); }
static long ring(void) { return syscall(425, 1, NULL); }
static long key(void) { return syscall(SYS_keyctl, 0, -3, 0, 0, 0); }
static long performance(void) { return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0); }
static long packet_program(void) { return syscall(SYS_bpf, 0, NULL, 0); }
static long page_faults(void) { return syscall(SYS_userfaultfd, 0); }
static long type_into_terminal(void) { return syscall(SYS_ioctl, 0, 0x5412, "x"); }
static long plain_fork(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return waitpid(pid, NULL, 0);
}

Test(pyfilter, other_processes_and_the_kernel) {
    static const struct {
        attempt_t attempt;
        int error;
    } cases[] = {{trace, EPERM},
                 {read_memory, EPERM},
                 {write_memory, EPERM},
                 {get_descriptor, EPERM},
                 {compare, EPERM},
                 {new_user, EPERM},
                 {new_time, EPERM},
                 {own_files, 0},
                 {clone_three, ENOSYS},
                 {ring, ENOSYS},
                 {clone_with_namespace, EPERM},
                 {key, EPERM},
                 {performance, EPERM},
                 {packet_program, EPERM},
                 {page_faults, EPERM},
                 {type_into_terminal, EPERM},
                 {plain_fork, 0}};
    const py_filter_t kinds[] = {{0}, {.isolated = true}, {.network = true}, {.own_signals = true}};
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            cr_assert_eq(refused(kinds[k], cases[i].attempt), cases[i].error, "kind %zu, case %zu", k, i);
    }
}

#ifdef __x86_64__
static long x32_call(void) { return syscall(0x40000000 + SYS_getpid); }
static long x32_socket(void) { return syscall(0x40000000 + SYS_socket, AF_UNIX, SOCK_STREAM, 0); }
static long call_of_i386(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid */
    return result;
}

Test(pyfilter, foreign_system_call_tables) {
    cr_assert_eq(refused((py_filter_t){0}, x32_call), ENOSYS);
    cr_assert_eq(refused((py_filter_t){0}, x32_socket), ENOSYS);
    cr_assert_eq(refused((py_filter_t){0}, call_of_i386), -SIGSYS);
}
#endif

static long signal_parent(void) { return kill(getppid(), 0); }
static long signal_group_of_parent(void) { return syscall(SYS_kill, -getppid(), 0); }
static long signal_all(void) { return kill(-1, 0); }
static long signal_thread_of_parent(void) { return syscall(SYS_tgkill, getppid(), getppid(), 0); }
static long signal_any_thread(void) { return syscall(SYS_tkill, getppid(), 0); }
static long queue_to_parent(void) { return syscall(SYS_rt_sigqueueinfo, getppid(), 0, NULL); }
static long descriptor_of_parent(void) { return syscall(434, getppid(), 0); }
static long own_descriptor(void) {
    int fds[2];
    return pipe(fds) == 0 ? fcntl(fds[0], F_SETOWN, getppid()) : -1;
}
static long limits_of_parent(void) { return prlimit(getppid(), RLIMIT_NOFILE, NULL, &(struct rlimit){0}); }
static long own_limits(void) { return prlimit(0, RLIMIT_NOFILE, NULL, &(struct rlimit){0}); }
static long signal_itself(void) { return kill(getpid(), 0) + syscall(SYS_tgkill, getpid(), gettid(), 0); }
static long signal_own_group(void) { return kill(0, 0); }

Test(pyfilter, those_who_hold_a_host_are_not_signalled) {
    const py_filter_t f = {.own_signals = true, .protect = {getpid(), 1}};
    static const attempt_t refusals[] = {signal_parent,        signal_group_of_parent,  signal_all,
                                         signal_any_thread,    signal_thread_of_parent, queue_to_parent,
                                         descriptor_of_parent, own_descriptor,          limits_of_parent};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        cr_assert_eq(refused(f, refusals[i]), EPERM, "case %zu", i);
    cr_assert_eq(refused(f, own_limits), 0);
    cr_assert_eq(refused(f, signal_itself), 0);
    cr_assert_eq(refused(f, signal_own_group), 0);
}

/* ---- Landlock ---- */

static bool parent_is_hidden(void) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        const py_landlock_t want = {.files = PY_FILES_ALL};
        if (py_landlock_close(&want) == 0) _exit(2);
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
        bool hidden = open(path, O_RDONLY) < 0 || read(3, path, 1) <= 0;
        bool quiet = py_landlock_version() < 6 || (kill(getppid(), 0) < 0 && errno == EPERM);
        _exit(hidden && quiet ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return status == 0;
}

Test(pylandlock, a_domain_alone_hides_and_spares_other_processes) {
    if (!has_landlock()) cr_skip_test("no Landlock here");
    cr_assert(parent_is_hidden());
}
