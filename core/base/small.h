/* small.h - small blocks of memory, kept for the next user by the thread that frees them.
 *
 * A row makes and frees hundreds of short texts, lists and frames. A freed block waits in a list of its size
 * (in steps of 16 bytes) and is the next one handed out; malloc and free see only what is larger than
 * SMALL_BLOCK_MAX or beyond SMALL_KEPT_BYTES_MAX (limits.h).
 *
 * Whoever frees names the size that was asked for; a block may die in another thread than it came from. Size
 * 0 is NULL, and no block. Running out of memory ends the process, as with xmalloc. Under sanitizers every
 * block goes to malloc and back, so that they see each use after free.
 *
 * It saves 13 % of the interpreter's instructions, beside jemalloc, which has a cache per thread itself
 * (`tests/bench/run.sh small-blocks`). Below 3 % it is to be deleted.
 */
#ifndef SDG_BASE_SMALL_H
#define SDG_BASE_SMALL_H

#include <stddef.h>
#include <stdint.h>

void *small_alloc(size_t size); /* not cleared */
/* The rest of small_free. Nobody else calls it. */
void small_free_block(void *block, size_t size);
static inline void small_free(void *block, size_t size) {
    if (block) small_free_block(block, size);
}
/* Gives the block another size and keeps its contents as far as they fit. The block may move. */
void *small_resize(void *block, size_t old_size, size_t size);
/* Doubles the room of an array of elements of `size` bytes; an array without room gets room for `first`. */
void *small_grow(void *array, uint32_t *cap, uint32_t first, size_t size);

#endif
