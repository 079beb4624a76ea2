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

/* Writes the file for this run, with these blocks. */
static void write_file(const run_identity_t *now, const line_blocks_t *blocks) {
    static const line_blocks_t nothing;
    err_t err = {0};
    run_file_t *f = run_file_new(scratch_path("o"), now);
    cr_assert_eq(run_file_write(f, blocks ? blocks : &nothing, &err), 0, "%s", err.text);
    run_file_sync(f);
    run_file_close(&f);
    cr_assert_null(f);
}

static void expect_damaged(const char *text, const char *sentence) {
    scratch_text("o.sdg", text);
    expect_match(&OURS, RUN_DAMAGED, sentence);
}

Test(run_file, what_was_written_matches) {
    expect_match(&OURS, RUN_ABSENT, NULL);
    write_file(&OURS, NULL);
    expect_match(&OURS, RUN_SAME, NULL);
    cr_assert_neq(access(scratch_path("o.sdg.new"), F_OK), 0, "the temporary file is gone");
}

Test(run_file, another_run_is_told_what_differs) {
    write_file(&OURS, NULL);
    run_identity_t other = OURS;
    other.input = "another";
    expect_match(&other, RUN_DIFFERS, "written with another input (");
    other.options = NULL;
    expect_match(&other, RUN_DIFFERS, "written with another input and other options (");
    other.pipeline = "";
    expect_match(&other, RUN_DIFFERS, "written with another pipeline, input and other options (");
}

Test(run_file, absent_texts_are_empty_ones) {
    write_file(&(run_identity_t){0}, NULL);
    expect_match(&(run_identity_t){.pipeline = "", .input = "", .options = ""}, RUN_SAME, NULL);
}

Test(run_file, texts_that_are_no_utf8_are_found_again) {
    const run_identity_t odd = {.pipeline = "p", .input = "i", .options = "mapping \xff:a"};
    write_file(&odd, NULL);
    expect_match(&odd, RUN_SAME, NULL);
    expect_match(&OURS, RUN_DIFFERS, "other options");
}

Test(run_file, an_empty_file_counts_as_none) {
    scratch_text("o.sdg", "");
    expect_match(&OURS, RUN_ABSENT, NULL);
}

Test(run_file, what_cannot_be_understood_is_refused) {
    run_match_t match;
    err_t err = {0};
    expect_damaged("not JSON", "does not say which run wrote the output");
    expect_damaged("[1]", "does not say which run wrote the output");
    expect_damaged("{\"format\": 2}", "is damaged");
    scratch_text("o.sdg", "{\"format\": 3}");
    cr_assert_eq(run_file_check(scratch_path("o"), &OURS, &match, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "written by a newer sdg (format 3"), "%s", err.text);
}

Test(run_file, a_file_of_an_earlier_version_is_known_and_has_no_checksums) {
    run_file_sums_t sums;
    scratch_text("o.sdg",
                 "{\"format\": 1, \"pipeline\": \"p \\\"q\\\"\", \"input\": \"i\", \"options\": \"o\", "
                 "\"version\": \"0.1.0\"}\n");
    expect_match(&OURS, RUN_SAME, NULL);
    cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, NULL), 0);
    cr_assert(sums.blocks.count == 0 && sums.damaged_lines == 0 && !sums.rewriting);
}

Test(run_file, a_folder_that_is_not_there_is_an_error) {
    err_t err = {0};
    line_blocks_t nothing = {0};
    run_file_t *f = run_file_new(scratch_path("no/o"), &OURS);
    cr_assert_eq(run_file_write(f, &nothing, &err), SDG_EIO);
    cr_assert(strstr(err.text, "no/o.sdg: cannot be written"), "%s", err.text);
    run_file_close(&f);
}

/* ---- checksums */

static const line_block_t BLOCKS[] = {{0, 256, 32640, 1}, {256, 256, 98176, UINT64_MAX}, {600, 3, 1803, 7}};

static void expect_blocks(size_t count, uint64_t damaged) {
    run_file_sums_t sums;
    cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, NULL), 0);
    cr_assert_eq(sums.blocks.count, count);
    cr_assert_eq(sums.damaged_lines, damaged);
    cr_assert(count == 0 || memcmp(sums.blocks.items, BLOCKS, count * sizeof *BLOCKS) == 0);
    line_blocks_free(&sums.blocks);
}

static line_blocks_t blocks_from(size_t from, size_t to) {
    line_blocks_t blocks = {0};
    for (size_t i = from; i < to; i++)
        line_blocks_add(&blocks, &BLOCKS[i]);
    return blocks;
}

Test(run_file, checksums_are_appended_and_read_again) {
    line_blocks_t first = blocks_from(0, 1), rest = blocks_from(1, 3), all = blocks_from(0, 3);
    run_file_t *f = run_file_new(scratch_path("o"), &OURS);
    cr_assert_eq(run_file_write(f, &first, NULL), 0);
    expect_blocks(1, 0);
    run_file_append(f, &rest);
    expect_blocks(3, 0);
    struct stat before, after;
    cr_assert_eq(stat(scratch_path("o.sdg"), &before), 0);
    cr_assert_eq(run_file_write(f, &all, NULL), 0);
    cr_assert_eq(stat(scratch_path("o.sdg"), &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino, "what is there already is not written again");
    run_file_close(&f);
    line_blocks_free(&first);
    line_blocks_free(&rest);
    line_blocks_free(&all);
}

Test(run_file, a_block_that_has_grown_is_written_over_itself) {
    line_blocks_t all = blocks_from(0, 3), part = {0};
    line_block_t grows = {256, 1, 256, 5}, shrinks = {256, 256, 98176, UINT64_MAX};
    run_file_t *f = run_file_new(scratch_path("o"), &OURS);
    line_blocks_add(&part, &BLOCKS[0]);
    line_blocks_add(&part, &grows);
    cr_assert_eq(run_file_write(f, &part, NULL), 0);
    part.count = 0;
    line_blocks_add(&part, &(line_block_t){256, 200, UINT64_MAX, 7});
    run_file_append(f, &part);
    part.count = 0;
    line_blocks_add(&part, &shrinks);
    line_blocks_add(&part, &BLOCKS[2]);
    run_file_append(f, &part);
    expect_blocks(3, 0);
    struct stat before, after;
    cr_assert_eq(stat(scratch_path("o.sdg"), &before), 0);
    cr_assert_eq(run_file_write(f, &all, NULL), 0);
    cr_assert(stat(scratch_path("o.sdg"), &after) == 0 && before.st_ino == after.st_ino);
    run_file_close(&f);
    line_blocks_free(&all);
    line_blocks_free(&part);
}

/* Damage is never taken for another run, nor for another checksum. */
Test(run_file, each_flipped_bit_is_seen_as_damage) {
    line_blocks_t all = blocks_from(0, 3);
    write_file(&OURS, &all);
    line_blocks_free(&all);
    size_t len;
    char *text = strdup(scratch_read(scratch_path("o.sdg"), &len));
    size_t head = (size_t)(strchr(text, '\n') - text) + 1;
    for (size_t bit = 0; bit < 8 * len; bit++) {
        run_match_t match;
        run_file_sums_t sums;
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        scratch_write("o.sdg", text, len);
        cr_assert_eq(run_file_check(scratch_path("o"), &OURS, &match, NULL), 0, "bit %zu", bit);
        cr_assert_eq(match, bit / 8 < head ? RUN_DAMAGED : RUN_SAME, "bit %zu", bit);
        cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, NULL), 0);
        cr_assert(bit / 8 < head || bit / 8 == len - 1 || sums.damaged_lines > 0, "bit %zu", bit);
        for (size_t i = 0; i < sums.blocks.count; i++) {
            bool known = false;
            for (size_t k = 0; k < 3; k++)
                known = known || memcmp(&sums.blocks.items[i], &BLOCKS[k], sizeof *BLOCKS) == 0;
            cr_assert(known, "bit %zu", bit);
        }
        line_blocks_free(&sums.blocks);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    free(text);
}

Test(run_file, a_line_that_was_not_written_to_its_end_is_no_damage) {
    line_blocks_t all = blocks_from(0, 3);
    write_file(&OURS, &all);
    line_blocks_free(&all);
    size_t len;
    scratch_read(scratch_path("o.sdg"), &len);
    cr_assert_eq(truncate(scratch_path("o.sdg"), (off_t)len - 5), 0);
    expect_blocks(2, 0);
    cr_assert_eq(truncate(scratch_path("o.sdg"), (off_t)len + 50), 0);
    expect_blocks(2, 0);
}

Test(run_file, a_rewrite_is_marked_and_the_mark_is_taken_back) {
    run_file_sums_t sums;
    line_blocks_t all = blocks_from(0, 3);
    write_file(&OURS, &all);
    line_blocks_free(&all);
    cr_assert_eq(run_file_begin_rewrite(scratch_path("o"), NULL), 0);
    cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, NULL), 0);
    cr_assert(sums.rewriting && sums.damaged_lines == 0);
    line_blocks_free(&sums.blocks);
    run_file_cancel_rewrite(scratch_path("o"));
    cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, NULL), 0);
    cr_assert_not(sums.rewriting);
    line_blocks_free(&sums.blocks);
    expect_blocks(3, 0);
    cr_assert_eq(run_file_begin_rewrite(scratch_path("none"), NULL), 0,
                 "without a file there is nothing to mark");
    cr_assert_neq(access(scratch_path("none.sdg"), F_OK), 0);
}

/* ---- watching */

Test(run_file, a_mark_stands_on_a_line_of_its_own) {
    run_file_sums_t sums;
    err_t err = {0};
    write_file(&OURS, NULL);
    FILE *f = fopen(scratch_path("o.sdg"), "ab");
    cr_assert(f && fputs("{\"first\": 0, \"li", f) > 0 && fclose(f) == 0, "a full disk cut a line");
    cr_assert_eq(run_file_begin_rewrite(scratch_path("o"), &err), 0, "%s", err.text);
    cr_assert_eq(run_file_read_sums(scratch_path("o"), &sums, &err), 0, "%s", err.text);
    cr_assert(sums.rewriting);
    line_blocks_free(&sums.blocks);
}

Test(run_file, an_output_whose_run_file_cannot_be_marked_is_not_rewritten) {
    err_t err = {0};
    cr_assert_eq(run_file_begin_rewrite(scratch_path("o"), &err), 0, "there is none");
    cr_assert_eq(symlink("elsewhere", scratch_path("o.sdg")), 0);
    cr_assert_eq(run_file_begin_rewrite(scratch_path("o"), &err), SDG_EIO);
    cr_assert(strstr(err.text, "symbolic link"), "%s", err.text);
}

Test(run_file, a_file_that_is_taken_away_is_written_again) {
    line_blocks_t first = blocks_from(0, 1), second = blocks_from(1, 2);
    run_file_t *f = run_file_new(scratch_path("o"), &OURS);
    cr_assert_eq(run_file_write(f, &first, NULL), 0);
    cr_assert_eq(unlink(scratch_path("o.sdg")), 0);
    run_file_append(f, &second);
    run_file_watch(f, scratch_path("o"));
    expect_match(&OURS, RUN_SAME, NULL);
    expect_blocks(2, 0);
    scratch_text("p", "{\"format\": 1}");
    cr_assert_eq(rename(scratch_path("p"), scratch_path("o.sdg")), 0);
    run_file_watch(f, scratch_path("o"));
    expect_match(&OURS, RUN_SAME, NULL);
    expect_blocks(2, 0);
    cr_assert_eq(truncate(scratch_path("o.sdg"), 10), 0);
    run_file_watch(f, scratch_path("o"));
    expect_match(&OURS, RUN_SAME, NULL);
    expect_blocks(0, 0);
    run_file_close(&f);
    line_blocks_free(&first);
    line_blocks_free(&second);
}

Test(run_file, a_file_of_somebody_else_in_its_place_is_left_alone) {
    line_blocks_t first = blocks_from(0, 1);
    run_file_t *f = run_file_new(scratch_path("o"), &OURS);
    cr_assert_eq(run_file_write(f, &first, NULL), 0);
    scratch_text("p", "my notes");
    cr_assert_eq(rename(scratch_path("p"), scratch_path("o.sdg")), 0);
    run_file_append(f, &first);
    run_file_watch(f, scratch_path("o"));
    cr_assert_str_eq(scratch_read(scratch_path("o.sdg"), NULL), "my notes");
    run_file_close(&f);
    line_blocks_free(&first);
}
