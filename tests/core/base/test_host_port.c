/* test_host_port.c - addresses to listen on, and what is none. */
#include <criterion/criterion.h>

#include "core/base/host_port.h"

static void expect(const char *address, const char *host, const char *port) {
    char got[16];
    const char *digits;
    cr_assert(host_port_split(address, got, sizeof got, &digits), "%s", address);
    cr_assert_str_eq(got, host);
    cr_assert_str_eq(digits, port);
}

Test(host_port, is_split_at_the_last_colon) {
    expect("127.0.0.1:9464", "127.0.0.1", "9464");
    expect("localhost:0", "localhost", "0");
    expect("[::1]:65535", "::1", "65535");
    expect("::1:80", "::1", "80");
}

Test(host_port, what_is_none_is_refused) {
    static const char *const wrong[] = {
        "",        "9464",    ":9464",       "host:",   "host:x",
        "h:-1",    "h:65536", "h:1 ",        "[]:80",   "[[::1]:80",
        "[::1:80", "a]:80",   "host:000080", "0.0.0.0", "a-host-of-16-bytes:80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char host[16];
        const char *port;
        cr_assert_not(host_port_split(wrong[i], host, sizeof host, &port), "%s", wrong[i]);
    }
}
