/* One limit split over several holders. */
#include "core/sched/shares.h"

#include <stdlib.h>

#include <criterion/criterion.h>

#include "core/base/rng.h"

enum { HOLDERS = 4 };

typedef struct world {
    share_t share[HOLDERS];
    share_t *all[HOLDERS];
} world_t;

static void start(world_t *w) {
    *w = (world_t){0};
    for (int i = 0; i < HOLDERS; i++) {
        w->all[i] = &w->share[i];
    }
}

static void ask(world_t *w, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t demand[HOLDERS] = {a, b, c, d};
    for (int i = 0; i < HOLDERS; i++) {
        w->share[i].demand = demand[i];
    }
}

static void expect_wanted(const world_t *w, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t wanted[HOLDERS] = {a, b, c, d};
    for (int i = 0; i < HOLDERS; i++) {
        cr_assert_eq(w->share[i].wanted, wanted[i], "share %d: %llu", i,
                     (unsigned long long)w->share[i].wanted);
    }
}

Test(shares, a_limit_is_split_granted_and_answered) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 2, 5);
    shares_grant(w.all, 2, 5, 0);
    cr_assert_eq(w.share[0].granted, 3);
    cr_assert_eq(w.share[1].granted, 2);
    cr_assert(w.share[0].changed && w.share[0].unanswered);
    cr_assert(share_heard(&w.share[0], 3, 1));
    cr_assert_not(w.share[0].unanswered);
    cr_assert_eq(w.share[0].ceiling, 3);
}

/* ---- splitting */

Test(shares, more_holders_than_limit_leaves_some_without) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 4, 2);
    expect_wanted(&w, 1, 1, 0, 0);
}

Test(shares, demands_within_the_limit_are_all_met) {
    world_t w;
    start(&w);
    ask(&w, 3, 0, 5, 2);
    cr_assert(shares_split_by_demand(w.all, HOLDERS, 10, 0));
    expect_wanted(&w, 3, 0, 5, 2);
}

Test(shares, demands_beyond_the_limit_are_met_in_proportion_and_none_goes_empty) {
    world_t w;
    start(&w);
    ask(&w, 1001, 1, 0, 2);
    cr_assert(shares_split_by_demand(w.all, HOLDERS, 10, 0));
    expect_wanted(&w, 8, 1, 0, 1);
    ask(&w, 40, 20, 20, 0);
    shares_split_by_demand(w.all, HOLDERS, 40, 0);
    expect_wanted(&w, 20, 10, 10, 0);
    ask(&w, UINT32_MAX, UINT32_MAX, 0, 0);
    shares_split_by_demand(w.all, HOLDERS, UINT32_MAX, 0);
    cr_assert_eq(w.share[0].wanted + w.share[1].wanted, UINT32_MAX);
}

Test(shares, when_there_are_fewer_than_askers_each_has_a_turn) {
    uint64_t turns[HOLDERS] = {0};
    world_t w;
    start(&w);
    ask(&w, 5, 0, 5, 5);
    for (uint64_t first = 0; first < 6; first++) {
        cr_assert_not(shares_split_by_demand(w.all, HOLDERS, 2, first));
        uint64_t sum = 0;
        for (int i = 0; i < HOLDERS; i++) {
            turns[i] += w.share[i].wanted;
            sum += w.share[i].wanted;
        }
        cr_assert_eq(sum, 2);
    }
    cr_assert(turns[0] == 4 && turns[1] == 0 && turns[2] == 4 && turns[3] == 4);
    cr_assert_not(shares_split_by_demand(w.all, HOLDERS, 0, 3));
    expect_wanted(&w, 0, 0, 0, 0);
}

Test(shares, nobody_asks) {
    world_t w;
    start(&w);
    cr_assert(shares_split_by_demand(w.all, HOLDERS, 0, 7));
    expect_wanted(&w, 0, 0, 0, 0);
    cr_assert(shares_split_by_demand(w.all, 0, 3, 7));
    shares_split_evenly(w.all, 0, 3);
    shares_grant(w.all, 0, 3, 0);
}

/* ---- settling */

Test(shares, what_one_gives_up_another_gets_when_it_says_so) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 1, 8);
    shares_grant(w.all, 1, 8, 0);
    share_heard(&w.share[0], 8, 8);
    w.share[0].changed = false;
    shares_split_evenly(w.all, 2, 8);
    shares_grant(w.all, 2, 8, 0);
    cr_assert_eq(w.share[0].granted, 4);
    cr_assert_eq(w.share[1].granted, 0);
    cr_assert(w.share[0].changed && !w.share[1].changed);
    cr_assert_not(share_heard(&w.share[0], 8, 2), "said before it heard of 4");
    cr_assert(share_heard(&w.share[0], 4, 6));
    shares_grant(w.all, 2, 8, 0);
    cr_assert_eq(w.share[1].granted, 2);
    share_heard(&w.share[1], 2, 0), share_heard(&w.share[0], 4, 1);
    shares_grant(w.all, 2, 8, 0);
    cr_assert_eq(w.share[1].granted, 4);
}

Test(shares, one_that_has_not_answered_is_granted_nothing_else) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 1, 4);
    shares_grant(w.all, 1, 4, 0);
    shares_split_evenly(w.all, 1, 8);
    shares_grant(w.all, 1, 8, 0);
    cr_assert_eq(w.share[0].granted, 4);
    share_heard(&w.share[0], 4, 4);
    shares_grant(w.all, 1, 8, 0);
    cr_assert_eq(w.share[0].granted, 8);
}

Test(shares, what_it_may_be_using_anyway_is_granted_again_at_once) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 1, 8);
    shares_grant(w.all, 1, 8, 0);
    share_heard(&w.share[0], 8, 8);
    shares_split_evenly(w.all, 1, 4);
    shares_grant(w.all, 1, 4, 0);
    share_heard(&w.share[0], 4, 7);
    shares_split_evenly(w.all, 1, 6);
    shares_grant(w.all, 1, 6, 0);
    cr_assert_eq(w.share[0].granted, 4, "7 are more than 6");
    shares_grant(w.all, 1, 7, 0);
    cr_assert_eq(w.share[0].granted, 6, "no more than the 7 that it still uses");
}

Test(shares, one_that_is_withdrawn_keeps_its_ceiling_until_it_answers) {
    world_t w;
    start(&w);
    shares_split_evenly(w.all, 2, 8);
    shares_grant(w.all, 2, 8, 0);
    share_heard(&w.share[0], 4, 4), share_heard(&w.share[1], 4, 4);
    share_withdraw(&w.share[1]);
    shares_split_evenly(w.all, 1, 8);
    shares_grant(w.all, 1, 8, w.share[1].ceiling);
    cr_assert_eq(w.share[0].granted, 4);
    cr_assert(share_heard(&w.share[1], 0, 1));
    shares_grant(w.all, 1, 8, w.share[1].ceiling);
    cr_assert_eq(w.share[0].granted, 7);
}

/* Holders that use as much as they may, limits that change, answers that are late: what is in use is never
 * more than the limit, or than one from before while not all have answered. */
Test(shares, together_they_never_use_more_than_the_limit) {
    rng_t rng;
    world_t w;
    uint64_t limit = 10, used[HOLDERS] = {0}, knows[HOLDERS] = {0};
    start(&w);
    rng_seed(&rng, 7, 1);
    for (int turn = 0; turn < 20000; turn++) {
        int i = (int)(rng_next(&rng) % HOLDERS);
        uint64_t before = 0, after = 0;
        for (int k = 0; k < HOLDERS; k++)
            before += w.share[k].ceiling;
        if (turn % 50 == 0) limit = rng_next(&rng) % 20;
        w.share[i].demand = rng_next(&rng) % 12;
        shares_split_by_demand(w.all, HOLDERS, limit, (uint64_t)turn / 100);
        shares_grant(w.all, HOLDERS, limit, 0);
        for (int k = 0; k < HOLDERS; k++) {
            after += w.share[k].ceiling;
            cr_assert_leq(used[k], w.share[k].ceiling);
        }
        cr_assert(after <= limit || after <= before, "turn %d: %d over %d", turn, (int)after, (int)limit);
        i = (int)(rng_next(&rng) % HOLDERS); /* it hears, uses what it may, and answers */
        knows[i] = w.share[i].granted;
        if (used[i] < knows[i]) used[i] = knows[i];
        if (used[i] > knows[i]) used[i]--;
        share_heard(&w.share[i], knows[i], used[i]);
    }
}
