/* words.c - see words.h. */
#include "core/base/words.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/text.h"

void words_count(buf_t *out, uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) buf_addc(out, ',');
        buf_addc(out, digits[i]);
    }
}

const char *words_choose(uint64_t n, const char *one, const char *many) { return n == 1 ? one : many; }

void words_plural(buf_t *out, uint64_t n, const char *one, const char *many) {
    words_count(out, n);
    buf_addf(out, " %s", words_choose(n, one, many));
}

void words_duration(buf_t *out, uint64_t ns) {
    double s = (double)ns / 1e9;
    uint64_t whole = (uint64_t)(s + 0.5);
    if (s < 1)
        buf_addf(out, "%.3g ms", s * 1e3);
    else if (s < 60)
        buf_addf(out, "%.1f s", s);
    else if (s < 3600)
        buf_addf(out, "%" PRIu64 "m%02us", whole / 60, (unsigned)(whole % 60));
    else
        buf_addf(out, "%" PRIu64 "h%02um", whole / 3600, (unsigned)(whole / 60 % 60));
}

void words_bytes(buf_t *out, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    int u = 0;
    for (; n >= 1024 && u < 4; u++) {
        n /= 1024;
    }
    buf_addf(out, n < 10 && u > 0 ? "%.1f %s" : "%.0f %s", n, units[u]);
}

void words_wait(buf_t *out, uint64_t ms) {
    uint64_t s = ms / 1000;
    if (s < 60)
        buf_addf(out, "%" PRIu64 " s", s);
    else if (s < 3600)
        buf_addf(out, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
    else
        buf_addf(out, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s / 60 % 60));
}

/* ---- on a terminal */

/* One character as a terminal shows it. */
typedef struct shown {
    const char *bytes; /* a blank for a control, "?" for a byte that is no UTF-8 */
    size_t len;
    unsigned columns;
} shown_t;

static bool is_control(uint32_t c) { return c < ' ' || (c >= 0x7F && c < 0xA0); }

/* Returns the bytes of the text that the character takes. */
static size_t take_character(const char *text, size_t len, shown_t *shown) {
    uint32_t c;
    int bytes = utf8_decode(text, len, &c);
    if (bytes == 0)
        *shown = (shown_t){"?", 1, 1};
    else if (is_control(c))
        *shown = (shown_t){" ", 1, 1};
    else
        *shown = (shown_t){text, (size_t)bytes, text_width(c)};
    return bytes ? (size_t)bytes : 1;
}

uint64_t words_columns(const char *text, size_t len) {
    uint64_t all = 0;
    shown_t c;
    for (size_t i = 0; i < len; all += c.columns) {
        i += take_character(text + i, len - i, &c);
    }
    return all;
}

void words_fit(buf_t *out, const char *text, size_t len, uint64_t columns) {
    bool cut = words_columns(text, len) > columns;
    uint64_t left = cut && columns ? columns - 1 : columns; /* the ellipsis takes one */
    shown_t c;
    for (size_t i = 0; i < len;) {
        i += take_character(text + i, len - i, &c);
        if (c.columns > left) break;
        buf_add(out, c.bytes, c.len);
        left -= c.columns;
    }
    if (cut && columns) buf_adds(out, "…");
}
