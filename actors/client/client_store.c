/* client_store.c - what the client tells the call journal (actors/store/context_store.h): whose calls they
 * are, which rows need theirs no more, and whether the job is complete. Only rows whose results are synced
 * are told: until then their calls may be needed again. */
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "actors/loop/limits.h"

void client_store_open(client_t *c) {
    if (!c->args->store) return;
    c->store = link_socket(ZMQ_DEALER, 500);
    zsock_connect(c->store, "%s", c->args->store);
    actor_add_socket(&c->actor, c->store);
    client_store_job(c);
}

void client_store_job(client_t *c) {
    if (!c->store) return;
    message_t m = {.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = c->job}};
    link_send(c->store, 0, &m, &c->scratch);
}

void client_store_row(client_t *c, uint64_t index) {
    if (!c->args->options->store.calls) return;
    numbers_add(&c->synced, index);
}

/* With `ordered`, rows behind an unfinished one wait in memory: not theirs is the sync. Puts them last and
 * returns how many are safe. */
static size_t safe_rows(client_t *c) {
    if (!c->args->ordered) return c->synced.count;
    uint64_t end = rangeset_first_absent(writer_finished(c->writer), 0);
    size_t safe = 0;
    for (size_t i = 0; i < c->synced.count; i++) {
        uint64_t row = c->synced.items[i];
        if (row >= end) continue;
        c->synced.items[i] = c->synced.items[safe];
        c->synced.items[safe++] = row;
    }
    return safe;
}

/* Told in portions of --gc-interval rows: each is a look at whether the journal is worth rewriting. */
void client_store_synced(client_t *c) {
    if (c->synced.count < c->args->options->gc_rows && c->state != CLIENT_OVER && !c->input_over) return;
    size_t safe = safe_rows(c);
    for (size_t at = 0; at < safe; at += STORE_BATCH_ROWS_MAX) {
        size_t count = safe - at < STORE_BATCH_ROWS_MAX ? safe - at : STORE_BATCH_ROWS_MAX;
        message_t m = {.type = MESSAGE_ROWS_FINISHED,
                       .ROWS_FINISHED = {.job = c->job, .rows = {c->synced.items + at, count}}};
        link_send(c->store, 0, &m, &c->scratch);
    }
    c->synced.count -= safe;
    if (safe) memmove(c->synced.items, c->synced.items + safe, c->synced.count * sizeof *c->synced.items);
}

void client_store_close(client_t *c, bool complete) {
    if (!c->store) return;
    message_t m = {.type = MESSAGE_JOB_CLOSED, .JOB_CLOSED = {.job = c->job, .complete = complete}};
    link_send(c->store, 0, &m, &c->scratch);
}

void client_store_free(client_t *c) {
    zsock_destroy(&c->store);
    numbers_free(&c->synced);
}
