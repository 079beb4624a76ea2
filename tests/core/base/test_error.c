/* Error sentences: codes, prefixes, cutting. */
#include "core/base/error.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(error, a_failure_carries_code_and_sentence) {
    err_t err;
    cr_assert_eq(err_set(&err, SDG_EINVAL, "line %d: no such key", 3), SDG_EINVAL);
    cr_assert_eq(err.code, SDG_EINVAL);
    cr_assert_str_eq(err.text, "line 3: no such key");
    cr_assert_eq(err_prefix(&err, "p.yaml"), SDG_EINVAL);
    cr_assert_str_eq(err.text, "p.yaml: line 3: no such key");
}

Test(error, nobody_has_to_listen) {
    cr_assert_eq(err_set(NULL, SDG_EIO, "x"), SDG_EIO);
    cr_assert_eq(err_prefix(NULL, "x"), SDG_OK);
}

Test(error, a_sentence_may_quote_its_own_error) {
    err_t err;
    err_set(&err, SDG_EIO, "inner");
    err_set(&err, SDG_EINVAL, "outer (%s)", err.text);
    cr_assert_str_eq(err.text, "outer (inner)");
}

Test(error, long_sentences_are_cut_between_characters) {
    err_t err;
    for (int pad = 0; pad < 4; pad++) {
        char text[ERR_TEXT_MAX * 2];
        memset(text, 'a', (size_t)pad);
        for (int i = 0; i < 300; i++)
            memcpy(text + pad + 3 * i, "\xe3\x81\x82", 4);
        err_set(&err, SDG_EINVAL, "%s", text);
        size_t len = strlen(err.text);
        cr_assert_lt(len, ERR_TEXT_MAX);
        cr_assert_str_eq(err.text + len - 3, "...");
        cr_assert_eq((len - 3 - (size_t)pad) % 3, 0);
    }
    err_set(&err, SDG_EINVAL, "%0*d", ERR_TEXT_MAX - 1, 1);
    cr_assert_eq(err.text[ERR_TEXT_MAX - 2], '1'); /* exactly fits: not cut */
}

Test(error, allocations_of_nothing_are_something) {
    char *a = xmalloc(0), *b = xstrndup("abcdef", 3), *c = xasprintf("%d-%s", 5, "x");
    cr_assert_not_null(a);
    cr_assert_str_eq(b, "abc");
    cr_assert_str_eq(c, "5-x");
    free(a), free(b), free(c);
}
