/* world.h - the world of sim_dispatch: time, links that lose, repeat, delay and reorder, the actors' state,
 * and what rows contain.
 *
 * Everything that happens is an event in one heap (world_push); a message is a mail_t whose fields are named
 * as in proto/messages.def. Rows carry no bytes: what row 17 of client 2 contains, and what its result is,
 * follows from the numbers, on both ends. */
#ifndef SDG_TESTS_SIM_DISPATCH_WORLD_H
#define SDG_TESTS_SIM_DISPATCH_WORLD_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/rangeset.h"
#include "core/base/rng.h"
#include "core/sched/dispatch.h"

enum {
    CLIENTS_MAX = 3,
    WORKER_SLOTS = 48, /* workers over a whole run */
    ROWS_MAX = 120,    /* of a client's dataset */
    PEERS_MAX = 4096,  /* connections over a whole run */
    BATCHES_MAX = 4096,
    ROW_BYTES_MAX = 256,
    RESULT_BYTES_MAX = 512, /* with meta */
};
#define RULE_WAIT SECOND /* how often absolute things are repeated */
/* ---- messages */

typedef enum mail_kind {
    M_JOB_OPEN,
    M_JOB_ACCEPTED,
    M_INGEST_CREDIT,
    M_ROWS,
    M_ROWS_END,
    M_RESULT_CREDIT,
    M_RESULTS,
    M_RESULTS_ACK,
    M_JOB_DONE,
    M_JOB_STOP,
    M_JOB_LIMIT,
    M_CLIENT_BYE,
    M_REFUSED,
    M_HELLO,
    M_WELCOME,
    M_ROW_CREDIT,
    M_LEASE,
    M_LEASES_VOID,
    M_ROW_RESULTS,
    M_ACK,
    M_PERMITS,
    M_RETURN,
    M_JOB_DROP,
    M_JOB_REFUSED,
    M_BEAT,
    M_BYE,
    M_PERMITS_HELD,
} mail_kind_t;

typedef struct mail {
    mail_kind_t kind;
    bool to_scheduler;
    uint64_t peer;         /* the other end */
    uint64_t job, a, b, c; /* fields in the order of messages.def */
    uint32_t users;        /* deliveries still to come (a repeated message is one mail) */
    size_t count;
    uint64_t rows[];
} mail_t;

typedef enum wake_kind { WAKE_MAIL, WAKE_CLIENT, WAKE_WORKER, WAKE_SCHEDULER, WAKE_CHAOS } wake_kind_t;
typedef struct event {
    uint64_t time, order; /* order: first come, first served */
    wake_kind_t kind;
    size_t who;
    mail_t *mail;
} event_t;

/* ---- actors */

typedef struct client {
    size_t number;
    uint64_t job, peer, registered; /* where it speaks, where the scheduler thinks it does */
    bool alive, accepted, opened, done, stopped,
        finished; /* finished: heard JOB_DONE of a whole run, or stopped */
    uint64_t rows_total, killers[2];
    uint64_t window_rows, window_bytes, concurrency, chunk_rows, priority;
    uint64_t limit;                      /* what it wants the concurrency to be now; 0: as at first */
    uint64_t result_rows, result_bytes;  /* result window */
    uint64_t todo[ROWS_MAX], todo_count; /* rows of this incarnation's job */
    uint64_t chunk_start[ROWS_MAX + 1], chunk_sent_ns[ROWS_MAX],
        chunks; /* sent chunks; chunk k has todo[start k .. start k+1) */
    uint64_t rows_sent, bytes_sent, rows_limit, bytes_limit;
    bool end_sent;
    uint64_t end_sent_ns, stall_until, gone_ns, rise_ns;
    bool gone_unseen; /* it died, and nobody noticed yet */
    uint32_t stop_mode;
    uint64_t next_batch, rows_received, bytes_received;
    uint8_t written[ROWS_MAX]; /* how often; the file outlives the client */
    uint64_t incarnation;
    uint64_t ok, failed; /* written by this incarnation */
} client_t;

typedef struct held {
    uint64_t job, index, done_ns;
    uint64_t life; /* in which life of the worker (as the dispatcher sees it) the row was leased */
    bool running;
} held_t;

typedef struct parcel {
    struct parcel *next;
    mail_t *mail; /* as it was sent; peer is set anew */
    uint64_t resend_ns, wait_ns;
} parcel_t;

typedef struct permit {
    uint64_t job, rows, told_running, life;
    bool refused;
} permit_t;

typedef struct worker {
    uint64_t instance, peer;
    bool alive, welcome, draining;
    uint64_t credit_rows, credit_bytes, silent_until, beat_ns, hello_ns, batch;
    uint64_t row_ns;  /* longest a row takes */
    uint32_t refuses; /* bit per client number */
    held_t *held;
    size_t held_count, held_cap;
    permit_t permits[64];
    size_t permit_count;
    rangeset_t *leases;
    uint64_t era;
    parcel_t *parcels;
    uint64_t life; /* the judge's: how often the dispatcher has lost it */
} worker_t;

enum { JOB_BOOKS = 32 };

typedef struct job_book job_book_t; /* judge.h */

typedef struct sim {
    uint64_t seed, now, order, faults_end, steps;
    rng_t rng;
    bool verbose, failed, good;
    double drop, repeat;
    uint64_t delay_max;
    dispatch_t *d;
    event_t *heap;
    size_t heap_count, heap_cap;
    client_t clients[CLIENTS_MAX];
    size_t client_count;
    worker_t workers[WORKER_SLOTS];
    size_t worker_count;
    uint64_t peers, instances, jobs;
    uint64_t permits_ns[PEERS_MAX], held_ns[PEERS_MAX]; /* the last message of PERMITS, and of HELLO and
                                                           PERMITS_HELD there, arrives then */
    uint64_t instance_at[PEERS_MAX];                    /* scheduler: which worker speaks there; 0 unknown */
    uint64_t client_at[PEERS_MAX];                      /* client number + 1 */
    job_book_t *books[JOB_BOOKS];
    size_t book_count;
    uint64_t duplicates, failures, finished_jobs;
} sim_t;

/* ---- small things */

void world_init(void); /* before everything else, once */
/* Printed with -v only. */
void world_trace(const sim_t *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The seed has failed; only the first reason is printed. */
void world_fail(sim_t *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t world_between(sim_t *s, uint64_t lo, uint64_t hi);
bool world_chance(sim_t *s, double p);
uint64_t world_mix(uint64_t a, uint64_t b); /* a number that looks random */
dispatch_row_t world_row(uint64_t client, uint64_t index);
dispatch_done_t world_done(uint64_t client, uint64_t index);
size_t world_result_bytes(uint64_t client, uint64_t index);
worker_t *world_worker(sim_t *s, uint64_t instance); /* NULL: there is none */

/* ---- time and links */

void world_push(sim_t *s, event_t e);
event_t world_pop(sim_t *s);
void world_wake(sim_t *s, wake_kind_t kind, size_t who, uint64_t time);
const char *mail_name(mail_kind_t kind);
mail_t *mail_new(mail_kind_t kind, uint64_t peer, uint64_t job, size_t count);
mail_t *mail_copy(const mail_t *m);
void mail_done(mail_t *m); /* after one delivery; the last one frees it */
/* Takes the mail: it arrives never, once or twice, sooner or later. */
void world_post(sim_t *s, bool to_scheduler, mail_t *m);
void world_post_plain(sim_t *s, bool to_scheduler, mail_kind_t kind, uint64_t peer, uint64_t job, uint64_t a,
                      uint64_t b, uint64_t c);

#endif
