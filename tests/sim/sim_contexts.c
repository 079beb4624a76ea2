/* sim_contexts.c - the context store under workers that crash and messages that are lost, repeated and late,
 * with a seed.
 *
 *   sim_contexts [--seeds N] [--seed S] [-v]
 *
 * Workers send random messages about their rows; a mailbox delivers it in any order. The judge is a
 * model that does to small arrays what contexts.h promises, before the store does it: which contexts there
 * are, where, what they contain, who pins, which one is evicted next, all counters. After each call store and
 * model must agree. Some seeds have no disk, in some it fills up for a while. In the end every worker is dead
 * and every row complete, and nothing may be left, whatever is still delivered after that.
 *
 * What a context contains follows from its row, its place and a version; its length says which place it has
 * (0 shared, else its owner), so that an eviction tells which one it was.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "core/store/contexts.h"
#include "core/store/limits.h"
#include "tests/sim/sim.h"

enum {
    ROWS = 24,
    PLACES = 16, /* contexts of a row: the shared one, and one for each worker */
    MAIL_MAX = 40,
    BYTES_MAX = PLACES * 20,
    FULL_AT = 20000,     /* bytes a file may have on the full disk, so that some batch fails */
    FULL_AT_ONCE = 4096, /* bytes a file may have on a disk on which the first eviction fails */
};

typedef enum mail_kind { M_GET, M_FETCH, M_PUT, M_PIN, M_UNPIN, M_COMPLETE, M_GONE, M_BACK } mail_kind_t;
static const char *const mail_names[] = {"get or create", "get",      "put",  "pin",
                                         "unpin",         "complete", "gone", "back"};

typedef struct mail {
    mail_kind_t kind;
    size_t row, owner, place; /* owner 1 .. PLACES - 1; place 0 or owner */
    uint64_t version;
    size_t len;
} mail_t;

/* What the model knows of a context. */
typedef struct entry {
    bool there, in_memory;
    uint64_t used; /* when it was used last, for the order of eviction; of equal ones any goes first */
    uint64_t version;
    size_t len;
} entry_t;

typedef struct sim {
    uint64_t seed, steps, clock, versions, row_base;
    rng_t rng;
    bool verbose, failed, spills, full;
    bool behind; /* contexts are still in memory because the disk was full */
    double drop, repeat;
    contexts_t *c;
    size_t max_cached;
    uint64_t max_bytes, full_at;
    entry_t entry[ROWS][PLACES];
    uint32_t pins[ROWS]; /* bit per owner */
    bool complete[ROWS], gone[PLACES], alive[PLACES];
    size_t at[ROWS];       /* which worker has the row; 0 none */
    contexts_stats_t want; /* what the counters of the store should be */
    mail_t mail[MAIL_MAX];
    size_t mail_count;
} sim_t;

static char folder[64], path[80];

/* ---- small things */

#define trace(s, ...) ((s)->verbose ? sim_trace((s)->steps, __VA_ARGS__) : (void)0)
#define fail(s, ...) sim_fail(&(s)->failed, (s)->steps, __VA_ARGS__)

static size_t between(sim_t *s, size_t lo, size_t hi) {
    return (size_t)rng_between(&s->rng, (int64_t)lo, (int64_t)hi);
}
static bool chance(sim_t *s, double p) { return sim_chance(&s->rng, p); }

static uint64_t owner_id(const sim_t *s, size_t owner) { return s->seed * 100 + owner; }
static context_part_t part_of(size_t place) { return place ? CONTEXT_PRIVATE : CONTEXT_SHARED; }

static const char *content(size_t row, size_t place, uint64_t version, size_t len) {
    static char bytes[BYTES_MAX + 8];
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = (version * ROWS + row) * PLACES + place + (i << 50);
        memcpy(bytes + i, &word, 8);
    }
    return bytes;
}

/* ---- the model */

typedef struct totals_in_memory {
    size_t cached, pinned;
    uint64_t bytes;
} totals_in_memory_t;

static totals_in_memory_t count_in_memory(const sim_t *s) {
    totals_in_memory_t t = {0};
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t place = 0; place < PLACES; place++) {
            const entry_t *e = &s->entry[row][place];
            if (!e->in_memory) continue;
            t.cached++;
            t.bytes += e->len;
            t.pinned += s->pins[row] != 0;
        }
    }
    return t;
}

static bool is_over(const sim_t *s, const totals_in_memory_t *t) {
    return (s->max_cached && t->cached > s->max_cached) || (s->max_bytes && t->bytes > s->max_bytes);
}

static void use_row(sim_t *s, size_t row, uint64_t when) {
    for (size_t place = 0; place < PLACES; place++) {
        s->entry[row][place].used = when;
    }
}

static void model_unpin(sim_t *s, size_t row, size_t owner, uint64_t when) {
    uint32_t before = s->pins[row];
    s->pins[row] &= ~(1u << owner);
    if (before && !s->pins[row]) use_row(s, row, when);
}

static void model_load(sim_t *s, entry_t *e) {
    s->want.loads += e->there && !e->in_memory;
    e->in_memory = e->there;
}

static bool is_late(sim_t *s, const mail_t *m) {
    bool late = s->complete[m->row] || s->gone[m->owner];
    s->want.late += late;
    return late;
}

static int model_get(sim_t *s, const mail_t *m, bool *created) {
    entry_t *e = &s->entry[m->row][m->place];
    if (is_late(s, m)) return SDG_ECANCELLED;
    *(e->in_memory ? &s->want.hits : &s->want.misses) += 1;
    *created = !e->there;
    if (!e->there && m->kind == M_FETCH) return SDG_ENOTFOUND;
    if (!e->there) {
        *e = (entry_t){.there = true, .in_memory = true, .version = m->version, .len = m->len};
        s->want.created++;
    }
    model_load(s, e);
    s->pins[m->row] |= 1u << m->owner;
    return SDG_OK;
}

static int model_put(sim_t *s, const mail_t *m) {
    if (is_late(s, m)) return SDG_ECANCELLED;
    model_unpin(s, m->row, m->owner, ++s->clock);
    s->entry[m->row][m->place] =
        (entry_t){.there = true, .in_memory = true, .version = m->version, .len = m->len, .used = ++s->clock};
    return SDG_OK;
}

static int model_pin(sim_t *s, const mail_t *m) {
    entry_t *shared = &s->entry[m->row][0], *own = &s->entry[m->row][m->owner];
    if (is_late(s, m)) return SDG_ECANCELLED;
    if (!shared->there && !own->there) return SDG_ENOTFOUND;
    model_load(s, shared);
    model_load(s, own);
    s->pins[m->row] |= 1u << m->owner;
    return SDG_OK;
}

static void model_complete(sim_t *s, size_t row) {
    if (s->complete[row]) return;
    s->complete[row] = true;
    s->want.completed++;
    s->pins[row] = 0;
    memset(s->entry[row], 0, sizeof s->entry[row]);
}

static void model_gone(sim_t *s, size_t owner) {
    s->gone[owner] = true;
    s->clock++;
    for (size_t row = 0; row < ROWS; row++) {
        s->entry[row][owner] = (entry_t){0};
        model_unpin(s, row, owner, s->clock);
    }
}

/* ---- the judge */

/* The store evicts a context: it had to make room, and this context was the one to go. */
static void judge_eviction(void *context, uint64_t number, size_t len, bool to_disk) {
    sim_t *s = context;
    size_t row = (size_t)(number - s->row_base), place = len % PLACES;
    entry_t *e = &s->entry[row][place];
    totals_in_memory_t t = count_in_memory(s);
    trace(s, "        row %zu place %zu is evicted, %zu bytes", row, place, len);
    s->want.evictions++;
    if (row >= ROWS || !e->in_memory || e->len != len) {
        fail(s, "row %zu place %zu is evicted but not in memory", row, place);
        return;
    }
    if (to_disk != s->spills) fail(s, "row %zu is evicted to the wrong place", row);
    if (s->pins[row]) fail(s, "row %zu is evicted but pinned", row);
    if (!is_over(s, &t)) fail(s, "row %zu is evicted without need", row);
    for (size_t other = 0; other < ROWS * PLACES; other++) {
        const entry_t *o = &s->entry[other / PLACES][other % PLACES];
        if (o->in_memory && !s->pins[other / PLACES] && o->used < e->used)
            fail(s, "row %zu is evicted before row %zu, which was used longer ago", row, other / PLACES);
    }
    e->in_memory = false;
    e->there = s->spills;
}

static void judge_counters(sim_t *s, const contexts_stats_t *got) {
    const contexts_stats_t *want = &s->want;
    if (got->hits != want->hits || got->misses != want->misses) fail(s, "hits or misses are miscounted");
    if (got->created != want->created)
        fail(s, "%" PRIu64 " were created, counted %" PRIu64, want->created, got->created);
    if (got->evictions != want->evictions)
        fail(s, "%" PRIu64 " were evicted, counted %" PRIu64, want->evictions, got->evictions);
    if (got->loads != want->loads)
        fail(s, "%" PRIu64 " were loaded, counted %" PRIu64, want->loads, got->loads);
    if (got->completed != want->completed)
        fail(s, "%" PRIu64 " are complete, counted %" PRIu64, want->completed, got->completed);
    if (got->late != want->late) fail(s, "%" PRIu64 " were late, counted %" PRIu64, want->late, got->late);
}

static void judge_state(sim_t *s) {
    contexts_stats_t got;
    totals_in_memory_t t = count_in_memory(s);
    size_t all = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < ROWS * PLACES; i++) {
        const entry_t *e = &s->entry[i / PLACES][i % PLACES];
        all += e->there;
        bytes += e->len * e->there;
    }
    contexts_stats(s->c, &got);
    judge_counters(s, &got);
    if (got.cached != t.cached || got.cached_bytes != t.bytes)
        fail(s, "%zu are in memory, the store says %zu", t.cached, got.cached);
    if (got.pinned != t.pinned) fail(s, "%zu are pinned, the store says %zu", t.pinned, got.pinned);
    if (got.cached + got.spilled != all)
        fail(s, "there are %zu contexts, the store says %zu", all, got.cached + (size_t)got.spilled);
    if (got.cached_bytes + got.spilled_bytes != bytes)
        fail(s, "there are %" PRIu64 " bytes, the store says %" PRIu64, bytes,
             got.cached_bytes + got.spilled_bytes);
    if (!s->behind && is_over(s, &t) && t.cached > t.pinned)
        fail(s, "%zu are in memory, %zu of them pinned", t.cached, t.pinned);
}

/* A full disk may be the answer although what was asked for has been done. */
static bool judge_code(sim_t *s, int got, int want, const err_t *err) {
    bool no_room = want == SDG_OK && s->full && got == SDG_ENOSPACE;
    if (no_room) s->behind = true;
    if (got != want && !no_room) fail(s, "answer %d (%s), expected %d", got, got ? err->text : "", want);
    return !s->failed;
}

/* ---- one message */

static void set_disk(const sim_t *s, bool full) {
    struct rlimit limit = {full ? s->full_at : RLIM_INFINITY, RLIM_INFINITY};
    if (s->full) setrlimit(RLIMIT_FSIZE, &limit);
}

static void do_get(sim_t *s, const mail_t *m) {
    context_view_t view = {0};
    err_t err = {0};
    bool want_created = false, created = false;
    int want = model_get(s, m, &want_created);
    int got = contexts_get_or_create(s->c, s->row_base + m->row, part_of(m->place), owner_id(s, m->owner),
                                     content(m->row, m->place, m->version, m->len),
                                     m->kind == M_GET ? m->len : 0, &view, &created, &err);
    if (!judge_code(s, got, want, &err) || want != SDG_OK) return;
    const entry_t *e = &s->entry[m->row][m->place];
    if (created != want_created) fail(s, "row %zu place %zu: created is wrong", m->row, m->place);
    if (view.len != e->len || memcmp(view.bytes, content(m->row, m->place, e->version, e->len), e->len) != 0)
        fail(s, "row %zu place %zu is not what was put last", m->row, m->place);
}

static int do_plain(sim_t *s, const mail_t *m, int *want, err_t *err) {
    uint64_t row = s->row_base + m->row, owner = owner_id(s, m->owner);
    *want = SDG_OK;
    switch (m->kind) {
    case M_PUT:
        *want = model_put(s, m);
        return contexts_put(s->c, row, part_of(m->place), owner,
                            content(m->row, m->place, m->version, m->len), m->len, err);
    case M_PIN: *want = model_pin(s, m); return contexts_pin(s->c, row, owner, err);
    case M_UNPIN:
        *want = s->pins[m->row] & 1u << m->owner ? SDG_OK : SDG_ENOTFOUND;
        model_unpin(s, m->row, m->owner, ++s->clock);
        return contexts_unpin(s->c, row, owner, err);
    case M_COMPLETE: model_complete(s, m->row); return contexts_complete(s->c, row, err);
    case M_GONE: model_gone(s, m->owner); return contexts_owner_gone(s->c, owner, err);
    default:
        s->gone[m->owner] = false;
        contexts_owner_back(s->c, owner);
        return SDG_OK;
    }
}

static void deliver(sim_t *s, const mail_t *m) {
    err_t err = {0};
    int want, got;
    trace(s, "%s row %zu, worker %zu, place %zu, version %" PRIu64 ", %zu bytes", mail_names[m->kind], m->row,
          m->owner, m->place, m->version, m->len);
    set_disk(s, true);
    if (m->kind <= M_FETCH) {
        do_get(s, m);
    } else {
        got = do_plain(s, m, &want, &err);
        judge_code(s, got, want, &err);
    }
    set_disk(s, false);
    judge_state(s);
}

static void deliver_any(sim_t *s) {
    if (s->mail_count == 0) return;
    size_t at = between(s, 0, s->mail_count - 1);
    mail_t m = s->mail[at];
    s->mail[at] = s->mail[--s->mail_count];
    deliver(s, &m);
}

/* A mail arrives never, once or twice; what the scheduler says always arrives. */
static void post(sim_t *s, mail_t m) {
    bool sure = m.kind >= M_COMPLETE;
    int copies = sure || !chance(s, s->drop) ? 1 : 0;
    if (m.kind != M_BACK && chance(s, s->repeat)) copies++;
    for (; copies > 0; copies--) {
        while (s->mail_count == MAIL_MAX) {
            deliver_any(s);
        }
        s->mail[s->mail_count++] = m;
    }
}

/* ---- workers and scheduler */

static void worker_speaks(sim_t *s, size_t owner) {
    size_t row = between(s, 0, ROWS - 1), k = between(s, 0, BYTES_MAX / PLACES - 1);
    for (int tries = 0; tries < 8 && s->at[row] != owner; tries++) { /* nearly always one of its own */
        row = between(s, 0, ROWS - 1);
    }
    mail_kind_t kind = (mail_kind_t)between(s, M_GET, M_UNPIN);
    size_t place = chance(s, 0.4) ? owner : 0;
    if (kind == M_GET && k == 0) k = 1; /* nothing to create from is another message */
    post(s, (mail_t){.kind = kind,
                     .row = row,
                     .owner = owner,
                     .place = place,
                     .version = ++s->versions,
                     .len = k * PLACES + place});
    if (kind != M_PUT && chance(s, 0.6)) post(s, (mail_t){.kind = M_UNPIN, .row = row, .owner = owner});
}

/* A worker is taken for gone. It has crashed, or is only silent: then it speaks on, and may come back. */
static void worker_lost(sim_t *s, size_t owner) {
    bool crashed = chance(s, 0.5);
    trace(s, "worker %zu %s", owner, crashed ? "crashes" : "is silent");
    s->alive[owner] = !crashed;
    post(s, (mail_t){.kind = M_GONE, .owner = owner});
    for (size_t row = 0; row < ROWS; row++) {
        if (s->at[row] == owner) s->at[row] = 0;
    }
}

static void chaos(sim_t *s) {
    size_t owner = between(s, 1, PLACES - 1), row = between(s, 0, ROWS - 1);
    switch (between(s, 0, 7)) {
    case 0:
        if (s->alive[owner]) worker_lost(s, owner);
        break;
    case 1:
        if (s->gone[owner] && chance(s, 0.9)) post(s, (mail_t){.kind = M_BACK, .owner = owner});
        s->alive[owner] = true;
        break;
    case 2:
        if (chance(s, 0.15)) post(s, (mail_t){.kind = M_COMPLETE, .row = row});
        break;
    case 3:
        if (s->spills && chance(s, 0.2)) s->full = !s->full;
        break;
    default:
        if (s->alive[owner]) s->at[row] = owner;
        break;
    }
}

static void flush(sim_t *s) {
    err_t err = {0};
    trace(s, "flush");
    set_disk(s, true);
    int rc = contexts_flush(s->c, &err);
    set_disk(s, false);
    if (rc == SDG_OK) s->behind = false;
    judge_code(s, rc, SDG_OK, &err);
    judge_state(s);
    contexts_check(s->c);
}

static void step(sim_t *s) {
    size_t owner = between(s, 1, PLACES - 1), what = between(s, 0, 99);
    s->steps++;
    if (what < 45) {
        if (s->alive[owner]) worker_speaks(s, owner);
    } else if (what < 90) {
        deliver_any(s);
    } else if (what < 98) {
        chaos(s);
    } else if (chance(s, 0.5)) {
        contexts_check(s->c);
    } else {
        flush(s);
    }
}

/* ---- running */

static void setup(sim_t *s) {
    rng_seed(&s->rng, s->seed, 1);
    s->spills = !chance(s, 0.2);
    s->full = s->spills && chance(s, 0.2);
    s->full_at = chance(s, 0.5) ? FULL_AT_ONCE : FULL_AT;
    s->drop = chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->repeat = chance(s, 0.7) ? rng_real(&s->rng) * 0.3 : 0;
    s->max_cached = chance(s, 0.8) ? between(s, 1, 12) : 0;
    s->max_bytes = chance(s, 0.5) ? between(s, 1, 8 * BYTES_MAX) : 0;
    s->row_base = chance(s, 0.1) ? CONTEXTS_ROW_MAX - ROWS + 1 : between(s, 0, 1000);
    for (size_t owner = 1; owner < PLACES; owner++) {
        s->alive[owner] = chance(s, 0.4);
    }
    for (size_t row = 0; row < ROWS; row++) {
        s->at[row] = between(s, 0, PLACES - 1);
    }
    s->c = contexts_new(&(contexts_options_t){.max_cached = s->max_cached,
                                              .max_bytes = s->max_bytes,
                                              .spill_path = s->spills ? path : NULL,
                                              .evicted = judge_eviction,
                                              .context = s});
}

static void expect_nothing(sim_t *s, const char *when) {
    contexts_stats_t got;
    contexts_check(s->c);
    contexts_stats(s->c, &got);
    if (got.cached + got.cached_bytes + got.pinned + got.spilled + got.spilled_bytes > 0)
        fail(s, "something is left %s", when);
}

/* All workers die and all rows complete; mails that still come must do nothing. */
static void finish(sim_t *s) {
    contexts_stats_t got;
    s->full = false;
    flush(s);
    for (size_t owner = 1; owner < PLACES; owner++) {
        deliver(s, &(mail_t){.kind = M_GONE, .owner = owner});
    }
    contexts_check(s->c);
    contexts_stats(s->c, &got);
    if (got.pinned > 0) fail(s, "%zu are pinned and nobody is there", got.pinned);
    for (size_t row = 0; row < ROWS; row++) {
        deliver(s, &(mail_t){.kind = M_COMPLETE, .row = row, .owner = 1});
    }
    expect_nothing(s, "when all rows are complete");
    while (s->mail_count > 0) {
        deliver_any(s);
    }
    expect_nothing(s, "after late messages");
}

typedef struct totals {
    uint64_t passed, failed, evictions, loads, late;
} totals_t;

static void run_seed(uint64_t seed, bool verbose, totals_t *t) {
    sim_t *s = xcalloc(1, sizeof *s);
    sim_set_seed(seed);
    s->seed = seed;
    s->verbose = verbose;
    setup(s);
    uint64_t steps = between(s, 50, 900);
    while (!s->failed && s->steps < steps) {
        step(s);
    }
    if (!s->failed) finish(s);
    *(s->failed ? &t->failed : &t->passed) += 1;
    t->evictions += s->want.evictions;
    t->loads += s->want.loads;
    t->late += s->want.late;
    contexts_destroy(&s->c);
    free(s);
}

static void remove_folder(void) { rmdir(folder); }

int main(int argc, char **argv) {
    sim_seeds_t seeds = SIM_SEEDS;
    for (int at = 1; at < argc;) {
        if (!sim_seeds_read(&seeds, argc, argv, &at))
            return fprintf(stderr, "usage: sim_contexts [--seeds N] [--seed S] [-v]\n"), 2;
    }
    const char *place =
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* memory: seeds then wait for no disk */
    snprintf(folder, sizeof folder, "%s/sdg-sim-contexts-XXXXXX", place);
    if (!mkdtemp(folder)) return perror(folder), 2;
    snprintf(path, sizeof path, "%s/spill", folder);
    sim_begin(remove_folder);
    signal(SIGXFSZ, SIG_IGN);
    totals_t t = {0};
    for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; seed++) {
        run_seed(seed, seeds.verbose, &t);
    }
    bool clean = rmdir(folder) == 0; /* no spill file is left */
    if (!clean) printf("%s is not empty\n", folder);
    printf("%" PRIu64 " evictions, %" PRIu64 " loads, %" PRIu64 " late messages refused\n", t.evictions,
           t.loads, t.late);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", t.passed, t.failed + !clean);
    return t.failed || !clean;
}
