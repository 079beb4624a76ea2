/* row.h - the row machine: runs one row until it WANTS something, and returns that want. No thread, no
 * callback, no socket: the worker feeds answers in, so one thread holds thousands of rows and the language is
 * testable without any I/O.
 *
 *   row_t *row = row_new(pipeline, &options, &input, now);
 *   for (;;) switch (row_run(row, now)) {
 *     case ROW_WANT_LLM:     send row_llm_request(row); later row_llm_answer(row, &answer); continue;
 *     case ROW_WANT_PYTHON:  call row_python_call(row); later row_python_event(row, &event); continue;
 *     case ROW_WANT_REPLY:   the running Python call asked for an LLM answer and here it is:
 *                            row_python_reply(row); then await its next event
 *     case ROW_WANT_TIME:    call row_run again at row_wake_ns(row);
 *     case ROW_YIELD:        it used up its fuel: let others run, then call row_run again;
 *     case ROW_STOPPED:      it is before block options.stop_before: row_save(row, &bytes);
 *                            row_destroy(&row); later row_load and on;
 *     case ROW_FINISHED:     row_result(row, &result); row_destroy(&row);
 *   }
 */
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
    ROW_WANT_REPLY,
    ROW_WANT_TIME,
    ROW_STOPPED,
    ROW_FINISHED
} row_want_t;

typedef struct row_input {
    uint64_t index; /* _row_index */
    uint64_t line;  /* line of the input file, for messages; 0: unknown */
    const char *json;
    size_t len; /* the raw record; read during row_new only */
} row_input_t;

typedef struct row_result {
    bool failed;
    const char *json;
    size_t len;                  /* the output line, without newline; lives as long as the row */
    char reason[ROW_REASON_MAX]; /* failed: short kind for counting, "<block>: HTTP 400", "input", "budget",
                                  * ...; else the exit_code of the end block that ran, "" when it has none */
    const char *end_reason;      /* its `reason`, rendered; NULL when it has none. Lives as long as the row */
    const row_usage_t *usage;
} row_result_t;

row_t *row_new(const pipeline_t *pipeline, const row_options_t *options, const row_input_t *input,
               uint64_t now_ns);
void row_destroy(row_t **row);

row_want_t row_run(row_t *row, uint64_t now_ns);

const llm_request_t *row_llm_request(const row_t *row); /* route = index into pipeline->models */
void row_llm_answer(row_t *row, llm_answer_t *answer);  /* takes answer->text */
const py_call_t *row_python_call(const row_t *row);     /* function = index into pipeline->blocks */
/* DONE, FAILED, CALL_AI; takes its values. The call may end while the row waits for the LLM answer that it
 * asked for: that answer must not be given any more. */
void row_python_event(row_t *row, py_event_t *event);
/* ROW_WANT_REPLY: what to hand to pypool_ai_answer. error NULL: text is the answer. Borrowed until the next
 * row_run. */
void row_python_reply(const row_t *row, int64_t *id, value_t *text, const char **error);
/* WANT_TIME: when. Also good while a row waits for an answer: the end of its wall time (UINT64_MAX: none); a
 * row_run then fails it, and what it waited for must be cancelled. A row_run without news is harmless: it
 * wants time again. */
uint64_t row_wake_ns(const row_t *row);
void row_cancel(row_t *row, const char *reason);         /* the next row_run finishes it as failed */
void row_result(const row_t *row, row_result_t *result); /* only when FINISHED */

/* What the row has cost so far, counted from 0 again from here on: for a row that is put away and reported
 * before its end. */
void row_take_usage(row_t *row, row_usage_t *usage);

/* --- rows put away as bytes (row_save.c), so that what waits or is done need not live in a worker ---
 *
 * The bytes are everything the row is; texts it holds several times are in there once. They are good for the
 * same pipeline file and the same options (but for stop_before: a row that stopped goes on under a later
 * one), on any machine if it stopped or is finished. A row that waits for an answer belongs to the machine
 * that asked: the time it waits counts for its wall time, by that machine's clock, wherever its bytes were
 * meanwhile. A row that stopped or is finished does not run while it is put away.
 */

/* True when the row waits for the answer to an ai block (ROW_WANT_LLM, and row_llm_answer not yet called),
 * has stopped, or is finished. False in the middle of logic, Python and a backoff, and always with a
 * trace. */
bool row_can_save(const row_t *row);
/* Only when row_can_save. The request of a row that waits is not part of it: hand row_llm_request out before.
 * `out` is full when the row did not fit: its bytes are of no use then, and the row is as it was. */
void row_save(const row_t *row, buf_t *out);
/* The row again; everything above works as if nothing had happened, but that there is no request any more.
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
