/* scope.h - where names come from while a row runs: step and loop locals, the block's connections, row
 * context (input columns and outputs of earlier blocks), globals.vars, globals.const; for placeholders also
 * templates and files, in that order. */
#ifndef SDG_MABEL_TEXT_SCOPE_H
#define SDG_MABEL_TEXT_SCOPE_H

#include "core/base/error.h"
#include "core/base/rng.h"
#include "core/base/value.h"

struct assets; /* assets.h */

/* A name and its value. */
typedef struct local {
    str_t *name;
    value_t value;
} local_t;

/* A frame of local names: few, searched one by one, by pointer and then by hash. Frames chain through
 * `outer`. A call of a logic function starts a chain of its own (outer is NULL): a callee does not see its
 * caller's locals. */
typedef struct locals {
    struct locals *outer;
    local_t *slots; /* owned by the owner of the frame */
    uint32_t count, cap;
    /* True for the frame of a MEX lambda or let: `set` assigns a name that is bound here, and in any case
     * goes on to the frame of the step around the expression. */
    bool expression;
} locals_t;
value_t *locals_find(locals_t *l, str_t *name);          /* this frame and outer ones; NULL */
void locals_set(locals_t *l, str_t *name, value_t take); /* in this very frame (replaces or adds) */
void locals_free(locals_t *l);                           /* values and slots of this frame */

typedef struct scope {
    locals_t *locals;            /* innermost; NULL outside steps */
    value_t overlay;             /* object or null: connections of the running block; borrowed */
    value_t *context;            /* object */
    value_t *vars;               /* object: this row's copy */
    value_t consts;              /* object; borrowed */
    const struct assets *assets; /* templates and files; NULL: none */
    rng_t *rng;                  /* for rand, randint, choose */
    uint64_t ops;                /* MEX operations spent so far in the running expression (MEX_OPS_MAX) */
    uint64_t zeros;              /* operands of arithmetic so far that were no number and counted as 0 */
} scope_t;

/* What a name stands for: locals, overlay, context, vars, const. NULL: nothing has that name. Borrowed, until
 * something is set. */
const value_t *scope_find(const scope_t *s, str_t *name);
/* The same from overlay and context only (MEX `ref`). */
const value_t *scope_find_in_context(const scope_t *s, str_t *name);
/* `set`: writes the innermost frame, if there is one, and globals.vars. The name of a constant is refused
 * with SDG_EINVAL. */
int scope_set(scope_t *s, str_t *name, value_t take, err_t *err);

/* The value at a path "b[0].c" inside another one. Negative indexes count from the end. Borrowed; NULL:
 * nothing is there. */
const value_t *value_path_find(const value_t *root, const char *path, size_t len);
/* A copy of root with the value at path replaced; missing objects on the way are created. */
int value_path_set(value_t root, const char *path, size_t len, value_t take, value_t *out, err_t *err);

/* A name as placeholders and MEX `var` write it, "a.b[0].c", cut once. Tried as one key first, then "a.b" as
 * the key and the rest as a path, then "a" and the rest. */
typedef struct dotted {
    str_t *whole;
    str_t *listed; /* what stands before the first '[', when that has dots; NULL otherwise */
    str_t *root;   /* the first name; NULL when the name has no path */
} dotted_t;
/* scope_find or scope_find_in_context. */
typedef const value_t *dotted_lookup_fn(const scope_t *s, str_t *name);
void dotted_init(dotted_t *d, const char *name, size_t len);
void dotted_free(dotted_t *d);
/* The slow part of dotted_find, which alone calls it: the name is no key as it stands. */
const value_t *dotted_find_path(const dotted_t *d, const scope_t *s, dotted_lookup_fn *lookup);
/* The value of the name, borrowed; NULL: nothing has that name. */
static inline const value_t *dotted_find(const dotted_t *d, const scope_t *s, dotted_lookup_fn *lookup) {
    const value_t *v = lookup(s, d->whole);
    return v || !d->root ? v : dotted_find_path(d, s, lookup);
}

#endif
