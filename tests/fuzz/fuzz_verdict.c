/* fuzz_verdict - status, code, type and message (a line each) of a reply that is no success: there is always
 * a cause, it does not depend on how the words are written large or small, and no 5xx is the request's fault.
 */
#include "tests/fuzz/input.h"

#include "core/llm/verdict.h"

static void all_large(char *text) {
    for (; *text; text++)
        *text = (char)(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    fuzz_input_t in = {bytes, len};
    long status = (long)fuzz_number(&in, 2) % 700;
    uint8_t absent = fuzz_byte(&in);
    char *code = fuzz_line(&in, NULL), *type = fuzz_line(&in, NULL), *message = fuzz_line(&in, NULL);
    verdict_words_t words = {.code = absent & 1 ? NULL : code,
                             .type = absent & 2 ? NULL : type,
                             .message = absent & 4 ? NULL : message};
    if (status >= 200 && status < 300) status += 200;
    llm_cause_t cause = verdict_cause(status, &words);
    CHECK(cause > LLM_CAUSE_NONE && cause < LLM_CAUSES, "%d", (int)cause);
    CHECK(status < 500 || (cause != LLM_CAUSE_REFUSED && cause != LLM_CAUSE_ENDPOINT), "%d", (int)cause);
    retry_hint_t hint = retry_hint_none();
    hint.after_ms = absent & 8 ? 1000 : -1;
    hint.should = (int8_t)(absent >> 4) % 2;
    CHECK(verdict_of(verdict_with_hint(cause, status, hint), hint) != VERDICT_ANSWERED, "%d", (int)cause);
    all_large(code), all_large(type), all_large(message);
    CHECK(verdict_cause(status, &words) == cause, "%d otherwise", (int)cause);
    free(code), free(type), free(message);
    return 0;
}
