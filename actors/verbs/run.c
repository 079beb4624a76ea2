/* run.c - see run.h. Everything that can be wrong is found here, before a row starts, and costs nothing. */
#include "actors/verbs/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/runtime/runtime.h"
#include "actors/verbs/auto_tune.h"
#include "actors/verbs/columns.h"
#include "actors/verbs/command_line.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "actors/verbs/prepare.h"
#include "actors/verbs/run_files.h"
#include "actors/verbs/run_report.h"
#include "actors/verbs/run_store.h"
#include "actors/verbs/trace.h"
#include "core/base/ending.h"
#include "core/base/leftovers.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/base/words.h"
#include "core/mabel/yaml/limits.h"
#include "core/plan/memory_split.h"
#include "core/plan/window.h"
#include "core/python/pyspawn.h"

/* ---- how much may be pending */

/* How many rows and bytes may be pending, from the options and the size of a row. */
static void choose_windows(const run_options_t *o, client_args_t *c, uint64_t row_bytes,
                           const memory_split_t *share) {
    window_wish_t wish = {.concurrency = o->max_concurrent,
                          .row_bytes = row_bytes,
                          .max_pending = o->max_pending,
                          .chunk_size = o->chunk_size,
                          .memory_bytes = share->window_bytes,
                          .scheduling = o->scheduling};
    window_t window;
    window_choose(&wish, &window);
    c->concurrency = o->max_concurrent;
    c->batch_min = o->min_batch;
    c->window_rows = window.rows;
    c->window_bytes = window.bytes;
    c->chunk_rows = window.chunk_rows;
}

/* Logs what was chosen. */
static void say_windows(const client_args_t *c, uint64_t row_bytes) {
    buf_t line;
    buf_init(&line, 256);
    buf_adds(&line, "window: ");
    words_plural(&line, c->window_rows, "row", "rows");
    buf_adds(&line, " (concurrency ");
    words_count(&line, c->concurrency);
    if (row_bytes) buf_adds(&line, ", rows of about ");
    if (row_bytes) words_bytes(&line, row_bytes);
    buf_adds(&line, "), ");
    words_bytes(&line, c->window_bytes);
    buf_adds(&line, ", chunks of ");
    words_count(&line, c->chunk_rows);
    log_info("run", "%s", line.data);
    buf_free(&line);
}

/* Worker processes are quiet, so what holds their Python blocks is tried out and said here; threads say it
 * themselves. */
static void say_sandbox(const run_options_t *o, const pipeline_t *p) {
    if (!o->processes || !p->python_block_count || !log_enabled(LEVEL_INFO)) return;
    const py_env_spec_t *env = &p->py_envs[0];
    const py_limits_spec_t *l = &env->limits;
    const py_limits_t limits = py_limits_of(l->memory_mb, l->processes, l->file_size_mb, l->open_files);
    char words[512];
    py_jail_t jail;
    if (py_probe("/proc/self/exe", &limits, &jail, NULL) != SDG_OK)
        return; /* the workers will meet the same and say it */
    py_jail_words(&jail, env->allow_network, PY_FILES_ALL, &limits, words, sizeof words);
    log_info("run", "sandbox of Python blocks: %s", words);
}

/* ---- descriptors */

/* What the process of the run is going to have; `python`: its pipeline has blocks of Python. */
static descriptors_use_t descriptors_of(verb_t verb, const run_options_t *o, bool python) {
    bool own = verb != VERB_SUBMIT;
    unsigned threads = own && !o->processes ? (unsigned)o->workers : 0;
    return (descriptors_use_t){.run = true,
                               .scheduler = own,
                               .metrics = o->metrics_listen,
                               .workers = threads,
                               /* of each worker process to scheduler and store, or of a fleet to the store */
                               .peers = own ? 2 * (unsigned)o->processes : 4,
                               .python_hosts = python ? threads * (unsigned)o->python_workers : 0};
}

/* Fewer requests at a time than asked for when there are no descriptors for them, which is said. Each worker
 * process has a limit of its own, which is like this one. False, and a sentence, when there are not even
 * enough for one request. */
static bool cut_concurrency(verb_t verb, run_options_t *o, const pipeline_t *p) {
    descriptors_use_t own = descriptors_of(verb, o, p->python_block_count > 0),
                      worker = runtime_worker_use(0);
    own.started = true;
    if (p->python_block_count) worker.python_hosts = (unsigned)o->python_workers;
    if (!descriptors_suffice("run", &own) || (o->processes && !descriptors_suffice("run", &worker)))
        return false;
    threads_use_t threads = {.actors = 4 + own.scheduler + own.workers, .processes = (unsigned)o->processes};
    if (p->python_block_count && verb != VERB_SUBMIT)
        threads.hosts = o->processes ? (unsigned)o->processes : own.workers;
    if ((threads.processes || threads.hosts) && !threads_suffice("run", &threads)) return false;
    if (verb == VERB_SUBMIT) return true; /* requests are made elsewhere */
    o->requests_max = descriptors_requests(o->processes ? &worker : &own, descriptors_free());
    uint64_t all = (uint64_t)o->requests_max * (o->processes ? o->processes : 1);
    if (all >= o->max_concurrent) return true;
    log_warn("run",
             "`ulimit -n %" PRIu64 "` allows %" PRIu64 " %s at a time instead of %" PRIu64 ": raise it",
             descriptors_allowed(), all, words_choose(all, "request", "requests"), o->max_concurrent);
    o->max_concurrent = all;
    if (o->min_batch > all) o->min_batch = all;
    return true;
}

/* ---- opening */

static void say_resumed(const writer_resumed_t *r, const char *output) {
    if (r->torn_bytes)
        log_warn("run", "%s ended in the middle of a line: %" PRIu64 " %s cut", output, r->torn_bytes,
                 words_choose(r->torn_bytes, "byte", "bytes"));
    if (r->adopted)
        log_warn("run", "%s has rows but no record of what wrote them: continuing on trust", output);
    if (r->identity_forced)
        log_warn("run", "%s was written by another pipeline, input or options: continuing as asked", output);
    if (r->rows_retried)
        log_info("run", "%" PRIu64 " failed %s done again", r->rows_retried,
                 words_choose(r->rows_retried, "row is", "rows are"));
    if (r->rows_ok + r->rows_failed)
        log_info("run", "continuing: %" PRIu64 " %s finished already (%" PRIu64 " failed)",
                 r->rows_ok + r->rows_failed, words_choose(r->rows_ok + r->rows_failed, "row is", "rows are"),
                 r->rows_failed);
}

typedef struct identities {
    char pipeline[64], options[64], input[128];
} identities_t;

static int open_output(const run_options_t *o, const identities_t *id, client_args_t *c, err_t *err) {
    writer_options_t options = {.pipeline_identity = id->pipeline,
                                .input_identity = id->input,
                                .options_identity = id->options,
                                .overwrite = o->overwrite,
                                .force_resume = o->force_resume,
                                .retry_failed = o->retry_failed,
                                .ordered = o->ordered};
    c->writer = writer_open(o->output, &options, &c->resumed, err);
    if (!c->writer) return err->code;
    say_resumed(&c->resumed, o->output);
    return SDG_OK;
}

/* What a person should know of the input: notes about its columns, and a separator that was found. */
static void say_input(const run_options_t *o, const reader_t *reader) {
    data_form_t form = reader_form(reader);
    for (const char *line = reader_notes(reader), *end; (end = strchr(line, '\n')); line = end + 1)
        log_warn("run", "%.*s", (int)(end - line), line);
    if (form.format == DATA_CSV && form.delimiter != ',' && !o->form.delimiter)
        log_info("run", "%s: fields are separated by '%c', by its header (--delimiter overrides)", o->input,
                 form.delimiter);
}

static int open_data(const run_options_t *o, const pipeline_t *p, const buf_t *yaml, client_args_t *c) {
    identities_t id;
    err_t err;
    prepare_pipeline_identity(p, yaml, id.pipeline);
    prepare_options_identity(&o->job, id.options);
    if (run_files_check(o, p, &err) == SDG_OK && run_store_check(o, p, &err) == SDG_OK)
        c->reader = reader_open_as(o->input, &o->form, &err);
    if (c->reader && reader_identity(c->reader, o->input, id.input, sizeof id.input, &err) == SDG_OK &&
        open_output(o, &id, c, &err) == SDG_OK) {
        say_input(o, c->reader);
        return SDG_OK;
    }
    fprintf(stderr, "sdg: %s\n", err.text);
    reader_close(&c->reader);
    return err.code;
}

/* ---- run and submit */

/* Opens what the run keeps (journal, contexts), then starts the actors and waits for their end. On failure
 * everything that was taken over is closed here. */
static int run_actors(verb_t verb, run_options_t *o, const pipeline_t *p, client_args_t *c,
                      const report_page_t *report, int metrics_fd) {
    err_t err;
    run_store_t store;
    local_run_t run = {.client = c,
                       .own_scheduler = verb != VERB_SUBMIT,
                       .progress = !o->no_progress && !o->common.quiet,
                       .summary = !o->common.quiet,
                       .troubles = verb == VERB_TEST_RUN || !o->common.quiet,
                       .failed_line = verb != VERB_TEST_RUN,
                       .output = o->output,
                       .linger_ms =
                           o->metrics_linger_s == UINT64_MAX ? LINGER_UNTIL_SEEN : o->metrics_linger_s * 1000,
                       .japanese = o->common.japanese,
                       .worker_threads = (unsigned)o->workers,
                       .worker_processes = (unsigned)o->processes,
                       .python_workers = (unsigned)o->python_workers,
                       .files = o->job.row.files,
                       .in_flight_max = o->requests_max,
                       .verbose = o->common.verbose,
                       .options = &o->job,
                       .fsync = o->fsync,
                       .metrics_fd = metrics_fd,
                       .memory_threshold_bytes = o->memory_monitoring ? o->memory_threshold_mb << 20 : 0,
                       .report = *report};
    if (run_store_open(&store, o, p, c, &run, &err) != SDG_OK) {
        fprintf(stderr, "sdg: %s\n", err.text);
        reader_close(&c->reader);
        writer_close(&c->writer);
        if (metrics_fd >= 0) close(metrics_fd);
        return EXIT_DATA;
    }
    char *again = strcmp(o->output, "-") == 0 ? NULL : command_line_again();
    run.again = again;
    int code = runtime_run(&run);
    free(again);
    run_store_free(&store);
    return code;
}

/* The shares of --memory-limit. Without it the windows alone bound what is pending. */
static memory_split_t share_memory(verb_t verb, run_options_t *o, client_args_t *c) {
    /* In a fleet each worker has the whole share. */
    uint64_t workers = verb == VERB_SUBMIT ? 1 : o->processes ? o->processes : o->workers;
    memory_split_t share = memory_split(o->memory_limit, workers);
    c->memory_limit = o->memory_limit;
    c->row_bytes_max = share.row_bytes_max;
    o->job.memory_bytes = share.worker_bytes;
    if (o->memory_limit) memory_release_eagerly();
    return share;
}

/* Shows on stderr which names are no columns of the input. False: with --strict that is an error. */
static bool columns_are_fine(const run_options_t *o, const pipeline_t *p, const buf_t *yaml) {
    buf_t problems;
    buf_init(&problems, 4 << 20);
    size_t count = columns_check_input(p, yaml, &o->job.row, o->input, &o->form, o->strict, &problems);
    if (problems.len) fputs(problems.data, stderr);
    buf_free(&problems);
    return count == 0 || !o->strict;
}

/* Checks the pipeline, chooses the windows, opens input and output, and runs. Anything that is wrong ends it
 * with a sentence and an exit code before a row has started. *metrics_fd becomes -1 when the run has taken it
 * over. */
static int check_and_run(verb_t verb, run_options_t *o, int *metrics_fd) {
    buf_t yaml;
    err_t err;
    int code = EXIT_PIPELINE;
    buf_init(&yaml, YAML_FILE_BYTES_MAX);
    if (prepare_read_file(o->yaml, &yaml, &err) != SDG_OK) {
        fprintf(stderr, "sdg: %s\n", err.text);
        buf_free(&yaml);
        return EXIT_PIPELINE;
    }
    pipeline_t *p = prepare_pipeline(o->yaml, &yaml,
                                     (prepare_how_t){.use_env = verb != VERB_SUBMIT, .strict = o->strict});
    client_args_t c = {.endpoint = o->connect,
                       .name = "client",
                       .pipeline_path = o->yaml,
                       .pipeline_bytes = yaml.data,
                       .pipeline_len = yaml.len,
                       .options = &o->job,
                       .rows_max = o->max_inputs,
                       .ordered = o->ordered,
                       .fleet = verb == VERB_SUBMIT,
                       .first_row = o->row,
                       .target_latency_ms = o->target_latency_ms,
                       .priority = o->priority,
                       .drain_ms = o->drain_s * 1000,
                       .limits = o->limits};
    bool fine = p && columns_are_fine(o, p, &yaml), room = fine && cut_concurrency(verb, o, p);
    if (fine && !room) code = EXIT_RUNTIME;
    if (room) {
        char *folder = prepare_folder_of(o->yaml);
        c.needs_python = p->python_block_count > 0;
        uint64_t *endpoints = prepare_endpoints(p, &c.endpoint_count);
        c.endpoints = endpoints;
        c.pipeline_folder = folder;
        if (o->auto_tune) auto_tune(o);
        o->job.gc_rows = o->gc_interval ? o->gc_interval : GC_INTERVAL_DEFAULT;
        uint64_t row_bytes = prepare_row_bytes(o->input, &o->form);
        memory_split_t share = share_memory(verb, o, &c);
        choose_windows(o, &c, row_bytes, &share);
        code = EXIT_DATA;
        report_page_t report;
        if (run_report_make(o, p, &yaml, &report, &err) != SDG_OK) {
            fprintf(stderr, "sdg: %s\n", err.text);
        } else if (open_data(o, p, &yaml, &c) == SDG_OK) {
            say_windows(&c, row_bytes);
            say_sandbox(o, p);
            code = run_actors(verb, o, p, &c, &report, *metrics_fd);
            *metrics_fd = -1;
        }
        run_report_free(&report);
        free(endpoints);
        free(folder);
    }
    pipeline_destroy(&p);
    buf_free(&yaml);
    return code;
}

/* Listens for --metrics-listen before anything is opened: a port that is taken stops the run at once. */
static int listen_and_run(verb_t verb, run_options_t *o) {
    err_t err;
    int fd = -1;
    if (o->metrics_listen && (fd = runtime_metrics_listen("run", o->metrics_listen, o->insecure, &err)) < 0) {
        fprintf(stderr, "sdg: %s\n", err.text);
        return err.code == SDG_EIO ? EXIT_RUNTIME
                                   : EXIT_USAGE; /* the port is taken, or the address is none */
    }
    int code = check_and_run(verb, o, &fd);
    if (fd >= 0) close(fd);
    return code;
}

/* Starts what all actors need, and runs. Whether the pipeline has blocks of Python is not yet known. */
static int init_and_run(verb_t verb, run_options_t *o) {
    descriptors_use_t use = descriptors_of(verb, o, false);
    return runtime_init(verb_of(verb)->name, &use) ? listen_and_run(verb, o) : EXIT_RUNTIME;
}

int run_main(void *options) { return init_and_run(VERB_RUN, options); }

int submit_main(void *options) { return init_and_run(VERB_SUBMIT, options); }

/* ---- test-run: one row, through the same actors, into a file that is shown and removed */

/* Counts rows of the input, at most `max`. 0 when it cannot be read: the run says why. */
static uint64_t count_rows(const run_options_t *o, uint64_t max) {
    row_record_t record;
    err_t err;
    uint64_t n = 0;
    reader_t *reader = reader_open_as(o->input, &o->form, &err);
    while (reader && n < max && reader_next(reader, &record, &err) == 1) {
        n++;
    }
    reader_close(&reader);
    return n;
}

static void choose_row(run_options_t *o) {
    uint64_t rows = o->random_input ? count_rows(o, RANDOM_ROWS_MAX) : 0;
    if (rows > 0) o->row = rng_entropy() % rows;
    o->max_inputs = o->row + 1;
    o->max_concurrent = 1;
    o->job.row.trace = true;
    o->no_progress = o->common.quiet = true;
    o->drain_s = 0; /* nothing of a test-run is kept, so nothing is worth waiting for */
}

static int show(const char *path, const run_options_t *o, int code) {
    buf_t line;
    err_t err;
    buf_init(&line, MESSAGE_BYTES_MAX);
    if (prepare_read_file(path, &line, &err) != SDG_OK || line.len == 0) {
        if (code == EXIT_ALL_FINE)
            fprintf(stderr, "sdg test-run: %s has no row %" PRIu64 ": rows are counted from 0\n", o->input,
                    o->row);
        buf_free(&line);
        return code == EXIT_ALL_FINE ? EXIT_DATA : code;
    }
    trace_show(line.data, line.len, o->meta, o->common.japanese);
    buf_free(&line);
    return code;
}

/* Runs one row through the same actors into a temporary file, shows it and removes the file. */
int test_run_main(void *options) {
    run_options_t *o = options;
    char folder[] = "/tmp/" LEFTOVERS_TEST "XXXXXX", path[64], identity[72];
    choose_row(o);
    int hold = leftovers_make(folder);
    if (hold < 0) {
        perror("sdg test-run: cannot make a temporary folder");
        return EXIT_DATA;
    }
    snprintf(path, sizeof path, "%s/row.jsonl", folder);
    snprintf(identity, sizeof identity, "%s.sdg", path);
    o->output = path;
    ending_remove(path);
    ending_remove(identity);
    ending_remove(folder);
    int code = init_and_run(VERB_TEST_RUN, o);
    code = code == EXIT_ALL_FINE || code == EXIT_ROWS_FAILED ? show(path, o, code) : code;
    unlink(path);
    unlink(identity);
    rmdir(folder);
    close(hold);
    if (code == EXIT_STOPPED) fprintf(stderr, "sdg test-run: stopped on request\n");
    return code;
}
