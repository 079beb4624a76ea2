/* test_endpoint_book.c - what workers say of endpoints, added up and judged. */
#include "core/sched/endpoint_book.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/sched/limits.h"

enum { WORKER_A = 1, WORKER_B = 2, SERVER = 70, OTHER = 71 };

static endpoint_book_t *book;
static void open_book(void) { book = endpoint_book_new(); }
static void close_book(void) { endpoint_book_destroy(&book); }
TestSuite(endpoint_book, .init = open_book, .fini = close_book);

static endpoint_report_t report(uint64_t requests, uint64_t answered) {
    return (endpoint_report_t){.endpoint = SERVER,
                               .address = "http://gpu1",
                               .requests = requests,
                               .answered = answered,
                               .answered_ms = answered ? 0 : ENDPOINT_NEVER};
}

/* So many calls wait with a refusal. */
static endpoint_report_t refused(uint64_t calls) {
    endpoint_report_t r = report(calls, 0);
    r.refused = r.waiting = r.refused_in_a_row = calls;
    r.trouble = LLM_CAUSE_ENDPOINT;
    strcpy(r.trouble_text, "HTTP 401: no such key");
    return r;
}

static void say(uint64_t worker, endpoint_report_t r, uint64_t now) {
    endpoint_book_take(book, worker, &r, 1, now);
}

static endpoint_report_t sum(uint64_t now) {
    endpoint_report_t r;
    cr_assert_eq(endpoint_book_sum(book, now, &r, 1), 1);
    return r;
}

static endpoint_verdict_t judge(uint64_t rows, bool ended, uint64_t now) {
    endpoint_ruling_t r;
    endpoint_facts_t facts = {.rows_unfinished = rows, .none_come = ended};
    return endpoint_book_judge(book, &facts, now, &r);
}

Test(endpoint_book, what_workers_say_is_added_up) {
    endpoint_report_t a = report(10, 8), b = report(5, 5);
    a.in_flight = 2;
    b.retries[LLM_CAUSE_SERVER] = 1;
    cr_assert_eq(endpoint_book_sum(book, 0, &a, 1), 0);
    a.endpoint = SERVER;
    say(WORKER_A, a, 0);
    say(WORKER_B, b, 0);
    cr_expect_eq(sum(0).requests, 15);
    cr_expect_eq(sum(0).answered, 13);
    cr_expect_eq(sum(0).in_flight, 2);
    cr_expect_eq(sum(0).retries[LLM_CAUSE_SERVER], 1);
    cr_expect_str_eq(sum(0).address, "http://gpu1");
    cr_expect_eq(sum(3 * SECOND).answered_ms, 3000);
    say(WORKER_A, report(11, 9), SECOND);
    cr_expect_eq(sum(SECOND).requests, 16, "reports are absolute");
}

Test(endpoint_book, each_request_is_counted_once) {
    say(WORKER_A, report(10, 8), 0);
    say(WORKER_B, report(5, 5), 0);
    endpoint_book_gone(book, WORKER_A);
    cr_expect_eq(sum(0).requests, 15, "it is gone, its requests were made");
    say(WORKER_A, report(12, 8), 1);
    cr_expect_eq(sum(1).requests, 17, "it was only taken for dead, and counts on");
    endpoint_book_gone(book, WORKER_A);
    say(WORKER_A, report(3, 1), 2);
    cr_expect_eq(sum(2).requests, 20, "it has begun the job again");
    cr_expect_eq(sum(2).answered, 14);
    say(WORKER_A, report(4, 2), 3);
    cr_expect_eq(sum(3).requests, 21);
}

Test(endpoint_book, workers_beyond_the_memory_are_one_lump) {
    for (uint64_t i = 0; i < WORKERS_MAX + 10; i++) {
        say(100 + i, report(2, 1), i);
        endpoint_book_gone(book, 100 + i);
    }
    cr_expect_eq(sum(SECOND).requests, 2 * (WORKERS_MAX + 10));
    cr_expect_eq(sum(SECOND).answered, WORKERS_MAX + 10);
}

Test(endpoint_book, the_best_state_of_the_living_counts) {
    endpoint_report_t closed = report(1, 0);
    closed.state = ENDPOINT_CLOSED;
    closed.reopens_ms = 5000;
    say(WORKER_A, closed, 0);
    cr_expect_eq(sum(SECOND).state, ENDPOINT_CLOSED);
    cr_expect_eq(sum(SECOND).reopens_ms, 4000);
    say(WORKER_B, report(1, 1), 0);
    cr_expect_eq(sum(0).state, ENDPOINT_OPEN);
    endpoint_book_gone(book, WORKER_B);
    cr_expect_eq(sum(0).state, ENDPOINT_CLOSED);
    endpoint_book_gone(book, WORKER_A);
    cr_expect_eq(sum(0).state, ENDPOINT_OPEN, "nobody says anything else");
}

Test(endpoint_book, a_final_endpoint_of_a_worker_is_final) {
    endpoint_ruling_t r;
    say(WORKER_A, report(50, 50), 0);
    cr_expect_eq(judge(100, false, 0), ENDPOINT_GOES_ON);
    endpoint_report_t final = refused(16);
    final.state = ENDPOINT_FINAL;
    say(WORKER_A, final, SECOND);
    endpoint_book_judge(book, &(endpoint_facts_t){.rows_unfinished = 100}, SECOND, &r);
    cr_expect_eq(r.verdict, ENDPOINT_IS_FINAL);
    cr_expect_str_eq(r.of.trouble_text, "HTTP 401: no such key");
}

Test(endpoint_book, while_one_worker_is_answered_the_other_is_unfit) {
    endpoint_report_t final = refused(16), well = report(50, 50);
    endpoint_facts_t facts = {.rows_unfinished = 100};
    endpoint_ruling_t r;
    final.state = ENDPOINT_FINAL;
    say(WORKER_A, final, 0);
    say(WORKER_B, well, 0);
    cr_expect_eq(endpoint_book_judge(book, &facts, 0, &r), ENDPOINT_UNFIT_WORKER);
    cr_expect_eq(r.worker, WORKER_A);
    cr_expect_eq(judge(100, false, ENDPOINT_ANSWERS_MS * MILLISECOND), ENDPOINT_IS_FINAL,
                 "nobody is answered any more");
    well.refused_in_a_row = 1;
    say(WORKER_B, well, 0);
    cr_expect_eq(judge(100, false, 0), ENDPOINT_IS_FINAL, "it has met it, too");
    well.refused_in_a_row = 0;
    say(WORKER_B, well, 0);
    endpoint_book_gone(book, WORKER_A);
    cr_expect_eq(judge(100, false, 0), ENDPOINT_GOES_ON, "the job does without it");
}

Test(endpoint_book, a_shorter_input_is_final_when_all_its_rows_wait) {
    say(WORKER_A, refused(2), 0);
    say(WORKER_B, refused(1), 0);
    cr_expect_eq(judge(4, true, 0), ENDPOINT_GOES_ON, "one row goes on");
    cr_expect_eq(judge(3, false, SECOND), ENDPOINT_GOES_ON, "more rows may come");
    cr_expect_eq(judge(3, true, 2 * SECOND), ENDPOINT_GOES_ON, "results may be on their way");
    cr_expect_eq(judge(3, true, 2 * SECOND + ENDPOINT_STUCK_NS), ENDPOINT_IS_FINAL);
}

Test(endpoint_book, what_has_waited_is_counted_anew_when_rows_end) {
    say(WORKER_A, refused(3), 0);
    cr_expect_eq(judge(3, true, 0), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(2, true, ENDPOINT_STUCK_NS), ENDPOINT_GOES_ON, "one of the results is there");
    say(WORKER_A, report(9, 9), ENDPOINT_STUCK_NS + 1);
    cr_expect_eq(judge(1, true, 2 * ENDPOINT_STUCK_NS), ENDPOINT_GOES_ON, "it was answered in the end");
}

Test(endpoint_book, rows_that_fill_the_window_wait_for_no_others) {
    say(WORKER_A, refused(ENDPOINT_REFUSALS_MAX / 2), 0);
    say(WORKER_B, refused(ENDPOINT_REFUSALS_MAX / 2), 0);
    cr_expect_eq(judge(ENDPOINT_REFUSALS_MAX, false, 0), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(ENDPOINT_REFUSALS_MAX, false, ENDPOINT_STUCK_NS), ENDPOINT_IS_FINAL);
}

Test(endpoint_book, rows_at_two_endpoints_are_counted_together) {
    endpoint_report_t two[] = {refused(1), refused(2)};
    endpoint_ruling_t r;
    two[1].endpoint = OTHER;
    endpoint_book_take(book, WORKER_A, two, 2, 0);
    endpoint_facts_t facts = {.rows_unfinished = 3, .none_come = true};
    cr_expect_eq(endpoint_book_judge(book, &facts, 0, &r), ENDPOINT_GOES_ON);
    cr_expect_eq(endpoint_book_judge(book, &facts, ENDPOINT_STUCK_NS, &r), ENDPOINT_IS_FINAL);
    cr_expect_eq(r.of.endpoint, OTHER, "the one most rows wait for");
}

Test(endpoint_book, workers_without_room_for_other_rows_do_not_wait_for_ever) {
    say(WORKER_A, refused(2), 0);
    cr_expect_eq(judge(100, false, 0), ENDPOINT_GOES_ON);
    endpoint_report_t r = refused(2);
    r.requests = 3;
    r.in_flight = 1;
    say(WORKER_A, r, 5 * SECOND);
    cr_expect_eq(judge(100, false, 15 * SECOND), ENDPOINT_GOES_ON, "an answer may come");
    r = refused(3);
    say(WORKER_A, r, 20 * SECOND);
    cr_expect_eq(judge(100, false, 20 * SECOND), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(100, false, 20 * SECOND + ENDPOINT_QUIET_NS), ENDPOINT_IS_FINAL);
    say(WORKER_A, refused(1), 40 * SECOND);
    cr_expect_eq(judge(100, false, 40 * SECOND), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(100, false, 40 * SECOND + ENDPOINT_QUIET_NS), ENDPOINT_FAILS_ITS_ROW);
}

Test(endpoint_book, the_last_rows_of_an_endpoint_that_refuses_some_fail) {
    endpoint_report_t r = refused(3);
    r.answered = 90;
    say(WORKER_A, r, 0);
    cr_expect_eq(judge(3, true, 0), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(3, true, ENDPOINT_STUCK_NS), ENDPOINT_IS_FINAL,
                 "it has never refused one row among others");
    r.faulted = 1;
    say(WORKER_A, r, 10 * SECOND);
    cr_expect_eq(judge(3, true, 20 * SECOND), ENDPOINT_FAILS_ITS_ROW);
    r.faulted = 0;
    r.answered = 3;
    say(WORKER_A, r, 30 * SECOND);
    cr_expect_eq(judge(3, true, 40 * SECOND), ENDPOINT_FAILS_ITS_ROW,
                 "three answers do not say that it takes any row");
    r.answered = 0;
    say(WORKER_A, r, 50 * SECOND);
    cr_expect_eq(judge(3, true, 60 * SECOND), ENDPOINT_IS_FINAL);
}

Test(endpoint_book, a_single_row_fails) {
    say(WORKER_A, refused(1), 0);
    cr_expect_eq(judge(1, false, 0), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(1, true, 0), ENDPOINT_GOES_ON);
    cr_expect_eq(judge(1, true, ENDPOINT_STUCK_NS), ENDPOINT_FAILS_ITS_ROW);
}
