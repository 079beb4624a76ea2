/* A hostile scheduler and a hostile store around one client: whatever they say in whatever order, the client
 * ends when it is told to, and each line of its output is one JSON object of a row that it has given, each
 * row at most once. */
#include "actors/client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/limits.h"
#include "tests/fuzz/torment.h"

enum { EPOCH = 9, ROWS = 12, WINDOW = 8, LINE_BYTES = 4096 };

static const char YAML[] = "mabel: {version: \"2.0\"}\n";
static const slice_t texts[] = {
    {"{\"_row_index\": 0, \"a\": 1}", 25},
    {"{\"_row_index\": 1, \"a\": 1}", 25},
    {"{\"_row_index\": 2, \"_error\": \"x: y\"}", 34},
    {"{\"_row_index\": 3}\n{\"_row_index\": 4}", 35},
    {"{\"a\": 1}", 8},
    {"[]", 2},
    {"{\"_row_index\": 5, \"a\": ", 23},
    {"", 0},
    {"a reason", 8},
    {"\x93\x00\x01\x02", 4},
    {"\x90", 1},
};

static void make_input(const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) torment_found("no input");
    for (int i = 0; i < ROWS; i++)
        fprintf(f, "{\"n\": %d}\n", i);
    fclose(f);
}

static void check_line(json_parser_t *parser, const char *line, size_t len, bool *seen) {
    value_t v;
    err_t err;
    bool found = false;
    if (json_parse(parser, line, len, &v, &err) != SDG_OK) torment_found("a line of the output is no JSON");
    if (v.kind != VALUE_OBJECT) torment_found("a line of the output is no object");
    value_t index = object_get_peek(v, "_row_index", strlen("_row_index"), &found);
    if (!found || index.kind != VALUE_INT || index.integer < 0 || index.integer >= ROWS)
        torment_found("a line of the output is of no row");
    if (seen[index.integer]) torment_found("a row stands in the output twice");
    seen[index.integer] = true;
    value_free(v);
}

static void check_output(const char *path) {
    char line[LINE_BYTES];
    bool seen[ROWS] = {0};
    json_parser_t *parser = json_parser_new();
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        size_t len = strlen(line);
        if (len == 0 || line[len - 1] != '\n') torment_found("the output ends within a line");
        check_line(parser, line, len - 1, seen);
    }
    if (f) fclose(f);
    json_parser_destroy(&parser);
}

static void step(torment_t *t, puppet_t *scheduler, puppet_t *store) {
    uint8_t what = torment_byte(t);
    if (what >= 240) {
        torment_hear(t, scheduler);
        torment_hear(t, store);
    } else if (what >= 225 && store->peer) {
        torment_say(t, store, ROLE_STORE, ROLE_CLIENT);
    } else {
        torment_say(t, scheduler, what % 16 == 15 ? ROLE_ANYBODY : ROLE_SCHEDULER, ROLE_CLIENT);
    }
}

static void welcome(torment_t *t, puppet_t *scheduler) {
    puppet_pass(scheduler, MESSAGE_HELLO);
    puppet_say(scheduler, (message_t){.type = MESSAGE_WELCOME, .WELCOME = {.known = 1}});
    link_frame_t in;
    puppet_await(scheduler, MESSAGE_JOB_OPEN, &in);
    uint64_t job = in.message.JOB_OPEN.job;
    link_frame_free(&in);
    t->heard[t->heard_count++] = job;
    puppet_say(scheduler, (message_t){.type = MESSAGE_JOB_ACCEPTED, .JOB_ACCEPTED = {.job = job}});
    puppet_say(scheduler,
               (message_t){.type = MESSAGE_INGEST_CREDIT,
                           .INGEST_CREDIT = {.job = job, .rows_limit = 6, .bytes_limit = 1000000}});
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    char endpoint[64], store_name[64], folder[] = "/dev/shm/sdg-torment-XXXXXX", input[64], output[64],
                                       more[64];
    err_t err = {0};
    if (!mkdtemp(folder)) torment_found("no folder for the output");
    snprintf(input, sizeof input, "%s/in.jsonl", folder);
    snprintf(output, sizeof output, "%s/out.jsonl", folder);
    make_input(input);
    torment_name(endpoint, sizeof endpoint, "for-client");
    torment_name(store_name, sizeof store_name, "store-for-client");
    torment_t t = {.at = bytes, .len = len, .texts = texts, .text_count = sizeof texts / sizeof *texts};
    uint8_t how = torment_byte(&t);
    job_options_t options;
    job_options_init(&options);
    client_args_t args = {.endpoint = endpoint,
                          .store = how & 1 ? store_name : NULL,
                          .name = "a client",
                          .pipeline_path = "p.yaml",
                          .pipeline_folder = "/folder",
                          .pipeline_bytes = YAML,
                          .pipeline_len = sizeof YAML - 1,
                          .options = &options,
                          .rows_max = UINT64_MAX,
                          .limits = {.failure_rate = -1, .give_up_ms = UINT64_MAX / 2},
                          .window_rows = WINDOW,
                          .window_bytes = 1000000,
                          .chunk_rows = 2,
                          .concurrency = 5,
                          .ordered = how & 2};
    writer_options_t w = {
        .pipeline_identity = "", .input_identity = "", .options_identity = "", .ordered = args.ordered};
    args.reader = reader_open(input, DATA_AUTO, &err);
    args.writer = writer_open(output, &w, &args.resumed, &err);
    if (!args.reader || !args.writer) torment_found(err.text);
    puppet_t scheduler, store;
    puppet_bind(&scheduler, ZMQ_ROUTER, endpoint);
    puppet_bind(&store, ZMQ_ROUTER, store_name);
    scheduler.epoch = EPOCH;
    actor_thread_t *client = harness_start(client_actor, &args);
    welcome(&t, &scheduler);
    while (t.len)
        step(&t, &scheduler, &store);
    actor_join(&client);
    check_output(output);
    puppet_close(&scheduler);
    puppet_close(&store);
    job_options_free(&options);
    unlink(input);
    unlink(output);
    snprintf(more, sizeof more, "%s.sdg", output);
    unlink(more);
    rmdir(folder);
    return 0;
}
