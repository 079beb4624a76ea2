/* monitor.c - keeps the last numbers and draws them.
 *
 * Rates are taken over the last few seconds from a ring of (time, rows, tokens) samples: short enough to show
 * a stall, long enough not to flicker. On a terminal the line is redrawn five times a second; elsewhere a
 * plain line appears every PLAIN_EVERY_S seconds, and what goes wrong at an endpoint at once.
 *
 * Series, percentiles and samples of memory are made only for those who asked (--metrics-listen,
 * --enable-memory-monitoring), all in this thread: nobody waits for it, so what it costs slows no row.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function and its line in on_message, a test.
 */
#include "actors/monitor/monitor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
    trouble_log_t troubles;
    uint64_t linger_until_ns; /* 0: the run goes on */
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

/* How wide the progress line may be: asked anew each time, so that a resized terminal is filled and no more.
 * The last column stays free, where some terminals wrap. */
static uint64_t columns_of(const monitor_t *m) {
    struct winsize size;
    if (!m->args.terminal) return UINT64_MAX;
    uint64_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    if (columns == 0) columns = COLUMNS_DEFAULT;
    return (columns < COLUMNS_MAX ? columns : COLUMNS_MAX) - 1;
}

/* Draws the progress line when it is due: over the last one on a terminal, as a line of the log elsewhere. */
static void draw(monitor_t *m, uint64_t now) {
    buf_t line;
    uint64_t every = m->args.terminal ? REDRAW_NS : PLAIN_EVERY_S * SECOND;
    if (!m->args.progress || !m->seen_client || now - m->drawn_ns < every) return;
    m->drawn_ns = now;
    buf_init(&line, PROGRESS_LINE_BYTES);
    m->metrics->now.rss_bytes = memory_rss_bytes() + m->metrics->now.scheduler[SCHEDULER_worker_rss_bytes];
    report_progress(&m->metrics->now, columns_of(m), &line);
    if (m->args.terminal)
        log_set_status_line(line.data);
    else
        log_info("progress", "%s", line.data);
    buf_free(&line);
}

/* Where no line is redrawn, what goes wrong is said when it is new and not with the next plain line. */
static void say_troubles(monitor_t *m, uint64_t now) {
    const report_t *r = &m->metrics->now;
    trouble_view_t view = report_trouble_view(r);
    if (!m->args.troubles || (m->args.terminal && m->args.progress) || m->metrics->end.ended) return;
    for (size_t i = 0; i < r->endpoint_count; i++) {
        trouble_kind_t kind = trouble_kind(&r->endpoints[i]);
        buf_t words;
        if (kind == TROUBLE_NONE || !trouble_is_new(&m->troubles, &r->endpoints[i], now)) continue;
        buf_init(&words, TROUBLE_WORDS_BYTES);
        trouble_words(&r->endpoints[i], &view, UINT64_MAX, &words);
        log_write(kind == TROUBLE_PASSING ? LEVEL_INFO : LEVEL_WARN, "endpoint", "%s", words.data);
        buf_free(&words);
    }
}

static void on_stats(monitor_t *m, const MSG_STATS *stats, uint64_t now) {
    if (m->metrics->end.ended) return;
    if (stats->role == ROLE_CLIENT || stats->role == ROLE_WORKER) {
        if (!m->seen_client) m->drawn_ns = now; /* the first plain line comes after a full interval */
        m->seen_client = true;
        metrics_take_totals(m->metrics, stats);
        take_sample(m, now);
    } else if (stats->role == ROLE_SCHEDULER) {
        metrics_take_gauges(m->metrics, &stats->values);
    } else if (stats->role == ROLE_STORE) {
        metrics_take_store(m->metrics, &stats->values);
    }
}

/* The page of --report: the numbers of this moment, and the summary. */
static void write_report(monitor_t *m, uint64_t now) {
    err_t err;
    metrics_tick(m->metrics, now);
    if (report_page_write(&m->args.report, m->metrics, now, &err) == SDG_OK)
        log_info("run", "report: %s", m->args.report.path);
    else
        log_error("run", "%s", err.text);
}

static void print(const buf_t *text) {
    if (text->len && write(STDERR_FILENO, text->data, text->len) < 0) {
        /* stderr is closed: nobody reads it */
    }
}

/* The end of a run: takes the progress line away and prints the summary to stderr, or the one line of a quiet
 * run. The pages keep the summary. */
static void on_summary(monitor_t *m, const MSG_SUMMARY *s, uint64_t now) {
    report_t *r = &m->metrics->now;
    buf_t text, line;
    if (m->metrics->end.summary) return; /* it was said before */
    metrics_take_end(m->metrics, s, now);
    r->rss_bytes = memory_peak_rss_bytes() + r->scheduler[SCHEDULER_worker_rss_bytes];
    log_set_status_line(NULL);
    m->args.progress = false;
    char *ending = xstrndup(s->ending.data, s->ending.len);
    report_end_t end = {.latency = &m->metrics->tally.latency,
                        .outcomes = s->reasons.data,
                        .outcomes_len = s->reasons.len,
                        .ending = ending,
                        .output = m->args.output,
                        .again = m->args.again};
    buf_init(&text, SUMMARY_BYTES);
    buf_init(&line, TROUBLE_WORDS_BYTES);
    report_summary(r, &end, &text);
    report_failed_line(r, &end, &line);
    if (m->args.summary) print(&text);
    if (!m->args.summary && m->args.failed_line) print(&line);
    m->metrics->end.summary = buf_take(&text, NULL);
    if (m->args.report.path) write_report(m, now);
    buf_free(&line);
    free(ending);
}

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    monitor_t *m = self;
    (void)socket;
    if (in->message.type == MESSAGE_STATS) on_stats(m, &in->message.STATS, now);
    if (in->message.type == MESSAGE_SUMMARY) on_summary(m, &in->message.SUMMARY, now);
    if (in->message.type == MESSAGE_ENDPOINT_REPORT)
        metrics_take_endpoints(m->metrics, &in->message.ENDPOINT_REPORT, now);
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

static bool has_charts(const monitor_t *m) { return m->http || m->args.report.path; }

static bool is_detailed(const monitor_t *m) { return has_charts(m) || m->args.memory_threshold_bytes; }

/* A run that has ended stays on its pages for as long as it was asked to, or until they have seen it. */
static bool has_lingered(const monitor_t *m, uint64_t now) {
    if (!m->http || !m->metrics->end.ended || now >= m->linger_until_ns) return true;
    return m->args.linger_ms == LINGER_UNTIL_SEEN && !monitor_http_is_watched(m->http, now);
}

static uint64_t after(void *self, uint64_t now) {
    monitor_t *m = self;
    metrics_refresh(m->metrics, now);
    draw(m, now);
    say_troubles(m, now);
    if (is_detailed(m)) sample_memory(m, now);
    if (has_charts(m) && now - m->metrics->ticked_ns >= SECOND && !m->metrics->end.ended)
        metrics_tick(m->metrics, now);
    if (m->http) monitor_http_run(m->http); /* also closes idle connections */
    if (!m->linger_until_ns) return REDRAW_NS;
    if (has_lingered(m, now)) actor_finish(&m->actor, 0);
    return LINGER_LOOK_NS;
}

/* What arrived before the end is still shown: the client sends SUMMARY right before its own end. */
static void show_the_rest(monitor_t *m) {
    link_frame_t in;
    while (link_recv(m->pull, &in, NULL) == LINK_MESSAGE) {
        on_message(m, m->pull, &in, clock_now_ns());
        link_frame_free(&in);
    }
    log_set_status_line(NULL);
}

/* "LINGER": the run is over. */
static void on_command(void *self, const char *command, uint64_t now) {
    monitor_t *m = self;
    if (!streq(command, "LINGER")) return;
    uint64_t ms = m->args.linger_ms == LINGER_UNTIL_SEEN ? LINGER_SEEN_MS : m->args.linger_ms;
    show_the_rest(m);
    m->linger_until_ns = now + ms * MILLISECOND;
    if (m->args.summary && m->args.linger_ms != LINGER_UNTIL_SEEN && ms > 0)
        log_info("monitor", "the dashboard stays for %" PRIu64 " s (Ctrl-C ends it)", ms / 1000);
}

static void on_fd(void *self, int fd, uint64_t now) {
    (void)self, (void)fd, (void)now; /* `after` runs the server */
}

static const actor_ops_t ops = {on_message, on_fd, on_command, after};

static void start_http(monitor_t *m) {
    if (m->args.listen_fd < 0) return;
    m->http = monitor_http_new(m->args.listen_fd, m->metrics);
    if (m->http)
        actor_add_fd(&m->actor, monitor_http_fd(m->http));
    else
        log_error("monitor", "the web server of --metrics-listen cannot be started");
}

/* Runs until $TERM or the end of its lingering, then shows what has already arrived. */
void monitor_actor(zsock_t *pipe, void *args) {
    monitor_t *m = xcalloc(1, sizeof *m);
    err_t err;
    m->args = *(monitor_args_t *)args;
    m->started_ns = clock_now_ns();
    m->metrics = metrics_new(m->args.mode, m->args.listen_fd >= 0 || m->args.report.path, m->started_ns,
                             clock_unix_ms());
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
