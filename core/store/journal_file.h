/* journal_file.h - the bytes of a journal: its head, its records, and reading them one after the other.
 * Inside core/store. */
#ifndef SDG_STORE_JOURNAL_FILE_H
#define SDG_STORE_JOURNAL_FILE_H

#include "core/store/journal.h"

enum {
    JOURNAL_HEAD_BYTES = 48,        /* of the file: the head stands twice */
    JOURNAL_HEAD_LOOK_BYTES = 256,  /* where a head is looked for that lost bytes have moved */
    JOURNAL_RECORD_HEAD_BYTES = 48, /* of a record: what stands before its answer */
};

/* How the records of a file are to be read. */
typedef struct journal_format {
    uint64_t salt;
    bool old;     /* of sdg 0.1.0: records without a mark */
    size_t start; /* place of the first record, when the head is not where it should be; else 0 */
} journal_format_t;

void journal_head_write(buf_t *out, uint64_t salt);
/* SDG_OK and the format; SDG_EPARSE: these bytes are not the head of a journal; SDG_ENOTFOUND: they may be
 * the torn beginning of one. One of the two heads is enough, wherever it is in these bytes: give
 * JOURNAL_HEAD_LOOK_BYTES of the file. */
int journal_head_read(const char *bytes, size_t len, journal_format_t *format);
/* Bytes of the file before its first record. */
size_t journal_records_start(const journal_format_t *format);

void journal_record_write(buf_t *out, uint64_t salt, const journal_key_t *key, const char *answer,
                          size_t len);
/* Reads the record at the front of these bytes. Returns its size, or 0 when they do not begin with a whole
 * and good one. Then *more is how many bytes are needed to read it; 0: it is bad. */
size_t journal_record_read(const char *bytes, size_t len, const journal_format_t *format, journal_key_t *key,
                           const char **answer, size_t *answer_len, size_t *more);

/* Called for each whole record, with its place in the file; false ends the scan. */
typedef bool journal_place_fn(void *context, const journal_key_t *key, const char *answer, size_t len,
                              uint64_t at);
/* Called for a damaged record whose head is whole, so that its key is known. */
typedef void journal_damaged_fn(void *context, const journal_key_t *key);

typedef struct journal_scan {
    int fd;
    const char *path; /* for sentences */
    journal_format_t format;
    journal_place_fn *visit;
    journal_damaged_fn *damaged; /* NULL: nobody asks */
    void *context;
    uint64_t end;        /* set by the scan: the place behind the last whole record that was visited */
    journal_lost_t lost; /* set by the scan */
} journal_scan_t;

/* Reads the records behind the head, and goes on behind damaged ones. */
int journal_file_scan(journal_scan_t *scan, err_t *err);

#endif
