/* fleet.c - see fleet.h. Only loopback and ipc endpoints are accepted: others need keys and an allow-list,
 * which do not exist yet. */
#include "actors/verbs/fleet.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "actors/loop/link.h"
#include "actors/runtime/runtime.h"
#include "actors/verbs/top.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/sched/limits.h"

static const char DEFAULT_ENDPOINT[] = "tcp://127.0.0.1:5577";
enum { STATUS_TOKEN = 1 }; /* what `sdg status` asks with: it asks once */

/* EXIT_ALL_FINE, or says why not. */
static int check_endpoint(const char *verb, const char *endpoint) {
    err_t err;
    if (link_check_endpoint(endpoint, &err) == SDG_OK) return EXIT_ALL_FINE;
    fprintf(stderr, "sdg %s: %s\ntry: sdg %s --help\n", verb, err.text, verb);
    return EXIT_USAGE;
}

/* ---- serve */

static const char SERVE_HELP[] =
    "usage: sdg serve [--listen ENDPOINT] [--port-file FILE] [--metrics-listen HOST:PORT] [--verbose]\n\n"
    "Runs a scheduler: workers join it with `sdg worker`, jobs come from `sdg submit`. Ctrl-C ends it.\n\n"
    "  --listen ENDPOINT   tcp://127.0.0.1:PORT (default port 5577; * for any) or ipc://PATH\n"
    "  --port-file FILE    write the port to FILE once it listens\n"
    "  --metrics-listen HOST:PORT  dashboard, /metrics and /stats.json, e.g. 127.0.0.1:9464\n"
    "  --insecure          let --metrics-listen take other than loopback addresses\n"
    "  -v, --verbose       say what the runtime does\n"
    "  -h, --help          this help      --help.ja  in Japanese\n";
static const char SERVE_HELP_JA[] =
    "使い方: sdg serve [--listen ENDPOINT] [--port-file FILE] [--metrics-listen HOST:PORT] [--verbose]\n\n"
    "スケジューラーを起動します。`sdg worker` が参加し、`sdg submit` がジョブを送ります。Ctrl-C "
    "で終了します。\n\n"
    "  --listen ENDPOINT   tcp://127.0.0.1:PORT（既定ポート 5577、* は任意）または ipc://PATH\n"
    "  --port-file FILE    待ち受け開始後にポート番号を FILE に書く\n"
    "  --metrics-listen HOST:PORT  ダッシュボード・/metrics・/stats.json。例 127.0.0.1:9464\n"
    "  --insecure          --metrics-listen にループバック以外も許可\n"
    "  -v, --verbose       動作の詳細を表示\n"
    "  -h, --help          英語のヘルプ      --help.ja  このヘルプ\n";

static int say_usage(const char *verb, const char *word) {
    fprintf(stderr, "sdg %s: unknown option or missing value: %s\ntry: sdg %s --help\n", verb, word, verb);
    return EXIT_USAGE;
}

int serve_main(int argc, char **argv) {
    static const struct option flags[] = {{"listen", 1, NULL, 'l'},   {"port-file", 1, NULL, 'p'},
                                          {"verbose", 0, NULL, 'v'},  {"metrics-listen", 1, NULL, 'm'},
                                          {"insecure", 0, NULL, 'i'}, {"help", 0, NULL, 'h'},
                                          {"help.ja", 0, NULL, 'j'},  {0}};
    const char *endpoint = DEFAULT_ENDPOINT, *port_file = NULL, *metrics = NULL;
    bool insecure = false;
    int metrics_fd = -1;
    err_t err;
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, "+vh", flags, NULL)) != -1;) {
        switch (got) {
        case 'l': endpoint = optarg; break;
        case 'p': port_file = optarg; break;
        case 'm': metrics = optarg; break;
        case 'i': insecure = true; break;
        case 'v': log_set_level(LEVEL_DEBUG); break;
        case 'h': fputs(SERVE_HELP, stdout); return 0;
        case 'j': fputs(SERVE_HELP_JA, stdout); return 0;
        default: return say_usage("serve", argv[optind - 1]);
        }
    }
    if (optind < argc) return say_usage("serve", argv[optind]);
    if (check_endpoint("serve", endpoint) != EXIT_ALL_FINE) return EXIT_USAGE;
    if (metrics && (metrics_fd = runtime_metrics_listen("serve", metrics, insecure, &err)) < 0) {
        fprintf(stderr, "sdg serve: %s\n", err.text);
        return EXIT_USAGE;
    }
    runtime_init();
    return runtime_serve(endpoint, port_file, metrics_fd);
}

/* ---- worker */

static const char WORKER_HELP[] =
    "usage: sdg worker [--connect ENDPOINT] [options]\n\n"
    "Runs rows for a scheduler (`sdg serve`). Any number may join at any time. Ctrl-C drains: rows in "
    "progress are finished\n"
    "within the drain timeout, the others go back; again: at once.\n\n"
    "  --connect ENDPOINT     of the scheduler (default tcp://127.0.0.1:5577)\n"
    "  --name NAME            for logs (default: host and process number)\n"
    "  --drain-timeout S      seconds (default 30)\n"
    "  --allow-python         run python blocks (they execute code that comes with the job)\n"
    "  --python-workers N     Python hosts (default 2)\n"
    "  --parent PID           end when this process ends\n"
    "  --instance N           number it calls itself (default random)\n"
    "  -v, --verbose  -q, --quiet\n"
    "  -h, --help             this help      --help.ja  in Japanese\n";
static const char WORKER_HELP_JA[] =
    "使い方: sdg worker [--connect ENDPOINT] [オプション]\n\n"
    "スケジューラー（`sdg serve`）の行を処理します。いつでも何台でも参加できます。Ctrl-C "
    "で処理中の行を終えて終了し、\n"
    "残りは返します。もう一度押すと即時終了します。\n\n"
    "  --connect ENDPOINT     スケジューラー（既定 tcp://127.0.0.1:5577）\n"
    "  --name NAME            ログでの名前（既定: ホスト名とプロセス番号）\n"
    "  --drain-timeout S      秒（既定 30）\n"
    "  --allow-python         python ブロックを許可（ジョブのコードを実行します）\n"
    "  --python-workers N     Python プロセス数（既定 2）\n"
    "  --parent PID           このプロセスが終了したら終了\n"
    "  --instance N           自分の番号（既定は乱数）\n"
    "  -v, --verbose  -q, --quiet\n"
    "  -h, --help             英語のヘルプ      --help.ja  このヘルプ\n";

/* The kernel ends us with our parent, also when it is killed; if it is gone already, there is nothing to
 * do. */
static bool follow_parent(long pid) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == (pid_t)pid;
}

static void default_name(char *out, size_t size) {
    char host[64] = "host";
    gethostname(host, sizeof host - 1);
    snprintf(out, size, "%s-%d", host, (int)getpid());
}

typedef struct worker_flags {
    worker_args_t args;
    unsigned drain_s;
    long parent;
    int done;
} worker_flags_t;

static int parse_worker(int argc, char **argv, worker_flags_t *f) {
    static const struct option flags[] = {
        {"connect", 1, NULL, 'c'},      {"name", 1, NULL, 'n'},           {"drain-timeout", 1, NULL, 'd'},
        {"allow-python", 0, NULL, 'a'}, {"python-workers", 1, NULL, 'y'}, {"parent", 1, NULL, 'p'},
        {"instance", 1, NULL, 'i'},     {"verbose", 0, NULL, 'v'},        {"quiet", 0, NULL, 'q'},
        {"help", 0, NULL, 'h'},         {"help.ja", 0, NULL, 'j'},        {0}};
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, "+vqh", flags, NULL)) != -1;) {
        switch (got) {
        case 'c': f->args.endpoint = optarg; break;
        case 'n': f->args.name = optarg; break;
        case 'd': f->drain_s = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'a': f->args.accept_python = true; break;
        case 'y': f->args.python_hosts = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'p':
            f->parent = strtol(optarg, NULL, 10);
            f->args.patience_ms =
                60000; /* its parent sees it die; only one that hangs is found by its silence */
            break;
        case 'i': f->args.instance = strtoull(optarg, NULL, 10); break;
        case 'v': log_set_level(LEVEL_DEBUG); break;
        case 'q': log_set_level(LEVEL_WARN); break;
        case 'h':
            fputs(WORKER_HELP, stdout);
            f->done = 1;
            return 0;
        case 'j':
            fputs(WORKER_HELP_JA, stdout);
            f->done = 1;
            return 0;
        default: return say_usage("worker", argv[optind - 1]);
        }
    }
    return optind < argc ? say_usage("worker", argv[optind]) : 0;
}

int worker_main(int argc, char **argv) {
    char name[96];
    default_name(name, sizeof name);
    worker_flags_t f = {.args = {.endpoint = DEFAULT_ENDPOINT,
                                 .name = name,
                                 .python_hosts = 2,
                                 .report_rss = true,
                                 .may_release = true,
                                 .patience_ms = BEATS_MISSED_MAX * BEAT_NS / MILLISECOND},
                        .drain_s = 30};
    int code = parse_worker(argc, argv, &f);
    if (code || f.done) return code;
    if (check_endpoint("worker", f.args.endpoint) != EXIT_ALL_FINE) return EXIT_USAGE;
    if (f.args.python_hosts == 0) f.args.python_hosts = 1;
    if (f.parent && !follow_parent(f.parent)) return EXIT_STOPPED;
    runtime_init();
    return runtime_worker(&f.args, f.drain_s * 1000);
}

/* ---- status */

static const char STATUS_HELP[] =
    "usage: sdg status [--connect ENDPOINT] [--json]\n\nPrints the state of a scheduler (`sdg serve`) as one "
    "line of JSON, or the numbers of a\n"
    "run or server with --metrics-listen, when ENDPOINT is its http:// address.\n\n"
    "  --connect ENDPOINT  (default tcp://127.0.0.1:5577), or http://127.0.0.1:9464 as in --metrics-listen\n"
    "  --json              with http://: all numbers as JSON, docs/monitoring.md\n  -h, --help          this "
    "help      --help.ja  in Japanese\n";
static const char STATUS_HELP_JA[] =
    "使い方: sdg status [--connect ENDPOINT] [--json]\n\nスケジューラー（`sdg "
    "serve`）の状態を1行のJSONで表示します。ENDPOINT が http:// のときは\n"
    "--metrics-listen を付けた実行やサーバーの数値を表示します。\n\n"
    "  --connect ENDPOINT  （既定 tcp://127.0.0.1:5577）、または http://127.0.0.1:9464\n"
    "  --json              http:// のとき、すべての数値をJSONで表示\n  -h, --help          英語のヘルプ      "
    "--help.ja  このヘルプ\n";

/* Says HELLO, then STATUS_GET, waits for STATUS; 5 s in all. */
static int ask_status(const char *endpoint) {
    zsock_t *s = link_socket(ZMQ_DEALER, 0);
    buf_t scratch;
    int code = EXIT_RUNTIME;
    buf_init(&scratch, 4096);
    zsock_connect(s, "%s", endpoint);
    message_t hello = {.type = MESSAGE_HELLO,
                       .HELLO = {.role = ROLE_CLIENT,
                                 .instance = rng_entropy(),
                                 .name = slice_of("status"),
                                 .patience_ms = CLIENT_PATIENCE_MS}};
    link_send(s, 0, &hello, &scratch);
    zmq_pollitem_t item = {.socket = zsock_resolve(s), .events = ZMQ_POLLIN};
    while (code == EXIT_RUNTIME && zmq_poll(&item, 1, 5000) > 0) {
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
        fprintf(stderr, "sdg status: no answer from %s within 5 s: is `sdg serve` running there?\n",
                endpoint);
    zsock_set_linger(s, 200);
    zsock_destroy(&s);
    buf_free(&scratch);
    return code;
}

int status_main(int argc, char **argv) {
    static const struct option flags[] = {{"connect", 1, NULL, 'c'},
                                          {"json", 0, NULL, 'J'},
                                          {"help", 0, NULL, 'h'},
                                          {"help.ja", 0, NULL, 'j'},
                                          {0}};
    const char *endpoint = DEFAULT_ENDPOINT;
    bool json = false;
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, "+h", flags, NULL)) != -1;) {
        switch (got) {
        case 'c': endpoint = optarg; break;
        case 'J': json = true; break;
        case 'h': fputs(STATUS_HELP, stdout); return 0;
        case 'j': fputs(STATUS_HELP_JA, stdout); return 0;
        default: return say_usage("status", argv[optind - 1]);
        }
    }
    if (strncmp(endpoint, "http", 4) == 0) return top_status(endpoint, json);
    if (check_endpoint("status", endpoint) != EXIT_ALL_FINE) return EXIT_USAGE;
    runtime_init();
    return ask_status(endpoint);
}
