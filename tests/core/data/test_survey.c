/* What a dataset is like before a run: counted when it is small, estimated when it is large, left alone when
 * it is a pipe. */
#include "tests/core/data/scratch.h"

#include <sys/stat.h>

#include "core/data/limits.h"
#include "core/data/survey.h"

TestSuite(survey, .init = scratch_begin, .fini = scratch_end);

static survey_t survey_of(const char *path) {
    survey_t s;
    err_t err = {0};
    cr_assert_eq(survey_input(path, &(data_form_t){0}, NULL, NULL, &s, &err), SDG_OK, "%s", err.text);
    return s;
}

static const char *write_lines(const char *name, const char *head, const char *line, size_t count) {
    buf_t text;
    buf_init(&text, (size_t)1 << 28);
    buf_adds(&text, head);
    for (size_t i = 0; i < count; i++)
        buf_adds(&text, line);
    const char *path = scratch_write(name, text.data, text.len);
    buf_free(&text);
    return path;
}

Test(survey, counts_rows_and_their_bytes) {
    survey_t s = survey_of(scratch_text("a.jsonl", "{\"x\": 1}\n\n{\"x\": 22222}\n  \n{\"x\": 3}"));
    cr_assert(s.exact);
    cr_assert_eq(s.rows, 3);
    cr_assert_eq(s.sampled, 3);
    cr_assert_eq(survey_average_bytes(&s), 9);
    cr_assert_eq(s.largest_bytes, 12);
    cr_assert_eq(s.largest_line, 3);
}

Test(survey, an_empty_file_has_no_rows) {
    survey_t s = survey_of(scratch_text("a.jsonl", "\n\n"));
    cr_assert(s.exact && s.rows == 0 && survey_average_bytes(&s) == 0);
}

Test(survey, counts_beyond_the_sample) {
    survey_t s = survey_of(write_lines("a.jsonl", "", "{\"x\": 1}\n\n", 50000));
    cr_assert(s.exact);
    cr_assert_eq(s.rows, 50000);
    cr_assert_eq(s.sampled, SURVEY_SAMPLE_ROWS);
    s = survey_of(write_lines("a.csv", "x,y\n", "1,\"a\nb\"\n", 5000));
    cr_assert(s.exact);
    cr_assert_eq(s.rows, 5000, "newlines in quotes are no rows");
}

Test(survey, a_large_csv_is_estimated) {
    survey_t s = survey_of(
        write_lines("a.csv", "x\n", "0123456789012345678901234567890\n", (SURVEY_READ_BYTES_MAX * 2) / 32));
    cr_assert_not(s.exact);
    cr_assert(s.rows > SURVEY_READ_BYTES_MAX / 17 && s.rows < SURVEY_READ_BYTES_MAX / 15, "%llu",
              (unsigned long long)s.rows);
}

Test(survey, an_exact_number_is_the_number_of_the_reader) {
    const char *marked = write_lines("a.jsonl", "\xEF\xBB\xBF\n", "{\"x\": 1}\n", 3000);
    survey_t s = survey_of(marked);
    cr_assert(s.exact && s.rows == 3000, "a byte order mark alone is no row");
    const char *csv = write_lines("a.txt", "x;y\n", "1;\"a\nb\"\n", 3000);
    err_t err = {0};
    cr_assert_eq(survey_input(csv, &(data_form_t){.delimiter = ';'}, NULL, NULL, &s, &err), SDG_OK, "%s",
                 err.text);
    cr_assert(s.exact && s.rows == 3000);
    s = survey_of(scratch_text("b.csv", "a,a\n1,2\n"));
    cr_assert(strstr(s.notes, "the same name"));
}

static void count_bad(void *arg, const row_record_t *record) { *(int *)arg += record->bad != NULL; }

Test(survey, shows_the_sample_bad_records_included) {
    int bad = 0;
    survey_t s;
    cr_assert_eq(survey_input(scratch_text("a.csv", "x,y\n1,2\n1,2,3\n"), &(data_form_t){0}, count_bad, &bad,
                              &s, NULL),
                 SDG_OK);
    cr_assert_eq(bad, 1);
    cr_assert_eq(s.rows, 2);
}

Test(survey, what_cannot_be_read_says_why) {
    survey_t s;
    err_t err = {0};
    cr_assert_lt(survey_input("/nowhere/a.jsonl", &(data_form_t){0}, NULL, NULL, &s, &err), 0);
    cr_assert(strstr(err.text, "/nowhere/a.jsonl"), "%s", err.text);
    cr_assert_lt(survey_input("/tmp", &(data_form_t){0}, NULL, NULL, &s, &err), 0);
}

Test(survey, a_pipe_is_left_alone, .timeout = 10) {
    survey_t s = survey_of("-");
    cr_assert(s.rows == 0 && !s.exact);
    const char *pipe = scratch_text("p.jsonl", "");
    remove(pipe);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    s = survey_of(pipe);
    cr_assert(s.rows == 0 && !s.exact);
}
