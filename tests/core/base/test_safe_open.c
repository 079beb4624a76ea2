/* Opening files that somebody else may have prepared. */
#include "tests/core/data/scratch.h"

#include "core/base/safe_open.h"

#include <errno.h>
#include <limits.h>

TestSuite(safe_open, .init = scratch_begin, .fini = scratch_end);

static void expect_refused(int fd, int error) {
    cr_assert_eq(fd, -1);
    cr_assert_eq(errno, error, "%s", strerror(errno));
}

static void expect_opened(int fd) {
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    close(fd);
}

Test(safe_open, opens_ordinary_files_only) {
    const char *file = scratch_text("file", "x"), *link = scratch_path("link"), *pipe = scratch_path("pipe");
    cr_assert(symlink(file, link) == 0 && mkfifo(pipe, 0600) == 0);
    expect_opened(safe_open_ordinary(file, O_RDWR, 0));
    expect_refused(safe_open_ordinary(link, O_RDWR, 0), ELOOP);
    expect_refused(safe_open_ordinary(pipe, O_RDONLY, 0), EMEDIUMTYPE);
    expect_refused(safe_open_ordinary(scratch_folder, O_RDONLY, 0), EMEDIUMTYPE);
    expect_refused(safe_open_ordinary("/dev/zero", O_RDONLY, 0), EMEDIUMTYPE);
    expect_refused(safe_open_ordinary(scratch_path("none"), O_RDONLY, 0), ENOENT);
}

Test(safe_open, a_fresh_file_replaces_what_is_there) {
    const char *old = scratch_text("x.new", "left over"), *victim = scratch_text("victim", "somebody's");
    int fd = safe_open_fresh(old, O_WRONLY, 0600);
    cr_assert(fd >= 0 && write(fd, "new", 3) == 3 && close(fd) == 0);
    cr_assert_str_eq(scratch_read(old, NULL), "new");
    cr_assert(unlink(old) == 0 && symlink(victim, old) == 0);
    fd = safe_open_fresh(old, O_WRONLY, 0600);
    cr_assert(fd >= 0 && write(fd, "new", 3) == 3 && close(fd) == 0);
    cr_assert_str_eq(scratch_read(victim, NULL), "somebody's");
    cr_assert(mkdir(scratch_path("folder"), 0700) == 0 && mkfifo(scratch_path("pipe"), 0600) == 0);
    expect_refused(safe_open_fresh(scratch_path("pipe"), O_WRONLY, 0600), EEXIST);
    cr_assert_eq(safe_open_fresh(scratch_path("folder"), O_WRONLY, 0600), -1);
}

static int open_below(const char *folder, const char *path) {
    char root[PATH_MAX];
    cr_assert(realpath(folder, root));
    const char *folders[] = {"/nowhere", root};
    return safe_open_below(path, folders, 2);
}

Test(safe_open, below_a_folder_and_nowhere_else) {
    char inside[256], outside[256], above[300];
    snprintf(inside, sizeof inside, "%s/in", scratch_folder);
    snprintf(outside, sizeof outside, "%s/in-not", scratch_folder); /* begins with the same letters */
    cr_assert(mkdir(inside, 0700) == 0 && mkdir(outside, 0700) == 0);
    scratch_text("in/a", "x");
    scratch_text("in-not/secret", "x");
    snprintf(above, sizeof above, "%s/../in-not/secret", inside);
    cr_assert_eq(symlink("a", scratch_path("in/good")), 0);
    cr_assert_eq(symlink("in/a", scratch_path("way")), 0);
    cr_assert_eq(symlink("../in-not/secret", scratch_path("in/bad")), 0);
    cr_assert_eq(symlink("../in-not", scratch_path("in/door")), 0);
    cr_assert_eq(mkfifo(scratch_path("in/pipe"), 0600), 0);
    expect_opened(open_below(inside, scratch_path("in/a")));
    expect_opened(open_below(inside, scratch_path("in/good")));
    expect_opened(open_below(inside, scratch_path("in/../in/./a")));
    expect_opened(open_below(inside, scratch_path("way")));
    expect_opened(open_below("/", "/proc/self/status"));
    expect_refused(open_below(inside, scratch_path("in/bad")), EXDEV);
    expect_refused(open_below(inside, scratch_path("in/door/secret")), EXDEV);
    expect_refused(open_below(inside, scratch_path("in-not/secret")), EXDEV);
    expect_refused(open_below(inside, above), EXDEV);
    expect_refused(open_below(inside, "/etc/passwd"), EXDEV);
    expect_refused(open_below(inside, "/dev/zero"), EXDEV);
    expect_refused(open_below("/dev", "/dev/zero"), EMEDIUMTYPE);
    expect_refused(open_below(inside, scratch_path("in/pipe")), EMEDIUMTYPE);
    expect_refused(open_below(inside, inside), EXDEV);
    expect_refused(open_below(inside, scratch_path("in/none")), ENOENT);
    expect_refused(safe_open_below(scratch_path("in/a"), NULL, 0), EXDEV);
}
