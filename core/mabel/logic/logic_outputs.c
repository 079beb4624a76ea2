/* logic_outputs.c - from the result of an op to the values of its outputs (mabel.md section 5).
 *
 * Every `from` works on one of two things:
 *   the op's value     set, let, reduce, call, if, ...
 *   the op's sequence  for: raw, filtered or mapped; while and everything else: the emitted values
 * `value: MEX` and `var: name` work everywhere.
 */
#include "core/mabel/logic/logic_ops.h"

#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <string.h>

static value_t window(value_t list, uint64_t offset, uint64_t limit) {
    size_t count = list_count(list);
    size_t from = offset < count ? (size_t)offset : count;
    size_t left = count - from;
    if (limit < left) left = (size_t)limit;
    if (left == count) return value_ref(list);
    value_t out = value_list(left);
    for (size_t i = 0; i < left; i++)
        list_push(&out, value_ref(list_peek(list, from + i)));
    return out;
}

/* The sequence an output speaks of; owned. */
static value_t sequence_of(const output_t *o, const op_t *op, const op_result_t *r) {
    value_t all = r->emitted;
    if (op->kind == OP_FOR)
        all = o->source == SOURCE_RAW ? r->raw : o->source == SOURCE_FILTERED ? r->filtered : r->mapped;
    else if (op->kind != OP_WHILE && r->value.kind == VALUE_LIST)
        all = r->value;
    if (all.kind != VALUE_LIST) return value_list(0);
    return window(all, o->offset, o->limit);
}

static value_t joined(value_t list, const str_t *with, err_t *err, int *rc) {
    buf_t b;
    buf_init(&b, MEX_TEXT_BYTES_MAX);
    for (size_t i = 0; i < list_count(list); i++) {
        if (i && with) buf_add(&b, with->data, with->len);
        text_write(&b, list_peek(list, i));
    }
    value_t out = value_string(b.data ? b.data : "", b.len);
    if (b.full) *rc = err_set(err, SDG_ELIMIT, "join: the text is longer than %zu bytes", MEX_TEXT_BYTES_MAX);
    buf_free(&b);
    return out;
}

static bool any_of(value_t list) {
    for (size_t i = 0; i < list_count(list); i++)
        if (value_truthy(list_peek(list, i))) return true;
    return false;
}

static bool all_of(value_t list) {
    for (size_t i = 0; i < list_count(list); i++)
        if (!value_truthy(list_peek(list, i))) return false;
    return true;
}

/* Of an empty list it is the empty text. */
static value_t end_of(value_t list, bool last) {
    size_t count = list_count(list);
    return count ? value_ref(list_peek(list, last ? count - 1 : 0)) : value_text("");
}

static value_t count_of(const op_t *op, const op_result_t *r, value_t list) {
    size_t count = list_count(list);
    if (op->kind == OP_WHILE && !op->emits && count == 0) return value_int((int64_t)r->iterations);
    return value_int((int64_t)count);
}

/* list, join, count, any, all, first, last and boolean of a sequence. */
static int from_sequence(const output_t *o, out_from_t from, const op_t *op, const op_result_t *r,
                         value_t *out, err_t *err) {
    int rc = SDG_OK;
    value_t list = sequence_of(o, op, r);
    switch (from) {
    case FROM_JOIN: *out = joined(list, o->join_with, err, &rc); break;
    case FROM_COUNT: *out = count_of(op, r, list); break;
    case FROM_ANY: *out = value_bool(any_of(list)); break;
    case FROM_ALL: *out = value_bool(all_of(list)); break;
    case FROM_FIRST: *out = end_of(list, false); break;
    case FROM_LAST: *out = end_of(list, true); break;
    case FROM_BOOLEAN: *out = value_bool(list_count(list) > 0); break;
    default: *out = value_ref(list); break;
    }
    value_free(list);
    return rc;
}

/* `value: MEX` of a for: the element's name stands for the whole sequence. */
static int from_expression(const output_t *o, const op_t *op, const op_result_t *r, scope_t *scope,
                           uint32_t *fuel, value_t *out, err_t *err) {
    if (op->kind == OP_FOR && scope->locals) locals_set(scope->locals, op->var, sequence_of(o, op, r));
    return logic_eval(o->value, scope, fuel, out, err);
}

/* A function's own locals come first, then what the block sees. */
static value_t from_var(const output_t *o, const op_result_t *r, scope_t *scope) {
    const value_t *v = r->callee ? locals_find(r->callee, o->ref.whole) : NULL;
    if (!v) v = dotted_find(&o->ref, scope, scope_find);
    return v ? value_ref(*v) : value_null();
}

static bool is_test(const op_t *op) { return op->kind == OP_AND || op->kind == OP_OR || op->kind == OP_NOT; }

static out_from_t default_from(const output_t *o, const op_t *op) {
    if (op->kind == OP_IF) return FROM_BOOLEAN;
    if (op->kind == OP_FOR || op->kind == OP_WHILE) return o->join_with ? FROM_JOIN : FROM_LIST;
    return o->join_with ? FROM_JOIN : FROM_VALUE;
}

/* The order of the tests is that of mabel.md: an expression wins over a name, a name over a sequence. */
int output_value(const output_t *o, const op_t *op, const op_result_t *r, scope_t *scope, uint32_t *fuel,
                 value_t *out, err_t *err) {
    out_from_t from = o->from == FROM_DEFAULT ? default_from(o, op) : o->from;
    bool by_sequence = op->kind == OP_FOR || op->kind == OP_WHILE;
    *out = value_null();
    if (o->value) return from_expression(o, op, r, scope, fuel, out, err);
    if ((from == FROM_VAR || from == FROM_SOURCE) && o->ref.whole) {
        *out = from_var(o, r, scope);
        return SDG_OK;
    }
    if (is_test(op) || (from == FROM_BOOLEAN && op->kind == OP_IF)) {
        *out = value_bool(r->truth);
        return SDG_OK;
    }
    if (from == FROM_BOOLEAN && !by_sequence) {
        *out = value_bool(value_truthy(r->value));
        return SDG_OK;
    }
    if (from == FROM_TEXT) {
        value_t whole = op->kind == OP_FOR ? r->mapped : op->kind == OP_WHILE ? r->emitted : r->value;
        *out = by_sequence && whole.kind == VALUE_NULL ? value_text("[]") : value_from_str(text_of(whole));
        return SDG_OK;
    }
    if (by_sequence || (from >= FROM_LIST && from <= FROM_LAST))
        return from_sequence(o, from, op, r, out, err);
    *out = value_ref(r->value);
    return SDG_OK;
}
