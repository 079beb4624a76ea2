/* tags.h - finds <name> and </name> in text: in any case, with white space and attributes, and cleans what
 * stands between them. The text is no XML: an angle bracket that begins no such tag is text. */
#ifndef SDG_MABEL_TEXT_TAGS_H
#define SDG_MABEL_TEXT_TAGS_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of a text that somebody else owns. */
typedef struct span {
    const char *bytes;
    size_t len;
} span_t;

/* Moves *at behind the next <name ...>; false when there is none. Blanks may stand before the name. A
 * self-closing tag is no opening tag. */
bool tags_next_open(const char **at, const char *end, span_t name);
/* Where the next </name> begins, and in *behind where it ends; NULL when there is none. */
const char *tags_next_close(const char *from, const char *end, span_t name, const char **behind);
/* Trims a hit, and removes closing tags at either end that nothing in the hit opens. */
void tags_clean(span_t *hit);

#endif
