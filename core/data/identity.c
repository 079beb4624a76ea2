/* identity.c - data_identity (reader.h): what tells one input file from another at a cost that does not grow
 * with the file.
 *
 * Up to IDENTITY_WHOLE_MAX every byte counts. Of a larger file the first and last MiB and evenly spread
 * samples count: an edit of a few bytes in its middle may go unseen; another size or another order of rows
 * does not.
 */
#include "core/data/reader.h"

#include "core/data/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { SAMPLES = 64 };
static const uint64_t IDENTITY_WHOLE_MAX = UINT64_C(8) << 20;
static const uint64_t EDGE_BYTES = UINT64_C(1) << 20;
static const uint64_t SAMPLE_BYTES = UINT64_C(64) << 10;

/* Adds the file's bytes [from, from + count) to the hash. 0, or -1 with errno. A file that has become shorter
 * meanwhile is hashed up to its end. */
static int hash_part(XXH3_state_t *hash, int fd, uint64_t from, uint64_t count, char *block) {
    while (count > 0) {
        ssize_t n = pread(fd, block, count < DATA_READ_BYTES ? count : DATA_READ_BYTES, (off_t)from);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return (int)n;
        XXH3_128bits_update(hash, block, (size_t)n);
        from += (uint64_t)n;
        count -= (uint64_t)n;
    }
    return 0;
}

/* Adds the whole file or its samples to the hash. 0, or -1 with errno. */
static int hash_file(XXH3_state_t *hash, int fd, uint64_t size) {
    char *block = xmalloc(DATA_READ_BYTES);
    int rc;
    if (size <= IDENTITY_WHOLE_MAX) {
        rc = hash_part(hash, fd, 0, size, block);
    } else {
        rc = hash_part(hash, fd, 0, EDGE_BYTES, block);
        uint64_t between = size - 2 * EDGE_BYTES - SAMPLE_BYTES; /* > 0: the file is larger than 8 MiB */
        for (uint64_t i = 0; i < SAMPLES && rc == 0; i++)
            rc = hash_part(hash, fd, EDGE_BYTES + between / (SAMPLES - 1) * i, SAMPLE_BYTES, block);
        if (rc == 0) rc = hash_part(hash, fd, size - EDGE_BYTES, EDGE_BYTES, block);
    }
    free(block);
    return rc;
}

static int identity_of_fd(int fd, uint64_t size, char *out, size_t out_size) {
    XXH3_state_t *hash = XXH3_createState();
    if (!hash) return -1;
    XXH3_128bits_reset(hash);
    int rc = hash_file(hash, fd, size);
    XXH128_hash_t h = XXH3_128bits_digest(hash);
    XXH3_freeState(hash);
    snprintf(out, out_size, "%" PRIu64 "-%016" PRIx64 "%016" PRIx64, size, (uint64_t)h.high64,
             (uint64_t)h.low64);
    return rc;
}

/* stdin and pipes cannot be read twice: their identity is a fixed word. */
int data_identity(const char *path, char *out, size_t out_size, err_t *err) {
    struct stat st;
    if (strcmp(path, "-") == 0) {
        snprintf(out, out_size, "stdin");
        return 0;
    }
    if (stat(path, &st) != 0)
        return err_set(err, errno == ENOENT ? SDG_ENOTFOUND : SDG_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) {
        snprintf(out, out_size, "stream");
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : identity_of_fd(fd, (uint64_t)st.st_size, out, out_size);
    int error = errno;
    if (fd >= 0) close(fd);
    return rc == 0 ? 0 : err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(error));
}
