/* worker_memory.h - what a worker accounts for under --memory-limit, and whether there is room for more. */
#ifndef SDG_ACTORS_WORKER_WORKER_MEMORY_H
#define SDG_ACTORS_WORKER_WORKER_MEMORY_H

#include "actors/worker/worker_internal.h"

footprint_t *footprint_new(void);
void footprint_destroy(footprint_t **footprint);

/* Rows that wait, rows that have begun (counted only under a limit), results until they are acknowledged. */
uint64_t worker_bytes_held(const worker_t *w);

/* A row comes into memory, or its room is taken because it will (1), or leaves it (-1). */
void worker_account_here(worker_t *w, int rows);
void worker_account(worker_t *w, slot_t *slot); /* after what the slot holds has changed */
void worker_account_gone(worker_t *w, slot_t *slot);

/* True also when no row is in memory: a row that is too large alone must get its chance to say so. */
bool worker_has_room(const worker_t *w, const worker_job_t *job, uint64_t bytes);
/* What a row that starts is expected to take. */
uint64_t worker_room_for_new(const worker_job_t *job, size_t raw_bytes);
/* What a row that comes back is expected to take; saved_bytes 0: what it took is not known. */
uint64_t worker_room_to_fetch(const worker_job_t *job, size_t saved_bytes);
/* More than half of what is allowed: rows that wait do so in the store. */
bool worker_is_crowded(const worker_t *w, const worker_job_t *job);

#endif
