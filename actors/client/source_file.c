/* source_file.c - rows of the input file (core/data/reader.h): which of them are to be done, and whether they
 * can be. */
#include <inttypes.h>
#include <stdlib.h>

#include "actors/client/source_internal.h"

typedef struct source_file {
    source_t source;
    reader_t *reader; /* owned */
    source_file_options_t options;
    uint64_t rows_read;
    uint64_t bytes_read; /* of the input, up to the end of the last of those rows */
    uint64_t row_bytes;  /* of them, those of the last row */
    bool ended;
    bool whole; /* by the end of the file, not by rows_max */
} source_file_t;

/* True: the record cannot be a row, `why` is the reason. A row that alone is too much for --memory-limit is
 * as bad as one that cannot be read. */
static bool is_bad(const source_file_t *f, const row_record_t *r, err_t *why) {
    uint64_t max = f->options.row_bytes_max;
    if (r->bad) {
        err_set(why, SDG_EPARSE, "%s", r->bad);
        return true;
    }
    if (max == 0 || r->json_len <= max) return false;
    err_set(why, SDG_ELIMIT,
            "input line %" PRIu64 ": this row alone has %zu MiB; --memory-limit allows %" PRIu64
            " MiB for one: raise it",
            r->line, r->json_len >> 20, (uint64_t)(max >> 20));
    return true;
}

/* At the end of the file what follows its last row, blank lines, is read too. */
static source_got_t end(source_file_t *f, bool of_file) {
    if (of_file) f->bytes_read = reader_consumed(f->reader);
    f->ended = true;
    f->whole = of_file;
    return SOURCE_END;
}

/* A row that is finished is passed over before it is judged, so a bad row that an earlier run has reported is
 * not reported again. */
static source_got_t file_next(source_t *s, row_in_t *row, err_t *why) {
    source_file_t *f = (source_file_t *)s;
    row_record_t r;
    int rc = reader_next(f->reader, &r, why);
    if (rc == READER_WAIT) return SOURCE_WAITS;
    if (rc < 0) return SOURCE_FAILED;
    if (rc == 0 || r.index >= f->options.rows_max) return end(f, rc == 0);
    f->rows_read++;
    f->row_bytes = reader_consumed(f->reader) - f->bytes_read;
    f->bytes_read += f->row_bytes;
    if (r.index < f->options.first_row || rangeset_has(f->options.finished, r.index)) return SOURCE_SKIPPED;
    *row = (row_in_t){.index = r.index, .line = r.line};
    if (is_bad(f, &r, why)) return SOURCE_BAD;
    row->raw = (slice_t){r.json, r.json_len};
    return SOURCE_ROW;
}

static uint64_t file_row_bytes(const source_t *s) { return ((const source_file_t *)s)->row_bytes; }

static int file_fd(const source_t *s) { return reader_fd(((const source_file_t *)s)->reader); }

static void file_progress(const source_t *s, source_progress_t *p) {
    const source_file_t *f = (const source_file_t *)s;
    uint64_t read_ahead, rows_max = f->options.rows_max;
    p->rows_read = f->rows_read;
    p->bytes_read = f->bytes_read;
    p->whole = f->whole;
    reader_progress(f->reader, &read_ahead, &p->bytes_total);
    if (p->bytes_total == 0 || rows_max == UINT64_MAX || f->rows_read == 0) return;
    double wanted =
        f->ended ? (double)f->bytes_read : (double)f->bytes_read / (double)f->rows_read * (double)rows_max;
    if (wanted < (double)p->bytes_total) p->bytes_total = (uint64_t)wanted;
}

static void file_destroy(source_t *s) {
    source_file_t *f = (source_file_t *)s;
    reader_close(&f->reader);
    free(f);
}

source_t *source_file_new(reader_t *reader, const source_file_options_t *options) {
    static const source_ops_t ops = {file_next, file_row_bytes, file_fd, file_progress, file_destroy};
    source_file_t *f = xcalloc(1, sizeof *f);
    f->source.ops = &ops;
    f->reader = reader;
    f->options = *options;
    reader_set_waiting(reader);
    return &f->source;
}
