/* request.h - what the monitor's web server is asked, judged by method, path and Host. Pure. */
#ifndef SDG_ACTORS_MONITOR_REQUEST_H
#define SDG_ACTORS_MONITOR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

typedef enum page_kind {
    PAGE_DASHBOARD,
    PAGE_METRICS,
    PAGE_STATS,
    PAGE_SERIES,
    PAGE_SERIES_WHOLE,
    PAGE_HEALTH,
    PAGES
} page_kind_t;

/* What becomes of a request. */
typedef struct request_verdict {
    unsigned status;  /* 200, 403, 404 or 405 */
    page_kind_t page; /* with 200 */
    const char *why;  /* without 200: a constant sentence */
} request_verdict_t;

/* local_only: the server is bound to a loopback address, so the request must name one, too. host: the header,
 * NULL when there is none (HTTP/1.0). */
request_verdict_t request_judge(const char *method, const char *path, const char *host, bool local_only);

/* Does a Host header, with or without port, name this machine: localhost, 127.x.x.x or [::1]? */
bool request_host_is_local(const char *host);
/* The number in the header METRICS_PAGE_HEADER; 0: there is none. */
uint64_t request_page_number(const char *text);

#endif
