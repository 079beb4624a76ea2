/* diag.c - collecting the problems of a file and showing them.
 *
 * Problems arrive in whatever order the loader meets them and are shown in file order, each with its source
 * line and a caret. Columns are counted in characters, as libyaml does; the caret is placed in terminal
 * cells, where East Asian wide characters take two. When the table is full, an error takes the place of
 * something less serious, so that what made a file fail is always shown.
 */
#include "core/mabel/yaml/diag.h"

#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/base/secrets.h"
#include "core/base/text.h"
#include "core/mabel/yaml/limits.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_CELLS_MAX = 120,   /* of a shown source line */
    LINE_BEFORE_CARET = 80, /* cells kept before the caret of a longer line */
    WORD_MAX = 63,          /* longer words have no "did you mean" */
};

/* ---- paths */

void ypath_write(buf_t *out, const ypath_t *path) {
    if (!path) return;
    ypath_write(out, path->up);
    if (!path->key)
        buf_addf(out, "[%zu]", path->index);
    else
        buf_addf(out, path->up ? ".%s" : "%s", path->key);
}

/* ---- collecting */

void diags_init(diags_t *d, const char *file, const char *source, size_t len) {
    *d = (diags_t){.file = xstrdup(file), .source = source, .source_len = source ? len : 0};
}

static void item_clear(diag_t *item) {
    free(item->path);
    free(item->message);
    *item = (diag_t){0};
}

void diags_free(diags_t *d) {
    for (size_t i = 0; i < d->count; i++)
        item_clear(&d->items[i]);
    free(d->items);
    free(d->file);
    *d = (diags_t){0};
}

/* The slot for a new problem, or NULL when there is no room for one of this level. */
static diag_t *item_slot(diags_t *d, diag_level_t level) {
    if (d->count < DIAG_MAX) {
        GROW(d->items, d->cap, d->count + 1);
        return &d->items[d->count++];
    }
    d->dropped++;
    for (size_t i = d->count; i-- > 0;) {
        if (d->items[i].level < level) {
            item_clear(&d->items[i]);
            return &d->items[i];
        }
    }
    return NULL;
}

static char *path_text(const ypath_t *path) {
    buf_t b;
    buf_init(&b, DIAG_MESSAGE_BYTES_MAX);
    ypath_write(&b, path);
    return buf_take(&b, NULL);
}

void diag_add(diags_t *d, diag_level_t level, uint32_t line, uint32_t col, const ypath_t *path,
              const char *fmt, ...) {
    if (level == DIAG_ERROR) d->errors++;
    if (level == DIAG_WARNING) d->warnings++;
    diag_t *item = item_slot(d, level);
    if (!item) return;
    char message[DIAG_MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    secrets_hide(message, strlen(message));
    *item = (diag_t){level, line, col, path_text(path), xstrdup(message)};
}

void diags_raise(diags_t *d) {
    d->errors += d->warnings;
    d->warnings = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].level == DIAG_WARNING) d->items[i].level = DIAG_ERROR;
}

/* ---- showing */

static const char *level_name(diag_level_t level) {
    static const char *const names[] = {"hint", "warning", "error"};
    return names[level];
}

/* Terminal cells of a character: 2 for the East Asian wide ranges, else 1. */
static size_t cells_of(uint32_t c) {
    bool wide =
        (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
        (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
        (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}

typedef struct line_text {
    const char *bytes;
    size_t len;
} line_text_t;

/* Line number `line` (1-based) of the source, without its end; false when there is no such line. */
static bool source_line(const diags_t *d, uint32_t line, line_text_t *out) {
    const char *p = d->source, *end = d->source + d->source_len;
    if (!p || line == 0) return false;
    for (uint32_t n = 1; n < line; n++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p) return false;
        p++;
    }
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    size_t len = (size_t)((stop ? stop : end) - p);
    if (len > 0 && p[len - 1] == '\r') len--;
    *out = (line_text_t){p, len};
    return true;
}

/* The bytes of the character at `at`; *cells is its width. An invalid byte counts as a character of one cell.
 */
static size_t char_at(line_text_t s, size_t at, size_t *cells) {
    uint32_t c = 0;
    int n = utf8_decode(s.bytes + at, s.len - at, &c);
    *cells = n > 0 ? cells_of(c) : 1;
    return n > 0 ? (size_t)n : 1;
}

/* The bytes of the first `chars` characters; *cells is their width. */
static size_t chars_span(line_text_t s, size_t chars, size_t *cells) {
    size_t at = 0, n;
    *cells = 0;
    for (; chars > 0 && at < s.len; chars--) {
        at += char_at(s, at, &n);
        *cells += n;
    }
    return at;
}

/* Cuts the line to what fits, with the caret in it; returns the cells before the caret. */
static size_t fit_line(line_text_t *line, size_t caret_chars, bool *cut_front, bool *cut_back) {
    size_t cells, n;
    size_t caret = chars_span(*line, caret_chars, &cells);
    size_t at = 0;
    while (cells > LINE_BEFORE_CARET && at < caret) {
        at += char_at(*line, at, &n);
        cells -= n;
    }
    *cut_front = at > 0;
    line->bytes += at;
    line->len -= at;
    size_t end = 0, width = 0;
    while (end < line->len) {
        size_t used = char_at(*line, end, &n);
        if (width + n > LINE_CELLS_MAX) break;
        width += n;
        end += used;
    }
    *cut_back = end < line->len;
    line->len = end;
    return cells;
}

static void write_shown(buf_t *out, line_text_t line) {
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.bytes[i];
        buf_addc(out, c < 0x20 || c == 0x7F ? ' ' : (char)c);
    }
}

/* The source line without its indentation and secrets, cut to the width of a terminal, and a caret under the
 * place. Nothing is written when the place or the source is not known. */
static void write_caret(const diags_t *d, const diag_t *item, buf_t *out) {
    line_text_t line;
    if (item->col == 0 || !source_line(d, item->line, &line)) return;
    char *hidden = xstrndup(line.bytes, line.len);
    line.len = strlen(hidden);
    secrets_hide(hidden, line.len);
    line.bytes = hidden;
    size_t indent = 0;
    while (indent < line.len && indent + 1 < item->col &&
           (line.bytes[indent] == ' ' || line.bytes[indent] == '\t'))
        indent++;
    line.bytes += indent;
    line.len -= indent;
    bool cut_front, cut_back;
    size_t cells = fit_line(&line, item->col - 1 - indent, &cut_front, &cut_back);
    buf_adds(out, cut_front ? " ..." : "    ");
    write_shown(out, line);
    buf_adds(out, cut_back ? "...\n    " : "\n    ");
    for (size_t i = 0; i < cells; i++)
        buf_addc(out, ' ');
    buf_adds(out, "^\n");
    free(hidden);
}

static void write_item(const diags_t *d, const diag_t *item, buf_t *out) {
    buf_adds(out, d->file);
    if (item->line) buf_addf(out, ":%u", item->line);
    if (item->line && item->col) buf_addf(out, ":%u", item->col);
    buf_addf(out, ": %s: ", level_name(item->level));
    if (item->path[0]) buf_addf(out, "%s: ", item->path);
    buf_adds(out, item->message);
    buf_addc(out, '\n');
    write_caret(d, item, out);
}

/* The order of the file; problems of one place stay in the order in which they were found. */
static int by_place(const void *a, const void *b) {
    const diag_t *x = *(const diag_t *const *)a, *y = *(const diag_t *const *)b;
    if (x->line != y->line) return x->line < y->line ? -1 : 1;
    if (x->col != y->col) return x->col < y->col ? -1 : 1;
    return x < y ? -1 : x > y;
}

void diags_write(const diags_t *d, diag_level_t least, buf_t *out) {
    const diag_t **order = xcalloc(d->count ? d->count : 1, sizeof *order);
    for (size_t i = 0; i < d->count; i++)
        order[i] = &d->items[i];
    qsort(order, d->count, sizeof *order, by_place);
    for (size_t i = 0; i < d->count; i++)
        if (order[i]->level >= least) write_item(d, order[i], out);
    if (d->dropped) buf_addf(out, "%s: and %zu more problems\n", d->file, d->dropped);
    free(order);
}

/* ---- did you mean */

static size_t least_of(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

static bool same_letter(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

/* Edits (insert, drop, replace, swap of neighbours) between two words of at most WORD_MAX bytes; case does
 * not count. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m) {
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replaced = above[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = least_of(above[j] + 1, row[j - 1] + 1, replaced);
            bool swapped =
                i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[m];
}

/* The closest name wins; of several with the same distance, the first. */
const char *diag_nearest(const char *word, const char *const *names, size_t count) {
    size_t len = strlen(word);
    if (len < 2 || len > WORD_MAX) return NULL;
    size_t allowed = len < 3 ? 1 : len / 3;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = names[i] ? strlen(names[i]) : 0;
        if (n == 0 || n > WORD_MAX) continue;
        size_t distance = edit_distance(word, len, names[i], n);
        if (distance > allowed || (best && distance == allowed)) continue;
        best = names[i];
        allowed = distance;
    }
    return best;
}
