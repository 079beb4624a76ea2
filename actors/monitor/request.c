/* request.c - see request.h. To add a page: its kind in request.h, its path in the table, what it shows in
 * monitor_http.c. */
#include "actors/monitor/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const paths[PAGES] = {
    [PAGE_DASHBOARD] = "/",         [PAGE_METRICS] = "/metrics", [PAGE_STATS] = "/stats.json",
    [PAGE_SERIES] = "/series.json", [PAGE_HEALTH] = "/healthz",  [PAGE_SERIES_WHOLE] = "/series-whole.json",
};

/* An address in numbers is four of them: 127.0.0.1.example.com would be somebody's name. */
static bool is_loopback_number(const char *host, size_t len) {
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

bool request_host_is_local(const char *host) {
    static const char *const names[] = {"localhost", "[::1]"};
    size_t len = strcspn(host, ":");
    if (host[0] == '[') len = strcspn(host, "]") + (strchr(host, ']') != NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0) return true;
    }
    return is_loopback_number(host, len);
}

uint64_t request_page_number(const char *text) { return text ? strtoull(text, NULL, 10) : 0; }

request_verdict_t request_judge(const char *method, const char *path, const char *host, bool local_only) {
    if (local_only && host && !request_host_is_local(host))
        return (request_verdict_t){.status = 403, .why = "this server answers for this machine only"};
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return (request_verdict_t){.status = 405, .why = "GET only"};
    for (int page = 0; page < PAGES; page++)
        if (strcmp(path, paths[page]) == 0) return (request_verdict_t){.status = 200, .page = page};
    return (request_verdict_t){
        .status = 404,
        .why = "there are /, /metrics, /stats.json, /series.json, /series-whole.json and /healthz"};
}
