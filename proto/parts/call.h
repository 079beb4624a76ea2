/* call.h - a finished LLM call as bytes: what the call journal keeps, and what a row needs to go on as if the
 * call had just been made. */
#ifndef SDG_PROTO_PARTS_CALL_H
#define SDG_PROTO_PARTS_CALL_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/llm_answer.h"

/* Only of a call that succeeded: what failed is tried again by a rerun. */
void call_encode(const llm_answer_t *answer, buf_t *out);
/* 0 and an answer that owns its text: tokens as they were, requests 0 because none was made now. SDG_EPARSE:
 * these bytes are no call. */
int call_decode(const char *bytes, size_t len, llm_answer_t *answer, err_t *err);

#endif
