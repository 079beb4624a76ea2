/* Hostile clients, workers and schedulers around one context store with a journal and contexts that go to
 * disk: whatever they say in whatever order, it goes on answering. */
#include "actors/store/context_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/torment.h"

enum { PEERS = 3, CACHED_MAX = 2, BYTES_MAX = 4096 };

static const slice_t texts[] = {
    {"", 0},
    {"an answer", 9},
    {"the bytes of a context, longer than the others so that a few fill the memory there is for them", 95},
    {"\x93\x00\x01\x02", 4},
};

static uint64_t speaker(uint8_t what) {
    static const uint64_t roles[] = {ROLE_WORKER, ROLE_WORKER, ROLE_CLIENT, ROLE_SCHEDULER};
    return roles[what / 16 % 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    char endpoint[64], folder[] = "/dev/shm/sdg-torment-XXXXXX", path[64], spill[64];
    err_t err = {0};
    if (!mkdtemp(folder)) torment_found("no folder for the journal");
    snprintf(path, sizeof path, "%s/o.journal", folder);
    snprintf(spill, sizeof spill, "%s/contexts", folder);
    torment_name(endpoint, sizeof endpoint, "store");
    contexts_options_t contexts = {.max_cached = CACHED_MAX, .max_bytes = BYTES_MAX, .spill_path = spill};
    context_store_args_t args = {.endpoints = {endpoint}, .endpoint_count = 1, .contexts = &contexts};
    args.journal = journal_open(path, JOURNAL_MAKE, NULL, NULL, NULL, &err);
    args.fsync = JOURNAL_FSYNC_NEVER;
    if (!args.journal) torment_found(err.text);
    torment_t t = {.at = bytes, .len = len, .texts = texts, .text_count = sizeof texts / sizeof *texts};
    puppet_t peers[PEERS] = {0};
    actor_thread_t *store = harness_start(context_store_actor, &args);
    for (int i = 0; i < PEERS; i++)
        puppet_connect(&peers[i], endpoint);
    puppet_say(&peers[0], (message_t){.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = 1}});
    while (t.len) {
        uint8_t what = torment_byte(&t);
        puppet_t *p = &peers[what % PEERS];
        if (what >= 250) {
            torment_reconnect(&t, p, endpoint);
        } else if (what >= 220) {
            torment_hear(&t, p);
        } else {
            torment_say(&t, p, speaker(what), ROLE_STORE);
        }
    }
    torment_sync(&t, &peers[0]);
    for (int i = 0; i < PEERS; i++)
        puppet_close(&peers[i]);
    actor_join(&store);
    unlink(path);
    rmdir(folder);
    return 0;
}
