/* client.c - the client's messages and life.
 *
 * The order that makes a run durable: a result is appended and handed to the kernel, then acknowledged, and
 * only then forgotten by the scheduler. Results come in numbered batches; one out of order is ignored (it
 * comes again). Once a second the file is synced. A compressed output is handed to the kernel only by a sync:
 * there the acknowledgement waits for it.
 *
 * The client waits for that sync in its loop; the store, which syncs too, has a thread for it
 * (actors/store/store_journal.c). The difference is who waits: each call of each worker waits for the store's
 * answer, but nobody waits for the client's within the time of a sync. Meanwhile workers run on, finished
 * rows stay with the scheduler within the credit that they have, and rows flow again with the next
 * acknowledgement. What comes after a sync (to acknowledge, to tell the store) would have to wait for it
 * anyway. A disk that takes longer than CLIENT_PATIENCE_MS costs a remote client its job: the scheduler drops
 * it, and the client submits what is left as another.
 *
 * To add a message: a row in proto/messages.def, an on_<message> function here, a line in the table at the
 * bottom, a test.
 */
#include "actors/client/client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actors/client/client_internal.h"
#include "actors/client/limits.h"
#include "actors/loop/limits.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/words.h"
#include "core/plan/limits.h"
#include "core/sched/dispatch.h"
#include "core/sched/limits.h"
#include "proto/parts/endpoint_reports.h"

void client_say(client_t *c, message_t *m) {
    m->epoch = c->greeting.epoch;
    link_send(c->scheduler, 0, m, &c->scratch);
}

static void set_state(client_t *c, client_state_t state, const char *why) {
    static const char *const names[] = {"joining", "opening", "running", "stopping", "over"};
    if (c->state == state) return;
    log_debug("client", "job %016" PRIx64 ": %s -> %s (%s)", c->job, names[c->state], names[state], why);
    c->state = state;
}

/* ---- what the client says */

static void say_hello(client_t *c, uint64_t now) {
    message_t m = {.type = MESSAGE_HELLO,
                   .HELLO = {.role = ROLE_CLIENT,
                             .instance = c->instance,
                             .name = slice_of(c->args->name),
                             .patience_ms = c->args->fleet ? CLIENT_PATIENCE_MS : 0}};
    client_say(c, &m);
    greeting_said(&c->greeting, now);
}

/* JOB_OPEN is said with each beat until the job is accepted, and after each WELCOME; the same job id again is
 * the same job. In batch mode it waits for the store's answer to SYNC: contexts of the rows of this pass may
 * still be on their way to the store. */
static void say_job_open(client_t *c) {
    const client_args_t *a = c->args;
    job_options_t told = *a->options; /* shares what it points to */
    buf_t options;
    if (c->told.sync_token) return;
    told.row.stop_before = passes_stop(c->passes);
    told.store.first_row = c->input.known_first;
    told.store.end_row = c->input.known_end;
    buf_init(&options, 1 << 20);
    job_options_encode(&told, &options);
    message_t m = {.type = MESSAGE_JOB_OPEN,
                   .JOB_OPEN = {.job = c->job,
                                .path = slice_of(a->pipeline_path),
                                .folder = slice_of(a->pipeline_folder),
                                .bundle = {a->pipeline_bytes, a->pipeline_len},
                                .options = {options.data, options.len},
                                .window_rows = a->window_rows,
                                .window_bytes = a->window_bytes,
                                .concurrency = c->at_once.current,
                                .reopened = c->accepted,
                                .priority = a->priority,
                                .needs = a->needs_python ? JOB_NEEDS_PYTHON : 0,
                                .endpoints = {(uint64_t *)a->endpoints, a->endpoint_count}}};
    client_say(c, &m);
    buf_free(&options);
}

static void say_result_credit(client_t *c) {
    message_t m = {.type = MESSAGE_RESULT_CREDIT,
                   .RESULT_CREDIT = {.job = c->job,
                                     .rows_limit = c->results.safe_rows + c->args->window_rows,
                                     .bytes_limit = c->results.safe_bytes + c->args->window_bytes}};
    client_say(c, &m);
}

/* How many units the job has. Only batch mode changes that number, so it is repeated only there. */
static void say_limit(client_t *c) {
    message_t m = {.type = MESSAGE_JOB_LIMIT,
                   .JOB_LIMIT = {.job = c->job, .concurrency = c->at_once.current}};
    if (passes_count(c->passes) > 1) client_say(c, &m);
}

/* The results received so far are in the output: the scheduler may forget them and send more. */
static void acknowledge(client_t *c) {
    c->results.safe_batch = c->results.next_batch - 1;
    c->results.safe_rows = c->results.rows;
    c->results.safe_bytes = c->results.bytes;
    c->results.kept_ok = c->told.tally.totals[CLIENT_rows_ok];
    c->results.kept_failed = c->told.tally.totals[CLIENT_rows_failed];
    message_t m = {.type = MESSAGE_RESULTS_ACK,
                   .RESULTS_ACK = {.job = c->job, .batch = c->results.safe_batch}};
    client_say(c, &m);
    say_result_credit(c);
}

static void say_stop(client_t *c, uint32_t mode) {
    message_t m = {.type = MESSAGE_JOB_STOP, .JOB_STOP = {.job = c->job, .mode = mode}};
    client_say(c, &m);
}

static void say_bye(client_t *c) {
    message_t m = {.type = MESSAGE_BYE, .BYE = {.reason = slice_of(c->ending)}};
    client_say(c, &m);
}

/* ---- the end */

/* Writes and syncs what came. When the input is known to its end, rows that the output had of none are taken
 * out. */
static int finish_output(client_t *c, err_t *err) {
    int rc = writer_finish(c->results.writer, err);
    if (rc == SDG_OK && c->input.whole)
        rc = writer_end_input(c->results.writer, c->told.tally.totals[CLIENT_rows_read], err);
    return rc == SDG_OK ? writer_sync(c->results.writer, err) : rc;
}

/* A failure here outranks every other reason of the end. */
static void close_output(client_t *c) {
    err_t err;
    if (finish_output(c, &err) != SDG_OK) {
        log_error("client", "%s", err.text);
        snprintf(c->ending, sizeof c->ending, "%s", err.text);
        c->exit_code = EXIT_DATA;
    } else if (writer_holds_back(c->results.writer)) {
        acknowledge(c);
    }
    if (c->exit_code != EXIT_DATA) client_store_safe(c);
}

/* Does the output hold rows with _error, of this run or an earlier one? */
static bool holds_failed_rows(const client_t *c) {
    return c->told.tally.totals[CLIENT_rows_failed] + c->args->resumed.rows_failed > 0;
}

/* Says how a stop has gone. */
static void say_drained(const client_t *c) {
    buf_t took;
    if (!c->stop_asked) return;
    buf_init(&took, 64);
    words_duration(&took, clock_now_ns() - c->stop_ns);
    log_info("client", "stopped after %s: %s", took.data, c->ending[0] ? c->ending : "all rows are finished");
    buf_free(&took);
}

/* The end of the run, once: closes the output unless it has failed, tells scheduler, store and monitor, and
 * ends the actor with the exit code. */
static void finish(client_t *c, bool output_ok) {
    if (c->state == CLIENT_OVER) return;
    if (output_ok) close_output(c);
    set_state(c, CLIENT_OVER, c->ending[0] ? c->ending : "done");
    say_drained(c);
    say_bye(c);
    client_store_close(c, c->exit_code == EXIT_ALL_FINE, holds_failed_rows(c));
    if (c->exit_code == EXIT_ALL_FINE && holds_failed_rows(c)) c->exit_code = EXIT_ROWS_FAILED;
    c->told.tally.totals[CLIENT_can_continue] =
        c->exit_code == EXIT_STOPPED || c->exit_code == EXIT_DATA || c->exit_code == EXIT_RUNTIME;
    client_tell_summary(c);
    actor_finish(&c->actor, c->exit_code);
}

void client_give_up(client_t *c, int exit_code, const char *reason) {
    if (c->state == CLIENT_OVER) return;
    log_error("client", "%s", reason);
    snprintf(c->ending, sizeof c->ending, "%s", reason);
    c->exit_code = exit_code;
    c->told.tally.totals[CLIENT_rows_ok] = c->results.kept_ok;
    c->told.tally.totals[CLIENT_rows_failed] = c->results.kept_failed;
    say_stop(c, DISPATCH_STOP_NOW);
    finish(c, false);
}

/* Length of what a server has said without the full stop at its end: words of ours follow. */
static int sentence_len(const char *text, size_t len) {
    while (len > 0 && strchr(". ", text[len - 1]))
        len--;
    return (int)len;
}

/* Ends with these words in the summary. */
static void set_ending(client_t *c, const char *words, size_t len) {
    snprintf(c->ending, sizeof c->ending, "%.*s", sentence_len(words, len), words);
}

/* No more rows are read; rows that run are finished, and a rerun continues. */
static void stop(client_t *c, const char *ending) {
    if (!c->stop_asked) c->stop_ns = clock_now_ns();
    c->stop_asked = true;
    c->input.over = true;
    c->exit_code = EXIT_STOPPED;
    set_ending(c, ending, strlen(ending));
    if (c->state == CLIENT_RUNNING || c->state == CLIENT_OPENING) {
        set_state(c, CLIENT_STOPPING, ending);
        say_stop(c, DISPATCH_STOP_DRAIN);
    } else if (c->state == CLIENT_JOINING) {
        finish(c, true);
    }
}

/* The run has reached a limit that the user has set. */
static void stop_early(client_t *c, const char *why) {
    log_error("client", "%.*s. The same command continues", sentence_len(why, strlen(why)), why);
    stop(c, why);
}

/* The run ends at once, and what came is kept. */
static void end_now(client_t *c, int exit_code, const char *ending) {
    if (c->state == CLIENT_OVER) return;
    c->exit_code = exit_code;
    snprintf(c->ending, sizeof c->ending, "%s", ending);
    say_stop(c, DISPATCH_STOP_NOW);
    finish(c, true);
}

/* ---- messages */

static void on_welcome(client_t *c, const message_t *m, uint64_t now) {
    (void)now;
    if (greeting_take(&c->greeting, m) == GREETING_RESTARTED) {
        log_info("client", "the scheduler has restarted: submitting the job again");
        client_resubmit(c);
    }
    if (!c->greeting.welcome || c->state == CLIENT_OVER) return;
    if (!c->accepted) set_state(c, c->stop_asked ? CLIENT_STOPPING : CLIENT_OPENING, "welcome");
    say_job_open(c);
}

static void on_job_accepted(client_t *c, const message_t *m, uint64_t now) {
    if (m->JOB_ACCEPTED.job != c->job) return;
    c->accepted = true;
    if (c->state == CLIENT_OPENING) set_state(c, CLIENT_RUNNING, "accepted");
    if (c->state == CLIENT_STOPPING) say_stop(c, DISPATCH_STOP_DRAIN);
    say_result_credit(c);
    (void)now;
}

static void on_ingest_credit(client_t *c, const message_t *m, uint64_t now) {
    if (m->INGEST_CREDIT.job != c->job) return;
    feed_credit(c->input.feed, m->INGEST_CREDIT.rows_limit, m->INGEST_CREDIT.bytes_limit);
    feed_arrived(c->input.feed, m->INGEST_CREDIT.next_chunk, now);
}

static void say_new_limit(client_t *c, uint64_t before) {
    log_debug("client", "batch mode: %" PRIu64 " units instead of %" PRIu64, c->at_once.current, before);
    say_limit(c);
}

/* --max-failures and --max-failure-rate. Rows that failed in an earlier run do not count. */
static void stop_for_failed_rows(client_t *c) {
    const uint64_t *totals = c->told.tally.totals;
    err_t why;
    if (c->state == CLIENT_RUNNING &&
        stop_for_failures(&c->args->limits, totals[CLIENT_rows_ok], totals[CLIENT_rows_failed], &why))
        stop_early(c, why.text);
}

/* A batch out of order comes again. One that was taken before is only acknowledged again. */
static void on_results(client_t *c, const message_t *m, uint64_t now) {
    const MSG_RESULTS *r = &m->RESULTS;
    uint64_t at_once = c->at_once.current;
    bool is_next = r->batch == c->results.next_batch;
    err_t err;
    if (r->job != c->job || r->batch > c->results.next_batch || c->state == CLIENT_OVER) return;
    if ((is_next && client_take_results(c, r, now, &err) < 0) || writer_flush(c->results.writer, &err) < 0) {
        client_give_up(c, EXIT_DATA, err.text);
        return;
    }
    client_store_flush(c);
    if (c->at_once.current != at_once) say_new_limit(c, at_once);
    if (is_next) c->results.next_batch++;
    c->results.unsynced = true;
    if (!writer_holds_back(c->results.writer)) acknowledge(c);
}

/* What is left of the run goes on under another id. */
static void new_job(client_t *c) {
    endpoint_book_gone(c->endpoints, c->job);
    c->job = rng_entropy();
}

/* The rows that this pass has parked are a job of their own. It is opened when the store has answered SYNC:
 * then all that was put there is there. */
static void begin_next_pass(client_t *c) {
    log_debug("client", "batch mode: pass %" PRIu64 " of %" PRIu64 " is over, %" PRIu64 " rows",
              passes_number(c->passes), passes_count(c->passes), passes_parked(c->passes));
    client_gather(c); /* takes the numbers of the source before it goes */
    source_destroy(&c->input.source);
    c->input.source = source_store_new(passes_next(c->passes), writer_finished(c->results.writer));
    c->input.over = false;
    new_job(c);
    c->told.sync_token = rng_entropy() | 1;
    client_store_job(c);
    client_store_sync(c);
    client_resubmit(c);
    set_state(c, CLIENT_OPENING, "next pass");
}

/* The job has ended before all its rows were done, and this client has not asked for that. */
static void take_early_end(client_t *c, const MSG_JOB_DONE *done) {
    const char *reason = done->reason.data;
    int len = sentence_len(reason, done->reason.len);
    set_ending(c, reason, done->reason.len);
    switch (done->kind) {
    case DISPATCH_ENDED_REFUSED:
        log_error("client", "the job could not be run: %.*s", len, reason);
        c->exit_code = EXIT_PIPELINE;
        break;
    case DISPATCH_ENDED_FINAL:
        log_error(
            "client",
            "%.*s. Fix it and run the same command again: it continues; rows that have met only this are "
            "not written",
            len, reason);
        c->exit_code = EXIT_RUNTIME;
        break;
    default: c->exit_code = EXIT_STOPPED;
    }
}

/* The last row was done before the scheduler heard that the run should stop. */
static void take_whole_end(client_t *c) {
    if (!passes_is_last(c->passes)) return;
    c->exit_code = EXIT_ALL_FINE;
    c->ending[0] = '\0';
}

/* The scheduler says that all rows are done, and this client, which has the last word, knows of some that are
 * not: it would end a run that is not complete as if it were. */
static void contradict(client_t *c) {
    char words[160];
    uint64_t open = feed_rows(c->input.feed);
    snprintf(words, sizeof words,
             "the scheduler says that the job is done, but %" PRIu64
             " %s of it %s no result; the same command "
             "continues",
             open, words_choose(open, "row", "rows"), words_choose(open, "has", "have"));
    client_give_up(c, EXIT_RUNTIME,
                   open ? words
                        : "the scheduler says that the job is done before it has all rows; the same command "
                          "continues");
}

static void on_job_done(client_t *c, const message_t *m, uint64_t now) {
    (void)now;
    if (m->JOB_DONE.job != c->job || c->state == CLIENT_OVER) return;
    if (m->JOB_DONE.kind == DISPATCH_ENDED && !feed_is_done(c->input.feed)) {
        contradict(c);
        return;
    }
    if (c->state != CLIENT_STOPPING && m->JOB_DONE.kind != DISPATCH_ENDED) take_early_end(c, &m->JOB_DONE);
    if (c->state == CLIENT_STOPPING && m->JOB_DONE.kind == DISPATCH_ENDED) take_whole_end(c);
    if (c->state == CLIENT_RUNNING && c->exit_code == EXIT_ALL_FINE && !passes_is_last(c->passes))
        begin_next_pass(c);
    else
        finish(c, true);
}

/* The scheduler dropped the job while this client was silent (a long wait for the output): the rows that are
 * left are a new job. */
static void submit_anew(client_t *c) {
    log_warn("client",
             "the scheduler has dropped the job while this client was silent: submitting what is left again");
    new_job(c);
    client_store_job(c);
    client_resubmit(c);
    if (c->state == CLIENT_RUNNING) set_state(c, CLIENT_OPENING, "dropped by the scheduler");
    say_job_open(c);
}

/* A refused JOB_OPEN of a job that was accepted before means that the scheduler has dropped the job: what is
 * left of it is submitted as another one. A refused HELLO or first JOB_OPEN ends the run. Every other refusal
 * is only logged. */
static void on_refused(client_t *c, const message_t *m, uint64_t now) {
    char reason[256];
    (void)now;
    if (m->REFUSED.about == MESSAGE_JOB_OPEN && c->accepted) {
        if (m->REFUSED.id == c->job && c->state != CLIENT_OVER) submit_anew(c);
        return;
    }
    snprintf(reason, sizeof reason, "the scheduler refused %s: %.*s",
             message_name((message_type_t)m->REFUSED.about), (int)m->REFUSED.reason.len,
             m->REFUSED.reason.data);
    if (m->REFUSED.about == MESSAGE_JOB_OPEN || m->REFUSED.about == MESSAGE_HELLO)
        client_give_up(c, EXIT_RUNTIME, reason);
    else
        log_warn("client", "%s", reason);
}

/* --give-up-after. An endpoint of the run that is closed holds up its rows, whatever others do. */
static void give_up_on_closed(client_t *c, uint64_t now) {
    endpoint_report_t *reports = xcalloc(ENDPOINT_REPORTS_MAX, sizeof *reports);
    size_t count = endpoint_book_sum(c->endpoints, now, reports, ENDPOINT_REPORTS_MAX);
    err_t why;
    if (c->state == CLIENT_RUNNING &&
        closed_times_give_up(c->closed, &c->args->limits, reports, count, now, clock_unix_ms(), &why))
        stop_early(c, why.text);
    free(reports);
}

/* Reports of the jobs of this run (passes of batch mode, a job submitted anew) add up like those of workers.
 */
static void on_endpoint_report(client_t *c, const message_t *m, uint64_t now) {
    slice_t bytes = m->ENDPOINT_REPORT.reports;
    endpoint_report_t *reports;
    size_t count;
    err_t err;
    if (m->ENDPOINT_REPORT.job != c->job || c->state == CLIENT_OVER) return;
    if (endpoint_reports_decode(bytes.data, bytes.len, &reports, &count, &err) != SDG_OK) {
        log_warn("client", "%s", err.text);
        return;
    }
    endpoint_book_take(c->endpoints, c->job, reports, count, now);
    free(reports);
    client_tell_endpoints(c, now);
    give_up_on_closed(c, now);
}

static void on_beat(client_t *c, const message_t *m, uint64_t now) { (void)c, (void)m, (void)now; }

static void on_sync(client_t *c, const message_t *m, uint64_t now) {
    (void)now;
    message_t answer = {.type = MESSAGE_SYNCED, .SYNCED = {.token = m->SYNC.token}};
    client_say(c, &answer);
}

/* ---- time */

static void greet(client_t *c, uint64_t now) {
    if (greeting_falls_silent(&c->greeting, now))
        log_warn("client", "no word from the scheduler at %s; trying on", c->args->endpoint);
    if (greeting_is_due(&c->greeting, now)) say_hello(c, now);
}

/* A stop waits for rows in progress, but not for ever: an answer may never come, a scheduler may be gone. */
static void end_overdue_stop(client_t *c, uint64_t now) {
    char ending[160];
    if (!c->stop_asked || c->state == CLIENT_OVER || now < c->stop_ns + c->args->drain_ms * MILLISECOND)
        return;
    snprintf(ending, sizeof ending, "%.80s; rows in progress stay unwritten after %" PRIu64 " s", c->ending,
             c->args->drain_ms / 1000);
    if (c->args->drain_ms == 0)
        snprintf(ending, sizeof ending, "%.80s; rows in progress stay unwritten", c->ending);
    log_warn(
        "client",
        "the time of --drain-timeout is over: what is still open is given up; the same command continues");
    end_now(c, c->exit_code, ending);
}

/* Would the scheduler soon have to wait for an acknowledgement that a compressed output delays? At half of
 * the window, and at the end. */
static bool ack_is_wanted(const client_t *c) {
    if (!writer_holds_back(c->results.writer)) return false;
    return c->results.rows - c->results.safe_rows >= (c->args->window_rows + 1) / 2 ||
           c->results.bytes - c->results.safe_bytes >= c->args->window_bytes / 2 ||
           (c->input.over && feed_rows(c->input.feed) == 0);
}

static void sync_output(client_t *c, uint64_t now) {
    err_t err;
    if (!c->results.unsynced || (now - c->results.sync_ns < SECOND && !ack_is_wanted(c))) return;
    c->results.sync_ns = now;
    c->results.unsynced = false;
    if (writer_sync(c->results.writer, &err) != SDG_OK) {
        client_give_up(c, EXIT_DATA, err.text);
        return;
    }
    client_store_safe(c);
    if (writer_holds_back(c->results.writer)) acknowledge(c);
}

/* Once a second, also while no row comes: is the output still there? */
static void check_output(client_t *c, uint64_t now) {
    err_t err;
    if (c->state == CLIENT_OVER || now - c->results.check_ns < SECOND) return;
    c->results.check_ns = now;
    if (writer_check(c->results.writer, &err) < 0) client_give_up(c, EXIT_DATA, err.text);
}

/* The descriptor of a pipe is in the loop only while the source waits for it: a descriptor that is readable
 * and not read would keep the loop busy. */
static void watch_input(client_t *c) {
    if (c->input.watched == c->input.waits) return;
    c->input.watched = c->input.waits;
    if (c->input.watched)
        actor_add_fd(&c->actor, source_fd(c->input.source));
    else
        actor_remove_fd(&c->actor, source_fd(c->input.source));
}

static void every_beat(client_t *c, uint64_t now) {
    if (now - c->told.beat_ns < BEAT_NS) return;
    c->told.beat_ns = now;
    message_t beat = {.type = MESSAGE_BEAT};
    if (c->greeting.epoch) client_say(c, &beat);
    if (c->state == CLIENT_OPENING) say_job_open(c);
    if (c->state == CLIENT_STOPPING) say_stop(c, DISPATCH_STOP_DRAIN);
    client_store_sync(c);
    give_up_on_closed(c, now);
    if (c->state != CLIENT_RUNNING && c->state != CLIENT_STOPPING) return;
    say_result_credit(c); /* absolute, so a lost one is healed by the next */
    say_limit(c);
}

static uint64_t after(void *self, uint64_t now) {
    client_t *c = self;
    greet(c, now);
    stop_for_failed_rows(c);
    end_overdue_stop(c, now);
    client_read_more(c, now);
    watch_input(c);
    sync_output(c, now);
    check_output(c, now);
    every_beat(c, now);
    if (now - c->told.stats_ns >= CLIENT_STATS_NS) {
        c->told.stats_ns = now;
        client_tell_monitor(c);
    }
    if (client_can_read_on(c)) return 0;
    return c->greeting.welcome ? CLIENT_STATS_NS : HELLO_LOOK_NS;
}

/* ---- life */

static void on_command(void *self, const char *command, uint64_t now) {
    client_t *c = self;
    int exit_code;
    (void)now;
    if (sscanf(command, "LOST %d", &exit_code) == 1)
        end_now(c, exit_code, "ended early: see above"); /* the actor that ended has logged why */
    if (streq(command, "STOP")) stop(c, "stopped on request");
    if (streq(command, "ABORT")) end_now(c, EXIT_STOPPED, "stopped at once");
    if (strncmp(command, "FAIL ", 5) == 0) client_give_up(c, EXIT_RUNTIME, command + 5);
}

/* Takes over the reader and the writer. Connects the monitor; the scheduler and the store are connected by
 * client_actor, which can say that it failed. */
static client_t *client_new(const client_args_t *args) {
    client_t *c = xcalloc(1, sizeof *c);
    bool batch_mode = args->stop_count > 0;
    c->args = args;
    c->job = rng_entropy();
    c->instance = rng_entropy();
    greeting_init(&c->greeting, clock_now_ns());
    c->closed = closed_times_new();
    c->endpoints = endpoint_book_new();
    c->passes = passes_new(args->stops, args->stop_count);
    batch_size_init(&c->at_once, batch_mode ? args->batch_min : args->concurrency, args->concurrency,
                    args->target_latency_ms);
    c->input.source =
        source_file_new(args->reader, &(source_file_options_t){.first_row = args->first_row,
                                                               .rows_max = args->rows_max,
                                                               .row_bytes_max = args->row_bytes_max,
                                                               .finished = writer_finished(args->writer)});
    c->input.feed = feed_new(&(feed_options_t){.window_rows = args->window_rows,
                                               .window_bytes = args->window_bytes,
                                               .chunk_rows = args->chunk_rows,
                                               .chunk_bytes = CHUNK_BYTES_MAX});
    c->input.known_first = args->options->store.first_row;
    c->input.known_end = args->options->store.end_row;
    c->results.writer = args->writer;
    c->results.next_batch = 1;
    c->told.tally.totals[CLIENT_rows_resumed] = args->resumed.rows_ok + args->resumed.rows_failed;
    c->told.tally.totals[CLIENT_resumed_failed] = args->resumed.rows_failed;
    buf_init(&c->scratch, MESSAGE_BYTES_MAX);
    c->scheduler = link_socket(ZMQ_DEALER, LINGER_MS, SOCKET_HWM);
    c->monitor = link_to_monitor(args->monitor, LINGER_MS, args->monitor_queue_max, "client");
    return c;
}

static void client_destroy(client_t **client) {
    client_t *c = *client;
    feed_destroy(&c->input.feed);
    source_destroy(&c->input.source);
    passes_destroy(&c->passes);
    closed_times_destroy(&c->closed);
    endpoint_book_destroy(&c->endpoints);
    writer_close(&c->results.writer);
    zsock_destroy(&c->scheduler);
    zsock_destroy(&c->monitor);
    client_store_free(c);
    actor_free(&c->actor);
    samples_free(&c->told.samples);
    buf_free(&c->scratch);
    free(c);
    *client = NULL;
}

/* The messages a client takes. */
static const struct {
    message_type_t type;
    void (*handle)(client_t *c, const message_t *m, uint64_t now);
} handlers[] = {
    {MESSAGE_WELCOME, on_welcome},
    {MESSAGE_JOB_ACCEPTED, on_job_accepted},
    {MESSAGE_INGEST_CREDIT, on_ingest_credit},
    {MESSAGE_RESULTS, on_results},
    {MESSAGE_JOB_DONE, on_job_done},
    {MESSAGE_ENDPOINT_REPORT, on_endpoint_report},
    {MESSAGE_REFUSED, on_refused},
    {MESSAGE_BEAT, on_beat},
    {MESSAGE_SYNC, on_sync},
};

static void on_message(void *self, zsock_t *socket, link_frame_t *in, uint64_t now) {
    client_t *c = self;
    if (socket == c->store) {
        if (in->message.type == MESSAGE_SYNCED && client_store_synced(c, in->message.SYNCED.token))
            say_job_open(c);
        return;
    }
    if (!greeting_hear(&c->greeting, &in->message, now)) return;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type == in->message.type) handlers[i].handle(c, &in->message, now);
    }
}

/* The input has something again: `after` reads it. */
static void on_input(void *self, int fd, uint64_t now) { (void)self, (void)fd, (void)now; }

static const actor_ops_t ops = {on_message, on_input, on_command, after};

void client_actor(zsock_t *pipe, void *args) {
    client_t *c = client_new(args);
    err_t err;
    actor_init(&c->actor, "client", &ops, c, pipe);
    if (link_attach(c->scheduler, LINK_CONNECT, c->args->endpoint, &err) < 0 ||
        client_store_open(c, &err) != SDG_OK) {
        log_error("client", "%s", err.text);
        actor_finish(&c->actor, EXIT_RUNTIME);
    }
    actor_add_socket(&c->actor, c->scheduler);
    actor_run(&c->actor);
    client_destroy(&c);
}
