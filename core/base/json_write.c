/* json_write.c - values to JSON text.
 *
 * Strings are copied in runs: only to find the end of a run, a byte that needs an escape or is not UTF-8, are
 * bytes looked at one by one. tree.c walks lists and objects.
 */
#include "core/base/json.h"

#include "core/base/text.h"
#include "core/base/tree.h"

#include <math.h>

static void write_escape(buf_t *out, unsigned char c) {
    switch (c) {
    case '"': buf_add(out, "\\\"", 2); return;
    case '\\': buf_add(out, "\\\\", 2); return;
    case '\b': buf_add(out, "\\b", 2); return;
    case '\f': buf_add(out, "\\f", 2); return;
    case '\n': buf_add(out, "\\n", 2); return;
    case '\r': buf_add(out, "\\r", 2); return;
    case '\t': buf_add(out, "\\t", 2); return;
    default: break;
    }
    char text[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
    buf_add(out, text, sizeof text);
}

/* Length of the run of valid non-ASCII characters at `at`. DEL counts as one: JSON does not escape it. */
static size_t wide_run(const char *at, size_t len) {
    size_t run = 0;
    uint32_t cp;
    while (run < len && (unsigned char)at[run] >= 0x7F) {
        int n = utf8_decode(at + run, len - run, &cp);
        if (n == 0) break;
        run += (size_t)n;
    }
    return run;
}

/* Copies what was looked at in one piece whenever a byte needs an escape, and at the end. */
void json_write_string(buf_t *out, const char *bytes, size_t len) {
    buf_addc(out, '"');
    size_t done = 0; /* written so far */
    size_t at = 0;   /* looked at so far; done..at is to be copied */
    while (at < len) {
        size_t run = ascii_plain_run(bytes + at, len - at, '"');
        run += wide_run(bytes + at + run, len - at - run);
        at += run;
        if (run) continue;
        buf_add(out, bytes + done, at - done);
        if ((unsigned char)bytes[at] < 0x80)
            write_escape(out, (unsigned char)bytes[at]);
        else
            utf8_write(out, 0xFFFD);
        done = ++at;
    }
    buf_add(out, bytes + done, len - done);
    buf_addc(out, '"');
}

/* Apart, so that write_scalar stays small: they are rare. */
static __attribute__((noinline)) void write_digits(buf_t *out, const str_t *digits) {
    buf_add(out, digits->data, digits->len);
}

static void write_scalar(buf_t *out, value_t v) {
    switch (v.kind) {
    case VALUE_BOOL: buf_adds(out, v.boolean ? "true" : "false"); return;
    case VALUE_INT: text_write_int(out, v.integer); return;
    case VALUE_BIGINT: write_digits(out, v.string); return;
    case VALUE_REAL:
        if (isfinite(v.real))
            text_write_real(out, v.real);
        else
            buf_add(out, "null", 4);
        return;
    default: buf_add(out, "null", 4); return;
    }
}

static void write_str(buf_t *out, const str_t *s) { json_write_string(out, s->data, s->len); }

static const tree_form_t COMPACT = {",", ":", write_scalar, write_str};
static const tree_form_t PYTHON = {", ", ": ", write_scalar, write_str};

void json_write(buf_t *out, value_t v, json_style_t style) {
    tree_write(out, v, style == JSON_PYTHON ? &PYTHON : &COMPACT);
}
