/* row_harness.h - runs rows of a pipeline written in a test, with an LLM and Python that are functions of the
 * test.
 *
 * No I/O: the harness does what a worker does with wants, and its clock jumps to the time a row waits for. */
#ifndef SDG_TESTS_CORE_MABEL_ROW_ROW_HARNESS_H
#define SDG_TESTS_CORE_MABEL_ROW_ROW_HARNESS_H

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/mabel/row/row.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers one LLM call; it may set cause and error instead. NULL in `harness`: the answer is an echo of the
 * prompt. */
typedef void harness_llm_fn(void *arg, value_t body, const llm_request_t *request, llm_answer_t *answer);
/* Gives the next event of a python call. `reply` is call_ai's answer or NULL; `reply_error` likewise. */
typedef void harness_python_fn(void *arg, const py_call_t *call, const value_t *reply,
                               const char *reply_error, py_event_t *event);

struct harness;
/* Called between row_run and what the row wants. It may save the row and replace it by the one that is
 * loaded. */
typedef void harness_pause_fn(struct harness *h, row_t **row, row_want_t want);

typedef struct harness {
    row_options_t options;
    harness_llm_fn *llm;
    harness_python_fn *python;
    harness_pause_fn *pause; /* may be NULL; with stops it has to replace the row that stopped */
    void *arg;
    void *pause_arg;
    uint64_t now_ns;
    uint64_t yields, waits, llm_calls;
    char reason[ROW_REASON_MAX];
    row_usage_t usage;
    bool failed;
} harness_t;

static inline pipeline_t *harness_load_all(const char *yaml, char **problems) {
    diags_t diags;
    diags_init(&diags, "test.yaml", yaml, strlen(yaml));
    pipeline_source_t source = {
        .path = "test.yaml", .bytes = yaml, .len = strlen(yaml), .accept_python = true};
    pipeline_t *p = pipeline_load(&source, &diags);
    buf_t text;
    buf_init(&text, 1 << 20);
    diags_write(&diags, DIAG_WARNING, &text);
    if (problems)
        *problems = buf_take(&text, NULL);
    else if (!p)
        fprintf(stderr, "%s\n", text.data ? text.data : "");
    buf_free(&text);
    diags_free(&diags);
    return p;
}

static inline pipeline_t *harness_load(const char *yaml) {
    pipeline_t *p = harness_load_all(yaml, NULL);
    assert(p);
    return p;
}

/* The text of the last message: its content, or its text parts. */
static inline value_t harness_last_user(value_t body) {
    value_t messages = object_get_peek(body, "messages", 8, NULL);
    value_t last = list_peek(messages, list_count(messages) - 1);
    return object_get_peek(last, "content", 7, NULL);
}

static inline void harness_echo(value_t body, llm_answer_t *answer) {
    value_t model = object_get_peek(body, "model", 5, NULL), content = harness_last_user(body);
    buf_t text;
    buf_init(&text, 64 << 20);
    buf_addf(&text, "echo[%s]: ", model.string->data);
    if (content.kind == VALUE_STRING)
        buf_add(&text, content.string->data, content.string->len);
    else
        json_write(&text, content, JSON_COMPACT);
    answer->text = value_string(text.data, text.len);
    buf_free(&text);
}

static inline void harness_ask(harness_t *h, const llm_request_t *request, llm_answer_t *answer) {
    value_t body;
    err_t err;
    *answer = (llm_answer_t){.text = value_null(),
                             .requests = 1,
                             .prompt_tokens = 10,
                             .completion_tokens = 5,
                             .latency_us = {7},
                             .latency_count = 1,
                             .finish_reason = "stop"};
    int rc = json_parse_text(request->body, request->body_len, &body, &err);
    assert(rc == 0);
    h->llm_calls++;
    if (h->llm)
        h->llm(h->arg, body, request, answer);
    else
        harness_echo(body, answer);
    value_free(body);
}

/* The request goes out before the pause, the answer comes in after it. */
static inline void harness_answer(harness_t *h, row_t **row) {
    llm_answer_t answer;
    harness_ask(h, row_llm_request(*row), &answer);
    if (h->pause) h->pause(h, row, ROW_WANT_LLM);
    row_llm_answer(*row, &answer);
}

/* Asks the LLM what Python asks. False: err is what user code gets. */
static inline bool harness_question(harness_t *h, row_t *row, value_t question, value_t *text, err_t *err) {
    llm_request_t request;
    llm_answer_t answer;
    *text = value_null();
    if (row_ask_begin(row, h->now_ns, err) < 0 || row_ask_request(row, question, &request, err) < 0)
        return false;
    harness_ask(h, &request, &answer);
    return row_ask_answer(row, &answer, text, err) == SDG_OK;
}

/* Runs the Python call to its end, one question after the other. */
static inline void harness_python(harness_t *h, row_t *row) {
    py_event_t event = {.kind = PY_DONE};
    err_t err;
    assert(h->python);
    h->python(h->arg, row_python_call(row), NULL, NULL, &event);
    while (event.kind == PY_CALL_AI) {
        value_t text;
        bool ok = harness_question(h, row, event.ai, &text, &err);
        py_event_free(&event);
        event = (py_event_t){.kind = PY_DONE};
        h->python(h->arg, row_python_call(row), &text, ok ? NULL : err.text, &event);
        value_free(text);
    }
    row_python_event(row, &event);
}

/* Runs one row; the caller frees the line. */
static inline char *harness_run_at(harness_t *h, const pipeline_t *p, uint64_t index, const char *json) {
    row_input_t input = {.index = index, .line = index + 1, .json = json, .len = strlen(json)};
    row_t *row = row_new(p, &h->options, &input, h->now_ns);
    for (row_want_t want; (want = row_run(row, h->now_ns)) != ROW_FINISHED;) {
        switch (want) {
        case ROW_WANT_LLM: harness_answer(h, &row); break;
        case ROW_WANT_PYTHON: harness_python(h, row); break;
        case ROW_WANT_TIME:
            assert(row_wake_ns(row) != UINT64_MAX);
            h->now_ns = row_wake_ns(row);
            h->waits++;
            break;
        case ROW_YIELD:
            h->yields++;
            h->now_ns += MILLISECOND;
            break;
        case ROW_STOPPED:
            assert(h->pause);
            h->pause(h, &row, want);
            break;
        case ROW_FINISHED: break;
        }
    }
    if (h->pause) h->pause(h, &row, ROW_FINISHED);
    row_result_t result;
    row_result(row, &result);
    char *line = xstrndup(result.json, result.len);
    memcpy(h->reason, result.reason, sizeof h->reason);
    h->usage = *result.usage;
    h->failed = result.failed;
    row_destroy(&row);
    return line;
}

static inline char *harness_run(harness_t *h, const pipeline_t *p, const char *json) {
    return harness_run_at(h, p, 0, json);
}

#endif
