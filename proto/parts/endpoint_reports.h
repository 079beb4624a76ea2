/* endpoint_reports.h - what ENDPOINT_REPORT carries: how the endpoints of a job fare, one report each. */
#ifndef SDG_PROTO_PARTS_ENDPOINT_REPORTS_H
#define SDG_PROTO_PARTS_ENDPOINT_REPORTS_H

#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/endpoint_report.h"
#include "core/base/error.h"
#include "proto/parts/limits.h"

/* Appends the list; of more than ENDPOINT_REPORTS_MAX reports the first ones. It fails only by out's maximum
 * (out->full). */
void endpoint_reports_encode(const endpoint_report_t *reports, size_t count, buf_t *out);

/* Reads a list; *reports is the caller's (free), NULL when it is empty. Texts are made a line of
 * text (utf8_copy_line) and cut when they are too long. SDG_EPARSE and a reason in words for anything else
 * that is no such list, or a longer one. */
int endpoint_reports_decode(const char *bytes, size_t len, endpoint_report_t **reports, size_t *count,
                            err_t *err);

#endif
