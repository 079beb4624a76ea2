/* actor_harness.h - for tests and benchmarks of actors: starts one, plays its peers, hears how it ends.
 *
 * A puppet is a peer of the actor that the test moves: a DEALER that connects as a client or worker does, or
 * a ROUTER or PULL that is bound as a scheduler, store or monitor is. Nothing here sleeps: each wait is for a
 * message and ends after HARNESS_WAIT_MS, with a sentence and abort(), for a message that has not come by
 * then never comes. To prove that something is NOT said, say SYNC and look at what came before SYNCED.
 */
#ifndef SDG_TESTS_HARNESS_ACTOR_HARNESS_H
#define SDG_TESTS_HARNESS_ACTOR_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/loop/actor.h"
#include "actors/loop/link.h"
#include "core/base/buf.h"

enum { HARNESS_WAIT_MS = 60000 }; /* generous: a loaded machine with sanitizers */

typedef struct puppet {
    zsock_t *socket;
    uint64_t epoch; /* of what it says */
    uint64_t peer;  /* ROUTER: to whom it speaks, which is who spoke last */
    bool router;
    buf_t scratch;
} puppet_t;

/* ---- the actor */

/* Starts an actor, in a process where ZeroMQ handles no signals and only errors are logged. What the actor
 * reads of `args` after it is ready has to live on. */
actor_thread_t *harness_start(zactor_fn *function, void *args);
/* Waits for "<word> <number>" on the pipe ("BOUND", "END") and returns the number. Any other word: abort. */
int harness_hear_word(actor_thread_t *actor, const char *word);
void harness_command(actor_thread_t *actor, const char *command);

/* ---- its peers */

void puppet_connect(puppet_t *p, const char *endpoint); /* as DEALER */
void puppet_push(puppet_t *p, const char *endpoint);    /* as PUSH */
/* type: ZMQ_ROUTER or ZMQ_PULL. In one process the name is free again only a moment after puppet_close: take
 * another. */
void puppet_bind(puppet_t *p, int type, const char *endpoint);
/* Connects, says HELLO, hears WELCOME and takes its epoch. */
void puppet_join(puppet_t *p, const char *endpoint, uint64_t role, uint64_t instance);
void puppet_close(puppet_t *p); /* does nothing when the puppet is all zero */

void puppet_say(puppet_t *p, message_t m); /* in its epoch; waits for room */
/* Waits for the next message. The frame is the caller's: link_frame_free. */
void puppet_hear(puppet_t *p, link_frame_t *in);
/* Like puppet_hear, but false after `wait_ms`, which may be 0. Nothing is to be freed then. */
bool puppet_hear_for(puppet_t *p, link_frame_t *in, int wait_ms);
/* Waits for the next message of that type and drops those before it. */
void puppet_await(puppet_t *p, message_type_t type, link_frame_t *in);
void puppet_pass(puppet_t *p, message_type_t type); /* like puppet_await, without giving the message */
/* Like puppet_await, but false after `wait_ms`. Nothing is to be freed then. */
bool puppet_await_for(puppet_t *p, message_type_t type, link_frame_t *in, int wait_ms);
/* What the actor was told before is handled now. Drops what it said meanwhile, and returns how many of these
 * were of type `counted` (MESSAGE_NONE: of any type). */
size_t puppet_sync(puppet_t *p, message_type_t counted);

/* ---- what messages hold */

bool slice_is(slice_t s, const char *text);
bool slice_has(slice_t s, const char *text);

#endif
