/* test_parked.c - the head of a row between two passes. */
#include "proto/parts/parked.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static const parked_question_t SOME[] = {{1, UINT64_MAX, 3}, {0, 0, UINT32_MAX}};

Test(parked, there_and_back) {
    buf_t bytes;
    parked_question_t *back;
    uint32_t count;
    size_t used;
    buf_init(&bytes, 1024);
    parked_write(&bytes, SOME, 2);
    buf_adds(&bytes, "row");
    cr_assert_eq(parked_read(bytes.data, bytes.len, &back, &count, &used, NULL), SDG_OK);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(bytes.data + used, "row");
    for (int i = 0; i < 2; i++)
        cr_assert(back[i].hash_high == SOME[i].hash_high && back[i].hash_low == SOME[i].hash_low &&
                  back[i].answers == SOME[i].answers);
    free(back);
    buf_free(&bytes);
}

Test(parked, none) {
    buf_t bytes;
    parked_question_t *back;
    uint32_t count;
    size_t used;
    buf_init(&bytes, 1024);
    parked_write(&bytes, NULL, 0);
    cr_assert_eq(parked_read(bytes.data, bytes.len, &back, &count, &used, NULL), SDG_OK);
    cr_assert(count == 0 && !back && used == bytes.len);
    buf_free(&bytes);
}

Test(parked, cut_at_every_byte_is_refused_in_words) {
    buf_t bytes;
    buf_init(&bytes, 1024);
    parked_write(&bytes, SOME, 2);
    for (size_t len = 0; len < bytes.len; len++) {
        parked_question_t *back;
        uint32_t count;
        size_t used;
        err_t err = {0};
        char *cut = xmalloc(len + 1);
        cut = xrealloc(cut, len ? len : 1);
        memcpy(cut, bytes.data, len);
        cr_assert_eq(parked_read(cut, len, &back, &count, &used, &err), SDG_EPARSE);
        cr_assert(err.text[0] && !back && count == 0);
        free(cut);
    }
    buf_free(&bytes);
}
