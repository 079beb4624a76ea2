/* public.h - how the public functions speak to the inside; not installed.
 *
 * To add a public function: declare it in a header of this folder with SDG_API and a comment, define it in
 * the source of that name, and add it to deploy/cmake/libsdg.map. A new header is added to the list in
 * deploy/cmake/install.cmake. tests/test_public.py holds the three against each other. */
#ifndef SDG_PUBLIC_PUBLIC_H
#define SDG_PUBLIC_PUBLIC_H

#include <sdg/base.h>

#include "core/base/error.h"

/* Hands an inner error out: fills *error (may be NULL) from *inner and returns `code`. 0 leaves *error as it
 * was. An inner error without a sentence gets the name of its code. */
int public_error(sdg_error_t *error, int code, const err_t *inner);

/* Reads a struct of the caller that begins with its size: *into, of known_size bytes, becomes what both sides
 * know of it, and 0 for the rest. SDG_EINVAL with `what` in the sentence when the size was not set. */
int public_read(void *into, size_t known_size, const void *from, const char *what, sdg_error_t *error);

/* Writes a struct of the caller that begins with its size: as much of *from as that size has room for. The
 * size itself stays as it is. */
void public_write(void *into, const void *from, size_t known_size);

#endif
