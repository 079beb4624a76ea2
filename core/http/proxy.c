/* proxy.c - see proxy.h. */
#include "core/http/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/llm/endpoint.h"

/* The variables in the order in which curl reads them; it reads http_proxy in small letters only. */
static const char *const of_http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
static const char *const of_https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};

/* The first of the variables that is set; NULL: none is. */
static const char *variable_of(const char *const *names) {
    for (; *names; names++) {
        const char *value = getenv(*names);
        if (value && value[0] != '\0') return *names;
    }
    return NULL;
}

bool proxy_is_set(void) { return variable_of(of_http) || variable_of(of_https); }

/* Do curl's words name the host and the port of this proxy? A proxy without a port has 1080. */
static bool reason_names(const char *reason, const char *proxy) {
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL;
    char wanted[300];
    bool named = false;
    if (url &&
        curl_url_set(url, CURLUPART_URL, proxy, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        if (curl_url_get(url, CURLUPART_PORT, &port, 0) != CURLUE_OK) port = NULL;
        size_t len = strlen(host);
        bool bracketed = host[0] == '[';
        snprintf(wanted, sizeof wanted, "Failed to connect to %.*s port %s ", (int)(len - 2 * bracketed),
                 host + bracketed, port ? port : "1080");
        named = strncmp(reason, wanted, strlen(wanted)) == 0;
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return named;
}

bool proxy_reason(char *reason, size_t size, bool tls) {
    const char *name = variable_of(tls ? of_https : of_http);
    const char *what = NULL;
    if (!name) return false;
    const char *proxy = getenv(name);
    if (strncmp(reason, "Could not resolve proxy", 23) == 0)
        what = "has a name that nobody knows";
    else if (strstr(reason, "CONNECT tunnel failed") || strstr(reason, "HTTP code 407 from proxy"))
        what = "refuses the connection";
    else if (reason_names(reason, proxy))
        what = "does not answer";
    if (!what) return false;
    buf_t shown, words;
    buf_init(&shown, MESSAGE_BYTES_MAX);
    buf_init(&words, MESSAGE_BYTES_MAX);
    endpoint_url_shown(proxy, &shown);
    buf_addf(&words, "proxy %s %s (%s)", shown.data ? shown.data : "", what, name);
    snprintf(reason, size, "%s", words.data);
    buf_free(&shown);
    buf_free(&words);
    return true;
}
