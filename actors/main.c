/* main.c - who exists: the verbs of the one binary. Each verb parses its own flags and starts the actors it
 * needs (runtime.c).
 *
 * `sdg --yaml ...` without a verb is `sdg run`, as in the Python original. To add a verb: a row in the table,
 * a function of that name. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actors/exit_codes.h"
#include "actors/doctor/doctor.h"
#include "actors/verbs/fleet.h"
#include "actors/verbs/journal_verb.h"
#include "actors/mock/mock_llm.h"
#include "actors/verbs/run.h"
#include "actors/runtime/runtime.h"
#include "actors/verbs/top.h"
#include "actors/verbs/validate.h"

typedef struct verb_row {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *english, *japanese;
} verb_row_t;

static const verb_row_t verbs[] = {
    {"run", run_main, "run a pipeline over a dataset", "データセットに対してパイプラインを実行"},
    {"test-run", test_run_main, "run one row and show each block", "1行だけ実行し、各ブロックを表示"},
    {"validate", validate_main, "check a pipeline without running it", "実行せずにパイプラインを検査"},
    {"doctor", doctor_main, "check pipeline, data, LLM servers and machine before a run",
     "実行前にパイプライン・データ・LLMサーバー・マシンを検査"},
    {"serve", serve_main, "run a scheduler for workers and jobs",
     "ワーカーとジョブのためのスケジューラーを起動"},
    {"worker", worker_main, "run rows for a scheduler", "スケジューラーの行を処理"},
    {"submit", submit_main, "run a pipeline on the workers of a scheduler",
     "スケジューラーのワーカーでパイプラインを実行"},
    {"status", status_main, "print the state of a scheduler", "スケジューラーの状態を表示"},
    {"top", top_main, "show a run or server with --metrics-listen, live",
     "--metrics-listen の実行やサーバーを毎秒表示"},
    {"journal", journal_main, "look into the call journal of an unfinished run",
     "未完了の実行の呼び出しジャーナルを調べる"},
    {"mock-llm", mock_llm_main, "a simulated LLM server", "模擬LLMサーバー"},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static int help(FILE *to, int japanese) {
    fputs(japanese
              ? "使い方: sdg COMMAND [オプション]\n\nMABELパイプラインで合成データを大規模に生成します。\n\n"
              : "usage: sdg COMMAND [options]\n\nGenerates synthetic data with LLMs at scale, from MABEL "
                "pipelines.\n\n",
          to);
    for (int i = 0; i < VERBS; i++) {
        fprintf(to, "  %-10s %s\n", verbs[i].name, japanese ? verbs[i].japanese : verbs[i].english);
    }
    fputs(japanese
              ? "\n`sdg COMMAND --help.ja` で詳細。`sdg --yaml ...` は `sdg run --yaml ...` と同じです。\n"
              : "\n`sdg COMMAND --help` tells more; `sdg --help.ja` in Japanese. `sdg --yaml ...` is `sdg "
                "run --yaml ...`.\n",
          to);
    return 0;
}

static int run_verb(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    for (int i = 0; i < VERBS; i++) {
        if (strcmp(word, verbs[i].name) == 0) return verbs[i].run(argc - 1, argv + 1);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) return puts("sdg " SDG_VERSION) < 0;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return help(stdout, 0);
    if (strcmp(word, "--help.ja") == 0) return help(stdout, 1);
    if (strncmp(word, "--", 2) == 0) return run_main(argc, argv);
    if (word[0]) fprintf(stderr, "sdg: unknown command '%s'\n\n", word);
    help(stderr, 0);
    return 2;
}

/* A name lookup that curl has given up on still runs in a thread that nobody joins (CURLOPT_QUICK_EXIT),
 * while exit() takes apart what it may be using. So the process ends without exit handlers, except where the
 * leak checker is one. */
int main(int argc, char **argv) {
    int code = run_verb(argc, argv);
    runtime_end();
    if (fflush(NULL) != 0 && code == 0) code = EXIT_DATA; /* what was asked for on stdout did not get there */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return code;
#else
    _exit(code);
#endif
}
