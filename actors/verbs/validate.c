/* validate.c - see validate.h. */
#include "actors/verbs/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/exit_codes.h"
#include "actors/verbs/options.h"
#include "actors/verbs/prepare.h"
#include "core/base/words.h"
#include "core/llm/endpoint.h"
#include "core/mabel/yaml/limits.h"

/* One line for each address that will be called. */
static void print_addresses(const model_t *m) {
    for (size_t i = 0; i < (m->url_count ? m->url_count : 1); i++) {
        char *url = endpoint_url(m->url_count ? m->base_urls[i] : NULL, ENDPOINT_CHAT);
        buf_t shown;
        buf_init(&shown, strlen(url) + 64);
        endpoint_url_shown(url, &shown);
        printf("  %s: %s at %s\n", m->name->data, m->api_model->data, shown.data ? shown.data : "");
        buf_free(&shown);
        free(url);
    }
}

static void print_valid(const char *path, const pipeline_t *p) {
    printf("%s: valid: %zu %s, %zu %s\n", path, p->block_count,
           words_choose(p->block_count, "block", "blocks"), p->named_count,
           words_choose(p->named_count, "model", "models"));
    for (size_t i = 0; i < p->model_count; i++)
        print_addresses(&p->models[i]);
}

/* Shows all problems of one file on stderr, or says that it is valid. Returns the exit code. */
static int check(const char *path, const validate_options_t *o) {
    buf_t yaml;
    err_t err;
    int code = EXIT_PIPELINE;
    buf_init(&yaml, YAML_FILE_BYTES_MAX);
    if (prepare_read_file(path, &yaml, &err) != SDG_OK) {
        fprintf(stderr, "sdg validate: %s\n", err.text);
    } else {
        pipeline_t *p = prepare_pipeline(
            path, &yaml, (prepare_how_t){.use_env = o->use_env, .hints = true, .strict = o->strict});
        if (p) {
            print_valid(path, p);
            code = EXIT_ALL_FINE;
        }
        pipeline_destroy(&p);
    }
    buf_free(&yaml);
    return code;
}

int validate_main(void *options) {
    const validate_options_t *o = options;
    int code = EXIT_ALL_FINE;
    if (o->yaml && check(o->yaml, o) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    for (size_t i = 0; i < o->common.word_count; i++) {
        if (check(o->common.words[i], o) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    }
    return code;
}
