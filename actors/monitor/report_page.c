/* report_page.c - see report_page.h. dashboard.html has a place where the numbers go, and asks nobody when
 * they are there. */
#include "actors/monitor/report_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/monitor/limits.h"
#include "core/base/json.h"
#include "core/base/safe_open.h"
#include "dashboard_html.h"

static const char PLACE[] = "<!-- numbers of a report -->";

/* In a script element "</script>" would end it, whatever quotes stand around. In JSON a "<" is only found in
 * strings, where it may be written as an escape. */
static void add_for_script(buf_t *out, const char *json, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (json[i] == '<')
            buf_adds(out, "\\u003c");
        else
            buf_addc(out, json[i]);
    }
}

static void put_text(buf_t *json, const char *key, const char *text) {
    buf_addf(json, ", \"%s\": ", key);
    json_write_string(json, text ? text : "", text ? strlen(text) : 0);
}

static void write_numbers(const report_page_t *page, const metrics_t *metrics, uint64_t now, buf_t *json) {
    buf_adds(json, "{\"stats\": ");
    metrics_json(metrics, now, json);
    buf_adds(json, ", \"series\": ");
    metrics_series_json(metrics, true, json);
    put_text(json, "command", page->command);
    put_text(json, "pipeline", page->pipeline);
    buf_addc(json, '}');
}

void report_page_make(const report_page_t *page, const metrics_t *metrics, uint64_t now, buf_t *out) {
    const char *html = (const char *)DASHBOARD_HTML, *end = html + sizeof DASHBOARD_HTML;
    const char *place = memmem(html, sizeof DASHBOARD_HTML, PLACE, strlen(PLACE));
    buf_t json;
    assert(place);
    buf_init(&json, REPORT_PAGE_BYTES_MAX);
    write_numbers(page, metrics, now, &json);
    buf_add(out, html, (size_t)(place - html));
    buf_adds(out, "<script type=\"application/json\" id=\"report\">");
    add_for_script(out, json.data, json.len);
    buf_adds(out, "</script>");
    place += strlen(PLACE);
    buf_add(out, place, (size_t)(end - place));
    buf_free(&json);
}

static int put_file(const char *path, const buf_t *bytes, err_t *err) {
    char *beside = xasprintf("%s.new", path);
    int fd = safe_open_fresh(beside, O_WRONLY, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool fine = file && fwrite(bytes->data, 1, bytes->len, file) == bytes->len;
    if (file && fclose(file) != 0) fine = false;
    if (fine && rename(beside, path) != 0) fine = false;
    int rc = fine ? SDG_OK : err_set(err, SDG_EIO, "cannot write %s: %s", path, strerror(errno));
    if (!fine && file) unlink(beside);
    free(beside);
    return rc;
}

int report_page_write(const report_page_t *page, const metrics_t *metrics, uint64_t now, err_t *err) {
    buf_t out;
    buf_init(&out, 2 * REPORT_PAGE_BYTES_MAX);
    report_page_make(page, metrics, now, &out);
    int rc = put_file(page->path, &out, err);
    buf_free(&out);
    return rc;
}
