/* columns.c - see columns.h. */
#include "actors/verbs/columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actors/verbs/limits.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/data/limits.h"
#include "core/data/reader.h"
#include "core/mabel/text/template.h"
#include "core/mabel/yaml/limits.h"

struct columns {
    const row_options_t *options;
    mentions_t mentions;
    dotted_t *names;  /* of each mention */
    uint64_t *found;  /* rows of the sample that have it */
    bool *supplied;   /* the pipeline supplies it */
    value_t supplies; /* object: names that the pipeline supplies -> null */
    value_t columns;  /* object: column of some row, after --mapping -> null */
    bool *renamed;    /* by mapping: some row had the column */
    uint64_t rows;
};

/* ---- what is looked for */

static bool is_image(const pipeline_t *p, const char *name) {
    for (size_t i = 0; i < p->image_count; i++)
        if (strcmp(p->images[i].name->data, name) == 0) return true;
    return false;
}

columns_t *columns_new(const pipeline_t *p, const char *yaml, size_t len, const row_options_t *row) {
    columns_t *c = xcalloc(1, sizeof *c);
    c->options = row;
    mentions_find(p, yaml, len, &c->mentions, &c->supplies);
    c->columns = value_object(16);
    c->names = xcalloc(c->mentions.count + 1, sizeof *c->names);
    c->found = xcalloc(c->mentions.count + 1, sizeof *c->found);
    c->supplied = xcalloc(c->mentions.count + 1, sizeof *c->supplied);
    c->renamed = xcalloc(row->mapping_count + 1, sizeof *c->renamed);
    for (size_t i = 0; i < c->mentions.count; i++) {
        const mention_t *m = &c->mentions.items[i];
        dotted_init(&c->names[i], m->name, strlen(m->name));
        c->supplied[i] = m->kind != MENTION_TEXT && (mentions_have(c->supplies, m->name) ||
                                                     (m->kind == MENTION_IMAGE && is_image(p, m->name)));
    }
    return c;
}

void columns_destroy(columns_t **columns) {
    columns_t *c = *columns;
    if (!c) return;
    *columns = NULL;
    for (size_t i = 0; i < c->mentions.count; i++)
        dotted_free(&c->names[i]);
    mentions_free(&c->mentions);
    value_free(c->supplies);
    value_free(c->columns);
    free(c->names);
    free(c->found);
    free(c->supplied);
    free(c->renamed);
    free(c);
}

/* ---- the sample */

/* Renames columns as --mapping does in a row: in the order given. */
static void map_columns(columns_t *c, value_t *row) {
    const row_options_t *o = c->options;
    for (size_t i = 0; i < o->mapping_count; i++) {
        const char *from = o->mapping[i].from;
        bool found;
        value_t v = object_get_peek(*row, from, strlen(from), &found);
        if (!found) continue;
        c->renamed[i] = true;
        v = value_ref(v);
        object_remove(row, from, strlen(from));
        object_set_text(row, o->mapping[i].to, v);
    }
}

static void note_columns(columns_t *c, value_t row) {
    for (size_t i = 0; i < object_count(row) && object_count(c->columns) < CSV_COLUMNS_MAX; i++) {
        bool found;
        object_get_str_peek(c->columns, object_key_peek(row, i), &found);
        if (!found) object_set(&c->columns, object_key_peek(row, i), value_null());
    }
}

void columns_add(columns_t *c, value_t take) {
    if (take.kind == VALUE_OBJECT) {
        map_columns(c, &take);
        scope_t scope = {.context = &take};
        c->rows++;
        note_columns(c, take);
        for (size_t i = 0; i < c->mentions.count; i++)
            c->found[i] += dotted_find(&c->names[i], &scope, scope_find_in_context) != NULL;
    }
    value_free(take);
}

uint64_t columns_rows(const columns_t *c) { return c->rows; }
size_t columns_count(const columns_t *c) { return object_count(c->columns); }

size_t columns_in_use(const columns_t *c) {
    size_t used = 0;
    for (size_t i = 0; i < c->mentions.count; i++)
        used += c->mentions.items[i].prompt && c->mentions.items[i].kind != MENTION_TEXT &&
                c->found[i] == c->rows;
    return used;
}

/* ---- findings */

/* May this stand in a placeholder? */
static bool is_placeholder(const char *name) {
    char *whole = xasprintf("{%s}", name);
    template_t *t = template_compile(whole, strlen(whole));
    bool yes = template_is_whole(t);
    template_destroy(&t);
    free(whole);
    return yes;
}

static const char *nearest(const columns_t *c, const char *name) {
    size_t columns = object_count(c->columns), others = object_count(c->supplies);
    const char **names = xcalloc(columns + others + 1, sizeof *names);
    for (size_t i = 0; i < columns; i++)
        names[i] = object_key_peek(c->columns, i)->data;
    for (size_t i = 0; i < others; i++)
        names[columns + i] = object_key_peek(c->supplies, i)->data;
    const char *found = diag_nearest(name, names, columns + others);
    free(names);
    return found;
}

static bool has_column(const columns_t *c, const char *name, size_t len) {
    bool found;
    object_get_peek(c->columns, name, len, &found);
    return found;
}

/* The letters and digits of the first `words` words of a column, in small letters. */
static void write_words(const char *column, size_t words, buf_t *out) {
    bool gap = false;
    for (; *column; column++) {
        bool capital = *column >= 'A' && *column <= 'Z';
        bool fine = capital || (*column >= 'a' && *column <= 'z') || (*column >= '0' && *column <= '9') ||
                    (unsigned char)*column >= 0x80;
        if (fine && gap && out->len && --words == 0) return;
        if (fine && gap && out->len) buf_addc(out, '_');
        if (fine) buf_addc(out, capital ? (char)(*column | 0x20) : *column);
        gap = !fine;
    }
}

/* A name for a column whose own name is no placeholder, "Question Text" -> "question": its first word, or all
 * of them when that is taken. */
static void write_better_name(const columns_t *c, const char *column, buf_t *out) {
    for (size_t words = 1; words; words = words == 1 ? SIZE_MAX : 0) {
        buf_reset(out);
        write_words(column, words, out);
        if (out->len && is_placeholder(out->data) && !has_column(c, out->data, out->len) &&
            !mentions_have(c->supplies, out->data))
            return;
    }
    buf_reset(out);
    buf_adds(out, "column");
}

/* A column is called exactly as what stands between braces that are no placeholder, or nearly. False:
 * neither. */
static bool judge_text(const columns_t *c, const mention_t *m, buf_t *text, buf_t *advice) {
    const char *inner = m->name;
    size_t len = strlen(inner);
    if (has_column(c, inner, len)) {
        buf_t better;
        buf_init(&better, 1024);
        write_better_name(c, inner, &better);
        buf_addf(text, "{%s} of '%s' stays as written, although a column has this name", inner, m->block);
        if (strchr(inner, ':'))
            buf_addf(advice,
                     "rename the column in the input: a placeholder has letters, digits and _ . - only");
        else
            buf_addf(advice, "--mapping \"%s:%s\" renames the column, then write {%s}", inner, better.data,
                     better.data);
        buf_free(&better);
        return true;
    }
    text_trim(&inner, &len);
    if (len == strlen(m->name)) return false;
    char *name = xstrndup(inner, len);
    bool known = is_placeholder(name) && (has_column(c, name, len) || mentions_have(c->supplies, name));
    if (known) {
        buf_addf(text, "{%s} of '%s' stays as written", m->name, m->block);
        buf_addf(advice, "write {%s}: a placeholder has no blanks", name);
    }
    free(name);
    return known;
}

static void judge_partly(const columns_t *c, const mention_t *m, uint64_t found, buf_t *text, buf_t *advice) {
    buf_addf(text, "{%s} of '%s': %" PRIu64 " of the first %" PRIu64 " rows ha%s no such column", m->name,
             m->block, c->rows - found, c->rows, c->rows - found == 1 ? "s" : "ve");
    buf_addf(advice, "it is empty there");
}

/* "row" or "1000 rows", behind "the first". */
static void rows_add(buf_t *text, uint64_t rows) {
    if (rows == 1)
        buf_adds(text, "row");
    else
        buf_addf(text, "%" PRIu64 " rows", rows);
}

/* "{user.nmae}": the column is there, and what is looked for inside it is not. */
static bool judge_inside(const columns_t *c, const mention_t *m, buf_t *text, buf_t *advice) {
    size_t root = strcspn(m->name, ".[");
    if (!m->name[root] || !has_column(c, m->name, root)) return false;
    buf_addf(text, "{%s} of '%s': the column '%.*s' has no '%s' in the first ", m->name, m->block, (int)root,
             m->name, m->name + root + (m->name[root] == '.'));
    rows_add(text, c->rows);
    buf_addf(advice, "correct the name");
    return true;
}

/* The name that --mapping gave to a column of this name; NULL: none. */
static const char *renamed_to(const columns_t *c, const char *name) {
    for (size_t i = 0; i < c->options->mapping_count; i++)
        if (strcmp(c->options->mapping[i].from, name) == 0 &&
            has_column(c, c->options->mapping[i].to, strlen(c->options->mapping[i].to)))
            return c->options->mapping[i].to;
    return NULL;
}

static void judge_missing(const columns_t *c, const mention_t *m, buf_t *text, buf_t *advice) {
    const char *near = nearest(c, m->name), *img = m->kind == MENTION_IMAGE ? ".img" : "";
    if (judge_inside(c, m, text, advice)) return;
    buf_addf(text, "{%s%s} of '%s' is no column of the first ", m->name, img, m->block);
    rows_add(text, c->rows);
    buf_adds(text, ", and nothing in the pipeline supplies it");
    if (renamed_to(c, m->name))
        buf_addf(advice, "--mapping renames it: write {%s%s}", renamed_to(c, m->name), img);
    else if (near && is_placeholder(near))
        buf_addf(advice, "did you mean {%s%s}? Or rename a column with --mapping COLUMN:%s", near, img,
                 m->name);
    else if (near && !strchr(near, ':'))
        buf_addf(advice, "is the column \"%s\" meant? --mapping \"%s:%s\" renames it", near, near, m->name);
    else
        buf_addf(advice, "correct the name, or rename a column with --mapping COLUMN:%s", m->name);
}

/* Writes what is to be said about a mention; false: nothing. */
static bool judge_one(const columns_t *c, size_t i, buf_t *text, buf_t *advice) {
    const mention_t *m = &c->mentions.items[i];
    if (m->kind == MENTION_TEXT) return judge_text(c, m, text, advice);
    if (c->supplied[i] || c->found[i] == c->rows) return false;
    if (c->found[i])
        judge_partly(c, m, c->found[i], text, advice);
    else
        judge_missing(c, m, text, advice);
    return true;
}

static size_t judge_class(const columns_t *c, bool prompts, columns_each_fn *each, void *arg) {
    size_t said = 0;
    for (size_t i = 0; i < c->mentions.count; i++) {
        buf_t text, advice;
        if (c->mentions.items[i].prompt != prompts) continue;
        buf_init(&text, DIAG_MESSAGE_BYTES_MAX);
        buf_init(&advice, DIAG_MESSAGE_BYTES_MAX);
        if (judge_one(c, i, &text, &advice)) {
            columns_finding_t finding = {.mention = &c->mentions.items[i],
                                         .partly =
                                             c->mentions.items[i].kind != MENTION_TEXT && c->found[i] > 0,
                                         .text = text.data,
                                         .advice = advice.data};
            each(arg, &finding);
            said++;
        }
        buf_free(&text);
        buf_free(&advice);
    }
    return said;
}

size_t columns_judge(const columns_t *c, columns_each_fn *each, void *arg) {
    if (c->rows == 0) return 0;
    return judge_class(c, true, each, arg) + judge_class(c, false, each, arg);
}

size_t columns_judge_mapping(const columns_t *c, bool strict, buf_t *out) {
    size_t said = 0;
    for (size_t i = 0; c->rows > 0 && i < c->options->mapping_count; i++) {
        const char *from = c->options->mapping[i].from, *to = c->options->mapping[i].to;
        if (c->renamed[i]) continue;
        const char *near = nearest(c, from);
        buf_addf(out, "%s: --mapping %s:%s renames nothing: '%s' is no column of the first ",
                 strict ? "error" : "warning", from, to, from);
        rows_add(out, c->rows);
        if (near && has_column(c, near, strlen(near)))
            buf_addf(out, "; did you mean --mapping %s:%s?\n", near, to);
        else
            buf_adds(out, "; correct the name\n");
        said++;
    }
    return said;
}

/* ---- before a run */

static void read_sample(columns_t *c, const char *input, const data_form_t *form) {
    row_record_t record;
    err_t err;
    uint64_t records = 0, bytes = 0;
    reader_t *reader = reader_open_as(input, form, &err);
    while (reader && records < SURVEY_SAMPLE_ROWS && bytes < SURVEY_SAMPLE_BYTES &&
           reader_next(reader, &record, &err) == 1) {
        value_t row = value_null();
        records++;
        bytes += record.json_len;
        if (!record.bad && json_parse_text(record.json, record.json_len, &row, NULL) == SDG_OK)
            columns_add(c, row);
    }
    reader_close(&reader);
}

typedef struct said {
    diags_t diags;
    diag_level_t level;
    value_t names; /* object: what has been said, so that a result does not repeat it of a prompt */
} said_t;

static void add_finding(void *arg, const columns_finding_t *finding) {
    said_t *s = arg;
    const mention_t *m = finding->mention;
    bool known;
    object_get_peek(s->names, m->name, strlen(m->name), &known);
    if (finding->partly || known) return;
    object_set_text(&s->names, m->name, value_null());
    ypath_t path = {.key = m->path};
    diag_add(&s->diags, s->level, m->line, m->col, &path, "%s; %s", finding->text, finding->advice);
}

size_t columns_check_input(const pipeline_t *p, const buf_t *yaml, const row_options_t *row,
                           const char *input, const data_form_t *form, bool strict, buf_t *out) {
    struct stat st;
    said_t said = {.level = strict ? DIAG_ERROR : DIAG_WARNING};
    if (stat(input, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    said.names = value_object(4);
    columns_t *c = columns_new(p, yaml->data, yaml->len, row);
    diags_init(&said.diags, p->path, yaml->data, yaml->len);
    read_sample(c, input, form);
    columns_judge(c, add_finding, &said);
    size_t count = said.diags.errors + said.diags.warnings;
    diags_write(&said.diags, DIAG_WARNING, out);
    count += columns_judge_mapping(c, strict, out);
    diags_free(&said.diags);
    value_free(said.names);
    columns_destroy(&c);
    return count;
}
