/* look.h - what the first bytes of a dataset say of it, so that a file in another form is refused at once, in
 * words, instead of failing row by row. Pure. */
#ifndef SDG_DATA_LOOK_H
#define SDG_DATA_LOOK_H

#include <stdbool.h>
#include <stddef.h>

typedef enum look {
    LOOK_MORE,  /* more bytes are needed to tell */
    LOOK_TEXT,  /* none of what follows */
    LOOK_UTF16, /* with a byte order mark; the next two are without */
    LOOK_UTF16_LE,
    LOOK_UTF16_BE,
    LOOK_UTF32,
    LOOK_PACKED,    /* bzip2, xz, zip (spreadsheets, too), Parquet: look_packed says which */
    LOOK_LIST,      /* begins with '[': a JSON array, or a column name in brackets */
    LOOK_SURE_LIST, /* the '[' stands alone on its line, or an item of JSON follows that is no such name */
    LOOK_OBJECT,    /* begins with '{' and a name in quotes */
    LOOK_OBJECT_OVER_LINES, /* begins with a '{' on a line of its own */
    LOOK_CR_LINES,          /* objects, with CR alone between them */
} look_t;

/* `ended`: these are all bytes. A byte order mark of UTF-8 is skipped. */
look_t look_text(const char *bytes, size_t n, bool ended);
/* The name of a form that LOOK_PACKED stands for. */
const char *look_packed(const char *bytes, size_t n);

/* The separator of a CSV file by its header: ';' when the header has that and no comma, outside of quotes,
 * else ','. A first line "sep=C", as spreadsheets write it, names it. False: the header is not whole. */
bool look_separator(const char *bytes, size_t n, bool ended, char *separator);

#endif
