/* run_store.h - what the context store is to keep for a run, from its options: the call journal beside the
 * output, contexts of rows that wait, the passes of batch mode. */
#ifndef SDG_ACTORS_VERBS_RUN_STORE_H
#define SDG_ACTORS_VERBS_RUN_STORE_H

#include "actors/runtime/runtime.h"
#include "actors/verbs/options.h"
#include "core/mabel/pipeline/pipeline.h"

typedef struct run_store {
    contexts_options_t contexts;
    char *spill_path;
    uint32_t *stops;
} run_store_t;

/* Before the output is touched: a run whose journal is refused changes nothing. SDG_OK, or a sentence. */
int run_store_check(const run_options_t *o, const pipeline_t *p, err_t *err);

/* After the output is open. Fills what `run`, the client's arguments and the job's options need; `store` must
 * outlive the run. On failure everything is as before and err says what to do. */
int run_store_open(run_store_t *store, run_options_t *o, const pipeline_t *p, client_args_t *c,
                   local_run_t *run, err_t *err);
void run_store_free(run_store_t *store);

#endif
