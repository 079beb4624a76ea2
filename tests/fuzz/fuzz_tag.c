/* fuzz_tag.c - any answer searched for a tag, with all hits joined, and as JSON in a fence: a hit is never
 * longer than the answer. */
#include "core/mabel/text/extract.h"

#include <stdlib.h>
#include <string.h>

static void run(const extract_t *e, value_t answer, size_t max) {
    extract_cache_t cache = {0};
    extract_source_t source = {.text = answer, .finish_reason = "stop"};
    bool found;
    err_t err;
    value_t v;
    if (extract_run(e, &source, &cache, &v, &found, &err) == SDG_OK && v.kind == VALUE_STRING &&
        v.string->len > max)
        abort();
    value_free(v);
    extract_cache_free(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (size == 0) return 0;
    size_t tag_len = 1 + bytes[0] % 3;
    value_t answer = value_string((const char *)bytes + 1, size - 1);
    extract_t e = {.select = SELECT_TAG, .tag = str_new("abc", tag_len)};
    run(&e, answer, size);
    e.join_with = str_new("", 0);
    run(&e, answer, size);
    extract_free(&e);
    e.hint = HINT_JSON;
    run(&e, answer, size);
    value_free(answer);
    return 0;
}
