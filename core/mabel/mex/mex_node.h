/* mex_node.h - inside MEX: the compiled node, the operator table's row, and what operators share. Only
 * mex_*.c include it.
 *
 * A node knows the function that evaluates it. Its children are in `args`: for an operator with parameters in
 * the order of the table's `params`, NULL for one that was not given. An operator reads its operands, frees
 * them, and writes *out only when it succeeds.
 *
 * To add an operator: write mex_run_<name> in the file of its subject, declare it here, add its row in
 * mex_table.c. */
#ifndef SDG_MABEL_MEX_MEX_NODE_H
#define SDG_MABEL_MEX_MEX_NODE_H

#include "core/base/buf.h"
#include "core/mabel/mex/limits.h"
#include "core/mabel/mex/mex.h"
#include "core/mabel/text/regex.h"
#include "core/mabel/text/template.h"

typedef int mex_run_fn(const mex_t *m, scope_t *s, value_t *out, err_t *err);

typedef enum mex_shape {
    SHAPE_OPERANDS, /* {add: [a, b, ...]}; anything but a list written there gives the list at run time */
    SHAPE_ONE,      /* {len: x}: the operand as it stands, a list too; or {list, fn, ...} by name */
    SHAPE_UNWRAP,   /* {neg: x} or {neg: [x]} */
    SHAPE_ARGS, /* {split: [text, sep]} in order, {slice: {list, start, end}} by name, {range: end} alone */
    SHAPE_NAME, /* {var: name} */
    SHAPE_CASE, /* {case: {when, else}} */
    SHAPE_NONE, /* {now: null} */
} mex_shape_t;

/* The names that a lambda binds, by their place in `bound`. */
enum { MEX_ELEMENT, MEX_INDEX, MEX_ACCUMULATOR, MEX_BOUND_MAX };

enum {
    MEX_ARGS_MAX = 4, /* no operator has more parameters */
    MEX_MANY = 255,   /* mex_op_t.max: any number of operands */
};

typedef struct mex_compiler mex_compiler_t;
typedef struct mex_op {
    const char *name;
    mex_shape_t shape;
    /* Of ONE and ARGS: "list|text start end". '|' separates spellings; a parameter that begins with '=' is a
     * plain name, one that begins with '?' is a condition. */
    const char *params;
    uint8_t min, max; /* operands, or parameters that must be there */
    bool pure;        /* gives the same for the same operands: may be evaluated at load */
    bool logical;     /* its operands are conditions where it is one itself */
    mex_run_fn *run;
    /* Last touches and checks after the operands are compiled; nodes: where each came from (NULL: not given).
     * May be NULL. */
    void (*prepare)(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path);
} mex_op_t;

struct mex {
    mex_run_fn *run;
    const mex_op_t *op; /* NULL: literal, list, object, text */
    uint32_t argc;
    bool constant;    /* the node is `value` */
    bool spread;      /* args[0] gives the list of operands */
    bool wrapped;     /* the list was written [x], and args[0] is x: unless x gives a list, [x] is meant */
    mex_t **args;     /* owned */
    value_t value;    /* of a constant */
    template_t *text; /* of a string with placeholders */
    dotted_t name;    /* var, ref; a text that is one placeholder */
    str_t **keys;     /* of an object literal, argc of them */
    str_t *bound[MEX_BOUND_MAX]; /* names that a lambda or let binds, or set assigns */
    pattern_t *regex;            /* constant pattern */
};

extern const mex_op_t mex_table[];
extern const size_t mex_table_count;
const mex_op_t *mex_find_op(const char *name);

void mex_complain(mex_compiler_t *c, const ynode_t *at, const ypath_t *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mex_prepare_lambda(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path);
void mex_prepare_let(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path);
void mex_prepare_set(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path);
void mex_prepare_regex(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path);

/* ---- evaluation (mex_eval.c) */

/* The error of an expression that takes too many operations. */
int mex_spend_failed(err_t *err);
/* Counts work; n is in operations (about 20 ns each). */
static inline int mex_spend(scope_t *s, uint64_t n, err_t *err) {
    s->ops += n;
    return s->ops > MEX_OPS_MAX ? mex_spend_failed(err) : SDG_OK;
}
/* Evaluates a node; NULL gives null. */
static inline int mex_value_of(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    if (!m || m->constant) {
        *out = m ? value_ref(m->value) : value_null();
        return SDG_OK;
    }
    return ++s->ops > MEX_OPS_MAX ? mex_spend_failed(err) : m->run(m, s, out, err);
}
/* Evaluates a node as a condition. */
static inline int mex_truth_of(const mex_t *m, scope_t *s, bool *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m, s, &v, err);
    *out = rc == SDG_OK && value_truthy(v);
    if (rc == SDG_OK) value_free(v);
    return rc;
}

/* The operands of SHAPE_OPERANDS, written out or from a list made at run time. */
typedef struct mex_operands {
    const mex_t *m;
    scope_t *s;
    err_t *err;
    value_t list; /* null unless the operands are its elements. Owned */
    size_t count;
} mex_operands_t;
int mex_operands_spread(mex_operands_t *o); /* only for mex_operands_open */
static inline int mex_operands_open(mex_operands_t *o, const mex_t *m, scope_t *s, err_t *err) {
    *o = (mex_operands_t){.m = m, .s = s, .err = err, .count = m->argc};
    return m->spread ? mex_operands_spread(o) : SDG_OK;
}
/* The same, but a single operand that is a list stands for its elements. */
int mex_operands_open_flat(mex_operands_t *o, const mex_t *m, scope_t *s, err_t *err);
static inline int mex_operand(mex_operands_t *o, size_t i, value_t *out) {
    if (o->list.kind == VALUE_NULL) return mex_value_of(o->m->args[i], o->s, out, o->err);
    *out = value_ref(list_peek(o->list, i));
    return SDG_OK;
}
static inline void mex_operands_close(mex_operands_t *o) { value_free(o->list); }

/* An operand is of the wrong kind: "add: a number was expected, not 'abc'". Returns SDG_EINVAL. */
int mex_wrong(const mex_t *m, value_t v, const char *wanted, err_t *err);
/* An error with the operator's name before it; returns the code. */
int mex_fail(const mex_t *m, int code, err_t *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static inline bool mex_is_number(value_t v) { return v.kind == VALUE_INT || v.kind == VALUE_REAL; }
/* v as a number to calculate with, VALUE_INT or VALUE_REAL: integers (those beyond 64 bits as reals, perhaps
 * infinite), reals, booleans (0 and 1) and numeric text. *number needs no release. */
bool mex_number_other(value_t v, value_t *number); /* only for mex_number */
static inline bool mex_number(value_t v, value_t *number) {
    if (!mex_is_number(v)) return mex_number_other(v, number);
    *number = v;
    return true;
}
/* The same with all digits, a VALUE_BIGINT where it has to be one. Owned by the caller. */
bool mex_exact_number(value_t v, value_t *number);
/* An operand of arithmetic as a number: null and text that is no number are 0, and counted (scope_t.zeros);
 * what is no number either is an error. Frees the value. */
int mex_number_from(const mex_t *m, value_t take, scope_t *s, value_t *number, err_t *err);
/* The same with all digits: *number is owned. */
int mex_exact_number_from(const mex_t *m, value_t take, scope_t *s, value_t *number, err_t *err);
static inline int mex_number_of(const mex_t *m, size_t arg, scope_t *s, value_t *number, err_t *err) {
    int rc = mex_value_of(m->args[arg], s, number, err);
    return rc != SDG_OK || mex_is_number(*number) ? rc : mex_number_from(m, *number, s, number, err);
}
/* An integral operand; *given false (and n untouched) when it is missing or null. */
int mex_index_of(const mex_t *m, size_t arg, scope_t *s, int64_t *n, bool *given, err_t *err);
/* The list under args[arg]; null is the empty list; anything else is an error. */
int mex_list_of(const mex_t *m, size_t arg, scope_t *s, value_t *list, err_t *err);

bool mex_equal(value_t a, value_t b); /* `eq` */

/* ---- text (mex_text.c) */

/* An operand in text form, null as None; one that is not written at all is "". */
int mex_text_of(const mex_t *m, size_t arg, scope_t *s, str_t **out, err_t *err);
/* A stack of bytes of this thread. An operator remembers its length as a mark, writes its text behind it, and
 * takes it or drops it; operators inside it do the same behind that. */
buf_t *mex_scratch(void);
/* What stands behind the mark, as a text of at most MEX_TEXT_BYTES_MAX; it is dropped in any case. */
int mex_scratch_take(const mex_t *m, size_t mark, scope_t *s, value_t *out, err_t *err);
void mex_scratch_drop(size_t mark);

/* ---- the operators, by subject */

mex_run_fn mex_run_constant, mex_run_text, mex_run_whole, mex_run_list, mex_run_object;
mex_run_fn mex_run_if, mex_run_case, mex_run_let, mex_run_var, mex_run_ref, mex_run_get, mex_run_set,
    mex_run_set_in;
mex_run_fn mex_run_now, mex_run_rand, mex_run_randint, mex_run_choose;
mex_run_fn mex_run_and, mex_run_or, mex_run_not, mex_run_eq, mex_run_ne, mex_run_lt, mex_run_le, mex_run_gt,
    mex_run_ge;
mex_run_fn mex_run_contains, mex_run_is_empty;
mex_run_fn mex_run_add, mex_run_sub, mex_run_mul, mex_run_div, mex_run_mod, mex_run_pow, mex_run_neg,
    mex_run_abs;
mex_run_fn mex_run_round, mex_run_floor, mex_run_ceil, mex_run_min, mex_run_max, mex_run_to_number;
mex_run_fn mex_run_concat, mex_run_split, mex_run_join, mex_run_replace, mex_run_lower, mex_run_upper,
    mex_run_trim;
mex_run_fn mex_run_starts_with, mex_run_ends_with, mex_run_regex_match, mex_run_regex_extract,
    mex_run_regex_replace;
mex_run_fn mex_run_to_string, mex_run_to_boolean, mex_run_parse_json, mex_run_stringify;
mex_run_fn mex_run_len, mex_run_map, mex_run_filter, mex_run_reduce, mex_run_any, mex_run_all, mex_run_unique,
    mex_run_sort;
mex_run_fn mex_run_slice, mex_run_first, mex_run_last, mex_run_range;

#endif
