/* hist.h - a histogram of durations with bounded error: log-linear buckets, 16 per power of two, error below
 * 7 %.
 *
 * It has a fixed size and allocates nothing; two histograms are merged by adding. The unit is the
 * microsecond. A duration above 1.2 hours counts as 1.2 hours. */
#ifndef SDG_BASE_HIST_H
#define SDG_BASE_HIST_H

#include <stddef.h>
#include <stdint.h>

enum { HIST_BUCKETS = 16 * 29 };

typedef struct hist {
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us;
    uint32_t bucket[HIST_BUCKETS];
} hist_t;

void hist_add(hist_t *h, uint64_t us);
void hist_merge(hist_t *into, const hist_t *from);
/* The upper edge of the bucket in which the percentile lies, at most max_us; 0 when empty. p in [0, 100]. */
uint64_t hist_percentile(const hist_t *h, double p);
/* What was added between two states of one histogram; max_us is the upper edge of the highest bucket. */
void hist_between(const hist_t *before, const hist_t *after, hist_t *out);
/* How many values are below 2^power us, exactly. power in [4, 32]. */
uint64_t hist_count_below(const hist_t *h, uint32_t power);

/* As a list of numbers (messages): sum, max, then (bucket, count) for each bucket in use. */
enum { HIST_NUMBERS_MAX = 2 + 2 * HIST_BUCKETS };
size_t hist_to_numbers(const hist_t *h, uint64_t numbers[HIST_NUMBERS_MAX]); /* how many */
/* Any numbers: unknown buckets are dropped, and a bucket that comes twice has its last count. */
void hist_from_numbers(hist_t *h, const uint64_t *numbers, size_t count);

#endif
