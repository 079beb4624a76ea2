/* small.c - one pool per thread: for each size a chain of free blocks and how many more may join it.
 *
 * Each block is one of malloc's own, its size rounded up to whole steps, so any of them can be given back at
 * any time and by any thread. The pool is made with the first block a thread asks for, and ends with the
 * thread. */
#include "core/base/small.h"

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/per_thread.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef SDG_PLAIN_MALLOC

void *small_alloc(size_t size) { return size ? xmalloc(size) : NULL; }

void small_free_block(void *block, size_t size) {
    (void)size;
    free(block);
}

void *small_resize(void *block, size_t old_size, size_t size) {
    (void)old_size;
    return xrealloc(block, size);
}

#else

enum { STEP = 16, SIZES = SMALL_BLOCK_MAX / STEP + 1 };

typedef struct small_block {
    struct small_block *next;
} small_block_t;

typedef struct pool {
    struct {
        small_block_t *first;
        uint32_t room; /* blocks that may still be kept */
    } of[SIZES];       /* by size in steps; of[0] keeps nothing */
} pool_t;

/* The pool of a thread before its first block and after its end: no block, no room for any. Never written
 * to. */
static pool_t none;
/* With this model a thread's pool is two instructions away. */
static _Thread_local pool_t *pool_of_thread __attribute__((tls_model("initial-exec"))) = &none;

static void pool_destroy(void *arg) {
    pool_t *pool = arg;
    pool_of_thread = &none;
    for (size_t i = 0; i < SIZES; i++)
        for (small_block_t *b = pool->of[i].first, *next; b; b = next) {
            next = b->next;
            free(b);
        }
    free(pool);
}

static void pool_new(void) {
    pool_t *pool = xcalloc(1, sizeof *pool);
    for (size_t i = 1; i < SIZES; i++)
        pool->of[i].room = (uint32_t)(SMALL_KEPT_BYTES_MAX / (i * STEP));
    per_thread_keep(pool, pool_destroy);
    pool_of_thread = pool;
}

static size_t steps_of(size_t size) { return (size + STEP - 1) / STEP; }

/* The rest of small_alloc. It is not inlined, so that small_alloc saves no registers when a block is
 * there. */
static __attribute__((noinline)) void *alloc_new(size_t size) {
    if (size == 0) return NULL;
    if (size > SMALL_BLOCK_MAX) return xmalloc(size);
    if (pool_of_thread == &none) pool_new();
    return xmalloc(steps_of(size) * STEP);
}

void *small_alloc(size_t size) {
    size_t steps = steps_of(size);
    if (steps >= SIZES || !pool_of_thread->of[steps].first) return alloc_new(size);
    small_block_t *b = pool_of_thread->of[steps].first;
    pool_of_thread->of[steps].first = b->next;
    pool_of_thread->of[steps].room++;
    return b;
}

void small_free_block(void *block, size_t size) {
    size_t steps = steps_of(size);
    if (steps >= SIZES || !pool_of_thread->of[steps].room) {
        free(block);
        return;
    }
    small_block_t *b = block;
    b->next = pool_of_thread->of[steps].first;
    pool_of_thread->of[steps].first = b;
    pool_of_thread->of[steps].room--;
}

void *small_resize(void *block, size_t old_size, size_t size) {
    if (old_size > SMALL_BLOCK_MAX && size > SMALL_BLOCK_MAX) return xrealloc(block, size);
    void *bigger = small_alloc(size);
    size_t both = old_size < size ? old_size : size;
    if (both) memcpy(bigger, block, both);
    small_free(block, old_size);
    return bigger;
}

#endif

void *small_grow(void *array, uint32_t *cap, uint32_t first, size_t size) {
    uint32_t old = *cap;
    assert(old < UINT32_MAX / 2);
    *cap = old ? 2 * old : first;
    return small_resize(array, old * size, *cap * size);
}
