/* The call journal: adding and finding, torn tails, finished rows, rewriting, full disks. */
#include "tests/core/data/scratch.h"

#include <signal.h>
#include <sys/resource.h>
#include <xxhash.h>

#include "core/base/rangeset.h"
#include "core/store/journal.h"
#include "core/store/limits.h"

TestSuite(journal, .init = scratch_begin, .fini = scratch_end);

static journal_t *open_ok(const char *path, journal_found_t *found) {
    err_t err = {0};
    journal_t *j = journal_open(path, JOURNAL_MAKE, NULL, NULL, found, &err);
    cr_assert(j, "%s", err.text);
    return j;
}

static journal_key_t key_of(uint64_t row, const char *question, uint32_t occurrence) {
    journal_key_t key = {.row = row, .occurrence = occurrence};
    journal_hash("model", question, strlen(question), &key);
    return key;
}

static void add(journal_t *j, uint64_t row, const char *question, const char *answer) {
    journal_key_t key = key_of(row, question, 0);
    err_t err = {0};
    cr_assert_eq(journal_add(j, &key, answer, strlen(answer), &err), SDG_OK, "%s", err.text);
}

static void flush(journal_t *j) {
    err_t err = {0};
    cr_assert_eq(journal_flush(j, &err), SDG_OK, "%s", err.text);
}

/* What is found must be `want`; NULL: nothing must be found. */
static void expect(journal_t *j, uint64_t row, const char *question, uint32_t occurrence, const char *want) {
    journal_key_t key = key_of(row, question, occurrence);
    buf_t got;
    err_t err = {0};
    buf_init(&got, JOURNAL_ANSWER_BYTES_MAX);
    int rc = journal_find(j, &key, &got, &err);
    cr_assert_eq(rc, want ? SDG_OK : SDG_ENOTFOUND, "row %d %s: %d %s", (int)row, question, rc, err.text);
    if (want) cr_assert_str_eq(got.len ? got.data : "", want);
    buf_free(&got);
}

/* Even rows are finished, row 7 has failed, the others are open. */
static journal_row_t row_of_test(void *context, uint64_t row) {
    (void)context;
    return row % 2 == 0 ? JOURNAL_ROW_FINISHED : row == 7 ? JOURNAL_ROW_KEPT : JOURNAL_ROW_OPEN;
}

Test(journal, keeps_an_answer_over_a_restart) {
    const char *path = scratch_path("o.journal");
    journal_found_t found;
    journal_t *j = open_ok(path, &found);
    cr_assert_eq(found.records, 0);
    add(j, 7, "why?", "because");
    flush(j);
    journal_close(&j);
    j = open_ok(path, &found);
    cr_assert_eq(found.records, 1);
    cr_assert_eq(found.first_row, 7);
    cr_assert_eq(found.end_row, 8);
    expect(j, 7, "why?", 0, "because");
    journal_close(&j);
}

Test(journal, another_question_row_or_occurrence_misses) {
    journal_t *j = open_ok(scratch_path("o.journal"), NULL);
    add(j, 1, "a", "A");
    expect(j, 1, "a", 0, "A");
    expect(j, 1, "b", 0, NULL);
    expect(j, 2, "a", 0, NULL);
    expect(j, 1, "a", 1, NULL);
    journal_close(&j);
}

Test(journal, the_model_is_part_of_the_question) {
    journal_key_t a = {0}, b = {0};
    journal_hash("one", "body", 4, &a);
    journal_hash("two", "body", 4, &b);
    cr_assert(a.hash_low != b.hash_low && a.hash_high != b.hash_high);
}

Test(journal, a_file_that_was_removed_is_written_again) {
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("o.journal"));
    journal_t *j = open_ok(path, NULL);
    add(j, 1, "a", "A");
    flush(j);
    cr_assert_eq(journal_watch(j, NULL), SDG_OK);
    cr_assert_eq(unlink(path), 0);
    add(j, 2, "b", "B");
    cr_assert_eq(journal_watch(j, NULL), SDG_OK);
    add(j, 3, "c", "C");
    flush(j);
    cr_assert_eq(journal_watch(j, NULL), SDG_OK);
    journal_close(&j);
    j = open_ok(path, NULL);
    expect(j, 1, "a", 0, "A");
    expect(j, 2, "b", 0, "B");
    expect(j, 3, "c", 0, "C");
    journal_remove(&j);
    cr_assert_neq(access(path, F_OK), 0);
}

static void expect_taken(journal_t *j, const char *how) {
    err_t err = {0};
    cr_assert_eq(journal_watch(j, &err), SDG_EIO);
    cr_assert(strstr(err.text, how), "%s", err.text);
    cr_assert_eq(journal_flush(j, &err), SDG_EIO, "it stays broken");
    journal_remove(&j);
    cr_assert_eq(access(scratch_path("o.journal"), F_OK), 0, "what somebody has put there is not deleted");
    cr_assert_eq(unlink(scratch_path("o.journal")), 0);
}

Test(journal, a_file_that_was_changed_is_a_failure) {
    static const char *const how[] = {"replaced by another file", "cut by another program",
                                      "written to by another program"};
    for (int i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s", scratch_path("o.journal"));
        journal_t *j = open_ok(path, NULL);
        add(j, 1, "a", "A");
        flush(j);
        if (i == 0) cr_assert_eq(rename(scratch_text("other", "mine"), path), 0);
        if (i == 1) cr_assert_eq(truncate(path, 20), 0);
        if (i == 2) cr_assert_eq(truncate(path, 2000), 0);
        expect_taken(j, how[i]);
    }
}

Test(journal, a_record_sent_twice_counts_once) {
    journal_t *j = open_ok(scratch_path("o.journal"), NULL);
    journal_stats_t stats;
    add(j, 1, "a", "first");
    add(j, 1, "a", "second");
    journal_stats(j, &stats);
    cr_assert_eq(stats.added, 1);
    expect(j, 1, "a", 0, "first");
    journal_close(&j);
}

Test(journal, empty_and_binary_answers) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    journal_key_t key = key_of(3, "q", 0);
    add(j, 2, "e", "");
    cr_assert_eq(journal_add(j, &key, "a\0b", 3, NULL), SDG_OK);
    flush(j);
    journal_close(&j);
    j = open_ok(path, NULL);
    expect(j, 2, "e", 0, "");
    buf_t got;
    buf_init(&got, 100);
    cr_assert_eq(journal_find(j, &key, &got, NULL), SDG_OK);
    cr_assert(got.len == 3 && memcmp(got.data, "a\0b", 3) == 0);
    buf_free(&got);
    journal_close(&j);
}

Test(journal, cut_at_every_byte_keeps_all_whole_records) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    size_t ends[4], len;
    for (int i = 0; i < 3; i++) {
        add(j, (uint64_t)i, "question", "an answer");
        flush(j);
        scratch_read(path, &len);
        ends[i] = len;
    }
    journal_close(&j);
    char *whole = malloc(len);
    memcpy(whole, scratch_read(path, NULL), len);
    for (size_t cut = 0; cut <= len; cut++) {
        journal_found_t found;
        uint64_t want = (cut >= ends[0]) + (cut >= ends[1]) + (cut >= ends[2]);
        j = open_ok(scratch_write("cut.journal", whole, cut), &found);
        cr_assert_eq(found.records, want, "cut at %zu: %d records", cut, (int)found.records);
        add(j, 9, "after", "the cut"); /* it goes on from there */
        flush(j);
        journal_close(&j);
        j = open_ok(scratch_path("cut.journal"), &found);
        cr_assert_eq(found.records, want + 1);
        cr_assert_eq(found.lost.torn_bytes, 0);
        expect(j, 9, "after", 0, "the cut");
        journal_close(&j);
    }
    free(whole);
}

static void add_rows(journal_t *j, uint64_t rows) {
    char answer[64];
    for (uint64_t row = 0; row < rows; row++) {
        snprintf(answer, sizeof answer, "answer %llu", (unsigned long long)row);
        add(j, row, "one", answer);
        add(j, row, "two", "again");
    }
    flush(j);
}

/* A file of three records of one size; the caller frees. */
static char *three_records(size_t *len) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    for (uint64_t row = 0; row < 3; row++) {
        add(j, row, "question", "an answer");
    }
    flush(j);
    journal_close(&j);
    const char *text = scratch_read(path, len);
    char *bytes = malloc(*len);
    memcpy(bytes, text, *len);
    return bytes;
}

Test(journal, a_changed_bit_costs_its_own_record) {
    size_t len;
    char *bytes = three_records(&len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        journal_found_t found;
        size_t at = bit / 8, size = (len - 48) / 3;
        bytes[at] ^= (char)(1 << bit % 8);
        journal_t *j = open_ok(scratch_write("bad.journal", bytes, len), &found);
        bytes[at] ^= (char)(1 << bit % 8);
        cr_assert_eq(found.records, at < 48 ? 3 : 2, "byte %zu: %d", at, (int)found.records);
        cr_assert_eq(found.lost.records, at < 48 ? 0 : 1, "byte %zu", at);
        cr_assert_eq(found.lost.bytes, at < 48 ? 0 : size, "byte %zu", at);
        cr_assert_eq(found.lost.torn_bytes, 0);
        for (uint64_t row = 0; row < 3; row++) {
            expect(j, row, "question", 0, at >= 48 && (at - 48) / size == row ? NULL : "an answer");
        }
        add(j, 9, "after", "the damage"); /* it goes on */
        flush(j);
        journal_close(&j);
        j = open_ok(scratch_path("bad.journal"), &found);
        cr_assert_eq(found.records, at < 48 ? 4 : 3);
        expect(j, 9, "after", 0, "the damage");
        journal_close(&j);
    }
    free(bytes);
}

Test(journal, bytes_that_are_missing_or_too_many_cost_what_they_touch) {
    size_t len;
    char *bytes = three_records(&len), *other = malloc(len + 100);
    for (size_t gone = 1; gone <= 20; gone++) { /* a hole in the head */
        journal_found_t found;
        memcpy(other, bytes + gone, len - gone);
        journal_t *j = open_ok(scratch_write("bad.journal", other, len - gone), &found);
        cr_assert(found.records == 3 && found.lost.records == 0, "%zu gone", gone);
        journal_close(&j);
        memcpy(other, "some foreign bytes...", gone);
        memcpy(other + gone, bytes, len);
        j = open_ok(scratch_write("bad.journal", other, len + gone), &found);
        cr_assert(found.records == 3 && found.lost.records == 0, "%zu more", gone);
        add(j, 9, "after", "the damage");
        flush(j);
        journal_close(&j);
        j = open_ok(scratch_path("bad.journal"), &found);
        cr_assert_eq(found.records, 4);
        journal_close(&j);
    }
    size_t first = 48, second = first + (len - 48) / 3;
    for (size_t gone = 1; gone <= 30; gone++) { /* a hole in the first record */
        journal_found_t found;
        memcpy(other, bytes, first + 20);
        memcpy(other + first + 20, bytes + first + 20 + gone, len - first - 20 - gone);
        journal_t *j = open_ok(scratch_write("bad.journal", other, len - gone), &found);
        cr_assert(found.records == 2 && found.lost.records == 1, "%zu gone", gone);
        expect(j, 1, "question", 0, "an answer");
        expect(j, 2, "question", 0, "an answer");
        journal_close(&j);
    }
    for (size_t more = 1; more <= 100; more++) { /* foreign bytes between two records */
        journal_found_t found;
        memcpy(other, bytes, second);
        memset(other + second, 'x', more);
        memcpy(other + second + more, bytes + second, len - second);
        journal_t *j = open_ok(scratch_write("bad.journal", other, len + more), &found);
        cr_assert(found.records == 3 && found.lost.records == 1 && found.lost.bytes == more);
        journal_close(&j);
    }
    free(other);
    free(bytes);
}

Test(journal, damage_of_finished_rows_is_told_apart) {
    size_t len;
    char *bytes = three_records(&len);
    journal_found_t found;
    for (uint64_t row = 0; row < 3; row++) {
        bytes[48 + (row + 1) * (len - 48) / 3 - 1] ^= 1; /* in the answer */
    }
    journal_t *j =
        journal_open(scratch_write("bad.journal", bytes, len), JOURNAL_MAKE, row_of_test, NULL, &found, NULL);
    cr_assert_eq(found.records, 0);
    cr_assert_eq(found.lost.records, 3);
    cr_assert_eq(found.lost_finished, 2);
    journal_close(&j);
    free(bytes);
}

Test(journal, a_damaged_record_of_many_reads_is_passed_over) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    size_t len, big = 3 * JOURNAL_READ_BYTES;
    journal_found_t found;
    char *answer = malloc(big);
    memset(answer, 'a', big);
    journal_key_t key = key_of(1, "big", 0);
    add(j, 0, "q", "before");
    cr_assert_eq(journal_add(j, &key, answer, big, NULL), SDG_OK);
    add(j, 2, "q", "behind");
    flush(j);
    journal_close(&j);
    const char *text = scratch_read(path, &len);
    char *bytes = malloc(len);
    memcpy(bytes, text, len);
    bytes[len / 2] ^= 4;
    j = open_ok(scratch_write("bad.journal", bytes, len), &found);
    cr_assert(found.records == 2 && found.lost.records == 1);
    expect(j, 0, "q", 0, "before");
    expect(j, 2, "q", 0, "behind");
    journal_close(&j);
    free(bytes);
    free(answer);
}

Test(journal, bytes_that_are_missing_in_a_record_are_no_torn_end) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    journal_found_t found;
    size_t len;
    char answer[401];
    memset(answer, 'a', 400);
    answer[400] = '\0';
    add(j, 0, "q", "before");
    add(j, 1, "q", answer);
    add(j, 2, "q", "behind");
    flush(j);
    journal_close(&j);
    buf_t bytes;
    const char *text = scratch_read(path, &len), *gap = memmem(text, len, "aaaa", 4);
    buf_init(&bytes, 2000);
    buf_add(&bytes, text, (size_t)(gap - text));
    buf_add(&bytes, gap + 300, len - (size_t)(gap - text) - 300);
    j = open_ok(scratch_write("bad.journal", bytes.data, bytes.len), &found);
    cr_assert_eq(found.records, 2);
    cr_assert_eq(found.lost.records, 1, "the record that lost bytes reaches over the end of the file");
    cr_assert(found.lost.bytes == 148 && found.lost.torn_bytes == 0);
    expect(j, 2, "q", 0, "behind");
    journal_close(&j);
    buf_free(&bytes);
}

/* Two records as sdg 0.1.0 wrote them: size, checksum, row, hash, occurrence, answer. */
static void old_journal(buf_t *out) {
    uint64_t salt = 77;
    buf_init(out, 1000);
    buf_adds(out, "SDGJRNL1");
    buf_add(out, &salt, sizeof salt);
    for (uint64_t row = 0; row < 2; row++) {
        journal_key_t key = key_of(row, "q", 0);
        char body[31];
        uint32_t size = sizeof body, sum;
        memcpy(body, &key.row, 8);
        memcpy(body + 8, &key.hash_high, 8);
        memcpy(body + 16, &key.hash_low, 8);
        memcpy(body + 24, &key.occurrence, 4);
        memcpy(body + 28, "old", 3);
        sum = (uint32_t)XXH3_64bits_withSeed(body, size, salt + size);
        buf_add(out, &size, sizeof size);
        buf_add(out, &sum, sizeof sum);
        buf_add(out, body, sizeof body);
    }
}

Test(journal, a_file_of_the_first_version_is_read_and_rewritten) {
    buf_t old;
    journal_found_t found;
    old_journal(&old);
    const char *path = scratch_write("o.journal", old.data, old.len);
    journal_t *j = open_ok(path, &found);
    cr_assert_eq(found.records, 2);
    expect(j, 1, "q", 0, "old");
    add(j, 2, "q", "new");
    flush(j);
    journal_close(&j);
    cr_assert(memcmp(scratch_read(path, NULL), "SDGJRNL2", 8) == 0);
    j = open_ok(path, &found);
    cr_assert(found.records == 3 && found.lost.records == 0);
    journal_close(&j);
    old.data[old.len - 1] ^= 1;
    j = open_ok(scratch_write("o.journal", old.data, old.len), &found);
    cr_assert(found.records == 1 && found.lost.records == 1);
    journal_close(&j);
    buf_free(&old);
}

Test(journal, is_its_users_alone_and_follows_no_link) {
    char *path = strdup(scratch_path("o.journal"));
    struct stat st;
    err_t err = {0};
    umask(0);
    journal_t *j = open_ok(path, NULL);
    add_rows(j, 10);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    for (uint64_t row = 0; row < 9; row++) {
        journal_row_finished(j, row);
    }
    scratch_text("victim", "somebody's");
    cr_assert_eq(symlink(scratch_path("victim"), scratch_path("o.journal.new")), 0);
    cr_assert_eq(journal_compact(j, 0, NULL), SDG_OK);
    journal_close(&j);
    cr_assert(lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600);
    cr_assert_str_eq(scratch_read(scratch_path("victim"), NULL), "somebody's");
    cr_assert_eq(chmod(path, 0644), 0); /* as sdg 0.1.0 made it */
    j = open_ok(path, NULL);
    journal_close(&j);
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    cr_assert_eq(symlink(path, scratch_path("link.journal")), 0);
    cr_assert_null(journal_open(scratch_path("link.journal"), JOURNAL_MAKE, NULL, NULL, NULL, &err));
    cr_assert(strstr(err.text, "symbolic link"), "%s", err.text);
    cr_assert_eq(mkfifo(scratch_path("pipe.journal"), 0600), 0);
    cr_assert_null(journal_open(scratch_path("pipe.journal"), JOURNAL_MAKE, NULL, NULL, NULL, &err));
    cr_assert(strstr(err.text, "no ordinary file"), "%s", err.text);
    free(path);
}

Test(journal, another_file_is_left_alone) {
    err_t err = {0};
    const char *path = scratch_text("notes.txt", "not a journal, but somebody's notes");
    cr_assert_null(journal_open(path, JOURNAL_MAKE, NULL, NULL, NULL, &err));
    cr_assert_eq(err.code, SDG_EINVAL, "%s", err.text);
    cr_assert_str_eq(scratch_read(path, NULL), "not a journal, but somebody's notes");
}

Test(journal, finished_rows_are_not_indexed) {
    const char *path = scratch_path("o.journal");
    journal_found_t found;
    journal_t *j = open_ok(path, NULL);
    for (uint64_t row = 0; row < 10; row++) {
        add(j, row, "q", "a");
    }
    flush(j);
    journal_close(&j);
    j = journal_open(path, JOURNAL_MAKE, row_of_test, NULL, &found, NULL);
    cr_assert_eq(found.records, 10);
    cr_assert_eq(found.calls, 4);
    cr_assert_eq(found.rows, 4);
    cr_assert_eq(found.first_row, 1);
    cr_assert_eq(found.end_row, 10);
    expect(j, 2, "q", 0, NULL);
    expect(j, 3, "q", 0, "a");
    journal_close(&j);
}

Test(journal, calls_of_a_failed_row_outlive_a_rewrite_but_are_not_asked_for) {
    const char *path = scratch_path("o.journal");
    journal_found_t found;
    journal_t *j = open_ok(path, NULL);
    for (uint64_t row = 0; row < 8; row += row == 0 ? 7 : 1) {
        add(j, row, "q", "paid for");
    }
    flush(j);
    journal_close(&j);
    j = journal_open(path, JOURNAL_MAKE, row_of_test, NULL, &found, NULL);
    cr_assert_eq(found.records, 2);
    cr_assert_eq(found.calls, 0);
    cr_assert_eq(found.end_row, 0);
    add(j, 9, "gone", "soon");
    journal_row_finished(j, 9);
    cr_assert_eq(journal_compact(j, 0, NULL), SDG_OK);
    journal_close(&j);
    j = open_ok(path, &found);
    cr_assert_eq(found.records, 1);
    expect(j, 7, "q", 0, "paid for");
    journal_close(&j);
}

Test(journal, a_file_that_is_made_when_needed) {
    const char *path = scratch_path("late.journal");
    journal_stats_t stats;
    err_t err = {0};
    journal_t *j = journal_open(path, JOURNAL_WHEN_NEEDED, NULL, NULL, NULL, &err);
    cr_assert(j, "%s", err.text);
    cr_assert_neq(access(path, F_OK), 0);
    expect(j, 1, "q", 0, NULL);
    flush(j);
    cr_assert_eq(journal_sync(j, &err), SDG_OK, "%s", err.text);
    cr_assert_eq(journal_compact(j, 0, &err), SDG_OK, "%s", err.text);
    cr_assert_neq(access(path, F_OK), 0, "nothing was added");
    add(j, 1, "q", "a");
    flush(j);
    cr_assert_eq(journal_check(path, &err), SDG_OK, "%s", err.text);
    journal_stats(j, &stats);
    cr_assert_eq(stats.bytes, stats.live_bytes + 48);
    journal_close(&j);
    j = journal_open(path, JOURNAL_WHEN_NEEDED, NULL, NULL, NULL, &err);
    expect(j, 1, "q", 0, "a");
    journal_remove(&j);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(journal, a_file_put_where_the_journal_was_to_be_made_is_left_alone) {
    const char *path = scratch_path("late.journal");
    journal_t *j = journal_open(path, JOURNAL_WHEN_NEEDED, NULL, NULL, NULL, NULL);
    journal_key_t key = key_of(1, "q", 0);
    err_t err = {0};
    scratch_text("late.journal", "somebody's notes");
    cr_assert_eq(journal_add(j, &key, "a", 1, &err), SDG_EIO);
    cr_assert(strstr(err.text, "late.journal: cannot be made: File exists"), "%s", err.text);
    journal_close(&j);
    cr_assert_str_eq(scratch_read(path, NULL), "somebody's notes");
}

Test(journal, what_may_be_a_journal_is_told_before_it_is_opened) {
    size_t len;
    char *bytes = three_records(&len);
    err_t err = {0};
    cr_assert_eq(journal_check(scratch_path("none"), &err), SDG_OK, "%s", err.text);
    cr_assert_eq(journal_check(scratch_text("empty", ""), &err), SDG_OK, "%s", err.text);
    cr_assert_eq(journal_check(scratch_write("torn", bytes, 20), &err), SDG_OK, "%s", err.text);
    cr_assert_eq(journal_check(scratch_write("whole", bytes, len), &err), SDG_OK, "%s", err.text);
    memset(bytes, 'x', 48);
    cr_assert_eq(journal_check(scratch_write("damaged", bytes, len), &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "its beginning is damaged"), "%s", err.text);
    cr_assert_eq(journal_check(scratch_text("notes", "somebody's notes"), &err), SDG_EINVAL);
    cr_assert_eq(symlink("whole", scratch_path("link")), 0);
    cr_assert_eq(journal_check(scratch_path("link"), &err), SDG_EIO);
    cr_assert_eq(journal_check(scratch_folder, &err), SDG_EIO);
    free(bytes);
}

Test(journal, a_row_that_finishes_leaves_no_memory_and_does_not_come_back) {
    journal_t *j = open_ok(scratch_path("o.journal"), NULL);
    journal_stats_t stats;
    add(j, 5, "q", "a");
    journal_row_finished(j, 5);
    add(j, 5, "r", "late");
    journal_stats(j, &stats);
    cr_assert_eq(stats.rows, 0);
    cr_assert_eq(stats.calls, 0);
    cr_assert_eq(stats.live_bytes, 0);
    expect(j, 5, "r", 0, NULL);
    journal_close(&j);
}

Test(journal, rewriting_keeps_what_lives) {
    const char *path = scratch_path("o.journal");
    journal_found_t found;
    journal_stats_t stats;
    journal_t *j = open_ok(path, NULL);
    add_rows(j, 100);
    for (uint64_t row = 0; row < 90; row++) {
        journal_row_finished(j, row);
    }
    cr_assert_eq(journal_compact(j, 1 << 20, NULL), SDG_OK); /* too small to bother */
    journal_stats(j, &stats);
    cr_assert_eq(stats.rewrites, 0);
    cr_assert_eq(journal_compact(j, 0, NULL), SDG_OK);
    journal_stats(j, &stats);
    cr_assert_eq(stats.rewrites, 1);
    cr_assert_eq(stats.bytes, stats.live_bytes + 48);
    expect(j, 95, "one", 0, "answer 95");
    add(j, 99, "three", "after");
    expect(j, 99, "three", 0, "after");
    flush(j);
    journal_close(&j);
    j = open_ok(path, &found);
    cr_assert_eq(found.records, 21);
    expect(j, 95, "one", 0, "answer 95");
    expect(j, 99, "two", 0, "again");
    expect(j, 99, "three", 0, "after");
    journal_close(&j);
}

Test(journal, half_alive_is_not_rewritten) {
    journal_t *j = open_ok(scratch_path("o.journal"), NULL);
    journal_stats_t stats;
    add_rows(j, 10);
    for (uint64_t row = 0; row < 5; row++) {
        journal_row_finished(j, row);
    }
    cr_assert_eq(journal_compact(j, 0, NULL), SDG_OK);
    journal_stats(j, &stats);
    cr_assert_eq(stats.rewrites, 0);
    journal_close(&j);
}

Test(journal, a_rewrite_that_cannot_be_made_is_given_up) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    journal_stats_t stats;
    cr_assert_eq(mkdir(scratch_path("o.journal.new"), 0700), 0); /* in the way */
    add_rows(j, 10);
    for (uint64_t row = 0; row < 9; row++) {
        journal_row_finished(j, row);
    }
    cr_assert_eq(journal_compact(j, 0, NULL), SDG_OK);
    journal_stats(j, &stats);
    cr_assert_eq(stats.rewrites, 0);
    expect(j, 9, "one", 0, "answer 9");
    journal_close(&j);
}

Test(journal, is_removed_with_its_job) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    add_rows(j, 3);
    journal_remove(&j);
    cr_assert_null(j);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(journal, a_full_disk_leaves_whole_records) {
    const char *path = scratch_path("o.journal");
    struct rlimit limit = {4000, 4000};
    err_t err = {0};
    journal_found_t found;
    journal_t *j = open_ok(path, NULL);
    uint64_t written = 0;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int rc = SDG_OK; rc == SDG_OK; written += rc == SDG_OK) {
        journal_key_t key = key_of(written, "q", 0);
        cr_assert_eq(journal_add(j, &key, "0123456789", 10, &err), SDG_OK);
        rc = journal_flush(j, &err);
    }
    cr_assert_eq(err.code, SDG_ENOSPACE, "%s", err.text);
    cr_assert_eq(journal_flush(j, &err), SDG_ENOSPACE);
    journal_close(&j);
    j = open_ok(path, &found);
    cr_assert_eq(found.records, written);
    cr_assert_eq(found.lost.torn_bytes, 0);
    journal_close(&j);
}

Test(journal, an_answer_over_the_limit_is_refused_and_the_journal_goes_on) {
    journal_t *j = open_ok(scratch_path("o.journal"), NULL);
    journal_key_t key = key_of(1, "q", 0);
    err_t err = {0};
    char *huge = calloc(1, JOURNAL_ANSWER_BYTES_MAX + 1);
    cr_assert_eq(journal_add(j, &key, huge, JOURNAL_ANSWER_BYTES_MAX + 1, &err), SDG_ELIMIT);
    cr_assert_eq(journal_add(j, &key, huge, JOURNAL_ANSWER_BYTES_MAX, &err), SDG_OK, "%s", err.text);
    flush(j);
    free(huge);
    journal_close(&j);
    journal_found_t found;
    j = open_ok(scratch_path("o.journal"), &found);
    cr_assert_eq(found.records, 1);
    journal_close(&j);
}

static bool count_records(void *context, const journal_key_t *key, const char *answer, size_t len) {
    (void)key, (void)answer, (void)len;
    ++*(int *)context;
    return true;
}

Test(journal, is_read_while_it_is_written) {
    const char *path = scratch_path("o.journal");
    journal_t *j = open_ok(path, NULL);
    int records = 0;
    journal_lost_t lost;
    add_rows(j, 5);
    cr_assert_eq(journal_read(path, count_records, &records, &lost, NULL), SDG_OK);
    cr_assert_eq(records, 10);
    cr_assert_eq(lost.torn_bytes, 0);
    journal_close(&j);
}
