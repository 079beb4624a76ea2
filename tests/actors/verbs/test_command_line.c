/* The command line that asks failed rows again. */
#include "actors/verbs/command_line.h"

#include <criterion/criterion.h>

static void check(const char *words, size_t len, const char *expected) {
    buf_t out;
    buf_init(&out, 4096);
    command_line_write_again(words, len, &out);
    cr_expect_str_eq(out.data, expected);
    buf_free(&out);
}

Test(command_line, retry_failed_is_added_once_and_overwrite_leaves) {
    static const char plain[] = "sdg\0run\0--yaml\0p.yaml\0--overwrite",
                      given[] = "sdg\0run\0--retry-failed\0-q", begun[] = "sdg\0run\0--overw\0-q";
    check(plain, sizeof plain, "sdg run --yaml p.yaml --retry-failed");
    check(given, sizeof given, "sdg run --retry-failed -q");
    check(begun, sizeof begun, "sdg run -q --retry-failed");
}

Test(command_line, words_are_quoted_for_a_shell) {
    static const char words[] = "/opt/my tools/sdg\0run\0--input\0it's $HOME/in*.jsonl\0--name\0";
    check(words, sizeof words,
          "'/opt/my tools/sdg' run --input 'it'\\''s $HOME/in*.jsonl' --name '' --retry-failed");
}
