/* fuzz_python_pool - the pool of Python processes among hosts that say and do anything: any frames, answers
 * to calls that it has or has not, lines of log, ends at any moment. Each call has exactly one end, nothing
 * comes behind it, and none hangs: when nobody says anything any more, time-outs end what is left.
 *
 * Processes are not started: this file stands in place of core/python/pyspawn.c. The input is a script, a
 * byte for what is done and what it needs. */
#include "tests/fuzz/input.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/python/pypool.h"
#include "core/python/pyspawn.h"

enum { HOSTS_MAX = 64, CALLS_MAX = 24, IDS_MAX = 8, TIMEOUT_MS = 5000, STEPS_MAX = 400 };

/* ---- hosts in place of processes */

/* The ends of a host that a process would have; -1: closed. */
typedef struct fake {
    int frame_fd, log_fd, status_fd;
    buf_t in;             /* frames of the pool */
    value_t ids[IDS_MAX]; /* of the calls that it was given last, as they came */
    size_t id_count;
} fake_t;
static fake_t hosts[HOSTS_MAX];
static size_t host_count;

struct py_spawner {
    int unused;
};

py_spawner_t *py_spawner_new(const char *program) {
    (void)program;
    py_spawner_t *s = calloc(1, sizeof *s);
    if (!s) abort();
    return s;
}

void py_spawner_destroy(py_spawner_t **spawner) {
    free(*spawner);
    *spawner = NULL;
}

bool py_is_shortage(int error) { return error == EMFILE; }

static void pair(int type, int *ours, int *theirs) {
    int fds[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) abort();
    *ours = fds[0];
    *theirs = fds[1];
}

static void report(fake_t *f, py_report_t r) {
    if (f->status_fd >= 0 && send(f->status_fd, &r, sizeof r, MSG_NOSIGNAL) < 0 && errno != EPIPE) abort();
}

static void close_end(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void fake_end(fake_t *f, int status) {
    report(f, (py_report_t){.kind = PY_REPORT_ENDED, .status = status, .peak_kib = 1000});
    close_end(&f->frame_fd);
    close_end(&f->log_fd);
    close_end(&f->status_fd);
}

int py_spawn(py_spawner_t *spawner, const py_spawn_t *spawn, py_child_t *child, bool *shortage, err_t *err) {
    (void)spawner, (void)spawn;
    if (shortage) *shortage = host_count % 3 == 0;
    if (host_count == HOSTS_MAX) return err_set(err, SDG_EIO, "no more hosts");
    fake_t *f = &hosts[host_count];
    *f = (fake_t){0};
    buf_init(&f->in, (size_t)1 << 24);
    *child = (py_child_t){.keeper = 0};
    pair(SOCK_STREAM, &child->frame_fd, &f->frame_fd);
    pair(SOCK_STREAM, &child->log_fd, &f->log_fd);
    pair(SOCK_SEQPACKET, &child->status_fd, &f->status_fd);
    child->pid = 0;
    report(f, (py_report_t){.kind = PY_REPORT_STARTED});
    host_count++;
    return 0;
}

py_report_t py_child_report(py_child_t *child) {
    py_report_t r;
    ssize_t n = recv(child->status_fd, &r, sizeof r, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return (py_report_t){.kind = PY_REPORT_NONE};
    if (n != (ssize_t)sizeof r) return (py_report_t){.kind = PY_REPORT_LOST};
    return r;
}

/* The other end of the pool's descriptor belongs to the host that is to die. */
void py_child_kill(py_child_t *child) {
    send(child->status_fd, "K", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (size_t i = 0; i < host_count; i++) {
        char byte;
        if (hosts[i].status_fd >= 0 && recv(hosts[i].status_fd, &byte, 1, MSG_DONTWAIT) == 1)
            fake_end(&hosts[i], SIGKILL);
    }
}

void py_child_kill_keeper(py_child_t *child) { (void)child; }

/* Remembers the numbers of calls in what the pool has sent. */
static void listen_to_pool(fake_t *f) {
    char *room = buf_reserve(&f->in, 65536);
    ssize_t n = room && f->frame_fd >= 0 ? recv(f->frame_fd, room, 65536, MSG_DONTWAIT) : 0;
    if (n > 0) f->in.len += (size_t)n;
    while (f->in.len >= 4) {
        const unsigned char *at = (const unsigned char *)f->in.data;
        size_t len = (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
        value_t v;
        if (f->in.len - 4 < len) break;
        if (json_parse_text(f->in.data + 4, len, &v, NULL) == SDG_OK) {
            value_t id = v.kind == VALUE_OBJECT ? object_get_peek(v, "call", 4, NULL) : value_null();
            if (id.kind != VALUE_NULL) {
                value_t *place = &f->ids[f->id_count++ % IDS_MAX];
                value_free(*place);
                *place = value_ref(id);
            }
            value_free(v);
        }
        buf_cut_front(&f->in, 4 + len);
    }
}

static void say(fake_t *f, const char *bytes, size_t len) {
    char head[4] = {(char)len, (char)(len >> 8), (char)(len >> 16), 0};
    if (f->frame_fd < 0) return;
    send(f->frame_fd, head, 4, MSG_NOSIGNAL | MSG_DONTWAIT);
    send(f->frame_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the world */

typedef struct world {
    pypool_t *pool;
    uint64_t now_ns;
    uint64_t calls; /* submitted; their tags are 0, 1, ... */
    bool ended[CALLS_MAX], cancelled[CALLS_MAX];
} world_t;

static void take_events(world_t *w) {
    for (py_event_t e; pypool_next(w->pool, &e);) {
        CHECK(e.kind == PY_LOG || e.tag < w->calls, "an event of call %llu", (unsigned long long)e.tag);
        bool is_end = e.kind == PY_DONE || e.kind == PY_FAILED;
        CHECK(e.kind == PY_LOG || !w->ended[e.tag], "an event behind the end of call %llu",
              (unsigned long long)e.tag);
        CHECK(e.kind != PY_FAILED || e.error.text[0], "failed without a word");
        if (is_end) w->ended[e.tag] = true;
        py_event_free(&e);
    }
}

static void drive(world_t *w) {
    pypool_drive(w->pool, w->now_ns);
    take_events(w);
    for (size_t i = 0; i < host_count; i++)
        listen_to_pool(&hosts[i]);
}

static void submit(world_t *w) {
    if (w->calls == CALLS_MAX) return;
    py_call_t call = {.function = w->calls % 2, .timeout_ms = TIMEOUT_MS};
    err_t err;
    CHECK(pypool_submit(w->pool, &call, w->calls, &err) == 0, "%s", err.text);
    w->calls++;
}

/* {"<word>": <number of a call of this host>, <rest> */
static void answer(fake_t *f, const char *word, uint8_t which, const char *rest) {
    buf_t frame;
    if (f->id_count == 0) return;
    buf_init(&frame, (size_t)1 << 20);
    buf_addf(&frame, "{\"%s\": ", word);
    json_write(&frame, f->ids[which % (f->id_count < IDS_MAX ? f->id_count : IDS_MAX)], JSON_COMPACT);
    buf_adds(&frame, rest);
    say(f, frame.data, frame.len);
    buf_free(&frame);
}

static void host_acts(fake_t *f, uint8_t what, fuzz_input_t *in) {
    size_t len;
    char *line;
    switch (what % 10) {
    case 0: say(f, "{\"hello\": [3, 11, 2]}", 21); break;
    case 1: answer(f, "ok", fuzz_byte(in), ", \"us\": 5, \"o\": {\"A\": 1}, \"v\": null}"); break;
    case 2: answer(f, "bad", fuzz_byte(in), ", \"us\": 5, \"e\": \"ValueError\"}"); break;
    case 3: answer(f, "back", fuzz_byte(in), "}"); break;
    case 4: answer(f, "ai", fuzz_byte(in), ", \"model\": \"m\", \"prompts\": [\"x\"]}"); break;
    case 5: say(f, "{\"log\": \"info\", \"m\": \"words\"}", 30); break;
    case 6:
        line = fuzz_line(in, &len);
        if (f->log_fd >= 0) send(f->log_fd, line, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        free(line);
        break;
    case 7: fake_end(f, what < 128 ? SIGKILL : 256); break;
    case 8: close_end(&f->frame_fd); break;
    default:
        line = fuzz_line(in, &len);
        say(f, line, len);
        free(line);
        break;
    }
}

static void step(world_t *w, fuzz_input_t *in) {
    uint8_t what = fuzz_byte(in), host = fuzz_byte(in);
    if (what < 40) {
        submit(w);
    } else if (what < 200 && host_count) {
        host_acts(&hosts[host_count - 1 - host % (host_count < 4 ? host_count : 4)], what, in);
    } else if (what < 220) {
        w->now_ns += (host + UINT64_C(1)) * 20 * MILLISECOND;
    } else if (what < 230 && w->calls) {
        pypool_cancel(w->pool, host % w->calls);
        w->cancelled[host % w->calls] = true;
    } else if (w->calls) {
        value_t text = value_text("answer");
        pypool_ai_answer(w->pool, host % w->calls, what % 4, text, what % 8 ? NULL : "no");
        value_free(text);
    }
    drive(w);
}

static bool all_have_ended(const world_t *w) {
    for (uint64_t i = 0; i < w->calls; i++)
        if (!w->ended[i] && !w->cancelled[i]) return false;
    return true;
}

/* Nobody says anything any more: starts and calls run into their time-outs, as the pool says when they are.
 */
static void come_to_an_end(world_t *w) {
    for (int i = 0; i < STEPS_MAX && !all_have_ended(w); i++) {
        int ms = pypool_timeout_ms(w->pool, w->now_ns);
        CHECK(ms >= 0, "it waits for ever");
        w->now_ns += (ms > 0 ? (uint64_t)ms : 1) * MILLISECOND;
        drive(w);
    }
    for (uint64_t i = 0; i < w->calls; i++)
        CHECK(w->ended[i] || w->cancelled[i], "call %llu hangs", (unsigned long long)i);
}

static void world_begin(world_t *w) {
    static const pypool_options_t options = {.sandbox = PY_SANDBOX_OFF};
    err_t err;
    log_set_level(LEVEL_ERROR + 1);
    host_count = 0;
    *w = (world_t){.pool = pypool_new(&options, &err), .now_ns = 1000 * SECOND};
    CHECK(w->pool && pypool_add_env(w->pool, &(py_env_t){0}, &err) == 0, "%s", err.text);
    py_function_t function = {.code = "def main(ctx): pass"};
    for (int i = 0; i < 2; i++)
        CHECK(pypool_add_function(w->pool, &function, &err) == i, "%s", err.text);
}

static void world_end(world_t *w) {
    pypool_destroy(&w->pool);
    for (size_t i = 0; i < host_count; i++) {
        fake_end(&hosts[i], 0);
        buf_free(&hosts[i].in);
        for (size_t k = 0; k < IDS_MAX; k++)
            value_free(hosts[i].ids[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    world_t w;
    world_begin(&w);
    for (int i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
        step(&w, &in);
    come_to_an_end(&w);
    world_end(&w);
    return 0;
}
