/* logic_list.c - where `for` and `reduce` get their elements from.
 *
 * A list is taken as it is; null is no elements; an object or any other scalar is one element; text is split
 * by `parse`, or without it at commas and trimmed (for), or into lines (reduce). A text without placeholders
 * is a name first. Where nothing has that name in this row, a bare name is no elements, and any other text is
 * itself.
 */
#include "core/mabel/logic/logic_ops.h"

#include "core/base/json.h"
#include "core/base/text.h"
#include "core/mabel/text/limits.h"

#include <string.h>

enum { OPS_PER_FUEL = 8 }; /* MEX operations that cost as much as one step of logic */

static void fuel_spend(uint32_t *fuel, uint64_t ops) {
    uint64_t cost = ops / OPS_PER_FUEL;
    *fuel = cost >= *fuel ? 0 : *fuel - (uint32_t)cost;
}

int logic_eval(const mex_t *m, scope_t *scope, uint32_t *fuel, value_t *out, err_t *err) {
    scope->ops = 0;
    int rc = mex_eval(m, scope, out, err);
    fuel_spend(fuel, scope->ops);
    return rc;
}

int logic_eval_bool(const mex_t *m, scope_t *scope, uint32_t *fuel, bool *out, err_t *err) {
    scope->ops = 0;
    int rc = mex_eval_bool(m, scope, out, err);
    fuel_spend(fuel, scope->ops);
    return rc;
}

/* ---- text to elements */

static void push_trimmed(value_t *list, const char *text, size_t len) {
    text_trim(&text, &len);
    list_push(list, value_string(text, len));
}

static void split_commas(const char *text, size_t len, value_t *out) {
    const char *end = text + len;
    for (const char *at = text; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        push_trimmed(out, at, (size_t)(stop - at));
        at = stop + 1;
    }
}

/* Lines end at \n or \r\n. Each is stripped as str.strip of Python does, and empty ones are dropped. */
static void split_lines(const char *text, size_t len, value_t *out) {
    const char *end = text + len;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        const char *line = at;
        size_t left = (size_t)(stop - at);
        text_trim(&line, &left);
        if (left) list_push(out, value_string(line, left));
        at = stop + 1;
    }
}

/* Reads a field that begins with a quote; "" in it is a quote. Returns the offset behind the field. */
static size_t csv_quoted(const char *text, size_t len, size_t at, value_t *out) {
    buf_t field;
    buf_init(&field, len);
    size_t i = at + 1;
    for (; i < len; i++) {
        if (text[i] != '"')
            buf_addc(&field, text[i]);
        else if (i + 1 < len && text[i + 1] == '"')
            buf_addc(&field, text[i++]);
        else
            break;
    }
    while (i < len && text[i] != ',' && text[i] != '\n')
        i++;
    list_push(out, value_string(field.data ? field.data : "", field.len));
    buf_free(&field);
    return i;
}

/* All fields of all lines in one list; fields without quotes are trimmed. */
static void split_csv(const char *text, size_t len, value_t *out) {
    size_t i = 0;
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    while (i <= len) {
        while (i < len && text[i] == ' ')
            i++;
        if (i < len && text[i] == '"') {
            i = csv_quoted(text, len, i, out);
        } else {
            size_t start = i;
            while (i < len && text[i] != ',' && text[i] != '\n')
                i++;
            push_trimmed(out, text + start, i - start);
        }
        i++;
    }
}

/* Takes a Markdown fence off the text, because models put one around JSON: ```json ... ```. */
static void strip_fence(const char **text, size_t *len) {
    text_trim(text, len);
    if (*len < 6 || memcmp(*text, "```", 3) != 0 || memcmp(*text + *len - 3, "```", 3) != 0) return;
    const char *line = memchr(*text, '\n', *len - 3);
    if (!line) return;
    *len = (size_t)(*text + *len - 3 - (line + 1));
    *text = line + 1;
    text_trim(text, len);
}

static int split_json(const char *text, size_t len, value_t *out, err_t *err) {
    value_t v;
    strip_fence(&text, &len);
    if (json_parse_text(text, len, &v, err) < 0) return err_prefix(err, "list is not JSON");
    if (v.kind == VALUE_LIST)
        value_replace(out, v);
    else
        list_push(out, v);
    return SDG_OK;
}

/* The elements of a text; *out is a list, or null after a regex that failed. */
static int split_text(const list_source_t *s, value_t text, value_t *out, err_t *err) {
    const char *bytes = text.string->data;
    size_t len = text.string->len;
    *out = value_list(8);
    switch (s->parse) {
    case PARSE_COMMAS: {
        const char *trimmed = bytes;
        size_t left = len;
        text_trim(&trimmed, &left);
        if (left) split_commas(bytes, len, out);
        return SDG_OK;
    }
    case PARSE_LINES: split_lines(bytes, len, out); return SDG_OK;
    case PARSE_CSV:
        if (len) split_csv(bytes, len, out);
        return SDG_OK;
    case PARSE_JSON: return split_json(bytes, len, out, err);
    case PARSE_REGEX: value_clear(out); return regex_findall(s->regex, bytes, len, MEX_LIST_MAX, out, err);
    }
    return SDG_OK;
}

/* ---- the source */

static int source_value(const list_source_t *s, scope_t *scope, uint32_t *fuel, value_t *out, err_t *err) {
    bool found = false;
    if (s->expr) return logic_eval(s->expr, scope, fuel, out, err);
    *out = value_null();
    if (s->ref.whole) {
        const value_t *named = dotted_find(&s->ref, scope, scope_find);
        if (named)
            *out = value_ref(*named);
        else if (!s->is_name)
            *out = value_from_str(str_ref(s->ref.whole));
        return SDG_OK;
    }
    if (!s->text) return SDG_OK;
    return template_value(s->text, scope, TEMPLATE_EMPTY, out, &found, err);
}

static bool is_blank(value_t v) {
    if (v.kind == VALUE_NULL) return true;
    if (v.kind != VALUE_STRING) return false;
    const char *text = v.string->data;
    size_t len = v.string->len;
    text_trim(&text, &len);
    return len == 0;
}

static void drop_blank(value_t *list) {
    value_t kept = value_list(list_count(*list));
    for (size_t i = 0; i < list_count(*list); i++)
        if (!is_blank(list_peek(*list, i))) list_push(&kept, value_ref(list_peek(*list, i)));
    value_replace(list, kept);
}

/* *out is null after an error. */
int list_source_get(const list_source_t *source, scope_t *scope, uint32_t *fuel, value_t *out, err_t *err) {
    value_t v;
    int rc = source_value(source, scope, fuel, &v, err);
    if (rc < 0) {
        *out = value_null();
        return rc;
    }
    if (v.kind == VALUE_LIST) {
        *out = v;
    } else if (v.kind == VALUE_STRING) {
        rc = split_text(source, v, out, err);
        value_free(v);
        if (rc < 0) {
            value_clear(out);
            return rc;
        }
    } else {
        *out = value_list(1);
        if (v.kind != VALUE_NULL) list_push(out, v);
    }
    if (source->drop_empty) drop_blank(out);
    return SDG_OK;
}

void list_source_free(list_source_t *source) {
    mex_destroy(&source->expr);
    template_destroy(&source->text);
    dotted_free(&source->ref);
    regex_destroy(&source->regex);
}
