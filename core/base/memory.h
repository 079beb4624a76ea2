/* memory.h - how much memory processes use, from /proc.
 *
 * RSS counts a shared page in each process that has it, PSS divides it among them: the sum of PSS is what a
 * machine gives. PSS is dearer (the kernel walks the page tables: about 0.1 ms and 1 ms per GiB), so it is
 * asked for rarely. */
#ifndef SDG_BASE_MEMORY_H
#define SDG_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/limits.h"

uint64_t memory_rss_bytes(void);      /* this process now; 0 if unknown */
uint64_t memory_peak_rss_bytes(void); /* this process's high-water mark (VmHWM); 0 if unknown */

/* Gives freed memory back to the system. Allocators keep it for a while, because that makes them fast. */
void memory_release(void);
/* From now on freed memory goes back at once: for runs that keep a limit. */
void memory_release_eagerly(void);

/* This process and its descendants. */
typedef struct memory_process {
    pid_t pid;
    char name[32]; /* "sdg worker-0", "python3": for people */
    uint64_t rss_bytes, pss_bytes;
} memory_process_t;
typedef struct memory_tree {
    uint64_t rss_bytes, pss_bytes; /* sums */
    size_t count;
    memory_process_t process[MEMORY_PROCESSES_MAX]; /* [0] is this one */
} memory_tree_t;
/* Samples this process and its descendants. Without `with_pss` a process that was in *tree before keeps its
 * PSS. One whose PSS is not known counts with its RSS: a process with keys lets nobody look at its pages. */
void memory_tree_sample(memory_tree_t *tree, bool with_pss);

#endif
