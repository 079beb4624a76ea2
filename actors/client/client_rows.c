/* client_rows.c - from the input file to the scheduler: records become rows of the feed (core/sched/feed.h),
 * its chunks are sent as ROWS.
 *
 * Three things hold the reader back: the scheduler's credit (rows and bytes it can take), the client's own
 * window (in `ordered` mode a slow row makes finished ones wait here), and end of input. A chunk closes when
 * it is full, when credit ends, or when a pipe has nothing more for now. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "core/base/limits.h"
#include "core/base/json.h"
#include "core/base/log.h"

/* Records looked at per wake-up while skipping finished rows, so that messages are heard in between. */
enum { RECORDS_PER_TURN = 20000 };

/* ---- chunks */

static void send_chunk(client_t *c, const feed_chunk_t *chunk) {
    row_in_t *rows = xcalloc(chunk->count, sizeof *rows);
    for (size_t i = 0; i < chunk->count; i++) {
        const dispatch_row_t *row = &chunk->rows[i];
        rows[i] = (row_in_t){.index = row->index, .line = row->line, .raw = {row->raw, row->len}};
    }
    message_t m = {.type = MESSAGE_ROWS,
                   .ROWS = {.job = c->job, .chunk = chunk->number, .rows = {rows, chunk->count}}};
    client_say(c, &m);
    free(rows);
}

static void send_chunks(client_t *c, uint64_t now) {
    feed_chunk_t chunk;
    while (feed_next(c->feed, now, &chunk)) {
        send_chunk(c, &chunk);
    }
}

static void send_end(client_t *c, uint64_t now) {
    message_t m = {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = c->job}};
    if (feed_end_due(c->feed, now, &m.ROWS_END.chunks)) client_say(c, &m);
}

/* ---- reading */

/* How many rows the next chunk may have; 0: not now. In ordered mode results that wait for their turn count
 * too. */
static uint64_t room(const client_t *c) {
    return feed_room(c->feed, writer_waiting_rows(c->writer), writer_waiting_bytes(c->writer));
}

static void fail_record(client_t *c, const row_record_t *r) {
    buf_t line;
    err_t err;
    if (client_batch_failed(c, r->index, r->bad)) return;
    buf_init(&line, 4 * ERR_TEXT_MAX);
    buf_addf(&line, "{\"_row_index\": %" PRIu64 ", \"_error\": ", r->index);
    json_write_string(&line, r->bad, strlen(r->bad));
    buf_addc(&line, '}');
    int rc = writer_add(c->writer, r->index, line.data, line.len, &err);
    if (rc == SDG_OK) client_count_failure(c, "input");
    if (rc < 0) client_give_up(c, EXIT_DATA, err.text);
    buf_free(&line);
}

typedef enum record_use { RECORD_TAKEN, RECORD_SKIPPED, RECORD_NONE } record_use_t;

/* A pass of batch mode whose rows are in the store. */
static record_use_t read_stored(client_t *c) {
    dispatch_row_t row = {.raw = ""};
    if (!client_batch_next(c, &row.index)) {
        c->input_over = true;
        return RECORD_NONE;
    }
    if (rangeset_has(writer_finished(c->writer), row.index)) return RECORD_SKIPPED;
    feed_add(c->feed, &row);
    return RECORD_TAKEN;
}

/* A row that alone is too much for --memory-limit is as bad as one that cannot be read. */
static void check_size(const client_t *c, row_record_t *r, char *reason, size_t size) {
    uint64_t max = c->args->row_bytes_max;
    if (r->bad || max == 0 || r->json_len <= max) return;
    snprintf(reason, size,
             "input line %" PRIu64 ": this row alone has %zu MiB; --memory-limit allows %" PRIu64
             " MiB for one: raise it",
             r->line, r->json_len >> 20, (uint64_t)(max >> 20));
    r->bad = reason;
}

/* Reads one record into the feed. NONE: end of input, nothing for now, or the reader failed (input_over or
 * input_waits is set). */
static record_use_t read_record(client_t *c) {
    row_record_t r;
    err_t err;
    char too_large[160];
    if (client_batch_reads_store(c)) return read_stored(c);
    int rc = reader_next(c->reader, &r, &err);
    if (rc == READER_WAIT) {
        c->input_waits = true;
        return RECORD_NONE;
    }
    if (rc < 0) {
        log_error("client", "%s", err.text);
        snprintf(c->ending, sizeof c->ending, "%s", err.text);
        c->exit_code = EXIT_DATA;
    }
    if (rc <= 0 || r.index >= c->args->rows_max) {
        c->input_over = true;
        return RECORD_NONE;
    }
    c->tally.totals[CLIENT_rows_read]++;
    if (r.index < c->args->first_row || rangeset_has(writer_finished(c->writer), r.index))
        return RECORD_SKIPPED;
    check_size(c, &r, too_large, sizeof too_large);
    if (r.bad) {
        fail_record(c, &r);
        return RECORD_SKIPPED;
    }
    feed_add(c->feed, &(dispatch_row_t){.index = r.index, .line = r.line, .raw = r.json, .len = r.json_len});
    return RECORD_TAKEN;
}

static void fill_chunk(client_t *c, uint64_t rows, int *records) {
    while (feed_takes(c->feed, rows) && *records < RECORDS_PER_TURN && c->state == CLIENT_RUNNING) {
        (*records)++;
        if (read_record(c) == RECORD_NONE) break;
    }
    feed_close(c->feed);
}

void client_read_more(client_t *c, uint64_t now) {
    int records = 0;
    uint64_t rows;
    c->input_waits = false;
    if (c->state != CLIENT_RUNNING) return;
    send_chunks(c, now); /* what was lost, and what a new epoch has not seen, goes before new rows */
    while (!c->input_over && !c->input_waits && records < RECORDS_PER_TURN && c->state == CLIENT_RUNNING &&
           (rows = room(c)) > 0) {
        fill_chunk(c, rows, &records);
        send_chunks(c, now);
    }
    if (c->state == CLIENT_RUNNING && c->input_over) send_end(c, now);
}

bool client_can_read_on(const client_t *c) {
    return c->state == CLIENT_RUNNING && !c->input_over && !c->input_waits && room(c) > 0;
}

void client_resubmit(client_t *c) {
    c->accepted = false;
    feed_restart(c->feed);
    c->next_batch = 1;
    c->rows_received = c->bytes_received = 0;
    c->safe_batch = c->safe_rows = c->safe_bytes = 0;
}
