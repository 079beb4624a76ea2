/* fleet.c - see fleet.h. Only loopback and ipc endpoints are accepted: others need keys and an allow-list,
 * which do not exist yet. */
#include "actors/verbs/fleet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "actors/loop/limits.h"
#include "actors/loop/link.h"
#include "actors/runtime/runtime.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "actors/verbs/top.h"
#include "core/base/clock.h"
#include "core/base/rng.h"
#include "core/sched/limits.h"

enum { STATUS_TOKEN = 1 }; /* token of the only STATUS_GET that `sdg status` sends */

int serve_main(void *options) {
    const serve_options_t *o = options;
    descriptors_use_t use = {.scheduler = true, .metrics = o->metrics_listen, .peers = SERVE_PEERS_MIN};
    int metrics_fd = -1;
    err_t err;
    if (!runtime_init("serve", &use)) return EXIT_RUNTIME;
    if (o->metrics_listen &&
        (metrics_fd = runtime_metrics_listen("serve", o->metrics_listen, o->insecure, &err)) < 0) {
        fprintf(stderr, "sdg serve: %s\n", err.text);
        return err.code == SDG_EIO ? EXIT_RUNTIME
                                   : EXIT_USAGE; /* the port is taken, or the address is none */
    }
    return runtime_serve(o->listen, o->port_file, metrics_fd);
}

/* ---- worker */

/* The kernel ends this process when its parent ends, also when that is killed. False: the parent has ended
 * already. */
static bool follow_parent(pid_t pid) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == pid;
}

static void default_name(char *out, size_t size) {
    char host[64] = "host";
    gethostname(host, sizeof host - 1);
    snprintf(out, size, "%s-%d", host, (int)getpid());
}

/* One worker in this process. With --parent it ends with that process: the worker processes of `sdg run`
 * are started so. */
int worker_main(void *options) {
    const worker_options_t *o = options;
    descriptors_use_t use = runtime_worker_use(o->allow_python ? (unsigned)o->python_workers : 0);
    char name[96];
    if (o->parent && !follow_parent((pid_t)o->parent)) return EXIT_STOPPED;
    if (!runtime_init("worker", &use)) return EXIT_RUNTIME;
    use.started = true;
    default_name(name, sizeof name);
    worker_args_t args = {
        .endpoint = o->connect,
        .name = o->name ? o->name : name,
        .instance = o->instance,
        .accept_python = o->allow_python,
        .files = {(const char *const *)o->allowed.items, o->allowed.count, o->parent != 0},
        .python_hosts = (uint32_t)o->python_workers,
        .python_spawner = "/proc/self/exe",
        .confine_python = !o->parent,
        .in_flight_max = descriptors_requests(&use, descriptors_free()),
        .report_rss = true,
        .may_release = true,
        /* The parent sees a child die, so silence has to tell of one that stands still only. */
        .patience_ms = o->parent ? WORKER_PATIENCE_MAX_MS : BEATS_MISSED_MAX * BEAT_NS / MILLISECOND};
    return runtime_worker(&args, (unsigned)o->drain_s * 1000);
}

/* ---- status */

/* Says HELLO, then STATUS_GET with the epoch of WELCOME, and prints the STATUS that answers it. When nothing
 * is heard for STATUS_WAIT_MS, no scheduler is there. */
static int ask_status(const char *endpoint) {
    zsock_t *s = link_socket(ZMQ_DEALER, STATUS_LINGER_MS, SOCKET_HWM);
    buf_t scratch;
    err_t err;
    int code = EXIT_RUNTIME;
    if (link_attach(s, LINK_CONNECT, endpoint, &err) < 0) {
        fprintf(stderr, "sdg status: %s\n", err.text);
        zsock_destroy(&s);
        return code;
    }
    buf_init(&scratch, 4096);
    message_t hello = {.type = MESSAGE_HELLO,
                       .HELLO = {.role = ROLE_CLIENT,
                                 .instance = rng_entropy(),
                                 .name = slice_of("status"),
                                 .patience_ms = CLIENT_PATIENCE_MS}};
    link_send(s, 0, &hello, &scratch);
    zmq_pollitem_t item = {.socket = zsock_resolve(s), .events = ZMQ_POLLIN};
    while (code == EXIT_RUNTIME && zmq_poll(&item, 1, STATUS_WAIT_MS) > 0) {
        link_frame_t in;
        if (link_recv(s, &in, NULL) != LINK_MESSAGE) continue;
        if (in.message.type == MESSAGE_WELCOME) {
            message_t get = {
                .type = MESSAGE_STATUS_GET, .epoch = in.message.epoch, .STATUS_GET = {.token = STATUS_TOKEN}};
            link_send(s, 0, &get, &scratch);
        } else if (in.message.type == MESSAGE_STATUS && in.message.STATUS.token == STATUS_TOKEN) {
            printf("%.*s\n", (int)in.message.STATUS.json.len, in.message.STATUS.json.data);
            message_t bye = {.type = MESSAGE_BYE, .epoch = in.message.epoch};
            link_send(s, 0, &bye, &scratch);
            code = EXIT_ALL_FINE;
        }
        link_frame_free(&in);
    }
    if (code != EXIT_ALL_FINE)
        fprintf(stderr, "sdg status: no answer from %s within %d s: is `sdg serve` running there?\n",
                endpoint, STATUS_WAIT_MS / 1000);
    zsock_destroy(&s);
    buf_free(&scratch);
    return code;
}

int status_main(void *options) {
    const status_options_t *o = options;
    if (strncmp(o->connect, "http", 4) == 0) return top_status(o->connect, o->json);
    if (!runtime_init("status", &(descriptors_use_t){.peers = 1})) return EXIT_RUNTIME;
    return ask_status(o->connect);
}
