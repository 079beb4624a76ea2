/* Values met on a walk: found by place, in any number, and their heap counted once. */
#include "core/base/value_seen.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(value_seen, a_value_is_found_by_its_place_and_not_by_what_it_says) {
    value_seen_t seen;
    value_t a = value_text("same"), b = value_text("same");
    value_seen_init(&seen);
    cr_expect_eq(value_seen_find(&seen, a), VALUE_UNSEEN);
    value_seen_add(&seen, a, 7);
    cr_expect_eq(value_seen_find(&seen, a), 7);
    cr_expect_eq(value_seen_find(&seen, b), VALUE_UNSEEN);
    value_seen_know(&seen, a, 8);
    value_seen_know(&seen, b, 9);
    value_seen_know(&seen, value_int(1), 10);
    cr_expect_eq(value_seen_find(&seen, a), 7);
    cr_expect_eq(value_seen_find(&seen, b), 9);
    value_seen_free(&seen);
    value_free(a);
    value_free(b);
}

Test(value_seen, thousands) {
    enum { COUNT = 5000 };
    value_seen_t seen;
    value_t all[COUNT];
    value_seen_init(&seen);
    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = i % 2 ? value_list(0) : value_object(0);
        value_seen_add(&seen, all[i], i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        cr_expect_eq(value_seen_find(&seen, all[i]), i);
        value_free(all[i]);
    }
    value_seen_free(&seen);
}

Test(value_seen, heap_is_counted_once) {
    value_seen_t seen;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = '\0';
    value_t large = value_text(text), a = value_list(0), b = value_object(0);
    list_push(&a, value_ref(large));
    list_push(&a, value_int(5));
    object_set_text(&b, "again", value_ref(large));
    object_set_text(&b, "list", value_ref(a));
    value_seen_init(&seen);
    cr_expect_eq(value_seen_bytes(&seen, value_int(5)), 0);
    size_t list = value_seen_bytes(&seen, a), object = value_seen_bytes(&seen, b);
    cr_expect(list > 1000 && list < 1200, "%zu", list);
    cr_expect(object > 100 && object < 300, "%zu", object);
    cr_expect_eq(value_seen_bytes(&seen, a), 0);
    value_seen_free(&seen);
    value_free(large);
    value_free(a);
    value_free(b);
}
