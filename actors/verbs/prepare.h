/* prepare.h - what happens before the first row: reading and checking the pipeline file, a look at the input,
 * naming what a run is. No actors here. */
#ifndef SDG_ACTORS_VERBS_PREPARE_H
#define SDG_ACTORS_VERBS_PREPARE_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/data/reader.h"
#include "core/mabel/pipeline/pipeline.h"
#include "proto/parts/job.h"

/* The whole file; SDG_ENOTFOUND, SDG_EIO, SDG_ELIMIT with a sentence. */
int prepare_read_file(const char *path, buf_t *out, err_t *err);

/* How a pipeline is loaded. */
typedef struct prepare_how {
    bool use_env; /* replace ${ENV.NAME} and check keys, for a process that uses them */
    bool hints;   /* show hints, too */
    bool strict;  /* warnings are errors */
} prepare_how_t;

/* Loads and shows all problems on stderr. NULL when it is not valid. */
pipeline_t *prepare_pipeline(const char *path, const buf_t *bytes, prepare_how_t how);

/* The same without showing: the problems go to `text`, *errors says how many are errors (may be NULL). */
pipeline_t *prepare_pipeline_quietly(const char *path, const buf_t *bytes, prepare_how_t how, buf_t *text,
                                     size_t *errors);

/* Identities for the resume check: of the pipeline (its bytes and those of the local Python files it names),
 * of the options that change results. */
void prepare_pipeline_identity(const pipeline_t *p, const buf_t *bytes, char out[64]);
void prepare_options_identity(const job_options_t *options, char out[64]);

/* The distinct endpoints that its models call; *count of them, the caller frees. */
uint64_t *prepare_endpoints(const pipeline_t *p, size_t *count);

/* Average size of the first rows of an input file; 0 when it has none, cannot be read, or is a pipe, which
 * can be read only once. */
uint64_t prepare_row_bytes(const char *path, const data_form_t *form);

/* Of the input, for the resume check: reader_identity, without opening what can be read only once. */
int prepare_input_identity(const char *path, const data_form_t *form, char *out, size_t out_size, err_t *err);

char *prepare_folder_of(const char *path); /* absolute folder of a file; the caller frees */

#endif
