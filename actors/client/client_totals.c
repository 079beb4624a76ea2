/* client_totals.c - what the run has done, counted from the records that travel with the results: exact,
 * whatever was lost or repeated on the way, because each row is counted when it is written and never
 * before. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "core/base/json.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/result_line.h"
#include "proto/parts/endpoint_reports.h"

static void read_usage(const row_done_t *row, usage_t *usage) {
    if (row->meta.len)
        usage_decode(row->meta.data, row->meta.len, usage, NULL); /* zeros when it cannot be read */
    else
        *usage = (usage_t){0};
}

/* In batch mode, how the requests of the rows went decides how many units the job has. */
static void count_requests(client_t *c, const row_usage_t *usage) {
    uint64_t failures = 0, latency_us = 0;
    if (usage->requests == 0) return;
    for (int i = 0; i < LLM_CAUSES; i++) {
        failures += usage->retries[i];
    }
    for (uint32_t i = 0; i < usage->latency_count; i++) {
        latency_us += usage->latency_us[i];
    }
    batch_size_add(&c->at_once, usage->requests, failures, latency_us);
}

/* The first row in which something was read that JSON has not is named in the log; further ones are only
 * counted. */
static void warn_once(client_t *c, uint64_t index, const row_notes_t *notes) {
    static const char *const said[ROW_NOTE_KINDS] = {
        [ROW_NOTE_NULLED] = "a NaN, an infinity or a number beyond all reals was read as null",
        [ROW_NOTE_REPLACED] = "half a surrogate pair was read as U+FFFD",
    };
    for (uint32_t i = 0; i < notes->count; i++) {
        const row_note_t *note = &notes->item[i];
        uint32_t bit = UINT32_C(1) << note->kind;
        if (!said[note->kind] || c->told.warned & bit) continue;
        c->told.warned |= bit;
        log_warn("client", "row %" PRIu64 ", %s: %s; further ones are counted in the summary", index,
                 note->name, said[note->kind]);
    }
}

/* Keeps the message of a failed row when it is the first of its kind. */
static void take_sample(client_t *c, const row_done_t *row, const char *kind) {
    value_t line;
    if (!samples_wants(&c->told.samples, kind) ||
        json_parse_text(row->json.data, row->json.len, &line, NULL) != SDG_OK)
        return;
    value_t message = line.kind == VALUE_OBJECT
                          ? object_get_peek(line, RESULT_LINE_ERROR, strlen(RESULT_LINE_ERROR), NULL)
                          : value_null();
    if (message.kind == VALUE_STRING)
        samples_keep(&c->told.samples, kind, message.string->data, message.string->len);
    value_free(line);
}

void client_count_result(client_t *c, const row_done_t *row) {
    usage_t usage;
    read_usage(row, &usage);
    bool failed = row->status != ROW_STATUS_OK;
    warn_once(c, row->index, &usage.row.notes);
    tally_row(&c->told.tally, failed, usage.reason, &usage.row);
    if (failed) take_sample(c, row, usage.reason[0] ? usage.reason : "other");
    count_requests(c, &usage.row);
}

void client_count_parked(client_t *c, const row_done_t *row) {
    usage_t usage;
    read_usage(row, &usage);
    warn_once(c, row->index, &usage.row.notes);
    tally_usage(&c->told.tally, &usage.row);
    count_requests(c, &usage.row);
}

void client_count_failure(client_t *c, const char *kind, const char *message) {
    c->told.tally.totals[CLIENT_rows_failed]++;
    tally_failure(&c->told.tally, kind, 1);
    samples_keep(&c->told.samples, kind, message, strlen(message));
}

static void gather_input(client_t *c) {
    uint64_t *totals = c->told.tally.totals;
    source_progress_t p = {.rows_read = totals[CLIENT_rows_read],
                           .bytes_read = totals[CLIENT_bytes_read],
                           .bytes_total = totals[CLIENT_bytes_total]};
    source_progress(c->input.source, &p);
    c->input.whole = c->input.whole || p.whole;
    totals[CLIENT_rows_read] = p.rows_read;
    totals[CLIENT_bytes_read] = p.bytes_read;
    totals[CLIENT_bytes_done] = p.bytes_read - feed_input_bytes(c->input.feed);
    totals[CLIENT_bytes_total] = p.bytes_total;
}

/* The totals of rows and requests are counted as they come; all other numbers are looked up here, when they
 * are asked for. */
void client_gather(client_t *c) {
    uint64_t *totals = c->told.tally.totals;
    bool batch_mode = passes_count(c->passes) > 1;
    gather_input(c);
    totals[CLIENT_rows_pending] = feed_rows(c->input.feed);
    totals[CLIENT_bytes_pending] = feed_bytes(c->input.feed);
    totals[CLIENT_window_rows] = c->args->window_rows;
    totals[CLIENT_window_bytes] = c->args->window_bytes;
    totals[CLIENT_concurrency] = c->at_once.current;
    totals[CLIENT_bytes_held] = feed_bytes(c->input.feed) + writer_waiting_bytes(c->results.writer);
    totals[CLIENT_memory_limit] = c->args->memory_limit;
    totals[CLIENT_stopping] = c->state == CLIENT_STOPPING;
    totals[CLIENT_pass] = batch_mode ? passes_number(c->passes) : 0;
    totals[CLIENT_passes] = batch_mode ? passes_count(c->passes) : 0;
    totals[CLIENT_rows_parked] = passes_parked(c->passes);
}

/* STATS to the monitor. Lossy: the next one, CLIENT_STATS_NS later, says everything again. */
void client_tell_monitor(client_t *c) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    if (!c->monitor) return;
    client_gather(c);
    buf_init(&reasons, REASONS_JSON_BYTES);
    tally_write_reasons(&c->told.tally, &reasons);
    message_t m = {.type = MESSAGE_STATS,
                   .STATS = {.role = ROLE_CLIENT,
                             .values = {c->told.tally.totals, CLIENT_STATS},
                             .latency = {latency, hist_to_numbers(&c->told.tally.latency, latency)},
                             .reasons = {reasons.data, reasons.len}}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&reasons);
}

/* ENDPOINT_REPORT to the monitor: of all jobs of this run. */
void client_tell_endpoints(client_t *c, uint64_t now) {
    endpoint_report_t *reports;
    buf_t bytes;
    if (!c->monitor) return;
    reports = xcalloc(ENDPOINT_REPORTS_MAX, sizeof *reports);
    size_t count = endpoint_book_sum(c->endpoints, now, reports, ENDPOINT_REPORTS_MAX);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    endpoint_reports_encode(reports, count, &bytes);
    message_t m = {.type = MESSAGE_ENDPOINT_REPORT,
                   .ENDPOINT_REPORT = {.job = c->job, .reports = {bytes.data, bytes.len}}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&bytes);
    free(reports);
}

/* SUMMARY to the monitor, once at the end: the same numbers as STATS, and how the run ended. */
void client_tell_summary(client_t *c) {
    uint64_t latency[HIST_NUMBERS_MAX];
    buf_t reasons;
    if (!c->monitor) return;
    client_gather(c);
    buf_init(&reasons, OUTCOMES_JSON_BYTES);
    tally_write_outcomes(&c->told.tally, &c->told.samples, &reasons);
    message_t m = {.type = MESSAGE_SUMMARY,
                   .SUMMARY = {.values = {c->told.tally.totals, CLIENT_STATS},
                               .latency = {latency, hist_to_numbers(&c->told.tally.latency, latency)},
                               .reasons = {reasons.data, reasons.len},
                               .ending = slice_of(c->ending)}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&reasons);
}
