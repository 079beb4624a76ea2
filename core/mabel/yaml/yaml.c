/* yaml.c - a YAML document once it is composed: memory, access, and JSON text turned into nodes.
 *
 * A node belongs to the document, never to its parent: aliases and merge keys make several parents share it.
 * Keys are kept as text whatever they were written as, because objects of the language have text keys. */
#include "core/mabel/yaml/yaml_doc.h"

#include "core/base/grow.h"
#include "core/base/json.h"
#include "core/base/names.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory */

ynode_t *ydoc_node(ydoc_t *doc, ynode_kind_t kind, uint32_t line, uint32_t col) {
    ybox_t *box = xcalloc(1, sizeof *box);
    box->node = (ynode_t){.kind = kind, .line = line, .col = col};
    box->expanded = 1;
    box->height = 1;
    box->next = doc->nodes;
    doc->nodes = box;
    return &box->node;
}

ynode_t *ydoc_scalar(ydoc_t *doc, value_t take, uint32_t line, uint32_t col) {
    ynode_t *n = ydoc_node(doc, YNODE_SCALAR, line, col);
    n->scalar = take;
    return n;
}

void ydoc_note_missing(ydoc_t *doc, ynode_t *n, const char *name, size_t len) {
    if (n->missing_env) return;
    ybox_of(n)->missing_env = xstrndup(name, len);
    n->missing_env = ybox_of(n)->missing_env;
    GROW(doc->missing, doc->missing_cap, doc->missing_count + 1);
    doc->missing[doc->missing_count++] = n;
}

void yentries_add(yentries_t *e, const ynode_t *key, const ynode_t *item) {
    GROW(e->items, e->cap, e->count + 1);
    if (key) {
        GROW(e->keys, e->key_cap, e->count + 1);
        e->keys[e->count] = key;
    }
    e->items[e->count++] = item;
}

void yentries_free(yentries_t *e) {
    free(e->keys);
    free(e->items);
    *e = (yentries_t){0};
}

void yentries_finish(yentries_t *e, ynode_t *n) {
    ybox_t *box = ybox_of(n);
    uint32_t height = 0;
    for (size_t i = 0; i < e->count; i++) {
        const ybox_t *item = ybox_of(e->items[i]);
        box->expanded += item->expanded + (e->keys ? 1 : 0);
        if (item->height > height) height = item->height;
    }
    box->height = height + 1;
    n->count = e->count;
    n->items = e->items;
    n->keys = e->keys;
    *e = (yentries_t){0};
}

/* Frees all nodes, whoever refers to them, and sets the pointer to NULL; NULL is fine. */
void yaml_doc_free(ydoc_t **doc) {
    if (!doc || !*doc) return;
    for (ybox_t *box = (*doc)->nodes, *next; box; box = next) {
        next = box->next;
        value_free(box->node.scalar);
        free(box->node.items);
        free(box->node.keys);
        free(box->missing_env);
        free(box->as_written);
        free(box->plain);
        free(box);
    }
    free((*doc)->missing);
    free(*doc);
    *doc = NULL;
}

/* ---- access */

const ynode_t *yaml_root(const ydoc_t *doc) { return doc->root; }

size_t yaml_missing_env(const ydoc_t *doc, const ynode_t *const **nodes) {
    *nodes = doc->missing;
    return doc->missing_count;
}

const char *yaml_key(const ynode_t *map, size_t i) { return map->keys[i]->scalar.string->data; }

/* The place of the key; SIZE_MAX when absent or not a map. */
static size_t place_of(const ynode_t *map, const char *key) {
    for (size_t i = 0; map && map->kind == YNODE_MAP && i < map->count; i++)
        if (strcmp(yaml_key(map, i), key) == 0) return i;
    return SIZE_MAX;
}

const ynode_t *yaml_get(const ynode_t *map, const char *key) {
    size_t i = place_of(map, key);
    return i < SIZE_MAX ? map->items[i] : NULL;
}

const ynode_t *yaml_get_key(const ynode_t *map, const char *key) {
    size_t i = place_of(map, key);
    return i < SIZE_MAX ? map->keys[i] : NULL;
}

bool yaml_is_string(const ynode_t *n) {
    return n && n->kind == YNODE_SCALAR && n->scalar.kind == VALUE_STRING;
}

const char *yaml_text(const ynode_t *n, size_t *len) {
    if (!yaml_is_string(n)) return NULL;
    if (len) *len = n->scalar.string->len;
    return n->scalar.string->data;
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
value_t yaml_value(const ynode_t *n) {
    if (!n) return value_null();
    if (n->kind == YNODE_SCALAR) return value_ref(n->scalar);
    bool map = n->kind == YNODE_MAP;
    value_t v = map ? value_object(n->count) : value_list(n->count);
    for (size_t i = 0; i < n->count; i++) {
        if (!map) {
            list_push(&v, yaml_value(n->items[i]));
            continue;
        }
        const str_t *key = n->keys[i]->scalar.string;
        str_t *name = name_new(key->data, key->len);
        object_set(&v, name, yaml_value(n->items[i]));
        str_free(name);
    }
    return v;
}

const char *yaml_kind_name(const ynode_t *n) {
    if (!n) return "nothing";
    if (n->kind == YNODE_LIST) return "a list";
    if (n->kind == YNODE_MAP) return "a map";
    switch (n->scalar.kind) {
    case VALUE_NULL: return "null";
    case VALUE_BOOL: return "a boolean";
    case VALUE_INT: return "an integer";
    case VALUE_BIGINT: return "an integer beyond 64 bits";
    case VALUE_REAL: return "a number";
    default: return "text";
    }
}

/* ---- JSON text */

/* Recursion is bounded by JSON_DEPTH_MAX. */
static const ynode_t *node_of(ydoc_t *doc, value_t v, const ynode_t *at) {
    if (v.kind != VALUE_LIST && v.kind != VALUE_OBJECT) {
        ynode_t *n = ydoc_scalar(doc, value_ref(v), at->line, at->col);
        n->quoted = v.kind == VALUE_STRING;
        return n;
    }
    bool map = v.kind == VALUE_OBJECT;
    ynode_t *n = ydoc_node(doc, map ? YNODE_MAP : YNODE_LIST, at->line, at->col);
    size_t count = map ? object_count(v) : list_count(v);
    yentries_t entries = {0};
    for (size_t i = 0; i < count; i++) {
        const ynode_t *key = NULL;
        if (map) key = ydoc_scalar(doc, value_from_str(str_ref(object_key_peek(v, i))), at->line, at->col);
        yentries_add(&entries, key, node_of(doc, map ? object_value_peek(v, i) : list_peek(v, i), at));
    }
    yentries_finish(&entries, n);
    return n;
}

const ynode_t *yaml_from_json(ydoc_t *doc, const char *json, size_t len, const ynode_t *at, err_t *err) {
    value_t v;
    if (json_parse_text(json, len, &v, err) != SDG_OK) return NULL;
    const ynode_t *n = node_of(doc, v, at);
    value_free(v);
    return n;
}
