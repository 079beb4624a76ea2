/* clients.c - clients that send rows, write results, die, and begin again with what is not written. Their
 * feed is the real one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"

enum { CHUNK_BYTES = 600 }; /* a full chunk has less bytes than a few large rows */

static void say_open(sim_t *s, client_t *c) {
    world_post_plain(s, true, M_JOB_OPEN, c->peer, c->job, c->opened, 0, 0);
}

void client_connect(sim_t *s, client_t *c) {
    c->peer = s->peers++;
    assert(c->peer < PEERS_MAX);
    s->client_at[c->peer] = c->number + 1;
    c->accepted = false;
    say_open(s, c);
}

/* Begins a job with the rows that are not in the file. */
static void new_job(sim_t *s, client_t *c) {
    c->job = ++s->jobs;
    c->job_rows = c->rows_received = c->bytes_received = c->ok = c->failed = 0;
    c->done = c->opened = false;
    c->next_batch = 1;
    for (uint64_t i = 0; i < c->rows_total; i++) {
        c->job_rows += !c->written[i];
    }
    world_trace(s,
                "client %zu begins job %" PRIu64 ": %" PRIu64 " rows, window %" PRIu64 "/%" PRIu64
                ", concurrency %" PRIu64,
                c->number, c->job, c->job_rows, c->window_rows, c->window_bytes, c->concurrency);
}

/* Starts, or starts again after dying: it reads its input from the beginning and skips what is in the file.
 */
void client_begin(sim_t *s, client_t *c) {
    c->alive = true;
    c->stall_until = c->todo_count = c->next = 0;
    for (uint64_t i = 0; i < c->rows_total; i++) {
        if (!c->written[i]) c->todo[c->todo_count++] = i;
    }
    feed_destroy(&c->feed);
    c->feed = feed_new(&(feed_options_t){.window_rows = c->window_rows,
                                         .window_bytes = c->window_bytes,
                                         .chunk_rows = c->chunk_rows,
                                         .chunk_bytes = CHUNK_BYTES});
    new_job(s, c);
    client_connect(s, c);
}

/* The scheduler has forgotten the job: what is open, and what was not read yet, becomes another job. */
static void submit_anew(sim_t *s, client_t *c) {
    if (s->broken != BROKEN_NUMBERS) feed_restart(c->feed);
    new_job(s, c);
    c->accepted = false;
    say_open(s, c);
}

void client_clear(client_t *c) { feed_destroy(&c->feed); }

static void say_result_credit(sim_t *s, client_t *c) {
    world_post_plain(s, true, M_RESULT_CREDIT, c->peer, c->job, c->rows_received + c->result_rows,
                     c->bytes_received + c->result_bytes, 0);
}

static void send_chunk(sim_t *s, client_t *c, const feed_chunk_t *chunk) {
    mail_t *m = mail_new(M_ROWS, c->peer, c->job, chunk->count);
    m->a = chunk->number;
    for (size_t i = 0; i < chunk->count; i++) {
        const row_in_t *row = &chunk->rows[i];
        row_in_t wanted = world_row(c->number, row->index);
        if (row->raw.len != wanted.raw.len || row->line != wanted.line ||
            memcmp(row->raw.data, wanted.raw.data, wanted.raw.len) != 0)
            world_fail(s, "row %" PRIu64 " leaves its client with other bytes", row->index);
        m->rows[i] = row->index;
    }
    world_post(s, true, m);
}

static void send_chunks(sim_t *s, client_t *c) {
    feed_chunk_t chunk;
    while (feed_next(c->feed, s->now, &chunk)) {
        send_chunk(s, c, &chunk);
        for (size_t i = 0; s->broken == BROKEN_CHUNK && i < chunk.count; i++) {
            feed_finished(c->feed, chunk.rows[i].index);
        }
    }
}

static void fill_chunk(client_t *c, uint64_t rows) {
    while (c->next < c->todo_count && feed_takes(c->feed, rows)) {
        row_in_t row = world_row(c->number, c->todo[c->next++]);
        feed_add(c->feed, &row, row.raw.len + 1);
    }
    feed_close(c->feed);
}

static void send_more(sim_t *s, client_t *c) {
    uint64_t rows, chunks;
    if (!c->accepted) return;
    send_chunks(s, c);
    while (c->next < c->todo_count && (rows = feed_room(c->feed, 0, 0)) > 0) {
        fill_chunk(c, rows);
        send_chunks(s, c);
    }
    if (c->next == c->todo_count && feed_end_due(c->feed, s->now, &chunks))
        world_post_plain(s, true, M_ROWS_END, c->peer, c->job, chunks, 0, 0);
}

static void take_ingest_credit(sim_t *s, client_t *c, const mail_t *m) {
    feed_credit(c->feed, m->b, m->c);
    feed_arrived(c->feed, s->broken == BROKEN_END ? UINT64_MAX : m->a, s->now);
    send_more(s, c);
}

static void write_row(sim_t *s, client_t *c, uint64_t index, bool failed) {
    if (c->written[index]) {
        world_fail(s, "row %" PRIu64 " comes a second time", index);
        return;
    }
    c->written[index] = 1;
    if (!feed_finished(c->feed, index) && s->broken != BROKEN_CHUNK)
        world_fail(s, "row %" PRIu64 " is finished but was not open", index);
    if (failed)
        c->failed++;
    else
        c->ok++;
}

/* A batch is written once; one that comes again is only acknowledged. */
static void take_results(sim_t *s, client_t *c, const mail_t *m) {
    if (m->a > c->next_batch) return; /* out of order: it comes again */
    for (size_t i = 0; m->a == c->next_batch && i < m->count; i++) {
        write_row(s, c, m->rows[i] / 4, m->rows[i] % 4 == ROW_STATUS_FAILED);
    }
    if (m->a == c->next_batch) {
        if (c->rows_received + m->count > c->rows_received + c->result_rows)
            world_fail(s, "more result rows than the window");
        if (m->count > 1 && m->b > c->result_bytes) world_fail(s, "more result bytes than the window");
        c->rows_received += m->count;
        c->bytes_received += m->b;
        c->next_batch++;
    } else {
        s->duplicates++;
    }
    world_post_plain(s, true, M_RESULTS_ACK, c->peer, c->job, c->next_batch - 1, 0, 0);
    say_result_credit(s, c);
    send_more(s, c);
}

/* An endpoint refused its key: that is repaired, and the same command runs again. */
static void run_again(sim_t *s, client_t *c) {
    c->revoked_ns = UINT64_MAX;
    c->finished = c->gone_unseen = c->alive = false;
    c->registered = 0;
    c->rise_ns = s->now + world_between(s, 0, 5 * SECOND);
    world_wake(s, WAKE_CLIENT, c->number, c->rise_ns + 1);
}

/* The job is over: every row must be in the file once, and the counts must agree. */
static void take_done(sim_t *s, client_t *c, const mail_t *m) {
    if (c->done) return;
    world_trace(s, "client %zu: job %" PRIu64 " is done, kind %" PRIu64, c->number, c->job, m->c);
    c->done = c->finished = true;
    s->finished_jobs++;
    if (m->c == DISPATCH_ENDED) {
        for (uint64_t i = 0; i < c->rows_total; i++) {
            if (c->written[i] != 1)
                world_fail(s, "the job of client %zu is done without row %" PRIu64, c->number, i);
        }
        if (m->a != c->ok || m->b != c->failed)
            world_fail(s, "counts of the job differ from what was written");
    }
    world_post_plain(s, true, M_CLIENT_BYE, c->peer, c->job, 0, 0, 0);
    if (m->c == DISPATCH_ENDED_FINAL && !c->stop_mode) run_again(s, c);
}

/* One mail to this client; mails of an earlier job are ignored. */
void client_message(sim_t *s, client_t *c, const mail_t *m) {
    if (m->job != c->job || c->done) return;
    switch (m->kind) {
    case M_JOB_ACCEPTED:
        c->accepted = c->opened = true;
        say_result_credit(s, c);
        send_more(s, c);
        break;
    case M_WELCOME:
        c->accepted = false;
        say_open(s, c);
        break;
    case M_REFUSED: submit_anew(s, c); break;
    case M_INGEST_CREDIT: take_ingest_credit(s, c, m); break;
    case M_RESULTS: take_results(s, c, m); break;
    case M_JOB_DONE: take_done(s, c, m); break;
    default: break;
    }
}

/* Time passes for a client: it rises from the dead, and repeats what may have been lost. */
void client_wake(sim_t *s, size_t who) {
    client_t *c = &s->clients[who];
    if (c->finished) return;
    world_wake(s, WAKE_CLIENT, who, s->now + RULE_WAIT);
    if (c->gone_unseen && s->now >= c->gone_ns) {
        scheduler_client_gone(s, c->registered);
        c->registered = 0;
        c->gone_unseen = false;
        scheduler_act(s);
    }
    if (!c->alive) {
        if (s->now >= c->rise_ns && !c->gone_unseen) client_begin(s, c);
        return;
    }
    if (c->stall_until > s->now) return;
    if (!c->accepted) say_open(s, c);
    say_result_credit(s, c);
    if (c->limit) world_post_plain(s, true, M_JOB_LIMIT, c->peer, c->job, c->limit, 0, 0);
    if (c->stop_mode) world_post_plain(s, true, M_JOB_STOP, c->peer, c->job, c->stop_mode, 0, 0);
}

void client_die(sim_t *s, client_t *c) {
    world_trace(s, "client %zu dies", c->number);
    c->alive = false;
    c->gone_unseen = true;
    c->gone_ns = s->now + world_between(s, 0, 5 * SECOND);
    c->rise_ns = s->now + world_between(s, 0, 8 * SECOND);
}
