/* options.c - see options.h.
 *
 * To add a flag: a row in `table` (with both texts) and, if it takes effect, a case in `apply`. A flag of the
 * Python original that has no effect here yet carries EFFECT_NONE: it is accepted, checked, and said so. */
#include "actors/verbs/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/link.h"
#include "actors/verbs/limits.h"
#include "core/base/log.h"
#include "core/sched/limits.h"

typedef enum takes { TAKES_NOTHING, TAKES_TEXT, TAKES_NUMBER } takes_t;
typedef enum effect {
    EFFECT_FULL,
    EFFECT_NONE,
    EFFECT_ALWAYS
} effect_t; /* ALWAYS: on anyway, so the flag changes nothing */
typedef enum option_group {
    GROUP_MAIN,
    GROUP_ROWS,
    GROUP_RESUME,
    GROUP_SPEED,
    GROUP_SCHEDULING,
    GROUP_SCREEN,
    GROUP_HIDDEN
} option_group_t;

enum {
    RUN = VERB_RUN,
    SUBMIT = VERB_SUBMIT,
    TEST = VERB_TEST_RUN,
    DOCTOR = VERB_DOCTOR,
    BOTH = VERB_RUN | VERB_SUBMIT,
    ALL = VERB_RUN | VERB_SUBMIT | VERB_TEST_RUN
};

typedef enum flag {
    FLAG_YAML = 256,
    FLAG_INPUT,
    FLAG_OUTPUT,
    FLAG_CONNECT,
    FLAG_MAPPING,
    FLAG_MAX_INPUTS,
    FLAG_SAVE_INTERMEDIATE,
    FLAG_SEED,
    FLAG_ORDERED,
    FLAG_NO_RETRY_ON_EMPTY,
    FLAG_OVERWRITE,
    FLAG_FORCE_RESUME,
    FLAG_RETRY_FAILED,
    FLAG_MAX_CONCURRENT,
    FLAG_PROCESSES,
    FLAG_WORKERS,
    FLAG_PYTHON_WORKERS,
    FLAG_HTTP2,
    FLAG_NO_HTTP2,
    FLAG_SHARED_TRANSPORT,
    FLAG_ADAPTIVE,
    FLAG_MIN_BATCH,
    FLAG_MAX_BATCH,
    FLAG_TARGET_LATENCY,
    FLAG_TARGET_QUEUE,
    FLAG_VLLM_METRICS,
    FLAG_SGLANG_METRICS,
    FLAG_REQUEST_BATCHING,
    FLAG_MAX_BATCH_SIZE,
    FLAG_MAX_WAIT,
    FLAG_SCHEDULING,
    FLAG_MAX_PENDING,
    FLAG_CHUNK_SIZE,
    FLAG_PRIORITY,
    FLAG_MEMORY_OPTIMIZATION,
    FLAG_MAX_CACHE,
    FLAG_MEMORY_MONITORING,
    FLAG_MEMORY_THRESHOLD,
    FLAG_GC_INTERVAL,
    FLAG_BATCH_MODE,
    FLAG_MEMORY_LIMIT,
    FLAG_SPILL_DIR,
    FLAG_STREAMING,
    FLAG_OUTPUT_CLEANING,
    FLAG_DATASET,
    FLAG_NO_PROGRESS,
    FLAG_QUIET,
    FLAG_VERBOSE,
    FLAG_LOCALE,
    FLAG_ROW,
    FLAG_RANDOM_INPUT,
    FLAG_META,
    FLAG_JOURNAL,
    FLAG_NO_JOURNAL,
    FLAG_FSYNC,
    FLAG_METRICS_LISTEN,
    FLAG_INSECURE,
    FLAG_AUTO_TUNE,
    FLAG_NO_NETWORK,
    FLAG_JSON,
    FLAG_HELP,
    FLAG_HELP_JA,
} flag_t;

typedef struct option_row {
    const char *name;
    char letter; /* short form, 0: none */
    takes_t takes;
    const char *unit; /* what it takes, in help */
    flag_t flag;
    int verbs;
    option_group_t group;
    effect_t effect;
    const char *english, *japanese;
} option_row_t;

static const option_row_t table[] = {
    {"yaml", 0, TAKES_TEXT, "FILE", FLAG_YAML, ALL, GROUP_MAIN, EFFECT_FULL, "MABEL pipeline (required)",
     "MABELパイプライン（必須）"},
    {"input", 0, TAKES_TEXT, "FILE", FLAG_INPUT, ALL, GROUP_MAIN, EFFECT_FULL,
     "dataset: .jsonl .csv .tsv, also .gz .zst; - is stdin (required)",
     "データセット: .jsonl .csv .tsv、.gz .zst も可。- は標準入力（必須）"},
    {"output", 0, TAKES_TEXT, "FILE", FLAG_OUTPUT, BOTH, GROUP_MAIN, EFFECT_FULL,
     "result rows, JSON Lines; - is stdout", "結果 (JSON Lines)。- は標準出力"},
    {"connect", 0, TAKES_TEXT, "ENDPOINT", FLAG_CONNECT, SUBMIT, GROUP_MAIN, EFFECT_FULL,
     "scheduler of `sdg serve`, e.g. tcp://127.0.0.1:5577 (default)",
     "`sdg serve` のスケジューラー。既定 tcp://127.0.0.1:5577"},

    {"mapping", 0, TAKES_TEXT, "A:B", FLAG_MAPPING, ALL, GROUP_ROWS, EFFECT_FULL,
     "rename input column A to B (repeatable)", "入力列 A を B に改名（複数指定可）"},
    {"max-inputs", 'n', TAKES_NUMBER, "N", FLAG_MAX_INPUTS, BOTH, GROUP_ROWS, EFFECT_FULL,
     "only the first N rows", "先頭 N 行だけ処理"},
    {"save-intermediate", 0, TAKES_NOTHING, NULL, FLAG_SAVE_INTERMEDIATE, BOTH, GROUP_ROWS, EFFECT_FULL,
     "add every block output as _<exec>_<name>", "各ブロックの出力を _<exec>_<name> として保存"},
    {"ordered", 0, TAKES_NOTHING, NULL, FLAG_ORDERED, BOTH, GROUP_ROWS, EFFECT_FULL,
     "write rows in input order (default: as they finish)", "入力順に書き出す（既定は完了順）"},
    {"seed", 0, TAKES_NUMBER, "N", FLAG_SEED, ALL, GROUP_ROWS, EFFECT_FULL,
     "repeatable rand, randint and choose", "rand, randint, choose を再現可能にする"},
    {"no-retry-on-empty", 0, TAKES_NOTHING, NULL, FLAG_NO_RETRY_ON_EMPTY, ALL, GROUP_ROWS, EFFECT_FULL,
     "take an empty answer as it is (default: ask up to 3 times)",
     "空の応答をそのまま採用（既定は最大3回問い合わせ）"},
    {"dataset", 0, TAKES_TEXT, "NAME", FLAG_DATASET, ALL, GROUP_HIDDEN, EFFECT_FULL, "", ""},
    {"subset", 0, TAKES_TEXT, "NAME", FLAG_DATASET, ALL, GROUP_HIDDEN, EFFECT_FULL, "", ""},
    {"split", 0, TAKES_TEXT, "NAME", FLAG_DATASET, ALL, GROUP_HIDDEN, EFFECT_FULL, "", ""},
    {"disable-output-cleaning", 0, TAKES_NOTHING, NULL, FLAG_OUTPUT_CLEANING, ALL, GROUP_HIDDEN,
     EFFECT_ALWAYS, "", ""},

    {"overwrite", 0, TAKES_NOTHING, NULL, FLAG_OVERWRITE, BOTH, GROUP_RESUME, EFFECT_FULL,
     "start anew instead of continuing an existing output", "既存の出力を続けず最初からやり直す"},
    {"force-resume", 0, TAKES_NOTHING, NULL, FLAG_FORCE_RESUME, BOTH, GROUP_RESUME, EFFECT_FULL,
     "continue although pipeline, input or options have changed",
     "パイプライン・入力・オプションが変わっていても続行"},
    {"retry-failed", 0, TAKES_NOTHING, NULL, FLAG_RETRY_FAILED, BOTH, GROUP_RESUME, EFFECT_FULL,
     "do rows with _error again", "_error の行をやり直す"},

    {"journal", 0, TAKES_NOTHING, NULL, FLAG_JOURNAL, BOTH, GROUP_RESUME, EFFECT_FULL,
     "keep finished LLM calls in OUTPUT.journal (default: if a row can make several)",
     "完了したLLM呼び出しを OUTPUT.journal に記録（既定は1行で複数回呼び出しうる場合）"},
    {"no-journal", 0, TAKES_NOTHING, NULL, FLAG_NO_JOURNAL, BOTH, GROUP_RESUME, EFFECT_FULL,
     "do not: a row that is done again makes all its calls again",
     "記録しない: やり直す行はすべての呼び出しを再実行"},
    {"fsync", 0, TAKES_TEXT, "WHEN", FLAG_FSYNC, BOTH, GROUP_RESUME, EFFECT_FULL,
     "never, batch (default) or always: when the journal is synced",
     "ジャーナルのディスク同期: never, batch（既定）, always"},

    {"max-concurrent", 0, TAKES_NUMBER, "N", FLAG_MAX_CONCURRENT, BOTH, GROUP_SPEED, EFFECT_FULL,
     "rows in progress at once, over all workers (default 8)",
     "同時に処理する行数（全ワーカー合計、既定 8）"},
    {"max-concurrent-rows", 0, TAKES_NUMBER, "N", FLAG_MAX_CONCURRENT, BOTH, GROUP_HIDDEN, EFFECT_FULL, "",
     ""},
    {"processes", 0, TAKES_NUMBER, "N", FLAG_PROCESSES, RUN, GROUP_SPEED, EFFECT_FULL,
     "run N worker processes (default: one thread in this process)",
     "N 個のワーカープロセスで実行（既定はこのプロセス内の1スレッド）"},
    {"workers", 0, TAKES_NUMBER, "N", FLAG_WORKERS, RUN, GROUP_SPEED, EFFECT_FULL,
     "worker threads in this process (default 1)", "プロセス内のワーカースレッド数（既定 1）"},
    {"python-workers", 0, TAKES_NUMBER, "N", FLAG_PYTHON_WORKERS, RUN | TEST, GROUP_SPEED, EFFECT_FULL,
     "Python hosts per worker (default 2)", "ワーカーごとの Python プロセス数（既定 2）"},
    {"http2", 0, TAKES_NOTHING, NULL, FLAG_HTTP2, ALL, GROUP_SPEED, EFFECT_FULL,
     "ask https servers for HTTP/2 (default HTTP/1.1)", "https サーバーに HTTP/2 を要求（既定 HTTP/1.1）"},
    {"no-http2", 0, TAKES_NOTHING, NULL, FLAG_NO_HTTP2, ALL, GROUP_SPEED, EFFECT_FULL,
     "HTTP/1.1 (the default)", "HTTP/1.1（既定）"},
    {"use-shared-transport", 0, TAKES_NOTHING, NULL, FLAG_SHARED_TRANSPORT, ALL, GROUP_HIDDEN, EFFECT_ALWAYS,
     "", ""},
    {"adaptive", 0, TAKES_NOTHING, NULL, FLAG_ADAPTIVE, BOTH, GROUP_SPEED, EFFECT_NONE,
     "adapt concurrency to the server", "サーバーに合わせて並行数を調整"},
    {"adaptive-concurrency", 0, TAKES_NOTHING, NULL, FLAG_ADAPTIVE, BOTH, GROUP_HIDDEN, EFFECT_NONE, "", ""},
    {"min-batch", 0, TAKES_NUMBER, "N", FLAG_MIN_BATCH, BOTH, GROUP_SPEED, EFFECT_FULL,
     "least rows in progress with --batch-mode (1)", "--batch-mode の最小並行数 (1)"},
    {"min-concurrent", 0, TAKES_NUMBER, "N", FLAG_MIN_BATCH, BOTH, GROUP_HIDDEN, EFFECT_FULL, "", ""},
    {"max-batch", 0, TAKES_NUMBER, "N", FLAG_MAX_BATCH, BOTH, GROUP_SPEED, EFFECT_FULL,
     "most rows in progress with --adaptive or --batch-mode (64)",
     "--adaptive・--batch-mode の最大並行数 (64)"},
    {"target-latency-ms", 0, TAKES_NUMBER, "MS", FLAG_TARGET_LATENCY, BOTH, GROUP_SPEED, EFFECT_FULL,
     "--batch-mode runs fewer rows at once when requests take longer (3000)",
     "--batch-mode: リクエストがこれより遅いと並行数を減らす (3000)"},
    {"target-queue-depth", 0, TAKES_NUMBER, "N", FLAG_TARGET_QUEUE, BOTH, GROUP_SPEED, EFFECT_NONE,
     "ceiling for --adaptive (32)", "--adaptive の目標キュー深度 (32)"},
    {"use-vllm-metrics", 0, TAKES_NOTHING, NULL, FLAG_VLLM_METRICS, BOTH, GROUP_SPEED, EFFECT_NONE,
     "read vLLM's metrics for --adaptive", "--adaptive で vLLM のメトリクスを使う"},
    {"use-sglang-metrics", 0, TAKES_NOTHING, NULL, FLAG_SGLANG_METRICS, BOTH, GROUP_SPEED, EFFECT_NONE,
     "read SGLang's metrics for --adaptive", "--adaptive で SGLang のメトリクスを使う"},
    {"enable-request-batching", 0, TAKES_NOTHING, NULL, FLAG_REQUEST_BATCHING, BOTH, GROUP_SPEED, EFFECT_NONE,
     "group requests before sending", "リクエストをまとめて送信"},
    {"max-batch-size", 0, TAKES_NUMBER, "N", FLAG_MAX_BATCH_SIZE, BOTH, GROUP_SPEED, EFFECT_NONE,
     "requests per group (32)", "まとめるリクエスト数 (32)"},
    {"max-wait-ms", 0, TAKES_NUMBER, "MS", FLAG_MAX_WAIT, BOTH, GROUP_SPEED, EFFECT_NONE,
     "longest wait for a group (50)", "まとめる最大待ち時間 (50)"},

    {"auto-tune", 0, TAKES_NOTHING, NULL, FLAG_AUTO_TUNE, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "choose the settings below by the size of the input, and say why",
     "下記の設定を入力の規模から選び、理由を表示"},
    {"enable-scheduling", 0, TAKES_NOTHING, NULL, FLAG_SCHEDULING, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "strict window and chunk size as given below", "下記のウィンドウとチャンクサイズを厳密に適用"},
    {"max-pending-tasks", 0, TAKES_NUMBER, "N", FLAG_MAX_PENDING, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "rows read but not finished (1000)", "読み込み済みで未完了の行数の上限 (1000)"},
    {"chunk-size", 0, TAKES_NUMBER, "N", FLAG_CHUNK_SIZE, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "rows per chunk (100)", "チャンクあたりの行数 (100)"},
    {"priority", 0, TAKES_NUMBER, "N", FLAG_PRIORITY, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "share of the workers when several jobs compete, 1 to 100 (10)",
     "複数のジョブが競合するときのワーカーの配分比 1〜100 (10)"},
    {"enable-memory-optimization", 0, TAKES_NOTHING, NULL, FLAG_MEMORY_OPTIMIZATION, BOTH, GROUP_SCHEDULING,
     EFFECT_FULL, "rows that wait for an LLM do so in the LRU context store",
     "LLM待ちの行をLRUコンテキストストアに置く"},
    {"max-cache-size", 0, TAKES_NUMBER, "N", FLAG_MAX_CACHE, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "contexts it keeps in memory; others are on disk (500)",
     "メモリに置くコンテキスト数、残りはディスクへ (500)"},
    {"enable-memory-monitoring", 0, TAKES_NOTHING, NULL, FLAG_MEMORY_MONITORING, BOTH, GROUP_SCHEDULING,
     EFFECT_FULL, "measure all processes, warn above the threshold",
     "全プロセスのメモリを測り、閾値を超えたら警告"},
    {"memory-threshold-mb", 0, TAKES_NUMBER, "MB", FLAG_MEMORY_THRESHOLD, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "when to warn (1024)", "警告の閾値 (1024)"},
    {"gc-interval", 0, TAKES_NUMBER, "ROWS", FLAG_GC_INTERVAL, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "housekeeping (give freed memory back, checkpoint) after so many rows (100)",
     "この行数ごとに後始末（解放メモリの返却など）(100)"},
    {"batch-mode", 0, TAKES_NOTHING, NULL, FLAG_BATCH_MODE, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "all rows through block 1, then block 2, ...; output in input order",
     "全行をブロック1、次にブロック2…の順に処理（出力は入力順）"},
    {"memory-limit", 0, TAKES_TEXT, "SIZE", FLAG_MEMORY_LIMIT, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "bytes of rows, contexts, answers and queues in memory, e.g. 256M or 2G",
     "行・コンテキスト・応答・キューのメモリ上限。例 256M, 2G"},
    {"spill-dir", 0, TAKES_TEXT, "DIR", FLAG_SPILL_DIR, BOTH, GROUP_SCHEDULING, EFFECT_FULL,
     "where contexts go on disk (default: beside the output)",
     "コンテキストを退避するディスクの場所（既定は出力と同じフォルダー）"},
    {"streaming", 0, TAKES_NOTHING, NULL, FLAG_STREAMING, BOTH, GROUP_HIDDEN, EFFECT_ALWAYS, "", ""},

    {"row", 0, TAKES_NUMBER, "N", FLAG_ROW, TEST, GROUP_ROWS, EFFECT_FULL, "which row, from 0 (default 0)",
     "何行目か、0 から（既定 0）"},
    {"random-input", 0, TAKES_NOTHING, NULL, FLAG_RANDOM_INPUT, TEST, GROUP_ROWS, EFFECT_FULL,
     "a random one of the first 100 rows", "先頭100行から無作為に1行"},
    {"meta", 0, TAKES_NOTHING, NULL, FLAG_META, TEST, GROUP_SCREEN, EFFECT_FULL,
     "show _row_index and other _ keys of the result", "結果の _row_index など _ で始まるキーも表示"},
    {"no-network", 0, TAKES_NOTHING, NULL, FLAG_NO_NETWORK, DOCTOR, GROUP_SCREEN, EFFECT_FULL,
     "do not ask the LLM servers", "LLMサーバーに接続しない"},
    {"json", 0, TAKES_NOTHING, NULL, FLAG_JSON, DOCTOR, GROUP_SCREEN, EFFECT_FULL, "the findings as JSON",
     "結果を JSON で出力"},
    {"metrics-listen", 0, TAKES_TEXT, "HOST:PORT", FLAG_METRICS_LISTEN, BOTH, GROUP_SCREEN, EFFECT_FULL,
     "dashboard, /metrics and /stats.json, e.g. 127.0.0.1:9464",
     "ダッシュボード・/metrics・/stats.json。例 127.0.0.1:9464"},
    {"insecure", 0, TAKES_NOTHING, NULL, FLAG_INSECURE, BOTH, GROUP_SCREEN, EFFECT_FULL,
     "let --metrics-listen take other than loopback addresses", "--metrics-listen にループバック以外も許可"},
    {"no-progress", 0, TAKES_NOTHING, NULL, FLAG_NO_PROGRESS, ALL, GROUP_SCREEN, EFFECT_FULL,
     "no progress display", "進捗を表示しない"},
    {"quiet", 'q', TAKES_NOTHING, NULL, FLAG_QUIET, ALL, GROUP_SCREEN, EFFECT_FULL,
     "warnings and errors only", "警告とエラーのみ"},
    {"verbose", 'v', TAKES_NOTHING, NULL, FLAG_VERBOSE, ALL, GROUP_SCREEN, EFFECT_FULL,
     "say what the runtime does", "動作の詳細を表示"},
    {"ui-locale", 0, TAKES_TEXT, "en|ja", FLAG_LOCALE, ALL, GROUP_SCREEN, EFFECT_FULL,
     "language of progress and summary", "進捗と要約の言語"},
    {"help", 'h', TAKES_NOTHING, NULL, FLAG_HELP, ALL, GROUP_SCREEN, EFFECT_FULL, "this help",
     "英語のヘルプ"},
    {"help.ja", 0, TAKES_NOTHING, NULL, FLAG_HELP_JA, ALL, GROUP_SCREEN, EFFECT_FULL, "this help in Japanese",
     "このヘルプ"},
};
enum { TABLE_ROWS = sizeof table / sizeof *table };

/* ---- parsing */

static int number(const option_row_t *row, const char *text, uint64_t *out, err_t *err) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-')
        return err_set(err, SDG_EINVAL, "--%s takes a whole number, not '%s'", row->name, text);
    *out = n;
    return SDG_OK;
}

static int at_least_one(const option_row_t *row, const char *text, uint64_t *out, err_t *err) {
    if (number(row, text, out, err) != SDG_OK) return SDG_EINVAL;
    return *out >= 1 ? SDG_OK : err_set(err, SDG_EINVAL, "--%s must be at least 1", row->name);
}

static int set_priority(const option_row_t *row, const char *text, uint64_t *out, err_t *err) {
    if (at_least_one(row, text, out, err) != SDG_OK) return SDG_EINVAL;
    return *out <= JOB_PRIORITY_MAX
               ? SDG_OK
               : err_set(err, SDG_EINVAL, "--priority is at most %d, not %s", JOB_PRIORITY_MAX, text);
}

static int add_mapping(run_options_t *o, const char *text, err_t *err) {
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || colon[1] == '\0')
        return err_set(err, SDG_EINVAL, "--mapping takes ORIGINAL:NEW, not '%s'", text);
    char *from = xstrndup(text, (size_t)(colon - text));
    job_options_map(&o->job, from, colon + 1);
    free(from);
    return SDG_OK;
}

static int set_locale_flag(run_options_t *o, const char *text, err_t *err) {
    if (strcmp(text, "ja") != 0 && strcmp(text, "en") != 0)
        return err_set(err, SDG_EINVAL, "--ui-locale takes en or ja, not '%s'", text);
    o->japanese = strcmp(text, "ja") == 0;
    return SDG_OK;
}

static int set_fsync(run_options_t *o, const char *text, err_t *err) {
    if (strcmp(text, "never") == 0)
        o->fsync = JOURNAL_FSYNC_NEVER;
    else if (strcmp(text, "batch") == 0)
        o->fsync = JOURNAL_FSYNC_BATCH;
    else if (strcmp(text, "always") == 0)
        o->fsync = JOURNAL_FSYNC_ALWAYS;
    else
        return err_set(err, SDG_EINVAL, "--fsync takes never, batch or always, not '%s'", text);
    return SDG_OK;
}

/* "256M", "2 GiB", "1000000": bytes; K, M, G and T are powers of 1024. */
static int set_memory_limit(run_options_t *o, const char *text, err_t *err) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    double n = strtod(text, &end);
    while (*end == ' ')
        end++;
    const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;
    if (unit) n *= (double)(UINT64_C(1024) << 10 * (unit - units));
    if (unit && (end[1] == 'i' || end[1] == 'I') && (end[2] == 'B' || end[2] == 'b'))
        end += 2;
    else if (unit && (end[1] == 'B' || end[1] == 'b'))
        end++;
    if (errno || end == text || !(n >= 0) || n > 1e18 || (unit ? end[1] : *end))
        return err_set(err, SDG_EINVAL, "--memory-limit takes a size such as 256M or 2G, not '%s'", text);
    o->memory_limit = (uint64_t)n;
    if (o->memory_limit < MEMORY_LIMIT_MIN)
        return err_set(err, SDG_EINVAL, "--memory-limit must be at least %" PRIu64 "M",
                       (uint64_t)(MEMORY_LIMIT_MIN >> 20));
    return SDG_OK;
}

static int apply_number(const option_row_t *row, const char *text, run_options_t *o, err_t *err) {
    uint64_t ignored;
    switch (row->flag) {
    case FLAG_MAX_INPUTS: return number(row, text, &o->max_inputs, err);
    case FLAG_ROW: return number(row, text, &o->row, err);
    case FLAG_PROCESSES: return number(row, text, &o->processes, err);
    case FLAG_SEED: o->job.row.seeded = true; return number(row, text, &o->job.row.seed, err);
    case FLAG_MAX_CONCURRENT: return at_least_one(row, text, &o->max_concurrent, err);
    case FLAG_WORKERS: return at_least_one(row, text, &o->workers, err);
    case FLAG_PYTHON_WORKERS: return at_least_one(row, text, &o->python_workers, err);
    case FLAG_MAX_PENDING: return at_least_one(row, text, &o->max_pending, err);
    case FLAG_CHUNK_SIZE: return at_least_one(row, text, &o->chunk_size, err);
    case FLAG_PRIORITY: return set_priority(row, text, &o->priority, err);
    case FLAG_MAX_CACHE: return at_least_one(row, text, &o->max_cache, err);
    case FLAG_GC_INTERVAL: return at_least_one(row, text, &o->gc_interval, err);
    case FLAG_MAX_BATCH: return at_least_one(row, text, &o->max_batch, err);
    case FLAG_MEMORY_THRESHOLD: return at_least_one(row, text, &o->memory_threshold_mb, err);
    case FLAG_MIN_BATCH: return at_least_one(row, text, &o->min_batch, err);
    case FLAG_TARGET_LATENCY: return at_least_one(row, text, &o->target_latency_ms, err);
    default: return number(row, text, &ignored, err);
    }
}

static int apply_text(const option_row_t *row, const char *text, run_options_t *o, err_t *err) {
    switch (row->flag) {
    case FLAG_YAML: o->yaml = text; return SDG_OK;
    case FLAG_INPUT: o->input = text; return SDG_OK;
    case FLAG_OUTPUT: o->output = text; return SDG_OK;
    case FLAG_CONNECT: o->connect = text; return SDG_OK;
    case FLAG_METRICS_LISTEN: o->metrics_listen = text; return SDG_OK;
    case FLAG_MAPPING: return add_mapping(o, text, err);
    case FLAG_FSYNC: return set_fsync(o, text, err);
    case FLAG_MEMORY_LIMIT: return set_memory_limit(o, text, err);
    case FLAG_SPILL_DIR: o->spill_dir = text; return SDG_OK;
    case FLAG_LOCALE: return set_locale_flag(o, text, err);
    default:
        return err_set(
            err, SDG_EINVAL,
            "--%s: datasets are not downloaded here; save it as .jsonl or .csv and pass it with --input",
            row->name);
    }
}

static void apply_switch(const option_row_t *row, run_options_t *o) {
    switch (row->flag) {
    case FLAG_SAVE_INTERMEDIATE: o->job.row.save_intermediate = true; break;
    case FLAG_ORDERED: o->ordered = true; break;
    case FLAG_NO_RETRY_ON_EMPTY: o->job.row.retry_on_empty = false; break;
    case FLAG_OVERWRITE: o->overwrite = true; break;
    case FLAG_FORCE_RESUME: o->force_resume = true; break;
    case FLAG_RETRY_FAILED: o->retry_failed = true; break;
    case FLAG_JOURNAL: o->journal = true; break;
    case FLAG_NO_JOURNAL: o->no_journal = true; break;
    case FLAG_HTTP2: o->job.http2 = true; break;
    case FLAG_NO_HTTP2: o->job.http2 = false; break;
    case FLAG_ADAPTIVE: o->adaptive = true; break;
    case FLAG_SCHEDULING: o->scheduling = true; break;
    case FLAG_AUTO_TUNE: o->auto_tune = true; break;
    case FLAG_NO_NETWORK: o->no_network = true; break;
    case FLAG_JSON: o->json = true; break;
    case FLAG_MEMORY_OPTIMIZATION: o->memory_optimization = true; break;
    case FLAG_MEMORY_MONITORING: o->memory_monitoring = true; break;
    case FLAG_BATCH_MODE: o->batch_mode = true; break;
    case FLAG_INSECURE: o->insecure = true; break;
    case FLAG_RANDOM_INPUT: o->random_input = true; break;
    case FLAG_META: o->meta = true; break;
    case FLAG_NO_PROGRESS: o->no_progress = true; break;
    case FLAG_QUIET: o->quiet = true; break;
    case FLAG_VERBOSE: o->verbose = true; break;
    case FLAG_HELP_JA:
        o->japanese = true;
        o->help = true;
        break;
    case FLAG_HELP: o->help = true; break;
    default: break;
    }
}

static int apply(const option_row_t *row, const char *text, run_options_t *o, err_t *err) {
    if (row->effect == EFFECT_NONE)
        log_warn("options", "--%s is accepted but has no effect yet%s", row->name,
                 row->flag == FLAG_ADAPTIVE ? ": the run keeps a fixed --max-batch rows in progress" : "");
    if (row->takes == TAKES_NUMBER) return apply_number(row, text, o, err);
    if (row->takes == TAKES_TEXT) return apply_text(row, text, o, err);
    apply_switch(row, o);
    return SDG_OK;
}

static void defaults(run_options_t *o) {
    memset(o, 0, sizeof *o);
    job_options_init(&o->job);
    o->connect = "tcp://127.0.0.1:5577";
    o->max_inputs = UINT64_MAX;
    o->max_concurrent = 8;
    o->max_batch = 64;
    o->workers = 1;
    o->python_workers = 2;
    o->memory_threshold_mb = 1024;
    const char *lang = getenv("LANG");
    o->japanese = lang && strncmp(lang, "ja", 2) == 0;
}

static int check(verb_t verb, const run_options_t *o, err_t *err) {
    const char *missing = !o->yaml                                          ? "--yaml"
                          : !o->input                                       ? "--input"
                          : !o->output && (verb & (VERB_RUN | VERB_SUBMIT)) ? "--output"
                                                                            : NULL;
    if (missing) return err_set(err, SDG_EINVAL, "%s is required", missing);
    if (verb == VERB_SUBMIT && link_check_endpoint(o->connect, err) != SDG_OK) return err->code;
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

/* doctor takes every flag of run, so that a command can be checked by changing its verb. */
static bool is_taken(const option_row_t *row, verb_t verb) {
    return (row->verbs & (int)verb) != 0 || (verb == VERB_DOCTOR && (row->verbs & RUN));
}

/* Its help shows those that change what is checked. */
static bool is_shown(const option_row_t *row, verb_t verb) {
    static const char *const checked[] = {"yaml",           "input",
                                          "output",         "mapping",
                                          "max-inputs",     "save-intermediate",
                                          "seed",           "no-retry-on-empty",
                                          "overwrite",      "force-resume",
                                          "max-concurrent", "processes",
                                          "python-workers", "max-pending-tasks",
                                          "ui-locale",      "help",
                                          "help.ja"};
    if (verb != VERB_DOCTOR || (row->verbs & VERB_DOCTOR)) return (row->verbs & (int)verb) != 0;
    for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
        if (strcmp(checked[i], row->name) == 0) return true;
    }
    return false;
}

/* Flags that mean something to --batch-mode only, here; then what was not given gets its documented value. */
static void settle_batch(run_options_t *o) {
    if (o->min_batch && !o->batch_mode) log_warn("options", "--min-batch has no effect without --batch-mode");
    if (o->target_latency_ms && !o->batch_mode)
        log_warn("options", "--target-latency-ms has no effect without --batch-mode");
    if (!o->min_batch) o->min_batch = 1;
    if (!o->target_latency_ms) o->target_latency_ms = 3000;
    if (o->adaptive || o->batch_mode) o->max_concurrent = o->max_batch;
    if (o->batch_mode) o->ordered = true;
}

/* The row of a value getopt_long returned: long options return their place in the table. */
static const option_row_t *row_of(int got) {
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        if (table[i].letter == got) return &table[i];
    }
    return got >= 1000 && got < 1000 + TABLE_ROWS ? &table[got - 1000] : NULL;
}

int options_parse(verb_t verb, int argc, char **argv, run_options_t *o, err_t *err) {
    struct option long_options[TABLE_ROWS + 1] = {0};
    size_t n = 0;
    defaults(o);
    for (int i = 0; i < TABLE_ROWS; i++) {
        if (!is_taken(&table[i], verb)) continue;
        long_options[n++] = (struct option){
            table[i].name, table[i].takes == TAKES_NOTHING ? no_argument : required_argument, NULL, 1000 + i};
    }
    optind = 1;
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, "+:n:qvh", long_options, NULL)) != -1;) {
        const char *word = argv[optind - 1];
        if (got == ':') return err_set(err, SDG_EINVAL, "%s takes a value", word);
        const option_row_t *row = got == '?' ? NULL : row_of(got);
        if (!row || !is_taken(row, verb)) return err_set(err, SDG_EINVAL, "unknown option %s", word);
        if (apply(row, optarg, o, err) != SDG_OK) return err->code;
    }
    if (o->help) return SDG_OK;
    if (optind < argc) return err_set(err, SDG_EINVAL, "unexpected word '%s'", argv[optind]);
    settle_batch(o);
    return check(verb, o, err);
}

void options_free(run_options_t *o) { job_options_free(&o->job); }

bool options_want_japanese(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help.ja") == 0) return true;
    }
    return false;
}

/* ---- help */

static void help_row(const option_row_t *row, bool japanese) {
    char left[64];
    snprintf(left, sizeof left, "%s%c%s--%s%s%s", row->letter ? "-" : "", row->letter ? row->letter : ' ',
             row->letter ? ", " : "   ", row->name, row->unit ? " " : "", row->unit ? row->unit : "");
    printf("  %-36s %s%s\n", left, japanese ? row->japanese : row->english,
           row->effect != EFFECT_NONE ? ""
           : japanese                 ? "［未対応・無視］"
                                      : " [no effect yet]");
}

void options_help(verb_t verb, bool japanese) {
    static const char *const groups[][2] = {{"Main", "主なオプション"},
                                            {"Rows", "行"},
                                            {"Continuing a run", "再開"},
                                            {"Speed", "並行処理"},
                                            {"Scheduling and memory", "スケジューリングとメモリ"},
                                            {"Screen", "表示"}};
    static const char *const uses[][2] = {
        {"sdg run --yaml FILE --input FILE --output FILE [options]\n\nRuns a MABEL pipeline over a dataset. "
         "The run can be stopped and started again: finished rows are kept.",
         "sdg run --yaml FILE --input FILE --output FILE "
         "[オプション]"
         "\n\nMABELパイプラインをデータセットに対して実行します。中断しても、同じコマンドで続きから再開できま"
         "す。"},
        {"sdg submit --yaml FILE --input FILE --output FILE [--connect ENDPOINT] [options]\n\nRuns a "
         "pipeline on the workers of an `sdg serve`.",
         "sdg submit --yaml FILE --input FILE --output FILE [--connect ENDPOINT] [オプション]\n\n`sdg serve` "
         "のワーカーでパイプラインを実行します。"},
        {"sdg test-run --yaml FILE --input FILE [options]\n\nRuns one row and shows each block's prompts, "
         "answer and outputs.",
         "sdg test-run --yaml FILE --input FILE "
         "[オプション]\n\n1行だけ実行し、各ブロックのプロンプト・応答・出力を表示します。"},
        {"sdg doctor --yaml FILE --input FILE [--output FILE] [options]\n\nChecks pipeline, input, output, "
         "LLM servers and machine before a long run, and suggests settings. No LLM call is\n"
         "made. Every flag of `sdg run` is taken, so a command can be checked by writing doctor in place of "
         "run.",
         "sdg doctor --yaml FILE --input FILE [--output FILE] "
         "[オプション]"
         "\n\n長い実行の前に、パイプライン・入力・出力・LLMサーバー・マシンを検査し、設定を提案します。LLM "
         "の呼び出しは行いません。\n"
         "`sdg run` のフラグはすべて受け付けるので、run を doctor に書き換えるだけで検査できます。"},
    };
    int use = verb == VERB_RUN ? 0 : verb == VERB_SUBMIT ? 1 : verb == VERB_TEST_RUN ? 2 : 3;
    printf(japanese ? "使い方: %s\n" : "usage: %s\n", uses[use][japanese]);
    for (int g = GROUP_MAIN; g < GROUP_HIDDEN; g++) {
        bool headed = false;
        for (size_t i = 0; i < TABLE_ROWS; i++) {
            if ((int)table[i].group != g || !is_shown(&table[i], verb)) continue;
            if (!headed) printf("\n%s:\n", groups[g][japanese]);
            headed = true;
            help_row(&table[i], japanese);
        }
    }
    if (verb == VERB_DOCTOR) {
        puts(japanese ? "\n終了コード: 0 問題なし（警告は数えない） · 2 使い方の誤り · 3 パイプラインか "
                        "Python · 4 入出力 · 6 LLMサーバーかマシン\n"
                        "            （失敗が複数あれば、最初に表示されたもの）"
                      : "\nExit codes: 0 nothing failed (warnings do not count) · 2 usage · 3 the pipeline "
                        "or its Python · 4 input or output\n"
                        "            6 LLM servers or machine (of several, the first that is shown)");
        return;
    }
    puts(japanese ? "\n終了コード: 0 全行成功 · 1 一部の行が失敗 · 2 使い方の誤り · 3 パイプラインが不正 · 4 "
                    "入出力の問題（容量不足など）\n"
                    "            5 途中で停止（再実行で続行） · 6 実行環境の失敗"
                  : "\nExit codes: 0 all rows fine · 1 some rows failed · 2 usage · 3 the pipeline is not "
                    "valid · 4 input or output cannot be\n"
                    "            used (also: disk full) · 5 stopped before the end (the same command "
                    "continues) · 6 the runtime failed");
}
