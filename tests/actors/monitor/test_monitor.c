/* The monitor as an actor: what it makes of the messages it takes, seen through its web server. And: nobody
 * waits for it, whether it reads, does not read, or is not there. */
#include "actors/monitor/monitor.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/client/client.h"
#include "actors/loop/limits.h"
#include "actors/monitor/monitor_http.h"
#include "actors/scheduler/scheduler.h"
#include "actors/verbs/prepare.h"
#include "actors/worker/worker.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/plan/limits.h"
#include "tests/harness/actor_harness.h"

/* All time-outs here are the same: Criterion 2.4 leaks a timer when they differ, and the leak checker counts
 * that. */

/* ---- its messages */

/* GET over a connection of its own; the body, owned by the caller. */
static char *get(int port, const char *path) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    buf_t all;
    char *request = xasprintf("GET %s HTTP/1.0\r\n\r\n", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    buf_init(&all, METRICS_PAGE_BYTES_MAX);
    for (ssize_t n;;) {
        n = read(fd, buf_reserve(&all, 65536), 65536);
        if (n <= 0) break;
        all.len += (size_t)n;
    }
    buf_addc(&all, '\0');
    char *body = strstr(all.data, "\r\n\r\n");
    cr_assert_not_null(body);
    body = xstrdup(body + 4);
    buf_free(&all);
    free(request);
    close(fd);
    return body;
}

static int port_of(int fd) {
    struct sockaddr_in bound;
    socklen_t len = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &len);
    return ntohs(bound.sin_port);
}

static double number_at(const char *json, const char *a, const char *b) {
    value_t v;
    cr_assert_eq(json_parse_text(json, strlen(json), &v, NULL), SDG_OK, "%s", json);
    value_t in = object_get_peek(object_get_peek(v, a, strlen(a), NULL), b, strlen(b), NULL);
    double n = in.kind == VALUE_INT ? (double)in.integer : in.kind == VALUE_REAL ? in.real : -1;
    value_free(v);
    return n;
}

Test(monitor, takes_the_numbers_of_a_store, .timeout = 120) {
    err_t err;
    int fd = monitor_http_listen("test", "127.0.0.1:0", false, &err), port = port_of(fd);
    cr_assert_geq(fd, 0, "%s", err.text);
    monitor_args_t args = {.endpoint = "inproc://monitor-store", .mode = "run", .listen_fd = fd};
    actor_thread_t *monitor = harness_start(monitor_actor, &args);
    puppet_t store;
    puppet_push(&store, args.endpoint);
    uint64_t values[STORE_STATS] = {0}, rows[] = {4, 9}, bytes[] = {1000, 24};
    values[STORE_contexts_cached] = 12;
    values[STORE_context_hits] = 3;
    values[STORE_context_misses] = 1;
    message_t stats = {.type = MESSAGE_STATS, .STATS = {.role = ROLE_STORE, .values = {values, STORE_STATS}}};
    message_t evicted = {.type = MESSAGE_EVICTED,
                         .EVICTED = {.rows = {rows, 2}, .bytes = {bytes, 2}, .to_disk = 1}};
    puppet_say(&store, stats);
    puppet_say(&store, evicted);
    char *page = get(port, "/stats.json");
    while (number_at(page, "cache", "size") != 12 ||
           !strstr(page, "\"evicted_to_disk\": {\"rows\": 2, \"bytes\": 1024}")) {
        free(page);
        page = get(port, "/stats.json");
    }
    cr_assert_float_eq(number_at(page, "cache", "hit_rate"), 0.75, 1e-9);
    free(page);
    page = get(port, "/metrics");
    cr_assert_not_null(strstr(page, "\nsdg_context_requests_total{result=\"hit\"} 3\n"), "%s", page);
    free(page);
    puppet_close(&store);
    actor_join(&monitor);
}

/* The end of a run, printed on stderr: exact counts, and why it ended. */
Test(monitor, prints_the_summary_of_a_client, .timeout = 120) {
    char name[] = "/tmp/sdg-test-summary-XXXXXX", text[4096] = "";
    int file = mkstemp(name), standard_error = dup(STDERR_FILENO);
    cr_assert(file >= 0 && standard_error >= 0);
    monitor_args_t args = {
        .endpoint = "inproc://monitor-summary", .mode = "run", .listen_fd = -1, .summary = true};
    actor_thread_t *monitor = harness_start(monitor_actor, &args);
    puppet_t client;
    uint64_t values[CLIENT_STATS] = {0};
    values[CLIENT_rows_ok] = 4711;
    values[CLIENT_rows_failed] = 2;
    message_t summary = {.type = MESSAGE_SUMMARY,
                         .SUMMARY = {.values = {values, CLIENT_STATS},
                                     .reasons = slice_of("{\"failed\": {\"timeout\": 2}, \"ended\": {}}"),
                                     .ending = slice_of("stopped on request")}};
    puppet_push(&client, args.endpoint);
    dup2(file, STDERR_FILENO);
    puppet_say(&client, summary);
    actor_join(&monitor); /* it handles what has arrived before it ends */
    dup2(standard_error, STDERR_FILENO);
    cr_assert_gt(pread(file, text, sizeof text - 1, 0), 0);
    cr_expect(strstr(text, "4711") || strstr(text, "4,711"), "%s", text);
    cr_expect_not_null(strstr(text, "stopped on request"), "%s", text);
    cr_expect_not_null(strstr(text, "timeout"), "%s", text);
    puppet_close(&client);
    close(file), close(standard_error);
    unlink(name);
}

/* ---- nobody waits for it */

/* When a queue is full, messages beyond it are dropped and sending returns at once. If sending blocked, this
 * test would never end. */
Test(monitor, sending_to_one_that_never_reads_or_is_absent_returns_at_once, .timeout = 120) {
    static const char *const endpoints[] = {"inproc://stalled-monitor", "inproc://absent-monitor"};
    zsock_t *pull = link_socket(ZMQ_PULL, 0, SOCKET_HWM);
    uint64_t values[CLIENT_STATS] = {0};
    message_t m = {.type = MESSAGE_STATS, .STATS = {.role = ROLE_CLIENT, .values = {values, CLIENT_STATS}}};
    buf_t scratch;
    cr_assert_eq(link_attach(pull, LINK_BIND, endpoints[0], NULL), 0);
    buf_init(&scratch, 65536);
    for (size_t i = 0; i < 2; i++) {
        zsock_t *push = link_socket(ZMQ_PUSH, 0, SOCKET_HWM);
        int dropped = 0;
        cr_assert_eq(link_attach(push, LINK_CONNECT, endpoints[i], NULL), 0);
        for (int n = 0; n < 3 * SOCKET_HWM; n++)
            dropped += !link_send(push, 0, &m, &scratch);
        cr_assert_gt(dropped, 0);
        zsock_destroy(&push);
    }
    zsock_destroy(&pull);
    buf_free(&scratch);
}

/* A whole run, scheduler, worker and client as in `sdg run`, with this monitor. */
static const char YAML[] =
    "mabel: {version: \"2.0\"}\nblocks:\n"
    "  - {type: logic, exec: 1, op: set, var: x, value: {add: [\"{n}\", 1]}, outputs: [{name: M}]}\n"
    "  - {type: end, exec: 2, final: [{name: m, value: \"{M}\", type_hint: json}]}\n";
#ifdef __SANITIZE_ADDRESS__
enum { ROWS = 20000 };
#else
enum { ROWS = 200000 };
#endif
/* messages in each queue to the monitor: so few that a short run fills them */
enum { QUEUE_MAX = 1 };
static char folder[64];

static char *path_in(const char *name) { return xasprintf("%s/%s", folder, name); }

static void write_input(const char *path) {
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "{\"n\": %d}\n", i);
    fclose(f);
}

static client_args_t client_args(const char *input, const char *output, job_options_t *options, err_t *err) {
    client_args_t c = {.name = "client",
                       .pipeline_path = "p.yaml",
                       .pipeline_folder = ".",
                       .pipeline_bytes = YAML,
                       .pipeline_len = sizeof YAML - 1,
                       .options = options,
                       .rows_max = UINT64_MAX,
                       .window_rows = 1000,
                       .window_bytes = PENDING_BYTES_DEFAULT,
                       .chunk_rows = CHUNK_ROWS_DEFAULT,
                       .concurrency = 8};
    c.reader = reader_open(input, DATA_AUTO, err);
    c.writer = writer_open(
        output, &(writer_options_t){.pipeline_identity = "", .input_identity = "", .options_identity = ""},
        &c.resumed, err);
    cr_assert(c.reader && c.writer, "%s", err->text);
    return c;
}

/* Rows per second; every row must be in the output. */
static double run_with(const char *monitor) {
    static int runs;
    char name[32];
    char *endpoint = xasprintf("inproc://scheduler-%d", runs), *input = path_in("in.jsonl"), *output;
    job_options_t options;
    err_t err;
    snprintf(name, sizeof name, "out-%d.jsonl", runs++);
    output = path_in(name);
    job_options_init(&options);
    client_args_t c = client_args(input, output, &options, &err);
    c.endpoint = endpoint;
    c.monitor = monitor;
    c.monitor_queue_max = QUEUE_MAX;
    uint64_t began = clock_now_ns();
    scheduler_args_t s = {.endpoints = (const char *const *)&endpoint,
                          .endpoint_count = 1,
                          .monitor = monitor,
                          .monitor_queue_max = QUEUE_MAX};
    actor_thread_t *scheduler = harness_start(scheduler_actor, &s);
    harness_hear_word(scheduler, "BOUND");
    worker_args_t w = {.endpoint = endpoint, .name = "worker", .python_hosts = 1};
    actor_thread_t *worker = actor_spawn(worker_actor, &w), *client = actor_spawn(client_actor, &c);
    int code = harness_hear_word(client, "END");
    uint64_t took = clock_now_ns() - began;
    cr_assert_eq(code, EXIT_ALL_FINE);
    actor_join(&client);
    actor_join(&worker);
    actor_join(&scheduler);
    c.writer = writer_open(
        output, &(writer_options_t){.pipeline_identity = "", .input_identity = "", .options_identity = ""},
        &c.resumed, &err);
    cr_assert_eq(c.resumed.rows_ok, ROWS);
    writer_close(&c.writer);
    free(endpoint);
    free(input);
    free(output);
    job_options_free(&options);
    return (double)ROWS * 1e9 / (double)took;
}

static double with_a_monitor(void) {
    monitor_args_t args = {.endpoint = "inproc://monitor-fine", .mode = "run", .listen_fd = -1};
    actor_thread_t *monitor = harness_start(monitor_actor, &args);
    double rate = run_with(args.endpoint);
    actor_join(&monitor);
    return rate;
}

/* A monitor that is bound and never reads: its queue is full after two messages of each sender. *kept is how
 * many messages it got in all, which shows that the rest was dropped. */
static double with_one_that_never_reads(size_t *kept) {
    zsock_t *pull = link_socket(ZMQ_PULL, 0, QUEUE_MAX);
    link_frame_t in;
    cr_assert_eq(link_attach(pull, LINK_BIND, "inproc://monitor-stalled", NULL), 0);
    double rate = run_with("inproc://monitor-stalled");
    for (*kept = 0; link_recv(pull, &in, NULL) == LINK_MESSAGE; ++*kept)
        link_frame_free(&in);
    zsock_destroy(&pull);
    return rate;
}

Test(monitor, a_run_is_as_fast_with_one_that_never_reads_or_is_absent, .timeout = 120) {
    size_t kept;
    strcpy(folder, "/tmp/sdg-test-monitor-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    char *input = path_in("in.jsonl"), *command = xasprintf("rm -rf '%s'", folder);
    write_input(input);
    run_with("inproc://monitor-warm-up"); /* warms up caches and frequencies */
    double fine = with_a_monitor(), stalled = with_one_that_never_reads(&kept),
           absent = run_with("inproc://monitor-absent");
    fprintf(stderr,
            "rows/s with a monitor %.0f; one that never reads %.2f of that, an absent one %.2f; %zu messages "
            "were kept\n",
            fine, stalled / fine, absent / fine, kept);
    cr_assert(stalled > fine / 2 && absent > fine / 2, "a monitor must not slow a job");
    cr_assert_leq(kept, 6, "two for each of client and scheduler, and the summary: all others are dropped");
    cr_assert_eq(system(command), 0);
    free(input);
    free(command);
}
