/* csv.h - cuts bytes into CSV records: pure, fed piece by piece, no I/O.
 *
 * A record ends at a line end outside quotes: LF, CR LF, or a CR alone, also mixed. Quoted fields may hold
 * separators, line ends and doubled quotes; a quote inside an unquoted field is an ordinary character. Lines
 * without any character are skipped, but count as lines. Without quoting (TSV) quotes are ordinary
 * everywhere.
 *
 * A quoted field must be followed by a separator, a line end or the end of the input. If text follows, if the
 * quote is never closed, or if its field goes on over lines beyond record_bytes_max, the record is broken: it
 * is given with its `problem`, and reading goes on at the line behind the one in which that quote was opened.
 * So a stray quote costs its own line and swallows no other. Records that begin in a line which the broken
 * one had spanned are `in_span`: the caller looks at them with more suspicion.
 *
 * Nothing is refused here: a record tells what is wrong with it. Each byte is read twice at most.
 */
#ifndef SDG_DATA_CSV_H
#define SDG_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct csv csv_t;

typedef enum csv_problem {
    CSV_FINE,
    CSV_TEXT_BEHIND_QUOTE, /* text follows a closing quote */
    CSV_QUOTE_NEVER_CLOSED,
    CSV_QUOTE_TOO_LONG, /* a quoted field goes over several lines and more than record_bytes_max */
} csv_problem_t;

csv_t *csv_new(char separator, bool quoting, size_t record_bytes_max);
void csv_destroy(csv_t **csv);

/* Takes bytes up to the end of a record; *used says how many (0, when the record was in bytes that had been
 * kept for a second reading). True: a record is complete, and can be read until the next call. False: all n
 * bytes are used. */
bool csv_feed(csv_t *csv, const char *bytes, size_t n, size_t *used);
/* No more bytes will come; called until it is false. True: one more record. */
bool csv_end(csv_t *csv);
/* Bytes that were taken and will be read a second time. */
size_t csv_kept(const csv_t *csv);

/* The complete record. */
uint64_t csv_line(const csv_t *csv); /* line where it starts, from 1 */
size_t csv_fields(const csv_t *csv); /* fields it has; only the first CSV_COLUMNS_MAX can be read */
const char *csv_field_peek(const csv_t *csv, size_t i, size_t *len);
bool csv_too_long(const csv_t *csv); /* over record_bytes_max: its fields are not all there */
/* With a problem the record has no fields to speak of. */
csv_problem_t csv_problem(const csv_t *csv);
/* Of a broken record: the line in which the quote was opened, and the line in which it was seen that it is
 * none of a field. Of a record in_span: the same of the record that had spanned it. */
uint64_t csv_quote_line(const csv_t *csv);
uint64_t csv_quote_end(const csv_t *csv);
bool csv_in_span(const csv_t *csv);
/* All fields, with a NUL behind each: for checks of the whole text. */
const char *csv_text_peek(const csv_t *csv, size_t *len);

#endif
