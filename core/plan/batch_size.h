/* batch_size.h - the concurrency of batch mode, between --min-batch and --max-batch. Pure.
 *
 * It is lower when requests fail or take longer than --target-latency-ms, higher when they take much less.
 * The rule is the documented one of the original's batch mode. It is applied after every `current` requests
 * and not once per block, so that it also works on the first of a million rows. */
#ifndef SDG_PLAN_BATCH_SIZE_H
#define SDG_PLAN_BATCH_SIZE_H

#include <stdint.h>

typedef struct batch_size {
    uint64_t min, max, current; /* 1 <= min <= current <= max */
    uint64_t target_us;
    uint64_t requests, failures; /* since the last decision */
    uint64_t latency_us;         /* sum of the latencies since then */
} batch_size_t;

/* Starts at max. A min above max counts as max. */
void batch_size_init(batch_size_t *b, uint64_t min, uint64_t max, uint64_t target_ms);
/* Counts requests that have ended: how many, how many of them failed (each retry is a failed request), and
 * how long the answered ones took in all. */
void batch_size_add(batch_size_t *b, uint64_t requests, uint64_t failures, uint64_t latency_us);

#endif
