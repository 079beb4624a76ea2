/* Log lines: what reaches stderr, byte by byte. */
#include "core/base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs `act` with stderr going to a file and gives what was written; the caller frees. */
static char *captured(void (*act)(void)) {
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    act();
    dup2(saved, STDERR_FILENO);
    close(saved);
    long size = lseek(fileno(file), 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    cr_assert_eq(pread(fileno(file), text, (size_t)size, 0), size);
    fclose(file);
    return text;
}

static void one_warning(void) { log_warn("scheduler", "job %d: lease %d expired", 42, 7); }

Test(log, a_line_names_time_level_actor_and_what) {
    char *text = captured(one_warning);
    int h, m, s, ms, used = 0;
    cr_assert_eq(sscanf(text, "%2d:%2d:%2d.%3d %n", &h, &m, &s, &ms, &used), 4, "%s", text);
    cr_assert_str_eq(text + used, "warn  scheduler: job 42: lease 7 expired\n");
    free(text);
}

static void quiet_levels(void) {
    log_debug("x", "hidden");
    log_set_level(LEVEL_ERROR);
    log_warn("x", "hidden too");
    log_set_level(LEVEL_INFO);
}

Test(log, lower_levels_are_silent) {
    char *text = captured(quiet_levels);
    cr_assert_str_empty(text);
    free(text);
    cr_assert_not(log_enabled(LEVEL_DEBUG));
}

static void foreign_text(void) { log_info("llm", "server said: %s", "a\nfake line\x1b[31m"); }

Test(log, foreign_control_characters_cannot_make_lines) {
    char *text = captured(foreign_text);
    cr_assert(strstr(text, "server said: a fake line [31m\n"), "%s", text);
    free(text);
}

static void with_status(void) {
    log_set_status_line("10/100 rows");
    log_info("client", "hello");
    log_set_status_line(NULL);
    log_set_status_line("");
}

Test(log, the_status_line_is_cleared_and_drawn_again) {
    char *text = captured(with_status);
    cr_assert_eq(strncmp(text, "\r\033[K10/100 rows\r\033[K", 19), 0);
    const char *rest = strstr(text, "client: hello\n");
    cr_assert_not_null(rest);
    cr_assert_str_eq(rest, "client: hello\n10/100 rows\r\033[K");
    free(text);
}

static void *chatter(void *arg) {
    for (int i = 0; i < 200; i++)
        log_info((const char *)arg, "line of a thread, always the same length");
    return NULL;
}

static void two_threads(void) {
    pthread_t a, b;
    pthread_create(&a, NULL, chatter, "one");
    pthread_create(&b, NULL, chatter, "two");
    pthread_join(a, NULL);
    pthread_join(b, NULL);
}

Test(log, lines_of_threads_do_not_mix) {
    char *text = captured(two_threads);
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
        cr_assert_eq(strlen(line), strlen("12:34:56.789 info  one: line of a thread, always the same length"),
                     "%s", line);
    cr_assert_eq(lines, 400);
    free(text);
}

Test(log, due_is_at_most_once_per_interval) {
    uint64_t last = 0;
    cr_assert(log_due(&last, 0, 10));
    cr_assert_not(log_due(&last, 5, 10));
    cr_assert(log_due(&last, 20, 10));
    cr_assert_not(log_due(&last, 29, 10));
    cr_assert(log_due(&last, 30, 10));
    cr_assert_not(log_due(&last, 25, 10), "another thread was later");
}
