/* value.h - the values of MABEL: null, boolean, integer, real, string, list, object (insertion order kept).
 * An integer beyond 64 bits has a kind of its own and holds its digits (integer.h).
 *
 * A `value_t` is 16 bytes and is passed by value. Strings, large integers, lists and objects are shared by
 * reference count.
 * The count is not atomic: a value never leaves its thread (messages carry bytes).
 *
 * Ownership, in two rules. What a function returns is owned by the caller, who releases it with value_free;
 * but what a function whose name ends in `_peek` returns is borrowed from its container. A parameter is
 * borrowed; but one that is called `take` is consumed. value_ref copies a value: it is cheap and shares the
 * contents.
 *
 * Containers are copy-on-write: the functions that change a list or object take `value_t *` and first make
 * that value the only owner of its contents, so no other holder sees the change. Nothing here is cyclic. */
#ifndef SDG_BASE_VALUE_H
#define SDG_BASE_VALUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_REAL,
    VALUE_BIGINT, /* from here on a value has heap of its own, shared by reference count */
    VALUE_STRING,
    VALUE_LIST,
    VALUE_OBJECT,
} value_kind_t;

/* A shared, immutable string: UTF-8 by convention, may hold NUL bytes, always NUL-terminated behind `len`. */
typedef struct str {
    uint32_t refs;
    uint32_t len;  /* bytes */
    uint32_t hash; /* of the bytes; 0 while not yet computed */
    char data[];
} str_t;

/* What lists and objects begin with. The fields are for value.c and the functions below. */
typedef struct container {
    uint32_t refs;
    uint32_t kind;  /* value_kind_t */
    uint32_t count; /* elements or keys */
    uint32_t cap;
    struct container *next_dead; /* chain of containers waiting to be released */
} container_t;
typedef struct list list_t;
typedef struct object object_t;

typedef struct value {
    value_kind_t kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        str_t *string; /* a string, or the digits of a VALUE_BIGINT */
        list_t *list;
        object_t *object;
        container_t *container; /* a list or an object */
        uint32_t *refs;         /* of all kinds from VALUE_BIGINT on: each begins with its count */
    };
} value_t;

struct list {
    container_t head;
    value_t *items;
};

/* strings */
/* A fresh string; len <= VALUE_STRING_MAX (limits.h), asserted. bytes NULL: the caller fills it. */
str_t *str_new(const char *bytes, size_t len);
/* The rest of str_free, when the last reference is gone. Nobody else calls it. */
void str_release(str_t *s);
uint32_t str_hash_bytes(const char *bytes, size_t len); /* what str_hash gives for these bytes; never 0 */
static inline str_t *str_ref(str_t *s) {
    s->refs++;
    return s;
}
/* Drops one reference; NULL is fine. */
static inline void str_free(str_t *s) {
    if (s && --s->refs == 0) str_release(s);
}
static inline uint32_t str_hash(str_t *s) {
    if (s->hash == 0) s->hash = str_hash_bytes(s->data, s->len);
    return s->hash;
}
bool str_equal(str_t *a, str_t *b);

/* scalars and empty containers */
static inline value_t value_null(void) { return (value_t){.kind = VALUE_NULL, .integer = 0}; }
static inline value_t value_bool(bool b) { return (value_t){.kind = VALUE_BOOL, .boolean = b}; }
static inline value_t value_int(int64_t i) { return (value_t){.kind = VALUE_INT, .integer = i}; }
static inline value_t value_real(double r) { return (value_t){.kind = VALUE_REAL, .real = r}; }
value_t value_string(const char *bytes, size_t len);
value_t value_text(const char *nul_terminated);
value_t value_from_str(str_t *take);
value_t value_list(size_t capacity_hint);
value_t value_object(size_t capacity_hint);

/* The rest of value_free, when the last reference is gone. Nobody else calls it. */
void value_release(value_t v);
/* Another owner of the same contents. */
static inline value_t value_ref(value_t v) {
    if (v.kind >= VALUE_BIGINT) ++*v.refs;
    return v;
}
/* Drops one reference; deep structures are released without recursion on the C stack. */
static inline void value_free(value_t v) {
    if (v.kind >= VALUE_BIGINT && --*v.refs == 0) value_release(v);
}
/* Puts a value into the slot and frees the one that was in it. */
static inline void value_replace(value_t *slot, value_t take) {
    value_t old = *slot;
    *slot = take;
    value_free(old);
}
static inline void value_clear(value_t *v) { value_replace(v, value_null()); }

/* lists */
static inline size_t list_count(value_t list) {
    assert(list.kind == VALUE_LIST);
    return list.container->count;
}
static inline const value_t *list_at_peek(value_t list, size_t i) { /* i < count, asserted */
    assert(list.kind == VALUE_LIST && i < list.container->count);
    return &list.list->items[i];
}
static inline value_t list_peek(value_t list, size_t i) { return *list_at_peek(list, i); }
void list_push(value_t *list, value_t take);
void list_set(value_t *list, size_t i, value_t take);

/* objects: keys are strings, order is insertion order, setting an existing key keeps its place */
static inline size_t object_count(value_t object) {
    assert(object.kind == VALUE_OBJECT);
    return object.container->count;
}
str_t *object_key_peek(value_t object, size_t i);
value_t object_value_peek(value_t object, size_t i);
/* The value under key, NULL when there is none; borrowed, until the object changes. The str_t form uses the
 * cached hash: for hot paths. */
const value_t *object_find_peek(value_t object, str_t *key);
const value_t *object_find_bytes_peek(value_t object, const char *key, size_t len);
/* The same by value, null when there is none; *found (may be NULL) tells. */
value_t object_get_peek(value_t object, const char *key, size_t len, bool *found);
value_t object_get_str_peek(value_t object, str_t *key, bool *found);
void object_set(value_t *object, str_t *key, value_t take); /* key is borrowed (a reference is taken) */
void object_set_text(value_t *object, const char *key, value_t take);
bool object_remove(value_t *object, const char *key, size_t len); /* true if it was there; O(n) */
/* The value under key, to be changed in place: the object is made unique first. NULL if absent. Valid until
 * the next change. */
value_t *object_slot(value_t *object, str_t *key);

/* whole values */
/* MABEL falsy: null, false, 0, 0.0, "", [], {} */
static inline bool value_truthy(value_t v) {
    switch (v.kind) {
    case VALUE_NULL: return false;
    case VALUE_BOOL: return v.boolean;
    case VALUE_INT: return v.integer != 0;
    case VALUE_REAL: return v.real != 0.0;
    case VALUE_BIGINT: return true;
    case VALUE_STRING: return v.string->len > 0;
    case VALUE_LIST:
    case VALUE_OBJECT: return v.container->count > 0;
    }
    return false;
}
/* Deep; 1 equals 1.0, a boolean is not a number, the order of keys does not matter. */
bool value_equal(value_t a, value_t b);
uint64_t value_hash(value_t v);                 /* equal values have equal hashes */
const char *value_kind_name(value_kind_t kind); /* null boolean integer real string list object */
/* About the heap that v holds; shared parts count each time. SIZE_MAX when there are more than a million
 * parts. */
size_t value_bytes(value_t v);

#endif
