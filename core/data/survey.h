/* survey.h - what a dataset is like, found out cheaply before a run: how many rows, how large they are.
 *
 * The first records, the sample, are read as a run would read them. Then a small file is counted to its end;
 * a larger one is estimated from what was read and the size of the file, so that the cost does not grow with
 * it. A pipe is left alone, because reading it would take rows away from the run.
 */
#ifndef SDG_DATA_SURVEY_H
#define SDG_DATA_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/data/reader.h"

enum { SURVEY_NOTES_BYTES = 1024 };

typedef struct survey {
    uint64_t rows;                  /* records of the input; 0 with exact false: unknown (a pipe) */
    bool exact;                     /* `rows` was counted; else it is estimated */
    uint64_t file_bytes;            /* size of the file on disk; 0: unknown */
    uint64_t sampled;               /* records in the sample */
    uint64_t sampled_bytes;         /* bytes of their JSON in all */
    uint64_t largest_bytes;         /* bytes of the largest record in the sample */
    uint64_t largest_line;          /* line of the input where that one starts */
    char notes[SURVEY_NOTES_BYTES]; /* those of the reader, as many as fit */
} survey_t;

/* Called for each record of the sample, in order; the record is valid during the call. */
typedef void survey_each_fn(void *arg, const row_record_t *record);

/* 0; `each` may be NULL. Negative: the input cannot be opened or read, err says why as reader_open and
 * reader_next do. Limits: SURVEY_* in core/data/limits.h. */
int survey_input(const char *path, const data_form_t *form, survey_each_fn *each, void *arg, survey_t *out,
                 err_t *err);
uint64_t survey_average_bytes(const survey_t *survey); /* of a row; 0: unknown */

#endif
