/* pipeline_keys.c - objects against their key tables, and fields of objects. See pipeline_load.h. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/integer.h"
#include "core/base/text.h"
#include "core/mabel/yaml/limits.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64 }; /* keys one object may have in its tables */

/* ---- messages */

void complain(load_t *l, diag_level_t level, const ynode_t *at, const ypath_t *path, const char *fmt, ...) {
    char text[DIAG_MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    diag_add(l->diags, level, at ? at->line : 0, at ? at->col : 0, path, "%s", text);
}

meant_t meant(const char *word, const char *const *names, size_t count) {
    meant_t m = {""};
    const char *nearest = diag_nearest(word, names, count);
    if (nearest) snprintf(m.text, sizeof m.text, ", did you mean '%s'?", nearest);
    return m;
}

/* ---- keys */

static bool is_null(const ynode_t *n) { return n->kind == YNODE_SCALAR && n->scalar.kind == VALUE_NULL; }
static bool is_scalar(const ynode_t *n) { return n->kind == YNODE_SCALAR && n->scalar.kind != VALUE_NULL; }

static bool scalar_number(const ynode_t *n, value_t *out) {
    if (n->kind != YNODE_SCALAR) return false;
    *out = n->scalar;
    if (n->scalar.kind == VALUE_BIGINT) *out = value_real(integer_to_real(n->scalar));
    if (n->scalar.kind == VALUE_BIGINT) return true;
    if (n->scalar.kind == VALUE_INT || n->scalar.kind == VALUE_REAL) return true;
    return n->scalar.kind == VALUE_STRING &&
           text_to_number(n->scalar.string->data, n->scalar.string->len, out);
}

static bool fits(const ynode_t *n, want_t want) {
    value_t number;
    switch (want) {
    case WANT_ANY: return true;
    case WANT_TEXT:
    case WANT_NAME:
    case WANT_OUTPUT:
    case WANT_SECRET: return is_scalar(n);
    case WANT_NUMBER: return scalar_number(n, &number);
    case WANT_BOOL: return is_scalar(n) && n->scalar.kind == VALUE_BOOL;
    case WANT_LIST: return n->kind == YNODE_LIST;
    case WANT_MAP: return n->kind == YNODE_MAP;
    case WANT_TEXTS: return n->kind == YNODE_LIST || is_scalar(n);
    case WANT_LIST_OR_MAP: return n->kind != YNODE_SCALAR;
    }
    return false;
}

static const char *want_name(want_t want) {
    static const char *const names[] = {[WANT_ANY] = "anything",
                                        [WANT_TEXT] = "text",
                                        [WANT_NAME] = "text",
                                        [WANT_OUTPUT] = "text",
                                        [WANT_SECRET] = "text",
                                        [WANT_NUMBER] = "a number",
                                        [WANT_LIST] = "a list",
                                        [WANT_BOOL] = "true or false",
                                        [WANT_MAP] = "a map",
                                        [WANT_TEXTS] = "a list of text",
                                        [WANT_LIST_OR_MAP] = "a list or a map"};
    return names[want];
}

static bool wants_text(want_t want) {
    return want == WANT_TEXT || want == WANT_NAME || want == WANT_OUTPUT || want == WANT_SECRET ||
           want == WANT_TEXTS;
}

/* Is this a {name} without quotes, which YAML reads as a map, where text was wanted? */
static bool looks_like_placeholder(const ynode_t *n, want_t want) {
    return wants_text(want) && n->kind == YNODE_MAP && n->count == 1 && is_null(n->items[0]);
}

/* Judges a text by what it was before YAML read it. */
static void check_text(load_t *l, const ynode_t *n, const ypath_t *path, want_t want) {
    if (want == WANT_NAME) name_check_text(l->diags, n, path);
    if (want == WANT_OUTPUT) name_check_output(l->diags, n, path);
    if ((want == WANT_TEXT || want == WANT_TEXTS) && !is_null(n)) name_check_change(l->diags, n, path);
}

static const key_rule_t *find_rule(const keyset_t *set, const char *key) {
    for (; set; set = set->base)
        for (size_t i = 0; i < set->count; i++)
            if (strcmp(set->rules[i].key, key) == 0) return &set->rules[i];
    return NULL;
}

static void unknown_key(load_t *l, const ynode_t *key, const ypath_t *path, const keyset_t *set) {
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (const keyset_t *s = set; s; s = s->base)
        for (size_t i = 0; i < s->count; i++) {
            assert(count < NAMES_MAX);
            names[count++] = s->rules[i].key;
        }
    const char *word = key->scalar.string->data;
    meant_t better = meant(word, names, count);
    if (!better.text[0] && set->params && params_have(word))
        snprintf(better.text, sizeof better.text, ": a parameter of requests stands in '%s'", set->params);
    const char *instead = set->params ? params_instead(word) : NULL;
    if (instead) snprintf(better.text, sizeof better.text, ": %s (in '%s')", instead, set->params);
    complain(l, DIAG_WARNING, key, path, "unknown key '%s' in %s%s", word, set->what, better.text);
}

static void check_entry(load_t *l, const ynode_t *n, size_t i, const ypath_t *path, const keyset_t *set) {
    const char *key = yaml_key(n, i);
    const ynode_t *value = n->items[i];
    const key_rule_t *rule = find_rule(set, key);
    if (!rule) {
        if (!set->open) unknown_key(l, n->keys[i], path, set);
        return;
    }
    if (is_null(value) || fits(value, rule->want)) {
        check_text(l, value, YPATH_KEY(path, key), rule->want);
        return;
    }
    bool placeholder = looks_like_placeholder(value, rule->want);
    complain(l, DIAG_ERROR, value, YPATH_KEY(path, key), "expected %s, found %s%s", want_name(rule->want),
             yaml_kind_name(value), placeholder ? "; put a {placeholder} in quotes" : "");
}

/* Has a name been reported that is written as null? */
static bool said_null(const key_rule_t *rule, const ynode_t *n) {
    const ynode_t *v = yaml_get(n, rule->key);
    bool name = rule->want == WANT_NAME || rule->want == WANT_OUTPUT;
    return name && v && v->plain && v->plain[0];
}

bool keys_check(load_t *l, const ynode_t *n, const ypath_t *path, const keyset_t *set) {
    if (n->kind != YNODE_MAP) {
        complain(l, DIAG_ERROR, n, path, "%s is a map of keys, found %s", set->what, yaml_kind_name(n));
        return false;
    }
    for (size_t i = 0; i < n->count; i++)
        check_entry(l, n, i, path, set);
    for (const keyset_t *s = set; s; s = s->base)
        for (size_t i = 0; i < s->count; i++)
            if (s->rules[i].required && !field(n, s->rules[i].key) && !said_null(&s->rules[i], n))
                complain(l, DIAG_ERROR, n, path, "%s needs '%s'", set->what, s->rules[i].key);
    return true;
}

/* ---- fields */

const ynode_t *field(const ynode_t *n, const char *key) {
    const ynode_t *v = yaml_get(n, key);
    return v && !is_null(v) ? v : NULL;
}

str_t *scalar_text(const ynode_t *n) { return n && is_scalar(n) ? text_of(n->scalar) : NULL; }
str_t *field_text(const ynode_t *n, const char *key) { return scalar_text(field(n, key)); }

char *field_chars(const ynode_t *n, const char *key) {
    str_t *s = field_text(n, key);
    char *chars = s ? xstrndup(s->data, s->len) : NULL;
    str_free(s);
    return chars;
}

bool field_bool(const ynode_t *n, const char *key, bool fallback) {
    const ynode_t *v = field(n, key);
    return v && fits(v, WANT_BOOL) ? v->scalar.boolean : fallback;
}

double field_number(const ynode_t *n, const char *key, double fallback) {
    const ynode_t *v = field(n, key);
    value_t number;
    if (!v || !scalar_number(v, &number)) return fallback;
    return number.kind == VALUE_INT ? (double)number.integer : number.real;
}

uint64_t field_count(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, uint64_t least,
                     uint64_t most, uint64_t fallback) {
    const ynode_t *v = field(n, key);
    value_t number;
    if (!v || !scalar_number(v, &number)) return fallback;
    double r = number.kind == VALUE_INT ? (double)number.integer : number.real;
    if (r == floor(r) && r >= (double)least && r <= (double)most)
        return number.kind == VALUE_INT ? (uint64_t)number.integer : (uint64_t)r;
    complain(l, DIAG_ERROR, v, YPATH_KEY(path, key), "expected a whole number from %llu to %llu",
             (unsigned long long)least, (unsigned long long)most);
    return fallback;
}

/* The error lists all choices and the nearest one. */
size_t field_choice(load_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                    const char *const *names, size_t count, size_t fallback) {
    str_t *word = field_text(n, key);
    if (!word) return fallback;
    size_t found = fallback, i = 0;
    while (i < count && strcmp(names[i], word->data) != 0)
        i++;
    if (i < count) {
        found = i;
    } else {
        char all[200] = "";
        for (size_t k = 0, at = 0; k < count && at < sizeof all; k++)
            at += (size_t)snprintf(all + at, sizeof all - at, "%s%s",
                                   k == 0          ? ""
                                   : k + 1 < count ? ", "
                                                   : " or ",
                                   names[k]);
        complain(l, DIAG_ERROR, field(n, key), YPATH_KEY(path, key), "unknown %s '%s', expected %s%s", key,
                 word->data, all, meant(word->data, names, count).text);
    }
    str_free(word);
    return found;
}

/* Items that are no text are reported and left out. */
size_t field_texts(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, str_t ***out) {
    const ynode_t *v = field(n, key);
    *out = NULL;
    if (!v || !fits(v, WANT_TEXTS)) return 0;
    bool list = v->kind == YNODE_LIST;
    size_t count = list ? v->count : 1, used = 0;
    str_t **texts = xcalloc(count ? count : 1, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *item = list ? v->items[i] : v;
        texts[used] = scalar_text(item);
        if (list) name_check_change(l->diags, item, YPATH_AT(YPATH_KEY(path, key), i));
        if (texts[used])
            used++;
        else
            complain(l, DIAG_ERROR, item, YPATH_AT(YPATH_KEY(path, key), i), "expected text, found %s%s",
                     yaml_kind_name(item),
                     looks_like_placeholder(item, WANT_TEXT) ? "; put a {placeholder} in quotes" : "");
    }
    *out = texts;
    return used;
}

void texts_free(str_t **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        str_free(texts[i]);
    free(texts);
}

template_t *field_template(const ynode_t *n, const char *key) {
    str_t *text = field_text(n, key);
    if (!text) return NULL;
    template_t *t = template_compile(text->data, text->len);
    str_free(text);
    return t;
}

size_t list_length(const ynode_t *list) { return list && list->kind == YNODE_LIST ? list->count : 0; }
