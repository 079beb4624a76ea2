/* limits.h - what bounds actors/store: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_STORE_LIMITS_H
#define SDG_ACTORS_STORE_LIMITS_H

#include <stdint.h>

/* a smaller file is not worth rewriting */
#define JOURNAL_COMPACT_BYTES ((uint64_t)64 << 20)

/* --fsync batch: what power loss may cost; disks take 1-30 ms for a sync */
#define JOURNAL_SYNC_NS (200 * UINT64_C(1000000))

/* --fsync batch: so many unsynced bytes are synced at once, so that a sync stays short */
#define JOURNAL_SYNC_BYTES ((uint64_t)8 << 20)

/* how often it tells the monitor */
#define STORE_STATS_NS (200 * UINT64_C(1000000))

/* rows in one notice of evictions; more are counted in the totals only */
#define STORE_EVICTED_MAX 4096

/* addresses that one store listens on: for this process, and for others */
#define STORE_ENDPOINTS_MAX 2

#endif
