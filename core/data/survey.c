/* survey.c - see survey.h. Plain JSON Lines are counted by their newlines (memchr, some GB/s). CSV may have
 * newlines in quotes, and compressed files must be unpacked, so the reader itself reads those on. */
#include "core/data/survey.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/limits.h"
#include "core/data/limits.h"
#include "core/data/lines.h"
#include "core/data/stream.h"

/* False for pipes, terminals and devices. True also for what reader_open refuses: missing files and
 * folders. */
static bool can_be_looked_at(const char *path, uint64_t *size) {
    struct stat st;
    if (strcmp(path, "-") == 0) return false;
    if (stat(path, &st) != 0) return true;
    *size = (uint64_t)st.st_size;
    return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

/* Reads the sample. 1: there may be more, 0: the input ended, negative: failed. */
static int take_sample(reader_t *reader, survey_each_fn *each, void *arg, survey_t *out, err_t *err) {
    row_record_t record;
    int got = 1;
    while (out->sampled < SURVEY_SAMPLE_ROWS && out->sampled_bytes < SURVEY_SAMPLE_BYTES &&
           (got = reader_next(reader, &record, err)) == 1) {
        out->sampled++;
        out->sampled_bytes += record.json_len;
        if (record.json_len > out->largest_bytes) {
            out->largest_bytes = record.json_len;
            out->largest_line = record.line;
        }
        if (each) each(arg, &record);
    }
    return got;
}

/* Counts the lines that are not blank, from the start of the file. */
static int count_lines(const char *path, survey_t *out, err_t *err) {
    stream_t *stream = stream_open(path, err);
    if (!stream) return err->code;
    lines_t *lines = lines_new(stream, DATA_LINE_BYTES_MAX);
    text_line_t line;
    uint64_t rows = 0;
    int got;
    while ((got = lines_next(lines, &line, err)) == 1) {
        size_t bom = line.number == 1 ? bom_length(line.bytes, line.len) : 0;
        rows += line.too_long || !line_blank(line.bytes + bom, line.len - bom);
    }
    lines_destroy(&lines);
    stream_close(&stream);
    if (got < 0) return got;
    out->rows = rows;
    out->exact = true;
    return SDG_OK;
}

/* Reads up to SURVEY_READ_BYTES_MAX of the file; of a larger one the rest is estimated by proportion. */
static int read_on(reader_t *reader, survey_t *out, err_t *err) {
    row_record_t record;
    uint64_t done = 0, ahead, total;
    int got = 1;
    out->rows = out->sampled;
    while (done < SURVEY_READ_BYTES_MAX && (got = reader_next(reader, &record, err)) == 1) {
        out->rows++;
        done = reader_consumed(reader);
    }
    if (got < 0) return got;
    reader_progress(reader, &ahead, &total);
    out->exact = got == 0;
    if (!out->exact && done) out->rows = (uint64_t)((double)out->rows * (double)total / (double)done + 0.5);
    return SDG_OK;
}

/* Estimates from the sample alone: a line is its JSON and a newline. */
static void estimate(survey_t *out) {
    out->rows = (uint64_t)((double)out->file_bytes * (double)out->sampled /
                               (double)(out->sampled_bytes + out->sampled) +
                           0.5);
}

/* Sample first; then the cheapest way to the number of rows that the input allows. */
int survey_input(const char *path, const data_form_t *form, survey_each_fn *each, void *arg, survey_t *out,
                 err_t *err) {
    *out = (survey_t){0};
    if (!can_be_looked_at(path, &out->file_bytes)) return SDG_OK;
    reader_t *reader = reader_open_as(path, form, err);
    if (!reader) return err->code;
    snprintf(out->notes, sizeof out->notes, "%s", reader_notes(reader));
    int got = take_sample(reader, each, arg, out, err);
    if (got == 0) {
        out->rows = out->sampled;
        out->exact = true;
    } else if (got == 1 && !reader_counts_by_lines(reader)) {
        got = read_on(reader, out, err);
    } else if (got == 1 && out->file_bytes > SURVEY_COUNT_BYTES_MAX) {
        estimate(out);
    } else if (got == 1) {
        got = count_lines(path, out, err);
    }
    reader_close(&reader);
    return got < 0 ? got : SDG_OK;
}

uint64_t survey_average_bytes(const survey_t *s) {
    return s->sampled ? (s->sampled_bytes + s->sampled / 2) / s->sampled : 0;
}
