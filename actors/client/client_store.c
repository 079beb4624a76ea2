/* client_store.c - what the client tells the context store (actors/store/context_store.h): which job its
 * calls and contexts are of, which rows do not need them any more, and whether the job is complete. Calls are
 * dropped only for rows whose results are synced: until then they may be needed again. Those of failed rows
 * are not dropped at all: they were paid for, and --retry-failed needs them. */
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "actors/loop/limits.h"
#include "core/base/limits.h"
#include "core/mabel/row/row.h"
#include "core/store/contexts.h"
#include "proto/parts/parked.h"

static void say(client_t *c, const message_t *m) {
    if (c->store) link_send(c->store, 0, m, &c->scratch);
}

int client_store_open(client_t *c, err_t *err) {
    if (!c->args->store) return SDG_OK;
    c->store = link_socket(ZMQ_DEALER, LINGER_MS, SOCKET_HWM);
    if (link_attach(c->store, LINK_CONNECT, c->args->store, err) < 0) return err->code;
    actor_add_socket(&c->actor, c->store);
    client_store_job(c);
    return SDG_OK;
}

void client_store_job(client_t *c) {
    message_t m = {.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = c->job}};
    say(c, &m);
}

void client_store_close(client_t *c, bool complete, bool holds_failed_rows) {
    message_t m = {.type = MESSAGE_JOB_CLOSED,
                   .JOB_CLOSED = {.job = c->job,
                                  .complete = !complete           ? 0
                                              : holds_failed_rows ? 2
                                                                  : 1}};
    say(c, &m);
}

void client_store_free(client_t *c) {
    zsock_destroy(&c->store);
    numbers_free(&c->told.to_finish);
    numbers_free(&c->told.to_complete);
}

/* ---- rows that are written */

/* Where only failing rows hand in their calls, those of fine rows are there from an earlier run at most. */
static bool may_have_calls(const client_t *c, uint64_t row) {
    const job_store_t *store = &c->args->options->store;
    return store->calls && (!store->late || (row >= c->input.known_first && row < c->input.known_end));
}

void client_store_row(client_t *c, const row_done_t *row) {
    bool is_fine = row->status == ROW_STATUS_OK;
    if (is_fine && may_have_calls(c, row->index)) numbers_add(&c->told.to_finish, row->index);
    if (passes_count(c->passes) > 1) numbers_add(&c->told.to_complete, row->index);
}

void client_store_flush(client_t *c) {
    numbers_t *rows = &c->told.to_complete;
    if (rows->count == 0) return;
    message_t m = {.type = MESSAGE_CTX_COMPLETE,
                   .CTX_COMPLETE = {.job = c->job, .rows = {rows->items, rows->count}}};
    say(c, &m);
    rows->count = 0;
}

/* With `ordered`, rows behind an unfinished one wait in the writer's memory: a sync does not cover them. Puts
 * them last and returns how many are covered. */
static size_t covered_rows(client_t *c) {
    numbers_t *rows = &c->told.to_finish;
    if (!c->args->ordered) return rows->count;
    uint64_t end = rangeset_first_absent(writer_finished(c->results.writer), 0);
    size_t covered = 0;
    for (size_t i = 0; i < rows->count; i++) {
        uint64_t row = rows->items[i];
        if (row >= end) continue;
        rows->items[i] = rows->items[covered];
        rows->items[covered++] = row;
    }
    return covered;
}

/* Tells which rows are synced, in portions of at least --gc-interval rows, because at each portion the store
 * looks whether its journal is worth rewriting. */
void client_store_safe(client_t *c) {
    numbers_t *rows = &c->told.to_finish;
    if (rows->count < c->args->options->gc_rows && c->state != CLIENT_OVER && !c->input.over) return;
    size_t covered = covered_rows(c);
    for (size_t at = 0; at < covered; at += STORE_BATCH_ROWS_MAX) {
        size_t count = covered - at < STORE_BATCH_ROWS_MAX ? covered - at : STORE_BATCH_ROWS_MAX;
        message_t m = {.type = MESSAGE_ROWS_FINISHED,
                       .ROWS_FINISHED = {.job = c->job, .rows = {rows->items + at, count}}};
        say(c, &m);
    }
    rows->count -= covered;
    if (covered) memmove(rows->items, rows->items + covered, rows->count * sizeof *rows->items);
}

/* ---- batch mode */

void client_store_failed(client_t *c, uint64_t index, const char *error) {
    uint64_t digest = pipeline_digest(c->args->pipeline_bytes, c->args->pipeline_len);
    buf_t bytes;
    buf_init(&bytes, MESSAGE_BYTES_MAX / 2);
    parked_write(&bytes, NULL, 0);
    row_save_failed(&bytes, digest, index, error, "input");
    context_item_t item = {.row = index, .part = CONTEXT_SHARED, .bytes = {bytes.data, bytes.len}};
    message_t m = {.type = MESSAGE_CTX_PUT, .CTX_PUT = {.job = c->job, .contexts = {&item, 1}}};
    say(c, &m);
    buf_free(&bytes);
}

void client_store_sync(client_t *c) {
    message_t m = {.type = MESSAGE_SYNC, .SYNC = {.token = c->told.sync_token}};
    if (c->told.sync_token) say(c, &m);
}

bool client_store_synced(client_t *c, uint64_t token) {
    if (!c->told.sync_token || token != c->told.sync_token) return false;
    c->told.sync_token = 0;
    return true;
}
