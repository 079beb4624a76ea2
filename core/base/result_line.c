/* result_line.c - see result_line.h.
 *
 * A line that begins with {"_row_index": 12, ends in } and has neither "_error" nor a NUL byte in it was
 * written by us and is not parsed. Every other line is. (Pages that a power loss left empty are full of NUL
 * bytes.) */
#include "core/base/result_line.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/json.h"

static const char ROW_PREFIX[] = "{\"" RESULT_LINE_ROW "\": ";
static const char ERROR_KEY[] = "\"" RESULT_LINE_ERROR "\"";
/* digits of a row number that surely fits 64 bits; a line with more is no result of ours */
enum { ROW_PREFIX_LEN = sizeof ROW_PREFIX - 1, ROW_DIGITS_MAX = 18 };

void result_line_fail(buf_t *out, uint64_t row, const char *why) {
    buf_addf(out, "%s%" PRIu64 ", %s: ", ROW_PREFIX, row, ERROR_KEY);
    json_write_string(out, why, strlen(why));
    buf_addc(out, '}');
}

/* The row of a line in our own format without `_error`; false: it has to be parsed. */
static bool read_quickly(const char *json, size_t len, uint64_t *row) {
    if (len < ROW_PREFIX_LEN + 2 || memcmp(json, ROW_PREFIX, ROW_PREFIX_LEN) != 0 || json[len - 1] != '}')
        return false;
    size_t at = ROW_PREFIX_LEN;
    uint64_t n = 0;
    for (; at < len && json[at] >= '0' && json[at] <= '9' && at - ROW_PREFIX_LEN < ROW_DIGITS_MAX; at++)
        n = n * 10 + (uint64_t)(json[at] - '0');
    bool leading_zero = json[ROW_PREFIX_LEN] == '0' && at > ROW_PREFIX_LEN + 1;
    if (at == ROW_PREFIX_LEN || leading_zero || (json[at] != ',' && at != len - 1)) return false;
    *row = n;
    return !memchr(json, '\0', len) && !memmem(json, len, ERROR_KEY, sizeof ERROR_KEY - 1);
}

static int read_parsed(value_t v, result_line_t *out, err_t *err) {
    if (v.kind != VALUE_OBJECT) return err_set(err, SDG_EINVAL, "not a JSON object");
    value_t row = object_get_peek(v, RESULT_LINE_ROW, sizeof RESULT_LINE_ROW - 1, NULL);
    if (row.kind != VALUE_INT || row.integer < 0)
        return err_set(err, SDG_EINVAL, "no row number under \"" RESULT_LINE_ROW "\"");
    out->row = (uint64_t)row.integer;
    object_get_peek(v, RESULT_LINE_ERROR, sizeof RESULT_LINE_ERROR - 1, &out->failed);
    return 0;
}

int result_line_read(const char *json, size_t len, result_line_t *out, err_t *err) {
    *out = (result_line_t){0};
    if (read_quickly(json, len, &out->row)) return 0;
    value_t v;
    int rc = json_parse_text(json, len, &v, err);
    if (rc < 0) return err_set(err, SDG_EINVAL, "not JSON");
    rc = read_parsed(v, out, err);
    value_free(v);
    return rc;
}
