/* memory_split.h - how --memory-limit is divided among those who hold bytes of rows. Pure.
 *
 * A row's bytes are in several places at once: read at the client, kept at the scheduler, running at a
 * worker, put away in the store. Each of these has a share and keeps to it by itself, so no bytes are counted
 * across processes:
 *
 *   client     1/8  rows submitted and not finished; with --ordered, results that wait for rows below them
 *   scheduler  1/8  rows and results pending
 *   workers    1/2  rows that wait and run, requests, answers, results until acknowledged;
 *                   divided by the number of workers
 *   store      1/4  contexts in memory; more than that goes to disk
 */
#ifndef SDG_PLAN_MEMORY_SPLIT_H
#define SDG_PLAN_MEMORY_SPLIT_H

#include <stdint.h>

typedef struct memory_split {
    uint64_t window_bytes;  /* of the client, and of the scheduler */
    uint64_t row_bytes_max; /* one row of input: a larger one could not be pending at all */
    uint64_t worker_bytes;  /* of each worker */
    uint64_t store_bytes;
} memory_split_t;

/* limit: bytes; 0: none, all shares are 0. workers >= 1. */
memory_split_t memory_split(uint64_t limit, uint64_t workers);

#endif
