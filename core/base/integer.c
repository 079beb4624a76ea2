/* integer.c - see integer.h. */
#include "core/base/integer.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/real_text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    INT64_DIGITS_MIN = 19,                            /* an integer of fewer digits fits 64 bits */
    LIMB = 1000000000,                                /* base of integer_sum_t */
    LIMB_DIGITS = 9,                                  /* decimal digits of one limb */
    REAL_TEXT_BYTES = 320,                            /* digits of the largest double, with sign and NUL */
    SUM_LIMBS = INTEGER_DIGITS_MAX / LIMB_DIGITS + 2, /* the last product may be one limb too long */
};

/* ---- out of digits */

/* The 64-bit integer of the digits; false when they are more than it holds. */
static bool fits(const char *digits, size_t len, bool negative, int64_t *out) {
    uint64_t n = 0;
    if (len > INT64_DIGITS_MIN) return false;
    for (size_t i = 0; i < len; i++)
        n = n * 10 + (uint64_t)(digits[i] - '0'); /* 19 digits fit 64 bits without sign */
    if (n > (uint64_t)INT64_MAX + negative) return false;
    *out = (int64_t)(negative ? 0 - n : n);
    return true;
}

value_t integer_from_digits(const char *digits, size_t len, bool negative) {
    int64_t small;
    while (len > 1 && *digits == '0') {
        digits++;
        len--;
    }
    if (fits(digits, len, negative, &small)) return value_int(small);
    if (len > INTEGER_DIGITS_MAX) {
        double r = real_parse(digits, len);
        return value_real(negative ? -r : r);
    }
    str_t *s = str_new(NULL, len + negative);
    s->data[0] = '-';
    memcpy(s->data + negative, digits, len);
    return (value_t){.kind = VALUE_BIGINT, .string = s};
}

bool integer_is_big(const char *bytes, size_t len) {
    int64_t small;
    bool negative = len && *bytes == '-';
    bytes += negative;
    len -= negative;
    if (len < INT64_DIGITS_MIN || len > INTEGER_DIGITS_MAX || *bytes == '0') return false;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] < '0' || bytes[i] > '9') return false;
    return !fits(bytes, len, negative, &small);
}

/* ---- comparing */

double integer_to_real(value_t big) { return real_parse(big.string->data, big.string->len); }

static bool is_negative(const str_t *s) { return s->data[0] == '-'; }

/* Compares the texts of two integers of the form that VALUE_BIGINT has. */
static int compare_digits(const char *a, size_t a_len, const char *b, size_t b_len) {
    bool negative = *a == '-';
    if (negative != (*b == '-')) return negative ? -1 : 1;
    int c = a_len != b_len ? (a_len > b_len) - (a_len < b_len) : memcmp(a, b, a_len);
    c = (c > 0) - (c < 0);
    return negative ? -c : c;
}

/* A large integer against a real. Reals from 2^63 on are integers, so their digits can be compared. */
static int compare_real(const str_t *big, double r) {
    char text[REAL_TEXT_BYTES];
    if (isnan(r)) return 2;
    if (isinf(r)) return r > 0 ? -1 : 1;
    if (fabs(r) < 0x1p63) return is_negative(big) ? -1 : 1;
    int len = snprintf(text, sizeof text, "%.0f", r);
    assert(len > 0 && (size_t)len < sizeof text);
    return compare_digits(big->data, big->len, text, (size_t)len);
}

static int compare_big(value_t big, value_t other) {
    switch (other.kind) {
    case VALUE_INT: return is_negative(big.string) ? -1 : 1;
    case VALUE_REAL: return compare_real(big.string, other.real);
    default: return compare_digits(big.string->data, big.string->len, other.string->data, other.string->len);
    }
}

int integer_compare(value_t a, value_t b) {
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) return (a.integer > b.integer) - (a.integer < b.integer);
    if (a.kind == VALUE_BIGINT) return compare_big(a, b);
    if (b.kind == VALUE_BIGINT) {
        int c = compare_big(b, a);
        return c == 2 ? c : -c;
    }
    /* long double holds every int64 and every double */
    long double x = a.kind == VALUE_INT ? (long double)a.integer : (long double)a.real;
    long double y = b.kind == VALUE_INT ? (long double)b.integer : (long double)b.real;
    if (isnan(x) || isnan(y)) return 2;
    return (x > y) - (x < y);
}

uint64_t integer_hash(value_t big, uint64_t (*hash_real)(double r)) {
    double r = integer_to_real(big);
    if (compare_real(big.string, r) == 0) return hash_real(r);
    return XXH3_64bits(big.string->data, big.string->len);
}

/* ---- sums of digits */

void integer_sum_add(integer_sum_t *sum, uint32_t factor, uint32_t digit) {
    uint64_t carry = digit;
    if (sum->full) return;
    if (!sum->limbs) sum->limbs = xcalloc(SUM_LIMBS, sizeof *sum->limbs);
    for (size_t i = 0; i < sum->count; i++) {
        carry += (uint64_t)sum->limbs[i] * factor;
        sum->limbs[i] = (uint32_t)(carry % LIMB);
        carry /= LIMB;
    }
    for (; carry && sum->count < SUM_LIMBS; carry /= LIMB)
        sum->limbs[sum->count++] = (uint32_t)(carry % LIMB);
    sum->full = sum->count == SUM_LIMBS;
}

value_t integer_sum_take(integer_sum_t *sum, bool negative) {
    char digits[1 + SUM_LIMBS * LIMB_DIGITS + 1] = "0";
    size_t len = 1;
    for (size_t i = sum->count; i-- > 0; len += LIMB_DIGITS)
        snprintf(digits + len, LIMB_DIGITS + 1, "%09u", sum->limbs[i]);
    value_t v = integer_from_digits(digits, len, negative);
    if (sum->full) value_replace(&v, value_real(negative ? -INFINITY : INFINITY));
    free(sum->limbs);
    *sum = (integer_sum_t){0};
    return v;
}
