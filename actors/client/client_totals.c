/* client_totals.c - what the run has done, counted from the records that travel with the results: exact,
 * whatever was lost or repeated on the way, because each row is counted when it is written and never
 * before. */
#include "actors/client/client_internal.h"

void client_count_failure(client_t *c, const char *reason) {
    c->tally.totals[CLIENT_rows_failed]++;
    tally_failure(&c->tally, reason, 1);
}

void client_count_result(client_t *c, const row_done_t *row) {
    usage_t usage = {0};
    if (row->meta.len) usage_decode(row->meta.data, row->meta.len, &usage, NULL);
    tally_row(&c->tally, row->status != ROW_STATUS_OK, usage.reason, &usage.row);
    client_batch_used(c, &usage.row);
}

static void gather(client_t *c) {
    reader_progress(c->reader, &c->tally.totals[CLIENT_bytes_done], &c->tally.totals[CLIENT_bytes_total]);
    c->tally.totals[CLIENT_rows_pending] = feed_rows(c->feed);
    c->tally.totals[CLIENT_bytes_pending] = feed_bytes(c->feed);
    c->tally.totals[CLIENT_window_rows] = c->args->window_rows;
    c->tally.totals[CLIENT_window_bytes] = c->args->window_bytes;
    c->tally.totals[CLIENT_concurrency] = client_concurrency(c);
    c->tally.totals[CLIENT_bytes_held] = feed_bytes(c->feed) + writer_waiting_bytes(c->writer);
    c->tally.totals[CLIENT_memory_limit] = c->args->memory_limit;
    c->tally.totals[CLIENT_stopping] = c->state == CLIENT_STOPPING;
}

void client_tell_monitor(client_t *c) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    if (!c->monitor) return;
    gather(c);
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(&c->tally, &reasons);
    message_t m = {.type = MESSAGE_STATS,
                   .STATS = {.role = ROLE_CLIENT,
                             .values = {c->tally.totals, CLIENT_STATS},
                             .latency = {latency, hist_to_numbers(&c->tally.latency, latency)},
                             .reasons = {reasons.data, reasons.len}}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&reasons);
}

void client_tell_summary(client_t *c) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    if (!c->monitor) return;
    gather(c);
    buf_init(&reasons, 2 * REASONS_JSON_BYTES);
    tally_write_outcomes(&c->tally, &reasons);
    message_t m = {.type = MESSAGE_SUMMARY,
                   .SUMMARY = {.values = {c->tally.totals, CLIENT_STATS},
                               .latency = {latency, hist_to_numbers(&c->tally.latency, latency)},
                               .reasons = {reasons.data, reasons.len},
                               .ending = slice_of(c->ending)}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&reasons);
}
