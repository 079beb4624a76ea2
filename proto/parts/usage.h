/* usage.h - what a finished row cost and why it failed: the `meta` bytes of a finished row. Written by
 * workers, read by clients, opaque to the scheduler. It travels with the result, so totals at the client are
 * exact, whatever is lost or repeated on the way. */
#ifndef SDG_PROTO_PARTS_USAGE_H
#define SDG_PROTO_PARTS_USAGE_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/mabel/row/row.h"

typedef struct usage {
    char reason[ROW_REASON_MAX]; /* failed rows: short class, "" when fine */
    row_usage_t row;
} usage_t;

void usage_encode(const row_result_t *result, buf_t *out);
int usage_decode(const char *bytes, size_t len, usage_t *out,
                 err_t *err); /* bounded; a wrong shape is SDG_EPARSE */

#endif
