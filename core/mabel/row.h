/* row.h - the row machine: runs one row until it WANTS something, and returns that want. No thread, no callback, no socket: the
 * worker feeds answers in, so one thread holds thousands of rows and the language is testable without any I/O.
 *
 *   row_t *row = row_new(pipeline, &options, &input, now);
 *   for (;;) switch (row_run(row, now)) {
 *     case ROW_WANT_LLM:     send row_llm_request(row); later row_llm_answer(row, &answer); continue;
 *     case ROW_WANT_PYTHON:  call row_python_call(row); later row_python_event(row, &event); continue;
 *     case ROW_WANT_REPLY:   the running Python call asked for an LLM answer and here it is: row_python_reply(row); then await its next event
 *     case ROW_WANT_TIME:    call row_run again at row_wake_ns(row);
 *     case ROW_YIELD:        it used up its fuel: let others run, then call row_run again;
 *     case ROW_FINISHED:     row_result(row, &result); row_destroy(&row);
 *   }
 */
#ifndef SDG_MABEL_ROW_H
#define SDG_MABEL_ROW_H

#include "core/llm/client.h"
#include "core/mabel/pipeline.h"
#include "core/python/pypool.h"

typedef struct row row_t;

typedef enum row_want { ROW_YIELD, ROW_WANT_LLM, ROW_WANT_PYTHON, ROW_WANT_REPLY, ROW_WANT_TIME, ROW_FINISHED } row_want_t;

typedef struct row_options {          /* of a job; must outlive its rows */
    bool save_intermediate;
    bool retry_on_empty;              /* false: --no-retry-on-empty */
    bool seeded; uint64_t seed;       /* --seed; otherwise each row gets entropy */
    bool trace;                       /* keep what each block did, as `_trace` in the result (test-run) */
    struct { char *from, *to; } *mapping; size_t mapping_count; /* --mapping from:to, renames input columns */
} row_options_t;

typedef struct row_input {
    uint64_t index;                   /* _row_index */
    uint64_t line;                    /* line of the input file, for messages; 0: unknown */
    const char *json; size_t len;     /* the raw record; read during row_new only */
} row_input_t;

enum { ROW_LATENCIES_MAX = 64, ROW_REASON_MAX = 48 };
typedef struct row_usage {
    uint32_t calls, requests;         /* LLM calls, and HTTP requests they took */
    uint64_t prompt_tokens, completion_tokens;
    uint32_t retries[LLM_CAUSES];
    uint32_t cut_short;               /* answers with finish_reason length or content_filter */
    uint32_t latency_count;
    uint32_t latency_us[ROW_LATENCIES_MAX];
} row_usage_t;

typedef struct row_result {
    bool failed;
    const char *json; size_t len;     /* the output line, without newline; lives as long as the row */
    char reason[ROW_REASON_MAX];      /* failed: short class for counting, "<block>: HTTP 400", "input", "budget", ...; else the
                                       * exit_code of the end block that ran, "" when it has none */
    const char *end_reason;           /* its `reason`, rendered; NULL when it has none. Lives as long as the row */
    const row_usage_t *usage;
} row_result_t;

row_t *row_new(const pipeline_t *pipeline, const row_options_t *options, const row_input_t *input, uint64_t now_ns);
void row_destroy(row_t **row);

row_want_t row_run(row_t *row, uint64_t now_ns);

const llm_request_t *row_llm_request(const row_t *row);  /* endpoint = index into pipeline->models */
void row_llm_answer(row_t *row, llm_answer_t *answer);   /* takes answer->text */
const py_call_t *row_python_call(const row_t *row);      /* function = index into pipeline->blocks */
void row_python_event(row_t *row, py_event_t *event);    /* DONE, FAILED, CALL_AI; takes its values */
/* ROW_WANT_REPLY: what to hand to pypool_ai_answer. error NULL: text is the answer. Borrowed until the next row_run. */
void row_python_reply(const row_t *row, int64_t *id, value_t *text, const char **error);
/* WANT_TIME: when. Also good while a row waits for an answer: the end of its wall time (UINT64_MAX: none); a row_run then fails it, and what it
 * waited for must be cancelled. A row_run without news is harmless: it wants time again. */
uint64_t row_wake_ns(const row_t *row);
uint64_t row_index(const row_t *row);
void row_cancel(row_t *row, const char *reason);         /* the next row_run finishes it as failed */
void row_result(const row_t *row, row_result_t *result); /* only when FINISHED */

#endif
