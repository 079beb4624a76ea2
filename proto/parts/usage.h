/* usage.h - what a finished row cost and why it failed: the `meta` bytes of a finished row. Written by
 * workers, read by clients, opaque to the scheduler. It travels with the result, so totals at the client are
 * exact, whatever is lost or repeated on the way. */
#ifndef SDG_PROTO_PARTS_USAGE_H
#define SDG_PROTO_PARTS_USAGE_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/row_types.h"

typedef struct usage {
    /* A failed row: the kind of its failure ("HTTP 400", "input", ...). Else the exit_code of its end block,
     * or "". */
    char reason[ROW_REASON_MAX];
    row_usage_t row;
} usage_t;

/* Appends to `out`. Of `reason` (NUL-terminated) at most ROW_REASON_MAX - 1 bytes are written. */
void usage_encode(const char *reason, const row_usage_t *row, buf_t *out);
/* Reads any bytes safely. A wrong shape is SDG_EPARSE and leaves zeros in *out. */
int usage_decode(const char *bytes, size_t len, usage_t *out, err_t *err);

#endif
