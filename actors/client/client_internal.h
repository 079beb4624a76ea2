/* client_internal.h - the client's state, shared by client.c (messages, life), client_rows.c (input),
 * client_totals.c (what happened), client_batch.c (batch mode) and client_store.c. */
#ifndef SDG_ACTORS_CLIENT_CLIENT_INTERNAL_H
#define SDG_ACTORS_CLIENT_CLIENT_INTERNAL_H

#include "actors/loop/actor.h"
#include "actors/loop/greeting.h"
#include "actors/client/client.h"
#include "core/base/numbers.h"
#include "core/sched/feed.h"
#include "proto/stats.h"
#include "proto/parts/tally.h"
#include "proto/parts/usage.h"

typedef enum client_state {
    CLIENT_JOINING, /* HELLO sent */
    CLIENT_OPENING, /* JOB_OPEN sent */
    CLIENT_RUNNING,
    CLIENT_STOPPING, /* JOB_STOP sent: results still come */
    CLIENT_OVER,     /* JOB_DONE seen, or given up */
} client_state_t;

typedef struct client {
    actor_t actor;
    const client_args_t *args;
    zsock_t *scheduler, *monitor, *store; /* store: NULL without a call journal */
    reader_t *reader;
    writer_t *writer;
    client_state_t state;
    greeting_t greeting;
    uint64_t job, instance;
    bool accepted;                       /* the job, on this epoch */
    uint64_t beat_ns, stats_ns, sync_ns; /* when it was done last */
    bool stop_asked;
    char ending[ERR_TEXT_MAX]; /* why the run ended early; "" normally */
    int exit_code;
    /* input */
    feed_t *feed;
    bool input_over;    /* end of the dataset, or stopping */
    bool input_waits;   /* a pipe has nothing for now */
    bool input_watched; /* its descriptor is in the loop */
    /* results */
    uint64_t next_batch, rows_received, bytes_received;
    uint64_t safe_batch, safe_rows, safe_bytes; /* of these, what the output has for good: acknowledged, and
                                                   credit is counted from here */
    uint64_t kept_ok,
        kept_failed; /* rows that are safe in the file: what the summary says when the output fails */
    bool unsynced;
    numbers_t synced;           /* rows whose results the next sync makes safe: told to the store */
    struct client_batch *batch; /* client_batch.c; NULL without --batch-mode */
    /* totals */
    tally_t tally;
    buf_t scratch;
} client_t;

/* client_rows.c */
void client_read_more(client_t *c, uint64_t now); /* fills and sends chunks as credit allows */
void client_resubmit(client_t *c);                /* a new epoch: all unfinished chunks go again */
bool client_can_read_on(const client_t *c);       /* there is something to do at once */

/* client_totals.c */
void client_count_result(client_t *c, const row_done_t *row);
void client_count_failure(client_t *c, const char *reason);
void client_tell_monitor(client_t *c);
void client_tell_summary(client_t *c);

/* client_batch.c: without --batch-mode they do nothing and say false, or what holds for every run */
void client_batch_open(client_t *c);
void client_batch_free(client_t *c);
uint32_t client_batch_stop(const client_t *c); /* the block before which rows of this pass stop; 0: nowhere */
uint64_t client_concurrency(const client_t *c);         /* rows that may run at once now */
bool client_batch_has(const client_t *c, uint64_t row); /* it has finished this pass */
bool client_batch_reads_store(
    const client_t *c); /* the rows of this pass are in the store, not in the input */
bool client_batch_next(client_t *c, uint64_t *row); /* ... the next of them */
bool client_batch_failed(client_t *c, uint64_t row,
                         const char *error); /* true: an input line that is no row is put away for later */
void client_batch_parked(client_t *c, const row_done_t *row);
void client_batch_written(client_t *c, uint64_t row); /* its result is in the output */
void client_batch_flush(client_t *c);                 /* ... the store is told */
void client_batch_used(client_t *c,
                       const row_usage_t *usage); /* what rows have cost: may change how many run at once */
void client_say_limit(client_t *c);
bool client_batch_next_pass(
    client_t *c); /* true: another pass follows; its job is opened when the store has synced */
bool client_batch_waits(const client_t *c); /* ... not yet */
void client_batch_sync(client_t *c);
bool client_batch_synced(client_t *c, uint64_t token);

/* client_store.c: all of them do nothing without a call journal */
void client_store_open(client_t *c);
void client_store_job(client_t *c);                 /* c->job is the one whose calls are kept */
void client_store_row(client_t *c, uint64_t index); /* its result is written */
void client_store_synced(client_t *c);              /* and now safe */
void client_store_close(client_t *c, bool complete);
void client_store_free(client_t *c);

/* client.c */
void client_say(client_t *c, message_t *m);
void client_give_up(client_t *c, int exit_code,
                    const char *reason); /* ends the run now; what is on disk stays */

#endif
