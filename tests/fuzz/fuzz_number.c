/* fuzz_number - any text as a number, and any bits as a real: what is printed reads back as the same number,
 * and integers of any size keep their digits. */
#include "tests/fuzz/input.h"

#include <math.h>

#include "core/base/integer.h"
#include "core/base/json.h"
#include "core/base/text.h"

static void check_same(value_t v) {
    buf_t text;
    value_t back;
    if (v.kind == VALUE_REAL && !isfinite(v.real)) return;
    buf_init(&text, (size_t)1 << 20);
    text_write(&text, v);
    CHECK(text_to_exact_number(text.data, text.len, &back), "%s is no number", text.data);
    CHECK(back.kind == v.kind && value_equal(back, v), "%s", text.data);
    CHECK(integer_compare(back, v) == 0 && value_hash(back) == value_hash(v), "%s", text.data);
    value_free(back);
    CHECK(json_parse_text(text.data, text.len, &back, NULL) == SDG_OK && value_equal(back, v), "%s as JSON",
          text.data);
    value_free(back);
    buf_free(&text);
}

/* Two numbers are ordered in one way, whichever is asked first. */
static void check_order(value_t a, value_t b) {
    int one = integer_compare(a, b), other = integer_compare(b, a);
    CHECK(one == 2 ? other == 2 : one == -other, "%d, %d", one, other);
    CHECK((one == 0) == value_equal(a, b) || one == 2, "%d", one);
    CHECK(one != 0 || value_hash(a) == value_hash(b), "equal, with two hashes");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    uint64_t bits = fuzz_number(&in, 8);
    double real;
    size_t len;
    value_t number, exact, rough;
    memcpy(&real, &bits, sizeof real);
    number = value_real(real);
    check_same(number);
    char *text = fuzz_rest(&in, &len);
    bool is = text_to_exact_number(text, len, &exact);
    CHECK(text_to_number(text, len, &rough) == is || (is && exact.kind == VALUE_BIGINT), "%s", text);
    if (is) {
        check_same(exact);
        check_order(exact, number);
        check_order(exact, value_int((int64_t)bits));
        value_free(exact);
    }
    free(text);
    return 0;
}
