/* tags.c - see tags.h.
 *
 * Tags are searched by hand, in one pass: an answer may be megabytes of text with angle brackets that are no
 * tags, and a regular expression over it would run into its step limit. Models tend to leave the closing tag
 * of something else in a hit: a closing tag at either end of a hit is removed when nothing in the hit opens
 * it. */
#include "core/mabel/text/tags.h"

#include "core/base/text.h"

#include <string.h>
#include <strings.h>

enum { STRAYS_MAX = 16 }; /* stray closing tags removed from one hit */

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

bool tags_next_open(const char **at, const char *end, span_t name) {
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

const char *tags_next_close(const char *from, const char *end, span_t name, const char **behind) {
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
    for (const char *at = hit.bytes; tags_next_open(&at, end, name);)
        open++;
    for (const char *at = hit.bytes, *behind; tags_next_close(at, end, name, &behind); at = behind)
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

void tags_clean(span_t *hit) {
    text_trim(&hit->bytes, &hit->len);
    for (int i = 0; i < STRAYS_MAX && hit->len && (cut_front(hit) || cut_back(hit)); i++)
        text_trim(&hit->bytes, &hit->len);
}
