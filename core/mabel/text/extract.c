/* extract.c - from an answer to a value.
 *
 * Tags, patterns and JSONPaths search what stands behind the thoughts of the answer (think.h). Only where the
 * text does not tell whether it has thoughts (THINK_LONE) they search that first, and the whole answer when
 * nothing is found there. */
#include "core/mabel/text/extract.h"

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"
#include "core/mabel/text/think.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    FENCES_MAX = 16,      /* Markdown fences looked into for JSON */
    BRACKETS_MAX = 64,    /* brackets in prose where JSON may begin that are tried */
    SHOWN_BYTES_MAX = 60, /* of a value in an error sentence */
};

void extract_free(extract_t *e) {
    str_free(e->tag);
    regex_destroy(&e->regex);
    jsonpath_destroy(&e->path);
    str_free(e->join_with);
    *e = (extract_t){0};
}

void extract_cache_free(extract_cache_t *cache) {
    for (size_t i = 0; i < sizeof cache->json / sizeof *cache->json; i++)
        value_free(cache->json[i].value);
    *cache = (extract_cache_t){0};
}

/* ---- JSON, perhaps in a Markdown fence */

/* The inside of the next Markdown fence at or behind *from, which moves behind it. A fence that is not closed
 * reaches to the end of the text. */
static bool next_fence(span_t text, size_t *from, span_t *inside) {
    const char *end = text.bytes + text.len;
    const char *open = memmem(text.bytes + *from, text.len - *from, "```", 3);
    if (!open) return false;
    open += 3;
    const char *line = memchr(open, '\n', (size_t)(end - open));
    const char *close = memmem(open, (size_t)(end - open), "```", 3);
    if (!close) close = end;
    if (line && line < close) {
        open = line; /* the language stands before it */
    } else {
        while (open < close && ((*open >= 'a' && *open <= 'z') || (*open >= 'A' && *open <= 'Z')))
            open++; /* the language of ```json {"a": 1}``` on one line */
    }
    *inside = (span_t){open, (size_t)(close - open)};
    *from = (size_t)(close - text.bytes) + (close < end ? 3 : 0);
    return true;
}

static int parse_json(span_t text, value_t *out, err_t *err) {
    int rc = json_parse_text(text.bytes, text.len, out, err);
    size_t from = 0;
    span_t inside;
    for (int i = 0; rc != SDG_OK && i < FENCES_MAX && next_fence(text, &from, &inside); i++)
        if (json_parse_text(inside.bytes, inside.len, out, NULL) == SDG_OK) return SDG_OK;
    return rc;
}

/* How long the bracketed text at the front is, up to the bracket that closes the first one; 0: none does.
 * Brackets inside of JSON strings do not count. */
static size_t bracketed_length(span_t text) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.bytes[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Is it JSON that a model means by its answer? "[1]" in prose is a reference. */
static bool is_data(value_t v) {
    return v.kind == VALUE_OBJECT ||
           (v.kind == VALUE_LIST && list_count(v) > 0 && list_peek(v, 0).kind >= VALUE_STRING);
}

/* The longest JSON object or list in prose ("Here you go: {..}"). What stands inside of brackets that hold no
 * JSON is not looked at, nor what follows a bracket that nothing closes: a part of an answer that was cut
 * must not be taken for the answer. */
static bool find_json(span_t text, value_t *out) {
    size_t best = 0, at = 0;
    *out = value_null();
    for (int i = 0; i < BRACKETS_MAX; i++) {
        while (at < text.len && text.bytes[at] != '{' && text.bytes[at] != '[')
            at++;
        size_t len = bracketed_length((span_t){text.bytes + at, text.len - at});
        value_t v;
        if (len == 0) break;
        if (len > best && json_parse_text(text.bytes + at, len, &v, NULL) == SDG_OK) {
            if (is_data(v)) {
                value_replace(out, v);
                best = len;
            } else {
                value_free(v);
            }
        }
        at += len;
    }
    return best > 0;
}

/* ---- type hints */

static int refuse(value_t v, const char *hint, const char *is_not, err_t *err) {
    buf_t shown;
    buf_init(&shown, SHOWN_BYTES_MAX);
    text_write_repr(&shown, v);
    int rc = err_set(err, SDG_EINVAL, "type_hint %s: %s is not %s", hint,
                     shown.full ? "a long text" : shown.data, is_not);
    buf_free(&shown);
    return rc;
}

static int to_number(value_t v, value_t *out, err_t *err) {
    bool ok = true;
    if (v.kind == VALUE_INT || v.kind == VALUE_REAL || v.kind == VALUE_BIGINT)
        *out = value_ref(v);
    else if (v.kind == VALUE_BOOL)
        *out = value_int(v.boolean);
    else
        ok = v.kind == VALUE_STRING && text_to_exact_number(v.string->data, v.string->len, out);
    return ok ? SDG_OK : refuse(v, "number", "a number", err);
}

static bool is_word(span_t text, const char *const *words) {
    for (; *words; words++)
        if (strlen(*words) == text.len && strncasecmp(*words, text.bytes, text.len) == 0) return true;
    return false;
}

static int to_boolean(value_t v, value_t *out, err_t *err) {
    static const char *const yes[] = {"true", "yes", "1", NULL}, *const no[] = {"false", "no", "0", NULL};
    if (v.kind >= VALUE_BOOL && v.kind <= VALUE_BIGINT) { /* a boolean or a number */
        *out = value_bool(value_truthy(v));
        return SDG_OK;
    }
    if (v.kind == VALUE_STRING) {
        span_t text = {v.string->data, v.string->len};
        text_trim(&text.bytes, &text.len);
        *out = value_bool(is_word(text, yes));
        if (out->boolean || is_word(text, no)) return SDG_OK;
    }
    return refuse(v, "boolean", "true or false", err);
}

static int to_json(value_t v, value_t *out, err_t *err) {
    if (v.kind != VALUE_STRING) {
        *out = value_ref(v);
        return SDG_OK;
    }
    int rc = parse_json((span_t){v.string->data, v.string->len}, out, err);
    if (rc == SDG_OK) return rc;
    err_prefix(err, "type_hint json");
    if (err) err->code = SDG_EINVAL;
    return SDG_EINVAL;
}

int hint_convert(value_t v, type_hint_t hint, value_t *out, err_t *err) {
    *out = value_null();
    int rc = SDG_OK;
    switch (hint) {
    case HINT_NONE: *out = value_ref(v); break;
    case HINT_STRING: *out = value_from_str(text_of(v)); break;
    case HINT_NUMBER: rc = to_number(v, out, err); break;
    case HINT_BOOLEAN: rc = to_boolean(v, out, err); break;
    case HINT_JSON: rc = to_json(v, out, err); break;
    }
    if (rc != SDG_OK) *out = value_null();
    return rc;
}

/* ---- hits: the first, or all joined */

typedef struct hits {
    const extract_t *e;
    value_t first; /* converted; without join_with */
    buf_t text;    /* the converted hits, joined */
    size_t count;
    int rc;
    err_t *err;
} hits_t;

static void hits_begin(hits_t *h, const extract_t *e, err_t *err) {
    *h = (hits_t){.e = e, .first = value_null(), .err = err};
    buf_init(&h->text, MEX_TEXT_BYTES_MAX);
}

/* A hit under the hint. Without one it becomes text, and a JSON null no text at all. With the hint json a
 * JSON string of a JSONPath stays text, unless that text is a list or an object written as JSON. */
static int hit_convert(const extract_t *e, value_t hit, value_t *out, err_t *err) {
    if (e->hint == HINT_NONE && hit.kind == VALUE_NULL) {
        *out = value_text("");
        return SDG_OK;
    }
    bool stays = e->select == SELECT_JSONPATH && e->hint == HINT_JSON && hit.kind == VALUE_STRING;
    if (!stays) return hint_convert(hit, e->hint == HINT_NONE ? HINT_STRING : e->hint, out, err);
    value_t parsed;
    bool nested = hint_convert(hit, e->hint, &parsed, NULL) == SDG_OK && parsed.kind >= VALUE_LIST;
    *out = nested ? parsed : value_ref(hit);
    if (!nested) value_free(parsed);
    return SDG_OK;
}

/* False when no more hits are wanted. */
static bool hits_add(hits_t *h, value_t hit) {
    value_t v;
    bool later = h->count++ > 0;
    h->rc = hit_convert(h->e, hit, &v, h->err);
    if (h->rc != SDG_OK) return false;
    if (!h->e->join_with) {
        h->first = v;
        return false;
    }
    if (later) buf_add(&h->text, h->e->join_with->data, h->e->join_with->len);
    text_write(&h->text, v);
    value_free(v);
    return !h->text.full;
}

static bool hits_add_text(hits_t *h, const char *bytes, size_t len) {
    value_t hit = value_string(bytes, len);
    bool more = hits_add(h, hit);
    value_free(hit);
    return more;
}

/* *out: the first hit, or all joined; no hit is the empty text, with a hint, too. */
static int hits_end(hits_t *h, value_t *out) {
    if (h->rc == SDG_OK && h->text.full)
        h->rc = err_set(h->err, SDG_ELIMIT, "the hits are longer than %zu bytes", h->text.max);
    bool single = !h->e->join_with && h->count > 0;
    if (h->rc != SDG_OK)
        value_clear(&h->first);
    else if (!single)
        h->first = value_string(h->text.data ? h->text.data : "", h->text.len);
    *out = h->first;
    buf_free(&h->text);
    return h->rc;
}

/* ---- tags */

static void find_tags(const extract_t *e, span_t text, hits_t *hits) {
    span_t name = {e->tag->data, e->tag->len};
    const char *at = text.bytes, *end = at + text.len, *behind = NULL;
    while (tags_next_open(&at, end, name)) {
        const char *close = tags_next_close(at, end, name, &behind);
        if (!close) return;
        span_t hit = {at, (size_t)(close - at)};
        tags_clean(&hit);
        if (!hits_add_text(hits, hit.bytes, hit.len)) return;
        at = behind;
    }
}

/* ---- regular expressions */

static int find_matches(const extract_t *e, span_t text, hits_t *hits, err_t *err) {
    regex_walk_t walk = {.re = e->regex, .text = text.bytes, .len = text.len};
    size_t group = regex_groups(e->regex) > 0 ? 2 : 0;
    size_t span[4];
    int rc;
    while ((rc = regex_next(&walk, span, 4, err)) > 0) {
        bool set = span[group] != SIZE_MAX;
        size_t from = set ? span[group] : 0, to = set ? span[group + 1] : 0;
        if (!hits_add_text(hits, text.bytes + from, to - from)) return SDG_OK;
    }
    return rc;
}

/* `select: tag` and `select: regex` on one text. *count: how many hits. */
static int extract_text(const extract_t *e, span_t text, value_t *out, size_t *count, err_t *err) {
    hits_t hits;
    int rc = SDG_OK;
    hits_begin(&hits, e, err);
    if (e->select == SELECT_TAG)
        find_tags(e, text, &hits);
    else
        rc = find_matches(e, text, &hits, err);
    if (rc != SDG_OK) hits.rc = rc;
    *count = hits.count;
    return hits_end(&hits, out);
}

/* ---- JSONPath */

/* The text as JSON, parsed once per block; `part` is its place in the cache. Null: it is none. */
static bool text_json(span_t text, extract_cache_t *cache, extract_part_t part, value_t *out) {
    extract_json_t *json = &cache->json[part];
    if (!json->tried) {
        json->tried = true;
        json->is_json = parse_json(text, &json->value, NULL) == SDG_OK || find_json(text, &json->value);
    }
    *out = json->value;
    return json->is_json;
}

/* `select: jsonpath` on one text; a text that is no JSON has no hits. */
static int extract_path(const extract_t *e, span_t text, extract_cache_t *cache, extract_part_t part,
                        value_t *out, size_t *count, err_t *err) {
    value_t nodes, json;
    int rc = SDG_OK;
    if (text_json(text, cache, part, &json))
        rc = jsonpath_select(e->path, json, &nodes, err);
    else
        nodes = value_list(0);
    if (rc != SDG_OK) return rc;
    hits_t hits;
    hits_begin(&hits, e, err);
    *count = list_count(nodes);
    for (size_t i = 0, more = true; i < *count && more; i++)
        more = hits_add(&hits, list_peek(nodes, i));
    value_free(nodes);
    return hits_end(&hits, out);
}

/* ---- the whole */

static int extract_part(const extract_t *e, span_t text, extract_cache_t *cache, extract_part_t part,
                        value_t *out, size_t *count, err_t *err) {
    *count = 0;
    if (e->select == SELECT_JSONPATH) return extract_path(e, text, cache, part, out, count, err);
    return extract_text(e, text, out, count, err);
}

/* The answer was searched for JSON, and there is none in it. */
static void not_json_note(const extract_t *e, extract_cache_t *cache) {
    bool any = false;
    for (size_t i = 0; i < sizeof cache->json / sizeof *cache->json; i++)
        any = any || cache->json[i].is_json;
    if (e->select == SELECT_JSONPATH && !any) cache->not_json = true;
}

/* `tag: think` reads the thoughts themselves. */
static int extract_search(const extract_t *e, span_t text, extract_cache_t *cache, value_t *out, err_t *err) {
    think_t think = think_find(text);
    size_t count;
    bool thoughts = e->select == SELECT_TAG && think_is_name((span_t){e->tag->data, e->tag->len});
    int rc = extract_part(e, thoughts ? text : think.behind, cache, EXTRACT_BEHIND, out, &count, err);
    if (rc == SDG_OK && count == 0 && think.kind == THINK_LONE && !thoughts) {
        value_free(*out);
        rc = extract_part(e, text, cache, EXTRACT_WHOLE, out, &count, err);
    }
    not_json_note(e, cache);
    return rc;
}

/* What came beside the content, else the thoughts at the front of it. A lone </think> counts only if
 * something stands behind it. */
static value_t reasoning_of(const extract_source_t *source, span_t text) {
    think_t think = think_find(text);
    span_t behind = think.behind;
    if (source->reasoning.kind == VALUE_STRING)
        think.thoughts = (span_t){source->reasoning.string->data, source->reasoning.string->len};
    text_trim(&behind.bytes, &behind.len);
    text_trim(&think.thoughts.bytes, &think.thoughts.len);
    if (source->reasoning.kind != VALUE_STRING && think.kind == THINK_LONE && behind.len == 0)
        return value_text("");
    return value_string(think.thoughts.bytes, think.thoughts.len);
}

/* What is no search: the whole of something that the server said. */
static int extract_said(const extract_t *e, const extract_source_t *source, span_t text, value_t *out,
                        err_t *err) {
    value_t said = e->select == SELECT_REASONING       ? reasoning_of(source, text)
                   : e->select == SELECT_FINISH_REASON ? value_text(source->finish_reason)
                                                       : value_ref(source->text);
    int rc = hint_convert(said, e->hint == HINT_NONE ? HINT_STRING : e->hint, out, err);
    value_free(said);
    return rc;
}

/* Neither null nor blank text. */
static bool is_something(value_t v) {
    if (v.kind != VALUE_STRING) return v.kind != VALUE_NULL;
    const char *bytes = v.string->data;
    size_t len = v.string->len;
    text_trim(&bytes, &len);
    return len > 0;
}

int extract_run(const extract_t *e, const extract_source_t *source, extract_cache_t *cache, value_t *out,
                bool *found, err_t *err) {
    *out = value_null();
    *found = false;
    str_t *text = text_of(source->text);
    span_t span = {text->data, text->len};
    bool search = e->select == SELECT_TAG || e->select == SELECT_REGEX || e->select == SELECT_JSONPATH;
    int rc = search ? extract_search(e, span, cache, out, err) : extract_said(e, source, span, out, err);
    if (rc != SDG_OK) value_clear(out);
    *found = is_something(*out);
    str_free(text);
    return rc;
}
