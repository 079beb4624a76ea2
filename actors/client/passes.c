/* passes.c - see passes.h. */
#include "actors/client/passes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/error.h"

struct passes {
    uint32_t *stops; /* owned */
    size_t stop_count;
    size_t at;          /* the pass that runs, from 0 */
    rangeset_t *parked; /* rows that have finished the pass that runs */
};

passes_t *passes_new(const uint32_t *stops, size_t stop_count) {
    passes_t *p = xcalloc(1, sizeof *p);
    p->stops = xcalloc(stop_count + 1, sizeof *p->stops); /* 0 for the last pass: it stops nowhere */
    p->stop_count = stop_count;
    p->parked = rangeset_new();
    if (stop_count > 0) memcpy(p->stops, stops, stop_count * sizeof *stops);
    return p;
}

void passes_destroy(passes_t **p) {
    if (!*p) return;
    rangeset_destroy(&(*p)->parked);
    free((*p)->stops);
    free(*p);
    *p = NULL;
}

uint64_t passes_count(const passes_t *p) { return p->stop_count + 1; }

uint64_t passes_number(const passes_t *p) { return p->at + 1; }

bool passes_is_last(const passes_t *p) { return p->at == p->stop_count; }

uint32_t passes_stop(const passes_t *p) { return p->stops[p->at]; }

bool passes_take(passes_t *p, uint64_t row) { return !passes_is_last(p) && rangeset_add(p->parked, row); }

bool passes_has(const passes_t *p, uint64_t row) { return rangeset_has(p->parked, row); }

uint64_t passes_parked(const passes_t *p) { return rangeset_count(p->parked); }

rangeset_t *passes_next(passes_t *p) {
    rangeset_t *rows = p->parked;
    assert(!passes_is_last(p));
    p->parked = rangeset_new();
    p->at++;
    return rows;
}
