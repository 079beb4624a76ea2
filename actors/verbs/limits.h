/* limits.h - what bounds actors/verbs: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_VERBS_LIMITS_H
#define SDG_ACTORS_VERBS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* records of the input that are measured at most to choose the window */
#define WINDOW_SAMPLE_ROWS 100

/* bytes of the input that are read at most to choose the window: milliseconds at the start */
#define WINDOW_SAMPLE_BYTES ((size_t)4 << 20)

/* --max-cache-size, as documented */
#define CONTEXTS_CACHED_DEFAULT 500

/* --gc-interval, as documented */
#define GC_INTERVAL_DEFAULT 100

/* below it not even one batch of results fits everywhere; refused */
#define MEMORY_LIMIT_MIN ((uint64_t)16 << 20)

#endif
