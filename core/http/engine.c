/* client.c - see client.h.
 *
 * The one idea: a call is always in exactly one place, and its state names it: in its endpoint's queue, in
 * the HTTP engine, in the heap of retry times, or in the list of finished calls. Moving on means leaving one
 * place and entering the next; call_set_state keeps the endpoint's gauges. So there is exactly one answer per
 * call, however it ends.
 *
 * A retried call enters its queue at the front: rows that have begun finish before new ones start.
 * Permits, queue and counters belong to the endpoint, health to the replica.
 */
#include "core/http/engine.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/llm/chat.h"
#include "core/llm/endpoint.h"
#include "core/http/http.h"
#include "core/llm/limits.h"

enum {
    PERMITS_FIRST = 8,            /* until the limiter says otherwise */
    TIMEOUT_DEFAULT_MS = 3600000, /* documented */
    AVOID_FIRST_MS = 250,         /* a replica that failed is passed over this long, doubling ... */
    AVOID_DOUBLINGS = 7,          /* ... up to half a minute */
};
static const uint64_t NEVER = UINT64_MAX;

typedef enum call_state {
    CALL_NEW,
    CALL_QUEUED,
    CALL_IN_FLIGHT,
    CALL_BACKING_OFF,
    CALL_FINISHED
} call_state_t;

typedef struct call call_t;
typedef struct endpoint endpoint_t;

typedef struct replica {
    http_target_t *target; /* the engine's */
    uint32_t in_flight;
    uint32_t failures;       /* in a row */
    uint64_t avoid_until_ns; /* passed over until then if another replica will do */
} replica_t;

struct call {
    call_t *next, *prev; /* in the queue or the finished list */
    call_t *tag_next;    /* in its bucket of the tag table */
    uint64_t tag;        /* the caller's */
    call_state_t state;
    endpoint_t *endpoint;
    replica_t *replica;        /* while in flight */
    http_transfer_t *transfer; /* while in flight */
    uint64_t due_ns;           /* while backing off */
    size_t heap_index;         /* while backing off */
    http_headers_t *headers;   /* owned; NULL: the endpoint's */
    retry_policy_t retry;
    uint32_t timeout_ms;
    llm_answer_t answer; /* what is known so far */
    size_t body_len;
    char body[];
};

typedef struct call_list {
    call_t *first, *last;
} call_list_t;

struct endpoint {
    char *name;
    replica_t *replicas;
    size_t replica_count;
    size_t replica_turn;     /* where the search for a replica begins: equals take turns */
    http_headers_t *headers; /* owned, borrowed by requests */
    char *key;               /* owned; NULL: none. Only to keep it out of what servers say */
    retry_policy_t retry;
    uint32_t timeout_ms;
    call_list_t queue;
    llm_load_t load; /* permits, gauges and counters */
};

struct llm_engine {
    http_t *http;
    rng_t rng;              /* jitter */
    endpoint_t **endpoints; /* addresses stay */
    size_t endpoint_count;
    call_t **heap; /* calls backing off, earliest first */
    size_t heap_count, heap_cap;
    call_list_t finished; /* until llm_engine_next */
    call_t **buckets;     /* unfinished calls by tag; a power of two of them */
    size_t bucket_count, call_count;
};

/* --- places a call can be in: lists --- */

static void list_push_back(call_list_t *list, call_t *call) {
    call->next = NULL;
    call->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = call;
    list->last = call;
}

static void list_push_front(call_list_t *list, call_t *call) {
    call->prev = NULL;
    call->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = call;
    list->first = call;
}

static void list_unlink(call_list_t *list, call_t *call) {
    *(call->prev ? &call->prev->next : &list->first) = call->next;
    *(call->next ? &call->next->prev : &list->last) = call->prev;
    call->next = call->prev = NULL;
}

/* --- the heap of retry times --- */

static void heap_put(llm_engine_t *client, size_t i, call_t *call) {
    client->heap[i] = call;
    call->heap_index = i;
}

static void heap_rise(llm_engine_t *client, call_t *call) {
    size_t i = call->heap_index;
    for (; i > 0 && client->heap[(i - 1) / 2]->due_ns > call->due_ns; i = (i - 1) / 2)
        heap_put(client, i, client->heap[(i - 1) / 2]);
    heap_put(client, i, call);
}

static void heap_sink(llm_engine_t *client, call_t *call) {
    size_t i = call->heap_index;
    for (size_t child; (child = 2 * i + 1) < client->heap_count; i = child) {
        if (child + 1 < client->heap_count && client->heap[child + 1]->due_ns < client->heap[child]->due_ns)
            child++;
        if (client->heap[child]->due_ns >= call->due_ns) break;
        heap_put(client, i, client->heap[child]);
    }
    heap_put(client, i, call);
}

static void heap_add(llm_engine_t *client, call_t *call) {
    if (client->heap_count == client->heap_cap) {
        client->heap_cap = client->heap_cap > 0 ? client->heap_cap * 2 : 64;
        client->heap = xrealloc(client->heap, client->heap_cap * sizeof *client->heap);
    }
    heap_put(client, client->heap_count++, call);
    heap_rise(client, call);
}

static void heap_remove(llm_engine_t *client, call_t *call) {
    call_t *last = client->heap[--client->heap_count];
    if (last == call) return;
    heap_put(client, call->heap_index, last);
    heap_rise(client, last);
    heap_sink(client, last);
}

/* --- calls by tag --- */

static call_t **bucket_of(const llm_engine_t *client, uint64_t tag) {
    return &client->buckets[(tag * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (client->bucket_count - 1)];
}

static call_t *tag_find(const llm_engine_t *client, uint64_t tag) {
    call_t *call = client->call_count > 0 ? *bucket_of(client, tag) : NULL;
    while (call && call->tag != tag)
        call = call->tag_next;
    return call;
}

static void buckets_grow(llm_engine_t *client) {
    call_t **old = client->buckets;
    size_t old_count = client->bucket_count;
    client->bucket_count = old_count > 0 ? old_count * 2 : 256;
    client->buckets = xcalloc(client->bucket_count, sizeof *client->buckets);
    for (size_t i = 0; i < old_count; i++)
        for (call_t *next, *call = old[i]; call; call = next) {
            call_t **bucket = bucket_of(client, call->tag);
            next = call->tag_next;
            call->tag_next = *bucket;
            *bucket = call;
        }
    free(old);
}

static void tag_add(llm_engine_t *client, call_t *call) {
    if (client->call_count >= client->bucket_count) buckets_grow(client);
    call_t **bucket = bucket_of(client, call->tag);
    call->tag_next = *bucket;
    *bucket = call;
    client->call_count++;
}

static void tag_remove(llm_engine_t *client, call_t *call) {
    call_t **at = bucket_of(client, call->tag);
    while (*at != call)
        at = &(*at)->tag_next;
    *at = call->tag_next;
    client->call_count--;
}

/* --- the life of a call --- */

static uint32_t *gauge_of(call_t *call, call_state_t state) {
    llm_load_t *load = &call->endpoint->load;
    switch (state) {
    case CALL_QUEUED: return &load->queued;
    case CALL_IN_FLIGHT: return &load->in_flight;
    case CALL_BACKING_OFF: return &load->backing_off;
    default: return NULL;
    }
}

static void call_set_state(call_t *call, call_state_t state) {
    uint32_t *left = gauge_of(call, call->state), *entered = gauge_of(call, state);
    if (left) --*left;
    if (entered) ++*entered;
    call->state = state;
}

static void call_free(call_t *call) {
    http_headers_free(call->headers);
    value_free(call->answer.text);
    free(call);
}

static void call_finish(llm_engine_t *client, call_t *call, llm_cause_t cause) {
    call->answer.cause = cause;
    if (cause == LLM_CAUSE_NONE)
        call->endpoint->load.succeeded++;
    else if (cause != LLM_CAUSE_CANCELLED)
        call->endpoint->load.failed++;
    tag_remove(client, call);
    call_set_state(call, CALL_FINISHED);
    list_push_back(&client->finished, call);
}

static void call_back_off(llm_engine_t *client, call_t *call, llm_cause_t cause, uint64_t now_ns,
                          uint32_t wait_ms) {
    call->answer.retries[cause]++;
    call->endpoint->load.retries[cause]++;
    call->due_ns = now_ns + wait_ms * MILLISECOND;
    call_set_state(call, CALL_BACKING_OFF);
    heap_add(client, call);
}

/* The last reason, and what was done about it. */
static void failure_describe(llm_answer_t *answer, const err_t *reason, retry_hint_t hint) {
    char wait[64] = "", tries[48] = "";
    if (hint.after_ms > LLM_RETRY_AFTER_MAX_S * INT64_C(1000))
        snprintf(wait, sizeof wait, " (the server asks to wait %lld s)", (long long)(hint.after_ms / 1000));
    if (answer->requests > 1) snprintf(tries, sizeof tries, " (after %u attempts)", answer->requests);
    err_set(&answer->error, reason->code, "%s%s%s", reason->text, wait, tries);
}

/* --- replicas --- */

static bool replica_is_better(const replica_t *a, const replica_t *b, uint64_t now_ns) {
    bool a_avoided = a->avoid_until_ns > now_ns, b_avoided = b->avoid_until_ns > now_ns;
    return a_avoided != b_avoided ? b_avoided : a->in_flight < b->in_flight;
}

static replica_t *replica_choose(endpoint_t *endpoint, uint64_t now_ns) {
    size_t count = endpoint->replica_count, turn = endpoint->replica_turn;
    replica_t *best = &endpoint->replicas[turn];
    for (size_t i = 1; i < count; i++) {
        replica_t *other = &endpoint->replicas[(turn + i) % count];
        if (replica_is_better(other, best, now_ns)) best = other;
    }
    endpoint->replica_turn = (size_t)(best - endpoint->replicas + 1) % count;
    return best;
}

/* Without this a dead replica would draw every request: it has the fewest in flight because it fails at
 * once. */
static void replica_learn(replica_t *replica, llm_cause_t cause, uint64_t now_ns) {
    bool ill = cause == LLM_CAUSE_CONNECTION || cause == LLM_CAUSE_TIMEOUT || cause == LLM_CAUSE_SERVER ||
               cause == LLM_CAUSE_OVERLOAD;
    if (!ill) {
        replica->failures = 0;
        replica->avoid_until_ns = 0;
        return;
    }
    if (replica->avoid_until_ns > now_ns) return; /* requests sent before we knew say nothing new */
    uint32_t doublings = replica->failures < AVOID_DOUBLINGS ? replica->failures : AVOID_DOUBLINGS;
    replica->failures++;
    replica->avoid_until_ns = now_ns + ((uint64_t)AVOID_FIRST_MS << doublings) * MILLISECOND;
}

/* --- a request ends --- */

static void request_end(call_t *call) {
    call->replica->in_flight--;
    call->replica = NULL;
    call->transfer = NULL;
}

/* Latencies are kept in order, but the successful one stands first. */
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

/* What the reply means, before any decision: a cause, and the text or the reason. */
static llm_cause_t reply_read(const http_reply_t *reply, chat_answer_t *chat, err_t *reason) {
    *chat = (chat_answer_t){.text = value_null()};
    switch (reply->outcome) {
    case HTTP_TIMEOUT:
        err_set(reason, SDG_EIO, "request timed out: %s", reply->reason);
        return LLM_CAUSE_TIMEOUT;
    case HTTP_BROKEN:
        err_set(reason, SDG_EIO, "connection failed: %s", reply->reason);
        return LLM_CAUSE_CONNECTION;
    case HTTP_TOO_LARGE:
        err_set(reason, SDG_ELIMIT, "the answer is larger than %zu MiB", LLM_ANSWER_BYTES_MAX >> 20);
        return LLM_CAUSE_MALFORMED;
    case HTTP_ANSWERED: break;
    }
    if (reply->status < 200 || reply->status > 299)
        return chat_error_read(reply->status, reply->body, reply->body_len, reason);
    return chat_answer_read(reply->body, reply->body_len, chat, reason);
}

static bool is_blank(value_t text) {
    const char *bytes = text.string->data;
    size_t len = text.string->len;
    text_trim(&bytes, &len);
    return len == 0;
}

static void tokens_note(call_t *call, const chat_answer_t *chat) {
    call->answer.prompt_tokens += chat->prompt_tokens;
    call->answer.completion_tokens += chat->completion_tokens;
    call->endpoint->load.prompt_tokens += chat->prompt_tokens;
    call->endpoint->load.completion_tokens += chat->completion_tokens;
}

/* A completion, perhaps blank. */
static void call_answered(llm_engine_t *client, call_t *call, chat_answer_t *chat, retry_hint_t hint,
                          uint64_t now_ns) {
    uint32_t wait_ms;
    tokens_note(call, chat);
    if (is_blank(chat->text) && call->answer.retries[LLM_CAUSE_EMPTY] < LLM_EMPTY_RETRIES &&
        retry_decide(&call->retry, call->answer.requests, LLM_CAUSE_EMPTY, hint, &client->rng, &wait_ms)) {
        value_free(chat->text);
        call_back_off(client, call, LLM_CAUSE_EMPTY, now_ns, wait_ms);
        return;
    }
    call->answer.text = chat->text;
    memcpy(call->answer.finish_reason, chat->finish_reason, sizeof call->answer.finish_reason);
    call_finish(client, call, LLM_CAUSE_NONE);
}

static void call_failed(llm_engine_t *client, call_t *call, llm_cause_t cause, err_t *reason,
                        retry_hint_t hint, uint64_t now_ns) {
    uint32_t wait_ms;
    if (retry_decide(&call->retry, call->answer.requests, cause, hint, &client->rng, &wait_ms)) {
        call_back_off(client, call, cause, now_ns, wait_ms);
        return;
    }
    endpoint_key_hide(reason->text, call->endpoint->key); /* before more words follow: its end may be cut */
    failure_describe(&call->answer, reason, hint);
    call_finish(client, call, cause);
}

static void reply_settle(llm_engine_t *client, const http_reply_t *reply, uint64_t now_ns) {
    call_t *call = reply->owner;
    chat_answer_t chat;
    err_t reason;
    llm_cause_t cause = reply_read(reply, &chat, &reason);
    replica_learn(call->replica, cause, now_ns);
    request_end(call);
    call->answer.http_status = reply->status;
    if (reply->outcome == HTTP_ANSWERED)
        latency_note(&call->answer, reply->latency_ns, cause == LLM_CAUSE_NONE);
    if (cause == LLM_CAUSE_NONE)
        call_answered(client, call, &chat, reply->hint, now_ns);
    else
        call_failed(client, call, cause, &reason, reply->hint, now_ns);
}

/* --- a request begins --- */

static void call_start(llm_engine_t *client, call_t *call, uint64_t now_ns) {
    endpoint_t *endpoint = call->endpoint;
    call->replica = replica_choose(endpoint, now_ns);
    call->replica->in_flight++;
    call->answer.requests++;
    endpoint->load.requests++;
    http_post_t post = {
        .target = call->replica->target,
        .body = call->body,
        .body_len = call->body_len,
        .headers = call->headers ? call->headers : endpoint->headers,
        .timeout_ms = call->timeout_ms,
        .owner = call,
    };
    call->transfer = http_start(client->http, &post);
    call_set_state(call, CALL_IN_FLIGHT);
}

static bool endpoint_can_start(const endpoint_t *endpoint) {
    return endpoint->queue.first && endpoint->load.in_flight < endpoint->load.permits;
}

static void endpoint_pump(llm_engine_t *client, endpoint_t *endpoint, uint64_t now_ns) {
    while (endpoint_can_start(endpoint)) {
        call_t *call = endpoint->queue.first;
        list_unlink(&endpoint->queue, call);
        call_start(client, call, now_ns);
    }
}

static void retries_wake(llm_engine_t *client, uint64_t now_ns) {
    while (client->heap_count > 0 && client->heap[0]->due_ns <= now_ns) {
        call_t *call = client->heap[0];
        heap_remove(client, call);
        call_set_state(call, CALL_QUEUED);
        list_push_front(&call->endpoint->queue, call);
    }
}

void llm_engine_drive(llm_engine_t *client, uint64_t now_ns) {
    http_drive(client->http);
    for (http_reply_t reply; http_next(client->http, &reply);) {
        reply_settle(client, &reply, now_ns);
        http_release(client->http, reply.transfer);
    }
    retries_wake(client, now_ns);
    for (size_t i = 0; i < client->endpoint_count; i++)
        endpoint_pump(client, client->endpoints[i], now_ns);
    http_flush(client->http);
}

int llm_engine_fd(const llm_engine_t *client) { return http_fd(client->http); }

static bool something_can_start(const llm_engine_t *client) {
    for (size_t i = 0; i < client->endpoint_count; i++)
        if (endpoint_can_start(client->endpoints[i])) return true;
    return false;
}

int llm_engine_timeout_ms(const llm_engine_t *client, uint64_t now_ns) {
    if (client->finished.first || something_can_start(client)) return 0;
    uint64_t due_ns = http_due_ns(client->http);
    if (client->heap_count > 0 && client->heap[0]->due_ns < due_ns) due_ns = client->heap[0]->due_ns;
    if (due_ns == NEVER) return -1;
    if (due_ns <= now_ns) return 0;
    uint64_t ms = (due_ns - now_ns + MILLISECOND - 1) / MILLISECOND;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

bool llm_engine_next(llm_engine_t *client, llm_answer_t *answer) {
    call_t *call = client->finished.first;
    if (!call) return false;
    list_unlink(&client->finished, call);
    *answer = call->answer;
    call->answer.text = value_null();
    call_free(call);
    return true;
}

/* --- submit, cancel --- */

static int request_check(const llm_engine_t *client, const llm_request_t *request, uint64_t tag, err_t *err) {
    if (request->endpoint >= client->endpoint_count)
        return err_set(err, SDG_EINVAL, "there is no endpoint %u", request->endpoint);
    if (tag_find(client, tag))
        return err_set(err, SDG_EINVAL, "call %llu is still open", (unsigned long long)tag);
    return SDG_OK;
}

static call_t *call_new(endpoint_t *endpoint, const llm_request_t *request, uint64_t tag) {
    call_t *call = xmalloc(sizeof *call + request->body_len + 1);
    memset(call, 0, sizeof *call);
    call->tag = call->answer.tag = tag;
    call->endpoint = endpoint;
    call->retry = request->retry ? *request->retry : endpoint->retry;
    call->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : endpoint->timeout_ms;
    call->body_len = request->body_len;
    memcpy(call->body, request->body, request->body_len);
    call->body[request->body_len] = '\0';
    return call;
}

int llm_engine_submit(llm_engine_t *client, const llm_request_t *request, uint64_t tag, err_t *err) {
    if (request_check(client, request, tag, err) != SDG_OK) return SDG_EINVAL;
    endpoint_t *endpoint = client->endpoints[request->endpoint];
    http_headers_t *headers = NULL;
    if (request->header_count > 0 &&
        http_headers_new(endpoint->headers, request->headers, request->header_count, &headers, err) != SDG_OK)
        return SDG_EINVAL;
    call_t *call = call_new(endpoint, request, tag);
    call->headers = headers;
    tag_add(client, call);
    call_set_state(call, CALL_QUEUED);
    list_push_back(&endpoint->queue, call);
    return SDG_OK;
}

void llm_engine_cancel(llm_engine_t *client, uint64_t tag) {
    call_t *call = tag_find(client, tag);
    if (!call) return;
    switch (call->state) {
    case CALL_QUEUED: list_unlink(&call->endpoint->queue, call); break;
    case CALL_BACKING_OFF: heap_remove(client, call); break;
    case CALL_IN_FLIGHT:
        http_abort(client->http, call->transfer);
        request_end(call);
        break;
    case CALL_NEW:
    case CALL_FINISHED: assert(false); /* neither is in the tag table */
    }
    err_set(&call->answer.error, SDG_ECANCELLED, "cancelled");
    call_finish(client, call, LLM_CAUSE_CANCELLED);
}

/* --- endpoints --- */

static void endpoint_free(endpoint_t *endpoint) {
    free(endpoint->name);
    free(endpoint->key);
    free(endpoint->replicas);
    http_headers_free(endpoint->headers);
    free(endpoint);
}

static int endpoint_headers_set(endpoint_t *endpoint, const llm_endpoint_t *from, err_t *err) {
    endpoint_headers_t lines;
    int rc = endpoint_headers_make(from->api_key, from->headers, from->header_count, true, &lines, err);
    if (rc == SDG_OK)
        rc = http_headers_new(NULL, (const char *const *)lines.lines, lines.count, &endpoint->headers, err);
    endpoint_headers_free(&lines);
    return rc;
}

static int endpoint_replicas_make(llm_engine_t *client, endpoint_t *endpoint, const llm_endpoint_t *from,
                                  err_t *err) {
    static const char *const default_url = NULL;
    const char *const *bases = from->url_count > 0 ? from->base_urls : &default_url;
    endpoint->replica_count = from->url_count > 0 ? from->url_count : 1;
    endpoint->replicas = xcalloc(endpoint->replica_count, sizeof *endpoint->replicas);
    for (size_t i = 0; i < endpoint->replica_count; i++) {
        char *url = endpoint_url(bases[i], ENDPOINT_CHAT);
        endpoint->replicas[i].target = http_target_new(client->http, url, err);
        free(url);
        if (!endpoint->replicas[i].target) return SDG_EINVAL;
    }
    return SDG_OK;
}

static endpoint_t *endpoint_new(const llm_endpoint_t *from) {
    endpoint_t *endpoint = xcalloc(1, sizeof *endpoint);
    endpoint->name = xstrdup(from->name ? from->name : "");
    if (from->api_key) endpoint->key = xstrdup(from->api_key);
    endpoint->retry = from->retry;
    endpoint->timeout_ms = from->timeout_ms > 0 ? from->timeout_ms : TIMEOUT_DEFAULT_MS;
    endpoint->load.permits = PERMITS_FIRST;
    return endpoint;
}

int llm_engine_add_endpoint(llm_engine_t *client, const llm_endpoint_t *from, err_t *err) {
    if (client->endpoint_count >= LLM_ENDPOINTS_MAX || from->url_count > LLM_REPLICAS_MAX)
        return err_set(err, SDG_ELIMIT, "more than %d endpoints, or %d URLs of one", LLM_ENDPOINTS_MAX,
                       LLM_REPLICAS_MAX);
    endpoint_t *endpoint = endpoint_new(from);
    int rc = endpoint_headers_set(endpoint, from, err);
    if (rc == SDG_OK) rc = endpoint_replicas_make(client, endpoint, from, err);
    if (rc != SDG_OK) {
        err_prefix(err, "model %s", endpoint->name);
        endpoint_free(endpoint);
        return rc;
    }
    client->endpoints = xrealloc(client->endpoints, (client->endpoint_count + 1) * sizeof(endpoint_t *));
    client->endpoints[client->endpoint_count] = endpoint;
    return (int)client->endpoint_count++;
}

void llm_engine_set_permits(llm_engine_t *client, uint32_t endpoint, uint32_t permits) {
    assert(endpoint < client->endpoint_count);
    client->endpoints[endpoint]->load.permits = permits < LLM_PERMITS_MAX ? permits : LLM_PERMITS_MAX;
}

void llm_engine_load(const llm_engine_t *client, uint32_t endpoint, llm_load_t *load) {
    assert(endpoint < client->endpoint_count);
    *load = client->endpoints[endpoint]->load;
}

/* --- the client --- */

llm_engine_t *llm_engine_new(const llm_engine_options_t *options, err_t *err) {
    http_options_t http_options = {.http2 = options->http2, .connections_max = options->connections_max};
    http_t *http = http_new(&http_options, err);
    if (!http) return NULL;
    llm_engine_t *client = xcalloc(1, sizeof *client);
    client->http = http;
    rng_seed(&client->rng, options->seed, 0);
    return client;
}

void llm_engine_destroy(llm_engine_t **slot) {
    llm_engine_t *client = *slot;
    if (!client) return;
    *slot = NULL;
    http_destroy(&client->http); /* before the bodies and headers it borrows */
    for (size_t i = 0; i < client->bucket_count; i++)
        for (call_t *next, *call = client->buckets[i]; call; call = next) {
            next = call->tag_next;
            call_free(call);
        }
    for (call_t *next, *call = client->finished.first; call; call = next) {
        next = call->next;
        call_free(call);
    }
    for (size_t i = 0; i < client->endpoint_count; i++)
        endpoint_free(client->endpoints[i]);
    free(client->endpoints);
    free(client->heap);
    free(client->buckets);
    free(client);
}
