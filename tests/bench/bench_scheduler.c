/* bench_scheduler.c - rows per second through the real scheduler actor: a client and two workers in this
 * process speak the real messages to it over inproc sockets. The client sends chunks of 100 rows as its
 * credit allows and acknowledges results; the workers answer rows at once with their own bytes. So what is
 * measured is the scheduler, the codec and the links, with nothing behind them. Usage: bench_scheduler [rows]
 * [row bytes] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "actors/loop/limits.h"
#include "actors/scheduler/scheduler.h"
#include "actors/worker/limits.h"
#include "core/base/clock.h"
#include "core/plan/limits.h"
#include "core/sched/limits.h"
#include "tests/harness/actor_harness.h"

enum { CHUNK = 100, JOB = 1, WORKERS = 2, WINDOW = 4000, CONCURRENCY = 1000 };
#define ENDPOINT "inproc://scheduler"

/* Says HELLO; WELCOME comes while it serves. */
static void join(puppet_t *p, uint64_t role, uint64_t instance) {
    puppet_connect(p, ENDPOINT);
    puppet_say(p, (message_t){.type = MESSAGE_HELLO,
                              .HELLO = {.role = role, .instance = instance, .name = slice_of("bench")}});
}

/* Waits for messages (but not for ever: beats are due), handles what has come, at most a drain of them. */
static void serve(puppet_t *p, void (*handle)(void *self, const message_t *m), void *self) {
    link_frame_t in;
    for (int i = 0; i < LINK_DRAIN_MAX && puppet_hear_for(p, &in, i == 0 ? 200 : 0); i++) {
        if (in.message.type == MESSAGE_WELCOME) p->epoch = in.message.epoch;
        handle(self, &in.message);
        link_frame_free(&in);
    }
}

/* ---- worker */

typedef struct worker {
    puppet_t end;
    uint64_t batch, next_lease, leases, beat_ns;
    row_done_t done[LEASE_ROWS_MAX];
} worker_t;

static void say_credit(worker_t *w) {
    message_t m = {.type = MESSAGE_ROW_CREDIT,
                   .ROW_CREDIT = {.rows = WORKER_ROWS_MAX, .bytes = WORKER_BYTES_MAX}};
    puppet_say(&w->end, m);
}

static void answer_lease(worker_t *w, const MSG_LEASE *lease) {
    w->next_lease = lease->lease + 1;
    w->leases++;
    for (size_t i = 0; i < lease->rows.count; i++) {
        const row_in_t *row = &lease->rows.items[i];
        w->done[i] = (row_done_t){.index = row->index, .json = row->raw, .meta = slice_of("meta")};
    }
    message_t m = {
        .type = MESSAGE_ROW_RESULTS,
        .ROW_RESULTS = {.batch = ++w->batch, .job = lease->job, .rows = {w->done, lease->rows.count}}};
    puppet_say(&w->end, m);
}

static void worker_takes(void *self, const message_t *m) {
    worker_t *w = self;
    message_t held = {.type = MESSAGE_PERMITS_HELD,
                      .PERMITS_HELD = {.job = m->PERMITS.job, .permit = m->PERMITS.units}};
    if (m->type == MESSAGE_WELCOME) say_credit(w);
    if (m->type == MESSAGE_PERMITS) puppet_say(&w->end, held);
    if (m->type == MESSAGE_LEASE && m->LEASE.rows.count > 0) answer_lease(w, &m->LEASE);
}

static void beat(worker_t *w, uint64_t now) {
    message_t m = {.type = MESSAGE_BEAT, .BEAT = {.leases = w->next_lease}};
    if (now - w->beat_ns < BEAT_NS) return;
    w->beat_ns = now;
    puppet_say(&w->end, m);
    say_credit(w);
}

/* zactor function: args is its number. */
static void worker_thread(zsock_t *pipe, void *args) {
    worker_t *w = xcalloc(1, sizeof *w);
    join(&w->end, ROLE_WORKER, (uint64_t)(uintptr_t)args);
    zsock_signal(pipe, 0);
    char *command;
    while (!(command = zstr_recv_nowait(pipe))) {
        serve(&w->end, worker_takes, w);
        beat(w, clock_now_ns());
    }
    zstr_free(&command);
    puppet_close(&w->end);
    free(w);
}

/* ---- client */

typedef struct client {
    puppet_t end;
    uint64_t rows, row_bytes, sent, chunk, limit, delivered;
    char *raw;
    row_in_t in[CHUNK];
    bool done;
} client_t;

static void open_job(client_t *c) {
    message_t m = {.type = MESSAGE_JOB_OPEN,
                   .JOB_OPEN = {.job = JOB,
                                .window_rows = WINDOW,
                                .window_bytes = PENDING_BYTES_DEFAULT,
                                .concurrency = CONCURRENCY}};
    message_t credit = {
        .type = MESSAGE_RESULT_CREDIT,
        .RESULT_CREDIT = {.job = JOB, .rows_limit = UINT64_MAX / 2, .bytes_limit = UINT64_MAX / 2}};
    puppet_say(&c->end, m);
    puppet_say(&c->end, credit);
}

static void send_chunks(client_t *c) {
    message_t m = {.type = MESSAGE_ROWS, .ROWS = {.job = JOB, .rows = {c->in, CHUNK}}};
    while (c->sent < c->rows && c->sent + CHUNK <= c->limit) {
        for (int i = 0; i < CHUNK; i++, c->sent++) {
            c->in[i] = (row_in_t){.index = c->sent, .line = c->sent + 1, .raw = {c->raw, c->row_bytes}};
        }
        m.ROWS.chunk = c->chunk++;
        puppet_say(&c->end, m);
    }
    message_t end = {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = JOB, .chunks = c->chunk}};
    if (c->sent >= c->rows) puppet_say(&c->end, end);
}

static void client_takes(void *self, const message_t *m) {
    client_t *c = self;
    message_t ack = {.type = MESSAGE_RESULTS_ACK, .RESULTS_ACK = {.job = JOB, .batch = m->RESULTS.batch}};
    if (m->type == MESSAGE_WELCOME) open_job(c);
    if (m->type == MESSAGE_JOB_DONE) c->done = true;
    if (m->type == MESSAGE_INGEST_CREDIT) {
        c->limit = m->INGEST_CREDIT.rows_limit;
        send_chunks(c);
    }
    if (m->type == MESSAGE_RESULTS) {
        c->delivered += m->RESULTS.rows.count;
        puppet_say(&c->end, ack);
    }
}

/* ---- the run */

static actor_thread_t *start_scheduler(void) {
    static const char *const endpoints[] = {ENDPOINT};
    static const scheduler_args_t args = {.endpoints = endpoints, .endpoint_count = 1};
    actor_thread_t *scheduler = harness_start(scheduler_actor, (void *)&args);
    harness_hear_word(scheduler, "BOUND");
    return scheduler;
}

static double cpu_s(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    client_t c = {.rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000,
                  .row_bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 200};
    actor_thread_t *workers[WORKERS];
    c.rows -= c.rows % CHUNK;
    c.raw = xcalloc(1, c.row_bytes + 1);
    actor_thread_t *scheduler = start_scheduler();
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = actor_spawn(worker_thread, (void *)(uintptr_t)(i + 1));
    }
    uint64_t start = clock_now_ns();
    double cpu = cpu_s();
    for (join(&c.end, ROLE_CLIENT, 77); !c.done;) {
        serve(&c.end, client_takes, &c);
    }
    double seconds = (double)(clock_now_ns() - start) / (double)SECOND;
    printf("%" PRIu64
           " rows delivered in %.2f s: %.0f rows/s, %.2f us of CPU per row (client, scheduler and workers)\n",
           c.delivered, seconds, (double)c.delivered / seconds, (cpu_s() - cpu) / (double)c.delivered * 1e6);
    for (size_t i = 0; i < WORKERS; i++) {
        actor_join(&workers[i]);
    }
    puppet_close(&c.end);
    actor_join(&scheduler);
    zsys_shutdown();
    free(c.raw);
    return c.delivered == c.rows ? 0 : 1;
}
