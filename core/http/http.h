/* http.h - raw HTTP requests on curl multi: POSTs and GETs in, replies out. It knows nothing of chat, permits
 * and retries.
 *
 * One epoll descriptor (http_fd) stands for all connections. The owner polls it for reading, sleeps no longer
 * than http_due_ns allows, and calls http_drive, then http_next until it returns false. After starting new
 * requests it calls http_flush, so that they are sent at once. Nothing blocks, no callbacks.
 *
 * Limits: bodies by LLM_ANSWER_BYTES_MAX (a longer one is HTTP_TOO_LARGE); requests in flight by the owner's
 * permits. Connections follow curl's rules: kept open and reused, proxies from http_proxy / https_proxy /
 * no_proxy, certificates checked against CURL_CA_BUNDLE, SSL_CERT_FILE or SSL_CERT_DIR if set. Redirects are
 * not followed. A body that is encoded (gzip, deflate, br, zstd) comes decoded, although no request asks for
 * an encoding. Each request names us: "User-Agent: sdg/<version>", unless its headers name another.
 */
#ifndef SDG_HTTP_HTTP_H
#define SDG_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/llm/retry.h"

typedef struct http http_t;
typedef struct http_target http_target_t;     /* a URL with its idle handles */
typedef struct http_transfer http_transfer_t; /* one request, from http_start to http_release or http_abort */
typedef struct curl_slist http_headers_t;     /* a checked list of headers, unchanged while requests use it */

typedef struct http_options {
    uint32_t connections_max; /* kept open per target; 0: as many as ever were in flight */
    uint32_t sockets_max; /* connections at a time, those that wait for a request, too: the oldest of these is
                           * closed for a new one. The owner starts no more requests. 0: any number */
} http_options_t;

http_t *http_new(const http_options_t *options, err_t *err); /* NULL on failure */
void http_destroy(http_t **http);                            /* aborts what is in flight */

/* NULL and err if the URL is not a complete http:// or https:// URL. `http2`: its requests ask for HTTP/2
 * over TLS, and share connections only with others that do. Owned by the http_t, until http_target_free. */
http_target_t *http_target_new(http_t *http, const char *url, bool http2, err_t *err);
/* No request of the target is running or waiting to be released. Connections stay open for other targets of
 * the same server. */
void http_target_free(http_t *http, http_target_t *target);
/* Closes all connections; no request is running or waiting to be released. */
void http_close_idle(http_t *http);

/* Makes a list of `lines` ("Name: value") and of those headers of `base` (may be NULL) whose name no line
 * has. A line without a name or with a line break is refused. The caller frees with http_headers_free (NULL
 * is fine). */
int http_headers_new(const http_headers_t *base, const char *const *lines, size_t count, http_headers_t **out,
                     err_t *err);
void http_headers_free(http_headers_t *headers);

typedef struct http_post {
    http_target_t *target;
    const char *body; /* borrowed until the reply is released; NULL: a GET */
    size_t body_len;
    const http_headers_t *headers; /* borrowed likewise */
    uint32_t timeout_ms;           /* of the whole request, > 0 */
    void *owner;                   /* comes back in the reply */
} http_post_t;
http_transfer_t *http_start(http_t *http, const http_post_t *post);
/* Ends a request without a reply, also one whose reply http_next has not given yet. */
void http_abort(http_t *http, http_transfer_t *transfer);

int http_fd(const http_t *http);
/* When to drive even if nothing is readable. 0: now; UINT64_MAX: never. */
uint64_t http_due_ns(const http_t *http);
void http_drive(http_t *http); /* does what is readable or due, some dozens of sockets per call */
void http_flush(http_t *http); /* does what is due; so it sends what was just started */

typedef enum http_outcome {
    HTTP_ANSWERED,  /* a complete response of any status */
    HTTP_TIMEOUT,   /* no complete response in time */
    HTTP_BROKEN,    /* no complete response: refused, reset, DNS, TLS, cut body */
    HTTP_TOO_LARGE, /* the body passes LLM_ANSWER_BYTES_MAX */
} http_outcome_t;

/* Why a request is HTTP_BROKEN, for people. */
typedef enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_NAME,    /* the name of the host is unknown */
    HTTP_FAULT_CONNECT, /* no connection */
    HTTP_FAULT_TLS,     /* no agreement on TLS: a certificate, a host name, or no TLS at all */
    HTTP_FAULT_PROXY,   /* the proxy refuses to pass it on: 401, 403 or 407 */
    HTTP_FAULT_OTHER
} http_fault_t;

typedef struct http_reply {
    http_transfer_t *transfer; /* give back with http_release; the pointers below live until then */
    void *owner;
    http_outcome_t outcome;
    long status;      /* 0 if there was none */
    const char *body; /* never NULL; complete only when ANSWERED */
    size_t body_len;
    retry_hint_t hint;
    uint64_t latency_ns;  /* from http_start to the last byte of the body */
    const char *reason;   /* curl's words when not ANSWERED */
    const char *broken;   /* of a connection to the server itself when BROKEN: "connection refused" and the
                           * like; NULL: only `reason` says it */
    http_fault_t fault;   /* when BROKEN */
    int os_error;         /* errno of a connection that failed, e.g. ECONNREFUSED; 0: none */
    const char *location; /* of a redirect (3xx), as a whole URL; NULL: none */
} http_reply_t;
bool http_next(http_t *http, http_reply_t *reply);
void http_release(http_t *http, http_transfer_t *transfer);

#endif
