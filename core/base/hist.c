/* hist.c - log-linear buckets: values below 16 each have their own, each higher power of two has 16. */
#include "core/base/hist.h"

#include <assert.h>
#include <math.h>
#include <string.h>

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

void hist_between(const hist_t *before, const hist_t *after, hist_t *out) {
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        out->bucket[i] = after->bucket[i] - before->bucket[i];
        out->count += out->bucket[i];
        if (out->bucket[i]) out->max_us = upper_edge(i);
    }
    out->sum_us = after->sum_us - before->sum_us;
    if (out->max_us > after->max_us) out->max_us = after->max_us;
}

uint64_t hist_count_below(const hist_t *h, uint32_t power) {
    uint64_t n = 0;
    assert(power >= SUB_BITS && power <= 32);
    for (uint32_t i = 0; i < (power - SUB_BITS + 1) * SUBS; i++) {
        n += h->bucket[i];
    }
    return n;
}

size_t hist_to_numbers(const hist_t *h, uint64_t numbers[HIST_NUMBERS_MAX]) {
    size_t n = 0;
    numbers[n++] = h->sum_us;
    numbers[n++] = h->max_us;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        if (!h->bucket[i]) continue;
        numbers[n++] = i;
        numbers[n++] = h->bucket[i];
    }
    return n;
}

void hist_from_numbers(hist_t *h, const uint64_t *numbers, size_t count) {
    memset(h, 0, sizeof *h);
    if (count < 2) return;
    h->sum_us = numbers[0];
    h->max_us = numbers[1];
    for (size_t i = 2; i + 1 < count; i += 2) {
        if (numbers[i] >= HIST_BUCKETS) continue;
        uint32_t *bucket = &h->bucket[numbers[i]];
        h->count -= *bucket;
        *bucket = (uint32_t)numbers[i + 1];
        h->count += *bucket;
    }
}
