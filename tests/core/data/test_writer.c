/* The writer: appending, resuming, order, identity, full disks, compressed output. */
#include "tests/core/data/scratch.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "core/data/limits.h"
#include "core/data/stream.h"
#include "core/data/writer.h"

TestSuite(writer, .init = scratch_begin, .fini = scratch_end);
TestSuite(writer_flips, .init = scratch_begin_in_memory, .fini = scratch_end);

static const writer_options_t PLAIN = {
    .pipeline_identity = "p", .input_identity = "i", .options_identity = "o"};

static writer_t *open_ok(const char *path, const writer_options_t *options, writer_resumed_t *resumed) {
    err_t err = {0};
    writer_t *w = writer_open(path, options, resumed, &err);
    cr_assert(w, "%s", err.text);
    return w;
}

static void expect_refused(const char *path, const writer_options_t *options, int code, const char *part) {
    err_t err = {0};
    cr_assert_null(writer_open(path, options, NULL, &err));
    cr_assert_eq(err.code, code, "%d %s", err.code, err.text);
    cr_assert(strstr(err.text, part), "%s", err.text);
}

static void add(writer_t *w, uint64_t row) {
    char line[64];
    int n = snprintf(line, sizeof line, "{\"_row_index\": %llu}", (unsigned long long)row);
    err_t err = {0};
    cr_assert_eq(writer_add(w, row, line, (size_t)n, &err), 0, "%s", err.text);
}

static void expect_file(const char *path, const char *want) {
    cr_assert_str_eq(scratch_read(path, NULL), want);
}

/* Writes a file, opens and closes it as an output; what is then in it? */
static void expect_resumed(const char *before, const char *after, uint64_t ok, uint64_t failed,
                           uint64_t torn) {
    writer_resumed_t found;
    const char *path = scratch_text("o.jsonl", before);
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert_eq(found.rows_ok, ok);
    cr_assert_eq(found.rows_failed, failed);
    cr_assert_eq(found.torn_bytes, torn);
    cr_assert_eq(rangeset_count(writer_finished(w)), ok + failed);
    writer_close(&w);
    cr_assert_null(w);
    expect_file(path, after);
}

Test(writer, rows_become_lines) {
    const char *path = scratch_path("o.jsonl");
    writer_resumed_t found;
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert_eq(found.rows_ok + found.rows_failed + found.torn_bytes, 0);
    cr_assert_not(writer_holds_back(w));
    add(w, 1);
    add(w, 0);
    cr_assert_eq(writer_flush(w, NULL), 0);
    expect_file(path, "{\"_row_index\": 1}\n{\"_row_index\": 0}\n");
    cr_assert_eq(writer_sync(w, NULL), 0);
    writer_close(&w);
}

Test(writer, a_finished_row_is_dropped) {
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 7}\n");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    cr_assert_eq(writer_add(w, 7, "{}", 2, NULL), 1);
    add(w, 8);
    cr_assert_eq(writer_add(w, 8, "{}", 2, NULL), 1);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 7}\n{\"_row_index\": 8}\n");
}

Test(writer, the_folder_is_made) {
    const char *path = scratch_path("new/folder/o.jsonl");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    add(w, 0);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 0}\n");
}

Test(writer, a_batch_is_written_by_itself) {
    writer_options_t options = PLAIN;
    options.flush_bytes = 30;
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &options, NULL);
    add(w, 0);
    expect_file(path, "");
    add(w, 1);
    expect_file(path, "{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
    writer_close(&w);
}

/* ---- resuming */

Test(writer, a_torn_line_is_cut) {
    const char *whole = "{\"_row_index\": 2, \"t\": \"old c\"}\n{\"_row_index\": 0, \"t\": \"old a\"}\n";
    char text[200];
    snprintf(text, sizeof text, "%s%s", whole, "{\"_row_index\": 1, \"t\": \"old");
    expect_resumed(text, whole, 2, 0, 27);
    expect_resumed("", "", 0, 0, 0);
    expect_resumed("{\"_row", "", 0, 0, 6);
    expect_resumed("\n{\"_row_index\": 3}\n \n", "\n{\"_row_index\": 3}\n \n", 1, 0, 0);
}

/* Whatever was flushed when a process died, a cut at any byte keeps exactly the whole rows. */
Test(writer, cut_at_every_byte) {
    const char *all =
        "{\"_row_index\": 0, \"t\": 1}\n{\"_row_index\": 1, \"_error\": \"b: no\"}\n{\"_row_index\": 2}\n";
    for (size_t cut = 0; cut <= strlen(all); cut++) {
        char text[200] = {0}, want[200] = {0};
        memcpy(text, all, cut);
        const char *newline = strrchr(text, '\n');
        size_t whole = newline ? (size_t)(newline - text) + 1 : 0;
        bool lacks_newline = cut > whole && all[cut] == '\n';
        memcpy(want, all, lacks_newline ? cut + 1 : whole);
        uint64_t ok = 0, failed = 0;
        for (const char *line = want; *line; line = strchr(line, '\n') + 1) {
            bool bad = strncmp(line, "{\"_row_index\": 1", 16) == 0;
            ok += !bad;
            failed += bad;
        }
        expect_resumed(text, want, ok, failed, lacks_newline ? 0 : cut - whole);
    }
}

Test(writer, pages_a_power_loss_left_empty_are_cut) {
    char bytes[100] = "{\"_row_index\": 0}\n{\"_row_ind";
    const char *path = scratch_write("o.jsonl", bytes, sizeof bytes);
    writer_t *w = open_ok(path, &PLAIN, NULL);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 0}\n");
}

static void expect_not_ours(const char *text, const char *part) {
    const char *path = scratch_text("o.jsonl", text);
    expect_refused(path, &PLAIN, SDG_EINVAL, part);
    expect_file(path, text);
    cr_assert_neq(access(scratch_path("o.jsonl.sdg"), F_OK), 0, "nothing was changed");
}

Test(writer, a_file_that_is_not_ours_is_left_alone) {
    expect_not_ours("{\"_row_index\": 0}\n{\"x\": 1}\n", "line 2: no row number");
    expect_not_ours("hello\n", "line 1: not a JSON object");
    expect_not_ours("hello", "line 1: not a JSON object");
    expect_not_ours("{\"x\": 1}", "line 1: no row number");
    expect_not_ours("[1]\n", "not a JSON object");
    expect_not_ours("{\"_row_index\": 0}\n{\"_row_index\": 1, \"t\": \n", "line 2: not a JSON object");
    expect_not_ours("{\"_row_index\": -1}\n", "no row number");
    expect_not_ours("{\"_row_index\": 1.0}\n", "no row number");
    expect_not_ours("{\"_row_index\": \"1\"}\n", "no row number");
    expect_refused(scratch_folder, &PLAIN, SDG_EINVAL, "is a folder");
}

/* ---- lines that are no results */

static void expect_rejected(const char *text) { expect_file(scratch_path("o.jsonl.rejected"), text); }

Test(writer, rows_found_twice_count_once) {
    const char *text = "{\"_row_index\": 4}\n{\"_row_index\": 4}\n";
    expect_resumed(text, "{\"_row_index\": 4}\n", 1, 0, 0);
    expect_rejected("{\"_row_index\": 4}\n");
}

Test(writer, rows_that_contradict_each_other_are_done_again) {
    expect_resumed("{\"_row_index\": 4, \"a\": 1}\n{\"_row_index\": 5}\n{\"_row_index\": 4, \"a\": 2}\n",
                   "{\"_row_index\": 5}\n", 1, 0, 0);
    expect_rejected("{\"_row_index\": 4, \"a\": 1}\n{\"_row_index\": 4, \"a\": 2}\n");
}

Test(writer, a_line_that_is_no_result_is_put_aside) {
    writer_resumed_t found;
    const char *path =
        scratch_text("o.jsonl", "{\"_row_index\": 0}\n{\"_row_index\": 1, \"t\": \n{\"_row_index\": 2}\n");
    cr_assert(chmod(path, 0640) == 0);
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 2 && found.lines_rejected == 1 && found.lines_changed == 0);
    add(w, 1);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 0}\n{\"_row_index\": 2}\n{\"_row_index\": 1}\n");
    expect_rejected("{\"_row_index\": 1, \"t\": \n");
    struct stat st;
    cr_assert(stat(scratch_path("o.jsonl.rejected"), &st) == 0 && (st.st_mode & 0777) == 0640);
    FILE *f = fopen(path, "ab");
    cr_assert(f && fputs("bad\nworse\n", f) > 0 && fclose(f) == 0);
    w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 3 && found.lines_rejected == 2);
    writer_close(&w);
    expect_rejected("{\"_row_index\": 1, \"t\": \nbad\nworse\n");
}

Test(writer, what_cannot_be_put_aside_stays) {
    const char *text = "{\"_row_index\": 0}\n{\"_row_index\": 1}\nbad\n";
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_text("o.jsonl", text));
    scratch_text("target", "mine");
    cr_assert_eq(symlink("target", scratch_path("o.jsonl.rejected")), 0);
    expect_refused(path, &PLAIN, SDG_EIO, "o.jsonl.rejected: cannot be opened");
    expect_file(path, text);
    expect_file(scratch_path("target"), "mine");
    cr_assert_eq(unlink(scratch_path("o.jsonl.rejected")), 0);
    cr_assert_eq(mkfifo(scratch_path("o.jsonl.rejected"), 0600), 0);
    expect_refused(path, &PLAIN, SDG_EIO, "nothing was changed");
    expect_file(path, text);
    cr_assert_neq(access(scratch_path("o.jsonl.rewrite"), F_OK), 0);
}

Test(writer, what_others_put_in_the_place_of_the_output_is_put_aside) {
    static const char *const texts[] = {"my notes, without a newline", "\1\2binary", "{\"x\": 1}"};
    char want[256] = "", path[256];
    snprintf(path, sizeof path, "%s", scratch_path("o.jsonl"));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        writer_resumed_t found;
        writer_t *w = open_ok(path, &PLAIN, NULL);
        add(w, 0);
        cr_assert_eq(writer_sync(w, NULL), 0);
        writer_close(&w);
        scratch_text("o.jsonl", texts[i]);
        w = open_ok(path, &PLAIN, &found);
        cr_assert(found.lines_rejected == 1 && found.torn_bytes == 0 && found.rows_ok == 0, "%s", texts[i]);
        writer_close(&w);
        expect_file(path, "");
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s\n", texts[i]);
        expect_rejected(want);
    }
}

Test(writer, text_behind_the_rows_is_put_aside_and_zeros_of_a_power_loss_are_cut) {
    expect_resumed("{\"_row_index\": 0}\n{\"_row_index\": 1}\nnotes",
                   "{\"_row_index\": 0}\n{\"_row_index\": 1}\n", 2, 0, 0);
    expect_rejected("notes\n");
    writer_resumed_t found;
    const char *path = scratch_write("z.jsonl", "{\"_row_index\": 0}\n\0\0\0\0", 22);
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert(found.torn_bytes == 4 && found.lines_rejected == 0);
    writer_close(&w);
    path = scratch_write("b.jsonl", "\0binary", 7);
    expect_refused(path, &PLAIN, SDG_EINVAL, "not a JSON object");
    size_t len;
    scratch_read(path, &len);
    cr_assert_eq(len, 7);
}

Test(writer, a_row_beyond_the_end_of_the_input_is_put_aside_when_the_end_is_known) {
    writer_resumed_t found;
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 0}\n{\"_row_index\": 17}\n");
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 2 && found.lines_rejected == 0);
    add(w, 1);
    cr_assert_eq(writer_end_input(w, 2, NULL), 0);
    expect_rejected("{\"_row_index\": 17}\n");
    add(w, 2);
    cr_assert_eq(writer_sync(w, NULL), 0);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": 2}\n");
    w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 3 && found.lines_rejected == 0 && found.lines_changed == 0);
    cr_assert_eq(writer_end_input(w, 3, NULL), 0);
    writer_close(&w);
}

/* ---- text that has changed */

static void add_text(writer_t *w, uint64_t row, const char *text) {
    char line[128];
    int n =
        snprintf(line, sizeof line, "{\"_row_index\": %llu, \"t\": \"%s\"}", (unsigned long long)row, text);
    cr_assert_eq(writer_add(w, row, line, (size_t)n, NULL), 0);
}

/* A path that stays, in the place of one of scratch_path. */
static const char *lasting(const char *path) {
    static char kept[256];
    snprintf(kept, sizeof kept, "%s", path);
    return kept;
}

static void write_rows(const char *path, uint64_t from, uint64_t to, bool synced) {
    writer_t *w = open_ok(path, &PLAIN, NULL);
    for (uint64_t row = from; row < to; row++)
        add_text(w, row, "text");
    cr_assert_eq(synced ? writer_sync(w, NULL) : writer_flush(w, NULL), 0);
    writer_close(&w);
}

static writer_resumed_t reopened(const char *path) {
    writer_resumed_t found;
    writer_t *w = open_ok(path, &PLAIN, &found);
    writer_close(&w);
    return found;
}

/* Puts other bytes in the place of some. */
static void edit(const char *path, const char *from, const char *to) {
    size_t len;
    const char *text = scratch_read(path, &len), *at = strstr(text, from);
    cr_assert(at, "%s", from);
    FILE *f = fopen(path, "wb");
    cr_assert(f);
    fwrite(text, 1, (size_t)(at - text), f);
    fputs(to, f);
    fwrite(at + strlen(from), 1, len - (size_t)(at - text) - strlen(from), f);
    cr_assert_eq(fclose(f), 0);
}

Test(writer, text_that_has_changed_is_said_once_and_kept) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 600, true);
    writer_resumed_t found = reopened(path);
    cr_assert(found.rows_ok == 600 && found.lines_changed == 0);
    edit(path, "300, \"t\": \"text\"", "300, \"t\": \"better\"");
    found = reopened(path);
    cr_assert_eq(found.lines_changed, LINE_BLOCK_LINES, "the block of the line");
    cr_assert(found.rows_ok == 600 && found.lines_rejected == 0 && found.lines_missing == 0);
    cr_assert(strstr(scratch_read(path, NULL), "better"));
    found = reopened(path);
    cr_assert_eq(found.lines_changed, 0, "it is said once");
}

Test(writer, an_output_that_was_emptied_is_said) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 600, true);
    cr_assert_eq(truncate(path, 0), 0);
    writer_resumed_t found = reopened(path);
    cr_assert(found.rows_ok == 0 && found.lines_missing == 600);
    found = reopened(path);
    cr_assert_eq(found.lines_missing, 0, "it is said once");
    write_rows(path, 0, 600, true);
    cr_assert_eq(unlink(path), 0);
    writer_options_t anew = PLAIN;
    anew.overwrite = true;
    writer_t *w = open_ok(path, &anew, &found);
    cr_assert_eq(found.lines_missing, 0, "it was asked for");
    writer_close(&w);
}

Test(writer, lines_that_are_gone_are_said) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 600, true);
    edit(path, "{\"_row_index\": 10, \"t\": \"text\"}\n", "");
    writer_resumed_t found = reopened(path);
    cr_assert(found.rows_ok == 599 && found.lines_missing == 1);
    cr_assert_eq(found.lines_changed, LINE_BLOCK_LINES - 1, "only the block of the line has changed");
    cr_assert_eq(truncate(path, 100), 0);
    found = reopened(path);
    cr_assert(found.rows_ok == 3 && found.lines_missing == 599 - 3, "%d", (int)found.lines_missing);
}

/* A process that is killed leaves what it flushed, and its checksums. */
Test(writer, what_was_flushed_has_checksums) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 300, true);
    write_rows(path, 300, 700, false);
    edit(path, "650, \"t\": \"text\"", "650, \"t\": \"other\"");
    cr_assert(reopened(path).lines_changed > 0);
}

Test(writer, lines_behind_the_last_checksum_are_results_like_others) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 300, true);
    FILE *f = fopen(path, "ab");
    for (int row = 300; row < 700; row++)
        cr_assert(fprintf(f, "{\"_row_index\": %d, \"t\": \"text\"}\n", row) > 0);
    cr_assert_eq(fclose(f), 0);
    edit(path, "650, \"t\": \"text\"", "650, \"t\": \"other\"");
    writer_resumed_t found = reopened(path);
    cr_assert(found.rows_ok == 700 && found.lines_changed == 0 && found.lines_missing == 0);
    edit(path, "650, \"t\": \"other\"", "650, \"t\": \"text\"");
    cr_assert(reopened(path).lines_changed > 0, "they have one when they were read");
}

Test(writer, changes_are_seen_in_ordered_and_in_packed_outputs_and_after_a_rewrite) {
    writer_options_t options = PLAIN;
    options.ordered = true;
    const char *path = lasting(scratch_path("o.jsonl"));
    writer_t *w = open_ok(path, &options, NULL);
    for (uint64_t row = 300; row-- > 0;)
        add_text(w, row, "text");
    cr_assert_eq(writer_sync(w, NULL), 0);
    writer_close(&w);
    cr_assert(reopened(path).lines_changed == 0);
    FILE *f = fopen(path, "ab");
    cr_assert(f && fputs("{\"_row_index\": 300, \"_error\": \"x\"}\n", f) > 0 && fclose(f) == 0);
    options.retry_failed = true;
    w = open_ok(path, &options, NULL);
    writer_close(&w);
    cr_assert(reopened(path).lines_changed == 0);
    size_t len;
    const char *text = scratch_read(path, &len);
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, text, len);
    scratch_write("p.jsonl.gz", packed.data, packed.len);
    cr_assert_eq(rename(scratch_path("o.jsonl.sdg"), scratch_path("p.jsonl.gz.sdg")), 0);
    cr_assert(reopened(scratch_path("p.jsonl.gz")).lines_changed == 0, "the checksums are of the text");
    edit(path, "30, \"t\": \"text\"", "30, \"t\": \"tent\"");
    text = scratch_read(path, &len);
    buf_reset(&packed);
    add_gzip(&packed, text, len);
    scratch_write("p.jsonl.gz", packed.data, packed.len);
    cr_assert(reopened(scratch_path("p.jsonl.gz")).lines_changed > 0);
    buf_free(&packed);
}

Test(writer, a_changed_row_number_is_found_by_the_row_that_it_was) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 300, true);
    edit(path, "{\"_row_index\": 20,", "{\"_row_index\": 60,");
    writer_resumed_t found = reopened(path);
    cr_assert(found.lines_rejected == 1 && found.rows_ok == 299, "the two lines of row 60 are alike");
    write_rows(path, 20, 21, true);
    edit(path, "{\"_row_index\": 30, \"t\": \"te", "{\"_row_index\": 70, \"t\": \"x");
    found = reopened(path);
    cr_assert(found.lines_rejected == 2 && found.rows_ok == 298,
              "nothing tells which line of row 70 is right");
    write_rows(path, 30, 31, false);
    write_rows(path, 70, 71, true);
    edit(path, "{\"_row_index\": 21,", "{\"_row_index\": 821,"); /* a row that may be of the input */
    found = reopened(path);
    cr_assert(found.lines_rejected == 1 && found.rows_ok == 299);
    cr_assert(strstr(scratch_read(scratch_path("o.jsonl.rejected"), NULL), "821"));
    edit(path, "{\"_row_index\": 280,", "{\"_row_index\": 10,"); /* row 10 is in a block that is as it was */
    found = reopened(path);
    cr_assert(found.lines_rejected == 1 && found.rows_ok == 298);
    cr_assert(strstr(scratch_read(path, NULL), "{\"_row_index\": 10,"));
}

Test(writer, blocks_that_were_moved_are_known_again) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 2 * LINE_BLOCK_LINES, true);
    size_t len;
    char *text = strdup(scratch_read(path, &len));
    char *middle = strstr(text, "{\"_row_index\": 256,");
    FILE *f = fopen(path, "wb");
    cr_assert(f && fputs(middle, f) > 0 && fputs("{\"_row_index\": 999}\n", f) > 0 &&
              fwrite(text, 1, (size_t)(middle - text), f) > 0 && fclose(f) == 0);
    writer_resumed_t found = reopened(path);
    cr_assert(found.lines_changed == 0 && found.lines_missing == 0 && found.rows_ok == 513);
    free(text);
}

/* Each flip of one bit is put right (the line is rejected, its row open), or said. */
Test(writer_flips, no_flipped_bit_is_silent) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_rows(path, 0, 12, true);
    size_t len, record_len;
    char *text = strdup(scratch_read(path, &len));
    const char *record = scratch_read(scratch_path("o.jsonl.sdg"), &record_len);
    char *kept = strdup(record);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        scratch_write("o.jsonl", text, len);
        scratch_write("o.jsonl.sdg", kept, record_len);
        writer_resumed_t found;
        writer_t *w = open_ok(path, &PLAIN, &found);
        cr_assert(found.lines_rejected + found.lines_changed + found.lines_missing + found.torn_bytes > 0,
                  "bit %zu", bit);
        for (uint64_t row = 0; row < 12; row++)
            if (!rangeset_has(writer_finished(w), row)) add_text(w, row, "text");
        cr_assert_eq(writer_end_input(w, 12, NULL), 0);
        cr_assert_eq(rangeset_count(writer_finished(w)), 12, "bit %zu", bit);
        writer_close(&w);
        /* what is not as it was written is the text of a line whose number is right */
        const char *after = scratch_read(path, NULL);
        for (uint64_t row = 0; row < 12; row++) {
            char head[64];
            snprintf(head, sizeof head, "{\"_row_index\": %llu, \"", (unsigned long long)row);
            cr_assert(strstr(after, head), "bit %zu: row %d in %s", bit, (int)row, after);
        }
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    free(text);
    free(kept);
}

Test(writer, failed_rows_are_kept_unless_they_are_to_be_done_again) {
    const char *all = "{\"_row_index\": 0, \"_error\": \"x\"}\n{\"_row_index\": 1}\n{\"_row_index\": 2, "
                      "\"_error\": \"y\"}\n"
                      "{\"_row_index\": 3, \"t\": \"\\\"_error\\\"\"}\n{\"_row_in";
    const char *path = scratch_text("o.jsonl", all);
    cr_assert(chmod(path, 0640) == 0);
    writer_resumed_t found;
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 2 && found.rows_failed == 2 && found.rows_retried == 0);
    writer_close(&w);
    writer_options_t retry = PLAIN;
    retry.retry_failed = true;
    w = open_ok(path, &retry, &found);
    cr_assert(found.rows_ok == 2 && found.rows_failed == 0 && found.rows_retried == 2);
    cr_assert_not(rangeset_has(writer_finished(w), 0));
    add(w, 0);
    writer_close(&w);
    expect_file(path,
                "{\"_row_index\": 1}\n{\"_row_index\": 3, \"t\": \"\\\"_error\\\"\"}\n{\"_row_index\": 0}\n");
    struct stat st;
    cr_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0640, "a rewrite keeps the mode");
    cr_assert_neq(access(scratch_path("o.jsonl.rewrite"), F_OK), 0);
}

Test(writer, a_rewrite_keeps_lock_and_links) {
    scratch_text("real.jsonl", "{\"_row_index\": 0, \"_error\": \"x\"}\n");
    const char *path = lasting(scratch_path("o.jsonl"));
    cr_assert(symlink("real.jsonl", path) == 0);
    writer_options_t retry = PLAIN;
    retry.retry_failed = true;
    writer_t *w = open_ok(path, &retry, NULL);
    expect_refused(path, &retry, SDG_EINVAL, "another run");
    struct stat st;
    cr_assert(lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
    writer_close(&w);
    expect_file(scratch_path("real.jsonl"), "");
}

Test(writer, one_writer_per_file) {
    const char *path = lasting(scratch_path("o.jsonl"));
    writer_t *w = open_ok(path, &PLAIN, NULL);
    expect_refused(path, &PLAIN, SDG_EINVAL, "another run");
    writer_close(&w);
    w = open_ok(path, &PLAIN, NULL);
    writer_close(&w);
}

Test(writer, overwrite_starts_anew) {
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 7}\nand more\n");
    writer_options_t options = PLAIN;
    options.overwrite = true;
    writer_t *w = open_ok(path, &options, NULL);
    add(w, 0);
    writer_close(&w);
    expect_file(path, "{\"_row_index\": 0}\n");
}

Test(writer, overwrite_takes_only_outputs_of_ours) {
    static const char *const ours[] = {"", "{\"_row_index\": 0}\n", "\n{\"_row_index\": 0}",
                                       "{\"_row_index\": 0, \"a"};
    static const char *const foreign[] = {"my notes\n", "{\"n\": 1}\n", "x", "{\"_row_index\": 0, \"a\n",
                                          "\xff\xfe{\n"};
    writer_options_t options = PLAIN;
    options.overwrite = true;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        writer_t *w = open_ok(scratch_text("o.jsonl", ours[i]), &options, NULL);
        writer_close(&w);
        expect_file(scratch_path("o.jsonl"), "");
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        expect_refused(scratch_text("o.jsonl", foreign[i]), &options, SDG_EINVAL, "not an output of sdg");
        expect_file(scratch_path("o.jsonl"), foreign[i]);
    }
}

Test(writer, overwrite_takes_only_compressed_outputs_of_ours) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "{\"_row_index\": 0}\n", 18);
    writer_options_t options = PLAIN;
    options.overwrite = true;
    writer_t *w = open_ok(scratch_write("o.jsonl.gz", packed.data, packed.len - 1), &options, NULL);
    writer_close(&w);
    expect_refused(scratch_text("o.jsonl.gz", "{\"_row_index\": 0}\n"), &options, SDG_EINVAL,
                   "not an output");
    expect_refused(scratch_write("o.jsonl", packed.data, packed.len), &options, SDG_EINVAL, "not an output");
    buf_free(&packed);
}

Test(writer, a_foreign_file_in_the_place_of_the_record_is_left_alone) {
    writer_options_t options = PLAIN;
    options.overwrite = true;
    scratch_text("o.jsonl.sdg", "import sys\n");
    expect_refused(scratch_path("o.jsonl"), &PLAIN, SDG_EINVAL, "no run has written it");
    expect_refused(scratch_path("o.jsonl"), &options, SDG_EINVAL, "no run has written it");
    expect_file(scratch_path("o.jsonl.sdg"), "import sys\n");
    scratch_text("o.jsonl.sdg", "{\"format\": 1, \"pipe");
    writer_t *w = open_ok(scratch_path("o.jsonl"), &options, NULL);
    writer_close(&w);
}

static void expect_lost(writer_t **w, const char *how) {
    err_t err = {0};
    cr_assert_eq(writer_check(*w, &err), SDG_EIO);
    cr_expect(strstr(err.text, how), "%s", err.text);
    cr_expect_eq(writer_sync(*w, &err), SDG_EIO, "no more rows go there");
    writer_close(w);
}

Test(writer, an_output_that_is_taken_away_is_a_failure) {
    const char *path = scratch_path("o.jsonl"), *other = scratch_path("p.jsonl");
    err_t err = {0};
    writer_t *w = open_ok(path, &PLAIN, NULL);
    add(w, 0);
    cr_assert_eq(writer_sync(w, &err), 0);
    cr_assert_eq(writer_check(w, &err), 0);
    cr_assert_eq(unlink(path), 0);
    expect_lost(&w, "removed or renamed");

    w = open_ok(path, &PLAIN, NULL);
    scratch_text("p.jsonl", "");
    cr_assert_eq(rename(other, path), 0);
    expect_lost(&w, "replaced by another file");

    w = open_ok(path, &PLAIN, NULL);
    add(w, 0);
    cr_assert_eq(writer_sync(w, &err), 0);
    cr_assert_eq(truncate(path, 3), 0);
    expect_lost(&w, "cut by another program");

    unlink(path);
    w = open_ok(path, &PLAIN, NULL);
    add(w, 0);
    cr_assert_eq(writer_flush(w, &err), 0);
    FILE *f = fopen(path, "ab");
    cr_assert(f && fputs("x\n", f) > 0 && fclose(f) == 0);
    add(w, 1);
    cr_assert_eq(writer_flush(w, &err), SDG_EIO, "rows behind it are not to be acknowledged");
    expect_lost(&w, "written to by another program");
}

/* ---- order */

Test(writer, ordered_rows_wait_for_those_below) {
    writer_options_t options = PLAIN;
    options.ordered = true;
    options.flush_bytes = 1;
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 2}\n");
    writer_t *w = open_ok(path, &options, NULL);
    add(w, 4);
    add(w, 1);
    add(w, 3);
    cr_assert_eq(writer_waiting_rows(w), 3);
    cr_assert_eq(writer_waiting_bytes(w), 3 * strlen("{\"_row_index\": 0}"));
    cr_assert_eq(writer_add(w, 4, "{}", 2, NULL), 1, "a waiting row counts as finished");
    expect_file(path, "{\"_row_index\": 2}\n");
    add(w, 0);
    cr_assert_eq(writer_waiting_rows(w), 0);
    cr_assert_eq(writer_waiting_bytes(w), 0);
    expect_file(path, "{\"_row_index\": 2}\n{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": "
                      "3}\n{\"_row_index\": 4}\n");
    writer_close(&w);
}

Test(writer, ordered_whatever_the_order) {
    writer_options_t options = PLAIN;
    options.ordered = true;
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &options, NULL);
    enum { ROWS = 997 };
    for (uint64_t i = 0; i < ROWS; i++)
        add(w, i * 37 % ROWS);
    cr_assert_eq(writer_waiting_rows(w), 0);
    writer_close(&w);
    const char *text = scratch_read(path, NULL);
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned row = 0;
        cr_assert_eq(sscanf(text, "{\"_row_index\": %u}", &row), 1);
        cr_assert_eq(row, i);
        text = strchr(text, '\n') + 1;
    }
}

Test(writer, finish_writes_what_waits_and_close_does_not) {
    writer_options_t options = PLAIN;
    options.ordered = true;
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &options, NULL);
    add(w, 5);
    add(w, 3);
    writer_close(&w);
    expect_file(path, "");
    w = open_ok(path, &options, NULL);
    add(w, 5);
    add(w, 3);
    cr_assert_eq(writer_finish(w, NULL), 0);
    expect_file(path, "{\"_row_index\": 3}\n{\"_row_index\": 5}\n");
    writer_close(&w);
}

/* ---- identity */

Test(writer, the_run_file_says_who_wrote_it) {
    static const char HEAD[] = "{\"format\": 2, \"pipeline\": \"p\", \"input\": \"i\", "
                               "\"options\": \"o\", \"version\": \"" SDG_VERSION "\", \"check\": \"";
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    writer_close(&w);
    const char *text = scratch_read(scratch_path("o.jsonl.sdg"), NULL);
    cr_assert_eq(strncmp(text, HEAD, sizeof HEAD - 1), 0, "%s", text);
    cr_assert_str_eq(text + sizeof HEAD - 1 + 16, "\"}\n");
}

static void write_one_row(const char *path) {
    writer_t *w = open_ok(path, &PLAIN, NULL);
    add(w, 0);
    writer_close(&w);
}

Test(writer, another_run_is_refused_with_what_differs) {
    const char *path = scratch_path("o.jsonl");
    write_one_row(path);
    writer_options_t other = PLAIN;
    other.pipeline_identity = "P";
    expect_refused(path, &other, SDG_EMISMATCH, "with another pipeline (");
    other.input_identity = NULL;
    expect_refused(path, &other, SDG_EMISMATCH, "with another pipeline and input (");
    other.options_identity = "";
    expect_refused(path, &other, SDG_EMISMATCH, "with another pipeline, input and other options (");
    expect_refused(path, &other, SDG_EMISMATCH, "--force-resume");
    expect_file(path, "{\"_row_index\": 0}\n");
    writer_resumed_t found;
    other.force_resume = true;
    writer_t *w = open_ok(path, &other, &found);
    cr_assert(found.identity_forced && !found.adopted && found.rows_ok == 1);
    writer_close(&w);
    other.force_resume = false;
    w = open_ok(path, &other, &found);
    cr_assert_not(found.identity_forced, "the run that was forced is the file's run from then on");
    writer_close(&w);
}

Test(writer, an_empty_output_belongs_to_nobody) {
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    writer_close(&w);
    writer_options_t other = PLAIN;
    other.pipeline_identity = "P";
    w = open_ok(path, &other, NULL);
    writer_close(&w);
}

Test(writer, rows_without_a_run_file_are_continued_on_trust) {
    writer_resumed_t found;
    const char *path = scratch_text("o.jsonl", "{\"_row_index\": 0}\n");
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert(found.adopted);
    writer_close(&w);
    w = open_ok(path, &PLAIN, &found);
    cr_assert_not(found.adopted);
    writer_close(&w);
    scratch_text("o.jsonl.sdg", "");
    w = open_ok(path, &PLAIN, &found);
    cr_assert(found.adopted);
    writer_close(&w);
}

Test(writer, a_run_file_that_cannot_be_understood) {
    const char *path = lasting(scratch_path("o.jsonl"));
    write_one_row(path);
    scratch_text("o.jsonl.sdg", "{\"format\": 3}");
    expect_refused(path, &PLAIN, SDG_EINVAL, "newer sdg (format 3");
    scratch_text("o.jsonl.sdg", "{\"format\": 2}");
    expect_refused(path, &PLAIN, SDG_EINVAL, "is damaged");
    scratch_text("o.jsonl.sdg", "garbage");
    expect_refused(path, &PLAIN, SDG_EINVAL, "does not say which run");
    scratch_text("o.jsonl.sdg", "{\"format\": 1}");
    expect_refused(path, &PLAIN, SDG_EMISMATCH, "another pipeline, input and other options");
    expect_file(path, "{\"_row_index\": 0}\n");
    scratch_text("o.jsonl.sdg", "garbage");
    writer_options_t forced = PLAIN;
    writer_resumed_t found;
    forced.force_resume = true;
    writer_t *w = open_ok(path, &forced, &found);
    writer_close(&w);
    cr_assert(found.identity_forced && found.rows_ok == 1);
    cr_assert_not(reopened(path).identity_forced, "the record was written anew");
}

/* ---- full disks */

/* The file may grow to `bytes` and no further: the write that passes it is short, the next one fails. */
static void limit_files_to(rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

Test(writer, a_full_disk_leaves_whole_lines) {
    const char *path = scratch_path("o.jsonl");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    err_t err = {0};
    limit_files_to(18 * 3 + 5);
    for (uint64_t row = 0; row < 5; row++)
        add(w, row);
    cr_assert_eq(writer_flush(w, &err), SDG_ENOSPACE);
    cr_assert(strstr(err.text, "make room and run again"), "%s", err.text);
    cr_assert_eq(writer_add(w, 9, "{}", 2, &err), SDG_ENOSPACE, "it stays broken");
    cr_assert_eq(writer_sync(w, &err), SDG_ENOSPACE);
    writer_close(&w);
    limit_files_to(RLIM_INFINITY);
    expect_file(path, "{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": 2}\n");
    writer_resumed_t found;
    w = open_ok(path, &PLAIN, &found);
    cr_assert_eq(found.rows_ok, 3);
    add(w, 3);
    writer_close(&w);
}

Test(writer, a_full_device_is_said) {
    writer_t *w = open_ok("/dev/full", &PLAIN, NULL);
    err_t err = {0};
    add(w, 0);
    cr_assert_eq(writer_flush(w, &err), SDG_ENOSPACE);
    writer_close(&w);
    cr_assert_neq(access("/dev/full.sdg", F_OK), 0);
}

/* A member that finds no room is cut off: the output ends with the member before it, and a rerun
 * continues. */
static void check_full_compressed(const char *name) {
    const char *path = scratch_path(name);
    writer_t *w = open_ok(path, &PLAIN, NULL);
    struct stat st;
    add(w, 0);
    cr_assert_eq(writer_sync(w, NULL), 0);
    cr_assert(stat(path, &st) == 0);
    limit_files_to((rlim_t)st.st_size + 10);
    add(w, 1);
    err_t err = {0};
    cr_assert_eq(writer_sync(w, &err), SDG_ENOSPACE);
    writer_close(&w);
    limit_files_to(RLIM_INFINITY);
    writer_resumed_t found;
    w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 1 && found.torn_bytes == 0);
    writer_close(&w);
}

Test(writer, a_full_disk_leaves_whole_members) {
    check_full_compressed("o.jsonl.gz");
    check_full_compressed("o.jsonl.zst");
}

/* 300 KB of bad lines have been copied when the rows find no room. */
Test(writer, a_rewrite_that_finds_no_room_moves_no_line) {
    buf_t text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 3000; i++)
        buf_addf(&text, "bad %095d\n", i);
    for (int i = 0; i < 4000; i++)
        buf_addf(&text, "{\"_row_index\": %d, \"t\": \"%080d\"}\n", i, i);
    const char *path = lasting(scratch_write("o.jsonl", text.data, text.len));
    scratch_text("o.jsonl.rejected", "of before\n");
    limit_files_to(310000);
    expect_refused(path, &PLAIN, SDG_ENOSPACE, "o.jsonl");
    limit_files_to(RLIM_INFINITY);
    expect_file(path, text.data);
    expect_rejected("of before\n");
    writer_resumed_t found = reopened(path);
    cr_assert(found.rows_ok == 4000 && found.lines_rejected == 3000);
    buf_free(&text);
}

Test(writer, a_rewrite_that_finds_no_room_changes_nothing) {
    const char *text = "{\"_row_index\": 0, \"_error\": \"x\"}\n{\"_row_index\": 1}\n";
    const char *path = scratch_text("o.jsonl", text);
    writer_options_t retry = PLAIN;
    retry.retry_failed = true;
    limit_files_to(10);
    expect_refused(path, &retry, SDG_ENOSPACE, "o.jsonl");
    limit_files_to(RLIM_INFINITY);
    expect_file(path, text);
    cr_assert_neq(access(scratch_path("o.jsonl.rewrite"), F_OK), 0);
}

/* ---- stdout and pipes */

Test(writer, stdout_gets_lines_and_no_run_file) {
    const char *path = scratch_path("out");
    int out = open(path, O_RDWR | O_CREAT, 0600), kept = dup(STDOUT_FILENO);
    cr_assert(dup2(out, STDOUT_FILENO) == STDOUT_FILENO);
    writer_t *w = open_ok("-", &PLAIN, NULL);
    add(w, 0);
    cr_assert_eq(writer_sync(w, NULL), 0);
    writer_close(&w);
    cr_assert(dup2(kept, STDOUT_FILENO) == STDOUT_FILENO);
    expect_file(path, "{\"_row_index\": 0}\n");
    cr_assert_neq(access("-.sdg", F_OK), 0);
}

Test(writer, a_reader_that_left_is_an_error) {
    int ends[2], kept = dup(STDOUT_FILENO);
    signal(SIGPIPE, SIG_IGN);
    cr_assert(pipe(ends) == 0 && dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    writer_t *w = open_ok("-", &PLAIN, NULL);
    add(w, 0);
    int rc = writer_flush(w, NULL);
    writer_close(&w);
    cr_assert(dup2(kept, STDOUT_FILENO) == STDOUT_FILENO);
    cr_assert_eq(rc, SDG_EIO);
}

/* ---- compressed output */

typedef void add_member_t(buf_t *, const char *, size_t);

/* An output of three members, cut at every byte: the whole members count, and a further row can be added. */
static void check_compressed(const char *name) {
    const char *path = scratch_path(name);
    for (uint64_t row = 0; row < 3; row++) {
        writer_resumed_t found;
        writer_t *w = open_ok(path, &PLAIN, &found);
        cr_assert_eq(found.rows_ok, row);
        add(w, row);
        writer_close(&w);
    }
    size_t len;
    const char *bytes = scratch_read(path, &len);
    for (size_t cut = 1; cut < len; cut++) {
        writer_resumed_t found;
        scratch_write(name, bytes, cut);
        writer_t *w = open_ok(path, &PLAIN, &found);
        cr_assert(found.rows_ok <= 3);
        cr_assert(rangeset_first_absent(writer_finished(w), 0) == found.rows_ok);
        uint64_t rows = found.rows_ok;
        add(w, rows);
        writer_close(&w);
        w = open_ok(path, &PLAIN, &found);
        cr_assert(found.rows_ok == rows + 1 && found.torn_bytes == 0, "cut at %zu", cut);
        writer_close(&w);
    }
}

Test(writer, gzip_output_resumes_at_every_cut) { check_compressed("o.jsonl.gz"); }
Test(writer, zstd_output_resumes_at_every_cut) { check_compressed("o.jsonl.zst"); }

Test(writer, compressed_output_gathers_worthwhile_members) {
    const char *path = scratch_path("o.jsonl.gz");
    writer_t *w = open_ok(path, &PLAIN, NULL);
    struct stat st;
    cr_assert(writer_holds_back(w));
    add(w, 0);
    cr_assert_eq(writer_flush(w, NULL), 0);
    cr_assert(stat(path, &st) == 0 && st.st_size == 0, "below 64 KiB a flush waits");
    for (uint64_t row = 1; row < WRITE_MEMBER_BYTES_MIN / 17; row++)
        add(w, row);
    cr_assert_eq(writer_flush(w, NULL), 0);
    cr_assert(stat(path, &st) == 0 && st.st_size > 0);
    writer_close(&w);
}

/* An output that somebody compressed as a whole: its rows are kept if it is whole, none of them if a part is
 * missing, because then nothing vouches for its text. */
static void check_foreign(const char *name, add_member_t *add_one, const char *text, size_t cut,
                          uint64_t rows) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_one(&packed, text, strlen(text));
    const char *path = scratch_write(name, packed.data, packed.len - cut);
    writer_resumed_t found;
    writer_t *w = open_ok(path, &PLAIN, &found);
    cr_assert_eq(found.rows_ok, rows);
    add(w, 10);
    writer_close(&w);
    w = open_ok(path, &PLAIN, &found);
    cr_assert_eq(found.rows_ok, rows + 1);
    writer_close(&w);
    buf_free(&packed);
}

Test(writer, a_foreign_member_keeps_its_rows) {
    const char *two = "{\"_row_index\": 0}\n{\"_row_index\": 1}\n";
    const char *torn = "{\"_row_index\": 0}\n{\"_row_ind";
    const char *no_newline = "{\"_row_index\": 0}\n{\"_row_index\": 1}";
    check_foreign("a.jsonl.gz", add_gzip, two, 2, 0);
    check_foreign("b.jsonl.gz", add_gzip, torn, 0, 1);
    check_foreign("c.jsonl.gz", add_gzip, no_newline, 0, 2);
    check_foreign("d.jsonl.zst", add_zstd, torn, 0, 1);
    check_foreign("e.jsonl.zst", add_zstd, no_newline, 0, 2);
}

static void expect_compressed_refused(const char *name, const buf_t *packed, size_t len, int code,
                                      const char *part) {
    const char *path = scratch_write(name, packed->data, len);
    expect_refused(path, &PLAIN, code, part);
    size_t after;
    cr_assert(memcmp(scratch_read(path, &after), packed->data, len) == 0 && after == len,
              "nothing was changed");
}

Test(writer, compressed_files_that_are_not_ours_are_left_alone) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "hello", 5);
    size_t first = packed.len;
    expect_compressed_refused("a.gz", &packed, first - 1, SDG_EINVAL, "line 1: not a JSON object");
    add_gzip(&packed, " world\n", 7);
    expect_compressed_refused("a.gz", &packed, packed.len, SDG_EINVAL, "line 1: not a JSON object");
    expect_compressed_refused("a.gz", &packed, packed.len - 1, SDG_EINVAL, "line 1: not a JSON object");
    expect_compressed_refused("a.gz", &packed, first + 3, SDG_EINVAL, "line 1: not a JSON object");
    buf_free(&packed);
}

/* Rows whose text does not compress, so that the file is large. */
static void add_noise(buf_t *text, uint64_t rows) {
    uint64_t state = 1;
    for (uint64_t row = 0; row < rows; row++) {
        buf_addf(text, "{\"_row_index\": %llu, \"a\": \"", (unsigned long long)row);
        for (int i = 0; i < 1000; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            buf_addc(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"[state >> 58]);
        }
        buf_adds(text, "\"}\n");
    }
}

Test(writer, a_large_foreign_member_that_is_torn_is_left_alone) {
    buf_t text, packed;
    buf_init(&text, 1 << 22);
    buf_init(&packed, 1 << 22);
    add_noise(&text, 1000);
    add_gzip(&packed, text.data, text.len);
    expect_compressed_refused("a.gz", &packed, packed.len - 8, SDG_EPARSE, "gzip -dc");
    buf_reset(&packed);
    add_zstd(&packed, text.data, text.len);
    expect_compressed_refused("a.zst", &packed, packed.len - 8, SDG_EPARSE, "zstd -dc");
    buf_free(&text);
    buf_free(&packed);
}

/* Three members of ours with every bit of them flipped, one after the other: refused, or right. Text of a
 * member that is not whole is never taken. */
static void check_flips(const char *name) {
    const char *path = scratch_path(name);
    char *copy = strdup(path);
    for (uint64_t row = 0; row < 3; row++) {
        writer_t *w = open_ok(copy, &PLAIN, NULL);
        add(w, row);
        writer_close(&w);
    }
    size_t len;
    const char *bytes = scratch_read(copy, &len);
    char *changed = malloc(len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        writer_resumed_t found;
        memcpy(changed, bytes, len);
        changed[bit / 8] ^= (char)(1 << bit % 8);
        scratch_write(name, changed, len);
        writer_t *w = writer_open(copy, &PLAIN, &found, NULL);
        if (!w) continue;
        uint64_t rows = found.rows_ok;
        cr_assert(rangeset_first_absent(writer_finished(w), 0) == rows && found.rows_failed == 0, "bit %zu",
                  bit);
        for (uint64_t row = rows; row < 3; row++)
            add(w, row);
        writer_close(&w);
        buf_t text;
        err_t err = {0};
        stream_t *s = stream_open(copy, &err);
        char block[200];
        ssize_t n = 0;
        buf_init(&text, 1 << 20);
        while ((n = stream_read(s, block, sizeof block, &err)) > 0)
            buf_add(&text, block, (size_t)n);
        cr_assert_eq(n, 0, "bit %zu: %s", bit, err.text);
        cr_assert_str_eq(text.data, "{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": 2}\n",
                         "bit %zu", bit);
        buf_free(&text);
        stream_close(&s);
    }
    free(changed);
    free(copy);
}

Test(writer, no_flipped_bit_of_gzip_output_changes_a_row) { check_flips("o.jsonl.gz"); }
Test(writer, no_flipped_bit_of_zstd_output_changes_a_row) { check_flips("o.jsonl.zst"); }

Test(writer, damaged_compressed_output_is_left_alone) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "{\"_row_index\": 0}\n", 18);
    buf_adds(&packed, "garbage");
    const char *path = scratch_write("o.jsonl.gz", packed.data, packed.len);
    expect_refused(path, &PLAIN, SDG_EPARSE, "truncate -s");
    size_t len;
    scratch_read(path, &len);
    cr_assert_eq(len, packed.len);
    buf_free(&packed);
}

Test(writer, failed_rows_of_compressed_output_are_removed_too) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    const char *text = "{\"_row_index\": 0, \"_error\": \"x\"}\n{\"_row_index\": 1}\n";
    add_zstd(&packed, text, strlen(text));
    const char *path = scratch_write("o.jsonl.zst", packed.data, packed.len);
    writer_options_t retry = PLAIN;
    retry.retry_failed = true;
    writer_resumed_t found;
    writer_t *w = open_ok(path, &retry, &found);
    cr_assert(found.rows_ok == 1 && found.rows_retried == 1);
    add(w, 0);
    writer_close(&w);
    w = open_ok(path, &PLAIN, &found);
    cr_assert(found.rows_ok == 2 && found.rows_failed == 0);
    writer_close(&w);
    buf_free(&packed);
}
