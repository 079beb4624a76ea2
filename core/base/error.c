/* error.c - error sentences and allocation that does not fail.
 *
 * A sentence is formatted aside first, so that an err_t may be quoted in its own new text. A sentence that
 * does not fit ends in "..." and is never cut inside a UTF-8 character.
 */
#include "core/base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ending.h"

static const char CUT_MARK[] = "...";

/* Ends a text that was cut at `size - 1` bytes with the mark, before a character that would be split. */
static void mark_cut(char *text, size_t size) {
    size_t at = size - sizeof CUT_MARK;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    memcpy(text + at, CUT_MARK, sizeof CUT_MARK);
}

static void format_sentence(char *text, size_t size, const char *fmt, va_list args) {
    int n = vsnprintf(text, size, fmt, args);
    if (n < 0) text[0] = '\0';
    if (n >= (int)size) mark_cut(text, size);
}

int err_set(err_t *err, int code, const char *fmt, ...) {
    if (!err) return code;
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    format_sentence(text, sizeof text, fmt, args);
    va_end(args);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return code;
}

int err_prefix(err_t *err, const char *fmt, ...) {
    if (!err) return SDG_OK;
    char prefix[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    format_sentence(prefix, sizeof prefix, fmt, args);
    va_end(args);
    return err_set(err, err->code, "%s: %s", prefix, err->text);
}

static _Noreturn void out_of_memory(size_t size) {
    char what[64];
    snprintf(what, sizeof what, "no memory for %zu bytes", size);
    ending_short(what);
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p) out_of_memory(size);
    return p;
}

void *xcalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) out_of_memory(count * size);
    return p;
}

void *xrealloc(void *old, size_t size) {
    void *p = realloc(old, size ? size : 1);
    if (!p) out_of_memory(size);
    return p;
}

char *xstrdup(const char *text) { return xstrndup(text, strlen(text)); }

char *xstrndup(const char *text, size_t n) {
    size_t len = n ? strnlen(text, n) : 0; /* nothing may be NULL */
    char *copy = xmalloc(len + 1);
    if (len) memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *xasprintf(const char *fmt, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) out_of_memory(0);
    return text;
}
