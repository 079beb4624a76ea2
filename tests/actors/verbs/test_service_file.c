/* test_service_file.c - the YAML file of --config: its keys, what is refused and where, and that flags win.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/verbs/flags.h"
#include "actors/verbs/limits.h"
#include "actors/verbs/options.h"
#include "actors/verbs/service_file.h"

/* ---- helpers */

static service_file_t *parse(const char *text, diags_t *problems) {
    diags_init(problems, "f.yaml", text, strlen(text));
    return service_file_parse(text, strlen(text), problems);
}

static service_file_t *good(const char *text) {
    diags_t problems;
    service_file_t *file = parse(text, &problems);
    cr_assert(file, "%s: %s", text, problems.count ? problems.items[0].message : "?");
    diags_free(&problems);
    return file;
}

static void bad(const char *text, const char *said) {
    diags_t problems;
    buf_t shown;
    service_file_t *file = parse(text, &problems);
    cr_assert_null(file, "%s", text);
    buf_init(&shown, 65536);
    diags_write(&problems, DIAG_ERROR, &shown);
    cr_assert(strstr(shown.data, said), "'%s' is missing in: %s", said, shown.data);
    buf_free(&shown);
    diags_free(&problems);
}

/* A temporary file; the caller unlinks and frees. */
static char *file_with(const char *text) {
    char *path = xstrdup("/tmp/sdg-service-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

/* Without the # that makes settings comments: "#  limit: 2G". */
static char *uncommented(const char *text) {
    char *copy = xstrdup(text), *to = copy;
    for (const char *c = text; *c; c++) {
        bool begins = c == text || c[-1] == '\n';
        if (begins && *c == '#' && (c[1] != ' ' || c[2] == ' ')) continue;
        *to++ = *c;
    }
    *to = '\0';
    return copy;
}

/* ---- values */

Test(service_file, one_value) {
    service_file_t *file = good("listen: tcp://127.0.0.1:6000\n");
    cr_assert_str_eq(service_file_text(file, "listen"), "tcp://127.0.0.1:6000");
    cr_assert_null(service_file_text(file, "connect"));
    cr_assert_null(service_file_text(file, "no.such.key"));
    service_file_close(&file);
    cr_assert_null(file);
}

Test(service_file, every_kind_of_value) {
    service_file_t *file = good("python: {hosts: 3, allow: yes}\nmemory:\n  limit: 2 GiB\n  spill_dir: /x\n");
    cr_assert_str_eq(service_file_text(file, "python.hosts"), "3");
    cr_assert_str_eq(service_file_text(file, "python.allow"), "true");
    cr_assert_str_eq(service_file_text(file, "memory.limit"), "2 GiB");
    cr_assert_str_eq(service_file_text(file, "memory.spill_dir"), "/x");
    service_file_close(&file);
}

Test(service_file, a_value_is_read_as_its_flag_is) {
    service_file_t *file = good("concurrency:\n  max: 010\npython: {allow: True}\n");
    cr_assert_str_eq(service_file_text(file, "concurrency.max"), "010"); /* ten, as --max-concurrent 010 */
    cr_assert_str_eq(service_file_text(file, "python.allow"), "true");
    service_file_close(&file);
}

Test(service_file, nothing_is_a_file_without_keys) {
    for (const char *const *text = (const char *const[]){"", "\n", "# only a comment\n", NULL}; *text;
         text++) {
        service_file_t *file = good(*text);
        cr_assert_null(service_file_text(file, "listen"));
        service_file_close(&file);
    }
}

/* ---- refusals, with their places */

Test(service_file, refusals_say_where_and_what) {
    bad("lisen: x\n", "f.yaml:1:1: error: lisen: there is no such key, did you mean 'listen'?");
    bad("memory:\n  limt: 2G\n",
        "f.yaml:2:3: error: memory.limt: there is no such key, did you mean 'limit'?");
    bad("quotas: 3\n", "there is no such key; expected one of listen, connect,");
    bad("listen: ipc://a\n\nlisen: x\n",
        "f.yaml:3:1: error: lisen: there is no such key, did you mean 'listen'?");
    bad("python:\n  hosts: 2\nquotas: 3\n",
        "f.yaml:3:1: error: quotas: there is no such key; expected one of");
    bad("python:\n  hosts: 2\n  host: 3\n", "f.yaml:3:3: error: python.host: there is no such key");
    bad("python: {hosts: 2, 'host': 3}\n", "f.yaml:1:20: error: python.host: there is no such key");
    bad("? \"\"\n: 1\n", "f.yaml:1:3: error: there is no such key");
    bad("memory: {}\n1: 3\n", "f.yaml:2:1: error: 1: there is no such key");
    bad("memory:\n  limit: 1M\n", "f.yaml:2:10: error: memory.limit: must be at least 16M, not '1M'");
    bad("memory: {limit: big}\n",
        "f.yaml:1:17: error: memory.limit: takes a size such as 256M or 2G, not 'big'");
    bad("concurrency:\n  max: 0\n", "f.yaml:2:8: error: concurrency.max: must be at least 1");
    bad("concurrency:\n  max: many\n",
        "f.yaml:2:8: error: concurrency.max: takes a whole number, not 'many'");
    bad("concurrency:\n  max: -1\n", "takes a whole number, not '-1'");
    bad("python: {allow: maybe}\n", "f.yaml:1:17: error: python.allow: expected true or false, not maybe");
    bad("concurrency: {max: [1]}\n",
        "f.yaml:1:20: error: concurrency.max: expected a whole number, not a list");
    for (const char *const *number = (const char *const[]){"1.5", "1_000", "0x10", "8 rows", NULL}; *number;
         number++) { /* libcyaml would take some of them for another number, silently */
        char *text = xasprintf("concurrency:\n  max: %s\n", *number);
        bad(text, "f.yaml:2:8: error: concurrency.max: takes a whole number, not '");
        free(text);
    }
    bad("concurrency:\n  max: 99999999999999999999\n", "takes a whole number, not '9999");
    bad("python: 3\n", "python: expected a map with keys of hosts, allow, not a single value");
    bad("listen: [a]\n", "f.yaml:1:9: error: listen: expected text, not a list");
    bad("listen:\n", "listen: expected text, not an empty value");
    bad("memory:\n", "memory: expected a map with keys of contexts, limit, spill_dir, not an empty value");
    bad("python:\n  allow:\n", "python.allow: expected true or false, not an empty value");
    bad("- a\n", "f.yaml:1:1: error: expected a map with keys of listen, connect,");
    bad("listen: tcp://10.0.0.1:3\n", "f.yaml:1:9: error: listen: tcp://10.0.0.1:3 is not on this machine");
    bad("listen: ipc://a\nlisten: ipc://b\n", "f.yaml:2:1: error: listen: is given twice");
    bad("memory:\n  limit: 20M\n  limit: 30M\n", "f.yaml:3:3: error: memory.limit: is given twice");
    bad("listen: &a ipc://a\nconnect: *a\n", "f.yaml:2:1: error: connect: aliases");
    bad("listen: \"ipc://a\n", "a quote is not closed");
    bad("listen: ipc://a\n---\nlisten: ipc://b\n", "f.yaml:2:1: error: a second document");
}

Test(service_file, all_wrong_values_are_told) {
    diags_t problems;
    cr_assert_null(parse("concurrency: {max: 0, workers: 0}\nmemory: {limit: 1}\n", &problems));
    cr_assert_eq(problems.errors, 3);
    diags_free(&problems);
}

Test(service_file, bounded) {
    char *large = xmalloc(SERVICE_FILE_BYTES_MAX + 2);
    memset(large, '#', SERVICE_FILE_BYTES_MAX + 1);
    large[SERVICE_FILE_BYTES_MAX + 1] = '\0';
    bad(large, "larger than");
    large[SERVICE_FILE_BYTES_MAX] = '\0';
    service_file_t *file = good(large);
    service_file_close(&file);
    free(large);
}

/* ---- the example */

Test(service_file, the_example_has_every_key_and_loads) {
    for (int japanese = 0; japanese < 2; japanese++) {
        buf_t page;
        buf_init(&page, PAGE_BYTES_MAX);
        service_file_example(japanese, &page);
        char *whole = uncommented(page.data);
        service_file_t *as_printed = good(page.data), *with_all = good(whole);
        for (size_t i = 0; i < flag_count; i++) {
            const char *key = flag_rows[i].key;
            if (!key) continue;
            cr_assert(service_file_text(with_all, key), "%s is not in the example", key);
            cr_assert(!flag_rows[i].sample_is_default || service_file_text(as_printed, key), "%s", key);
        }
        service_file_close(&as_printed);
        service_file_close(&with_all);
        free(whole);
        buf_free(&page);
    }
}

/* The values shown as defaults are those of the options. */
Test(service_file, the_example_changes_nothing) {
    buf_t page;
    buf_init(&page, PAGE_BYTES_MAX);
    service_file_example(false, &page);
    service_file_t *file = good(page.data);
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        const char *text = row->key ? service_file_text(file, row->key) : NULL;
        if (!text || strcmp(row->key, "memory.contexts") == 0) continue; /* its 0 means: as documented */
        for (size_t v = 0; v < verb_count; v++) {
            if (!(row->verbs & verb_rows[v].verb) || !row->size) continue;
            char *by_default = xcalloc(1, verb_rows[v].options_size),
                 *set = xcalloc(1, verb_rows[v].options_size);
            if (verb_rows[v].prepare) verb_rows[v].prepare(by_default);
            cr_assert_eq(flag_set(row, set, text, NULL), SDG_OK);
            if (row->kind == FLAG_TEXT)
                cr_assert_str_eq(*(char **)(set + row->place), *(char **)(by_default + row->place), "%s",
                                 row->key);
            else
                cr_assert_arr_eq(set + row->place, by_default + row->place, row->size, "%s", row->key);
            if (verb_rows[v].release) verb_rows[v].release(by_default);
            free(by_default);
            free(set);
        }
    }
    service_file_close(&file);
    buf_free(&page);
}

Test(service_file, rows_of_one_key_agree) {
    for (size_t i = 0; i < flag_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const flag_row_t *a = &flag_rows[i], *b = &flag_rows[j];
            if (!a->key || !b->key || strcmp(a->key, b->key) != 0) continue;
            cr_assert(a->kind == b->kind && a->min == b->min && a->max == b->max, "%s", a->key);
            cr_assert_not(a->sample, "%s: the first row has the sample", a->key);
        }
    }
}

/* ---- with a command line */

Test(service_file, flags_win_over_the_file) {
    char *path = file_with("concurrency: {max: 30, workers: 2}\nmemory: {limit: 1G}\nlisten: "
                           "ipc://x\nmetrics: {insecure: true}\n");
    const char *argv[] = {"run",      "--yaml", "p",        "--input", "i",
                          "--output", "o",      "--config", path,      "--max-concurrent-rows",
                          "4"};
    const verb_row_t *verb = verb_of(VERB_RUN);
    run_options_t o;
    err_t err;
    cr_assert_eq(flags_parse(verb, 11, (char **)argv, &o, &err), SDG_OK, "%s", err.text);
    cr_assert_eq(o.max_concurrent, 4);
    cr_assert_eq(o.workers, 2);
    cr_assert_eq(o.memory_limit, (uint64_t)1 << 30);
    cr_assert(o.insecure);
    flags_release(verb, &o);
    unlink(path);
    free(path);
}

Test(service_file, a_bad_file_ends_the_command_line) {
    char *path = file_with("listen: 1\nmemory: {limit: 1}\n");
    const char *argv[] = {"serve", "--config", path};
    const verb_row_t *verb = verb_of(VERB_SERVE);
    serve_options_t o;
    err_t err;
    cr_assert_eq(flags_parse(verb, 3, (char **)argv, &o, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, path) && strstr(err.text, ":1:9: listen: "), "%s", err.text);
    flags_release(verb, &o);
    unlink(path);
    cr_assert_eq(flags_parse(verb, 3, (char **)argv, &o, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "cannot open"), "%s", err.text);
    flags_release(verb, &o);
    free(path);
}
