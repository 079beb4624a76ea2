/* Any bytes: decoding never crashes; what decodes is encoded and decoded again to the same record. */
#include "proto/parts/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/worker/limits.h"

static void check(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz_usage: %s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    usage_t usage, back;
    err_t err = {0};
    if (usage_decode((const char *)bytes, len, &usage, &err) != SDG_OK) {
        check(err.text[0] != '\0', "a refusal without a reason");
        return 0;
    }
    buf_t out;
    buf_init(&out, USAGE_BYTES_MAX);
    usage_encode(usage.reason, &usage.row, &out);
    check(!out.full, "a record larger than USAGE_BYTES_MAX");
    check(usage_decode(out.data, out.len, &back, &err) == SDG_OK, "what was encoded does not decode");
    check(memcmp(&usage.row, &back.row, sizeof back.row) == 0 && strcmp(usage.reason, back.reason) == 0,
          "the round trip changes the record");
    buf_free(&out);
    return 0;
}
