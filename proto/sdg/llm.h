/* <sdg/llm.h> - calls of LLM servers that speak the OpenAI chat API: thousands in flight in one thread.
 *
 * One descriptor stands for everything: poll sdg_llm_fd in any event loop, at most sdg_llm_timeout_ms long,
 * call sdg_llm_drive, then take finished calls with sdg_llm_next until it returns NULL. Nothing blocks and
 * nothing calls back.
 *
 * A call waits until its endpoint has a permit, becomes one HTTP request, perhaps waits for a retry (which
 * holds no permit) and becomes another one, and is finished: each call exactly once, cancelled ones too. That
 * a call fails is no error of a function; it stands in its answer.
 *
 * Retried: 408, 409, 5xx, failed connections, timeouts, bodies that are no answer; not a quota that is used
 * up, nor any other 4xx. Retry-After-Ms, Retry-After (up to 120 s; longer fails the call) and x-should-retry
 * are obeyed, otherwise waits grow from retry_base_ms by retry_factor up to retry_cap_ms.
 *
 * Not counted as attempts: 429, and 503 with Retry-After or of a full queue. Such a call waits, whatever
 * Retry-After says, and requests to its endpoint are spread in time; sdg_llm_cancel ends the wait.
 *
 * One descriptor is open for each request in flight: raise RLIMIT_NOFILE, and ignore SIGPIPE before you
 * start. */
#ifndef SDG_PUBLIC_LLM_H
#define SDG_PUBLIC_LLM_H

#include <sdg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sdg_llm sdg_llm_t;

typedef struct sdg_llm_options {
    size_t size;              /* sizeof(sdg_llm_options_t) */
    uint32_t connections_max; /* kept open for each endpoint; 0: as many as permits */
    uint64_t seed;            /* of the jitter in waits */
} sdg_llm_options_t;

typedef struct sdg_endpoint {
    size_t size;      /* sizeof(sdg_endpoint_t) */
    const char *name; /* for error sentences; NULL: "endpoint" */
    /* One for each replica: a request goes to the one with the fewest in flight, and one that fails is passed
     * over for a while. "/v1" is added where it is missing, then "/chat/completions". */
    const char *const *urls;
    size_t url_count;           /* at most 256; 0: https://api.openai.com */
    const char *api_key;        /* NULL or "": no Authorization header */
    const char *const *headers; /* further "Name: value" lines; may be NULL */
    size_t header_count;
    uint32_t timeout_ms;    /* of one request; 0: an hour */
    uint32_t attempts_max;  /* requests of one call in all; 0: 10 */
    uint32_t retry_base_ms; /* first wait; 0: 1000 */
    uint32_t retry_cap_ms;  /* longest wait; 0: 30000 */
    double retry_factor;    /* of each wait to the one before; 0: 2, 1: all are the same */
    bool accept_empty;      /* a blank answer is an answer; otherwise it is asked for again, twice */
    bool http2;             /* ask for HTTP/2 over TLS */
} sdg_endpoint_t;

/* Why a call failed. A later library may know more. */
typedef enum sdg_cause {
    SDG_CAUSE_NONE = 0,       /* it did not */
    SDG_CAUSE_RATE_LIMIT = 1, /* 429 */
    SDG_CAUSE_OVERLOAD = 2,   /* 503 that says when to come back, or that its queue is full */
    SDG_CAUSE_SERVER = 3,     /* other 5xx, 409 */
    SDG_CAUSE_TIMEOUT = 4,    /* ours, or 408 */
    SDG_CAUSE_CONNECTION = 5, /* refused, reset, DNS, TLS, a body cut short */
    SDG_CAUSE_MALFORMED = 6,  /* 200 with a body that is no answer, or one above 16 MiB */
    SDG_CAUSE_EMPTY = 7,      /* a blank answer */
    SDG_CAUSE_REFUSED = 8,    /* 4xx that is final: the request itself is wrong */
    SDG_CAUSE_QUOTA = 9,      /* insufficient_quota */
    SDG_CAUSE_CANCELLED = 10, /* sdg_llm_cancel */
    SDG_CAUSE_ENDPOINT =
        11, /* the endpoint refuses whatever it is asked: key, credit, model, path, certificate */
    SDG_CAUSE_DECLINED =
        12 /* an answer without a text to use: a refusal, a content filter, only tool calls */
} sdg_cause_t;

/* A finished call. Handed out by sdg_llm_next, yours until sdg_answer_destroy; all pointers live as long. */
typedef struct sdg_answer {
    uint64_t tag;              /* from sdg_llm_submit */
    sdg_cause_t cause;         /* SDG_CAUSE_NONE: there is a text */
    const char *text;          /* the answer; "" of a call that failed */
    size_t text_len;           /* bytes; the text may hold NUL bytes */
    const char *error;         /* of a call that failed: the reason in words; else "" */
    const char *finish_reason; /* "stop", "length", ... as the server says; "" if it does not */
    uint32_t prompt_tokens, completion_tokens; /* as the server counts, over all requests of the call */
    uint32_t requests;                         /* HTTP requests it took */
    uint32_t latency_us; /* of the request that succeeded, sent to whole body; 0 of a call that failed */
    int http_status;     /* of the last response; 0: there was none */
} sdg_answer_t;

typedef struct sdg_llm_load {
    size_t size;                /* sizeof(sdg_llm_load_t), set by you */
    uint32_t permits;           /* requests that may be in flight */
    uint32_t in_flight;         /* requests that are */
    uint32_t queued;            /* calls that wait for a permit */
    uint32_t backing_off;       /* calls that wait for a retry */
    uint64_t requests;          /* sent since the start, here and below */
    uint64_t succeeded, failed; /* calls; cancelled ones are neither */
    uint64_t prompt_tokens, completion_tokens;
} sdg_llm_load_t;

/* NULL options are the defaults. NULL: error says why. Release with sdg_llm_destroy. */
SDG_API sdg_llm_t *sdg_llm_new(const sdg_llm_options_t *options, sdg_error_t *error);

/* Calls that are not finished are given up; they have no answer. */
SDG_API void sdg_llm_destroy(sdg_llm_t **llm);

/* Returns the number of the endpoint (0, 1, ...; at most 1024) or a negative code: SDG_EINVAL for a bad URL
 * or header, SDG_ELIMIT for one too many. It starts with 8 permits. Endpoints with the same URLs and key
 * share their permits: they are one server. */
SDG_API int sdg_llm_add_endpoint(sdg_llm_t *llm, const sdg_endpoint_t *endpoint, sdg_error_t *error);

/* How many requests the endpoint (a number from sdg_llm_add_endpoint) may have in flight from now on. 0:
 * nothing is sent; more than 65536 is cut to that. */
SDG_API void sdg_llm_set_permits(sdg_llm_t *llm, uint32_t endpoint, uint32_t permits);

/* The body of a chat request, {"model": .., "messages": [..], ..}, as JSON text; release it with sdg_free.
 * `system` may be NULL. `params_json` is an object of further keys ("{\"temperature\": 0}") or NULL. NULL and
 * SDG_EPARSE or SDG_EINVAL for params_json that is anything else, SDG_ELIMIT for more than 64 MiB in all. */
SDG_API char *sdg_chat_request(const char *model, const char *system, const char *prompt,
                               const char *params_json, sdg_error_t *error);

/* Takes a call: `body_len` bytes of JSON, copied, for an endpoint. Its answer has the same tag, which no
 * other unfinished call may have. SDG_EINVAL for a tag in use or an unknown endpoint, nothing for reasons of
 * the network. The request is sent by the next sdg_llm_drive. */
SDG_API int sdg_llm_submit(sdg_llm_t *llm, uint32_t endpoint, const char *body, size_t body_len, uint64_t tag,
                           sdg_error_t *error);

/* The call still finishes, soon, with SDG_CAUSE_CANCELLED; an unknown tag is ignored. */
SDG_API void sdg_llm_cancel(sdg_llm_t *llm, uint64_t tag);

/* Readable when there is something to drive. It stays the library's: do not close it. */
SDG_API int sdg_llm_fd(const sdg_llm_t *llm);

/* How long you may sleep before the next sdg_llm_drive, in milliseconds; -1: until the descriptor is
 * readable. */
SDG_API int sdg_llm_timeout_ms(const sdg_llm_t *llm);

/* Does what is ready; never blocks. */
SDG_API void sdg_llm_drive(sdg_llm_t *llm);

/* The next finished call, or NULL. Release it with sdg_answer_destroy. */
SDG_API sdg_answer_t *sdg_llm_next(sdg_llm_t *llm);

/* Releases an answer and its texts. */
SDG_API void sdg_answer_destroy(sdg_answer_t **answer);

/* A cause in words, "rate limit"; "unknown cause" for a number that is none. A constant. */
SDG_API const char *sdg_cause_name(sdg_cause_t cause);

/* Fills *load for an endpoint (a number from sdg_llm_add_endpoint); load->size must be set. */
SDG_API void sdg_llm_get_load(const sdg_llm_t *llm, uint32_t endpoint, sdg_llm_load_t *load);

#ifdef __cplusplus
}
#endif

#endif
