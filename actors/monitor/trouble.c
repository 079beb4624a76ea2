/* trouble.c - see trouble.h. Texts exist in English and Japanese, side by side, so that one cannot be changed
 * without the other. */
#include "actors/monitor/trouble.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/words.h"

/* ---- what it is */

static bool is_quiet(const endpoint_report_t *r) {
    return r->answered_ms == ENDPOINT_NEVER || r->answered_ms >= TROUBLE_HANG_MS;
}

/* A trouble of the past does not matter once nobody asks the endpoint anything. */
static bool is_stuck(const endpoint_report_t *r) {
    if (r->trouble == LLM_CAUSE_NONE || r->trouble_ms > r->answered_ms) return false;
    return r->waiting > 0 || (r->in_flight > 0 && r->oldest_ms < TROUBLE_HANG_MS) ||
           r->trouble_ms <= TROUBLE_RECENT_MS;
}

trouble_kind_t trouble_kind(const endpoint_report_t *r) {
    if (r->state == ENDPOINT_FINAL) return TROUBLE_FINAL;
    if (r->refused > 0) return TROUBLE_REFUSED;
    if (r->state == ENDPOINT_CLOSED) return TROUBLE_CLOSED;
    if (is_stuck(r)) return TROUBLE_STUCK;
    if (r->in_flight > 0 && r->oldest_ms >= TROUBLE_HANG_MS && is_quiet(r)) return TROUBLE_HANG;
    if (r->trouble != LLM_CAUSE_NONE && r->trouble_ms <= TROUBLE_RECENT_MS) return TROUBLE_PASSING;
    return TROUBLE_NONE;
}

const char *trouble_kind_name(trouble_kind_t kind) {
    static const char *const names[] = {"none", "passing", "hang", "stuck", "closed", "refused", "final"};
    return names[kind];
}

const endpoint_report_t *trouble_worst(const endpoint_report_t *reports, size_t count) {
    const endpoint_report_t *worst = NULL;
    for (size_t i = 0; i < count; i++) {
        const endpoint_report_t *r = &reports[i];
        trouble_kind_t kind = trouble_kind(r), most = worst ? trouble_kind(worst) : TROUBLE_NONE;
        if (kind > most || (worst && kind == most && r->waiting > worst->waiting)) worst = r;
    }
    return worst;
}

/* ---- in words */

/* How much is said, from all to the least that still names the cause and the place. */
typedef enum detail { DETAIL_ALL, DETAIL_NO_TEXT, DETAIL_SHORT, DETAIL_LEAST } detail_t;

/* The status of "HTTP 429: slow down", 0 when the text does not begin so. *text becomes what comes after
 * that, or after the words that say no more than the cause does. */
static unsigned status_of(const char **text) {
    static const char failed[] = "connection failed: ";
    unsigned status;
    int read = 0;
    if (strncmp(*text, failed, sizeof failed - 1) == 0) *text += sizeof failed - 1;
    if (sscanf(*text, "HTTP %3u%n", &status, &read) != 1) return 0;
    *text += read;
    *text += strspn(*text, ": ");
    return status;
}

/* Scheme, host and port; where columns are few without the scheme. What is an address without a scheme is
 * shown as it is. */
static void add_place(const endpoint_report_t *r, detail_t detail, buf_t *out) {
    const char *slashes = strstr(r->address, "://"), *host = slashes ? slashes + 3 : r->address;
    const char *from = detail >= DETAIL_SHORT ? host : r->address;
    buf_add(out, from, (size_t)(host - from) + (slashes ? strcspn(host, "/?#") : strlen(host)));
}

/* "429 from http://gpu1:8000": what, and where. */
static void add_what(const endpoint_report_t *r, unsigned status, detail_t detail, bool ja, buf_t *out) {
    static const struct {
        const char *english, *japanese; /* the address stands for %s */
    } words[LLM_CAUSES] = {
        [LLM_CAUSE_RATE_LIMIT] = {"rate limit of %s", "%s のレート制限"},
        [LLM_CAUSE_OVERLOAD] = {"overload of %s", "%s の過負荷"},
        [LLM_CAUSE_SERVER] = {"server error from %s", "%s のサーバーエラー"},
        [LLM_CAUSE_TIMEOUT] = {"no answer in time from %s", "%s の応答がタイムアウト"},
        [LLM_CAUSE_CONNECTION] = {"no connection to %s", "%s に接続できません"},
        [LLM_CAUSE_MALFORMED] = {"no completion from %s", "%s の応答が不正"},
        [LLM_CAUSE_EMPTY] = {"empty answers from %s", "%s の応答が空"},
        [LLM_CAUSE_REFUSED] = {"refused by %s", "%s が拒否"},
        [LLM_CAUSE_QUOTA] = {"quota used up at %s", "%s の利用枠を超過"},
        [LLM_CAUSE_ENDPOINT] = {"%s cannot be used", "%s は使えません"},
        [LLM_CAUSE_DECLINED] = {"answers without text from %s", "%s の応答に本文なし"},
    };
    const char *form = ja ? words[r->trouble].japanese : words[r->trouble].english;
    const char *at = form ? strstr(form, "%s") : NULL;
    if (status && !ja) buf_addf(out, "%u from ", status);
    if (!status && at) buf_add(out, form, (size_t)(at - form));
    if (!status && !at) buf_addf(out, "%s: ", llm_cause_name(r->trouble));
    add_place(r, detail, out);
    if (status && ja) buf_addf(out, " から %u", status);
    if (!status && at) buf_adds(out, at + 2);
}

/* The length of the text without the address at its end, which is said before it. */
static size_t text_len(const endpoint_report_t *r, const char *text) {
    size_t len = strlen(text), address = strlen(r->address);
    bool named = address > 0 && len > address + 2 && strcmp(text + len - address, r->address) == 0 &&
                 memcmp(text + len - address - 2, ": ", 2) == 0;
    return named ? len - address - 2 : len;
}

static void add_cause(const endpoint_report_t *r, detail_t detail, bool ja, buf_t *out) {
    const char *text = r->trouble_text;
    unsigned status = status_of(&text);
    add_what(r, status, detail, ja, out);
    if (detail > DETAIL_ALL || !text[0]) return;
    buf_adds(out, ja ? "（\"" : " (\"");
    words_fit(out, text, text_len(r, text), UINT64_MAX);
    buf_adds(out, ja ? "\"）" : "\")");
}

void trouble_cause(const endpoint_report_t *r, bool japanese, buf_t *out) {
    if (r->trouble != LLM_CAUSE_NONE) add_cause(r, DETAIL_ALL, japanese, out);
}

/* "0/64 in flight, 64 wait" */
static void add_calls(const endpoint_report_t *r, const trouble_view_t *v, detail_t detail, buf_t *out) {
    bool ja = v->japanese;
    if (detail < DETAIL_SHORT || r->waiting == 0) {
        words_count(out, r->in_flight);
        if (v->calls_limit) buf_addc(out, '/');
        if (v->calls_limit) words_count(out, v->calls_limit);
        buf_adds(out, ja ? " 実行中" : " in flight");
        if (r->waiting) buf_adds(out, ja ? "、" : ", ");
    }
    if (r->waiting == 0) return;
    words_count(out, r->waiting);
    buf_adds(out, ja ? " 件待機" : words_choose(r->waiting, " waits", " wait"));
}

static void add_time_of_day(int64_t unix_ms, buf_t *out) {
    time_t at = (time_t)(unix_ms / 1000);
    struct tm local;
    localtime_r(&at, &local);
    buf_addf(out, "%02d:%02d:%02d", local.tm_hour, local.tm_min, local.tm_sec);
}

static void add_stuck(const endpoint_report_t *r, const trouble_view_t *v, detail_t detail, buf_t *out) {
    uint64_t ms = r->answered_ms == ENDPOINT_NEVER ? v->running_ms : r->answered_ms;
    add_calls(r, v, detail, out);
    if (r->waiting && detail < DETAIL_SHORT && ms >= 1000) {
        buf_addc(out, ' ');
        words_wait(out, ms);
    }
    buf_adds(out, ": ");
}

static void add_closed(const endpoint_report_t *r, const trouble_view_t *v, detail_t detail, buf_t *out) {
    if (detail < DETAIL_SHORT) {
        add_calls(r, v, detail, out);
        buf_adds(out, v->japanese ? "、" : ", ");
    }
    if (!v->japanese) buf_adds(out, "closed until ");
    add_time_of_day(v->unix_ms + (int64_t)r->reopens_ms, out);
    buf_adds(out, v->japanese ? " まで閉鎖: " : ": ");
}

static void add_refused(const endpoint_report_t *r, const trouble_view_t *v, buf_t *out) {
    bool in_a_row = r->refused_in_a_row > 1;
    words_count(out, in_a_row ? r->refused_in_a_row : r->refused);
    if (in_a_row)
        buf_adds(out, v->japanese ? " 回続けて拒否: " : " refused in a row: ");
    else
        buf_adds(out, v->japanese ? " 件拒否: " : " refused: ");
}

static void add_hang(const endpoint_report_t *r, const trouble_view_t *v, detail_t detail, buf_t *out) {
    bool ja = v->japanese, never = r->answered_ms == ENDPOINT_NEVER;
    if (never) {
        buf_adds(out, ja ? "まだ応答なし" : "no answer yet");
    } else {
        buf_adds(out, ja ? "応答なし " : "no answer for ");
        words_wait(out, r->answered_ms);
    }
    if (detail < DETAIL_LEAST) {
        buf_adds(out, ja ? "、最長 " : ", oldest ");
        words_wait(out, r->oldest_ms);
    }
    buf_adds(out, ja ? "、" : detail < DETAIL_LEAST ? ", from " : ": ");
    add_place(r, detail, out);
}

static void add_words(const endpoint_report_t *r, const trouble_view_t *v, detail_t detail, buf_t *out) {
    trouble_kind_t kind = trouble_kind(r);
    bool least = detail == DETAIL_LEAST;
    if (kind == TROUBLE_HANG) {
        add_hang(r, v, detail, out);
        return;
    }
    if (kind == TROUBLE_FINAL && !least) buf_adds(out, v->japanese ? "打ち切り: " : "given up: ");
    if (kind == TROUBLE_STUCK && !least) add_stuck(r, v, detail, out);
    if (kind == TROUBLE_CLOSED && !least) add_closed(r, v, detail, out);
    if (kind == TROUBLE_REFUSED && !least) add_refused(r, v, out);
    add_cause(r, detail, v->japanese, out);
    if (kind != TROUBLE_PASSING || least) return;
    if (!v->japanese) buf_addc(out, ' ');
    words_wait(out, r->trouble_ms);
    buf_adds(out, v->japanese ? "前" : " ago");
}

/* Of four ways to say it the first that fits; the last one is cut when even that does not. */
void trouble_words(const endpoint_report_t *r, const trouble_view_t *v, uint64_t columns, buf_t *out) {
    buf_t words;
    if (trouble_kind(r) == TROUBLE_NONE) return;
    buf_init(&words, TROUBLE_WORDS_BYTES);
    for (int detail = DETAIL_ALL; detail <= DETAIL_LEAST; detail++) {
        buf_reset(&words);
        add_words(r, v, (detail_t)detail, &words);
        if (words_columns(words.data, words.len) <= columns) break;
    }
    words_fit(out, words.data, words.len, columns);
    buf_free(&words);
}

/* ---- said once */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *b = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ b[i]) * UINT64_C(0x100000001B3); /* FNV-1a */
    }
    return hash;
}

/* What changes from moment to moment is no part of it: ages, numbers in the server's words, and whether
 * somebody was answered since. */
static uint64_t hash_of(const endpoint_report_t *r) {
    trouble_kind_t kind = trouble_kind(r);
    if (kind == TROUBLE_PASSING) kind = TROUBLE_STUCK;
    uint64_t hash = mix(UINT64_C(0xCBF29CE484222325), &r->endpoint, sizeof r->endpoint);
    hash = mix(hash, &kind, sizeof kind);
    if (kind == TROUBLE_HANG) return hash;
    hash = mix(hash, &r->trouble, sizeof r->trouble);
    for (const char *c = r->trouble_text; *c; c++) {
        if (*c < '0' || *c > '9') hash = mix(hash, c, 1);
    }
    return hash;
}

bool trouble_is_new(trouble_log_t *log, const endpoint_report_t *r, uint64_t now) {
    uint64_t hash = hash_of(r);
    size_t oldest = 0;
    for (size_t i = 0; i < TROUBLES_SAID_MAX; i++) {
        if (log->said[i].hash == hash && log->said[i].said_ns &&
            now - log->said[i].said_ns < TROUBLE_AGAIN_NS)
            return false;
        if (log->said[i].hash == hash) oldest = i;
        if (log->said[oldest].hash != hash && log->said[i].said_ns < log->said[oldest].said_ns) oldest = i;
    }
    log->said[oldest].hash = hash;
    log->said[oldest].said_ns = now ? now : 1;
    return true;
}
