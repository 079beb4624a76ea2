/* monitor.c - keeps the last numbers and draws them.
 *
 * Rates are taken over the last few seconds from a ring of (time, rows, tokens) samples: short enough to show
 * a stall, long enough not to flicker. On a terminal the line is redrawn five times a second; elsewhere a
 * plain line appears every PLAIN_EVERY_S seconds.
 *
 * Series, percentiles and samples of memory are made only for those who asked (--metrics-listen,
 * --enable-memory-monitoring), all in this thread: nobody waits for it, so what it costs slows no row.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function and its line in on_message, a test.
 */
#include "actors/monitor/monitor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/loop/actor.h"
#include "actors/loop/limits.h"
#include "actors/monitor/limits.h"
#include "actors/monitor/metrics.h"
#include "actors/monitor/monitor_http.h"
#include "actors/monitor/report.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/words.h"

typedef struct rate_sample {
    uint64_t at_ns, rows, tokens;
} rate_sample_t;

typedef struct monitor {
    actor_t actor;
    monitor_args_t args;
    zsock_t *pull;
    metrics_t *metrics;
    monitor_http_t *http; /* NULL: no --metrics-listen */
    uint64_t memory_samples, sampled_memory_ns, memory_warned_ns;
    rate_sample_t samples[RATE_SAMPLES];
    size_t sample_count, sample_next;
    uint64_t started_ns, drawn_ns, sampled_ns;
    bool seen_client;
} monitor_t;

/* Takes a sample each REDRAW_NS and makes the rates of it and the oldest one in the ring. */
static void take_sample(monitor_t *m, uint64_t now) {
    if (now - m->sampled_ns < REDRAW_NS) return;
    m->sampled_ns = now;
    const uint64_t *c = m->metrics->now.client;
    rate_sample_t latest = {.at_ns = now,
                            .rows = c[CLIENT_rows_ok] + c[CLIENT_rows_failed],
                            .tokens = c[CLIENT_completion_tokens] + c[CLIENT_prompt_tokens]};
    const rate_sample_t *oldest =
        m->sample_count < RATE_SAMPLES ? &m->samples[0] : &m->samples[m->sample_next];
    if (m->sample_count > 0 && now > oldest->at_ns) {
        double seconds = (double)(now - oldest->at_ns) / 1e9;
        m->metrics->now.rows_per_s = (double)(latest.rows - oldest->rows) / seconds;
        m->metrics->now.tokens_per_s = (double)(latest.tokens - oldest->tokens) / seconds;
    }
    m->samples[m->sample_next] = latest;
    m->sample_next = (m->sample_next + 1) % RATE_SAMPLES;
    if (m->sample_count < RATE_SAMPLES) m->sample_count++;
}

/* Draws the progress line when it is due: over the last one on a terminal, as a line of the log elsewhere. */
static void draw(monitor_t *m, uint64_t now) {
    buf_t line;
    uint64_t every = m->args.terminal ? REDRAW_NS : PLAIN_EVERY_S * SECOND;
    if (!m->args.progress || !m->seen_client || now - m->drawn_ns < every) return;
    m->drawn_ns = now;
    buf_init(&line, 1024);
    m->metrics->now.elapsed_ns = now - m->started_ns;
    m->metrics->now.rss_bytes = memory_rss_bytes() + m->metrics->now.scheduler[SCHEDULER_worker_rss_bytes];
    report_progress(&m->metrics->now, &line);
    if (m->args.terminal)
        log_set_status_line(line.data);
    else
        log_info("progress", "%s", line.data);
    buf_free(&line);
}

static void copy_values(uint64_t *to, size_t max, const u64_list_t *from) {
    memcpy(to, from->items, (from->count < max ? from->count : max) * sizeof *to);
}

static void on_stats(monitor_t *m, const MSG_STATS *stats, uint64_t now) {
    if (stats->role == ROLE_CLIENT || stats->role == ROLE_WORKER) {
        if (!m->seen_client) m->drawn_ns = now; /* the first plain line comes after a full interval */
        m->seen_client = true;
        metrics_take_totals(m->metrics, stats);
        take_sample(m, now);
    } else if (stats->role == ROLE_SCHEDULER) {
        copy_values(m->metrics->now.scheduler, SCHEDULER_STATS, &stats->values);
    } else if (stats->role == ROLE_STORE) {
        metrics_take_store(m->metrics, &stats->values);
    }
}

/* The end of a run: takes the progress line away and prints the summary to stderr. */
static void on_summary(monitor_t *m, const MSG_SUMMARY *s, uint64_t now) {
    hist_t latency;
    buf_t text;
    copy_values(m->metrics->now.client, CLIENT_STATS, &s->values);
    hist_from_numbers(&latency, s->latency.items, s->latency.count);
    m->metrics->now.elapsed_ns = now - m->started_ns;
    m->metrics->now.rss_bytes =
        memory_peak_rss_bytes() + m->metrics->now.scheduler[SCHEDULER_worker_rss_bytes];
    log_set_status_line(NULL);
    m->args.progress = false;
    if (!m->args.summary) return;
    buf_init(&text, 64 << 10);
    char *ending = xstrndup(s->ending.data, s->ending.len);
    report_summary(&m->metrics->now, &latency, s->reasons.data, s->reasons.len, ending, &text);
    if (write(STDERR_FILENO, text.data, text.len) < 0) {
        /* stderr is closed: nobody reads the summary */
    }
    free(ending);
    buf_free(&text);
}

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    monitor_t *m = self;
    (void)socket;
    if (in->message.type == MESSAGE_STATS) on_stats(m, &in->message.STATS, now);
    if (in->message.type == MESSAGE_SUMMARY) on_summary(m, &in->message.SUMMARY, now);
    if (in->message.type == MESSAGE_ENDPOINT_REPORT)
        metrics_take_endpoints(m->metrics, in->message.ENDPOINT_REPORT.reports, now);
    if (in->message.type == MESSAGE_EVICTED) metrics_take_evicted(m->metrics, &in->message.EVICTED);
}

/* ---- memory */

static void warn_of_memory(monitor_t *m, uint64_t now) {
    buf_t words;
    uint64_t threshold = m->args.memory_threshold_bytes;
    if (threshold == 0 || metrics_memory_bytes(m->metrics) <= threshold ||
        !log_due(&m->memory_warned_ns, now, MEMORY_WARN_NS))
        return;
    buf_init(&words, 4096);
    metrics_memory_words(m->metrics, &words);
    buf_adds(&words, "; the threshold is ");
    words_bytes(&words, threshold);
    log_warn("memory", "%s", words.data);
    buf_free(&words);
}

static void sample_memory(monitor_t *m, uint64_t now) {
    memory_tree_t *tree = &m->metrics->memory;
    if (m->memory_samples && now - m->sampled_memory_ns < MEMORY_SAMPLE_NS) return;
    m->sampled_memory_ns = now;
    size_t processes = tree->count;
    memory_tree_sample(tree, m->memory_samples++ % MEMORY_PSS_EVERY == 0);
    if (tree->count != processes) memory_tree_sample(tree, true); /* new processes have no PSS yet */
    warn_of_memory(m, now);
}

/* ---- life */

static bool is_detailed(const monitor_t *m) { return m->http || m->args.memory_threshold_bytes; }

static uint64_t after(void *self, uint64_t now) {
    monitor_t *m = self;
    draw(m, now);
    if (is_detailed(m)) sample_memory(m, now);
    if (m->http && now - m->metrics->ticked_ns >= SECOND) metrics_tick(m->metrics, now);
    if (m->http) monitor_http_run(m->http); /* also closes idle connections */
    return REDRAW_NS;
}

static void on_fd(void *self, int fd, uint64_t now) {
    (void)self, (void)fd, (void)now; /* `after` runs the server */
}

static const actor_ops_t ops = {on_message, on_fd, NULL, after};

static void start_http(monitor_t *m) {
    if (m->args.listen_fd < 0) return;
    m->http = monitor_http_new(m->args.listen_fd, m->metrics);
    if (m->http)
        actor_add_fd(&m->actor, monitor_http_fd(m->http));
    else
        log_error("monitor", "the web server of --metrics-listen cannot be started");
}

/* What arrived before $TERM is still shown: the client sends SUMMARY right before its end. */
static void show_the_rest(monitor_t *m) {
    link_frame_t in;
    while (link_recv(m->pull, &in, NULL) == LINK_MESSAGE) {
        on_message(m, m->pull, &in, clock_now_ns());
        link_frame_free(&in);
    }
    log_set_status_line(NULL);
}

/* Runs until $TERM, then shows what has already arrived. */
void monitor_actor(zsock_t *pipe, void *args) {
    monitor_t *m = xcalloc(1, sizeof *m);
    err_t err;
    m->args = *(monitor_args_t *)args;
    m->started_ns = clock_now_ns();
    m->metrics = metrics_new(m->args.mode, m->args.listen_fd >= 0, m->started_ns, clock_unix_ms());
    m->metrics->now.japanese = m->args.japanese;
    m->metrics->now.elsewhere = m->args.mode && strcmp(m->args.mode, "submit") == 0;
    m->pull = link_socket(ZMQ_PULL, 0, SOCKET_HWM);
    actor_init(&m->actor, "monitor", &ops, m, pipe);
    if (link_attach(m->pull, LINK_BIND, m->args.endpoint, &err) < 0) log_error("monitor", "%s", err.text);
    actor_add_socket(&m->actor, m->pull);
    start_http(m);
    actor_run(&m->actor);
    show_the_rest(m);
    zsock_destroy(&m->pull);
    monitor_http_destroy(&m->http);
    actor_free(&m->actor);
    metrics_destroy(&m->metrics);
    free(m);
}
