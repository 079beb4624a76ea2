/* patience.c - see patience.h. */
#include "core/sched/patience.h"

#include "core/base/clock.h"
#include "core/sched/limits.h"

static uint64_t granted(bool remote, uint64_t claimed_ms, uint64_t max_ms) {
    if (remote && (claimed_ms == 0 || claimed_ms > max_ms)) return max_ms * MILLISECOND;
    return claimed_ms > UINT64_MAX / MILLISECOND ? 0 : claimed_ms * MILLISECOND;
}

uint64_t patience_of_worker(bool remote, uint64_t claimed_ms) {
    return granted(remote, claimed_ms, WORKER_PATIENCE_MAX_MS);
}

uint64_t patience_of_client(bool remote, uint64_t claimed_ms) {
    return granted(remote, claimed_ms, CLIENT_PATIENCE_MS);
}
