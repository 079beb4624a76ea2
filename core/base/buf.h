/* buf.h - a growing byte buffer that knows its maximum from birth.
 *
 * `data` is always NUL-terminated once anything was added (the NUL is not counted in `len`). Appending past
 * `max` sets `full` and drops the bytes: check `full` once at the end instead of after every call (like
 * curl's dynbuf).
 */
#ifndef SDG_BASE_BUF_H
#define SDG_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct buf {
    char *data; /* owned; NULL while empty */
    size_t len; /* bytes used */
    size_t cap; /* bytes allocated */
    size_t max; /* most bytes it may ever hold */
    bool full;  /* an append was refused because of `max` */
} buf_t;

void buf_init(buf_t *b, size_t max);
void buf_free(buf_t *b);  /* releases memory; the buffer may be used again (same max) */
void buf_reset(buf_t *b); /* len = 0, full = false, memory kept */
/* The rest of buf_add, for a buffer that has to grow or is full. Nobody else calls it. */
void buf_add_slowly(buf_t *b, const void *bytes, size_t n);
static inline void buf_add(buf_t *b, const void *bytes, size_t n) {
    if (b->full || n >= b->cap - b->len) {
        buf_add_slowly(b, bytes, n);
        return;
    }
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}
static inline void buf_addc(buf_t *b, char c) { buf_add(b, &c, 1); }
void buf_adds(buf_t *b, const char *text);
void buf_addf(buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at data + len; NULL if they would pass max. The caller writes there and adds to
 * len. */
char *buf_reserve(buf_t *b, size_t n);
void buf_cut_front(buf_t *b, size_t n); /* removes the first n bytes (n <= len) */
/* Gives the bytes away (NUL-terminated, caller frees, never NULL); the buffer is empty afterwards. */
char *buf_take(buf_t *b, size_t *len);

#endif
