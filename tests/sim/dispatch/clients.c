/* clients.c - clients that send rows, write results, die, and begin again with what is not written. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/dispatch/actors.h"
#include "tests/sim/dispatch/judge.h"

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

/* Starts, or starts again after dying: a new job of the rows that are not in the file. */
void client_begin(sim_t *s, client_t *c) {
    c->job = ++s->jobs;
    c->incarnation++;
    c->alive = true;
    c->todo_count = c->chunks = c->rows_sent = c->bytes_sent = c->rows_limit = c->bytes_limit =
        c->rows_received = c->bytes_received = 0;
    c->ok = c->failed = c->stall_until = 0;
    c->end_sent = c->done = c->opened = false;
    c->next_batch = 1;
    for (uint64_t i = 0; i < c->rows_total; i++) {
        if (!c->written[i]) c->todo[c->todo_count++] = i;
    }
    world_trace(s,
                "client %zu begins job %" PRIu64 ": %" PRIu64 " rows, window %" PRIu64 "/%" PRIu64
                ", concurrency %" PRIu64,
                c->number, c->job, c->todo_count, c->window_rows, c->window_bytes, c->concurrency);
    client_connect(s, c);
}

static void say_result_credit(sim_t *s, client_t *c) {
    world_post_plain(s, true, M_RESULT_CREDIT, c->peer, c->job, c->rows_received + c->result_rows,
                     c->bytes_received + c->result_bytes, 0);
}

static void send_chunk(sim_t *s, client_t *c, uint64_t k) {
    uint64_t start = c->chunk_start[k], count = c->chunk_start[k + 1] - start;
    mail_t *m = mail_new(M_ROWS, c->peer, c->job, count);
    m->a = k;
    memcpy(m->rows, &c->todo[start], count * sizeof *m->rows);
    c->chunk_sent_ns[k] = s->now;
    world_post(s, true, m);
}

static void send_end(sim_t *s, client_t *c) {
    c->end_sent = true;
    c->end_sent_ns = s->now;
    world_post_plain(s, true, M_ROWS_END, c->peer, c->job, c->chunks, c->rows_sent, 0);
}

/* New chunks as far as credit goes: the last row may pass the byte limit. */
static void send_more(sim_t *s, client_t *c) {
    while (c->accepted && c->rows_sent < c->todo_count && c->rows_sent < c->rows_limit &&
           c->bytes_sent < c->bytes_limit) {
        uint64_t start = c->rows_sent;
        while (c->rows_sent < c->todo_count && c->rows_sent < c->rows_limit &&
               c->rows_sent - start < c->chunk_rows &&
               (c->rows_sent == start || c->bytes_sent < c->bytes_limit)) {
            c->bytes_sent += world_row(c->number, c->todo[c->rows_sent++]).len;
        }
        c->chunk_start[c->chunks] = start;
        c->chunk_start[c->chunks + 1] = c->rows_sent;
        send_chunk(s, c, c->chunks++);
    }
    if (c->accepted && c->rows_sent == c->todo_count && !c->end_sent) send_end(s, c);
}

static void take_ingest_credit(sim_t *s, client_t *c, const mail_t *m) {
    if (m->b > c->rows_limit) c->rows_limit = m->b;
    if (m->c > c->bytes_limit) c->bytes_limit = m->c;
    for (uint64_t k = m->a; k < c->chunks; k++) {
        if (s->now - c->chunk_sent_ns[k] > SECOND) send_chunk(s, c, k);
    }
    if (c->end_sent && s->now - c->end_sent_ns > SECOND) send_end(s, c);
    send_more(s, c);
}

static void write_row(sim_t *s, client_t *c, uint64_t index, bool failed) {
    if (c->written[index]) {
        world_fail(s, "row %" PRIu64 " comes a second time", index);
        return;
    }
    c->written[index] = 1;
    if (failed)
        c->failed++;
    else
        c->ok++;
}

static void take_results(sim_t *s, client_t *c, const mail_t *m) {
    if (m->a > c->next_batch) return; /* comes again */
    for (size_t i = 0; m->a == c->next_batch && i < m->count; i++) {
        write_row(s, c, m->rows[i] / 4, m->rows[i] % 4 == DISPATCH_FAILED);
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
}

static void take_done(sim_t *s, client_t *c, const mail_t *m) {
    if (c->done) return;
    world_trace(s, "client %zu: job %" PRIu64 " is done", c->number, c->job);
    c->done = c->finished = true;
    s->finished_jobs++;
    if (m->c == 0) {
        for (uint64_t i = 0; i < c->rows_total; i++) {
            if (c->written[i] != 1)
                world_fail(s, "the job of client %zu is done without row %" PRIu64, c->number, i);
        }
        if (m->a != c->ok || m->b != c->failed)
            world_fail(s, "counts of the job differ from what was written");
    }
    world_post_plain(s, true, M_CLIENT_BYE, c->peer, c->job, 0, 0, 0);
}

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
    case M_REFUSED: client_begin(s, c); break;
    case M_INGEST_CREDIT: take_ingest_credit(s, c, m); break;
    case M_RESULTS: take_results(s, c, m); break;
    case M_JOB_DONE: take_done(s, c, m); break;
    default: break;
    }
}

void client_wake(sim_t *s, size_t who) {
    client_t *c = &s->clients[who];
    if (c->finished) return;
    world_wake(s, WAKE_CLIENT, who, s->now + RULE_WAIT);
    if (c->gone_unseen && s->now >= c->gone_ns) {
        scheduler_client_gone(s, c->registered);
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
