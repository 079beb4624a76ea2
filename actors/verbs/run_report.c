/* run_report.c - see run_report.h. */
#include "actors/verbs/run_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/verbs/command_line.h"
#include "actors/verbs/run_files.h"
#include "core/base/safe_open.h"
#include "core/base/secrets.h"
#include "core/data/files.h"
#include "core/llm/endpoint.h"

static const char MARK[] = "<!doctype html>\n<html lang=\"en\">\n<!-- SDG Nexus -->";

/* ---- the pipeline */

static void hide_header(char *text, const char *line) {
    const char *colon = strchr(line, ':');
    if (!colon) return;
    const char *value = colon + 1 + strspn(colon + 1, " ");
    const char *last = strrchr(value, ' '); /* the word behind "Bearer" */
    endpoint_key_hide(text, last ? last + 1 : value);
}

static void hide_headers(char *text, char *const *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        hide_header(text, lines[i]);
    }
}

/* Values of variables that the pipeline gives to Python: some are keys. */
static void hide_variables(char *text, value_t env) {
    for (size_t i = 0; env.kind == VALUE_OBJECT && i < object_count(env); i++) {
        value_t value = object_value_peek(env, i);
        if (value.kind == VALUE_STRING) endpoint_key_hide(text, value.string->data);
    }
}

/* The text of the file with "*" for keys, passwords of addresses, values of headers and of Python's
 * variables. */
static char *shown_pipeline(const pipeline_t *p, const buf_t *yaml) {
    char *text = xstrndup(yaml->data, yaml->len);
    for (size_t i = 0; i < p->model_count; i++) {
        endpoint_key_hide(text, p->models[i].api_key);
        hide_headers(text, p->models[i].headers, p->models[i].header_count);
    }
    for (size_t i = 0; i < p->block_count; i++) {
        const block_t *b = &p->blocks[i];
        if (b->type == BLOCK_AI) hide_headers(text, b->ai.headers, b->ai.header_count);
    }
    for (size_t i = 0; i < p->py_env_count; i++) {
        hide_variables(text, p->py_envs[i].env);
    }
    secrets_hide(text, strlen(text));
    return text;
}

/* ---- the page */

/* A file that is at the place of the report, and is none, is not ours to replace. */
static int check_place(const char *path, err_t *err) {
    char begin[sizeof MARK] = "";
    int fd = safe_open_ordinary(path, O_RDONLY, 0);
    if (fd < 0 && errno == ENOENT) return SDG_OK;
    if (fd < 0) return err_set(err, SDG_EIO, "cannot read %s: %s", path, safe_open_why(errno));
    ssize_t len = file_read(fd, begin, sizeof MARK - 1);
    close(fd);
    if (len == 0 || strcmp(begin, MARK) == 0) return SDG_OK;
    return err_set(err, SDG_EMISMATCH,
                   "%s is there and is no report of sdg: move it away, or leave out --report", path);
}

int run_report_make(const run_options_t *o, const pipeline_t *p, const buf_t *yaml, report_page_t *page,
                    err_t *err) {
    *page = (report_page_t){0};
    if (!o->report) return SDG_OK;
    if (!run_files_is_file(o->output))
        return err_set(err, SDG_EMISMATCH, "--report writes beside the output: %s is no file", o->output);
    char *path = xasprintf("%s.report.html", o->output);
    *page = (report_page_t){.path = path, .command = command_line(), .pipeline = shown_pipeline(p, yaml)};
    return check_place(path, err);
}

void run_report_free(report_page_t *page) {
    free((char *)page->path);
    free((char *)page->command);
    free((char *)page->pipeline);
    *page = (report_page_t){0};
}
