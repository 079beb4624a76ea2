/* endpoint.c - see endpoint.h. */
#include "core/llm/endpoint.h"

#include <sodium/crypto_hash_sha256.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/limits.h"
#include "core/base/secrets.h"
#include "core/base/text.h"
#include "core/llm/limits.h"

/* ---- addresses */

/* A base URL taken apart, as URLs are (RFC 3986, appendix B): the first of "/?#" ends the authority. The
 * fragment is left out. By hand, because an address may have variables in it that no parser takes:
 * ${ENV.HOST}. */
typedef struct address {
    const char *scheme; /* with its "://"; empty when there is none */
    size_t scheme_len;
    const char *authority; /* user:password@host:port */
    size_t authority_len;
    const char
        *path; /* up to the API's version or the like: without "/chat/completions" and slashes at its end */
    size_t path_len;
    const char *query; /* with its "?" */
    size_t query_len;
    bool bare; /* it has no path: "/v1" belongs to it */
} address_t;

static bool ends_in(const char *text, size_t len, const char *end) {
    size_t n = strlen(end);
    return len >= n && memcmp(text + len - n, end, n) == 0;
}

static size_t without_slashes(const char *path, size_t len) {
    while (len > 0 && path[len - 1] == '/')
        len--;
    return len;
}

static address_t address_take_apart(const char *base) {
    static const char page[] = "/chat/completions";
    if (!base || base[0] == '\0') base = ENDPOINT_URL_DEFAULT;
    address_t a = {.scheme = base};
    size_t first = strcspn(base, "/?#");
    if (first > 0 && base[first - 1] == ':' && strncmp(base + first, "//", 2) == 0) a.scheme_len = first + 2;
    if (first == 0 && strncmp(base, "//", 2) == 0) a.scheme_len = 2;
    a.authority = base + a.scheme_len;
    a.authority_len = strcspn(a.authority, "/?#");
    a.path = a.authority + a.authority_len;
    a.query = a.path + strcspn(a.path, "?#");
    a.query_len = strcspn(a.query, "#");
    a.path_len = without_slashes(a.path, (size_t)(a.query - a.path));
    a.bare = a.path_len == 0;
    if (ends_in(a.path, a.path_len, page))
        a.path_len = without_slashes(a.path, a.path_len - (sizeof page - 1));
    return a;
}

char *endpoint_url(const char *base_url, endpoint_page_t page) {
    static const char *const tails[ENDPOINT_PAGES] = {"/chat/completions", "/models", "/metrics",
                                                      "/v1/loads"};
    assert(page < ENDPOINT_PAGES);
    address_t a = address_take_apart(base_url);
    bool beside = page == ENDPOINT_METRICS || page == ENDPOINT_LOADS; /* not below the version */
    if (beside && ends_in(a.path, a.path_len, "/v1")) a.path_len -= 3;
    return xasprintf("%.*s%.*s%.*s%s%s%.*s", (int)a.scheme_len, a.scheme, (int)a.authority_len, a.authority,
                     (int)a.path_len, a.path, a.bare && !beside ? "/v1" : "", tails[page], (int)a.query_len,
                     a.query);
}

/* ---- addresses for people */

/* Does the name of a query parameter say that its value is a secret? */
static bool is_secret(const char *name, size_t len) {
    static const char *const words[] = {"key", "token", "secret", "sig", "pass", "auth", "cred", "code"};
    char text[64];
    size_t n = len < sizeof text - 1 ? len : sizeof text - 1;
    memcpy(text, name, n);
    text[n] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(text, words[i])) return true;
    return len > n; /* a name of this length is none that we know */
}

/* Adds the query, the values of secrets replaced. */
static void query_show(const char *query, size_t len, buf_t *out) {
    for (size_t at = 0; at < len;) {
        size_t whole = 1 + strcspn(query + at + 1, "&;");
        if (whole > len - at) whole = len - at;
        const char *equals = memchr(query + at, '=', whole);
        size_t name = equals ? (size_t)(equals - query) - at : whole;
        bool hidden = equals && is_secret(query + at + 1, name - 1);
        buf_add(out, query + at, hidden ? name + 1 : whole);
        if (hidden) buf_adds(out, "***");
        at += whole;
    }
}

void endpoint_url_shown(const char *url, buf_t *out) {
    if (url[0] == '\0') return;
    address_t a = address_take_apart(url);
    const char *user = memrchr(a.authority, '@', a.authority_len);
    const char *from = user ? user + 1 : a.authority;
    size_t start = out->len;
    buf_add(out, a.scheme, a.scheme_len);
    buf_add(out, from, (size_t)(a.query - from));
    query_show(a.query, a.query_len, out);
    if (out->len > start) secrets_hide(out->data + start, out->len - start); /* of an address that is wrong */
}

/* ---- addresses in their usual spelling */

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

/* Scheme and host in small letters, without a default port; the path of the API, the query as it is. The
 * caller frees. */
static char *usual_spelling(const char *base) {
    address_t a = address_take_apart(base);
    const char *host = a.authority, *user = memrchr(a.authority, '@', a.authority_len);
    size_t len = a.authority_len;
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    small_letters_add(&out, a.scheme, a.scheme_len);
    if (user) {
        buf_add(&out, host, (size_t)(user + 1 - host));
        len -= (size_t)(user + 1 - host);
        host = user + 1;
    }
    if (a.scheme_len == 7 && strncasecmp(a.scheme, "http://", 7) == 0 && ends_in(host, len, ":80")) len -= 3;
    if (a.scheme_len == 8 && strncasecmp(a.scheme, "https://", 8) == 0 && ends_in(host, len, ":443"))
        len -= 4;
    small_letters_add(&out, host, len);
    buf_add(&out, a.path, a.path_len);
    if (a.bare) buf_adds(&out, "/v1");
    buf_add(&out, a.query, a.query_len);
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

char *endpoint_key(const char *api_key) {
    size_t len = api_key ? strlen(api_key) : 0;
    if (api_key) text_trim(&api_key, &len);
    return xstrndup(api_key ? api_key : "", len);
}

bool endpoint_key_is_line(const char *key) { return !strpbrk(key, "\r\n"); }

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
    *out = (endpoint_headers_t){0};
    char *key = endpoint_key(api_key);
    if (!endpoint_key_is_line(key)) {
        free(key);
        return err_set(err, SDG_EINVAL, "the API key has a line break in it");
    }
    out->lines = xcalloc(line_count + 2, sizeof *out->lines);
    if (body) own_header_add(out, xstrdup("Content-Type: application/json"), lines, line_count);
    if (key[0]) own_header_add(out, xasprintf("Authorization: Bearer %s", key), lines, line_count);
    free(key);
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
