/* value.c - values shared by reference count, copied on write.
 *
 * Strings (and the digits of large integers), lists and objects all begin with their count of references, so
 * value_ref and value_free need not
 * know which of them they have. An object is an array of entries in insertion order. Up to OBJECT_LINEAR_MAX
 * keys it is searched from the front (compare pointer, then hash, then bytes); a larger one has an
 * open-addressing index of entry numbers beside it.
 *
 * The depth of a value costs no C stack: dead containers are chained through `next_dead`, other deep walks
 * keep a worklist, and value_hash does not look below HASH_DEPTH_MAX. (Equal values are equal above it, too,
 * so the hash agrees with value_equal.)
 */
#include "core/base/value.h"

#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/base/integer.h"
#include "core/base/limits.h"
#include "core/base/names.h"
#include "core/base/small.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    OBJECT_LINEAR_MAX = 8,     /* keys searched without an index: two cache lines of hashes beat a probe */
    CONTAINER_FIRST = 4,       /* capacity of the first growth */
    HASH_DEPTH_MAX = 4,        /* value_hash looks no deeper */
    HASH_INNER_MAX = 8,        /* value_hash looks at no more elements of a container inside a container */
    EQUAL_PLAIN_MAX = 4096,    /* pairs value_equal compares before it remembers them */
    BYTES_STEPS_MAX = 1 << 20, /* values value_bytes looks at */
};

typedef struct entry {
    str_t *key;
    uint32_t hash; /* of key, so that a search does not touch it */
    value_t value;
} entry_t;

struct object {
    container_t head;
    entry_t *entries;
    uint32_t *index;     /* entry number + 1, 0 is empty; NULL up to OBJECT_LINEAR_MAX keys */
    uint32_t index_mask; /* slots - 1, a power of two */
};

/* ---- strings */

uint32_t str_hash_bytes(const char *bytes, size_t len) {
    uint32_t h = (uint32_t)XXH3_64bits(bytes, len);
    return h ? h : 1;
}

str_t *str_new(const char *bytes, size_t len) {
    assert(len <= VALUE_STRING_MAX);
    str_t *s = small_alloc(sizeof *s + len + 1);
    s->refs = 1;
    s->len = (uint32_t)len;
    s->hash = 0;
    if (bytes) memcpy(s->data, bytes, len);
    s->data[len] = '\0';
    return s;
}

void str_release(str_t *s) { small_free(s, sizeof *s + s->len + 1); }

bool str_equal(str_t *a, str_t *b) {
    return a == b || (a->len == b->len && memcmp(a->data, b->data, a->len) == 0);
}

value_t value_from_str(str_t *take) { return (value_t){.kind = VALUE_STRING, .string = take}; }

value_t value_string(const char *bytes, size_t len) {
    assert(bytes || len == 0);
    return value_from_str(str_new(bytes, len));
}

value_t value_text(const char *nul_terminated) {
    return value_string(nul_terminated, strlen(nul_terminated));
}

/* ---- life of containers */

value_t value_list(size_t capacity_hint) {
    assert(capacity_hint <= UINT32_MAX);
    list_t *l = small_alloc(sizeof *l);
    *l = (list_t){.head = {.refs = 1, .kind = VALUE_LIST, .cap = (uint32_t)capacity_hint}};
    l->items = small_alloc(capacity_hint * sizeof *l->items);
    return (value_t){.kind = VALUE_LIST, .list = l};
}

value_t value_object(size_t capacity_hint) {
    assert(capacity_hint <= UINT32_MAX / 4);
    object_t *o = small_alloc(sizeof *o);
    *o = (object_t){.head = {.refs = 1, .kind = VALUE_OBJECT, .cap = (uint32_t)capacity_hint}};
    o->entries = small_alloc(capacity_hint * sizeof *o->entries);
    return (value_t){.kind = VALUE_OBJECT, .object = o};
}

/* Drops one reference of v. A container that dies is not walked here: it joins the chain *dead. */
static void drop(value_t v, container_t **dead) {
    if (v.kind < VALUE_BIGINT || --*v.refs > 0) return;
    if (v.kind <= VALUE_STRING) {
        str_release(v.string);
        return;
    }
    container_t *container = v.kind == VALUE_LIST ? &v.list->head : &v.object->head;
    container->next_dead = *dead;
    *dead = container;
}

static void release_list(list_t *l, container_t **dead) {
    for (uint32_t i = 0; i < l->head.count; i++)
        drop(l->items[i], dead);
    small_free(l->items, l->head.cap * sizeof *l->items);
    small_free(l, sizeof *l);
}

static void index_free(object_t *o) {
    if (o->index) small_free(o->index, (o->index_mask + (size_t)1) * sizeof *o->index);
    o->index = NULL;
}

static void release_object(object_t *o, container_t **dead) {
    for (uint32_t i = 0; i < o->head.count; i++) {
        str_free(o->entries[i].key);
        drop(o->entries[i].value, dead);
    }
    small_free(o->entries, o->head.cap * sizeof *o->entries);
    index_free(o);
    small_free(o, sizeof *o);
}

/* Frees a container, then one after the other what died with it. */
void value_release(value_t v) {
    if (v.kind <= VALUE_STRING) {
        str_release(v.string);
        return;
    }
    container_t *dead = v.kind == VALUE_LIST ? &v.list->head : &v.object->head;
    dead->next_dead = NULL;
    while (dead) {
        container_t *container = dead;
        dead = container->next_dead;
        if (container->kind == VALUE_LIST)
            release_list((list_t *)container, &dead);
        else
            release_object((object_t *)container, &dead);
    }
}

/* ---- lists */

static list_t *list_of(value_t v) {
    assert(v.kind == VALUE_LIST);
    return v.list;
}

static list_t *list_copy(value_t *v) {
    list_t *old = v->list;
    value_t copy = value_list(old->head.count);
    for (uint32_t i = 0; i < old->head.count; i++)
        copy.list->items[i] = value_ref(old->items[i]);
    copy.list->head.count = old->head.count;
    value_replace(v, copy);
    return copy.list;
}

/* The list in *v with this value as its only owner. */
static inline list_t *list_unique(value_t *v) { return list_of(*v)->head.refs == 1 ? v->list : list_copy(v); }

void list_push(value_t *list, value_t take) {
    list_t *l = list_unique(list);
    if (l->head.count == l->head.cap)
        l->items = small_grow(l->items, &l->head.cap, CONTAINER_FIRST, sizeof *l->items);
    l->items[l->head.count++] = take;
}

void list_set(value_t *list, size_t i, value_t take) {
    list_t *l = list_unique(list);
    assert(i < l->head.count);
    value_replace(&l->items[i], take);
}

/* ---- objects */

enum { ABSENT = UINT32_MAX };

static object_t *object_of(value_t v) {
    assert(v.kind == VALUE_OBJECT);
    return v.object;
}

static void index_put(object_t *o, uint32_t entry) {
    uint32_t slot = o->entries[entry].hash & o->index_mask;
    while (o->index[slot])
        slot = (slot + 1) & o->index_mask;
    o->index[slot] = entry + 1;
}

/* Makes the index fit the capacity: at most half of the slots are ever used. */
static void index_rebuild(object_t *o) {
    index_free(o);
    if (o->head.count <= OBJECT_LINEAR_MAX) return;
    uint32_t slots = 4 * OBJECT_LINEAR_MAX;
    while (slots < 2 * o->head.cap)
        slots *= 2;
    o->index = small_alloc(slots * sizeof *o->index);
    memset(o->index, 0, slots * sizeof *o->index);
    o->index_mask = slots - 1;
    for (uint32_t i = 0; i < o->head.count; i++)
        index_put(o, i);
}

/* A key that is looked for. Names of a pipeline and columns of its rows are mostly the same strings
 * (names.h): then comparing pointers finds the key, and its bytes are not read. */
typedef struct wanted {
    const str_t *str; /* NULL: only its bytes are there */
    const char *bytes;
    size_t len;
    uint32_t hash;
} wanted_t;

static inline bool entry_is(const entry_t *e, const wanted_t *w) {
    if (e->key == w->str) return true;
    return e->hash == w->hash && e->key->len == w->len && memcmp(e->key->data, w->bytes, w->len) == 0;
}

static inline uint32_t find(const object_t *o, const wanted_t *w) {
    if (!o->index) {
        for (uint32_t i = 0; i < o->head.count; i++)
            if (entry_is(&o->entries[i], w)) return i;
        return ABSENT;
    }
    for (uint32_t slot = w->hash & o->index_mask; o->index[slot]; slot = (slot + 1) & o->index_mask) {
        uint32_t entry = o->index[slot] - 1;
        if (entry_is(&o->entries[entry], w)) return entry;
    }
    return ABSENT;
}

static inline uint32_t find_str(const object_t *o, str_t *key) {
    return find(o, &(wanted_t){.str = key, .bytes = key->data, .len = key->len, .hash = str_hash(key)});
}

static inline uint32_t find_bytes(const object_t *o, const char *key, size_t len) {
    return find(o, &(wanted_t){.bytes = key, .len = len, .hash = str_hash_bytes(key, len)});
}

static object_t *object_copy(value_t *v) {
    object_t *old = v->object;
    value_t copy = value_object(old->head.count);
    object_t *o = copy.object;
    for (uint32_t i = 0; i < old->head.count; i++) {
        const entry_t *e = &old->entries[i];
        o->entries[i] = (entry_t){str_ref(e->key), e->hash, value_ref(e->value)};
    }
    o->head.count = old->head.count;
    index_rebuild(o);
    value_replace(v, copy);
    return o;
}

/* The object in *v with this value as its only owner. */
static inline object_t *object_unique(value_t *v) {
    return object_of(*v)->head.refs == 1 ? v->object : object_copy(v);
}

str_t *object_key_peek(value_t object, size_t i) {
    object_t *o = object_of(object);
    assert(i < o->head.count);
    return o->entries[i].key;
}

value_t object_value_peek(value_t object, size_t i) {
    object_t *o = object_of(object);
    assert(i < o->head.count);
    return o->entries[i].value;
}

static const value_t *value_at(const object_t *o, uint32_t entry) {
    return entry == ABSENT ? NULL : &o->entries[entry].value;
}

const value_t *object_find_peek(value_t object, str_t *key) {
    object_t *o = object_of(object);
    return value_at(o, find_str(o, key));
}

const value_t *object_find_bytes_peek(value_t object, const char *key, size_t len) {
    object_t *o = object_of(object);
    return value_at(o, find_bytes(o, key, len));
}

static value_t peek_found(const value_t *v, bool *found) {
    if (found) *found = v;
    return v ? *v : value_null();
}

value_t object_get_peek(value_t object, const char *key, size_t len, bool *found) {
    return peek_found(object_find_bytes_peek(object, key, len), found);
}

value_t object_get_str_peek(value_t object, str_t *key, bool *found) {
    return peek_found(object_find_peek(object, key), found);
}

static void append_entry(object_t *o, str_t *key, value_t take) {
    bool grow = o->head.count == o->head.cap;
    if (grow) {
        assert(o->head.cap < UINT32_MAX / 8);
        o->entries = small_grow(o->entries, &o->head.cap, CONTAINER_FIRST, sizeof *o->entries);
    }
    o->entries[o->head.count++] = (entry_t){str_ref(key), str_hash(key), take};
    if (o->index && !grow)
        index_put(o, o->head.count - 1);
    else if (o->head.count > OBJECT_LINEAR_MAX)
        index_rebuild(o);
}

void object_set(value_t *object, str_t *key, value_t take) {
    object_t *o = object_unique(object);
    uint32_t entry = find_str(o, key);
    if (entry != ABSENT)
        value_replace(&o->entries[entry].value, take);
    else
        append_entry(o, key, take);
}

void object_set_text(value_t *object, const char *key, value_t take) {
    str_t *name = name_new(key, strlen(key));
    object_set(object, name, take);
    str_free(name);
}

bool object_remove(value_t *object, const char *key, size_t len) {
    uint32_t entry = find_bytes(object_of(*object), key, len);
    if (entry == ABSENT) return false;
    object_t *o = object_unique(object);
    entry_t gone = o->entries[entry];
    o->head.count--;
    memmove(&o->entries[entry], &o->entries[entry + 1], (o->head.count - entry) * sizeof gone);
    if (o->index) index_rebuild(o);
    str_free(gone.key);
    value_free(gone.value);
    return true;
}

value_t *object_slot(value_t *object, str_t *key) {
    uint32_t entry = find_str(object_of(*object), key);
    return entry == ABSENT ? NULL : &object_unique(object)->entries[entry].value;
}

/* ---- whole values */

/* Values still to be looked at; grows on the heap only for nested containers. */
typedef struct worklist {
    value_t *items;
    size_t count;
    size_t cap;
} worklist_t;

static void work_push(worklist_t *w, value_t borrowed) {
    GROW(w->items, w->cap, w->count + 1);
    w->items[w->count++] = borrowed;
}

/* True, and *i, when r is exactly a 64-bit integer. */
static bool real_as_int(double r, int64_t *i) {
    if (!(r >= -0x1p63 && r < 0x1p63)) return false;
    *i = (int64_t)r;
    return (double)*i == r;
}

static bool int_equals_real(int64_t i, double r) {
    int64_t as_int;
    return real_as_int(r, &as_int) && as_int == i;
}

static bool big_equals_real(value_t big, value_t r) {
    return big.kind == VALUE_BIGINT && r.kind == VALUE_REAL && integer_compare(big, r) == 0;
}

/* False when a and b differ at this level. Two containers of one size go to `rest`, to be compared later. */
static bool shallow_equal(value_t a, value_t b, worklist_t *rest) {
    if (a.kind == VALUE_INT && b.kind == VALUE_REAL) return int_equals_real(a.integer, b.real);
    if (a.kind == VALUE_REAL && b.kind == VALUE_INT) return int_equals_real(b.integer, a.real);
    if (a.kind != b.kind) return big_equals_real(a, b) || big_equals_real(b, a);
    switch (a.kind) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a.boolean == b.boolean;
    case VALUE_INT: return a.integer == b.integer;
    case VALUE_REAL: return a.real == b.real;
    case VALUE_BIGINT:
    case VALUE_STRING: return str_equal(a.string, b.string);
    case VALUE_LIST:
        if (a.list->head.count != b.list->head.count) return false;
        break;
    case VALUE_OBJECT:
        if (a.object->head.count != b.object->head.count) return false;
        break;
    }
    work_push(rest, a);
    work_push(rest, b);
    return true;
}

static bool lists_equal(const list_t *a, const list_t *b, worklist_t *rest) {
    for (uint32_t i = 0; i < a->head.count; i++)
        if (!shallow_equal(a->items[i], b->items[i], rest)) return false;
    return true;
}

static bool objects_equal(const object_t *a, const object_t *b, worklist_t *rest) {
    for (uint32_t i = 0; i < a->head.count; i++) {
        uint32_t other = find_str(b, a->entries[i].key);
        if (other == ABSENT) return false;
        if (!shallow_equal(a->entries[i].value, b->entries[other].value, rest)) return false;
    }
    return true;
}

/* Pairs of containers that have been compared: a set with open addressing.
 *
 * A list that holds another list twice, fifty levels deep, has 2^50 places but only fifty containers.
 * Comparing a pair once is enough, since one difference anywhere ends the comparison. Few comparisons need
 * the set, so it is made after EQUAL_PLAIN_MAX pairs. */
typedef struct pairs {
    const void **slots; /* two pointers a slot; NULL is empty */
    size_t count, mask;
} pairs_t;

static size_t pair_slot(const pairs_t *p, const void *x, const void *y) {
    size_t slot = (size_t)(((uintptr_t)x * UINT64_C(0x9E3779B97F4A7C15)) ^
                           ((uintptr_t)y * UINT64_C(0xFF51AFD7ED558CCD)) >> 20) &
                  p->mask;
    while (p->slots[2 * slot] && (p->slots[2 * slot] != x || p->slots[2 * slot + 1] != y))
        slot = (slot + 1) & p->mask;
    return slot;
}

static void pairs_grow(pairs_t *p) {
    pairs_t bigger = {.count = p->count, .mask = p->slots ? 2 * p->mask + 1 : 1023};
    bigger.slots = xcalloc(2 * (bigger.mask + 1), sizeof *bigger.slots);
    for (size_t i = 0; p->slots && i <= p->mask; i++) {
        if (!p->slots[2 * i]) continue;
        size_t slot = pair_slot(&bigger, p->slots[2 * i], p->slots[2 * i + 1]);
        bigger.slots[2 * slot] = p->slots[2 * i];
        bigger.slots[2 * slot + 1] = p->slots[2 * i + 1];
    }
    free(p->slots);
    *p = bigger;
}

/* False if the pair was there already. */
static bool pairs_add(pairs_t *p, const void *x, const void *y) {
    if (2 * p->count >= p->mask) pairs_grow(p);
    size_t slot = pair_slot(p, x, y);
    if (p->slots[2 * slot]) return false;
    p->slots[2 * slot] = x;
    p->slots[2 * slot + 1] = y;
    p->count++;
    return true;
}

/* Compares level by level: `rest` holds pairs of containers that are still to be compared. */
bool value_equal(value_t a, value_t b) {
    worklist_t rest = {0};
    pairs_t seen = {0};
    bool equal = shallow_equal(a, b, &rest);
    for (size_t steps = 0; equal && rest.count; steps++) {
        value_t y = rest.items[--rest.count];
        value_t x = rest.items[--rest.count];
        if (x.list == y.list || (steps > EQUAL_PLAIN_MAX && !pairs_add(&seen, x.list, y.list))) continue;
        equal = x.kind == VALUE_LIST ? lists_equal(x.list, y.list, &rest)
                                     : objects_equal(x.object, y.object, &rest);
    }
    free(rest.items);
    free(seen.slots);
    return equal;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t h = (a ^ (b + UINT64_C(0x9E3779B97F4A7C15))) * UINT64_C(0xFF51AFD7ED558CCD);
    return h ^ (h >> 32);
}

static uint64_t hash_real(double r) {
    int64_t i;
    if (real_as_int(r, &i)) return mix(VALUE_INT, (uint64_t)i);
    uint64_t bits;
    memcpy(&bits, &r, sizeof bits);
    return mix(VALUE_REAL, bits);
}

static uint64_t hash_at(value_t v, int depth);

/* Of a list inside a container only the first elements count, so that a value that holds the same list many
 * times over is hashed in bounded time. */
static uint64_t hash_list(const list_t *l, int depth) {
    uint64_t h = mix(VALUE_LIST, l->head.count);
    uint32_t looked_at = depth > 0 && l->head.count > HASH_INNER_MAX ? HASH_INNER_MAX : l->head.count;
    for (uint32_t i = 0; i < looked_at; i++)
        h = mix(h, hash_at(l->items[i], depth + 1));
    return h;
}

/* The entries are added up, so their order does not matter. Of a large object inside a container only the
 * keys count: which entries come first would depend on the order. */
static uint64_t hash_object(const object_t *o, int depth) {
    uint64_t h = mix(VALUE_OBJECT, o->head.count);
    bool keys_only = depth > 0 && o->head.count > HASH_INNER_MAX;
    for (uint32_t i = 0; i < o->head.count; i++)
        h += mix(o->entries[i].hash, keys_only ? 0 : hash_at(o->entries[i].value, depth + 1));
    return h;
}

static uint64_t hash_at(value_t v, int depth) {
    switch (v.kind) {
    case VALUE_NULL: break;
    case VALUE_BOOL: return mix(VALUE_BOOL, v.boolean);
    case VALUE_INT: return mix(VALUE_INT, (uint64_t)v.integer);
    case VALUE_REAL: return hash_real(v.real);
    case VALUE_BIGINT: return integer_hash(v, hash_real);
    case VALUE_STRING: return mix(VALUE_STRING, XXH3_64bits(v.string->data, v.string->len));
    case VALUE_LIST: return depth > HASH_DEPTH_MAX ? VALUE_LIST : hash_list(v.list, depth);
    case VALUE_OBJECT: return depth > HASH_DEPTH_MAX ? VALUE_OBJECT : hash_object(v.object, depth);
    }
    return mix(VALUE_NULL, 0);
}

uint64_t value_hash(value_t v) { return hash_at(v, 0); }

const char *value_kind_name(value_kind_t kind) {
    static const char *const names[] = {"null",    "boolean", "integer", "real",
                                        "integer", "string",  "list",    "object"};
    assert((size_t)kind < sizeof names / sizeof names[0]);
    return names[kind];
}

static size_t str_bytes(const str_t *s) { return sizeof *s + s->len + 1; }

/* The heap of one value without what its elements hold; those go to `rest`. */
static size_t own_bytes(value_t v, worklist_t *rest) {
    if (v.kind <= VALUE_STRING) return str_bytes(v.string);
    if (v.kind == VALUE_LIST) {
        for (uint32_t i = 0; i < v.list->head.count; i++)
            if (v.list->items[i].kind >= VALUE_BIGINT) work_push(rest, v.list->items[i]);
        return sizeof *v.list + v.list->head.cap * sizeof *v.list->items;
    }
    object_t *o = v.object;
    size_t bytes = sizeof *o + o->head.cap * sizeof *o->entries;
    if (o->index) bytes += (o->index_mask + (size_t)1) * sizeof *o->index;
    for (uint32_t i = 0; i < o->head.count; i++) {
        bytes += str_bytes(o->entries[i].key);
        if (o->entries[i].value.kind >= VALUE_BIGINT) work_push(rest, o->entries[i].value);
    }
    return bytes;
}

size_t value_bytes(value_t v) {
    if (v.kind < VALUE_BIGINT) return 0;
    worklist_t rest = {0};
    size_t bytes = own_bytes(v, &rest);
    for (size_t steps = 0; rest.count && steps < BYTES_STEPS_MAX; steps++)
        bytes += own_bytes(rest.items[--rest.count], &rest);
    if (rest.count) bytes = SIZE_MAX;
    free(rest.items);
    return bytes;
}
