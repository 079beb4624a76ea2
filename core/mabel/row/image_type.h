/* image_type.h - what kind of picture bytes are, by what every file of that kind begins with. */
#ifndef SDG_MABEL_ROW_IMAGE_TYPE_H
#define SDG_MABEL_ROW_IMAGE_TYPE_H

#include <stdbool.h>
#include <stddef.h>

/* "image/png", ...; NULL: these bytes are no picture of a kind that is known. */
const char *image_type_of(const char *bytes, size_t len);
/* Do two media types mean the same? "image/jpg" is image/jpeg; case and parameters do not count. */
bool image_type_same(const char *a, const char *b);

#endif
