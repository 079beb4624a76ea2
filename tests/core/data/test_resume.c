/* What an existing output holds: its lines, and what has to be done before more rows are appended. */
#include "tests/core/data/scratch.h"

#include "core/data/resume.h"

TestSuite(resume, .init = scratch_begin, .fini = scratch_end);

static resume_t scan_as(const char *path, const resume_how_t *how) {
    resume_t found;
    err_t err = {0};
    int fd = open(path, O_RDONLY);
    cr_assert_eq(resume_scan(fd, path, STREAM_PLAIN, how, &found, &err), 0, "%s", err.text);
    close(fd);
    return found;
}

static resume_how_t how_to(bool retry_failed) {
    return (resume_how_t){.retry_failed = retry_failed, .rows_end = UINT64_MAX};
}

static resume_t scan(const char *path, bool retry_failed) {
    resume_how_t how = how_to(retry_failed);
    return scan_as(path, &how);
}

/* What is decided about this text, and how many of its bytes stay if it is cut. */
static void expect_repair(const char *text, bool retry_failed, resume_repair_t repair, uint64_t keep_bytes) {
    resume_t found = scan(scratch_text("o.jsonl", text), retry_failed);
    cr_assert_eq(found.repair, repair, "%s", text);
    cr_assert_eq(found.keep_bytes, keep_bytes, "%s", text);
    cr_assert_str_eq(scratch_read(scratch_path("o.jsonl"), NULL), text, "a scan only reads");
    resume_free(&found);
}

Test(resume, what_a_file_needs) {
    expect_repair("", false, REPAIR_NONE, 0);
    expect_repair("{\"_row_index\": 0}\n", false, REPAIR_NONE, 18);
    expect_repair("{\"_row_index\": 0}\n{\"_row_in", false, REPAIR_CUT, 18);
    expect_repair("{\"_row_index\": 0}", false, REPAIR_ADD_NEWLINE, 17);
    expect_repair("{\"_row_index\": 0, \"_error\": \"x\"}\n", false, REPAIR_NONE, 33);
    expect_repair("{\"_row_index\": 0, \"_error\": \"x\"}\n", true, REPAIR_REWRITE, 33);
}

Test(resume, finished_and_failed_rows_are_counted) {
    const char *path = scratch_text(
        "o.jsonl", "{\"_row_index\": 3}\n{\"_row_index\": 5, \"_error\": \"x\"}\n{\"_row_index\": 4}\n");
    resume_t found = scan(path, false);
    cr_assert(found.rows_ok == 2 && found.rows_failed == 1 && found.rows_retried == 0);
    cr_assert(rangeset_has(found.finished, 3) && rangeset_has(found.finished, 4));
    cr_assert(rangeset_has(found.finished, 5), "failed is finished, unless it is to be done again");
    cr_assert(rangeset_has(found.failed, 5) && rangeset_count(found.failed) == 1);
    resume_free(&found);
    found = scan(path, true);
    cr_assert(found.rows_ok == 2 && found.rows_failed == 0 && found.rows_retried == 1);
    cr_assert_not(rangeset_has(found.finished, 5));
    cr_assert_eq(rangeset_count(found.failed), 0, "a row that is done again is open, not failed");
    resume_free(&found);
}

Test(resume, a_file_that_is_not_ours_is_refused) {
    resume_t found;
    err_t err = {0};
    resume_how_t how = how_to(false);
    int fd = open(scratch_text("o.jsonl", "{\"_row_index\": 0}\nnotes\n"), O_RDONLY);
    cr_assert_eq(resume_scan(fd, "o.jsonl", STREAM_PLAIN, &how, &found, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "o.jsonl, line 2"), "%s", err.text);
    close(fd);
}
