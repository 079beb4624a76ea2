/* mex_numbers.c - logic, comparison and arithmetic.
 *
 * Integers stay integers until they would overflow; then, and in division, reals take over. Numeric text
 * counts as a number beside a number, and null and other text as 0 in arithmetic. Comparison has one rule for
 * `eq` (text that is no number never equals a number) and one for the orderings (a value that is no number
 * counts as 0 against a number). Numbers are compared exactly, however large they are. */
#include "core/mabel/mex/mex_node.h"

#include "core/base/integer.h"
#include "core/base/text.h"
#include "core/mabel/mex/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    COMPARE_DEPTH_MAX = 64, /* nesting of values that are compared: bounds the C stack */
    ROUND_DIGITS_MAX = 300, /* digits behind the point that round takes; with more nothing changes */
    ROUND_TEXT_BYTES = 700, /* a real in digits: 309 before the point, ROUND_DIGITS_MAX behind it */
};

/* ---- numbers */

bool mex_number_other(value_t v, value_t *number) {
    switch (v.kind) {
    case VALUE_BOOL: *number = value_int(v.boolean); return true;
    case VALUE_BIGINT: *number = value_real(integer_to_real(v)); return true;
    case VALUE_STRING: return text_to_number(v.string->data, v.string->len, number);
    default: return false;
    }
}

bool mex_exact_number(value_t v, value_t *number) {
    if (v.kind == VALUE_STRING) return text_to_exact_number(v.string->data, v.string->len, number);
    if (v.kind != VALUE_BIGINT) return mex_number(v, number);
    *number = value_ref(v);
    return true;
}

static double real_of(value_t n) { return n.kind == VALUE_INT ? (double)n.integer : n.real; }

/* Short integers, which are nearly all, need no call. */
static inline int compare_numbers(value_t a, value_t b) {
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) return (a.integer > b.integer) - (a.integer < b.integer);
    return integer_compare(a, b);
}

/* An integral real within 64 bits as an integer; others as they are. */
static value_t to_integer(double r) {
    return r >= -0x1p63 && r < 0x1p63 ? value_int((int64_t)r) : value_real(r);
}

/* ---- equality */

static bool is_numeric(value_kind_t kind) {
    return kind == VALUE_BOOL || kind == VALUE_INT || kind == VALUE_REAL || kind == VALUE_BIGINT;
}

static bool text_equals_bool(const str_t *s, bool b) {
    const char *want = b ? "true" : "false";
    return s->len == strlen(want) && strncasecmp(s->data, want, s->len) == 0;
}

static bool text_equals_form(str_t *s, value_t container) {
    str_t *form = text_of(container);
    bool equal = str_equal(s, form);
    str_free(form);
    return equal;
}

static bool text_equals_number(str_t *s, value_t number) {
    value_t n;
    if (!text_to_exact_number(s->data, s->len, &n)) return false;
    bool equal = compare_numbers(n, number) == 0;
    value_free(n);
    return equal;
}

/* A text against any other value; two texts are compared as texts. */
static bool text_equal(str_t *s, value_t other) {
    switch (other.kind) {
    case VALUE_NULL: return s->len == 0;
    case VALUE_BOOL: return text_equals_bool(s, other.boolean);
    case VALUE_INT:
    case VALUE_REAL:
    case VALUE_BIGINT: return text_equals_number(s, other);
    case VALUE_STRING: return str_equal(s, other.string);
    default: return s->len > 1 && (*s->data == '[' || *s->data == '{') && text_equals_form(s, other);
    }
}

bool mex_equal(value_t a, value_t b) {
    if (a.kind == VALUE_STRING) return text_equal(a.string, b);
    if (b.kind == VALUE_STRING) return text_equal(b.string, a);
    if (!is_numeric(a.kind) || !is_numeric(b.kind)) return value_equal(a, b);
    if (a.kind == VALUE_BOOL) a = value_int(a.boolean);
    if (b.kind == VALUE_BOOL) b = value_int(b.boolean);
    return compare_numbers(a, b) == 0;
}

/* ---- order */

static int order_text(str_t *a, str_t *b) {
    size_t len = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->data, b->data, len);
    if (c == 0) c = (a->len > b->len) - (a->len < b->len);
    return (c > 0) - (c < 0);
}

static int order(value_t a, value_t b, int depth, uint64_t *steps);

/* The first elements that differ decide, then the length. Comparing stops after MEX_OPS_MAX steps, because a
 * list may hold another one many times over. */
static int order_lists(value_t a, value_t b, int depth, uint64_t *steps) {
    size_t na = list_count(a), nb = list_count(b);
    if (a.list == b.list) return 0;
    for (size_t i = 0; i < na && i < nb && ++*steps <= MEX_OPS_MAX; i++) {
        int c = order(list_peek(a, i), list_peek(b, i), depth + 1, steps);
        if (c != 0) return c;
    }
    return (na > nb) - (na < nb);
}

static str_t *comparable_text(value_t v) { return v.kind == VALUE_NULL ? str_new("", 0) : text_of(v); }

static int order_texts(value_t a, value_t b) {
    str_t *x = comparable_text(a), *y = comparable_text(b);
    int c = order_text(x, y);
    str_free(x);
    str_free(y);
    return c;
}

/* Compares as numbers; what is none counts as 0. False, and nothing is compared, unless `one_is_enough` or
 * both are numbers. */
static bool order_numbers(value_t a, value_t b, bool one_is_enough, int *c) {
    value_t x = value_int(0), y = value_int(0);
    bool x_is = mex_exact_number(a, &x), y_is = mex_exact_number(b, &y);
    bool compared = (x_is && y_is) || one_is_enough;
    if (compared) *c = compare_numbers(x, y);
    value_free(x);
    value_free(y);
    return compared;
}

/* -1, 0 or 1, or 2 when there is no order (nan). */
static int order(value_t a, value_t b, int depth, uint64_t *steps) {
    bool texts = a.kind == VALUE_STRING && b.kind == VALUE_STRING;
    bool numeric = is_numeric(a.kind) || is_numeric(b.kind);
    int c;
    if ((numeric || texts) && order_numbers(a, b, numeric, &c)) return c;
    if (texts) return order_text(a.string, b.string);
    if (a.kind == VALUE_LIST && b.kind == VALUE_LIST && depth < COMPARE_DEPTH_MAX)
        return order_lists(a, b, depth, steps);
    return order_texts(a, b);
}

/* ---- comparison operators */

/* Two operands from a list that was made at run time. */
static int pair_of_list(const mex_t *m, scope_t *s, value_t *a, value_t *b, err_t *err) {
    mex_operands_t o;
    int rc = mex_operands_open(&o, m, s, err);
    if (rc != SDG_OK) return rc;
    *a = value_ref(list_peek(o.list, 0));
    *b = value_ref(list_peek(o.list, 1));
    mex_operands_close(&o);
    return SDG_OK;
}

static int pair(const mex_t *m, scope_t *s, value_t *a, value_t *b, err_t *err) {
    if (m->spread) return pair_of_list(m, s, a, b, err);
    int rc = mex_value_of(m->args[0], s, a, err);
    if (rc != SDG_OK) return rc;
    rc = mex_value_of(m->args[1], s, b, err);
    if (rc != SDG_OK) value_free(*a);
    return rc;
}

static int run_equal(const mex_t *m, scope_t *s, bool want, value_t *out, err_t *err) {
    value_t a, b;
    int rc = pair(m, s, &a, &b, err);
    if (rc != SDG_OK) return rc;
    *out = value_bool(mex_equal(a, b) == want);
    value_free(a);
    value_free(b);
    return SDG_OK;
}

int mex_run_eq(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_equal(m, s, true, out, err);
}
int mex_run_ne(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_equal(m, s, false, out, err);
}

static int run_order(const mex_t *m, scope_t *s, int *c, err_t *err) {
    value_t a, b;
    int rc = pair(m, s, &a, &b, err);
    if (rc != SDG_OK) return rc;
    uint64_t steps = 0;
    *c = mex_is_number(a) && mex_is_number(b) ? compare_numbers(a, b) : order(a, b, 0, &steps);
    value_free(a);
    value_free(b);
    return mex_spend(s, steps, err);
}

int mex_run_lt(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int c, rc = run_order(m, s, &c, err);
    if (rc == SDG_OK) *out = value_bool(c == -1);
    return rc;
}

int mex_run_le(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int c, rc = run_order(m, s, &c, err);
    if (rc == SDG_OK) *out = value_bool(c == -1 || c == 0);
    return rc;
}

int mex_run_gt(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int c, rc = run_order(m, s, &c, err);
    if (rc == SDG_OK) *out = value_bool(c == 1);
    return rc;
}

int mex_run_ge(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int c, rc = run_order(m, s, &c, err);
    if (rc == SDG_OK) *out = value_bool(c == 1 || c == 0);
    return rc;
}

static bool list_contains(value_t list, value_t v) {
    for (size_t i = 0; i < list_count(list); i++)
        if (mex_equal(list_peek(list, i), v)) return true;
    return false;
}

static bool contains(value_t whole, value_t part) {
    if (whole.kind == VALUE_LIST) return list_contains(whole, part);
    str_t *needle = comparable_text(part);
    bool found;
    if (whole.kind == VALUE_OBJECT) {
        object_get_str_peek(whole, needle, &found);
    } else {
        str_t *text = comparable_text(whole);
        found = needle->len == 0 || memmem(text->data, text->len, needle->data, needle->len);
        str_free(text);
    }
    str_free(needle);
    return found;
}

int mex_run_contains(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t whole, part;
    int rc = pair(m, s, &whole, &part, err);
    if (rc != SDG_OK) return rc;
    *out = value_bool(contains(whole, part));
    if (whole.kind == VALUE_LIST) rc = mex_spend(s, list_count(whole), err);
    value_free(whole);
    value_free(part);
    return rc;
}

/* Blank text counts as empty, too: models answer a lone line end, and pipelines written for the original
 * program rely on it. */
static bool is_empty(value_t v) {
    if (v.kind != VALUE_STRING) return !is_numeric(v.kind) && !value_truthy(v);
    const char *bytes = v.string->data;
    size_t len = v.string->len;
    text_trim(&bytes, &len);
    return len == 0;
}

int mex_run_is_empty(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    *out = value_bool(is_empty(v));
    value_free(v);
    return SDG_OK;
}

/* ---- logic */

/* The operators `and` and `or`: the first operand whose truth is stop_at decides; the others are not
 * evaluated. */
static int run_until(const mex_t *m, scope_t *s, bool stop_at, value_t *out, err_t *err) {
    mex_operands_t o;
    int rc = mex_operands_open(&o, m, s, err);
    if (rc != SDG_OK) return rc;
    bool stopped = false;
    for (size_t i = 0; i < o.count && !stopped && rc == SDG_OK; i++) {
        value_t v;
        rc = mex_operand(&o, i, &v);
        if (rc != SDG_OK) break;
        stopped = value_truthy(v) == stop_at;
        value_free(v);
    }
    mex_operands_close(&o);
    if (rc == SDG_OK) *out = value_bool(stopped == stop_at);
    return rc;
}

int mex_run_and(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_until(m, s, false, out, err);
}
int mex_run_or(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_until(m, s, true, out, err);
}

int mex_run_not(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    bool yes;
    int rc = mex_truth_of(m->args[0], s, &yes, err);
    if (rc == SDG_OK) *out = value_bool(!yes);
    return rc;
}

/* ---- arithmetic: one step each */

/* Replaces *sum by the result of *sum and b. */
typedef int step_fn(const mex_t *m, value_t *sum, value_t b, err_t *err);

/* The result of two integers: a real beyond 64 bits, rounded once. */
static inline int give_exact(__int128 n, value_t *out) {
    *out = n == (int64_t)n ? value_int((int64_t)n) : value_real((double)n);
    return SDG_OK;
}

/* A real result. Infinity is an error: JSON has none, so it would silently become null in the output. */
static int give_real(const mex_t *m, double r, value_t *out, err_t *err) {
    if (isinf(r)) return mex_fail(m, SDG_EINVAL, err, "the result is too large");
    *out = value_real(r);
    return SDG_OK;
}

static inline int step_add(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) return give_exact((__int128)a.integer + b.integer, sum);
    return give_real(m, real_of(a) + real_of(b), sum, err);
}

static inline int step_sub(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) return give_exact((__int128)a.integer - b.integer, sum);
    return give_real(m, real_of(a) - real_of(b), sum, err);
}

static inline int step_mul(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) return give_exact((__int128)a.integer * b.integer, sum);
    return give_real(m, real_of(a) * real_of(b), sum, err);
}

static inline int step_div(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    if (real_of(b) == 0.0) return mex_fail(m, SDG_EINVAL, err, "division by zero");
    return give_real(m, real_of(a) / real_of(b), sum, err);
}

/* The remainder with the sign of b, as Python's %. */
static int64_t mod_int(int64_t a, int64_t b) {
    if (b == -1) return 0; /* INT64_MIN % -1 traps */
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double mod_real(double a, double b) {
    double r = fmod(a, b);
    if (r == 0.0) return copysign(0.0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static inline int step_mod(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    if (real_of(b) == 0.0) return mex_fail(m, SDG_EINVAL, err, "division by zero");
    if (a.kind == VALUE_INT && b.kind == VALUE_INT)
        *sum = value_int(mod_int(a.integer, b.integer));
    else
        *sum = value_real(mod_real(real_of(a), real_of(b)));
    return SDG_OK;
}

/* Exact while it fits 64 bits. */
static bool pow_int(int64_t base, int64_t exponent, int64_t *out) {
    int64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return false;
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return false;
    }
    *out = result;
    return true;
}

static inline int step_pow(const mex_t *m, value_t *sum, value_t b, err_t *err) {
    value_t a = *sum;
    int64_t n;
    if (a.kind == VALUE_INT && b.kind == VALUE_INT && b.integer >= 0 && pow_int(a.integer, b.integer, &n)) {
        *sum = value_int(n);
        return SDG_OK;
    }
    double x = real_of(a), y = real_of(b);
    if (x == 0.0 && y < 0) return mex_fail(m, SDG_EINVAL, err, "division by zero (0 to a negative power)");
    double r = pow(x, y);
    if (isnan(r) && !isnan(x) && !isnan(y))
        return mex_fail(m, SDG_EINVAL, err, "a negative number to a fractional power");
    return give_real(m, r, sum, err);
}

/* ---- arithmetic: over the operands */

static value_t negated(value_t n) {
    value_t v;
    if (n.kind == VALUE_REAL) return value_real(-n.real);
    give_exact(-(__int128)n.integer, &v);
    return v;
}

/* For operands that come from a list at run time, and for a single operand; `empty` is the result of none. */
static int fold_list(const mex_t *m, scope_t *s, value_t empty, step_fn *step, value_t *out, err_t *err) {
    mex_operands_t o;
    int rc = mex_operands_open_flat(&o, m, s, err);
    if (rc != SDG_OK) return rc;
    value_t sum = empty;
    for (size_t i = 0; i < o.count && rc == SDG_OK; i++) {
        value_t n;
        rc = mex_number_from(m, value_ref(list_peek(o.list, i)), s, &n, err);
        if (rc == SDG_OK && i == 0)
            sum = n;
        else if (rc == SDG_OK)
            rc = step(m, &sum, n, err);
    }
    mex_operands_close(&o);
    if (rc == SDG_OK) *out = step == step_sub && o.count == 1 ? negated(sum) : sum;
    return rc;
}

static inline int fold_numbers(const mex_t *m, scope_t *s, value_t empty, step_fn *step, value_t *out,
                               err_t *err) {
    if (m->spread || m->argc < 2) return fold_list(m, s, empty, step, out, err);
    value_t sum, n;
    int rc = mex_number_of(m, 0, s, &sum, err);
    for (uint32_t i = 1; i < m->argc && rc == SDG_OK; i++) {
        rc = mex_number_of(m, i, s, &n, err);
        if (rc == SDG_OK) rc = step(m, &sum, n, err);
    }
    if (rc == SDG_OK) *out = sum;
    return rc;
}

int mex_run_add(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(0), step_add, out, err);
}

int mex_run_mul(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(1), step_mul, out, err);
}

int mex_run_div(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(0), step_div, out, err);
}

int mex_run_mod(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(0), step_mod, out, err);
}

int mex_run_pow(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(0), step_pow, out, err);
}

int mex_run_sub(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return fold_numbers(m, s, value_int(0), step_sub, out, err);
}

/* ---- one number */

int mex_run_neg(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t n;
    int rc = mex_number_of(m, 0, s, &n, err);
    if (rc == SDG_OK) *out = negated(n);
    return rc;
}

int mex_run_abs(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t n;
    int rc = mex_number_of(m, 0, s, &n, err);
    if (rc != SDG_OK) return rc;
    if (n.kind == VALUE_INT)
        *out = n.integer < 0 ? negated(n) : n;
    else
        *out = value_real(fabs(n.real));
    return SDG_OK;
}

/* The first operand with all its digits, owned. */
static int exact_number_of(const mex_t *m, scope_t *s, value_t *number, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    return rc == SDG_OK ? mex_exact_number_from(m, v, s, number, err) : rc;
}

static int run_rounding(const mex_t *m, scope_t *s, double (*rounding)(double), value_t *out, err_t *err) {
    value_t n;
    int rc = exact_number_of(m, s, &n, err);
    if (rc == SDG_OK) *out = n.kind == VALUE_REAL ? to_integer(rounding(n.real)) : n;
    return rc;
}

int mex_run_floor(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_rounding(m, s, floor, out, err);
}
int mex_run_ceil(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_rounding(m, s, ceil, out, err);
}

/* Correctly rounded decimal digits, as Python's round(x, n): printf rounds the exact binary value half to
 * even. An integer beyond 64 bits that loses digits becomes a real. */
static value_t round_digits(value_t take, int64_t digits) {
    char text[ROUND_TEXT_BYTES];
    value_t n = take;
    if (n.kind != VALUE_REAL && digits >= 0) return n;
    if (n.kind == VALUE_BIGINT) {
        mex_number(take, &n);
        value_free(take);
    }
    if (digits > ROUND_DIGITS_MAX) return n;
    if (digits < 0) {
        double unit = pow(10.0, (double)-digits);
        double r = rint(real_of(n) / unit) * unit;
        return n.kind == VALUE_INT ? to_integer(r) : value_real(r);
    }
    int len = snprintf(text, sizeof text, "%.*f", (int)digits, n.real);
    value_t r;
    return len > 0 && len < (int)sizeof text && text_to_number(text, (size_t)len, &r) ? value_real(real_of(r))
                                                                                      : n;
}

int mex_run_round(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int64_t digits = 0;
    bool given = false;
    value_t n;
    int rc = m->args[1] ? mex_index_of(m, 1, s, &digits, &given, err) : SDG_OK;
    if (rc != SDG_OK) return rc;
    if (!given) return run_rounding(m, s, rint, out, err);
    rc = exact_number_of(m, s, &n, err);
    if (rc == SDG_OK) *out = round_digits(n, digits);
    return rc;
}

int mex_run_to_number(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return exact_number_of(m, s, out, err);
}

/* ---- the smallest and the largest */

/* True when all are text and none is a number: then they are compared as texts. */
static bool all_text(value_t list) {
    for (size_t i = 0; i < list_count(list); i++) {
        value_t v = list_peek(list, i), number;
        if (v.kind != VALUE_STRING) return false;
        if (!mex_exact_number(v, &number)) continue;
        value_free(number);
        return false;
    }
    return true;
}

/* Replaces the values by numbers, as operands of arithmetic. */
static int make_numbers(const mex_t *m, scope_t *s, value_t *list, err_t *err) {
    int rc = SDG_OK;
    for (size_t i = 0; i < list_count(*list) && rc == SDG_OK; i++) {
        value_t number;
        rc = mex_exact_number_from(m, value_ref(list_peek(*list, i)), s, &number, err);
        if (rc == SDG_OK) list_set(list, i, number);
    }
    return rc;
}

/* The operands in a list of their own. */
static int gather(const mex_t *m, scope_t *s, value_t *list, err_t *err) {
    mex_operands_t o;
    int rc = mex_operands_open_flat(&o, m, s, err);
    if (rc != SDG_OK) return rc;
    if (o.count == 0) rc = mex_fail(m, SDG_EINVAL, err, "the list is empty");
    *list = value_list(o.count);
    for (size_t i = 0; i < o.count && rc == SDG_OK; i++) {
        value_t v;
        rc = mex_operand(&o, i, &v);
        if (rc == SDG_OK) list_push(list, v);
    }
    mex_operands_close(&o);
    if (rc != SDG_OK) value_free(*list);
    return rc;
}

/* min (want -1) and max (want 1) of texts or of numbers; of equal ones the first. */
static int run_best(const mex_t *m, scope_t *s, int want, value_t *out, err_t *err) {
    value_t list;
    int rc = gather(m, s, &list, err);
    if (rc != SDG_OK) return rc;
    bool texts = all_text(list);
    if (!texts) rc = make_numbers(m, s, &list, err);
    for (size_t i = 0, best = 0; i < list_count(list) && rc == SDG_OK; i++) {
        value_t a = list_peek(list, i), b = list_peek(list, best);
        if ((texts ? order_text(a.string, b.string) : compare_numbers(a, b)) == want) best = i;
        if (i + 1 == list_count(list)) *out = value_ref(list_peek(list, best));
    }
    value_free(list);
    return rc;
}

int mex_run_min(const mex_t *m, scope_t *s, value_t *out, err_t *err) { return run_best(m, s, -1, out, err); }
int mex_run_max(const mex_t *m, scope_t *s, value_t *out, err_t *err) { return run_best(m, s, 1, out, err); }
