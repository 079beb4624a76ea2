/* store_journal.c - the call journal in the context store.
 *
 * The order that makes a call durable: append, hand to the kernel, answer CALL_RECORDED; only then does the
 * worker let the row see its answer. What came in one wake-up is one write (and with `always` one sync): the
 * longer the disk takes, the more go together. The syncer is a thread with one job: it is given a duplicate
 * of the descriptor, syncs, closes it, and says how that went; there is at most one sync under way. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/loop/limits.h"
#include "actors/store/limits.h"
#include "actors/store/store_internal.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "proto/limits.h"

/* ---- the syncer */

/* Commands: "<descriptor>": sync and close it; the answer is the errno, 0 when fine. */
static void syncer_actor(zsock_t *pipe, void *args) {
    (void)args;
    zsock_signal(pipe, 0);
    for (;;) {
        char *command = zstr_recv(pipe); /* it waits here: its parent says $TERM before it goes */
        if (!command) continue;
        bool term = streq(command, "$TERM");
        int fd = term ? -1 : atoi(command);
        zstr_free(&command);
        if (term) return;
        int error = fdatasync(fd) == 0 ? 0 : errno;
        close(fd);
        actor_tell(pipe, "%d", error);
    }
}

/* The syncer is done. A failed sync ends the store, because calls it has acknowledged may be lost. */
static int on_synced(zloop_t *loop, zsock_t *pipe, void *arg) {
    context_store_t *s = arg;
    char *text = actor_hear(pipe);
    (void)loop;
    if (!text) return 0;
    int error = atoi(text);
    free(text);
    s->journal.syncing = false;
    if (error && s->journal.file) {
        char reason[128];
        snprintf(reason, sizeof reason,
                 "the call journal cannot be synced to disk: %s (without syncs: --fsync never)",
                 strerror(error));
        store_give_up(s, reason);
    }
    return s->actor.ended ? -1 : 0;
}

static void start_sync(context_store_t *s, uint64_t now) {
    int fd = fcntl(journal_fd(s->journal.file), F_DUPFD_CLOEXEC, 3);
    if (fd < 0) return; /* tried again at the next wake-up */
    if (!actor_tell(s->journal.syncer->pipe, "%d", fd)) {
        close(fd);
        return;
    }
    journal_syncing(s->journal.file);
    s->journal.syncing = true;
    s->journal.synced_ns = now;
}

/* ns until a sync is due; UINT64_MAX: none is needed. */
static uint64_t sync_due(const context_store_t *s, uint64_t now) {
    if (s->journal.fsync != JOURNAL_FSYNC_BATCH || !s->journal.file || s->journal.syncing ||
        journal_unsynced(s->journal.file) == 0)
        return UINT64_MAX;
    uint64_t due = s->journal.synced_ns + JOURNAL_SYNC_NS;
    return journal_unsynced(s->journal.file) >= JOURNAL_SYNC_BYTES || due <= now ? 0 : due - now;
}

/* ---- answers */

static void say_recorded(context_store_t *s, uint64_t peer, uint64_t *tags, size_t count) {
    message_t m = {.type = MESSAGE_CALL_RECORDED, .CALL_RECORDED = {.tags = {tags, count}}};
    if (count) link_send(s->router, peer, &m, &s->scratch);
}

/* The answers that were looked up, and the calls that have none. */
static void say_found(context_store_t *s, uint64_t peer) {
    message_t m = {.type = MESSAGE_CALL_FOUND,
                   .CALL_FOUND = {.calls = {s->calls_found.items, s->calls_found.count}}};
    BATCH_POINT(&s->calls_found, answer);
    if (s->calls_found.count) link_send(s->router, peer, &m, &s->scratch);
    m = (message_t){.type = MESSAGE_CALL_MISSING,
                    .CALL_MISSING = {.tags = {s->missing.items, s->missing.count}}};
    if (s->missing.count) link_send(s->router, peer, &m, &s->scratch);
    BATCH_RESET(&s->calls_found, RESULT_BYTES_KEPT);
    s->missing.count = 0;
}

/* Writes (with `always` also syncs) the calls added in this wake-up, then says CALL_RECORDED. */
void store_journal_write(context_store_t *s) {
    err_t err;
    size_t at = 0;
    if (s->journal.receipt_count == 0 || !s->journal.file) return;
    int rc = s->journal.fsync == JOURNAL_FSYNC_ALWAYS ? journal_sync(s->journal.file, &err)
                                                      : journal_flush(s->journal.file, &err);
    for (size_t i = 0; rc == SDG_OK && i < s->journal.receipt_count; i++) {
        say_recorded(s, s->journal.receipts[i].peer, s->journal.tags + at, s->journal.receipts[i].count);
        at += s->journal.receipts[i].count;
    }
    s->journal.receipt_count = s->journal.tag_count = 0;
    if (rc != SDG_OK) store_give_up(s, err.text);
}

/* ---- messages */

static journal_key_t key_of(const call_item_t *call) {
    return (journal_key_t){.row = call->row,
                           .hash_high = call->hash_high,
                           .hash_low = call->hash_low,
                           .occurrence = call->occurrence};
}

/* Finds the answer of one call; a call whose answer cannot be read counts as missing, so it is made again. */
static void look_up(context_store_t *s, const call_item_t *call) {
    journal_key_t key = key_of(call);
    size_t before = s->calls_found.text.len;
    err_t err;
    int rc = journal_find(s->journal.file, &key, &s->calls_found.text, &err);
    if (rc == SDG_OK) {
        call_item_t found = *call;
        found.answer.len = s->calls_found.text.len - before;
        BATCH_ADD(&s->calls_found, found);
        return;
    }
    s->calls_found.text.len = before; /* drops the part of an answer that could be read */
    if (rc != SDG_ENOTFOUND) log_warn("journal", "%s: the call is made again", err.text);
    numbers_add(&s->missing, call->tag);
}

void store_journal_on_lookup(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const call_list_t *calls = &in->message.CALL_LOOKUP.calls;
    (void)now;
    for (size_t i = 0; i < calls->count; i++) {
        look_up(s, &calls->items[i]);
        if (s->calls_found.count + s->missing.count == JOURNAL_BATCH_CALLS_MAX ||
            s->calls_found.text.len >= RESULT_BATCH_BYTES_MAX)
            say_found(s, in->peer);
    }
    say_found(s, in->peer);
}

/* SDG_OK also when the answer is too long to be kept: the row uses it all the same, and a rerun makes the
 * call again. */
static int add_call(context_store_t *s, const call_item_t *call, err_t *err) {
    journal_key_t key = key_of(call);
    int rc = journal_add(s->journal.file, &key, call->answer.data, call->answer.len, err);
    if (rc != SDG_ELIMIT) return rc;
    if (!s->journal.elimit_logged) log_warn("journal", "row %" PRIu64 ": %s", call->row, err->text);
    s->journal.elimit_logged = true;
    return SDG_OK;
}

/* Adds the calls; CALL_RECORDED follows when the wake-up is written. A full list of receipts is written
 * first. */
void store_journal_on_record(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const call_list_t *calls = &in->message.CALL_RECORD.calls;
    int rc = SDG_OK;
    err_t err;
    (void)now;
    if (s->journal.receipt_count == LINK_DRAIN_MAX ||
        s->journal.tag_count + calls->count > MESSAGE_ELEMENTS_MAX)
        store_journal_write(s);
    for (size_t i = 0; s->journal.file && i < calls->count && rc == SDG_OK; i++) {
        rc = add_call(s, &calls->items[i], &err);
        s->journal.tags[s->journal.tag_count++] = calls->items[i].tag;
    }
    s->journal.receipts[s->journal.receipt_count++] = (receipt_t){in->peer, calls->count};
    if (rc != SDG_OK) store_give_up(s, err.text);
}

void store_journal_on_rows_finished(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const u64_list_t *rows = &in->message.ROWS_FINISHED.rows;
    err_t err;
    (void)now;
    for (size_t i = 0; i < rows->count; i++) {
        journal_row_finished(s->journal.file, rows->items[i]);
    }
    if (journal_compact(s->journal.file, JOURNAL_COMPACT_BYTES, &err) != SDG_OK) store_give_up(s, err.text);
}

/* Logs what the journal has done, then removes or keeps it. What is kept is rewritten first when most of it
 * is of rows that are fine. */
void store_journal_close(context_store_t *s, uint64_t complete) {
    journal_stats_t stats;
    store_journal_write(s);
    if (!s->journal.file) return;
    journal_compact(s->journal.file, 0, NULL);
    journal_stats(s->journal.file, &stats);
    bool removed = complete == 1 || (complete && stats.calls + stats.unindexed == 0);
    log_debug("journal",
              "%" PRIu64 " calls written, %" PRIu64 " of %" PRIu64 " rows kept, %" PRIu64
              " bytes, rewritten %" PRIu64 " times: %s",
              stats.added, stats.calls, stats.rows, stats.bytes, stats.rewrites,
              removed ? "removed" : "kept for a rerun");
    if (removed)
        journal_remove(&s->journal.file);
    else
        journal_close(&s->journal.file);
}

/* ---- life */

/* Looks at most every JOURNAL_SYNC_NS whether the file is still there. */
static void watch_file(context_store_t *s, uint64_t now) {
    err_t err;
    if (!s->journal.file || now - s->journal.watched_ns < JOURNAL_SYNC_NS) return;
    s->journal.watched_ns = now;
    if (journal_watch(s->journal.file, &err) != SDG_OK) store_give_up(s, err.text);
}

uint64_t store_journal_due(context_store_t *s, uint64_t now) {
    store_journal_write(s);
    watch_file(s, now);
    uint64_t due = sync_due(s, now);
    if (due == 0) start_sync(s, now);
    return due == 0 ? UINT64_MAX : due;
}

void store_journal_start(context_store_t *s, const context_store_args_t *args) {
    s->journal.file = args->journal;
    s->journal.fsync = args->fsync;
    s->journal.synced_ns = clock_now_ns();
    if (s->journal.file) s->journal.syncer = actor_spawn(syncer_actor, NULL);
}

void store_journal_watch(context_store_t *s) {
    if (s->journal.syncer) zloop_reader(s->actor.loop, s->journal.syncer->pipe, on_synced, s);
}

void store_journal_free(context_store_t *s) {
    actor_join(&s->journal.syncer);
    journal_close(&s->journal.file);
}
