/* Values: sharing, copy on write, objects small and large, equality, release of deep structures. */
#include "core/base/value.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(value, an_object_holds_what_was_set) {
    value_t row = value_object(0);
    object_set_text(&row, "name", value_text("Ada"));
    object_set_text(&row, "age", value_int(36));
    bool found;
    value_t age = object_get_peek(row, "age", 3, &found);
    cr_assert(found && age.kind == VALUE_INT && age.integer == 36);
    cr_assert_str_eq(object_get_peek(row, "name", 4, NULL).string->data, "Ada");
    cr_assert_eq(object_get_peek(row, "gone", 4, &found).kind, VALUE_NULL);
    cr_assert_not(found);
    value_free(row);
}

Test(value, setting_an_existing_key_keeps_its_place) {
    value_t o = value_object(0);
    object_set_text(&o, "a", value_int(1));
    object_set_text(&o, "b", value_int(2));
    object_set_text(&o, "a", value_text("new"));
    cr_assert_eq(object_count(o), 2);
    cr_assert_str_eq(object_key_peek(o, 0)->data, "a");
    cr_assert_eq(object_value_peek(o, 0).kind, VALUE_STRING);
    value_free(o);
}

static void set_numbered(value_t *o, int i) {
    char key[16];
    snprintf(key, sizeof key, "key%d", i);
    object_set_text(o, key, value_int(i));
}

static int64_t get_numbered(value_t o, int i) {
    char key[16];
    int n = snprintf(key, sizeof key, "key%d", i);
    bool found;
    value_t v = object_get_peek(o, key, (size_t)n, &found);
    return found ? v.integer : -1;
}

Test(value, a_large_object_is_found_removed_and_keeps_order) {
    value_t o = value_object(0);
    for (int i = 0; i < 1000; i++)
        set_numbered(&o, i);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(get_numbered(o, i), i);
    cr_assert(object_remove(&o, "key500", 6));
    cr_assert_not(object_remove(&o, "key500", 6));
    cr_assert_eq(get_numbered(o, 500), -1);
    cr_assert_eq(get_numbered(o, 501), 501);
    cr_assert_str_eq(object_key_peek(o, 500)->data, "key501");
    while (object_count(o) > 3)
        cr_assert(object_remove(&o, object_key_peek(o, 3)->data, object_key_peek(o, 3)->len));
    cr_assert_eq(get_numbered(o, 2), 2);
    cr_assert_eq(get_numbered(o, 3), -1);
    value_free(o);
}

Test(value, every_size_around_the_index_threshold_works) {
    for (int n = 0; n < 40; n++) {
        value_t o = value_object((size_t)n / 2);
        for (int i = 0; i < n; i++)
            set_numbered(&o, i);
        for (int i = 0; i < n; i++)
            cr_assert_eq(get_numbered(o, i), i);
        cr_assert_eq(get_numbered(o, n), -1);
        value_free(o);
    }
}

Test(value, changing_a_shared_container_leaves_the_other_holder_alone) {
    value_t a = value_list(0);
    list_push(&a, value_int(1));
    value_t b = value_ref(a);
    list_push(&b, value_int(2));
    list_set(&b, 0, value_text("x"));
    cr_assert_eq(list_count(a), 1);
    cr_assert_eq(list_peek(a, 0).integer, 1);
    cr_assert_eq(list_count(b), 2);
    value_t o = value_object(0);
    for (int i = 0; i < 20; i++)
        set_numbered(&o, i);
    value_t p = value_ref(o);
    cr_assert(object_remove(&p, "key3", 4));
    set_numbered(&p, 77);
    cr_assert_eq(get_numbered(o, 3), 3);
    cr_assert_eq(get_numbered(o, 77), -1);
    cr_assert_eq(get_numbered(p, 77), 77);
    cr_assert_eq(get_numbered(p, 19), 19);
    value_free(a), value_free(b), value_free(o), value_free(p);
}

Test(value, a_key_is_found_by_itself_and_by_its_bytes) {
    value_t o = value_object(0);
    str_t *key = str_new("k7", 2), *twin = str_new("k7", 2), *other = str_new("k77", 3);
    for (int i = 0; i < 20; i++) { /* searched from the front first, with an index later */
        char name[8];
        snprintf(name, sizeof name, "k%d", i);
        if (i == 7)
            object_set(&o, key, value_int(i));
        else
            object_set_text(&o, name, value_int(i));
        if (i < 7) continue;
        cr_assert_eq(object_find_peek(o, key)->integer, 7);
        cr_assert_eq(object_find_peek(o, twin)->integer, 7);
        cr_assert_eq(object_find_bytes_peek(o, "k7", 2)->integer, 7);
        cr_assert_null(object_find_peek(o, other));
        cr_assert_null(object_find_bytes_peek(o, "k", 1));
    }
    str_free(key), str_free(twin), str_free(other);
    value_free(o);
}

Test(value, a_slot_changes_only_its_own_holder) {
    str_t *key = str_new("k", 1);
    value_t a = value_object(1);
    object_set(&a, key, value_int(1));
    value_t b = value_ref(a);
    value_replace(object_slot(&b, key), value_text("changed"));
    cr_assert_eq(object_get_str_peek(a, key, NULL).integer, 1);
    cr_assert_eq(object_get_str_peek(b, key, NULL).kind, VALUE_STRING);
    cr_assert(object_remove(&b, "k", 1));
    cr_assert_null(object_slot(&b, key));
    value_free(a), value_free(b);
    str_free(key);
}

Test(value, equality_is_by_meaning) {
    cr_assert(value_equal(value_int(1), value_real(1.0)));
    cr_assert(value_equal(value_real(-0.0), value_int(0)));
    cr_assert_not(value_equal(value_bool(true), value_int(1)));
    cr_assert_not(value_equal(value_null(), value_bool(false)));
    /* 2^53 + 1 is not a double: comparing as doubles would call these equal. */
    cr_assert_not(value_equal(value_int(9007199254740993), value_real(9007199254740992.0)));
    cr_assert_not(value_equal(value_int(INT64_MAX), value_real(0x1p63)));
    cr_assert(value_equal(value_int(INT64_MIN), value_real(-0x1p63)));
    cr_assert_not(value_equal(value_real(__builtin_nan("")), value_real(__builtin_nan(""))));
}

Test(value, key_order_does_not_matter_for_equality_and_hash) {
    value_t a = value_object(0), b = value_object(0);
    object_set_text(&a, "x", value_int(1));
    object_set_text(&a, "y", value_list(0));
    object_set_text(&b, "y", value_list(0));
    object_set_text(&b, "x", value_real(1.0));
    cr_assert(value_equal(a, b));
    cr_assert_eq(value_hash(a), value_hash(b));
    object_set_text(&b, "x", value_int(2));
    cr_assert_not(value_equal(a, b));
    cr_assert_neq(value_hash(a), value_hash(b));
    value_free(a), value_free(b);
}

static value_t nested(int depth) {
    value_t v = value_list(0);
    for (int i = 0; i < depth; i++) {
        value_t outer = i % 2 ? value_list(1) : value_object(1);
        if (outer.kind == VALUE_LIST)
            list_push(&outer, v);
        else
            object_set_text(&outer, "k", v);
        v = outer;
    }
    return v;
}

Test(value, depth_does_not_use_the_c_stack) {
    value_t a = nested(1000000), b = nested(1000000);
    cr_assert(value_equal(a, b));
    cr_assert_eq(value_hash(a), value_hash(b));
    cr_assert_gt(value_bytes(a), 1000000u);
    value_free(a), value_free(b);
}

Test(value, strings_may_hold_nul_and_share_their_bytes) {
    value_t v = value_string("a\0b", 3);
    value_t w = value_ref(v);
    cr_assert_eq(v.string, w.string);
    cr_assert_eq(v.string->len, 3);
    value_t other = value_string("a\0c", 3);
    cr_assert_not(value_equal(v, other));
    cr_assert_neq(str_hash(v.string), 0);
    value_clear(&w);
    cr_assert_eq(w.kind, VALUE_NULL);
    value_free(v), value_free(other);
}

Test(value, falsy_values_are_the_seven_empty_ones) {
    value_t empty[] = {value_null(),   value_bool(false), value_int(0),   value_real(-0.0),
                       value_text(""), value_list(0),     value_object(0)};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        cr_assert_not(value_truthy(empty[i]), "%s", value_kind_name(empty[i].kind));
        value_free(empty[i]);
    }
    value_t text = value_text("0");
    cr_assert(value_truthy(text));
    cr_assert(value_truthy(value_real(__builtin_nan(""))));
    value_free(text);
}

Test(value, bytes_grow_with_the_contents) {
    value_t s = value_string(NULL, 0);
    value_t o = value_object(0);
    size_t before = value_bytes(o);
    object_set_text(&o, "k", value_ref(s));
    cr_assert_geq(value_bytes(o), before + value_bytes(s));
    cr_assert_eq(value_bytes(value_int(5)), 0);
    value_free(s), value_free(o);
}

/* Fifty containers, 2^50 places. */
static value_t doubled(void) {
    value_t v = value_list(1);
    list_push(&v, value_int(7));
    for (int i = 0; i < 50; i++) {
        value_t twice = value_list(2);
        list_push(&twice, value_ref(v));
        list_push(&twice, v);
        v = twice;
    }
    return v;
}

Test(value, a_value_that_holds_itself_many_times_over_is_compared_hashed_and_sized_in_no_time) {
    value_t a = doubled(), b = doubled();
    cr_assert(value_equal(a, a));
    cr_assert(value_equal(a, b));
    cr_assert_eq(value_hash(a), value_hash(b));
    cr_assert_eq(value_bytes(a), SIZE_MAX);
    value_t other = value_list(1);
    list_push(&other, value_ref(a));
    cr_assert(!value_equal(other, b));
    value_free(other);
    value_free(a);
    value_free(b);
}
