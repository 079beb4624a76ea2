/* bench_data - rates of reading input, resuming and appending output. Files lie in a temporary folder that is
 * removed again. bench_data [rows]     default 1,000,000 rows of 100 bytes; figures are the best of three */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/data/reader.h"
#include "core/data/writer.h"

static char folder[] = "/tmp/sdg-bench-data-XXXXXX";
static char input[64], csv[64], wide[64], output[64], packed[64];

static void make_input(const char *path, unsigned long rows, const char *head, const char *format) {
    FILE *f = fopen(path, "wb");
    assert(f);
    fputs(head, f);
    for (unsigned long i = 0; i < rows; i++)
        fprintf(f, format, i);
    fclose(f);
}

static double read_once(const char *path, unsigned long rows) {
    row_record_t row;
    uint64_t start = clock_now_ns();
    reader_t *r = reader_open(path, DATA_AUTO, NULL);
    unsigned long n = 0;
    while (reader_next(r, &row, NULL) > 0)
        n += !row.bad;
    assert(n == rows);
    reader_close(&r);
    return (double)(clock_now_ns() - start) / (double)SECOND;
}

static double append_once(const char *path, unsigned long rows) {
    writer_options_t options = {.overwrite = true};
    char line[256];
    uint64_t start = clock_now_ns();
    writer_t *w = writer_open(path, &options, NULL, NULL);
    for (unsigned long i = 0; i < rows; i++) {
        int n = snprintf(line, sizeof line, "{\"_row_index\": %lu, \"text\": \"%080lu\"}", i, i);
        int rc = writer_add(w, i, line, (size_t)n, NULL);
        assert(rc == 0);
        if (i % 64 == 63) rc = writer_flush(w, NULL);
        assert(rc == 0);
    }
    writer_close(&w);
    return (double)(clock_now_ns() - start) / (double)SECOND;
}

static double resume_once(const char *path, unsigned long rows) {
    writer_options_t options = {0};
    writer_resumed_t found;
    uint64_t start = clock_now_ns();
    writer_t *w = writer_open(path, &options, &found, NULL);
    assert(w && found.rows_ok == rows);
    writer_close(&w);
    return (double)(clock_now_ns() - start) / (double)SECOND;
}

static void report(const char *what, double (*once)(const char *, unsigned long), const char *path,
                   unsigned long rows) {
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        double s = once(path, rows);
        if (s < best) best = s;
    }
    FILE *f = fopen(path, "rb");
    assert(f && fseek(f, 0, SEEK_END) == 0);
    printf("%-28s %8.3f s  %7.3f us/row  %8.0f MB/s of file\n", what, best, best * 1e6 / (double)rows,
           (double)ftell(f) / 1e6 / best);
    fclose(f);
}

int main(int argc, char **argv) {
    unsigned long rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    char command[128];
    assert(rows > 0 && mkdtemp(folder));
    snprintf(input, sizeof input, "%s/i.jsonl", folder);
    snprintf(csv, sizeof csv, "%s/i.csv", folder);
    snprintf(wide, sizeof wide, "%s/wide.jsonl", folder);
    snprintf(output, sizeof output, "%s/o.jsonl", folder);
    snprintf(packed, sizeof packed, "%s/o.jsonl.zst", folder);
    make_input(input, rows, "", "{\"id\": 1, \"text\": \"%079lu\"}\n");
    make_input(csv, rows, "id,a,b\n", "1,%048lu,\"quoted, text of a field, %020lu\"\n");
    make_input(wide, rows, "",
               "{\"text\": "
               "\"\u6771\u4eac\u306f\u4eca\u65e5\u3082\u6674\u308c\u3067\u3059\u3002\u3053\u308c\u306f\u6587"
               "\u7ae0\u3067\u3059 %08lu\"}\n");
    report("read JSONL", read_once, input, rows);
    report("read JSONL, not ASCII", read_once, wide, rows);
    report("read CSV", read_once, csv, rows);
    report("append, flush per 64 rows", append_once, output, rows);
    report("resume", resume_once, output, rows);
    report("append zstd", append_once, packed, rows);
    report("resume zstd", resume_once, packed, rows);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
