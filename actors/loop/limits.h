/* limits.h - what bounds actors/loop: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_LOOP_LIMITS_H
#define SDG_ACTORS_LOOP_LIMITS_H

#include <stddef.h>

/* calls in one message to or from the store: an array of 16 KiB on the stack */
#define JOURNAL_BATCH_CALLS_MAX 256

/* finished rows in one message to the store */
#define STORE_BATCH_ROWS_MAX 16384

/* messages; credits keep queues far below, this is the safety net */
#define SOCKET_HWM 4096

/* contexts in one message to the store, beyond the last one */
#define CONTEXT_BATCH_BYTES ((size_t)1 << 20)

/* contexts in one message to the store */
#define CONTEXT_BATCH_MAX 256

/* series.json: 720 points of 38 numbers are about 300 KB */
#define METRICS_PAGE_BYTES_MAX ((size_t)1 << 20)

#endif
