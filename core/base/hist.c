/* hist.c - log-linear buckets: values below 16 each have their own; above, every power of two is cut in 16. */
#include "core/base/hist.h"

#include <assert.h>
#include <math.h>

enum { SUB_BITS = 4, SUBS = 1 << SUB_BITS };

static const uint64_t LARGEST = UINT32_MAX; /* last value of the last bucket */

static uint32_t bucket_of(uint64_t us) {
    if (us < SUBS) return (uint32_t)us;
    if (us > LARGEST) us = LARGEST;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(us) - SUB_BITS;
    return (shift + 1) * SUBS + (uint32_t)((us >> shift) & (SUBS - 1));
}

/* The largest value that falls into a bucket. */
static uint64_t upper_edge(uint32_t bucket) {
    if (bucket < SUBS) return bucket;
    uint32_t shift = bucket / SUBS - 1;
    return ((uint64_t)(SUBS + bucket % SUBS + 1) << shift) - 1;
}

void hist_add(hist_t *h, uint64_t us) {
    uint32_t b = bucket_of(us);
    assert(b < HIST_BUCKETS);
    h->bucket[b]++;
    h->count++;
    h->sum_us += us;
    if (us > h->max_us) h->max_us = us;
}

void hist_merge(hist_t *into, const hist_t *from) {
    for (int i = 0; i < HIST_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
    into->count += from->count;
    into->sum_us += from->sum_us;
    if (from->max_us > into->max_us) into->max_us = from->max_us;
}

uint64_t hist_percentile(const hist_t *h, double p) {
    if (h->count == 0) return 0;
    assert(p >= 0 && p <= 100);
    uint64_t rank = (uint64_t)ceil(p / 100 * (double)h->count); /* the rank-th smallest value is asked for */
    if (rank == 0) rank = 1;
    if (rank >= h->count && p >= 100) return h->max_us;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) return upper_edge(i) < h->max_us ? upper_edge(i) : h->max_us;
    }
    return h->max_us;
}
