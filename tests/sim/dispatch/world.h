/* world.h - the world of sim_dispatch: time, links that lose, repeat, delay and reorder, the actors' state,
 * and what rows contain.
 *
 * Everything that happens is an event in one heap (world_push); a message is a mail_t whose fields are named
 * as in proto/messages.def. Mails carry no bytes of rows: what row 17 of client 2 contains, and what its
 * result is, follows from the numbers, so that whoever has bytes can compare them. */
#ifndef SDG_TESTS_SIM_DISPATCH_WORLD_H
#define SDG_TESTS_SIM_DISPATCH_WORLD_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/rng.h"
#include "core/sched/dispatch.h"
#include "core/sched/endpoint_book.h"
#include "core/sched/feed.h"
#include "core/sched/lease_book.h"
#include "core/sched/outbox.h"

enum {
    CLIENTS_MAX = 3,
    JOB_BOOKS = 64,    /* jobs over a whole run */
    WORKER_SLOTS = 48, /* workers over a whole run */
    ROWS_MAX = 120,    /* of a client's dataset */
    PEERS_MAX = 4096,  /* connections over a whole run */
    BATCHES_MAX = 4096,
    ROW_BYTES_MAX = 256,
    RESULT_BYTES_MAX = 512, /* with meta */
    REPORT_WORDS = 6,       /* of ENDPOINT_REPORT, for each endpoint */
    ENDPOINTS = 2,          /* LLM servers; number 0 has the id 1 */
};
#define RULE_WAIT SECOND /* how often absolute things are repeated */

/* A rule that the actors break on purpose: the judge must notice. */
typedef enum broken {
    BROKEN_NOTHING,
    BROKEN_RESEND,   /* the worker sends each batch once */
    BROKEN_ACK,      /* the worker takes a batch for acknowledged when it is sent */
    BROKEN_LEASE,    /* the worker takes the rows of a lease each time it arrives */
    BROKEN_ERA,      /* the worker keeps rows that wait when a new era begins */
    BROKEN_MISSING,  /* the worker says that no lease is missing */
    BROKEN_CHUNK,    /* the client forgets a chunk when it is sent */
    BROKEN_END,      /* the client says the end of its rows once */
    BROKEN_WAITING,  /* the worker does not say that rows wait */
    BROKEN_CALLS,    /* the worker calls endpoints without their permit */
    BROKEN_REPORTS,  /* the worker does not say that an endpoint refuses its calls */
    BROKEN_NUMBERS,  /* the client goes on with the numbers of the job before */
    BROKEN_PATIENCE, /* the scheduler believes whatever patience a worker claims */
    BROKEN_CUT,      /* the scheduler does not notice that a connection is gone */
    BROKEN_KINDS
} broken_t;

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
    M_ENDPOINT_PERMITS,
    M_ENDPOINT_HELD,
    M_ENDPOINT_REPORT,
    M_ENDPOINT_LET_FAIL,
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

/* WAKE_CUT: the scheduler finds connection number `who` gone. */
typedef enum wake_kind {
    WAKE_MAIL,
    WAKE_CLIENT,
    WAKE_WORKER,
    WAKE_SCHEDULER,
    WAKE_CHAOS,
    WAKE_CUT
} wake_kind_t;
typedef struct event {
    uint64_t time;
    wake_kind_t kind;
    size_t who;
    mail_t *mail;
} event_t;

/* ---- actors */

typedef struct client {
    size_t number;
    uint64_t job;
    uint64_t peer;       /* the connection it speaks on */
    uint64_t registered; /* the connection on which the scheduler knows it */
    bool alive, accepted, opened, done, stopped;
    bool finished; /* it has heard JOB_DONE of a whole run, or has stopped */
    uint64_t rows_total, killers[2];
    uint64_t window_rows, window_bytes, concurrency, chunk_rows, priority;
    uint32_t endpoints;  /* bit per endpoint that its pipeline names */
    uint64_t revoked_ns; /* from then on all endpoints refuse its key; UINT64_MAX: they do not */
    uint64_t limit;      /* what it wants the concurrency to be now; 0: as at first */
    uint64_t result_rows, result_bytes;  /* result window */
    uint64_t todo[ROWS_MAX], todo_count; /* what it reads: rows that were not in the file when it began */
    uint64_t next;                       /* place in todo that it reads next */
    uint64_t job_rows;                   /* rows of its job */
    feed_t *feed;
    uint64_t stall_until, gone_ns, rise_ns;
    bool gone_unseen; /* it died or is silent; the scheduler will notice at gone_ns */
    uint32_t stop_mode;
    uint64_t next_batch, rows_received, bytes_received;
    uint8_t written[ROWS_MAX]; /* how often each row is in the file, which outlives the client */
    uint64_t ok, failed;       /* written of its job */
} client_t;

typedef struct held {
    uint64_t job, index, done_ns;
    uint64_t life; /* in which life of the worker (as the dispatcher sees it) the row was leased */
    bool running;  /* it has begun */
    bool unit;  /* until done_ns it runs code or its call is in flight; without a unit it rests until then */
    bool ended; /* its result is there */
    size_t endpoint; /* the one it calls when its code is done; ENDPOINTS: none */
    bool calling;
    uint64_t call_key; /* the permit it calls by: judge_call_key */
    bool revoked;      /* its call is one that is refused */
    bool refused;      /* it has been refused: the row waits for what becomes of that */
    uint32_t retries;  /* so many times its call has to be made again */
} held_t;

/* What a worker has seen of an endpoint for a job. */
typedef struct seen {
    uint64_t requests, answered, in_flight, refused, refused_in_a_row, answered_ns;
} seen_t;

/* A worker's units of a job. */
typedef struct job_units {
    uint64_t job, allowed, life;
    units_held_t told; /* as the scheduler heard last */
    bool refused;
    seen_t seen[ENDPOINTS];
} job_units_t;

/* A worker's permit of an endpoint. */
typedef struct worker_permit {
    uint64_t calls, told;
    uint64_t key; /* under which the judge counts calls by it: judge_call_key of when it was told */
} worker_permit_t;

/* What the scheduler knows of a worker, as the judge sees it. */
typedef struct registration {
    bool known;
    uint64_t heard_ns, patience_ns;
    uint64_t cut_ns; /* when its connection was found to be gone; 0: it is there */
} registration_t;

typedef struct worker {
    struct sim *sim;
    uint64_t instance, peer;
    bool alive, welcome, draining;
    uint64_t credit_rows, credit_bytes, silent_until, beat_ns, hello_ns;
    uint64_t row_ns;  /* longest a row takes */
    uint32_t refuses; /* bit per client number */
    held_t *held;
    size_t held_count, held_cap;
    job_units_t units[JOB_BOOKS];
    size_t units_count;
    worker_permit_t lines[ENDPOINTS];
    lease_book_t *leases;
    outbox_t *outbox;
    uint64_t wake_ns;            /* when it wakes next */
    uint64_t claimed_ms;         /* its patience, in HELLO */
    registration_t registration; /* for the judge */
    uint64_t life_heard;         /* for the judge: the latest life of the leases that have arrived */
    uint64_t life;               /* for the judge: how often the dispatcher has lost this worker */
} worker_t;

typedef struct job_book job_book_t; /* judge.h */
typedef struct call_book call_book_t;

typedef struct sim {
    uint64_t seed, now, faults_end, steps;
    rng_t rng;
    bool verbose, quiet, failed, good;
    broken_t broken;
    double drop, repeat, stall;
    double retry; /* chance that a call has to be made again */
    uint64_t delay_max;
    dispatch_t *d;
    heap_t events; /* event_t, owned, by time; those of one time in the order they were made */
    client_t clients[CLIENTS_MAX];
    size_t client_count;
    worker_t workers[WORKER_SLOTS];
    size_t worker_count;
    uint64_t peers, instances, jobs;
    /* By connection: when the last message that keeps its order arrives there, the last one from there, and
     * the last JOB_DROP there. */
    uint64_t permits_ns[PEERS_MAX], held_ns[PEERS_MAX], drop_ns[PEERS_MAX];
    uint64_t instance_at[PEERS_MAX]; /* of the scheduler: which worker speaks there; 0: none */
    uint64_t client_at[PEERS_MAX];   /* client number + 1 */
    bool gone[PEERS_MAX];            /* the scheduler has found that connection to be gone */
    call_book_t *endpoints;          /* of the judge, ENDPOINTS of them */
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
row_in_t world_row(uint64_t client, uint64_t index);
row_done_t world_done(uint64_t client, uint64_t index);
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
