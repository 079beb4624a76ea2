/* top.c - see top.h. It asks the server that --metrics-listen started, by HTTP, so it looks at a local run
 * and at a server in the same way. */
#include "actors/verbs/top.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/exit_codes.h"
#include "actors/loop/limits.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/base/secrets.h"
#include "core/base/words.h"

enum {
    FETCH_TIMEOUT_MS = 5000,
    REDRAW_US = 800000, /* less than a second: what is said after 5 s is seen before the sixth */
};

/* ---- the numbers as text */

static value_t child(value_t object, const char *key) {
    return object.kind == VALUE_OBJECT ? object_get_peek(object, key, strlen(key), NULL) : value_null();
}

static bool is_number(value_t v) { return v.kind == VALUE_INT || v.kind == VALUE_REAL; }
static double real_of(value_t v) {
    return v.kind == VALUE_INT ? (double)v.integer : v.kind == VALUE_REAL ? v.real : 0;
}
/* A server may say any number: none is shown as less than 0 or as more than 10^18. */
static uint64_t whole(double n) {
    return n >= 1e18 ? UINT64_C(1000000000000000000) : n > 0 ? (uint64_t)n : 0;
}
static uint64_t count_of(value_t v) { return whole(real_of(v)); }

static void add_count(buf_t *out, value_t v) {
    if (is_number(v))
        words_count(out, count_of(v));
    else
        buf_addc(out, '-');
}

/* The count that `object` has under this key, and the words behind it. */
static void say_count(buf_t *out, value_t object, const char *key, const char *words) {
    add_count(out, child(object, key));
    buf_adds(out, words);
}

static void say_plural(buf_t *out, value_t object, const char *key, const char *one, const char *many) {
    say_count(out, object, key, words_choose(count_of(child(object, key)), one, many));
}

static void add_rate(buf_t *out, value_t v) { buf_addf(out, real_of(v) < 100 ? "%.1f" : "%.0f", real_of(v)); }

static void add_ms(buf_t *out, value_t v) {
    if (is_number(v))
        words_duration(out, whole(real_of(v) * 1e6));
    else
        buf_addc(out, '-');
}

/* Texts come from a server: only printable characters reach the terminal. */
static void add_text(buf_t *out, const char *text) { words_fit(out, text, strlen(text), UINT64_MAX); }

static void label(buf_t *out, const char *text) { buf_addf(out, "  %-10s", text); }

static void head_line(value_t s, buf_t *out) {
    value_t mode = child(s, "mode"), state = child(s, "state");
    buf_adds(out, "SDG Nexus  ");
    if (mode.kind == VALUE_STRING) add_text(out, mode.string->data);
    buf_adds(out, "  ");
    if (state.kind == VALUE_STRING) add_text(out, state.string->data);
    buf_adds(out, "  up ");
    words_duration(out, whole(real_of(child(s, "uptime_s")) * 1e9));
    buf_addc(out, '\n');
}

enum { BAR_WIDTH = 40 };
/* Rows, and a bar when the number of rows is known. */
static void progress_lines(value_t s, buf_t *out) {
    value_t total = child(s, "total"), percent = child(s, "progress_percent"), eta = child(s, "eta_s");
    label(out, "rows");
    words_count(out, count_of(child(s, "completed")) + count_of(child(s, "resumed")));
    if (is_number(total)) {
        value_t estimate = child(s, "total_is_estimate");
        buf_adds(out, estimate.kind == VALUE_BOOL && estimate.boolean ? " of about " : " of ");
        add_count(out, total);
    }
    buf_adds(out, ", ");
    say_count(out, s, "failed", " failed, ");
    say_count(out, s, "pending", " pending, ");
    add_rate(out, child(s, "rows_per_s"));
    buf_adds(out, " rows/s\n");
    if (!is_number(percent)) return;
    label(out, "progress");
    for (int i = 0; i < BAR_WIDTH; i++) {
        buf_addc(out, i * 100 < real_of(percent) * BAR_WIDTH ? '#' : '.');
    }
    buf_addf(out, " %.1f %%", real_of(percent));
    if (is_number(eta)) {
        buf_adds(out, ", ");
        words_duration(out, whole(real_of(eta) * 1e9));
        buf_adds(out, " left");
    }
    buf_addc(out, '\n');
}

static bool is_text(value_t v) { return v.kind == VALUE_STRING && v.string->len > 0; }

/* What is wrong at an endpoint, in the words of the progress line; else what went wrong there last. */
static void endpoint_line(value_t endpoint, buf_t *out) {
    value_t trouble = child(endpoint, "trouble"), last = child(endpoint, "last_error");
    value_t address = child(endpoint, "address");
    label(out, "endpoint");
    if (is_text(address)) add_text(out, address.string->data);
    buf_adds(out, ": ");
    if (is_text(trouble)) {
        add_text(out, trouble.string->data);
        buf_adds(out, "; ");
    }
    say_count(out, endpoint, "in_flight", " in flight, ");
    say_count(out, endpoint, "waiting", " waiting, ");
    say_plural(out, endpoint, "requests", " request, ", " requests, ");
    say_count(out, endpoint, "answered", " answered");
    if (is_text(last) && !is_text(trouble)) {
        buf_adds(out, "; last error ");
        words_wait(out, whole(real_of(child(endpoint, "last_error_s")) * 1e3));
        buf_adds(out, " ago: ");
        add_text(out, last.string->data);
    }
    buf_addc(out, '\n');
}

/* Those with a trouble come first, and of the others only as many as there is room for. */
static void endpoint_lines(value_t s, buf_t *out) {
    value_t list = child(s, "endpoints");
    size_t count = list.kind == VALUE_LIST ? list_count(list) : 0, shown = 0;
    for (int troubled = 1; troubled >= 0; troubled--) {
        for (size_t i = 0; i < count && shown < TOP_ENDPOINTS_MAX; i++) {
            if (is_text(child(list_peek(list, i), "trouble")) != (bool)troubled) continue;
            endpoint_line(list_peek(list, i), out);
            shown++;
        }
    }
    if (shown == count) return;
    label(out, "");
    buf_addf(out, "and %zu more\n", count - shown);
}

/* Calls, tokens and latencies. */
static void call_lines(value_t s, buf_t *out) {
    value_t calls = child(s, "calls"), tokens = child(s, "tokens"), latency = child(s, "latency_ms");
    static const char *const points[] = {"p50", "p90", "p99", "max"};
    label(out, "calls");
    say_count(out, calls, "in_flight", " in flight of ");
    say_count(out, calls, "limit", ", ");
    say_count(out, calls, "waiting", " waiting, ");
    say_plural(out, calls, "requests", " request\n", " requests\n");
    label(out, "tokens");
    add_rate(out, child(tokens, "per_s"));
    buf_adds(out, " per second, ");
    say_count(out, tokens, "prompt", " in, ");
    say_count(out, tokens, "completion", " out\n");
    label(out, "latency");
    for (int i = 0; i < 4; i++) {
        buf_addf(out, "%s%s ", i ? ", " : "", points[i]);
        add_ms(out, child(latency, points[i]));
    }
    buf_adds(out, " (last 10 s)\n");
}

/* "12 rate_limit, 3 timeout" of an object of counts; nothing when all are 0. */
static void counts_line(const char *name, value_t counts, buf_t *out) {
    bool some = false;
    for (size_t i = 0; counts.kind == VALUE_OBJECT && i < object_count(counts); i++) {
        uint64_t n = count_of(object_value_peek(counts, i));
        if (n == 0) continue;
        if (!some) label(out, name);
        if (some) buf_adds(out, ", ");
        some = true;
        words_count(out, n);
        buf_addc(out, ' ');
        add_text(out, object_key_peek(counts, i)->data);
    }
    if (some) buf_addc(out, '\n');
}

/* What client, workers and store say they hold; nothing when none of them says anything. */
static void accounted_line(value_t memory, buf_t *out) {
    static const char *const parts[][2] = {
        {"client", "client "}, {"workers", ", workers "}, {"store", ", context store "}};
    value_t accounted = child(memory, "accounted"), limit = child(memory, "limit_bytes");
    if (count_of(child(accounted, "total")) == 0) return;
    label(out, "held");
    words_bytes(out, count_of(child(accounted, "total")));
    if (is_number(limit)) {
        buf_adds(out, " of at most ");
        words_bytes(out, count_of(limit));
    }
    buf_adds(out, ": ");
    for (int i = 0; i < 3; i++) {
        buf_adds(out, parts[i][1]);
        words_bytes(out, count_of(child(accounted, parts[i][0])));
    }
    buf_addc(out, '\n');
}

static void batch_line(value_t s, buf_t *out) {
    value_t batch = child(s, "batch"), percent = child(batch, "progress_percent");
    if (!is_number(child(batch, "pass"))) return;
    label(out, "batch");
    buf_adds(out, "pass ");
    say_count(out, batch, "pass", " of ");
    say_count(out, batch, "passes", ", ");
    say_plural(out, batch, "rows_parked", " row through it", " rows through it");
    if (is_number(percent)) buf_addf(out, " (%.1f %%)", real_of(percent));
    buf_addc(out, '\n');
}

/* The context store; nothing when there is none. */
static void cache_line(value_t s, buf_t *out) {
    value_t cache = child(s, "cache"), rate = child(cache, "hit_rate");
    if (!is_number(child(cache, "max_size")) && count_of(child(cache, "size")) == 0) return;
    label(out, "contexts");
    say_count(out, cache, "size", " in memory of ");
    say_count(out, cache, "max_size", ", ");
    say_count(out, cache, "spilled", " on disk; ");
    if (is_number(rate))
        buf_addf(out, "%.1f %% hits, ", 100 * real_of(rate));
    else
        buf_adds(out, "hits -, ");
    say_count(out, cache, "evictions", " evicted, ");
    say_count(out, cache, "pins", " pinned\n");
}

/* Memory of all processes, workers and jobs. */
static void memory_line(value_t s, buf_t *out) {
    value_t memory = child(s, "memory"), processes = child(memory, "processes"),
            workers = child(s, "workers");
    uint64_t pss = count_of(child(memory, "pss_bytes")), rss = count_of(child(memory, "rss_bytes"));
    label(out, "memory");
    words_bytes(out, rss);
    buf_adds(out, " RSS, ");
    words_bytes(out, pss);
    size_t process_count = processes.kind == VALUE_LIST ? list_count(processes) : 0;
    buf_addf(out, " PSS in %zu %s; pending rows ", process_count,
             words_choose(process_count, "process", "processes"));
    words_bytes(out, count_of(child(memory, "pending_bytes")));
    buf_adds(out, " of ");
    words_bytes(out, count_of(child(memory, "window_bytes")));
    buf_addc(out, '\n');
    accounted_line(memory, out);
    label(out, "workers");
    say_count(out, workers, "connected", " connected, ");
    say_count(out, workers, "lost", " lost; jobs ");
    add_count(out, child(s, "jobs"));
    buf_addc(out, '\n');
}

void top_render(value_t s, buf_t *out) {
    head_line(s, out);
    progress_lines(s, out);
    batch_line(s, out);
    call_lines(s, out);
    endpoint_lines(s, out);
    counts_line("retries", child(s, "retries"), out);
    counts_line("failed", child(s, "failures"), out);
    cache_line(s, out);
    memory_line(s, out);
}

/* ---- fetching */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *arg) {
    buf_t *body = arg;
    buf_add(body, bytes, size * count);
    return body->full ? 0 : size * count;
}

/* The number by which the server knows this process (monitor_http.h), as a header. */
static struct curl_slist *page_header(void) {
    char header[64];
    snprintf(header, sizeof header, "X-Sdg-Page: %" PRIu64, rng_entropy() | 1);
    return curl_slist_append(NULL, header);
}

/* GET url/stats.json; 0, or a negative code and the reason. *gone: nobody listens there. */
static int fetch(CURL *curl, const char *url, buf_t *body, bool *gone, err_t *err) {
    buf_t address;
    long status = 0;
    size_t len = strlen(url);
    buf_init(&address, 4096);
    buf_addf(&address, "%.*s/stats.json", (int)(len && url[len - 1] == '/' ? len - 1 : len), url);
    curl_easy_setopt(curl, CURLOPT_URL, address.data);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    buf_free(&address);
    *gone = rc == CURLE_COULDNT_CONNECT || rc == CURLE_RECV_ERROR || rc == CURLE_GOT_NOTHING;
    if (rc != CURLE_OK) {
        err_set(err, SDG_EIO, "no answer from %s: %s", url, curl_easy_strerror(rc));
        secrets_hide(err->text, strlen(err->text));
        return err->code;
    }
    return status == 200
               ? SDG_OK
               : err_set(err, SDG_EIO, "%s answered with HTTP %ld: is it the address of --metrics-listen?",
                         url, status);
}

/* One look at the server. */
typedef struct view {
    buf_t text; /* owned */
    bool gone;  /* nobody listens there */
    bool ended; /* the run has ended */
    bool fine;  /* without failed rows and without stopping early */
    uint64_t rows, failed;
} view_t;

static void read_end(value_t stats, view_t *v) {
    value_t ended = child(stats, "ended"), fine = child(ended, "fine");
    v->ended = ended.kind == VALUE_OBJECT;
    v->fine = fine.kind == VALUE_BOOL && fine.boolean;
    v->rows = count_of(child(stats, "completed")) + count_of(child(stats, "resumed"));
    v->failed = count_of(child(stats, "failed"));
}

/* Looks once; 0, or a negative code and why there is nothing to see. json: the object as it came. */
static int view_take(CURL *curl, const char *url, bool json, view_t *v, err_t *err) {
    buf_t body;
    value_t stats = value_null();
    buf_init(&body, METRICS_PAGE_BYTES_MAX);
    *v = (view_t){0};
    buf_init(&v->text, METRICS_PAGE_BYTES_MAX);
    int rc = fetch(curl, url, &body, &v->gone, err);
    if (rc == SDG_OK) rc = json_parse_text(body.data, body.len, &stats, err);
    if (rc == SDG_OK && json) buf_add(&v->text, body.data, body.len);
    if (rc == SDG_OK && !json) top_render(stats, &v->text);
    if (rc == SDG_OK) read_end(stats, v);
    value_free(stats);
    buf_free(&body);
    return rc;
}

int top_status(const char *url, bool json) {
    CURL *curl = curl_easy_init();
    view_t v;
    err_t err;
    int rc = view_take(curl, url, json, &v, &err);
    if (rc == SDG_OK)
        fwrite(v.text.data, 1, v.text.len, stdout);
    else
        fprintf(stderr, "sdg status: %s\n", err.text);
    buf_free(&v.text);
    curl_easy_cleanup(curl);
    return rc == SDG_OK ? EXIT_ALL_FINE : EXIT_RUNTIME;
}

/* ---- the verb */

/* The last line: the run that was watched is over. */
static void say_end(const char *url, const view_t *v, buf_t *out) {
    if (!v->ended) {
        buf_addf(out, "%s does not answer any more: what was watched there has ended\n", url);
        return;
    }
    buf_addf(out, "the run has ended%s: ", v->fine || v->failed ? "" : " early");
    words_plural(out, v->rows, "row", "rows");
    buf_adds(out, " finished, ");
    words_count(out, v->failed);
    buf_adds(out, " failed\n");
}

/* What a server that was seen before and now does not answer may be doing. */
typedef enum watch { WATCH_ON, WATCH_OVER, WATCH_ABSENT } watch_t;

/* On a terminal each view takes the place of the one before. `seen`: there was one. */
static watch_t show_once(CURL *curl, const char *url, bool seen) {
    view_t v;
    err_t err;
    bool ok = view_take(curl, url, false, &v, &err) == SDG_OK;
    watch_t watch = ok        ? v.ended ? WATCH_OVER : WATCH_ON
                    : !v.gone ? WATCH_ON
                    : seen    ? WATCH_OVER
                              : WATCH_ABSENT;
    if (!ok && watch == WATCH_ON) buf_addf(&v.text, "%s; trying again\n", err.text);
    if (watch == WATCH_ABSENT)
        fprintf(
            stderr,
            "sdg top: %s\nnothing runs there: start a run with --metrics-listen, or name its address with "
            "--connect\n",
            err.text);
    if (watch == WATCH_OVER) say_end(url, &v, &v.text);
    if (isatty(STDOUT_FILENO) && ok) fputs("\033[H\033[2J", stdout);
    fwrite(v.text.data, 1, v.text.len, stdout);
    fflush(stdout);
    buf_free(&v.text);
    return watch;
}

/* Ends with the run it watches. */
int top_main(void *options) {
    const top_options_t *o = options;
    watch_t watch = WATCH_ON;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = page_header();
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    for (uint64_t i = 0; i < o->count && watch == WATCH_ON; i++) {
        if (i) usleep(REDRAW_US);
        watch = show_once(curl, o->connect, i > 0);
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return watch == WATCH_ABSENT ? EXIT_RUNTIME : EXIT_ALL_FINE;
}
