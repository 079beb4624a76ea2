/* row_types.h - what is told about rows: how a job wants them run, and what a finished one has cost. Plain
 * structs, for the row machine (core/mabel/row) as well as for the messages (proto/parts). */
#ifndef SDG_BASE_ROW_TYPES_H
#define SDG_BASE_ROW_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/llm_cause.h"
#include "core/base/row_notes.h"

/* Which files a row may name, as its pictures. It is told by the process that runs the rows and by nobody
 * else: no message has it. */
typedef struct row_files {
    const char *const *folders; /* without links; borrowed. Below these, files may be named */
    size_t folder_count;
    bool own_pipeline; /* the pipeline is of the user who started this process, so files that it names itself
                          need no permission */
} row_files_t;

typedef struct row_options { /* of a job; must outlive its rows */
    bool save_intermediate;
    bool retry_on_empty; /* false: --no-retry-on-empty */
    bool seeded;
    uint64_t seed; /* --seed; otherwise each row gets entropy */
    bool trace;    /* keep what each block did, as `_trace` in the result (test-run) */
    /* Batch mode: a row that comes to this block stops before it, and before its run_if: it wants
     * ROW_STOPPED. An index into pipeline->blocks (see pipeline_stops). 0 stands for never: nothing precedes
     * block 0. */
    uint32_t stop_before;
    /* --mapping from:to renames input columns. */
    struct {
        char *from, *to;
    } * mapping;
    size_t mapping_count;
    row_files_t files;
} row_options_t;

enum {
    ROW_LATENCIES_MAX = 64, /* latencies kept of one row, so that its usage record stays small */
    ROW_REASON_MAX = 48,    /* bytes of a failure class, NUL included */
};
typedef struct row_usage {
    uint32_t calls, requests; /* LLM calls, and HTTP requests they took */
    uint64_t prompt_tokens, completion_tokens;
    uint32_t retries[LLM_CAUSES];
    uint32_t cut_short; /* answers with finish_reason length or content_filter */
    uint32_t latency_count;
    uint32_t latency_us[ROW_LATENCIES_MAX];
    row_notes_t notes;
} row_usage_t;

/* Nothing used. Latencies and notes behind their counts are left as they are. */
static inline void row_usage_clear(row_usage_t *usage) {
    memset(usage, 0, offsetof(row_usage_t, latency_us));
    usage->notes.count = 0;
}

#endif
