/* shares.h - one limit split over several holders, so that together they never use more than it.
 *
 * The limit is a number of things in use at once: units of a job, calls of an endpoint in flight. The
 * holders are workers, and far away: a worker learns later what it is told, and says later still what it then
 * uses. So a share has two numbers: what was granted last, and a ceiling, what the holder may still be
 * using. The ceilings never add up to more than the limit, except after the limit was lowered, or a holder
 * came that was already using something, and until enough has been given back; in that time nobody is granted
 * more.
 *
 *   shares_split_evenly or
 *   shares_split_by_demand   what each is to have (wanted)
 *   shares_grant             grants as much of that as can be now, and marks whose share has changed
 *   share_heard              the answer of a holder; then split and grant again
 *
 * Pure: no memory, no clock. The array of pointers is the caller's; its order is the order of precedence. */
#ifndef SDG_SCHED_SHARES_H
#define SDG_SCHED_SHARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct share {
    uint64_t demand;  /* by demand: what the holder could use at most, up to UINT32_MAX */
    uint64_t wanted;  /* what the holder is to have once others have let go of theirs */
    uint64_t granted; /* what the holder is told */
    uint64_t
        ceiling; /* what the holder may be using: `granted`, or more until it says that it heard of less */
    /* The holder has not answered the last grant. Until it has, it is granted nothing else: if it were
     * granted 4, then 8, then 4 again, its answer to the first grant could be taken for the answer to the
     * third. */
    bool unanswered;
    bool changed; /* `granted` is new; the caller tells the holder and takes the mark away */
} share_t;

/* Each an equal part; the first `limit % count` one more. */
void shares_split_evenly(share_t *const *shares, size_t count, uint64_t limit);

/* Each gets its demand when all demands together are within the limit; otherwise a part of the limit in
 * proportion to its demand, but at least 1 if it has one. When the limit is smaller than the number of
 * holders with a demand, that many of them get 1, beginning with number `first` among them: a caller that
 * moves `first` gives every holder a turn. Returns false in that case only. */
bool shares_split_by_demand(share_t *const *shares, size_t count, uint64_t limit, uint64_t first);

/* Grants what is wanted as far as the limit allows now. `others`: ceilings of holders that are not among
 * these (they get nothing more, but may still be using theirs). */
void shares_grant(share_t *const *shares, size_t count, uint64_t limit, uint64_t others);

/* The holder says that it knows of `granted` and uses `used`. False: that is not its last grant, nothing has
 * changed. True: the shares of its limit are to be split and granted again. */
bool share_heard(share_t *share, uint64_t granted, uint64_t used);

/* The holder gets nothing more and is not told; it may be using its ceiling until it says otherwise (that it
 * knows of 0). */
void share_withdraw(share_t *share);

#endif
