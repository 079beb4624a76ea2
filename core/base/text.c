/* text.c - Python's str() and repr(), numbers out of text, UTF-8, upper and lower case.
 *
 * tree.c walks containers, real_text.cc gives the digits of reals, text_tables.c knows characters; utf8_valid
 * is in text_utf8.cc. Text that is not valid UTF-8 is never refused here: a stray byte counts as one
 * character, str() and the case functions copy it, and repr() shows it as \xNN. */
#include "core/base/text.h"

#include "core/base/integer.h"
#include "core/base/limits.h"
#include "core/base/real_text.h"
#include "core/base/text_tables.h"
#include "core/base/tree.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- UTF-8 */

/* Strict: overlong forms, surrogates and what is above U+10FFFF are not valid. */
int utf8_decode(const char *bytes, size_t len, uint32_t *code_point) {
    const unsigned char *b = (const unsigned char *)bytes;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: smaller ones are overlong */
    if (len == 0) return 0;
    if (b[0] < 0x80) {
        *code_point = b[0];
        return 1;
    }
    int n = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    if (b[0] < 0xC2 || b[0] > 0xF4 || len < (size_t)n) return 0;
    uint32_t cp = b[0] & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((b[i] & 0xC0) != 0x80) return 0;
        cp = cp << 6 | (b[i] & 0x3F);
    }
    if (cp < least[n] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) return 0;
    *code_point = cp;
    return n;
}

/* Bytes of the character at the front of a non-empty text; an invalid byte is a character of its own. */
static size_t char_bytes(const char *bytes, size_t len) {
    uint32_t cp;
    int n = utf8_decode(bytes, len, &cp);
    return n ? (size_t)n : 1;
}

size_t utf8_length(const char *bytes, size_t len) {
    size_t count = 0;
    for (size_t at = 0; at < len; count++)
        at += (unsigned char)bytes[at] < 0x80 ? 1 : char_bytes(bytes + at, len - at);
    return count;
}

size_t utf8_offset(const char *bytes, size_t len, size_t code_points) {
    size_t at = 0;
    for (; code_points > 0 && at < len; code_points--)
        at += (unsigned char)bytes[at] < 0x80 ? 1 : char_bytes(bytes + at, len - at);
    return at;
}

void utf8_write(buf_t *out, uint32_t cp) {
    assert(cp <= 0x10FFFF);
    char b[4];
    if (cp < 0x80) {
        buf_addc(out, (char)cp);
        return;
    }
    int n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--, cp >>= 6)
        b[i] = (char)(0x80 | (cp & 0x3F));
    b[0] = (char)(lead[n] | cp);
    buf_add(out, b, (size_t)n);
}

void utf8_copy_line(char *out, size_t max, const char *bytes, size_t len) {
    size_t used = 0;
    for (size_t at = 0; at < len;) {
        uint32_t code_point;
        int n = utf8_decode(bytes + at, len - at, &code_point);
        size_t taken = n ? (size_t)n : 1;
        if (used + taken >= max) break;
        if (n == 0)
            out[used] = '?';
        else if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
            out[used] = ' ', taken = 1;
        else
            memcpy(out + used, bytes + at, taken);
        used += taken;
        at += n ? (size_t)n : 1;
    }
    out[used] = '\0';
}

/* Sets the high bit of each byte of x that is zero. Bytes above the lowest zero byte may be set wrongly. */
static uint64_t zero_bytes(uint64_t x) {
    return (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
}

/* Not zero when one of the eight bytes of x is a control character, DEL, not ASCII, the quote or a
 * backslash. */
static uint64_t special_bytes(uint64_t x, uint64_t quotes) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t control = (x - ones * 0x20) & ~x;
    uint64_t delete_ = zero_bytes(x ^ ones * 0x7F);
    uint64_t escaped = zero_bytes(x ^ quotes) | zero_bytes(x ^ ones * '\\');
    return (control | delete_ | escaped | x) & UINT64_C(0x8080808080808080);
}

size_t ascii_plain_run(const char *bytes, size_t len, char quote) {
    const uint64_t quotes = UINT64_C(0x0101010101010101) * (unsigned char)quote;
    size_t at = 0;
    uint64_t eight;
    for (; at + sizeof eight <= len; at += sizeof eight) {
        memcpy(&eight, bytes + at, sizeof eight);
        if (special_bytes(eight, quotes)) break;
    }
    while (at < len && bytes[at] >= 0x20 && bytes[at] < 0x7F && bytes[at] != quote && bytes[at] != '\\')
        at++;
    return at;
}

/* ---- tables */

/* The range that holds cp, NULL if none does. */
static const text_range_t *find_range(const text_range_t *table, size_t count, uint32_t cp) {
    size_t lo = 0;
    for (size_t hi = count; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        if (table[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < count && table[lo].first <= cp ? &table[lo] : NULL;
}

static bool is_printable(uint32_t cp) {
    if (cp < 0x7F) return cp >= 0x20;
    return !find_range(TEXT_NOT_PRINTABLE, TEXT_NOT_PRINTABLE_COUNT, cp);
}

unsigned text_width(uint32_t cp) {
    if (find_range(TEXT_NO_WIDTH, TEXT_NO_WIDTH_COUNT, cp)) return 0;
    return find_range(TEXT_WIDE, TEXT_WIDE_COUNT, cp) ? 2 : 1;
}

/* ---- str() and repr() */

void text_write_int(buf_t *out, int64_t i) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do
        digits[--at] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (i < 0) digits[--at] = '-';
    buf_add(out, digits + at, sizeof digits - at);
}

static void add_zeros(buf_t *out, int count) {
    while (count-- > 0)
        buf_addc(out, '0');
}

/* Writes d.ddde+xx, with at least two digits of exponent. */
static void write_exponent_form(buf_t *out, const char *digits, size_t count, int exponent) {
    buf_addc(out, digits[0]);
    if (count > 1) {
        buf_addc(out, '.');
        buf_add(out, digits + 1, count - 1);
    }
    buf_adds(out, exponent < 0 ? "e-" : "e+");
    if (abs(exponent) < 10) buf_addc(out, '0');
    text_write_int(out, abs(exponent));
}

/* Writes the digits without an exponent: 0.00ddd, ddd00.0 or d.dd. */
static void write_point_form(buf_t *out, const char *digits, size_t count, int exponent) {
    if (exponent < 0) {
        buf_adds(out, "0.");
        add_zeros(out, -exponent - 1);
        buf_add(out, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1; /* digits before the point */
    if (count <= whole) {
        buf_add(out, digits, count);
        add_zeros(out, (int)(whole - count));
        buf_adds(out, ".0");
        return;
    }
    buf_add(out, digits, whole);
    buf_addc(out, '.');
    buf_add(out, digits + whole, count - whole);
}

/* The sign of a NaN is not written, as in Python. */
void text_write_real(buf_t *out, double r) {
    if (isnan(r)) {
        buf_adds(out, "nan");
        return;
    }
    if (signbit(r)) buf_addc(out, '-');
    if (isinf(r)) {
        buf_adds(out, "inf");
        return;
    }
    char digits[REAL_DIGITS_MAX];
    int exponent;
    size_t count = real_digits(fabs(r), digits, &exponent);
    if (exponent < -4 || exponent >= 16)
        write_exponent_form(out, digits, count, exponent);
    else
        write_point_form(out, digits, count, exponent);
}

static void write_scalar(buf_t *out, value_t v) {
    switch (v.kind) {
    case VALUE_BOOL: buf_adds(out, v.boolean ? "True" : "False"); return;
    case VALUE_INT: text_write_int(out, v.integer); return;
    case VALUE_REAL: text_write_real(out, v.real); return;
    case VALUE_BIGINT: buf_add(out, v.string->data, v.string->len); return;
    default: buf_adds(out, "None"); return;
    }
}

/* A character that repr() does not show as it is. */
static void write_escape(buf_t *out, uint32_t cp) {
    switch (cp) {
    case '\n': buf_adds(out, "\\n"); return;
    case '\r': buf_adds(out, "\\r"); return;
    case '\t': buf_adds(out, "\\t"); return;
    default: break;
    }
    if (cp < 0x100)
        buf_addf(out, "\\x%02x", cp);
    else if (cp < 0x10000)
        buf_addf(out, "\\u%04x", cp);
    else
        buf_addf(out, "\\U%08x", cp);
}

/* Single quotes, unless the text holds single quotes and no double ones. */
static char choose_quote(const str_t *s) {
    return memchr(s->data, '\'', s->len) && !memchr(s->data, '"', s->len) ? '"' : '\'';
}

/* Writes the character at the front, which is not plain ASCII. Returns how many bytes it has. */
static size_t write_char_repr(buf_t *out, const char *bytes, size_t len) {
    uint32_t cp;
    int n = utf8_decode(bytes, len, &cp);
    if (n == 0) {
        write_escape(out, (unsigned char)bytes[0]);
        return 1;
    }
    if (cp == '\\' || cp == '\'' || cp == '"') buf_addc(out, '\\');
    if (is_printable(cp))
        buf_add(out, bytes, (size_t)n);
    else
        write_escape(out, cp);
    return (size_t)n;
}

static void write_str_repr(buf_t *out, const str_t *s) {
    char quote = choose_quote(s);
    buf_addc(out, quote);
    for (size_t at = 0; at < s->len;) {
        size_t run = ascii_plain_run(s->data + at, s->len - at, quote);
        buf_add(out, s->data + at, run);
        at += run;
        if (at < s->len) at += write_char_repr(out, s->data + at, s->len - at);
    }
    buf_addc(out, quote);
}

static const tree_form_t REPR = {", ", ": ", write_scalar, write_str_repr};

void text_write_repr(buf_t *out, value_t v) { tree_write(out, v, &REPR); }

void text_write(buf_t *out, value_t v) {
    if (v.kind == VALUE_STRING)
        buf_add(out, v.string->data, v.string->len);
    else
        text_write_repr(out, v);
}

str_t *text_of(value_t v) {
    if (v.kind == VALUE_STRING) return str_ref(v.string);
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    text_write(&out, v);
    str_t *s = str_new(out.data, out.len);
    buf_free(&out);
    return s;
}

/* ---- numbers out of text */

static bool is_space(uint32_t cp) {
    if (cp < 0x80) return cp == ' ' || (cp >= '\t' && cp <= '\r') || (cp >= 0x1C && cp <= 0x1F);
    return cp == 0x85 || cp == 0xA0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202F || cp == 0x205F || cp == 0x3000;
}

/* How many bytes the last character of a non-empty text has; 0 when they are not valid. */
static int decode_last(const char *bytes, size_t len, uint32_t *cp) {
    for (size_t n = 1; n <= 4 && n <= len; n++)
        if (utf8_decode(bytes + len - n, n, cp) == (int)n) return (int)n;
    return 0;
}

void text_trim(const char **bytes, size_t *len) {
    uint32_t cp;
    int n;
    while (*len && (n = utf8_decode(*bytes, *len, &cp)) && is_space(cp)) {
        *bytes += n;
        *len -= (size_t)n;
    }
    while (*len && (n = decode_last(*bytes, *len, &cp)) && is_space(cp))
        *len -= (size_t)n;
}

/* Writes decimal digits of any script as ASCII and everything else as it is, as Python does before it reads a
 * number. */
static void write_ascii_digits(buf_t *out, const char *bytes, size_t len) {
    for (size_t at = 0; at < len;) {
        uint32_t cp;
        int n = utf8_decode(bytes + at, len - at, &cp);
        uint32_t digit = 0;
        if (n > 1)
            for (; digit < 10 && !find_range(TEXT_DIGITS, TEXT_DIGITS_COUNT, cp - digit);)
                digit++;
        if (n > 1 && digit < 10)
            buf_addc(out, (char)('0' + digit));
        else
            buf_add(out, bytes + at, n ? (size_t)n : 1);
        at += n ? (size_t)n : 1;
    }
}

static const char *skip_digits(const char *at, const char *end) {
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* True when [at, end) is digits with an optional fraction and exponent; *whole: it is digits alone. */
static bool is_number(const char *at, const char *end, bool *whole) {
    const char *point = skip_digits(at, end);
    size_t digits = (size_t)(point - at);
    *whole = point == end;
    if (point < end && *point == '.') {
        const char *fraction = skip_digits(point + 1, end);
        digits += (size_t)(fraction - point - 1);
        point = fraction;
    }
    if (digits == 0) return false;
    if (point == end || (*point != 'e' && *point != 'E')) return point == end;
    point++;
    if (point < end && (*point == '+' || *point == '-')) point++;
    return point < end && skip_digits(point, end) == end;
}

/* Reads a sign and a number; an integer when it is digits alone, else a real. */
static bool ascii_to_number(const char *bytes, size_t len, value_t *out) {
    const char *at = bytes, *end = bytes + len;
    bool negative = len && *at == '-', whole;
    if (len && (*at == '-' || *at == '+')) at++;
    if (!is_number(at, end, &whole)) return false;
    size_t digits = (size_t)(end - at);
    value_t n;
    if (whole) {
        n = integer_from_digits(at, digits, negative);
    } else {
        double r = real_parse(at, digits);
        n = value_real(negative ? -r : r);
    }
    if (n.kind == VALUE_REAL && isinf(n.real)) return false;
    *out = n;
    return true;
}

bool text_to_exact_number(const char *bytes, size_t len, value_t *out) {
    text_trim(&bytes, &len);
    bool ascii = true;
    for (size_t i = 0; i < len && ascii; i++)
        ascii = (unsigned char)bytes[i] < 0x80;
    if (ascii) return ascii_to_number(bytes, len, out);
    buf_t plain;
    buf_init(&plain, len);
    write_ascii_digits(&plain, bytes, len);
    bool ok = ascii_to_number(plain.data, plain.len, out);
    buf_free(&plain);
    return ok;
}

bool text_to_number(const char *bytes, size_t len, value_t *out) {
    value_t n;
    if (!text_to_exact_number(bytes, len, &n)) return false;
    if (n.kind == VALUE_BIGINT) value_replace(&n, value_real(integer_to_real(n)));
    if (n.kind == VALUE_REAL && isinf(n.real)) return false;
    *out = n;
    return true;
}

/* ---- upper and lower case */

typedef struct case_tables {
    const text_mapping_t *mapping;
    const size_t *mapping_count;
    const text_special_t *special;
    const size_t *special_count;
} case_tables_t;

static const case_tables_t UPPER = {TEXT_UPPER, &TEXT_UPPER_COUNT, TEXT_UPPER_SPECIAL,
                                    &TEXT_UPPER_SPECIAL_COUNT};
static const case_tables_t LOWER = {TEXT_LOWER, &TEXT_LOWER_COUNT, TEXT_LOWER_SPECIAL,
                                    &TEXT_LOWER_SPECIAL_COUNT};

static uint32_t map_one(const case_tables_t *t, uint32_t cp) {
    size_t lo = 0, count = *t->mapping_count;
    for (size_t hi = count; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        if (t->mapping[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == count) return cp;
    const text_mapping_t *m = &t->mapping[lo];
    if (cp < m->first || (cp - m->first) % m->step) return cp;
    return (uint32_t)((int32_t)cp + m->delta);
}

static const text_special_t *find_special(const case_tables_t *t, uint32_t cp) {
    size_t lo = 0, count = *t->special_count;
    for (size_t hi = count; lo < hi;) {
        size_t mid = (lo + hi) / 2;
        if (t->special[mid].from < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < count && t->special[lo].from == cp ? &t->special[lo] : NULL;
}

static void write_mapped(buf_t *out, const case_tables_t *t, uint32_t cp) {
    const text_special_t *special = find_special(t, cp);
    if (!special) {
        utf8_write(out, map_one(t, cp));
        return;
    }
    for (int i = 0; i < 3 && special->to[i]; i++)
        utf8_write(out, special->to[i]);
}

enum { CAPITAL_SIGMA = 0x3A3, SMALL_SIGMA = 0x3C3, FINAL_SIGMA = 0x3C2 };

static bool is_cased(uint32_t cp) { return find_range(TEXT_CASED, TEXT_CASED_COUNT, cp); }
static bool is_ignorable(uint32_t cp) {
    return find_range(TEXT_CASE_IGNORABLE, TEXT_CASE_IGNORABLE_COUNT, cp);
}

static bool cased_before(const char *bytes, size_t len) {
    uint32_t cp;
    for (int n; len && (n = decode_last(bytes, len, &cp)); len -= (size_t)n)
        if (!is_ignorable(cp)) return is_cased(cp);
    return false;
}

static bool cased_after(const char *bytes, size_t len) {
    uint32_t cp;
    for (int n; len && (n = utf8_decode(bytes, len, &cp)); bytes += n, len -= (size_t)n)
        if (!is_ignorable(cp)) return is_cased(cp);
    return false;
}

/* What a capital sigma becomes: the final form at the end of a word. */
static uint32_t lower_sigma(const char *bytes, size_t len, size_t at) {
    bool last = cased_before(bytes, at) && !cased_after(bytes + at + 2, len - at - 2);
    return last ? FINAL_SIGMA : SMALL_SIGMA;
}

static char ascii_case(char c, bool upper) {
    if (upper) return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Writes the ASCII characters at the front. Returns how many there are. */
static size_t write_ascii_case(buf_t *out, const char *bytes, size_t len, bool upper) {
    char *to = out->full ? NULL : buf_reserve(out, len);
    size_t n = 0;
    for (; to && n < len && (unsigned char)bytes[n] < 0x80; n++)
        to[n] = ascii_case(bytes[n], upper);
    out->len += n;
    if (n) out->data[out->len] = '\0';
    return n;
}

static void write_case(buf_t *out, const char *bytes, size_t len, bool upper) {
    for (size_t at = write_ascii_case(out, bytes, len, upper); at < len;) {
        uint32_t cp;
        int n = utf8_decode(bytes + at, len - at, &cp);
        if (n <= 1)
            buf_addc(out, n ? ascii_case(bytes[at], upper) : bytes[at]);
        else if (!upper && cp == CAPITAL_SIGMA)
            utf8_write(out, lower_sigma(bytes, len, at));
        else
            write_mapped(out, upper ? &UPPER : &LOWER, cp);
        at += n ? (size_t)n : 1;
    }
}

void text_upper(buf_t *out, const char *bytes, size_t len) { write_case(out, bytes, len, true); }
void text_lower(buf_t *out, const char *bytes, size_t len) { write_case(out, bytes, len, false); }
