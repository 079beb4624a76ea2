/* limits.h - what bounds actors/monitor: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_MONITOR_LIMITS_H
#define SDG_ACTORS_MONITOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ns; the progress line on a terminal is drawn so often, and the rates have a sample as often */
#define REDRAW_NS (200 * UINT64_C(1000000))

/* s; without a terminal a progress line is logged so often */
#define PLAIN_EVERY_S 5

/* samples of the rates: at one each REDRAW_NS they span the last six seconds */
#define RATE_SAMPLES 32

/* connections of --metrics-listen: browsers and scrapers; further ones wait in accept */
#define METRICS_CONNECTIONS_MAX 64

/* s; a connection that is silent, or does not read, is closed after this */
#define METRICS_IDLE_S 30

/* request headers above it are answered with 431 */
#define METRICS_CONNECTION_BYTES ((size_t)16 << 10)

/* RSS of all processes of the program is read so often, when it is asked for */
#define MEMORY_SAMPLE_NS UINT64_C(1000000000)

/* PSS is read with every fifth sample only: it costs about 1 ms per GiB */
#define MEMORY_PSS_EVERY 5

/* --enable-memory-monitoring warns at most so often, as documented */
#define MEMORY_WARN_NS (10 * UINT64_C(1000000000))

#endif
