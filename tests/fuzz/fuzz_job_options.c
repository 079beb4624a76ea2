/* fuzz_job_options - any bytes as the options of a job: refused in words, or options that encode to bytes
 * which decode to the same. */
#include "tests/fuzz/input.h"

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "proto/parts/job.h"

static void encode(const job_options_t *o, buf_t *out) {
    buf_init(out, MESSAGE_BYTES_MAX);
    job_options_encode(o, out);
    CHECK(!out->full, "%zu bytes", out->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    job_options_t first, second;
    buf_t one, two;
    err_t err = {0};
    size_t len;
    char *json = fuzz_rest(&in, &len);
    if (job_options_decode(json, len, &first, &err) != SDG_OK) {
        CHECK(err.text[0], "refused without a word");
    } else {
        encode(&first, &one);
        CHECK(job_options_decode(one.data, one.len, &second, &err) == SDG_OK, "%s", err.text);
        encode(&second, &two);
        CHECK(one.len == two.len && memcmp(one.data, two.data, one.len) == 0, "%s\n%s", one.data, two.data);
        CHECK(first.row.seed == second.row.seed && first.memory_bytes == second.memory_bytes &&
                  first.row.mapping_count == second.row.mapping_count,
              "other numbers");
        buf_free(&one);
        buf_free(&two);
        job_options_free(&second);
    }
    job_options_free(&first);
    free(json);
    return 0;
}
