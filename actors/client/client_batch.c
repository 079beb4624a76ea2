/* client_batch.c - batch mode: all rows through the first block that calls somebody, then all through the
 * next, ...
 *
 * Each pass is an ordinary job of its own: the same pipeline, told before which block rows stop
 * (row_options_t.stop_before). A row that has stopped is put into the context store by its worker and
 * reported as parked; when the pass is over its rows are submitted again, without bytes, and go on from
 * there. The last pass stops nowhere: its results are written, in input order. Rows that are finished early
 * (an end block, a failure, an input line that is no row) wait in the store like the others, so nothing here
 * grows with the dataset.
 *
 * A job id per pass also keeps the passes apart: whatever a worker says late of the one before is of an
 * unknown job. Before a pass is opened the store has answered SYNC, so all that was put there is there.
 *
 * Stopped in the middle, a run writes nothing that it had not written before; the calls it has paid for are
 * in the call journal.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/mabel/row/row.h"
#include "core/plan/batch_size.h"
#include "core/store/contexts.h"
#include "proto/parts/parked.h"

struct client_batch {
    size_t pass;        /* that runs, from 0 */
    rangeset_t *source; /* its rows; NULL in the first pass: they come from the input */
    uint64_t next_row;  /* of source */
    rangeset_t *parked; /* rows that have finished it */
    uint64_t token;     /* of the SYNC that is to be answered before the pass is opened; 0: none */
    batch_size_t size;
    numbers_t written; /* rows of the last pass that are in the output: their contexts may go */
};

void client_batch_open(client_t *c) {
    const client_args_t *a = c->args;
    if (a->stop_count == 0) return;
    c->batch = xcalloc(1, sizeof *c->batch);
    c->batch->parked = rangeset_new();
    batch_size_init(&c->batch->size, a->batch_min, a->concurrency, a->target_latency_ms);
    c->tally.totals[CLIENT_pass] = 1;
    c->tally.totals[CLIENT_passes] = a->stop_count + 1;
}

void client_batch_free(client_t *c) {
    if (!c->batch) return;
    rangeset_destroy(&c->batch->source);
    rangeset_destroy(&c->batch->parked);
    numbers_free(&c->batch->written);
    free(c->batch);
    c->batch = NULL;
}

static bool is_last(const client_t *c) { return c->batch->pass == c->args->stop_count; }

uint32_t client_batch_stop(const client_t *c) {
    return c->batch && !is_last(c) ? c->args->stops[c->batch->pass] : 0;
}
uint64_t client_concurrency(const client_t *c) {
    return c->batch ? c->batch->size.current : c->args->concurrency;
}
bool client_batch_waits(const client_t *c) { return c->batch && c->batch->token; }
bool client_batch_has(const client_t *c, uint64_t row) {
    return c->batch && rangeset_has(c->batch->parked, row);
}
bool client_batch_reads_store(const client_t *c) { return c->batch && c->batch->source; }

/* ---- rows */

bool client_batch_next(client_t *c, uint64_t *row) {
    struct client_batch *b = c->batch;
    if (!rangeset_next(b->source, b->next_row, row)) return false;
    b->next_row = *row + 1;
    return true;
}

static void row_parked(client_t *c, uint64_t row) {
    rangeset_add(c->batch->parked, row);
    c->tally.totals[CLIENT_rows_parked] = rangeset_count(c->batch->parked);
}

/* A record that is no row: put away as a row that has failed, so that it comes out in its turn. */
bool client_batch_failed(client_t *c, uint64_t row, const char *error) {
    buf_t bytes;
    if (!c->batch || is_last(c)) return false;
    buf_init(&bytes, MESSAGE_BYTES_MAX / 2);
    parked_write(&bytes, NULL, 0);
    row_save_failed(&bytes, c->args->pipeline, &c->args->options->row, row, error, "input");
    context_item_t item = {.row = row, .part = CONTEXT_SHARED, .bytes = {bytes.data, bytes.len}};
    message_t m = {.type = MESSAGE_CTX_PUT, .CTX_PUT = {.job = c->job, .contexts = {&item, 1}}};
    link_send(c->store, 0, &m, &c->scratch);
    buf_free(&bytes);
    row_parked(c, row);
    return true;
}

void client_batch_parked(client_t *c, const row_done_t *row) {
    usage_t usage = {0};
    if (!c->batch || client_batch_has(c, row->index)) return;
    if (row->meta.len) usage_decode(row->meta.data, row->meta.len, &usage, NULL);
    tally_usage(&c->tally, &usage.row);
    client_batch_used(c, &usage.row);
    row_parked(c, row->index);
    feed_finished(c->feed, row->index);
}

void client_batch_written(client_t *c, uint64_t row) {
    if (c->batch) numbers_add(&c->batch->written, row);
}

void client_batch_flush(client_t *c) {
    numbers_t *rows = c->batch ? &c->batch->written : NULL;
    if (!rows || rows->count == 0) return;
    message_t m = {.type = MESSAGE_CTX_COMPLETE,
                   .CTX_COMPLETE = {.job = c->job, .rows = {rows->items, rows->count}}};
    link_send(c->store, 0, &m, &c->scratch);
    rows->count = 0;
}

/* ---- how many at once */

void client_say_limit(client_t *c) {
    message_t m = {.type = MESSAGE_JOB_LIMIT,
                   .JOB_LIMIT = {.job = c->job, .concurrency = client_concurrency(c)}};
    if (c->batch) client_say(c, &m);
}

void client_batch_used(client_t *c, const row_usage_t *usage) {
    if (!c->batch || usage->requests == 0) return;
    uint64_t before = c->batch->size.current, failures = 0, latency_us = 0;
    for (int i = 0; i < LLM_CAUSES; i++)
        failures += usage->retries[i];
    for (uint32_t i = 0; i < usage->latency_count; i++)
        latency_us += usage->latency_us[i];
    batch_size_add(&c->batch->size, usage->requests, failures, latency_us);
    if (c->batch->size.current == before) return;
    log_debug("client", "batch mode: %" PRIu64 " rows at once instead of %" PRIu64, c->batch->size.current,
              before);
    client_say_limit(c);
}

/* ---- passes */

void client_batch_sync(client_t *c) {
    if (!client_batch_waits(c)) return;
    message_t m = {.type = MESSAGE_SYNC, .SYNC = {.token = c->batch->token}};
    link_send(c->store, 0, &m, &c->scratch);
}

bool client_batch_synced(client_t *c, uint64_t token) {
    if (!client_batch_waits(c) || token != c->batch->token) return false;
    c->batch->token = 0;
    return true;
}

bool client_batch_next_pass(client_t *c) {
    struct client_batch *b = c->batch;
    if (!b || is_last(c)) return false;
    log_debug("client", "batch mode: pass %zu of %zu is over, %" PRIu64 " rows", b->pass + 1,
              c->args->stop_count + 1, rangeset_count(b->parked));
    rangeset_destroy(&b->source);
    b->source = b->parked;
    b->parked = rangeset_new();
    b->next_row = 0;
    b->pass++;
    b->token = rng_entropy() | 1;
    c->job = rng_entropy();
    c->input_over = false;
    c->tally.totals[CLIENT_pass]++;
    c->tally.totals[CLIENT_rows_parked] = 0;
    client_store_job(c);
    client_resubmit(c);
    client_batch_sync(c);
    return true;
}
