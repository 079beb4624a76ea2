/* csv.h - cuts bytes into CSV records (RFC 4180): pure, fed piece by piece, no I/O.
 *
 * A record ends at LF or CRLF outside quotes; quoted fields may hold separators, newlines and doubled quotes.
 * As in Python's csv module, a quote inside an unquoted field is an ordinary character, and text behind a
 * closing quote belongs to the field. Lines without any character are skipped, but count as lines. Nothing is
 * refused here: a record tells what is wrong with it.
 */
#ifndef SDG_DATA_CSV_H
#define SDG_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct csv csv_t;

csv_t *csv_new(char separator, size_t record_bytes_max);
void csv_destroy(csv_t **csv);

/* Takes bytes up to the end of a record; *used says how many. True: a record is complete, and can be read
 * until the next call. */
bool csv_feed(csv_t *csv, const char *bytes, size_t n, size_t *used);
/* No more bytes will come. True: what had been begun is a record, the last one. */
bool csv_end(csv_t *csv);

/* The complete record. */
uint64_t csv_line(const csv_t *csv); /* line where it starts, from 1 */
size_t csv_fields(const csv_t *csv); /* fields it has; only the first CSV_COLUMNS_MAX can be read */
const char *csv_field_peek(const csv_t *csv, size_t i, size_t *len);
bool csv_too_long(const csv_t *csv);   /* over record_bytes_max: its fields are not all there */
bool csv_open_quote(const csv_t *csv); /* the input ended inside quotes */
/* All fields, with a NUL behind each: for checks of the whole text. */
const char *csv_text_peek(const csv_t *csv, size_t *len);

#endif
