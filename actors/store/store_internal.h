/* store_internal.h - the context store's state, shared by context_store.c (messages, life), store_journal.c
 * (the call journal) and store_contexts.c (contexts of rows). */
#ifndef SDG_ACTORS_STORE_STORE_INTERNAL_H
#define SDG_ACTORS_STORE_STORE_INTERNAL_H

#include "actors/loop/actor.h"
#include "actors/loop/limits.h"
#include "actors/store/context_store.h"
#include "core/base/batch.h"
#include "core/base/numbers.h"
#include "proto/limits.h"

typedef struct receipt {
    uint64_t peer;
    size_t count; /* of its tags */
} receipt_t;

/* The call journal. */
typedef struct store_journal {
    journal_t *file; /* NULL: there is none, the job is complete, or it has failed */
    journal_fsync_t fsync;
    actor_thread_t *syncer;
    bool syncing;        /* the syncer is at work: no other sync is begun */
    uint64_t synced_ns;  /* when the last sync began */
    uint64_t watched_ns; /* when it was last looked whether the file is still there */
    bool elimit_logged;  /* it was logged once that an answer is too long to be kept */
    /* CALL_RECORDED to be sent when everything of this wake-up is written. */
    receipt_t receipts[LINK_DRAIN_MAX];
    size_t receipt_count, tag_count;
    uint64_t tags[MESSAGE_ELEMENTS_MAX]; /* of the receipts, one after the other */
} store_journal_t;

/* Contexts that had to make room since the monitor was told. */
typedef struct store_evicted {
    numbers_t rows, bytes;
} store_evicted_t;

typedef struct context_store {
    actor_t actor;
    zsock_t *router, *monitor; /* monitor: NULL, nobody watches */
    uint64_t job;              /* 0: JOB_OPENED has not come yet, so any job is taken: it is the one */
    store_journal_t journal;
    contexts_t *contexts;       /* NULL: none are kept */
    store_evicted_t evicted[2]; /* by to_disk */
    uint64_t stats_ns;
    /* The next answer: calls or contexts that were found, and tags of those that were not. */
    BATCH(call_item_t) calls_found;
    BATCH(context_item_t) contexts_found;
    numbers_t missing;
    buf_t scratch; /* encoding */
} context_store_t;

/* The store cannot go on, for this reason: it ends, and its parent ends the run. */
void store_give_up(context_store_t *s, const char *reason);

/* store_journal.c */
void store_journal_start(context_store_t *s, const context_store_args_t *args);
void store_journal_free(context_store_t *s);
void store_journal_watch(context_store_t *s); /* puts the pipe of the syncer into the loop */
void store_journal_write(context_store_t *s); /* writes what was added in this wake-up, then says so */
/* Writes what is unwritten and begins a sync that is due. ns until it is to be called again; UINT64_MAX: no
 * need. */
uint64_t store_journal_due(context_store_t *s, uint64_t now);
void store_journal_close(context_store_t *s, uint64_t complete); /* as JOB_CLOSED says it */
void store_journal_on_lookup(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_journal_on_record(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_journal_on_rows_finished(context_store_t *s, const link_frame_t *in, uint64_t now);

/* store_contexts.c */
void store_contexts_start(context_store_t *s, const context_store_args_t *args);
/* At the end: what was kept, and what is left of rows that were not finished. */
void store_contexts_log(const context_store_t *s);
void store_contexts_free(context_store_t *s);
void store_contexts_write(context_store_t *s);              /* writes what was spilled in this wake-up */
void store_contexts_tell(context_store_t *s, uint64_t now); /* the monitor, if it is time */
void store_contexts_on_get(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_put(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_pin(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_unpin(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_complete(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_owner_gone(context_store_t *s, const link_frame_t *in, uint64_t now);
void store_contexts_on_owner_back(context_store_t *s, const link_frame_t *in, uint64_t now);

#endif
