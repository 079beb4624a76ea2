/* scope.c - names while a row runs.
 *
 * A lookup costs a few hash comparisons: frames hold a handful of locals, objects find a str_t by its cached
 * hash. A dotted name ("a.b[0]") is cut into its possible roots once, when it is compiled, so that at run
 * time it is at most three lookups and one walk.
 */
#include "core/mabel/text/scope.h"

#include "core/base/limits.h"
#include "core/base/names.h"
#include "core/base/small.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- locals */

static inline value_t *frame_find(const locals_t *l, str_t *name) {
    uint32_t hash = str_hash(name);
    for (uint32_t i = 0; i < l->count; i++) {
        local_t *at = &l->slots[i];
        if (at->name == name || (str_hash(at->name) == hash && str_equal(at->name, name))) return &at->value;
    }
    return NULL;
}

value_t *locals_find(locals_t *l, str_t *name) {
    for (; l; l = l->outer) {
        value_t *slot = frame_find(l, name);
        if (slot) return slot;
    }
    return NULL;
}

void locals_set(locals_t *l, str_t *name, value_t take) {
    value_t *slot = frame_find(l, name);
    if (slot) {
        value_replace(slot, take);
        return;
    }
    if (l->count == l->cap) l->slots = small_grow(l->slots, &l->cap, 4, sizeof *l->slots);
    l->slots[l->count++] = (local_t){str_ref(name), take};
}

void locals_free(locals_t *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        str_free(l->slots[i].name);
        value_free(l->slots[i].value);
    }
    small_free(l->slots, l->cap * sizeof *l->slots);
    *l = (locals_t){.outer = l->outer};
}

/* ---- lookup */

static inline const value_t *find_in(value_t object, str_t *name) {
    return object.kind == VALUE_OBJECT ? object_find_peek(object, name) : NULL;
}

const value_t *scope_find_in_context(const scope_t *s, str_t *name) {
    const value_t *v = find_in(s->overlay, name);
    return v || !s->context ? v : find_in(*s->context, name);
}

const value_t *scope_find(const scope_t *s, str_t *name) {
    const value_t *v = s->locals ? locals_find(s->locals, name) : NULL;
    if (!v) v = scope_find_in_context(s, name);
    if (!v && s->vars) v = find_in(*s->vars, name);
    return v ? v : find_in(s->consts, name);
}

/* Assigns the name in the frames of lambdas and lets that bind it; returns the frame of the step around them,
 * which `set` means, or NULL. */
static locals_t *assign_in_expressions(locals_t *l, str_t *name, value_t v) {
    for (; l && l->expression; l = l->outer) {
        value_t *slot = frame_find(l, name);
        if (slot) value_replace(slot, value_ref(v));
    }
    return l;
}

int scope_set(scope_t *s, str_t *name, value_t take, err_t *err) {
    if (find_in(s->consts, name)) {
        value_free(take);
        return err_set(err, SDG_EINVAL, "\"%s\" is a constant (globals.const) and cannot be set", name->data);
    }
    locals_t *frame = assign_in_expressions(s->locals, name, take);
    if (frame) locals_set(frame, name, value_ref(take));
    if (s->vars)
        object_set(s->vars, name, take);
    else
        value_free(take);
    return SDG_OK;
}

/* ---- paths */

typedef struct path_step {
    bool is_index;
    int64_t index;
    const char *name; /* borrowed from the path */
    size_t len;
} path_step_t;

/* The index that "12" or "-1" stands for; false when these bytes are no decimal number. */
static bool read_index(const char *at, const char *end, int64_t *index) {
    bool negative = at < end && *at == '-';
    if (negative) at++;
    if (at == end || end - at > 18) return false;
    int64_t n = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') return false;
        n = n * 10 + (*at - '0');
    }
    *index = negative ? -n : n;
    return true;
}

static bool read_bracket(const char **at, const char *end, path_step_t *step) {
    const char *from = *at + 1;
    const char *close = memchr(from, ']', (size_t)(end - from));
    if (!close) return false;
    *at = close + 1;
    size_t len = (size_t)(close - from);
    if (len >= 2 && (*from == '"' || *from == '\'') && close[-1] == *from) {
        *step = (path_step_t){.name = from + 1, .len = len - 2};
        return true;
    }
    *step = (path_step_t){.is_index = true};
    return read_index(from, close, &step->index);
}

/* The next step of a path; false when it is malformed. *at < end. */
static bool next_step(const char **at, const char *end, path_step_t *step) {
    if (**at == '[') return read_bracket(at, end, step);
    if (**at == '.') ++*at;
    const char *from = *at;
    while (*at < end && **at != '.' && **at != '[')
        ++*at;
    *step = (path_step_t){.name = from, .len = (size_t)(*at - from)};
    return step->len > 0;
}

/* Makes 0 <= *index < count from an index that may count from the end. */
static bool fit_index(int64_t *index, size_t count) {
    if (*index < 0) *index += (int64_t)count;
    return *index >= 0 && *index < (int64_t)count;
}

static const value_t *follow(const value_t *v, path_step_t step) {
    if (v->kind == VALUE_LIST) {
        bool is_index = step.is_index || read_index(step.name, step.name + step.len, &step.index);
        return is_index && fit_index(&step.index, list_count(*v)) ? list_at_peek(*v, (size_t)step.index)
                                                                  : NULL;
    }
    return v->kind == VALUE_OBJECT && !step.is_index ? object_find_bytes_peek(*v, step.name, step.len) : NULL;
}

const value_t *value_path_find(const value_t *root, const char *path, size_t len) {
    const char *at = path, *end = path + len;
    const value_t *v = root;
    while (at < end && v) {
        path_step_t step;
        v = next_step(&at, end, &step) ? follow(v, step) : NULL;
    }
    return v;
}

static int set_at(value_t *slot, const char *at, const char *end, int depth, value_t v, err_t *err);

static int set_in_list(value_t *slot, path_step_t step, const char *at, const char *end, int depth, value_t v,
                       err_t *err) {
    if (!step.is_index && !read_index(step.name, step.name + step.len, &step.index))
        return err_set(err, SDG_EINVAL, "\"%.*s\" is no index of a list", (int)step.len, step.name);
    int64_t count = (int64_t)list_count(*slot);
    if (step.index == count) list_push(slot, value_null());
    if (!fit_index(&step.index, list_count(*slot)))
        return err_set(err, SDG_EINVAL, "the index is outside the list of %lld", (long long)count);
    value_t child = value_ref(list_peek(*slot, (size_t)step.index));
    list_set(slot, (size_t)step.index, value_null());
    int rc = set_at(&child, at, end, depth + 1, v, err);
    list_set(slot, (size_t)step.index, child);
    return rc;
}

static int set_in_object(value_t *slot, path_step_t step, const char *at, const char *end, int depth,
                         value_t v, err_t *err) {
    str_t *key = name_new(step.name, step.len);
    value_t *child = object_slot(slot, key);
    if (!child) {
        object_set(slot, key, value_null());
        child = object_slot(slot, key);
    }
    str_free(key);
    return set_at(child, at, end, depth + 1, v, err);
}

/* Recursion is bounded by the number of steps, JSON_DEPTH_MAX. */
static int set_at(value_t *slot, const char *at, const char *end, int depth, value_t v, err_t *err) {
    if (at == end) {
        value_replace(slot, value_ref(v));
        return SDG_OK;
    }
    path_step_t step;
    if (depth > JSON_DEPTH_MAX)
        return err_set(err, SDG_ELIMIT, "a path of more than %d steps", JSON_DEPTH_MAX);
    if (!next_step(&at, end, &step)) return err_set(err, SDG_EINVAL, "not a path");
    if (slot->kind == VALUE_LIST) return set_in_list(slot, step, at, end, depth, v, err);
    if (slot->kind == VALUE_NULL && !step.is_index) value_replace(slot, value_object(1));
    if (slot->kind == VALUE_OBJECT && !step.is_index)
        return set_in_object(slot, step, at, end, depth, v, err);
    return err_set(err, SDG_EINVAL, "the path goes through a value of kind %s", value_kind_name(slot->kind));
}

int value_path_set(value_t root, const char *path, size_t len, value_t take, value_t *out, err_t *err) {
    *out = value_ref(root);
    int rc = set_at(out, path, path + len, 0, take, err);
    value_free(take);
    if (rc != SDG_OK) value_clear(out);
    return rc;
}

/* ---- dotted names */

void dotted_init(dotted_t *d, const char *name, size_t len) {
    *d = (dotted_t){.whole = name_new(name, len)};
    size_t bracket = 0, first = 0;
    while (bracket < len && name[bracket] != '[')
        bracket++;
    while (first < bracket && name[first] != '.')
        first++;
    if (bracket < len && bracket > first) d->listed = name_new(name, bracket);
    if (first < len && first > 0) d->root = name_new(name, first);
}

void dotted_free(dotted_t *d) {
    str_free(d->whole);
    str_free(d->listed);
    str_free(d->root);
    *d = (dotted_t){0};
}

static const value_t *find_under(const dotted_t *d, str_t *root, const scope_t *s, dotted_lookup_fn *lookup) {
    const value_t *v = root ? lookup(s, root) : NULL;
    return v ? value_path_find(v, d->whole->data + root->len, d->whole->len - root->len) : NULL;
}

const value_t *dotted_find_path(const dotted_t *d, const scope_t *s, dotted_lookup_fn *lookup) {
    const value_t *v = find_under(d, d->listed, s, lookup);
    return v ? v : find_under(d, d->root, s, lookup);
}
