/* shares.c - see shares.h. */
#include "core/sched/shares.h"

void shares_split_evenly(share_t *const *shares, size_t count, uint64_t limit) {
    for (size_t i = 0; i < count; i++) {
        shares[i]->wanted = limit / count + (i < limit % count);
    }
}

/* The limit is smaller than the number of holders with a demand (askers): so many of them get one each. */
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

/* One each, and a part of the rest in proportion to what each asks for beyond that one. */
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

/* Adds up the demands, then splits in the one of three ways that fits them. */
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

static void share_grant(share_t *share, uint64_t granted) {
    if (share->granted == granted) return;
    share->granted = granted;
    if (share->ceiling < granted) share->ceiling = granted;
    share->unanswered = share->changed = true;
}

/* Shares that shrink are granted first; then what is free by now goes to those that grow. */
void shares_grant(share_t *const *shares, size_t count, uint64_t limit, uint64_t others) {
    uint64_t held = others;
    for (size_t i = 0; i < count; i++) {
        share_t *share = shares[i];
        if (share->wanted < share->granted && !share->unanswered) share_grant(share, share->wanted);
        held += share->ceiling;
    }
    for (size_t i = 0; i < count; i++) {
        share_t *share = shares[i];
        if (share->wanted <= share->granted || share->unanswered) continue;
        if (held > limit) return; /* the limit was lowered, or a holder uses what it was not granted */
        uint64_t room = limit - held;
        uint64_t covered = share->ceiling - share->granted; /* the holder may be using those anyway */
        uint64_t more = share->wanted - share->granted;
        if (more > covered && more - covered > room) more = covered + room;
        if (more > covered) held += more - covered;
        share_grant(share, share->granted + more);
    }
}

bool share_heard(share_t *share, uint64_t granted, uint64_t used) {
    if (granted != share->granted) return false;
    share->unanswered = false;
    share->ceiling = used > granted ? used : granted;
    return true;
}

void share_withdraw(share_t *share) {
    share->wanted = share->granted = 0;
    share->changed = false;
}
