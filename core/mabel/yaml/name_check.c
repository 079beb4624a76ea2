/* name_check.c - see name_check.h. */
#include "core/mabel/yaml/name_check.h"

#include "core/base/result_line.h"
#include "core/base/text.h"

#include <stdio.h>
#include <string.h>

/* What YAML made of a plain scalar: "true", "null", "750". */
static void write_value(const ynode_t *n, char *out, size_t size) {
    if (n->scalar.kind == VALUE_NULL) {
        snprintf(out, size, "null");
    } else if (n->scalar.kind == VALUE_BOOL) {
        snprintf(out, size, "%s", n->scalar.boolean ? "true" : "false");
    } else {
        str_t *text = text_of(n->scalar);
        snprintf(out, size, "%.80s", text->data);
        str_free(text);
    }
}

static void complain(diags_t *diags, diag_level_t level, const ynode_t *n, const ypath_t *path) {
    char value[96];
    const char *kind = yaml_kind_name(n);
    write_value(n, value, sizeof value);
    if (n->plain && strcmp(n->plain, value) != 0)
        diag_add(diags, level, n->line, n->col, path,
                 "expected text, found %s: YAML 1.1 reads %.80s as %s; put it in quotes, \"%.80s\"", kind,
                 n->plain, value, n->plain);
    else
        diag_add(diags, level, n->line, n->col, path, "expected text, found %s; put it in quotes, \"%s\"",
                 kind, value);
}

bool name_check_text(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    if (!n || n->kind != YNODE_SCALAR || n->scalar.kind == VALUE_STRING) return true;
    if (n->scalar.kind == VALUE_NULL && (!n->plain || !n->plain[0])) return true;
    complain(diags, DIAG_ERROR, n, path);
    return false;
}

bool name_check_output(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    const char *text = yaml_text(n, NULL);
    if (!text) return name_check_text(diags, n, path);
    if (strcmp(text, RESULT_LINE_ROW) != 0 && strcmp(text, RESULT_LINE_ERROR) != 0) return true;
    diag_add(diags, DIAG_ERROR, n->line, n->col, path,
             "'%s' is a name of sdg itself in each result row: choose another one", text);
    return false;
}

void name_check_warn(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    complain(diags, DIAG_WARNING, n, path);
}

void name_check_word(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    bool word = n->plain && n->scalar.kind == VALUE_BOOL && !strchr("tTfF", n->plain[0]);
    bool sixties = n->plain && strchr(n->plain, ':');
    if (word || sixties) complain(diags, DIAG_WARNING, n, path);
}

void name_check_number(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    char value[96];
    if (!n->plain || (n->scalar.kind != VALUE_INT && n->scalar.kind != VALUE_REAL)) return;
    const char *digits = n->plain + (n->plain[0] == '-' || n->plain[0] == '+');
    bool octal = n->scalar.kind == VALUE_INT && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    if (!octal && !strchr(n->plain, ':')) return;
    write_value(n, value, sizeof value);
    if (strcmp(value, n->plain) != 0)
        diag_add(diags, DIAG_WARNING, n->line, n->col, path,
                 "YAML 1.1 reads %.80s as %s; for the text put it in quotes, \"%.80s\"", n->plain, value,
                 n->plain);
}

void name_check_change(diags_t *diags, const ynode_t *n, const ypath_t *path) {
    if (!n || n->kind != YNODE_SCALAR || !n->plain || !n->plain[0]) return;
    str_t *text = text_of(n->scalar);
    if (strcmp(text->data, n->plain) != 0) complain(diags, DIAG_WARNING, n, path);
    str_free(text);
}
