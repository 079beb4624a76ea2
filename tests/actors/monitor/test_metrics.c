/* What the monitor tells: rates, percentiles, Prometheus text, JSON, the terminal view. The actor itself:
 * test_monitor.c. */
#include "actors/monitor/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/scheduler/fleet_totals.h"
#include "actors/verbs/top.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/sched/limits.h"
#include "proto/parts/endpoint_reports.h"

static value_t stats_of(const metrics_t *m, uint64_t now) {
    buf_t text;
    value_t v;
    err_t err;
    buf_init(&text, METRICS_PAGE_BYTES_MAX);
    metrics_json(m, now, &text);
    cr_assert_eq(json_parse_text(text.data, text.len, &v, &err), SDG_OK, "%s", err.text);
    buf_free(&text);
    return v;
}

static double at(value_t v, const char *a, const char *b) {
    bool found;
    value_t in = object_get_peek(v, a, strlen(a), &found);
    cr_assert(found, "%s", a);
    if (b) in = object_get_peek(in, b, strlen(b), &found);
    cr_assert(found, "%s.%s", a, b);
    return in.kind == VALUE_INT ? (double)in.integer : in.kind == VALUE_REAL ? in.real : NAN;
}

static void take(metrics_t *m, const tally_t *t) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(t, &reasons);
    MSG_STATS stats = {.role = ROLE_CLIENT,
                       .values = {(uint64_t *)t->totals, CLIENT_STATS},
                       .latency = {latency, hist_to_numbers(&t->latency, latency)},
                       .reasons = {reasons.data, reasons.len}};
    metrics_take_totals(m, &stats);
    buf_free(&reasons);
}

static void finish_rows(tally_t *t, int rows, uint32_t latency_us) {
    row_usage_t u = {.calls = 1,
                     .requests = 2,
                     .prompt_tokens = 10,
                     .completion_tokens = 5,
                     .latency_count = 1,
                     .latency_us = {latency_us}};
    u.retries[LLM_CAUSE_RATE_LIMIT] = 1;
    for (int i = 0; i < rows; i++) {
        tally_row(t, i % 10 == 9, "ask: HTTP \"400\"", &u);
    }
}

Test(metrics, a_second_of_rows_is_a_rate_and_its_percentiles) {
    metrics_t *m = metrics_new("run", true, 0, 1700000000000);
    tally_t t = {0};
    metrics_tick(m, SECOND);
    finish_rows(&t, 100, 20000);
    take(m, &t);
    metrics_tick(m, 3 * SECOND);
    cr_assert_float_eq(m->columns[COLUMN_rows_per_s], 50, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_failed_per_s], 5, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_tokens_per_s], 750, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_rate_limit_per_s], 50, 1e-9);
    cr_assert(m->columns[COLUMN_p50_ms] >= 20 && m->columns[COLUMN_p50_ms] < 21.4);
    cr_assert_eq(series_count(m->recent_series), 2);
    metrics_destroy(&m);
    cr_assert_null(m);
}

Test(metrics, percentiles_are_of_the_last_ten_seconds) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t t = {0};
    for (uint64_t second = 1; second <= 30; second++) {
        finish_rows(&t, 10, second <= 15 ? 1000 : 64000);
        take(m, &t);
        metrics_tick(m, second * SECOND);
        if (second == 15) cr_assert(m->columns[COLUMN_p99_ms] < 1.1);
    }
    cr_assert(m->columns[COLUMN_p50_ms] > 63, "the fast ones are forgotten: %g", m->columns[COLUMN_p50_ms]);
    cr_assert_eq(m->recent.count, 100);
    for (uint64_t second = 31; second <= 41; second++)
        metrics_tick(m, second * SECOND);
    cr_assert(isnan(m->columns[COLUMN_p50_ms]), "no requests, no percentile");
    metrics_destroy(&m);
}

Test(metrics, json_has_the_documented_statistics) {
    metrics_t *m = metrics_new("run", true, 0, 1700000000000);
    tally_t t = {0};
    finish_rows(&t, 100, 20000);
    t.totals[CLIENT_rows_total] = 400;
    take(m, &t);
    m->now.scheduler[SCHEDULER_rows_queued] = 30;
    m->now.scheduler[SCHEDULER_rows_leased] = 8;
    m->now.scheduler[SCHEDULER_calls_limit] = 8;
    m->now.scheduler[SCHEDULER_calls_in_flight] = 6;
    m->now.scheduler[SCHEDULER_workers] = m->now.scheduler[SCHEDULER_jobs] = 1;
    m->now.scheduler[SCHEDULER_ingest_granted] = 140;
    m->now.scheduler[SCHEDULER_ingest_outstanding] = 2;
    metrics_tick(m, SECOND);
    value_t v = stats_of(m, 2 * SECOND);
    cr_assert_eq(at(v, "pending", NULL), 38);
    cr_assert_eq(at(v, "completed", NULL), 100);
    cr_assert_eq(at(v, "failed", NULL), 10);
    cr_assert_eq(at(v, "total", NULL), 400);
    cr_assert_eq(at(v, "progress_percent", NULL), 25);
    cr_assert_eq(at(v, "uptime_s", NULL), 2);
    cr_assert_eq(at(v, "retries", "rate_limit"), 100);
    cr_assert_eq(at(v, "failures", "ask: HTTP \"400\""), 10);
    cr_assert_eq(at(v, "latency_ms_all", "count"), 100);
    cr_assert_eq(at(v, "sample", "rows_per_s"), 100);
    value_t ingest = object_get_peek(object_get_peek(v, "credits", 7, NULL), "ingest", 6, NULL);
    cr_assert_eq(at(ingest, "granted", NULL), 140);
    cr_assert_eq(at(ingest, "outstanding", NULL), 2);
    value_free(v);
    metrics_destroy(&m);
}

Test(metrics, before_any_word_the_json_is_whole_and_says_null) {
    metrics_t *m = metrics_new("serve", true, 5, 1);
    value_t v = stats_of(m, 6);
    cr_assert(isnan(at(v, "total", NULL)));
    cr_assert(isnan(at(v, "progress_percent", NULL)));
    cr_assert(isnan(at(v, "sample", "p99_ms")));
    value_free(v);
    metrics_destroy(&m);
}

Test(metrics, prometheus_text_escapes_reasons_and_has_an_exact_histogram) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t t = {0};
    buf_t text;
    finish_rows(&t, 10, 1000);
    finish_rows(&t, 10, 1025);
    take(m, &t);
    buf_init(&text, METRICS_PAGE_BYTES_MAX);
    metrics_prometheus(m, &text);
    cr_assert_not_null(strstr(text.data, "sdg_row_failures_total{reason=\"ask: HTTP \\\"400\\\"\"} 2\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_llm_request_duration_seconds_bucket{le=\"0.001023\"} 10\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_llm_request_duration_seconds_bucket{le=\"0.002047\"} 20\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_llm_request_duration_seconds_bucket{le=\"+Inf\"} 20\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_llm_request_duration_seconds_sum 0.020250\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_rows_completed_total{result=\"ok\"} 18\n"));
    buf_free(&text);
    metrics_destroy(&m);
}

Test(metrics, series_hold_the_last_ten_minutes_and_the_whole_run) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    buf_t text;
    value_t v;
    for (uint64_t second = 1; second <= 5000; second++)
        metrics_tick(m, second * SECOND);
    buf_init(&text, METRICS_PAGE_BYTES_MAX);
    metrics_series_json(m, false, &text);
    cr_assert_eq(json_parse_text(text.data, text.len, &v, NULL), SDG_OK);
    value_t points = object_get_peek(v, "points", 6, NULL);
    cr_assert_eq(list_count(points), METRICS_RECENT_POINTS);
    cr_assert_eq(list_count(list_peek(points, 0)), METRICS_COLUMN_COUNT + 1);
    value_free(v);
    buf_reset(&text);
    metrics_series_json(m, true, &text);
    cr_assert_not(text.full);
    cr_assert_eq(json_parse_text(text.data, text.len, &v, NULL), SDG_OK);
    points = object_get_peek(v, "points", 6, NULL);
    cr_assert(list_count(points) <= METRICS_WHOLE_POINTS && list_count(points) >= METRICS_WHOLE_POINTS / 2);
    cr_assert_eq(list_peek(list_peek(points, 0), 0).integer, 1000, "the first second is still there");
    value_free(v);
    buf_free(&text);
    metrics_destroy(&m);
}

Test(metrics, without_charts_nothing_is_kept) {
    metrics_t *m = metrics_new("run", false, 0, 0);
    metrics_tick(m, SECOND);
    cr_assert_null(m->recent_series);
    metrics_destroy(&m);
}

Test(metrics, memory_words_say_who_holds_it) {
    metrics_t *m = metrics_new("run", false, 0, 0);
    buf_t text;
    m->memory.count = 3;
    m->memory.process[0] = (memory_process_t){.name = "sdg", .rss_bytes = 100 << 20};
    m->memory.process[1] = (memory_process_t){.name = "sdg worker-0", .rss_bytes = 40 << 20};
    m->memory.process[2] = (memory_process_t){.name = "python3", .rss_bytes = 20 << 20};
    m->memory.rss_bytes = 160 << 20;
    m->now.scheduler[SCHEDULER_rows_queued] = 5;
    m->now.scheduler[SCHEDULER_bytes_pending] = 2 << 20;
    m->now.scheduler[SCHEDULER_window_bytes] = 64 << 20;
    buf_init(&text, 4096);
    metrics_memory_words(m, &text);
    cr_assert_str_eq(text.data, "160 MiB in 3 processes: main 100 MiB, workers 40 MiB, python 20 MiB; 5 "
                                "pending rows (5 queued, 0 at workers, 0 to be written) "
                                "hold 2.0 MiB of at most 64 MiB");
    buf_free(&text);
    metrics_destroy(&m);
}

/* ---- the context store and batch mode */

static void fill_store(uint64_t *store, uint64_t hits, uint64_t misses, uint64_t evictions) {
    store[STORE_contexts_cached] = 480;
    store[STORE_contexts_cached_bytes] = 150 << 20;
    store[STORE_contexts_cached_max] = 500;
    store[STORE_contexts_pinned] = 16;
    store[STORE_contexts_spilled] = 300;
    store[STORE_context_hits] = hits;
    store[STORE_context_misses] = misses;
    store[STORE_context_evictions] = evictions;
}

/* A run in batch mode under a memory limit, its store at work for two seconds. */
static metrics_t *busy_store(void) {
    uint64_t store[STORE_STATS] = {0}, rows[] = {1, 2, 3}, bytes[] = {100, 200, 300};
    u64_list_t values = {store, STORE_STATS};
    MSG_EVICTED spilled = {.rows = {rows, 3}, .bytes = {bytes, 3}, .to_disk = 1},
                dropped = {.rows = {rows, 1}, .bytes = {bytes, 1}};
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t t = {0};
    t.totals[CLIENT_rows_total] = 1000;
    t.totals[CLIENT_pass] = 2;
    t.totals[CLIENT_passes] = 3;
    t.totals[CLIENT_rows_parked] = 250;
    t.totals[CLIENT_bytes_held] = 10 << 20;
    t.totals[CLIENT_memory_limit] = 512 << 20;
    take(m, &t);
    m->now.scheduler[SCHEDULER_worker_bytes_held] = 40 << 20;
    fill_store(store, 0, 10, 0);
    metrics_take_store(m, &values);
    metrics_tick(m, SECOND);
    fill_store(store, 90, 20, 30);
    metrics_take_store(m, &values);
    metrics_take_evicted(m, &spilled);
    metrics_take_evicted(m, &dropped);
    metrics_tick(m, 3 * SECOND);
    return m;
}

Test(store, rates_of_the_last_second) {
    metrics_t *m = busy_store();
    cr_assert_float_eq(m->columns[COLUMN_cache_hit_percent], 90, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_evictions_per_s], 15, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_pass_percent], 25, 1e-9);
    cr_assert_float_eq(m->columns[COLUMN_store_bytes], 150 << 20, 1);
    metrics_tick(m, 4 * SECOND);
    cr_assert(isnan(m->columns[COLUMN_cache_hit_percent]), "nobody asked: unknown");
    cr_assert_eq(m->columns[COLUMN_evictions_per_s], 0);
    metrics_destroy(&m);
}

Test(store, json_has_the_documented_statistics) {
    metrics_t *m = busy_store();
    value_t v = stats_of(m, 4 * SECOND), memory = object_get_peek(v, "memory", 6, NULL);
    cr_assert_eq(at(v, "cache", "size"), 480);
    cr_assert_eq(at(v, "cache", "max_size"), 500);
    cr_assert_eq(at(v, "cache", "hits"), 90);
    cr_assert_eq(at(v, "cache", "misses"), 20);
    cr_assert_float_eq(at(v, "cache", "hit_rate"), 90.0 / 110, 1e-6);
    cr_assert_eq(at(v, "cache", "evictions"), 30);
    cr_assert_eq(at(v, "cache", "pins"), 16);
    cr_assert_eq(at(v, "cache", "spilled"), 300);
    cr_assert_eq(at(object_get_peek(v, "cache", 5, NULL), "evicted_to_disk", "bytes"), 600);
    cr_assert_eq(at(object_get_peek(v, "cache", 5, NULL), "dropped", "rows"), 1);
    cr_assert_eq(at(v, "batch", "pass"), 2);
    cr_assert_eq(at(v, "batch", "progress_percent"), 25);
    cr_assert_eq(at(v, "limiter", "allowed"), 0);
    cr_assert_eq(at(memory, "limit_bytes", NULL), 512 << 20);
    cr_assert_eq(at(memory, "accounted", "total"), 200 << 20);
    value_free(v);
    metrics_destroy(&m);
}

Test(store, without_one_the_json_is_whole) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    value_t v = stats_of(m, 1);
    cr_assert(isnan(at(v, "cache", "hit_rate")) && isnan(at(v, "cache", "max_size")) &&
              isnan(at(v, "batch", "pass")));
    cr_assert(isnan(at(v, "sample", "cache_hit_percent")) && isnan(at(v, "sample", "store_bytes")));
    value_free(v);
    metrics_destroy(&m);
}

Test(store, prometheus_and_words) {
    metrics_t *m = busy_store();
    buf_t text;
    buf_init(&text, METRICS_PAGE_BYTES_MAX);
    metrics_prometheus(m, &text);
    cr_assert_not_null(strstr(text.data, "\nsdg_context_requests_total{result=\"hit\"} 90\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_contexts_evicted_bytes_total{to=\"disk\"} 600\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_accounted_bytes{part=\"workers\"} 41943040\n"));
    cr_assert_not_null(strstr(text.data, "\nsdg_batch_pass 2\n"));
    buf_reset(&text);
    metrics_memory_words(m, &text);
    cr_assert_not_null(strstr(text.data, "; accounted for: client 10 MiB, workers 40 MiB, context store 150 "
                                         "MiB, together at most 512 MiB"),
                       "%s", text.data);
    buf_reset(&text);
    report_progress(&m->now, UINT64_MAX, &text);
    cr_assert_not_null(strstr(text.data, "  pass 2 of 3 (250 rows through it)  "), "%s", text.data);
    m->now.japanese = true;
    buf_reset(&text);
    report_progress(&m->now, UINT64_MAX, &text);
    cr_assert_not_null(strstr(text.data, "パス 2/3（通過 250 行）"), "%s", text.data);
    buf_free(&text);
    metrics_destroy(&m);
}

Test(store, terminal_view) {
    metrics_t *m = busy_store();
    buf_t text;
    value_t v = stats_of(m, 4 * SECOND);
    buf_init(&text, 65536);
    top_render(v, &text);
    cr_assert_not_null(strstr(text.data, "pass 2 of 3, 250 rows through it (25.0 %)"), "%s", text.data);
    cr_assert_not_null(
        strstr(text.data, "480 in memory of 500, 300 on disk; 81.8 % hits, 30 evicted, 16 pinned"), "%s",
        text.data);
    cr_assert_not_null(
        strstr(text.data, "200 MiB of at most 512 MiB: client 10 MiB, workers 40 MiB, context store 150 MiB"),
        "%s", text.data);
    buf_free(&text);
    value_free(v);
    metrics_destroy(&m);
}

Test(store, takes_any_message_without_harm) {
    uint64_t many[STORE_STATS + 50], few[] = {7};
    metrics_t *m = metrics_new("run", false, 0, 0);
    for (size_t i = 0; i < STORE_STATS + 50; i++)
        many[i] = UINT64_MAX;
    u64_list_t lists[] = {{many, STORE_STATS + 50}, {few, 1}, {NULL, 0}};
    for (size_t i = 0; i < 3; i++)
        metrics_take_store(m, &lists[i]);
    cr_assert_eq(m->store[STORE_contexts_cached], 7);
    MSG_EVICTED uneven = {.rows = {few, 1}, .bytes = {many, 20}, .to_disk = UINT64_MAX};
    metrics_take_evicted(m, &uneven);
    value_t v = stats_of(m, 1);
    value_free(v);
    metrics_destroy(&m);
}

/* ---- the terminal view */

Test(top, shows_the_numbers_of_stats_json) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t t = {0};
    buf_t text;
    finish_rows(&t, 1000, 20000);
    t.totals[CLIENT_rows_total] = 4000;
    take(m, &t);
    m->now.scheduler[SCHEDULER_workers] = 3;
    metrics_tick(m, SECOND);
    value_t v = stats_of(m, 61 * SECOND);
    buf_init(&text, 65536);
    top_render(v, &text);
    cr_assert_not_null(strstr(text.data, "1,000 of 4,000, 100 failed"), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "##########.............................. 25.0 %"), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "1,000 rate_limit"), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "100 ask: HTTP"), "%s", text.data);
    cr_assert_not_null(strstr(text.data, "3 connected"), "%s", text.data);
    buf_free(&text);
    value_free(v);
    metrics_destroy(&m);
}

Test(top, takes_any_json_without_harm) {
    static const char *const texts[] = {"null",
                                        "[]",
                                        "{}",
                                        "{\"calls\": 3, \"failures\": {\"\\u001b[2J\": 1}, \"memory\": []}",
                                        "{\"total\": \"x\", \"eta_s\": -1e300}",
                                        "{\"uptime_s\": 1e300, \"completed\": 1e19, \"progress_percent\": 0, "
                                        "\"eta_s\": 1e12, \"latency_ms\": {\"max\": 1e18}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        value_t v;
        buf_t text;
        cr_assert_eq(json_parse_text(texts[i], strlen(texts[i]), &v, NULL), SDG_OK);
        buf_init(&text, 65536);
        top_render(v, &text);
        cr_assert_null(strchr(text.data, 27), "no escape reaches the terminal");
        buf_free(&text);
        value_free(v);
    }
}

/* ---- all workers of a scheduler */

static void say(fleet_totals_t *f, uint64_t instance, const tally_t *t, uint64_t now) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(t, &reasons);
    MSG_STATS stats = {.role = ROLE_WORKER,
                       .values = {(uint64_t *)t->totals, CLIENT_STATS},
                       .latency = {latency, hist_to_numbers(&t->latency, latency)},
                       .reasons = {reasons.data, reasons.len}};
    fleet_totals_take(f, instance, &stats, now);
    buf_free(&reasons);
}

Test(fleet_totals, adds_workers_up_whatever_is_lost_or_repeated) {
    fleet_totals_t *f = fleet_totals_new();
    tally_t a = {0}, b = {0};
    finish_rows(&a, 10, 1000);
    say(f, 1, &a, 1);
    say(f, 1, &a, 2); /* said twice, or again after a reconnect */
    finish_rows(&b, 20, 9000);
    say(f, 2, &b, 3);
    finish_rows(&a, 30, 1000); /* two STATS between were lost */
    say(f, 1, &a, 4);
    const tally_t *sum = fleet_totals_sum_peek(f);
    cr_assert_eq(sum->totals[CLIENT_rows_ok] + sum->totals[CLIENT_rows_failed], 60);
    cr_assert_eq(sum->latency.count, 60);
    cr_assert_eq(sum->latency.sum_us, 40 * 1000 + 20 * 9000);
    cr_assert_eq(sum->reasons.count, 1);
    cr_assert_eq(sum->reasons.item[0].count, 6);
    fleet_totals_destroy(&f);
    cr_assert_null(f);
}

Test(fleet_totals, remembers_a_bounded_number_of_workers) {
    fleet_totals_t *f = fleet_totals_new();
    tally_t t = {0};
    t.totals[CLIENT_rows_ok] = 1;
    for (uint64_t i = 0; i < WORKERS_MAX + 100; i++)
        say(f, i + 1, &t, i);
    cr_assert_eq(fleet_totals_sum_peek(f)->totals[CLIENT_rows_ok], WORKERS_MAX + 100);
    fleet_totals_destroy(&f);
}

/* Two endpoints, the first behind a rate limit, as a client or a scheduler tells them. */
static void take_two_endpoints(metrics_t *m, uint64_t now) {
    endpoint_report_t two[2] = {{.endpoint = 1,
                                 .address = "http://gpu1:8000/v1",
                                 .waiting = 60,
                                 .in_flight = 4,
                                 .requests = 50,
                                 .answered_ms = ENDPOINT_NEVER,
                                 .trouble = LLM_CAUSE_RATE_LIMIT,
                                 .trouble_text = "HTTP 429: \"slow\\down\"",
                                 .trouble_ms = 200},
                                {.endpoint = 2, .address = "http://gpu2", .requests = 7, .answered = 7}};
    buf_t bytes;
    two[0].retries[LLM_CAUSE_RATE_LIMIT] = 46;
    buf_init(&bytes, 4096);
    endpoint_reports_encode(two, 2, &bytes);
    metrics_take_endpoints(m, &(MSG_ENDPOINT_REPORT){.job = 1, .reports = {bytes.data, bytes.len}}, now);
    buf_free(&bytes);
}

/* Nothing is finished yet: the numbers and the words come from the endpoints. */
Test(metrics, says_what_is_wrong_before_a_row_is_finished) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t none = {0};
    buf_t text;
    m->now.scheduler[SCHEDULER_calls_limit] = 64;
    take(m, &none);
    take_two_endpoints(m, 3 * SECOND);
    value_t v = stats_of(m, 3 * SECOND), list = object_get_peek(v, "endpoints", 9, NULL);
    cr_assert_eq(at(v, "calls", "requests"), 57);
    cr_assert_eq(at(v, "calls", "in_flight"), 4);
    cr_assert_eq(at(v, "calls", "waiting"), 60);
    cr_assert_eq(at(v, "retries", "rate_limit"), 46);
    cr_assert_eq(at(list_peek(list, 0), "retries", "rate_limit"), 46);
    cr_assert(isnan(at(list_peek(list, 0), "answered_s", NULL)));
    cr_assert_str_eq(object_get_peek(v, "trouble", 7, NULL).string->data,
                     "4/64 in flight, 60 wait 3 s: 429 from http://gpu1:8000 (\"\"slow\\down\"\")");
    buf_init(&text, METRICS_PAGE_BYTES_MAX);
    top_render(v, &text);
    cr_assert_not_null(
        strstr(text.data, "  endpoint  http://gpu1:8000/v1: 4/64 in flight, 60 wait 3 s: 429 from"), "%s",
        text.data);
    cr_assert_not_null(
        strstr(text.data, "  endpoint  http://gpu2: 0 in flight, 0 waiting, 7 requests, 7 answered\n"));
    buf_reset(&text);
    metrics_prometheus(m, &text);
    static const char *const lines[] = {
        "sdg_llm_requests_total 57\n",
        "sdg_llm_retries_total{cause=\"rate_limit\"} 46\n",
        "sdg_endpoint_state{endpoint=\"http://gpu1:8000/v1\",state=\"open\"} 1\n",
        "sdg_endpoint_requests_total{endpoint=\"http://gpu2\"} 7\n",
        "sdg_endpoint_retries_total{endpoint=\"http://gpu1:8000/v1\",cause=\"rate_limit\"} 46\n",
        "sdg_endpoint_trouble{endpoint=\"http://gpu1:8000/v1\",kind=\"stuck\",text=\"429 from "
        "http://gpu1:8000 "
        "(\\\"\\\"slow\\\\down\\\"\\\")\"} 1\n",
        "sdg_endpoint_last_trouble_age_seconds{endpoint=\"http://gpu1:8000/v1\"} 0.200\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect_not_null(strstr(text.data, lines[i]), "%s", lines[i]);
    buf_free(&text);
    value_free(v);
    metrics_destroy(&m);
}

/* The exact numbers of the end, also where the last report of the endpoints is older. */
Test(metrics, the_end_is_exact_and_nothing_waits_any_more) {
    metrics_t *m = metrics_new("run", true, 0, 0);
    tally_t t = {0};
    take_two_endpoints(m, SECOND);
    finish_rows(&t, 100, 20000); /* 200 requests, 100 retries */
    t.totals[CLIENT_rows_total] = 100;
    uint64_t latency[HIST_NUMBERS_MAX];
    MSG_SUMMARY last = {.values = {t.totals, CLIENT_STATS},
                        .latency = {latency, hist_to_numbers(&t.latency, latency)},
                        .reasons = slice_of("{}"),
                        .ending = slice_of("")};
    metrics_take_end(m, &last, 2 * SECOND);
    value_t v = stats_of(m, 5 * SECOND);
    cr_assert_str_eq(object_get_peek(v, "state", 5, NULL).string->data, "done");
    cr_assert_eq(object_get_peek(v, "trouble", 7, NULL).kind, VALUE_NULL);
    cr_assert_eq(at(v, "calls", "requests"), 200);
    cr_assert_eq(at(v, "calls", "in_flight"), 0);
    cr_assert_eq(at(v, "retries", "rate_limit"), 100);
    cr_assert_eq(at(v, "progress_percent", NULL), 100);
    cr_assert_not(metrics_ended_fine(m), "ten rows have failed");
    value_free(v);
    metrics_destroy(&m);
}

Test(metrics, keeps_how_endpoints_fare) {
    metrics_t *m = metrics_new("run", false, 0, 0);
    endpoint_report_t two[2] = {{.endpoint = 1, .requests = 5}, {.endpoint = 2}};
    buf_t bytes;
    buf_init(&bytes, 4096);
    endpoint_reports_encode(two, 2, &bytes);
    metrics_take_endpoints(m, &(MSG_ENDPOINT_REPORT){.job = 1, .reports = {bytes.data, bytes.len}}, 77);
    metrics_take_endpoints(m, &(MSG_ENDPOINT_REPORT){.job = 1, .reports = slice_of("no list")}, 99);
    cr_assert_eq(m->now.endpoint_count, 2);
    cr_expect_eq(m->now.endpoints[0].requests, 5);
    cr_expect_eq(m->endpoints.heard_ns, 77);
    buf_free(&bytes);
    metrics_destroy(&m);
}
