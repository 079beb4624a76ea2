/* report.c - see report.h. Every text exists in English and Japanese, side by side, so that one cannot be
 * changed without the other. */
#include "actors/monitor/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/words.h"

static void rate(buf_t *out, double per_s) {
    if (per_s >= 10000)
        buf_addf(out, "%.1fk", per_s / 1000);
    else
        buf_addf(out, per_s < 100 ? "%.1f" : "%.0f", per_s);
}

static uint64_t rows_done(const report_t *r) {
    return r->client[CLIENT_rows_ok] + r->client[CLIENT_rows_failed];
}

static uint64_t retries(const report_t *r) {
    uint64_t n = 0;
    for (int i = CLIENT_retry_rate_limit; i <= CLIENT_retry_empty; i++) {
        n += r->client[i];
    }
    return n;
}

uint64_t report_rows_expected(const report_t *r) {
    const uint64_t *c = r->client;
    if (c[CLIENT_rows_total]) return c[CLIENT_rows_total];
    if (c[CLIENT_bytes_total] == 0 || c[CLIENT_bytes_read] == 0) return 0;
    return (uint64_t)((double)c[CLIENT_rows_read] * (double)c[CLIENT_bytes_total] /
                          (double)c[CLIENT_bytes_read] +
                      0.5);
}

static void share_and_eta(const report_t *r, buf_t *out, buf_t *eta) {
    uint64_t expected = report_rows_expected(r), done = rows_done(r) + r->client[CLIENT_rows_resumed];
    if (expected == 0) return;
    if (done > expected) done = expected;
    buf_addf(out, " (%.1f %%)", 100.0 * (double)done / (double)expected);
    if (r->rows_per_s <= 0 || done == expected) return;
    buf_adds(eta, r->japanese ? "  残り " : "  ETA ");
    words_duration(eta, (uint64_t)((double)(expected - done) / r->rows_per_s * 1e9));
}

/* --batch-mode: which pass runs and how many rows are through it. Before the last pass no row is finished. */
static void pass(const report_t *r, buf_t *out) {
    const uint64_t *c = r->client;
    if (c[CLIENT_passes] == 0) return;
    buf_addf(out, r->japanese ? "  パス %" PRIu64 "/%" PRIu64 : "  pass %" PRIu64 "/%" PRIu64, c[CLIENT_pass],
             c[CLIENT_passes]);
    if (c[CLIENT_rows_parked] == 0) return;
    buf_adds(out, r->japanese ? "（通過 " : " (");
    words_count(out, c[CLIENT_rows_parked]);
    buf_adds(out, r->japanese ? " 行）" : " rows through it)");
}

static void problems(const report_t *r, buf_t *out) {
    if (r->client[CLIENT_rows_failed])
        buf_addf(out, r->japanese ? "  失敗 %" PRIu64 : "  %" PRIu64 " failed",
                 r->client[CLIENT_rows_failed]);
    if (retries(r)) buf_addf(out, r->japanese ? "  再試行 %" PRIu64 : "  %" PRIu64 " retries", retries(r));
    if (r->scheduler[SCHEDULER_workers] == 0 && (!r->elsewhere || rows_done(r) == 0))
        buf_adds(out, r->japanese ? "  ワーカー待ち" : "  waiting for workers");
    if (r->client[CLIENT_stopping])
        buf_adds(out, r->japanese ? "  停止中（もう一度 Ctrl-C で即時停止）"
                                  : "  stopping (Ctrl-C again: at once)");
}

/* Parts that say nothing (no retries, no estimate) are left out. */
void report_progress(const report_t *r, buf_t *out) {
    buf_t eta;
    bool ja = r->japanese;
    buf_init(&eta, 64);
    words_count(out, rows_done(r) + r->client[CLIENT_rows_resumed]);
    buf_adds(out, ja ? " 行" : " rows");
    share_and_eta(r, out, &eta);
    pass(r, out);
    buf_adds(out, "  ");
    rate(out, r->rows_per_s);
    buf_adds(out, ja ? " 行/秒" : " rows/s");
    if (!r->elsewhere)
        buf_addf(out, ja ? "  呼び出し中 %" PRIu64 : "  %" PRIu64 " calls in flight",
                 r->scheduler[SCHEDULER_calls_in_flight]);
    if (r->tokens_per_s > 0) {
        buf_adds(out, "  ");
        rate(out, r->tokens_per_s);
        buf_adds(out, " tok/s");
    }
    problems(r, out);
    if (eta.len) buf_add(out, eta.data, eta.len);
    buf_adds(out, "  ");
    words_bytes(out, r->rss_bytes);
    buf_free(&eta);
}

/* ---- summary */

static void label(buf_t *out, const report_t *r, const char *english, const char *japanese) {
    buf_addf(out, "  %s", r->japanese ? japanese : english);
    /* A Japanese character is two columns wide and has three bytes, which is near enough for these words. */
    size_t wide = r->japanese ? strlen(japanese) * 2 / 3 : strlen(english);
    for (size_t i = wide; i < 12; i++) {
        buf_addc(out, ' ');
    }
}

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
    buf_adds(out, "\n");
    label(out, r, "time", "時間");
    words_duration(out, r->elapsed_ns);
    buf_adds(out, ", ");
    rate(out, r->elapsed_ns ? (double)rows_done(r) * 1e9 / (double)r->elapsed_ns : 0);
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
    if (c[CLIENT_cut_short])
        buf_addf(out,
                 r->japanese ? ", 途中で切れた応答 %" PRIu64
                             : ", %" PRIu64 " answers cut short (length or content filter)",
                 c[CLIENT_cut_short]);
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
    if (retries(r) == 0) return;
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

static void count_lines(const report_t *r, value_t counts, const char *english, const char *japanese,
                        buf_t *out) {
    for (size_t i = 0; counts.kind == VALUE_OBJECT && i < object_count(counts); i++) {
        value_t n = object_value_peek(counts, i);
        label(out, r, i == 0 ? english : "", i == 0 ? japanese : "");
        words_count(out, n.kind == VALUE_INT ? (uint64_t)n.integer : 0);
        buf_addf(out, " %s\n", object_key_peek(counts, i)->data);
    }
}

static void reason_lines(const report_t *r, const char *json, size_t len, buf_t *out) {
    value_t reasons;
    if (len == 0 || json_parse_text(json, len, &reasons, NULL) != SDG_OK) return;
    if (reasons.kind == VALUE_OBJECT) {
        count_lines(r, object_get_peek(reasons, "ended", 5, NULL), "ended", "終了コード", out);
        count_lines(r, object_get_peek(reasons, "failed", 6, NULL), "failed", "失敗", out);
    }
    value_free(reasons);
}

/* Begins with how the run ended. */
void report_summary(const report_t *r, const hist_t *latency, const char *reasons_json, size_t reasons_len,
                    const char *ending, buf_t *out) {
    if (ending[0] && r->client[CLIENT_can_continue])
        buf_addf(out,
                 r->japanese ? "中断: %s（同じコマンドで続きから再開できます）\n"
                             : "ended early: %s (the same command continues)\n",
                 ending);
    else if (ending[0])
        buf_addf(out, r->japanese ? "失敗: %s\n" : "failed: %s\n", ending);
    else
        buf_adds(out, r->japanese ? "完了\n" : "done\n");
    rows_lines(r, out);
    call_lines(r, latency, out);
    retry_line(r, out);
    reason_lines(r, reasons_json, reasons_len, out);
}
