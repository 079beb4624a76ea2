/* limits.h - what bounds actors/monitor: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_MONITOR_LIMITS_H
#define SDG_ACTORS_MONITOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* of --metrics-listen: browsers and scrapers; further ones wait in accept */
#define METRICS_CONNECTIONS_MAX 64

/* a silent or unreading connection is closed after this */
#define METRICS_IDLE_S 30

/* request headers above it are answered with 431 */
#define METRICS_CONNECTION_BYTES ((size_t)16 << 10)

/* RSS of all our processes, when asked for */
#define MEMORY_SAMPLE_NS UINT64_C(1000000000)

/* every fifth sample: PSS costs about 1 ms per GiB */
#define MEMORY_PSS_EVERY 5

/* warnings of --enable-memory-monitoring, as documented */
#define MEMORY_WARN_NS (10 * UINT64_C(1000000000))

#endif
