/* memory_split.c - see memory_split.h. */
#include "core/plan/memory_split.h"

memory_split_t memory_split(uint64_t limit, uint64_t workers) {
    return (memory_split_t){.window_bytes = limit / 8,
                            .row_bytes_max = limit / 8,
                            .worker_bytes = limit / 2 / (workers ? workers : 1),
                            .store_bytes = limit / 4};
}
