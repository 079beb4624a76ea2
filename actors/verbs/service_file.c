/* service_file.c - see service_file.h.
 *
 * Three readers look at the bytes, each for what it knows: the YAML reader of core/mabel finds what is no
 * YAML and knows the place of every key; libcyaml compares keys and types with the schema; the row of a key
 * compares the value with its bounds. All problems are told in one form, with the line they are in. */
#include "actors/verbs/service_file.h"

#include <assert.h>
#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/verbs/flags.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/prepare.h"
#include "core/mabel/yaml/yaml.h"

/* ---- keys, from the table of flags */

/* "memory.limit" is the key `limit` in the section `memory`; a key without a dot is in none, "". */
typedef struct service_key {
    const flag_row_t *row; /* the first row that has the key; others agree with it in kind and bounds */
    char section[SERVICE_NAME_BYTES_MAX];
    const char *name;
} service_key_t;

typedef struct service_keys {
    service_key_t list[SERVICE_KEYS_MAX];
    size_t count;
} service_keys_t;

static bool has_key(const service_keys_t *keys, const char *key) {
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->list[i].row->key, key) == 0) return true;
    }
    return false;
}

static void collect_keys(service_keys_t *keys) {
    keys->count = 0;
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        if (!row->key || has_key(keys, row->key)) continue;
        const char *dot = strchr(row->key, '.');
        assert(keys->count < SERVICE_KEYS_MAX && (!dot || dot - row->key < SERVICE_NAME_BYTES_MAX));
        service_key_t *key = &keys->list[keys->count++];
        *key = (service_key_t){.row = row, .name = dot ? dot + 1 : row->key};
        if (dot) memcpy(key->section, row->key, (size_t)(dot - row->key));
    }
}

/* Names that may stand in a section; in "" also those of the sections. */
static size_t names_in(const service_keys_t *keys, const char *section, const char **names) {
    size_t n = 0;
    for (size_t i = 0; i < keys->count; i++) {
        const service_key_t *key = &keys->list[i];
        bool opens = !*section && key->section[0];
        for (size_t j = 0; opens && j < i; j++) {
            opens = strcmp(keys->list[j].section, key->section) != 0;
        }
        if (opens) names[n++] = key->section;
        if (strcmp(key->section, section) == 0) names[n++] = key->name;
    }
    return n;
}

/* ---- the schema of libcyaml */

/* Where libcyaml puts the value of each key: NULL when the file does not have it. */
typedef struct values {
    void *of[SERVICE_KEYS_MAX];
} values_t;

/* fields[0] are the keys of the file, fields[1..] those of its sections. */
typedef struct schema {
    cyaml_schema_field_t fields[SERVICE_KEYS_MAX + 1][SERVICE_KEYS_MAX + 1];
    cyaml_schema_value_t root;
} schema_t;

static const cyaml_strval_t truths[] = {{"true", 1}, {"false", 0}, {"yes", 1},
                                        {"no", 0},   {"on", 1},    {"off", 0}};

/* How libcyaml reads the value of this row: switches as such, everything else as text, which the row reads as
 * its flag does. Numbers, too: libcyaml (1.3) takes 1.5 and 1_000 for 1, and 010 for 8. */
static cyaml_schema_value_t type_of(const flag_row_t *row) {
    enum cyaml_flag flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT;
    if (row->kind == FLAG_SWITCH)
        return (cyaml_schema_value_t){
            .type = CYAML_ENUM,
            .flags = flags | CYAML_FLAG_CASE_INSENSITIVE, /* YAML knows true, True and TRUE */
            .data_size = sizeof(int),
            .enumeration = {.strings = truths, .count = sizeof truths / sizeof *truths}};
    return (cyaml_schema_value_t){.type = CYAML_STRING,
                                  .flags = flags,
                                  .data_size = 1,
                                  .string = {.min = 1, .max = SERVICE_FILE_BYTES_MAX}};
}

/* Fills a zeroed schema. Every field of every section has its place in one values_t: a section is a mapping
 * onto the same struct. */
static void make_schema(const service_keys_t *keys, schema_t *schema) {
    const char *names[SERVICE_KEYS_MAX];
    size_t n = names_in(keys, "", names), sections = 0;
    schema->root = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                          .flags = CYAML_FLAG_POINTER,
                                          .data_size = sizeof(values_t),
                                          .mapping = {.fields = schema->fields[0]}};
    for (size_t i = 0; i < n; i++) {
        cyaml_schema_field_t *top = &schema->fields[0][i], *inside = schema->fields[sections + 1];
        size_t filled = 0;
        for (size_t k = 0; k < keys->count; k++) {
            const service_key_t *key = &keys->list[k];
            cyaml_schema_field_t field = {
                .key = key->name, .data_offset = (uint32_t)(k * sizeof(void *)), .value = type_of(key->row)};
            if (!key->section[0] && key->name == names[i]) *top = field;
            if (strcmp(key->section, names[i]) == 0) inside[filled++] = field;
        }
        if (!filled) continue;
        sections++;
        *top = (cyaml_schema_field_t){.key = names[i],
                                      .value = {.type = CYAML_MAPPING,
                                                .flags = CYAML_FLAG_OPTIONAL,
                                                .data_size = sizeof(values_t),
                                                .mapping = {.fields = inside}}};
    }
}

/* ---- what libcyaml says */

/* libcyaml's log of a failed load: the reason, then where, from the inside to the outside. */
typedef struct complaint {
    char reason[SERVICE_COMPLAINT_BYTES_MAX];
    unsigned line, col;                          /* of the innermost place; 0: not told */
    char fields[2][SERVICE_COMPLAINT_BYTES_MAX]; /* innermost first */
    size_t depth;
} complaint_t;

static void listen_to_cyaml(cyaml_log_t level, void *context, const char *format, va_list args) {
    complaint_t *c = context;
    char text[SERVICE_COMPLAINT_BYTES_MAX];
    (void)level;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *place = strstr(text, "(line: "), *field = strstr(text, "in mapping field '");
    if (!place && !c->reason[0] && strncmp(text, "Load: ", 6) == 0) strcpy(c->reason, text + 6);
    if (place && !c->line) sscanf(place, "(line: %u, column: %u)", &c->line, &c->col);
    if (!place || !field || c->depth == 2) return;
    field += strlen("in mapping field '");
    snprintf(c->fields[c->depth++], SERVICE_COMPLAINT_BYTES_MAX, "%.*s", (int)(strrchr(text, '\'') - field),
             field);
}

static const char *type_words(const flag_row_t *row) {
    return row->kind == FLAG_NUMBER     ? "a whole number"
           : row->kind == FLAG_SWITCH   ? "true or false"
           : row->kind == FLAG_SIZE     ? "a size such as 256M or 2G"
           : row->kind == FLAG_DURATION ? "a time such as 90s or 24h"
                                        : "text";
}

static const service_key_t *find_key(const service_keys_t *keys, const char *section, const char *name) {
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->list[i].section, section) == 0 && strcmp(keys->list[i].name, name) == 0)
            return &keys->list[i];
    }
    return NULL;
}

static void list_names(const char *const *names, size_t n, buf_t *out) {
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%s", i ? ", " : "", names[i]);
    }
}

/* What stands in this section; "" is the whole file. NULL: the file has no such section. */
static const ynode_t *section_in(const ydoc_t *doc, const char *section) {
    return *section ? yaml_get(yaml_root(doc), section) : yaml_root(doc);
}

/* An unknown key: the nearest one, or all that may stand there. Its place comes from the document, because
 * libcyaml (1.3) tells that of what stands before the key. */
static void explain_unknown(const service_keys_t *keys, const complaint_t *c, const char *unknown,
                            const ydoc_t *doc, diags_t *problems) {
    const char *section = c->depth ? c->fields[0] : "", *names[SERVICE_KEYS_MAX];
    const ynode_t *at = yaml_get_key(section_in(doc, section), unknown);
    uint32_t line = at ? at->line : c->line, col = at ? at->col : c->col;
    size_t n = names_in(keys, section, names);
    const char *nearest = diag_nearest(unknown, names, n);
    const ypath_t *up = c->depth ? YPATH_KEY(NULL, section) : NULL;
    buf_t list;
    buf_init(&list, ERR_TEXT_MAX);
    list_names(names, n, &list);
    if (nearest)
        diag_add(problems, DIAG_ERROR, line, col, YPATH_KEY(up, unknown),
                 "there is no such key, did you mean '%s'?", nearest);
    else
        diag_add(problems, DIAG_ERROR, line, col, YPATH_KEY(up, unknown),
                 "there is no such key; expected one of %s", list.data);
    buf_free(&list);
}

/* What stands where something else was expected, from libcyaml's reason; NULL: the reason does not say it. */
static const char *given_words(const char *reason) {
    const char *value = strstr(reason, " value: ");
    return strstr(reason, "got event: SEQUENCE")  ? "a list"
           : strstr(reason, "got event: MAPPING") ? "a map"
           : strstr(reason, "got event: SCALAR")  ? "a single value"
           : value                                ? value + strlen(" value: ")
                                                  : NULL;
}

static bool is_empty(const ydoc_t *doc, const char *section, const char *name) {
    const ynode_t *value = yaml_get(section_in(doc, section), name);
    return value && value->kind == YNODE_SCALAR && value->scalar.kind == VALUE_NULL;
}

/* Says in plain words what libcyaml found: an unknown key, or a value of another type. */
static void explain(const service_keys_t *keys, const complaint_t *c, cyaml_err_t rc, const ydoc_t *doc,
                    diags_t *problems) {
    static const char unknown[] = "Unexpected key: ";
    if (strncmp(c->reason, unknown, sizeof unknown - 1) == 0) {
        explain_unknown(keys, c, c->reason + sizeof unknown - 1, doc, problems);
        return;
    }
    const char *section = c->depth == 2 ? c->fields[1] : "", *name = c->depth ? c->fields[0] : "";
    const service_key_t *key = find_key(keys, section, name);
    const ypath_t *up = *section ? YPATH_KEY(NULL, section) : NULL;
    const ypath_t *path = *name ? YPATH_KEY(up, name) : NULL;
    const char *given = is_empty(doc, section, name) ? "an empty value" : given_words(c->reason);
    uint32_t line = c->line ? c->line : 1, col = c->line ? c->col : 1;
    const char *names[SERVICE_KEYS_MAX];
    buf_t list;
    buf_init(&list, ERR_TEXT_MAX);
    list_names(names, names_in(keys, name, names), &list);
    if (rc == CYAML_ERR_ALIAS)
        diag_add(problems, DIAG_ERROR, line, col, path, "aliases (*name) are not taken here");
    else if (key)
        diag_add(problems, DIAG_ERROR, line, col, path, "expected %s%s%s", type_words(key->row),
                 given ? ", not " : "", given ? given : "");
    else if (list.len)
        diag_add(problems, DIAG_ERROR, line, col, path, "expected a map with keys of %s%s%s", list.data,
                 given ? ", not " : "", given ? given : "");
    else
        diag_add(problems, DIAG_ERROR, line, col, path, "%s%s%s", cyaml_strerror(rc),
                 c->reason[0] ? ": " : "", c->reason);
    buf_free(&list);
}

/* ---- a file */

struct service_file {
    service_keys_t keys;
    /* By key: its value as a flag's value is written; owned; NULL: not there. */
    char *texts[SERVICE_KEYS_MAX];
};

static char *text_of_value(const flag_row_t *row, const void *value) {
    if (!value) return NULL;
    if (row->kind == FLAG_SWITCH) return xstrdup(*(const int *)value ? "true" : "false");
    return xstrdup(value);
}

/* A key that is given twice is an error here, at its second place. The YAML reader has warned of it, and
 * warns of nothing else. False: there was one. */
static bool refuse_twice(diags_t *problems) {
    size_t warned = problems->count;
    for (size_t i = 0; i < warned; i++) {
        const diag_t *d = &problems->items[i];
        if (d->level != DIAG_WARNING) continue;
        char *path = xstrdup(d->path); /* a full table gives the warning's place to the error */
        diag_add(problems, DIAG_ERROR, d->line, d->col, YPATH_KEY(NULL, path), "is given twice");
        free(path);
    }
    return problems->errors == 0;
}

/* Reads types and structure with libcyaml and fills file->texts. False: `problems` say what is wrong. `doc`
 * is the same file, as the YAML reader has it. */
static bool load_with_cyaml(service_file_t *file, const char *bytes, size_t len, const ydoc_t *doc,
                            diags_t *problems) {
    complaint_t complaint = {0};
    const cyaml_config_t config = {.log_fn = listen_to_cyaml,
                                   .log_ctx = &complaint,
                                   .log_level = CYAML_LOG_ERROR,
                                   .mem_fn = cyaml_mem,
                                   .flags = CYAML_CFG_NO_ALIAS};
    schema_t *schema = xcalloc(1, sizeof *schema);
    values_t *values = NULL;
    make_schema(&file->keys, schema);
    cyaml_err_t rc =
        cyaml_load_data((const uint8_t *)bytes, len, &config, &schema->root, (void **)&values, NULL);
    if (rc != CYAML_OK) explain(&file->keys, &complaint, rc, doc, problems);
    for (size_t i = 0; values && i < file->keys.count; i++) {
        file->texts[i] = text_of_value(file->keys.list[i].row, values->of[i]);
    }
    if (values) cyaml_free(&config, &schema->root, values, 0);
    free(schema);
    return rc == CYAML_OK;
}

static void check_bounds(const service_file_t *file, const ydoc_t *doc, diags_t *problems) {
    for (size_t i = 0; i < file->keys.count; i++) {
        const service_key_t *key = &file->keys.list[i];
        err_t err;
        if (!file->texts[i] || flag_set(key->row, NULL, file->texts[i], &err) == SDG_OK) continue;
        const ynode_t *at = yaml_get(section_in(doc, key->section), key->name);
        const ypath_t *up = key->section[0] ? YPATH_KEY(NULL, key->section) : NULL;
        diag_add(problems, DIAG_ERROR, at ? at->line : 0, at ? at->col : 0, YPATH_KEY(up, key->name), "%s",
                 err.text);
    }
}

service_file_t *service_file_parse(const char *bytes, size_t len, diags_t *problems) {
    if (len > SERVICE_FILE_BYTES_MAX) {
        diag_add(problems, DIAG_ERROR, 0, 0, NULL, "larger than %zu bytes", SERVICE_FILE_BYTES_MAX);
        return NULL;
    }
    service_file_t *file = xcalloc(1, sizeof *file);
    collect_keys(&file->keys);
    ydoc_t *doc = yaml_parse(bytes, len, &(yaml_options_t){0}, problems);
    if (doc && !problems->errors && refuse_twice(problems) &&
        load_with_cyaml(file, bytes, len, doc, problems))
        check_bounds(file, doc, problems);
    yaml_doc_free(&doc);
    if (problems->errors) service_file_close(&file);
    return file;
}

void service_file_close(service_file_t **file) {
    if (!*file) return;
    for (size_t i = 0; i < (*file)->keys.count; i++) {
        free((*file)->texts[i]);
    }
    free(*file);
    *file = NULL;
}

const char *service_file_text(const service_file_t *file, const char *key) {
    for (size_t i = 0; i < file->keys.count; i++) {
        if (strcmp(file->keys.list[i].row->key, key) == 0) return file->texts[i];
    }
    return NULL;
}

/* Reads and parses a file. NULL: `err` is set when the file cannot be read, otherwise `problems` say what is
 * wrong. `bytes` stay with the caller, because problems show lines of them. */
static service_file_t *read_file(const char *path, buf_t *bytes, diags_t *problems, err_t *err) {
    buf_init(bytes, SERVICE_FILE_BYTES_MAX);
    bool readable = prepare_read_file(path, bytes, err) == SDG_OK;
    diags_init(problems, path, bytes->data, bytes->len);
    return readable ? service_file_parse(bytes->data, bytes->len, problems) : NULL;
}

static const diag_t *first_error(const diags_t *problems) {
    const diag_t *first = NULL;
    for (size_t i = 0; i < problems->count; i++) {
        const diag_t *d = &problems->items[i];
        bool earlier = !first || d->line < first->line || (d->line == first->line && d->col < first->col);
        if (d->level == DIAG_ERROR && earlier) first = d;
    }
    return first;
}

service_file_t *service_file_open(const char *path, err_t *err) {
    diags_t problems;
    buf_t bytes;
    service_file_t *file = read_file(path, &bytes, &problems, err);
    const diag_t *first = first_error(&problems);
    if (first)
        err_set(err, SDG_EINVAL, "%s:%u:%u: %s%s%s (sdg config --check %s shows it)", path, first->line,
                first->col, first->path, first->path[0] ? ": " : "", first->message, path);
    diags_free(&problems);
    buf_free(&bytes);
    return file;
}

bool service_file_check(const char *path, buf_t *out) {
    diags_t problems;
    buf_t bytes;
    err_t err = {0};
    service_file_t *file = read_file(path, &bytes, &problems, &err);
    bool fine = file != NULL;
    if (err.code) buf_addf(out, "%s\n", err.text);
    diags_write(&problems, DIAG_ERROR, out);
    service_file_close(&file);
    diags_free(&problems);
    buf_free(&bytes);
    return fine;
}

/* ---- the example */

/* "run, worker": whose flag the key is. */
static void list_takers(const char *key, buf_t *out) {
    bool some = false;
    for (size_t v = 0; v < verb_count; v++) {
        bool takes = false;
        for (size_t i = 0; i < flag_count; i++) {
            bool same = flag_rows[i].key && strcmp(flag_rows[i].key, key) == 0;
            takes = takes || (same && (flag_rows[i].verbs & verb_rows[v].verb & SERVICE_VERBS));
        }
        if (takes) buf_addf(out, "%s%s", some ? ", " : "", verb_rows[v].name);
        some = some || takes;
    }
}

static void example_key(const service_key_t *key, bool japanese, buf_t *out) {
    const flag_row_t *row = key->row;
    const char *indent = key->section[0] ? "  " : "";
    buf_addf(out, "%s# %s (", indent, japanese ? row->japanese : row->english);
    list_takers(row->key, out);
    buf_addf(out, ")\n%s%s%s: %s\n", row->sample_is_default ? "" : "#", indent, key->name, row->sample);
}

static bool has_default(const service_keys_t *keys, const char *section) {
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->list[i].section, section) == 0 && keys->list[i].row->sample_is_default) return true;
    }
    return false;
}

/* A key or a section of the file, by its name there. */
static void example_part(const service_keys_t *keys, const char *name, bool japanese, buf_t *out) {
    const service_key_t *alone = find_key(keys, "", name);
    buf_addc(out, '\n');
    if (alone)
        example_key(alone, japanese, out);
    else
        buf_addf(out, "%s%s:\n", has_default(keys, name) ? "" : "#", name);
    for (size_t i = 0; !alone && i < keys->count; i++) {
        if (strcmp(keys->list[i].section, name) == 0) example_key(&keys->list[i], japanese, out);
    }
}

/* One section after the other; a key without a default is commented out. */
void service_file_example(bool japanese, buf_t *out) {
    const char *names[SERVICE_KEYS_MAX];
    service_keys_t keys;
    collect_keys(&keys);
    size_t n = names_in(&keys, "", names);
    buf_adds(out,
             japanese
                 ? "# `sdg serve`、`sdg worker`、`sdg run` の --config FILE が読む設定ファイルの例。\n"
                   "# 値は既定値。行頭が # の設定は既定値がなく、# を消すと有効になります。\n"
                   "# コマンドラインのフラグはこのファイルより優先されます。括弧内はそのキーを使う"
                   "コマンド。\n"
                 : "# An example of a service file, read by --config FILE of `sdg serve`, `sdg worker` and "
                   "`sdg run`.\n"
                   "# The values are the defaults; a setting behind a # has none: remove the # to set it.\n"
                   "# Flags of the command line win over this file. In brackets: the commands that take a "
                   "key.\n");
    for (size_t i = 0; i < n; i++) {
        example_part(&keys, names[i], japanese, out);
    }
}
