/* mock_llm.c - the simulated LLM server: libmicrohttpd driven by our own loop, in one thread.
 *
 * The loop waits for libmicrohttpd's epoll descriptor, a signal descriptor and the nearest timer. A request
 * that must wait (latency, a full server, a hanging answer) is suspended in libmicrohttpd and stands in a
 * heap of due times or in the queue; nothing waits in a thread, and no state is shared, so there are no
 * locks. What a request is answered with is decided in mock_plan.c; here it is only carried out. To add a
 * path: a row in PAGES.
 */
#include "actors/mock/mock_llm.h"
#include "actors/exit_codes.h"

#include "actors/mock/limits.h"
#include "actors/mock/mock_options.h"
#include "actors/mock/mock_plan.h"
#include "actors/mock/mock_rules.h"
#include "core/base/clock.h"
#include "core/base/heap.h"
#include "core/base/json.h"
#include "core/base/ring.h"
#include "core/base/signals.h"

#include <microhttpd.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DRIP_PIECES = 20,      /* pieces of a body that drips */
    HANG_LOOK_MS = 500,    /* how often a hanging request is looked at: is its client still there? */
    STATUS_MAX = 600,      /* one more than the last HTTP status */
    LISTEN_BACKLOG = 4096, /* connections that wait for accept */
    FDS_SPARE = 24         /* descriptors beside those of connections: 8 are used, the rest is for files */
};

typedef enum request_stage {
    STAGE_NEW,     /* libmicrohttpd has the headers */
    STAGE_READING, /* the body is arriving */
    STAGE_QUEUED,  /* waits for a running slot */
    STAGE_WAITING, /* runs; its delay is in the heap */
    STAGE_HANGING, /* runs until its client leaves, which is looked at every HANG_LOOK_MS */
    STAGE_READY,   /* the plan can be carried out */
    STAGE_SENDING, /* the response is with libmicrohttpd */
} request_stage_t;

typedef struct request {
    struct server *server;
    struct MHD_Connection *connection;
    ring_node_t node; /* in the queue */
    request_stage_t stage;
    bool counted;   /* it is counted in in_flight */
    bool running;   /* holds a running slot */
    bool too_large; /* the body passed MOCK_BODY_BYTES_MAX */
    bool gone;      /* the client left or the server ends: close without an answer */
    buf_t body;     /* as received */
    char *path;     /* with the query, only when requests are logged; owned */
    mock_plan_t plan;
    uint64_t due_ns;  /* when it goes on; the key in `timers` */
    uint64_t drip_ns; /* time between two pieces of a slow body */
} request_t;

typedef struct server {
    mock_options_t options; /* a copy: what it points to belongs to the caller */
    mock_rules_t *rules;
    struct MHD_Daemon *daemon;
    struct MHD_Response *models, *health; /* made once */
    int listen_fd, signal_fd, log_fd;
    unsigned port;
    heap_t timers; /* suspended requests by due time */
    ring_t queue;  /* requests that wait for a running slot */
    unsigned running, queued;
    double tokens; /* in the bucket of --rate, at bucket_ns */
    uint64_t bucket_ns;
    uint64_t started_ns, chats, in_flight, in_flight_max, prompt_tokens, completion_tokens;
    uint64_t by_status[STATUS_MAX], by_fault[MOCK_FAULTS_MAX], resets, gone;
    bool ending;
} server_t;

/* ---- timers */

static void timer_set(server_t *s, request_t *req, uint64_t due_ns) {
    req->due_ns = due_ns;
    heap_add(&s->timers, due_ns, req, NULL);
}

/* ---- the life of a request */

static int client_fd(request_t *req) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static bool client_left(request_t *req) {
    char byte;
    ssize_t n = recv(client_fd(req), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void request_resume(request_t *req, request_stage_t stage) {
    req->stage = stage;
    MHD_resume_connection(req->connection);
}

/* Starts a request that is suspended or about to be: it runs from now. Returns the time it needs. */
static uint64_t request_start(server_t *s, request_t *req) {
    req->running = true;
    s->running++;
    if (req->plan.ending == MOCK_HANG) {
        req->stage = STAGE_HANGING;
        return HANG_LOOK_MS * MILLISECOND;
    }
    req->stage = STAGE_WAITING;
    return req->plan.delay_ns;
}

/* A running slot is free: the head of the queue gets it. Clients that gave up meanwhile are skipped. */
static void queue_advance(server_t *s) {
    for (ring_node_t *first; (first = ring_first(&s->queue)) && s->running < s->options.running_max;) {
        request_t *req = RING_OWNER(first, request_t, node);
        ring_remove(first);
        s->queued--;
        if (client_left(req)) {
            req->gone = true;
            request_resume(req, STAGE_READY);
            continue;
        }
        timer_set(s, req, clock_now_ns() + request_start(s, req));
    }
}

static void queue_push(server_t *s, request_t *req) {
    req->stage = STAGE_QUEUED;
    ring_add_last(&s->queue, &req->node);
    s->queued++;
}

static void timer_fire(server_t *s, request_t *req, uint64_t now_ns) {
    if (req->stage == STAGE_HANGING && !client_left(req)) {
        timer_set(s, req, now_ns + HANG_LOOK_MS * MILLISECOND);
        return;
    }
    if (req->stage == STAGE_HANGING) req->gone = true;
    request_resume(req, req->stage == STAGE_SENDING ? STAGE_SENDING : STAGE_READY);
}

static void timers_run(server_t *s) {
    if (!heap_first(&s->timers)) return;
    uint64_t now_ns = clock_now_ns();
    for (const heap_item_t *first; (first = heap_first(&s->timers)) && first->key <= now_ns;)
        timer_fire(s, heap_pop(&s->timers).pointer, now_ns);
}

/* ---- answers */

static enum MHD_Result respond_reset(server_t *s, request_t *req) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client_fd(req), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    s->resets++;
    return MHD_NO;
}

/* A piece of a slow body; after each piece but the last the connection sleeps. */
static ssize_t drip_read(void *arg, uint64_t at, char *out, size_t max) {
    request_t *req = arg;
    server_t *s = req->server;
    const buf_t *body = &req->plan.body;
    uint64_t now_ns = clock_now_ns();
    if (at >= body->len || req->gone) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (now_ns < req->due_ns) {
        MHD_suspend_connection(req->connection);
        timer_set(s, req, req->due_ns);
        return 0;
    }
    size_t piece = body->len / DRIP_PIECES + 1, left = body->len - (size_t)at;
    piece = piece < left ? piece : left;
    piece = piece < max ? piece : max;
    memcpy(out, body->data + at, piece);
    req->due_ns = now_ns + req->drip_ns;
    return (ssize_t)piece;
}

static struct MHD_Response *plan_response(server_t *s, request_t *req) {
    mock_plan_t *plan = &req->plan;
    if (plan->ending == MOCK_DRIP) {
        req->drip_ns = (uint64_t)(s->options.slow_ms * 1e6) / DRIP_PIECES;
        req->due_ns = 0;
        return MHD_create_response_from_callback(plan->body.len, 1024, drip_read, req, NULL);
    }
    size_t len;
    char *bytes = buf_take(&plan->body, &len);
    return MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
}

static void plan_headers(const mock_plan_t *plan, struct MHD_Response *response) {
    bool typed = false;
    size_t count = plan->headers.kind == VALUE_OBJECT ? object_count(plan->headers) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = object_key_peek(plan->headers, i)->data;
        typed = typed || strcasecmp(name, "content-type") == 0;
        MHD_add_response_header(response, name, object_value_peek(plan->headers, i).string->data);
    }
    if (!typed) MHD_add_response_header(response, "Content-Type", "application/json");
    if (plan->retry_after[0] != '\0') MHD_add_response_header(response, "Retry-After", plan->retry_after);
}

static enum MHD_Result send_made(server_t *s, request_t *req, unsigned status, struct MHD_Response *made) {
    assert(status < STATUS_MAX);
    s->by_status[status]++;
    req->stage = STAGE_SENDING;
    return MHD_queue_response(req->connection, status, made);
}

/* Does what the plan says: answers, lets the body drip, resets, or closes because the client has left. */
static enum MHD_Result plan_carry_out(server_t *s, request_t *req) {
    mock_plan_t *plan = &req->plan;
    if (req->gone) {
        s->gone++;
        return MHD_NO;
    }
    if (plan->ending == MOCK_RESET) return respond_reset(s, req);
    struct MHD_Response *response = plan_response(s, req);
    plan_headers(plan, response);
    enum MHD_Result rc = send_made(s, req, plan->status, response);
    MHD_destroy_response(response);
    s->prompt_tokens += plan->prompt_tokens;
    s->completion_tokens += plan->completion_tokens;
    return rc;
}

static enum MHD_Result refuse(server_t *s, request_t *req, unsigned status, const char *message) {
    mock_plan_free(&req->plan);
    mock_plan_refuse(&req->plan, status, message);
    return plan_carry_out(s, req);
}

/* ---- the log of requests */

static enum MHD_Result header_keep(void *arg, enum MHD_ValueKind kind, const char *name, const char *text) {
    static const char *const SKIPPED[] = {"host", "accept", "accept-encoding", "connection",
                                          "content-length"};
    (void)kind;
    for (size_t i = 0; i < sizeof SKIPPED / sizeof *SKIPPED; i++)
        if (strcasecmp(name, SKIPPED[i]) == 0) return MHD_YES;
    char *low = xstrdup(name);
    for (char *c = low; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    object_set_text(arg, low, value_text(text ? text : ""));
    free(low);
    return MHD_YES;
}

/* One write per line, so that a reader never sees half a line of a running server. */
static void request_log(server_t *s, request_t *req, value_t body) {
    if (s->log_fd < 0) return;
    value_t entry = value_object(5), headers = value_object(8);
    MHD_get_connection_values(req->connection, MHD_HEADER_KIND, header_keep, &headers);
    object_set_text(&entry, "n", value_int((int64_t)s->chats));
    object_set_text(&entry, "path", value_text(req->path ? req->path : ""));
    object_set_text(&entry, "headers", headers);
    object_set_text(&entry, "body", value_ref(body));
    if (body.kind == VALUE_NULL)
        object_set_text(&entry, "raw", value_string(req->body.data ? req->body.data : "", req->body.len));
    buf_t line;
    buf_init(&line, MOCK_BODY_BYTES_MAX * 8);
    json_write(&line, entry, JSON_PYTHON);
    buf_addc(&line, '\n');
    if (write(s->log_fd, line.data, line.len) < 0) {
        fprintf(stderr, "sdg mock-llm: the request log cannot be written: %s; it ends here\n",
                strerror(errno));
        close(s->log_fd);
        s->log_fd = -1;
    }
    buf_free(&line);
    value_free(entry);
}

/* ---- pages */

/* The numbers of /stats and of the summary, as one JSON object. */
static void stats_write(const server_t *s, buf_t *out) {
    buf_addf(
        out,
        "{\"requests\": %llu, \"in_flight\": %llu, \"in_flight_max\": %llu, \"running\": %u, \"queued\": %u",
        (unsigned long long)s->chats, (unsigned long long)s->in_flight, (unsigned long long)s->in_flight_max,
        s->running, s->queued);
    buf_addf(out, ", \"resets\": %llu, \"clients_gone\": %llu, \"by_status\": {",
             (unsigned long long)s->resets, (unsigned long long)s->gone);
    const char *comma = "";
    for (unsigned i = 0; i < STATUS_MAX; i++) {
        if (!s->by_status[i]) continue;
        buf_addf(out, "%s\"%u\": %llu", comma, i, (unsigned long long)s->by_status[i]);
        comma = ", ";
    }
    buf_adds(out, "}, \"injected\": {");
    for (size_t i = 0; i < s->options.fault_count; i++)
        buf_addf(out, "%s\"%s\": %llu", i ? ", " : "", s->options.faults[i].name,
                 (unsigned long long)s->by_fault[i]);
    buf_addf(out, "}, \"prompt_tokens\": %llu, \"completion_tokens\": %llu, \"uptime_s\": %.3f}\n",
             (unsigned long long)s->prompt_tokens, (unsigned long long)s->completion_tokens,
             (double)(clock_now_ns() - s->started_ns) / 1e9);
}

static enum MHD_Result on_stats(server_t *s, request_t *req) {
    buf_init(&req->plan.body, 1 << 20);
    stats_write(s, &req->plan.body);
    req->plan.status = 200;
    return plan_carry_out(s, req);
}

static enum MHD_Result on_models(server_t *s, request_t *req) { return send_made(s, req, 200, s->models); }

static enum MHD_Result on_health(server_t *s, request_t *req) { return send_made(s, req, 200, s->health); }

/* The plan of a chat request; a body that is no chat request gets a refusal. */
static void chat_plan(server_t *s, request_t *req, value_t body, const err_t *err) {
    bool stream_found = false;
    value_t stream = value_null();
    if (body.kind == VALUE_OBJECT) stream = object_get_peek(body, "stream", 6, &stream_found);
    if (err->code)
        mock_plan_refuse(&req->plan, 400, err->text);
    else if (body.kind != VALUE_OBJECT)
        mock_plan_refuse(&req->plan, 400, "request body is not a JSON object");
    else if (value_truthy(stream))
        mock_plan_refuse(&req->plan, 400, "\"stream\": true is not simulated by this server");
    else
        mock_plan_make(&req->plan, &s->options, s->rules, body, s->chats);
    if (req->plan.fault >= 0) s->by_fault[req->plan.fault]++;
}

static void chat_count(server_t *s, request_t *req) {
    req->counted = true;
    s->chats++;
    if (++s->in_flight > s->in_flight_max) s->in_flight_max = s->in_flight;
}

/* Answers at once, runs with a delay, waits for a running slot, or is refused because the queue is full. */
static enum MHD_Result chat_admit(server_t *s, request_t *req) {
    if (req->plan.at_once) return plan_carry_out(s, req);
    if (s->options.running_max && s->running >= s->options.running_max) {
        if (s->queued >= s->options.queue_max) return refuse(s, req, 503, "The request queue is full.");
        MHD_suspend_connection(req->connection);
        queue_push(s, req);
        return MHD_YES;
    }
    uint64_t delay_ns = request_start(s, req);
    if (delay_ns == 0) return plan_carry_out(s, req);
    MHD_suspend_connection(req->connection);
    timer_set(s, req, clock_now_ns() + delay_ns);
    return MHD_YES;
}

/* Takes a token out of the bucket of --rate; false when there is none: *missing_s is how long one will take.
 */
static bool bucket_take(server_t *s, double *missing_s) {
    const mock_options_t *o = &s->options;
    if (o->rate <= 0) return true;
    uint64_t now_ns = clock_now_ns();
    double burst = o->burst > 0 ? o->burst : o->rate > 10 ? o->rate / 5 : 1;
    double come = (double)(now_ns - s->bucket_ns) / 1e9 * o->rate;
    s->tokens = s->tokens + come < burst ? s->tokens + come : burst;
    s->bucket_ns = now_ns;
    *missing_s = (1 - s->tokens) / o->rate;
    if (s->tokens < 1) return false;
    s->tokens--;
    return true;
}

static enum MHD_Result on_chat(server_t *s, request_t *req) {
    value_t body = value_null();
    err_t err = {0};
    chat_count(s, req);
    json_parse_text(req->body.data ? req->body.data : "", req->body.len, &body, &err);
    request_log(s, req, body);
    double missing_s;
    if (bucket_take(s, &missing_s)) {
        chat_plan(s, req, body, &err);
    } else {
        mock_plan_refuse(&req->plan, 429, "Rate limit reached (simulated).");
        mock_plan_retry_after(&req->plan, &s->options, missing_s);
    }
    value_free(body);
    buf_free(&req->body);
    return chat_admit(s, req);
}

static const struct mock_page {
    const char *method, *path;
    enum MHD_Result (*run)(server_t *s, request_t *req);
} PAGES[] = {
    {"POST", "/v1/chat/completions", on_chat},
    {"GET", "/v1/models", on_models},
    {"GET", "/health", on_health},
    {"GET", "/stats", on_stats},
};

static enum MHD_Result dispatch(server_t *s, request_t *req, const char *method, const char *url) {
    if (req->too_large) return refuse(s, req, 413, "the request body is larger than this server takes");
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++)
        if (!strcmp(url, PAGES[i].path) && !strcmp(method, PAGES[i].method)) return PAGES[i].run(s, req);
    return refuse(s, req, 404,
                  "no such path, only POST /v1/chat/completions, GET /v1/models, /health and /stats");
}

/* ---- called by libmicrohttpd */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection) {
    server_t *s = arg;
    request_t *req = xcalloc(1, sizeof *req);
    req->server = s;
    req->connection = connection;
    req->plan.fault = -1;
    buf_init(&req->body, MOCK_BODY_BYTES_MAX);
    if (s->log_fd >= 0) req->path = xstrdup(uri);
    return req;
}

/* libmicrohttpd calls this at the headers, for every piece of the body, once behind it, and again after each
 * resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context) {
    server_t *s = arg;
    request_t *req = *context;
    (void)connection, (void)version;
    if (req->stage == STAGE_READY) return plan_carry_out(s, req);
    if (req->stage == STAGE_NEW) {
        req->stage = STAGE_READING;
        return MHD_YES;
    }
    if (*upload_len) {
        buf_add(&req->body, upload, *upload_len);
        req->too_large = req->body.full;
        *upload_len = 0;
        return MHD_YES;
    }
    return dispatch(s, req, method, url);
}

/* libmicrohttpd calls this at the end of each request, however it ended. A running slot becomes free. */
static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why) {
    server_t *s = arg;
    request_t *req = *context;
    (void)connection, (void)why;
    if (!req) return;
    *context = NULL;
    if (req->counted) s->in_flight--;
    if (req->running) s->running--;
    mock_plan_free(&req->plan);
    buf_free(&req->body);
    free(req->path);
    free(req);
    if (!s->ending) queue_advance(s);
}

/* ---- start, loop, end */

static bool host_is_loopback(const char *host) {
    return !strncmp(host, "127.", 4) || !strcmp(host, "::1") || !strcmp(host, "localhost");
}

static int socket_listen(const struct addrinfo *at, err_t *err) {
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) return err_set(err, SDG_EIO, "no socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0) return fd;
    const char *hint = errno == EADDRINUSE ? "; choose another --port, 0 takes any free one" : "";
    err_set(err, SDG_EIO, "%s%s", strerror(errno), hint);
    close(fd);
    return SDG_EIO;
}

/* Binds the socket and takes note of the port, which may have been any free one. */
static int server_listen(server_t *s, err_t *err) {
    char port[8];
    snprintf(port, sizeof port, "%u", s->options.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *at = NULL;
    int why = getaddrinfo(s->options.host, port, &hints, &at);
    if (why) return err_set(err, SDG_EIO, "cannot listen on %s: %s", s->options.host, gai_strerror(why));
    s->listen_fd = socket_listen(at, err);
    freeaddrinfo(at);
    if (s->listen_fd < 0) return err_prefix(err, "cannot listen on %s port %s", s->options.host, port);
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof bound;
    getsockname(s->listen_fd, (struct sockaddr *)&bound, &len);
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    return SDG_OK;
}

/* Raises the limit of open files as far as the system allows, and fits the number of connections into it. */
static int files_limit(server_t *s, err_t *err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return SDG_OK;
    rlim_t wanted = s->options.conns_max + FDS_SPARE;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted) return SDG_OK;
    if (limit.rlim_cur <= FDS_SPARE)
        return err_set(err, SDG_ELIMIT,
                       "`ulimit -n %llu` allows too few open files: at least %d are needed: raise it",
                       (unsigned long long)limit.rlim_cur, FDS_SPARE + 1);
    s->options.conns_max = (unsigned)limit.rlim_cur - FDS_SPARE;
    fprintf(stderr, "sdg mock-llm: only %u connections: the limit of open files is %llu (ulimit -n)\n",
            s->options.conns_max, (unsigned long long)limit.rlim_cur);
    return SDG_OK;
}

static struct MHD_Response *json_response(buf_t *body) {
    size_t len;
    char *bytes = buf_take(body, &len);
    struct MHD_Response *made = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(made, "Content-Type", "application/json");
    return made;
}

/* Makes the answers that never change. */
static void pages_make(server_t *s) {
    buf_t body;
    buf_init(&body, 1 << 20);
    buf_adds(&body, "{\"object\": \"list\", \"data\": [");
    char *copy = xstrdup(s->options.models), *rest = copy;
    const char *comma = "";
    for (char *id; (id = strsep(&rest, ","));) {
        if (!*id) continue;
        buf_addf(&body, "%s{\"id\": ", comma);
        json_write_string(&body, id, strlen(id));
        buf_adds(&body, ", \"object\": \"model\", \"created\": 1700000000, \"owned_by\": \"mock-llm\"}");
        comma = ", ";
    }
    free(copy);
    buf_adds(&body, "]}");
    s->models = json_response(&body);
    buf_adds(&body, "{\"status\": \"ok\"}");
    s->health = json_response(&body);
}

static int daemon_start(server_t *s, err_t *err) {
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    s->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
                         MHD_OPTION_CONNECTION_LIMIT, s->options.conns_max,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, MOCK_CONN_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
                         on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
    return s->daemon ? SDG_OK : err_set(err, SDG_EIO, "the HTTP server cannot be started");
}

static int port_file_write(const server_t *s, err_t *err) {
    if (!s->options.port_file) return SDG_OK;
    FILE *f = fopen(s->options.port_file, "w");
    bool written = f && fprintf(f, "%u\n", s->port) > 0;
    if (f && fclose(f)) written = false;
    return written ? SDG_OK
                   : err_set(err, SDG_EIO, "--port-file %s: %s", s->options.port_file, strerror(errno));
}

/* This line is printed last: when it is read, everything else is ready. */
static void port_announce(const server_t *s) {
    if (!host_is_loopback(s->options.host))
        fprintf(stderr, "sdg mock-llm: %s can be reached from other machines, without any key\n",
                s->options.host);
    bool v6 = strchr(s->options.host, ':');
    printf("listening on http://%s%s%s:%u\n", v6 ? "[" : "", s->options.host, v6 ? "]" : "", s->port);
    fflush(stdout);
}

static int files_open(server_t *s, err_t *err) {
    s->log_fd = -1;
    if (s->options.rules_file) {
        int rc = mock_rules_load(s->options.rules_file, &s->rules, err);
        if (rc) return err_prefix(err, "--rules");
    }
    if (!s->options.log_file) return SDG_OK;
    s->log_fd = open(s->options.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return s->log_fd >= 0 ? SDG_OK
                          : err_set(err, SDG_EIO, "--log %s: %s", s->options.log_file, strerror(errno));
}

/* Nanoseconds until something is due; UINT64_MAX when only a socket can wake the loop. */
static uint64_t loop_pause_ns(const server_t *s) {
    MHD_UNSIGNED_LONG_LONG http_ms;
    uint64_t pause_ns = UINT64_MAX;
    if (MHD_get_timeout(s->daemon, &http_ms) == MHD_YES) pause_ns = http_ms * MILLISECOND;
    const heap_item_t *first = heap_first(&s->timers);
    if (!first) return pause_ns;
    uint64_t now_ns = clock_now_ns(), timer_ns = first->key > now_ns ? first->key - now_ns : 0;
    return timer_ns < pause_ns ? timer_ns : pause_ns;
}

static void server_loop(server_t *s) {
    int http_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    struct pollfd fds[] = {{.fd = http_fd, .events = POLLIN}, {.fd = s->signal_fd, .events = POLLIN}};
    while (!fds[1].revents || signals_take(s->signal_fd, NULL) == 0) {
        uint64_t pause_ns = loop_pause_ns(s);
        struct timespec pause = {.tv_sec = (time_t)(pause_ns / SECOND), .tv_nsec = (long)(pause_ns % SECOND)};
        if (ppoll(fds, 2, pause_ns == UINT64_MAX ? NULL : &pause, NULL) < 0 && errno != EINTR) return;
        timers_run(s);
        MHD_run(s->daemon);
    }
}

/* Resumes all suspended connections and closes them: libmicrohttpd must not be stopped before. */
static void waiting_dismiss(server_t *s) {
    s->ending = true;
    while (heap_first(&s->timers)) {
        request_t *req = heap_pop(&s->timers).pointer;
        req->gone = true;
        request_resume(req, req->stage == STAGE_SENDING ? STAGE_SENDING : STAGE_READY);
    }
    RING_EACH(&s->queue, node) {
        request_t *req = RING_OWNER(node, request_t, node);
        ring_remove(node);
        req->gone = true;
        request_resume(req, STAGE_READY);
    }
    MHD_run(s->daemon);
}

/* Also after a start that failed half-way. */
static void server_destroy(server_t **server) {
    server_t *s = *server;
    signals_close(&s->signal_fd);
    if (s->daemon) {
        waiting_dismiss(s);
        MHD_stop_daemon(s->daemon);
    }
    if (s->models) MHD_destroy_response(s->models);
    if (s->health) MHD_destroy_response(s->health);
    if (s->log_fd >= 0) close(s->log_fd);
    if (!s->daemon && s->listen_fd >= 0) close(s->listen_fd);
    mock_rules_destroy(&s->rules);
    heap_free(&s->timers);
    free(s);
    *server = NULL;
}

static void summary_print(const server_t *s) {
    buf_t text;
    buf_init(&text, 1 << 20);
    stats_write(s, &text);
    fprintf(stderr, "sdg mock-llm: %s", text.data);
    buf_free(&text);
}

static int server_run(server_t *s, err_t *err) {
    if (files_limit(s, err)) return EXIT_RUNTIME;
    if (files_open(s, err)) return EXIT_USAGE;
    s->signal_fd = signals_open();
    if (s->signal_fd < 0) err_set(err, SDG_EIO, "no descriptor for signals: %s", strerror(errno));
    if (s->signal_fd < 0 || server_listen(s, err)) return EXIT_RUNTIME;
    pages_make(s);
    s->started_ns = clock_now_ns();
    if (daemon_start(s, err)) return EXIT_RUNTIME;
    if (port_file_write(s, err)) return EXIT_USAGE;
    port_announce(s);
    server_loop(s);
    if (!s->options.common.quiet) summary_print(s);
    return EXIT_ALL_FINE;
}

int mock_llm_main(void *options) {
    server_t *s = xcalloc(1, sizeof *s);
    s->options = *(const mock_options_t *)options;
    ring_init(&s->queue);
    s->listen_fd = s->signal_fd = s->log_fd = -1;
    err_t err = {0};
    int code = server_run(s, &err);
    if (err.code) fprintf(stderr, "sdg mock-llm: %s (see sdg mock-llm --help)\n", err.text);
    server_destroy(&s);
    return code;
}
