/* tune.c - see tune.h. */
#include "core/plan/tune.h"

#include "core/plan/limits.h"

static const tune_t TABLE[] = {
    [TUNE_SMALL] = {.size = TUNE_SMALL},
    [TUNE_MEDIUM] = {.size = TUNE_MEDIUM,
                     .scheduling = true,
                     .max_pending = 100,
                     .chunk = 50,
                     .memory_optimization = true,
                     .cache = 500},
    [TUNE_LARGE] = {.size = TUNE_LARGE,
                    .scheduling = true,
                    .max_pending = 500,
                    .chunk = 200,
                    .memory_optimization = true,
                    .cache = 1000,
                    .memory_monitoring = true,
                    .gc_interval = 100},
    [TUNE_UNKNOWN] = {.size = TUNE_UNKNOWN,
                      .scheduling = true,
                      .max_pending = 500,
                      .chunk = 200,
                      .memory_optimization = true,
                      .cache = 1000,
                      .memory_monitoring = true,
                      .gc_interval = 100},
};

static tune_size_t size_of(uint64_t rows) {
    if (rows == 0) return TUNE_UNKNOWN;
    return rows < TUNE_MEDIUM_ROWS ? TUNE_SMALL : rows <= TUNE_LARGE_ROWS ? TUNE_MEDIUM : TUNE_LARGE;
}

static void at_least(uint64_t *n, uint64_t least, tune_reason_t *by, tune_reason_t why) {
    if (*n >= least) return;
    *n = least;
    *by = why;
}

static void at_most(uint64_t *n, uint64_t most, tune_reason_t *by, tune_reason_t why) {
    if (*n <= most) return;
    *n = most;
    *by = why;
}

static void fit_pending(const tune_facts_t *f, tune_t *t) {
    uint64_t running = f->concurrency ? f->concurrency : 1, most = UINT64_MAX / TUNE_PENDING_PER_RUNNING;
    if (running > most) running = most;
    if (f->max_pending) {
        t->max_pending = f->max_pending;
        t->max_pending_by = TUNE_BY_USER;
        return;
    }
    at_least(&t->max_pending, TUNE_PENDING_PER_RUNNING * running, &t->max_pending_by, TUNE_BY_CONCURRENCY);
    if (f->row_bytes) {
        uint64_t room = PENDING_BYTES_DEFAULT / f->row_bytes, least = TUNE_PENDING_PER_RUNNING_MIN * running;
        at_most(&t->max_pending, room > least ? room : least, &t->max_pending_by, TUNE_BY_BYTES);
    }
    if (f->rows) at_most(&t->max_pending, f->rows, &t->max_pending_by, TUNE_BY_ROWS);
}

static void fit_chunk(tune_t *t) {
    uint64_t least = t->max_pending / 5 + (t->max_pending % 5 > 0),
             most = t->max_pending / 2 + t->max_pending % 2;
    at_least(&t->chunk, least, &t->chunk_by, TUNE_BY_PENDING);
    at_most(&t->chunk, most, &t->chunk_by, TUNE_BY_PENDING);
}

/* A cache smaller than what runs at once would evict contexts that are needed next: that bound is the last
 * word. */
static void fit_cache(const tune_facts_t *f, tune_t *t) {
    at_least(&t->cache, f->rows / 20, &t->cache_by, TUNE_BY_ROWS);
    at_most(&t->cache, TUNE_CACHE_ROWS_MAX, &t->cache_by, TUNE_BY_BYTES);
    if (f->row_bytes) at_most(&t->cache, TUNE_CACHE_BYTES_MAX / f->row_bytes, &t->cache_by, TUNE_BY_BYTES);
    at_least(&t->cache, f->concurrency, &t->cache_by, TUNE_BY_CONCURRENCY);
}

void tune_choose(const tune_facts_t *facts, tune_t *out) {
    *out = TABLE[size_of(facts->rows)];
    if (out->scheduling) {
        fit_pending(facts, out);
        fit_chunk(out);
    }
    if (out->memory_optimization) fit_cache(facts, out);
}
