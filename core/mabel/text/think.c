/* think.c - see think.h. */
#include "core/mabel/text/think.h"

#include <string.h>
#include <strings.h>

#include "core/base/text.h"

static const span_t NAME = {"think", 5};

bool think_is_name(span_t name) {
    return name.len == NAME.len && strncasecmp(name.bytes, NAME.bytes, NAME.len) == 0;
}

/* Where the last </think> begins, and in *behind where it ends; NULL when there is none. */
static const char *last_close(const char *from, const char *end, const char **behind) {
    const char *last = NULL, *next;
    for (const char *at = from, *close; (close = tags_next_close(at, end, NAME, &next)); at = next) {
        last = close;
        *behind = next;
    }
    return last;
}

/* Behind an opening tag at the very front of the text; NULL when it begins otherwise. */
static const char *behind_open(span_t text) {
    const char *at = text.bytes, *end = text.bytes + text.len;
    text_trim(&text.bytes, &text.len);
    if (text.len == 0 || text.bytes[0] != '<') return NULL;
    at = text.bytes;
    if (!tags_next_open(&at, end, NAME)) return NULL;
    const char *second = memchr(text.bytes + 1, '<', text.len - 1);
    return second && second < at ? NULL : at; /* the tag found is not the one at the front */
}

think_t think_find(span_t text) {
    const char *end = text.bytes + text.len, *behind = NULL;
    const char *open = behind_open(text);
    const char *from = open ? open : text.bytes;
    const char *close = last_close(from, end, &behind);
    if (!close && !open) return (think_t){THINK_NONE, {text.bytes, 0}, text};
    if (!close) return (think_t){THINK_ENDLESS, {open, (size_t)(end - open)}, {end, 0}};
    think_t think = {
        open ? THINK_BLOCK : THINK_LONE, {from, (size_t)(close - from)}, {behind, (size_t)(end - behind)}};
    if (open) return think;
    const char *first_behind, *at = text.bytes;
    const char *first = tags_next_close(text.bytes, end, NAME, &first_behind);
    bool opened = tags_next_open(&at, first, NAME);
    return opened ? (think_t){THINK_NONE, {text.bytes, 0}, text} : think;
}
