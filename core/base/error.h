/* error.h - how a function says that it failed.
 *
 * A function that can fail returns 0 or one of the negative codes of codes.h and, if the caller gave it an
 * `err_t`, fills it with the code and one sentence for people.
 *
 * This project tells four kinds of failure apart:
 *
 *   bug                an assert, in release builds too
 *   bad message        a reason in words; the message is counted and dropped (proto/)
 *   operating failure  429, timeout, bad row: data in a result, not an error of a function
 *   fatal              only main() ends the process, with one sentence that says what to do
 *
 * Out of memory is fatal everywhere (the xmalloc family): the libraries below us do the same, and every queue
 * of this program is bounded. */
#ifndef SDG_BASE_ERROR_H
#define SDG_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#include "core/base/codes.h"

enum { ERR_TEXT_MAX = 512 }; /* one sentence; longer texts are cut with "..." */

typedef struct err {
    int code;
    char text[ERR_TEXT_MAX];
} err_t;

/* No error and no sentence; the bytes behind the sentence are left as they are. */
static inline void err_clear(err_t *err) {
    err->code = 0;
    err->text[0] = '\0';
}

/* Fills `err` (may be NULL) and returns `code`: `return err_set(err, SDG_EINVAL, "...")` is one line. */
int err_set(err_t *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "<prefix>: " before the sentence already in `err`; returns err->code. */
int err_prefix(err_t *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Allocation that does not fail: when memory is exhausted the process ends with one sentence. What these give
 * is released with free. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t n) __attribute__((malloc, returns_nonnull));
/* printf into fresh memory; the caller frees. */
char *xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
