/* words.h - numbers as text for people. */
#ifndef SDG_BASE_WORDS_H
#define SDG_BASE_WORDS_H

#include <stdint.h>

#include "core/base/buf.h"

/* "1 row", "0 rows", "1,234 rows" */
void words_plural(buf_t *out, uint64_t n, const char *one, const char *many);
/* Of 1 the first word, else the second: for sentences that put the number elsewhere. */
const char *words_choose(uint64_t n, const char *one, const char *many);

void words_count(buf_t *out, uint64_t n);     /* 1,234,567 */
void words_duration(buf_t *out, uint64_t ns); /* 850 ms, 12.3 s, 1m07s, 3h05m */
void words_bytes(buf_t *out, uint64_t bytes); /* 34 MiB */
void words_wait(buf_t *out, uint64_t ms);     /* whole seconds of a wait: 0 s, 6 s, 1m07s, 3h05m */

/* ---- on a terminal */

/* Columns that a text takes on a terminal, as words_fit shows it: East Asian wide characters take two, marks
 * none. */
uint64_t words_columns(const char *text, size_t len);
/* Appends as much of the text as fits into so many columns; what is cut ends in an ellipsis. Line ends and
 * other control characters become blanks, bytes that are no UTF-8 become "?". */
void words_fit(buf_t *out, const char *text, size_t len, uint64_t columns);

#endif
