/* real_text.h - reals to their shortest decimal digits and back, for text.c and json_parse.cc. The C++17
 * library does both exactly (real_text.cc). Neither depends on the locale. */
#ifndef SDG_BASE_REAL_TEXT_H
#define SDG_BASE_REAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* significant digits that tell any two doubles apart */
enum { REAL_DIGITS_MAX = 17 };

/* The fewest digits that read back as r (finite, not negative), without point; r = d.ddd * 10^*exponent.
 * Returns how many (1..REAL_DIGITS_MAX). */
size_t real_digits(double r, char digits[REAL_DIGITS_MAX], int *exponent);

/* Reads a decimal number that is known to be well formed and has no '+' in front. Overflow gives infinity,
 * underflow 0. */
double real_parse(const char *bytes, size_t len);

#ifdef __cplusplus
}
#endif

#endif
