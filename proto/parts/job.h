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
    bool late;      /* of these only the calls of rows that fail, written when they do */
    /* Rows that may have calls in the journal from an earlier run: [first_row, end_row). */
    uint64_t first_row, end_row;
    bool contexts; /* a row that waits for an LLM waits in the store */
    /* Batch mode: rows stop before a block (row.stop_before) and wait in the store. A row that comes without
     * bytes is fetched from there. */
    bool batch;
} job_store_t;

typedef struct job_options {
    row_options_t row; /* owns its mapping */
    bool http2;        /* ask LLM servers for HTTP/2 */
    job_store_t store;
    /* --gc-interval: a worker does its housekeeping after so many finished rows; 0: never. Changes no result.
     */
    uint64_t gc_rows;
    /* --memory-limit: what one worker may account for; 0: no limit. Changes no result. */
    uint64_t memory_bytes;
} job_options_t;

void job_options_init(job_options_t *o); /* the defaults of `sdg run` */
void job_options_free(job_options_t *o);
void job_options_map(job_options_t *o, const char *from, const char *to); /* adds one --mapping */
/* Appends them as the JSON object that JOB_OPEN carries, for job_options_decode. */
void job_options_encode(const job_options_t *o, buf_t *out);
/* Initialises *o and reads the object into it; SDG_EPARSE when the bytes are none. *o is freed by the caller
 * in any case. */
int job_options_decode(const char *json, size_t len, job_options_t *o, err_t *err);

#endif
