/* limits.h - what bounds core/llm: each limit with its reason, and what "full" does. */
#ifndef SDG_LLM_LIMITS_H
#define SDG_LLM_LIMITS_H

/* bytes of a server's reason that are shown: a sentence or two; the rest is cut */
#define LLM_ERROR_TEXT_MAX 400

/* seconds of Retry-After: as the official SDK, a call that is told to wait longer fails */
#define LLM_RETRY_AFTER_MAX_S 120

/* refusals of a replica in a row, without an answer in between, that make it final: fewer may be the fault of
   rows, and each further one is a row that was asked in vain */
#define LLM_REFUSALS_MAX 16

/* times that an empty answer is asked for again: more rarely help, and each costs */
#define LLM_EMPTY_RETRIES 2

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

#endif
