/* actor_harness.c - see actor_harness.h. */
#include "tests/harness/actor_harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"

static void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void give_up(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- the actor */

actor_thread_t *harness_start(zactor_fn *function, void *args) {
    zsys_handler_set(NULL); /* an interrupt ends the test and not only czmq's loops */
    zsys_init();
    log_set_level(LEVEL_ERROR);
    return actor_spawn(function, args);
}

int harness_hear_word(actor_thread_t *actor, const char *word) {
    int number = -1;
    char said[32] = "";
    zsock_set_rcvtimeo(actor->pipe, HARNESS_WAIT_MS);
    char *text = zstr_recv(actor->pipe);
    if (!text) give_up("the actor said nothing, not even %s", word);
    if (sscanf(text, "%31s %d", said, &number) != 2 || strcmp(said, word) != 0)
        give_up("the actor said '%s' instead of %s", text, word);
    zstr_free(&text);
    return number;
}

void harness_command(actor_thread_t *actor, const char *command) {
    if (zstr_send(actor->pipe, command) != 0) give_up("the actor cannot be told %s", command);
}

/* ---- its peers */

static void puppet_open(puppet_t *p, int type, link_side_t side, const char *endpoint) {
    err_t err;
    *p = (puppet_t){.socket = link_socket(type, 0, SOCKET_HWM), .router = type == ZMQ_ROUTER};
    buf_init(&p->scratch, MESSAGE_BYTES_MAX);
    if (link_attach(p->socket, side, endpoint, &err) < 0) give_up("%s", err.text);
}

void puppet_connect(puppet_t *p, const char *endpoint) { puppet_open(p, ZMQ_DEALER, LINK_CONNECT, endpoint); }

void puppet_push(puppet_t *p, const char *endpoint) { puppet_open(p, ZMQ_PUSH, LINK_CONNECT, endpoint); }

void puppet_bind(puppet_t *p, int type, const char *endpoint) {
    zsys_handler_set(NULL);
    zsys_init();
    puppet_open(p, type, LINK_BIND, endpoint);
}

void puppet_join(puppet_t *p, const char *endpoint, uint64_t role, uint64_t instance) {
    link_frame_t in;
    puppet_connect(p, endpoint);
    puppet_say(p, (message_t){.type = MESSAGE_HELLO,
                              .HELLO = {.role = role, .instance = instance, .name = slice_of("test")}});
    puppet_await(p, MESSAGE_WELCOME, &in);
    p->epoch = in.message.epoch;
    link_frame_free(&in);
}

void puppet_close(puppet_t *p) {
    if (!p->socket) return;
    zsock_destroy(&p->socket);
    buf_free(&p->scratch);
}

static bool wait_for(const puppet_t *p, short events, uint64_t deadline) {
    zmq_pollitem_t item = {.socket = zsock_resolve(p->socket), .events = events};
    uint64_t now = clock_now_ns();
    return now < deadline && zmq_poll(&item, 1, (long)((deadline - now) / MILLISECOND) + 1) > 0;
}

static uint64_t deadline_in(int wait_ms) { return clock_now_ns() + (uint64_t)wait_ms * MILLISECOND; }

void puppet_say(puppet_t *p, message_t m) {
    uint64_t deadline = deadline_in(HARNESS_WAIT_MS);
    m.epoch = p->epoch;
    while (!link_send(p->socket, p->peer, &m, &p->scratch)) {
        if (!wait_for(p, ZMQ_POLLOUT, deadline)) give_up("%s cannot be said", message_name(m.type));
    }
}

/* False: nothing came until the deadline. Looks before it polls: a benchmark hears many at once. */
static bool hear(puppet_t *p, link_frame_t *in, uint64_t deadline) {
    err_t why = {0};
    do {
        link_status_t got =
            p->router ? link_recv_routed(p->socket, in, &why) : link_recv(p->socket, in, &why);
        if (got == LINK_MALFORMED) give_up("a malformed message came: %s", why.text);
        if (got == LINK_EMPTY) continue;
        p->peer = in->peer;
        return true;
    } while (wait_for(p, ZMQ_POLLIN, deadline));
    return false;
}

bool puppet_hear_for(puppet_t *p, link_frame_t *in, int wait_ms) { return hear(p, in, deadline_in(wait_ms)); }

void puppet_hear(puppet_t *p, link_frame_t *in) {
    if (!hear(p, in, deadline_in(HARNESS_WAIT_MS))) give_up("nothing was said");
}

bool puppet_await_for(puppet_t *p, message_type_t type, link_frame_t *in, int wait_ms) {
    uint64_t deadline = deadline_in(wait_ms);
    while (hear(p, in, deadline)) {
        if (in->message.type == type) return true;
        link_frame_free(in);
    }
    return false;
}

void puppet_await(puppet_t *p, message_type_t type, link_frame_t *in) {
    if (!puppet_await_for(p, type, in, HARNESS_WAIT_MS)) give_up("no %s was said", message_name(type));
}

void puppet_pass(puppet_t *p, message_type_t type) {
    link_frame_t in;
    puppet_await(p, type, &in);
    link_frame_free(&in);
}

size_t puppet_sync(puppet_t *p, message_type_t counted) {
    static uint64_t token;
    size_t count = 0;
    puppet_say(p, (message_t){.type = MESSAGE_SYNC, .SYNC = {.token = ++token}});
    for (bool synced = false; !synced;) {
        link_frame_t in;
        puppet_hear(p, &in);
        synced = in.message.type == MESSAGE_SYNCED && in.message.SYNCED.token == token;
        count += !synced && (counted == MESSAGE_NONE || in.message.type == counted);
        link_frame_free(&in);
    }
    return count;
}

/* ---- what messages hold */

bool slice_is(slice_t s, const char *text) {
    return s.len == strlen(text) && (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}

bool slice_has(slice_t s, const char *text) { return s.len && memmem(s.data, s.len, text, strlen(text)); }
