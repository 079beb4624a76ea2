/* monitor_http.c - see monitor_http.h. To add a page: its kind in request.h, a function that fills a
 * buffer, a row in the table. */
#include "actors/monitor/monitor_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/loop/limits.h"
#include "actors/monitor/limits.h"
#include "actors/monitor/readers.h"
#include "actors/monitor/request.h"
#include "core/base/clock.h"
#include "core/base/host_port.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "dashboard_html.h"

struct monitor_http {
    struct MHD_Daemon *daemon;
    readers_t readers;
    const metrics_t *metrics;
    bool loopback; /* bound to a loopback address: then Host must name one, too */
};

/* ---- listening */

static bool is_loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static int listen_on(const struct addrinfo *a, const char *address, err_t *err) {
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd >= 0 && bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 64) == 0) return fd;
    err_set(err, SDG_EIO, "--metrics-listen: cannot listen on %s: %s", address, strerror(errno));
    if (fd >= 0) close(fd);
    return SDG_EIO;
}

/* Resolves and binds the address before anything else starts, so that a wrong one stops the run at once. */
int monitor_http_listen(const char *who, const char *address, bool insecure, err_t *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    char host[HOST_BYTES_MAX];
    const char *service;
    if (!host_port_split(address, host, sizeof host, &service))
        return err_set(err, SDG_EINVAL,
                       "--metrics-listen takes HOST:PORT, for example 127.0.0.1:9464, not '%s'", address);
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) return err_set(err, SDG_EINVAL, "--metrics-listen: %s: %s", address, gai_strerror(rc));
    int fd = SDG_EINVAL;
    if (!insecure && !is_loopback(list->ai_addr))
        err_set(err, SDG_EINVAL,
                "--metrics-listen: %s is not a loopback address; anybody who reaches it can read the "
                "numbers: add --insecure to allow it",
                address);
    else
        fd = listen_on(list, address, err);
    freeaddrinfo(list);
    if (fd >= 0)
        log_info(who, "dashboard at http://%.*s:%d/ (also /metrics and /stats.json)",
                 (int)(service - address - 1), address, port_of(fd));
    return fd;
}

/* ---- pages */

static void page_metrics(const metrics_t *m, uint64_t now, buf_t *out) {
    (void)now;
    metrics_prometheus(m, out);
}

static void page_stats(const metrics_t *m, uint64_t now, buf_t *out) { metrics_json(m, now, out); }

static void page_recent(const metrics_t *m, uint64_t now, buf_t *out) {
    (void)now;
    metrics_series_json(m, false, out);
}

static void page_whole(const metrics_t *m, uint64_t now, buf_t *out) {
    (void)now;
    metrics_series_json(m, true, out);
}

static void page_health(const metrics_t *m, uint64_t now, buf_t *out) {
    (void)m, (void)now;
    buf_adds(out, "ok\n");
}

static void page_dashboard(const metrics_t *m, uint64_t now, buf_t *out) {
    (void)m, (void)now;
    buf_add(out, DASHBOARD_HTML, sizeof DASHBOARD_HTML);
}

typedef struct page {
    const char *type;
    void (*write)(const metrics_t *m, uint64_t now, buf_t *out);
} page_t;
static const page_t pages[PAGES] = {
    [PAGE_DASHBOARD] = {"text/html; charset=utf-8", page_dashboard},
    [PAGE_METRICS] = {"text/plain; version=0.0.4; charset=utf-8", page_metrics},
    [PAGE_STATS] = {"application/json", page_stats},
    [PAGE_SERIES] = {"application/json", page_recent},
    [PAGE_SERIES_WHOLE] = {"application/json", page_whole},
    [PAGE_HEALTH] = {"text/plain; charset=utf-8", page_health},
};

/* ---- requests */

/* Sends `body`, which is taken over, with headers that forbid caches and foreign scripts. */
static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, const char *type, buf_t *body) {
    size_t len;
    char *bytes = buf_take(body, &len);
    struct MHD_Response *r = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Content-Security-Policy",
                            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                            "connect-src 'self'; img-src data:");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(r, "Allow", "GET, HEAD");
    enum MHD_Result rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why) {
    buf_t body;
    buf_init(&body, 256);
    buf_addf(&body, "%s\n", why);
    return respond(c, status, "text/plain; charset=utf-8", &body);
}

bool monitor_http_is_watched(const monitor_http_t *h, uint64_t now) {
    return readers_are_open(&h->readers, now);
}

/* An answer has been sent, or cannot be; *seen is the reader that was told the end with it, if any. */
static void on_completed(void *self, struct MHD_Connection *c, void **seen,
                         enum MHD_RequestTerminationCode how) {
    monitor_http_t *h = self;
    (void)c, (void)how;
    for (size_t i = 0; i < METRICS_PAGES_MAX; i++) {
        if (*seen == &h->readers.pages[i]) h->readers.pages[i].told_end = true;
    }
}

/* Called by libmicrohttpd twice or more for each request: with its headers, with pieces of a body, at its
 * end. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **seen) {
    static char first;
    monitor_http_t *h = self;
    uint64_t now = clock_now_ns();
    buf_t body;
    (void)version, (void)upload;
    if (!*seen) { /* headers only: the answer is given at the second call */
        *seen = &first;
        return MHD_YES;
    }
    if (*upload_len) {
        *upload_len = 0; /* a body is read and thrown away */
        return MHD_YES;
    }
    request_verdict_t verdict = request_judge(
        method, url, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST), h->loopback);
    if (verdict.status != MHD_HTTP_OK) return refuse(c, verdict.status, verdict.why);
    if (verdict.page == PAGE_STATS) {
        const char *number = MHD_lookup_connection_value(c, MHD_HEADER_KIND, METRICS_PAGE_HEADER);
        reader_page_t *reader = readers_take(&h->readers, request_page_number(number), now);
        if (reader && h->metrics->end.ended) *seen = reader;
    }
    buf_init(&body, METRICS_PAGE_BYTES_MAX);
    pages[verdict.page].write(h->metrics, now, &body);
    return respond(c, MHD_HTTP_OK, pages[verdict.page].type, &body);
}

/* ---- life */

/* The server uses the descriptor that is bound already; it has no thread of its own. */
monitor_http_t *monitor_http_new(int listen_fd, const metrics_t *metrics) {
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    monitor_http_t *h = xcalloc(1, sizeof *h);
    h->metrics = metrics;
    h->loopback = getsockname(listen_fd, (struct sockaddr *)&bound, &len) == 0 &&
                  is_loopback((struct sockaddr *)&bound);
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)METRICS_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)METRICS_CONNECTION_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (h->daemon) return h;
    close(listen_fd);
    free(h);
    return NULL;
}

void monitor_http_destroy(monitor_http_t **http) {
    monitor_http_t *h = *http;
    if (!h) return;
    MHD_stop_daemon(h->daemon);
    free(h);
    *http = NULL;
}

int monitor_http_fd(const monitor_http_t *h) {
    return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}
void monitor_http_run(monitor_http_t *h) { MHD_run(h->daemon); }
