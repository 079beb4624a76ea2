/* mex.h - MEX expressions: compiled once at load, evaluated without re-parsing (mabel.md section 5).
 *
 * An expression is a literal, a list, or an object; an object with one key that is an operator is a call.
 * Evaluation is recursive but its depth is checked at compile time (MEX_DEPTH_MAX), produced sizes and
 * operation counts at run time. Integers stay integers.
 */
#ifndef SDG_MABEL_MEX_MEX_H
#define SDG_MABEL_MEX_MEX_H

#include "core/mabel/text/scope.h"
#include "core/mabel/yaml/diag.h"
#include "core/mabel/yaml/yaml.h"

typedef struct mex mex_t;

typedef enum mex_mode {
    /* A one-key object whose key is no operator is a literal. */
    MEX_VALUE,
    /* run_if, cond, where: a one-key object whose key is no operator is an error. A string may be a condition
     * written as JSON. An empty one ({}, null, "", the text "{}") is no condition: it is true. */
    MEX_CONDITION,
    /* An operand of and, or, not: the same, but an empty one is a value, which is false. */
    MEX_OPERAND,
} mex_mode_t;

/* NULL after an error (reported in diags, all of them). `doc` takes the nodes of JSON-text conditions. */
mex_t *mex_compile(ydoc_t *doc, const ynode_t *node, const ypath_t *path, mex_mode_t mode, diags_t *diags);
void mex_destroy(mex_t **m);

/* Evaluates; *out owned by the caller, null on error. err is a sentence ("div: division by zero"). */
int mex_eval(const mex_t *m, scope_t *scope, value_t *out, err_t *err);
int mex_eval_bool(const mex_t *m, scope_t *scope, bool *out, err_t *err); /* truthiness of the value */

bool mex_is_operator(const char *name);

#endif
