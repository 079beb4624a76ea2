/* The CSV parser: each case is also fed byte by byte and must give the same. */
#include "core/data/csv.h"

#include "core/base/buf.h"
#include "core/data/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Shows what the parser makes of a text: "line:field|field;" per record, ! for an open quote, # for too
 * long. */
static void show(buf_t *out, csv_t *c) {
    buf_addf(out, "%llu:", (unsigned long long)csv_line(c));
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
    buf_adds(out, csv_open_quote(c) ? "!;" : ";");
}

/* Feeds a text in pieces of this size and writes what the parser makes of it. */
static void parse(buf_t *out, char separator, size_t max, const char *text, size_t len, size_t piece) {
    csv_t *c = csv_new(separator, max);
    buf_init(out, 1 << 20);
    for (size_t at = 0; at < len;) {
        size_t used, n = len - at < piece ? len - at : piece;
        if (csv_feed(c, text + at, n, &used)) show(out, c);
        cr_assert(used > 0 && used <= n);
        at += used;
    }
    if (csv_end(c)) show(out, c);
    cr_assert_not(csv_end(c), "the end comes once");
    buf_addc(out, '.');
    csv_destroy(&c);
    cr_assert_null(c);
}

static void expect(const char *text, const char *want) {
    const size_t pieces[] = {1, 2, 3, 1000};
    for (size_t i = 0; i < 4; i++) {
        buf_t got;
        parse(&got, ',', 1000, text, strlen(text), pieces[i]);
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
    expect("a\rb,c\n", "1:a\rb|c;.");
    expect("a\r\r\nb\n", "1:a\r;2:b;.");
}

Test(csv, quotes) {
    expect("\"a, b\",\"say \"\"hi\"\"\"\n", "1:a, b|say \"hi\";.");
    expect("\"two\nlines\",x\ny,z\n", "1:two\nlines|x;3:y|z;.");
    expect("\"\",\"\"\n", "1:|;.");
    expect("\"\"\n", "1:;.");
    expect("a\"b\",c\n", "1:a\"b\"|c;.");
    expect("\"a\"b,c\n", "1:ab|c;.");
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

Test(csv, an_open_quote_is_told) {
    expect("a\n1,\"open\nx", "1:a;2:1|open\nx!;.");
    expect("\"", "1:!;.");
    expect("\"a\"", "1:a;.");
}

Test(csv, other_separators) {
    buf_t got;
    const char text[] = "a\tb,c\n\"x\ty\"\tz\n";
    parse(&got, '\t', 1000, text, strlen(text), 4);
    cr_assert_str_eq(got.data, "1:a|b,c;2:x\ty|z;.");
    buf_free(&got);
}

Test(csv, a_record_over_the_maximum_is_told_and_the_next_is_read) {
    buf_t got;
    const char text[] = "0123456789\n\"01234\n56789\",a\nok,fine\n0123456\n";
    parse(&got, ',', 8, text, strlen(text), 5);
    cr_assert_str_eq(got.data, "1:#;2:#;4:ok|fine;5:0123456;.");
    buf_free(&got);
}

Test(csv, more_fields_than_can_be_kept_are_counted) {
    csv_t *c = csv_new(',', 1 << 20);
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
    parse(&got, ',', 1000, "\0,\xff\n", 4, 1);
    cr_assert_eq(got.len, 7);
    cr_assert(memcmp(got.data, "1:\0|\xff;.", 7) == 0);
    buf_free(&got);
}
