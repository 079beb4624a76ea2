/* limits.h - what bounds actors/client: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_CLIENT_LIMITS_H
#define SDG_ACTORS_CLIENT_LIMITS_H

#include <stdint.h>

/* the monitor hears so often how far a run is: it draws as often */
#define CLIENT_STATS_NS (200 * UINT64_C(1000000))

/* records looked at per wake-up: while finished rows are passed over, messages are heard in between */
#define RECORDS_PER_WAKE 20000

/* results that cannot be used are logged at most so often: a worker that sends such may send thousands */
#define REFUSED_LOG_NS (10 * UINT64_C(1000000000))

/* bytes of a worker's name in a failed row, with its end; a longer one is cut */
#define WORKER_SHOWN_MAX 96

#endif
