/* yaml_compose.c - libyaml's events become a tree.
 *
 * libyaml leaves to its user what is done here: anchors, merge keys, duplicate keys, types of scalars, and
 * the bounds. Every alias adds the whole size of its target to `doc->expanded` and its height to the depth.
 * So a file is refused as soon as its expansion is too large, although the nodes themselves are shared.
 * Recursion is bounded by YAML_DEPTH_MAX.
 *
 * Merging follows PyYAML: the merged entries come first (of a list of maps the last map first), then the
 * map's own; a later value replaces an earlier one and keeps its place. */
#include "core/base/ending.h"
#include "core/base/grow.h"
#include "core/mabel/yaml/limits.h"
#include "core/mabel/yaml/name_check.h"
#include "core/mabel/yaml/yaml_doc.h"
#include "core/mabel/yaml/yaml_resolve.h"

#include "core/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef struct composer {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; owned */
    ydoc_t *doc;
    const yaml_options_t *options;
    diags_t *diags;
    value_t anchor_index;     /* object: name -> index into anchored */
    const ynode_t **anchored; /* NULL while the anchored node itself is being read */
    size_t anchored_count, anchored_cap;
    bool in_key;  /* the scalar being read is a key: no variables */
    bool stopped; /* after an error that leaves nothing to go on with */
} composer_t;

static const ynode_t *compose(composer_t *c, const ypath_t *path, uint32_t depth);

/* ---- errors */

static uint32_t line_of(yaml_mark_t m) { return (uint32_t)m.line + 1; }
static uint32_t col_of(yaml_mark_t m) { return (uint32_t)m.column + 1; }

/* What to do about one of libyaml's complaints, by a part of its text; "" when there is no advice. */
static const char *advice_for(const char *problem) {
    static const struct {
        const char *part, *advice;
    } known[] = {
        {"mapping values are not allowed", "; text with ': ' in it must be in quotes"},
        {"cannot start any token",
         "; indent with spaces, not tabs, and put text that begins with @, ` or % in quotes"},
        {"did not find expected key",
         "; check the indentation, and put text that begins with { or \" fully in quotes"},
        {"did not find expected ',' or",
         "; a bracket is not closed, or text with { } [ ] , is not in quotes"},
        {"could not find expected ':'",
         "; a key needs ': ' behind it, and a text of several lines '|' before it"},
        {"unexpected end of stream", "; a quote is not closed"},
        {"did not find expected '-' indicator", "; all items of a list must be indented alike"},
        {"did not find expected alphabetic", "; text that begins with * or & must be in quotes"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(problem, known[i].part)) return known[i].advice;
    return "";
}

/* The line and column of a byte offset: errors of libyaml's reader have no mark, only an offset. */
static yaml_mark_t mark_of_offset(const diags_t *d, size_t offset) {
    yaml_mark_t m = {.index = offset};
    for (size_t i = 0; d->source && i < offset && i < d->source_len; i++) {
        bool newline = d->source[i] == '\n';
        m.line += newline;
        m.column = newline ? 0 : m.column + 1;
    }
    return m;
}

/* Reports the error that libyaml stopped at. */
static void report_syntax(composer_t *c) {
    const yaml_parser_t *p = &c->parser;
    const char *problem = p->problem ? p->problem : "not YAML";
    yaml_mark_t at = p->problem_mark;
    if (p->error == YAML_READER_ERROR) {
        at = mark_of_offset(c->diags, p->problem_offset);
        diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), NULL, "%s (byte %zu of the file)", problem,
                 p->problem_offset);
        return;
    }
    const char *advice = advice_for(problem);
    if (p->context)
        diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), NULL, "%s, %s that begins at line %u%s",
                 problem, p->context, line_of(p->context_mark), advice);
    else
        diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), NULL, "%s%s", problem, advice);
}

static const ynode_t *stop_at_event(composer_t *c, const ypath_t *path, const char *why) {
    yaml_mark_t at = c->event.start_mark;
    diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), path, "%s", why);
    c->stopped = true;
    return NULL;
}

/* ---- events and bounds */

/* Moves to the next event; false (and stopped) on a syntax error. */
static bool advance(composer_t *c) {
    yaml_event_delete(&c->event);
    if (c->stopped) return false;
    if (yaml_parser_parse(&c->parser, &c->event)) return true;
    report_syntax(c);
    memset(&c->event, 0, sizeof c->event);
    c->stopped = true;
    return false;
}

/* Accounts for nodes that are about to be part of the tree. */
static bool count_nodes(composer_t *c, size_t n, const ypath_t *path) {
    if (n > YAML_NODES_MAX - c->doc->expanded) {
        buf_t why;
        buf_init(&why, 200);
        buf_addf(&why, "more than %d values once aliases are expanded: refused", YAML_NODES_MAX);
        stop_at_event(c, path, why.data);
        buf_free(&why);
        return false;
    }
    c->doc->expanded += n;
    return true;
}

/* ---- anchors */

static size_t anchor_open(composer_t *c, const yaml_char_t *name) {
    GROW(c->anchored, c->anchored_cap, c->anchored_count + 1);
    size_t slot = c->anchored_count++;
    c->anchored[slot] = NULL;
    object_set_text(&c->anchor_index, (const char *)name, value_int((int64_t)slot));
    return slot;
}

static ynode_t *null_here(composer_t *c) {
    return ydoc_scalar(c->doc, value_null(), line_of(c->event.start_mark), col_of(c->event.start_mark));
}

static const ynode_t *alias_problem(composer_t *c, const ypath_t *path, const char *what, const char *name) {
    yaml_mark_t at = c->event.start_mark;
    diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), path, "alias *%s %s", name, what);
    return count_nodes(c, 1, path) ? null_here(c) : NULL;
}

static const ynode_t *compose_alias(composer_t *c, const ypath_t *path, uint32_t depth) {
    const char *name = (const char *)c->event.data.alias.anchor;
    bool found;
    value_t slot = object_get_peek(c->anchor_index, name, strlen(name), &found);
    if (!found) return alias_problem(c, path, "has no anchor before it", name);
    const ynode_t *target = c->anchored[slot.integer];
    if (!target) return alias_problem(c, path, "stands inside its own anchor", name);
    if (depth + ybox_of(target)->height > YAML_DEPTH_MAX) return stop_at_event(c, path, "nested too deeply");
    return count_nodes(c, ybox_of(target)->expanded, path) ? target : NULL;
}

/* ---- scalars */

static bool is_name_char(char ch, bool first) {
    return (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_' ||
           (!first && ch >= '0' && ch <= '9');
}

/* Length of "${ENV.NAME}" at the front of the text, 0 if it is not one; the name by *name, *name_len. */
static size_t env_reference(const char *text, size_t len, const char **name, size_t *name_len) {
    static const char open[] = "${ENV.";
    size_t start = sizeof open - 1, i = start;
    if (len <= start || memcmp(text, open, start) != 0) return 0;
    while (i < len && is_name_char(text[i], i == start))
        i++;
    if (i == start || i == len || text[i] != '}') return 0;
    *name = text + start;
    *name_len = i - start;
    return i + 1;
}

static const char *env_value(const yaml_options_t *o, const char *name, size_t len) {
    char *key = xstrndup(name, len);
    const char *value = o->env(o->env_arg, key);
    free(key);
    return value;
}

/* Replaces the ${ENV.X} of a text scalar. */
static void replace_env(composer_t *c, ynode_t *n) {
    if (!c->options || !c->options->env || n->scalar.kind != VALUE_STRING) return;
    const char *text = n->scalar.string->data;
    size_t len = n->scalar.string->len;
    if (!memmem(text, len, "${ENV.", 6)) return;
    buf_t out;
    buf_init(&out, YAML_FILE_BYTES_MAX);
    n->as_written = ybox_of(n)->as_written = xstrndup(text, len);
    for (size_t i = 0, used; i < len; i += used) {
        const char *name;
        size_t name_len;
        used = env_reference(text + i, len - i, &name, &name_len);
        if (used == 0) {
            buf_addc(&out, text[i]);
            used = 1;
            continue;
        }
        const char *value = env_value(c->options, name, name_len);
        if (value)
            buf_adds(&out, value);
        else
            ydoc_note_missing(c->doc, n, name, name_len);
    }
    value_replace(&n->scalar, value_string(out.data ? out.data : "", out.len));
    buf_free(&out);
}

/* A scalar with its type: by its tag, else text when it is quoted, else by the rules of yaml_resolve.h. */
static const ynode_t *compose_scalar(composer_t *c, const ypath_t *path) {
    if (!count_nodes(c, 1, path)) return NULL;
    const char *text = (const char *)c->event.data.scalar.value;
    size_t len = c->event.data.scalar.length;
    const char *tag = (const char *)c->event.data.scalar.tag;
    ynode_t *n = null_here(c);
    n->quoted = c->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    err_t err;
    if (tag) {
        if (yaml_resolve_tagged(tag, text, len, &n->scalar, &err) != SDG_OK)
            diag_add(c->diags, DIAG_ERROR, n->line, n->col, path, "%s", err.text);
    } else {
        n->scalar = n->quoted ? value_string(text, len) : yaml_resolve_plain(text, len);
        if (n->scalar.kind != VALUE_STRING) n->plain = ybox_of(n)->plain = xstrndup(text, len);
    }
    if (!c->in_key) replace_env(c, n);
    return n;
}

/* ---- lists and maps */

static void check_collection_tag(composer_t *c, const yaml_char_t *tag_, const char *fitting,
                                 const ypath_t *path) {
    const char *tag = (const char *)tag_;
    yaml_mark_t at = c->event.start_mark;
    if (tag && strcmp(tag, "!") != 0 && strcmp(tag, fitting) != 0)
        diag_add(c->diags, DIAG_ERROR, line_of(at), col_of(at), path, "the tag %s is not supported here",
                 tag);
}

static const ynode_t *compose_list(composer_t *c, const ypath_t *path, uint32_t depth) {
    if (!count_nodes(c, 1, path)) return NULL;
    check_collection_tag(c, c->event.data.sequence_start.tag, YAML_SEQ_TAG, path);
    ynode_t *n = ydoc_node(c->doc, YNODE_LIST, line_of(c->event.start_mark), col_of(c->event.start_mark));
    n->brackets = c->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    yentries_t items = {0};
    while (advance(c) && c->event.type != YAML_SEQUENCE_END_EVENT) {
        const ynode_t *item = compose(c, YPATH_AT(path, items.count), depth + 1);
        if (!item) break;
        yentries_add(&items, NULL, item);
    }
    yentries_finish(&items, n);
    return c->stopped ? NULL : n;
}

/* A map being put together. */
typedef struct mapping {
    yentries_t merged; /* from merge keys, in PyYAML's order */
    yentries_t own;
    value_t seen; /* object: own key -> line */
} mapping_t;

static bool merge_map(composer_t *c, mapping_t *m, const ynode_t *from, const ypath_t *path, uint32_t depth) {
    for (size_t i = 0; i < from->count; i++) {
        const ybox_t *item = ybox_of(from->items[i]);
        if (depth + item->height > YAML_DEPTH_MAX) return stop_at_event(c, path, "nested too deeply");
        if (!count_nodes(c, item->expanded + 1, path)) return false;
        yentries_add(&m->merged, from->keys[i], from->items[i]);
    }
    return true;
}

static void merge_problem(composer_t *c, const ynode_t *value, const ypath_t *path) {
    diag_add(c->diags, DIAG_ERROR, value->line, value->col, path,
             "'<<' merges a map or a list of maps, this is %s", yaml_kind_name(value));
}

/* The value of a `<<`. Of a list the last map comes first, because PyYAML does so. False: reading has
 * stopped. */
static bool merge_value(composer_t *c, mapping_t *m, const ynode_t *value, const ypath_t *path,
                        uint32_t depth) {
    if (value->kind == YNODE_MAP) return merge_map(c, m, value, path, depth);
    if (value->kind != YNODE_LIST) {
        merge_problem(c, value, path);
        return true;
    }
    for (size_t i = value->count; i-- > 0;) {
        if (value->items[i]->kind != YNODE_MAP)
            merge_problem(c, value->items[i], path);
        else if (!merge_map(c, m, value->items[i], path, depth))
            return false;
    }
    return true;
}

static void note_key(composer_t *c, mapping_t *m, const ynode_t *key, const ypath_t *path) {
    str_t *name = key->scalar.string;
    bool found;
    value_t line = object_get_str_peek(m->seen, name, &found);
    if (found)
        diag_add(c->diags, DIAG_WARNING, key->line, key->col, YPATH_KEY(path, name->data),
                 "duplicate key '%s' (first at line %d): the last one counts", name->data, (int)line.integer);
    else
        object_set(&m->seen, name, value_int(key->line));
}

static void put_all(yentries_t *into, value_t *index, const yentries_t *from) {
    for (size_t i = 0; i < from->count; i++) {
        str_t *name = from->keys[i]->scalar.string;
        bool found;
        value_t at = object_get_str_peek(*index, name, &found);
        if (found) {
            into->keys[at.integer] = from->keys[i];
            into->items[at.integer] = from->items[i];
        } else {
            object_set(index, name, value_int((int64_t)into->count));
            yentries_add(into, from->keys[i], from->items[i]);
        }
    }
}

static void mapping_finish(mapping_t *m, ynode_t *n) {
    yentries_t all = {0};
    value_t index = value_object(m->merged.count + m->own.count);
    put_all(&all, &index, &m->merged);
    put_all(&all, &index, &m->own);
    yentries_finish(&all, n);
    value_free(index);
    value_free(m->seen);
    yentries_free(&m->merged);
    yentries_free(&m->own);
}

static bool event_is_merge_key(const yaml_event_t *e) {
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           !e->data.scalar.tag && e->data.scalar.length == 2 && memcmp(e->data.scalar.value, "<<", 2) == 0;
}

/* The key of an entry as a text scalar. A list or map cannot be a key: it is reported, and "?" takes its
 * place. */
static const ynode_t *compose_key(composer_t *c, const ypath_t *path, uint32_t depth) {
    uint32_t line = line_of(c->event.start_mark), col = col_of(c->event.start_mark);
    c->in_key = c->event.type == YAML_SCALAR_EVENT;
    const ynode_t *key = compose(c, path, depth + 1);
    c->in_key = false;
    if (!key) return NULL;
    if (key->kind == YNODE_SCALAR && key->scalar.kind == VALUE_STRING && key->line == line) return key;
    if (key->kind == YNODE_SCALAR) {
        name_check_change(c->diags, key, path);
        return ydoc_scalar(c->doc, value_from_str(text_of(key->scalar)), line, col);
    }
    diag_add(c->diags, DIAG_ERROR, line, col, path,
             "%s cannot be a key; if this is a {placeholder}, put the text in quotes", yaml_kind_name(key));
    return ydoc_scalar(c->doc, value_text("?"), line, col);
}

/* One "key: value"; false when reading cannot go on. */
static bool compose_entry(composer_t *c, mapping_t *m, const ypath_t *path, uint32_t depth) {
    bool merge = event_is_merge_key(&c->event);
    const ynode_t *key = compose_key(c, path, depth);
    if (!key || !advance(c)) return false;
    const ynode_t *value = compose(c, YPATH_KEY(path, key->scalar.string->data), depth + 1);
    if (!value) return false;
    if (merge) return merge_value(c, m, value, path, depth);
    note_key(c, m, key, path);
    yentries_add(&m->own, key, value);
    return true;
}

static const ynode_t *compose_map(composer_t *c, const ypath_t *path, uint32_t depth) {
    if (!count_nodes(c, 1, path)) return NULL;
    check_collection_tag(c, c->event.data.mapping_start.tag, YAML_MAP_TAG, path);
    ynode_t *n = ydoc_node(c->doc, YNODE_MAP, line_of(c->event.start_mark), col_of(c->event.start_mark));
    n->brackets = c->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    mapping_t m = {.seen = value_object(0)};
    while (advance(c) && c->event.type != YAML_MAPPING_END_EVENT)
        if (!compose_entry(c, &m, path, depth)) break;
    mapping_finish(&m, n);
    return c->stopped ? NULL : n;
}

/* ---- nodes and the document */

static const yaml_char_t *anchor_of(const yaml_event_t *e) {
    switch (e->type) {
    case YAML_SCALAR_EVENT: return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return e->data.mapping_start.anchor;
    default: return NULL;
    }
}

static const ynode_t *compose_plain_node(composer_t *c, const ypath_t *path, uint32_t depth) {
    switch (c->event.type) {
    case YAML_SCALAR_EVENT: return compose_scalar(c, path);
    case YAML_SEQUENCE_START_EVENT: return compose_list(c, path, depth);
    case YAML_MAPPING_START_EVENT: return compose_map(c, path, depth);
    default: return stop_at_event(c, path, "not a value");
    }
}

/* The node that begins at the current event; NULL once stopped. */
static const ynode_t *compose(composer_t *c, const ypath_t *path, uint32_t depth) {
    if (depth > YAML_DEPTH_MAX) return stop_at_event(c, path, "nested too deeply");
    if (c->event.type == YAML_ALIAS_EVENT) return compose_alias(c, path, depth);
    const yaml_char_t *anchor = anchor_of(&c->event);
    if (!anchor) return compose_plain_node(c, path, depth);
    size_t slot = anchor_open(c, anchor);
    const ynode_t *n = compose_plain_node(c, path, depth);
    c->anchored[slot] = n;
    return n;
}

static const ynode_t *empty_map(ydoc_t *doc) { return ydoc_node(doc, YNODE_MAP, 1, 1); }

/* Sets the root of the document; it stays NULL when reading stopped. An empty file, and one that holds null,
 * is an empty map. */
static void compose_document(composer_t *c) {
    if (!advance(c) || !advance(c)) return; /* start of the stream, then of the document */
    if (c->event.type == YAML_STREAM_END_EVENT) {
        c->doc->root = empty_map(c->doc);
        return;
    }
    if (!advance(c)) return;
    const ynode_t *root = compose(c, NULL, 1);
    if (!root) return;
    bool nothing = root->kind == YNODE_SCALAR && root->scalar.kind == VALUE_NULL;
    c->doc->root = nothing ? empty_map(c->doc) : root;
    if (!advance(c) || !advance(c)) { /* end of the document, then what follows */
        c->doc->root = NULL;
        return;
    }
    if (c->event.type == YAML_DOCUMENT_START_EVENT)
        stop_at_event(c, NULL, "a second document begins here ('---'): a file holds one");
}

/* The document belongs to the caller; a file that is too large or cannot be read leaves none. */
ydoc_t *yaml_parse(const char *bytes, size_t len, const yaml_options_t *options, diags_t *diags) {
    if (len > YAML_FILE_BYTES_MAX) {
        diag_add(diags, DIAG_ERROR, 0, 0, NULL, "the file has %zu bytes, at most %zu are read", len,
                 YAML_FILE_BYTES_MAX);
        return NULL;
    }
    composer_t c = {.options = options,
                    .diags = diags,
                    .doc = xcalloc(1, sizeof *c.doc),
                    .anchor_index = value_object(0)};
    if (!yaml_parser_initialize(&c.parser)) ending_short("no memory to read YAML with");
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)(bytes ? bytes : ""), len);
    compose_document(&c);
    yaml_event_delete(&c.event);
    yaml_parser_delete(&c.parser);
    value_free(c.anchor_index);
    free(c.anchored);
    if (!c.doc->root) yaml_doc_free(&c.doc);
    return c.doc;
}
