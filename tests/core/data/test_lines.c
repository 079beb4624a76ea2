/* Lines of a stream: numbers and places, lines longer than the block, lines too long, a stream that waits. */
#include "tests/core/data/scratch.h"

#include "core/data/limits.h"
#include "core/data/lines.h"

TestSuite(lines, .init = scratch_begin, .fini = scratch_end);

Test(lines, lines_have_numbers_and_places) {
    int fd = open(scratch_text("a", "one\n\nthree"), O_RDONLY);
    stream_t *s = stream_from_fd(fd, "a", STREAM_PLAIN);
    lines_t *l = lines_new(s, 100);
    text_line_t line;
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.len == 3 && line.number == 1 && line.end == 4 && line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.len == 0 && line.number == 2 && line.end == 5 && line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.len == 5 && line.number == 3 && line.end == 10 && !line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), 0);
    cr_assert_eq(lines_next(l, &line, NULL), 0);
    lines_destroy(&l);
    stream_close(&s);
    close(fd);
}

/* Lines of every length around the block and the maximum, each followed by a short one. */
Test(lines, long_lines) {
    const size_t max = 3 * DATA_READ_BYTES;
    const size_t lengths[] = {
        DATA_READ_BYTES - 1, DATA_READ_BYTES, DATA_READ_BYTES + 1, max - 1, max, max + 1, 2 * max};
    const size_t count = sizeof lengths / sizeof *lengths;
    FILE *f = fopen(scratch_path("a"), "wb");
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lengths[i]; k++)
            fputc('a' + (int)(i % 26), f);
        fputs("\nshort\n", f);
    }
    fclose(f);
    stream_t *s = stream_open(scratch_path("a"), NULL);
    lines_t *l = lines_new(s, max);
    text_line_t line;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(lines_next(l, &line, NULL), 1);
        cr_assert_eq(line.too_long, lengths[i] > max);
        cr_assert_eq(line.len, lengths[i] > max ? 0 : lengths[i]);
        cr_assert_eq(line.number, 2 * i + 1);
        if (!line.too_long)
            cr_assert(line.bytes[0] == 'a' + (int)i && line.bytes[line.len - 1] == 'a' + (int)i);
        cr_assert_eq(lines_next(l, &line, NULL), 1);
        cr_assert(line.len == 5 && memcmp(line.bytes, "short", 5) == 0);
    }
    cr_assert_eq(lines_next(l, &line, NULL), 0);
    lines_destroy(&l);
    stream_close(&s);
}

Test(lines, a_last_line_may_be_too_long) {
    char text[300];
    memset(text, 'x', sizeof text);
    stream_t *s = stream_open(scratch_write("a", text, sizeof text), NULL);
    lines_t *l = lines_new(s, 100);
    text_line_t line;
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.too_long && !line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), 0);
    lines_destroy(&l);
    stream_close(&s);
}

Test(lines, a_line_that_comes_in_pieces_is_given_when_it_is_whole) {
    int ends[2];
    cr_assert(pipe(ends) == 0);
    stream_t *s = stream_from_fd(ends[0], "pipe", STREAM_PLAIN);
    stream_set_waiting(s);
    lines_t *l = lines_new(s, 100);
    text_line_t line;
    cr_assert_eq(lines_next(l, &line, NULL), STREAM_WAIT);
    cr_assert(write(ends[1], "on", 2) == 2);
    cr_assert_eq(lines_next(l, &line, NULL), STREAM_WAIT, "its newline has not come");
    cr_assert(write(ends[1], "e\ntwo", 5) == 5);
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.len == 3 && memcmp(line.bytes, "one", 3) == 0 && line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), STREAM_WAIT);
    close(ends[1]);
    cr_assert_eq(lines_next(l, &line, NULL), 1);
    cr_assert(line.len == 3 && memcmp(line.bytes, "two", 3) == 0 && !line.whole);
    cr_assert_eq(lines_next(l, &line, NULL), 0);
    lines_destroy(&l);
    cr_assert_null(l);
    stream_close(&s);
    close(ends[0]);
}

Test(lines, blank_is_white_space_of_json) {
    cr_assert(line_blank("", 0) && line_blank(" \t\r\n", 4));
    cr_assert_not(line_blank(" x", 2));
    cr_assert_not(line_blank("\0", 1));
}
