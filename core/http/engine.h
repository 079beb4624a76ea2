/* client.h - the LLM engine: calls in, answers out, thousands in flight in one thread. Knows no YAML and no
 * actors.
 *
 * One epoll descriptor stands for everything (client_fd): poll it in any event loop together with
 * client_timeout_ms, then call client_drive and take finished calls with client_next until it returns false.
 * Nothing blocks, no callbacks.
 *
 * A call goes: submitted -> queued until its endpoint has a permit -> one HTTP request -> (waiting for a
 * retry -> again)
 * -> finished. A retry wait holds no permit. Calls are answered exactly once each, cancelled ones too.
 * Replicas: an endpoint may have several URLs; each request takes the one with the fewest requests in flight.
 * A replica that fails (connection, timeout, 5xx) is passed over for a while, longer each time, as long as
 * another one works.
 *
 * Limits: queued calls are bounded by the caller (it submits what its rows want); bodies by
 * LLM_ANSWER_BYTES_MAX; endpoints, replicas and permits in core/base/limits.h. One descriptor per request in
 * flight: the program raises its limit.
 */
#ifndef SDG_HTTP_ENGINE_H
#define SDG_HTTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/value.h"
#include "core/llm/call.h"
#include "core/llm/retry.h"

typedef struct llm_engine llm_engine_t;

typedef struct llm_engine_options {
    bool http2; /* ask for HTTP/2 over TLS (ALPN); HTTP/1.1 otherwise. Default false: docs/design.md */
    uint32_t connections_max; /* kept open per endpoint; 0: as many as permits */
    uint64_t seed;            /* of the jitter */
} llm_engine_options_t;

/* Everything is copied. */
typedef struct llm_endpoint {
    const char *name;             /* for messages: the model's name in the pipeline */
    const char *const *base_urls; /* one or more, as written by the user (see endpoint.h) */
    size_t url_count;
    const char *api_key;        /* NULL or "": no Authorization header. Never logged */
    const char *const *headers; /* "Name: value" lines, may be NULL */
    size_t header_count;
    uint32_t timeout_ms; /* of one request, 0 = 3,600,000 */
    retry_policy_t retry;
} llm_endpoint_t;

llm_engine_t *llm_engine_new(const llm_engine_options_t *options, err_t *err); /* NULL on failure */
void llm_engine_destroy(llm_engine_t **client);                                /* aborts what is in flight */

/* Returns the endpoint's number (0, 1, ...) or a negative error (bad URL, too many). Starts with permits 0 <
 * n: see set_permits. */
int llm_engine_add_endpoint(llm_engine_t *client, const llm_endpoint_t *endpoint, err_t *err);
/* How many requests this endpoint may have in flight from now on (absolute; initially 8). */
void llm_engine_set_permits(llm_engine_t *client, uint32_t endpoint, uint32_t permits);

/* Takes a call; the answer comes with `tag` out of llm_engine_next. Never fails for reasons of the network:
 * SDG_EINVAL for an unknown endpoint, a bad header, or a tag that is still in use. Nothing is sent before the
 * next llm_engine_drive. */
int llm_engine_submit(llm_engine_t *client, const llm_request_t *request, uint64_t tag, err_t *err);
void llm_engine_cancel(
    llm_engine_t *client,
    uint64_t tag); /* it still finishes, with LLM_CAUSE_CANCELLED, soon; unknown tags are ignored */

int llm_engine_fd(const llm_engine_t *client); /* becomes readable when there is something to drive */
int llm_engine_timeout_ms(const llm_engine_t *client,
                          uint64_t now_ns);                   /* -1: none; else the longest sleep allowed */
void llm_engine_drive(llm_engine_t *client, uint64_t now_ns); /* does what is ready; never blocks */
bool llm_engine_next(llm_engine_t *client, llm_answer_t *answer); /* the next finished call */

typedef struct llm_load { /* gauges and counters of one endpoint since the start */
    uint32_t permits, in_flight, queued, backing_off;
    uint64_t requests;          /* HTTP requests sent */
    uint64_t succeeded, failed; /* calls; cancelled ones are neither */
    uint64_t prompt_tokens, completion_tokens;
    uint64_t retries[LLM_CAUSES];
} llm_load_t;
void llm_engine_load(const llm_engine_t *client, uint32_t endpoint, llm_load_t *load);

#endif
