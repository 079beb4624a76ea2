/* doctor_data.c - checks of the data: the input, the columns the prompts use, the first row, the output.
 *
 * The first records (the sample of core/data/survey.h) are parsed once; what is kept of them is which columns
 * they have and the first row. */
#include "actors/doctor/doctor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "actors/doctor/limits.h"
#include "actors/exit_codes.h"
#include "actors/verbs/prepare.h"
#include "actors/verbs/run_files.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/result_line.h"
#include "core/base/words.h"
#include "core/data/limits.h"
#include "core/data/output.h"
#include "core/data/run_file.h"
#include "core/mabel/row/row.h"

/* ---- input */

enum { BAD_LINES_SHOWN = 5 };
typedef struct input_sample {
    doctor_t *d;
    uint64_t bad, lines[BAD_LINES_SHOWN];
    char reason[160];
} input_sample_t;

static void note_bad(input_sample_t *s, uint64_t line, const char *reason) {
    if (s->bad == 0) snprintf(s->reason, sizeof s->reason, "%.150s", reason);
    if (s->bad < BAD_LINES_SHOWN) s->lines[s->bad] = line;
    s->bad++;
}

/* One record of the sample: counts it as a row or as bad, and keeps the first row. */
static void on_record(void *arg, const row_record_t *record) {
    input_sample_t *s = arg;
    value_t row = value_null();
    err_t err = {0};
    if (record->bad) {
        note_bad(s, record->line, record->bad);
    } else if (json_parse_text(record->json, record->json_len, &row, &err) != SDG_OK) {
        note_bad(s, record->line, err.text);
    } else if (row.kind != VALUE_OBJECT) {
        note_bad(s, record->line, "not a JSON object");
    } else {
        if (!s->d->first_row) {
            s->d->first_row = xstrndup(record->json, record->json_len);
            s->d->first_index = record->index;
            s->d->first_line = record->line;
        }
        if (s->d->columns) columns_add(s->d->columns, value_ref(row));
    }
    value_free(row);
}

/* How many rows the input has, how large they are, and which is the largest. */
static void say_input(doctor_t *d) {
    const survey_t *s = &d->survey;
    buf_t text;
    buf_init(&text, 1024);
    if (!s->exact) buf_adds(&text, "about ");
    words_count(&text, s->rows);
    buf_adds(&text, s->rows == 1 ? " row" : " rows");
    if (doctor_rows(d) < s->rows) {
        buf_adds(&text, ", of which --max-inputs takes ");
        words_count(&text, doctor_rows(d));
    }
    if (s->sampled) {
        buf_adds(&text, "; ");
        words_bytes(&text, survey_average_bytes(s));
        buf_adds(&text, " on average, the largest of the first ");
        words_count(&text, s->sampled);
        buf_adds(&text, " has ");
        words_bytes(&text, s->largest_bytes);
        buf_addf(&text, " (line %" PRIu64 ")", s->largest_line);
    }
    doctor_say(d, s->rows ? DOCTOR_OK : DOCTOR_WARN, "input", "%s: %s", d->options->input, text.data);
    if (s->rows == 0) doctor_advise(d, "there is nothing to do");
    buf_free(&text);
}

static void say_bad_lines(doctor_t *d, const input_sample_t *s) {
    char lines[128] = "";
    size_t len = 0;
    bool all = s->bad == d->survey.sampled;
    for (uint64_t i = 0; i < s->bad && i < BAD_LINES_SHOWN; i++) {
        len += (size_t)snprintf(lines + len, sizeof lines - len, "%s%" PRIu64, i ? ", " : "", s->lines[i]);
    }
    doctor_say(d, all ? DOCTOR_FAIL : DOCTOR_WARN, "input",
               "%" PRIu64 " of the first %" PRIu64 " records are no rows (line%s %s%s): %s", s->bad,
               d->survey.sampled, s->bad == 1 ? "" : "s", lines, s->bad > BAD_LINES_SHOWN ? ", ..." : "",
               s->reason);
    doctor_advise(d, all ? "is this the right file, and does its name say its format?"
                         : "correct them; as they are these rows fail, the others do not");
}

/* What the reader notes of the columns. */
static void say_notes(doctor_t *d) {
    for (const char *line = d->survey.notes, *end; (end = strchr(line, '\n')); line = end + 1) {
        doctor_say(d, DOCTOR_WARN, "input", "%.*s", (int)(end - line), line);
        doctor_advise(d, "name each column once in the header, and see --delimiter");
    }
}

/* Reads a sample of the input. A pipe is left alone. */
void doctor_check_input(doctor_t *d) {
    input_sample_t s = {.d = d};
    const pipeline_t *p = doctor_structure(d);
    err_t err;
    if (p) d->columns = columns_new(p, d->yaml.data, d->yaml.len, &d->options->job.row);
    if (survey_input(d->options->input, &d->options->form, on_record, &s, &d->survey, &err) != SDG_OK) {
        doctor_say(d, DOCTOR_FAIL, "input", "%s", err.text);
        doctor_advise(d, "give a .jsonl, .csv or .tsv file with --input, or say its --format");
        return;
    }
    d->surveyed = true;
    if (d->survey.rows == 0 && !d->survey.exact) {
        doctor_say(d, DOCTOR_OK, "input",
                   "%s is a pipe: its rows are not looked at, because that would take them away",
                   strcmp(d->options->input, "-") == 0 ? "stdin" : d->options->input);
        return;
    }
    say_input(d);
    say_notes(d);
    if (s.bad) say_bad_lines(d, &s);
}

/* ---- columns */

/* A wrong name in a prompt is a failure, elsewhere a warning; with --strict both are failures. */
static void say_column(void *arg, const columns_finding_t *finding) {
    doctor_t *d = arg;
    bool wrong = !finding->partly && finding->mention->kind != MENTION_TEXT && finding->mention->prompt;
    bool fails = wrong || (d->options->strict && !finding->partly);
    doctor_say(d, fails ? DOCTOR_FAIL : DOCTOR_WARN, "columns", "%s", finding->text);
    doctor_advise(d, "%s", finding->advice);
}

/* Names that the pipeline supplies itself are no columns: see actors/verbs/columns.h. */
void doctor_check_columns(doctor_t *d) {
    if (!d->columns || columns_rows(d->columns) == 0) return;
    if (d->options->strict) d->failure_code = EXIT_PIPELINE;
    if (columns_judge(d->columns, say_column, d) == 0)
        doctor_say(d, DOCTOR_OK, "columns", "the prompts use %zu of %zu; all they name is there",
                   columns_in_use(d->columns), columns_count(d->columns));
}

/* ---- the first row */

/* The first row comes to an LLM call: says what the request would be. It is not sent. */
static void say_request(doctor_t *d, const pipeline_t *p, const llm_request_t *request) {
    value_t body = value_null();
    buf_t size;
    buf_init(&size, 64);
    json_parse_text(request->body, request->body_len, &body, NULL);
    value_t messages = body.kind == VALUE_OBJECT ? object_get_peek(body, "messages", 8, NULL) : value_null();
    size_t count = messages.kind == VALUE_LIST ? list_count(messages) : 0;
    words_bytes(&size, request->body_len);
    doctor_say(d, DOCTOR_OK, "first row", "line %" PRIu64 " renders: model %s, %zu message%s, %s of request",
               d->first_line,
               request->route < p->model_count ? p->models[request->route].api_model->data : "?", count,
               count == 1 ? "" : "s", size.data);
    buf_free(&size);
    value_free(body);
}

/* The first row ends without an LLM call, well or with an error. */
static void say_finished(doctor_t *d, const row_t *row) {
    row_result_t result;
    value_t line = value_null();
    row_result(row, &result);
    json_parse_text(result.json, result.len, &line, NULL);
    value_t error = line.kind == VALUE_OBJECT
                        ? object_get_peek(line, RESULT_LINE_ERROR, sizeof RESULT_LINE_ERROR - 1, NULL)
                        : value_null();
    if (!result.failed) {
        doctor_say(d, DOCTOR_OK, "first row", "line %" PRIu64 " runs to its end without an LLM call",
                   d->first_line);
    } else {
        doctor_say(d, DOCTOR_FAIL, "first row", "line %" PRIu64 " fails: %s", d->first_line,
                   error.kind == VALUE_STRING ? error.string->data : result.reason);
        doctor_advise(d, "`sdg test-run` shows each block");
    }
    value_free(line);
}

/* Runs the row until it wants an LLM call or Python, which are not done here, or until DOCTOR_ROW_NS have
 * passed: a row may loop for long. */
static void run_first_row(doctor_t *d, const pipeline_t *p, row_t *row) {
    uint64_t deadline = clock_now_ns() + DOCTOR_ROW_NS;
    row_want_t want;
    while ((want = row_run(row, clock_now_ns())) == ROW_YIELD && clock_now_ns() < deadline) {
    }
    switch (want) {
    case ROW_WANT_LLM: say_request(d, p, row_llm_request(row)); break;
    case ROW_FINISHED: say_finished(d, row); break;
    case ROW_WANT_PYTHON:
        doctor_say(d, DOCTOR_OK, "first row",
                   "line %" PRIu64 " comes to a python block, which is not run here", d->first_line);
        doctor_advise(d, "`sdg test-run` runs it");
        break;
    case ROW_YIELD:
        doctor_say(d, DOCTOR_WARN, "first row",
                   "line %" PRIu64 " computes for more than %d s before its first LLM call", d->first_line,
                   (int)(DOCTOR_ROW_NS / SECOND));
        doctor_advise(d, "look for a loop that is longer than meant");
        break;
    default:
        doctor_say(d, DOCTOR_WARN, "first row", "line %" PRIu64 ": a block failed and would be tried again",
                   d->first_line);
        doctor_advise(d, "`sdg test-run` shows why");
        break;
    }
}

void doctor_check_first_row(doctor_t *d) {
    const pipeline_t *p = doctor_structure(d);
    if (!p || !d->first_row) return;
    row_input_t input = {
        .index = d->first_index, .line = d->first_line, .json = d->first_row, .len = strlen(d->first_row)};
    row_t *row = row_new(p, &d->options->job.row, &input, clock_now_ns());
    run_first_row(d, p, row);
    row_destroy(&row);
}

/* ---- output */

uint64_t doctor_result_bytes(const doctor_t *d) {
    const pipeline_t *p = doctor_structure(d);
    return survey_average_bytes(&d->survey) + (p ? p->ai_block_count : 0) * DOCTOR_ANSWER_BYTES;
}

/* The folder a path lies in, or will lie in: the nearest that exists. The caller frees. */
static char *folder_of(const char *path) {
    char *copy = xstrdup(path), *folder = xstrdup(dirname(copy));
    struct stat st;
    free(copy);
    while (stat(folder, &st) != 0 && strcmp(folder, ".") != 0 && strcmp(folder, "/") != 0) {
        char *up = xstrdup(dirname(folder));
        free(folder);
        folder = up;
    }
    return folder;
}

static bool check_folder(doctor_t *d, const char *folder) {
    struct stat st;
    if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s is not a folder", folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "output", "nothing can be written to the folder %s: %s", folder,
                   strerror(errno));
    } else {
        return true;
    }
    doctor_advise(d, "choose another --output");
    return false;
}

/* Is there room on the disk for the results, by the estimate of their size? */
static void check_room(doctor_t *d, const char *folder) {
    struct statvfs fs;
    buf_t room, need;
    uint64_t rows = doctor_rows(d), bytes = rows * doctor_result_bytes(d);
    if (statvfs(folder, &fs) != 0) return;
    uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
    buf_init(&room, 64);
    buf_init(&need, 64);
    words_bytes(&room, available);
    words_bytes(&need, bytes);
    bool none = available < DOCTOR_ROOM_BYTES_MIN, tight = rows && available < bytes;
    if (rows)
        doctor_say(d,
                   none    ? DOCTOR_FAIL
                   : tight ? DOCTOR_WARN
                           : DOCTOR_OK,
                   "disk", "%s free in %s, about %s will be written", room.data, folder, need.data);
    else
        doctor_say(d, none ? DOCTOR_FAIL : DOCTOR_OK, "disk", "%s free in %s", room.data, folder);
    if (none || tight)
        doctor_advise(d,
                      "make room: a run that finds the disk full stops, and the same command continues it");
    buf_free(&room);
    buf_free(&need);
}

/* Is a run writing this file? The lock is taken for a moment, and a run that starts in this moment would be
 * refused. */
static bool is_locked(int fd) {
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!locked) flock(fd, LOCK_UN);
    return locked;
}

/* Would a run continue this output, or refuse it because another pipeline, input or options wrote it? */
static void check_identity(doctor_t *d, const struct stat *st) {
    const run_options_t *o = d->options;
    char pipeline[64] = "", options[64], input[128];
    run_match_t match = RUN_ABSENT;
    err_t err;
    if (!d->pipeline || prepare_input_identity(o->input, &o->form, input, sizeof input, &err) != SDG_OK)
        return; /* an earlier check has said why */
    prepare_pipeline_identity(d->pipeline, &d->yaml, pipeline);
    prepare_options_identity(&o->job, options);
    run_identity_t now = {.pipeline = pipeline, .input = input, .options = options};
    int rc = run_file_check(o->output, &now, &match, &err);
    if (rc < 0 || ((match == RUN_DIFFERS || match == RUN_DAMAGED) && !o->force_resume)) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s", err.text);
        doctor_advise(d, "choose another --output, or one of these flags");
    } else if (match == RUN_ABSENT && st->st_size > 0) {
        doctor_say(d, DOCTOR_WARN, "output",
                   "%s exists and nothing says what wrote it: a run continues it on trust", o->output);
        doctor_advise(d, "choose another --output if that is not meant");
    } else {
        doctor_say(d, DOCTOR_OK, "output",
                   "%s exists, from the same pipeline, input and options: a run continues it", o->output);
    }
}

/* The output exists: can it be written, is nobody writing it, and what happens to it? */
static void check_existing(doctor_t *d, const struct stat *st) {
    const run_options_t *o = d->options;
    err_t err;
    int fd = open(o->output, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || access(o->output, W_OK) != 0) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s cannot be written: %s", o->output, strerror(errno));
        doctor_advise(d, "choose another --output");
    } else if (is_locked(fd)) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s is being written by another run", o->output);
        doctor_advise(d, "wait for it, or choose another --output");
    } else if (o->overwrite && output_check_ours(fd, o->output, stream_coding_of(o->output), &err) < 0) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s", err.text);
        doctor_advise(d, "choose another --output");
    } else if (o->overwrite) {
        doctor_say(d, DOCTOR_WARN, "output", "%s exists and --overwrite throws its %" PRIu64 " bytes away",
                   o->output, (uint64_t)st->st_size);
        doctor_advise(d, "leave the flag out to continue it");
    } else {
        check_identity(d, st);
    }
    if (fd >= 0) close(fd);
}

/* Looks at the output without changing it. */
void doctor_check_output(doctor_t *d) {
    const char *path = d->options->output;
    struct stat st;
    err_t err;
    if (run_files_check(d->options, d->pipeline, &err) != SDG_OK) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s", err.text);
        doctor_advise(d, "choose another --output");
        return;
    }
    if (!path || strcmp(path, "-") == 0) {
        doctor_say(d, DOCTOR_OK, "output",
                   path ? "stdout: a run that ends early cannot be continued"
                        : "not named, so not looked at");
        if (!path) doctor_advise(d, "name it with --output");
        return;
    }
    char *folder = folder_of(path);
    bool there = stat(path, &st) == 0, writable = there || check_folder(d, folder);
    if (there && S_ISDIR(st.st_mode)) {
        doctor_say(d, DOCTOR_FAIL, "output", "%s is a folder", path);
        doctor_advise(d, "name a file in it");
    } else if (there && !S_ISREG(st.st_mode)) {
        doctor_say(d, DOCTOR_OK, "output", "%s is no file: a run that ends early cannot be continued", path);
    } else if (there) {
        check_existing(d, &st);
    } else if (writable) {
        doctor_say(d, DOCTOR_OK, "output", "%s can be made", path);
    }
    if (writable) check_room(d, folder);
    free(folder);
}
