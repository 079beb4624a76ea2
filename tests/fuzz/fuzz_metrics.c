/* fuzz_metrics - any messages to the monitor (a length and a frame, again and again, with time between them):
 * what it shows stays JSON, Prometheus text of finite numbers, and lines of text that fit; and
 * no text closes a script of the page that --report writes. */
#include "tests/fuzz/input.h"

#include "actors/loop/limits.h"
#include "actors/monitor/limits.h"
#include "actors/monitor/metrics.h"
#include "actors/monitor/report_page.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "proto/message.h"

static void take(metrics_t *m, const message_t *msg, uint64_t now) {
    if (m->end.ended && msg->type != MESSAGE_EVICTED) return; /* as the monitor does */
    switch (msg->type) {
    case MESSAGE_STATS:
        if (msg->STATS.role == ROLE_STORE)
            metrics_take_store(m, &msg->STATS.values);
        else if (msg->STATS.role == ROLE_SCHEDULER)
            metrics_take_gauges(m, &msg->STATS.values);
        else
            metrics_take_totals(m, &msg->STATS);
        break;
    case MESSAGE_EVICTED: metrics_take_evicted(m, &msg->EVICTED); break;
    case MESSAGE_ENDPOINT_REPORT: metrics_take_endpoints(m, &msg->ENDPOINT_REPORT, now); break;
    case MESSAGE_SUMMARY: metrics_take_end(m, &msg->SUMMARY, now); break;
    default: break;
    }
}

static void check_json(buf_t *page) {
    value_t v;
    err_t err;
    CHECK(!page->full && json_parse_text(page->data, page->len, &v, &err) == SDG_OK, "%.2000s", page->data);
    value_free(v);
    buf_reset(page);
}

static void check_pages(metrics_t *m, uint64_t now) {
    buf_t page;
    buf_init(&page, METRICS_PAGE_BYTES_MAX);
    metrics_json(m, now, &page);
    check_json(&page);
    metrics_series_json(m, true, &page);
    check_json(&page);
    metrics_prometheus(m, &page);
    CHECK(!page.full && page.len && page.data[page.len - 1] == '\n', "%zu bytes", page.len);
    CHECK(utf8_valid(page.data, page.len), "not UTF-8");
    buf_free(&page);
}

static void check_lines(metrics_t *m, uint64_t columns) {
    buf_t line;
    buf_init(&line, PROGRESS_LINE_BYTES);
    report_progress(&m->now, columns, &line);
    CHECK(!line.full, "%zu bytes", line.len);
    for (size_t i = 0; i < line.len; i++)
        CHECK((unsigned char)line.data[i] >= ' ', "%s", line.data);
    buf_reset(&line);
    metrics_memory_words(m, &line);
    buf_free(&line);
}

static size_t count_of(const buf_t *page, const char *words) {
    size_t n = 0;
    for (const char *at = page->data; (at = strcasestr(at, words)); at++)
        n++;
    return n;
}

/* What others have said closes no script of the page and opens none. */
static void check_report_page(const metrics_t *m, const char *text, uint64_t now) {
    static size_t scripts, comments;
    static const report_page_t plain = {.path = "x", .command = "sdg", .pipeline = ""};
    report_page_t report = {.path = "x", .command = text, .pipeline = text};
    buf_t page;
    buf_init(&page, REPORT_PAGE_BYTES_MAX);
    if (!scripts) {
        report_page_make(&plain, m, now, &page);
        scripts = count_of(&page, "<script") + count_of(&page, "</script");
        comments = count_of(&page, "<!--");
        buf_reset(&page);
    }
    report_page_make(&report, m, now, &page);
    CHECK(!page.full && page.len, "%zu bytes", page.len);
    CHECK(count_of(&page, "<script") + count_of(&page, "</script") == scripts, "another script");
    CHECK(count_of(&page, "<!--") == comments, "a comment");
    buf_free(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    uint64_t now = SECOND, columns = 20 + fuzz_byte(&in);
    char *text = columns % 8 == 0 ? fuzz_line(&in, NULL) : NULL;
    metrics_t *m = metrics_new("run", true, 0, INT64_C(1700000000000));
    while (fuzz_more(&in)) {
        message_t msg;
        size_t len = fuzz_number(&in, 2);
        if (len > in.left) len = in.left;
        char *frame = fuzz_bytes(&in, len);
        now += fuzz_byte(&in) * (SECOND / 16);
        if (message_decode(frame, len, &msg, NULL) == SDG_OK) {
            take(m, &msg, now);
            message_free(&msg);
        }
        free(frame);
        metrics_tick(m, now);
        metrics_refresh(m, now);
        check_lines(m, columns);
    }
    check_pages(m, now);
    if (text) check_report_page(m, text, now);
    free(text);
    metrics_destroy(&m);
    return 0;
}
