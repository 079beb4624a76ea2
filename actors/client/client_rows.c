/* client_rows.c - from the source to the scheduler: what the source (source.h) has becomes rows of the feed
 * (core/sched/feed.h), whose chunks are sent as ROWS.
 *
 * Three things hold the source back: the scheduler's credit (rows and bytes it can take), the client's own
 * window (in `ordered` mode a slow row makes finished ones wait in the writer), and the end of the source. A
 * chunk closes when it is full, when credit ends, or when a pipe has nothing more for now. */

#include "actors/client/client_internal.h"
#include "actors/client/limits.h"
#include "core/base/log.h"
#include "core/base/result_line.h"

/* ---- chunks */

static void send_chunk(client_t *c, const feed_chunk_t *chunk) {
    message_t m = {
        .type = MESSAGE_ROWS,
        .ROWS = {.job = c->job, .chunk = chunk->number, .rows = {(row_in_t *)chunk->rows, chunk->count}}};
    client_say(c, &m);
}

static void send_chunks(client_t *c, uint64_t now) {
    feed_chunk_t chunk;
    while (feed_next(c->input.feed, now, &chunk)) {
        send_chunk(c, &chunk);
    }
}

static void send_end(client_t *c, uint64_t now) {
    message_t m = {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = c->job}};
    if (feed_end_due(c->input.feed, now, &m.ROWS_END.chunks)) client_say(c, &m);
}

/* ---- reading */

/* How many rows the next chunk may have; 0: not now. In ordered mode results that wait for their turn count
 * too. */
static uint64_t room(const client_t *c) {
    const writer_t *w = c->results.writer;
    return feed_room(c->input.feed, writer_waiting_rows(w), writer_waiting_bytes(w));
}

/* A record that is no row: a failed result is written for it at once. In a pass of batch mode that is not the
 * last it is put away like a row that has failed, so that its result is written in the order of the input. */
static void fail_record(client_t *c, uint64_t index, const char *error) {
    buf_t line;
    err_t err;
    if (!passes_is_last(c->passes)) {
        client_store_failed(c, index, error);
        passes_take(c->passes, index);
        return;
    }
    buf_init(&line, 4 * ERR_TEXT_MAX);
    result_line_fail(&line, index, error);
    int rc = writer_add(c->results.writer, index, line.data, line.len, &err);
    if (rc == SDG_OK) client_count_failure(c, "input", error);
    if (rc < 0) client_give_up(c, EXIT_DATA, err.text);
    buf_free(&line);
}

static void end_input(client_t *c, const char *failure) {
    c->input.over = true;
    if (!failure) return;
    log_error("client", "%s", failure);
    snprintf(c->ending, sizeof c->ending, "%s", failure);
    c->exit_code = EXIT_DATA;
}

/* The input has been read to its end: from now on its rows are known. */
static void count_input(client_t *c) {
    client_gather(c);
    if (passes_number(c->passes) == 1)
        c->told.tally.totals[CLIENT_rows_total] = c->told.tally.totals[CLIENT_rows_read];
}

/* One record of the source. False: nothing more for now. */
static bool read_record(client_t *c) {
    row_in_t row;
    err_t why;
    switch (source_next(c->input.source, &row, &why)) {
    case SOURCE_ROW: feed_add(c->input.feed, &row, source_row_bytes(c->input.source)); return true;
    case SOURCE_BAD: fail_record(c, row.index, why.text); return true;
    case SOURCE_SKIPPED: return true;
    case SOURCE_WAITS: c->input.waits = true; return false;
    case SOURCE_END:
        count_input(c);
        end_input(c, NULL);
        return false;
    case SOURCE_FAILED: end_input(c, why.text); return false;
    }
    return false;
}

/* Reads at most RECORDS_PER_WAKE records, chunk by chunk, and sends each chunk when it is complete. */
void client_read_more(client_t *c, uint64_t now) {
    int records = 0;
    uint64_t rows;
    c->input.waits = false;
    if (c->state != CLIENT_RUNNING) return;
    send_chunks(c, now); /* chunks that are due again go before new rows */
    while (!c->input.over && !c->input.waits && records < RECORDS_PER_WAKE && c->state == CLIENT_RUNNING &&
           (rows = room(c)) > 0) {
        while (feed_takes(c->input.feed, rows) && records < RECORDS_PER_WAKE && c->state == CLIENT_RUNNING) {
            records++;
            if (!read_record(c)) break;
        }
        feed_close(c->input.feed);
        send_chunks(c, now);
    }
    if (c->state == CLIENT_RUNNING && c->input.over) send_end(c, now);
}

bool client_can_read_on(const client_t *c) {
    return c->state == CLIENT_RUNNING && !c->input.over && !c->input.waits && room(c) > 0;
}

/* Workers that the next scheduler knows nothing of may have made calls of these rows. */
static void remember_submitted(client_t *c) {
    uint64_t first, end, *known_first = &c->input.known_first, *known_end = &c->input.known_end;
    if (!feed_sent_range(c->input.feed, &first, &end)) return;
    if (*known_end == 0 || first < *known_first) *known_first = first;
    if (end > *known_end) *known_end = end;
}

void client_resubmit(client_t *c) {
    remember_submitted(c);
    c->accepted = false;
    feed_restart(c->input.feed);
    c->results.next_batch = 1;
    c->results.rows = c->results.bytes = 0;
    c->results.safe_batch = c->results.safe_rows = c->results.safe_bytes = 0;
}
