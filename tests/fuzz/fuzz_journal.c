/* Arbitrary bytes as a journal file: opening never crashes, what it keeps can be found, and the file goes on.
 * The first byte chooses: the bytes as the whole file; behind a good head; or behind a good head and whole
 * records, which must all be kept. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/store/journal.h"
#include "core/store/journal_file.h"
#include "core/store/limits.h"

enum { SALT = 0x5d6 };

typedef struct seen {
    uint64_t count;
    journal_key_t last;
} seen_t;

static bool look(void *context, const journal_key_t *key, const char *answer, size_t len) {
    seen_t *seen = context;
    assert(len == 0 || answer[len - 1] == answer[len - 1]); /* readable to its end */
    seen->count++;
    seen->last = *key;
    return true;
}

static void go_on(const char *path, const seen_t *seen) {
    journal_found_t found;
    journal_t *j = journal_open(path, JOURNAL_MAKE, NULL, NULL, &found, NULL);
    if (!j) return;
    buf_t answer;
    buf_init(&answer, JOURNAL_ANSWER_BYTES_MAX);
    assert(found.records == seen->count);
    if (seen->count) assert(journal_find(j, &seen->last, &answer, NULL) == SDG_OK);
    journal_key_t key = {.row = 1, .hash_high = 2, .hash_low = 3, .occurrence = 4};
    assert(journal_add(j, &key, "x", 1, NULL) == SDG_OK && journal_flush(j, NULL) == SDG_OK);
    buf_free(&answer);
    journal_close(&j);
    j = journal_open(path, JOURNAL_MAKE, NULL, NULL, &found, NULL);
    assert(j && found.lost.torn_bytes == 0 && found.records == seen->count + 1);
    journal_close(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    buf_t file;
    char path[64];
    int whole = 0;
    if (size == 0) return 0;
    buf_init(&file, (size_t)1 << 24);
    if (data[0] % 3 > 0) journal_head_write(&file, SALT);
    for (; data[0] % 3 == 2 && whole < data[0] / 3; whole++) {
        journal_key_t key = {.row = (uint64_t)whole, .hash_high = size, .hash_low = data[size - 1]};
        journal_record_write(&file, SALT, &key, (const char *)data, size < 40 ? size : 40);
    }
    buf_add(&file, data + 1, size - 1);
    snprintf(path, sizeof path, "/dev/shm/sdg-fuzz-journal-%d", (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && file.len && write(fd, file.data, file.len) == (ssize_t)file.len) {
        seen_t seen = {0};
        journal_lost_t lost;
        if (journal_read(path, look, &seen, &lost, NULL) == SDG_OK) assert(seen.count >= (uint64_t)whole);
        go_on(path, &seen);
    }
    if (fd >= 0) close(fd);
    unlink(path);
    buf_free(&file);
    return 0;
}
