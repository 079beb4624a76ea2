/* The written side of an output: batches go down whole, and a failed one leaves whole lines and a broken
 * sink. */
#include "tests/core/data/scratch.h"

#include <signal.h>
#include <sys/resource.h>

#include "core/data/sink.h"

TestSuite(sink, .init = scratch_begin, .fini = scratch_end);

static int appending(const char *path) { return open(path, O_RDWR | O_CREAT | O_APPEND, 0666); }

static void limit_files_to(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, RLIM_INFINITY});
}

Test(sink, batches_are_appended) {
    const char *path = scratch_text("o", "zero\n");
    sink_t *s = sink_new(appending(path), path, STREAM_PLAIN);
    cr_assert(sink_regular(s) && !sink_compresses(s));
    cr_assert_eq(sink_write(s, "one\ntwo\n", 8, NULL), 0);
    cr_assert_eq(sink_write(s, "", 0, NULL), 0);
    cr_assert_eq(sink_write(s, "three\n", 6, NULL), 0);
    cr_assert_eq(sink_sync(s, NULL), 0);
    cr_assert_eq(sink_broken(s, NULL), 0);
    sink_close(&s);
    cr_assert_null(s);
    cr_assert_str_eq(scratch_read(path, NULL), "zero\none\ntwo\nthree\n");
}

/* Each batch is one member: what was written before can be read however the next one ends. */
static void check_members(const char *name) {
    const char *path = scratch_path(name);
    sink_t *s = sink_new(appending(path), path, stream_coding_of(path));
    cr_assert(sink_compresses(s));
    cr_assert_eq(sink_write(s, "one\n", 4, NULL), 0);
    struct stat first;
    cr_assert(stat(path, &first) == 0 && first.st_size > 0);
    cr_assert_eq(sink_write(s, "two\n", 4, NULL), 0);
    sink_close(&s);
    char text[20];
    size_t len = 0;
    stream_t *from = stream_open(path, NULL);
    for (ssize_t n; (n = stream_read(from, text + len, sizeof text - len, NULL)) > 0;) {
        len += (size_t)n;
        if (len == 4) cr_assert_eq(stream_member_end(from), (uint64_t)first.st_size);
    }
    cr_assert(len == 8 && memcmp(text, "one\ntwo\n", 8) == 0);
    stream_close(&from);
}

Test(sink, gzip_batches_are_members) { check_members("o.gz"); }
Test(sink, zstd_batches_are_frames) { check_members("o.zst"); }

Test(sink, a_failed_write_leaves_whole_lines_and_breaks_the_sink) {
    const char *path = scratch_path("o");
    sink_t *s = sink_new(appending(path), path, STREAM_PLAIN);
    err_t err = {0};
    limit_files_to(10);
    cr_assert_eq(sink_write(s, "one\n", 4, NULL), 0);
    cr_assert_eq(sink_write(s, "two\nthree\n", 10, &err), SDG_ENOSPACE);
    limit_files_to(RLIM_INFINITY);
    cr_assert(strstr(err.text, path) && strstr(err.text, "make room and run again"), "%s", err.text);
    cr_assert_eq(sink_write(s, "four\n", 5, NULL), SDG_ENOSPACE, "the first failure is repeated");
    cr_assert_eq(sink_sync(s, NULL), SDG_ENOSPACE);
    cr_assert_eq(sink_broken(s, NULL), SDG_ENOSPACE);
    sink_close(&s);
    cr_assert_str_eq(scratch_read(path, NULL), "one\ntwo\n");
}

Test(sink, a_pipe_is_written_and_never_cut) {
    int ends[2];
    char got[20];
    err_t err = {0};
    signal(SIGPIPE, SIG_IGN);
    cr_assert(pipe(ends) == 0);
    sink_t *s = sink_new(ends[1], "pipe", STREAM_PLAIN);
    cr_assert_not(sink_regular(s));
    cr_assert_eq(sink_write(s, "one\n", 4, NULL), 0);
    cr_assert_eq(sink_sync(s, NULL), 0);
    cr_assert_eq(read(ends[0], got, sizeof got), 4);
    close(ends[0]);
    cr_assert_eq(sink_write(s, "two\n", 4, &err), SDG_EIO);
    sink_close(&s);
}
