/* options.h - the flags of `sdg run`, `sdg submit`, `sdg test-run` and `sdg doctor`: one table says how each
 * is written, what it takes, and what --help says of it in English and Japanese; parsing, help and the "no
 * effect yet" notes are made from it. */
#ifndef SDG_ACTORS_VERBS_OPTIONS_H
#define SDG_ACTORS_VERBS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/store/journal.h"
#include "proto/parts/job.h"

typedef enum verb {
    VERB_RUN = 1,
    VERB_SUBMIT = 2,
    VERB_TEST_RUN = 4,
    VERB_DOCTOR = 8
} verb_t; /* doctor takes the flags of run, too */

typedef struct run_options {
    const char *yaml, *input, *output; /* borrowed from argv */
    const char *connect;               /* submit: the scheduler */
    job_options_t job;                 /* owned: mapping */
    uint64_t max_inputs;               /* UINT64_MAX: all */
    uint64_t max_concurrent;
    uint64_t max_pending, chunk_size; /* 0: automatic */
    uint64_t priority;                /* 0: the default */
    uint64_t processes, workers;      /* worker processes (0: none, threads instead); worker threads */
    uint64_t python_workers;
    uint64_t row; /* test-run */
    bool scheduling, adaptive, batch_mode;
    bool auto_tune; /* fills in what is not given: auto_tune.h */
    uint64_t min_batch, max_batch, target_latency_ms;
    bool memory_optimization;        /* rows that wait do so in the context store */
    uint64_t max_cache, gc_interval; /* contexts in memory there; rows. 0: not given */
    uint64_t memory_limit;           /* bytes; 0: none */
    const char *spill_dir;           /* NULL: beside the output */
    journal_fsync_t fsync;           /* of the call journal */
    bool journal, no_journal;        /* neither: where a row can make more than one LLM call */
    bool ordered, overwrite, force_resume, retry_failed;
    const char *metrics_listen; /* NULL: none */
    bool insecure;              /* ... not only on loopback */
    bool memory_monitoring;
    uint64_t memory_threshold_mb;
    bool no_network, json; /* doctor */
    bool no_progress, quiet, verbose, random_input, meta, japanese;
    bool help;
} run_options_t;

/* 0, or SDG_EINVAL with a sentence (usage). Prints nothing except notes about flags without effect. */
int options_parse(verb_t verb, int argc, char **argv, run_options_t *o, err_t *err);
void options_free(run_options_t *o);
void options_help(verb_t verb, bool japanese);     /* to stdout */
bool options_want_japanese(int argc, char **argv); /* --help.ja or --ui-locale ja / LANG=ja for help */

#endif
