/* doctor_net.h - reading what LLM servers say of themselves. Pure; facts of the servers in docs/design.md. */
#ifndef SDG_ACTORS_DOCTOR_DOCTOR_NET_H
#define SDG_ACTORS_DOCTOR_DOCTOR_NET_H

#include "core/base/buf.h"
#include "core/base/value.h"

/* Ids of a GET /v1/models answer, as a list of strings; null when it is no such answer. Owned by the
 * caller. */
value_t doctor_models_read(const char *body, size_t len);

/* "vLLM: 3 running, 1 waiting, KV cache 12 %" of a /metrics text, "SGLang: ..." likewise; false when it is
 * neither. */
bool doctor_metrics_read(const char *text, size_t len, buf_t *out);
/* The same of a GET /v1/loads answer (SGLang). */
bool doctor_loads_read(const char *body, size_t len, buf_t *out);

#endif
