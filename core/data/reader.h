/* reader.h - rows from a dataset, in a stream: JSONL or CSV, plain, gzip or zstd, a file or stdin.
 *
 * Each record becomes one `row_record_t`: its index (blank lines do not count) and the bytes of a JSON
 * object. JSONL lines are passed on as they are, unparsed (the worker parses them); CSV records become
 * {"column": "text", ...}. A record that cannot be a row (CSV with a stray quote, a line over
 * DATA_LINE_BYTES_MAX, invalid UTF-8) has `bad` set: it fails as its own row, whose reason names the line,
 * and reading goes on. Memory: one read block and one record.
 *
 * The format follows from the end of the name, before an optional .gz, .zst or .zstd:
 *
 *     .jsonl .ndjson .json    JSONL
 *     .csv                    CSV; separated by ';' when the header has that and no comma
 *     .tsv                    fields between tabs, without quoting
 *     -                       stdin: JSONL, unless the caller gives a format
 *
 * Compressed input without such a name is recognised by its magic bytes. A BOM is skipped. Whatever the name
 * says, UTF-16, a JSON array, objects that go over several lines and the like are recognised by the first
 * bytes and refused with the way out: a file at reader_open, a pipe when its first bytes have come.
 */
#ifndef SDG_DATA_READER_H
#define SDG_DATA_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

typedef enum data_format { DATA_AUTO, DATA_JSONL, DATA_CSV, DATA_TSV } data_format_t;

/* How a dataset is to be read. */
typedef struct data_form {
    data_format_t format; /* DATA_AUTO: by the name */
    char delimiter; /* between the fields of CSV or TSV; it makes an unknown name CSV. 0: by format and header
                     */
} data_form_t;

typedef struct reader reader_t;

typedef struct row_record {
    uint64_t index;   /* row index, from 0 */
    uint64_t line;    /* 1-based line of the input where the record starts (of the uncompressed text) */
    const char *json; /* bytes of the record, valid until the next call; NULL when bad */
    size_t json_len;
    const char *bad; /* NULL, or the reason: "input line 12: ..." */
} row_record_t;

/* NULL and a sentence that says what to do: not found, a folder, an unknown format, no permission, text in
 * another form. The header of a CSV file is read here. A column without a name is called column_N, its number
 * counted from 1; of columns with the same name the last one counts: reader_notes tells. */
reader_t *reader_open(const char *path, data_format_t format, err_t *err);
reader_t *reader_open_as(const char *path, const data_form_t *form, err_t *err);
void reader_close(reader_t **reader);

/* What a person should know of the input before it is used, one sentence a line; "" when there is nothing. */
const char *reader_notes(const reader_t *reader);
/* How it is read: a format, and with CSV and TSV a delimiter. */
data_form_t reader_form(const reader_t *reader);

/* Is each line of the file that is not blank a record, and the file not packed? */
bool reader_counts_by_lines(const reader_t *reader);

enum { READER_WAIT = 2 };

/* 1: *record is the next one. 0: end of input. READER_WAIT: see reader_set_waiting; record and err are
 * untouched. Negative: reading failed for good (I/O error, corrupt compression), err says where. */
int reader_next(reader_t *reader, row_record_t *record, err_t *err);

/* From now on reader_next answers READER_WAIT instead of blocking when the input is a pipe, terminal or
 * socket and no whole record has come yet. Half a line, half a CSV record or half a compressed block is kept,
 * and the next call goes on from there. The descriptor's flags are not changed: it may be shared with a
 * shell. Regular files never wait. */
void reader_set_waiting(reader_t *reader);
/* What to poll for reading after READER_WAIT, and only then: records that were read ahead do not make it
 * readable. -1 for a regular file. Never 0: stdin is read through a duplicate. */
int reader_fd(const reader_t *reader);

/* For progress: bytes of the file consumed and its size (0 when unknown: stdin, pipes). Compressed sizes for
 * compressed files. */
void reader_progress(const reader_t *reader, uint64_t *bytes_done, uint64_t *bytes_total);

/* Bytes of the file up to the end of the record given last, whatever was read ahead; all of them after the
 * end of the input. Never falls. Of compressed files bytes of the file too, by proportion of their text. */
uint64_t reader_consumed(const reader_t *reader);

/* What identifies this input for a later resume: "<size>-<hash>". The hash is XXH3-128 over the whole file up
 * to 8 MiB, else over the first and last MiB and 64 samples of 64 KiB between them, so its cost does not grow
 * with the file. "stdin" for "-", "stream" for a pipe. */
int data_identity(const char *path, char *out, size_t out_size, err_t *err);
/* The same, with the form behind it when it is not the one that the name of the file promises: other columns
 * are another input. */
int reader_identity(const reader_t *reader, const char *path, char *out, size_t out_size, err_t *err);

#endif
