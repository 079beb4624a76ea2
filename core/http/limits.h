/* limits.h - what bounds core/http: each limit with its reason, and what "full" does. */
#ifndef SDG_HTTP_LIMITS_H
#define SDG_HTTP_LIMITS_H

/* transfers per curl multi handle: 128 to 256 were measured to be best; further ones get another handle */
#define HTTP_CONNS_PER_MULTI 192

#endif
