/* worker_contexts.c - see worker_contexts.h.
 *
 * What waits for an LLM is private to this worker: should the store lose it, the row starts again, and its
 * finished calls are found in the call journal. The tag of its CTX_PUT stands before its bytes: when that
 * message is lost the store answers with what was put before it, a row that waits for an older answer. What
 * stops between passes is shared, and acknowledged, because nobody else has it any more.
 *
 * Rows are fetched in the order in which their answers came, as far as there is room for them. Each question
 * to the store has a tag of its own, so an answer that comes late or twice finds another tag and is dropped.
 */
#include "actors/worker/worker_contexts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_journal.h"
#include "actors/worker/worker_memory.h"
#include "actors/worker/worker_rows.h"
#include "core/base/batch.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/mabel/row/limits.h"
#include "core/sched/limits.h"
#include "core/store/contexts.h"

struct row_context {
    context_part_t part; /* of the row that is in the store, or goes there */
    bool stored;         /* the store has something private of it */
    size_t saved_bytes; /* what it took in memory when it was put away, or is expected to take; 0: unknown, or
                           no limit */
    uint64_t put_tag;   /* of the CTX_PUT that put it away; 0: it asked for no answer */
    size_t on_its_way;  /* bytes of that, until the store says that it has them */
    uint64_t tag, sent_ns; /* of the question that is open, and when it was sent (0: not yet) */
    char *saved;           /* between passes: its bytes, owned, until the store has them */
    size_t saved_len;
    row_usage_t usage; /* to be reported with them */
};

struct contexts_out { /* gathered for the next message of each kind */
    BATCH(context_item_t) puts;
    context_item_t gets[CONTEXT_BATCH_MAX];
    size_t get_count;
    numbers_t wanted; /* tags of rows that are to be fetched, in order, from `first_wanted` on */
    size_t first_wanted;
    numbers_t to_pin, to_unpin, to_complete; /* rows */
};

/* ---- a job's and a row's */

void worker_contexts_open(worker_job_t *job) {
    const job_store_t *store = &job->options.store;
    if (!job->store || !(store->contexts || store->batch || job->options.memory_bytes)) return;
    job->contexts = xcalloc(1, sizeof *job->contexts);
    buf_init(&job->contexts->puts.text, MESSAGE_BYTES_MAX);
}

uint32_t worker_context_row(slot_t *slot, bool stored) {
    const job_options_t *options = &slot->job->options;
    slot->context = xcalloc(1, sizeof *slot->context);
    if (stored) slot->context->part = CONTEXT_SHARED;
    return options->store.batch && options->row.stop_before ? PASSAGE_SAVES : 0;
}

void worker_context_row_gone(slot_t *slot) {
    struct row_context *c = slot->context;
    if (!c) return;
    if (c->stored) numbers_add(&slot->job->contexts->to_complete, slot->passage.row);
    free(c->saved);
    free(c);
    slot->context = NULL;
}

bool worker_context_is_shared(const slot_t *slot) {
    return slot->context && slot->context->part == CONTEXT_SHARED;
}

/* The room of a row is taken when it is asked for. */
size_t worker_context_bytes(const slot_t *slot) {
    const struct row_context *c = slot->context;
    if (!c) return 0;
    size_t room = slot->passage.state == PASSAGE_FETCHING ? c->saved_bytes : 0;
    return c->saved_len + c->on_its_way + room;
}

const row_usage_t *worker_context_usage(const slot_t *slot) { return &slot->context->usage; }

/* ---- to the store */

static void send_puts(worker_t *w, worker_job_t *job) {
    struct contexts_out *out = job->contexts;
    if (out->puts.count == 0) return;
    BATCH_POINT(&out->puts, bytes);
    message_t m = {
        .type = MESSAGE_CTX_PUT,
        .CTX_PUT = {.job = job->id, .owner = w->instance, .contexts = {out->puts.items, out->puts.count}}};
    link_send(job->store, 0, &m, &w->scratch);
    BATCH_RESET(&out->puts, 2 * CONTEXT_BATCH_BYTES);
}

static void send_puts_if_full(worker_t *w, worker_job_t *job) {
    const struct contexts_out *out = job->contexts;
    if (out->puts.count >= CONTEXT_BATCH_MAX || out->puts.text.len >= CONTEXT_BATCH_BYTES) send_puts(w, job);
}

static void send_gets(worker_t *w, worker_job_t *job) {
    struct contexts_out *out = job->contexts;
    message_t m = {
        .type = MESSAGE_CTX_GET_OR_CREATE,
        .CTX_GET_OR_CREATE = {.job = job->id, .owner = w->instance, .contexts = {out->gets, out->get_count}}};
    if (out->get_count) link_send(job->store, 0, &m, &w->scratch);
    out->get_count = 0;
}

static void add_get(worker_t *w, slot_t *slot) {
    struct contexts_out *out = slot->job->contexts;
    if (out->get_count == CONTEXT_BATCH_MAX) send_gets(w, slot->job);
    out->gets[out->get_count++] =
        (context_item_t){.tag = slot->context->tag, .row = slot->passage.row, .part = slot->context->part};
}

/* Sends the numbers of rows as CTX_PIN, CTX_UNPIN or CTX_COMPLETE, and empties the list. */
static void send_rows(worker_t *w, worker_job_t *job, message_type_t type, numbers_t *rows) {
    for (size_t at = 0; at < rows->count; at += STORE_BATCH_ROWS_MAX) {
        u64_list_t list = {rows->items + at,
                           rows->count - at < STORE_BATCH_ROWS_MAX ? rows->count - at : STORE_BATCH_ROWS_MAX};
        message_t m = {.type = type};
        if (type == MESSAGE_CTX_PIN)
            m.CTX_PIN = (MSG_CTX_PIN){.job = job->id, .owner = w->instance, .rows = list};
        else if (type == MESSAGE_CTX_UNPIN)
            m.CTX_UNPIN = (MSG_CTX_UNPIN){.job = job->id, .owner = w->instance, .rows = list};
        else
            m.CTX_COMPLETE = (MSG_CTX_COMPLETE){.job = job->id, .owner = w->instance, .rows = list};
        link_send(job->store, 0, &m, &w->scratch);
    }
    rows->count = 0;
}

/* ---- a row that waits for its LLM call */

bool worker_context_put_away(worker_t *w, slot_t *slot) {
    worker_job_t *job = slot->job;
    struct row_context *c = slot->context;
    if (!c || !row_can_save(slot->row)) return false;
    if (!job->options.store.contexts && !worker_is_crowded(w, job)) return false;
    buf_t *text = &job->contexts->puts.text;
    size_t before = text->len;
    uint64_t tag = slots_new_tag(w->slots, slot);
    bool limited = job->options.memory_bytes > 0;
    buf_add(text, &tag, sizeof tag);
    row_save(slot->row, text);
    if (text->full) { /* larger than a message: it stays */
        text->len = before;
        text->full = false;
        return false;
    }
    c->saved_bytes = limited ? row_bytes(slot->row) : 0; /* a walk over the row, which only a limit needs */
    c->put_tag = tag;
    /* Under a limit what the store has not taken yet still counts as ours: it may be slower than we are. */
    c->on_its_way = limited ? text->len - before : 0;
    c->part = CONTEXT_PRIVATE;
    c->stored = true;
    BATCH_ADD(&job->contexts->puts, (context_item_t){.tag = limited ? tag : 0,
                                                     .row = slot->passage.row,
                                                     .part = CONTEXT_PRIVATE,
                                                     .bytes.len = text->len - before});
    send_puts_if_full(w, job);
    return true;
}

/* With --memory-limit no row is pinned before it is fetched: pins of rows that wait would push others out of
 * the store's memory. */
void worker_context_pin(slot_t *slot) {
    if (!slot->job->options.memory_bytes) numbers_add(&slot->job->contexts->to_pin, slot->passage.row);
}

void worker_context_queue(worker_t *w, slot_t *slot) {
    slot->context->tag = slots_new_tag(w->slots, slot);
    numbers_add(&slot->job->contexts->wanted, slot->context->tag);
}

void worker_context_fetch(worker_t *w, slot_t *slot, uint64_t now) {
    struct row_context *c = slot->context;
    c->saved_bytes = worker_room_to_fetch(slot->job, c->saved_bytes);
    c->sent_ns = now;
    add_get(w, slot);
}

/* ---- a row between passes */

static void add_saved(worker_t *w, slot_t *slot) {
    struct contexts_out *out = slot->job->contexts;
    const struct row_context *c = slot->context;
    if (out->puts.text.len + c->saved_len > MESSAGE_BYTES_MAX / 2) send_puts(w, slot->job);
    buf_add(&out->puts.text, c->saved, c->saved_len);
    BATCH_ADD(&out->puts, (context_item_t){.tag = c->tag,
                                           .row = slot->passage.row,
                                           .part = CONTEXT_SHARED,
                                           .bytes.len = c->saved_len});
    send_puts_if_full(w, slot->job);
}

static void save_as_failed(slot_t *slot, buf_t *bytes) {
    buf_reset(bytes);
    worker_journal_save(slot, bytes);
    row_save_failed(bytes, slot->job->pipeline->digest, slot->passage.row,
                    "the row has become too large to be put away between the blocks of batch mode",
                    "too large");
}

/* With the questions it has asked: their answers are counted on in the next pass. */
void worker_context_save(worker_t *w, slot_t *slot) {
    struct row_context *c = slot->context;
    buf_t bytes;
    buf_init(&bytes, MESSAGE_BYTES_MAX / 2);
    row_take_usage(slot->row, &c->usage);
    worker_journal_save(slot, &bytes);
    row_save(slot->row, &bytes);
    if (bytes.full) save_as_failed(slot, &bytes);
    c->saved = buf_take(&bytes, &c->saved_len);
    c->tag = slots_new_tag(w->slots, slot);
    c->part = CONTEXT_SHARED;
    c->sent_ns = 0;
    add_saved(w, slot);
}

/* ---- wake-ups */

bool worker_contexts_are_queued(const worker_job_t *job) {
    return job->contexts && job->contexts->first_wanted < job->contexts->wanted.count;
}

/* The slot of a question to the store that is open; NULL: it is over. */
static slot_t *slot_of_question(worker_t *w, uint64_t tag, passage_event_t answer) {
    slot_t *slot = slots_of(w->slots, tag);
    bool waits =
        slot && slot->context && slot->context->tag == tag && passage_expects(slot->passage.state, answer);
    return waits ? slot : NULL;
}

/* Drops what is done from the front, in large steps: there may always be somebody waiting. */
static void tidy_wanted(struct contexts_out *out) {
    numbers_t *wanted = &out->wanted;
    size_t left = wanted->count - out->first_wanted;
    if (out->first_wanted < CONTEXT_BATCH_MAX || left > out->first_wanted) return;
    memmove(wanted->items, wanted->items + out->first_wanted, left * sizeof *wanted->items);
    wanted->count = left;
    out->first_wanted = 0;
}

/* Fetches wanted rows as far as there is room; what is asked for counts as taken. One message of them in a
 * wake-up, so that what came meanwhile is heard. */
static void fetch_wanted(worker_t *w, worker_job_t *job, uint64_t now) {
    struct contexts_out *out = job->contexts;
    while (out->first_wanted < out->wanted.count && out->get_count < CONTEXT_BATCH_MAX) {
        slot_t *slot = slot_of_question(w, out->wanted.items[out->first_wanted], PASSAGE_ROOM);
        if (slot && !worker_has_room(w, job, worker_room_to_fetch(job, slot->context->saved_bytes))) break;
        out->first_wanted++;
        if (slot) worker_report(w, slot, PASSAGE_ROOM, now);
    }
    tidy_wanted(out);
    send_gets(w, job);
}

void worker_contexts_flush(worker_t *w, uint64_t now) {
    for (worker_job_t *job = worker_next_job(w, NULL); job; job = worker_next_job(w, job)) {
        struct contexts_out *out = job->contexts;
        if (!out) continue;
        send_puts(w, job); /* before the questions: a row may be put away and wanted in the same moment */
        send_rows(w, job, MESSAGE_CTX_PIN, &out->to_pin);
        fetch_wanted(w, job, now);
        send_rows(w, job, MESSAGE_CTX_UNPIN, &out->to_unpin);
        send_rows(w, job, MESSAGE_CTX_COMPLETE, &out->to_complete);
    }
}

void worker_contexts_close(worker_t *w, worker_job_t *job) {
    struct contexts_out *out = job->contexts;
    if (!out) return;
    send_rows(w, job, MESSAGE_CTX_COMPLETE, &out->to_complete); /* of the rows that were dropped just now */
    BATCH_FREE(&out->puts);
    numbers_free(&out->wanted);
    numbers_free(&out->to_pin);
    numbers_free(&out->to_unpin);
    numbers_free(&out->to_complete);
    free(out);
    job->contexts = NULL;
}

static void say_again(worker_t *w, slot_t *slot, uint64_t now) {
    slot->context->sent_ns = now;
    if (slot->passage.state == PASSAGE_SAVING) {
        add_saved(w, slot);
        send_puts(w, slot->job);
        return;
    }
    add_get(w, slot);
    send_gets(w, slot->job);
}

void worker_contexts_resend(worker_t *w, uint64_t now) {
    for (slot_t *slot = slots_next(w->slots, NULL); slot; slot = slots_next(w->slots, slot)) {
        passage_state_t state = slot->passage.state;
        if (state != PASSAGE_FETCHING && state != PASSAGE_SAVING) continue;
        struct row_context *c = slot->context;
        if (c->sent_ns == 0)
            c->sent_ns = now; /* just gathered: it gets its time */
        else if (now - c->sent_ns >= RESEND_NS)
            say_again(w, slot, now);
    }
}

/* ---- from the store */

/* Cuts the tag of its CTX_PUT off the bytes of a private context. False: another put it is of; the last one
 * was lost, and the store still has what was put before. */
static bool cut_tag(const struct row_context *c, slice_t *bytes) {
    size_t size = sizeof c->put_tag;
    if (bytes->len < size || memcmp(bytes->data, &c->put_tag, size) != 0) return false;
    *bytes = (slice_t){bytes->data + size, bytes->len - size};
    return true;
}

/* The row as it was; NULL: these bytes are of no use. */
static row_t *revive(slot_t *slot, slice_t bytes, uint64_t now) {
    const worker_job_t *job = slot->job;
    err_t err;
    size_t journal = 0;
    row_t *row = NULL;
    bool is_private = slot->context->part == CONTEXT_PRIVATE;
    if (is_private && !cut_tag(slot->context, &bytes)) return NULL;
    if (is_private || worker_journal_load(slot, bytes.data, bytes.len, &journal, &err) == SDG_OK)
        row =
            row_load(job->pipeline, &job->options.row, bytes.data + journal, bytes.len - journal, now, &err);
    if (!row)
        log_warn("worker", "row %" PRIu64 ": its context cannot be read: %s", slot->passage.row, err.text);
    return row;
}

row_t *worker_context_lost_row(const slot_t *slot, uint64_t now) {
    const worker_job_t *job = slot->job;
    buf_t bytes;
    buf_init(&bytes, ROW_ERROR_BYTES_MAX + USAGE_BYTES_MAX);
    row_save_failed(&bytes, job->pipeline->digest, slot->passage.row,
                    "the context store has lost this row: run again with --retry-failed", "context");
    row_t *row = row_load(job->pipeline, &job->options.row, bytes.data, bytes.len, now, NULL);
    buf_free(&bytes);
    assert(row);
    return row;
}

/* The store answers with what it has of the row, or that it has nothing. */
static void context_answered(worker_t *w, slot_t *slot, const slice_t *bytes, uint64_t now) {
    struct row_context *c = slot->context;
    slot->row = bytes ? revive(slot, *bytes, now) : NULL;
    c->on_its_way = 0;
    c->saved_bytes = 0;
    worker_account(w, slot);
    if (bytes && slot->job->options.memory_bytes)
        numbers_add(&slot->job->contexts->to_unpin, slot->passage.row); /* its copy there may go to disk */
    worker_report(w, slot, slot->row ? PASSAGE_CONTEXT_CAME : PASSAGE_CONTEXT_LOST, now);
}

static void on_ctx(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CTX.contexts.count; i++) {
        const context_item_t *context = &m->CTX.contexts.items[i];
        slot_t *slot = slot_of_question(w, context->tag, PASSAGE_CONTEXT_CAME);
        if (slot) context_answered(w, slot, &context->bytes, now);
    }
}

static void on_ctx_missing(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CTX_MISSING.tags.count; i++) {
        slot_t *slot = slot_of_question(w, m->CTX_MISSING.tags.items[i], PASSAGE_CONTEXT_LOST);
        if (slot) context_answered(w, slot, NULL, now);
    }
}

/* What was put away for the time of an LLM call is with the store now. */
static void put_arrived(worker_t *w, uint64_t tag) {
    slot_t *slot = slots_of(w->slots, tag);
    if (!slot || !slot->context || slot->context->put_tag != tag) return;
    slot->context->on_its_way = 0;
    worker_account(w, slot);
}

static void on_ctx_saved(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CTX_SAVED.tags.count; i++) {
        slot_t *slot = slot_of_question(w, m->CTX_SAVED.tags.items[i], PASSAGE_CONTEXT_SAVED);
        if (slot)
            worker_report(w, slot, PASSAGE_CONTEXT_SAVED, now);
        else
            put_arrived(w, m->CTX_SAVED.tags.items[i]);
    }
}

void worker_contexts_message(worker_t *w, const message_t *m, uint64_t now) {
    switch (m->type) {
    case MESSAGE_CTX: on_ctx(w, m, now); break;
    case MESSAGE_CTX_MISSING: on_ctx_missing(w, m, now); break;
    case MESSAGE_CTX_SAVED: on_ctx_saved(w, m, now); break;
    default: break; /* REFUSED: the job is over */
    }
}
