/* pipeline.c - loading a pipeline: the order of the sections, the file's head, and what is left when it is
 * done.
 *
 * Every section is read even after errors in others, so that all problems of a file are reported together;
 * whether there is a pipeline is decided at the end. The YAML document does not outlive loading: what is
 * compiled owns what it needs.
 */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/text.h"
#include "core/mabel/pipeline/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static const key_rule_t TOP_RULES[] = {
    {"mabel", WANT_MAP, false},       {"runtime", WANT_MAP, false},      {"budgets", WANT_MAP, false},
    {"models", WANT_LIST, false},     {"globals", WANT_MAP, false},      {"functions", WANT_MAP, false},
    {"templates", WANT_LIST, false},  {"files", WANT_LIST, false},       {"images", WANT_LIST, false},
    {"blocks", WANT_LIST, false},     {"connections", WANT_LIST, false}, {"optimization", WANT_ANY, false},
    {"description", WANT_ANY, false}, {"comment", WANT_ANY, false},
};
static const keyset_t TOP_KEYS = KEYSET("a pipeline", TOP_RULES, NULL);

static const key_rule_t MABEL_RULES[] = {{"version", WANT_TEXT, false},    {"dialect", WANT_TEXT, false},
                                         {"id", WANT_TEXT, false},         {"name", WANT_TEXT, false},
                                         {"description", WANT_ANY, false}, {"author", WANT_ANY, false}};
static const keyset_t MABEL_KEYS = KEYSET("mabel", MABEL_RULES, NULL);

static const key_rule_t GLOBALS_RULES[] = {{"const", WANT_MAP, false}, {"vars", WANT_MAP, false}};
static const keyset_t GLOBALS_KEYS = KEYSET("globals", GLOBALS_RULES, NULL);

static const key_rule_t FUNCTIONS_RULES[] = {{"logic", WANT_LIST, false}, {"python", WANT_LIST, false}};
static const keyset_t FUNCTIONS_KEYS = KEYSET("functions", FUNCTIONS_RULES, NULL);

/* ---- the head of the file */

static int major_of(load_t *l, const ynode_t *n, const ypath_t *path) {
    str_t *version = field_text(n, "version");
    int major = 1;
    if (version && strcmp(version->data, "2") == 0)
        major = 2;
    else if (version && strncmp(version->data, "2.", 2) == 0)
        major = 2;
    else if (version && strcmp(version->data, "1") != 0 && strncmp(version->data, "1.", 2) != 0)
        complain(l, DIAG_ERROR, field(n, "version"), YPATH_KEY(path, "version"),
                 "unknown version '%s', expected 1.0, 2.0 or 2.1", version->data);
    str_free(version);
    return major;
}

static void head_load(load_t *l) {
    pipeline_t *p = l->p;
    const ynode_t *n = field(l->root, "mabel");
    const ypath_t *path = YPATH_KEY(NULL, "mabel");
    p->major = 1;
    if (n && n->kind == YNODE_MAP) {
        keys_check(l, n, path, &MABEL_KEYS);
        p->major = major_of(l, n, path);
        p->name = field_text(n, "name");
        if (!p->name) p->name = field_text(n, "id");
    }
    if (!p->name) p->name = str_new("", 0);
}

static value_t object_of(const ynode_t *n) {
    return n && n->kind == YNODE_MAP ? yaml_value(n) : value_object(0);
}

/* A name that is both constant and variable gets a warning; the lookup order decides (scope.h). */
static void globals_load(load_t *l) {
    pipeline_t *p = l->p;
    const ynode_t *n = field(l->root, "globals");
    const ypath_t *path = YPATH_KEY(NULL, "globals");
    if (n && n->kind == YNODE_MAP) keys_check(l, n, path, &GLOBALS_KEYS);
    p->consts = object_of(field(n, "const"));
    p->vars = object_of(field(n, "vars"));
    for (size_t i = 0; i < object_count(p->consts); i++) {
        bool found;
        str_t *name = object_key_peek(p->consts, i);
        object_get_str_peek(p->vars, name, &found);
        if (found)
            complain(l, DIAG_WARNING, field(n, "const"), YPATH_KEY(path, "const"),
                     "'%s' is both in const and in vars", name->data);
    }
}

static void budgets_load(load_t *l) {
    budget_t base = {.loop_iters_max = LOOP_ITERS_DEFAULT,
                     .loop_exceed = EXCEED_ERROR,
                     .recursion_depth_max = RECURSION_DEPTH_DEFAULT,
                     .recursion_exceed = EXCEED_ERROR};
    l->p->budget = budget_read(l, field(l->root, "budgets"), YPATH_KEY(NULL, "budgets"), base);
}

/* ---- sections in the order of a file */

static void blocks_section_load(load_t *l) {
    const ynode_t *blocks = field(l->root, "blocks");
    const ypath_t *path = YPATH_KEY(NULL, "blocks");
    if (!blocks) complain(l, DIAG_ERROR, l->root, NULL, "a pipeline needs 'blocks': a list");
    if (blocks && blocks->kind == YNODE_LIST && blocks->count == 0)
        complain(l, DIAG_ERROR, blocks, path, "no blocks: nothing to run");
    blocks_load(l, blocks && blocks->kind == YNODE_LIST ? blocks : NULL);
}

/* Warns of variables that are not set, except in keys and addresses, which have been reported already. */
static void missing_env_warn(load_t *l) {
    const ynode_t *const *nodes;
    size_t count = yaml_missing_env(l->doc, &nodes);
    for (size_t i = 0; i < count; i++) {
        bool judged = false;
        for (size_t k = 0; k < l->judged_count && !judged; k++)
            judged = l->judged[k] == nodes[i];
        if (!judged)
            complain(l, DIAG_WARNING, nodes[i], NULL,
                     "the environment variable '%s' is not set: replaced by nothing", nodes[i]->missing_env);
    }
}

/* Reads the sections. The environment and the functions come before the blocks that use them. */
static void sections_load(load_t *l) {
    if (!keys_check(l, l->root, NULL, &TOP_KEYS)) return;
    const ynode_t *functions = field(l->root, "functions");
    head_load(l);
    budgets_load(l);
    models_load(l, field(l->root, "models"));
    globals_load(l);
    if (functions && functions->kind == YNODE_MAP)
        keys_check(l, functions, YPATH_KEY(NULL, "functions"), &FUNCTIONS_KEYS);
    python_runtime_load(l);
    assets_load(l);
    blocks_section_load(l);
    connections_load(l);
    missing_env_warn(l);
    slips_check(l);
}

/* ---- loading and freeing */

static const char *process_env(void *arg, const char *name) {
    (void)arg;
    return getenv(name);
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

uint64_t pipeline_digest(const char *bytes, size_t len) { return XXH3_64bits(bytes, len); }

pipeline_t *pipeline_load(const pipeline_source_t *source, diags_t *diags) {
    static const yaml_options_t with_env = {.env = process_env};
    size_t errors_before = diags->errors;
    load_t l = {.source = source, .diags = diags};
    l.doc = yaml_parse(source->bytes, source->len, source->use_env ? &with_env : NULL, diags);
    if (!l.doc) return NULL;
    l.root = yaml_root(l.doc);
    l.p = xcalloc(1, sizeof *l.p);
    l.keys_said = value_object(1);
    l.p->path = xstrdup(source->path);
    l.p->base_dir = source->folder ? xstrdup(source->folder) : folder_of(source->path);
    l.p->digest = pipeline_digest(source->bytes, source->len);
    sections_load(&l);
    if (diags->errors == errors_before) usage_check(&l);
    if (diags->errors != errors_before) pipeline_destroy(&l.p);
    yaml_doc_free(&l.doc);
    py_env_free(&l.python_env);
    free(l.judged);
    value_free(l.keys_said);
    return l.p;
}

void pipeline_destroy(pipeline_t **pipeline) {
    if (!pipeline || !*pipeline) return;
    pipeline_t *p = *pipeline;
    *pipeline = NULL;
    blocks_free(p);
    assets_free(p);
    models_free(p);
    for (size_t i = 0; i < p->py_env_count; i++)
        py_env_free(&p->py_envs[i]);
    free(p->py_envs);
    value_free(p->consts);
    value_free(p->vars);
    str_free(p->name);
    free(p->path);
    free(p->base_dir);
    free(p);
}

/* ---- for a running row */

char *pipeline_resolve(const pipeline_t *p, const char *relative) {
    if (!relative[0]) return NULL;
    if (access(relative, F_OK) == 0) return xstrdup(relative);
    if (relative[0] == '/') return NULL;
    char *beside = xasprintf("%s/%s", p->base_dir, relative);
    if (access(beside, F_OK) == 0) return beside;
    free(beside);
    return NULL;
}

size_t pipeline_stops(const pipeline_t *p, uint32_t *stops, size_t max) {
    size_t slow = 0; /* blocks so far that wait for an LLM or for Python */
    for (size_t i = 0; i < p->block_count; i++) {
        if (p->blocks[i].type != BLOCK_AI && p->blocks[i].type != BLOCK_PYTHON) continue;
        if (slow > 0 && slow <= max) stops[slow - 1] = (uint32_t)i;
        slow++;
    }
    return slow ? slow - 1 : 0;
}
