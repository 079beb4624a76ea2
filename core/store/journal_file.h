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
/* 0 and the salt; SDG_EPARSE when these bytes are not the head of a journal; SDG_ENOTFOUND when they are the
 * torn beginning of one. */
int journal_head_read(const char *bytes, size_t len, uint64_t *salt);

void journal_record_write(buf_t *out, uint64_t salt, const journal_key_t *key, const char *answer,
                          size_t len);
/* The record at the front of these bytes: its size, or 0 when they do not start with a whole and good one;
 * *more is then how many bytes would be needed to tell (0: it is bad). */
size_t journal_record_read(const char *bytes, size_t len, uint64_t salt, journal_key_t *key,
                           const char **answer, size_t *answer_len, size_t *more);

/* Calls `visit` for each whole record behind the head, with its place. *end: where the first byte is that
 * belongs to none. */
typedef bool journal_place_fn(void *context, const journal_key_t *key, const char *answer, size_t len,
                              uint64_t at);
int journal_file_scan(int fd, const char *path, uint64_t salt, journal_place_fn *visit, void *context,
                      uint64_t *end, err_t *err);

#endif
