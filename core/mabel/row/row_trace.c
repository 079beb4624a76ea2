/* row_trace.c - what each block of a row did, for test runs: a list of objects that ends up as `_trace` in
 * the result.
 *
 *   {"block", "type", "exec", "skipped"?, "system"?, "prompt"?, "args"?, "answer"?,
 *    "outputs", "vars"?, "log"?, "ms", "error"?}
 */
#include "core/mabel/row/row_state.h"

#include "core/base/clock.h"

#include <stdlib.h>

struct row_trace {
    value_t blocks;       /* finished entries */
    value_t entry;        /* of the running block; null between blocks */
    value_t outputs, log; /* of the running block */
    value_t vars_before;
    uint64_t begun_ns;
};

static const char *const TYPE_NAMES[] = {
    [BLOCK_AI] = "ai", [BLOCK_LOGIC] = "logic", [BLOCK_PYTHON] = "python", [BLOCK_END] = "end"};

void row_trace_init(row_t *row) {
    row->trace = xcalloc(1, sizeof *row->trace);
    row->trace->blocks = value_list(row->pipeline->block_count);
}

static void forget_entry(row_trace_t *t) {
    value_clear(&t->entry);
    value_clear(&t->outputs);
    value_clear(&t->log);
    value_clear(&t->vars_before);
}

void row_trace_free(row_t *row) {
    if (!row->trace) return;
    forget_entry(row->trace);
    value_free(row->trace->blocks);
    free(row->trace);
    row->trace = NULL;
}

void row_trace_begin(row_t *row) {
    row_trace_t *t = row->trace;
    if (!t || t->entry.kind != VALUE_NULL) return; /* the same block after a yield */
    const block_t *b = row_block(row);
    t->entry = value_object(8);
    object_set_text(&t->entry, "block", value_from_str(str_ref(b->label)));
    object_set_text(&t->entry, "type", value_text(TYPE_NAMES[b->type]));
    object_set_text(&t->entry, "exec", value_int(b->exec));
    t->outputs = value_object(2);
    t->log = value_list(0);
    t->vars_before = value_ref(row->vars);
    t->begun_ns = row->now_ns;
}

void row_trace_skip(row_t *row) {
    if (!row->trace) return;
    object_set_text(&row->trace->entry, "skipped", value_bool(true));
    list_push(&row->trace->blocks, row->trace->entry);
    row->trace->entry = value_null();
    forget_entry(row->trace);
}

void row_trace_add(row_t *row, const char *key, value_t take) {
    if (row->trace && row->trace->entry.kind == VALUE_OBJECT)
        object_set_text(&row->trace->entry, key, take);
    else
        value_free(take);
}

void row_trace_log(row_t *row, value_t take) {
    if (row->trace && row->trace->entry.kind == VALUE_OBJECT)
        list_push(&row->trace->log, take);
    else
        value_free(take);
}

void row_trace_output(row_t *row, str_t *name, value_t v) {
    if (row->trace && row->trace->entry.kind == VALUE_OBJECT)
        object_set(&row->trace->outputs, name, value_ref(v));
}

/* The variables that are new or have another value. */
static value_t changed_vars(value_t before, value_t after) {
    value_t changed = value_object(2);
    for (size_t i = 0; after.kind == VALUE_OBJECT && i < object_count(after); i++) {
        bool found = false;
        str_t *name = object_key_peek(after, i);
        value_t old = before.kind == VALUE_OBJECT ? object_get_str_peek(before, name, &found) : value_null();
        if (!found || !value_equal(old, object_value_peek(after, i)))
            object_set(&changed, name, value_ref(object_value_peek(after, i)));
    }
    return changed;
}

void row_trace_end(row_t *row, const char *error) {
    row_trace_t *t = row->trace;
    if (!t || t->entry.kind == VALUE_NULL) return;
    value_t changed = changed_vars(t->vars_before, row->vars);
    object_set_text(&t->entry, "outputs", value_ref(t->outputs));
    if (object_count(changed)) object_set_text(&t->entry, "vars", value_ref(changed));
    if (list_count(t->log)) object_set_text(&t->entry, "log", value_ref(t->log));
    object_set_text(&t->entry, "ms", value_real((double)(row->now_ns - t->begun_ns) / (double)MILLISECOND));
    if (error) object_set_text(&t->entry, "error", value_text(error));
    value_free(changed);
    list_push(&t->blocks, t->entry);
    t->entry = value_null();
    forget_entry(t);
}

value_t row_trace_take(row_t *row) { return row->trace ? value_ref(row->trace->blocks) : value_null(); }
