/* http_server.h - a small HTTP server in a thread of the test: it answers as a script of the test says.
 *
 * One thread, one epoll loop. For every complete request the test's function fills an act_t (status, headers,
 * body, how to misbehave). ACT_HOLD keeps the request open until `release_at` requests are held at once, then
 * answers them all: so a test can prove "N in flight" without looking at a clock. Counters are read with
 * atomics while the server runs.
 */
#ifndef SDG_TESTS_CORE_HTTP_HTTP_SERVER_H
#define SDG_TESTS_CORE_HTTP_HTTP_SERVER_H

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/error.h"

typedef enum act_kind {
    ACT_ANSWER,
    ACT_RESET, /* TCP reset instead of an answer */
    ACT_HANG,  /* no answer, connection stays open */
    ACT_HALF,  /* headers and half of the body, then close */
    ACT_DRIP,  /* the answer in writes of one byte */
    ACT_HOLD,  /* answer when enough requests are held */
    ACT_CLOSE, /* answer, then close the connection without saying so */
} act_kind_t;

typedef struct act {
    act_kind_t kind;
    int status;          /* 0 = 200 */
    const char *headers; /* "Name: value\r\n..." or NULL */
    const char *body;    /* NULL = a completion that says "ok" */
    size_t body_len;     /* 0 = strlen */
    bool unsized;        /* no Content-Length: the end of the connection ends the body (with ACT_CLOSE) */
} act_t;

typedef struct server server_t;
/* `nth` counts all requests from 1; `request` is the head and the body, NUL-terminated. Runs in the server's
 * thread. */
typedef act_t (*server_script_t)(server_t *server, int nth, const char *request);

typedef struct server_connection {
    int fd;
    buf_t in, out;
    size_t sent;
    bool held, close_after, drip;
    act_t act;
} server_connection_t;

enum { SERVER_CONNECTIONS_MAX = 8192 };

struct server {
    int listen_fd, epoll_fd, stop_fd;
    int port;
    char url[64]; /* http://127.0.0.1:port */
    server_script_t script;
    void *user;     /* the script's */
    int release_at; /* for ACT_HOLD */
    atomic_int requests, connections, open_now, held, held_max;
    pthread_t thread;
    server_connection_t *by_fd[SERVER_CONNECTIONS_MAX];
};

#define COMPLETION(text)                                                                              \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"   \
    "\"assistant\","                                                                                  \
    "\"content\":" text "},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_" \
    "tokens\":5,\"total_tokens\":12}}"

static void connection_close(server_t *s, server_connection_t *c, bool reset) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    s->by_fd[c->fd] = NULL;
    if (c->held) atomic_fetch_sub(&s->held, 1);
    atomic_fetch_sub(&s->open_now, 1);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

/* Returns false when the connection is gone. */
static bool connection_send(server_t *s, server_connection_t *c) {
    while (c->sent < c->out.len) {
        size_t n = c->drip ? 1 : c->out.len - c->sent;
        ssize_t done = send(c->fd, c->out.data + c->sent, n, MSG_NOSIGNAL);
        if (done < 0) break;
        c->sent += (size_t)done;
        if (c->drip) break; /* the next byte in the next turn of the loop */
    }
    bool all = c->sent == c->out.len;
    if (all && c->close_after) {
        connection_close(s, c, false);
        return false;
    }
    if (all) {
        buf_reset(&c->out);
        c->sent = 0;
    }
    struct epoll_event ev = {.events = all ? EPOLLIN : EPOLLIN | EPOLLOUT, .data.fd = c->fd};
    epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
    return true;
}

static bool connection_answer(server_t *s, server_connection_t *c, const act_t *act) {
    const char *body = act->body ? act->body : COMPLETION("\"ok\"");
    size_t len = act->body_len > 0 ? act->body_len : strlen(body);
    buf_addf(&c->out, "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\n%s",
             act->status > 0 ? act->status : 200, act->headers ? act->headers : "");
    if (!act->unsized) buf_addf(&c->out, "Content-Length: %zu\r\n", len);
    buf_adds(&c->out, "\r\n");
    buf_add(&c->out, body, act->kind == ACT_HALF ? len / 2 : len);
    c->close_after = act->kind == ACT_HALF || act->kind == ACT_CLOSE;
    c->drip = act->kind == ACT_DRIP;
    return connection_send(s, c);
}

static void server_release_held(server_t *s) {
    for (int fd = 0; fd < SERVER_CONNECTIONS_MAX; fd++) {
        server_connection_t *c = s->by_fd[fd];
        if (!c || !c->held) continue;
        c->held = false;
        atomic_fetch_sub(&s->held, 1);
        connection_answer(s, c, &c->act);
    }
}

static void connection_hold(server_t *s, server_connection_t *c) {
    c->held = true;
    int held = atomic_fetch_add(&s->held, 1) + 1;
    if (held > atomic_load(&s->held_max)) atomic_store(&s->held_max, held);
    if (held >= s->release_at) server_release_held(s);
}

/* Length of the first complete request in the buffer, or 0. */
static size_t request_len(const buf_t *in) {
    char *end = in->len > 0 ? strstr(in->data, "\r\n\r\n") : NULL;
    if (!end) return 0;
    char *length = strcasestr(in->data, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    size_t total = (size_t)(end + 4 - in->data) + body;
    return in->len >= total ? total : 0;
}

/* Returns false when the connection is gone. */
static bool connection_serve(server_t *s, server_connection_t *c) {
    size_t len = request_len(&c->in);
    if (len == 0) return true;
    int nth = atomic_fetch_add(&s->requests, 1) + 1;
    c->act = s->script(s, nth, c->in.data);
    buf_cut_front(&c->in, len);
    switch (c->act.kind) {
    case ACT_RESET: connection_close(s, c, true); return false;
    case ACT_HANG: return true;
    case ACT_HOLD: connection_hold(s, c); return true;
    default: return connection_answer(s, c, &c->act);
    }
}

static void connection_read(server_t *s, server_connection_t *c) {
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0) {
        connection_close(s, c, false);
        return;
    }
    buf_add(&c->in, bytes, (size_t)n);
    connection_serve(s, c);
}

static void server_accept(server_t *s) {
    for (int fd; (fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        assert(fd < SERVER_CONNECTIONS_MAX);
        server_connection_t *c = xcalloc(1, sizeof *c);
        c->fd = fd;
        buf_init(&c->in, (size_t)64 << 20);
        buf_init(&c->out, (size_t)64 << 20);
        s->by_fd[fd] = c;
        atomic_fetch_add(&s->connections, 1);
        atomic_fetch_add(&s->open_now, 1);
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* The loop of the server's thread; it ends when stop_fd becomes readable. */
static void *server_run(void *user) {
    server_t *s = user;
    for (;;) {
        struct epoll_event events[64];
        int n = epoll_wait(s->epoll_fd, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            server_connection_t *c = s->by_fd[fd];
            if (fd == s->stop_fd) return NULL;
            if (fd == s->listen_fd)
                server_accept(s);
            else if (c && (events[i].events & EPOLLOUT) && !connection_send(s, c))
                continue;
            else if (c && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                connection_read(s, c);
        }
    }
}

/* Starts a server on a free port of 127.0.0.1; server_stop ends it. */
static server_t *server_start(server_script_t script) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server_t *s = xcalloc(1, sizeof *s);
    s->script = script;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int rc = bind(s->listen_fd, (struct sockaddr *)&address, len);
    assert(rc == 0);
    rc = listen(s->listen_fd, 4096);
    assert(rc == 0);
    getsockname(s->listen_fd, (struct sockaddr *)&address, &len);
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = s->listen_fd};
    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev);
    ev.data.fd = s->stop_fd;
    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->stop_fd, &ev);
    rc = pthread_create(&s->thread, NULL, server_run, s);
    assert(rc == 0);
    return s;
}

static void server_stop(server_t **slot) {
    server_t *s = *slot;
    *slot = NULL;
    ssize_t rc = write(s->stop_fd, &(uint64_t){1}, 8);
    assert(rc == 8);
    pthread_join(s->thread, NULL);
    for (int fd = 0; fd < SERVER_CONNECTIONS_MAX; fd++)
        if (s->by_fd[fd]) connection_close(s, s->by_fd[fd], false);
    close(s->listen_fd);
    close(s->epoll_fd);
    close(s->stop_fd);
    free(s);
}

#endif
