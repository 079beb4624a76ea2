/* model_list.h - which models a server has: the answer to GET /v1/models. Pure; any bytes are safe. */
#ifndef SDG_LLM_MODEL_LIST_H
#define SDG_LLM_MODEL_LIST_H

#include <stddef.h>

#include "core/base/value.h"

/* The ids in an answer of the form that OpenAI's API has, as a list of strings; what else is in the list is
 * left out. null when it is no such answer. Owned by the caller. */
value_t model_list_read(const char *body, size_t len);

#endif
