/* fuzz_run_file - any bytes as X.sdg: it is of this run, of another one (in words), or refused in words; it
 * is never changed by being looked at; what a run has written is of
 * that run and of no other; and when a byte of that is changed it is said. */
#include "tests/fuzz/input.h"

#include <fcntl.h>

#include "core/base/buf.h"
#include "core/data/run_file.h"

static char folder[] = "/dev/shm/sdg-fuzz-run-file-XXXXXX";
static char output[64], path[72];

static void make_folder(void) {
    if (output[0]) return;
    if (!mkdtemp(folder)) abort();
    snprintf(output, sizeof output, "%s/o", folder);
    snprintf(path, sizeof path, "%s.sdg", output);
}

static void put(const char *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) abort();
    close(fd);
}

static size_t get(char *out, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room);
    if (n < 0) abort();
    close(fd);
    return (size_t)n;
}

static void check_look(const char *bytes, size_t len, const run_identity_t *now) {
    run_match_t match;
    run_file_sums_t sums;
    err_t err = {0};
    int rc = run_file_check(output, now, &match, &err);
    CHECK(rc == 0 || (rc < 0 && err.text[0]), "%d without a word", rc);
    CHECK(rc != 0 || len > 0 || match == RUN_ABSENT, "%d of no bytes", (int)match);
    CHECK(rc != 0 || (match != RUN_DIFFERS && match != RUN_DAMAGED) || err.text[0], "refused without a word");
    err = (err_t){0};
    rc = run_file_check_ours(output, &err);
    CHECK(rc == 0 || err.text[0], "not ours without a word");
    if (run_file_read_sums(output, &sums, &err) == 0) line_blocks_free(&sums.blocks);
    char *after = malloc(len + 2);
    CHECK(get(after, len + 2) == len && (len == 0 || memcmp(after, bytes, len) == 0), "it was changed");
    free(after);
}

static void check_same(const run_identity_t *now) {
    run_match_t match;
    run_file_sums_t sums;
    err_t err = {0};
    CHECK(run_file_check(output, now, &match, &err) == 0 && match == RUN_SAME, "%s", err.text);
    CHECK(run_file_check_ours(output, &err) == 0, "%s", err.text);
    CHECK(run_file_read_sums(output, &sums, &err) == 0 && sums.damaged_lines == 0 && !sums.rewriting, "%s",
          err.text);
    line_blocks_free(&sums.blocks);
}

/* One byte of what a run has written becomes another: it is noticed, or it says the same. */
static void check_damage(const run_identity_t *now, unsigned at, uint8_t with) {
    char bytes[65536];
    run_match_t match;
    err_t err = {0};
    size_t len = get(bytes, sizeof bytes);
    if (len == 0 || len == sizeof bytes) return;
    bool changed = bytes[at % len] != (char)with, is_end = at % len == len - 1;
    bytes[at % len] = (char)with;
    put(bytes, len);
    int rc = run_file_check(output, now, &match, &err);
    CHECK(rc < 0 || match == RUN_SAME || err.text[0], "damaged without a word");
    CHECK(!changed || is_end || rc < 0 || match != RUN_SAME, "byte %zu became %d, and nobody says so",
          at % len, with);
}

static void check_written(const run_identity_t *now, unsigned at, uint8_t with) {
    run_match_t match;
    err_t err = {0};
    run_file_t *file = run_file_new(output, now);
    line_blocks_t none = {0};
    CHECK(run_file_write(file, &none, &err) == 0, "%s", err.text);
    check_same(now);
    run_identity_t other = *now;
    other.input = now->input[0] ? "" : "x";
    CHECK(run_file_check(output, &other, &match, &err) == 0 && match == RUN_DIFFERS, "another input");
    check_damage(now, at, with);
    CHECK(run_file_write(file, &none, &err) == 0, "%s", err.text);
    check_same(now);
    run_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    size_t len;
    char *pipeline = fuzz_line(&in, NULL), *input = fuzz_line(&in, NULL), *options = fuzz_line(&in, NULL);
    char *file = fuzz_rest(&in, &len);
    run_identity_t now = {.pipeline = pipeline, .input = input, .options = options};
    make_folder();
    put(file, len);
    check_look(file, len, &now);
    check_written(&now, (unsigned)len * 7 + (unsigned char)(len ? file[0] : 0),
                  (uint8_t)(len ? file[len - 1] : 'x'));
    free(pipeline), free(input), free(options), free(file);
    return 0;
}
