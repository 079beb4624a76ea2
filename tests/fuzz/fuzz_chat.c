/* fuzz_chat.c - whatever a server sends: answers, error bodies and retry headers (core/llm/chat,
 * core/llm/retry).
 *
 * The first byte chooses the status; the rest is the body, once more the data of one event of a stream, the
 * value of each retry header, and the address of a redirect. */
#include <stdlib.h>
#include <string.h>

#include "core/llm/chat.h"
#include "core/llm/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void answer_try(const char *body, size_t len) {
    chat_answer_t answer;
    err_t err = {.text = ""};
    llm_cause_t cause = chat_answer_read(body, len, &answer, &err);
    check((cause == LLM_CAUSE_NONE) == (answer.text.kind == VALUE_STRING));
    check(cause == LLM_CAUSE_NONE || err.text[0] != '\0');
    check(strlen(answer.finish_reason) < sizeof answer.finish_reason);
    check(answer.reasoning.kind == VALUE_NULL || answer.reasoning.kind == VALUE_STRING);
    check(cause == LLM_CAUSE_NONE || answer.reasoning.kind == VALUE_NULL);
    check(!strpbrk(err.text, "\r\n\t"));
    value_free(answer.text);
    value_free(answer.reasoning);
}

/* The body as an event stream: one event with its bytes, then the end of a good answer. */
static void stream_try(const char *body, size_t len) {
    static const char end[] =
        "\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    char *stream = malloc(len + 6 + sizeof end);
    if (!stream) return;
    memcpy(stream, "data: ", 6);
    memcpy(stream + 6, body, len);
    memcpy(stream + 6 + len, end, sizeof end - 1);
    answer_try(stream, 6 + len + sizeof end - 1);
    free(stream);
}

static void redirect_try(const char *body, size_t len) {
    char location[2048];
    err_t reason;
    size_t n = len < sizeof location - 1 ? len : sizeof location - 1;
    memcpy(location, body, n);
    location[n] = '\0';
    check(chat_redirect_read(307, location, &reason) == LLM_CAUSE_ENDPOINT);
    check(strncmp(reason.text, "HTTP 307", 8) == 0);
}

static void error_try(long status, const char *body, size_t len) {
    err_t reason;
    llm_cause_t cause = chat_error_read(status, body, len, &reason);
    check(cause != LLM_CAUSE_NONE && cause < LLM_CAUSES);
    check(strncmp(reason.text, "HTTP ", 5) == 0);
    check(strlen(reason.text) <= LLM_ERROR_TEXT_MAX + strlen("HTTP 4294967295: "));
    check(!strpbrk(reason.text, "\r\n\t"));
    buf_t full;
    buf_init(&full, LLM_REASON_BYTES_MAX + ERR_TEXT_MAX);
    chat_reason_in_full(reason.text, body, len, &full);
    check(!full.full && (full.len == 0 || full.len > LLM_ERROR_TEXT_MAX));
    buf_free(&full);
}

static void headers_try(const char *value, size_t len) {
    static const char *const names[] = {"retry-after", "retry-after-ms", "x-should-retry"};
    retry_hint_t hint = retry_hint_none();
    for (size_t i = 0; i < 3; i++)
        retry_hint_header(&hint, names[i], strlen(names[i]), value, len, INT64_C(1700000000000));
    check(hint.after_ms >= -1 && hint.should >= -1 && hint.should <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const long statuses[] = {400, 408, 409, 429, 500, 503, 302, 404};
    if (size == 0) return 0;
    char *body = malloc(size); /* exact size: reading past it is seen */
    if (!body) return 0;
    memcpy(body, data + 1, size - 1);
    answer_try(body, size - 1);
    stream_try(body, size - 1);
    redirect_try(body, size - 1);
    error_try(statuses[data[0] % 8], body, size - 1);
    headers_try(body, size - 1);
    free(body);
    return 0;
}
