/* pipeline_python.c - runtime.python, functions.python and python blocks.
 *
 * Code comes from the block itself, or, when it has none, from the entry of functions.python that its
 * `function` names. The environment (interpreter, venv, network) is shared by all blocks except those that
 * override it; py_envs[0] is the shared one. A setting that an override does not mention is that of the
 * shared one, but a venv of its own starts without requirements and setup. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/buf.h"
#include "core/base/grow.h"
#include "core/mabel/pipeline/limits.h"

#include <stdlib.h>
#include <string.h>

static const key_rule_t PYTHON_RULES[] = {
    {"function", WANT_TEXT, false},      {"entrypoint", WANT_TEXT, false},
    {"function_code", WANT_TEXT, false}, {"code", WANT_TEXT, false},
    {"code_path", WANT_TEXT, false},     {"inputs", WANT_ANY, false},
    {"outputs", WANT_TEXTS, false},      {"timeout_ms", WANT_NUMBER, false},
    {"use_env", WANT_TEXT, false},       {"override_env", WANT_MAP, false},
    {"ctx_access", WANT_TEXTS, false},   {"venv_path", WANT_TEXT, false},
};
static const keyset_t PYTHON_KEYS = KEYSET("a python block", PYTHON_RULES, &BLOCK_KEYS);

static const key_rule_t ENTRY_RULES[] = {
    {"name", WANT_NAME, true},      {"function_code", WANT_TEXT, false}, {"code", WANT_TEXT, false},
    {"body", WANT_TEXT, false},     {"code_path", WANT_TEXT, false},     {"entrypoint", WANT_TEXT, false},
    {"function", WANT_TEXT, false}, {"args", WANT_TEXTS, false},         {"returns", WANT_TEXTS, false},
    {"inputs", WANT_ANY, false},    {"outputs", WANT_TEXTS, false},      {"description", WANT_ANY, false},
    {"comment", WANT_ANY, false},
};
static const keyset_t ENTRY_KEYS = KEYSET("a function", ENTRY_RULES, NULL);

static const key_rule_t ENV_RULES[] = {
    {"interpreter", WANT_TEXT, false},   {"venv", WANT_TEXT, false},
    {"requirements", WANT_TEXTS, false}, {"requirements_file", WANT_TEXT, false},
    {"allow_network", WANT_BOOL, false}, {"env", WANT_MAP, false},
    {"setup", WANT_MAP, false},          {"limits", WANT_MAP, false},
};
static const keyset_t ENV_KEYS = KEYSET("a python environment", ENV_RULES, NULL);

static const key_rule_t SETUP_RULES[] = {{"pre_install", WANT_TEXTS, false},
                                         {"post_install", WANT_TEXTS, false}};
static const keyset_t SETUP_KEYS = KEYSET("setup", SETUP_RULES, NULL);

static const key_rule_t LIMITS_RULES[] = {{"memory_mb", WANT_NUMBER, false},
                                          {"processes", WANT_NUMBER, false},
                                          {"file_size_mb", WANT_NUMBER, false},
                                          {"open_files", WANT_NUMBER, false}};
static const keyset_t LIMITS_KEYS = KEYSET("limits", LIMITS_RULES, NULL);

static const key_rule_t RUNTIME_RULES[] = {{"python", WANT_MAP, false}};
static const keyset_t RUNTIME_KEYS = KEYSET("runtime", RUNTIME_RULES, NULL);

/* ---- environments */

static py_env_spec_t env_copy(const py_env_spec_t *e) {
    return (py_env_spec_t){.interpreter = e->interpreter ? xstrdup(e->interpreter) : NULL,
                           .venv = e->venv ? xstrdup(e->venv) : NULL,
                           .requirements = value_ref(e->requirements),
                           .env = value_ref(e->env),
                           .pre_install = value_ref(e->pre_install),
                           .post_install = value_ref(e->post_install),
                           .allow_network = e->allow_network,
                           .limits = e->limits};
}

void py_env_free(py_env_spec_t *e) {
    free(e->interpreter);
    free(e->venv);
    value_clear(&e->requirements);
    value_clear(&e->env);
    value_clear(&e->pre_install);
    value_clear(&e->post_install);
}

/* A venv that exists is found like any file (pipeline_resolve); another path stays as written. */
static char *venv_place(const pipeline_t *p, char *take_written) {
    char *found = take_written ? pipeline_resolve(p, take_written) : NULL;
    if (!found) return take_written;
    free(take_written);
    return found;
}

/* No package is called so. */
static bool names_file(const str_t *text) {
    return text->len > 4 && strcmp(text->data + text->len - 4, ".txt") == 0 && text->data[0] != '-';
}

/* Packages, and a requirements file as one more argument of pip. Requirements that are given replace those of
 * *out. */
static void requirements_read(load_t *l, const ynode_t *n, const ypath_t *path, value_t *out) {
    str_t **texts;
    size_t count = field_texts(l, n, path, "requirements", &texts);
    char *file = field_chars(n, "requirements_file");
    if (count || file) value_replace(out, value_list(count + 1));
    for (size_t i = 0; i < count; i++) {
        list_push(out, value_from_str(str_ref(texts[i])));
        if (names_file(texts[i]))
            complain(l, DIAG_WARNING, field(n, "requirements"), YPATH_KEY(path, "requirements"),
                     "'%s' is taken for a package; for a file write requirements_file: %s", texts[i]->data,
                     texts[i]->data);
    }
    texts_free(texts, count);
    char *place = file ? pipeline_resolve(l->p, file) : NULL;
    if (place) {
        char *line = xasprintf("--requirement=%s", place);
        list_push(out, value_text(line));
        free(line);
    } else if (file) {
        complain(l, DIAG_ERROR, field(n, "requirements_file"), YPATH_KEY(path, "requirements_file"),
                 "no file '%s'", file);
    }
    free(place);
    free(file);
}

static void env_vars_read(load_t *l, const ynode_t *n, const ypath_t *path, value_t *env) {
    const ynode_t *map = field(n, "env");
    if (!map || map->kind != YNODE_MAP) return;
    if (env->kind != VALUE_OBJECT) value_replace(env, value_object(map->count));
    for (size_t i = 0; i < map->count; i++) {
        str_t *text = scalar_text(map->items[i]);
        if (!text && map->items[i]->kind != YNODE_SCALAR)
            complain(l, DIAG_ERROR, map->items[i], YPATH_KEY(YPATH_KEY(path, "env"), yaml_key(map, i)),
                     "expected text, found %s", yaml_kind_name(map->items[i]));
        object_set(env, map->keys[i]->scalar.string, text ? value_from_str(text) : value_text(""));
    }
}

/* One list of commands; commands that are given replace those of *out. */
static void commands_read(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, value_t *out) {
    str_t **texts;
    if (!field(n, key)) return;
    size_t count = field_texts(l, n, path, key, &texts);
    value_replace(out, count ? value_list(count) : value_null());
    for (size_t i = 0; i < count; i++)
        list_push(out, value_from_str(str_ref(texts[i])));
    texts_free(texts, count);
}

static void setup_read(load_t *l, const ynode_t *n, const ypath_t *path, py_env_spec_t *env) {
    const ynode_t *setup = field(n, "setup");
    const ypath_t *at = YPATH_KEY(path, "setup");
    if (!setup || setup->kind != YNODE_MAP || !keys_check(l, setup, at, &SETUP_KEYS)) return;
    commands_read(l, setup, at, "pre_install", &env->pre_install);
    commands_read(l, setup, at, "post_install", &env->post_install);
}

/* 0 means none; below `least` nothing would run. */
static void limit_read(load_t *l, const ynode_t *n, const ypath_t *path, const char *key, uint64_t least,
                       uint64_t most, uint64_t *out) {
    *out = field_count(l, n, path, key, 0, most, *out);
    if (*out > 0 && *out < least)
        complain(l, DIAG_ERROR, field(n, key), YPATH_KEY(path, key),
                 "expected 0 (no limit) or a whole number from %llu to %llu", (unsigned long long)least,
                 (unsigned long long)most);
}

static void limits_read(load_t *l, const ynode_t *n, const ypath_t *path, py_limits_spec_t *out) {
    const ynode_t *limits = field(n, "limits");
    const ypath_t *at = YPATH_KEY(path, "limits");
    if (!limits || limits->kind != YNODE_MAP || !keys_check(l, limits, at, &LIMITS_KEYS)) return;
    limit_read(l, limits, at, "memory_mb", PYTHON_MEMORY_MB_MIN, PYTHON_MB_MAX, &out->memory_mb);
    limit_read(l, limits, at, "processes", 1, PYTHON_PROCESSES_MAX, &out->processes);
    limit_read(l, limits, at, "file_size_mb", 1, PYTHON_MB_MAX, &out->file_size_mb);
    limit_read(l, limits, at, "open_files", PYTHON_OPEN_FILES_MIN, PYTHON_OPEN_FILES_MAX, &out->open_files);
}

/* Changes *env by the settings that are given. */
static void env_read(load_t *l, const ynode_t *n, const ypath_t *path, py_env_spec_t *env) {
    if (!n || !keys_check(l, n, path, &ENV_KEYS)) return;
    char *interpreter = field_chars(n, "interpreter"), *venv = field_chars(n, "venv");
    if (interpreter) {
        free(env->interpreter);
        env->interpreter = interpreter;
    }
    if (venv) {
        free(env->venv);
        env->venv = venv_place(l->p, venv);
        value_clear(&env->requirements);
        value_clear(&env->pre_install);
        value_clear(&env->post_install);
    }
    requirements_read(l, n, path, &env->requirements);
    env_vars_read(l, n, path, &env->env);
    env->allow_network = field_bool(n, "allow_network", env->allow_network);
    setup_read(l, n, path, env);
    limits_read(l, n, path, &env->limits);
}

void python_runtime_load(load_t *l) {
    l->python_env.limits = (py_limits_spec_t){PYTHON_LIMIT_UNSAID, PYTHON_LIMIT_UNSAID, PYTHON_LIMIT_UNSAID,
                                              PYTHON_LIMIT_UNSAID};
    const ynode_t *runtime = field(l->root, "runtime");
    const ynode_t *functions = field(field(l->root, "functions"), "python");
    const ypath_t *path = YPATH_KEY(YPATH_KEY(NULL, "functions"), "python");
    if (runtime && runtime->kind == YNODE_MAP) {
        keys_check(l, runtime, YPATH_KEY(NULL, "runtime"), &RUNTIME_KEYS);
        const ynode_t *python = field(runtime, "python");
        if (python && python->kind == YNODE_MAP)
            env_read(l, python, YPATH_KEY(YPATH_KEY(NULL, "runtime"), "python"), &l->python_env);
    }
    l->python_functions = functions;
    for (size_t i = 0; i < list_length(functions); i++)
        keys_check(l, functions->items[i], YPATH_AT(path, i), &ENTRY_KEYS);
}

static uint32_t env_add(pipeline_t *p, py_env_spec_t take) {
    GROW_BY_ONE(p->py_envs, p->py_env_count);
    p->py_envs[p->py_env_count] = take;
    return (uint32_t)p->py_env_count++;
}

/* The block's environment: the shared one, or one of its own. */
static uint32_t env_choose(load_t *l, const ynode_t *n, const ypath_t *path) {
    static const char *const uses[] = {"global", "override"};
    const ynode_t *own = field(n, "override_env");
    bool override = field_choice(l, n, path, "use_env", uses, 2, 0) == 1;
    char *venv = field_chars(n, "venv_path");
    if (l->p->py_env_count == 0) env_add(l->p, env_copy(&l->python_env));
    if (own && !override)
        complain(l, DIAG_WARNING, own, YPATH_KEY(path, "override_env"),
                 "'override_env' has no effect without 'use_env: override'");
    if (!override && !venv) return 0;
    py_env_spec_t env = env_copy(&l->p->py_envs[0]);
    if (venv) {
        free(env.venv);
        env.venv = venv_place(l->p, venv);
    }
    if (override && own && own->kind == YNODE_MAP) env_read(l, own, YPATH_KEY(path, "override_env"), &env);
    return env_add(l->p, env);
}

/* ---- code */

static const ynode_t *entry_named(const load_t *l, const ynode_t *block, const char *key) {
    str_t *wanted = field_text(block, key);
    const ynode_t *found = NULL;
    for (size_t i = 0; wanted && !found && i < list_length(l->python_functions); i++) {
        str_t *name = field_text(l->python_functions->items[i], "name");
        if (name && str_equal(name, wanted)) found = l->python_functions->items[i];
        str_free(name);
    }
    str_free(wanted);
    return found;
}

/* True when Python source has "def <name>(" at the start of a line. */
static bool defines(const char *code, const char *name) {
    size_t len = strlen(name);
    for (const char *line = code; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "async ", 6) == 0) line += 6;
        if (strncmp(line, "def ", 4) != 0) continue;
        const char *at = line + 4 + strspn(line + 4, " \t");
        if (strncmp(at, name, len) == 0 && strchr("( \t", at[len])) return true;
    }
    return false;
}

static void code_path_read(load_t *l, const ynode_t *n, const ypath_t *path, const block_t *b,
                           python_block_t *py) {
    char *written = field_chars(n, "code_path");
    if (!written) return;
    py->code_path = pipeline_resolve(l->p, written);
    if (!py->code_path) {
        bool optional = b->on_error == ON_ERROR_CONTINUE;
        complain(l, optional ? DIAG_WARNING : DIAG_ERROR, field(n, "code_path"), YPATH_KEY(path, "code_path"),
                 "no file '%s', neither from the working directory nor from the folder of this file",
                 written);
        py->code_path = xstrdup(written);
    }
    free(written);
}

static void code_read(load_t *l, const ynode_t *n, const ypath_t *path, const block_t *b,
                      python_block_t *py) {
    static const char *const keys[] = {"function_code", "code", "body"};
    for (size_t i = 0; i < 3 && !py->code; i++)
        py->code = field_chars(n, keys[i]);
    if (!py->code) code_path_read(l, n, path, b, py);
}

/* The function to call in an entry of functions.python: what the entry says, else its own name if the code
 * defines it, else main. */
static str_t *entry_function(const ynode_t *entry, const python_block_t *py) {
    str_t *said = field_text(entry, "entrypoint");
    if (!said) said = field_text(entry, "function");
    if (said) return said;
    str_t *name = field_text(entry, "name");
    if (!py->code || (name && defines(py->code, name->data))) return name;
    str_free(name);
    return str_new("main", 4);
}

static void code_missing(load_t *l, const ynode_t *n, const ypath_t *path, const char *function) {
    size_t count = list_length(l->python_functions);
    const char **names = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = yaml_text(field(l->python_functions->items[i], "name"), NULL);
    complain(l, DIAG_ERROR, n, path,
             "a python block needs 'function_code', 'code_path', or a 'function' of functions.python%s%s%s%s",
             function ? "; there is no '" : "", function ? function : "", function ? "'" : "",
             function ? meant(function, names, count).text : "");
    free(names);
}

/* Fills code and entrypoint; returns the entry of functions.python that supplied them, or NULL. */
static const ynode_t *function_read(load_t *l, const ynode_t *n, const ypath_t *path, const block_t *b,
                                    python_block_t *py) {
    const ypath_t *functions = YPATH_KEY(YPATH_KEY(NULL, "functions"), "python");
    str_t *named = field_text(n, "entrypoint");
    if (!named) named = field_text(n, "function");
    code_read(l, n, path, b, py);
    if (py->code || py->code_path) {
        py->entrypoint = named ? named : str_new("main", 4);
        return NULL;
    }
    const ynode_t *entry = entry_named(l, n, "entrypoint");
    if (!entry) entry = entry_named(l, n, "function");
    if (entry) code_read(l, entry, functions, b, py);
    if (!py->code && !py->code_path) code_missing(l, n, path, named ? named->data : NULL);
    py->entrypoint = entry ? entry_function(entry, py) : NULL;
    if (!py->entrypoint) py->entrypoint = named ? str_ref(named) : str_new("main", 4);
    str_free(named);
    return entry;
}

/* ---- inputs and outputs */

/* An item of an inputs list: a name of the context, or anything in a value position. */
static void input_value_read(load_t *l, const ynode_t *n, const ypath_t *path, bool by_name, py_input_t *in) {
    size_t len;
    const char *text = yaml_text(n, &len);
    if (!text) {
        if (n->kind == YNODE_SCALAR)
            in->literal = value_ref(n->scalar);
        else
            in->mex = mex_compile(l->doc, n, path, MEX_VALUE, l->diags);
        return;
    }
    template_t *t = template_compile(text, len);
    if (by_name && template_is_plain(t)) {
        in->context_name = str_new(text, len);
        template_destroy(&t);
        return;
    }
    in->tpl = t;
}

static void inputs_read(load_t *l, const ynode_t *inputs, const ypath_t *path, python_block_t *py) {
    if (!inputs) return;
    bool map = inputs->kind == YNODE_MAP, list = inputs->kind == YNODE_LIST;
    size_t count = map || list ? inputs->count : 1;
    py->positional = !map;
    py->inputs = xcalloc(count + 1, sizeof *py->inputs);
    for (size_t i = 0; i < count; i++) {
        py_input_t *in = &py->inputs[py->input_count++];
        const ynode_t *item = map || list ? inputs->items[i] : inputs;
        if (map) in->param = str_ref(inputs->keys[i]->scalar.string);
        if (list) name_check_word(l->diags, item, YPATH_AT(path, i)); /* names, mostly */
        input_value_read(l, item, map ? YPATH_KEY(path, yaml_key(inputs, i)) : YPATH_AT(path, i), !map, in);
    }
}

/* Names, as text or {name: ..}. */
static void outputs_read(load_t *l, const ynode_t *outputs, const ypath_t *path, python_block_t *py) {
    if (!outputs) return;
    size_t count = outputs->kind == YNODE_LIST ? outputs->count : 1;
    py->outputs = xcalloc(count + 1, sizeof *py->outputs);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *item = outputs->kind == YNODE_LIST ? outputs->items[i] : outputs;
        const ynode_t *at = item->kind == YNODE_MAP ? field(item, "name") : item;
        str_t *name = scalar_text(at);
        name_check_output(l->diags, at, YPATH_AT(path, i));
        if (name)
            py->outputs[py->output_count++] = name;
        else
            complain(l, DIAG_ERROR, item, YPATH_AT(path, i), "expected the name of an output, found %s",
                     yaml_kind_name(item));
    }
}

/* What the code may do through ctx; an unknown word is a warning and is passed on. */
static void ctx_access_read(load_t *l, const ynode_t *n, const ypath_t *path, python_block_t *py) {
    static const char *const known[] = {"get",       "set",        "emit",       "log",         "call_ai",
                                        "vars.read", "vars.write", "files.read", "files.write", "net"};
    enum { KNOWN = sizeof known / sizeof known[0] };
    str_t **words;
    size_t count = field_texts(l, n, path, "ctx_access", &words);
    if (field(n, "ctx_access")) py->ctx_access = value_list(count);
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < KNOWN && strcmp(known[k], words[i]->data) != 0)
            k++;
        if (k == KNOWN)
            complain(l, DIAG_WARNING, field(n, "ctx_access"), YPATH_AT(YPATH_KEY(path, "ctx_access"), i),
                     "unknown access '%s'%s", words[i]->data, meant(words[i]->data, known, KNOWN).text);
        list_push(&py->ctx_access, value_from_str(str_ref(words[i])));
    }
    texts_free(words, count);
}

/* The block's own field, else the first of two fields of the entry it runs. */
static const ynode_t *own_or_entry(const ynode_t *n, const ynode_t *entry, const char *key,
                                   const char *entry_key) {
    if (field(n, key)) return field(n, key);
    return field(entry, key) ? field(entry, key) : field(entry, entry_key);
}

/* Inputs and outputs that the block does not name are those of its entry in functions.python. */
void python_block_load(load_t *l, const ynode_t *n, const ypath_t *path, block_t *b) {
    python_block_t *py = &b->python;
    if (!l->source->accept_python) {
        complain(l, DIAG_ERROR, n, path, "python blocks are not supported here");
        return;
    }
    keys_check(l, n, path, &PYTHON_KEYS);
    const ynode_t *entry = function_read(l, n, path, b, py);
    inputs_read(l, own_or_entry(n, entry, "inputs", "args"), YPATH_KEY(path, "inputs"), py);
    outputs_read(l, own_or_entry(n, entry, "outputs", "returns"), YPATH_KEY(path, "outputs"), py);
    py->timeout_ms = (uint32_t)field_count(l, n, path, "timeout_ms", 0, UINT32_MAX, 0);
    ctx_access_read(l, n, path, py);
    py->env = env_choose(l, n, path);
    py->v1 = l->p->major == 1;
}

void python_block_free(python_block_t *py) {
    str_free(py->entrypoint);
    free(py->code);
    free(py->code_path);
    for (size_t i = 0; i < py->input_count; i++) {
        py_input_t *in = &py->inputs[i];
        str_free(in->param);
        str_free(in->context_name);
        template_destroy(&in->tpl);
        value_free(in->literal);
        mex_destroy(&in->mex);
    }
    free(py->inputs);
    texts_free(py->outputs, py->output_count);
    value_free(py->ctx_access);
}
