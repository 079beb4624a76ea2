/* flags_table.c - the verbs of `sdg` and all their flags, each in one row with both languages (flags.h).
 *
 * To add a flag: a row; its field in options.h (or mock_options.h); whoever uses the field. A key of the
 * service file is a flag with `key` and `sample`. The order of the rows is that of help, within their group.
 * To add a verb: a bit in flags.h, a row in verb_rows, its function in actors/main.c. */
#include "actors/loop/link.h"
#include "actors/mock/mock_options.h"
#include "actors/runtime/limits.h"
#include "actors/verbs/flags.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "core/sched/limits.h"

enum {
    RUN = VERB_RUN,
    SUBMIT = VERB_SUBMIT,
    TEST = VERB_TEST_RUN,
    DOCTOR = VERB_DOCTOR,
    VALIDATE = VERB_VALIDATE,
    SERVE = VERB_SERVE,
    WORKER = VERB_WORKER,
    STATUS = VERB_STATUS,
    TOP = VERB_TOP,
    MOCK = VERB_MOCK_LLM,
    CONFIG = VERB_CONFIG,
    HELP = VERB_HELP,
    BOTH = VERB_RUN | VERB_SUBMIT,
    ALL = VERB_RUN | VERB_SUBMIT | VERB_TEST_RUN
};

#define TO(type, member) .place = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define TO_COMMON(member) TO(common_options_t, member)
#define TO_RUN(member) TO(run_options_t, member)
#define TO_MOCK(member) TO(mock_options_t, member)

static const flag_choice_t locales[] = {{"en", UI_LOCALE_EN}, {"ja", UI_LOCALE_JA}, {0}};
static const flag_choice_t fsyncs[] = {
    {"never", JOURNAL_FSYNC_NEVER}, {"batch", JOURNAL_FSYNC_BATCH}, {"always", JOURNAL_FSYNC_ALWAYS}, {0}};

static const flag_choice_t formats[] = {{"jsonl", DATA_JSONL}, {"csv", DATA_CSV}, {"tsv", DATA_TSV}, {0}};
static const flag_choice_t templates[] = {{"questions", TEMPLATE_QUESTIONS}, {0}};

const flag_row_t flag_rows[] = {
    /* ---- run, submit, test-run, doctor */
    {"yaml", 'y', ALL | DOCTOR, GROUP_MAIN, FLAG_TEXT, TO_RUN(yaml), .unit = "FILE",
     .english = "MABEL pipeline (required)", .japanese = "MABELパイプライン（必須）"},
    {"input", 'i', ALL | DOCTOR, GROUP_MAIN, FLAG_TEXT, TO_RUN(input), .unit = "FILE",
     .english = "dataset, one file: .jsonl .csv .tsv, also .gz .zst; - is stdin (required)",
     .japanese = "データセット、1ファイル: .jsonl .csv .tsv、.gz .zst も可。- は標準入力（必須）"},
    {"output", 'o', BOTH | DOCTOR, GROUP_MAIN, FLAG_TEXT, TO_RUN(output), .unit = "FILE",
     .english = "result rows, JSON Lines; - is stdout", .japanese = "結果 (JSON Lines)。- は標準出力"},
    {"connect", 0, SUBMIT, GROUP_MAIN, FLAG_TEXT, TO_RUN(connect), .unit = "ENDPOINT",
     .check = link_check_endpoint, .english = "scheduler of `sdg serve`, e.g. tcp://127.0.0.1:5577 (default)",
     .japanese = "`sdg serve` のスケジューラー。既定 tcp://127.0.0.1:5577"},

    {"template", 0, VERB_INIT, GROUP_MAIN, FLAG_CHOICE, TO(init_options_t, template), .choices = templates,
     .unit = "T", .english = "which one: questions (a question about each topic; default)",
     .japanese = "テンプレート: questions（トピックごとに質問を1つ。既定）"},

    /* ---- serve, worker, status, top */
    {"listen", 0, SERVE, GROUP_MAIN, FLAG_TEXT, TO(serve_options_t, listen), .unit = "ENDPOINT",
     .check = link_check_endpoint, .key = "listen", .sample = DEFAULT_ENDPOINT, .sample_is_default = true,
     .english = "tcp://127.0.0.1:PORT (default port 5577; * for any) or ipc://PATH",
     .japanese = "tcp://127.0.0.1:PORT（既定ポート 5577、* は任意）または ipc://PATH"},
    {"port-file", 0, SERVE, GROUP_MAIN, FLAG_TEXT, TO(serve_options_t, port_file), .unit = "FILE",
     .english = "write the port to FILE once it listens",
     .japanese = "待ち受け開始後にポート番号を FILE に書く"},
    {"connect", 0, WORKER, GROUP_MAIN, FLAG_TEXT, TO(worker_options_t, connect), .unit = "ENDPOINT",
     .check = link_check_endpoint, .key = "connect", .sample = DEFAULT_ENDPOINT, .sample_is_default = true,
     .english = "scheduler of `sdg serve` (default tcp://127.0.0.1:5577)",
     .japanese = "`sdg serve` のスケジューラー。既定 tcp://127.0.0.1:5577"},
    {"connect", 0, STATUS, GROUP_MAIN, FLAG_TEXT, TO(status_options_t, connect), .unit = "ENDPOINT",
     .check = endpoint_or_url_check,
     .english = "scheduler (default tcp://127.0.0.1:5577), or http://127.0.0.1:9464 as in --metrics-listen",
     .japanese = "スケジューラー（既定 tcp://127.0.0.1:5577）、または "
                 "http://127.0.0.1:9464（--metrics-listen のアドレス）"},
    {"json", 0, STATUS, GROUP_MAIN, FLAG_SWITCH, TO(status_options_t, json),
     .english = "with http://: all numbers as JSON, docs/monitoring.md",
     .japanese = "http:// のとき、すべての数値をJSONで表示（docs/monitoring.md）"},
    {"connect", 0, TOP, GROUP_MAIN, FLAG_TEXT, TO(top_options_t, connect), .unit = "URL", .check = url_check,
     .english = "the address of --metrics-listen (default http://127.0.0.1:9464)",
     .japanese = "--metrics-listen のアドレス（既定 http://127.0.0.1:9464）"},
    {"count", 0, TOP, GROUP_MAIN, FLAG_NUMBER, TO(top_options_t, count), .unit = "N",
     .english = "end after N views", .japanese = "N 回表示したら終了"},
    {"name", 0, WORKER, GROUP_MAIN, FLAG_TEXT, TO(worker_options_t, name), .unit = "NAME",
     .english = "for logs (default: host and process number)",
     .japanese = "ログでの名前（既定: ホスト名とプロセス番号）"},
    {"drain-timeout", 0, WORKER, GROUP_MAIN, FLAG_NUMBER, TO(worker_options_t, drain_s),
     .max = DRAIN_SECONDS_MAX, .unit = "S",
     .english = "a stop waits so many seconds for rows in progress, then gives them back (default 30)",
     .japanese = "停止時に処理中の行を待つ秒数。過ぎたら行を返す（既定 30）"},
    {"parent", 0, WORKER, GROUP_MAIN, FLAG_NUMBER, TO(worker_options_t, parent), .max = INT32_MAX,
     .unit = "PID", .english = "end when this process ends", .japanese = "このプロセスが終了したら終了"},
    {"instance", 0, WORKER, GROUP_MAIN, FLAG_NUMBER, TO(worker_options_t, instance), .unit = "N",
     .english = "number it calls itself (default random)", .japanese = "自分の番号（既定は乱数）"},

    /* ---- validate, config, help */
    {"yaml", 'y', VALIDATE, GROUP_MAIN, FLAG_TEXT, TO(validate_options_t, yaml), .unit = "FILE",
     .english = "one more pipeline", .japanese = "検査するパイプライン（もう1つ）"},
    {"strict", 0, VALIDATE, GROUP_MAIN, FLAG_SWITCH, TO(validate_options_t, strict),
     .english = "warnings are errors", .japanese = "警告もエラーとして扱う"},
    {"no-env", 0, VALIDATE, GROUP_MAIN, FLAG_SWITCH_OFF, TO(validate_options_t, use_env),
     .english = "do not look at ${ENV.NAME}: missing variables are no problem",
     .japanese = "${ENV.NAME} を調べない"},
    {"example", 0, CONFIG, GROUP_MAIN, FLAG_SWITCH, TO(config_options_t, example),
     .english = "print a service file with every key, explained",
     .japanese = "すべてのキーを説明付きで並べた設定ファイルの例を表示"},
    {"check", 0, CONFIG, GROUP_MAIN, FLAG_TEXT, TO(config_options_t, check), .unit = "FILE",
     .english = "say whether FILE is a service file, and what is wrong where",
     .japanese = "FILE が設定ファイルとして正しいか検査し、問題と位置を表示"},
    {"man", 0, HELP, GROUP_MAIN, FLAG_SWITCH, TO(help_options_t, man), .traits = FLAG_HIDDEN},

    /* ---- rows */
    {"format", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_CHOICE, TO_RUN(form.format), .choices = formats, .unit = "F",
     .english = "format of the input: jsonl, csv or tsv (default: by its name; stdin: jsonl)",
     .japanese = "入力の形式: jsonl, csv, tsv（既定はファイル名による。標準入力は jsonl）"},
    {"delimiter", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_READ, .read = run_options_delimiter, .unit = "C",
     .english = "character between the fields of CSV, or tab (default: , or ; by the header)",
     .japanese = "CSV の区切り文字、または tab（既定はヘッダーにより , か ;）"},
    {"strict", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_SWITCH, TO_RUN(strict),
     .english = "warnings of the pipeline, and names that are no column, are errors",
     .japanese = "パイプラインの警告と、列にない名前をエラーとして扱う"},
    {"mapping", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_READ, .read = run_options_map, .traits = FLAG_REPEATABLE,
     .unit = "A:B", .english = "rename input column A to B (repeatable)",
     .japanese = "入力列 A を B に改名（複数指定可）"},
    {"allow-files", 0, RUN | TEST | DOCTOR, GROUP_ROWS, FLAG_READ, .read = run_options_allow_files,
     .traits = FLAG_REPEATABLE, .unit = "DIR",
     .english =
         "rows may name pictures below DIR, too (default: beside the pipeline and the input; repeatable)",
     .japanese = "行が DIR 以下の画像も指定できる（既定はパイプラインと入力のフォルダー。複数指定可）"},
    {"max-inputs", 'n', BOTH | DOCTOR, GROUP_ROWS, FLAG_NUMBER, TO_RUN(max_inputs), .unit = "N",
     .english = "only the first N rows", .japanese = "先頭 N 行だけ処理"},
    {"save-intermediate", 0, BOTH | DOCTOR, GROUP_ROWS, FLAG_SWITCH, TO_RUN(job.row.save_intermediate),
     .english = "add every block output as _<exec>_<name>",
     .japanese = "各ブロックの出力を _<exec>_<name> として保存"},
    {"ordered", 0, BOTH, GROUP_ROWS, FLAG_SWITCH, TO_RUN(ordered),
     .english = "write rows in input order (default: as they finish)",
     .japanese = "入力順に書き出す（既定は完了順）"},
    {"seed", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_NUMBER, TO_RUN(job.row.seed),
     .present = offsetof(run_options_t, job.row.seeded), .unit = "N",
     .english = "repeatable rand, randint and choose", .japanese = "rand, randint, choose を再現可能にする"},
    {"no-retry-on-empty", 0, ALL | DOCTOR, GROUP_ROWS, FLAG_SWITCH_OFF, TO_RUN(job.row.retry_on_empty),
     .english = "take an empty answer as it is (default: ask up to 3 times)",
     .japanese = "空の応答をそのまま採用（既定は最大3回問い合わせ）"},
    {"dataset", 0, ALL, GROUP_ROWS, FLAG_READ, .read = run_options_refuse_dataset, .traits = FLAG_HIDDEN,
     .unit = "NAME"},
    {"subset", 0, ALL, GROUP_ROWS, FLAG_READ, .read = run_options_refuse_dataset, .traits = FLAG_HIDDEN,
     .unit = "NAME"},
    {"split", 0, ALL, GROUP_ROWS, FLAG_TEXT, TO_RUN(split), .traits = FLAG_HIDDEN, .unit = "NAME"},
    {"disable-output-cleaning", 0, ALL, GROUP_ROWS, FLAG_SWITCH, .traits = FLAG_HIDDEN},
    {"row", 0, TEST, GROUP_ROWS, FLAG_NUMBER, TO_RUN(row), .unit = "N",
     .english = "which row, from 0 (default 0)", .japanese = "何行目か、0 から（既定 0）"},
    {"random-input", 0, TEST, GROUP_ROWS, FLAG_SWITCH, TO_RUN(random_input),
     .english = "a random one of the first 100 rows", .japanese = "先頭100行から無作為に1行"},

    /* ---- continuing a run */
    {"overwrite", 0, BOTH | DOCTOR, GROUP_RESUME, FLAG_SWITCH, TO_RUN(overwrite),
     .english = "start anew instead of continuing an existing output",
     .japanese = "既存の出力を続けず最初からやり直す"},
    {"force-resume", 0, BOTH | DOCTOR, GROUP_RESUME, FLAG_SWITCH, TO_RUN(force_resume),
     .english = "continue although pipeline, input or options have changed",
     .japanese = "パイプライン・入力・オプションが変わっていても続行"},
    {"retry-failed", 0, BOTH, GROUP_RESUME, FLAG_SWITCH, TO_RUN(retry_failed),
     .english = "do rows with _error again, with the LLM answers that they had",
     .japanese = "_error の行を、得たLLMの応答を使ってやり直す"},
    {"journal", 0, BOTH, GROUP_RESUME, FLAG_SWITCH, TO_RUN(journal),
     .english = "write each LLM answer to OUTPUT.journal at once (default: if a row can make several calls)",
     .japanese = "LLMの応答をすぐに OUTPUT.journal に記録（既定は1行で複数回呼び出しうる場合）"},
    {"no-journal", 0, BOTH, GROUP_RESUME, FLAG_SWITCH, TO_RUN(no_journal),
     .english = "keep none, not of failed rows either: a row that is done again makes all its calls again",
     .japanese = "失敗した行のものも記録しない: やり直す行はすべての呼び出しを再実行"},
    {"fsync", 0, BOTH, GROUP_RESUME, FLAG_CHOICE, TO_RUN(fsync), .choices = fsyncs, .unit = "WHEN",
     .english = "never, batch (default) or always: when the journal is synced",
     .japanese = "ジャーナルのディスク同期: never, batch（既定）, always"},

    /* ---- speed */
    {"max-concurrent", 0, BOTH | DOCTOR, GROUP_SPEED, FLAG_NUMBER, TO_RUN(max_concurrent), .min = 1,
     .unit = "N", .key = "concurrency.max", .sample = "8", .sample_is_default = true,
     .english = "requests in flight over all endpoints, plus rows that run code (default 8)",
     .japanese = "全エンドポイント合計の処理中リクエスト数と、コードを実行中の行数の合計の上限（既定 8）"},
    {"give-up-after", 0, BOTH, GROUP_SPEED, FLAG_DURATION, TO_RUN(limits.give_up_ms), .unit = "DURATION",
     .english = "stop (exit code 5) when an LLM server has been full (429, 503) for so long, or says that it "
                "will be: "
                "seconds, or 90s, 15m, 24h (24h)",
     .japanese = "LLMサーバーの満杯 (429, 503) がこの時間続くか、続くと告げられたら止まる"
                 "（終了コード 5）: 秒、または 90s, 15m, 24h (24h)"},
    {"max-failures", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(limits.failures), .min = 1, .unit = "N",
     .english = "stop (exit code 5) when N rows have failed in this run",
     .japanese = "この実行で N 行失敗したら止まる（終了コード 5）"},
    {"max-failure-rate", 0, BOTH, GROUP_SPEED, FLAG_REAL, TO_RUN(limits.failure_rate), .max = 1, .unit = "R",
     .english = "stop (exit code 5) when more than this part of the rows has failed, 0 to 1, after 100 rows",
     .japanese = "100行を終えた後、失敗した行の割合（0〜1）がこれを超えたら止まる（終了コード 5）"},
    {"drain-timeout", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(drain_s), .max = DRAIN_SECONDS_MAX,
     .unit = "SECONDS",
     .english = "a stop (Ctrl-C, a limit) waits so long for rows in progress; then they stay unwritten "
                "(default 120)",
     .japanese = "停止（Ctrl-C、上限）時に処理中の行を待つ秒数。過ぎたら書かずに終わる（既定 120）"},
    {"max-concurrent-rows", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(max_concurrent), .min = 1, .unit = "N",
     .traits = FLAG_HIDDEN},
    {"processes", 0, RUN | DOCTOR, GROUP_SPEED, FLAG_NUMBER, TO_RUN(processes), .max = CHILDREN_MAX,
     .unit = "N", .key = "concurrency.processes", .sample = "0", .sample_is_default = true,
     .english = "run N worker processes (default: one thread in this process)",
     .japanese = "N 個のワーカープロセスで実行（既定はこのプロセス内の1スレッド）"},
    {"workers", 0, RUN, GROUP_SPEED, FLAG_NUMBER, TO_RUN(workers), .min = 1, .max = WORKER_THREADS_MAX,
     .unit = "N", .key = "concurrency.workers", .sample = "1", .sample_is_default = true,
     .english = "worker threads in this process (default 1)",
     .japanese = "プロセス内のワーカースレッド数（既定 1）"},
    {"python-workers", 0, RUN | TEST | DOCTOR, GROUP_SPEED, FLAG_NUMBER, TO_RUN(python_workers), .min = 1,
     .max = UINT32_MAX, .unit = "N", .key = "python.hosts", .sample = "2", .sample_is_default = true,
     .english = "Python hosts per worker (default 2)",
     .japanese = "ワーカーごとの Python プロセス数（既定 2）"},
    {"python-workers", 0, WORKER, GROUP_MAIN, FLAG_NUMBER, TO(worker_options_t, python_workers), .min = 1,
     .max = UINT32_MAX, .unit = "N", .key = "python.hosts", .english = "Python hosts (default 2)",
     .japanese = "Python プロセス数（既定 2）"},
    {"allow-python", 0, WORKER, GROUP_MAIN, FLAG_SWITCH, TO(worker_options_t, allow_python),
     .key = "python.allow", .sample = "false", .sample_is_default = true,
     .english = "run python blocks (they execute code that comes with the job)",
     .japanese = "python ブロックを許可（ジョブのコードを実行します）"},
    {"allow-files", 0, WORKER, GROUP_MAIN, FLAG_READ, .read = worker_options_allow_files,
     .traits = FLAG_REPEATABLE, .unit = "DIR",
     .english = "jobs may name pictures below DIR of this machine (default: none; repeatable)",
     .japanese = "ジョブがこのマシンの DIR 以下の画像を指定できる（既定はなし。複数指定可）"},
    {"http2", 0, ALL, GROUP_SPEED, FLAG_SWITCH, TO_RUN(job.http2),
     .english = "ask https servers for HTTP/2 (default HTTP/1.1)",
     .japanese = "https サーバーに HTTP/2 を要求（既定 HTTP/1.1）"},
    {"no-http2", 0, ALL, GROUP_SPEED, FLAG_SWITCH_OFF, TO_RUN(job.http2), .english = "HTTP/1.1 (the default)",
     .japanese = "HTTP/1.1（既定）"},
    {"use-shared-transport", 0, ALL, GROUP_SPEED, FLAG_SWITCH, .traits = FLAG_HIDDEN},
    {"adaptive", 0, BOTH, GROUP_SPEED, FLAG_SWITCH, TO_RUN(adaptive), .traits = FLAG_HIDDEN | FLAG_NO_EFFECT,
     .note = "--max-batch stands in for --max-concurrent, fixed"},
    {"adaptive-concurrency", 0, BOTH, GROUP_SPEED, FLAG_SWITCH, TO_RUN(adaptive),
     .traits = FLAG_HIDDEN | FLAG_NO_EFFECT, .note = "--max-batch stands in for --max-concurrent, fixed"},
    {"min-batch", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(min_batch), .min = 1, .unit = "N",
     .english = "least --max-concurrent of --batch-mode (1)", .japanese = "--batch-mode の最小並行数 (1)"},
    {"min-concurrent", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(min_batch), .min = 1, .unit = "N",
     .traits = FLAG_HIDDEN},
    {"max-batch", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(max_batch), .min = 1, .unit = "N",
     .english = "--max-concurrent of --batch-mode, at most (64)",
     .japanese = "--batch-mode の最大並行数 (64)"},
    {"target-latency-ms", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, TO_RUN(target_latency_ms), .min = 1,
     .unit = "MS", .english = "--batch-mode has less in flight when requests take longer (3000)",
     .japanese = "--batch-mode: リクエストがこれより遅いと並行数を減らす (3000)"},
    {"target-queue-depth", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, .unit = "N",
     .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},
    {"use-vllm-metrics", 0, BOTH, GROUP_SPEED, FLAG_SWITCH, .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},
    {"use-sglang-metrics", 0, BOTH, GROUP_SPEED, FLAG_SWITCH, .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},
    {"enable-request-batching", 0, BOTH, GROUP_SPEED, FLAG_SWITCH, .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},
    {"max-batch-size", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, .unit = "N",
     .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},
    {"max-wait-ms", 0, BOTH, GROUP_SPEED, FLAG_NUMBER, .unit = "MS", .traits = FLAG_HIDDEN | FLAG_NO_EFFECT},

    /* ---- scheduling and memory */
    {"auto-tune", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, TO_RUN(auto_tune),
     .english = "choose the settings below by the size of the input, and say why",
     .japanese = "下記の設定を入力の規模から選び、理由を表示"},
    {"enable-scheduling", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, TO_RUN(scheduling),
     .english = "strict window and chunk size as given below",
     .japanese = "下記のウィンドウとチャンクサイズを厳密に適用"},
    {"max-pending-tasks", 0, BOTH | DOCTOR, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(max_pending), .min = 1,
     .unit = "N", .english = "rows read but not finished (1000)",
     .japanese = "読み込み済みで未完了の行数の上限 (1000)"},
    {"chunk-size", 0, BOTH, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(chunk_size), .min = 1, .unit = "N",
     .english = "rows per chunk (100)", .japanese = "チャンクあたりの行数 (100)"},
    {"priority", 0, BOTH, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(priority), .min = 1, .max = JOB_PRIORITY_MAX,
     .unit = "N", .english = "share of the workers when several jobs compete, 1 to 100 (10)",
     .japanese = "複数のジョブが競合するときのワーカーの配分比 1〜100 (10)"},
    {"enable-memory-optimization", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, TO_RUN(memory_optimization),
     .english = "rows that wait for an LLM do so in the LRU context store",
     .japanese = "LLM待ちの行をLRUコンテキストストアに置く"},
    {"max-cache-size", 0, BOTH, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(max_cache), .min = 1, .unit = "N",
     .key = "memory.contexts", .sample = "500", .sample_is_default = true,
     .english = "contexts the store keeps in memory; others are on disk (500)",
     .japanese = "メモリに置くコンテキスト数、残りはディスクへ (500)"},
    {"enable-memory-monitoring", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, TO_RUN(memory_monitoring),
     .english = "measure all processes, warn above the threshold",
     .japanese = "全プロセスのメモリを測り、閾値を超えたら警告"},
    {"memory-threshold-mb", 0, BOTH, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(memory_threshold_mb), .min = 1,
     .unit = "MB", .english = "when to warn (1024)", .japanese = "警告の閾値 (1024)"},
    {"gc-interval", 0, BOTH, GROUP_SCHEDULING, FLAG_NUMBER, TO_RUN(gc_interval), .min = 1, .unit = "ROWS",
     .english = "housekeeping (give freed memory back, checkpoint) after so many rows (100)",
     .japanese = "この行数ごとに後始末（解放メモリの返却など）(100)"},
    {"batch-mode", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, TO_RUN(batch_mode),
     .english = "all rows through block 1, then block 2, ...; output in input order",
     .japanese = "全行をブロック1、次にブロック2…の順に処理（出力は入力順）"},
    {"memory-limit", 0, BOTH, GROUP_SCHEDULING, FLAG_SIZE, TO_RUN(memory_limit), .min = MEMORY_LIMIT_MIN,
     .unit = "SIZE", .key = "memory.limit", .sample = "2G",
     .english = "bytes of rows, contexts, answers and queues in memory, e.g. 256M or 2G",
     .japanese = "行・コンテキスト・応答・キューのメモリ上限。例 256M, 2G"},
    {"spill-dir", 0, BOTH, GROUP_SCHEDULING, FLAG_TEXT, TO_RUN(spill_dir), .unit = "DIR",
     .key = "memory.spill_dir", .sample = "/var/tmp",
     .english = "where contexts go on disk (default: beside the output)",
     .japanese = "コンテキストを退避するディスクの場所（既定は出力と同じフォルダー）"},
    {"streaming", 0, BOTH, GROUP_SCHEDULING, FLAG_SWITCH, .traits = FLAG_HIDDEN},

    /* ---- mock-llm */
    {"host", 0, MOCK, GROUP_MOCK_LISTEN, FLAG_TEXT, TO_MOCK(host), .unit = "ADDRESS",
     .english = "address to bind (127.0.0.1)", .japanese = "待ち受けるアドレス (127.0.0.1)"},
    {"port", 0, MOCK, GROUP_MOCK_LISTEN, FLAG_NUMBER, TO_MOCK(port), .max = UINT16_MAX, .unit = "N",
     .english =
         "port (8000); 0 takes any free one. The line `listening on http://HOST:PORT` on stdout names it",
     .japanese =
         "ポート (8000)。0 は空いているポート。標準出力の `listening on http://HOST:PORT` の行で分かります"},
    {"port-file", 0, MOCK, GROUP_MOCK_LISTEN, FLAG_TEXT, TO_MOCK(port_file), .unit = "FILE",
     .english = "also write the port number to FILE", .japanese = "ポート番号を FILE にも書きます"},
    {"max-connections", 0, MOCK, GROUP_MOCK_LISTEN, FLAG_NUMBER, TO_MOCK(conns_max), .max = MOCK_COUNT_MAX,
     .unit = "N", .english = "open connections (16384); further ones wait to be accepted",
     .japanese = "同時接続数 (16384)。超えた接続は受け付けを待ちます"},
    {"answer", 0, MOCK, GROUP_MOCK_ANSWER, FLAG_READ, TO_MOCK(answer), .read = mock_answer_read,
     .unit = "TEXT",
     .english = "the answer, with placeholders (default: echo[{{model}}]: {{last_user}}, or in the "
                "tags the prompt asks for)",
     .japanese = "応答の文。プレースホルダーが使えます (既定は echo[{{model}}]: {{last_user}}。"
                 "プロンプトがタグを求めていれば、そのタグで答えます)"},
    {"answer-file", 0, MOCK, GROUP_MOCK_ANSWER, FLAG_READ, TO_MOCK(answer), .read = mock_answer_file_read,
     .unit = "FILE", .english = "the same, read from a file", .japanese = "同じものをファイルから読みます"},
    {"answer-tokens", 0, MOCK, GROUP_MOCK_ANSWER, FLAG_READ, TO_MOCK(tokens), .read = mock_tokens_read,
     .unit = "N",
     .english = "make answers at least N tokens long (a token is counted as 4 characters); "
                "lognormal:MEDIAN:SIGMA varies the length",
     .japanese = "応答を N トークン以上にします (4 文字を 1 トークンと数えます)。"
                 "lognormal:MEDIAN:SIGMA で長さがばらつきます"},
    {"rules", 0, MOCK, GROUP_MOCK_ANSWER, FLAG_TEXT, TO_MOCK(rules_file), .unit = "FILE",
     .english = "scripted answers, see below; what no rule takes gets the answer above",
     .japanese = "台本による応答 (下記)。どの規則にも合わないものには上の応答を返します"},
    {"models", 0, MOCK, GROUP_MOCK_ANSWER, FLAG_TEXT, TO_MOCK(models), .unit = "A,B",
     .english = "ids listed by /v1/models (mock); any model name is answered",
     .japanese = "/v1/models に並べる ID (mock)。どのモデル名にも応答します"},
    {"latency-ms", 0, MOCK, GROUP_MOCK_TIME, FLAG_READ, TO_MOCK(latency_ms), .read = mock_latency_read,
     .unit = "N", .english = "milliseconds before every answer (0)", .japanese = "応答までのミリ秒 (0)"},
    {"latency", 0, MOCK, GROUP_MOCK_TIME, FLAG_READ, TO_MOCK(latency_ms), .read = mock_latency_read,
     .unit = "lognormal:MEDIAN_MS:SIGMA", .english = "varying latency, as real servers have it",
     .japanese = "実際のサーバーのようにばらつく遅延"},
    {"ms-per-token", 0, MOCK, GROUP_MOCK_TIME, FLAG_REAL, TO_MOCK(ms_per_token), .max = MOCK_TOKEN_MS_MAX,
     .unit = "N", .english = "added for each token of the answer (0)",
     .japanese = "応答 1 トークンごとに加えるミリ秒 (0)"},
    {"max-running", 0, MOCK, GROUP_MOCK_TIME, FLAG_NUMBER, TO_MOCK(running_max), .max = MOCK_COUNT_MAX,
     .unit = "N", .english = "answers being worked on at a time (no limit); more wait in a queue",
     .japanese = "同時に処理する数 (無制限)。超えたものは待ち行列に入ります"},
    {"max-queue", 0, MOCK, GROUP_MOCK_TIME, FLAG_NUMBER, TO_MOCK(queue_max), .max = MOCK_COUNT_MAX,
     .unit = "N", .english = "waiting requests (no limit); more are refused with 503",
     .japanese = "待ち行列の長さ (無制限)。超えたものは 503 で断ります"},
    {"rate", 0, MOCK, GROUP_MOCK_TIME, FLAG_READ, TO_MOCK(rate), .read = mock_rate_read, .unit = "N/s",
     .english =
         "answers that it passes in a second, or in a minute (N/m); more are refused with 429, as by a "
         "token bucket (no limit)",
     .japanese =
         "1 秒 (N/m なら 1 分) に受け付ける数。超えたものはトークンバケットのように 429 で断ります (無制限)"},
    {"burst", 0, MOCK, GROUP_MOCK_TIME, FLAG_NUMBER, TO_MOCK(burst), .min = 1, .max = MOCK_COUNT_MAX,
     .unit = "B",
     .english = "tokens that the bucket of --rate holds (those of a fifth of a second, at least 1)",
     .japanese = "--rate のバケットの容量 (0.2 秒分、最小 1)"},
    {"fail", 0, MOCK, GROUP_MOCK_FAULTS, FLAG_READ, TO_MOCK(faults), .read = mock_faults_read,
     .unit = "NAME=RATE,...",
     .english =
         "inject failures, each at its rate of all requests: a status (429=0.05, 500=0.01, ...), reset "
         "(connection reset), hang (never answered), slow (body drips), malformed (JSON cut in the middle), "
         "empty (empty content). 429 and 503 come at once, the others after the latency",
     .japanese =
         "全リクエストに対する割合で障害を起こします。ステータス (429=0.05, 500=0.01, ...)、reset "
         "(接続リセット)、"
         "hang (応答しない)、slow (本文が少しずつ届く)、malformed (途中で切れた JSON)、empty (空の応答)。"
         "429 と 503 は直ちに、ほかは遅延のあとに起こります"},
    {"retry-after", 0, MOCK, GROUP_MOCK_FAULTS, FLAG_TEXT, TO_MOCK(retry_after),
     .check = mock_retry_after_check, .unit = "S",
     .english =
         "Retry-After header of its 429 and of injected 503: seconds, auto (until the bucket of --rate has a "
         "token again, in whole seconds) or none (none)",
     .japanese = "429 と注入した 503 に付ける Retry-After ヘッダー: 秒数、auto (--rate "
                 "でトークンが戻るまで、1 秒単位)、none (none)"},
    {"slow-ms", 0, MOCK, GROUP_MOCK_FAULTS, FLAG_REAL, TO_MOCK(slow_ms), .max = MOCK_DELAY_MS_MAX,
     .unit = "N", .english = "how long a slow body takes (5000)",
     .japanese = "slow の本文にかける時間 (5000)"},
    {"seed", 0, MOCK, GROUP_MOCK_FAULTS, FLAG_NUMBER, TO_MOCK(seed), .unit = "N",
     .english = "seed of failures, latencies and lengths (0)", .japanese = "障害、遅延、長さのシード (0)"},
    {"log", 0, MOCK, GROUP_SCREEN, FLAG_TEXT, TO_MOCK(log_file), .unit = "FILE",
     .english = "append every chat request as a JSON line: n, path, headers, body",
     .japanese = "チャットのリクエストを 1 件 1 行の JSON で追記します: n, path, headers, body"},
    {"quiet", 'q', MOCK, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(quiet), .english = "no summary at the end",
     .japanese = "終了時のまとめを出しません"},

    /* ---- screen, and what several verbs have */
    {"meta", 0, TEST, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(meta),
     .english = "show _row_index and other _ keys of the result",
     .japanese = "結果の _row_index など _ で始まるキーも表示"},
    {"no-network", 0, DOCTOR, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(no_network),
     .english = "do not ask the LLM servers", .japanese = "LLMサーバーに接続しない"},
    {"json", 0, DOCTOR, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(json), .english = "the findings as JSON",
     .japanese = "結果を JSON で出力"},
    {"metrics-listen", 0, BOTH, GROUP_SCREEN, FLAG_TEXT, TO_RUN(metrics_listen), .unit = "HOST:PORT",
     .check = host_port_check, .key = "metrics.listen", .sample = "127.0.0.1:9464",
     .english = "dashboard, /metrics and /stats.json, e.g. 127.0.0.1:9464",
     .japanese = "ダッシュボード・/metrics・/stats.json。例 127.0.0.1:9464"},
    {"report", 0, BOTH, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(report),
     .english =
         "write OUTPUT.report.html at the end: summary, charts, failures, settings, the pipeline; one file",
     .japanese = "終了時に OUTPUT.report.html を書く（要約、グラフ、失敗、設定、パイプラインを1ファイルに）"},
    {"metrics-linger", 0, BOTH, GROUP_SCREEN, FLAG_NUMBER, TO_RUN(metrics_linger_s),
     .max = METRICS_LINGER_S_MAX, .unit = "S", .key = "metrics.linger", .sample = "0",
     .english =
         "the dashboard stays S seconds after the end (default: until open pages have seen it; 0: not)",
     .japanese =
         "終了後もダッシュボードを S 秒間残す（既定: 開いているページが終了を表示するまで、0: 残さない）"},
    {"insecure", 0, BOTH, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(insecure), .key = "metrics.insecure",
     .sample = "false", .sample_is_default = true,
     .english = "let --metrics-listen take other than loopback addresses",
     .japanese = "--metrics-listen にループバック以外も許可"},
    {"metrics-listen", 0, SERVE, GROUP_MAIN, FLAG_TEXT, TO(serve_options_t, metrics_listen),
     .unit = "HOST:PORT", .check = host_port_check, .key = "metrics.listen",
     .english = "dashboard, /metrics and /stats.json, e.g. 127.0.0.1:9464",
     .japanese = "ダッシュボード・/metrics・/stats.json。例 127.0.0.1:9464"},
    {"insecure", 0, SERVE, GROUP_MAIN, FLAG_SWITCH, TO(serve_options_t, insecure), .key = "metrics.insecure",
     .english = "let --metrics-listen take other than loopback addresses",
     .japanese = "--metrics-listen にループバック以外も許可"},
    {"config", 0, RUN | SERVE | WORKER | DOCTOR, GROUP_MAIN, FLAG_TEXT, TO_COMMON(config), .unit = "FILE",
     .english = "service file with settings; flags win over it (`sdg config --example`)",
     .japanese = "設定ファイル。フラグが優先（`sdg config --example` で例を表示）"},
    {"no-progress", 0, ALL, GROUP_SCREEN, FLAG_SWITCH, TO_RUN(no_progress), .english = "no progress display",
     .japanese = "進捗を表示しない"},
    {"quiet", 'q', ALL | WORKER, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(quiet),
     .english = "warnings and errors only", .japanese = "警告とエラーのみ"},
    {"no-verbose", 0, ALL, GROUP_SCREEN, FLAG_SWITCH_OFF, TO_COMMON(verbose), .traits = FLAG_HIDDEN},
    {"legacy-logs", 0, ALL, GROUP_SCREEN, FLAG_SWITCH, .traits = FLAG_HIDDEN},
    {"verbose", 'v', ALL | SERVE | WORKER, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(verbose),
     .english = "say what the runtime does", .japanese = "動作の詳細を表示"},
    {"ui-locale", 0, ALL | DOCTOR | CONFIG, GROUP_SCREEN, FLAG_CHOICE, TO_COMMON(locale), .choices = locales,
     .unit = "en|ja", .english = "language of what is shown (default: LC_ALL, LC_MESSAGES or LANG)",
     .japanese = "表示の言語（既定は LC_ALL, LC_MESSAGES, LANG による）"},
    {"ui-locale", 0, HELP, GROUP_SCREEN, FLAG_CHOICE, TO_COMMON(locale), .choices = locales, .unit = "en|ja",
     .english = "language of the page (default: en, whatever the environment says)",
     .japanese = "表示の言語（既定は en。環境変数にはよらない）"},
    {"locale", 0, ALL | DOCTOR | CONFIG | HELP, GROUP_SCREEN, FLAG_CHOICE, TO_COMMON(locale),
     .choices = locales, .traits = FLAG_HIDDEN, .unit = "en|ja"},
    {"help", 'h', VERB_ANY, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(help), .english = "this help",
     .japanese = "英語のヘルプ"},
    {"help.ja", 0, VERB_ANY, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(help_ja),
     .english = "this help in Japanese", .japanese = "このヘルプ"},
    {"version", 'V', VERB_ANY, GROUP_SCREEN, FLAG_SWITCH, TO_COMMON(version), .english = "the version",
     .japanese = "バージョンを表示"},
};
const size_t flag_count = sizeof flag_rows / sizeof *flag_rows;

/* ---- verbs */

static const char RUN_CODES[] =
    "Exit codes: 0 complete, no failed row in the output · 1 complete, the output holds rows with _error · "
    "2 wrong flags or service file · 3 the pipeline is not valid, or workers may not run it · 4 input or "
    "output "
    "(also: disk full) · 5 stopped by somebody or a limit; the same command continues · 6 something outside "
    "must "
    "be repaired (an LLM server that refuses everything, quota, no scheduler); the same command continues";
static const char TEST_CODES[] =
    "Exit codes: 0 the row is fine · 1 the row failed · 2 usage · 3 the pipeline is not valid · 4 the input "
    "cannot be used, or has no such row · 5 stopped · 6 an LLM server refuses everything";
static const char TEST_CODES_JA[] =
    "終了コード: 0 行は成功 · 1 行は失敗 · 2 使い方の誤り · 3 パイプラインが不正 · 4 "
    "入力が使えない、またはその行がない · 5 停止の指示 · 6 LLMサーバーがすべてを拒む";
static const char RUN_CODES_JA[] =
    "終了コード: 0 完了、出力に失敗行なし · 1 完了、出力に _error の行あり · 2 フラグか設定ファイルの誤り · "
    "3 パイプラインが不正、またはワーカーが実行を許していない · 4 入出力の問題（容量不足など） · "
    "5 停止の指示か上限で停止（同じコマンドで続行） · 6 外部の修復が必要（すべてを拒むLLMサーバー、残高、"
    "スケジューラーがないなど。直せば同じコマンドで続行）";

static const char MOCK_END[] =
    "A rules file is a list (JSON or YAML); the first rule that matches and is not used up answers:\n"
    "  match: {model, contains (text or list), regex, system_contains}   all optional; the last user message "
    "is "
    "searched\n"
    "  reply: text or any JSON value                    times: N uses        status: 200       headers: "
    "{..}\n"
    "  delay_ms: N    body: the whole JSON response     raw_body: the whole response as text\n"
    "  reset: true    content_null: true                usage: {..}          finish_reason: stop\n"
    "Placeholders in answers, reply and raw_body: {{last_user}} {{system}} {{model}} {{nth}} (how often this "
    "rule "
    "was used) {{json:messages.0.content}} (a place in the request).\n\n"
    "Exit codes: 0 ended by a signal · 2 wrong flags or files · 6 cannot listen";
static const char MOCK_END_JA[] =
    "規則ファイルはリストです (JSON または YAML)。条件に合い、回数が残っている最初の規則が応答します。\n"
    "  match: {model, contains (文字列かリスト), regex, system_contains}   すべて省略可。最後の user "
    "メッセージを"
    "調べます\n"
    "  reply: 文字列か任意の JSON 値                    times: 使える回数     status: 200       headers: "
    "{..}\n"
    "  delay_ms: N    body: JSON 応答の全体             raw_body: 応答全体の文字列\n"
    "  reset: true    content_null: true                usage: {..}           finish_reason: stop\n"
    "応答、reply、raw_body のプレースホルダー: {{last_user}} {{system}} {{model}} {{nth}} "
    "(この規則が使われた回数) "
    "{{json:messages.0.content}} (リクエスト内の場所)。\n\n"
    "終了コード: 0 シグナルで終了 · 2 フラグやファイルの誤り · 6 待ち受けできない";

static const char *const journal_words[] = {"stats", "export", NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

const verb_row_t verb_rows[] = {
    {.verb = VERB_RUN,
     .name = "run",
     .options_size = sizeof(run_options_t),
     .prepare = run_options_prepare,
     .check = run_options_check,
     .release = run_options_release,
     .usage = "--yaml FILE --input FILE --output FILE [options]",
     .usage_japanese = "--yaml FILE --input FILE --output FILE [オプション]",
     .summary = "run a pipeline over a dataset",
     .summary_japanese = "データセットに対してパイプラインを実行",
     .about =
         "Runs a MABEL pipeline over a dataset. The run can be stopped and started again: finished rows are "
         "kept.",
     .about_japanese =
         "MABELパイプラインをデータセットに対して実行します。中断しても、同じコマンドで続きから再開"
         "できます。",
     .end = RUN_CODES,
     .end_japanese = RUN_CODES_JA},
    {.verb = VERB_INIT,
     .name = "init",
     .options_size = sizeof(init_options_t),
     .words_max = 1,
     .usage = "[DIR] [--template T]",
     .usage_japanese = "[DIR] [--template T]",
     .summary = "write a first pipeline with its data",
     .summary_japanese = "最初のパイプラインとデータを作成",
     .about = "Writes a small, commented pipeline, a dataset and answers for the simulated server into DIR "
              "(default: here), and says what to do next. No file that is there is touched.",
     .about_japanese = "コメント付きの小さなパイプライン、データセット、模擬サーバーの応答を DIR（既定: "
                       "現在のフォルダー）に書き、次にすることを示します。既存のファイルには触れません。",
     .end = "Exit codes: 0 written · 2 usage · 4 a file is there already, or cannot be written",
     .end_japanese = "終了コード: 0 作成した · 2 使い方の誤り · 4 既にファイルがある、または書けない"},
    {.verb = VERB_TEST_RUN,
     .name = "test-run",
     .options_size = sizeof(run_options_t),
     .prepare = run_options_prepare,
     .check = run_options_check,
     .release = run_options_release,
     .usage = "--yaml FILE --input FILE [options]",
     .usage_japanese = "--yaml FILE --input FILE [オプション]",
     .summary = "run one row and show each block",
     .summary_japanese = "1行だけ実行し、各ブロックを表示",
     .about = "Runs one row and shows each block's prompts, answer and outputs.",
     .about_japanese = "1行だけ実行し、各ブロックのプロンプト・応答・出力を表示します。",
     .end = TEST_CODES,
     .end_japanese = TEST_CODES_JA},
    {.verb = VERB_VALIDATE,
     .name = "validate",
     .options_size = sizeof(validate_options_t),
     .prepare = validate_options_prepare,
     .check = validate_options_check,
     .words_max = SIZE_MAX,
     .usage = "[--no-env] FILE...",
     .usage_japanese = "[--no-env] FILE...",
     .summary = "check a pipeline without running it",
     .summary_japanese = "実行せずにパイプラインを検査",
     .about =
         "Checks MABEL pipelines and shows every problem with its place, what was expected and the nearest "
         "valid name. Nothing is run.",
     .about_japanese =
         "MABELパイプラインを検査し、すべての問題を位置・期待される内容・近い名前とともに表示します。"
         "実行はしません。",
     .end = "Exit codes: 0 all valid (hints do not count, warnings only with --strict) · 2 usage · 3 errors",
     .end_japanese = "終了コード: 0 有効（ヒントは数えない。警告は --strict のときだけ数える） · 2 "
                     "使い方の誤り · 3 エラーあり"},
    {.verb = VERB_DOCTOR,
     .name = "doctor",
     .options_size = sizeof(run_options_t),
     .prepare = run_options_prepare,
     .check = run_options_check,
     .release = run_options_release,
     .usage = "--yaml FILE --input FILE [--output FILE] [options]",
     .usage_japanese = "--yaml FILE --input FILE [--output FILE] [オプション]",
     .summary = "check pipeline, data, LLM servers and machine before a run",
     .summary_japanese = "実行前にパイプライン・データ・LLMサーバー・マシンを検査",
     .about = "Checks pipeline, input, output, LLM servers and machine before a long run, and suggests "
              "settings. No "
              "LLM call is made. Every flag of `sdg run` is taken, so a command can be checked by writing "
              "doctor in "
              "place of run.",
     .about_japanese =
         "長い実行の前に、パイプライン・入力・出力・LLMサーバー・マシンを検査し、設定を提案します。LLM "
         "の呼び出しは行いません。`sdg run` のフラグはすべて受け付けるので、run を doctor "
         "に書き換えるだけで検査できます。",
     .end = "Exit codes: 0 nothing failed (warnings do not count) · 2 usage · 3 the pipeline or its Python · "
            "4 input "
            "or output · 6 LLM servers or machine (of several, the first that is shown)",
     .end_japanese =
         "終了コード: 0 問題なし（警告は数えない） · 2 使い方の誤り · 3 パイプラインか Python · 4 入出力 "
         "· 6 LLMサーバーかマシン（失敗が複数あれば、最初に表示されたもの）"},
    {.verb = VERB_SERVE,
     .name = "serve",
     .options_size = sizeof(serve_options_t),
     .prepare = serve_options_prepare,
     .usage = "[--listen ENDPOINT] [options]",
     .usage_japanese = "[--listen ENDPOINT] [オプション]",
     .summary = "run a scheduler for workers and jobs",
     .summary_japanese = "ワーカーとジョブのためのスケジューラーを起動",
     .about =
         "Runs a scheduler: workers join it with `sdg worker`, jobs come from `sdg submit`. Ctrl-C ends it.",
     .about_japanese =
         "スケジューラーを起動します。`sdg worker` が参加し、`sdg submit` がジョブを送ります。Ctrl-C "
         "で終了します。",
     .end = "Exit codes: 0 ended by a signal · 2 usage · 6 cannot listen",
     .end_japanese = "終了コード: 0 シグナルで終了 · 2 使い方の誤り · 6 待ち受けできない"},
    {.verb = VERB_WORKER,
     .name = "worker",
     .options_size = sizeof(worker_options_t),
     .prepare = worker_options_prepare,
     .release = worker_options_release,
     .usage = "[--connect ENDPOINT] [options]",
     .usage_japanese = "[--connect ENDPOINT] [オプション]",
     .summary = "run rows for a scheduler",
     .summary_japanese = "スケジューラーの行を処理",
     .about =
         "Runs rows for a scheduler (`sdg serve`). Any number may join at any time. Ctrl-C drains: rows in "
         "progress are finished within the drain timeout, the others go back; again: at once.",
     .about_japanese = "スケジューラー（`sdg serve`）の行を処理します。いつでも何台でも参加できます。Ctrl-C "
                       "で処理中の行を終えて終了し、残りは返します。もう一度押すと即時終了します。",
     .end = "Exit codes: 0 left after its rows · 2 usage · 5 ended at once · 6 not admitted, or no scheduler",
     .end_japanese = "終了コード: 0 行を終えて終了 · 2 使い方の誤り · 5 即時終了 · 6 "
                     "参加を断られた、またはスケジューラーがない"},
    {.verb = VERB_SUBMIT,
     .name = "submit",
     .options_size = sizeof(run_options_t),
     .prepare = run_options_prepare,
     .check = run_options_check,
     .release = run_options_release,
     .usage = "--yaml FILE --input FILE --output FILE [--connect ENDPOINT] [options]",
     .usage_japanese = "--yaml FILE --input FILE --output FILE [--connect ENDPOINT] [オプション]",
     .summary = "run a pipeline on the workers of a scheduler",
     .summary_japanese = "スケジューラーのワーカーでパイプラインを実行",
     .about = "Runs a pipeline on the workers of an `sdg serve`.",
     .about_japanese = "`sdg serve` のワーカーでパイプラインを実行します。",
     .end = RUN_CODES,
     .end_japanese = RUN_CODES_JA},
    {.verb = VERB_STATUS,
     .name = "status",
     .options_size = sizeof(status_options_t),
     .prepare = status_options_prepare,
     .usage = "[--connect ENDPOINT] [--json]",
     .usage_japanese = "[--connect ENDPOINT] [--json]",
     .summary = "print the state of a scheduler",
     .summary_japanese = "スケジューラーの状態を表示",
     .about = "Prints the state of a scheduler (`sdg serve`) as one line of JSON, or the numbers of a run or "
              "server "
              "with --metrics-listen, when ENDPOINT is its http:// address.",
     .about_japanese =
         "スケジューラー（`sdg serve`）の状態を1行のJSONで表示します。ENDPOINT が http:// のときは "
         "--metrics-listen を付けた実行やサーバーの数値を表示します。",
     .end = "Exit codes: 0 printed · 2 usage · 6 nobody answers",
     .end_japanese = "終了コード: 0 表示した · 2 使い方の誤り · 6 応答がない"},
    {.verb = VERB_TOP,
     .name = "top",
     .options_size = sizeof(top_options_t),
     .prepare = top_options_prepare,
     .usage = "[--connect URL] [--count N]",
     .usage_japanese = "[--connect URL] [--count N]",
     .summary = "show a run or server with --metrics-listen, live",
     .summary_japanese = "--metrics-listen の実行やサーバーを毎秒表示",
     .about =
         "Shows the numbers of a run or server that was started with --metrics-listen, once a second, until "
         "the run ends or Ctrl-C.",
     .about_japanese =
         "--metrics-listen を付けて起動した実行やサーバーの数値を、実行の終了か Ctrl-C まで毎秒表示します。",
     .end = "Exit codes: 0 ended · 2 usage · 6 nobody answers",
     .end_japanese = "終了コード: 0 終了 · 2 使い方の誤り · 6 応答がない"},
    {.verb = VERB_JOURNAL,
     .name = "journal",
     .options_size = sizeof(common_options_t),
     .words_min = 2,
     .words_max = 2,
     .first_words = journal_words,
     .usage = "stats|export FILE",
     .usage_japanese = "stats|export FILE",
     .summary = "look into the call journal of unfinished and failed rows",
     .summary_japanese = "未完了の行と失敗した行の呼び出しジャーナルを調べる",
     .about =
         "`sdg run --output X` keeps finished LLM calls in X.journal: of unfinished rows that make several, "
         "and "
         "of failed rows; it is removed when all rows are finished and none has failed. stats prints what is "
         "in it as one line of JSON; export prints each call as a line of JSON.",
     .about_japanese = "`sdg run --output X` "
                       "は、複数のLLM呼び出しを行う未完了の行と失敗した行の、完了した呼び出しを X.journal "
                       "に記録し、全行が成功すると削除します。stats は内容の要約を1行のJSONで、export "
                       "は各呼び出しを1行ずつのJSONで表示します。",
     .end = "Exit codes: 0 printed · 2 usage · 4 there is no such journal, or it cannot be read",
     .end_japanese = "終了コード: 0 表示した · 2 使い方の誤り · 4 その記録がない、または読めない"},
    {.verb = VERB_MOCK_LLM,
     .name = "mock-llm",
     .options_size = sizeof(mock_options_t),
     .prepare = mock_options_prepare,
     .release = mock_options_release,
     .usage = "[options]",
     .usage_japanese = "[オプション]",
     .summary = "a simulated LLM server",
     .summary_japanese = "模擬LLMサーバー",
     .about =
         "A simulated OpenAI-compatible LLM server, for trying a pipeline without paying and for tests. It "
         "serves POST /v1/chat/completions, GET /v1/models, GET /health and GET /stats (counters as JSON) "
         "until "
         "SIGTERM or Ctrl-C. Same flags, same seed and same order of requests: same answers. Streaming is "
         "not "
         "simulated.",
     .about_japanese =
         "OpenAI 互換 LLM サーバーの模擬です。費用をかけずにパイプラインを試すとき、またはテストに使い"
         "ます。POST /v1/chat/completions、GET /v1/models、GET /health、GET /stats (カウンターの JSON) "
         "に応答し、SIGTERM か Ctrl-C で終わります。フラグ、シード、リクエストの順序が同じなら応答も同"
         "じです。ストリーミングは模擬しません。",
     .end = MOCK_END,
     .end_japanese = MOCK_END_JA},
    {.verb = VERB_CONFIG,
     .name = "config",
     .options_size = sizeof(config_options_t),
     .check = config_options_check,
     .usage = "--example | --check FILE",
     .usage_japanese = "--example | --check FILE",
     .summary = "show an example of a service file, or check one",
     .summary_japanese = "設定ファイルの例を表示、または検査",
     .about = "A service file holds settings of `sdg serve`, `sdg worker` and `sdg run`, which read it with "
              "--config "
              "FILE. One file serves all of them; flags of the command line win over it.",
     .about_japanese =
         "設定ファイルは `sdg serve`、`sdg worker`、`sdg run` の設定を書いたもので、--config FILE で"
         "読み込みます。1つのファイルをすべてのコマンドで共用でき、コマンドラインのフラグが優先されます。",
     .end = "Exit codes: 0 fine · 2 usage, or the file is no service file",
     .end_japanese = "終了コード: 0 問題なし · 2 使い方の誤り、または設定ファイルの誤り"},
    {.verb = VERB_COMPLETION,
     .name = "completion",
     .options_size = sizeof(common_options_t),
     .words_min = 1,
     .words_max = 1,
     .first_words = shells,
     .usage = "bash|zsh|fish",
     .usage_japanese = "bash|zsh|fish",
     .summary = "print a completion script for a shell",
     .summary_japanese = "シェルの補完スクリプトを表示",
     .about =
         "Prints a script that completes commands and flags of sdg. For this session of bash: source <(sdg "
         "completion bash). An installed sdg has them where the shells look for them.",
     .about_japanese =
         "sdg のコマンドとフラグを補完するスクリプトを表示します。bash でこのセッションだけ使うには: "
         "source <(sdg completion bash)。インストールした sdg "
         "では、各シェルが探す場所に置かれています。"},
    {.verb = VERB_HELP,
     .name = "help",
     .options_size = sizeof(help_options_t),
     .words_max = 1,
     .usage = "[COMMAND]",
     .usage_japanese = "[COMMAND]",
     .summary = "show the commands, or the flags of one",
     .summary_japanese = "コマンドの一覧、またはコマンドのフラグを表示",
     .about = "Shows the commands, or the flags of one, like `sdg COMMAND --help`.",
     .about_japanese = "コマンドの一覧、または `sdg COMMAND --help` と同じ説明を表示します。"},
};
const size_t verb_count = sizeof verb_rows / sizeof *verb_rows;
