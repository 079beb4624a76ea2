/* endpoint.c - see endpoint.h. */
#include "core/llm/endpoint.h"

#include <sodium/crypto_hash_sha256.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/limits.h"
#include "core/llm/limits.h"

/* ---- addresses */

/* Length of a base URL without its "/v1" and the slashes at its end. */
static size_t root_length(const char *base) {
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return len >= 3 && memcmp(base + len - 3, "/v1", 3) == 0 ? len - 3 : len;
}

char *endpoint_url(const char *base_url, endpoint_page_t page) {
    static const char *const tails[ENDPOINT_PAGES] = {"/v1/chat/completions", "/v1/models", "/metrics",
                                                      "/v1/loads"};
    assert(page < ENDPOINT_PAGES);
    if (!base_url || base_url[0] == '\0') base_url = ENDPOINT_URL_DEFAULT;
    return xasprintf("%.*s%s", (int)root_length(base_url), base_url, tails[page]);
}

/* Where the authority of a URL begins and how long it is; without "://" the URL begins with it. */
static const char *authority_of(const char *url, size_t *len) {
    const char *at = strstr(url, "://");
    at = at ? at + 3 : url;
    *len = strcspn(at, "/?#");
    return at;
}

void endpoint_url_shown(const char *url, buf_t *out) {
    size_t len;
    const char *at = authority_of(url, &len);
    buf_add(out, url, (size_t)(at - url));
    const char *user = memrchr(at, '@', len);
    if (user) {
        len -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    buf_add(out, at, len + strcspn(at + len, "?#"));
}

/* Adds the text in small letters, but leaves names of variables as they are: ${ENV.HOST}. */
static void small_letters_add(buf_t *out, const char *text, size_t len) {
    bool variable = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '$' && i + 1 < len && text[i + 1] == '{') variable = true;
        if (text[i] == '}') variable = false;
        bool capital = !variable && text[i] >= 'A' && text[i] <= 'Z';
        buf_addc(out, capital ? (char)(text[i] + ('a' - 'A')) : text[i]);
    }
}

static bool ends_in(const char *text, size_t len, const char *end) {
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

/* Scheme and host in small letters, without a default port; the rest as it is; then "/v1". The caller
 * frees. */
static char *usual_spelling(const char *base) {
    if (!base || base[0] == '\0') base = ENDPOINT_URL_DEFAULT;
    size_t len;
    const char *host = authority_of(base, &len), *end = host + len, *path_end = base + root_length(base);
    size_t scheme = (size_t)(host - base);
    bool http = scheme == 7 && strncasecmp(base, "http://", 7) == 0;
    bool https = scheme == 8 && strncasecmp(base, "https://", 8) == 0;
    const char *user = memrchr(host, '@', len);
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    small_letters_add(&out, base, scheme);
    if (user) {
        buf_add(&out, host, (size_t)(user + 1 - host));
        host = user + 1;
    }
    len = (size_t)(end - host);
    if (http && ends_in(host, len, ":80")) len -= 3;
    if (https && ends_in(host, len, ":443")) len -= 4;
    small_letters_add(&out, host, len);
    if (path_end > end) buf_add(&out, end, (size_t)(path_end - end));
    buf_adds(&out, "/v1");
    return buf_take(&out, NULL);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No address at all means the usual one. */
char *endpoint_addresses(const char *const *base_urls, size_t url_count) {
    static const char *const usual[] = {ENDPOINT_URL_DEFAULT};
    if (url_count == 0) {
        base_urls = usual;
        url_count = 1;
    }
    char **lines = xcalloc(url_count, sizeof *lines);
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    for (size_t i = 0; i < url_count; i++)
        lines[i] = usual_spelling(base_urls[i]);
    qsort(lines, url_count, sizeof *lines, compare_texts);
    for (size_t i = 0; i < url_count; i++) {
        buf_adds(&out, lines[i]);
        buf_addc(&out, '\n');
        free(lines[i]);
    }
    free(lines);
    return buf_take(&out, NULL);
}

/* ---- headers */

static bool same_name(const char *a, const char *b) {
    size_t len = strcspn(a, ":");
    return len == strcspn(b, ":") && strncasecmp(a, b, len) == 0;
}

/* Adds a header of ours, unless one of the user's `lines` has its name. */
static void own_header_add(endpoint_headers_t *headers, char *take, const char *const *lines,
                           size_t line_count) {
    bool replaced = false;
    for (size_t i = 0; i < line_count && !replaced; i++)
        replaced = same_name(take, lines[i]);
    if (replaced)
        free(take);
    else
        headers->lines[headers->count++] = take;
}

int endpoint_headers_make(const char *api_key, const char *const *lines, size_t line_count, bool body,
                          endpoint_headers_t *out, err_t *err) {
    bool keyed = api_key && api_key[0] != '\0';
    *out = (endpoint_headers_t){0};
    if (keyed && strpbrk(api_key, "\r\n"))
        return err_set(err, SDG_EINVAL, "the API key has a line break in it");
    out->lines = xcalloc(line_count + 2, sizeof *out->lines);
    if (body) own_header_add(out, xstrdup("Content-Type: application/json"), lines, line_count);
    if (keyed) own_header_add(out, xasprintf("Authorization: Bearer %s", api_key), lines, line_count);
    for (size_t i = 0; i < line_count; i++)
        out->lines[out->count++] = xstrdup(lines[i]);
    return SDG_OK;
}

void endpoint_headers_free(endpoint_headers_t *headers) {
    for (size_t i = 0; i < headers->count; i++)
        free(headers->lines[i]);
    free(headers->lines);
    *headers = (endpoint_headers_t){0};
}

/* ---- the key */

static const char HIDDEN[] = "***";

/* Writes HIDDEN over `len` bytes of the text, at least as many as it has; returns what follows. */
static char *blot(char *at, size_t len) {
    size_t hidden = sizeof HIDDEN - 1;
    memcpy(at, HIDDEN, hidden);
    memmove(at + hidden, at + len, strlen(at + len) + 1);
    return at + hidden;
}

void endpoint_key_hide(char *text, const char *key) {
    size_t len = key ? strlen(key) : 0;
    if (len < ENDPOINT_KEY_BYTES_MIN) return;
    for (char *at = text; (at = strstr(at, key));)
        at = blot(at, len);
    size_t left = strlen(text);
    for (size_t part = len - 1; part >= ENDPOINT_KEY_BYTES_MIN; part--) {
        if (part > left || memcmp(text + left - part, key, part) != 0) continue;
        blot(text + left - part, part);
        return;
    }
}

/* ---- identity */

/* Adds a part with its length before it, so that no two lists of parts are the same bytes. */
static void part_add(buf_t *out, const char *text) {
    buf_addf(out, "%zu:", strlen(text));
    buf_adds(out, text);
}

/* The number is the first 8 bytes of the digest; 0 stands for "no endpoint" elsewhere and becomes 1. This
 * function of libsodium needs no sodium_init. */
uint64_t endpoint_id(const char *const *base_urls, size_t url_count, const char *api_key,
                     const char *model_group) {
    uint8_t digest[crypto_hash_sha256_BYTES];
    uint64_t id = 0;
    char *addresses = endpoint_addresses(base_urls, url_count);
    buf_t parts;
    buf_init(&parts, VALUE_STRING_MAX);
    buf_adds(&parts, "sdg endpoint 1;");
    part_add(&parts, addresses);
    part_add(&parts, api_key ? api_key : "");
    part_add(&parts, model_group ? model_group : "");
    crypto_hash_sha256(digest, (const uint8_t *)parts.data, parts.len);
    for (size_t i = 0; i < sizeof id; i++)
        id = id << 8 | digest[i];
    buf_free(&parts);
    free(addresses);
    return id > 0 ? id : 1;
}
