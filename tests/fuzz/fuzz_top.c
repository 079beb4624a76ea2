/* fuzz_top - any bytes as /stats.json: `sdg top` shows lines of printable text, whatever is missing, too
 * large or of another kind. */
#include "tests/fuzz/input.h"

#include "actors/verbs/top.h"
#include "core/base/json.h"
#include "core/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    value_t stats;
    size_t len;
    char *text = fuzz_rest(&in, &len);
    if (json_parse_text(text, len, &stats, NULL) == SDG_OK) {
        buf_t out;
        buf_init(&out, (size_t)1 << 24);
        top_render(stats, &out);
        CHECK(out.len && out.data[out.len - 1] == '\n', "no line");
        CHECK(utf8_valid(out.data, out.len), "%s", out.data);
        for (size_t i = 0; i < out.len; i++)
            CHECK((unsigned char)out.data[i] >= ' ' || out.data[i] == '\n', "%s", out.data);
        buf_free(&out);
        value_free(stats);
    }
    free(text);
    return 0;
}
