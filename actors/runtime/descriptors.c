/* descriptors.c - see descriptors.h. */
#include "actors/runtime/descriptors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "actors/runtime/limits.h"
#include "core/python/limits.h"

void descriptors_raise(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

uint64_t descriptors_allowed(void) {
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? (uint64_t)files.rlim_cur : 0;
}

/* The limit is one of the number of a descriptor, so an open one above it takes no room. */
uint64_t descriptors_free(void) {
    uint64_t allowed = descriptors_allowed(), open = 0;
    for (int fd = 0; fd < DESCRIPTORS_COUNTED_MAX && (uint64_t)fd < allowed; fd++) {
        open += fcntl(fd, F_GETFD) >= 0;
    }
    return allowed - open;
}

uint64_t descriptors_needed(const descriptors_use_t *use) {
    uint64_t need = DESCRIPTORS_BASE + (uint64_t)use->workers * DESCRIPTORS_WORKER +
                    (uint64_t)use->peers * DESCRIPTORS_PEER +
                    (uint64_t)use->python_hosts * DESCRIPTORS_PYTHON_HOST;
    if (use->started) need -= DESCRIPTORS_STARTED + use->metrics;
    if (use->run) need += DESCRIPTORS_RUN;
    if (use->scheduler) need += DESCRIPTORS_SCHEDULER;
    if (use->metrics) need += DESCRIPTORS_METRICS;
    return need;
}

/* Python hosts that are started while others wait for ctx.call_ai get up to half of what is left. */
uint32_t descriptors_requests(const descriptors_use_t *use, uint64_t left) {
    uint64_t need = descriptors_needed(use), room = left > need ? left - need : 1;
    uint64_t further = use->python_hosts ? PY_AI_HOSTS_MAX * (uint64_t)DESCRIPTORS_PYTHON_HOST : 0;
    room -= further < room / 2 ? further : room / 2;
    return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

bool descriptors_suffice(const char *who, const descriptors_use_t *use) {
    uint64_t allowed = descriptors_allowed(), left = descriptors_free(), need = descriptors_needed(use) + 1;
    if (left >= need) return true;
    fprintf(stderr,
            "sdg %s: `ulimit -n %" PRIu64 "` allows too few open files: at least %" PRIu64
            " are needed: raise it\n",
            who, allowed, allowed - left + need);
    return false;
}
