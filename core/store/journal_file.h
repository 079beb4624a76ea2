/* journal_file.h - the bytes of a journal: its head, its records, and reading them one after the other.
 * Inside core/store. */
#ifndef SDG_STORE_JOURNAL_FILE_H
#define SDG_STORE_JOURNAL_FILE_H

#include "core/store/journal.h"

enum {
    JOURNAL_HEAD_BYTES = 16, /* of the file */
    JOURNAL_FRAME_BYTES = 8, /* size and checksum of a record */
    JOURNAL_KEY_BYTES = 28,  /* row, hash, occurrence: the body before the answer */
    JOURNAL_RECORD_HEAD_BYTES = JOURNAL_FRAME_BYTES + JOURNAL_KEY_BYTES,
};

void journal_head_write(buf_t *out, uint64_t salt);
/* SDG_OK and the salt; SDG_EPARSE: these bytes are not the head of a journal; SDG_ENOTFOUND: they may be the
 * torn beginning of one. */
int journal_head_read(const char *bytes, size_t len, uint64_t *salt);

void journal_record_write(buf_t *out, uint64_t salt, const journal_key_t *key, const char *answer,
                          size_t len);
/* Reads the record at the front of these bytes. Returns its size, or 0 when they do not begin with a whole
 * and good one. Then *more is how many bytes are needed to read it; 0: it is bad. */
size_t journal_record_read(const char *bytes, size_t len, uint64_t salt, journal_key_t *key,
                           const char **answer, size_t *answer_len, size_t *more);

/* Called for each whole record, with its place in the file; false ends the scan. */
typedef bool journal_place_fn(void *context, const journal_key_t *key, const char *answer, size_t len,
                              uint64_t at);
/* Reads the records behind the head. *end: the place behind the last record that was visited. */
int journal_file_scan(int fd, const char *path, uint64_t salt, journal_place_fn *visit, void *context,
                      uint64_t *end, err_t *err);

#endif
