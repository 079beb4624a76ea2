/* job.h - the options of a job that change what its rows do: one JSON object in JOB_OPEN and JOB_SPEC.
 * Unknown keys are ignored. */
#ifndef SDG_PROTO_PARTS_JOB_H
#define SDG_PROTO_PARTS_JOB_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/row_types.h"

/* What the context store (actors/store/context_store.h) keeps for the job. Changes no result. */
typedef struct job_store {
    char *endpoint; /* owned; NULL: nothing is kept */
    bool calls;     /* finished LLM calls: the call journal */
    uint64_t first_row,
        end_row;   /* rows that may have calls in it from an earlier run: [first_row, end_row) */
    bool contexts; /* a row that waits for an LLM waits there */
    bool batch;    /* rows stop before a block (row.stop_before) and wait there; rows without bytes come from
                      there */
} job_store_t;

typedef struct job_options {
    row_options_t row; /* owns its mapping */
    bool http2;        /* ask LLM servers for HTTP/2 */
    job_store_t store;
    uint64_t gc_rows; /* --gc-interval: a worker does its housekeeping after so many finished rows; 0: never.
                         Changes no result */
    uint64_t
        memory_bytes; /* what one worker may account for (--memory-limit); 0: no limit. Changes no result */
} job_options_t;

void job_options_init(job_options_t *o); /* the defaults of `sdg run` */
void job_options_free(job_options_t *o);
void job_options_map(job_options_t *o, const char *from, const char *to); /* adds one --mapping */
void job_options_encode(const job_options_t *o, buf_t *out);
int job_options_decode(const char *json, size_t len, job_options_t *o,
                       err_t *err); /* o is initialised here; free it in any case */

#endif
