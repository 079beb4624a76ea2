/* fuzz_csv - any bytes as a CSV file: the reader must come to an end, give only JSON objects with the columns
 * of the header, and count rows and lines upwards; the parser must find the same records however the bytes
 * are cut into pieces. */
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
    buf_addf(out, "%llu %zu %d %d ", (unsigned long long)csv_line(c), csv_fields(c), csv_too_long(c),
             csv_open_quote(c));
    if (csv_too_long(c)) return;
    const char *text = csv_text_peek(c, &len);
    buf_add(out, text, len);
}

static void parse(buf_t *out, const char *bytes, size_t n, size_t piece) {
    csv_t *c = csv_new(',', 200);
    buf_init(out, (size_t)64 << 20);
    for (size_t at = 0, used; at < n; at += used)
        if (csv_feed(c, bytes + at, n - at < piece ? n - at : piece, &used)) add_record(out, c);
    if (csv_end(c)) add_record(out, c);
    csv_destroy(&c);
}

static void check_pieces(const char *bytes, size_t n) {
    buf_t whole, pieces;
    parse(&whole, bytes, n, n + 1);
    parse(&pieces, bytes, n, 1);
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

static void check_reader(const char *path) {
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open(path, DATA_CSV, &err);
    assert(r || err.text[0]);
    if (!r) return;
    uint64_t rows = 0, line = 1;
    size_t columns = 0;
    int rc;
    while ((rc = reader_next(r, &row, &err)) > 0) {
        assert(row.index == rows && row.line > line);
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
    check_pieces((const char *)bytes, n);
    check_reader(path);
    close(fd);
    return 0;
}
