/* bench_child.c - runs a command and writes what it cost as one line of JSON: clock at its start, wall time,
 * CPU time, peak memory, exit code.
 *
 * It exists because of the peak: the kernel counts for a process what its parent had resident when it forked,
 * so the parent has to be as small as this one. start_ns is CLOCK_MONOTONIC just before the fork, to be
 * compared with time.monotonic_ns() of another process. A command is killed with this process.
 *
 * bench_child REPORT_FILE COMMAND [ARGUMENT...]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"

static long long microseconds(struct timeval t) { return (long long)t.tv_sec * 1000000 + t.tv_usec; }

static int report(const char *path, uint64_t start_ns, uint64_t end_ns, int status,
                  const struct rusage *use) {
    FILE *file = fopen(path, "w");
    if (!file) return 127;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(file,
            "{\"start_ns\": %llu, \"wall_ns\": %llu, \"user_us\": %lld, \"system_us\": %lld, \"rss_kib\": "
            "%ld, \"code\": %d}\n",
            (unsigned long long)start_ns, (unsigned long long)(end_ns - start_ns),
            microseconds(use->ru_utime), microseconds(use->ru_stime), use->ru_maxrss, code);
    return fclose(file) == 0 ? code : 127;
}

int main(int argc, char **argv) {
    int status;
    struct rusage use;
    if (argc < 3) return 2;
    uint64_t start_ns = clock_now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &use) < 0) return 127;
    return report(argv[1], start_ns, clock_now_ns(), status, &use);
}
