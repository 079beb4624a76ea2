/* output.c - see output.h. */
#include "core/data/output.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/result_line.h"
#include "core/data/limits.h"
#include "core/data/lines.h"

/* Is a file that begins with this line, of which `whole` says that a newline ended it, an output of ours? */
static bool begins_ours(const text_line_t *line) {
    static const char BEGIN[] = "{\"" RESULT_LINE_ROW "\"";
    result_line_t row;
    if (line->too_long) return false;
    if (result_line_read(line->bytes, line->len, &row, NULL) == 0) return true;
    return !line->whole && line->len < RESULT_LINE_BYTES_MAX && line->len >= sizeof BEGIN - 1 &&
           memcmp(line->bytes, BEGIN, sizeof BEGIN - 1) == 0;
}

/* The first line that is not blank decides; no more than the longest line is read. A compressed file that is
 * torn in its first member gives that line all the same, if it is whole. */
int output_check_ours(int fd, const char *path, stream_coding_t coding, err_t *err) {
    struct stat st;
    if (lseek(fd, 0, SEEK_SET) < 0 || fstat(fd, &st) != 0)
        return err_set(err, SDG_EIO, "%s: cannot be read: %s", path, strerror(errno));
    if (st.st_size == 0) return 0;
    stream_t *stream = stream_from_fd(fd, path, coding);
    stream_limit(stream, RESULT_LINE_BYTES_MAX);
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    text_line_t line;
    int got;
    while ((got = lines_next(lines, &line, NULL)) > 0 && !line.too_long && line_blank(line.bytes, line.len)) {
    }
    bool ours = got > 0 && begins_ours(&line);
    lines_destroy(&lines);
    stream_close(&stream);
    if (ours) return 0;
    return err_set(
        err, SDG_EINVAL,
        "%s is not an output of sdg (its first line has no " RESULT_LINE_ROW
        "), and --overwrite would destroy it: nothing was changed; name another file with --output",
        path);
}

int output_lock(int fd, const char *path, err_t *err) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, SDG_EINVAL,
                       "%s is being written by another run: wait for it, or choose another output", path);
    if (errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP && errno != EINVAL)
        return err_set(err, SDG_EIO, "%s: cannot be locked: %s", path, strerror(errno));
    log_warn("writer", "%s: this file system has no locks: do not start a second run with this output", path);
    return 0;
}
