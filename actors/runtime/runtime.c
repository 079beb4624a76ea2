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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/loop/actor.h"
#include "actors/runtime/children.h"
#include "core/base/log.h"

typedef struct runtime {
    actor_thread_t *monitor, *scheduler, *store, *client;
    bool store_ended; /* the store has said END */
    bool lingers;     /* the monitor has pages that are to show the end of the run */
    actor_thread_t *worker[WORKER_THREADS_MAX];
    unsigned workers;
    children_t children;
    char folder[64];     /* of the ipc sockets, 0700; "" when none */
    char ipc[96];        /* endpoint of the scheduler for children */
    char ipc_store[96];  /* endpoint of the store for children */
    int signals;         /* signalfd */
    unsigned interrupts; /* SIGINT and SIGTERM so far */
    int exit_code;
} runtime_t;

static sigset_t watched_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    return set;
}

/* Blocks the signals that main reads, takes all descriptors it may have, and keeps czmq from its own
 * handling of signals. */
bool runtime_init(const char *who, const descriptors_use_t *use) {
    sigset_t set = watched_signals();
    descriptors_raise();
    if (!descriptors_suffice(who, use)) return false;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    zsys_handler_set(NULL);
    zsys_init();
    zsys_set_logstream(stderr);
    zsys_set_max_sockets(0);
    return true;
}

void runtime_end(void) { zsys_shutdown(); }

/* ---- signals */

static int open_signals(void) {
    sigset_t set = watched_signals();
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* Reads the signals that came. Returns how many of them were interrupts; *child: a child may have died. */
static unsigned take_signals(int fd, bool *child) {
    struct signalfd_siginfo info;
    unsigned interrupts = 0;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            *child = true;
        else
            interrupts++;
    }
    return interrupts;
}

/* Reads one string from an actor's pipe: the code of "END <code>", -1 for anything else. */
static int end_code(void *pipe) {
    int code = -1;
    char *text = zstr_recv(pipe);
    if (text) sscanf(text, "END %d", &code);
    zstr_free(&text);
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

static bool make_ipc_folder(runtime_t *rt) {
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || strlen(base) > 32 || access(base, W_OK) != 0) base = "/tmp";
    snprintf(rt->folder, sizeof rt->folder, "%s/sdg-XXXXXX", base);
    if (!mkdtemp(rt->folder)) { /* 0700: nobody else may connect */
        log_error("run", "cannot make a folder for sockets in %s: %s", base, strerror(errno));
        rt->folder[0] = '\0';
        return false;
    }
    snprintf(rt->ipc, sizeof rt->ipc, "ipc://%s/scheduler", rt->folder);
    snprintf(rt->ipc_store, sizeof rt->ipc_store, "ipc://%s/store", rt->folder);
    return true;
}

static void remove_ipc_folder(runtime_t *rt) {
    if (!rt->folder[0]) return;
    unlink(rt->ipc + strlen("ipc://"));
    unlink(rt->ipc_store + strlen("ipc://"));
    rmdir(rt->folder);
}

/* Waits for the BOUND messages; false when the scheduler could not bind. */
static bool scheduler_bound(actor_thread_t *scheduler, size_t endpoints, int *port) {
    for (size_t i = 0; i < endpoints; i++) {
        int got = -1;
        char *text = zstr_recv(scheduler->pipe);
        bool ok = text && sscanf(text, "BOUND %d", &got) == 1;
        zstr_free(&text);
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
                             .store = rt->store && run->contexts ? "inproc://store" : NULL};
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
                              .in_flight_max = run->in_flight_max};
        rt->worker[rt->workers++] = actor_spawn(worker_actor, &args);
    }
    return true;
}

/* The dashboard shows the end for a while; a signal ends that. */
static void linger(runtime_t *rt) {
    bool child = false;
    zstr_send(rt->monitor->pipe, "LINGER");
    for (;;) {
        zmq_pollitem_t items[2] = {{.socket = zsock_resolve(rt->monitor->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt->signals, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) return;
        if (items[0].revents && end_code(rt->monitor->pipe) >= 0) return;
        if (items[1].revents && take_signals(rt->signals, &child) > 0) return;
    }
}

static void stop_all(runtime_t *rt) {
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
    if (rt->signals >= 0) close(rt->signals);
}

/* ---- run and submit */

static void interrupt_client(runtime_t *rt, unsigned times) {
    for (; times > 0; times--) {
        rt->interrupts++;
        if (rt->interrupts == 1)
            log_info("run", "stopping: rows in progress are finished (again: stop at once)");
        zstr_send(rt->client->pipe, rt->interrupts == 1 ? "STOP" : "ABORT");
    }
}

/* A child's death is told to the scheduler at once, so that its rows need not wait for missed beats. */
static void on_child_died(runtime_t *rt) {
    uint64_t instance;
    int reaped;
    while ((reaped = children_reap(&rt->children, false, &instance)) == 1) {
        zstr_sendf(rt->scheduler->pipe, "GONE %" PRIu64, instance);
    }
    if (reaped == 0) return;
    zstr_send(rt->client->pipe, "FAIL worker processes die again and again: giving up");
}

/* The store says END only when it cannot go on; then the run cannot go on either. */
static void on_store_word(runtime_t *rt) {
    int code = end_code(rt->store->pipe);
    if (code < 0) return;
    rt->store_ended = true;
    zstr_sendf(rt->client->pipe, "LOST %d", code);
}

static void wait_for_client(runtime_t *rt) {
    for (;;) {
        zmq_pollitem_t items[3] = {{.socket = zsock_resolve(rt->client->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt->signals, .events = ZMQ_POLLIN}};
        bool child = false, store = rt->store && !rt->store_ended;
        if (store)
            items[2] = (zmq_pollitem_t){.socket = zsock_resolve(rt->store->pipe), .events = ZMQ_POLLIN};
        if (zmq_poll(items, store ? 3 : 2, -1) < 0 && errno != EINTR) return;
        if (items[0].revents && (rt->exit_code = end_code(rt->client->pipe)) >= 0) return;
        if (items[1].revents) interrupt_client(rt, take_signals(rt->signals, &child));
        if (child) on_child_died(rt);
        if (store && items[2].revents) on_store_word(rt);
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
    start_monitor(&rt, run);
    if (run->worker_processes) ok = make_ipc_folder(&rt);
    if (ok) start_store(&rt, run);
    if (ok && run->own_scheduler) ok = start_scheduler(&rt, run);
    if (ok && run->own_scheduler) ok = start_workers(&rt, run);
    if (ok) {
        rt.client = actor_spawn(client_actor, run->client);
        wait_for_client(&rt);
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

/* The scheduler, with a monitor when metrics are served, until SIGINT or SIGTERM. */
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
        struct pollfd item = {.fd = rt.signals, .events = POLLIN};
        bool child;
        log_listening(endpoint, port);
        while (poll(&item, 1, -1) < 0 || take_signals(rt.signals, &child) == 0) {
        }
        log_info("serve", "stopping");
    }
    stop_all(&rt);
    return ok ? EXIT_ALL_FINE : EXIT_RUNTIME;
}

descriptors_use_t runtime_worker_use(unsigned python_hosts) {
    return (descriptors_use_t){.workers = 1, .peers = 2, .python_hosts = python_hosts};
}

/* One worker until it ends by itself or is interrupted: the first interrupt drains it, the second ends it
 * at once. */
int runtime_worker(const worker_args_t *args, unsigned drain_ms) {
    runtime_t rt = {.signals = open_signals(), .exit_code = -1};
    actor_thread_t *worker = actor_spawn(worker_actor, (void *)args);
    while (rt.exit_code < 0) {
        zmq_pollitem_t items[2] = {{.socket = zsock_resolve(worker->pipe), .events = ZMQ_POLLIN},
                                   {.fd = rt.signals, .events = ZMQ_POLLIN}};
        bool child = false;
        if (zmq_poll(items, 2, -1) < 0 && errno != EINTR) break;
        if (items[0].revents) rt.exit_code = end_code(worker->pipe);
        for (unsigned n = items[1].revents ? take_signals(rt.signals, &child) : 0; n > 0; n--) {
            if (rt.interrupts++ == 0)
                zstr_sendf(worker->pipe, "DRAIN %u", drain_ms);
            else
                rt.exit_code = EXIT_STOPPED;
        }
    }
    actor_join(&worker);
    stop_all(&rt);
    return rt.exit_code < 0 ? EXIT_RUNTIME : rt.exit_code;
}
