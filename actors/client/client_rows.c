/* client_rows.c - from the input file to the scheduler: records become chunks, chunks are sent as credit
 * allows and kept until their rows are finished.
 *
 * Three things hold the reader back: the scheduler's credit (rows and bytes it can take), the client's own
 * window (in `ordered` mode a slow row makes finished ones wait here), and end of input. A chunk closes when
 * it has chunk_rows rows, CHUNK_BYTES_MAX bytes, when credit ends, or when a pipe has nothing more for
 * now. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/plan/limits.h"

/* Records looked at per wake-up while skipping finished rows, so that messages are heard in between. */
enum { RECORDS_PER_TURN = 20000 };

/* ---- chunks */

static chunk_t *chunk_new(size_t rows) {
    chunk_t *k = xcalloc(1, sizeof *k);
    k->index = xcalloc(rows, sizeof *k->index);
    k->line = xcalloc(rows, sizeof *k->line);
    k->start = xcalloc(rows + 1, sizeof *k->start);
    buf_init(&k->bytes, CHUNK_BYTES_MAX + DATA_LINE_BYTES_MAX);
    return k;
}

static void chunk_free(chunk_t *k) {
    free(k->index);
    free(k->line);
    free(k->start);
    buf_free(&k->bytes);
    free(k);
}

static void chunk_add(chunk_t *k, const row_record_t *r) {
    buf_add(&k->bytes, r->json, r->json_len);
    k->index[k->count] = r->index;
    k->line[k->count] = r->line;
    k->count++;
    k->open++;
    k->start[k->count] = k->bytes.len;
}

static size_t chunk_row_len(const chunk_t *k, size_t i) { return k->start[i + 1] - k->start[i]; }

static bool is_done(const client_t *c, uint64_t row) {
    return rangeset_has(writer_finished(c->writer), row) || client_batch_has(c, row);
}

/* Sends the rows of a chunk that are not finished (all of them, the first time). */
static void chunk_send(client_t *c, chunk_t *k, uint64_t now) {
    row_in_t *rows = xcalloc(k->count, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < k->count; i++) {
        if (is_done(c, k->index[i])) continue;
        rows[n++] = (row_in_t){.index = k->index[i],
                               .line = k->line[i],
                               .raw = {k->bytes.data + k->start[i], chunk_row_len(k, i)}};
    }
    message_t m = {.type = MESSAGE_ROWS, .ROWS = {.job = c->job, .chunk = k->number, .rows = {rows, n}}};
    client_say(c, &m);
    k->sent = true;
    k->sent_ns = now;
    free(rows);
}

/* First sending on this epoch: gives it its number and takes it from the credit. */
static void chunk_submit(client_t *c, chunk_t *k, uint64_t now) {
    k->number = c->next_chunk++;
    for (size_t i = 0; i < k->count; i++) {
        if (is_done(c, k->index[i])) continue;
        c->rows_sent++;
        c->bytes_sent += chunk_row_len(k, i);
    }
    chunk_send(c, k, now);
}

static void keep_chunk(client_t *c, chunk_t *k) {
    *c->chunks_tail = k;
    c->chunks_tail = &k->next;
    c->rows_unfinished += k->count;
    c->bytes_unfinished += k->bytes.len;
}

static void release_finished_chunks(client_t *c) {
    while (c->chunks && c->chunks->open == 0) {
        chunk_t *k = c->chunks;
        c->chunks = k->next;
        if (!c->chunks) c->chunks_tail = &c->chunks;
        c->bytes_unfinished -= k->bytes.len;
        chunk_free(k);
    }
}

void client_row_finished(client_t *c, uint64_t index) {
    for (chunk_t *k = c->chunks; k; k = k->next) {
        if (index > k->index[k->count - 1]) continue;
        if (k->open > 0) k->open--;
        c->rows_unfinished--;
        break;
    }
    release_finished_chunks(c);
}

/* ---- reading */

static uint64_t credit_left(const client_t *c) {
    if (c->rows_sent >= c->rows_limit) return 0;
    if (c->bytes_sent >= c->bytes_limit && c->rows_unfinished > 0) return 0;
    return c->rows_limit - c->rows_sent;
}

/* Rows this client may still have open: in ordered mode those that wait for their turn count too, with their
 * bytes. */
static uint64_t window_left(const client_t *c) {
    uint64_t held = c->rows_unfinished + writer_waiting_rows(c->writer);
    if (held >= c->args->window_rows) return 0;
    if (c->bytes_unfinished + writer_waiting_bytes(c->writer) >= c->args->window_bytes && held > 0) return 0;
    return c->args->window_rows - held;
}

/* How many rows the next chunk may have; 0: not now. Small leftovers of credit wait for more unless nothing
 * else is under way. */
static uint64_t room(const client_t *c) {
    uint64_t rows = credit_left(c), window = window_left(c), most = c->args->chunk_rows;
    if (window < rows) rows = window;
    if (rows >= most) return most;
    return rows >= most / 2 || c->rows_unfinished < most ? rows : 0;
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
static record_use_t read_stored(client_t *c, chunk_t *k) {
    row_record_t r = {.json = ""};
    if (!client_batch_next(c, &r.index)) {
        c->input_over = true;
        return RECORD_NONE;
    }
    if (rangeset_has(writer_finished(c->writer), r.index)) return RECORD_SKIPPED;
    chunk_add(k, &r);
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

/* Reads one record into the chunk. NONE: end of input, nothing for now, or the reader failed (input_over or
 * input_waits is set). */
static record_use_t read_record(client_t *c, chunk_t *k) {
    row_record_t r;
    err_t err;
    char too_large[160];
    if (client_batch_reads_store(c)) return read_stored(c, k);
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
    chunk_add(k, &r);
    return RECORD_TAKEN;
}

static void fill_chunk(client_t *c, chunk_t *k, uint64_t rows, int *records) {
    while (k->count < rows && k->bytes.len < CHUNK_BYTES_MAX && *records < RECORDS_PER_TURN &&
           c->state == CLIENT_RUNNING) {
        if (k->count > 0 && c->bytes_sent + k->bytes.len >= c->bytes_limit)
            return; /* the last row may pass the limit */
        (*records)++;
        if (read_record(c, k) == RECORD_NONE) return;
    }
}

static void send_end(client_t *c, uint64_t now) {
    for (const chunk_t *k = c->chunks; k; k = k->next) {
        if (!k->sent) return; /* waits for credit after a new epoch */
    }
    message_t m = {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = c->job, .chunks = c->next_chunk}};
    client_say(c, &m);
    c->end_sent = true;
    c->end_sent_ns = now;
}

/* Chunks that a new epoch has not seen yet go before new ones. True: all have been sent. */
static bool send_old_chunks(client_t *c, uint64_t now) {
    for (chunk_t *k = c->chunks; k; k = k->next) {
        if (k->sent) continue;
        if (credit_left(c) < k->open) return false;
        chunk_submit(c, k, now);
    }
    return true;
}

void client_read_more(client_t *c, uint64_t now) {
    int records = 0;
    c->input_waits = false;
    if (c->state != CLIENT_RUNNING || !send_old_chunks(c, now)) return;
    while (!c->input_over && !c->input_waits && records < RECORDS_PER_TURN && c->state == CLIENT_RUNNING) {
        uint64_t rows = room(c);
        if (rows == 0) return;
        chunk_t *k = chunk_new(rows);
        fill_chunk(c, k, rows, &records);
        if (k->count == 0) {
            chunk_free(k);
            continue;
        }
        keep_chunk(c, k);
        chunk_submit(c, k, now);
    }
    if (c->state == CLIENT_RUNNING && c->input_over && !c->end_sent) send_end(c, now);
}

bool client_can_read_on(const client_t *c) {
    return c->state == CLIENT_RUNNING && !c->input_over && !c->input_waits && room(c) > 0;
}

/* ---- what the scheduler has */

void client_arrived(client_t *c, uint64_t next_chunk, uint64_t now) {
    /* A chunk that should have arrived a second ago was lost: go on from there. */
    for (chunk_t *k = c->chunks; k; k = k->next) {
        if (k->sent && k->number >= next_chunk && now - k->sent_ns > SECOND) chunk_send(c, k, now);
    }
    if (c->end_sent && now - c->end_sent_ns > SECOND) send_end(c, now);
}

void client_resubmit(client_t *c) {
    c->accepted = false;
    c->next_chunk = c->rows_sent = c->bytes_sent = 0;
    c->rows_limit = c->bytes_limit = 0;
    c->next_batch = 1;
    c->rows_received = c->bytes_received = 0;
    c->safe_batch = c->safe_rows = c->safe_bytes = 0;
    c->end_sent = false;
    for (chunk_t *k = c->chunks; k; k = k->next) {
        k->sent = false;
    }
}

void client_rows_free(client_t *c) {
    while (c->chunks) {
        chunk_t *k = c->chunks;
        c->chunks = k->next;
        chunk_free(k);
    }
    c->chunks_tail = &c->chunks;
}
