/* pipeline_models.c - the models section: endpoints, keys, headers, and what is sent with every request.
 *
 * Our own keys are taken out of request_defaults and, by the same code, out of a block's params; all others
 * pass through to the server. An API key whose variable is not set is an error only for a remote server,
 * because local ones mostly need none. */
#include "core/mabel/pipeline/pipeline_load.h"

#include "core/base/buf.h"
#include "core/base/grow.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/endpoint.h"
#include "core/mabel/pipeline/limits.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const key_rule_t BACKOFF_RULES[] = {
    {"type", WANT_TEXT, false},     {"base_ms", WANT_NUMBER, false}, {"initial_ms", WANT_NUMBER, false},
    {"factor", WANT_NUMBER, false}, {"cap_ms", WANT_NUMBER, false},
};
static const keyset_t BACKOFF_KEYS = KEYSET("backoff", BACKOFF_RULES, NULL);

static const key_rule_t RETRY_RULES[] = {
    {"max_attempts", WANT_NUMBER, false},
    {"backoff", WANT_MAP, false},
    {"retry_on_empty", WANT_BOOL, false},
    {"max_empty_retries", WANT_NUMBER, false},
};
static const keyset_t RETRY_KEYS = KEYSET("retry", RETRY_RULES, NULL);

/* The keys of request_defaults and params that are our own. Everything else belongs to the server. */
static const key_rule_t CALL_RULES[] = {
    {"retry", WANT_MAP, false},      {"timeout_sec", WANT_NUMBER, false},
    {"extra_body", WANT_MAP, false}, {"extra_headers", WANT_MAP, false},
    {"headers", WANT_MAP, false},    {"organization", WANT_TEXT, false},
    {"http2", WANT_ANY, false},      {"use_shared_transport", WANT_ANY, false},
};
static const keyset_t CALL_KEYS = {.what = "parameters",
                                   .rules = CALL_RULES,
                                   .count = sizeof CALL_RULES / sizeof CALL_RULES[0],
                                   .open = true};

static const key_rule_t MODEL_RULES[] = {
    {"name", WANT_NAME, true},
    {"api_model", WANT_NAME, true},
    {"api_key", WANT_SECRET, false},
    {"base_url", WANT_TEXTS, false},
    {"organization", WANT_TEXT, false},
    {"headers", WANT_MAP, false},
    {"request_defaults", WANT_MAP, false},
    {"capabilities", WANT_ANY, false},
    {"safety", WANT_ANY, false},
    {"description", WANT_ANY, false},
    {"comment", WANT_ANY, false},
};
static const keyset_t MODEL_KEYS = {.what = "a model",
                                    .rules = MODEL_RULES,
                                    .count = sizeof MODEL_RULES / sizeof MODEL_RULES[0],
                                    .params = "request_defaults"};

/* ---- retry */

static void backoff_read(load_t *l, const ynode_t *n, const ypath_t *path, retry_policy_t *retry) {
    static const char *const types[] = {"exponential", "fixed"};
    if (!n || n->kind != YNODE_MAP || !keys_check(l, n, path, &BACKOFF_KEYS)) return;
    const char *base = field(n, "base_ms") ? "base_ms" : "initial_ms";
    retry->base_ms = (uint32_t)field_count(l, n, path, base, 0, UINT32_MAX, retry->base_ms);
    retry->cap_ms = (uint32_t)field_count(l, n, path, "cap_ms", 0, UINT32_MAX, retry->cap_ms);
    double factor = field_number(n, "factor", retry->factor);
    if (factor >= 1 && factor <= RETRY_FACTOR_MAX)
        retry->factor = factor;
    else
        complain(l, DIAG_ERROR, field(n, "factor"), YPATH_KEY(path, "factor"),
                 "expected a number from 1 to %d", RETRY_FACTOR_MAX);
    if (field_choice(l, n, path, "type", types, 2, 0) == 1) retry->factor = 1;
}

retry_policy_t retry_read(load_t *l, const ynode_t *n, const ypath_t *path, retry_policy_t base) {
    if (!n || n->kind != YNODE_MAP || !keys_check(l, n, path, &RETRY_KEYS)) return base;
    base.attempts_max =
        (uint32_t)field_count(l, n, path, "max_attempts", 0, RETRY_ATTEMPTS_MAX, base.attempts_max);
    if (base.attempts_max == 0) base.attempts_max = 1; /* "no retries" is one request */
    base.on_empty = field_bool(n, "retry_on_empty", base.on_empty);
    base.empty_max =
        (uint32_t)field_count(l, n, path, "max_empty_retries", 0, RETRY_ATTEMPTS_MAX, base.empty_max);
    backoff_read(l, field(n, "backoff"), YPATH_KEY(path, "backoff"), &base);
    return base;
}

/* ---- headers */

static bool is_header_name(const str_t *name) {
    static const char other[] = "!#$%&'*+-.^_`|~";
    for (uint32_t i = 0; i < name->len; i++) {
        char c = name->data[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == '\0' || !strchr(other, c))) return false;
    }
    return name->len > 0;
}

static bool is_header_value(const str_t *value) {
    for (uint32_t i = 0; i < value->len; i++)
        if ((unsigned char)value->data[i] < 0x20 && value->data[i] != '\t') return false;
    return true;
}

static size_t header_place(char *const *headers, size_t count, const str_t *name) {
    size_t i = 0;
    while (i < count &&
           !(strncasecmp(headers[i], name->data, name->len) == 0 && headers[i][name->len] == ':'))
        i++;
    return i;
}

/* A later header replaces an earlier one of the same name. */
static void header_put(char ***headers, size_t *count, const str_t *name, const str_t *value) {
    size_t at = header_place(*headers, *count, name);
    if (at == *count) {
        GROW_BY_ONE(*headers, *count);
        (*headers)[(*count)++] = NULL;
    }
    free((*headers)[at]);
    (*headers)[at] = xasprintf("%s: %s", name->data, value->data);
}

static void header_read(load_t *l, const ynode_t *at, const ypath_t *path, str_t *name, char ***headers,
                        size_t *count) {
    str_t *value = scalar_text(at);
    if (!value)
        complain(l, DIAG_ERROR, at, path, "expected text, found %s", yaml_kind_name(at));
    else if (!is_header_name(name))
        complain(l, DIAG_ERROR, at, path, "'%s' cannot be the name of an HTTP header", name->data);
    else if (!is_header_value(value))
        complain(l, DIAG_ERROR, at, path, "the value of an HTTP header is one line of text");
    else
        header_put(headers, count, name, value);
    name_check_change(l->diags, at, path);
    str_free(value);
}

static void header_map_read(load_t *l, const ynode_t *n, const ypath_t *path, char ***headers,
                            size_t *count) {
    if (!n || n->kind != YNODE_MAP) return;
    for (size_t i = 0; i < n->count; i++)
        header_read(l, n->items[i], YPATH_KEY(path, yaml_key(n, i)), n->keys[i]->scalar.string, headers,
                    count);
}

static void organization_read(load_t *l, const ynode_t *n, const ypath_t *path, char ***headers,
                              size_t *count) {
    const ynode_t *at = field(n, "organization");
    if (!at || at->kind != YNODE_SCALAR) return;
    value_t name = value_text("OpenAI-Organization");
    header_read(l, at, YPATH_KEY(path, "organization"), name.string, headers, count);
    value_free(name);
}

void headers_free(char **headers, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(headers[i]);
    free(headers);
}

/* ---- parameters */

static bool is_ours(const char *key) {
    for (size_t i = 0; i < CALL_KEYS.count; i++)
        if (strcmp(CALL_RULES[i].key, key) == 0) return true;
    return false;
}

/* Parameters that would contradict the request we send. */
static bool is_refused(const char *key) { return strcmp(key, "messages") == 0; }

static void params_put(load_t *l, const ynode_t *n, const ypath_t *path, value_t *params) {
    for (size_t i = 0; n && n->kind == YNODE_MAP && i < n->count; i++) {
        const char *key = yaml_key(n, i);
        if (strcmp(key, "model") == 0) continue; /* the caller's */
        if (is_refused(key))
            complain(l, DIAG_WARNING, n->keys[i], YPATH_KEY(path, key),
                     "'%s' is decided by the runtime and is left out", key);
        else if (!is_ours(key))
            object_set(params, n->keys[i]->scalar.string, yaml_value(n->items[i]));
    }
}

static uint32_t timeout_read(load_t *l, const ynode_t *n, const ypath_t *path) {
    double seconds = field_number(n, "timeout_sec", 0);
    if (seconds >= 0 && seconds <= LLM_TIMEOUT_S_MAX) return (uint32_t)ceil(seconds * 1000);
    complain(l, DIAG_ERROR, field(n, "timeout_sec"), YPATH_KEY(path, "timeout_sec"),
             "expected seconds from 0 to %d", LLM_TIMEOUT_S_MAX);
    return 0;
}

void call_options_read(load_t *l, const ynode_t *n, const ypath_t *path, call_options_t *options) {
    *options = (call_options_t){.params = value_object(0), .retry = retry_policy_default()};
    if (!n || n->kind != YNODE_MAP || !keys_check(l, n, path, &CALL_KEYS)) return;
    const ynode_t *extra = field(n, "extra_body");
    const ypath_t *extra_path = YPATH_KEY(path, "extra_body");
    params_check(l, n, path);
    params_check(l, extra, extra_path);
    params_put(l, n, path, &options->params);
    params_put(l, extra, extra_path, &options->params);
    options->model = field(n, "model");
    if (field(extra, "model"))
        complain(
            l, DIAG_WARNING, field(extra, "model"), YPATH_KEY(extra_path, "model"),
            "'model' is decided by the runtime and is left out; params.model of a block names another one");
    organization_read(l, n, path, &options->headers, &options->header_count);
    header_map_read(l, field(n, "headers"), YPATH_KEY(path, "headers"), &options->headers,
                    &options->header_count);
    header_map_read(l, field(n, "extra_headers"), YPATH_KEY(path, "extra_headers"), &options->headers,
                    &options->header_count);
    options->timeout_ms = timeout_read(l, n, path);
    options->has_retry = field(n, "retry");
    options->retry = retry_read(l, field(n, "retry"), YPATH_KEY(path, "retry"), options->retry);
}

/* ---- variables: ${NAME} in keys and addresses (${ENV.NAME} was replaced when the YAML was read) */

static size_t variable_length(const char *text) {
    size_t i = 2;
    while ((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') || text[i] == '_' ||
           (i > 2 && text[i] >= '0' && text[i] <= '9'))
        i++;
    return i > 2 && text[i] == '}' ? i + 1 : 0;
}

/* The text with its variables replaced; *missing names the first one that is not set (owned by the
 * caller). */
static char *variables_replaced(const char *text, char **missing) {
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    while (*text) {
        size_t n = text[0] == '$' && text[1] == '{' ? variable_length(text) : 0;
        if (n == 0) {
            buf_addc(&out, *text++);
            continue;
        }
        char *name = xstrndup(text + 2, n - 3);
        const char *value = getenv(name);
        if (value) buf_adds(&out, value);
        if (!value && !*missing) *missing = xstrdup(name);
        free(name);
        text += n;
    }
    return buf_take(&out, NULL);
}

static void judged_add(load_t *l, const ynode_t *n) {
    GROW(l->judged, l->judged_cap, l->judged_count + 1);
    l->judged[l->judged_count++] = n;
}

/* The text of a key or an address, its variables replaced when this process uses them. *missing as in
 * variables_replaced; the node then gets no second message. */
static char *resolved(load_t *l, const ynode_t *n, char **missing) {
    str_t *text = scalar_text(n);
    char *out;
    *missing = NULL;
    if (n->missing_env) {
        *missing = xstrdup(n->missing_env);
        judged_add(l, n);
    }
    out = l->source->use_env ? variables_replaced(text->data, missing) : xstrndup(text->data, text->len);
    str_free(text);
    return out;
}

/* ---- addresses */

/* Host of a URL without brackets and port; false when it has no scheme we speak. */
static bool url_host(const char *url, char *host, size_t size) {
    const char *at = strstr(url, "://");
    if (!at || !(strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0)) return false;
    at += 3;
    size_t len = strcspn(at, "/?#");
    for (size_t i = 0; i < len; i++)
        if (at[i] == '@') {
            at += i + 1;
            len -= i + 1;
            i = (size_t)-1;
        }
    bool bracketed = at[0] == '[';
    at += bracketed;
    len = bracketed ? strcspn(at, "]") : strcspn(at, ":/?#");
    if (len == 0 || len >= size) return false;
    memcpy(host, at, len);
    host[len] = '\0';
    return true;
}

static bool host_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    size_t n = strlen(host);
    if (strcasecmp(host, "localhost") == 0 || (n > 10 && strcasecmp(host + n - 10, ".localhost") == 0))
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* An empty address is left out; one with a `$` in it is not judged, because its variable is replaced
 * elsewhere. */
static void url_add(load_t *l, const ynode_t *n, const ypath_t *path, model_t *m) {
    char *missing = NULL, host[256];
    char *written = resolved(l, n, &missing);
    size_t len = strlen(written);
    const char *begin = written;
    text_trim(&begin, &len);
    char *url = xstrndup(begin, len);
    free(written);
    if (missing) {
        complain(l, DIAG_ERROR, n, path, "the environment variable '%s' is not set", missing);
    } else if (!url[0]) {
        free(url);
        return;
    } else if (!strchr(url, '$') && !url_host(url, host, sizeof host)) {
        complain(l, DIAG_ERROR, n, path, "expected an address such as http://localhost:8000/v1, found '%s'",
                 url);
    }
    free(missing);
    GROW_BY_ONE(m->base_urls, m->url_count);
    m->base_urls[m->url_count++] = url;
}

static void urls_read(load_t *l, const ynode_t *n, const ypath_t *path, model_t *m) {
    const ynode_t *v = field(n, "base_url");
    const ypath_t *at = YPATH_KEY(path, "base_url");
    if (!v || v->kind == YNODE_MAP) return;
    if (v->kind == YNODE_SCALAR) url_add(l, v, at, m);
    for (size_t i = 0; i < list_length(v); i++) {
        if (v->items[i]->kind == YNODE_SCALAR && v->items[i]->scalar.kind == VALUE_STRING)
            url_add(l, v->items[i], YPATH_AT(at, i), m);
        else
            complain(l, DIAG_ERROR, v->items[i], YPATH_AT(at, i), "expected an address, found %s",
                     yaml_kind_name(v->items[i]));
    }
}

static bool urls_are_loopback(const model_t *m) {
    char host[256];
    for (size_t i = 0; i < m->url_count; i++)
        if (!url_host(m->base_urls[i], host, sizeof host) || !host_is_loopback(host)) return false;
    return m->url_count > 0;
}

static bool url_is_openai(const model_t *m) {
    char host[256];
    if (m->url_count == 0) return true;
    return m->url_count == 1 && url_host(m->base_urls[0], host, sizeof host) &&
           strcasecmp(host, "api.openai.com") == 0;
}

/* ---- keys */

/* Is this the first model that wants this variable? It is warned of once, however many do. */
static bool is_news(load_t *l, const char *variable) {
    bool found;
    object_get_peek(l->keys_said, variable, strlen(variable), &found);
    if (!found) object_set_text(&l->keys_said, variable, value_null());
    return !found;
}

static void key_missing(load_t *l, const ynode_t *at, const ypath_t *path, model_t *m) {
    if (m->all_loopback && !is_news(l, m->missing_key_var)) return;
    if (m->all_loopback)
        complain(l, DIAG_WARNING, at, path,
                 "the environment variable '%s' is not set: requests are sent without a key",
                 m->missing_key_var);
    else
        complain(l, DIAG_ERROR, at, path,
                 "the environment variable '%s' is not set: set it, or write a key here", m->missing_key_var);
}

/* The text in the file, before any variable was replaced; NULL when it is no scalar. The caller frees it. */
static char *written_text(const ynode_t *n) {
    if (!n || n->kind != YNODE_SCALAR) return NULL;
    if (n->as_written) return xstrdup(n->as_written);
    str_t *text = scalar_text(n);
    char *out = text ? xstrndup(text->data, text->len) : NULL;
    str_free(text);
    return out;
}

/* No message repeats the key. */
static void key_check(load_t *l, const ynode_t *at, const ypath_t *path, const char *key) {
    char *written = written_text(at);
    for (const char *c = key; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            complain(l, DIAG_ERROR, at, path,
                     "the key has a line break or another control character in it: is it one key?");
            break;
        }
    if (!key[0] && written && written[0])
        complain(l, DIAG_WARNING, at, path, "the key is empty: requests are sent without one");
    free(written);
}

/* Without `api_key` the usual variable is used, but only for the server it belongs to. */
static void key_default(load_t *l, const ynode_t *n, const ypath_t *path, model_t *m) {
    if (!l->source->use_env || !url_is_openai(m)) return;
    const char *key = getenv("OPENAI_API_KEY");
    if (key && key[0]) {
        free(m->api_key);
        m->api_key = endpoint_key(key);
        key_check(l, n, path, m->api_key);
    } else if (is_news(l, "OPENAI_API_KEY")) {
        complain(l, DIAG_WARNING, n, path,
                 "no api_key, and OPENAI_API_KEY is not set: requests are sent without a key");
    }
}

/* Needs the addresses, because a missing variable is judged by them. */
static void key_read(load_t *l, const ynode_t *n, const ypath_t *path, model_t *m) {
    const ynode_t *at = field(n, "api_key");
    m->api_key = xstrdup("");
    if (!at || at->kind != YNODE_SCALAR) {
        key_default(l, n, path, m);
        return;
    }
    char *key = resolved(l, at, &m->missing_key_var);
    if (m->missing_key_var) {
        key_missing(l, at, YPATH_KEY(path, "api_key"), m);
        free(key);
        return;
    }
    free(m->api_key);
    m->api_key = endpoint_key(key);
    free(key);
    key_check(l, at, YPATH_KEY(path, "api_key"), m->api_key);
}

/* ---- identity */

static char *written_field(const ynode_t *n, const char *key) { return written_text(field(n, key)); }

/* The id is made of the text as written, so that a process without the variables knows it, too. */
static uint64_t endpoint_id_read(const ynode_t *n, const ynode_t *api_model) {
    const ynode_t *base = field(n, "base_url");
    size_t count = list_length(base), used = 0;
    char **urls = xcalloc(count + 1, sizeof *urls);
    char *key = written_field(n, "api_key"), *group = written_text(api_model);
    if ((urls[used] = written_text(base))) used++;
    for (size_t i = 0; i < count; i++)
        if ((urls[used] = written_text(base->items[i]))) used++;
    uint64_t id = endpoint_id((const char *const *)urls, used, key, group);
    headers_free(urls, used);
    free(key);
    free(group);
    return id;
}

/* ---- models */

static void model_headers_read(load_t *l, const ynode_t *n, const ypath_t *path,
                               const call_options_t *options, model_t *m) {
    organization_read(l, n, path, &m->headers, &m->header_count);
    header_map_read(l, field(n, "headers"), YPATH_KEY(path, "headers"), &m->headers, &m->header_count);
    for (size_t i = 0; i < options->header_count; i++) {
        const char *colon = strchr(options->headers[i], ':');
        str_t *name = str_new(options->headers[i], (size_t)(colon - options->headers[i]));
        str_t *value = str_new(colon + 2, strlen(colon + 2));
        header_put(&m->headers, &m->header_count, name, value);
        str_free(name);
        str_free(value);
    }
}

/* Reads one model; a field that is missing (and reported) becomes empty text. */
static void model_read(load_t *l, const ynode_t *n, const ypath_t *path, model_t *m) {
    call_options_t options;
    m->name = field_text(n, "name");
    m->api_model = field_text(n, "api_model");
    if (!m->name) m->name = str_new("", 0);
    if (!m->api_model) m->api_model = str_new("", 0);
    call_options_read(l, field(n, "request_defaults"), YPATH_KEY(path, "request_defaults"), &options);
    if (options.model)
        complain(l, DIAG_WARNING, options.model, YPATH_KEY(YPATH_KEY(path, "request_defaults"), "model"),
                 "'model' is decided by api_model and is left out");
    model_headers_read(l, n, path, &options, m);
    headers_free(options.headers, options.header_count);
    m->params = options.params;
    m->retry = options.retry;
    m->timeout_ms = options.timeout_ms ? options.timeout_ms : LLM_TIMEOUT_DEFAULT_MS;
    urls_read(l, n, path, m);
    m->all_loopback = urls_are_loopback(m);
    key_read(l, n, path, m);
    m->endpoint_id = endpoint_id_read(n, field(n, "api_model"));
}

static void model_check_name(load_t *l, const ynode_t *n, const ypath_t *path, const model_t *m,
                             value_t *names) {
    bool found;
    value_t line = object_get_str_peek(*names, m->name, &found);
    if (found)
        complain(l, DIAG_ERROR, field(n, "name"), YPATH_KEY(path, "name"),
                 "a second model called '%s' (the first is at line %d)", m->name->data, (int)line.integer);
    else if (m->name->len)
        object_set(names, m->name, value_int(n->line));
}

/* Two models of one name are an error; an entry that is no map is left out. */
void models_load(load_t *l, const ynode_t *models) {
    size_t count = list_length(models);
    const ypath_t *path = YPATH_KEY(NULL, "models");
    pipeline_t *p = l->p;
    value_t names = value_object(count);
    p->models = xcalloc(count ? count : 1, sizeof *p->models);
    for (size_t i = 0; i < count; i++) {
        const ynode_t *n = models->items[i];
        if (!keys_check(l, n, YPATH_AT(path, i), &MODEL_KEYS)) continue;
        model_t *m = &p->models[p->model_count++];
        model_read(l, n, YPATH_AT(path, i), m);
        model_check_name(l, n, YPATH_AT(path, i), m, &names);
    }
    p->named_count = p->model_count;
    value_free(names);
}

/* ---- a model under another api_model */

static char **lines_copied(char *const *lines, size_t count) {
    char **copy = xcalloc(count ? count : 1, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = xstrdup(lines[i]);
    return copy;
}

/* The node of a model of the file. */
static const ynode_t *model_node(const load_t *l, const model_t *m) {
    const ynode_t *list = field(l->root, "models");
    const ynode_t *found = NULL;
    for (size_t i = 0; !found && i < list_length(list); i++) {
        str_t *name = field_text(list->items[i], "name");
        if (name && str_equal(name, m->name)) found = list->items[i];
        str_free(name);
    }
    return found;
}

/* The number of a model that is models[base] or made of it, with this api_model; the count of models: none
 * is. */
static uint32_t model_like(const pipeline_t *p, uint32_t base, str_t *api_model) {
    for (uint32_t i = base; i < p->model_count; i++) {
        bool made_of_it =
            i == base || (i >= p->named_count && str_equal(p->models[i].name, p->models[base].name));
        if (made_of_it && str_equal(p->models[i].api_model, api_model)) return i;
    }
    return (uint32_t)p->model_count;
}

/* Adds a copy of models[base] with the api_model, which `name` gives. */
static void model_copy(load_t *l, uint32_t base, const ynode_t *name, str_t *api_model) {
    pipeline_t *p = l->p;
    p->models = xrealloc(p->models, (p->model_count + 1) * sizeof *p->models);
    const model_t *m = &p->models[base];
    model_t *copy = &p->models[p->model_count++];
    *copy = *m;
    copy->name = str_ref(m->name);
    copy->api_model = str_ref(api_model);
    copy->base_urls = lines_copied(m->base_urls, m->url_count);
    copy->api_key = xstrdup(m->api_key);
    copy->missing_key_var = m->missing_key_var ? xstrdup(m->missing_key_var) : NULL;
    copy->headers = lines_copied(m->headers, m->header_count);
    copy->params = value_ref(m->params);
    copy->endpoint_id = endpoint_id_read(model_node(l, m), name);
}

/* Blocks that ask for the same one share it. */
uint32_t model_renamed(load_t *l, uint32_t base, const ynode_t *name) {
    str_t *api_model = scalar_text(name);
    uint32_t i = model_like(l->p, base, api_model);
    if (i == l->p->model_count) model_copy(l, base, name, api_model);
    str_free(api_model);
    return i;
}

void models_free(pipeline_t *p) {
    for (size_t i = 0; i < p->model_count; i++) {
        model_t *m = &p->models[i];
        str_free(m->name);
        str_free(m->api_model);
        headers_free(m->base_urls, m->url_count);
        free(m->api_key);
        free(m->missing_key_var);
        headers_free(m->headers, m->header_count);
        value_free(m->params);
    }
    free(p->models);
}
