/* endpoint_book.c - see endpoint_book.h. */
#include "core/sched/endpoint_book.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/base/idmap.h"
#include "core/sched/limits.h"

typedef struct line {         /* what one worker says of one endpoint */
    endpoint_report_t before; /* the counters of earlier lives of the job at this worker */
    endpoint_report_t said;
} line_t;

typedef struct teller { /* a worker */
    uint64_t worker, heard_ns;
    bool gone;
    line_t *lines; /* owned */
    size_t count, cap;
} teller_t;

typedef struct known { /* an endpoint of the job */
    uint64_t endpoint;
    endpoint_report_t lump; /* the counters of workers that are not remembered any more */
} known_t;

struct endpoint_book {
    idmap_t tellers; /* worker -> teller_t; owned */
    size_t gone;     /* of them */
    bool suspect;    /* calls may wait with a refusal somewhere, or a worker has found an endpoint final */
    known_t *known;  /* in the order they were first heard of; owned */
    size_t known_count, known_cap;
    /* Since when all rows wait, and how many they are; 0: not all do. */
    uint64_t stuck_rows, stuck_ns;
    /* Requests so far, and since when they are that many and none is in flight. */
    uint64_t requests, quiet_ns;
};

endpoint_book_t *endpoint_book_new(void) { return xcalloc(1, sizeof(endpoint_book_t)); }

static void teller_free(teller_t *t) {
    free(t->lines);
    free(t);
}

void endpoint_book_destroy(endpoint_book_t **book) {
    endpoint_book_t *b = *book;
    if (!b) return;
    IDMAP_EACH(&b->tellers, slot) teller_free(slot->value);
    idmap_free(&b->tellers);
    free(b->known);
    free(b);
    *book = NULL;
}

/* ---- what workers say */

static known_t *known_of(endpoint_book_t *b, uint64_t endpoint) {
    for (size_t i = 0; i < b->known_count; i++) {
        if (b->known[i].endpoint == endpoint) return &b->known[i];
    }
    if (b->known_count == JOB_ENDPOINTS_MAX) return NULL;
    GROW(b->known, b->known_cap, b->known_count + 1);
    known_t *known = &b->known[b->known_count++];
    *known = (known_t){.endpoint = endpoint};
    return known;
}

static teller_t *teller_of(endpoint_book_t *b, uint64_t worker) {
    teller_t *t = idmap_get(&b->tellers, worker);
    if (t) return t;
    t = xcalloc(1, sizeof *t);
    t->worker = worker;
    idmap_add(&b->tellers, worker, t);
    return t;
}

static line_t *line_of(teller_t *t, uint64_t endpoint) {
    for (size_t i = 0; i < t->count; i++) {
        if (t->lines[i].said.endpoint == endpoint) return &t->lines[i];
    }
    GROW(t->lines, t->cap, t->count + 1);
    line_t *line = &t->lines[t->count++];
    *line = (line_t){.said = {.endpoint = endpoint}};
    return line;
}

/* Fewer requests than before: the job has begun anew at this worker. */
static void line_take(line_t *line, const endpoint_report_t *report) {
    if (report->requests < line->said.requests) endpoint_report_count(&line->before, &line->said);
    line->said = *report;
}

void endpoint_book_take(endpoint_book_t *b, uint64_t worker, const endpoint_report_t *reports, size_t count,
                        uint64_t now) {
    teller_t *t = teller_of(b, worker);
    if (t->gone) b->gone--;
    t->gone = false;
    for (size_t i = 0; i < t->count; i++) { /* what it does not speak of now ages on */
        endpoint_report_age(&t->lines[i].said, (now - t->heard_ns) / MILLISECOND);
    }
    t->heard_ns = now;
    for (size_t i = 0; i < count; i++) {
        if (!known_of(b, reports[i].endpoint)) continue;
        line_take(line_of(t, reports[i].endpoint), &reports[i]);
        if (reports[i].refused > 0 || reports[i].state == ENDPOINT_FINAL) b->suspect = true;
    }
}

/* The counters of the worker that has been gone for the longest time become nameless. */
static void forget_oldest(endpoint_book_t *b) {
    teller_t *oldest = NULL;
    IDMAP_EACH(&b->tellers, slot) {
        teller_t *t = slot->value;
        if (t->gone && (!oldest || t->heard_ns < oldest->heard_ns)) oldest = t;
    }
    for (size_t i = 0; i < oldest->count; i++) {
        line_t *line = &oldest->lines[i];
        known_t *known = known_of(b, line->said.endpoint);
        endpoint_report_count(&known->lump, &line->before);
        endpoint_report_count(&known->lump, &line->said);
    }
    idmap_remove(&b->tellers, oldest->worker);
    teller_free(oldest);
    b->gone--;
}

void endpoint_book_gone(endpoint_book_t *b, uint64_t worker) {
    teller_t *t = idmap_get(&b->tellers, worker);
    if (!t || t->gone) return;
    t->gone = true;
    b->gone++;
    if (b->gone > WORKERS_MAX) forget_oldest(b);
}

/* ---- sums */

/* What a worker said, as of `now`. Of one that is gone only what it has counted and seen is left. */
static endpoint_report_t said_now(const teller_t *t, const line_t *line, uint64_t now) {
    endpoint_report_t r = line->said;
    endpoint_report_age(&r, (now - t->heard_ns) / MILLISECOND);
    endpoint_report_count(&r, &line->before);
    if (!t->gone) return r;
    r.in_flight = r.waiting = r.refused = r.refused_in_a_row = r.oldest_ms = r.reopens_ms = 0;
    r.state = ENDPOINT_FINAL; /* says nothing beside a living one */
    return r;
}

static void add_line(endpoint_report_t *sum, const endpoint_report_t *r) {
    if (!sum->address[0]) memcpy(sum->address, r->address, sizeof sum->address);
    endpoint_report_add(sum, r);
}

static const line_t *line_peek(const teller_t *t, uint64_t endpoint) {
    for (size_t i = 0; i < t->count; i++) {
        if (t->lines[i].said.endpoint == endpoint) return &t->lines[i];
    }
    return NULL;
}

static void sum_of(const endpoint_book_t *b, const known_t *known, uint64_t now, endpoint_report_t *sum) {
    bool living = false;
    *sum = (endpoint_report_t){
        .endpoint = known->endpoint, .state = ENDPOINT_FINAL, .answered_ms = ENDPOINT_NEVER};
    endpoint_report_count(sum, &known->lump);
    IDMAP_EACH(&b->tellers, slot) {
        const teller_t *t = slot->value;
        const line_t *line = line_peek(t, known->endpoint);
        if (!line) continue;
        endpoint_report_t r = said_now(t, line, now);
        add_line(sum, &r);
        living = living || !t->gone;
    }
    if (!living) sum->state = ENDPOINT_OPEN;
}

size_t endpoint_book_sum(const endpoint_book_t *b, uint64_t now, endpoint_report_t *out, size_t max) {
    size_t count = b->known_count < max ? b->known_count : max;
    for (size_t i = 0; i < count; i++) {
        sum_of(b, &b->known[i], now, &out[i]);
    }
    return count;
}

/* ---- the verdict */

/* A worker that has found it final; NULL: none has. */
static const teller_t *who_found_final(const endpoint_book_t *b, uint64_t endpoint) {
    IDMAP_EACH(&b->tellers, slot) {
        const teller_t *t = slot->value;
        const line_t *line = line_peek(t, endpoint);
        if (line && !t->gone && line->said.state == ENDPOINT_FINAL) return t;
    }
    return NULL;
}

/* Does it answer a worker at the moment, that it has refused nothing since? */
static bool is_well_somewhere(const endpoint_book_t *b, uint64_t endpoint, uint64_t now) {
    IDMAP_EACH(&b->tellers, slot) {
        const teller_t *t = slot->value;
        const line_t *line = line_peek(t, endpoint);
        if (!line || t->gone) continue;
        endpoint_report_t r = said_now(t, line, now);
        bool answers = r.refused_in_a_row == 0 && r.answered_ms < ENDPOINT_ANSWERS_MS;
        if (r.state != ENDPOINT_FINAL && answers) return true;
    }
    return false;
}

/* For how long all unfinished rows have been waiting with a refusal. */
static uint64_t stuck_for(endpoint_book_t *b, const endpoint_facts_t *facts, uint64_t refused, uint64_t now) {
    bool others_come = !facts->none_come && refused < ENDPOINT_REFUSALS_MAX;
    bool stuck = facts->rows_unfinished > 0 && refused >= facts->rows_unfinished && !others_come;
    if (!stuck) {
        b->stuck_rows = 0;
        return 0;
    }
    if (b->stuck_rows != facts->rows_unfinished) {
        b->stuck_rows = facts->rows_unfinished;
        b->stuck_ns = now;
    }
    return now - b->stuck_ns;
}

/* For how long nothing has been asked. */
static uint64_t quiet_for(endpoint_book_t *b, uint64_t requests, uint64_t in_flight, uint64_t now) {
    if (requests != b->requests || in_flight > 0 || b->quiet_ns == 0) b->quiet_ns = now;
    b->requests = requests;
    return now - b->quiet_ns;
}

static endpoint_verdict_t rule(endpoint_ruling_t *ruling, endpoint_verdict_t verdict) {
    return ruling->verdict = verdict;
}

/* The sums are added up in *all; the ruling is about the endpoint most rows wait for, unless one is final. */
static endpoint_verdict_t look_for_final(endpoint_book_t *b, uint64_t now, endpoint_report_t *all,
                                         endpoint_ruling_t *ruling) {
    for (size_t i = 0; i < b->known_count; i++) {
        endpoint_report_t sum;
        sum_of(b, &b->known[i], now, &sum);
        const teller_t *finder = who_found_final(b, sum.endpoint);
        endpoint_report_add(all, &sum);
        if (sum.refused > ruling->of.refused || finder) ruling->of = sum;
        if (!finder) continue;
        ruling->worker = finder->worker;
        return is_well_somewhere(b, sum.endpoint, now) ? ENDPOINT_UNFIT_WORKER : ENDPOINT_IS_FINAL;
    }
    return ENDPOINT_GOES_ON;
}

/* Are the last rows, which this endpoint refuses, at fault themselves? It seems so when they are few, the
 * endpoint has answered in this run, and either has refused single rows before, or has answered too few to
 * tell that it takes any row. */
static bool rows_at_fault(const endpoint_report_t *of) {
    bool few = of->refused < ENDPOINT_REFUSALS_MAX;
    return few && of->answered > 0 && (of->faulted > 0 || of->answered < ENDPOINT_REFUSALS_MAX);
}

endpoint_verdict_t endpoint_book_judge(endpoint_book_t *b, const endpoint_facts_t *facts, uint64_t now,
                                       endpoint_ruling_t *ruling) {
    endpoint_report_t all = {0}; /* the sum over all endpoints */
    *ruling = (endpoint_ruling_t){0};
    endpoint_verdict_t found = b->suspect ? look_for_final(b, now, &all, ruling) : ENDPOINT_GOES_ON;
    if (found != ENDPOINT_GOES_ON) return rule(ruling, found);
    b->suspect = all.refused > 0;
    bool stuck = stuck_for(b, facts, all.refused, now) >= ENDPOINT_STUCK_NS;
    bool quiet = quiet_for(b, all.requests, all.in_flight, now) >= ENDPOINT_QUIET_NS && all.refused > 0;
    if (!stuck && !quiet) return rule(ruling, ENDPOINT_GOES_ON);
    b->stuck_ns = b->quiet_ns = now; /* a verdict that is lost on its way is given again */
    bool alone = all.refused == 1 || facts->rows_unfinished == 1;
    return rule(ruling, alone || rows_at_fault(&ruling->of) ? ENDPOINT_FAILS_ITS_ROW : ENDPOINT_IS_FINAL);
}
