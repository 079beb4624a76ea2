/* mex_collections.c - operators on lists, and those that bind an element to a name.
 *
 * A lambda's frame has three slots: element, index and, in reduce, the accumulator. It is made once per
 * operator call; per element only the values in it change.
 */
#include "core/mabel/mex/mex_node.h"

#include "core/base/integer.h"
#include "core/base/text.h"
#include "core/mabel/mex/limits.h"
#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>

/* Nesting of lists that sort compares: it bounds the C stack, and what lies deeper counts as equal. */
enum { SORT_DEPTH_MAX = 64 };

/* ---- lambdas */

typedef struct lambda {
    const mex_t *fn; /* NULL: the element itself */
    scope_t *s;
    local_t slots[MEX_BOUND_MAX];
    locals_t frame;
} lambda_t;

static void lambda_open(lambda_t *l, const mex_t *m, scope_t *s, bool with_accumulator) {
    l->fn = m->args[1];
    l->s = s;
    for (int i = 0; i < MEX_BOUND_MAX; i++)
        l->slots[i] = (local_t){m->bound[i], value_null()};
    uint32_t count = with_accumulator ? MEX_BOUND_MAX : MEX_ACCUMULATOR;
    l->frame =
        (locals_t){.outer = s->locals, .slots = l->slots, .count = count, .cap = count, .expression = true};
    s->locals = &l->frame;
}

static void lambda_close(lambda_t *l) {
    l->s->locals = l->frame.outer;
    for (int i = 0; i < MEX_BOUND_MAX; i++)
        value_free(l->slots[i].value);
}

static int lambda_call(lambda_t *l, value_t element, size_t index, value_t *out, err_t *err) {
    if (!l->fn) {
        *out = value_ref(element);
        return mex_spend(l->s, 1, err);
    }
    value_replace(&l->slots[MEX_ELEMENT].value, value_ref(element));
    value_replace(&l->slots[MEX_INDEX].value, value_int((int64_t)index));
    return mex_value_of(l->fn, l->s, out, err);
}

static int lambda_test(lambda_t *l, value_t element, size_t index, bool *yes, err_t *err) {
    value_t v;
    int rc = lambda_call(l, element, index, &v, err);
    if (rc != SDG_OK) return rc;
    *yes = value_truthy(v);
    value_free(v);
    return SDG_OK;
}

/* Gives the list away when all went well, else frees it. */
static int finish_list(int rc, value_t take, value_t *out) {
    if (rc == SDG_OK)
        *out = take;
    else
        value_free(take);
    return rc;
}

/* ---- map, filter, reduce, any, all */

/* fn of each element, in order. */
int mex_run_map(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    size_t count = list_count(list);
    value_t made = value_list(count);
    lambda_t l;
    lambda_open(&l, m, s, false);
    for (size_t i = 0; i < count && rc == SDG_OK; i++) {
        value_t v;
        rc = lambda_call(&l, list_peek(list, i), i, &v, err);
        if (rc == SDG_OK) list_push(&made, v);
    }
    lambda_close(&l);
    value_free(list);
    return finish_list(rc, made, out);
}

/* The elements for which fn is true. */
int mex_run_filter(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    value_t kept = value_list(0);
    lambda_t l;
    lambda_open(&l, m, s, false);
    for (size_t i = 0; i < list_count(list) && rc == SDG_OK; i++) {
        bool yes = false;
        rc = lambda_test(&l, list_peek(list, i), i, &yes, err);
        if (rc == SDG_OK && yes) list_push(&kept, value_ref(list_peek(list, i)));
    }
    lambda_close(&l);
    value_free(list);
    return finish_list(rc, kept, out);
}

/* Without `init` the first element is the first accumulator, and the fold begins with the second one. */
int mex_run_reduce(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list, seed = value_null();
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    size_t first = 0;
    if (m->args[2])
        rc = mex_value_of(m->args[2], s, &seed, err);
    else if (list_count(list) > 0)
        seed = value_ref(list_peek(list, first++));
    if (rc == SDG_OK) {
        lambda_t l;
        lambda_open(&l, m, s, true);
        l.slots[MEX_ACCUMULATOR].value = seed;
        for (size_t i = first; i < list_count(list) && rc == SDG_OK; i++) {
            value_t v;
            rc = lambda_call(&l, list_peek(list, i), i, &v, err);
            if (rc == SDG_OK) value_replace(&l.slots[MEX_ACCUMULATOR].value, v);
        }
        if (rc == SDG_OK) *out = value_ref(l.slots[MEX_ACCUMULATOR].value);
        lambda_close(&l);
    }
    value_free(list);
    return rc;
}

/* any and all: the first test that gives stop_at decides. */
static int run_search(const mex_t *m, scope_t *s, bool stop_at, value_t *out, err_t *err) {
    value_t list;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    bool yes = !stop_at;
    lambda_t l;
    lambda_open(&l, m, s, false);
    for (size_t i = 0; i < list_count(list) && rc == SDG_OK && yes != stop_at; i++)
        rc = lambda_test(&l, list_peek(list, i), i, &yes, err);
    lambda_close(&l);
    value_free(list);
    if (rc == SDG_OK) *out = value_bool(yes);
    return rc;
}

int mex_run_any(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_search(m, s, true, out, err);
}
int mex_run_all(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_search(m, s, false, out, err);
}

/* ---- first, last, len, slice */

/* The first element that passes, looking from the front or from the end; null when none does. */
static int find_element(const mex_t *m, scope_t *s, value_t list, bool from_end, value_t *out, err_t *err) {
    size_t count = list_count(list);
    bool yes = false;
    int rc = SDG_OK;
    lambda_t l;
    lambda_open(&l, m, s, false);
    *out = value_null();
    for (size_t n = 0; n < count && !yes && rc == SDG_OK; n++) {
        size_t i = from_end ? count - 1 - n : n;
        yes = !l.fn;
        if (l.fn) rc = lambda_test(&l, list_peek(list, i), i, &yes, err);
        if (rc == SDG_OK && yes) *out = value_ref(list_peek(list, i));
    }
    lambda_close(&l);
    return rc;
}

static value_t end_character(const str_t *text, bool from_end) {
    size_t count = utf8_length(text->data, text->len);
    if (count == 0) return value_null();
    size_t start = from_end ? utf8_offset(text->data, text->len, count - 1) : 0;
    return value_string(text->data + start, utf8_offset(text->data + start, text->len - start, 1));
}

/* first and last: an element of a list (the first that passes fn, if there is one) or a character of a text.
 */
static int run_end(const mex_t *m, scope_t *s, bool from_end, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    if (v.kind == VALUE_LIST)
        rc = find_element(m, s, v, from_end, out, err);
    else if (m->wrapped || v.kind == VALUE_NULL)
        *out = value_ref(v);
    else if (v.kind == VALUE_STRING)
        *out = end_character(v.string, from_end);
    else
        rc = mex_wrong(m, v, "a list", err);
    value_free(v);
    return rc;
}

int mex_run_first(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_end(m, s, false, out, err);
}
int mex_run_last(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_end(m, s, true, out, err);
}

static size_t text_form_length(value_t v) {
    str_t *text = text_of(v);
    size_t n = utf8_length(text->data, text->len);
    str_free(text);
    return n;
}

/* Elements of a list, keys of an object, characters of anything else in text form; null has none. */
int mex_run_len(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    size_t n = 1; /* [x] with an x that is no list */
    if (v.kind == VALUE_LIST)
        n = list_count(v);
    else if (m->wrapped)
        n = 1;
    else if (v.kind == VALUE_OBJECT)
        n = object_count(v);
    else
        n = v.kind == VALUE_NULL ? 0 : text_form_length(v);
    value_free(v);
    *out = value_int((int64_t)n);
    return SDG_OK;
}

/* Python's slice bounds: negative counts from the end, both are cut to 0..count. */
static void slice_bounds(int64_t *start, int64_t *end, bool has_start, bool has_end, size_t count) {
    int64_t n = (int64_t)count;
    if (!has_start) *start = 0;
    if (!has_end) *end = n;
    if (*start < 0) *start += n;
    if (*end < 0) *end += n;
    *start = *start < 0 ? 0 : *start > n ? n : *start;
    *end = *end < *start ? *start : *end > n ? n : *end;
}

static value_t slice_list(value_t list, int64_t start, int64_t end) {
    value_t part = value_list((size_t)(end - start));
    for (int64_t i = start; i < end; i++)
        list_push(&part, value_ref(list_peek(list, (size_t)i)));
    return part;
}

static value_t slice_text(const str_t *text, int64_t start, int64_t end) {
    size_t from = utf8_offset(text->data, text->len, (size_t)start);
    size_t len = utf8_offset(text->data + from, text->len - from, (size_t)(end - start));
    return value_string(text->data + from, len);
}

/* A part of a list, or of the text form of anything else but an object; null is an empty list. */
int mex_run_slice(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int64_t start = 0, end = 0;
    bool has_start, has_end;
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    rc = mex_index_of(m, 1, s, &start, &has_start, err);
    if (rc == SDG_OK) rc = mex_index_of(m, 2, s, &end, &has_end, err);
    if (rc != SDG_OK) {
        value_free(v);
        return rc;
    }
    if (v.kind == VALUE_OBJECT) {
        rc = mex_wrong(m, v, "a list or text", err);
    } else if (v.kind == VALUE_LIST) {
        slice_bounds(&start, &end, has_start, has_end, list_count(v));
        *out = slice_list(v, start, end);
    } else if (v.kind == VALUE_NULL) {
        *out = value_list(0);
    } else {
        str_t *text = text_of(v);
        slice_bounds(&start, &end, has_start, has_end, utf8_length(text->data, text->len));
        *out = slice_text(text, start, end);
        str_free(text);
    }
    value_free(v);
    return rc;
}

/* ---- range */

/* Python's range: one operand is the end, with two the first is the start. The length is worked out in 128
 * bits, because the ends may be any integers. */
int mex_run_range(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int64_t n[3] = {0, 0, 1}; /* start or end, end, step */
    bool given[3] = {false};
    for (size_t i = 0; i < 3; i++) {
        if (!m->args[i]) continue;
        int rc = mex_index_of(m, i, s, &n[i], &given[i], err);
        if (rc != SDG_OK) return rc;
        if (!given[i]) return mex_wrong(m, value_null(), "an integer", err);
    }
    int64_t start = given[1] ? n[0] : 0, end = given[1] ? n[1] : n[0], step = n[2];
    if (step == 0) return mex_fail(m, SDG_EINVAL, err, "the step is 0");
    __int128 span = step > 0 ? (__int128)end - start : (__int128)start - end;
    __int128 stride = step > 0 ? step : -(__int128)step;
    __int128 count = span <= 0 ? 0 : (span + stride - 1) / stride;
    if (count > MEX_LIST_MAX)
        return mex_fail(m, SDG_ELIMIT, err, "a list of more than %d elements", MEX_LIST_MAX);
    int rc = mex_spend(s, (uint64_t)count, err);
    if (rc != SDG_OK) return rc;
    value_t list = value_list((size_t)count);
    for (int64_t i = 0; i < (int64_t)count; i++)
        list_push(&list, value_int(start + i * step));
    *out = list;
    return SDG_OK;
}

/* ---- unique */

/* The keys that unique and sort compare: what fn gives for each element, else the elements themselves. */
static int keys_of(const mex_t *m, scope_t *s, value_t list, value_t *keys, err_t *err) {
    if (!m->args[1]) {
        *keys = value_ref(list);
        return mex_spend(s, list_count(list), err);
    }
    value_t made = value_list(list_count(list));
    int rc = SDG_OK;
    lambda_t l;
    lambda_open(&l, m, s, false);
    for (size_t i = 0; i < list_count(list) && rc == SDG_OK; i++) {
        value_t key;
        rc = lambda_call(&l, list_peek(list, i), i, &key, err);
        if (rc == SDG_OK) list_push(&made, key);
    }
    lambda_close(&l);
    return finish_list(rc, made, keys);
}

static bool is_number_kind(value_kind_t kind) {
    return kind == VALUE_INT || kind == VALUE_REAL || kind == VALUE_BIGINT;
}

/* Two texts are equal as texts, but a number is equal to numeric text. */
static bool unique_equal(value_t a, value_t b) {
    bool mixed = (is_number_kind(a.kind) && b.kind == VALUE_STRING) ||
                 (is_number_kind(b.kind) && a.kind == VALUE_STRING);
    return mixed ? mex_equal(a, b) : value_equal(a, b);
}

/* Numeric text has the hash of its number. */
static uint64_t unique_hash(value_t v) {
    value_t number;
    if (v.kind != VALUE_STRING || !mex_exact_number(v, &number)) return value_hash(v);
    uint64_t hash = value_hash(number);
    value_free(number);
    return hash;
}

/* A hash set of positions in `keys`. */
typedef struct seen {
    value_t keys;
    uint32_t *slots; /* position + 1; 0 is empty */
    size_t mask;
} seen_t;

/* True when an equal key is there already; else it is put in. */
static bool seen_before(seen_t *seen, size_t at) {
    value_t key = list_peek(seen->keys, at);
    size_t slot = unique_hash(key) & seen->mask;
    for (; seen->slots[slot]; slot = (slot + 1) & seen->mask)
        if (unique_equal(list_peek(seen->keys, seen->slots[slot] - 1), key)) return true;
    seen->slots[slot] = (uint32_t)at + 1;
    return false;
}

/* The first element of each key, in order. The hash set is at most half full. */
int mex_run_unique(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list, keys;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    rc = keys_of(m, s, list, &keys, err);
    if (rc == SDG_OK) {
        size_t count = list_count(list), size = 16;
        while (size < 2 * count)
            size *= 2;
        seen_t seen = {.keys = keys, .slots = xcalloc(size, sizeof *seen.slots), .mask = size - 1};
        *out = value_list(0);
        for (size_t i = 0; i < count; i++)
            if (!seen_before(&seen, i)) list_push(out, value_ref(list_peek(list, i)));
        free(seen.slots);
        value_free(keys);
    }
    value_free(list);
    return rc;
}

/* ---- sort */

typedef struct sort_item {
    value_t key; /* borrowed */
    size_t at;   /* position before: equal keys keep their order */
} sort_item_t;

/* Which kinds come first: numbers, then text. Lists are sorted only among themselves; -1: it cannot be
 * sorted. */
static int rank_of(value_t v) {
    switch (v.kind) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_REAL:
    case VALUE_BIGINT: return 0;
    case VALUE_STRING: return 1;
    case VALUE_LIST: return 2;
    default: return -1;
    }
}

typedef struct sorting {
    bool reverse;
    /* Elements compared. Beyond MEX_OPS_MAX comparing stops: a list may hold another one many times over. */
    uint64_t steps;
} sorting_t;

/* A boolean is a number here; nan has no order and counts as equal. */
static int sort_order_numbers(value_t a, value_t b) {
    if (a.kind == VALUE_BOOL) a = value_int(a.boolean);
    if (b.kind == VALUE_BOOL) b = value_int(b.boolean);
    return integer_compare(a, b) % 2;
}

/* The order of two keys: lists by their first elements that differ, then by length. */
static int sort_order(value_t a, value_t b, int depth, uint64_t *steps) {
    int ra = rank_of(a), rb = rank_of(b);
    if (ra != rb) return ra < rb ? -1 : 1;
    if (ra == 0) return sort_order_numbers(a, b);
    if (ra == 1) {
        size_t len = a.string->len < b.string->len ? a.string->len : b.string->len;
        int c = memcmp(a.string->data, b.string->data, len);
        return c ? c : (a.string->len > b.string->len) - (a.string->len < b.string->len);
    }
    if (ra < 0 || depth >= SORT_DEPTH_MAX || a.list == b.list) return 0;
    for (size_t i = 0; i < list_count(a) && i < list_count(b) && ++*steps <= MEX_OPS_MAX; i++) {
        int c = sort_order(list_peek(a, i), list_peek(b, i), depth + 1, steps);
        if (c) return c;
    }
    return (list_count(a) > list_count(b)) - (list_count(a) < list_count(b));
}

static int by_key(const void *a, const void *b, void *arg) {
    const sort_item_t *x = a, *y = b;
    sorting_t *sorting = arg;
    int c = sort_order(x->key, y->key, 0, &sorting->steps);
    if (c) return sorting->reverse ? -c : c;
    return (x->at > y->at) - (x->at < y->at);
}

/* Only numbers and texts mix. */
static int check_sortable(const mex_t *m, value_t keys, err_t *err) {
    bool lists = false, others = false;
    for (size_t i = 0; i < list_count(keys); i++) {
        int rank = rank_of(list_peek(keys, i));
        lists |= rank == 2;
        others |= rank == 0 || rank == 1;
        if (rank < 0 || (lists && others))
            return mex_fail(m, SDG_EINVAL, err,
                            "numbers and text can be sorted, or lists; a value of kind %s is among them",
                            value_kind_name(list_peek(keys, i).kind));
    }
    return SDG_OK;
}

static value_t sorted(value_t list, value_t keys, sorting_t *sorting) {
    size_t count = list_count(list);
    sort_item_t *items = xmalloc(count * sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = (sort_item_t){list_peek(keys, i), i};
    qsort_r(items, count, sizeof *items, by_key, sorting);
    value_t out = value_list(count);
    for (size_t i = 0; i < count; i++)
        list_push(&out, value_ref(list_peek(list, items[i].at)));
    free(items);
    return out;
}

/* Stable. Each element is charged as eight operations before anything is compared. */
int mex_run_sort(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list, keys;
    bool reverse = false;
    int rc = m->args[2] ? mex_truth_of(m->args[2], s, &reverse, err) : SDG_OK;
    if (rc == SDG_OK) rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    rc = keys_of(m, s, list, &keys, err);
    if (rc == SDG_OK) {
        rc = check_sortable(m, keys, err);
        if (rc == SDG_OK) rc = mex_spend(s, 8 * list_count(list), err);
        sorting_t sorting = {.reverse = reverse};
        value_t v = rc == SDG_OK ? sorted(list, keys, &sorting) : value_null();
        if (rc == SDG_OK) rc = mex_spend(s, sorting.steps, err);
        if (rc == SDG_OK)
            *out = v;
        else
            value_free(v);
        value_free(keys);
    }
    value_free(list);
    return rc;
}
