/* test_prescan.c - the walk over a msgpack frame before it is unpacked: what is one value, what asks for too
 * much, what is no part of our messages. */
#include "proto/prescan.h"

#include "proto/limits.h"

#include <criterion/criterion.h>
#include <string.h>

/* The frame in memory of exactly its size, so that a sanitizer sees a read behind it. */
static int check(const char *frame, size_t len, err_t *err) {
    char *copy = xmalloc(len ? len : 1);
    memcpy(copy, frame, len);
    int rc = prescan(copy, len, err);
    free(copy);
    return rc;
}

/* One value: fine as it is, refused at every cut and with a byte behind it. */
static void expect_value(const char *frame, size_t len) {
    char more[64];
    err_t err = {0};
    cr_assert_eq(check(frame, len, &err), SDG_OK, "%s", err.text);
    for (size_t cut = 0; cut < len; cut++)
        cr_assert_eq(check(frame, cut, NULL), SDG_EPARSE, "cut at %zu of %zu", cut, len);
    memcpy(more, frame, len);
    more[len] = '\0';
    cr_assert_eq(check(more, len + 1, &err), SDG_EPARSE);
    cr_assert(strstr(err.text, "1 bytes follow"), "%s", err.text);
}

static void expect_refused(const char *frame, size_t len, const char *sentence) {
    err_t err = {0};
    cr_assert_eq(check(frame, len, &err), SDG_EPARSE);
    cr_assert(strstr(err.text, sentence), "%s", err.text);
}

Test(prescan, each_kind_of_value_is_one) {
    expect_value("\x05", 1);     /* small numbers */
    expect_value("\xff", 1);     /* -1 */
    expect_value("\xc0", 1);     /* nil */
    expect_value("\xc3", 1);     /* true */
    expect_value("\xcc\x80", 2); /* numbers of one to eight bytes */
    expect_value("\xcd\x01\x02", 3);
    expect_value("\xd2\x01\x02\x03\x04", 5);
    expect_value("\xcf\x01\x02\x03\x04\x05\x06\x07\x08", 9);
    expect_value("\xca\x01\x02\x03\x04", 5); /* reals */
    expect_value("\xcb\x01\x02\x03\x04\x05\x06\x07\x08", 9);
    expect_value("\xa3one", 4); /* texts */
    expect_value("\xd9\x03one", 5);
    expect_value("\xda\x00\x03one", 6);
    expect_value("\xc4\x03one", 5); /* bytes */
    expect_value("\xc6\x00\x00\x00\x03one", 8);
    expect_value("\x90", 1); /* lists */
    expect_value("\x92\x01\x92\x02\x03", 5);
    expect_value("\xdc\x00\x02\x01\x90", 5);
    expect_value("\xdd\x00\x00\x00\x01\x01", 6);
}

Test(prescan, a_list_larger_than_its_bytes_is_refused) {
    expect_refused("\xdd\xff\xff\xff\xff", 5, "a list of 4294967295 elements in a message with 0 bytes left");
    expect_refused("\xdc\x00\x03\x01\x01", 5, "a list of 3 elements in a message with 2 bytes left");
}

Test(prescan, a_list_over_the_limit_is_refused) {
    static char frame[5 + MESSAGE_ELEMENTS_MAX + 1] = "\xdd\x00\x01\x00\x00";
    cr_assert_eq(MESSAGE_ELEMENTS_MAX, 0x10000, "the count above");
    cr_assert_eq(check(frame, sizeof frame - 1, NULL), SDG_OK);
    frame[4] = 1;
    expect_refused(frame, sizeof frame, "a list of 65537 elements");
}

Test(prescan, nesting_over_the_limit_is_refused) {
    char deep[MESSAGE_DEPTH_MAX + 2];
    memset(deep, '\x91', sizeof deep);
    deep[sizeof deep - 1] = '\x01';
    cr_assert_eq(check(deep + 1, sizeof deep - 1, NULL), SDG_OK);
    expect_refused(deep, sizeof deep, "nested deeper");
}

Test(prescan, maps_and_extensions_have_no_place) {
    expect_refused("\x80", 1, "0x80");
    expect_refused("\xde\x00\x00", 3, "0xde");
    expect_refused("\xd4\x01\x01", 3, "0xd4");
    expect_refused("\xc1", 1, "0xc1");
}
