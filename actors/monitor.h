/* monitor.h - tells people what is going on: the progress line, plain progress lines, the final summary.
 *
 * Alone owns: the last numbers everybody pushed, and the rates made from them.
 * Socket: one PULL, bound. Nobody waits for it: pushes are lossy, a slow or absent monitor slows nothing.
 *
 * Takes   STATS (client: absolute totals; scheduler: gauges), SUMMARY (client, once at the end, exact)
 * Sends   nothing.
 *
 * Limits: a fixed number of samples for the rates. Dies on "$TERM", after handling what has already arrived (the SUMMARY).
 */
#ifndef SDG_ACTORS_MONITOR_H
#define SDG_ACTORS_MONITOR_H

#include <czmq.h>
#include <stdbool.h>

typedef struct monitor_args {
    const char *endpoint;   /* to bind */
    bool progress;          /* show progress at all */
    bool terminal;          /* stderr is a terminal: one line, redrawn; else a plain line every few seconds */
    bool summary;           /* print the summary at the end */
    bool japanese;
} monitor_args_t;

/* zactor function; args is a monitor_args_t*, copied. */
void monitor_actor(zsock_t *pipe, void *args);

#endif
