/* report.c - see report.h. Every text exists in English and Japanese, side by side, so that one cannot be
 * changed without the other. */
#include "actors/monitor/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/row_notes.h"
#include "core/base/words.h"

static void rate(buf_t *out, double per_s) {
    if (per_s >= 10000)
        buf_addf(out, "%.1fk", per_s / 1000);
    else
        buf_addf(out, per_s < 100 ? "%.1f" : "%.0f", per_s);
}

/* ---- what is known */

uint64_t report_rows_done(const report_t *r) {
    return r->client[CLIENT_rows_ok] + r->client[CLIENT_rows_failed] + r->client[CLIENT_rows_resumed];
}

uint64_t report_retries(const report_t *r) {
    uint64_t n = 0;
    for (int i = CLIENT_retry_rate_limit; i <= CLIENT_retry_empty; i++) {
        n += r->client[i];
    }
    return n;
}

bool report_rows_are_exact(const report_t *r) { return r->client[CLIENT_rows_total] > 0; }

uint64_t report_rows_expected(const report_t *r) {
    const uint64_t *c = r->client;
    if (report_rows_are_exact(r)) return c[CLIENT_rows_total];
    if (c[CLIENT_bytes_total] == 0 || c[CLIENT_bytes_read] == 0) return 0;
    return (uint64_t)((double)c[CLIENT_rows_read] * (double)c[CLIENT_bytes_total] /
                          (double)c[CLIENT_bytes_read] +
                      0.5);
}

double report_done_share(const report_t *r) {
    const uint64_t *c = r->client;
    double share = NAN;
    if (report_rows_are_exact(r))
        share = (double)report_rows_done(r) / (double)c[CLIENT_rows_total];
    else if (c[CLIENT_bytes_total])
        share = (double)c[CLIENT_bytes_done] / (double)c[CLIENT_bytes_total];
    return share > 1 ? 1 : share;
}

double report_eta_s(const report_t *r) {
    uint64_t expected = report_rows_expected(r), done = report_rows_done(r);
    if (r->rows_per_s <= 0 || expected <= done) return NAN;
    return (double)(expected - done) / r->rows_per_s;
}

static uint64_t calls_limit(const report_t *r) {
    return r->scheduler[SCHEDULER_calls_limit] ? r->scheduler[SCHEDULER_calls_limit]
                                               : r->client[CLIENT_concurrency];
}

trouble_view_t report_trouble_view(const report_t *r) {
    return (trouble_view_t){.calls_limit = calls_limit(r),
                            .running_ms = r->elapsed_ns / 1000000,
                            .unix_ms = r->unix_ms,
                            .japanese = r->japanese};
}

/* ---- the progress line */

/* Its parts, as they stand beside each other. */
typedef enum part {
    PART_ROWS,
    PART_PASS,
    PART_TROUBLE, /* nothing goes on */
    PART_RATE,
    PART_CALLS,
    PART_TOKENS,
    PART_FAILED,
    PART_RETRIES,
    PART_PASSED_TROUBLE,
    PART_WORKERS,
    PART_STOPPING,
    PART_ETA,
    PART_MEMORY,
    PARTS
} part_t;

/* The most important first: where columns end, the rest of this list is left out. */
static const part_t BY_WEIGHT[PARTS] = {
    PART_ROWS, PART_STOPPING, PART_WORKERS, PART_TROUBLE,        PART_FAILED, PART_PASS,  PART_ETA,
    PART_RATE, PART_RETRIES,  PART_CALLS,   PART_PASSED_TROUBLE, PART_TOKENS, PART_MEMORY};

static void rows_part(const report_t *r, buf_t *out) {
    double share = report_done_share(r);
    if (r->japanese) {
        words_count(out, report_rows_done(r));
        buf_adds(out, " 行");
    } else {
        words_plural(out, report_rows_done(r), "row", "rows");
    }
    if (!isnan(share)) buf_addf(out, " (%.1f %%)", 100 * share);
}

/* --batch-mode: which pass runs and how many rows are through it. Before the last pass no row is finished. */
static void pass_part(const report_t *r, buf_t *out) {
    const uint64_t *c = r->client;
    if (c[CLIENT_passes] == 0) return;
    buf_addf(out, r->japanese ? "パス %" PRIu64 "/%" PRIu64 : "pass %" PRIu64 " of %" PRIu64, c[CLIENT_pass],
             c[CLIENT_passes]);
    if (c[CLIENT_rows_parked] == 0) return;
    buf_adds(out, r->japanese ? "（通過 " : " (");
    words_count(out, c[CLIENT_rows_parked]);
    buf_adds(out, r->japanese                  ? " 行）"
                  : c[CLIENT_rows_parked] == 1 ? " row through it)"
                                               : " rows through it)");
}

static void trouble_part(const report_t *r, bool passed, uint64_t columns, buf_t *out) {
    const endpoint_report_t *worst = trouble_worst(r->endpoints, r->endpoint_count);
    trouble_view_t view = report_trouble_view(r);
    if (worst && (trouble_kind(worst) == TROUBLE_PASSING) == passed)
        trouble_words(worst, &view, columns, out);
}

/* Nothing where the words of a trouble have said it already. */
static void calls_part(const report_t *r, buf_t *out) {
    const endpoint_report_t *worst = trouble_worst(r->endpoints, r->endpoint_count);
    trouble_kind_t kind = worst ? trouble_kind(worst) : TROUBLE_NONE;
    if ((r->elsewhere && r->endpoint_count == 0) || kind == TROUBLE_STUCK || kind == TROUBLE_CLOSED) return;
    if (r->japanese)
        buf_addf(out, "呼び出し中 %" PRIu64, r->scheduler[SCHEDULER_calls_in_flight]);
    else
        words_plural(out, r->scheduler[SCHEDULER_calls_in_flight], "call in flight", "calls in flight");
}

static void count_part(const report_t *r, uint64_t n, const char *one, const char *many, const char *japanese,
                       buf_t *out) {
    if (n && r->japanese)
        buf_addf(out, "%s %" PRIu64, japanese, n);
    else if (n)
        words_plural(out, n, one, many);
}

static void rate_part(const report_t *r, buf_t *out) {
    rate(out, r->rows_per_s);
    buf_adds(out, r->japanese ? " 行/秒" : " rows/s");
}

static void tokens_part(const report_t *r, buf_t *out) {
    if (r->tokens_per_s <= 0) return;
    rate(out, r->tokens_per_s);
    buf_adds(out, " tok/s");
}

static void eta_part(const report_t *r, buf_t *out) {
    double eta = report_eta_s(r);
    if (isnan(eta)) return;
    buf_adds(out, r->japanese ? "残り " : "ETA ");
    words_duration(out, (uint64_t)(eta * 1e9));
}

/* Parts that say nothing (no retries, no estimate) are left out. */
static void write_part(const report_t *r, part_t part, uint64_t columns, buf_t *out) {
    bool ja = r->japanese;
    switch (part) {
    case PART_ROWS: rows_part(r, out); break;
    case PART_PASS: pass_part(r, out); break;
    case PART_TROUBLE: trouble_part(r, false, columns, out); break;
    case PART_RATE: rate_part(r, out); break;
    case PART_CALLS: calls_part(r, out); break;
    case PART_TOKENS: tokens_part(r, out); break;
    case PART_FAILED: count_part(r, r->client[CLIENT_rows_failed], "failed", "failed", "失敗", out); break;
    case PART_RETRIES: count_part(r, report_retries(r), "retry", "retries", "再試行", out); break;
    case PART_PASSED_TROUBLE: trouble_part(r, true, columns, out); break;
    case PART_WORKERS:
        /* Who has said how an endpoint fares is a worker. */
        if (r->scheduler[SCHEDULER_workers] == 0 && r->endpoint_count == 0 &&
            (!r->elsewhere || report_rows_done(r) == 0))
            buf_adds(out, ja ? "ワーカー待ち" : "waiting for workers");
        break;
    case PART_STOPPING:
        if (r->client[CLIENT_stopping])
            buf_adds(out, ja ? "停止中（もう一度 Ctrl-C で即時停止）" : "stopping (Ctrl-C again: at once)");
        break;
    case PART_ETA: eta_part(r, out); break;
    case PART_MEMORY: words_bytes(out, r->rss_bytes); break;
    case PARTS: break;
    }
}

enum { PART_BYTES = TROUBLE_WORDS_BYTES, GAP = 2 }; /* GAP: columns between two parts */

/* Writes the parts by weight, as long as they fit; the first may be cut. Each is empty or has its words. */
static void choose_parts(const report_t *r, uint64_t columns, buf_t parts[PARTS]) {
    uint64_t left = columns;
    for (int i = 0; i < PARTS; i++) {
        buf_t *part = &parts[BY_WEIGHT[i]];
        uint64_t gap = i ? GAP : 0;
        if (left <= gap) return;
        write_part(r, BY_WEIGHT[i], left - gap, part);
        uint64_t wide = words_columns(part->data, part->len);
        if (part->len == 0) continue;
        if (wide + gap > left) {
            buf_t whole = *part;
            buf_init(part, PART_BYTES);
            if (i == 0) words_fit(part, whole.data, whole.len, left);
            buf_free(&whole);
            return;
        }
        if (left != UINT64_MAX) left -= wide + gap;
    }
}

void report_progress(const report_t *r, uint64_t columns, buf_t *out) {
    buf_t parts[PARTS];
    const char *gap = "";
    for (int i = 0; i < PARTS; i++) {
        buf_init(&parts[i], PART_BYTES);
    }
    choose_parts(r, columns, parts);
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].len) buf_addf(out, "%s%s", gap, parts[i].data);
        if (parts[i].len) gap = "  ";
        buf_free(&parts[i]);
    }
}

/* ---- summary */

enum { LABEL_COLUMNS = 12 };

static void label(buf_t *out, const report_t *r, const char *english, const char *japanese) {
    const char *text = r->japanese ? japanese : english;
    buf_addf(out, "  %s", text);
    for (uint64_t i = words_columns(text, strlen(text)); i < LABEL_COLUMNS; i++) {
        buf_addc(out, ' ');
    }
}

/* A text of a server or a row as the rest of the line. */
static void end_with_text(buf_t *out, const char *text, size_t len) {
    words_fit(out, text, len, UINT64_MAX);
    buf_adds(out, "\n");
}

static uint64_t rows_of_this_run(const report_t *r) {
    return r->client[CLIENT_rows_ok] + r->client[CLIENT_rows_failed];
}

static uint64_t rows_failed_in_output(const report_t *r) {
    return r->client[CLIENT_rows_failed] + r->client[CLIENT_resumed_failed];
}

static bool is_file(const char *output) { return output && strcmp(output, "-") != 0; }

/* Rows, time, rate and memory of the whole run. */
static void rows_lines(const report_t *r, buf_t *out) {
    const uint64_t *c = r->client;
    label(out, r, "rows", "行");
    words_count(out, c[CLIENT_rows_ok]);
    buf_adds(out, r->japanese ? " 成功, " : " fine, ");
    words_count(out, c[CLIENT_rows_failed]);
    buf_adds(out, r->japanese ? " 失敗" : " failed");
    if (c[CLIENT_rows_resumed]) {
        buf_adds(out, r->japanese ? ", 以前の実行で完了 " : ", finished by an earlier run ");
        words_count(out, c[CLIENT_rows_resumed]);
    }
    if (c[CLIENT_resumed_failed]) {
        buf_adds(out, r->japanese ? "（うち失敗 " : " (");
        words_count(out, c[CLIENT_resumed_failed]);
        buf_adds(out, r->japanese ? "）" : " failed)");
    }
    buf_adds(out, "\n");
    label(out, r, "time", "時間");
    words_duration(out, r->elapsed_ns);
    buf_adds(out, ", ");
    rate(out, r->elapsed_ns ? (double)rows_of_this_run(r) * 1e9 / (double)r->elapsed_ns : 0);
    buf_adds(out, r->japanese ? " 行/秒, 最大メモリ " : " rows/s, peak memory ");
    words_bytes(out, r->rss_bytes);
    buf_adds(out, "\n");
}

/* LLM calls, tokens and latencies; nothing when no call was made. */
static void call_lines(const report_t *r, const hist_t *latency, buf_t *out) {
    const uint64_t *c = r->client;
    if (c[CLIENT_calls] == 0) return;
    label(out, r, "LLM calls", "LLM呼出");
    words_count(out, c[CLIENT_calls]);
    buf_adds(out, r->japanese ? " 回 (リクエスト " : " (requests ");
    words_count(out, c[CLIENT_requests]);
    buf_adds(out, ")\n");
    label(out, r, "tokens", "トークン");
    words_count(out, c[CLIENT_prompt_tokens]);
    buf_adds(out, r->japanese ? " 入力, " : " in, ");
    words_count(out, c[CLIENT_completion_tokens]);
    buf_adds(out, r->japanese ? " 出力" : " out");
    if (c[CLIENT_cut_short] && r->japanese) buf_addf(out, ", 途中で切れた応答 %" PRIu64, c[CLIENT_cut_short]);
    if (c[CLIENT_cut_short] && !r->japanese) {
        buf_adds(out, ", ");
        words_plural(out, c[CLIENT_cut_short], "answer", "answers");
        buf_adds(out, " cut short (length or content filter)");
    }
    buf_adds(out, "\n");
    if (latency->count == 0) return; /* no request was ever answered */
    label(out, r, "latency", "遅延");
    static const double points[] = {50, 90, 99};
    for (size_t i = 0; i < 3; i++) {
        buf_addf(out, "p%.0f ", points[i]);
        words_duration(out, hist_percentile(latency, points[i]) * 1000);
        buf_adds(out, ", ");
    }
    buf_adds(out, r->japanese ? "最大 " : "max ");
    words_duration(out, latency->max_us * 1000);
    buf_adds(out, "\n");
}

/* Retries by cause; nothing when there was none. */
static void retry_line(const report_t *r, buf_t *out) {
    static const struct {
        int stat;
        const char *english, *japanese;
    } causes[] = {
        {CLIENT_retry_rate_limit, "rate limit", "レート制限"},
        {CLIENT_retry_overload, "overload", "過負荷"},
        {CLIENT_retry_server, "server error", "サーバーエラー"},
        {CLIENT_retry_timeout, "timeout", "タイムアウト"},
        {CLIENT_retry_connection, "connection", "接続"},
        {CLIENT_retry_malformed, "malformed answer", "不正な応答"},
        {CLIENT_retry_empty, "empty answer", "空の応答"},
    };
    const char *comma = "";
    if (report_retries(r) == 0) return;
    label(out, r, "retries", "再試行");
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (r->client[causes[i].stat] == 0) continue;
        buf_adds(out, comma);
        words_count(out, r->client[causes[i].stat]);
        buf_addf(out, " %s", r->japanese ? causes[i].japanese : causes[i].english);
        comma = ", ";
    }
    buf_adds(out, "\n");
}

/* What went wrong last at each endpoint, also where it was healed; nothing where nothing has. */
static void endpoint_lines(const report_t *r, buf_t *out) {
    for (size_t i = 0; i < r->endpoint_count; i++) {
        if (r->endpoints[i].trouble == LLM_CAUSE_NONE) continue;
        label(out, r, "last error", "最後の障害");
        trouble_cause(&r->endpoints[i], r->japanese, out);
        buf_adds(out, "\n");
    }
}

static uint64_t count_of(value_t v) { return v.kind == VALUE_INT && v.integer > 0 ? (uint64_t)v.integer : 0; }

static value_t child(value_t object, const char *key) {
    return object.kind == VALUE_OBJECT ? object_get_peek(object, key, strlen(key), NULL) : value_null();
}

/* "ask.Question: nothing in 3 of 3 rows" */
static void nothing_note(const report_t *r, const char *name, uint64_t n, buf_t *out) {
    buf_adds(out, name);
    buf_adds(out, r->japanese ? ": 何も得られなかった行 " : ": nothing in ");
    words_count(out, n);
    buf_adds(out, r->japanese ? " / " : " of ");
    if (r->japanese)
        words_count(out, rows_of_this_run(r));
    else
        words_plural(out, rows_of_this_run(r), "row", "rows");
    buf_adds(out, "\n");
}

/* "sum: 12 values counted as 0" */
static void counted_note(const report_t *r, const char *name, uint64_t n, const char *one, const char *many,
                         const char *japanese, buf_t *out) {
    buf_addf(out, "%s: ", name);
    if (r->japanese) buf_addf(out, "%s ", japanese);
    if (r->japanese)
        words_count(out, n);
    else
        words_plural(out, n, one, many);
    buf_adds(out, "\n");
}

/* What was odd about rows that went well. */
static void note_lines(const report_t *r, value_t outcomes, buf_t *out) {
    static const struct {
        row_note_kind_t kind;
        const char *one, *many, *japanese;
    } counted[] = {
        {ROW_NOTE_ZERO, "value counted as 0", "values counted as 0", "0 とみなした値"},
        {ROW_NOTE_NOT_JSON, "answer was not JSON", "answers were not JSON", "JSON でない応答"},
        {ROW_NOTE_NULLED, "value made null (NaN, infinite or too large)",
         "values made null (NaN, infinite or too large)", "null にした値（NaN・無限大・範囲外）"},
        {ROW_NOTE_REPLACED, "half surrogate pair read as U+FFFD", "half surrogate pairs read as U+FFFD",
         "U+FFFD にした不完全なサロゲート"},
    };
    value_t nothing = child(outcomes, row_notes_kind_name(ROW_NOTE_NOTHING));
    for (size_t i = 0; nothing.kind == VALUE_OBJECT && i < object_count(nothing); i++) {
        label(out, r, "note", "注意");
        nothing_note(r, object_key_peek(nothing, i)->data, count_of(object_value_peek(nothing, i)), out);
    }
    for (size_t k = 0; k < sizeof counted / sizeof *counted; k++) {
        value_t notes = child(outcomes, row_notes_kind_name(counted[k].kind));
        for (size_t i = 0; notes.kind == VALUE_OBJECT && i < object_count(notes); i++) {
            label(out, r, "note", "注意");
            counted_note(r, object_key_peek(notes, i)->data, count_of(object_value_peek(notes, i)),
                         counted[k].one, counted[k].many, counted[k].japanese, out);
        }
    }
}

/* Counts by name; below each one a sample, where there is one. */
static void count_lines(const report_t *r, value_t counts, value_t samples, const char *english,
                        const char *japanese, buf_t *out) {
    for (size_t i = 0; counts.kind == VALUE_OBJECT && i < object_count(counts); i++) {
        str_t *name = object_key_peek(counts, i);
        value_t sample = samples.kind == VALUE_OBJECT ? object_get_peek(samples, name->data, name->len, NULL)
                                                      : value_null();
        label(out, r, i == 0 ? english : "", i == 0 ? japanese : "");
        words_count(out, count_of(object_value_peek(counts, i)));
        buf_adds(out, " ");
        end_with_text(out, name->data, name->len);
        if (sample.kind != VALUE_STRING) continue;
        label(out, r, "", "");
        buf_adds(out, r->japanese ? "  例: " : "  e.g. ");
        end_with_text(out, sample.string->data, sample.string->len);
    }
}

/* Were all failed rows of the output lines of the input that could not be read? Those fail again until the
 * input is another. */
static bool only_input_failed(const report_t *r, value_t outcomes) {
    value_t failed = child(outcomes, "failed");
    return failed.kind == VALUE_OBJECT && object_count(failed) == 1 &&
           strcmp(object_key_peek(failed, 0)->data, "input") == 0 &&
           count_of(object_value_peek(failed, 0)) == rows_failed_in_output(r);
}

/* What can be done about failed rows. */
static void next_line(const report_t *r, const report_end_t *end, value_t outcomes, buf_t *out) {
    if (rows_failed_in_output(r) == 0 || !end->again) return;
    label(out, r, "next", "次に");
    if (only_input_failed(r, outcomes))
        buf_addf(out,
                 r->japanese ? "入力を直してから失敗した行をやり直す: %s --force-resume\n"
                             : "correct these lines of the input, then: %s --force-resume\n",
                 end->again);
    else
        buf_addf(out, r->japanese ? "失敗した行をやり直す: %s\n" : "ask the failed rows again: %s\n",
                 end->again);
}

/* Why a run has ended, in the language of the reader. Reasons that servers and files give stay as they are.
 */
static const char *ending_words(const report_t *r, const char *ending) {
    if (!r->japanese) return ending;
    if (strcmp(ending, "stopped on request") == 0) return "停止の指示を受け、処理中の行を終えました";
    if (strcmp(ending, "stopped at once") == 0) return "停止の指示を受け、すぐに止まりました";
    return ending;
}

static void ending_line(const report_t *r, const char *said, buf_t *out) {
    const char *ending = ending_words(r, said);
    if (ending[0] && r->client[CLIENT_can_continue])
        buf_addf(out,
                 r->japanese ? "中断: %s（同じコマンドで続きから再開できます）\n"
                             : "ended early: %s (the same command continues)\n",
                 ending);
    else if (ending[0])
        buf_addf(out, r->japanese ? "失敗: %s\n" : "failed: %s\n", ending);
    else
        buf_adds(out, r->japanese ? "完了\n" : "done\n");
}

/* Begins with how the run ended. */
void report_summary(const report_t *r, const report_end_t *end, buf_t *out) {
    value_t outcomes = value_null();
    if (end->outcomes_len) json_parse_text(end->outcomes, end->outcomes_len, &outcomes, NULL);
    ending_line(r, end->ending, out);
    if (is_file(end->output)) {
        label(out, r, "output", "出力");
        end_with_text(out, end->output, strlen(end->output));
    }
    rows_lines(r, out);
    call_lines(r, end->latency, out);
    retry_line(r, out);
    endpoint_lines(r, out);
    note_lines(r, outcomes, out);
    count_lines(r, child(outcomes, "ended"), value_null(), "ended", "終了コード", out);
    count_lines(r, child(outcomes, "failed"), child(outcomes, "samples"), "failed", "失敗", out);
    next_line(r, end, outcomes, out);
    value_free(outcomes);
}

/* The message of the kind of failure that came first, cut to a line that people still read. */
static void one_reason(value_t outcomes, buf_t *out) {
    enum { REASON_COLUMNS = 200 };
    value_t failed = child(outcomes, "failed"), samples = child(outcomes, "samples");
    if (failed.kind != VALUE_OBJECT || object_count(failed) == 0) return;
    str_t *name = object_key_peek(failed, 0);
    value_t sample =
        samples.kind == VALUE_OBJECT ? object_get_peek(samples, name->data, name->len, NULL) : value_null();
    buf_adds(out, ": ");
    if (sample.kind == VALUE_STRING)
        words_fit(out, sample.string->data, sample.string->len, REASON_COLUMNS);
    else
        words_fit(out, name->data, name->len, REASON_COLUMNS);
}

void report_failed_line(const report_t *r, const report_end_t *end, buf_t *out) {
    value_t outcomes = value_null();
    uint64_t failed = rows_failed_in_output(r);
    bool ja = r->japanese;
    if (failed == 0) return;
    if (end->outcomes_len) json_parse_text(end->outcomes, end->outcomes_len, &outcomes, NULL);
    buf_adds(out, "sdg: ");
    words_count(out, failed);
    buf_adds(out, ja ? " / " : " of ");
    words_plural(out, report_rows_done(r), ja ? "行が失敗" : "row failed", ja ? "行が失敗" : "rows failed");
    one_reason(outcomes, out);
    if (is_file(end->output))
        buf_addf(out,
                 only_input_failed(r, outcomes)
                     ? (ja ? "（%s、入力を直して --retry-failed --force-resume）"
                           : " (%s; correct the input, then --retry-failed --force-resume)")
                     : (ja ? "（%s、--retry-failed でやり直し）" : " (%s; --retry-failed asks again)"),
                 end->output);
    buf_adds(out, "\n");
    value_free(outcomes);
}
