/* journal_file.c - see journal_file.h.
 *
 * A record is used only if both of its checksums are right, so arbitrary bytes are a file without records.
 * Its length is believed only up to that of the largest record there can be. Behind a bad record the scan
 * looks for the next mark. Mark and checksums depend on the salt of the file, which no server knows: the text
 * of an answer can neither be taken for a record nor make the scan read bytes many times.
 */
#include "core/store/journal_file.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/data/files.h"
#include "core/store/limits.h"

enum {
    MAGIC_BYTES = 8,
    HEAD_COPY_BYTES = JOURNAL_HEAD_BYTES / 2, /* magic, salt, checksum */
    MARK_BYTES = 4,
    HEAD_SUM_AT = 36, /* in a record: behind mark, length, row, hash, occurrence */
    BODY_SUM_AT = 40,
    OLD_HEAD_BYTES = 16, /* of a file of sdg 0.1.0: magic, salt */
    OLD_FRAME_BYTES = 8, /* of its records: size, checksum */
    OLD_KEY_BYTES = 28,  /* row, hash, occurrence */
};

static const char MAGIC[MAGIC_BYTES] = {'S', 'D', 'G', 'J', 'R', 'N', 'L', '2'};
static const char OLD_MAGIC[MAGIC_BYTES] = {'S', 'D', 'G', 'J', 'R', 'N', 'L', '1'};

static void add_u32(buf_t *out, uint32_t n) {
    n = htole32(n);
    buf_add(out, &n, sizeof n);
}

static void add_u64(buf_t *out, uint64_t n) {
    n = htole64(n);
    buf_add(out, &n, sizeof n);
}

static uint32_t u32_at(const char *bytes) {
    uint32_t n;
    memcpy(&n, bytes, sizeof n);
    return le32toh(n);
}

static uint64_t u64_at(const char *bytes) {
    uint64_t n;
    memcpy(&n, bytes, sizeof n);
    return le64toh(n);
}

static uint32_t mark_of(uint64_t salt) { return (uint32_t)XXH3_64bits_withSeed("mark", 4, salt); }

static uint32_t head_sum(const char *record, uint64_t salt) {
    return (uint32_t)XXH3_64bits_withSeed(record, HEAD_SUM_AT, salt);
}

/* The sum of the head is part of it, so that an answer fits no other head. */
static uint64_t body_sum(const char *answer, size_t len, uint64_t salt, uint32_t head) {
    return XXH3_64bits_withSeed(answer, len, salt + head);
}

/* ---- the head of the file */

void journal_head_write(buf_t *out, uint64_t salt) {
    for (int i = 0; i < 2; i++) {
        buf_add(out, MAGIC, sizeof MAGIC);
        add_u64(out, salt);
        add_u64(out, XXH3_64bits_withSeed(MAGIC, sizeof MAGIC, salt));
    }
}

static bool copy_is_good(const char *copy, uint64_t *salt) {
    *salt = u64_at(copy + MAGIC_BYTES);
    return memcmp(copy, MAGIC, sizeof MAGIC) == 0 &&
           XXH3_64bits_withSeed(MAGIC, sizeof MAGIC, *salt) == u64_at(copy + MAGIC_BYTES + sizeof *salt);
}

/* A power loss may leave zero bytes where the head was to be. */
static bool begins_torn(const char *bytes, size_t len) {
    size_t zeros = 0, magic = len < MAGIC_BYTES ? len : MAGIC_BYTES;
    while (zeros < len && bytes[zeros] == '\0')
        zeros++;
    if (zeros == len) return true;
    return len < JOURNAL_HEAD_BYTES && memcmp(bytes, MAGIC, magic) == 0;
}

/* Finds a good head. Records follow the second one, wherever it is. */
static bool find_head(const char *bytes, size_t len, journal_format_t *format) {
    *format = (journal_format_t){0};
    for (size_t at = 0; at + HEAD_COPY_BYTES <= len; at++) {
        if (!copy_is_good(bytes + at, &format->salt)) continue;
        size_t end = at + HEAD_COPY_BYTES;
        uint64_t salt;
        bool first = end + HEAD_COPY_BYTES <= len && copy_is_good(bytes + end, &salt);
        if (at > 0 && at != HEAD_COPY_BYTES) format->start = first ? end + HEAD_COPY_BYTES : end;
        return true;
    }
    return false;
}

int journal_head_read(const char *bytes, size_t len, journal_format_t *format) {
    if (len >= JOURNAL_HEAD_BYTES && find_head(bytes, len, format)) return SDG_OK;
    if (begins_torn(bytes, len)) return SDG_ENOTFOUND;
    size_t magic = len < MAGIC_BYTES ? len : MAGIC_BYTES;
    if (memcmp(bytes, OLD_MAGIC, magic) != 0) return SDG_EPARSE;
    if (len < OLD_HEAD_BYTES) return SDG_ENOTFOUND;
    *format = (journal_format_t){.salt = u64_at(bytes + MAGIC_BYTES), .old = true};
    return SDG_OK;
}

size_t journal_records_start(const journal_format_t *format) {
    if (format->start) return format->start;
    return format->old ? OLD_HEAD_BYTES : JOURNAL_HEAD_BYTES;
}

/* ---- records */

/* Each checksum covers what stands before it, so it is filled in when that is there. */
void journal_record_write(buf_t *out, uint64_t salt, const journal_key_t *key, const char *answer,
                          size_t len) {
    char *room = buf_reserve(out, JOURNAL_RECORD_HEAD_BYTES + len);
    size_t start = out->len;
    if (!room) {
        out->full = true;
        return;
    }
    add_u32(out, mark_of(salt));
    add_u32(out, (uint32_t)len);
    add_u64(out, key->row);
    add_u64(out, key->hash_high);
    add_u64(out, key->hash_low);
    add_u32(out, key->occurrence);
    uint32_t sum = head_sum(out->data + start, salt);
    add_u32(out, sum);
    add_u64(out, body_sum(answer, len, salt, sum));
    if (len) buf_add(out, answer, len);
}

/* The record of sdg 0.1.0: size of what follows the checksum, checksum, key, answer. */
static size_t old_record_read(const char *bytes, size_t len, uint64_t salt, journal_key_t *key,
                              const char **answer, size_t *answer_len, size_t *more) {
    *more = OLD_FRAME_BYTES + OLD_KEY_BYTES;
    if (len < *more) return 0;
    size_t size = u32_at(bytes);
    const char *body = bytes + OLD_FRAME_BYTES;
    *more = 0;
    if (size < OLD_KEY_BYTES || size > OLD_KEY_BYTES + JOURNAL_ANSWER_BYTES_MAX) return 0;
    if (len < OLD_FRAME_BYTES + size) {
        *more = OLD_FRAME_BYTES + size;
        return 0;
    }
    if ((uint32_t)XXH3_64bits_withSeed(body, size, salt + size) != u32_at(bytes + 4)) return 0;
    *key = (journal_key_t){.row = u64_at(body),
                           .hash_high = u64_at(body + 8),
                           .hash_low = u64_at(body + 16),
                           .occurrence = u32_at(body + 24)};
    *answer = body + OLD_KEY_BYTES;
    *answer_len = size - OLD_KEY_BYTES;
    return OLD_FRAME_BYTES + size;
}

/* Reads the head of a record at the front of these JOURNAL_RECORD_HEAD_BYTES. False: there is none. */
static bool head_read(const char *bytes, uint64_t salt, journal_key_t *key, size_t *answer_len) {
    if (u32_at(bytes) != mark_of(salt) || u32_at(bytes + HEAD_SUM_AT) != head_sum(bytes, salt)) return false;
    *answer_len = u32_at(bytes + 4);
    *key = (journal_key_t){.row = u64_at(bytes + 8),
                           .hash_high = u64_at(bytes + 16),
                           .hash_low = u64_at(bytes + 24),
                           .occurrence = u32_at(bytes + 32)};
    return *answer_len <= JOURNAL_ANSWER_BYTES_MAX;
}

size_t journal_record_read(const char *bytes, size_t len, const journal_format_t *format, journal_key_t *key,
                           const char **answer, size_t *answer_len, size_t *more) {
    if (format->old) return old_record_read(bytes, len, format->salt, key, answer, answer_len, more);
    *more = JOURNAL_RECORD_HEAD_BYTES;
    if (len < JOURNAL_RECORD_HEAD_BYTES) return 0;
    *more = 0;
    if (!head_read(bytes, format->salt, key, answer_len)) return 0;
    size_t size = JOURNAL_RECORD_HEAD_BYTES + *answer_len;
    if (len < size) {
        *more = size;
        return 0;
    }
    *answer = bytes + JOURNAL_RECORD_HEAD_BYTES;
    uint64_t sum = body_sum(*answer, *answer_len, format->salt, u32_at(bytes + HEAD_SUM_AT));
    return sum == u64_at(bytes + BODY_SUM_AT) ? size : 0;
}

/* ---- the scan */

typedef struct scan_window {
    buf_t bytes;   /* of the file, from `base` on */
    size_t used;   /* of them: records that were read, and what was passed over */
    uint64_t base; /* place in the file of the first byte */
} scan_window_t;

static size_t unused(const scan_window_t *w) { return w->bytes.len - w->used; }

/* Reads on until `want` bytes are unused; fewer at the end of the file. */
static int fill(const journal_scan_t *scan, scan_window_t *w, size_t want, err_t *err) {
    if (unused(w) >= want) return SDG_OK;
    buf_cut_front(&w->bytes, w->used);
    w->base += w->used;
    w->used = 0;
    while (w->bytes.len < want) {
        size_t lacks = want - w->bytes.len, room = lacks > JOURNAL_READ_BYTES ? lacks : JOURNAL_READ_BYTES;
        char *to = buf_reserve(&w->bytes, room);
        ssize_t n = to ? pread(scan->fd, to, room, (off_t)(w->base + w->bytes.len)) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", scan->path, strerror(errno));
        if (n == 0) return SDG_OK;
        w->bytes.len += (size_t)n;
    }
    return SDG_OK;
}

typedef enum scan_step {
    SCAN_RECORD, /* a good record was read */
    SCAN_BAD,    /* what stands here is none */
    SCAN_TORN,   /* the file ends inside a record */
    SCAN_END,    /* the file ends here, or could not be read */
} scan_step_t;

/* Reads the record at the place of the window and visits it. */
static scan_step_t read_here(journal_scan_t *scan, scan_window_t *w, bool *going, int *rc, err_t *err) {
    journal_key_t key;
    const char *answer;
    size_t answer_len, size = 0, more = JOURNAL_RECORD_HEAD_BYTES;
    while (size == 0 && more > 0) {
        size_t want = more;
        *rc = fill(scan, w, want, err);
        if (*rc != SDG_OK || unused(w) == 0) return SCAN_END;
        size = journal_record_read(w->bytes.data + w->used, unused(w), &scan->format, &key, &answer,
                                   &answer_len, &more);
        if (size == 0 && more > 0 && unused(w) < want) return SCAN_TORN;
    }
    if (size == 0) return SCAN_BAD;
    *going = scan->visit(scan->context, &key, answer, answer_len, w->base + w->used);
    w->used += size;
    scan->end = w->base + w->used;
    return SCAN_RECORD;
}

/* Moves on to the next mark. False: there is none. */
static bool find_mark(const journal_scan_t *scan, scan_window_t *w, int *rc, err_t *err) {
    uint32_t mark = htole32(mark_of(scan->format.salt));
    w->used++;
    for (;;) {
        *rc = fill(scan, w, MARK_BYTES, err);
        if (*rc != SDG_OK) return false;
        const char *from = w->bytes.data + w->used;
        const char *found = unused(w) < MARK_BYTES ? NULL : memmem(from, unused(w), &mark, sizeof mark);
        if (found) w->used += (size_t)(found - from);
        if (found || unused(w) < MARK_BYTES) return found;
        w->used = w->bytes.len - (MARK_BYTES - 1);
    }
}

/* Tells of the damaged record here, if its head is whole. */
static void tell_damaged(const journal_scan_t *scan, const scan_window_t *w) {
    journal_key_t key;
    size_t len;
    if (scan->damaged && unused(w) >= JOURNAL_RECORD_HEAD_BYTES &&
        head_read(w->bytes.data + w->used, scan->format.salt, &key, &len))
        scan->damaged(scan->context, &key);
}

/* How many bytes the file has from this place on. */
static uint64_t rest_of(const journal_scan_t *scan, uint64_t from) {
    off_t size = lseek(scan->fd, 0, SEEK_END);
    return size > (off_t)from ? (uint64_t)size - from : 0;
}

/* A record that reaches over the end of the file is torn, unless another follows inside it: then it is one
 * that has lost bytes. A file of sdg 0.1.0 has no marks: it ends at its first bad record. */
int journal_file_scan(journal_scan_t *scan, err_t *err) {
    scan_window_t w = {.base = journal_records_start(&scan->format)};
    uint64_t bad = 0, cut = 0, good_end = w.base; /* records since the last whole one; where that ended */
    bool going = true, more = true;
    int rc = SDG_OK;
    buf_init(&w.bytes, 2 * (JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX));
    scan->end = w.base;
    scan->lost = (journal_lost_t){0};
    while (going && more && rc == SDG_OK) {
        uint64_t at = w.base + w.used;
        scan_step_t step = read_here(scan, &w, &going, &rc, err);
        if (step == SCAN_RECORD) {
            scan->lost.records += bad + cut;
            scan->lost.bytes += at - good_end;
            bad = cut = 0;
            good_end = scan->end;
            continue;
        }
        bad += step == SCAN_BAD;
        cut += step == SCAN_TORN;
        if (step == SCAN_BAD) tell_damaged(scan, &w);
        more = step != SCAN_END && !scan->format.old && find_mark(scan, &w, &rc, err);
    }
    scan->lost.records += bad;
    if (bad) scan->lost.bytes += rest_of(scan, good_end);
    if (!bad && going) scan->lost.torn_bytes = rest_of(scan, good_end);
    buf_free(&w.bytes);
    return rc;
}
