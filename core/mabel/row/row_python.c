/* row_python.c - python blocks: from inputs to a call, from events to outputs and variables, and ctx.call_ai
 * in between.
 *
 * A call lives from row_python_start to its PY_DONE or PY_FAILED event. While its user code waits in call_ai,
 * the row wants an LLM like any ai block; the answer goes back as ROW_WANT_REPLY and the row waits for the
 * next event. A call_ai that cannot be made (budget, no such model) is answered with an error at once: it
 * raises in the user's code. */
#include "core/mabel/row/row_state.h"

#include "core/base/text.h"
#include "core/llm/chat.h"
#include "core/mabel/pipeline/limits.h"
#include "core/mabel/row/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void clear_call(row_t *row) {
    value_free(row->call.args);
    value_free(row->call.kwargs);
    value_free(row->call.context);
    value_free(row->call.vars);
    value_free(row->call.consts);
    row->call = (py_call_t){0};
}

void row_event_none(row_t *row) {
    py_event_t *e = &row->event;
    e->outputs = e->vars = e->ai = e->log = e->words = value_null();
    row->has_event = false;
}

static void clear_event(row_t *row) {
    value_free(row->event.outputs);
    value_free(row->event.vars);
    value_free(row->event.ai);
    value_free(row->event.log);
    value_free(row->event.words);
    row_event_none(row);
}

static void clear_headers(row_t *row) {
    for (size_t i = 0; i < row->request_header_count; i++)
        free(row->request_headers[i]);
    free(row->request_headers);
    row->request_headers = NULL;
    row->request_header_count = 0;
}

void row_python_clear(row_t *row) {
    clear_call(row);
    clear_event(row);
    clear_headers(row);
    value_clear(&row->reply_text);
}

/* ---- the call */

static value_t named_input(row_t *row, str_t *name) {
    dotted_t dotted;
    dotted_init(&dotted, name->data, name->len);
    const value_t *v = dotted_find(&dotted, &row->scope, scope_find);
    dotted_free(&dotted);
    return v ? value_ref(*v) : value_null();
}

/* A placeholder that is nothing is empty text here, not null. */
static int template_input(row_t *row, const template_t *t, value_t *out) {
    bool resolved = false;
    int rc = template_value(t, &row->scope, TEMPLATE_EMPTY, out, &resolved, &row->err);
    if (rc == SDG_OK && !resolved && out->kind == VALUE_NULL) value_replace(out, value_text(""));
    return rc;
}

static int input_value(row_t *row, const py_input_t *in, value_t *out) {
    *out = value_null();
    row->scope.ops = 0;
    if (in->mex) return mex_eval(in->mex, &row->scope, out, &row->err);
    if (in->tpl) return template_input(row, in->tpl, out);
    *out = in->context_name ? named_input(row, in->context_name) : value_ref(in->literal);
    return SDG_OK;
}

/* Evaluates the inputs into args (written as a list) or kwargs (written as a map). row_python_clear releases
 * them. */
static int bind_inputs(row_t *row, const python_block_t *py) {
    row->call.args = value_list(py->positional ? py->input_count : 0);
    row->call.kwargs = value_object(py->positional ? 0 : py->input_count);
    for (size_t i = 0; i < py->input_count; i++) {
        const py_input_t *in = &py->inputs[i];
        value_t v;
        int rc = input_value(row, in, &v);
        if (rc < 0)
            return err_prefix(&row->err, "input %s",
                              in->param          ? in->param->data
                              : in->context_name ? in->context_name->data
                                                 : "?");
        if (py->positional || !in->param)
            list_push(&row->call.args, v);
        else
            object_set(&row->call.kwargs, in->param, v);
    }
    return SDG_OK;
}

static value_t seen_context(const row_t *row) {
    value_t context = value_ref(row->context);
    for (size_t i = 0; row->overlay.kind == VALUE_OBJECT && i < object_count(row->overlay); i++)
        object_set(&context, object_key_peek(row->overlay, i), value_ref(object_value_peek(row->overlay, i)));
    return context;
}

bool row_python_start(row_t *row) {
    const python_block_t *py = &row_block(row)->python;
    row_python_clear(row);
    if (bind_inputs(row, py) < 0) return row_block_failed(row, "input");
    row->call.function = row->at;
    row->call.timeout_ms = py->timeout_ms;
    row->call.context = seen_context(row);
    row->call.vars = value_ref(row->vars);
    row->call.consts = value_ref(row->pipeline->consts);
    row->phase = PHASE_PYTHON;
    row_trace_add(row, "args", value_ref(py->positional ? row->call.args : row->call.kwargs));
    return row_wait(row, ROW_WANT_PYTHON);
}

/* ---- the end of the call */

static bool take_done(row_t *row) {
    value_t outputs = value_ref(row->event.outputs), vars = value_ref(row->event.vars);
    int rc = SDG_OK;
    row_note_repairs(row, row_block(row)->label->data, row->event.repairs);
    for (size_t i = 0; rc == SDG_OK && vars.kind == VALUE_OBJECT && i < object_count(vars); i++)
        rc = scope_set(&row->scope, object_key_peek(vars, i), value_ref(object_value_peek(vars, i)),
                       &row->err);
    for (size_t i = 0; rc == SDG_OK && outputs.kind == VALUE_OBJECT && i < object_count(outputs); i++)
        row_give(row, object_key_peek(outputs, i), value_ref(object_value_peek(outputs, i)));
    value_free(outputs);
    value_free(vars);
    row_python_clear(row);
    return rc == SDG_OK ? row_block_done(row) : row_block_failed(row, "python");
}

static bool take_failed(row_t *row) {
    row->err = row->event.error;
    if (row->err.code == SDG_OK) row->err.code = SDG_EINVAL;
    value_replace(&row->words, value_ref(row->event.words));
    return row_block_failed(row, "python");
}

/* ---- call_ai */

static bool reply(row_t *row) {
    row->phase = PHASE_PYTHON;
    return row_wait(row, ROW_WANT_REPLY);
}

static bool reply_error(row_t *row) {
    row->reply_error = row->err;
    value_clear(&row->words);
    value_clear(&row->reply_text);
    return reply(row);
}

static value_t field(value_t v, const char *key) {
    return v.kind == VALUE_OBJECT ? object_get_peek(v, key, strlen(key), NULL) : value_null();
}

/* The model by name; without a name, the only one there is. */
static int find_model(row_t *row, value_t name, uint32_t *model) {
    const pipeline_t *p = row->pipeline;
    if (name.kind == VALUE_NULL && p->named_count == 1) {
        *model = 0;
        return SDG_OK;
    }
    for (size_t i = 0; name.kind == VALUE_STRING && i < p->named_count; i++) {
        if (!str_equal(p->models[i].name, name.string)) continue;
        *model = (uint32_t)i;
        return SDG_OK;
    }
    return err_set(&row->err, SDG_EINVAL, "call_ai: no model is called %s",
                   name.kind == VALUE_STRING ? name.string->data : "that");
}

static value_t joined_prompts(value_t prompts) {
    if (prompts.kind != VALUE_LIST) return value_from_str(text_of(prompts));
    buf_t text;
    buf_init(&text, ROW_BODY_BYTES_MAX);
    for (size_t i = 0; i < list_count(prompts); i++) {
        if (i) buf_adds(&text, "\n\n");
        text_write(&text, list_peek(prompts, i));
    }
    value_t out = value_string(text.data ? text.data : "", text.len);
    buf_free(&text);
    return out;
}

static void set_headers(row_t *row, value_t headers) {
    clear_headers(row);
    if (headers.kind != VALUE_OBJECT || object_count(headers) == 0) return;
    row->request_headers = xcalloc(object_count(headers), sizeof *row->request_headers);
    for (size_t i = 0; i < object_count(headers); i++) {
        str_t *text = text_of(object_value_peek(headers, i));
        if (!strpbrk(text->data, "\r\n") && !strpbrk(object_key_peek(headers, i)->data, "\r\n:"))
            row->request_headers[row->request_header_count++] =
                xasprintf("%s: %s", object_key_peek(headers, i)->data, text->data);
        str_free(text);
    }
}

/* The model's parameters with the call's on top, without what is not for the body. */
static value_t merged_params(value_t base, value_t params) {
    value_t out = value_ref(base);
    if (out.kind != VALUE_OBJECT) value_replace(&out, value_object(4));
    for (size_t i = 0; params.kind == VALUE_OBJECT && i < object_count(params); i++) {
        str_t *key = object_key_peek(params, i);
        value_t v = object_value_peek(params, i);
        if (strcmp(key->data, "extra_body") == 0) {
            value_replace(&out, merged_params(out, v));
        } else if (strcmp(key->data, "extra_headers") != 0 && strcmp(key->data, "retry") != 0 &&
                   strcmp(key->data, "timeout_sec") != 0) {
            object_set(&out, key, value_ref(v));
        }
    }
    return out;
}

static uint32_t timeout_of(value_t params) {
    value_t s = field(params, "timeout_sec");
    double seconds = s.kind == VALUE_INT ? (double)s.integer : s.kind == VALUE_REAL ? s.real : 0;
    return seconds > 0 && seconds < LLM_TIMEOUT_S_MAX ? (uint32_t)ceil(seconds * 1000) : 0;
}

/* Makes the request of a call_ai event, as an ai block would; an error is the answer to the call. */
static int ask(row_t *row) {
    value_t ai = row->event.ai, params = field(ai, "params"), system = field(ai, "system");
    uint32_t model = 0;
    int rc = find_model(row, field(ai, "model"), &model);
    if (rc == SDG_OK) rc = row_llm_begin(row);
    if (rc < 0) return rc;
    value_t content = joined_prompts(field(ai, "prompts"));
    value_t merged = merged_params(row->pipeline->models[model].params, params);
    value_t api_model = {.kind = VALUE_STRING, .string = row->pipeline->models[model].api_model};
    bool has_system = system.kind != VALUE_NULL && !(system.kind == VALUE_STRING && system.string->len == 0);
    value_t system_text = has_system ? value_from_str(text_of(system)) : value_null();
    buf_reset(&row->body);
    chat_request_write(&row->body, api_model, system_text, content, merged);
    value_free(system_text);
    value_free(content);
    value_free(merged);
    if (row->body.full)
        return err_set(&row->err, SDG_ELIMIT, "call_ai: the request is longer than %zu MiB",
                       ROW_BODY_BYTES_MAX >> 20);
    set_headers(row, field(params, "extra_headers"));
    row_request_set(row, model, row->request_headers, row->request_header_count, timeout_of(params), NULL);
    return SDG_OK;
}

static bool take_call_ai(row_t *row) {
    value_t id = field(row->event.ai, "id");
    row->reply_id = id.kind == VALUE_INT ? id.integer : 0;
    int rc = ask(row);
    clear_event(row);
    if (rc < 0) return reply_error(row);
    row->phase = PHASE_PYTHON_LLM;
    return row_wait(row, ROW_WANT_LLM);
}

bool row_python_llm(row_t *row) {
    if (row_llm_end(row) < 0) return reply_error(row);
    err_clear(&row->reply_error);
    value_replace(&row->reply_text, row->answer.text);
    row->answer.text = value_null();
    llm_answer_clear(&row->answer);
    if (row->reply_text.kind != VALUE_STRING) value_replace(&row->reply_text, value_text(""));
    return reply(row);
}

/* ---- events */

bool row_python_continue(row_t *row) {
    switch (row->event.kind) {
    case PY_DONE: return take_done(row);
    case PY_FAILED: return take_failed(row);
    case PY_CALL_AI: return take_call_ai(row);
    case PY_LOG: break;
    }
    clear_event(row);
    return true;
}

/* A log line needs no handler: it goes into the trace at once. */
void row_python_event(row_t *row, py_event_t *event) {
    if (event->kind == PY_LOG) {
        row_trace_log(row, event->log);
        value_free(event->outputs);
        value_free(event->vars);
        value_free(event->ai);
        value_free(event->words);
    } else {
        clear_event(row);
        row->event = *event;
        row->has_event = true;
        if (event->kind != PY_CALL_AI && row->phase == PHASE_PYTHON_LLM)
            row->phase =
                PHASE_PYTHON; /* the call has ended: the answer to its ctx.call_ai is not needed any more */
    }
    event->outputs = event->vars = event->ai = event->log = event->words = value_null();
}

void row_python_reply(const row_t *row, int64_t *id, value_t *text, const char **error) {
    *id = row->reply_id;
    *text = row->reply_text;
    *error = row->reply_error.code ? row->reply_error.text : NULL;
}
