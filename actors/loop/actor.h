/* actor.h - the loop every actor runs in: a thread with a zloop, one pipe to its parent, sockets,
 * descriptors and one timer.
 *
 * An actor is a thread that shares nothing and speaks messages. Its life: actor_spawn (handshake: it
 * returns when the actor has said that it is ready) -> handlers -> "$TERM" on the pipe, or actor_finish
 * from a handler -> its function returns. The parent learns of the end by the pipe: one string, "END <exit
 * code>".
 *
 * A wake-up handles what has arrived at a socket (at most LINK_DRAIN_MAX messages), then `after` runs once:
 * the place to flush batches. The one timer is re-armed from now after each wake-up with what `after`
 * returns, so ticks missed in a stall are not replayed in a burst.
 */
#ifndef SDG_ACTORS_LOOP_ACTOR_H
#define SDG_ACTORS_LOOP_ACTOR_H

#include <czmq.h>
#include <pthread.h>
#include <stdint.h>

#include "actors/loop/link.h"

typedef struct actor actor_t;

typedef struct actor_ops {
    /* Handles one message from `socket`; in->message is freed by the loop. */
    void (*on_message)(void *self, zsock_t *socket, link_frame_t *in, uint64_t now);
    /* A watched descriptor is readable. */
    void (*on_fd)(void *self, int fd, uint64_t now);
    /* A command from the parent other than "$TERM" (a string, see the actor's header). May be NULL. */
    void (*on_command)(void *self, const char *command, uint64_t now);
    /* After every wake-up: flush, and say when to be woken again (ns from now; UINT64_MAX: no need). */
    uint64_t (*after)(void *self, uint64_t now);
} actor_ops_t;

struct actor {
    const char *name; /* for the log */
    const actor_ops_t *ops;
    void *self;    /* the actor's own state */
    zsock_t *pipe; /* to the parent; borrowed */
    zloop_t *loop;
    int timer;          /* armed zloop timer, -1 none */
    uint64_t timer_due; /* when it fires, ns */
    uint64_t malformed; /* messages refused at the edge */
    uint64_t malformed_logged_ns;
    bool ended;     /* actor_finish was called */
    bool dismissed; /* $TERM has come */
    bool ready; /* the parent knows that this actor lives; nothing else may be written to the pipe before */
    int exit_code;
};

/* What the parent holds of an actor. Not a zactor: czmq does not join its threads, so the last one may still
 * be closing its pipe when the process ends, and zsys_shutdown then sleeps for 200 ms. */
typedef struct actor_thread {
    zsock_t *pipe;    /* the parent's end */
    zsock_t *far_end; /* the actor's end, which its thread closes */
    pthread_t thread;
    zactor_fn *function;
    void *args;
} actor_thread_t;

/* Starts an actor and returns when it has said that it is ready. What `args` points to has to live until
 * then; the actor's header says what it needs longer. Without a thread for it the process ends in words. */
actor_thread_t *actor_spawn(zactor_fn *function, void *args);
/* Says $TERM and waits until the thread is gone. NULL is fine. */
void actor_join(actor_thread_t **thread);

/* Words on a pipe, from the parent to an actor or back. Never waits: the other end may be gone, or end at
 * this moment. True: taken by the pipe, though perhaps never read. */
bool actor_tell(zsock_t *pipe, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The next words of the other end, which the caller frees; NULL when there are none. */
char *actor_hear(zsock_t *pipe);

void actor_init(actor_t *a, const char *name, const actor_ops_t *ops, void *self, zsock_t *pipe);
void actor_add_socket(actor_t *a, zsock_t *socket); /* its type tells whether it is a ROUTER */
void actor_remove_socket(actor_t *a, zsock_t *socket);
void actor_await_peer(actor_t *a, zsock_t *socket); /* `after` runs once more when it is connected */
void actor_add_fd(actor_t *a, int fd);
void actor_remove_fd(actor_t *a, int fd);
void actor_ready(actor_t *a); /* tells the parent that construction is over: actor_spawn returns there */
void actor_run(actor_t *a);   /* actor_ready if not yet done, then loops until $TERM or actor_finish */
void actor_finish(actor_t *a, int exit_code); /* ends the loop; the parent reads "END <code>" */
void actor_free(actor_t *a);

#endif
