/* limits.h - what bounds core/mabel/row: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_ROW_LIMITS_H
#define SDG_MABEL_ROW_LIMITS_H

#include <stddef.h>

/* logic steps a row runs before it yields to the event loop: well below 1 ms */
#define ROW_FUEL 4096

/* bytes of an `_error` text: enough for a sentence and what a server said; longer ones are cut */
#define ROW_ERROR_BYTES_MAX 4096

/* bytes of an answer that the error of a required output shows: enough to see what came instead */
#define REQUIRED_SHOWN_MAX 200

/* one request body or rendered prompt; more fails the block */
#define ROW_BODY_BYTES_MAX ((size_t)64 << 20)

/* an image file: what the large vendors accept; larger fails the block */
#define IMAGE_FILE_BYTES_MAX ((size_t)20 << 20)

#endif
