/* The LRU cache: what stays, what leaves, what is counted; and a slow model beside it. */
#include <criterion/criterion.h>

#include "core/base/rng.h"
#include "core/store/lru.h"

static char values[64]; /* some addresses to keep */

Test(lru, keeps_what_was_put_and_hands_back_what_leaves) {
    lru_t *lru = lru_new(2);
    lru_entry_t left;
    cr_assert_not(lru_put(lru, 1, "one", &left));
    cr_assert_not(lru_put(lru, 2, "two", &left));
    cr_assert_str_eq(lru_get(lru, 1), "one");
    cr_assert(lru_put(lru, 3, "three", &left)); /* 2 was used longest ago */
    cr_assert_eq(left.key, 2);
    cr_assert_str_eq(left.value, "two");
    cr_assert_null(lru_get(lru, 2));
    lru_destroy(&lru);
    cr_assert_null(lru);
}

Test(lru, a_key_put_again_gives_its_former_value_back) {
    lru_t *lru = lru_new(2);
    lru_entry_t left;
    lru_put(lru, 1, values, &left);
    lru_put(lru, 2, values, &left);
    cr_assert(lru_put(lru, 1, values + 1, &left));
    cr_assert(left.key == 1 && left.value == values);
    cr_assert_not(lru_put(lru, 1, values + 1, &left)); /* the same pointer does not leave */
    cr_assert(lru_put(lru, 3, values, &left));
    cr_assert_eq(left.key, 2); /* 1 became the most recent */
    lru_destroy(&lru);
}

Test(lru, a_look_leaves_no_trace) {
    lru_t *lru = lru_new(2);
    lru_entry_t entry;
    lru_stats_t stats;
    lru_put(lru, 1, values + 1, &entry);
    lru_put(lru, 2, values + 2, &entry);
    cr_assert_eq(lru_peek(lru, 1), values + 1);
    cr_assert_null(lru_peek(lru, 9));
    cr_assert(lru_oldest(lru, &entry));
    cr_assert(entry.key == 1 && entry.value == values + 1);
    lru_stats(lru, &stats);
    cr_assert_eq(stats.hits + stats.misses, 0);
    lru_destroy(&lru);
}

Test(lru, counts_hits_and_misses) {
    lru_t *lru = lru_new(5);
    lru_entry_t left;
    lru_stats_t stats;
    lru_stats(lru, &stats);
    cr_assert_eq(stats.hit_rate, 0);
    lru_put(lru, 1, values, &left);
    lru_get(lru, 1);
    lru_get(lru, 1);
    lru_get(lru, 1);
    lru_get(lru, 2);
    lru_stats(lru, &stats);
    cr_assert(stats.size == 1 && stats.max_size == 5 && stats.hits == 3 && stats.misses == 1);
    cr_assert_float_eq(stats.hit_rate, 0.75, 1e-9);
    lru_destroy(&lru);
}

Test(lru, a_removed_entry_is_the_callers_again) {
    lru_t *lru = lru_new(1);
    lru_entry_t left;
    lru_put(lru, 7, values, &left);
    cr_assert_eq(lru_remove(lru, 7), values);
    cr_assert_null(lru_remove(lru, 7));
    cr_assert_not(lru_oldest(lru, &left));
    cr_assert_not(lru_put(lru, 8, values, &left));
    lru_destroy(&lru);
}

Test(lru, is_empty_and_usable_after_clear) {
    lru_t *lru = lru_new(3);
    lru_entry_t left;
    lru_stats_t stats;
    for (uint64_t key = 0; key < 5; key++) {
        lru_put(lru, key, values + key, &left);
    }
    lru_remove(lru, 4);
    lru_clear(lru);
    lru_stats(lru, &stats);
    cr_assert_eq(stats.size, 0);
    cr_assert_null(lru_peek(lru, 3));
    for (uint64_t key = 3; key < 6; key++) {
        cr_assert_not(lru_put(lru, key, values + key, &left));
    }
    cr_assert(lru_put(lru, 6, values, &left));
    cr_assert_eq(left.key, 3);
    lru_destroy(&lru);
}

Test(lru, one_entry_and_extreme_keys) {
    lru_t *lru = lru_new(1);
    lru_entry_t left;
    lru_put(lru, 0, values, &left);
    cr_assert_eq(lru_get(lru, 0), values);
    cr_assert(lru_put(lru, UINT64_MAX, values + 1, &left));
    cr_assert_eq(left.key, 0);
    cr_assert_eq(lru_get(lru, UINT64_MAX), values + 1);
    lru_destroy(&lru);
}

/* ---- a model: an array, most recent last ---- */

enum { MODEL_MAX = 16 };
typedef struct model {
    lru_entry_t entry[MODEL_MAX];
    size_t count, max;
} model_t;

static size_t model_at(const model_t *m, uint64_t key) {
    size_t at = 0;
    while (at < m->count && m->entry[at].key != key)
        at++;
    return at;
}

static lru_entry_t model_take(model_t *m, size_t at) {
    lru_entry_t taken = m->entry[at];
    memmove(m->entry + at, m->entry + at + 1, (--m->count - at) * sizeof taken);
    return taken;
}

static void check_put(lru_t *lru, model_t *m, uint64_t key, void *value) {
    lru_entry_t left, wanted = {0};
    size_t at = model_at(m, key);
    if (at < m->count)
        wanted = model_take(m, at);
    else if (m->count == m->max)
        wanted = model_take(m, 0);
    m->entry[m->count++] = (lru_entry_t){key, value};
    bool leaves = wanted.value && (wanted.key != key || wanted.value != value);
    cr_assert_eq(lru_put(lru, key, value, &left), leaves);
    if (leaves) cr_assert(left.key == wanted.key && left.value == wanted.value);
}

static void check_get(lru_t *lru, model_t *m, uint64_t key) {
    size_t at = model_at(m, key);
    void *value = lru_get(lru, key);
    cr_assert_eq(value, at < m->count ? m->entry[at].value : NULL);
    if (value) {
        lru_entry_t entry = model_take(m, at);
        m->entry[m->count++] = entry;
    }
}

static void check_remove(lru_t *lru, model_t *m, uint64_t key) {
    size_t at = model_at(m, key);
    cr_assert_eq(lru_remove(lru, key), at < m->count ? m->entry[at].value : NULL);
    if (at < m->count) model_take(m, at);
}

Test(lru, agrees_with_a_slow_model) {
    for (uint64_t seed = 0; seed < 100; seed++) {
        rng_t rng;
        rng_seed(&rng, seed, 1);
        model_t m = {.max = (size_t)rng_between(&rng, 1, MODEL_MAX)};
        lru_t *lru = lru_new(m.max);
        for (int step = 0; step < 2000; step++) {
            uint64_t key = (uint64_t)rng_between(&rng, 0, 24) << (seed % 3 * 20);
            int64_t what = rng_between(&rng, 0, 9);
            if (what < 4)
                check_put(lru, &m, key, values + rng_between(&rng, 0, 63));
            else if (what < 8)
                check_get(lru, &m, key);
            else
                check_remove(lru, &m, key);
            lru_entry_t oldest;
            cr_assert_eq(lru_oldest(lru, &oldest), m.count > 0);
            if (m.count) cr_assert_eq(oldest.key, m.entry[0].key);
        }
        lru_destroy(&lru);
    }
}
