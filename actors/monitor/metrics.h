/* metrics.h - what the monitor knows, and how it is told to machines: Prometheus text and JSON. Pure: the
 * monitor feeds it and gives it the time.
 *
 * Rates and percentiles are made here from absolute totals, once a second: rates over the last second,
 * percentiles over the requests of the last ten. Two series hold them for charts: the last ten minutes second
 * by second, and the whole run in at most METRICS_WHOLE_POINTS points.
 *
 * To add a number: a row in a table of metrics_text.c (Prometheus), a line in its JSON, a line in
 * docs/monitoring.md. To add a chart: a column below, its value in metrics.c, a chart in dashboard.html. */
#ifndef SDG_ACTORS_MONITOR_METRICS_H
#define SDG_ACTORS_MONITOR_METRICS_H

#include "actors/monitor/endpoints.h"
#include "actors/monitor/report.h"
#include "core/base/memory.h"
#include "core/base/series.h"
#include "proto/parts/tally.h"

/* Columns of the series: name, and how values of one step become one. Units stand in the name. */
/* clang-format off: one row per column */
#define METRICS_COLUMNS(COLUMN)             \
    COLUMN(rows_per_s, SERIES_MEAN)         \
    COLUMN(tokens_per_s, SERIES_MEAN)       \
    COLUMN(requests_per_s, SERIES_MEAN)     \
    COLUMN(calls_in_flight, SERIES_MEAN)    \
    COLUMN(calls_waiting, SERIES_MEAN)      \
    COLUMN(calls_limit, SERIES_MAX)         \
    COLUMN(p50_ms, SERIES_MEAN)             \
    COLUMN(p90_ms, SERIES_MEAN)             \
    COLUMN(p99_ms, SERIES_MAX)              \
    COLUMN(failed_per_s, SERIES_MEAN)       \
    COLUMN(rate_limit_per_s, SERIES_MEAN)   \
    COLUMN(overload_per_s, SERIES_MEAN)     \
    COLUMN(server_per_s, SERIES_MEAN)       \
    COLUMN(timeout_per_s, SERIES_MEAN)      \
    COLUMN(connection_per_s, SERIES_MEAN)   \
    COLUMN(malformed_per_s, SERIES_MEAN)    \
    COLUMN(empty_per_s, SERIES_MEAN)        \
    COLUMN(rss_bytes, SERIES_MAX)           \
    COLUMN(pss_bytes, SERIES_MAX)           \
    COLUMN(pending_bytes, SERIES_MAX)       \
    COLUMN(window_bytes, SERIES_MAX)        \
    COLUMN(rows_pending, SERIES_MAX)        \
    COLUMN(workers, SERIES_MAX)             \
    COLUMN(client_bytes, SERIES_MAX)        \
    COLUMN(worker_bytes, SERIES_MAX)        \
    COLUMN(store_bytes, SERIES_MAX)         \
    COLUMN(limit_bytes, SERIES_MAX)         \
    COLUMN(contexts_cached, SERIES_MEAN)    \
    COLUMN(contexts_cached_max, SERIES_MAX) \
    COLUMN(contexts_spilled, SERIES_MEAN)   \
    COLUMN(cache_hit_percent, SERIES_MEAN)  \
    COLUMN(evictions_per_s, SERIES_MEAN)    \
    COLUMN(loads_per_s, SERIES_MEAN)        \
    COLUMN(pass, SERIES_MAX)                \
    COLUMN(passes, SERIES_MAX)              \
    COLUMN(pass_percent, SERIES_MAX)
/* clang-format on */
enum {
#define COLUMN(name, merge) COLUMN_##name,
    METRICS_COLUMNS(COLUMN)
#undef COLUMN
        METRICS_COLUMN_COUNT
};
enum { METRICS_RECENT_POINTS = 600, METRICS_WHOLE_POINTS = 720, METRICS_LATENCY_WINDOW_S = 10 };

/* Contexts that had to make room, as the store tells them: lossy, so these numbers are lower bounds. */
typedef struct evicted {
    uint64_t rows, bytes;
} evicted_t;
enum { EVICTED_DROPPED, EVICTED_TO_DISK, EVICTED_WAYS };

/* How the run ended; all zero while it runs. */
typedef struct end {
    bool ended;
    bool early;    /* not all of the input is done */
    char *summary; /* as people read it; owned */
} end_t;

typedef struct metrics {
    const char *mode; /* "run", "submit", "serve"; borrowed constant */
    report_t now;     /* the last numbers; rates for people */
    /* The last totals. Requests and retries are those of the endpoints where these are told more: they are
     * counted as they happen, those of the tally when their row is finished. */
    tally_t tally;
    endpoints_t endpoints;       /* `now` points into it */
    end_t end;                   /* of the run */
    uint64_t store[STORE_STATS]; /* the context store's last numbers */
    bool store_seen;
    evicted_t evicted[EVICTED_WAYS];
    int64_t started_unix_ms;
    uint64_t started_ns, ticked_ns;
    memory_tree_t memory; /* of this process and its descendants, last sample */
    /* The rest is made by metrics_tick. */
    tally_t ticked; /* totals at the last tick */
    uint64_t ticked_store[STORE_STATS];
    hist_t past[METRICS_LATENCY_WINDOW_S]; /* latencies at the last ticks, a ring */
    hist_t recent;                         /* latencies since the oldest of them */
    size_t past_count, past_next;
    double columns[METRICS_COLUMN_COUNT];
    series_t *recent_series, *whole_series;
} metrics_t;

/* charts: series are kept, for metrics_tick and metrics_series_json. */
metrics_t *metrics_new(const char *mode, bool charts, uint64_t now, int64_t unix_ms);
void metrics_destroy(metrics_t **metrics);

void metrics_take_totals(metrics_t *m, const MSG_STATS *stats);   /* of the client, or of all workers */
void metrics_take_gauges(metrics_t *m, const u64_list_t *values); /* of the scheduler */
void metrics_take_store(metrics_t *m, const u64_list_t *values);
void metrics_take_evicted(metrics_t *m, const MSG_EVICTED *evicted);
/* Reports that cannot be read change nothing. */
void metrics_take_endpoints(metrics_t *m, const MSG_ENDPOINT_REPORT *told, uint64_t now);
/* The last numbers of a run, which has ended. */
void metrics_take_end(metrics_t *m, const MSG_SUMMARY *last, uint64_t now);
/* Brings the ages of now.endpoints up to date; before anything is shown. */
void metrics_refresh(metrics_t *m, uint64_t now);
void metrics_tick(metrics_t *m, uint64_t now); /* once a second */

/* What is missing is 0 in Prometheus text and null in JSON. */
void metrics_prometheus(const metrics_t *m, buf_t *out);
void metrics_json(const metrics_t *m, uint64_t now, buf_t *out);      /* /stats.json */
void metrics_series_json(const metrics_t *m, bool whole, buf_t *out); /* /series.json */

/* "1,234 MiB in 3 processes: sdg 200 MiB, 2 workers 1,034 MiB; 512 pending rows hold 33 MiB of 64 MiB;
 * accounted for: client 30 MiB, ..." */
void metrics_memory_words(const metrics_t *m, buf_t *out);
uint64_t metrics_memory_bytes(const metrics_t *m);    /* PSS if sampled, else RSS */
uint64_t metrics_accounted_bytes(const metrics_t *m); /* by client, workers and store together */
bool metrics_ended_fine(
    const metrics_t *m); /* all of the input is done, and no row of the output has failed */
/* --batch-mode: how many of the rows are through the pass. NAN: not known, or no batch mode. */
double metrics_pass_percent(const metrics_t *m);

#endif
