/* look.c - see look.h. */
#include "core/data/look.h"

#include <stdint.h>
#include <string.h>

#include "core/base/text.h"
#include "core/data/lines.h"

static bool begins(const char *bytes, size_t n, const char *with, size_t len) {
    return n >= len && memcmp(bytes, with, len) == 0;
}

/* ---- other encodings */

enum { PAIRS_BYTES = 4096 }; /* enough of a file to see how its zero bytes lie */

/* UTF-16 without a mark has zero bytes in one half of its pairs only. Many of them, one in the first pair, or
 * others in bytes that are not UTF-8 anyway, are no stray NULs of a text. */
static look_t look_pairs(const char *bytes, size_t n, bool ended) {
    size_t zeros[2] = {0, 0}, seen = n < PAIRS_BYTES ? n : PAIRS_BYTES;
    if (n < 2) return ended ? LOOK_TEXT : LOOK_MORE;
    for (size_t i = 0; i < seen; i++)
        zeros[i % 2] += bytes[i] == '\0';
    if ((zeros[0] == 0) == (zeros[1] == 0)) return LOOK_TEXT;
    bool first = bytes[0] == '\0' || bytes[1] == '\0', many = 4 * (zeros[0] + zeros[1]) >= seen / 2;
    size_t whole = seen; /* without a character that is cut at the end, which says nothing */
    while (whole > 0 && seen - whole < 4 && (unsigned char)bytes[whole - 1] >= 0x80)
        whole--;
    if (!(first && many) && utf8_valid(bytes, whole)) return LOOK_TEXT;
    return zeros[1] ? LOOK_UTF16_LE : LOOK_UTF16_BE;
}

static look_t look_encoding(const char *bytes, size_t n, bool ended) {
    static const char LE[] = {'\xff', '\xfe', 0, 0}, BE[] = {0, 0, '\xfe', '\xff'};
    if (begins(bytes, n, LE, 4) || begins(bytes, n, BE, 4)) return LOOK_UTF32;
    if (begins(bytes, n, LE, 2) || begins(bytes, n, BE + 2, 2))
        return n < 4 && !ended ? LOOK_MORE : LOOK_UTF16;
    if (n < 4 && !ended && n >= 2 && (bytes[0] == 0 || bytes[1] == 0)) return LOOK_MORE;
    if (n >= 4 && ((!bytes[0] && !bytes[1] && !bytes[2] && bytes[3]) ||
                   (bytes[0] && !bytes[1] && !bytes[2] && !bytes[3])))
        return LOOK_UTF32;
    return look_pairs(bytes, n, ended);
}

/* ---- other forms */

static const struct {
    const char *magic, *name;
} packed[] = {{"BZh", "bzip2"},
              {"\xfd"
               "7zXZ",
               "xz"},
              {"PK\x03\x04", "a zip file or spreadsheet"},
              {"PAR1", "Parquet"}};

const char *look_packed(const char *bytes, size_t n) {
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (begins(bytes, n, packed[i].magic, strlen(packed[i].magic))) return packed[i].name;
    return NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Where the first byte from `at` on stands that is no white space; *line_end: a line end was passed. */
static size_t skip_blanks(const char *bytes, size_t n, size_t at, bool *line_end) {
    *line_end = false;
    for (; at < n && is_blank(bytes[at]); at++)
        *line_end |= bytes[at] == '\n' || bytes[at] == '\r';
    return at;
}

static look_t look_list(const char *bytes, size_t n, size_t at) {
    bool line_end;
    size_t next = skip_blanks(bytes, n, at + 1, &line_end);
    return line_end || (next < n && strchr("{[\"]", bytes[next]) && bytes[next]) ? LOOK_SURE_LIST : LOOK_LIST;
}

/* Are there CRs between objects, and not one LF? */
static bool has_cr_lines(const char *bytes, size_t n, size_t at) {
    if (memchr(bytes + at, '\n', n - at)) return false;
    for (const char *cr = bytes + at; (cr = memchr(cr, '\r', n - (size_t)(cr - bytes))); cr++) {
        bool line_end;
        size_t place = (size_t)(cr - bytes);
        if (place == at || bytes[place - 1] != '}') continue;
        size_t next = skip_blanks(bytes, n, place, &line_end);
        if (next < n && bytes[next] == '{') return true;
    }
    return false;
}

static look_t look_object(const char *bytes, size_t n, size_t at) {
    bool line_end;
    size_t next = skip_blanks(bytes, n, at + 1, &line_end);
    if (line_end) return LOOK_OBJECT_OVER_LINES;
    if (has_cr_lines(bytes, n, at)) return LOOK_CR_LINES;
    return next < n && bytes[next] == '"' ? LOOK_OBJECT : LOOK_TEXT;
}

/* A byte or two of another form's mark wait for the rest of it. */
look_t look_text(const char *bytes, size_t n, bool ended) {
    bool line_end;
    if (n == 0) return ended ? LOOK_TEXT : LOOK_MORE;
    look_t encoding = look_encoding(bytes, n, ended);
    if (encoding != LOOK_TEXT) return encoding;
    if (look_packed(bytes, n)) return LOOK_PACKED;
    size_t bom = bom_length(bytes, n);
    size_t at = skip_blanks(bytes, n, bom, &line_end);
    if (at == n) return ended ? LOOK_TEXT : LOOK_MORE;
    if (!ended && n < 3 && memcmp(bytes, UTF8_BOM, n) == 0) return LOOK_MORE;
    if (bytes[at] == '[') return look_list(bytes, n, at);
    return bytes[at] == '{' ? look_object(bytes, n, at) : LOOK_TEXT;
}

/* ---- the separator */

/* The C of a first line "sep=C"; 0: it is none, or not whole. */
static char named_separator(const char *bytes, size_t n, bool ended) {
    static const char SEP[] = "sep=";
    size_t len = sizeof SEP - 1;
    if (!begins(bytes, n, SEP, len) || n < len + (ended ? 1 : 2)) return '\0';
    char after = n > len + 1 ? bytes[len + 1] : '\n', separator = bytes[len];
    return separator == '"' || (is_blank(separator) && separator != '\t') ? '\0'
           : after == '\n' || after == '\r'                               ? separator
                                                                          : '\0';
}

bool look_separator(const char *bytes, size_t n, bool ended, char *separator) {
    bool quoted = false, any = false, comma = false, semicolon = false;
    size_t bom = bom_length(bytes, n);
    if ((*separator = named_separator(bytes + bom, n - bom, ended))) return true;
    for (size_t i = bom; i < n; i++) {
        bool line_end = !quoted && (bytes[i] == '\n' || bytes[i] == '\r');
        if (line_end && any) {
            ended = true;
            break;
        }
        any |= !line_end;
        quoted ^= bytes[i] == '"';
        comma |= !quoted && bytes[i] == ',';
        semicolon |= !quoted && bytes[i] == ';';
    }
    *separator = semicolon && !comma ? ';' : ',';
    return ended;
}
