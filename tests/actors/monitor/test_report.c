/* Numbers as text for people: the progress line at any width, the summary, the line of a quiet run. */
#include "actors/monitor/report.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/words.h"

/* A run in full swing: 1,234 of 5,000 rows. */
static report_t busy(bool japanese) {
    report_t r = {.rows_per_s = 56.1,
                  .tokens_per_s = 1234,
                  .elapsed_ns = UINT64_C(22000000000),
                  .rss_bytes = 34 << 20,
                  .japanese = japanese};
    r.client[CLIENT_rows_ok] = 1232;
    r.client[CLIENT_rows_failed] = 2;
    r.client[CLIENT_rows_total] = 5000;
    r.client[CLIENT_retry_rate_limit] = 3;
    r.scheduler[SCHEDULER_workers] = 1;
    r.scheduler[SCHEDULER_calls_in_flight] = 64;
    r.scheduler[SCHEDULER_calls_limit] = 64;
    return r;
}

static void check_line(const report_t *r, uint64_t columns, const char *expected) {
    buf_t out;
    buf_init(&out, 8192);
    report_progress(r, columns, &out);
    cr_expect_str_eq(out.data, expected);
    cr_expect_leq(words_columns(out.data, out.len), columns);
    buf_free(&out);
}

Test(report, the_line_fits_and_its_least_important_parts_leave_first) {
    report_t r = busy(false), ja = busy(true);
    check_line(
        &r, UINT64_MAX,
        "1,234 rows (24.7 %)  56.1 rows/s  64 calls in flight  1234 tok/s  2 failed  3 retries  ETA 1m07s  "
        "34 MiB");
    check_line(&r, 80, "1,234 rows (24.7 %)  56.1 rows/s  2 failed  3 retries  ETA 1m07s");
    check_line(&r, 60, "1,234 rows (24.7 %)  56.1 rows/s  2 failed  ETA 1m07s");
    check_line(&r, 40, "1,234 rows (24.7 %)  2 failed  ETA 1m07s");
    check_line(&r, 20, "1,234 rows (24.7 %)");
    check_line(&r, 10, "1,234 row…");
    check_line(
        &ja, UINT64_MAX,
        "1,234 行 (24.7 %)  56.1 行/秒  呼び出し中 64  1234 tok/s  失敗 2  再試行 3  残り 1m07s  34 MiB");
    check_line(&ja, 60, "1,234 行 (24.7 %)  56.1 行/秒  失敗 2  再試行 3  残り 1m07s");
    check_line(&ja, 40, "1,234 行 (24.7 %)  失敗 2  残り 1m07s");
}

Test(report, one_is_singular) {
    report_t r = busy(false);
    r.client[CLIENT_rows_ok] = 0;
    r.client[CLIENT_rows_failed] = 1;
    r.client[CLIENT_rows_total] = 0;
    r.client[CLIENT_retry_rate_limit] = 1;
    r.scheduler[SCHEDULER_calls_in_flight] = 1;
    check_line(&r, UINT64_MAX, "1 row  56.1 rows/s  1 call in flight  1234 tok/s  1 failed  1 retry  34 MiB");
}

static endpoint_report_t stuck(void) {
    return (endpoint_report_t){.address = "http://gpu1:8000/v1/chat/completions",
                               .waiting = 64,
                               .answered_ms = 3000,
                               .trouble = LLM_CAUSE_RATE_LIMIT,
                               .trouble_text = "HTTP 429: slow down",
                               .trouble_ms = 200};
}

Test(report, trouble_comes_before_rates) {
    endpoint_report_t e = stuck();
    report_t r = busy(false), ja = busy(true);
    r.endpoints = ja.endpoints = &e;
    r.endpoint_count = ja.endpoint_count = 1;
    check_line(
        &r, UINT64_MAX,
        "1,234 rows (24.7 %)  0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000 (\"slow down\")  56.1 "
        "rows/s  1234 tok/s  2 failed  3 retries  ETA 1m07s  34 MiB");
    check_line(&r, 80, "1,234 rows (24.7 %)  0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000");
    check_line(&r, 60, "1,234 rows (24.7 %)  64 wait: 429 from gpu1:8000  2 failed");
    check_line(&r, 40, "1,234 rows (24.7 %)  429 from gpu1:8000");
    check_line(&ja, 80, "1,234 行 (24.7 %)  0/64 実行中、64 件待機 3 s: http://gpu1:8000 から 429  失敗 2");
    check_line(&ja, 40, "1,234 行 (24.7 %)  gpu1:8000 から 429");
}

/* Whatever goes wrong, in any language, at any width: one line that is not too long and holds the rows. */
Test(report, every_kind_of_trouble_fits_everywhere) {
    endpoint_report_t kinds[6];
    for (int k = 0; k < 6; k++)
        kinds[k] = stuck();
    kinds[1].state = ENDPOINT_CLOSED;
    kinds[1].reopens_ms = 300000;
    kinds[2].state = ENDPOINT_FINAL;
    kinds[3].refused = kinds[3].refused_in_a_row = 7;
    kinds[4] = (endpoint_report_t){
        .address = "http://gpu1:8000", .in_flight = 3, .oldest_ms = 6000, .answered_ms = ENDPOINT_NEVER};
    kinds[5].answered_ms = 10;
    for (int k = 0; k < 6; k++) {
        for (int japanese = 0; japanese < 2; japanese++) {
            report_t r = busy(japanese);
            r.endpoints = &kinds[k];
            r.endpoint_count = 1;
            cr_assert_neq(trouble_kind(&kinds[k]), TROUBLE_NONE);
            for (uint64_t columns = 1; columns < 260; columns++) {
                buf_t out;
                buf_init(&out, 8192);
                report_progress(&r, columns, &out);
                cr_expect_leq(words_columns(out.data, out.len), columns, "%s", out.data);
                cr_expect(columns < 19 || strstr(out.data, "1,234"), "%s", out.data);
                if (columns >= (k == 4 ? 45 : 39) && k < 5)
                    cr_expect_not_null(strstr(out.data, "gpu1:8000"), "%s", out.data);
                cr_expect_null(strchr(out.data, '\n'));
                buf_free(&out);
            }
        }
    }
}

Test(report, share_and_eta_come_from_bytes_of_finished_rows) {
    report_t r = busy(false);
    r.client[CLIENT_rows_total] = 0;
    r.client[CLIENT_rows_ok] = 100;
    r.client[CLIENT_rows_failed] = 0;
    r.client[CLIENT_rows_read] = 1100; /* a thousand rows are read ahead */
    r.client[CLIENT_bytes_read] = 11000;
    r.client[CLIENT_bytes_done] = 1000;
    r.client[CLIENT_bytes_total] = 122400;
    cr_expect_not(report_rows_are_exact(&r));
    cr_expect_eq(report_rows_expected(&r), 12240);
    cr_expect_float_eq(report_done_share(&r), 1000.0 / 122400, 1e-9);
    cr_expect_float_eq(report_eta_s(&r), (12240 - 100) / 56.1, 1e-6);
    r.client[CLIENT_rows_total] = 12240;
    cr_expect(report_rows_are_exact(&r));
    cr_expect_float_eq(report_done_share(&r), 100.0 / 12240, 1e-9);
}

static const char OUTCOMES[] =
    "{\"failed\": {\"ask: HTTP 400\": 2, \"input\": 1}, \"ended\": {}, \"nothing\": {\"ask.Question\": 3}, "
    "\"zero\": {\"sum\": 12}, \"not_json\": {\"ask\": 1}, \"nulled\": {\"input\": 1}, \"replaced\": "
    "{\"input\": 2}, "
    "\"samples\": {\"ask: HTTP 400\": \"ask: HTTP 400: never\\nnow\"}}";

static char *summary_of(report_t *r, report_end_t end, bool one_line) {
    static hist_t nothing;
    buf_t out;
    buf_init(&out, 65536);
    end.latency = &nothing;
    if (!end.outcomes) {
        end.outcomes = OUTCOMES;
        end.outcomes_len = sizeof OUTCOMES - 1;
    }
    if (one_line)
        report_failed_line(r, &end, &out);
    else
        report_summary(r, &end, &out);
    return out.len ? buf_take(&out, NULL) : strdup("");
}

static void expect_line(const char *text, const char *line) {
    char *with_end = xasprintf("\n%s\n", line);
    cr_expect_not_null(strstr(text, with_end), "%s is missing in:\n%s", line, text);
    free(with_end);
}

Test(report, the_summary_says_what_to_do) {
    report_t r = busy(false);
    endpoint_report_t e = stuck();
    r.client[CLIENT_rows_ok] = 0;
    r.client[CLIENT_rows_failed] = 3;
    r.endpoints = &e;
    r.endpoint_count = 1;
    report_end_t end = {.ending = "", .output = "out.jsonl", .again = "sdg run -o out.jsonl --retry-failed"};
    char *text = summary_of(&r, end, false);
    cr_expect_eq(strncmp(text, "done\n", 5), 0);
    expect_line(text, "  output      out.jsonl");
    expect_line(text, "  rows        0 fine, 3 failed");
    expect_line(text, "  last error  429 from http://gpu1:8000 (\"slow down\")");
    expect_line(text, "  note        ask.Question: nothing in 3 of 3 rows");
    expect_line(text, "  note        sum: 12 values counted as 0");
    expect_line(text, "  note        ask: 1 answer was not JSON");
    expect_line(text, "  note        input: 1 value made null (NaN, infinite or too large)");
    expect_line(text, "  note        input: 2 half surrogate pairs read as U+FFFD");
    expect_line(text, "  failed      2 ask: HTTP 400");
    expect_line(text, "                e.g. ask: HTTP 400: never now");
    expect_line(text, "              1 input");
    expect_line(text, "  next        ask the failed rows again: sdg run -o out.jsonl --retry-failed");
    free(text);
    r.japanese = true;
    text = summary_of(&r, end, false);
    expect_line(text, "  出力        out.jsonl");
    expect_line(text, "  次に        失敗した行をやり直す: sdg run -o out.jsonl --retry-failed");
    free(text);
}

Test(report, without_failed_rows_nothing_is_to_be_done_again) {
    report_t r = busy(false);
    r.client[CLIENT_rows_failed] = 0;
    report_end_t end = {.ending = "", .output = "-", .again = "sdg run --retry-failed"};
    char *text = summary_of(&r, end, false), *line = summary_of(&r, end, true);
    cr_expect_null(strstr(text, "  next "));
    cr_expect_null(strstr(text, "  output "));
    cr_expect_str_eq(line, "");
    free(text), free(line);
    r.client[CLIENT_rows_resumed] = 5; /* the output holds failed rows of an earlier run */
    r.client[CLIENT_resumed_failed] = 1;
    text = summary_of(&r, end, false);
    cr_expect_not_null(strstr(text, "finished by an earlier run 5 (1 failed)"), "%s", text);
    cr_expect_not_null(strstr(text, "  next "), "%s", text);
    free(text);
}

Test(report, lines_that_could_not_be_read_have_to_be_corrected_first) {
    static const char input[] =
        "{\"failed\": {\"input\": 3}, \"samples\": {\"input\": \"input line 1: no\"}}";
    report_t r = busy(false);
    r.client[CLIENT_rows_ok] = 1231;
    r.client[CLIENT_rows_failed] = 3;
    report_end_t end = {.ending = "",
                        .output = "out.jsonl",
                        .again = "sdg run --retry-failed",
                        .outcomes = input,
                        .outcomes_len = sizeof input - 1};
    char *text = summary_of(&r, end, false), *line = summary_of(&r, end, true);
    expect_line(
        text, "  next        correct these lines of the input, then: sdg run --retry-failed --force-resume");
    cr_expect_str_eq(line,
                     "sdg: 3 of 1,234 rows failed: input line 1: no (out.jsonl; correct the input, then "
                     "--retry-failed --force-resume)\n");
    free(text), free(line);
    r.client[CLIENT_rows_failed] = 4; /* one of an earlier run, whatever its reason was */
    text = summary_of(&r, end, false);
    expect_line(text, "  next        ask the failed rows again: sdg run --retry-failed");
    free(text);
}

Test(report, a_quiet_run_says_one_line) {
    report_t r = busy(false);
    char *line = summary_of(&r, (report_end_t){.ending = "", .output = "out.jsonl"}, true);
    cr_expect_str_eq(line,
                     "sdg: 2 of 1,234 rows failed: ask: HTTP 400: never now (out.jsonl; --retry-failed asks "
                     "again)\n");
    free(line);
    r.japanese = true;
    line = summary_of(&r, (report_end_t){.ending = "", .output = "-"}, true);
    cr_expect_str_eq(line, "sdg: 2 / 1,234 行が失敗: ask: HTTP 400: never now\n");
    free(line);
}
