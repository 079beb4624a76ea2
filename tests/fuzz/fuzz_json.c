/* Any bytes: parsing never crashes; what parses is written so that it parses again to an equal value, in both
 * styles. A null may have been an infinite real (1e999), so the second and third writing are compared instead
 * of the first. */
#include "core/base/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz_json: %s\n", what);
    abort();
}

static value_t written_and_read(value_t v, json_style_t style) {
    buf_t text;
    buf_init(&text, (size_t)64 << 20);
    json_write(&text, v, style);
    value_t back;
    check(json_parse_text(text.data, text.len, &back, NULL) == SDG_OK, "what was written does not parse");
    buf_free(&text);
    return back;
}

static void check_styles(value_t v) {
    value_t compact = written_and_read(v, JSON_COMPACT), python = written_and_read(v, JSON_PYTHON);
    check(value_equal(compact, python), "the two styles differ");
    check(value_hash(compact) == value_hash(python), "equal values with different hashes");
    value_t again = written_and_read(compact, JSON_PYTHON);
    check(value_equal(compact, again), "the round trip changes the value");
    value_free(again);
    value_free(python);
    value_free(compact);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    value_t v;
    err_t err;
    if (json_parse_text((const char *)bytes, len, &v, &err) != SDG_OK) {
        check(v.kind == VALUE_NULL && err.text[0], "a refusal without a reason");
        return 0;
    }
    check_styles(v);
    value_free(v);
    return 0;
}
