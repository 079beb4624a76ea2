/* result_line.h - a line of an output: a JSON object with the row's number, and with `_error` when it failed.
 *
 *   {"_row_index": 12, "title": "..."}
 *   {"_row_index": 13, "_error": "summary: no answer"}
 *
 * A row that has run writes its line from its values (core/mabel/row). Rows that never ran, or of which
 * nothing came back, fail with result_line_fail. */
#ifndef SDG_BASE_RESULT_LINE_H
#define SDG_BASE_RESULT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

#define RESULT_LINE_ROW "_row_index"
#define RESULT_LINE_ERROR "_error"

typedef struct result_line {
    uint64_t row;
    bool failed; /* it has RESULT_LINE_ERROR */
} result_line_t;

/* Appends the line of a row that has failed, without a newline. `why` is for people; any text. */
void result_line_fail(buf_t *out, uint64_t row, const char *why);
/* Reads one line, all of it: it is one JSON object of valid UTF-8. 0, or SDG_EINVAL with what is wrong with
 * it.
 */
int result_line_read(const char *json, size_t len, result_line_t *out, err_t *err);

/* Is this what a worker may send as the result of this row? One JSON object on one line, whose first member,
 * and no other, is the row's number; a row that has `failed` has a member RESULT_LINE_ERROR. 0, or SDG_EINVAL
 * with what is wrong with it. Bytes of others may be anything. */
int result_line_check(const char *json, size_t len, uint64_t row, bool failed, err_t *err);

#endif
