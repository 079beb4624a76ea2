/* clock.h - time. Pure logic never asks for the time; it is given `now_ns`. Shells ask here. */
#ifndef SDG_BASE_CLOCK_H
#define SDG_BASE_CLOCK_H

#include <stdint.h>

#define MILLISECOND UINT64_C(1000000) /* in ns */
#define SECOND UINT64_C(1000000000)   /* in ns */

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */
int64_t clock_unix_ms(void); /* CLOCK_REALTIME, milliseconds since 1970 */

#endif
