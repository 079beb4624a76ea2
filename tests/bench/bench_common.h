/* bench_common.h - arguments, clock and report shared by the HTTP benchmarks. */
#ifndef SDG_TESTS_BENCH_BENCH_COMMON_H
#define SDG_TESTS_BENCH_BENCH_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/clock.h"

typedef uint64_t bench_count_t;

typedef struct bench_args {
    const char *url;
    bench_count_t requests, concurrency;
    char *body;
    size_t body_len;
} bench_args_t;

typedef struct bench_clock {
    uint64_t wall_ns, cpu_us;
} bench_clock_t;

static void bench_die(const char *what, const char *why) {
    fprintf(stderr, "bench: %s %s\n", what, why);
    exit(1);
}

static void bench_body_read(bench_args_t *args, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) bench_die("cannot open", path);
    args->body = malloc(1 << 20);
    args->body_len = fread(args->body, 1, 1 << 20, file);
    fclose(file);
}

static bench_args_t bench_args_read(int argc, char **argv) {
    bench_args_t args = {.requests = 100000, .concurrency = 64};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--url") == 0)
            args.url = argv[i + 1];
        else if (strcmp(argv[i], "--requests") == 0)
            args.requests = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--concurrency") == 0)
            args.concurrency = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--body") == 0)
            bench_body_read(&args, argv[i + 1]);
        else
            bench_die("unknown option", argv[i]);
    }
    if (!args.url || !args.body)
        bench_die("usage: --url URL --body FILE [--requests N] [--concurrency C]", "");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return args;
}

static bench_clock_t bench_clock(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    uint64_t cpu_us = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
                      (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    return (bench_clock_t){clock_now_ns(), cpu_us};
}

static void bench_report(const char *name, const bench_args_t *args, bench_clock_t began) {
    bench_clock_t ended = bench_clock();
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double seconds = (double)(ended.wall_ns - began.wall_ns) / 1e9;
    printf("%-10s concurrency %5llu: %9.0f requests/s, %6.2f us CPU per request, peak %ld KiB\n", name,
           (unsigned long long)args->concurrency, (double)args->requests / seconds,
           (double)(ended.cpu_us - began.cpu_us) / (double)args->requests, use.ru_maxrss);
}

#endif
