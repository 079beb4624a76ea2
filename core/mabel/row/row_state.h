/* row_state.h - what a running row holds; shared by row.c, row_ai.c, row_images.c, row_python.c, row_end.c,
 * row_trace.c and row_save.c only.
 *
 * A row is in one phase. row_run calls the phase's handler until one says that the row has to wait or is
 * finished: a handler returns true to go on, and false when row->want is set.
 *
 * To add a field that outlives a block or a wait for an LLM: row_save.c has to write and read it. */
#ifndef SDG_MABEL_ROW_ROW_STATE_H
#define SDG_MABEL_ROW_ROW_STATE_H

#include "core/base/json.h"
#include "core/mabel/logic/logic.h"
#include "core/mabel/row/row.h"

typedef enum row_phase {
    PHASE_BLOCK,   /* block number `at` is next */
    PHASE_LOGIC,   /* its logic is running */
    PHASE_LLM,     /* an ai block waits for its answer */
    PHASE_PYTHON,  /* a python block waits for the end of its call */
    PHASE_BACKOFF, /* a block waits before its next attempt */
    PHASE_FINISHED,
    PHASES
} row_phase_t;

typedef struct row_trace row_trace_t;

struct row {
    const pipeline_t *pipeline;
    const row_options_t *options;
    uint64_t index;
    uint64_t start_ns, now_ns, wake_ns;
    uint64_t spent_ns; /* wall time used before it was saved; it counts on from start_ns */
    row_phase_t phase;
    row_want_t want;
    uint32_t fuel;
    uint32_t at;      /* number of the running block */
    uint32_t attempt; /* of the running block, from 1; 0: not begun */
    /* Requests that the running ai block has spent of the attempts of its `retry`. */
    uint32_t spent;
    bool was_cut; /* an answer to the running block was cut, and asked for again */

    value_t context; /* input columns, outputs of blocks, error_block_<exec> */
    value_t vars;
    value_t outputs; /* object: outputs of blocks, in the order they first came */
    value_t saved;   /* object: _<exec>_<name>; null unless save_intermediate */
    value_t overlay; /* object or null: connections of the running block */
    /* For each block its outputs that connections use, object or null; NULL when no block feeds a connection.
     */
    value_t *kept;
    rng_t rng;
    scope_t scope;

    logic_run_t *logic;

    llm_request_t request;
    retry_policy_t retry; /* of request, when it is not the model's */
    buf_t body;
    char **request_headers; /* of call_ai, owned; NULL: the block's */
    size_t request_header_count;
    uint32_t calls_begun; /* for budget ai.max_calls */
    /* For budget ai.max_tokens. usage does not serve: row_take_usage resets it. */
    uint64_t tokens_used;
    bool answered; /* row->answer holds one that nobody has looked at */

    py_call_t call;
    bool has_event;         /* row->event holds the end of the call, and nobody has looked at it */
    uint32_t calls_before;  /* calls_begun when the call began */
    uint64_t tokens_before; /* tokens_used, likewise */

    const char *cancelled; /* reason, owned; NULL: not cancelled */
    value_t words;         /* string: err.text in full, if it had to be cut; else null */
    bool failed;
    char reason[ROW_REASON_MAX]; /* row_result_t */
    value_t end_reason;          /* of the end block, rendered; null */
    buf_t line_out;              /* the result */
    row_trace_t *trace;          /* NULL unless options->trace */

    /* Large and mostly unused: a new row clears of these only what says that the rest is not used (row.c,
     * clear_tables). They stay last. */
    row_usage_t usage;
    llm_answer_t answer;
    py_event_t event;
    err_t err; /* of the block that is failing */
};

static inline const block_t *row_block(const row_t *row) { return &row->pipeline->blocks[row->at]; }
bool row_wait(row_t *row, row_want_t want); /* sets want; always false */

/* --- row.c --- */
/* A row with nothing in it: what all rows of a pipeline have. Its context, vars and outputs are still
 * null. */
row_t *row_blank(const pipeline_t *pipeline, const row_options_t *options, uint64_t index, uint64_t now_ns);
/* Makes the running block see the outputs its connections name. */
void row_connect(row_t *row);
/* Ends the row as failed: "<label>: <text>", label NULL: the text alone. `kind` is one word for counting. */
void row_fail(row_t *row, const char *label, const char *text, const char *kind);
/* Puts one output of the running block into the context, the result, the intermediates and the trace. */
void row_give(row_t *row, str_t *name, value_t take);
/* Counts something odd about the running block, under "<label>" or, with an output, "<label>.<output>". */
void row_note(row_t *row, row_note_kind_t kind, const str_t *output, uint32_t count);
/* Counts what was read although JSON has not got it, under a name. */
void row_note_repairs(row_t *row, const char *name, json_repairs_t repairs);
/* The running block has succeeded: the next one begins. */
bool row_block_done(row_t *row);
/* May the running block, or a request of it, be tried once more by the attempts of its `retry`? */
bool row_attempts_left(const row_t *row);
/* The running block failed with row->err; `kind` is one word for counting. Does what on_error says. */
bool row_block_failed(row_t *row, const char *kind);
/* Ends the row: `final` is the result without _row_index. */
bool row_finish(row_t *row, value_t take_final);
/* Renders a template to an owned string value. */
int row_render(row_t *row, const template_t *t, value_t *out);
/* Wall time of the running block's budget: when the row must be finished; UINT64_MAX: no limit. */
uint64_t row_deadline(const row_t *row);

/* --- row_ai.c --- */
bool row_ai_start(row_t *row);
bool row_ai_answer(row_t *row);
/* Checks the budget before a call of an ai block or of call_ai, and counts the call. */
int row_llm_begin(row_t *row);
/* Counts the answer; an error when the call failed or went over the token budget. */
int row_llm_end(row_t *row);
/* Makes row->request of row->body. timeout_ms 0 and retry NULL: the model's. The headers are borrowed. */
void row_request_set(row_t *row, uint32_t model, char **headers, size_t header_count, uint32_t timeout_ms,
                     const retry_policy_t *retry);

/* --- row_images.c --- */
typedef struct message_parts {
    value_t list; /* finished parts of the message */
    buf_t text;   /* the run of text being gathered */
} message_parts_t;
int row_add_image(row_t *row, message_parts_t *parts, str_t *name, const char *detail);
/* The gathered text becomes a part. */
void message_parts_flush(message_parts_t *parts);
void message_parts_add_url(message_parts_t *parts, const char *url, size_t len, const char *detail);
void base64_write(buf_t *out, const void *bytes, size_t len);

/* --- row_python.c --- */
/* There is no event; what one held before is not released. */
void row_event_none(row_t *row);
bool row_python_start(row_t *row);
bool row_python_continue(row_t *row);
void row_python_clear(row_t *row);

/* --- row_end.c --- */
bool row_end_start(row_t *row);

/* --- row_trace.c: all of them do nothing without a trace --- */
void row_trace_init(row_t *row);
void row_trace_free(row_t *row);
void row_trace_begin(row_t *row);
void row_trace_skip(row_t *row);
void row_trace_add(row_t *row, const char *key, value_t take);
void row_trace_log(row_t *row, value_t take);
void row_trace_output(row_t *row, str_t *name, value_t v);
void row_trace_end(row_t *row, const char *error); /* error NULL: it went well */
value_t row_trace_take(row_t *row);                /* the whole list; null without a trace */

#endif
