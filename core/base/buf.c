/* buf.c - the growing byte buffer.
 *
 * Once `full`, everything more is dropped until buf_reset: what the buffer holds is then always a prefix of
 * what was meant to be in it. Memory doubles, so that n appends cost O(n); the allocation is never above max
 * + 1.
 */
#include "core/base/buf.h"

#include "core/base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 }; /* bytes of the first allocation: most texts of a row fit */

void buf_init(buf_t *b, size_t max) {
    assert(max < SIZE_MAX / 2);
    *b = (buf_t){.max = max};
}

void buf_free(buf_t *b) {
    free(b->data);
    buf_init(b, b->max);
}

void buf_reset(buf_t *b) {
    b->len = 0;
    b->full = false;
    if (b->data) b->data[0] = '\0';
}

/* Makes cap >= need + 1 (the NUL); need <= max. */
static void buf_grow(buf_t *b, size_t need) {
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < need + 1)
        cap *= 2;
    if (cap > b->max + 1) cap = b->max + 1;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

char *buf_reserve(buf_t *b, size_t n) {
    if (n > b->max - b->len) return NULL;
    if (b->len + n >= b->cap) buf_grow(b, b->len + n);
    return b->data + b->len;
}

void buf_add_slowly(buf_t *b, const void *bytes, size_t n) {
    char *room = b->full ? NULL : buf_reserve(b, n);
    if (!room) {
        b->full = true;
        return;
    }
    if (n) memcpy(room, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_adds(buf_t *b, const char *text) { buf_add(b, text, strlen(text)); }

/* A text that does not fit into `small` is formatted a second time, in memory of its size. */
void buf_addf(buf_t *b, const char *fmt, ...) {
    char small[256];
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
    } else {
        char *large = xmalloc((size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, fmt, again);
        buf_add(b, large, (size_t)n);
        free(large);
    }
    va_end(again);
}

void buf_cut_front(buf_t *b, size_t n) {
    assert(n <= b->len);
    if (n == 0) return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
    b->data[b->len] = '\0';
}

char *buf_take(buf_t *b, size_t *len) {
    char *bytes = b->data ? b->data : xcalloc(1, 1);
    bytes[b->len] = '\0';
    if (len) *len = b->len;
    buf_init(b, b->max);
    return bytes;
}
