/* pipeline_check.c - what can only be checked when all blocks are known: connections, blocks that never run,
 * outputs nobody uses.
 *
 * Whether an output is used is guessed from words: its name in any text of the file outside of output
 * declarations counts as a use (placeholders, MEX references, Python code). So an output that is used in some
 * unusual form gets no hint. */
#include "core/base/grow.h"
#include "core/mabel/pipeline/pipeline_load.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- connections */

static const key_rule_t CONNECTION_RULES[] = {{"from", WANT_TEXT, true},        {"output", WANT_TEXT, true},
                                              {"to", WANT_TEXT, true},          {"input", WANT_TEXT, true},
                                              {"description", WANT_ANY, false}, {"comment", WANT_ANY, false}};
static const keyset_t CONNECTION_KEYS = KEYSET("a connection", CONNECTION_RULES, NULL);

static void unknown_name(load_t *l, const ynode_t *at, const ypath_t *path, const char *what,
                         const char *word, const char **names, size_t count) {
    complain(l, DIAG_ERROR, at, path, "%s '%s'%s", what, word, meant(word, names, count).text);
}

/* A block by its id, else by its name; NULL: there is none. */
static block_t *block_named(pipeline_t *p, const str_t *name) {
    for (int by_name = 0; by_name < 2; by_name++)
        for (size_t i = 0; i < p->block_count; i++) {
            const str_t *own = by_name ? p->blocks[i].name : p->blocks[i].id;
            if (own && strcmp(own->data, name->data) == 0) return &p->blocks[i];
        }
    return NULL;
}

/* The block at one end of a connection (`from` or `to`); NULL when it is unknown, which is reported. */
static block_t *end_of(load_t *l, const ynode_t *n, const ypath_t *path, const char *key) {
    pipeline_t *p = l->p;
    str_t *name = field_text(n, key);
    if (!name) return NULL;
    block_t *b = block_named(p, name);
    if (!b) {
        const char **names = xcalloc(p->block_count + 1, sizeof *names);
        for (size_t i = 0; i < p->block_count; i++)
            names[i] = p->blocks[i].label->data;
        unknown_name(l, field(n, key), YPATH_KEY(path, key), "no block has the id", name->data, names,
                     p->block_count);
        free(names);
    }
    str_free(name);
    return b;
}

/* A connection names an output that its block has. A logic block that is broken may have any. */
static void output_check(load_t *l, const ynode_t *n, const ypath_t *path, const block_t *from,
                         str_t *output) {
    bool broken = from->type == BLOCK_LOGIC && !from->logic;
    size_t count = block_output_count(from);
    const char **names = xcalloc(count + 1, sizeof *names);
    bool found = broken;
    for (size_t i = 0; i < count; i++) {
        names[i] = block_output_name(from, i)->data;
        found = found || str_equal(block_output_name(from, i), output);
    }
    if (!found) {
        char *what = xasprintf("the block '%s' has no output", from->label->data);
        unknown_name(l, field(n, "output"), YPATH_KEY(path, "output"), what, output->data, names, count);
        free(what);
    }
    free(names);
}

/* Connections are kept with the block they lead to. One from a later block is a warning. */
static void connection_read(load_t *l, const ynode_t *n, const ypath_t *path) {
    pipeline_t *p = l->p;
    if (!keys_check(l, n, path, &CONNECTION_KEYS)) return;
    block_t *from = end_of(l, n, path, "from"), *to = end_of(l, n, path, "to");
    connection_t c = {.output = field_text(n, "output"), .input = field_text(n, "input")};
    if (from && c.output) output_check(l, n, path, from, c.output);
    if (!from || !to || !c.output || !c.input) {
        str_free(c.output);
        str_free(c.input);
        return;
    }
    if (from >= to)
        complain(l, DIAG_WARNING, n, path, "'%s' does not run before '%s': the input will be missing",
                 from->label->data, to->label->data);
    c.from_block = (uint32_t)(from - p->blocks);
    from->feeds_connection = true;
    GROW_BY_ONE(to->connections, to->connection_count);
    to->connections[to->connection_count++] = c;
}

void connections_load(load_t *l) {
    const ynode_t *list = field(l->root, "connections");
    for (size_t i = 0; i < list_length(list); i++)
        connection_read(l, list->items[i], YPATH_AT(YPATH_KEY(NULL, "connections"), i));
}

/* ---- words of the file */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80; }

/* The next word of a text, or false. */
static bool next_word(const char **at, const char *end, const char **word, size_t *len) {
    const char *p = *at;
    while (p < end && !is_word(*p))
        p++;
    *word = p;
    while (p < end && is_word(*p))
        p++;
    *len = (size_t)(p - *word);
    *at = p;
    return *len > 0;
}

static void words_add(value_t *words, const str_t *text) {
    const char *at = text->data, *word;
    size_t len;
    while (next_word(&at, text->data + text->len, &word, &len)) {
        str_t *key = str_new(word, len);
        object_set(words, key, value_null());
        str_free(key);
    }
}

/* Collects every word of every text below n. `declares` says that n is an `outputs` list or an entry of it:
 * names in it are declarations, other texts in it are uses. */
static void words_collect(value_t *words, const ynode_t *n, bool declares) {
    if (n->kind == YNODE_SCALAR) {
        if (n->scalar.kind == VALUE_STRING) words_add(words, n->scalar.string);
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        const char *key = n->kind == YNODE_MAP ? yaml_key(n, i) : "";
        if (declares &&
            (strcmp(key, "name") == 0 || (n->kind == YNODE_LIST && n->items[i]->kind == YNODE_SCALAR)))
            continue;
        words_collect(words, n->items[i], strcmp(key, "outputs") == 0 || (declares && n->kind == YNODE_LIST));
    }
}

static bool all_words_in(value_t words, const str_t *name) {
    const char *at = name->data, *word;
    size_t len;
    while (next_word(&at, name->data + name->len, &word, &len)) {
        bool found;
        object_get_peek(words, word, len, &found);
        if (!found) return false;
    }
    return true;
}

/* ---- hints */

/* Is there Python code in a file of its own? It may use any name. */
static bool has_foreign_code(const pipeline_t *p) {
    for (size_t i = 0; i < p->block_count; i++)
        if (p->blocks[i].type == BLOCK_PYTHON && p->blocks[i].python.code_path) return true;
    return false;
}

/* Without an end block all outputs are part of the result, so none is unused. */
static void unused_hints(load_t *l, const ynode_t *blocks) {
    pipeline_t *p = l->p;
    if (!p->has_end || has_foreign_code(p)) return;
    value_t words = value_object(0);
    words_collect(&words, l->root, false);
    for (size_t i = 0; i < p->block_count; i++) {
        const block_t *b = &p->blocks[i];
        const ypath_t *path = YPATH_AT(YPATH_KEY(NULL, "blocks"), b->source_index);
        for (size_t k = 0; k < block_output_count(b); k++)
            if (!all_words_in(words, block_output_name(b, k)))
                complain(l, DIAG_HINT, blocks->items[b->source_index], path,
                         "the output '%s' is not used anywhere", block_output_name(b, k)->data);
    }
    value_free(words);
}

static void unreached_hints(load_t *l, const ynode_t *blocks) {
    const block_t *last = NULL;
    for (size_t i = 0; i < l->p->block_count; i++) {
        const block_t *b = &l->p->blocks[i];
        if (last)
            complain(l, DIAG_HINT, blocks->items[b->source_index],
                     YPATH_AT(YPATH_KEY(NULL, "blocks"), b->source_index),
                     "never runs: the end block '%s' comes before it", last->label->data);
        if (!last && b->type == BLOCK_END && !b->run_if) last = b;
    }
}

void usage_check(load_t *l) {
    const ynode_t *blocks = field(l->root, "blocks");
    unused_hints(l, blocks);
    unreached_hints(l, blocks);
}
