/* bench_lru.c - operations per second of CPU time of the LRU cache: random keys out of twice as many as fit; each is asked for, and put when
 * it is not there, which pushes another out.
 * Usage: bench_lru [entries] [operations] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/store/lru.h"

/* xorshift: a key costs little beside an operation. */
static uint64_t next(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t mix(lru_t *lru, uint64_t keys, uint64_t operations) {
    uint64_t state = 88172645463325252u, done = 0;
    lru_entry_t left;
    while (done < operations) {
        uint64_t key = (uint64_t)(((unsigned __int128)next(&state) * keys) >> 64);
        done++;
        if (lru_get(lru, key)) continue;
        lru_put(lru, key, lru, &left);
        done++;
    }
    return done;
}

int main(int argc, char **argv) {
    uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t operations = argc > 2 ? strtoull(argv[2], NULL, 10) : 50000000;
    lru_t *lru = lru_new(entries);
    mix(lru, 2 * entries, 4 * entries); /* full, and in random order */
    uint64_t start = cpu_ns();
    operations = mix(lru, 2 * entries, operations);
    double seconds = (double)(cpu_ns() - start) / (double)SECOND;
    lru_stats_t stats;
    lru_stats(lru, &stats);
    printf("%" PRIu64 " get and put on %" PRIu64 " entries in %.2f s: %.1f million operations/s, hit rate %.2f\n", operations, entries, seconds,
           (double)operations / seconds / 1e6, stats.hit_rate);
    lru_destroy(&lru);
    return 0;
}
