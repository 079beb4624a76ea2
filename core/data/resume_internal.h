/* resume_internal.h - what the scan of an output (resume.c) and the judgement on lines by each other
 * (resume_judge.c) share.
 *
 * A first scan reads each line for itself. When rows are there twice, or row numbers have changed, the lines
 * are judged by each other, which gives verdicts; a second scan goes by them, from the start. */
#ifndef SDG_DATA_RESUME_INTERNAL_H
#define SDG_DATA_RESUME_INTERNAL_H

#include "core/base/result_line.h"
#include "core/data/resume.h"

typedef enum reject_why {
    REJECT_REPEATED,    /* another line has the same row, and is as good or better */
    REJECT_CONTRADICTS, /* another line has the same row and another text, and nothing tells which is right */
    REJECT_RENUMBERED,  /* its row number is not the one that was written, or that of a neighbour */
} reject_why_t;

/* A result line that goes because of what other lines are. */
typedef struct verdict {
    uint64_t line; /* its number */
    reject_why_t why;
    uint64_t other; /* the line that it repeats or contradicts */
} verdict_t;

typedef struct verdicts {
    verdict_t *items; /* owned; by line */
    size_t count, cap;
} verdicts_t;

typedef struct output_scan {
    const char *path;
    const resume_how_t *how;
    const verdicts_t *verdicts; /* of earlier scans */
    size_t next_verdict;
    resume_t *found;
    rangeset_t *repeated; /* rows that more than one line has; owned */
    rangeset_t *retried;  /* rows that have failed and are taken out; owned */
    line_check_t *check;  /* owned */
    uint64_t rows;        /* lines that are results, whatever becomes of them */
    uint64_t foreign;     /* lines that are none */
    uint64_t first_foreign;
    char first_why[ERR_TEXT_MAX];
    bool lacks_newline; /* the last row is whole, its newline is missing */
} output_scan_t;

/* The open file, to be scanned from its start. */
typedef struct scanned_file {
    int fd;
    const char *path;
    stream_coding_t coding;
    uint64_t limit; /* it is read up to here */
} scanned_file_t;

/* Is it one of the lines that --retry-failed takes out? */
static inline bool resume_is_retried(const resume_how_t *how, const result_line_t *row) {
    return row->failed && how->retry_failed;
}

/* resume.c */
/* Opens the stream of a file that has been read before. NULL: it cannot be read again. */
stream_t *resume_open_again(const scanned_file_t *file, err_t *err);

/* resume_judge.c */
/* Are there lines that have to be judged by each other? */
bool resume_needs_judgement(const output_scan_t *scan);
/* Reads the file once more. On success the caller frees the items of *out. */
int resume_judge(const scanned_file_t *file, const output_scan_t *scan, verdicts_t *out, err_t *err);

#endif
