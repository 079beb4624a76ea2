/* call.h - a finished LLM call as bytes: what the call journal keeps, and what a row needs to go on as if the
 * call had just been made. */
#ifndef SDG_PROTO_PARTS_CALL_H
#define SDG_PROTO_PARTS_CALL_H

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/llm_answer.h"

/* Appends a call that succeeded (an assert holds it). One that failed is not kept: a rerun tries it again. */
void call_encode(const llm_answer_t *answer, buf_t *out);
/* 0 and an answer that owns its text: the tokens are those of the recorded call, and requests is 0, because
 * none is made now. SDG_EPARSE: these bytes are no call. */
int call_decode(const char *bytes, size_t len, llm_answer_t *answer, err_t *err);

#endif
