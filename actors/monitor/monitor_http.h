/* monitor_http.h - the monitor's small web server: /metrics, /stats.json, /series.json, /healthz and the
 * dashboard at /.
 *
 * It has no thread: libmicrohttpd's epoll descriptor is polled by the monitor's loop, and monitor_http_run
 * does what is ready. It only reads metrics_t and answers GET and HEAD; a slow or silent reader costs one of
 * METRICS_CONNECTIONS_MAX connections for METRICS_IDLE_S seconds. On loopback a request must name a loopback
 * host: a page elsewhere that points its name here gets nothing.
 *
 * Who goes on asking for /stats.json says so by a number of its own, "?page=123": the end of a run waits for
 * a moment until all of these have seen it.
 */
#ifndef SDG_ACTORS_MONITOR_MONITOR_HTTP_H
#define SDG_ACTORS_MONITOR_MONITOR_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/monitor/metrics.h"
#include "core/base/error.h"

typedef struct monitor_http monitor_http_t;

/* Listens on "HOST:PORT" and says so in the log as `who` (port 0: any free one). An address that
 * is not on loopback is refused unless `insecure`. Returns the descriptor, or a negative code and the reason.
 */
int monitor_http_listen(const char *who, const char *address, bool insecure, err_t *err);
/* Takes over the descriptor. NULL when the server cannot be started. metrics is borrowed. */
monitor_http_t *monitor_http_new(int listen_fd, const metrics_t *metrics);
void monitor_http_destroy(monitor_http_t **http);
int monitor_http_fd(const monitor_http_t *http);
void monitor_http_run(monitor_http_t *http);
/* Is a page open (a dashboard, `sdg top`) that has not been told yet that the run has ended? */
bool monitor_http_is_watched(const monitor_http_t *http, uint64_t now);

#endif
