/* columns.h - are the names that a pipeline mentions columns of the input? One check for run, submit,
 * test-run and doctor, made before the first request: a misspelled placeholder would be empty in every row
 * and cost a whole run.
 *
 * The rows of a sample are given one by one; rows may differ, so a name counts as missing only when no row of
 * the sample has it. What the pipeline supplies itself (mentions.h) is not judged. */
#ifndef SDG_ACTORS_VERBS_COLUMNS_H
#define SDG_ACTORS_VERBS_COLUMNS_H

#include "actors/verbs/mentions.h"
#include "core/base/row_types.h"
#include "core/data/reader.h"

typedef struct columns columns_t;

/* What is found about one mention. Texts are borrowed during the call. */
typedef struct columns_finding {
    const mention_t *mention;
    bool partly;        /* some rows have it: only worth a word where somebody asks for it */
    const char *text;   /* a sentence without a full stop */
    const char *advice; /* what to do about it */
} columns_finding_t;
typedef void columns_each_fn(void *arg, const columns_finding_t *finding);

/* yaml: the text of the pipeline's file; `row` says how columns are renamed. Both must outlive it, and p. */
columns_t *columns_new(const pipeline_t *p, const char *yaml, size_t len, const row_options_t *row);
void columns_destroy(columns_t **columns);

/* Takes one row of the sample, as it stands in the input; the value is the callee's. Anything but an object
 * is left out. */
void columns_add(columns_t *columns, value_t take);
uint64_t columns_rows(const columns_t *columns); /* rows taken so far */
size_t columns_count(const columns_t *columns);  /* columns in them, after --mapping */
size_t columns_in_use(const columns_t *columns); /* names in prompts that all rows have */

/* Calls `each` for what is wrong, in the order of the file, prompts first. Returns how many. Without rows
 * nothing is wrong. */
size_t columns_judge(const columns_t *columns, columns_each_fn *each, void *arg);

/* Writes a line for each --mapping whose column no row of the sample has. Returns how many. */
size_t columns_judge_mapping(const columns_t *columns, bool strict, buf_t *out);

/* Reads the sample from a file and writes the findings that are not `partly` to `out`, as problems of the
 * pipeline (diag.h): warnings, with `strict` errors. Returns how many. A pipe is left alone, because reading
 * it would take rows away from the run; an input that cannot be read has no findings: opening it says why. */
size_t columns_check_input(const pipeline_t *p, const buf_t *yaml, const row_options_t *row,
                           const char *input, const data_form_t *form, bool strict, buf_t *out);

#endif
