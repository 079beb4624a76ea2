/* <sdg/base.h> - what all parts of libsdg share: version, errors, and the rules below.
 *
 * Ownership. A pointer that a function returns as `const` is borrowed; any other is yours, and the comment
 * names the function that releases it. What you pass in stays yours and is copied where it is needed longer.
 * `..._destroy(&x)` sets your pointer to NULL; a pointer that is NULL already is fine.
 *
 * Structs. Those that you fill or hand over begin with `size`: set it to sizeof of the struct and all you do
 * not use to 0, which stands for the default. The library reads and writes no more than that, so a program
 * goes on working with a later library whose struct has further fields. Structs that the library hands out
 * are only read.
 *
 * Texts end with a NUL byte and are UTF-8, unless a length stands beside them.
 *
 * Errors. A function that can fail returns 0 (SDG_OK) or a negative code, or NULL, and fills an sdg_error_t,
 * which may be NULL. A call that breaks the rule of its comment, such as a NULL where none is allowed, is a
 * bug: an assert ends the process. So does running out of memory.
 *
 * Threads. Objects share nothing: any number of threads may work, each with its own. An object belongs to one
 * thread at a time. */
#ifndef SDG_PUBLIC_BASE_H
#define SDG_PUBLIC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sdg/codes.h>
#include <sdg/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what libsdg exports. */
#define SDG_API __attribute__((visibility("default")))

/* bytes of a sentence with its NUL; longer ones end in "..." */
#define SDG_ERROR_TEXT_MAX 512

typedef struct sdg_error {
    int code;                      /* negative, from <sdg/codes.h> */
    char text[SDG_ERROR_TEXT_MAX]; /* one sentence for people; never empty after a failure, no newline */
} sdg_error_t;

/* The version of the library in use, "0.1.0"; a constant. SDG_VERSION is that of the headers. */
SDG_API const char *sdg_version(void);

/* The name of a code, "SDG_EINVAL"; "unknown code" for a number that is none. A constant. */
SDG_API const char *sdg_code_name(int code);

/* Releases a text or bytes that a function returned as yours; NULL is fine. */
SDG_API void sdg_free(void *bytes);

#ifdef __cplusplus
}
#endif

#endif
