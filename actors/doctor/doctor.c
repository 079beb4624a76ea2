/* doctor.c - see doctor.h. The table of checks is at the bottom: to add one, a function in one of the
 * doctor_*.c and a row there. */
#include "actors/doctor/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/doctor/doctor_internal.h"
#include "actors/doctor/limits.h"
#include "actors/exit_codes.h"
#include "actors/verbs/auto_tune.h"
#include "core/base/grow.h"
#include "core/base/json.h"
#include "core/llm/endpoint.h"
#include "core/mabel/yaml/limits.h"

/* ---- findings */

static void hide_keys(char *text, const pipeline_t *p) {
    for (size_t i = 0; p && i < p->model_count; i++) {
        endpoint_key_hide(text, p->models[i].api_key);
    }
}

/* Findings hold words of files and servers: one line stays one line, and no escape sequence reaches the
 * terminal. */
static void make_printable(char *text, bool lines) {
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 127) *c = lines && *c == '\n' ? '\n' : ' ';
    }
}

/* No text of ours names a key, but words of a server or of a library may. Takes the text and gives it
 * back. */
static char *cleaned(const doctor_t *d, char *text, bool lines) {
    hide_keys(text, doctor_structure(d));
    make_printable(text, lines);
    return text;
}

static char *format(const char *fmt, va_list args) {
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0) text = xstrdup("");
    return text;
}

void doctor_say(doctor_t *d, doctor_level_t level, const char *what, const char *fmt, ...) {
    va_list args;
    GROW(d->findings, d->cap, d->count + 1);
    va_start(args, fmt);
    d->findings[d->count++] = (doctor_finding_t){.level = level,
                                                 .what = cleaned(d, xstrdup(what), false),
                                                 .text = cleaned(d, format(fmt, args), false)};
    va_end(args);
    if (level == DOCTOR_FAIL && d->exit_code == EXIT_ALL_FINE) d->exit_code = d->failure_code;
}

void doctor_advise(doctor_t *d, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    free(d->findings[d->count - 1].advice);
    d->findings[d->count - 1].advice = cleaned(d, format(fmt, args), false);
    va_end(args);
}

void doctor_details(doctor_t *d, const char *text) {
    free(d->findings[d->count - 1].details);
    d->findings[d->count - 1].details = cleaned(d, xstrdup(text), true);
}

static size_t count_of(const doctor_t *d, doctor_level_t level) {
    size_t n = 0;
    for (size_t i = 0; i < d->count; i++) {
        n += d->findings[i].level == level;
    }
    return n;
}

/* ---- showing them */

static void print_finding(const doctor_finding_t *f) {
    static const char *const names[] = {"ok", "warn", "FAIL"};
    printf("%-4s  %s: %s%s%s\n", names[f->level], f->what, f->text, f->advice ? "  -> " : "",
           f->advice ? f->advice : "");
    if (f->details)
        printf("%s%s", f->details, f->details[0] && f->details[strlen(f->details) - 1] == '\n' ? "" : "\n");
    fflush(stdout); /* the next check may take long: this finding is seen now */
}

static void put_text(buf_t *out, const char *key, const char *text) {
    buf_addf(out, "\"%s\": ", key);
    if (text)
        json_write_string(out, text, strlen(text));
    else
        buf_adds(out, "null");
}

static void json_finding(const doctor_finding_t *f, buf_t *out) {
    static const char *const names[] = {"ok", "warn", "fail"};
    buf_addf(out, "{\"level\": \"%s\", ", names[f->level]);
    put_text(out, "what", f->what);
    buf_adds(out, ", ");
    put_text(out, "finding", f->text);
    buf_adds(out, ", ");
    put_text(out, "advice", f->advice);
    buf_adds(out, ", ");
    put_text(out, "details", f->details);
    buf_addc(out, '}');
}

static void choose(const doctor_t *d, tune_t *chosen) {
    tune_facts_t facts = auto_tune_facts(d->options, &d->survey);
    tune_choose(&facts, chosen);
}

/* All findings at once, with the suggested settings. */
static void print_json(const doctor_t *d) {
    tune_t chosen;
    buf_t out, flags;
    buf_init(&out, DOCTOR_JSON_BYTES_MAX);
    buf_init(&flags, 4096);
    choose(d, &chosen);
    auto_tune_flags(d->options, &chosen, &flags);
    buf_adds(&out, "{\"checks\": [");
    for (size_t i = 0; i < d->count; i++) {
        buf_adds(&out, i ? ",\n  " : "\n  ");
        json_finding(&d->findings[i], &out);
    }
    buf_addf(&out, "\n], \"failed\": %zu, \"warnings\": %zu, ", count_of(d, DOCTOR_FAIL),
             count_of(d, DOCTOR_WARN));
    if (doctor_rows(d))
        buf_addf(&out, "\"rows\": %" PRIu64 ", \"rows_are_estimated\": %s, ", doctor_rows(d),
                 d->survey.exact ? "false" : "true");
    else
        buf_adds(&out, "\"rows\": null, \"rows_are_estimated\": false, ");
    put_text(&out, "suggested", flags.len ? flags.data : "");
    buf_addf(&out, ", \"exit_code\": %d}\n", d->exit_code);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    buf_free(&flags);
}

static void print_end(const doctor_t *d) {
    tune_t chosen;
    buf_t words;
    size_t failed = count_of(d, DOCTOR_FAIL), warnings = count_of(d, DOCTOR_WARN);
    buf_init(&words, 4096);
    if (d->surveyed) {
        choose(d, &chosen);
        auto_tune_words(d->options, &d->survey, &chosen, &words);
        printf("\nsuggested settings (--auto-tune takes them by itself)\n%s", words.data);
    }
    printf("\n%zu checks, %zu failed, %zu warning%s\n", d->count, failed, warnings, warnings == 1 ? "" : "s");
    buf_free(&words);
}

/* ---- the verb */

const pipeline_t *doctor_structure(const doctor_t *d) { return d->pipeline ? d->pipeline : d->as_written; }

uint64_t doctor_concurrency(const doctor_t *d) {
    return d->options->max_concurrent < DOCTOR_CONCURRENCY_MAX ? d->options->max_concurrent
                                                               : DOCTOR_CONCURRENCY_MAX;
}

uint64_t doctor_rows(const doctor_t *d) {
    if (!d->surveyed || (d->survey.rows == 0 && !d->survey.exact)) return 0;
    return d->survey.rows < d->options->max_inputs ? d->survey.rows : d->options->max_inputs;
}

static const struct {
    void (*check)(doctor_t *d);
    int failure_code; /* exit code when this check fails first: docs/usage.md */
} checks[] = {
    {doctor_check_pipeline, EXIT_PIPELINE}, {doctor_check_files, EXIT_PIPELINE},
    {doctor_check_keys, EXIT_PIPELINE},     {doctor_check_python, EXIT_PIPELINE},
    {doctor_check_input, EXIT_DATA},        {doctor_check_columns, EXIT_DATA},
    {doctor_check_first_row, EXIT_DATA},    {doctor_check_output, EXIT_DATA},
    {doctor_check_endpoints, EXIT_RUNTIME}, {doctor_check_descriptors, EXIT_RUNTIME},
    {doctor_check_memory, EXIT_RUNTIME},
};

/* Runs all checks in order, says each finding as it comes, and frees what the checks have found out. */
int doctor_main(void *options) {
    run_options_t *o = options;
    doctor_t d = {.options = o};
    size_t shown = 0;
    buf_init(&d.yaml, YAML_FILE_BYTES_MAX);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        d.failure_code = checks[i].failure_code;
        checks[i].check(&d);
        for (; !o->json && shown < d.count; shown++) {
            print_finding(&d.findings[shown]);
        }
    }
    if (o->json)
        print_json(&d);
    else
        print_end(&d);
    for (size_t i = 0; i < d.count; i++) {
        free(d.findings[i].what);
        free(d.findings[i].text);
        free(d.findings[i].advice);
        free(d.findings[i].details);
    }
    free(d.findings);
    free(d.first_row);
    columns_destroy(&d.columns);
    pipeline_destroy(&d.pipeline);
    pipeline_destroy(&d.as_written);
    buf_free(&d.yaml);
    return d.exit_code;
}
