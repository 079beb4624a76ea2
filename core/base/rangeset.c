/* rangeset.c - sorted, disjoint runs that never touch (a touching run is merged at once).
 *
 * Rows finish nearly in order, so a number that is added is mostly above all runs or near the last ones: the
 * search looks there first, and few runs have to move. A binary search finds every other place.
 */
#include "core/base/rangeset.h"

#include "core/base/error.h"
#include "core/base/grow.h"

#include <stdlib.h>
#include <string.h>

typedef struct number_range {
    uint64_t first;
    uint64_t last; /* inclusive */
} number_range_t;

struct rangeset {
    number_range_t *runs;
    size_t count;
    size_t cap;
    uint64_t total; /* numbers in all runs */
};

rangeset_t *rangeset_new(void) { return xcalloc(1, sizeof(rangeset_t)); }

void rangeset_destroy(rangeset_t **set) {
    if (!*set) return;
    free((*set)->runs);
    free(*set);
    *set = NULL;
}

/* The first run that does not lie wholly before n; count when there is none. */
static size_t find(const rangeset_t *set, uint64_t n) {
    if (set->count && n > set->runs[set->count - 1].last) return set->count;
    size_t lo = 0, hi = set->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (set->runs[mid].last < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool holds(const rangeset_t *set, size_t at, uint64_t n) {
    return at < set->count && set->runs[at].first <= n;
}

static void insert_run(rangeset_t *set, size_t at, uint64_t first, uint64_t last) {
    GROW(set->runs, set->cap, set->count + 1);
    memmove(set->runs + at + 1, set->runs + at, (set->count - at) * sizeof *set->runs);
    set->runs[at] = (number_range_t){first, last};
    set->count++;
}

static void erase_run(rangeset_t *set, size_t at) {
    set->count--;
    memmove(set->runs + at, set->runs + at + 1, (set->count - at) * sizeof *set->runs);
}

/* A number between two runs joins them; one that touches a run makes it longer; any other is a run of its
 * own. */
bool rangeset_add(rangeset_t *set, uint64_t n) {
    size_t at = find(set, n);
    if (holds(set, at, n)) return false;
    bool joins_left = at > 0 && set->runs[at - 1].last + 1 == n;
    bool joins_right = at < set->count && set->runs[at].first - 1 == n; /* first > n, so it is not 0 */
    if (joins_left && joins_right) {
        set->runs[at - 1].last = set->runs[at].last;
        erase_run(set, at);
    } else if (joins_left) {
        set->runs[at - 1].last = n;
    } else if (joins_right) {
        set->runs[at].first = n;
    } else {
        insert_run(set, at, n, n);
    }
    set->total++;
    return true;
}

bool rangeset_has(const rangeset_t *set, uint64_t n) { return holds(set, find(set, n), n); }

uint64_t rangeset_count(const rangeset_t *set) { return set->total; }

size_t rangeset_runs(const rangeset_t *set) { return set->count; }

uint64_t rangeset_first_absent(const rangeset_t *set, uint64_t from) {
    size_t at = find(set, from);
    return holds(set, at, from) ? set->runs[at].last + 1 : from;
}

bool rangeset_next(const rangeset_t *set, uint64_t from, uint64_t *n) {
    size_t at = find(set, from);
    if (at == set->count) return false;
    *n = set->runs[at].first > from ? set->runs[at].first : from;
    return true;
}
