/* test_columns.c - names that are no columns of the input. */
#include "actors/verbs/columns.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "actors/verbs/prepare.h"
#include "core/base/json.h"

static const char HEAD[] = "models: [{name: m, api_model: m, base_url: \"http://127.0.0.1:1\"}]\n"
                           "images: [{name: logo, url: \"http://x/y.png\"}]\n";

static void each(void *arg, const columns_finding_t *f) {
    buf_addf(arg, "%s%s -> %s\n", f->partly ? "partly: " : "", f->text, f->advice);
}

/* What is found about one prompt, one finding a line; partly ones begin with "partly: ". */
static char *judged(const char *prompt, const char *const *rows, row_options_t *options) {
    buf_t yaml, problems, out;
    buf_init(&yaml, 1 << 16);
    buf_init(&problems, 1 << 16);
    buf_addf(&yaml,
             "%sblocks: [{type: ai, exec: 1, id: ask, model: m, prompts: ['%s'], outputs: [Answer]}]\n", HEAD,
             prompt);
    pipeline_t *p = prepare_pipeline_quietly("p.yaml", &yaml, (prepare_how_t){0}, &problems, NULL);
    cr_assert_not_null(p, "%s", problems.data);
    columns_t *c = columns_new(p, yaml.data, yaml.len, options);
    for (; *rows; rows++) {
        value_t row;
        cr_assert_eq(json_parse_text(*rows, strlen(*rows), &row, NULL), 0, "%s", *rows);
        columns_add(c, row);
    }
    buf_init(&out, 1 << 16);
    buf_adds(&out, "");
    columns_judge(c, each, &out);
    columns_destroy(&c);
    pipeline_destroy(&p);
    buf_free(&yaml);
    buf_free(&problems);
    return buf_take(&out, NULL);
}

static void expect(const char *prompt, const char *row, const char *want) {
    row_options_t options = {0};
    const char *const rows[] = {"{\"topic\": \"x\", \"user\": {\"name\": \"n\"}, \"tags\": [1]}", row, NULL};
    char *got = judged(prompt, rows, &options);
    cr_assert_str_eq(got, want, "of %s\ngot:  %s\nwant: %s", prompt, got, want);
    free(got);
}

#define NO_COLUMN(name) \
    "{" name "} of 'ask' is no column of the first 2 rows, and nothing in the pipeline supplies it -> "

Test(columns, names_that_are_there) {
    expect("{topic} {user.name} {tags[0]} {Answer} {logo.img} {img1.img} {rare}",
           "{\"topic\": null, \"user\": {\"name\": 1}, \"tags\": [2], \"img1\": {}, \"rare\": 1}",
           "partly: {rare} of 'ask': 1 of the first 2 rows has no such column -> it is empty there\n"
           "partly: {img1} of 'ask': 1 of the first 2 rows has no such column -> it is empty there\n");
}

Test(columns, names_that_are_missing) {
    const char *same =
        "{\"topic\": 1, \"user\": {\"name\": 1}, \"tags\": [1], \" lead\": 1, \"Question Text\": 1, "
        "\"price ($)\": 1, \"a:b\": 1, \"pic\": {}}";
    expect("{topc}", same,
           NO_COLUMN("topc") "did you mean {topic}? Or rename a column with --mapping COLUMN:topc\n");
    expect("{Answr}", same,
           NO_COLUMN("Answr") "did you mean {Answer}? Or rename a column with --mapping COLUMN:Answr\n");
    expect("{nothing}", same,
           NO_COLUMN("nothing") "correct the name, or rename a column with --mapping COLUMN:nothing\n");
    expect("{lead}", same,
           NO_COLUMN("lead") "is the column \" lead\" meant? --mapping \" lead:lead\" renames it\n");
    expect("{pik.img}", same,
           NO_COLUMN("pik.img") "did you mean {pic.img}? Or rename a column with --mapping COLUMN:pik\n");
    expect("{user.nmae}", same,
           "{user.nmae} of 'ask': the column 'user' has no 'nmae' in the first 2 rows -> correct the name\n");
}

Test(columns, names_that_stay_as_written) {
    const char *same =
        "{\"topic\": 1, \"Question Text\": 1, \"price ($)\": 1, \"a:b c\": 1, \"Topic 1/2\": 1}";
    expect(
        "{Question Text}", same,
        "{Question Text} of 'ask' stays as written, although a column has this name -> --mapping \"Question "
        "Text:question\" renames the column, then write {question}\n");
    expect("{price ($)}", same,
           "{price ($)} of 'ask' stays as written, although a column has this name -> --mapping \"price "
           "($):price\" renames the column, then write {price}\n");
    expect("{Topic 1/2}", same,
           "{Topic 1/2} of 'ask' stays as written, although a column has this name -> --mapping \"Topic "
           "1/2:topic_1_2\" renames the column, then write {topic_1_2}\n");
    expect("{a:b c}", same,
           "{a:b c} of 'ask' stays as written, although a column has this name -> rename the column in the "
           "input: a "
           "placeholder has letters, digits and _ . - only\n");
    expect("{ topic }", same,
           "{ topic } of 'ask' stays as written -> write {topic}: a placeholder has no blanks\n");
    expect("{some prose} {\"json\": 1} {x, y}", same, "");
}

Test(columns, after_mapping) {
    job_options_t job;
    job_options_init(&job);
    job_options_map(&job, "Question Text", "question");
    const char *const rows[] = {"{\"Question Text\": 1}", NULL};
    char *got = judged("{question} {Question Text}", rows, &job.row);
    cr_assert_str_eq(got, "", "%s", got);
    free(got);
    job_options_map(&job, "n", "number");
    const char *const more[] = {"{\"n\": 1}", NULL};
    got = judged("{n}", more, &job.row);
    cr_assert(strstr(got, "--mapping renames it: write {number}"), "%s", got);
    free(got);
    job_options_free(&job);
}

Test(columns, without_rows_nothing_is_wrong) {
    row_options_t options = {0};
    const char *const rows[] = {"[1]", "3", NULL};
    char *got = judged("{nothing}", rows, &options);
    cr_assert_str_eq(got, "");
    free(got);
}
