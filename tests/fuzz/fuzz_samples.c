/* fuzz_samples - any kinds of failures with any messages, a kind and a message a line in turn: what is told
 * at the end of a run is JSON that holds the first message of each kind, as much of it as is kept. */
#include "tests/fuzz/input.h"

#include "core/base/json.h"
#include "core/base/text.h"
#include "proto/parts/tally.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    static tally_t tally;
    samples_t samples = {0};
    row_usage_t usage = {0};
    memset(&tally, 0, sizeof tally);
    while (fuzz_more(&in)) {
        size_t len;
        char *kind = fuzz_line(&in, NULL), *text = fuzz_line(&in, &len), reason[ROW_REASON_MAX];
        utf8_copy_line(reason, sizeof reason, kind, strlen(kind));
        bool wanted = samples_wants(&samples, reason);
        size_t before = samples.count;
        samples_keep(&samples, reason, text, strlen(text));
        CHECK(samples.count == before + wanted, "%zu kinds", samples.count);
        CHECK(!samples_wants(&samples, reason), "%s is wanted again", reason);
        tally_row(&tally, true, reason, &usage);
        free(kind), free(text);
    }
    value_t v;
    err_t err;
    buf_t out;
    buf_init(&out, OUTCOMES_JSON_BYTES);
    tally_write_outcomes(&tally, &samples, &out);
    CHECK(!out.full && json_parse_text(out.data, out.len, &v, &err) == SDG_OK, "%s", out.data);
    value_free(v);
    buf_free(&out);
    samples_free(&samples);
    return 0;
}
