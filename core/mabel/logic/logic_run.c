/* logic_run.c - runs a logic block on heap frames.
 *
 * There are two stacks:
 *   frames  one for each op that is not finished (let, if, while, for, reduce, call), with the steps it is
 * running calls   one for each function call, with that function's locals; calls[0] belongs to the block
 *
 * An op's names (`let` bindings, the loop's element, the accumulator) are put into the locals of the running
 * call, and the values they hide are kept in `saves` until the op ends. So `set` always writes one place, the
 * current call, however deep the loops around it are.
 *
 * logic_step is a loop: it starts the next step of the top frame or, when the frame's steps are used up, asks
 * the op what comes next (resume). Nothing here recurses, so recursion in a pipeline costs heap, counted
 * against FRAME_BYTES_MAX, and can stop at any step when the fuel is used up. */
#include "core/mabel/logic/logic_ops.h"

#include "core/base/small.h"
#include "core/base/text.h"
#include "core/mabel/logic/limits.h"
#include "core/mabel/text/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct logic_frame {
    const op_t *op;
    const body_t *body; /* steps being run; NULL: none */
    uint32_t next;      /* next step of body */
    uint32_t save_mark; /* saves above this are this frame's */
    uint32_t phase;     /* if: its truth; for: FOR_*; reduce: elements taken as the seed */
    bool collects;      /* this loop collects its own emits; those of the loop around it are in outer_emits */
    size_t made_bytes;  /* charged for `made` */
    size_t emit_mark;   /* collects: emit_bytes to go back to */
    uint64_t iterations; /* iterations begun, or elements taken */
    value_t list;        /* for, reduce: elements */
    value_t kept;        /* for: those that passed `where` */
    value_t made;        /* for: mapped; call: returned values */
    value_t outer_emits; /* collects: the emits of the loop around it, a list or null */
} logic_frame_t;

typedef struct logic_call {
    locals_t locals;
    size_t bytes; /* charged for its locals while a deeper call runs */
} logic_call_t;

/* A name that an op binds, with the value it hides. */
typedef struct save {
    str_t *name;
    value_t value;
    bool had; /* the call had a local of that name */
} save_t;

enum { CALLS_FIRST = 2 }; /* room for calls at once: the block's and one of a function */

struct logic_run {
    const logic_program_t *program;
    const logic_block_t *block;
    budget_t budget;
    logic_frame_t *frames;
    uint32_t frame_count, frame_cap;
    logic_call_t *calls;
    uint32_t call_count, call_cap;
    save_t *saves;
    uint32_t save_count, save_cap;
    size_t call_bytes; /* sum of calls[].bytes */
    size_t made_bytes; /* sum of frames[].made_bytes */
    size_t emit_bytes; /* charged for emitted values */
    value_t last;      /* value of the last step */
    value_t emits;     /* where emit puts its values: a list, null before the first */
    value_t *outputs;  /* what the block gives, as logic_block_outputs names it */
    bool started, finished;
};

/* The run together with what one logic_step was given. */
typedef struct machine {
    logic_run_t *run;
    scope_t *scope;
    uint32_t *fuel;
    err_t *err;
} machine_t;

/* What an op does. */
typedef struct op_actions {
    const char *name;
    int (*start)(machine_t *m, const op_t *op);
    int (*resume)(machine_t *m, logic_frame_t *f); /* its steps are used up; NULL: never has a frame */
} op_actions_t;
static const op_actions_t *actions_of(const op_t *op); /* a row of ACTIONS, at the end of this file */

/* ---- locals of the running call */

static locals_t *here(logic_run_t *r) { return &r->calls[r->call_count - 1].locals; }

/* Makes the scope see the running call. It is called after every push or pop of a call, which may move the
 * locals. */
static void use_call(machine_t *m) { m->scope->locals = here(m->run); }

static void locals_remove(locals_t *l, str_t *name) {
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->slots[i].name != name && !str_equal(l->slots[i].name, name)) continue;
        value_free(l->slots[i].value);
        str_free(l->slots[i].name);
        l->slots[i] = l->slots[--l->count];
        return;
    }
}

/* Calls have no outer locals: a callee does not see its caller's. */
static value_t *own_local(locals_t *l, str_t *name) { return locals_find(l, name); }

/* Binds a name until the frame that is pushed next, or is on top, ends. */
static void bind(logic_run_t *r, str_t *name, value_t take) {
    if (r->save_count == r->save_cap) r->saves = small_grow(r->saves, &r->save_cap, 8, sizeof *r->saves);
    value_t *old = own_local(here(r), name);
    r->saves[r->save_count++] =
        (save_t){.name = str_ref(name), .value = old ? value_ref(*old) : value_null(), .had = old};
    locals_set(here(r), name, take);
}

static void restore(logic_run_t *r, uint32_t mark) {
    while (r->save_count > mark) {
        save_t s = r->saves[--r->save_count];
        if (s.had)
            locals_set(here(r), s.name, s.value);
        else
            locals_remove(here(r), s.name);
        str_free(s.name);
    }
}

/* ---- bytes */

/* A value is held by a local, globals.vars, the last step and a binding at most; more holders are other
 * calls. */
enum { OWN_REFS_MAX = 4 };

/* What a value costs this call alone. A value that is handed down from call to call counts in the first few
 * only. */
static size_t own_bytes(value_t v) {
    if (v.kind < VALUE_STRING || *v.refs > OWN_REFS_MAX) return 0;
    if (v.kind == VALUE_STRING) return sizeof(str_t) + v.string->len;
    return v.kind == VALUE_LIST ? 32 + 16 * list_count(v) : 48 + 40 * object_count(v);
}

static size_t locals_bytes(const locals_t *l) {
    size_t bytes = l->cap * sizeof(local_t);
    for (uint32_t i = 0; i < l->count; i++)
        bytes += own_bytes(l->slots[i].value);
    return bytes;
}

static size_t run_bytes(const logic_run_t *r) {
    return r->call_bytes + r->made_bytes + r->emit_bytes + r->frame_cap * sizeof(logic_frame_t) +
           r->call_cap * sizeof(logic_call_t) + r->save_cap * sizeof(save_t);
}

static int check_bytes(machine_t *m) {
    if (run_bytes(m->run) <= FRAME_BYTES_MAX) return SDG_OK;
    return err_set(m->err, SDG_ELIMIT, "its calls and lists hold more than %zu MiB", FRAME_BYTES_MAX >> 20);
}

/* Adds an element to the mapped list of a `for`. */
static int push_made(machine_t *m, logic_frame_t *f, value_t take) {
    size_t bytes = own_bytes(take);
    f->made_bytes += bytes;
    m->run->made_bytes += bytes;
    list_push(&f->made, take);
    return check_bytes(m);
}

/* ---- frames */

/* Pointers to frames are good until the next push. */
static logic_frame_t *push_frame(machine_t *m, const op_t *op) {
    logic_run_t *r = m->run;
    if (r->frame_count == r->frame_cap)
        r->frames = small_grow(r->frames, &r->frame_cap, 4, sizeof *r->frames);
    logic_frame_t *f = &r->frames[r->frame_count++];
    *f = (logic_frame_t){.op = op, .save_mark = r->save_count};
    return f;
}

static void frame_drop(logic_run_t *r, logic_frame_t *f) {
    value_free(f->list);
    value_free(f->kept);
    value_free(f->made);
    r->made_bytes -= f->made_bytes;
    if (!f->collects) return;
    value_replace(&r->emits, f->outer_emits);
    r->emit_bytes = f->emit_mark;
}

static void pop_frame(machine_t *m) {
    logic_run_t *r = m->run;
    logic_frame_t *f = &r->frames[r->frame_count - 1];
    restore(r, f->save_mark);
    frame_drop(r, f);
    r->frame_count--;
}

/* A loop with outputs of its own collects what is emitted inside it. */
static void collect_own(machine_t *m, logic_frame_t *f) {
    if (m->run->frame_count <= 1 || f->op->output_count == 0) return;
    f->collects = true;
    f->outer_emits = m->run->emits;
    f->emit_mark = m->run->emit_bytes;
    m->run->emits = value_null();
}

static void run_body(logic_frame_t *f, const body_t *body) {
    f->body = body;
    f->next = 0;
}

/* ---- results */

static void set_last(logic_run_t *r, value_t take) { value_replace(&r->last, take); }

static int assign(machine_t *m, str_t *name, value_t take) { return scope_set(m->scope, name, take, m->err); }

static value_t *values_new(size_t count) {
    value_t *values = small_alloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = value_null();
    return values;
}

static void values_free(value_t *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        value_free(values[i]);
    small_free(values, count * sizeof *values);
}

/* Evaluates an op's outputs, in order, while its names are still bound. *values is allocated in any case. */
static int work_out(machine_t *m, const op_t *op, const op_result_t *result, value_t **values) {
    *values = values_new(op->output_count);
    for (uint32_t i = 0; i < op->output_count; i++) {
        int rc = output_value(&op->outputs[i], op, result, m->scope, m->fuel, &(*values)[i], m->err);
        if (rc < 0) return err_prefix(m->err, "output %s", op->outputs[i].name->data);
    }
    return SDG_OK;
}

static void give_output(logic_run_t *r, str_t *name, value_t take) {
    size_t i = 0;
    while (r->block->names[i] != name && !str_equal(r->block->names[i], name))
        i++;
    value_replace(&r->outputs[i], take);
}

/* Gives a name and its value out of an op: of the block it becomes an output, of a step a variable. */
static int hand_over(machine_t *m, str_t *name, value_t take) {
    if (m->run->frame_count) return assign(m, name, take);
    give_output(m->run, name, take);
    return SDG_OK;
}

/* Gives all outputs of an op out, unless rc is an error already, and releases their values. */
static int hand_over_all(machine_t *m, int rc, const op_t *op, value_t *take_values) {
    for (uint32_t i = 0; i < op->output_count && rc == SDG_OK; i++)
        rc = hand_over(m, op->outputs[i].name, value_ref(take_values[i]));
    values_free(take_values, op->output_count);
    return rc;
}

/* Ends an op that never had a frame, with its value. */
static int finish_plain(machine_t *m, const op_t *op, value_t take, bool truth) {
    int rc = SDG_OK;
    if (op->output_count) {
        op_result_t result = {.value = take, .truth = truth, .emitted = m->run->emits};
        value_t *values;
        rc = work_out(m, op, &result, &values);
        rc = hand_over_all(m, rc, op, values);
    }
    set_last(m->run, take);
    return rc;
}

/* Ends the op of the top frame, with its value; its names are unbound. */
static int finish_frame(machine_t *m, value_t take, op_result_t result) {
    logic_run_t *r = m->run;
    const op_t *op = r->frames[r->frame_count - 1].op;
    value_t *values;
    result.value = take;
    result.emitted = r->emits;
    int rc = work_out(m, op, &result, &values);
    pop_frame(m);
    rc = hand_over_all(m, rc, op, values);
    set_last(r, take);
    return rc;
}

/* A body that is no list of steps: an expression, a text, or nothing (*out null). */
static int body_value(machine_t *m, const body_t *b, value_t *out) {
    *out = value_null();
    if (b->expr) return logic_eval(b->expr, m->scope, m->fuel, out, m->err);
    if (!b->text) return SDG_OK;
    buf_t text;
    buf_init(&text, MEX_TEXT_BYTES_MAX);
    int rc = template_render(b->text, m->scope, TEMPLATE_EMPTY, &text, m->err);
    if (rc == SDG_OK) *out = value_string(text.data ? text.data : "", text.len);
    buf_free(&text);
    return rc;
}

static bool is_absent(const body_t *b) { return !b->count && !b->expr && !b->text; }

/* ---- set, emit, expressions, conditions */

static int start_set(machine_t *m, const op_t *op) {
    value_t v;
    int rc = logic_eval(op->value, m->scope, m->fuel, &v, m->err);
    if (rc == SDG_OK) rc = assign(m, op->var, value_ref(v));
    if (rc == SDG_OK) return finish_plain(m, op, v, false);
    value_free(v);
    return rc;
}

static int start_emit(machine_t *m, const op_t *op) {
    value_t v;
    int rc = logic_eval(op->value, m->scope, m->fuel, &v, m->err);
    if (rc < 0) return rc;
    if (m->run->emits.kind == VALUE_NULL) m->run->emits = value_list(0);
    if (list_count(m->run->emits) >= MEX_LIST_MAX) {
        value_free(v);
        return err_set(m->err, SDG_ELIMIT, "more than %d values were emitted", MEX_LIST_MAX);
    }
    list_push(&m->run->emits, value_ref(v));
    m->run->emit_bytes += own_bytes(v);
    rc = finish_plain(m, op, v, false);
    return rc == SDG_OK ? check_bytes(m) : rc;
}

static int start_expr(machine_t *m, const op_t *op) {
    value_t v;
    int rc = logic_eval(op->value, m->scope, m->fuel, &v, m->err);
    return rc == SDG_OK ? finish_plain(m, op, v, false) : rc;
}

/* The operator `and` stops at the first operand that is false; `or` and `not` stop at the first that is true.
 */
static int start_test(machine_t *m, const op_t *op) {
    bool stop_at = op->kind != OP_AND;
    bool truth = !stop_at;
    for (uint32_t i = 0; i < op->operand_count && truth != stop_at; i++) {
        int rc = logic_eval_bool(op->operands[i], m->scope, m->fuel, &truth, m->err);
        if (rc < 0) return rc;
    }
    if (op->kind == OP_NOT) truth = !truth;
    return finish_plain(m, op, value_bool(truth), truth);
}

/* ---- if */

/* Steps run in a frame; anything else gives its value at once. */
static int start_if(machine_t *m, const op_t *op) {
    bool truth = false;
    int rc = logic_eval_bool(op->cond, m->scope, m->fuel, &truth, m->err);
    if (rc < 0) return rc;
    const body_t *body = truth ? &op->body : &op->other;
    if (body->count) {
        logic_frame_t *f = push_frame(m, op);
        f->phase = truth;
        run_body(f, body);
        return SDG_OK;
    }
    if (is_absent(body)) /* a step changes nothing; a block gives empty text */
        return finish_plain(m, op, m->run->frame_count ? value_ref(m->run->last) : value_text(""), truth);
    value_t v;
    rc = body_value(m, body, &v);
    return rc == SDG_OK ? finish_plain(m, op, v, truth) : rc;
}

static int resume_if(machine_t *m, logic_frame_t *f) {
    return finish_frame(m, value_ref(m->run->last), (op_result_t){.truth = f->phase != 0});
}

/* ---- let */

/* The bindings see each other in order. */
static int start_let(machine_t *m, const op_t *op) {
    logic_frame_t *f = push_frame(m, op);
    for (uint32_t i = 0; i < op->binding_count; i++) {
        value_t v;
        int rc = logic_eval(op->bindings[i].value, m->scope, m->fuel, &v, m->err);
        if (rc < 0) return err_prefix(m->err, "binding %s", op->bindings[i].name->data);
        set_last(m->run, value_ref(v));
        bind(m->run, op->bindings[i].name, v);
    }
    if (op->body.count) {
        run_body(f, &op->body);
        return SDG_OK;
    }
    if (is_absent(&op->body)) return SDG_OK;
    value_t v;
    int rc = body_value(m, &op->body, &v);
    if (rc == SDG_OK) set_last(m->run, v);
    return rc;
}

static int resume_let(machine_t *m, logic_frame_t *f) {
    (void)f;
    return finish_frame(m, value_ref(m->run->last), (op_result_t){0});
}

/* ---- loops */

/* May this loop run once more? *go false: the budget ends it here, and it keeps what there is. */
static int may_iterate(machine_t *m, const logic_frame_t *f, bool *go) {
    const budget_t *b = &m->run->budget;
    *go = f->iterations < b->loop_iters_max;
    if (*go || b->loop_exceed != EXCEED_ERROR) return SDG_OK;
    return err_set(m->err, SDG_ELIMIT, "more than %llu iterations (budget loops.max_iters)",
                   (unsigned long long)b->loop_iters_max);
}

/* Runs `init` before the first test of the condition. */
static int start_while(machine_t *m, const op_t *op) {
    logic_frame_t *f = push_frame(m, op);
    collect_own(m, f);
    for (uint32_t i = 0; i < op->binding_count; i++) {
        value_t v;
        int rc = logic_eval(op->bindings[i].value, m->scope, m->fuel, &v, m->err);
        if (rc == SDG_OK) rc = assign(m, op->bindings[i].name, v);
        if (rc < 0) return rc;
    }
    if (op->other.count) {
        run_body(f, &op->other);
        return SDG_OK;
    }
    value_t v;
    int rc = body_value(m, &op->other, &v);
    value_free(v);
    return rc;
}

/* Tests the condition and runs the body once more, or ends the loop. */
static int resume_while(machine_t *m, logic_frame_t *f) {
    bool go = false;
    int rc = logic_eval_bool(f->op->cond, m->scope, m->fuel, &go, m->err);
    if (rc == SDG_OK && go) rc = may_iterate(m, f, &go);
    if (rc < 0) return rc;
    if (!go) return finish_frame(m, value_ref(m->run->last), (op_result_t){.iterations = f->iterations});
    f->iterations++;
    if (f->op->body.count || is_absent(&f->op->body)) {
        run_body(f, &f->op->body);
        return SDG_OK;
    }
    value_t v;
    rc = body_value(m, &f->op->body, &v);
    if (rc == SDG_OK) set_last(m->run, v);
    return rc;
}

/* ---- for */

enum { FOR_NEXT, FOR_IN_STEPS };

/* Does the list of filtered elements differ from the list itself? */
static bool for_copies(const machine_t *m, const logic_frame_t *f) {
    return f->op->cond || list_count(f->list) > m->run->budget.loop_iters_max;
}

static int finish_for(machine_t *m, const logic_frame_t *f) {
    value_t filtered = for_copies(m, f) ? f->kept : f->list;
    value_t mapped = is_absent(&f->op->body) ? filtered : f->made;
    return finish_frame(m, value_ref(mapped),
                        (op_result_t){.raw = f->list, .filtered = filtered, .mapped = mapped});
}

static int start_for(machine_t *m, const op_t *op) {
    value_t list;
    int rc = list_source_get(&op->list, m->scope, m->fuel, &list, m->err);
    if (rc < 0) return rc;
    logic_frame_t *f = push_frame(m, op);
    bind(m->run, op->var, value_null());
    f->list = list;
    f->kept = value_list(0);
    f->made = value_list(is_absent(&op->body) ? 0 : list_count(list));
    if (is_absent(&op->body) && !for_copies(m, f))
        f->iterations = list_count(list); /* nothing to do for each */
    return SDG_OK;
}

/* Takes the next element: `where`, then `map`. *in_steps: its steps run now, and resume_for takes their
 * value. */
static int for_element(machine_t *m, logic_frame_t *f, bool *in_steps) {
    const op_t *op = f->op;
    bool pass = true;
    value_t element = list_peek(f->list, f->iterations++);
    locals_set(here(m->run), op->var, value_ref(element));
    int rc = op->cond ? logic_eval_bool(op->cond, m->scope, m->fuel, &pass, m->err) : SDG_OK;
    *in_steps = false;
    if (rc < 0 || !pass) return rc;
    if (for_copies(m, f)) list_push(&f->kept, value_ref(element));
    if (is_absent(&op->body)) return SDG_OK;
    if (op->body.count) {
        *in_steps = true;
        f->phase = FOR_IN_STEPS;
        run_body(f, &op->body);
        return SDG_OK;
    }
    value_t v;
    rc = body_value(m, &op->body, &v);
    return rc == SDG_OK ? push_made(m, f, v) : rc;
}

/* Takes the value of the element whose steps have run, then goes on until steps have to run, fuel is used up,
 * or the list ends. */
static int resume_for(machine_t *m, logic_frame_t *f) {
    if (f->phase == FOR_IN_STEPS) {
        f->phase = FOR_NEXT;
        f->body = NULL;
        int rc = push_made(m, f, value_ref(m->run->last));
        if (rc < 0) return rc;
    }
    while (f->iterations < list_count(f->list)) {
        bool go = true, in_steps = false;
        if (*m->fuel == 0) return SDG_OK;
        --*m->fuel;
        int rc = may_iterate(m, f, &go);
        if (rc == SDG_OK && go) rc = for_element(m, f, &in_steps);
        if (rc < 0 || in_steps) return rc;
        if (!go) break;
    }
    return finish_for(m, f);
}

/* ---- reduce */

/* Without a seed the first element is the seed, and the loop begins with the second one. */
static int start_reduce(machine_t *m, const op_t *op) {
    value_t list, seed = value_null();
    int rc = list_source_get(&op->list, m->scope, m->fuel, &list, m->err);
    if (rc < 0) return rc;
    if (op->value) rc = logic_eval(op->value, m->scope, m->fuel, &seed, m->err);
    if (rc < 0) {
        value_free(list);
        return rc;
    }
    logic_frame_t *f = push_frame(m, op);
    f->list = list;
    if (!op->value && list_count(list)) {
        seed = value_ref(list_peek(list, 0));
        f->phase = 1; /* elements already taken */
    }
    bind(m->run, op->var, value_null());
    bind(m->run, op->accumulator, seed);
    return SDG_OK;
}

static int finish_reduce(machine_t *m, const logic_frame_t *f) {
    const op_t *op = f->op;
    value_t *slot = own_local(here(m->run), op->accumulator);
    value_t sum = slot ? value_ref(*slot) : value_null();
    int rc = finish_frame(m, value_ref(sum), (op_result_t){0});
    /* A reduce step without outputs leaves its result under the accumulator's name. */
    if (rc == SDG_OK && op->line && op->output_count == 0) return assign(m, op->accumulator, sum);
    value_free(sum);
    return rc;
}

/* Steps of the body leave their result in the accumulator; an expression is put there here. */
static int resume_reduce(machine_t *m, logic_frame_t *f) {
    const op_t *op = f->op;
    while (f->iterations + f->phase < list_count(f->list)) {
        bool go = true;
        if (*m->fuel == 0) return SDG_OK;
        --*m->fuel;
        int rc = may_iterate(m, f, &go);
        if (rc < 0) return rc;
        if (!go) break;
        locals_set(here(m->run), op->var, value_ref(list_peek(f->list, f->phase + f->iterations++)));
        if (op->body.count) {
            run_body(f, &op->body);
            return SDG_OK;
        }
        value_t v;
        rc = body_value(m, &op->body, &v);
        if (rc < 0) return rc;
        locals_set(here(m->run), op->accumulator, v);
    }
    f->body = NULL;
    return finish_reduce(m, f);
}

/* ---- call and recurse */

static int push_call(machine_t *m, locals_t take) {
    logic_run_t *r = m->run;
    logic_call_t *caller = &r->calls[r->call_count - 1];
    caller->bytes = locals_bytes(&caller->locals);
    r->call_bytes += caller->bytes;
    if (r->call_count == r->call_cap)
        r->calls = small_grow(r->calls, &r->call_cap, CALLS_FIRST, sizeof *r->calls);
    r->calls[r->call_count++] = (logic_call_t){.locals = take};
    use_call(m);
    return check_bytes(m);
}

/* The callee's locals, given to the caller; the frame of the call is on top. */
static locals_t pop_call(machine_t *m) {
    logic_run_t *r = m->run;
    restore(r, r->frames[r->frame_count - 1].save_mark);
    locals_t callee = r->calls[--r->call_count].locals;
    r->call_bytes -= r->calls[r->call_count - 1].bytes;
    use_call(m);
    return callee;
}

/* Evaluates the arguments in the caller's scope; those that are not given are null. After an error the caller
 * frees *args. */
static int call_arguments(machine_t *m, const op_t *op, const logic_function_t *fn, locals_t *args) {
    for (uint32_t i = 0; i < fn->arg_count; i++)
        locals_set(args, fn->args[i], value_null());
    for (uint32_t i = 0; i < op->binding_count; i++) {
        const binding_t *b = &op->bindings[i];
        value_t v;
        int rc = logic_eval(b->value, m->scope, m->fuel, &v, m->err);
        if (rc < 0) return rc;
        if (b->name)
            locals_set(args, b->name, v);
        else if (i < fn->arg_count)
            locals_set(args, fn->args[i], v);
        else
            value_free(v);
    }
    return SDG_OK;
}

/* Ends the call of the top frame with its returned values, a list by position. */
static int finish_call(machine_t *m, value_t take_rets) {
    logic_run_t *r = m->run;
    const op_t *op = r->frames[r->frame_count - 1].op;
    locals_t callee = pop_call(m);
    size_t count = list_count(take_rets);
    value_t first = count ? value_ref(list_peek(take_rets, 0)) : value_ref(r->last);
    op_result_t result = {.value = first, .callee = &callee, .emitted = r->emits};
    value_t *values;
    int rc = work_out(m, op, &result, &values);
    pop_frame(m);
    for (uint32_t i = 0; rc == SDG_OK && i < op->return_count; i++)
        rc = hand_over(m, op->returns[i],
                       i < count ? value_ref(list_peek(take_rets, i))
                       : i == 0  ? value_ref(first)
                                 : value_null());
    rc = hand_over_all(m, rc, op, values);
    value_free(take_rets);
    locals_free(&callee);
    set_last(r, first);
    return rc;
}

/* The values that the steps have left under the names that the function returns. */
static value_t returned_locals(machine_t *m, const logic_function_t *fn) {
    value_t rets = value_list(fn->return_count);
    for (uint32_t i = 0; i < fn->return_count; i++) {
        const value_t *v = own_local(here(m->run), fn->returns[i]);
        if (!v) v = scope_find(m->scope, fn->returns[i]);
        list_push(&rets, v ? value_ref(*v) : value_null());
    }
    return rets;
}

/* Sets the names that the function returns, for outputs with `from: var`. */
static void name_returned(machine_t *m, const logic_function_t *fn, value_t rets) {
    for (uint32_t i = 0; i < fn->return_count && i < list_count(rets); i++)
        locals_set(here(m->run), fn->returns[i], value_ref(list_peek(rets, i)));
}

static int return_base(machine_t *m, const logic_function_t *fn) {
    value_t rets = value_list(fn->base_count);
    set_last(m->run, value_null());
    for (uint32_t i = 0; i < fn->base_count; i++) {
        value_t v;
        int rc = logic_eval(fn->base_values[i], m->scope, m->fuel, &v, m->err);
        list_push(&rets, v);
        if (rc == SDG_OK) continue;
        value_free(rets);
        return err_prefix(m->err, "base_case");
    }
    name_returned(m, fn, rets);
    return finish_call(m, rets);
}

static int return_expression(machine_t *m, const logic_function_t *fn) {
    value_t v;
    int rc = body_value(m, &fn->body, &v);
    if (rc < 0) return rc;
    value_t rets = value_list(1);
    list_push(&rets, v);
    name_returned(m, fn, rets);
    return finish_call(m, rets);
}

/* Is the call deeper than the budget? Then it is an error, or the base case's value is used (*cut). The
 * block's own call is depth 0. */
static int check_depth(machine_t *m, const logic_function_t *fn, bool *cut) {
    const budget_t *b = &m->run->budget;
    *cut = m->run->call_count - 1 > b->recursion_depth_max;
    if (!*cut || b->recursion_exceed != EXCEED_ERROR) return SDG_OK;
    return err_set(m->err, SDG_ELIMIT, "%s: calls are deeper than %u (budget recursion.max_depth)",
                   fn->name->data, b->recursion_depth_max);
}

/* The base case is tested with the arguments in place; a body that is one expression needs no steps. */
static int start_call(machine_t *m, const op_t *op) {
    const logic_function_t *fn = &m->run->program->functions[op->function];
    locals_t args = {0};
    bool base = false;
    int rc = check_depth(m, fn, &base);
    if (rc == SDG_OK) rc = call_arguments(m, op, fn, &args);
    if (rc < 0) {
        locals_free(&args);
        return rc;
    }
    logic_frame_t *f = push_frame(m, op);
    rc = push_call(m, args);
    if (rc == SDG_OK && !base && fn->base_cond)
        rc = logic_eval_bool(fn->base_cond, m->scope, m->fuel, &base, m->err);
    if (rc < 0) return rc;
    if (base) return return_base(m, fn);
    if (fn->body.expr || fn->body.text) return return_expression(m, fn);
    run_body(f, &fn->body);
    return SDG_OK;
}

static int resume_call(machine_t *m, logic_frame_t *f) {
    return finish_call(m, returned_locals(m, &m->run->program->functions[f->op->function]));
}

/* ---- the loop */

static int start_op(machine_t *m, const op_t *op) {
    int rc = actions_of(op)->start(m, op);
    if (rc < 0 && op->line) err_prefix(m->err, "line %u (%s)", op->line, actions_of(op)->name);
    return rc;
}

static int resume_op(machine_t *m, logic_frame_t *f) {
    const op_t *op = f->op;
    int rc = actions_of(op)->resume(m, f);
    if (rc < 0 && op->line) err_prefix(m->err, "line %u (%s)", op->line, actions_of(op)->name);
    return rc;
}

/* Runs until the block is finished, fails, or the fuel is used up. */
static int advance(machine_t *m) {
    logic_run_t *r = m->run;
    int rc = SDG_OK;
    if (!r->started) {
        r->started = true;
        rc = start_op(m, &r->block->op);
    }
    while (rc == SDG_OK && r->frame_count && *m->fuel) {
        logic_frame_t *f = &r->frames[r->frame_count - 1];
        --*m->fuel;
        rc = f->body && f->next < f->body->count ? start_op(m, &f->body->ops[f->next++]) : resume_op(m, f);
    }
    r->finished = r->frame_count == 0;
    return rc;
}

logic_run_t *logic_start(const logic_program_t *program, const logic_block_t *block, const budget_t *budget) {
    logic_run_t *r = small_alloc(sizeof *r);
    *r = (logic_run_t){.program = program, .block = block, .budget = *budget, .call_count = 1};
    r->calls = small_grow(NULL, &r->call_cap, CALLS_FIRST, sizeof *r->calls);
    r->calls[0] = (logic_call_t){0};
    r->outputs = values_new(block->name_count);
    return r;
}

logic_status_t logic_step(logic_run_t *run, scope_t *scope, uint32_t *fuel, err_t *err) {
    machine_t m = {.run = run, .scope = scope, .fuel = fuel, .err = err};
    locals_t *outside = scope->locals;
    assert(!run->finished);
    use_call(&m);
    int rc = advance(&m);
    scope->locals = outside;
    if (rc < 0) return LOGIC_FAILED;
    return run->finished ? LOGIC_DONE : LOGIC_YIELD;
}

value_t logic_output_peek(const logic_run_t *run, size_t i) {
    assert(run->finished && i < run->block->name_count);
    return run->outputs[i];
}

void logic_abort(logic_run_t **run) {
    logic_run_t *r = *run;
    if (!r) return;
    *run = NULL;
    while (r->frame_count)
        frame_drop(r, &r->frames[--r->frame_count]);
    for (uint32_t i = 0; i < r->save_count; i++) {
        value_free(r->saves[i].value);
        str_free(r->saves[i].name);
    }
    for (uint32_t i = 0; i < r->call_count; i++)
        locals_free(&r->calls[i].locals);
    small_free(r->frames, r->frame_cap * sizeof *r->frames);
    small_free(r->calls, r->call_cap * sizeof *r->calls);
    small_free(r->saves, r->save_cap * sizeof *r->saves);
    value_free(r->last);
    value_free(r->emits);
    values_free(r->outputs, r->block->name_count);
    small_free(r, sizeof *r);
}

/* ---- what each op does */

static const op_actions_t ACTIONS[OP_KINDS] = {
    [OP_SET] = {"set", start_set, NULL},
    [OP_EMIT] = {"emit", start_emit, NULL},
    [OP_EXPR] = {"expression", start_expr, NULL},
    [OP_LET] = {"let", start_let, resume_let},
    [OP_IF] = {"if", start_if, resume_if},
    [OP_WHILE] = {"while", start_while, resume_while},
    [OP_FOR] = {"for", start_for, resume_for},
    [OP_REDUCE] = {"reduce", start_reduce, resume_reduce},
    [OP_CALL] = {"call", start_call, resume_call},
    [OP_AND] = {"and", start_test, NULL},
    [OP_OR] = {"or", start_test, NULL},
    [OP_NOT] = {"not", start_test, NULL},
};

static const op_actions_t *actions_of(const op_t *op) { return &ACTIONS[op->kind]; }
