/* bench_interpreter.c - rows per second of the row machine on one core: a pipeline that needs no answers,
 * without sockets and threads.
 *
 *   bench_interpreter PIPELINE ROWS OUTPUT MIN_MS
 *
 * The rows of the file are run once into OUTPUT (for the comparison of results), then again and again for
 * MIN_MS of CPU time. Printed: {"rows": N, "wall_ns": W, "cpu_ns": C}. bench_interpreter.py writes the inputs
 * and knows what the figures mean.
 *
 * Two further programs from this file answer what two parts of core/base give beside jemalloc (the bar
 * small-blocks): bench_interpreter_plain_malloc takes each small block from malloc, and
 * bench_interpreter_plain_names makes a string for each name (BENCH_PLAIN_NAMES).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/grow.h"
#include "core/base/names.h"
#include "core/mabel/row/row.h"

typedef struct bench {
    const pipeline_t *pipeline;
    char **lines;
    size_t *lens;
    size_t count;
} bench_t;

#ifdef BENCH_PLAIN_NAMES
/* In place of core/base/names.c, which the linker then leaves out. */
str_t *name_new(const char *bytes, size_t len) {
    str_t *name = str_new(bytes, len);
    name->hash = str_hash_bytes(bytes, len);
    return name;
}
#endif

static void die(const char *what, const char *name) {
    fprintf(stderr, "bench_interpreter: %s: %s\n", name, what);
    exit(1);
}

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static char *read_all(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f) die("cannot be read", path);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*len + 1);
    if (!bytes || fread(bytes, 1, *len, f) != *len) die("cannot be read", path);
    bytes[*len] = 0;
    fclose(f);
    return bytes;
}

static pipeline_t *load(const char *path) {
    size_t len;
    char *bytes = read_all(path, &len);
    diags_t diags;
    diags_init(&diags, path, bytes, len);
    pipeline_t *p = pipeline_load(&(pipeline_source_t){.path = path, .bytes = bytes, .len = len}, &diags);
    if (!p) die(diags.count ? diags.items[0].message : "does not load", path);
    diags_free(&diags);
    free(bytes);
    return p;
}

static void read_rows(bench_t *b, char *bytes) {
    size_t line_cap = 0, len_cap = 0;
    for (char *line = strtok(bytes, "\n"); line; line = strtok(NULL, "\n")) {
        GROW(b->lines, line_cap, b->count + 1);
        GROW(b->lens, len_cap, b->count + 1);
        b->lens[b->count] = strlen(line);
        b->lines[b->count++] = line;
    }
}

static void run(const bench_t *b, FILE *out) {
    row_options_t options = {.seeded = true};
    for (size_t i = 0; i < b->count; i++) {
        row_input_t input = {.index = i, .line = i + 1, .json = b->lines[i], .len = b->lens[i]};
        row_t *row = row_new(b->pipeline, &options, &input, 0);
        row_want_t want;
        while ((want = row_run(row, 0)) == ROW_YIELD) {
        }
        if (want != ROW_FINISHED) die("a row wants an answer", "pipeline");
        row_result_t result;
        row_result(row, &result);
        if (result.failed) die(result.json, "a row failed");
        if (out) fprintf(out, "%.*s\n", (int)result.len, result.json);
        row_destroy(&row);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) die("PIPELINE ROWS OUTPUT MIN_MS", "usage");
    pipeline_t *pipeline = load(argv[1]);
    bench_t b = {.pipeline = pipeline};
    size_t len;
    char *bytes = read_all(argv[2], &len);
    read_rows(&b, bytes);
    FILE *out = fopen(argv[3], "wb");
    if (!out) die("cannot be written", argv[3]);
    run(&b, out);
    fclose(out);
    uint64_t rows = 0, min_ns = strtoull(argv[4], NULL, 10) * 1000000, wall = clock_now_ns(), cpu = cpu_ns(),
             spent;
    do {
        run(&b, NULL);
        rows += b.count;
    } while ((spent = cpu_ns() - cpu) < min_ns);
    printf("{\"rows\": %" PRIu64 ", \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64 "}\n", rows,
           clock_now_ns() - wall, spent);
    pipeline_destroy(&pipeline);
    free(b.lines);
    free(b.lens);
    free(bytes);
    return 0;
}
