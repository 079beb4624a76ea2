/* Hostile clients and workers around one scheduler: whatever they say in whatever order, it goes on
 * answering, and it sends a client no row that this client has not given. */
#include "actors/scheduler/scheduler.h"

#include <string.h>

#include "tests/fuzz/torment.h"

enum { PEERS = 4, NEWCOMER = 4711 };

static const slice_t texts[] = {
    {"mabel: {version: \"2.0\"}\n", 24},
    {"{}", 2},
    {"{\"n\": 1}", 8},
    {"{\"n\": 1, \"_row_index\": 0}", 25},
    {"", 0},
    {"a name", 6},
    {"\x93\x00\x01\x02", 4},
    {"{\"store\": {\"endpoint\": \"inproc://x\"}}", 37},
};

/* The scheduler is alive: a newcomer is welcome, and its SYNC is answered. */
static void check_alive(const char *endpoint) {
    puppet_t newcomer;
    puppet_join(&newcomer, endpoint, ROLE_CLIENT, NEWCOMER);
    puppet_sync(&newcomer, MESSAGE_NONE);
    puppet_close(&newcomer);
}

static void step(torment_t *t, const char *endpoint, puppet_t *peers, actor_thread_t *scheduler) {
    uint8_t what = torment_byte(t);
    puppet_t *p = &peers[what % PEERS];
    if (what >= 250) {
        torment_reconnect(t, p, endpoint);
    } else if (what >= 246) {
        harness_command(scheduler, what == 246   ? "GONE 1"
                                   : what == 247 ? "GONE"
                                                 : "GONE 18446744073709551615");
    } else if (what >= 220) {
        torment_hear(t, p);
    } else {
        torment_say(t, p, what & 64 ? ROLE_CLIENT : what & 128 ? ROLE_ANYBODY : ROLE_WORKER, ROLE_SCHEDULER);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    char endpoint[64];
    torment_name(endpoint, sizeof endpoint, "scheduler");
    const char *endpoints[] = {endpoint};
    scheduler_args_t args = {.endpoints = endpoints, .endpoint_count = 1, .log_peers = true};
    torment_t t = {.at = bytes, .len = len, .texts = texts, .text_count = sizeof texts / sizeof *texts};
    puppet_t peers[PEERS] = {0};
    actor_thread_t *scheduler = harness_start(scheduler_actor, &args);
    harness_hear_word(scheduler, "BOUND");
    for (int i = 0; i < PEERS; i++) {
        /* The first client and worker are known from the start, so that a short script gets somewhere. */
        if (i < 2)
            puppet_join(&peers[i], endpoint, i == 0 ? ROLE_CLIENT : ROLE_WORKER, (uint64_t)i + 1);
        else
            puppet_connect(&peers[i], endpoint);
    }
    while (t.len)
        step(&t, endpoint, peers, scheduler);
    check_alive(endpoint);
    for (int i = 0; i < PEERS; i++)
        puppet_close(&peers[i]);
    actor_join(&scheduler);
    return 0;
}
