/* world.c - time, links and small things of sim_dispatch: world.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dispatch/world.h"
#include "tests/sim/sim.h"

enum { PATTERN_BYTES = 1024 };
/* a message stuck on its way may arrive after the silence that kills a worker */
#define STALL_MAX (15 * SECOND)

static char pattern[PATTERN_BYTES];
static const char *const mail_names[] = {
    "JOB_OPEN",
    "JOB_ACCEPTED",
    "INGEST_CREDIT",
    "ROWS",
    "ROWS_END",
    "RESULT_CREDIT",
    "RESULTS",
    "RESULTS_ACK",
    "JOB_DONE",
    "JOB_STOP",
    "JOB_LIMIT",
    "CLIENT_BYE",
    "REFUSED",
    "HELLO",
    "WELCOME",
    "ROW_CREDIT",
    "LEASE",
    "LEASES_VOID",
    "ROW_RESULTS",
    "ROW_RESULTS_ACK",
    "PERMITS",
    "LEASE_RETURN",
    "JOB_DROP",
    "JOB_REFUSED",
    "BEAT",
    "BYE",
    "PERMITS_HELD",
    "ENDPOINT_PERMITS",
    "ENDPOINT_HELD",
    "ENDPOINT_REPORT",
    "ENDPOINT_LET_FAIL",
};

/* ---- small things */

void world_trace(const sim_t *s, const char *fmt, ...) {
    if (!s->verbose) return;
    va_list args;
    printf("%10.3f  ", (double)s->now / (double)SECOND);
    va_start(args, fmt);
    sim_print(fmt, args);
    va_end(args);
}

void world_fail(sim_t *s, const char *fmt, ...) {
    if (s->failed) return;
    va_list args;
    s->failed = true;
    if (s->quiet) return;
    printf("seed %" PRIu64 " failed at %.3f s: ", s->seed, (double)s->now / (double)SECOND);
    va_start(args, fmt);
    sim_print(fmt, args);
    va_end(args);
}

uint64_t world_between(sim_t *s, uint64_t lo, uint64_t hi) {
    return (uint64_t)rng_between(&s->rng, (int64_t)lo, (int64_t)hi);
}
bool world_chance(sim_t *s, double p) { return sim_chance(&s->rng, p); }
uint64_t world_mix(uint64_t a, uint64_t b) {
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (x ^ x >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 17;
}

/* Most are small, one in eight is anything. */
static size_t size_of(uint64_t random, size_t max) { return 1 + random / 8 % (random % 8 ? max / 8 : max); }

/* What a row contains and what it gives. */
row_in_t world_row(uint64_t client, uint64_t index) {
    return (row_in_t){.index = index,
                      .line = index + 1,
                      .raw = {pattern + index % 100, size_of(world_mix(client, index), ROW_BYTES_MAX)}};
}
row_done_t world_done(uint64_t client, uint64_t index) {
    static const uint32_t statuses[] = {0, 0, 0, 1, 0, 2, 0}; /* fine, failed, parked */
    return (row_done_t){
        .index = index,
        .status = statuses[world_mix(index, client) % 7],
        .json = {pattern + index % 97, size_of(world_mix(client + 1, index), RESULT_BYTES_MAX - 5)},
        .meta = {pattern + index % 89, index % 5}};
}
size_t world_result_bytes(uint64_t client, uint64_t index) {
    row_done_t done = world_done(client, index);
    return done.json.len + done.meta.len;
}

worker_t *world_worker(sim_t *s, uint64_t instance) {
    for (size_t i = 0; i < s->worker_count; i++) {
        if (s->workers[i].instance == instance) return &s->workers[i];
    }
    return NULL;
}

void world_init(void) {
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        pattern[i] = (char)('a' + world_mix(i, 7) % 26);
    }
}

/* ---- time and links */

void world_push(sim_t *s, event_t e) {
    event_t *kept = xmalloc(sizeof *kept);
    *kept = e;
    heap_add(&s->events, e.time, kept, NULL);
}

event_t world_pop(sim_t *s) {
    event_t *first = heap_pop(&s->events).pointer, e = *first;
    free(first);
    return e;
}

void world_wake(sim_t *s, wake_kind_t kind, size_t who, uint64_t time) {
    world_push(s, (event_t){.time = time, .kind = kind, .who = who});
}

const char *mail_name(mail_kind_t kind) { return mail_names[kind]; }

mail_t *mail_new(mail_kind_t kind, uint64_t peer, uint64_t job, size_t count) {
    mail_t *m = xcalloc(1, sizeof *m + count * sizeof *m->rows);
    m->kind = kind;
    m->peer = peer;
    m->job = job;
    m->count = count;
    return m;
}

mail_t *mail_copy(const mail_t *m) {
    mail_t *copy = mail_new(m->kind, m->peer, m->job, m->count);
    memcpy(copy, m, sizeof *m + m->count * sizeof *m->rows);
    copy->users = 0;
    return copy;
}

void mail_done(mail_t *m) {
    if (m->users > 0) m->users--;
    if (m->users == 0) free(m);
}

/* Permits and their answers, as the dispatcher asks. The end of a job that was dropped with its silent
 * client: JOB_DONE must not come after the same job was opened and accepted once more on that connection.
 * JOB_DROP, for the same reason. Everything on a connection is in order in reality. */
static bool keeps_order(const mail_t *m) {
    if (m->kind == M_JOB_DONE || m->kind == M_JOB_ACCEPTED || m->kind == M_JOB_DROP) return true;
    return m->kind == M_PERMITS || m->kind == M_ENDPOINT_PERMITS || m->kind == M_HELLO ||
           m->kind == M_PERMITS_HELD || m->kind == M_ENDPOINT_HELD || m->kind == M_ENDPOINT_REPORT;
}

/* Not before those of its kind that were sent before it on this connection. */
static uint64_t in_order(sim_t *s, const mail_t *m, uint64_t time) {
    /* Nothing overtakes JOB_DROP: rows of a job that is opened once more would be forgotten with the old
     * ones. */
    if (!m->to_scheduler && time < s->drop_ns[m->peer]) time = s->drop_ns[m->peer];
    if (!keeps_order(m)) return time;
    bool told = !m->to_scheduler;
    uint64_t *last = told ? &s->permits_ns[m->peer] : &s->held_ns[m->peer];
    if (time < *last) time = *last;
    if (m->kind == M_JOB_DROP) s->drop_ns[m->peer] = time;
    return *last = time;
}

/* In reality a message is lost only with its connection, and the worker that comes back names its jobs: those
 * that are over are dropped again. Here connections lose single messages, so JOB_DROP must arrive. */
static bool is_lossy(const mail_t *m) { return m->kind != M_JOB_DROP; }

void world_post(sim_t *s, bool to_scheduler, mail_t *m) {
    m->to_scheduler = to_scheduler;
    m->users = s->good || !is_lossy(m) || !world_chance(s, s->drop) ? 1 : 0;
    if (m->users && !s->good && world_chance(s, s->repeat)) m->users = 2;
    if (m->users == 0)
        world_trace(s, "      lost %s %s %" PRIu64, mail_name(m->kind), to_scheduler ? "from" : "to",
                    m->peer);
    for (uint32_t i = m->users; i > 0; i--) {
        uint64_t delay = s->good ? MILLISECOND : world_between(s, 50000, s->delay_max);
        if (!s->good && !keeps_order(m) && world_chance(s, s->stall)) delay = world_between(s, 0, STALL_MAX);
        world_push(s, (event_t){.time = in_order(s, m, s->now + delay), .kind = WAKE_MAIL, .mail = m});
    }
    if (m->users == 0) free(m);
}

void world_post_plain(sim_t *s, bool to_scheduler, mail_kind_t kind, uint64_t peer, uint64_t job, uint64_t a,
                      uint64_t b, uint64_t c) {
    mail_t *m = mail_new(kind, peer, job, 0);
    m->a = a, m->b = b, m->c = c;
    world_post(s, to_scheduler, m);
}
