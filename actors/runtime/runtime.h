/* runtime.h - starts the actors of one process and stops them in order; owns signals and worker processes.
 *
 * Main's thread runs no actor: it waits for signals (core/base/signals.h), for the actors' pipes and for its
 * children. The first signal asks the client (or the worker) to drain, the second to end at once. Whoever
 * does not answer within the time of the drain and STOP_PATIENCE_NS, or ABORT_PATIENCE_NS, is not waited for.
 */
#ifndef SDG_ACTORS_RUNTIME_RUNTIME_H
#define SDG_ACTORS_RUNTIME_RUNTIME_H

#include <czmq.h>
#include <stdbool.h>

#include "actors/client/client.h"
#include "actors/monitor/monitor.h"
#include "actors/runtime/descriptors.h"
#include "actors/runtime/threads.h"
#include "actors/scheduler/scheduler.h"
#include "actors/store/context_store.h"
#include "actors/worker/worker.h"
#include "core/base/row_types.h"

/* Once per process, before any thread: czmq told to leave signals alone, descriptor limit raised. False, and
 * a sentence on stderr, when the limit is too low for `use` all the same: the verb ends with EXIT_RUNTIME. */
bool runtime_init(const char *who, const descriptors_use_t *use);
/* Before the process ends: what was sent last (a BYE) gets its moment to leave. Fine without runtime_init. */
void runtime_end(void);

/* Where --metrics-listen listens, bound before anything starts: see monitor_http_listen. The descriptor, or a
 * negative code and the reason. */
int runtime_metrics_listen(const char *who, const char *address, bool insecure, err_t *err);

typedef struct local_run {
    client_args_t *client;
    bool own_scheduler;                                      /* false: submit, the scheduler is elsewhere */
    bool progress, summary, troubles, failed_line, japanese; /* see monitor_args_t */
    const char *output, *again;
    uint64_t linger_ms;
    int metrics_fd;                  /* of runtime_metrics_listen, taken over; -1: none */
    uint64_t memory_threshold_bytes; /* 0: not watched */
    report_page_t report;            /* borrowed; without path: none is wanted */
    unsigned worker_threads;         /* own_scheduler only */
    unsigned worker_processes;
    unsigned python_workers;
    row_files_t files;      /* of the workers of this run; borrowed */
    uint32_t in_flight_max; /* of worker threads: requests for which there are descriptors */
    bool verbose;
    job_options_t *options; /* of the job; told where the store is */
    journal_t *journal;     /* taken over; NULL: none */
    journal_fsync_t fsync;
    const contexts_options_t *contexts; /* NULL: none are kept */
} local_run_t;
/* Runs to the end; returns the exit code. */
int runtime_run(local_run_t *run);

/* `sdg serve`: scheduler until a signal. `sdg worker`: one worker until a signal or until it gives up. */
int runtime_serve(const char *endpoint, const char *port_file, int metrics_fd /* like above */);
int runtime_worker(const worker_args_t *args, unsigned drain_ms);
/* What a process takes that is one worker with so many Python hosts. */
descriptors_use_t runtime_worker_use(unsigned python_hosts);

#endif
