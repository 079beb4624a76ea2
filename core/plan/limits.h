/* limits.h - what bounds core/plan: each limit with its reason, and what "full" does. */
#ifndef SDG_PLAN_LIMITS_H
#define SDG_PLAN_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* as documented */
#define CHUNK_ROWS_DEFAULT 100

/* half of what a message may have elements; a larger wish is cut */
#define CHUNK_ROWS_MAX 32768

/* a chunk closes early when its rows are large */
#define CHUNK_BYTES_MAX ((size_t)4 << 20)

/* queued or leased rows per job, as documented */
#define PENDING_ROWS_DEFAULT 1000

/* their raw bytes and results: 32 KiB for each of them and of its result */
#define PENDING_BYTES_DEFAULT ((size_t)64 << 20)

/* an automatic window for large rows ends here: 512 rows of 1 MiB and results like them */
#define PENDING_BYTES_MAX ((size_t)1 << 30)

/* --auto-tune: datasets from here on are medium, as documented */
#define TUNE_MEDIUM_ROWS 1000

/* --auto-tune: datasets above this are large, as documented */
#define TUNE_LARGE_ROWS 10000

/* pending rows for each that runs: documented are 5 to 10; more ahead costs only bounded memory */
#define TUNE_PENDING_PER_RUNNING 10

/* pending rows for each that runs when rows are large */
#define TUNE_PENDING_PER_RUNNING_MIN 5

/* contexts in memory that are chosen by themselves */
#define TUNE_CACHE_ROWS_MAX 10000

/* bytes of input rows whose contexts are kept in memory by themselves: as much as pending rows may hold */
#define TUNE_CACHE_BYTES_MAX ((uint64_t)64 << 20)

#endif
