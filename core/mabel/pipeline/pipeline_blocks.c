/* pipeline_blocks.c - what all blocks have, end blocks, and the running order.
 *
 * Blocks are read in file order, so that messages come in that order, and sorted afterwards by ascending
 * `exec`; equal numbers stay as written. A broken block, whose errors are reported, stays in the list, so
 * that connections to it are not reported as unknown. */
#include "core/mabel/logic/logic.h"
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/text.h"
#include "core/mabel/pipeline/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const key_rule_t BLOCK_RULES[] = {
    {"type", WANT_TEXT, false},   {"exec", WANT_ANY, false},   {"id", WANT_TEXT, false},
    {"name", WANT_TEXT, false},   {"run_if", WANT_ANY, false}, {"on_error", WANT_TEXT, false},
    {"retry", WANT_MAP, false},   {"budget", WANT_MAP, false}, {"description", WANT_ANY, false},
    {"comment", WANT_ANY, false},
};
const keyset_t BLOCK_KEYS = KEYSET("a block", BLOCK_RULES, NULL);
/* Open, because logic_block_load checks the keys of logic blocks. */
static const keyset_t LOGIC_KEYS = {.what = "a logic block", .base = &BLOCK_KEYS, .open = true};

static const key_rule_t END_RULES[] = {
    {"final", WANT_LIST, false},  {"final_mode", WANT_TEXT, false}, {"include_vars", WANT_ANY, false},
    {"reason", WANT_TEXT, false}, {"exit_code", WANT_TEXT, false},  {"outputs", WANT_ANY, false},
};
static const keyset_t END_KEYS = KEYSET("an end block", END_RULES, &BLOCK_KEYS);

static const key_rule_t FINAL_RULES[] = {{"name", WANT_OUTPUT, true},
                                         {"value", WANT_ANY, false},
                                         {"type_hint", WANT_TEXT, false},
                                         {"description", WANT_ANY, false},
                                         {"comment", WANT_ANY, false}};
static const keyset_t FINAL_KEYS = KEYSET("a final value", FINAL_RULES, NULL);

static const key_rule_t LOOPS_RULES[] = {{"max_iters", WANT_NUMBER, false}, {"on_exceed", WANT_TEXT, false}};
static const keyset_t LOOPS_KEYS = KEYSET("loops", LOOPS_RULES, NULL);
static const key_rule_t RECURSION_RULES[] = {{"max_depth", WANT_NUMBER, false},
                                             {"on_exceed", WANT_TEXT, false}};
static const keyset_t RECURSION_KEYS = KEYSET("recursion", RECURSION_RULES, NULL);
static const key_rule_t AI_BUDGET_RULES[] = {{"max_calls", WANT_NUMBER, false},
                                             {"max_tokens", WANT_NUMBER, false}};
static const keyset_t AI_BUDGET_KEYS = KEYSET("ai", AI_BUDGET_RULES, NULL);
static const key_rule_t BUDGET_RULES[] = {{"loops", WANT_MAP, false},
                                          {"recursion", WANT_MAP, false},
                                          {"wall_time_ms", WANT_NUMBER, false},
                                          {"ai", WANT_MAP, false}};
static const keyset_t BUDGET_KEYS = KEYSET("a budget", BUDGET_RULES, NULL);

/* ---- budgets */

static on_exceed_t exceed_read(load_t *l, const ynode_t *n, const ypath_t *path, on_exceed_t fallback) {
    static const char *const names[] = {"error", "truncate", "continue"};
    return (on_exceed_t)field_choice(l, n, path, "on_exceed", names, 3, fallback);
}

/* The sub-map `key`, checked; NULL when absent or no map. */
static const ynode_t *budget_part(load_t *l, const ynode_t *n, const ypath_t *path, const char *key,
                                  const keyset_t *keys) {
    const ynode_t *part = field(n, key);
    if (!part || part->kind != YNODE_MAP) return NULL;
    return keys_check(l, part, YPATH_KEY(path, key), keys) ? part : NULL;
}

/* Fields that are not given keep the values of b. */
budget_t budget_read(load_t *l, const ynode_t *n, const ypath_t *path, budget_t b) {
    if (!n || n->kind != YNODE_MAP || !keys_check(l, n, path, &BUDGET_KEYS)) return b;
    const ypath_t *at = YPATH_KEY(path, "loops");
    const ynode_t *part = budget_part(l, n, path, "loops", &LOOPS_KEYS);
    b.loop_iters_max = field_count(l, part, at, "max_iters", 0, INT64_MAX, b.loop_iters_max);
    b.loop_exceed = exceed_read(l, part, at, b.loop_exceed);
    at = YPATH_KEY(path, "recursion");
    part = budget_part(l, n, path, "recursion", &RECURSION_KEYS);
    b.recursion_depth_max =
        (uint32_t)field_count(l, part, at, "max_depth", 0, UINT32_MAX, b.recursion_depth_max);
    b.recursion_exceed = exceed_read(l, part, at, b.recursion_exceed);
    b.wall_time_ms = field_count(l, n, path, "wall_time_ms", 0, INT64_MAX / 1000000, b.wall_time_ms);
    at = YPATH_KEY(path, "ai");
    part = budget_part(l, n, path, "ai", &AI_BUDGET_KEYS);
    b.ai_calls_max = (uint32_t)field_count(l, part, at, "max_calls", 0, UINT32_MAX, b.ai_calls_max);
    b.ai_tokens_max = field_count(l, part, at, "max_tokens", 0, INT64_MAX, b.ai_tokens_max);
    return b;
}

/* ---- end blocks */

static bool is_expression(const ynode_t *n) {
    if (n->kind != YNODE_MAP) return false;
    if (n->count == 2) return yaml_get(n, "get") && yaml_get(n, "default");
    bool empty = n->count == 1 && n->items[0]->kind == YNODE_SCALAR && n->items[0]->scalar.kind == VALUE_NULL;
    return n->count == 1 && !empty && mex_is_operator(yaml_key(n, 0));
}

/* Warns of the first MEX expression in a final value: it is data there. The tree is at most YAML_DEPTH_MAX
 * deep. True: warned. */
static bool expression_warn(load_t *l, const ynode_t *n, const ypath_t *path) {
    if (is_expression(n)) {
        complain(l, DIAG_WARNING, n, path,
                 "'%s' is no expression here but data: compute it in a logic block, and name its output here",
                 yaml_key(n, 0));
        return true;
    }
    for (size_t i = 0; n->kind != YNODE_SCALAR && i < n->count; i++) {
        bool map = n->kind == YNODE_MAP;
        if (expression_warn(l, n->items[i], map ? YPATH_KEY(path, yaml_key(n, i)) : YPATH_AT(path, i)))
            return true;
    }
    return false;
}

static void final_read(load_t *l, const ynode_t *n, const ypath_t *path, final_value_t *f) {
    static const char *const hints[] = {"string", "number", "boolean", "json"};
    const ynode_t *value = yaml_get(n, "value");
    f->name = field_text(n, "name");
    if (!f->name) f->name = str_new("", 0);
    f->hint = (type_hint_t)(field_choice(l, n, path, "type_hint", hints, 4, (size_t)-1) + 1);
    if (!value)
        complain(l, DIAG_ERROR, n, path, "a final value needs 'value'");
    else if (yaml_is_string(value))
        f->tpl = field_template(n, "value");
    else
        f->literal = yaml_value(value);
    if (value) expression_warn(l, value, YPATH_KEY(path, "value"));
}

/* Variables that are added to the result row are called by name, and must not hide what is sdg's own there.
 */
static bool include_vars_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    const ynode_t *v = field(n, "include_vars");
    const ypath_t *at = YPATH_KEY(path, "include_vars");
    bool right = true;
    if (!v) return true;
    if (v->kind == YNODE_MAP || v->scalar.kind == VALUE_BOOL) {
        complain(l, DIAG_ERROR, v, at, "expected a list of names of variables, found %s", yaml_kind_name(v));
        return false;
    }
    if (v->kind == YNODE_SCALAR) right = name_check_output(l->diags, v, at);
    for (size_t i = 0; i < list_length(v); i++)
        right = name_check_output(l->diags, v->items[i], YPATH_AT(at, i)) && right;
    return right;
}

/* The final values, and what else goes into the result. */
static void end_block_load(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    static const char *const modes[] = {"map", "list"};
    end_block_t *end = &b->end;
    keys_check(l, n, path, &END_KEYS);
    const ynode_t *finals = field(n, "final");
    size_t count = list_length(finals);
    end->finals = xcalloc(count + 1, sizeof *end->finals);
    for (size_t i = 0; i < count; i++) {
        const ypath_t *at = YPATH_AT(YPATH_KEY(path, "final"), i);
        if (keys_check(l, finals->items[i], at, &FINAL_KEYS))
            final_read(l, finals->items[i], at, &end->finals[end->final_count++]);
    }
    end->as_list = field_choice(l, n, path, "final_mode", modes, 2, 0) == 1;
    if (include_vars_check(l, n, path))
        end->include_count = field_texts(l, n, path, "include_vars", &end->include_vars);
    end->reason = field_template(n, "reason");
    end->exit_code = field_text(n, "exit_code");
}

static void end_block_free(end_block_t *end) {
    for (size_t i = 0; i < end->final_count; i++) {
        str_free(end->finals[i].name);
        value_free(end->finals[i].literal);
        template_destroy(&end->finals[i].tpl);
    }
    free(end->finals);
    texts_free(end->include_vars, end->include_count);
    template_destroy(&end->reason);
    str_free(end->exit_code);
}

/* ---- common fields */

static const char *const TYPES[] = {"ai", "logic", "python", "end"}; /* in the order of block_type_t */

/* The place in the running order: a whole number, also as text or written as a real. */
static int64_t exec_read(load_t *l, const ynode_t *n, const ypath_t *path) {
    const ynode_t *v = field(n, "exec");
    value_t number = v && v->kind == YNODE_SCALAR ? v->scalar : value_null();
    if (number.kind == VALUE_STRING && !text_to_number(number.string->data, number.string->len, &number))
        number = value_null();
    if (number.kind == VALUE_INT) return number.integer;
    if (number.kind == VALUE_REAL && number.real == floor(number.real) && fabs(number.real) < 1e15)
        return (int64_t)number.real;
    if (v)
        complain(l, DIAG_ERROR, v, YPATH_KEY(path, "exec"), "expected an integer, found %s",
                 yaml_kind_name(v));
    else
        complain(l, DIAG_ERROR, n, path, "a block needs 'exec': an integer, the place in the running order");
    return 0;
}

static str_t *label_new(const block_t *b) {
    if (b->id) return str_ref(b->id);
    if (b->name) return str_ref(b->name);
    char *place = xasprintf("blocks[%u]", b->source_index);
    str_t *label = str_new(place, strlen(place));
    free(place);
    return label;
}

static void on_error_read(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    static const char *const names[] = {"fail", "continue", "retry"};
    retry_policy_t base = retry_policy_default();
    base.attempts_max = BLOCK_ATTEMPTS_DEFAULT;
    base.base_ms = BLOCK_RETRY_MS_DEFAULT;
    b->on_error = (on_error_t)field_choice(l, n, path, "on_error", names, 3, ON_ERROR_FAIL);
    b->retry = retry_read(l, field(n, "retry"), YPATH_KEY(path, "retry"), base);
    b->has_retry = field(n, "retry");
    if (b->has_retry && b->on_error != ON_ERROR_RETRY && b->type != BLOCK_AI)
        complain(l, DIAG_HINT, field(n, "retry"), YPATH_KEY(path, "retry"),
                 "'retry' has no effect without 'on_error: retry'");
}

static bool is_blank(const ynode_t *n) {
    size_t len;
    const char *text = yaml_text(n, &len);
    if (text) text_trim(&text, &len);
    return text && len == 0;
}

static void common_read(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    const ynode_t *run_if = field(n, "run_if");
    b->exec = exec_read(l, n, path);
    b->id = field_text(n, "id");
    b->name = field_text(n, "name");
    b->label = label_new(b);
    if (run_if && !is_blank(run_if))
        b->run_if = mex_compile(l->doc, run_if, YPATH_KEY(path, "run_if"), MEX_CONDITION, l->diags);
    on_error_read(l, n, path, b);
    b->budget = budget_read(l, field(n, "budget"), YPATH_KEY(path, "budget"), l->p->budget);
}

/* Reads the fields of the block's type. */
static void typed_read(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    switch (b->type) {
    case BLOCK_AI:
        ai_block_load(l, n, path, b);
        l->p->ai_block_count++;
        break;
    case BLOCK_LOGIC:
        keys_check(l, n, path, &LOGIC_KEYS);
        b->logic = logic_block_load(l->doc, l->p->logic, n, path, l->diags);
        break;
    case BLOCK_PYTHON:
        python_block_load(l, n, path, b);
        l->p->python_block_count++;
        break;
    case BLOCK_END:
        end_block_load(l, n, path, b);
        l->p->has_end = true;
        break;
    }
}

/* False when the node cannot become a block: it is no map, or its type is missing or unknown. */
static bool block_read(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    if (n->kind != YNODE_MAP) {
        complain(l, DIAG_ERROR, n, path, "a block is a map of keys, found %s", yaml_kind_name(n));
        return false;
    }
    if (!field(n, "type")) {
        complain(l, DIAG_ERROR, n, path, "a block needs 'type': ai, logic, python or end");
        return false;
    }
    size_t type = field_choice(l, n, path, "type", TYPES, 4, 4);
    if (type == 4) return false;
    b->type = (block_type_t)type;
    common_read(l, n, path, b);
    typed_read(l, n, path, b);
    return true;
}

/* ---- all of them */

/* Two blocks of one id are an error. */
static void ids_check(load_t *l, const ynode_t *blocks) {
    value_t ids = value_object(0);
    for (size_t i = 0; i < l->p->block_count; i++) {
        const block_t *b = &l->p->blocks[i];
        bool found;
        if (!b->id) continue;
        value_t first = object_get_str_peek(ids, b->id, &found);
        if (found)
            complain(l, DIAG_ERROR, field(blocks->items[b->source_index], "id"),
                     YPATH_KEY(YPATH_AT(YPATH_KEY(NULL, "blocks"), b->source_index), "id"),
                     "the id '%s' is taken by blocks[%d]", b->id->data, (int)first.integer);
        else
            object_set(&ids, b->id, value_int(b->source_index));
    }
    value_free(ids);
}

static int by_exec(const void *a, const void *b) {
    const block_t *x = a, *y = b;
    if (x->exec != y->exec) return x->exec < y->exec ? -1 : 1;
    return x->source_index < y->source_index ? -1 : 1;
}

void blocks_load(load_t *l, const ynode_t *blocks) {
    pipeline_t *p = l->p;
    size_t count = list_length(blocks);
    p->blocks = xcalloc(count + 1, sizeof *p->blocks);
    p->logic = logic_program_load(l->doc, field(field(l->root, "functions"), "logic"), blocks, l->diags);
    for (size_t i = 0; i < count; i++) {
        block_t *b = &p->blocks[p->block_count];
        b->source_index = (uint32_t)i;
        if (block_read(l, blocks->items[i], YPATH_AT(YPATH_KEY(NULL, "blocks"), i), b)) p->block_count++;
    }
    ids_check(l, blocks);
    qsort(p->blocks, p->block_count, sizeof *p->blocks, by_exec);
}

/* Releases what the block owns; the block itself is part of the pipeline's array. */
static void block_free(block_t *b) {
    str_free(b->label);
    str_free(b->id);
    str_free(b->name);
    mex_destroy(&b->run_if);
    for (size_t i = 0; i < b->connection_count; i++) {
        str_free(b->connections[i].output);
        str_free(b->connections[i].input);
    }
    free(b->connections);
    if (b->type == BLOCK_AI) ai_block_free(&b->ai);
    if (b->type == BLOCK_LOGIC) logic_block_destroy(&b->logic);
    if (b->type == BLOCK_PYTHON) python_block_free(&b->python);
    if (b->type == BLOCK_END) end_block_free(&b->end);
}

void blocks_free(pipeline_t *p) {
    for (size_t i = 0; i < p->block_count; i++)
        block_free(&p->blocks[i]);
    free(p->blocks);
    logic_program_destroy(&p->logic);
}

/* ---- outputs of a block */

size_t block_output_count(const block_t *b) {
    str_t *const *names;
    if (b->type == BLOCK_AI) return b->ai.output_count;
    if (b->type == BLOCK_PYTHON) return b->python.output_count;
    return b->type == BLOCK_LOGIC && b->logic ? logic_block_outputs(b->logic, &names) : 0;
}

str_t *block_output_name(const block_t *b, size_t i) {
    str_t *const *names;
    if (b->type == BLOCK_AI) return b->ai.outputs[i].name;
    if (b->type == BLOCK_PYTHON) return b->python.outputs[i];
    logic_block_outputs(b->logic, &names);
    return names[i];
}
