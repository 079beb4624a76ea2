/* The context store as an actor: each message it takes, over a socket like a worker's. */
#include "actors/store/context_store.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/loop/limits.h"
#include "tests/harness/actor_harness.h"

enum { JOB = 42, OWNER = 7, OTHER = 8 };

static char folder[64], path[80];
static char endpoint[32]; /* a new one each time, because a closed inproc name becomes free a moment later */
static actor_thread_t *store;
static puppet_t worker;
static char spill_path[96];

static const char *monitor; /* endpoint that the store tells, or NULL */

/* A store with this journal and these contexts, and a worker that the test plays. */
static void start_with(journal_t *journal, journal_fsync_t fsync) {
    static int starts;
    contexts_options_t contexts = {.max_cached = 2, .spill_path = spill_path};
    snprintf(endpoint, sizeof endpoint, "inproc://store-%d", starts++);
    snprintf(spill_path, sizeof spill_path, "%s/contexts", folder);
    context_store_args_t args = {.endpoints = {endpoint},
                                 .endpoint_count = 1,
                                 .journal = journal,
                                 .fsync = fsync,
                                 .monitor = monitor,
                                 .contexts = &contexts};
    cr_assert(journal);
    store = harness_start(context_store_actor, &args);
    puppet_connect(&worker, endpoint);
}

static void start(journal_fsync_t fsync) {
    start_with(journal_open(path, JOURNAL_MAKE, NULL, NULL, NULL, NULL), fsync);
}

static void stop(void) {
    actor_join(&store);
    puppet_close(&worker);
}

static void begin(void) {
    strcpy(folder, "/tmp/sdg-test-store-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/o.journal", folder);
    start(JOURNAL_FSYNC_BATCH);
}

static void end(void) {
    stop();
    unlink(path);
    rmdir(folder);
}

TestSuite(context_store, .init = begin, .fini = end);

static void say(message_t m) { puppet_say(&worker, m); }

/* The next message, which must be of this type. */
static void hear(message_type_t type, link_frame_t *in) {
    puppet_hear(&worker, in);
    cr_assert_eq(in->message.type, type, "%s instead of %s", message_name(in->message.type),
                 message_name(type));
}

static void sync_store(void) { cr_assert_eq(puppet_sync(&worker, MESSAGE_NONE), 0); }

static call_item_t call(uint64_t tag, uint64_t row, const char *answer) {
    return (call_item_t){.tag = tag, .row = row, .hash_high = 1, .hash_low = 2, .answer = slice_of(answer)};
}

static void record(uint64_t tag, uint64_t row, const char *answer) {
    call_item_t item = call(tag, row, answer);
    say((message_t){.type = MESSAGE_CALL_RECORD, .CALL_RECORD = {.job = JOB, .calls = {&item, 1}}});
    link_frame_t in;
    hear(MESSAGE_CALL_RECORDED, &in);
    cr_assert_eq(in.message.CALL_RECORDED.tags.count, 1);
    cr_assert_eq(in.message.CALL_RECORDED.tags.items[0], tag);
    link_frame_free(&in);
}

static void look_up(uint64_t tag, uint64_t row) {
    call_item_t item = call(tag, row, "");
    say((message_t){.type = MESSAGE_CALL_LOOKUP, .CALL_LOOKUP = {.job = JOB, .calls = {&item, 1}}});
}

static void expect_found(uint64_t tag, uint64_t row, const char *answer) {
    look_up(tag, row);
    link_frame_t in;
    hear(MESSAGE_CALL_FOUND, &in);
    const call_item_t *found = &in.message.CALL_FOUND.calls.items[0];
    cr_assert(in.message.CALL_FOUND.calls.count == 1 && found->tag == tag && found->row == row);
    cr_assert(found->answer.len == strlen(answer) &&
              memcmp(found->answer.data, answer, found->answer.len) == 0);
    link_frame_free(&in);
}

static void expect_missing(uint64_t tag, uint64_t row) {
    look_up(tag, row);
    link_frame_t in;
    hear(MESSAGE_CALL_MISSING, &in);
    cr_assert(in.message.CALL_MISSING.tags.count == 1 && in.message.CALL_MISSING.tags.items[0] == tag);
    link_frame_free(&in);
}

Test(context_store, what_is_recorded_is_found) {
    expect_missing(1, 5);
    record(2, 5, "an answer");
    expect_found(3, 5, "an answer");
    expect_missing(4, 6);
}

Test(context_store, a_record_sent_again_is_acknowledged_again) {
    record(1, 5, "first");
    record(2, 5, "second");
    expect_found(3, 5, "first");
}

Test(context_store, many_in_one_message) {
    enum { CALLS = 3 * JOURNAL_BATCH_CALLS_MAX };
    call_item_t items[CALLS];
    size_t found = 0, missing = 0;
    for (uint64_t i = 0; i < CALLS; i++) {
        items[i] = call(i, i, "x");
    }
    say((message_t){.type = MESSAGE_CALL_RECORD, .CALL_RECORD = {.job = JOB, .calls = {items, CALLS / 2}}});
    link_frame_t in;
    hear(MESSAGE_CALL_RECORDED, &in);
    cr_assert_eq(in.message.CALL_RECORDED.tags.count, CALLS / 2);
    link_frame_free(&in);
    say((message_t){.type = MESSAGE_CALL_LOOKUP, .CALL_LOOKUP = {.job = JOB, .calls = {items, CALLS}}});
    while (found + missing < CALLS) {
        puppet_hear(&worker, &in);
        found += in.message.type == MESSAGE_CALL_FOUND ? in.message.CALL_FOUND.calls.count : 0;
        missing += in.message.type == MESSAGE_CALL_MISSING ? in.message.CALL_MISSING.tags.count : 0;
        link_frame_free(&in);
    }
    cr_assert_eq(found, CALLS / 2);
}

Test(context_store, records_are_in_the_file_when_they_are_acknowledged) {
    journal_found_t found;
    record(1, 5, "safe");
    journal_t *copy = journal_open(path, JOURNAL_MAKE, NULL, NULL, &found, NULL);
    cr_assert_eq(found.records, 1);
    journal_close(&copy);
}

Test(context_store, every_policy_answers) {
    for (int policy = JOURNAL_FSYNC_BATCH; policy <= (int)JOURNAL_FSYNC_ALWAYS; policy++) {
        stop();
        start((journal_fsync_t)policy);
        record(1, (uint64_t)policy, "a");
        expect_found(2, (uint64_t)policy, "a");
    }
}

Test(context_store, rows_finished_are_forgotten) {
    uint64_t rows[] = {5};
    record(1, 5, "a");
    record(2, 6, "b");
    say((message_t){.type = MESSAGE_ROWS_FINISHED, .ROWS_FINISHED = {.job = JOB, .rows = {rows, 1}}});
    expect_missing(3, 5);
    expect_found(4, 6, "b");
}

Test(context_store, a_complete_job_takes_its_journal_along) {
    record(1, 5, "a");
    say((message_t){.type = MESSAGE_JOB_CLOSED, .JOB_CLOSED = {.job = JOB, .complete = 1}});
    sync_store();
    cr_assert_neq(access(path, F_OK), 0);
}

Test(context_store, the_end_does_not_overtake_the_last_words) {
    record(1, 5, "a");
    say((message_t){.type = MESSAGE_JOB_CLOSED, .JOB_CLOSED = {.job = JOB, .complete = 1}});
    actor_join(&store);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(context_store, an_incomplete_job_leaves_it) {
    record(1, 5, "a");
    say((message_t){.type = MESSAGE_JOB_CLOSED, .JOB_CLOSED = {.job = JOB, .complete = 0}});
    sync_store();
    cr_assert_eq(access(path, F_OK), 0);
}

Test(context_store, another_job_is_refused) {
    say((message_t){.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = JOB + 1}});
    look_up(1, 5);
    link_frame_t in;
    hear(MESSAGE_REFUSED, &in);
    cr_assert_eq(in.message.REFUSED.about, MESSAGE_CALL_LOOKUP);
    link_frame_free(&in);
}

Test(context_store, a_journal_that_cannot_be_written_ends_it) {
    call_item_t item = call(1, 5, "a");
    stop();
    journal_t *full = journal_open(path, JOURNAL_MAKE, NULL, NULL, NULL, NULL);
    int null = open("/dev/full", O_WRONLY);
    cr_assert(null >= 0 && dup2(null, journal_fd(full)) >= 0);
    start_with(full, JOURNAL_FSYNC_BATCH);
    say((message_t){.type = MESSAGE_CALL_RECORD, .CALL_RECORD = {.job = JOB, .calls = {&item, 1}}});
    cr_assert_eq(harness_hear_word(store, "END"), 4);
    close(null);
}

/* ---- contexts */

static void put(uint64_t tag, uint64_t row, uint32_t part, uint64_t owner, const char *bytes) {
    context_item_t item = {.tag = tag, .row = row, .part = part, .bytes = slice_of(bytes)};
    say((message_t){.type = MESSAGE_CTX_PUT,
                    .CTX_PUT = {.job = JOB, .owner = owner, .contexts = {&item, 1}}});
}

static void ask(uint64_t tag, uint64_t row, uint32_t part, uint64_t owner, const char *initial) {
    context_item_t item = {.tag = tag, .row = row, .part = part, .bytes = slice_of(initial)};
    say((message_t){.type = MESSAGE_CTX_GET_OR_CREATE,
                    .CTX_GET_OR_CREATE = {.job = JOB, .owner = owner, .contexts = {&item, 1}}});
}

static void expect_context(uint64_t tag, const char *bytes) {
    link_frame_t in;
    hear(MESSAGE_CTX, &in);
    const context_item_t *c = &in.message.CTX.contexts.items[0];
    cr_assert(in.message.CTX.contexts.count == 1 && c->tag == tag);
    cr_assert(c->bytes.len == strlen(bytes) && memcmp(c->bytes.data, bytes, c->bytes.len) == 0, "%.*s",
              (int)c->bytes.len, c->bytes.data);
    link_frame_free(&in);
}

static void expect_no_context(uint64_t tag) {
    link_frame_t in;
    hear(MESSAGE_CTX_MISSING, &in);
    cr_assert(in.message.CTX_MISSING.tags.count == 1 && in.message.CTX_MISSING.tags.items[0] == tag);
    link_frame_free(&in);
}

Test(context_store, a_context_is_kept_until_its_row_is_complete) {
    uint64_t rows[] = {5};
    ask(1, 5, CONTEXT_PRIVATE, OWNER, "");
    expect_no_context(1);
    put(0, 5, CONTEXT_PRIVATE, OWNER, "state");
    ask(2, 5, CONTEXT_PRIVATE, OWNER, "");
    expect_context(2, "state");
    say((message_t){.type = MESSAGE_CTX_COMPLETE, .CTX_COMPLETE = {.job = JOB, .rows = {rows, 1}}});
    ask(3, 5, CONTEXT_PRIVATE, OWNER, "");
    expect_no_context(3);
}

Test(context_store, an_unknown_context_is_made_of_what_comes_along) {
    ask(1, 5, CONTEXT_SHARED, OWNER, "first");
    expect_context(1, "first");
    ask(2, 5, CONTEXT_SHARED, OTHER, "second");
    expect_context(2, "first");
}

Test(context_store, what_has_a_tag_is_acknowledged) {
    put(9, 5, CONTEXT_SHARED, OWNER, "state");
    link_frame_t in;
    hear(MESSAGE_CTX_SAVED, &in);
    cr_assert(in.message.CTX_SAVED.tags.count == 1 && in.message.CTX_SAVED.tags.items[0] == 9);
    link_frame_free(&in);
}

Test(context_store, more_contexts_than_the_cache_holds) {
    enum { ROWS = 50 };
    char text[16];
    for (uint64_t row = 0; row < ROWS; row++) {
        snprintf(text, sizeof text, "row %d", (int)row);
        put(0, row, CONTEXT_SHARED, OWNER, text);
    }
    for (uint64_t row = 0; row < ROWS; row++) {
        uint64_t rows[] = {row};
        snprintf(text, sizeof text, "row %d", (int)row);
        ask(row + 1, row, CONTEXT_SHARED, OWNER, "");
        expect_context(row + 1, text);
        say((message_t){.type = MESSAGE_CTX_UNPIN,
                        .CTX_UNPIN = {.job = JOB, .owner = OWNER, .rows = {rows, 1}}});
    }
}

Test(context_store, an_owner_that_is_gone_takes_what_is_private) {
    put(0, 5, CONTEXT_PRIVATE, OWNER, "mine");
    put(0, 5, CONTEXT_SHARED, OWNER, "ours");
    put(0, 6, CONTEXT_PRIVATE, OTHER, "another's");
    say((message_t){.type = MESSAGE_OWNER_GONE, .OWNER_GONE = {.owner = OWNER}});
    ask(1, 5, CONTEXT_PRIVATE, OTHER, "");
    expect_no_context(1);
    ask(2, 5, CONTEXT_SHARED, OTHER, "");
    expect_context(2, "ours");
    ask(3, 6, CONTEXT_PRIVATE, OTHER, "");
    expect_context(3, "another's");
}

Test(context_store, an_owner_may_drop_its_own) {
    uint64_t rows[] = {5};
    put(0, 5, CONTEXT_PRIVATE, OWNER, "mine");
    put(0, 5, CONTEXT_SHARED, OWNER, "ours");
    say((message_t){.type = MESSAGE_CTX_COMPLETE,
                    .CTX_COMPLETE = {.job = JOB, .owner = OWNER, .rows = {rows, 1}}});
    ask(1, 5, CONTEXT_PRIVATE, OWNER, "");
    expect_no_context(1);
    ask(2, 5, CONTEXT_SHARED, OWNER, "");
    expect_context(2, "ours");
}

Test(context_store, contexts_go_from_one_pass_to_the_next) {
    put(0, 5, CONTEXT_SHARED, OWNER, "state");
    say((message_t){.type = MESSAGE_JOB_OPENED, .JOB_OPENED = {.job = JOB + 1}});
    sync_store();
    ask(1, 5, CONTEXT_SHARED, OWNER, ""); /* a late message of the pass before */
    link_frame_t in;
    hear(MESSAGE_REFUSED, &in);
    link_frame_free(&in);
    context_item_t item = {.tag = 2, .row = 5, .part = CONTEXT_SHARED, .bytes = {"", 0}};
    say((message_t){.type = MESSAGE_CTX_GET_OR_CREATE,
                    .CTX_GET_OR_CREATE = {.job = JOB + 1, .owner = OWNER, .contexts = {&item, 1}}});
    expect_context(2, "state");
}

Test(context_store, parts_that_do_not_exist_are_ignored) {
    put(1, 5, 17, OWNER, "x");
    ask(2, 5, UINT32_MAX, OWNER, "x");
    sync_store();
}

Test(context_store, a_pinned_context_makes_no_room) {
    uint64_t pinned[] = {1}, evicted = 0;
    puppet_t watcher;
    puppet_bind(&watcher, ZMQ_PULL, "inproc://store-monitor");
    stop();
    monitor = "inproc://store-monitor";
    start(JOURNAL_FSYNC_BATCH);
    put(0, 1, CONTEXT_SHARED, OWNER, "state");
    say((message_t){.type = MESSAGE_CTX_PIN, .CTX_PIN = {.job = JOB, .owner = OWNER, .rows = {pinned, 1}}});
    for (uint64_t row = 2; row < 6; row++) {
        put(0, row, CONTEXT_SHARED, OWNER, "state"); /* two contexts have room, the pinned one included */
    }
    while (evicted < 3) {
        link_frame_t in;
        puppet_await(&watcher, MESSAGE_EVICTED, &in);
        const u64_list_t *rows = &in.message.EVICTED.rows;
        for (size_t i = 0; i < rows->count; i++) {
            cr_assert_neq(rows->items[i], 1);
        }
        evicted += rows->count;
        link_frame_free(&in);
    }
    ask(7, 1, CONTEXT_SHARED, OWNER, "");
    expect_context(7, "state");
    puppet_close(&watcher);
    monitor = NULL;
}
