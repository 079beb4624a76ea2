/* mex_table.c - the operators of MEX: name, how operands are written, how many, and the function. */
#include "core/mabel/mex/mex_node.h"

#include <string.h>

enum { MANY = MEX_MANY, PURE = 1, LOGICAL = 1 };

/* name, shape, params, min, max, pure, logical, run, prepare */
const mex_op_t mex_table[] = {
    {"and", SHAPE_OPERANDS, NULL, 0, MANY, PURE, LOGICAL, mex_run_and, NULL},
    {"or", SHAPE_OPERANDS, NULL, 0, MANY, PURE, LOGICAL, mex_run_or, NULL},
    {"not", SHAPE_UNWRAP, NULL, 1, 1, PURE, LOGICAL, mex_run_not, NULL},
    {"eq", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_eq, NULL},
    {"equals", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_eq, NULL},
    {"ne", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_ne, NULL},
    {"not_equals", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_ne, NULL},
    {"lt", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_lt, NULL},
    {"le", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_le, NULL},
    {"lte", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_le, NULL},
    {"gt", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_gt, NULL},
    {"ge", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_ge, NULL},
    {"gte", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_ge, NULL},
    {"contains", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_contains, NULL},
    {"is_empty", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_is_empty, NULL},

    {"add", SHAPE_OPERANDS, NULL, 0, MANY, PURE, 0, mex_run_add, NULL},
    {"sub", SHAPE_OPERANDS, NULL, 1, MANY, PURE, 0, mex_run_sub, NULL},
    {"mul", SHAPE_OPERANDS, NULL, 0, MANY, PURE, 0, mex_run_mul, NULL},
    {"div", SHAPE_OPERANDS, NULL, 2, MANY, PURE, 0, mex_run_div, NULL},
    {"mod", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_mod, NULL},
    {"pow", SHAPE_OPERANDS, NULL, 2, 2, PURE, 0, mex_run_pow, NULL},
    {"min", SHAPE_OPERANDS, NULL, 1, MANY, PURE, 0, mex_run_min, NULL},
    {"max", SHAPE_OPERANDS, NULL, 1, MANY, PURE, 0, mex_run_max, NULL},
    {"neg", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_neg, NULL},
    {"abs", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_abs, NULL},
    {"round", SHAPE_ARGS, "value digits", 1, 2, PURE, 0, mex_run_round, NULL},
    {"floor", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_floor, NULL},
    {"ceil", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_ceil, NULL},

    {"concat", SHAPE_OPERANDS, NULL, 0, MANY, PURE, 0, mex_run_concat, NULL},
    {"split", SHAPE_ARGS, "text|string sep|separator", 1, 2, PURE, 0, mex_run_split, NULL},
    {"join", SHAPE_ARGS, "list sep|separator", 1, 2, PURE, 0, mex_run_join, NULL},
    {"replace", SHAPE_ARGS, "text|string old|from new|to", 3, 3, PURE, 0, mex_run_replace, NULL},
    {"lower", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_lower, NULL},
    {"upper", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_upper, NULL},
    {"trim", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_trim, NULL},
    {"len", SHAPE_ONE, NULL, 1, 1, PURE, 0, mex_run_len, NULL},
    {"starts_with", SHAPE_ARGS, "text|string prefix", 2, 2, PURE, 0, mex_run_starts_with, NULL},
    {"ends_with", SHAPE_ARGS, "text|string suffix", 2, 2, PURE, 0, mex_run_ends_with, NULL},
    {"regex_match", SHAPE_ARGS, "text|string pattern", 2, 2, PURE, 0, mex_run_regex_match, mex_prepare_regex},
    {"match", SHAPE_ARGS, "text|string pattern", 2, 2, PURE, 0, mex_run_regex_match, mex_prepare_regex},
    {"regex_extract", SHAPE_ARGS, "text|string pattern index", 2, 3, PURE, 0, mex_run_regex_extract,
     mex_prepare_regex},
    {"regex_replace", SHAPE_ARGS, "text|string pattern replacement", 3, 3, PURE, 0, mex_run_regex_replace,
     mex_prepare_regex},

    {"map", SHAPE_ARGS, "list fn =var", 2, 2, PURE, 0, mex_run_map, mex_prepare_lambda},
    {"filter", SHAPE_ARGS, "list fn =var", 2, 2, PURE, 0, mex_run_filter, mex_prepare_lambda},
    {"reduce", SHAPE_ARGS, "list fn init =var =accumulator", 2, 3, PURE, 0, mex_run_reduce,
     mex_prepare_lambda},
    {"any", SHAPE_ONE, "list fn =var", 1, 2, PURE, LOGICAL, mex_run_any, mex_prepare_lambda},
    {"all", SHAPE_ONE, "list fn =var", 1, 2, PURE, LOGICAL, mex_run_all, mex_prepare_lambda},
    {"unique", SHAPE_ONE, "list fn =var", 1, 2, PURE, 0, mex_run_unique, mex_prepare_lambda},
    {"sort", SHAPE_ONE, "list fn reverse =var", 1, 3, PURE, 0, mex_run_sort, mex_prepare_lambda},
    {"slice", SHAPE_ARGS, "list|text|string start end", 1, 3, PURE, 0, mex_run_slice, NULL},
    {"first", SHAPE_ONE, "list fn =var", 1, 2, PURE, 0, mex_run_first, mex_prepare_lambda},
    {"last", SHAPE_ONE, "list fn =var", 1, 2, PURE, 0, mex_run_last, mex_prepare_lambda},
    {"range", SHAPE_ARGS, "start end step", 1, 3, PURE, 0, mex_run_range, NULL},

    {"if", SHAPE_ARGS, "?cond then else", 1, 3, PURE, 0, mex_run_if, NULL},
    {"case", SHAPE_CASE, NULL, 0, MANY, PURE, 0, mex_run_case, NULL},
    {"let", SHAPE_ARGS, "value in =var", 1, 2, 0, 0, mex_run_let, mex_prepare_let},
    {"var", SHAPE_NAME, NULL, 1, 1, 0, 0, mex_run_var, NULL},
    {"ref", SHAPE_NAME, NULL, 1, 1, 0, 0, mex_run_ref, NULL},
    {"get", SHAPE_ARGS, "obj|object|in path default", 2, 3, PURE, 0, mex_run_get, NULL},
    {"set", SHAPE_ARGS, "value in path =var", 1, 3, 0, 0, mex_run_set, mex_prepare_set},

    {"now", SHAPE_NONE, NULL, 0, 0, 0, 0, mex_run_now, NULL},
    {"rand", SHAPE_ARGS, "min max", 0, 2, 0, 0, mex_run_rand, NULL},
    {"randint", SHAPE_ARGS, "min max", 2, 2, 0, 0, mex_run_randint, NULL},
    {"choose", SHAPE_ONE, "list", 1, 1, 0, 0, mex_run_choose, NULL},
    {"to_number", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_to_number, NULL},
    {"to_string", SHAPE_ONE, NULL, 1, 1, PURE, 0, mex_run_to_string, NULL},
    {"to_boolean", SHAPE_ONE, NULL, 1, 1, PURE, 0, mex_run_to_boolean, NULL},
    {"parse_json", SHAPE_UNWRAP, NULL, 1, 1, PURE, 0, mex_run_parse_json, NULL},
    {"stringify", SHAPE_ONE, NULL, 1, 1, PURE, 0, mex_run_stringify, NULL},
};
const size_t mex_table_count = sizeof mex_table / sizeof mex_table[0];

const mex_op_t *mex_find_op(const char *name) {
    for (size_t i = 0; i < mex_table_count; i++)
        if (strcmp(mex_table[i].name, name) == 0) return &mex_table[i];
    return NULL;
}

bool mex_is_operator(const char *name) { return name && mex_find_op(name); }
