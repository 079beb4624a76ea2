/* Tests of names.h. */
#include "core/base/names.h"

#include "core/base/json.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

Test(names, one_string_for_one_name) {
    str_t *a = name_new("topic", 5), *b = name_new("topic", 5);
    cr_expect_eq(a, b);
    cr_expect_str_eq(a->data, "topic");
    cr_expect_eq(a->hash, str_hash_bytes("topic", 5));
    str_free(a);
    str_free(b);
}

Test(names, keys_of_json_are_names) {
    value_t v;
    cr_assert_eq(json_parse_text("{\"topic\": 1}", 12, &v, NULL), 0);
    str_t *name = name_new("topic", 5);
    cr_expect_eq(object_key_peek(v, 0), name);
    str_free(name);
    value_free(v);
}

Test(names, bytes_decide_not_text) {
    str_t *a = name_new("a\0b", 3), *b = name_new("a\0c", 3), *empty = name_new("", 0);
    cr_expect_neq(a, b);
    cr_expect_eq(a->len, 3);
    cr_expect_eq(empty->len, 0);
    str_free(a);
    str_free(b);
    str_free(empty);
}

/* Far more names than are remembered, and long ones, which never are: each is right all the same. */
Test(names, more_than_are_remembered) {
    char text[100];
    for (int i = 0; i < 5000; i++) {
        int len = snprintf(text, sizeof text, "name %d%s", i,
                           i % 7 ? "" : " of a column whose name is very long, longer than most");
        str_t *name = name_new(text, (size_t)len);
        cr_assert_str_eq(name->data, text);
        cr_assert_eq(name->hash, str_hash_bytes(text, (size_t)len));
        str_free(name);
    }
}

static void *name_elsewhere(void *arg) {
    str_t *name = name_new("topic", 5);
    bool same = name == arg;
    str_free(name);
    return same ? arg : NULL;
}

Test(names, threads_share_none) {
    pthread_t thread;
    void *same = NULL;
    str_t *name = name_new("topic", 5);
    cr_assert_eq(pthread_create(&thread, NULL, name_elsewhere, name), 0);
    pthread_join(thread, &same);
    cr_expect_null(same);
    str_free(name);
}
