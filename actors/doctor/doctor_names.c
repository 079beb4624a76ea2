/* doctor_names.c - see doctor_names.h. */
#include "actors/doctor/doctor_names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/verbs/prepare.h"
#include "core/mabel/logic/logic.h"
#include "core/mabel/yaml/limits.h"
#include "core/mabel/yaml/yaml.h"

/* ---- mentioned */

typedef struct mentions {
    const pipeline_t *p;
    value_t names, seen;
    str_t *label;
} mentions_t;

static void from_template(mentions_t *m, const template_t *t);

/* The names inside a template count in place of its own name; each template is followed once. */
static void on_name(void *arg, const char *name, size_t len) {
    mentions_t *m = arg;
    bool known;
    str_t *key = str_new(name, len);
    const named_text_t *t = assets_template(&m->p->assets, key);
    object_get_str_peek(t ? m->seen : m->names, key, &known);
    if (!known) object_set(t ? &m->seen : &m->names, key, value_from_str(str_ref(m->label)));
    if (!known && t) from_template(m, t->tpl);
    str_free(key);
}

static void from_template(mentions_t *m, const template_t *t) {
    if (t) template_each_name(t, on_name, m);
}

static void from_ai(mentions_t *m, const ai_block_t *ai) {
    from_template(m, ai->system);
    for (size_t i = 0; i < ai->prompt_count; i++)
        from_template(m, ai->prompts[i]);
    for (size_t i = 0; i < ai->attachment_count; i++) {
        from_template(m, ai->attachments[i].name);
        from_template(m, ai->attachments[i].content);
    }
}

static void from_end(mentions_t *m, const end_block_t *end) {
    for (size_t i = 0; i < end->final_count; i++)
        from_template(m, end->finals[i].tpl);
}

static value_t mentioned(const pipeline_t *p, block_type_t type) {
    mentions_t m = {.p = p, .names = value_object(16), .seen = value_object(4)};
    for (size_t i = 0; i < p->block_count; i++) {
        const block_t *b = &p->blocks[i];
        m.label = b->label;
        if (b->type == type && type == BLOCK_AI) from_ai(&m, &b->ai);
        if (b->type == type && type == BLOCK_END) from_end(&m, &b->end);
    }
    value_free(m.seen);
    return m.names;
}

value_t doctor_names_of_prompts(const pipeline_t *p) { return mentioned(p, BLOCK_AI); }
value_t doctor_names_of_results(const pipeline_t *p) { return mentioned(p, BLOCK_END); }

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

/* Collects everything that gives a name, wherever it stands. The tree is at most YAML_DEPTH_MAX deep. */
static void walk(value_t *names, const ynode_t *n) {
    static const char *const givers[] = {"var",  "accumulator", "bindings", "init",   "with",
                                         "vars", "returns",     "args",     "params", NULL};
    static const char *const codes[] = {"function_code", "code", "body", NULL};
    for (size_t i = 0; n->kind != YNODE_SCALAR && i < n->count; i++) {
        const char *key = n->kind == YNODE_MAP ? yaml_key(n, i) : "";
        size_t len;
        const char *text = yaml_text(n->items[i], &len);
        if (is_one_of(key, givers)) add_texts(names, n->items[i]);
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

/* Walks the pipeline and the text of its file, and collects every name that either supplies. */
value_t doctor_names_supplied(const pipeline_t *p, const char *yaml, size_t len) {
    value_t names = value_object(32);
    diags_t diags;
    diags_init(&diags, p->path, yaml, len);
    ydoc_t *doc = yaml_parse(yaml, len, NULL, &diags);
    if (doc) walk(&names, yaml_root(doc));
    yaml_doc_free(&doc);
    diags_free(&diags);
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

bool doctor_names_have(value_t names, const char *name) {
    bool found;
    object_get_peek(names, name, strlen(name), &found);
    if (!found) object_get_peek(names, name, strcspn(name, "["), &found);
    if (!found) object_get_peek(names, name, strcspn(name, ".["), &found);
    return found;
}
