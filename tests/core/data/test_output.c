/* Whose an output is: what --overwrite may empty, and one writer for each file. */
#include "tests/core/data/scratch.h"

#include "core/data/output.h"

TestSuite(output, .init = scratch_begin, .fini = scratch_end);

static int check_ours(const char *path, stream_coding_t coding) {
    err_t err = {0};
    int fd = open(path, O_RDONLY);
    int rc = output_check_ours(fd, path, coding, &err);
    cr_assert_eq(rc < 0, strstr(err.text, "is not an output of sdg") != NULL, "%s", err.text);
    close(fd);
    return rc;
}

static int check_text(const char *text) { return check_ours(scratch_text("o.jsonl", text), STREAM_PLAIN); }

Test(output, ours_is_empty_or_begins_with_a_result) {
    cr_assert_eq(check_text(""), 0);
    cr_assert_eq(check_text("{\"_row_index\": 0}\nnotes\n"), 0);
    cr_assert_eq(check_text("\n{\"_row_index\": 0, \"a"), 0, "blank lines are passed, a torn line is ours");
    cr_assert_eq(check_text("notes\n{\"_row_index\": 0}\n"), SDG_EINVAL);
    cr_assert_eq(check_text("{\"_row_index\": 0, \"a\n"), SDG_EINVAL, "whole, and no result");
    cr_assert_eq(check_text("{\"_row"), SDG_EINVAL, "too little to tell");
    cr_assert_eq(check_text("\n\n"), SDG_EINVAL);
}

Test(output, a_packed_file_is_judged_by_its_text) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "{\"_row_index\": 0}\n", 18);
    cr_assert_eq(check_ours(scratch_write("o.gz", packed.data, packed.len), STREAM_GZIP), 0);
    cr_assert_eq(check_ours(scratch_write("o.gz", packed.data, packed.len - 1), STREAM_GZIP), 0, "torn");
    cr_assert_eq(check_ours(scratch_write("o.gz", packed.data, packed.len), STREAM_PLAIN), SDG_EINVAL);
    buf_free(&packed);
}

Test(output, one_writer_has_the_lock) {
    const char *path = scratch_text("o.jsonl", "");
    err_t err = {0};
    int first = open(path, O_RDWR), second = open(path, O_RDWR);
    cr_assert_eq(output_lock(first, path, &err), 0, "%s", err.text);
    cr_assert_eq(output_lock(second, path, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "is being written by another run"), "%s", err.text);
    close(first);
    cr_assert_eq(output_lock(second, path, NULL), 0, "the lock ends with its descriptor");
    close(second);
}
