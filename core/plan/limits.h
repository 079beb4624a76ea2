/* limits.h - what bounds core/plan: each limit with its reason, and what "full" does. */
#ifndef SDG_PLAN_LIMITS_H
#define SDG_PLAN_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* rows of a chunk, as documented */
#define CHUNK_ROWS_DEFAULT 100

/* rows of a chunk at most: half the elements that a message may have; a larger wish is cut */
#define CHUNK_ROWS_MAX 32768

/* bytes of a chunk: one with large rows closes early, so that messages stay small */
#define CHUNK_BYTES_MAX ((size_t)4 << 20)

/* queued or leased rows per job, as documented */
#define PENDING_ROWS_DEFAULT 1000

/* bytes of pending rows and their results: 32 KiB for each row and for each result */
#define PENDING_BYTES_DEFAULT ((size_t)64 << 20)

/* bytes of an automatic window for large rows at most: 512 rows of 1 MiB and results like them */
#define PENDING_BYTES_MAX ((size_t)1 << 30)

/* --auto-tune: datasets from here on are medium, as documented */
#define TUNE_MEDIUM_ROWS 1000

/* --auto-tune: datasets above this are large, as documented */
#define TUNE_LARGE_ROWS 10000

/* pending rows for each row that runs: documented are 5 to 10; the larger number costs only bounded memory */
#define TUNE_PENDING_PER_RUNNING 10

/* pending rows for each row that runs, when rows are large: the smaller of the documented numbers */
#define TUNE_PENDING_PER_RUNNING_MIN 5

/* contexts in memory at most, when --auto-tune chooses: ten times the documented number for large datasets */
#define TUNE_CACHE_ROWS_MAX 10000

/* bytes of input rows whose contexts --auto-tune keeps in memory: as much as pending rows may hold */
#define TUNE_CACHE_BYTES_MAX ((uint64_t)64 << 20)

/* --max-failure-rate: finished rows before a rate means something, as documented */
#define FAILURE_RATE_ROWS 100

/* --give-up-after: a server that is closed for longer than a day needs a person, as documented */
#define GIVE_UP_MS_DEFAULT (UINT64_C(24) * 3600 * 1000)

#endif
