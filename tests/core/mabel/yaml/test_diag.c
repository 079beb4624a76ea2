/* test_diag.c - problems shown in file order with their lines; "did you mean". */
#include "core/mabel/yaml/diag.h"

#include "core/mabel/yaml/limits.h"

#include <criterion/criterion.h>
#include <string.h>

#define WITH_DIAGS(d, source) \
    diags_t d;                \
    diags_init(&d, "p.yaml", source, strlen(source))

static char *written(const diags_t *d, diag_level_t least) {
    buf_t out;
    buf_init(&out, 1 << 20);
    diags_write(d, least, &out);
    return buf_take(&out, NULL);
}

static void expect_written(const diags_t *d, diag_level_t least, const char *want) {
    char *got = written(d, least);
    cr_assert_str_eq(got, want, "got:\n%s", got);
    free(got);
}

Test(diag, names_place_and_cause) {
    WITH_DIAGS(d, "a: 1\n  regex: (unclosed\n");
    ypath_t blocks = {.key = "blocks"};
    diag_add(&d, DIAG_ERROR, 2, 10, YPATH_KEY(YPATH_AT(&blocks, 3), "regex"), "missing %s", ")");
    expect_written(&d, DIAG_WARNING,
                   "p.yaml:2:10: error: blocks[3].regex: missing )\n"
                   "    regex: (unclosed\n"
                   "           ^\n");
    cr_assert_eq(d.errors, 1);
    diags_free(&d);
}

Test(diag, file_order_and_levels) {
    WITH_DIAGS(d, "x\ny\n");
    diag_add(&d, DIAG_ERROR, 2, 0, NULL, "second");
    diag_add(&d, DIAG_HINT, 1, 0, NULL, "a hint");
    diag_add(&d, DIAG_WARNING, 1, 0, NULL, "first");
    diag_add(&d, DIAG_ERROR, 0, 0, NULL, "whole file");
    expect_written(&d, DIAG_WARNING,
                   "p.yaml: error: whole file\np.yaml:1: warning: first\np.yaml:2: error: second\n");
    expect_written(&d, DIAG_ERROR, "p.yaml: error: whole file\np.yaml:2: error: second\n");
    cr_assert_eq(d.warnings, 1);
    cr_assert_eq(d.errors, 2);
    diags_free(&d);
}

Test(diag, caret_counts_cells_of_wide_characters) {
    WITH_DIAGS(d, "名前: x\n");
    diag_add(&d, DIAG_ERROR, 1, 5, NULL, "here");
    expect_written(&d, DIAG_ERROR, "p.yaml:1:5: error: here\n    名前: x\n          ^\n");
    diags_free(&d);
}

Test(diag, long_lines_are_cut_around_the_caret) {
    char line[400];
    memset(line, 'a', sizeof line);
    line[sizeof line - 1] = '\0';
    line[300] = '#';
    WITH_DIAGS(d, line);
    diag_add(&d, DIAG_ERROR, 1, 301, NULL, "here");
    char *got = written(&d, DIAG_ERROR);
    cr_assert(strlen(got) < 280);
    char *caret = strrchr(got, '^'), *shown = strchr(got, '\n') + 1;
    char *shown_end = strchr(shown, '\n');
    cr_assert_eq(shown[caret - shown_end - 1], '#');
    free(got);
    diags_free(&d);
}

Test(diag, too_many_are_counted_and_errors_come_through) {
    WITH_DIAGS(d, "");
    for (int i = 0; i < DIAG_MAX + 5; i++)
        diag_add(&d, DIAG_WARNING, 1, 1, NULL, "w%d", i);
    diag_add(&d, DIAG_ERROR, 2, 1, NULL, "the error");
    cr_assert_eq(d.count, DIAG_MAX);
    cr_assert_eq(d.dropped, 6);
    char *got = written(&d, DIAG_ERROR);
    cr_assert(strstr(got, "the error"));
    cr_assert(strstr(got, "and 6 more problems"));
    free(got);
    diags_free(&d);
}

Test(diag, nearest_name) {
    static const char *const names[] = {"on_error", "outputs", "exec", "id", "Type"};
    cr_assert_str_eq(diag_nearest("on_eror", names, 5), "on_error");
    cr_assert_str_eq(diag_nearest("ouptuts", names, 5), "outputs", "a swap is one edit");
    cr_assert_str_eq(diag_nearest("type", names, 5), "Type");
    cr_assert_null(diag_nearest("elephant", names, 5));
    cr_assert_null(diag_nearest("x", names, 5));
    cr_assert_null(diag_nearest("", names, 5));
}
