/* pipeline_ai.c - ai blocks: the model, the prompts, the parameters, the outputs, save_to. */
#include "core/mabel/pipeline/pipeline_load.h"

#include <stdlib.h>
#include <string.h>

static const key_rule_t AI_RULES[] = {
    {"model", WANT_TEXT, true},    {"system_prompt", WANT_TEXT, false}, {"prompts", WANT_TEXTS, false},
    {"params", WANT_MAP, false},   {"attachments", WANT_LIST, false},   {"mode", WANT_TEXT, false},
    {"outputs", WANT_LIST, false}, {"save_to", WANT_MAP, false},        {"on_truncated", WANT_TEXT, false},
};
static const keyset_t AI_KEYS = {.what = "an ai block",
                                 .rules = AI_RULES,
                                 .count = sizeof AI_RULES / sizeof AI_RULES[0],
                                 .base = &BLOCK_KEYS,
                                 .params = "params"};

static const key_rule_t OUTPUT_RULES[] = {
    {"name", WANT_OUTPUT, true},     {"select", WANT_TEXT, false},   {"tag", WANT_TEXT, false},
    {"regex", WANT_TEXT, false},     {"path", WANT_TEXT, false},     {"join_with", WANT_TEXT, false},
    {"type_hint", WANT_TEXT, false}, {"required", WANT_BOOL, false}, {"description", WANT_ANY, false},
    {"comment", WANT_ANY, false},
};
static const keyset_t OUTPUT_KEYS = KEYSET("an output", OUTPUT_RULES, NULL);

static const key_rule_t ATTACHMENT_RULES[] = {{"name", WANT_TEXT, false},
                                              {"mime", WANT_TEXT, false},
                                              {"content", WANT_TEXT, true},
                                              {"description", WANT_ANY, false}};
static const keyset_t ATTACHMENT_KEYS = KEYSET("an attachment", ATTACHMENT_RULES, NULL);

static const key_rule_t SAVE_RULES[] = {{"vars", WANT_MAP, false}};
static const keyset_t SAVE_KEYS = KEYSET("save_to", SAVE_RULES, NULL);

/* ---- model and messages */

/* An unknown model leaves UINT32_MAX, which only an erroneous pipeline has. */
static void model_find(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    const pipeline_t *p = l->p;
    str_t *name = field_text(n, "model");
    if (!name) return;
    uint32_t i = 0;
    while (i < p->named_count && !str_equal(p->models[i].name, name))
        i++;
    ai->model = i < p->named_count ? i : UINT32_MAX;
    if (i == p->named_count) {
        const char **names = xcalloc(i + 1, sizeof *names);
        for (uint32_t k = 0; k < i; k++)
            names[k] = p->models[k].name->data;
        complain(l, DIAG_ERROR, field(n, "model"), YPATH_KEY(path, "model"), "no model is called '%s'%s",
                 name->data, meant(name->data, names, i).text);
        free(names);
    }
    str_free(name);
}

static void prompts_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    str_t **texts;
    ai->system = field_template(n, "system_prompt");
    ai->prompt_count = field_texts(l, n, path, "prompts", &texts);
    ai->prompts = xcalloc(ai->prompt_count + 1, sizeof *ai->prompts);
    for (size_t i = 0; i < ai->prompt_count; i++)
        ai->prompts[i] = template_compile(texts[i]->data, texts[i]->len);
    texts_free(texts, ai->prompt_count);
    if (field(n, "prompts")) return;
    complain(l, ai->system ? DIAG_WARNING : DIAG_ERROR, n, path,
             "an ai block needs 'prompts': a list of text");
}

/* An attachment that misses a field gets an empty one, so that a row need not look. */
static void attachments_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    const ynode_t *list = field(n, "attachments");
    size_t count = list_length(list);
    ai->attachments = xcalloc(count + 1, sizeof *ai->attachments);
    for (size_t i = 0; i < count; i++) {
        if (!keys_check(l, list->items[i], YPATH_AT(YPATH_KEY(path, "attachments"), i), &ATTACHMENT_KEYS))
            continue;
        attachment_t *a = &ai->attachments[ai->attachment_count++];
        a->name = field_template(list->items[i], "name");
        a->content = field_template(list->items[i], "content");
        a->mime = field_text(list->items[i], "mime");
        if (!a->name) a->name = template_compile("", 0);
        if (!a->content) a->content = template_compile("", 0);
        if (!a->mime) a->mime = str_new("text/plain", 10);
    }
}

/* ---- parameters */

static value_t params_merged(value_t model, value_t block) {
    value_t merged = value_ref(model);
    for (size_t i = 0; i < object_count(block); i++)
        object_set(&merged, object_key_peek(block, i), value_ref(object_value_peek(block, i)));
    return merged;
}

/* Asks the server for JSON (`mode: json`), unless the block's own parameters ask for a format. */
static void json_mode_set(value_t *params, value_t of_block) {
    bool given;
    object_get_peek(of_block, "response_format", strlen("response_format"), &given);
    if (given) return;
    value_t format = value_object(1);
    object_set_text(&format, "type", value_text("json_object"));
    object_set_text(params, "response_format", format);
}

/* The model's parameters with the block's on top. Headers, timeout and retry stay the block's own. */
static void params_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    static const char *const modes[] = {"text", "json"};
    call_options_t options;
    call_options_read(l, field(n, "params"), YPATH_KEY(path, "params"), &options);
    value_t of_model =
        ai->model < l->p->model_count ? value_ref(l->p->models[ai->model].params) : value_object(0);
    ai->params = params_merged(of_model, options.params);
    value_free(of_model);
    if (field_choice(l, n, path, "mode", modes, 2, 0) == 1) json_mode_set(&ai->params, options.params);
    value_free(options.params);
    if (options.model &&
        name_check_text(l->diags, options.model, YPATH_KEY(YPATH_KEY(path, "params"), "model")) &&
        yaml_is_string(options.model) && ai->model < l->p->model_count)
        ai->model = model_renamed(l, ai->model, options.model);
    ai->headers = options.headers;
    ai->header_count = options.header_count;
    ai->timeout_ms = options.timeout_ms;
    ai->retry = options.retry;
    ai->has_retry = options.has_retry;
}

/* ---- outputs */

static const char *const SELECTS[SELECT_KINDS] = {"full",     "tag",       "regex",
                                                  "jsonpath", "reasoning", "finish_reason"};
/* The field that a selection works with; NULL: it needs none. */
static const char *const SELECT_FIELDS[SELECT_KINDS] = {NULL, "tag", "regex", "path"};
static const char *const HINTS[] = {"", "string", "number", "boolean", "json"};

/* The tag, pattern or path that a selection works with; NULL for one that needs none, and after an error. A
 * field of another selection gets a warning. */
static str_t *selector_text(load_t *l, const ynode_t *n, const ypath_t *path, select_kind_t select) {
    for (size_t i = 0; i < SELECT_KINDS; i++)
        if (i != select && SELECT_FIELDS[i] && field(n, SELECT_FIELDS[i]))
            complain(l, DIAG_WARNING, field(n, SELECT_FIELDS[i]), YPATH_KEY(path, SELECT_FIELDS[i]),
                     "'%s' has no effect with 'select: %s'", SELECT_FIELDS[i], SELECTS[select]);
    if (!SELECT_FIELDS[select]) return NULL;
    str_t *text = field_text(n, SELECT_FIELDS[select]);
    if (text && text->len) return text;
    complain(l, DIAG_ERROR, n, path, "'select: %s' needs '%s'", SELECTS[select], SELECT_FIELDS[select]);
    str_free(text);
    return NULL;
}

static void selector_read(load_t *l, const ynode_t *n, const ypath_t *path, extract_t *e) {
    err_t err = {0};
    str_t *text = selector_text(l, n, path, e->select);
    if (!text) return;
    const char *key = SELECT_FIELDS[e->select];
    if (e->select == SELECT_TAG) {
        e->tag = text;
        return;
    }
    if (e->select == SELECT_REGEX) e->regex = regex_compile(text->data, text->len, REGEX_DOTALL, &err);
    if (e->select == SELECT_JSONPATH) e->path = jsonpath_compile(text->data, text->len, &err);
    if (!e->regex && !e->path) complain(l, DIAG_ERROR, field(n, key), YPATH_KEY(path, key), "%s", err.text);
    str_free(text);
}

/* An output is a name alone, or an object; its name stays NULL after an error. */
static void output_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_output_t *o) {
    if (n->kind == YNODE_SCALAR) { /* a name alone */
        o->name = scalar_text(n);
        name_check_output(l->diags, n, path);
        if (!o->name) complain(l, DIAG_ERROR, n, path, "an output needs 'name'");
        return;
    }
    if (!keys_check(l, n, path, &OUTPUT_KEYS)) return;
    o->name = field_text(n, "name");
    size_t select = field_choice(l, n, path, "select", SELECTS, SELECT_KINDS,
                                 field(n, "select") ? SELECT_KINDS : SELECT_FULL);
    o->extract.select = select < SELECT_KINDS ? (select_kind_t)select : SELECT_FULL;
    o->required = field_bool(n, "required", false);
    o->extract.hint = (type_hint_t)(field_choice(l, n, path, "type_hint", HINTS + 1, 4, (size_t)-1) + 1);
    o->extract.join_with = field_text(n, "join_with");
    if (select < SELECT_KINDS) selector_read(l, n, path, &o->extract);
}

static void outputs_check_names(load_t *l, const ynode_t *list, const ypath_t *path, const ai_block_t *ai) {
    value_t seen = value_object(ai->output_count);
    for (size_t i = 0; i < ai->output_count; i++) {
        bool found;
        object_get_str_peek(seen, ai->outputs[i].name, &found);
        if (found)
            complain(l, DIAG_WARNING, list->items[i], YPATH_AT(path, i),
                     "a second output called '%s': the later one counts", ai->outputs[i].name->data);
        object_set(&seen, ai->outputs[i].name, value_null());
    }
    value_free(seen);
}

static void outputs_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    const ynode_t *list = field(n, "outputs");
    const ypath_t *at = YPATH_KEY(path, "outputs");
    size_t count = list_length(list);
    ai->output_count = count ? count : 1;
    ai->outputs = xcalloc(ai->output_count, sizeof *ai->outputs);
    if (count == 0) ai->outputs[0].name = str_new("full", 4);
    for (size_t i = 0; i < count; i++) {
        output_read(l, list->items[i], YPATH_AT(at, i), &ai->outputs[i]);
        if (!ai->outputs[i].name) ai->outputs[i].name = str_new("", 0);
        if (ai->outputs[i].extract.select == SELECT_REASONING) ai->wants_reasoning = true;
    }
    if (count) outputs_check_names(l, list, at, ai);
}

/* ---- save_to */

static bool has_output(const ai_block_t *ai, str_t *name) {
    for (size_t i = 0; i < ai->output_count; i++)
        if (str_equal(ai->outputs[i].name, name)) return true;
    return false;
}

static void save_check(load_t *l, const ynode_t *at, const ypath_t *path, const ai_block_t *ai,
                       str_t *output) {
    if (has_output(ai, output)) return;
    const char **names = xcalloc(ai->output_count, sizeof *names);
    for (size_t i = 0; i < ai->output_count; i++)
        names[i] = ai->outputs[i].name->data;
    complain(l, DIAG_ERROR, at, path, "this block has no output '%s'%s", output->data,
             meant(output->data, names, ai->output_count).text);
    free(names);
}

/* save_to.vars: variables that take outputs of this block. */
static void save_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    const ynode_t *save = field(n, "save_to");
    const ypath_t *at = YPATH_KEY(path, "save_to");
    if (!save || save->kind != YNODE_MAP || !keys_check(l, save, at, &SAVE_KEYS)) return;
    const ynode_t *vars = field(save, "vars");
    size_t count = vars && vars->kind == YNODE_MAP ? vars->count : 0;
    ai->save = xcalloc(count + 1, sizeof *ai->save);
    for (size_t i = 0; i < count; i++) {
        const ypath_t *here = YPATH_KEY(YPATH_KEY(at, "vars"), yaml_key(vars, i));
        str_t *output = scalar_text(vars->items[i]);
        if (!output) {
            complain(l, DIAG_ERROR, vars->items[i], here, "expected the name of an output, found %s",
                     yaml_kind_name(vars->items[i]));
            continue;
        }
        save_check(l, vars->items[i], here, ai, output);
        ai->save[ai->save_count].var = str_ref(vars->keys[i]->scalar.string);
        ai->save[ai->save_count++].output = output;
    }
}

static void truncated_read(load_t *l, const ynode_t *n, const ypath_t *path, ai_block_t *ai) {
    static const char *const names[] = {"keep", "retry", "fail"}; /* in the order of on_truncated_t */
    ai->on_truncated = (on_truncated_t)field_choice(l, n, path, "on_truncated", names, 3, ON_TRUNCATED_KEEP);
}

void ai_block_load(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    ai_block_t *ai = &b->ai;
    keys_check(l, n, path, &AI_KEYS);
    model_find(l, n, path, ai);
    prompts_read(l, n, path, ai);
    attachments_read(l, n, path, ai);
    params_read(l, n, path, ai);
    outputs_read(l, n, path, ai);
    truncated_read(l, n, path, ai);
    save_read(l, n, path, ai);
}

void ai_block_free(ai_block_t *ai) {
    template_destroy(&ai->system);
    for (size_t i = 0; i < ai->prompt_count; i++)
        template_destroy(&ai->prompts[i]);
    free(ai->prompts);
    for (size_t i = 0; i < ai->attachment_count; i++) {
        template_destroy(&ai->attachments[i].name);
        str_free(ai->attachments[i].mime);
        template_destroy(&ai->attachments[i].content);
    }
    free(ai->attachments);
    value_free(ai->params);
    headers_free(ai->headers, ai->header_count);
    for (size_t i = 0; i < ai->output_count; i++) {
        str_free(ai->outputs[i].name);
        extract_free(&ai->outputs[i].extract);
    }
    free(ai->outputs);
    for (size_t i = 0; i < ai->save_count; i++) {
        str_free(ai->save[i].var);
        str_free(ai->save[i].output);
    }
    free(ai->save);
}
