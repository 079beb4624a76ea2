/* limits.h - what bounds core/http: each limit with its reason, and what "full" does. */
#ifndef SDG_HTTP_LIMITS_H
#define SDG_HTTP_LIMITS_H

#include <stdint.h>

/* transfers per curl multi handle: 128 to 256 were measured to be best; further ones get another handle */
#define HTTP_CONNS_PER_MULTI 192

/* ns; a process that has had no descriptor, memory or thread for a single request for so long ends in words:
 * nobody else gives back what it lacks */
#define LLM_SHORT_NS_MAX (10 * UINT64_C(1000000000))

/* ns; the same for a port: those of closed connections are free again after a minute */
#define LLM_SHORT_PORTS_NS_MAX (90 * UINT64_C(1000000000))

/* answers after which one more request at a time is tried, where there was something short for one: a try
 * that fails costs as long as many answers */
#define LLM_SHORT_ANSWERS 64

#endif
