/* mock_options.c - see mock_options.h. To add a flag: a field, a row in FLAGS, a case in flag_take, both help
 * texts. */
#include "actors/mock/mock_options.h"

#include "actors/mock/limits.h"
#include "actors/mock/mock_rules.h"
#include "core/base/buf.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_DEFAULT "echo[{{model}}]: {{last_user}}"

enum {
    F_HOST = 256,
    F_PORT,
    F_PORT_FILE,
    F_MODELS,
    F_ANSWER,
    F_ANSWER_FILE,
    F_ANSWER_TOKENS,
    F_RULES,
    F_LOG,
    F_LATENCY_MS,
    F_LATENCY,
    F_MS_PER_TOKEN,
    F_FAIL,
    F_RETRY_AFTER,
    F_SLOW_MS,
    F_SEED,
    F_MAX_RUNNING,
    F_MAX_QUEUE,
    F_MAX_CONNECTIONS,
    F_QUIET,
    F_HELP_JA,
};

static const struct option FLAGS[] = {
    {"host", required_argument, NULL, F_HOST},
    {"port", required_argument, NULL, F_PORT},
    {"port-file", required_argument, NULL, F_PORT_FILE},
    {"models", required_argument, NULL, F_MODELS},
    {"answer", required_argument, NULL, F_ANSWER},
    {"answer-file", required_argument, NULL, F_ANSWER_FILE},
    {"answer-tokens", required_argument, NULL, F_ANSWER_TOKENS},
    {"rules", required_argument, NULL, F_RULES},
    {"log", required_argument, NULL, F_LOG},
    {"latency-ms", required_argument, NULL, F_LATENCY_MS},
    {"latency", required_argument, NULL, F_LATENCY},
    {"ms-per-token", required_argument, NULL, F_MS_PER_TOKEN},
    {"fail", required_argument, NULL, F_FAIL},
    {"retry-after", required_argument, NULL, F_RETRY_AFTER},
    {"slow-ms", required_argument, NULL, F_SLOW_MS},
    {"seed", required_argument, NULL, F_SEED},
    {"max-running", required_argument, NULL, F_MAX_RUNNING},
    {"max-queue", required_argument, NULL, F_MAX_QUEUE},
    {"max-connections", required_argument, NULL, F_MAX_CONNECTIONS},
    {"quiet", no_argument, NULL, F_QUIET},
    {"help", no_argument, NULL, 'h'},
    {"help.ja", no_argument, NULL, F_HELP_JA},
    {0},
};

static int number_read(const char *text, double lo, double hi, double *out, err_t *err) {
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end || !(n >= lo && n <= hi))
        return err_set(err, SDG_EINVAL, "\"%s\" is not a number from %.15g to %.15g", text, lo, hi);
    *out = n;
    return SDG_OK;
}

static int count_read(const char *text, unsigned hi, unsigned *out, err_t *err) {
    double n;
    int rc = number_read(text, 0, hi, &n, err);
    if (!rc && n != (double)(unsigned)n) rc = err_set(err, SDG_EINVAL, "\"%s\" is not a whole number", text);
    if (!rc) *out = (unsigned)n;
    return rc;
}

/* "N" or "lognormal:MEDIAN:SIGMA". */
static int spread_read(const char *text, double hi, mock_spread_t *out, err_t *err) {
    static const char NAME[] = "lognormal:";
    *out = (mock_spread_t){0};
    if (strncmp(text, NAME, sizeof NAME - 1)) return number_read(text, 0, hi, &out->median, err);
    const char *median = text + sizeof NAME - 1, *colon = strchr(median, ':');
    if (!colon) return err_set(err, SDG_EINVAL, "\"%s\" should be lognormal:MEDIAN:SIGMA", text);
    char part[32] = {0};
    size_t len = (size_t)(colon - median);
    if (len >= sizeof part) return err_set(err, SDG_EINVAL, "\"%s\" should be lognormal:MEDIAN:SIGMA", text);
    memcpy(part, median, len);
    int rc = number_read(part, 0, hi, &out->median, err);
    return rc ? rc : number_read(colon + 1, 0, 10, &out->sigma, err);
}

static int fault_name_read(mock_fault_t *fault, err_t *err) {
    static const struct {
        const char *name;
        mock_fault_kind_t kind;
    } KINDS[] = {
        {"reset", MOCK_FAULT_RESET}, {"hang", MOCK_FAULT_HANG},           {"slow", MOCK_FAULT_SLOW},
        {"empty", MOCK_FAULT_EMPTY}, {"malformed", MOCK_FAULT_MALFORMED},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(fault->name, KINDS[i].name)) continue;
        fault->kind = KINDS[i].kind;
        return SDG_OK;
    }
    double status;
    if (number_read(fault->name, 400, 599, &status, NULL) || strlen(fault->name) != 3)
        return err_set(err, SDG_EINVAL,
                       "\"%s\" is neither a status from 400 to 599 nor one of reset, hang, slow, "
                       "malformed, empty",
                       fault->name);
    fault->kind = MOCK_FAULT_STATUS;
    fault->status = (unsigned)status;
    return SDG_OK;
}

/* One "NAME=RATE" of --fail. */
static int fault_read(mock_options_t *o, const char *item, err_t *err) {
    if (o->fault_count == MOCK_FAULTS_MAX)
        return err_set(err, SDG_ELIMIT, "more than %d kinds", MOCK_FAULTS_MAX);
    mock_fault_t *fault = &o->faults[o->fault_count];
    const char *eq = strchr(item, '=');
    if (!eq || eq == item || (size_t)(eq - item) >= sizeof fault->name)
        return err_set(err, SDG_EINVAL, "\"%s\" should be NAME=RATE", item);
    *fault = (mock_fault_t){0};
    memcpy(fault->name, item, (size_t)(eq - item));
    int rc = fault_name_read(fault, err);
    if (!rc) rc = number_read(eq + 1, 0, 1, &fault->rate, err);
    if (!rc) o->fault_count++;
    return rc;
}

static int faults_read(mock_options_t *o, const char *text, err_t *err) {
    char *copy = xstrdup(text), *rest = copy;
    int rc = SDG_OK;
    for (char *item; !rc && (item = strsep(&rest, ","));)
        if (*item) rc = fault_read(o, item, err);
    free(copy);
    double sum = 0;
    for (size_t i = 0; i < o->fault_count; i++)
        sum += o->faults[i].rate;
    if (!rc && sum > 1 + 1e-9) rc = err_set(err, SDG_EINVAL, "the rates add up to %g, more than 1", sum);
    return rc;
}

static void answer_set(mock_options_t *o, const char *text, size_t len) {
    free(o->answer);
    o->answer = xmalloc(len + 1);
    memcpy(o->answer, text, len);
    o->answer[len] = '\0';
    o->answer_len = len;
}

static int answer_file_read(mock_options_t *o, const char *path, err_t *err) {
    buf_t text;
    buf_init(&text, MOCK_FILE_BYTES_MAX);
    int rc = mock_file_read(path, &text, err);
    if (!rc) answer_set(o, text.data ? text.data : "", text.len);
    buf_free(&text);
    return rc;
}

static int seed_read(const char *text, uint64_t *out, err_t *err) {
    char *end;
    *out = strtoull(text, &end, 10);
    if (end == text || *end) return err_set(err, SDG_EINVAL, "\"%s\" is not a whole number", text);
    return SDG_OK;
}

static int retry_after_read(mock_options_t *o, const char *text, err_t *err) {
    double seconds;
    o->retry_after = text;
    return number_read(text, 0, 1e6, &seconds, err);
}

static int flag_take(mock_options_t *o, int flag, const char *arg, err_t *err) {
    switch (flag) {
    case F_HOST: o->host = arg; return SDG_OK;
    case F_PORT: return count_read(arg, 65535, &o->port, err);
    case F_PORT_FILE: o->port_file = arg; return SDG_OK;
    case F_MODELS: o->models = arg; return SDG_OK;
    case F_ANSWER: answer_set(o, arg, strlen(arg)); return SDG_OK;
    case F_ANSWER_FILE: return answer_file_read(o, arg, err);
    case F_ANSWER_TOKENS: return spread_read(arg, MOCK_TOKENS_MAX, &o->tokens, err);
    case F_RULES: o->rules_file = arg; return SDG_OK;
    case F_LOG: o->log_file = arg; return SDG_OK;
    case F_LATENCY_MS:
    case F_LATENCY: return spread_read(arg, 3.6e6, &o->latency_ms, err);
    case F_MS_PER_TOKEN: return number_read(arg, 0, 1e5, &o->ms_per_token, err);
    case F_FAIL: return faults_read(o, arg, err);
    case F_RETRY_AFTER: return retry_after_read(o, arg, err);
    case F_SLOW_MS: return number_read(arg, 0, 3.6e6, &o->slow_ms, err);
    case F_SEED: return seed_read(arg, &o->seed, err);
    case F_MAX_RUNNING: return count_read(arg, 1000000, &o->running_max, err);
    case F_MAX_QUEUE: return count_read(arg, 1000000, &o->queue_max, err);
    case F_MAX_CONNECTIONS: return count_read(arg, 1000000, &o->conns_max, err);
    default: o->quiet = true; return SDG_OK;
    }
}

static const char *flag_name(int flag) {
    for (const struct option *f = FLAGS; f->name; f++)
        if (f->val == flag) return f->name;
    return "?";
}

int mock_options_read(mock_options_t *o, int argc, char **argv, mock_action_t *action, err_t *err) {
    *o = (mock_options_t){.host = "127.0.0.1",
                          .port = 8000,
                          .models = "mock",
                          .slow_ms = 5000,
                          .queue_max = UINT32_MAX,
                          .conns_max = MOCK_CONNS_DEFAULT};
    answer_set(o, ANSWER_DEFAULT, strlen(ANSWER_DEFAULT));
    *action = MOCK_SERVE;
    optind = 0; /* a fresh scan: the verb may have been found by another getopt */
    opterr = 0;
    for (int flag; (flag = getopt_long(argc, argv, ":h", FLAGS, NULL)) != -1;) {
        if (flag == 'h' || flag == F_HELP_JA) {
            *action = flag == 'h' ? MOCK_HELP : MOCK_HELP_JA;
            return SDG_OK;
        }
        if (flag == ':') return err_set(err, SDG_EINVAL, "%s needs a value", argv[optind - 1]);
        if (flag == '?') return err_set(err, SDG_EINVAL, "%s is not a flag of mock-llm", argv[optind - 1]);
        int rc = flag_take(o, flag, optarg, err);
        if (rc) return err ? err_prefix(err, "--%s", flag_name(flag)) : rc;
    }
    if (optind < argc) return err_set(err, SDG_EINVAL, "\"%s\": mock-llm takes flags only", argv[optind]);
    return SDG_OK;
}

void mock_options_free(mock_options_t *o) {
    free(o->answer);
    o->answer = NULL;
}

static const char HELP[] =
    "Usage: sdg mock-llm [flags]\n"
    "\n"
    "A simulated OpenAI-compatible LLM server, for trying a pipeline without paying and for tests. It "
    "serves\n"
    "POST /v1/chat/completions, GET /v1/models, GET /health and GET /stats (counters as JSON) until SIGTERM "
    "or Ctrl-C.\n"
    "Same flags, same seed and same order of requests: same answers. Streaming is not simulated.\n"
    "\n"
    "Where it listens\n"
    "  --host ADDRESS        address to bind (127.0.0.1)\n"
    "  --port N              port (8000); 0 takes any free one. The line `listening on http://HOST:PORT` on "
    "stdout names it\n"
    "  --port-file FILE      also write the port number to FILE\n"
    "  --max-connections N   open connections (16384); further ones wait to be accepted\n"
    "\n"
    "What it answers\n"
    "  --answer TEXT         the answer, with placeholders (echo[{{model}}]: {{last_user}})\n"
    "  --answer-file FILE    the same, read from a file\n"
    "  --answer-tokens N     make answers at least N tokens long (a token is counted as 4 characters);\n"
    "                        lognormal:MEDIAN:SIGMA varies the length\n"
    "  --rules FILE          scripted answers, see below; what no rule takes gets the answer above\n"
    "  --models A,B          ids listed by /v1/models (mock); any model name is answered\n"
    "\n"
    "How long it takes\n"
    "  --latency-ms N        milliseconds before every answer (0)\n"
    "  --latency lognormal:MEDIAN_MS:SIGMA   varying latency, as real servers have it\n"
    "  --ms-per-token N      added for each token of the answer (0)\n"
    "  --max-running N       answers being worked on at a time (no limit); more wait in a queue\n"
    "  --max-queue N         waiting requests (no limit); more are refused with 503\n"
    "\n"
    "What goes wrong\n"
    "  --fail NAME=RATE,...  inject failures, each at its rate of all requests: a status (429=0.05, "
    "500=0.01, ...),\n"
    "                        reset (connection reset), hang (never answered), slow (body drips), malformed "
    "(JSON cut in\n"
    "                        the middle), empty (empty content). 429 and 503 come at once, the others after "
    "the latency\n"
    "  --retry-after S       Retry-After header, in seconds, of injected 429 and 503\n"
    "  --slow-ms N           how long a slow body takes (5000)\n"
    "  --seed N              seed of failures, latencies and lengths (0)\n"
    "\n"
    "Other\n"
    "  --log FILE            append every chat request as a JSON line: n, path, headers, body\n"
    "  --quiet               no summary at the end\n"
    "  --help, --help.ja     this text, in English or Japanese\n"
    "\n"
    "A rules file is a list (JSON or YAML); the first rule that matches and is not used up answers:\n"
    "  match: {model, contains (text or list), regex, system_contains}   all optional; the last user message "
    "is searched\n"
    "  reply: text or any JSON value                    times: N uses        status: 200       headers: "
    "{..}\n"
    "  delay_ms: N    body: the whole JSON response     raw_body: the whole response as text\n"
    "  reset: true    content_null: true                usage: {..}          finish_reason: stop\n"
    "Placeholders in answers, reply and raw_body: {{last_user}} {{system}} {{model}} {{nth}} (how often this "
    "rule was used)\n"
    "{{json:messages.0.content}} (a place in the request).\n"
    "\n"
    "Exit codes: 0 ended by a signal, 2 wrong flags or files, 3 cannot listen.\n";

static const char HELP_JA[] =
    "使い方: sdg mock-llm [フラグ]\n"
    "\n"
    "OpenAI 互換 LLM サーバーの模擬です。費用をかけずにパイプラインを試すとき、またはテストに使います。\n"
    "POST /v1/chat/completions、GET /v1/models、GET /health、GET /stats (カウンターの JSON) "
    "に応答し、SIGTERM か Ctrl-C で\n"
    "終わります。フラグ、シード、リクエストの順序が同じなら応答も同じです。ストリーミングは模擬しません。\n"
    "\n"
    "待ち受け\n"
    "  --host ADDRESS        待ち受けるアドレス (127.0.0.1)\n"
    "  --port N              ポート (8000)。0 は空いているポート。標準出力の `listening on http://HOST:PORT` "
    "の行で分かります\n"
    "  --port-file FILE      ポート番号を FILE にも書きます\n"
    "  --max-connections N   同時接続数 (16384)。超えた接続は受け付けを待ちます\n"
    "\n"
    "応答の内容\n"
    "  --answer TEXT         応答の文。プレースホルダーが使えます (echo[{{model}}]: {{last_user}})\n"
    "  --answer-file FILE    同じものをファイルから読みます\n"
    "  --answer-tokens N     応答を N トークン以上にします (4 文字を 1 トークンと数えます)。\n"
    "                        lognormal:MEDIAN:SIGMA で長さがばらつきます\n"
    "  --rules FILE          台本による応答 (下記)。どの規則にも合わないものには上の応答を返します\n"
    "  --models A,B          /v1/models に並べる ID (mock)。どのモデル名にも応答します\n"
    "\n"
    "時間\n"
    "  --latency-ms N        応答までのミリ秒 (0)\n"
    "  --latency lognormal:MEDIAN_MS:SIGMA   実際のサーバーのようにばらつく遅延\n"
    "  --ms-per-token N      応答 1 トークンごとに加えるミリ秒 (0)\n"
    "  --max-running N       同時に処理する数 (無制限)。超えたものは待ち行列に入ります\n"
    "  --max-queue N         待ち行列の長さ (無制限)。超えたものは 503 で断ります\n"
    "\n"
    "障害の注入\n"
    "  --fail NAME=RATE,...  全リクエストに対する割合で障害を起こします。ステータス (429=0.05, 500=0.01, "
    "...)、\n"
    "                        reset (接続リセット)、hang (応答しない)、slow (本文が少しずつ届く)、malformed "
    "(途中で切れた\n"
    "                        JSON)、empty (空の応答)。429 と 503 は直ちに、ほかは遅延のあとに起こります\n"
    "  --retry-after S       注入した 429 と 503 に付ける Retry-After ヘッダー (秒)\n"
    "  --slow-ms N           slow の本文にかける時間 (5000)\n"
    "  --seed N              障害、遅延、長さのシード (0)\n"
    "\n"
    "その他\n"
    "  --log FILE            チャットのリクエストを 1 件 1 行の JSON で追記します: n, path, headers, body\n"
    "  --quiet               終了時のまとめを出しません\n"
    "  --help, --help.ja     この説明 (英語、日本語)\n"
    "\n"
    "規則ファイルはリストです (JSON または YAML)。条件に合い、回数が残っている最初の規則が応答します。\n"
    "  match: {model, contains (文字列かリスト), regex, system_contains}   すべて省略可。最後の user "
    "メッセージを調べます\n"
    "  reply: 文字列か任意の JSON 値                    times: 使える回数     status: 200       headers: "
    "{..}\n"
    "  delay_ms: N    body: JSON 応答の全体             raw_body: 応答全体の文字列\n"
    "  reset: true    content_null: true                usage: {..}           finish_reason: stop\n"
    "応答、reply、raw_body のプレースホルダー: {{last_user}} {{system}} {{model}} {{nth}} "
    "(この規則が使われた回数)\n"
    "{{json:messages.0.content}} (リクエスト内の場所)。\n"
    "\n"
    "終了コード: 0 シグナルで終了、2 フラグやファイルの誤り、3 待ち受けできない。\n";

const char *mock_help_text(bool japanese) { return japanese ? HELP_JA : HELP; }
