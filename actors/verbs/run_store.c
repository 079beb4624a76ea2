/* run_store.c - see run_store.h. */
#include "actors/verbs/run_store.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/verbs/limits.h"
#include "actors/verbs/run_files.h"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "core/base/words.h"
#include "core/plan/memory_split.h"

/* ---- call journal */

/* User code may use ctx.call_ai as often as it likes, unless ctx_access leaves it out. */
static bool may_call_ai(const block_t *b) {
    if (b->type != BLOCK_PYTHON) return false;
    if (b->python.ctx_access.kind != VALUE_LIST) return true;
    for (size_t i = 0; i < list_count(b->python.ctx_access); i++) {
        if (strcmp(list_peek(b->python.ctx_access, i).string->data, "call_ai") == 0) return true;
    }
    return false;
}

/* How many LLM calls can a row make? */
typedef enum row_calls { ROW_CALLS_NOBODY, ROW_CALLS_ONCE, ROW_CALLS_OFTEN } row_calls_t;

static row_calls_t calls_of_a_row(const pipeline_t *p) {
    if (p->ai_block_count > 1) return ROW_CALLS_OFTEN;
    for (size_t i = 0; p->model_count > 0 && i < p->block_count; i++) {
        if (may_call_ai(&p->blocks[i])) return ROW_CALLS_OFTEN;
    }
    return p->ai_block_count ? ROW_CALLS_ONCE : ROW_CALLS_NOBODY;
}

static bool wants_journal(const run_options_t *o, const pipeline_t *p) {
    if (o->no_journal || o->job.row.trace) return false;
    return o->journal || calls_of_a_row(p) != ROW_CALLS_NOBODY;
}

int run_store_check(const run_options_t *o, const pipeline_t *p, err_t *err) {
    if (!wants_journal(o, p) || !run_files_is_file(o->output)) return SDG_OK;
    char *path = xasprintf("%s.journal", o->output);
    int rc = journal_check(path, err);
    free(path);
    return rc;
}

/* A row that has failed may be done again by a later run, perhaps with a corrected pipeline: its calls stay.
 */
static journal_row_t row_of(void *writer, uint64_t row) {
    if (rangeset_has(writer_failed(writer), row)) return JOURNAL_ROW_KEPT;
    return rangeset_has(writer_finished(writer), row) ? JOURNAL_ROW_FINISHED : JOURNAL_ROW_OPEN;
}

/* What damage costs: the calls whose answers are gone, but for those of rows that are finished. */
static void say_lost(const journal_found_t *found, const char *path) {
    const journal_lost_t *lost = &found->lost;
    uint64_t again = lost->records - found->lost_finished;
    if (lost->torn_bytes)
        log_warn("run", "%s ended in the middle of a record: %" PRIu64 " %s cut", path, lost->torn_bytes,
                 words_choose(lost->torn_bytes, "byte", "bytes"));
    if (lost->records)
        log_warn("run",
                 "%s is damaged: %" PRIu64 " %s (%" PRIu64 " %s) cannot be read, %" PRIu64
                 " others can; at most %" PRIu64 " LLM %s made and paid again. Is the disk sound?",
                 path, lost->records, words_choose(lost->records, "record", "records"), lost->bytes,
                 words_choose(lost->bytes, "byte", "bytes"), found->records, again,
                 words_choose(again, "call is", "calls are"));
}

static void say_found(const journal_found_t *found, const char *path) {
    say_lost(found, path);
    if (found->calls)
        log_info("run",
                 "%" PRIu64 " LLM %s of %" PRIu64 " unfinished %s in the journal and %s not made again",
                 found->calls, words_choose(found->calls, "call", "calls"), found->rows,
                 words_choose(found->rows, found->calls == 1 ? "row is" : "row are", "rows are"),
                 words_choose(found->calls, "is", "are"));
}

/* Where a row makes one call, no other call of the row can be lost: its answer is written down only when the
 * row fails, so that rows need not wait for the journal. In batch mode a row is with several workers one
 * after the other, so it is written down at once. */
static bool is_late(const run_options_t *o, const pipeline_t *p) {
    return !o->journal && !o->batch_mode && calls_of_a_row(p) == ROW_CALLS_ONCE;
}

/* Called after the output is open: its lock makes this run the only owner of the journal too, and it says
 * which rows are finished. */
static int open_journal(const run_options_t *o, const pipeline_t *p, const client_args_t *c, local_run_t *run,
                        err_t *err) {
    journal_found_t found;
    bool late = is_late(o, p);
    if (!wants_journal(o, p)) return SDG_OK;
    if (!run_files_is_file(o->output)) {
        if (o->journal) log_warn("run", "no call journal: %s is not a file it could lie beside", o->output);
        return SDG_OK;
    }
    char *path = xasprintf("%s.journal", o->output);
    run->journal =
        journal_open(path, late ? JOURNAL_WHEN_NEEDED : JOURNAL_MAKE, row_of, c->writer, &found, err);
    if (run->journal) say_found(&found, path);
    run->options->store.calls = run->journal;
    run->options->store.late = late;
    run->options->store.first_row = found.first_row;
    run->options->store.end_row = found.end_row;
    free(path);
    return run->journal ? SDG_OK : err->code;
}

/* ---- contexts */

/* A folder for contexts on disk: the user's choice, that of the output, else the system's for temporary
 * files. */
static char *spill_folder(const run_options_t *o) {
    if (o->spill_dir) return xstrdup(o->spill_dir);
    if (run_files_is_file(o->output)) {
        char *copy = xstrdup(o->output), *folder = xstrdup(dirname(copy));
        free(copy);
        return folder;
    }
    const char *system = getenv("TMPDIR");
    return xstrdup(system && *system ? system : "/tmp");
}

/* The folder is first written to when a context is spilled; so that a wrong --spill-dir is told at once, it
 * is looked at here. */
static int check_spill_folder(const run_options_t *o, const char *folder, err_t *err) {
    if (!o->spill_dir || access(folder, W_OK | X_OK) == 0) return SDG_OK;
    return err_set(err, SDG_EIO, "--spill-dir %s is not a folder that can be written to", folder);
}

static void choose_stops(run_store_t *store, const run_options_t *o, const pipeline_t *p, client_args_t *c) {
    if (!o->batch_mode) return;
    store->stops = xcalloc(p->block_count + 1, sizeof *store->stops);
    c->stops = store->stops;
    c->stop_count = pipeline_stops(p, store->stops, p->block_count);
}

/* Contexts are kept when an option asks for them, for a memory limit, and for batch mode. */
static int open_contexts(run_store_t *store, run_options_t *o, const client_args_t *c, local_run_t *run,
                         err_t *err) {
    if (!o->memory_optimization && !o->memory_limit && c->stop_count == 0) return SDG_OK;
    char *folder = spill_folder(o);
    if (check_spill_folder(o, folder, err) == SDG_OK) {
        store->spill_path = xasprintf("%s/.sdg-contexts-%016" PRIx64, folder, rng_entropy());
        store->contexts =
            (contexts_options_t){.max_cached = o->max_cache ? o->max_cache : CONTEXTS_CACHED_DEFAULT,
                                 .max_bytes = memory_split(o->memory_limit, 1).store_bytes,
                                 .spill_path = store->spill_path};
        run->contexts = &store->contexts;
        o->job.store.contexts = o->memory_optimization;
        o->job.store.batch = c->stop_count > 0;
    }
    free(folder);
    return store->spill_path ? SDG_OK : err->code;
}

/* ---- the store of a run */

/* --overwrite starts anew, so without old answers, also when no journal is kept now. A file that is no
 * journal is left alone. */
static void drop_old_journal(const run_options_t *o) {
    char *path = xasprintf("%s.journal", o->output);
    if (o->overwrite && run_files_is_file(o->output) && journal_check(path, NULL) == SDG_OK) unlink(path);
    free(path);
}

int run_store_open(run_store_t *store, run_options_t *o, const pipeline_t *p, client_args_t *c,
                   local_run_t *run, err_t *err) {
    *store = (run_store_t){0};
    drop_old_journal(o);
    choose_stops(store, o, p, c);
    int rc = open_contexts(store, o, c, run, err);
    if (rc == SDG_OK) rc = open_journal(o, p, c, run, err);
    if (rc != SDG_OK) run_store_free(store);
    return rc;
}

void run_store_free(run_store_t *store) {
    free(store->stops);
    free(store->spill_path);
    *store = (run_store_t){0};
}
