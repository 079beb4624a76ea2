/* worker_contexts.c - see worker_contexts.h.
 *
 * A row is HERE (a row machine in memory), AWAY (bytes in the store), ASKED for (it comes back as soon as the
 * store answers), or being SAVED (batch mode: its bytes are kept until the store has them, then the row is
 * reported and forgotten). Between AWAY and ASKED it may have to queue: rows are fetched in the order in
 * which their answers came, as far as there is room for them.
 *
 * What waits for an LLM is private to this worker: should the store lose it, the row starts again, and its
 * finished calls are found in the call journal. What stops between passes is shared, and acknowledged,
 * because nobody else has it any more.
 *
 * Each question has a tag of its own (worker_new_turn), so whatever comes late or twice finds another tag and
 * is dropped.
 */
#include "actors/worker/worker_contexts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/worker/limits.h"
#include "actors/worker/worker_journal.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/mabel/row/limits.h"
#include "core/sched/limits.h"
#include "core/store/contexts.h"

typedef enum place { PLACE_HERE, PLACE_AWAY, PLACE_ASKED, PLACE_SAVING } place_t;

struct row_context {
    place_t place;
    context_part_t part; /* AWAY, ASKED, SAVING: which one */
    bool stored;         /* the store has something private of it */
    bool queued;         /* AWAY: it is wanted, there was no room yet */
    bool answered;       /* `answer` waits for the row */
    llm_answer_t answer;
    size_t
        saved_bytes;  /* AWAY, ASKED: what it took when it was put away, or is expected to take; 0: unknown */
    uint64_t put_tag; /* of the CTX_PUT that put it away; 0: it asked for no answer */
    size_t on_its_way;     /* bytes of that, until the store says that it has them */
    uint64_t tag, sent_ns; /* ASKED, SAVING: the question, and when it was sent (0: not yet) */
    char *saved;
    size_t saved_len;  /* SAVING: owned */
    row_usage_t usage; /* SAVING: to be reported with it */
};

/* Contexts gathered for the next CTX_PUT: their bytes follow each other in `bytes`. */
typedef struct put_list {
    context_item_t *items;
    size_t count, cap;
    buf_t bytes;
} put_list_t;

struct contexts_out {
    put_list_t puts;
    numbers_t
        wanted; /* turns of rows that are to be fetched, in order; `first_wanted` is the first that is left */
    size_t first_wanted;
    numbers_t soon, loose, over; /* rows: for CTX_PIN, CTX_UNPIN and CTX_COMPLETE */
};

/* ---- a job's and a row's */

void worker_contexts_open(worker_job_t *job) {
    const job_store_t *store = &job->options.store;
    if (!job->store || !(store->contexts || store->batch || job->options.memory_bytes)) return;
    job->contexts = xcalloc(1, sizeof *job->contexts);
    buf_init(&job->contexts->puts.bytes, MESSAGE_BYTES_MAX);
}

void worker_context_row(worker_t *w, slot_t *slot, bool stored) {
    slot->context = xcalloc(1, sizeof *slot->context);
    if (!stored) return;
    slot->context->place = PLACE_AWAY;
    slot->context->part = CONTEXT_SHARED;
    worker_context_want(w, slot);
}

void worker_context_row_gone(slot_t *slot) {
    struct row_context *c = slot->context;
    if (!c) return;
    if (c->stored) numbers_add(&slot->job->contexts->over, slot->index);
    if (c->answered) value_free(c->answer.text);
    free(c->saved);
    free(c);
    slot->context = NULL;
}

bool worker_context_is_coming(const slot_t *slot) {
    return slot->context && slot->context->place == PLACE_ASKED;
}

size_t worker_context_bytes(const slot_t *slot) {
    const struct row_context *c = slot->context;
    if (!c) return 0;
    size_t bytes = c->saved_len + c->on_its_way + (c->answered ? value_bytes(c->answer.text) : 0);
    return c->place == PLACE_ASKED ? bytes + c->saved_bytes
                                   : bytes; /* its room is taken when it is asked for */
}

/* ---- to the store */

static void send_puts(worker_t *w, worker_job_t *job) {
    put_list_t *puts = &job->contexts->puts;
    const char *at = puts->bytes.data;
    if (puts->count == 0) return;
    for (size_t i = 0; i < puts->count; i++) { /* the buffer does not move any more */
        puts->items[i].bytes.data = at;
        at += puts->items[i].bytes.len;
    }
    message_t m = {.type = MESSAGE_CTX_PUT,
                   .CTX_PUT = {.job = job->id, .owner = w->instance, .contexts = {puts->items, puts->count}}};
    link_send(job->store, 0, &m, &w->scratch);
    puts->count = 0;
    buf_reset(&puts->bytes);
    if (puts->bytes.cap > 2 * CONTEXT_BATCH_BYTES) buf_free(&puts->bytes);
}

static context_item_t *add_put(put_list_t *puts, const context_item_t *item) {
    if (puts->count == puts->cap) {
        puts->cap = puts->cap ? puts->cap * 2 : 64;
        puts->items = xrealloc(puts->items, puts->cap * sizeof *puts->items);
    }
    puts->items[puts->count] = *item;
    return &puts->items[puts->count++];
}

static void send_if_full(worker_t *w, worker_job_t *job) {
    put_list_t *puts = &job->contexts->puts;
    if (puts->count >= CONTEXT_BATCH_MAX || puts->bytes.len >= CONTEXT_BATCH_BYTES) send_puts(w, job);
}

static void drop_machine(worker_t *w, slot_t *slot) {
    row_destroy(&slot->row);
    w->rows_here--;
}

void worker_context_park(worker_t *w, slot_t *slot) {
    worker_job_t *job = slot->job;
    struct row_context *c = slot->context;
    if (!c || c->place != PLACE_HERE || !row_can_save(slot->row)) return;
    if (!job->options.store.contexts && !worker_is_crowded(w, job)) return;
    put_list_t *puts = &job->contexts->puts;
    size_t before = puts->bytes.len;
    row_save(slot->row, &puts->bytes);
    if (puts->bytes.full) { /* larger than a message: it stays */
        puts->bytes.len = before;
        puts->bytes.full = false;
        return;
    }
    c->saved_bytes = row_bytes(slot->row);
    /* Under a limit what the store has not taken yet still counts as ours: it may be slower than we are. */
    c->put_tag = job->options.memory_bytes ? worker_new_turn(w, slot) : 0;
    c->on_its_way = c->put_tag ? puts->bytes.len - before : 0;
    add_put(puts, &(context_item_t){.tag = c->put_tag,
                                    .row = slot->index,
                                    .part = CONTEXT_PRIVATE,
                                    .bytes.len = puts->bytes.len - before});
    c->place = PLACE_AWAY;
    c->part = CONTEXT_PRIVATE;
    c->stored = true;
    drop_machine(w, slot);
    worker_account(w, slot);
    send_if_full(w, job);
}

/* Under a limit nobody may fill the store's memory ahead of his turn. */
void worker_context_soon(slot_t *slot) {
    bool may = slot->context && slot->context->place == PLACE_AWAY && !slot->job->options.memory_bytes;
    if (may) numbers_add(&slot->job->contexts->soon, slot->index);
}

void worker_context_want(worker_t *w, slot_t *slot) {
    struct row_context *c = slot->context;
    if (c->place != PLACE_AWAY || c->queued) return;
    c->queued = true;
    c->tag = worker_new_turn(w, slot);
    c->sent_ns = 0;
    numbers_add(&slot->job->contexts->wanted, c->tag);
}

void worker_context_answer(worker_t *w, slot_t *slot, llm_answer_t *answer) {
    struct row_context *c = slot->context;
    c->answer = *answer;
    c->answered = true;
    slot->body_bytes = 0;
    worker_account(w, slot);
    worker_context_want(w, slot);
}

static void add_saving(worker_job_t *job, struct row_context *c, uint64_t row) {
    put_list_t *puts = &job->contexts->puts;
    buf_add(&puts->bytes, c->saved, c->saved_len);
    add_put(puts,
            &(context_item_t){.tag = c->tag, .row = row, .part = CONTEXT_SHARED, .bytes.len = c->saved_len});
}

static void save_as_failed(slot_t *slot, buf_t *bytes) {
    buf_reset(bytes);
    worker_journal_save(slot, bytes);
    row_save_failed(bytes, slot->job->pipeline->digest, slot->index,
                    "the row has become too large to be put away between the blocks of batch mode",
                    "too large");
}

/* With the questions it has asked: their answers are counted on in the next pass. */
bool worker_context_stop(worker_t *w, slot_t *slot) {
    worker_job_t *job = slot->job;
    struct row_context *c = slot->context;
    buf_t bytes;
    if (!c || !job->options.store.batch || job->options.row.stop_before == 0) return false;
    buf_init(&bytes, MESSAGE_BYTES_MAX / 2);
    row_take_usage(slot->row, &c->usage);
    worker_journal_save(slot, &bytes);
    row_save(slot->row, &bytes);
    if (bytes.full) save_as_failed(slot, &bytes);
    c->saved = buf_take(&bytes, &c->saved_len);
    c->tag = worker_new_turn(w, slot);
    c->place = PLACE_SAVING;
    c->part = CONTEXT_SHARED;
    c->sent_ns = 0;
    drop_machine(w, slot);
    worker_account(w, slot);
    if (job->contexts->puts.bytes.len + c->saved_len > MESSAGE_BYTES_MAX / 2) send_puts(w, job);
    add_saving(job, c, slot->index);
    send_if_full(w, job);
    return true;
}

bool worker_contexts_queue(const worker_job_t *job) {
    return job->contexts && job->contexts->first_wanted < job->contexts->wanted.count;
}

/* The slot of a question that is still open in this place; NULL: it is over. */
static slot_t *slot_of_question(worker_t *w, uint64_t tag, place_t place) {
    slot_t *slot = worker_slot_of_turn(w, tag);
    return slot && slot->context && slot->context->tag == tag && slot->context->place == place ? slot : NULL;
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

/* Asks for wanted contexts as far as there is room; what is asked for counts as taken. */
static void send_asks(worker_t *w, worker_job_t *job, uint64_t now) {
    struct contexts_out *out = job->contexts;
    context_item_t items[CONTEXT_BATCH_MAX];
    size_t count = 0;
    while (out->first_wanted < out->wanted.count && count < CONTEXT_BATCH_MAX) {
        slot_t *slot = slot_of_question(w, out->wanted.items[out->first_wanted], PLACE_AWAY);
        struct row_context *c = slot ? slot->context : NULL;
        uint64_t room = c ? worker_room_to_fetch(job, c->saved_bytes) : 0;
        if (c && !worker_has_room(w, job, room)) break;
        out->first_wanted++;
        if (!c) continue;
        c->saved_bytes = room;
        c->queued = false;
        c->place = PLACE_ASKED;
        c->sent_ns = now;
        w->rows_here++;
        worker_account(w, slot);
        items[count++] = (context_item_t){.tag = c->tag, .row = slot->index, .part = c->part};
    }
    tidy_wanted(out);
    if (count == 0) return;
    message_t m = {.type = MESSAGE_CTX_GET_OR_CREATE,
                   .CTX_GET_OR_CREATE = {.job = job->id, .owner = w->instance, .contexts = {items, count}}};
    link_send(job->store, 0, &m, &w->scratch);
}

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

void worker_contexts_flush(worker_t *w, uint64_t now) {
    for (worker_job_t *job = w->jobs; job; job = job->next) {
        struct contexts_out *out = job->contexts;
        if (!out) continue;
        send_puts(w, job); /* before the questions: a row may be put away and wanted in the same moment */
        send_rows(w, job, MESSAGE_CTX_PIN, &out->soon);
        send_asks(w, job, now);
        send_rows(w, job, MESSAGE_CTX_UNPIN, &out->loose);
        send_rows(w, job, MESSAGE_CTX_COMPLETE, &out->over);
    }
}

void worker_contexts_close(worker_t *w, worker_job_t *job) {
    struct contexts_out *out = job->contexts;
    if (!out) return;
    send_rows(w, job, MESSAGE_CTX_COMPLETE, &out->over); /* of the rows that were dropped a moment ago */
    free(out->puts.items);
    buf_free(&out->puts.bytes);
    numbers_free(&out->wanted);
    numbers_free(&out->soon);
    numbers_free(&out->loose);
    numbers_free(&out->over);
    free(out);
    job->contexts = NULL;
}

static void say_again(worker_t *w, slot_t *slot, uint64_t now) {
    struct row_context *c = slot->context;
    c->sent_ns = now;
    if (c->place == PLACE_SAVING) {
        add_saving(slot->job, c, slot->index);
        send_puts(w, slot->job);
        return;
    }
    context_item_t item = {.tag = c->tag, .row = slot->index, .part = c->part};
    message_t m = {.type = MESSAGE_CTX_GET_OR_CREATE,
                   .CTX_GET_OR_CREATE = {.job = slot->job->id, .owner = w->instance, .contexts = {&item, 1}}};
    link_send(slot->job->store, 0, &m, &w->scratch);
}

void worker_contexts_resend(worker_t *w, uint64_t now) {
    for (uint32_t i = 0; i < w->slot_count; i++) {
        slot_t *slot = &w->slots[i];
        struct row_context *c = slot->job ? slot->context : NULL;
        if (!c || (c->place != PLACE_ASKED && c->place != PLACE_SAVING)) continue;
        if (c->sent_ns == 0)
            c->sent_ns = now; /* just gathered: it gets its time */
        else if (now - c->sent_ns >= RESEND_NS)
            say_again(w, slot, now);
    }
}

/* ---- from the store */

/* The row as it was, or as one that has failed because its bytes are of no use. */
static row_t *revive(slot_t *slot, slice_t bytes, uint64_t now) {
    const worker_job_t *job = slot->job;
    err_t err;
    size_t journal = 0;
    row_t *row = NULL;
    if (slot->context->part == CONTEXT_PRIVATE ||
        worker_journal_load(slot, bytes.data, bytes.len, &journal, &err) == SDG_OK)
        row =
            row_load(job->pipeline, &job->options.row, bytes.data + journal, bytes.len - journal, now, &err);
    if (!row) log_warn("worker", "row %" PRIu64 ": its context cannot be read: %s", slot->index, err.text);
    return row;
}

static row_t *row_lost(const slot_t *slot, uint64_t now) {
    const worker_job_t *job = slot->job;
    buf_t bytes;
    buf_init(&bytes, ROW_ERROR_BYTES_MAX + USAGE_BYTES_MAX);
    row_save_failed(&bytes, job->pipeline->digest, slot->index,
                    "the context store has lost this row: run again with --retry-failed", "context");
    row_t *row = row_load(job->pipeline, &job->options.row, bytes.data, bytes.len, now, NULL);
    buf_free(&bytes);
    assert(row);
    return row;
}

/* Back in memory; with its answer, if it waited for one. */
static void go_on(worker_t *w, slot_t *slot, row_t *row, uint64_t now) {
    struct row_context *c = slot->context;
    llm_answer_t answer = c->answer;
    bool answered = c->answered;
    slot->row = row;
    c->place = PLACE_HERE;
    c->on_its_way = 0;
    c->answered = false;
    if (slot->job->options.memory_bytes)
        numbers_add(&slot->job->contexts->loose, slot->index); /* its copy there may go to disk */
    worker_account(w, slot);
    if (answered)
        worker_feed_llm(w, slot, &answer, now);
    else
        worker_run_row(w, slot, now);
}

/* A row that waited for an LLM starts again; one between passes has nowhere to start from. */
static void without_context(worker_t *w, slot_t *slot, uint64_t now) {
    if (slot->context->part == CONTEXT_SHARED) {
        go_on(w, slot, row_lost(slot, now), now);
        return;
    }
    log_debug("worker", "row %" PRIu64 ": its context is not in the store any more, it starts again",
              slot->index);
    worker_return_row(w, slot);
}

static void on_ctx(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CTX.contexts.count; i++) {
        const context_item_t *context = &m->CTX.contexts.items[i];
        slot_t *slot = slot_of_question(w, context->tag, PLACE_ASKED);
        if (!slot) continue;
        row_t *row = revive(slot, context->bytes, now);
        if (row)
            go_on(w, slot, row, now);
        else
            without_context(w, slot, now);
    }
}

static void on_ctx_missing(worker_t *w, const message_t *m, uint64_t now) {
    for (size_t i = 0; i < m->CTX_MISSING.tags.count; i++) {
        slot_t *slot = slot_of_question(w, m->CTX_MISSING.tags.items[i], PLACE_ASKED);
        if (slot) without_context(w, slot, now);
    }
}

/* What was put away for the time of an LLM call is with the store now. */
static void put_arrived(worker_t *w, uint64_t tag) {
    slot_t *slot = worker_slot_of_turn(w, tag);
    if (!slot || !slot->context || slot->context->put_tag != tag) return;
    slot->context->on_its_way = 0;
    worker_account(w, slot);
}

static void on_ctx_saved(worker_t *w, const message_t *m, uint64_t now) {
    (void)now;
    for (size_t i = 0; i < m->CTX_SAVED.tags.count; i++) {
        slot_t *slot = slot_of_question(w, m->CTX_SAVED.tags.items[i], PLACE_SAVING);
        if (!slot) {
            put_arrived(w, m->CTX_SAVED.tags.items[i]);
            continue;
        }
        worker_add_parked(w, slot->job, &slot->context->usage, slot->index);
        worker_park_row(w, slot);
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
