/* bench_output - what checksums of an output cost per row, and how long it takes to continue an output. One
 * line of JSON.
 *
 *   bench_output [rows] [rows per flush] [bytes of text per row]       default 1,000,000 rows, 64, 400
 *
 * Each figure is the best of three, of CPU time but for `resume_wall_s`. `sums_us` is all that a row pays for
 * being noticed when it changes: its hash, its part of the line in X.sdg, and the look at the places of both
 * files. `read_s` is a bare reading of the same lines. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/data/limits.h"
#include "core/data/line_sums.h"
#include "core/data/lines.h"
#include "core/data/run_file.h"
#include "core/data/sink.h"
#include "core/data/writer.h"

static char folder[] = "/tmp/sdg-bench-output-XXXXXX";
static char output[64];
static unsigned long rows = 1000000, rows_per_flush = 64, text_bytes = 400;
static char *text;

static size_t make_line(char *line, unsigned long row) {
    return (size_t)sprintf(line, "{\"_row_index\": %lu, \"n\": %lu, \"text\": \"%s\"}", row, row, text);
}

static void write_output(void) {
    writer_options_t options = {.overwrite = true};
    char *line = malloc(text_bytes + 100);
    writer_t *w = writer_open(output, &options, NULL, NULL);
    assert(w && line);
    for (unsigned long row = 0; row < rows; row++) {
        int rc = writer_add(w, row, line, make_line(line, row), NULL);
        assert(rc == 0);
    }
    int rc = writer_sync(w, NULL);
    assert(rc == 0);
    writer_close(&w);
    free(line);
}

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void) { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

/* The checksums alone, beside an output that is there. */
static double sums_once(void) {
    run_identity_t identity = {"p", "i", "o"};
    line_blocks_t blocks = {0};
    line_sums_t sums = {0};
    char *line = malloc(text_bytes + 100);
    assert(line);
    size_t len = make_line(line, 12345);
    run_file_t *file = run_file_new(output, &identity);
    sink_t *sink = sink_new(open(output, O_RDWR | O_APPEND | O_CLOEXEC), output, STREAM_PLAIN);
    int rc = run_file_write(file, &blocks, NULL);
    assert(rc == 0);
    double start = cpu_seconds();
    for (unsigned long row = 0; row < rows; row++) {
        line_sums_add(&sums, row, line, len);
        if (row % rows_per_flush < rows_per_flush - 1) continue;
        blocks.count = 0;
        line_sums_take(&sums, &blocks);
        run_file_append(file, &blocks);
        rc = sink_check_place(sink, output, NULL);
        assert(rc == 0);
    }
    double took = cpu_seconds() - start;
    line_sums_free(&sums);
    line_blocks_free(&blocks);
    run_file_close(&file);
    sink_close(&sink);
    free(line);
    return took;
}

static double read_once(void) {
    double start = cpu_seconds();
    unsigned long n = 0;
    stream_t *stream = stream_open(output, NULL);
    lines_t *lines = lines_new(stream, RESULT_LINE_BYTES_MAX);
    text_line_t line;
    while (lines_next(lines, &line, NULL) > 0)
        n++;
    assert(n == rows);
    lines_destroy(&lines);
    stream_close(&stream);
    return cpu_seconds() - start;
}

static double resume_by(clockid_t clock) {
    writer_options_t options = {0};
    writer_resumed_t found;
    double start = seconds_of(clock);
    writer_t *w = writer_open(output, &options, &found, NULL);
    double took = seconds_of(clock) - start;
    assert(w && found.rows_ok == rows && found.lines_changed == 0);
    writer_close(&w);
    return took;
}

static double resume_once(void) { return resume_by(CLOCK_THREAD_CPUTIME_ID); }
static double resume_wall_once(void) { return resume_by(CLOCK_MONOTONIC); }

static double best_of_three(double (*once)(void)) {
    double best = once();
    for (int i = 0; i < 2; i++) {
        double s = once();
        if (s < best) best = s;
    }
    return best;
}

int main(int argc, char **argv) {
    if (argc > 1) rows = strtoul(argv[1], NULL, 10);
    if (argc > 2) rows_per_flush = strtoul(argv[2], NULL, 10);
    if (argc > 3) text_bytes = strtoul(argv[3], NULL, 10);
    char command[128];
    text = calloc(1, text_bytes + 1);
    assert(rows > 0 && rows_per_flush > 0 && text && mkdtemp(folder));
    memset(text, 'x', text_bytes);
    snprintf(output, sizeof output, "%s/o.jsonl", folder);
    write_output();
    double read = best_of_three(read_once), resume = best_of_three(resume_once),
           wall = best_of_three(resume_wall_once), sums = best_of_three(sums_once);
    printf(
        "{\"rows\": %lu, \"text_bytes\": %lu, \"rows_per_flush\": %lu, \"read_s\": %.3f, \"resume_s\": %.3f, "
        "\"resume_wall_s\": %.3f, "
        "\"sums_us\": %.4f}\n",
        rows, text_bytes, rows_per_flush, read, resume, wall, sums * 1e6 / (double)rows);
    free(text);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
