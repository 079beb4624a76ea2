/* monitor.h - tells what is going on: to people the progress line, plain progress lines, the final summary,
 * the dashboard; to machines /metrics and /stats.json (monitor_http.h); and warns when memory grows beyond a
 * threshold.
 *
 * Alone owns: the last numbers everybody pushed, the rates and series made from them (metrics.h), the samples
 * of memory. Sockets: one PULL, bound; with listen_fd also HTTP connections. Nobody waits for it: pushes are
 * lossy, a slow or absent monitor slows nothing.
 *
 * Takes   STATS (client, or scheduler for all workers: absolute totals; scheduler: gauges; store: both),
 *         ENDPOINT_REPORT (client, or scheduler for all jobs), EVICTED (store), SUMMARY (client, once at the
 *         end, exact)
 * Sends   nothing
 *
 * Limits: a fixed number of samples for the rates and series; METRICS_CONNECTIONS_MAX. Dies on "$TERM", after
 * handling what has already arrived (the SUMMARY). On "LINGER" it handles that, too, stays for linger_ms
 * so that the dashboard can show the end, and then says END by itself.
 */
#ifndef SDG_ACTORS_MONITOR_MONITOR_H
#define SDG_ACTORS_MONITOR_MONITOR_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

#include "actors/monitor/report_page.h"

typedef struct monitor_args {
    const char *endpoint; /* to bind */
    bool progress;        /* show progress at all */
    bool terminal;        /* stderr is a terminal: one line, redrawn; else a plain line every few seconds */
    bool summary;         /* print the summary at the end */
    bool troubles;        /* log what goes wrong at an endpoint, unless a line on a terminal shows it */
    bool failed_line;     /* without a summary: one line when rows have failed */
    bool japanese;
    const char *output; /* name of the output, for the summary; NULL: none. Lives as long as the actor */
    const char *again;  /* command line that asks failed rows again; NULL: none. Lives as long, too */
    const char *mode;   /* "run", "submit", "serve"; a constant */
    int listen_fd;      /* of monitor_http_listen, taken over; -1: no web server */
    uint64_t linger_ms; /* LINGER_UNTIL_SEEN: until open pages have seen the end, LINGER_SEEN_MS at most */
    uint64_t memory_threshold_bytes; /* warn above it; 0: never */
    report_page_t report;            /* written at the end; borrowed */
} monitor_args_t;

#define LINGER_UNTIL_SEEN UINT64_MAX

/* zactor function; args is a monitor_args_t*, copied. */
void monitor_actor(zsock_t *pipe, void *args);

#endif
