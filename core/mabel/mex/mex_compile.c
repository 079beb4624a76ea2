/* mex_compile.c - from YAML nodes to MEX nodes.
 *
 * Compiling never stops at the first problem: a broken part becomes the constant null, the problem is noted,
 * and the whole expression is thrown away at the end. A part that depends on nothing is evaluated here, once.
 *
 * A condition is read more strictly than data. Where only a call makes sense, an unknown operator is an
 * error. Among the operands of a comparison a one-key object may well be data, so only a key that is close to
 * the name of an operator is an error there. */
#include "core/mabel/mex/mex_node.h"

#include "core/base/json.h"
#include "core/base/names.h"
#include "core/base/text.h"
#include "core/mabel/mex/limits.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOLD_OPS_MAX = 20000,       /* work spent on one constant at load */
    FOLD_BYTES_MAX = 64 * 1024, /* a larger result is made anew by each row instead of being kept */
    NAME_MAX_BYTES = 64,
    SHOWN_PARAMS_MAX = 128, /* bytes of the parameter names that a message lists */
};

typedef enum strictness {
    LITERAL_FINE,    /* {unknown: x} is data */
    LITERAL_OR_TYPO, /* it is data unless it looks like an operator */
    LITERAL_WRONG,   /* it is an error */
} strictness_t;

struct mex_compiler {
    ydoc_t *doc;
    diags_t *diags;
    size_t failures; /* problems noted so far */
    int depth;
    const char *op_names[128]; /* of the table, for "did you mean" */
};

static mex_t *compile_node(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict);

void mex_complain(mex_compiler_t *c, const ynode_t *at, const ypath_t *path, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    diag_add(c->diags, DIAG_ERROR, at ? at->line : 0, at ? at->col : 0, path, "%s", text);
    c->failures++;
}

/* ---- nodes */

static mex_t *node_new(mex_run_fn *run, size_t argc) {
    mex_t *m = xcalloc(1, sizeof *m);
    m->run = run;
    m->argc = (uint32_t)argc;
    if (argc) m->args = xcalloc(argc, sizeof(mex_t *));
    return m;
}

static mex_t *constant(value_t take) {
    mex_t *m = node_new(mex_run_constant, 0);
    m->constant = true;
    m->value = take;
    return m;
}

static void free_parts(mex_t *m) {
    for (uint32_t i = 0; i < m->argc; i++) {
        mex_destroy(&m->args[i]);
        if (m->keys) str_free(m->keys[i]);
    }
    free(m->args);
    free(m->keys);
    template_destroy(&m->text);
    dotted_free(&m->name);
    for (int i = 0; i < MEX_BOUND_MAX; i++)
        str_free(m->bound[i]);
    regex_destroy(&m->regex);
    value_free(m->value);
}

void mex_destroy(mex_t **m) {
    if (!*m) return;
    free_parts(*m);
    free(*m);
    *m = NULL;
}

static bool all_constant(const mex_t *m) {
    for (uint32_t i = 0; i < m->argc; i++)
        if (m->args[i] && !m->args[i]->constant) return false;
    return true;
}

/* Evaluates a node that depends on nothing. One that fails is left as it is: perhaps no row ever evaluates
 * it. So is one that takes something as 0 or null, because that is counted in each row. */
static void fold(mex_compiler_t *c, mex_t *m) {
    if (c->failures || m->constant || m->text || (m->op && !m->op->pure) || !all_constant(m)) return;
    scope_t empty = {.ops = MEX_OPS_MAX - FOLD_OPS_MAX};
    value_t v;
    json_repairs_t before = json_repairs_so_far();
    if (m->run(m, &empty, &v, NULL) != SDG_OK) return;
    json_repairs_t repairs = json_repairs_since(before);
    if (value_bytes(v) > FOLD_BYTES_MAX || empty.zeros || repairs.nulls || repairs.characters) {
        value_free(v);
        return;
    }
    free_parts(m);
    *m = (mex_t){.run = mex_run_constant, .constant = true, .value = v};
}

/* ---- literals */

static mex_t *compile_string(const char *text, size_t len) {
    template_t *t = template_compile(text, len);
    if (template_is_plain(t)) {
        mex_t *m = constant(value_from_str(str_ref(template_text(t))));
        template_destroy(&t);
        return m;
    }
    const dotted_t *whole = template_whole(t);
    mex_t *m = node_new(whole ? mex_run_whole : mex_run_text, 0);
    if (whole) dotted_init(&m->name, whole->whole->data, whole->whole->len);
    m->text = t;
    return m;
}

static mex_t *compile_scalar(const ynode_t *n) {
    if (!yaml_is_string(n)) return constant(value_ref(n->scalar));
    size_t len;
    const char *text = yaml_text(n, &len);
    return compile_string(text, len);
}

static mex_t *compile_items(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict) {
    mex_t *m = node_new(mex_run_list, n->count);
    for (size_t i = 0; i < n->count; i++)
        m->args[i] = compile_node(c, n->items[i], YPATH_AT(path, i), strict);
    return m;
}

static mex_t *compile_object(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict) {
    if (strict == LITERAL_WRONG) strict = LITERAL_OR_TYPO;
    mex_t *m = node_new(mex_run_object, n->count);
    m->keys = xcalloc(n->count ? n->count : 1, sizeof *m->keys);
    for (size_t i = 0; i < n->count; i++) {
        const char *key = yaml_key(n, i);
        m->keys[i] = name_new(key, strlen(key));
        m->args[i] = compile_node(c, n->items[i], YPATH_KEY(path, key), strict);
    }
    return m;
}

/* ---- parameters by name */

typedef struct param {
    size_t index; /* in args, or in bound for a plain name */
    bool is_name;
    bool is_condition;
} param_t;

/* Is `key` one of the spellings "a|b|c" of len bytes? */
static bool spelled(const char *names, size_t len, const char *key) {
    size_t want = strlen(key);
    for (const char *at = names; at < names + len;) {
        const char *bar = memchr(at, '|', (size_t)(names + len - at));
        size_t n = bar ? (size_t)(bar - at) : (size_t)(names + len - at);
        if (n == want && memcmp(at, key, n) == 0) return true;
        at += n + 1;
    }
    return false;
}

/* The next parameter of a specification; false at its end. counts: how many values and names came before it.
 */
static bool next_param(const char **spec, param_t *p, const char **names, size_t *len, size_t counts[2]) {
    *spec += strspn(*spec, " ");
    if (!**spec) return false;
    *p = (param_t){.is_name = **spec == '=', .is_condition = **spec == '?'};
    if (p->is_name || p->is_condition) ++*spec;
    p->index = counts[p->is_name]++;
    *names = *spec;
    *len = strcspn(*spec, " ");
    *spec += *len;
    return true;
}

static bool find_param(const char *spec, const char *key, param_t *p) {
    const char *names;
    size_t len, counts[2] = {0, 0};
    while (spec && next_param(&spec, p, &names, &len, counts))
        if (spelled(names, len, key)) return true;
    return false;
}

/* First spelling of parameter `index`, for messages. */
static void param_name(const char *spec, size_t index, char name[NAME_MAX_BYTES]) {
    const char *names;
    size_t len, counts[2] = {0, 0};
    param_t p;
    snprintf(name, NAME_MAX_BYTES, "operand %zu", index + 1);
    while (spec && next_param(&spec, &p, &names, &len, counts))
        if (!p.is_name && p.index == index)
            snprintf(name, NAME_MAX_BYTES, "`%.*s`", (int)strcspn(names, "| "), names);
}

static bool is_call(const ynode_t *n) {
    if (n->kind != YNODE_MAP) return false;
    if (n->count == 1) return mex_is_operator(yaml_key(n, 0));
    return n->count == 2 && yaml_get(n, "get") && yaml_get(n, "default");
}

static bool all_params(const char *spec, const ynode_t *n) {
    param_t p;
    for (size_t i = 0; i < n->count; i++)
        if (!find_param(spec, yaml_key(n, i), &p)) return false;
    return n->count > 0;
}

/* Are the operands written by name? For an operator whose operand may itself be an object, only the name of
 * its first parameter says so. */
static bool is_named(const mex_op_t *op, const ynode_t *n) {
    if (n->kind != YNODE_MAP || !op->params) return false;
    param_t p;
    for (size_t i = 0; i < n->count; i++)
        if (find_param(op->params, yaml_key(n, i), &p) && !p.is_name && p.index == 0) return true;
    return op->shape == SHAPE_ARGS && (!is_call(n) || all_params(op->params, n));
}

typedef struct mex_call {
    mex_compiler_t *c;
    mex_t *m;
    const mex_op_t *op;
    strictness_t inner; /* how operands are read */
    const ynode_t *nodes[MEX_ARGS_MAX];
    bool over_data; /* any, all with fn: the list holds data, only fn is a condition */
} mex_call_t;

static void take_arg(mex_call_t *call, param_t p, const ynode_t *n, const ypath_t *path) {
    strictness_t strict = p.is_condition ? LITERAL_WRONG : call->inner;
    if (call->over_data && p.index == 0 && strict == LITERAL_WRONG) strict = LITERAL_OR_TYPO;
    mex_destroy(&call->m->args[p.index]);
    call->nodes[p.index] = n;
    call->m->args[p.index] = compile_node(call->c, n, path, strict);
}

static void take_name(mex_call_t *call, param_t p, const ynode_t *n, const ypath_t *path) {
    size_t len;
    const char *text = yaml_text(n, &len);
    size_t slot = p.index == 0 ? MEX_ELEMENT : MEX_ACCUMULATOR;
    if (!text || len == 0) {
        mex_complain(call->c, n, path, "%s: a name was expected, not %s", call->op->name, yaml_kind_name(n));
        return;
    }
    str_free(call->m->bound[slot]);
    call->m->bound[slot] = name_new(text, len);
}

/* "list|text fn =var" for people: "list/text, fn, var" */
static void show_params(const char *spec, char shown[SHOWN_PARAMS_MAX]) {
    size_t len = 0;
    for (; *spec && len + 3 < SHOWN_PARAMS_MAX; spec++) {
        if (*spec == '=' || *spec == '?') continue;
        if (*spec == ' ') shown[len++] = ',';
        shown[len++] = *spec == '|' ? '/' : *spec;
    }
    shown[len] = '\0';
}

static void unknown_param(mex_call_t *call, const ynode_t *map, size_t i, const ypath_t *path) {
    const ynode_t *key = map->keys[i];
    char shown[SHOWN_PARAMS_MAX];
    show_params(call->op->params, shown);
    diag_add(call->c->diags, DIAG_WARNING, key->line, key->col, YPATH_KEY(path, yaml_key(map, i)),
             "%s does not know \"%s\"; it knows: %s", call->op->name, yaml_key(map, i), shown);
}

static void take_named(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    call->over_data = call->op->logical && yaml_get(n, "fn");
    for (size_t i = 0; i < n->count; i++) {
        param_t p;
        const char *key = yaml_key(n, i);
        if (!find_param(call->op->params, key, &p))
            unknown_param(call, n, i, path);
        else if (p.is_name)
            take_name(call, p, n->items[i], YPATH_KEY(path, key));
        else
            take_arg(call, p, n->items[i], YPATH_KEY(path, key));
    }
}

/* Operands in order. The specification says which of them are conditions. */
static void take_positional(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    if (n->count > call->op->max) {
        mex_complain(call->c, n, path, "%s takes at most %d operand%s, not %zu", call->op->name,
                     call->op->max, call->op->max == 1 ? "" : "s", n->count);
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        const char *spec = call->op->params, *names;
        size_t len, counts[2] = {0, 0};
        param_t p = {.index = i};
        while (spec && next_param(&spec, &p, &names, &len, counts) && (p.is_name || p.index < i)) {
        }
        take_arg(call, (param_t){.index = i, .is_condition = p.is_condition}, n->items[i], YPATH_AT(path, i));
    }
}

static void check_given(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    for (size_t i = 0; i < call->op->min; i++) {
        if (call->m->args[i]) continue;
        char name[NAME_MAX_BYTES];
        param_name(call->op->params, i, name);
        mex_complain(call->c, n, path, "%s needs %s", call->op->name, name);
    }
}

/* Is this {len: [x]}, where x is computed? If x gives a list, that list is meant, otherwise the list of x
 * alone. */
static bool maybe_wrapped(const mex_op_t *op, const ynode_t *n) {
    if (op->shape != SHAPE_ONE || n->kind != YNODE_LIST || n->count != 1) return false;
    return op->run == mex_run_len || op->run == mex_run_unique || op->run == mex_run_sort ||
           op->run == mex_run_first || op->run == mex_run_last || op->run == mex_run_choose;
}

/* An operand that stands alone: as it is, or out of its one-element list. */
static void take_one(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    param_t first = {.index = 0};
    if (call->op->min == 0 && n->kind == YNODE_SCALAR && n->scalar.kind == VALUE_NULL)
        return; /* {rand: null} */
    if (call->op->shape == SHAPE_UNWRAP && n->kind == YNODE_LIST && n->count == 1) {
        take_arg(call, first, n->items[0], YPATH_AT(path, 0));
        return;
    }
    take_arg(call, first, n, path);
    mex_t *arg = call->m->args[0];
    if (!maybe_wrapped(call->op, n) || arg->constant) return;
    mex_t *element = arg->args[0];
    arg->args[0] = NULL;
    mex_destroy(&arg);
    call->m->args[0] = element;
    call->m->wrapped = true;
}

/* {get: [obj, {path, default}]} is {get: {obj, path, default}}. */
static bool take_get(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    if (call->op->run != mex_run_get || n->kind != YNODE_LIST || n->count != 2) return false;
    const ynode_t *options = n->items[1];
    if (options->kind != YNODE_MAP || is_call(options) || !yaml_get(options, "path")) return false;
    take_arg(call, (param_t){.index = 0}, n->items[0], YPATH_AT(path, 0));
    take_named(call, options, YPATH_AT(path, 1));
    return true;
}

static void take_params(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    if (is_named(call->op, n))
        take_named(call, n, path);
    else if (call->op->shape == SHAPE_ARGS && n->kind == YNODE_LIST && !take_get(call, n, path))
        take_positional(call, n, path);
    else if (call->op->shape != SHAPE_ARGS || n->kind != YNODE_LIST)
        take_one(call, n, path);
}

/* ---- the other shapes */

/* SHAPE_OPERANDS: a list of operands, or one expression that gives the list at run time (spread). */
static void take_operands(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    const mex_op_t *op = call->op;
    mex_t *m = call->m;
    if (n->kind != YNODE_LIST) {
        m->spread = true;
        m->argc = 1;
        m->args = xcalloc(1, sizeof(mex_t *));
        m->args[0] = compile_node(call->c, n, path, call->inner);
        return;
    }
    m->argc = (uint32_t)n->count;
    m->args = xcalloc(n->count ? n->count : 1, sizeof(mex_t *));
    for (size_t i = 0; i < n->count; i++)
        m->args[i] = compile_node(call->c, n->items[i], YPATH_AT(path, i), call->inner);
    if (n->count < op->min || (op->max != MEX_MANY && n->count > op->max))
        mex_complain(call->c, n, path, "%s takes %s%d operand%s, not %zu", op->name,
                     op->min == op->max ? "" : "at least ", op->min, op->min == 1 ? "" : "s", n->count);
}

/* var and ref: a name, or an expression that gives the name. */
static void take_var(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    if (n->kind == YNODE_LIST && n->count == 1) n = n->items[0];
    if (n->kind != YNODE_SCALAR || n->scalar.kind == VALUE_NULL) {
        call->m->argc = 1; /* a computed name */
        call->m->args = xcalloc(1, sizeof(mex_t *));
        call->m->args[0] = compile_node(call->c, n, path, call->inner);
        if (n->kind != YNODE_MAP)
            mex_complain(call->c, n, path, "%s: a name was expected, not %s", call->op->name,
                         yaml_kind_name(n));
        return;
    }
    str_t *name = text_of(n->scalar);
    template_t *t = template_compile(name->data, name->len);
    if (template_is_plain(t)) {
        dotted_init(&call->m->name, name->data, name->len);
    } else {
        call->m->argc = 1;
        call->m->args = xcalloc(1, sizeof(mex_t *));
        call->m->args[0] = compile_string(name->data, name->len);
    }
    template_destroy(&t);
    str_free(name);
}

static const ynode_t *first_of(const ynode_t *map, const char *a, const char *b) {
    const ynode_t *n = yaml_get(map, a);
    return n ? n : yaml_get(map, b);
}

static void take_when(mex_call_t *call, const ynode_t *arm, size_t i, const ypath_t *path) {
    const ynode_t *cond = yaml_get(arm, "cond"), *then = first_of(arm, "then", "value");
    if (!cond) mex_complain(call->c, arm, path, "case: each entry of `when` needs `cond`");
    call->m->args[2 * i] = compile_node(call->c, cond, YPATH_KEY(path, "cond"), LITERAL_WRONG);
    call->m->args[2 * i + 1] = compile_node(call->c, then, YPATH_KEY(path, "then"), call->inner);
}

/* The args of a case: cond, value, cond, value, ..., and the value of `else`. */
static void take_case(mex_call_t *call, const ynode_t *n, const ypath_t *path) {
    const ynode_t *when = yaml_get(n, "when");
    bool single = when && when->kind == YNODE_MAP;
    if (!when || (when->kind != YNODE_LIST && !single)) {
        mex_complain(call->c, n, path, "case needs `when`: a list of {cond, then}");
        return;
    }
    size_t arms = single ? 1 : when->count;
    const ypath_t *at = YPATH_KEY(path, "when");
    call->m->argc = (uint32_t)(2 * arms + 1);
    call->m->args = xcalloc(2 * arms + 1, sizeof(mex_t *));
    for (size_t i = 0; i < arms; i++)
        take_when(call, single ? when : when->items[i], i, single ? at : YPATH_AT(at, i));
    call->m->args[2 * arms] =
        compile_node(call->c, first_of(n, "else", "default"), YPATH_KEY(path, "else"), call->inner);
}

static strictness_t inner_of(const mex_op_t *op, strictness_t strict) {
    if (strict == LITERAL_FINE || op->logical) return strict;
    return LITERAL_OR_TYPO;
}

/* A call of an operator. Its `prepare` runs only when all operands are sound. */
static mex_t *compile_call(mex_compiler_t *c, const mex_op_t *op, const ynode_t *n, const ypath_t *path,
                           strictness_t strict) {
    bool params = op->shape == SHAPE_ONE || op->shape == SHAPE_UNWRAP || op->shape == SHAPE_ARGS;
    size_t before = c->failures;
    mex_call_t call = {.c = c, .op = op, .inner = inner_of(op, strict)};
    call.m = node_new(op->run, params ? op->max : 0);
    call.m->op = op;
    if (params) {
        take_params(&call, n, path);
        check_given(&call, n, path);
    } else if (op->shape == SHAPE_OPERANDS) {
        take_operands(&call, n, path);
    } else if (op->shape == SHAPE_NAME) {
        take_var(&call, n, path);
    } else if (op->shape == SHAPE_CASE) {
        take_case(&call, n, path);
    }
    if (op->prepare && c->failures == before) op->prepare(c, call.m, call.nodes, path);
    return call.m;
}

/* {get: ..., default: ...} */
static mex_t *compile_get_default(mex_compiler_t *c, const ynode_t *n, const ypath_t *path,
                                  strictness_t strict) {
    mex_t *m = compile_call(c, mex_find_op("get"), yaml_get(n, "get"), YPATH_KEY(path, "get"), strict);
    mex_destroy(&m->args[2]);
    m->args[2] = compile_node(c, yaml_get(n, "default"), YPATH_KEY(path, "default"),
                              strict ? LITERAL_OR_TYPO : LITERAL_FINE);
    return m;
}

/* ---- checks of single operators */

static void default_name(mex_t *m, int slot, const char *name) {
    if (!m->bound[slot]) m->bound[slot] = name_new(name, strlen(name));
}

void mex_prepare_lambda(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path) {
    (void)c, (void)nodes, (void)path;
    default_name(m, MEX_ELEMENT, "item");
    default_name(m, MEX_INDEX, "index");
    default_name(m, MEX_ACCUMULATOR, "accumulator");
}

void mex_prepare_let(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path) {
    if (!m->bound[MEX_ELEMENT]) mex_complain(c, nodes[0], path, "let needs `var`: the name to bind");
}

void mex_prepare_set(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path) {
    bool copy = m->args[1] || m->args[2];
    if (copy && !(m->args[1] && m->args[2]))
        mex_complain(c, nodes[0], path, "set with `in` or `path` needs both");
    if (!copy && !m->bound[MEX_ELEMENT])
        mex_complain(c, nodes[0], path, "set needs `var`, or `in` and `path`");
    if (copy) m->run = mex_run_set_in;
}

/* Sets *arg when the name of a placeholder is more than digits. */
static void note_name(void *arg, const char *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!isdigit((unsigned char)name[i])) *(bool *)arg = true;
}

/* The pattern when it is known at load; NULL when it is computed. "\d{3}" is known: {3} is a count, no
 * placeholder. */
static str_t *constant_pattern(const mex_t *pattern) {
    if (pattern->constant)
        return pattern->value.kind == VALUE_STRING ? str_ref(pattern->value.string) : text_of(pattern->value);
    bool computed = false;
    if (pattern->text) template_each_name(pattern->text, note_name, &computed);
    return pattern->text && !computed && !template_is_whole(pattern->text)
               ? str_ref(template_text(pattern->text))
               : NULL;
}

void mex_prepare_regex(mex_compiler_t *c, mex_t *m, const ynode_t *const *nodes, const ypath_t *path) {
    str_t *pattern = constant_pattern(m->args[1]);
    if (!pattern) return;
    err_t err;
    m->regex = regex_compile(pattern->data, pattern->len, 0, &err);
    str_free(pattern);
    if (!m->regex) mex_complain(c, nodes[1], YPATH_KEY(path, "pattern"), "%s", err.text);
}

/* ---- one node */

static const char *nearest_operator(mex_compiler_t *c, const char *name) {
    return diag_nearest(name, c->op_names, mex_table_count);
}

/* A map that is no call, where conditions are read. */
static void check_literal(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict) {
    if (strict == LITERAL_FINE || n->count == 0) return;
    if (n->count > 1) {
        if (strict == LITERAL_WRONG)
            mex_complain(c, n, path, "a condition is one operator, {name: operands}; this has %zu keys",
                         n->count);
        return;
    }
    const char *name = yaml_key(n, 0), *near = nearest_operator(c, name);
    if (near)
        mex_complain(c, n->keys[0], YPATH_KEY(path, name), "unknown operator \"%s\"; did you mean \"%s\"?",
                     name, near);
    else if (strict == LITERAL_WRONG)
        mex_complain(c, n->keys[0], YPATH_KEY(path, name), "unknown operator \"%s\"", name);
}

static mex_t *compile_map(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict) {
    if (is_call(n)) {
        if (n->count == 2) return compile_get_default(c, n, path, strict);
        const char *name = yaml_key(n, 0);
        return compile_call(c, mex_find_op(name), n->items[0], YPATH_KEY(path, name), strict);
    }
    check_literal(c, n, path, strict);
    return compile_object(c, n, path, strict);
}

static mex_t *compile_node(mex_compiler_t *c, const ynode_t *n, const ypath_t *path, strictness_t strict) {
    if (!n) return constant(value_null());
    if (n->kind == YNODE_SCALAR) return compile_scalar(n);
    if (c->depth == MEX_DEPTH_MAX) {
        mex_complain(c, n, path, "an expression nests deeper than %d", MEX_DEPTH_MAX);
        return constant(value_null());
    }
    c->depth++;
    mex_t *m = n->kind == YNODE_LIST ? compile_items(c, n, path, strict) : compile_map(c, n, path, strict);
    c->depth--;
    fold(c, m);
    return m;
}

/* ---- conditions written as JSON text */

static bool looks_like_json(const char *text, size_t len) {
    text_trim(&text, &len);
    if (len == 4 && (memcmp(text, "true", 4) == 0 || memcmp(text, "null", 4) == 0)) return true;
    if (len == 5 && memcmp(text, "false", 5) == 0) return true;
    if (len < 2 || (*text != '{' && *text != '[')) return false;
    size_t at = 1;
    while (at < len && isspace((unsigned char)text[at]))
        at++;
    return *text == '[' || text[at] == '"' || text[at] == '}';
}

/* The nodes of a condition that is JSON text, else the node itself. */
static const ynode_t *condition_node(mex_compiler_t *c, const ynode_t *n, const ypath_t *path) {
    if (!n || n->kind != YNODE_SCALAR || !yaml_is_string(n)) return n;
    size_t len;
    const char *text = yaml_text(n, &len);
    if (!looks_like_json(text, len)) return n;
    err_t err;
    const ynode_t *parsed = yaml_from_json(c->doc, text, len, n, &err);
    if (!parsed) mex_complain(c, n, path, "this condition looks like JSON but is not: %s", err.text);
    return parsed ? parsed : n;
}

static bool is_empty(const ynode_t *n) {
    size_t len;
    const char *text = n ? yaml_text(n, &len) : NULL;
    if (!n || n->kind == YNODE_MAP) return !n || n->count == 0;
    if (n->kind != YNODE_SCALAR) return false;
    if (!yaml_is_string(n)) return n->scalar.kind == VALUE_NULL;
    text_trim(&text, &len);
    return len == 0;
}

mex_t *mex_compile(ydoc_t *doc, const ynode_t *node, const ypath_t *path, mex_mode_t mode, diags_t *diags) {
    mex_compiler_t c = {.doc = doc, .diags = diags};
    assert(mex_table_count <= sizeof c.op_names / sizeof c.op_names[0]);
    for (size_t i = 0; i < mex_table_count; i++)
        c.op_names[i] = mex_table[i].name;
    bool condition = mode != MEX_VALUE;
    if (condition) node = condition_node(&c, node, path);
    if (mode == MEX_CONDITION && is_empty(node)) return c.failures ? NULL : constant(value_bool(true));
    mex_t *m = compile_node(&c, node, path, condition ? LITERAL_WRONG : LITERAL_FINE);
    if (c.failures) mex_destroy(&m);
    return m;
}
