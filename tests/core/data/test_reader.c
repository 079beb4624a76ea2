/* The reader: rows of JSONL, CSV and TSV, plain and compressed; what cannot be a row; identities. */
#include "tests/core/data/scratch.h"

#include "core/base/limits.h"
#include "core/data/limits.h"
#include "core/data/reader.h"

TestSuite(reader, .init = scratch_begin, .fini = scratch_end);

/* Shows all rows: "index@line json" or "index@line !reason", one per line; then "end" or the failure. */
static void show_rows(reader_t *r, buf_t *out) {
    row_record_t row;
    err_t err = {0};
    int rc;
    while ((rc = reader_next(r, &row, &err)) > 0) {
        buf_addf(out, "%llu@%llu ", (unsigned long long)row.index, (unsigned long long)row.line);
        if (row.bad)
            buf_addf(out, "!%s", row.bad);
        else
            buf_add(out, row.json, row.json_len);
        buf_addc(out, '\n');
    }
    buf_adds(out, rc == 0 ? "end" : err.text);
}

static void expect_rows(const char *path, data_format_t format, const char *want) {
    err_t err = {0};
    reader_t *r = reader_open(path, format, &err);
    cr_assert(r, "%s", err.text);
    buf_t got;
    buf_init(&got, (size_t)1 << 28);
    show_rows(r, &got);
    cr_assert_str_eq(got.data, want);
    buf_free(&got);
    reader_close(&r);
    cr_assert_null(r);
}

static void expect_refused(const char *path, int code, const char *part) {
    err_t err = {0};
    cr_assert_null(reader_open(path, DATA_AUTO, &err));
    cr_assert_eq(err.code, code, "%s", err.text);
    cr_assert(strstr(err.text, part), "%s", err.text);
}

Test(reader, rows_of_jsonl) {
    expect_rows(scratch_text("a.jsonl", "{\"x\": 1}\n{\"x\": 2}\n"), DATA_AUTO,
                "0@1 {\"x\": 1}\n1@2 {\"x\": 2}\nend");
}

Test(reader, blank_lines_count_as_lines_only) {
    expect_rows(scratch_text("a.jsonl", "\n{1}\r\n \t \r\n\n{2}"), DATA_AUTO, "0@2 {1}\n1@5 {2}\nend");
    expect_rows(scratch_text("b.jsonl", ""), DATA_AUTO, "end");
    expect_rows(scratch_text("c.jsonl", "\n \n"), DATA_AUTO, "end");
}

Test(reader, a_byte_order_mark_is_skipped) {
    expect_rows(scratch_text("a.jsonl", "\xEF\xBB\xBF{1}\n\xEF\xBB\xBF{2}\n"), DATA_AUTO,
                "0@1 {1}\n1@2 \xEF\xBB\xBF{2}\nend");
    expect_rows(scratch_text("b.jsonl", "\xEF\xBB\xBF\n{1}\n"), DATA_AUTO, "0@2 {1}\nend");
    expect_rows(scratch_text("a.csv", "\xEF\xBB\xBFid\n1\n"), DATA_AUTO, "0@2 {\"id\": \"1\"}\nend");
}

Test(reader, formats_by_name_and_by_wish) {
    const char *rows = "0@2 {\"a\": \"1\", \"b\": \"2\"}\nend";
    expect_rows(scratch_text("a.CSV", "a,b\n1,2\n"), DATA_AUTO, rows);
    expect_rows(scratch_text("a.tsv", "a\tb\n1\t2\n"), DATA_AUTO, rows);
    expect_rows(scratch_text("a.txt", "a,b\n1,2\n"), DATA_CSV, rows);
    expect_rows(scratch_text("a.ndjson", "{}"), DATA_AUTO, "0@1 {}\nend");
    expect_rows(scratch_text("a.json", "{}"), DATA_AUTO, "0@1 {}\nend");
    expect_refused(scratch_text("b.txt", ""), SDG_EINVAL, "unknown format");
    expect_refused(scratch_path("nothing.jsonl"), SDG_ENOTFOUND, "no such file");
    expect_refused(scratch_folder, SDG_EINVAL, "is a folder");
}

Test(reader, compressed_input) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "a,b\n1,", 6);
    add_gzip(&packed, "2\n", 2);
    expect_rows(scratch_write("a.csv.gz", packed.data, packed.len), DATA_AUTO,
                "0@2 {\"a\": \"1\", \"b\": \"2\"}\nend");
    expect_rows(scratch_write("a.csv", packed.data, packed.len), DATA_AUTO,
                "0@2 {\"a\": \"1\", \"b\": \"2\"}\nend");
    buf_reset(&packed);
    add_zstd(&packed, "{1}\n{", 5);
    add_zstd(&packed, "2}", 2);
    expect_rows(scratch_write("a.jsonl.zst", packed.data, packed.len), DATA_AUTO, "0@1 {1}\n1@2 {2}\nend");
    buf_free(&packed);
}

Test(reader, a_torn_compressed_input_gives_its_whole_rows_first) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "{1}\n{2}\n", 8);
    add_gzip(&packed, "{3}\n{4}\n", 8);
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open(scratch_write("a.jsonl.gz", packed.data, packed.len - 2), DATA_AUTO, &err);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(reader_next(r, &row, &err), 1);
    cr_assert_eq(reader_next(r, &row, &err), SDG_EPARSE);
    cr_assert(strstr(err.text, "a.jsonl.gz") && strstr(err.text, "stops in the middle"), "%s", err.text);
    reader_close(&r);
    buf_free(&packed);
}

static void expect_unchecked(const char *name, size_t bad_byte, bool csv, const char *words) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, csv ? "a\n1\n2\n" : "{1}\n{2}\n", csv ? 6 : 8);
    add_gzip(&packed, csv ? "3\n4\n" : "{3}\n{4}\n", csv ? 4 : 8);
    add_gzip(&packed, csv ? "5\n6" : "{5}\n{6", csv ? 3 : 6);
    packed.data[packed.len - bad_byte] ^= 1;
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open(scratch_write(name, packed.data, packed.len), DATA_AUTO, &err);
    cr_assert(r, "%s", err.text);
    int rc;
    while ((rc = reader_next(r, &row, &err)) > 0) {
    }
    cr_assert_eq(rc, SDG_EPARSE);
    cr_assert(strstr(err.text, words), "%s", err.text);
    cr_assert(strstr(err.text, "damaged gzip data"), "%s", err.text);
    reader_close(&r);
    buf_free(&packed);
}

Test(reader, rows_of_a_damaged_member_are_named) {
    expect_unchecked("a.jsonl.gz", 8, false,
                     "rows 4 to 4 are of the damaged part: their results may be wrong");
    expect_unchecked("b.csv.gz", 8, true, "rows 4 to 4 are of the damaged part");
}

Test(reader, packed_input_that_gives_nothing_is_refused_when_it_is_opened) {
    expect_refused(scratch_text("a.jsonl.gz", "{\"n\": 1}\n"), SDG_EPARSE,
                   "is not gzip data, although its name says so");
    expect_refused(scratch_text("a.csv.zst", "a,b\n"), SDG_EPARSE,
                   "is not zstd data, although its name says so");
}

Test(reader, csv_values_are_text) {
    expect_rows(
        scratch_text(
            "a.csv",
            "\xEF\xBB\xBFid,text,n\r\n1,\"a, b\",10\r\n2,\"say \"\"hi\"\"\",\r\n\r\n3,\"two\nlines\",0.50\r\n"
            "4,\xE3\x81\x82,x\r\n"),
        DATA_AUTO,
        "0@2 {\"id\": \"1\", \"text\": \"a, b\", \"n\": \"10\"}\n"
        "1@3 {\"id\": \"2\", \"text\": \"say \\\"hi\\\"\", \"n\": \"\"}\n"
        "2@5 {\"id\": \"3\", \"text\": \"two\\nlines\", \"n\": \"0.50\"}\n"
        "3@7 {\"id\": \"4\", \"text\": \"\xE3\x81\x82\", \"n\": \"x\"}\nend");
}

Test(reader, csv_with_missing_and_surplus_fields) {
    expect_rows(scratch_text("a.csv", "a,\"b \"\"q\"\"\",c,d\n1\n1,2,3,4,5\n1,2,3,4\n"), DATA_AUTO,
                "0@2 {\"a\": \"1\", \"b \\\"q\\\"\": \"\", \"c\": \"\", \"d\": \"\"}\n"
                "1@3 !input line 3: 5 fields, the header has 4\n"
                "2@4 {\"a\": \"1\", \"b \\\"q\\\"\": \"2\", \"c\": \"3\", \"d\": \"4\"}\nend");
}

Test(reader, csv_headers_that_cannot_be) {
    expect_refused(scratch_text("a.csv", ""), SDG_EINVAL, "is empty");
    expect_refused(scratch_text("a.csv", "\xEF\xBB\xBF\n\n"), SDG_EINVAL, "is empty");
    expect_refused(scratch_text("a.csv", "a,\"b\"c\n1,2\n"), SDG_EINVAL, "text behind a closing quote");
    expect_refused(scratch_text("a.csv", "\"a"), SDG_EINVAL, "never closes it");
    expect_refused(scratch_text("a.csv", "\x82\xa0,b\n"), SDG_EINVAL, "not valid UTF-8");
    char *commas = xcalloc(1, CSV_COLUMNS_MAX + 1);
    memset(commas, ',', CSV_COLUMNS_MAX);
    expect_refused(scratch_text("a.csv", commas), SDG_ELIMIT, "more than");
    free(commas);
}

Test(reader, bad_records_are_rows_and_reading_goes_on) {
    expect_rows(
        scratch_text("a.jsonl", "{1}\n{\"\xff\"}\n{3}\n"), DATA_AUTO,
        "0@1 {1}\n1@2 !input line 2: not valid UTF-8 (is the file in another encoding?)\n2@3 {3}\nend");
    expect_rows(scratch_text("a.csv", "a,b\n\xC3,\xA9\n1,\"open\n"), DATA_AUTO,
                "0@2 !input line 2: not valid UTF-8 (is the file in another encoding?)\n"
                "1@3 !input line 3: a quote is opened and never closed\nend");
}

Test(reader, a_stray_quote_costs_its_own_line) {
    expect_rows(
        scratch_text("a.csv", "id,t\n1,fine\n2,\"no end\n3,lost\n4,quoted\" tail\n5,fine\n"), DATA_AUTO,
        "0@2 {\"id\": \"1\", \"t\": \"fine\"}\n"
        "1@3 !input line 3: the quote opened here is closed in line 5, with text behind it (a quote inside "
        "quotes is doubled)\n"
        "2@4 {\"id\": \"3\", \"t\": \"lost\"}\n"
        "3@5 {\"id\": \"4\", \"t\": \"quoted\\\" tail\"}\n"
        "4@6 {\"id\": \"5\", \"t\": \"fine\"}\nend");
    expect_rows(scratch_text("a.csv", "id\n\"1\" x\n2\n"), DATA_AUTO,
                "0@2 !input line 2: text behind a closing quote (a quote inside quotes is doubled)\n"
                "1@3 {\"id\": \"2\"}\nend");
}

Test(reader, lines_that_a_broken_record_spanned_need_all_their_fields) {
    expect_rows(
        scratch_text("a.csv", "id,t,u\n1,\"open,x\nonly text\n3,b,c\n4,d\"e,\"f\n5,g\n"), DATA_AUTO,
        "0@2 !input line 2: the quote opened here is closed in line 5, with text behind it (a quote inside "
        "quotes is doubled)\n"
        "1@3 !input line 3: 1 field, the header has 3 (a quote opened in line 2 runs over this line)\n"
        "2@4 {\"id\": \"3\", \"t\": \"b\", \"u\": \"c\"}\n"
        "3@5 !input line 5: a quote is opened and never closed\n"
        "4@6 !input line 6: 2 fields, the header has 3 (a quote opened in line 5 runs over this line)\nend");
}

Test(reader, a_stray_quote_in_a_pipe_or_packed_is_no_other) {
    const char *text = "id,t\n1,\"open\n2,x\n3,\"y\"\n";
    const char *want =
        "0@2 !input line 2: the quote opened here is closed in line 4, with text behind it (a quote "
        "inside quotes is doubled)\n"
        "1@3 {\"id\": \"2\", \"t\": \"x\"}\n2@4 {\"id\": \"3\", \"t\": \"y\"}\nend";
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, text, 12);
    add_gzip(&packed, text + 12, strlen(text) - 12);
    expect_rows(scratch_write("a.csv.gz", packed.data, packed.len), DATA_AUTO, want);
    buf_free(&packed);
    const char *path = scratch_path("pipe");
    cr_assert_eq(mkfifo(path, 0600), 0);
    int in = open(path, O_RDWR);
    cr_assert_eq(write(in, text, strlen(text)), (ssize_t)strlen(text));
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open(path, DATA_CSV, &err);
    reader_set_waiting(r);
    cr_assert_eq(reader_next(r, &row, &err), 1);
    cr_assert(row.bad);
    cr_assert_eq(reader_next(r, &row, &err), 1);
    cr_assert_eq(row.line, 3);
    cr_assert_eq(reader_next(r, &row, &err), 1, "it is there, although the pipe has nothing more");
    cr_assert_eq(row.line, 4);
    cr_assert_eq(reader_next(r, &row, &err), READER_WAIT);
    reader_close(&r);
    close(in);
}

Test(reader, tsv_has_no_quoting) {
    expect_rows(scratch_text("a.tsv", "id\tt\n1\t\"open\n2\ta \"b\" c\n\"3\"\t\"\"\n"), DATA_AUTO,
                "0@2 {\"id\": \"1\", \"t\": \"\\\"open\"}\n"
                "1@3 {\"id\": \"2\", \"t\": \"a \\\"b\\\" c\"}\n"
                "2@4 {\"id\": \"\\\"3\\\"\", \"t\": \"\\\"\\\"\"}\nend");
}

Test(reader, a_lone_cr_ends_a_line) {
    const char *rows = "0@2 {\"a\": \"1\", \"b\": \"2\"}\n1@3 {\"a\": \"3\", \"b\": \"4\"}\nend";
    expect_rows(scratch_text("a.csv", "a,b\r1,2\r3,4"), DATA_AUTO, rows);
    expect_rows(scratch_text("a.csv", "a,b\r\n1,2\r3,4\n"), DATA_AUTO, rows);
    expect_rows(scratch_text("a.tsv", "a\tb\n1\t2\r3\t4\r"), DATA_AUTO, rows);
}

static void expect_notes(const char *path, const char *want, const char *rows) {
    err_t err = {0};
    reader_t *r = reader_open(path, DATA_AUTO, &err);
    cr_assert(r, "%s", err.text);
    cr_assert(want[0] ? strstr(reader_notes(r), want) != NULL : !reader_notes(r)[0], "%s", reader_notes(r));
    reader_close(&r);
    expect_rows(path, DATA_AUTO, rows);
}

Test(reader, columns_without_a_name_are_numbered_and_of_equal_ones_the_last_counts) {
    expect_notes(scratch_text("a.csv", "a,b\n1,2\n"), "", "0@2 {\"a\": \"1\", \"b\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", ",name\n0,Ann\n"),
                 "column 1 of the header has no name: it is called column_1",
                 "0@2 {\"column_1\": \"0\", \"name\": \"Ann\"}\nend");
    expect_notes(scratch_text("a.csv", "a,\"\", ,\n1,2,3,4\n"), "column 4 of the header has no name",
                 "0@2 {\"a\": \"1\", \"column_2\": \"2\", \"column_3\": \"3\", \"column_4\": \"4\"}\nend");
    expect_notes(scratch_text("a.csv", "a,b,a,a\n1,2,3,4\n5,6\n"),
                 "columns 1 and 3 of the header have the same name \"a\": the last one counts",
                 "0@2 {\"b\": \"2\", \"a\": \"4\"}\n1@3 {\"b\": \"6\", \"a\": \"\"}\nend");
    expect_notes(scratch_text("a.tsv", "\tcolumn_1\nx\ty\n"),
                 "columns 1 and 2 of the header have the same name", "0@2 {\"column_1\": \"y\"}\nend");
    expect_notes(scratch_text("a.csv", ",,,,,\n"), "in all 6 columns of the header have no name", "end");
    expect_notes(scratch_text("a.csv", "a,a,a,a,a\n"),
                 "in all 4 columns of the header have a name that is there before", "end");
    expect_notes(scratch_text("a.csv", " name ,b\n1,2\n"), "", "0@2 {\" name \": \"1\", \"b\": \"2\"}\nend");
}

Test(reader, lines_that_begin_with_no_object_may_be_another_format) {
    expect_notes(scratch_text("a.jsonl", "\n{\"a\": 1}\n"), "", "0@2 {\"a\": 1}\nend");
    expect_notes(
        scratch_text("a.jsonl", "id,text\n"),
        "a.jsonl: it is read as JSON Lines and does not begin with an object: for CSV give --format csv",
        "0@1 id,text\nend");
}

Test(reader, semicolons_are_recognised_by_the_header) {
    const char *rows = "0@2 {\"a\": \"1\", \"b\": \"2,5\"}\nend";
    expect_notes(scratch_text("a.csv", "a;b\n1;2,5\n"), "", rows);
    expect_notes(scratch_text("a.csv", "\xEF\xBB\xBF\"a\";b\r\n1;2,5\r\n"), "", rows);
    expect_notes(scratch_text("a.csv", "\"a,b\";c\n1;2\n"), "", "0@2 {\"a,b\": \"1\", \"c\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "\"a;b\",c\n1,2\n"), "", "0@2 {\"a;b\": \"1\", \"c\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "sep=;\r\na,x;b\r\n1;2\r\n"), "",
                 "0@3 {\"a,x\": \"1\", \"b\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "sep=,\na,b\n1,2\n"), "", "0@3 {\"a\": \"1\", \"b\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "sep=,x\n1,2\n"), "", "0@2 {\"sep=\": \"1\", \"x\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "\"a\n;\",\"b\"\r\n\"1\r\n\",\"\"\r\n"), "",
                 "0@3 {\"a\\n;\": \"1\\r\\n\", \"b\": \"\"}\nend");
    expect_notes(scratch_text("a.csv", "a;b,c\n1,2\n"), "", "0@2 {\"a;b\": \"1\", \"c\": \"2\"}\nend");
    expect_notes(scratch_text("a.csv", "a|b\n1|2\n"), "give --delimiter '|'", "0@2 {\"a|b\": \"1|2\"}\nend");
    expect_notes(scratch_text("a.csv", "a\tb\n"), "give --delimiter tab", "end");
}

static void expect_form(const char *path, data_form_t form, const char *rows, const char *identity) {
    err_t err = {0};
    char id[128] = "";
    buf_t got;
    buf_init(&got, 1 << 20);
    reader_t *r = reader_open_as(path, &form, &err);
    cr_assert(r, "%s", err.text);
    cr_assert_eq(reader_identity(r, path, id, sizeof id, &err), 0);
    cr_assert_str_eq(strchr(id, ' ') ? strchr(id, ' ') : "", identity);
    show_rows(r, &got);
    cr_assert_str_eq(got.data, rows);
    buf_free(&got);
    reader_close(&r);
}

Test(reader, a_form_that_is_given_overrides_the_name_and_the_header) {
    const char *two = "0@2 {\"a\": \"1\", \"b\": \"2\"}\nend";
    const char *path = scratch_text("a.csv", "a;b\n1;2\n");
    expect_form(path, (data_form_t){0}, two, " 0x3b");
    expect_form(path, (data_form_t){.delimiter = ';'}, two, " 0x3b");
    expect_form(path, (data_form_t){.format = DATA_CSV, .delimiter = ','}, "0@2 {\"a;b\": \"1;2\"}\nend", "");
    expect_form(scratch_text("a.jsonl", "a,b\n1,2\n"), (data_form_t){.format = DATA_CSV}, two, " csv");
    expect_form(scratch_text("a.csv", "a,b\n1,2\n"), (data_form_t){.format = DATA_CSV}, two, "");
    expect_form(scratch_text("a.csv", "a\tb\n1\t\"2\"\n"), (data_form_t){.delimiter = '\t'}, two, " 0x09");
    expect_form(scratch_text("a.txt", "a|b\n1|2\n"), (data_form_t){.delimiter = '|'}, two, " csv 0x7c");
    expect_form(scratch_text("a.txt", "a\tb\n1\t2\n"), (data_form_t){.format = DATA_TSV}, two, " tsv");
    expect_form(scratch_text("a.csv", "{\"n\": 1}\n"), (data_form_t){.format = DATA_JSONL},
                "0@1 {\"n\": 1}\nend", " jsonl");
    err_t err = {0};
    cr_assert_null(reader_open_as(scratch_text("b.jsonl", "{}\n"), &(data_form_t){.delimiter = ';'}, &err));
    cr_assert(strstr(err.text, "--format csv"), "%s", err.text);
}

Test(reader, another_form_is_refused_whatever_the_name_with_the_way_out) {
    static const char *const names[] = {"a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt"};
    buf_t packed;
    buf_init(&packed, 1 << 20);
    for (size_t i = 0; i < 5; i++) {
        expect_refused(scratch_text(names[i], "[\n{\"n\": 1},\n{\"n\": 2}\n]\n"), SDG_EINVAL, "jq -c '.[]'");
        expect_refused(scratch_text(names[i], "\xEF\xBB\xBF \n[{\"n\": 1}]"), SDG_EINVAL,
                       "is one JSON array");
        expect_refused(scratch_text(names[i], "{\n  \"n\": 1\n}\n"), SDG_EINVAL, "jq -c .");
        expect_refused(scratch_write(names[i], "\xff\xfe{\0}\0\n", 8), SDG_EINVAL,
                       "iconv -f UTF-16 -t UTF-8");
        expect_refused(scratch_write(names[i], "\xfe\xff\0{\0}", 6), SDG_EINVAL, "iconv -f UTF-16 -t UTF-8");
        expect_refused(scratch_write(names[i], "{\0}\0\n", 6), SDG_EINVAL, "iconv -f UTF-16LE");
        expect_refused(scratch_write(names[i], "\0{\0}\0\n", 6), SDG_EINVAL, "iconv -f UTF-16BE");
        expect_refused(scratch_text(names[i], "PK\x03\x04 and more"), SDG_EINVAL, "zip");
    }
    expect_refused(scratch_text("a.csv", "{\"n\": 1}\n"), SDG_EINVAL, "--format jsonl");
    expect_refused(scratch_text("a.jsonl", "{\"n\": 1}\r{\"n\": 2}\r"), SDG_EINVAL, "tr '\\r' '\\n'");
    add_gzip(&packed, "[{\"n\": 1}]", 10);
    expect_refused(scratch_write("a.jsonl.gz", packed.data, packed.len), SDG_EINVAL, "<(gzip -dc ");
    buf_reset(&packed);
    add_zstd(&packed, "\xff\xfe{\0}\0", 6);
    expect_refused(scratch_write("a.csv.zst", packed.data, packed.len), SDG_EINVAL, "<(zstd -dc ");
    buf_free(&packed);
}

Test(reader, a_pipe_in_another_form_is_refused_when_its_first_bytes_come) {
    const char *path = scratch_path("pipe");
    err_t err = {0};
    row_record_t row;
    cr_assert_eq(mkfifo(path, 0600), 0);
    int in = open(path, O_RDWR);
    reader_t *r = reader_open(path, DATA_JSONL, &err);
    cr_assert(r);
    reader_set_waiting(r);
    cr_assert_eq(reader_next(r, &row, &err), READER_WAIT);
    cr_assert_eq(write(in, " \n", 2), 2);
    cr_assert_eq(reader_next(r, &row, &err), READER_WAIT);
    cr_assert_eq(write(in, "[{", 2), 2);
    cr_assert_eq(reader_next(r, &row, &err), SDG_EINVAL);
    cr_assert(strstr(err.text, "is one JSON array"), "%s", err.text);
    cr_assert_eq(reader_next(r, &row, &err), SDG_EINVAL, "and it stays so");
    reader_close(&r);
    close(in);
}

Test(reader, records_over_the_maximum_are_bad_rows) {
    const char *paths[2] = {scratch_path("a.jsonl"), scratch_path("a.csv")};
    char *run = xmalloc(1 << 20);
    memset(run, 'x', 1 << 20);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(paths[i], "wb");
        fputs("a\n", f);
        for (size_t n = 0; n <= DATA_LINE_BYTES_MAX; n += 1 << 20)
            fwrite(run, 1, 1 << 20, f);
        fputs("\nb\n", f);
        fclose(f);
    }
    expect_rows(paths[0], DATA_AUTO, "0@1 a\n1@2 !input line 2: longer than 64 MiB\n2@3 b\nend");
    expect_rows(paths[1], DATA_AUTO, "0@2 !input line 2: longer than 64 MiB\n1@3 {\"a\": \"b\"}\nend");
    free(run);
}

Test(reader, csv_fields_of_many_megabytes) {
    size_t n = (size_t)10 << 20;
    buf_t text;
    buf_init(&text, 2 * n);
    buf_adds(&text, "a\n\"");
    memset(buf_reserve(&text, n), '\n', n);
    text.len += n;
    buf_adds(&text, "\"\nlast\n");
    reader_t *r = reader_open(scratch_write("a.csv", text.data, text.len), DATA_AUTO, NULL);
    row_record_t row;
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(row.json_len, 2 * n + strlen("{\"a\": \"\"}"));
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(row.line, n + 3);
    cr_assert_eq(reader_next(r, &row, NULL), 0);
    reader_close(&r);
    buf_free(&text);
}

/* A row must come out of a pipe as soon as its line is in, with the writer still holding the pipe open. */
static void check_pipe(data_format_t format, const char *head) {
    const char *path = scratch_path("pipe");
    cr_assert(mkfifo(path, 0600) == 0);
    int in = open(path, O_RDWR); /* both ends, so that nobody waits */
    cr_assert(write(in, head, strlen(head)) == (ssize_t)strlen(head));
    row_record_t row;
    reader_t *r = reader_open(path, format, NULL);
    cr_assert(r);
    cr_assert(write(in, "1\n2", 3) == 3);
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(row.index, 0);
    cr_assert(write(in, "\n", 1) == 1);
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(row.index, 1);
    close(in);
    cr_assert_eq(reader_next(r, &row, NULL), 0);
    uint64_t done, total;
    reader_progress(r, &done, &total);
    cr_assert_eq(total, 0);
    cr_assert_eq(done, 4 + strlen(head));
    reader_close(&r);
    unlink(path);
}

Test(reader, a_slow_pipe_gives_its_first_row_at_once) {
    check_pipe(DATA_JSONL, "");
    check_pipe(DATA_CSV, "a\n");
}

/* ---- waiting: a pipe written piece by piece, the reader asked after each piece */

typedef struct piecewise {
    int in; /* the writing end; -1 when closed */
    reader_t *reader;
    buf_t got; /* "json|", "!bad|", "wait|", "end|" */
} piecewise_t;

/* `head` is there before the reader is opened (a CSV header is read at open, which waits for it). */
static void pipe_open(piecewise_t *p, const char *name, data_format_t format, const char *head) {
    const char *path = scratch_path(name);
    cr_assert(mkfifo(path, 0600) == 0);
    int both = open(path, O_RDWR); /* so that no open waits */
    p->in = open(path, O_WRONLY);
    cr_assert(write(p->in, head, strlen(head)) == (ssize_t)strlen(head));
    err_t err = {0};
    p->reader = reader_open(path, format, &err);
    cr_assert(p->reader, "%s", err.text);
    close(both);
    buf_init(&p->got, 1 << 20);
    reader_set_waiting(p->reader);
    cr_assert_gt(reader_fd(p->reader), 0);
    cr_assert_not(fcntl(reader_fd(p->reader), F_GETFL) & O_NONBLOCK);
}

/* Reads until there is nothing for now. */
static void pipe_read(piecewise_t *p) {
    row_record_t row;
    err_t err = {0};
    int rc;
    while ((rc = reader_next(p->reader, &row, &err)) == 1) {
        if (row.bad)
            buf_addf(&p->got, "!%s", row.bad);
        else
            buf_add(&p->got, row.json, row.json_len);
        buf_addc(&p->got, '|');
    }
    buf_adds(&p->got, rc == READER_WAIT ? "wait|" : rc == 0 ? "end|" : err.text);
}

static void pipe_give(piecewise_t *p, const char *bytes, size_t n) {
    cr_assert(write(p->in, bytes, n) == (ssize_t)n);
    pipe_read(p);
}

static void pipe_expect(piecewise_t *p, const char *want) {
    cr_assert_str_eq(p->got.data, want);
    buf_reset(&p->got);
}

static void pipe_close(piecewise_t *p, const char *want) {
    close(p->in);
    pipe_read(p);
    pipe_expect(p, want);
    reader_close(&p->reader);
    buf_free(&p->got);
}

Test(reader, a_pipe_with_half_a_line_is_waited_for) {
    piecewise_t p;
    pipe_open(&p, "p", DATA_JSONL, "");
    pipe_read(&p);
    pipe_expect(&p, "wait|");
    pipe_give(&p, "{\"a\": ", 6);
    pipe_read(&p);
    pipe_expect(&p, "wait|wait|");
    pipe_give(&p, "1}\n{2}\n{", 8);
    pipe_expect(&p, "{\"a\": 1}|{2}|wait|");
    pipe_give(&p, "3", 1);
    pipe_expect(&p, "wait|");
    pipe_close(&p, "{3|end|");
}

Test(reader, a_line_over_the_maximum_may_come_with_pauses) {
    piecewise_t p;
    pipe_open(&p, "p", DATA_JSONL, "");
    static char block[32 << 10];
    memset(block, 'x', sizeof block);
    for (size_t given = 0; given <= DATA_LINE_BYTES_MAX; given += sizeof block) {
        pipe_give(&p, block, sizeof block);
        pipe_expect(&p, "wait|");
    }
    pipe_give(&p, "\n{2}\n", 5);
    cr_assert(strncmp(p.got.data, "!input line 1: longer than", 26) == 0 && strstr(p.got.data, "|{2}|wait|"),
              "%s", p.got.data);
    buf_reset(&p.got);
    pipe_close(&p, "end|");
}

Test(reader, csv_may_pause_anywhere) {
    piecewise_t p;
    pipe_open(&p, "p", DATA_CSV, "a,b\r\n");
    pipe_give(&p, "1,\"x", 4); /* inside quotes */
    pipe_give(&p, "\n", 1);    /* a line end inside them */
    pipe_give(&p, "y\"", 2);   /* behind a quote that may be half of a doubled one */
    pipe_give(&p, "\"z\"", 3);
    pipe_give(&p, "\r", 1); /* between CR and LF */
    pipe_expect(&p, "wait|wait|wait|wait|{\"a\": \"1\", \"b\": \"x\\ny\\\"z\"}|wait|");
    pipe_give(&p, "\n2", 2);
    pipe_expect(&p, "wait|");
    pipe_close(&p, "{\"a\": \"2\", \"b\": \"\"}|end|");
}

/* Each byte on its own: whatever place a pause falls on, the rows are the same. */
static void check_bytewise(const char *name, data_format_t format, const char *head, const char *bytes,
                           size_t n, const char *want) {
    piecewise_t p;
    pipe_open(&p, name, format, head);
    buf_t rows;
    buf_init(&rows, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        pipe_give(&p, bytes + i, 1);
        size_t len = p.got.len - strlen("wait|");
        cr_assert_str_eq(p.got.data + len, "wait|");
        buf_add(&rows, p.got.data, len);
        buf_reset(&p.got);
    }
    close(p.in);
    pipe_read(&p);
    buf_adds(&rows, p.got.data);
    cr_assert_str_eq(rows.data, want);
    buf_free(&rows);
    buf_free(&p.got);
    reader_close(&p.reader);
}

Test(reader, compressed_pipes_may_pause_anywhere) {
    const char *text = "{\"a\": 1}\n{\"b\": 2}\n{3";
    const char *rows = "{\"a\": 1}|{\"b\": 2}|{3|end|";
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, text, 12);
    add_gzip(&packed, text + 12, strlen(text) - 12);
    check_bytewise("p.jsonl.gz", DATA_AUTO, "", packed.data, packed.len, rows);
    check_bytewise("sniffed-gzip", DATA_JSONL, "", packed.data, packed.len, rows);
    buf_reset(&packed);
    add_zstd(&packed, text, 12);
    add_zstd(&packed, text + 12, strlen(text) - 12);
    check_bytewise("sniffed-zstd", DATA_JSONL, "", packed.data, packed.len, rows);
    buf_free(&packed);
}

Test(reader, plain_pipes_may_pause_anywhere) {
    const char *text = "\xEF\xBB\xBF{1}\r\n\n {2}\n\x1f";
    check_bytewise("jsonl", DATA_JSONL, "", text, strlen(text), "{1}| {2}|\x1f|end|");
    text = "\"x,\"\"y\"\r\n\r\n2\n3";
    check_bytewise("csv", DATA_CSV,
                   "\xEF\xBB\xBF"
                   "a\n",
                   text, strlen(text), "{\"a\": \"x,\\\"y\"}|{\"a\": \"2\"}|{\"a\": \"3\"}|end|");
}

Test(reader, a_torn_compressed_pipe_waits_and_then_fails) {
    buf_t packed;
    buf_init(&packed, 1 << 20);
    add_gzip(&packed, "{1}\n", 4);
    piecewise_t p;
    pipe_open(&p, "p.jsonl.gz", DATA_AUTO, "");
    pipe_give(&p, packed.data, packed.len - 3);
    pipe_expect(&p, "{1}|wait|");
    close(p.in);
    pipe_read(&p);
    cr_assert(strstr(p.got.data, "stops in the middle"), "%s", p.got.data);
    reader_close(&p.reader);
    buf_free(&p.got);
    buf_free(&packed);
}

Test(reader, a_regular_file_never_waits) {
    row_record_t row;
    reader_t *r = reader_open(scratch_text("a.jsonl", "{1}\n{2"), DATA_AUTO, NULL);
    reader_set_waiting(r);
    cr_assert_eq(reader_fd(r), -1);
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(reader_next(r, &row, NULL), 1);
    cr_assert_eq(reader_next(r, &row, NULL), 0);
    reader_close(&r);
}

Test(reader, stdin_is_jsonl_unless_said_otherwise) {
    int fd = open(scratch_text("a", "a\n1\n"), O_RDONLY);
    cr_assert(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    expect_rows("-", DATA_AUTO, "0@1 a\n1@2 1\nend");
    cr_assert(lseek(STDIN_FILENO, 0, SEEK_SET) == 0);
    expect_rows("-", DATA_CSV, "0@2 {\"a\": \"1\"}\nend");
    close(fd);
}

/* ---- identity */

static void identity(const char *path, char *out, size_t size) {
    err_t err = {0};
    cr_assert_eq(data_identity(path, out, size, &err), 0, "%s", err.text);
}

Test(reader, an_identity_is_size_and_hash) {
    char a[80], b[80], c[80];
    identity(scratch_text("a", "some text"), a, sizeof a);
    identity(scratch_text("b", "some text"), b, sizeof b);
    identity(scratch_text("c", "some Text"), c, sizeof c);
    cr_assert_str_eq(a, b);
    cr_assert_str_neq(a, c);
    cr_assert(strncmp(a, "9-", 2) == 0 && strlen(a) == 2 + 32, "%s", a);
    identity("-", a, sizeof a);
    cr_assert_str_eq(a, "stdin");
    err_t err = {0};
    cr_assert_eq(data_identity(scratch_path("nothing"), a, sizeof a, &err), SDG_ENOTFOUND);
}

Test(reader, a_large_file_is_known_by_its_ends_and_samples) {
    const size_t size = (size_t)20 << 20, places[] = {0, (1 << 20) - 1, 1 << 20, size / 2, size - 1};
    char before[80], after[80];
    char *bytes = xcalloc(1, size);
    identity(scratch_write("a", bytes, size), before, sizeof before);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == size / 2)
            memset(bytes + places[i], 1, (size_t)512 << 10); /* wider than a gap between samples */
        else
            bytes[places[i]] = 1;
        identity(scratch_write("a", bytes, size), after, sizeof after);
        cr_assert_str_neq(before, after, "a change at %zu is seen", places[i]);
        strcpy(before, after);
    }
    free(bytes);
}

/* ---- how much of the input is used up */

static void expect_consumed(const char *path, const uint64_t *after, int rows, uint64_t end) {
    err_t err = {0};
    row_record_t row;
    reader_t *r = reader_open(path, DATA_AUTO, &err);
    cr_assert(r, "%s", err.text);
    for (int i = 0; i < rows; i++) {
        cr_assert_eq(reader_next(r, &row, &err), 1);
        cr_expect_eq(reader_consumed(r), after[i], "row %d: %u", i, (unsigned)reader_consumed(r));
    }
    cr_assert_eq(reader_next(r, &row, &err), 0);
    cr_expect_eq(reader_consumed(r), end);
    reader_close(&r);
}

Test(reader, consumed_bytes_end_at_the_record_given_last) {
    expect_consumed(scratch_text("a.jsonl", "{1}\n\n{2}\r\n{3}"), (const uint64_t[]){4, 10, 13}, 3, 13);
    expect_consumed(scratch_text("a.csv", "\xEF\xBB\xBFid\n1\n\"a\nb\"\r\n\n"), (const uint64_t[]){8, 15}, 2,
                    16);
}

Test(reader, consumed_bytes_of_compressed_input_are_of_the_file) {
    enum { ROWS = 20000 };
    buf_t text, packed;
    err_t err = {0};
    row_record_t row;
    uint64_t before = 0;
    buf_init(&text, 1 << 24), buf_init(&packed, 1 << 24);
    for (int i = 0; i < ROWS; i++)
        buf_addf(&text, "{\"n\": %d, \"m\": %d}\n", i, i * 7919 % 10007);
    add_gzip(&packed, text.data, text.len);
    reader_t *r = reader_open(scratch_write("a.jsonl.gz", packed.data, packed.len), DATA_AUTO, &err);
    for (int i = 0; i < ROWS; i++) {
        cr_assert_eq(reader_next(r, &row, &err), 1);
        cr_assert_geq(reader_consumed(r), before);
        before = reader_consumed(r);
        if (i == ROWS / 2)
            cr_expect(before > packed.len * 2 / 5 && before < packed.len * 3 / 5, "%u", (unsigned)before);
    }
    cr_assert_eq(reader_next(r, &row, &err), 0);
    cr_expect_eq(reader_consumed(r), packed.len);
    reader_close(&r);
    buf_free(&text), buf_free(&packed);
}
