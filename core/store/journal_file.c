/* journal_file.c - see journal_file.h. A record's size is believed only up to that of the largest record
 * there can be, and a record is used only if its checksum is right. So arbitrary bytes are a file without
 * records. */
#include "core/store/journal_file.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/data/files.h"
#include "core/store/limits.h"

static const char MAGIC[8] = {'S', 'D', 'G', 'J', 'R', 'N', 'L', '1'};

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

static uint32_t checksum(const char *body, size_t size, uint64_t salt) {
    return (uint32_t)XXH3_64bits_withSeed(body, size, salt + size);
}

void journal_head_write(buf_t *out, uint64_t salt) {
    buf_add(out, MAGIC, sizeof MAGIC);
    add_u64(out, salt);
}

int journal_head_read(const char *bytes, size_t len, uint64_t *salt) {
    size_t magic = len < sizeof MAGIC ? len : sizeof MAGIC;
    if (magic && memcmp(bytes, MAGIC, magic) != 0) return SDG_EPARSE;
    if (len < JOURNAL_HEAD_BYTES) return SDG_ENOTFOUND;
    *salt = u64_at(bytes + sizeof MAGIC);
    return SDG_OK;
}

/* The checksum covers what follows it, so it is filled in last. */
void journal_record_write(buf_t *out, uint64_t salt, const journal_key_t *key, const char *answer,
                          size_t len) {
    size_t start = out->len;
    add_u32(out, (uint32_t)(JOURNAL_KEY_BYTES + len));
    add_u32(out, 0);
    add_u64(out, key->row);
    add_u64(out, key->hash_high);
    add_u64(out, key->hash_low);
    add_u32(out, key->occurrence);
    if (len) buf_add(out, answer, len);
    if (out->full) return;
    char *frame = out->data + start;
    uint32_t sum = htole32(checksum(frame + JOURNAL_FRAME_BYTES, JOURNAL_KEY_BYTES + len, salt));
    memcpy(frame + 4, &sum, sizeof sum);
}

/* Nothing of the bytes is used before their checksum was found right, but for the size, which is bounded. */
size_t journal_record_read(const char *bytes, size_t len, uint64_t salt, journal_key_t *key,
                           const char **answer, size_t *answer_len, size_t *more) {
    *more = JOURNAL_RECORD_HEAD_BYTES;
    if (len < JOURNAL_RECORD_HEAD_BYTES) return 0;
    size_t size = u32_at(bytes);
    const char *body = bytes + JOURNAL_FRAME_BYTES;
    *more = 0;
    if (size < JOURNAL_KEY_BYTES || size > JOURNAL_KEY_BYTES + JOURNAL_ANSWER_BYTES_MAX) return 0;
    if (len < JOURNAL_FRAME_BYTES + size) {
        *more = JOURNAL_FRAME_BYTES + size;
        return 0;
    }
    if (checksum(body, size, salt) != u32_at(bytes + 4)) return 0;
    *key = (journal_key_t){.row = u64_at(body),
                           .hash_high = u64_at(body + 8),
                           .hash_low = u64_at(body + 16),
                           .occurrence = u32_at(body + 24)};
    *answer = body + JOURNAL_KEY_BYTES;
    *answer_len = size - JOURNAL_KEY_BYTES;
    return JOURNAL_FRAME_BYTES + size;
}

/* Reads on until `window`, which begins at byte `at` of the file, has `want` bytes; fewer at the end of the
 * file. */
static int fill(int fd, const char *path, buf_t *window, size_t want, uint64_t at, err_t *err) {
    while (window->len < want) {
        size_t room = want - window->len > JOURNAL_READ_BYTES ? want - window->len : JOURNAL_READ_BYTES;
        char *to = buf_reserve(window, room);
        ssize_t n = to ? pread(fd, to, room, (off_t)(at + window->len)) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
        if (n == 0) return SDG_OK;
        window->len += (size_t)n;
    }
    return SDG_OK;
}

/* A window moves over the file. It grows only for a record that is larger than one read. */
int journal_file_scan(int fd, const char *path, uint64_t salt, journal_place_fn *visit, void *context,
                      uint64_t *end, err_t *err) {
    buf_t window;
    size_t used = 0, want = JOURNAL_RECORD_HEAD_BYTES;
    uint64_t base = JOURNAL_HEAD_BYTES; /* place in the file of the window's first byte */
    int rc = SDG_OK;
    bool going = true;
    buf_init(&window, 2 * (JOURNAL_RECORD_HEAD_BYTES + JOURNAL_ANSWER_BYTES_MAX));
    while (going && (rc = fill(fd, path, &window, want, base, err)) == SDG_OK && window.len >= want) {
        journal_key_t key;
        const char *answer;
        size_t answer_len, more, size;
        while (going && (size = journal_record_read(window.data + used, window.len - used, salt, &key,
                                                    &answer, &answer_len, &more)) > 0) {
            going = visit(context, &key, answer, answer_len, base + used);
            used += size;
        }
        if (going && more == 0) break;
        buf_cut_front(&window, used);
        base += used;
        used = 0;
        want = more;
    }
    *end = base + used;
    buf_free(&window);
    return rc;
}
