/* reader.c - records from a stream.
 *
 * A line of JSONL is a record and is given in place. A CSV record becomes a JSON object in `json`; the column
 * names are turned into JSON keys once, at open. Both give one row at a time, so a row is there as soon as
 * its line is. A record that cannot be a row gets a number, too: the numbers of all others must not depend on
 * it.
 */
#include "core/data/reader.h"

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/base/value.h"
#include "core/data/csv.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/look.h"
#include "core/data/stream.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BAD_TEXT_MAX = 256,        /* bytes of the sentence about a bad record; a longer one is cut */
    NOTES_SHOWN = 3,           /* columns of one kind that are noted one by one */
    NOTES_BYTES_MAX = 8 << 10, /* of notes about the columns; more are not written */
};

struct reader {
    stream_t *stream;
    bool is_stdin;
    data_form_t form;
    bool looked; /* its first bytes were looked at */
    buf_t notes;
    uint64_t next_index;
    uint64_t consumed; /* bytes of the file up to the end of the record given last */
    struct {           /* of a packed input: records whose member has not been read to its checksum */
        bool any;
        uint64_t first;      /* index of the first one */
        uint64_t member_end; /* place in the text where the last whole member ended then */
    } unchecked;
    char bad[BAD_TEXT_MAX];
    lines_t *lines;       /* JSONL */
    csv_t *csv;           /* CSV and TSV: all below */
    char *block;          /* DATA_READ_BYTES */
    size_t at, len;       /* what of block is not yet fed */
    uint64_t block_start; /* place of block[0] in the text */
    bool begun;           /* a BOM was skipped, or there was none */
    bool ended;           /* the stream has no more bytes */
    buf_t *keys;          /* per column: `"name": `; empty: a later column has the same name */
    size_t columns;
    size_t unnamed, doubles; /* of these, without a name, and with one that a column before has */
    buf_t json;              /* the record */
};

/* ---- opening */

static bool name_ends(const char *name, size_t len, const char *suffix) {
    size_t n = strlen(suffix);
    return len >= n && strncasecmp(name + len - n, suffix, n) == 0;
}

/* The format that a file name promises; DATA_AUTO when it promises none. */
static data_format_t format_of(const char *path) {
    size_t len = strlen(path);
    static const char *const PACKED[] = {".gz", ".zst", ".zstd"};
    for (size_t i = 0; i < sizeof PACKED / sizeof *PACKED; i++)
        if (name_ends(path, len, PACKED[i])) {
            len -= strlen(PACKED[i]);
            break;
        }
    if (name_ends(path, len, ".jsonl") || name_ends(path, len, ".ndjson") || name_ends(path, len, ".json"))
        return DATA_JSONL;
    if (name_ends(path, len, ".csv")) return DATA_CSV;
    if (name_ends(path, len, ".tsv")) return DATA_TSV;
    return strcmp(path, "-") == 0 ? DATA_JSONL : DATA_AUTO;
}

/* ---- text in another form */

/* Appends the way out, a command with FILE in it for the input: packed files are unpacked on the way, and
 * what comes from stdin goes through a pipe. */
static void write_way_out(const reader_t *r, const char *way_out, buf_t *out) {
    static const char *const unpack[] = {"", "gzip -dc ", "zstd -dc "};
    const char *gap = strstr(way_out, "FILE"), *name = stream_name(r->stream);
    stream_coding_t coding = stream_coding(r->stream);
    if (!gap) {
        buf_adds(out, way_out);
    } else if (r->is_stdin) {
        size_t command = (size_t)(gap - way_out);
        while (command > 0 && strchr(" <", way_out[command - 1]))
            command--;
        buf_addf(out, "%s%s%.*s | sdg ... --input -", unpack[coding], coding == STREAM_PLAIN ? "" : "| ",
                 (int)command, way_out);
    } else {
        buf_add(out, way_out, (size_t)(gap - way_out));
        buf_addf(out, coding == STREAM_PLAIN ? "%s%s" : "<(%s%s)", unpack[coding], name);
        buf_adds(out, gap + strlen("FILE"));
    }
}

static int refuse(const reader_t *r, err_t *err, const char *what, const char *way_out) {
    buf_t text;
    buf_init(&text, ERR_TEXT_MAX);
    write_way_out(r, way_out, &text);
    err_set(err, SDG_EINVAL, "%s %s: %s", stream_name(r->stream), what, text.data);
    buf_free(&text);
    return SDG_EINVAL;
}

/* May an input of this format begin so? 0, or SDG_EINVAL with the way out. */
static int judge(const reader_t *r, look_t found, const char *packed, err_t *err) {
    static const char ONE[] = "one object per line is wanted: jq -c '.[]' FILE > rows.jsonl";
    static const char NO_MARK[] = "is UTF-16 without a byte order mark, UTF-8 is wanted";
    data_format_t format = r->form.format;
    char what[64];
    switch (found) {
    case LOOK_MORE:
    case LOOK_TEXT: return 0;
    case LOOK_UTF16:
        return refuse(r, err, "is UTF-16, UTF-8 is wanted", "iconv -f UTF-16 -t UTF-8 FILE > NEW");
    case LOOK_UTF16_LE: return refuse(r, err, NO_MARK, "iconv -f UTF-16LE -t UTF-8 FILE > NEW");
    case LOOK_UTF16_BE: return refuse(r, err, NO_MARK, "iconv -f UTF-16BE -t UTF-8 FILE > NEW");
    case LOOK_UTF32:
        return refuse(r, err, "is UTF-32, UTF-8 is wanted", "iconv -f UTF-32 -t UTF-8 FILE > NEW");
    case LOOK_PACKED:
        snprintf(what, sizeof what, "is %s", packed);
        return refuse(r, err, what, "make it JSON Lines (.jsonl) or CSV, plain or packed with gzip or zstd");
    case LOOK_LIST: return format == DATA_JSONL ? refuse(r, err, "is one JSON array", ONE) : 0;
    case LOOK_SURE_LIST: return refuse(r, err, "is one JSON array", ONE);
    case LOOK_OBJECT:
        if (format != DATA_CSV && format != DATA_TSV) return 0;
        return refuse(r, err, "begins with a JSON object, not with column names",
                      "for JSON Lines give --format jsonl");
    case LOOK_OBJECT_OVER_LINES:
        return refuse(r, err, "has JSON objects over several lines",
                      "one object per line is wanted: jq -c . FILE > rows.jsonl");
    case LOOK_CR_LINES:
        return refuse(r, err, "has lines that end in CR alone", "tr '\\r' '\\n' < FILE > NEW");
    }
    return 0;
}

static void note(reader_t *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(reader_t *r, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_addf(&r->notes, "%s: %s\n", stream_name(r->stream), text);
}

/* Lines that are no objects fail one by one, and often all for the same reason: this is another format. */
static void note_words(reader_t *r, const char *bytes, size_t n) {
    size_t bom = bom_length(bytes, n);
    bytes += bom, n -= bom;
    text_trim(&bytes, &n);
    if (r->form.format == DATA_JSONL && n > 0 && *bytes != '{')
        note(r, "it is read as JSON Lines and does not begin with an object: for CSV give --format csv");
}

/* Looks at the first bytes, once. 0, a negative code, or STREAM_WAIT. A stream that breaks off behind them is
 * left to whoever reads it. */
static int look(reader_t *r, err_t *err) {
    look_t found = LOOK_MORE;
    const char *bytes = NULL;
    size_t n = 0, want = 1;
    while (found == LOOK_MORE && want <= STREAM_PEEK_MAX) {
        int rc = stream_peek(r->stream, want, &bytes, &n);
        char nothing;
        bool ended = n < want && rc != STREAM_WAIT;
        if (rc < 0 && rc != STREAM_WAIT && n == 0) return (int)stream_read(r->stream, &nothing, 1, err);
        found = look_text(bytes, n, ended);
        if (found == LOOK_MORE && rc == STREAM_WAIT) return rc;
        if (ended) break;
        want = n + 1;
    }
    int rc = judge(r, found, look_packed(bytes, n), err);
    r->looked = rc == 0;
    if (found == LOOK_TEXT) note_words(r, bytes, n);
    return rc;
}

/* ---- checks of a record's text */

static int set_bad(reader_t *r, row_record_t *record, const char *why) {
    snprintf(r->bad, sizeof r->bad, "input line %llu: %.200s", (unsigned long long)record->line, why);
    record->bad = r->bad;
    record->json = NULL;
    record->json_len = 0;
    return 1;
}

static int set_too_long(reader_t *r, row_record_t *record) {
    char why[64];
    snprintf(why, sizeof why, "longer than %zu MiB", DATA_LINE_BYTES_MAX >> 20);
    return set_bad(r, record, why);
}

static const char NOT_UTF8[] = "not valid UTF-8 (is the file in another encoding?)";

/* ---- JSONL */

/* The next line that is not blank, without BOM and CR. Returns as reader_next does. */
static int next_json_line(reader_t *r, row_record_t *record, err_t *err) {
    text_line_t line;
    int rc;
    do {
        rc = lines_next(r->lines, &line, err);
        if (rc <= 0) return rc;
        size_t bom = line.number == 1 ? bom_length(line.bytes, line.len) : 0;
        line.bytes = bom ? line.bytes + bom : line.bytes;
        line.len -= bom;
    } while (!line.too_long && line_blank(line.bytes, line.len));
    *record = (row_record_t){.index = r->next_index++, .line = line.number};
    if (line.too_long) return set_too_long(r, record);
    if (line.bytes[line.len - 1] == '\r') line.len--;
    if (!utf8_valid(line.bytes, line.len)) return set_bad(r, record, NOT_UTF8);
    record->json = line.bytes;
    record->json_len = line.len;
    return 1;
}

/* ---- CSV */

/* Skips a BOM at the start of the input, which may come in pieces. 0, or a negative code of the stream. */
static int skip_csv_bom(reader_t *r, err_t *err) {
    while (r->len < strlen(UTF8_BOM) && memcmp(r->block, UTF8_BOM, r->len) == 0) {
        ssize_t n = stream_read(r->stream, r->block + r->len, DATA_READ_BYTES - r->len, err);
        if (n < 0) return (int)n;
        if (n == 0) break;
        r->len += (size_t)n;
    }
    r->at = bom_length(r->block, r->len);
    r->begun = true;
    return 0;
}

/* 1: the parser holds a complete record. 0: end. */
static int next_csv_record(reader_t *r, err_t *err) {
    if (!r->begun) {
        int rc = skip_csv_bom(r, err);
        if (rc < 0) return rc;
    }
    for (;;) {
        size_t used;
        bool complete = csv_feed(r->csv, r->block + r->at, r->len - r->at, &used);
        r->at += used;
        if (complete) return 1;
        if (r->ended) return csv_end(r->csv);
        ssize_t n = stream_read(r->stream, r->block, DATA_READ_BYTES, err);
        if (n < 0) return (int)n;
        r->ended = n == 0;
        r->block_start += r->len;
        r->at = 0;
        r->len = (size_t)n;
    }
}

static void write_csv_object(reader_t *r) {
    if (r->json.cap > DATA_READ_BYTES) buf_free(&r->json);
    buf_reset(&r->json);
    buf_addc(&r->json, '{');
    for (size_t i = 0; i < r->columns; i++) {
        size_t len = 0;
        const char *text = i < csv_fields(r->csv) ? csv_field_peek(r->csv, i, &len) : "";
        if (r->keys[i].len == 0) continue;
        if (r->json.len > 1) buf_add(&r->json, ", ", 2);
        buf_add(&r->json, r->keys[i].data, r->keys[i].len);
        json_write_string(&r->json, text, len);
    }
    buf_addc(&r->json, '}');
}

/* What is wrong with the quotes of a broken record. The sentence follows the line of the quote. */
static void tell_quote(const reader_t *r, char *room, size_t size) {
    static const char DOUBLED[] = "(a quote inside quotes is doubled)";
    unsigned long long end = csv_quote_end(r->csv);
    switch (csv_problem(r->csv)) {
    case CSV_FINE: break;
    case CSV_TEXT_BEHIND_QUOTE:
        if (end == csv_quote_line(r->csv))
            snprintf(room, size, "text behind a closing quote %s", DOUBLED);
        else
            snprintf(room, size, "the quote opened here is closed in line %llu, with text behind it %s", end,
                     DOUBLED);
        break;
    case CSV_QUOTE_NEVER_CLOSED: snprintf(room, size, "a quote is opened and never closed"); break;
    case CSV_QUOTE_TOO_LONG:
        snprintf(room, size, "a quote is opened and not closed within %zu MiB", DATA_LINE_BYTES_MAX >> 20);
        break;
    }
}

/* Why a CSV record cannot be a row; NULL if it can. `room` is for a sentence with numbers. In lines that a
 * broken record has spanned missing fields are not empty ones: such a line may be part of a field. */
static const char *csv_complaint(const reader_t *r, char *room, size_t size) {
    size_t fields = csv_fields(r->csv), len;
    bool in_span = csv_in_span(r->csv);
    if (fields > r->columns || (in_span && fields != r->columns)) {
        int used = snprintf(room, size, "%zu field%s, the header has %zu", fields, fields == 1 ? "" : "s",
                            r->columns);
        if (in_span)
            snprintf(room + used, size - (size_t)used, " (a quote opened in line %llu runs over this line)",
                     (unsigned long long)csv_quote_line(r->csv));
        return room;
    }
    const char *text = csv_text_peek(r->csv, &len);
    return utf8_valid(text, len) ? NULL : NOT_UTF8;
}

/* A broken record is named by the line of its quote, every other by the line where it starts. */
static int next_csv_row(reader_t *r, row_record_t *record, err_t *err) {
    int rc = next_csv_record(r, err);
    if (rc <= 0) return rc;
    char room[BAD_TEXT_MAX];
    *record = (row_record_t){.index = r->next_index++, .line = csv_line(r->csv)};
    if (csv_problem(r->csv)) {
        tell_quote(r, room, sizeof room);
        record->line = csv_quote_line(r->csv);
        return set_bad(r, record, room);
    }
    if (csv_too_long(r->csv)) return set_too_long(r, record);
    const char *why = csv_complaint(r, room, sizeof room);
    if (why) return set_bad(r, record, why);
    write_csv_object(r);
    if (r->json.full) return set_too_long(r, record);
    record->json = r->json.data;
    record->json_len = r->json.len;
    return 1;
}

/* ---- the header of CSV */

enum { NAME_SHOWN = 100 }; /* bytes of a column's name in a sentence */

static int shown(size_t len) { return len > NAME_SHOWN ? NAME_SHOWN : (int)len; }

/* The name of column i; in `room` when the header has none (white space is none, either). */
static const char *column_name(const reader_t *r, size_t i, char *room, size_t size, size_t *len) {
    const char *name = csv_field_peek(r->csv, i, len);
    if (!line_blank(name, *len)) return name;
    *len = (size_t)snprintf(room, size, "column_%zu", i + 1);
    return room;
}

/* Makes the JSON key of column i; `seen` holds the names before it, each with its last column. */
static int add_column(reader_t *r, size_t i, value_t *seen, err_t *err) {
    size_t len;
    char room[32];
    const char *name = column_name(r, i, room, sizeof room, &len);
    if (name == room && r->unnamed++ < NOTES_SHOWN)
        note(r, "column %zu of the header has no name: it is called %s", i + 1, room);
    if (len > VALUE_STRING_MAX)
        return err_set(err, SDG_ELIMIT, "%s: the name of column %zu is too long", stream_name(r->stream),
                       i + 1);
    bool found;
    value_t before = object_get_peek(*seen, name, len, &found);
    if (found && r->doubles++ < NOTES_SHOWN)
        note(r, "columns %lld and %zu of the header have the same name \"%.*s\": the last one counts",
             (long long)before.integer, i + 1, shown(len), name);
    if (found) buf_reset(&r->keys[before.integer - 1]);
    str_t *key = str_new(name, len);
    object_set(seen, key, value_int((int64_t)i + 1));
    str_free(key);
    buf_init(&r->keys[i], DATA_LINE_BYTES_MAX);
    json_write_string(&r->keys[i], name, len);
    buf_add(&r->keys[i], ": ", 2);
    r->columns = i + 1;
    return 0;
}

/* A single column with another separator in its name is probably not meant so. */
static void note_separator(reader_t *r) {
    static const struct {
        char byte;
        const char *name;
    } others[] = {{'\t', "tab"}, {';', "';'"}, {'|', "'|'"}, {',', "','"}};
    size_t len;
    const char *name = csv_field_peek(r->csv, 0, &len);
    for (size_t i = 0; csv_fields(r->csv) == 1 && i < sizeof others / sizeof *others; i++) {
        if (!memchr(name, others[i].byte, len)) continue;
        note(r,
             "the header is one column, \"%.*s\": if its fields are separated otherwise, give --delimiter %s",
             shown(len), name, others[i].name);
        return;
    }
}

/* Can the record that the parser holds be a header? */
static int check_header(const reader_t *r, err_t *err) {
    const char *file = stream_name(r->stream);
    size_t len;
    if (csv_problem(r->csv) == CSV_TEXT_BEHIND_QUOTE)
        return err_set(err, SDG_EINVAL, "%s: the header has text behind a closing quote (line %llu)", file,
                       (unsigned long long)csv_quote_end(r->csv));
    if (csv_problem(r->csv))
        return err_set(err, SDG_EINVAL, "%s: the header opens a quote and never closes it", file);
    if (csv_too_long(r->csv) || csv_fields(r->csv) > CSV_COLUMNS_MAX)
        return err_set(err, SDG_ELIMIT, "%s: the header has more than %d columns or %zu MiB", file,
                       CSV_COLUMNS_MAX, DATA_LINE_BYTES_MAX >> 20);
    const char *text = csv_text_peek(r->csv, &len);
    return utf8_valid(text, len) ? 0 : err_set(err, SDG_EINVAL, "%s: the header is %s", file, NOT_UTF8);
}

/* Makes the JSON keys of the columns. */
static int add_columns(reader_t *r, err_t *err) {
    int rc = check_header(r, err);
    if (rc < 0) return rc;
    size_t count = csv_fields(r->csv);
    r->keys = xcalloc(count, sizeof *r->keys);
    value_t seen = value_object(count);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_column(r, i, &seen, err);
    value_free(seen);
    if (rc < 0) return rc;
    if (r->unnamed > NOTES_SHOWN)
        note(r, "in all %zu columns of the header have no name, and are called column_N", r->unnamed);
    if (r->doubles > NOTES_SHOWN)
        note(r, "in all %zu columns of the header have a name that is there before", r->doubles);
    note_separator(r);
    return rc;
}

/* The separator that the header shows; it may come in pieces. */
static char find_separator(reader_t *r) {
    const char *bytes;
    char separator = ',';
    for (size_t n = 0, want = 1; want <= STREAM_PEEK_MAX; want = n + 1) {
        int rc = stream_peek(r->stream, want, &bytes, &n);
        if (look_separator(bytes, n, n < want, &separator) || rc != 0) break;
    }
    return separator;
}

/* Is the record that the parser holds a line "sep=C", before the header? */
static bool names_separator(const reader_t *r) {
    size_t len;
    if (csv_problem(r->csv) || csv_too_long(r->csv) || csv_fields(r->csv) != 2) return false;
    const char *text = csv_text_peek(r->csv, &len);
    return len == sizeof "sep=" + 1 && memcmp(text, "sep=\0", len) == 0;
}

static int open_csv(reader_t *r, err_t *err) {
    bool tsv = r->form.format == DATA_TSV;
    if (!r->form.delimiter) r->form.delimiter = tsv ? '\t' : find_separator(r);
    r->csv = csv_new(r->form.delimiter, !tsv, DATA_LINE_BYTES_MAX);
    r->block = xmalloc(DATA_READ_BYTES);
    buf_init(&r->json, DATA_LINE_BYTES_MAX);
    int rc = next_csv_record(r, err);
    if (rc > 0 && names_separator(r)) rc = next_csv_record(r, err);
    if (rc < 0) return rc;
    if (rc == 0)
        return err_set(err, SDG_EINVAL, "%s is empty: a CSV file begins with a line of column names",
                       stream_name(r->stream));
    return add_columns(r, err);
}

/* ---- the reader */

/* The form that is wanted, or that the name promises. A delimiter speaks of CSV where the name says
 * nothing. */
static data_form_t choose_form(const char *path, const data_form_t *wish) {
    data_form_t form = *wish;
    if (form.format == DATA_AUTO) form.format = format_of(path);
    bool unnamed = form.format == DATA_AUTO || strcmp(path, "-") == 0;
    if (form.delimiter && wish->format == DATA_AUTO && unnamed) form.format = DATA_CSV;
    return form;
}

static int check_form(const char *path, data_form_t form, err_t *err) {
    if (form.format == DATA_AUTO)
        return err_set(err, SDG_EINVAL,
                       "%s: unknown format: use a name in .jsonl, .csv or .tsv (also with .gz or .zst), or "
                       "give --format",
                       path);
    if (form.format == DATA_JSONL && form.delimiter)
        return err_set(err, SDG_EINVAL,
                       "%s is read as JSON Lines, where --delimiter means nothing: for CSV give --format csv",
                       path);
    return 0;
}

/* A pipe is looked at when its first bytes have come, so that nobody waits for them here; but that of a CSV
 * file, whose header is waited for anyway. */
static int begin(reader_t *r, const char *path, err_t *err) {
    bool is_file = stream_fd(r->stream) < 0;
    int rc = is_file || r->form.format != DATA_JSONL ? look(r, err) : 0;
    if (rc == 0) rc = check_form(path, r->form, err);
    if (rc < 0) return rc;
    if (r->form.format != DATA_JSONL) return open_csv(r, err);
    r->lines = lines_new(r->stream, DATA_LINE_BYTES_MAX);
    return 0;
}

/* reader_close frees what was made so far when the header cannot be read. */
reader_t *reader_open_as(const char *path, const data_form_t *form, err_t *err) {
    stream_t *stream = stream_open(path, err);
    if (!stream) return NULL;
    reader_t *r = xcalloc(1, sizeof *r);
    r->stream = stream;
    r->is_stdin = strcmp(path, "-") == 0;
    r->form = choose_form(path, form);
    buf_init(&r->notes, NOTES_BYTES_MAX);
    buf_adds(&r->notes, "");
    if (begin(r, path, err) < 0) reader_close(&r);
    return r;
}

reader_t *reader_open(const char *path, data_format_t format, err_t *err) {
    return reader_open_as(path, &(data_form_t){.format = format}, err);
}

void reader_close(reader_t **reader) {
    reader_t *r = *reader;
    if (!r) return;
    lines_destroy(&r->lines);
    csv_destroy(&r->csv);
    for (size_t i = 0; i < r->columns; i++)
        buf_free(&r->keys[i]);
    free(r->keys);
    buf_free(&r->json);
    buf_free(&r->notes);
    free(r->block);
    stream_close(&r->stream);
    free(r);
    *reader = NULL;
}

/* Notes whether the record that ends at this place of the text belongs to a member that was found whole. */
static void note_checked(reader_t *r, uint64_t text) {
    uint64_t member_end = stream_member_text_end(r->stream);
    bool began = r->unchecked.any && r->unchecked.member_end == member_end;
    r->unchecked.any = text > member_end;
    r->unchecked.member_end = member_end;
    if (!began) r->unchecked.first = r->next_index - 1;
}

/* Damage is found at the checksum of a member, when its first records may long have been used. */
static void say_unchecked(const reader_t *r, err_t *err) {
    char why[ERR_TEXT_MAX];
    bool damaged =
        err && err->code == SDG_EPARSE && stream_coding(r->stream) != STREAM_PLAIN && !stream_torn(r->stream);
    if (!damaged || !r->unchecked.any) return;
    snprintf(why, sizeof why, "%s", err->text);
    err_set(err, SDG_EPARSE, "%.380s; rows %llu to %llu are of the damaged part: their results may be wrong",
            why, (unsigned long long)r->unchecked.first, (unsigned long long)r->next_index - 1);
}

/* Notes how far the input is used up: to the end of a record, or at the end of the input wholly. */
static void note_consumed(reader_t *r, bool at_end) {
    uint64_t text = r->lines ? lines_given(r->lines) : r->block_start + r->at - csv_kept(r->csv);
    if (!at_end) note_checked(r, text);
    uint64_t place = stream_file_place(r->stream, text), done, total;
    stream_progress(r->stream, &done, &total);
    if (at_end) place = done;
    if (place > r->consumed) r->consumed = place;
}

int reader_next(reader_t *r, row_record_t *record, err_t *err) {
    int rc = r->looked ? 0 : look(r, err);
    if (rc == 0) {
        rc = r->lines ? next_json_line(r, record, err) : next_csv_row(r, record, err);
        if (rc == 0 || rc == 1) note_consumed(r, rc == 0);
        if (rc < 0 && rc != STREAM_WAIT) say_unchecked(r, err);
    }
    return rc == STREAM_WAIT ? READER_WAIT : rc;
}

bool reader_counts_by_lines(const reader_t *r) {
    return r->lines && stream_coding(r->stream) == STREAM_PLAIN;
}

const char *reader_notes(const reader_t *r) { return r->notes.data; }

data_form_t reader_form(const reader_t *r) { return r->form; }

int reader_identity(const reader_t *r, const char *path, char *out, size_t out_size, err_t *err) {
    static const char *const names[] = {"", " jsonl", " csv", " tsv"};
    static const char usual[] = {'\0', '\0', ',', '\t'};
    data_form_t form = r->form;
    int rc = data_identity(path, out, out_size, err);
    if (rc < 0) return rc;
    size_t len = strlen(out);
    if (form.format != format_of(path)) snprintf(out + len, out_size - len, "%s", names[form.format]);
    len = strlen(out);
    if (form.delimiter != usual[form.format])
        snprintf(out + len, out_size - len, " 0x%02x", (unsigned char)form.delimiter);
    return 0;
}

uint64_t reader_consumed(const reader_t *r) { return r->consumed; }

void reader_set_waiting(reader_t *r) { stream_set_waiting(r->stream); }

int reader_fd(const reader_t *r) { return stream_fd(r->stream); }

void reader_progress(const reader_t *r, uint64_t *bytes_done, uint64_t *bytes_total) {
    stream_progress(r->stream, bytes_done, bytes_total);
}
