/* Contexts of rows: who sees them, what is evicted when, pins, death of owners, completion, late messages,
 * full disks. */
#include "tests/core/data/scratch.h"

#include <signal.h>
#include <sys/resource.h>

#include "core/store/contexts.h"
#include "core/store/limits.h"

TestSuite(contexts, .init = scratch_begin, .fini = scratch_end);

enum { ANN = 11, BOB = 22 }; /* owners */
#define SHARED CONTEXT_SHARED
#define PRIVATE CONTEXT_PRIVATE

typedef struct eviction {
    int count;
    uint64_t row;
    size_t bytes;
    bool to_disk;
} eviction_t;
static eviction_t last; /* eviction */

static void note_eviction(void *context, uint64_t row, size_t bytes, bool to_disk) {
    eviction_t *e = context;
    *e = (eviction_t){e->count + 1, row, bytes, to_disk};
}

static contexts_t *contexts_small(size_t max_cached, uint64_t max_bytes) {
    return contexts_new(&(contexts_options_t){.max_cached = max_cached,
                                              .max_bytes = max_bytes,
                                              .spill_path = scratch_path("spill"),
                                              .evicted = note_eviction,
                                              .context = &last});
}

static void put(contexts_t *c, uint64_t row, context_part_t part, uint64_t owner, const char *text) {
    err_t err = {0};
    cr_assert_eq(contexts_put(c, row, part, owner, text, strlen(text), &err), SDG_OK, "%s", err.text);
}

/* Gets a context, which must be `want`; NULL: there must be none. The row stays pinned. */
static void get(contexts_t *c, uint64_t row, context_part_t part, uint64_t owner, const char *want) {
    err_t err = {0};
    context_view_t view;
    bool created = true;
    int rc = contexts_get_or_create(c, row, part, owner, NULL, 0, &view, &created, &err);
    cr_assert_eq(rc, want ? SDG_OK : SDG_ENOTFOUND, "row %d: %d %s", (int)row, rc, err.text);
    if (want)
        cr_assert(!created && view.len == strlen(want) && memcmp(view.bytes, want, view.len) == 0,
                  "row %d: %.*s", (int)row, (int)view.len, view.bytes);
    contexts_check(c);
}

/* Gets what is there and unpins the row again. */
static void look(contexts_t *c, uint64_t row, context_part_t part, uint64_t owner, const char *want) {
    get(c, row, part, owner, want);
    if (want) cr_assert_eq(contexts_unpin(c, row, owner, NULL), SDG_OK);
    contexts_check(c);
}

static contexts_stats_t stats_of(const contexts_t *c) {
    contexts_stats_t s;
    contexts_stats(c, &s);
    return s;
}

static void expect_nothing(contexts_t *c) {
    contexts_stats_t s = stats_of(c);
    contexts_check(c);
    cr_assert(s.cached == 0 && s.cached_bytes == 0 && s.pinned == 0 && s.spilled == 0 &&
              s.spilled_bytes == 0);
}

Test(contexts, a_context_is_created_replaced_and_found_again) {
    contexts_t *c = contexts_small(10, 0);
    context_view_t view;
    bool created;
    cr_assert_eq(contexts_get_or_create(c, 5, SHARED, ANN, "{}", 2, &view, &created, NULL), SDG_OK);
    cr_assert(created && view.len == 2 && memcmp(view.bytes, "{}", 2) == 0);
    put(c, 5, SHARED, ANN, "{\"a\":1}");
    look(c, 5, SHARED, ANN, "{\"a\":1}");
    cr_assert_eq(contexts_complete(c, 5, NULL), SDG_OK);
    expect_nothing(c);
    contexts_destroy(&c);
    cr_assert_null(c);
}

Test(contexts, an_unknown_one_without_initial_bytes_is_not_found) {
    contexts_t *c = contexts_small(10, 0);
    get(c, 5, SHARED, ANN, NULL);
    get(c, 5, PRIVATE, ANN, NULL);
    cr_assert_eq(contexts_pin(c, 5, ANN, NULL), SDG_ENOTFOUND);
    expect_nothing(c);
    contexts_destroy(&c);
}

Test(contexts, the_parts_of_a_row_are_apart) {
    contexts_t *c = contexts_small(10, 0);
    put(c, 1, SHARED, ANN, "ours");
    put(c, 1, PRIVATE, ANN, "Ann's");
    put(c, 1, PRIVATE, BOB, "Bob's");
    look(c, 1, SHARED, BOB, "ours");
    look(c, 1, PRIVATE, ANN, "Ann's");
    look(c, 1, PRIVATE, BOB, "Bob's");
    cr_assert_eq(stats_of(c).cached, 3);
    contexts_complete(c, 1, NULL);
    expect_nothing(c);
    contexts_destroy(&c);
}

Test(contexts, the_least_recently_used_goes_to_disk_and_comes_back) {
    contexts_t *c = contexts_small(2, 0);
    last = (eviction_t){0};
    put(c, 1, SHARED, ANN, "one");
    put(c, 2, SHARED, ANN, "two");
    look(c, 1, SHARED, ANN, "one"); /* now 2 is the oldest */
    put(c, 3, SHARED, ANN, "three");
    cr_assert(last.count == 1 && last.row == 2 && last.bytes == 3 && last.to_disk);
    contexts_stats_t s = stats_of(c);
    cr_assert(s.cached == 2 && s.spilled == 1 && s.spilled_bytes == 3 && s.evictions == 1 && s.loads == 0);
    look(c, 2, SHARED, ANN, "two");
    s = stats_of(c);
    cr_assert(last.row == 1 && s.cached == 2 && s.spilled == 1 && s.loads == 1 && s.evictions == 2);
    cr_assert(s.hits == 1 && s.misses == 1);
    cr_assert_float_eq(s.hit_rate, 0.5, 1e-9);
    contexts_destroy(&c);
}

Test(contexts, a_put_makes_it_the_most_recent) {
    contexts_t *c = contexts_small(2, 0);
    put(c, 1, SHARED, ANN, "one");
    put(c, 2, SHARED, ANN, "two");
    put(c, 1, SHARED, ANN, "anew");
    put(c, 3, SHARED, ANN, "three");
    cr_assert_eq(last.row, 2);
    look(c, 1, SHARED, ANN, "anew");
    contexts_destroy(&c);
}

Test(contexts, bytes_are_a_limit_too) {
    contexts_t *c = contexts_small(0, 10);
    put(c, 1, SHARED, ANN, "12345");
    put(c, 2, SHARED, ANN, "12345");
    cr_assert_eq(stats_of(c).cached, 2);
    put(c, 3, SHARED, ANN, "1");
    cr_assert(stats_of(c).cached_bytes == 6 && last.row == 1);
    put(c, 4, SHARED, ANN, "12345678901"); /* alone above the limit: it is the last to go */
    contexts_stats_t s = stats_of(c);
    cr_assert(s.cached == 0 && s.spilled == 4 && s.spilled_bytes == 22 && s.max_bytes == 10);
    look(c, 4, SHARED, ANN, "12345678901");
    contexts_destroy(&c);
}

Test(contexts, a_pinned_one_is_never_evicted) {
    contexts_t *c = contexts_small(2, 0);
    put(c, 1, SHARED, ANN, "one");
    cr_assert_eq(contexts_pin(c, 1, ANN, NULL), SDG_OK);
    for (uint64_t row = 2; row < 20; row++) {
        put(c, row, SHARED, ANN, "more");
        contexts_check(c);
    }
    contexts_stats_t s = stats_of(c);
    cr_assert(s.cached == 2 && s.pinned == 1 && s.loads == 0);
    cr_assert_eq(contexts_unpin(c, 1, ANN, NULL), SDG_OK);
    look(c, 1, SHARED, ANN, "one");
    cr_assert_eq(stats_of(c).loads, 0);
    contexts_destroy(&c);
}

Test(contexts, an_owner_pins_once_however_often_it_says_so) {
    contexts_t *c = contexts_small(1, 0);
    put(c, 1, SHARED, ANN, "one");
    contexts_pin(c, 1, ANN, NULL);
    contexts_pin(c, 1, ANN, NULL);
    get(c, 1, SHARED, ANN, "one");
    contexts_pin(c, 1, BOB, NULL);
    cr_assert_eq(contexts_unpin(c, 1, ANN, NULL), SDG_OK);
    cr_assert_eq(contexts_unpin(c, 1, ANN, NULL), SDG_ENOTFOUND);
    cr_assert_eq(stats_of(c).pinned, 1); /* Bob's */
    cr_assert_eq(contexts_unpin(c, 1, BOB, NULL), SDG_OK);
    cr_assert_eq(stats_of(c).pinned, 0);
    cr_assert_eq(contexts_unpin(c, 99, BOB, NULL), SDG_ENOTFOUND);
    contexts_destroy(&c);
}

Test(contexts, pinning_loads_what_was_evicted) {
    contexts_t *c = contexts_small(1, 0);
    put(c, 1, SHARED, ANN, "ours");
    put(c, 1, PRIVATE, ANN, "mine");
    put(c, 2, SHARED, ANN, "two");
    cr_assert_eq(stats_of(c).spilled, 2);
    cr_assert_eq(contexts_pin(c, 1, ANN, NULL), SDG_OK);
    contexts_stats_t s = stats_of(c);
    /* Memory goes over the limit; no pin is broken. */
    cr_assert(s.cached == 2 && s.pinned == 2 && s.spilled == 1 && s.loads == 2);
    contexts_check(c);
    contexts_unpin(c, 1, ANN, NULL);
    cr_assert_eq(stats_of(c).cached, 1);
    contexts_destroy(&c);
}

Test(contexts, a_put_releases_only_its_owners_pin) {
    contexts_t *c = contexts_small(10, 0);
    put(c, 1, SHARED, ANN, "one");
    contexts_pin(c, 1, ANN, NULL);
    contexts_pin(c, 1, BOB, NULL);
    put(c, 1, SHARED, ANN, "two");
    cr_assert_eq(contexts_unpin(c, 1, ANN, NULL), SDG_ENOTFOUND);
    cr_assert_eq(contexts_unpin(c, 1, BOB, NULL), SDG_OK);
    contexts_destroy(&c);
}

Test(contexts, a_put_over_one_on_disk_replaces_it) {
    contexts_t *c = contexts_small(1, 0);
    put(c, 1, SHARED, ANN, "old");
    put(c, 1, PRIVATE, ANN, "old too");
    put(c, 2, SHARED, ANN, "x");
    put(c, 1, SHARED, ANN, "new");
    put(c, 1, PRIVATE, ANN, "new too");
    contexts_stats_t s = stats_of(c);
    cr_assert(s.cached + s.spilled == 3 && s.loads == 0);
    look(c, 1, SHARED, ANN, "new");
    look(c, 1, PRIVATE, ANN, "new too");
    contexts_destroy(&c);
}

Test(contexts, what_is_put_may_be_a_view_of_the_same) {
    contexts_t *c = contexts_small(1, 0);
    context_view_t view;
    put(c, 1, SHARED, ANN, "the bytes");
    cr_assert_eq(contexts_get_or_create(c, 1, SHARED, ANN, NULL, 0, &view, NULL, NULL), SDG_OK);
    cr_assert_eq(contexts_put(c, 1, SHARED, ANN, view.bytes + 4, view.len - 4, NULL), SDG_OK);
    look(c, 1, SHARED, ANN, "bytes");
    contexts_destroy(&c);
}

Test(contexts, a_dead_owner_takes_its_pins_and_private_contexts_with_it) {
    contexts_t *c = contexts_small(2, 0);
    for (uint64_t row = 0; row < 6; row++) { /* most of it is on disk */
        put(c, row, SHARED, ANN, "ours");
        put(c, row, PRIVATE, ANN, "Ann's");
        put(c, row, PRIVATE, BOB, "Bob's");
    }
    contexts_pin(c, 1, ANN, NULL);
    contexts_pin(c, 1, BOB, NULL);
    contexts_pin(c, 2, ANN, NULL);
    cr_assert_eq(contexts_owner_gone(c, ANN, NULL), SDG_OK);
    contexts_check(c);
    contexts_stats_t s = stats_of(c);
    cr_assert_eq(s.cached + s.spilled, 12);
    cr_assert_eq(s.pinned, 2); /* row 1 is still Bob's */
    for (uint64_t row = 0; row < 6; row++) {
        look(c, row, SHARED, BOB, "ours");
        look(c, row, PRIVATE, BOB, "Bob's");
    }
    cr_assert_eq(contexts_owner_gone(c, BOB, NULL), SDG_OK);
    cr_assert_eq(stats_of(c).cached + stats_of(c).spilled, 6);
    cr_assert_eq(stats_of(c).pinned, 0);
    contexts_destroy(&c);
}

Test(contexts, what_a_dead_owner_still_says_is_refused) {
    contexts_t *c = contexts_small(10, 0);
    context_view_t view;
    err_t err = {0};
    put(c, 1, SHARED, BOB, "ours");
    contexts_owner_gone(c, ANN, NULL);
    contexts_owner_gone(c, ANN, NULL); /* said twice */
    cr_assert_eq(contexts_pin(c, 1, ANN, NULL), SDG_ECANCELLED);
    cr_assert_eq(contexts_put(c, 1, PRIVATE, ANN, "x", 1, &err), SDG_ECANCELLED, "%s", err.text);
    cr_assert_eq(contexts_get_or_create(c, 1, SHARED, ANN, NULL, 0, &view, NULL, NULL), SDG_ECANCELLED);
    cr_assert(stats_of(c).late == 3 && stats_of(c).pinned == 0);
    contexts_owner_back(c, ANN);
    cr_assert_eq(contexts_pin(c, 1, ANN, NULL), SDG_OK);
    contexts_destroy(&c);
}

Test(contexts, dead_owners_are_remembered_up_to_a_limit) {
    contexts_t *c = contexts_small(10, 0);
    put(c, 1, SHARED, BOB, "ours");
    for (uint64_t owner = 100; owner <= 100 + CONTEXTS_GONE_MAX; owner++) {
        contexts_owner_gone(c, owner, NULL);
    }
    contexts_check(c);
    cr_assert_eq(contexts_pin(c, 1, 101, NULL), SDG_ECANCELLED);
    cr_assert_eq(contexts_pin(c, 1, 100, NULL), SDG_OK); /* forgotten */
    contexts_destroy(&c);
}

Test(contexts, a_complete_row_is_gone_wherever_it_was_and_does_not_come_back) {
    contexts_t *c = contexts_small(2, 0);
    context_view_t view;
    for (uint64_t row = 0; row < 4; row++) {
        put(c, row, SHARED, ANN, "ours");
        put(c, row, PRIVATE, ANN, "mine");
    }
    contexts_pin(c, 0, ANN, NULL);
    contexts_pin(c, 0, BOB, NULL);
    for (uint64_t row = 0; row < 4; row++) {
        cr_assert_eq(contexts_complete(c, row, NULL), SDG_OK);
        cr_assert_eq(contexts_complete(c, row, NULL), SDG_OK); /* said twice */
        contexts_check(c);
    }
    expect_nothing(c);
    cr_assert_eq(contexts_put(c, 2, SHARED, ANN, "late", 4, NULL), SDG_ECANCELLED);
    cr_assert_eq(contexts_get_or_create(c, 2, SHARED, ANN, "late", 4, &view, NULL, NULL), SDG_ECANCELLED);
    cr_assert_eq(contexts_unpin(c, 2, ANN, NULL), SDG_ENOTFOUND);
    expect_nothing(c);
    cr_assert_eq(stats_of(c).completed, 4);
    contexts_destroy(&c);
}

Test(contexts, without_a_spill_path_what_is_evicted_is_forgotten) {
    contexts_t *c =
        contexts_new(&(contexts_options_t){.max_cached = 1, .evicted = note_eviction, .context = &last});
    put(c, 1, SHARED, ANN, "one");
    put(c, 2, PRIVATE, ANN, "two");
    cr_assert(last.row == 1 && !last.to_disk);
    put(c, 3, SHARED, ANN, "three");
    cr_assert(last.row == 2 && !last.to_disk);
    look(c, 1, SHARED, ANN, NULL);
    look(c, 2, PRIVATE, ANN, NULL);
    contexts_check(c);
    cr_assert(stats_of(c).cached == 1 && stats_of(c).spilled == 0 && stats_of(c).evictions == 2);
    contexts_destroy(&c);
}

Test(contexts, release_all_starts_anew) {
    contexts_t *c = contexts_small(2, 0);
    for (uint64_t row = 0; row < 50; row++) {
        put(c, row, SHARED, ANN, "ours");
        put(c, row, PRIVATE, BOB, "mine");
        contexts_pin(c, row / 2, ANN, NULL);
    }
    contexts_complete(c, 7, NULL);
    contexts_owner_gone(c, 99, NULL);
    contexts_release_all(c);
    expect_nothing(c);
    put(c, 7, SHARED, 99, "again");
    look(c, 7, SHARED, 99, "again");
    contexts_destroy(&c);
}

Test(contexts, limits_of_sizes_and_numbers) {
    contexts_t *c = contexts_small(10, 0);
    err_t err = {0};
    static const char byte;
    cr_assert_eq(contexts_put(c, 1, SHARED, ANN, &byte, CONTEXT_BYTES_MAX + 1, &err), SDG_ELIMIT, "%s",
                 err.text);
    cr_assert_eq(contexts_put(c, CONTEXTS_ROW_MAX + 1, SHARED, ANN, "x", 1, &err), SDG_ELIMIT, "%s",
                 err.text);
    cr_assert_eq(contexts_complete(c, UINT64_MAX, NULL), SDG_OK);
    cr_assert_eq(contexts_unpin(c, UINT64_MAX, ANN, NULL), SDG_ENOTFOUND);
    expect_nothing(c);
    put(c, CONTEXTS_ROW_MAX, SHARED, 0, "the last row, owner 0");
    put(c, 0, PRIVATE, UINT64_MAX, "");
    look(c, CONTEXTS_ROW_MAX, SHARED, 0, "the last row, owner 0");
    look(c, 0, PRIVATE, UINT64_MAX, "");
    contexts_destroy(&c);
}

Test(contexts, a_large_one_comes_back_whole) {
    enum { LEN = 20 << 20 };
    contexts_t *c = contexts_small(0, 1000);
    context_view_t view;
    char *large = malloc(LEN);
    for (size_t i = 0; i < LEN; i++) {
        large[i] = (char)(i * 31 >> 3);
    }
    cr_assert_eq(contexts_put(c, 1, SHARED, ANN, large, LEN, NULL), SDG_OK);
    cr_assert_eq(contexts_flush(c, NULL), SDG_OK);
    cr_assert_eq(stats_of(c).cached, 0);
    cr_assert_eq(contexts_get_or_create(c, 1, SHARED, ANN, NULL, 0, &view, NULL, NULL), SDG_OK);
    cr_assert(view.len == LEN && memcmp(view.bytes, large, LEN) == 0);
    contexts_destroy(&c);
    free(large);
}

Test(contexts, a_full_disk_keeps_contexts_in_memory) {
    enum { LEN = 20000, ROWS = 600 };
    contexts_t *c = contexts_small(10, 0);
    static char bytes[LEN];
    struct rlimit limit = {6 << 20, RLIM_INFINITY};
    context_view_t view;
    err_t err = {0};
    int refused = 0;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (uint64_t row = 0; row < ROWS; row++) {
        memset(bytes, (int)row, sizeof bytes);
        int rc = contexts_put(c, row, SHARED, ANN, bytes, LEN, &err);
        cr_assert(rc == SDG_OK || rc == SDG_ENOSPACE, "%s", err.text);
        refused += rc != SDG_OK;
    }
    contexts_check(c);
    cr_assert(refused > 0 && strstr(err.text, "--spill-dir"), "%d refused: %s", refused, err.text);
    cr_assert(stats_of(c).cached > 10 && stats_of(c).cached + stats_of(c).spilled == ROWS);
    for (uint64_t row = 0; row < ROWS; row++) { /* nothing is lost */
        int rc = contexts_get_or_create(c, row, SHARED, ANN, NULL, 0, &view, NULL, &err);
        cr_assert(rc == SDG_OK || rc == SDG_ENOSPACE, "%s", err.text);
        memset(bytes, (int)row, sizeof bytes);
        cr_assert(view.len == LEN && memcmp(view.bytes, bytes, LEN) == 0);
        contexts_unpin(c, row, ANN, NULL);
    }
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(contexts_flush(c, &err), SDG_OK, "%s", err.text);
    contexts_check(c);
    cr_assert_eq(stats_of(c).cached, 10);
    for (uint64_t row = 0; row < ROWS; row++) {
        contexts_complete(c, row, NULL);
    }
    expect_nothing(c);
    contexts_destroy(&c);
}

Test(contexts, a_place_that_cannot_be_written_is_told_and_nothing_is_lost) {
    contexts_t *c = contexts_new(&(contexts_options_t){.max_cached = 1, .spill_path = "/nowhere/at/all"});
    err_t err = {0};
    put(c, 1, SHARED, ANN, "one");
    cr_assert_eq(contexts_put(c, 2, SHARED, ANN, "two", 3, &err), SDG_EIO);
    cr_assert(strstr(err.text, "/nowhere/at/all"), "%s", err.text);
    contexts_check(c);
    cr_assert_eq(stats_of(c).cached, 2);
    cr_assert_eq(contexts_complete(c, 1, NULL), SDG_OK);
    look(c, 2, SHARED, ANN, "two");
    contexts_destroy(&c);
}
