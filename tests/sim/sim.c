/* sim.c - see sim.h. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t seed_now;
static void (*clean_up)(void);

bool sim_seeds_read(sim_seeds_t *seeds, int argc, char **argv, int *at) {
    const char *name = argv[*at];
    if (strcmp(name, "-v") == 0) {
        seeds->verbose = true;
        *at += 1;
        return true;
    }
    bool one = strcmp(name, "--seed") == 0;
    if (*at + 1 == argc || !(one || strcmp(name, "--seeds") == 0)) return false;
    uint64_t number = strtoull(argv[*at + 1], NULL, 10);
    *(one ? &seeds->first : &seeds->count) = number;
    if (one) seeds->count = 1;
    *at += 2;
    return true;
}

static void on_abort(int sig) {
    char text[64];
    int n = snprintf(text, sizeof text, "seed %" PRIu64 " failed: assert\n", seed_now);
    if (write(STDOUT_FILENO, text, (size_t)n) < 0) _exit(2);
    if (clean_up) clean_up();
    signal(sig, SIG_DFL);
    raise(sig);
}

void sim_begin(void (*clean)(void)) {
    clean_up = clean;
    signal(SIGABRT, on_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

void sim_set_seed(uint64_t seed) { seed_now = seed; }

void sim_print(const char *fmt, va_list args) {
    vprintf(fmt, args);
    putchar('\n');
}

void sim_trace(uint64_t step, const char *fmt, ...) {
    va_list args;
    printf("%6" PRIu64 "  ", step);
    va_start(args, fmt);
    sim_print(fmt, args);
    va_end(args);
}

void sim_fail(bool *failed, uint64_t step, const char *fmt, ...) {
    if (*failed) return;
    va_list args;
    *failed = true;
    printf("seed %" PRIu64 " failed at step %" PRIu64 ": ", seed_now, step);
    va_start(args, fmt);
    sim_print(fmt, args);
    va_end(args);
}

bool sim_chance(rng_t *rng, double p) { return rng_real(rng) < p; }
