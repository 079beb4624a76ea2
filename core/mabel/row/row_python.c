/* row_python.c - python blocks: from inputs to a call, from its end to outputs and variables, and ctx.call_ai
 * in between.
 *
 * A call lives from row_python_start to its PY_DONE or PY_FAILED event. What its user code asks LLMs
 * meanwhile goes by beside it: the row makes the requests and counts the answers, but does not wait for them.
 * A question that cannot be asked (budget, no such model) is answered with an error, which raises in the
 * user's code. */
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
    row->calls_before = row->calls_begun;
    row->tokens_before = row->tokens_used;
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

/* Makes the request in row->request, as an ai block would. */
static int make_request(row_t *row, value_t question) {
    value_t params = field(question, "params"), system = field(question, "system");
    uint32_t model = 0;
    int rc = find_model(row, field(question, "model"), &model);
    if (rc < 0) return rc;
    value_t content = joined_prompts(field(question, "prompts"));
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

/* The error of a question is the user code's to handle, and none of the block. */
static int told(row_t *row, int rc, err_t *err) {
    if (rc < 0) *err = row->err;
    err_clear(&row->err);
    value_clear(&row->words);
    return rc;
}

int row_ask_begin(row_t *row, uint64_t now_ns, err_t *err) {
    row->now_ns = now_ns;
    return told(row, row_llm_begin(row), err);
}

int row_ask_request(row_t *row, value_t question, llm_request_t *request, err_t *err) {
    json_repairs_t before = json_repairs_so_far();
    int rc = make_request(row, question);
    row_note_repairs(row, row_block(row)->label->data, json_repairs_since(before));
    *request = row->request;
    return told(row, rc, err);
}

int row_ask_answer(row_t *row, llm_answer_t *answer, value_t *text, err_t *err) {
    row_llm_answer(row, answer);
    int rc = row_llm_end(row);
    *text =
        rc == SDG_OK && row->answer.text.kind == VALUE_STRING ? value_ref(row->answer.text) : value_text("");
    llm_answer_clear(&row->answer);
    return told(row, rc, err);
}

/* ---- events */

bool row_python_continue(row_t *row) {
    return row->event.kind == PY_DONE ? take_done(row) : take_failed(row);
}

/* A log line needs no handler: it goes into the trace at once. */
void row_python_event(row_t *row, py_event_t *event) {
    if (event->kind == PY_LOG) {
        row_trace_log(row, event->log);
        event->log = value_null();
        py_event_free(event);
    } else {
        clear_event(row);
        row->event = *event;
        row->has_event = true;
    }
    event->outputs = event->vars = event->ai = event->log = event->words = value_null();
}

void row_python_again(row_t *row) {
    row->calls_begun = row->calls_before;
    row->tokens_used = row->tokens_before;
}
