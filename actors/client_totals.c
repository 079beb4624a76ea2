/* client_totals.c - what the run has done, counted from the records that travel with the results: exact, whatever was lost or repeated on
 * the way, because each row is counted when it is written and never before. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client_internal.h"
#include "core/base/json.h"

static void count_usage(client_t *c, const row_usage_t *u) {
    static const int retry_stat[LLM_CAUSES] = {
        [LLM_CAUSE_RATE_LIMIT] = CLIENT_retry_rate_limit, [LLM_CAUSE_OVERLOAD] = CLIENT_retry_overload,
        [LLM_CAUSE_SERVER] = CLIENT_retry_server,         [LLM_CAUSE_TIMEOUT] = CLIENT_retry_timeout,
        [LLM_CAUSE_CONNECTION] = CLIENT_retry_connection, [LLM_CAUSE_MALFORMED] = CLIENT_retry_malformed,
        [LLM_CAUSE_EMPTY] = CLIENT_retry_empty,
    };
    c->totals[CLIENT_calls] += u->calls;
    c->totals[CLIENT_requests] += u->requests;
    c->totals[CLIENT_prompt_tokens] += u->prompt_tokens;
    c->totals[CLIENT_completion_tokens] += u->completion_tokens;
    c->totals[CLIENT_cut_short] += u->cut_short;
    for (int i = 0; i < LLM_CAUSES; i++) {
        if (retry_stat[i]) c->totals[retry_stat[i]] += u->retries[i];
    }
    for (uint32_t i = 0; i < u->latency_count; i++) {
        hist_add(&c->latency, u->latency_us[i]);
    }
}

static void count_in(reasons_t *r, const char *reason) {
    size_t i = 0;
    while (i < r->count && strcmp(r->item[i].text, reason) != 0) {
        i++;
    }
    if (i == r->count && r->count == REASONS_MAX) {
        i = REASONS_MAX - 1;
        strcpy(r->item[i].text, "other");
    } else if (i == r->count) {
        snprintf(r->item[i].text, sizeof r->item[i].text, "%s", reason);
        r->count++;
    }
    r->item[i].count++;
}

void client_count_failure(client_t *c, const char *reason) {
    c->totals[CLIENT_rows_failed]++;
    count_in(&c->reasons, reason);
}

void client_count_result(client_t *c, const row_done_t *row) {
    usage_t usage = {0};
    if (row->meta.len) usage_decode(row->meta.data, row->meta.len, &usage, NULL);
    count_usage(c, &usage.row);
    if (row->status != ROW_STATUS_OK) {
        client_count_failure(c, usage.reason[0] ? usage.reason : "other");
        return;
    }
    c->totals[CLIENT_rows_ok]++;
    if (usage.reason[0]) count_in(&c->endings, usage.reason);
}

static void gather(client_t *c) {
    reader_progress(c->reader, &c->totals[CLIENT_bytes_done], &c->totals[CLIENT_bytes_total]);
    c->totals[CLIENT_stopping] = c->state == CLIENT_STOPPING;
}

void client_tell_monitor(client_t *c) {
    if (!c->monitor) return;
    gather(c);
    message_t m = {.type = MESSAGE_STATS, .STATS = {.role = ROLE_CLIENT, .values = {c->totals, CLIENT_STATS}}};
    link_send(c->monitor, 0, &m, &c->scratch);
}

/* {"reason": count, ...} in the order they first appeared. */
static value_t counts_of(const reasons_t *r) {
    value_t v = value_object(r->count);
    for (size_t i = 0; i < r->count; i++) {
        object_set_text(&v, r->item[i].text, value_int((int64_t)r->item[i].count));
    }
    return v;
}

static void write_reasons(const client_t *c, buf_t *out) {
    value_t v = value_object(2);
    object_set_text(&v, "failed", counts_of(&c->reasons));
    object_set_text(&v, "ended", counts_of(&c->endings));
    json_write(out, v, JSON_COMPACT);
    value_free(v);
}

void client_tell_summary(client_t *c) {
    uint64_t pairs[2 * HIST_BUCKETS + 2];
    size_t n = 0;
    buf_t reasons;
    if (!c->monitor) return;
    gather(c);
    buf_init(&reasons, 8192);
    write_reasons(c, &reasons);
    pairs[n++] = c->latency.sum_us;
    pairs[n++] = c->latency.max_us;
    for (uint64_t i = 0; i < HIST_BUCKETS; i++) {
        if (!c->latency.bucket[i]) continue;
        pairs[n++] = i;
        pairs[n++] = c->latency.bucket[i];
    }
    message_t m = {.type = MESSAGE_SUMMARY,
                   .SUMMARY = {.values = {c->totals, CLIENT_STATS}, .latency = {pairs, n}, .reasons = {reasons.data, reasons.len},
                               .ending = slice_of(c->ending)}};
    link_send(c->monitor, 0, &m, &c->scratch);
    buf_free(&reasons);
}
