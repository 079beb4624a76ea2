/* Where a client's rows come from: a file, a pipe, the store. */
#include "actors/client/source.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96];
static rangeset_t *finished;

static void begin(void) {
    strcpy(folder, "/tmp/sdg-test-source-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/in.jsonl", folder);
    finished = rangeset_new();
}

static void end(void) {
    unlink(path);
    rmdir(folder);
    rangeset_destroy(&finished);
}

TestSuite(source, .init = begin, .fini = end);

static void write_input(const char *text) {
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0);
    fclose(f);
}

static source_t *open_file(source_file_options_t options) {
    err_t err = {0};
    reader_t *reader = reader_open(path, DATA_AUTO, &err);
    cr_assert(reader, "%s", err.text);
    options.finished = finished;
    if (options.rows_max == 0) options.rows_max = UINT64_MAX;
    return source_file_new(reader, &options);
}

static void expect_row(source_t *s, uint64_t index, const char *raw) {
    row_in_t row;
    err_t why = {0};
    cr_assert_eq(source_next(s, &row, &why), SOURCE_ROW, "%s", why.text);
    cr_expect_eq(row.index, index);
    cr_expect(row.raw.len == strlen(raw) && memcmp(row.raw.data, raw, row.raw.len) == 0);
}

static void expect_bad(source_t *s, uint64_t index, const char *reason) {
    row_in_t row;
    err_t why = {0};
    cr_assert_eq(source_next(s, &row, &why), SOURCE_BAD);
    cr_expect_eq(row.index, index);
    cr_expect(strstr(why.text, reason), "%s", why.text);
}

static void expect(source_t *s, source_got_t got) {
    row_in_t row;
    err_t why;
    cr_expect_eq(source_next(s, &row, &why), got);
}

Test(source, rows_of_a_file_to_its_end) {
    write_input("{\"n\": 0}\n{\"n\": 1}\n");
    source_t *s = open_file((source_file_options_t){0});
    expect_row(s, 0, "{\"n\": 0}");
    expect_row(s, 1, "{\"n\": 1}");
    expect(s, SOURCE_END);
    expect(s, SOURCE_END);
    source_destroy(&s);
    cr_expect_null(s);
}

Test(source, rows_that_are_not_to_be_done_are_skipped_and_counted) {
    source_progress_t p = {0};
    write_input("{\"n\": 0}\n{\"n\": 1}\n{\"n\": 2}\n{\"n\": 3}\n");
    rangeset_add(finished, 2);
    source_t *s = open_file((source_file_options_t){.first_row = 1, .rows_max = 3});
    expect(s, SOURCE_SKIPPED);
    expect_row(s, 1, "{\"n\": 1}");
    expect(s, SOURCE_SKIPPED);
    expect(s, SOURCE_END);
    source_progress(s, &p);
    cr_expect_eq(p.rows_read, 3);
    cr_expect_eq(p.bytes_read, 27);
    cr_expect_eq(p.bytes_total, 27, "three rows were wanted, and they are known now");
    source_destroy(&s);
}

Test(source, each_row_knows_its_bytes_of_the_input) {
    source_progress_t p = {0};
    write_input("\n{\"n\": 0}\n\n{\"n\": 10}\r\n{\"n\": 2}\n\n\n");
    source_t *s = open_file((source_file_options_t){0});
    expect_row(s, 0, "{\"n\": 0}");
    cr_expect_eq(source_row_bytes(s), 10, "with the blank line before it");
    expect_row(s, 1, "{\"n\": 10}");
    cr_expect_eq(source_row_bytes(s), 12);
    source_progress(s, &p);
    cr_expect_eq(p.bytes_read, 22, "not what was read ahead");
    cr_expect_eq(p.bytes_total, 33);
    expect_row(s, 2, "{\"n\": 2}");
    expect(s, SOURCE_END);
    source_progress(s, &p);
    cr_expect_eq(p.bytes_read, 33);
    source_destroy(&s);
}

Test(source, the_bytes_of_the_first_rows_are_estimated_until_they_are_read) {
    source_progress_t p = {0};
    write_input("{\"n\": 0}\n{\"n\": 1}\n{\"n\": 22}\n{\"n\": 3}\n{\"n\": 4}\n");
    source_t *s = open_file((source_file_options_t){.rows_max = 3});
    source_progress(s, &p);
    cr_expect_eq(p.bytes_total, 46);
    expect_row(s, 0, "{\"n\": 0}");
    source_progress(s, &p);
    cr_expect_eq(p.bytes_total, 27);
    expect_row(s, 1, "{\"n\": 1}");
    expect_row(s, 2, "{\"n\": 22}");
    expect(s, SOURCE_END);
    source_progress(s, &p);
    cr_expect_eq(p.bytes_total, 28);
    cr_expect_eq(p.bytes_read, 28);
    source_destroy(&s);
}

Test(source, a_row_that_finishes_meanwhile_is_skipped) {
    write_input("{\"n\": 0}\n{\"n\": 1}\n");
    source_t *s = open_file((source_file_options_t){0});
    expect_row(s, 0, "{\"n\": 0}");
    rangeset_add(finished, 1);
    expect(s, SOURCE_SKIPPED);
    source_destroy(&s);
}

Test(source, what_cannot_be_a_row_is_bad_in_words) {
    write_input("\"\xff\"\n{\"text\": \"0123456789\"}\n{\"n\": 2}\n");
    source_t *s = open_file((source_file_options_t){.row_bytes_max = 10});
    expect_bad(s, 0, "input line 1: not valid UTF-8");
    expect_bad(s, 1, "input line 2: this row alone has");
    expect_row(s, 2, "{\"n\": 2}");
    source_destroy(&s);
}

Test(source, a_bad_row_that_is_finished_is_skipped) {
    write_input("\"\xff\"\n");
    rangeset_add(finished, 0);
    source_t *s = open_file((source_file_options_t){0});
    expect(s, SOURCE_SKIPPED);
    source_destroy(&s);
}

Test(source, a_pipe_waits) {
    cr_assert_eq(mkfifo(path, 0600), 0);
    int writer = open(path, O_RDWR);
    cr_assert_geq(writer, 0);
    source_t *s = open_file((source_file_options_t){0});
    expect(s, SOURCE_WAITS);
    cr_expect_geq(source_fd(s), 0);
    cr_assert_eq(write(writer, "{\"n\": 0}\n{", 10), 10);
    expect_row(s, 0, "{\"n\": 0}");
    expect(s, SOURCE_WAITS);
    close(writer);
    source_destroy(&s);
}

Test(source, input_that_cannot_be_read_further) {
    row_in_t row;
    err_t why = {0};
    char gz[112];
    snprintf(gz, sizeof gz, "%s.gz", path);
    write_input("this is no gzip");
    cr_assert_eq(rename(path, gz), 0);
    reader_t *reader = reader_open(gz, DATA_AUTO, &why);
    if (reader) {
        source_t *s =
            source_file_new(reader, &(source_file_options_t){.rows_max = UINT64_MAX, .finished = finished});
        cr_expect_eq(source_next(s, &row, &why), SOURCE_FAILED);
        source_destroy(&s);
    }
    cr_expect_gt(strlen(why.text), 8);
    unlink(gz);
}

Test(source, rows_of_the_store_have_no_bytes) {
    rangeset_t *rows = rangeset_new();
    source_progress_t p = {.rows_read = 5};
    rangeset_add(rows, 3), rangeset_add(rows, 7), rangeset_add(rows, 8);
    rangeset_add(finished, 7);
    source_t *s = source_store_new(rows, finished);
    expect_row(s, 3, "");
    expect(s, SOURCE_SKIPPED);
    expect_row(s, 8, "");
    expect(s, SOURCE_END);
    source_progress(s, &p);
    cr_expect_eq(p.rows_read, 5, "it reads no file");
    source_destroy(&s);
}
