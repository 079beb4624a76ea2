/* What a scheduler does with peers that do not speak its language: bytes of any kind, frames cut at every
 * byte, too large, of another version, of several parts, ids chosen by the sender, messages of the wrong role
 * or out of turn. It answers REFUSED in words where there is somebody to answer, never ends, and still serves
 * an honest peer afterwards. The scheduler runs as an actor in this process, bound to tcp. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actors/loop/limits.h"
#include "actors/scheduler/scheduler.h"
#include "core/base/limits.h"
#include "core/base/rng.h"
#include "tests/harness/actor_harness.h"

static actor_thread_t *scheduler;
static char endpoint[64];
static int port;

static void start(void) {
    static const char *const endpoints[] = {"tcp://127.0.0.1:*"};
    static const scheduler_args_t args = {.endpoints = endpoints, .endpoint_count = 1};
    scheduler = harness_start(scheduler_actor, (void *)&args);
    port = harness_hear_word(scheduler, "BOUND");
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
}

static void stop(void) {
    actor_join(&scheduler);
    zsys_shutdown();
}

TestSuite(hostile_peer, .init = start, .fini = stop, .timeout = 60);

static puppet_t join(void) {
    puppet_t p;
    puppet_connect(&p, endpoint);
    return p;
}

static void say_bytes(puppet_t *p, const char *bytes, size_t len) {
    cr_assert(link_send_bytes(p->socket, 0, bytes, len));
}

/* An honest client: HELLO is answered with WELCOME, STATUS_GET with STATUS. */
static void still_serves(void) {
    link_frame_t in;
    puppet_t p;
    puppet_join(&p, endpoint, ROLE_CLIENT, rng_entropy());
    puppet_say(&p, (message_t){.type = MESSAGE_STATUS_GET, .STATUS_GET = {.token = 7}});
    puppet_await(&p, MESSAGE_STATUS, &in);
    cr_expect_eq(in.message.STATUS.token, 7);
    link_frame_free(&in);
    puppet_close(&p);
}

static void expect_refused(puppet_t *p, const char *what) {
    link_frame_t in;
    puppet_await(p, MESSAGE_REFUSED, &in);
    cr_expect_gt(in.message.REFUSED.reason.len, 8, "%s: a reason in words", what);
    link_frame_free(&in);
}

static void encode(const message_t *m, buf_t *out) {
    buf_init(out, MESSAGE_BYTES_MAX);
    message_encode(m, out);
}

Test(hostile_peer, an_honest_peer_is_served) { still_serves(); }

Test(hostile_peer, garbage_is_refused_in_words) {
    static const char *const garbage[] = {"",
                                          "x",
                                          "GET / HTTP/1.1\r\n\r\n",
                                          "\xc1",
                                          "\x93",
                                          "\xdd\xff\xff\xff\xff",
                                          "\x94\x01\x01",
                                          "\xa5hello",
                                          "{\"a\": 1}"};
    puppet_t p = join();
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        say_bytes(&p, garbage[i], strlen(garbage[i]));
        expect_refused(&p, garbage[i]);
    }
    puppet_close(&p);
    still_serves();
}

Test(hostile_peer, random_bytes_do_no_harm) {
    char bytes[512];
    rng_t rng;
    puppet_t p = join();
    rng_seed(&rng, 42, 0);
    for (int i = 0; i < 2000; i++) {
        size_t len = 1 + (size_t)(rng_next(&rng) % sizeof bytes);
        for (size_t n = 0; n < len; n++) {
            bytes[n] = (char)rng_next(&rng);
        }
        bytes[0] = (char)(0x90 + i % 16); /* a list, so that more of it is looked at */
        say_bytes(&p, bytes, len);
    }
    expect_refused(&p, "random bytes");
    puppet_close(&p);
    still_serves();
}

Test(hostile_peer, a_message_cut_at_every_byte_is_refused) {
    message_t hello = {
        .type = MESSAGE_HELLO,
        .HELLO = {.role = 2, .instance = 5, .name = slice_of("cut"), .python = 1, .patience_ms = 300}};
    buf_t whole;
    encode(&hello, &whole);
    for (size_t len = 0; len < whole.len; len++) {
        puppet_t p = join();
        say_bytes(&p, whole.data, len);
        expect_refused(&p, "cut");
        puppet_close(&p);
    }
    buf_free(&whole);
    still_serves();
}

Test(hostile_peer, another_version_is_refused_by_its_number) {
    message_t hello = {.type = MESSAGE_HELLO, .HELLO = {.role = 1, .instance = 5, .name = slice_of("v99")}};
    link_frame_t in;
    buf_t bytes;
    puppet_t p = join();
    encode(&hello, &bytes);
    bytes.data[1] = 99; /* the version: a small number is its own byte */
    say_bytes(&p, bytes.data, bytes.len);
    puppet_await(&p, MESSAGE_REFUSED, &in);
    char *reason = xstrndup(in.message.REFUSED.reason.data, in.message.REFUSED.reason.len);
    cr_expect(strstr(reason, "version") && strstr(reason, "99"), "%s", reason);
    free(reason);
    link_frame_free(&in);
    puppet_close(&p);
    buf_free(&bytes);
    still_serves();
}

Test(hostile_peer, a_message_of_several_frames_is_refused_as_a_whole) {
    message_t hello = {.type = MESSAGE_HELLO, .HELLO = {.role = 1, .instance = 5, .name = slice_of("parts")}};
    buf_t bytes;
    puppet_t p = join();
    encode(&hello, &bytes);
    for (int parts = 2; parts < 5; parts++) {
        for (int i = 0; i < parts; i++) {
            zmq_send(zsock_resolve(p.socket), bytes.data, bytes.len, i + 1 < parts ? ZMQ_SNDMORE : 0);
        }
        expect_refused(&p, "several frames");
    }
    puppet_close(&p);
    buf_free(&bytes);
    still_serves();
}

Test(hostile_peer, an_id_chosen_by_the_sender_is_not_used) {
    static const char *const ids[] = {"a", "four", "\x01idid", "a-long-identity-that-is-not-a-number"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        zsock_t *s = link_socket(ZMQ_DEALER, 200, SOCKET_HWM);
        buf_t bytes;
        zsock_set_identity(s, ids[i]);
        cr_assert_eq(link_attach(s, LINK_CONNECT, endpoint, NULL), 0);
        message_t hello = {.type = MESSAGE_HELLO,
                           .HELLO = {.role = 1, .instance = 5, .name = slice_of("chosen")}};
        encode(&hello, &bytes);
        cr_assert(link_send_bytes(s, 0, bytes.data, bytes.len));
        buf_free(&bytes);
        zsock_destroy(&s);
    }
    still_serves();
}

Test(hostile_peer, a_frame_above_the_limit_ends_that_connection_only) {
    size_t len = MESSAGE_BYTES_MAX + 1;
    char *bytes = xcalloc(1, len);
    puppet_t p = join();
    zsock_set_maxmsgsize(p.socket, -1);
    say_bytes(&p, bytes, len);
    free(bytes);
    still_serves();
    puppet_close(&p);
}

/* A peer that never joined, and one of the wrong role, send everything there is. */
static void say_everything(puppet_t *p) {
    for (unsigned type = 2; type < 256; type++) {
        message_t m = {.type = (message_type_t)type};
        if (type == MESSAGE_BYE || strcmp(message_name(m.type), "?") == 0) continue;
        puppet_say(p, m);
    }
}

/* A job with numbers at their ends, and everything that can be said of it. */
static void say_extremes(puppet_t *p) {
    static const uint64_t numbers[] = {0, UINT64_MAX, 1};
    static row_in_t rows[] = {{.index = UINT64_MAX}, {.index = 0}, {.index = 0}};
    static row_done_t done[] = {{.index = UINT64_MAX, .status = 9}, {.index = 0}};
    const uint64_t job = 1;
    const message_t all[] = {
        {.type = MESSAGE_JOB_OPEN,
         .JOB_OPEN =
             {.job = job, .window_rows = UINT64_MAX, .window_bytes = UINT64_MAX, .concurrency = UINT64_MAX}},
        {.type = MESSAGE_JOB_OPEN, .JOB_OPEN = {.job = 2}},
        {.type = MESSAGE_ROWS, .ROWS = {.job = job, .chunk = 0, .rows = {rows, 3}}},
        {.type = MESSAGE_ROWS, .ROWS = {.job = job, .chunk = 0, .rows = {rows, 3}}},
        {.type = MESSAGE_ROWS, .ROWS = {.job = job, .chunk = UINT64_MAX, .rows = {rows, 3}}},
        {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = job, .chunks = UINT64_MAX}},
        {.type = MESSAGE_ROWS_END, .ROWS_END = {.job = job}},
        {.type = MESSAGE_ROWS, .ROWS = {.job = job, .chunk = 1, .rows = {rows, 3}}},
        {.type = MESSAGE_RESULT_CREDIT,
         .RESULT_CREDIT = {.job = job, .rows_limit = UINT64_MAX, .bytes_limit = UINT64_MAX}},
        {.type = MESSAGE_RESULTS_ACK, .RESULTS_ACK = {.job = job, .batch = UINT64_MAX}},
        {.type = MESSAGE_ROW_CREDIT, .ROW_CREDIT = {.rows = UINT64_MAX, .bytes = UINT64_MAX}},
        {.type = MESSAGE_ROW_RESULTS, .ROW_RESULTS = {.batch = UINT64_MAX, .job = job, .rows = {done, 2}}},
        {.type = MESSAGE_LEASE_RETURN,
         .LEASE_RETURN = {.batch = 1, .job = job, .rows = {(uint64_t *)numbers, 3}}},
        {.type = MESSAGE_JOB_REFUSED, .JOB_REFUSED = {.job = job, .reason = slice_of("no")}},
        {.type = MESSAGE_BEAT,
         .BEAT = {.calls_in_flight = UINT64_MAX, .rss_bytes = UINT64_MAX, .leases = UINT64_MAX}},
        {.type = MESSAGE_JOB_STOP, .JOB_STOP = {.job = job, .mode = 77}},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        puppet_say(p, all[i]);
    }
}

Test(hostile_peer, messages_out_of_turn_do_no_harm) {
    puppet_t stranger = join();
    say_everything(&stranger);
    stranger.epoch = 12345;
    say_everything(&stranger);
    for (uint64_t role = 1; role <= 2; role++) {
        puppet_t p;
        puppet_join(&p, endpoint, role, rng_entropy());
        say_everything(&p);
        say_extremes(&p);
        still_serves();
        puppet_close(&p);
    }
    puppet_close(&stranger);
    still_serves();
}

Test(hostile_peer, hello_with_an_unknown_role_is_refused) {
    puppet_t p = join();
    message_t hello = {.type = MESSAGE_HELLO, .HELLO = {.role = 77, .instance = 1, .name = slice_of("what")}};
    puppet_say(&p, hello);
    expect_refused(&p, "role 77");
    puppet_close(&p);
    still_serves();
}

/* Not ZeroMQ at all: a port scanner, a browser, half a greeting and silence. */
Test(hostile_peer, other_protocols_do_no_harm) {
    static const char *const greetings[] = {"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                            "\x16\x03\x01\x02\x00\x01", "\xff\0\0\0\0\0\0\0\x01\x7f"};
    int fds[64];
    for (int i = 0; i < 64; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert(connect(fds[i], (struct sockaddr *)&to, sizeof to) == 0);
        const char *greeting = greetings[i % 4];
        if (send(fds[i], greeting, i % 4 == 3 ? 10 : strlen(greeting), MSG_NOSIGNAL) < 0) continue;
        if (i % 8 == 0) close(fds[i]);
    }
    still_serves();
    for (int i = 0; i < 64; i++) {
        if (i % 8 != 0) close(fds[i]);
    }
}
