/* Growing buffer: NUL behind the bytes, the maximum, giving bytes away. */
#include "core/base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(buf, appends_and_terminates) {
    buf_t b;
    buf_init(&b, 1000);
    buf_adds(&b, "row ");
    buf_addf(&b, "%d", 7);
    buf_addc(&b, '!');
    cr_assert_str_eq(b.data, "row 7!");
    cr_assert_eq(b.len, 6);
    buf_free(&b);
}

Test(buf, what_does_not_fit_is_dropped_and_said) {
    buf_t b;
    buf_init(&b, 5);
    buf_adds(&b, "12345");
    cr_assert_not(b.full);
    buf_addc(&b, '6');
    cr_assert(b.full);
    cr_assert_str_eq(b.data, "12345");
    buf_reset(&b);
    buf_adds(&b, "abc");
    buf_adds(&b, "def");
    buf_adds(&b, "g"); /* would fit, but the text would have a hole */
    cr_assert_str_eq(b.data, "abc");
    cr_assert(b.full);
    buf_free(&b);
}

Test(buf, long_formatted_text_is_not_cut) {
    buf_t b;
    buf_init(&b, 10000);
    buf_addf(&b, "%01000d", 5);
    cr_assert_eq(b.len, 1000);
    cr_assert_eq(b.data[999], '5');
    buf_free(&b);
}

Test(buf, reserve_is_bounded_and_can_be_written) {
    buf_t b;
    buf_init(&b, 100);
    cr_assert_null(buf_reserve(&b, 101));
    char *room = buf_reserve(&b, 100);
    memset(room, 'x', 100);
    b.len += 100;
    cr_assert_null(buf_reserve(&b, 1));
    buf_cut_front(&b, 99);
    cr_assert_str_eq(b.data, "x");
    cr_assert_not_null(buf_reserve(&b, 99));
    buf_free(&b);
}

Test(buf, taking_gives_the_bytes_away) {
    buf_t b;
    size_t len = 9;
    buf_init(&b, 100);
    char *empty = buf_take(&b, &len);
    cr_assert_str_eq(empty, "");
    cr_assert_eq(len, 0);
    buf_adds(&b, "mine");
    char *text = buf_take(&b, &len);
    cr_assert_str_eq(text, "mine");
    cr_assert_eq(b.len, 0);
    cr_assert_null(b.data);
    free(text);
    free(empty);
}
