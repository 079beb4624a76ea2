/* stress_log - four threads log while a fifth redraws the status line and changes the level; run under TSan.
 *
 * stderr is a pipe that is read here: every line must arrive once and whole, whatever was drawn around it,
 * and log_due must let one thread through per period. */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"

enum { THREADS = 4, LINES = 4000, PERIOD = 10 };

static pthread_barrier_t start;
static uint64_t last_due; /* shared, as a static at a call site is */
static _Atomic unsigned due_count, running = THREADS;

static void *log_lines(void *arg) {
    unsigned me = (unsigned)(size_t)arg;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < LINES; i++) {
        log_warn("stress", "thread %u line %u.", me, i);
        log_debug("stress", "never shown");
        if (log_due(&last_due, i, PERIOD)) due_count++;
    }
    running--;
    return NULL;
}

static void *draw_status(void *arg) {
    char text[64];
    (void)arg;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; running > 0; i++) {
        snprintf(text, sizeof text, "drawn %u times", i);
        log_set_status_line(i % 7 ? text : NULL);
        log_set_level(i % 2 ? LEVEL_INFO : LEVEL_WARN);
    }
    log_set_status_line(NULL);
    return NULL;
}

/* A line of the log is what stands behind the last redrawing. */
static void check_line(const char *line, unsigned next[THREADS]) {
    const char *text = strstr(line, "warn  stress: ");
    unsigned thread, number;
    int used = 0;
    assert(text && !strstr(line, "never shown"));
    int n = sscanf(text, "warn  stress: thread %u line %u.%n", &thread, &number, &used);
    assert(n == 2 && text[used] == '\n' && thread < THREADS && number == next[thread]);
    next[thread]++;
}

static void *read_lines(void *arg) {
    unsigned next[THREADS] = {0};
    FILE *in = arg;
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, in)) > 0 && line[n - 1] == '\n';)
        check_line(line, next);
    for (unsigned i = 0; i < THREADS; i++)
        assert(next[i] == LINES);
    free(line);
    fclose(in);
    return NULL;
}

int main(void) {
    int ends[2];
    pthread_t loggers[THREADS], drawer, reader;
    int own_stderr = dup(STDERR_FILENO);
    bool ok = own_stderr >= 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0;
    if (!ok) return 2;
    close(ends[1]);
    pthread_barrier_init(&start, NULL, THREADS + 1);
    pthread_create(&reader, NULL, read_lines, fdopen(ends[0], "r"));
    pthread_create(&drawer, NULL, draw_status, NULL);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&loggers[i], NULL, log_lines, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(loggers[i], NULL);
    pthread_join(drawer, NULL);
    dup2(own_stderr,
         STDERR_FILENO); /* closes the pipe: the reader comes to its end, complaints are seen again */
    pthread_join(reader, NULL);
    pthread_barrier_destroy(&start);
    assert(due_count > 0 && due_count <= LINES / PERIOD);
    printf("1 passed, 0 failed\n");
    return 0;
}
