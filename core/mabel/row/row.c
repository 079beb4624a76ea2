/* row.c - the row machine: a loop over phases.
 *
 * Nothing in here waits. A handler that needs an answer records what it wants and returns; the answer is
 * stored by row_llm_answer or row_python_event and looked at in the next row_run. Everything that a row needs
 * of its pipeline is shared by reference, so one of a thousand rows costs only what it changes.
 *
 * To add a block type: a case in start_block, and a phase with its handler if it has to wait. */
#include "core/mabel/row/row_state.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/result_line.h"
#include "core/base/text.h"
#include "core/mabel/row/limits.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_LINE_FIRST = 256,   /* bytes reserved for a result at once: most results fit */
    LABEL_SHOWN_MAX = 1000, /* bytes of a block's name in front of its error */
    LABEL_COUNTED_MAX = 28, /* and of its kind, which is short */
};

bool row_wait(row_t *row, row_want_t want) {
    row->want = want;
    return false;
}

/* ---- the result */

/* Writes the result line: _row_index first, then the columns, then _trace if there is one. */
static void write_result(row_t *row, value_t take_final) {
    buf_reserve(&row->line_out, ROW_LINE_FIRST);
    value_t result = value_object(object_count(take_final) + 2);
    object_set_text(&result, RESULT_LINE_ROW, value_int((int64_t)row->index));
    for (size_t i = 0; i < object_count(take_final); i++) {
        str_t *key = object_key_peek(take_final, i);
        if (strcmp(key->data, RESULT_LINE_ROW) != 0)
            object_set(&result, key, value_ref(object_value_peek(take_final, i)));
    }
    value_t trace = row_trace_take(row);
    if (trace.kind != VALUE_NULL) object_set_text(&result, "_trace", trace);
    json_write(&row->line_out, result, JSON_PYTHON);
    value_free(result);
    value_free(take_final);
}

/* The longest front of a text that has at most `max` bytes and splits no character. */
static int front_length(const char *text, size_t max) {
    size_t len = strnlen(text, max + 1);
    if (len <= max) return (int)len;
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    return (int)len;
}

/* "<label>: <text>", cut to ROW_ERROR_BYTES_MAX. */
static void write_error(buf_t *line, const char *label, const char *text) {
    if (label) buf_addf(line, "%.*s: ", front_length(label, LABEL_SHOWN_MAX), label);
    size_t room = ROW_ERROR_BYTES_MAX - line->len;
    if (strlen(text) <= room)
        buf_adds(line, text);
    else
        buf_addf(line, "%.*s...", front_length(text, room - 3), text);
}

/* With save_intermediate the result holds the outputs so far, unless they do not fit: then the error alone.
 */
void row_fail(row_t *row, const char *label, const char *text, const char *kind) {
    buf_t line;
    buf_init(&line, ROW_ERROR_BYTES_MAX);
    write_error(&line, label, text);
    value_t final = row->saved.kind == VALUE_OBJECT ? value_ref(row->saved) : value_object(1);
    object_set_text(&final, RESULT_LINE_ERROR, value_string(line.data ? line.data : "", line.len));
    buf_free(&line);
    row->failed = true;
    if (label)
        snprintf(row->reason, sizeof row->reason, "%.*s: %s", front_length(label, LABEL_COUNTED_MAX), label,
                 kind);
    else
        snprintf(row->reason, sizeof row->reason, "%s", kind);
    value_t error = value_ref(object_get_peek(final, RESULT_LINE_ERROR, sizeof RESULT_LINE_ERROR - 1, NULL));
    buf_reset(&row->line_out);
    write_result(row, final);
    if (row->line_out.full) { /* the intermediates are too much: the reason alone */
        value_t alone = value_object(1);
        object_set_text(&alone, RESULT_LINE_ERROR, value_ref(error));
        buf_reset(&row->line_out);
        write_result(row, alone);
    }
    value_free(error);
    row->phase = PHASE_FINISHED;
    row->want = ROW_FINISHED;
}

static void merge(value_t *into, value_t from) {
    for (size_t i = 0; from.kind == VALUE_OBJECT && i < object_count(from); i++)
        object_set(into, object_key_peek(from, i), value_ref(object_value_peek(from, i)));
}

bool row_finish(row_t *row, value_t take_final) {
    merge(&take_final, row->saved);
    row_trace_end(row, NULL);
    write_result(row, take_final);
    row->phase = PHASE_FINISHED;
    if (!row->line_out.full) return row_wait(row, ROW_FINISHED);
    row_fail(row, "result", "the result is too large for one line of output", "too large");
    return false;
}

/* ---- birth */

static uint32_t count_of(uint64_t n) { return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX; }

static void rename_columns(row_t *row) {
    const row_options_t *o = row->options;
    for (size_t i = 0; i < o->mapping_count; i++) {
        bool found = false;
        const char *from = o->mapping[i].from;
        value_t v = value_ref(object_get_peek(row->context, from, strlen(from), &found));
        if (found && strcmp(from, o->mapping[i].to) != 0) {
            object_remove(&row->context, from, strlen(from));
            object_set_text(&row->context, o->mapping[i].to, value_ref(v));
        }
        value_free(v);
    }
}

void row_note_repairs(row_t *row, const char *name, json_repairs_t repairs) {
    row_notes_t *notes = &row->usage.notes;
    if (repairs.nulls) row_notes_add(notes, ROW_NOTE_NULLED, name, count_of(repairs.nulls));
    if (repairs.characters) row_notes_add(notes, ROW_NOTE_REPLACED, name, count_of(repairs.characters));
}

/* What a first line that is no object at all is perhaps: words to append. */
static const char *other_format(const row_input_t *input) {
    const char *text = input->json;
    size_t len = input->len;
    text_trim(&text, &len);
    return input->line == 1 && len > 0 && *text != '{' ? "; for CSV give --format csv" : "";
}

/* A record that is no JSON object ends the row as failed. */
static void read_input(row_t *row, const row_input_t *input) {
    err_t err;
    json_repairs_t before = json_repairs_so_far();
    int rc = json_parse_text(input->json, input->len, &row->context, &err);
    row_note_repairs(row, "input", json_repairs_since(before));
    if (rc == SDG_OK && row->context.kind != VALUE_OBJECT) {
        const char *kind = value_kind_name(row->context.kind);
        rc = err_set(&err, SDG_EPARSE, "expected a JSON object, found %s%s",
                     row->context.kind == VALUE_NULL ? ""
                     : strchr("aeio", *kind)         ? "an "
                                                     : "a ",
                     kind);
    }
    if (rc == SDG_OK) {
        rename_columns(row);
        return;
    }
    char text[ERR_TEXT_MAX + 64];
    value_replace(&row->context, value_object(0));
    snprintf(text, sizeof text, "input line %llu: %s%s",
             (unsigned long long)(input->line ? input->line : input->index + 1), err.text,
             other_format(input));
    row_fail(row, NULL, text, "input");
}

/* Without --seed each row has a generator of its own, too; their seeds come from one draw of entropy per
 * thread. */
static uint64_t thread_seed(void) {
    static _Thread_local uint64_t seed;
    if (seed == 0) seed = rng_entropy() | 1;
    return seed++;
}

static bool any_feeds(const pipeline_t *p) {
    for (size_t i = 0; i < p->block_count; i++)
        if (p->blocks[i].feeds_connection) return true;
    return false;
}

/* What begins with `usage` in row_t: counts, codes and values, but no table behind them. */
static void clear_tables(row_t *row) {
    row_usage_clear(&row->usage);
    row->answer.text = row->answer.reasoning = value_null();
    row_event_none(row);
    err_clear(&row->err);
}

row_t *row_blank(const pipeline_t *pipeline, const row_options_t *options, uint64_t index, uint64_t now_ns) {
    row_t *row = xmalloc(sizeof *row);
    memset(row, 0, offsetof(row_t, usage));
    clear_tables(row);
    row->pipeline = pipeline;
    row->options = options;
    row->index = index;
    row->start_ns = row->now_ns = now_ns;
    row->wake_ns = UINT64_MAX;
    if (any_feeds(pipeline)) row->kept = xcalloc(pipeline->block_count, sizeof *row->kept);
    row->scope = (scope_t){.context = &row->context,
                           .vars = &row->vars,
                           .consts = pipeline->consts,
                           .assets = &pipeline->assets,
                           .rng = &row->rng};
    buf_init(&row->body, ROW_BODY_BYTES_MAX);
    buf_init(&row->line_out, DATA_LINE_BYTES_MAX);
    return row;
}

row_t *row_new(const pipeline_t *pipeline, const row_options_t *options, const row_input_t *input,
               uint64_t now_ns) {
    row_t *row = row_blank(pipeline, options, input->index, now_ns);
    row->vars = value_ref(pipeline->vars);
    row->outputs = value_object(4);
    if (options->save_intermediate) row->saved = value_object(4);
    rng_seed(&row->rng, options->seeded ? options->seed : thread_seed(), options->seeded ? input->index : 0);
    if (options->trace) row_trace_init(row);
    read_input(row, input);
    return row;
}

/* NULL is fine. */
void row_destroy(row_t **row_p) {
    row_t *row = *row_p;
    if (!row) return;
    *row_p = NULL;
    logic_abort(&row->logic);
    row_python_clear(row);
    row_trace_free(row);
    value_free(row->context);
    value_free(row->vars);
    value_free(row->outputs);
    value_free(row->saved);
    value_free(row->end_reason);
    value_free(row->words);
    value_free(row->overlay);
    for (size_t i = 0; row->kept && i < row->pipeline->block_count; i++)
        value_free(row->kept[i]);
    free(row->kept);
    llm_answer_clear(&row->answer);
    free((char *)row->cancelled);
    buf_free(&row->body);
    buf_free(&row->line_out);
    free(row);
}

/* ---- outputs */

static void save_output(row_t *row, const str_t *name, value_t v) {
    char *key = xasprintf("_%lld_%s", (long long)row_block(row)->exec, name->data);
    object_set_text(&row->saved, key, value_ref(v));
    free(key);
}

void row_give(row_t *row, str_t *name, value_t take) {
    object_set(&row->outputs, name, value_ref(take));
    if (row->saved.kind == VALUE_OBJECT) save_output(row, name, take);
    if (row->kept && row_block(row)->feeds_connection) {
        value_t *kept = &row->kept[row->at];
        if (kept->kind == VALUE_NULL) *kept = value_object(2);
        object_set(kept, name, value_ref(take));
    }
    row_trace_output(row, name, take);
    object_set(&row->context, name, take);
}

void row_note(row_t *row, row_note_kind_t kind, const str_t *output, uint32_t count) {
    const char *label = row_block(row)->label->data;
    char *name = output ? xasprintf("%s.%s", label, output->data) : NULL;
    row_notes_add(&row->usage.notes, kind, name ? name : label, count);
    free(name);
}

int row_render(row_t *row, const template_t *t, value_t *out) {
    *out = value_null();
    if (template_is_plain(t)) {
        *out = value_from_str(str_ref(template_text(t)));
        return SDG_OK;
    }
    buf_t text;
    buf_init(&text, ROW_BODY_BYTES_MAX);
    int rc = template_render(t, &row->scope, TEMPLATE_EMPTY, &text, &row->err);
    if (rc == SDG_OK) *out = value_string(text.data ? text.data : "", text.len);
    buf_free(&text);
    return rc;
}

/* ---- the flow */

static bool next_block(row_t *row) {
    value_clear(&row->overlay);
    row->scope.overlay = value_null();
    row->at++;
    row->attempt = row->spent = 0;
    row->was_cut = false;
    row->phase = PHASE_BLOCK;
    return true;
}

bool row_block_done(row_t *row) {
    row_trace_end(row, NULL);
    return next_block(row);
}

static const char *reason_in_full(const row_t *row) {
    return row->words.kind == VALUE_STRING ? row->words.string->data : row->err.text;
}

static void fail_in_block(row_t *row, const char *kind) {
    row_trace_end(row, reason_in_full(row));
    row_fail(row, row_block(row)->label->data, reason_in_full(row), kind);
}

static bool go_on_after_error(row_t *row) {
    char *name = xasprintf("error_block_%lld", (long long)row_block(row)->exec);
    object_set_text(&row->context, name, value_text(reason_in_full(row)));
    free(name);
    row_trace_end(row, reason_in_full(row));
    value_clear(&row->words);
    return next_block(row);
}

static uint64_t backoff_ns(const retry_policy_t *p, uint32_t attempt) {
    double ms = (double)p->base_ms * pow(p->factor > 0 ? p->factor : 1, (double)attempt - 1);
    if (p->cap_ms && ms > (double)p->cap_ms) ms = (double)p->cap_ms;
    return (uint64_t)(ms * (double)MILLISECOND);
}

bool row_attempts_left(const row_t *row) {
    const block_t *b = row_block(row);
    return row->attempt < b->retry.attempts_max && !(b->has_retry && row->spent >= b->retry.attempts_max);
}

bool row_block_failed(row_t *row, const char *kind) {
    const block_t *b = row_block(row);
    logic_abort(&row->logic);
    row_python_clear(row);
    if (b->on_error == ON_ERROR_CONTINUE) return go_on_after_error(row);
    if (b->on_error != ON_ERROR_RETRY || !row_attempts_left(row)) {
        fail_in_block(row, kind);
        return false;
    }
    value_clear(&row->words);
    row_trace_add(row, "retried", value_int((int64_t)row->attempt));
    row->wake_ns = row->now_ns + backoff_ns(&b->retry, row->attempt);
    row->phase = PHASE_BACKOFF;
    return true;
}

uint64_t row_deadline(const row_t *row) {
    if (row->at >= row->pipeline->block_count) return UINT64_MAX;
    uint64_t ms = row_block(row)->budget.wall_time_ms;
    if (ms == 0 || ms >= UINT64_MAX / (2 * MILLISECOND)) return UINT64_MAX;
    return row->start_ns + (ms * MILLISECOND > row->spent_ns ? ms * MILLISECOND - row->spent_ns : 0);
}

/* Makes the outputs that connections lead to this block visible, even where a later block has overwritten
 * them in the context. */
void row_connect(row_t *row) {
    const block_t *b = row_block(row);
    for (size_t i = 0; i < b->connection_count; i++) {
        const connection_t *c = &b->connections[i];
        bool found = false;
        value_t from = row->kept ? row->kept[c->from_block] : value_null();
        value_t v = from.kind == VALUE_OBJECT ? object_get_str_peek(from, c->output, &found) : value_null();
        if (!found) continue;
        if (row->overlay.kind == VALUE_NULL) row->overlay = value_object(b->connection_count);
        object_set(&row->overlay, c->input, value_ref(v));
    }
    row->scope.overlay = row->overlay;
}

static bool start_logic(row_t *row) {
    const block_t *b = row_block(row);
    row->logic = logic_start(row->pipeline->logic, b->logic, &b->budget);
    row->phase = PHASE_LOGIC;
    return true;
}

static bool start_block(row_t *row) {
    row->attempt++;
    switch (row_block(row)->type) {
    case BLOCK_AI: return row_ai_start(row);
    case BLOCK_LOGIC: return start_logic(row);
    case BLOCK_PYTHON: return row_python_start(row);
    case BLOCK_END: return row_end_start(row);
    }
    return row_wait(row, ROW_FINISHED);
}

/* ---- phases */

/* Runs the next block, unless the row has to stop before it, is out of fuel, or its run_if is false. */
static bool on_block(row_t *row) {
    if (row->at >= row->pipeline->block_count) return row_finish(row, value_ref(row->outputs));
    if (row->options->stop_before && row->at >= row->options->stop_before) return row_wait(row, ROW_STOPPED);
    if (row->fuel == 0) return row_wait(row, ROW_YIELD);
    row->fuel--;
    const block_t *b = row_block(row);
    bool runs = true;
    row_connect(row);
    row->scope.ops = 0;
    row_trace_begin(row);
    if (b->run_if && mex_eval_bool(b->run_if, &row->scope, &runs, &row->err) < 0) {
        err_prefix(&row->err, "run_if");
        row->attempt = UINT32_MAX; /* no more attempts: the same condition would fail again */
        return row_block_failed(row, "run_if");
    }
    if (runs) return start_block(row);
    row_trace_skip(row);
    return next_block(row);
}

static bool on_logic(row_t *row) {
    str_t *const *names;
    if (row->fuel == 0) return row_wait(row, ROW_YIELD);
    switch (logic_step(row->logic, &row->scope, &row->fuel, &row->err)) {
    case LOGIC_YIELD: return row_wait(row, ROW_YIELD);
    case LOGIC_FAILED: return row_block_failed(row, row->err.code == SDG_ELIMIT ? "limit" : "logic");
    case LOGIC_DONE: break;
    }
    size_t count = logic_block_outputs(row_block(row)->logic, &names);
    for (size_t i = 0; i < count; i++)
        row_give(row, names[i], value_ref(logic_output_peek(row->logic, i)));
    logic_abort(&row->logic);
    return row_block_done(row);
}

/* row_run was called before an answer is there: nothing can be done before the deadline. */
static bool wait_on(row_t *row) {
    row->wake_ns = row_deadline(row);
    return row_wait(row, ROW_WANT_TIME);
}

static bool on_llm(row_t *row) { return row->answered ? row_ai_answer(row) : wait_on(row); }
static bool on_python(row_t *row) { return row->has_event ? row_python_continue(row) : wait_on(row); }

static bool on_backoff(row_t *row) {
    if (row->now_ns >= row->wake_ns) return start_block(row);
    uint64_t deadline = row_deadline(row);
    if (deadline < row->wake_ns) row->wake_ns = deadline;
    return row_wait(row, ROW_WANT_TIME);
}

static bool on_finished(row_t *row) { return row_wait(row, ROW_FINISHED); }

static bool (*const HANDLERS[PHASES])(row_t *row) = {
    [PHASE_BLOCK] = on_block,   [PHASE_LOGIC] = on_logic,     [PHASE_LLM] = on_llm,
    [PHASE_PYTHON] = on_python, [PHASE_BACKOFF] = on_backoff, [PHASE_FINISHED] = on_finished,
};

/* Ends a row that is cancelled or out of wall time. That is no error of a block, so on_error does not apply.
 */
static void check_stop(row_t *row) {
    const char *kind = NULL;
    if (row->phase == PHASE_FINISHED) return;
    if (row->cancelled) {
        err_set(&row->err, SDG_ECANCELLED, "%s", row->cancelled);
        kind = "cancelled";
    } else if (row->now_ns >= row_deadline(row)) {
        err_set(&row->err, SDG_ELIMIT, "the row took longer than %llu ms (budget wall_time_ms)",
                (unsigned long long)row_block(row)->budget.wall_time_ms);
        kind = "wall time";
    }
    if (!kind) return;
    value_clear(&row->words);
    if (row->at < row->pipeline->block_count)
        fail_in_block(row, kind);
    else
        row_fail(row, NULL, row->err.text, kind);
}

/* Counts what block number `at` took as 0 or null, under the block's name. */
static void note_oddities(row_t *row, uint32_t at, json_repairs_t repairs) {
    const char *label = at < row->pipeline->block_count ? row->pipeline->blocks[at].label->data : "result";
    if (row->scope.zeros) row_notes_add(&row->usage.notes, ROW_NOTE_ZERO, label, count_of(row->scope.zeros));
    row->scope.zeros = 0;
    row_note_repairs(row, label, repairs);
}

/* A handler may go on to the next block, but evaluates nothing there: what was odd belongs to the block that
 * was running before. */
row_want_t row_run(row_t *row, uint64_t now_ns) {
    row->now_ns = now_ns;
    row->fuel = ROW_FUEL;
    check_stop(row);
    json_repairs_t before = json_repairs_so_far();
    for (bool more = true; more;) {
        uint32_t at = row->at;
        more = HANDLERS[row->phase](row);
        json_repairs_t now = json_repairs_so_far();
        if (row->scope.zeros || now.nulls != before.nulls || now.characters != before.characters)
            note_oddities(row, at, json_repairs_since(before));
        before = now;
    }
    return row->want;
}

/* ---- what the worker gives and takes */

void row_waited(row_t *row, uint64_t ns) { row->start_ns += ns; }

const llm_request_t *row_llm_request(const row_t *row) { return &row->request; }
const py_call_t *row_python_call(const row_t *row) { return &row->call; }

uint64_t row_wake_ns(const row_t *row) {
    return row->phase == PHASE_BACKOFF ? row->wake_ns : row_deadline(row);
}

void row_llm_answer(row_t *row, llm_answer_t *answer) {
    llm_answer_clear(&row->answer);
    row->answer = *answer;
    answer->text = answer->reasoning = value_null();
    row->answered = true;
}

void row_cancel(row_t *row, const char *reason) {
    free((char *)row->cancelled);
    row->cancelled = xstrdup(reason);
}

void row_result(const row_t *row, row_result_t *result) {
    assert(row->phase == PHASE_FINISHED);
    *result = (row_result_t){
        .failed = row->failed, .json = row->line_out.data, .len = row->line_out.len, .usage = &row->usage};
    memcpy(result->reason, row->reason, sizeof result->reason);
    result->end_reason = row->end_reason.kind == VALUE_STRING ? row->end_reason.string->data : NULL;
}

void row_take_usage(row_t *row, row_usage_t *usage) {
    *usage = row->usage;
    row_usage_clear(&row->usage);
}
