/* bench_curl_bare.c - the yardstick: a bare curl multi loop that does N POSTs of one body at C in flight,
 * with the same tricks as core/http/http (one epoll descriptor, sockets kept in it, handles reused, several
 * multi handles) and nothing else: no queue, no permits, no retries, no JSON. Compare with bench_llm on the
 * same server.
 *
 * bench_curl_bare --url http://127.0.0.1:8080/v1/chat/completions --requests 100000 --concurrency 64 --body
 * body.json
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/bench/bench_common.h"

enum { PER_MULTI = 192, FDS_MAX = 65536, BODY_MAX = 1 << 16 };

typedef struct lane {
    CURLM *multi;
    uint64_t due_ns;
    bool touched;
} lane_t;
typedef struct watch {
    lane_t *lane;
    uint8_t registered, wanted;
    bool connection;
} watch_t;
typedef struct worker {
    CURL *easy;
    lane_t *lane;
    size_t len;
    char answer[BODY_MAX];
} worker_t;

static int epoll_fd;
static watch_t watches[FDS_MAX];

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *unused) {
    (void)easy, (void)unused;
    watch_t *w = &watches[fd];
    w->lane = user;
    w->wanted = what == CURL_POLL_REMOVE
                    ? 0
                    : (uint8_t)((what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0));
    if (w->wanted != 0 && w->wanted != w->registered) {
        struct epoll_event event = {.events = w->wanted, .data.fd = fd};
        epoll_ctl(epoll_fd, w->registered != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
        w->registered = w->wanted;
    } else if (w->wanted == 0 && !w->connection) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        w->registered = 0;
    }
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user) {
    (void)multi;
    lane_t *lane = user;
    lane->due_ns = timeout_ms < 0    ? UINT64_MAX
                   : timeout_ms == 0 ? 0
                                     : clock_now_ns() + (uint64_t)timeout_ms * MILLISECOND;
    return 0;
}

static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *a) {
    (void)user, (void)purpose;
    int fd = socket(a->family, a->socktype, a->protocol);
    assert(fd >= 0 && fd < FDS_MAX);
    watches[fd] = (watch_t){.connection = true};
    return fd;
}

static int socket_close(void *user, curl_socket_t fd) {
    (void)user;
    watches[fd] = (watch_t){0};
    return close(fd);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    worker_t *w = user;
    size_t n = size * count;
    assert(w->len + n <= BODY_MAX);
    memcpy(w->answer + w->len, bytes, n);
    w->len += n;
    return n;
}

static worker_t *worker_new(const bench_args_t *args, CURLU *url, const struct curl_slist *headers,
                            lane_t *lane) {
    worker_t *w = calloc(1, sizeof *w);
    w->easy = curl_easy_init();
    w->lane = lane;
    curl_easy_setopt(w->easy, CURLOPT_CURLU, url);
    curl_easy_setopt(w->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(w->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(w->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(w->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(w->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)args->body_len);
    curl_easy_setopt(w->easy, CURLOPT_POSTFIELDS, args->body);
    curl_easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(w->easy, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(w->easy, CURLOPT_PRIVATE, w);
    curl_easy_setopt(w->easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(w->easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    return w;
}

static void worker_start(worker_t *w) {
    w->len = 0;
    curl_multi_add_handle(w->lane->multi, w->easy);
}

static lane_t *lanes_new(size_t count) {
    lane_t *lanes = calloc(count, sizeof *lanes);
    for (size_t i = 0; i < count; i++) {
        lanes[i].multi = curl_multi_init();
        lanes[i].due_ns = UINT64_MAX;
        curl_multi_setopt(lanes[i].multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(lanes[i].multi, CURLMOPT_SOCKETDATA, &lanes[i]);
        curl_multi_setopt(lanes[i].multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(lanes[i].multi, CURLMOPT_TIMERDATA, &lanes[i]);
        curl_multi_setopt(lanes[i].multi, CURLMOPT_MAXCONNECTS, (long)PER_MULTI * 2);
    }
    return lanes;
}

static bench_count_t lane_collect(lane_t *lane, bench_count_t left, bench_count_t *started,
                                  bench_count_t requests) {
    int more;
    lane->touched = false;
    for (CURLMsg *msg; (msg = curl_multi_info_read(lane->multi, &more));) {
        worker_t *w = NULL;
        long status = 0;
        if (msg->data.result != CURLE_OK) bench_die("request failed", curl_easy_strerror(msg->data.result));
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&w);
        curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (status != 200) bench_die("status is not 200", "");
        curl_multi_remove_handle(lane->multi, w->easy);
        left--;
        if (*started < requests) {
            ++*started;
            worker_start(w);
        }
    }
    return left;
}

int main(int argc, char **argv) {
    bench_args_t args = bench_args_read(argc, argv);
    curl_global_init(CURL_GLOBAL_ALL);
    epoll_fd = epoll_create1(0);
    size_t lane_count = (args.concurrency + PER_MULTI - 1) / PER_MULTI;
    lane_t *lanes = lanes_new(lane_count);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Authorization: Bearer key");
    headers = curl_slist_append(headers, "Expect:");
    CURLU *url = curl_url(); /* parsed once */
    curl_url_set(url, CURLUPART_URL, args.url, 0);
    bench_clock_t began = bench_clock();
    bench_count_t left = args.requests, started = 0;
    for (; started < args.concurrency && started < args.requests; started++)
        worker_start(worker_new(&args, url, headers, &lanes[started / PER_MULTI]));
    while (left > 0) {
        uint64_t due_ns = UINT64_MAX, now_ns = clock_now_ns();
        for (size_t i = 0; i < lane_count; i++)
            due_ns = lanes[i].due_ns < due_ns ? lanes[i].due_ns : due_ns;
        int timeout = due_ns == UINT64_MAX ? -1
                      : due_ns <= now_ns   ? 0
                                           : (int)((due_ns - now_ns) / MILLISECOND) + 1;
        struct epoll_event events[256];
        int running, count = epoll_wait(epoll_fd, events, 256, timeout);
        for (int i = 0; i < count; i++) {
            watch_t *w = &watches[events[i].data.fd];
            int what = (events[i].events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
            if (w->wanted == 0) {
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, events[i].data.fd, NULL);
                w->registered = 0;
                continue;
            }
            curl_multi_socket_action(w->lane->multi, events[i].data.fd, what, &running);
            w->lane->touched = true;
        }
        now_ns = clock_now_ns();
        for (size_t i = 0; i < lane_count; i++) {
            if (lanes[i].due_ns <= now_ns) {
                lanes[i].due_ns = UINT64_MAX;
                curl_multi_socket_action(lanes[i].multi, CURL_SOCKET_TIMEOUT, 0, &running);
                lanes[i].touched = true;
            }
            if (lanes[i].touched) left = lane_collect(&lanes[i], left, &started, args.requests);
        }
    }
    bench_report("curl_bare", &args, began);
    return 0;
}
