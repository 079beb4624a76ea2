/* trace.c - the trace is a list of objects made by core/mabel/row/row_trace.c: this file only lays them out.
 * Keys it does not know are shown as they are, so a newer row machine needs no change here. */
#include "actors/verbs/trace.h"

#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

static value_t field(value_t object, const char *key) {
    return object_get_peek(object, key, strlen(key), NULL);
}

/* Text with each line indented; other values as JSON. */
static void print_value(value_t v) {
    buf_t out;
    buf_init(&out, (size_t)256 << 20);
    if (v.kind == VALUE_STRING)
        buf_add(&out, v.string->data, v.string->len);
    else
        json_write(&out, v, JSON_PYTHON);
    fputs("      ", stdout);
    for (size_t i = 0; i < out.len; i++) {
        putchar(out.data[i]);
        if (out.data[i] == '\n' && i + 1 < out.len) fputs("      ", stdout);
    }
    if (out.len == 0 || out.data[out.len - 1] != '\n') putchar('\n');
    buf_free(&out);
}

static void print_head(size_t number, value_t step) {
    value_t block = field(step, "block"), type = field(step, "type"), ms = field(step, "ms");
    printf("\n[%zu] %s (%s)", number, block.kind == VALUE_STRING ? block.string->data : "?",
           type.kind == VALUE_STRING ? type.string->data : "?");
    if (ms.kind == VALUE_REAL) printf("  %.1f ms", ms.real);
    if (ms.kind == VALUE_INT) printf("  %lld ms", (long long)ms.integer);
    putchar('\n');
}

static bool in_head(const char *key) {
    return strcmp(key, "block") == 0 || strcmp(key, "type") == 0 || strcmp(key, "ms") == 0 ||
           strcmp(key, "exec") == 0;
}

static void print_step(size_t number, value_t step) {
    print_head(number, step);
    for (size_t i = 0; step.kind == VALUE_OBJECT && i < object_count(step); i++) {
        const char *key = object_key_peek(step, i)->data;
        if (in_head(key)) continue;
        printf("    %s:\n", key);
        print_value(object_value_peek(step, i));
    }
}

static void print_result(value_t row, bool meta, bool japanese) {
    printf("\n%s\n", japanese ? "結果:" : "result:");
    for (size_t i = 0; i < object_count(row); i++) {
        const char *key = object_key_peek(row, i)->data;
        if (strcmp(key, "_trace") == 0 || (key[0] == '_' && !meta && strcmp(key, "_error") != 0)) continue;
        printf("    %s:\n", key);
        print_value(object_value_peek(row, i));
    }
}

void trace_show(const char *line, size_t len, bool meta, bool japanese) {
    value_t row;
    err_t err;
    if (json_parse_text(line, len, &row, &err) != SDG_OK || row.kind != VALUE_OBJECT) {
        printf("%.*s\n", (int)len, line);
        return;
    }
    value_t trace = field(row, "_trace");
    for (size_t i = 0; trace.kind == VALUE_LIST && i < list_count(trace); i++) {
        print_step(i + 1, list_peek(trace, i));
    }
    print_result(row, meta, japanese);
    value_free(row);
}
