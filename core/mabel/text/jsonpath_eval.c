/* jsonpath_eval.c - a compiled query over a value.
 *
 * The walk is depth first: each node that a segment selects goes through all later segments before the next
 * node is looked at. That gives the RFC's order without lists in between. A sink says what to do with a hit:
 * keep it, count it, or stop at the first. */
#include "core/mabel/text/jsonpath_node.h"

#include "core/base/integer.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>

enum { STOP = 1 }; /* the sink wants no more hits */

typedef struct jp_sink {
    value_t *list; /* hits are added to it; NULL: not kept */
    size_t count;
    size_t enough; /* stop after so many; 0: never */
    value_t first; /* borrowed */
} jp_sink_t;

typedef struct jp_run {
    value_t root; /* borrowed */
    uint64_t steps;
    err_t *err;
} jp_run_t;

static int spend(jp_run_t *r) {
    if (++r->steps <= JSONPATH_STEPS_MAX) return SDG_OK;
    return err_set(r->err, SDG_ELIMIT, "the JSONPath query looks at more than %d nodes", JSONPATH_STEPS_MAX);
}

static int add_hit(jp_run_t *r, jp_sink_t *sink, value_t v) {
    if (sink->count == MEX_LIST_MAX)
        return err_set(r->err, SDG_ELIMIT, "a JSONPath query with more than %d hits", MEX_LIST_MAX);
    if (sink->count++ == 0) sink->first = v;
    if (sink->list) list_push(sink->list, value_ref(v));
    return sink->count == sink->enough ? STOP : SDG_OK;
}

static int walk(jp_run_t *r, const jp_query_t *q, size_t segment, value_t v, jp_sink_t *sink);
static int test(jp_run_t *r, const jp_expr_t *e, value_t current, bool *yes);

static int walk_query(jp_run_t *r, const jp_query_t *q, value_t current, jp_sink_t *sink) {
    int rc = walk(r, q, 0, q->relative ? current : r->root, sink);
    return rc == STOP ? SDG_OK : rc;
}

/* ---- selectors; `next` is the segment behind the one they belong to */

static size_t children(value_t v) {
    return v.kind == VALUE_LIST ? list_count(v) : v.kind == VALUE_OBJECT ? object_count(v) : 0;
}

static value_t child(value_t v, size_t i) {
    return v.kind == VALUE_LIST ? list_peek(v, i) : object_value_peek(v, i);
}

static int select_children(jp_run_t *r, const jp_query_t *q, size_t next, const jp_expr_t *filter, value_t v,
                           jp_sink_t *sink) {
    int rc = SDG_OK;
    for (size_t i = 0; i < children(v) && rc == SDG_OK; i++) {
        bool yes = true;
        if (filter) rc = test(r, filter, child(v, i), &yes);
        if (rc == SDG_OK && yes) rc = walk(r, q, next, child(v, i), sink);
    }
    return rc;
}

static int64_t clamp(int64_t n, int64_t low, int64_t high) { return n < low ? low : n > high ? high : n; }

/* Bounds as in the RFC (and Python): negative counts from the end, then both are cut to the list. */
static int select_slice(jp_run_t *r, const jp_query_t *q, size_t next, const jp_selector_t *s, value_t v,
                        jp_sink_t *sink) {
    if (v.kind != VALUE_LIST || s->step == 0) return SDG_OK;
    int64_t count = (int64_t)list_count(v);
    int64_t start = s->has_start ? s->start : s->step > 0 ? 0 : count - 1;
    int64_t end = s->has_end ? s->end : s->step > 0 ? count : -count - 1;
    if (s->has_start && start < 0) start += count;
    if (end < 0) end += count;
    int64_t low = s->step > 0 ? 0 : -1, high = s->step > 0 ? count : count - 1;
    start = clamp(start, low, high);
    end = clamp(end, low, high);
    int rc = SDG_OK;
    for (int64_t i = start; (s->step > 0 ? i < end : i > end) && rc == SDG_OK; i += s->step)
        rc = walk(r, q, next, list_peek(v, (size_t)i), sink);
    return rc;
}

static int select_one(jp_run_t *r, const jp_query_t *q, size_t next, const jp_selector_t *s, value_t v,
                      jp_sink_t *sink) {
    if (s->kind == JP_NAME) {
        bool found = false;
        value_t hit = v.kind == VALUE_OBJECT ? object_get_str_peek(v, s->name, &found) : value_null();
        return found ? walk(r, q, next, hit, sink) : SDG_OK;
    }
    if (v.kind != VALUE_LIST) return SDG_OK;
    int64_t count = (int64_t)list_count(v), i = s->start < 0 ? s->start + count : s->start;
    return i >= 0 && i < count ? walk(r, q, next, list_peek(v, (size_t)i), sink) : SDG_OK;
}

/* All selectors of one segment, in the order written, on one node. */
static int apply_selectors(jp_run_t *r, const jp_query_t *q, size_t segment, value_t v, jp_sink_t *sink) {
    const jp_segment_t *seg = &q->segments[segment];
    int rc = SDG_OK;
    for (size_t i = 0; i < seg->count && rc == SDG_OK; i++) {
        const jp_selector_t *s = &seg->selectors[i];
        switch (s->kind) {
        case JP_NAME:
        case JP_INDEX: rc = select_one(r, q, segment + 1, s, v, sink); break;
        case JP_WILD: rc = select_children(r, q, segment + 1, NULL, v, sink); break;
        case JP_FILTER: rc = select_children(r, q, segment + 1, s->filter, v, sink); break;
        case JP_SLICE: rc = select_slice(r, q, segment + 1, s, v, sink); break;
        }
    }
    return rc;
}

static int descend(jp_run_t *r, const jp_query_t *q, size_t segment, value_t v, int depth, jp_sink_t *sink) {
    if (depth > JSONPATH_DEPTH_MAX)
        return err_set(r->err, SDG_ELIMIT, "the value nests deeper than %d", JSONPATH_DEPTH_MAX);
    int rc = spend(r);
    if (rc == SDG_OK) rc = apply_selectors(r, q, segment, v, sink);
    for (size_t i = 0; i < children(v) && rc == SDG_OK; i++)
        if (children(child(v, i))) rc = descend(r, q, segment, child(v, i), depth + 1, sink);
    return rc;
}

static int walk(jp_run_t *r, const jp_query_t *q, size_t segment, value_t v, jp_sink_t *sink) {
    int rc = spend(r);
    if (rc != SDG_OK) return rc;
    if (segment == q->count) return add_hit(r, sink, v);
    if (q->segments[segment].descendant) return descend(r, q, segment, v, 0, sink);
    return apply_selectors(r, q, segment, v, sink);
}

/* ---- values in filters */

/* A value, or the "Nothing" of the RFC when it is not present. */
typedef struct maybe {
    bool present;
    value_t v; /* borrowed */
} maybe_t;

static int value_of(jp_run_t *r, const jp_expr_t *e, value_t current, maybe_t *out);

/* The only node of a query, or nothing. */
static int single_node(jp_run_t *r, const jp_query_t *q, value_t current, maybe_t *out) {
    jp_sink_t sink = {.enough = 2};
    int rc = walk_query(r, q, current, &sink);
    *out = (maybe_t){sink.count == 1, sink.first};
    return rc;
}

static int count_nodes(jp_run_t *r, const jp_query_t *q, value_t current, maybe_t *out) {
    jp_sink_t sink = {0};
    int rc = walk_query(r, q, current, &sink);
    *out = (maybe_t){true, value_int((int64_t)sink.count)};
    return rc;
}

static int length_of(jp_run_t *r, const jp_expr_t *e, value_t current, maybe_t *out) {
    maybe_t a;
    int rc = value_of(r, e, current, &a);
    *out = (maybe_t){0};
    if (rc != SDG_OK || !a.present) return rc;
    if (a.v.kind == VALUE_STRING)
        *out = (maybe_t){true, value_int((int64_t)utf8_length(a.v.string->data, a.v.string->len))};
    else if (a.v.kind == VALUE_LIST || a.v.kind == VALUE_OBJECT)
        *out = (maybe_t){true, value_int((int64_t)children(a.v))};
    return rc;
}

static int value_of(jp_run_t *r, const jp_expr_t *e, value_t current, maybe_t *out) {
    if (e->kind == JP_QUERY) return single_node(r, &e->query, current, out);
    if (e->kind == JP_CALL && e->function == JP_LENGTH) return length_of(r, e->left, current, out);
    if (e->kind == JP_CALL && e->function == JP_COUNT) return count_nodes(r, &e->left->query, current, out);
    if (e->kind == JP_CALL) return single_node(r, &e->left->query, current, out);
    *out = (maybe_t){true, e->literal};
    return SDG_OK;
}

/* ---- truth in filters */

static bool is_number(value_t v) {
    return v.kind == VALUE_INT || v.kind == VALUE_REAL || v.kind == VALUE_BIGINT;
}

static bool less(maybe_t a, maybe_t b) {
    if (!a.present || !b.present) return false;
    if (is_number(a.v) && is_number(b.v)) return integer_compare(a.v, b.v) == -1;
    if (a.v.kind != VALUE_STRING || b.v.kind != VALUE_STRING) return false;
    const str_t *x = a.v.string, *y = b.v.string;
    int c = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return c < 0 || (c == 0 && x->len < y->len);
}

static bool same(maybe_t a, maybe_t b) {
    return a.present == b.present && (!a.present || value_equal(a.v, b.v));
}

static bool compare(jp_compare_t how, maybe_t a, maybe_t b) {
    switch (how) {
    case JP_EQ: return same(a, b);
    case JP_NE: return !same(a, b);
    case JP_LT: return less(a, b);
    case JP_LE: return less(a, b) || same(a, b);
    case JP_GT: return less(b, a);
    case JP_GE: return less(b, a) || same(a, b);
    }
    return false;
}

static int test_compare(jp_run_t *r, const jp_expr_t *e, value_t current, bool *yes) {
    maybe_t a, b;
    int rc = value_of(r, e->left, current, &a);
    if (rc == SDG_OK) rc = value_of(r, e->right, current, &b);
    if (rc == SDG_OK) *yes = compare(e->compare, a, b);
    return rc;
}

/* The pattern of match() or search(). A computed text that is no pattern gives NULL and matches nothing, as
 * the RFC wants. */
static pattern_t *pattern_of(const jp_expr_t *call, maybe_t pattern) {
    if (call->regex) return call->regex;
    size_t len;
    char *text = jp_pattern(pattern.v.string->data, pattern.v.string->len, call->function == JP_MATCH, &len);
    pattern_t *re = regex_cached(text, len, 0, NULL);
    free(text);
    return re;
}

static int test_pattern(jp_run_t *r, const jp_expr_t *call, value_t current, bool *yes) {
    maybe_t text, pattern;
    *yes = false;
    int rc = value_of(r, call->left, current, &text);
    if (rc == SDG_OK) rc = value_of(r, call->right, current, &pattern);
    if (rc != SDG_OK || !text.present || !pattern.present) return rc;
    if (text.v.kind != VALUE_STRING || pattern.v.kind != VALUE_STRING) return SDG_OK;
    pattern_t *re = pattern_of(call, pattern);
    size_t span[2];
    if (!re) return SDG_OK;
    rc = regex_match(re, text.v.string->data, text.v.string->len, 0, span, 2, r->err);
    *yes = rc > 0;
    return rc < 0 ? rc : SDG_OK;
}

static int test_exists(jp_run_t *r, const jp_query_t *q, value_t current, bool *yes) {
    jp_sink_t sink = {.enough = 1};
    int rc = walk_query(r, q, current, &sink);
    *yes = sink.count > 0;
    return rc;
}

/* The truth of an expression for the node `current` (the @ of the filter). Each test counts as a step. */
static int test(jp_run_t *r, const jp_expr_t *e, value_t current, bool *yes) {
    int rc = spend(r);
    if (rc != SDG_OK) return rc;
    switch (e->kind) {
    case JP_OR:
    case JP_AND:
        rc = test(r, e->left, current, yes);
        return rc == SDG_OK && *yes == (e->kind == JP_AND) ? test(r, e->right, current, yes) : rc;
    case JP_NOT:
        rc = test(r, e->left, current, yes);
        *yes = !*yes;
        return rc;
    case JP_COMPARE: return test_compare(r, e, current, yes);
    case JP_EXISTS: return test_exists(r, &e->query, current, yes);
    default: return test_pattern(r, e, current, yes);
    }
}

int jsonpath_select(const jsonpath_t *path, value_t root, value_t *out_list, err_t *err) {
    jp_run_t r = {.root = root, .err = err};
    *out_list = value_list(0);
    jp_sink_t sink = {.list = out_list};
    int rc = walk_query(&r, &path->query, root, &sink);
    if (rc != SDG_OK) value_clear(out_list);
    return rc;
}
