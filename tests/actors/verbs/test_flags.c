/* test_flags.c - the command line, and the table of flags itself: what must hold for every row. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/link.h"
#include "actors/mock/mock_options.h"
#include "actors/verbs/flags.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"

/* ---- helpers */

enum { WORDS_MAX = 16 }; /* of one command line here */

typedef struct line {
    const verb_row_t *verb;
    void *options;
    int rc;
    err_t err;
} line_t;

/* Reads "sdg VERB words..."; words ends with NULL. */
static line_t read_line(verb_t verb, const char *const *words) {
    const char *argv[WORDS_MAX] = {verb_of(verb)->name};
    int argc = 1;
    while (*words)
        argv[argc++] = *words++;
    line_t line = {.verb = verb_of(verb)};
    line.options = xcalloc(1, line.verb->options_size);
    line.rc = flags_parse(line.verb, argc, (char **)argv, line.options, &line.err);
    return line;
}
#define LINE(verb, ...) read_line(verb, (const char *const[]){__VA_ARGS__, NULL})

static void line_free(line_t *line) {
    flags_release(line->verb, line->options);
    free(line->options);
}

/* A run with the flags it needs. */
#define RUN_LINE(...) LINE(VERB_RUN, "--yaml", "p", "--input", "i", "--output", "o", __VA_ARGS__)

static void expect_refused(line_t line, const char *const *said) {
    cr_assert_eq(line.rc, SDG_EINVAL);
    for (; *said; said++) {
        cr_assert(strstr(line.err.text, *said), "'%s' is missing in: %s", *said, line.err.text);
    }
    line_free(&line);
}
#define REFUSED(line, ...) expect_refused(line, (const char *const[]){__VA_ARGS__, NULL})

static bool is_japanese(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text >= 0xE3) return true;
    }
    return false;
}

/* A value that the row takes. */
static const char *good_value(const flag_row_t *row) {
    if (row->choices) return row->choices[0].name;
    if (strcmp(row->name, "mapping") == 0) return "a:b";
    if (strcmp(row->name, "allow-files") == 0) return "/";
    if (strcmp(row->name, "rate") == 0) return "1/s";
    if (strcmp(row->name, "fail") == 0) return "429=0.1";
    if (strcmp(row->name, "answer-file") == 0) return "/dev/null";
    if (row->check == link_check_endpoint || row->check == endpoint_or_url_check) return "tcp://127.0.0.1:1";
    if (row->check == url_check) return "http://127.0.0.1:1";
    if (row->check == host_port_check) return "127.0.0.1:0";
    return row->kind == FLAG_SIZE ? "2G" : "1";
}

/* ---- the smallest honest use */

Test(flags, one_line) {
    line_t line =
        LINE(VERB_RUN, "-y", "p.yaml", "-i", "in.jsonl", "-o", "out.jsonl", "--max-concurrent", "64", "-q");
    run_options_t *o = line.options;
    cr_assert_eq(line.rc, SDG_OK, "%s", line.err.text);
    cr_assert_str_eq(o->yaml, "p.yaml");
    cr_assert_str_eq(o->input, "in.jsonl");
    cr_assert_str_eq(o->output, "out.jsonl");
    cr_assert_eq(o->max_concurrent, 64);
    cr_assert(o->common.quiet && !o->common.verbose);
    cr_assert_eq(o->workers, 1, "what is not given has its default");
    line_free(&line);
}

Test(flags, every_way_to_write_a_value) {
    static const char *const ways[][3] = {
        {"-n", "5"}, {"-n5"}, {"--max-inputs", "5"}, {"--max-inputs=5"}, {"--max-i=5"}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        line_t line = RUN_LINE(ways[i][0], ways[i][1]);
        cr_assert_eq(line.rc, SDG_OK, "%s: %s", ways[i][0], line.err.text);
        cr_assert_eq(((run_options_t *)line.options)->max_inputs, 5);
        line_free(&line);
    }
    line_t line = RUN_LINE("-qv", "--spill-dir=", "--seed", "18446744073709551615");
    run_options_t *o = line.options;
    cr_assert(o->common.quiet && o->common.verbose);
    cr_assert_str_eq(o->spill_dir, "");
    cr_assert(o->job.row.seeded);
    cr_assert_eq(o->job.row.seed, UINT64_MAX);
    line_free(&line);
}

Test(flags, words_beside_flags) {
    line_t line = LINE(VERB_VALIDATE, "a.yaml", "--no-env", "b.yaml", "--", "--no-env");
    validate_options_t *o = line.options;
    cr_assert_eq(line.rc, SDG_OK);
    cr_assert_not(o->use_env);
    cr_assert_eq(o->common.word_count, 3);
    cr_assert_str_eq(o->common.words[1], "b.yaml");
    cr_assert_str_eq(o->common.words[2], "--no-env");
    line_free(&line);
    REFUSED(RUN_LINE("extra"), "unexpected word 'extra'");
    REFUSED(LINE(VERB_JOURNAL, "stat", "x"), "'stat'", "did you mean stats?");
    REFUSED(LINE(VERB_JOURNAL, "stats"), "stats|export FILE");
}

Test(flags, repeatable_values_add_up) {
    line_t line = RUN_LINE("--mapping", "a:b", "--mapping", "c:d");
    cr_assert_eq(line.rc, SDG_OK);
    cr_assert_eq(((run_options_t *)line.options)->job.row.mapping_count, 2);
    line_free(&line);
}

/* ---- refusals */

Test(flags, a_file_given_twice_is_refused) {
    REFUSED(RUN_LINE("--input", "j"), "--input is given twice", "'i' and 'j'");
    REFUSED(RUN_LINE("-o", "p"), "--output is given twice");
    REFUSED(LINE(VERB_WORKER, "--connect", "ipc://a", "--connect=ipc://b"), "--connect is given twice");
    line_t line = RUN_LINE("--input", "i", "--ordered", "--ordered");
    cr_assert_eq(line.rc, SDG_OK, "the same twice is no contradiction: %s", line.err.text);
    line_free(&line);
}

Test(flags, of_a_setting_the_last_one_counts) {
    line_t line =
        RUN_LINE("--max-concurrent", "4", "--max-concurrent-rows", "5", "--http2", "--no-http2", "--seed=1");
    run_options_t *o = line.options;
    cr_assert_eq(line.rc, SDG_OK, "%s", line.err.text);
    cr_assert_eq(o->max_concurrent, 5);
    cr_assert_not(o->job.http2);
    line_free(&line);
}

Test(flags, the_nearest_is_told) {
    REFUSED(RUN_LINE("--ouput", "x"), "--ouput", "did you mean --output?");
    REFUSED(RUN_LINE("--max-concurent=4"), "did you mean --max-concurrent?");
    REFUSED(RUN_LINE("--fsync", "allways"), "never, batch or always", "'allways'", "did you mean always?");
    REFUSED(RUN_LINE("--row", "1"), "--row", "sdg test-run");
    REFUSED(LINE(VERB_SERVE, "--quiet"), "sdg run or sdg test-run or ", "sdg serve does not");
    REFUSED(RUN_LINE("--nothing-like-it"), "unknown option --nothing-like-it");
    REFUSED(RUN_LINE("--m"), "unknown option --m: ", "?");
    cr_assert_str_eq(verb_nearest("stauts"), "status");
    cr_assert_str_eq(verb_nearest("mock"), "mock-llm");
    cr_assert_str_eq(verb_nearest("comp"), "completion");
    cr_assert_null(verb_nearest("s")); /* serve, submit or status */
    cr_assert_null(verb_nearest("frobnicate"));
}

Test(flags, a_forgotten_value_is_told) {
    REFUSED(LINE(VERB_RUN, "--yaml"), "--yaml takes a value");
    REFUSED(LINE(VERB_RUN, "-n"), "-n takes a value");
    REFUSED(LINE(VERB_RUN, "--output", "--overwrite"), "--output takes a value", "--overwrite is a flag");
    REFUSED(RUN_LINE("--ordered=yes"), "--ordered takes no value");
}

Test(flags, rules_between_flags) {
    REFUSED(LINE(VERB_RUN, "--yaml", "p", "--input", "i"), "--output is required");
    REFUSED(RUN_LINE("--overwrite", "--retry-failed"), "--overwrite");
    REFUSED(RUN_LINE("--journal", "--no-journal"), "which one?");
    REFUSED(LINE(VERB_CONFIG, "--example", "--check", "x"), "which one?");
    line_t line = LINE(VERB_RUN, "--help");
    cr_assert_eq(line.rc, SDG_OK, "nothing is demanded with --help");
    line_free(&line);
}

Test(flags, sizes) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"16M", 16 << 20},
                {"2G", UINT64_C(2) << 30},
                {"2 GiB", UINT64_C(2) << 30},
                {"64mb", 64 << 20},
                {"20000000", 20000000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        line_t line = RUN_LINE("--memory-limit", good[i].text);
        cr_assert_eq(((run_options_t *)line.options)->memory_limit, good[i].bytes, "%s", good[i].text);
        line_free(&line);
    }
    REFUSED(RUN_LINE("--memory-limit", "1M"), "--memory-limit must be at least 16M");
    for (const char *const *bad = (const char *const[]){"", "x", "-1G", "2Q", "2GiBs", "1e30", NULL}; *bad;
         bad++) {
        REFUSED(RUN_LINE("--memory-limit", *bad), "--memory-limit takes a size such as");
    }
}

Test(flags, durations) {
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90", 90000},     {"90s", 90000},    {"15m", 900000},
                {"24h", 86400000}, {"1.5h", 5400000}, {"0", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        line_t line = RUN_LINE("--give-up-after", good[i].text);
        cr_assert_eq(line.rc, SDG_OK, "%s", line.err.text);
        cr_assert_eq(((run_options_t *)line.options)->limits.give_up_ms, good[i].ms, "%s", good[i].text);
        line_free(&line);
    }
    for (const char *const *bad =
             (const char *const[]){"", "x", "-1", "5d", "5 m", "10ms", "1e30", "nan", "inf", NULL};
         *bad; bad++) {
        REFUSED(RUN_LINE("--give-up-after", *bad), "--give-up-after takes seconds, or a time such as");
    }
}

/* "--max-wait 5" would be --max-wait-ms, which has no effect. */
Test(flags, what_no_help_shows_has_to_be_written_in_full) {
    REFUSED(RUN_LINE("--max-wait", "5"), "unknown option --max-wait");
    line_t line = RUN_LINE("--max-wait-ms", "5");
    cr_assert_eq(line.rc, SDG_OK, "%s", line.err.text);
    line_free(&line);
}

/* ---- the language of the environment */

static bool japanese_with(const char *all, const char *messages, const char *lang) {
    const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"}, *const values[] = {all, messages, lang};
    for (int i = 0; i < 3; i++) {
        values[i] ? setenv(names[i], values[i], 1) : unsetenv(names[i]);
    }
    return flags_japanese_environment();
}

Test(flags, the_first_language_that_is_set_decides) {
    cr_assert(japanese_with(NULL, NULL, "ja_JP.UTF-8"));
    cr_assert(japanese_with("ja", "en_US", "en_US"));
    cr_assert(japanese_with("", "ja_JP", "en_US"));
    cr_assert_not(japanese_with("C", NULL, "ja_JP.UTF-8"));
    cr_assert_not(japanese_with(NULL, "en_US.UTF-8", "ja_JP.UTF-8"));
    cr_assert_not(japanese_with(NULL, NULL, "jam_JM"));
    cr_assert_not(japanese_with(NULL, NULL, NULL));
    japanese_with("ja", NULL, NULL);
    line_t line = RUN_LINE("--ui-locale", "en");
    cr_assert_not(((run_options_t *)line.options)->common.japanese);
    line_free(&line);
}

/* ---- every row */

Test(flags, names_and_letters_are_unique_for_each_verb) {
    for (size_t v = 0; v < verb_count; v++) {
        for (size_t i = 0; i < flag_count; i++) {
            for (size_t j = 0; j < i; j++) {
                const flag_row_t *a = &flag_rows[i], *b = &flag_rows[j];
                if (!flag_is_taken(a, verb_rows[v].verb) || !flag_is_taken(b, verb_rows[v].verb)) continue;
                cr_assert_str_neq(a->name, b->name, "sdg %s", verb_rows[v].name);
                cr_assert(!a->letter || a->letter != b->letter, "sdg %s: -%c", verb_rows[v].name, a->letter);
            }
        }
    }
}

Test(flags, every_row_is_whole) {
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        bool hidden = row->traits & FLAG_HIDDEN;
        size_t wanted = row->kind == FLAG_TEXT       ? sizeof(char *)
                        : row->kind == FLAG_REAL     ? sizeof(double)
                        : row->kind == FLAG_SIZE     ? sizeof(uint64_t)
                        : row->kind == FLAG_DURATION ? sizeof(uint64_t)
                        : row->kind == FLAG_CHOICE   ? sizeof(unsigned)
                        : flag_has_value(row)        ? row->size
                                                     : sizeof(bool);
        cr_assert(row->verbs, "--%s: somebody takes it", row->name);
        cr_assert(row->size == 0 || row->size == wanted, "--%s: its field is of another type", row->name);
        if (row->kind == FLAG_NUMBER)
            cr_assert(row->size == 0 || row->size == 4 || row->size == 8, "--%s: its field is no number",
                      row->name);
        cr_assert_eq(hidden, row->english == NULL, "--%s: a text, unless it is hidden", row->name);
        cr_assert(hidden || (row->japanese && is_japanese(row->japanese)) ||
                      strcmp(row->english, "HTTP/1.1 (the default)") == 0,
                  "--%s: a Japanese text", row->name);
        cr_assert(hidden || !is_japanese(row->english), "--%s: an English text", row->name);
        cr_assert_eq(row->unit != NULL, flag_has_value(row), "--%s: a unit, if it takes a value", row->name);
        cr_assert_eq(row->read != NULL, row->kind == FLAG_READ, "--%s", row->name);
        cr_assert_eq(row->choices != NULL, row->kind == FLAG_CHOICE, "--%s", row->name);
        cr_assert(row->max == 0 || row->max >= row->min, "--%s: bounds", row->name);
        cr_assert(!row->max || row->size != 4 || row->max <= UINT32_MAX, "--%s: its field cannot hold max",
                  row->name);
        size_t n = 0;
        while (row->choices && row->choices[n].name)
            n++;
        cr_assert_leq(n, FLAG_CHOICES_MAX, "--%s", row->name);
    }
}

/* Every flag of every verb is read, changes its field, and refuses what it must. */
Test(flags, every_row_does_what_it_says) {
    for (size_t v = 0; v < verb_count; v++) {
        for (size_t i = 0; i < flag_count; i++) {
            const flag_row_t *row = &flag_rows[i];
            if (!flag_is_taken(row, verb_rows[v].verb) || row->read == run_options_refuse_dataset) continue;
            char *word = xasprintf("--%s", row->name);
            const char *value = flag_has_value(row) ? good_value(row) : NULL;
            line_t fine = LINE(verb_rows[v].verb, "--help", word, value);
            cr_assert_eq(fine.rc, SDG_OK, "sdg %s %s: %s", verb_rows[v].name, word, fine.err.text);
            if (row->kind == FLAG_TEXT && row->size)
                cr_assert_str_eq(*(const char **)((char *)fine.options + row->place), value, "%s", word);
            if (row->kind == FLAG_SWITCH && row->size)
                cr_assert(*(bool *)((char *)fine.options + row->place), "%s", word);
            if (row->kind == FLAG_SWITCH_OFF)
                cr_assert_not(*(bool *)((char *)fine.options + row->place), "%s", word);
            line_free(&fine);
            if (row->kind == FLAG_NUMBER || row->kind == FLAG_REAL || row->kind == FLAG_SIZE ||
                row->kind == FLAG_CHOICE)
                REFUSED(LINE(verb_rows[v].verb, "--help", word, "nonsense"), word, "'nonsense'");
            if (row->kind == FLAG_NUMBER && row->min)
                REFUSED(LINE(verb_rows[v].verb, "--help", word, "0"), word, "must be at least");
            if (row->kind == FLAG_NUMBER && row->max)
                REFUSED(LINE(verb_rows[v].verb, "--help", word, "18446744073709551615"), word, "is at most");
            free(word);
        }
    }
}

Test(flags, every_verb_is_whole) {
    for (size_t v = 0; v < verb_count; v++) {
        const verb_row_t *verb = &verb_rows[v];
        const char *const both[][2] = {{verb->summary, verb->summary_japanese},
                                       {verb->about, verb->about_japanese},
                                       {verb->usage, verb->usage_japanese}};
        cr_assert_geq(verb->options_size, sizeof(common_options_t), "%s", verb->name);
        cr_assert_eq(verb_find(verb->name), verb);
        for (int i = 0; i < 3; i++) {
            cr_assert(both[i][0] && both[i][1], "%s", verb->name);
            cr_assert(i == 2 || is_japanese(both[i][1]), "%s: %s", verb->name, both[i][1]);
            cr_assert_not(is_japanese(both[i][0]), "%s: %s", verb->name, both[i][0]);
        }
        cr_assert_eq(verb->end != NULL, verb->end_japanese != NULL, "%s", verb->name);
    }
}

/* ---- pages made from the table */

static bool names_flag(const char *page, const char *name) {
    char *word = xasprintf("--%s", name);
    size_t len = strlen(word);
    bool found = false;
    for (const char *at = page; !found && (at = strstr(at, word)); at++) {
        found = !strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", at[len]) ||
                (at[len] == '.' && at[len + 1] != 'j');
    }
    free(word);
    return found;
}

Test(flags, help_shows_what_is_not_hidden) {
    for (size_t v = 0; v < verb_count; v++) {
        for (int japanese = 0; japanese < 2; japanese++) {
            buf_t page;
            buf_init(&page, PAGE_BYTES_MAX);
            flags_help(&verb_rows[v], japanese, &page);
            cr_assert_eq(is_japanese(page.data), japanese, "%s", verb_rows[v].name);
            for (size_t i = 0; i < flag_count; i++) {
                const flag_row_t *row = &flag_rows[i];
                if (flag_is_shown(row, verb_rows[v].verb))
                    cr_assert(names_flag(page.data, row->name), "sdg %s: --%s", verb_rows[v].name, row->name);
                if (row->traits & FLAG_NO_EFFECT)
                    cr_assert_not(names_flag(page.data, row->name), "sdg %s: --%s", verb_rows[v].name,
                                  row->name);
            }
            buf_free(&page);
        }
    }
}

Test(flags, man_page_and_completions_know_every_flag) {
    static const char *const shells[] = {"bash", "zsh", "fish"};
    buf_t pages[5];
    for (int p = 0; p < 5; p++) {
        buf_init(&pages[p], PAGE_BYTES_MAX);
        p < 2 ? flags_man(p == 1, &pages[p]) : flags_complete(shells[p - 2], &pages[p]);
        cr_assert_not(pages[p].full);
    }
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        if (row->traits & FLAG_HIDDEN) continue;
        buf_t roff;
        buf_init(&roff, ERR_TEXT_MAX);
        buf_adds(&roff, "\\-\\-");
        for (const char *c = row->name; *c; c++)
            buf_addf(&roff, *c == '-' ? "\\-" : "%c", *c);
        char *fish = xasprintf("-l %s ", row->name);
        cr_assert(strstr(pages[0].data, roff.data) && strstr(pages[1].data, roff.data), "man: --%s",
                  row->name);
        cr_assert(names_flag(pages[2].data, row->name), "bash: --%s", row->name);
        cr_assert(names_flag(pages[3].data, row->name), "zsh: --%s", row->name);
        cr_assert(strstr(pages[4].data, fish), "fish: --%s", row->name);
        free(fish);
        buf_free(&roff);
    }
    for (int p = 0; p < 5; p++)
        buf_free(&pages[p]);
}
