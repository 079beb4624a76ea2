/* Integers of any size: one form for each, exact comparison. */
#include "core/base/integer.h"
#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static value_t of(const char *text) {
    bool negative = *text == '-';
    return integer_from_digits(text + negative, strlen(text) - negative, negative);
}

static void expect_big(const char *text, const char *form) {
    value_t v = of(text);
    cr_assert_eq(v.kind, VALUE_BIGINT, "%s", text);
    cr_expect_str_eq(v.string->data, form);
    cr_expect(integer_is_big(v.string->data, v.string->len));
    cr_expect(value_truthy(v));
    cr_expect_str_eq(value_kind_name(v.kind), "integer");
    value_free(v);
}

Test(integer, what_fits_64_bits_is_a_short_one) {
    static const struct {
        const char *text;
        int64_t n;
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"00000000000000000000000000012", 12},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"-0009223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        value_t v = of(cases[i].text);
        cr_expect(v.kind == VALUE_INT && v.integer == cases[i].n, "%s", cases[i].text);
    }
    cr_expect_not(integer_is_big("9223372036854775807", 19));
    cr_expect_not(integer_is_big("-9223372036854775808", 20));
    cr_expect_not(integer_is_big("09223372036854775808", 20));
    cr_expect_not(integer_is_big("--9223372036854775809", 21));
    cr_expect_not(integer_is_big("", 0));
}

Test(integer, a_large_one_has_one_form) {
    expect_big("9223372036854775808", "9223372036854775808");
    expect_big("-9223372036854775809", "-9223372036854775809");
    expect_big("0018446744073709551616", "18446744073709551616");
}

Test(integer, too_many_digits_are_a_real) {
    char digits[INTEGER_DIGITS_MAX + 1];
    memset(digits, '1', sizeof digits);
    value_t v = integer_from_digits(digits, INTEGER_DIGITS_MAX, false);
    cr_expect_eq(v.kind, VALUE_BIGINT);
    value_free(v);
    v = integer_from_digits(digits, sizeof digits, true);
    cr_expect(v.kind == VALUE_REAL && v.real == -INFINITY);
}

static void expect_order(value_t a, value_t b, int order) {
    cr_expect_eq(integer_compare(a, b), order);
    cr_expect_eq(integer_compare(b, a), order == 2 ? 2 : -order);
    cr_expect_eq(value_equal(a, b), order == 0);
    if (order == 0) cr_expect_eq(value_hash(a), value_hash(b), "equal values have equal hashes");
    value_free(a);
    value_free(b);
}

Test(integer, all_kinds_of_numbers_are_compared_exactly) {
    expect_order(of("9223372036854775808"), value_int(INT64_MAX), 1);
    expect_order(of("-9223372036854775809"), value_int(INT64_MIN), -1);
    expect_order(of("9223372036854775808"), of("9223372036854775809"), -1);
    expect_order(of("-9223372036854775810"), of("-9223372036854775809"), -1);
    expect_order(of("-9223372036854775809"), of("9223372036854775808"), -1);
    expect_order(of("10000000000000000000"), of("9999999999999999999"), 1);
    expect_order(of("-10000000000000000000"), of("-9999999999999999999"), -1);
    expect_order(of("9223372036854775808"), value_real(0x1p63), 0);
    expect_order(of("-18446744073709551616"), value_real(-0x1p64), 0);
    expect_order(of("9223372036854775809"), value_real(0x1p63), 1);
    expect_order(of("10000000000000000000000"), value_real(1e22), 0);
    expect_order(of("100000000000000000000000"), value_real(1e23), 1); /* 1e23 is 99999999999999991611392 */
    expect_order(of("9223372036854775808"), value_real(0.5), 1);
    expect_order(of("9223372036854775808"), value_real(INFINITY), -1);
    expect_order(of("9223372036854775808"), value_real(NAN), 2);
    expect_order(value_int(INT64_MAX), value_real(0x1p63), -1);
    expect_order(value_int(3), value_real(3.0), 0);
}

Test(integer, digits_of_any_base_are_added_up) {
    integer_sum_t sum = {0};
    for (int i = 0; i < 18; i++)
        integer_sum_add(&sum, 16, 15);
    value_t v = integer_sum_take(&sum, false);
    cr_assert_eq(v.kind, VALUE_BIGINT);
    cr_expect_str_eq(v.string->data, "4722366482869645213695");
    value_free(v);
    v = integer_sum_take(&sum, true); /* nothing was added */
    cr_expect(v.kind == VALUE_INT && v.integer == 0);
    integer_sum_add(&sum, 10, 7);
    v = integer_sum_take(&sum, true);
    cr_expect(v.kind == VALUE_INT && v.integer == -7);
    for (int i = 0; i < INTEGER_DIGITS_MAX + 100; i++)
        integer_sum_add(&sum, 10, 9);
    v = integer_sum_take(&sum, true);
    cr_expect(v.kind == VALUE_REAL && v.real == -INFINITY);
}
