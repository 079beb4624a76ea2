/* limits.h - what bounds core/mabel/logic: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_LOGIC_LIMITS_H
#define SDG_MABEL_LOGIC_LIMITS_H

#include <stddef.h>

/* heap of one row's call frames, emitted and mapped values: recursion 100,000 deep fits; more fails the block
 */
#define FRAME_BYTES_MAX ((size_t)512 << 20)

#endif
