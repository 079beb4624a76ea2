/* fuzz_think - any text as an answer with thoughts before it: both parts lie in the text, one behind the
 * other, and what stands behind a block is found to be without one that never ends. */
#include "tests/fuzz/input.h"

#include "core/mabel/text/think.h"

static bool is_within(span_t part, const char *text, size_t len) {
    return part.len == 0 || (part.bytes >= text && part.bytes + part.len <= text + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    size_t len;
    char *text = fuzz_rest(&in, &len);
    think_t found = think_find((span_t){text, len});
    CHECK(is_within(found.thoughts, text, len) && is_within(found.behind, text, len), "outside of the text");
    CHECK(found.thoughts.len + found.behind.len <= len, "more than there is");
    if (found.kind == THINK_NONE)
        CHECK(found.behind.len == len && found.thoughts.len == 0, "something is lost");
    if (found.kind == THINK_ENDLESS)
        CHECK(found.behind.len == 0, "%zu bytes behind no end", found.behind.len);
    if (found.kind == THINK_BLOCK && found.behind.len) {
        think_kind_t again = think_find(found.behind).kind;
        CHECK(again == THINK_NONE || again == THINK_ENDLESS, "another end behind the last");
    }
    think_is_name((span_t){text, len});
    free(text);
    return 0;
}
