/* lease_book.h - the leases a worker has seen. Pure: no message, no clock.
 *
 * The scheduler numbers the leases of a worker from 0 without gaps (lower LEASE_ERA_SHIFT bits of a lease)
 * for each of its registrations (era: the bits above). A lease may arrive twice, in any order, or late from a
 * registration that is over; its rows may be taken once only. A new era means that the scheduler took this
 * worker for dead: its rows that have not started are void, because other workers may have them. */
#ifndef SDG_SCHED_LEASE_BOOK_H
#define SDG_SCHED_LEASE_BOOK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct lease_book lease_book_t;

typedef enum lease_verdict {
    LEASE_OLD,       /* seen before, or of an era that is over: its rows are not taken */
    LEASE_NEW,       /* its rows are to be run */
    LEASE_BEGINS_ERA /* the rows that wait are void; then its own are to be run */
} lease_verdict_t;

lease_book_t *lease_book_new(void);
void lease_book_destroy(lease_book_t **book);

/* A lease with rows has arrived. */
lease_verdict_t lease_book_add(lease_book_t *book, uint64_t lease);
/* The leases from..from+count-1 have no open rows: they are taken as seen and not waited for, at most
 * LEASES_VOID_MAX of them at a time. True: this has begun a new era, rows that wait are void. */
bool lease_book_void(lease_book_t *book, uint64_t from, uint64_t count);
/* For the beat: all leases of this era below this one have been seen. */
uint64_t lease_book_first_missing(const lease_book_t *book);
/* The scheduler has restarted and counts from era 0 again. */
void lease_book_forget(lease_book_t *book);

#endif
