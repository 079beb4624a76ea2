/* fuzz_endpoint - any addresses, a key, a header and a text, a line each: URLs of pages are made of any
 * address; the number of an endpoint depends neither on the order nor on the spelling of its addresses; no
 * password and no key is shown; what cannot be sent is refused in words. */
#include "tests/fuzz/input.h"

#include "core/base/host_port.h"
#include "core/base/limits.h"
#include "core/http/http.h"
#include "core/llm/endpoint.h"
#include "core/llm/limits.h"

static void check_pages(http_t *http, const char *base) {
    for (int page = 0; page < ENDPOINT_PAGES; page++) {
        err_t err = {0};
        char *url = endpoint_url(base, page);
        http_target_t *target = http_target_new(http, url, page % 2, &err);
        CHECK(target || err.text[0], "%s", url);
        if (target) http_target_free(http, target);
        free(url);
    }
}

/* The addresses in their usual spelling are what they are made of again. */
static void check_identity(const char *one, const char *other, const char *key) {
    const char *urls[] = {one, other}, *turned[] = {other, one};
    char *lines = endpoint_addresses(urls, 2), *again = endpoint_addresses(turned, 2);
    CHECK(strcmp(lines, again) == 0, "%s\n%s", lines, again);
    free(again);
    uint64_t id = endpoint_id(urls, 2, key, "m");
    CHECK(id != 0 && id == endpoint_id(turned, 2, key, "m"), "another order");
    CHECK(id != endpoint_id(urls, 2, key, "m2"), "another model");
    char *first = endpoint_addresses(&one, 1), *end = strchr(first, '\n');
    if (end && !end[1] &&
        !strstr(one, "/chat/completions")) { /* its base may have no path, which means another */
        *end = '\0';
        const char *spelled = first;
        char *twice = endpoint_addresses(&spelled, 1);
        *end = '\n';
        CHECK(strcmp(first, twice) == 0, "%s is spelled %s", first, twice);
        free(twice);
    }
    free(first);
    free(lines);
}

/* An address with a password and a secret of its query. */
static void check_shown(const char *host) {
    buf_t url, shown;
    if (strpbrk(host, "@/?#")) return;
    buf_init(&url, MESSAGE_BYTES_MAX);
    buf_init(&shown, MESSAGE_BYTES_MAX);
    buf_addf(&url, "https://user:hunter2@%s/v1?api_key=hunter3&x=1#hunter4", host);
    endpoint_url_shown(url.data, &shown);
    if (!strstr(host, "hunter")) CHECK(!strstr(shown.data, "hunter"), "%s", shown.data);
    buf_free(&url);
    buf_free(&shown);
}

static void check_key(const char *key, const char *text) {
    size_t len = strlen(text) + strlen(key) + 1;
    char *said = malloc(len), *known = endpoint_key(key);
    snprintf(said, len, "%s%s", text, key);
    endpoint_key_hide(said, known);
    CHECK(strlen(said) < len, "longer");
    if (strlen(known) >= ENDPOINT_KEY_BYTES_MIN && !strchr(known, '*'))
        CHECK(!strstr(said, known), "%s", said);
    free(said);
    free(known);
}

static void check_headers(const char *key, const char *line) {
    endpoint_headers_t lines;
    http_headers_t *headers;
    err_t err = {0};
    int rc = endpoint_headers_make(key, &line, 1, true, &lines, &err);
    CHECK(rc == SDG_OK || err.text[0], "refused without a word");
    if (rc == SDG_OK) {
        CHECK(lines.count >= 1 && lines.count <= 3, "%zu headers", lines.count);
        rc = http_headers_new(NULL, (const char *const *)lines.lines, lines.count, &headers, &err);
        CHECK((rc == SDG_OK) == (headers != NULL) && (headers || err.text[0]), "%d", rc);
        CHECK(!headers || !strpbrk(line, "\r\n"), "a header of two lines");
        http_headers_free(headers);
    }
    endpoint_headers_free(&lines);
}

static void check_host_port(const char *text) {
    char host[HOST_BYTES_MAX];
    const char *port;
    if (!host_port_split(text, host, sizeof host, &port)) return;
    CHECK(host[0] && atol(port) <= 65535 && strlen(port) <= 5, "%s", text);
    CHECK(port > text && port[-1] == ':' &&
              strncmp(text + (text[0] == '[' && host[0] != '['), host, strlen(host)) == 0,
          "%s is not of %s", host, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static http_t *http;
    fuzz_input_t in = {bytes, size};
    char *one = fuzz_line(&in, NULL), *other = fuzz_line(&in, NULL), *key = fuzz_line(&in, NULL);
    char *line = fuzz_line(&in, NULL), *text = fuzz_line(&in, NULL);
    err_t err;
    if (!http) http = http_new(&(http_options_t){0}, &err);
    check_pages(http, one);
    check_identity(one, other, key);
    check_shown(one);
    check_key(key, text);
    check_headers(key, line);
    check_host_port(other);
    free(one), free(other), free(key), free(line), free(text);
    return 0;
}
