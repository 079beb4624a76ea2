/* fuzz_output - any bytes as an existing output (plain, .gz or .zst by the first byte; the second gives the
 * options): opening must not crash, a refusal must leave the file as it was, and whole lines of a plain
 * output are never lost: they stay, or are rejected. What was opened once opens again with the same rows and
 * one more. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/data/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const NAMES[] = {"o.jsonl", "o.jsonl.gz", "o.jsonl.zst"};

static void put_file(const char *path, const uint8_t *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void get_file(const char *path, buf_t *out) {
    char block[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert(fd >= 0);
    buf_init(out, (size_t)64 << 20);
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;)
        buf_add(out, block, (size_t)n);
    close(fd);
}

/* Up to the last newline everything is as it was; behind it nothing, or all there was and its missing
 * newline. */
static void check_plain(const uint8_t *bytes, size_t n, const buf_t *after) {
    const uint8_t *newline = n ? memrchr(bytes, '\n', n) : NULL;
    size_t whole = newline ? (size_t)(newline - bytes) + 1 : 0;
    bool completed = after->len == n + 1 && after->data[n] == '\n';
    bool blank_tail = after->len == n; /* white space behind the last newline may stay */
    assert(after->len == whole || completed || blank_tail);
    assert(after->len == 0 || memcmp(after->data, bytes, completed ? n : after->len) == 0);
}

static void check_again(const char *path, uint64_t rows_before) {
    static const char ROW[] = "{\"_row_index\": 999999999999999999}";
    writer_options_t options = {0};
    writer_resumed_t found;
    writer_t *w = writer_open(path, &options, NULL, NULL);
    assert(w && rangeset_count(writer_finished(w)) == rows_before);
    int added = writer_add(w, UINT64_C(999999999999999999), ROW, sizeof ROW - 1, NULL);
    assert(added >= 0);
    writer_close(&w);
    w = writer_open(path, &options, &found, NULL);
    assert(w && found.torn_bytes == 0 && found.rows_ok + found.rows_failed == rows_before + (added == 0));
    writer_close(&w);
}

static void check(const char *path, const uint8_t *bytes, size_t n, bool plain, bool retry_failed) {
    err_t err = {0};
    writer_resumed_t found;
    writer_options_t options = {.retry_failed = retry_failed};
    buf_t after;
    put_file(path, bytes, n);
    writer_t *w = writer_open(path, &options, &found, &err);
    uint64_t rows = w ? rangeset_count(writer_finished(w)) : 0;
    bool opened = w;
    assert(opened || err.text[0]);
    writer_close(&w);
    get_file(path, &after);
    if (!opened) assert(after.len == n && (n == 0 || memcmp(after.data, bytes, n) == 0));
    if (opened && plain && found.rows_retried + found.lines_rejected == 0) check_plain(bytes, n, &after);
    buf_free(&after);
    if (opened) check_again(path, rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static char folder[] = "/dev/shm/sdg-fuzz-output-XXXXXX";
    static bool made;
    if (n < 2) return 0;
    if (!made) {
        assert(mkdtemp(folder));
        made = true;
    }
    char path[128], run_file[160], rejected[160];
    unsigned kind = bytes[0] % 3;
    snprintf(path, sizeof path, "%s/%s", folder, NAMES[kind]);
    snprintf(run_file, sizeof run_file, "%s.sdg", path);
    snprintf(rejected, sizeof rejected, "%s.rejected", path);
    unlink(run_file);
    unlink(rejected);
    check(path, bytes + 2, n - 2, kind == 0, bytes[1] & 1);
    return 0;
}
