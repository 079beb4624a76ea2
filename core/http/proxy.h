/* proxy.h - calls a proxy a proxy: curl says "Failed to connect to 127.0.0.1 port 3128" of a server and of
 * the proxy before it alike. Pure but for the environment, which curl reads, too. */
#ifndef SDG_HTTP_PROXY_H
#define SDG_HTTP_PROXY_H

#include <stdbool.h>
#include <stddef.h>

/* Does the environment name a proxy? */
bool proxy_is_set(void);
/* Says of a request that failed what is wrong with its proxy: "proxy http://127.0.0.1:1 does not answer
 * (http_proxy)". `reason` holds curl's words, and is rewritten, at most `size` bytes, if they speak of the
 * proxy for this scheme; otherwise it stays as it is. Says whether they do. */
bool proxy_reason(char *reason, size_t size, bool tls);

#endif
