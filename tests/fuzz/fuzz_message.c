/* Any bytes: decoding never crashes; what decodes is encoded and decoded again to the same frame. */
#include "proto/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"

static void check(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz_message: %s\n", what);
    abort();
}

static buf_t encoded(const message_t *m) {
    buf_t out;
    buf_init(&out, MESSAGE_BYTES_MAX);
    message_encode(m, &out);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    message_t m, back;
    err_t err = {0};
    if (message_decode((const char *)bytes, len, &m, &err) != SDG_OK) {
        check(err.text[0] && m.type == MESSAGE_NONE, "a refusal without a reason");
        return 0;
    }
    buf_t first = encoded(&m);
    check(message_name(m.type)[0] != '?', "a message without a name");
    check(message_decode(first.data, first.len, &back, &err) == SDG_OK, "what was encoded does not decode");
    buf_t second = encoded(&back);
    check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0,
          "the round trip changes the message");
    message_free(&m);
    message_free(&back);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
