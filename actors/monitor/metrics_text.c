/* metrics_text.c - the numbers of metrics.h as Prometheus text (version 0.0.4) and as JSON. Tables say what
 * is written; the code only walks them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "actors/monitor/limits.h"
#include "actors/monitor/metrics.h"
#include "core/base/json.h"
#include "core/base/words.h"

typedef enum stat_home { FROM_CLIENT, FROM_SCHEDULER, FROM_STORE } stat_home_t;
/* One number of a family: where it is found, and its labels. */
typedef struct labelled {
    stat_home_t source;
    int stat;
    const char *label; /* text between the braces; NULL: none */
} labelled_t;

static uint64_t value_of(const metrics_t *m, const labelled_t *l) {
    if (l->source == FROM_STORE) return m->store[l->stat];
    return l->source == FROM_CLIENT ? m->tally.totals[l->stat] : m->now.scheduler[l->stat];
}

static uint64_t rows_completed(const metrics_t *m) {
    const uint64_t *t = m->tally.totals;
    return t[CLIENT_rows_ok] + t[CLIENT_rows_failed];
}

static uint64_t rows_pending(const metrics_t *m) {
    const uint64_t *s = m->now.scheduler;
    return s[SCHEDULER_rows_queued] + s[SCHEDULER_rows_leased] + s[SCHEDULER_rows_answered];
}

/* ---- memory by who holds it */

typedef struct memory_part {
    const char *name;
    uint64_t rss, pss;
    size_t processes;
} memory_part_t;
enum { PART_MAIN, PART_WORKERS, PART_PYTHON, MEMORY_PARTS };

/* Memory of this program's processes by part: the first process is the main one, others named sdg are
 * workers, and the rest is Python. */
static void memory_parts(const memory_tree_t *tree, memory_part_t *part) {
    static const char *const names[] = {"main", "workers", "python"};
    for (int i = 0; i < MEMORY_PARTS; i++) {
        part[i] = (memory_part_t){.name = names[i]};
    }
    for (size_t i = 0; i < tree->count; i++) {
        const memory_process_t *p = &tree->process[i];
        memory_part_t *to = &part[i == 0                            ? PART_MAIN
                                  : strncmp(p->name, "sdg", 3) == 0 ? PART_WORKERS
                                                                    : PART_PYTHON];
        to->rss += p->rss_bytes;
        to->pss += p->pss_bytes;
        to->processes++;
    }
}

uint64_t metrics_memory_bytes(const metrics_t *m) {
    return m->memory.pss_bytes ? m->memory.pss_bytes : m->memory.rss_bytes;
}

/* "; accounted for: client 30 MiB, workers ..." when anybody accounts for anything. */
static void accounted_words(const metrics_t *m, buf_t *out) {
    const struct {
        const char *name;
        uint64_t bytes;
    } held[] = {{"client", m->now.client[CLIENT_bytes_held]},
                {"workers", m->now.scheduler[SCHEDULER_worker_bytes_held]},
                {"context store", m->store[STORE_contexts_cached_bytes]}};
    if (metrics_accounted_bytes(m) == 0) return;
    buf_adds(out, "; accounted for: ");
    for (int i = 0; i < 3; i++) {
        buf_addf(out, "%s%s ", i ? ", " : "", held[i].name);
        words_bytes(out, held[i].bytes);
    }
    if (m->now.client[CLIENT_memory_limit] == 0) return;
    buf_adds(out, ", together at most ");
    words_bytes(out, m->now.client[CLIENT_memory_limit]);
}

/* One sentence for the log: how much memory, in which processes, and what the pending rows hold. */
void metrics_memory_words(const metrics_t *m, buf_t *out) {
    const uint64_t *s = m->now.scheduler;
    memory_part_t part[MEMORY_PARTS];
    const char *comma = ": ";
    memory_parts(&m->memory, part);
    words_bytes(out, metrics_memory_bytes(m));
    buf_addf(out, " in %zu process%s", m->memory.count, m->memory.count == 1 ? "" : "es");
    for (int i = 0; i < MEMORY_PARTS; i++) {
        if (part[i].processes == 0) continue;
        buf_addf(out, "%s%s ", comma, part[i].name);
        words_bytes(out, m->memory.pss_bytes ? part[i].pss : part[i].rss);
        comma = ", ";
    }
    buf_addf(out,
             "; %" PRIu64 " pending %s (%" PRIu64 " queued, %" PRIu64 " at workers, %" PRIu64
             " to be written) %s ",
             rows_pending(m), words_choose(rows_pending(m), "row", "rows"), s[SCHEDULER_rows_queued],
             s[SCHEDULER_rows_leased], s[SCHEDULER_rows_answered],
             words_choose(rows_pending(m), "holds", "hold"));
    words_bytes(out, s[SCHEDULER_bytes_pending]);
    if (s[SCHEDULER_window_bytes]) {
        buf_adds(out, " of at most ");
        words_bytes(out, s[SCHEDULER_window_bytes]);
    }
    accounted_words(m, out);
}

/* ---- Prometheus */

/* labels of one family: no table below has more */
enum { LABELS_MAX = 8 };
typedef struct family {
    const char *name, *type, *help;
    labelled_t value[LABELS_MAX];
    int values;
} family_t;

#define CLIENT(stat, label) \
    { FROM_CLIENT, CLIENT_##stat, label }
#define SCHEDULER(stat, label) \
    { FROM_SCHEDULER, SCHEDULER_##stat, label }
#define STORE(stat, label) \
    { FROM_STORE, STORE_##stat, label }
static const family_t families[] = {
    {"sdg_rows_completed_total",
     "counter",
     "Rows finished since the start, by result.",
     {CLIENT(rows_ok, "result=\"ok\""), CLIENT(rows_failed, "result=\"failed\"")},
     2},
    {"sdg_rows_read_total",
     "counter",
     "Input records read, those of earlier runs included.",
     {CLIENT(rows_read, NULL)},
     1},
    {"sdg_rows_resumed", "gauge", "Rows that an earlier run had finished.", {CLIENT(rows_resumed, NULL)}, 1},
    {"sdg_rows_pending",
     "gauge",
     "Rows read and not finished, by state.",
     {SCHEDULER(rows_queued, "state=\"queued\""), SCHEDULER(rows_leased, "state=\"leased\""),
      SCHEDULER(rows_answered, "state=\"answered\"")},
     3},
    {"sdg_rows_window",
     "gauge",
     "Rows that may be pending, over all jobs.",
     {SCHEDULER(window_rows, NULL)},
     1},
    {"sdg_rows_requeued_total",
     "counter",
     "Rows that went back to the queue because a worker was lost or gave them back.",
     {SCHEDULER(rows_requeued, NULL)},
     1},
    {"sdg_row_duplicates_dropped_total",
     "counter",
     "Results of rows that were finished already.",
     {SCHEDULER(duplicates_dropped, NULL)},
     1},
    {"sdg_leases_resent_total",
     "counter",
     "Leases sent again because a worker had not received them.",
     {SCHEDULER(leases_resent, NULL)},
     1},
    {"sdg_pending_bytes", "gauge", "Bytes of pending rows and results.", {SCHEDULER(bytes_pending, NULL)}, 1},
    {"sdg_pending_window_bytes",
     "gauge",
     "Bytes that pending rows and results may hold, over all jobs.",
     {SCHEDULER(window_bytes, NULL)},
     1},
    {"sdg_input_read_bytes_total", "counter", "Bytes of the input file read.", {CLIENT(bytes_read, NULL)}, 1},
    {"sdg_input_size_bytes",
     "gauge",
     "Size of the input file, 0 while unknown.",
     {CLIENT(bytes_total, NULL)},
     1},
    {"sdg_llm_calls_total", "counter", "LLM calls of finished rows.", {CLIENT(calls, NULL)}, 1},
    {"sdg_llm_requests_total",
     "counter",
     "HTTP requests, counted as they are sent, repeated ones included.",
     {CLIENT(requests, NULL)},
     1},
    {"sdg_llm_tokens_total",
     "counter",
     "Tokens of the calls of finished rows, as counted by the servers.",
     {CLIENT(prompt_tokens, "direction=\"prompt\""), CLIENT(completion_tokens, "direction=\"completion\"")},
     2},
    {"sdg_llm_answers_cut_short_total",
     "counter",
     "Answers that ended by length or content filter.",
     {CLIENT(cut_short, NULL)},
     1},
    {"sdg_llm_retries_total",
     "counter",
     "Requests made again, by cause.",
     {CLIENT(retry_rate_limit, "cause=\"rate_limit\""), CLIENT(retry_overload, "cause=\"overload\""),
      CLIENT(retry_server, "cause=\"server\""), CLIENT(retry_timeout, "cause=\"timeout\""),
      CLIENT(retry_connection, "cause=\"connection\""), CLIENT(retry_malformed, "cause=\"malformed\""),
      CLIENT(retry_empty, "cause=\"empty\"")},
     7},
    {"sdg_llm_calls_in_flight",
     "gauge",
     "LLM requests sent and not answered.",
     {SCHEDULER(calls_in_flight, NULL)},
     1},
    {"sdg_llm_calls_waiting",
     "gauge",
     "LLM calls that wait for their turn or for a retry.",
     {SCHEDULER(calls_waiting, NULL)},
     1},
    {"sdg_llm_calls_limit",
     "gauge",
     "LLM requests in flight and rows that run code, allowed together, over all jobs.",
     {SCHEDULER(calls_limit, NULL)},
     1},
    {"sdg_credits_granted",
     "gauge",
     "Rows granted, by kind (docs/monitoring.md).",
     {SCHEDULER(ingest_granted, "kind=\"ingest\""), SCHEDULER(row_granted, "kind=\"row\""),
      SCHEDULER(calls_limit, "kind=\"permit\""), SCHEDULER(result_granted, "kind=\"result\"")},
     4},
    {"sdg_workers", "gauge", "Workers connected.", {SCHEDULER(workers, NULL)}, 1},
    {"sdg_workers_lost_total",
     "counter",
     "Workers that fell silent or died.",
     {SCHEDULER(workers_lost, NULL)},
     1},
    {"sdg_jobs", "gauge", "Jobs open.", {SCHEDULER(jobs, NULL)}, 1},
    {"sdg_batch_pass",
     "gauge",
     "Batch mode: the pass that runs, from 1; 0 without batch mode.",
     {CLIENT(pass, NULL)},
     1},
    {"sdg_batch_passes", "gauge", "Batch mode: passes in all.", {CLIENT(passes, NULL)}, 1},
    {"sdg_batch_rows_parked",
     "gauge",
     "Batch mode: rows that are through the pass.",
     {CLIENT(rows_parked, NULL)},
     1},
    {"sdg_accounted_bytes",
     "gauge",
     "Bytes of rows, requests, answers, results and contexts, by who holds them.",
     {CLIENT(bytes_held, "part=\"client\""), SCHEDULER(worker_bytes_held, "part=\"workers\""),
      STORE(contexts_cached_bytes, "part=\"store\"")},
     3},
    {"sdg_accounted_limit_bytes",
     "gauge",
     "What may be accounted for (--memory-limit); 0 without a limit.",
     {CLIENT(memory_limit, NULL)},
     1},
    {"sdg_context_cache_contexts",
     "gauge",
     "Contexts of rows in the memory of the context store.",
     {STORE(contexts_cached, NULL)},
     1},
    {"sdg_context_cache_contexts_limit",
     "gauge",
     "Contexts it may hold in memory (--max-cache-size).",
     {STORE(contexts_cached_max, NULL)},
     1},
    {"sdg_context_cache_bytes", "gauge", "Bytes of those contexts.", {STORE(contexts_cached_bytes, NULL)}, 1},
    {"sdg_context_cache_limit_bytes",
     "gauge",
     "Bytes they may have; 0 without a limit.",
     {STORE(contexts_bytes_max, NULL)},
     1},
    {"sdg_contexts_pinned",
     "gauge",
     "Contexts in memory that must not be evicted.",
     {STORE(contexts_pinned, NULL)},
     1},
    {"sdg_contexts_spilled", "gauge", "Contexts on disk.", {STORE(contexts_spilled, NULL)}, 1},
    {"sdg_contexts_spilled_bytes",
     "gauge",
     "Bytes of the contexts on disk.",
     {STORE(contexts_spilled_bytes, NULL)},
     1},
    {"sdg_context_requests_total",
     "counter",
     "Contexts asked for: found in memory or not.",
     {STORE(context_hits, "result=\"hit\""), STORE(context_misses, "result=\"miss\"")},
     2},
    {"sdg_contexts_created_total", "counter", "Contexts made anew.", {STORE(context_created, NULL)}, 1},
    {"sdg_contexts_evicted_total",
     "counter",
     "Contexts that left memory to make room.",
     {STORE(context_evictions, NULL)},
     1},
    {"sdg_contexts_loaded_total",
     "counter",
     "Contexts that came back from disk.",
     {STORE(context_loads, NULL)},
     1},
    {"sdg_contexts_completed_total",
     "counter",
     "Contexts freed because their row was finished.",
     {STORE(context_completed, NULL)},
     1},
    {"sdg_journal_calls",
     "gauge",
     "Finished LLM calls of unfinished and failed rows in the call journal.",
     {STORE(journal_calls, NULL)},
     1},
    {"sdg_journal_file_bytes", "gauge", "Size of the call journal.", {STORE(journal_bytes, NULL)}, 1},
    {"sdg_journal_calls_added_total",
     "counter",
     "LLM calls written to the call journal.",
     {STORE(journal_added, NULL)},
     1},
    {"sdg_remote_workers_resident_bytes",
     "gauge",
     "Resident memory of worker processes, as they say.",
     {SCHEDULER(worker_rss_bytes, NULL)},
     1},
};
#undef CLIENT
#undef SCHEDULER
#undef STORE

static void head(buf_t *out, const char *name, const char *type, const char *help) {
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(buf_t *out, const char *name, const char *label, uint64_t value) {
    buf_addf(out, label ? "%s{%s} %" PRIu64 "\n" : "%s%s %" PRIu64 "\n", name, label ? label : "", value);
}

static void write_family(const metrics_t *m, const family_t *f, buf_t *out) {
    head(out, f->name, f->type, f->help);
    for (int i = 0; i < f->values; i++) {
        sample(out, f->name, f->value[i].label, value_of(m, &f->value[i]));
    }
}

/* The label value of a reason: \ and " and newlines escaped; other control characters become spaces. */
static void add_escaped(buf_t *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '\n')
            buf_adds(out, "\\n");
        else if (*c == '\\' || *c == '"')
            buf_addf(out, "\\%c", *c);
        else
            buf_addc(out, (unsigned char)*c < ' ' ? ' ' : *c);
    }
}

static void write_failures(const metrics_t *m, buf_t *out) {
    head(out, "sdg_row_failures_total", "counter", "Failed rows by reason.");
    for (size_t i = 0; i < m->tally.reasons.count; i++) {
        buf_adds(out, "sdg_row_failures_total{reason=\"");
        add_escaped(out, m->tally.reasons.item[i].text);
        buf_addf(out, "\"} %" PRIu64 "\n", m->tally.reasons.item[i].count);
    }
}

/* ---- endpoints */

/* Retries are counted by these causes. */
static const struct {
    llm_cause_t cause;
    const char *name;
} RETRIED[] = {{LLM_CAUSE_RATE_LIMIT, "rate_limit"},
               {LLM_CAUSE_OVERLOAD, "overload"},
               {LLM_CAUSE_SERVER, "server"},
               {LLM_CAUSE_TIMEOUT, "timeout"},
               {LLM_CAUSE_CONNECTION, "connection"},
               {LLM_CAUSE_MALFORMED, "malformed"},
               {LLM_CAUSE_EMPTY, "empty"}};
enum { RETRIED_COUNT = sizeof RETRIED / sizeof *RETRIED };

static const char *const STATES[ENDPOINT_STATES] = {"open", "closed", "final"};

/* After the end nothing waits any more. What was given up stays so, and so does what may be why the run ended
 * early. */
static trouble_kind_t kind_now(const metrics_t *m, const endpoint_report_t *r) {
    trouble_kind_t kind = trouble_kind(r);
    bool stays = kind == TROUBLE_FINAL || (m->end.early && kind == TROUBLE_STUCK);
    return m->end.ended && !stays ? TROUBLE_NONE : kind;
}

static size_t endpoints_shown(const metrics_t *m) {
    return m->endpoints.now_count < ENDPOINTS_SHOWN_MAX ? m->endpoints.now_count : ENDPOINTS_SHOWN_MAX;
}

/* `name{endpoint="http://gpu1:8000"`, and whatever comes behind it. */
static void begin_series(const metrics_t *m, const char *name, const endpoint_report_t *r, buf_t *out) {
    const char *shown = endpoints_name(&m->endpoints, r->endpoint);
    buf_addf(out, "%s{endpoint=\"", name);
    add_escaped(out, shown ? shown : r->address);
    buf_addc(out, '"');
}

static uint64_t requests_of(const endpoint_report_t *r) { return r->requests; }
static uint64_t answers_of(const endpoint_report_t *r) { return r->answered; }
static uint64_t in_flight_of(const endpoint_report_t *r) { return r->in_flight; }
static uint64_t waiting_of(const endpoint_report_t *r) { return r->waiting; }

static void write_endpoint_counts(const metrics_t *m, buf_t *out) {
    static const struct {
        const char *name, *type, *help;
        uint64_t (*value)(const endpoint_report_t *r);
    } rows[] = {
        {"sdg_endpoint_requests_total", "counter", "HTTP requests to an endpoint.", requests_of},
        {"sdg_endpoint_answers_total", "counter", "Those that were answered well.", answers_of},
        {"sdg_endpoint_requests_in_flight", "gauge", "Requests sent and not answered.", in_flight_of},
        {"sdg_endpoint_calls_waiting", "gauge",
         "Calls that wait for a permit, for a retry, or until the endpoint opens.", waiting_of},
    };
    for (size_t f = 0; f < sizeof rows / sizeof *rows; f++) {
        head(out, rows[f].name, rows[f].type, rows[f].help);
        for (size_t i = 0; i < endpoints_shown(m); i++) {
            begin_series(m, rows[f].name, &m->endpoints.now[i], out);
            buf_addf(out, "} %" PRIu64 "\n", rows[f].value(&m->endpoints.now[i]));
        }
    }
}

static void write_endpoint_states(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_endpoint_state";
    head(out, name, "gauge", "1 for the state that an endpoint is in.");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        for (int state = 0; state < ENDPOINT_STATES; state++) {
            begin_series(m, name, &m->endpoints.now[i], out);
            buf_addf(out, ",state=\"%s\"} %d\n", STATES[state], (int)m->endpoints.now[i].state == state);
        }
    }
}

static void write_endpoint_retries(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_endpoint_retries_total";
    head(out, name, "counter", "Requests to an endpoint made again, by cause.");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        for (int c = 0; c < RETRIED_COUNT; c++) {
            begin_series(m, name, &m->endpoints.now[i], out);
            buf_addf(out, ",cause=\"%s\"} %" PRIu64 "\n", RETRIED[c].name,
                     m->endpoints.now[i].retries[RETRIED[c].cause]);
        }
    }
}

/* What goes wrong now, as text; of ages, which change from moment to moment, the text has none. */
static void write_endpoint_troubles(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_endpoint_trouble";
    head(out, name, "gauge", "1 while something is wrong at an endpoint, with what it is.");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        const endpoint_report_t *r = &m->endpoints.now[i];
        trouble_kind_t kind = kind_now(m, r);
        buf_t words;
        if (kind == TROUBLE_NONE) continue;
        buf_init(&words, TROUBLE_WORDS_BYTES);
        if (kind == TROUBLE_HANG)
            buf_addf(&words, "no answer from %s", r->address);
        else
            trouble_cause(r, false, &words);
        begin_series(m, name, r, out);
        buf_addf(out, ",kind=\"%s\",text=\"", trouble_kind_name(kind));
        add_escaped(out, words.len ? words.data : "");
        buf_adds(out, "\"} 1\n");
        buf_free(&words);
    }
}

static void write_endpoint_ages(const metrics_t *m, buf_t *out) {
    static const char trouble[] = "sdg_endpoint_last_trouble_age_seconds",
                      oldest[] = "sdg_endpoint_oldest_request_seconds";
    head(out, trouble, "gauge", "How long ago something went wrong at an endpoint; none: nothing has.");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        const endpoint_report_t *r = &m->endpoints.now[i];
        if (r->trouble == LLM_CAUSE_NONE) continue;
        begin_series(m, trouble, r, out);
        buf_addf(out, "} %.3f\n", (double)r->trouble_ms / 1e3);
    }
    head(out, oldest, "gauge", "How long the oldest request in flight has been waiting; 0: none is.");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        begin_series(m, oldest, &m->endpoints.now[i], out);
        buf_addf(out, "} %.3f\n", (double)m->endpoints.now[i].oldest_ms / 1e3);
    }
}

static void write_endpoints(const metrics_t *m, buf_t *out) {
    write_endpoint_states(m, out);
    write_endpoint_counts(m, out);
    write_endpoint_retries(m, out);
    write_endpoint_troubles(m, out);
    write_endpoint_ages(m, out);
}

/* Buckets end just below powers of two microseconds, where they are exact: 1 ms to 36 minutes. */
static void write_latency(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_llm_request_duration_seconds";
    const hist_t *h = &m->tally.latency;
    head(out, name, "histogram", "Time from sending an LLM request to the end of its answer.");
    for (uint32_t power = 10; power < 32; power++) {
        buf_addf(out, "%s_bucket{le=\"%.6f\"} %" PRIu64 "\n", name,
                 (double)((UINT64_C(1) << power) - 1) / 1e6, hist_count_below(h, power));
    }
    buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n", name, h->count,
             name, (double)h->sum_us / 1e6, name, h->count);
}

/* Memory and number of processes, by part. */
static void write_memory(const metrics_t *m, buf_t *out) {
    memory_part_t part[MEMORY_PARTS];
    memory_parts(&m->memory, part);
    head(out, "sdg_memory_resident_bytes", "gauge",
         "Resident memory (RSS) of this program's processes on this machine, by part.");
    for (int i = 0; i < MEMORY_PARTS; i++) {
        buf_addf(out, "sdg_memory_resident_bytes{part=\"%s\"} %" PRIu64 "\n", part[i].name, part[i].rss);
    }
    head(out, "sdg_memory_proportional_bytes", "gauge",
         "The same with shared pages divided among those that share them (PSS).");
    for (int i = 0; i < MEMORY_PARTS; i++) {
        buf_addf(out, "sdg_memory_proportional_bytes{part=\"%s\"} %" PRIu64 "\n", part[i].name, part[i].pss);
    }
    head(out, "sdg_processes", "gauge", "Processes of this program on this machine, by part.");
    for (int i = 0; i < MEMORY_PARTS; i++) {
        buf_addf(out, "sdg_processes{part=\"%s\"} %zu\n", part[i].name, part[i].processes);
    }
}

/* Credits that are granted and not used. */
static void write_outstanding(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_credits_outstanding";
    const uint64_t *s = m->now.scheduler;
    uint64_t limit = s[SCHEDULER_calls_limit], used = s[SCHEDULER_calls_in_flight];
    head(out, name, "gauge", "Granted rows (permit: calls) not yet used, by kind.");
    sample(out, name, "kind=\"ingest\"", s[SCHEDULER_ingest_outstanding]);
    sample(out, name, "kind=\"row\"", s[SCHEDULER_row_outstanding]);
    sample(out, name, "kind=\"permit\"", limit > used ? limit - used : 0);
    sample(out, name, "kind=\"result\"", s[SCHEDULER_result_outstanding]);
}

static void write_evicted(const metrics_t *m, buf_t *out) {
    static const char name[] = "sdg_contexts_evicted_bytes_total";
    head(
        out, name, "counter",
        "Bytes of contexts that left memory, by where to; at least so many, for these messages may be lost.");
    sample(out, name, "to=\"disk\"", m->evicted[EVICTED_TO_DISK].bytes);
    sample(out, name, "to=\"nowhere\"", m->evicted[EVICTED_DROPPED].bytes);
}

/* The page /metrics: the families of the table, then those that need code of their own. */
void metrics_prometheus(const metrics_t *m, buf_t *out) {
    head(out, "sdg_build_info", "gauge", "Version and way of running, as labels.");
    buf_addf(out, "sdg_build_info{version=\"%s\",mode=\"%s\"} 1\n", SDG_VERSION, m->mode);
    head(out, "sdg_start_time_seconds", "gauge", "When the run or server started, since 1970.");
    buf_addf(out, "sdg_start_time_seconds %.3f\n", (double)m->started_unix_ms / 1e3);
    head(out, "sdg_rows_expected", "gauge",
         "Rows of the input, estimated from its size while it is read; 0 while unknown.");
    sample(out, "sdg_rows_expected", NULL, report_rows_expected(&m->now));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        write_family(m, &families[i], out);
    }
    write_failures(m, out);
    write_endpoints(m, out);
    write_outstanding(m, out);
    write_evicted(m, out);
    write_latency(m, out);
    write_memory(m, out);
}

/* ---- JSON */

static void add_real(buf_t *out, double n) {
    if (isfinite(n))
        buf_addf(out, "%.9g", n);
    else
        buf_adds(out, "null");
}

static void put_real(buf_t *out, const char *key, double n) {
    buf_addf(out, "\"%s\": ", key);
    add_real(out, n);
}

/* Rows, progress and the estimated time to the end; what cannot be known is null. */
static void json_rows(const metrics_t *m, buf_t *out) {
    const uint64_t *c = m->tally.totals, *s = m->now.scheduler;
    uint64_t expected = report_rows_expected(&m->now);
    buf_addf(out,
             "\"pending\": %" PRIu64 ", \"completed\": %" PRIu64 ", \"failed\": %" PRIu64
             ", \"resumed\": %" PRIu64 ", \"read\": %" PRIu64 ", ",
             rows_pending(m), rows_completed(m), c[CLIENT_rows_failed], c[CLIENT_rows_resumed],
             c[CLIENT_rows_read]);
    put_real(out, "total", expected ? (double)expected : NAN);
    buf_addf(out, ", \"total_is_estimate\": %s, ", report_rows_are_exact(&m->now) ? "false" : "true");
    put_real(out, "progress_percent", 100 * report_done_share(&m->now));
    buf_adds(out, ", ");
    put_real(out, "eta_s", m->end.ended ? NAN : report_eta_s(&m->now));
    buf_adds(out, ", ");
    put_real(out, "rows_per_s", m->now.rows_per_s);
    buf_addf(out,
             ", \"rows\": {\"queued\": %" PRIu64 ", \"leased\": %" PRIu64 ", \"answered\": %" PRIu64
             ", \"window\": %" PRIu64 ", \"requeued\": %" PRIu64 ", \"duplicates_dropped\": %" PRIu64 "}",
             s[SCHEDULER_rows_queued], s[SCHEDULER_rows_leased], s[SCHEDULER_rows_answered],
             s[SCHEDULER_window_rows], s[SCHEDULER_rows_requeued], s[SCHEDULER_duplicates_dropped]);
}

static void json_latency(const hist_t *h, const char *key, buf_t *out) {
    static const double points[] = {50, 90, 99, 100};
    static const char *const names[] = {"p50", "p90", "p99", "max"};
    buf_addf(out, "\"%s\": {\"count\": %" PRIu64, key, h->count);
    for (int i = 0; i < 4; i++) {
        buf_adds(out, ", ");
        put_real(out, names[i], h->count ? (double)hist_percentile(h, points[i]) / 1e3 : NAN);
    }
    buf_adds(out, "}");
}

/* LLM calls, tokens, latencies and retries. */
static void json_calls(const metrics_t *m, buf_t *out) {
    const uint64_t *c = m->tally.totals, *s = m->now.scheduler;
    buf_addf(out,
             "\"calls\": {\"in_flight\": %" PRIu64 ", \"waiting\": %" PRIu64 ", \"limit\": %" PRIu64
             ", \"finished\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"cut_short\": %" PRIu64
             "}, \"tokens\": {\"prompt\": %" PRIu64 ", \"completion\": %" PRIu64 ", ",
             s[SCHEDULER_calls_in_flight], s[SCHEDULER_calls_waiting], s[SCHEDULER_calls_limit],
             c[CLIENT_calls], c[CLIENT_requests], c[CLIENT_cut_short], c[CLIENT_prompt_tokens],
             c[CLIENT_completion_tokens]);
    put_real(out, "per_s", m->now.tokens_per_s);
    buf_adds(out, "}, ");
    json_latency(&m->recent, "latency_ms", out);
    buf_adds(out, ", ");
    json_latency(&m->tally.latency, "latency_ms_all", out);
    buf_addf(out,
             ", \"retries\": {\"rate_limit\": %" PRIu64 ", \"overload\": %" PRIu64 ", \"server\": %" PRIu64
             ", \"timeout\": %" PRIu64 ", \"connection\": %" PRIu64 ", \"malformed\": %" PRIu64
             ", \"empty\": %" PRIu64 "}, \"failures\": ",
             c[CLIENT_retry_rate_limit], c[CLIENT_retry_overload], c[CLIENT_retry_server],
             c[CLIENT_retry_timeout], c[CLIENT_retry_connection], c[CLIENT_retry_malformed],
             c[CLIENT_retry_empty]);
    tally_write_reasons(&m->tally, out);
}

static void json_credit(const char *kind, uint64_t granted, uint64_t outstanding, buf_t *out) {
    buf_addf(out, "\"%s\": {\"granted\": %" PRIu64 ", \"outstanding\": %" PRIu64 "}", kind, granted,
             outstanding);
}

static void json_credits(const metrics_t *m, buf_t *out) {
    const uint64_t *s = m->now.scheduler;
    uint64_t limit = s[SCHEDULER_calls_limit], used = s[SCHEDULER_calls_in_flight];
    buf_adds(out, "\"credits\": {");
    json_credit("ingest", s[SCHEDULER_ingest_granted], s[SCHEDULER_ingest_outstanding], out);
    buf_adds(out, ", ");
    json_credit("row", s[SCHEDULER_row_granted], s[SCHEDULER_row_outstanding], out);
    buf_adds(out, ", ");
    json_credit("permit", limit, limit > used ? limit - used : 0, out);
    buf_adds(out, ", ");
    json_credit("result", s[SCHEDULER_result_granted], s[SCHEDULER_result_outstanding], out);
    buf_adds(out, "}");
}

/* A limit; null when it is 0, which means that there is none. */
static void put_limit(buf_t *out, const char *key, uint64_t n) { put_real(out, key, n ? (double)n : NAN); }

static void json_accounted(const metrics_t *m, buf_t *out) {
    buf_addf(out,
             "\"accounted\": {\"client\": %" PRIu64 ", \"workers\": %" PRIu64 ", \"store\": %" PRIu64
             ", \"total\": %" PRIu64 "}, ",
             m->now.client[CLIENT_bytes_held], m->now.scheduler[SCHEDULER_worker_bytes_held],
             m->store[STORE_contexts_cached_bytes], metrics_accounted_bytes(m));
    put_limit(out, "limit_bytes", m->now.client[CLIENT_memory_limit]);
    buf_adds(out, ", ");
}

/* A text that may hold anything; null when there is none. */
static void put_text(buf_t *out, const char *key, const char *text, size_t len) {
    buf_addf(out, "\"%s\": ", key);
    if (len)
        json_write_string(out, text, len);
    else
        buf_adds(out, "null");
}

static void put_seconds(buf_t *out, const char *key, uint64_t ms, bool known) {
    buf_adds(out, ", ");
    put_real(out, key, known ? (double)ms / 1e3 : NAN);
}

/* The words of one endpoint's trouble as the progress line has them; null when there is none. */
static void put_trouble(const metrics_t *m, const char *key, const endpoint_report_t *r, buf_t *out) {
    trouble_view_t view = report_trouble_view(&m->now);
    buf_t words;
    view.japanese = false;
    buf_init(&words, TROUBLE_WORDS_BYTES);
    if (r && kind_now(m, r) != TROUBLE_NONE) trouble_words(r, &view, UINT64_MAX, &words);
    put_text(out, key, words.data, words.len);
    buf_free(&words);
}

static void put_cause(const endpoint_report_t *r, buf_t *out) {
    buf_t words;
    buf_init(&words, TROUBLE_WORDS_BYTES);
    trouble_cause(r, false, &words);
    put_text(out, "last_error", words.data, words.len);
    buf_free(&words);
}

static void json_endpoint(const metrics_t *m, const endpoint_report_t *r, buf_t *out) {
    const char *name = endpoints_name(&m->endpoints, r->endpoint);
    bool troubled = r->trouble != LLM_CAUSE_NONE;
    buf_adds(out, "{");
    put_text(out, "address", name ? name : r->address, strlen(name ? name : r->address));
    buf_addf(out,
             ", \"state\": \"%s\", \"in_flight\": %" PRIu64 ", \"waiting\": %" PRIu64
             ", \"refused\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"answered\": %" PRIu64
             ", \"retries\": {",
             STATES[r->state], r->in_flight, r->waiting, r->refused, r->requests, r->answered);
    for (int c = 0; c < RETRIED_COUNT; c++) {
        buf_addf(out, "%s\"%s\": %" PRIu64, c ? ", " : "", RETRIED[c].name, r->retries[RETRIED[c].cause]);
    }
    buf_adds(out, "}");
    put_seconds(out, "reopens_s", r->reopens_ms, r->state == ENDPOINT_CLOSED);
    put_seconds(out, "oldest_s", r->oldest_ms, r->in_flight > 0);
    put_seconds(out, "answered_s", r->answered_ms, r->answered_ms != ENDPOINT_NEVER);
    put_seconds(out, "last_error_s", r->trouble_ms, troubled);
    buf_adds(out, ", ");
    put_cause(r, out);
    buf_addf(out, ", \"trouble_kind\": \"%s\", ", trouble_kind_name(kind_now(m, r)));
    put_trouble(m, "trouble", r, out);
    buf_adds(out, "}");
}

/* How the endpoints fare, and the words of the worst of them. */
static void json_endpoints(const metrics_t *m, buf_t *out) {
    put_trouble(m, "trouble", trouble_worst(m->endpoints.now, m->endpoints.now_count), out);
    buf_adds(out, ", \"endpoints\": [");
    for (size_t i = 0; i < endpoints_shown(m); i++) {
        if (i) buf_adds(out, ", ");
        json_endpoint(m, &m->endpoints.now[i], out);
    }
    buf_adds(out, "]");
}

/* How the run ended; null while it runs. */
static void json_end(const metrics_t *m, buf_t *out) {
    if (!m->end.ended) {
        buf_adds(out, "\"ended\": null");
        return;
    }
    buf_addf(out, "\"ended\": {\"fine\": %s, \"early\": %s, ", metrics_ended_fine(m) ? "true" : "false",
             m->end.early ? "true" : "false");
    put_text(out, "summary", m->end.summary, m->end.summary ? strlen(m->end.summary) : 0);
    buf_adds(out, "}");
}

static void json_limiter(const metrics_t *m, buf_t *out) {
    const uint64_t *s = m->now.scheduler;
    buf_addf(out,
             "\"limiter\": {\"allowed\": %" PRIu64 ", \"in_flight\": %" PRIu64 ", \"waiting\": %" PRIu64 "}",
             s[SCHEDULER_calls_limit], s[SCHEDULER_calls_in_flight], s[SCHEDULER_calls_waiting]);
}

static void json_batch(const metrics_t *m, buf_t *out) {
    const uint64_t *c = m->now.client;
    buf_adds(out, "\"batch\": {");
    put_limit(out, "pass", c[CLIENT_pass]);
    buf_adds(out, ", ");
    put_limit(out, "passes", c[CLIENT_passes]);
    buf_addf(out, ", \"rows_parked\": %" PRIu64 ", ", c[CLIENT_rows_parked]);
    put_real(out, "progress_percent", metrics_pass_percent(m));
    buf_addc(out, '}');
}

static void json_evicted(const char *key, const evicted_t *e, buf_t *out) {
    buf_addf(out, ", \"%s\": {\"rows\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", key, e->rows, e->bytes);
}

/* The context store and the call journal. */
static void json_cache(const metrics_t *m, buf_t *out) {
    const uint64_t *s = m->store;
    uint64_t asked = s[STORE_context_hits] + s[STORE_context_misses];
    buf_addf(out, "\"cache\": {\"size\": %" PRIu64 ", ", s[STORE_contexts_cached]);
    put_limit(out, "max_size", s[STORE_contexts_cached_max]);
    buf_addf(out, ", \"bytes\": %" PRIu64 ", ", s[STORE_contexts_cached_bytes]);
    put_limit(out, "max_bytes", s[STORE_contexts_bytes_max]);
    buf_addf(out, ", \"hits\": %" PRIu64 ", \"misses\": %" PRIu64 ", ", s[STORE_context_hits],
             s[STORE_context_misses]);
    put_real(out, "hit_rate", asked ? (double)s[STORE_context_hits] / (double)asked : NAN);
    buf_addf(out,
             ", \"pins\": %" PRIu64 ", \"created\": %" PRIu64 ", \"completed\": %" PRIu64
             ", \"evictions\": %" PRIu64 ", \"loads\": %" PRIu64 ", \"spilled\": %" PRIu64
             ", \"spilled_bytes\": %" PRIu64,
             s[STORE_contexts_pinned], s[STORE_context_created], s[STORE_context_completed],
             s[STORE_context_evictions], s[STORE_context_loads], s[STORE_contexts_spilled],
             s[STORE_contexts_spilled_bytes]);
    json_evicted("evicted_to_disk", &m->evicted[EVICTED_TO_DISK], out);
    json_evicted("dropped", &m->evicted[EVICTED_DROPPED], out);
    buf_addf(out, "}, \"journal\": {\"calls\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"added\": %" PRIu64 "}",
             s[STORE_journal_calls], s[STORE_journal_bytes], s[STORE_journal_added]);
}

/* Memory by process, and what is accounted for. */
static void json_memory(const metrics_t *m, buf_t *out) {
    const uint64_t *s = m->now.scheduler;
    buf_addf(out,
             "\"memory\": {\"rss_bytes\": %" PRIu64 ", \"pss_bytes\": %" PRIu64
             ", \"remote_workers_rss_bytes\": %" PRIu64 ", \"pending_bytes\": %" PRIu64
             ", \"window_bytes\": %" PRIu64 ", ",
             m->memory.rss_bytes, m->memory.pss_bytes, s[SCHEDULER_worker_rss_bytes],
             s[SCHEDULER_bytes_pending], s[SCHEDULER_window_bytes]);
    json_accounted(m, out);
    buf_adds(out, "\"processes\": [");
    for (size_t i = 0; i < m->memory.count; i++) {
        const memory_process_t *p = &m->memory.process[i];
        buf_addf(out, "%s{\"pid\": %d, \"name\": ", i ? ", " : "", (int)p->pid);
        json_write_string(out, p->name, strlen(p->name));
        buf_addf(out, ", \"rss_bytes\": %" PRIu64 ", \"pss_bytes\": %" PRIu64 "}", p->rss_bytes,
                 p->pss_bytes);
    }
    buf_adds(out, "]}");
}

static const char *const COLUMN_NAMES[] = {
#define COLUMN(name, merge) #name,
    METRICS_COLUMNS(COLUMN)
#undef COLUMN
};

static int64_t unix_ms_of(const metrics_t *m, uint64_t at_ns) {
    return m->started_unix_ms + (int64_t)((at_ns - m->started_ns) / 1000000);
}

static void json_sample(const metrics_t *m, buf_t *out) {
    buf_addf(out, "\"sample\": {\"t\": %" PRId64, unix_ms_of(m, m->ticked_ns));
    for (int c = 0; c < METRICS_COLUMN_COUNT; c++) {
        buf_adds(out, ", ");
        put_real(out, COLUMN_NAMES[c], m->columns[c]);
    }
    buf_adds(out, "}");
}

bool metrics_ended_fine(const metrics_t *m) {
    const uint64_t *c = m->now.client;
    return m->end.ended && !m->end.early && c[CLIENT_rows_failed] + c[CLIENT_resumed_failed] == 0;
}

static const char *state_of(const metrics_t *m) {
    if (m->end.ended) return m->end.early ? "ended_early" : "done";
    if (m->tally.totals[CLIENT_stopping]) return "stopping";
    if (m->now.scheduler[SCHEDULER_workers] == 0 && !m->now.elsewhere) return "waiting_for_workers";
    if (m->now.scheduler[SCHEDULER_jobs] == 0) return "idle";
    return "running";
}

/* The page /stats.json. */
void metrics_json(const metrics_t *m, uint64_t now, buf_t *out) {
    const uint64_t *s = m->now.scheduler;
    buf_addf(out,
             "{\"version\": \"%s\", \"mode\": \"%s\", \"state\": \"%s\", \"started_unix_ms\": %" PRId64
             ", \"uptime_s\": %.3f, ",
             SDG_VERSION, m->mode, state_of(m), m->started_unix_ms, (double)(now - m->started_ns) / 1e9);
    json_rows(m, out);
    buf_adds(out, ", ");
    json_calls(m, out);
    buf_addf(out,
             ", \"workers\": {\"connected\": %" PRIu64 ", \"lost\": %" PRIu64 "}, \"jobs\": %" PRIu64 ", ",
             s[SCHEDULER_workers], s[SCHEDULER_workers_lost], s[SCHEDULER_jobs]);
    json_endpoints(m, out);
    buf_adds(out, ", ");
    json_end(m, out);
    buf_adds(out, ", ");
    json_credits(m, out);
    buf_adds(out, ", ");
    json_limiter(m, out);
    buf_adds(out, ", ");
    json_batch(m, out);
    buf_adds(out, ", ");
    json_cache(m, out);
    buf_adds(out, ", ");
    json_memory(m, out);
    buf_adds(out, ", ");
    json_sample(m, out);
    buf_adds(out, "}\n");
}

/* The page /series.json: one line for each point, its columns named once. */
void metrics_series_json(const metrics_t *m, bool whole, buf_t *out) {
    const series_t *series = whole ? m->whole_series : m->recent_series;
    uint64_t at_ns;
    buf_addf(out, "{\"started_unix_ms\": %" PRId64 ", \"step_s\": %.9g, \"columns\": [\"t\"",
             m->started_unix_ms, (double)series_step_ns(series) / 1e9);
    for (int c = 0; c < METRICS_COLUMN_COUNT; c++) {
        buf_addf(out, ", \"%s\"", COLUMN_NAMES[c]);
    }
    buf_adds(out, "], \"points\": [");
    for (size_t i = 0; i < series_count(series); i++) {
        const double *values = series_point_peek(series, i, &at_ns);
        buf_addf(out, "%s[%" PRId64, i ? ",\n" : "\n", unix_ms_of(m, at_ns));
        for (int c = 0; c < METRICS_COLUMN_COUNT; c++) {
            buf_addc(out, ',');
            add_real(out, values[c]);
        }
        buf_addc(out, ']');
    }
    buf_adds(out, "\n]}\n");
}
