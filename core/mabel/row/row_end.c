/* row_end.c - end blocks: the result of a row.
 *
 * A string is rendered to text, so that a column has one type in all rows; a type_hint keeps the value's
 * type; any other value keeps its own, with the strings inside it rendered. Finals are worked out in order;
 * the first that cannot be converted fails the block.
 */
#include "core/mabel/row/row_state.h"

#include <stdio.h>
#include <string.h>

/* ---- values that are not strings: a copy with the strings inside rendered */

static int render_inside(row_t *row, value_t v, value_t *out);

static int render_text(row_t *row, value_t v, value_t *out) {
    if (!memchr(v.string->data, '{', v.string->len)) {
        *out = value_ref(v);
        return SDG_OK;
    }
    template_t *t = template_compile(v.string->data, v.string->len);
    int rc = row_render(row, t, out);
    template_destroy(&t);
    return rc;
}

static int render_list(row_t *row, value_t v, value_t *out) {
    int rc = SDG_OK;
    *out = value_list(list_count(v));
    for (size_t i = 0; rc == SDG_OK && i < list_count(v); i++) {
        value_t item;
        rc = render_inside(row, list_peek(v, i), &item);
        list_push(out, item);
    }
    return rc;
}

static int render_object(row_t *row, value_t v, value_t *out) {
    int rc = SDG_OK;
    *out = value_object(object_count(v));
    for (size_t i = 0; rc == SDG_OK && i < object_count(v); i++) {
        value_t item;
        rc = render_inside(row, object_value_peek(v, i), &item);
        object_set(out, object_key_peek(v, i), item);
    }
    return rc;
}

/* Depth is bounded by that of the file (YAML_DEPTH_MAX). On an error *out is still owned by the caller. */
static int render_inside(row_t *row, value_t v, value_t *out) {
    *out = value_null();
    if (v.kind == VALUE_STRING) return render_text(row, v, out);
    if (v.kind == VALUE_LIST) return render_list(row, v, out);
    if (v.kind == VALUE_OBJECT) return render_object(row, v, out);
    *out = value_ref(v);
    return SDG_OK;
}

/* ---- finals */

/* With the hint json the value of a whole placeholder keeps its type: a text that is no JSON stays text. */
static int convert(row_t *row, const final_value_t *f, value_t v, value_t *out) {
    bool may_stay = f->hint == HINT_JSON && v.kind == VALUE_STRING && f->tpl && template_is_whole(f->tpl);
    int rc = hint_convert(v, f->hint, out, may_stay ? NULL : &row->err);
    if (rc == SDG_OK || !may_stay) return rc;
    *out = value_ref(v);
    return SDG_OK;
}

/* A hint converts the value that a whole placeholder stands for, else the rendered text. A placeholder that
 * is nothing gives null. */
static int hinted_value(row_t *row, const final_value_t *f, value_t *out) {
    bool resolved = false;
    value_t v = value_null();
    int rc = f->tpl ? template_value(f->tpl, &row->scope, TEMPLATE_EMPTY, &v, &resolved, &row->err)
                    : render_inside(row, f->literal, &v);
    *out = value_null();
    if (rc == SDG_OK && v.kind != VALUE_NULL) rc = convert(row, f, v, out);
    value_free(v);
    return rc;
}

static int final_value(row_t *row, const final_value_t *f, value_t *out) {
    if (f->hint != HINT_NONE && !(f->hint == HINT_STRING && f->tpl)) return hinted_value(row, f, out);
    return f->tpl ? row_render(row, f->tpl, out) : render_inside(row, f->literal, out);
}

/* Adds the finals in order: as columns of the result, or (final_mode: list) as one column `final` with a list
 * of {name, value}. After an error the result is broken and the caller releases it. */
static int add_finals(row_t *row, const end_block_t *e, value_t *result) {
    value_t list = value_null();
    int rc = SDG_OK;
    if (e->as_list) list = value_list(e->final_count);
    for (size_t i = 0; rc == SDG_OK && i < e->final_count; i++) {
        str_t *name = e->finals[i].name;
        value_t v;
        rc = final_value(row, &e->finals[i], &v);
        if (rc < 0) err_prefix(&row->err, "final %s", name->data);
        if (!e->as_list) {
            object_set(result, name, v);
            continue;
        }
        value_t pair = value_object(2);
        object_set_text(&pair, "name", value_from_str(str_ref(name)));
        object_set_text(&pair, "value", v);
        list_push(&list, pair);
    }
    if (e->as_list) object_set_text(result, "final", list);
    return rc;
}

/* A value for include_vars: a variable, else a constant, else a name of the context, else null. */
static value_t global_peek(row_t *row, str_t *name) {
    const value_t *v = object_find_peek(row->vars, name);
    if (!v && row->pipeline->consts.kind == VALUE_OBJECT) v = object_find_peek(row->pipeline->consts, name);
    if (!v) v = scope_find(&row->scope, name);
    return v ? *v : value_null();
}

/* Keeps exit_code and reason for the log and the run's report. They are no part of the result, so a reason
 * that cannot be rendered is left out. */
static void note_ending(row_t *row, const end_block_t *e) {
    if (e->exit_code) snprintf(row->reason, sizeof row->reason, "%s", e->exit_code->data);
    if (e->reason && row_render(row, e->reason, &row->end_reason) != SDG_OK) row->end_reason = value_null();
}

bool row_end_start(row_t *row) {
    const end_block_t *e = &row_block(row)->end;
    value_t result = value_object(e->final_count + e->include_count);
    int rc = add_finals(row, e, &result);
    if (rc < 0) {
        value_free(result);
        return row_block_failed(row, "final");
    }
    for (size_t i = 0; i < e->include_count; i++)
        object_set(&result, e->include_vars[i], value_ref(global_peek(row, e->include_vars[i])));
    note_ending(row, e);
    return row_finish(row, result);
}
