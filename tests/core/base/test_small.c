/* Tests of small.h. Under ASan (SDG_PLAIN_MALLOC) they show that no block is lost; there a freed block is not
 * the next one. */
#include "core/base/small.h"

#include "core/base/limits.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

Test(small, a_freed_block_is_the_next_one_of_its_size) {
    char *a = small_alloc(40), *b = small_alloc(40);
    memset(a, 1, 40);
    memset(b, 2, 40);
    small_free(a, 40);
    char *c = small_alloc(33); /* 33 to 48 bytes are one size */
#ifndef SDG_PLAIN_MALLOC
    cr_expect_eq(a, c);
#endif
    cr_expect_neq(b, c);
    small_free(b, 40);
    small_free(c, 33);
}

Test(small, nothing_is_no_block) {
    cr_expect_null(small_alloc(0));
    small_free(NULL, 0);
    small_free(NULL, 100);
}

Test(small, large_blocks_come_and_go) {
    size_t size = SMALL_BLOCK_MAX + 1;
    char *p = small_alloc(size);
    memset(p, 7, size);
    p = small_resize(p, size, 5 * size);
    cr_expect_eq(p[size - 1], 7);
    p = small_resize(p, 5 * size, 10);
    cr_expect_eq(p[9], 7);
    small_free(p, 10);
}

Test(small, resize_keeps_what_fits) {
    char *p = small_resize(NULL, 0, 8);
    memcpy(p, "12345678", 8);
    p = small_resize(p, 8, 700);
    cr_expect_eq(memcmp(p, "12345678", 8), 0);
    p = small_resize(p, 700, 3);
    cr_expect_eq(memcmp(p, "123", 3), 0);
    small_free(p, 3);
}

Test(small, an_array_grows_to_twice_its_size) {
    uint32_t cap = 0;
    uint64_t *array = small_grow(NULL, &cap, 3, sizeof *array);
    cr_expect_eq(cap, 3);
    array[2] = 42;
    array = small_grow(array, &cap, 3, sizeof *array);
    cr_expect_eq(cap, 6);
    cr_expect_eq(array[2], 42);
    small_free(array, cap * sizeof *array);
}

/* More blocks than are kept: the rest goes back to malloc, and all may be had again. */
Test(small, more_than_is_kept) {
    enum { COUNT = 200, SIZE = 1000 };
    char *blocks[COUNT];
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = small_alloc(SIZE);
            memset(blocks[i], i, SIZE);
        }
        for (int i = 0; i < COUNT; i++) {
            cr_assert_eq(blocks[i][SIZE - 1], (char)i);
            small_free(blocks[i], SIZE);
        }
    }
}

static void *free_elsewhere(void *arg) {
    small_free(arg, 64);
    char *own = small_alloc(64); /* makes this thread's pool, which ends with it */
    small_free(own, 64);
    return NULL;
}

Test(small, a_block_may_die_in_another_thread) {
    pthread_t thread;
    char *p = small_alloc(64);
    cr_assert_eq(pthread_create(&thread, NULL, free_elsewhere, p), 0);
    pthread_join(thread, NULL);
}
