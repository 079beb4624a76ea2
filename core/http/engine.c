/* engine.c - the life of a call: how it waits and starts, what its replies mean, and how it ends.
 *
 * An endpoint is in the ring `hungry` while it has free permits and calls that wait; only hungry endpoints
 * are looked at when calls are started. Such calls may lack units, and nobody tells the engine when a unit is
 * given back. So each drive tries the routes of hungry endpoints, and llm_engine_timeout_ms looks at them,
 * too. When no replica takes a request now, endpoint->opens_ns says when one will; until then the endpoint's
 * calls wait, whatever units there are.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/ending.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/base/value.h"
#include "core/http/engine_internal.h"
#include "core/http/limits.h"
#include "core/llm/chat.h"
#include "core/llm/endpoint.h"
#include "core/llm/verdict.h"

enum {
    AGAIN_MS = 100,          /* a call that was rejected comes back so soon while nothing slows it down */
    SHORT_MS = 200,          /* how long no request is begun when there was no descriptor for one */
    SAME_REASON_BYTES = 40,  /* reasons that begin with so many equal bytes are one */
    CALLS_SEARCHED_MAX = 64, /* calls of a route that are looked at for one whose replicas are open */
};
static const uint64_t NEVER = UINT64_MAX;

/* --- the state of a call --- */

static uint32_t *gauge_of(llm_load_t *load, llm_call_state_t state) {
    switch (state) {
    case CALL_QUEUED: return &load->queued;
    case CALL_IN_FLIGHT: return &load->in_flight;
    case CALL_BACKING_OFF: return &load->backing_off;
    case CALL_HELD: return &load->held;
    case CALL_NEW:
    case CALL_FINISHED: break;
    }
    return NULL;
}

static void load_move(llm_load_t *load, llm_call_state_t from, llm_call_state_t to) {
    uint32_t *left = gauge_of(load, from), *entered = gauge_of(load, to);
    if (left) --*left;
    if (entered) ++*entered;
}

void llm_call_set_state(llm_call_t *call, llm_call_state_t state) {
    load_move(&call->route->load, call->state, state);
    load_move(&call->route->endpoint->load, call->state, state);
    call->state = state;
}

void llm_call_give_unit(llm_call_t *call) {
    if (!call->has_unit) return;
    permit_give(call->permit);
    call->has_unit = false;
}

bool llm_call_waits(const llm_call_t *call) {
    return call->state == CALL_QUEUED || call->state == CALL_BACKING_OFF || call->state == CALL_HELD;
}

/* From now on the call waits, unless it does already. */
static void call_wait(llm_call_t *call, uint64_t now_ns) {
    llm_call_give_unit(call);
    if (!llm_call_waits(call)) call->since_ns = now_ns;
}

/* --- how a call ends --- */

static void count_retry(llm_call_t *call, llm_cause_t cause) {
    call->answer.retries[cause]++;
    call->route->load.retries[cause]++;
    call->route->endpoint->load.retries[cause]++;
}

static void count_finished(llm_load_t *load, llm_cause_t cause) {
    if (cause == LLM_CAUSE_NONE)
        load->succeeded++;
    else if (cause != LLM_CAUSE_CANCELLED)
        load->failed++;
}

static void call_finish(llm_engine_t *engine, llm_call_t *call, llm_cause_t cause) {
    call->answer.cause = cause;
    count_finished(&call->route->load, cause);
    count_finished(&call->route->endpoint->load, cause);
    idmap_remove(&engine->calls, call->tag);
    llm_call_set_state(call, CALL_FINISHED);
    ring_add_last(&engine->finished, &call->place);
}

void llm_call_free(llm_call_t *call) {
    ring_remove(&call->of_route);
    http_headers_free(call->headers);
    llm_answer_clear(&call->answer);
    free(call);
}

/* --- where a call waits --- */

static void call_enqueue(llm_engine_t *engine, llm_call_t *call, bool retried) {
    llm_route_t *route = call->route;
    bool first = ring_empty(&route->queue) && ring_empty(&route->retries);
    ring_add_last(retried ? &route->retries : &route->queue, &call->place);
    llm_call_set_state(call, CALL_QUEUED);
    route->endpoint->opens_ns = 0;
    if (!first) return;
    ring_add_last(&route->endpoint->turns, &route->turn);
    route->endpoint->turn_count++;
    llm_endpoint_watch(engine, route->endpoint);
}

static void call_dequeue(llm_call_t *call) {
    llm_route_t *route = call->route;
    ring_remove(&call->place);
    if (!ring_empty(&route->queue) || !ring_empty(&route->retries)) return;
    ring_remove(&route->turn);
    route->endpoint->turn_count--;
}

/* The call waits in its queue for a replica that takes it; its unit goes back. */
static void call_requeue(llm_engine_t *engine, llm_call_t *call, uint64_t now_ns) {
    call_wait(call, now_ns);
    call_enqueue(engine, call, true);
}

static void call_back_off(llm_engine_t *engine, llm_call_t *call, uint64_t now_ns, uint32_t wait_ms) {
    call_wait(call, now_ns);
    llm_call_set_state(call, CALL_BACKING_OFF);
    heap_add(&engine->back_offs, now_ns + wait_ms * MILLISECOND, call, &call->due_place);
}

/* Is there a replica that has not refused the call, and may still take it? */
static bool call_has_hope(const llm_call_t *call) {
    const llm_endpoint_t *endpoint = call->route->endpoint;
    for (size_t i = 0; i < endpoint->replica_count; i++)
        if (!replica_set_has(&call->refused_by, i) && endpoint->replicas[i].health.state != HEALTH_FINAL)
            return true;
    return false;
}

static void call_hold(llm_call_t *call, uint64_t now_ns) {
    call_wait(call, now_ns);
    llm_call_set_state(call, CALL_HELD);
    ring_add_last(&call->route->endpoint->held, &call->place);
}

/* --- a request ends --- */

static void request_end(llm_engine_t *engine, llm_call_t *call) {
    llm_endpoint_t *endpoint = call->route->endpoint;
    replica_end(call->replica, &call->flight);
    call->replica = NULL;
    call->transfer = NULL;
    engine->in_flight--;
    endpoint->opens_ns = 0;
    permit_give(&endpoint->permit);
    llm_endpoint_watch(engine, endpoint);
}

/* --- what a reply says --- */

/* Keeps a latency. They are in the order of the requests, but the successful one stands first. */
static void latency_note(llm_answer_t *answer, uint64_t latency_ns, bool success) {
    uint64_t us = latency_ns / 1000;
    uint32_t kept = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    if (answer->latency_count < LLM_LATENCIES_MAX)
        answer->latency_count++;
    else if (!success)
        return;
    uint32_t last = answer->latency_count - 1;
    if (success && last > 0)
        memmove(answer->latency_us + 1, answer->latency_us, last * sizeof answer->latency_us[0]);
    answer->latency_us[success ? 0 : last] = kept;
}

/* A name that is unknown, no agreement on TLS, and a proxy that wants a password are the endpoint's; whatever
 * else keeps an answer away may be over the next time. */
static llm_cause_t broken_cause(http_fault_t fault) {
    bool lasting = fault == HTTP_FAULT_NAME || fault == HTTP_FAULT_TLS || fault == HTTP_FAULT_PROXY;
    return lasting ? LLM_CAUSE_ENDPOINT : LLM_CAUSE_CONNECTION;
}

/* "connection refused: http://gpu1:8000" */
static void broken_describe(const replica_t *replica, const http_reply_t *reply, err_t *reason) {
    char address[LLM_TROUBLE_TEXT_MAX];
    replica_address(replica, address, sizeof address);
    if (reply->broken)
        err_set(reason, SDG_EIO, "%s: %s", reply->broken, address);
    else
        err_set(reason, SDG_EIO, "connection failed: %s", reply->reason);
}

/* What the reply means, before any decision: LLM_CAUSE_NONE and the text, or a cause and the reason. */
static llm_cause_t reply_read(const replica_t *replica, const http_reply_t *reply, chat_answer_t *chat,
                              err_t *reason) {
    *chat = (chat_answer_t){.text = value_null(), .reasoning = value_null()};
    switch (reply->outcome) {
    case HTTP_TIMEOUT:
        err_set(reason, SDG_EIO, "request timed out: %s", reply->reason);
        return LLM_CAUSE_TIMEOUT;
    case HTTP_BROKEN: broken_describe(replica, reply, reason); return broken_cause(reply->fault);
    case HTTP_TOO_LARGE:
        err_set(reason, SDG_ELIMIT, "the answer is larger than %zu MiB", LLM_ANSWER_BYTES_MAX >> 20);
        return LLM_CAUSE_MALFORMED;
    case HTTP_ANSWERED: break;
    }
    if (reply->status >= 300 && reply->status <= 399)
        return chat_redirect_read(reply->status, reply->location, reason);
    if (reply->status < 200 || reply->status > 299)
        return verdict_with_hint(chat_error_read(reply->status, reply->body, reply->body_len, reason),
                                 reply->status, reply->hint);
    return chat_answer_read(reply->body, reply->body_len, chat, reason);
}

static bool is_blank(value_t text) {
    const char *bytes = text.string->data;
    size_t len = text.string->len;
    text_trim(&bytes, &len);
    return len == 0;
}

static void tokens_note(llm_call_t *call, const chat_answer_t *chat) {
    llm_load_t *loads[] = {&call->route->load, &call->route->endpoint->load};
    call->answer.prompt_tokens += chat->prompt_tokens;
    call->answer.completion_tokens += chat->completion_tokens;
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        loads[i]->prompt_tokens += chat->prompt_tokens;
        loads[i]->completion_tokens += chat->completion_tokens;
    }
}

/* Is there nothing in the answer that its caller wants? Reasoning is never blank. */
static bool is_empty(const llm_call_t *call, const chat_answer_t *chat) {
    return is_blank(chat->text) && !(call->wants_reasoning && chat->reasoning.kind == VALUE_STRING);
}

/* Keeps what went wrong, for llm_engine_report. What is wrong with single calls is no trouble of the
 * endpoint. */
static void trouble_note(llm_endpoint_t *endpoint, const replica_t *replica, llm_cause_t cause,
                         const char *text, uint64_t now_ns) {
    if (cause == LLM_CAUSE_REFUSED || cause == LLM_CAUSE_DECLINED) return;
    endpoint->trouble.cause = cause;
    endpoint->trouble.at_ns = now_ns;
    endpoint->trouble.replica = (size_t)(replica - endpoint->replicas);
    utf8_copy_line(endpoint->trouble.text, sizeof endpoint->trouble.text, text, strlen(text));
}

/* --- what becomes of its call --- */

/* The error of a call: the last reason, and what was done about it. */
static void failure_describe(llm_answer_t *answer, const err_t *reason) {
    char tries[48] = "";
    if (answer->attempts > 1) snprintf(tries, sizeof tries, " (after %u attempts)", answer->attempts);
    err_set(&answer->error, reason->code, "%s%s", reason->text, tries);
    if (answer->text.kind != VALUE_STRING) return;
    /* What was kept in full may be of an earlier request. */
    bool same = strncmp(answer->text.string->data, reason->text, SAME_REASON_BYTES) == 0;
    char *full = same ? xasprintf("%s%s", answer->text.string->data, tries) : NULL;
    value_replace(&answer->text, full ? value_text(full) : value_null());
    free(full);
}

/* The server gave a completion, perhaps a blank one. */
static void call_answered(llm_engine_t *engine, llm_call_t *call, chat_answer_t *chat, retry_hint_t hint,
                          uint64_t now_ns) {
    uint32_t wait_ms;
    call->answer.attempts++;
    if (is_empty(call, chat) && call->answer.retries[LLM_CAUSE_EMPTY] + 1 < call->retry.empty_max &&
        retry_decide(&call->retry, call->answer.attempts, LLM_CAUSE_EMPTY, hint, &engine->rng, &wait_ms)) {
        value_free(chat->text);
        value_free(chat->reasoning);
        count_retry(call, LLM_CAUSE_EMPTY);
        call_back_off(engine, call, now_ns, wait_ms);
        return;
    }
    call->answer.text = chat->text;
    call->answer.reasoning = chat->reasoning;
    memcpy(call->answer.finish_reason, chat->finish_reason, sizeof call->answer.finish_reason);
    call->answer.replaced = chat->replaced;
    call_finish(engine, call, LLM_CAUSE_NONE);
}

/* An attempt is spent; the retry policy says whether there is another one. */
static void call_failed(llm_engine_t *engine, llm_call_t *call, llm_cause_t cause, const err_t *reason,
                        retry_hint_t hint, uint64_t now_ns) {
    uint32_t wait_ms;
    call->answer.attempts++;
    if (retry_decide(&call->retry, call->answer.attempts, cause, hint, &engine->rng, &wait_ms)) {
        count_retry(call, cause);
        call_back_off(engine, call, now_ns, wait_ms);
        return;
    }
    failure_describe(&call->answer, reason);
    call_finish(engine, call, cause);
}

/* The reason in full, of a failure whose error is too short for it. It goes with the answer if that was the
 * last request of the call. */
static void reason_keep(llm_call_t *call, const http_reply_t *reply, llm_cause_t cause, const char *reason) {
    buf_t full;
    value_clear(&call->answer.text);
    if (cause == LLM_CAUSE_NONE || reply->outcome != HTTP_ANSWERED) return;
    buf_init(&full, LLM_REASON_BYTES_MAX + ERR_TEXT_MAX);
    chat_reason_in_full(reason, reply->body, reply->body_len, &full);
    if (full.len > 0) {
        endpoint_key_hide(full.data, call->route->key);
        call->answer.text = value_text(full.data);
    }
    buf_free(&full);
}

/* A call that is told to come back soon waits for itself. Any other one waits for its replica, which is
 * closed or spreads its requests in time, or for another one; a replica that does neither is asked again
 * soon. */
static void call_rejected(llm_engine_t *engine, llm_call_t *call, const replica_t *replica, llm_cause_t cause,
                          retry_hint_t hint, uint64_t now_ns) {
    const health_t *health = &replica->health;
    count_retry(call, cause);
    if (hint.after_ms > 0 && hint.after_ms <= HEALTH_HOLD_MS_MAX)
        call_back_off(engine, call, now_ns, retry_after_wait_ms(hint.after_ms, &engine->rng));
    else if (health->state != HEALTH_OPEN || health->paced || health->limit > 0)
        call_requeue(engine, call, now_ns);
    else
        call_back_off(engine, call, now_ns,
                      AGAIN_MS / 2 + (uint32_t)rng_between(&engine->rng, 0, AGAIN_MS / 2));
}

/* The replica refuses whatever it is asked, it seems: another one is tried. When there is none, the call is
 * held with what was said, until an answer or somebody else decides. */
static void call_refused(llm_engine_t *engine, llm_call_t *call, size_t replica, bool unreached,
                         llm_cause_t cause, const err_t *reason, uint64_t now_ns) {
    replica_set_add(&call->refused_by, replica);
    call->refused_ns = now_ns;
    call->unreached = unreached;
    call->answer.cause = cause;
    call->answer.error = *reason;
    if (call_has_hope(call)) {
        count_retry(call, cause);
        call_requeue(engine, call, now_ns);
    } else if (engine->hold) {
        call_hold(call, now_ns);
    } else {
        call->answer.attempts++;
        call_finish(engine, call, cause);
    }
}

/* A held call that is to blame itself, as its endpoint answers others. One whose server was out of reach is
 * asked again: that cannot be its fault. */
static void call_release(llm_engine_t *engine, llm_call_t *call, bool again, uint64_t now_ns) {
    ring_remove(&call->place);
    call->refused_by = (replica_set_t){0};
    llm_cause_t cause = call->answer.cause;
    err_t reason = call->answer.error;
    if (again && call->unreached) {
        call_failed(engine, call, LLM_CAUSE_CONNECTION, &reason, retry_hint_none(), now_ns);
        return;
    }
    call->answer.attempts++;
    if (again) {
        call->route->load.faulted++;
        call->route->endpoint->load.faulted++;
    }
    call->answer.waited_ns += now_ns > call->since_ns ? now_ns - call->since_ns : 0;
    failure_describe(&call->answer, &reason);
    call_finish(engine, call, cause);
}

/* The endpoint has answered a request that was sent at this time. What was sent before the call was refused
 * says nothing: the key may have been revoked in between. */
static void held_judge(llm_engine_t *engine, llm_endpoint_t *endpoint, uint64_t sent_ns, uint64_t now_ns) {
    RING_EACH(&endpoint->held, node) {
        llm_call_t *call = RING_OWNER(node, llm_call_t, place);
        if (call->refused_ns < sent_ns) call_release(engine, call, true, now_ns);
    }
}

void llm_engine_release_held(llm_engine_t *engine, uint32_t number) {
    llm_route_t *route = llm_route_find(engine, number);
    assert(route);
    uint64_t now_ns = clock_now_ns();
    RING_EACH(&route->calls, node) {
        llm_call_t *call = RING_OWNER(node, llm_call_t, of_route);
        if (call->state == CALL_HELD) call_release(engine, call, false, now_ns);
    }
}

/* There was no descriptor, port, memory or thread for the request: this has nothing to do with the server.
 * Fewer requests at a time are begun from now on. When there is none for a single one, and that lasts, the
 * process ends. */
static void call_lacked(llm_engine_t *engine, llm_call_t *call, int error, uint64_t now_ns) {
    const uint64_t most_ns = error == EADDRNOTAVAIL ? LLM_SHORT_PORTS_NS_MAX : LLM_SHORT_NS_MAX;
    if (!engine->shortage_said) {
        log_warn("llm", "%s: %u requests at a time for now; raise `ulimit -n`", strerror(error),
                 engine->in_flight > 0 ? engine->in_flight : 1);
        engine->shortage_said = true;
    }
    if (engine->in_flight > 0)
        engine->short_since_ns = 0;
    else if (engine->short_since_ns == 0)
        engine->short_since_ns = now_ns;
    if (engine->short_since_ns && now_ns - engine->short_since_ns > most_ns)
        ending_short_of("no room for a request", error);
    engine->in_flight_max = engine->in_flight > 0 ? engine->in_flight : 1;
    engine->answers_to_grow = LLM_SHORT_ANSWERS;
    engine->short_until_ns = now_ns + SHORT_MS * MILLISECOND;
    call_requeue(engine, call, now_ns);
}

/* Answers come again: one more request at a time may find what it needs, but not with each answer, because
 * one that does not costs SHORT_MS. */
static void answered_in_shortage(llm_engine_t *engine) {
    engine->short_since_ns = 0;
    if (engine->in_flight_max == engine->in_flight_most) return;
    if (engine->answers_to_grow > 0) engine->answers_to_grow--;
    if (engine->answers_to_grow > 0) return;
    engine->in_flight_max++;
    engine->answers_to_grow = LLM_SHORT_ANSWERS;
}

static bool is_shortage(const http_reply_t *reply) {
    static const int errors[] = {EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM, EAGAIN};
    for (size_t i = 0; reply->outcome == HTTP_BROKEN && i < sizeof errors / sizeof *errors; i++) {
        if (reply->os_error == errors[i]) return true;
    }
    return false;
}

/* Tells the replica what its reply means. */
static void replica_learn(llm_engine_t *engine, replica_t *replica, health_ticket_t ticket, llm_cause_t cause,
                          const http_reply_t *reply, uint64_t now_ns) {
    health_t *health = &replica->health;
    int64_t after_ms = reply->hint.after_ms;
    switch (verdict_of(cause, reply->hint)) {
    case VERDICT_ANSWERED: health_answered(health, ticket, now_ns); return;
    case VERDICT_REJECTED:
        (cause == LLM_CAUSE_OVERLOAD ? health_overloaded : health_rejected)(health, ticket, after_ms, now_ns);
        return;
    case VERDICT_REFUSED:
        if (!engine->hold)
            health_told(health, ticket, now_ns);
        else if (reply->outcome == HTTP_BROKEN && health->answered_ns > 0)
            health_unreached(health, ticket, now_ns);
        else
            health_refused(health, ticket, now_ns);
        return;
    case VERDICT_FAILED: break;
    }
    bool ill = cause == LLM_CAUSE_CONNECTION || cause == LLM_CAUSE_TIMEOUT || cause == LLM_CAUSE_SERVER;
    (ill ? health_failed : health_told)(health, ticket, now_ns);
}

/* The request has ended with this verdict: finishes the call, or lets it wait. */
static void call_go_on(llm_engine_t *engine, llm_call_t *call, replica_t *replica, llm_cause_t cause,
                       const http_reply_t *reply, chat_answer_t *chat, const err_t *reason, uint64_t now_ns) {
    llm_endpoint_t *endpoint = call->route->endpoint;
    switch (verdict_of(cause, reply->hint)) {
    case VERDICT_ANSWERED:
        answered_in_shortage(engine);
        endpoint->answered_ns = now_ns;
        held_judge(engine, endpoint, call->flight.ticket.sent_ns, now_ns);
        call_answered(engine, call, chat, reply->hint, now_ns);
        break;
    case VERDICT_REJECTED: call_rejected(engine, call, replica, cause, reply->hint, now_ns); break;
    case VERDICT_REFUSED:
        if (replica->health.state == HEALTH_CLOSED) { /* out of reach, for now */
            count_retry(call, cause);
            call_requeue(engine, call, now_ns);
            break;
        }
        call_refused(engine, call, (size_t)(replica - endpoint->replicas), reply->outcome == HTTP_BROKEN,
                     cause, reason, now_ns);
        break;
    case VERDICT_FAILED: call_failed(engine, call, cause, reason, reply->hint, now_ns); break;
    }
}

/* Ends a request: notes what it says about the replica, then decides about the call. */
static void reply_apply(llm_engine_t *engine, const http_reply_t *reply, uint64_t now_ns) {
    llm_call_t *call = reply->owner;
    llm_endpoint_t *endpoint = call->route->endpoint;
    replica_t *replica = call->replica;
    chat_answer_t chat;
    err_t reason;
    request_end(engine, call);
    if (is_shortage(reply)) {
        health_dropped(&replica->health, call->flight.ticket);
        call_lacked(engine, call, reply->os_error, now_ns);
        return;
    }
    llm_cause_t cause = reply_read(replica, reply, &chat, &reason);
    reason_keep(call, reply, cause, reason.text);
    replica_learn(engine, replica, call->flight.ticket, cause, reply, now_ns);
    if (cause != LLM_CAUSE_NONE) {
        endpoint_key_hide(reason.text,
                          call->route->key); /* first: it looks for a cut key at the end of the text */
        trouble_note(endpoint, replica, cause, reason.text, now_ns);
    }
    replica_judge(replica);
    if (chat.streamed) endpoint->streams = true;
    tokens_note(call, &chat); /* of answers that are of no use, too: they are paid for */
    call->answer.http_status = reply->status;
    if (reply->outcome == HTTP_ANSWERED)
        latency_note(&call->answer, reply->latency_ns, cause == LLM_CAUSE_NONE);
    call_go_on(engine, call, replica, cause, reply, &chat, &reason, now_ns);
}

/* --- a request begins --- */

/* The call has left its queue; it has its unit, there is room at the endpoint, and the replica takes it. */
static void call_start(llm_engine_t *engine, llm_call_t *call, replica_t *replica, uint64_t now_ns) {
    llm_route_t *route = call->route;
    bool permitted = permit_take(&route->endpoint->permit);
    assert(permitted);
    call->replica = replica;
    replica_begin(replica, &call->flight, now_ns);
    engine->in_flight++;
    if (route->endpoint->asked_ns == 0) route->endpoint->asked_ns = now_ns;
    if (route->endpoint->streams) call->body_len = chat_request_unstream(call->body, call->body_len);
    call->answer.requests++;
    route->load.requests++;
    route->endpoint->load.requests++;
    http_post_t post = {
        .target = call->replica->targets[route->http2],
        .body = call->body,
        .body_len = call->body_len,
        .headers = call->headers ? call->headers : route->headers,
        .timeout_ms = call->timeout_ms,
        .owner = call,
    };
    call->transfer = http_start(engine->http, &post);
    call->answer.waited_ns += now_ns > call->since_ns ? now_ns - call->since_ns : 0;
    call->since_ns = now_ns;
    llm_call_set_state(call, CALL_IN_FLIGHT);
}

/* The replica that takes the call now. NULL: none does; *opens_ns is lowered to when one will. */
static replica_t *call_replica(const llm_call_t *call, uint64_t now_ns, uint64_t *opens_ns) {
    llm_endpoint_t *endpoint = call->route->endpoint;
    uint64_t at_ns;
    replica_t *replica = replicas_choose(endpoint->replicas, endpoint->replica_count, &call->refused_by,
                                         &endpoint->replica_turn, now_ns, &at_ns);
    if (at_ns < *opens_ns) *opens_ns = at_ns;
    return replica;
}

/* The first call of the route that a replica takes now, and that one. NULL: there is none. A call that no
 * replica will take any more is held. */
static llm_call_t *route_pick(llm_route_t *route, uint64_t now_ns, replica_t **replica, uint64_t *opens_ns) {
    int searched = 0;
    RING_EACH(&route->retries, node) {
        llm_call_t *call = RING_OWNER(node, llm_call_t, place);
        if (call->answer.cause != LLM_CAUSE_NONE && !call_has_hope(call)) {
            call_dequeue(call);
            call_hold(call, now_ns);
            continue;
        }
        *replica = call_replica(call, now_ns, opens_ns);
        if (*replica) return call;
        bool choosy =
            call->answer.cause != LLM_CAUSE_NONE; /* another call may have more replicas to choose from */
        if (!choosy || ++searched >= CALLS_SEARCHED_MAX) return NULL;
    }
    ring_node_t *first = ring_first(&route->queue);
    llm_call_t *call = first ? RING_OWNER(first, llm_call_t, place) : NULL;
    *replica = call ? call_replica(call, now_ns, opens_ns) : NULL;
    return *replica ? call : NULL;
}

static bool engine_has_room(const llm_engine_t *engine, uint64_t now_ns) {
    return engine->in_flight < engine->in_flight_max && engine->short_until_ns <= now_ns;
}

/* Starts the calls that have room, units and a replica, routes in turn. It ends when a whole round has found
 * none. */
static void endpoint_pump(llm_engine_t *engine, llm_endpoint_t *endpoint, uint64_t now_ns) {
    uint64_t opens_ns = HEALTH_NEVER;
    bool open = false; /* a replica was there, but no unit */
    size_t lost = 0;
    while (lost < endpoint->turn_count && permit_free(&endpoint->permit) > 0 &&
           engine_has_room(engine, now_ns)) {
        llm_route_t *route = RING_OWNER(ring_first(&endpoint->turns), llm_route_t, turn);
        replica_t *replica;
        llm_call_t *call = route_pick(route, now_ns, &replica, &opens_ns);
        if (route->turn.next) { /* unless its last call is held now */
            ring_remove(&route->turn);
            ring_add_last(&endpoint->turns, &route->turn);
        }
        if (!call || (call->permit && !permit_take(call->permit))) {
            open = open || call;
            lost++;
            continue;
        }
        call->has_unit = call->permit;
        call_dequeue(call);
        call_start(engine, call, replica, now_ns);
        lost = 0;
    }
    bool shut = lost >= endpoint->turn_count && !open;
    endpoint->opens_ns = shut ? opens_ns : 0;
    llm_endpoint_watch(engine, endpoint);
}

/* Starts calls of all hungry endpoints. Another endpoint is the first each time: when units are short, the
 * first one gets them. */
static void hungry_pump(llm_engine_t *engine, uint64_t now_ns) {
    ring_node_t *first = ring_first(&engine->hungry);
    RING_EACH(&engine->hungry, node) {
        endpoint_pump(engine, RING_OWNER(node, llm_endpoint_t, hungry), now_ns);
    }
    if (!first || !first->next) return;
    ring_remove(first);
    ring_add_last(&engine->hungry, first);
}

/* --- drive --- */

static void retries_wake(llm_engine_t *engine, uint64_t now_ns) {
    for (const heap_item_t *first; (first = heap_first(&engine->back_offs)) && first->key <= now_ns;)
        call_enqueue(engine, heap_pop(&engine->back_offs).pointer, true);
}

/* Gives back the units that callers have brought, so that retries, which are older, may take them. */
static void fresh_units_give(llm_engine_t *engine) {
    for (ring_node_t *node; (node = ring_first(&engine->fresh));) {
        ring_remove(node);
        llm_call_give_unit(RING_OWNER(node, llm_call_t, fresh));
    }
}

void llm_engine_drive(llm_engine_t *engine, uint64_t now_ns) {
    if (engine->routes_open == 0) return;
    http_drive(engine->http);
    for (http_reply_t reply; http_next(engine->http, &reply);) {
        reply_apply(engine, &reply, now_ns);
        http_release(engine->http, reply.transfer);
    }
    retries_wake(engine, now_ns);
    fresh_units_give(engine);
    hungry_pump(engine, now_ns);
    http_flush(engine->http);
}

int llm_engine_fd(const llm_engine_t *engine) { return http_fd(engine->http); }

/* --- time-outs --- */

static llm_call_t *route_front(llm_route_t *route) {
    ring_node_t *node = ring_first(&route->retries);
    if (!node) node = ring_first(&route->queue);
    return RING_OWNER(node, llm_call_t, place);
}

/* When a call of the endpoint can start, as far as units go; NEVER: none can. */
static uint64_t endpoint_due_ns(llm_endpoint_t *endpoint) {
    RING_EACH(&endpoint->turns, node) {
        const llm_call_t *call = route_front(RING_OWNER(node, llm_route_t, turn));
        if (!call->permit || call->has_unit || permit_free(call->permit) > 0) return endpoint->opens_ns;
    }
    return NEVER;
}

/* When a call can start; 0: at once. */
static uint64_t start_due_ns(const llm_engine_t *engine) {
    uint64_t due_ns = NEVER;
    if (!ring_empty(&engine->fresh)) return 0;
    if (engine->in_flight >= engine->in_flight_max) return NEVER; /* the end of a request comes first */
    RING_EACH(&engine->hungry, node) {
        uint64_t at_ns = endpoint_due_ns(RING_OWNER(node, llm_endpoint_t, hungry));
        if (at_ns < due_ns) due_ns = at_ns;
    }
    return due_ns < engine->short_until_ns ? engine->short_until_ns : due_ns;
}

int llm_engine_timeout_ms(const llm_engine_t *engine, uint64_t now_ns) {
    if (engine->routes_open == 0) return -1;
    if (!ring_empty(&engine->finished)) return 0;
    uint64_t due_ns = http_due_ns(engine->http), start_ns = start_due_ns(engine);
    const heap_item_t *first = heap_first(&engine->back_offs);
    if (first && first->key < due_ns) due_ns = first->key;
    if (start_ns < due_ns) due_ns = start_ns;
    if (due_ns == NEVER) return -1;
    if (due_ns <= now_ns) return 0;
    uint64_t ms = (due_ns - now_ns + MILLISECOND - 1) / MILLISECOND;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* --- submit, cancel, next --- */

/* A call with a copy of the body. It belongs to the route, but is in no place yet. */
static llm_call_t *call_new(llm_route_t *route, const llm_request_t *request, uint64_t tag) {
    llm_call_t *call = xmalloc(sizeof *call + request->body_len + CHAT_UNSTREAM_BYTES + 1);
    memset(call, 0, sizeof *call);
    call->tag = call->answer.tag = tag;
    call->route = route;
    call->permit = call->answer.permit = request->permit;
    call->has_unit = request->has_unit;
    call->retry = request->retry ? *request->retry : route->retry;
    call->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : route->timeout_ms;
    call->wants_reasoning = request->wants_reasoning;
    call->body_len = request->body_len;
    memcpy(call->body, request->body, request->body_len);
    call->body[request->body_len] = '\0';
    ring_add_last(&route->calls, &call->of_route);
    return call;
}

/* A call that brings a unit is in `fresh` until the next drive. */
int llm_engine_submit(llm_engine_t *engine, const llm_request_t *request, uint64_t tag, err_t *err) {
    llm_route_t *route = llm_route_find(engine, request->route);
    http_headers_t *headers = NULL;
    assert(request->permit || !request->has_unit);
    if (!route) return err_set(err, SDG_EINVAL, "there is no route %u", request->route);
    if (idmap_get(&engine->calls, tag))
        return err_set(err, SDG_EINVAL, "call %llu is still open", (unsigned long long)tag);
    if (request->header_count > 0 &&
        http_headers_new(route->headers, request->headers, request->header_count, &headers, err) != SDG_OK)
        return SDG_EINVAL;
    llm_call_t *call = call_new(route, request, tag);
    call->headers = headers;
    idmap_add(&engine->calls, tag, call);
    if (call->has_unit) ring_add_last(&engine->fresh, &call->fresh);
    call->since_ns = clock_now_ns();
    call_enqueue(engine, call, false);
    return SDG_OK;
}

void llm_call_leave(llm_engine_t *engine, llm_call_t *call) {
    switch (call->state) {
    case CALL_QUEUED:
        ring_remove(&call->fresh);
        call_dequeue(call);
        llm_endpoint_watch(engine, call->route->endpoint);
        break;
    case CALL_BACKING_OFF: heap_remove(&engine->back_offs, &call->due_place); break;
    case CALL_IN_FLIGHT:
        http_abort(engine->http, call->transfer);
        health_dropped(&call->replica->health, call->flight.ticket);
        request_end(engine, call);
        break;
    case CALL_HELD:
    case CALL_FINISHED: ring_remove(&call->place); break;
    case CALL_NEW: assert(false); /* llm_engine_submit leaves no call in this state */
    }
}

void llm_engine_cancel(llm_engine_t *engine, uint64_t tag) {
    llm_call_t *call = idmap_get(&engine->calls, tag);
    if (!call) return;
    llm_call_leave(engine, call);
    err_set(&call->answer.error, SDG_ECANCELLED, "cancelled");
    call_finish(engine, call, LLM_CAUSE_CANCELLED);
}

bool llm_engine_next(llm_engine_t *engine, llm_answer_t *answer) {
    ring_node_t *node = ring_first(&engine->finished);
    if (!node) return false;
    llm_call_t *call = RING_OWNER(node, llm_call_t, place);
    ring_remove(node);
    *answer = call->answer;
    answer->has_unit = call->has_unit;
    call->answer.text = call->answer.reasoning = value_null();
    llm_call_free(call);
    return true;
}

/* --- the engine --- */

llm_engine_t *llm_engine_new(const llm_engine_options_t *options, err_t *err) {
    http_options_t http_options = {.connections_max = options->connections_max,
                                   .sockets_max = options->in_flight_max};
    http_t *http = http_new(&http_options, err);
    if (!http) return NULL;
    llm_engine_t *engine = xcalloc(1, sizeof *engine);
    engine->http = http;
    engine->hold = options->hold;
    engine->in_flight_most = engine->in_flight_max =
        options->in_flight_max > 0 ? options->in_flight_max : UINT32_MAX;
    rng_seed(&engine->rng, options->seed, 0);
    ring_init(&engine->endpoints);
    ring_init(&engine->hungry);
    ring_init(&engine->fresh);
    ring_init(&engine->finished);
    return engine;
}

void llm_engine_destroy(llm_engine_t **slot) {
    llm_engine_t *engine = *slot;
    if (!engine) return;
    *slot = NULL;
    for (uint32_t i = 0; i < engine->route_count; i++)
        if (engine->routes[i]) llm_engine_close_route(engine, i);
    http_destroy(&engine->http);
    idmap_free(&engine->calls);
    heap_free(&engine->back_offs);
    free(engine->routes);
    free(engine);
}
