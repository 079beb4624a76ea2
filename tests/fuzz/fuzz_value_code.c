/* Arbitrary bytes as a value: refused in words, or a sound value that is written and read back as itself. */
#include "core/base/value_code.h"
#include "tests/core/base/value_whole.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

static value_t again(value_t v, buf_t *out) {
    value_t back;
    value_encode(out, v);
    assert(value_decode(out->data, out->len, NULL, &back, NULL) == SDG_OK);
    return back;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    value_t v;
    err_t err = {0};
    if (value_decode((const char *)data, size, NULL, &v, &err) != SDG_OK) {
        assert(v.kind == VALUE_NULL && strncmp(err.text, "byte ", 5) == 0);
        return 0;
    }
    buf_t first, second;
    buf_init(&first, 2 * size + 100);
    buf_init(&second, 2 * size + 100);
    value_t back = again(v, &first), twice = again(back, &second);
    assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    value_free(v);
    value_free(back);
    value_free(twice);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
