/* Values as bytes: exact round trips, what is shared stays shared, and any other bytes are refused or
 * harmless. */
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/base/value_code.h"
#include "tests/core/base/value_whole.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static buf_t encoded(value_t v) {
    buf_t out;
    buf_init(&out, (size_t)64 << 20);
    value_encode(&out, v);
    cr_assert_not(out.full);
    return out;
}

static value_t decoded(const buf_t *bytes) {
    value_t v;
    err_t err = {0};
    int rc = value_decode(bytes->data, bytes->len, NULL, &v, &err);
    cr_assert_eq(rc, SDG_OK, "%s", err.text);
    return v;
}

/* Equal to the bit: value_equal does not tell 1 from 1.0, nor one order of keys from another. */
static bool same(value_t a, value_t b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a.boolean == b.boolean;
    case VALUE_INT:
    case VALUE_REAL: return a.integer == b.integer;
    case VALUE_BIGINT:
    case VALUE_STRING: return str_equal(a.string, b.string) && b.string->data[b.string->len] == '\0';
    case VALUE_LIST:
    case VALUE_OBJECT: break;
    }
    size_t n = a.kind == VALUE_LIST ? list_count(a) : object_count(a);
    if (n != (b.kind == VALUE_LIST ? list_count(b) : object_count(b))) return false;
    for (size_t i = 0; i < n; i++) {
        if (a.kind == VALUE_LIST && !same(list_peek(a, i), list_peek(b, i))) return false;
        if (a.kind == VALUE_OBJECT && !str_equal(object_key_peek(a, i), object_key_peek(b, i))) return false;
        if (a.kind == VALUE_OBJECT && !same(object_value_peek(a, i), object_value_peek(b, i))) return false;
    }
    return true;
}

static void round_trip(value_t take) {
    buf_t bytes = encoded(take);
    value_t back = decoded(&bytes);
    cr_expect(same(take, back), "a %s came back different", value_kind_name(take.kind));
    value_free(take);
    value_free(back);
    buf_free(&bytes);
}

static value_t parsed(const char *json) {
    value_t v;
    cr_assert_eq(json_parse_text(json, strlen(json), &v, NULL), SDG_OK);
    return v;
}

Test(value_code, an_object_comes_back) {
    round_trip(parsed("{\"b\": 1, \"a\": [true, false, null, 2.5, \"x\", {}], \"\": {\"c\": []}}"));
}

Test(value_code, integers_and_reals_to_the_bit) {
    int64_t integers[] = {0,   1,       -1,        63,        -64,           64,
                          -65, 1 << 20, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    double reals[] = {0.0, -0.0, 1.0, 0.1, -1e300, INFINITY, -INFINITY, DBL_MIN, DBL_TRUE_MIN, NAN, -NAN};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        round_trip(value_int(integers[i]));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        round_trip(value_real(reals[i]));
    round_trip(parsed("9223372036854775808"));
    round_trip(parsed("[-9223372036854775809, {\"a\": 123456789012345678901234567890}]"));
    value_t odd = {.kind = VALUE_REAL, .integer = 0x7FF4DEADBEEF0001}; /* a NaN with a payload */
    round_trip(odd);
}

Test(value_code, strings_of_any_bytes) {
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    round_trip(value_string("", 0));
    round_trip(value_string("\0\0", 2));
    round_trip(value_string(all, sizeof all));
    round_trip(value_string("\xff\xc3(\xed\xa0\x80", 6));
    for (size_t len = 120; len < 135; len++)
        round_trip(value_string(all, len)); /* lengths of one and two bytes */
    value_t object = value_object(1);
    str_t *key = str_new("a\0b\xff", 4);
    object_set(&object, key, value_null());
    str_free(key);
    round_trip(object);
}

Test(value_code, large_objects_keep_their_order_and_their_index) {
    value_t object = value_object(0);
    for (int i = 999; i >= 0; i--) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i * 7919 % 1000);
        object_set_text(&object, key, value_int(i));
    }
    buf_t bytes = encoded(object);
    value_t back = decoded(&bytes);
    cr_expect_eq(object_get_peek(back, "k0", 2, NULL).integer, 0);
    cr_expect_eq(object_count(back), 1000);
    value_free(back);
    buf_free(&bytes);
    round_trip(object);
}

Test(value_code, as_deep_as_memory_goes) {
    value_t v = value_int(1);
    for (int i = 0; i < 200000; i++) {
        value_t outer = i % 2 ? value_list(1) : value_object(1);
        if (i % 2)
            list_push(&outer, v);
        else
            object_set_text(&outer, "k", v);
        v = outer;
    }
    buf_t bytes = encoded(v);
    value_t back = decoded(&bytes);
    cr_expect(value_equal(v, back));
    value_free(v);
    value_free(back);
    buf_free(&bytes);
}

Test(value_code, what_is_shared_is_written_once_and_shared_again) {
    char *text = xcalloc(1, 100001);
    memset(text, 'x', 100000);
    value_t large = value_text(text), list = value_list(0);
    for (int i = 0; i < 50; i++)
        list_push(&list, value_ref(large));
    buf_t bytes = encoded(list);
    cr_expect_lt(bytes.len, 100200);
    value_t back = decoded(&bytes);
    cr_expect(same(list, back));
    cr_expect_eq(list_peek(back, 0).string, list_peek(back, 49).string);
    cr_expect_eq(list_peek(back, 0).string->refs, 50);
    value_free(large);
    value_free(list);
    value_free(back);
    buf_free(&bytes);
    free(text);
}

Test(value_code, a_list_of_itself_twice_sixty_times_over_stays_small) {
    value_t v = value_text("seed");
    for (int i = 0; i < 60; i++) {
        value_t twice = value_list(2);
        list_push(&twice, value_ref(v));
        list_push(&twice, v);
        v = twice;
    }
    buf_t bytes = encoded(v);
    cr_expect_lt(bytes.len, 400);
    value_t back = decoded(&bytes);
    cr_expect(value_equal(v, back));
    cr_expect_eq(list_peek(back, 0).list, list_peek(back, 1).list);
    value_seen_t seen;
    value_seen_init(&seen);
    cr_expect_lt(value_seen_bytes(&seen, back), 60 * 120);
    value_seen_free(&seen);
    value_free(v);
    value_free(back);
    buf_free(&bytes);
}

Test(value_code, what_comes_back_may_be_changed_without_the_others_seeing_it) {
    value_t inner = parsed("{\"n\": 1}"), pair = value_list(2);
    list_push(&pair, value_ref(inner));
    list_push(&pair, inner);
    buf_t bytes = encoded(pair);
    value_t back = decoded(&bytes), first = value_ref(list_peek(back, 0));
    object_set_text(&first, "n", value_int(2));
    list_set(&back, 0, first);
    cr_expect_eq(object_get_peek(list_peek(back, 0), "n", 1, NULL).integer, 2);
    cr_expect_eq(object_get_peek(list_peek(back, 1), "n", 1, NULL).integer, 1);
    value_free(pair);
    value_free(back);
    buf_free(&bytes);
}

Test(value_code, several_values_with_other_fields_between_and_what_both_sides_know) {
    value_t known = parsed("[\"the file says this\"]"), text = value_text("a text of both"),
            a = value_list(2);
    value_encoder_t e;
    value_decoder_t d;
    buf_t out;
    err_t err = {0};
    size_t len;
    list_push(&a, value_ref(text));
    list_push(&a, value_ref(known));
    buf_init(&out, 1000);
    value_encoder_init(&e, &out);
    value_encoder_know(&e, value_int(3));
    value_encoder_know(&e, known);
    value_encoder_know(&e, known);
    value_encoder_value(&e, a);
    value_encoder_uint(&e, UINT64_MAX);
    value_encoder_bytes(&e, "\0x", 2);
    value_encoder_value(&e, text);
    value_encoder_free(&e);
    cr_expect_lt(out.len, 40);
    value_decoder_init(&d, out.data, out.len, &err);
    value_decoder_know(&d, value_int(3));
    value_decoder_know(&d, known);
    value_decoder_know(&d, known);
    value_t a_back = value_decoder_value(&d);
    cr_expect_eq(value_decoder_uint(&d, UINT64_MAX), UINT64_MAX);
    cr_expect_eq(memcmp(value_decoder_bytes(&d, 2, &len), "\0x", 2), 0);
    value_t text_back = value_decoder_value(&d);
    cr_expect_eq(value_decoder_end(&d), SDG_OK, "%s", err.text);
    value_decoder_free(&d);
    cr_expect(same(a, a_back));
    cr_expect_eq(list_peek(a_back, 0).string, text_back.string);
    cr_expect_eq(list_peek(a_back, 1).list, known.list);
    value_free(known), value_free(text), value_free(a), value_free(a_back), value_free(text_back);
    buf_free(&out);
}

Test(value_code, a_buffer_that_is_full_says_so) {
    value_t v = parsed("[[1, 2, 3], [4, 5, 6], \"seven\"]");
    buf_t out;
    buf_init(&out, 8);
    value_encode(&out, v);
    cr_expect(out.full);
    buf_free(&out);
    value_free(v);
}

Test(value_code, used_tells_where_a_value_ends) {
    buf_t out;
    value_t v;
    size_t used;
    buf_init(&out, 100);
    value_encode(&out, value_int(300));
    size_t first = out.len;
    value_encode(&out, value_bool(true));
    cr_expect_eq(value_decode(out.data, out.len, &used, &v, NULL), SDG_OK);
    cr_expect_eq(used, first);
    cr_expect_eq(v.integer, 300);
    cr_expect_eq(value_decode(out.data, out.len, NULL, &v, NULL), SDG_EPARSE, "bytes behind the value");
    buf_free(&out);
}

/* ---- bytes that are no value */

static void refused(const char *bytes, size_t len, const char *part) {
    value_t v;
    err_t err = {0};
    char *exact = xmalloc(len); /* so that ASan sees a read behind it */
    memcpy(exact, bytes, len);
    cr_expect_eq(value_decode(exact, len, NULL, &v, &err), SDG_EPARSE);
    cr_expect_eq(v.kind, VALUE_NULL);
    cr_expect(strstr(err.text, part), "no '%s' in: %s", part, err.text);
    free(exact);
}
#define REFUSED(bytes, part) refused(bytes, sizeof bytes - 1, part)

Test(value_code, bytes_that_are_no_value_are_refused_in_words) {
    REFUSED("", "end where a value should be");
    REFUSED("\x0a", "no value begins with 10");
    REFUSED("\x09", "inside a number");
    REFUSED("\x09\x03"
            "123",
            "an integer in another form than it has");
    REFUSED("\x09\x13"
            "9223372036854775807",
            "an integer in another form than it has");
    REFUSED("\x09\x14"
            "09223372036854775808",
            "an integer in another form than it has");
    REFUSED("\x09\x14"
            "9223372036854775808x",
            "an integer in another form than it has");
    REFUSED("\x43", "no value begins with 67"); /* an integer has no owners */
    REFUSED("\xff", "no value begins with 255");
    REFUSED("\x03", "inside a number");
    REFUSED("\x03\x80\x80", "inside a number");
    REFUSED("\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "more than 64 bits");
    REFUSED("\x03\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "more than 64 bits");
    REFUSED("\x04"
            "1234567",
            "inside a number");
    REFUSED("\x05\x05"
            "1234",
            "5 bytes where 4 are left");
    REFUSED("\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "are left");
    REFUSED("\x06\x03\x00\x00", "3 elements where the bytes hold at most 2");
    REFUSED("\x07\x01\x05\x00", "1 elements where the bytes hold at most 0");
    REFUSED("\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "elements");
    REFUSED("\x07\xff\xff\xff\xff\x0f"
            "some bytes",
            "elements");
    REFUSED("\x07\x01\x03\x00\x00\x00", "a key that is no text");
    REFUSED("\x07\x02\x05\x01k\x00\x05\x01k\x00", "a key that is there twice");
    REFUSED("\x08\x00", "value 0 again, of 0");
    REFUSED("\x46\x01\x08\x00", "value 0 again, of 0"); /* a list that would hold itself */
    REFUSED("\x06\x02\x45\x01x\x08\x01", "value 1 again, of 1");
    REFUSED("\x07\x01\x08\x00\x00", "value 0 again, of 0");
    REFUSED("\x06\x02\x46\x00\x07\x01\x08\x00\x00", "a key that is no text");
    REFUSED("\x00\x00", "1 bytes too many");
}

/* A list in a list in a list, each of which claims all bytes behind it: what they set aside together is
 * bounded by the bytes, or this test would need 100 GB. */
Test(value_code, nested_claims_are_bounded_together) {
    buf_t bytes;
    buf_init(&bytes, 1 << 20);
    for (int i = 0; i < 100000; i++) {
        char head[4] = {6, (char)(0x80 | (400000 & 0x7F)), (char)(0x80 | (400000 >> 7 & 0x7F)), 400000 >> 14};
        buf_add(&bytes, head, sizeof head);
    }
    value_t v;
    cr_expect_eq(value_decode(bytes.data, bytes.len, NULL, &v, NULL), SDG_EPARSE);
    buf_free(&bytes);
}

/* Everything the format has, in one value. */
static value_t everything(void) {
    value_t shared = parsed("{\"name\": \"shared\", \"list\": [1, 2.5, -70000, null]}"), v = value_object(4);
    object_set_text(&v, "a", value_ref(shared));
    object_set_text(&v, "b", parsed("[[], {}, \"text\", [[true], false]]"));
    object_set_text(&v, "c", value_ref(shared));
    for (int i = 0; i < 12; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        object_set_text(&v, key, value_real(i / 3.0));
    }
    value_free(shared);
    return v;
}

Test(value_code, cut_at_every_byte) {
    value_t v = everything();
    buf_t bytes = encoded(v);
    for (size_t len = 0; len < bytes.len; len++)
        refused(bytes.data, len, "byte ");
    value_free(v);
    buf_free(&bytes);
}

/* What decodes after a change must itself be a sound value: it is written and read once more. */
static void read_somehow(const char *bytes, size_t len) {
    value_t v;
    err_t err = {0};
    if (value_decode(bytes, len, NULL, &v, &err) != SDG_OK) {
        cr_expect_gt(strlen(err.text), 5);
        return;
    }
    buf_t out = encoded(v);
    value_t back = decoded(&out);
    cr_expect(same(v, back));
    value_free(back);
    value_free(v);
    buf_free(&out);
}

Test(value_code, every_bit_turned_over) {
    value_t v = everything();
    buf_t bytes = encoded(v);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        char *turned = xmalloc(bytes.len);
        memcpy(turned, bytes.data, bytes.len);
        turned[bit / 8] ^= (char)(1 << bit % 8);
        read_somehow(turned, bytes.len);
        free(turned);
    }
    value_free(v);
    buf_free(&bytes);
}

/* A value of random kind. Now and then it is one of the pool, so that values share their parts. */
static value_t random_value(rng_t *rng, int depth, value_t *pool, size_t pool_count) {
    int64_t kind = rng_between(rng, 0, depth > 0 ? 8 : 5);
    char text[40];
    if (kind == 0) return value_null();
    if (kind == 1) return value_bool(rng_next(rng) & 1);
    if (kind == 2) return value_int((int64_t)(rng_next(rng) >> rng_between(rng, 0, 63)));
    if (kind == 3) return (value_t){.kind = VALUE_REAL, .integer = (int64_t)rng_next(rng)};
    if (kind == 4) return value_string((const char *)rng, (size_t)rng_between(rng, 0, sizeof *rng));
    if (kind == 5) return value_ref(pool[rng_between(rng, 0, (int64_t)pool_count - 1)]);
    value_t v = kind == 6 ? value_list(0) : value_object(0);
    for (int64_t i = rng_between(rng, 0, 12); i > 0; i--) {
        value_t item = random_value(rng, depth - 1, pool, pool_count);
        snprintf(text, sizeof text, "%d", (int)rng_between(rng, 0, 30));
        if (kind == 6)
            list_push(&v, item);
        else
            object_set_text(&v, text, item);
    }
    return v;
}

Test(value_code, random_values_come_back_and_are_written_alike) {
    enum { POOL = 6 };
    rng_t rng;
    rng_seed(&rng, 20, 26);
    for (int round = 0; round < 500; round++) {
        value_t pool[POOL] = {value_text("p"), parsed("[1]"), parsed("-12345678901234567890")};
        for (int i = 3; i < POOL; i++)
            pool[i] = random_value(&rng, 3, pool, (size_t)i);
        value_t v = random_value(&rng, 4, pool, POOL);
        for (int i = 0; i < POOL; i++)
            value_free(pool[i]);
        buf_t bytes = encoded(v);
        value_t back = decoded(&bytes);
        buf_t again = encoded(back);
        cr_expect(same(v, back));
        if (v.kind != VALUE_STRING) cr_expect(again.len <= bytes.len, "%zu, then %zu", bytes.len, again.len);
        value_free(v), value_free(back);
        buf_free(&bytes), buf_free(&again);
    }
}
