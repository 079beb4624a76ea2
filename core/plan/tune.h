/* tune.h - settings by the size of a dataset: the documented guideline of --auto-tune. Pure: facts in,
 * settings out, each with its reason.
 *
 *   rows              scheduling  max_pending  chunk  memory        cache  memory      gc
 *                                                     optimisation         monitoring  interval
 *   below 1,000       off         -            -      off           -      off         -
 *   1,000 to 10,000   on          100          50     on            500    off         -
 *   above 10,000      on          500          200    on            1000   on          100
 *
 * These numbers are then fitted to the run:
 *
 *   max_pending  at least TUNE_PENDING_PER_RUNNING times what runs at once, so that workers never wait for
 * the reader; but not more rows than there are, nor than PENDING_BYTES_DEFAULT holds (which never makes it
 * less than TUNE_PENDING_PER_RUNNING_MIN times what runs at once) chunk        20 to 50 % of max_pending
 *   cache        at least 5 % of the rows, within TUNE_CACHE_ROWS_MAX and TUNE_CACHE_BYTES_MAX
 *
 * A pipe, whose number of rows is unknown, gets the settings for large inputs: they are bounds, and cost a
 * small input nothing.
 */
#ifndef SDG_PLAN_TUNE_H
#define SDG_PLAN_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tune_facts {
    uint64_t rows;        /* 0: unknown */
    uint64_t row_bytes;   /* average; 0: unknown */
    uint64_t concurrency; /* requests in flight and rows that run code, at least 1 */
    uint64_t max_pending; /* given by the user: chunk is fitted to it; 0: to be chosen */
} tune_facts_t;

typedef enum tune_size { TUNE_SMALL, TUNE_MEDIUM, TUNE_LARGE, TUNE_UNKNOWN } tune_size_t;

/* Why a number is what it is. */
typedef enum tune_reason {
    TUNE_BY_TABLE,       /* as documented for this size */
    TUNE_BY_CONCURRENCY, /* fitted to what runs at once */
    TUNE_BY_ROWS,        /* fitted to the number of rows */
    TUNE_BY_BYTES,       /* fitted to what may be in memory */
    TUNE_BY_PENDING,     /* fitted to max_pending */
    TUNE_BY_USER,        /* given by the user */
} tune_reason_t;

typedef struct tune {
    tune_size_t size;
    bool scheduling;
    uint64_t max_pending, chunk; /* rows; 0 without scheduling */
    tune_reason_t max_pending_by, chunk_by;
    bool memory_optimization;
    uint64_t cache; /* contexts; 0 without memory optimisation */
    tune_reason_t cache_by;
    bool memory_monitoring;
    uint64_t gc_interval; /* rows; 0: not set */
} tune_t;

void tune_choose(const tune_facts_t *facts, tune_t *out);

#endif
