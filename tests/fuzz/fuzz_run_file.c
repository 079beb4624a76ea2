/* fuzz_run_file - any bytes as X.sdg: it is of this run, of another one (in words), or refused in words; it
 * is never changed by being looked at; and what a run has written is of that run and of no other. */
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
    err_t err = {0};
    int rc = run_file_check(output, now, &match, &err);
    CHECK(rc == 0 || (rc < 0 && err.text[0]), "%d without a word", rc);
    CHECK(rc != 0 || (match == RUN_ABSENT) == (len == 0), "%zu bytes", len);
    CHECK(rc != 0 || match != RUN_DIFFERS || err.text[0], "differs without a word");
    err = (err_t){0};
    rc = run_file_check_ours(output, &err);
    CHECK(rc == 0 || err.text[0], "not ours without a word");
    run_file_sums_t sums;
    CHECK(run_file_read_sums(output, &sums, &err) == 0, "%s", err.text);
    line_blocks_free(&sums.blocks);
    char *after = malloc(len + 2);
    CHECK(get(after, len + 2) == len && (len == 0 || memcmp(after, bytes, len) == 0), "it was changed");
    free(after);
}

static void check_written(const run_identity_t *now) {
    run_match_t match;
    err_t err = {0};
    line_blocks_t blocks = {0};
    line_blocks_add(&blocks, &(line_block_t){3, 2, 7, UINT64_MAX});
    run_file_t *file = run_file_new(output, now);
    CHECK(run_file_write(file, &blocks, &err) == 0, "%s", err.text);
    blocks.items[0].lines++;
    run_file_append(file, &blocks);
    run_file_close(&file);
    run_file_sums_t sums;
    CHECK(run_file_read_sums(output, &sums, &err) == 0 && sums.damaged_lines == 0 && sums.blocks.count == 1 &&
              memcmp(sums.blocks.items, blocks.items, sizeof *blocks.items) == 0,
          "%zu blocks", sums.blocks.count);
    line_blocks_free(&sums.blocks);
    line_blocks_free(&blocks);
    CHECK(run_file_check(output, now, &match, &err) == 0 && match == RUN_SAME, "%s", err.text);
    CHECK(run_file_check_ours(output, &err) == 0, "%s", err.text);
    run_identity_t other = *now;
    other.input = now->input[0] ? "" : "x";
    CHECK(run_file_check(output, &other, &match, &err) == 0 && match == RUN_DIFFERS, "another input");
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
    check_written(&now);
    free(pipeline), free(input), free(options), free(file);
    return 0;
}
