/* Lines of an output that are judged by each other: which of them go. */
#include "tests/core/data/scratch.h"

#include "core/data/resume.h"

TestSuite(resume_judge, .init = scratch_begin, .fini = scratch_end);

/* Adds a line to the checksums of what was written. */
static void note(line_sums_t *sums, uint64_t row, const char *line) {
    line_sums_add(sums, row, line, strlen(line));
}

/* The text as an output of which `sums` (NULL: nothing) is known: `rejected` says for each line 'x' if it
 * goes, '.' if it stays. Frees the sums. */
static void expect_judged(const char *text, line_sums_t *sums, const char *rejected, const char *words) {
    const char *path = scratch_text("o.jsonl", text);
    line_blocks_t known = {0};
    if (sums) line_sums_take(sums, &known);
    resume_how_t how = {.ours = true, .known = sums ? &known : NULL, .rows_end = UINT64_MAX};
    resume_t found;
    err_t err = {0};
    int fd = open(path, O_RDONLY);
    cr_assert_eq(resume_scan(fd, path, STREAM_PLAIN, &how, &found, &err), 0, "%s", err.text);
    for (size_t i = 0; rejected[i]; i++)
        cr_assert_eq(rangeset_has(found.rejected, i + 1), rejected[i] == 'x', "line %zu of %s", i + 1, text);
    cr_assert(!words || strstr(found.words.data, words), "%s", found.words.data);
    resume_free(&found);
    line_blocks_free(&known);
    if (sums) line_sums_free(sums);
    close(fd);
}

Test(resume_judge, of_lines_that_are_alike_the_first_stays) {
    expect_judged("{\"_row_index\": 4}\n{\"_row_index\": 5}\n{\"_row_index\": 4}\n", NULL, "..x",
                  "row 4 again, which line 1 has");
}

Test(resume_judge, of_lines_that_contradict_each_other_none_stays) {
    expect_judged("{\"_row_index\": 4, \"a\": 1}\n{\"_row_index\": 4, \"a\": 2}\n{\"_row_index\": 5}\n", NULL,
                  "xx.", "row 4 with another text than in line 1");
}

Test(resume_judge, a_line_that_is_as_it_was_written_stays) {
    line_sums_t sums = {0};
    note(&sums, 4, "{\"_row_index\": 4, \"a\": 2}");
    expect_judged("{\"_row_index\": 5, \"a\": 1}\n{\"_row_index\": 4, \"a\": 2}\n{\"_row_index\": 4}\n",
                  &sums, "..x", "row 4 again, which line 2 has");
}

Test(resume_judge, a_line_with_another_row_number_goes) {
    line_sums_t sums = {0};
    note(&sums, 0, "{\"_row_index\": 0}");
    note(&sums, 1, "{\"_row_index\": 1}");
    expect_judged("{\"_row_index\": 0}\n{\"_row_index\": 7}\n", &sums, ".x",
                  "row 7: a row number near here is not the one that was written");
}

Test(resume_judge, a_line_with_another_text_stays) {
    line_sums_t sums = {0};
    note(&sums, 0, "{\"_row_index\": 0}");
    note(&sums, 1, "{\"_row_index\": 1}");
    expect_judged("{\"_row_index\": 0}\n{\"_row_index\": 1, \"a\": 1}\n", &sums, "..",
                  "something is not as it was written");
}
