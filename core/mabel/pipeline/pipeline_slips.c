/* pipeline_slips.c - slips of the pen that are valid YAML: a {placeholder} without quotes, the {{ name }} and
 * {% if %} of Jinja, a comparison with `yes` or `on`, numbers such as 12:30 and 0123, and texts such as 1e-3.
 *
 * The first is looked for in the whole file, because YAML reads it as a map with a null wherever it stands;
 * Jinja only in texts that go to a model or into the result, because code and expressions have braces of
 * their own. A place that has a message already gets no second one. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/mabel/pipeline/limits.h"

#include <string.h>

/* ---- placeholders without quotes */

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || (unsigned char)c >= 0x80;
}

/* Is this {name}, with nothing behind the name? */
static bool is_bare(const ynode_t *n) {
    if (n->kind != YNODE_MAP || !n->brackets || n->count != 1 || n->keys[0]->quoted) return false;
    const ynode_t *value = n->items[0];
    if (value->kind != YNODE_SCALAR || !value->plain || value->plain[0]) return false;
    const char *key = yaml_key(n, 0);
    while (is_name_byte(*key))
        key++;
    return *key == '\0' && key > yaml_key(n, 0);
}

static bool is_said(const load_t *l, const ynode_t *n) {
    for (size_t i = 0; i < l->diags->count; i++)
        if (l->diags->items[i].line == n->line && l->diags->items[i].col == n->col) return true;
    return false;
}

/* Maps whose keys are names that the file declares: {name} alone declares one there. */
static bool declares(const char *key) { return strcmp(key, "vars") == 0 || strcmp(key, "const") == 0; }

static void bare_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    if (is_bare(n) && !(path && path->key && declares(path->key)) && !is_said(l, n)) {
        const char *name = yaml_key(n, 0);
        complain(l, DIAG_WARNING, n, path, "found a map with a null; put a {placeholder} in quotes: \"{%s}\"",
                 name);
    }
}

/* ---- Jinja */

/* What stands between "{{" and "}}" when it is what Jinja would take: a name, perhaps with filters behind it.
 */
static bool is_jinja_name(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '-'))
        at++;
    if (at == end || !is_name_byte(*at) || (*at >= '0' && *at <= '9')) return false;
    while (at < end && (is_name_byte(*at) || *at == '[' || *at == ']'))
        at++;
    while (at < end && *at == ' ')
        at++;
    return at == end || *at == '|';
}

/* "\frac{{x}}{{y}}" is LaTeX. */
static bool follows_command(const char *text, const char *at) {
    if (at > text && (at[-1] == '}' || at[-1] == '^')) return true;
    while (at > text && ((at[-1] >= 'a' && at[-1] <= 'z') || (at[-1] >= 'A' && at[-1] <= 'Z')))
        at--;
    return at > text && at[-1] == '\\';
}

static void jinja_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    const char *text = yaml_text(n, NULL), *at = text;
    if (!text || is_said(l, n)) return;
    const char *tag = strstr(text, "{%");
    if (tag && strstr(tag, "%}")) {
        complain(l, DIAG_WARNING, n, path,
                 "{%% ... %%} of Jinja stays as written: write {name} for a value, and a logic block or "
                 "run_if for "
                 "a condition");
        return;
    }
    while ((at = strstr(at, "{{"))) {
        size_t reach = strnlen(at, JINJA_BYTES_MAX);
        const char *end = memmem(at, reach, "}}", 2);
        if (end && !follows_command(text, at) && is_jinja_name(at + 2, end)) {
            const char *name = at + 2 + strspn(at + 2, " -");
            int len = (int)strcspn(name, " |}");
            complain(l, DIAG_WARNING, n, path,
                     "a placeholder has single braces: write {%.*s}, not {{ %.*s }}", len > 80 ? 80 : len,
                     name, len > 80 ? 80 : len, name);
            return;
        }
        at += 2;
    }
}

/* Do the texts below this key go to a model or into the result? `section` is the first key of the path. */
static bool has_prose(const char *section, const char *key) {
    static const char *const keys[] = {"system_prompt", "prompts", "content", "final", "reason"};
    if (strcmp(section, "templates") == 0) return strcmp(key, "text") == 0;
    for (size_t i = 0; strcmp(section, "blocks") == 0 && i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

/* ---- comparisons */

/* {eq: ["{Flag}", on]} compares a text with true. Who means the boolean writes true. */
static void comparison_check(load_t *l, const ynode_t *n, const ypath_t *path) {
    static const char *const names[] = {"eq", "ne", "equals", "not_equals", "contains"};
    const ynode_t *list = n->kind == YNODE_MAP && n->count == 1 ? n->items[0] : NULL;
    if (!list || list->kind != YNODE_LIST || list->count != 2) return;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        for (size_t i = 0; strcmp(names[k], yaml_key(n, 0)) == 0 && i < 2; i++)
            name_check_word(l->diags, list->items[i], YPATH_AT(YPATH_KEY(path, names[k]), i));
}

/* ---- numbers that are texts */

/* The text 1e-3 counts as a number wherever one is computed with; as a constant, a variable or a result it
 * stays a text. */
static void exponent_check(load_t *l, const ynode_t *n, const ypath_t *path, const char *section) {
    bool value = strcmp(section, "globals") == 0 || (path && path->key && strcmp(path->key, "value") == 0);
    const char *text = yaml_text(n, NULL);
    if (value && text && strpbrk(text, "eE") && !is_said(l, n)) params_number_check(l, n, path);
}

/* ---- the walk, at most YAML_DEPTH_MAX deep */

static void walk(load_t *l, const ynode_t *n, const ypath_t *path, const char *section, bool prose) {
    if (n->kind == YNODE_SCALAR) {
        if (prose) jinja_check(l, n, path);
        if (n->plain && !is_said(l, n)) name_check_number(l->diags, n, path);
        exponent_check(l, n, path, section);
        return;
    }
    bare_check(l, n, path);
    comparison_check(l, n, path);
    for (size_t i = 0; i < n->count; i++) {
        const char *key = n->kind == YNODE_MAP ? yaml_key(n, i) : NULL;
        walk(l, n->items[i], key ? YPATH_KEY(path, key) : YPATH_AT(path, i),
             path  ? section
             : key ? key
                   : "",
             prose || (path && key && has_prose(section, key)));
    }
}

void slips_check(load_t *l) { walk(l, l->root, NULL, "", false); }
