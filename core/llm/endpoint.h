/* endpoint.h - a server address with a key and a model: where its pages are, which headers go there, how its
 * key is kept out of texts, and by which number it is known. Pure: core/http/engine.h sends the requests.
 *
 * An endpoint has one base URL or several (replicas of one server). Base URLs are as users write them. "/v1"
 * is added only to one without a path; slashes at the end do not matter; "/chat/completions" may be there; a
 * query
 * (?api-version=..) stays behind the path, a fragment (#..) is left out. NULL or "" means
 * ENDPOINT_URL_DEFAULT.
 */
#ifndef SDG_LLM_ENDPOINT_H
#define SDG_LLM_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"

#define ENDPOINT_URL_DEFAULT "https://api.openai.com/v1"

/* ---- addresses */

typedef enum endpoint_page {
    ENDPOINT_CHAT,    /* <base>/chat/completions */
    ENDPOINT_MODELS,  /* <base>/models: which models it serves */
    ENDPOINT_METRICS, /* /metrics, beside /v1: Prometheus text of vLLM and SGLang */
    ENDPOINT_LOADS,   /* /v1/loads: SGLang's load as JSON */
    ENDPOINT_PAGES
} endpoint_page_t;

/* The URL of a page; the caller frees. */
char *endpoint_url(const char *base_url, endpoint_page_t page);

/* Adds the URL as people may see it: without user, password and fragment, and without the values of query
 * parameters that are called key, token, secret, sig or the like (?api_key=***). */
void endpoint_url_shown(const char *url, buf_t *out);

/* The addresses in one text, one a line, sorted, each in its usual spelling: scheme and host in small
 * letters, no default port, the base of the API without a slash at its end, the query. The texts of two lists
 * are equal when they mean the same servers. ${...} in an address is left as it stands. The text may contain
 * a password. The caller frees. */
char *endpoint_addresses(const char *const *base_urls, size_t url_count);

/* ---- headers */

typedef struct endpoint_headers {
    char **lines; /* "Name: value"; owned */
    size_t count;
} endpoint_headers_t;

/* The key without white space around it (files with keys end in a newline); NULL is "". The caller frees. */
char *endpoint_key(const char *api_key);
/* False when the key has a line break in it: then it cannot be sent. */
bool endpoint_key_is_line(const char *key);

/* The headers of all requests: "Content-Type: application/json" when they have a body, "Authorization: Bearer
 * <api_key>" when there is a key (endpoint_key; NULL or "": none), then `lines`; a line of the same name
 * replaces one of ours. SDG_EINVAL when the key has a line break in it; lines are not judged
 * (http_headers_new does that). *out is freed with endpoint_headers_free, also after an error. */
int endpoint_headers_make(const char *api_key, const char *const *lines, size_t line_count, bool body,
                          endpoint_headers_t *out, err_t *err);
void endpoint_headers_free(endpoint_headers_t *headers);

/* ---- the key */

/* Writes "***" over each occurrence of the key in the text, and over the beginning of the key at the end of
 * the text, where the text may have been cut. Some servers repeat the key they refuse, and what they say ends
 * in output files and on screens. A key of less than ENDPOINT_KEY_BYTES_MIN bytes (or NULL) is no secret:
 * nothing changes. Keys in another spelling (percent-encoded, base64) are not found: no request of ours sends
 * them so. */
void endpoint_key_hide(char *text, const char *key);

/* ---- identity */

/* The number of an endpoint, never 0: the same for the same addresses (endpoint_addresses), key and model
 * group, in every process and on every machine. It is made by SHA-256, so that the key cannot be computed
 * from it; a key that can be guessed can be tried, as with every such number. Addresses and key are given as
 * the pipeline writes them, before ${ENV.NAME} is replaced, so the number does not depend on the variables.
 * `model_group` is api_model. NULL is "". */
uint64_t endpoint_id(const char *const *base_urls, size_t url_count, const char *api_key,
                     const char *model_group);

#endif
