/* context_store.c - see context_store.h.
 *
 * The order that makes a call durable: append, hand to the kernel, answer CALL_RECORDED; only then does the worker let the row see its
 * answer. What came in one wake-up is one write (and with `always` one sync): the longer the disk takes, the more go together. The syncer is a thread with one job: it
 * is given a duplicate of the descriptor, syncs, closes it, and says how that went; there is at most one sync under way.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function here, a line in the table at the bottom, a test.
 */
#include "actors/context_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "actors/actor.h"
#include "actors/client.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"

typedef struct receipt {
    uint64_t peer;
    size_t count;            /* of its tags */
} receipt_t;

typedef struct context_store {
    actor_t actor;
    zsock_t *router;
    journal_t *journal;      /* NULL: the job is complete, or the journal has failed */
    journal_fsync_t fsync;
    uint64_t job;            /* 0: JOB_OPENED has not come yet, so any job is taken: it is the one */
    zactor_t *syncer;
    bool syncing;            /* the syncer is at work */
    uint64_t synced_ns;      /* when the last sync began */
    bool elimit_logged;
    buf_t answers, scratch;  /* answers of one CALL_FOUND; encoding */
    receipt_t receipts[LINK_DRAIN_MAX];  /* CALL_RECORDED to be sent when all of this wake-up is written */
    size_t receipt_count, tag_count;
    uint64_t tags[MESSAGE_ELEMENTS_MAX]; /* of the receipts, one after the other */
} context_store_t;

/* ---- the syncer ---------------------------------------------------------------------------------------------------- */

/* Commands: "<descriptor>": sync and close it; the answer is the errno, 0 when fine. */
static void syncer_actor(zsock_t *pipe, void *args) {
    (void)args;
    zsock_signal(pipe, 0);
    for (;;) {
        char *command = zstr_recv(pipe);
        if (!command) continue;
        bool term = streq(command, "$TERM");
        int fd = term ? -1 : atoi(command);
        zstr_free(&command);
        if (term) return;
        int error = fdatasync(fd) == 0 ? 0 : errno;
        close(fd);
        zstr_sendf(pipe, "%d", error);
    }
}

/* The journal is over for this run: the parent ends it. */
static void give_up(context_store_t *s, const char *reason) {
    log_error("journal", "%s", reason);
    journal_close(&s->journal);
    actor_finish(&s->actor, EXIT_DATA);
}

static int on_synced(zloop_t *loop, zsock_t *pipe, void *arg) {
    context_store_t *s = arg;
    char *text = zstr_recv(pipe);
    int error = text ? atoi(text) : 0;
    (void)loop;
    zstr_free(&text);
    s->syncing = false;
    if (error && s->journal) {
        char reason[128];
        snprintf(reason, sizeof reason, "the call journal cannot be synced to disk: %s (without syncs: --fsync never)", strerror(error));
        give_up(s, reason);
    }
    return s->actor.ended ? -1 : 0;
}

static void start_sync(context_store_t *s, uint64_t now) {
    int fd = fcntl(journal_fd(s->journal), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return; /* tried again at the next wake-up */
    journal_syncing(s->journal);
    s->syncing = true;
    s->synced_ns = now;
    zstr_sendf(s->syncer, "%d", fd);
}

/* ns until a sync is due; UINT64_MAX: none is needed. */
static uint64_t sync_due(const context_store_t *s, uint64_t now) {
    if (s->fsync != JOURNAL_FSYNC_BATCH || !s->journal || s->syncing || journal_unsynced(s->journal) == 0) return UINT64_MAX;
    uint64_t due = s->synced_ns + JOURNAL_SYNC_NS;
    return journal_unsynced(s->journal) >= JOURNAL_SYNC_BYTES || due <= now ? 0 : due - now;
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static void say_missing(context_store_t *s, uint64_t peer, uint64_t *tags, size_t count) {
    message_t m = {.type = MESSAGE_CALL_MISSING, .CALL_MISSING = {.job = s->job, .tags = {tags, count}}};
    if (count) link_send(s->router, peer, &m, &s->scratch);
}

static void say_recorded(context_store_t *s, uint64_t peer, uint64_t *tags, size_t count) {
    message_t m = {.type = MESSAGE_CALL_RECORDED, .CALL_RECORDED = {.job = s->job, .tags = {tags, count}}};
    if (count) link_send(s->router, peer, &m, &s->scratch);
}

static void say_found(context_store_t *s, uint64_t peer, call_item_t *calls, size_t count) {
    message_t m = {.type = MESSAGE_CALL_FOUND, .CALL_FOUND = {.job = s->job, .calls = {calls, count}}};
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) {
        calls[i].answer.data = s->answers.data + (uintptr_t)calls[i].answer.data; /* offsets until now: the buffer has stopped moving */
    }
    link_send(s->router, peer, &m, &s->scratch);
}

/* Writes what was added in this wake-up, then says so. */
static void settle_records(context_store_t *s) {
    err_t err;
    size_t at = 0;
    if (s->receipt_count == 0 || !s->journal) return;
    int rc = s->fsync == JOURNAL_FSYNC_ALWAYS ? journal_sync(s->journal, &err) : journal_flush(s->journal, &err);
    for (size_t i = 0; rc == SDG_OK && i < s->receipt_count; i++) {
        say_recorded(s, s->receipts[i].peer, s->tags + at, s->receipts[i].count);
        at += s->receipts[i].count;
    }
    s->receipt_count = s->tag_count = 0;
    if (rc != SDG_OK) give_up(s, err.text);
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static journal_key_t key_of(const call_item_t *call) {
    return (journal_key_t){.row = call->row, .hash_high = call->hash_high, .hash_low = call->hash_low, .occurrence = call->occurrence};
}

static void on_job_opened(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    s->job = in->message.JOB_OPENED.job;
}

typedef struct looked_up {
    call_item_t found[JOURNAL_BATCH_CALLS_MAX]; /* their answers: offsets into s->answers */
    uint64_t missing[JOURNAL_BATCH_CALLS_MAX];
    size_t found_count, missing_count;
} looked_up_t;

/* Looks at calls[from...]; returns where it stopped because a message was full. */
static size_t look_up(context_store_t *s, const call_list_t *calls, size_t from, looked_up_t *out) {
    size_t i = from;
    err_t err;
    for (; i < calls->count && i - from < JOURNAL_BATCH_CALLS_MAX && s->answers.len < RESULT_BATCH_BYTES_MAX; i++) {
        journal_key_t key = key_of(&calls->items[i]);
        size_t start = s->answers.len;
        int rc = journal_find(s->journal, &key, &s->answers, &err);
        if (rc == SDG_OK) {
            out->found[out->found_count] = calls->items[i];
            out->found[out->found_count++].answer = (slice_t){(const char *)(uintptr_t)start, s->answers.len - start};
        } else {
            if (rc != SDG_ENOTFOUND) log_warn("journal", "%s: the call is made again", err.text);
            out->missing[out->missing_count++] = calls->items[i].tag;
        }
    }
    return i;
}

static void on_call_lookup(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const call_list_t *calls = &in->message.CALL_LOOKUP.calls;
    looked_up_t out;
    (void)now;
    for (size_t at = 0; at < calls->count;) {
        out.found_count = out.missing_count = 0;
        buf_reset(&s->answers);
        at = look_up(s, calls, at, &out);
        say_found(s, in->peer, out.found, out.found_count);
        say_missing(s, in->peer, out.missing, out.missing_count);
    }
}

/* 0, also when the answer is too long to be kept: it is used all the same, and made again by a rerun. */
static int add_call(context_store_t *s, const call_item_t *call, err_t *err) {
    journal_key_t key = key_of(call);
    int rc = journal_add(s->journal, &key, call->answer.data, call->answer.len, err);
    if (rc != SDG_ELIMIT) return rc;
    if (!s->elimit_logged) log_warn("journal", "row %" PRIu64 ": %s", call->row, err->text);
    s->elimit_logged = true;
    return SDG_OK;
}

static void on_call_record(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const call_list_t *calls = &in->message.CALL_RECORD.calls;
    int rc = SDG_OK;
    err_t err;
    (void)now;
    if (s->receipt_count == LINK_DRAIN_MAX || s->tag_count + calls->count > MESSAGE_ELEMENTS_MAX) settle_records(s);
    for (size_t i = 0; s->journal && i < calls->count && rc == SDG_OK; i++) {
        rc = add_call(s, &calls->items[i], &err);
        s->tags[s->tag_count++] = calls->items[i].tag;
    }
    s->receipts[s->receipt_count++] = (receipt_t){in->peer, calls->count};
    if (rc != SDG_OK) give_up(s, err.text);
}

static void on_rows_finished(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const u64_list_t *rows = &in->message.ROWS_FINISHED.rows;
    err_t err;
    (void)now;
    for (size_t i = 0; i < rows->count; i++) {
        journal_row_finished(s->journal, rows->items[i]);
    }
    if (journal_compact(s->journal, JOURNAL_COMPACT_BYTES, &err) != SDG_OK) give_up(s, err.text);
}

static void log_totals(const context_store_t *s, const char *what) {
    journal_stats_t stats;
    journal_stats(s->journal, &stats);
    log_debug("journal", "%" PRIu64 " calls written, %" PRIu64 " of %" PRIu64 " rows kept, %" PRIu64 " bytes, rewritten %" PRIu64 " times: %s", stats.added,
              stats.calls, stats.rows, stats.bytes, stats.rewrites, what);
}

static void on_job_closed(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    settle_records(s);
    if (!s->journal) return;
    log_totals(s, in->message.JOB_CLOSED.complete ? "removed" : "kept for a rerun");
    if (in->message.JOB_CLOSED.complete)
        journal_remove(&s->journal);
    else
        journal_close(&s->journal);
}

static void on_sync(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    message_t m = {.type = MESSAGE_SYNCED, .SYNCED = {.token = in->message.SYNC.token}};
    link_send(s->router, in->peer, &m, &s->scratch);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void on_fd(void *self, int fd, uint64_t now) { (void)self, (void)fd, (void)now; }

static uint64_t after(void *self, uint64_t now) {
    context_store_t *s = self;
    settle_records(s);
    uint64_t due = sync_due(s, now);
    if (due == 0) start_sync(s, now);
    return due == 0 ? UINT64_MAX : due;
}

static int bind_all(context_store_t *s, const context_store_args_t *args) {
    for (size_t i = 0; i < args->endpoint_count; i++) {
        if (zsock_bind(s->router, "%s", args->endpoints[i]) >= 0) continue;
        log_error("journal", "cannot listen at %s: %s", args->endpoints[i], zmq_strerror(zmq_errno()));
        return -1;
    }
    return 0;
}

static void refuse(context_store_t *s, const link_frame_t *in) {
    message_t m = {.type = MESSAGE_REFUSED, .REFUSED = {.about = (uint64_t)in->message.type, .reason = slice_of("this store has no such job")}};
    link_send(s->router, in->peer, &m, &s->scratch);
}

/* The messages a store takes. The job is the first field of all but SYNC. */
static const struct {
    message_type_t type;
    void (*handle)(context_store_t *s, const link_frame_t *in, uint64_t now);
} handlers[] = {
    {MESSAGE_CALL_RECORD, on_call_record},
    {MESSAGE_CALL_LOOKUP, on_call_lookup},
    {MESSAGE_ROWS_FINISHED, on_rows_finished},
    {MESSAGE_JOB_OPENED, on_job_opened},
    {MESSAGE_JOB_CLOSED, on_job_closed},
    {MESSAGE_SYNC, on_sync},
};

static uint64_t job_of(const message_t *m) {
    switch (m->type) {
    case MESSAGE_CALL_RECORD:   return m->CALL_RECORD.job;
    case MESSAGE_CALL_LOOKUP:   return m->CALL_LOOKUP.job;
    case MESSAGE_ROWS_FINISHED: return m->ROWS_FINISHED.job;
    case MESSAGE_JOB_CLOSED:    return m->JOB_CLOSED.job;
    default:                    return 0;
    }
}

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    context_store_t *s = self;
    uint64_t job = job_of(&in->message);
    (void)socket;
    if (job && s->job && job != s->job) {
        refuse(s, in);
        return;
    }
    if (!s->journal && in->message.type != MESSAGE_SYNC) return; /* over: nobody waits for an answer any more */
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type == in->message.type) handlers[i].handle(s, in, now);
    }
}

/* $TERM overtakes what came by the socket: the client's last words say whether the journal may go. */
static void take_last_words(context_store_t *s) {
    link_frame_t in;
    while (link_recv_routed(s->router, &in, NULL) == LINK_MESSAGE) {
        on_message(s, s->router, &in, clock_now_ns());
        link_frame_free(&in);
    }
    settle_records(s);
}

static const actor_ops_t ops = {on_message, on_fd, NULL, after};

static context_store_t *store_new(const context_store_args_t *args) {
    context_store_t *s = xcalloc(1, sizeof *s);
    s->journal = args->journal;
    s->fsync = args->fsync;
    s->synced_ns = clock_now_ns();
    buf_init(&s->answers, RESULT_BATCH_BYTES_MAX + JOURNAL_ANSWER_BYTES_MAX);
    buf_init(&s->scratch, MESSAGE_BYTES_MAX);
    s->router = link_socket(ZMQ_ROUTER, 0);
    s->syncer = actor_spawn(syncer_actor, NULL);
    return s;
}

static void store_destroy(context_store_t **store) {
    context_store_t *s = *store;
    actor_join(&s->syncer);
    zsock_destroy(&s->router);
    journal_close(&s->journal);
    actor_free(&s->actor);
    buf_free(&s->answers);
    buf_free(&s->scratch);
    free(s);
    *store = NULL;
}

void context_store_actor(zsock_t *pipe, void *args) {
    context_store_t *s = store_new(args);
    actor_init(&s->actor, "journal", &ops, s, pipe);
    if (bind_all(s, args) != 0) actor_finish(&s->actor, EXIT_RUNTIME);
    actor_add_socket(&s->actor, s->router);
    zloop_reader(s->actor.loop, zactor_sock(s->syncer), on_synced, s);
    actor_run(&s->actor);
    if (!s->actor.ended) take_last_words(s);
    store_destroy(&s);
}
