/* store_contexts.c - contexts of rows in the context store: the messages around core/store/contexts.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/store/limits.h"
#include "actors/store/store_internal.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "proto/stats.h"

/* A context had to make room: noted for the monitor, up to STORE_EVICTED_MAX rows until it is told. Beyond
 * that rows are left out, because the notice is lossy by design. */
static void note_evicted(void *self, uint64_t row, size_t bytes, bool to_disk) {
    context_store_t *s = self;
    store_evicted_t *evicted = &s->evicted[to_disk];
    if (!s->monitor || evicted->rows.count >= STORE_EVICTED_MAX) return;
    numbers_add(&evicted->rows, row);
    numbers_add(&evicted->bytes, bytes);
}

/* ---- answers */

static void say_found(context_store_t *s, uint64_t peer) {
    message_t m = {.type = MESSAGE_CTX,
                   .CTX = {.contexts = {s->contexts_found.items, s->contexts_found.count}}};
    BATCH_POINT(&s->contexts_found, bytes);
    if (s->contexts_found.count) link_send(s->router, peer, &m, &s->scratch);
    m = (message_t){.type = MESSAGE_CTX_MISSING,
                    .CTX_MISSING = {.tags = {s->missing.items, s->missing.count}}};
    if (s->missing.count) link_send(s->router, peer, &m, &s->scratch);
    BATCH_RESET(&s->contexts_found, RESULT_BYTES_KEPT);
    s->missing.count = 0;
}

/* ---- messages */

/* There is no such context, it came too late, or it is too large: the store goes on, and whoever asked has to
 * live with it. Any other error means that the store cannot go on. */
static bool is_refusal(int rc) { return rc == SDG_ENOTFOUND || rc == SDG_ECANCELLED || rc == SDG_ELIMIT; }

static int find(context_store_t *s, const context_item_t *asked, uint64_t owner, err_t *err) {
    context_view_t view;
    int rc = contexts_get_or_create(s->contexts, asked->row, (context_part_t)asked->part, owner,
                                    asked->bytes.data, asked->bytes.len, &view, NULL, err);
    if (is_refusal(rc)) numbers_add(&s->missing, asked->tag);
    if (rc != SDG_OK) return is_refusal(rc) ? SDG_OK : rc;
    buf_add(&s->contexts_found.text, view.bytes, view.len);
    BATCH_ADD(
        &s->contexts_found,
        (context_item_t){.tag = asked->tag, .row = asked->row, .part = asked->part, .bytes.len = view.len});
    return SDG_OK;
}

static bool is_part(uint32_t part) { return part == CONTEXT_SHARED || part == CONTEXT_PRIVATE; }

/* Answers in portions of CONTEXT_BATCH_MAX contexts or CONTEXT_BATCH_BYTES. */
void store_contexts_on_get(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const MSG_CTX_GET_OR_CREATE *m = &in->message.CTX_GET_OR_CREATE;
    err_t err;
    (void)now;
    for (size_t i = 0; i < m->contexts.count; i++) {
        if (!is_part(m->contexts.items[i].part)) continue;
        if (find(s, &m->contexts.items[i], m->owner, &err) != SDG_OK) {
            store_give_up(s, err.text);
            break; /* what was found is answered: the next asker must not get it */
        }
        if (s->contexts_found.count + s->missing.count == CONTEXT_BATCH_MAX ||
            s->contexts_found.text.len >= CONTEXT_BATCH_BYTES)
            say_found(s, in->peer);
    }
    say_found(s, in->peer);
}

/* Saves contexts; those with a tag are answered with CTX_SAVED. */
void store_contexts_on_put(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const MSG_CTX_PUT *m = &in->message.CTX_PUT;
    numbers_t saved = {0};
    err_t err;
    (void)now;
    for (size_t i = 0; i < m->contexts.count; i++) {
        const context_item_t *item = &m->contexts.items[i];
        if (!is_part(item->part)) continue;
        int rc = contexts_put(s->contexts, item->row, (context_part_t)item->part, m->owner, item->bytes.data,
                              item->bytes.len, &err);
        if (is_refusal(rc)) continue; /* its tag is not in CTX_SAVED */
        if (rc != SDG_OK) {
            store_give_up(s, err.text);
            break;
        }
        if (item->tag) numbers_add(&saved, item->tag);
    }
    message_t answer = {.type = MESSAGE_CTX_SAVED, .CTX_SAVED = {.tags = {saved.items, saved.count}}};
    if (saved.count && !s->actor.ended) link_send(s->router, in->peer, &answer, &s->scratch);
    numbers_free(&saved);
}

/* The outcome of a message that has no answer. */
static void give_up_unless_refusal(context_store_t *s, int rc, const err_t *err) {
    if (rc != SDG_OK && !is_refusal(rc) && !s->actor.ended) store_give_up(s, err->text);
}

void store_contexts_on_pin(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const MSG_CTX_PIN *m = &in->message.CTX_PIN;
    err_t err;
    (void)now;
    for (size_t i = 0; i < m->rows.count; i++) {
        give_up_unless_refusal(s, contexts_pin(s->contexts, m->rows.items[i], m->owner, &err), &err);
    }
}

void store_contexts_on_unpin(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const MSG_CTX_UNPIN *m = &in->message.CTX_UNPIN;
    err_t err;
    (void)now;
    for (size_t i = 0; i < m->rows.count; i++) {
        give_up_unless_refusal(s, contexts_unpin(s->contexts, m->rows.items[i], m->owner, &err), &err);
    }
}

void store_contexts_on_complete(context_store_t *s, const link_frame_t *in, uint64_t now) {
    const MSG_CTX_COMPLETE *m = &in->message.CTX_COMPLETE;
    err_t err;
    (void)now;
    for (size_t i = 0; i < m->rows.count; i++) {
        uint64_t row = m->rows.items[i];
        int rc = m->owner ? contexts_release(s->contexts, row, m->owner, &err)
                          : contexts_complete(s->contexts, row, &err);
        give_up_unless_refusal(s, rc, &err);
    }
}

void store_contexts_on_owner_gone(context_store_t *s, const link_frame_t *in, uint64_t now) {
    err_t err;
    (void)now;
    give_up_unless_refusal(s, contexts_owner_gone(s->contexts, in->message.OWNER_GONE.owner, &err), &err);
}

void store_contexts_on_owner_back(context_store_t *s, const link_frame_t *in, uint64_t now) {
    (void)now;
    contexts_owner_back(s->contexts, in->message.OWNER_BACK.owner);
}

/* ---- the monitor */

static void tell_evicted(context_store_t *s, bool to_disk) {
    store_evicted_t *evicted = &s->evicted[to_disk];
    if (evicted->rows.count == 0) return;
    message_t m = {.type = MESSAGE_EVICTED,
                   .EVICTED = {.rows = {evicted->rows.items, evicted->rows.count},
                               .bytes = {evicted->bytes.items, evicted->bytes.count},
                               .to_disk = to_disk}};
    link_send(s->monitor, 0, &m, &s->scratch);
    evicted->rows.count = evicted->bytes.count = 0;
}

/* What the store holds and has done, for the monitor. */
static void fill_contexts(const context_store_t *s, uint64_t *values) {
    contexts_stats_t stats;
    if (!s->contexts) return;
    contexts_stats(s->contexts, &stats);
    values[STORE_contexts_cached] = stats.cached;
    values[STORE_contexts_cached_bytes] = stats.cached_bytes;
    values[STORE_contexts_cached_max] = stats.max_cached;
    values[STORE_contexts_bytes_max] = stats.max_bytes;
    values[STORE_contexts_pinned] = stats.pinned;
    values[STORE_contexts_spilled] = stats.spilled;
    values[STORE_contexts_spilled_bytes] = stats.spilled_bytes;
    values[STORE_context_hits] = stats.hits;
    values[STORE_context_misses] = stats.misses;
    values[STORE_context_created] = stats.created;
    values[STORE_context_evictions] = stats.evictions;
    values[STORE_context_loads] = stats.loads;
    values[STORE_context_completed] = stats.completed;
}

static void fill_journal(const context_store_t *s, uint64_t *values) {
    journal_stats_t stats;
    if (!s->journal.file) return;
    journal_stats(s->journal.file, &stats);
    values[STORE_journal_calls] = stats.calls;
    values[STORE_journal_bytes] = stats.bytes;
    values[STORE_journal_added] = stats.added;
}

void store_contexts_tell(context_store_t *s, uint64_t now) {
    uint64_t values[STORE_STATS] = {0};
    if (!s->monitor || now - s->stats_ns < STORE_STATS_NS) return;
    s->stats_ns = now;
    tell_evicted(s, false);
    tell_evicted(s, true);
    fill_contexts(s, values);
    fill_journal(s, values);
    message_t m = {.type = MESSAGE_STATS, .STATS = {.role = ROLE_STORE, .values = {values, STORE_STATS}}};
    link_send(s->monitor, 0, &m, &s->scratch);
}

/* ---- life */

void store_contexts_write(context_store_t *s) {
    err_t err;
    if (s->contexts && contexts_flush(s->contexts, &err) != SDG_OK && !s->actor.ended)
        store_give_up(s, err.text);
}

void store_contexts_start(context_store_t *s, const context_store_args_t *args) {
    if (!args->contexts) return;
    contexts_options_t options = *args->contexts;
    options.evicted = note_evicted;
    options.context = s;
    s->contexts = contexts_new(&options);
}

void store_contexts_log(const context_store_t *s) {
    contexts_stats_t stats;
    if (!s->contexts) return;
    contexts_stats(s->contexts, &stats);
    log_debug("store",
              "contexts: %" PRIu64 " created, %" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64
              " evictions, %" PRIu64 " loads, %" PRIu64 " completed; %" PRIu64 " cached, %" PRIu64
              " pinned, %" PRIu64 " spilled",
              stats.created, stats.hits, stats.misses, stats.evictions, stats.loads, stats.completed,
              stats.cached, stats.pinned, stats.spilled);
}

void store_contexts_free(context_store_t *s) {
    contexts_destroy(&s->contexts);
    for (int i = 0; i < 2; i++) {
        numbers_free(&s->evicted[i].rows);
        numbers_free(&s->evicted[i].bytes);
    }
}
