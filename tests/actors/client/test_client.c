/* The client as an actor: each message it takes and sends, against a scheduler, a store and a monitor that
 * the test plays. The input and the output are files of the test. Only what is said and what is in the file
 * is looked at. */
#include "actors/client/client.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/mabel/row/row.h"
#include "core/plan/limits.h"
#include "core/sched/dispatch.h"
#include "core/store/contexts.h"
#include "proto/parts/endpoint_reports.h"
#include "proto/parts/usage.h"
#include "proto/stats.h"
#include "tests/harness/actor_harness.h"

enum { EPOCH = 101, NEW_EPOCH = 102, WINDOW = 100, MANY = 1000000, ROW_BYTES = 8 /* {"n": 3} */ };
static const char YAML[] = "mabel: {version: \"2.0\"}\n";

static char folder[64], input[96], output[96];
static puppet_t scheduler, store, monitor;
static actor_thread_t *client;
static client_args_t args;
static job_options_t options;
static uint64_t job; /* of the JOB_OPEN heard last */

/* ---- the stage */

/* The arguments of a client that is not started yet, and a scheduler that the test plays. */
static void begin(void) {
    strcpy(folder, "/tmp/sdg-test-client-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(input, sizeof input, "%s/in.jsonl", folder);
    snprintf(output, sizeof output, "%s/out.jsonl", folder);
    job_options_init(&options);
    args = (client_args_t){.endpoint = "inproc://scheduler",
                           .name = "a client",
                           .pipeline_path = "p.yaml",
                           .pipeline_folder = "/folder",
                           .pipeline_bytes = YAML,
                           .pipeline_len = sizeof YAML - 1,
                           .options = &options,
                           .rows_max = UINT64_MAX,
                           .limits = {.failure_rate = -1, .give_up_ms = UINT64_MAX / 2},
                           .drain_ms = 120000,
                           .window_rows = WINDOW,
                           .window_bytes = PENDING_BYTES_DEFAULT,
                           .chunk_rows = 2,
                           .concurrency = 5};
    puppet_bind(&scheduler, ZMQ_ROUTER, args.endpoint);
    scheduler.epoch = EPOCH;
}

static void end(void) {
    char *command = xasprintf("rm -rf '%s'", folder);
    actor_join(&client);
    puppet_close(&scheduler), puppet_close(&store), puppet_close(&monitor);
    job_options_free(&options);
    cr_expect_eq(system(command), 0);
    free(command);
    zsys_shutdown();
}

TestSuite(client, .init = begin, .fini = end, .timeout = 180);

static void with_store(void) {
    args.store = "inproc://store";
    puppet_bind(&store, ZMQ_ROUTER, args.store);
}

static void with_monitor(void) {
    args.monitor = "inproc://monitor";
    puppet_bind(&monitor, ZMQ_PULL, args.monitor);
}

static void write_rows(int rows) {
    FILE *f = fopen(input, "w");
    cr_assert_not_null(f);
    for (int i = 0; i < rows; i++) {
        fprintf(f, "{\"n\": %d}\n", i % 10);
    }
    fclose(f);
}

static void write_input(const char *text) {
    FILE *f = fopen(input, "w");
    cr_assert(f && fputs(text, f) >= 0);
    fclose(f);
}

static void start(void) {
    writer_options_t w = {
        .pipeline_identity = "", .input_identity = "", .options_identity = "", .ordered = args.ordered};
    err_t err = {0};
    args.reader = reader_open(input, DATA_AUTO, &err);
    args.writer = writer_open(output, &w, &args.resumed, &err);
    cr_assert(args.reader && args.writer, "%s", err.text);
    client = harness_start(client_actor, &args);
}

/* ---- what the scheduler says */

static void say(message_t m) { puppet_say(&scheduler, m); }

static void say_welcome(bool known) {
    say((message_t){.type = MESSAGE_WELCOME, .WELCOME = {.known = known}});
}

static void accept_job(void) { say((message_t){.type = MESSAGE_JOB_ACCEPTED, .JOB_ACCEPTED = {.job = job}}); }

static void give_credit(uint64_t next_chunk, uint64_t rows, uint64_t bytes) {
    say((message_t){
        .type = MESSAGE_INGEST_CREDIT,
        .INGEST_CREDIT = {.job = job, .next_chunk = next_chunk, .rows_limit = rows, .bytes_limit = bytes}});
}

static void say_end(dispatch_end_t kind, const char *reason) {
    say((message_t){.type = MESSAGE_JOB_DONE,
                    .JOB_DONE = {.job = job, .kind = kind, .reason = slice_of(reason)}});
}

static void say_done(const char *reason) {
    say_end(reason[0] ? DISPATCH_ENDED_STOPPED : DISPATCH_ENDED, reason);
}

static void refuse(message_type_t about, const char *reason) {
    say((message_t){.type = MESSAGE_REFUSED,
                    .REFUSED = {.about = about, .id = job, .reason = slice_of(reason)}});
}

/* Results of rows [first, first + count) with this status; the line is {"_row_index": N}. */
static void send_results(uint64_t batch, uint64_t first, size_t count, uint32_t status, slice_t meta) {
    row_done_t done[16];
    char line[16][64];
    cr_assert_leq(count, 16);
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(line[i], sizeof line[i], "{\"_row_index\": %" PRIu64 "}", first + i);
        done[i] =
            (row_done_t){.index = first + i, .status = status, .json = {line[i], (size_t)len}, .meta = meta};
    }
    say((message_t){.type = MESSAGE_RESULTS, .RESULTS = {.job = job, .batch = batch, .rows = {done, count}}});
}

static void send_ok(uint64_t batch, uint64_t first, size_t count) {
    send_results(batch, first, count, ROW_STATUS_OK, (slice_t){0});
}

/* ---- what the client says */

/* Hears JOB_OPEN and remembers its job. The caller frees the frame. */
static void hear_job(link_frame_t *in) {
    puppet_await(&scheduler, MESSAGE_JOB_OPEN, in);
    job = in->message.JOB_OPEN.job;
}

static void expect_job(bool reopened) {
    link_frame_t in;
    hear_job(&in);
    cr_expect_eq(in.message.JOB_OPEN.reopened, reopened);
    link_frame_free(&in);
}

/* From HELLO to the accepted job. */
static void open_job(void) {
    start();
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    expect_job(false);
    accept_job();
}

/* Hears ROWS: of this chunk, with these rows in order. */
static void expect_rows(uint64_t chunk, uint64_t first, size_t count) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    const MSG_ROWS *r = &in.message.ROWS;
    cr_assert(r->job == job && r->chunk == chunk && r->rows.count == count,
              "chunk %" PRIu64 " with %zu rows instead of %" PRIu64 " with %zu", r->chunk, r->rows.count,
              chunk, count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(r->rows.items[i].index, first + i);
        cr_expect_eq(r->rows.items[i].line, first + i + 1);
    }
    link_frame_free(&in);
}

static void expect_rows_end(uint64_t chunks) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_ROWS_END, &in);
    cr_expect_eq(in.message.ROWS_END.chunks, chunks);
    link_frame_free(&in);
}

static void expect_ack(uint64_t batch) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_RESULTS_ACK, &in);
    cr_expect_eq(in.message.RESULTS_ACK.batch, batch, "batch %" PRIu64, in.message.RESULTS_ACK.batch);
    link_frame_free(&in);
}

static void expect_nothing_of(message_type_t type) {
    cr_expect_eq(puppet_sync(&scheduler, type), 0, "%s was said", message_name(type));
}

/* Two of its beats: a second has passed since whatever was said before. */
static void let_a_second_pass(void) {
    puppet_pass(&scheduler, MESSAGE_BEAT);
    puppet_pass(&scheduler, MESSAGE_BEAT);
}

static void expect_end(int exit_code, const char *reason) {
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_BYE, &in);
    cr_expect(reason[0] ? slice_has(in.message.BYE.reason, reason) : in.message.BYE.reason.len == 0, "%.*s",
              (int)in.message.BYE.reason.len, in.message.BYE.reason.data);
    link_frame_free(&in);
    cr_expect_eq(harness_hear_word(client, "END"), exit_code);
}

static void expect_output(const char *text) {
    char found[4096] = "";
    FILE *f = fopen(output, "r");
    cr_assert_not_null(f);
    size_t len = fread(found, 1, sizeof found - 1, f);
    found[len] = '\0';
    fclose(f);
    cr_expect_str_eq(found, text);
}

/* ---- joining */

Test(client, hello_welcome_and_the_job) {
    link_frame_t in;
    write_rows(1);
    args.priority = 3;
    args.needs_python = true;
    start();
    puppet_await(&scheduler, MESSAGE_HELLO, &in);
    cr_expect_eq(in.message.HELLO.role, ROLE_CLIENT);
    cr_expect(in.message.HELLO.instance != 0);
    cr_expect(slice_is(in.message.HELLO.name, "a client"));
    cr_expect_eq(in.message.HELLO.patience_ms, 0, "it lives and dies with its scheduler");
    link_frame_free(&in);
    say_welcome(true);
    hear_job(&in);
    const MSG_JOB_OPEN *open = &in.message.JOB_OPEN;
    cr_expect_eq(in.message.epoch, EPOCH);
    cr_expect(slice_is(open->path, "p.yaml") && slice_is(open->folder, "/folder") &&
              slice_is(open->bundle, YAML));
    cr_expect_eq(open->window_rows, WINDOW);
    cr_expect_eq(open->window_bytes, PENDING_BYTES_DEFAULT);
    cr_expect_eq(open->concurrency, 5);
    cr_expect_eq(open->priority, 3);
    cr_expect_eq(open->needs, JOB_NEEDS_PYTHON);
    cr_expect_eq(open->reopened, 0);
    link_frame_free(&in);
    expect_job(false); /* not answered, so it is said again with the next beat */
}

Test(client, hello_is_repeated_until_it_is_answered) {
    uint64_t instance;
    link_frame_t in;
    write_rows(1);
    start();
    puppet_await(&scheduler, MESSAGE_HELLO, &in);
    instance = in.message.HELLO.instance;
    link_frame_free(&in);
    puppet_await(&scheduler, MESSAGE_HELLO, &in);
    cr_expect_eq(in.message.HELLO.instance, instance);
    link_frame_free(&in);
    say_welcome(true);
    expect_job(false);
}

Test(client, who_is_not_known_says_hello_again) {
    write_rows(1);
    open_job();
    say_welcome(false);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    expect_job(true);
}

Test(client, what_is_of_another_epoch_or_job_is_ignored) {
    write_rows(4);
    open_job();
    puppet_sync(&scheduler, MESSAGE_NONE);
    scheduler.epoch = NEW_EPOCH;
    give_credit(0, 2, MANY);
    scheduler.epoch = EPOCH;
    say((message_t){.type = MESSAGE_INGEST_CREDIT,
                    .INGEST_CREDIT = {.job = job + 1, .rows_limit = 2, .bytes_limit = MANY}});
    expect_nothing_of(MESSAGE_ROWS);
}

/* ---- rows */

Test(client, rows_wait_for_credit_in_rows) {
    write_rows(5);
    open_job();
    puppet_sync(&scheduler, MESSAGE_NONE);
    expect_nothing_of(MESSAGE_ROWS);
    give_credit(0, 3, MANY);
    expect_rows(0, 0, 2);
    expect_rows(1, 2, 1);
    expect_nothing_of(MESSAGE_ROWS);
    give_credit(2, MANY, MANY);
    expect_rows(2, 3, 2);
    expect_rows_end(3);
}

Test(client, rows_wait_for_credit_in_bytes) {
    write_rows(5);
    open_job();
    give_credit(0, MANY, ROW_BYTES + 1); /* the last row may pass the limit */
    expect_rows(0, 0, 2);
    expect_nothing_of(MESSAGE_ROWS);
    give_credit(1, MANY, MANY);
    expect_rows(1, 2, 2);
    expect_rows(2, 4, 1);
    expect_rows_end(3);
}

Test(client, no_more_rows_than_the_window_are_unfinished) {
    write_rows(5);
    args.window_rows = 2;
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 0, 2);
    expect_nothing_of(MESSAGE_ROWS);
    send_ok(1, 0, 2);
    expect_rows(1, 2, 2);
}

Test(client, lost_chunks_and_the_lost_end_are_sent_again) {
    write_rows(3);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    let_a_second_pass();
    give_credit(1, MANY, MANY); /* chunk 0 is there, chunk 1 is not */
    expect_rows(1, 2, 1);
    expect_rows_end(2);
}

Test(client, a_chunk_on_its_way_is_not_sent_again) {
    write_rows(2);
    open_job();
    uint64_t before = clock_now_ns();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    give_credit(0, MANY, MANY);
    size_t again = puppet_sync(&scheduler, MESSAGE_ROWS);
    cr_expect(again == 0 || clock_now_ns() - before > SECOND,
              "a machine that slow may believe that it was lost");
}

Test(client, a_record_that_is_no_row_fails_without_a_worker) {
    write_input("{\"n\": 0}\n\"\xff\"\n{\"n\": 2}\n");
    open_job();
    give_credit(0, MANY, MANY);
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    cr_assert_eq(in.message.ROWS.rows.count, 2);
    cr_expect_eq(in.message.ROWS.rows.items[0].index, 0);
    cr_expect_eq(in.message.ROWS.rows.items[1].index, 2);
    link_frame_free(&in);
    send_ok(1, 0, 1);
    send_ok(2, 2, 1);
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
    expect_output("{\"_row_index\": 1, \"_error\": \"input line 2: not valid UTF-8 (is the file in another "
                  "encoding?)\"}\n"
                  "{\"_row_index\": 0}\n{\"_row_index\": 2}\n");
}

Test(client, finished_rows_are_not_submitted) {
    FILE *f = fopen(output, "w");
    fputs("{\"_row_index\": 1}\n", f);
    fclose(f);
    write_rows(3);
    args.rows_max = 3;
    open_job();
    give_credit(0, MANY, MANY);
    link_frame_t in;
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    cr_assert_eq(in.message.ROWS.rows.count, 2);
    cr_expect_eq(in.message.ROWS.rows.items[1].index, 2);
    link_frame_free(&in);
    send_ok(1, 0, 1);
    send_ok(2, 2, 1);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
    expect_output("{\"_row_index\": 1}\n{\"_row_index\": 0}\n{\"_row_index\": 2}\n");
}

Test(client, a_pipe_is_read_as_it_fills) {
    cr_assert_eq(mkfifo(input, 0600), 0);
    int writer = open(input, O_RDWR);
    cr_assert(writer >= 0 && write(writer, "{\"n\": 0}\n", 9) == 9);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 0, 1);
    expect_nothing_of(MESSAGE_ROWS_END);
    cr_assert_eq(write(writer, "{\"n\": 1}\n{\"n\": 2}\n", 18), 18);
    expect_rows(1, 1, 2);
    close(writer);
    expect_rows_end(2);
}

/* ---- results */

Test(client, results_are_acknowledged_when_the_file_has_them) {
    link_frame_t in;
    write_rows(2);
    open_job();
    give_credit(0, MANY, MANY);
    puppet_await(&scheduler, MESSAGE_RESULT_CREDIT, &in);
    cr_expect_eq(in.message.RESULT_CREDIT.rows_limit, WINDOW);
    link_frame_free(&in);
    expect_rows_end(1);
    send_ok(1, 0, 2);
    expect_ack(1);
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
    puppet_await(&scheduler, MESSAGE_RESULT_CREDIT, &in);
    cr_expect_eq(in.message.RESULT_CREDIT.rows_limit, WINDOW + 2);
    cr_expect_eq(in.message.RESULT_CREDIT.bytes_limit, PENDING_BYTES_DEFAULT + 2 * 17);
    link_frame_free(&in);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
}

Test(client, a_batch_out_of_order_is_ignored) {
    write_rows(3);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    send_ok(2, 1, 1);
    expect_nothing_of(MESSAGE_RESULTS_ACK);
    expect_output("");
    send_ok(1, 0, 1);
    expect_ack(1);
    send_ok(2, 1, 1);
    expect_ack(2);
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
}

Test(client, what_comes_twice_is_written_once) {
    write_rows(2);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    send_ok(1, 0, 1);
    expect_ack(1);
    send_ok(1, 0, 1);
    expect_ack(1);
    send_ok(2, 0, 2); /* row 0 in another batch */
    expect_ack(2);
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
}

Test(client, ordered_results_wait_for_those_before_them) {
    write_rows(3);
    args.ordered = true;
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    send_ok(1, 1, 2);
    expect_ack(1);
    expect_output("");
    send_ok(2, 0, 1);
    expect_ack(2);
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": 2}\n");
}

/* ---- the end */

Test(client, a_failed_row_shows_in_the_exit_code) {
    write_rows(1);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    send_results(1, 0, 1, ROW_STATUS_FAILED, (slice_t){0});
    expect_ack(1);
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
}

Test(client, a_job_that_cannot_be_run_ends_with_the_reason) {
    write_rows(1);
    open_job();
    say_end(DISPATCH_ENDED_REFUSED, "no worker can run it");
    expect_end(EXIT_PIPELINE, "no worker can run it");
}

Test(client, an_endpoint_that_refuses_everything_ends_it) {
    write_rows(3);
    with_monitor();
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    send_ok(1, 0, 1);
    expect_ack(1);
    say_end(DISPATCH_ENDED_FINAL, "http://gpu1 refuses every request: HTTP 401: no such key");
    expect_end(EXIT_RUNTIME, "http://gpu1 refuses every request: HTTP 401: no such key");
    expect_output("{\"_row_index\": 0}\n");
}

Test(client, too_many_failed_rows_stop_it) {
    args.limits.failures = 2;
    write_rows(5);
    open_job();
    give_credit(0, 4, MANY);
    expect_rows(0, 0, 2);
    expect_rows(1, 2, 2);
    send_results(1, 0, 1, ROW_STATUS_FAILED, (slice_t){0});
    expect_ack(1);
    expect_nothing_of(MESSAGE_JOB_STOP);
    send_results(2, 1, 1, ROW_STATUS_FAILED, (slice_t){0});
    puppet_pass(&scheduler, MESSAGE_JOB_STOP);
    say_done("stopped by its client");
    expect_end(EXIT_STOPPED, "2 rows have failed (--max-failures 2)");
}

Test(client, a_run_that_was_whole_before_its_end_was_asked_for_is_whole) {
    args.limits.failures = 1;
    write_rows(1);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    send_results(1, 0, 1, ROW_STATUS_FAILED, (slice_t){0});
    puppet_pass(&scheduler, MESSAGE_JOB_STOP);
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
}

Test(client, a_refused_hello_ends_it_in_words) {
    write_rows(1);
    start();
    puppet_pass(&scheduler, MESSAGE_HELLO);
    refuse(MESSAGE_HELLO, "too many");
    expect_end(EXIT_RUNTIME, "the scheduler refused HELLO: too many");
}

Test(client, a_refused_job_ends_it_in_words) {
    write_rows(1);
    start();
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    expect_job(false);
    refuse(MESSAGE_JOB_OPEN, "too many jobs");
    expect_end(EXIT_RUNTIME, "the scheduler refused JOB_OPEN: too many jobs");
}

Test(client, another_refusal_is_not_its_end) {
    write_rows(1);
    open_job();
    refuse(MESSAGE_JOB_LIMIT, "no");
    expect_nothing_of(MESSAGE_BYE);
}

Test(client, asked_to_stop_it_drains) {
    link_frame_t in;
    write_rows(4);
    open_job();
    give_credit(0, 2, MANY);
    expect_rows(0, 0, 2);
    harness_command(client, "STOP");
    puppet_await(&scheduler, MESSAGE_JOB_STOP, &in);
    cr_expect_eq(in.message.JOB_STOP.mode, DISPATCH_STOP_DRAIN);
    link_frame_free(&in);
    give_credit(1, MANY, MANY);
    send_ok(1, 0, 2); /* what runs is finished */
    expect_ack(1);
    expect_nothing_of(MESSAGE_ROWS);
    say_done("stopped by its client");
    expect_end(EXIT_STOPPED, "stopped on request");
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
}

Test(client, asked_to_abort_it_ends_at_once) {
    link_frame_t in;
    write_rows(2);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    harness_command(client, "ABORT");
    puppet_await(&scheduler, MESSAGE_JOB_STOP, &in);
    cr_expect_eq(in.message.JOB_STOP.mode, DISPATCH_STOP_NOW);
    link_frame_free(&in);
    expect_end(EXIT_STOPPED, "stopped at once");
}

/* ---- the scheduler starts again */

Test(client, a_new_epoch_gets_the_unfinished_rows_only) {
    link_frame_t in;
    write_rows(4);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    send_ok(1, 1, 1);
    expect_ack(1);
    scheduler.epoch = NEW_EPOCH;
    say_welcome(true);
    expect_job(false);
    accept_job();
    give_credit(0, MANY, MANY);
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    cr_expect_eq(in.message.epoch, NEW_EPOCH);
    cr_assert(in.message.ROWS.chunk == 0 && in.message.ROWS.rows.count == 1);
    cr_expect_eq(in.message.ROWS.rows.items[0].index, 0);
    link_frame_free(&in);
    expect_rows(1, 2, 2);
    expect_rows_end(2);
    send_ok(1, 0, 1); /* batches count from 1 again */
    send_ok(2, 2, 2);
    expect_ack(1);
    expect_ack(2);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
    expect_output("{\"_row_index\": 1}\n{\"_row_index\": 0}\n{\"_row_index\": 2}\n{\"_row_index\": 3}\n");
}

static void expect_known_rows(uint64_t first, uint64_t end_row) {
    link_frame_t in;
    job_options_t told;
    err_t err = {0};
    puppet_await(&scheduler, MESSAGE_JOB_OPEN, &in);
    slice_t text = in.message.JOB_OPEN.options;
    cr_assert_eq(job_options_decode(text.data, text.len, &told, &err), SDG_OK, "%s", err.text);
    cr_expect_eq(told.store.first_row, first, "%" PRIu64, told.store.first_row);
    cr_expect_eq(told.store.end_row, end_row, "%" PRIu64, told.store.end_row);
    job = in.message.JOB_OPEN.job;
    job_options_free(&told);
    link_frame_free(&in);
}

Test(client, rows_that_are_submitted_again_are_said_to_have_calls_in_the_journal) {
    with_store();
    options.store = (job_store_t){.endpoint = xstrdup("tcp://127.0.0.1:1"), .calls = true};
    write_rows(6);
    open_job();
    give_credit(0, 4, MANY);
    expect_rows(0, 0, 2);
    expect_rows(1, 2, 2);
    send_ok(1, 0, 1);
    expect_ack(1);
    scheduler.epoch = NEW_EPOCH;
    say_welcome(true);
    expect_known_rows(1, 4);
    accept_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(3);
    say_welcome(true); /* the connection was away, and the job is dropped */
    expect_job(true);
    refuse(MESSAGE_JOB_OPEN, "it was dropped");
    expect_known_rows(1, 6);
}

Test(client, a_job_opened_on_a_new_epoch_is_opened_until_it_is_accepted) {
    write_rows(2);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    scheduler.epoch = NEW_EPOCH;
    say_welcome(false);
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    expect_job(false);
    expect_job(false); /* the first one was lost */
    accept_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 0, 2);
}

Test(client, a_job_that_was_dropped_is_submitted_as_another) {
    write_rows(2);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    say_welcome(true); /* the connection was away */
    expect_job(true);
    uint64_t dropped = job;
    refuse(MESSAGE_JOB_OPEN, "it was dropped");
    expect_job(false);
    cr_expect_neq(job, dropped);
    accept_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 0, 2);
}

/* ---- the monitor */

static void expect_stats(size_t which, uint64_t value) {
    for (uint64_t found = value + 1; found != value;) {
        link_frame_t in;
        puppet_await(&monitor, MESSAGE_STATS, &in);
        cr_assert_eq(in.message.STATS.role, ROLE_CLIENT);
        cr_assert_eq(in.message.STATS.values.count, CLIENT_STATS);
        found = in.message.STATS.values.items[which];
        link_frame_free(&in);
    }
}

Test(client, the_monitor_hears_how_far_it_is_and_how_it_ended) {
    link_frame_t in;
    write_rows(3);
    with_monitor();
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    expect_stats(CLIENT_rows_pending, 3);
    send_ok(1, 0, 1);
    expect_stats(CLIENT_rows_ok, 1);
    send_results(2, 1, 1, ROW_STATUS_FAILED, (slice_t){0});
    expect_stats(CLIENT_rows_failed, 1);
    harness_command(client, "STOP");
    expect_stats(CLIENT_stopping, 1);
    say_done("stopped by its client");
    puppet_await(&monitor, MESSAGE_SUMMARY, &in);
    const u64_list_t *values = &in.message.SUMMARY.values;
    cr_assert_eq(values->count, CLIENT_STATS);
    cr_expect_eq(values->items[CLIENT_rows_ok], 1);
    cr_expect_eq(values->items[CLIENT_rows_failed], 1);
    cr_expect_eq(values->items[CLIENT_can_continue], 1);
    cr_expect(slice_is(in.message.SUMMARY.ending, "stopped on request"));
    link_frame_free(&in);
    expect_end(EXIT_STOPPED, "stopped on request");
}

Test(client, the_monitor_hears_of_the_bytes_of_finished_rows_not_of_those_read) {
    write_rows(3); /* 9 bytes each */
    with_monitor();
    open_job();
    give_credit(0, 2, MANY);
    expect_stats(CLIENT_bytes_read, 18);
    expect_stats(CLIENT_bytes_done, 0);
    expect_stats(CLIENT_rows_total, 0);
    send_ok(1, 1, 1);
    expect_stats(CLIENT_bytes_done, 9);
    give_credit(1, MANY, MANY);
    expect_rows_end(2);
    expect_stats(CLIENT_rows_total, 3);
    expect_stats(CLIENT_bytes_total, 27);
    send_ok(2, 0, 1);
    send_ok(3, 2, 1);
    expect_stats(CLIENT_bytes_done, 27);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
}

Test(client, an_output_that_is_removed_ends_it_in_words) {
    write_rows(1);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    cr_assert_eq(unlink(output), 0);
    expect_end(EXIT_DATA, "removed or renamed");
}

/* ---- endpoints */

static void send_report(endpoint_report_t r) {
    buf_t bytes;
    buf_init(&bytes, 4096);
    endpoint_reports_encode(&r, 1, &bytes);
    say((message_t){.type = MESSAGE_ENDPOINT_REPORT,
                    .ENDPOINT_REPORT = {.job = job, .reports = {bytes.data, bytes.len}}});
    buf_free(&bytes);
}

/* Waits until the monitor hears of so many requests. */
static void expect_requests(uint64_t requests) {
    for (uint64_t found = requests + 1; found != requests;) {
        link_frame_t in;
        endpoint_report_t *reports;
        size_t count;
        puppet_await(&monitor, MESSAGE_ENDPOINT_REPORT, &in);
        slice_t bytes = in.message.ENDPOINT_REPORT.reports;
        cr_assert_eq(endpoint_reports_decode(bytes.data, bytes.len, &reports, &count, NULL), SDG_OK);
        cr_assert_eq(count, 1);
        found = reports[0].requests;
        free(reports);
        link_frame_free(&in);
    }
}

Test(client, the_monitor_hears_how_endpoints_fare_in_all_jobs_of_the_run) {
    write_rows(3);
    with_monitor();
    open_job();
    send_report((endpoint_report_t){.endpoint = 70, .requests = 3});
    expect_requests(3);
    say((message_t){.type = MESSAGE_ENDPOINT_REPORT,
                    .ENDPOINT_REPORT = {.job = job, .reports = slice_of("no list")}});
    say_welcome(true);
    expect_job(true);
    refuse(MESSAGE_JOB_OPEN, "the job is not known any more");
    expect_job(false);
    accept_job();
    send_report((endpoint_report_t){.endpoint = 70, .requests = 2});
    expect_requests(5);
}

Test(client, an_endpoint_that_is_closed_for_too_long_stops_it) {
    args.limits.give_up_ms = 60000;
    write_rows(3);
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(2);
    endpoint_report_t closed = {.endpoint = 70,
                                .address = "http://gpu1",
                                .state = ENDPOINT_CLOSED,
                                .reopens_ms = 59000,
                                .trouble = LLM_CAUSE_RATE_LIMIT,
                                .trouble_text = "HTTP 429: come back later"};
    send_report(closed);
    expect_nothing_of(MESSAGE_JOB_STOP);
    closed.reopens_ms = 3600000;
    send_report(closed);
    puppet_pass(&scheduler, MESSAGE_JOB_STOP);
    say_done("stopped by its client");
    expect_end(EXIT_STOPPED, "(in 1h00m), and --give-up-after is 1m00s: HTTP 429: come back later");
}

/* ---- the store */

static void expect_job_opened(void) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_JOB_OPENED, &in);
    cr_expect_eq(in.message.JOB_OPENED.job, job);
    link_frame_free(&in);
}

static void expect_job_closed(uint64_t complete) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_JOB_CLOSED, &in);
    cr_expect_eq(in.message.JOB_CLOSED.job, job);
    cr_expect_eq(in.message.JOB_CLOSED.complete, complete);
    link_frame_free(&in);
}

Test(client, the_store_hears_of_rows_that_are_safe_and_of_the_end) {
    link_frame_t in;
    write_rows(2);
    with_store();
    options.store.calls = true;
    open_job();
    expect_job_opened();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    send_ok(1, 0, 2);
    puppet_await(&store, MESSAGE_ROWS_FINISHED, &in);
    cr_expect_eq(in.message.ROWS_FINISHED.job, job);
    cr_assert_eq(in.message.ROWS_FINISHED.rows.count, 2);
    cr_expect_eq(in.message.ROWS_FINISHED.rows.items[1], 1);
    link_frame_free(&in);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
    expect_job_closed(1);
}

Test(client, the_store_keeps_the_calls_of_a_failed_row) {
    link_frame_t in;
    write_rows(2);
    with_store();
    options.store.calls = true;
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    send_results(1, 0, 1, ROW_STATUS_FAILED, (slice_t){0});
    send_ok(2, 1, 1);
    puppet_await(&store, MESSAGE_ROWS_FINISHED, &in);
    cr_assert_eq(in.message.ROWS_FINISHED.rows.count, 1);
    cr_expect_eq(in.message.ROWS_FINISHED.rows.items[0], 1, "only the row that is fine");
    link_frame_free(&in);
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
    expect_job_closed(2);
}

Test(client, a_stopped_job_is_not_complete_in_the_store) {
    write_rows(2);
    with_store();
    options.store.calls = true;
    open_job();
    harness_command(client, "STOP");
    puppet_pass(&scheduler, MESSAGE_JOB_STOP);
    say_done("stopped by its client");
    expect_end(EXIT_STOPPED, "stopped");
    expect_job_closed(0);
}

/* ---- batch mode */

static const uint32_t STOPS[] = {1};

static void with_batch_mode(void) {
    with_store();
    args.stops = STOPS;
    args.stop_count = 1;
    args.batch_min = 1;
    args.target_latency_ms = 1000;
    options.store.batch = true;
}

/* The options in JOB_OPEN say before which block rows stop. */
static void expect_pass(uint64_t other_than, uint32_t stop_before) {
    job_options_t told;
    link_frame_t in;
    err_t err = {0};
    hear_job(&in);
    cr_expect_neq(job, other_than);
    slice_t json = in.message.JOB_OPEN.options;
    cr_assert_eq(job_options_decode(json.data, json.len, &told, &err), SDG_OK, "%s", err.text);
    cr_expect_eq(told.row.stop_before, stop_before);
    job_options_free(&told);
    link_frame_free(&in);
}

/* Usage of a row whose one call took `requests` requests, all but the last of them refused. */
static void usage(buf_t *out, uint32_t requests) {
    row_usage_t used = {.calls = 1, .requests = requests, .latency_count = 1, .latency_us = {1000}};
    used.retries[0] = requests - 1;
    buf_init(out, 4096);
    usage_encode("", &used, out);
}

static void answer_sync(void) {
    link_frame_t in;
    puppet_await(&store, MESSAGE_SYNC, &in);
    puppet_say(&store, (message_t){.type = MESSAGE_SYNCED, .SYNCED = {.token = in.message.SYNC.token}});
    link_frame_free(&in);
}

Test(client, batch_mode_makes_two_passes) {
    link_frame_t in;
    uint64_t rows = 0;
    write_rows(2);
    with_batch_mode();
    start();
    puppet_pass(&scheduler, MESSAGE_HELLO);
    say_welcome(true);
    expect_pass(0, 1);
    accept_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 0, 2);
    expect_rows_end(1);
    send_results(1, 0, 2, ROW_STATUS_PARKED, (slice_t){0});
    expect_ack(1);
    uint64_t first_pass = job;
    say_done("");
    expect_job_opened();                 /* JOB_OPENED of the first pass */
    puppet_pass(&store, MESSAGE_SYNC);   /* the store does not answer this SYNC */
    expect_nothing_of(MESSAGE_JOB_OPEN); /* until the store answers, rows may be on their way to it */
    answer_sync();                       /* SYNC is said again */
    expect_pass(first_pass, 0);
    cr_expect_neq(job, first_pass);
    accept_job();
    give_credit(0, MANY, MANY);
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    rows = in.message.ROWS.rows.count;
    cr_expect_eq(rows, 2);
    cr_expect_eq(in.message.ROWS.rows.items[0].raw.len, 0, "its bytes are in the store");
    link_frame_free(&in);
    send_ok(1, 0, 2);
    puppet_await(&store, MESSAGE_CTX_COMPLETE, &in);
    cr_expect_eq(in.message.CTX_COMPLETE.owner, 0);
    cr_expect_eq(in.message.CTX_COMPLETE.rows.count, 2);
    link_frame_free(&in);
    say_done("");
    expect_end(EXIT_ALL_FINE, "");
    expect_job_closed(true);
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n");
}

Test(client, batch_mode_runs_fewer_rows_when_requests_fail) {
    link_frame_t in;
    buf_t meta;
    write_rows(8);
    with_batch_mode();
    args.chunk_rows = 8;
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows_end(1);
    usage(&meta, 3);
    send_results(1, 0, 8, ROW_STATUS_PARKED, (slice_t){meta.data, meta.len});
    uint64_t limit = args.concurrency;
    while (limit == args.concurrency) { /* it is repeated with each beat: older ones come first */
        puppet_await(&scheduler, MESSAGE_JOB_LIMIT, &in);
        cr_assert_eq(in.message.JOB_LIMIT.job, job);
        limit = in.message.JOB_LIMIT.concurrency;
        link_frame_free(&in);
    }
    cr_expect_lt(limit, args.concurrency);
    buf_free(&meta);
}

/* A record that is no row is put into the store as a row that has failed: the last pass writes it in its
 * turn. */
Test(client, batch_mode_parks_a_record_that_is_no_row) {
    link_frame_t in;
    write_input("\"\xff\"\n{\"n\": 1}\n");
    with_batch_mode();
    open_job();
    give_credit(0, MANY, MANY);
    puppet_await(&store, MESSAGE_CTX_PUT, &in);
    cr_assert(in.message.CTX_PUT.job == job && in.message.CTX_PUT.contexts.count == 1);
    const context_item_t *put = &in.message.CTX_PUT.contexts.items[0];
    cr_expect(put->row == 0 && put->part == CONTEXT_SHARED);
    cr_expect(slice_has(put->bytes, "input line 1: not valid UTF-8"));
    link_frame_free(&in);
    puppet_await(&scheduler, MESSAGE_ROWS, &in);
    cr_expect(in.message.ROWS.rows.count == 1 && in.message.ROWS.rows.items[0].index == 1);
    link_frame_free(&in);
    expect_output("");
}

Test(client, a_row_that_is_too_large_alone_fails) {
    write_input("{\"n\": \"0123456789\"}\n{\"n\": 1}\n");
    args.row_bytes_max = ROW_BYTES;
    open_job();
    give_credit(0, MANY, MANY);
    expect_rows(0, 1, 1);
    send_ok(1, 1, 1);
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
    expect_output("{\"_row_index\": 0, \"_error\": \"input line 1: this row alone has 0 MiB; --memory-limit "
                  "allows 0 MiB for "
                  "one: raise it\"}\n{\"_row_index\": 1}\n");
}

/* ---- it believes nobody */

/* One result of a worker called "liar". */
static void send_line(uint64_t batch, uint64_t row, uint32_t status, const char *line) {
    row_done_t done = {.index = row, .status = status, .json = slice_of(line)};
    say((message_t){
        .type = MESSAGE_RESULTS,
        .RESULTS = {.job = job, .batch = batch, .rows = {&done, 1}, .worker = slice_of("liar\x1b[2J")}});
    expect_ack(batch);
}

Test(client, what_is_no_result_of_an_open_row_fails_that_row_in_words) {
    write_rows(6);
    open_job();
    give_credit(0, WINDOW, 10000);
    expect_rows_end(3);
    send_line(1, 0, ROW_STATUS_OK, "{\"_row_index\": 0,\n\"n\": 1}");
    send_line(2, 1, ROW_STATUS_OK, "{\"_row_index\": 2}");
    send_line(3, 2, ROW_STATUS_PARKED, "");
    send_line(4, 3, ROW_STATUS_FAILED, "{\"_row_index\": 3}");
    send_line(5, 4242, ROW_STATUS_OK, "{\"_row_index\": 4242}");
    send_line(6, UINT64_MAX, ROW_STATUS_OK, "{\"_row_index\": 18446744073709551615}");
    send_line(7, 4, ROW_STATUS_OK, "{\"_row_index\": 4, \"n\": 4}");
    send_line(8, 4, ROW_STATUS_OK, "hello"); /* a second result is dropped, whatever it is */
    send_line(9, 0, ROW_STATUS_OK, "{\"_row_index\": 0}");
    send_line(10, 5, ROW_STATUS_FAILED, "{\"_row_index\": 5, \"_error\": \"its own\"}");
    say_done("");
    expect_end(EXIT_ROWS_FAILED, "");
    expect_output(
        "{\"_row_index\": 0, \"_error\": \"worker liar [2J sent a result that is not used: it is more "
        "than one line\"}\n"
        "{\"_row_index\": 1, \"_error\": \"worker liar [2J sent a result that is not used: its "
        "\\\"_row_index\\\" is not 1\"}\n"
        "{\"_row_index\": 2, \"_error\": \"worker liar [2J sent a result that is not used: it is to "
        "wait for another pass, and there is none\"}\n"
        "{\"_row_index\": 3, \"_error\": \"worker liar [2J sent a result that is not used: its row "
        "has failed, and there is no \\\"_error\\\"\"}\n"
        "{\"_row_index\": 4, \"n\": 4}\n"
        "{\"_row_index\": 5, \"_error\": \"its own\"}\n");
}

Test(client, in_a_pass_that_is_not_the_last_a_row_only_stops_or_fails) {
    write_rows(2);
    with_batch_mode();
    open_job();
    give_credit(0, WINDOW, 10000);
    expect_rows_end(1);
    send_line(1, 0, ROW_STATUS_OK, "{\"_row_index\": 0}");
    send_line(2, 1, ROW_STATUS_FAILED, "{\"_row_index\": 1, \"_error\": \"its workers died\"}");
    actor_join(&client);
    expect_output("{\"_row_index\": 0, \"_error\": \"worker liar [2J sent a result that is not used: it is "
                  "finished, and in this pass rows only stop\"}\n"
                  "{\"_row_index\": 1, \"_error\": \"its workers died\"}\n");
}

Test(client, a_job_with_open_rows_is_not_done_whoever_says_so) {
    write_rows(4);
    open_job();
    give_credit(0, WINDOW, 10000);
    expect_rows_end(2);
    send_ok(1, 0, 3);
    expect_ack(1);
    say_done("");
    expect_end(EXIT_RUNTIME, "1 row of it has no result");
    expect_output("{\"_row_index\": 0}\n{\"_row_index\": 1}\n{\"_row_index\": 2}\n");
}

Test(client, a_job_is_not_done_before_all_rows_are_read) {
    write_rows(4);
    open_job();
    say_done("");
    expect_end(EXIT_RUNTIME, "before it has all rows");
}
