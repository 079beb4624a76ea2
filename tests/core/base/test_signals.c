/* Signals in the beginning, while main reads them, and in the end: each in a process of its own. */
#include "core/base/signals.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/ending.h"

enum { STOPPED = 5, SHORT = 6, FINE = 40, WRONG = 41 };

static char said[4096]; /* what the child said on stderr */

/* The exit code of a process that runs `body`; -1 when a signal has ended it. */
static int code_of(void (*body)(void)) {
    int ends[2], status;
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signals_init(STOPPED);
        ending_init(SHORT);
        ending_name("test");
        body();
        _exit(WRONG);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], said + len, sizeof said - 1 - len)) > 0;) {
        len += (size_t)n;
    }
    said[len] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void in_the_beginning(void) {
    signals_at_first(FINE, " before anything");
    raise(SIGTERM);
}

Test(signals, in_the_beginning_a_signal_ends_the_process_in_words) {
    cr_expect_eq(code_of(in_the_beginning), FINE);
    cr_expect_str_eq(said, "sdg test: stopped by SIGTERM before anything\n");
}

static void before_the_verb(void) { raise(SIGINT); }

Test(signals, before_anybody_has_said_what_runs_too) {
    cr_expect_eq(code_of(before_the_verb), STOPPED);
    cr_expect_str_eq(said, "sdg test: stopped by SIGINT\n");
}

static void blocked_by_the_parent(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signals_init(STOPPED);
    raise(SIGTERM);
}

Test(signals, that_a_parent_has_blocked_are_answered) {
    cr_expect_eq(code_of(blocked_by_the_parent), STOPPED);
}

static void read_by_main(void) {
    bool child = false;
    int fd = signals_open();
    if (fd < 0) _exit(WRONG);
    raise(SIGTERM);
    raise(SIGCHLD);
    raise(SIGHUP);
    raise(SIGPIPE);
    if (signals_take(fd, &child) != 2 || !child || signals_taken() != 2) _exit(WRONG);
    raise(SIGHUP); /* the shell says again what the kernel has said */
    if (signals_take(fd, &child) != 0 || signals_taken() != 2) _exit(WRONG);
    if (strcmp(signals_last(), "SIGTERM") != 0) _exit(WRONG); /* the kernel gives the lower number first */
    raise(SIGINT);
    if (signals_take(fd, NULL) != 1 || strcmp(signals_last(), "SIGINT") != 0) _exit(WRONG);
    _exit(FINE);
}

Test(signals, main_reads_and_counts_them) { cr_expect_eq(code_of(read_by_main), FINE); }

static void one_in_the_end(void) {
    int fd = signals_open();
    signals_close(&fd);
    if (fd != -1) _exit(WRONG);
    raise(SIGTERM);
    _exit(FINE);
}

Test(signals, in_the_end_the_first_lets_it_go_on) {
    cr_expect_eq(code_of(one_in_the_end), FINE);
    cr_expect_str_eq(said, "");
}

static void two_in_the_end(void) {
    int fd = signals_open();
    signals_close(&fd);
    raise(SIGTERM);
    raise(SIGINT);
}

Test(signals, in_the_end_the_second_ends_at_once) {
    cr_expect_eq(code_of(two_in_the_end), STOPPED);
    cr_expect_not_null(strstr(said, "sdg test: stopped at once"));
}

static void a_drain_and_one_in_the_end(void) {
    int fd = signals_open();
    raise(SIGTERM);
    signals_take(fd, NULL);
    raise(SIGINT); /* nobody reads it any more */
    signals_close(&fd);
}

Test(signals, one_that_nobody_has_read_counts_in_the_end) {
    cr_expect_eq(code_of(a_drain_and_one_in_the_end), STOPPED);
}

static void hung_up(void) {
    signal(SIGHUP, SIG_IGN);
    signals_init(STOPPED);
    raise(SIGHUP);
    int fd = signals_open();
    raise(SIGHUP);
    _exit(signals_take(fd, NULL) == 0 ? FINE : WRONG);
}

Test(signals, a_hangup_that_nohup_keeps_away_stays_away) { cr_expect_eq(code_of(hung_up), FINE); }

/* ---- ending.h */

static char folder[] = "/tmp/sdg-test-signals-XXXXXX";
static char file[64], kept[64];

static void leaves_things(void) {
    ending_remove(file);
    ending_remove(kept);
    ending_remove(folder);
    ending_keep(kept);
    ending_now(FINE, "enough");
}

Test(ending, removes_what_it_was_told) {
    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/socket", folder);
    snprintf(kept, sizeof kept, "%s-kept", folder);
    cr_assert_eq(fclose(fopen(file, "w")), 0);
    cr_assert_eq(fclose(fopen(kept, "w")), 0);
    cr_expect_eq(code_of(leaves_things), FINE);
    cr_expect_str_eq(said, "sdg test: enough\n");
    cr_expect_neq(access(folder, F_OK), 0);
    cr_expect_eq(access(kept, F_OK), 0);
    unlink(kept);
}

static void takes_too_much(void) { ending_short("no memory for 17 bytes"); }

Test(ending, a_shortage_is_a_sentence_and_the_code_it_was_given) {
    cr_expect_eq(code_of(takes_too_much), SHORT);
    cr_expect_not_null(strstr(said, "sdg test: no memory for 17 bytes: it ends here"));
    cr_expect_not_null(strstr(said, "the same command continues"));
}
