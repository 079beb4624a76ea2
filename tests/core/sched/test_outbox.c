/* The outbox, call by call. A frame here is a text: "7:3 ok a/m,5" is batch 7 of job 3 with its rows. */
#include "core/sched/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/sched/limits.h"

#include <criterion/criterion.h>

static int encoded; /* batches, in this process: Criterion gives each test its own */

static void encode(void *self, const outbox_batch_t *batch, buf_t *frame) {
    cr_assert_eq(frame->len, 0);
    cr_assert_gt(batch->count, 0);
    cr_assert_eq(!batch->done, batch->returned != NULL);
    encoded++;
    buf_addf(frame, "%s%" PRIu64 ":%" PRIu64, (const char *)self, batch->number, batch->job);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->done)
            buf_addf(frame, " %" PRIu64 "=%.*s/%.*s", batch->done[i].index, (int)batch->done[i].json.len,
                     batch->done[i].json.data, (int)batch->done[i].meta.len, batch->done[i].meta.data);
        else
            buf_addf(frame, " -%" PRIu64, batch->returned[i]);
    }
}

static outbox_t *new_outbox(void) { return outbox_new(encode, "#"); }

static void add(outbox_t *o, uint64_t job, uint64_t index, const char *json) {
    char text[64];
    snprintf(text, sizeof text, "%s", json); /* gone when this returns: the outbox has a copy */
    outbox_add_result(o, job,
                      &(row_done_t){.index = index, .json = {text, strlen(text)}, .meta = {"m", index % 2}});
}

static void expect_frame(outbox_t *o, uint64_t now, const char *text, bool again) {
    outbox_frame_t frame;
    cr_assert(outbox_next(o, now, &frame), "no frame, expected %s", text);
    cr_assert_eq(frame.len, strlen(text), "%.*s", (int)frame.len, frame.bytes);
    cr_assert_eq(memcmp(frame.bytes, text, frame.len), 0, "%.*s", (int)frame.len, frame.bytes);
    cr_assert_eq(frame.again, again);
}

static void expect_none(outbox_t *o, uint64_t now) {
    outbox_frame_t frame;
    cr_assert_not(outbox_next(o, now, &frame), "%.*s", (int)frame.len, frame.bytes);
}

Test(outbox, a_row_leaves_and_is_acknowledged) {
    outbox_t *o = new_outbox();
    add(o, 3, 5, "{}");
    cr_assert_eq(outbox_rows(o), 1);
    outbox_flush(o, SECOND, true);
    expect_frame(o, SECOND, "#1:3 5={}/m", false);
    expect_none(o, SECOND);
    cr_assert_eq(outbox_rows(o), 1, "until it is acknowledged");
    cr_assert(outbox_acknowledged(o, 1));
    cr_assert_eq(outbox_rows(o), 0);
    cr_assert_eq(outbox_bytes(o), 0);
    expect_none(o, 100 * SECOND);
    outbox_destroy(&o);
    cr_assert_null(o);
    outbox_destroy(&o);
}

Test(outbox, rows_wait_for_company) {
    outbox_t *o = new_outbox();
    cr_assert_eq(outbox_due(o, true), UINT64_MAX);
    add(o, 1, 2, "a");
    cr_assert_eq(outbox_due(o, true), 0, "nobody else comes");
    outbox_flush(o, SECOND, false); /* the last flush is long ago */
    expect_frame(o, SECOND, "#1:1 2=a/", false);
    add(o, 1, 4, "b");
    cr_assert_eq(outbox_due(o, false), SECOND + RESULT_GATHER_NS);
    outbox_flush(o, SECOND + RESULT_GATHER_NS - 1, false);
    expect_none(o, SECOND + RESULT_GATHER_NS - 1);
    add(o, 1, 5, "cc");
    add(o, 1, 6, "d");
    outbox_flush(o, SECOND + RESULT_GATHER_NS, false);
    expect_frame(o, SECOND + RESULT_GATHER_NS, "#2:1 4=b/ 5=cc/m 6=d/", false);
    for (uint64_t i = 0; i < RESULT_GATHER_ROWS; i++) {
        cr_assert_neq(outbox_due(o, false), 0);
        outbox_add_returned(o, 1, i);
    }
    cr_assert_eq(outbox_due(o, false), 0, "many are enough");
    outbox_destroy(&o);
}

Test(outbox, jobs_and_kinds_leave_apart) {
    outbox_t *o = new_outbox();
    outbox_frame_t frame;
    add(o, 1, 10, "a");
    outbox_add_returned(o, 1, 12);
    add(o, 2, 14, "b");
    outbox_add_returned(o, 1, 16);
    cr_assert_eq(outbox_rows(o), 4);
    outbox_flush(o, SECOND, true);
    bool seen[3] = {0};
    while (outbox_next(o, SECOND, &frame)) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)frame.len, frame.bytes);
        const char *rest = strchr(text, ':') + 1;
        seen[0] |= strcmp(rest, "1 10=a/") == 0;
        seen[1] |= strcmp(rest, "1 -12 -16") == 0;
        seen[2] |= strcmp(rest, "2 14=b/") == 0;
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
    cr_assert_eq(encoded, 3);
    cr_assert_eq(outbox_rows(o), 4);
    outbox_destroy(&o);
}

/* Batches of one flush each: numbers and frames in the order of the flushes. */
static void send_three(outbox_t *o, uint64_t now) {
    static const char *const texts[] = {"a", "b", "c"};
    for (uint64_t i = 0; i < 3; i++) {
        add(o, 1, 2 * i, texts[i]);
        outbox_flush(o, now, true);
    }
}

Test(outbox, batches_keep_their_order) {
    outbox_t *o = new_outbox();
    send_three(o, SECOND);
    expect_frame(o, SECOND, "#1:1 0=a/", false);
    expect_frame(o, SECOND, "#2:1 2=b/", false);
    expect_frame(o, SECOND, "#3:1 4=c/", false);
    expect_none(o, SECOND + RESEND_NS - 1);
    cr_assert(outbox_acknowledged(o, 2));
    expect_frame(o, SECOND + RESEND_NS, "#1:1 0=a/", true);
    add(o, 1, 6, "d");
    outbox_flush(o, SECOND + RESEND_NS, true);
    expect_frame(o, SECOND + RESEND_NS, "#4:1 6=d/", false); /* new ones first */
    expect_frame(o, SECOND + RESEND_NS, "#3:1 4=c/", true);
    expect_none(o, SECOND + RESEND_NS);
    outbox_destroy(&o);
}

Test(outbox, resends_back_off_and_never_end) {
    outbox_t *o = new_outbox();
    add(o, 1, 2, "a");
    outbox_flush(o, 0, true);
    expect_frame(o, 0, "#1:1 2=a/", false);
    uint64_t now = 0, wait = RESEND_NS;
    for (int i = 0; i < 12; i++) {
        expect_none(o, now + wait - 1);
        now += wait;
        expect_frame(o, now, "#1:1 2=a/", true);
        expect_none(o, now);
        wait = 2 * wait < RESEND_NS_MAX ? 2 * wait : RESEND_NS_MAX;
    }
    cr_assert_eq(wait, RESEND_NS_MAX);
    cr_assert_eq(encoded, 1, "a batch is encoded once");
    outbox_destroy(&o);
}

Test(outbox, acknowledged_once) {
    outbox_t *o = new_outbox();
    send_three(o, SECOND);
    cr_assert_not(outbox_acknowledged(o, 1), "it was not sent yet");
    for (outbox_frame_t frame; outbox_next(o, SECOND, &frame);) {
    }
    cr_assert(outbox_acknowledged(o, 3));
    cr_assert_not(outbox_acknowledged(o, 3));
    cr_assert_not(outbox_acknowledged(o, 9));
    cr_assert_eq(outbox_rows(o), 2);
    cr_assert(outbox_acknowledged(o, 1));
    cr_assert(outbox_acknowledged(o, 2));
    cr_assert_eq(outbox_rows(o), 0);
    cr_assert_eq(outbox_bytes(o), 0);
    outbox_destroy(&o);
}

Test(outbox, many_rows_are_several_batches) {
    outbox_t *o = new_outbox();
    outbox_frame_t frame;
    for (uint64_t i = 0; i < RESULT_BATCH_ROWS_MAX + 1; i++) {
        add(o, 1, i, "x");
    }
    cr_assert(outbox_next(o, SECOND, &frame), "a full batch does not wait for a flush");
    expect_none(o, SECOND);
    cr_assert_eq(outbox_rows(o), RESULT_BATCH_ROWS_MAX + 1);
    outbox_destroy(&o);
}

Test(outbox, bytes_are_counted) {
    outbox_t *o = new_outbox();
    enum { ROW = 1 << 20 };
    char *json = xmalloc(ROW);
    outbox_frame_t frame;
    memset(json, 'x', ROW);
    uint64_t rows = 0;
    for (; !outbox_next(o, SECOND, &frame); rows++) {
        cr_assert_eq(outbox_bytes(o), rows * ROW);
        outbox_add_result(o, 1, &(row_done_t){.index = rows, .json = {json, ROW}});
    }
    cr_assert_eq(rows, RESULT_BATCH_BYTES_MAX / ROW);
    cr_assert_eq(outbox_bytes(o), frame.len);
    cr_assert_gt(frame.len, RESULT_BATCH_BYTES_MAX);
    free(json);
    outbox_destroy(&o);
}

Test(outbox, a_forgotten_job_keeps_its_batches) {
    outbox_t *o = new_outbox();
    add(o, 1, 2, "a");
    outbox_flush(o, SECOND, true);
    add(o, 1, 4, "b");
    outbox_add_returned(o, 1, 6);
    add(o, 2, 8, "c");
    outbox_forget(o, 1);
    outbox_forget(o, 7);
    cr_assert_eq(outbox_rows(o), 2);
    outbox_flush(o, SECOND, true);
    expect_frame(o, SECOND, "#1:1 2=a/", false);
    expect_frame(o, SECOND, "#2:2 8=c/", false);
    expect_none(o, SECOND);
    outbox_destroy(&o);
}

Test(outbox, cleared_with_the_scheduler) {
    outbox_t *o = new_outbox();
    send_three(o, SECOND);
    expect_frame(o, SECOND, "#1:1 0=a/", false);
    add(o, 1, 8, "d");
    outbox_clear(o);
    cr_assert_eq(outbox_rows(o), 0);
    cr_assert_eq(outbox_bytes(o), 0);
    cr_assert_eq(outbox_due(o, true), UINT64_MAX);
    expect_none(o, 100 * SECOND);
    add(o, 1, 10, "e");
    outbox_flush(o, 100 * SECOND, true);
    expect_frame(o, 100 * SECOND, "#4:1 10=e/",
                 false); /* numbers go on: a late acknowledgement finds nothing */
    outbox_destroy(&o);
}
