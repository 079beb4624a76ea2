/* report_page.h - X.report.html (--report): the dashboard at its last moment, as one file that needs nothing
 * else: summary, charts of the whole run, failures, the command and the pipeline. The page is the dashboard's
 * own, with the numbers written into it, so that both show the same. */
#ifndef SDG_ACTORS_MONITOR_REPORT_PAGE_H
#define SDG_ACTORS_MONITOR_REPORT_PAGE_H

#include <stdint.h>

#include "actors/monitor/metrics.h"
#include "core/base/error.h"

/* What no actor knows. Borrowed; without secrets. */
typedef struct report_page {
    const char *path;     /* of the file; NULL: no report is wanted */
    const char *command;  /* as it was typed; NULL: not known */
    const char *pipeline; /* text of the pipeline */
} report_page_t;

/* The page. metrics have charts, and know the end of the run. */
void report_page_make(const report_page_t *page, const metrics_t *metrics, uint64_t now, buf_t *out);

/* Writes the page beside its place and puts it there when it is whole. SDG_EIO and a sentence. */
int report_page_write(const report_page_t *page, const metrics_t *metrics, uint64_t now, err_t *err);

#endif
