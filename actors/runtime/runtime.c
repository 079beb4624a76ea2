/* runtime.c - see runtime.h.
 *
 * Order of starting: monitor, store (if something is kept), scheduler, workers, client. Order of stopping:
 * client (its END begins the stopping), workers, scheduler, store, monitor (it shows what arrived before).
 * Each is told by $TERM and its thread joined before the next.
 */
#include "actors/runtime/runtime.h"

#include "actors/monitor/monitor_http.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/loop/actor.h"
#include "actors/runtime/children.h"
#include "core/base/clock.h"
#include "core/base/ending.h"
#include "core/base/leftovers.h"
#include "core/base/log.h"
#include "core/base/signals.h"
#include "core/python/pyscratch.h"

typedef struct runtime {
    actor_thread_t *monitor, *scheduler, *store, *client;
    bool lingers; /* the monitor has pages that are to show the end of the run */
    actor_thread_t *worker[WORKER_THREADS_MAX];
    unsigned workers;
    children_t children;
    char folder[64];    /* of the ipc sockets, 0700; "" when none */
    int folder_hold;    /* of leftovers_make */
    char ipc[96];       /* endpoint of the scheduler for children */
    char ipc_store[96]; /* endpoint of the store for children */
    int signals;        /* of signals_open */
    uint64_t leave_ns;  /* main ends the process itself then: the one who was asked to stop does not answer */
    int exit_code;
} runtime_t;

/* Client, monitor, store and its syncer; a scheduler, perhaps with a monitor; workers. */
static unsigned actors_of(const descriptors_use_t *use) {
    return (use->run ? 4 : 0) + use->scheduler + (use->metrics && !use->run) + use->workers;
}

/* Takes all descriptors it may have, and keeps czmq from its own handling of signals, which is there by
 * default as soon as its context is. */
bool runtime_init(const char *who, const descriptors_use_t *use) {
    descriptors_raise();
    threads_init();
    if (!descriptors_suffice(who, use) || !threads_suffice(who, &(threads_use_t){.actors = actors_of(use)}))
        return false;
    setenv("ZSYS_SIGHANDLER", "false", 1);
    zsys_init();
    unsetenv("ZSYS_SIGHANDLER");
    zsys_set_logstream(stderr);
    zsys_set_max_sockets(0);
    return true;
}

void runtime_end(void) { zsys_shutdown(); }

/* ---- signals */

static int open_signals(void) {
    int fd = signals_open();
    if (fd < 0) ending_short_of("no descriptor for signals", errno);
    return fd;
}

/* Milliseconds that main may wait: until it leaves, and `most_ns` at most; -1 for ever. */
static int wait_ms(const runtime_t *rt, uint64_t most_ns) {
    uint64_t now = clock_now_ns(), wait = most_ns;
    if (rt->leave_ns) {
        uint64_t left = rt->leave_ns > now ? rt->leave_ns - now : 0;
        wait = left < wait ? left : wait;
    }
    return wait == UINT64_MAX ? -1 : (int)(wait / MILLISECOND + 1);
}

/* The client or the worker waits for something that does not come: a pipe that nobody reads, a disk. What it
 * has written is there. */
static void leave_if_due(const runtime_t *rt) {
    if (rt->leave_ns && clock_now_ns() >= rt->leave_ns)
        ending_now(EXIT_STOPPED, "it cannot stop, because it waits for its output or for the disk: stopped "
                                 "at once; the same command continues");
}

/* Called for each signal that asks for the end. The first gives `drain_ms`, and a moment, the second a
 * moment, the third nothing. */
static void give_time(runtime_t *rt, unsigned number, uint64_t drain_ms) {
    uint64_t now = clock_now_ns();
    if (number == 1) rt->leave_ns = now + drain_ms * MILLISECOND + STOP_PATIENCE_NS;
    if (number == 2) rt->leave_ns = now + ABORT_PATIENCE_NS;
    if (number > 2) rt->leave_ns = now;
}

/* Takes the next words from an actor's pipe: the code of "END <code>", -1 for anything else. */
static int end_code(zsock_t *pipe) {
    int code = -1;
    char *text = actor_hear(pipe);
    if (text) sscanf(text, "END %d", &code);
    free(text);
    return code;
}

/* ---- actors */

static void start_monitor(runtime_t *rt, const local_run_t *run) {
    monitor_args_t args = {.endpoint = "inproc://monitor",
                           .progress = run->progress,
                           .terminal = isatty(STDERR_FILENO) == 1,
                           .summary = run->summary,
                           .troubles = run->troubles,
                           .failed_line = run->failed_line,
                           .output = run->output,
                           .again = run->again,
                           .linger_ms = run->linger_ms,
                           .japanese = run->japanese,
                           .mode = run->own_scheduler ? "run" : "submit",
                           .listen_fd = run->metrics_fd,
                           .memory_threshold_bytes = run->memory_threshold_bytes,
                           .report = run->report};
    rt->monitor = actor_spawn(monitor_actor, &args);
    run->client->monitor = "inproc://monitor";
}

/* Where folders of sockets are made: the address of a socket has little room. */
static const char *ipc_base(void) {
    const char *base = getenv("XDG_RUNTIME_DIR");
    return base && strlen(base) <= 32 && access(base, W_OK) == 0 ? base : "/tmp";
}

/* Removes what processes of this user that were killed have left in temporary directories. */
static void sweep_leftovers(void) {
    const char *temporary = getenv("TMPDIR"), *base = ipc_base();
    unsigned swept = leftovers_sweep("/tmp", py_scratch_remove);
    if (strcmp(base, "/tmp") != 0) swept += leftovers_sweep(base, py_scratch_remove);
    if (temporary && temporary[0] == '/' && strcmp(temporary, "/tmp") != 0)
        swept += leftovers_sweep(temporary, py_scratch_remove);
    if (swept) log_debug("run", "%u folders of processes that were killed removed", swept);
}

static bool make_ipc_folder(runtime_t *rt) {
    const char *base = ipc_base();
    snprintf(rt->folder, sizeof rt->folder, "%s/" LEFTOVERS_RUN "XXXXXX", base);
    rt->folder_hold = leftovers_make(rt->folder);
    if (rt->folder_hold < 0) { /* 0700: nobody else may connect */
        log_error("run", "cannot make a folder for sockets in %s: %s", base, strerror(errno));
        rt->folder[0] = '\0';
        return false;
    }
    snprintf(rt->ipc, sizeof rt->ipc, "ipc://%s/scheduler", rt->folder);
    snprintf(rt->ipc_store, sizeof rt->ipc_store, "ipc://%s/store", rt->folder);
    ending_remove(rt->ipc + strlen("ipc://"));
    ending_remove(rt->ipc_store + strlen("ipc://"));
    ending_remove(rt->folder);
    return true;
}

static void remove_ipc_folder(runtime_t *rt) {
    if (!rt->folder[0]) return;
    unlink(rt->ipc + strlen("ipc://"));
    unlink(rt->ipc_store + strlen("ipc://"));
    rmdir(rt->folder);
    close(rt->folder_hold);
    ending_keep(rt->ipc + strlen("ipc://"));
    ending_keep(rt->ipc_store + strlen("ipc://"));
    ending_keep(rt->folder);
}

/* Waits for the BOUND messages; false when the scheduler could not bind: then it says END instead. */
static bool scheduler_bound(actor_thread_t *scheduler, size_t endpoints, int *port) {
    for (size_t i = 0; i < endpoints; i++) {
        int got = -1;
        zmq_pollitem_t item = {.socket = zsock_resolve(scheduler->pipe), .events = ZMQ_POLLIN};
        while (zmq_poll(&item, 1, -1) < 0 && errno == EINTR) {
        }
        char *text = actor_hear(scheduler->pipe);
        bool ok = text && sscanf(text, "BOUND %d", &got) == 1;
        free(text);
        if (!ok) return false;
        if (got > 0 && port) *port = got;
    }
    return true;
}

static bool start_scheduler(runtime_t *rt, const local_run_t *run) {
    const char *endpoints[2] = {"inproc://scheduler", NULL};
    size_t count = 1;
    if (run->worker_processes) endpoints[count++] = rt->ipc;
    scheduler_args_t args = {.endpoints = endpoints,
                             .endpoint_count = count,
                             .monitor = "inproc://monitor",
                             .store = rt->store && run->contexts ? "inproc://store" : NULL,
                             .tell_parent = run->worker_processes > 0};
    rt->scheduler = actor_spawn(scheduler_actor, &args);
    run->client->endpoint = "inproc://scheduler";
    return scheduler_bound(rt->scheduler, count, NULL);
}

/* Where workers reach the store: threads of this process, its children, or the workers of an `sdg serve` on
 * this machine. */
static void store_endpoints(const runtime_t *rt, const local_run_t *run, context_store_args_t *args) {
    args->endpoints[args->endpoint_count++] = "inproc://store";
    if (run->worker_processes)
        args->endpoints[args->endpoint_count++] = rt->ipc_store;
    else if (!run->own_scheduler)
        args->endpoints[args->endpoint_count++] = "tcp://127.0.0.1:*";
}

/* Starts the store when something is kept. Workers learn from the options of their job where it is. */
static void start_store(runtime_t *rt, local_run_t *run) {
    context_store_args_t args = {.monitor = "inproc://monitor",
                                 .journal = run->journal,
                                 .fsync = run->fsync,
                                 .contexts = run->contexts};
    if (!run->journal && !run->contexts) return;
    store_endpoints(rt, run, &args);
    run->journal = NULL;
    rt->store = actor_spawn(context_store_actor, &args);
    run->client->store = "inproc://store";
    run->options->store.endpoint = args.port ? xasprintf("tcp://127.0.0.1:%d", args.port)
                                             : xstrdup(args.endpoints[args.endpoint_count - 1]);
}

/* Workers of a run: processes of their own, or threads of this one. Returns false when a process could not
 * be started. */
static bool start_workers(runtime_t *rt, const local_run_t *run) {
    if (run->worker_processes) {
        rt->children = (children_t){.count = run->worker_processes,
                                    .endpoint = rt->ipc,
                                    .python_workers = run->python_workers,
                                    .files = run->files,
                                    .verbose = run->verbose};
        return children_start(&rt->children) == 0;
    }
    for (unsigned i = 0; i < run->worker_threads; i++) {
        char name[32];
        snprintf(name, sizeof name, "thread-%u", i);
        worker_args_t args = {.endpoint = "inproc://scheduler",
                              .name = name,
                              .accept_python = true,
                              .python_hosts = run->python_workers,
                              .files = run->files,
                              .python_spawner = "/proc/self/exe",
                              .in_flight_max = run->in_flight_max};
        rt->worker[rt->workers++] = actor_spawn(worker_actor, &args);
    }
    return true;
}

/* The dashboard shows the end for a while; a signal ends that, also one that came before. */
static void linger(runtime_t *rt) {
    if (signals_taken() > 0) return;
    rt->signals = open_signals();
    actor_tell(rt->monitor->pipe, "LINGER");
    for (;;) {
        zmq_pollitem_t items[2] = {{.socket = zsock_resolve(rt->monitor->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt->signals, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) break;
        if (items[0].revents && end_code(rt->monitor->pipe) >= 0) break;
        if (items[1].revents && signals_take(rt->signals, NULL) > 0) break;
    }
    signals_close(&rt->signals);
}

/* A handler answers signals here: the one who asked for the end has been heard, and a join waits for nobody
 * but the actor. */
static void stop_all(runtime_t *rt) {
    signals_close(&rt->signals);
    actor_join(&rt->client);
    if (rt->children.count) children_stop(&rt->children);
    for (unsigned i = 0; i < rt->workers; i++) {
        actor_join(&rt->worker[i]);
    }
    actor_join(&rt->scheduler);
    actor_join(&rt->store);
    if (rt->lingers) linger(rt);
    actor_join(&rt->monitor);
    remove_ipc_folder(rt);
}

/* ---- run and submit */

static void interrupt_client(runtime_t *rt, unsigned times, uint64_t drain_ms) {
    for (unsigned number = signals_taken() - times + 1; times > 0; times--, number++) {
        if (number == 1)
            log_info("run",
                     "stopping (%s): rows in progress are finished, within %" PRIu64
                     " s (--drain-timeout; again: stop at once)",
                     signals_last(), drain_ms / 1000);
        if (number == 2) log_info("run", "stopping at once (%s), exit code %d", signals_last(), EXIT_STOPPED);
        actor_tell(rt->client->pipe, number == 1 ? "STOP" : "ABORT");
        give_time(rt, number, drain_ms);
    }
}

/* A child's death is told to the scheduler at once, so that its rows need not wait for missed beats. */
static void on_child_died(runtime_t *rt) {
    child_death_t death;
    int reaped;
    while ((reaped = children_reap(&rt->children, false, &death)) == 1) {
        actor_tell(rt->scheduler->pipe, "%s %" PRIu64, death.crashed ? "GONE" : "LEFT", death.instance);
    }
    if (reaped < 0)
        actor_tell(rt->client->pipe, "FAIL worker processes die again and again: giving up");
    else if (rt->children.count && children_alive(&rt->children) == 0)
        actor_tell(rt->client->pipe, "FAIL no worker process is left, see above: giving up");
}

/* What the scheduler has heard of worker processes. */
static void on_worker_word(runtime_t *rt, const char *words) {
    uint64_t instance;
    int why = 0;
    if (sscanf(words, "JOINED %" SCNu64, &instance) == 1)
        children_joined(&rt->children, instance);
    else if (sscanf(words, "LOST %" SCNu64 " %n", &instance, &why) == 1 && why > 0)
        children_lost(&rt->children, instance, words + why);
}

/* The next words of an actor that the run needs: the code of "END <code>", -1 for anything else. */
static int needed_word(runtime_t *rt, actor_thread_t *actor) {
    int code = -1;
    char *words = actor_hear(actor->pipe);
    if (words && sscanf(words, "END %d", &code) != 1 && actor == rt->scheduler) on_worker_word(rt, words);
    free(words);
    return code;
}

/* The actors that the run cannot do without. Each says END only when it cannot go on, and has said why. */
static size_t needed_actors(const runtime_t *rt, actor_thread_t **needed) {
    size_t count = 0;
    if (rt->store) needed[count++] = rt->store;
    if (rt->scheduler) needed[count++] = rt->scheduler;
    for (unsigned i = 0; i < rt->workers; i++) {
        needed[count++] = rt->worker[i];
    }
    return count;
}

static void wait_for_client(runtime_t *rt, uint64_t drain_ms) {
    actor_thread_t *needed[NEEDED_ACTORS_MAX];
    zmq_pollitem_t items[2 + NEEDED_ACTORS_MAX];
    size_t count = needed_actors(rt, needed);
    bool lost = false; /* one of them has ended, and the client was told */
    for (;;) {
        bool child = false;
        items[0] = (zmq_pollitem_t){.socket = zsock_resolve(rt->client->pipe), .events = ZMQ_POLLIN};
        items[1] = (zmq_pollitem_t){.fd = rt->signals, .events = ZMQ_POLLIN};
        for (size_t i = 0; i < count; i++) {
            items[2 + i] = (zmq_pollitem_t){.socket = zsock_resolve(needed[i]->pipe), .events = ZMQ_POLLIN};
        }
        uint64_t watch_ns = children_watch(&rt->children, clock_now_ns());
        if (zmq_poll(items, lost ? 2 : 2 + (int)count, wait_ms(rt, watch_ns)) < 0 && errno != EINTR) return;
        if (items[0].revents && (rt->exit_code = end_code(rt->client->pipe)) >= 0) return;
        if (items[1].revents) interrupt_client(rt, signals_take(rt->signals, &child), drain_ms);
        if (child) on_child_died(rt);
        for (size_t i = 0; i < count && !lost; i++) {
            int code = items[2 + i].revents ? needed_word(rt, needed[i]) : -1;
            lost = code >= 0 && actor_tell(rt->client->pipe, "LOST %d", code);
        }
        leave_if_due(rt);
    }
}

int runtime_metrics_listen(const char *who, const char *address, bool insecure, err_t *err) {
    return monitor_http_listen(who, address, insecure, err);
}

/* Starts what the run needs, waits for the END of the client, stops everything. When something cannot be
 * started, the client never takes over reader, writer and journal: they are closed here. */
int runtime_run(local_run_t *run) {
    runtime_t rt = {.signals = open_signals(), .exit_code = EXIT_RUNTIME};
    bool ok = true;
    rt.lingers = run->metrics_fd >= 0;
    sweep_leftovers();
    start_monitor(&rt, run);
    if (run->worker_processes) ok = make_ipc_folder(&rt);
    if (ok) start_store(&rt, run);
    if (ok && run->own_scheduler) ok = start_scheduler(&rt, run);
    if (ok && run->own_scheduler) ok = start_workers(&rt, run);
    if (ok) {
        rt.client = actor_spawn(client_actor, run->client);
        wait_for_client(&rt, run->client->drain_ms);
    } else {
        reader_close(&run->client->reader);
        writer_close(&run->client->writer);
        journal_close(&run->journal);
    }
    stop_all(&rt);
    return rt.exit_code;
}

/* ---- serve and worker */

static bool write_port_file(const char *path, int port) {
    FILE *f = fopen(path, "w");
    if (!f) {
        log_error("serve", "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    fprintf(f, "%d\n", port);
    return fclose(f) == 0;
}

/* The address as it is, with the port that was found for "tcp://HOST:*". */
static void log_listening(const char *endpoint, int port) {
    const char *colon = strrchr(endpoint, ':');
    char *address =
        port && colon ? xasprintf("%.*s:%d", (int)(colon - endpoint), endpoint, port) : xstrdup(endpoint);
    log_info(
        "serve",
        "scheduler at %s: start workers with `sdg worker --connect %s`, jobs with `sdg submit --connect %s`",
        address, address, address);
    free(address);
}

/* Waits for a signal. Nothing is drained: workers keep what runs, and clients submit what is left to the next
 * `sdg serve`. False: the scheduler has ended by itself. */
static bool serve_until_stopped(runtime_t *rt) {
    for (;;) {
        zmq_pollitem_t items[2] = {{.socket = zsock_resolve(rt->scheduler->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt->signals, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) return false;
        if (items[0].revents && end_code(rt->scheduler->pipe) >= 0) return false;
        if (items[1].revents && signals_take(rt->signals, NULL) > 0) break;
    }
    log_info("serve", "stopping (%s)", signals_last());
    return true;
}

/* The scheduler, with a monitor when metrics are served, until a signal. */
int runtime_serve(const char *endpoint, const char *port_file, int metrics_fd) {
    runtime_t rt = {.signals = open_signals()};
    int port = 0;
    scheduler_args_t args = {.endpoints = &endpoint,
                             .endpoint_count = 1,
                             .log_peers = true,
                             .tell_totals = true,
                             .monitor = metrics_fd >= 0 ? "inproc://monitor" : NULL};
    monitor_args_t shown = {.endpoint = args.monitor, .mode = "serve", .listen_fd = metrics_fd};
    if (args.monitor) rt.monitor = actor_spawn(monitor_actor, &shown);
    rt.scheduler = actor_spawn(scheduler_actor, &args);
    bool ok = scheduler_bound(rt.scheduler, 1, &port) && (!port_file || write_port_file(port_file, port));
    if (ok) {
        log_listening(endpoint, port);
        ok = serve_until_stopped(&rt);
    }
    stop_all(&rt);
    return ok ? EXIT_ALL_FINE : EXIT_RUNTIME;
}

descriptors_use_t runtime_worker_use(unsigned python_hosts) {
    return (descriptors_use_t){.workers = 1, .peers = 2, .python_hosts = python_hosts};
}

static void interrupt_worker(runtime_t *rt, actor_thread_t *worker, unsigned times, unsigned drain_ms) {
    for (unsigned number = signals_taken() - times + 1; times > 0; times--, number++) {
        if (number == 1) actor_tell(worker->pipe, "DRAIN %u", drain_ms);
        if (number == 2) {
            log_info("worker", "stopping at once (%s), exit code %d", signals_last(), EXIT_STOPPED);
            rt->exit_code = EXIT_STOPPED;
        }
        give_time(rt, number, drain_ms);
    }
}

/* One worker until it ends by itself or is interrupted: the first interrupt drains it, the second ends it
 * at once. */
int runtime_worker(const worker_args_t *args, unsigned drain_ms) {
    runtime_t rt = {.signals = open_signals(), .exit_code = -1};
    if (!args->files.own_pipeline) sweep_leftovers(); /* a child's parent has done it */
    rt.worker[rt.workers++] = actor_spawn(worker_actor, (void *)args);
    actor_thread_t *worker = rt.worker[0];
    while (rt.exit_code < 0) {
        zmq_pollitem_t items[2] = {{.socket = zsock_resolve(worker->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt.signals, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, wait_ms(&rt, UINT64_MAX)) < 0 && errno != EINTR) break;
        if (items[0].revents) rt.exit_code = end_code(worker->pipe);
        if (items[1].revents) interrupt_worker(&rt, worker, signals_take(rt.signals, NULL), drain_ms);
        leave_if_due(&rt);
    }
    stop_all(&rt);
    return rt.exit_code < 0 ? EXIT_RUNTIME : rt.exit_code;
}
