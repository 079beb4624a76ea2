/* What the monitor's web server is asked. */
#include "actors/monitor/request.h"

#include <criterion/criterion.h>

Test(request, a_page_is_known_by_its_path) {
    request_verdict_t v = request_judge("GET", "/stats.json", "127.0.0.1:9464", true);
    cr_expect_eq(v.status, 200);
    cr_expect_eq(v.page, PAGE_STATS);
    cr_expect_eq(request_judge("HEAD", "/", "localhost", true).page, PAGE_DASHBOARD);
    cr_expect_eq(request_judge("GET", "/stats.json/", NULL, true).status, 404);
    cr_expect_eq(request_judge("POST", "/stats.json", NULL, true).status, 405);
}

Test(request, a_name_elsewhere_that_points_here_gets_nothing) {
    static const char *const ours[] = {"localhost",   "LocalHost:9464", "127.0.0.1",
                                       "127.9.8.7:1", "[::1]:80",       "[::1]"};
    static const char *const others[] = {"",
                                         "example.com",
                                         "127.0.0.1.example.com",
                                         "localhost.example.com:80",
                                         "[::2]:80",
                                         "[::1",
                                         "[",
                                         "127.0.0.1x:80",
                                         "10.0.0.1",
                                         "1127.0.0.1"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        cr_expect(request_host_is_local(ours[i]), "%s", ours[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_expect(!request_host_is_local(others[i]), "%s", others[i]);
        cr_expect_eq(request_judge("GET", "/", others[i], true).status, 403);
        cr_expect_eq(request_judge("GET", "/", others[i], false).status, 200);
    }
}

Test(request, a_page_has_a_number) {
    cr_expect_eq(request_page_number(NULL), 0);
    cr_expect_eq(request_page_number("x"), 0);
    cr_expect_eq(request_page_number("123"), 123);
}
