/* test_endpoint.c - addresses, headers, keys and numbers of LLM servers (core/llm/endpoint). */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/llm/endpoint.h"
#include "core/llm/limits.h"

/* ---- addresses */

static void expect_url(const char *base, const char *wanted) {
    char *url = endpoint_url(base, ENDPOINT_CHAT);
    cr_expect_str_eq(url, wanted);
    free(url);
}

Test(endpoint, urls) {
    expect_url(NULL, "https://api.openai.com/v1/chat/completions");
    expect_url("", "https://api.openai.com/v1/chat/completions");
    expect_url("http://h:1", "http://h:1/v1/chat/completions");
    expect_url("http://h:1/", "http://h:1/v1/chat/completions");
    expect_url("http://h/v1", "http://h/v1/chat/completions");
    expect_url("http://h/v1///", "http://h/v1/chat/completions");
    expect_url("http://h/openai", "http://h/openai/chat/completions");
    expect_url("http://h/xv1", "http://h/xv1/chat/completions");
}

Test(endpoint, urls_of_other_services) {
    expect_url("https://g.example/v1beta/openai/", "https://g.example/v1beta/openai/chat/completions");
    expect_url("https://z.example/api/paas/v4", "https://z.example/api/paas/v4/chat/completions");
    expect_url("https://r.openai.azure.com/openai/deployments/d?api-version=2024-06-01",
               "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-06-01");
    expect_url("https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-06-01",
               "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-06-01");
    expect_url("http://h/v1/chat/completions", "http://h/v1/chat/completions");
    expect_url("http://h/v1/chat/completions/", "http://h/v1/chat/completions");
    expect_url("http://h/chat/completions", "http://h/chat/completions");
    expect_url("http://h/chat/completions#", "http://h/chat/completions");
    expect_url("http://h/v1#top", "http://h/v1/chat/completions");
    expect_url("http://h#/v1", "http://h/v1/chat/completions");
    expect_url("http://h?x=1#y", "http://h/v1/chat/completions?x=1");
    expect_url("http://h/?x=http://i/v2", "http://h/v1/chat/completions?x=http://i/v2");
    expect_url("http://u:p@[::1]:8000", "http://u:p@[::1]:8000/v1/chat/completions");
    expect_url("HTTP://H:8000/API", "HTTP://H:8000/API/chat/completions");
}

static void expect_page(const char *base, endpoint_page_t page, const char *wanted) {
    char *url = endpoint_url(base, page);
    cr_expect_str_eq(url, wanted);
    free(url);
}

Test(endpoint, pages_of_other_services) {
    static const char azure[] = "https://r/openai/deployments/d/chat/completions?api-version=1";
    expect_page(azure, ENDPOINT_MODELS, "https://r/openai/deployments/d/models?api-version=1");
    expect_page("https://g/v1beta/openai", ENDPOINT_MODELS, "https://g/v1beta/openai/models");
    expect_page("http://h/v1/chat/completions", ENDPOINT_MODELS, "http://h/v1/models");
    expect_page("http://h/v1/chat/completions", ENDPOINT_METRICS, "http://h/metrics");
    expect_page("http://h/v1/chat/completions", ENDPOINT_LOADS, "http://h/v1/loads");
    expect_page("http://h/chat/completions", ENDPOINT_MODELS, "http://h/models");
    expect_page("http://h?token=x", ENDPOINT_METRICS, "http://h/metrics?token=x");
}

Test(endpoint, pages_beside_the_chat) {
    static const char *const bases[] = {"http://h:1", "http://h:1/v1/", "http://h:1/openai/v1", NULL};
    static const char *const roots[] = {"http://h:1", "http://h:1", "http://h:1/openai",
                                        "https://api.openai.com"};
    static const char *const tails[] = {"/v1/chat/completions", "/v1/models", "/metrics", "/v1/loads"};
    for (size_t i = 0; i < 4; i++)
        for (int page = 0; page < ENDPOINT_PAGES; page++) {
            char *url = endpoint_url(bases[i], (endpoint_page_t)page), wanted[128];
            snprintf(wanted, sizeof wanted, "%s%s", roots[i], tails[page]);
            cr_expect_str_eq(url, wanted);
            free(url);
        }
}

Test(endpoint, addresses_are_shown_without_user_and_query) {
    static const char *const pairs[][2] = {
        {"http://h:1/v1", "http://h:1/v1"},
        {"https://u:secret@h/v1?key=x#y", "https://h/v1?key=***"},
        {"https://h/d?api-version=2024-06-01&API_KEY=abc&x=1&Sig=",
         "https://h/d?api-version=2024-06-01&API_KEY=***&x=1&Sig=***"},
        {"https://h?access_token=a;sv=2;code=b", "https://h?access_token=***;sv=2;code=***"},
        {"https://h/?secret", "https://h/?secret"},
        {"https://h/?a=b=c&&=", "https://h/?a=b=c&&="},
        {"127.0.0.1:3128", "127.0.0.1:3128"},
        {"/v1?key=x", "/v1?key=***"},
        {"http://u@v:p@h", "http://h"},
        {"http://h/a@b", "http://h/a@b"},
        {"nonsense", "nonsense"},
        {"", ""}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        buf_t out;
        buf_init(&out, 256);
        endpoint_url_shown(pairs[i][0], &out);
        cr_assert_str_eq(out.data ? out.data : "", pairs[i][1]);
        buf_free(&out);
    }
}

static void expect_addresses(const char *const *urls, size_t count, const char *wanted) {
    char *text = endpoint_addresses(urls, count);
    cr_expect_str_eq(text, wanted);
    free(text);
}

static void expect_spelling(const char *url, const char *wanted) {
    char line[256];
    snprintf(line, sizeof line, "%s\n", wanted);
    expect_addresses(&url, 1, line);
}

Test(endpoint, addresses_have_one_spelling) {
    expect_spelling("HTTP://Host.Example:8000/", "http://host.example:8000/v1");
    expect_spelling("http://h:80/v1", "http://h/v1");
    expect_spelling("https://h:443", "https://h/v1");
    expect_spelling("https://h:80", "https://h:80/v1");
    expect_spelling("http://h:8080", "http://h:8080/v1");
    expect_spelling("http://[::1]:80/Path/V", "http://[::1]/Path/V");
    expect_spelling("http://User:PassWord@Host/v1", "http://User:PassWord@host/v1");
    expect_spelling("http://${ENV.HOST}:${ENV.Port}/v1/", "http://${ENV.HOST}:${ENV.Port}/v1");
    expect_spelling("${ENV.URL}", "${ENV.URL}/v1");
    expect_spelling("http://h/v1/chat/completions", "http://h/v1");
    expect_spelling("http://h/v1/#", "http://h/v1");
    expect_spelling("https://H/openai/deployments/D?api-version=1",
                    "https://h/openai/deployments/D?api-version=1");
    expect_spelling("https://h/openai/deployments/D/chat/completions?api-version=1",
                    "https://h/openai/deployments/D?api-version=1");
    expect_spelling("", "https://api.openai.com/v1");
    expect_spelling(NULL, "https://api.openai.com/v1");
}

Test(endpoint, addresses_that_are_none_do_no_harm) {
    expect_spelling("http://", "http:///v1");
    expect_spelling("http:///", "http:///v1");
    expect_spelling("/v1", "/v1");
    expect_spelling("://@", "://@/v1");
    expect_spelling("@", "@/v1");
    expect_spelling("${", "${/v1");
}

Test(endpoint, addresses_are_a_set) {
    expect_addresses(NULL, 0, "https://api.openai.com/v1\n");
    expect_addresses((const char *const[]){"http://b", "http://a/"}, 2, "http://a/v1\nhttp://b/v1\n");
    expect_addresses((const char *const[]){"http://A:80/v1", "http://b/"}, 2, "http://a/v1\nhttp://b/v1\n");
}

/* ---- headers */

static void expect_headers(const char *key, const char *const *lines, size_t count, bool body,
                           const char *wanted) {
    endpoint_headers_t headers;
    char all[512] = "";
    err_t err;
    cr_assert_eq(endpoint_headers_make(key, lines, count, body, &headers, &err), SDG_OK, "%s", err.text);
    for (size_t i = 0; i < headers.count; i++) {
        strcat(all, headers.lines[i]);
        strcat(all, "|");
    }
    cr_expect_str_eq(all, wanted);
    endpoint_headers_free(&headers);
    cr_expect_eq(headers.count, 0);
}

Test(endpoint, headers_of_a_request) {
    static const char *const organization[] = {"OpenAI-Organization: o"};
    expect_headers("k", NULL, 0, true, "Content-Type: application/json|Authorization: Bearer k|");
    expect_headers("k", organization, 1, false, "Authorization: Bearer k|OpenAI-Organization: o|");
    expect_headers("", NULL, 0, true, "Content-Type: application/json|");
    expect_headers(NULL, NULL, 0, false, "");
}

Test(endpoint, the_users_headers_replace_ours) {
    static const char *const own[] = {"authorization: Basic xyz", "X-A: 1", "CONTENT-TYPE: text/plain"};
    static const char *const other[] = {"Authorization-Of: x"};
    expect_headers("k", own, 3, true, "authorization: Basic xyz|X-A: 1|CONTENT-TYPE: text/plain|");
    expect_headers("k", other, 1, false, "Authorization: Bearer k|Authorization-Of: x|");
}

Test(endpoint, a_key_is_one_line) {
    endpoint_headers_t headers;
    err_t err;
    cr_expect_eq(endpoint_headers_make("a\nEvil: 1", NULL, 0, true, &headers, &err), SDG_EINVAL);
    cr_expect_null(strstr(err.text, "Evil"));
    endpoint_headers_free(&headers);
    expect_headers(" \t sk-1 \r\n", NULL, 0, false, "Authorization: Bearer sk-1|");
    expect_headers(" \n", NULL, 0, false, "");
}

/* ---- the key */

static void expect_hidden(const char *text, const char *key, const char *wanted) {
    char out[256];
    snprintf(out, sizeof out, "%s", text);
    endpoint_key_hide(out, key);
    cr_expect_str_eq(out, wanted, "key %s in \"%s\"", key ? key : "(none)", text);
}

Test(endpoint, keys_are_hidden_wherever_they_stand) {
    expect_hidden("bad key sk-1234, I said sk-1234.", "sk-1234", "bad key ***, I said ***.");
    expect_hidden("sk-1234", "sk-1234", "***");
    expect_hidden("sk-1234sk-1234", "sk-1234", "******");
    expect_hidden("nothing of it", "sk-1234", "nothing of it");
    expect_hidden("", "sk-1234", "");
    expect_hidden("xx-secret-key", "secret", "xx-***-key");
    expect_hidden("****** is a key", "******", "*** is a key");
}

Test(endpoint, the_shortest_key_that_is_hidden) {
    expect_hidden("[123456]", "123456", "[***]");
    expect_hidden("[1234567]", "1234567", "[***]");
    expect_hidden("[12345]", "12345", "[12345]");
    expect_hidden("none of these", "none", "none of these");
    expect_hidden("text", "", "text");
    expect_hidden("text", NULL, "text");
    cr_expect_eq(ENDPOINT_KEY_BYTES_MIN, 6);
}

Test(endpoint, a_key_that_is_cut_at_the_end_is_hidden) {
    expect_hidden("bad key sk-1234567", "sk-1234567890", "bad key ***");
    expect_hidden("bad key sk-123", "sk-1234567890", "bad key ***");
    expect_hidden("bad key sk-12", "sk-1234567890", "bad key sk-12");
    expect_hidden("sk-1234567890 and sk-1234567", "sk-1234567890", "*** and ***");
}

/* ---- identity */

static uint64_t id_of(const char *url, const char *key, const char *group) {
    return endpoint_id(&url, 1, key, group);
}

Test(endpoint, the_same_endpoint_has_the_same_number) {
    uint64_t id = id_of("http://h:1/v1", "${ENV.KEY}", "m");
    cr_expect_eq(id_of("HTTP://H:1/", "${ENV.KEY}", "m"), id);
    cr_expect_eq(endpoint_id((const char *const[]){"http://a", "http://b"}, 2, NULL, "m"),
                 endpoint_id((const char *const[]){"http://b/v1", "http://a/"}, 2, "", "m"));
    cr_expect_eq(endpoint_id(NULL, 0, "k", "m"), id_of("", "k", "m"));
}

Test(endpoint, another_address_key_or_model_is_another_endpoint) {
    uint64_t id = id_of("http://h:1", "key", "m");
    cr_expect_neq(id_of("http://h:2", "key", "m"), id);
    cr_expect_neq(id_of("https://h:1", "key", "m"), id);
    cr_expect_neq(id_of("http://h:1", "Key", "m"), id);
    cr_expect_neq(id_of("http://h:1", NULL, "m"), id);
    cr_expect_neq(id_of("http://h:1", "key", "M"), id);
    cr_expect_neq(id_of("http://h:1", "keym", ""), id);
    cr_expect_neq(endpoint_id((const char *const[]){"http://h:1", "http://h:2"}, 2, "key", "m"), id);
}

/* Processes of different versions talk to each other, so the number must not change. */
Test(endpoint, the_number_stays_the_same_for_ever) {
    cr_expect_eq(id_of("http://h:1/v1", "${ENV.KEY}", "m"), UINT64_C(0xc1b1454de5c92584), "%#" PRIx64,
                 id_of("http://h:1/v1", "${ENV.KEY}", "m"));
}
