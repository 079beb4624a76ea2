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
#include "core/data/stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BAD_TEXT_MAX = 160 }; /* bytes of the sentence about a bad record; a longer one is cut */

struct reader {
    stream_t *stream;
    uint64_t next_index;
    uint64_t consumed; /* bytes of the file up to the end of the record given last */
    char bad[BAD_TEXT_MAX];
    lines_t *lines;       /* JSONL */
    csv_t *csv;           /* CSV and TSV: all below */
    char *block;          /* DATA_READ_BYTES */
    size_t at, len;       /* what of block is not yet fed */
    uint64_t block_start; /* place of block[0] in the text */
    bool begun;           /* a BOM was skipped, or there was none */
    buf_t *keys;          /* per column: `"name": ` */
    size_t columns;
    buf_t json; /* the record */
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

static const unsigned char UTF8_BOM[] = {0xEF, 0xBB, 0xBF};

static size_t bom_length(const char *bytes, size_t len) {
    return len >= sizeof UTF8_BOM && memcmp(bytes, UTF8_BOM, sizeof UTF8_BOM) == 0 ? sizeof UTF8_BOM : 0;
}

/* ---- checks of a record's text */

static int set_bad(reader_t *r, row_record_t *record, const char *why) {
    snprintf(r->bad, sizeof r->bad, "input line %llu: %.100s", (unsigned long long)record->line, why);
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
    while (r->len < sizeof UTF8_BOM && memcmp(r->block, UTF8_BOM, r->len) == 0) {
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
        if (r->at == r->len) {
            ssize_t n = stream_read(r->stream, r->block, DATA_READ_BYTES, err);
            if (n < 0) return (int)n;
            if (n == 0) return csv_end(r->csv);
            r->block_start += r->len;
            r->at = 0;
            r->len = (size_t)n;
        }
        size_t used;
        bool complete = csv_feed(r->csv, r->block + r->at, r->len - r->at, &used);
        r->at += used;
        if (complete) return 1;
    }
}

static void write_csv_object(reader_t *r) {
    if (r->json.cap > DATA_READ_BYTES) buf_free(&r->json);
    buf_reset(&r->json);
    buf_addc(&r->json, '{');
    for (size_t i = 0; i < r->columns; i++) {
        size_t len = 0;
        const char *text = i < csv_fields(r->csv) ? csv_field_peek(r->csv, i, &len) : "";
        if (i > 0) buf_add(&r->json, ", ", 2);
        buf_add(&r->json, r->keys[i].data, r->keys[i].len);
        json_write_string(&r->json, text, len);
    }
    buf_addc(&r->json, '}');
}

/* Why a CSV record cannot be a row; NULL if it can. `room` is for a sentence with numbers. */
static const char *csv_complaint(const reader_t *r, char *room, size_t size) {
    if (csv_open_quote(r->csv)) return "a quote is opened and never closed";
    if (csv_fields(r->csv) > r->columns) {
        snprintf(room, size, "%zu fields, the header has %zu", csv_fields(r->csv), r->columns);
        return room;
    }
    size_t len;
    const char *text = csv_text_peek(r->csv, &len);
    return utf8_valid(text, len) ? NULL : NOT_UTF8;
}

static int next_csv_row(reader_t *r, row_record_t *record, err_t *err) {
    int rc = next_csv_record(r, err);
    if (rc <= 0) return rc;
    *record = (row_record_t){.index = r->next_index++, .line = csv_line(r->csv)};
    if (csv_too_long(r->csv)) return set_too_long(r, record);
    char room[BAD_TEXT_MAX];
    const char *why = csv_complaint(r, room, sizeof room);
    if (why) return set_bad(r, record, why);
    write_csv_object(r);
    if (r->json.full) return set_too_long(r, record);
    record->json = r->json.data;
    record->json_len = r->json.len;
    return 1;
}

/* Makes the JSON key of column i; `seen` holds the names before it. */
static int add_column(reader_t *r, size_t i, value_t *seen, err_t *err) {
    size_t len;
    const char *name = csv_field_peek(r->csv, i, &len);
    const char *file = stream_name(r->stream);
    if (len == 0) return err_set(err, SDG_EINVAL, "%s: column %zu of the header has no name", file, i + 1);
    if (len > VALUE_STRING_MAX)
        return err_set(err, SDG_ELIMIT, "%s: the name of column %zu is too long", file, i + 1);
    bool found;
    value_t first = object_get_peek(*seen, name, len, &found);
    if (found)
        return err_set(err, SDG_EINVAL, "%s: columns %lld and %zu of the header have the same name \"%.*s\"",
                       file, (long long)first.integer, i + 1, len > 100 ? 100 : (int)len, name);
    str_t *key = str_new(name, len);
    object_set(seen, key, value_int((int64_t)i + 1));
    str_free(key);
    buf_init(&r->keys[i], DATA_LINE_BYTES_MAX);
    json_write_string(&r->keys[i], name, len);
    buf_add(&r->keys[i], ": ", 2);
    r->columns = i + 1;
    return 0;
}

/* Checks the header, the record that the parser holds, and makes the JSON keys of its columns. */
static int add_columns(reader_t *r, err_t *err) {
    const char *file = stream_name(r->stream);
    size_t len, count = csv_fields(r->csv);
    if (csv_open_quote(r->csv))
        return err_set(err, SDG_EINVAL, "%s: the header opens a quote and never closes it", file);
    if (csv_too_long(r->csv) || count > CSV_COLUMNS_MAX)
        return err_set(err, SDG_ELIMIT, "%s: the header has more than %d columns or %zu MiB", file,
                       CSV_COLUMNS_MAX, DATA_LINE_BYTES_MAX >> 20);
    const char *text = csv_text_peek(r->csv, &len);
    if (!utf8_valid(text, len)) return err_set(err, SDG_EINVAL, "%s: the header is %s", file, NOT_UTF8);
    r->keys = xcalloc(count, sizeof *r->keys);
    value_t seen = value_object(count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add_column(r, i, &seen, err);
    value_free(seen);
    return rc;
}

static int open_csv(reader_t *r, char separator, err_t *err) {
    r->csv = csv_new(separator, DATA_LINE_BYTES_MAX);
    r->block = xmalloc(DATA_READ_BYTES);
    buf_init(&r->json, DATA_LINE_BYTES_MAX);
    int rc = next_csv_record(r, err);
    if (rc < 0) return rc;
    if (rc == 0)
        return err_set(err, SDG_EINVAL, "%s is empty: a CSV file begins with a line of column names",
                       stream_name(r->stream));
    return add_columns(r, err);
}

/* ---- the reader */

/* reader_close frees what was made so far when the header cannot be read. */
reader_t *reader_open(const char *path, data_format_t format, err_t *err) {
    stream_t *stream = stream_open(path, err);
    if (!stream) return NULL;
    if (format == DATA_AUTO) format = format_of(path);
    if (format == DATA_AUTO) {
        err_set(err, SDG_EINVAL,
                "%s: unknown format: use a name in .jsonl, .csv or .tsv (also with .gz or .zst)", path);
        stream_close(&stream);
        return NULL;
    }
    reader_t *r = xcalloc(1, sizeof *r);
    r->stream = stream;
    int rc = 0;
    if (format == DATA_JSONL)
        r->lines = lines_new(stream, DATA_LINE_BYTES_MAX);
    else
        rc = open_csv(r, format == DATA_TSV ? '\t' : ',', err);
    if (rc < 0) reader_close(&r);
    return r;
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
    free(r->block);
    stream_close(&r->stream);
    free(r);
    *reader = NULL;
}

/* Notes how far the input is used up: to the end of a record, or at the end of the input wholly. */
static void note_consumed(reader_t *r, bool ended) {
    uint64_t text = r->lines ? lines_given(r->lines) : r->block_start + r->at, done, total;
    uint64_t place = stream_file_place(r->stream, text);
    stream_progress(r->stream, &done, &total);
    if (ended) place = done;
    if (place > r->consumed) r->consumed = place;
}

int reader_next(reader_t *r, row_record_t *record, err_t *err) {
    int rc = r->lines ? next_json_line(r, record, err) : next_csv_row(r, record, err);
    if (rc == 0 || rc == 1) note_consumed(r, rc == 0);
    return rc == STREAM_WAIT ? READER_WAIT : rc;
}

uint64_t reader_consumed(const reader_t *r) { return r->consumed; }

void reader_set_waiting(reader_t *r) { stream_set_waiting(r->stream); }

int reader_fd(const reader_t *r) { return stream_fd(r->stream); }

void reader_progress(const reader_t *r, uint64_t *bytes_done, uint64_t *bytes_total) {
    stream_progress(r->stream, bytes_done, bytes_total);
}
