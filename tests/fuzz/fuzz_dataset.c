/* fuzz_dataset - any bytes as an input of JSON Lines, plain or packed: rows are numbered without a gap, lines
 * go up, and what the survey counts is what is read. The same bytes packed as gzip or zstd, in pieces, are
 * the same rows; packed bytes that are cut or changed never give a row that was not there. */
#include "tests/fuzz/input.h"

#include <zlib.h>
#include <zstd.h>

#include "core/base/buf.h"
#include "core/data/reader.h"
#include "core/data/survey.h"

/* What is read of a file: each row, or why it is none; and how it ended. */
typedef struct rows {
    buf_t text;
    uint64_t count;
    int end; /* as reader_next */
    bool opened;
} rows_t;

static void rows_add(rows_t *rows, const row_record_t *record) {
    rows->count++;
    buf_add(&rows->text, record->json ? record->json : "!", record->json ? record->json_len : 1);
    buf_addc(&rows->text, '\n');
}

static rows_t read_rows(const char *path) {
    rows_t rows = {0};
    row_record_t record;
    err_t err = {0};
    uint64_t line = 0, consumed = 0;
    buf_init(&rows.text, (size_t)64 << 20);
    reader_t *r = reader_open(path, DATA_JSONL, &err);
    CHECK(r || err.text[0], "refused without a word");
    rows.opened = r;
    while (r && (rows.end = reader_next(r, &record, &err)) == 1) {
        CHECK(record.index == rows.count && record.line > line, "row %llu", (unsigned long long)record.index);
        CHECK((record.bad == NULL) == (record.json != NULL), "row %llu", (unsigned long long)record.index);
        CHECK(reader_consumed(r) >= consumed, "the place falls");
        consumed = reader_consumed(r);
        line = record.line;
        rows_add(&rows, &record);
    }
    CHECK(rows.end == 0 || err.text[0], "failed without a word");
    reader_close(&r);
    return rows;
}

static bool same(const rows_t *a, const rows_t *b) {
    return a->opened == b->opened && a->count == b->count && a->text.len == b->text.len &&
           (a->text.len == 0 || memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

static void check_survey(const char *path, const rows_t *rows) {
    survey_t survey;
    err_t err = {0};
    data_form_t form = {.format = DATA_JSONL};
    int rc = survey_input(path, &form, NULL, NULL, &survey, &err);
    CHECK((rc == SDG_OK) == (rows->opened && rows->end == 0), "%d: %s", rc, err.text);
    if (rc == SDG_OK && survey.exact)
        CHECK(survey.rows == rows->count, "%llu rows, not %llu", (unsigned long long)survey.rows,
              (unsigned long long)rows->count);
}

static void pack_gzip(buf_t *out, const char *bytes, size_t len, size_t piece) {
    for (size_t at = 0; at < len || at == 0; at += piece) {
        unsigned char room[8192];
        size_t n = len - at < piece ? len - at : piece;
        z_stream z = {.next_in = (unsigned char *)bytes + at, .avail_in = (unsigned)n};
        z.next_out = room, z.avail_out = sizeof room;
        deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
        CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END, "packing");
        buf_add(out, room, sizeof room - z.avail_out);
        deflateEnd(&z);
    }
}

static void pack_zstd(buf_t *out, const char *bytes, size_t len, size_t piece) {
    for (size_t at = 0; at < len || at == 0; at += piece) {
        static ZSTD_CCtx *context;
        char room[8192];
        size_t n = len - at < piece ? len - at : piece;
        if (!context) {
            context = ZSTD_createCCtx();
            ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
        }
        size_t got = ZSTD_compress2(context, room, sizeof room, bytes + at, n);
        CHECK(!ZSTD_isError(got), "packing");
        buf_add(out, room, got);
    }
}

typedef void pack_fn(buf_t *out, const char *bytes, size_t len, size_t piece);

/* `hurt`: 0 leaves the packed bytes as they are; else a byte of them is changed, or they are cut there. */
static void check_packed(pack_fn *pack, const char *bytes, size_t len, size_t piece, unsigned hurt,
                         const rows_t *plain) {
    char path[FUZZ_PATH_BYTES];
    buf_t packed;
    buf_init(&packed, (size_t)1 << 24);
    pack(&packed, bytes, len, piece);
    size_t at = hurt % packed.len, kept = packed.len;
    if (hurt & 0x8000)
        kept = at;
    else if (hurt)
        packed.data[at] ^= (char)(1 << hurt % 8);
    int fd = fuzz_file(packed.data, kept, path);
    rows_t rows = read_rows(path);
    bool judged = rows.opened != plain->opened; /* by its first bytes, of which another number was at hand */
    bool is_packed = kept > 4 && (kept < packed.len || at >= 4 || !hurt);
    if (!judged && is_packed && rows.end == 0 && kept == packed.len)
        CHECK(same(&rows, plain), "%llu rows packed, %llu plain; byte %zu was changed: %d",
              (unsigned long long)rows.count, (unsigned long long)plain->count, at, hurt != 0);
    if (!judged && is_packed && (rows.end == 0 || !hurt))
        CHECK(rows.count <= plain->count && (hurt || rows.end == 0), "%llu rows, %llu plain",
              (unsigned long long)rows.count, (unsigned long long)plain->count);
    buf_free(&rows.text);
    close(fd);
    buf_free(&packed);
}

/* The same bytes through a pipe that is slow: they come in pieces, and the reader says that it waits. */
static void check_pipe(const char *bytes, size_t len, size_t piece, const rows_t *plain) {
    char path[FUZZ_PATH_BYTES];
    int fds[2];
    if (pipe(fds) != 0) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    rows_t rows = {0};
    row_record_t record;
    err_t err = {0};
    size_t at = 0;
    buf_init(&rows.text, (size_t)64 << 20);
    reader_t *r = reader_open(path, DATA_JSONL, &err);
    CHECK(r, "%s", err.text);
    reader_set_waiting(r);
    while ((rows.end = reader_next(r, &record, &err)) > 0) {
        if (rows.end == 1) {
            rows_add(&rows, &record);
            continue;
        }
        size_t n = len - at < piece ? len - at : piece;
        if (n > 0 && write(fds[1], bytes + at, n) != (ssize_t)n) abort();
        at += n;
        if (n == 0) {
            CHECK(fds[1] >= 0, "it waits behind the end");
            close(fds[1]);
            fds[1] = -1;
        }
    }
    rows.opened = plain->opened;
    if (rows.end == 0 && plain->opened && plain->end == 0)
        CHECK(same(&rows, plain), "%llu rows of a pipe, %llu of a file", (unsigned long long)rows.count,
              (unsigned long long)plain->count);
    buf_free(&rows.text);
    reader_close(&r);
    close(fds[0]);
    if (fds[1] >= 0) close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    unsigned hurt = (unsigned)fuzz_number(&in, 2);
    size_t piece = 1 + 16 * (size_t)fuzz_byte(&in), len;
    char *text = fuzz_rest(&in, &len), path[FUZZ_PATH_BYTES];
    int fd = fuzz_file(text, len, path);
    rows_t plain = read_rows(path);
    check_survey(path, &plain);
    close(fd);
    if (len < 32768) check_pipe(text, len, piece, &plain);
    bool packed = len >= 4 && (memcmp(text, "\x1f\x8b", 2) == 0 || memcmp(text, "\x28\xb5\x2f\xfd", 4) == 0);
    if (!packed && len < 4096 && piece < len + 16) {
        check_packed(pack_gzip, text, len, piece, hurt, &plain);
        check_packed(pack_zstd, text, len, piece, hurt, &plain);
    }
    buf_free(&plain.text);
    free(text);
    return 0;
}
