/* lines.h - a stream cut into lines at '\n', each with its number and place. A line is given as soon as its
 * newline has come.
 *
 * Lines are given in place, from the read block. Only a line longer than the block makes it grow, up to the
 * maximum; it shrinks again afterwards. A line over the maximum is skipped and reported without its bytes. */
#ifndef SDG_DATA_LINES_H
#define SDG_DATA_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/data/stream.h"

typedef struct lines lines_t;

typedef struct text_line {
    const char *bytes; /* without the '\n'; valid until the next call; NULL when too_long */
    size_t len;
    uint64_t number; /* from 1 */
    uint64_t end;    /* place in the text of the byte behind the line and its newline */
    bool whole;      /* ended by a newline; false only for the last line */
    bool too_long;
} text_line_t;

lines_t *lines_new(stream_t *stream, size_t line_bytes_max); /* the stream stays the caller's */
void lines_destroy(lines_t **lines);
/* 1: a line. 0: end. STREAM_WAIT: the line is not whole yet; call again. Another negative code: the stream
 * failed, and its unfinished line is not given. */
int lines_next(lines_t *lines, text_line_t *line, err_t *err);
/* Place in the text of the byte behind the line given last and its newline. */
uint64_t lines_given(const lines_t *lines);
/* After a failure: the unfinished line before it, without a NUL behind it. */
const char *lines_rest_peek(const lines_t *lines, size_t *len);

#define UTF8_BOM "\xEF\xBB\xBF"
size_t bom_length(const char *bytes,
                  size_t len);                  /* of the byte order mark that a text begins with; 0: none */
bool line_blank(const char *bytes, size_t len); /* nothing but white space (JSON's: space, tab, CR, LF) */

#endif
