/* test_regex.c - Python's search, findall and sub; limits. Expected values are those of CPython's re
 * module. */
#include "core/mabel/text/regex.h"

#include "core/base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pattern_t *compile(const char *pattern, int flags) {
    err_t err;
    pattern_t *re = regex_compile(pattern, strlen(pattern), flags, &err);
    cr_assert(re, "%s: %s", pattern, err.text);
    return re;
}

static int match(const char *pattern, int flags, const char *text, size_t *span) {
    pattern_t *re = compile(pattern, flags);
    err_t err;
    int rc = regex_match(re, text, strlen(text), 0, span, 8, &err);
    regex_destroy(&re);
    return rc;
}

static void expect_json(value_t v, const char *want, const char *what) {
    buf_t b;
    buf_init(&b, 1 << 20);
    json_write(&b, v, JSON_COMPACT);
    cr_expect_str_eq(b.data, want, "%s: %s, not %s", what, b.data, want);
    buf_free(&b);
}

Test(regex, finds_a_match_and_its_groups) {
    size_t span[8];
    cr_expect_eq(match("id=(\\w+);(x)?", 0, "an id=a1;", span), 1);
    cr_expect(span[0] == 3 && span[1] == 9 && span[2] == 6 && span[3] == 8);
    cr_expect(span[4] == SIZE_MAX && span[5] == SIZE_MAX);
    cr_expect_eq(match("z", 0, "abc", span), 0);
}

Test(regex, dot_matches_newline_only_when_asked) {
    size_t span[8];
    cr_expect_eq(match("a.b", 0, "a\nb", span), 0);
    cr_expect_eq(match("a.b", REGEX_DOTALL, "a\nb", span), 1);
}

Test(regex, classes_are_unicode_and_python_escapes_are_known) {
    size_t span[8];
    cr_expect_eq(match("^\\w+$", 0, "na\xc3\xafve", span), 1);
    cr_expect_eq(match("^[\\u3040-\\u309f]+$", 0, "\xe3\x81\x82\xe3\x81\x84", span), 1);
    cr_expect_eq(match("\\U0001F600", 0, "x\xf0\x9f\x98\x80", span), 1);
    cr_expect_eq(match("(?P<q>['\"]).(?P=q)", 0, "'x'", span), 1);
    cr_expect_eq(match("\\\\u3040", 0, "\\u3040", span), 1);
}

Test(regex, capital_z_is_the_very_end) {
    size_t span[8];
    cr_expect_eq(match("a\\Z", 0, "ba", span), 1);
    cr_expect_eq(match("a\\Z", 0, "ba\n", span), 0);
    cr_expect_eq(match("a\\n\\Z", 0, "ba\n", span), 1);
    cr_expect_eq(match("a\\\\Z", 0, "a\\Z", span), 1);
}

Test(regex, a_broken_pattern_says_where) {
    err_t err;
    cr_expect_null(regex_compile("ab(c", 4, 0, &err));
    cr_expect_eq(err.code, SDG_EINVAL);
    cr_expect(strstr(err.text, "parenthesis") && strstr(err.text, "character 5"), "%s", err.text);
    char *longest = calloc(1, 70000);
    memset(longest, 'a', 70000);
    cr_expect_null(regex_compile(longest, 70000, 0, &err));
    cr_expect_eq(err.code, SDG_ELIMIT);
    free(longest);
}

Test(regex, nested_repetition_fails_with_a_sentence) {
    pattern_t *re = compile("(a+)+$", 0);
    size_t span[4];
    err_t err;
    const char *text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab";
    cr_expect_eq(regex_match(re, text, strlen(text), 0, span, 4, &err), SDG_ELIMIT);
    cr_expect(strstr(err.text, "steps"), "%s", err.text);
    value_t out;
    cr_expect_eq(regex_findall(re, text, strlen(text), 10, &out, &err), SDG_ELIMIT);
    cr_expect_eq(out.kind, VALUE_NULL);
    regex_destroy(&re);
}

Test(regex, a_long_text_outgrows_the_jit_stack_and_still_matches) {
    size_t len = 100000, span[4];
    char *text = malloc(len);
    memset(text, 'x', len);
    pattern_t *re = compile("^(?:x|y)*$", 0);
    err_t err;
    int rc = regex_match(re, text, len, 0, span, 4, &err);
    cr_expect_eq(rc, 1, "%s", rc < 0 ? err.text : "");
    regex_destroy(&re);
    free(text);
}

Test(regex, findall_is_pythons) {
    static const struct {
        const char *pattern, *text, *want;
    } cases[] = {
        {"\\d+", "a1 b22", "[\"1\",\"22\"]"},
        {"(\\w)=", "k=v, x=y", "[\"k\",\"x\"]"},
        {"(\\w)=(\\d)?", "k=1,x=y", "[[\"k\",\"1\"],[\"x\",\"\"]]"},
        {"\\d*", "a1", "[\"\",\"1\",\"\"]"},
        {"", "\xc3\xa9x", "[\"\",\"\",\"\"]"},
        {"a|", "aa", "[\"a\",\"a\",\"\"]"},
        {"(x)?y", "y", "[\"\"]"},
        {"q", "", "[]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pattern_t *re = compile(cases[i].pattern, 0);
        value_t out;
        err_t err;
        cr_assert_eq(regex_findall(re, cases[i].text, strlen(cases[i].text), 100, &out, &err), 0);
        expect_json(out, cases[i].want, cases[i].pattern);
        value_free(out);
        regex_destroy(&re);
    }
}

Test(regex, findall_stops_at_the_count) {
    pattern_t *re = compile(".", 0);
    value_t out;
    err_t err;
    cr_expect_eq(regex_findall(re, "abc", 3, 2, &out, &err), 0);
    expect_json(out, "[\"a\",\"b\"]", "two");
    value_free(out);
    regex_destroy(&re);
}

Test(regex, replace_is_pythons) {
    static const struct {
        const char *pattern, *text, *with, *want;
    } cases[] = {
        {"\\d", "a1b2", "#", "\"a#b#\""},
        {"(\\w+) (\\w+)", "John Smith", "\\2, \\1", "\"Smith, John\""},
        {"(?P<n>\\d+)", "x12", "<\\g<n>\\g<1>\\g<0>>", "\"x<121212>\""},
        {"x*", "abxd", "-", "\"-a-b--d-\""},
        {"b", "abc", "\\n\\\\", "\"a\\n\\\\c\""},
        {"b", "abc", "$1", "\"a$1c\""},
        {"(b)|(c)", "bc", "[\\1|\\2]", "\"[b|][|c]\""},
        {"z", "abc", "\\9", "\"abc\""},
        {"b", "abc", "\\9", NULL},
        {"b", "abc", "\\g<no>", NULL},
        {"b", "abc", "\\g<", NULL},
        {"b", "abc", "\\", "\"a\\\\c\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pattern_t *re = compile(cases[i].pattern, 0);
        value_t out;
        err_t err;
        int rc = regex_replace(re, cases[i].text, strlen(cases[i].text), cases[i].with, strlen(cases[i].with),
                               &out, &err);
        cr_expect_eq(rc == 0, cases[i].want != NULL, "%s", cases[i].with);
        if (rc == 0 && cases[i].want) expect_json(out, cases[i].want, cases[i].with);
        value_free(out);
        regex_destroy(&re);
    }
}

Test(regex, cache_gives_the_same_pattern_again_and_reports_errors) {
    err_t err;
    pattern_t *a = regex_cached("a+", 2, 0, &err);
    cr_assert(a);
    cr_expect_eq(regex_cached("a+", 2, 0, &err), a);
    cr_expect_neq(regex_cached("a+", 2, REGEX_DOTALL, &err), a);
    cr_expect_null(regex_cached("(", 1, 0, &err));
    for (int i = 0; i < 500; i++) {
        char pattern[16];
        int len = snprintf(pattern, sizeof pattern, "x%d", i);
        cr_assert(regex_cached(pattern, (size_t)len, 0, &err));
    }
}

Test(regex, broken_utf8_is_searched_around) {
    size_t span[4];
    cr_expect_eq(match("b+", 0,
                       "\xff"
                       "bb\xc3",
                       span),
                 1);
    cr_expect(span[0] == 1 && span[1] == 3);
}
