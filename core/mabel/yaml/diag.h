/* diag.h - all problems of a pipeline file, written for people:
 *
 *   p.yaml:12:7: error: blocks[3].regex: not a regular expression: ...
 *       regex: (unclosed
 *              ^
 *
 * A problem has a level, a place (line, column, path in the tree) and a sentence that says what to do. */
#ifndef SDG_MABEL_YAML_DIAG_H
#define SDG_MABEL_YAML_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

typedef enum diag_level { DIAG_HINT, DIAG_WARNING, DIAG_ERROR } diag_level_t;

/* A place in the tree, "blocks[3].outputs[0].regex": a chain on the C stack from the root to here. A link
 * with a NULL key is an index. */
typedef struct ypath {
    const struct ypath *up;
    const char *key;
    size_t index;
} ypath_t;
#define YPATH_KEY(up_, key_) (&(const ypath_t){.up = (up_), .key = (key_)})
#define YPATH_AT(up_, index_) (&(const ypath_t){.up = (up_), .key = NULL, .index = (index_)})
void ypath_write(buf_t *out, const ypath_t *path);

typedef struct diag {
    diag_level_t level;
    uint32_t line, col; /* 1-based; 0 = the file as a whole */
    char *path;         /* owned, "" at the root */
    char *message;      /* owned: what is wrong, what was expected, "did you mean ..." */
} diag_t;

typedef struct diags {
    char *file;         /* owned: name shown */
    const char *source; /* the file's bytes, borrowed, for the caret line; may be NULL */
    size_t source_len;
    diag_t *items;
    size_t count, cap;
    size_t errors, warnings, dropped; /* dropped: beyond DIAG_MAX */
} diags_t;

void diags_init(diags_t *d, const char *file, const char *source, size_t len);
void diags_free(diags_t *d);
void diag_add(diags_t *d, diag_level_t level, uint32_t line, uint32_t col, const ypath_t *path,
              const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Makes errors of all warnings (--strict). */
void diags_raise(diags_t *d);
/* Appends all problems of at least this level, in file order, in the form shown above. */
void diags_write(const diags_t *d, diag_level_t least, buf_t *out);

/* The nearest of `names` to `word` (edit distance <= 1/3 of its length), or NULL. */
const char *diag_nearest(const char *word, const char *const *names, size_t count);

#endif
