/* A hostile scheduler and a hostile store around one worker: whatever they say in whatever order, it goes on
 * answering its scheduler, or has ended because it was told to. Its LLM server refuses connections. */
#include "actors/worker/worker.h"

#include <stdio.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "core/base/clock.h"
#include "tests/fuzz/torment.h"

enum { EPOCH = 9, JOB = 5, TOKEN = 4711, WAIT_MS = 10000, TEXTS_MAX = 24 };

#define HEAD "mabel: {version: \"2.0\"}\n"
#define MODEL                                                                \
    "models: [{name: m, api_model: m, base_url: \"http://127.0.0.1:1/v1\", " \
    "request_defaults: {retry: {max_attempts: 2, backoff: {base_ms: 1}}}}]\n"

static const char *const pipelines[] = {
    HEAD "blocks:\n"
         "  - {type: logic, exec: 1, op: set, var: x, value: {add: [\"{n}\", 1]}, outputs: [{name: M}]}\n"
         "  - {type: end, exec: 2, final: [{name: m, value: \"{M}\"}]}\n",
    HEAD MODEL "blocks:\n"
               "  - {type: ai, exec: 1, model: m, prompts: [\"{n}\"], outputs: [{name: A}]}\n"
               "  - {type: ai, exec: 2, model: m, prompts: [\"{A}\"], outputs: [{name: B}]}\n"
               "  - {type: end, exec: 3, final: [{name: b, value: \"{B}\"}]}\n",
    HEAD "blocks:\n  - {type: nothing}\n",
    "\xff\xfe",
};

static const char *const rows[] = {
    "{\"n\": 1}", "{\"n\": \"a text\", \"m\": [1, 2]}", "[]", "{\"n\": ", "", "\x93\x00\x01",
};

/* All texts a scheduler or a store may say; the options name this run's store. */
static size_t make_texts(slice_t *texts, const char *store, char *options, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < sizeof pipelines / sizeof *pipelines; i++)
        texts[n++] = slice_of(pipelines[i]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        texts[n++] = slice_of(rows[i]);
    static const char *const forms[] = {
        "{\"store\": {\"endpoint\": \"%s\", \"calls\": true, \"first_row\": 0, \"end_row\": 9}}",
        ("{\"store\": {\"endpoint\": \"%s\", \"calls\": true, \"contexts\": true, \"batch\": true}, "
         "\"stop_before\": 2}"),
        "{\"store\": {\"endpoint\": \"%s\", \"calls\": true, \"late\": true}, \"memory_bytes\": 100000}",
        "{\"gc_rows\": 1}",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *at = options + i * (size / (sizeof forms / sizeof *forms));
        snprintf(at, size / (sizeof forms / sizeof *forms), forms[i], store);
        texts[n++] = slice_of(at);
    }
    return n;
}

static bool has_ended(actor_thread_t *worker) {
    char *word = zstr_recv_nowait(worker->pipe);
    bool ended = word && strncmp(word, "END ", 4) == 0;
    zstr_free(&word);
    return ended;
}

/* The worker answers, or has said how it ended. What it cannot be told now, because its queue is full, it is
 * told later. */
static void check_alive(torment_t *t, puppet_t *scheduler, actor_thread_t *worker) {
    message_t welcome = {.type = MESSAGE_WELCOME, .epoch = EPOCH, .WELCOME = {.known = 1}};
    message_t sync = {.type = MESSAGE_SYNC, .epoch = EPOCH, .SYNC = {.token = TOKEN}};
    uint64_t deadline = clock_now_ns() + (uint64_t)WAIT_MS * MILLISECOND;
    while (clock_now_ns() < deadline) {
        link_frame_t in;
        torment_hear(t, scheduler);
        if (link_send(scheduler->socket, scheduler->peer, &welcome, &scheduler->scratch) &&
            link_send(scheduler->socket, scheduler->peer, &sync, &scheduler->scratch) &&
            puppet_await_for(scheduler, MESSAGE_SYNCED, &in, 50)) {
            link_frame_free(&in);
            return;
        }
        if (has_ended(worker)) return;
    }
    torment_found("the worker neither answers nor ends");
}

static void step(torment_t *t, puppet_t *scheduler, puppet_t *store, actor_thread_t *worker) {
    uint8_t what = torment_byte(t);
    if (what == 255) {
        zsock_set_sndtimeo(worker->pipe, 0);
        zstr_send(worker->pipe, "DRAIN 0");
    } else if (what >= 240) {
        torment_hear(t, scheduler);
        torment_hear(t, store);
    } else if (what >= 170 && store->peer) {
        torment_say(t, store, ROLE_STORE, ROLE_WORKER);
    } else {
        torment_say(t, scheduler, what % 16 == 15 ? ROLE_ANYBODY : ROLE_SCHEDULER, ROLE_WORKER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    char endpoint[64], store_name[64], options[1024];
    slice_t texts[TEXTS_MAX];
    torment_name(endpoint, sizeof endpoint, "for-worker");
    torment_name(store_name, sizeof store_name, "store-for-worker");
    torment_t t = {.at = bytes, .len = len, .texts = texts, .heard = {JOB}, .heard_count = 1};
    t.text_count = make_texts(texts, store_name, options, sizeof options);
    puppet_t scheduler, store;
    puppet_bind(&scheduler, ZMQ_ROUTER, endpoint);
    puppet_bind(&store, ZMQ_ROUTER, store_name);
    scheduler.epoch = EPOCH;
    worker_args_t args = {.endpoint = endpoint, .name = "a worker", .instance = 77, .python_hosts = 1};
    actor_thread_t *worker = harness_start(worker_actor, &args);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    puppet_say(&scheduler, (message_t){.type = MESSAGE_WELCOME, .WELCOME = {.known = 1}});
    /* What a job needs before rows of it run, so that a short script gets somewhere. */
    uint8_t start = torment_byte(&t);
    puppet_say(&scheduler, (message_t){.type = MESSAGE_PERMITS, .PERMITS = {.job = JOB, .units = 3}});
    puppet_say(&scheduler, (message_t){.type = MESSAGE_JOB_SPEC,
                                       .JOB_SPEC = {.job = JOB,
                                                    .path = slice_of("p.yaml"),
                                                    .folder = slice_of("/"),
                                                    .bundle = slice_of(pipelines[start & 1]),
                                                    .options = texts[t.text_count - 4 + (start >> 1) % 4]}});
    while (t.len)
        step(&t, &scheduler, &store, worker);
    check_alive(&t, &scheduler, worker);
    actor_join(&worker);
    puppet_close(&scheduler);
    puppet_close(&store);
    return 0;
}
