/* lines.c - see lines.h.
 *
 *     block: [ given ........ | unfinished line ........ | room ]
 *                             at             scanned     len     cap
 *
 * `scanned` remembers how far the unfinished line was searched, so a line that comes in a thousand pieces is
 * searched once.
 */
#include "core/data/lines.h"

#include "core/data/limits.h"

#include <stdlib.h>
#include <string.h>

struct lines {
    stream_t *stream; /* borrowed */
    size_t line_max;
    char *block; /* owned */
    size_t cap, at, scanned, len;
    uint64_t number;      /* lines given so far */
    uint64_t block_start; /* place of block[0] in the text */
    bool skipping;        /* inside a line that is too long */
    bool ended;
};

lines_t *lines_new(stream_t *stream, size_t line_bytes_max) {
    lines_t *l = xcalloc(1, sizeof *l);
    l->stream = stream;
    l->line_max = line_bytes_max;
    l->cap = DATA_READ_BYTES;
    l->block = xmalloc(l->cap);
    return l;
}

void lines_destroy(lines_t **lines) {
    if (!*lines) return;
    free((*lines)->block);
    free(*lines);
    *lines = NULL;
}

size_t bom_length(const char *bytes, size_t len) {
    size_t n = strlen(UTF8_BOM);
    return len >= n && memcmp(bytes, UTF8_BOM, n) == 0 ? n : 0;
}

bool line_blank(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != ' ' && bytes[i] != '\t' && bytes[i] != '\r' && bytes[i] != '\n') return false;
    return true;
}

/* Moves the unfinished line to the front of a block with room behind it. */
static void make_room(lines_t *l) {
    size_t kept = l->len - l->at;
    memmove(l->block, l->block + l->at, kept);
    l->block_start += l->at;
    l->scanned -= l->at;
    l->len = kept;
    l->at = 0;
    size_t cap = l->cap;
    if (cap - kept < DATA_READ_BYTES / 2) cap *= 2;
    if (kept < DATA_READ_BYTES / 2) cap = DATA_READ_BYTES;
    if (cap != l->cap) l->block = xrealloc(l->block, cap);
    l->cap = cap;
}

/* Reads more behind the unfinished line. 1, 0 at the end of the stream, negative on failure. */
static int read_more(lines_t *l, err_t *err) {
    if (l->skipping) l->at = l->len;
    make_room(l);
    ssize_t n = stream_read(l->stream, l->block + l->len, l->cap - l->len, err);
    if (n <= 0) return (int)n;
    l->len += (size_t)n;
    return 1;
}

static int give(lines_t *l, text_line_t *line, size_t end, bool whole) {
    size_t len = end - l->at;
    bool too_long = l->skipping || len > l->line_max;
    *line = (text_line_t){.bytes = too_long ? NULL : l->block + l->at,
                          .len = too_long ? 0 : len,
                          .number = ++l->number,
                          .end = l->block_start + end + whole,
                          .whole = whole,
                          .too_long = too_long};
    l->at = l->scanned = end + whole;
    l->skipping = false;
    return 1;
}

/* What comes before the end of the stream without a newline is the last line, given once. */
int lines_next(lines_t *l, text_line_t *line, err_t *err) {
    for (;;) {
        char *newline = l->len > l->scanned ? memchr(l->block + l->scanned, '\n', l->len - l->scanned) : NULL;
        if (newline) return give(l, line, (size_t)(newline - l->block), true);
        l->scanned = l->len;
        if (l->len - l->at > l->line_max) l->skipping = true;
        int rc = l->ended ? 0 : read_more(l, err);
        if (rc < 0) return rc;
        if (rc == 0 && !l->ended && (l->skipping || l->len > l->at)) {
            l->ended = true;
            return give(l, line, l->len, false);
        }
        if (rc == 0) return 0;
    }
}

uint64_t lines_given(const lines_t *l) { return l->block_start + l->at; }

const char *lines_rest_peek(const lines_t *l, size_t *len) {
    *len = l->len - l->at;
    return l->block + l->at;
}
