/* The file beside an output that says which run wrote it. */
#include "tests/core/data/scratch.h"

#include "core/data/run_file.h"

TestSuite(run_file, .init = scratch_begin, .fini = scratch_end);

static const run_identity_t OURS = {.pipeline = "p \"q\"", .input = "i", .options = "o"};

static void expect_match(const run_identity_t *now, run_match_t want, const char *sentence) {
    run_match_t match;
    err_t err = {0};
    cr_assert_eq(run_file_check(scratch_path("o"), now, &match, &err), 0, "%s", err.text);
    cr_assert_eq(match, want);
    if (sentence) cr_assert(strstr(err.text, sentence), "%s", err.text);
}

static void expect_refused(const char *text, const char *sentence) {
    run_match_t match;
    err_t err = {0};
    scratch_text("o.sdg", text);
    cr_assert_eq(run_file_check(scratch_path("o"), &OURS, &match, &err), SDG_EINVAL, "%s", text);
    cr_assert(strstr(err.text, sentence), "%s", err.text);
}

Test(run_file, what_was_written_matches) {
    expect_match(&OURS, RUN_ABSENT, NULL);
    cr_assert_eq(run_file_write(scratch_path("o"), &OURS, NULL), 0);
    run_file_sync(scratch_path("o"));
    expect_match(&OURS, RUN_SAME, NULL);
    cr_assert_neq(access(scratch_path("o.sdg.new"), F_OK), 0, "the temporary file is gone");
}

Test(run_file, another_run_is_told_what_differs) {
    cr_assert_eq(run_file_write(scratch_path("o"), &OURS, NULL), 0);
    run_identity_t other = OURS;
    other.input = "another";
    expect_match(&other, RUN_DIFFERS, "written with another input (");
    other.options = NULL;
    expect_match(&other, RUN_DIFFERS, "written with another input and other options (");
    other.pipeline = "";
    expect_match(&other, RUN_DIFFERS, "written with another pipeline, input and other options (");
}

Test(run_file, absent_texts_are_empty_ones) {
    cr_assert_eq(run_file_write(scratch_path("o"), &(run_identity_t){0}, NULL), 0);
    expect_match(&(run_identity_t){.pipeline = "", .input = "", .options = ""}, RUN_SAME, NULL);
}

Test(run_file, texts_that_are_no_utf8_are_found_again) {
    const run_identity_t odd = {.pipeline = "p", .input = "i", .options = "mapping \xff:a"};
    cr_assert_eq(run_file_write(scratch_path("o"), &odd, NULL), 0);
    expect_match(&odd, RUN_SAME, NULL);
    expect_match(&OURS, RUN_DIFFERS, "other options");
}

Test(run_file, an_empty_file_counts_as_none) {
    scratch_text("o.sdg", "");
    expect_match(&OURS, RUN_ABSENT, NULL);
}

Test(run_file, what_cannot_be_understood_is_refused) {
    expect_refused("not JSON", "does not say which run wrote the output");
    expect_refused("[1]", "does not say which run wrote the output");
    expect_refused("{\"format\": 2}", "written by a newer sdg (format 2");
}

Test(run_file, a_folder_that_is_not_there_is_an_error) {
    err_t err = {0};
    cr_assert_eq(run_file_write(scratch_path("no/o"), &OURS, &err), SDG_EIO);
    cr_assert(strstr(err.text, "no/o.sdg: cannot be written"), "%s", err.text);
}
