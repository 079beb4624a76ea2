/* ending.c - see ending.h. */
#include "core/base/ending.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/limits.h"

/* A process ends once: what this file knows belongs to the process. */
static _Atomic(const char *) name = ""; /* of the verb; "" before it is known */
static _Atomic int shortage;            /* exit code; 0: ending_init was not called */
static struct {
    char path[ENDING_PATH_BYTES];
    atomic_bool wanted; /* set when the path stands there */
} paths[ENDING_PATHS_MAX];

/* ---- aborts and faults */

static char fault_stack[ENDING_STACK_BYTES]; /* main's own may be what cannot grow */
static atomic_flag faulted = ATOMIC_FLAG_INIT;

static bool is_bounded(int resource) {
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/* What cannot be had at this moment; NULL: all of it can. */
static const char *lacking(void) {
    void *memory = mmap(NULL, ENDING_PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return is_bounded(RLIMIT_AS) ? "no memory (`ulimit -v`)" : "no memory";
    munmap(memory, ENDING_PROBE_BYTES);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) return "no descriptor (`ulimit -n`)";
    if (fd >= 0) close(fd);
    pid_t pid = _Fork();
    if (pid == 0) _exit(0);
    if (pid < 0) return "no thread or process (`ulimit -u`, or the limit of the container)";
    waitpid(pid, NULL, 0);
    return NULL;
}

/* One thread judges; others that fault at the same time wait for the end. */
static void on_fault(int number) {
    while (atomic_flag_test_and_set(&faulted)) {
        pause();
    }
    const char *what = lacking();
    if (what) ending_short(what);
    signal(number, SIG_DFL);
    raise(number); /* comes when this handler has returned: the core shows where */
}

void ending_init(int shortage_code) {
    atomic_store(&shortage, shortage_code);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    static const int faults[] = {SIGABRT, SIGSEGV, SIGBUS};
    stack_t stack = {.ss_sp = fault_stack, .ss_size = sizeof fault_stack};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    sigfillset(&action.sa_mask);
    sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        sigaction(faults[i], &action, NULL);
    }
#else
    (void)on_fault, (void)fault_stack;
#endif
}

void ending_name(const char *verb) { atomic_store(&name, verb); }

/* Called by main's thread alone. */
void ending_remove(const char *path) {
    for (size_t i = 0; i < ENDING_PATHS_MAX; i++) {
        if (atomic_load(&paths[i].wanted) || strlen(path) >= sizeof paths[i].path) continue;
        snprintf(paths[i].path, sizeof paths[i].path, "%s", path);
        atomic_store(&paths[i].wanted, true);
        return;
    }
}

void ending_keep(const char *path) {
    for (size_t i = 0; i < ENDING_PATHS_MAX; i++) {
        if (atomic_load(&paths[i].wanted) && strcmp(paths[i].path, path) == 0)
            atomic_store(&paths[i].wanted, false);
    }
}

static struct iovec part(const char *text) {
    return (struct iovec){.iov_base = (char *)text, .iov_len = strlen(text)};
}

/* One write, so that the words of several processes do not mix. */
static void say(const char *words, const char *more) {
    const char *verb = atomic_load(&name);
    struct iovec parts[] = {
        part("sdg"), part(verb[0] ? " " : ""), part(verb), part(": "), part(words), part(more), part("\n")};
    ssize_t n = writev(STDERR_FILENO, parts, sizeof parts / sizeof *parts);
    (void)n; /* nobody is left to be told */
}

static _Noreturn void leave(int code) {
    for (size_t i = 0; i < ENDING_PATHS_MAX; i++) {
        if (atomic_load(&paths[i].wanted) && unlink(paths[i].path) != 0) rmdir(paths[i].path);
    }
    _exit(code);
}

void ending_now(int code, const char *words) {
    say(words, "");
    leave(code);
}

void ending_short_of(const char *what, int error) {
    char words[256];
    snprintf(words, sizeof words, "%s (%s)", what, strerror(error));
    ending_short(words);
}

void ending_short(const char *what) {
    int code = atomic_load(&shortage);
    say(what,
        ": it ends here; nothing written is lost, and the same command continues (ask for less at a time, "
        "or give it more)");
    if (code == 0) abort();
    leave(code);
}
