/* limits.h - what bounds core/mabel/pipeline: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_PIPELINE_LIMITS_H
#define SDG_MABEL_PIPELINE_LIMITS_H

/* timeout_sec in a file: 46 days, fits 32 bits in milliseconds */
#define LLM_TIMEOUT_S_MAX 4000000

/* max_attempts in a file: beyond it is a typing error */
#define RETRY_ATTEMPTS_MAX 1000000

/* backoff factor in a file, likewise */
#define RETRY_FACTOR_MAX 1000

#endif
