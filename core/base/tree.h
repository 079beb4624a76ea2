/* tree.h - writes a value as nested text: what JSON and Python's repr have in common. Deep values do not
 * recurse. */
#ifndef SDG_BASE_TREE_H
#define SDG_BASE_TREE_H

#include "core/base/buf.h"
#include "core/base/value.h"

typedef struct tree_form {
    const char *comma;                          /* between elements: "," or ", " */
    const char *colon;                          /* behind a key: ":" or ": " */
    void (*scalar)(buf_t *out, value_t v);      /* writes anything that is not a list or object */
    void (*string)(buf_t *out, const str_t *s); /* writes strings, keys too */
} tree_form_t;

void tree_write(buf_t *out, value_t v, const tree_form_t *form);

#endif
