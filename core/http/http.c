/* http.c - see http.h.
 *
 * The one idea: between two requests on a kept connection this file does nothing. curl asks us to stop
 * watching a socket after each answer and to watch it again with the next request; to obey would cost two
 * system calls per request. So a socket stays in epoll when curl stops watching it. It is taken out when it
 * is closed, or when it reports something nobody waits for (the server closed an idle connection). This is
 * safe only for sockets that tell us when they are closed, those made by socket_open. Others (of curl's
 * resolver) are taken out at once, because their number may come back as another socket.
 *
 * curl's time grows with the transfers per multi handle, so there are several ("shards"), all in one epoll
 * descriptor. A request goes to the first shard with room: few requests use few shards, and find their
 * connections open there. Easy handles keep their options between requests; per request only body, headers
 * and timeout change.
 */
#include "core/http/http.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/grow.h"
#include "core/base/limits.h"
#include "core/base/ring.h"
#include "core/http/limits.h"
#include "core/http/proxy.h"
#include "core/llm/endpoint.h"

enum {
    EVENTS_MAX = 64, /* sockets served per http_drive, so that what it touches stays in the cache */
    CONNECT_TIMEOUT_MS = 10000, /* a connection that is not there by then never comes */
    KEPT_BODY_BYTES = 64 << 10, /* a larger answer buffer is given back, not kept with the handle */
    /* A shard keeps this many times as many connections as it has transfers, so that a few replicas that
     * share it do not push out each other's connections. */
    HOSTS_PER_SHARD = 4,
};
static const uint64_t NEVER = UINT64_MAX;

/* One multi handle and its timer. */
typedef struct shard {
    http_t *http;
    CURLM *multi;
    bool http2;       /* its connections speak it if the server does */
    uint32_t running; /* transfers added and not yet removed */
    bool touched;     /* curl ran: there may be finished transfers to read */
    uint64_t due_ns;  /* of curl's timer; NEVER if unset */
} shard_t;

/* What epoll and curl think of one socket; the table is indexed by its number. */
typedef struct watch {
    shard_t *shard;
    uint8_t registered; /* events epoll watches for; 0: not in epoll */
    uint8_t wanted;     /* events curl waits for; 0: none, an idle connection */
    bool connection;    /* made by socket_open, so socket_close will be called: may stay in epoll */
} watch_t;

typedef enum transfer_state { TRANSFER_IDLE, TRANSFER_RUNNING, TRANSFER_DONE } transfer_state_t;

struct http_transfer {
    ring_node_t node; /* in its target's `idle`, or in `running` or `done` of the http_t */
    CURL *easy;
    http_t *http;
    http_target_t *target;
    shard_t *shard; /* while running */
    void *owner;    /* of the request */
    transfer_state_t state;
    buf_t body; /* of the response */
    retry_hint_t hint;
    uint64_t started_ns, latency_ns;
    CURLcode result;
    long status;
    int socket_error;              /* errno of a socket that could not be made; 0: none */
    long os_error;                 /* of the last connection that failed */
    bool undecoded;                /* set on the handle now */
    bool of_proxy;                 /* the failure is one of the proxy */
    bool get;                      /* the method set on the handle now is GET */
    const http_headers_t *headers; /* set on the handle now */
    uint32_t timeout_ms;           /* set on the handle now */
    char reason[CURL_ERROR_SIZE];  /* curl's words about the last failure */
};

struct http_target {
    ring_node_t node; /* in `targets` of the http_t */
    CURLU *url;       /* parsed once */
    bool tls, http2;
    bool undecoded;  /* it names encodings that are none, such as utf-8: its answers are taken as they come */
    ring_t idle;     /* handles with all options set */
    uint32_t in_use; /* handles that are not idle */
};

struct http {
    http_options_t options;
    uint32_t shard_transfers; /* that a shard takes, at most */
    int epoll_fd;
    bool proxies;     /* the environment names a proxy: curl has to look for each request */
    shard_t **shards; /* grown on demand, addresses stay */
    size_t shard_count;
    watch_t *watches; /* by socket number */
    size_t watch_count;
    ring_t running; /* for destroy */
    ring_t done;    /* in order of completion, until http_next */
    ring_t targets;
};

static http_transfer_t *first_of(ring_t *ring) {
    ring_node_t *node = ring_first(ring);
    return node ? RING_OWNER(node, http_transfer_t, node) : NULL;
}

/* --- sockets in epoll --- */

static watch_t *watch_of(http_t *http, curl_socket_t fd) {
    assert(fd >= 0);
    size_t need = (size_t)fd + 1;
    if (need > http->watch_count) {
        size_t count = need * 2;
        http->watches = xrealloc(http->watches, count * sizeof *http->watches);
        memset(http->watches + http->watch_count, 0, (count - http->watch_count) * sizeof *http->watches);
        http->watch_count = count;
    }
    return &http->watches[fd];
}

static void watch_drop(http_t *http, watch_t *w, curl_socket_t fd) {
    if (w->registered != 0) epoll_ctl(http->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    w->registered = 0;
}

static void watch_apply(http_t *http, watch_t *w, curl_socket_t fd) {
    if (w->registered == w->wanted) return;
    struct epoll_event event = {.events = w->wanted, .data.fd = fd};
    int rc = epoll_ctl(http->epoll_fd, w->registered != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (rc != 0 && (errno == ENOMEM || errno == ENOSPC))
        ending_short_of("no memory of the kernel for a connection", errno);
    assert(rc == 0); /* our table is wrong */
    w->registered = w->wanted;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *unused) {
    (void)easy, (void)unused;
    shard_t *shard = user;
    watch_t *w = watch_of(shard->http, fd);
    w->shard = shard;
    w->wanted = (uint8_t)(((what & CURL_POLL_IN) ? EPOLLIN : 0) | ((what & CURL_POLL_OUT) ? EPOLLOUT : 0));
    if (what == CURL_POLL_REMOVE) w->wanted = 0;
    if (w->wanted != 0)
        watch_apply(shard->http, w, fd);
    else if (!w->connection)
        watch_drop(shard->http, w, fd);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user) {
    (void)multi;
    shard_t *shard = user;
    if (timeout_ms < 0)
        shard->due_ns = NEVER;
    else
        shard->due_ns = timeout_ms == 0 ? 0 : clock_now_ns() + (uint64_t)timeout_ms * MILLISECOND;
    return 0;
}

static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address) {
    http_transfer_t *t = user;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        t->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    *watch_of(t->http, fd) = (watch_t){.connection = true};
    return fd;
}

static int socket_close(void *user, curl_socket_t fd) {
    http_t *http = user;
    watch_t *w = watch_of(http, fd);
    watch_drop(http, w, fd);
    *w = (watch_t){0};
    return close(fd);
}

/* --- response callbacks --- */

/* Takes one header line. Most lines are of no interest: the first letter decides before anything is compared.
 * To read another header (x-ratelimit-*, endpoint-load-metrics), add its first letter here and its meaning
 * below. */
static size_t on_header(char *line, size_t size, size_t count, void *user) {
    http_transfer_t *t = user;
    size_t total = size * count, len = total;
    char letter = (char)(line[0] | 0x20);
    if (len < 10 || (letter != 'r' && letter != 'x')) return total;
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    const char *colon = memchr(line, ':', len);
    if (colon)
        retry_hint_header(&t->hint, line, (size_t)(colon - line), colon + 1, len - (size_t)(colon - line) - 1,
                          clock_unix_ms());
    return total;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    http_transfer_t *t = user;
    buf_add(&t->body, bytes, size * count);
    return t->body.full ? 0 : size * count;
}

/* --- shards --- */

static shard_t *shard_new(http_t *http, bool http2) {
    shard_t *shard = xcalloc(1, sizeof *shard);
    *shard = (shard_t){.http = http, .multi = curl_multi_init(), .http2 = http2, .due_ns = NEVER};
    if (!shard->multi) ending_short("no memory for connections");
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
    uint32_t kept = HTTP_CONNS_PER_MULTI * HOSTS_PER_SHARD, limit = http->options.connections_max;
    curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, (long)(limit > 0 && limit < kept ? limit : kept));
    if (http->options.sockets_max > 0)
        curl_multi_setopt(shard->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)http->shard_transfers);
    GROW_BY_ONE(http->shards, http->shard_count);
    http->shards[http->shard_count++] = shard;
    return shard;
}

static shard_t *shard_with_room(http_t *http, bool http2) {
    for (size_t i = 0; i < http->shard_count; i++)
        if (http->shards[i]->running < http->shard_transfers && http->shards[i]->http2 == http2)
            return http->shards[i];
    return shard_new(http, http2);
}

/* --- handles --- */

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && value[0] != '\0' ? value : NULL;
}

/* Sets the certificates that vouch for servers, as users of curl expect. A folder of certificates is used
 * only when no file is named: curl reads a file once per multi handle, but reads everything anew for each
 * connection (20 ms) when a folder is set, be it the default one. */
static void easy_set_certificates(CURL *easy) {
    const char *file = environment("CURL_CA_BUNDLE"), *folder = environment("SSL_CERT_DIR");
    if (!file) file = environment("SSL_CERT_FILE");
    if (file) curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, !file ? folder : NULL);
}

static void easy_set_tls(CURL *easy, bool http2) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    easy_set_certificates(easy);
    if (http2) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L); /* wait for a connection to share, open no other */
    }
}

/* The options that do not change between requests and concern the connection. */
static void easy_set_connection(http_transfer_t *t, http_t *http) {
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Without this, giving up on a name look-up would wait for it and block the loop. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L); /* an answer may take an hour; a NAT forgets sooner */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    /* No proxy: so curl does not look for one in the environment at each request. */
    if (!http->proxies) curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static void easy_set_response(CURL *easy, http_transfer_t *t) {
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->reason);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)LLM_ANSWER_BYTES_MAX);
}

/* What all requests say and take. An encoding is not asked for: to compress answers costs the server more
 * than to send them, but some gateways compress unasked. "Accept-Encoding:" in http_headers_new keeps curl
 * from asking. */
static void easy_set_request(CURL *easy) {
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sdg/" SDG_VERSION);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
}

static http_transfer_t *transfer_new(http_t *http, http_target_t *target) {
    http_transfer_t *t = xcalloc(1, sizeof *t);
    t->http = http;
    t->target = target;
    t->easy = curl_easy_init();
    if (!t->easy) ending_short("no memory for a request");
    buf_init(&t->body, LLM_ANSWER_BYTES_MAX);
    easy_set_connection(t, http);
    if (target->tls || http->proxies) easy_set_tls(t->easy, target->http2);
    easy_set_response(t->easy, t);
    easy_set_request(t->easy);
    curl_easy_setopt(t->easy, CURLOPT_CURLU, target->url);
    curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
    return t;
}

static void transfer_free(http_transfer_t *t) {
    curl_easy_cleanup(t->easy);
    buf_free(&t->body);
    free(t);
}

static http_transfer_t *transfer_take(http_t *http, http_target_t *target) {
    http_transfer_t *t = first_of(&target->idle);
    target->in_use++;
    if (!t) return transfer_new(http, target);
    ring_remove(&t->node);
    return t;
}

/* Prepares the handle for a request. Only options that differ from those of its last request are set. */
static void transfer_set(http_transfer_t *t, const http_post_t *post) {
    bool get = !post->body;
    if (get != t->get) curl_easy_setopt(t->easy, get ? CURLOPT_HTTPGET : CURLOPT_POST, 1L);
    t->get = get;
    if (!get) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body_len);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, post->body);
    }
    if (t->headers != post->headers) curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, post->headers);
    if (t->timeout_ms != post->timeout_ms)
        curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)post->timeout_ms);
    if (t->undecoded != t->target->undecoded) curl_easy_setopt(t->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    t->undecoded = t->target->undecoded;
    t->headers = post->headers;
    t->timeout_ms = post->timeout_ms;
    t->owner = post->owner;
    t->hint = retry_hint_none();
    t->socket_error = 0;
    t->reason[0] = '\0';
}

http_transfer_t *http_start(http_t *http, const http_post_t *post) {
    assert(post->timeout_ms > 0);
    http_transfer_t *t = transfer_take(http, post->target);
    transfer_set(t, post);
    t->shard = shard_with_room(http, t->target->http2);
    t->state = TRANSFER_RUNNING;
    t->started_ns = clock_now_ns();
    ring_add_last(&http->running, &t->node);
    t->shard->running++;
    CURLMcode rc = curl_multi_add_handle(t->shard->multi, t->easy);
    if (rc == CURLM_OUT_OF_MEMORY) ending_short("no memory for a request");
    assert(rc == CURLM_OK); /* the handle is in use: a bug */
    return t;
}

static void transfer_stop(http_transfer_t *t) {
    assert(t->state == TRANSFER_RUNNING);
    curl_multi_remove_handle(t->shard->multi, t->easy);
    t->shard->running--;
    t->shard = NULL;
    ring_remove(&t->node);
}

static void transfer_recycle(http_transfer_t *t) {
    if (t->body.cap > KEPT_BODY_BYTES) buf_free(&t->body);
    buf_reset(&t->body);
    t->state = TRANSFER_IDLE;
    t->owner = NULL;
    ring_add_first(&t->target->idle, &t->node); /* first: the handle used last is in the cache */
    t->target->in_use--;
}

void http_abort(http_t *http, http_transfer_t *t) {
    (void)http;
    if (t->state == TRANSFER_RUNNING) transfer_stop(t);
    ring_remove(&t->node);
    transfer_recycle(t);
}

void http_release(http_t *http, http_transfer_t *t) {
    (void)http;
    assert(t->state == TRANSFER_DONE);
    transfer_recycle(t);
}

/* --- driving --- */

/* Is there no descriptor left? Look-ups of names and certificates fail then, and say something else. */
static int descriptor_error(const http_t *http) {
    int fd = fcntl(http->epoll_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

/* curl has no errno for these: no memory, no thread to look a name up with. */
static int memory_error(const http_transfer_t *t, CURLcode result) {
    if (result == CURLE_OUT_OF_MEMORY) return ENOMEM;
    return result == CURLE_COULDNT_RESOLVE_HOST && strstr(t->reason, "thread failed to start") ? EAGAIN : 0;
}

/* "Content-Encoding: utf-8" is a mistake of the server; the body is plain, and further ones will be, too. */
static bool names_no_encoding(const http_transfer_t *t) {
    return t->result == CURLE_BAD_CONTENT_ENCODING && strstr(t->reason, "nrecognized content encoding");
}

static void transfer_finish(http_t *http, http_transfer_t *t, CURLcode result) {
    t->latency_ns = clock_now_ns() - t->started_ns;
    t->result = result;
    t->status = 0;
    t->os_error = 0;
    if (names_no_encoding(t)) t->target->undecoded = true;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    if (result == CURLE_COULDNT_CONNECT) curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &t->os_error);
    if (result != CURLE_OK && t->socket_error) t->os_error = t->socket_error;
    if (result != CURLE_OK && !t->os_error) t->os_error = descriptor_error(http);
    if (!t->os_error) t->os_error = memory_error(t, result);
    t->of_proxy =
        result != CURLE_OK && http->proxies && proxy_reason(t->reason, sizeof t->reason, t->target->tls);
    transfer_stop(t);
    t->state = TRANSFER_DONE;
    ring_add_last(&http->done, &t->node);
}

static void shard_collect(shard_t *shard) {
    shard->touched = false;
    int left;
    for (CURLMsg *msg; (msg = curl_multi_info_read(shard->multi, &left));) {
        if (msg->msg != CURLMSG_DONE) continue;
        http_transfer_t *t = NULL;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        transfer_finish(shard->http, t, msg->data.result); /* msg is void after this */
    }
}

static void shard_act(shard_t *shard, curl_socket_t fd, int what) {
    int running;
    curl_multi_socket_action(shard->multi, fd, what, &running);
    shard->touched = true;
}

/* Serves one event of one socket. Events may be late: the socket may be closed by now, or belong to another
 * shard. */
static void socket_serve(http_t *http, const struct epoll_event *event) {
    curl_socket_t fd = event->data.fd;
    watch_t *w = watch_of(http, fd);
    if (w->wanted == 0) {
        /* The server closed an idle connection. curl finds out when it wants to use it. */
        watch_drop(http, w, fd);
        return;
    }
    int what = ((event->events & (EPOLLIN | EPOLLHUP)) ? CURL_CSELECT_IN : 0) |
               ((event->events & EPOLLOUT) ? CURL_CSELECT_OUT : 0) |
               ((event->events & EPOLLERR) ? CURL_CSELECT_ERR : 0);
    shard_act(w->shard, fd, what);
}

static void timers_run(http_t *http) {
    uint64_t now_ns = 0;
    for (size_t i = 0; i < http->shard_count; i++) {
        shard_t *shard = http->shards[i];
        if (shard->due_ns == NEVER) continue;
        if (shard->due_ns > 0 && now_ns == 0) now_ns = clock_now_ns();
        if (shard->due_ns > now_ns) continue;
        shard->due_ns = NEVER; /* curl sets it again if there is another time to wait for */
        shard_act(shard, CURL_SOCKET_TIMEOUT, 0);
    }
}

void http_flush(http_t *http) {
    timers_run(http);
    for (size_t i = 0; i < http->shard_count; i++)
        if (http->shards[i]->touched) shard_collect(http->shards[i]);
}

void http_drive(http_t *http) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(http->epoll_fd, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        socket_serve(http, &events[i]);
    http_flush(http);
}

int http_fd(const http_t *http) { return http->epoll_fd; }

uint64_t http_due_ns(const http_t *http) {
    uint64_t due_ns = ring_empty(&http->done) ? NEVER : 0;
    for (size_t i = 0; i < http->shard_count; i++)
        if (http->shards[i]->due_ns < due_ns) due_ns = http->shards[i]->due_ns;
    return due_ns;
}

/* --- replies --- */

static http_outcome_t outcome_of(const http_transfer_t *t) {
    if (t->result == CURLE_OK) return HTTP_ANSWERED;
    if (t->result == CURLE_FILESIZE_EXCEEDED || t->body.full) return HTTP_TOO_LARGE;
    return t->result == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMEOUT : HTTP_BROKEN;
}

/* Did the connection break during the greeting of TLS? A server that is restarted does that. */
static bool was_cut(const char *reason) {
    return strstr(reason, "SSL_ERROR_SYSCALL") || strcasestr(reason, "reset by peer") ||
           strcasestr(reason, "unexpected eof");
}

static bool proxy_refuses(const http_transfer_t *t) {
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status == 401 || status == 403 || status == 407;
}

/* What went wrong in a request without an answer, by curl's code. */
static http_fault_t fault_of(const http_transfer_t *t) {
    switch (t->result) {
    case CURLE_OK: return HTTP_FAULT_NONE;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST: return HTTP_FAULT_NAME;
    case CURLE_SSL_CONNECT_ERROR: return was_cut(t->reason) ? HTTP_FAULT_OTHER : HTTP_FAULT_TLS;
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_PEER_FAILED_VERIFICATION: return HTTP_FAULT_TLS;
    case CURLE_COULDNT_CONNECT: return proxy_refuses(t) ? HTTP_FAULT_PROXY : HTTP_FAULT_CONNECT;
    default: return proxy_refuses(t) ? HTTP_FAULT_PROXY : HTTP_FAULT_OTHER;
    }
}

/* What became of the connection to the server, when the system has said so. */
static const char *broken_words(const http_transfer_t *t) {
    if (t->result == CURLE_OK || t->of_proxy) return NULL;
    if (t->os_error == 0 && strcasestr(t->reason, "reset by peer")) return "connection reset";
    switch (t->os_error) {
    case ECONNREFUSED: return "connection refused";
    case ECONNRESET: return "connection reset";
    case EHOSTUNREACH:
    case ENETUNREACH: return "no route to host";
    case ETIMEDOUT: return "connection timed out";
    default: return NULL;
    }
}

/* The transfer is in no ring until http_release or http_abort. */
bool http_next(http_t *http, http_reply_t *reply) {
    http_transfer_t *t = first_of(&http->done);
    if (!t) return false;
    ring_remove(&t->node);
    *reply = (http_reply_t){
        .transfer = t,
        .owner = t->owner,
        .outcome = outcome_of(t),
        .status = t->status,
        .body = t->body.data ? t->body.data : "",
        .body_len = t->body.len,
        .hint = t->hint,
        .latency_ns = t->latency_ns,
        .reason = t->reason[0] != '\0' ? t->reason : curl_easy_strerror(t->result),
        .broken = outcome_of(t) == HTTP_BROKEN ? broken_words(t) : NULL,
        .fault = fault_of(t),
        .os_error = (int)t->os_error,
    };
    if (t->status >= 300 && t->status <= 399)
        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &reply->location);
    return true;
}

/* --- headers --- */

static size_t header_name_len(const char *line) { return strcspn(line, ":;"); }

static bool header_same_name(const char *a, const char *b) {
    size_t len = header_name_len(a);
    return len == header_name_len(b) && strncasecmp(a, b, len) == 0;
}

static int header_check(const char *line, err_t *err) {
    size_t name = strcspn(line, ":");
    if (line[name] != ':' || name == 0 || strcspn(line, " \t;") < name)
        return err_set(err, SDG_EINVAL, "a header must look like \"Name: value\"");
    if (strpbrk(line, "\r\n"))
        return err_set(err, SDG_EINVAL, "header \"%.*s\" has a line break in it", (int)name, line);
    return SDG_OK;
}

/* Appends a header. curl drops "Name:" without a value, but sends it when it is written "Name;". */
static struct curl_slist *header_append(struct curl_slist *list, const char *line) {
    size_t name = header_name_len(line);
    bool empty = line[name] == ':' && strspn(line + name + 1, " \t") == strlen(line + name + 1);
    char *bare = empty ? xasprintf("%.*s;", (int)name, line) : NULL;
    struct curl_slist *longer = curl_slist_append(list, bare ? bare : line);
    if (!longer) ending_short("no memory for the headers of a request");
    free(bare);
    return longer;
}

static bool header_is_renamed(const char *line, const char *const *lines, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (header_same_name(line, lines[i])) return true;
    return false;
}

/* All lines are checked before anything is made. */
int http_headers_new(const http_headers_t *base, const char *const *lines, size_t count, http_headers_t **out,
                     err_t *err) {
    *out = NULL;
    for (size_t i = 0; i < count; i++)
        if (header_check(lines[i], err) != SDG_OK) return SDG_EINVAL;
    /* "Expect:" keeps curl from waiting for "100 Continue" before larger bodies. */
    struct curl_slist *list = base ? NULL : curl_slist_append(NULL, "Expect:");
    if (!base) list = curl_slist_append(list, "Accept-Encoding:");
    for (const struct curl_slist *h = base; h; h = h->next)
        if (!header_is_renamed(h->data, lines, count)) {
            list = curl_slist_append(list, h->data);
            assert(list);
        }
    for (size_t i = 0; i < count; i++)
        list = header_append(list, lines[i]);
    *out = list;
    return SDG_OK;
}

void http_headers_free(http_headers_t *headers) { curl_slist_free_all(headers); }

/* --- targets, life --- */

static bool url_part_is(CURLU *url, CURLUPart part, const char *wanted) {
    char *text = NULL;
    bool same = curl_url_get(url, part, &text, 0) == CURLUE_OK && (!wanted || strcasecmp(text, wanted) == 0);
    curl_free(text);
    return same;
}

/* The URL is parsed once. A sentence about a bad one shows it without user and password. */
http_target_t *http_target_new(http_t *http, const char *url, bool http2, err_t *err) {
    CURLU *parsed = curl_url();
    if (!parsed) ending_short("no memory for an address");
    CURLUcode rc = curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    bool tls = rc == CURLUE_OK && url_part_is(parsed, CURLUPART_SCHEME, "https");
    if (rc != CURLUE_OK || !url_part_is(parsed, CURLUPART_HOST, NULL) ||
        (!tls && !url_part_is(parsed, CURLUPART_SCHEME, "http"))) {
        buf_t shown;
        buf_init(&shown, MESSAGE_BYTES_MAX);
        endpoint_url_shown(url, &shown);
        err_set(err, SDG_EINVAL, "\"%.200s\" is not a complete http:// or https:// URL%s%s",
                shown.data ? shown.data : "", rc ? ": " : "", rc ? curl_url_strerror(rc) : "");
        buf_free(&shown);
        curl_url_cleanup(parsed);
        return NULL;
    }
    http_target_t *target = xcalloc(1, sizeof *target);
    *target = (http_target_t){.url = parsed, .tls = tls, .http2 = http2};
    ring_init(&target->idle);
    ring_add_last(&http->targets, &target->node);
    return target;
}

void http_target_free(http_t *http, http_target_t *target) {
    (void)http;
    assert(target->in_use == 0);
    for (http_transfer_t *t; (t = first_of(&target->idle));) {
        ring_remove(&t->node);
        transfer_free(t);
    }
    ring_remove(&target->node);
    curl_url_cleanup(target->url);
    free(target);
}

/* As many shards as all requests need, and all of the same size: so their connections together are about
 * sockets_max, those that wait for a request included. */
static uint32_t shard_transfers(uint32_t sockets_max) {
    if (sockets_max == 0) return HTTP_CONNS_PER_MULTI;
    uint32_t shards = (sockets_max - 1) / HTTP_CONNS_PER_MULTI + 1;
    return (sockets_max - 1) / shards + 1;
}

/* Shards are made when requests need them. */
http_t *http_new(const http_options_t *options, err_t *err) {
    /* Takes less than 1 ms, is thread-safe and counted; it is kept until the process ends. */
    CURLcode rc = curl_global_init(CURL_GLOBAL_ALL);
    if (rc != CURLE_OK) {
        err_set(err, SDG_EIO, "libcurl does not start: %s", curl_easy_strerror(rc));
        return NULL;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        err_set(err, SDG_EIO, "no epoll descriptor: %s", strerror(errno));
        return NULL;
    }
    http_t *http = xcalloc(1, sizeof *http);
    *http = (http_t){.options = *options,
                     .shard_transfers = shard_transfers(options->sockets_max),
                     .epoll_fd = epoll_fd,
                     .proxies = proxy_is_set()};
    ring_init(&http->running);
    ring_init(&http->done);
    ring_init(&http->targets);
    return http;
}

static void shard_free(shard_t *shard) {
    curl_multi_cleanup(shard->multi); /* closes connections, for which socket_close needs the http_t */
    free(shard);
}

void http_close_idle(http_t *http) {
    assert(ring_empty(&http->running) && ring_empty(&http->done));
    for (size_t i = 0; i < http->shard_count; i++)
        shard_free(http->shards[i]);
    http->shard_count = 0;
}

void http_destroy(http_t **slot) {
    http_t *http = *slot;
    if (!http) return;
    *slot = NULL;
    for (http_transfer_t *t; (t = first_of(&http->running)) || (t = first_of(&http->done));)
        http_abort(http, t);
    for (ring_node_t *node; (node = ring_first(&http->targets));)
        http_target_free(http, RING_OWNER(node, http_target_t, node));
    http_close_idle(http);
    close(http->epoll_fd);
    free(http->watches);
    free(http->shards);
    free(http);
}
