/* client_internal.h - the client's state, shared by client.c (messages, life), client_rows.c (from the source
 * to the scheduler), client_results.c (from the scheduler to the output), client_totals.c (what happened) and
 * client_store.c (what the context store is told). */
#ifndef SDG_ACTORS_CLIENT_CLIENT_INTERNAL_H
#define SDG_ACTORS_CLIENT_CLIENT_INTERNAL_H

#include "actors/client/client.h"
#include "actors/client/passes.h"
#include "actors/client/source.h"
#include "actors/loop/actor.h"
#include "actors/loop/greeting.h"
#include "core/base/numbers.h"
#include "core/plan/batch_size.h"
#include "core/sched/endpoint_book.h"
#include "core/sched/feed.h"
#include "proto/parts/samples.h"
#include "proto/parts/tally.h"
#include "proto/parts/usage.h"
#include "proto/stats.h"

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
    zsock_t *scheduler;
    zsock_t *monitor; /* NULL: none */
    zsock_t *store;   /* NULL: nothing is kept, no call journal and no contexts */
    client_state_t state;
    greeting_t greeting;
    uint64_t job, instance;
    bool accepted; /* the scheduler of this epoch has accepted the job */
    bool stop_asked;
    uint64_t stop_ns;          /* when it was asked for; then args->drain_ms begin */
    char ending[ERR_TEXT_MAX]; /* why the run ended early; "" normally */
    int exit_code;
    passes_t *passes;
    closed_times_t *closed;     /* how long they take no requests */
    endpoint_book_t *endpoints; /* what the scheduler says of them, by job: a run may be several */
    batch_size_t at_once;       /* units that may be in use: changes only in batch mode */
    struct {
        source_t *source; /* of this pass */
        feed_t *feed;
        bool over;    /* the source has ended, or the run is stopping */
        bool whole;   /* the input was read to its end: told.tally has the number of its rows */
        bool waits;   /* the source is a pipe that has nothing for now */
        bool watched; /* the descriptor of the pipe is in the loop */
        /* Rows that may have calls in the journal: of an earlier run, or because they were submitted before.
         */
        uint64_t known_first, known_end;
    } input;
    struct {
        writer_t *writer;
        uint64_t next_batch, rows, bytes; /* received of this job, on this epoch */
        /* Of these, what the output has for good: acknowledged, and credit is counted from here. */
        uint64_t safe_batch, safe_rows, safe_bytes;
        /* Safe rows of the whole run: the summary says these when the output fails. */
        uint64_t kept_ok, kept_failed;
        bool unsynced;
        uint64_t sync_ns;  /* when the output was synced last */
        uint64_t check_ns; /* when it was last looked whether the output is still there */
        uint64_t refused;  /* results that could not be used */
        uint64_t refused_logged_ns;
    } results;
    struct {               /* what others hear of the run */
        uint64_t beat_ns;  /* when BEAT was said last */
        uint64_t stats_ns; /* when the monitor was told last */
        tally_t tally;     /* for the monitor */
        uint32_t warned;   /* bits by row_note_kind_t: a row had such a note, and the log says so */
        samples_t samples; /* one message of each kind of failure */
        /* Rows whose results the next sync makes safe: then the call journal may drop their calls. */
        numbers_t to_finish;
        /* Rows of the last pass of batch mode that are written: their contexts may go. */
        numbers_t to_complete;
        /* Of a SYNC that the store has not answered; the next pass waits for the answer. 0: none. */
        uint64_t sync_token;
    } told;
    buf_t scratch;
} client_t;

/* client_rows.c */
void client_read_more(client_t *c, uint64_t now); /* fills and sends chunks as credit allows */
void client_resubmit(client_t *c);                /* another job or epoch: all unfinished rows go again */
bool client_can_read_on(const client_t *c);       /* there is something to do at once */

/* client_results.c */
/* Takes all rows of a batch into the output. Negative: the output failed. */
int client_take_results(client_t *c, const MSG_RESULTS *results, uint64_t now, err_t *err);

/* client_totals.c: each row is counted once, when it is written or parked; its usage may change c->at_once */
void client_count_result(client_t *c, const row_done_t *row);
void client_count_parked(client_t *c, const row_done_t *row);
/* A row that no worker has seen: the kind of its failure, and the message. */
void client_count_failure(client_t *c, const char *kind, const char *message);
void client_gather(client_t *c); /* brings the gauges of the tally up to date */
void client_tell_monitor(client_t *c);
void client_tell_endpoints(client_t *c, uint64_t now);
void client_tell_summary(client_t *c);

/* client_store.c. Without a store none of these functions does anything. */
int client_store_open(client_t *c, err_t *err); /* SDG_OK, or SDG_EIO and a sentence */
void client_store_job(client_t *c);             /* c->job is the one whose calls and contexts are kept */
void client_store_row(client_t *c, const row_done_t *row); /* its result is written */
void client_store_flush(client_t *c);                      /* tells which contexts may go */
void client_store_safe(client_t *c); /* the output is synced: tells which calls may go */
/* An input line that is no row is put away like a row that has failed, with this error. */
void client_store_failed(client_t *c, uint64_t index, const char *error);
void client_store_sync(client_t *c); /* says SYNC (again) while told.sync_token is set */
/* SYNCED has come: true, once, when it answers the SYNC of told.sync_token. */
bool client_store_synced(client_t *c, uint64_t token);
/* complete: the output has all rows, some of them perhaps with _error. */
void client_store_close(client_t *c, bool complete, bool holds_failed_rows);
void client_store_free(client_t *c);

/* client.c */
void client_say(client_t *c, message_t *m);
/* Ends the run now, with this reason in the log and the summary. What is on disk stays. */
void client_give_up(client_t *c, int exit_code, const char *reason);

#endif
