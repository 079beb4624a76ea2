/* memory.h - how much memory processes use, from /proc. */
#ifndef SDG_BASE_MEMORY_H
#define SDG_BASE_MEMORY_H

#include <stdint.h>

uint64_t memory_rss_bytes(void);      /* this process now; 0 if unknown */
uint64_t memory_peak_rss_bytes(void); /* this process's high-water mark (VmHWM); 0 if unknown */

#endif
