/* Numbers as text for people, and texts that fit into the columns of a terminal. */
#include "core/base/words.h"

#include <criterion/criterion.h>
#include <string.h>

static void check_plural(uint64_t n, const char *expected) {
    buf_t out;
    buf_init(&out, 100);
    words_plural(&out, n, "row", "rows");
    cr_expect_str_eq(out.data, expected);
    buf_free(&out);
}

Test(words, one_is_singular_and_all_else_is_plural) {
    check_plural(0, "0 rows");
    check_plural(1, "1 row");
    check_plural(2, "2 rows");
    check_plural(1234567, "1,234,567 rows");
    cr_expect_str_eq(words_choose(1, "is", "are"), "is");
}

static void check_wait(uint64_t ms, const char *expected) {
    buf_t out;
    buf_init(&out, 100);
    words_wait(&out, ms);
    cr_expect_str_eq(out.data, expected);
    buf_free(&out);
}

Test(words, waits_are_whole_seconds) {
    check_wait(0, "0 s");
    check_wait(6999, "6 s");
    check_wait(67000, "1m07s");
    check_wait(299999, "4m59s");
    check_wait(3600 * 3000 + 300000, "3h05m");
}

static void check_duration(uint64_t ns, const char *expected) {
    buf_t out;
    buf_init(&out, 100);
    words_duration(&out, ns);
    cr_expect_str_eq(out.data, expected);
    buf_free(&out);
}

Test(words, durations_of_any_length) {
    check_duration(850000000, "850 ms");
    check_duration(12345000000, "12.3 s");
    check_duration(UINT64_C(67) * 1000000000, "1m07s");
    check_duration(UINT64_MAX, "5124095h34m");
}

static void check_fit(const char *text, uint64_t columns, const char *expected) {
    buf_t out;
    buf_init(&out, 1000);
    words_fit(&out, text, strlen(text), columns);
    cr_expect_str_eq(out.data ? out.data : "", expected, "%s in %d columns: %s", text, (int)columns,
                     out.data);
    cr_expect_leq(words_columns(out.data ? out.data : "", out.len), columns);
    buf_free(&out);
}

Test(words, a_text_is_cut_at_columns_and_not_at_bytes) {
    check_fit("12 rows", 7, "12 rows");
    check_fit("12 rows", 6, "12 ro…");
    check_fit("12 rows", 1, "…");
    check_fit("12 rows", 0, "");
    check_fit("行を処理", 8, "行を処理");
    check_fit("行を処理", 7, "行を処…");
    check_fit("行を処理", 6, "行を…");
    check_fit("e\xCC\x81", 1, "e\xCC\x81");
    cr_expect_eq(words_columns("e\xCC\x81", 3), 1);
    cr_expect_eq(words_columns("呼び出し中 8", strlen("呼び出し中 8")), 12);
}

Test(words, nothing_of_a_foreign_text_steers_the_terminal) {
    check_fit("a\033[2Jb\nc", 20, "a [2Jb c");
    check_fit("a\xC2\x9B"
              "2Jb",
              20, "a 2Jb"); /* U+009B is another way to write ESC [ */
    check_fit("a\xFFz", 20, "a?z");
}
