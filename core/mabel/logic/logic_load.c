/* logic_load.c - from the YAML of logic blocks and functions to ops.
 *
 * A block and a step are read by the same code: only what surrounds them differs. Functions are declared
 * first (their names and arguments), then bodies are compiled, so that functions may call each other in any
 * order. A call looks for its function by name in this order: the function of a recurse block whose body is
 * being read, functions.logic, the functions of other recurse blocks.
 *
 * To add an op: a kind in logic_ops.h, a row in OPS below with its reader and keys, a row in logic_run.c's
 * table. */
#include "core/mabel/logic/logic_ops.h"

#include "core/base/grow.h"
#include "core/base/names.h"
#include "core/mabel/mex/limits.h"
#include "core/mabel/yaml/name_check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_FUNCTION = UINT32_MAX };

typedef struct loader {
    ydoc_t *doc;
    logic_program_t *program;
    diags_t *diags;
    uint32_t self;  /* function whose body is being read, or NO_FUNCTION */
    uint32_t depth; /* of bodies in bodies */
} loader_t;

typedef void (*op_reader_t)(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op);
typedef struct op_row {
    const char *name;
    op_kind_t kind;
    bool block_only;
    op_reader_t read;
    const char *keys; /* its own keys, blank-separated */
} op_row_t;
static const op_row_t *op_rows(size_t *count); /* OPS, at the end of this file */

static void complain(loader_t *l, const ynode_t *n, const ypath_t *path, const char *what) {
    diag_add(l->diags, DIAG_ERROR, n->line, n->col, path, "%s", what);
}

/* ---- fields */

static str_t *text_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key) {
    const ynode_t *v = yaml_get(n, key);
    if (!v) return NULL;
    size_t len = 0;
    const char *text = yaml_text(v, &len);
    if (text) return name_new(text, len);
    if (name_check_text(l->diags, v, YPATH_KEY(path, key)))
        diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, key), "expected text, found %s",
                 yaml_kind_name(v));
    return NULL;
}

static str_t *name_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                         const char *fallback) {
    str_t *name = text_field(l, n, path, key);
    if (name && name->len) return name;
    str_free(name);
    if (fallback) return name_new(fallback, strlen(fallback));
    if (!yaml_get(n, key)) {
        diag_add(l->diags, DIAG_ERROR, n->line, n->col, path, "needs `%s`: a name", key);
    } else if (name) {
        diag_add(l->diags, DIAG_ERROR, n->line, n->col, YPATH_KEY(path, key),
                 "expected a name, found empty text");
    }
    return NULL;
}

static uint64_t count_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                            uint64_t fallback) {
    const ynode_t *v = yaml_get(n, key);
    if (!v || (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL)) return fallback;
    if (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_INT && v->scalar.integer >= 0)
        return (uint64_t)v->scalar.integer;
    diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, key),
             "expected an integer of 0 or more, found %s", yaml_kind_name(v));
    return fallback;
}

static bool flag_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key) {
    const ynode_t *v = yaml_get(n, key);
    if (!v) return false;
    if (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_BOOL) return v->scalar.boolean;
    diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, key), "expected true or false, found %s",
             yaml_kind_name(v));
    return false;
}

static mex_t *mex_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                        mex_mode_t mode) {
    const ynode_t *v = yaml_get(n, key);
    return v ? mex_compile(l->doc, v, YPATH_KEY(path, key), mode, l->diags) : NULL;
}

/* A list of names, or one name. */
static uint32_t names_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                            str_t ***out) {
    const ynode_t *v = yaml_get(n, key);
    *out = NULL;
    if (!v || (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL)) return 0;
    size_t count = v->kind == YNODE_LIST ? v->count : 1;
    str_t **names = xcalloc(count ? count : 1, sizeof *names);
    uint32_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const ynode_t *item = v->kind == YNODE_LIST ? v->items[i] : v;
        size_t len = 0;
        const char *text = yaml_text(item, &len);
        if (text && len)
            names[used++] = name_new(text, len);
        else if (name_check_text(l->diags, item, YPATH_KEY(path, key)))
            diag_add(l->diags, DIAG_ERROR, item->line, item->col, YPATH_KEY(path, key),
                     "expected a name, found %s", yaml_kind_name(item));
    }
    *out = names;
    return used;
}

/* `returns`: names that end in the result row. */
static uint32_t returns_field(loader_t *l, const ynode_t *n, const ypath_t *path, str_t ***out) {
    const ynode_t *v = yaml_get(n, "returns");
    bool list = v && v->kind == YNODE_LIST;
    for (size_t i = 0; v && i < (list ? v->count : 1); i++) {
        const ynode_t *item = list ? v->items[i] : v;
        if (yaml_is_string(item)) name_check_output(l->diags, item, YPATH_KEY(path, "returns"));
    }
    return names_field(l, n, path, "returns", out);
}

/* ---- keys */

static const char BLOCK_KEYS[] =
    "op type exec id name run_if on_error retry budget outputs description comment";

static size_t split_keys(const char *keys, char *copy, const char **names, size_t max) {
    size_t count = 0;
    strcpy(copy, keys);
    char *at = NULL;
    for (char *word = strtok_r(copy, " ", &at); word && count < max; word = strtok_r(NULL, " ", &at))
        names[count++] = word;
    return count;
}

/* Warns of keys that are in neither of two blank-separated lists. */
static void check_keys(loader_t *l, const ynode_t *n, const ypath_t *path, const char *own,
                       const char *common) {
    char all[512], copy[512];
    const char *names[48];
    assert(strlen(own) + strlen(common) + 2 < sizeof all);
    strcpy(all, own);
    strcat(all, " ");
    strcat(all, common);
    size_t count = split_keys(all, copy, names, 48);
    for (size_t i = 0; i < n->count; i++) {
        const char *key = yaml_key(n, i);
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(names[k], key) == 0;
        if (known) continue;
        const char *near = diag_nearest(key, names, count);
        diag_add(l->diags, DIAG_WARNING, n->keys[i]->line, n->keys[i]->col, YPATH_KEY(path, key),
                 "unknown key%s%s%s", near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    }
}

/* ---- bodies */

static void read_op(loader_t *l, const ynode_t *n, const ypath_t *path, bool block, op_t *op);

static bool is_step(const ynode_t *n) { return n->kind == YNODE_MAP && yaml_get(n, "op"); }

static bool is_step_list(const ynode_t *n) {
    if (n->kind != YNODE_LIST) return false;
    for (size_t i = 0; i < n->count; i++)
        if (is_step(n->items[i])) return true;
    return false;
}

static bool is_operator_call(const ynode_t *n) {
    return n->kind == YNODE_MAP && n->count >= 1 && mex_is_operator(yaml_key(n, 0));
}

static void read_step(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    op->line = n->line;
    if (is_step(n)) {
        read_op(l, n, path, false, op);
        return;
    }
    op->kind = OP_EXPR;
    if (is_operator_call(n))
        op->value = mex_compile(l->doc, n, path, MEX_VALUE, l->diags);
    else
        complain(l, n, path, "a step is an object with `op`: set, emit, let, if, while, for, reduce or call");
}

static bool body_emits(const body_t *b) {
    for (uint32_t i = 0; i < b->count; i++)
        if (b->ops[i].emits) return true;
    return false;
}

/* `text` says that a string here is a template (then, else, map); otherwise it is MEX. */
static void read_body(loader_t *l, const ynode_t *n, const ypath_t *path, bool text, body_t *body) {
    size_t len = 0;
    if (!n) return;
    if (l->depth >= MEX_DEPTH_MAX) {
        complain(l, n, path, "steps are nested too deeply");
        return;
    }
    l->depth++;
    if (is_step(n)) {
        body->ops = xcalloc(1, sizeof *body->ops);
        body->count = 1;
        read_step(l, n, path, &body->ops[0]);
    } else if (is_step_list(n)) {
        body->ops = xcalloc(n->count, sizeof *body->ops);
        body->count = (uint32_t)n->count;
        for (size_t i = 0; i < n->count; i++)
            read_step(l, n->items[i], YPATH_AT(path, i), &body->ops[i]);
    } else if (text && yaml_text(n, &len)) {
        body->text = template_compile(yaml_text(n, NULL), len);
    } else {
        body->expr = mex_compile(l->doc, n, path, MEX_VALUE, l->diags);
    }
    l->depth--;
}

static void body_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key, bool text,
                       body_t *body) {
    const ynode_t *v = yaml_get(n, key);
    if (v && v->kind == YNODE_LIST && v->count == 0 && !text) return; /* no steps */
    if (v && v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL && !text) return;
    read_body(l, v, YPATH_KEY(path, key), text, body);
}

/* ---- bindings */

static void push_binding(op_t *op, str_t *take_name, mex_t *take_value) {
    GROW_BY_ONE(op->bindings, op->binding_count);
    op->bindings[op->binding_count++] = (binding_t){.name = take_name, .value = take_value};
}

static void read_binding_map(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    for (size_t i = 0; i < n->count; i++) {
        const char *key = yaml_key(n, i);
        push_binding(op, name_new(key, strlen(key)),
                     mex_compile(l->doc, n->items[i], YPATH_KEY(path, key), MEX_VALUE, l->diags));
    }
}

/* A map of name -> value, or a list of such maps; with `positional` also a plain list of values. */
static void bindings_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                           bool positional, op_t *op) {
    const ynode_t *v = yaml_get(n, key);
    if (!v || (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL)) return;
    const ypath_t *at = YPATH_KEY(path, key);
    if (v->kind == YNODE_MAP) {
        read_binding_map(l, v, at, op);
    } else if (v->kind == YNODE_LIST) {
        for (size_t i = 0; i < v->count; i++) {
            if (positional)
                push_binding(op, NULL,
                             mex_compile(l->doc, v->items[i], YPATH_AT(at, i), MEX_VALUE, l->diags));
            else if (v->items[i]->kind == YNODE_MAP)
                read_binding_map(l, v->items[i], YPATH_AT(at, i), op);
            else
                complain(l, v->items[i], YPATH_AT(at, i), "expected an object name: value");
        }
    } else {
        diag_add(l->diags, DIAG_ERROR, v->line, v->col, at, "expected an object name: value, found %s",
                 yaml_kind_name(v));
    }
}

/* ---- lists */

static const char *const PARSE_NAMES[] = {"commas", "lines", "csv", "json", "regex"};

static void read_parse(loader_t *l, const ynode_t *n, const ypath_t *path, list_source_t *list) {
    const ynode_t *v = yaml_get(n, "parse");
    if (!v || (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL)) return;
    const char *word = yaml_text(v, NULL);
    for (size_t i = 1; word && i < 5; i++) {
        if (strcmp(word, PARSE_NAMES[i]) != 0) continue;
        list->parse = (list_parse_t)i;
        return;
    }
    complain(l, v, YPATH_KEY(path, "parse"), "expected lines, csv, json or regex");
}

static void read_pattern(loader_t *l, const ynode_t *n, const ypath_t *path, list_source_t *list) {
    err_t err = {0};
    size_t len = 0;
    const ynode_t *v = yaml_get(n, "regex_pattern");
    const char *text = v ? yaml_text(v, &len) : NULL;
    if (!text) {
        complain(l, v ? v : n, path, "parse: regex needs `regex_pattern`: a regular expression");
        return;
    }
    list->regex = regex_compile(text, len, 0, &err);
    if (!list->regex)
        diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, "regex_pattern"), "%s", err.text);
}

/* `list:` of for and reduce, with `parse` (else text is split as `otherwise`) and `drop_empty`. */
static void list_field(loader_t *l, const ynode_t *n, const ypath_t *path, list_parse_t otherwise,
                       list_source_t *list) {
    size_t len = 0;
    const ynode_t *v = yaml_get(n, "list");
    if (!v) {
        complain(l, n, path, "needs `list`: a name, a placeholder, a list or a text");
        return;
    }
    const char *text = yaml_text(v, &len);
    if (text) {
        list->text = template_compile(text, len);
        if (template_is_plain(list->text)) dotted_init(&list->ref, text, len);
        list->is_name = template_is_name(text, len);
    } else {
        list->expr = mex_compile(l->doc, v, YPATH_KEY(path, "list"), MEX_VALUE, l->diags);
    }
    list->parse = otherwise;
    read_parse(l, n, path, list);
    if (list->parse == PARSE_REGEX) read_pattern(l, n, path, list);
    list->drop_empty = flag_field(l, n, path, "drop_empty");
}

/* ---- outputs */

static const char *const FROM_NAMES[FROM_KINDS] = {"",     "list",   "join", "count",      "any",
                                                   "all",  "first",  "last", "boolean",    "value",
                                                   "text", "source", "var",  "accumulator"};
static const char *const SOURCE_NAMES[] = {"mapped", "filtered", "raw"};

static void read_from(loader_t *l, const ynode_t *n, const ypath_t *path, output_t *o) {
    const ynode_t *v = yaml_get(n, "from");
    if (!v) return;
    const char *word = yaml_text(v, NULL);
    for (size_t i = 1; word && i < FROM_KINDS; i++)
        if (strcmp(word, FROM_NAMES[i]) == 0) o->from = (out_from_t)i;
    if (o->from != FROM_DEFAULT) return;
    const char *near = word ? diag_nearest(word, FROM_NAMES + 1, FROM_KINDS - 1) : NULL;
    diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, "from"),
             "expected list, join, count, any, all, first, last, boolean, value, text, source, var or "
             "accumulator%s%s%s",
             near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

static void ref_field(loader_t *l, const ynode_t *n, const ypath_t *path, const char *key, output_t *o) {
    str_t *name = name_field(l, n, path, key, NULL);
    if (!name) return;
    dotted_free(&o->ref);
    dotted_init(&o->ref, name->data, name->len);
    str_free(name);
}

/* `source` of an output: one of three sequences for a `for`, otherwise a name. */
static void read_source(loader_t *l, const ynode_t *n, const ypath_t *path, const op_t *op, output_t *o) {
    const ynode_t *v = yaml_get(n, "source");
    if (!v) return;
    if (op->kind != OP_FOR) {
        ref_field(l, n, path, "source", o);
        return;
    }
    const char *word = yaml_text(v, NULL);
    for (size_t i = 0; word && i < 3; i++) {
        if (strcmp(word, SOURCE_NAMES[i]) != 0) continue;
        o->source = (out_source_t)i;
        return;
    }
    complain(l, v, YPATH_KEY(path, "source"), "expected raw, filtered or mapped");
}

/* An output is a name alone, or an object that says where its value comes from. */
static void read_output(loader_t *l, const ynode_t *n, const ypath_t *path, const op_t *op, output_t *o) {
    size_t len = 0;
    o->limit = UINT64_MAX;
    const char *bare = yaml_text(n, &len);
    if (bare && len) {
        o->name = name_new(bare, len);
        name_check_output(l->diags, n, path);
        return;
    }
    if (!name_check_text(l->diags, n, path)) return;
    if (n->kind != YNODE_MAP) {
        complain(l, n, path, "an output is an object with `name` and `from`");
        return;
    }
    check_keys(l, n, path, "name from var value source join_with limit offset description", "");
    o->name = name_field(l, n, path, "name", NULL);
    if (o->name) name_check_output(l->diags, yaml_get(n, "name"), YPATH_KEY(path, "name"));
    read_from(l, n, path, o);
    read_source(l, n, path, op, o);
    if (yaml_get(n, "var")) ref_field(l, n, path, "var", o);
    if (o->from == FROM_VAR && !yaml_get(n, "var")) complain(l, n, path, "from: var needs `var`: a name");
    if (o->from == FROM_SOURCE && !yaml_get(n, "source"))
        complain(l, n, path, "from: source needs `source`: a name");
    o->value = mex_field(l, n, path, "value", MEX_VALUE);
    o->join_with = text_field(l, n, path, "join_with");
    o->offset = count_field(l, n, path, "offset", 0);
    o->limit = count_field(l, n, path, "limit", UINT64_MAX);
}

static void read_outputs(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    const ynode_t *v = yaml_get(n, "outputs");
    if (!v || (v->kind == YNODE_SCALAR && v->scalar.kind == VALUE_NULL)) return;
    const ypath_t *at = YPATH_KEY(path, "outputs");
    if (v->kind != YNODE_LIST) {
        diag_add(l->diags, DIAG_ERROR, v->line, v->col, at, "expected a list of outputs, found %s",
                 yaml_kind_name(v));
        return;
    }
    op->outputs = xcalloc(v->count ? v->count : 1, sizeof *op->outputs);
    op->output_count = (uint32_t)v->count;
    for (size_t i = 0; i < v->count; i++)
        read_output(l, v->items[i], YPATH_AT(at, i), op, &op->outputs[i]);
}

/* ---- functions */

static bool is_name(const str_t *s, const char *name) {
    return s && s->len == strlen(name) && memcmp(s->data, name, s->len) == 0;
}

static uint32_t find_function(const loader_t *l, const char *name) {
    if (l->self != NO_FUNCTION && is_name(l->program->functions[l->self].name, name)) return l->self;
    for (int of_block = 0; of_block < 2; of_block++)
        for (uint32_t i = 0; i < l->program->count; i++)
            if (l->program->functions[i].of_block == (of_block == 1) &&
                is_name(l->program->functions[i].name, name))
                return i;
    return NO_FUNCTION;
}

static void unknown_function(loader_t *l, const ynode_t *n, const ypath_t *path, const char *name) {
    const char *names[64];
    size_t count = 0;
    for (uint32_t i = 0; i < l->program->count && count < 64; i++)
        if (l->program->functions[i].name) names[count++] = l->program->functions[i].name->data;
    const char *near = diag_nearest(name, names, count);
    diag_add(l->diags, DIAG_ERROR, n->line, n->col, path, "no logic function is called `%s`%s%s%s", name,
             near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

/* Arguments that are not given are null; names the function does not have are probably typing errors. */
static void check_arguments(loader_t *l, const ynode_t *n, const ypath_t *path, const op_t *op) {
    const logic_function_t *f = &l->program->functions[op->function];
    for (uint32_t i = 0; i < op->binding_count; i++) {
        const str_t *name = op->bindings[i].name;
        bool known = name ? false : i < f->arg_count;
        for (uint32_t a = 0; name && a < f->arg_count && !known; a++)
            known = is_name(name, f->args[a]->data);
        if (!known) {
            diag_add(l->diags, DIAG_WARNING, n->line, n->col, YPATH_KEY(path, "with"),
                     "`%s` has no argument %s%s", f->name->data, name ? "called " : "at that position",
                     name ? name->data : "");
        }
    }
    if (op->return_count > f->return_count && op->return_count > 1)
        diag_add(l->diags, DIAG_WARNING, n->line, n->col, YPATH_KEY(path, "returns"),
                 "`%s` returns %u value(s); the other names become null", f->name->data, f->return_count);
}

/* ---- the ops */

static void read_set(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    op->var = name_field(l, n, path, "var", NULL);
    op->value = mex_field(l, n, path, "value", MEX_VALUE);
    if (!yaml_get(n, "value")) complain(l, n, path, "set needs `value`");
}

static void read_emit(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    op->emits = true;
    op->value = mex_field(l, n, path, "value", MEX_VALUE);
    if (!yaml_get(n, "value")) complain(l, n, path, "emit needs `value`");
}

static void read_let(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    bindings_field(l, n, path, "bindings", false, op);
    if (!yaml_get(n, "bindings")) complain(l, n, path, "let needs `bindings`: an object name: value");
    body_field(l, n, path, "body", false, &op->body);
}

static void read_cond(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    op->cond = mex_field(l, n, path, "cond", MEX_CONDITION);
    if (!yaml_get(n, "cond")) complain(l, n, path, "needs `cond`: a condition");
}

static void read_if(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    read_cond(l, n, path, op);
    body_field(l, n, path, "then", true, &op->body);
    body_field(l, n, path, "else", true, &op->other);
}

static void read_while(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    const ynode_t *init = yaml_get(n, "init");
    read_cond(l, n, path, op);
    if (init && init->kind == YNODE_MAP && !is_step(init) && !is_operator_call(init))
        read_binding_map(l, init, YPATH_KEY(path, "init"), op);
    else
        body_field(l, n, path, "init", false, &op->other);
    body_field(l, n, path, yaml_get(n, "step") ? "step" : "body", false, &op->body);
}

static void read_for(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    list_field(l, n, path, PARSE_COMMAS, &op->list);
    op->var = name_field(l, n, path, "var", "item");
    op->cond = mex_field(l, n, path, "where", MEX_CONDITION);
    if (yaml_get(n, "map"))
        body_field(l, n, path, "map", true, &op->body);
    else
        body_field(l, n, path, yaml_get(n, "step") ? "step" : "body", false, &op->body);
}

/* With `body` the element is called `var` and the accumulator `accumulator`; with `step` the accumulator is
 * called `var`, the element `item`. */
static void read_reduce(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    bool by_step = yaml_get(n, "step") && !yaml_get(n, "body");
    list_field(l, n, path, PARSE_LINES, &op->list);
    op->value =
        mex_field(l, n, path, yaml_get(n, "init") && !yaml_get(n, "value") ? "init" : "value", MEX_VALUE);
    if (by_step) {
        op->accumulator = name_field(l, n, path, yaml_get(n, "var") ? "var" : "accumulator", "accumulator");
        op->var = name_new("item", 4);
    } else {
        op->accumulator = name_field(l, n, path, "accumulator", "accumulator");
        op->var = name_field(l, n, path, "var", "item");
    }
    if (!by_step && !yaml_get(n, "body"))
        complain(l, n, path, "reduce needs `body` (steps) or `step` (an expression)");
    body_field(l, n, path, by_step ? "step" : "body", false, &op->body);
}

static void read_call(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    const char *key = yaml_text(yaml_get(n, "function"), NULL) ? "function" : "name";
    str_t *name = name_field(l, n, path, key, NULL);
    op->function = NO_FUNCTION;
    if (name) op->function = find_function(l, name->data);
    if (name && op->function == NO_FUNCTION)
        unknown_function(l, yaml_get(n, key), YPATH_KEY(path, key), name->data);
    str_free(name);
    bindings_field(l, n, path, "with", true, op);
    op->return_count = returns_field(l, n, path, &op->returns);
    if (op->function != NO_FUNCTION) check_arguments(l, n, path, op);
}

static void read_recurse(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    const ynode_t *node = yaml_get(n, "function");
    op->function = NO_FUNCTION;
    for (uint32_t i = 0; node && i < l->program->count; i++)
        if (l->program->functions[i].node == node) op->function = i;
    bindings_field(l, n, path, "with", true, op);
    op->return_count = returns_field(l, n, path, &op->returns);
    if (op->function != NO_FUNCTION)
        check_arguments(l, n, path, op);
    else if (!node || node->kind != YNODE_MAP)
        complain(l, n, path, "recurse needs `function`: {args, returns, base_case, body}");
}

/* The conditions of and, or, not. */
static void read_operands(loader_t *l, const ynode_t *n, const ypath_t *path, op_t *op) {
    const ynode_t *v = yaml_get(n, "operands");
    if (!v) {
        complain(l, n, path, "needs `operands`: a list of conditions");
        return;
    }
    const ypath_t *at = YPATH_KEY(path, "operands");
    size_t count = v->kind == YNODE_LIST ? v->count : 1;
    op->operands = xcalloc(count ? count : 1, sizeof *op->operands);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *item = v->kind == YNODE_LIST ? v->items[i] : v;
        op->operands[op->operand_count++] = mex_compile(l->doc, item, YPATH_AT(at, i), MEX_OPERAND, l->diags);
    }
}

/* ---- one op */

static const op_row_t *find_op(const char *name) {
    size_t count;
    const op_row_t *rows = op_rows(&count);
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

/* Reports a block or step whose `op` is missing or unknown. */
static void unknown_op(loader_t *l, const ynode_t *n, const ypath_t *path) {
    const ynode_t *v = yaml_get(n, "op");
    const char *names[16];
    size_t count;
    const op_row_t *rows = op_rows(&count);
    for (size_t i = 0; i < count; i++)
        names[i] = rows[i].name;
    const char *word = v ? yaml_text(v, NULL) : NULL;
    const char *near = word ? diag_nearest(word, names, count) : NULL;
    if (!v)
        complain(l, n, path,
                 "a logic block needs `op`: if, and, or, not, for, while, set, let, emit, reduce, call or "
                 "recurse");
    else
        diag_add(l->diags, DIAG_ERROR, v->line, v->col, YPATH_KEY(path, "op"), "no op is called `%s`%s%s%s",
                 word ? word : "?", near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

/* Reads an op by its row of OPS; `block` says that it is a block and not a step. */
static void read_op(loader_t *l, const ynode_t *n, const ypath_t *path, bool block, op_t *op) {
    const op_row_t *row = find_op(yaml_text(yaml_get(n, "op"), NULL));
    if (!row) {
        unknown_op(l, n, path);
        return;
    }
    if (row->block_only && !block) {
        diag_add(l->diags, DIAG_ERROR, n->line, n->col, path,
                 "`%s` is a block of its own; it cannot be a step", row->name);
        return;
    }
    op->kind = row->kind;
    check_keys(l, n, path, row->keys, BLOCK_KEYS);
    row->read(l, n, path, op);
    op->emits = op->emits || body_emits(&op->body) || body_emits(&op->other);
    read_outputs(l, n, path, op);
}

/* ---- program */

static logic_function_t *add_function(logic_program_t *p, const ynode_t *node, bool of_block) {
    GROW_BY_ONE(p->functions, p->count);
    logic_function_t *f = &p->functions[p->count++];
    *f = (logic_function_t){.node = node, .of_block = of_block};
    return f;
}

static void declare(loader_t *l, const ynode_t *named, const ynode_t *n, const ypath_t *path, bool of_block) {
    logic_function_t *f = add_function(l->program, n, of_block);
    f->name = name_field(l, named, path, "name", NULL);
    f->arg_count = names_field(l, n, path, yaml_get(n, "args") ? "args" : "params", &f->args);
    f->return_count = returns_field(l, n, path, &f->returns);
    if (!f->name) f->name = str_new("", 0);
    for (uint32_t i = 0; !of_block && i + 1 < l->program->count; i++)
        if (f->name->len && str_equal(l->program->functions[i].name, f->name))
            diag_add(l->diags, DIAG_WARNING, n->line, n->col, path,
                     "a second function called `%s`; the first one is used", f->name->data);
}

/* Declares the functions of functions.logic. */
static void declare_functions(loader_t *l, const ynode_t *functions) {
    const ypath_t *path = YPATH_KEY(YPATH_KEY(NULL, "functions"), "logic");
    if (!functions || (functions->kind == YNODE_SCALAR && functions->scalar.kind == VALUE_NULL)) return;
    if (functions->kind != YNODE_LIST) {
        diag_add(l->diags, DIAG_ERROR, functions->line, functions->col, path,
                 "expected a list of functions, found %s", yaml_kind_name(functions));
        return;
    }
    for (size_t i = 0; i < functions->count; i++) {
        const ynode_t *n = functions->items[i];
        if (n->kind != YNODE_MAP) {
            complain(l, n, YPATH_AT(path, i), "a function is an object: name, args, returns, body");
            continue;
        }
        check_keys(l, n, YPATH_AT(path, i), "name args params returns body base_case description", "");
        declare(l, n, n, YPATH_AT(path, i), false);
    }
}

static void declare_recursions(loader_t *l, const ynode_t *blocks) {
    for (size_t i = 0; blocks && blocks->kind == YNODE_LIST && i < blocks->count; i++) {
        const ynode_t *block = blocks->items[i];
        const char *op = yaml_text(yaml_get(block, "op"), NULL);
        const ynode_t *n = yaml_get(block, "function");
        if (!op || strcmp(op, "recurse") != 0 || !n || n->kind != YNODE_MAP) continue;
        const ypath_t *path = YPATH_AT(YPATH_KEY(NULL, "blocks"), i);
        check_keys(l, n, YPATH_KEY(path, "function"), "name args params returns body base_case description",
                   "");
        declare(l, block, n, path, true);
    }
}

/* `base_case` of a function: a condition, and the values that the function returns when it holds. */
static void read_base_case(loader_t *l, const ynode_t *n, const ypath_t *path, logic_function_t *f) {
    const ynode_t *base = yaml_get(n, "base_case");
    if (!base) return;
    const ypath_t *at = YPATH_KEY(path, "base_case");
    const ynode_t *value = yaml_get(base, "value");
    f->base_cond = mex_field(l, base, at, "cond", MEX_CONDITION);
    if (!yaml_get(base, "cond")) complain(l, base, at, "base_case needs `cond`");
    if (!value) {
        complain(l, base, at, "base_case needs `value`: a list of the returned values");
        return;
    }
    size_t count = value->kind == YNODE_LIST ? value->count : 1;
    f->base_values = xcalloc(count ? count : 1, sizeof *f->base_values);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *item = value->kind == YNODE_LIST ? value->items[i] : value;
        f->base_values[f->base_count++] =
            mex_compile(l->doc, item, YPATH_AT(YPATH_KEY(at, "value"), i), MEX_VALUE, l->diags);
    }
}

/* Compiles the body of a function. Its place in the file, for messages, is looked up by its node. */
static void read_function(loader_t *l, const ynode_t *list, uint32_t index) {
    logic_function_t *f = &l->program->functions[index];
    const ypath_t *root =
        f->of_block ? YPATH_KEY(NULL, "blocks") : YPATH_KEY(YPATH_KEY(NULL, "functions"), "logic");
    size_t place = 0;
    while (place < list->count &&
           (f->of_block ? yaml_get(list->items[place], "function") : list->items[place]) != f->node)
        place++;
    const ypath_t *item = YPATH_AT(root, place);
    const ypath_t *path = f->of_block ? YPATH_KEY(item, "function") : item;
    l->self = index;
    read_base_case(l, f->node, path, f);
    body_field(l, f->node, path, "body", false, &f->body);
    if (!yaml_get(f->node, "body"))
        complain(l, f->node, path, "a function needs `body`: steps or an expression");
    l->self = NO_FUNCTION;
}

logic_program_t *logic_program_load(ydoc_t *doc, const ynode_t *functions, const ynode_t *blocks,
                                    diags_t *diags) {
    logic_program_t *p = xcalloc(1, sizeof *p);
    loader_t l = {.doc = doc, .program = p, .diags = diags, .self = NO_FUNCTION};
    declare_functions(&l, functions);
    declare_recursions(&l, blocks);
    for (uint32_t i = 0; i < p->count; i++)
        read_function(&l, p->functions[i].of_block ? blocks : functions, i);
    return p;
}

static void add_name(logic_block_t *b, str_t *name) {
    for (size_t i = 0; i < b->name_count; i++)
        if (str_equal(b->names[i], name)) return;
    b->names[b->name_count++] = name;
}

/* A name that is in `returns` and in `outputs` is there once. */
logic_block_t *logic_block_load(ydoc_t *doc, logic_program_t *program, const ynode_t *block,
                                const ypath_t *path, diags_t *diags) {
    size_t before = diags->errors;
    logic_block_t *b = xcalloc(1, sizeof *b);
    loader_t l = {.doc = doc, .program = program, .diags = diags, .self = NO_FUNCTION};
    read_op(&l, block, path, true, &b->op);
    if (diags->errors != before) {
        logic_block_destroy(&b);
        return NULL;
    }
    b->names = xcalloc(b->op.output_count + b->op.return_count + 1, sizeof *b->names);
    for (uint32_t i = 0; i < b->op.return_count; i++)
        add_name(b, b->op.returns[i]);
    for (uint32_t i = 0; i < b->op.output_count; i++)
        add_name(b, b->op.outputs[i].name);
    return b;
}

size_t logic_block_outputs(const logic_block_t *block, str_t *const **names) {
    *names = block->names;
    return block->name_count;
}

/* ---- release */

static void names_free(str_t **names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        str_free(names[i]);
    free(names);
}

static void mexes_free(mex_t **list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        mex_destroy(&list[i]);
    free(list);
}

void body_free(body_t *b) {
    for (uint32_t i = 0; i < b->count; i++)
        op_free(&b->ops[i]);
    free(b->ops);
    mex_destroy(&b->expr);
    template_destroy(&b->text);
}

static void output_free(output_t *o) {
    str_free(o->name);
    dotted_free(&o->ref);
    mex_destroy(&o->value);
    str_free(o->join_with);
}

/* Releases what the op owns; the op itself is part of a body or a block. */
void op_free(op_t *op) {
    str_free(op->var);
    str_free(op->accumulator);
    mex_destroy(&op->value);
    mex_destroy(&op->cond);
    list_source_free(&op->list);
    body_free(&op->body);
    body_free(&op->other);
    for (uint32_t i = 0; i < op->binding_count; i++) {
        str_free(op->bindings[i].name);
        mex_destroy(&op->bindings[i].value);
    }
    free(op->bindings);
    mexes_free(op->operands, op->operand_count);
    names_free(op->returns, op->return_count);
    for (uint32_t i = 0; i < op->output_count; i++)
        output_free(&op->outputs[i]);
    free(op->outputs);
}

void logic_program_destroy(logic_program_t **program) {
    logic_program_t *p = *program;
    if (!p) return;
    *program = NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        logic_function_t *f = &p->functions[i];
        str_free(f->name);
        names_free(f->args, f->arg_count);
        names_free(f->returns, f->return_count);
        mex_destroy(&f->base_cond);
        mexes_free(f->base_values, f->base_count);
        body_free(&f->body);
    }
    free(p->functions);
    free(p);
}

void logic_block_destroy(logic_block_t **block) {
    logic_block_t *b = *block;
    if (!b) return;
    *block = NULL;
    op_free(&b->op);
    free(b->names);
    free(b);
}

/* ---- the ops a file may name */

static const op_row_t OPS[] = {
    {"set", OP_SET, false, read_set, "var value"},
    {"emit", OP_EMIT, false, read_emit, "value"},
    {"let", OP_LET, false, read_let, "bindings body"},
    {"if", OP_IF, false, read_if, "cond then else"},
    {"while", OP_WHILE, false, read_while, "init cond step body"},
    {"for", OP_FOR, false, read_for, "list parse regex_pattern var drop_empty where map step body"},
    {"reduce", OP_REDUCE, false, read_reduce,
     "list parse regex_pattern drop_empty value init var accumulator body step"},
    {"call", OP_CALL, false, read_call, "function with returns"},
    {"recurse", OP_CALL, true, read_recurse, "function with returns"},
    {"and", OP_AND, true, read_operands, "operands"},
    {"or", OP_OR, true, read_operands, "operands"},
    {"not", OP_NOT, true, read_operands, "operands"},
};
static const op_row_t *op_rows(size_t *count) {
    *count = sizeof OPS / sizeof OPS[0];
    return OPS;
}
