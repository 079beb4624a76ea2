/* hist.h - a histogram of durations with bounded error (log-linear buckets: 16 per power of two, error below 7 %).
 * Fixed size, no allocation; merging is adding. Unit: microseconds, up to ~1.2 hours (larger values clamp). */
#ifndef SDG_BASE_HIST_H
#define SDG_BASE_HIST_H

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
uint64_t hist_percentile(const hist_t *h, double p); /* p in [0,100]; upper edge of the bucket, at most max_us; 0 when empty */

#endif
