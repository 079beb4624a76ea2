/* limits.h - what bounds core/llm: each limit with its reason, and what "full" does. */
#ifndef SDG_LLM_LIMITS_H
#define SDG_LLM_LIMITS_H

/* of a server's reason that is shown */
#define LLM_ERROR_TEXT_MAX 400

/* a longer Retry-After means: do not retry now (official SDK) */
#define LLM_RETRY_AFTER_MAX_S 120

/* an empty answer is asked again twice: 3 requests in all */
#define LLM_EMPTY_RETRIES 2

/* per engine: endpoints of the jobs of one worker; more is refused */
#define LLM_ENDPOINTS_MAX 1024

/* per engine: models of the jobs of one worker; more is refused */
#define LLM_ROUTES_MAX 16384

/* URLs of one endpoint: all are compared for each request; more is refused */
#define LLM_REPLICAS_MAX 256

/* requests in flight per endpoint: about the ports of one address; more is cut */
#define LLM_PERMITS_MAX 65536

/* a shorter "key" (none, EMPTY, dummy, x) is no secret: local servers take any word, and to hide it would
   blot out words of reasons; no provider's keys are shorter */
#define ENDPOINT_KEY_BYTES_MIN 6

#endif
