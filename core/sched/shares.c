/* shares.c - see shares.h. */
#include "core/sched/shares.h"

void shares_split_evenly(share_t *const *shares, size_t count, uint64_t limit) {
    for (size_t i = 0; i < count; i++) {
        shares[i]->wanted = limit / count + (i < limit % count);
    }
}

/* One each, in turns: fewer than there are holders with a demand. */
static void split_in_turns(share_t *const *shares, size_t count, uint64_t limit, uint64_t askers,
                           uint64_t first) {
    uint64_t asker = 0;
    for (size_t i = 0; i < count; i++) {
        shares[i]->wanted = 0;
        if (shares[i]->demand == 0) continue;
        shares[i]->wanted = (asker + askers - first % askers) % askers < limit;
        asker++;
    }
}

/* One each, and of the rest in proportion to what is asked for beyond that. */
static void split_in_proportion(share_t *const *shares, size_t count, uint64_t limit, uint64_t askers,
                                uint64_t asked) {
    uint64_t rest = limit - askers, beyond = asked - askers, given = 0;
    for (size_t i = 0; i < count; i++) {
        share_t *share = shares[i];
        share->wanted = 0;
        if (share->demand == 0) continue;
        uint64_t part = (uint64_t)((unsigned __int128)rest * (share->demand - 1) / beyond);
        share->wanted = 1 + part;
        given += part;
    }
    for (size_t i = 0; i < count && given < rest; i++) {
        if (shares[i]->wanted >= shares[i]->demand) continue;
        shares[i]->wanted++;
        given++;
    }
}

bool shares_split_by_demand(share_t *const *shares, size_t count, uint64_t limit, uint64_t first) {
    uint64_t asked = 0, askers = 0;
    for (size_t i = 0; i < count; i++) {
        shares[i]->wanted = shares[i]->demand;
        asked += shares[i]->demand;
        askers += shares[i]->demand > 0;
    }
    if (asked <= limit) return true;
    if (limit < askers) {
        split_in_turns(shares, count, limit, askers, first);
        return false;
    }
    split_in_proportion(shares, count, limit, askers, asked);
    return true;
}

static void grant(share_t *share, uint64_t granted) {
    if (share->granted == granted) return;
    share->granted = granted;
    if (share->ceiling < granted) share->ceiling = granted;
    share->unsettled = share->changed = true;
}

/* Those that are to have less hear of it first; then what is free by now goes to those that are to have more.
 */
void shares_settle(share_t *const *shares, size_t count, uint64_t limit, uint64_t others) {
    uint64_t held = others;
    for (size_t i = 0; i < count; i++) {
        share_t *share = shares[i];
        if (share->wanted < share->granted && !share->unsettled) grant(share, share->wanted);
        held += share->ceiling;
    }
    for (size_t i = 0; i < count; i++) {
        share_t *share = shares[i];
        if (share->wanted <= share->granted || share->unsettled) continue;
        if (held > limit) return; /* it was lowered, or somebody uses what it was not granted */
        uint64_t room = limit - held;
        uint64_t covered = share->ceiling - share->granted; /* it may be using those anyway */
        uint64_t more = share->wanted - share->granted;
        if (more > covered && more - covered > room) more = covered + room;
        if (more > covered) held += more - covered;
        grant(share, share->granted + more);
    }
}

bool share_heard(share_t *share, uint64_t granted, uint64_t used) {
    if (granted != share->granted) return false;
    share->unsettled = false;
    share->ceiling = used > granted ? used : granted;
    return true;
}

void share_withdraw(share_t *share) {
    share->wanted = share->granted = 0;
    share->changed = false;
}
