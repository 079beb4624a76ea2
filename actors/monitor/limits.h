/* limits.h - what bounds actors/monitor: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_MONITOR_LIMITS_H
#define SDG_ACTORS_MONITOR_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* ns; the progress line on a terminal is drawn so often, and the rates have a sample as often */
#define REDRAW_NS (200 * UINT64_C(1000000))

/* s; without a terminal a progress line is logged so often */
#define PLAIN_EVERY_S 5

/* the numbers of a report: series of the whole run, and the text of a pipeline at its longest (16 MiB) */
#define REPORT_PAGE_BYTES_MAX ((size_t)64 << 20)

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

/* endpoints that /metrics and /stats.json tell of: a page stays small, and nobody runs more against one job
 */
#define ENDPOINTS_SHOWN_MAX 64

/* the words of one trouble: an address and a text of a server at their longest, and some words around */
#define TROUBLE_WORDS_BYTES ((size_t)2 << 10)

/* the progress line: words of a trouble and a dozen short parts */
#define PROGRESS_LINE_BYTES ((size_t)8 << 10)

/* the final summary: a message of each kind of failure, a line for each note and endpoint */
#define SUMMARY_BYTES ((size_t)1 << 20)

/* columns of the progress line when the terminal does not say how many it has */
#define COLUMNS_DEFAULT 80

/* columns; a wider progress line is not read any better, and the log keeps 512 bytes of it */
#define COLUMNS_MAX 250

/* pages (dashboards, `sdg top`) of which is known whether they have seen the end; of more the oldest is
 * forgotten, and the run does not wait for it */
#define METRICS_PAGES_MAX 32

/* the header of a request for /stats.json by which a page says its number */
#define METRICS_PAGE_HEADER "X-Sdg-Page"

/* ns; a page that has not asked for so long is closed: it asks once a second */
#define METRICS_PAGE_OPEN_NS (3 * UINT64_C(1000000000))

/* ms; how long the end of a run waits for open pages to see it */
#define LINGER_SEEN_MS 5000

/* ns; while the monitor lingers it looks so often whether all pages have seen the end */
#define LINGER_LOOK_NS (50 * UINT64_C(1000000))

#endif
