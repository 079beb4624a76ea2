/* fuzz_secrets - any text with secrets in it: each byte stays or becomes a star, and
 * a password of an address and a key of a setting behind it are gone. */
#include "tests/fuzz/input.h"

#include "core/base/secrets.h"

static void check_places(const char *before, const char *after, size_t len) {
    for (size_t i = 0; i < len; i++)
        CHECK(after[i] == before[i] || after[i] == '*', "byte %zu became %d", i, after[i]);
}

/* A line of its own behind any text. */
static void check_hidden(const char *text, size_t len, const char *line) {
    size_t whole = len + strlen(line) + 2;
    char *all = malloc(whole);
    memcpy(all, text, len);
    snprintf(all + len, whole - len, "\n%s", line);
    secrets_hide(all, whole - 1);
    CHECK(!memmem(all + len, whole - 1 - len, "hunter2", 7), "%s", all + len);
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    size_t len;
    char *text = fuzz_rest(&in, &len), *once = malloc(len + 1);
    memcpy(once, text, len + 1);
    secrets_hide(once, len);
    check_places(text, once, len);
    check_hidden(text, len, "base_url: http://user:hunter2@gpu1:8000/v1");
    check_hidden(text, len, "api_key: hunter2");
    check_hidden(text, len, "http://h/v1?api_key=hunter2&x=1");
    free(text), free(once);
    return 0;
}
