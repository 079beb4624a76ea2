/* batch_size.h - the concurrency of batch mode, between --min-batch and --max-batch: lower when requests fail
 * or take longer than --target-latency-ms, higher when they take much less. The rule is the documented one of
 * the original's batch mode; here it is applied after every `current` requests instead of once per block, so
 * that it also works on the first of a million rows. Pure. */
#ifndef SDG_PLAN_BATCH_SIZE_H
#define SDG_PLAN_BATCH_SIZE_H

#include <stdint.h>

typedef struct batch_size {
    uint64_t min, max, current; /* 1 <= min <= current <= max */
    uint64_t target_us;
    uint64_t requests, failures, latency_us; /* since the last decision; latency: the sum */
} batch_size_t;

void batch_size_init(batch_size_t *b, uint64_t min, uint64_t max,
                     uint64_t target_ms); /* starts at max; a min above max is max */
/* Requests that have ended: how many, how many of them failed (retries included), and how long those with an
 * answer took in all. */
void batch_size_add(batch_size_t *b, uint64_t requests, uint64_t failures, uint64_t latency_us);

#endif
