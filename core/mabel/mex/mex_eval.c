/* mex_eval.c - evaluation: literals, control, references, random values, and what all operators share.
 *
 * No operator is looked up by name at run time, and numbers never touch the heap. While a lambda runs, its
 * names live in a frame on the C stack, in front of the scope's locals; `set` inside it reaches the step
 * around it (locals_t of scope.h). */
#include "core/mabel/mex/mex_node.h"

#include "core/base/text.h"
#include "core/mabel/mex/limits.h"
#include "core/mabel/text/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { SHOWN_BYTES_MAX = 60 }; /* of a value in an error sentence */

/* ---- errors and work */

int mex_spend_failed(err_t *err) {
    return err_set(err, SDG_ELIMIT, "the expression takes more than %d operations", MEX_OPS_MAX);
}

int mex_fail(const mex_t *m, int code, err_t *err, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(err, code, "%s: %s", m->op ? m->op->name : "expression", text);
}

int mex_wrong(const mex_t *m, value_t v, const char *wanted, err_t *err) {
    if (!err) return SDG_EINVAL;
    buf_t shown;
    buf_init(&shown, SHOWN_BYTES_MAX);
    text_write_repr(&shown, v);
    if (shown.full)
        mex_fail(m, SDG_EINVAL, err, "%s was expected, not %s", wanted,
                 v.kind == VALUE_STRING ? "this text" : value_kind_name(v.kind));
    else
        mex_fail(m, SDG_EINVAL, err, "%s was expected, not %s", wanted, shown.data);
    buf_free(&shown);
    return SDG_EINVAL;
}

/* ---- the public face */

int mex_eval(const mex_t *m, scope_t *scope, value_t *out, err_t *err) {
    scope->ops = 0;
    value_t v;
    int rc = mex_value_of(m, scope, &v, err);
    *out = rc == SDG_OK ? v : value_null();
    return rc;
}

int mex_eval_bool(const mex_t *m, scope_t *scope, bool *out, err_t *err) {
    scope->ops = 0;
    return mex_truth_of(m, scope, out, err);
}

/* ---- operands */

static int check_spread(const mex_t *m, size_t count, err_t *err) {
    if (count >= m->op->min && (m->op->max == MEX_MANY || count <= m->op->max)) return SDG_OK;
    return mex_fail(m, SDG_EINVAL, err, "%s%d operands were expected, not %zu",
                    m->op->min == m->op->max ? "" : "at least ", m->op->min, count);
}

/* The value becomes the list of operands; a value that is no list is the only operand. */
static void use_list(mex_operands_t *o, value_t take) {
    if (take.kind != VALUE_LIST) {
        o->list = value_list(1);
        list_push(&o->list, take);
    } else {
        o->list = take;
    }
    o->count = list_count(o->list);
}

int mex_operands_spread(mex_operands_t *o) {
    value_t v;
    int rc = mex_value_of(o->m->args[0], o->s, &v, o->err);
    if (rc != SDG_OK) return rc;
    use_list(o, v);
    rc = check_spread(o->m, o->count, o->err);
    if (rc != SDG_OK) mex_operands_close(o);
    return rc;
}

int mex_operands_open_flat(mex_operands_t *o, const mex_t *m, scope_t *s, err_t *err) {
    int rc = mex_operands_open(o, m, s, err);
    if (rc != SDG_OK || o->count != 1 || m->spread) return rc;
    value_t v;
    rc = mex_operand(o, 0, &v);
    if (rc != SDG_OK) return rc;
    use_list(o, v);
    return mex_spend(s, o->count, err);
}

int mex_exact_number_from(const mex_t *m, value_t take, scope_t *s, value_t *number, err_t *err) {
    int rc = SDG_OK;
    if (!mex_exact_number(take, number)) {
        if (take.kind != VALUE_NULL && take.kind != VALUE_STRING) {
            rc = mex_wrong(m, take, "a number", err);
        } else {
            *number = value_int(0);
            s->zeros++;
        }
    }
    value_free(take);
    return rc;
}

int mex_number_from(const mex_t *m, value_t take, scope_t *s, value_t *number, err_t *err) {
    value_t exact;
    int rc = mex_exact_number_from(m, take, s, &exact, err);
    if (rc != SDG_OK) return rc;
    mex_number(exact, number);
    value_free(exact);
    if (exact.kind != VALUE_BIGINT || !isinf(number->real)) return SDG_OK;
    return mex_fail(m, SDG_EINVAL, err, "the integer is too large to calculate with");
}

static bool integral(value_t number, int64_t *n) {
    if (number.kind == VALUE_INT) {
        *n = number.integer;
        return true;
    }
    if (!(number.real >= -0x1p62 && number.real <= 0x1p62)) return false;
    *n = (int64_t)number.real;
    return (double)*n == number.real;
}

int mex_index_of(const mex_t *m, size_t arg, scope_t *s, int64_t *n, bool *given, err_t *err) {
    value_t v, number;
    *given = false;
    int rc = mex_value_of(m->args[arg], s, &v, err);
    if (rc != SDG_OK || v.kind == VALUE_NULL) return rc;
    *given = mex_number(v, &number) && integral(number, n);
    if (!*given) rc = mex_wrong(m, v, "an integer", err);
    value_free(v);
    return rc;
}

/* Charges nothing for the list itself, but looks whether the operations are used up. */
int mex_list_of(const mex_t *m, size_t arg, scope_t *s, value_t *list, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[arg], s, &v, err);
    if (rc != SDG_OK) return rc;
    if (v.kind != VALUE_LIST && m->wrapped && arg == 0) {
        *list = value_list(1);
        list_push(list, v);
        return SDG_OK;
    }
    if (v.kind == VALUE_NULL) v = value_list(0);
    if (v.kind != VALUE_LIST)
        rc = mex_wrong(m, v, "a list", err);
    else if (list_count(v) > MEX_LIST_MAX)
        rc = mex_fail(m, SDG_ELIMIT, err, "a list of more than %d elements", MEX_LIST_MAX);
    if (rc != SDG_OK)
        value_free(v);
    else
        *list = v;
    return rc == SDG_OK ? mex_spend(s, 0, err) : rc;
}

/* ---- literals */

int mex_run_constant(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    (void)s, (void)err;
    *out = value_ref(m->value);
    return SDG_OK;
}

int mex_run_whole(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    const value_t *v = dotted_find(&m->name, s, scope_find);
    if (v) {
        *out = value_ref(*v);
        return SDG_OK;
    }
    bool resolved;
    return template_value(m->text, s, TEMPLATE_VERBATIM, out, &resolved, err);
}

int mex_run_text(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    buf_t *b = mex_scratch();
    size_t mark = b->len;
    int rc = template_render(m->text, s, TEMPLATE_VERBATIM, b, err);
    if (rc == SDG_OK) return mex_scratch_take(m, mark, s, out, err);
    mex_scratch_drop(mark);
    return rc;
}

int mex_run_list(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list = value_list(m->argc);
    int rc = SDG_OK;
    for (uint32_t i = 0; i < m->argc && rc == SDG_OK; i++) {
        value_t v;
        rc = mex_value_of(m->args[i], s, &v, err);
        if (rc == SDG_OK) list_push(&list, v);
    }
    if (rc == SDG_OK)
        *out = list;
    else
        value_free(list);
    return rc;
}

int mex_run_object(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t object = value_object(m->argc);
    int rc = SDG_OK;
    for (uint32_t i = 0; i < m->argc && rc == SDG_OK; i++) {
        value_t v;
        rc = mex_value_of(m->args[i], s, &v, err);
        if (rc == SDG_OK) object_set(&object, m->keys[i], v);
    }
    if (rc == SDG_OK)
        *out = object;
    else
        value_free(object);
    return rc;
}

/* ---- control */

int mex_run_if(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    bool yes;
    int rc = mex_truth_of(m->args[0], s, &yes, err);
    return rc == SDG_OK ? mex_value_of(m->args[yes ? 1 : 2], s, out, err) : rc;
}

int mex_run_case(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    for (uint32_t i = 0; i + 1 < m->argc; i += 2) {
        bool yes;
        int rc = mex_truth_of(m->args[i], s, &yes, err);
        if (rc != SDG_OK) return rc;
        if (yes) return mex_value_of(m->args[i + 1], s, out, err);
    }
    return mex_value_of(m->args[m->argc - 1], s, out, err);
}

int mex_run_let(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    local_t slot = {.name = m->bound[MEX_ELEMENT]};
    int rc = mex_value_of(m->args[0], s, &slot.value, err);
    if (rc != SDG_OK || !m->args[1]) {
        if (rc == SDG_OK) *out = slot.value;
        return rc;
    }
    locals_t frame = {.outer = s->locals, .slots = &slot, .count = 1, .cap = 1, .expression = true};
    s->locals = &frame;
    rc = mex_value_of(m->args[1], s, out, err);
    s->locals = frame.outer;
    value_free(slot.value);
    return rc;
}

/* ---- references */

/* var and ref of a name that is itself computed. */
static int run_computed_name(const mex_t *m, scope_t *s, dotted_lookup_fn *lookup, value_t *out, err_t *err) {
    str_t *text;
    int rc = mex_text_of(m, 0, s, &text, err);
    if (rc != SDG_OK) return rc;
    dotted_t name;
    dotted_init(&name, text->data, text->len);
    const value_t *v = dotted_find(&name, s, lookup);
    *out = v ? value_ref(*v) : value_null();
    dotted_free(&name);
    str_free(text);
    return SDG_OK;
}

static inline int run_name(const mex_t *m, scope_t *s, dotted_lookup_fn *lookup, value_t *out, err_t *err) {
    if (m->argc) return run_computed_name(m, s, lookup, out, err);
    const value_t *v = dotted_find(&m->name, s, lookup);
    *out = v ? value_ref(*v) : value_null();
    return SDG_OK;
}

int mex_run_var(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_name(m, s, scope_find, out, err);
}

int mex_run_ref(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_name(m, s, scope_find_in_context, out, err);
}

/* The value at a path: an integer is an index; a text is tried as a key first, then as a path. */
static const value_t *get_peek(const value_t *root, value_t path) {
    if (path.kind == VALUE_STRING) {
        const value_t *v = root->kind == VALUE_OBJECT ? object_find_peek(*root, path.string) : NULL;
        return v ? v : value_path_find(root, path.string->data, path.string->len);
    }
    int64_t i;
    value_t number;
    if (root->kind != VALUE_LIST || !mex_number(path, &number) || !integral(number, &i)) return NULL;
    int64_t count = (int64_t)list_count(*root);
    if (i < 0) i += count;
    return i >= 0 && i < count ? list_at_peek(*root, (size_t)i) : NULL;
}

/* A value inside another one, else the default, which is evaluated only then. */
int mex_run_get(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t root, path;
    int rc = mex_value_of(m->args[0], s, &root, err);
    if (rc != SDG_OK) return rc;
    rc = mex_value_of(m->args[1], s, &path, err);
    if (rc == SDG_OK) {
        /* The keys of an object are texts: a number looks up its text form. */
        if (root.kind == VALUE_OBJECT && path.kind != VALUE_STRING)
            value_replace(&path, value_from_str(text_of(path)));
        const value_t *v = get_peek(&root, path);
        if (v)
            *out = value_ref(*v);
        else
            rc = mex_value_of(m->args[2], s, out, err);
        value_free(path);
    }
    value_free(root);
    return rc;
}

int mex_run_set(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    rc = scope_set(s, m->bound[MEX_ELEMENT], value_ref(v), err);
    if (rc == SDG_OK)
        *out = v;
    else
        value_free(v);
    return rc;
}

/* set with `in` and `path`: a copy of `in` with the value at the path replaced. The args are value, in, path.
 */
int mex_run_set_in(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t root, v;
    str_t *path;
    int rc = mex_value_of(m->args[1], s, &root, err);
    if (rc != SDG_OK) return rc;
    rc = mex_text_of(m, 2, s, &path, err);
    if (rc == SDG_OK) {
        rc = mex_value_of(m->args[0], s, &v, err);
        if (rc == SDG_OK) {
            rc = value_path_set(root, path->data, path->len, v, out, err);
            if (rc != SDG_OK) err_prefix(err, "set");
        }
        str_free(path);
    }
    value_free(root);
    return rc;
}

/* ---- time and chance */

int mex_run_now(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    (void)m, (void)s, (void)err;
    struct timeval now;
    struct tm local;
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &local);
    char text[64];
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local);
    snprintf(text + len, sizeof text - len, ".%06ld", (long)now.tv_usec);
    *out = value_text(text);
    return SDG_OK;
}

static int need_rng(const mex_t *m, const scope_t *s, err_t *err) {
    return s->rng ? SDG_OK : mex_fail(m, SDG_EINVAL, err, "there are no random numbers here");
}

static double real_of(value_t number) {
    return number.kind == VALUE_INT ? (double)number.integer : number.real;
}

int mex_run_rand(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t lo = value_int(0), hi = value_int(1);
    int rc = m->args[0] ? mex_number_of(m, 0, s, &lo, err) : SDG_OK;
    if (rc == SDG_OK && m->args[1]) rc = mex_number_of(m, 1, s, &hi, err);
    if (rc == SDG_OK) rc = need_rng(m, s, err);
    if (rc != SDG_OK) return rc;
    *out = value_real(real_of(lo) + (real_of(hi) - real_of(lo)) * rng_real(s->rng));
    return SDG_OK;
}

int mex_run_randint(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    int64_t lo = 0, hi = 0;
    bool has_lo, has_hi;
    int rc = mex_index_of(m, 0, s, &lo, &has_lo, err);
    if (rc == SDG_OK) rc = mex_index_of(m, 1, s, &hi, &has_hi, err);
    if (rc == SDG_OK) rc = need_rng(m, s, err);
    if (rc != SDG_OK) return rc;
    if (!has_lo || !has_hi) return mex_fail(m, SDG_EINVAL, err, "min and max must be integers");
    if (lo > hi)
        return mex_fail(m, SDG_EINVAL, err, "min %lld is above max %lld", (long long)lo, (long long)hi);
    *out = value_int(rng_between(s->rng, lo, hi));
    return SDG_OK;
}

int mex_run_choose(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    size_t count = list_count(list);
    rc = count ? need_rng(m, s, err) : mex_fail(m, SDG_EINVAL, err, "the list is empty");
    if (rc == SDG_OK) *out = value_ref(list_peek(list, (size_t)rng_between(s->rng, 0, (int64_t)count - 1)));
    value_free(list);
    return rc;
}
