/* limits.h - what bounds core/http: each limit with its reason, and what "full" does. */
#ifndef SDG_HTTP_LIMITS_H
#define SDG_HTTP_LIMITS_H

#include <stdint.h>

/* transfers per curl multi handle: 128 to 256 were measured to be best; further ones get another handle */
#define HTTP_CONNS_PER_MULTI 192

/* ns; a process that has had no descriptor, port, memory or thread for a single request for so long ends in
 * words: connections that others close are free again after a minute */
#define LLM_SHORT_NS_MAX (90 * UINT64_C(1000000000))

/* answers after which one more request at a time is tried, where there was something short for one: a try
 * that fails costs as long as many answers */
#define LLM_SHORT_ANSWERS 64

#endif
