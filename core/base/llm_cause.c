/* llm_cause.c - see llm_cause.h. */
#include "core/base/llm_cause.h"

#include <assert.h>

const char *llm_cause_name(llm_cause_t cause) {
    static const char *const names[LLM_CAUSES] = {
        [LLM_CAUSE_NONE] = "none",           [LLM_CAUSE_RATE_LIMIT] = "rate limit",
        [LLM_CAUSE_OVERLOAD] = "overload",   [LLM_CAUSE_SERVER] = "server error",
        [LLM_CAUSE_TIMEOUT] = "timeout",     [LLM_CAUSE_CONNECTION] = "connection",
        [LLM_CAUSE_MALFORMED] = "malformed", [LLM_CAUSE_EMPTY] = "empty answer",
        [LLM_CAUSE_REFUSED] = "refused",     [LLM_CAUSE_QUOTA] = "quota",
        [LLM_CAUSE_CANCELLED] = "cancelled", [LLM_CAUSE_ENDPOINT] = "endpoint",
        [LLM_CAUSE_DECLINED] = "declined",
    };
    assert(cause < LLM_CAUSES);
    return names[cause];
}
