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

/* ms; requests that are in flight for so long while nobody is answered are called a hang */
#define TROUBLE_HANG_MS 5000

/* ms; what went wrong at an endpoint that answers again is shown for so long */
#define TROUBLE_RECENT_MS 10000

/* ns; without a progress line on a terminal a trouble is logged at once, and again after so long */
#define TROUBLE_AGAIN_NS (30 * UINT64_C(1000000000))

/* troubles that are remembered as said; when more differ, the one said first is said again */
#define TROUBLES_SAID_MAX 16

/* the words of one trouble: an address and a text of a server at their longest, and some words around */
#define TROUBLE_WORDS_BYTES ((size_t)2 << 10)

#endif
