/* result_line.c - see result_line.h. */
#include "core/base/result_line.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/json.h"

static const char ROW_PREFIX[] = "{\"" RESULT_LINE_ROW "\": ";
static const char ERROR_KEY[] = "\"" RESULT_LINE_ERROR "\"";
/* digits that fit 64 bits whatever they are; a number with more is none of a row */
enum { ROW_DIGITS_MAX = 19 };

void result_line_fail(buf_t *out, uint64_t row, const char *why) {
    buf_addf(out, "%s%" PRIu64 ", %s: ", ROW_PREFIX, row, ERROR_KEY);
    json_write_string(out, why, strlen(why));
    buf_addc(out, '}');
}

/* What the members of a line have told so far. */
typedef struct line_seen {
    result_line_t *line;
    bool has_row;
} line_seen_t;

/* The integer that begins here; -0 is 0. */
static bool read_row(const char *at, uint64_t *row) {
    bool negative = *at == '-';
    const char *digits = at += negative;
    uint64_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    *row = n;
    return at > digits && (!negative || n == 0) && at - digits <= ROW_DIGITS_MAX && n <= INT64_MAX &&
           *at != '.' && *at != 'e' && *at != 'E';
}

/* The last of several members of a name counts, as for json_parse. */
static void see_member(void *context, const char *key, size_t len, const char *value) {
    line_seen_t *seen = context;
    if (len == sizeof RESULT_LINE_ROW - 1 && memcmp(key, RESULT_LINE_ROW, len) == 0)
        seen->has_row = read_row(value, &seen->line->row);
    if (len == sizeof RESULT_LINE_ERROR - 1 && memcmp(key, RESULT_LINE_ERROR, len) == 0)
        seen->line->failed = true;
}

int result_line_read(const char *json, size_t len, result_line_t *out, err_t *err) {
    line_seen_t seen = {.line = out};
    err_t why = {0};
    *out = (result_line_t){0};
    if (json_check_object(json, len, see_member, &seen, &why) < 0)
        return err_set(err, SDG_EINVAL, "not a JSON object (%s)", why.text);
    if (!seen.has_row) return err_set(err, SDG_EINVAL, "no row number under \"" RESULT_LINE_ROW "\"");
    return 0;
}

/* ---- lines of workers */

/* What the members of a line have told so far. */
typedef struct line_told {
    uint64_t row; /* the one it has to be of */
    size_t members;
    bool numbered;   /* the first member is that number */
    bool renumbered; /* and there is another number */
    bool failed;
} line_told_t;

static void hear_member(void *context, const char *key, size_t len, const char *value) {
    line_told_t *told = context;
    bool first = told->members++ == 0;
    if (len == sizeof RESULT_LINE_ERROR - 1 && memcmp(key, RESULT_LINE_ERROR, len) == 0) told->failed = true;
    if (len != sizeof RESULT_LINE_ROW - 1 || memcmp(key, RESULT_LINE_ROW, len) != 0) return;
    uint64_t row;
    if (!first)
        told->renumbered = true;
    else
        told->numbered = read_row(value, &row) && row == told->row;
}

int result_line_check(const char *json, size_t len, uint64_t row, bool failed, err_t *err) {
    line_told_t told = {.row = row};
    if (len == 0) return err_set(err, SDG_EINVAL, "it is empty");
    if (memchr(json, '\n', len) || memchr(json, '\r', len))
        return err_set(err, SDG_EINVAL, "it is more than one line");
    if (json[0] != '{' || json[len - 1] != '}') return err_set(err, SDG_EINVAL, "it is no JSON object");
    if (json_check_object(json, len, hear_member, &told, err) < 0) return SDG_EINVAL;
    if (!told.numbered || told.renumbered)
        return err_set(err, SDG_EINVAL, "its \"" RESULT_LINE_ROW "\" is not %" PRIu64, row);
    if (failed && !told.failed)
        return err_set(err, SDG_EINVAL, "its row has failed, and there is no \"" RESULT_LINE_ERROR "\"");
    return SDG_OK;
}
