/* integer.h - integers of any size. What fits 64 bits is VALUE_INT; a larger one is VALUE_BIGINT, which holds
 * its decimal digits, with '-' before a negative one and no leading zeros. So each integer has one form.
 *
 * Larger integers are carried and compared exactly, never calculated with: for that there is
 * integer_to_real. Beyond INTEGER_DIGITS_MAX digits (limits.h) there is no integer, only a real. */
#ifndef SDG_BASE_INTEGER_H
#define SDG_BASE_INTEGER_H

#include "core/base/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of decimal digits, which may have leading zeros; owned. With too many digits it is a real. */
value_t integer_from_digits(const char *digits, size_t len, bool negative);
/* True when the bytes are what a VALUE_BIGINT holds. */
bool integer_is_big(const char *bytes, size_t len);
/* The real that is nearest to a VALUE_BIGINT; infinite beyond all reals. */
double integer_to_real(value_t big);
/* Compares two numbers (VALUE_INT, VALUE_REAL, VALUE_BIGINT) exactly: -1, 0 or 1 as a stands to b, 2 when one
 * of them is NaN. */
int integer_compare(value_t a, value_t b);
/* Of a VALUE_BIGINT; that of the real that is equal to it, if there is one. */
uint64_t integer_hash(value_t big, uint64_t (*hash_real)(double r));

/* Adds up digits of any base: sum = sum * factor + digit, from the first digit on. */
typedef struct integer_sum {
    uint32_t *limbs; /* base 10^9, the lowest first; owned */
    size_t count;
    bool full; /* more than INTEGER_DIGITS_MAX digits */
} integer_sum_t;
void integer_sum_add(integer_sum_t *sum, uint32_t factor, uint32_t digit);
/* The sum as a number, owned by the caller. A sum that became full is an infinite real. Releases the sum. */
value_t integer_sum_take(integer_sum_t *sum, bool negative);

#endif
