/* options.h - what each verb can be told: one struct per family of verbs, filled from the table of flags
 * (flags.h), and what no row of that table can say: defaults, and rules between flags. */
#ifndef SDG_ACTORS_VERBS_OPTIONS_H
#define SDG_ACTORS_VERBS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actors/common_options.h"
#include "actors/verbs/flags.h"
#include "core/base/error.h"
#include "core/data/reader.h"
#include "core/plan/stop_rules.h"
#include "core/store/journal.h"
#include "proto/parts/job.h"

#define DEFAULT_ENDPOINT "tcp://127.0.0.1:5577"
#define DEFAULT_METRICS_URL "http://127.0.0.1:9464"

/* Folders that rows may name files in: --allow-files. Absolute, without links. */
typedef struct folders {
    char **items; /* owned */
    size_t count, cap;
} folders_t;

/* run, submit, test-run and doctor. Texts are borrowed from the command line or the service file. */
typedef struct run_options {
    common_options_t common;
    const char *yaml, *input, *output;
    data_form_t form;    /* of the input: --format, --delimiter */
    const char *connect; /* submit: the scheduler */
    job_options_t job;   /* owned: mapping */
    uint64_t max_inputs; /* UINT64_MAX: all */
    uint64_t max_concurrent;
    uint32_t
        requests_max; /* at a time, for which there are descriptors; no flag, found when the run begins */
    uint64_t max_pending, chunk_size; /* 0: automatic */
    stop_limits_t limits;             /* when the run ends by itself although rows are left */
    uint64_t priority;                /* 0: the default */
    uint64_t processes, workers;      /* worker processes (0: none, threads instead); worker threads */
    uint64_t python_workers;
    folders_t allowed; /* with the folders of pipeline and input; job.row.files borrows it */
    uint64_t row;      /* test-run */
    bool scheduling, adaptive, batch_mode;
    bool auto_tune; /* fills in what is not given: auto_tune.h */
    uint64_t min_batch, max_batch, target_latency_ms;
    bool memory_optimization;        /* rows that wait do so in the context store */
    uint64_t max_cache, gc_interval; /* contexts in memory there; rows. 0: not given */
    uint64_t memory_limit;           /* bytes; 0: none */
    const char *spill_dir;           /* NULL: beside the output */
    journal_fsync_t fsync;           /* how the call journal is synced */
    bool journal, no_journal;        /* neither: where a row can make more than one LLM call */
    bool ordered, overwrite, force_resume, retry_failed;
    bool strict;       /* warnings of pipeline and columns are errors */
    const char *split; /* --split of the original, which means nothing beside --input; NULL: not given */
    const char *metrics_listen; /* NULL: none */
    bool insecure;              /* --metrics-listen may take other than loopback addresses */
    uint64_t metrics_linger_s;  /* UINT64_MAX: not given */
    bool memory_monitoring;
    uint64_t memory_threshold_mb;
    bool no_network, json; /* doctor */
    bool report;           /* X.report.html at the end */
    bool no_progress, random_input, meta;
    uint64_t drain_s; /* how long a stop waits for rows in progress */
} run_options_t;

typedef struct serve_options {
    common_options_t common;
    const char *listen, *port_file; /* port_file NULL: none */
    const char *metrics_listen;     /* NULL: none */
    bool insecure;
} serve_options_t;

typedef struct worker_options {
    common_options_t common;
    const char *connect, *name; /* name NULL: made from host and process number */
    uint64_t drain_s, python_workers;
    uint64_t parent;   /* process number; 0: none */
    uint64_t instance; /* 0: random */
    bool allow_python;
    folders_t allowed;
} worker_options_t;

typedef struct status_options {
    common_options_t common;
    const char *connect;
    bool json;
} status_options_t;

typedef struct top_options {
    common_options_t common;
    const char *connect;
    uint64_t count; /* UINT64_MAX: until Ctrl-C */
} top_options_t;

typedef struct validate_options {
    common_options_t common; /* words: files */
    const char *yaml;        /* one more file; NULL: none */
    bool use_env;
    bool strict; /* warnings are errors */
} validate_options_t;

typedef struct config_options {
    common_options_t common;
    bool example;
    const char *check; /* a service file; NULL: none */
} config_options_t;

typedef enum init_template { TEMPLATE_QUESTIONS } init_template_t;

typedef struct init_options {
    common_options_t common; /* words: the folder */
    init_template_t template;
} init_options_t;

typedef struct help_options {
    common_options_t common; /* words: a verb */
    bool man;
} help_options_t;

void run_options_prepare(void *options);
void serve_options_prepare(void *options);
void worker_options_prepare(void *options);
void status_options_prepare(void *options);
void top_options_prepare(void *options);
void validate_options_prepare(void *options);
int run_options_check(verb_t verb, void *options, err_t *err);
int validate_options_check(verb_t verb, void *options, err_t *err);
int config_options_check(verb_t verb, void *options, err_t *err);
void run_options_release(void *options);
void worker_options_release(void *options);

/* Texts with a grammar of their own: the `read` and `check` of rows. */
int run_options_map(void *options, const char *text, err_t *err);            /* --mapping A:B */
int run_options_delimiter(void *options, const char *text, err_t *err);      /* --delimiter C */
int run_options_refuse_dataset(void *options, const char *text, err_t *err); /* --dataset, --subset */
int run_options_allow_files(void *options, const char *text, err_t *err);    /* --allow-files DIR */
int worker_options_allow_files(void *options, const char *text, err_t *err);
int endpoint_or_url_check(const char *text, err_t *err);
int url_check(const char *text, err_t *err);
int host_port_check(const char *text, err_t *err);

#endif
