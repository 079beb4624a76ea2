/* scratch.h - files for the tests of core/data: a folder of its own per test, bytes in and out, gzip and zstd
 * members. */
#ifndef SDG_TESTS_CORE_DATA_SCRATCH_H
#define SDG_TESTS_CORE_DATA_SCRATCH_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/buf.h"

static char scratch_folder[64];

static inline void scratch_begin(void) {
    strcpy(scratch_folder, "/tmp/sdg-test-data-XXXXXX");
    cr_assert(mkdtemp(scratch_folder));
}

/* Where a sync costs nothing, for tests with thousands of them. */
static inline void scratch_begin_in_memory(void) {
    strcpy(scratch_folder,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/sdg-test-data-XXXXXX" : "/tmp/sdg-test-data-XXXXXX");
    cr_assert(mkdtemp(scratch_folder));
}

static inline void scratch_end(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_folder);
    cr_assert(system(command) == 0);
}

/* The path of a name in the folder; four live at a time. */
static inline const char *scratch_path(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline const char *scratch_write(const char *name, const void *bytes, size_t n) {
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
    return path;
}

static inline const char *scratch_text(const char *name, const char *text) {
    return scratch_write(name, text, strlen(text));
}

/* The whole file, NUL-terminated; valid until seven more were read. */
static inline const char *scratch_read(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    static buf_t all[8];
    static int next;
    buf_t *b = &all[next++ % 8];
    buf_free(b);
    buf_init(b, (size_t)1 << 30);
    buf_add(b, "", 0);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        buf_add(b, block, n);
    fclose(f);
    if (len) *len = b->len;
    return b->data ? b->data : "";
}

/* Adds one gzip member or zstd frame. */
static inline void add_gzip(buf_t *out, const char *bytes, size_t n) {
    z_stream z = {0};
    cr_assert(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t bound = deflateBound(&z, n);
    z.next_out = (unsigned char *)buf_reserve(out, bound);
    z.avail_out = (uInt)bound;
    z.next_in = (unsigned char *)bytes;
    z.avail_in = (uInt)n;
    cr_assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->len += bound - z.avail_out;
    deflateEnd(&z);
}

static inline void add_zstd(buf_t *out, const char *bytes, size_t n) {
    size_t bound = ZSTD_compressBound(n);
    size_t made = ZSTD_compress(buf_reserve(out, bound), bound, bytes, n, 3);
    cr_assert(!ZSTD_isError(made));
    out->len += made;
}

#endif
