/* engine.h - the LLM engine: calls in, answers out, thousands in flight in one thread, to any number of
 * servers for any number of jobs. Knows no YAML and no actors.
 *
 * One epoll descriptor stands for everything (llm_engine_fd): poll it in any event loop together with
 * llm_engine_timeout_ms, then call llm_engine_drive and take finished calls with llm_engine_next until it
 * returns false. Nothing blocks, no callbacks.
 *
 * Three nouns. An *endpoint* (core/llm/endpoint.h) is a server with a key and a model: it owns permits (how
 * many requests may be in flight), replicas with their health, and counters. A *route* is how one model of
 * one job reaches its endpoint: headers, time-out, retries, HTTP version, and the calls that wait. All routes
 * of one endpoint share it; it exists as long as one of them. A *call* belongs to a route.
 *
 * The life of a call:
 *
 *     submitted -> queued -> in flight (one HTTP request) -> finished
 *                    ^            |                             ^
 *                    +- backing off (waits for its retry)       |
 *                    +- held (its endpoint refused it) ---------+
 *
 * To be in flight a call needs a permit of its endpoint and, if its request names the permit of a job, a unit
 * of that (core/base/permit.h). A call that waits, in a queue or for a retry, holds neither:
 *  - a unit that a caller brings with a call stays with the call until the next llm_engine_drive, which
 * starts the call or gives the unit back;
 *  - a request that failed gives back both before the call waits for its retry; then the call goes to the
 * front of its route's queue, behind earlier retries;
 *  - a finished or cancelled call keeps its unit until llm_engine_next hands it out (llm_answer_t.has_unit).
 * Routes of one endpoint take turns, call by call. A route whose job has no free unit loses its turn, so a
 * job that is at its limit does not hold up another one.
 *
 * Calls are answered exactly once each, cancelled ones too; only llm_engine_close_route ends them unanswered.
 *
 * Replicas: an endpoint may have several URLs. Each request takes the one with the fewest requests in flight.
 * A replica that fails (connection, timeout, 5xx) is passed over for a while, longer each time, as long as
 * another one works.
 *
 * Health: each replica is open, closed for a time, or final (core/llm/health.h), by what its replies mean
 * (core/llm/verdict.h).
 *  - A call that is rejected (429, a full queue) is no failure: it waits and is asked again, which spends no
 * attempt of its retry policy, while the replica is closed or its requests are spread in time. A replica
 * that is closed gets no requests; calls wait in their queues.
 *  - A call that a replica refuses whatever it is asked (a wrong key, a model it has not, TLS, ...) goes to
 * another replica. When all have refused it, it is *held*: an answer to a request that was sent later shows
 * that the call itself is to blame, and it fails; LLM_REFUSALS_MAX refusals in a row without an answer make
 * the replica final. Calls of an endpoint whose replicas are all final stay until their route is closed.
 * Without llm_engine_options_t.hold they fail at once instead, and nothing becomes final.
 *
 * Limits: queued calls are bounded by the caller (it submits what its rows want); bodies by
 * LLM_ANSWER_BYTES_MAX; endpoints, routes, replicas and permits in core/llm/limits.h. One descriptor per
 * connection: the program raises its limit, and says with in_flight_max how many there may be. A request that
 * finds no descriptor all the same waits and spends no attempt. Connections are kept until the server closes
 * them, another one needs their place, or the last route of the engine is closed.
 */
#ifndef SDG_HTTP_ENGINE_H
#define SDG_HTTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/endpoint_report.h"
#include "core/base/error.h"
#include "core/base/permit.h"
#include "core/llm/call.h"
#include "core/llm/retry.h"

typedef struct llm_engine llm_engine_t;

typedef struct llm_engine_options {
    uint32_t connections_max; /* kept open per endpoint; 0: as many as permits */
    uint32_t in_flight_max; /* requests at a time, to all endpoints: for want of descriptors. 0: any number */
    bool hold;     /* hold calls that their endpoint refuses, until the caller or an answer decides */
    uint64_t seed; /* of the jitter */
} llm_engine_options_t;

/* Everything is copied. */
typedef struct llm_route_options {
    const char *name;             /* for messages: the model's name in the pipeline */
    uint64_t endpoint_id;         /* 0: made of base_urls, api_key and model_group */
    const char *model_group;      /* api_model; only for endpoint_id 0, may be NULL */
    const char *const *base_urls; /* one or more, as written by the user (see endpoint.h) */
    size_t url_count;
    const char *api_key;        /* NULL or "": no Authorization header. Never logged */
    const char *const *headers; /* "Name: value" lines, may be NULL */
    size_t header_count;
    bool http2; /* ask for HTTP/2 over TLS (ALPN); HTTP/1.1 otherwise. Default false: docs/design.md */
    uint32_t timeout_ms; /* of one request, 0 = 3,600,000 */
    retry_policy_t retry;
} llm_route_options_t;

llm_engine_t *llm_engine_new(const llm_engine_options_t *options, err_t *err); /* NULL on failure */
/* Closes all routes. The permits that their calls name must still exist. */
void llm_engine_destroy(llm_engine_t **engine);

/* Returns the route's number, from 0; a closed route's number is used again. Negative: a bad URL, or too many
 * routes or endpoints. The route shares the endpoint of this id and these addresses with other routes that
 * have it; else it gets a new one, with 8 permits until llm_engine_set_permits. */
int llm_engine_open_route(llm_engine_t *engine, const llm_route_options_t *options, err_t *err);
/* Ends the route's calls in whatever state they are, without an answer; units they hold are given back. */
void llm_engine_close_route(llm_engine_t *engine, uint32_t route);

uint64_t llm_engine_endpoint_id(const llm_engine_t *engine, uint32_t route);
/* How many requests this endpoint may have in flight from now on, at most LLM_PERMITS_MAX. Requests above a
 * lowered number run to their end. An id that no open route has is ignored, and not remembered. */
void llm_engine_set_permits(llm_engine_t *engine, uint64_t endpoint_id, uint32_t calls);

/* Takes a call; llm_engine_next gives its answer, with `tag`. It fails only with SDG_EINVAL: an unknown
 * route, a bad header, or a tag that is still in use; then a unit stays with the caller. Nothing is sent
 * before the next llm_engine_drive. */
int llm_engine_submit(llm_engine_t *engine, const llm_request_t *request, uint64_t tag, err_t *err);
/* Ends the call at once; it finishes with LLM_CAUSE_CANCELLED. Unknown tags are ignored. */
void llm_engine_cancel(llm_engine_t *engine, uint64_t tag);

/* The id of the call's endpoint while the call holds no unit: it waits for a unit, for a permit of this
 * endpoint, for a retry, until the endpoint opens, or is held. 0: it does not wait, or the tag is unknown. */
uint64_t llm_engine_waits_for(const llm_engine_t *engine, uint64_t tag);
/* Does the call wait for an endpoint that takes nothing for now: is it held, is the endpoint closed or final,
 * or does the call wait for a retry while nobody has been answered for LLM_SILENT_MS? A run that ends does
 * not wait for it. */
bool llm_engine_waits_long(const llm_engine_t *engine, uint64_t tag, uint64_t now_ns);
/* Does the call wait behind a rate limit: has the endpoint rejected it (429, a full queue), or are requests
 * to the endpoint spread in time? The line may be as long as the window of rows. */
bool llm_engine_is_limited(const llm_engine_t *engine, uint64_t tag);
/* How long the call has waited in all since it was submitted: for a permit, a unit, a retry or a closed
 * endpoint, not for an answer. 0: the tag is unknown. llm_answer_t.waited_ns says the same at the end. */
uint64_t llm_engine_waited_ns(const llm_engine_t *engine, uint64_t tag, uint64_t now_ns);

int llm_engine_fd(const llm_engine_t *engine); /* becomes readable when there is something to drive */
/* The longest sleep allowed; -1: any. It is 0, too, when a unit has become free that a queued call waits
 * for. */
int llm_engine_timeout_ms(const llm_engine_t *engine, uint64_t now_ns);
void llm_engine_drive(llm_engine_t *engine, uint64_t now_ns);     /* does what is ready; never blocks */
bool llm_engine_next(llm_engine_t *engine, llm_answer_t *answer); /* the next finished call */

typedef struct llm_load { /* gauges and counters since the start */
    uint32_t permits;     /* of the endpoint */
    uint32_t in_flight, queued, backing_off, held;
    uint64_t requests;          /* HTTP requests sent */
    uint64_t succeeded, failed; /* calls; cancelled ones are neither */
    uint64_t faulted;           /* of the failed ones: endpoint_report_t.faulted */
    uint64_t prompt_tokens, completion_tokens;
    uint64_t retries[LLM_CAUSES];
} llm_load_t;
void llm_engine_route_load(const llm_engine_t *engine, uint32_t route, llm_load_t *load);
/* The held calls of the route fail now, each with the refusal it met (LLM_CAUSE_ENDPOINT or LLM_CAUSE_QUOTA).
 */
void llm_engine_release_held(llm_engine_t *engine, uint32_t route);

/* The load of all routes it has and had. False, and all zero, when no open route has this id. */
bool llm_engine_endpoint_load(const llm_engine_t *engine, uint64_t endpoint_id, llm_load_t *load);

/* How this endpoint fares for the job that has these routes; routes to other endpoints are passed over.
 * Requests, answers, retries and what waits or is in flight are those of the routes, the rest is the
 * endpoint's. state is ENDPOINT_FINAL when all its replicas are; trouble_text says why. False, and all zero,
 * when none of the routes leads there. */
bool llm_engine_report(const llm_engine_t *engine, const uint32_t *routes, size_t route_count,
                       uint64_t endpoint_id, uint64_t now_ns, endpoint_report_t *report);

#endif
