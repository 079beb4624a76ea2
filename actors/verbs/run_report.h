/* run_report.h - what the page of --report says of the run beside its numbers: the command and the pipeline,
 * without secrets. */
#ifndef SDG_ACTORS_VERBS_RUN_REPORT_H
#define SDG_ACTORS_VERBS_RUN_REPORT_H

#include "actors/runtime/runtime.h"
#include "actors/verbs/options.h"
#include "core/mabel/pipeline/pipeline.h"

/* Fills the page, or leaves it empty when none is asked for. SDG_EMISMATCH: a file is at its place that is no
 * report. Freed with run_report_free, also after an error. */
int run_report_make(const run_options_t *o, const pipeline_t *p, const buf_t *yaml, report_page_t *page,
                    err_t *err);
void run_report_free(report_page_t *page);

#endif
