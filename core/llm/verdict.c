/* verdict.c - see verdict.h.
 *
 * The one idea: a wrong guess must be mild. A call that is taken for a refusal of the endpoint is a failure
 * of its row as soon as the endpoint answers another one; an endpoint that is taken for healthy costs each
 * row a request. So a 404 is the endpoint's unless it speaks of something in the request, and a 400 is the
 * row's unless it speaks of the model, the address or the key.
 *
 * To add a server's words: a line in the list they belong to, and the real text in test_verdict.c.
 */
#include "core/llm/verdict.h"

#include <stddef.h>
#include <string.h>

#include "core/llm/limits.h"

enum { NAME_WORDS_MAX = 2 }; /* words between "model" and what is said of it: "model name x not found" */

/* A text in small ASCII letters, with its end; a longer one is cut. */
typedef struct small_text {
    char bytes[LLM_ERROR_TEXT_MAX + 1];
} small_text_t;

static small_text_t small_text(const char *text) {
    small_text_t out;
    size_t len = 0;
    for (; text && text[len] && len < LLM_ERROR_TEXT_MAX; len++)
        out.bytes[len] = text[len] >= 'A' && text[len] <= 'Z' ? (char)(text[len] + 32) : text[len];
    out.bytes[len] = '\0';
    return out;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static bool has_any(const char *text, const char *const *phrases) {
    for (; *phrases; phrases++)
        if (strstr(text, *phrases)) return true;
    return false;
}

static bool is_any(const char *text, const char *const *words) {
    for (; *words; words++)
        if (strcmp(text, *words) == 0) return true;
    return false;
}

/* --- credit --- */

static const char *const quota_codes[] = {
    "insufficient_quota", /* OpenAI */
    "billing_hard_limit_reached",
    "billing_not_active",
    "exceeded_current_quota_error", /* Moonshot */
    "budget_exceeded",              /* LiteLLM */
    "insufficient_balance",
    "arrearage", /* DashScope */
    "1113",      /* Zhipu */
    NULL,
};

static const char *const quota_phrases[] = {
    "insufficient_quota",
    "credit balance is too low", /* Anthropic */
    "insufficient balance",      /* DeepSeek, Zhipu */
    "insufficient credits",      /* OpenRouter */
    "budget has been exceeded",  /* LiteLLM */
    "account is suspended",
    "account is not active",
    "\xe4\xbd\x99\xe9\xa2\x9d\xe4\xb8\x8d\xe8\xb6\xb3", /* Zhipu: "the balance does not suffice", in Chinese
                                                         */
    NULL,
};

/* --- keys and addresses --- */

static const char *const key_phrases[] = {
    "api key not valid",
    "invalid api key",
    "incorrect api key",
    "api_key_invalid",
    "api key is invalid",
    "api key not found",
    "api key expired",
    "invalid_api_key",
    "user location is not supported", /* Gemini */
    NULL,
};

static const char *const path_phrases[] = {
    "invalid url (", /* OpenAI: Invalid URL (POST /v1/v1/chat/completions) */
    "no route",      /* Kong */
    "unknown path",
    "unknown url",
    "unknown endpoint",
    "invalid path",
    "cannot post ",              /* Express */
    "api version not supported", /* Azure */
    "unsupported api version",
    "http request was sent to https port", /* nginx */
    NULL,
};

/* --- models --- */

static const char *const model_codes[] = {
    "model_not_found",
    "modelnotfound",
    "deploymentnotfound",
    "model_not_available",
    "model_not_supported",
    "model_decommissioned",
    "invalid_model",
    "unknown_model",
    "unsupported_model",
    "no_models_loaded",
    "operationnotsupported", /* Azure: chat with an embedding model */
    NULL,
};

/* Phrases about which model is meant; what follows them must not be a word of `not_the_model`. */
static const char *const model_phrases[] = {
    "unknown model", "invalid model", "invalid_model", "unsupported model", "no such model", NULL,
};
static const char *const not_the_model[] = {
    "param", "input", "output", "option", "arg", "config", "setting", "response", "kwarg", NULL,
};

static const char *const model_sentences[] = {
    "not a valid model",                 /* OpenRouter */
    "model identifier is invalid",       /* Bedrock */
    "there is no 'model_name'",          /* LiteLLM */
    "llm provider not provided",         /* LiteLLM */
    "not a chat model",                  /* OpenAI */
    "no models loaded",                  /* LM Studio */
    "unable to access model",            /* Together */
    "failed to load model",              /* LM Studio */
    "does not support chat completions", /* vLLM: a model of another kind */
    NULL,
};

/* What is said of a model that is not there, behind its name. */
static const char *const gone_phrases[] = {
    "does not exist",     "doesn't exist",       "not exist",
    "not found",          "is not found",        "was not found",
    "is not available",   "is not deployed",     "is not loaded",
    "is not supported.",  "is not supported by", "is not supported for",
    "is no longer",       "has been d",          "has been r",
    "could not be found", "cannot be found",     NULL,
};

/* Behind one word: a name in quotes, which may have blanks in it, or a bare one. */
static const char *word_end(const char *at) {
    char quote = *at == '`' || *at == '\'' || *at == '"' ? *at : ' ';
    if (quote != ' ') at++;
    while (*at && *at != quote)
        at++;
    return *at && quote != ' ' ? at + 1 : at;
}

/* Is it said behind the word "model" at `at` that there is no such model? */
static bool model_is_gone(const char *at) {
    at += strlen("model");
    for (int words = 0; words <= NAME_WORDS_MAX; words++) {
        at += strspn(at, ": ,");
        for (const char *const *gone = gone_phrases; *gone; gone++)
            if (begins(at, *gone)) return true;
        at = word_end(at);
    }
    return false;
}

static bool names_model(const char *code, const char *message) {
    if (is_any(code, model_codes) || has_any(message, model_sentences)) return true;
    for (const char *const *phrase = model_phrases; *phrase; phrase++) {
        const char *at = strstr(message, *phrase);
        if (!at) continue;
        at += strlen(*phrase);
        bool other = false;
        for (const char *const *word = not_the_model; *word; word++)
            other = other || begins(at + strspn(at, " _"), *word);
        if (!other) return true;
    }
    for (const char *at = message; (at = strstr(at, "model")); at++)
        if (model_is_gone(at)) return true;
    return false;
}

/* --- statuses --- */

/* Things of a request that a 404 may speak of. */
static const char *const request_phrases[] = {
    "image", "file", "attachment", "previous response", "previous_response", "tool", NULL,
};

static const char *const full_phrases[] = {
    "queue is full", "queue full",      "full queue",    "overloaded",        "over capacity",
    "at capacity",   "queued requests", "loading model", "currently loading", NULL,
};

static llm_cause_t cause_of_404(const char *code, const char *message) {
    if (names_model(code, message) || has_any(message, path_phrases)) return LLM_CAUSE_ENDPOINT;
    return has_any(message, request_phrases) ? LLM_CAUSE_REFUSED : LLM_CAUSE_ENDPOINT;
}

static llm_cause_t cause_of_400(const char *code, const char *message) {
    bool endpoint = names_model(code, message) || has_any(message, path_phrases) ||
                    has_any(message, key_phrases) || has_any(code, key_phrases);
    return endpoint ? LLM_CAUSE_ENDPOINT : LLM_CAUSE_REFUSED;
}

/* A request that is larger than what the limit allows in a minute will never be taken. */
static llm_cause_t cause_of_429(const char *message) {
    return strstr(message, "request too large") ? LLM_CAUSE_REFUSED : LLM_CAUSE_RATE_LIMIT;
}

static llm_cause_t cause_by_status(long status, const char *code, const char *message) {
    switch (status) {
    case 400: return cause_of_400(code, message);
    case 404: return cause_of_404(code, message);
    case 401:
    case 402:
    case 403:
    case 405: /* the page is there, and takes no POST: another address is meant */
    case 407: /* the proxy wants a name and a password */
    case 410: return LLM_CAUSE_ENDPOINT;
    case 408: return LLM_CAUSE_TIMEOUT;
    case 409: return LLM_CAUSE_SERVER;
    case 429: return cause_of_429(message);
    case 503: return has_any(message, full_phrases) ? LLM_CAUSE_OVERLOAD : LLM_CAUSE_SERVER;
    default: break;
    }
    if (status >= 500) return LLM_CAUSE_SERVER;
    return status >= 300 && status < 400 ? LLM_CAUSE_ENDPOINT : LLM_CAUSE_REFUSED;
}

static bool speaks_of_credit(const char *code, const char *type, const char *message) {
    return is_any(code, quota_codes) || is_any(type, quota_codes) || has_any(message, quota_phrases);
}

llm_cause_t verdict_cause(long status, const verdict_words_t *words) {
    small_text_t code = small_text(words->code), type = small_text(words->type),
                 message = small_text(words->message);
    bool about_size = status == 413 || status == 422;
    if (status >= 400 && status < 500 && !about_size &&
        speaks_of_credit(code.bytes, type.bytes, message.bytes))
        return LLM_CAUSE_QUOTA;
    return cause_by_status(status, code.bytes[0] ? code.bytes : type.bytes, message.bytes);
}

llm_cause_t verdict_with_hint(llm_cause_t cause, long status, retry_hint_t hint) {
    return cause == LLM_CAUSE_SERVER && status == 503 && hint.after_ms >= 0 ? LLM_CAUSE_OVERLOAD : cause;
}

/* x-should-retry overrides; credit that has gone does not come back by asking. */
verdict_t verdict_of(llm_cause_t cause, retry_hint_t hint) {
    switch (cause) {
    case LLM_CAUSE_NONE: return VERDICT_ANSWERED;
    case LLM_CAUSE_RATE_LIMIT:
    case LLM_CAUSE_OVERLOAD: return hint.should == 0 ? VERDICT_FAILED : VERDICT_REJECTED;
    case LLM_CAUSE_ENDPOINT: return hint.should == 1 ? VERDICT_FAILED : VERDICT_REFUSED;
    case LLM_CAUSE_QUOTA: return VERDICT_REFUSED;
    default: return VERDICT_FAILED;
    }
}
