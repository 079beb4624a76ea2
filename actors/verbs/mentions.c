/* mentions.c - see mentions.h.
 *
 * Mentions are looked for in the tree of the file and not in what is compiled of it, because the tree knows
 * the places. */
#include "actors/verbs/mentions.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/verbs/limits.h"
#include "actors/verbs/prepare.h"
#include "core/base/grow.h"
#include "core/base/text.h"
#include "core/mabel/logic/logic.h"
#include "core/mabel/yaml/limits.h"
#include "core/mabel/yaml/yaml.h"

/* ---- mentioned */

/* The walk over a file, and where it stands. */
typedef struct finder {
    const pipeline_t *p;
    mentions_t *out;
    value_t seen; /* object: class and name -> null */
    bool prompt;
    const char *block;
    const ynode_t *at;
    const ypath_t *path;
} finder_t;

/* Is this the first time that this is mentioned among the prompts or among the rest? */
static bool is_new(finder_t *f, char kind, const char *name, size_t len) {
    bool known;
    str_t *key;
    char *text = xasprintf("%c%c%.*s", f->prompt ? 'p' : 'r', kind, (int)len, name);
    key = str_new(text, strlen(text));
    object_get_str_peek(f->seen, key, &known);
    if (!known) object_set(&f->seen, key, value_null());
    str_free(key);
    free(text);
    return !known;
}

static void add_mention(finder_t *f, mention_kind_t kind, const char *name, size_t len) {
    buf_t path;
    if (len > 4 && memcmp(name, "ENV.", 4) == 0) return; /* of ${ENV.NAME} */
    if (!is_new(f, (char)('0' + kind), name, len)) return;
    buf_init(&path, MENTION_PATH_BYTES_MAX);
    ypath_write(&path, f->path);
    GROW(f->out->items, f->out->cap, f->out->count + 1);
    f->out->items[f->out->count++] = (mention_t){.kind = kind,
                                                 .prompt = f->prompt,
                                                 .name = xstrndup(name, len),
                                                 .block = xstrdup(f->block),
                                                 .line = f->at->line,
                                                 .col = f->at->col,
                                                 .path = buf_take(&path, NULL)};
}

static void in_template(finder_t *f, const template_t *t);

static void on_image(void *arg, const char *name, size_t len) { add_mention(arg, MENTION_IMAGE, name, len); }

/* The names inside a template count in place of its own name; each template is followed once. */
static void on_name(void *arg, const char *name, size_t len) {
    finder_t *f = arg;
    str_t *key = str_new(name, len);
    const named_text_t *named = assets_template(&f->p->assets, key);
    str_free(key);
    if (!named)
        add_mention(f, MENTION_NAME, name, len);
    else if (is_new(f, 't', name, len))
        in_template(f, named->tpl);
}

/* What stands between braces and has no place in a placeholder: blanks, slashes and the like. */
static void in_braces(finder_t *f, const str_t *text) {
    const char *at = text->data, *end = text->data + text->len;
    while ((at = memchr(at, '{', (size_t)(end - at)))) {
        size_t len = 0;
        at++;
        while (at + len < end && !strchr("{}\n", at[len]))
            len++;
        bool jinja = at - text->data >= 2 && at[-2] == '{'; /* said when the file is loaded */
        if (at + len == end || at[len] != '}' || len == 0 || len > BRACES_BYTES_MAX || jinja) continue;
        char *whole = xasprintf("{%.*s}", (int)len, at);
        template_t *t = template_compile(whole, strlen(whole));
        if (template_is_plain(t)) add_mention(f, MENTION_TEXT, at, len);
        template_destroy(&t);
        free(whole);
    }
}

static void in_template(finder_t *f, const template_t *t) {
    if (!t) return;
    template_each_name(t, on_name, f);
    template_each_image(t, on_image, f);
    in_braces(f, template_text(t));
}

/* All texts below a node, which are templates. The tree is at most YAML_DEPTH_MAX deep. */
static void in_prose(finder_t *f, const ynode_t *n, const ypath_t *path) {
    size_t len;
    const char *text = yaml_text(n, &len);
    if (text) {
        template_t *t = template_compile(text, len);
        f->at = n;
        f->path = path;
        in_template(f, t);
        template_destroy(&t);
    }
    for (size_t i = 0; n && n->kind != YNODE_SCALAR && i < n->count; i++)
        in_prose(f, n->items[i], n->kind == YNODE_MAP ? YPATH_KEY(path, yaml_key(n, i)) : YPATH_AT(path, i));
}

/* ---- mentioned in expressions */

/* Do braces with this name stand for a value somewhere in the text, and not behind a part of a regular
 * expression or of LaTeX: "\\p{L}", "a{3}"? */
static bool is_placeholder_in(const char *text, const char *name, size_t len) {
    char *whole = xasprintf("{%.*s}", (int)len, name);
    bool found = false;
    for (const char *at = text; !found && (at = strstr(at, whole)); at++)
        found = at == text || (!isalnum((unsigned char)at[-1]) && !strchr("\\)]}", at[-1]));
    free(whole);
    return found;
}

static void on_name_of_expression(void *arg, const char *name, size_t len) {
    finder_t *f = arg;
    const char *text = yaml_text(f->at, NULL);
    if (strspn(name, "0123456789") < len && is_placeholder_in(text, name, len)) on_name(f, name, len);
}

static void in_text_of_expression(finder_t *f, const ynode_t *n, const ypath_t *path) {
    size_t len;
    const char *text = yaml_text(n, &len);
    template_t *t = template_compile(text, len);
    f->at = n;
    f->path = path;
    template_each_name(t, on_name_of_expression, f);
    template_destroy(&t);
}

/* A name of the language: letters, digits and "_.-", and indexes. */
static bool is_name(const char *text, size_t len) {
    char *whole = xasprintf("{%.*s}", (int)len, text);
    template_t *t = template_compile(whole, strlen(whole));
    bool name = template_is_whole(t);
    template_destroy(&t);
    free(whole);
    return name;
}

static void in_name(finder_t *f, const ynode_t *n, const ypath_t *path) {
    size_t len;
    const char *text = yaml_text(n, &len);
    f->at = n;
    f->path = path;
    if (text && is_name(text, len)) add_mention(f, MENTION_NAME, text, len);
}

/* {var: x} and {ref: x} read x; patterns have braces of their own. */
static void in_expression(finder_t *f, const ynode_t *n, const ypath_t *path) {
    if (yaml_is_string(n)) in_text_of_expression(f, n, path);
    for (size_t i = 0; n->kind != YNODE_SCALAR && i < n->count; i++) {
        const char *key = n->kind == YNODE_MAP ? yaml_key(n, i) : NULL;
        const ypath_t *at = key ? YPATH_KEY(path, key) : YPATH_AT(path, i);
        bool reads = key && n->count == 1 && (strcmp(key, "var") == 0 || strcmp(key, "ref") == 0);
        bool pattern = key && (strcmp(key, "pattern") == 0 || strncmp(key, "regex", 5) == 0);
        if (reads && yaml_is_string(n->items[i]) &&
            is_name(yaml_text(n->items[i], NULL), strlen(yaml_text(n->items[i], NULL))))
            in_name(f, n->items[i], at);
        else if (!pattern)
            in_expression(f, n->items[i], at);
    }
}

/* ---- mentioned in blocks */

static void in_field(finder_t *f, const ynode_t *block, const ypath_t *path, const char *key,
                     void (*in)(finder_t *f, const ynode_t *n, const ypath_t *path)) {
    const ynode_t *n = yaml_get(block, key);
    if (n) in(f, n, YPATH_KEY(path, key));
}

static void in_attachments(finder_t *f, const ynode_t *list, const ypath_t *path) {
    for (size_t i = 0; list->kind == YNODE_LIST && i < list->count; i++) {
        in_field(f, list->items[i], YPATH_AT(path, i), "name", in_prose);
        in_field(f, list->items[i], YPATH_AT(path, i), "content", in_prose);
    }
}

static void in_finals(finder_t *f, const ynode_t *list, const ypath_t *path) {
    for (size_t i = 0; list->kind == YNODE_LIST && i < list->count; i++)
        in_field(f, list->items[i], YPATH_AT(path, i), "value", in_prose);
}

/* `inputs` of a python block: a list has names and templates, a map has expressions. */
static void in_inputs(finder_t *f, const ynode_t *n, const ypath_t *path) {
    for (size_t i = 0; n->kind == YNODE_LIST && i < n->count; i++) {
        size_t len;
        const char *text = yaml_text(n->items[i], &len);
        if (text && !memchr(text, '{', len))
            in_name(f, n->items[i], YPATH_AT(path, i));
        else
            in_expression(f, n->items[i], YPATH_AT(path, i));
    }
    if (n->kind != YNODE_LIST) in_expression(f, n, path);
}

/* `list: Name` reads Name. */
static void in_list(finder_t *f, const ynode_t *n, const ypath_t *path) {
    size_t len;
    const char *text = yaml_text(n, &len);
    if (text && !memchr(text, '{', len))
        in_name(f, n, path);
    else
        in_expression(f, n, path);
}

static void in_outputs(finder_t *f, const ynode_t *list, const ypath_t *path) {
    for (size_t i = 0; list->kind == YNODE_LIST && i < list->count; i++)
        in_field(f, list->items[i], YPATH_AT(path, i), "value", in_expression);
}

static void in_logic(finder_t *f, const ynode_t *n, const ypath_t *path) {
    static const char *const fields[] = {"cond", "then", "else",     "operands", "where", "map",      "init",
                                         "step", "body", "bindings", "value",    "with",  "function", NULL};
    in_field(f, n, path, "list", in_list);
    for (size_t i = 0; fields[i]; i++)
        in_field(f, n, path, fields[i], in_expression);
    in_field(f, n, path, "outputs", in_outputs);
}

static void in_block(finder_t *f, const ynode_t *n, const ypath_t *path) {
    const char *type = yaml_text(yaml_get(n, "type"), NULL);
    if (!type) return;
    f->prompt = strcmp(type, "ai") == 0;
    if (f->prompt) {
        in_field(f, n, path, "system_prompt", in_prose);
        in_field(f, n, path, "prompts", in_prose);
        in_field(f, n, path, "attachments", in_attachments);
        f->prompt = false;
    } else if (strcmp(type, "end") == 0) {
        in_field(f, n, path, "final", in_finals);
        in_field(f, n, path, "reason", in_prose);
    } else if (strcmp(type, "python") == 0) {
        in_field(f, n, path, "inputs", in_inputs);
    } else if (strcmp(type, "logic") == 0) {
        in_logic(f, n, path);
    }
    in_field(f, n, path, "run_if", in_expression);
}

/* The label of the block that stands at this place of the file. */
static const char *label_at(const pipeline_t *p, size_t place) {
    for (size_t i = 0; i < p->block_count; i++)
        if (p->blocks[i].source_index == place) return p->blocks[i].label->data;
    return "?";
}

static void find_in_blocks(const pipeline_t *p, const ydoc_t *doc, mentions_t *out) {
    finder_t f = {.p = p, .out = out, .seen = value_object(32)};
    const ynode_t *blocks = yaml_get(yaml_root(doc), "blocks");
    for (size_t i = 0; blocks && blocks->kind == YNODE_LIST && i < blocks->count; i++) {
        f.block = label_at(p, i);
        in_block(&f, blocks->items[i], YPATH_AT(YPATH_KEY(NULL, "blocks"), i));
    }
    value_free(f.seen);
}

void mentions_free(mentions_t *m) {
    for (size_t i = 0; i < m->count; i++) {
        free(m->items[i].name);
        free(m->items[i].block);
        free(m->items[i].path);
    }
    free(m->items);
    *m = (mentions_t){0};
}

/* ---- supplied */

static void add(value_t *names, const char *name, size_t len) {
    str_t *key = str_new(name, len);
    object_set(names, key, value_null());
    str_free(key);
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80; }

/* Words in quotes (ctx.set("topic", ...), {"topic": ...}) and behind "vars." (ctx.vars.topic = ...). */
static void add_of_code(value_t *names, const char *code, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t from = at;
        while (at < len && is_word(code[at]))
            at++;
        bool quoted = at > from && from > 0 && at < len &&
                      (code[from - 1] == '"' || code[from - 1] == '\'') && code[at] == code[from - 1];
        bool variable = at > from && from >= 5 && memcmp(code + from - 5, "vars.", 5) == 0;
        if (quoted || variable) add(names, code + from, at - from);
        if (at == from) at++;
    }
}

static bool is_one_of(const char *key, const char *const *keys) {
    for (; *keys; keys++) {
        if (strcmp(key, *keys) == 0) return true;
    }
    return false;
}

static void add_texts(value_t *names, const ynode_t *n) {
    size_t len;
    const char *text = yaml_text(n, &len);
    if (text) add(names, text, len);
    for (size_t i = 0; n->kind == YNODE_LIST && i < n->count; i++)
        add_texts(names, n->items[i]);
    for (size_t i = 0; n->kind == YNODE_MAP && i < n->count; i++)
        add(names, yaml_key(n, i), strlen(yaml_key(n, i)));
}

/* `outputs` of a block or step: names, or maps with a name. */
static void add_outputs_written(value_t *names, const ynode_t *n) {
    for (size_t i = 0; n->kind == YNODE_LIST && i < n->count; i++) {
        size_t len;
        const char *text =
            yaml_text(n->items[i]->kind == YNODE_MAP ? yaml_get(n->items[i], "name") : n->items[i], &len);
        if (text) add(names, text, len);
    }
}

/* Does this entry of a map give names? {var: x} alone is an expression that reads x, and a map under `params`
 * holds parameters of a request. */
static bool gives(const ynode_t *map, size_t i) {
    static const char *const givers[] = {"var",  "accumulator", "bindings", "init", "with",
                                         "vars", "returns",     "args",     NULL};
    if (map->kind != YNODE_MAP) return false;
    const char *key = yaml_key(map, i);
    if (strcmp(key, "params") == 0) return map->items[i]->kind != YNODE_MAP;
    return is_one_of(key, givers) && !(strcmp(key, "var") == 0 && map->count == 1);
}

/* Collects everything that gives a name, wherever it stands. The tree is at most YAML_DEPTH_MAX deep. */
static void walk(value_t *names, const ynode_t *n) {
    static const char *const codes[] = {"function_code", "code", "body", NULL};
    for (size_t i = 0; n->kind != YNODE_SCALAR && i < n->count; i++) {
        const char *key = n->kind == YNODE_MAP ? yaml_key(n, i) : "";
        size_t len;
        const char *text = yaml_text(n->items[i], &len);
        if (gives(n, i)) add_texts(names, n->items[i]);
        if (strcmp(key, "outputs") == 0) add_outputs_written(names, n->items[i]);
        if (text && is_one_of(key, codes)) add_of_code(names, text, len);
        walk(names, n->items[i]);
    }
}

static void add_of_file(value_t *names, const char *path) {
    buf_t code;
    buf_init(&code, YAML_FILE_BYTES_MAX);
    if (prepare_read_file(path, &code, NULL) == SDG_OK && code.len) add_of_code(names, code.data, code.len);
    buf_free(&code);
}

static void add_keys(value_t *names, value_t object) {
    for (size_t i = 0; object.kind == VALUE_OBJECT && i < object_count(object); i++)
        object_set(names, object_key_peek(object, i), value_null());
}

static void add_outputs(value_t *names, const block_t *b) {
    str_t *const *outputs = b->type == BLOCK_PYTHON ? b->python.outputs : NULL;
    size_t count = b->type == BLOCK_PYTHON ? b->python.output_count : 0;
    if (b->type == BLOCK_LOGIC && b->logic) count = logic_block_outputs(b->logic, &outputs);
    for (size_t i = 0; i < count; i++)
        object_set(names, outputs[i], value_null());
    for (size_t i = 0; b->type == BLOCK_AI && i < b->ai.output_count; i++)
        object_set(names, b->ai.outputs[i].name, value_null());
}

static void add_of_block(value_t *names, const block_t *b) {
    char error[48];
    add_outputs(names, b);
    for (size_t i = 0; i < b->connection_count; i++)
        object_set(names, b->connections[i].input, value_null());
    if (b->type == BLOCK_PYTHON && b->python.code_path) add_of_file(names, b->python.code_path);
    snprintf(error, sizeof error, "error_block_%lld", (long long)b->exec);
    add(names, error, strlen(error));
}

/* Every name that the pipeline supplies; doc: its file, or NULL. */
static value_t supplied_by(const pipeline_t *p, const ydoc_t *doc) {
    static const char *const locals[] = {"item", "index",
                                         "accumulator"}; /* when a file gives no other names */
    value_t names = value_object(32);
    if (doc) walk(&names, yaml_root(doc));
    for (size_t i = 0; i < sizeof locals / sizeof *locals; i++)
        add(&names, locals[i], strlen(locals[i]));
    add_keys(&names, p->consts);
    add_keys(&names, p->vars);
    for (size_t i = 0; i < p->assets.template_count; i++)
        object_set(&names, p->assets.templates[i].name, value_null());
    for (size_t i = 0; i < p->assets.file_count; i++)
        object_set(&names, p->assets.files[i].name, value_null());
    for (size_t i = 0; i < p->block_count; i++)
        add_of_block(&names, &p->blocks[i]);
    return names;
}

/* ---- the whole */

void mentions_find(const pipeline_t *p, const char *yaml, size_t len, mentions_t *out, value_t *supplied) {
    diags_t diags;
    *out = (mentions_t){0};
    diags_init(&diags, p->path, yaml, len);
    ydoc_t *doc = yaml_parse(yaml, len, NULL, &diags);
    if (doc) find_in_blocks(p, doc, out);
    *supplied = supplied_by(p, doc);
    yaml_doc_free(&doc);
    diags_free(&diags);
}

bool mentions_have(value_t names, const char *name) {
    bool found;
    object_get_peek(names, name, strlen(name), &found);
    if (!found) object_get_peek(names, name, strcspn(name, "["), &found);
    if (!found) object_get_peek(names, name, strcspn(name, ".["), &found);
    return found;
}
