/* fuzz_row_events - a row whose events come in any order and at any time: answers, failures, questions of its
 * Python code that are asked, asked again and answered in another order, calls that begin once more,
 * time-outs, cancelling, being put away and fetched. It always comes to an end, which is one JSON object; a
 * cancelled row has failed.
 *
 * The input is a script: a byte for what happens, and a line where that needs a text. */
#include "tests/fuzz/input.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/mabel/row/row.h"

static const char PIPELINE[] =
    "mabel: {version: \"2.1\"}\n"
    "budgets: {ai: {max_calls: 8}, wall_time_ms: 20000}\n"
    "globals: {vars: {v: 0}}\n"
    "models: [{name: m, api_model: m, api_key: k, base_url: \"http://127.0.0.1:1\"}]\n"
    "blocks:\n"
    "  - {type: ai, exec: 1, model: m, prompts: [\"{x}\"], outputs: [{name: A}], on_error: retry, retry: "
    "{max_attempts: 2, backoff: {base_ms: 1}}}\n"
    "  - {type: python, exec: 2, entrypoint: main, function_code: \"def main(ctx): pass\", inputs: {a: "
    "\"{A}\"}, "
    "outputs: [P], on_error: continue}\n"
    "  - {type: python, exec: 3, entrypoint: main, function_code: \"def main(ctx): pass\", outputs: [Q], "
    "on_error: "
    "retry, retry: {max_attempts: 2, backoff: {base_ms: 1}}}\n"
    "  - {type: end, exec: 4, final: [{name: t, value: \"{A}{P}{Q}{v}\"}]}\n";
enum { STEPS_MAX = 2000, BYTES_MAX = 1 << 22 };

typedef struct world {
    row_t *row;
    const pipeline_t *pipeline;
    row_options_t options;
    uint64_t now_ns;
    uint32_t open; /* questions that were begun and not answered */
    bool cancelled;
} world_t;

static const pipeline_t *the_pipeline(void) {
    static pipeline_t *loaded;
    if (loaded) return loaded;
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", PIPELINE, sizeof PIPELINE - 1);
    pipeline_source_t source = {
        .path = "fuzz.yaml", .bytes = PIPELINE, .len = sizeof PIPELINE - 1, .accept_python = true};
    loaded = pipeline_load(&source, &diags);
    CHECK(loaded, "%s", diags.count ? diags.items[0].message : "");
    diags_free(&diags);
    return loaded;
}

/* A line as JSON; null when it is none. The caller owns the value. */
static value_t json_line(fuzz_input_t *in) {
    size_t len;
    value_t v;
    char *line = fuzz_line(in, &len);
    if (json_parse_text(line, len, &v, NULL) != SDG_OK) v = value_null();
    free(line);
    return v;
}

static llm_answer_t answer_of(fuzz_input_t *in, uint8_t how) {
    size_t len;
    char *line = fuzz_line(in, &len);
    llm_answer_t a = {.text = value_string(line, len), .requests = 1 + how % 3, .completion_tokens = how};
    if (how % 4 == 0) {
        value_clear(&a.text);
        a.cause = 1 + how / 4 % (LLM_CAUSES - 1);
        err_set(&a.error, SDG_EIO, "HTTP 500: %.50s", line);
    }
    free(line);
    return a;
}

/* The request of a question is the same each time. */
static void ask(world_t *w, fuzz_input_t *in) {
    llm_request_t request;
    err_t err;
    if (row_ask_begin(w->row, w->now_ns, &err) < 0) return;
    value_t question = json_line(in);
    if (row_ask_request(w->row, question, &request, &err) == SDG_OK) {
        buf_t first;
        buf_init(&first, BYTES_MAX);
        buf_add(&first, request.body, request.body_len);
        CHECK(row_ask_request(w->row, question, &request, &err) == SDG_OK, "%s", err.text);
        CHECK(first.full ||
                  (first.len == request.body_len && memcmp(first.data, request.body, first.len) == 0),
              "another request");
        buf_free(&first);
        w->open++;
    } else {
        CHECK(err.text[0], "refused without a word");
    }
    value_free(question);
}

static void answer_ask(world_t *w, fuzz_input_t *in) {
    llm_answer_t a = answer_of(in, fuzz_byte(in));
    value_t text;
    err_t err = {0};
    int rc = row_ask_answer(w->row, &a, &text, &err);
    CHECK(rc == SDG_OK ? text.kind == VALUE_STRING : err.text[0] != '\0', "%d", rc);
    value_free(text);
    w->open--;
}

static void end_python(world_t *w, fuzz_input_t *in, bool fails) {
    py_event_t e = {.kind = fails ? PY_FAILED : PY_DONE};
    e.outputs = fails ? value_null() : json_line(in);
    e.vars = fails ? value_null() : json_line(in);
    if (fails) err_set(&e.error, SDG_EINVAL, "ValueError: x");
    row_python_event(w->row, &e);
    w->open = 0;
}

static void say_log(world_t *w) {
    py_event_t e = {.kind = PY_LOG, .log = value_object(2)};
    object_set_text(&e.log, "level", value_text("info"));
    object_set_text(&e.log, "message", value_text("words"));
    row_python_event(w->row, &e);
}

static void away_and_back(world_t *w) {
    buf_t bytes;
    err_t err;
    if (!row_can_save(w->row)) return;
    buf_init(&bytes, BYTES_MAX);
    row_save(w->row, &bytes);
    if (!bytes.full) {
        row_destroy(&w->row);
        w->row = row_load(w->pipeline, &w->options, bytes.data, bytes.len, w->now_ns, &err);
        CHECK(w->row, "%s", err.text);
    }
    buf_free(&bytes);
}

/* What may happen to any row. */
static void happen(world_t *w, uint8_t what) {
    switch (what % 16) {
    case 0: w->now_ns += (uint64_t)what * 100 * MILLISECOND; break;
    case 1: row_waited(w->row, (uint64_t)what * MILLISECOND); break;
    case 2:
        if (what != 2) break;
        row_cancel(w->row, "stopped");
        w->cancelled = true;
        break;
    default: break;
    }
}

static void python(world_t *w, fuzz_input_t *in, uint8_t what) {
    switch (what % 8) {
    case 0:
    case 1: ask(w, in); break;
    case 2:
        if (w->open) answer_ask(w, in);
        break;
    case 3: say_log(w); break;
    case 4:
        row_python_again(w->row);
        w->open = 0;
        break;
    case 5: end_python(w, in, true); return;
    case 6: end_python(w, in, false); return;
    default: break; /* it is still at it */
    }
    if (!fuzz_more(in)) end_python(w, in, true);
}

/* One thing happens to a row that wants something. */
static void step(world_t *w, fuzz_input_t *in, row_want_t want) {
    uint8_t what = fuzz_byte(in);
    happen(w, fuzz_byte(in));
    if (w->cancelled) return;
    if (want == ROW_WANT_LLM) {
        if (what % 4 == 0) away_and_back(w);
        llm_answer_t a = answer_of(in, what);
        row_llm_answer(w->row, &a);
    } else if (want == ROW_WANT_PYTHON) {
        python(w, in, what);
    } else if (want == ROW_WANT_TIME) {
        w->now_ns = what % 4 || !fuzz_more(in) ? row_wake_ns(w->row) : w->now_ns + MILLISECOND;
    }
}

static void check_result(const world_t *w) {
    row_result_t result;
    value_t line;
    bool has_error = false;
    row_result(w->row, &result);
    CHECK(json_parse_text(result.json, result.len, &line, NULL) == SDG_OK && line.kind == VALUE_OBJECT,
          "%.500s", result.json);
    object_get_peek(line, "_error", 6, &has_error);
    CHECK(result.failed == has_error, "%.500s", result.json);
    CHECK(!w->cancelled || result.failed, "cancelled, and fine");
    value_free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    world_t w = {.pipeline = the_pipeline(), .now_ns = SECOND};
    w.options = (row_options_t){.retry_on_empty = true, .seeded = true};
    size_t len;
    char *json = fuzz_line(&in, &len);
    row_input_t input = {.index = 1, .line = 1, .json = json, .len = len};
    w.row = row_new(w.pipeline, &w.options, &input, w.now_ns);
    row_want_t want;
    for (int i = 0; (want = row_run(w.row, w.now_ns)) != ROW_FINISHED; i++) {
        CHECK(i < STEPS_MAX + (int)size, "it has no end; it wants %d", (int)want);
        step(&w, &in, want);
    }
    check_result(&w);
    row_destroy(&w.row);
    free(json);
    return 0;
}
