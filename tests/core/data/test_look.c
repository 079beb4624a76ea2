/* What the first bytes say, in one piece and byte by byte. */
#include "core/data/look.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

/* All bytes are there; and with more bytes to come the answer is the same or "more", never another. */
static void expect_n(const char *bytes, size_t n, look_t want) {
    cr_expect_eq(look_text(bytes, n, true), want, "%.*s: %d", (int)n, bytes, (int)look_text(bytes, n, true));
}

static void expect(const char *text, look_t want) { expect_n(text, strlen(text), want); }

Test(look, text_as_it_should_be) {
    expect("", LOOK_TEXT);
    expect("\n \n", LOOK_TEXT);
    expect("{}\n", LOOK_TEXT);
    expect("{ }", LOOK_TEXT);
    expect("\"text\"\n", LOOK_TEXT);
    expect("{\"n\": 1}\n{\"n\": 2}\n", LOOK_OBJECT);
    expect("\xEF\xBB\xBF{\"n\": 1}\n", LOOK_OBJECT);
    expect("id,name\r\n", LOOK_TEXT);
    expect("\xe5\x90\x8d\xe5\x89\x8d,x\n", LOOK_TEXT);
}

Test(look, json_that_is_no_lines) {
    expect("[{\"n\": 1}]", LOOK_SURE_LIST);
    expect("[\n", LOOK_SURE_LIST);
    expect(" \n[ {", LOOK_SURE_LIST);
    expect("[]", LOOK_SURE_LIST);
    expect("[[1, 2], [3, 4]]", LOOK_SURE_LIST);
    expect("[\"a\", 2]", LOOK_SURE_LIST);
    expect("[id],[name]\n", LOOK_LIST);
    expect("[1, 2]\n", LOOK_LIST);
    expect("{\n  \"n\": 1\n}", LOOK_OBJECT_OVER_LINES);
    expect("{ \r\n\"n\": 1}", LOOK_OBJECT_OVER_LINES);
    expect("{\"n\": 1}\r{\"n\": 2}\r", LOOK_CR_LINES);
    expect("{\"n\": 1}\r\n{\"n\": 2}\r\n", LOOK_OBJECT);
    expect("{\"n\":\r1}", LOOK_OBJECT);
}

Test(look, other_encodings) {
    expect_n("\xff\xfe{\0", 4, LOOK_UTF16);
    expect_n("\xff\xfe", 2, LOOK_UTF16);
    expect_n("\xfe\xff\0{", 4, LOOK_UTF16);
    expect_n("\xff\xfe\0\0", 4, LOOK_UTF32);
    expect_n("\0\0\xfe\xff", 4, LOOK_UTF32);
    expect_n("{\0\"\0n\0", 6, LOOK_UTF16_LE);
    expect_n("\0{\0\"\0n", 6, LOOK_UTF16_BE);
    expect_n("{\0\0\0\"\0\0\0", 8, LOOK_UTF32);
    /* a header of two Japanese words, without a mark: only the comma and the line end have zero bytes */
    expect_n("\x0d\x54\x4d\x52\x2c\0\x74\x5e\x62\x9f\n\0", 12, LOOK_UTF16_LE);
}

Test(look, a_nul_byte_is_no_other_encoding) {
    expect_n("nul\0", 4, LOOK_TEXT);
    expect_n("a\0b,c\n1,2,3\n", 12, LOOK_TEXT);
    expect_n("\0\0\0\0\0", 5, LOOK_TEXT);
    expect_n("{\"n\": \"\0\"}\n", 12, LOOK_OBJECT);
}

Test(look, other_files) {
    expect("PK\x03\x04", LOOK_PACKED);
    expect("BZh91AY", LOOK_PACKED);
    cr_expect_str_eq(look_packed("PAR1....", 8), "Parquet");
    cr_expect_null(look_packed("id,name\n", 8));
}

Test(look, few_bytes_of_a_pipe_wait_for_more) {
    cr_expect_eq(look_text("", 0, false), LOOK_MORE);
    cr_expect_eq(look_text("{", 1, false), LOOK_MORE);
    cr_expect_eq(look_text("\n\n", 2, false), LOOK_MORE);
    cr_expect_eq(look_text("\xEF\xBB", 2, false), LOOK_MORE);
    cr_expect_eq(look_text("\xff\xfe", 2, false), LOOK_MORE, "UTF-32 begins so, too");
    cr_expect_eq(look_text("{}", 2, false), LOOK_TEXT, "a short row is not held back");
    cr_expect_eq(look_text("{\"", 2, false), LOOK_OBJECT);
    cr_expect_eq(look_text("[1", 2, false), LOOK_LIST);
}

static char separator_of(const char *header) {
    char separator = 0;
    cr_assert(look_separator(header, strlen(header), true, &separator));
    return separator;
}

Test(look, the_separator_by_the_header) {
    char separator;
    cr_expect_eq(separator_of("a,b"), ',');
    cr_expect_eq(separator_of("a;b"), ';');
    cr_expect_eq(separator_of("a"), ',');
    cr_expect_eq(separator_of(""), ',');
    cr_expect_eq(separator_of("a;b,c"), ',');
    cr_expect_eq(separator_of("\n\na;b\n1,2\n"), ';', "blank lines come before the header");
    cr_expect_eq(separator_of("a;b\r1,2\r"), ';');
    cr_expect_eq(separator_of("a\nb;c\n"), ',', "only the header counts");
    cr_expect_eq(separator_of("\"a,\nb\";c\n"), ';', "a header may go over lines inside quotes");
    cr_expect_eq(separator_of("\"a;b\",c\n"), ',');
    cr_expect_eq(separator_of("sep=|\r\na,b|c\r\n"), '|', "a spreadsheet names it");
    cr_expect_eq(separator_of("\xEF\xBB\xBFsep=\t\na,b\tc\n"), '\t');
    cr_expect_eq(separator_of("sep=ab,c\n"), ',');
    cr_expect_eq(separator_of("sep=\n"), ',');
    cr_expect_not(look_separator("a;b", 3, false, &separator), "more of the header may come");
    cr_expect(look_separator("a;b\n", 4, false, &separator) && separator == ';');
}
