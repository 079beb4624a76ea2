/* metrics.c - see metrics.h: totals in, rates and percentiles out. How they are written is in
 * metrics_text.c. */
#include "actors/monitor/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "proto/parts/endpoint_reports.h"

static const series_merge_t MERGES[] = {
#define COLUMN(name, merge) merge,
    METRICS_COLUMNS(COLUMN)
#undef COLUMN
};

metrics_t *metrics_new(const char *mode, bool charts, uint64_t now, int64_t unix_ms) {
    metrics_t *m = xcalloc(1, sizeof *m);
    m->mode = mode;
    m->started_ns = m->ticked_ns = now;
    m->started_unix_ms = unix_ms;
    for (int c = 0; c < METRICS_COLUMN_COUNT; c++) {
        m->columns[c] = NAN;
    }
    if (!charts) return m;
    m->recent_series =
        series_new(MERGES, METRICS_COLUMN_COUNT, METRICS_RECENT_POINTS, SECOND / 2, SERIES_SLIDES);
    m->whole_series = series_new(MERGES, METRICS_COLUMN_COUNT, METRICS_WHOLE_POINTS, SECOND, SERIES_GROWS);
    return m;
}

void metrics_destroy(metrics_t **metrics) {
    metrics_t *m = *metrics;
    if (!m) return;
    series_destroy(&m->recent_series);
    series_destroy(&m->whole_series);
    free(m->end.summary);
    free(m);
    *metrics = NULL;
}

/* The scheduler is in another process: of its numbers only what this client has asked for and waits for is
 * known. */
static void take_what_the_client_knows(metrics_t *m) {
    uint64_t *s = m->now.scheduler;
    const uint64_t *c = m->tally.totals;
    s[SCHEDULER_rows_leased] = c[CLIENT_rows_pending];
    s[SCHEDULER_bytes_pending] = c[CLIENT_bytes_pending];
    s[SCHEDULER_window_rows] = c[CLIENT_window_rows];
    s[SCHEDULER_window_bytes] = c[CLIENT_window_bytes];
    s[SCHEDULER_calls_limit] = c[CLIENT_concurrency];
    s[SCHEDULER_jobs] = 1;
}

/* Calls in flight and calls that wait are those of the endpoints, where these are told: then all that is
 * shown says the same. */
static void take_calls_of_endpoints(metrics_t *m) {
    uint64_t *s = m->now.scheduler;
    if (m->endpoints.now_count == 0) return;
    s[SCHEDULER_calls_in_flight] = s[SCHEDULER_calls_waiting] = 0;
    for (size_t i = 0; i < m->endpoints.now_count; i++) {
        s[SCHEDULER_calls_in_flight] += m->endpoints.now[i].in_flight;
        s[SCHEDULER_calls_waiting] += m->endpoints.now[i].waiting;
    }
}

void metrics_take_gauges(metrics_t *m, const u64_list_t *values) {
    size_t count = values->count < SCHEDULER_STATS ? values->count : SCHEDULER_STATS;
    if (count) memcpy(m->now.scheduler, values->items, count * sizeof *m->now.scheduler);
    take_calls_of_endpoints(m);
}

static void lift(uint64_t *total, uint64_t at_least) {
    if (*total < at_least) *total = at_least;
}

/* Requests and retries as the endpoints tell them. The tally can only be ahead where their last report has
 * not come. */
static void count_what_endpoints_tell(metrics_t *m) {
    uint64_t *t = m->tally.totals;
    lift(&t[CLIENT_requests], endpoints_requests(&m->endpoints));
    for (int i = 0; i < LLM_CAUSES; i++) {
        int stat = tally_retry_stat((llm_cause_t)i);
        if (stat) lift(&t[stat], endpoints_retries(&m->endpoints, (llm_cause_t)i));
    }
    memcpy(m->now.client, t, sizeof m->now.client);
}

void metrics_take_totals(metrics_t *m, const MSG_STATS *stats) {
    tally_read(&m->tally, &stats->values, &stats->latency, stats->reasons);
    count_what_endpoints_tell(m);
    if (m->now.elsewhere) take_what_the_client_knows(m);
}

void metrics_refresh(metrics_t *m, uint64_t now) {
    if (!m->end.ended) endpoints_refresh(&m->endpoints, now);
    m->now.endpoints = m->endpoints.now;
    m->now.endpoint_count = m->endpoints.now_count;
    take_calls_of_endpoints(m);
    m->now.unix_ms = m->started_unix_ms + (int64_t)((now - m->started_ns) / 1000000);
    if (!m->end.ended) m->now.elapsed_ns = now - m->started_ns;
}

void metrics_take_endpoints(metrics_t *m, const MSG_ENDPOINT_REPORT *told, uint64_t now) {
    endpoint_report_t *reports;
    size_t count;
    if (m->end.ended ||
        endpoint_reports_decode(told->reports.data, told->reports.len, &reports, &count, NULL) != SDG_OK)
        return;
    endpoints_take(&m->endpoints, told->job, reports, count, now);
    free(reports);
    count_what_endpoints_tell(m);
    metrics_refresh(m, now);
}

/* The last report of an endpoint may be older than the last row. Where there is one endpoint only, all that
 * was counted is its own. */
static void count_for_the_only_endpoint(metrics_t *m) {
    endpoint_report_t *only = &m->endpoints.now[0];
    const uint64_t *t = m->tally.totals;
    if (m->endpoints.now_count != 1) return;
    lift(&only->requests, t[CLIENT_requests]);
    for (int i = 0; i < LLM_CAUSES; i++) {
        int stat = tally_retry_stat((llm_cause_t)i);
        if (stat) lift(&only->retries[i], t[stat]);
    }
}

void metrics_take_end(metrics_t *m, const MSG_SUMMARY *last, uint64_t now) {
    tally_read(&m->tally, &last->values, &last->latency, last->reasons);
    endpoints_end(&m->endpoints, now);
    count_what_endpoints_tell(m);
    metrics_refresh(m, now);
    count_for_the_only_endpoint(m);
    m->now.scheduler[SCHEDULER_calls_in_flight] = m->now.scheduler[SCHEDULER_calls_waiting] = 0;
    m->end.ended = true;
    m->end.early = last->ending.len > 0;
}

void metrics_take_store(metrics_t *m, const u64_list_t *values) {
    size_t count = values->count < STORE_STATS ? values->count : STORE_STATS;
    if (count) memcpy(m->store, values->items, count * sizeof *m->store);
    m->store_seen = true;
}

void metrics_take_evicted(metrics_t *m, const MSG_EVICTED *e) {
    evicted_t *to = &m->evicted[e->to_disk ? EVICTED_TO_DISK : EVICTED_DROPPED];
    to->rows += e->rows.count;
    for (size_t i = 0; i < e->bytes.count; i++) {
        to->bytes += e->bytes.items[i];
    }
}

uint64_t metrics_accounted_bytes(const metrics_t *m) {
    return m->now.client[CLIENT_bytes_held] + m->now.scheduler[SCHEDULER_worker_bytes_held] +
           m->store[STORE_contexts_cached_bytes];
}

double metrics_pass_percent(const metrics_t *m) {
    double rows = (double)report_rows_expected(&m->now);
    if (m->now.client[CLIENT_passes] == 0 || rows <= 0) return NAN;
    double percent = 100.0 * (double)m->now.client[CLIENT_rows_parked] / rows;
    return percent < 100 ? percent : 100;
}

/* ---- once a second */

static double per_second(const metrics_t *m, int total, double seconds) {
    uint64_t now = m->tally.totals[total], before = m->ticked.totals[total];
    return now > before ? (double)(now - before) / seconds : 0;
}

/* Rates over the last tick, from the differences of totals. */
static void fill_rates(metrics_t *m, double seconds) {
    double *c = m->columns;
    c[COLUMN_rows_per_s] =
        per_second(m, CLIENT_rows_ok, seconds) + per_second(m, CLIENT_rows_failed, seconds);
    c[COLUMN_tokens_per_s] =
        per_second(m, CLIENT_prompt_tokens, seconds) + per_second(m, CLIENT_completion_tokens, seconds);
    c[COLUMN_requests_per_s] = per_second(m, CLIENT_requests, seconds);
    c[COLUMN_failed_per_s] = per_second(m, CLIENT_rows_failed, seconds);
    c[COLUMN_rate_limit_per_s] = per_second(m, CLIENT_retry_rate_limit, seconds);
    c[COLUMN_overload_per_s] = per_second(m, CLIENT_retry_overload, seconds);
    c[COLUMN_server_per_s] = per_second(m, CLIENT_retry_server, seconds);
    c[COLUMN_timeout_per_s] = per_second(m, CLIENT_retry_timeout, seconds);
    c[COLUMN_connection_per_s] = per_second(m, CLIENT_retry_connection, seconds);
    c[COLUMN_malformed_per_s] = per_second(m, CLIENT_retry_malformed, seconds);
    c[COLUMN_empty_per_s] = per_second(m, CLIENT_retry_empty, seconds);
}

static void fill_gauges(metrics_t *m) {
    const uint64_t *s = m->now.scheduler;
    double *c = m->columns;
    c[COLUMN_calls_in_flight] = (double)s[SCHEDULER_calls_in_flight];
    c[COLUMN_calls_waiting] = (double)s[SCHEDULER_calls_waiting];
    c[COLUMN_calls_limit] = (double)s[SCHEDULER_calls_limit];
    c[COLUMN_pending_bytes] = (double)s[SCHEDULER_bytes_pending];
    c[COLUMN_window_bytes] = (double)s[SCHEDULER_window_bytes];
    c[COLUMN_rows_pending] =
        (double)(s[SCHEDULER_rows_queued] + s[SCHEDULER_rows_leased] + s[SCHEDULER_rows_answered]);
    c[COLUMN_workers] = (double)s[SCHEDULER_workers];
    c[COLUMN_rss_bytes] = m->memory.rss_bytes ? (double)m->memory.rss_bytes : NAN;
    c[COLUMN_pss_bytes] = m->memory.pss_bytes ? (double)m->memory.pss_bytes : NAN;
}

static double store_per_second(const metrics_t *m, int total, double seconds) {
    uint64_t now = m->store[total], before = m->ticked_store[total];
    return now > before ? (double)(now - before) / seconds : 0;
}

/* All of it is unknown (NAN) without a store, the share of hits also while nobody asks the store. */
static void fill_store(metrics_t *m, double seconds) {
    const uint64_t *s = m->store;
    double *c = m->columns;
    if (!m->store_seen) return;
    double hits = store_per_second(m, STORE_context_hits, seconds),
           misses = store_per_second(m, STORE_context_misses, seconds);
    c[COLUMN_store_bytes] = (double)s[STORE_contexts_cached_bytes];
    c[COLUMN_contexts_cached] = (double)s[STORE_contexts_cached];
    c[COLUMN_contexts_cached_max] = s[STORE_contexts_cached_max] ? (double)s[STORE_contexts_cached_max] : NAN;
    c[COLUMN_contexts_spilled] = (double)s[STORE_contexts_spilled];
    c[COLUMN_cache_hit_percent] = hits + misses > 0 ? 100 * hits / (hits + misses) : NAN;
    c[COLUMN_evictions_per_s] = store_per_second(m, STORE_context_evictions, seconds);
    c[COLUMN_loads_per_s] = store_per_second(m, STORE_context_loads, seconds);
    memcpy(m->ticked_store, m->store, sizeof m->store);
}

static void fill_held(metrics_t *m) {
    const uint64_t *t = m->now.client;
    double *c = m->columns;
    c[COLUMN_client_bytes] = (double)t[CLIENT_bytes_held];
    c[COLUMN_worker_bytes] = (double)m->now.scheduler[SCHEDULER_worker_bytes_held];
    c[COLUMN_limit_bytes] = t[CLIENT_memory_limit] ? (double)t[CLIENT_memory_limit] : NAN;
    c[COLUMN_pass] = t[CLIENT_passes] ? (double)t[CLIENT_pass] : NAN;
    c[COLUMN_passes] = t[CLIENT_passes] ? (double)t[CLIENT_passes] : NAN;
    c[COLUMN_pass_percent] = metrics_pass_percent(m);
}

/* The requests of the last ten ticks; percentiles are unknown while there are none. */
static void fill_latency(metrics_t *m) {
    static const hist_t nothing;
    size_t oldest = m->past_count < METRICS_LATENCY_WINDOW_S ? 0 : m->past_next;
    hist_between(m->past_count ? &m->past[oldest] : &nothing, &m->tally.latency, &m->recent);
    m->past[m->past_next] = m->tally.latency;
    m->past_next = (m->past_next + 1) % METRICS_LATENCY_WINDOW_S;
    if (m->past_count < METRICS_LATENCY_WINDOW_S) m->past_count++;
    double *c = m->columns;
    bool some = m->recent.count > 0;
    c[COLUMN_p50_ms] = some ? (double)hist_percentile(&m->recent, 50) / 1e3 : NAN;
    c[COLUMN_p90_ms] = some ? (double)hist_percentile(&m->recent, 90) / 1e3 : NAN;
    c[COLUMN_p99_ms] = some ? (double)hist_percentile(&m->recent, 99) / 1e3 : NAN;
}

void metrics_tick(metrics_t *m, uint64_t now) {
    if (now <= m->ticked_ns || !m->recent_series) return;
    double seconds = (double)(now - m->ticked_ns) / 1e9;
    fill_rates(m, seconds);
    fill_gauges(m);
    fill_store(m, seconds);
    fill_held(m);
    fill_latency(m);
    m->ticked = m->tally;
    m->ticked_ns = now;
    series_add(m->recent_series, now, m->columns);
    series_add(m->whole_series, now, m->columns);
}
