/* limits.h - what bounds actors/loop: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_LOOP_LIMITS_H
#define SDG_ACTORS_LOOP_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "core/sched/limits.h"

/* HELLO is said again so soon at first: the scheduler of the same process is there within a moment */
#define HELLO_WAIT_MIN_NS (200 * UINT64_C(1000000))

/* HELLO is said again so late at last: a fleet that waits for its scheduler costs it nothing when it comes */
#define HELLO_WAIT_MAX_NS (5 * UINT64_C(1000000000))

/* an actor that has no WELCOME looks so often whether HELLO is due, or can be handed over by now */
#define HELLO_LOOK_NS (50 * UINT64_C(1000000))

/* no word from the scheduler for so long: HELLO is said again, and the log says so */
#define SILENCE_NS (BEATS_MISSED_MAX * BEAT_NS)

/* bytes of one command on a pipe: a word and a reason */
#define COMMAND_BYTES_MAX 512

/* ns; an actor whose pipe is full when it is to end is told again so soon */
#define TERM_AGAIN_NS (10 * UINT64_C(1000000))

/* calls in one message to or from the store: an array of 16 KiB on the stack */
#define JOURNAL_BATCH_CALLS_MAX 256

/* finished rows in one message to the store */
#define STORE_BATCH_ROWS_MAX 16384

/* messages; credits keep queues far below, this is the safety net */
#define SOCKET_HWM 4096

/* ms; an actor that ends waits so long until its last words to the scheduler or the store have left */
#define LINGER_MS 500

/* ms; the scheduler waits less: its peers need nothing of its last words, and the end of a run is short */
#define SCHEDULER_LINGER_MS 200

/* ms; a peer that connects and does not finish the ZMTP handshake is dropped after so long */
#define HANDSHAKE_MS_MAX 5000

/* ms; a lost connection is tried again so soon at first: a restarted scheduler is found at once */
#define RECONNECT_MS_MIN 100

/* ms; a lost connection is tried again so late at last, as HELLO is */
#define RECONNECT_MS_MAX 5000

/* connections the kernel keeps until libzmq accepts them: a fleet of workers may come all at once */
#define LINK_BACKLOG 1024

/* contexts in one message to the store, beyond the last one */
#define CONTEXT_BATCH_BYTES ((size_t)1 << 20)

/* contexts in one message to the store */
#define CONTEXT_BATCH_MAX 256

/* series.json: 720 points of 36 columns and a time each are about 300 KB */
#define METRICS_PAGE_BYTES_MAX ((size_t)1 << 20)

/* messages handled per wake-up of one socket: measured 0.2-0.6 us each against 1.3+ for one per poll */
#define LINK_DRAIN_MAX 256

#endif
