/* doctor_internal.h - what the checks of `sdg doctor` share: what is known so far, and how a finding is said.
 *
 * A check is a function in the table of doctor.c. It looks at what earlier checks have found out (a pipeline
 * that did not load is NULL: then it says nothing or less), and says one line for each thing it looked at.
 * Checks never stop each other. */
#ifndef SDG_ACTORS_DOCTOR_DOCTOR_INTERNAL_H
#define SDG_ACTORS_DOCTOR_DOCTOR_INTERNAL_H

#include "actors/verbs/columns.h"
#include "actors/verbs/options.h"
#include "core/data/survey.h"
#include "core/mabel/pipeline/pipeline.h"

typedef enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL } doctor_level_t;

typedef struct doctor_finding {
    doctor_level_t level;
    char *what, *text;      /* owned */
    char *advice, *details; /* owned; NULL: none. details: several lines, as they are */
} doctor_finding_t;

typedef struct doctor {
    run_options_t *options;
    /* Found out by the checks. */
    buf_t yaml;
    pipeline_t *pipeline;   /* NULL: not valid */
    pipeline_t *as_written; /* the pipeline with ${ENV.NAME} not replaced; NULL: not valid */
    survey_t survey;
    bool surveyed;      /* the input could be looked at (a pipe cannot) */
    columns_t *columns; /* what the sample has of the names the pipeline mentions; NULL: not looked at */
    char *first_row;    /* JSON of the first record that is a row; owned; NULL: none */
    uint64_t first_index, first_line;
    /* Said so far. */
    doctor_finding_t *findings;
    size_t count, cap;
    int exit_code;    /* what the first failure means; EXIT_ALL_FINE: none */
    int failure_code; /* what a failure of the running check means */
} doctor_t;

/* Adds a finding. Keys of the pipeline's models are hidden, whatever text they come in with. */
void doctor_say(doctor_t *d, doctor_level_t level, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Adds to the last finding what to do about it. */
void doctor_advise(doctor_t *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds to the last finding several lines, shown as they are. */
void doctor_details(doctor_t *d, const char *text);

/* doctor_pipeline.c */
void doctor_check_pipeline(doctor_t *d);
void doctor_check_files(doctor_t *d);
void doctor_check_keys(doctor_t *d);
void doctor_check_python(doctor_t *d);
/* doctor_data.c */
void doctor_check_input(doctor_t *d);
void doctor_check_columns(doctor_t *d);
void doctor_check_output(doctor_t *d);
void doctor_check_first_row(doctor_t *d);
/* doctor_net.c */
void doctor_check_endpoints(doctor_t *d);
/* doctor_machine.c */
void doctor_check_descriptors(doctor_t *d);
void doctor_check_memory(doctor_t *d);

/* The pipeline, also when only environment variables are missing; NULL: it is not valid. */
const pipeline_t *doctor_structure(const doctor_t *d);
/* --max-concurrent, at most DOCTOR_CONCURRENCY_MAX, so that estimates stay numbers. */
uint64_t doctor_concurrency(const doctor_t *d);
/* Rows of the run: those of the input, at most --max-inputs; 0: not known. */
uint64_t doctor_rows(const doctor_t *d);
/* Estimate of the bytes of one output line. */
uint64_t doctor_result_bytes(const doctor_t *d);

#endif
