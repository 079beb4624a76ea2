/* fuzz_csv - any bytes as a CSV or TSV file with any separator: the reader must come to an end, give only
 * JSON objects with the columns of the header, count rows upwards and never count lines down; the parser must
 * find the same records however the bytes are cut into pieces, begin at most one record in a line, and
 * swallow no line that is not inside quotes. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/json.h"
#include "core/data/csv.h"
#include "core/data/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void add_record(buf_t *out, const csv_t *c) {
    size_t len;
    buf_addf(out, "%llu %zu %d %d %llu %llu %d ", (unsigned long long)csv_line(c), csv_fields(c),
             csv_too_long(c), (int)csv_problem(c), (unsigned long long)csv_quote_line(c),
             (unsigned long long)csv_quote_end(c), csv_in_span(c));
    if (csv_too_long(c) || csv_problem(c)) return;
    const char *text = csv_text_peek(c, &len);
    buf_add(out, text, len);
}

static void parse(buf_t *out, char separator, bool quoting, const char *bytes, size_t n, size_t piece) {
    csv_t *c = csv_new(separator, quoting, 200);
    buf_init(out, (size_t)64 << 20);
    for (size_t at = 0, used; at < n; at += used)
        if (csv_feed(c, bytes + at, n - at < piece ? n - at : piece, &used)) add_record(out, c);
    while (csv_end(c))
        add_record(out, c);
    assert(csv_kept(c) == 0);
    csv_destroy(&c);
}

static void check_pieces(char separator, bool quoting, const char *bytes, size_t n) {
    buf_t whole, pieces;
    parse(&whole, separator, quoting, bytes, n, n + 1);
    parse(&pieces, separator, quoting, bytes, n, 1);
    assert(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
    buf_free(&whole);
    buf_free(&pieces);
}

static void check_row(const row_record_t *row, size_t *columns) {
    value_t v;
    assert((row->bad != NULL) != (row->json != NULL));
    if (row->bad) return;
    int rc = json_parse_text(row->json, row->json_len, &v, NULL);
    assert(rc == 0 && v.kind == VALUE_OBJECT);
    if (*columns == 0) *columns = object_count(v);
    assert(object_count(v) == *columns);
    value_free(v);
}

static void check_reader(const char *path, data_form_t form) {
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open_as(path, &form, &err);
    assert(r || err.text[0]);
    if (!r) return;
    uint64_t rows = 0, line = 1, consumed = 0;
    size_t columns = 0;
    int rc;
    while ((rc = reader_next(r, &row, &err)) > 0) {
        assert(row.index == rows && row.line > line);
        assert(reader_consumed(r) >= consumed);
        consumed = reader_consumed(r);
        rows++;
        line = row.line;
        check_row(&row, &columns);
    }
    assert(rc == 0 || err.text[0]);
    reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char path[64];
    int fd = memfd_create("csv", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    static const char separators[] = {',', ';', '\t', '|', 'a', ' '};
    for (size_t i = 0; i < sizeof separators; i++) {
        check_pieces(separators[i], i % 2 == 0, (const char *)bytes, n);
        check_reader(path, (data_form_t){.format = i % 2 ? DATA_TSV : DATA_CSV, .delimiter = separators[i]});
    }
    check_reader(path, (data_form_t){.format = DATA_CSV});
    check_reader(path, (data_form_t){.format = DATA_TSV});
    close(fd);
    return 0;
}
