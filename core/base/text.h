/* text.h - the text form of values: Python's str(), because existing pipelines' outputs depend on it
 * (mabel.md section 2).
 *
 * Source of truth: CPython 3.11 `str()`/`repr()` of float, str, list, dict.
 */
#ifndef SDG_BASE_TEXT_H
#define SDG_BASE_TEXT_H

#include "core/base/buf.h"
#include "core/base/value.h"

void text_write(buf_t *out,
                value_t v); /* str(): True False None 1 1.0 1e+16, strings as they are, containers as repr */
void text_write_repr(buf_t *out,
                     value_t v); /* repr(): strings quoted by Python's rules, non-printables escaped */
void text_write_real(
    buf_t *out,
    double r); /* shortest round trip, '.0' when integral, exponent from 1e16 and below 1e-4; inf, nan */
void text_write_int(buf_t *out, int64_t i); /* decimal */
str_t *text_of(value_t v);                  /* str() as a fresh (or shared) string, owned by the caller */

/* The number a text stands for, by Python's int()/float() rules on trimmed text (no underscores, no
 * "inf"/"nan"). Returns false if it is not one. Integers beyond 64 bits become reals; beyond those (1e999) it
 * is none. */
bool text_to_number(const char *bytes, size_t len, value_t *out);

/* UTF-8 helpers (pure, bounded). */
size_t utf8_length(const char *bytes, size_t len); /* code points; an invalid byte counts as one */
size_t utf8_offset(const char *bytes, size_t len,
                   size_t code_points); /* byte offset of that code point, at most len */
int utf8_decode(const char *bytes, size_t len,
                uint32_t *code_point); /* bytes used (1..4); 0 when invalid or empty */
void utf8_write(buf_t *out, uint32_t code_point);
bool utf8_valid(const char *bytes, size_t len);
/* Bytes at the front that are printable ASCII and neither `quote` nor a backslash: what needs no escape
 * anywhere. */
size_t ascii_plain_run(const char *bytes, size_t len, char quote);
/* Upper and lower case as Python's str.upper()/lower() (full mapping: "ß" -> "SS"); white space as
 * str.strip(). */
void text_upper(buf_t *out, const char *bytes, size_t len);
void text_lower(buf_t *out, const char *bytes, size_t len);
void text_trim(const char **bytes, size_t *len);

#endif
