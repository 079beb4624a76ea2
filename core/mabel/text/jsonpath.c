/* jsonpath.c - RFC 9535 text to a compiled query.
 *
 * A recursive descent over the grammar of the RFC, which also says where white space may stand and which
 * expressions are well typed: comparisons take single values, tests take queries or functions that give true
 * or false. The first error ends the parse; what was built so far is released from the top. Beyond the RFC, a
 * query may begin without its "$", "score" is "$.score", and a name behind a point may hold '-'. */
#include "core/mabel/text/jsonpath_node.h"

#include "core/base/buf.h"
#include "core/base/grow.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_MAX INT64_C(9007199254740991) /* 2^53 - 1: the RFC's bound of indexes */

typedef struct jp_parser {
    const char *start, *at, *end;
    int nesting; /* filters and parentheses around `at` */
    err_t *err;
} jp_parser_t;

static int fail(const jp_parser_t *p, const char *what) {
    size_t character = utf8_length(p->start, (size_t)(p->at - p->start)) + 1;
    return err_set(p->err, SDG_EINVAL, "not a JSONPath query: %s at character %zu", what, character);
}

/* ---- release */

static void expr_free(jp_expr_t *e);

static void query_free(jp_query_t *q) {
    for (size_t i = 0; i < q->count; i++) {
        for (size_t k = 0; k < q->segments[i].count; k++) {
            str_free(q->segments[i].selectors[k].name);
            expr_free(q->segments[i].selectors[k].filter);
        }
        free(q->segments[i].selectors);
    }
    free(q->segments);
    *q = (jp_query_t){0};
}

static void expr_free(jp_expr_t *e) {
    if (!e) return;
    expr_free(e->left);
    expr_free(e->right);
    query_free(&e->query);
    value_free(e->literal);
    regex_destroy(&e->regex);
    free(e);
}

void jsonpath_destroy(jsonpath_t **path) {
    if (!*path) return;
    query_free(&(*path)->query);
    free(*path);
    *path = NULL;
}

/* ---- characters */

static char peek(const jp_parser_t *p) { return p->at < p->end ? *p->at : '\0'; }

static void skip_space(jp_parser_t *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

static bool take(jp_parser_t *p, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0) return false;
    p->at += len;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_name_first(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* ---- names, strings, integers */

static str_t *parse_shorthand(jp_parser_t *p) {
    const char *from = p->at;
    while (p->at < p->end && (is_name_first(*p->at) || (p->at > from && (is_digit(*p->at) || *p->at == '-'))))
        p->at++;
    return p->at > from ? str_new(from, (size_t)(p->at - from)) : NULL;
}

static bool parse_hex4(jp_parser_t *p, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = peek(p);
        uint32_t digit = is_digit(c)              ? (uint32_t)(c - '0')
                         : (c >= 'a' && c <= 'f') ? (uint32_t)(c - 'a' + 10)
                         : (c >= 'A' && c <= 'F') ? (uint32_t)(c - 'A' + 10)
                                                  : 16;
        if (digit == 16) return false;
        *unit = *unit * 16 + digit;
    }
    return true;
}

/* Reads a code point behind "\u"; a surrogate brings its second half along. */
static int parse_unicode_escape(jp_parser_t *p, buf_t *out) {
    uint32_t high, low;
    if (!parse_hex4(p, &high)) return fail(p, "four hexadecimal digits were expected");
    if (high >= 0xDC00 && high <= 0xDFFF) return fail(p, "half of a surrogate pair");
    if (high >= 0xD800 && high <= 0xDBFF) {
        if (!take(p, "\\u") || !parse_hex4(p, &low) || low < 0xDC00 || low > 0xDFFF)
            return fail(p, "half of a surrogate pair");
        high = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    utf8_write(out, high);
    return SDG_OK;
}

/* Reads what stands behind a backslash. An error points at the character after it. */
static int parse_escape(jp_parser_t *p, char quote, buf_t *out) {
    static const char letters[] = "bfnrt/\\", bytes[] = "\b\f\n\r\t/\\";
    char c = peek(p);
    p->at++;
    if (c == 'u') return parse_unicode_escape(p, out);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter)
        buf_addc(out, bytes[letter - letters]);
    else if (c == quote)
        buf_addc(out, c);
    else {
        p->at--;
        return fail(p, "unknown escape");
    }
    return SDG_OK;
}

/* Reads a text in single or double quotes; *out is set only on success. */
static int parse_string(jp_parser_t *p, str_t **out) {
    char quote = *p->at++;
    buf_t text;
    buf_init(&text, REGEX_PATTERN_BYTES_MAX);
    int rc = SDG_OK;
    while (rc == SDG_OK && peek(p) != quote) {
        if (p->at >= p->end || (unsigned char)*p->at < 0x20)
            rc = fail(p, "the text is not closed");
        else if (*p->at == '\\' && p->at + 1 < p->end) {
            p->at++;
            rc = parse_escape(p, quote, &text);
        } else if (*p->at == '\\')
            rc = fail(p, "the text is not closed");
        else
            buf_addc(&text, *p->at++);
    }
    if (rc == SDG_OK && text.full) rc = fail(p, "the text is too long");
    if (rc == SDG_OK) {
        p->at++;
        *out = str_new(text.data ? text.data : "", text.len);
    }
    buf_free(&text);
    return rc;
}

static bool at_integer(const jp_parser_t *p) { return is_digit(peek(p)) || peek(p) == '-'; }

static int parse_integer(jp_parser_t *p, int64_t *out) {
    bool negative = take(p, "-");
    if (!is_digit(peek(p)) || (peek(p) == '0' && (negative || (p->at + 1 < p->end && is_digit(p->at[1])))))
        return fail(p, "an integer was expected");
    int64_t n = 0;
    for (; is_digit(peek(p)); p->at++) {
        n = n * 10 + (*p->at - '0');
        if (n > INDEX_MAX) return fail(p, "the integer is too large");
    }
    *out = negative ? -n : n;
    return SDG_OK;
}

/* ---- selectors */

static int parse_or(jp_parser_t *p, jp_expr_t **out);

static int parse_filter(jp_parser_t *p, jp_selector_t *s) {
    s->kind = JP_FILTER;
    skip_space(p);
    if (++p->nesting > JSONPATH_NESTING_MAX) return fail(p, "filters nest too deep");
    int rc = parse_or(p, &s->filter);
    p->nesting--;
    return rc;
}

/* [start] : [end] [: [step]], or a single index */
static int parse_slice(jp_parser_t *p, jp_selector_t *s) {
    s->step = 1;
    s->kind = JP_INDEX;
    int rc = SDG_OK;
    if (at_integer(p)) {
        s->has_start = true;
        rc = parse_integer(p, &s->start);
        if (rc != SDG_OK) return rc;
    }
    const char *behind = p->at;
    skip_space(p);
    if (!take(p, ":")) {
        p->at = behind;
        return s->has_start ? SDG_OK : fail(p, "a selector was expected");
    }
    s->kind = JP_SLICE;
    skip_space(p);
    s->has_end = at_integer(p);
    if (s->has_end) rc = parse_integer(p, &s->end);
    skip_space(p);
    if (rc != SDG_OK || !take(p, ":")) return rc;
    skip_space(p);
    return at_integer(p) ? parse_integer(p, &s->step) : SDG_OK;
}

static int parse_selector(jp_parser_t *p, jp_selector_t *s) {
    char c = peek(p);
    if (c == '\'' || c == '"') {
        s->kind = JP_NAME;
        return parse_string(p, &s->name);
    }
    if (take(p, "*")) {
        s->kind = JP_WILD;
        return SDG_OK;
    }
    return take(p, "?") ? parse_filter(p, s) : parse_slice(p, s);
}

static jp_selector_t *add_selector(jp_segment_t *segment) {
    GROW_BY_ONE(segment->selectors, segment->count);
    jp_selector_t *s = &segment->selectors[segment->count++];
    *s = (jp_selector_t){0};
    return s;
}

/* Reads the selectors behind a '[', and the ']'. */
static int parse_bracket(jp_parser_t *p, jp_segment_t *segment) {
    for (;;) {
        skip_space(p);
        int rc = parse_selector(p, add_selector(segment));
        if (rc != SDG_OK) return rc;
        skip_space(p);
        if (take(p, "]")) return SDG_OK;
        if (!take(p, ",")) return fail(p, "\",\" or \"]\" was expected");
    }
}

/* Reads the name or '*' behind '.' or '..'. */
static int parse_dotted(jp_parser_t *p, jp_segment_t *segment) {
    jp_selector_t *s = add_selector(segment);
    if (take(p, "*")) {
        s->kind = JP_WILD;
        return SDG_OK;
    }
    s->kind = JP_NAME;
    s->name = parse_shorthand(p);
    return s->name ? SDG_OK : fail(p, "a name was expected");
}

static int parse_segment(jp_parser_t *p, jp_query_t *q) {
    if (q->count == JSONPATH_SEGMENTS_MAX) return fail(p, "too many segments");
    GROW_BY_ONE(q->segments, q->count);
    jp_segment_t *segment = &q->segments[q->count++];
    *segment = (jp_segment_t){.descendant = take(p, "..")};
    if (!segment->descendant && take(p, ".")) return parse_dotted(p, segment);
    return take(p, "[") ? parse_bracket(p, segment) : parse_dotted(p, segment);
}

/* Reads the segments behind '$' or '@'; there may be none. */
static int parse_segments(jp_parser_t *p, jp_query_t *q) {
    for (;;) {
        const char *behind = p->at;
        skip_space(p);
        if (peek(p) != '.' && peek(p) != '[') {
            p->at = behind;
            return SDG_OK;
        }
        int rc = parse_segment(p, q);
        if (rc != SDG_OK) return rc;
    }
}

/* ---- expressions */

static jp_expr_t *expr_new(jp_expr_kind_t kind) {
    jp_expr_t *e = xcalloc(1, sizeof *e);
    e->kind = kind;
    return e;
}

/* Reads a number as JSON writes it: no leading 0, digits on both sides of the point. */
static int parse_number(jp_parser_t *p, jp_expr_t *e) {
    const char *from = p->at;
    take(p, "-");
    bool zero = peek(p) == '0';
    if (!is_digit(peek(p))) return fail(p, "a number was expected");
    while (is_digit(peek(p)))
        p->at++;
    const char *digits = *from == '-' ? from + 1 : from;
    if (zero && p->at > digits + 1) return fail(p, "a number with a leading 0");
    if (take(p, ".")) {
        if (!is_digit(peek(p))) return fail(p, "a digit was expected");
        while (is_digit(peek(p)))
            p->at++;
    }
    if (take(p, "e") || take(p, "E")) {
        if (!take(p, "+")) take(p, "-");
        if (!is_digit(peek(p))) return fail(p, "a digit was expected");
        while (is_digit(peek(p)))
            p->at++;
    }
    return text_to_exact_number(from, (size_t)(p->at - from), &e->literal) ? SDG_OK
                                                                           : fail(p, "a number was expected");
}

typedef struct function_row {
    const char *name;
    jp_function_t function;
    bool nodes; /* its argument is a list of nodes, else values */
    bool truth; /* gives true or false, else a value */
    int arguments;
} function_row_t;

static const function_row_t FUNCTIONS[] = {
    {"length", JP_LENGTH, false, false, 1}, {"count", JP_COUNT, true, false, 1},
    {"match", JP_MATCH, false, true, 2},    {"search", JP_SEARCH, false, true, 2},
    {"value", JP_VALUE, true, false, 1},
};

static const function_row_t *row_of(jp_function_t function) {
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++)
        if (FUNCTIONS[i].function == function) return &FUNCTIONS[i];
    return NULL;
}

static bool is_singular(const jp_query_t *q) {
    for (size_t i = 0; i < q->count; i++) {
        const jp_segment_t *s = &q->segments[i];
        if (s->descendant || s->count != 1) return false;
        if (s->selectors[0].kind != JP_NAME && s->selectors[0].kind != JP_INDEX) return false;
    }
    return true;
}

/* May this expression stand where a value is needed? */
static bool gives_value(const jp_expr_t *e) {
    if (e->kind == JP_QUERY) return is_singular(&e->query);
    return e->kind == JP_LITERAL || (e->kind == JP_CALL && !row_of(e->function)->truth);
}

static int parse_operand(jp_parser_t *p, jp_expr_t **out);

static int parse_arguments(jp_parser_t *p, const function_row_t *row, jp_expr_t *call) {
    for (int i = 0; i < row->arguments; i++) {
        skip_space(p);
        if (i > 0 && !take(p, ",")) return fail(p, "\",\" was expected");
        skip_space(p);
        jp_expr_t **slot = i == 0 ? &call->left : &call->right;
        int rc = parse_operand(p, slot);
        if (rc != SDG_OK) return rc;
        if (row->nodes ? (*slot)->kind != JP_QUERY : !gives_value(*slot))
            return fail(p, "this argument has the wrong type");
    }
    skip_space(p);
    return take(p, ")") ? SDG_OK : fail(p, "\")\" was expected");
}

char *jp_pattern(const char *pattern, size_t len, bool whole, size_t *out_len) {
    buf_t b;
    buf_init(&b, REGEX_PATTERN_BYTES_MAX + 64);
    buf_adds(&b, whole ? "(*ANYCRLF)\\A(?:" : "(*ANYCRLF)(?:");
    buf_add(&b, pattern, len);
    buf_adds(&b, whole ? ")\\z" : ")");
    return buf_take(&b, out_len);
}

/* A pattern that stands in the query is checked and compiled now. */
static int compile_pattern(jp_parser_t *p, jp_expr_t *call) {
    const jp_expr_t *e = call->right;
    if (!e || e->kind != JP_LITERAL || e->literal.kind != VALUE_STRING) return SDG_OK;
    size_t len;
    char *pattern =
        jp_pattern(e->literal.string->data, e->literal.string->len, call->function == JP_MATCH, &len);
    call->regex = regex_compile(pattern, len, 0, p->err);
    free(pattern);
    return call->regex ? SDG_OK : SDG_EINVAL;
}

static int parse_call(jp_parser_t *p, const char *name, size_t len, jp_expr_t *call) {
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++) {
        const function_row_t *row = &FUNCTIONS[i];
        if (strlen(row->name) != len || memcmp(row->name, name, len) != 0) continue;
        call->kind = JP_CALL;
        call->function = row->function;
        if (++p->nesting > JSONPATH_NESTING_MAX) return fail(p, "functions nest too deep");
        int rc = parse_arguments(p, row, call);
        p->nesting--;
        return rc == SDG_OK ? compile_pattern(p, call) : rc;
    }
    p->at = name;
    return fail(p, "unknown function (length, count, match, search, value)");
}

/* true, false, null, or a function call */
static int parse_word(jp_parser_t *p, jp_expr_t *e) {
    const char *from = p->at;
    while ((peek(p) >= 'a' && peek(p) <= 'z') || (p->at > from && (peek(p) == '_' || is_digit(peek(p)))))
        p->at++;
    size_t len = (size_t)(p->at - from);
    if (len && take(p, "(")) return parse_call(p, from, len, e);
    if (len == 4 && memcmp(from, "true", 4) == 0)
        e->literal = value_bool(true);
    else if (len == 5 && memcmp(from, "false", 5) == 0)
        e->literal = value_bool(false);
    else if (len != 4 || memcmp(from, "null", 4) != 0) {
        p->at = from;
        return fail(p, "a value, a query or a function was expected");
    }
    return SDG_OK;
}

/* A literal, a query or a call; *out is set even on failure, so that it is released. */
static int parse_operand(jp_parser_t *p, jp_expr_t **out) {
    jp_expr_t *e = *out = expr_new(JP_LITERAL);
    char c = peek(p);
    if (c == '$' || c == '@') {
        p->at++;
        e->kind = JP_QUERY;
        e->query.relative = c == '@';
        return parse_segments(p, &e->query);
    }
    if (c == '\'' || c == '"') {
        str_t *text;
        int rc = parse_string(p, &text);
        if (rc == SDG_OK) e->literal = value_from_str(text);
        return rc;
    }
    return at_integer(p) ? parse_number(p, e) : parse_word(p, e);
}

static bool take_comparison(jp_parser_t *p, jp_compare_t *compare) {
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
    static const jp_compare_t kinds[] = {JP_EQ, JP_NE, JP_LE, JP_GE, JP_LT, JP_GT};
    for (size_t i = 0; i < 6; i++) {
        if (!take(p, signs[i])) continue;
        *compare = kinds[i];
        return true;
    }
    return false;
}

/* An operand by itself: does the query find anything, is the function true? */
static int as_test(jp_parser_t *p, jp_expr_t *e) {
    if (e->kind == JP_QUERY)
        e->kind = JP_EXISTS;
    else if (e->kind != JP_CALL || !row_of(e->function)->truth)
        return fail(p, "a comparison was expected");
    return SDG_OK;
}

static int parse_parentheses(jp_parser_t *p, jp_expr_t **out) {
    if (++p->nesting > JSONPATH_NESTING_MAX) return fail(p, "parentheses nest too deep");
    skip_space(p);
    int rc = parse_or(p, out);
    skip_space(p);
    if (rc == SDG_OK && !take(p, ")")) rc = fail(p, "\")\" was expected");
    p->nesting--;
    return rc;
}

static int parse_not(jp_parser_t *p, jp_expr_t **out) {
    *out = expr_new(JP_NOT);
    skip_space(p);
    if (take(p, "(")) return parse_parentheses(p, &(*out)->left);
    int rc = parse_operand(p, &(*out)->left);
    return rc == SDG_OK ? as_test(p, (*out)->left) : rc;
}

/* A negation, parentheses, a comparison, or a test of one operand. */
static int parse_basic(jp_parser_t *p, jp_expr_t **out) {
    if (take(p, "!")) return parse_not(p, out);
    if (take(p, "(")) return parse_parentheses(p, out);
    int rc = parse_operand(p, out);
    if (rc != SDG_OK) return rc;
    const char *behind = p->at;
    skip_space(p);
    jp_compare_t compare;
    if (!take_comparison(p, &compare)) {
        p->at = behind;
        return as_test(p, *out);
    }
    jp_expr_t *e = expr_new(JP_COMPARE);
    e->compare = compare;
    e->left = *out;
    *out = e;
    skip_space(p);
    rc = parse_operand(p, &e->right);
    if (rc == SDG_OK && !(gives_value(e->left) && gives_value(e->right)))
        rc = fail(p, "only single values can be compared");
    return rc;
}

/* Terms joined by `sign`, each read by `part`; the tree leans to the left. */
static int parse_chain(jp_parser_t *p, const char *sign, jp_expr_kind_t kind,
                       int (*part)(jp_parser_t *, jp_expr_t **), jp_expr_t **out) {
    int rc = part(p, out);
    for (int terms = 1; rc == SDG_OK; terms++) {
        if (terms == JSONPATH_TERMS_MAX) return fail(p, "too many terms");
        const char *behind = p->at;
        skip_space(p);
        if (!take(p, sign)) {
            p->at = behind;
            break;
        }
        jp_expr_t *e = expr_new(kind);
        e->left = *out;
        *out = e;
        skip_space(p);
        rc = part(p, &e->right);
    }
    return rc;
}

static int parse_and(jp_parser_t *p, jp_expr_t **out) {
    return parse_chain(p, "&&", JP_AND, parse_basic, out);
}
static int parse_or(jp_parser_t *p, jp_expr_t **out) { return parse_chain(p, "||", JP_OR, parse_and, out); }

/* ---- the whole */

static int parse_all(jp_parser_t *p, jsonpath_t *path) {
    int rc;
    if (take(p, "$") || peek(p) == '.' || peek(p) == '[') {
        rc = parse_segments(p, &path->query);
    } else {
        path->query.segments = xcalloc(1, sizeof *path->query.segments);
        path->query.count = 1;
        rc = parse_dotted(p, &path->query.segments[0]);
        if (rc == SDG_OK) rc = parse_segments(p, &path->query);
    }
    return rc == SDG_OK && p->at < p->end ? fail(p, "the query should end") : rc;
}

/* White space around the query is ignored. */
jsonpath_t *jsonpath_compile(const char *text, size_t len, err_t *err) {
    text_trim(&text, &len);
    jp_parser_t p = {.start = text, .at = text, .end = text + len, .err = err};
    if (len > REGEX_PATTERN_BYTES_MAX) {
        err_set(err, SDG_ELIMIT, "a JSONPath query of more than %d bytes", REGEX_PATTERN_BYTES_MAX);
        return NULL;
    }
    if (len == 0) {
        fail(&p, "it is empty,");
        return NULL;
    }
    jsonpath_t *path = xcalloc(1, sizeof *path);
    if (parse_all(&p, path) != SDG_OK) jsonpath_destroy(&path);
    return path;
}
