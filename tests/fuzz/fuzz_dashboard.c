/* fuzz_dashboard - any requests to the monitor's web server, one a line: "METHOD PATH HOST NUMBER". A host
 * that is taken for this machine is one of its names or numbers; who asks has one place, and a page that has
 * just asked is waited for. */
#include "tests/fuzz/input.h"

#include <strings.h>

#include "actors/monitor/readers.h"
#include "actors/monitor/request.h"
#include "core/base/clock.h"

/* Is there a byte that no name or number of this machine has? */
static bool is_strange(const char *host) {
    size_t len = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    for (size_t i = 0; i < len; i++)
        if (!strchr("localhostLOCALHOST[]:.0123456789", host[i])) return true;
    return false;
}

static void check_request(const char *method, const char *path, const char *host, bool local_only) {
    request_verdict_t v = request_judge(method, path, host, local_only);
    CHECK(v.status == 200 || (v.why && v.why[0]), "%u without a word", v.status);
    CHECK(v.status != 200 || (int)v.page < PAGES, "page %d", (int)v.page);
    CHECK(v.status != 200 || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0, "%s", method);
    CHECK(!local_only || !host || request_host_is_local(host) == (v.status != 403), "%s", host);
    CHECK(!host || !request_host_is_local(host) || !is_strange(host), "%s", host);
}

/* No two places have the same number. */
static void check_places(const readers_t *readers) {
    for (size_t i = 0; i < METRICS_PAGES_MAX; i++)
        for (size_t j = i + 1; j < METRICS_PAGES_MAX; j++)
            CHECK(!readers->pages[i].page || readers->pages[i].page != readers->pages[j].page,
                  "page %llu twice", (unsigned long long)readers->pages[i].page);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    readers_t readers = {0};
    uint64_t now = SECOND;
    while (fuzz_more(&in)) {
        char *line = fuzz_line(&in, NULL), *rest = line;
        const char *word[4] = {"", "", NULL, NULL};
        for (int i = 0; i < 4 && rest; i++)
            word[i] = strsep(&rest, " ");
        check_request(word[0], word[1], word[2], strlen(line) % 2);
        now += strlen(word[0]) * SECOND / 4;
        uint64_t number = request_page_number(word[3]);
        reader_page_t *place = readers_take(&readers, number, now);
        CHECK((place != NULL) == (number != 0), "%llu", (unsigned long long)number);
        if (place) {
            CHECK(place->page == number && place->asked_ns == now, "%llu", (unsigned long long)place->page);
            CHECK(place->told_end || readers_are_open(&readers, now), "it is not waited for");
            place->told_end = place->told_end || strcmp(word[1], "told") == 0;
        }
        check_places(&readers);
        free(line);
    }
    return 0;
}
