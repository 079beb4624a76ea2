/* auto_tune.c - see auto_tune.h. Every text exists in English and Japanese, side by side. */
#include "actors/verbs/auto_tune.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/base/words.h"

/* One flag that is on. */
typedef struct choice {
    const char *flag;
    uint64_t number;                /* its value; 0: it takes none */
    bool given;                     /* by the user */
    tune_reason_t by;               /* why this number */
    const char *english, *japanese; /* why the flag is on; NULL: `by` says it */
} choice_t;

enum { CHOICES_MAX = 7 }; /* settings that --auto-tune chooses */

static void add(choice_t *list, size_t *n, choice_t c) { list[(*n)++] = c; }

/* Lists the flags that are on with these settings, in the order of --help. */
static size_t choices(const run_options_t *o, const tune_t *t, choice_t *list) {
    size_t n = 0;
    if (t->scheduling || o->scheduling)
        add(list, &n,
            (choice_t){"--enable-scheduling", 0, o->scheduling, TUNE_BY_TABLE,
                       "reads ahead only as far as given below", "先読みを下記の範囲に限る"});
    if (t->max_pending || o->max_pending)
        add(list, &n,
            (choice_t){"--max-pending-tasks", o->max_pending ? o->max_pending : t->max_pending,
                       o->max_pending > 0, t->max_pending_by, NULL, NULL});
    if (t->chunk || o->chunk_size)
        add(list, &n,
            (choice_t){"--chunk-size", o->chunk_size ? o->chunk_size : t->chunk, o->chunk_size > 0,
                       t->chunk_by, NULL, NULL});
    if (t->memory_optimization || o->memory_optimization)
        add(list, &n,
            (choice_t){"--enable-memory-optimization", 0, o->memory_optimization, TUNE_BY_TABLE,
                       "contexts of waiting rows may leave memory",
                       "待機中の行のコンテキストをメモリの外に置ける"});
    if (t->cache || o->max_cache)
        add(list, &n,
            (choice_t){"--max-cache-size", o->max_cache ? o->max_cache : t->cache, o->max_cache > 0,
                       t->cache_by, NULL, NULL});
    if (t->memory_monitoring || o->memory_monitoring)
        add(list, &n,
            (choice_t){"--enable-memory-monitoring", 0, o->memory_monitoring, TUNE_BY_TABLE,
                       "a long run: warns when memory grows", "長い実行のため、メモリ増加を警告"});
    if (t->gc_interval || o->gc_interval)
        add(list, &n,
            (choice_t){"--gc-interval", o->gc_interval ? o->gc_interval : t->gc_interval, o->gc_interval > 0,
                       TUNE_BY_TABLE, NULL, NULL});
    return n;
}

static const char *reason_of(const choice_t *c, bool ja) {
    static const char *const reasons[][2] = {
        [TUNE_BY_TABLE] = {"as documented for this size", "この規模での標準値"},
        [TUNE_BY_CONCURRENCY] = {"for what runs at once, so that nothing waits for the reader",
                                 "同時実行数に合わせ、読み込み待ちをなくす"},
        [TUNE_BY_ROWS] = {"for the number of rows", "行数に合わせる"},
        [TUNE_BY_BYTES] = {"as much as may be in memory", "メモリに置ける量まで"},
        [TUNE_BY_PENDING] = {"20 to 50 % of --max-pending-tasks", "--max-pending-tasks の 20～50 %"},
        [TUNE_BY_USER] = {"as given", "指定どおり"},
    };
    if (c->given) return reasons[TUNE_BY_USER][ja];
    if (c->english) return ja ? c->japanese : c->english;
    return reasons[c->by][ja];
}

/* Rows of the run: at most --max-inputs, which is all that is known of a pipe; 0: not known. An empty file
 * counts as one row, so that it is small and not unknown. */
static uint64_t rows_of(const run_options_t *o, const survey_t *s) {
    bool unknown = s->rows == 0 && !s->exact;
    if (unknown) return o->max_inputs == UINT64_MAX ? 0 : o->max_inputs;
    uint64_t rows = s->rows < o->max_inputs ? s->rows : o->max_inputs;
    return rows ? rows : 1;
}

/* How many rows the input has, which size that is, and how large a row is. */
static void size_words(const run_options_t *o, const survey_t *s, const tune_t *t, buf_t *out) {
    bool ja = o->common.japanese;
    static const char *const names[][2] = {[TUNE_SMALL] = {"small", "小規模"},
                                           [TUNE_MEDIUM] = {"medium", "中規模"},
                                           [TUNE_LARGE] = {"large", "大規模"},
                                           [TUNE_UNKNOWN] = {"as for a large input", "大規模として扱う"}};
    if (t->size == TUNE_UNKNOWN) {
        buf_adds(out, ja ? "行数不明" : "rows unknown");
    } else {
        uint64_t rows = s->exact && s->rows == 0 ? 0 : rows_of(o, s);
        if (!s->exact && rows != o->max_inputs) buf_adds(out, ja ? "約 " : "about ");
        words_count(out, rows);
        buf_adds(out, ja ? " 行" : rows == 1 ? " row" : " rows");
    }
    buf_addf(out, ja ? "（%s）" : " (%s)", names[t->size][ja]);
    if (survey_average_bytes(s) == 0) return;
    buf_adds(out, ja ? "、1行約 " : ", about ");
    words_bytes(out, survey_average_bytes(s));
    if (!ja) buf_adds(out, " each");
}

/* What is on and why, one flag a line. */
void auto_tune_words(const run_options_t *o, const survey_t *s, const tune_t *t, buf_t *out) {
    choice_t list[CHOICES_MAX];
    size_t n = choices(o, t, list);
    char flag[64];
    buf_adds(out, "auto-tune: ");
    size_words(o, s, t, out);
    buf_addf(out,
             o->common.japanese ? "、同時実行 %" PRIu64 ":" : ", %" PRIu64 " at once:", o->max_concurrent);
    buf_adds(out, n == 0 ? (o->common.japanese ? " 既定の設定のままで十分です\n"
                                               : " the defaults are right, nothing is set\n")
                         : "\n");
    for (size_t i = 0; i < n; i++) {
        snprintf(flag, sizeof flag, list[i].number ? "%s %" PRIu64 : "%s", list[i].flag, list[i].number);
        buf_addf(out, "  %-32s %s\n", flag, reason_of(&list[i], o->common.japanese));
    }
}

void auto_tune_flags(const run_options_t *o, const tune_t *t, buf_t *out) {
    choice_t list[CHOICES_MAX];
    size_t n = choices(o, t, list);
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%s", out->len ? " " : "", list[i].flag);
        if (list[i].number) buf_addf(out, " %" PRIu64, list[i].number);
    }
}

tune_facts_t auto_tune_facts(const run_options_t *o, const survey_t *s) {
    return (tune_facts_t){.rows = rows_of(o, s),
                          .row_bytes = survey_average_bytes(s),
                          .concurrency = o->max_concurrent,
                          .max_pending = o->max_pending};
}

static void apply(run_options_t *o, const tune_t *t) {
    o->scheduling = o->scheduling || t->scheduling;
    o->memory_optimization = o->memory_optimization || t->memory_optimization;
    o->memory_monitoring = o->memory_monitoring || t->memory_monitoring;
    if (o->max_pending == 0) o->max_pending = t->max_pending;
    if (o->chunk_size == 0) o->chunk_size = t->chunk;
    if (o->max_cache == 0) o->max_cache = t->cache;
    if (o->gc_interval == 0) o->gc_interval = t->gc_interval;
}

void auto_tune(run_options_t *o) {
    survey_t survey;
    tune_t chosen;
    buf_t words;
    err_t err;
    if (survey_input(o->input, &o->form, NULL, NULL, &survey, &err) != SDG_OK) return;
    tune_facts_t facts = auto_tune_facts(o, &survey);
    tune_choose(&facts, &chosen);
    buf_init(&words, 4096);
    auto_tune_words(o, &survey, &chosen, &words);
    if (!o->common.quiet) fputs(words.data, stderr);
    buf_free(&words);
    apply(o, &chosen);
}
