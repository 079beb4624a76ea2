/* logic_ops.h - the compiled form of logic blocks, shared by logic_load.c, logic_run.c, logic_list.c and
 * logic_outputs.c only.
 *
 * A block is one op; a step inside a body is an op, too, with the same fields. A field that an op does not
 * have is null or zero. Everything here is owned by the op, function or program that holds it and never
 * changes after loading. */
#ifndef SDG_MABEL_LOGIC_LOGIC_OPS_H
#define SDG_MABEL_LOGIC_LOGIC_OPS_H

#include "core/mabel/logic/logic.h"
#include "core/mabel/text/regex.h"

typedef enum op_kind {
    OP_SET,
    OP_EMIT,
    OP_EXPR,
    OP_LET,
    OP_IF,
    OP_WHILE,
    OP_FOR,
    OP_REDUCE,
    OP_CALL,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_KINDS
} op_kind_t;

typedef enum out_from {
    FROM_DEFAULT,
    FROM_LIST,
    FROM_JOIN,
    FROM_COUNT,
    FROM_ANY,
    FROM_ALL,
    FROM_FIRST,
    FROM_LAST,
    FROM_BOOLEAN,
    FROM_VALUE,
    FROM_TEXT,
    FROM_SOURCE,
    FROM_VAR,
    FROM_ACCUMULATOR,
    FROM_KINDS
} out_from_t;
typedef enum out_source { SOURCE_MAPPED, SOURCE_FILTERED, SOURCE_RAW } out_source_t;

typedef struct output {
    str_t *name;
    out_from_t from;
    out_source_t source; /* for: which sequence */
    dotted_t ref;     /* the name in `var: X`, or in `source: X` of an op that is no for; whole NULL: none */
    mex_t *value;     /* `value: MEX`; NULL when absent */
    str_t *join_with; /* NULL when absent */
    uint64_t offset, limit; /* limit UINT64_MAX: none */
} output_t;

typedef struct op op_t;

/* `body`, `step`, `then`, `else`, `init` or `map` of an op: steps, or one expression, or a text. All empty:
 * absent. */
typedef struct body {
    op_t *ops;
    uint32_t count;
    mex_t *expr;
    template_t *text;
} body_t;

typedef enum list_parse { PARSE_COMMAS, PARSE_LINES, PARSE_CSV, PARSE_JSON, PARSE_REGEX } list_parse_t;
/* `list:` of for and reduce: an expression, or a name, or a text with placeholders. */
typedef struct list_source {
    mex_t *expr;
    template_t *text;
    dotted_t ref; /* of a text without placeholders, which is tried as a name first; else whole is NULL */
    bool is_name; /* that text is a bare name: it is never itself the list */
    list_parse_t parse;
    pattern_t *regex;
    bool drop_empty;
} list_source_t;

typedef struct binding {
    str_t *name; /* NULL in `with` lists: by position */
    mex_t *value;
} binding_t;

struct op {
    op_kind_t kind;
    uint32_t line;       /* for messages; 0: the block itself */
    bool emits;          /* an emit step stands somewhere below it */
    str_t *var;          /* set: the name; for, reduce: the element's name */
    str_t *accumulator;  /* reduce */
    mex_t *value;        /* set, emit, expr; reduce: the seed, NULL when absent */
    mex_t *cond;         /* if, while; for: where */
    list_source_t list;  /* for, reduce */
    body_t body;         /* then, step, body, map */
    body_t other;        /* else, init */
    binding_t *bindings; /* let: bindings; call: with */
    uint32_t binding_count;
    mex_t **operands; /* and, or, not */
    uint32_t operand_count;
    uint32_t function; /* call: index into the program */
    str_t **returns;   /* call: names for the results, by position */
    uint32_t return_count;
    output_t *outputs;
    uint32_t output_count;
};

typedef struct logic_function {
    str_t *name;
    const ynode_t *node; /* where it is written; load time only */
    bool of_block;       /* belongs to an `op: recurse` block */
    str_t **args;
    uint32_t arg_count;
    str_t **returns;
    uint32_t return_count;
    mex_t *base_cond; /* NULL: no base case */
    mex_t **base_values;
    uint32_t base_count;
    body_t body;
} logic_function_t;

struct logic_program {
    logic_function_t *functions;
    uint32_t count;
};

struct logic_block {
    op_t op;
    str_t **names; /* outputs and returns; borrowed from op */
    size_t name_count;
};

/* --- shared by the running parts --- */

/* One expression with a fresh operation count; what it cost is taken off *fuel. */
int logic_eval(const mex_t *m, scope_t *scope, uint32_t *fuel, value_t *out, err_t *err);
int logic_eval_bool(const mex_t *m, scope_t *scope, uint32_t *fuel, bool *out, err_t *err);

/* The elements of a `list:`; always a list. */
int list_source_get(const list_source_t *source, scope_t *scope, uint32_t *fuel, value_t *out, err_t *err);
void list_source_free(list_source_t *source);

/* What an op has come to, for its outputs. All borrowed. */
typedef struct op_result {
    value_t value;                 /* of the op: last value, accumulator, first return, ... */
    value_t raw, filtered, mapped; /* for; else null */
    value_t emitted;               /* list; null when nothing was */
    uint64_t iterations;           /* while: iterations */
    bool truth;                    /* if, and, or, not */
    locals_t *callee;              /* call: locals of the function when it returned; else NULL */
} op_result_t;
/* The value of one output, owned by the caller; null after an error. */
int output_value(const output_t *o, const op_t *op, const op_result_t *r, scope_t *scope, uint32_t *fuel,
                 value_t *out, err_t *err);

void body_free(body_t *b);
void op_free(op_t *op);

#endif
