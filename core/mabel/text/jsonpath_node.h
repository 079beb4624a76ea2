/* jsonpath_node.h - the compiled form of a query; only jsonpath*.c include it. */
#ifndef SDG_MABEL_TEXT_JSONPATH_NODE_H
#define SDG_MABEL_TEXT_JSONPATH_NODE_H

#include "core/mabel/text/jsonpath.h"
#include "core/mabel/text/regex.h"

typedef struct jp_expr jp_expr_t;

typedef enum jp_selector_kind { JP_NAME, JP_WILD, JP_INDEX, JP_SLICE, JP_FILTER } jp_selector_kind_t;
typedef struct jp_selector {
    jp_selector_kind_t kind;
    str_t *name;              /* NAME */
    int64_t start, end, step; /* INDEX: start; SLICE */
    bool has_start, has_end;
    jp_expr_t *filter; /* FILTER */
} jp_selector_t;

typedef struct jp_segment {
    bool descendant; /* `..` */
    jp_selector_t *selectors;
    size_t count;
} jp_segment_t;

typedef struct jp_query {
    bool relative; /* starts at @, not at $ */
    jp_segment_t *segments;
    size_t count;
} jp_query_t;

typedef enum jp_expr_kind {
    JP_OR,
    JP_AND,
    JP_NOT,
    JP_COMPARE,
    JP_EXISTS,
    JP_LITERAL,
    JP_QUERY,
    JP_CALL
} jp_expr_kind_t;
typedef enum jp_compare { JP_EQ, JP_NE, JP_LT, JP_LE, JP_GT, JP_GE } jp_compare_t;
typedef enum jp_function { JP_LENGTH, JP_COUNT, JP_MATCH, JP_SEARCH, JP_VALUE } jp_function_t;

struct jp_expr {
    jp_expr_kind_t kind;
    jp_compare_t compare;    /* COMPARE */
    jp_function_t function;  /* CALL */
    jp_expr_t *left, *right; /* operands, arguments; NOT: left */
    jp_query_t query;        /* EXISTS, QUERY */
    value_t literal;         /* LITERAL */
    pattern_t *regex;        /* CALL match, search with a literal pattern */
};

struct jsonpath {
    jp_query_t query;
};

/* The regular expression of match (the whole text) or search, as PCRE has it; the caller frees. */
char *jp_pattern(const char *pattern, size_t len, bool whole, size_t *out_len);

#endif
