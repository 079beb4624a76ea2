/* doctor_machine.c - checks of the machine: descriptors and memory for what the options ask for. Estimates
 * are called estimates. */
#include "actors/doctor/doctor_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "actors/doctor/limits.h"
#include "core/base/words.h"
#include "core/plan/limits.h"
#include "core/python/limits.h"

/* ---- descriptors */

/* A run raises the soft limit by itself, so only the hard limit counts. */
void doctor_check_descriptors(doctor_t *d) {
    struct rlimit files;
    uint64_t calls = doctor_concurrency(d), need = calls + DOCTOR_DESCRIPTORS_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    if (files.rlim_max >= need) {
        doctor_say(d, DOCTOR_OK, "descriptors",
                   "%" PRIu64 " allowed, about %" PRIu64 " needed for %" PRIu64 " requests at once",
                   (uint64_t)files.rlim_max, need, calls);
        return;
    }
    doctor_say(d, DOCTOR_FAIL, "descriptors",
               "%" PRIu64 " allowed, about %" PRIu64 " needed for %" PRIu64 " requests at once",
               (uint64_t)files.rlim_max, need, calls);
    doctor_advise(
        d, "raise the limit (ulimit -Hn, LimitNOFILE= in systemd), or lower --max-concurrent to %" PRIu64,
        (uint64_t)files.rlim_max > DOCTOR_DESCRIPTORS_SPARE
            ? (uint64_t)files.rlim_max - DOCTOR_DESCRIPTORS_SPARE
            : 1);
}

/* ---- memory */

/* A number after `key` in a file of /proc or /sys; UINT64_MAX when there is none ("max"). */
static uint64_t number_in(const char *path, const char *key) {
    char line[256];
    unsigned long long n;
    uint64_t found = UINT64_MAX;
    FILE *f = fopen(path, "re");
    if (!f) return found;
    while (found == UINT64_MAX && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%llu", &n) == 1) found = n;
    }
    fclose(f);
    return found;
}

/* What the machine has left, or what the control group of this process may still take, if that is less. */
static uint64_t memory_available(void) {
    uint64_t kib = number_in("/proc/meminfo", "MemAvailable:"),
             limit = number_in("/sys/fs/cgroup/memory.max", "");
    uint64_t used = number_in("/sys/fs/cgroup/memory.current", ""),
             machine = kib == UINT64_MAX ? kib : kib << 10;
    if (limit == UINT64_MAX || used == UINT64_MAX) return machine;
    uint64_t left = limit > used ? limit - used : 0;
    return left < machine ? left : machine;
}

/* Memory that the run needs: the program itself, rows read ahead and results on their way (each at most
 * PENDING_BYTES_DEFAULT), calls in flight, Python processes. */
static uint64_t estimate(const doctor_t *d) {
    const run_options_t *o = d->options;
    const pipeline_t *p = doctor_structure(d);
    uint64_t running = doctor_concurrency(d),
             processes = o->processes < DOCTOR_CONCURRENCY_MAX ? o->processes : DOCTOR_CONCURRENCY_MAX;
    uint64_t pending = o->max_pending ? o->max_pending : 4 * running, row = survey_average_bytes(&d->survey);
    if (pending < PENDING_ROWS_DEFAULT && o->max_pending == 0) pending = PENDING_ROWS_DEFAULT;
    uint64_t each = row + doctor_result_bytes(d), most = 2 * PENDING_BYTES_DEFAULT,
             ahead = each && pending > most / each ? most : pending * each;
    uint64_t calls = running * (DOCTOR_CALL_BYTES + 4 * row);
    uint64_t hosts = o->python_workers < PY_HOSTS_MAX ? o->python_workers : PY_HOSTS_MAX;
    uint64_t python =
        p && p->python_block_count ? hosts * (processes ? processes : 1) * DOCTOR_PYTHON_BYTES : 0;
    return (1 + processes) * DOCTOR_PROGRAM_BYTES + ahead + calls + python;
}

/* A warning from half of the available memory on, because the need is an estimate. */
void doctor_check_memory(doctor_t *d) {
    uint64_t need = estimate(d), have = memory_available();
    buf_t need_text, have_text;
    if (have == UINT64_MAX) return;
    buf_init(&need_text, 64);
    buf_init(&have_text, 64);
    words_bytes(&need_text, need);
    words_bytes(&have_text, have);
    doctor_level_t level = need > have ? DOCTOR_FAIL : need > have / 2 ? DOCTOR_WARN : DOCTOR_OK;
    doctor_say(d, level, "memory", "%s available, about %s needed", have_text.data, need_text.data);
    if (level != DOCTOR_OK)
        doctor_advise(d, "lower --max-concurrent, --max-pending-tasks or --python-workers");
    buf_free(&need_text);
    buf_free(&have_text);
}
