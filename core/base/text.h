/* text.h - the text form of values, numbers out of text, UTF-8, upper and lower case.
 *
 * The text form is what CPython 3.11 prints as str() and repr() of None, bool, int, float, str, list and
 * dict: outputs of existing pipelines depend on it (docs/mabel.md, section 2).
 */
#ifndef SDG_BASE_TEXT_H
#define SDG_BASE_TEXT_H

#include "core/base/buf.h"
#include "core/base/value.h"

/* str(): True False None 1 1.0 1e+16; strings as they are, containers as repr() shows them. */
void text_write(buf_t *out, value_t v);
/* repr(): as str(), but strings are quoted by Python's rules and what is not printable is escaped. */
void text_write_repr(buf_t *out, value_t v);
/* The fewest digits that read back as r, ".0" when it is a whole number, an exponent from 1e16 on and below
 * 1e-4; inf, nan. */
void text_write_real(buf_t *out, double r);
void text_write_int(buf_t *out, int64_t i); /* decimal */
/* str() as a string, fresh or shared; owned by the caller. */
str_t *text_of(value_t v);

/* The number a text stands for, by the rules of Python's int() and float() on trimmed text, but without
 * underscores, "inf" and "nan". False, and *out is untouched, if the text is no number, or is one beyond all
 * reals (1e999). Integers beyond 64 bits become reals: *out needs no release. */
bool text_to_number(const char *bytes, size_t len, value_t *out);
/* The same, but integers keep their digits: *out is owned by the caller. */
bool text_to_exact_number(const char *bytes, size_t len, value_t *out);

/* UTF-8 helpers (pure, bounded). */
size_t utf8_length(const char *bytes, size_t len); /* code points; an invalid byte counts as one */
/* The byte at which that code point begins, at most len. */
size_t utf8_offset(const char *bytes, size_t len, size_t code_points);
/* The code point at the front. Returns the bytes it takes (1..4), 0 when they are not valid or there are
 * none. */
int utf8_decode(const char *bytes, size_t len, uint32_t *code_point);
void utf8_write(buf_t *out, uint32_t code_point);
/* Columns that a terminal gives a character that is no control: 0 (a mark), 1 or 2 (East Asian wide). */
unsigned text_width(uint32_t code_point);
bool utf8_valid(const char *bytes, size_t len);
/* The text on one line, in at most `max` bytes with its end: a character that does not fit is left out with
 * all behind it, bytes that are no UTF-8 become "?", control characters a blank. */
void utf8_copy_line(char *out, size_t max, const char *bytes, size_t len);
/* How many bytes at the front are printable ASCII and neither `quote` nor a backslash: these need no escape
 * in JSON nor in repr(). */
size_t ascii_plain_run(const char *bytes, size_t len, char quote);
/* As Python's str.upper(), str.lower() and str.strip(); one character may become several ("ß" -> "SS"). */
void text_upper(buf_t *out, const char *bytes, size_t len);
void text_lower(buf_t *out, const char *bytes, size_t len);
void text_trim(const char **bytes, size_t *len);

#endif
