/* Folders of processes that were killed. */
#include "tests/core/data/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "core/base/leftovers.h"

TestSuite(leftovers, .init = scratch_begin, .fini = scratch_end);

static void make_old(const char *path) {
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool is_there(const char *path) { return access(path, F_OK) == 0; }

static void remove_empty(const char *path) { cr_assert_eq(rmdir(path), 0); }

static unsigned sweep(void) { return leftovers_sweep(scratch_folder, remove_empty); }

Test(leftovers, a_folder_is_ours_until_its_descriptor_is_closed) {
    char path[100];
    struct stat st;
    snprintf(path, sizeof path, "%s/" LEFTOVERS_RUN "XXXXXX", scratch_folder);
    int fd = leftovers_make(path);
    cr_assert(fd >= 0 && stat(path, &st) == 0 && (st.st_mode & 0777) == 0700);
    cr_assert(sweep() == 0 && is_there(path));
    close(fd);
    cr_assert(sweep() == 1 && !is_there(path));
}

Test(leftovers, a_killed_process_leaves_one_behind) {
    char path[100];
    int ready[2];
    snprintf(path, sizeof path, "%s/" LEFTOVERS_PYTHON "XXXXXX", scratch_folder);
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (leftovers_make(path) < 0 || write(ready[1], path, sizeof path) < 0) _exit(1);
        pause();
        _exit(0);
    }
    cr_assert_eq(read(ready[0], path, sizeof path), sizeof path);
    cr_assert(sweep() == 0 && is_there(path));
    cr_assert(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    cr_assert(sweep() == 1 && !is_there(path));
}

static void expect_kept(const char *name, mode_t mode, bool old) {
    const char *path = scratch_path(name);
    cr_assert(mkdir(path, mode) == 0 && chmod(path, mode) == 0);
    if (old) make_old(path);
    cr_assert(sweep() == 0 && is_there(path), "%s", name);
}

Test(leftovers, what_a_process_had_no_time_to_name_goes_when_it_is_old) {
    const char *path = scratch_path("sdg-new-abcdef");
    cr_assert(mkdir(path, 0700) == 0);
    make_old(path);
    cr_assert(sweep() == 1 && !is_there(path));
}

Test(leftovers, a_folder_that_cannot_be_made_is_an_error) {
    char path[] = "/no/such/" LEFTOVERS_RUN "XXXXXX";
    cr_assert_eq(leftovers_make(path), -1);
    cr_assert_eq(errno, ENOENT);
}

Test(leftovers, others_are_left_alone) {
    expect_kept("sdg-new-abcdef", 0700, false); /* too young: it may be about to be locked and named */
    expect_kept("sdg-run-abcdeg", 0755, true);  /* not made like ours */
    expect_kept("sdg-run-abcdefg", 0700, true);
    expect_kept("sdg-other-abcdef", 0700, true);
    expect_kept("mine", 0700, true);
    cr_assert_eq(symlink("mine", scratch_path("sdg-run-link00")), 0);
    scratch_text("sdg-run-file00", "a file");
    cr_assert_eq(sweep(), 0);
    cr_assert_eq(leftovers_sweep("/no/such/folder", remove_empty), 0);
}
