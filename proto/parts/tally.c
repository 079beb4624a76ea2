/* tally.c - see tally.h. */
#include "proto/parts/tally.h"

#include <stdio.h>
#include <string.h>

#include "core/base/json.h"

static void count_note(notes_t *n, row_note_kind_t kind, const char *name, uint64_t count) {
    size_t i = 0;
    while (i < n->count && (n->item[i].kind != kind || strcmp(n->item[i].name, name) != 0)) {
        i++;
    }
    if (i == n->count && i >= NOTES_MAX && strcmp(name, "other") != 0) {
        count_note(n, kind, "other", count);
        return;
    }
    if (i == n->count) {
        n->item[i].kind = kind;
        snprintf(n->item[i].name, sizeof n->item[i].name, "%s", name);
        n->item[i].count = 0;
        n->count++;
    }
    n->item[i].count += count;
}

int tally_retry_stat(llm_cause_t cause) {
    static const int retry_stat[LLM_CAUSES] = {
        [LLM_CAUSE_RATE_LIMIT] = CLIENT_retry_rate_limit, [LLM_CAUSE_OVERLOAD] = CLIENT_retry_overload,
        [LLM_CAUSE_SERVER] = CLIENT_retry_server,         [LLM_CAUSE_TIMEOUT] = CLIENT_retry_timeout,
        [LLM_CAUSE_CONNECTION] = CLIENT_retry_connection, [LLM_CAUSE_MALFORMED] = CLIENT_retry_malformed,
        [LLM_CAUSE_EMPTY] = CLIENT_retry_empty,
    };
    return retry_stat[cause];
}

void tally_usage(tally_t *t, const row_usage_t *u) {
    t->totals[CLIENT_calls] += u->calls;
    t->totals[CLIENT_requests] += u->requests;
    t->totals[CLIENT_prompt_tokens] += u->prompt_tokens;
    t->totals[CLIENT_completion_tokens] += u->completion_tokens;
    t->totals[CLIENT_cut_short] += u->cut_short;
    for (int i = 0; i < LLM_CAUSES; i++) {
        int stat = tally_retry_stat((llm_cause_t)i);
        if (stat) t->totals[stat] += u->retries[i];
    }
    for (uint32_t i = 0; i < u->latency_count; i++) {
        hist_add(&t->latency, u->latency_us[i]);
    }
    for (uint32_t i = 0; i < u->notes.count; i++) {
        count_note(&t->notes, (row_note_kind_t)u->notes.item[i].kind, u->notes.item[i].name,
                   u->notes.item[i].count);
    }
}

static size_t find_reason(const reasons_t *r, const char *reason) {
    size_t i = 0;
    while (i < r->count && strcmp(r->item[i].text, reason) != 0) {
        i++;
    }
    return i;
}

static void count_in(reasons_t *r, const char *reason, uint64_t rows) {
    size_t i = find_reason(r, reason);
    if (i == r->count && r->count == REASONS_MAX) {
        i = REASONS_MAX - 1;
        strcpy(r->item[i].text, "other");
    } else if (i == r->count) {
        snprintf(r->item[i].text, sizeof r->item[i].text, "%s", reason);
        r->item[i].count = 0;
        r->count++;
    }
    r->item[i].count += rows;
}

void tally_failure(tally_t *t, const char *reason, uint64_t rows) { count_in(&t->reasons, reason, rows); }

void tally_row(tally_t *t, bool failed, const char *reason, const row_usage_t *usage) {
    tally_usage(t, usage);
    t->totals[failed ? CLIENT_rows_failed : CLIENT_rows_ok]++;
    if (failed) count_in(&t->reasons, reason[0] ? reason : "other", 1);
    if (!failed && reason[0]) count_in(&t->endings, reason, 1);
}

static value_t counts_of(const reasons_t *r) {
    value_t v = value_object(r->count);
    for (size_t i = 0; i < r->count; i++) {
        object_set_text(&v, r->item[i].text, value_int((int64_t)r->item[i].count));
    }
    return v;
}

void tally_write_reasons(const tally_t *t, buf_t *out) {
    value_t v = counts_of(&t->reasons);
    json_write(out, v, JSON_COMPACT);
    value_free(v);
}

/* The notes of one kind; an empty object when there are none. */
static value_t notes_of(const notes_t *n, row_note_kind_t kind) {
    value_t v = value_object(0);
    for (size_t i = 0; i < n->count; i++) {
        if (n->item[i].kind == kind)
            object_set_text(&v, n->item[i].name, value_int((int64_t)n->item[i].count));
    }
    return v;
}

void tally_write_outcomes(const tally_t *t, const samples_t *samples, buf_t *out) {
    value_t v = value_object(2);
    object_set_text(&v, "failed", counts_of(&t->reasons));
    object_set_text(&v, "ended", counts_of(&t->endings));
    for (int kind = 0; kind < ROW_NOTE_KINDS; kind++) {
        value_t notes = notes_of(&t->notes, (row_note_kind_t)kind);
        if (object_count(notes))
            object_set_text(&v, row_notes_kind_name((row_note_kind_t)kind), notes);
        else
            value_free(notes);
    }
    if (samples) object_set_text(&v, "samples", samples_of(samples));
    json_write(out, v, JSON_COMPACT);
    value_free(v);
}

/* {"reason": count, ...}, or what tally_write_outcomes has written. */
static void read_reasons(tally_t *t, slice_t json) {
    value_t v;
    if (json.len == 0 || json.len > OUTCOMES_JSON_BYTES ||
        json_parse_text(json.data, json.len, &v, NULL) != SDG_OK)
        return;
    value_t failed =
        v.kind == VALUE_OBJECT ? object_get_peek(v, "failed", strlen("failed"), NULL) : value_null();
    value_t counts = failed.kind == VALUE_OBJECT ? failed : v;
    for (size_t i = 0; counts.kind == VALUE_OBJECT && i < object_count(counts); i++) {
        value_t n = object_value_peek(counts, i);
        char text[ROW_REASON_MAX];
        snprintf(text, sizeof text, "%s", object_key_peek(counts, i)->data);
        if (n.kind == VALUE_INT && n.integer > 0) tally_failure(t, text, (uint64_t)n.integer);
    }
    value_free(v);
}

void tally_read(tally_t *t, const u64_list_t *values, const u64_list_t *latency, slice_t reasons) {
    memset(t, 0, sizeof *t);
    if (values->count)
        memcpy(t->totals, values->items,
               (values->count < CLIENT_STATS ? values->count : CLIENT_STATS) * sizeof *t->totals);
    hist_from_numbers(&t->latency, latency->items, latency->count);
    read_reasons(t, reasons);
}

void tally_add_difference(tally_t *sum, const tally_t *before, const tally_t *after) {
    hist_t between;
    for (int i = 0; i < CLIENT_STATS; i++) {
        sum->totals[i] += after->totals[i] - before->totals[i];
    }
    hist_between(&before->latency, &after->latency, &between);
    hist_merge(&sum->latency, &between);
    for (size_t i = 0; i < after->reasons.count; i++) {
        size_t was = find_reason(&before->reasons, after->reasons.item[i].text);
        uint64_t old = was < before->reasons.count ? before->reasons.item[was].count : 0;
        if (after->reasons.item[i].count > old)
            tally_failure(sum, after->reasons.item[i].text, after->reasons.item[i].count - old);
    }
}
