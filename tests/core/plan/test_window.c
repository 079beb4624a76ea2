/* The automatic window: what is asked for is taken, what is not is bounded on both sides. */
#include "core/plan/window.h"

#include <inttypes.h>

#include "core/base/rng.h"
#include "core/plan/limits.h"

#include <criterion/criterion.h>

enum { KIB = 1024, MIB = 1024 * 1024 };

static window_t choose(window_wish_t wish) {
    window_t out;
    window_choose(&wish, &out);
    return out;
}

static void expect(window_wish_t wish, uint64_t rows, uint64_t mib, uint64_t chunk) {
    window_t w = choose(wish);
    cr_expect_eq(w.rows, rows, "%" PRIu64 " rows, want %" PRIu64, w.rows, rows);
    cr_expect_eq(w.bytes, mib * MIB, "%" PRIu64 " bytes, want %" PRIu64 " MiB", w.bytes, mib);
    cr_expect_eq(w.chunk_rows, chunk, "chunks of %" PRIu64 ", want %" PRIu64, w.chunk_rows, chunk);
}

Test(window, the_usual_run) { expect((window_wish_t){.concurrency = 64, .row_bytes = 1229}, 1000, 64, 100); }

Test(window, scheduling_is_as_documented) {
    expect((window_wish_t){.concurrency = 64, .scheduling = true}, 1000, 64, 100);
    expect((window_wish_t){.concurrency = 4096, .scheduling = true}, 1000, 64, 100);
    expect((window_wish_t){.concurrency = 8, .scheduling = true, .row_bytes = 10 * KIB}, 1000, 64, 100);
    expect((window_wish_t){.concurrency = 64, .scheduling = true, .max_pending = 300, .chunk_size = 7}, 300,
           64, 7);
}

Test(window, it_grows_with_the_concurrency) {
    expect((window_wish_t){.concurrency = 1}, 1000, 64, 100);
    expect((window_wish_t){.concurrency = 250}, 1000, 64, 100);
    expect((window_wish_t){.concurrency = 4096}, 16384, 64, 100);
}

Test(window, what_is_asked_for_is_taken) {
    expect((window_wish_t){.concurrency = 64, .max_pending = 10}, 10, 64, 10);
    expect((window_wish_t){.concurrency = 64, .max_pending = 1}, 1, 64, 1);
    expect((window_wish_t){.concurrency = 64, .chunk_size = 500}, 1000, 64, 500);
    expect((window_wish_t){.concurrency = 64, .chunk_size = 5000}, 5064, 64, 5000);
    expect((window_wish_t){.concurrency = 64, .max_pending = 100000, .chunk_size = 100000}, 100000, 64,
           CHUNK_ROWS_MAX);
}

Test(window, large_rows_are_fewer) {
    /* 32 MiB of rows, 4 MiB in a chunk. */
    expect((window_wish_t){.concurrency = 64, .row_bytes = 100 * KIB}, 327, 64, 40);
    expect((window_wish_t){.concurrency = 8, .row_bytes = MIB}, 32, 64, 4);
}

Test(window, bytes_grow_until_all_are_busy) {
    expect((window_wish_t){.concurrency = 64, .row_bytes = MIB}, 68, 136, 4);
    /* They grow up to PENDING_BYTES_MAX. */
    expect((window_wish_t){.concurrency = 1000, .row_bytes = 16 * MIB}, 1001, PENDING_BYTES_MAX / MIB, 1);
}

Test(window, a_share_of_the_memory_is_kept) {
    expect((window_wish_t){.concurrency = 64, .row_bytes = MIB, .memory_bytes = 20 * MIB}, 68, 20, 4);
    expect((window_wish_t){.concurrency = 64, .row_bytes = KIB, .memory_bytes = 512 * (uint64_t)MIB}, 1000,
           512, 100);
    expect((window_wish_t){.concurrency = 2, .row_bytes = 10 * KIB, .memory_bytes = 4 * MIB}, 204, 4, 100);
}

Test(window, no_wish_breaks_the_rules) {
    rng_t rng;
    rng_seed(&rng, 7, 0);
    for (int i = 0; i < 200000; i++) {
        uint64_t n[5];
        for (int k = 0; k < 5; k++)
            n[k] = rng_next(&rng) >> rng_between(&rng, 0, 63);
        window_wish_t wish = {.concurrency = n[0] | 1,
                              .row_bytes = n[1],
                              .max_pending = i % 3 ? 0 : n[2],
                              .chunk_size = i % 2 ? 0 : n[3],
                              .memory_bytes = i % 5 ? 0 : n[4],
                              .scheduling = i % 4 == 0};
        window_t w = choose(wish);
        cr_assert(w.rows >= 1 && w.bytes >= 1 && w.chunk_rows >= 1 && w.chunk_rows <= w.rows &&
                  w.chunk_rows <= CHUNK_ROWS_MAX);
        cr_assert(wish.memory_bytes ? w.bytes == wish.memory_bytes
                                    : w.bytes >= PENDING_BYTES_DEFAULT && w.bytes <= PENDING_BYTES_MAX);
        if (wish.max_pending) cr_assert_eq(w.rows, wish.max_pending);
        if (!wish.max_pending && wish.scheduling) cr_assert_eq(w.rows, PENDING_ROWS_DEFAULT);
        if (!wish.max_pending && !wish.scheduling && wish.concurrency < UINT64_MAX / 8)
            cr_assert(w.rows >= wish.concurrency + w.chunk_rows);
    }
}
