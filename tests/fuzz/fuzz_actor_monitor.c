/* Hostile clients, schedulers and stores push to one monitor: whatever they say in whatever order, it goes
 * on, and at the end it makes a page of what it was told. */
#include "actors/monitor/monitor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/torment.h"

enum { PEERS = 2 };

static const slice_t texts[] = {
    {"{\"failed\": {\"timeout\": 2, \"HTTP 400\": 3}, \"ended\": {\"ok\": 7}}", 62},
    {"stopped on request", 18},
    {"", 0},
    {"\x91\x93\x01\x02\x03", 5},
    {"\x90", 1},
    {"{\"failed\": 5}", 13},
};

static uint64_t speaker(uint8_t what) {
    static const uint64_t roles[] = {ROLE_CLIENT, ROLE_SCHEDULER, ROLE_STORE, ROLE_CLIENT};
    return roles[what / 16 % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    char endpoint[64], report[64];
    snprintf(report, sizeof report, "/dev/shm/sdg-torment-%d.html", (int)getpid());
    torment_name(endpoint, sizeof endpoint, "monitor");
    torment_t t = {.at = bytes, .len = len, .texts = texts, .text_count = sizeof texts / sizeof *texts};
    uint8_t how = torment_byte(&t);
    monitor_args_t args = {.endpoint = endpoint,
                           .mode = how & 1 ? "run" : "serve",
                           .listen_fd = -1,
                           .japanese = how & 2,
                           .memory_threshold_bytes = how & 4 ? 1 : 0,
                           .report = {.path = how & 8 ? report : NULL}};
    actor_thread_t *monitor = harness_start(monitor_actor, &args);
    puppet_t peers[PEERS];
    for (int i = 0; i < PEERS; i++)
        puppet_push(&peers[i], endpoint);
    while (t.len) {
        uint8_t what = torment_byte(&t);
        torment_say(&t, &peers[what % PEERS], speaker(what), ROLE_MONITOR);
    }
    actor_join(&monitor); /* it handles what has arrived before it ends */
    for (int i = 0; i < PEERS; i++)
        puppet_close(&peers[i]);
    unlink(report);
    return 0;
}
