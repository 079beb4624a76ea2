/* options.c - see options.h. */
#include "actors/verbs/options.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actors/loop/link.h"
#include "actors/verbs/limits.h"
#include "core/base/grow.h"
#include "core/base/host_port.h"
#include "core/base/limits.h"
#include "core/base/log.h"
#include "core/plan/limits.h"

/* ---- defaults */

void run_options_prepare(void *options) {
    run_options_t *o = options;
    job_options_init(&o->job);
    o->connect = DEFAULT_ENDPOINT;
    o->max_inputs = UINT64_MAX;
    o->max_concurrent = 8;
    o->limits = (stop_limits_t){.failure_rate = -1, .give_up_ms = GIVE_UP_MS_DEFAULT};
    o->max_batch = 64;
    o->workers = 1;
    o->python_workers = 2;
    o->memory_threshold_mb = 1024;
    o->metrics_linger_s = UINT64_MAX;
    o->drain_s = RUN_DRAIN_SECONDS;
}

void serve_options_prepare(void *options) { ((serve_options_t *)options)->listen = DEFAULT_ENDPOINT; }

void worker_options_prepare(void *options) {
    worker_options_t *o = options;
    o->connect = DEFAULT_ENDPOINT;
    o->python_workers = 2;
    o->drain_s = WORKER_DRAIN_SECONDS;
}

void status_options_prepare(void *options) { ((status_options_t *)options)->connect = DEFAULT_ENDPOINT; }

void top_options_prepare(void *options) {
    top_options_t *o = options;
    o->connect = DEFAULT_METRICS_URL;
    o->count = UINT64_MAX;
}

void validate_options_prepare(void *options) { ((validate_options_t *)options)->use_env = true; }

static void folders_free(folders_t *f) {
    for (size_t i = 0; i < f->count; i++)
        free(f->items[i]);
    free(f->items);
    *f = (folders_t){0};
}

void run_options_release(void *options) {
    run_options_t *o = options;
    job_options_free(&o->job);
    folders_free(&o->allowed);
}

void worker_options_release(void *options) { folders_free(&((worker_options_t *)options)->allowed); }

/* ---- texts with a grammar */

int run_options_map(void *options, const char *text, err_t *err) {
    run_options_t *o = options;
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || colon[1] == '\0')
        return err_set(err, SDG_EINVAL, "takes ORIGINAL:NEW, not '%s'", text);
    char *from = xstrndup(text, (size_t)(colon - text));
    job_options_map(&o->job, from, colon + 1);
    free(from);
    return SDG_OK;
}

static void folders_add(folders_t *f, const char *absolute) {
    GROW(f->items, f->cap, f->count + 1);
    f->items[f->count++] = xstrdup(absolute);
}

static int allow_files(folders_t *f, const char *text, err_t *err) {
    char absolute[PATH_MAX];
    struct stat st;
    if (!realpath(text, absolute) || stat(absolute, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(err, SDG_EINVAL, "takes a folder that is there, not '%s'", text);
    folders_add(f, absolute);
    return SDG_OK;
}

int run_options_allow_files(void *options, const char *text, err_t *err) {
    return allow_files(&((run_options_t *)options)->allowed, text, err);
}

int worker_options_allow_files(void *options, const char *text, err_t *err) {
    return allow_files(&((worker_options_t *)options)->allowed, text, err);
}

/* The folder that a file lies in by the name that was given; the root, below which everything lies, has to be
 * allowed by a flag. */
static void allow_folder_of(folders_t *f, const char *path) {
    char *copy = xstrdup(path), absolute[PATH_MAX];
    if (strcmp(path, "-") != 0 && realpath(dirname(copy), absolute) && strcmp(absolute, "/") != 0)
        folders_add(f, absolute);
    free(copy);
}

/* Pipeline and input were named by the user, so rows may name what lies beside them, also where their links
 * lead. */
static void allow_own_folders(run_options_t *o) {
    const char *files[] = {o->yaml, o->input};
    for (size_t i = 0; i < 2; i++) {
        char followed[PATH_MAX];
        allow_folder_of(&o->allowed, files[i]);
        if (realpath(files[i], followed)) allow_folder_of(&o->allowed, followed);
    }
    o->job.row.files = (row_files_t){(const char *const *)o->allowed.items, o->allowed.count, true};
}

/* One byte: a character that needs more of them in UTF-8 separates no CSV that is known of. */
int run_options_delimiter(void *options, const char *text, err_t *err) {
    run_options_t *o = options;
    char delimiter = text[0];
    if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
        delimiter = '\t';
    else if (text[0] == '\0' || text[1] != '\0' || (unsigned char)text[0] < ' ' || text[0] == '"')
        delimiter = text[0] == '\t' && text[1] == '\0' ? '\t' : '\0';
    if (!delimiter)
        return err_set(err, SDG_EINVAL, "takes one character, for example ';', or tab, not '%s'", text);
    o->form.delimiter = delimiter;
    return SDG_OK;
}

int run_options_refuse_dataset(void *options, const char *text, err_t *err) {
    (void)options;
    return err_set(err, SDG_EINVAL,
                   "%s: datasets are not downloaded here; save it as .jsonl or .csv and pass it with --input",
                   text);
}

int url_check(const char *text, err_t *err) {
    return strncmp(text, "http", 4) == 0
               ? SDG_OK
               : err_set(err, SDG_EINVAL, "takes the URL of --metrics-listen, for example %s, not '%s'",
                         DEFAULT_METRICS_URL, text);
}

int endpoint_or_url_check(const char *text, err_t *err) {
    return url_check(text, NULL) == SDG_OK ? SDG_OK : link_check_endpoint(text, err);
}

int host_port_check(const char *text, err_t *err) {
    char host[HOST_BYTES_MAX];
    const char *port;
    return host_port_split(text, host, sizeof host, &port)
               ? SDG_OK
               : err_set(err, SDG_EINVAL, "takes HOST:PORT, for example 127.0.0.1:9464, not '%s'", text);
}

/* ---- rules between flags */

/* Flags of --batch-mode that were not given get their documented values. */
static void fill_in_batch(run_options_t *o) {
    if (o->min_batch && !o->batch_mode) log_warn("options", "--min-batch has no effect without --batch-mode");
    if (o->target_latency_ms && !o->batch_mode)
        log_warn("options", "--target-latency-ms has no effect without --batch-mode");
    if (!o->min_batch) o->min_batch = 1;
    if (!o->target_latency_ms) o->target_latency_ms = TARGET_LATENCY_MS_DEFAULT;
    if (o->adaptive || o->batch_mode) o->max_concurrent = o->max_batch;
    if (o->batch_mode) o->ordered = true;
}

/* Rules that no single row of the table can say: what is missing, and what does not go together. */
int run_options_check(verb_t verb, void *options, err_t *err) {
    run_options_t *o = options;
    fill_in_batch(o);
    if (o->split && !o->input) return run_options_refuse_dataset(o, "--split", err);
    const char *missing = !o->yaml                                          ? "--yaml"
                          : !o->input                                       ? "--input"
                          : !o->output && (verb & (VERB_RUN | VERB_SUBMIT)) ? "--output"
                                                                            : NULL;
    if (missing) return err_set(err, SDG_EINVAL, "%s is required", missing);
    allow_own_folders(o);
    if (o->random_input && strcmp(o->input, "-") == 0)
        return err_set(err, SDG_EINVAL,
                       "--random-input needs a file: rows of a pipe cannot be counted first");
    if (o->overwrite && (o->force_resume || o->retry_failed))
        return err_set(
            err, SDG_EINVAL,
            "--overwrite starts anew; it does not go together with --force-resume or --retry-failed");
    if (o->batch_mode && o->min_batch > o->max_batch)
        return err_set(err, SDG_EINVAL, "--min-batch %" PRIu64 " is more than --max-batch %" PRIu64,
                       o->min_batch, o->max_batch);
    if (o->journal && o->no_journal)
        return err_set(err, SDG_EINVAL, "--journal and --no-journal: which one?");
    return SDG_OK;
}

int validate_options_check(verb_t verb, void *options, err_t *err) {
    (void)verb;
    const validate_options_t *o = options;
    return o->yaml || o->common.word_count ? SDG_OK : err_set(err, SDG_EINVAL, "which file?");
}

int config_options_check(verb_t verb, void *options, err_t *err) {
    (void)verb;
    const config_options_t *o = options;
    return o->example != (o->check != NULL)
               ? SDG_OK
               : err_set(err, SDG_EINVAL, "--example or --check FILE: which one?");
}
