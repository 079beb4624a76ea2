/* input.h - the bytes of one execution of a fuzz target, taken from the front: numbers, lines, the rest.
 * Behind the last byte there are zeros and empty lines, so a target need not ask how many are left. */
#ifndef SDG_TESTS_FUZZ_INPUT_H
#define SDG_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input_t;

/* Unlike assert it says what does not hold. */
#define CHECK(holds, ...)                                      \
    do {                                                       \
        if (!(holds)) {                                        \
            fprintf(stderr, "does not hold: %s: ", #holds);    \
            fprintf(stderr, __VA_ARGS__), fputc('\n', stderr); \
            abort();                                           \
        }                                                      \
    } while (0)

static inline uint8_t fuzz_byte(fuzz_input_t *in) {
    if (in->left == 0) return 0;
    in->left--;
    return *in->at++;
}

static inline bool fuzz_more(const fuzz_input_t *in) { return in->left > 0; }

/* A number of that many bytes, the lowest first. */
static inline uint64_t fuzz_number(fuzz_input_t *in, unsigned bytes) {
    uint64_t n = 0;
    for (unsigned i = 0; i < bytes; i++)
        n |= (uint64_t)fuzz_byte(in) << 8 * i;
    return n;
}

/* So many bytes, at most those that are left; in memory of exactly that size and a NUL, so that each byte
 * read behind it is seen. The caller frees. */
static inline char *fuzz_bytes(fuzz_input_t *in, size_t len) {
    if (len > in->left) len = in->left;
    char *bytes = malloc(len + 1);
    if (!bytes) abort();
    if (len) memcpy(bytes, in->at, len);
    bytes[len] = '\0';
    in->at += len;
    in->left -= len;
    return bytes;
}

/* The bytes up to the next newline, which is left out. `len` may be NULL. The caller frees. */
static inline char *fuzz_line(fuzz_input_t *in, size_t *len) {
    const uint8_t *end = in->left ? memchr(in->at, '\n', in->left) : NULL;
    size_t n = end ? (size_t)(end - in->at) : in->left;
    char *line = fuzz_bytes(in, n);
    if (end) fuzz_byte(in);
    if (len) *len = n;
    return line;
}

static inline char *fuzz_rest(fuzz_input_t *in, size_t *len) {
    *len = in->left;
    return fuzz_bytes(in, in->left);
}

/* A file in memory with these bytes; `path` (of FUZZ_PATH_BYTES) is where it can be opened again. The caller
 * closes the descriptor. */
enum { FUZZ_PATH_BYTES = 64 };
static inline int fuzz_file(const void *bytes, size_t len, char *path) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (len && write(fd, bytes, len) != (ssize_t)len)) abort();
    snprintf(path, FUZZ_PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
