/* actor.c - see actor.h. */
#include "actors/loop/actor.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "actors/loop/limits.h"
#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/handover.h"
#include "core/base/log.h"

/* ---- words on pipes */

/* czmq's zstr_send would wait for a peer when there is none: for ever, when the actor has just ended. */
bool actor_tell(zsock_t *pipe, const char *format, ...) {
    char words[COMMAND_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < sizeof words);
    return zmq_send(zsock_resolve(pipe), words, (size_t)len, ZMQ_DONTWAIT) >= 0;
}

char *actor_hear(zsock_t *pipe) {
    char words[COMMAND_BYTES_MAX];
    int len = zmq_recv(zsock_resolve(pipe), words, sizeof words, ZMQ_DONTWAIT);
    return len < 0 ? NULL : xstrndup(words, (size_t)len < sizeof words ? (size_t)len : sizeof words);
}

/* ---- the loop */

static int on_timer(zloop_t *loop, int timer_id, void *arg);

/* After each wake-up: lets the actor flush what it gathered, and arms the one timer for when it wants to be
 * woken, unless the timer fires earlier already: an early wake-up is harmless, a late one is not. */
static void flush_and_arm(actor_t *a, uint64_t now) {
    if (a->ended) return;
    uint64_t wait = a->ops->after(a->self, now), due = now + wait;
    if (wait == UINT64_MAX || (a->timer >= 0 && a->timer_due <= due)) return;
    if (a->timer >= 0) zloop_timer_end(a->loop, a->timer);
    a->timer_due = due;
    a->timer = zloop_timer(a->loop, (size_t)((wait + MILLISECOND - 1) / MILLISECOND), 1, on_timer, a);
}

static int on_timer(zloop_t *loop, int timer_id, void *arg) {
    actor_t *a = arg;
    (void)loop, (void)timer_id;
    a->timer = -1;
    flush_and_arm(a, clock_now_ns());
    return a->ended ? -1 : 0;
}

static void refuse_malformed(actor_t *a, zsock_t *socket, uint64_t peer, const err_t *why, uint64_t now) {
    a->malformed++;
    if (log_due(&a->malformed_logged_ns, now, 10 * SECOND))
        log_warn(a->name, "a malformed message was dropped (%" PRIu64 " so far): %s", a->malformed,
                 why->text);
    if (!peer) return;
    buf_t scratch;
    buf_init(&scratch, 4096);
    message_t m = {.type = MESSAGE_REFUSED, .REFUSED = {.reason = slice_of(why->text)}};
    link_send(socket, peer, &m, &scratch);
    buf_free(&scratch);
}

/* Handles what has arrived at a socket, at most LINK_DRAIN_MAX messages, so that other sockets have their
 * turn. A malformed message is counted and refused; it ends nothing. */
static int on_socket(zloop_t *loop, zsock_t *socket, void *arg) {
    actor_t *a = arg;
    bool router = zsock_type(socket) == ZMQ_ROUTER;
    uint64_t now = clock_now_ns();
    (void)loop;
    for (int i = 0; i < LINK_DRAIN_MAX && !a->ended; i++) {
        link_frame_t in;
        err_t why;
        link_status_t status = router ? link_recv_routed(socket, &in, &why) : link_recv(socket, &in, &why);
        if (status == LINK_EMPTY) break;
        if (status == LINK_MALFORMED) {
            refuse_malformed(a, socket, in.peer, &why, now);
            continue;
        }
        a->ops->on_message(a->self, socket, &in, now);
        link_frame_free(&in);
    }
    flush_and_arm(a, now);
    return a->ended ? -1 : 0;
}

static int on_descriptor(zloop_t *loop, zmq_pollitem_t *item, void *arg) {
    actor_t *a = arg;
    uint64_t now = clock_now_ns();
    (void)loop;
    a->ops->on_fd(a->self, item->fd, now);
    flush_and_arm(a, now);
    return a->ended ? -1 : 0;
}

static int on_pipe(zloop_t *loop, zsock_t *pipe, void *arg) {
    actor_t *a = arg;
    (void)loop;
    char *command = actor_hear(pipe);
    if (!command) return 0;
    bool term = streq(command, "$TERM");
    uint64_t now = clock_now_ns();
    if (!term && a->ops->on_command) a->ops->on_command(a->self, command, now);
    free(command);
    if (!term) flush_and_arm(a, now);
    a->dismissed = term;
    return term || a->ended ? -1 : 0;
}

/* An address with which the thread sanitizer is told that the start of an actor is a handover. */
static char handover;

static void *thread_main(void *arg) {
    actor_thread_t *t = arg;
    t->function(t->far_end, t->args);
    zsock_destroy(&t->far_end);
    return NULL;
}

actor_thread_t *actor_spawn(zactor_fn *function, void *args) {
    actor_thread_t *t = xcalloc(1, sizeof *t);
    t->function = function;
    t->args = args;
    t->pipe = zsys_create_pipe(&t->far_end);
    int rc = pthread_create(&t->thread, NULL, thread_main, t);
    if (rc != 0) ending_short_of("no thread", rc);
    while (zsock_wait(t->pipe) < 0 && errno == EINTR) {
    }
    HANDOVER_ACQUIRE(&handover);
    return t;
}

/* An actor that has ended takes no $TERM, and one that is busy with a full pipe not yet. */
static void end_thread(actor_thread_t *t) {
    while (!actor_tell(t->pipe, "$TERM")) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)TERM_AGAIN_NS;
        until.tv_sec += until.tv_nsec / (long)SECOND;
        until.tv_nsec %= (long)SECOND;
        if (pthread_timedjoin_np(t->thread, NULL, &until) == 0) return;
    }
    pthread_join(t->thread, NULL);
}

void actor_join(actor_thread_t **thread) {
    actor_thread_t *t = *thread;
    if (!t) return;
    *thread = NULL;
    end_thread(t);
    zsock_destroy(&t->pipe);
    free(t);
}

void actor_init(actor_t *a, const char *name, const actor_ops_t *ops, void *self, zsock_t *pipe) {
    memset(a, 0, sizeof *a);
    a->name = name;
    a->ops = ops;
    a->self = self;
    a->pipe = pipe;
    a->timer = -1;
    a->loop = zloop_new();
    if (!a->loop) ending_short("no memory for an actor");
    zloop_set_nonstop(a->loop, true); /* signals are handled by the runtime, in main's thread */
    zloop_reader(a->loop, pipe, on_pipe, a);
}

void actor_add_socket(actor_t *a, zsock_t *socket) { zloop_reader(a->loop, socket, on_socket, a); }

void actor_remove_socket(actor_t *a, zsock_t *socket) { zloop_reader_end(a->loop, socket); }

static int on_connected(zloop_t *loop, zmq_pollitem_t *item, void *arg) {
    actor_t *a = arg;
    zloop_poller_end(loop, item);
    flush_and_arm(a, clock_now_ns());
    return a->ended ? -1 : 0;
}

void actor_await_peer(actor_t *a, zsock_t *socket) {
    zmq_pollitem_t item = {.socket = zsock_resolve(socket), .events = ZMQ_POLLOUT};
    zloop_poller(a->loop, &item, on_connected, a);
}

void actor_add_fd(actor_t *a, int fd) {
    zmq_pollitem_t item = {.fd = fd, .events = ZMQ_POLLIN};
    zloop_poller(a->loop, &item, on_descriptor, a);
}

void actor_remove_fd(actor_t *a, int fd) {
    zmq_pollitem_t item = {.fd = fd, .events = ZMQ_POLLIN};
    zloop_poller_end(a->loop, &item);
}

void actor_ready(actor_t *a) {
    if (a->ready) return;
    a->ready = true;
    HANDOVER_RELEASE(&handover);
    zsock_signal(a->pipe, 0);
    if (a->ended) actor_tell(a->pipe, "END %d", a->exit_code);
}

void actor_run(actor_t *a) {
    actor_ready(a);
    flush_and_arm(a, clock_now_ns());
    if (!a->ended) zloop_start(a->loop);
    if (a->ended || a->dismissed) return;
    log_error(a->name, "its loop has ended: %s", zmq_strerror(errno)); /* no memory to poll with */
    actor_finish(a, EXIT_RUNTIME);
}

void actor_finish(actor_t *a, int exit_code) {
    if (a->ended) return;
    a->ended = true;
    a->exit_code = exit_code;
    if (a->ready) actor_tell(a->pipe, "END %d", exit_code);
}

void actor_free(actor_t *a) { zloop_destroy(&a->loop); }
