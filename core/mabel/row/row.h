/* row.h - the row machine: runs one row until it wants something, and returns that want. It has no thread, no
 * callback and no socket: the worker feeds answers in, so one thread holds thousands of rows, and the
 * language is testable without any I/O.
 *
 *   row_t *row = row_new(pipeline, &options, &input, now);
 *   for (;;) switch (row_run(row, now)) {
 *     case ROW_WANT_LLM:     send row_llm_request(row); later row_llm_answer(row, &answer); continue;
 *     case ROW_WANT_PYTHON:  call row_python_call(row); meanwhile it may ask LLMs (row_ask_begin);
 *                            later row_python_event(row, &event); continue;
 *     case ROW_WANT_TIME:    call row_run again at row_wake_ns(row)
 *     case ROW_YIELD:        it used up its fuel: let others run, then call row_run again
 *     case ROW_STOPPED:      it stands before block options.stop_before: row_save(row, &bytes);
 *                            row_destroy(&row); later row_load, and the loop goes on
 *     case ROW_FINISHED:     row_result(row, &result); row_destroy(&row);
 *   } */
#ifndef SDG_MABEL_ROW_ROW_H
#define SDG_MABEL_ROW_ROW_H

#include "core/base/row_types.h"
#include "core/llm/call.h"
#include "core/mabel/pipeline/pipeline.h"
#include "core/python/pypool.h"

typedef struct row row_t;

typedef enum row_want {
    ROW_YIELD,
    ROW_WANT_LLM,
    ROW_WANT_PYTHON,
    ROW_WANT_TIME,
    ROW_STOPPED,
    ROW_FINISHED
} row_want_t;

typedef struct row_input {
    uint64_t index;   /* _row_index */
    uint64_t line;    /* line of the input file, for messages; 0: unknown */
    const char *json; /* the raw record, borrowed during row_new only */
    size_t len;
} row_input_t;

typedef struct row_result {
    bool failed;
    const char *json; /* the output line, without newline; lives as long as the row */
    size_t len;
    /* Of a failed row a short kind for counting: "<block>: HTTP 400", "input", "budget", ... Else the
     * exit_code of the end block that ran, "" when it has none. */
    char reason[ROW_REASON_MAX];
    const char *end_reason; /* `reason` of that end block, rendered; NULL: none. Lives as long as the row */
    const row_usage_t *usage;
} row_result_t;

row_t *row_new(const pipeline_t *pipeline, const row_options_t *options, const row_input_t *input,
               uint64_t now_ns);
void row_destroy(row_t **row);

row_want_t row_run(row_t *row, uint64_t now_ns);

const llm_request_t *row_llm_request(const row_t *row); /* route = index into pipeline->models */
void row_llm_answer(row_t *row, llm_answer_t *answer);  /* takes its texts */
const py_call_t *row_python_call(const row_t *row);     /* function = index into pipeline->blocks */
/* Takes the values of PY_LOG, PY_DONE or PY_FAILED. After the latter two the row goes on. */
void row_python_event(row_t *row, py_event_t *event);
/* The process that ran the call is gone, and the pool makes the call once more: what it has asked so far does
 * not count for the budget of the row. */
void row_python_again(row_t *row);

/* --- what user code asks LLMs while its call is open (ctx.call_ai), any number at a time. They return 0, or
 * a negative code and in err what user code is told. --- */

/* Checks the budget of the row, and counts the call. */
int row_ask_begin(row_t *row, uint64_t now_ns, err_t *err);
/* Makes the request of a question (py_event_t.ai), the same each time. Borrowed until the next one is made.
 */
int row_ask_request(row_t *row, value_t question, llm_request_t *request, err_t *err);
/* Takes the answer, which counts for the row. 0: *text is what user code gets, owned by the caller. */
int row_ask_answer(row_t *row, llm_answer_t *answer, value_t *text, err_t *err);

/* When a row that wants time has to run again. Of a row that waits for an answer it is the end of its wall
 * time (UINT64_MAX: none): a row_run then fails the row, and the call it waited for must be cancelled. A
 * row_run before that, and before the answer, is harmless: the row wants time again. */
uint64_t row_wake_ns(const row_t *row);
/* So much of its time until now the row has done nothing but wait for its turn: it does not count for its
 * wall time. */
void row_waited(row_t *row, uint64_t ns);
void row_cancel(row_t *row, const char *reason);         /* the next row_run finishes it as failed */
void row_result(const row_t *row, row_result_t *result); /* only when FINISHED */

/* What the row has cost so far, counted from 0 again from here on: for a row that is put away and reported
 * before its end. */
void row_take_usage(row_t *row, row_usage_t *usage);

/* --- rows as bytes (row_save.c), so that a row that waits or is finished need not live in a worker ---
 *
 * The bytes hold the whole row; a text that it holds several times is in them once. They are read with the
 * same pipeline file and the same options, except stop_before: a row that stopped goes on under a later one.
 * The bytes of a row that stopped or is finished can be read on any machine, and the clock stands still for
 * it meanwhile. A row that waits for an answer belongs to the machine that asked, because the time it waits
 * counts for its wall time by that machine's clock. */

/* True when the row waits for the answer to an ai block (ROW_WANT_LLM, and row_llm_answer not yet called),
 * has stopped, or is finished. False in the middle of logic, Python and a backoff, and always with a
 * trace. */
bool row_can_save(const row_t *row);
/* Only when row_can_save. The request of a row that waits is not part of it: hand row_llm_request out before.
 * `out` is full when the row did not fit: its bytes are of no use then, and the row is as it was. */
void row_save(const row_t *row, buf_t *out);
/* The row again. Everything above works as before, except that there is no request any more.
 * NULL and the reason in err for bytes that are no row of this pipeline: any bytes are safe, and cost at most
 * some 60 bytes of memory for each. The caller keeps `bytes`. */
row_t *row_load(const pipeline_t *pipeline, const row_options_t *options, const char *bytes, size_t len,
                uint64_t now_ns, err_t *err);
/* The bytes of a row that is finished and failed with `error_text`; reason as in row_result_t. For records
 * that cannot become rows. pipeline_digest: pipeline_t.digest, or pipeline_digest() of the file's text. */
void row_save_failed(buf_t *out, uint64_t pipeline_digest, uint64_t index, const char *error_text,
                     const char *reason);
/* About the heap a row holds now, what is shared inside it counted once; frames of running logic not
 * included. It walks what the row holds: some 10 ns for each text, list and object. */
size_t row_bytes(const row_t *row);

#endif
