/* pyinterp.c - see pyinterp.h.
 *
 * The idea: a host never sees our environment variables. It gets four of them and those that the pipeline
 * declares, so no API key and no setting of ours gets into user code. */
#include "core/python/pyinterp.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/base/buf.h"
#include "core/base/text.h"

extern char **environ;
const char PY_VENV_MARK[] = ".sdg-unfinished";
const char PY_STAMP_FILE[] = ".sdg-installed";

/* ---- interpreter and constraint ---- */

static bool is_operator(char c) { return c == '<' || c == '>' || c == '=' || c == '!' || c == '~'; }

/* Longer operators come first: ">=" is not ">" and "=". */
static int parse_operator(const char **at, py_constraint_t *c) {
    static const struct {
        const char *text;
        int op;
    } operators[] = {{">=", PY_GE},         {"<=", PY_LE}, {"==", PY_EQ}, {"!=", PY_NE},
                     {"~=", PY_COMPATIBLE}, {">", PY_GT},  {"<", PY_LT},  {"=", PY_EQ}};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t n = strlen(operators[i].text);
        if (strncmp(*at, operators[i].text, n) == 0) {
            c->op = operators[i].op;
            *at += n;
            return 0;
        }
    }
    return SDG_EINVAL;
}

static void skip_spaces(const char **at) {
    while (**at == ' ' || **at == '\t')
        (*at)++;
}

/* Reads "3", "3.8" or "3.8.2"; ".*" may follow. */
static int parse_version(const char **at, py_constraint_t *c) {
    skip_spaces(at);
    int n = 0;
    c->version[0] = c->version[1] = c->version[2] = -1;
    while (n < 3 && isdigit((unsigned char)**at)) {
        char *end;
        long part = strtol(*at, &end, 10);
        if (part > 9999) return SDG_EINVAL;
        c->version[n++] = (int)part;
        *at = end;
        if (**at != '.') break;
        (*at)++;
    }
    if (**at == '*') (*at)++;
    skip_spaces(at);
    return n > 0 ? 0 : SDG_EINVAL;
}

static int parse_constraints(const char *at, py_interp_t *interp) {
    for (skip_spaces(&at); *at != '\0'; skip_spaces(&at)) {
        if (interp->constraints == PY_CONSTRAINTS_MAX) return SDG_ELIMIT;
        py_constraint_t *c = &interp->constraint[interp->constraints++];
        if (parse_operator(&at, c) != 0 || parse_version(&at, c) != 0) return SDG_EINVAL;
        if (*at == ',')
            at++;
        else if (*at != '\0')
            return SDG_EINVAL;
    }
    return 0;
}

static bool is_bare_version(const char *text) {
    return text[0] != '\0' && strspn(text, "0123456789.") == strlen(text);
}

/* The program ends where the first operator begins. */
int py_interp_parse(const char *text, py_interp_t *interp, err_t *err) {
    memset(interp, 0, sizeof *interp);
    const char *rest = !text ? "" : text;
    char at_least[32];
    if (is_bare_version(rest) && strlen(rest) < 16) {
        snprintf(at_least, sizeof at_least, ">=%s", rest);
        rest = at_least;
    }
    skip_spaces(&rest);
    size_t n = 0;
    while (rest[n] != '\0' && !is_operator(rest[n]))
        n++;
    const char *constraints = rest + n;
    while (n > 0 && rest[n - 1] == ' ')
        n--;
    if (n >= sizeof interp->program)
        return err_set(err, SDG_EINVAL, "runtime.python.interpreter: the name is too long");
    memcpy(interp->program, rest, n);
    if (n == 0 || strcmp(interp->program, "python") == 0) strcpy(interp->program, "python3");
    if (parse_constraints(constraints, interp) != 0)
        return err_set(
            err, SDG_EINVAL,
            "runtime.python.interpreter: '%s' is not a program with a version like \"python>=3.8\"", text);
    return 0;
}

/* Compares as far as the constraint says: 3.11.2 against "3.11" is equal. */
static int compare(const int version[3], const int wanted[3]) {
    for (int i = 0; i < 3 && wanted[i] >= 0; i++)
        if (version[i] != wanted[i]) return version[i] < wanted[i] ? -1 : 1;
    return 0;
}

/* ~=3.8 is >=3.8 within 3; ~=3.8.2 is >=3.8.2 within 3.8. */
static bool compatible(const int version[3], const int wanted[3]) {
    if (version[0] != wanted[0] || (wanted[2] >= 0 && version[1] != wanted[1])) return false;
    return compare(version, wanted) >= 0;
}

static bool accepts(const py_constraint_t *c, const int version[3]) {
    int order = compare(version, c->version);
    switch (c->op) {
    case PY_GE: return order >= 0;
    case PY_GT: return order > 0;
    case PY_LE: return order <= 0;
    case PY_LT: return order < 0;
    case PY_EQ: return order == 0;
    case PY_NE: return order != 0;
    case PY_COMPATIBLE: return compatible(version, c->version);
    }
    return false;
}

bool py_interp_accepts(const py_interp_t *interp, const int version[3]) {
    for (int i = 0; i < interp->constraints; i++)
        if (!accepts(&interp->constraint[i], version)) return false;
    return true;
}

/* ---- files ---- */

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *py_absolute(const char *path) {
    char here[4096];
    if (path[0] == '/' || !getcwd(here, sizeof here)) return xstrdup(path);
    return xasprintf("%s/%s", here, path);
}

/* The absolute path of the file if it can be executed, else NULL. */
static char *usable_program(char *take) {
    char *found = is_program(take) ? py_absolute(take) : NULL;
    free(take);
    return found;
}

char *py_find_program(const char *program) {
    if (strchr(program, '/')) return usable_program(xstrdup(program));
    const char *path = getenv("PATH");
    if (!path || path[0] == '\0') path = "/usr/local/bin:/usr/bin:/bin";
    while (true) {
        size_t n = strcspn(path, ":");
        char *found = usable_program(xasprintf("%.*s/%s", n == 0 ? 1 : (int)n, n == 0 ? "." : path, program));
        if (found) return found;
        if (path[n] == '\0') return NULL;
        path += n + 1;
    }
}

char *py_venv_python(const char *venv) {
    char *mark = xasprintf("%s/%s", venv, PY_VENV_MARK);
    char *python = xasprintf("%s/bin/python", venv);
    bool usable = is_program(python) && access(mark, F_OK) != 0;
    free(mark);
    if (usable) return python;
    free(python);
    return NULL;
}

/* ---- what was installed ---- */

/* Appends the file's bytes, up to what `out` takes; nothing when it cannot be read. */
static void add_file(buf_t *out, const char *path) {
    char block[4096];
    FILE *f = fopen(path, "rb");
    for (size_t n; f && (n = fread(block, 1, sizeof block, f)) > 0;)
        buf_add(out, block, n);
    if (f) fclose(f);
}

/* The file of requirements that an argument of pip names; NULL: it names none. */
static const char *requirements_file(const char *text) {
    static const char option[] = "--requirement=";
    if (strncmp(text, option, sizeof option - 1) == 0) return text + sizeof option - 1;
    size_t len = strlen(text);
    return len > 4 && strcmp(text + len - 4, ".txt") == 0 ? text : NULL;
}

static void add_texts(buf_t *out, value_t texts) {
    for (size_t i = 0; texts.kind == VALUE_LIST && i < list_count(texts); i++) {
        str_t *text = text_of(list_peek(texts, i));
        const char *file = requirements_file(text->data);
        buf_add(out, text->data, text->len + 1); /* a NUL ends each */
        if (file) add_file(out, file);
        str_free(text);
    }
    buf_addc(out, '\n');
}

void py_stamp(value_t requirements, value_t pre_install, value_t post_install, char out[PY_STAMP_BYTES]) {
    buf_t all;
    buf_init(&all, PY_REQUIREMENTS_BYTES_MAX);
    add_texts(&all, requirements);
    add_texts(&all, pre_install);
    add_texts(&all, post_install);
    XXH128_hash_t h = XXH3_128bits(all.data, all.len);
    snprintf(out, PY_STAMP_BYTES, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    buf_free(&all);
}

bool py_stamp_matches(const char *venv, const char *stamp) {
    char *path = xasprintf("%s/%s", venv, PY_STAMP_FILE);
    buf_t found;
    buf_init(&found, PY_STAMP_BYTES);
    add_file(&found, path);
    free(path);
    bool same = found.len >= PY_STAMP_BYTES - 1 && memcmp(found.data, stamp, PY_STAMP_BYTES - 1) == 0;
    buf_free(&found);
    return same;
}

/* ---- environment variables ---- */

typedef struct env_list {
    char **items; /* "NAME=value", owned */
    size_t count;
} env_list_t;

/* Sets or replaces a variable. A value ends at its first NUL. */
static void put(env_list_t *list, const char *name, const char *value) {
    size_t n = strlen(name);
    char *item = xasprintf("%s=%s", name, value);
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], name, n) == 0 && list->items[i][n] == '=') {
            free(list->items[i]);
            list->items[i] = item;
            return;
        }
    }
    list->items = xrealloc(list->items, (list->count + 2) * sizeof *list->items);
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

static void put_ours(env_list_t *list, const char *name, const char *otherwise) {
    const char *value = getenv(name);
    if (value && value[0] != '\0')
        put(list, name, value);
    else if (otherwise)
        put(list, name, otherwise);
}

static void put_venv(env_list_t *list, const char *venv) {
    const char *path = getenv("PATH");
    char *joined = xasprintf("%s/bin:%s", venv, path ? path : "/usr/bin:/bin");
    put(list, "PATH", joined);
    put(list, "VIRTUAL_ENV", venv);
    free(joined);
}

static bool pip_needs(const char *item) {
    static const char *const names[] = {
        "PIP_",       "http_proxy=",    "https_proxy=",  "no_proxy=",
        "all_proxy=", "HTTP_PROXY=",    "HTTPS_PROXY=",  "NO_PROXY=",
        "ALL_PROXY=", "SSL_CERT_FILE=", "SSL_CERT_DIR=", "REQUESTS_CA_BUNDLE="};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(item, names[i], strlen(names[i])) == 0) return true;
    return false;
}

static void put_pip(env_list_t *list) {
    for (char **item = environ; *item; item++) {
        const char *equals = strchr(*item, '=');
        if (!equals || !pip_needs(*item)) continue;
        char *name = xstrndup(*item, (size_t)(equals - *item));
        put(list, name, equals + 1);
        free(name);
    }
}

/* What the pipeline declares comes last, so it wins. */
char **py_environ(const char *venv, value_t declared, bool installing) {
    env_list_t list = {0};
    put_ours(&list, "PATH", "/usr/local/bin:/usr/bin:/bin");
    put_ours(&list, "HOME", NULL);
    put_ours(&list, "LANG", "C.UTF-8");
    put_ours(&list, "TMPDIR", NULL);
    if (venv) put_venv(&list, venv);
    if (installing) put_pip(&list);
    size_t n = declared.kind == VALUE_OBJECT ? object_count(declared) : 0;
    for (size_t i = 0; i < n; i++) {
        str_t *text = text_of(object_value_peek(declared, i));
        put(&list, object_key_peek(declared, i)->data, text->data);
        str_free(text);
    }
    return list.items;
}

void py_environ_free(char **list) {
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

/* ---- folders ---- */

static void put_folder(env_list_t *list, char *take) {
    list->items = xrealloc(list->items, (list->count + 2) * sizeof *list->items);
    list->items[list->count++] = take;
    list->items[list->count] = NULL;
}

/* The last part of a path is cut off. False: nothing would be left. */
static bool cut_name(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) return false;
    *slash = '\0';
    return true;
}

/* The root, and folders where people have more than programs. */
static bool is_wide(const char *folder) {
    static const char *const wide[] = {"/",    "/home", "/root", "/etc", "/tmp",
                                       "/var", "/opt",  "/srv",  "/mnt", "/media"};
    const char *home = getenv("HOME");
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (strcmp(folder, wide[i]) == 0) return true;
    return folder[0] == '\0' || (home && strcmp(folder, home) == 0);
}

/* /opt/py/bin/python3 is installed in /opt/py. */
static void put_installation(env_list_t *list, const char *program) {
    char *folder = xstrdup(program);
    if (cut_name(folder)) {
        char *above = xstrdup(folder);
        put_folder(list, xstrdup(cut_name(above) && !is_wide(above) ? above : folder));
        free(above);
    }
    free(folder);
}

static bool is_module(const char *folder, const char *name) {
    size_t len = strlen(name);
    if (len > 3 && strcmp(name + len - 3, ".py") == 0) return true;
    char *init = xasprintf("%s/%s/__init__.py", folder, name);
    bool package = access(init, F_OK) == 0;
    free(init);
    return package;
}

/* The modules and packages that lie in a folder. */
static void put_modules(env_list_t *list, const char *folder) {
    DIR *d = opendir(folder);
    unsigned count = 0;
    for (const struct dirent *e; d && count < PY_MODULES_MAX && (e = readdir(d));) {
        if (e->d_name[0] == '.' || !is_module(folder, e->d_name)) continue;
        put_folder(list, xasprintf("%s/%s", folder, e->d_name));
        count++;
    }
    if (d) closedir(d);
}

char **py_interp_folders(const char *program, const char *venv, const char *const *code, const char *here) {
    env_list_t list = {0};
    const char *home = getenv("HOME");
    char *real = realpath(program, NULL);
    put_installation(&list, program);
    if (real) put_installation(&list, real);
    free(real);
    if (venv) put_folder(&list, xstrdup(venv));
    if (home && home[0] == '/') put_folder(&list, xasprintf("%s/.local/lib", home));
    for (; code && *code; code++) {
        if (is_wide(*code))
            put_modules(&list, *code);
        else
            put_folder(&list, xstrdup(*code));
    }
    if (here) put_modules(&list, here);
    return list.items;
}
