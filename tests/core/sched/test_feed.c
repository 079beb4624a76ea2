/* The feed, call by call. Row n has the index n and ROW_BYTES bytes that follow from n. */
#include "core/sched/feed.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/sched/limits.h"

#include <criterion/criterion.h>

enum { ROW_BYTES = 10 };
static const char bytes[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static feed_t *new_feed(uint64_t window_rows, uint64_t chunk_rows) {
    return feed_new(&(feed_options_t){
        .window_rows = window_rows, .window_bytes = 1000, .chunk_rows = chunk_rows, .chunk_bytes = 100});
}

static void add(feed_t *f, uint64_t index) {
    char raw[ROW_BYTES];
    memcpy(raw, bytes + index % 16, ROW_BYTES); /* gone when this returns: the feed has a copy */
    feed_add(f, &(row_in_t){.index = index, .line = index + 1, .raw = {raw, ROW_BYTES}}, 2 * ROW_BYTES);
}

/* Fills and closes one chunk from row `next` on; returns the row after it. */
static uint64_t fill(feed_t *f, uint64_t next) {
    uint64_t rows = feed_room(f, 0, 0);
    while (feed_takes(f, rows)) {
        add(f, next++);
    }
    feed_close(f);
    return next;
}

static void expect_chunk(feed_t *f, uint64_t now, uint64_t number, size_t count, uint64_t first) {
    feed_chunk_t chunk;
    cr_assert(feed_next(f, now, &chunk), "no chunk, expected %u", (unsigned)number);
    cr_assert_eq(chunk.number, number);
    cr_assert_eq(chunk.count, count, "%zu rows", chunk.count);
    cr_assert_eq(chunk.rows[0].index, first);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(chunk.rows[i].line, chunk.rows[i].index + 1);
        cr_assert_eq(chunk.rows[i].raw.len, ROW_BYTES);
        cr_assert_eq(memcmp(chunk.rows[i].raw.data, bytes + chunk.rows[i].index % 16, ROW_BYTES), 0);
    }
}

static void expect_none(feed_t *f, uint64_t now) {
    feed_chunk_t chunk;
    cr_assert_not(feed_next(f, now, &chunk));
}

static void finish(feed_t *f, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++) {
        cr_assert(feed_finished(f, i), "row %u", (unsigned)i);
    }
}

Test(feed, rows_leave_and_are_finished) {
    feed_t *f = new_feed(100, 3);
    uint64_t chunks;
    cr_assert_eq(feed_room(f, 0, 0), 0, "no credit yet");
    feed_credit(f, 100, 1000);
    cr_assert_eq(fill(f, 0), 3);
    expect_chunk(f, SECOND, 0, 3, 0);
    expect_none(f, SECOND);
    cr_assert_eq(feed_rows(f), 3);
    cr_assert_eq(feed_bytes(f), 3 * ROW_BYTES);
    cr_assert(feed_end_due(f, SECOND, &chunks));
    cr_assert_eq(chunks, 1);
    cr_assert_not(feed_end_due(f, SECOND, &chunks), "it was said");
    finish(f, 0, 3);
    cr_assert_not(feed_finished(f, 1), "a second time");
    cr_assert_eq(feed_rows(f), 0);
    cr_assert_eq(feed_bytes(f), 0);
    feed_destroy(&f);
    cr_assert_null(f);
    feed_destroy(&f);
}

Test(feed, credit_bounds_rows) {
    feed_t *f = new_feed(100, 4);
    feed_credit(f, 6, 1000);
    feed_credit(f, 3, 500); /* late, smaller: it does not fall */
    uint64_t next = fill(f, 0);
    cr_assert_eq(next, 4);
    cr_assert_eq(feed_room(f, 0, 0), 2);
    next = fill(f, next);
    cr_assert_eq(next, 6);
    cr_assert_eq(feed_room(f, 0, 0), 0);
    cr_assert_eq(fill(f, next), 6, "nothing was added");
    feed_credit(f, 8, 0);
    cr_assert_eq(feed_room(f, 0, 0), 2);
    feed_destroy(&f);
}

Test(feed, a_small_rest_of_credit_waits_while_much_is_under_way) {
    feed_t *f = new_feed(100, 10);
    feed_credit(f, 10, 1000);
    fill(f, 0);
    feed_credit(f, 14, 1000);
    cr_assert_eq(feed_room(f, 0, 0), 0, "four of ten");
    feed_credit(f, 15, 1000);
    cr_assert_eq(feed_room(f, 0, 0), 5);
    feed_destroy(&f);
    f = new_feed(100, 10);
    feed_credit(f, 3, 1000);
    cr_assert_eq(feed_room(f, 0, 0), 3, "nothing is under way");
    feed_destroy(&f);
}

Test(feed, the_last_row_may_pass_the_byte_credit) {
    feed_t *f = new_feed(100, 50);
    feed_credit(f, 50, 2 * ROW_BYTES + 1);
    uint64_t next = fill(f, 0);
    cr_assert_eq(next, 3);
    cr_assert_eq(feed_room(f, 0, 0), 0);
    finish(f, 0, 3);
    cr_assert_eq(feed_room(f, 0, 0), 47, "with nothing open one may be sent");
    cr_assert_eq(fill(f, next), 4, "one, not more");
    feed_destroy(&f);
}

Test(feed, the_window_bounds_what_is_open) {
    feed_t *f = new_feed(5, 3);
    feed_credit(f, 1000, 100000);
    uint64_t next = fill(f, 0);
    cr_assert_eq(feed_room(f, 0, 0), 2);
    cr_assert_eq(feed_room(f, 1, 0), 1, "results that wait for their turn count");
    cr_assert_eq(feed_room(f, 2, 0), 0);
    cr_assert_eq(feed_room(f, 9, 0), 0);
    cr_assert_eq(feed_room(f, 0, 1000), 0, "and their bytes");
    next = fill(f, next);
    cr_assert_eq(feed_room(f, 0, 0), 0);
    finish(f, 3, 5);
    cr_assert_eq(feed_room(f, 0, 0), 2, "in whatever order rows finish");
    cr_assert_eq(fill(f, next), 7);
    feed_destroy(&f);
}

Test(feed, a_chunk_is_full_at_its_bytes) {
    feed_t *f = new_feed(1000, 500);
    feed_credit(f, 1000, 100000);
    cr_assert_eq(fill(f, 0), 10); /* chunk_bytes */
    feed_destroy(&f);
}

Test(feed, a_lost_chunk_is_sent_again_without_its_finished_rows) {
    feed_t *f = new_feed(100, 3);
    feed_credit(f, 100, 1000);
    fill(f, fill(f, fill(f, 0)));
    for (uint64_t k = 0; k < 3; k++) {
        expect_chunk(f, SECOND, k, 3, 3 * k);
    }
    feed_arrived(f, 1, SECOND + CHUNK_RESEND_NS);
    expect_none(f, SECOND + CHUNK_RESEND_NS); /* they may be on their way */
    finish(f, 3, 4);
    feed_arrived(f, 1, SECOND + CHUNK_RESEND_NS + 1);
    expect_chunk(f, 3 * SECOND, 1, 2, 4);
    expect_chunk(f, 3 * SECOND, 2, 3, 6);
    expect_none(f, 3 * SECOND);
    feed_arrived(f, 3, 9 * SECOND);
    expect_none(f, 9 * SECOND);
    feed_destroy(&f);
}

Test(feed, a_lost_end_is_said_again) {
    feed_t *f = new_feed(100, 3);
    uint64_t chunks;
    feed_arrived(f, 0, SECOND);
    cr_assert(feed_end_due(f, SECOND, &chunks), "an empty dataset");
    cr_assert_eq(chunks, 0);
    feed_arrived(f, 0, SECOND + CHUNK_RESEND_NS);
    cr_assert_not(feed_end_due(f, SECOND + CHUNK_RESEND_NS, &chunks));
    feed_arrived(f, 0, SECOND + CHUNK_RESEND_NS + 1);
    cr_assert(feed_end_due(f, SECOND + CHUNK_RESEND_NS + 1, &chunks));
    cr_assert_not(feed_end_due(f, SECOND + CHUNK_RESEND_NS + 1, &chunks));
    feed_destroy(&f);
}

Test(feed, a_chunk_is_kept_until_all_its_rows_are_finished) {
    feed_t *f = new_feed(100, 3);
    feed_credit(f, 100, 1000);
    fill(f, fill(f, 0));
    expect_chunk(f, SECOND, 0, 3, 0);
    expect_chunk(f, SECOND, 1, 3, 3);
    finish(f, 3, 6);
    cr_assert_eq(feed_bytes(f), 3 * ROW_BYTES, "the later chunk is gone");
    finish(f, 1, 3);
    cr_assert_eq(feed_bytes(f), 3 * ROW_BYTES);
    cr_assert_eq(feed_rows(f), 1);
    fill(f, 6);
    expect_chunk(f, SECOND, 2, 3, 6);
    finish(f, 0, 1);
    cr_assert_not(feed_finished(f, 100));
    cr_assert_eq(feed_bytes(f), 3 * ROW_BYTES);
    feed_destroy(&f);
}

Test(feed, rows_may_be_left_out) {
    feed_t *f = new_feed(100, 50);
    static const uint64_t indexes[] = {3, 4, 7, 9, 20};
    feed_credit(f, 100, 1000);
    for (size_t i = 0; i < 5; i++) {
        add(f, indexes[i]);
    }
    feed_close(f);
    expect_chunk(f, SECOND, 0, 5, 3);
    for (uint64_t index = 0; index < 30; index++) {
        bool is_there = index == 3 || index == 4 || index == 7 || index == 9 || index == 20;
        cr_assert_eq(feed_finished(f, index), is_there, "row %u", (unsigned)index);
    }
    cr_assert_eq(feed_rows(f), 0);
    feed_destroy(&f);
}

Test(feed, after_a_restart_what_is_open_goes_again_under_new_numbers) {
    feed_t *f = new_feed(100, 3);
    uint64_t chunks;
    feed_credit(f, 100, 1000);
    fill(f, fill(f, fill(f, 0)));
    for (uint64_t k = 0; k < 3; k++) {
        expect_chunk(f, SECOND, k, 3, 3 * k);
    }
    feed_end_due(f, SECOND, &chunks);
    finish(f, 0, 4);
    feed_restart(f);
    cr_assert_not(feed_end_due(f, SECOND, &chunks), "chunks wait for credit");
    expect_none(f, SECOND);
    feed_credit(f, 4, 1000);
    cr_assert_eq(feed_room(f, 0, 0), 0, "old rows go first");
    expect_chunk(f, SECOND, 0, 2, 4);
    expect_none(f, SECOND); /* three rows are too many for two of credit */
    feed_credit(f, 6, 1000);
    expect_chunk(f, SECOND, 1, 3, 6);
    cr_assert(feed_end_due(f, SECOND, &chunks));
    cr_assert_eq(chunks, 2);
    cr_assert_eq(feed_room(f, 0, 0), 1);
    feed_destroy(&f);
}

Test(feed, rows_finished_before_the_new_number_are_not_waited_for) {
    feed_t *f = new_feed(100, 3);
    uint64_t chunks;
    feed_credit(f, 100, 1000);
    fill(f, fill(f, 0));
    expect_chunk(f, SECOND, 0, 3, 0);
    expect_chunk(f, SECOND, 1, 3, 3);
    feed_restart(f);
    finish(f, 0, 6);
    cr_assert(feed_end_due(f, SECOND, &chunks));
    cr_assert_eq(chunks, 0);
    feed_credit(f, 10, 1000);
    cr_assert_eq(fill(f, 6), 9);
    expect_chunk(f, SECOND, 0, 3, 6);
    feed_destroy(&f);
}

Test(feed, rows_without_a_result_say_how_much_of_the_input_they_took) {
    feed_t *f = new_feed(10, 4);
    feed_credit(f, 100, 1000);
    fill(f, 0);
    cr_expect_eq(feed_input_bytes(f), 4 * 2 * ROW_BYTES);
    finish(f, 1, 3);
    cr_expect_eq(feed_input_bytes(f), 2 * 2 * ROW_BYTES);
    feed_restart(f);
    cr_expect_eq(feed_input_bytes(f), 2 * 2 * ROW_BYTES, "open rows stay open");
    finish(f, 0, 1);
    finish(f, 3, 4);
    cr_expect_eq(feed_input_bytes(f), 0);
    feed_destroy(&f);
}

Test(feed, the_range_of_rows_that_were_sent_and_have_no_result) {
    feed_t *f = new_feed(100, 3);
    uint64_t first, end;
    cr_assert_not(feed_sent_range(f, &first, &end));
    feed_credit(f, 100, 1000);
    fill(f, fill(f, 0));
    cr_assert(feed_sent_range(f, &first, &end));
    cr_assert(first == 0 && end == 6);
    finish(f, 0, 2);
    finish(f, 5, 6);
    cr_assert(feed_sent_range(f, &first, &end));
    cr_assert(first == 2 && end == 5);
    feed_restart(f);
    cr_assert_not(feed_sent_range(f, &first, &end), "nobody has them now");
    feed_destroy(&f);
}
