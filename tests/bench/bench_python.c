/* bench_python.c - calls per second of a Python function that does nothing: what a Python block costs besides
 * the user's code.
 *
 *   bench_python [hosts=2] [calls=200000] [context_bytes=0]
 *
 * The feeder keeps as many calls open as a worker would. Printed: calls/s, wall and own CPU microseconds per
 * call. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/python/pypool.h"

enum { OPEN_CALLS = 1000 };

static uint64_t own_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void drive(pypool_t *pool) {
    struct pollfd p = {.fd = pypool_fd(pool), .events = POLLIN};
    poll(&p, 1, pypool_timeout_ms(pool, clock_now_ns()));
    pypool_drive(pool, clock_now_ns());
}

static void submit(pypool_t *pool, const py_call_t *call, uint64_t tag) {
    err_t err;
    if (pypool_submit(pool, call, tag, &err) == 0) return;
    fprintf(stderr, "%s\n", err.text);
    exit(1);
}

/* Runs `calls` calls; gives how many succeeded. */
static uint64_t run(pypool_t *pool, const py_call_t *call, uint64_t calls) {
    uint64_t sent = 0, ended = 0, done = 0;
    while (ended < calls) {
        while (sent < calls && sent - ended < OPEN_CALLS)
            submit(pool, call, sent++);
        drive(pool);
        for (py_event_t e; pypool_next(pool, &e); ended++) {
            done += e.kind == PY_DONE;
            value_free(e.outputs);
            value_free(e.vars);
        }
    }
    return done;
}

int main(int argc, char **argv) {
    const pypool_options_t options = {.hosts_max = argc > 1 ? (uint32_t)atoi(argv[1]) : 2};
    uint64_t calls = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    size_t context_bytes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    err_t err;
    pypool_t *pool = pypool_new(&options, &err);
    value_t outputs = value_list(1), context = value_object(2), kwargs = value_object(1);
    list_push(&outputs, value_text("R"));
    object_set_text(&kwargs, "x", value_text("tea"));
    char *text = xcalloc(context_bytes + 1, 1);
    memset(text, 'c', context_bytes);
    object_set_text(&context, "text", value_text(text));
    free(text);
    int env = pypool_add_env(pool, &(py_env_t){0}, &err);
    int function = pypool_add_function(pool,
                                       &(py_function_t){.env = (uint32_t)env,
                                                        .entrypoint = "main",
                                                        .code = "def main(ctx, x):\n    return {'R': x}\n",
                                                        .outputs = outputs},
                                       &err);
    const py_call_t call = {.function = (uint32_t)function, .kwargs = kwargs, .context = context};
    run(pool, &call, 1000); /* the hosts start now and not while it is measured */
    uint64_t start = clock_now_ns(), cpu = own_cpu_ns();
    uint64_t done = run(pool, &call, calls);
    double wall_us = (double)(clock_now_ns() - start) / 1000, cpu_us = (double)(own_cpu_ns() - cpu) / 1000;
    printf("hosts=%u calls=%llu done=%llu context_bytes=%zu: %.0f calls/s, %.1f us wall per call, %.1f us of "
           "own CPU per call\n",
           options.hosts_max, (unsigned long long)calls, (unsigned long long)done, context_bytes,
           (double)calls / wall_us * 1e6, wall_us / (double)calls, cpu_us / (double)calls);
    value_free(outputs);
    value_free(context);
    value_free(kwargs);
    pypool_destroy(&pool);
    return done == calls ? 0 : 1;
}
