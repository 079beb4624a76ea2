/* rangeset.c - sorted, disjoint runs that never touch (a touching run is merged at once), in blocks.
 *
 * Rows finish nearly in order, so a number that is added is mostly above all runs: the search looks there
 * first. Numbers may come in any order, too, as those of an output that somebody has shuffled: then only the
 * runs of one block and the list of blocks have to move.
 */
#include "core/base/rangeset.h"

#include "core/base/error.h"
#include "core/base/grow.h"

#include <stdlib.h>
#include <string.h>

enum { RUNS_PER_BLOCK = 256 };

typedef struct number_range {
    uint64_t first;
    uint64_t last; /* inclusive */
} number_range_t;

typedef struct run_block {
    size_t count; /* never 0 */
    number_range_t runs[RUNS_PER_BLOCK];
} run_block_t;

struct rangeset {
    run_block_t **blocks; /* owned, as each of them is; in order */
    size_t count, cap;
    size_t runs;    /* in all blocks */
    uint64_t total; /* numbers in all runs */
};

/* Where a run is; behind the last one: the number of blocks, and 0. */
typedef struct run_place {
    size_t block, at;
} run_place_t;

rangeset_t *rangeset_new(void) { return xcalloc(1, sizeof(rangeset_t)); }

void rangeset_destroy(rangeset_t **set) {
    if (!*set) return;
    for (size_t i = 0; i < (*set)->count; i++)
        free((*set)->blocks[i]);
    free((*set)->blocks);
    free(*set);
    *set = NULL;
}

static uint64_t last_of(const run_block_t *block) { return block->runs[block->count - 1].last; }

static size_t find_block(const rangeset_t *set, uint64_t n) {
    size_t lo = 0, hi = set->count;
    if (hi > 0 && n > last_of(set->blocks[hi - 1])) return hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (last_of(set->blocks[mid]) < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The first run that does not lie wholly before n. */
static run_place_t find(const rangeset_t *set, uint64_t n) {
    size_t block = find_block(set, n), lo = 0;
    size_t hi = block < set->count ? set->blocks[block]->count : 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (set->blocks[block]->runs[mid].last < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (run_place_t){block, lo};
}

/* The run at a place, and the one before it; NULL: there is none. */
static number_range_t *run_at(const rangeset_t *set, run_place_t place) {
    return place.block < set->count ? &set->blocks[place.block]->runs[place.at] : NULL;
}

static number_range_t *run_before(const rangeset_t *set, run_place_t place) {
    if (place.at > 0) return &set->blocks[place.block]->runs[place.at - 1];
    if (place.block == 0) return NULL;
    run_block_t *block = set->blocks[place.block - 1];
    return &block->runs[block->count - 1];
}

static run_block_t *insert_block(rangeset_t *set, size_t at) {
    GROW(set->blocks, set->cap, set->count + 1);
    memmove(set->blocks + at + 1, set->blocks + at, (set->count - at) * sizeof(run_block_t *));
    set->count++;
    return set->blocks[at] = xcalloc(1, sizeof(run_block_t));
}

static void erase_block(rangeset_t *set, size_t at) {
    free(set->blocks[at]);
    set->count--;
    memmove(set->blocks + at, set->blocks + at + 1, (set->count - at) * sizeof(run_block_t *));
}

/* Makes room in the block of a place that is full, and gives the new place. Behind all runs the block stays
 * full, so that numbers in order leave no room unused. */
static run_place_t split_block(rangeset_t *set, run_place_t place) {
    run_block_t *right = insert_block(set, place.block + 1), *block = set->blocks[place.block];
    bool behind_all = place.block + 2 == set->count && place.at == block->count;
    size_t stay = behind_all ? block->count : block->count / 2;
    right->count = block->count - stay;
    memcpy(right->runs, block->runs + stay, right->count * sizeof *block->runs);
    block->count = stay;
    if (place.at > stay || behind_all) return (run_place_t){place.block + 1, place.at - stay};
    return place;
}

static void insert_run(rangeset_t *set, run_place_t place, uint64_t n) {
    if (set->count == 0) insert_block(set, 0);
    if (place.block == set->count) place = (run_place_t){set->count - 1, set->blocks[set->count - 1]->count};
    if (set->blocks[place.block]->count == RUNS_PER_BLOCK) place = split_block(set, place);
    run_block_t *block = set->blocks[place.block];
    number_range_t *run = block->runs + place.at;
    memmove(run + 1, run, (block->count - place.at) * sizeof *run);
    *run = (number_range_t){n, n};
    block->count++;
    set->runs++;
}

/* Takes the next block into this one if both are nearly empty. */
static void join_blocks(rangeset_t *set, size_t at) {
    if (at + 1 >= set->count) return;
    run_block_t *block = set->blocks[at], *next = set->blocks[at + 1];
    if (block->count + next->count > RUNS_PER_BLOCK / 2) return;
    memcpy(block->runs + block->count, next->runs, next->count * sizeof *block->runs);
    block->count += next->count;
    erase_block(set, at + 1);
}

static void erase_run(rangeset_t *set, run_place_t place) {
    run_block_t *block = set->blocks[place.block];
    number_range_t *run = block->runs + place.at;
    block->count--;
    set->runs--;
    memmove(run, run + 1, (block->count - place.at) * sizeof *run);
    if (block->count == 0)
        erase_block(set, place.block);
    else
        join_blocks(set, place.block);
}

/* A number between two runs joins them; one that touches a run makes it longer; any other is a run of its
 * own. */
bool rangeset_add(rangeset_t *set, uint64_t n) {
    run_place_t place = find(set, n);
    number_range_t *here = run_at(set, place), *before = run_before(set, place);
    if (here && here->first <= n) return false;
    bool joins_left = before && before->last + 1 == n;
    bool joins_right = here && here->first - 1 == n; /* first > n, so it is not 0 */
    if (joins_left && joins_right) {
        before->last = here->last;
        erase_run(set, place);
    } else if (joins_left) {
        before->last = n;
    } else if (joins_right) {
        here->first = n;
    } else {
        insert_run(set, place, n);
    }
    set->total++;
    return true;
}

bool rangeset_has(const rangeset_t *set, uint64_t n) {
    const number_range_t *here = run_at(set, find(set, n));
    return here && here->first <= n;
}

uint64_t rangeset_count(const rangeset_t *set) { return set->total; }

size_t rangeset_runs(const rangeset_t *set) { return set->runs; }

uint64_t rangeset_first_absent(const rangeset_t *set, uint64_t from) {
    const number_range_t *here = run_at(set, find(set, from));
    return here && here->first <= from ? here->last + 1 : from;
}

bool rangeset_next(const rangeset_t *set, uint64_t from, uint64_t *n) {
    const number_range_t *here = run_at(set, find(set, from));
    if (!here) return false;
    *n = here->first > from ? here->first : from;
    return true;
}
