/* limits.h - what bounds core/llm: each limit with its reason, and what "full" does. */
#ifndef SDG_LLM_LIMITS_H
#define SDG_LLM_LIMITS_H

/* bytes of a server's reason that are shown: a sentence or two; the rest is cut */
#define LLM_ERROR_TEXT_MAX 400

/* bytes of a server's reason in a failed row, which is all that tells what to change; the rest is cut */
#define LLM_REASON_BYTES_MAX 4096

/* seconds of Retry-After that are believed: a month, longer than any quota; more is cut */
#define LLM_RETRY_AFTER_MAX_S (31 * 86400)

/* ms of Retry-After that hold only the call that was told so: a busy server says so to single requests; a
   longer time is meant for all requests, and closes the replica */
#define HEALTH_HOLD_MS_MAX 5000

/* ms that a replica is closed for the first time, and that it may take nothing before it is: a limit per
   second or a restart of a process is over by then */
#define HEALTH_CLOSE_FIRST_MS 5000

/* ms that a replica is closed at most when it does not say for how long: it is not asked in vain more often
   than once a minute, and not forgotten for longer */
#define HEALTH_CLOSE_MAX_MS 60000

/* requests that try a replica which opens again: one may be unlucky, and more would be rejected in vain */
#define HEALTH_PROBES 4

/* ms that a replica which has answered before may be out of reach (DNS, TLS) before that counts as final: a
   name server that restarts is back by then */
#define HEALTH_UNREACHED_MS_MAX 30000

/* ms for which a replica that failed once is passed over; doubles each time */
#define HEALTH_AVOID_FIRST_MS 250

/* doublings of the time for which a replica is passed over: half a minute at most */
#define HEALTH_AVOID_DOUBLINGS 7

/* refusals of a replica in a row, without an answer in between, that make it final: fewer may be the fault of
   rows, and each further one is a row that was asked in vain */
#define LLM_REFUSALS_MAX 16

/* requests in all for an answer that stays empty: more rarely help, and each costs */
#define LLM_EMPTY_REQUESTS 3

/* endpoints per engine: those of all jobs of one worker; more is refused */
#define LLM_ENDPOINTS_MAX 1024

/* routes per engine: the models of all jobs of one worker; more is refused */
#define LLM_ROUTES_MAX 16384

/* URLs of one endpoint: all are compared for each request; more is refused */
#define LLM_REPLICAS_MAX 256

/* requests in flight per endpoint: about as many as one address has ports; more is cut */
#define LLM_PERMITS_MAX 65536

/* bytes of a key that is hidden: a shorter one (none, EMPTY, dummy, x) is for local servers, which take any
   word, and hiding it would hide words of reasons; no provider's keys are shorter */
#define ENDPOINT_KEY_BYTES_MIN 6

/* ms without an answer of an endpoint after which a run that ends does not wait for retries there: they would
   hold it up for minutes, and cost nothing to make again */
#define LLM_SILENT_MS 5000

/* the largest number that is believed of a server's load: so many requests or shares of a cache are a
   mistake, and sums of it stay finite */
#define SERVER_NUMBER_MAX 1e15

#endif
