/* An output is brought into the state that a scan has decided on. */
#include "tests/core/data/scratch.h"

#include "core/data/output.h"
#include "core/data/resume.h"

TestSuite(resume_repair, .init = scratch_begin, .fini = scratch_end);

/* Opens for reading and appending, scans and repairs; what is then in the file? */
static void expect_repaired(const char *before, bool retry_failed, const char *after) {
    const char *path = scratch_text("o.jsonl", before);
    err_t err = {0};
    int fd = open(path, O_RDWR | O_APPEND);
    resume_t found;
    resume_how_t how = {.retry_failed = retry_failed, .ours = true, .rows_end = UINT64_MAX};
    cr_assert_eq(resume_scan(fd, path, STREAM_PLAIN, &how, &found, &err), 0, "%s", err.text);
    cr_assert_eq(resume_repair(&fd, path, STREAM_PLAIN, retry_failed, &found, &err), 0, "%s", err.text);
    cr_assert_str_eq(scratch_read(path, NULL), after);
    resume_free(&found);
    close(fd);
}

Test(resume_repair, a_repair_does_what_was_decided) {
    expect_repaired("{\"_row_index\": 0}\n{\"_row_in", false, "{\"_row_index\": 0}\n");
    expect_repaired("{\"_row_index\": 0}", false, "{\"_row_index\": 0}\n");
    expect_repaired("{\"_row_index\": 0, \"_error\": \"x\"}\n{\"_row_index\": 1}\n", true,
                    "{\"_row_index\": 1}\n");
}

Test(resume_repair, rejected_lines_are_appended_to_their_file) {
    scratch_text("o.jsonl.rejected", "of an earlier run\n");
    expect_repaired("{\"_row_index\": 0}\nbad\n{\"_row_index\": 1}\nworse\n", false,
                    "{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
    cr_assert_str_eq(scratch_read(scratch_path("o.jsonl.rejected"), NULL), "of an earlier run\nbad\nworse\n");
    cr_assert_neq(access(scratch_path("o.jsonl.rewrite"), F_OK), 0);
}

Test(resume_repair, a_rewritten_file_is_locked_and_can_be_appended_to) {
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 0}\nbad\n");
    resume_how_t how = {.ours = true, .rows_end = UINT64_MAX};
    resume_t found;
    int fd = open(path, O_RDWR | O_APPEND);
    cr_assert_eq(resume_scan(fd, path, STREAM_PLAIN, &how, &found, NULL), 0);
    cr_assert_eq(found.repair, REPAIR_REWRITE);
    cr_assert_eq(resume_repair(&fd, path, STREAM_PLAIN, false, &found, NULL), 0);
    resume_free(&found);
    int other = open(path, O_RDWR | O_APPEND);
    cr_assert_eq(output_lock(other, path, NULL), SDG_EINVAL);
    close(other);
    cr_assert_eq(write(fd, "more\n", 5), 5);
    cr_assert_str_eq(scratch_read(path, NULL), "{\"_row_index\": 0}\nmore\n");
    close(fd);
}

Test(resume_repair, a_repair_that_fails_changes_nothing) {
    const char *text = "{\"_row_index\": 0}\nbad\n", *path = scratch_text("o.jsonl", text);
    resume_how_t how = {.ours = true, .rows_end = UINT64_MAX};
    resume_t found;
    err_t err;
    int fd = open(path, O_RDWR | O_APPEND), before = fd;
    cr_assert_eq(mkdir(scratch_path("o.jsonl.rejected"), 0700), 0);
    cr_assert_eq(resume_scan(fd, path, STREAM_PLAIN, &how, &found, NULL), 0);
    cr_assert_eq(resume_repair(&fd, path, STREAM_PLAIN, false, &found, &err), SDG_EIO);
    cr_assert(strstr(err.text, "nothing was changed"), "%s", err.text);
    cr_assert_eq(fd, before);
    cr_assert_str_eq(scratch_read(path, NULL), text);
    cr_assert_neq(access(scratch_path("o.jsonl.rewrite"), F_OK), 0);
    resume_free(&found);
    close(fd);
}
