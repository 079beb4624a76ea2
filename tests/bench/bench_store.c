/* bench_store.c - get+put round trips per second of the context store actor, over inproc, pipelined.
 *
 *   bench_store [ROUND_TRIPS] [BYTES] [BATCH] [WINDOW]     (2000000 1024 64 16)
 *
 * One asker keeps WINDOW messages of BATCH contexts under way: each CTX that comes back is put again
 * (CTX_PUT) and asked for again (CTX_GET_OR_CREATE). All contexts fit into memory; what is measured is
 * messages, copies and the LRU, not the disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "actors/store/context_store.h"
#include "core/base/clock.h"
#include "tests/harness/actor_harness.h"

enum { JOB = 1, OWNER = 7, BATCH_MAX = CONTEXT_BATCH_MAX };

typedef struct bench {
    puppet_t asker;
    uint64_t wanted, made;
    size_t bytes, batch, window;
    char *context;
} bench_t;

static void ask(bench_t *b, uint64_t first, bool create) {
    context_item_t items[BATCH_MAX];
    for (size_t i = 0; i < b->batch; i++) {
        items[i] = (context_item_t){.tag = i + 1,
                                    .row = first + i,
                                    .part = CONTEXT_PRIVATE,
                                    .bytes = {b->context, create ? b->bytes : 0}};
    }
    message_t m = {.type = MESSAGE_CTX_GET_OR_CREATE,
                   .CTX_GET_OR_CREATE = {.job = JOB, .owner = OWNER, .contexts = {items, b->batch}}};
    puppet_say(&b->asker, m);
}

/* Puts each context that came back away as it is, then asks for it again. */
static void turn(bench_t *b, const MSG_CTX *came) {
    message_t m = {.type = MESSAGE_CTX_PUT,
                   .CTX_PUT = {.job = JOB, .owner = OWNER, .contexts = came->contexts}};
    for (size_t i = 0; i < came->contexts.count; i++) {
        came->contexts.items[i].tag = 0;
    }
    puppet_say(&b->asker, m);
    b->made += came->contexts.count;
    if (b->made < b->wanted) ask(b, came->contexts.items[0].row, false);
}

static uint64_t number(int argc, char **argv, int at, uint64_t otherwise) {
    return argc > at ? strtoull(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    bench_t b = {.wanted = number(argc, argv, 1, 2000000),
                 .bytes = number(argc, argv, 2, 1024),
                 .batch = number(argc, argv, 3, 64),
                 .window = number(argc, argv, 4, 16)};
    contexts_options_t contexts = {.max_cached = 100000, .spill_path = "/tmp/sdg-bench-store"};
    context_store_args_t args = {.endpoints = {"inproc://store"}, .endpoint_count = 1, .contexts = &contexts};
    if (b.batch == 0 || b.batch > BATCH_MAX || b.window == 0) return 2;
    actor_thread_t *store = harness_start(context_store_actor, &args);
    puppet_connect(&b.asker, "inproc://store");
    b.context = xcalloc(1, b.bytes + 1);
    uint64_t start = clock_now_ns();
    for (size_t i = 0; i < b.window; i++) {
        ask(&b, i * b.batch, true);
    }
    while (b.made < b.wanted) {
        link_frame_t in;
        puppet_await(&b.asker, MESSAGE_CTX, &in);
        turn(&b, &in.message.CTX);
        link_frame_free(&in);
    }
    double seconds = (double)(clock_now_ns() - start) / 1e9;
    printf("%" PRIu64 " get+put round trips of %zu B in %.2f s: %.0f per second\n", b.made, b.bytes, seconds,
           (double)b.made / seconds);
    puppet_close(&b.asker);
    actor_join(&store);
    free(b.context);
    zsys_shutdown();
    return 0;
}
