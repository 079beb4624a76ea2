/* The bytes of a journal: head and records there and back, cut at every byte, changed in every byte. */
#include "core/store/journal_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const journal_key_t KEY = {.row = 7, .hash_high = 1, .hash_low = UINT64_MAX, .occurrence = 2};
enum { SALT = 42 };
static const journal_format_t FORMAT = {.salt = SALT}, OTHER = {.salt = SALT + 1};

static bool same_key(const journal_key_t *a, const journal_key_t *b) {
    return a->row == b->row && a->hash_high == b->hash_high && a->hash_low == b->hash_low &&
           a->occurrence == b->occurrence;
}

Test(journal_file, a_head_there_and_back_and_cut) {
    buf_t out;
    journal_format_t format = {0};
    buf_init(&out, 100);
    journal_head_write(&out, SALT);
    cr_assert_eq(out.len, JOURNAL_HEAD_BYTES);
    cr_assert_eq(journal_head_read(out.data, out.len, &format), SDG_OK);
    cr_assert(format.salt == SALT && !format.old);
    for (size_t len = 0; len < out.len; len++)
        cr_assert_eq(journal_head_read(out.data, len, &format), SDG_ENOTFOUND);
    cr_assert_eq(journal_head_read("SDGJRNL9.......................SDGJRNL9........", 48, &format),
                 SDG_EPARSE);
    cr_assert_eq(journal_head_read("x", 1, &format), SDG_EPARSE);
    buf_free(&out);
}

/* Reads the record at the front of `len` bytes, given in memory of exactly that size. */
static size_t read_exactly(const char *bytes, size_t len, const journal_format_t *format, size_t *more) {
    char *copy = xmalloc(len ? len : 1);
    const char *answer;
    size_t answer_len;
    journal_key_t key;
    memcpy(copy, bytes, len);
    size_t size = journal_record_read(copy, len, format, &key, &answer, &answer_len, more);
    free(copy);
    return size;
}

Test(journal_file, a_record_there_and_back) {
    buf_t out;
    journal_key_t key;
    const char *answer;
    size_t answer_len, more;
    buf_init(&out, 1000);
    journal_record_write(&out, SALT, &KEY, "hello\0world", 11);
    journal_record_write(&out, SALT, &KEY, NULL, 0);
    size_t size = journal_record_read(out.data, out.len, &FORMAT, &key, &answer, &answer_len, &more);
    cr_assert_eq(size, JOURNAL_RECORD_HEAD_BYTES + 11);
    cr_assert(same_key(&key, &KEY) && answer_len == 11 && memcmp(answer, "hello\0world", 11) == 0);
    size = journal_record_read(out.data + size, out.len - size, &FORMAT, &key, &answer, &answer_len, &more);
    cr_assert_eq(size, JOURNAL_RECORD_HEAD_BYTES);
    cr_assert(same_key(&key, &KEY) && answer_len == 0);
    buf_free(&out);
}

Test(journal_file, a_record_cut_or_changed_is_none) {
    buf_t out;
    size_t more;
    buf_init(&out, 1000);
    journal_record_write(&out, SALT, &KEY, "hello", 5);
    for (size_t len = 0; len < out.len; len++) {
        cr_assert_eq(read_exactly(out.data, len, &FORMAT, &more), 0);
        cr_assert_eq(more, len < JOURNAL_RECORD_HEAD_BYTES ? JOURNAL_RECORD_HEAD_BYTES : out.len);
    }
    for (size_t at = 0; at < out.len; at++) {
        out.data[at] = (char)(out.data[at] ^ 1);
        cr_assert_eq(read_exactly(out.data, out.len, &FORMAT, &more), 0, "byte %zu", at);
        out.data[at] = (char)(out.data[at] ^ 1);
    }
    cr_assert_eq(read_exactly(out.data, out.len, &OTHER, &more), 0, "of another journal");
    cr_assert_eq(read_exactly(out.data, out.len, &FORMAT, &more), out.len);
    buf_free(&out);
}

typedef struct seen {
    uint64_t count, last_at, stop_at; /* stop_at: the visit that ends the scan; 0: none */
} seen_t;

static bool visit(void *context, const journal_key_t *key, const char *answer, size_t len, uint64_t at) {
    seen_t *seen = context;
    cr_assert(key->row == seen->count && len == 5 && memcmp(answer, "hello", 5) == 0);
    seen->last_at = at;
    return ++seen->count != seen->stop_at;
}

static uint64_t scan(FILE *f, seen_t *seen) {
    err_t err = {0};
    journal_scan_t scan = {
        .fd = fileno(f), .path = "journal", .format = FORMAT, .visit = visit, .context = seen};
    cr_assert_eq(journal_file_scan(&scan, &err), SDG_OK, "%s", err.text);
    return scan.end;
}

Test(journal_file, a_scan_visits_all_whole_records) {
    enum { RECORDS = 3000, RECORD_BYTES = JOURNAL_RECORD_HEAD_BYTES + 5 };
    buf_t out;
    buf_init(&out, (size_t)1 << 20);
    journal_head_write(&out, SALT);
    for (uint64_t row = 0; row < RECORDS; row++)
        journal_record_write(&out, SALT, &(journal_key_t){.row = row}, "hello", 5);
    FILE *f = tmpfile();
    cr_assert(fwrite(out.data, 1, out.len - 1, f) == out.len - 1 && fflush(f) == 0, "the last one is torn");
    seen_t seen = {0};
    cr_assert_eq(scan(f, &seen), JOURNAL_HEAD_BYTES + (RECORDS - 1) * RECORD_BYTES);
    cr_assert_eq(seen.count, RECORDS - 1);
    cr_assert_eq(seen.last_at, JOURNAL_HEAD_BYTES + (RECORDS - 2) * RECORD_BYTES);
    seen = (seen_t){.stop_at = 10};
    cr_assert_eq(scan(f, &seen), JOURNAL_HEAD_BYTES + 10 * RECORD_BYTES);
    cr_assert_eq(seen.count, 10);
    fclose(f);
    buf_free(&out);
}
