/* fuzz_model_list - any bytes as the answer to GET /v1/models: null, or a list of texts that is no longer
 * than the answer. */
#include "tests/fuzz/input.h"

#include "core/llm/model_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    size_t len, sum = 0;
    char *body = fuzz_rest(&in, &len);
    value_t ids = model_list_read(body, len);
    CHECK(ids.kind == VALUE_NULL || ids.kind == VALUE_LIST, "%d", (int)ids.kind);
    for (size_t i = 0; ids.kind == VALUE_LIST && i < list_count(ids); i++) {
        CHECK(list_peek(ids, i).kind == VALUE_STRING, "id %zu", i);
        sum += list_peek(ids, i).string->len;
    }
    CHECK(sum <= len, "%zu bytes of ids", sum);
    value_free(ids);
    free(body);
    return 0;
}
