/* server_load.h - how much a server of LLMs has to do, as it says itself: in the Prometheus text of /metrics
 * (vLLM, SGLang, and what speaks like them) or in the JSON of /v1/loads (SGLang). Pure; any bytes are safe.
 */
#ifndef SDG_LLM_SERVER_LOAD_H
#define SDG_LLM_SERVER_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"

/* Numbers of all engines of a server together. NAN: it does not say; else finite and not negative. */
typedef struct server_load {
    const char *server;      /* whose names the numbers have: "vLLM", "SGLang"; a constant */
    double running, waiting; /* requests */
    double cache;            /* share of the KV cache in use, of the engine that is fullest; mostly 0 to 1 */
} server_load_t;

/* Reads a /metrics text. False when neither of the two numbers of requests is in it: *load says nothing then.
 */
bool server_metrics_read(const char *text, size_t len, server_load_t *load);
/* The same of a /v1/loads answer: a list of ranks, or an object that holds one under "loads". */
bool server_loads_read(const char *body, size_t len, server_load_t *load);

/* Adds "vLLM: 3 running, 1 waiting, 12 % of the KV cache in use", without what is not known. */
void server_load_write(const server_load_t *load, buf_t *out);

#endif
