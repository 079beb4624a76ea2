/* greeting.h - how a client or a worker stands with the scheduler: HELLO until WELCOME, silence, the epoch.
 * Pure: time and messages come in, "say HELLO now?" comes out; the actor says it.
 *
 * HELLO is due at once, then with a back-off that doubles from HELLO_WAIT_MIN_NS to HELLO_WAIT_MAX_NS, until
 * WELCOME comes. It is due again when the scheduler says that it does not know this peer (WELCOME with known
 * 0), and when it has been silent for BEATS_MISSED_MAX beats: then once more at once, and every
 * HELLO_WAIT_MAX_NS until WELCOME.
 */
#ifndef SDG_ACTORS_LOOP_GREETING_H
#define SDG_ACTORS_LOOP_GREETING_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/message.h"

typedef struct greeting {
    uint64_t epoch;    /* of the scheduler that was heard last; 0 before the first WELCOME */
    bool welcome;      /* the scheduler knows this peer, as far as this peer knows: no HELLO is due */
    bool silent;       /* nothing was heard for too long; ends with the next message */
    uint64_t said_ns;  /* when HELLO was said last */
    uint64_t wait_ns;  /* from that to the next HELLO; 0: at once */
    uint64_t heard_ns; /* when a message came last, or the start */
} greeting_t;

typedef enum greeting_news {
    GREETING_UNKNOWN, /* it does not know this peer: HELLO is due, nothing else may be said to it yet */
    GREETING_WELCOME, /* by the same scheduler as before, or by the first one */
    /* Another epoch: the scheduler has restarted, and what it knew of this peer is gone. `welcome` says
     * whether it knows this peer again. */
    GREETING_RESTARTED,
} greeting_news_t;

void greeting_init(greeting_t *g, uint64_t now);

/* Any message of the scheduler ends its silence. True: the message is to be handled, because it is of this
 * epoch, or is WELCOME or REFUSED. */
bool greeting_hear(greeting_t *g, const message_t *m, uint64_t now);
/* `m` is a WELCOME. Takes over its epoch. */
greeting_news_t greeting_take(greeting_t *g, const message_t *m);

/* Called at each wake-up, before greeting_is_due. True once for each silence: the actor may log it. */
bool greeting_falls_silent(greeting_t *g, uint64_t now);
bool greeting_is_due(const greeting_t *g, uint64_t now); /* say HELLO now, then call greeting_said */
/* HELLO has been handed over. Not called when it could not be: then it stays due. */
void greeting_said(greeting_t *g, uint64_t now);

#endif
