/* torment.h - for the fuzz targets fuzz_actor_*: bytes become a sequence of messages to a living actor.
 *
 * The bytes are a script. It says which message of the catalogue comes next and what stands in its fields:
 * small numbers, numbers at the ends of their range, numbers that the actor itself has said (its epoch, the
 * jobs, leases and batches it speaks of), texts that mean something to it and texts that do not. Now and then
 * a frame is broken, or is none. A script that has ended says zeros.
 */
#ifndef SDG_TESTS_FUZZ_TORMENT_H
#define SDG_TESTS_FUZZ_TORMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"
#include "tests/harness/actor_harness.h"

enum {
    TORMENT_HEARD_MAX = 32,
    TORMENT_LIST_MAX = 5,
    TORMENT_RECONNECTS_MAX = 8, /* of a script: libzmq closes sockets later, and has room for 1023 */
};

typedef struct torment {
    const uint8_t *at; /* what is left of the script */
    size_t len;
    uint64_t heard[TORMENT_HEARD_MAX]; /* numbers that the actor has said, the latest over the oldest */
    size_t heard_count;
    unsigned reconnects;
    const slice_t *texts; /* that mean something to this actor; borrowed */
    size_t text_count;
} torment_t;

uint8_t torment_byte(torment_t *t);

/* Says one frame to an actor of the role `to`, mostly one that the catalogue lets role `by` say
 * (ROLE_ANYBODY: any role). */
void torment_say(torment_t *t, puppet_t *p, uint64_t by, uint64_t to);

/* The puppet hangs up and connects anew, a bounded number of times for each script. */
void torment_reconnect(torment_t *t, puppet_t *p, const char *endpoint);

/* Hears what has been said to the puppet by now, and learns its numbers. Returns how many messages. */
size_t torment_hear(torment_t *t, puppet_t *p);

/* The actor that the puppet speaks to has handled everything the puppet has said. Makes room for its answer
 * first: nobody has heard the others. */
void torment_sync(torment_t *t, puppet_t *p);

/* Ends the process with a sentence, which the fuzzer reports as a finding. */
void torment_found(const char *what);

/* "inproc://torment-<word>-<n>", another one with each call for that `name` buffer. A name is free again only
 * a moment after its socket was closed. */
void torment_name(char *name, size_t size, const char *word);

#endif
