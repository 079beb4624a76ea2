/* test_http.c - raw HTTP requests (core/http/http) against a server in a thread. */
#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <curl/curl.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/http/http.h"
#include "core/http/limits.h"
#include "tests/core/http/http_server.h"

static server_t *server;
static http_t *http;
static http_target_t *target;
static http_headers_t *headers;

static void begin(server_script_t script) {
    http_options_t options = {0};
    err_t err;
    const char *lines[] = {"Content-Type: application/json"};
    server = server_start(script);
    http = http_new(&options, &err);
    cr_assert_not_null(http);
    target = http_target_new(http, server->url, false, &err);
    cr_assert_not_null(target, "%s", err.text);
    cr_assert_eq(http_headers_new(NULL, lines, 1, &headers, &err), SDG_OK);
}

static void end(void) {
    http_destroy(&http);
    cr_assert_null(http);
    http_headers_free(headers);
    server_stop(&server);
}

static http_transfer_t *post_with(const char *body, uint32_t timeout_ms, void *owner) {
    http_post_t post = {.target = target,
                        .body = body,
                        .body_len = strlen(body),
                        .headers = headers,
                        .timeout_ms = timeout_ms,
                        .owner = owner};
    http_transfer_t *transfer = http_start(http, &post);
    http_flush(http);
    return transfer;
}

static http_transfer_t *post(const char *body) { return post_with(body, 60000, NULL); }

static http_reply_t wait_reply(void) {
    http_reply_t reply;
    while (!http_next(http, &reply)) {
        uint64_t due_ns = http_due_ns(http), now_ns = clock_now_ns();
        struct pollfd fd = {.fd = http_fd(http), .events = POLLIN};
        poll(&fd, 1,
             due_ns == UINT64_MAX ? -1
             : due_ns <= now_ns   ? 0
                                  : (int)((due_ns - now_ns) / MILLISECOND) + 1);
        http_drive(http);
    }
    return reply;
}

static void expect_outcome(http_outcome_t wanted) {
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, wanted, "%d: %s", reply.outcome, reply.reason);
    http_release(http, reply.transfer);
}

static act_t say_ok(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.body = "hello"};
}

Test(http, a_post_is_answered) {
    begin(say_ok);
    int owner;
    post_with("{}", 60000, &owner);
    http_reply_t reply = wait_reply();
    cr_assert_eq(reply.outcome, HTTP_ANSWERED, "%s", reply.reason);
    cr_expect_eq(reply.owner, &owner);
    cr_expect_eq(reply.status, 200);
    cr_expect_eq(reply.body_len, 5);
    cr_expect_str_eq(reply.body, "hello");
    cr_expect_gt(reply.latency_ns, 0);
    cr_expect_eq(reply.hint.after_ms, -1);
    cr_expect_eq(reply.hint.should, -1);
    http_release(http, reply.transfer);
    end();
}

Test(http, a_connection_serves_many_requests) {
    begin(say_ok);
    for (int i = 0; i < 50; i++) {
        post("{}");
        expect_outcome(HTTP_ANSWERED);
    }
    cr_expect_eq(server->requests, 50);
    cr_expect_eq(server->connections, 1);
    end();
}

static act_t say_method(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    bool get = strncmp(request, "GET ", 4) == 0, bodyless = !strcasestr(request, "content-length");
    return (act_t){.body = get ? bodyless ? "get" : "get with a body" : "post"};
}

Test(http, a_get_is_a_request_without_a_body) {
    static const char *const wanted[] = {"post", "get", "get", "post"};
    begin(say_method);
    for (size_t i = 0; i < 4; i++) {
        bool get = wanted[i][0] == 'g';
        http_post_t request = {.target = target,
                               .body = get ? NULL : "{}",
                               .body_len = get ? 0 : 2,
                               .headers = headers,
                               .timeout_ms = 60000};
        http_start(http, &request);
        http_reply_t reply = wait_reply();
        cr_expect_str_eq(reply.body, wanted[i]);
        http_release(http, reply.transfer);
    }
    cr_expect_eq(server->connections, 1);
    end();
}

static act_t say_and_close(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_CLOSE};
}

Test(http, a_connection_closed_while_idle_is_replaced) {
    begin(say_and_close);
    for (int i = 0; i < 20; i++) {
        post("{}");
        expect_outcome(HTTP_ANSWERED);
        http_drive(http); /* may see the close, or not yet: both must work */
    }
    cr_expect_eq(server->connections, 20);
    end();
}

/* An idle socket that reports something must not keep the descriptor readable for ever. */
Test(http, an_idle_close_is_noticed_once) {
    begin(say_and_close);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    struct pollfd fd = {.fd = http_fd(http), .events = POLLIN};
    poll(&fd, 1, 10000); /* until the close arrives */
    http_drive(http);
    cr_expect_eq(poll(&fd, 1, 0), 0);
    end();
}

static act_t say_headers(server_t *s, int nth, const char *request) {
    (void)s;
    cr_expect(strstr(request, "Content-Type: application/json\r\n"));
    cr_expect_null(strcasestr(request, "expect:"));
    if (nth == 1)
        return (act_t){
            .status = 429,
            .headers =
                "Retry-After: 7\r\nretry-after-ms: 20\r\nX-Should-Retry: true\r\nX-Ratelimit-Limit: 1\r\n"};
    return (act_t){.status = 204};
}

Test(http, retry_headers_are_read_and_do_not_stick) {
    begin(say_headers);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.status, 429);
    cr_expect_eq(reply.hint.after_ms, 20);
    cr_expect_eq(reply.hint.should, 1);
    http_release(http, reply.transfer);
    post("{}");
    reply = wait_reply();
    cr_expect_eq(reply.status, 204);
    cr_expect_eq(reply.hint.after_ms, -1);
    http_release(http, reply.transfer);
    end();
}

static act_t say_length(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    static char text[32];
    snprintf(text, sizeof text, "%zu", strlen(strstr(request, "\r\n\r\n") + 4));
    return (act_t){.body = text};
}

Test(http, large_bodies_go_out_whole) {
    begin(say_length);
    size_t len = 3 << 20;
    char *body = xmalloc(len + 1);
    memset(body, 'x', len);
    body[len] = '\0';
    post(body);
    http_reply_t reply = wait_reply();
    cr_expect_str_eq(reply.body, "3145728");
    http_release(http, reply.transfer);
    free(body);
    end();
}

static act_t misbehave(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    static const act_kind_t kinds[] = {ACT_RESET, ACT_HALF, ACT_DRIP, ACT_ANSWER};
    return (act_t){.kind = kinds[(nth - 1) % 4]};
}

Test(http, reset_cut_and_slow_bodies) {
    begin(misbehave);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_BROKEN);
    cr_assert_not_null(reply.broken);
    cr_expect_str_eq(reply.broken, "connection reset");
    http_release(http, reply.transfer);
    post("{}");
    reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_BROKEN);
    cr_expect_null(reply.broken, "a cut body is in curl's words only");
    http_release(http, reply.transfer);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    end();
}

static act_t hang_at_first(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    return (act_t){.kind = nth == 1 ? ACT_HANG : ACT_ANSWER};
}

Test(http, a_hanging_server_times_out) {
    begin(hang_at_first);
    post_with("{}", 30, NULL);
    expect_outcome(HTTP_TIMEOUT);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    end();
}

Test(http, nobody_listens) {
    begin(say_ok);
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: refused */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    target = http_target_new(http, url, false, NULL);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_BROKEN);
    cr_expect_eq(reply.status, 0);
    cr_expect_neq(reply.reason[0], '\0');
    cr_expect_eq(reply.fault, HTTP_FAULT_CONNECT);
    cr_expect_eq(reply.os_error, ECONNREFUSED);
    cr_assert_not_null(reply.broken);
    cr_expect_str_eq(reply.broken, "connection refused");
    cr_expect_str_eq(reply.body, "");
    http_release(http, reply.transfer);
    close(fd);
    end();
}

/* A port where nobody listens. */
static int dead_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    close(fd);
    return ntohs(address.sin_port);
}

Test(http, a_dead_proxy_is_called_a_proxy) {
    char proxy[64], wanted[128];
    snprintf(proxy, sizeof proxy, "http://user:secret@127.0.0.1:%d", dead_port());
    setenv("http_proxy", proxy, 1);
    setenv("no_proxy", "", 1);
    begin(say_ok);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_BROKEN);
    snprintf(wanted, sizeof wanted, "proxy http://127.0.0.1:%s does not answer (http_proxy)",
             strrchr(proxy, ':') + 1);
    cr_expect_str_eq(reply.reason, wanted);
    http_release(http, reply.transfer);
    end();
}

Test(http, a_dead_server_is_not_called_a_proxy) {
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    begin(say_ok);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", dead_port());
    target = http_target_new(http, url, false, NULL);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_BROKEN);
    cr_expect_not(strstr(reply.reason, "proxy"), "%s", reply.reason);
    http_release(http, reply.transfer);
    end();
}

/* --- what all requests say, and encodings that come unasked --- */

static act_t say_who(server_t *s, int nth, const char *request) {
    (void)s, (void)nth;
    cr_expect(strstr(request, "\r\nUser-Agent: sdg/" SDG_VERSION "\r\n"), "%s", request);
    cr_expect_not(strcasestr(request, "\r\nAccept-Encoding"), "%s", request);
    return (act_t){.body = "hello"};
}

Test(http, requests_name_us_and_ask_for_no_encoding) {
    begin(say_who);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    end();
}

static act_t say_gzip(server_t *s, int nth, const char *request) {
    static const char gzip[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86"
                               "\xa6\x10\x36\x05\x00\x00\x00";
    static const char zstd[] = "\x28\xb5\x2f\xfd\x04\x58\x29\x00\x00\x68\x65\x6c\x6c\x6f\xa3\x6d\x9f\x88";
    (void)s, (void)request;
    if (nth == 1)
        return (act_t){.headers = "Content-Encoding: gzip\r\n", .body = gzip, .body_len = sizeof gzip - 1};
    if (nth == 2)
        return (act_t){.headers = "Content-Encoding: deflate\r\n",
                       .body = "\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15",
                       .body_len = 13};
    if (nth == 3)
        return (act_t){.headers = "Content-Encoding: br\r\n", .body = "\x0b\x02\x80hello\x03", .body_len = 9};
    return (act_t){.headers = "Content-Encoding: zstd\r\n", .body = zstd, .body_len = sizeof zstd - 1};
}

Test(http, encoded_bodies_come_decoded) {
    begin(say_gzip);
    for (int i = 0; i < 4; i++) {
        post("{}");
        http_reply_t reply = wait_reply();
        cr_expect_eq(reply.outcome, HTTP_ANSWERED, "%d: %s", i, reply.reason);
        cr_expect_eq(reply.body_len, 5, "%d", i);
        cr_expect_str_eq(reply.body, "hello", "%d", i);
        http_release(http, reply.transfer);
    }
    end();
}

static act_t say_elsewhere(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    if (nth == 1)
        return (act_t){.status = 307, .headers = "Location: https://gw.example/v1/\r\n", .body = "-"};
    if (nth == 2) return (act_t){.status = 302, .headers = "Location: /login?next=1\r\n", .body = "-"};
    return (act_t){.status = 301, .body = "-"};
}

Test(http, redirects_are_told_and_not_followed) {
    begin(say_elsewhere);
    static const char *const wanted[] = {"https://gw.example/v1/", "/login?next=1", NULL};
    for (int i = 0; i < 3; i++) {
        post("{}");
        http_reply_t reply = wait_reply();
        cr_expect_eq(reply.outcome, HTTP_ANSWERED);
        if (wanted[i])
            cr_expect(reply.location && strstr(reply.location, wanted[i]), "%s", reply.location);
        else
            cr_expect_null(reply.location);
        http_release(http, reply.transfer);
    }
    cr_expect_eq(server->requests, 3);
    end();
}

/* The name lookup has sockets of its own, which must not stay in epoll. */
Test(http, a_name_that_does_not_exist) {
    begin(say_ok);
    http_target_t *good = target;
    target = http_target_new(http, "http://no-such-host.invalid/", false, NULL);
    for (int i = 0; i < 3; i++) {
        post_with("{}", 2000, NULL);
        http_reply_t reply = wait_reply();
        cr_expect_neq(reply.outcome, HTTP_ANSWERED);
        http_release(http, reply.transfer);
    }
    target = good;
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    end();
}

static char *huge; /* made by the test before the server starts */

static act_t say_huge(server_t *s, int nth, const char *request) {
    (void)s, (void)request;
    if (nth == 1) return (act_t){.body = huge, .body_len = LLM_ANSWER_BYTES_MAX + 1};
    if (nth == 2) /* no length announced: only counting the bytes finds out */
        return (act_t){
            .kind = ACT_CLOSE, .body = huge, .body_len = LLM_ANSWER_BYTES_MAX + 1, .unsized = true};
    return (act_t){.body = huge, .body_len = LLM_ANSWER_BYTES_MAX};
}

Test(http, bodies_are_bounded) {
    huge = xcalloc(1, LLM_ANSWER_BYTES_MAX + 1);
    begin(say_huge);
    post("{}");
    expect_outcome(HTTP_TOO_LARGE);
    post("{}");
    expect_outcome(HTTP_TOO_LARGE);
    post("{}");
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.outcome, HTTP_ANSWERED);
    cr_expect_eq(reply.body_len, LLM_ANSWER_BYTES_MAX);
    http_release(http, reply.transfer);
    end();
    free(huge);
}

static act_t hang(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_HANG};
}

Test(http, aborted_requests_never_answer) {
    begin(hang);
    http_transfer_t *first = post("{}");
    post_with("{}", 30, &server);
    http_abort(http, first);
    http_reply_t reply = wait_reply();
    cr_expect_eq(reply.owner, &server);
    http_release(http, reply.transfer);
    post("{}"); /* destroyed in flight */
    end();
}

static act_t hold(server_t *s, int nth, const char *request) {
    (void)s, (void)nth, (void)request;
    return (act_t){.kind = ACT_HOLD};
}

/* More than fit into one multi handle, all at once, twice on the same connections. */
Test(http, many_in_flight_share_one_descriptor) {
    enum { MANY = 3 * HTTP_CONNS_PER_MULTI };
    begin(hold);
    server->release_at = MANY;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            http_post_t p = {
                .target = target, .body = "{}", .body_len = 2, .headers = headers, .timeout_ms = 60000};
            http_start(http, &p);
        }
        http_flush(http);
        for (int i = 0; i < MANY; i++)
            expect_outcome(HTTP_ANSWERED);
    }
    cr_expect_eq(server->held_max, MANY);
    cr_expect_eq(server->connections, MANY);
    end();
}

Test(http, targets_of_one_server_share_connections_unless_http2_divides_them) {
    begin(say_ok);
    http_target_t *first = target, *same = http_target_new(http, server->url, false, NULL),
                  *other = http_target_new(http, server->url, true, NULL);
    http_target_t *order[] = {first, same, other, first};
    for (size_t i = 0; i < 4; i++) {
        target = order[i];
        post("{}");
        expect_outcome(HTTP_ANSWERED);
    }
    cr_expect_eq(server->connections, 2);
    http_target_free(http, same);
    target = first;
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    cr_expect_eq(server->connections, 2, "freeing a target closes nothing");
    http_close_idle(http);
    while (server->open_now > 0)
        poll(NULL, 0, 1);
    cr_expect_eq(http_due_ns(http), UINT64_MAX);
    post("{}");
    expect_outcome(HTTP_ANSWERED);
    cr_expect_eq(server->connections, 3);
    end();
}

Test(http, bad_urls_are_refused) {
    err_t err;
    begin(say_ok);
    static const char *const bad[] = {"",  "localhost:8000/v1", "ftp://h/x", "http://", "http://a b/",
                                      "h", "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_null(http_target_new(http, bad[i], false, &err), "%s", bad[i]);
    cr_expect_not_null(http_target_new(http, "HTTPS://[::1]:8000/v1", false, &err));
    end();
}

static const char *headers_text(const http_headers_t *base, const char *line) {
    static char text[512];
    http_headers_t *list;
    err_t err;
    if (http_headers_new(base, &line, 1, &list, &err) != SDG_OK) return "refused";
    text[0] = '\0';
    for (const http_headers_t *h = list; h; h = h->next) {
        strcat(text, h->data);
        strcat(text, "|");
    }
    http_headers_free(list);
    return text;
}

Test(http, headers_replace_by_name_and_are_checked) {
    const char *lines[] = {"A: 1", "Bee: 2"};
    http_headers_t *base;
    cr_assert_eq(http_headers_new(NULL, lines, 2, &base, NULL), SDG_OK);
    cr_expect_str_eq(headers_text(NULL, "A: 1"), "Expect:|Accept-Encoding:|A: 1|");
    cr_expect_str_eq(headers_text(base, "bee: 3"), "Expect:|Accept-Encoding:|A: 1|bee: 3|");
    cr_expect_str_eq(headers_text(base, "B: 3"), "Expect:|Accept-Encoding:|A: 1|Bee: 2|B: 3|");
    cr_expect_str_eq(headers_text(NULL, "A: "), "Expect:|Accept-Encoding:|A;|");
    cr_expect_str_eq(headers_text(NULL, "A"), "refused");
    cr_expect_str_eq(headers_text(NULL, ": x"), "refused");
    cr_expect_str_eq(headers_text(NULL, "A b: x"), "refused");
    cr_expect_str_eq(headers_text(NULL, "A: x\r\nB: y"), "refused");
    http_headers_free(base);
}
