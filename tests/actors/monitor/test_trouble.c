/* What goes wrong at an endpoint, in words: each kind, in both languages, at each width. */
#include "actors/monitor/trouble.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/words.h"

static const trouble_view_t ENGLISH = {.calls_limit = 64, .running_ms = 3400};
static const trouble_view_t JAPANESE = {.calls_limit = 64, .running_ms = 3400, .japanese = true};

static endpoint_report_t report_of(llm_cause_t cause, const char *text) {
    endpoint_report_t r = {.endpoint = 7,
                           .address = "http://gpu1:8000",
                           .waiting = 64,
                           .requests = 64,
                           .answered_ms = ENDPOINT_NEVER,
                           .trouble = cause,
                           .trouble_ms = 400};
    strcpy(r.trouble_text, text);
    return r;
}

static void check(const endpoint_report_t *r, const trouble_view_t *view, uint64_t columns,
                  const char *expected) {
    buf_t out;
    buf_init(&out, 4096);
    trouble_words(r, view, columns, &out);
    cr_expect_str_eq(out.len ? out.data : "", expected);
    cr_expect_leq(words_columns(out.len ? out.data : "", out.len), columns);
    buf_free(&out);
}

Test(trouble, waiting_behind_429_is_said_with_the_words_of_the_server) {
    endpoint_report_t r = report_of(LLM_CAUSE_RATE_LIMIT, "HTTP 429: slow down");
    cr_assert_eq(trouble_kind(&r), TROUBLE_STUCK);
    check(&r, &ENGLISH, UINT64_MAX, "0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000 (\"slow down\")");
    check(&r, &ENGLISH, 60, "0/64 in flight, 64 wait 3 s: 429 from http://gpu1:8000");
    check(&r, &ENGLISH, 40, "64 wait: 429 from gpu1:8000");
    check(&r, &ENGLISH, 20, "429 from gpu1:8000");
    check(&r, &ENGLISH, 10, "429 from …");
    check(&r, &JAPANESE, UINT64_MAX,
          "0/64 実行中、64 件待機 3 s: http://gpu1:8000 から 429（\"slow down\"）");
    check(&r, &JAPANESE, 60, "0/64 実行中、64 件待機 3 s: http://gpu1:8000 から 429");
    check(&r, &JAPANESE, 40, "64 件待機: gpu1:8000 から 429");
    r.waiting = 1;
    r.answered_ms = 90000;
    check(&r, &ENGLISH, UINT64_MAX,
          "0/64 in flight, 1 waits 1m30s: 429 from http://gpu1:8000 (\"slow down\")");
}

Test(trouble, each_cause_has_its_words) {
    static const struct {
        llm_cause_t cause;
        const char *text, *english, *japanese;
    } cases[] = {
        {LLM_CAUSE_CONNECTION, "connection refused: http://gpu1:8000",
         "no connection to http://gpu1:8000 (\"connection refused\")",
         "http://gpu1:8000 に接続できません（\"connection refused\"）"},
        {LLM_CAUSE_CONNECTION, "connection failed: Could not resolve host: gpu1",
         "no connection to http://gpu1:8000 (\"Could not resolve host: gpu1\")",
         "http://gpu1:8000 に接続できません（\"Could not resolve host: gpu1\"）"},
        {LLM_CAUSE_TIMEOUT, "", "no answer in time from http://gpu1:8000",
         "http://gpu1:8000 の応答がタイムアウト"},
        {LLM_CAUSE_SERVER, "HTTP 500: oops", "500 from http://gpu1:8000 (\"oops\")",
         "http://gpu1:8000 から 500（\"oops\"）"},
        {LLM_CAUSE_OVERLOAD, "HTTP 503", "503 from http://gpu1:8000", "http://gpu1:8000 から 503"},
        {LLM_CAUSE_ENDPOINT, "certificate has expired",
         "http://gpu1:8000 cannot be used (\"certificate has expired\")",
         "http://gpu1:8000 は使えません（\"certificate has expired\"）"},
        {LLM_CAUSE_MALFORMED, "", "no completion from http://gpu1:8000", "http://gpu1:8000 の応答が不正"},
        {LLM_CAUSE_EMPTY, "", "empty answers from http://gpu1:8000", "http://gpu1:8000 の応答が空"},
        {LLM_CAUSE_QUOTA, "", "quota used up at http://gpu1:8000", "http://gpu1:8000 の利用枠を超過"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        endpoint_report_t r = report_of(cases[i].cause, cases[i].text);
        buf_t out;
        buf_init(&out, 4096);
        trouble_cause(&r, false, &out);
        cr_expect_str_eq(out.data, cases[i].english);
        buf_reset(&out);
        trouble_cause(&r, true, &out);
        cr_expect_str_eq(out.data, cases[i].japanese);
        buf_free(&out);
    }
}

Test(trouble, a_hang_is_one_after_five_seconds_without_any_answer) {
    endpoint_report_t r = report_of(LLM_CAUSE_NONE, "");
    r.waiting = 0;
    r.in_flight = 8;
    r.oldest_ms = 4900;
    cr_expect_eq(trouble_kind(&r), TROUBLE_NONE);
    check(&r, &ENGLISH, UINT64_MAX, "");
    r.oldest_ms = 6000;
    cr_expect_eq(trouble_kind(&r), TROUBLE_HANG);
    check(&r, &ENGLISH, UINT64_MAX, "no answer yet, oldest 6 s, from http://gpu1:8000");
    check(&r, &ENGLISH, 41, "no answer yet, oldest 6 s, from gpu1:8000");
    check(&r, &ENGLISH, 40, "no answer yet: gpu1:8000");
    check(&r, &JAPANESE, UINT64_MAX, "まだ応答なし、最長 6 s、http://gpu1:8000");
    r.answered_ms = 9000;
    check(&r, &ENGLISH, UINT64_MAX, "no answer for 9 s, oldest 6 s, from http://gpu1:8000");
    r.answered_ms = 100;
    cr_expect_eq(trouble_kind(&r), TROUBLE_NONE, "somebody is answered: a slow request is no hang");
}

Test(trouble, closed_refused_and_final_say_what_becomes_of_it) {
    endpoint_report_t r = report_of(LLM_CAUSE_OVERLOAD, "HTTP 503: queue full");
    trouble_view_t view = ENGLISH;
    setenv("TZ", "UTC0", 1);
    view.unix_ms = INT64_C(1700000000000); /* 22:13:20 */
    r.state = ENDPOINT_CLOSED;
    r.reopens_ms = 300000;
    cr_expect_eq(trouble_kind(&r), TROUBLE_CLOSED);
    check(&r, &view, UINT64_MAX,
          "0/64 in flight, 64 wait, closed until 22:18:20: 503 from http://gpu1:8000 (\"queue full\")");
    check(&r, &view, 50, "closed until 22:18:20: 503 from gpu1:8000");
    view.japanese = true;
    check(&r, &view, UINT64_MAX,
          "0/64 実行中、64 件待機、22:18:20 まで閉鎖: http://gpu1:8000 から 503（\"queue full\"）");
    r = report_of(LLM_CAUSE_ENDPOINT, "HTTP 401: Incorrect API key");
    r.refused = 5;
    r.refused_in_a_row = 5;
    cr_expect_eq(trouble_kind(&r), TROUBLE_REFUSED);
    check(&r, &ENGLISH, UINT64_MAX, "5 refused in a row: 401 from http://gpu1:8000 (\"Incorrect API key\")");
    check(&r, &JAPANESE, UINT64_MAX, "5 回続けて拒否: http://gpu1:8000 から 401（\"Incorrect API key\"）");
    r.state = ENDPOINT_FINAL;
    cr_expect_eq(trouble_kind(&r), TROUBLE_FINAL);
    check(&r, &ENGLISH, UINT64_MAX, "given up: 401 from http://gpu1:8000 (\"Incorrect API key\")");
    check(&r, &JAPANESE, UINT64_MAX, "打ち切り: http://gpu1:8000 から 401（\"Incorrect API key\"）");
}

Test(trouble, what_an_answer_has_healed_passes) {
    endpoint_report_t r = report_of(LLM_CAUSE_SERVER, "HTTP 500: oops");
    r.answered_ms = 100;
    r.trouble_ms = 2000;
    cr_expect_eq(trouble_kind(&r), TROUBLE_PASSING);
    check(&r, &ENGLISH, UINT64_MAX, "500 from http://gpu1:8000 (\"oops\") 2 s ago");
    check(&r, &JAPANESE, UINT64_MAX, "http://gpu1:8000 から 500（\"oops\"）2 s前");
    r.trouble_ms = TROUBLE_RECENT_MS + 1;
    cr_expect_eq(trouble_kind(&r), TROUBLE_NONE);
    r.answered_ms = ENDPOINT_NEVER; /* nobody was answered, but nobody asks any more */
    r.waiting = r.in_flight = 0;
    cr_expect_eq(trouble_kind(&r), TROUBLE_NONE);
}

Test(trouble, the_worst_of_several_is_shown) {
    endpoint_report_t all[3] = {report_of(LLM_CAUSE_NONE, ""), report_of(LLM_CAUSE_RATE_LIMIT, "HTTP 429"),
                                report_of(LLM_CAUSE_CONNECTION, "connection refused")};
    cr_expect_null(trouble_worst(all, 1));
    cr_expect_null(trouble_worst(NULL, 0));
    all[2].waiting = 65;
    cr_expect_eq(trouble_worst(all, 3), &all[2]);
    all[1].state = ENDPOINT_FINAL;
    cr_expect_eq(trouble_worst(all, 3), &all[1]);
}

Test(trouble, a_line_of_the_log_is_not_repeated_for_half_a_minute) {
    trouble_log_t log = {0};
    endpoint_report_t r = report_of(LLM_CAUSE_RATE_LIMIT, "HTTP 429: try again in 2.5 s");
    uint64_t second = UINT64_C(1000000000);
    cr_expect(trouble_is_new(&log, &r, 5 * second));
    cr_expect_not(trouble_is_new(&log, &r, 6 * second));
    strcpy(r.trouble_text, "HTTP 429: try again in 1.5 s");
    r.answered_ms = 10; /* it passes and comes back */
    cr_expect_not(trouble_is_new(&log, &r, 7 * second));
    r.endpoint = 8;
    cr_expect(trouble_is_new(&log, &r, 8 * second));
    strcpy(r.trouble_text, "HTTP 429: go away");
    cr_expect(trouble_is_new(&log, &r, 9 * second));
    cr_expect_not(trouble_is_new(&log, &r, 38 * second));
    cr_expect(trouble_is_new(&log, &r, 40 * second));
    for (uint64_t i = 0; i < 100; i++) {
        r.endpoint = 100 + i;
        cr_expect(trouble_is_new(&log, &r, 41 * second + i));
    }
}

/* Whatever the server says, the words stay on one line and steer no terminal. */
Test(trouble, texts_of_servers_are_only_text) {
    endpoint_report_t r = report_of(LLM_CAUSE_SERVER, "HTTP 500: a\nb\033[2J %s%n \xFF");
    check(&r, &ENGLISH, UINT64_MAX,
          "0/64 in flight, 64 wait 3 s: 500 from http://gpu1:8000 (\"a b [2J %s%n ?\")");
    memset(r.trouble_text, 'x', sizeof r.trouble_text - 1);
    memset(r.address, 'y', sizeof r.address - 1);
    for (uint64_t columns = 0; columns < 300; columns++) {
        buf_t out;
        buf_init(&out, 4096);
        trouble_words(&r, &ENGLISH, columns, &out);
        cr_expect_leq(words_columns(out.len ? out.data : "", out.len), columns);
        buf_free(&out);
    }
}
