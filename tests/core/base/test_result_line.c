/* Lines of an output, written and read. */
#include "core/base/result_line.h"

#include <string.h>

#include <criterion/criterion.h>

Test(result_line, a_failed_row_reads_back_as_failed) {
    buf_t line;
    result_line_t got;
    buf_init(&line, 1000);
    result_line_fail(&line, 12, "input line 3: \"x\" is\tno JSON");
    cr_assert_str_eq(line.data, "{\"_row_index\": 12, \"_error\": \"input line 3: \\\"x\\\" is\\tno JSON\"}");
    cr_assert_eq(result_line_read(line.data, line.len, &got, NULL), 0);
    cr_assert(got.row == 12 && got.failed);
    buf_free(&line);
}

static void expect_line(const char *json, int64_t row, bool failed) {
    result_line_t got;
    int rc = result_line_read(json, strlen(json), &got, NULL);
    cr_assert_eq(rc, row < 0 ? SDG_EINVAL : 0, "%s", json);
    if (row >= 0) cr_assert(got.row == (uint64_t)row && got.failed == failed, "%s", json);
}

Test(result_line, lines) {
    expect_line("{\"_row_index\": 12, \"x\": 1}", 12, false);
    expect_line("{\"_row_index\": 0}", 0, false);
    expect_line("{\"_row_index\": 12 , \"x\": 1} ", 12, false);
    expect_line("{\"x\": {\"_row_index\": 1}, \"_row_index\":3}", 3, false);
    expect_line("{\"_row_index\": 12, \"_error\": \"b: no\"}", 12, true);
    expect_line("{\"_row_index\": 12, \"_1_a\": 1, \"_error\": null}", 12, true);
    expect_line("{\"_row_index\": 12, \"x\": {\"_error\": 1}}", 12, false);
    expect_line("{\"_row_index\": 12, \"x\": [\"_error\"]}", 12, false);
    expect_line("{\"_row_index\": 12, \"x\": \"\\\"_error\\\": 1\"}", 12, false);
    expect_line("{\"_row_index\": 123456789012345678}", 123456789012345678, false);
    expect_line("{\"_row_index\": 9223372036854775807}", INT64_MAX, false);
    expect_line("{\"_row_index\": 9223372036854775808}", -1, false);
    expect_line("{\"_row_index\": 1e3}", -1, false);
    expect_line("{\"_row_index\": 01}", -1, false);
    expect_line("{\"_row_index\": }", -1, false);
    expect_line("{\"_row_index\": 1", -1, false);
    expect_line("{\"_row_index\": 1]}", -1, false);
    expect_line("{\"_row_index\": 12, \"_row_index\": 13}", 13, false);
    expect_line("{\"_row_index\": \"12\"}", -1, false);
    expect_line("{\"_row_index\": -1}", -1, false);
    expect_line("{\"_row_index\": -0}", 0, false);
    expect_line("{\"_row_\\u0069ndex\": 5}", 5, false);
    expect_line("{\"x\": 1}", -1, false);
    expect_line("[{\"_row_index\": 12}]", -1, false);
}

/* A line in the form that we write is read to its end, too. */
Test(result_line, damage_behind_the_row_number_is_seen) {
    expect_line("{\"_row_index\": 12, \"x\": \"a}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\" \"a\"}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\": \"\xff\"}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\": \"\\q\"}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\": \"a\tb\"}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\": tru}", -1, false);
    expect_line("{\"_row_index\": 12}{\"_row_index\": 13}", -1, false);
    expect_line("{\"_row_index\": 12, \"x\": 1.}", -1, false);
}

static void expect_taken(const char *json, uint64_t row, bool failed, const char *refusal) {
    err_t err = {0};
    int rc = result_line_check(json, strlen(json), row, failed, &err);
    cr_expect_eq(rc, refusal ? SDG_EINVAL : SDG_OK, "%s: %s", json, err.text);
    if (refusal) cr_expect(strstr(err.text, refusal), "%s: %s", json, err.text);
}

Test(result_line, of_a_worker_is_taken_only_when_it_is_what_it_has_to_be) {
    expect_taken("{\"_row_index\": 12, \"x\": 1}", 12, false, NULL);
    expect_taken("{\"_row_index\": 0}", 0, false, NULL);
    expect_taken("{\"_row_index\": 9223372036854775807}", INT64_MAX, false, NULL);
    expect_taken("{\"_row_index\": 18446744073709551615}", UINT64_MAX, false, "is not 18446744073709551615");
    expect_taken("{\"_row_index\": 12, \"_error\": \"no\"}", 12, true, NULL);
    expect_taken("{\"_row_index\": 12, \"_error\": \"a column\"}", 12, false, NULL);
    expect_taken("{\"_row_index\": 12, \"x\": {\"_row_index\": 3}}", 12, false, NULL);
    expect_taken("", 12, false, "empty");
    expect_taken("hello", 12, false, "no JSON object");
    expect_taken("{\"_row_index\": 12,\n\"x\": 1}", 12, false, "more than one line");
    expect_taken("{\"_row_index\": 12}{\"_row_index\": 13}", 12, false, "JSON: ");
    expect_taken("{\"_row_index\": 12, \"x\": \"\xff\"}", 12, false, "UTF-8");
    expect_taken("{\"_row_index\": 12, \"x\": \"}", 12, false, "JSON: ");
    expect_taken("{\"_row_index\": 12} ", 12, false, "no JSON object");
    expect_taken("{\"_row_index\": 12}\r", 12, false, "more than one line");
    expect_taken("{\"_row_index\": 3}", 12, false, "\"_row_index\" is not 12");
    expect_taken("{\"_row_index\": 12.0}", 12, false, "is not 12");
    expect_taken("{\"_row_index\": 012}", 12, false, "JSON: ");
    expect_taken("{\"_row_index\": \"12\"}", 12, false, "is not 12");
    expect_taken("{\"x\": 1, \"_row_index\": 12}", 12, false, "is not 12");
    expect_taken("{\"_row_index\": 12, \"_row_index\": 3}", 12, false, "is not 12");
    expect_taken("{\"_row_index\": 12, \"\\u005frow_index\": 3}", 12, false, "is not 12");
    expect_taken("{}", 12, false, "is not 12");
    expect_taken("{\"_row_index\": 12}", 12, true, "no \"_error\"");
    expect_taken("{\"_row_index\": 12, \"x\": {\"_error\": 1}}", 12, true, "no \"_error\"");
}
