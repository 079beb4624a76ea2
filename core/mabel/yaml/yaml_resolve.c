/* yaml_resolve.c - the implicit types of YAML 1.1 as PyYAML has them.
 *
 * Each pattern of its resolver is a small scanner here: `scan_*` moves a cursor over what it accepts. A
 * scalar is of a kind when the scanner ends exactly at its end; then the underscores are dropped and the
 * digits are read.
 *
 * Peculiarities of PyYAML that are kept on purpose:
 *   - a real needs a '.', and an exponent needs a sign: "1e3" and "1.5e3" are text
 *   - "-.5" and "08" are text
 *   - "1:30" is ninety
 * Difference: timestamps stay text.
 */
#include "core/mabel/yaml/yaml_resolve.h"

#include "core/base/buf.h"
#include "core/base/integer.h"
#include "core/base/limits.h"
#include "core/base/real_text.h"
#include "core/base/text.h"

#include <math.h>
#include <string.h>

/* ---- words */

static bool is_one_of(const char *text, size_t len, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0) return true;
    return false;
}

#define IS_ONE_OF(text, len, ...)                            \
    is_one_of(text, len, (const char *const[]){__VA_ARGS__}, \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool is_null(const char *text, size_t len) {
    return len == 0 || IS_ONE_OF(text, len, "~", "null", "Null", "NULL");
}

static bool is_bool(const char *text, size_t len, bool *value) {
    *value = IS_ONE_OF(text, len, "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON");
    return *value || IS_ONE_OF(text, len, "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF");
}

/* ---- cursor */

typedef struct cursor {
    const char *at, *end;
} cursor_t;

static bool more(const cursor_t *c) { return c->at < c->end; }
static bool next_is(const cursor_t *c, char what) { return more(c) && *c->at == what; }

static bool take(cursor_t *c, char what) {
    if (!next_is(c, what)) return false;
    c->at++;
    return true;
}

static bool is_digit(char c, int base) {
    if (c >= '0' && c <= '9') return c - '0' < base;
    return base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
}

/* Steps over digits and underscores; returns how many digits there were. */
static size_t take_digits(cursor_t *c, int base, bool underscores) {
    size_t digits = 0;
    for (; more(c) && (is_digit(*c->at, base) || (underscores && *c->at == '_')); c->at++)
        if (*c->at != '_') digits++;
    return digits;
}

static void take_sign(cursor_t *c) {
    if (next_is(c, '-') || next_is(c, '+')) c->at++;
}

/* Steps over one or more ":59" groups of a sexagesimal number. */
static bool take_sixties(cursor_t *c) {
    size_t groups = 0;
    while (take(c, ':')) {
        if (!more(c) || !is_digit(*c->at, 10)) return false;
        bool two = c->end - c->at >= 2 && c->at[0] <= '5' && is_digit(c->at[1], 10);
        c->at += two ? 2 : 1;
        groups++;
    }
    return groups > 0;
}

/* ---- reading digits (already known to be well formed, underscores inside) */

/* Decimal digits with '.', exponent, underscores; no sign. */
static double read_real(const char *text, size_t len) {
    buf_t clean;
    buf_init(&clean, VALUE_STRING_MAX);
    for (size_t i = 0; i < len; i++)
        if (text[i] != '_') buf_addc(&clean, text[i]);
    double r = real_parse(clean.data, clean.len);
    buf_free(&clean);
    return r;
}

/* The integer that digits of base 2, 8, 10 or 16 stand for. */
static value_t read_digits(const char *text, size_t len, uint32_t base, bool negative) {
    integer_sum_t sum = {0};
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '_') continue;
        int d = text[i] <= '9' ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10;
        integer_sum_add(&sum, base, (uint32_t)d);
    }
    return integer_sum_take(&sum, negative);
}

/* The integer that "1:30:00" stands for. The first group has any number of digits, the others one or two. */
static value_t read_sixties(const char *text, size_t len, bool negative) {
    integer_sum_t sum = {0};
    size_t i = 0;
    for (; i < len && text[i] != ':'; i++)
        if (text[i] != '_') integer_sum_add(&sum, 10, (uint32_t)(text[i] - '0'));
    while (i < len) {
        uint32_t group = 0;
        for (i++; i < len && text[i] != ':'; i++)
            group = group * 10 + (uint32_t)(text[i] - '0');
        integer_sum_add(&sum, 60, group);
    }
    return integer_sum_take(&sum, negative);
}

/* ---- integers */

static bool scan_based(cursor_t c, const char *prefix, int base) {
    size_t n = strlen(prefix);
    if ((size_t)(c.end - c.at) <= n || memcmp(c.at, prefix, n) != 0) return false;
    c.at += n;
    return take_digits(&c, base, true) > 0 && !more(&c);
}

/* "017", but not "0" alone; "0_" is zero. */
static bool scan_octal(cursor_t c) {
    if (!take(&c, '0') || !more(&c)) return false;
    take_digits(&c, 8, true);
    return !more(&c);
}

static bool scan_decimal(cursor_t c) {
    if (take(&c, '0')) return !more(&c);
    return more(&c) && *c.at != '_' && take_digits(&c, 10, true) > 0 && !more(&c);
}

static bool scan_int_sixties(cursor_t c) {
    if (!more(&c) || *c.at == '0' || *c.at == '_' || take_digits(&c, 10, true) == 0) return false;
    return take_sixties(&c) && !more(&c);
}

/* Is this an integer? Octal is tried before decimal, because "017" is both. */
static bool resolve_int(const char *text, size_t len, value_t *out) {
    cursor_t c = {text, text + len};
    bool negative = next_is(&c, '-');
    take_sign(&c);
    size_t n = (size_t)(c.end - c.at);
    if (scan_based(c, "0b", 2))
        *out = read_digits(c.at + 2, n - 2, 2, negative);
    else if (scan_based(c, "0x", 16))
        *out = read_digits(c.at + 2, n - 2, 16, negative);
    else if (scan_octal(c))
        *out = read_digits(c.at, n, 8, negative);
    else if (scan_decimal(c))
        *out = read_digits(c.at, n, 10, negative);
    else if (scan_int_sixties(c))
        *out = read_sixties(c.at, n, negative);
    else
        return false;
    return true;
}

/* ---- reals */

/* "12.5e+3", "12.", ".5". The caller has stepped over the sign; after one, a digit must come before the
 * point. */
static bool scan_point(cursor_t c, bool signed_) {
    size_t before = 0;
    if (more(&c) && *c.at != '_') before = take_digits(&c, 10, true);
    if (before == 0 && signed_) return false;
    if (!take(&c, '.')) return false;
    if (before == 0 && (!more(&c) || *c.at == '_')) return false;
    size_t after = take_digits(&c, 10, true);
    if (before == 0 && after == 0) return false;
    if (take(&c, 'e') || take(&c, 'E')) {
        if (!next_is(&c, '-') && !next_is(&c, '+')) return false;
        c.at++;
        if (take_digits(&c, 10, false) == 0) return false;
    }
    return !more(&c);
}

/* "1:30.5" */
static bool scan_real_sixties(cursor_t c) {
    if (!more(&c) || *c.at == '_' || take_digits(&c, 10, true) == 0) return false;
    if (!take_sixties(&c) || !take(&c, '.')) return false;
    take_digits(&c, 10, true);
    return !more(&c);
}

static double read_real_sixties(const char *text, size_t len) {
    double real = 0;
    for (size_t i = 0; i < len;) {
        size_t stop = i;
        while (stop < len && text[stop] != ':')
            stop++;
        real = real * 60 + read_real(text + i, stop - i);
        i = stop + 1;
    }
    return real;
}

/* Is this a real? */
static bool resolve_real(const char *text, size_t len, value_t *out) {
    if (IS_ONE_OF(text, len, ".nan", ".NaN", ".NAN")) {
        *out = value_real(NAN);
        return true;
    }
    cursor_t c = {text, text + len};
    bool negative = next_is(&c, '-');
    take_sign(&c);
    size_t n = (size_t)(c.end - c.at);
    double r;
    if (IS_ONE_OF(c.at, n, ".inf", ".Inf", ".INF"))
        r = INFINITY;
    else if (scan_point(c, c.at > text))
        r = read_real(c.at, n);
    else if (scan_real_sixties(c))
        r = read_real_sixties(c.at, n);
    else
        return false;
    *out = value_real(negative ? -r : r);
    return true;
}

/* ---- both entrances */

value_t yaml_resolve_plain(const char *text, size_t len) {
    value_t v;
    bool b;
    if (is_null(text, len)) return value_null();
    if (is_bool(text, len, &b)) return value_bool(b);
    if (resolve_real(text, len, &v) || resolve_int(text, len, &v)) return v;
    return value_string(text, len);
}

static int tagged_real(const char *text, size_t len, value_t *out, err_t *err) {
    value_t v;
    if (!resolve_real(text, len, &v) && !text_to_number(text, len, &v))
        return err_set(err, SDG_EINVAL, "!!float: '%.*s' is not a number", len > 60 ? 60 : (int)len, text);
    *out = v.kind == VALUE_INT ? value_real((double)v.integer) : v;
    return SDG_OK;
}

int yaml_resolve_tagged(const char *tag, const char *text, size_t len, value_t *out, err_t *err) {
    static const char standard[] = "tag:yaml.org,2002:";
    const char *name = tag;
    if (strncmp(tag, standard, sizeof standard - 1) == 0) name = tag + sizeof standard - 1;
    int shown = len > 60 ? 60 : (int)len;
    bool b;
    *out = value_null();
    if (strcmp(tag, "!") == 0 || strcmp(name, "str") == 0 || strcmp(name, "timestamp") == 0) {
        *out = value_string(text, len);
        return SDG_OK;
    }
    if (name == tag) return err_set(err, SDG_EINVAL, "unknown tag %s", tag);
    if (strcmp(name, "null") == 0) return SDG_OK;
    if (strcmp(name, "int") == 0) {
        if (resolve_int(text, len, out)) return SDG_OK;
        return err_set(err, SDG_EINVAL, "!!int: '%.*s' is not an integer", shown, text);
    }
    if (strcmp(name, "float") == 0) return tagged_real(text, len, out, err);
    if (strcmp(name, "bool") == 0) {
        if (!is_bool(text, len, &b))
            return err_set(err, SDG_EINVAL, "!!bool: '%.*s' is neither yes nor no", shown, text);
        *out = value_bool(b);
        return SDG_OK;
    }
    return err_set(err, SDG_EINVAL, "the tag !!%s is not supported here", name);
}
