/* The CSV parser: each case is also fed byte by byte and must give the same. */
#include "core/data/csv.h"

#include "core/base/buf.h"
#include "core/data/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Shows what the parser makes of a text: "line:field|field;" per record, # for too long, ~ before a record in
 * the span of a broken one; of a broken record its problem and the lines of the quote: "2:!text 2-4;". */
static void show(buf_t *out, csv_t *c) {
    static const char *const problems[] = {"", "text", "open", "long"};
    buf_addf(out, "%s%llu:", !csv_problem(c) && csv_in_span(c) ? "~" : "", (unsigned long long)csv_line(c));
    if (csv_problem(c)) {
        buf_addf(out, "!%s %u-%u;", problems[csv_problem(c)], (unsigned)csv_quote_line(c),
                 (unsigned)csv_quote_end(c));
        return;
    }
    if (csv_too_long(c)) {
        buf_adds(out, "#;");
        return;
    }
    for (size_t i = 0; i < csv_fields(c); i++) {
        size_t len;
        const char *text = csv_field_peek(c, i, &len);
        if (i > 0) buf_addc(out, '|');
        buf_add(out, text, len);
    }
    buf_addc(out, ';');
}

/* Feeds a text in pieces of this size and writes what the parser makes of it. */
static void parse(buf_t *out, char separator, bool quoting, size_t max, const char *text, size_t len,
                  size_t piece) {
    csv_t *c = csv_new(separator, quoting, max);
    buf_init(out, 1 << 20);
    for (size_t at = 0; at < len;) {
        size_t used, n = len - at < piece ? len - at : piece;
        bool complete = csv_feed(c, text + at, n, &used);
        if (complete) show(out, c);
        cr_assert((used == n || complete) && used <= n);
        at += used;
    }
    while (csv_end(c))
        show(out, c);
    cr_assert_not(csv_end(c), "the end stays the end");
    cr_assert_eq(csv_kept(c), 0);
    buf_addc(out, '.');
    csv_destroy(&c);
    cr_assert_null(c);
}

static void expect(const char *text, const char *want) {
    const size_t pieces[] = {1, 2, 3, 1000};
    for (size_t i = 0; i < 4; i++) {
        buf_t got;
        parse(&got, ',', true, 1000, text, strlen(text), pieces[i]);
        cr_assert_str_eq(got.data, want, "pieces of %zu of: %s\ngot:  %s\nwant: %s", pieces[i], text,
                         got.data, want);
        buf_free(&got);
    }
}

Test(csv, records_of_fields) { expect("id,text\n1,a b\n", "1:id|text;2:1|a b;."); }

Test(csv, line_ends) {
    expect("a,b\r\n1,2\r\n", "1:a|b;2:1|2;.");
    expect("a,b\n1,2", "1:a|b;2:1|2;.");
    expect("a,b\r\n1,2\r", "1:a|b;2:1|2;.");
    expect("a,b\r1,2\r3,4", "1:a|b;2:1|2;3:3|4;.");
    expect("a\rb,c\n", "1:a;2:b|c;.");
    expect("a\r\r\nb\n", "1:a;3:b;.");
    expect("a\n\rb\r\n\rc\n", "1:a;3:b;5:c;.");
}

Test(csv, quotes) {
    expect("\"a, b\",\"say \"\"hi\"\"\"\n", "1:a, b|say \"hi\";.");
    expect("\"two\nlines\",x\ny,z\n", "1:two\nlines|x;3:y|z;.");
    expect("\"\",\"\"\n", "1:|;.");
    expect("\"\"\n", "1:;.");
    expect("a\"b\",c\n", "1:a\"b\"|c;.");
    expect("\"a\rb\r\nc\n\rd\"\re\n", "1:a\rb\r\nc\n\rd;6:e;.");
    expect("\"a\"\r\"b\"\rc\n", "1:a;2:b;3:c;.");
    expect("\"\r\"\n\"\r\n\"\nx\n", "1:\r;3:\r\n;5:x;.");
    expect("\"a\"\r\n\"b\"\r\n", "1:a;2:b;.");
    expect("\"a\r\nb\"\n", "1:a\r\nb;.");
}

Test(csv, blank_lines_are_skipped_and_counted) {
    expect("\n\r\na\n\n\nb\n\n", "3:a;6:b;.");
    expect("", ".");
    expect("\n\n", ".");
    expect(" \n", "1: ;.");
}

Test(csv, empty_fields) {
    expect(",\n", "1:|;.");
    expect("a,\n,b\n,,\n", "1:a|;2:|b;3:||;.");
    expect("a,", "1:a|;.");
}

Test(csv, text_behind_a_closing_quote_breaks_its_line_only) {
    expect("\"a\"b,c\nd,e\n", "1:!text 1-1;2:d|e;.");
    expect("\"a\" ,c\rd\r", "1:!text 1-1;2:d;.");
    expect("a,\"b\"c", "1:!text 1-1;.");
    expect("a,\"b\"\"\"c,\"d\n\"e\"\n", "1:!text 1-1;2:e;.");
}

Test(csv, a_stray_quote_swallows_no_lines) {
    expect("1,fine\n2,\"no end\n3,lost\n4,quoted\" tail\n5,fine\n",
           "1:1|fine;2:!text 2-4;~3:3|lost;~4:4|quoted\" tail;5:5|fine;.");
    expect("1,\"open\r\n2,x\r\n\r\n3,\"y\"\r\n4,z\r\n", "1:!text 1-4;~2:2|x;~4:3|y;5:4|z;.");
    expect("1,\"open\r2,x\r3,\"y\"\r4,z\r", "1:!text 1-3;~2:2|x;~3:3|y;4:4|z;.");
}

Test(csv, the_last_quote_before_the_break_is_the_broken_one) {
    expect("a,\"1\nb,\"2\nc,3\n", "1:!text 1-2;2:!open 2-4;~3:c|3;.");
    expect("x\",\"y\nx\",\"y\nx\",\"y\nz", "1:!open 3-4;~4:z;.");
    expect("x\",\"y\nx\",\"y\nx\"q\n", "1:!text 2-3;~3:x\"q;.");
}

Test(csv, a_record_that_begins_in_the_last_line_of_a_span_may_leave_it) {
    expect("1,\"a\n2,\"b\n3\"\n4\n", "1:!text 1-2;~2:2|b\n3;4:4;.");
    expect("1,\"a\n\"b\"\nc,\"d\ne\"f\n", "1:!text 1-2;~2:b;3:!text 3-4;~4:e\"f;.");
}

Test(csv, the_line_behind_the_broken_quote_is_read_not_that_behind_the_record) {
    expect("\"fine\nfield\",\"open\n3,4\n5\"6\n7\n", "1:!text 2-4;~3:3|4;~4:5\"6;5:7;.");
}

Test(csv, a_quote_that_is_never_closed) {
    expect("a\n1,\"open\nx", "1:a;2:!open 2-3;~3:x;.");
    expect("a\n1,\"open\nx,y\n\nz\n", "1:a;2:!open 2-6;~3:x|y;~5:z;.");
    expect("a\n\"b\n", "1:a;2:!open 2-3;.");
    expect("a\n\"b\r", "1:a;2:!open 2-3;.");
    expect("\"", "1:!open 1-1;.");
    expect("\"a\"", "1:a;.");
}

Test(csv, a_quoted_field_over_lines_beyond_the_maximum_is_broken) {
    for (size_t piece = 1; piece < 12; piece++) {
        buf_t got;
        const char text[] = "a,\"bc\ndefghijklm\nn,o\np\"\"qrstuvwxyz\n\"0123456789012\"\nA,B\n";
        parse(&got, ',', true, 12, text, strlen(text), piece);
        cr_assert_str_eq(got.data, "1:!long 1-2;~2:defghijklm;3:n|o;4:#;5:#;6:A|B;.");
        buf_free(&got);
    }
}

/* All texts of up to LENGTH bytes of an alphabet that has what matters: no bytes are lost, the lines are
 * counted the same however the text is cut, and each line begins at most one record. */
Test(csv, every_short_text_is_read_to_its_end) {
    enum { LENGTH = 7 };
    static const char alphabet[] = "\"\n\r,a";
    char text[LENGTH + 1];
    for (unsigned n = 0; n < 78125; n++) { /* 5 to the power of LENGTH */
        for (unsigned i = 0, rest = n; i < LENGTH; i++, rest /= 5)
            text[i] = alphabet[rest % 5];
        buf_t whole, pieces;
        parse(&whole, ',', true, 4, text, LENGTH, LENGTH);
        parse(&pieces, ',', true, 4, text, LENGTH, 1);
        cr_assert_str_eq(whole.data, pieces.data);
        buf_free(&whole), buf_free(&pieces);
    }
}

Test(csv, a_stray_quote_in_every_line_costs_linear_time) {
    enum { LINES = 200000 };
    csv_t *c = csv_new(',', true, 1 << 24);
    size_t used, records = 0;
    for (int i = 0; i < LINES; i++)
        for (size_t at = 0; at < 6; at += used)
            records += csv_feed(c, &"n,\"yz\n"[at], 6 - at, &used);
    while (csv_end(c))
        records++;
    cr_assert_eq(records, LINES);
    csv_destroy(&c);
}

Test(csv, other_separators) {
    buf_t got;
    const char text[] = "a\tb,c\n\"x\ty\"\tz\n";
    parse(&got, '\t', true, 1000, text, strlen(text), 4);
    cr_assert_str_eq(got.data, "1:a|b,c;2:x\ty|z;.");
    buf_free(&got);
    parse(&got, ';', true, 1000, "a;b,c\r\"d;\";e", 12, 3);
    cr_assert_str_eq(got.data, "1:a|b,c;2:d;|e;.");
    buf_free(&got);
}

Test(csv, without_quoting_quotes_are_ordinary) {
    buf_t got;
    const char text[] = "\"a\"b\t\"c\n\"\td\r\"\t\"\"\n";
    parse(&got, '\t', false, 1000, text, strlen(text), 1);
    cr_assert_str_eq(got.data, "1:\"a\"b|\"c;2:\"|d;3:\"|\"\";.");
    buf_free(&got);
}

Test(csv, a_record_over_the_maximum_is_told_and_the_next_is_read) {
    buf_t got;
    const char text[] = "0123456789\n\"01234\n56789\",a\nok,fine\n0123456\n";
    parse(&got, ',', true, 8, text, strlen(text), 5);
    cr_assert_str_eq(got.data, "1:#;2:!long 2-3;~3:#;4:ok|fine;5:0123456;.");
    buf_free(&got);
}

Test(csv, more_fields_than_can_be_kept_are_counted) {
    csv_t *c = csv_new(',', true, 1 << 20);
    size_t used, n = CSV_COLUMNS_MAX + 100;
    for (size_t i = 0; i < n; i++)
        cr_assert_not(csv_feed(c, ",", 1, &used));
    cr_assert(csv_feed(c, "\n", 1, &used));
    cr_assert_eq(csv_fields(c), n + 1);
    cr_assert_not(csv_too_long(c));
    csv_destroy(&c);
}

Test(csv, bytes_are_bytes) {
    buf_t got;
    parse(&got, ',', true, 1000, "\0,\xff\n", 4, 1);
    cr_assert_eq(got.len, 7);
    cr_assert(memcmp(got.data, "1:\0|\xff;.", 7) == 0);
    buf_free(&got);
}
