/* mex_text.c - operators on text, regular expressions, conversions.
 *
 * Results are written into one byte stack per thread (the scratch) and copied out once. An operator remembers
 * where its text begins; operators inside it write behind that and are finished before it goes on. */
#include "core/mabel/mex/mex_node.h"

#include "core/base/json.h"
#include "core/base/per_thread.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCRATCH_KEEP = 1 << 20,    /* bytes kept between expressions */
    WRITTEN_BYTES_PER_OP = 4,  /* an operation is about 20 ns, a byte of text form about 5 ns */
    SEARCHED_BYTES_PER_OP = 16 /* bytes that are only looked at are cheaper */
};

/* ---- scratch */

static _Thread_local buf_t *scratch_of_thread;

static void free_scratch(void *arg) {
    buf_free(arg);
    free(arg);
    scratch_of_thread = NULL;
}

buf_t *mex_scratch(void) {
    if (scratch_of_thread) return scratch_of_thread;
    buf_t *b = xmalloc(sizeof *b);
    buf_init(b, 4 * MEX_TEXT_BYTES_MAX);
    per_thread_keep(b, free_scratch);
    return scratch_of_thread = b;
}

void mex_scratch_drop(size_t mark) {
    buf_t *b = mex_scratch();
    b->full = false;
    b->len = mark;
    if (mark == 0 && b->cap > SCRATCH_KEEP) buf_free(b);
}

int mex_scratch_take(const mex_t *m, size_t mark, scope_t *s, value_t *out, err_t *err) {
    buf_t *b = mex_scratch();
    size_t len = b->len - mark;
    int rc = mex_spend(s, len / WRITTEN_BYTES_PER_OP, err);
    if (b->full || len > MEX_TEXT_BYTES_MAX)
        rc = mex_fail(m, SDG_ELIMIT, err, "a text of more than %zu bytes", MEX_TEXT_BYTES_MAX);
    if (rc == SDG_OK) *out = value_string(len ? b->data + mark : "", len);
    mex_scratch_drop(mark);
    return rc;
}

/* ---- operands as text */

/* The text form of a value that is no text. */
static int text_form(const mex_t *m, value_t take, scope_t *s, str_t **out, err_t *err) {
    size_t mark = mex_scratch()->len;
    text_write(mex_scratch(), take);
    value_free(take);
    value_t v;
    int rc = mex_scratch_take(m, mark, s, &v, err);
    if (rc == SDG_OK) *out = v.string;
    return rc;
}

int mex_text_of(const mex_t *m, size_t arg, scope_t *s, str_t **out, err_t *err) {
    value_t v;
    if (!m->args[arg]) {
        *out = str_new("", 0);
        return SDG_OK;
    }
    int rc = mex_value_of(m->args[arg], s, &v, err);
    if (rc != SDG_OK || v.kind != VALUE_STRING) return rc == SDG_OK ? text_form(m, v, s, out, err) : rc;
    *out = v.string;
    return SDG_OK;
}

/* Two text operands; both owned. */
static int texts_of(const mex_t *m, scope_t *s, str_t **a, str_t **b, err_t *err) {
    int rc = mex_text_of(m, 0, s, a, err);
    if (rc != SDG_OK) return rc;
    rc = mex_text_of(m, 1, s, b, err);
    if (rc != SDG_OK) str_free(*a);
    return rc;
}

/* ---- building */

/* The text forms of all operands, one behind the other. */
int mex_run_concat(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    mex_operands_t o;
    int rc = mex_operands_open(&o, m, s, err);
    if (rc != SDG_OK) return rc;
    buf_t *b = mex_scratch();
    size_t mark = b->len;
    for (size_t i = 0; i < o.count && rc == SDG_OK; i++) {
        value_t v;
        rc = mex_operand(&o, i, &v);
        if (rc != SDG_OK) break;
        text_write(b, v);
        value_free(v);
    }
    mex_operands_close(&o);
    if (rc == SDG_OK) return mex_scratch_take(m, mark, s, out, err);
    mex_scratch_drop(mark);
    return rc;
}

/* The text forms of all elements with the separator between them. */
int mex_run_join(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t list;
    str_t *sep;
    int rc = mex_list_of(m, 0, s, &list, err);
    if (rc != SDG_OK) return rc;
    rc = mex_text_of(m, 1, s, &sep, err);
    if (rc == SDG_OK) {
        buf_t *b = mex_scratch();
        size_t mark = b->len;
        for (size_t i = 0; i < list_count(list) && !b->full; i++) {
            if (i) buf_add(b, sep->data, sep->len);
            text_write(b, list_peek(list, i));
        }
        rc = mex_scratch_take(m, mark, s, out, err);
        str_free(sep);
    }
    value_free(list);
    return rc;
}

/* Python's replace: an empty `old` stands before each character and at the end. */
static void write_replaced(buf_t *b, const str_t *text, const str_t *old, const str_t *with) {
    const char *at = text->data, *end = at + text->len;
    while (at < end && !b->full) {
        const char *hit = old->len ? memmem(at, (size_t)(end - at), old->data, old->len) : at;
        if (!hit) break;
        buf_add(b, at, (size_t)(hit - at));
        buf_add(b, with->data, with->len);
        at = hit + old->len;
        if (old->len) continue;
        size_t step = utf8_offset(at, (size_t)(end - at), 1);
        buf_add(b, at, step);
        at += step;
    }
    buf_add(b, at, (size_t)(end - at));
    if (old->len == 0) buf_add(b, with->data, with->len);
}

/* All occurrences, as Python does it. */
int mex_run_replace(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    str_t *text, *old, *with;
    int rc = texts_of(m, s, &text, &old, err);
    if (rc != SDG_OK) return rc;
    rc = mex_text_of(m, 2, s, &with, err);
    if (rc == SDG_OK) {
        size_t mark = mex_scratch()->len;
        write_replaced(mex_scratch(), text, old, with);
        rc = mex_scratch_take(m, mark, s, out, err);
        str_free(with);
    }
    str_free(text);
    str_free(old);
    return rc;
}

static int run_case_change(const mex_t *m, scope_t *s, void (*change)(buf_t *, const char *, size_t),
                           value_t *out, err_t *err) {
    str_t *text;
    int rc = mex_text_of(m, 0, s, &text, err);
    if (rc != SDG_OK) return rc;
    size_t mark = mex_scratch()->len;
    change(mex_scratch(), text->data, text->len);
    str_free(text);
    return mex_scratch_take(m, mark, s, out, err);
}

int mex_run_lower(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_case_change(m, s, text_lower, out, err);
}
int mex_run_upper(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    return run_case_change(m, s, text_upper, out, err);
}

int mex_run_trim(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    str_t *text;
    int rc = mex_text_of(m, 0, s, &text, err);
    if (rc != SDG_OK) return rc;
    const char *bytes = text->data;
    size_t len = text->len;
    text_trim(&bytes, &len);
    *out = len == text->len ? value_from_str(str_ref(text)) : value_string(bytes, len);
    str_free(text);
    return SDG_OK;
}

/* ---- taking apart */

static int push_part(const mex_t *m, value_t *list, const char *bytes, size_t len, err_t *err) {
    if (list_count(*list) == MEX_LIST_MAX)
        return mex_fail(m, SDG_ELIMIT, err, "a list of more than %d elements", MEX_LIST_MAX);
    list_push(list, value_string(bytes, len));
    return SDG_OK;
}

static int split_at(const mex_t *m, const str_t *text, const str_t *sep, value_t *list, err_t *err) {
    const char *at = text->data, *end = at + text->len, *hit;
    int rc = SDG_OK;
    while (rc == SDG_OK && (hit = memmem(at, (size_t)(end - at), sep->data, sep->len))) {
        rc = push_part(m, list, at, (size_t)(hit - at), err);
        at = hit + sep->len;
    }
    return rc == SDG_OK ? push_part(m, list, at, (size_t)(end - at), err) : rc;
}

/* Length of the white space (want true) or of the word at the start, by the rule of text_trim. */
static size_t run_length(const char *at, size_t len, bool want) {
    size_t n = 0;
    while (n < len) {
        size_t step = utf8_offset(at + n, len - n, 1), left = step;
        const char *one = at + n;
        text_trim(&one, &left);
        if ((left == 0) != want) break;
        n += step;
    }
    return n;
}

/* Words between white space, as Python's split() without a separator. */
static int split_words(const mex_t *m, const str_t *text, value_t *list, err_t *err) {
    const char *at = text->data;
    size_t len = text->len;
    int rc = SDG_OK;
    while (rc == SDG_OK) {
        size_t space = run_length(at, len, true);
        at += space;
        len -= space;
        if (len == 0) break;
        size_t word = run_length(at, len, false);
        rc = push_part(m, list, at, word, err);
        at += word;
        len -= word;
    }
    return rc;
}

/* By the separator; without one, into words. */
int mex_run_split(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    str_t *text, *sep;
    int rc = texts_of(m, s, &text, &sep, err);
    if (rc != SDG_OK) return rc;
    value_t list = value_list(0);
    if (!m->args[1])
        rc = split_words(m, text, &list, err);
    else if (sep->len == 0)
        rc = mex_fail(m, SDG_EINVAL, err, "the separator is empty");
    else
        rc = split_at(m, text, sep, &list, err);
    if (rc == SDG_OK) rc = mex_spend(s, list_count(list) + text->len / SEARCHED_BYTES_PER_OP, err);
    if (rc == SDG_OK)
        *out = list;
    else
        value_free(list);
    str_free(text);
    str_free(sep);
    return rc;
}

int mex_run_starts_with(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    str_t *text, *part;
    int rc = texts_of(m, s, &text, &part, err);
    if (rc != SDG_OK) return rc;
    *out = value_bool(part->len <= text->len && memcmp(text->data, part->data, part->len) == 0);
    str_free(text);
    str_free(part);
    return SDG_OK;
}

int mex_run_ends_with(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    str_t *text, *part;
    int rc = texts_of(m, s, &text, &part, err);
    if (rc != SDG_OK) return rc;
    *out = value_bool(part->len <= text->len &&
                      memcmp(text->data + text->len - part->len, part->data, part->len) == 0);
    str_free(text);
    str_free(part);
    return SDG_OK;
}

/* ---- regular expressions */

typedef struct search {
    str_t *text;   /* owned */
    pattern_t *re; /* borrowed: of the node or of the thread's cache */
} search_t;

/* Evaluates text and pattern. Nothing may be evaluated between this and the search: a computed pattern is
 * borrowed from the thread's cache until its next use. */
static int open_search(const mex_t *m, scope_t *s, search_t *search, err_t *err) {
    str_t *pattern;
    search->re = m->regex;
    if (m->regex) return mex_text_of(m, 0, s, &search->text, err);
    int rc = texts_of(m, s, &search->text, &pattern, err);
    if (rc != SDG_OK) return rc;
    err_t why = {.code = SDG_EINVAL};
    search->re = regex_cached(pattern->data, pattern->len, 0, &why);
    str_free(pattern);
    if (search->re) return SDG_OK;
    str_free(search->text);
    return mex_fail(m, why.code, err, "%s", why.text);
}

static int end_search(const mex_t *m, search_t *search, scope_t *s, int rc, err_t *err) {
    uint64_t work = search->text->len / SEARCHED_BYTES_PER_OP;
    str_free(search->text);
    if (rc < 0) {
        err_prefix(err, "%s", m->op->name);
        return rc;
    }
    return mex_spend(s, work, err);
}

int mex_run_regex_match(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    search_t search;
    size_t span[2];
    int rc = open_search(m, s, &search, err);
    if (rc != SDG_OK) return rc;
    rc = regex_match(search.re, search.text->data, search.text->len, 0, span, 2, err);
    *out = value_bool(rc > 0);
    return end_search(m, &search, s, rc, err);
}

/* The hit at index, which may count from the end; null when there is none. */
static value_t hit_at(value_t take_list, int64_t index) {
    int64_t count = (int64_t)list_count(take_list);
    if (index < 0) index += count;
    value_t v = index >= 0 && index < count ? value_ref(list_peek(take_list, (size_t)index)) : value_null();
    value_free(take_list);
    return v;
}

/* All hits as a list, or the hit at `index`, for which no more hits than needed are searched. */
int mex_run_regex_extract(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    search_t search;
    int64_t index = 0;
    bool given = false;
    value_t hits;
    int rc = mex_index_of(m, 2, s, &index, &given, err);
    if (rc == SDG_OK) rc = open_search(m, s, &search, err);
    if (rc != SDG_OK) return rc;
    size_t most = given && index >= 0 && index < MEX_LIST_MAX ? (size_t)index + 1 : MEX_LIST_MAX + 1;
    rc = regex_findall(search.re, search.text->data, search.text->len, most, &hits, err);
    rc = end_search(m, &search, s, rc, err);
    if (rc == SDG_OK && list_count(hits) > MEX_LIST_MAX)
        rc = mex_fail(m, SDG_ELIMIT, err, "a list of more than %d elements", MEX_LIST_MAX);
    if (rc == SDG_OK) rc = mex_spend(s, list_count(hits), err);
    if (rc == SDG_OK)
        *out = given ? hit_at(hits, index) : hits;
    else
        value_free(hits);
    return rc;
}

/* The replacement is evaluated before the pattern: see open_search. */
int mex_run_regex_replace(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    search_t search;
    str_t *with;
    int rc = mex_text_of(m, 2, s, &with, err);
    if (rc != SDG_OK) return rc;
    rc = open_search(m, s, &search, err);
    if (rc == SDG_OK) {
        value_t v;
        rc = regex_replace(search.re, search.text->data, search.text->len, with->data, with->len, &v, err);
        rc = end_search(m, &search, s, rc, err);
        if (rc == SDG_OK)
            *out = v;
        else
            value_free(v);
    }
    str_free(with);
    return rc;
}

/* ---- conversions */

int mex_run_to_string(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK || v.kind == VALUE_STRING) {
        if (rc == SDG_OK) *out = v;
        return rc;
    }
    size_t mark = mex_scratch()->len;
    text_write(mex_scratch(), v);
    value_free(v);
    return mex_scratch_take(m, mark, s, out, err);
}

int mex_run_to_boolean(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    bool yes;
    int rc = mex_truth_of(m->args[0], s, &yes, err);
    if (rc == SDG_OK) *out = value_bool(yes);
    return rc;
}

int mex_run_stringify(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    size_t mark = mex_scratch()->len;
    json_write(mex_scratch(), v, JSON_PYTHON);
    value_free(v);
    return mex_scratch_take(m, mark, s, out, err);
}

/* A list or an object is parsed already; the text form of anything else is parsed. */
int mex_run_parse_json(const mex_t *m, scope_t *s, value_t *out, err_t *err) {
    value_t v;
    int rc = mex_value_of(m->args[0], s, &v, err);
    if (rc != SDG_OK) return rc;
    if (v.kind == VALUE_LIST || v.kind == VALUE_OBJECT) { /* already parsed */
        *out = v;
        return SDG_OK;
    }
    str_t *text = v.string;
    if (v.kind != VALUE_STRING) rc = text_form(m, v, s, &text, err);
    if (rc != SDG_OK) return rc;
    value_t parsed;
    rc = json_parse_text(text->data, text->len, &parsed, err);
    if (rc == SDG_OK)
        *out = parsed;
    else
        err_prefix(err, "parse_json");
    /* An overrun shows at the next operation. */
    if (rc == SDG_OK) mex_spend(s, text->len / SEARCHED_BYTES_PER_OP, NULL);
    str_free(text);
    return rc;
}
