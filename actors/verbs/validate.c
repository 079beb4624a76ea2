/* validate.c - see validate.h. */
#include "actors/verbs/validate.h"

#include <getopt.h>
#include <stdio.h>

#include "actors/exit_codes.h"
#include "actors/verbs/prepare.h"
#include "core/mabel/yaml/limits.h"

static const char HELP[] = "usage: sdg validate [--no-env] FILE...\n\n"
                           "Checks MABEL pipelines and shows every problem with its place, what was expected "
                           "and the nearest valid name. Nothing is run.\n\n"
                           "  --no-env     do not look at ${ENV.NAME}: missing variables are no problem\n"
                           "  -h, --help   this help      --help.ja  in Japanese\n\n"
                           "Exit codes: 0 all valid (warnings and hints do not count) · 2 usage · 3 errors\n";
static const char HELP_JA[] =
    "使い方: sdg validate [--no-env] FILE...\n\n"
    "MABELパイプラインを検査し、すべての問題を位置・期待される内容・近い名前とともに表示します。実行はしませ"
    "ん。\n\n"
    "  --no-env     ${ENV.NAME} を調べない\n"
    "  -h, --help   英語のヘルプ      --help.ja  このヘルプ\n\n"
    "終了コード: 0 有効（警告とヒントは数えない） · 2 使い方の誤り · 3 エラーあり\n";

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
            printf("%s: valid: %zu blocks, %zu models\n", path, p->block_count, p->model_count);
            code = EXIT_ALL_FINE;
        }
        pipeline_destroy(&p);
    }
    buf_free(&yaml);
    return code;
}

int validate_main(int argc, char **argv) {
    static const struct option flags[] = {{"no-env", 0, NULL, 'n'},
                                          {"yaml", 1, NULL, 'y'},
                                          {"help", 0, NULL, 'h'},
                                          {"help.ja", 0, NULL, 'j'},
                                          {0}};
    bool use_env = true;
    const char *named = NULL;
    int code = EXIT_ALL_FINE;
    for (int got; (got = getopt_long(argc, argv, "h", flags, NULL)) != -1;) {
        switch (got) {
        case 'n': use_env = false; break;
        case 'y': named = optarg; break;
        case 'h': fputs(HELP, stdout); return 0;
        case 'j': fputs(HELP_JA, stdout); return 0;
        default: fputs("try: sdg validate --help\n", stderr); return EXIT_USAGE;
        }
    }
    if (!named && optind == argc) {
        fputs("sdg validate: which file?\ntry: sdg validate --help\n", stderr);
        return EXIT_USAGE;
    }
    if (named && check(named, use_env) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    for (int i = optind; i < argc; i++) {
        if (check(argv[i], use_env) != EXIT_ALL_FINE) code = EXIT_PIPELINE;
    }
    return code;
}
