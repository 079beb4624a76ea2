/* bench_lru.c - operations per second of the LRU cache on one core: random keys out of twice as many as fit;
 * each is asked for, and put when it is not there, which pushes another out. Most of an operation is cache
 * misses, so other work on the machine shows: rounds, and their median and best. Usage: bench_lru [entries]
 * [operations] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/store/lru.h"

/* xorshift: a key costs little beside an operation. */
static uint64_t next(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
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

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    enum { ROUNDS = 15 };
    uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    uint64_t operations = argc > 2 ? strtoull(argv[2], NULL, 10) : 60000000;
    double millions[ROUNDS];
    lru_t *lru = lru_new(entries);
    mix(lru, 2 * entries, 4 * entries); /* fills the cache in random order */
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_now_ns(), done = mix(lru, 2 * entries, operations / ROUNDS);
        millions[round] = (double)done * 1e3 / (double)(clock_now_ns() - start);
    }
    lru_stats_t stats;
    lru_stats(lru, &stats);
    qsort(millions, ROUNDS, sizeof *millions, by_size);
    printf("get and put on %" PRIu64
           " entries: %.1f million operations/s (best of %d rounds %.1f), hit rate %.2f\n",
           entries, millions[ROUNDS / 2], ROUNDS, millions[ROUNDS - 1], stats.hit_rate);
    lru_destroy(&lru);
    return 0;
}
