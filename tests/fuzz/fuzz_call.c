/* Arbitrary bytes as a finished call of the journal: refused in words, or an answer that encodes to something
 * that decodes to the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/store/limits.h"
#include "proto/parts/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    llm_answer_t answer, again;
    err_t err = {0};
    buf_t bytes;
    if (call_decode((const char *)data, size, &answer, &err) != SDG_OK) {
        assert(err.text[0]);
        return 0;
    }
    buf_init(&bytes, JOURNAL_ANSWER_BYTES_MAX);
    call_encode(&answer, &bytes);
    assert(call_decode(bytes.data, bytes.len, &again, NULL) == SDG_OK);
    assert(value_equal(answer.text, again.text) && strcmp(answer.finish_reason, again.finish_reason) == 0);
    assert(value_equal(answer.reasoning, again.reasoning));
    assert(answer.prompt_tokens == again.prompt_tokens &&
           answer.completion_tokens == again.completion_tokens);
    llm_answer_clear(&answer);
    llm_answer_clear(&again);
    buf_free(&bytes);
    return 0;
}
