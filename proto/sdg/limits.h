/* limits.h - what bounds proto/sdg: each limit with its reason, and what "full" does. */
#ifndef SDG_PUBLIC_LIMITS_H
#define SDG_PUBLIC_LIMITS_H

#include <stddef.h>

/* texts of one chat request, and its body: as much as a row may ask (ROW_BODY_BYTES_MAX); more is refused */
#define CHAT_BODY_BYTES_MAX ((size_t)64 << 20)

#endif
