/* extract.c - from an answer to a value.
 *
 * Tags are searched by hand, in one pass: an answer may be megabytes of text with angle brackets that are no
 * tags, and a regular expression over it would run into its step limit. Models tend to leave the closing tag
 * of something else in a hit: a closing tag at either end of a hit is removed when nothing in the hit opens
 * it. */
#include "core/mabel/text/extract.h"

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    STRAYS_MAX = 16,      /* stray closing tags removed from one hit */
    FENCES_MAX = 16,      /* Markdown fences looked into for JSON */
    SHOWN_BYTES_MAX = 60, /* of a value in an error sentence */
};

/* A piece of a text that somebody else owns. */
typedef struct span {
    const char *bytes;
    size_t len;
} span_t;

void extract_free(extract_t *e) {
    str_free(e->tag);
    regex_destroy(&e->regex);
    jsonpath_destroy(&e->path);
    str_free(e->join_with);
    *e = (extract_t){0};
}

void extract_cache_free(extract_cache_t *cache) {
    value_clear(&cache->json);
    cache->tried = false;
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

/* ---- hits in text: the first, or all joined */

typedef struct hits {
    const str_t *join_with; /* NULL: only the first counts */
    buf_t text;
    size_t count;
} hits_t;

/* False when no more hits are wanted. */
static bool add_hit(hits_t *h, const char *bytes, size_t len) {
    if (h->count++ && h->join_with) buf_add(&h->text, h->join_with->data, h->join_with->len);
    buf_add(&h->text, bytes, len);
    return h->join_with && !h->text.full;
}

static int finish_hits(hits_t *h, int rc, value_t *out, err_t *err) {
    if (rc == SDG_OK && h->text.full)
        rc = err_set(err, SDG_ELIMIT, "the hits are longer than %zu bytes", h->text.max);
    *out = rc == SDG_OK ? value_string(h->text.data ? h->text.data : "", h->text.len) : value_null();
    buf_free(&h->text);
    return rc;
}

/* ---- tags */

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

/* Is there `name` at `at`, in any case, and no longer name? */
static bool name_at(const char *at, const char *end, span_t name) {
    if ((size_t)(end - at) < name.len || strncasecmp(at, name.bytes, name.len) != 0) return false;
    return at + name.len == end || !is_name_byte(at[name.len]);
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p;
}

/* Moves *at behind the next <name ...>; false when there is none. Blanks may stand before the name. A
 * self-closing tag is no opening tag. */
static bool next_open(const char **at, const char *end, span_t name) {
    const char *p = *at;
    while ((p = memchr(p, '<', (size_t)(end - p)))) {
        p = skip_blanks(p + 1, end);
        if (!name_at(p, end, name)) continue;
        const char *close = memchr(p, '>', (size_t)(end - p));
        if (!close) return false;
        p = close + 1;
        if (close[-1] == '/') continue;
        *at = p;
        return true;
    }
    return false;
}

/* Where the next </name> begins, and in *behind where it ends; NULL when there is none. */
static const char *next_close(const char *from, const char *end, span_t name, const char **behind) {
    const char *p = from;
    while ((p = memchr(p, '<', (size_t)(end - p)))) {
        const char *start = p;
        p = skip_blanks(p + 1, end);
        if (p == end || *p != '/') continue;
        p = skip_blanks(p + 1, end);
        if (!name_at(p, end, name)) continue;
        p = skip_blanks(p + name.len, end);
        if (p == end || *p != '>') continue;
        *behind = p + 1;
        return start;
    }
    return NULL;
}

/* Are exactly these bytes a closing tag </x>? *name is its name. */
static bool closing_tag(const char *at, const char *end, span_t *name) {
    if (end - at < 4 || at[0] != '<' || at[1] != '/') return false;
    const char *p = at + 2;
    while (p < end && is_name_byte(*p))
        p++;
    *name = (span_t){at + 2, (size_t)(p - at) - 2};
    p = skip_blanks(p, end);
    return name->len > 0 && p + 1 == end && *p == '>';
}

static bool cut_front(span_t *hit) {
    const char *close = memchr(hit->bytes, '>', hit->len);
    span_t name;
    if (!close || !closing_tag(hit->bytes, close + 1, &name)) return false;
    hit->len -= (size_t)(close + 1 - hit->bytes);
    hit->bytes = close + 1;
    return true;
}

/* Are there fewer <name> than </name> before `end`, counting one more </name> behind it? */
static bool unopened(span_t hit, const char *end, span_t name) {
    size_t open = 0, close = 1;
    for (const char *at = hit.bytes; next_open(&at, end, name);)
        open++;
    for (const char *at = hit.bytes, *behind; next_close(at, end, name, &behind); at = behind)
        close++;
    return open < close;
}

static bool cut_back(span_t *hit) {
    const char *end = hit->bytes + hit->len;
    const char *open = hit->len ? memrchr(hit->bytes, '<', hit->len) : NULL;
    span_t name;
    if (!open || !closing_tag(open, end, &name) || !unopened(*hit, open, name)) return false;
    hit->len = (size_t)(open - hit->bytes);
    return true;
}

static void clean(span_t *hit) {
    text_trim(&hit->bytes, &hit->len);
    for (int i = 0; i < STRAYS_MAX && hit->len && (cut_front(hit) || cut_back(hit)); i++)
        text_trim(&hit->bytes, &hit->len);
}

static void find_tags(const extract_t *e, span_t text, hits_t *hits) {
    span_t name = {e->tag->data, e->tag->len};
    const char *at = text.bytes, *end = at + text.len, *behind = NULL;
    while (next_open(&at, end, name)) {
        const char *close = next_close(at, end, name, &behind);
        if (!close) return;
        span_t hit = {at, (size_t)(close - at)};
        clean(&hit);
        if (!add_hit(hits, hit.bytes, hit.len)) return;
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
        if (!add_hit(hits, text.bytes + from, to - from)) return SDG_OK;
    }
    return rc;
}

/* `select: tag` and `select: regex`: the hits as text, then the type hint. */
static int extract_text(const extract_t *e, span_t text, value_t *out, err_t *err) {
    hits_t hits = {.join_with = e->join_with};
    buf_init(&hits.text, MEX_TEXT_BYTES_MAX);
    int rc = SDG_OK;
    if (e->select == SELECT_TAG)
        find_tags(e, text, &hits);
    else
        rc = find_matches(e, text, &hits, err);
    value_t v;
    rc = finish_hits(&hits, rc, &v, err);
    if (rc == SDG_OK) {
        rc = hint_convert(v, e->hint, out, err);
        value_free(v);
    }
    return rc;
}

/* ---- JSONPath */

/* A JSON hit under its hint. With the hint json a JSON string stays text, unless that text is a list or an
 * object written as JSON. */
static int convert_node(value_t v, type_hint_t hint, value_t *out, err_t *err) {
    if (hint != HINT_JSON || v.kind != VALUE_STRING)
        return hint_convert(v, hint == HINT_NONE ? HINT_STRING : hint, out, err);
    value_t parsed;
    bool nested = hint_convert(v, hint, &parsed, NULL) == SDG_OK && parsed.kind >= VALUE_LIST;
    *out = nested ? parsed : value_ref(v);
    if (!nested) value_free(parsed);
    return SDG_OK;
}

/* With join_with all hits become one text; otherwise the first hit keeps its type. */
static int convert_nodes(const extract_t *e, value_t nodes, value_t *out, err_t *err) {
    if (!e->join_with && list_count(nodes) > 0) return convert_node(list_peek(nodes, 0), e->hint, out, err);
    hits_t hits = {.join_with = e->join_with};
    buf_init(&hits.text, MEX_TEXT_BYTES_MAX);
    bool more = true;
    for (size_t i = 0; i < list_count(nodes) && more; i++) {
        str_t *text = text_of(list_peek(nodes, i));
        more = add_hit(&hits, text->data, text->len);
        str_free(text);
    }
    value_t v;
    int rc = finish_hits(&hits, SDG_OK, &v, err);
    if (rc != SDG_OK) return rc;
    rc = hint_convert(v, e->hint, out, err);
    value_free(v);
    return rc;
}

/* The answer as JSON, parsed once per block; false when it is none. */
static bool answer_json(span_t text, extract_cache_t *cache) {
    if (!cache->tried) {
        cache->tried = true;
        cache->is_json = parse_json(text, &cache->json, NULL) == SDG_OK;
    }
    return cache->is_json;
}

static int extract_path(const extract_t *e, span_t text, extract_cache_t *cache, value_t *out, err_t *err) {
    value_t nodes;
    int rc = SDG_OK;
    if (answer_json(text, cache))
        rc = jsonpath_select(e->path, cache->json, &nodes, err);
    else
        nodes = value_list(0);
    if (rc != SDG_OK) return rc;
    rc = convert_nodes(e, nodes, out, err);
    value_free(nodes);
    return rc;
}

/* ---- the whole */

int extract_run(const extract_t *e, value_t answer, extract_cache_t *cache, value_t *out, err_t *err) {
    *out = value_null();
    if (e->select == SELECT_FULL)
        return hint_convert(answer, e->hint == HINT_NONE ? HINT_STRING : e->hint, out, err);
    str_t *text = text_of(answer);
    span_t span = {text->data, text->len};
    int rc = e->select == SELECT_JSONPATH ? extract_path(e, span, cache, out, err)
                                          : extract_text(e, span, out, err);
    if (rc != SDG_OK) value_clear(out);
    str_free(text);
    return rc;
}
