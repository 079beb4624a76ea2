/* mock_rules.c - see mock_rules.h.
 *
 * A rule is compiled once: its match becomes parts that are compared without looking anything up, its reply
 * becomes text. Unknown keys are refused, because a misspelt `contain:` would otherwise match every request.
 * To add a key: a row in RULE_KEYS or MATCH_KEYS, a field, and a line in rule_read or match_read. */
#include "actors/mock/mock_rules.h"

#include "actors/mock/limits.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/mabel/text/regex.h"
#include "core/mabel/yaml/diag.h"
#include "core/mabel/yaml/yaml.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct mock_match {
    value_t model;    /* exact value of the request's "model"; null: any */
    value_t contains; /* list of texts that must all be in the last user message; null: any */
    value_t system;   /* text that must be in the system message; null: any */
    pattern_t *regex; /* must be found in the last user message; NULL: any */
} mock_match_t;

struct mock_rules {
    mock_rule_t *items;
    size_t count;
};

static const char *const RULE_KEYS[] = {"match",    "reply", "status",       "headers",
                                        "delay_ms", "times", "body",         "raw_body",
                                        "reset",    "usage", "content_null", "finish_reason"};
static const char *const MATCH_KEYS[] = {"model", "contains", "regex", "system_contains"};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- views */

static value_t get(value_t object, const char *key) {
    bool found;
    return object.kind == VALUE_OBJECT ? object_get_peek(object, key, strlen(key), &found) : value_null();
}

static bool is_text(value_t v, const char *text) {
    return v.kind == VALUE_STRING && v.string->len == strlen(text) &&
           !memcmp(v.string->data, text, v.string->len);
}

/* The text parts of a list content, joined by newlines. */
static str_t *parts_text(value_t parts) {
    buf_t out;
    buf_init(&out, VALUE_STRING_MAX);
    for (size_t i = 0, seen = 0; i < list_count(parts); i++) {
        value_t part = list_peek(parts, i);
        if (!is_text(get(part, "type"), "text")) continue;
        if (seen++) buf_addc(&out, '\n');
        value_t text = get(part, "text");
        if (text.kind == VALUE_STRING) buf_add(&out, text.string->data, text.string->len);
    }
    str_t *text = str_new(out.data ? out.data : "", out.len);
    buf_free(&out);
    return text;
}

static str_t *content_text(value_t content) {
    if (content.kind == VALUE_STRING) return str_ref(content.string);
    if (content.kind == VALUE_LIST) return parts_text(content);
    return str_new("", 0);
}

static str_t *last_of(value_t body, const char *role) {
    value_t messages = get(body, "messages");
    size_t count = messages.kind == VALUE_LIST ? list_count(messages) : 0;
    while (count-- > 0) {
        value_t message = list_peek(messages, count);
        if (is_text(get(message, "role"), role)) return content_text(get(message, "content"));
    }
    return str_new("", 0);
}

void mock_view_init(mock_view_t *view, value_t body) {
    *view = (mock_view_t){.body = body, .user = last_of(body, "user"), .system = last_of(body, "system")};
}

void mock_view_free(mock_view_t *view) {
    str_free(view->user);
    str_free(view->system);
    *view = (mock_view_t){0};
}

/* ---- templates */

/* One step of a {{json:...}} path; null when there is no such place. */
static value_t dig_step(value_t at, const char *part, size_t len) {
    if (at.kind == VALUE_OBJECT) {
        bool found;
        return object_get_peek(at, part, len, &found);
    }
    if (at.kind != VALUE_LIST || len == 0 || len > 9) return value_null();
    char digits[10] = {0};
    memcpy(digits, part, len);
    char *end;
    long i = strtol(digits, &end, 10);
    long count = (long)list_count(at);
    if (*end || i < -count || i >= count) return value_null();
    return list_peek(at, (size_t)(i < 0 ? i + count : i));
}

static value_t dig(value_t at, const char *path, size_t len) {
    const char *end = path + len;
    while (path < end) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        const char *stop = dot ? dot : end;
        if (stop > path) at = dig_step(at, path, (size_t)(stop - path));
        path = dot ? dot + 1 : end;
    }
    return at;
}

static bool key_is(const char *key, size_t len, const char *name) {
    return len == strlen(name) && !memcmp(key, name, len);
}

/* Writes what stands for {{key}}; false if the key is unknown. */
static bool expand_key(buf_t *out, const char *key, size_t len, const mock_view_t *view, uint64_t nth) {
    if (key_is(key, len, "last_user")) {
        buf_add(out, view->user->data, view->user->len);
    } else if (key_is(key, len, "system")) {
        buf_add(out, view->system->data, view->system->len);
    } else if (key_is(key, len, "model")) {
        text_write(out, get(view->body, "model"));
    } else if (key_is(key, len, "nth")) {
        buf_addf(out, "%llu", (unsigned long long)nth);
    } else if (len > 5 && !memcmp(key, "json:", 5)) {
        value_t v = dig(view->body, key + 5, len - 5);
        if (v.kind == VALUE_STRING)
            buf_add(out, v.string->data, v.string->len);
        else
            json_write(out, v, JSON_PYTHON);
    } else {
        return false;
    }
    return true;
}

/* Texts between {{ and }} that are no known key stay as they are. */
void mock_expand(buf_t *out, const char *text, size_t len, const mock_view_t *view, uint64_t nth) {
    const char *at = text, *end = text + len;
    while (at < end) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        if (!open) break;
        const char *key = open + 2;
        size_t key_len = 0;
        while (key + key_len < end && key[key_len] != '{' && key[key_len] != '}')
            key_len++;
        bool closed = key_len > 0 && (size_t)(end - key) >= key_len + 2 && !memcmp(key + key_len, "}}", 2);
        buf_add(out, at, (size_t)(open - at));
        at = open;
        if (closed && expand_key(out, key, key_len, view, nth))
            at = key + key_len + 2;
        else
            buf_addc(out, *at++);
    }
    buf_add(out, at, (size_t)(end - at));
}

/* ---- matching */

static bool holds_text(const str_t *text, value_t wanted) {
    return memmem(text->data, text->len, wanted.string->data, wanted.string->len);
}

static bool match_holds(const mock_match_t *m, const mock_view_t *view) {
    if (m->model.kind != VALUE_NULL && !value_equal(m->model, get(view->body, "model"))) return false;
    size_t wanted = m->contains.kind == VALUE_LIST ? list_count(m->contains) : 0;
    for (size_t i = 0; i < wanted; i++)
        if (!holds_text(view->user, list_peek(m->contains, i))) return false;
    if (m->system.kind == VALUE_STRING && !holds_text(view->system, m->system)) return false;
    size_t span[2];
    return !m->regex || regex_match(m->regex, view->user->data, view->user->len, 0, span, 2, NULL) == 1;
}

const mock_rule_t *mock_rules_choose(mock_rules_t *rules, const mock_view_t *view) {
    for (size_t i = 0; rules && i < rules->count; i++) {
        mock_rule_t *rule = &rules->items[i];
        if (rule->hits >= rule->times || !match_holds(rule->match, view)) continue;
        rule->hits++;
        return rule;
    }
    return NULL;
}

/* ---- reading */

static int keys_check(value_t object, const char *const *names, size_t count, err_t *err) {
    for (size_t i = 0; i < object_count(object); i++) {
        const char *key = object_key_peek(object, i)->data;
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(key, names[k]) == 0;
        if (known) continue;
        const char *near = diag_nearest(key, names, count);
        return err_set(err, SDG_EINVAL, "unknown key \"%s\"%s%s%s", key, near ? ", did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "");
    }
    return SDG_OK;
}

/* `contains`: one text or a list of texts. */
static int contains_read(value_t v, value_t *out, err_t *err) {
    *out = value_list(1);
    if (v.kind == VALUE_STRING) {
        list_push(out, value_ref(v));
        return SDG_OK;
    }
    if (v.kind != VALUE_LIST)
        return err_set(err, SDG_EINVAL, "match.contains must be a text or a list of texts");
    for (size_t i = 0; i < list_count(v); i++) {
        if (list_peek(v, i).kind != VALUE_STRING)
            return err_set(err, SDG_EINVAL, "match.contains[%zu] must be a text", i);
        list_push(out, value_ref(list_peek(v, i)));
    }
    return SDG_OK;
}

/* The keys of `match`; a key that is unknown is refused. */
static int match_read(mock_match_t *m, value_t v, err_t *err) {
    if (v.kind == VALUE_NULL) return SDG_OK;
    if (v.kind != VALUE_OBJECT) return err_set(err, SDG_EINVAL, "match must be an object");
    int rc = keys_check(v, MATCH_KEYS, COUNT_OF(MATCH_KEYS), err);
    if (rc) return rc;
    m->model = value_ref(get(v, "model"));
    value_t contains = get(v, "contains"), regex = get(v, "regex"), system = get(v, "system_contains");
    if (contains.kind != VALUE_NULL && (rc = contains_read(contains, &m->contains, err))) return rc;
    if (system.kind != VALUE_NULL && system.kind != VALUE_STRING)
        return err_set(err, SDG_EINVAL, "match.system_contains must be a text");
    m->system = value_ref(system);
    if (regex.kind == VALUE_NULL) return SDG_OK;
    if (regex.kind != VALUE_STRING) return err_set(err, SDG_EINVAL, "match.regex must be a text");
    m->regex = regex_compile(regex.string->data, regex.string->len, REGEX_DOTALL, err);
    return m->regex ? SDG_OK : err_prefix(err, "match.regex");
}

/* The reply as one text: a string as it is, any other value as JSON. */
static void rule_set_text(mock_rule_t *rule, mock_reply_kind_t kind, value_t v) {
    rule->kind = kind;
    buf_t out;
    buf_init(&out, MOCK_FILE_BYTES_MAX * 2);
    if (v.kind == VALUE_STRING && kind != MOCK_REPLY_BODY)
        buf_add(&out, v.string->data, v.string->len);
    else
        json_write(&out, v, JSON_PYTHON);
    rule->text = buf_take(&out, &rule->text_len);
}

/* What a rule answers: the first of reset, raw_body, body, content_null and reply that it has; none of them
 * means the default answer of the server. */
static int rule_read_reply(mock_rule_t *rule, value_t v, err_t *err) {
    bool has_body, has_reply;
    value_t body = object_get_peek(v, "body", 4, &has_body),
            reply = object_get_peek(v, "reply", 5, &has_reply);
    value_t raw = get(v, "raw_body");
    if (raw.kind != VALUE_NULL && raw.kind != VALUE_STRING)
        return err_set(err, SDG_EINVAL, "raw_body must be a text");
    if (value_truthy(get(v, "reset")))
        rule->kind = MOCK_REPLY_RESET;
    else if (raw.kind == VALUE_STRING)
        rule_set_text(rule, MOCK_REPLY_RAW_BODY, raw);
    else if (has_body)
        rule_set_text(rule, MOCK_REPLY_BODY, body);
    else if (value_truthy(get(v, "content_null")))
        rule->kind = MOCK_REPLY_NULL;
    else if (has_reply)
        rule_set_text(rule, MOCK_REPLY_TEXT, reply);
    return SDG_OK;
}

/* Header values as text, so that `Retry-After: 1` needs no quotes. */
static int headers_read(value_t v, value_t *out, err_t *err) {
    if (v.kind == VALUE_NULL) return SDG_OK;
    if (v.kind != VALUE_OBJECT) return err_set(err, SDG_EINVAL, "headers must be an object");
    *out = value_object(object_count(v));
    for (size_t i = 0; i < object_count(v); i++)
        object_set(out, object_key_peek(v, i), value_from_str(text_of(object_value_peek(v, i))));
    return SDG_OK;
}

static int number_read(value_t v, const char *key, double lo, double hi, double *out, err_t *err) {
    if (v.kind == VALUE_NULL) return SDG_OK;
    double n = v.kind == VALUE_INT ? (double)v.integer : v.kind == VALUE_REAL ? v.real : -1;
    if (n < lo || n > hi) return err_set(err, SDG_EINVAL, "%s must be a number from %g to %g", key, lo, hi);
    *out = n;
    return SDG_OK;
}

/* One rule: what it matches, what it answers, how often and how fast. */
static int rule_read(mock_rule_t *rule, value_t v, err_t *err) {
    *rule = (mock_rule_t){.status = 200, .times = UINT64_MAX, .match = xcalloc(1, sizeof(mock_match_t))};
    if (v.kind != VALUE_OBJECT) return err_set(err, SDG_EINVAL, "a rule must be an object");
    double status = 200, delay_ms = 0, times = -1;
    int rc = keys_check(v, RULE_KEYS, COUNT_OF(RULE_KEYS), err);
    if (!rc) rc = match_read(rule->match, get(v, "match"), err);
    if (!rc) rc = rule_read_reply(rule, v, err);
    if (!rc) rc = headers_read(get(v, "headers"), &rule->headers, err);
    if (!rc) rc = number_read(get(v, "status"), "status", 200, 599, &status, err);
    if (!rc) rc = number_read(get(v, "delay_ms"), "delay_ms", 0, 3.6e6, &delay_ms, err);
    if (!rc) rc = number_read(get(v, "times"), "times", 0, 1e15, &times, err);
    if (rc) return rc;
    rule->status = (unsigned)status;
    rule->delay_ns = (uint64_t)(delay_ms * 1e6);
    if (times >= 0) rule->times = (uint64_t)times;
    rule->usage = value_ref(get(v, "usage"));
    value_t finish = get(v, "finish_reason");
    rule->finish_reason = xstrdup(finish.kind == VALUE_STRING ? finish.string->data : "stop");
    return SDG_OK;
}

/* Compiles a list of rules; the first that is wrong is named by its number. */
int mock_rules_from_value(value_t list, mock_rules_t **rules, err_t *err) {
    if (list.kind != VALUE_LIST) return err_set(err, SDG_EINVAL, "rules must be a list");
    size_t count = list_count(list);
    if (count > MOCK_RULES_MAX)
        return err_set(err, SDG_ELIMIT, "%zu rules, at most %d are allowed", count, MOCK_RULES_MAX);
    mock_rules_t *made = xcalloc(1, sizeof *made);
    made->items = xcalloc(count + 1, sizeof *made->items);
    for (size_t i = 0; i < count; i++) {
        made->count = i + 1;
        if (rule_read(&made->items[i], list_peek(list, i), err) == SDG_OK) continue;
        int rc = err ? err_prefix(err, "rule %zu", i + 1) : SDG_EINVAL;
        mock_rules_destroy(&made);
        return rc;
    }
    *rules = made;
    return SDG_OK;
}

int mock_file_read(const char *path, buf_t *out, err_t *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return err_set(err, SDG_EIO, "%s: %s", path, strerror(errno));
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0 && !out->full)
        buf_add(out, piece, n);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad) return err_set(err, SDG_EIO, "%s: cannot be read", path);
    if (out->full) return err_set(err, SDG_ELIMIT, "%s: larger than %zu bytes", path, out->max);
    return SDG_OK;
}

/* Reads YAML into a value; its problems are told in one sentence. */
static int yaml_file_value(const char *path, const buf_t *text, value_t *out, err_t *err) {
    diags_t diags;
    diags_init(&diags, path, text->data, text->len);
    ydoc_t *doc = yaml_parse(text->data, text->len, NULL, &diags);
    int rc = SDG_OK;
    if (!doc || diags.errors) {
        const char *why = diags.count ? diags.items[0].message : "not YAML";
        rc = err_set(err, SDG_EINVAL, "line %u: %s", diags.count ? diags.items[0].line : 1, why);
    } else {
        *out = yaml_value(yaml_root(doc));
    }
    yaml_doc_free(&doc);
    diags_free(&diags);
    return rc;
}

/* JSON is not left to the YAML reader: it has escapes (surrogate pairs) that YAML does not know. */
static int file_value(const char *path, const buf_t *text, value_t *out, err_t *err) {
    size_t start = 0;
    while (start < text->len && strchr(" \t\r\n", text->data[start]))
        start++;
    bool json = start < text->len && (text->data[start] == '[' || text->data[start] == '{');
    return json ? json_parse_text(text->data, text->len, out, err) : yaml_file_value(path, text, out, err);
}

int mock_rules_load(const char *path, mock_rules_t **rules, err_t *err) {
    buf_t text;
    buf_init(&text, MOCK_FILE_BYTES_MAX);
    value_t list = value_null();
    int rc = mock_file_read(path, &text, err);
    if (!rc) {
        rc = file_value(path, &text, &list, err);
        if (!rc) rc = mock_rules_from_value(list, rules, err);
        if (rc && err) err_prefix(err, "%s", path);
    }
    value_free(list);
    buf_free(&text);
    return rc;
}

static void match_destroy(mock_match_t *m) {
    value_free(m->model);
    value_free(m->contains);
    value_free(m->system);
    regex_destroy(&m->regex);
    free(m);
}

void mock_rules_destroy(mock_rules_t **rules) {
    if (!*rules) return;
    for (size_t i = 0; i < (*rules)->count; i++) {
        mock_rule_t *rule = &(*rules)->items[i];
        match_destroy(rule->match);
        value_free(rule->headers);
        value_free(rule->usage);
        free(rule->finish_reason);
        free(rule->text);
    }
    free((*rules)->items);
    free(*rules);
    *rules = NULL;
}
