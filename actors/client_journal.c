/* client_journal.c - what the client tells the call journal (actors/context_store.h): whose calls they are, which rows need theirs no more,
 * and whether the job is complete. Only rows whose results are synced are told: until then their calls may be needed again. */
#include <stdlib.h>
#include <string.h>

#include "actors/client_internal.h"
#include "core/base/limits.h"

void client_journal_open(client_t *c) {
    if (!c->args->store) return;
    c->store = link_socket(ZMQ_DEALER, 500);
    zsock_connect(c->store, "%s", c->args->store);
    client_journal_job(c);
}

void client_journal_job(client_t *c) {
    if (!c->store) return;
    message_t m = {.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = c->job}};
    link_send(c->store, 0, &m, &c->scratch);
}

void client_journal_row(client_t *c, uint64_t index) {
    if (!c->store) return;
    if (c->synced_count == c->synced_cap) {
        c->synced_cap = c->synced_cap ? c->synced_cap * 2 : 256;
        c->synced_rows = xrealloc(c->synced_rows, c->synced_cap * sizeof *c->synced_rows);
    }
    c->synced_rows[c->synced_count++] = index;
}

/* With `ordered`, rows behind an unfinished one wait in memory: not theirs is the sync. Puts them last and returns how many are safe. */
static size_t safe_rows(client_t *c) {
    if (!c->args->ordered) return c->synced_count;
    uint64_t end = rangeset_first_absent(writer_finished(c->writer), 0);
    size_t safe = 0;
    for (size_t i = 0; i < c->synced_count; i++) {
        uint64_t row = c->synced_rows[i];
        if (row >= end) continue;
        c->synced_rows[i] = c->synced_rows[safe];
        c->synced_rows[safe++] = row;
    }
    return safe;
}

void client_journal_synced(client_t *c) {
    size_t safe = safe_rows(c);
    for (size_t at = 0; at < safe; at += STORE_BATCH_ROWS_MAX) {
        size_t count = safe - at < STORE_BATCH_ROWS_MAX ? safe - at : STORE_BATCH_ROWS_MAX;
        message_t m = {.type = MESSAGE_ROWS_FINISHED, .ROWS_FINISHED = {.job = c->job, .rows = {c->synced_rows + at, count}}};
        link_send(c->store, 0, &m, &c->scratch);
    }
    c->synced_count -= safe;
    if (safe) memmove(c->synced_rows, c->synced_rows + safe, c->synced_count * sizeof *c->synced_rows);
}

void client_journal_close(client_t *c, bool complete) {
    if (!c->store) return;
    message_t m = {.type = MESSAGE_JOB_CLOSED, .JOB_CLOSED = {.job = c->job, .complete = complete}};
    link_send(c->store, 0, &m, &c->scratch);
}

void client_journal_free(client_t *c) {
    zsock_destroy(&c->store);
    free(c->synced_rows);
}
