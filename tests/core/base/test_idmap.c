/* Maps from ids to pointers: checked against a plain array, also when ids share a home and leave again. */
#include "core/base/idmap.h"

#include "core/base/rng.h"

#include <criterion/criterion.h>

Test(idmap, an_id_is_found_until_it_is_removed) {
    idmap_t map = {0};
    int a, b;
    cr_assert_null(idmap_get(&map, 7), "an empty map has nothing");
    cr_assert_null(idmap_remove(&map, 7));
    cr_assert(idmap_add(&map, 7, &a));
    cr_assert_not(idmap_add(&map, 7, &b), "it is there already");
    cr_assert_eq(idmap_get(&map, 7), &a, "and stays what it was");
    cr_assert_null(idmap_get(&map, 8));
    cr_assert_eq(idmap_remove(&map, 7), &a);
    cr_assert_null(idmap_remove(&map, 7));
    cr_assert_eq(map.count, 0);
    idmap_free(&map);
    cr_assert_null(idmap_get(&map, 7), "a freed map is an empty one");
}

Test(idmap, every_id_is_one) {
    idmap_t map = {0};
    const uint64_t ids[] = {0, 1, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    int values[5];
    for (size_t i = 0; i < 5; i++)
        cr_assert(idmap_add(&map, ids[i], &values[i]));
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(idmap_get(&map, ids[i]), &values[i]);
    idmap_free(&map);
}

enum { IDS = 2000 };

/* Ids of few different homes meet in long chains; each removal has to keep the chains whole. */
static void check_against_array(uint64_t spread) {
    static char values[IDS];
    static bool inside[IDS];
    idmap_t map = {0};
    rng_t rng;
    rng_seed(&rng, 3, spread);
    size_t count = 0;
    memset(inside, 0, sizeof inside);
    for (size_t step = 0; step < 100000; step++) {
        size_t i = (size_t)rng_between(&rng, 0, IDS - 1);
        uint64_t id = i * spread;
        cr_assert_eq(idmap_get(&map, id), inside[i] ? &values[i] : NULL);
        if (rng_next(&rng) % 2) {
            cr_assert_eq(idmap_add(&map, id, &values[i]), !inside[i]);
            count += !inside[i];
            inside[i] = true;
        } else {
            cr_assert_eq(idmap_remove(&map, id), inside[i] ? &values[i] : NULL);
            count -= inside[i];
            inside[i] = false;
        }
        cr_assert_eq(map.count, count);
    }
    for (size_t i = 0; i < IDS; i++)
        cr_assert_eq(idmap_get(&map, i * spread), inside[i] ? &values[i] : NULL);
    idmap_free(&map);
}

Test(idmap, any_order_of_adding_and_removing) { check_against_array(1); }
Test(idmap, ids_that_differ_in_high_bits_only) { check_against_array(UINT64_C(1) << 48); }
