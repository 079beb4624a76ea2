/* mock_tags.c - see mock_tags.h. */
#include "actors/mock/mock_tags.h"

#include <stdio.h>
#include <string.h>

#include "actors/mock/limits.h"
#include "core/base/text.h"

typedef struct tag_name {
    const char *text; /* borrowed from the message */
    size_t len;
} tag_name_t;

typedef struct tag_names {
    tag_name_t items[MOCK_TAGS_MAX];
    size_t count;
} tag_names_t;

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_name_byte(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

/* The length of the tag that begins here, with its brackets ("<q>", "</q>"); 0: it is none. */
static size_t tag_length(const char *at, const char *end, tag_name_t *name, bool *closing) {
    const char *p = at + 1;
    if (at == end || *at != '<') return 0;
    *closing = p < end && *p == '/';
    if (*closing) p++;
    name->text = p;
    while (p < end && is_name_byte(*p))
        p++;
    name->len = (size_t)(p - name->text);
    if (name->len == 0 || name->len > MOCK_TAG_BYTES_MAX || !is_letter(name->text[0])) return 0;
    return p < end && *p == '>' ? (size_t)(p + 1 - at) : 0;
}

static bool speaks_of_tags(const str_t *text) {
    return memmem(text->data, text->len, "tag", 3) || memmem(text->data, text->len, "タグ", strlen("タグ"));
}

static bool is_closed(const str_t *text, tag_name_t name) {
    char closing[MOCK_TAG_BYTES_MAX + 4];
    int len = snprintf(closing, sizeof closing, "</%.*s>", (int)name.len, name.text);
    return memmem(text->data, text->len, closing, (size_t)len);
}

static bool is_known(const tag_names_t *names, tag_name_t name) {
    for (size_t i = 0; i < names->count; i++) {
        const tag_name_t *known = &names->items[i];
        if (known->len == name.len && memcmp(known->text, name.text, name.len) == 0) return true;
    }
    return false;
}

static void names_collect(tag_names_t *names, const str_t *text) {
    const char *end = text->data + text->len;
    bool any = speaks_of_tags(text), closing;
    tag_name_t name;
    for (const char *at = text->data; at < end && names->count < MOCK_TAGS_MAX; at++) {
        if (tag_length(at, end, &name, &closing) == 0 || closing || is_known(names, name)) continue;
        if (any || is_closed(text, name)) names->items[names->count++] = name;
    }
}

/* The beginning of the question in one line, without tags. */
static void write_question(buf_t *out, const str_t *text) {
    const char *at = text->data, *end = at + utf8_offset(text->data, text->len, MOCK_TAG_QUESTION_MAX);
    tag_name_t name;
    bool closing;
    while (at < end) {
        size_t tag = tag_length(at, end, &name, &closing);
        if (tag == 0) buf_addc(out, *at == '\n' || *at == '\r' ? ' ' : *at);
        at += tag ? tag : 1;
    }
}

bool mock_tags_write(buf_t *out, const mock_view_t *view) {
    tag_names_t names = {.count = 0};
    names_collect(&names, view->system);
    names_collect(&names, view->user);
    for (size_t i = 0; i < names.count; i++) {
        int len = (int)names.items[i].len;
        const char *name = names.items[i].text;
        buf_addf(out, "%s<%.*s>simulated %.*s: ", i > 0 ? "\n" : "", len, name, len, name);
        write_question(out, view->user);
        buf_addf(out, "</%.*s>", len, name);
    }
    return names.count > 0;
}
