/* validate.c - see validate.h. */
#include "actors/verbs/validate.h"

#include <stdio.h>

#include "actors/exit_codes.h"
#include "actors/verbs/options.h"
#include "actors/verbs/prepare.h"
#include "core/base/words.h"
#include "core/mabel/yaml/limits.h"

/* Shows all problems of one file on stderr, or says that it is valid. Returns the exit code. */
static int check(const char *path, bool use_env) {
    buf_t yaml;
    err_t err;
    int code = EXIT_PIPELINE;
    buf_init(&yaml, YAML_FILE_BYTES_MAX);
    if (prepare_read_file(path, &yaml, &err) != SDG_OK) {
        fprintf(stderr, "sdg validate: %s\n", err.text);
    } else {
        pipeline_t *p = prepare_pipeline(path, &yaml, use_env, true);
        if (p) {
            printf("%s: valid: %zu %s, %zu %s\n", path, p->block_count,
                   words_choose(p->block_count, "block", "blocks"), p->model_count,
                   words_choose(p->model_count, "model", "models"));
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
    if (o->yaml && check(o->yaml, o->use_env) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    for (size_t i = 0; i < o->common.word_count; i++) {
        if (check(o->common.words[i], o->use_env) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    }
    return code;
}
