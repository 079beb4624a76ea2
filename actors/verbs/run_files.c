/* run_files.c - see run_files.h. To add a file that a run reads: a line in check_target. To add one that it
 * writes beside its output: an ending in beside_output. */
#include "actors/verbs/run_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/data/run_file.h"
#include "core/store/journal.h"

/* What a run writes beside an output X: the name of each file is that of X with one of these behind it. */
static const char *const beside_output[] = {".sdg",     ".sdg.new",  ".journal",     ".journal.new",
                                            ".rewrite", ".rejected", ".report.html", ".report.html.new"};

/* A file that is to be written. */
typedef struct target {
    const char *path;
    bool is_output; /* false: it lies beside the output */
    struct stat st;
} target_t;

bool run_files_is_file(const char *output) {
    struct stat st;
    return strcmp(output, "-") != 0 && (stat(output, &st) != 0 || S_ISREG(st.st_mode));
}

/* Looks at a path; "-" is this descriptor. False: nothing is there, or it is nothing that could be destroyed:
 * a terminal and a device may be read and written at once. */
static bool look_at(const char *path, int standard_fd, struct stat *st) {
    bool standard = strcmp(path, "-") == 0;
    if ((standard ? fstat(standard_fd, st) : stat(path, st)) != 0) return false;
    return S_ISREG(st->st_mode) || (S_ISFIFO(st->st_mode) && !standard);
}

/* Is the target this file of the run? Then *err says so. `what` is what the file is to the run. */
static int check_file(const target_t *t, const char *what, const char *path, err_t *err) {
    struct stat st;
    if (!path || !look_at(path, STDIN_FILENO, &st)) return SDG_OK;
    if (st.st_dev != t->st.st_dev || st.st_ino != t->st.st_ino) return SDG_OK;
    const char *shown = strcmp(path, "-") == 0 ? "what stdin reads" : path;
    if (t->is_output)
        return err_set(err, SDG_EINVAL,
                       "%s and output are the same file, %s: nothing was changed; name another file with "
                       "--output",
                       what, shown);
    return err_set(
        err, SDG_EINVAL,
        "%s is a file that the run writes beside its output, and it is the %s: nothing was changed; "
        "name another file with --output",
        t->path, what);
}

/* Requirements files stand among the arguments of pip; an argument without a flag may be one that was meant.
 */
static int check_requirements(const target_t *t, const py_env_spec_t *env, err_t *err) {
    static const char *const flags[] = {"--requirement=", "--requirement ", "-r ", ""};
    size_t count = env->requirements.kind == VALUE_LIST ? list_count(env->requirements) : 0;
    for (size_t i = 0; i < count; i++) {
        value_t line = list_peek(env->requirements, i);
        for (size_t k = 0; line.kind == VALUE_STRING && k < sizeof flags / sizeof *flags; k++) {
            size_t len = strlen(flags[k]);
            if (strncmp(line.string->data, flags[k], len) == 0 &&
                check_file(t, "requirements file", line.string->data + len, err) != SDG_OK)
                return SDG_EINVAL;
        }
    }
    return check_file(t, "Python interpreter", env->interpreter, err);
}

static int check_image(const target_t *t, const pipeline_t *p, const image_source_t *image, err_t *err) {
    char *place = image->path ? pipeline_resolve(p, image->path->data) : NULL;
    int rc = check_file(t, "image", place, err);
    free(place);
    return rc;
}

/* The files that the pipeline names. */
static int check_pipeline_files(const target_t *t, const pipeline_t *p, err_t *err) {
    int rc = SDG_OK;
    for (size_t i = 0; i < p->block_count && rc == SDG_OK; i++) {
        const block_t *b = &p->blocks[i];
        if (b->type == BLOCK_PYTHON) rc = check_file(t, "Python code", b->python.code_path, err);
    }
    for (size_t i = 0; i < p->image_count && rc == SDG_OK; i++)
        rc = check_image(t, p, &p->images[i], err);
    for (size_t i = 0; i < p->py_env_count && rc == SDG_OK; i++)
        rc = check_requirements(t, &p->py_envs[i], err);
    return rc;
}

/* Compares one target with every file of the run. */
static int check_target(const char *path, bool is_output, const run_options_t *o, const pipeline_t *p,
                        err_t *err) {
    target_t t = {.path = path, .is_output = is_output};
    if (!look_at(path, STDOUT_FILENO, &t.st)) return SDG_OK;
    int rc = check_file(&t, "input", o->input, err);
    if (rc == SDG_OK) rc = check_file(&t, "pipeline", o->yaml, err);
    if (rc == SDG_OK) rc = check_file(&t, "service file", o->common.config, err);
    if (rc == SDG_OK && p) rc = check_pipeline_files(&t, p, err);
    return rc;
}

static bool visit_nothing(void *context, const journal_key_t *key, const char *answer, size_t len) {
    (void)context, (void)key, (void)answer, (void)len;
    return false;
}

/* --overwrite deletes the journal beside the output: it must be one. */
static int check_journal(const run_options_t *o, err_t *err) {
    journal_lost_t lost;
    char *path = xasprintf("%s.journal", o->output);
    int rc = SDG_OK;
    if (o->overwrite && access(path, F_OK) == 0 &&
        journal_read(path, visit_nothing, NULL, &lost, NULL) == SDG_EINVAL)
        rc = err_set(err, SDG_EINVAL,
                     "%s is no call journal of sdg, and --overwrite would delete it: move it away, or name "
                     "another file with --output",
                     path);
    free(path);
    return rc;
}

/* The files beside `output`. A rewrite follows a symbolic link of the output to its end, so both names are
 * looked at. */
static int check_beside(const char *output, const run_options_t *o, const pipeline_t *p, err_t *err) {
    int rc = SDG_OK;
    for (size_t i = 0; i < sizeof beside_output / sizeof *beside_output && rc == SDG_OK; i++) {
        char *path = xasprintf("%s%s", output, beside_output[i]);
        rc = check_target(path, false, o, p, err);
        free(path);
    }
    return rc;
}

int run_files_check(const run_options_t *o, const pipeline_t *p, err_t *err) {
    if (!o->output) return SDG_OK;
    int rc = check_target(o->output, true, o, p, err);
    if (rc != SDG_OK || strcmp(o->output, "-") == 0) return rc;
    char *followed = realpath(o->output, NULL);
    rc = check_beside(o->output, o, p, err);
    if (rc == SDG_OK && followed) rc = check_beside(followed, o, p, err);
    free(followed);
    return rc == SDG_OK ? check_journal(o, err) : rc;
}
